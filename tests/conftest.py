"""Tables and helpers that several test files share."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import sklearn
from hypothesis import settings
from sklearn.datasets import load_breast_cancer, load_digits, load_iris, load_wine
from sklearn.preprocessing import scale

from skrdia.datasets import flip_labels, load_breast_cancer_scale

settings.register_profile("deterministic", derandomize=True, deadline=None, database=None)
settings.load_profile("deterministic")


class Split(NamedTuple):
    X: np.ndarray
    y: np.ndarray
    X_val: np.ndarray
    y_val: np.ndarray
    y_true: np.ndarray
    X_test: np.ndarray
    y_test: np.ndarray

    @property
    def val(self):
        return {"X_val": self.X_val, "y_val": self.y_val}


def split(X, y, n_train, n_val, rate, seed=0):
    """Standardised columns, shuffled rows, and a share of wrong training labels."""
    order = np.random.default_rng(seed).permutation(len(y))
    X, y = scale(X[:, X.std(axis=0) > 0])[order], y[order]
    train, val, test = np.split(np.arange(len(y)), [n_train, n_train + n_val])
    noisy = flip_labels(y[train], rate, random_state=seed)[0]
    return Split(X[train], noisy, X[val], y[val], y[train], X[test], y[test])


def make_table(name, rate=0.1):
    if name == "breast_cancer":
        return split(*load_breast_cancer_scale(return_X_y=True), 300, 150, rate)
    if name == "cancer":
        return split(*load_breast_cancer(return_X_y=True), 300, 150, rate)
    if name == "iris":
        return split(*load_iris(return_X_y=True), 90, 40, rate)
    if name == "wine":
        return split(*load_wine(return_X_y=True), 90, 44, rate)
    if name == "digits":
        X, y = load_digits(return_X_y=True)
        return split(X, y, 500, 400, rate)
    folder = os.environ.get("SKRDIA_DATA")
    path = Path(folder or "") / "C" / f"{name}.npz"
    if not folder or not path.exists():
        pytest.skip(f"needs {name}.npz in the folder C of SKRDIA_DATA")
    with np.load(path) as stored:
        X, y = stored["X"].astype(np.float64), np.unique(stored["y"], return_inverse=True)[1]
    return split(X, y, min(600, len(y) // 2), min(300, len(y) // 4), rate)


@pytest.fixture
def table():
    """The breast-cancer table with 20 % of the training labels flipped."""
    return make_table("breast_cancer", rate=0.2)


@pytest.fixture
def table3():
    """The wine table, three classes, with 20 % of the training labels flipped."""
    return make_table("wine", rate=0.2)


@pytest.fixture
def routing():
    with sklearn.config_context(enable_metadata_routing=True):
        yield
