"""Steps I and IV: train a classifier on targets, and ask it for probabilities."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from inspect import Parameter, signature
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax
from sklearn import config_context
from sklearn.base import clone
from sklearn.dummy import DummyClassifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.validation import validate_data

from skrdia._rows import take
from skrdia._sklearn import _num_samples
from skrdia.blocks import RowBlocks
from skrdia.linear_model import LogisticRegression as BlockLogisticRegression
from skrdia.views import capability, draft
from skrdia.views._base import Array
from skrdia.views._heads import Part, fit_transform_head, resamplers

__all__ = [
    "fine_tune",
    "fit_targets",
    "is_net",
    "known_labels",
    "predict_targets",
    "safe_log",
    "scale_logits",
    "takes_weights",
]

_SOFT = 2.0
"""Labels per row from which on a row for each of them costs more than passes over soft targets."""


def fit_targets(
    estimator: Any,
    X: Any,
    targets: Array,
    classes: NDArray[Any],
    *,
    is_draft: bool = False,
    start: Any = None,
    warm: Any = None,
    judges: tuple[Any, Array] | None = None,
    seed: int | None = None,
) -> Any:
    """Fit a clone on targets (n, K): a row for every positive entry, with that entry as its weight.

    The loss is linear in the targets, so this is the fit on soft targets. Rows of zeros are left out. Without weights
    other than one, none are passed on. The transformers of a pipeline are fitted on each row once, with its likeliest
    label. A draft is a fit of which only the held-out loss matters: on rows that were checked before, cheap where the
    solver can be, silent on convergence, and begun at `start`, a fit of the same model on the same columns. A draft on
    a single class is the classifier that knows no other. `warm` is an earlier fit of the same model that a warm start
    goes on from.

    A net takes soft targets as they are, each row once. One of skorch keeps of the epochs the one with the lowest loss
    on `judges`, validation rows and their targets, where these are given. `seed` makes its training deterministic.
    """
    how = _How(is_draft, start, warm, judges, seed)
    if not is_draft:
        return _fit(estimator, X, targets, classes, how)
    if np.count_nonzero(targets.any(axis=0)) == 1:
        return DummyClassifier().fit(np.zeros((1, 1)), classes[targets.any(axis=0)])
    with config_context(assume_finite=True, skip_parameter_validation=True), warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return _fit(estimator, X, targets, classes, how)


@dataclass(frozen=True)
class _How:
    """The keywords of `fit_targets`."""

    is_draft: bool
    start: Any
    warm: Any
    judges: tuple[Any, Array] | None
    seed: int | None

    def of_last_step(self, head: Any) -> _How:
        """The same for the last step of a pipeline. `head`: the fitted steps before it, or None."""
        steps = [] if head is None else [step for _, step in head.steps]
        same_columns = all(isinstance(step, Part) for step in steps)
        return replace(
            self,
            start=self.start.steps[-1][1] if same_columns and hasattr(self.start, "steps") else None,
            warm=None if self.warm is None else self.warm.steps[-1][1],
            judges=self.judges and (self.judges[0] if head is None else head.transform(self.judges[0]), self.judges[1]),
        )


def _fit(estimator: Any, X: Any, targets: Array, classes: NDArray[Any], how: _How) -> Any:
    if resamplers(estimator):
        return _fit_resampled(estimator, X, targets, classes)
    if hasattr(estimator, "steps"):
        return _fit_pipeline(estimator, X, targets, classes, how)
    train = capability(estimator, "fit_targets")
    if train is not None:
        return train(estimator, X, targets, classes, judges=how.judges, start=how.warm, seed=how.seed)
    rows, labels = np.nonzero(targets)
    weight = targets[rows, labels]
    params = {} if np.all(weight == 1.0) else _weight_params(estimator, weight)
    model = clone(estimator)
    if how.warm is not None:
        model = copy.deepcopy(how.warm).set_params(**model.get_params(deep=False))
    if how.is_draft:
        same = how.start is not None and np.array_equal(how.start.classes_, classes[targets.any(axis=0)])
        draft(model, how.start if same else None)
    if len(rows) > _SOFT * len(targets):
        blockwise = capability(model, "blockwise_params")
        if blockwise is not None and (own := blockwise(model)) is not None:
            return _fit_blockwise(model, own, X, targets, classes)
    return model.fit(take(X, rows), classes[labels], **params)


def _fit_blockwise(model: Any, params: dict[str, Any], X: Any, targets: Array, classes: NDArray[Any]) -> Any:
    """A logistic regression by passes over the rows, each of which counts once, however many labels it has."""
    rows, known = np.flatnonzero(targets.any(axis=1)), targets.any(axis=0)
    X = validate_data(model, take(X, rows), accept_sparse="csr", dtype=[np.float64, np.float32])
    own = BlockLogisticRegression(**params)
    if params["warm_start"] and hasattr(model, "coef_"):
        own.coef_, own.intercept_ = model.coef_, model.intercept_
    own.fit_targets(RowBlocks([X]), targets[np.ix_(rows, known)], classes[known])
    model.classes_, model.coef_, model.intercept_, model.n_iter_ = own.classes_, own.coef_, own.intercept_, own.n_iter_
    return model


def _fit_pipeline(estimator: Any, X: Any, targets: Array, classes: NDArray[Any], how: _How) -> Any:
    """Fit the transformers on the likeliest labels, each row once, and the last step on the targets."""
    fitted, rows = clone(estimator), np.flatnonzero(targets.any(axis=1))
    name, last = fitted.steps[-1]
    head = None
    if len(fitted.steps) > 1:
        X, targets = take(X, rows), targets[rows]
        head, X = fit_transform_head(fitted, X, classes[targets.argmax(axis=1)], targets.sum(axis=1))
    last = _fit(last, X, targets, classes, how.of_last_step(head))
    fitted.steps = [*([] if head is None else head.steps), (name, last)]
    return fitted


def _fit_resampled(estimator: Any, X: Any, targets: Array, classes: NDArray[Any]) -> Any:
    """Fit a pipeline that makes rows of its own, which weights would not fit."""
    rows, labels = np.nonzero(targets)
    if not np.all(targets[rows, labels] == 1.0):
        raise ValueError(
            f"base_estimator has the step {resamplers(estimator)[0]!r}, which makes training rows of its own, so that "
            "no sample_weight fits them, which these sample weights or targets need. Leave the step out, or use no "
            "sample_weight and a strategy that relabels or drops whole rows."
        )
    return clone(estimator).fit(take(X, rows), classes[labels])


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

    `on_epoch` is called with the copy after every epoch. Rows of classes that the net does not know are left out.
    """
    if not hasattr(estimator, "steps"):
        train_on, known = capability(estimator, "train_on"), np.isin(classes, estimator.classes_)
        if train_on is None or not targets[:, known].any():  # it knows a single class
            for _ in range(n_epochs):
                on_epoch(estimator)
            return estimator
        return train_on(estimator, X, targets[:, known], classes[known], n_epochs, on_epoch=on_epoch, seed=seed)
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
    scale = capability(estimator, "scale_logits")
    if scale is None:  # it knows a single class
        return estimator
    scaled = scale(estimator, factor)
    if scaled is None:
        return None
    expected = softmax(factor * safe_log(estimator.predict_proba(X)), axis=1)
    return scaled if np.allclose(scaled.predict_proba(X), expected, atol=1e-3) else None


def predict_targets(estimator: Any, X: Any, classes: NDArray[Any]) -> Array:
    """Probabilities (n, K) of all `classes`; zero for those that the estimator was not trained on."""
    own = estimator.classes_
    known_labels(own, classes)
    proba = np.zeros((_num_samples(X), len(classes)))
    if len(proba):
        proba[:, np.searchsorted(classes, own)] = estimator.predict_proba(X)
    return proba


def known_labels(own: NDArray[Any], classes: NDArray[Any], targets: Array | None = None) -> NDArray[np.bool_]:
    """Which of the `classes` (K,) are `own` classes of a model, which has those of its training targets (n, K)."""
    labels = set(own.tolist())
    known = np.array([label in labels for label in classes.tolist()])
    if known.sum() < len(own) or (targets is not None and not known[targets.any(axis=0)].all()):
        raise ValueError(
            f"base_estimator has classes {own.tolist()}, but the training labels y are {classes.tolist()}; a frozen "
            "estimator must have been fitted on the same labels."
        )
    return known


def safe_log(proba: Array) -> Array:
    """Logarithm of probabilities, of which none counts as less than the machine epsilon."""
    return np.log(np.maximum(proba, np.finfo(np.float64).eps))


def is_net(estimator: Any) -> bool:
    """Whether the estimator, or the last step of a pipeline, is a net that can be fine-tuned."""
    return capability(last_step(estimator)[1], "train_on") is not None


def takes_weights(estimator: Any) -> bool:
    """Whether `fit_targets` can pass on weights, and so train on soft targets."""
    if resamplers(estimator):
        return False
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
    """The weights as a parameter of `fit`."""
    if not takes_weights(estimator):
        raise ValueError(
            f"base_estimator={estimator!r} takes no sample_weight in fit, which these sample weights or targets need. "
            "Use another base estimator, or no sample_weight and a strategy that relabels or drops whole rows."
        )
    return {"sample_weight": weight}
