"""The right label of a row, from what models of the labels as given say of it: fitted to verified rows.

Labels that rules or other models gave are wrong in ways that the columns explain, so that no model of the labels as
given can tell errors from truth. Verified rows can: they show what the right labels are where the models say this or
that. With s_mik the centred log probabilities of M models, none of which has seen row i (`skrdia._noise_model`),

    z_ik = sum_m a_m s_mik + b_k + sum_j given_ij (c [j = k] + B_jk)                               (n, K)

is fitted to the verified rows by multinomial logistic regression, v_i their weights,

    min  sum_i v_i (-log softmax(z_i)_right)  +  l / 2 (4 |a - 1 / M|^2 + |b|^2 + |B|^2 + c^2 / 10)

The terms with c and B, for the label that a row came with, are there where that is known of verified rows (pairs). The
softmax is the posterior of the right label then. Without pairs it is the probability of the right label by the columns
alone, and expectation maximisation finds the channel, see `skrdia._label_posterior`.

References: Wolpert, "Stacked generalization", Neural Networks 5, 1992. Hendrycks, Mazeika, Wilson, Gimpel, "Using
trusted data to train deep networks on labels corrupted by severe noise", NeurIPS 2018: a channel from verified rows.
"""

from __future__ import annotations

import numpy as np
from scipy.optimize import minimize
from scipy.special import log_softmax, softmax

from skrdia.views._base import Array

__all__ = ["calibrated"]

_PENALTY, _SLOPE, _KEPT = 0.3, 4.0, 0.1
"""l, and the factors of |a - 1 / M|^2 and c^2."""
_SMALLEST, _MAX_ITER = 1e-3, 200


def calibrated(
    proba: Array,
    proba_val: Array,
    targets_val: Array,
    given: Array | None = None,
    given_val: Array | None = None,
) -> Array:
    """Probabilities of the right labels.

    Parameters
    ----------
    proba : array of shape (M, n, K)
        What the models say of the rows.
    proba_val : array of shape (M, n_val, K)
        What they say of the verified rows, which they have not seen.
    targets_val : array of shape (n_val, K)
        The weight of each verified row in the column of its right label.
    given, given_val : array of shapes (n, K) and (n_val, K), default=None
        One in the column of the label that each row came with, zeros where that is not known; None: not used.

    Returns
    -------
    right : array of shape (n, K)
    """
    n_models, _, n_classes = proba.shape
    came = np.zeros(targets_val.shape) if given_val is None else given_val
    scores, ends = _centred(proba_val), (n_models, n_models + n_classes, n_models + n_classes + 1)
    weight = targets_val.sum(axis=1)
    start = np.concatenate([np.full(n_models, 1.0 / n_models), np.zeros(n_classes), [1.0], np.zeros(n_classes**2)])
    factors = np.ones(len(start))
    factors[: ends[0]], factors[ends[1]] = _SLOPE, _KEPT
    centre = np.where(np.arange(len(start)) < n_models, start, 0.0)

    def logits(params: Array, scores: Array, came: Array) -> Array:
        kept = params[ends[1]] * np.eye(n_classes) + params[ends[2] :].reshape(n_classes, n_classes)
        return np.asarray(np.tensordot(params[: ends[0]], scores, axes=1) + params[ends[0] : ends[1]] + came @ kept)

    def loss(params: Array) -> tuple[float, Array]:
        z = logits(params, scores, came)
        change = targets_val - weight[:, None] * softmax(z, axis=1)
        by_pair, away = came.T @ change, params - centre
        gradient = np.concatenate(
            [np.tensordot(scores, change, axes=2), change.sum(axis=0), [np.trace(by_pair)], by_pair.ravel()]
        )
        value = (targets_val * log_softmax(z, axis=1)).sum()
        return -value + 0.5 * _PENALTY * factors @ away**2, -gradient + _PENALTY * factors * away

    bounds = [(0.0, None)] * n_models + [(None, None)] * (len(start) - n_models)
    found = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds, options={"maxiter": _MAX_ITER}).x
    own = np.zeros(proba.shape[1:]) if given is None else given
    return np.asarray(softmax(logits(found, _centred(proba), own), axis=1))


def _centred(proba: Array) -> Array:
    logs = np.log(np.maximum(proba, _SMALLEST))
    return logs - logs.mean(axis=2, keepdims=True)
