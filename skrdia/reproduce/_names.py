"""What the options of the commands may name, apart from what it names, so that help and completion load no library."""

from __future__ import annotations

from skrdia.datasets import PAPER_DATASETS, STAND_INS

__all__ = [
    "BASES",
    "DATASETS",
    "DRAWS",
    "EPOCHS",
    "FINDERS",
    "IMAGES",
    "KINDS",
    "NET_METHODS",
    "PAPER_METHODS",
    "RELABELLING",
    "RULES",
    "SIGNAL_METHODS",
    "SIGNAL_MODELS",
    "SIGNAL_TABLES",
    "SIZES",
    "TABLES",
    "TABLE_2_METHODS",
    "TEXT_SETS",
    "TEXT_VIEWS",
    "TIMED",
]

DATASETS = (*PAPER_DATASETS, *STAND_INS)
IMAGES = ("mnist", "cifar10")

TABLES = (
    *("breast_cancer_scale", "breast_cancer", "digits", "diabetes_pima", "australian", "german_credit", "mammographic"),
    *("banknote", "spambase", "twonorm", "magic", "mnist_1v7", "adult", "bank_marketing", "credit_default"),
    *("waveform5000", "car", "wine_quality_red", "covtype", "optdigits", "vowel", "letter"),
)
BASES = ("logistic", "hgb")
TEXT_SETS = ("hausa", "yoruba", "movie", "amazon")
TEXT_VIEWS = ("tfidf", "dense")

PAPER_METHODS = (
    *("erm", "random", "optlr", "dropout", "uids-linear", "uids-sigmoid", "rdia", "rdia best on test"),
    *("rdia at 0.01", "rdia at 0.002", "rdia at 0.0002", "auto", "auto on training rows", "validation only"),
    *("erm and validation", "perfect", "perfect and validation"),
)
DRAWS = ("random", "optlr", "uids-linear", "uids-sigmoid", "auto", "auto on training rows")
"""Methods that draw; on one split of clean labels the others give the same figure for every seed."""

SIZES = {"criteo-size": (456_674, 1_000_000, 39), "avazu-size": (14_596_137, 1_000_000, 15)}
"""Rows, columns and non-zeros a row of the synthetic data sets of Table 10."""

TIMED = ("diabetes", "adult", "mnist", "cifar10", "covtype", "news20", *SIZES)
"""Data sets of Table 10."""

EPOCHS = {"mlp": 20, "lenet": 8, "cnn": 20}
"""By net, the epochs of training, by default."""

NET_METHODS = (
    *("everything", "recalibrated", "trusted only", "fine-tuned"),
    *("drop", "paper", "best label", "auto", "perfect"),
)
TABLE_2_METHODS = ("erm", "random", "optlr", "dropout", "uids-linear", "uids-sigmoid", "rdia", "auto")

RELABELLING = {"table6": ("mnist", "lenet"), "table7": ("cifar10", "cnn"), "table8": ("cifar100", "cnn")}
"""By table of loss-based relabelling, its data set and net."""

RULES = {
    "erm": "cross-entropy",
    "forward": "forward",
    "self-teaching": "self-teaching",
    "co-teaching": "co-teaching",
    "sigua": "sigua",
    "rdia-ls": "paper",
    "rdia-ls-code": "released",
    "posterior": "posterior",
    "posterior-estimated": "posterior",
    "posterior-over": "posterior",
    "posterior-under": "posterior",
}
"""By method, the rule of `RDIALSClassifier`. The noise rate is known, but where it is estimated, or off by 0.2."""

FINDERS = ("rdia-all", "rdia-last", "find-by-loss")
"""Methods of Table 10: by the influence of all parameters or those of the last layer, and by the loss."""

KINDS = ("uniform", "class", "near", "far")
SIGNAL_MODELS = ("linear", "mlp", "lenet", "lenet-tracin")
"""The nets are for MNIST; "lenet-tracin" replaces the inverse Hessian by the checkpoints of training."""

SIGNAL_TABLES = (
    *("breast_cancer", "digits", "spambase", "magic", "adult", "bank_marketing", "banknote"),
    *("waveform5000", "optdigits", "covtype"),
)
SIGNAL_METHODS = (
    *("self-influence", "self-influence-loo", "confidence", "margin", "posterior", "stacked-posterior", "noise-model"),
    "isolation",
    *("cleanlab", "isolation-forest"),
    *("influence+trusted", "marginal-influence+trusted", "influence-margin+trusted"),
    *("average-absolute-influence+trusted", "gd-class+trusted", "cnci+trusted", "pcid+trusted"),
    *("leave-one-out-step+trusted", "trusted-confidence+trusted", "trusted-posterior+trusted"),
    *("trusted-isolation+trusted", "confidence+trusted", "margin+trusted", "posterior+trusted"),
    *("stacked-posterior+trusted", "noise-model+trusted", "calibrated-posterior+trusted", "cleanlab+trusted"),
)
