"""Steps I and IV: train a classifier on targets."""

from __future__ import annotations

from inspect import Parameter, signature
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn import get_config
from sklearn.base import clone

from skrdia._rows import take
from skrdia.views._base import Array

__all__ = ["fit_targets"]


def fit_targets(estimator: Any, X: Any, targets: Array, classes: NDArray[Any]) -> Any:
    """Fit a clone on targets (n, K): a row for every positive entry, with that entry as its weight.

    The loss is linear in the targets, so this is the fit on soft targets. Rows of zeros are left out. Without weights
    other than one, none are passed on.
    """
    rows, labels = np.nonzero(targets)
    weight = targets[rows, labels]
    estimator = clone(estimator)
    params = {} if np.all(weight == 1.0) else _weight_params(estimator, weight)
    return estimator.fit(take(X, rows), classes[labels], **params)


def _weight_params(estimator: Any, weight: Array) -> dict[str, Array]:
    """The `fit` parameter that carries sample weights to the last step of a possibly nested pipeline."""
    path, last = [], estimator
    while hasattr(last, "steps"):
        name, last = last.steps[-1]
        path.append(name)
    accepted = signature(last.fit).parameters
    if "sample_weight" not in accepted and all(
        parameter.kind != Parameter.VAR_KEYWORD for parameter in accepted.values()
    ):
        raise ValueError(
            f"base_estimator={last!r} takes no sample_weight in fit, which these sample weights or soft targets need. "
            "Use another base estimator, or neither sample_weight nor strategy='relabel-soft'."
        )
    if path and get_config()["enable_metadata_routing"]:
        last.set_fit_request(sample_weight=True)
        return {"sample_weight": weight}
    return {"__".join([*path, "sample_weight"]): weight}
