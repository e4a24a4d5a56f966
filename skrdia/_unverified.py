"""Nothing verified: three decisions, of which each has its own answer.

How many labels are wrong is estimated by the noise model, with an interval. What is trained on is its posterior of the
right label. Which rows are marked is a choice of a number: of the rows with the largest w_i = 1 - R_i,given, so many
that the expected F measure is largest,

    F(m) = 2 sum_{m largest} w_i / (m + sum_i w_i)

whose precision is expected to be the mean of w over the marked rows, and its recall their share of the sum of w. Rows
that are wrong with less than 15 % are not marked.

Reference: Lipton, Elkan, Naryanaswamy, "Optimal thresholding of classifiers to maximize F1 measure", ECML 2014.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from skrdia._noise_model import NoiseModel
from skrdia.views._base import Array

__all__ = ["Marks", "Noise", "describe", "mark"]

_LEAST = 0.15
"""Probability of being wrong below which no row is marked."""


@dataclass(frozen=True)
class Marks:
    """Which rows are marked (n,), from which probability of being wrong on, and what to expect of them."""

    rows: NDArray[np.bool_]
    least: float
    precision: float
    recall: float


@dataclass(frozen=True)
class Noise:
    """What is said of the labels: how many are wrong, and in which way.

    Parameters
    ----------
    channel : array of shape (K, K)
        The probability that a row of one class (rows) is given each label (columns).
    rate : float
        Share of wrong labels.
    interval : tuple of float
        Its 90 % interval.
    counts : array of shape (K,)
        Expected number of wrong labels among the rows given each label.
    marks : Marks
        The rows that are marked.
    """

    channel: Array
    rate: float
    interval: tuple[float, float]
    counts: Array
    marks: Marks

    @property
    def condition(self) -> str:
        """In words."""
        low, high = self.interval
        return (
            f"estimated: {self.rate:.1%} of the labels are wrong (90 % interval {low:.1%} to {high:.1%}); "
            f"{np.count_nonzero(self.marks.rows)} rows marked"
        )


def describe(model: NoiseModel, given: Array, known: NDArray[np.bool_], marks: Marks) -> Noise:
    """What a model says of rows with these labels (n, K), of which some (n,) are known to it."""
    wrong = 1.0 - (model.posterior * given).sum(axis=1)
    counts = (given * np.where(known, wrong, 0.0)[:, None]).sum(axis=0)
    return Noise(model.channel, model.rate, model.interval, counts, marks)


def mark(wrong: Array) -> Marks:
    """The rows to mark, for the probability (n,) that the label of each is wrong; nan is unknown."""
    known = np.nan_to_num(wrong)
    largest, total = np.sort(known)[::-1], known.sum()
    hits = np.cumsum(largest)
    measure = 2.0 * hits / np.maximum(np.arange(1, len(known) + 1) + total, np.finfo(float).tiny)
    threshold = max(_LEAST, float(largest[int(measure.argmax())]))
    rows = known >= threshold
    if not rows.any():
        return Marks(rows, np.inf, np.nan, np.nan)
    return Marks(rows, float(known[rows].min()), float(known[rows].mean()), float(known[rows].sum() / total))
