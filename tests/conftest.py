"""Tables and helpers that several test files share."""

from __future__ import annotations

import bz2
import gzip
import os
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pooch
import pytest
import sklearn
from hypothesis import settings
from sklearn.datasets import load_breast_cancer, load_digits, load_iris, load_wine
from sklearn.preprocessing import scale

from skrdia.datasets import flip_labels, load_breast_cancer_scale
from skrdia.datasets._paper_tasks import TASKS

settings.register_profile("deterministic", derandomize=True, deadline=None, database=None)
settings.load_profile("deterministic")


SLOW_CHECKS = [f"test_estimator_checks[RDIAClassifier()-check_estimator_sparse_{kind}]" for kind in ("array", "matrix")]


def pytest_collection_modifyitems(items):
    """Mark checks of scikit-learn, which come as a list of its own; those of other parameters are quick."""
    for item in items:
        if item.name in SLOW_CHECKS:
            item.add_marker(pytest.mark.slow)


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


@pytest.fixture
def retrieved(monkeypatch):
    """The calls of pooch.retrieve, which writes no file and reaches no network."""
    calls = []

    def refuse(**options):
        calls.append(options)
        raise OSError("no network here")

    monkeypatch.setattr(pooch, "retrieve", refuse)
    return calls


@pytest.fixture
def folder(tmp_path, monkeypatch, retrieved):
    """The folder of SKRDIA_DATA, empty, next to an empty cache folder."""
    monkeypatch.setenv("SKRDIA_DATA", str(tmp_path / "own"))
    monkeypatch.setenv("SCIKIT_LEARN_DATA", str(tmp_path / "sklearn"))
    (tmp_path / "own").mkdir()
    return tmp_path / "own"


def expect(monkeypatch, name, source=0, **changes):
    """Let one source of a data set have other shapes or another split, and be its only one."""
    monkeypatch.setitem(TASKS, name, replace(TASKS[name], sources=(replace(TASKS[name].sources[source], **changes),)))


def write_rows(path, n_rows, labels=(-1, 1), first=1):
    """Write LIBSVM rows whose value in the first column is the number of the row, from `first` on."""
    opener = {".bz2": bz2.open, ".gz": gzip.open}.get(path.suffix, open)
    with opener(path, "wt") as file:
        file.writelines(f"{labels[row % 2]} 1:{row} 3:0.5\n" for row in range(first, first + n_rows))
