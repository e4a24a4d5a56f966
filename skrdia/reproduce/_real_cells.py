"""One measurement of repair with few verified rows or none: a set, its columns, label noise, C, a seed, a share.

The sets are texts whose labels really came wrong (noise "real"; "clean" takes the right labels instead), or tables of
at most 2,000 rows with noise made by `flip_labels`, whose split and noise are those of `skrdia.reproduce._cells`.
Of each class, by the right labels, a share of the training rows is verified, two at least: these have the right label,
and the one that they came with is known too.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from skrdia.reproduce._cells import CLEAN, NO_TRUSTED_NOISES, Cell, parse_noise, split
from skrdia.reproduce._names import TEXT_SETS
from skrdia.reproduce._real_sets import load_texts
from skrdia.reproduce._results import Schema
from skrdia.reproduce._tables import Codes, load_table

__all__ = ["REAL", "RESULTS", "TABLE_VIEW", "NoisyRows", "RealCell", "cells", "load", "parse_real_noise"]

REAL, TABLE_VIEW = "real", "table"
TABLE_NOISES = ((CLEAN, 0.0), ("symmetric", 0.1), ("symmetric", 0.3), ("one-sided", 0.3))
TEXT_SHARES, TABLE_SHARES = (0.0, 0.05, 0.15), (0.0, 0.05)
TABLE_ROWS = 2000
MIN_VERIFIED = 2  # of each class

Noise = tuple[str, float]


@dataclass(frozen=True)
class RealCell:
    """What is measured, but for the method; `flipped` is the rate of made noise, `verified` 0 means that no row is."""

    source: str
    view: str
    noise: str
    flipped: float
    C: float
    seed: int
    verified: float
    base: str = "logistic"


# marked, precision, recall, f1: of the rows that the method takes for wrong, among those that are not verified. rate,
# rate_low, rate_high: its estimate of the share of wrong labels among these, with an interval; true_rate: that share.
# base_fits: the seconds over those of one fit of the base estimator on the labels as they came.
RESULTS = Schema(
    RealCell,
    counts=("n", "K", "n_verified", "n_test"),
    numbers=(
        *("loss", "loss_se", "diff_se", "accuracy", "marked", "precision", "recall", "f1"),
        *("rate", "rate_low", "rate_high", "true_rate", "seconds", "base_fits"),
    ),
)


class NoisyRows(NamedTuple):
    """Training rows, codes of their labels as they came and as they should be, which are verified; test rows."""

    X: Any
    given: Codes
    right: Codes
    verified: NDArray[np.bool_]
    X_test: Any
    y_test: Codes
    n_classes: int

    @property
    def y(self) -> Codes:
        """What a method is told: the right labels of the verified rows, the others as they came."""
        return np.where(self.verified, self.right, self.given)


def cells(
    sources: Sequence[str],
    views: Sequence[str],
    noises: Sequence[Noise],
    Cs: Sequence[float],
    seeds: Iterable[int],
    shares: Sequence[float],
    base: str = "logistic",
) -> Iterator[RealCell]:
    """Every combination that makes sense; all of one seed before the next. No noises and shares: the default ones.

    Views are of texts; boosted trees take no sparse columns. Texts come with real noise, or clean; tables with others.
    """
    for seed, source in product(seeds, sources):
        is_text = source in TEXT_SETS
        own_views = [view for view in views if view != "tfidf" or base != "hgb"] if is_text else [TABLE_VIEW]
        own_shares = shares or (TEXT_SHARES if is_text else TABLE_SHARES)
        known = noises or ([(REAL, 0.0)] if is_text else TABLE_NOISES)
        own_noises = [noise for noise in known if (noise[0] in (REAL, CLEAN) if is_text else noise[0] != REAL)]
        for share, C, view, (noise, flipped) in product(own_shares, Cs, own_views, own_noises):
            yield RealCell(source, view, noise, flipped, C, seed, share, base)


def parse_real_noise(text: str) -> list[Noise]:
    """Return the kinds and rates of "real", "clean", "symmetric", with all its default rates, or "symmetric=0.3"."""
    if text == REAL:
        return [(REAL, 0.0)]
    found = parse_noise(text, NO_TRUSTED_NOISES)
    if not found:
        raise ValueError(f"noise {text!r} is not measured here without a rate; use real, clean, or {text}=0.2.")
    return found


def load(cell: RealCell) -> NoisyRows:
    """Fetch the rows of a cell, and draw those that are verified.

    Parameters
    ----------
    cell : RealCell
        What is measured.

    Returns
    -------
    rows : NoisyRows
        What a method is given, the right labels, and the test rows.

    Raises
    ------
    ValueError
        If the data cannot be had; the message says what to do.
    """
    if cell.source in TEXT_SETS:
        X, given, right, X_test, y_test = load_texts(cell.source, cell.view, cell.seed)
        given = right if cell.noise == CLEAN else given
    else:
        whole = Cell(cell.source, cell.noise, cell.flipped, cell.C, cell.seed, 0.0, max_rows=TABLE_ROWS)
        data = split(whole, load_table(cell.source, TABLE_ROWS))
        X, given, right, X_test, y_test = data.X, data.y, data.y_true, data.X_test, data.y_test
    n_classes = int(max(labels.max() for labels in (given, right, y_test))) + 1
    return NoisyRows(X, given, right, _verified(right, cell.verified, cell.seed), X_test, y_test, n_classes)


def _verified(right: Codes, share: float, seed: int) -> NDArray[np.bool_]:
    rng, mask = np.random.default_rng(seed), np.zeros(len(right), dtype=bool)
    for code in range(int(right.max()) + 1) if share else ():
        rows = np.flatnonzero(right == code)
        mask[rng.permutation(rows)[: max(MIN_VERIFIED, round(share * len(rows)))]] = True
    return mask
