"""Synthetic rows that look like hashed click logs, at any size.

n rows, p columns, f fields per row. Field j owns the w_j columns from s_j = floor(j p / f) up to s_{j + 1}. With u_ij
uniform on [0, 1), independent for every row and field,

    c_ij = s_j + floor(w_j u_ij^4),        x_{i, c_ij} = f^-1/2,        all other entries 0

so that within a field P(rank <= k) = (k / w_j)^1/4, a power law, and every row has f non-zeros and length 1. One in ten
columns has a coefficient b_c ~ N(0, 1), the others have 0. With z_i = sum_j b_{c_ij}, its mean m and standard deviation
s over pilot rows,

    y_i ~ Bernoulli(expit(a + (z_i - m) / s)),        a such that the pilot rows have 15 % of class 1 on average

in nats: a sparse logistic regression. Columns, labels, coefficients and pilot rows have a random stream each, so that
rows drawn block by block are those drawn at once.
"""

from __future__ import annotations

from numbers import Integral
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.sparse import csr_array
from scipy.special import expit
from sklearn.utils import check_random_state

from skrdia._shown import shown

__all__ = ["make_ctr_like"]

_BLOCK = 1 << 16  # rows
_PILOT = 10_000  # rows
_CLICK_RATE = 0.15
_WITH_COEFFICIENT = 0.1  # share of the columns
_LARGEST = np.iinfo(np.int32).max  # 32-bit indices, which liblinear needs


class _Fields(NamedTuple):
    starts: NDArray[np.int32]  # (f,)
    widths: NDArray[np.int32]  # (f,)

    def draw(self, rng: np.random.Generator, n_rows: int) -> NDArray[np.int32]:
        """Return a column for every row and field, (n_rows, f)."""
        u = rng.random((n_rows, len(self.starts)))
        np.square(u, out=u)
        np.square(u, out=u)
        u *= self.widths
        return self.starts + u.astype(np.int32)


class _Clicks(NamedTuple):
    coefficients: NDArray[np.float64]  # (p,), already divided by s
    intercept: float  # a - m / s

    def draw(self, rng: np.random.Generator, columns: NDArray[np.int32]) -> NDArray[np.int64]:
        log_odds = self.intercept + self.coefficients[columns].sum(axis=1)
        return (rng.random(len(columns)) < expit(log_odds)).astype(np.int64)


def make_ctr_like(n_samples: int, n_features: int, nnz: int, *, random_state: Any = None) -> tuple[Any, NDArray[Any]]:
    """Draw SYNTHETIC rows of the shape of a hashed click log, for tests of scale.

    Nothing here is measured: the rows only have the size, sparsity and popular columns of click-through data such as
    Criteo and Avazu, so times and memory mean something and losses do not. `fetch_paper_dataset` loads the real ones.
    Memory is that of the result, about ``12 * n_samples * nnz`` bytes.

    Parameters
    ----------
    n_samples : int
        Number of rows; 456,674 in the paper's Criteo 1 % and 14,596,137 in its Avazu.
    n_features : int
        Number of columns, at least `nnz`; 1,000,000 in both.
    nnz : int
        Number of fields, and of non-zeros of every row; 39 in Criteo and 15 in Avazu.
    random_state : int, RandomState instance or None, default=None
        Draws everything. With the same seed, the first rows are the same whatever `n_samples`.

    Returns
    -------
    X : csr_array of shape (n_samples, n_features)
        Float64 with 32-bit indices. Each field has a range of columns of its own, of which a row has one, by a power
        law; its value is ``nnz ** -0.5``, so rows have length 1.
    y : ndarray of shape (n_samples,)
        1 for a click, about 15 % of the rows, by a sparse logistic regression; else 0. Int64.

    Raises
    ------
    ValueError
        If an argument is not a positive whole number, `n_features` is less than `nnz`, or the non-zeros are too many
        for 32-bit indices.

    See Also
    --------
    fetch_paper_dataset : Real data, of Criteo and Avazu too.

    Examples
    --------
    >>> from skrdia.datasets import make_ctr_like
    >>> X, y = make_ctr_like(10_000, 100_000, 15, random_state=0)
    >>> X.shape, X.nnz
    ((10000, 100000), 150000)
    """
    _check(n_samples=n_samples, n_features=n_features, nnz=nnz)
    seeds = check_random_state(random_state).randint(_LARGEST, size=3)
    rng_columns, rng_labels, rng_model = map(np.random.default_rng, seeds)
    bounds = (np.arange(nnz + 1) * n_features // nnz).astype(np.int32)
    fields = _Fields(bounds[:-1], np.diff(bounds))
    clicks = _make_clicks(fields, n_features, rng_model)
    indices, y = np.empty((n_samples, nnz), dtype=np.int32), np.empty(n_samples, dtype=np.int64)
    for start in range(0, n_samples, _BLOCK):
        block = slice(start, min(start + _BLOCK, n_samples))
        indices[block] = fields.draw(rng_columns, block.stop - start)
        y[block] = clicks.draw(rng_labels, indices[block])
    indptr = np.arange(0, n_samples * nnz + 1, nnz, dtype=np.int32)
    data = np.full(n_samples * nnz, nnz**-0.5)
    return csr_array((data, indices.ravel(), indptr), shape=(n_samples, n_features)), y


def _make_clicks(fields: _Fields, n_features: int, rng: np.random.Generator) -> _Clicks:
    coefficients = rng.normal(size=n_features) * (rng.random(n_features) < _WITH_COEFFICIENT)
    z = coefficients[fields.draw(rng, _PILOT)].sum(axis=1)
    center, spread = z.mean(), max(z.std(), 1e-6)  # z is constant where every field has one column
    z = (z - center) / spread
    intercept = brentq(lambda a: expit(a + z).mean() - _CLICK_RATE, -50.0, 50.0)
    return _Clicks(coefficients / spread, intercept - center / spread)


def _check(**arguments: Any) -> None:
    for name, value in arguments.items():
        if not isinstance(value, Integral) or value < 1:
            raise ValueError(f"{name}={shown(value)} must be a whole number of at least 1.")
    n_samples, n_features, nnz = (int(value) for value in arguments.values())
    if n_features < nnz:
        raise ValueError(f"n_features={n_features} must be at least nnz={nnz}: each non-zero has columns of its own.")
    if max(n_samples * nnz, n_features) > _LARGEST:
        raise ValueError(
            f"n_samples={n_samples} rows of nnz={nnz} in n_features={n_features} columns do not fit 32-bit indices; "
            f"keep n_samples * nnz and n_features at {_LARGEST} or less."
        )
