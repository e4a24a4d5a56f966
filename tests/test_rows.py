"""Validation rows from two sources: trusted rows of X, and rows beside it."""

import numpy as np
import pytest
from scipy import sparse

from skrdia import RDIAClassifier


@pytest.mark.parametrize("alpha", [0.7, "auto"])
@pytest.mark.parametrize("refit_on", ["all", "train"])
def test_trusted_rows_beside_separate_ones(table, alpha, refit_on):
    """The same as all of them marked in one table, or all of them apart."""
    X, y, n = np.vstack([table.X, table.X_val]), np.r_[table.y, table.y_val], len(table.y)
    inside = np.arange(len(y)) < n + 50
    params = {"alpha": alpha, "hessian": "direct", "refit_on": refit_on, "random_state": 0}
    trusted = (np.arange(len(y)) >= n)[inside]
    both = RDIAClassifier(**params).fit(X[inside], y[inside], trusted=trusted, X_val=X[~inside], y_val=y[~inside])
    apart = RDIAClassifier(**params).fit(table.X, table.y, **table.val)
    np.testing.assert_array_equal(both.validation_mask_, trusted)
    np.testing.assert_array_equal(both.relabeled_y_[trusted], table.y_val[:50])
    np.testing.assert_array_equal(both.relabeled_y_[~trusted], apart.relabeled_y_)
    np.testing.assert_allclose(both.targets_[~trusted], apart.targets_, atol=1e-6)
    np.testing.assert_allclose(both.influences_[~trusted], apart.influences_, atol=1e-6)
    assert both.targets_[trusted].any() == (refit_on == "all")
    assert np.isnan(both.influences_[trusted]).all()
    np.testing.assert_allclose(both.estimator_.coef_, apart.estimator_.coef_, atol=1e-2)


def test_no_row_trusted_beside_separate_ones(table):
    nobody = np.zeros(len(table.y), dtype=bool)
    both = RDIAClassifier(alpha=0.7).fit(table.X, table.y, trusted=nobody, **table.val)
    alone = RDIAClassifier(alpha=0.7).fit(table.X, table.y, **table.val)
    np.testing.assert_array_equal(both.influences_, alone.influences_)
    np.testing.assert_array_equal(both.estimator_.coef_, alone.estimator_.coef_)


def test_each_class_needs_a_validation_row_in_one_of_the_sources(table):
    trusted = (table.y == 0) & (np.arange(300) < 100)
    of_one = table.y_val == 1
    val = {"X_val": table.X_val[of_one], "y_val": table.y_val[of_one]}
    clf = RDIAClassifier(alpha=0.7).fit(table.X, table.y, trusted=trusted, **val)
    assert clf.harmful_mask_.any()
    with pytest.raises(ValueError, match=r"trusted and y_val: .* all of class \[1\]"):
        RDIAClassifier(alpha=0.7).fit(table.X, table.y, trusted=~trusted & (table.y == 1) & (np.arange(300) < 9), **val)


def test_weights_of_trusted_rows_count_beside_separate_ones(table):
    trusted, weight = np.arange(300) < 100, np.where(np.arange(300) < 100, 0.0, 1.0)
    clf = RDIAClassifier(alpha=0.7, hessian="direct").fit(table.X, table.y, weight, trusted=trusted, **table.val)
    rest = RDIAClassifier(alpha=0.7, hessian="direct").fit(table.X[100:], table.y[100:], **table.val)
    np.testing.assert_allclose(clf.influences_[100:], rest.influences_, atol=1e-8)
    assert not clf.targets_[trusted].any()


def test_sparse_trusted_rows_beside_dense_ones(table):
    trusted = np.arange(300) < 30
    dense = RDIAClassifier(alpha=0.7).fit(table.X, table.y, trusted=trusted, **table.val)
    mixed = RDIAClassifier(alpha=0.7).fit(sparse.csr_array(table.X), table.y, trusted=trusted, **table.val)
    np.testing.assert_array_equal(mixed.harmful_mask_, dense.harmful_mask_)


def test_the_mask_is_checked_beside_separate_rows_too(table):
    for trusted, message in (
        (np.ones(300, dtype=bool), "trusted is True for every row"),
        (np.ones(300), "trusted has dtype float64, expected bool"),
        (np.ones(3, dtype=bool), r"trusted has shape \(3,\)"),
    ):
        with pytest.raises(ValueError, match=message):
            RDIAClassifier(alpha=0.7).fit(table.X, table.y, trusted=trusted, **table.val)
