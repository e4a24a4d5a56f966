"""Models of the labels as given, and what they say of rows that they have not seen."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from skrdia._rows import Split, grouped_splits, stack, take
from skrdia._train import fit_targets, is_net, predict_targets
from skrdia.views import regularised
from skrdia.views._base import Array

__all__ = [
    "N_FOLDS",
    "STRONGER",
    "WEAKER",
    "companions",
    "detectors",
    "folds",
    "group_folds",
    "interleaved_folds",
    "out_of_fold",
    "unpredictable",
]

STRONGER = (0.1, 0.01)
"""Factors on C of detectors that cannot learn wrong labels by heart."""


N_FOLDS = 5
"""Folds where nothing is verified, and of the models of the labels as given."""

WEAKER = 30.0
"""Factor on C of a detector of the trusted rows, which have no wrong labels to learn."""


def detectors(finder: Any) -> list[Any]:
    """The model that finds the rows, and clones of it with a stronger penalty where it has one."""
    return [finder, *filter(None, (regularised(finder, factor) for factor in STRONGER))]


def companions(finder: Any) -> list[Any]:
    """Linear models of what a net gets, of three strengths of regularisation: they cannot learn labels by heart."""
    if not is_net(finder):
        return []
    return [_with_last_step(finder, _linear(C)) for C in (1.0, *STRONGER)]


def _linear(C: float) -> Any:
    scaler = StandardScaler(with_mean=False)
    return make_pipeline(FunctionTransformer(_as_rows), scaler, LogisticRegression(C=C, max_iter=300))


def _with_last_step(estimator: Any, last: Any) -> Any:
    if not hasattr(estimator, "steps"):
        return last
    copied = clone(estimator)
    name, step = copied.steps[-1]
    copied.steps[-1] = (name, _with_last_step(step, last))
    return copied


def _as_rows(X: Any) -> Any:
    return X.reshape(len(X), -1) if getattr(X, "ndim", 2) > 2 else X


def out_of_fold(
    estimator: Any,
    X: Any,
    targets: Array,
    classes: NDArray[Any],
    X_val: Any,
    targets_val: Array | None,
    splits: list[Split],
    starts: list[Any],
    seed: int | None = None,
    groups: NDArray[np.intp] | None = None,
    groups_val: NDArray[np.intp] | None = None,
) -> tuple[Array, list[Any]]:
    """Probabilities (n, K) by fits on the other folds of X and all validation rows, and these fits.

    `starts` are fits to begin at, one for each split, or none. Rows that no split tests are nan. Validation rows of the
    group of a tested row do not train.
    """
    proba, fits = np.full(targets.shape, np.nan), []
    for i, (train, test) in enumerate(splits):
        rows, labels = take(X, train), targets[train]
        if X_val is not None and targets_val is not None:
            kept = np.arange(len(targets_val))
            if groups is not None and groups_val is not None:
                kept = np.flatnonzero(~np.isin(groups_val, groups[test]))
            rows = stack(rows, take(X_val, kept))
            labels = np.vstack([labels, targets_val[kept]])
        start = starts[i] if starts else None
        fits.append(fit_targets(estimator, rows, labels, classes, is_draft=True, start=start, seed=seed))
        proba[test] = predict_targets(fits[-1], take(X, test), classes)
    return proba, fits


def interleaved_folds(targets: Array, n_splits: int) -> NDArray[np.intp]:
    """The fold of every row, (n,): the rows of each class are dealt out in turn."""
    codes, fold = targets.argmax(axis=1), np.empty(len(targets), dtype=np.intp)
    for k in range(targets.shape[1]):
        members = np.flatnonzero(codes == k)
        fold[members] = (np.arange(len(members)) + k) % n_splits
    return fold


def folds(targets: Array, n_splits: int, groups: NDArray[np.intp] | None = None) -> list[Split]:
    """Training and test rows of every fold: interleaved, or of whole groups."""
    fold = group_folds(targets, groups, n_splits)
    return [(np.flatnonzero(fold != i), np.flatnonzero(fold == i)) for i in range(int(fold.max(initial=0)) + 1)]


def group_folds(targets: Array, groups: NDArray[np.intp] | None, n_splits: int) -> NDArray[np.intp]:
    """The fold of every row, (n,), such that no group is in two; there are fewer folds where there are fewer groups."""
    if groups is None:
        return interleaved_folds(targets, n_splits)
    fold = np.zeros(len(targets), dtype=np.intp)
    n_splits = min(n_splits, len(np.unique(groups)))
    if n_splits > 1:
        for i, (_, test) in enumerate(grouped_splits(targets.argmax(axis=1), groups, n_splits)):
            fold[test] = i
    return fold


def unpredictable(
    codes: NDArray[np.intp], targets: Array, splits: list[Split], elsewhere: Array | float = 0.0
) -> NDArray[np.bool_]:
    """Rows (n,) whose label no training row of their fold has, so that no model can tell whether it is right.

    `elsewhere` (K,) is the weight of each label among the rows that train in every fold.
    """
    found = np.zeros(len(targets), dtype=bool)
    for train, test in splits:
        known = targets[train].sum(axis=0) + elsewhere > 0.0
        found[test] = ~known[codes[test]]
    return found
