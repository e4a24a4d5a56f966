"""Means and counts of weighted rows."""

from __future__ import annotations

import numpy as np

from skrdia.views._base import Array

__all__ = ["mean_and_error", "row_counts"]


def row_counts(weight: Array) -> Array:
    """Row weights (n,) that sum to the number of rows of positive weight."""
    return np.asarray(weight * np.count_nonzero(weight) / weight.sum())


def mean_and_error(values: Array, weight: Array) -> tuple[float, float]:
    """Weighted mean of (n,) values and its standard error, by Cochran's formula."""
    share, n = weight / weight.sum(), int(np.count_nonzero(weight))
    mean = float(share @ values)
    return mean, float(np.sqrt(n / max(1, n - 1) * (share**2 @ (values - mean) ** 2)))
