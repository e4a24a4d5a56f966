"""The curvature of the training objective, as a linear operator on parameter vectors.

With w (n,) the training weights, n = sum(w) their total and P = exp(log_proba),

    H v = (vjp(w * P * jvp(v)) + penalty * v) / n        (p,)

is the Gauss-Newton (= Fisher) matrix of the mean objective F / n. Where the linearisation offers `hvp` that is used
instead; for logistic regression it is the same matrix, the exact Hessian, at half the price. H is symmetric and
positive semi-definite; it is singular for a multinomial model (a shift of all intercepts changes no probability).

Reference: Martens, "New insights and perspectives on the natural gradient method", JMLR 2020.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.sparse.linalg import LinearOperator

from skrdia.views._base import Array, Linearization

__all__ = ["Curvature"]


class Curvature(LinearOperator):
    """Curvature of the mean training objective at the fitted parameters.

    Parameters
    ----------
    at : Linearization
        The training rows.
    weight : array of shape (n,)
        Non-negative weight of every row.
    penalty : array of shape (p,)
        Diagonal of the Hessian of the penalty, in the scale of the summed loss.

    Attributes
    ----------
    total : float
        Sum of the weights.
    n_products : int
        Products with a vector so far.
    smallest, largest : float
        Smallest and largest curvature ``v @ H @ v / (v @ v)`` seen in these products.
    """

    def __init__(self, at: Linearization, weight: Array, penalty: Array) -> None:
        super().__init__(np.dtype(np.float64), (len(penalty), len(penalty)))  # type: ignore[call-arg]
        self._at = at
        self._weight = weight
        self._penalty = penalty
        self.total = weight.sum()
        self._diagonal: Array | None = None  # a pass over the rows, and both the solver and the diagnostics ask for it
        self.n_products = 0
        self.smallest, self.largest = np.inf, -np.inf

    def _matvec(self, v: Array) -> Array:
        v = v.ravel()
        Hv = (_product(self._at, self._weight, v) + self._penalty * v) / self.total
        self.n_products += 1
        if (length := v @ v) > 0.0:
            self.observe(float(v @ Hv / length))
        return Hv

    def _adjoint(self) -> Curvature:
        return self

    def observe(self, *curvatures: float) -> None:
        """Widen the range of curvatures seen."""
        self.smallest = min(self.smallest, *curvatures)
        self.largest = max(self.largest, *curvatures)

    def diagonal(self) -> Array:
        """The diagonal of H, (p,); ones where the view cannot tell."""
        if self._diagonal is None:
            self._diagonal = np.ones(self.shape[0])
            if hasattr(self._at, "hessian_diagonal"):
                self._diagonal = (self._at.hessian_diagonal(self._weight) + self._penalty) / self.total
        return self._diagonal

    def toarray(self) -> Array:
        """H as an array (p, p)."""
        if hasattr(self._at, "hessian"):
            return (self._at.hessian(self._weight) + np.diag(self._penalty)) / self.total
        H = np.column_stack([self._matvec(e) for e in np.eye(self.shape[0])])
        return (H + H.T) / 2.0

    def sample(self, size: int, rng: np.random.RandomState) -> Callable[[Array], Array]:
        """The product with an unbiased estimate of H, from `size` rows drawn with replacement."""
        if not hasattr(self._at, "rows"):
            return self._matvec
        rows = rng.randint(len(self._weight), size=size)
        at, weight = self._at.rows(rows), self._weight[rows] * (len(self._weight) / size)
        return lambda v: (_product(at, weight, v) + self._penalty * v) / self.total


def _product(at: Linearization, weight: Array, v: Array) -> Array:
    if hasattr(at, "hvp"):
        return at.hvp(weight, v)
    return at.vjp(weight[:, None] * np.exp(at.log_proba) * at.jvp(v))
