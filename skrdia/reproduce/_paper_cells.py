"""One measurement of the paper's kind: a data set, a share of flipped labels, a split, a number of validation rows.

The split is the authors' ("paper") or draws the validation rows at random from the training block ("random"), as the
paper's text has it; the number of rows of each part stays, and so do the test rows. Labels of training rows are
flipped after the split. `n_val` rows are drawn of the validation rows; 0 takes all. Each draw has a random stream of
its own, so that no two choose the same rows.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from skrdia._rows import stack, take
from skrdia.datasets import fetch_paper_dataset, flip_labels
from skrdia.reproduce._results import Schema

__all__ = ["RESULTS", "Data", "PaperCell", "load"]


@dataclass(frozen=True)
class PaperCell:
    """What is measured, but for the method."""

    dataset: str
    noise: float = 0.0
    split: str = "paper"
    n_val: int = 0
    seed: int = 0


# n_changed, n_wrong: rows whose given or right label has less than half of its weight in the targets of the final fit.
RESULTS = Schema(
    PaperCell,
    counts=("n_train", "n_features", "n_changed", "n_wrong"),
    numbers=("loss", "validation_loss", "accuracy", "alpha", "seconds", "fit_seconds", "gigabytes"),
)


class Data(NamedTuple):
    """Training rows with labels as given and as they should be, validation and test rows; labels are 0 and 1."""

    X: Any
    y: NDArray[np.int64]
    y_true: NDArray[np.int64]
    X_val: Any
    y_val: NDArray[np.int64]
    X_test: Any
    y_test: NDArray[np.int64]


def load(cell: PaperCell) -> Data:
    """Fetch the data set of a cell, split it, and flip labels.

    Parameters
    ----------
    cell : PaperCell
        What is measured.

    Returns
    -------
    data : Data
        Its rows.

    Raises
    ------
    FileNotFoundError
        If the data set cannot be had; the message says which file to put where.
    """
    bunch = _fetch(cell.dataset, os.environ.get("SKRDIA_DATA"))
    X, y, X_val, y_val = bunch.X_train, bunch.y_train, bunch.X_val, bunch.y_val
    if cell.split == "random":
        X, y, X_val, y_val = _redrawn(X, y, X_val, y_val, cell.seed)
    if cell.n_val:
        rows = np.random.RandomState([cell.seed, 3]).permutation(len(y_val))[: cell.n_val]
        X_val, y_val = take(X_val, rows), y_val[rows]
    noisy = flip_labels(y, cell.noise, random_state=cell.seed)[0] if cell.noise else y
    return Data(X, noisy, y, X_val, y_val, bunch.X_test, bunch.y_test)


@lru_cache(maxsize=2)
def _fetch(name: str, folder: str | None) -> Any:
    """The data set as it is in this SKRDIA_DATA folder."""
    return fetch_paper_dataset(name)


def _redrawn(X: Any, y: Any, X_val: Any, y_val: Any, seed: int) -> tuple[Any, Any, Any, Any]:
    X_all, y_all = stack(X, X_val), np.r_[y, y_val]
    train, val = np.split(np.random.RandomState([seed, 4]).permutation(len(y_all)), [len(y)])
    return take(X_all, train), y_all[train], take(X_all, val), y_all[val]
