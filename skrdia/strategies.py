"""Step III: what becomes of the training rows. Targets in, targets out.

A strategy is a function ``strategy(targets, influences, log_proba, harmful, rng) -> targets``: the current targets (n,
K), in the first round one in the column of the given label; influences (n, K), the influence of label k on sample i, or
what another signal says of it; log_proba (n, K); harmful (n,), a boolean mask; rng, a `numpy.random.RandomState`. It
returns new targets (n, K), non-negative: a row can be moved to another label, spread over labels, or be zero, which
drops it. Sample weights multiply its rows afterwards.

With m the current label and p_k = exp(log_proba_ik), the strategies for harmful rows are

    relabel        y'_k = 1 for k = argmin_{k != m} influences_ik
    relabel-soft   y'_m = 0, y'_k = log(1 - p_m) / ((K - 1) log p_k)        (paper, Eq. 12)
    soft           y'_k = (1 - s_ik) / sum_j (1 - s_ij), for a signal s that is one minus a probability
    drop           y' = 0
    none           y' = y

For two classes both relabellings are the paper's flip. The score identity, sum_k p_k influences_ik = 0, gives a harmful
row some label with negative influence, so that "relabel" lowers the validation loss to first order, and by no less than
the paper's theorem promises for R. The row of Eq. 12 sums to well below one for many classes: it is close to dropping.

The others are the methods that the paper compares with. They draw a subsample of all rows and ignore `harmful`, so
that `alpha` only marks rows. They are meant for one round: a second one draws from what the first has left. With

    phi_i = sum_k y_ik influences_ik / sum_k y_ik       the influence of the row as labelled, in nats
    u_i   = phi_i / (max_i phi_i - min_i phi_i)         free of units, so that C and the number of rows do not matter

over the rows whose targets are not zero (those stay zero), the probability that a row is kept is

    uids-sigmoid   pi_i = 1 / (1 + exp(scale u_i))              kept rows: y' = y
    uids-linear    pi_i = max(0, min(1, -scale u_i))            kept rows: y' = y
    optlr          pi_i = max(floor, min(1, lambda |phi_i|))    kept rows: y' = y / pi_i
    random         pi_i = ratio                                 kept rows: y' = y

and ``ratio`` is the share of rows that is kept. Their parameters are set by `functools.partial`, in a search too:

>>> from functools import partial
>>> from sklearn.model_selection import GridSearchCV
>>> from skrdia import RDIAClassifier
>>> from skrdia.strategies import uids_sigmoid
>>> clf = RDIAClassifier(strategy=partial(uids_sigmoid, scale=5.0), random_state=0)
>>> search = GridSearchCV(clf, {"strategy": [partial(uids_sigmoid, ratio=ratio) for ratio in (0.6, 0.8, 0.95)]})

References: Kong, Shen, Huang, "Resolving training biases via influence-based data relabeling", ICLR 2022, sections 3.3
and 5.1. Wang, Zhu, Dong, He, Huang, "Less is better: unweighted data subsampling via influence function", AAAI 2020.
Ting, Brochu, "Optimal subsampling with influence functions", NeurIPS 2018.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import expit

from skrdia._shown import shown
from skrdia._validation import one_hot
from skrdia.views._base import Array

__all__ = [
    "STRATEGIES",
    "drop",
    "none",
    "optlr",
    "random",
    "relabel",
    "relabel_soft",
    "soft",
    "uids_linear",
    "uids_sigmoid",
]

Strategy = Callable[[Array, Array, Array, Array, np.random.RandomState], Array]


def relabel(targets: Array, influences: Array, log_proba: Array, harmful: Array, rng: object = None) -> Array:
    """Give each harmful row the label of lowest influence.

    Parameters
    ----------
    targets, influences, log_proba : arrays of shape (n_samples, n_classes)
        Current targets, influence of each label in nats, log-probability of each label.
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
    targets, influences, log_proba : arrays of shape (n_samples, n_classes)
        Current targets, influence of each label in nats, log-probability of each label.
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
    log_p = np.minimum(log_proba[harmful], -np.finfo(np.float64).eps)
    log_not_given = np.log(-np.expm1(log_p[given]))
    soft = np.clip(log_not_given[:, None] / log_p, 0.0, 1.0) / (n_classes - 1)
    soft[given] = 0.0
    return _replace(targets, harmful, soft)


def soft(targets: Array, influences: Array, log_proba: Array, harmful: Array, rng: object = None) -> Array:
    """Spread each harmful row over the labels by their probability.

    Parameters
    ----------
    targets, influences, log_proba : arrays of shape (n_samples, n_classes)
        Current targets, one minus the probability of each label, log-probability of each label (ignored).
    harmful : bool array of shape (n_samples,)
        The rows to change.
    rng : object
        Ignored.

    Returns
    -------
    targets : array of shape (n_samples, n_classes)
        New targets.

    Raises
    ------
    ValueError
        If the signal is not between 0 and 1.
    """
    if influences.min(initial=0.0) < 0.0 or influences.max(initial=0.0) > 1.0 + 1e-9:
        raise ValueError(
            "strategy='soft' needs a signal that is one minus a probability: 'confidence', 'trusted-confidence', "
            "'posterior' or 'trusted-posterior'. With 'influence' use 'relabel', 'relabel-soft' or 'drop'."
        )
    proba = np.maximum(1.0 - influences[harmful], 0.0)
    return _replace(targets, harmful, proba / np.maximum(proba.sum(axis=1, keepdims=True), np.finfo(np.float64).tiny))


def drop(targets: Array, influences: Array, log_proba: Array, harmful: Array, rng: object = None) -> Array:
    """Take the harmful rows out of the training set.

    Parameters
    ----------
    targets, influences, log_proba : arrays of shape (n_samples, n_classes)
        Current targets, influence of each label in nats, log-probability of each label.
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
    targets, influences, log_proba : arrays of shape (n_samples, n_classes)
        Current targets, influence of each label in nats, log-probability of each label.
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


def uids_sigmoid(
    targets: Array,
    influences: Array,
    log_proba: Array,
    harmful: Array,
    rng: np.random.RandomState,
    *,
    scale: float = 10.0,
    ratio: float | None = 0.95,
) -> Array:
    """Keep a share of the rows of each class, drawn with a probability that is a sigmoid of minus the influence.

    The draw goes over the rows of a class again and again, and keeps what it draws, until their share is kept; after
    100 times it fills up with any rows. So `ratio` fixes how many rows are dropped and the probabilities which ones.

    Parameters
    ----------
    targets, influences : arrays of shape (n_samples, n_classes)
        Current targets, and influence of each label in nats. The class of a row is that of its largest target.
    log_proba, harmful : arrays
        Ignored: any row can be dropped, and any harmful one stay.
    rng : RandomState
        Draws the rows.
    scale : float, default=10.0
        Steepness of the sigmoid, per range of the influences; the value of the reference code.
    ratio : float or None, default=0.95
        Share of each class that is kept, rounded down, at least one row. None: a single draw, without a share.

    Returns
    -------
    targets : array of shape (n_samples, n_classes)
        The targets of the rows kept; zeros for the others.

    Raises
    ------
    ValueError
        If a parameter is out of range.

    References
    ----------
    .. [1] Wang, Zhu, Dong, He, Huang, "Less is better: unweighted data subsampling via influence function", AAAI 2020.

    Examples
    --------
    >>> import numpy as np
    >>> from skrdia.strategies import uids_sigmoid
    >>> targets = np.eye(2)[[0] * 10 + [1] * 20]
    >>> kept = uids_sigmoid(targets, np.zeros((30, 2)), None, None, np.random.RandomState(0), ratio=0.6)
    >>> kept.sum(axis=0)
    array([ 6., 12.])
    """
    _check_scale(scale)
    return _uids(targets, influences, rng, ratio, lambda u: expit(-scale * u))


def uids_linear(
    targets: Array,
    influences: Array,
    log_proba: Array,
    harmful: Array,
    rng: np.random.RandomState,
    *,
    scale: float = 10.0,
    ratio: float | None = 0.95,
) -> Array:
    """Keep a share of the rows of each class, drawn with a probability proportional to how much they help.

    As `uids_sigmoid`, but rows with positive influence have probability zero: they are kept only to fill up the share.
    The method's authors report it at the same share, 0.95, and have published no code of it; that the share is per
    class, and filled as for the sigmoid, is an assumption. It gives their figure on the breast-cancer table (log loss
    0.088, theirs 0.0873), and the result hardly depends on `scale`.

    Parameters
    ----------
    targets, influences : arrays of shape (n_samples, n_classes)
        Current targets, and influence of each label in nats. The class of a row is that of its largest target.
    log_proba, harmful : arrays
        Ignored: any row can be dropped, and any harmful one stay.
    rng : RandomState
        Draws the rows.
    scale : float, default=10.0
        Slope, per range of the influences. The published alpha is per unit of influence, and its value unknown.
    ratio : float or None, default=0.95
        Share of each class that is kept, rounded down, at least one row. None: a single draw, without a share; the
        larger the scale, the nearer that is to dropping all rows with positive influence, and only those.

    Returns
    -------
    targets : array of shape (n_samples, n_classes)
        The targets of the rows kept; zeros for the others.

    Raises
    ------
    ValueError
        If a parameter is out of range.

    References
    ----------
    .. [1] Wang, Zhu, Dong, He, Huang, "Less is better: unweighted data subsampling via influence function", AAAI 2020.
    """
    _check_scale(scale)
    return _uids(targets, influences, rng, ratio, lambda u: np.clip(-scale * u, 0.0, 1.0))


def optlr(
    targets: Array,
    influences: Array,
    log_proba: Array,
    harmful: Array,
    rng: np.random.RandomState,
    *,
    ratio: float = 0.95,
    floor: float = 0.1,
) -> Array:
    """Keep each row with a probability proportional to the size of its influence, and weigh it by the inverse.

    The expected targets are the targets: the subsample stands in for all rows, and does not favour helpful ones. Among
    all probabilities with the same sum and floor these give the validation loss the least variance over draws, to first
    order; the argument is that of [1]_ for parameters and predictions.

    Unverified: the paper gives floor and factor as one over the largest influences, in units it does not state, and
    takes the norm of the change of all parameters for the size. Here the size is that of phi, lambda follows from
    `ratio`, and `floor` is a parameter. On the breast-cancer table the log loss has mean 0.092 and standard deviation
    0.0015 over draws; the paper reports 0.0934 and 0.0015.

    Parameters
    ----------
    targets, influences : arrays of shape (n_samples, n_classes)
        Current targets, and influence of each label in nats.
    log_proba, harmful : arrays
        Ignored: any row can be dropped, and any harmful one stay.
    rng : RandomState
        Draws the rows, each on its own.
    ratio : float, default=0.95
        Expected share of the rows that is kept.
    floor : float, default=0.1
        Smallest probability, below `ratio`: no weight exceeds its inverse.

    Returns
    -------
    targets : array of shape (n_samples, n_classes)
        The targets of the rows kept, divided by their probability; zeros for the others.

    Raises
    ------
    ValueError
        If a parameter is out of range.

    References
    ----------
    .. [1] Ting, Brochu, "Optimal subsampling with influence functions", NeurIPS 2018.
    """
    _check_ratio(ratio)
    if not 0.0 < floor < ratio:
        raise ValueError(f"floor={shown(floor)} must be above 0 and below ratio={shown(ratio)}.")
    rows, phi = _influences_as_labelled(targets, influences)
    if len(rows) == 0:
        return targets.copy()
    size = np.abs(phi) / (np.abs(phi).max() or 1.0)
    probability = _probabilities(np.maximum(size, 1e-9), ratio, floor)
    drawn = rng.random_sample(len(rows)) < probability
    result = np.zeros_like(targets)
    result[rows[drawn]] = targets[rows[drawn]] / probability[drawn, None]
    return result


def random(
    targets: Array,
    influences: Array,
    log_proba: Array,
    harmful: Array,
    rng: np.random.RandomState,
    *,
    ratio: float = 0.95,
) -> Array:
    """Keep a share of all rows, drawn at random without replacement: the baseline of a subsample.

    The paper's table has another method under this name, which changes labels at random.

    Parameters
    ----------
    targets : array of shape (n_samples, n_classes)
        Current targets.
    influences, log_proba, harmful : arrays
        Ignored: any row can be dropped, and any harmful one stay.
    rng : RandomState
        Draws the rows.
    ratio : float, default=0.95
        Share that is kept, rounded down, at least one row.

    Returns
    -------
    targets : array of shape (n_samples, n_classes)
        The targets of the rows kept; zeros for the others.

    Raises
    ------
    ValueError
        If `ratio` is out of range.
    """
    rows = np.flatnonzero(targets.any(axis=1))
    kept = np.zeros(len(targets), dtype=bool)
    kept[rows] = _draw_share(np.ones(len(rows)), ratio, rng)
    return _replace(targets, ~kept, 0.0)


STRATEGIES: dict[str, Strategy] = {
    "relabel": relabel,
    "relabel-soft": relabel_soft,
    "soft": soft,
    "drop": drop,
    "none": none,
    "uids-sigmoid": uids_sigmoid,
    "uids-linear": uids_linear,
    "optlr": optlr,
    "random": random,
}


def _replace(targets: Array, harmful: Array, rows: Array | float) -> Array:
    result = targets.copy()
    result[harmful] = rows
    return result


def _influences_as_labelled(targets: Array, influences: Array) -> tuple[NDArray[np.intp], Array]:
    """The rows whose targets are not zero, and their phi."""
    rows = np.flatnonzero(targets.any(axis=1))
    return rows, (targets[rows] * influences[rows]).sum(axis=1) / targets[rows].sum(axis=1)


def _uids(
    targets: Array,
    influences: Array,
    rng: np.random.RandomState,
    ratio: float | None,
    probability: Callable[[Array], Array],
) -> Array:
    """Keep rows by their probability, a function of u; by class, or with ratio None in a single draw."""
    rows, phi = _influences_as_labelled(targets, influences)
    width = np.ptp(phi) if len(rows) else 0.0
    pi = probability(phi / width if width > 0.0 else np.zeros_like(phi))
    kept = np.zeros(len(targets), dtype=bool)
    if ratio is None:
        kept[rows] = rng.random_sample(len(rows)) < pi
    else:
        label = targets[rows].argmax(axis=1)
        for k in np.unique(label):
            kept[rows[label == k]] = _draw_share(pi[label == k], ratio, rng)
    return _replace(targets, ~kept, 0.0)


def _draw_share(probability: Array, ratio: float, rng: np.random.RandomState) -> NDArray[np.bool_]:
    """Draw rows by their probabilities until a share of them is kept; any rows after 100 times."""
    _check_ratio(ratio)
    n = len(probability)
    quota = min(n, max(1, int(ratio * n + 1e-9)))
    kept = np.zeros(n, dtype=bool)
    for times in range(101):
        left = quota - np.count_nonzero(kept)
        if left == 0:
            break
        drawn = ~kept if times == 100 else ~kept & (rng.random_sample(n) < probability)
        kept[rng.permutation(np.flatnonzero(drawn))[:left]] = True
    return kept


def _probabilities(size: Array, ratio: float, floor: float) -> Array:
    """max(floor, min(1, factor * size)) with the factor for which the mean is `ratio`; size in [1e-9, 1]."""

    def at(log_factor: float) -> Array:
        return np.clip(np.exp(log_factor) * size, floor, 1.0)

    return at(brentq(lambda t: at(t).mean() - ratio, np.log(floor) - 1.0, np.log(1e10)))


def _check_ratio(ratio: float) -> None:
    if not 0.0 < ratio <= 1.0:
        raise ValueError(f"ratio={shown(ratio)} must be above 0 and at most 1: the share of the rows that is kept.")


def _check_scale(scale: float) -> None:
    if not 0.0 < scale < np.inf:
        raise ValueError(f"scale={shown(scale)} must be positive and finite.")
