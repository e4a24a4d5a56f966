"""Weights of a mixture of models by what they predicted for rows they had not seen.

With P_cj the probability that model c gave to the right label of row j, v_j the weight of the row and pi a prior,

    w = argmax_w  sum_j v_j log sum_c w_c P_cj  +  m sum_c pi_c log w_c        over the simplex

the weights of the linear opinion pool with the best predictive log score, shrunk towards pi as if m further rows had
been predicted by pi's models alone. The objective is concave; expectation maximisation climbs to its maximum.

Reference: Yao, Vehtari, Simpson, Gelman, "Using stacking to average Bayesian predictive distributions", Bayesian
Analysis 13, 2018, for the log score.
"""

from __future__ import annotations

import numpy as np

from skrdia.views._base import Array

__all__ = ["stacking_weights"]

_MAX_ITER, _TOL = 300, 1e-6


def stacking_weights(likelihood: Array, weight: Array, prior: Array, strength: float) -> Array:
    """w (M,) for likelihoods P (M, n), row weights v (n,), prior pi (M,) and its strength m in rows."""
    total = weight.sum() + strength
    mixture = prior.copy()
    likelihood = np.maximum(likelihood, np.finfo(np.float64).eps)
    for _ in range(_MAX_ITER):
        responsible = mixture * (likelihood @ (weight / (mixture @ likelihood)))
        updated = (responsible + strength * prior) / total
        change = np.abs(updated - mixture).max()
        mixture = updated
        if change < _TOL:
            break
    return mixture
