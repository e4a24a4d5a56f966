"""Rows that do not belong, all in one place and under one label.

n normal rows in p columns (an image is one row of all its values), then m anomalies, r the rate, a share of all n + m:

    m = max(1, round(n r / (1 - r)))

All anomalies have one and the same label, uniform over the classes of the normal rows.

    far, near   a Gaussian cluster                                       t = 3, t = 1
    class       m rows at random of a class that leaves the normal rows
    rows        m rows at random of another data set

Clusters: mu and s (p,) are mean and standard deviation of the columns of the normal rows, p' the number of columns with
s > 0, u a random direction with |u| = 1 that is zero in the other columns, and products of vectors are by column:

    centre = mu + t sqrt(p') s u,    a_j = centre + s z_j / 4,    z_j ~ N(0, I),    j = 1 ... m

In standardised columns a normal row x_i has the mean square distance

    1/n sum_i |(x_i - mu) / s|^2 = p'

from the mean, and the centre t^2 p': a near cluster is as far out as a row is, but all in one spot; a far one three
times as far. The width of the clusters does not depend on t. Constant columns keep their value.

Reference: Myrtakis et al., "A comparative analysis of influence signals for data debugging", arXiv 2506.11584:
clustered anomalies under one random label.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from numbers import Real
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import issparse
from sklearn.utils import check_array, check_random_state, column_or_1d

from skrdia._shown import shown
from skrdia.datasets._labels import encode_labels

__all__ = ["add_anomalies"]

Mask = NDArray[np.bool_]
Codes = NDArray[np.intp]

_WIDTH = 0.25  # of a cluster, in standard deviations of the columns


class _Given(NamedTuple):
    X: NDArray[Any]  # (n, ...)
    codes: Codes  # (n,)
    classes: NDArray[Any]
    rate: float
    source: Any  # (n_source, ...) with "rows", otherwise None
    rng: np.random.RandomState


def add_anomalies(
    X: Any, y: ArrayLike, rate: float = 0.1, kind: str = "far", *, source: Any = None, random_state: Any = None
) -> tuple[NDArray[Any], NDArray[Any], NDArray[np.bool_]]:
    """Append rows that do not belong to the data, all with one and the same label.

    Parameters
    ----------
    X : array-like of shape (n_samples, n_features) or (n_samples, ...)
        Numbers without missing values; rows can be images.
    y : array-like of shape (n_samples,)
        Labels. That of the anomalies is drawn from the classes of the normal rows, with equal probability.
    rate : float, default=0.1
        Share of the returned rows that are anomalies, between 0 and 1. Their number is
        ``round(rate / (1 - rate) * n_normal)``, and at least one.
    kind : {"far", "near", "class", "rows"}, default="far"
        What the anomalies are:

        * "far": a Gaussian cluster in a random direction from the mean of the rows, about three times as far as a row
          is on average. Its standard deviation is a quarter of that of the rows, in every column.
        * "near": such a cluster as far from the mean as a row is on average.
        * "class": rows of a random class of y. The others of this class leave the data, so that no normal row has its
          label. Needs three classes.
        * "rows": rows of `source`, without replacement.
    source : array-like of shape (n_source, n_features) or (n_source, ...), default=None
        Rows of another data set, of the shape of those of X, for "rows" only.
    random_state : int, RandomState instance or None, default=None
        Draws the anomalies and their label.

    Returns
    -------
    X_all : ndarray of shape (n_normal + n_anomalies, ...)
        The normal rows, in their order, then the anomalies. A float dtype is that of X. Other dtypes become float64
        with "far" and "near", and with "rows" one that also holds `source`.
    y_all : ndarray of shape (n_normal + n_anomalies,)
        Their labels, in the dtype of y.
    is_anomaly : ndarray of shape (n_normal + n_anomalies,)
        True for the anomalies.

    Raises
    ------
    ValueError
        If `rate` is not between 0 and 1, `kind` is unknown, X is not made of finite numbers, is sparse or of another
        length than y, y has missing labels or too few classes, `source` is missing or not needed, its rows have another
        shape than those of X, or there are fewer rows to draw from than anomalies.

    See Also
    --------
    flip_labels : Wrong labels of rows that do belong.
    make_gaussian_blobs : Data with a known decision boundary.

    References
    ----------
    .. [1] Myrtakis et al., "A comparative analysis of influence signals for data debugging", arXiv 2506.11584.

    Examples
    --------
    >>> from skrdia.datasets import add_anomalies, load_breast_cancer_scale
    >>> X, y = load_breast_cancer_scale(return_X_y=True)
    >>> X_all, y_all, is_anomaly = add_anomalies(X, y, rate=0.1, random_state=0)
    >>> X.shape, X_all.shape, int(is_anomaly.sum())
    ((683, 10), (759, 10), 76)

    Flowers among the tumours:

    >>> from sklearn.datasets import load_iris
    >>> flowers = load_iris().data
    >>> X_all, y_all, is_anomaly = add_anomalies(X[:, :4], y, 0.05, "rows", source=flowers, random_state=0)
    >>> int(is_anomaly.sum())
    36
    """
    if kind not in _KINDS:
        raise ValueError(f"kind={kind!r} is unknown; use one of {list(_KINDS)}.")
    share = _check_rate(rate)
    rows = _check_rows(X, "X")
    labels, classes, codes = _check_labels(y, len(rows))
    others = _check_source(source, kind, rows.shape[1:])
    rng = check_random_state(random_state)
    normal, anomalies = _KINDS[kind](_Given(rows, codes, classes, share, others, rng))
    label = rng.choice(np.unique(codes[normal]))
    X_all = _stack(rows[normal], anomalies)
    y_all = np.concatenate([labels[normal], np.repeat(classes[[label]], len(anomalies))])
    return X_all, y_all, np.arange(len(X_all)) >= normal.sum()


def _cluster(given: _Given, distance: float) -> tuple[Mask, NDArray[Any]]:
    n = len(given.X)
    columns = given.X.reshape(n, -1).astype(np.float64)
    varies = columns.min(axis=0) < columns.max(axis=0)
    if not varies.any():
        raise ValueError(
            "X has the same values in every row, so that no distance is near or far. Pass rows that differ, or use "
            "kind='rows' with a source."
        )
    n_anomalies = _count(given.rate, n)
    direction = given.rng.normal(size=varies.sum())
    direction *= distance * (varies.sum() ** 0.5 / np.linalg.norm(direction))
    anomalies = np.repeat(columns[:1], n_anomalies, axis=0)
    with np.errstate(over="ignore", invalid="ignore"):  # _stack says so
        mean, std = columns[:, varies].mean(axis=0), columns[:, varies].std(axis=0)
        noise = given.rng.normal(size=(n_anomalies, len(std)))
        anomalies[:, varies] = mean + std * (direction + _WIDTH * noise)
    return np.ones(n, dtype=np.bool_), anomalies.reshape(n_anomalies, *given.X.shape[1:])


def _from_class(given: _Given) -> tuple[Mask, NDArray[Any]]:
    if len(given.classes) < 3:
        raise ValueError(
            f"y has {len(given.classes)} of the at least 3 classes that kind='class' needs: one becomes the anomalies, "
            "the others stay. Use another kind."
        )
    drawn = given.rng.randint(len(given.classes))
    normal = given.codes != drawn
    name = f"class {given.classes[[drawn]].tolist()[0]!r} of y, drawn at random,"
    rows = _draw(np.flatnonzero(~normal), int(normal.sum()), given, name)
    return normal, given.X[rows]


def _from_source(given: _Given) -> tuple[Mask, NDArray[Any]]:
    n = len(given.X)
    rows = _draw(np.arange(len(given.source)), n, given, "source")
    return np.ones(n, dtype=np.bool_), given.source[rows]


_KINDS: dict[str, Callable[[_Given], tuple[Mask, NDArray[Any]]]] = {
    "far": partial(_cluster, distance=3.0),
    "near": partial(_cluster, distance=1.0),
    "class": _from_class,
    "rows": _from_source,
}


def _count(rate: float, n_normal: int) -> int:
    return max(1, round(rate / (1.0 - rate) * n_normal))


def _draw(rows: Codes, n_normal: int, given: _Given, name: str) -> Codes:
    """Return as many of `rows` as there are anomalies."""
    n_anomalies = _count(given.rate, n_normal)
    if len(rows) < n_anomalies:
        raise ValueError(
            f"rate={given.rate:g} asks for {n_anomalies} anomalies, but {name} has {len(rows)} rows; the largest rate "
            f"possible is {len(rows) / (len(rows) + n_normal):g}."
        )
    return given.rng.permutation(rows)[:n_anomalies]


def _stack(normal: NDArray[Any], anomalies: NDArray[Any]) -> NDArray[Any]:
    is_float = normal.dtype.kind == "f"
    dtype = normal.dtype if is_float else np.result_type(normal.dtype, anomalies.dtype)
    with np.errstate(over="ignore"):
        added = anomalies.astype(dtype)
    if not np.isfinite(added).all():
        raise ValueError(
            f"X has the dtype {normal.dtype}, in which the anomalies overflow; convert X to float64, or scale it down."
        )
    return np.concatenate([normal, added], dtype=dtype)


def _check_rate(rate: float) -> float:
    if not (isinstance(rate, Real) and 0.0 < rate < 1.0):
        raise ValueError(
            f"rate={shown(rate)} must be a number between 0 and 1, both excluded: it is the share of anomalies in the "
            "returned rows."
        )
    return float(rate)


def _check_rows(X: Any, name: str) -> NDArray[Any]:
    """Return the rows as an array of numbers of two or more dimensions."""
    if issparse(X):
        raise ValueError(f"{name} is sparse, but the anomalies are dense; convert it, with {name}.toarray().")
    try:
        rows: NDArray[Any] = check_array(X, allow_nd=True, input_name=name)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"{name} must be an array of finite numbers, with one row per sample: encode and impute it first. {error}"
        ) from error
    if rows.dtype.kind not in "biuf":
        raise ValueError(f"{name} has the dtype {rows.dtype}, which is not one of numbers; encode it first.")
    return rows


def _check_labels(y: ArrayLike, n_samples: int) -> tuple[NDArray[Any], NDArray[Any], Codes]:
    """Return the labels, the sorted classes, and the position of every label among them."""
    labels = column_or_1d(np.asarray(y))
    if len(labels) != n_samples:
        raise ValueError(f"X has {n_samples} rows and y has {len(labels)} labels; pass the rows that y belongs to.")
    return labels, *encode_labels(labels)


def _check_source(source: Any, kind: str, shape: tuple[int, ...]) -> NDArray[Any] | None:
    """Return the rows of the other data set; None for the kinds that do not need it."""
    if kind != "rows":
        if source is not None:
            raise ValueError(f"source is for kind='rows', but kind={kind!r}; leave it out, or use kind='rows'.")
        return None
    if source is None:
        raise ValueError("source is missing; kind='rows' needs it: pass source=, rows of another data set.")
    rows = _check_rows(source, "source")
    if rows.shape[1:] != shape:
        if rows.ndim == 2 and len(shape) == 1:
            raise ValueError(f"source has {rows.shape[1]} columns and X has {shape[0]}; they must be the same.")
        raise ValueError(f"source has rows of shape {rows.shape[1:]} and X of {shape}; they must be the same.")
    return rows
