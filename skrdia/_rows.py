"""Data in: which rows are trained on, and which ones judge."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import sparse
from sklearn.model_selection import StratifiedShuffleSplit, check_cv
from sklearn.utils.validation import check_consistent_length

from skrdia._sklearn import _safe_indexing
from skrdia._validation import check_labels, check_sample_weight, encode, one_hot
from skrdia.blocks import RowBlocks
from skrdia.views._base import Array

__all__ = [
    "Fold",
    "Rows",
    "Split",
    "check_judges",
    "check_pair",
    "check_trusted",
    "hold_out",
    "split_rows",
    "stack",
    "take",
]

Split = tuple[NDArray[np.intp], NDArray[np.intp]]
"""Positions of the rows to train on, and of those to test."""


@dataclass(frozen=True)
class Fold:
    """Rows to train on, and the validation rows they are judged by, if any."""

    train: NDArray[np.intp]
    X_val: Any
    targets_val: Array | None


@dataclass(frozen=True)
class Rows:
    """The caller's rows, sorted into those that train and those that judge.

    `given` (n, K) has a one in the column of each row's label, `weight` (n,) the sample weights. `folds` has one entry,
    or one for each split of `cv`, which `splits` then holds. `outside` holds validation rows that are not rows of X,
    with their targets.
    """

    X: Any
    y: NDArray[Any]
    classes: NDArray[Any]
    given: Array
    weight: Array
    folds: list[Fold]
    validation_mask: NDArray[np.bool_]
    outside: tuple[Any, Array] | None = None
    splits: list[Split] = field(default_factory=list)

    def without_judges(self) -> Rows:
        """The same with a single fold of all rows: they are scored out of fold, and nothing is held back to judge."""
        return replace(self, folds=[Fold(np.arange(len(self.y)), None, None)])


def split_rows(
    X: Any,
    y: ArrayLike,
    sample_weight: ArrayLike | None = None,
    *,
    X_val: Any = None,
    y_val: ArrayLike | None = None,
    trusted: ArrayLike | None = None,
    cv: Any = None,
    validation_fraction: float = 0.3,
    random_state: Any = None,
) -> Rows:
    """Check the data of `RDIAClassifier.fit`; validation rows are X_val, trusted or both, folds of cv, or held out."""
    _check_sources(X_val, y_val, trusted, cv, together=True)
    X, y = as_indexable(X), check_labels(y)
    check_consistent_length(X, y)
    weight = check_sample_weight(sample_weight, len(y))
    mask = np.zeros(len(y), dtype=bool)
    if trusted is not None:
        mask = check_trusted(trusted, len(y), needed=X_val is None)
    elif X_val is None and cv is None:
        mask = hold_out(y, weight, validation_fraction, random_state)
    classes = _check_classes(y[~mask], weight[~mask])
    given = one_hot(encode(y, classes, "y"), len(classes))
    targets = given * weight[:, None]
    outside, splits = None, list[Split]()
    if cv is not None:
        splits = _splits(X, y, classes, targets, cv)
        folds = [Fold(train, take(X, test), targets[test]) for train, test in splits]
    elif X_val is not None:
        outside = judges = _read_outside(X_val, y_val, classes)
        if mask.any():
            judges = stack(take(X, mask), outside[0]), np.vstack([targets[mask], outside[1]])
        folds = [Fold(np.flatnonzero(~mask), *judges)]
        check_judges(judges[1], classes, "y_val" if trusted is None else "trusted and y_val")
    else:
        folds = [Fold(np.flatnonzero(~mask), take(X, mask), targets[mask])]
        check_judges(targets[mask], classes, "validation_fraction" if trusted is None else "trusted")
    return Rows(X, y, classes, given, weight, folds, mask, outside, splits)


def _read_outside(X_val: Any, y_val: Any, classes: NDArray[Any]) -> tuple[Any, Array]:
    """Validation rows that are not rows of X, and their targets."""
    X_val = as_indexable(X_val)
    if X_val.shape[0] == 0:
        raise ValueError("X_val, y_val: there are no validation rows. Pass some, or neither of the two.")
    y_val = check_labels(y_val, "y_val")
    check_consistent_length(X_val, y_val)
    return X_val, one_hot(encode(y_val, classes, "y_val"), len(classes))


def as_indexable(X: Any) -> Any:
    """X itself, but a list as an array, and any sparse format as CSR."""
    if hasattr(X, "tocsr"):
        return X.tocsr()
    return X if hasattr(X, "shape") else np.asarray(X)


def take(X: Any, rows: NDArray[Any]) -> Any:
    """Some rows of an array, sparse matrix, data frame or blocks, by position or mask; X itself when it is all."""
    positions = np.flatnonzero(rows) if rows.dtype == bool else rows
    if np.array_equal(positions, np.arange(X.shape[0])):
        return X
    if isinstance(X, RowBlocks):
        return X.take(positions)
    return _safe_indexing(X, positions)


def stack(A: Any, B: Any) -> Any:
    """The rows of A above those of B: arrays, sparse matrices, data frames or blocks."""
    if isinstance(A, RowBlocks) or isinstance(B, RowBlocks):
        return A.above(B) if isinstance(A, RowBlocks) else RowBlocks([A]).above(B)
    if sparse.issparse(A) or sparse.issparse(B):
        return sparse.vstack([A, B], format="csr")
    if hasattr(A, "columns") and hasattr(B, "columns"):
        import narwhals as nw

        return nw.concat([nw.from_native(A), nw.from_native(B)]).to_native()
    return np.vstack([np.asarray(A), np.asarray(B)])


def _check_sources(X_val: Any, y_val: Any, trusted: Any, cv: Any, *, together: bool = False) -> None:
    """`together`: whether X_val and trusted may both be given."""
    check_pair(X_val, y_val)
    sources = {"X_val, y_val": X_val, "trusted": trusted, "cv": cv}
    given = [name for name, value in sources.items() if value is not None]
    if len(given) > 1 and not (together and cv is None):
        raise ValueError(f"The validation rows are given twice, by {' and '.join(given)}; give one of them.")


def check_pair(X_val: Any, y_val: Any) -> None:
    """Raise unless both are given, or neither."""
    if (X_val is None) != (y_val is None):
        alone, missing = ("y_val", "X_val") if X_val is None else ("X_val", "y_val")
        raise ValueError(f"{alone} was given without {missing}; pass both, or neither.")


def check_trusted(trusted: ArrayLike, n_samples: int, *, needed: bool = True) -> NDArray[np.bool_]:
    """The mask; `needed`: whether there are no other validation rows, so that some row must be trusted."""
    mask = np.asarray(trusted)
    if mask.dtype != bool:
        raise ValueError(
            f"trusted has dtype {mask.dtype}, expected bool: one True or False per row of X. For row positions use "
            "np.isin(np.arange(len(X)), positions)."
        )
    if mask.shape != (n_samples,):
        raise ValueError(f"trusted has shape {mask.shape}, expected ({n_samples},): one True or False per row of X.")
    if mask.all():
        raise ValueError(
            "trusted is True for every row, so there is no label to repair; fit the base estimator itself."
        )
    if needed and not mask.any():
        raise ValueError(
            "trusted is False for every row. Mark the rows with verified labels, or leave trusted out to have "
            "validation_fraction of the rows held out."
        )
    return mask


def hold_out(y: NDArray[Any], weight: Array, fraction: float, random_state: Any) -> NDArray[np.bool_]:
    """A stratified share of the rows with positive weight."""
    candidates = np.flatnonzero(weight > 0.0)
    classes, counts = np.unique(y[candidates], return_counts=True)
    mask = np.zeros(len(y), dtype=bool)
    if len(classes) < 2:  # reported with the other errors about classes
        return mask
    if counts.min() < 2:
        raise ValueError(
            f"y has a single row of class {classes[counts.argmin()]!r}, so it cannot be in both the training and the "
            "validation rows. Add rows of that class, or pass X_val and y_val, or trusted."
        )
    n_val = min(max(round(fraction * len(candidates)), len(classes)), len(candidates) - len(classes))
    splitter = StratifiedShuffleSplit(1, test_size=n_val, random_state=random_state)
    _, held_out = next(splitter.split(candidates, y[candidates]))
    mask[candidates[held_out]] = True
    return mask


def _check_classes(y: NDArray[Any], weight: Array) -> NDArray[Any]:
    classes = np.unique(y[weight > 0.0])
    if len(classes) < 2:
        raise ValueError(
            f"y has {len(classes)} class among the training rows with positive weight ({classes.tolist()}); "
            "classification needs at least two classes."
        )
    return classes


def check_judges(targets_val: Array, classes: NDArray[Any], source: str) -> None:
    """Raise unless every class has weight among the validation rows, which come from `source`."""
    missing = classes[targets_val.sum(axis=0) == 0.0]
    if len(missing):
        raise ValueError(
            f"{source}: the validation rows have no row with positive weight of class {missing[:10].tolist()}. Judged "
            "by them, every training row of that class would look harmful. Add such rows, or hold out more rows."
        )


def _splits(X: Any, y: NDArray[Any], classes: NDArray[Any], targets: Array, cv: Any) -> list[Split]:
    splits = []
    for i, (train, test) in enumerate(check_cv(cv, y, classifier=True).split(X, y)):
        train, test = (np.flatnonzero(rows) if np.asarray(rows).dtype == bool else rows for rows in (train, test))
        missing = classes[targets[train].sum(axis=0) == 0.0]
        if len(missing):
            raise ValueError(
                f"cv: the training rows of fold {i} have no row with positive weight of class {missing[:10].tolist()}. "
                "Use fewer folds or a stratified splitter."
            )
        check_judges(targets[test], classes, f"cv, fold {i}")
        splits.append((train, test))
    return splits
