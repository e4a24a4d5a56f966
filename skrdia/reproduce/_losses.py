"""Log loss per row, in nats: -log p of the right label, p no smaller than the spacing of floats at one."""

from __future__ import annotations

from typing import Any

import numpy as np

from skrdia.reproduce._tables import Codes
from skrdia.views._base import Array

__all__ = ["mean_and_error", "probabilities", "row_losses"]


def probabilities(model: Any, X: Any, n_classes: int) -> Array:
    """Probabilities (n, n_classes) of a model trained on class codes; zero for a class that it has not seen."""
    proba = np.zeros((len(X), n_classes))
    proba[:, np.asarray(model.classes_, dtype=np.intp)] = model.predict_proba(X)
    return proba


def row_losses(proba: Array, y: Codes) -> Array:
    """Log loss of every row (n,)."""
    losses: Array = -np.log(np.clip(proba[np.arange(len(y)), y], np.finfo(np.float64).eps, 1.0))
    return losses


def mean_and_error(values: Array) -> tuple[float, float]:
    """Mean and its standard error; of a difference of two methods row by row, the paired one."""
    return float(values.mean()), float(values.std(ddof=1) / np.sqrt(len(values)))
