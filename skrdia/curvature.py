"""The curvature of the training objective, as a linear operator on parameter vectors.

With w (n,) the training weights, n = sum(w) their total and P = exp(log_proba),

    H v = (vjp(w * P * jvp(v)) + penalty * v) / n + damping * v        (p,)

is, without the damping, the Gauss-Newton (= Fisher) matrix of the mean objective F / n. Where the linearisation offers
`hvp` that is used instead; for logistic regression it is the same matrix, the exact Hessian, at half the price. H is
symmetric and positive semi-definite; without damping it is singular for a multinomial model (a shift of all intercepts
changes no probability).

A net has far more parameters than its rows determine, and is not at an optimum: along most directions H says nothing,
and its inverse would be noise. So damping is added, for nets by default a thousandth of the trace of the rest,

    damping = trace(H) / 1000,         trace(H) = E |vjp(sqrt(w P) * signs)|^2 / n over random signs (n, K),

estimated by four draws. Whatever p is, that leaves at most a thousand effective parameters: the sum of
h / (h + damping) over the eigenvalues h of H.

Reference: Martens, "New insights and perspectives on the natural gradient method", JMLR 2020.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse.linalg import LinearOperator

from skrdia._progress import tell
from skrdia.views._base import Array, Layer, Linearization

__all__ = ["Curvature"]

_EFFECTIVE_PARAMETERS, _N_DRAWS = 1000, 4
"""Most effective parameters that the damping of nets leaves, and draws of random signs to estimate the trace."""


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
    damping : float or None, default=0.0
        Added to the diagonal of H; None for a thousandth of its trace.

    Attributes
    ----------
    damping : float
        The number used.
    precision : float
        Machine epsilon of the products.
    total : float
        Sum of the weights.
    n_products : int
        Products with a vector so far.
    smallest, largest : float
        Smallest and largest curvature ``v @ H @ v / (v @ v)`` seen in these products.
    """

    def __init__(self, at: Linearization, weight: Array, penalty: Array, damping: float | None = 0.0) -> None:
        super().__init__(np.dtype(np.float64), (len(penalty), len(penalty)))  # type: ignore[call-arg]
        self._at: Any = at
        self._weight = weight
        self._penalty = penalty
        self.total = float(weight.sum())
        self.precision = float(getattr(at, "precision", np.finfo(np.float64).eps))
        self._diagonal: Array | None = None  # a pass over the rows, and both the solver and the diagnostics ask for it
        self.n_products = 0
        self.smallest, self.largest = np.inf, -np.inf
        self.damping = self._trace() / _EFFECTIVE_PARAMETERS if damping is None else damping

    def _matvec(self, v: Array) -> Array:
        v = v.ravel()
        Hv = (_product(self._at, self._weight, v) + self._penalty * v) / self.total + self.damping * v
        self.n_products += 1
        tell(f"step II: {self.n_products} products with the Hessian over {len(self._weight):,} rows", is_minor=True)
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
                loss = self._at.hessian_diagonal(self._weight)
                self._diagonal = (loss + self._penalty) / self.total + self.damping
        return self._diagonal

    @property
    def share(self) -> Array:
        """Share of every row in the total weight, (n,)."""
        return self._weight / self.total

    @property
    def has_dense(self) -> bool:
        """Whether the dense matrix takes fewer than p products."""
        return hasattr(self._at, "hessian")

    def noise(self, rng: np.random.RandomState) -> Array:
        """A random vector (p,) with mean zero and covariance H."""
        if hasattr(self._at, "curvature_noise"):
            loss = self._at.curvature_noise(self._weight, rng)
        else:
            loss = self._at.vjp(self.random_signs(rng))
        signs = rng.choice([-1.0, 1.0], size=(2, len(loss)))
        return (loss + np.sqrt(self._penalty) * signs[0]) / np.sqrt(self.total) + np.sqrt(self.damping) * signs[1]

    def random_signs(self, rng: np.random.RandomState) -> Array:
        """R (n, K) such that vjp(R) has mean zero and, as its covariance, the curvature of the summed loss."""
        signs = rng.choice([-1.0, 1.0], size=self._at.log_proba.shape)
        return signs * np.sqrt(self._weight[:, None] * np.exp(self._at.log_proba))

    def layers(self, n_draws: int) -> Iterator[tuple[Layer, Array, Array]]:
        """Layers of a net, their inputs, and the errors propagated back from random signs, block by block of rows."""
        if not hasattr(self._at, "layers"):
            return
        rng = np.random.RandomState(0)
        for _ in range(n_draws):
            yield from self._at.layers(self.random_signs(rng))

    def offset(self, place: slice) -> float:
        """What penalty and damping add to the diagonal of H there, on average."""
        return float(self._penalty[place].mean()) / self.total + self.damping

    def mean_diagonal(self, where: NDArray[np.bool_]) -> float:
        """Mean of the diagonal of H there, estimated."""
        return float((self._squares()[where].mean() + self._penalty[where].mean()) / self.total + self.damping)

    def _trace(self) -> float:
        return float(self._squares().sum() + self._penalty.sum()) / self.total

    def _squares(self) -> Array:
        """An unbiased estimate (p,) of the diagonal of the curvature of the summed loss."""
        rng = np.random.RandomState(0)
        return sum(self._at.vjp(self.random_signs(rng)) ** 2 for _ in range(_N_DRAWS)) / _N_DRAWS

    def toarray(self) -> Array:
        """H as an array (p, p)."""
        if hasattr(self._at, "hessian"):
            H = (self._at.hessian(self._weight) + np.diag(self._penalty)) / self.total
            return H + self.damping * np.eye(len(H))
        H = np.column_stack([self._matvec(e) for e in np.eye(self.shape[0])])
        return (H + H.T) / 2.0

    def sample(self, size: int, rng: np.random.RandomState) -> Callable[[Array], Array]:
        """The product with an unbiased estimate of H, from `size` rows drawn with replacement."""
        if not hasattr(self._at, "rows"):
            return self._matvec
        rows = rng.randint(len(self._weight), size=size)
        at, weight = self._at.rows(rows), self._weight[rows] * (len(self._weight) / size)
        return lambda v: (_product(at, weight, v) + self._penalty * v) / self.total + self.damping * v


def _product(at: Linearization, weight: Array, v: Array) -> Array:
    if hasattr(at, "hvp"):
        return at.hvp(weight, v)
    if hasattr(at, "gauss_newton"):
        return at.gauss_newton(weight, v)
    return at.vjp(weight[:, None] * np.exp(at.log_proba) * at.jvp(v))
