"""The paper's first row, to the digit, on its own split and with its own estimator."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss

from skrdia import RDIAClassifier
from skrdia.datasets import load_breast_cancer_scale


@pytest.mark.parametrize(
    ("strategy", "reference_alpha", "loss"),
    [
        ("none", 0.0, "0.0914"),
        ("drop", 0.0, "0.0731"),
        ("relabel", 0.006, "0.0650"),
        ("relabel-soft", 0.006, "0.0650"),
        ("relabel", 0.01, "0.0677"),
        ("relabel", 0.002, "0.0669"),
        ("relabel", 0.0002, "0.0783"),
    ],
)
def test_breast_cancer(strategy, reference_alpha, loss):
    X, y = load_breast_cancer_scale(return_X_y=True)
    train, val, test = np.split(np.arange(len(y)), [350, 500])
    base = LogisticRegression(C=0.1, fit_intercept=False, tol=1e-7, solver="liblinear")
    alpha = reference_alpha / (0.1 * len(val) / len(train))
    clf = RDIAClassifier(base, alpha=alpha, strategy=strategy, refit_on="train")
    clf.fit(X[train], y[train], X_val=X[val], y_val=y[val])
    assert f"{log_loss(y[test], clf.predict_proba(X[test])):.4f}" == loss
