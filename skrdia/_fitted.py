"""The attributes of a fitted estimator, set in one place, and the warning of rows that were left as they are."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils.validation import validate_data

from skrdia._rows import Rows
from skrdia.views._base import Array

__all__ = ["features_of", "replace_attributes", "warn_of_rows_left_alone", "warn_of_unverified_judges"]

_SHOWN = 10
"""Classes that a warning names."""


def replace_attributes(estimator: Any, fitted: dict[str, Any]) -> None:
    """Set the attributes that a fit computed, and remove all of an earlier fit."""
    for name in [name for name in vars(estimator) if name.endswith("_") and not name.startswith("__")]:
        delattr(estimator, name)
    vars(estimator).update(fitted)


def features_of(X: Any) -> dict[str, Any]:
    """`n_features_in_` and `feature_names_in_`, as far as X has such, by scikit-learn's rules."""
    probe = BaseEstimator()
    validate_data(probe, X=X, skip_check_array=True)
    return vars(probe)


def warn_of_unverified_judges(clf: Any, cv: Any) -> None:
    """Where nothing is verified, and labels that may be wrong are taken for the truth, or alpha has another unit.

    `cv`: the folds in which every row is scored; None where some rows are held out.
    """
    if cv is None:
        warnings.warn(
            f"validation_fraction={clf.validation_fraction:g}: no row is verified, so that the rows held out judge by "
            "labels that may be wrong as well. Pass verified rows, by trusted or X_val; or leave validation_fraction "
            "out, or use cv=5, and every row is scored by models that never saw it.",
            UserWarning,
            stacklevel=4,
        )
    elif clf.alpha != "auto" and clf.signal == "auto" and clf.cv is None:
        warnings.warn(
            f"alpha={clf.alpha:g} with no verified rows: it is compared with the signal 'confidence', one minus the "
            "probability of the label by models that never saw the row (cv=5). For influences pass verified rows, by "
            "trusted or X_val. To mean this, set cv=5; or leave alpha out, and the share of wrong labels is estimated.",
            UserWarning,
            stacklevel=4,
        )


def _warn_of_unknown_classes(rows: Rows) -> None:
    """Name the classes that only verified rows have."""
    trained = (rows.given * (rows.weight * ~rows.validation_mask)[:, None]).any(axis=0)
    if trained.all() or rows.splits:
        return
    names = [repr(label) for label in rows.classes[~trained].tolist()]
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    warnings.warn(
        f"Only verified rows are labelled {', '.join(names[:_SHOWN])}{more}: no model of the other rows knows such a "
        "label, so that by influence no row is given it. Check how it is written.",
        UserWarning,
        stacklevel=5,
    )


def warn_of_rows_left_alone(rows: Rows, scores: Array) -> None:
    """Name the classes and count the rows that could not be judged: those that were given no score."""
    _warn_of_unknown_classes(rows)
    trained = ~rows.validation_mask & (rows.weight > 0.0)
    left = trained & np.isnan(scores)
    if not left.any() or left.sum() == trained.sum():
        return
    counts, lost = ((rows.given[some] > 0.0).sum(axis=0) for some in (trained, left))
    whole = np.flatnonzero((lost == counts) & (lost > 0))
    names = [f"{rows.classes.tolist()[k]!r} ({lost[k]})" for k in whole[:_SHOWN]]
    others, sentences = int(left.sum() - lost[whole].sum()), []
    if names:
        more = f" and {len(whole) - _SHOWN} more" if len(whole) > _SHOWN else ""
        sentences.append(
            f"Nothing could tell whether the rows labelled {', '.join(names)}{more} are right: no verified row has "
            "that label, or no fold tests such a row by others. They are left as they are. Verify some of them, or add "
            "rows."
        )
    if others:
        sentences.append(f"{others} rows were in no test fold: they are not judged and left as they are.")
    warnings.warn(" ".join(sentences), UserWarning, stacklevel=4)
