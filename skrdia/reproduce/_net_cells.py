"""One measurement on nets: a net, a data set, a kind of noise, a number of training rows and of epochs, and a seed.

`subset` training rows and 1,000 others, which validate, are drawn of the training images; 0 takes all. The test images
test. The noise is a share of labels that a symmetric error replaces, or "class": 60 % of the rows of class 3 are
labelled 8, in MNIST, and 60 % of the cats dogs, in CIFAR10.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from skrdia.datasets import fetch_paper_images
from skrdia.reproduce._results import Schema

__all__ = ["N_VALIDATION", "RESULTS", "Data", "NetCell", "fetch_images", "load"]

N_VALIDATION = 1000
_CONFUSED = {"mnist": (3, 8), "cifar10": (3, 5)}


@dataclass(frozen=True)
class NetCell:
    """What is measured, but for the method."""

    dataset: str
    net: str
    noise: str
    subset: int
    epochs: int
    seed: int


# over_best: by how much the mean test loss exceeds that of the best baseline, and the standard error of the difference
# over the test rows. auroc, flagged: of the influences of the first fit.
RESULTS = Schema(
    NetCell,
    counts=("n_train",),
    numbers=("loss", "accuracy", "over_best", "over_best_se", "seconds", "auroc", "flagged"),
)


class Data(NamedTuple):
    """Training rows with labels as given and as they should be, validation and test rows."""

    dataset: str
    net: str
    X: Any
    y: NDArray[np.int64]
    y_true: NDArray[np.int64]
    X_val: Any
    y_val: NDArray[np.int64]
    X_test: Any
    y_test: NDArray[np.int64]


def load(cell: NetCell) -> Data:
    """Fetch the images of a cell, draw its rows, and make labels wrong.

    Parameters
    ----------
    cell : NetCell
        What is measured.

    Returns
    -------
    data : Data
        Its rows.

    Raises
    ------
    FileNotFoundError
        If the images cannot be had; the message says which file to put where.
    """
    bunch = fetch_images(cell.dataset)
    order = np.random.RandomState([cell.seed, 5]).permutation(len(bunch.y_train))
    val, rest = order[:N_VALIDATION], order[N_VALIDATION:]
    train = rest[: cell.subset] if cell.subset else rest
    y = bunch.y_train[train]
    parts = (bunch.X_train[val], bunch.y_train[val], bunch.X_test, bunch.y_test)
    return Data(cell.dataset, cell.net, bunch.X_train[train], _wrong(y, cell), y, *parts)


def _wrong(y: NDArray[np.int64], cell: NetCell) -> NDArray[np.int64]:
    rng = np.random.RandomState([cell.seed, 6])
    if cell.noise == "class":
        of, to = _CONFUSED[cell.dataset]
        return np.where((y == of) & (rng.uniform(size=len(y)) < 0.6), to, y)
    n_classes = int(y.max()) + 1
    moved = (y + rng.randint(1, n_classes, len(y))) % n_classes
    return np.where(rng.uniform(size=len(y)) < float(cell.noise), moved, y)


def fetch_images(name: str) -> Any:
    """The images of a data set, read once."""
    return _fetch(name, os.environ.get("SKRDIA_DATA"))


@lru_cache(maxsize=1)
def _fetch(name: str, folder: str | None) -> Any:
    """The images as they are in this SKRDIA_DATA folder."""
    return fetch_paper_images(name)
