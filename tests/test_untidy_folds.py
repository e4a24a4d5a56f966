"""Folds that lack a class, or whose rows say nothing: the other folds say what they can."""

import warnings

import numpy as np
import pytest
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import TimeSeriesSplit

from skrdia import RDIAClassifier, influence
from skrdia._rows import grouped_splits
from skrdia.signals import SIGNALS, score
from skrdia.strategies import relabel_soft


def rows(n=60, n_classes=3, seed=0):
    rng = np.random.default_rng(seed)
    y = np.arange(n) % n_classes
    X = rng.normal(size=(n, 3)) + 2.0 * np.eye(3)[y]
    return X, np.where(rng.random(n) < 0.15, (y + 1) % n_classes, y)


def split(part, n_parts):
    return [(np.flatnonzero(part != i), np.flatnonzero(part == i)) for i in range(n_parts)]


OF_INFLUENCE = [
    "influence",
    "influence-margin",
    "average-absolute-influence",
    "gd-class",
    "cnci",
    "pcid",
    "leave-one-out",
    "leave-one-out-step",
    "self-influence",
    "self-influence-loo",
]


@pytest.mark.parametrize("signal", OF_INFLUENCE)
def test_influences_where_only_validation_rows_have_a_class(signal):
    """They are those on the validation rows of the other classes."""
    X, y = rows()
    X_val, y_val = rows(30, seed=1)
    X, y, known = X[y != 2], y[y != 2], y_val != 2
    clf = RDIAClassifier(alpha=0.5, signal=signal, strategy="none", compute_std=True)
    with pytest.warns(UserWarning, match="Only verified rows are labelled 2"):
        clf.fit(X, y, X_val=X_val, y_val=y_val)
    model = LogisticRegression().fit(X, y)
    expected = score(model, X, y, X_val[known], y_val[known], signal=signal)
    share = known.mean() if signal == "average-absolute-influence" else 1.0  # the mean over all validation rows
    np.testing.assert_allclose(clf.scores_, share * expected, rtol=1e-4, atol=1e-6)
    std = influence(model, X, y, X_val[known], y_val[known], std=True).standard_error
    np.testing.assert_allclose(clf.influence_std_, std, rtol=1e-4)


@pytest.mark.parametrize("signal", SIGNALS)
@pytest.mark.parametrize("strategy", ["relabel", "relabel-soft", "drop"])
def test_every_signal_where_a_fold_lacks_a_class(signal, strategy):
    X, y = rows()
    order = np.argsort(y, kind="stable")
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=r"Nothing could tell|.*rows were in no test fold|Round . would leave")
        clf = RDIAClassifier(cv=TimeSeriesSplit(3), alpha=0.5, signal=signal, strategy=strategy, compute_std=True)
        clf.fit(X[order], y[order])
    assert np.isfinite(clf.targets_).all()
    assert np.isfinite(clf.scores_).any()


def test_a_fold_that_trains_on_one_class_says_nothing():
    X, y = rows(n_classes=2)
    halves = split(np.arange(60) % 2, 2)
    alone = np.flatnonzero(y == 0), np.flatnonzero(y == 1)
    params = {"alpha": 0.5, "signal": "influence", "compute_std": True}
    clf = RDIAClassifier(cv=[*halves, alone], **params).fit(X, y)
    expected = RDIAClassifier(cv=halves, **params).fit(X, y)
    np.testing.assert_allclose(clf.influences_, expected.influences_)
    np.testing.assert_allclose(clf.influence_std_, expected.influence_std_)
    with pytest.raises(ValueError, match=r"y: the training rows have the classes \[0\].*Use another cv"):
        RDIAClassifier(cv=[alone], **params).fit(X, y)


def test_a_frozen_estimator_knows_a_class_that_a_fold_lacks():
    X, y = rows()
    splits = [(np.flatnonzero(y != 2), np.arange(60)), (np.arange(60), np.arange(60))]
    model = LogisticRegression().fit(X, y)
    clf = RDIAClassifier(FrozenEstimator(model), cv=splits, alpha=0.5, signal="influence")
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The base estimator is far from its optimum")
        clf.fit(X, y)
        parts = [influence(model, X[train], y[train], X, y).by_label for train, _ in splits]
    mean = parts[1].copy()
    mean[splits[0][0]] = (parts[0] + mean[splits[0][0]]) / 2.0
    np.testing.assert_allclose(clf.label_influences_, mean, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("n_rows", [1, 2, 3])
@pytest.mark.parametrize("random_state", [None, 0])
def test_whole_groups_where_no_class_is_in_every_fold(n_rows, random_state):
    codes, groups = np.repeat(np.arange(4), n_rows), np.arange(4 * n_rows) // 2 if n_rows > 1 else np.arange(4)
    n_splits = min(n_rows + 1, len(set(groups.tolist())))
    tests = [test for _, test in grouped_splits(codes, groups, n_splits, random_state)]
    assert sorted(np.concatenate(tests)) == list(range(len(codes)))
    assert all(len(np.intersect1d(groups[a], groups[b])) == 0 for a in tests for b in tests if a is not b)


def test_a_score_without_probabilities_of_other_folds():
    """Of the only row of its class: what the model itself says is taken for them."""
    X, y = rows()
    y[7] = 3
    clf = RDIAClassifier(cv=3, alpha=0.0, signal="self-influence", strategy="relabel-soft").fit(X, y)
    log_proba = clf.base_estimator_.predict_log_proba(X[[7]])
    expected = relabel_soft(np.eye(4)[[3]], np.zeros((1, 4)), log_proba, np.array([True]))
    np.testing.assert_allclose(clf.targets_[[7]], expected)
    assert np.isfinite(clf.targets_).all()


def test_the_soft_target_of_a_certain_label_is_finite():
    log_proba = np.log([[1.0, 1e-300, 1e-300]])
    targets = relabel_soft(np.eye(3)[[0]], np.zeros((1, 3)), log_proba, np.array([True]))
    share = np.log(np.finfo(float).eps) / np.log(1e-300) / 2.0
    np.testing.assert_allclose(targets, [[0.0, share, share]])
