"""Wrong labels on purpose."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.utils import check_random_state, column_or_1d

__all__ = ["flip_labels"]


def flip_labels(y: ArrayLike, rate: float, *, random_state: Any = None) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    """Give a random share of the rows another label, each other label with the same probability.

    Parameters
    ----------
    y : array-like of shape (n_samples,)
        Labels, of at least two classes.
    rate : float
        Share of the rows to flip, from 0 to 1; exactly ``round(rate * n_samples)`` rows are flipped.
    random_state : int, RandomState instance or None, default=None
        Draws the rows and their new labels.

    Returns
    -------
    noisy_y : ndarray of shape (n_samples,)
        The labels with the flips.
    flipped : ndarray of shape (n_samples,)
        True for the rows that were flipped.

    Raises
    ------
    ValueError
        If `rate` is not between 0 and 1 or y has a single class.

    Examples
    --------
    >>> from skrdia.datasets import flip_labels
    >>> noisy_y, flipped = flip_labels(["a", "b"] * 50, rate=0.2, random_state=0)
    >>> int(flipped.sum())
    20
    """
    if not 0.0 <= rate <= 1.0:
        raise ValueError(f"rate={rate} must be between 0 and 1.")
    rng = check_random_state(random_state)
    classes, codes = np.unique(column_or_1d(y), return_inverse=True)
    if len(classes) < 2:
        raise ValueError(f"y has a single class, {classes.tolist()}; there is no other label to flip to.")
    rows = rng.permutation(len(codes))[: round(rate * len(codes))]
    codes[rows] = (codes[rows] + rng.randint(1, len(classes), size=len(rows))) % len(classes)
    flipped = np.zeros(len(codes), dtype=bool)
    flipped[rows] = True
    return classes[codes], flipped
