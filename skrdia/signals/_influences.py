"""Signals made of influences: of each row on itself, and on the validation rows one by one, by class, and in all.

With M_ji (n_val, n) the influence of row i on the loss of validation row j, positive where it harms, see
`skrdia._kernel`, and the class y_j of validation row j,

    influence                     1/n_val sum_j M_ji
    average absolute influence    1/n_val sum_j |M_ji|
    GD-class                      1/n_val max_c sum_{j: y_j = c} M_ji
    CNCI                          -sum_{j: y_j = m} max(M'_ji, 0), m the given label, M' with the label c of the largest
                                  sum_{j: y_j = c} max(M_ji, 0)
    PCID                          1 / (sum_c P_c max_c |P_c - P'_c|), P_c = sum_{j: y_j = c} max(-M_ji, 0), and P' with
                                  the label of the second largest P_c

Sums of signed influences cancel: a row that harms one class as much as it helps another has an influence of zero.
M is computed in blocks of validation rows and never as a whole.
"""

from __future__ import annotations

import numpy as np

from skrdia._evidence import Evidence
from skrdia._influence import validation_loss
from skrdia._kernel import Kernel
from skrdia._train import fit_targets
from skrdia.views import as_view
from skrdia.views._base import Array

__all__ = [
    "average_absolute_influence",
    "cnci",
    "gd_class",
    "influence",
    "influence_margin",
    "isolation",
    "leave_one_out",
    "leave_one_out_step",
    "marginal_influence",
    "pcid",
    "self_influence",
    "self_influence_loo",
    "trusted_isolation",
]


def influence(evidence: Evidence) -> Array:
    """Influence of each label of each row on the validation loss.

    Parameters
    ----------
    evidence : Evidence
        Of n rows and K labels, with validation rows.

    Returns
    -------
    by_label : array of shape (n, K)
        Influences phi, in nats; positive means harmful.

    References
    ----------
    .. [1] Kong, Shen, Huang, "Resolving training biases via influence-based data relabeling", ICLR 2022, Eq. (6).
    """
    return evidence.influences


def marginal_influence(evidence: Evidence) -> Array:
    """Negative influence: how much each row helps.

    The benchmark of signals sums influences whose positive sign is that of helpful rows, and takes high sums for
    suspicious: it ranks the most helpful rows first. `influence` is the reverse.

    Parameters
    ----------
    evidence : Evidence
        Of n rows and K labels, with validation rows.

    Returns
    -------
    by_label : array of shape (n, K)
        Minus phi, in nats.

    References
    ----------
    .. [1] Myrtakis et al., "A comparative analysis of influence signals for data debugging", arXiv 2506.11584.
    """
    return -evidence.influences


def influence_margin(evidence: Evidence) -> Array:
    """By how much each label is worse for the validation loss than the best other label.

    Parameters
    ----------
    evidence : Evidence
        Of n rows and K labels, with validation rows.

    Returns
    -------
    by_label : array of shape (n, K)
        Influence phi_ik less the lowest phi_il of the other labels l, in nats.

    References
    ----------
    .. [1] Kong, Shen, Huang, "Resolving training biases via influence-based data relabeling", ICLR 2022: the gain of
       the best label.
    """
    phi = evidence.influences
    order = np.sort(phi, axis=1)
    return phi - np.where(phi == order[:, :1], order[:, 1:2], order[:, :1])


def self_influence(evidence: Evidence) -> Array:
    """Influence of each row on its own loss, with each label.

    The squared length of the gradient in the metric of the inverse Hessian. Left out, a row of weight w would raise its
    own loss by about w / n times as much.

    Parameters
    ----------
    evidence : Evidence
        Of n rows and K labels.

    Returns
    -------
    by_label : array of shape (n, K)
        The product g . H^-1 g, in nats; zero or positive. Exact for linear models of at most 8,192 parameters, and
        estimated for others.

    References
    ----------
    .. [1] Koh, Liang, "Understanding black-box predictions via influence functions", ICML 2017, section 5.4.
    .. [2] Pruthi et al., "Estimating training data influence by tracing gradient descent", NeurIPS 2020.
    """
    return evidence.kernel.self_influence()


def self_influence_loo(evidence: Evidence) -> Array:
    """Self-influence with the Hessian that lacks the row.

    For two classes the self-influence over 1 - h, h the leverage of the row: what one Newton step without the row does
    to its loss, to first order.

    Parameters
    ----------
    evidence : Evidence
        Of n rows and K labels.

    Returns
    -------
    by_label : array of shape (n, K)
        In nats; zero or positive.

    References
    ----------
    .. [1] Pregibon, "Logistic regression diagnostics", Annals of Statistics 9, 1981.
    """
    return evidence.kernel.self_influence(leave_out=True)


def average_absolute_influence(evidence: Evidence) -> Array:
    """Mean of the absolute influences of each row on the validation rows, one by one.

    Parameters
    ----------
    evidence : Evidence
        Of n rows and K labels, with validation rows.

    Returns
    -------
    scores : array of shape (n,)
        In nats.

    References
    ----------
    .. [1] Myrtakis et al., "A comparative analysis of influence signals for data debugging", arXiv 2506.11584.
    """
    kernel, total = evidence.kernel, np.zeros(len(evidence.given))
    for _, block in kernel.matrix(evidence.given):
        total += np.abs(block).sum(axis=0)
    return total / len(kernel.targets_val)


def gd_class(evidence: Evidence) -> Array:
    """Influence of each label of each row on the class that it harms most.

    GD-class: gradient dot products, summed over the validation rows of a class; the lowest sum counts.

    Parameters
    ----------
    evidence : Evidence
        Of n rows and K labels, with validation rows.

    Returns
    -------
    by_label : array of shape (n, K)
        Largest influence on the summed loss of the validation rows of a class, over the number of all, in nats.

    References
    ----------
    .. [1] Nguyen-Duc et al., "Class based influence functions for error detection", ACL 2023.
    .. [2] Myrtakis et al., "A comparative analysis of influence signals for data debugging", arXiv 2506.11584.
    """
    judges = evidence.kernel.targets_val
    present = np.flatnonzero(judges.any(axis=0))
    of_class = [judges * (np.arange(judges.shape[1]) == k) / judges.sum() for k in present]
    return np.max([evidence.kernel.influences(R) for R in of_class], axis=0)


def cnci(evidence: Evidence) -> Array:
    """Counterfactual negative class influence.

    Each row gets the label of the validation rows it harms most; CNCI is minus the harm that it then does to the
    validation rows of the label it came with. A row with a wrong label, put right, does little.

    Parameters
    ----------
    evidence : Evidence
        Of n rows and K labels, with validation rows.

    Returns
    -------
    scores : array of shape (n,)
        Zero or negative, in nats, summed over validation rows.

    References
    ----------
    .. [1] Myrtakis et al., code of "Influence-based glitch detection", KDD 2025.
    """
    kernel, own = evidence.kernel, evidence.given.argmax(axis=1)
    harm = _class_sums(kernel, evidence.given, 1.0)
    counterfactual = np.eye(evidence.given.shape[1])[harm.argmax(axis=0)]
    after = _class_sums(kernel, counterfactual, 1.0, last=True)
    return -after[own, np.arange(len(own))]


def pcid(evidence: Evidence) -> Array:
    """Positive class influence difference.

    With P (K,) the help of a row for the validation rows of each class, summed, and P' that with the label of the class
    it helps second most: the inverse of the sum of P times the largest difference of P and P'.

    Parameters
    ----------
    evidence : Evidence
        Of n rows and K labels, with validation rows.

    Returns
    -------
    scores : array of shape (n,)
        Positive.

    References
    ----------
    .. [1] Myrtakis et al., code of "Influence-based glitch detection", KDD 2025.
    """
    kernel = evidence.kernel
    P = _class_sums(kernel, evidence.given, -1.0)
    counterfactual = np.eye(len(P))[np.argsort(-P, axis=0, kind="stable")[1]]
    change = np.abs(P - _class_sums(kernel, counterfactual, -1.0)).max(axis=0)
    return 1.0 / np.maximum(P.sum(axis=0) * change, np.finfo(np.float64).tiny)


def leave_one_out(evidence: Evidence) -> Array:
    """By how much each row, as labelled, raises the validation loss: by retraining without it.

    As many fits as rows, so for small data, and as a check of what approximates it.

    Parameters
    ----------
    evidence : Evidence
        Of n rows and K labels, with validation rows.

    Returns
    -------
    scores : array of shape (n,)
        Decrease of the validation loss without the row, times n over its weight, in nats; nan for rows without weight,
        and for the only row of a class.
    """
    targets, judges = evidence.targets[:, evidence.known], evidence.kernel.targets_val[:, evidence.known]
    weight = (targets * as_view(evidence.model).class_weight(targets)).sum(axis=1)
    loss, scores = validation_loss(evidence.model, evidence.X_val, judges), np.full(len(targets), np.nan)
    for i in np.flatnonzero(weight):
        rest = evidence.targets.copy()
        rest[i] = 0.0
        if not np.array_equal(rest.any(axis=0), evidence.targets.any(axis=0)):
            continue
        refit = fit_targets(evidence.detectors[0], evidence.X, rest, evidence.classes, seed=evidence.training_seed)
        scores[i] = (loss - validation_loss(refit, evidence.X_val, judges)) * weight.sum() / weight[i]
    return scores


def leave_one_out_step(evidence: Evidence) -> Array:
    """Influence with the Hessian that lacks the row: one Newton step towards the fit without it.

    Closer to `leave_one_out` than `influence` where a row has much leverage.

    Parameters
    ----------
    evidence : Evidence
        Of n rows and K labels, with validation rows.

    Returns
    -------
    by_label : array of shape (n, K)
        In nats; positive means harmful.

    References
    ----------
    .. [1] Pregibon, "Logistic regression diagnostics", Annals of Statistics 9, 1981.
    """
    return evidence.kernel.influences(leave_out=True)


def isolation(evidence: Evidence) -> Array:
    """How alone each row would be with the other rows of each label.

    Not an influence but for anomalies, which influences do not find: the squared distance of a row in the metric of the
    rows of other labels, over that in the metric of all rows, for the inputs of the last layer. Large for a cluster
    that shares a label and lies where no rows of other labels reach.

    Parameters
    ----------
    evidence : Evidence
        Of n rows and K labels.

    Returns
    -------
    by_label : array of shape (n, K)
        Without unit; about 1 for a row like others.

    References
    ----------
    .. [1] `skrdia._isolation` has the formula.
    """
    return evidence.isolation


def trusted_isolation(evidence: Evidence) -> Array:
    """How far from the validation rows each row is, relative to its distance from all rows.

    For anomalies, see `isolation`; labels play no part.

    Parameters
    ----------
    evidence : Evidence
        Of n rows and K labels, with validation rows.

    Returns
    -------
    scores : array of shape (n,)
        Without unit; about 1 for a row like the validation rows.

    References
    ----------
    .. [1] `skrdia._isolation` has the formula.
    """
    return evidence.trusted_isolation


def _class_sums(kernel: Kernel, labels: Array, sign: float, *, last: bool = False) -> Array:
    """Sums over the validation rows of each class of max(sign * M, 0), (K, n)."""
    sums = np.zeros((labels.shape[1], len(labels)))
    for rows, block in kernel.matrix(labels, last=last):
        block *= sign
        sums += kernel.targets_val[rows].T @ np.maximum(block, 0.0, out=block)
    return sums
