"""Checks of labels and weights. Each error names the argument, what was wrong, and what to do."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import sparse
from sklearn.utils import check_array, column_or_1d
from sklearn.utils.multiclass import check_classification_targets

__all__ = ["check_labels", "check_sample_weight", "encode", "is_missing", "is_sparse", "one_hot"]


def is_sparse(X: Any) -> bool:
    """Whether X is a sparse matrix or array of scipy."""
    return bool(sparse.issparse(X))


def is_missing(values: NDArray[Any]) -> NDArray[np.bool_]:
    """Which of some objects (n,) stand for no value: None, nan, and those of pandas."""

    def missing(value: Any) -> bool:
        if value is None or type(value).__name__ in ("NAType", "NaTType"):
            return True
        return isinstance(value, float | np.floating) and bool(np.isnan(value))

    return np.fromiter(map(missing, values), dtype=bool, count=len(values))


def check_labels(y: Any, name: str = "y") -> NDArray[Any]:
    """Return y as a vector of class labels, in the caller's dtype."""
    if y is None:
        raise ValueError(f"{name}: requires y to be passed, but the target y is None")
    try:
        return _check_labels(y, name)
    except (TypeError, ValueError) as error:
        if re.search(rf"\b{name}\b", str(error)):
            raise
        raise type(error)(f"{name}: {error}") from error


def _check_labels(y: Any, name: str) -> NDArray[Any]:
    if isinstance(y, list | tuple) and any(isinstance(value, str) for value in y):
        y = np.array([*y, None], dtype=object)[:-1]  # which numpy would make strings of
        values = _check_objects(y, name)
        y = np.array(values.tolist()) if values.ndim == 1 else values
    elif not is_sparse(y):
        values = np.asarray(y)
        y = _check_objects(values, name) if values.dtype == object else values
    labels: NDArray[Any] = column_or_1d(check_array(y, ensure_2d=False, dtype=None, input_name=name), warn=True)
    check_classification_targets(labels)
    return labels


def _check_objects(values: NDArray[Any], name: str) -> NDArray[Any]:
    """Labels that came as objects; of one kind, and none missing."""
    flat = values.ravel()
    missing = np.flatnonzero(is_missing(flat))
    if len(missing):
        raise ValueError(
            f"{name} has {len(missing)} missing labels ({flat[missing[0]]!r}), first in row {missing[0]}. Leave such "
            "rows out, or give them a label."
        )
    texts = [isinstance(value, str) for value in flat.tolist()]
    if any(texts) and not all(texts):
        one, other = flat.tolist()[texts.index(True)], flat.tolist()[texts.index(False)]
        raise ValueError(
            f"{name} mixes kinds of labels, such as {one!r} and {other!r}. Write all of them as text, or all as "
            "numbers."
        )
    return values if any(texts) or not len(flat) else np.array(values.tolist())


def check_sample_weight(sample_weight: ArrayLike | None, n_samples: int) -> NDArray[np.float64]:
    """Return the weights as a new float vector; ones when None, and of a number that number for each row."""
    if sample_weight is None:
        return np.ones(n_samples)
    values = np.empty(n_samples) if is_sparse(sample_weight) else np.asarray(sample_weight)
    if values.dtype.kind in "USM":
        raise ValueError("sample_weight holds text or times; expected one number per row of X.")
    if values.ndim == 0:
        sample_weight = np.full(n_samples, values)
    weight = check_array(
        sample_weight, ensure_2d=False, dtype=np.float64, copy=True, accept_sparse=False, input_name="sample_weight"
    )
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
