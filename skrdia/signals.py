"""Step II: one score per row, high = bad.

A signal is a function ``signal(targets, influences, log_proba) -> scores`` of three arrays (n, K): the current targets
(in the first round, one in the column of the given label), the influence of every label of every row on the validation
loss, and the log-probability of every label under the model that the influences were computed for. It returns an array
(n,). Rows with a score above `alpha` are harmful, so `alpha` is in the signal's own unit.
"""

from __future__ import annotations

from collections.abc import Callable

from skrdia.views._base import Array

__all__ = ["SIGNALS", "influence"]

Signal = Callable[[Array, Array, Array], Array]


def influence(targets: Array, influences: Array, log_proba: Array) -> Array:
    """Influence of each row with its current target, in nats; positive means harmful.

    Parameters
    ----------
    targets : array of shape (n_samples, n_classes)
        In the first round, one in the column of the given label.
    influences : array of shape (n_samples, n_classes)
        Influence of each label.
    log_proba : array of shape (n_samples, n_classes)
        Ignored.

    Returns
    -------
    scores : array of shape (n_samples,)
        Influences.

    References
    ----------
    .. [1] Kong, Shen, Huang, "Resolving training biases via influence-based data relabeling", ICLR 2022, Eq. (6).
    """
    return (targets * influences).sum(axis=1)


SIGNALS: dict[str, Signal] = {"influence": influence}
