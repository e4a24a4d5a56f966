"""Two Gaussian classes, and the best decision between them.

n rows, p columns, means mu_1 and mu_2 (p,), standard deviation sigma of every column:

    y_i ~ Bernoulli(1/2),    x_i | y_i ~ N((1 - y_i) mu_1 + y_i mu_2, sigma^2 I)

With w = mu_2 - mu_1 (p,) and the midpoint m = (mu_1 + mu_2) / 2, Bayes' rule gives, since the priors are equal and the
quadratic terms cancel,

    log p(y = 1 | x) - log p(y = 0 | x) = w . (x - m) / sigma^2

in nats: a logistic regression with coefficients w / sigma^2. The decision of least error is y = 1 where it is positive.
The boundary w . (x - m) = 0 is the perpendicular bisector of the means, whatever sigma; in the plane, the line

    m + z (w_2, -w_1),    z a real number

and z counts distances between the means. The least error is Phi(-|w| / (2 sigma)), Phi the standard normal
distribution function.

Reference: pyDVL, notebook "Influence functions for data mislabeling". Its text has the covariance sigma^2 I, as here;
its code has sigma I, so the default sigma here is the root of its 0.2.
"""

from __future__ import annotations

from numbers import Integral, Real
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.utils import check_array, check_random_state

from skrdia._shown import shown

__all__ = ["gaussian_boundary", "gaussian_log_odds", "make_gaussian_blobs"]

Array = NDArray[np.float64]

_MEANS = ((0.0, 0.0), (1.0, 1.0))
_SIGMA = 0.2**0.5


def make_gaussian_blobs(
    n_samples: int = 10_000, means: ArrayLike = _MEANS, sigma: float = _SIGMA, *, random_state: Any = None
) -> tuple[Array, NDArray[np.int_]]:
    """Draw rows of two Gaussian classes of equal probability and equal spread.

    Parameters
    ----------
    n_samples : int, default=10_000
        Number of rows.
    means : array-like of shape (2, n_features), default=((0, 0), (1, 1))
        Mean of class 0 and of class 1.
    sigma : float, default=0.2 ** 0.5
        Standard deviation of every column within a class, in the unit of X. Positive.
    random_state : int, RandomState instance or None, default=None
        Draws the labels, then the rows.

    Returns
    -------
    X : ndarray of shape (n_samples, n_features)
        The rows, float64.
    y : ndarray of shape (n_samples,)
        The class of each row, 0 or 1.

    Raises
    ------
    ValueError
        If `n_samples` is not a positive whole number, `means` not two rows of finite numbers, or `sigma` not a positive
        number.

    See Also
    --------
    gaussian_log_odds : The best decision function for these data.
    gaussian_boundary : Points of the best decision boundary, to plot.
    flip_labels : Wrong labels.
    sklearn.datasets.make_blobs : Any number of classes, of the same number of rows each.

    References
    ----------
    .. [1] pyDVL, "Influence functions for data mislabeling", notebook in its documentation. The defaults are its data;
       its sigma, 0.2, is a variance.

    Examples
    --------
    >>> from skrdia.datasets import gaussian_log_odds, make_gaussian_blobs
    >>> X, y = make_gaussian_blobs(random_state=0)
    >>> X.shape
    (10000, 2)
    >>> best = gaussian_log_odds(X) > 0
    >>> print(f"the best decision is right for {(best == y).mean():.0%} of the rows")
    the best decision is right for 94% of the rows
    """
    if not isinstance(n_samples, Integral) or n_samples < 1:
        raise ValueError(f"n_samples={shown(n_samples)} must be a whole number of at least 1.")
    centers, spread = _check_means(means), _check_sigma(sigma)
    rng = check_random_state(random_state)
    y = rng.randint(0, 2, size=n_samples)
    return centers[y] + spread * rng.normal(size=(n_samples, centers.shape[1])), y


def gaussian_log_odds(X: ArrayLike, means: ArrayLike = _MEANS, sigma: float = _SIGMA) -> Array:
    """Return the log-odds of class 1 under the distribution that `make_gaussian_blobs` draws from.

    Its sign is the decision of least error, and ``scipy.special.expit`` makes it the probability of class 1.

    Parameters
    ----------
    X : array-like of shape (n_samples, n_features)
        Any rows.
    means : array-like of shape (2, n_features), default=((0, 0), (1, 1))
        Mean of class 0 and of class 1.
    sigma : float, default=0.2 ** 0.5
        Standard deviation of every column within a class, in the unit of X. Positive.

    Returns
    -------
    log_odds : ndarray of shape (n_samples,)
        ``(x - (means[0] + means[1]) / 2) @ (means[1] - means[0]) / sigma**2`` for each row x, in nats.

    Raises
    ------
    ValueError
        If X does not have the columns of `means`, `means` is not two rows of finite numbers, or `sigma` not a positive
        number.

    See Also
    --------
    make_gaussian_blobs : Draws the data.
    gaussian_boundary : Points where the log-odds are zero.

    References
    ----------
    .. [1] pyDVL, "Influence functions for data mislabeling", notebook in its documentation.

    Examples
    --------
    >>> from skrdia.datasets import gaussian_log_odds
    >>> gaussian_log_odds([[0.5, 0.5], [1.0, 1.0], [0.0, 0.0]], sigma=1.0)
    array([ 0.,  1., -1.])
    """
    centers, spread = _check_means(means), _check_sigma(sigma)
    rows: Array = check_array(X, dtype=np.float64, input_name="X")
    if rows.shape[1] != centers.shape[1]:
        raise ValueError(f"X has {rows.shape[1]} columns and means has {centers.shape[1]}; they must be the same.")
    log_odds: Array = (rows - centers.mean(axis=0)) @ (centers[1] - centers[0]) / spread**2
    return log_odds


def gaussian_boundary(z: ArrayLike, means: ArrayLike = _MEANS) -> Array:
    """Return points of the best decision boundary between two Gaussian classes in the plane.

    The boundary is the perpendicular bisector of the means, because both classes have the same probability and spread;
    the spread does not matter.

    Parameters
    ----------
    z : array-like of shape (n_points,)
        Where on the line: 0 is the midpoint of the means, and 1 is as far from it as the means are from each other.
    means : array-like of shape (2, 2), default=((0, 0), (1, 1))
        Mean of class 0 and of class 1.

    Returns
    -------
    points : ndarray of shape (n_points, 2)
        ``(means[0] + means[1]) / 2 + z * (w[1], -w[0])`` for each z, where ``w = means[1] - means[0]``.

    Raises
    ------
    ValueError
        If `z` is not a vector of finite numbers, or `means` not two different points in the plane.

    See Also
    --------
    make_gaussian_blobs : Draws the data.
    gaussian_log_odds : The decision function, for any number of columns; zero on these points.

    References
    ----------
    .. [1] pyDVL, "Influence functions for data mislabeling", notebook in its documentation.

    Examples
    --------
    >>> from skrdia.datasets import gaussian_boundary
    >>> gaussian_boundary([-0.5, 0.0, 0.5])
    array([[0. , 1. ],
           [0.5, 0.5],
           [1. , 0. ]])
    """
    centers = _check_means(means)
    if centers.shape[1] != 2:
        raise ValueError(
            f"means has {centers.shape[1]} columns, expected 2: the boundary is a line in the plane only. Use "
            "gaussian_log_odds, which is zero on it."
        )
    w = centers[1] - centers[0]
    if not w.any():
        raise ValueError(f"means has two equal rows, {centers[0].tolist()}; no boundary is better than another.")
    along: Array = check_array(z, ensure_2d=False, dtype=np.float64, input_name="z")
    if along.ndim != 1:
        raise ValueError(f"z has shape {along.shape}, expected (n_points,): one number per point of the line.")
    return centers.mean(axis=0) + along[:, None] * np.array([w[1], -w[0]])


def _check_means(means: ArrayLike) -> Array:
    centers: Array = check_array(means, dtype=np.float64, input_name="means")
    if len(centers) != 2:
        raise ValueError(f"means has {len(centers)} rows, expected 2: the mean of class 0 and that of class 1.")
    return centers


def _check_sigma(sigma: float) -> float:
    if not (isinstance(sigma, Real) and 0.0 < sigma < np.inf):
        raise ValueError(f"sigma={shown(sigma)} must be a positive number: the standard deviation of every column.")
    return float(sigma)
