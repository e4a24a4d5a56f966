"""Real tables as numbers: (n, p) without missing values, and class codes 0 ... K - 1.

The embedded tables come with the package and with scikit-learn. The others are read from the folder that the
environment variable SKRDIA_DATA names: files .npz with X, y and, where columns are categorical, a mask is_categorical.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.datasets import load_breast_cancer, load_digits

from skrdia.datasets import load_breast_cancer_scale
from skrdia.views._base import Array

__all__ = ["EASY", "LARGEST", "TABLES", "Source", "Table", "available", "draw", "load_table", "prepare"]

LARGEST = 20_000  # rows of any table
MIN_CLASS = 40  # rows of a class; classes with fewer, or with fewer in a draw, are left out
Codes = NDArray[np.intp]


class Table(NamedTuple):
    """A table ready for use: X (n, p) and codes y (n,)."""

    name: str
    X: Array
    y: Codes


@dataclass(frozen=True)
class Source:
    """Where a table comes from: a function that returns X, y, or a file in SKRDIA_DATA; and its number of rows."""

    n_rows: int
    function: Callable[[], tuple[Any, Any]] | None = None
    file: str = ""


def _embedded(function: Callable[..., Any]) -> Callable[[], tuple[Any, Any]]:
    return lambda: function(return_X_y=True)


TABLES: dict[str, Source] = {
    "breast_cancer_scale": Source(683, _embedded(load_breast_cancer_scale)),
    "breast_cancer": Source(569, _embedded(load_breast_cancer)),
    "digits": Source(1797, _embedded(load_digits)),
    "diabetes_pima": Source(768, file="A/diabetes_pima.npz"),
    "australian": Source(690, file="C/australian.npz"),
    "german_credit": Source(1000, file="C/german_credit.npz"),
    "mammographic": Source(830, file="C/mammographic.npz"),
    "banknote": Source(1372, file="C/banknote.npz"),
    "spambase": Source(4601, file="C/spambase.npz"),
    "twonorm": Source(7400, file="C/twonorm.npz"),
    "magic": Source(19020, file="C/magic.npz"),
    "mnist_1v7": Source(15170, file="A/mnist_1v7.npz"),
    "adult": Source(48842, file="C/adult_raw.npz"),
    "bank_marketing": Source(45211, file="C/bank_marketing.npz"),
    "credit_default": Source(30000, file="C/credit_default_taiwan.npz"),
    "waveform5000": Source(5000, file="C/waveform5000.npz"),
    "car": Source(1728, file="C/car.npz"),
    "wine_quality_red": Source(1571, file="C/wine_quality_red.npz"),
    "covtype": Source(92962, file="A/covtype_sample93k.npz"),
    "optdigits": Source(5620, file="C/optdigits.npz"),
    "vowel": Source(990, file="C/vowel.npz"),
    "letter": Source(20000, file="C/letter.npz"),
}
EASY = ("breast_cancer_scale", "breast_cancer", "digits", "mnist_1v7", "optdigits", "waveform5000")


def available(min_rows: int = 0) -> list[str]:
    """Names of the tables that can be loaded here and have at least `min_rows` rows, in the order of `TABLES`."""
    folder = Path(os.environ.get("SKRDIA_DATA", ""))
    has_folder = "SKRDIA_DATA" in os.environ
    return [
        name
        for name, source in TABLES.items()
        if source.n_rows >= min_rows and (source.function or (has_folder and (folder / source.file).exists()))
    ]


def load_table(name: str, max_rows: int = 1600) -> Table:
    """Load a table.

    Parameters
    ----------
    name : str
        A key of `TABLES`.
    max_rows : int, default=1600
        Draw so many rows, stratified by class, where there are more. 0: all, up to 20,000.

    Returns
    -------
    table : Table
        Its name, columns and class codes.

    Raises
    ------
    ValueError
        If the name is unknown or the file is missing.
    """
    if name not in TABLES:
        raise ValueError(f"table {name!r} is unknown; use one of {list(TABLES)}.")
    return _load(name, min(max_rows or LARGEST, LARGEST), os.environ.get("SKRDIA_DATA"))


@lru_cache(maxsize=32)
def _load(name: str, max_rows: int, folder: str | None) -> Table:
    source = TABLES[name]
    if source.function is not None:
        return Table(name, *prepare(*source.function(), max_rows=max_rows))
    path = Path(folder or "") / source.file
    if not folder or not path.exists():
        raise ValueError(f"table {name!r} is not embedded: set SKRDIA_DATA to a folder that has {source.file}.")
    with np.load(path) as stored:
        if "X_train" in stored:
            X = np.concatenate([stored["X_train"], stored["X_test"]])
            y = np.concatenate([stored["y_train"], stored["y_test"]])
        else:
            X, y = stored["X"], stored["y"]
        categorical = stored.get("is_categorical")
    return Table(name, *prepare(X.reshape(len(X), -1), y, categorical, max_rows))


def prepare(X: Any, y: Any, categorical: Any = None, max_rows: int = LARGEST) -> tuple[Array, Codes]:
    """Drop small classes, draw at most `max_rows` rows, encode categories, fill gaps, drop constant columns.

    Parameters
    ----------
    X : array-like of shape (n_samples, n_features)
        Numbers; nan is a missing value.
    y : array-like of shape (n_samples,)
        Labels.
    categorical : bool array-like of shape (n_features,), default=None
        Columns that become one column per value; a missing value is zero in all of them. Others get their median.
    max_rows : int, default=20000
        Rows to keep.

    Returns
    -------
    X : ndarray of shape (n_rows, n_columns)
        The table.
    y : ndarray of shape (n_rows,)
        Codes 0 ... K - 1.
    """
    X, y = np.asarray(X, dtype=np.float64), np.unique(np.asarray(y), return_inverse=True)[1]
    keep = _large_classes(y, max_rows)
    if len(keep) > max_rows:
        keep = np.sort(draw(keep, y[keep], max_rows, np.random.RandomState(0)))
    X, y = X[keep], np.unique(y[keep], return_inverse=True)[1]
    mask = np.zeros(X.shape[1], dtype=bool) if categorical is None else np.asarray(categorical, dtype=bool)
    columns = [_one_hot_column(X[:, j]) if mask[j] else _filled(X[:, j]) for j in range(X.shape[1])]
    table = np.column_stack(columns)
    return table[:, table.std(axis=0) > 0.0], y


def draw(rows: Codes, y: Codes, size: int, rng: np.random.RandomState) -> Codes:
    """Draw `size` of the rows, whose codes are y, each class by its share and with at least one row.

    Every class is shuffled, the row of rank r of n_k gets the key (r + 1/2) / n_k, rank 0 the key 0, and the rows with
    the smallest keys are drawn.
    """
    order = rng.permutation(len(rows))
    counts = np.bincount(y)
    seen = np.zeros(len(counts), dtype=np.intp)
    keys = np.empty(len(rows))
    for i, code in enumerate(y[order]):
        keys[i] = (seen[code] + 0.5) / counts[code] if seen[code] else 0.0
        seen[code] += 1
    return rows[order[np.argsort(keys, kind="stable")[:size]]]


def _large_classes(y: Codes, max_rows: int) -> Codes:
    """The rows of the classes that have enough rows, after a draw of `max_rows` too; the smallest go first."""
    counts = np.bincount(y)
    for code in np.argsort(counts, kind="stable"):
        if counts[code] * min(1.0, max_rows / counts.sum()) >= MIN_CLASS:
            return np.flatnonzero(counts[y] > 0)
        counts[code] = 0
    raise ValueError(f"max_rows={max_rows} leaves no class with {MIN_CLASS} rows; raise it.")


def _filled(column: Array) -> Array:
    present = column[~np.isnan(column)]
    return np.where(np.isnan(column), np.median(present) if len(present) else 0.0, column)


def _one_hot_column(column: Array) -> Array:
    values = np.unique(column[~np.isnan(column)])
    return (column[:, None] == values).astype(np.float64)
