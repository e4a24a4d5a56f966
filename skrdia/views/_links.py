"""How the logits z of a logistic model become log-probabilities: the sigmoid and the softmax.

With e_k and mu as in `skrdia.views._logistic`, `lift` maps dz to e_k . dz and `drop` is its adjoint; `curve` and
`curve_entry` are products with, and entries of, the Hessian of -log p in z, and `noise` has it as its covariance, for
random signs.
"""

from __future__ import annotations

import numpy as np
from scipy.special import log_softmax, softmax

from skrdia.views._base import Array

__all__ = ["Sigmoid", "Softmax"]


class Sigmoid:
    """Independent logits: the binary model (one logit, two labels) and one-vs-rest (a logit for each label)."""

    def __init__(self, binary: bool) -> None:
        self.binary = self.is_normalised = binary

    def lift(self, dz: Array) -> Array:
        return np.hstack([np.zeros_like(dz), dz]) if self.binary else dz

    def drop(self, R: Array) -> Array:
        return R[:, 1:] if self.binary else R

    def log_proba(self, z: Array) -> Array:
        if self.binary:
            small = np.log1p(_tail(z))
            return np.hstack([np.minimum(-z, 0.0) - small, np.minimum(z, 0.0) - small])
        rest = np.minimum(-z, 0.0) - np.log1p(_tail(z))
        return np.minimum(z + rest.sum(axis=1, keepdims=True), 0.0)

    def mean(self, z: Array) -> Array:
        tail = _tail(z)
        return np.where(z >= 0.0, 1.0, tail) / (1.0 + tail)

    def curve(self, mu: Array, dz: Array) -> Array:
        return mu * (1.0 - mu) * dz

    def curve_entry(self, mu: Array, k: int, j: int) -> Array | None:
        return mu[:, k] * (1.0 - mu[:, k]) if k == j else None

    def noise(self, mu: Array, signs: Array) -> Array:
        return np.sqrt(mu * (1.0 - mu)) * signs


def _tail(z: Array) -> Array:
    """exp(-|z|), from which numpy makes logarithm and value of the sigmoid four times as fast as scipy.special does."""
    tail: Array = np.exp(-np.abs(z))
    return tail


class Softmax:
    """Multinomial logits."""

    is_normalised = True

    def lift(self, dz: Array) -> Array:
        return dz

    drop = lift

    def log_proba(self, z: Array) -> Array:
        return log_softmax(z, axis=1)

    def mean(self, z: Array) -> Array:
        return softmax(z, axis=1)

    def curve(self, mu: Array, dz: Array) -> Array:
        return mu * (dz - (mu * dz).sum(axis=1, keepdims=True))

    def curve_entry(self, mu: Array, k: int, j: int) -> Array | None:
        return mu[:, k] * ((k == j) - mu[:, j])

    def noise(self, mu: Array, signs: Array) -> Array:
        root = np.sqrt(mu) * signs
        return root - mu * root.sum(axis=1, keepdims=True)
