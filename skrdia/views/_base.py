"""A fitted classifier as a function of its parameters, theta -> log p_theta(y | x).

Everything that skrdia computes follows from this function linearised at the fitted theta on a fixed set of rows:

    jvp(v)_ik = d/dt log p_{theta + t v}(k | x_i) at t = 0      (n, K)
    vjp(R)    = sum_ik R_ik grad_theta log p_theta(k | x_i)     (p,)

The two are adjoint, <vjp(R), v> = <R, jvp(v)>, and additive over rows. A `Linearization` is bound to its rows so that
what does not depend on v or R (the rows put through a pipeline, the fitted probabilities) is computed once, and not
again in every product of a solver.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

__all__ = ["Linearization", "View", "as_view", "check_supported", "draft", "has_view", "regularised"]

Array = NDArray[np.float64]


class Linearization(Protocol):
    """The log-probabilities of n fixed rows, linearised at the fitted parameters.

    Optional capabilities, looked up by name: `hvp(w, v)`, the exact Hessian product of the loss weighted by w (n,)
    where it is not the Gauss-Newton product ``vjp(w * exp(log_proba) * jvp(v))``, or cheaper than it;
    `hessian_diagonal(w)` (p,); `hessian(w)` (p, p); `rows(index)`, the same for some of the rows.
    """

    log_proba: Array
    """Log-probability of every label, (n, K). Minus its entry for the given label is the loss the model minimises."""

    def jvp(self, v: Array) -> Array:
        """Derivative of every log-probability in the direction v (p,): an array (n, K)."""

    def vjp(self, R: Array) -> Array:
        """Gradient of ``(R * log_proba).sum()`` for constant R (n, K): an array (p,)."""


@runtime_checkable
class View(Protocol):
    """What skrdia needs to know of a fitted classifier with p parameters and K classes."""

    theta: Array
    """The free parameters, (p,)."""

    classes_: NDArray[Any]
    """The labels, (K,), in the column order of every (n, K) array."""

    def penalty(self, n_samples: int) -> Array:
        """Diagonal of the Hessian of Omega, (p,), in the scale of the loss summed over `n_samples` rows."""

    def penalty_gradient(self, n_samples: int) -> Array:
        """Gradient of Omega at theta, (p,), in the same scale."""

    def class_weight(self, targets: Array) -> Array:
        """Factor by which the estimator itself scales the loss of each label, (K,), when trained on `targets`."""

    def linearize(self, X: Any) -> Linearization:
        """Linearise the log-probabilities of the rows of X, which are checked as in the estimator's `predict`."""


# Class path -> "module:factory". Matched along the type's MRO, so that subclasses are found and a package is imported
# only when the caller already has an estimator of it. The order is the order of the error message.
_VIEWS = {
    "sklearn.linear_model._logistic.LogisticRegression": "skrdia.views._logistic:LogisticRegressionFactory",
    "sklearn.linear_model._logistic.LogisticRegressionCV": "skrdia.views._logistic:LogisticRegressionFactory",
    "sklearn.linear_model._stochastic_gradient.SGDClassifier": "skrdia.views._logistic:SGDFactory",
    "sklearn.pipeline.Pipeline": "skrdia.views._pipeline:PipelineFactory",
    "sklearn.frozen._frozen.FrozenEstimator": "skrdia.views._pipeline:FrozenFactory",
}


class Factory(Protocol):
    """How the registry makes a view of one type of estimator."""

    @staticmethod
    def check(estimator: Any) -> None:
        """Raise TypeError when an estimator with these parameters, fitted or not, can have no view."""

    @staticmethod
    def view(estimator: Any) -> View:
        """Return the view of a fitted estimator."""

    @staticmethod
    def regularised(estimator: Any, factor: float) -> Any:
        """Return an unfitted clone with ``1 / factor`` times the penalty, or None where there is none."""

    @staticmethod
    def draft(estimator: Any, fitted: Any) -> None:
        """Make the next `fit` cheap, where the solver can: stop early, and begin at a fitted estimator unless None."""


def _factory(estimator: Any) -> Factory:
    for cls in type(estimator).__mro__:
        target = _VIEWS.get(f"{cls.__module__}.{cls.__qualname__}")
        if target is not None:
            module, name = target.split(":")
            return getattr(import_module(module), name)
    known = ", ".join(path.rpartition(".")[2] for path in _VIEWS)
    raise TypeError(
        f"base_estimator={estimator!r} is not supported: influence needs a model whose log-probabilities can be "
        f"differentiated. Supported: {known} (SGDClassifier with loss='log_loss'; Pipeline and FrozenEstimator around "
        "one of the others), and any estimator with a method __skrdia_view__() that returns a skrdia.views.View. To "
        "repair labels for another classifier, name one of these as influence_estimator, for example "
        "influence_estimator=LogisticRegression(C=0.1): it finds the rows, and the base estimator is retrained."
    )


def has_view(estimator: Any) -> bool:
    """Whether `as_view` will accept this estimator once it is fitted.

    Parameters
    ----------
    estimator : classifier
        Fitted or not.

    Returns
    -------
    bool
    """
    try:
        check_supported(estimator)
    except TypeError:
        return False
    return True


def regularised(estimator: Any, factor: float) -> Any:
    """Return an unfitted clone whose penalty is multiplied by ``1 / factor``.

    Parameters
    ----------
    estimator : classifier
        Fitted or not.
    factor : float
        Below one for a stronger penalty; multiplies `C` of a logistic regression.

    Returns
    -------
    classifier or None
        None where the type has no such parameter.
    """
    return _factory(estimator).regularised(estimator, factor) if _registered(estimator) else None


def draft(estimator: Any, fitted: Any) -> None:
    """Make the next `fit` of a clone cheap, where that is possible: stop early, and begin at another fit.

    Parameters
    ----------
    estimator : classifier
        Unfitted; changed in place.
    fitted : classifier or None
        A fit of the same estimator to the same labels.
    """
    if _registered(estimator):
        _factory(estimator).draft(estimator, fitted)


def _registered(estimator: Any) -> bool:
    return not hasattr(estimator, "__skrdia_view__") and has_view(estimator)


def check_supported(estimator: Any) -> None:
    """Raise TypeError unless `as_view` will accept this estimator once it is fitted."""
    if not hasattr(estimator, "__skrdia_view__"):
        _factory(estimator).check(estimator)


def as_view(estimator: Any) -> View:
    """Return the `View` of a fitted estimator.

    Parameters
    ----------
    estimator : classifier
        A fitted estimator of a supported type, or one with a method ``__skrdia_view__()``.

    Returns
    -------
    View

    Raises
    ------
    TypeError
        If the type of the estimator is not supported; the message lists the types that are.
    """
    if hasattr(estimator, "__skrdia_view__"):
        return estimator.__skrdia_view__()
    factory = _factory(estimator)
    factory.check(estimator)
    return factory.view(estimator)
