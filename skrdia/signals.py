"""Step II: how bad every label of every row is; high = bad.

A signal is a function ``signal(evidence) -> by_label`` of the `Evidence` on n training rows: an array (n, K) that says
of each label how bad it would be on each row, or an array (n,) for the labels as they are. A row's score is the entry
of its own label. Rows with a score above `alpha` are harmful, so `alpha` is in the signal's own unit; "relabel" gives
them the label of the lowest entry. With q_ik a probability of label k on row i,

    influence            phi_ik        nats of validation loss, times n; see `skrdia.influence`
    confidence           1 - q_ik      q by models that never saw row i: fits on the other folds and the trusted rows
    trusted-confidence   1 - q_ik      q by a model of the trusted rows alone
    posterior            1 - R_ik      R the posterior of the right label by a noise model, q from confidence
    trusted-posterior    1 - R_ik      the same, q from trusted-confidence

Influence asks what a label does to the loss on the trusted rows, which shows systematic errors and shifted data. The
others ask whether a label is right. Confidence needs no trusted rows, but a systematic error fools every model trained
on it. The posteriors weigh what a model expects of a row against the label it came with and how often, by their own
estimate, labels of each class are wrong; they are computed twice, the second time with q out of fold from models
trained on the first.

`Evidence` has the arrays ``influences``, ``confidence``, ``trusted_confidence``, ``posterior`` and
``trusted_posterior``, each computed when asked for, and ``X``, ``targets``, ``given``, ``weight``, ``classes``,
``X_val`` and ``targets_val``.
"""

from __future__ import annotations

from collections.abc import Callable

from skrdia._evidence import Evidence
from skrdia.views._base import Array

__all__ = ["SIGNALS", "confidence", "influence", "posterior", "trusted_confidence", "trusted_posterior"]

Signal = Callable[[Evidence], Array]


def influence(evidence: Evidence) -> Array:
    """Influence of each label of each row on the validation loss.

    Parameters
    ----------
    evidence : Evidence
        Of n rows and K labels.

    Returns
    -------
    by_label : array of shape (n, K)
        Influences, in nats; positive means harmful.

    References
    ----------
    .. [1] Kong, Shen, Huang, "Resolving training biases via influence-based data relabeling", ICLR 2022, Eq. (6).
    """
    return evidence.influences


def confidence(evidence: Evidence) -> Array:
    """One minus the out-of-fold probability of each label of each row.

    Parameters
    ----------
    evidence : Evidence
        Of n rows and K labels.

    Returns
    -------
    by_label : array of shape (n, K)
        Between 0 and 1.

    References
    ----------
    .. [1] Northcutt, Jiang, Chuang, "Confident learning: estimating uncertainty in dataset labels", JAIR 70, 2021, who
       call the probability of the given label self-confidence.
    """
    return 1.0 - evidence.confidence


def trusted_confidence(evidence: Evidence) -> Array:
    """One minus the probability of each label by a model of the trusted rows alone.

    Parameters
    ----------
    evidence : Evidence
        Of n rows and K labels, with trusted rows.

    Returns
    -------
    by_label : array of shape (n, K)
        Between 0 and 1.
    """
    return 1.0 - evidence.trusted_confidence


def posterior(evidence: Evidence) -> Array:
    """One minus the posterior of each label by a noise model, from out-of-fold probabilities.

    Parameters
    ----------
    evidence : Evidence
        Of n rows and K labels.

    Returns
    -------
    by_label : array of shape (n, K)
        Between 0 and 1.

    References
    ----------
    .. [1] Dawid, Skene, "Maximum likelihood estimation of observer error-rates using the EM algorithm", Applied
       Statistics 28, 1979.
    """
    return 1.0 - evidence.posterior


def trusted_posterior(evidence: Evidence) -> Array:
    """One minus the posterior of each label by a noise model, from a model of the trusted rows.

    Parameters
    ----------
    evidence : Evidence
        Of n rows and K labels, with trusted rows.

    Returns
    -------
    by_label : array of shape (n, K)
        Between 0 and 1.
    """
    return 1.0 - evidence.trusted_posterior


SIGNALS: dict[str, Signal] = {
    "influence": influence,
    "confidence": confidence,
    "trusted-confidence": trusted_confidence,
    "posterior": posterior,
    "trusted-posterior": trusted_posterior,
}

WITHOUT_TRUSTED_ROWS = ("confidence", "posterior")
"""Signals that need none."""
