"""One measurement of signals: a table or MNIST, a model, a kind and share of glitches, and a seed.

5 % of the rows, at least twice as many as classes, are trusted and clean. Of the others,

    uniform   a share has the label of another class, at random
    class     rows of one random class have the label of another: the share of all rows, at most half of the class
    near      the share are anomalies that all have one label: a cluster as far out as rows are; of MNIST, another digit
    far       the same three times as far out; of MNIST, images of CIFAR10 in grey

Columns of tables are standardised by the training rows, glitches included.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.preprocessing import StandardScaler

from skrdia.datasets import add_anomalies, fetch_paper_images, flip_labels
from skrdia.reproduce._net_cells import fetch_images
from skrdia.reproduce._results import Schema
from skrdia.reproduce._tables import Codes, draw, load_table

__all__ = ["RATES", "RESULTS", "Glitches", "SignalCell", "load"]

RATES = (0.01, 0.05, 0.1, 0.2)

_TRUSTED = 0.05


@dataclass(frozen=True)
class SignalCell:
    """What is measured, but for the signal."""

    dataset: str
    model: str
    kind: str
    rate: float
    seed: int
    max_rows: int


# f1: of as many rows with the highest scores as there are glitches. kept: what is left of the absolute influences of a
# row when they are summed with their signs, in the mean over rows; for "influence" only.
RESULTS = Schema(
    SignalCell, counts=("n", "n_bad", "n_trusted"), numbers=("f1", "auroc", "average_precision", "kept", "seconds")
)


class Glitches(NamedTuple):
    """Training rows, labels as given, which rows are glitches, and trusted rows; codes 0 ... K - 1."""

    X: Any
    y: Codes
    bad: NDArray[np.bool_]
    X_val: Any
    y_val: Codes


def load(cell: SignalCell) -> Glitches:
    """Fetch the rows of a cell and spoil some.

    Parameters
    ----------
    cell : SignalCell
        What is measured.

    Returns
    -------
    data : Glitches
        Its rows.

    Raises
    ------
    FileNotFoundError, ValueError
        If the data cannot be had; the message says what to do.
    """
    X, y = _images(cell.max_rows, cell.seed) if cell.dataset == "mnist" else load_table(cell.dataset, cell.max_rows)[1:]
    rng = np.random.RandomState([cell.seed, 7])
    trusted = draw(np.arange(len(y)), y, max(round(_TRUSTED * len(y)), 2 * (int(y.max()) + 1)), rng)
    train = np.setdiff1d(np.arange(len(y)), trusted)
    if cell.dataset != "mnist":
        X = StandardScaler().fit(X[train]).transform(X)
    found, labels, bad = _spoil(cell, X[train], y[train], rng)
    kept = np.isin(y[trusted], labels)  # a class that became the anomalies has left
    X_val, y_val = X[trusted][kept], y[trusted][kept]
    if cell.dataset != "mnist":
        scaler = StandardScaler().fit(found)
        found, X_val = scaler.transform(found), scaler.transform(X_val)
    elif cell.model in ("linear", "mlp"):
        found, X_val = found.reshape(len(found), -1), X_val.reshape(len(X_val), -1)
    classes = np.unique(labels)
    return Glitches(found, np.searchsorted(classes, labels), bad, X_val, np.searchsorted(classes, y_val))


def _spoil(cell: SignalCell, X: Any, y: Codes, rng: np.random.RandomState) -> tuple[Any, Codes, NDArray[np.bool_]]:
    if cell.kind == "uniform":
        return X, *flip_labels(y, cell.rate, random_state=rng)
    if cell.kind == "class":
        of, to = rng.permutation(np.unique(y))[:2]
        rows = rng.permutation(np.flatnonzero(y == of))
        bad = np.zeros(len(y), dtype=bool)
        bad[rows[: max(1, min(round(cell.rate * len(y)), len(rows) // 2))]] = True
        return X, np.where(bad, to, y), bad
    if cell.dataset != "mnist":
        return add_anomalies(X, y, cell.rate, cell.kind, random_state=rng)
    if cell.kind == "near":
        return add_anomalies(X, y, min(cell.rate, _largest_share(y)), "class", random_state=rng)
    return add_anomalies(X, y, cell.rate, "rows", source=_foreign(), random_state=rng)


def _largest_share(y: Codes) -> float:
    """Of anomalies that are the rows of a class, whichever it is."""
    return (int(np.bincount(y)[np.unique(y)].min()) - 1) / len(y)


def _images(n: int, seed: int) -> tuple[Any, Codes]:
    bunch = fetch_images("mnist")
    y = bunch.y_train
    rows = np.sort(draw(np.arange(len(y)), y, n or len(y), np.random.RandomState([seed, 8])))
    return bunch.X_train[rows], y[rows].astype(np.intp)


@lru_cache(maxsize=1)
def _foreign() -> Any:
    """5,000 images of CIFAR10 in grey, (5000, 1, 28, 28)."""
    images = fetch_paper_images("cifar10").X_train[:5000]
    return images[:, :, 2:-2, 2:-2].mean(axis=1, keepdims=True).astype(np.float32)
