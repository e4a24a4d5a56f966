"""Steps I and IV: train a classifier on targets, and ask it for probabilities."""

from __future__ import annotations

import warnings
from inspect import Parameter, signature
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn import config_context, get_config
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning

from skrdia._rows import take
from skrdia.views import draft
from skrdia.views._base import Array

__all__ = ["fit_targets", "predict_targets", "safe_log", "takes_weights"]


def fit_targets(
    estimator: Any, X: Any, targets: Array, classes: NDArray[Any], *, is_draft: bool = False, start: Any = None
) -> Any:
    """Fit a clone on targets (n, K): a row for every positive entry, with that entry as its weight.

    The loss is linear in the targets, so this is the fit on soft targets. Rows of zeros are left out. Without weights
    other than one, none are passed on. A draft is a fit of which only the held-out loss matters: on rows that were
    checked before, cheap where the solver can be, silent on convergence, and begun at `start`, a fit of the same model.
    """
    rows, labels = np.nonzero(targets)
    weight = targets[rows, labels]
    estimator = clone(estimator)
    params = {} if np.all(weight == 1.0) else _weight_params(estimator, weight)
    X, y = take(X, rows), classes[labels]
    if not is_draft:
        return estimator.fit(X, y, **params)
    same = start is not None and np.array_equal(start.classes_, classes[targets.any(axis=0)])
    draft(estimator, start if same else None)
    with config_context(assume_finite=True, skip_parameter_validation=True), warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return estimator.fit(X, y, **params)


def predict_targets(estimator: Any, X: Any, classes: NDArray[Any]) -> Array:
    """Probabilities (n, K) of all `classes`; zero for those that the estimator was not trained on."""
    proba = np.zeros((X.shape[0], len(classes)))
    if X.shape[0]:
        proba[:, np.searchsorted(classes, estimator.classes_)] = estimator.predict_proba(X)
    return proba


def safe_log(proba: Array) -> Array:
    """Logarithm of probabilities, of which none counts as less than the machine epsilon."""
    return np.log(np.maximum(proba, np.finfo(np.float64).eps))


def takes_weights(estimator: Any) -> bool:
    """Whether `fit_targets` can pass on weights, and so train on soft targets."""
    accepted = signature(_last_step(estimator)[1].fit).parameters
    return "sample_weight" in accepted or any(
        parameter.kind == Parameter.VAR_KEYWORD for parameter in accepted.values()
    )


def _last_step(estimator: Any) -> tuple[list[str], Any]:
    """The last step of a possibly nested pipeline, and the names of the steps that lead to it."""
    path = []
    while hasattr(estimator, "steps"):
        name, estimator = estimator.steps[-1]
        path.append(name)
    return path, estimator


def _weight_params(estimator: Any, weight: Array) -> dict[str, Array]:
    """The `fit` parameter that carries sample weights to the last step of a possibly nested pipeline."""
    path, last = _last_step(estimator)
    if not takes_weights(last):
        raise ValueError(
            f"base_estimator={last!r} takes no sample_weight in fit, which these sample weights or targets need. Use "
            "another base estimator, or no sample_weight and a strategy that relabels or drops whole rows."
        )
    if path and get_config()["enable_metadata_routing"]:
        last.set_fit_request(sample_weight=True)
        _request_no_weight(estimator)
        return {"sample_weight": weight}
    return {"__".join([*path, "sample_weight"]): weight}


def _request_no_weight(pipeline: Any) -> None:
    """Let the transformers of a possibly nested pipeline ignore weights, unless the user has requested otherwise."""
    for _, step in pipeline.steps:
        if hasattr(step, "steps"):
            _request_no_weight(step)
        elif hasattr(step, "set_fit_request"):
            requests = getattr(step.get_metadata_routing(), "fit", None)
            if requests is not None and requests.requests.get("sample_weight", False) is None:
                step.set_fit_request(sample_weight=False)
