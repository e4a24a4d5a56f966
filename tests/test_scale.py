"""Nothing of shape (n, p) is ever allocated, whatever the number of columns."""

import tracemalloc

import numpy as np
import pytest
from scipy import sparse
from sklearn.linear_model import LogisticRegression

from skrdia import RDIAClassifier, influence

from .test_views import L1


def wide_table(n=2_000, d=1_000_000, n_classes=2):
    rng = np.random.default_rng(0)
    columns = (d * rng.random(15 * n) ** 4).astype(np.int32)
    X = sparse.csr_array((np.ones(15 * n), columns, np.arange(0, 15 * n + 1, 15, dtype=np.int32)), shape=(n, d))
    return X, rng.integers(0, n_classes, size=n)


def peak(function):
    tracemalloc.start()
    try:
        function()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.slow
@pytest.mark.parametrize("n_classes", [2, 3])
def test_a_million_parameters(n_classes):
    """The peak is a few dozen parameter vectors (lbfgs keeps 20), far below the (n, p) array of 16 GB."""
    X, y = wide_table(d=1_000_000 if n_classes == 2 else 1_000_000 // n_classes, n_classes=n_classes)
    parameters = 8 * 1_000_000
    model = LogisticRegression().fit(X[:1000], y[:1000])
    step_two = peak(lambda: influence(model, X[:1000], y[:1000], X[1000:], y[1000:]))
    assert step_two < 20 * parameters
    clf = RDIAClassifier(LogisticRegression(), alpha=0.7, strategy="drop")
    assert peak(lambda: clf.fit(X, y, trusted=np.arange(len(y)) % 2 == 0)) < 60 * parameters


def test_the_dense_hessian_is_that_of_the_active_columns():
    """With an L1 penalty, "direct" needs room for the coefficients that are not zero, not for a million squared."""
    X, y = wide_table(n=500)
    y[np.asarray(X[:, [0]].todense()).ravel() > 0] = 1
    model = LogisticRegression(C=0.1, solver="liblinear", random_state=0, **L1).fit(X, y)
    assert 0 < np.count_nonzero(model.coef_) < 100
    direct, iterative = (influence(model, X, y, X, y, hessian=hessian) for hessian in ("direct", "newton-cg"))
    np.testing.assert_allclose(direct.by_label, iterative.by_label, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_dense_rows_are_not_copied(dtype):
    """Not even in single precision, where a product with a double vector would copy all of X."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(100_000, 100)).astype(dtype)
    y = (X[:, 0] + rng.normal(size=len(X)) > 0).astype(int)
    model = LogisticRegression().fit(X, y)
    size = peak(lambda: influence(model, X, y, X[:1000], y[:1000]))
    assert size < 0.6 * 8 * X.size
