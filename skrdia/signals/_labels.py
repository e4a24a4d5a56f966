"""Signals that ask whether a label is right, from probabilities by models that never saw the row."""

from __future__ import annotations

import numpy as np

from skrdia._evidence import Evidence
from skrdia.views._base import Array

__all__ = [
    "calibrated_posterior",
    "confidence",
    "margin",
    "noise_model",
    "paired_posterior",
    "posterior",
    "stacked_posterior",
    "trusted_confidence",
    "trusted_posterior",
]


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


def margin(evidence: Evidence) -> Array:
    """By how much the out-of-fold probability of the best other label exceeds that of each label.

    Parameters
    ----------
    evidence : Evidence
        Of n rows and K labels.

    Returns
    -------
    by_label : array of shape (n, K)
        Between -1 and 1.

    References
    ----------
    .. [1] Northcutt, Jiang, Chuang, "Confident learning: estimating uncertainty in dataset labels", JAIR 70, 2021:
       minus the normalised margin.
    """
    q = evidence.confidence
    order = np.sort(q, axis=1)
    return np.where(q == order[:, -1:], order[:, -2:-1], order[:, -1:]) - q


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


def noise_model(evidence: Evidence) -> Array:
    """One minus the posterior of each label by the model of the labels as given, see `skrdia._noise_model`.

    Several models are combined into the probability of the right label, and what they saturate at shows how many labels
    of each class are wrong. Trusted rows, where there are any, are known to it.

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
    .. [1] Menon, van Rooyen, Ong, Williamson, "Learning from corrupted binary labels via class-probability estimation",
       ICML 2015.
    """
    return 1.0 - evidence.noise_model.posterior


def calibrated_posterior(evidence: Evidence) -> Array:
    """One minus the posterior of each label by models of the labels as given that are calibrated on trusted rows.

    Their probabilities, and those of models of the trusted rows alone, are combined into that of the right label by a
    multinomial logistic regression on the trusted rows, see `skrdia._calibration`.

    Parameters
    ----------
    evidence : Evidence
        Of n rows and K labels, with trusted rows.

    Returns
    -------
    by_label : array of shape (n, K)
        Between 0 and 1.

    References
    ----------
    .. [1] Wolpert, "Stacked generalization", Neural Networks 5, 1992.
    """
    return 1.0 - evidence.calibrated_posterior


def paired_posterior(evidence: Evidence) -> Array:
    """The same, where it is known with which labels trusted rows came: these are columns of the regression too.

    Parameters
    ----------
    evidence : Evidence
        Of n rows and K labels, with trusted rows.

    Returns
    -------
    by_label : array of shape (n, K)
        Between 0 and 1.
    """
    return 1.0 - evidence.paired_posterior


def stacked_posterior(evidence: Evidence) -> Array:
    """One minus the posterior of each label by a shrunken noise model, from stacked out-of-fold probabilities.

    The detectors of several strengths of regularisation, and for a net linear models of its inputs too, are averaged
    with the weights that predict the given labels best, and the channel of wrong labels is shrunk by 30 rows towards a
    symmetric one: flips at random and errors of a single class are both found. Of the signals without trusted rows it
    finds most wrong labels, see the user guide.

    Parameters
    ----------
    evidence : Evidence
        Of n rows and K labels.

    Returns
    -------
    by_label : array of shape (n, K)
        Between 0 and 1.
    """
    return 1.0 - evidence.stacked_posterior


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
