"""The default alpha: test log loss over that of training on everything, for one round of RDIA.

    SKRDIA_DATA=folder python tests/benchmarks/default_alpha.py

Prints the geometric mean over ten tables and C = 0.1 and 1, by strategy, rounds and share of flipped labels.
"""

from __future__ import annotations

import os
import warnings
from pathlib import Path

import numpy as np
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler

from skrdia import RDIAClassifier
from skrdia.datasets import flip_labels

ALPHAS = (0.1, 0.2, 0.3, 0.5, 0.7, 1.0, 1.4, 2.0, 3.0, 5.0)
RATES = (0.0, 0.1, 0.2, 0.4)
METHODS = (("relabel", 1), ("relabel", 5), ("drop", 1), ("drop", 5))
TABLES = [
    "digits",
    "spambase",
    "waveform5000",
    "vowel",
    "banknote",
    "heart_statlog",
    "german_credit",
    "car",
    "australian",
    "letter",
]


def load(name: str, cap: int = 1600):
    if name == "digits":
        return load_digits(return_X_y=True)
    with np.load(Path(os.environ["SKRDIA_DATA"]) / "C" / f"{name}.npz") as stored:
        X, y = stored["X"].astype(float), np.unique(stored["y"], return_inverse=True)[1]
    X = np.where(np.isnan(X), np.nanmedian(X, axis=0), X)[:, X.std(axis=0) > 0]
    if len(y) > cap:
        X, _, y, _ = train_test_split(X, y, train_size=cap, random_state=0, stratify=y)
    return X, y


def cell(name: str, C: float, rate: float) -> dict:
    """Ratios of the test log loss to that of training on everything, by method and alpha."""
    X, y = load(name)
    X, X_test, y, y_test = train_test_split(X, y, test_size=0.3, random_state=0, stratify=y)
    scaler = StandardScaler().fit(X)
    X, X_test = scaler.transform(X), scaler.transform(X_test)
    trusted = np.zeros(len(y), dtype=bool)
    trusted[train_test_split(np.arange(len(y)), test_size=0.3, random_state=0, stratify=y)[1]] = True
    noisy = y.copy()
    noisy[~trusted], _ = flip_labels(y[~trusted], rate, random_state=0)
    base = LogisticRegression(C=C, max_iter=1000)

    def loss(model) -> float:
        return log_loss(y_test, model.predict_proba(X_test))

    everything = loss(base.fit(X, noisy))
    result = {"perfect labels": loss(base.fit(X, y)) / everything}
    for strategy, rounds in METHODS:
        models = (
            RDIAClassifier(base, alpha, strategy=strategy, max_iter=rounds).fit(X, noisy, trusted=trusted)
            for alpha in ALPHAS
        )
        result[strategy, rounds] = np.array([loss(model) for model in models]) / everything
    return result


def main() -> None:
    warnings.simplefilter("ignore")
    print("alpha ", *(f"{alpha:6g}" for alpha in ALPHAS), "perfect labels")
    cells = {rate: [cell(name, C, rate) for name in TABLES for C in (0.1, 1.0)] for rate in RATES}
    for method in METHODS:
        print(f"{method[0]}, at most {method[1]} rounds")
        for rate in RATES:
            mean = np.exp(np.mean([np.log(result[method]) for result in cells[rate]], axis=0))
            perfect = np.exp(np.mean([np.log(result["perfect labels"]) for result in cells[rate]]))
            print(f"{rate:6.0%}", *(f"{ratio:6.3f}" for ratio in mean), f"{perfect:.3f}")


if __name__ == "__main__":
    main()
