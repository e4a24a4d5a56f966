"""Data in: which rows are trained on, and which ones judge."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from numbers import Integral
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import sparse
from sklearn.model_selection import GroupKFold, StratifiedGroupKFold, StratifiedKFold, StratifiedShuffleSplit, check_cv
from sklearn.utils.validation import check_consistent_length

from skrdia._frames import alike, concat, is_frame
from skrdia._pairs import check_given
from skrdia._sklearn import _safe_indexing
from skrdia._validation import check_labels, check_sample_weight, encode, is_missing, one_hot
from skrdia.blocks import RowBlocks
from skrdia.views._base import Array
from skrdia.views._heads import Renditions

__all__ = [
    "Fold",
    "Rows",
    "Split",
    "as_indexable",
    "check_groups",
    "check_judged",
    "check_outside",
    "check_pair",
    "check_trusted",
    "grouped_splits",
    "hold_out",
    "joined",
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
    with their targets. `groups` (n,) numbers the groups of rows that belong together, where there are any. `came` (n,)
    has the class that each trusted row came with, -1 where that is not known, or is None. `is_verified`: whether the
    caller says that the labels of the validation rows are right.
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
    groups: NDArray[np.intp] | None = None
    came: NDArray[np.intp] | None = None
    is_verified: bool = False

    def weighed(self, factors: Array) -> Rows:
        """The same with factors (n_val,) on the weights of the validation rows of the only fold."""
        weight, n_inside = self.weight.copy(), int(self.validation_mask.sum())
        weight[self.validation_mask] *= factors[:n_inside]
        outside = None if self.outside is None else (self.outside[0], self.outside[1] * factors[n_inside:, None])
        folds = [replace(fold, targets_val=fold.targets_val * factors[:, None]) for fold in self.folds]  # type: ignore[operator]
        return replace(self, weight=weight, outside=outside, folds=folds)

    def without_judges(self) -> Rows:
        """The same with a single fold of all rows: they are scored out of fold, and nothing is held back to judge."""
        return replace(self, folds=[Fold(np.arange(len(self.y)), None, None)])

    def seen_as(self, X: Any, X_outside: Any) -> Rows:
        """The same with other columns, such as those that transformers make."""
        outside = None if self.outside is None else (X_outside, self.outside[1])
        targets = self.given * self.weight[:, None]
        return replace(self, X=X, outside=outside, folds=_folds(X, targets, self.validation_mask, outside, self.splits))

    @property
    def groups_val(self) -> NDArray[np.intp] | None:
        """The groups of the validation rows of the only fold, (n_val,); each row of `outside` is one of its own."""
        if self.groups is None:
            return None
        n_outside = 0 if self.outside is None else len(self.outside[1])
        return np.concatenate([self.groups[self.validation_mask], self.groups.max() + 1 + np.arange(n_outside)])

    @property
    def given_val(self) -> Array | None:
        """One in the column of the label that each validation row of the only fold came with, (n_val, K).

        A row of which that is not known, as of those of `outside`, is zero; None where it is known of none.
        """
        if self.came is None:
            return None
        inside = self.came[self.validation_mask]
        n_outside = 0 if self.outside is None else len(self.outside[1])
        given = np.zeros((len(inside) + n_outside, len(self.classes)))
        known = np.flatnonzero(inside >= 0)
        given[known, inside[known]] = 1.0
        return given


def split_rows(
    X: Any,
    y: ArrayLike,
    sample_weight: ArrayLike | None = None,
    *,
    X_val: Any = None,
    y_val: ArrayLike | None = None,
    trusted: ArrayLike | None = None,
    groups: ArrayLike | None = None,
    y_given: ArrayLike | None = None,
    cv: Any = None,
    validation_fraction: float | None = None,
    random_state: Any = None,
    fold_seed: int | None = None,
) -> Rows:
    """Check the data of `RDIAClassifier.fit`; validation rows are X_val, trusted or both, folds of cv, or held out.

    `fold_seed`: for a number of folds of shuffled rows; None: of rows in their order, as scikit-learn's are.
    """
    _check_sources(X_val, y_val, trusted, cv, together=True)
    X, y = as_indexable(X), check_labels(y)
    check_consistent_length(X, y)
    weight, numbers = check_sample_weight(sample_weight, len(y)), check_groups(groups, len(y))
    mask, labels = np.zeros(len(y), dtype=bool), y[weight > 0.0]
    if X_val is not None:
        X, X_val, y_val = check_outside(X, X_val, y_val)
        labels = joined(labels, y_val)
    if trusted is not None:
        mask = check_trusted(trusted, len(y), needed=X_val is None)
    elif X_val is None and cv is None:
        assert validation_fraction is not None
        mask = hold_out(y, weight, validation_fraction, random_state, numbers)
    classes = _check_classes(labels, y[(weight > 0.0) & ~mask])
    given = one_hot(encode(y, classes, "y"), len(classes))
    came = check_given(y_given, y, None if trusted is None else mask, classes)
    targets = given * weight[:, None]
    outside = None
    if X_val is not None:
        outside = X_val, one_hot(encode(check_labels(y_val, "y_val"), classes, "y_val"), len(classes))
    splits = [] if cv is None else _splits(X, y, cv, groups, fold_seed)
    folds = _folds(X, targets, mask, outside, splits)
    if cv is None:
        sources = [name for name, value in (("trusted", trusted), ("y_val", y_val)) if value is not None]
        of_judges = folds[0].targets_val
        assert of_judges is not None
        check_judged(of_judges.sum(axis=0), classes, " and ".join(sources) or "validation_fraction")
    is_verified = trusted is not None or X_val is not None
    return Rows(X, y, classes, given, weight, folds, mask, outside, splits, numbers, came, is_verified)


def _folds(
    X: Any, targets: Array, mask: NDArray[np.bool_], outside: tuple[Any, Array] | None, splits: list[Split]
) -> list[Fold]:
    if splits:
        return [Fold(train, take(X, test), targets[test]) for train, test in splits]
    judges = outside if outside is not None else (take(X, mask), targets[mask])
    if outside is not None and mask.any():
        judges = stack(take(X, mask), outside[0]), np.vstack([targets[mask], outside[1]])
    return [Fold(np.flatnonzero(~mask), *judges)]


def check_outside(X: Any, X_val: Any, y_val: Any) -> tuple[Any, Any, NDArray[Any]]:
    """X, and validation rows that are not rows of it, with columns alike; and the labels of these."""
    X_val = as_indexable(X_val)
    if X_val.shape[0] == 0:
        raise ValueError("X_val, y_val: there are no validation rows. Pass some, or neither of the two.")
    y_val = check_labels(y_val, "y_val")
    check_consistent_length(X_val, y_val)
    return *alike(X, X_val), y_val


def joined(labels: NDArray[Any], y_val: NDArray[Any]) -> NDArray[Any]:
    """The labels of y, and those of y_val in the type of y."""
    one, other = labels[:1].tolist(), y_val[:1].tolist()
    if one and isinstance(one[0], str) != isinstance(other[0], str):
        raise ValueError(f"y_val has labels such as {other[0]!r}, and y such as {one[0]!r}. Write both alike.")
    same = y_val.astype(labels.dtype) if labels.dtype.kind in "iufb" else y_val
    return np.concatenate([labels, same if np.array_equal(same, y_val) else y_val])


def check_judged(totals: Array, classes: NDArray[Any], source: str) -> None:
    """Raise where nothing can be judged, for the weight (K,) of the validation rows of each class.

    Where only some classes cannot, their rows are left as they are.
    """
    if not totals.any():
        raise ValueError(
            f"{source}: no validation row has a positive sample_weight, so that nothing can be judged. Give them "
            "weights, or other validation rows."
        )
    if np.count_nonzero(totals) == 1:
        raise ValueError(
            f"{source}: the validation rows are all of class {classes[totals > 0.0].tolist()}. Judged by them, "
            "every row of another class would look harmful. Add rows of other classes, or hold out more rows."
        )


def as_indexable(X: Any) -> Any:
    """X itself, but a list as an array (texts and mixed cells as objects), and any sparse format as CSR."""
    if hasattr(X, "tocsr"):
        return X.tocsr()
    if hasattr(X, "shape") and getattr(getattr(X, "dtype", None), "kind", "") not in ("U", "S"):
        return X
    if hasattr(X, "shape"):
        return X.astype(object)
    if hasattr(X, "__array__") or hasattr(X, "__array_interface__"):
        return np.asarray(X)
    if isinstance(X, str | dict | set) or not hasattr(X, "__len__"):
        raise ValueError(f"X is a {type(X).__name__}; expected rows: an array, a sparse matrix, a frame or a list.")
    try:
        rows = np.asarray(X)
    except ValueError:  # rows of different lengths
        rows = None
    if rows is not None and rows.dtype.kind not in "USOM":
        return rows
    if rows is not None and rows.ndim > 1:
        return np.asarray(X, dtype=object)
    objects = np.empty(len(X), dtype=object)
    objects[:] = list(X)
    return objects


def take(X: Any, rows: NDArray[Any]) -> Any:
    """Some rows of an array, sparse matrix, data frame or blocks, by position or mask; X itself when it is all."""
    positions = np.flatnonzero(rows) if rows.dtype == bool else rows
    if isinstance(X, Renditions):
        return X.each(lambda part: take(part, positions))
    if np.array_equal(positions, np.arange(X.shape[0])):
        return X
    if isinstance(X, RowBlocks):
        return X.take(positions)
    return _safe_indexing(X, positions)


def stack(A: Any, B: Any) -> Any:
    """The rows of A above those of B: arrays, sparse matrices, data frames, series, texts or blocks."""
    if isinstance(A, Renditions):
        return A.each(stack, B)
    if isinstance(A, RowBlocks) or isinstance(B, RowBlocks):
        return A.above(B) if isinstance(A, RowBlocks) else RowBlocks([A]).above(B)
    if sparse.issparse(A) or sparse.issparse(B):
        return sparse.vstack([A, B], format="csr")
    if is_frame(A) and is_frame(B):
        return concat(A, B)
    return np.concatenate([np.asarray(A), np.asarray(B)])


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
    if mask.dtype == object:
        mask = _of_objects(mask)
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


def _of_objects(mask: NDArray[Any]) -> NDArray[Any]:
    """A mask of objects, such as that of a nullable column, as booleans."""
    flat = mask.ravel()
    missing = np.flatnonzero(is_missing(flat))
    if len(missing):
        raise ValueError(
            f"trusted has {len(missing)} missing values, first in row {missing[0]}; expected True or False per row of "
            "X. Fill them, with False where a label is not verified."
        )
    return mask.astype(bool) if all(isinstance(value, bool | np.bool_) for value in flat.tolist()) else mask


def check_groups(groups: ArrayLike | None, n_samples: int) -> NDArray[np.intp] | None:
    """A number for each group, (n,), or None."""
    if groups is None:
        return None
    values = np.asarray(groups)
    if values.shape != (n_samples,):
        raise ValueError(f"groups has shape {values.shape}, expected ({n_samples},): the group of each row of X.")
    if values.dtype == object:
        missing = np.flatnonzero(is_missing(values))
        if len(missing):
            raise ValueError(
                f"groups has {len(missing)} missing values, first in row {missing[0]}. Give every row a group; one of "
                "its own where it belongs to no other."
            )
        values = np.array([repr(value) for value in values.tolist()])
    numbers: NDArray[np.intp] = np.unique(values, return_inverse=True)[1]
    if numbers.max() == 0:
        raise ValueError("groups has one group, and rows of one group never stand on both sides. Leave groups out.")
    return numbers


def hold_out(
    y: NDArray[Any], weight: Array, fraction: float, random_state: Any, groups: NDArray[np.intp] | None = None
) -> NDArray[np.bool_]:
    """A share of the rows with positive weight, stratified by class, of whole groups. Classes of one row stay out."""
    mask, candidates = np.zeros(len(y), dtype=bool), np.flatnonzero(weight > 0.0)
    codes = np.unique(y[candidates], return_inverse=True)[1]
    if codes.max(initial=0) == 0:  # reported with the other errors about classes
        return mask
    counts = np.bincount(codes)
    candidates, codes = candidates[counts[codes] > 1], codes[counts[codes] > 1]
    n_classes = len(np.unique(codes))
    if n_classes == 0:
        raise ValueError(
            "y has a single row of each class, so that none can be held out. Add rows, or pass X_val and y_val, or "
            "trusted."
        )
    if groups is not None:
        test = _grouped_share(codes, groups[candidates], fraction, random_state)
    else:
        n_val = min(max(round(fraction * len(candidates)), n_classes), len(candidates) - n_classes)
        splitter = StratifiedShuffleSplit(1, test_size=n_val, random_state=random_state)
        _, test = next(splitter.split(candidates, codes))
    mask[candidates[test]] = True
    return mask


def _grouped_share(
    codes: NDArray[np.intp], groups: NDArray[np.intp], fraction: float, random_state: Any
) -> NDArray[np.intp]:
    n_groups = len(np.unique(groups))
    n_splits = min(max(2, round(1.0 / fraction)), n_groups)
    if n_groups < 2:
        raise ValueError("groups: the rows that can be held out are of one group. Leave groups out, or pass trusted.")
    return next(grouped_splits(codes, groups, n_splits, random_state))[1]


def grouped_splits(
    codes: NDArray[np.intp], groups: NDArray[np.intp], n_splits: int, random_state: Any = None
) -> Iterator[Split]:
    """Folds of whole groups, with the classes in equal shares as far as that goes."""
    shuffle: dict[str, Any] = {"shuffle": random_state is not None, "random_state": random_state}
    if np.bincount(codes).max() < n_splits:  # scikit-learn stratifies only where a class can be in every fold
        yield from GroupKFold(n_splits, **shuffle).split(codes, codes, groups)
        return
    with warnings.catch_warnings():  # of classes that are in fewer rows than there are folds
        warnings.simplefilter("ignore", UserWarning)
        yield from StratifiedGroupKFold(n_splits, **shuffle).split(codes, codes, groups)


def _check_classes(labels: NDArray[Any], training: NDArray[Any]) -> NDArray[Any]:
    """The classes of all rows; `training` are the labels of those that are not verified."""
    classes = np.unique(training)
    if len(classes) < 2:
        raise ValueError(
            f"y has {len(classes)} class among the training rows with positive weight ({classes.tolist()}); "
            "classification needs at least two classes."
        )
    return np.unique(labels)


def _splits(X: Any, y: NDArray[Any], cv: Any, groups: Any, seed: int | None) -> list[Split]:
    """Those of cv; of a number, folds in which every class of two rows is in two of them."""
    if isinstance(cv, Integral) and not isinstance(cv, bool):
        splits = _numbered_splits(y, int(cv), groups, seed)
    else:
        splits = check_cv(cv, y, classifier=True).split(X, y, groups)
    try:
        splits = [(train, test) for train, test in splits]
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"cv={cv!r} cannot split these rows: {error}"
            + ("" if groups is not None else " Pass groups to fit, if any.")
        ) from error
    if not splits:
        raise ValueError("cv makes no split of the rows into some to train on and some to judge.")
    return [(_positions(train, len(y)), _positions(test, len(y))) for train, test in splits]


def _positions(rows: Any, n_samples: int) -> NDArray[np.intp]:
    rows = np.asarray(rows)
    rows = np.flatnonzero(rows) if rows.dtype == bool and len(rows) == n_samples else rows
    if not rows.size:
        raise ValueError("cv makes a fold without any row to train on, or without any to judge by.")
    if rows.ndim != 1 or rows.dtype.kind not in "iu" or rows.min() < 0 or rows.max() >= n_samples:
        raise ValueError(f"cv: a fold is not one of positions of rows, which are integers from 0 to {n_samples - 1}.")
    return rows


def _numbered_splits(y: NDArray[Any], n_splits: int, groups: Any, seed: int | None) -> Iterable[Split]:
    codes = np.unique(y, return_inverse=True)[1]
    if groups is not None:
        return grouped_splits(codes, np.unique(groups, return_inverse=True)[1], n_splits, seed)
    largest = int(np.bincount(codes).max())
    if largest < 2:
        raise ValueError("cv: y has a single row of each class, so that no fold can tell of another. Add rows.")
    with warnings.catch_warnings():  # of classes with fewer rows than folds
        warnings.simplefilter("ignore", UserWarning)
        folds = StratifiedKFold(min(n_splits, largest), shuffle=seed is not None, random_state=seed)
        return list(folds.split(codes, codes))
