"""Solvers of H x = g for a curvature H (p, p), positive semi-definite, and one or more gradients g.

Each is a function ``solve(H, g, *, random_state=None) -> (x, info)``: H a `Curvature`, g an array (p,) or (p, m), x of
the shape of g, and info a dict with at least

    iterations   of the longest of the m solves
    residual     largest of the m relative residuals, in the norm of the solver
    converged    whether every residual is within the solver's tolerance

The iterative ones work in the variables D^(1/2) x, with D the diagonal of H (Jacobi preconditioning), and measure
residuals there: neither the iterations nor the accuracy depend on the units of the columns. Where H is singular, as for
a multinomial model, they return a solution, which gives the same influences as any other.

References: Shewchuk, "An introduction to the conjugate gradient method without the agonizing pain", 1994. Agarwal,
Bullins, Hazan, "Second-order stochastic optimization for machine learning in linear time", JMLR 2017 (LiSSA).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_solve
from scipy.linalg.lapack import dpotri, dpstrf
from scipy.sparse.linalg import LinearOperator, cg
from sklearn.utils import check_random_state

from skrdia._kronecker import approximate_inverse
from skrdia.curvature import Curvature
from skrdia.views._base import Array

__all__ = ["DETERMINISTIC", "SOLVERS", "Factor", "direct", "ekfac", "identity", "lissa", "newton_cg"]

Solution = tuple[Array, dict[str, Any]]


def newton_cg(
    H: Curvature, g: Array, *, rtol: float | None = None, max_iter: int = 2000, random_state: object = None
) -> Solution:
    """Conjugate gradients with the Jacobi preconditioner; H is never formed.

    Parameters
    ----------
    H : Curvature
        Of the mean training objective.
    g : array of shape (p,) or (p, m)
        Gradients.
    rtol : float, default=None
        Relative residual at which to stop; None is 1e-6, or 1e-3 for products in single precision.
    max_iter : int, default=2000
        Products with H for each column of g.
    random_state : object
        Ignored.

    Returns
    -------
    x : array of the shape of g
        Solutions.
    info : dict
        See the top of the module.
    """
    rtol = (1e-6 if H.precision < 1e-10 else 1e-3) if rtol is None else rtol
    scale = _jacobi_scale(H)
    scaled = LinearOperator(H.shape, matvec=lambda u: scale * H.matvec(scale * u), dtype=np.float64)

    def solve(b: Array) -> tuple[Array, int]:
        steps: list[None] = []
        u, _ = cg(scaled, b, rtol=rtol, atol=0.0, maxiter=max_iter, callback=lambda _: steps.append(None))
        return u, len(steps)

    return _solve_columns(solve, scaled, scale, g, tolerance=2.0 * rtol)  # the recursive residual drifts a little


def direct(H: Curvature, g: Array, *, random_state: object = None) -> Solution:
    """Dense Cholesky factorisation, inverted on the range of H: memory p**2, time p**3 / 3.

    Parameters
    ----------
    H : Curvature
        Of the mean training objective.
    g : array of shape (p,) or (p, m)
        Gradients.
    random_state : object
        Ignored.

    Returns
    -------
    x : array of the shape of g
        Solutions.
    info : dict
        See the top of the module.
    """
    return Factor(H).solve(g)


def lissa(
    H: Curvature,
    g: Array,
    *,
    rtol: float | None = None,
    max_iter: int = 2**14,
    batch_size: int = 128,
    random_state: Any = None,
) -> Solution:
    """LiSSA: the recursion ``u <- u + (b - H_batch u) / scale``, averaged over its second half.

    The scale is twice the largest eigenvalue seen in a sample of batches, so that the recursion contracts; the average
    removes most of the noise of the batches.

    Parameters
    ----------
    H : Curvature
        Of the mean training objective.
    g : array of shape (p,) or (p, m)
        Gradients.
    rtol : float, default=None
        Relative residual of the average at which to stop; None is 0.01, or 0.1 for products in single precision.
    max_iter : int, default=16384
        Batches.
    batch_size : int, default=128
        Rows in a batch, drawn with replacement.
    random_state : int, RandomState or None
        Draws the batches.

    Returns
    -------
    x : array of the shape of g
        Solutions.
    info : dict
        See the top of the module.
    """
    rng = check_random_state(random_state)
    rtol = (1e-2 if H.precision < 1e-10 else 1e-1) if rtol is None else rtol
    scale = _jacobi_scale(H)
    scaled = LinearOperator(H.shape, matvec=lambda u: scale * H.matvec(scale * u), dtype=np.float64)

    def batch() -> Callable[[Array], Array]:
        product = H.sample(batch_size, rng)
        return lambda u: scale * product(scale * u)

    rate = 0.5 / max(_largest_eigenvalue(batch(), H.shape[0], rng) for _ in range(10))

    def solve(b: Array) -> tuple[Array, int]:
        u, mean, start = np.zeros_like(b), np.zeros_like(b), 0
        for step in range(1, max_iter + 1):
            u = u + rate * (b - batch()(u))
            mean += (u - mean) / (step - start)
            if step & (step - 1) == 0:  # at the powers of two, so that the average is over the second half
                if step >= 64 and _relative(scaled @ mean - b, b) <= rtol:
                    break
                start = step
        return mean, step

    return _solve_columns(solve, scaled, scale, g, tolerance=rtol)


def ekfac(H: Curvature, g: Array, *, rtol: float = 0.1, max_iter: int = 100, random_state: object = None) -> Solution:
    """Conjugate gradients with an eigenvalue-corrected Kronecker factorisation as the preconditioner, for nets.

    The factorisation alone ignores how layers depend on each other; a few products with H mend that.

    Parameters
    ----------
    H : Curvature
        Of the mean training objective, for a view with layers.
    g : array of shape (p,) or (p, m)
        Gradients.
    rtol : float, default=0.1
        Relative residual at which to stop.
    max_iter : int, default=100
        Products with H for each column of g; 0 for the factorisation alone.
    random_state : object
        Ignored.

    Returns
    -------
    x : array of the shape of g
        Solutions.
    info : dict
        See the top of the module.

    References
    ----------
    .. [1] George et al., "Fast approximate natural gradient descent in a Kronecker-factored eigenbasis", NeurIPS 2018.
    """
    inverse = LinearOperator(H.shape, matvec=approximate_inverse(H), dtype=np.float64)

    def solve(b: Array) -> tuple[Array, int]:
        steps: list[None] = []
        start = inverse @ b
        if max_iter == 0:
            return start, 0
        u, _ = cg(
            H, b, x0=start, rtol=rtol, atol=0.0, maxiter=max_iter, M=inverse, callback=lambda _: steps.append(None)
        )
        return u, len(steps)

    return _solve_columns(solve, H, np.ones(H.shape[0]), g, tolerance=2.0 * rtol)


def identity(H: Curvature, g: Array, *, random_state: object = None) -> Solution:
    """No curvature, x = g: the influences become dot products of gradients.

    Parameters
    ----------
    H : Curvature
        Ignored.
    g : array of shape (p,) or (p, m)
        Gradients.
    random_state : object
        Ignored.

    Returns
    -------
    x : array of the shape of g
        Solutions.
    info : dict
        See the top of the module.
    """
    return g.copy(), {"iterations": 0, "residual": 0.0, "converged": True}


SOLVERS: dict[str, Callable[..., Solution]] = {
    "newton-cg": newton_cg,
    "direct": direct,
    "lissa": lissa,
    "ekfac": ekfac,
    "identity": identity,
}

DETERMINISTIC = frozenset({"newton-cg", "direct", "ekfac", "identity"})
"""Solvers that ignore `random_state`."""

DIRECT_MAX = 20_000
"""Most parameters for which "direct" forms the Hessian: 3.2 GB."""


class Factor:
    """A dense H with its Cholesky factor, for any number of solves, and for its inverse.

    Parameters
    ----------
    H : Curvature
        Of the mean training objective.
    """

    def __init__(self, H: Curvature) -> None:
        p = H.shape[0]
        if p > DIRECT_MAX:
            raise ValueError(
                f"hessian='direct' forms the dense Hessian, {p} x {p} numbers ({8e-9 * p * p:,.0f} GB), and is limited "
                f"to {DIRECT_MAX} parameters. Use hessian='newton-cg', which never forms it."
            )
        dense = H.toarray()
        H.observe(*dense.diagonal().tolist())
        self._scale = _jacobi_scale(H)
        self._scaled = self._scale[:, None] * dense * self._scale
        self._lower, self._kept = _cholesky(self._scaled)
        self.rank = len(self._kept)

    def solve(self, g: Array) -> Solution:
        """The solution for g (p,) or (p, m), and what the top of the module says of it."""
        b = (self._scale * g.T).T
        u = np.zeros_like(b)
        u[self._kept] = cho_solve((self._lower, True), b[self._kept])
        residual = _relative(self._scaled @ u - b, b)
        info = {"iterations": 0, "residual": residual, "converged": residual <= 1e-6, "rank": self.rank}
        return (self._scale * u.T).T, info

    def inverse(self) -> Array:
        """A generalised inverse, (p, p): the inverse on parameters that determine the others, and zero for these."""
        part = dpotri(self._lower, lower=1)[0]
        part = np.tril(part) + np.tril(part, -1).T
        if self.rank == len(self._scale):
            return self._scale[:, None] * part * self._scale
        inverse = np.zeros_like(self._scaled)
        inverse[np.ix_(self._kept, self._kept)] = part
        return self._scale[:, None] * inverse * self._scale


def _cholesky(scaled: Array) -> tuple[Array, NDArray[np.intp]]:
    """The lower factor of a matrix whose diagonal is at most one, and the rows and columns that it is of.

    These are all where the matrix is regular. Where it is singular, as for a multinomial model, they are as many as its
    rank, chosen by complete pivoting.
    """
    tolerance = len(scaled) * np.finfo(np.float64).eps
    try:
        lower = np.asarray(np.linalg.cholesky(scaled), dtype=np.float64)
        if lower.diagonal().min() ** 2 > tolerance:
            return lower, np.arange(len(scaled))
    except np.linalg.LinAlgError:
        pass
    factor, pivots, rank, _ = dpstrf(scaled, tol=tolerance, lower=1)
    return np.tril(factor[:rank, :rank]), pivots[:rank] - 1


def _jacobi_scale(H: Curvature) -> Array:
    """D^(-1/2), with zero where H has no curvature at all: such a parameter stays where it is."""
    diagonal = H.diagonal()
    scale = np.zeros_like(diagonal)
    np.divide(1.0, np.sqrt(diagonal, where=diagonal > 0.0, out=np.ones_like(diagonal)), where=diagonal > 0.0, out=scale)
    return scale


def _solve_columns(
    solve: Callable[[Array], tuple[Array, int]], scaled: LinearOperator, scale: Array, g: Array, tolerance: float
) -> Solution:
    """Solve for each column of g in the scaled variables, and measure what is left."""
    columns = g.reshape(len(g), -1)
    x, iterations, residual = np.zeros_like(columns), 0, 0.0
    for m, column in enumerate(columns.T):
        b = scale * column
        u, steps = solve(b)
        x[:, m] = scale * u
        iterations, residual = max(iterations, steps), max(residual, _relative(scaled @ u - b, b))
    info = {"iterations": iterations, "residual": residual, "converged": bool(residual <= tolerance)}
    return x.reshape(g.shape), info


def _relative(r: Array, b: Array) -> float:
    """Largest ratio of the norms of the columns of r and b."""
    norms = np.linalg.norm(b, axis=0)
    return float(np.max(np.linalg.norm(r, axis=0) / np.where(norms > 0.0, norms, 1.0)))


def _largest_eigenvalue(product: Callable[[Array], Array], p: int, rng: np.random.RandomState) -> float:
    v, value = rng.standard_normal(p), 0.0
    for _ in range(20):
        v = product(v / np.linalg.norm(v))
        value = float(np.linalg.norm(v))
        if value == 0.0:
            return 1.0
    return value
