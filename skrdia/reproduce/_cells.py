"""One measurement: a table, a kind of label noise, a strength of the penalty, a seed, a share of trusted rows.

The rows of a table are split into test rows (30 %), trusted rows (a share of the rest, at least 50) and training rows,
each class by its share. Noise is on the training rows only. Columns are standardised by the training and trusted rows.

"shifted" has right labels but training rows from elsewhere: u (p,) is a random direction, the near half the rows with
x . u above the median, for standardised columns. Test and trusted rows are all near, 85 % of the training rows far.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import product
from typing import NamedTuple

import numpy as np
from sklearn.preprocessing import StandardScaler, scale

from skrdia.datasets import flip_labels
from skrdia.reproduce._results import Schema
from skrdia.reproduce._tables import Codes, Table, draw
from skrdia.views._base import Array

__all__ = [
    "CLEAN",
    "NOISES",
    "NO_TRUSTED_NOISES",
    "RESULTS",
    "SHIFTED",
    "Cell",
    "Positions",
    "Split",
    "cells",
    "parse_noise",
    "positions",
    "split",
]

CLEAN, SHIFTED = "clean", "shifted"
NOISES: tuple[tuple[str, float], ...] = (
    *(("symmetric", rate) for rate in (0.1, 0.2, 0.4, 0.6, 0.8)),
    ("one-sided", 0.6),
    ("pair", 0.3),
    ("instance", 0.3),
    ("group", 0.7),
    (CLEAN, 0.0),
    (SHIFTED, 0.0),
)
NO_TRUSTED_NOISES: tuple[tuple[str, float], ...] = (
    *(("symmetric", rate) for rate in (0.05, 0.1, 0.2, 0.3)),
    ("one-sided", 0.3),
    ("pair", 0.2),
    ("instance", 0.2),
    (CLEAN, 0.0),
)
TEST_SHARE = 0.3
MIN_TRUSTED = 50
FAR_SHARE = 0.85  # of the training rows of "shifted"
DIRECTIONS = 100  # tried until every part of "shifted" has every class


@dataclass(frozen=True)
class Cell:
    """What is measured, but for the method; `trusted` 0 means that there are no trusted rows."""

    table: str
    noise: str
    rate: float
    C: float
    seed: int
    trusted: float
    base: str = "logistic"
    max_rows: int = 1600


RESULTS = Schema(
    Cell,
    counts=("n", "K", "n_trusted"),
    numbers=("loss", "loss_se", "diff_se", "auto_se", "accuracy", "auroc", "average_precision", "seconds"),
)


class Positions(NamedTuple):
    """Rows of the table: disjoint."""

    train: Codes
    trusted: Codes
    test: Codes


class Split(NamedTuple):
    """Training rows with labels as given and as they should be, trusted rows, test rows; codes 0 ... K - 1."""

    X: Array
    y: Codes
    y_true: Codes
    X_val: Array
    y_val: Codes
    X_test: Array
    y_test: Codes
    n_classes: int


def cells(
    tables: Iterable[str],
    noises: Iterable[tuple[str, float]],
    Cs: Iterable[float],
    seeds: Iterable[int],
    trusted: Iterable[float],
    base: str = "logistic",
    max_rows: int = 1600,
) -> Iterator[Cell]:
    """Every combination; all of one seed before the next, so that an early stop leaves a balanced part."""
    for seed, share, C, (noise, rate), table in product(seeds, trusted, Cs, noises, tables):
        yield Cell(table, noise, rate, C, seed, share, base, max_rows)


def parse_noise(text: str, defaults: tuple[tuple[str, float], ...] = NOISES) -> list[tuple[str, float]]:
    """Return the kinds and rates of "symmetric", with all its default rates, or of "symmetric=0.3"."""
    kind, _, rate = text.partition("=")
    known = list(dict.fromkeys(kind for kind, _ in NOISES))
    if kind not in known:
        raise ValueError(f"noise {kind!r} is unknown; use one of {known}, or for example symmetric=0.3.")
    if not rate:
        return [noise for noise in defaults if noise[0] == kind]
    if kind in (CLEAN, SHIFTED):
        raise ValueError(f"noise {kind!r} has right labels, so it takes no rate; got {text!r}.")
    return [(kind, float(rate))]


def positions(cell: Cell, table: Table) -> Positions:
    """Split the rows of the table.

    Parameters
    ----------
    cell : Cell
        Its seed, share of trusted rows and kind of noise decide.
    table : Table
        The rows.

    Returns
    -------
    positions : Positions
        Of the training, trusted and test rows; disjoint.

    Raises
    ------
    ValueError
        If no split gives every part every class.
    """
    rng = np.random.RandomState(cell.seed)
    if cell.noise == SHIFTED:
        return _shifted(cell, table, rng)
    n = len(table.y)
    test = draw(np.arange(n), table.y, round(TEST_SHARE * n), rng)
    rest = np.setdiff1d(np.arange(n), test)
    trusted = draw(rest, table.y[rest], _n_trusted(cell.trusted, len(rest)), rng)
    found = Positions(np.setdiff1d(rest, trusted), np.sort(trusted), np.sort(test))
    if not _complete(found, table.y):
        raise ValueError(f"{table.name}: a class has too few rows for a training, a trusted and a test row each.")
    return found


def split(cell: Cell, table: Table) -> Split:
    """Split the table, flip labels of the training rows, standardise.

    Parameters
    ----------
    cell : Cell
        What is measured.
    table : Table
        The rows.

    Returns
    -------
    split : Split
        What a method is given, the right labels, and the test rows.
    """
    train, trusted, test = positions(cell, table)
    X, y = table.X, table.y
    noisy = y[train]
    if cell.noise not in (CLEAN, SHIFTED):
        noisy = flip_labels(y[train], cell.rate, cell.noise, X=X[train], random_state=cell.seed)[0]
    scaler = StandardScaler().fit(X[np.r_[train, trusted]])
    return Split(
        scaler.transform(X[train]),
        noisy,
        y[train],
        scaler.transform(X[trusted]) if len(trusted) else np.empty((0, X.shape[1])),
        y[trusted],
        scaler.transform(X[test]),
        y[test],
        int(y.max()) + 1,
    )


def _n_trusted(share: float, n_rest: int) -> int:
    return max(MIN_TRUSTED, round(share * n_rest)) if share else 0


def _shifted(cell: Cell, table: Table, rng: np.random.RandomState) -> Positions:
    X = scale(table.X)
    for _ in range(DIRECTIONS):
        along = X @ rng.normal(size=X.shape[1])
        found = _from_halves(cell, table.y, along > np.median(along), rng)
        if _complete(found, table.y):
            return found
    raise ValueError(f"{table.name}: in {DIRECTIONS} random half-spaces some class is missing from some part.")


def _from_halves(cell: Cell, y: Codes, near: np.ndarray, rng: np.random.RandomState) -> Positions:
    """Test rows from the near half, then as many training rows as 85 % far ones and the trusted rows leave."""
    near_rows, far_rows = np.flatnonzero(near), np.flatnonzero(~near)
    test = draw(near_rows, y[near_rows], round(TEST_SHARE * len(y)), rng)
    left = np.setdiff1d(near_rows, test)
    per_training_row = cell.trusted / (1.0 - cell.trusted)
    n_train = int(min(len(far_rows) / FAR_SHARE, len(left) / (1.0 - FAR_SHARE + per_training_row)))
    n_trusted = max(MIN_TRUSTED, round(per_training_row * n_train)) if cell.trusted else 0
    n_train = int(min(n_train, (len(left) - n_trusted) / (1.0 - FAR_SHARE)))
    trusted = draw(left, y[left], n_trusted, rng)
    left = np.setdiff1d(left, trusted)
    n_far = round(FAR_SHARE * n_train)
    train = np.r_[draw(far_rows, y[far_rows], n_far, rng), draw(left, y[left], n_train - n_far, rng)]
    return Positions(np.sort(train), np.sort(trusted), np.sort(test))


def _complete(found: Positions, y: Codes) -> bool:
    """Whether the parts, but for trusted rows where there are none, have every class."""
    return all(len(np.unique(y[rows])) == y.max() + 1 for rows in found if len(rows) or rows is not found.trusted)
