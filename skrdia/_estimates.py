"""How many labels are wrong, which rows are marked, what is trained on: three questions, each with its own answer.

How many labels are wrong is estimated by the noise model, with an interval. What is trained on is its posterior of the
right label. Which rows are marked is a choice of a number: of the rows with the largest w_i = 1 - R_i,given, so many
that the expected F measure is largest,

    F(m) = 2 sum_{m largest} w_i / (m + sum_i w_i)

whose precision is expected to be the mean of w over the marked rows, and its recall their share of the sum of w. Rows
that are wrong with less than 15 % are not marked.

Verified rows are another witness. Of those of which it is known with which label they came (pairs) the share of wrong
ones is counted; without pairs it is the mean of 1 - R_i,given by the models that they have calibrated. Where the noise
model is outside of its 95 % interval, by Wilson's formula for as many rows as are verified, that takes its place: the
labels are wrong in ways that no model of the labels as given can see.

References: Wilson, "Probable inference, the law of succession, and statistical inference", JASA 22, 1927. Lipton,
Elkan, Naryanaswamy, "Optimal thresholding of classifiers to maximize F1 measure", ECML 2014.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from skrdia._noise_model import NoiseModel
from skrdia.views._base import Array

__all__ = ["Marks", "Noise", "describe", "mark", "of_marked", "witnessed"]

_TWO_SIDED = {0.95: 1.96, 0.9: 1.645}
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


def describe(model: NoiseModel, given: Array, marks: Marks) -> Noise:
    """What a model says of rows with these labels (n, K); nan in its posterior is not known."""
    wrong = np.nan_to_num(1.0 - (model.posterior * given).sum(axis=1))
    return Noise(model.channel, model.rate, model.interval, (given * wrong[:, None]).sum(axis=0), marks)


def witnessed(noise: Noise, posterior: Array, given: Array, targets_val: Array, given_val: Array | None) -> Noise:
    """The same where verified rows have a say.

    Parameters
    ----------
    noise : Noise
        By the noise model.
    posterior : array of shape (n, K)
        Of the right label, by models that the verified rows have calibrated; nan is not known.
    given : array of shape (n, K)
        One in the column of each row's label.
    targets_val, given_val : arrays of shape (n_val, K)
        The verified rows in the column of their right label, and of that which they came with, zeros where that is not
        known; or None.
    """
    known = np.zeros(len(targets_val), dtype=bool) if given_val is None else given_val.any(axis=1)
    known &= targets_val.any(axis=1)
    doubt = 1.0 - (posterior * given).sum(axis=1)
    if known.any() and given_val is not None:
        n = int(known.sum())
        rate = float(((targets_val > 0.0) & (given_val == 0.0)).any(axis=1)[known].mean())
    else:
        n, rate = int(targets_val.any(axis=1).sum()), float(np.nanmean(doubt))
    low, high = wilson(rate, n, _TWO_SIDED[0.95])
    if low <= noise.rate <= high:
        return noise
    counts = (given * np.nan_to_num(doubt)[:, None]).sum(axis=0)
    kept = np.nan_to_num(posterior)
    channel = kept.T @ given / np.maximum(kept.sum(axis=0)[:, None], np.finfo(float).tiny)
    return Noise(
        channel, rate, wilson(rate, n, _TWO_SIDED[0.9]), counts * rate * len(given) / counts.sum(), noise.marks
    )


def wilson(share: float, n: int, z: float) -> tuple[float, float]:
    """An interval for a share that was counted in n rows."""
    centre, spread = share + z * z / (2 * n), z * np.sqrt(share * (1.0 - share) / n + (z / (2 * n)) ** 2)
    return float((centre - spread) / (1.0 + z * z / n)), float((centre + spread) / (1.0 + z * z / n))


def mark(wrong: Array) -> Marks:
    """The rows to mark, for the probability (n,) that the label of each is wrong; nan is unknown."""
    known = np.nan_to_num(wrong)
    largest, total = np.sort(known)[::-1], known.sum()
    hits = np.cumsum(largest)
    measure = 2.0 * hits / np.maximum(np.arange(1, len(known) + 1) + total, np.finfo(float).tiny)
    threshold = max(_LEAST, float(largest[int(measure.argmax())]))
    rows = known >= threshold
    return of_marked(rows, wrong)


def of_marked(rows: NDArray[np.bool_], wrong: Array) -> Marks:
    """What to expect of rows (n,) that are marked, for the probability (n,) that the label of each is wrong."""
    known = np.nan_to_num(wrong)
    if not rows.any():
        return Marks(rows, np.inf, np.nan, np.nan)
    share = known[rows].sum() / max(known.sum(), np.finfo(float).tiny)
    return Marks(rows, float(known[rows].min()), float(known[rows].mean()), float(share))
