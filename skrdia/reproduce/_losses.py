"""Log loss per row, in nats: -log p of the right label, p no smaller than the spacing of floats at one."""

from __future__ import annotations

import numpy as np

from skrdia.reproduce._tables import Codes
from skrdia.views._base import Array

__all__ = ["mean_and_error", "row_losses"]


def row_losses(proba: Array, y: Codes) -> Array:
    """Log loss of every row (n,)."""
    losses: Array = -np.log(np.clip(proba[np.arange(len(y)), y], np.finfo(np.float64).eps, 1.0))
    return losses


def mean_and_error(values: Array) -> tuple[float, float]:
    """Mean and its standard error; of a difference of two methods row by row, the paired one."""
    return float(values.mean()), float(values.std(ddof=1) / np.sqrt(len(values)))
