"""A fitted classifier as a function of its parameters, theta -> log p_theta(y | x).

Everything that skrdia computes follows from this function linearised at the fitted theta on a fixed set of rows:

    jvp(v)_ik = d/dt log p_{theta + t v}(k | x_i) at t = 0      (n, K)
    vjp(R)    = sum_ik R_ik grad_theta log p_theta(k | x_i)     (p,)

The two are adjoint, <vjp(R), v> = <R, jvp(v)>, and additive over rows. A `Linearization` is bound to its rows so that
what does not depend on v or R (the rows put through a pipeline, the fitted probabilities) is computed once, and not
again in every product of a solver.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_softmax

__all__ = [
    "Layer",
    "Linearization",
    "Options",
    "View",
    "as_view",
    "capability",
    "check_supported",
    "draft",
    "has_view",
    "regularised",
    "soften",
]

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Options:
    """How a view is taken of an estimator; None leaves it to the type of the estimator.

    Parameters
    ----------
    parameters : str or None
        Which parameters of a net are free: "last" (those of its last layer, the default), "all", or a pattern of their
        names such as "layers.2.*".
    softening : float or None
        Factor on the logits before gradients and curvature are taken: 0.2 for nets, else 1.
    damping : float or None
        Added to the diagonal of the mean curvature: for nets by the rule of `skrdia.curvature`, else 0.
    to_inputs : bool
        Whether gradients reach back to the rows, so that the last layer of a net cannot be taken apart from the rest.
    """

    parameters: str | None = None
    softening: float | None = None
    damping: float | None = None
    to_inputs: bool = False


DEFAULTS = Options()


@dataclass(frozen=True)
class Layer:
    """Where the (d + 1, o) matrix of a layer with d inputs, bias last, is among the free parameters.

    Parameters
    ----------
    start : int
        Where its parameters begin in theta.
    is_transposed : bool
        Whether they are an (o, d) array of weights and then the biases, as in torch.
    shape : tuple of int
        (d + 1, o), or (d, o) without a bias.
    n_inputs : int
        d.
    """

    start: int
    is_transposed: bool
    shape: tuple[int, int]
    n_inputs: int

    @property
    def place(self) -> slice:
        """Its parameters in theta."""
        return slice(self.start, self.start + self.shape[0] * self.shape[1])

    def as_matrix(self, v: Array) -> Array:
        """The matrix, of the layer's parameters."""
        if not self.is_transposed:
            return v.reshape(self.shape)
        n_weights = self.n_inputs * self.shape[1]
        weights = v[:n_weights].reshape(self.shape[1], self.n_inputs).T
        return np.vstack([weights, v[n_weights:].reshape(-1, self.shape[1])])

    def as_vector(self, matrix: Array) -> Array:
        """The layer's parameters, of the matrix."""
        if not self.is_transposed:
            return matrix.ravel()
        return np.concatenate([matrix[: self.n_inputs].T.ravel(), matrix[self.n_inputs :].ravel()])


class Linearization(Protocol):
    """The log-probabilities of n fixed rows, linearised at the fitted parameters.

    Optional capabilities, looked up by name: `hvp(w, v)`, the exact Hessian product of the loss weighted by w (n,)
    where it is not the Gauss-Newton product ``vjp(w * exp(log_proba) * jvp(v))``, or cheaper than it;
    `hessian_diagonal(w)` (p,); `hessian(w)` (p, p); `rows(index)`, the same for some of the rows; `layers(R)`,
    which yields, block by block of rows, each `Layer` with its inputs (B, T, d + 1) and the errors (B, T, o) propagated
    back to its outputs, see `skrdia._kronecker`; `precision`, the machine epsilon of the
    products where it is not that of float64; `softened(c)`, the same with c times the logits; `inner(V, R)` (m, n), the
    products ``(R * jvp(v)).sum(axis=1)`` for the m columns v of V (p, m) at once; `input_gradients(V, R)`, their
    gradients in the rows (m, n, d), with `shape`, that of X; `gradients(R)` (n, p), the gradients of
    ``(R * log_proba).sum(axis=1)`` in the parameters, for few rows; `curvature_noise(w, rng)`, a random vector (p,)
    whose covariance is the Hessian of the loss weighted by w.

    A model of q logits z that are linear in its parameters also has `features`, the rows (n, d) that they multiply;
    `logit_jvp(v)` (n, q), the derivatives of z; `logit_cotangent(R)` (n, q), the gradient of ``(R * log_proba).sum()``
    in z; `logit_curvature()` (n, q, q), the Hessian of the loss in z; and `logit_covariance(A)` (n, q, q), the
    covariance of z for parameters of covariance A, a matrix (p, p) or a diagonal (p,); and `is_singular`, whether some
    change of all logits changes no probability.
    """

    log_proba: Array
    """Log-probability of every label, (n, K). Minus its entry for the given label is the loss the model minimises."""

    def jvp(self, v: Array) -> Array:
        """Derivative of every log-probability in the direction v (p,): an array (n, K)."""

    def vjp(self, R: Array) -> Array:
        """Gradient of ``(R * log_proba).sum()`` for constant R (n, K): an array (p,)."""


@runtime_checkable
class View(Protocol):
    """What skrdia needs to know of a fitted classifier with p parameters and K classes.

    Two optional attributes: `softening`, the factor on the logits (1 where it is missing), and `damping`, added to the
    diagonal of the mean curvature (0 where it is missing, None for the rule of `skrdia.curvature`).
    """

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
    "skrdia.linear_model.LogisticRegression": "skrdia.views._logistic:LogisticRegressionFactory",
    "sklearn.linear_model._stochastic_gradient.SGDClassifier": "skrdia.views._logistic:SGDFactory",
    "sklearn.neural_network._multilayer_perceptron.MLPClassifier": "skrdia.views._mlp:MLPFactory",
    "skorch.classifier.NeuralNetClassifier": "skrdia.views._torch:SkorchFactory",
    "sklearn.pipeline.Pipeline": "skrdia.views._pipeline:PipelineFactory",
    "sklearn.frozen._frozen.FrozenEstimator": "skrdia.views._pipeline:FrozenFactory",
}


class Factory(Protocol):
    """How the registry makes a view of one type of estimator."""

    @staticmethod
    def check(estimator: Any) -> None:
        """Raise TypeError when an estimator with these parameters, fitted or not, can have no view."""

    @staticmethod
    def view(estimator: Any, options: Options) -> View:
        """Return the view of a fitted estimator."""

    @staticmethod
    def regularised(estimator: Any, factor: float) -> Any:
        """Return an unfitted clone with ``1 / factor`` times the penalty, or None where there is none."""

    @staticmethod
    def draft(estimator: Any, fitted: Any) -> None:
        """Make the next `fit` cheap, where the solver can: stop early, and begin at a fitted estimator unless None."""


def soften(at: Linearization, factor: float) -> Linearization:
    """Return the linearisation of log softmax(factor * log p), where wrong labels learned by heart still show.

    A net that has memorised a wrong label gives it a probability near one, so that its gradient there vanishes. With
    the logits multiplied by a factor below one it does not.

    Parameters
    ----------
    at : Linearization
        Of log p, (n, K).
    factor : float
        Between 0 and 1; 1 returns `at` itself.

    Returns
    -------
    Linearization
    """
    if factor == 1.0:
        return at
    return at.softened(factor) if hasattr(at, "softened") else Softened(at, factor)


class Softened:
    """With q = softmax(c log p): d log q_k = c (d log p_k - sum_j q_j d log p_j), and its adjoint."""

    def __init__(self, at: Linearization, factor: float) -> None:
        self._at = at
        self._factor = factor
        self.log_proba = log_softmax(factor * at.log_proba, axis=1)
        self._proba = np.exp(self.log_proba)
        self.precision = getattr(at, "precision", np.finfo(np.float64).eps)
        if hasattr(at, "rows"):
            self.rows = lambda index: Softened(at.rows(index), factor)
        if hasattr(at, "layers"):
            self.layers = lambda R: at.layers(self._pull(R))
        if hasattr(at, "gauss_newton"):
            self.gauss_newton = lambda w, v: at.gauss_newton(w, v, factor)
            if hasattr(at, "input_gradients"):
                self.shape: tuple[int, ...] = at.shape  # type: ignore[attr-defined]
                self.input_gradients = lambda V, R: at.input_gradients(V, R, factor)

    def jvp(self, v: Array) -> Array:
        d = self._at.jvp(v)
        return self._factor * (d - (self._proba * d).sum(axis=1, keepdims=True))

    def vjp(self, R: Array) -> Array:
        return self._at.vjp(self._pull(R))

    def _pull(self, R: Array) -> Array:
        return self._factor * (R - self._proba * R.sum(axis=1, keepdims=True))


def _factory(estimator: Any) -> Factory:
    for cls in type(estimator).__mro__:
        target = _VIEWS.get(f"{cls.__module__}.{cls.__qualname__}")
        if target is not None:
            module, name = target.split(":")
            return getattr(import_module(module), name)
    known = ", ".join(dict.fromkeys(path.rpartition(".")[2] for path in _VIEWS))
    raise TypeError(
        f"base_estimator={estimator!r} is not supported: influence needs a model whose log-probabilities can be "
        f"differentiated. Supported: {known} (SGDClassifier with loss='log_loss'; NeuralNetClassifier of skorch; "
        "Pipeline and FrozenEstimator around one of the others), and any estimator with a method __skrdia_view__() "
        "that returns a skrdia.views.View. To repair labels for another classifier, name one of these as "
        "influence_estimator, for example influence_estimator=LogisticRegression(C=0.1): it finds the rows, and the "
        "base estimator is retrained."
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


def capability(estimator: Any, name: str) -> Any:
    """Return what nets of this type can do, and other classifiers cannot.

    Parameters
    ----------
    estimator : classifier
        Not a pipeline.
    name : {"fit_targets", "train_on", "scale_logits"}
        Train on soft targets; train a fitted net for some epochs more; multiply its logits by a factor.

    Returns
    -------
    callable or None
        None where this type has no such function.
    """
    return getattr(_factory(estimator), name, None) if _registered(estimator) else None


def as_view(estimator: Any, options: Options = DEFAULTS) -> View:
    """Return the `View` of a fitted estimator.

    Parameters
    ----------
    estimator : classifier
        A fitted estimator of a supported type, or one with a method ``__skrdia_view__()``.
    options : Options, default=Options()
        How the view is taken.

    Returns
    -------
    View

    Raises
    ------
    TypeError
        If the type of the estimator is not supported; the message lists the types that are.
    ValueError
        If an option does not suit the estimator.
    """
    if hasattr(estimator, "__skrdia_view__"):
        view = estimator.__skrdia_view__()
        if options.parameters is not None:
            refuse_parameters(estimator, options.parameters)
    else:
        factory = _factory(estimator)
        factory.check(estimator)
        view = factory.view(estimator, options)
    for name in ("softening", "damping"):
        if getattr(options, name) is not None:
            setattr(view, name, getattr(options, name))
    return view


def refuse_parameters(estimator: Any, parameters: str) -> None:
    """Raise ValueError: the estimator has no layers to choose from."""
    raise ValueError(
        f"parameters={parameters!r} chooses layers of a net, and {type(estimator).__name__} has none. Leave it out."
    )
