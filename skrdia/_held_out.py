"""Losses of the validation rows before and after the repair, where a model that has not seen them can tell them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from skrdia._outcome import Outcome
from skrdia._rows import Rows
from skrdia._train import predict_targets
from skrdia._tuning import cross_entropy
from skrdia.views._base import Array

__all__ = ["held_out"]


def held_out(clf: Any, rows: Rows, outcome: Outcome) -> dict[str, NDArray[Any]]:
    """The attribute `held_out_` of a fitted `RDIAClassifier`."""
    rows = rows if outcome.check is None else rows.weighed(outcome.check.weights)
    at = np.flatnonzero(rows.validation_mask)
    targets = (rows.given * rows.weight[:, None])[at]
    n_outside = 0
    if rows.outside is not None:
        targets = np.vstack([targets, rows.outside[1]])
        n_outside = len(rows.outside[1])
    before, after = _losses(clf, rows, outcome, len(targets))
    return {
        "row": np.concatenate([at, np.full(n_outside, -1, dtype=at.dtype)]),
        "label": rows.classes[targets.argmax(axis=1)],
        "weight": targets.sum(axis=1),
        "before": before,
        "after": after,
    }


def _losses(clf: Any, rows: Rows, outcome: Outcome, n_val: int) -> tuple[Array, Array]:
    unknown = np.full(n_val, np.nan)
    if clf.alpha == "auto":
        return (unknown, unknown) if outcome.losses is None else (outcome.losses[0], outcome.losses[1])
    if rows.splits or clf.influence_estimator is not None:  # their first fit is on all rows
        return unknown, unknown
    fold = rows.folds[0]

    def losses(estimator: Any) -> Array:
        if not hasattr(estimator, "predict_proba") or fold.targets_val is None:
            return unknown
        return cross_entropy(predict_targets(estimator, fold.X_val, rows.classes), fold.targets_val)

    return losses(clf.base_estimator_), losses(clf.estimator_) if clf.refit_on == "train" else unknown
