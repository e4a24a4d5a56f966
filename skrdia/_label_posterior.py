"""Posterior of the right label, given the row and the label it came with.

The labels are taken for the output of a noisy channel. With q_ik = p(k | x_i) what a model says of row i, g_i its given
label and T_kj the probability that a row of class k is given the label j,

    R_ik = q_ik T_k,g_i / sum_j q_ij T_j,g_i                               (n, K)   posterior, for given q and T
    T_kj = (sum_{i: g_i = j} w_i R_ik + 1 / K) / (sum_i w_i R_ik + 1)      (K, K)   its estimate, for given R

in turn until R settles: expectation maximisation with one pseudo-count for each row of T. It starts half way between q
and the given label, so that "the labels are mostly right" breaks the symmetry when q says nothing.

With few rows the K (K - 1) entries of T are noise, and errors are often symmetric. With a shrinkage of m rows,

    T_kj = (sum_{i: g_i = j} w_i R_ik + m S_kj) / (sum_i w_i R_ik + m),    S_kk = 1 - e,    S_kj = e / (K - 1)

instead, e = 1 - sum_i w_i R_i,g_i / sum_i w_i the estimated share of wrong labels.

References: Dawid, Skene, "Maximum likelihood estimation of observer error-rates using the EM algorithm", Applied
Statistics 28, 1979. Raykar et al., "Learning from crowds", JMLR 11, 2010, for a classifier as the source of q.
"""

from __future__ import annotations

import numpy as np

from skrdia.views._base import Array

__all__ = ["apply_channel", "channel_of", "confident_share", "label_channel", "label_posterior"]

_MAX_ITER, _TOL = 20, 1e-3


def label_posterior(proba: Array, given: Array, weight: Array, shrinkage: float = 0.0) -> Array:
    """R (n, K) for probabilities q (n, K), given labels as a one-hot array (n, K), weights (n,), and m."""
    n_classes = given.shape[1]
    posterior = _normalised(proba * (0.5 / n_classes + 0.5 * given), given)
    for _ in range(_MAX_ITER):
        updated = apply_channel(proba, given, label_channel(posterior, given, weight, shrinkage))
        change = np.abs(updated - posterior).max(initial=0.0)
        posterior = updated
        if change < _TOL:
            break
    return posterior


def label_channel(posterior: Array, given: Array, weight: Array, shrinkage: float = 0.0) -> Array:
    """T (K, K) for posteriors R."""
    return channel_of((posterior * weight[:, None]).T @ given, shrinkage)


def channel_of(counts: Array, shrinkage: float = 0.0) -> Array:
    """T (K, K) for the weight of the rows of each class, by posterior, that were given each label."""
    n_classes = len(counts)
    if shrinkage:
        wrong = 1.0 - np.trace(counts) / counts.sum()
        prior = np.full(counts.shape, wrong / (n_classes - 1))
        np.fill_diagonal(prior, 1.0 - wrong)
    else:
        prior, shrinkage = np.full(counts.shape, 1.0 / n_classes), 1.0
    return (counts + shrinkage * prior) / (counts.sum(axis=1, keepdims=True) + shrinkage)


def apply_channel(proba: Array, given: Array, channel: Array) -> Array:
    """R (n, K) for known T."""
    return _normalised(proba * (given @ channel.T), given)


def _normalised(joint: Array, given: Array) -> Array:
    """Rows that sum to one; the given label where the model rules out every label."""
    total = joint.sum(axis=1, keepdims=True)
    return np.where(total > 0.0, joint / np.where(total > 0.0, total, 1.0), given)


def confident_share(proba: Array, given: Array, weight: Array) -> float:
    """The share of wrong labels by confident counting, for probabilities q (n, K) and given labels as a one-hot array.

    A row counts for the label with the largest q among those whose q reaches the mean q of the rows labelled so. The
    labels are wrong in the share of the counted rows that count for another label than their own. The estimate is right
    where q ranks the rows of each class well, even if q is not calibrated because it learned from the wrong labels too.

    Reference: Northcutt, Jiang, Chuang, "Confident learning: estimating uncertainty in dataset labels", JAIR 70, 2021.
    """
    weighted = given * weight[:, None]
    totals = weighted.sum(axis=0)
    threshold = np.divide((weighted * proba).sum(axis=0), totals, out=np.full(len(totals), np.inf), where=totals > 0.0)
    sure = np.where(proba >= threshold, proba, -1.0)
    counted = sure.max(axis=1) >= 0.0
    agrees = given[np.arange(len(given)), sure.argmax(axis=1)] > 0.0
    return float((weight * (counted & ~agrees)).sum() / max((weight * counted).sum(), np.finfo(np.float64).tiny))
