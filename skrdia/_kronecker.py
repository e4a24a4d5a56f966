"""An eigenvalue-corrected Kronecker factorisation (EKFAC) of the curvature of a net, as a cheap approximate inverse.

A layer multiplies its inputs a (one more for the bias) by a matrix. With delta the error that is propagated back to its
output, the gradient of that matrix is sum_t a_t delta_t' for a row with positions t, of which there is one but for
convolutions. Over rows and random signs R with covariance diag(w P) (see `Curvature.random_signs`),

    U_A, U_G    eigenvectors of E a a' (d + 1, d + 1) and of E delta delta' (o, o)
    Lambda      E (U_A' (sum_t a_t delta_t') U_G)^2                                           (d + 1, o)
    H^-1 V      U_A ((U_A' V U_G) / (Lambda / n + penalty / n + damping)) U_G'                for V (d + 1, o)

layer by layer, and a multiple of the identity for parameters that belong to no such layer.

Reference: George, Laurent, Bouthillier, Ballas, Vincent, "Fast approximate natural gradient descent in a
Kronecker-factored eigenbasis", NeurIPS 2018.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.linalg import eigh

from skrdia.curvature import Curvature
from skrdia.views._base import Array, Layer

__all__ = ["approximate_inverse"]

_N_DRAWS = 4
"""Draws of random signs over all rows: each row adds four gradients to the averages."""

_LARGEST_LAYER = 10_000
"""Most inputs or outputs of a layer, of which a dense square matrix is factorised."""


@dataclass(frozen=True)
class _Factors:
    """A layer, its eigenvectors, and the curvature of every entry in their basis."""

    layer: Layer
    inputs: Array
    outputs: Array
    curvature: Array

    def solve(self, v: Array) -> Array:
        V = self.inputs.T @ self.layer.as_matrix(v) @ self.outputs / self.curvature
        return self.layer.as_vector(self.inputs @ V @ self.outputs.T)


def approximate_inverse(H: Curvature) -> Callable[[Array], Array]:
    """The map from v (p,) to H^-1 v, approximately.

    Raises
    ------
    ValueError
        If the view has no layers, or a layer is too large.
    """
    moments: dict[Layer, tuple[Array, Array]] = {}
    for layer, a, delta in H.layers(_N_DRAWS):
        if layer not in moments:
            _check_size(a.shape[2], delta.shape[2])
            moments[layer] = (np.zeros((a.shape[2],) * 2), np.zeros((delta.shape[2],) * 2))
        for moment, rows in zip(moments[layer], (a, delta), strict=True):
            moment += np.einsum("bti,btj->ij", rows, rows, optimize=True)
    if not moments:
        raise ValueError(
            "hessian='ekfac' needs a net with linear or convolutional layers, all of whose parameters are free. Use "
            "hessian='newton-cg'."
        )
    bases = {layer: (eigh(A)[1], eigh(G)[1]) for layer, (A, G) in moments.items()}
    squares = {layer: np.zeros((len(U_A), len(U_G))) for layer, (U_A, U_G) in bases.items()}
    for layer, a, delta in H.layers(_N_DRAWS):
        U_A, U_G = bases[layer]
        squares[layer] += _squares(a @ U_A, delta @ U_G)
    factors = [
        _Factors(layer, U_A, U_G, squares[layer] / (_N_DRAWS * H.total) + H.offset(layer.place))
        for layer, (U_A, U_G) in bases.items()
    ]
    return _by_layers(factors, H)


def _by_layers(factors: list[_Factors], H: Curvature) -> Callable[[Array], Array]:
    rest = np.ones(H.shape[0], dtype=bool)
    for one in factors:
        rest[one.layer.place] = False
    others = H.mean_diagonal(rest) if rest.any() else 1.0

    def solve(v: Array) -> Array:
        x = v / others
        for one in factors:
            x[one.layer.place] = one.solve(v[one.layer.place])
        return x

    return solve


def _squares(a: Array, delta: Array) -> Array:
    """sum over rows of (sum_t a_t delta_t')^2, for a (B, T, d) and delta (B, T, o)."""
    if a.shape[1] == 1:
        return (a[:, 0] ** 2).T @ delta[:, 0] ** 2
    return (np.einsum("bti,btj->bij", a, delta, optimize=True) ** 2).sum(axis=0)


def _check_size(*sizes: int) -> None:
    if max(sizes) > _LARGEST_LAYER:
        raise ValueError(
            f"hessian='ekfac' factorises a dense matrix for every layer, and one has {max(sizes)} inputs or outputs; "
            f"the limit is {_LARGEST_LAYER}. Use hessian='newton-cg', or name smaller layers by parameters."
        )
