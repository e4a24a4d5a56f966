"""Logistic models linearised on rows: closed-form products, dense and sparse.

With W (d, K') the coefficients, b (K',) the intercepts and z = x W + b the logits, each of the three models is

    log p(k | x) = e_k . z - A(z),          mu = grad A(z)  (K',)

    binary       K' = 1   e_0 = 0, e_1 = 1    A = log(1 + exp z)               mu = expit(z)
    multinomial  K' = K   e_k = unit vector   A = log sum_j exp z_j            mu = softmax(z)
    one-vs-rest  K' = K   e_k = unit vector   A = sum_j log(1 + exp z_j)       mu = expit(z)

so that jvp_k = e_k . dz - mu . dz, the gradient of log p_k is x (e_k - mu), and the Hessian of -log p_k is that of A:
diag(mu) - mu mu' for the multinomial, diag(mu (1 - mu)) for the others, whatever the label. For one-vs-rest, -log p is
the sum of the K binary losses that the model minimises; it is not normalised over labels.

theta is the (d + 1, K') array of W above b, flattened row by row: sparse products then read contiguous memory. With an
L1 penalty it is restricted to the coefficients that are not zero.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.special import log_softmax
from sklearn.utils import gen_batches

from skrdia.views._base import Array, Layer, Linearization, Softened
from skrdia.views._links import Softmax
from skrdia.views._products import Products

__all__ = ["LogisticLinearization", "LogisticModel", "with_one"]

_BLOCK_BYTES = 2**23
"""Size of the temporary copies of dense rows."""


def _row_blocks(n_rows: int, n_columns: int) -> Iterator[slice]:
    return gen_batches(n_rows, max(1, _BLOCK_BYTES // (8 * max(1, n_columns))))


class LogisticModel:
    """Logits z = x W + b of any rows, and how they become probabilities.

    Parameters
    ----------
    link : Sigmoid or Softmax
    full_theta : array of shape (d + 1, K')
        W above b.
    free : bool array of shape (d + 1, K'), or None
        Where the free parameters are; None for everywhere.
    """

    def __init__(self, link: Any, full_theta: Array, free: NDArray[np.bool_] | None = None) -> None:
        self.link = link
        self.full_theta = full_theta
        self._free = free
        self.theta = self.gather(full_theta)

    def gather(self, full: Array) -> Array:
        """The free parameters of a (d + 1, K') array."""
        return full.ravel() if self._free is None else full[self._free]

    def scatter(self, v: Array) -> Array:
        """The (d + 1, K') array with v in the places of the free parameters and zero elsewhere."""
        if self._free is None:
            return v.reshape(self.full_theta.shape)
        full = np.zeros(self.full_theta.shape)
        full[self._free] = v
        return full

    def moved_to(self, theta: Array) -> LogisticModel:
        """The same with other free parameters; the others are zero."""
        return LogisticModel(self.link, self.scatter(theta), self._free)

    def layer(self) -> Layer:
        """The model as the one layer of a net."""
        d, width = self.full_theta.shape[0] - 1, self.full_theta.shape[1]
        n_rows = len(self.theta) // width
        if len(self.theta) not in (d * width, (d + 1) * width):
            raise ValueError("hessian='ekfac' needs all coefficients to be free. Use hessian='newton-cg'.")
        return Layer(0, False, (n_rows, width), d)


class LogisticLinearization:
    """A logistic model linearised on the rows X, a float array or CSR matrix (n, d); `factor` times its logits."""

    def __init__(
        self, model: LogisticModel, X: Any, known: tuple[Array, Array] | None = None, factor: float = 1.0
    ) -> None:
        self._model = model
        self._X: Any = X
        self._products = Products(X)
        self._factor = factor
        self._is_sparse = sparse.issparse(X)
        if known is None:
            z = factor * self._logits(model.full_theta)
            known = (model.link.log_proba(z), model.link.mean(z))
        self.log_proba, self._mu = known

    def jvp(self, v: Array) -> Array:
        dz = self.logit_jvp(v)
        return self._model.link.lift(dz) - (self._mu * dz).sum(axis=1, keepdims=True)

    def vjp(self, R: Array) -> Array:
        return self._pull(self.logit_cotangent(R))

    def hvp(self, w: Array, v: Array) -> Array:
        full = self._factor * self._model.scatter(v)

        def curve(rows: slice, dz: Array) -> Array:
            dz += full[-1]
            return self._factor * w[rows, None] * self._model.link.curve(self._mu[rows], dz)

        return self._gather(*self._products.both(full[:-1], curve))

    def hessian_diagonal(self, w: Array) -> Array:
        c = self._factor**2 * w[:, None] * self._mu * (1.0 - self._mu)
        return self._gather(self._products.backward(c, power=2), c.sum(axis=0))

    def hessian(self, w: Array) -> Array:
        places, width = self._places(), self._mu.shape[1]
        used = np.flatnonzero(places[:-1].any(axis=1))
        d = len(used)
        H = np.zeros((d + 1, width, d + 1, width))
        for rows in _row_blocks(self._X.shape[0], d):
            X = self._X[rows] if d == self._X.shape[1] else self._X[rows][:, used]
            X = with_one(X)
            for k in range(width):
                for j in range(k + 1):
                    c = self._model.link.curve_entry(self._mu[rows], k, j)
                    if c is not None:  # of one sign, so that the product is one of a matrix with itself
                        root = np.sqrt(w[rows] * np.abs(c))[:, None] * X
                        H[:, k, :, j] += (1.0 if k == j else -1.0) * (root.T @ root)
        for k in range(width):
            for j in range(k):
                H[:, j, :, k] = H[:, k, :, j].T
        place = places[np.append(used, -1)].ravel()
        kept = np.flatnonzero(place)
        kept = kept[np.argsort(place[kept])]
        square = H.reshape((d + 1) * width, -1)
        is_all = np.array_equal(kept, np.arange(len(square)))
        return self._factor**2 * (square if is_all else square[np.ix_(kept, kept)])

    def layers(self, R: Array) -> Iterator[tuple[Layer, Array, Array]]:
        layer = self._model.layer()
        delta = self._factor * self.logit_cotangent(R)
        for rows in _row_blocks(*self._X.shape):
            a = with_one(self._X[rows]) if layer.shape[0] > layer.n_inputs else self._X[rows]
            yield layer, a[:, None, :], delta[rows, None, :]

    def rows(self, index: Any) -> LogisticLinearization:
        known = (self.log_proba[index], self._mu[index])
        return type(self)(self._model, self._X[index], known, self._factor)

    def softened(self, factor: float) -> Linearization:
        if not self._model.link.is_normalised:
            return Softened(self, factor)
        log_proba = log_softmax(factor * self.log_proba, axis=1)
        mu = self._model.link.drop(np.exp(log_proba))
        return type(self)(self._model, self._X, (log_proba, mu), factor * self._factor)

    def logit_jvp(self, v: Array) -> Array:
        return self._factor * self._logits(self._model.scatter(v))

    def logit_cotangent(self, R: Array) -> Array:
        return self._model.link.drop(R) - R.sum(axis=1, keepdims=True) * self._mu

    def logit_curvature(self) -> Array:
        entries = np.zeros((*self._mu.shape, self._mu.shape[1]))
        for k, j in np.ndindex(*entries.shape[1:]):
            c = self._model.link.curve_entry(self._mu, k, j)
            if c is not None:
                entries[:, k, j] = c
        return entries

    def logit_covariance(self, A: Array) -> Array:
        d, width = self._X.shape[1], self._mu.shape[1]
        S = np.zeros((len(self._mu), width, width))
        if A.ndim == 1:
            S[:, np.arange(width), np.arange(width)] = self._squared_norms(self._model.scatter(A))
            return self._factor**2 * S
        A = _scattered(A, self._places()).reshape(d + 1, width, d + 1, width)
        for k in range(width):
            for j in range(k + 1):
                S[:, k, j] = S[:, j, k] = self._quadratic(np.ascontiguousarray(A[:, k, :, j]))
        return self._factor**2 * S

    def curvature_noise(self, w: Array, rng: np.random.RandomState) -> Array:
        signs = rng.choice([-1.0, 1.0], size=self._mu.shape)
        return self._pull(np.sqrt(w)[:, None] * self._model.link.noise(self._mu, signs))

    def gradients(self, R: Array) -> Array:
        place = self._places().ravel()
        kept = np.flatnonzero(place)
        G, X = self._factor * self.logit_cotangent(R), with_one(self._X)
        full = (X[:, :, None] * G[:, None, :]).reshape(len(X), -1)
        gradients = np.empty((len(X), len(kept)))
        gradients[:, place[kept] - 1] = full[:, kept]
        return gradients

    def inner(self, V: Array, R: Array, out: Array | None = None) -> Array:
        directions = np.stack([self._model.scatter(v) for v in V.T], axis=2)
        G = self._factor * self.logit_cotangent(R)
        out = np.empty((V.shape[1], len(G))) if out is None else out
        for q in range(G.shape[1]):
            W, b = directions[:-1, q], directions[-1, q]
            if q == 0:
                self._directional(W, out)
                out += b[:, None]
                out *= G[:, q]
            else:
                dz = self._directional(W)
                dz += b[:, None]
                dz *= G[:, q]
                out += dz
        return out

    @property
    def shape(self) -> tuple[int, ...]:
        return self._X.shape

    @property
    def features(self) -> Any:
        return self._X

    @property
    def is_singular(self) -> bool:
        return isinstance(self._model.link, Softmax)

    def input_gradients(self, V: Array, R: Array) -> Array:
        G, C, W = self.logit_cotangent(R), self.logit_curvature(), self._factor * self._model.full_theta[:-1]
        total = R.sum(axis=1)[:, None, None]
        out = np.empty((V.shape[1], *self._X.shape))
        for one, v in zip(out, V.T, strict=True):
            full = self._factor * self._model.scatter(v)
            dz = self._logits(full)[:, None, :]
            np.matmul(G, full[:-1].T, out=one)
            one -= (total * (dz @ C))[:, 0] @ W.T
        return out

    def _places(self) -> NDArray[np.intp]:
        """Where the entries of the (d + 1, K') array are in theta, counted from one; zero for those that are not."""
        return self._model.scatter(np.arange(1.0, len(self._model.theta) + 1.0)).astype(np.intp)

    def _directional(self, W: Array, out: Array | None = None) -> Array:
        """(X W)' for W (d, m)."""
        if not self._is_sparse and self._X.dtype == np.float64:
            return np.matmul(W.T, self._X.T, out=out)
        out = np.empty((W.shape[1], self._X.shape[0])) if out is None else out
        for rows in _row_blocks(self._X.shape[0], max(W.shape)):
            X = self._X[rows]
            out[:, rows] = (X @ W if self._is_sparse else X.astype(np.float64) @ W).T
        return out

    def _quadratic(self, A: Array) -> Array:
        """x' A x for every row x with a one appended, and A (d + 1, d + 1)."""
        values = np.empty(self._X.shape[0])
        linear = A[:-1, -1] + A[-1, :-1]
        for rows in _row_blocks(self._X.shape[0], len(A)):
            X = self._X[rows]
            if self._is_sparse:
                values[rows] = np.asarray(X.multiply(X @ A[:-1, :-1]).sum(axis=1)).ravel() + X @ linear
            else:
                X = X.astype(np.float64, copy=False)
                values[rows] = np.einsum("ij,ij->i", X @ A[:-1, :-1], X) + X @ linear
        return values + A[-1, -1]

    def _squared_norms(self, weight: Array) -> Array:
        """For every logit, the sum of weighted squares (n, K') of each row with a one appended; weights (d + 1, K')."""
        squares = np.empty(self._mu.shape)
        for rows in _row_blocks(*self._X.shape):
            X = self._X[rows].astype(np.float64)
            squared = X.multiply(X).tocsr() if self._is_sparse else X**2
            squares[rows] = squared @ weight[:-1]
        return squares + weight[-1]

    def _logits(self, full: Array) -> Array:
        """X W + b for the (d + 1, K') array of W above b."""
        z = self._products.forward(full[:-1])
        z += full[-1]
        return z

    def _pull(self, G: Array) -> Array:
        G = G if self._factor == 1.0 else self._factor * G
        return self._gather(self._products.backward(G), G.sum(axis=0))

    def _gather(self, W: Array, b: Array) -> Array:
        return self._model.gather(np.vstack([W, b]))


def with_one(a: Any) -> Array:
    """Rows with one more column, of ones."""
    a = a.toarray() if hasattr(a, "toarray") else a
    return np.hstack([a, np.ones((a.shape[0], 1))])


def _scattered(inverse: Array, places: NDArray[np.intp]) -> Array:
    """A (p, p) array of the free parameters as one of all entries of the (d + 1, K') array, raveled."""
    place = places.ravel()
    if np.array_equal(place, np.arange(1, len(inverse) + 1)):
        return inverse
    padded = np.zeros((len(inverse) + 1,) * 2)
    padded[1:, 1:] = inverse
    return padded[np.ix_(place, place)]
