"""Synthetic click logs."""

import tracemalloc

import numpy as np
import pytest
from scipy.stats import chisquare
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss

from skrdia.datasets import _ctr, make_ctr_like


def same(first, second):
    (X, y), (other_X, other_y) = first, second
    for name in ("data", "indices", "indptr"):
        np.testing.assert_array_equal(getattr(X, name), getattr(other_X, name))
    np.testing.assert_array_equal(y, other_y)
    return X.shape == other_X.shape


@pytest.mark.parametrize(("n", "d", "nnz"), [(1, 1, 1), (50, 15, 15), (200, 97, 10), (3000, 100_000, 39)])
def test_every_row_has_one_column_of_each_field(n, d, nnz):
    X, y = make_ctr_like(n, d, nnz, random_state=0)
    assert X.format == "csr"
    assert X.shape == (n, d)
    assert (X.dtype, X.indices.dtype, X.indptr.dtype, y.dtype) == (np.float64, np.int32, np.int32, np.int64)
    np.testing.assert_array_equal(np.diff(X.indptr), nnz)
    np.testing.assert_array_equal(X.data, nnz**-0.5)
    np.testing.assert_allclose(X.power(2).sum(axis=1), 1.0)
    bounds = np.arange(nnz + 1) * d // nnz
    columns = X.indices.reshape(n, nnz)
    assert (bounds[:-1] <= columns).all()
    assert (columns < bounds[1:]).all()
    assert set(y) <= {0, 1}


def test_columns_of_a_field_follow_the_power_law():
    width, n = 16, 20_000
    X, _ = make_ctr_like(n, 3 * width, 3, random_state=0)
    probability = np.diff((np.arange(width + 1) / width) ** 0.25)
    for field in range(3):
        counts = np.bincount(X.indices[field::3] - field * width, minlength=width)
        assert chisquare(counts, n * probability).pvalue > 1e-4


@pytest.mark.parametrize(("d", "nnz"), [(39, 39), (1000, 15), (1_000_000, 39)])
@pytest.mark.parametrize("seed", range(3))
def test_about_15_percent_click(d, nnz, seed):
    _, y = make_ctr_like(20_000, d, nnz, random_state=seed)
    assert abs(y.mean() - 0.15) < 0.015


def test_clicks_can_be_learned():
    X, y = make_ctr_like(20_000, 2000, 15, random_state=0)
    model = LogisticRegression(C=1.0).fit(X[:15_000], y[:15_000])
    rate = np.full(5000, y[:15_000].mean())
    assert log_loss(y[15_000:], model.predict_proba(X[15_000:])) < log_loss(y[15_000:], rate) - 0.02


def test_rows_do_not_depend_on_the_blocks_or_the_number_of_rows(monkeypatch):
    expected = make_ctr_like(1000, 500, 7, random_state=3)
    assert same(make_ctr_like(1000, 500, 7, random_state=np.random.RandomState(3)), expected)
    X, y = make_ctr_like(1500, 500, 7, random_state=3)
    assert same((X[:1000], y[:1000]), expected)
    for block in (1, 7, 999, 1000, 5000):
        monkeypatch.setattr(_ctr, "_BLOCK", block)
        assert same(make_ctr_like(1000, 500, 7, random_state=3), expected)
    assert (make_ctr_like(1000, 500, 7, random_state=4)[0].indices != expected[0].indices).any()


def test_memory_is_that_of_the_result():
    tracemalloc.start()
    X, y = make_ctr_like(400_000, 10_000, 15, random_state=0)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1.3 * sum(part.nbytes for part in (X.data, X.indices, X.indptr, y))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((0, 10, 5), "n_samples=0 must be a whole number of at least 1"),
        ((10, 10.0, 5), "n_features=10.0 must be a whole number"),
        ((10, 10, -1), "nnz=-1 must be a whole number"),
        ((10, 4, 5), "n_features=4 must be at least nnz=5"),
        ((2**30, 100, 2), "do not fit 32-bit indices; keep n_samples . nnz"),
        ((1, 2**31, 2), "do not fit 32-bit indices"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        make_ctr_like(*arguments)
