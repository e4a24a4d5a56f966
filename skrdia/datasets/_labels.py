"""Labels as codes."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["encode_labels"]


def encode_labels(labels: NDArray[Any]) -> tuple[NDArray[Any], NDArray[np.intp]]:
    """Return the sorted classes and the position of every label (n,) among them."""
    try:
        classes, codes = np.unique(labels, return_inverse=True)
        missing = any(label != label for label in classes.tolist())
    except TypeError as error:
        kinds = sorted({type(label).__name__ for label in labels.tolist()})
        raise ValueError(
            f"y has labels that cannot be sorted, of the types {kinds}. Drop the rows without a label, and give all "
            "labels the same type."
        ) from error
    if missing:
        raise ValueError("y has missing labels (nan). Drop these rows of y, and of X.")
    return classes, codes
