"""alpha="auto" with MLPClassifier on real tables: test log loss over that of the better of two ways without a repair.

    SKRDIA_DATA=folder python tests/benchmarks/nets_tables.py [table ...] [--seeds 0 1] [--flips 0.3]

Up to 1,400 rows of each table train, of which 30 % are verified and 30 % of the other labels flipped; the others test.
The two are the verified rows only, and everything as given. A ratio above 1.02 is a repair that does harm.
"""

from __future__ import annotations

import argparse
import os
import time
import warnings
from pathlib import Path

import numpy as np
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.metrics import log_loss
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skrdia import RDIAClassifier
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


def cell(name: str, flips: float, seed: int, **params) -> tuple[float, str]:
    """The ratio, and a line of the table."""
    X, y, trusted, X_test, y_test = split(name, flips, seed)
    model = make_pipeline(StandardScaler(), MLPClassifier((64,), random_state=seed))

    def loss(fitted) -> float:
        proba = np.zeros((len(y_test), y.max() + 1))
        proba[:, fitted.classes_] = fitted.predict_proba(X_test)
        return log_loss(y_test, proba, labels=np.arange(y.max() + 1))

    everything = loss(clone(model).fit(X, y))
    verified = loss(clone(model).fit(X[trusted], y[trusted]))
    start = time.perf_counter()
    clf = RDIAClassifier(model, random_state=seed, **params).fit(X, y, trusted=trusted)
    seconds, auto = time.perf_counter() - start, loss(clf)
    ratio = auto / min(everything, verified)
    promised = np.average(clf.held_out_["after"], weights=clf.held_out_["weight"])
    figures = f"{everything:10.3f} {verified:8.3f} {promised:8.3f} {auto:7.3f} {ratio:6.3f} {seconds:4.0f} s"
    return ratio, f"{name:20} {len(y):5} {y.max() + 1:2} {seed:4} {figures}  {clf.termination_condition_}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tables", nargs="*", default=TABLES)
    parser.add_argument("--seeds", nargs="*", type=int, default=[0])
    parser.add_argument("--flips", type=float, default=0.3)
    options = parser.parse_args()
    warnings.simplefilter("ignore")
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
