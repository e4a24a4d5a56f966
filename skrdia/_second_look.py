"""The check of the verified rows of a fit: the models it asks, the attributes and the warning that follow."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from scipy import sparse
from sklearn.utils import get_tags

from skrdia._mixture import Predictions, predict_given
from skrdia._out_of_fold import N_FOLDS, companions, folds
from skrdia._rows import Rows, take
from skrdia._train import is_net
from skrdia._verified import VerifiedCheck, check_verified

__all__ = ["attributes_of", "can_take", "look_at_verified", "warn_of_verified", "whole_rows"]

_MIN_ROWS, _MAX_ROWS = 10, 4_000


def look_at_verified(
    finder: Any,
    rows: Rows,
    seed: int | None,
    cache: Callable[..., Any] | None = None,
    predictions: Predictions | None = None,
) -> VerifiedCheck | None:
    """What is to be thought of the verified rows; None where nobody said that they are, or they are too few.

    Of the rows that are not verified, 4,000 at most are looked at. A net is stood in for by linear models.
    `predictions` are those of the rows of the only fold, where they are known.
    """
    fold = rows.folds[0]
    if not rows.is_verified or fold.targets_val is None:
        return None
    known = rows.weight[fold.train] > 0.0
    if predictions is not None:
        known &= ~np.isnan(predictions.proba).any(axis=(0, 2))
    at = np.flatnonzero(known)
    if len(at) > _MAX_ROWS:
        at = np.sort(np.random.RandomState(0).permutation(at)[:_MAX_ROWS])
    train = fold.train[at]
    given, judged = rows.given[train], fold.targets_val
    n_val = np.count_nonzero(judged.any(axis=1))
    if n_val < _MIN_ROWS or min(np.count_nonzero(part.any(axis=0)) for part in (given, judged)) < 2:
        return None
    model = companions(finder)[0] if is_net(finder) else finder
    X, weight = take(rows.X, train), rows.weight[train]
    if not can_take(model, rows):  # `fit` will say so
        return None
    groups = None if rows.groups is None else rows.groups[train]
    splits, splits_val = (
        folds(labels, N_FOLDS, numbers) for labels, numbers in ((given, groups), (judged, rows.groups_val))
    )
    if min(len(splits), len(splits_val)) < 2:  # a single group
        return None
    ask = partial(predict_given, model, classes=rows.classes, seed=seed, cache=cache)
    if predictions is not None:
        by_others = predictions.take(at, np.arange(len(judged)))
    else:
        among: dict[str, Any] = {"groups": groups, "groups_val": rows.groups_val}
        by_others = ask(X, given * weight[:, None], splits=splits, X_val=fold.X_val, **among)
    among = {"groups": rows.groups_val, "groups_val": groups}
    own = ask(fold.X_val, judged, splits=splits_val, X_val=X, with_trees=False, **among)
    by_others, own = _told(by_others, len(rows.classes)), _told(own, len(rows.classes))
    return check_verified(by_others, own, given, weight, judged)


def _told(predictions: Predictions, n_classes: int) -> Predictions:
    """The same, where the only row of its class is as likely of each class."""
    proba = predictions.proba
    return replace(predictions, proba=np.where(np.isnan(proba), 1.0 / n_classes, proba))


def whole_rows(check: VerifiedCheck) -> VerifiedCheck:
    """The same for an estimator that takes no weights: a row counts, or not where its label is likely wrong."""
    return replace(check, weights=np.where(check.wrong > 0.5, 0.0, 1.0))


def can_take(model: Any, rows: Rows) -> bool:
    """Whether a model can be trained on the rows of the only fold, and judge the validation rows."""
    return all(_is_finite(model, X) for X in (rows.X, rows.folds[0].X_val))


def _is_finite(model: Any, X: Any) -> bool:
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
