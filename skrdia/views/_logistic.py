"""Logistic models: LogisticRegression, LogisticRegressionCV and SGDClassifier, as views. See `_logistic_rows`."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.utils.class_weight import compute_class_weight
from sklearn.utils.validation import check_is_fitted, validate_data

from skrdia._blocks import as_blocks
from skrdia.views._base import Array, Linearization, Options, View, refuse_parameters
from skrdia.views._blockwise import Blockwise
from skrdia.views._links import Sigmoid, Softmax
from skrdia.views._logistic_rows import LogisticLinearization, LogisticModel

__all__ = ["LogisticRegressionFactory", "LogisticView", "SGDFactory", "check_n_columns", "class_weights"]

_DRAFT_TOL = 1e-3
"""Gradient at which a fit of which only the held-out loss matters may stop."""


class LogisticView:
    """A linear classifier with logistic loss.

    Parameters
    ----------
    estimator : fitted estimator
        For its `coef_`, `intercept_`, `classes_`, and the checks of `validate_data`.
    link : Sigmoid or Softmax
    l2, l1 : array of shape (d + 1, K') or broadcastable to it
        Strengths of the penalties ``l2 / 2 * theta**2 + l1 * abs(theta)``; the last row is the intercept's.
    scale : callable
        Factor on these for a number of training rows: that number for SGDClassifier, one for LogisticRegression.
    class_weight : callable
        targets (n, K) -> (K,).
    """

    softening: float = 1.0
    damping: float | None = 0.0

    def __init__(self, estimator: Any, link: Any, *, l2: Array, l1: Array, scale: Any, class_weight: Any) -> None:
        self._estimator = estimator
        self.classes_ = estimator.classes_
        self.class_weight = class_weight
        coef = np.asarray(estimator.coef_, dtype=np.float64)
        intercept = np.broadcast_to(np.asarray(estimator.intercept_, dtype=np.float64), coef.shape[:1])
        full_theta = np.vstack([coef.T, intercept])
        self._l2 = np.broadcast_to(l2, full_theta.shape)
        self._l1 = np.broadcast_to(l1, full_theta.shape)
        self._scale = scale
        free = (full_theta != 0) | (self._l1 == 0)
        free[-1] &= bool(estimator.fit_intercept)
        self.model = LogisticModel(link, full_theta, None if free.all() else free)
        self.theta = self.model.theta

    def penalty(self, n_samples: int) -> Array:
        return self.model.gather(self._l2) * self._scale(n_samples)

    def penalty_gradient(self, n_samples: int) -> Array:
        gradient = self._l2 * self.model.full_theta + self._l1 * np.sign(self.model.full_theta)
        return self.model.gather(gradient) * self._scale(n_samples)

    def linearize(self, X: Any) -> Linearization:
        blocks = as_blocks(X)
        if blocks is not None:
            check_n_columns(self._estimator, blocks)
            return Blockwise(self.model, blocks, len(self.classes_))
        X = validate_data(self._estimator, X, reset=False, accept_sparse="csr", dtype=[np.float64, np.float32])
        return LogisticLinearization(self.model, X)


def check_n_columns(estimator: Any, blocks: Any) -> None:
    """Raise ValueError unless the blocks have the columns that the estimator was fitted on."""
    if blocks.shape[1] != estimator.n_features_in_:
        raise ValueError(
            f"X has {blocks.shape[1]} features, but {type(estimator).__name__} is expecting "
            f"{estimator.n_features_in_} features as input."
        )


def _once(n_samples: int) -> float:
    return 1.0


def _balanced(estimator: Any, weighted: bool) -> Any:
    """The `class_weight` method of a view, as the estimator computes it from the rows it is trained on."""

    def class_weight(targets: Any) -> Array:
        counts = (targets if weighted else targets > 0.0).sum(axis=0)
        return class_weights(estimator.class_weight, estimator.classes_, np.asarray(counts, dtype=np.float64))

    return class_weight


def class_weights(class_weight: Any, classes: NDArray[Any], counts: Array) -> Array:
    """The weight of each class (K,), of which the rows have these total weights."""
    if class_weight is None:
        return np.ones(len(classes))
    return compute_class_weight(class_weight, classes=classes, y=classes, sample_weight=counts)


def _link(estimator: Any, one_vs_rest: bool) -> Sigmoid | Softmax:
    n_classes = len(estimator.classes_)
    if one_vs_rest and n_classes > 2 and estimator.class_weight is not None:
        raise ValueError(
            f"class_weight={estimator.class_weight!r} of {type(estimator).__name__} is not supported with more than "
            "two classes: one-vs-rest weighs a row differently in each of its binary problems. Give the weights as "
            "sample_weight, or use LogisticRegression, which is multinomial."
        )
    return Sigmoid(binary=n_classes == 2) if n_classes == 2 or one_vs_rest else Softmax()


class LogisticRegressionFactory:
    """LogisticRegression and LogisticRegressionCV: sum of losses + (1 / C) * penalty."""

    @staticmethod
    def check(estimator: Any) -> None:
        if getattr(estimator, "multi_class", "deprecated") not in ("deprecated", "auto", "warn"):
            raise TypeError(
                f"multi_class={estimator.multi_class!r} of {type(estimator).__name__} is not supported: scikit-learn "
                "deprecates it. Leave it out; for one-vs-rest use SGDClassifier(loss='log_loss')."
            )

    @staticmethod
    def view(estimator: Any, options: Options) -> View:
        check_is_fitted(estimator)
        if options.parameters not in (None, "all", "last"):
            refuse_parameters(estimator, options.parameters)
        C, l1_ratio = LogisticRegressionFactory._penalty(estimator)
        with np.errstate(divide="ignore"):
            strength = np.where(np.isinf(C), 0.0, 1.0 / C)
        shape = (estimator.coef_.shape[1] + 1, estimator.coef_.shape[0])
        scale = np.ones((shape[0], 1))  # of the penalised quantity, relative to the parameter
        scale[-1] = 1.0 / estimator.intercept_scaling if estimator.solver == "liblinear" else 0.0
        return LogisticView(
            estimator,
            _link(estimator, one_vs_rest=estimator.solver == "liblinear"),
            l2=(1.0 - l1_ratio) * strength * scale**2,
            l1=l1_ratio * strength * scale,
            scale=_once,
            class_weight=_balanced(estimator, weighted=True),
        )

    @staticmethod
    def regularised(estimator: Any, factor: float) -> Any:
        """LogisticRegressionCV chooses its own C, and without a penalty there is nothing to scale."""
        C = getattr(estimator, "C", np.inf)
        if np.isinf(C) or getattr(estimator, "penalty", "deprecated") is None:
            return None
        return clone(estimator).set_params(C=C * factor)

    @staticmethod
    def draft(estimator: Any, fitted: Any) -> None:
        estimator.set_params(tol=max(estimator.tol, _DRAFT_TOL))
        if fitted is not None and hasattr(estimator, "warm_start"):
            estimator.set_params(warm_start=True)
            estimator.coef_, estimator.intercept_ = fitted.coef_, fitted.intercept_

    @staticmethod
    def blockwise_params(estimator: Any) -> dict[str, Any] | None:
        """Parameters of `skrdia.linear_model.LogisticRegression` with the same optimum; None where it has another."""
        if not hasattr(estimator, "warm_start") or hasattr(estimator, "Cs") or estimator.solver == "liblinear":
            return None
        C, l1_ratio = LogisticRegressionFactory._penalty(estimator)
        if l1_ratio != 0.0:
            return None
        kept = ("tol", "fit_intercept", "class_weight", "max_iter", "warm_start")
        return {"C": float(C)} | {name: getattr(estimator, name) for name in kept}

    @staticmethod
    def _penalty(estimator: Any) -> tuple[Array, Array]:
        """C and l1_ratio of a fitted estimator, each a number or one per logit, whatever the version's parameters."""
        penalty = getattr(estimator, "penalty", "deprecated")
        if penalty is None:
            return np.asarray(np.inf), np.asarray(0.0)
        C = getattr(estimator, "C_", None)  # LogisticRegressionCV
        ratio = {"l1": 1.0, "l2": 0.0}.get(penalty, None if hasattr(estimator, "l1_ratio") else 0.0)
        if ratio is None:
            ratio = getattr(estimator, "l1_ratio_", None) if C is not None else estimator.l1_ratio
        C = np.asarray(estimator.C if C is None else C, dtype=np.float64)
        return C, np.nan_to_num(np.asarray(ratio, dtype=np.float64))


class SGDFactory:
    """SGDClassifier with log loss: sum of losses + n_samples * alpha * penalty, one-vs-rest over classes."""

    @staticmethod
    def check(estimator: Any) -> None:
        if estimator.loss != "log_loss":
            raise TypeError(
                f"SGDClassifier(loss={estimator.loss!r}) is not supported: it is no likelihood. Use loss='log_loss'."
            )

    @staticmethod
    def view(estimator: Any, options: Options) -> View:
        check_is_fitted(estimator)
        if options.parameters not in (None, "all", "last"):
            refuse_parameters(estimator, options.parameters)
        l1_ratio = {"l1": 1.0, "l2": 0.0}.get(estimator.penalty, estimator.l1_ratio)
        penalised = np.ones((estimator.coef_.shape[1] + 1, 1))
        penalised[-1] = 0.0
        strength = 0.0 if estimator.penalty is None else estimator.alpha
        return LogisticView(
            estimator,
            _link(estimator, one_vs_rest=True),
            l2=(1.0 - l1_ratio) * strength * penalised,
            l1=l1_ratio * strength * penalised,
            scale=float,
            class_weight=_balanced(estimator, weighted=False),
        )

    @staticmethod
    def regularised(estimator: Any, factor: float) -> Any:
        return None if estimator.penalty is None else clone(estimator).set_params(alpha=estimator.alpha / factor)

    @staticmethod
    def draft(estimator: Any, fitted: Any) -> None:
        """Nothing to do: where stochastic gradient descent ends depends on where it begins."""
