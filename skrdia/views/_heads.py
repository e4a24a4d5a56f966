"""A base estimator is a head of transformers and a last step; what does not learn from labels is fitted once.

Candidates, folds and rounds change labels and weights, and never the rows. So the first steps of a pipeline that do not
learn from labels, its head, are fitted once, on all rows that train or judge. What they make of the rows is used
everywhere after that, and the classifier that is delivered has this head before its own last step. Steps that learn
from labels, and all that come after one, are fitted again with every set of labels.

Whether a transformer learns from labels is decided for each leaf of pipelines, unions and column transformers. Where
that cannot be known, because neither its type nor its tags tell, it is taken to learn.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from copy import copy
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn import get_config
from sklearn.base import BaseEstimator, TransformerMixin, clone, is_classifier, is_regressor
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import Pipeline
from sklearn.utils import get_tags
from sklearn.utils.metadata_routing import get_routing_for_object

from skrdia._sklearn import _safe_indexing
from skrdia.views._base import Array

__all__ = [
    "Head",
    "Part",
    "Renditions",
    "fit_head",
    "fit_transform_head",
    "fitted_head",
    "learns_from_labels",
    "resamplers",
    "same",
    "tail_with",
    "without_resamplers",
]

_IGNORE_LABELS = (
    "sklearn.cluster",
    "sklearn.compose._column_transformer",
    "sklearn.decomposition",
    "sklearn.feature_extraction",
    "sklearn.feature_selection._variance_threshold",
    "sklearn.impute",
    "sklearn.kernel_approximation",
    "sklearn.manifold",
    "sklearn.neighbors._graph",
    "sklearn.neural_network._rbm",
    "sklearn.ensemble._forest.RandomTreesEmbedding",
    "sklearn.pipeline.FeatureUnion",
    "sklearn.preprocessing",
    "sklearn.random_projection",
    "skrdia.views._heads.Part",
)
"""Modules and classes of transformers that ignore labels, unless their tags say that they require them.

Not among them, though their tags do not say so: SelectKBest, SelectPercentile, SelectFromModel, the
SequentialFeatureSelector and PLSSVD, which learn from labels.
"""


def learns_from_labels(transformer: Any) -> bool:
    """Whether a transformer, or a leaf of it, may learn from labels.

    Parameters
    ----------
    transformer : transformer, or "passthrough", "drop" or None
        Fitted or not.

    Returns
    -------
    bool
        True when unsure.
    """
    if transformer is None or isinstance(transformer, str | FrozenEstimator):
        return False
    if resamples(transformer):
        return True
    leaves = _leaves(transformer)
    if leaves is not None:
        return any(learns_from_labels(leaf) for leaf in leaves)
    if is_classifier(transformer) or is_regressor(transformer) or get_tags(transformer).target_tags.required:
        return True
    cls = type(transformer)
    path = f"{cls.__module__}.{cls.__qualname__}"
    return not any(path == known or path.startswith(f"{known}.") for known in _IGNORE_LABELS)


def _leaves(transformer: Any) -> Iterable[Any] | None:
    """The transformers that a pipeline, union or column transformer consists of; None for any other."""
    if hasattr(transformer, "steps"):
        return [step for _, step in transformer.steps]
    lists = [getattr(transformer, name, None) for name in ("transformer_list", "transformers")]
    for found in lists:
        if isinstance(found, list | tuple):
            rest = [getattr(transformer, "remainder", None)]
            return [one[1] for one in found] + rest
    return None


def resamples(step: Any) -> bool:
    """Whether a step makes other training rows of those it is given, as those of imbalanced-learn do."""
    return hasattr(type(step), "fit_resample") or hasattr(step, "fit_resample")


def resamplers(estimator: Any) -> list[Any]:
    """The steps of a possibly nested pipeline that make other training rows."""
    found = []
    for _, step in getattr(estimator, "steps", ()):
        found += resamplers(step) if hasattr(step, "steps") else [step] if resamples(step) else []
    return found


def without_resamplers(estimator: Any) -> Any:
    """The same pipeline without the steps that make other training rows; the estimator itself where there are none."""
    if not resamplers(estimator):
        return estimator
    steps = [(name, without_resamplers(step)) for name, step in estimator.steps if not resamples(step)]
    return Pipeline(steps) if len(steps) > 1 else steps[0][1]


@dataclass(frozen=True)
class Head:
    """The fitted head of an estimator.

    Parameters
    ----------
    X : object
        What the head makes of the rows.
    tail : classifier
        Unfitted: what is trained on that. Fitted, where the head was taken off a fitted estimator.
    transform : callable
        What the head makes of other rows.
    join : callable
        From a fitted tail to a classifier for the caller's rows.
    """

    X: Any
    tail: Any
    transform: Callable[[Any], Any]
    join: Callable[[Any], Any]


def same(value: Any) -> Any:
    """What a head without steps makes of rows, and what joins its tail."""
    return value


def fit_head(estimator: Any, X: Any, y: NDArray[Any], weight: Array) -> Head:
    """Fit the head of an unfitted estimator on the rows of positive weight.

    Parameters
    ----------
    estimator : classifier
        Not changed.
    X : {array-like, sparse matrix, data frame} of shape (n, ...)
        All rows that train or judge.
    y : array of shape (n,)
        Their labels, which the head ignores.
    weight : array of shape (n,)
        Their weights.

    Returns
    -------
    Head
    """
    if isinstance(estimator, FrozenEstimator):
        head = fitted_head(estimator.estimator, X, everything=True)
        return Head(head.X, FrozenEstimator(head.tail), head.transform, lambda fitted: estimator)
    if not hasattr(estimator, "steps"):
        return Head(X, estimator, same, same)
    n_steps = _length(estimator)
    transform, Z, fitted = same, X, []
    if n_steps > 0:
        head, Z = fit_transform_head(clone(estimator), X, y, weight, n_steps)
        transform, fitted = head.transform, head.steps
    rest = clone(estimator)
    rest.steps = rest.steps[n_steps:]
    if len(rest.steps) > 1:
        return Head(Z, rest, transform, _Joined(estimator, fitted, same))
    inner = fit_head(rest.steps[0][1], Z, y, weight)
    return Head(inner.X, inner.tail, _Chain(transform, inner.transform), _Joined(estimator, fitted, inner.join))


def fitted_head(estimator: Any, X: Any, *, everything: bool = False) -> Head:
    """Take the head off a fitted estimator; with `everything`, all steps before the last, whatever they learn from."""
    if isinstance(estimator, FrozenEstimator):
        return fitted_head(estimator.estimator, X, everything=True)
    if not hasattr(estimator, "steps"):
        return Head(X, estimator, same, same)
    n_steps = len(estimator.steps) - 1 if everything else _length(estimator)
    transform = estimator[:n_steps].transform if n_steps else same
    Z = transform(X)
    if n_steps < len(estimator.steps) - 1:
        return Head(Z, estimator[n_steps:], transform, same)
    inner = fitted_head(estimator.steps[-1][1], Z, everything=everything)
    return Head(inner.X, inner.tail, _Chain(transform, inner.transform), same)


def tail_with(estimator: Any, params: dict[str, Any]) -> Any:
    """The unfitted tail of an estimator with other parameters.

    Parameters
    ----------
    estimator : classifier
        Unfitted.
    params : dict
        By their names in the estimator.

    Returns
    -------
    classifier

    Raises
    ------
    ValueError
        If one of them is of a step that is fitted once for all.
    """
    if not hasattr(estimator, "steps"):
        return clone(estimator).set_params(**params)
    n_steps, names = _length(estimator), [name for name, _ in estimator.steps]
    for name in params:
        if name.partition("__")[0] in names[:n_steps]:
            raise ValueError(
                f"refit_params sets {name!r}, of a step that is fitted once for all fits. Set it on base_estimator."
            )
    if n_steps < len(names) - 1:
        rest = clone(estimator).set_params(**params)
        rest.steps = rest.steps[n_steps:]
        return rest
    inner = {name.removeprefix(f"{names[-1]}__"): value for name, value in params.items()}
    return tail_with(estimator.steps[-1][1], inner)


def _length(pipeline: Any) -> int:
    """How many of the first steps do not learn from labels."""
    steps = [step for _, step in pipeline.steps[:-1]]
    return next((i for i, step in enumerate(steps) if learns_from_labels(step)), len(steps))


def fit_transform_head(pipeline: Any, X: Any, y: NDArray[Any], weight: Array, n_steps: int = -1) -> tuple[Any, Any]:
    """Fit the first steps of a pipeline, by default all but the last, on the rows of positive weight.

    Parameters
    ----------
    pipeline : Pipeline
        Unfitted, not used after that: its steps are fitted in place, unless it has a `memory`.
    X : {array-like, sparse matrix, data frame} of shape (n, ...)
        Rows.
    y : array of shape (n,)
        Their labels.
    weight : array of shape (n,)
        Their weights, for steps that have requested them by metadata routing.
    n_steps : int, default=-1
        How many steps.

    Returns
    -------
    head : Pipeline
        Of the fitted steps alone.
    Z : object
        What they make of all rows.
    """
    head = copy(pipeline)
    head.steps = [*pipeline.steps[:n_steps], ("rest", "passthrough")]  # so that `memory` remembers all steps
    kept, params = np.flatnonzero(weight > 0.0), dict[str, Any]()
    if get_config()["enable_metadata_routing"]:
        _request_no_weight(head)
        if get_routing_for_object(head).consumes("fit", ["sample_weight"]):
            params = {"sample_weight": weight[kept]}
    if len(kept) == len(weight):
        Z = head.fit_transform(X, y, **params)
    else:
        Z = head.fit(_safe_indexing(X, kept), y[kept], **params).transform(X)
    head.steps = head.steps[:-1]
    return head, Z


def _request_no_weight(pipeline: Any) -> None:
    """Let the transformers of a possibly nested pipeline ignore weights, unless the user has requested otherwise."""
    for _, step in pipeline.steps:
        if hasattr(step, "steps"):
            _request_no_weight(step)
        elif hasattr(step, "set_fit_request"):
            requests = getattr(step.get_metadata_routing(), "fit", None)
            if requests is not None and requests.requests.get("sample_weight", False) is None:
                step.set_fit_request(sample_weight=False)


@dataclass(frozen=True)
class _Chain:
    first: Callable[[Any], Any]
    second: Callable[[Any], Any]

    def __call__(self, X: Any) -> Any:
        return self.second(self.first(X))


@dataclass(frozen=True)
class _Joined:
    """A pipeline like the caller's, of fitted steps and a tail."""

    pipeline: Any
    fitted: list[tuple[str, Any]]
    inner: Callable[[Any], Any]

    def __call__(self, tail: Any) -> Any:
        joined = clone(self.pipeline)
        rest = joined.steps[len(self.fitted) :]
        last = tail.steps if len(rest) > 1 else [(rest[0][0], self.inner(tail))]
        joined.steps = [*self.fitted, *last]
        return joined


class Renditions:
    """The same rows as several estimators see them.

    Parameters
    ----------
    parts : sequence of array-like of shape (n, ...)
        One for each estimator, see `Part`.
    """

    def __init__(self, parts: Iterable[Any]) -> None:
        self.parts = tuple(parts)

    @property
    def shape(self) -> tuple[int]:
        """(n,)"""
        return (self.parts[0].shape[0],)

    def __len__(self) -> int:
        return self.shape[0]

    def each(self, function: Callable[..., Any], *others: Renditions) -> Renditions:
        """A function of the rows, for every rendition."""
        return Renditions(map(function, self.parts, *(other.parts for other in others)))


class Part(TransformerMixin, BaseEstimator):
    """The rendition of the rows that is meant for the next step of a pipeline.

    Parameters
    ----------
    number : int
        Which.
    """

    def __init__(self, number: int = 0) -> None:
        self.number = number

    def fit(self, X: Renditions, y: Any = None) -> Part:
        """Learn nothing."""
        return self

    def transform(self, X: Renditions) -> Any:
        """Choose it."""
        return X.parts[self.number]

    def __sklearn_is_fitted__(self) -> bool:
        return True
