"""Nothing of shape (n, p) is ever allocated, whatever the number of columns."""

import tracemalloc

import numpy as np
import pytest
from scipy import sparse
from sklearn.linear_model import LogisticRegression

from skrdia import RDIAClassifier, influence


def wide_table(n=2_000, d=1_000_000, n_classes=2):
    rng = np.random.default_rng(0)
    columns = (d * rng.random(15 * n) ** 4).astype(np.int32)
    X = sparse.csr_array((np.ones(15 * n), columns, np.arange(0, 15 * n + 1, 15)), shape=(n, d))
    return X, rng.integers(0, n_classes, size=n)


def peak(function):
    tracemalloc.start()
    try:
        function()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("n_classes", [2, 3])
def test_a_million_columns(n_classes):
    """The peak is a few dozen parameter vectors (lbfgs keeps 20), far below the (n, p) array of 16 GB."""
    X, y = wide_table(n_classes=n_classes)
    parameters = 8 * X.shape[1] * (1 if n_classes == 2 else n_classes)
    model = LogisticRegression().fit(X[:1000], y[:1000])
    step_two = peak(lambda: influence(model, X[:1000], y[:1000], X[1000:], y[1000:]))
    assert step_two < 20 * parameters
    clf = RDIAClassifier(LogisticRegression(), strategy="drop")
    assert peak(lambda: clf.fit(X, y, trusted=np.arange(len(y)) % 2 == 0)) < 60 * parameters


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_dense_rows_are_not_copied(dtype):
    """Not even in single precision, where a product with a double vector would copy all of X."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(100_000, 100)).astype(dtype)
    y = (X[:, 0] + rng.normal(size=len(X)) > 0).astype(int)
    model = LogisticRegression().fit(X, y)
    size = peak(lambda: influence(model, X, y, X[:1000], y[:1000]))
    assert size < 0.6 * 8 * X.size
