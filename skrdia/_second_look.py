"""The check of the verified rows of a fit: the models it asks, the attributes and the warning that follow."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from scipy import sparse
from sklearn.utils import get_tags

from skrdia._evidence import companions, folds
from skrdia._mixture import predict_given
from skrdia._rows import Rows, take
from skrdia._train import is_net
from skrdia._verified import VerifiedCheck, check_verified

__all__ = ["attributes_of", "look_at_verified", "warn_of_verified", "whole_rows"]

_N_FOLDS, _MIN_ROWS, _MAX_ROWS = 5, 10, 4_000


def look_at_verified(
    finder: Any, rows: Rows, seed: int | None, cache: Callable[..., Any] | None = None
) -> VerifiedCheck | None:
    """What is to be thought of the verified rows; None where nobody said that they are, or they are too few.

    Of the rows that are not verified, the models get 4,000 at most. A net is stood in for by linear models.
    """
    fold = rows.folds[0]
    if not rows.is_verified or fold.targets_val is None:
        return None
    train = fold.train[rows.weight[fold.train] > 0.0]
    if len(train) > _MAX_ROWS:
        train = np.sort(np.random.RandomState(0).permutation(train)[:_MAX_ROWS])
    given, judged = rows.given[train], fold.targets_val
    n_val = np.count_nonzero(judged.any(axis=1))
    if n_val < _MIN_ROWS or min(np.count_nonzero(part.any(axis=0)) for part in (given, judged)) < 2:
        return None
    model = companions(finder)[0] if is_net(finder) else finder
    X, weight = take(rows.X, train), rows.weight[train]
    if not (_can_take(model, X) and _can_take(model, fold.X_val)):  # `fit` will say so
        return None
    groups = None if rows.groups is None else rows.groups[train]
    splits, splits_val = (
        folds(labels, _N_FOLDS, numbers) for labels, numbers in ((given, groups), (judged, rows.groups_val))
    )
    if min(len(splits), len(splits_val)) < 2:  # a single group
        return None
    by_others = predict_given(
        model, X, given * weight[:, None], rows.classes, splits, fold.X_val, seed=seed, cache=cache
    )
    own = predict_given(model, fold.X_val, judged, rows.classes, splits_val, X, seed=seed, cache=cache)
    return check_verified(by_others, own, given, weight, judged, rows.given_val)


def whole_rows(check: VerifiedCheck) -> VerifiedCheck:
    """The same for an estimator that takes no weights: a row counts, or not where its label is likely wrong."""
    return replace(check, weights=np.where(check.wrong > 0.5, 0.0, 1.0))


def _can_take(model: Any, X: Any) -> bool:
    values: Any = getattr(X, "data", X) if sparse.issparse(X) else X
    is_numeric = isinstance(values, np.ndarray) and values.dtype.kind == "f"
    return not is_numeric or get_tags(model).input_tags.allow_nan or bool(np.isfinite(values).all())


def attributes_of(check: VerifiedCheck | None) -> dict[str, Any]:
    """What is known of the verified rows, and which of them have a label that is likely wrong."""
    suspects = np.zeros(0, dtype=np.intp) if check is None else check.suspects
    return {"verified_check_": check, "verified_suspects_": suspects}


def warn_of_verified(check: VerifiedCheck | None, rows: Rows) -> None:
    """One warning for all there is to be careful about."""
    found = [] if check is None else check.cautions(rows.classes.tolist())
    if found:
        warnings.warn(" ".join(found), UserWarning, stacklevel=4)
