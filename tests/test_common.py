"""scikit-learn's whole estimator check suite."""

import warnings

import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.utils.estimator_checks import parametrize_with_checks

from skrdia import RDIAClassifier


def _expected_to_fail(estimator):
    if estimator.alpha != "auto":
        return {}
    reason = "the folds of cross-validation tell a row of weight two from two rows"
    return {f"check_sample_weight_equivalence_on_{kind}_data": reason for kind in ("dense", "sparse")}


@parametrize_with_checks(
    [
        RDIAClassifier(),
        RDIAClassifier(LogisticRegression(C=0.1), alpha=0.7, strategy="drop", max_iter=3, hessian="direct"),
        RDIAClassifier(make_pipeline(LogisticRegression()), alpha=0.5, strategy="relabel-soft", refit_on="train"),
    ],
    expected_failed_checks=_expected_to_fail,
)
def test_estimator_checks(estimator, check):
    with warnings.catch_warnings():
        # The checks fit tables of a few rows of random labels, where a class can run empty or a fit not converge.
        warnings.simplefilter("default")
        check(estimator)


def test_routable_metadata():
    requests = RDIAClassifier().get_metadata_routing().fit.requests
    assert set(requests) == {"sample_weight", "X_val", "y_val", "trusted", "groups", "y_given"}


@pytest.mark.parametrize("method", ["predict", "predict_proba", "predict_log_proba", "decision_function"])
def test_methods_are_those_of_the_base_estimator(method):
    assert hasattr(RDIAClassifier(), method)
