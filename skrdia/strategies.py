"""Step III: what becomes of the harmful rows. Targets in, targets out.

A strategy is a function ``strategy(targets, influences, log_proba, harmful, rng) -> targets``: the current targets (n,
K), in the first round one in the column of the given label; influences (n, K), the influence of label k on sample i;
log_proba (n, K); harmful (n,), a boolean mask; rng, a `numpy.random.RandomState`. It returns new targets (n, K),
non-negative: a row can be moved to another label, spread over labels, or be zero, which drops it. Sample weights
multiply its rows afterwards.

With m the current label and p_k = exp(log_proba_ik):

    relabel        y'_k = 1 for k = argmin_{k != m} influences_ik
    relabel-soft   y'_m = 0, y'_k = log(1 - p_m) / ((K - 1) log p_k)        (paper, Eq. 12)
    drop           y' = 0
    none           y' = y

For two classes both relabellings are the paper's flip. The score identity, sum_k p_k influences_ik = 0, gives a harmful
row some label with negative influence, so that "relabel" lowers the validation loss to first order, and by no less than
the paper's theorem promises for R. The row of Eq. 12 sums to well below one for many classes: it is close to dropping.

Reference: Kong, Shen, Huang, "Resolving training biases via influence-based data relabeling", ICLR 2022, section 3.3.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from skrdia._validation import one_hot
from skrdia.views._base import Array

__all__ = ["STRATEGIES", "drop", "none", "relabel", "relabel_soft"]

Strategy = Callable[[Array, Array, Array, Array, np.random.RandomState], Array]


def relabel(targets: Array, influences: Array, log_proba: Array, harmful: Array, rng: object = None) -> Array:
    """Give each harmful row the label of lowest influence.

    Parameters
    ----------
    targets : array of shape (n_samples, n_classes)
        Current targets.
    influences : array of shape (n_samples, n_classes)
        Influence of each label.
    log_proba : array of shape (n_samples, n_classes)
        Log-probability of each label.
    harmful : bool array of shape (n_samples,)
        The rows to change.
    rng : object
        Ignored.

    Returns
    -------
    targets : array of shape (n_samples, n_classes)
        New targets.
    """
    given = targets[harmful].argmax(axis=1)
    others = influences[harmful].copy()
    others[np.arange(len(given)), given] = np.inf
    return _replace(targets, harmful, one_hot(others.argmin(axis=1), targets.shape[1]))


def relabel_soft(targets: Array, influences: Array, log_proba: Array, harmful: Array, rng: object = None) -> Array:
    """Give each harmful row the soft target of the paper's Eq. 12.

    Parameters
    ----------
    targets : array of shape (n_samples, n_classes)
        Current targets.
    influences : array of shape (n_samples, n_classes)
        Influence of each label.
    log_proba : array of shape (n_samples, n_classes)
        Log-probability of each label.
    harmful : bool array of shape (n_samples,)
        The rows to change.
    rng : object
        Ignored.

    Returns
    -------
    targets : array of shape (n_samples, n_classes)
        New targets.
    """
    n_classes = targets.shape[1]
    if n_classes == 2:  # Eq. 12 is then exactly the flip
        return relabel(targets, influences, log_proba, harmful)
    given = (np.arange(np.count_nonzero(harmful)), targets[harmful].argmax(axis=1))
    log_p = np.minimum(log_proba[harmful], -np.finfo(np.float64).tiny)
    log_not_given = np.log(-np.expm1(log_p[given]))
    soft = np.clip(log_not_given[:, None] / log_p, 0.0, 1.0) / (n_classes - 1)
    soft[given] = 0.0
    return _replace(targets, harmful, soft)


def drop(targets: Array, influences: Array, log_proba: Array, harmful: Array, rng: object = None) -> Array:
    """Take the harmful rows out of the training set.

    Parameters
    ----------
    targets : array of shape (n_samples, n_classes)
        Current targets.
    influences : array of shape (n_samples, n_classes)
        Influence of each label.
    log_proba : array of shape (n_samples, n_classes)
        Log-probability of each label.
    harmful : bool array of shape (n_samples,)
        The rows to change.
    rng : object
        Ignored.

    Returns
    -------
    targets : array of shape (n_samples, n_classes)
        New targets.
    """
    return _replace(targets, harmful, 0.0)


def none(targets: Array, influences: Array, log_proba: Array, harmful: Array, rng: object = None) -> Array:
    """Leave every row as it is: harmful rows are marked, not changed.

    Parameters
    ----------
    targets : array of shape (n_samples, n_classes)
        Current targets.
    influences : array of shape (n_samples, n_classes)
        Influence of each label.
    log_proba : array of shape (n_samples, n_classes)
        Log-probability of each label.
    harmful : bool array of shape (n_samples,)
        The rows to change.
    rng : object
        Ignored.

    Returns
    -------
    targets : array of shape (n_samples, n_classes)
        New targets.
    """
    return targets.copy()


STRATEGIES: dict[str, Strategy] = {"relabel": relabel, "relabel-soft": relabel_soft, "drop": drop, "none": none}


def _replace(targets: Array, harmful: Array, rows: Array | float) -> Array:
    result = targets.copy()
    result[harmful] = rows
    return result
