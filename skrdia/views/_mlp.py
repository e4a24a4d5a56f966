"""scikit-learn's MLPClassifier, by its weights alone.

With a_0 = x, z_l = a_{l-1} W_l + b_l and a_l = f(z_l) for the hidden layers, and z_L the logits of a logistic model,
see `skrdia.views._logistic`,

    dz_l    = a_{l-1} dW_l + db_l + da_{l-1} W_l,       da_l = f'(z_l) dz_l          forwards, for jvp
    delta_L = R pulled to the logits,   delta_{l-1} = f'(z_{l-1}) (delta_l W_l')     backwards, for vjp
    grad W_l = a_{l-1}' delta_l,        grad b_l = sum over rows of delta_l

theta is the concatenation of the free W_l, raveled, and b_l, layer by layer: W_1, b_1, W_2, b_2, ...

The estimator's objective on a batch of B rows is their mean loss plus alpha |W|^2 / (2 B). Summed over n rows, that
is a penalty of strength alpha n / B.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from fnmatch import fnmatchcase
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.utils import gen_batches
from sklearn.utils.validation import check_is_fitted, validate_data

from skrdia.views._base import Array, Layer, Options, View
from skrdia.views._links import Sigmoid, Softmax
from skrdia.views._logistic import LogisticView
from skrdia.views._logistic_rows import with_one
from skrdia.views._mlp_training import fit_targets, train_on
from skrdia.views._pipeline import PipelineView

__all__ = ["SOFTENING", "MLPFactory", "MLPView", "head_view"]

SOFTENING = 0.2
"""Of nets, see `skrdia.views.soften`."""

_BLOCK_NUMBERS = 2**20
"""Numbers in the activations of a block of rows."""

_ACTIVATIONS: dict[str, tuple[Callable[[Array], Array], Callable[[Array, Array], Array]]] = {
    "identity": (lambda z: z, lambda z, a: np.ones_like(z)),
    "logistic": (expit, lambda z, a: a * (1.0 - a)),
    "tanh": (np.tanh, lambda z, a: 1.0 - a**2),
    "relu": (lambda z: np.maximum(z, 0.0), lambda z, a: (z > 0.0).astype(np.float64)),
}
"""Activation f(z), and its derivative from z and a = f(z)."""

Layers = list[tuple[Array, Array]]
"""(W_l, b_l) of every layer."""


class MLPView:
    """A multi-layer perceptron: every layer of `MLPClassifier`, or those whose names match a pattern.

    Parameters
    ----------
    estimator : MLPClassifier
        Fitted.
    pattern : str
        Of the names of the free parameters, "coefs_.0", "intercepts_.0", "coefs_.1", ...
    """

    softening: float = SOFTENING
    damping: float | None = None

    def __init__(self, estimator: Any, pattern: str) -> None:
        self._estimator = estimator
        self.classes_: NDArray[Any] = estimator.classes_
        self.link = _link(estimator)
        self.activation = _ACTIVATIONS[estimator.activation]
        weights = zip(estimator.coefs_, estimator.intercepts_, strict=True)
        self.layers: Layers = [(np.asarray(W, np.float64), np.asarray(b, np.float64)) for W, b in weights]
        names = [f"{kind}.{i}" for i in range(len(self.layers)) for kind in ("coefs_", "intercepts_")]
        matched = [fnmatchcase(name, pattern) for name in names]
        if not any(matched):
            raise ValueError(f"parameters={pattern!r} matches none of the parameters of the net: {names}.")
        sizes = [array.size for layer in self.layers for array in layer]
        self.free = np.repeat(matched, sizes)
        self._full_theta = np.concatenate([array.ravel() for layer in self.layers for array in layer])
        self._is_weight = np.repeat([i % 2 == 0 for i in range(len(names))], sizes)[self.free]
        self.theta = self._full_theta[self.free]

    def penalty(self, n_samples: int) -> Array:
        return self._estimator.alpha * _batches(self._estimator)(n_samples) * self._is_weight

    def penalty_gradient(self, n_samples: int) -> Array:
        return self.penalty(n_samples) * self.theta

    def class_weight(self, targets: Array) -> Array:
        return np.ones(len(self.classes_))

    def linearize(self, X: Any) -> MLPLinearization:
        return MLPLinearization(self, _check_rows(self._estimator, X))

    def split(self, v: Array) -> Layers:
        """The directions dW_l, db_l of a direction v (p,) of the free parameters."""
        full = np.zeros(len(self._full_theta))
        full[self.free] = v
        layers, start = [], 0
        for W, b in self.layers:
            dW = full[start : start + W.size].reshape(W.shape)
            layers.append((dW, full[start + W.size : start + W.size + b.size]))
            start += W.size + b.size
        return layers

    def gather(self, gradients: Layers) -> Array:
        """The free ones of the gradients of every layer, (p,)."""
        return np.concatenate([array.ravel() for layer in gradients for array in layer])[self.free]

    def logits(self, X: Any) -> Array:
        """The logits of rows X, (n, K')."""
        return self.forward(X)[-1][1]

    def forward(self, X: Any) -> list[tuple[Any, Array]]:
        """(a_{l-1}, z_l) of every layer."""
        passed, a = [], X
        for i, (W, b) in enumerate(self.layers):
            z = a @ W + b
            passed.append((a, z))
            a = self.activation[0](z) if i + 1 < len(self.layers) else z
        return passed


class MLPLinearization:
    """A multi-layer perceptron linearised on the rows X, a float64 array or CSR matrix (n, d); block by block."""

    def __init__(self, view: MLPView, X: Any) -> None:
        self._view = view
        self._X: Any = X
        z = np.concatenate([view.logits(self._X[rows]) for rows in self._blocks()])
        self.log_proba = view.link.log_proba(z)

    def _blocks(self) -> Iterator[slice]:
        width = sum(len(b) for _, b in self._view.layers) + self._X.shape[1]
        return gen_batches(self._X.shape[0], max(1, _BLOCK_NUMBERS // width))

    def jvp(self, v: Array) -> Array:
        direction = self._view.split(v)
        blocks = []
        for rows in self._blocks():
            passed = self._view.forward(self._X[rows])
            blocks.append(self._lift(passed[-1][1], self._push(passed, direction)))
        return np.concatenate(blocks)

    def vjp(self, R: Array) -> Array:
        gradient = np.zeros(len(self._view.theta))
        for rows in self._blocks():
            gradient += self._gradient(self._view.forward(self._X[rows]), R[rows])
        return gradient

    def gauss_newton(self, w: Array, v: Array, softening: float = 1.0) -> Array:
        """The product ``vjp(w * P * jvp(v))`` of the softened model, with one forward pass."""
        direction, product = self._view.split(v), np.zeros(len(self._view.theta))
        for rows in self._blocks():
            passed = self._view.forward(self._X[rows])
            d = self._lift(passed[-1][1], self._push(passed, direction))
            product += self._gradient(passed, curve(self.log_proba[rows], d, w[rows], softening))
        return product

    def rows(self, index: Any) -> MLPLinearization:
        return MLPLinearization(self._view, self._X[index])

    def layers(self, R: Array) -> Iterator[tuple[Layer, Array, Array]]:
        for rows in self._blocks():
            passed = self._view.forward(self._X[rows])
            for layer, (a, _), delta in zip(self._layers(), passed, self._errors(passed, R[rows]), strict=True):
                if layer is not None:
                    yield layer, with_one(a)[:, None, :], delta[:, None, :]

    def _layers(self) -> list[Layer | None]:
        """Where each layer is among the free parameters; None where not all of it is."""
        found, start, end = list[Layer | None](), 0, 0
        for W, b in self._view.layers:
            size = W.size + b.size
            n_free = int(self._view.free[start : start + size].sum())
            whole = Layer(end, False, (len(W) + 1, len(b)), len(W))
            found.append(whole if n_free == size else None)
            start, end = start + size, end + n_free
        return found

    def _push(self, passed: list[tuple[Any, Array]], direction: Layers) -> Array:
        """dz_L for a direction."""
        da: Any = None
        for i, ((a, z), (dW, db), (W, _)) in enumerate(zip(passed, direction, self._view.layers, strict=True)):
            dz = a @ dW + db
            if da is not None:
                dz = dz + da @ W
            if i + 1 < len(passed):
                da = self._view.activation[1](z, passed[i + 1][0]) * dz
        return dz

    def _lift(self, z: Array, dz: Array) -> Array:
        """d log p from dz_L."""
        return self._view.link.lift(dz) - (self._view.link.mean(z) * dz).sum(axis=1, keepdims=True)

    def _errors(self, passed: list[tuple[Any, Array]], R: Array) -> list[Array]:
        """delta_l of every layer."""
        link, slope = self._view.link, self._view.activation[1]
        deltas = [link.drop(R) - R.sum(axis=1, keepdims=True) * link.mean(passed[-1][1])]
        for i in range(len(passed) - 1, 0, -1):
            deltas.insert(0, slope(passed[i - 1][1], passed[i][0]) * (deltas[0] @ self._view.layers[i][0].T))
        return deltas

    def _gradient(self, passed: list[tuple[Any, Array]], R: Array) -> Array:
        deltas = self._errors(passed, R)
        pairs = zip(passed, deltas, strict=True)
        return self._view.gather([(np.asarray(a.T @ delta), delta.sum(axis=0)) for (a, _), delta in pairs])


def curve(log_proba: Array, d: Array, w: Array, softening: float) -> Array:
    """What vjp pulls back in a Gauss-Newton product: w * P * d, for the softened model where the factor is not one.

    The arrays log_proba and d = jvp(v) are (n, K), w is (n,).
    """
    if softening == 1.0:
        return w[:, None] * np.exp(log_proba) * d
    logits = softening * log_proba
    proba = np.exp(logits - logits.max(axis=1, keepdims=True))
    proba /= proba.sum(axis=1, keepdims=True)
    centred = d - (proba * d).sum(axis=1, keepdims=True)
    return softening**2 * w[:, None] * proba * centred


def head_view(
    features: Callable[[Any], Any], W: Array, b: Array, classes: NDArray[Any], link: Any, **params: Any
) -> View:
    """The view of a net of which only the last, linear layer is free: a logistic model of the layer's inputs."""
    head = LogisticRegression()
    head.classes_, head.coef_, head.intercept_, head.n_features_in_ = classes, W.T, b, len(W)
    last = LogisticView(head, link, l1=np.zeros(1), **params)
    last.softening, last.damping = SOFTENING, None
    return PipelineView(features, last)


def _link(estimator: Any) -> Sigmoid | Softmax:
    return Softmax() if estimator.out_activation_ == "softmax" else Sigmoid(binary=True)


def _batches(estimator: Any) -> Callable[[int], float]:
    """How many batches there are of n training rows, whole and parts."""
    size = estimator.batch_size if estimator.batch_size != "auto" else 200
    return lambda n: 1.0 if estimator.solver == "lbfgs" else n / min(size, n)


def _check_rows(estimator: Any, X: Any) -> Any:
    return validate_data(estimator, X, reset=False, accept_sparse="csr", dtype=np.float64)


class MLPFactory:
    """MLPClassifier."""

    fit_targets = staticmethod(fit_targets)
    train_on = staticmethod(train_on)

    @staticmethod
    def check(estimator: Any) -> None:
        """Every MLPClassifier minimises a cross-entropy."""

    @staticmethod
    def view(estimator: Any, options: Options) -> View:
        check_is_fitted(estimator)
        if options.to_inputs and options.parameters in (None, "last"):
            return MLPView(estimator, f"*.{len(estimator.coefs_) - 1}")
        if options.parameters not in (None, "last"):
            return MLPView(estimator, "*" if options.parameters == "all" else options.parameters)
        net = MLPView(estimator, "*")
        W, b = net.layers[-1]
        l2 = np.full((len(W) + 1, 1), estimator.alpha)
        l2[-1] = 0.0

        def features(X: Any) -> Any:
            return net.forward(_check_rows(estimator, X))[-1][0]

        params = {"l2": l2, "scale": _batches(estimator), "class_weight": net.class_weight}
        return head_view(features, W, b, net.classes_, net.link, **params)

    @staticmethod
    def scale_logits(net: Any, factor: float) -> Any:
        """A copy of a fitted net whose logits are multiplied by a factor."""
        net = copy.deepcopy(net)
        net.coefs_[-1], net.intercepts_[-1] = factor * net.coefs_[-1], factor * net.intercepts_[-1]
        return net

    @staticmethod
    def regularised(estimator: Any, factor: float) -> Any:
        return clone(estimator).set_params(alpha=estimator.alpha / factor) if estimator.alpha > 0.0 else None

    @staticmethod
    def draft(estimator: Any, fitted: Any) -> None:
        """Nothing to do: where it ends depends on where it begins."""
