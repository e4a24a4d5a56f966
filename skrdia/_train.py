"""Steps I and IV: train a classifier on targets, and ask it for probabilities."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from functools import partial
from inspect import Parameter, signature
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax
from sklearn import config_context, get_config
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning

from skrdia._rows import take
from skrdia.views import capability, draft
from skrdia.views._base import Array

__all__ = ["fine_tune", "fit_targets", "is_net", "predict_targets", "safe_log", "scale_logits", "takes_weights"]


def fit_targets(
    estimator: Any,
    X: Any,
    targets: Array,
    classes: NDArray[Any],
    *,
    is_draft: bool = False,
    start: Any = None,
    warm: tuple[Any, dict[str, Any]] | None = None,
    judges: tuple[Any, Array] | None = None,
    seed: int | None = None,
) -> Any:
    """Fit a clone on targets (n, K): a row for every positive entry, with that entry as its weight.

    The loss is linear in the targets, so this is the fit on soft targets. Rows of zeros are left out. Without weights
    other than one, none are passed on. A draft is a fit of which only the held-out loss matters: on rows that were
    checked before, cheap where the solver can be, silent on convergence, and begun at `start`, a fit of the same model.
    `warm` is an earlier fit of the same model that a warm start goes on from, and the parameters to set on it.

    A net takes soft targets as they are, each row once. One of skorch keeps of the epochs the one with the lowest loss
    on `judges`, validation rows and their targets, where these are given. `seed` makes its training deterministic.
    """
    train = capability(last_step(estimator)[1], "fit_targets")
    if train is not None:
        with _drafting() if is_draft else nullcontext():
            return _fit_last_step(estimator, X, targets, classes, partial(train, seed=seed), judges, warm and warm[0])
    rows, labels = np.nonzero(targets)
    weight = targets[rows, labels]
    estimator = clone(estimator) if warm is None else copy.deepcopy(warm[0]).set_params(**warm[1])
    params = {} if np.all(weight == 1.0) else _weight_params(estimator, weight)
    X, y = take(X, rows), classes[labels]
    if not is_draft:
        return estimator.fit(X, y, **params)
    same = start is not None and np.array_equal(start.classes_, classes[targets.any(axis=0)])
    draft(estimator, start if same else None)
    with _drafting():
        return estimator.fit(X, y, **params)


@contextmanager
def _drafting() -> Iterator[None]:
    with config_context(assume_finite=True, skip_parameter_validation=True), warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        yield


def _fit_last_step(
    estimator: Any, X: Any, targets: Array, classes: NDArray[Any], train: Any, judges: Any, warm: Any
) -> Any:
    """Fit the transformers of a possibly nested pipeline on the likeliest labels, and its last step on the targets."""
    if not hasattr(estimator, "steps"):
        return train(estimator, X, targets, classes, judges=judges, start=warm)
    fitted, rows = clone(estimator), np.flatnonzero(targets.any(axis=1))
    name, last = fitted.steps[-1]
    if len(fitted.steps) > 1:
        head = fitted[:-1]
        X, targets = head.fit_transform(take(X, rows), classes[targets[rows].argmax(axis=1)]), targets[rows]
        judges = judges and (head.transform(judges[0]), judges[1])
    warm = warm and warm.steps[-1][1]
    fitted.steps[-1] = (name, _fit_last_step(last, X, targets, classes, train, judges, warm))
    return fitted


def fine_tune(
    estimator: Any,
    X: Any,
    targets: Array,
    classes: NDArray[Any],
    n_epochs: int,
    *,
    on_epoch: Callable[[Any], object] = bool,
    seed: int | None = None,
) -> Any:
    """A copy of a fitted net, or of a pipeline that ends in one, trained for some epochs more, on these rows alone.

    `on_epoch` is called with the copy after every epoch.
    """
    if not hasattr(estimator, "steps"):
        train_on = capability(estimator, "train_on")
        return train_on(estimator, X, targets, classes, n_epochs, on_epoch=on_epoch, seed=seed)
    fitted = copy.copy(estimator)
    name, last = estimator.steps[-1]

    def on_epoch_of_last(net: Any) -> None:
        fitted.steps = [*estimator.steps[:-1], (name, net)]
        on_epoch(fitted)

    X = estimator[:-1].transform(X) if len(estimator.steps) > 1 else X
    net = fine_tune(last, X, targets, classes, n_epochs, on_epoch=on_epoch_of_last, seed=seed)
    fitted.steps = [*estimator.steps[:-1], (name, net)]
    return fitted


def scale_logits(estimator: Any, factor: float, X: Any) -> Any:
    """A copy of a fitted net, or of a pipeline that ends in one, whose logits are multiplied by a factor.

    None where the net's last layer does not allow for that, as its probabilities of the rows X then show.
    """
    if hasattr(estimator, "steps"):
        fitted, (name, last) = copy.copy(estimator), estimator.steps[-1]
        scaled = scale_logits(last, factor, estimator[:-1].transform(X) if len(estimator.steps) > 1 else X)
        fitted.steps = [*estimator.steps[:-1], (name, scaled)]
        return None if scaled is None else fitted
    scaled = capability(estimator, "scale_logits")(estimator, factor)
    if scaled is None:
        return None
    expected = softmax(factor * safe_log(estimator.predict_proba(X)), axis=1)
    return scaled if np.allclose(scaled.predict_proba(X), expected, atol=1e-3) else None


def predict_targets(estimator: Any, X: Any, classes: NDArray[Any]) -> Array:
    """Probabilities (n, K) of all `classes`; zero for those that the estimator was not trained on."""
    proba = np.zeros((X.shape[0], len(classes)))
    if X.shape[0]:
        proba[:, np.searchsorted(classes, estimator.classes_)] = estimator.predict_proba(X)
    return proba


def safe_log(proba: Array) -> Array:
    """Logarithm of probabilities, of which none counts as less than the machine epsilon."""
    return np.log(np.maximum(proba, np.finfo(np.float64).eps))


def is_net(estimator: Any) -> bool:
    """Whether the estimator, or the last step of a pipeline, is a net that can be fine-tuned."""
    return capability(last_step(estimator)[1], "train_on") is not None


def takes_weights(estimator: Any) -> bool:
    """Whether `fit_targets` can pass on weights, and so train on soft targets."""
    last = last_step(estimator)[1]
    accepted = signature(last.fit).parameters
    return (
        capability(last, "fit_targets") is not None
        or "sample_weight" in accepted
        or any(parameter.kind == Parameter.VAR_KEYWORD for parameter in accepted.values())
    )


def last_step(estimator: Any) -> tuple[list[str], Any]:
    """The last step of a possibly nested pipeline, and the names of the steps that lead to it."""
    path = []
    while hasattr(estimator, "steps"):
        name, estimator = estimator.steps[-1]
        path.append(name)
    return path, estimator


def _weight_params(estimator: Any, weight: Array) -> dict[str, Array]:
    """The `fit` parameter that carries sample weights to the last step of a possibly nested pipeline."""
    path, last = last_step(estimator)
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
