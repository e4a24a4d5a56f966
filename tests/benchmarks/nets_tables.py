"""alpha="auto" with MLPClassifier on real tables: test log loss over that of the better of two ways without a repair.

    SKRDIA_DATA=folder python tests/benchmarks/nets_tables.py [table ...] [--seeds 0 1] [--flips 0.3] [--epochs 5 20 80]

Up to 1,400 rows of each table train, of which 30 % are verified and 30 % of the other labels flipped; the others test.
The two are the verified rows only, and everything as given. A ratio above 1.02 is a repair that does harm.

With --epochs, the net of the recipe "posterior" that is delivered is stopped after so many epochs, those that were
judged are not: the loss to expect of it by `skrdia._promise`, and its test loss.
"""

from __future__ import annotations

import argparse
import os
import time
import warnings
from dataclasses import replace
from pathlib import Path
from unittest.mock import patch

import numpy as np
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.metrics import log_loss
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skrdia import RDIAClassifier, _tuning_nets
from skrdia.datasets import flip_labels

TABLES = (
    "A/covtype_sample93k",
    "A/diabetes_pima",
    "C/spambase",
    "C/waveform5000",
    "C/vowel",
    "C/optdigits",
    "C/german_credit",
    "C/magic",
)
MAX_ROWS, MAX_TEST_ROWS, VERIFIED = 1_400, 10_000, 0.3


def load(name: str):
    """Rows as float64, and labels 0 to K - 1."""
    if name == "digits":
        return load_digits(return_X_y=True)
    with np.load(Path(os.environ["SKRDIA_DATA"]) / f"{name}.npz") as stored:
        X, y = stored["X"].astype(float), np.unique(stored["y"], return_inverse=True)[1]
    return np.where(np.isnan(X), np.nanmedian(X, axis=0), X), y


def split(name: str, flips: float, seed: int):
    """Training rows with wrong labels, which of them are verified, and test rows."""
    X, y = load(name)
    n_train = min(MAX_ROWS, round(0.7 * len(y)))
    X, X_test, y, y_test = train_test_split(X, y, train_size=n_train, random_state=seed, stratify=y)
    kept = X.std(axis=0) > 0.0
    trusted = np.zeros(len(y), dtype=bool)
    trusted[train_test_split(np.arange(len(y)), test_size=VERIFIED, random_state=seed, stratify=y)[1]] = True
    noisy = y.copy()
    noisy[~trusted], _ = flip_labels(y[~trusted], flips, random_state=seed)
    return X[:, kept], noisy, trusted, X_test[:MAX_TEST_ROWS, kept], y_test[:MAX_TEST_ROWS]


def make(seed: int):
    return make_pipeline(StandardScaler(), MLPClassifier((64,), random_state=seed))


def test_loss(fitted, X_test, y_test, n_classes: int) -> float:
    proba = np.zeros((len(y_test), n_classes))
    proba[:, fitted.classes_] = fitted.predict_proba(X_test)
    return log_loss(y_test, proba, labels=np.arange(n_classes))


def cell(name: str, flips: float, seed: int) -> tuple[float, str]:
    """The ratio, and a line of the table."""
    X, y, trusted, *test = split(name, flips, seed)
    n_classes = y.max() + 1
    everything = test_loss(make(seed).fit(X, y), *test, n_classes)
    verified = test_loss(make(seed).fit(X[trusted], y[trusted]), *test, n_classes)
    start = time.perf_counter()
    clf = RDIAClassifier(make(seed), random_state=seed).fit(X, y, trusted=trusted)
    seconds, auto = time.perf_counter() - start, test_loss(clf, *test, n_classes)
    ratio = auto / min(everything, verified)
    promised = np.average(clf.held_out_["after"], weights=clf.held_out_["weight"])
    figures = f"{everything:10.3f} {verified:8.3f} {promised:8.3f} {auto:7.3f} {ratio:6.3f} {seconds:4.0f} s"
    return ratio, f"{name:20} {len(y):5} {n_classes:2} {seed:4} {figures}  {clf.termination_condition_}"


def stopped(name: str, flips: float, seed: int, n_epochs: int) -> str:
    """A line of the table of promises."""
    X, y, trusted, *test = split(name, flips, seed)
    train, told = _tuning_nets._train, []

    def train_shortly(problem, labels, is_draft=True, **params):
        base = problem.base if is_draft else clone(problem.base).set_params(mlpclassifier__max_iter=n_epochs)
        return train(replace(problem, base=base), labels, is_draft=is_draft, **params)

    def deliver_anyway(recipes, promised, train):
        recipe = _tuning_nets.POSTERIOR
        net, excess = train(recipe)
        told.append((promised[recipe], promised[recipe] + excess))
        return recipe, net, {}

    with (
        patch.object(_tuning_nets, "_train", train_shortly),
        patch.object(_tuning_nets, "keep_promise", deliver_anyway),
    ):
        clf = RDIAClassifier(make(seed), random_state=seed).fit(X, y, trusted=trusted)
    loss, ((promised, expected),) = test_loss(clf, *test, y.max() + 1), told or [(np.nan, np.nan)]
    return f"{name:20} {seed:4} {n_epochs:6} {promised:8.3f} {expected:8.3f} {loss:8.3f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tables", nargs="*", default=TABLES)
    parser.add_argument("--seeds", nargs="*", type=int, default=[0])
    parser.add_argument("--flips", type=float, default=0.3)
    parser.add_argument("--epochs", nargs="*", type=int, default=[])
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    if options.epochs:
        print(f"{'table':20} seed epochs promised expected test loss", flush=True)
        for name in options.tables:
            for seed in options.seeds:
                for n_epochs in options.epochs:
                    print(stopped(name, options.flips, seed, n_epochs), flush=True)
        return
    print(
        f"{'table':20} {'n':>5} {'K':>2} seed everything verified promised    auto  ratio   time  decision", flush=True
    )
    ratios = []
    for name in options.tables:
        for seed in options.seeds:
            ratio, line = cell(name, options.flips, seed)
            ratios.append(ratio)
            print(line, flush=True)
    print(f"ratio: mean {np.exp(np.mean(np.log(ratios))):.3f}, worst {max(ratios):.3f}, of {len(ratios)}")


if __name__ == "__main__":
    main()
