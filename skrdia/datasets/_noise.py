"""Wrong labels on purpose.

n rows, K classes in sorted order, c_i in 0 ... K - 1 the class of row i, r the rate, from 0 to 1. A row is flipped when
its class becomes another one. "Other class" means uniform over the K - 1 others.

    symmetric   round(r n) rows at random                                      -> other class
    pair        round(r n) rows at random                                      -> (c_i + 1) mod K
    one-sided   round(r n_0) of the n_0 rows of class 0 at random              -> class 1
                r a matrix T (K, K): every row on its own                      -> class k with probability T[c_i, k]
    instance    round(r n) rows without replacement, row i with weight w_i     -> k*_i
    group       round(r m) of the m = n // 2 rows of a half-space at random    -> other class

Instance: a logistic regression on standardised columns and the labels as given has probabilities p (n, K). With
k*_i = argmax_{k != c_i} p_ik the margin of row i is p_{i, c_i} - p_{i, k*_i}, from -1 to 1, and

    w_i = 1 - margin_i

is about 0 where the model is sure of the label, 1 on the decision boundary, and up to 2 beyond it; for two classes it
is twice the probability of the other label. The draw is successive: one row after another among those left, with
probability proportional to w. The round(r n) largest log w_i + g_i, with g_i independent standard Gumbel, are such a
draw [3].

Group: u (p,) is standard normal, and the half-space holds the m rows with the largest x_i . u, for standardised
columns: x . u above its median. Rows level with the threshold enter at random.

References:

[1] Patrini et al., "Making deep neural networks robust to label noise: a loss correction approach", CVPR 2017: T.
[2] Han et al., "Co-teaching: robust training of deep neural networks with extremely noisy labels", NeurIPS 2018: pair.
[3] Yellott, "The relationship between Luce's choice axiom, Thurstone's theory of comparative judgment, and the double
    exponential distribution", Journal of Mathematical Psychology 15, 1977.
[4] Zhang et al., "Learning with feature-dependent label noise: a progressive approach", ICLR 2021: flips that depend on
    the margin, towards the second most probable class; the weights here are simpler.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import issparse
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler
from sklearn.utils import check_array, check_random_state, column_or_1d

from skrdia._shown import shown
from skrdia.datasets._labels import encode_labels

__all__ = ["flip_labels"]

Codes = NDArray[np.intp]


class _Given(NamedTuple):
    codes: Codes  # (n,)
    n_classes: int
    rate: Any  # a float, or for "one-sided" an array (K, K)
    X: Any  # (n, p), standardised; None for the kinds that do not need it
    rng: np.random.RandomState


def flip_labels(
    y: ArrayLike, rate: ArrayLike, kind: str = "symmetric", *, X: Any = None, random_state: Any = None
) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    """Give some of the rows a wrong label, at random or systematically.

    Parameters
    ----------
    y : array-like of shape (n_samples,)
        Labels, of at least two classes. The order of the classes is that of ``np.unique(y)``.
    rate : float or array-like of shape (n_classes, n_classes)
        Share of the rows to flip, from 0 to 1. With `kind` "one-sided" it is the share of the rows of the first class,
        or else a transition matrix: entry (j, k) is the probability that a row of class j gets label k.
    kind : {"symmetric", "pair", "one-sided", "instance", "group"}, default="symmetric"
        Which rows are flipped, and to what. The number of rows is exact except with a transition matrix:

        * "symmetric": ``round(rate * n_samples)`` rows; each other label has the same probability.
        * "pair": ``round(rate * n_samples)`` rows, to the next class; the last class goes to the first.
        * "one-sided": class-conditional. ``round(rate * n_first)`` of the ``n_first`` rows of the first class, to the
          second class. With a transition matrix, the label of every row is drawn on its own.
        * "instance": ``round(rate * n_samples)`` rows, mostly near the decision boundary of a logistic regression on
          X and y, to the most probable other label. Rows are drawn without replacement with weights ``1 - margin``;
          the margin is the probability of the label in y less that of the most probable other label.
        * "group": ``round(rate * (n_samples // 2))`` rows, all in the half of the rows on one side of a hyperplane of
          random direction; each other label has the same probability.
    X : {array-like, sparse matrix} of shape (n_samples, n_features), default=None
        Numbers without missing values, for "instance" and "group", which standardise the columns. Other kinds ignore
        it.
    random_state : int, RandomState instance or None, default=None
        Draws the rows and their new labels, and the direction of "group".

    Returns
    -------
    noisy_y : ndarray of shape (n_samples,)
        The labels with the flips, in the dtype of y.
    flipped : ndarray of shape (n_samples,)
        True for the rows whose label changed.

    Raises
    ------
    ValueError
        If `rate` is not between 0 and 1 and not a transition matrix, `kind` is unknown, y has a single class or missing
        labels, or X is needed and missing, of another length than y, or not made of finite numbers.

    See Also
    --------
    make_gaussian_blobs : Data with a known decision boundary.

    References
    ----------
    .. [1] Patrini et al., "Making deep neural networks robust to label noise: a loss correction approach", CVPR 2017.
    .. [2] Han et al., "Co-teaching: robust training of deep neural networks with extremely noisy labels", NeurIPS 2018.
    .. [3] Zhang et al., "Learning with feature-dependent label noise: a progressive approach", ICLR 2021.

    Examples
    --------
    >>> from skrdia.datasets import flip_labels, load_breast_cancer_scale
    >>> noisy_y, flipped = flip_labels(["a", "b"] * 50, rate=0.2, random_state=0)
    >>> int(flipped.sum())
    20

    Half of the malignant rows called benign, and one in ten of the benign rows called malignant:

    >>> X, y = load_breast_cancer_scale(return_X_y=True)
    >>> noisy_y, flipped = flip_labels(y, [[0.9, 0.1], [0.5, 0.5]], "one-sided", random_state=0)

    Mistakes where the classes are hard to tell apart:

    >>> noisy_y, flipped = flip_labels(y, 0.1, "instance", X=X, random_state=0)
    >>> int(flipped.sum())
    68
    """
    if kind not in _KINDS:
        raise ValueError(f"kind={kind!r} is unknown; use one of {list(_KINDS)}.")
    classes, codes = _encode(y)
    share = _check_rate(rate, kind, classes)
    rows = _standardise(X, len(codes), kind) if kind in _NEED_X else None
    noisy = _KINDS[kind](_Given(codes, len(classes), share, rows, check_random_state(random_state)))
    return classes[noisy], noisy != codes


def _symmetric(given: _Given) -> Codes:
    rows = _draw(np.arange(len(given.codes)), given)
    return _relabel(given.codes, rows, _other_class(given, rows))


def _pair(given: _Given) -> Codes:
    rows = _draw(np.arange(len(given.codes)), given)
    return _relabel(given.codes, rows, (given.codes[rows] + 1) % given.n_classes)


def _one_sided(given: _Given) -> Codes:
    if np.ndim(given.rate) == 2:
        return _from_transition(given)
    return _relabel(given.codes, _draw(np.flatnonzero(given.codes == 0), given), 1)


def _from_transition(given: _Given) -> Codes:
    noisy = given.codes.copy()
    for code, probabilities in enumerate(given.rate):
        rows = np.flatnonzero(given.codes == code)
        noisy[rows] = given.rng.choice(given.n_classes, size=len(rows), p=probabilities)
    return noisy


def _instance(given: _Given) -> Codes:
    n = len(given.codes)
    others = LogisticRegression(max_iter=1000).fit(given.X, given.codes).predict_proba(given.X)
    others[np.arange(n), given.codes] = 0.0
    weight = others.sum(axis=1) + others.max(axis=1)  # 1 - margin, without its cancellation
    others[np.arange(n), given.codes] = -1.0
    keys = np.log(np.maximum(weight, np.finfo(np.float64).tiny)) + given.rng.gumbel(size=n)
    rows = np.argsort(-keys)[: round(given.rate * n)]
    return _relabel(given.codes, rows, others[rows].argmax(axis=1))


def _group(given: _Given) -> Codes:
    n = len(given.codes)
    along = given.X @ given.rng.normal(size=given.X.shape[1])
    shuffled = given.rng.permutation(n)  # with a stable sort: ties in random order
    half = shuffled[np.argsort(along[shuffled], kind="stable")][n - n // 2 :]
    rows = _draw(half, given)
    return _relabel(given.codes, rows, _other_class(given, rows))


_KINDS: dict[str, Callable[[_Given], Codes]] = {
    "symmetric": _symmetric,
    "pair": _pair,
    "one-sided": _one_sided,
    "instance": _instance,
    "group": _group,
}
_NEED_X = ("instance", "group")


def _draw(rows: Codes, given: _Given) -> Codes:
    """Return the share of `rows` to flip."""
    return given.rng.permutation(rows)[: round(given.rate * len(rows))]


def _other_class(given: _Given, rows: Codes) -> Codes:
    """Return for each of `rows` a class that is not its own."""
    return (given.codes[rows] + given.rng.randint(1, given.n_classes, size=len(rows))) % given.n_classes


def _relabel(codes: Codes, rows: Codes, new: Codes | int) -> Codes:
    noisy = codes.copy()
    noisy[rows] = new
    return noisy


def _encode(y: ArrayLike) -> tuple[NDArray[Any], Codes]:
    """Return the sorted classes and the position of every label among them."""
    classes, codes = encode_labels(column_or_1d(np.asarray(y)))
    if len(classes) < 2:
        raise ValueError(
            f"y has a single class, {classes.tolist()}; there is no other label to flip to."
            if len(classes)
            else "y is empty; pass at least one row of each of two classes."
        )
    return classes, codes


def _check_rate(rate: ArrayLike, kind: str, classes: NDArray[Any]) -> float | NDArray[np.float64]:
    """Return the share of the rows, or the transition matrix (K, K)."""
    try:
        values = np.asarray(rate, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"rate={shown(rate)} must be a number between 0 and 1, or a transition matrix.") from error
    if values.ndim == 0:
        share = float(values)
        if not 0.0 <= share <= 1.0:
            raise ValueError(f"rate={share:g} must be between 0 and 1: it is the share of the rows to flip.")
        return share
    if kind != "one-sided":
        raise ValueError(f"rate has shape {values.shape}, but kind={kind!r} takes one number; use kind='one-sided'.")
    return _check_transition(values, classes)


def _check_transition(matrix: NDArray[np.float64], classes: NDArray[Any]) -> NDArray[np.float64]:
    n_classes = len(classes)
    if matrix.shape != (n_classes, n_classes):
        raise ValueError(
            f"rate has shape {matrix.shape}, expected {(n_classes, n_classes)}: a row and a column for each class of "
            f"y, {classes[:10].tolist()}{' ...' if n_classes > 10 else ''}."
        )
    if not np.all(matrix >= 0.0):
        raise ValueError("rate has a negative or missing entry; the entries of a transition matrix are probabilities.")
    sums = matrix.sum(axis=1)
    wrong = np.flatnonzero(~np.isclose(sums, 1.0, rtol=0.0, atol=1e-6))
    if len(wrong):
        raise ValueError(
            f"rate: row {wrong[0]} sums to {sums[wrong[0]]:g}, expected 1. Entry (j, k) is the probability that a row "
            "of class j gets label k; put the probability of keeping the label on the diagonal."
        )
    normalised: NDArray[np.float64] = matrix / sums[:, None]
    return normalised


def _standardise(X: Any, n_samples: int, kind: str) -> Any:
    """Return X with columns of unit variance; dense columns are centred too, which changes no probability or order."""
    if X is None:
        raise ValueError(f"X is missing; kind={kind!r} needs it: pass X=X, the rows that y belongs to.")
    try:
        rows = check_array(X, accept_sparse="csr", dtype=[np.float64, np.float32], input_name="X")
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"X does not suit kind={kind!r}, which needs a table of numbers without missing values: encode and impute "
            f"it first. {error}"
        ) from error
    if rows.shape[0] != n_samples:
        raise ValueError(f"X has {rows.shape[0]} rows and y has {n_samples} labels; pass the rows that y belongs to.")
    return StandardScaler(with_mean=not issparse(rows)).fit_transform(rows)
