"""What a fitted estimator shows: itself, the last step of a pipeline, or the best estimator of a search."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.utils.validation import check_is_fitted

from skrdia.views._base import Array

__all__ = ["INFLUENCE", "Found", "Shown", "check_mask", "check_n_rows", "dense", "find", "name_of", "shown_by"]

INFLUENCE = "influence (nats)"


class Found(NamedTuple):
    """The part that has the attributes, and what the steps before it make of X."""

    clf: Any
    transform: Callable[[Any], Any]


class Shown(NamedTuple):
    """A value (n,) for each row of X, high = bad; its name and unit; the threshold, where it has this unit."""

    values: Array
    name: str
    alpha: float | None


def find(estimator: Any, *attributes: str, what: str = "RDIAClassifier") -> Found:
    """Find the part of a fitted estimator that has all of these attributes."""
    check_is_fitted(estimator)
    clf, steps = estimator, list[Any]()
    while not all(hasattr(clf, name) for name in attributes):
        if hasattr(clf, "best_estimator_"):
            clf = clf.best_estimator_
        elif hasattr(clf, "steps"):
            steps += [step for _, step in clf.steps[:-1] if step not in (None, "passthrough")]
            clf = clf.steps[-1][1]
        else:
            raise TypeError(
                f"estimator={estimator!r} has no {' and '.join(attributes)}. Pass a fitted {what}, a pipeline that "
                "ends in one, or a search over one."
            )

    def transform(X: Any) -> Any:
        for step in steps:
            X = step.transform(X)
        return X

    return Found(clf, transform)


def shown_by(clf: Any) -> Shown:
    """What `alpha` was compared with; where the validation rows chose, the influences, or the scores without any."""
    if clf.alpha != "auto":
        return Shown(clf.scores_, _name(clf.signal_), float(clf.alpha_) if np.isfinite(clf.alpha_) else None)
    if np.isfinite(clf.influences_).any():
        return Shown(clf.influences_, INFLUENCE, None)
    return Shown(clf.scores_, "score (high: suspicious)", None)


def name_of(value: Any) -> str:
    """What a signal or strategy is called, which may be a function."""
    return value if isinstance(value, str) else getattr(value, "__name__", type(value).__name__)


def _name(signal: Any) -> str:
    name = name_of(signal)
    return INFLUENCE if name == "influence" else f"signal: {name}"


def dense(X: Any) -> NDArray[Any]:
    """X as an array; columns of different types as an array of objects."""
    if hasattr(X, "toarray"):  # sparse
        return np.asarray(X.toarray())
    return X.to_numpy() if hasattr(X, "to_numpy") else np.asarray(X)


def check_n_rows(array: Any, n: int, name: str) -> None:
    """Raise unless there is one entry for each row given to `fit`."""
    n_given = array.shape[0] if hasattr(array, "shape") else len(array)
    if n_given != n:
        raise ValueError(
            f"{name} has {n_given} rows, but the estimator was fitted on {n}; pass the {name} given to fit."
        )


def check_mask(mask: ArrayLike, n: int, name: str) -> NDArray[np.bool_]:
    """Return the mask as a bool array (n,)."""
    checked = np.asarray(mask)
    if checked.dtype != bool or checked.shape != (n,):
        raise ValueError(
            f"{name} has dtype {checked.dtype} and shape {checked.shape}, expected bool and ({n},): one True or False "
            "per row given to fit."
        )
    return checked
