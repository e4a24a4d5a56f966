"""Checks of labels and weights. Each error names the argument, what was wrong, and what to do."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import sparse
from sklearn.utils import check_array, column_or_1d
from sklearn.utils.multiclass import check_classification_targets

__all__ = ["check_labels", "check_sample_weight", "encode", "is_sparse", "one_hot"]


def is_sparse(X: Any) -> bool:
    """Whether X is a sparse matrix or array of scipy."""
    return bool(sparse.issparse(X))


def check_labels(y: Any, name: str = "y") -> NDArray[Any]:
    """Return y as a vector of class labels, in the caller's dtype."""
    if y is None:
        raise ValueError(f"{name}: requires y to be passed, but the target y is None")
    labels: NDArray[Any] = column_or_1d(check_array(y, ensure_2d=False, dtype=None, input_name=name), warn=True)
    check_classification_targets(labels)
    return labels


def check_sample_weight(sample_weight: ArrayLike | None, n_samples: int) -> NDArray[np.float64]:
    """Return the weights as a new float vector; ones when None."""
    if sample_weight is None:
        return np.ones(n_samples)
    weight = check_array(
        sample_weight, ensure_2d=False, dtype=np.float64, copy=True, accept_sparse=False, input_name="sample_weight"
    )
    if weight.ndim == 0:
        return np.full(n_samples, float(weight))
    if weight.shape != (n_samples,):
        raise ValueError(f"sample_weight has shape {weight.shape}, expected ({n_samples},): one weight per row of X.")
    if weight.min() < 0.0:
        raise ValueError(f"sample_weight has a negative value ({weight.min():g}); weights must be zero or positive.")
    if weight.max() == 0.0:
        raise ValueError("sample_weight is zero for every row; at least one row of each class needs a positive weight.")
    return weight


def encode(y: NDArray[Any], classes: NDArray[Any], name: str) -> NDArray[np.intp]:
    """Return the position of every label in the sorted `classes`."""
    unseen = np.setdiff1d(y, classes)
    if len(unseen):
        raise ValueError(
            f"{name} has labels that no training row of positive weight has: {unseen[:10].tolist()}. The training "
            f"labels are {classes[:10].tolist()}{' ...' if len(classes) > 10 else ''}. Drop these rows, or add "
            "training rows of these classes (in a search, use a stratified splitter)."
        )
    return np.searchsorted(classes, y)


def one_hot(codes: NDArray[np.intp], n_classes: int, weight: NDArray[np.float64] | float = 1.0) -> NDArray[np.float64]:
    """Return the targets (n, K) with `weight` in the column of each row's label."""
    targets = np.zeros((len(codes), n_classes))
    targets[np.arange(len(codes)), codes] = weight
    return targets
