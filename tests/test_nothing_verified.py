"""RDIAClassifier().fit(X, y): what a newcomer types, on rows of any kind."""

import warnings

import numpy as np
import pandas as pd
import polars as pl
import pytest
from scipy import sparse
from sklearn.datasets import make_classification
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score, log_loss
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline

from skrdia import RDIAClassifier
from skrdia._calibration import calibrated
from skrdia._mixture import as_numbers, predict_given
from skrdia._out_of_fold import folds
from skrdia._validation import one_hot
from skrdia.datasets import flip_labels
from skrdia.report import summarise

from .conftest import make_table


@pytest.fixture(scope="module")
def noisy():
    X, y = make_classification(600, 10, n_informative=6, n_classes=3, class_sep=2.0, random_state=0)
    given, wrong = flip_labels(y, 0.3, random_state=0)
    return X, given, wrong, y


@pytest.fixture(scope="module")
def fitted(noisy):
    return RDIAClassifier(LogisticRegression(max_iter=1000)).fit(*noisy[:2])


def test_estimates_marks_and_repairs(noisy, fitted):
    X, given, wrong, right = noisy
    low, high = fitted.noise_rate_interval_
    assert low <= wrong.mean() <= high
    assert abs(fitted.noise_rate_ - wrong.mean()) < 0.05
    np.testing.assert_allclose(fitted.noise_matrix_.sum(axis=1), 1.0)
    by_label = [wrong[given == k].sum() for k in range(3)]
    np.testing.assert_allclose(fitted.noise_counts_, by_label, atol=15)
    assert f1_score(wrong, fitted.harmful_mask_) > 0.85
    assert fitted.harmful_precision_ == pytest.approx(wrong[fitted.harmful_mask_].mean(), abs=0.1)
    assert fitted.harmful_recall_ == pytest.approx(fitted.harmful_mask_[wrong].mean(), abs=0.1)
    assert (fitted.relabeled_y_ == right).mean() > 0.9
    as_given = LogisticRegression(max_iter=1000).fit(X, given)
    assert log_loss(right, fitted.predict_proba(X)) < 0.7 * log_loss(right, as_given.predict_proba(X))
    assert not fitted.validation_mask_.any()
    np.testing.assert_allclose(fitted.targets_.sum(axis=1), 1.0)


def test_the_report_says_what_was_estimated(fitted):
    summary = summarise(fitted)
    assert "an estimated" in summary["verdict"]
    assert "90 % interval" in summary["verdict"]
    assert any("expected to be wrong" in step for step in summary["steps"])
    assert any("Verify some rows" in text for text in summary["cautions"])


def test_right_labels_are_left_alone():
    data = make_table("cancer", rate=0.0)
    clf = RDIAClassifier().fit(data.X, data.y)
    as_given = LogisticRegression().fit(data.X, data.y)
    losses = [log_loss(data.y_test, model.predict_proba(data.X_test)) for model in (clf, as_given)]
    assert losses[0] < 1.03 * losses[1]
    assert clf.harmful_mask_.mean() < 0.02
    assert clf.noise_rate_interval_[0] < 0.01


@pytest.mark.parametrize("base", [HistGradientBoostingClassifier(max_iter=20), KNeighborsClassifier(15)])
def test_any_classifier(noisy, base):
    """Also one without a curvature, or without sample weights."""
    X, given, wrong, _ = noisy
    clf = RDIAClassifier(base).fit(X, given)
    assert f1_score(wrong, clf.harmful_mask_) > 0.85
    assert isinstance(clf.estimator_, type(base))


def test_sorted_rows_are_shuffled():
    """Folds of rows in their order would ask models of rows unlike any that they have seen."""
    X, y = make_classification(600, 8, n_informative=4, random_state=1)
    order = np.argsort(X[:, 0])
    given, wrong = flip_labels(y[order], 0.2, random_state=0)
    clf = RDIAClassifier().fit(X[order], given)
    assert abs(clf.noise_rate_ - wrong.mean()) < 0.1
    np.testing.assert_array_equal(clf.targets_, RDIAClassifier().fit(X[order], given).targets_)


def test_a_number_for_alpha_and_rows_held_out_are_warned_of(table):
    with pytest.warns(UserWarning, match=r"(?s)alpha=0.7 with no verified rows.*cv=5"):
        clf = RDIAClassifier(alpha=0.7).fit(table.X, table.y)
    assert clf.signal_ == "confidence"
    with pytest.warns(UserWarning, match=r"(?s)validation_fraction=0.3.*cv=5"):
        RDIAClassifier(alpha=0.7, validation_fraction=0.3).fit(table.X, table.y)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        RDIAClassifier(alpha=0.7, cv=5).fit(table.X, table.y)
        RDIAClassifier(alpha=0.7, signal="confidence").fit(table.X, table.y)


def _mixed(n=300):
    rng = np.random.default_rng(0)
    y = rng.integers(2, size=n)
    colour = np.where(rng.random(n) < 0.8, y, 1 - y)
    frame = {
        "size": np.where(rng.random(n) < 0.1, np.nan, y + 0.5 * rng.normal(size=n)),
        "colour": np.array(["red", "blue"])[colour],
        "seen": np.datetime64("2026-01-01") + (100 * y + rng.integers(50, size=n)).astype("m8[D]"),
        "known": rng.random(n) < 0.5,
    }
    return frame, y


@pytest.mark.parametrize("library", [pd.DataFrame, pl.DataFrame])
def test_frames_become_numbers(library):
    columns, _ = _mixed()
    table = as_numbers(library(columns))
    assert table.shape == (300, 4)
    np.testing.assert_array_equal(np.isnan(table[:, 0]), np.isnan(columns["size"]))
    assert len(np.unique(table[:, 1])) == 2
    assert np.ptp(table[:, 2]) == np.ptp(columns["seen"]).astype(int)
    np.testing.assert_array_equal(table[:, 3], columns["known"])


def test_texts_sparse_rows_and_images_become_numbers():
    texts = np.array([f"good {i % 7} film" if i % 2 else f"bad {i % 5} play" for i in range(80)], dtype=object)
    assert as_numbers(texts).shape[0] == 80
    assert as_numbers(np.array([f"word{i}" for i in range(9)], dtype=object)) is None  # no word stands in two
    wide = sparse.random(50, 200, density=0.2, format="csr", random_state=0)
    assert as_numbers(wide).shape == (50, 49)
    np.testing.assert_array_equal(as_numbers(wide[:, :30]), wide[:, :30].toarray())
    assert as_numbers(np.zeros((5, 3, 4))).shape == (5, 12)


def test_texts():
    texts = [f"{'good fine nice' if i % 2 else 'bad poor dull'} {i % 11} {i % 13}" for i in range(300)]
    given, wrong = flip_labels(np.arange(300) % 2, 0.2, random_state=0)
    clf = RDIAClassifier(make_pipeline(TfidfVectorizer(), LogisticRegression())).fit(texts, given)
    assert f1_score(wrong, clf.harmful_mask_) > 0.9


def test_no_model_has_seen_the_row_it_speaks_of(noisy):
    """Another label on a row, or on rows of its group, changes nothing of what is said of it."""
    X, given = noisy[0][:200], noisy[1][:200]
    groups = np.arange(200) // 4
    targets, classes = one_hot(given, 3), np.arange(3)
    splits = folds(targets, 5, groups)
    params = {"groups": groups, "groups_val": np.arange(20) // 4}
    found = predict_given(LogisticRegression(), X, targets, classes, splits, X[:20], **params)
    changed = targets.copy()
    changed[:4] = np.roll(changed[:4], 1, axis=1)
    other = predict_given(LogisticRegression(), X, changed, classes, splits, X[:20], **params)
    np.testing.assert_array_equal(found.proba[:, :4], other.proba[:, :4])
    np.testing.assert_array_equal(found.proba_val[:, :4], other.proba_val[:, :4])
    assert (found.proba[:, 100:] != other.proba[:, 100:]).any()


def test_rows_that_no_fold_can_tell_of_are_unknown():
    y = np.r_[np.zeros(30, dtype=int), np.ones(30, dtype=int), 2]
    X = np.random.default_rng(0).normal(size=(61, 3)) + y[:, None]
    with pytest.warns(UserWarning, match=r"Nothing could tell .* 2 \(1\)"):
        clf = RDIAClassifier().fit(X, y)
    assert np.flatnonzero(np.isnan(clf.scores_)).tolist() == [60]
    np.testing.assert_array_equal(clf.targets_[60], [0.0, 0.0, 1.0])


def test_calibration_is_penalised_multinomial_regression():
    """With one model and no pairs: against scikit-learn on the same columns, without a penalty on either."""
    rng = np.random.default_rng(0)
    proba = rng.dirichlet([3.0, 3.0], size=3000)
    logit = np.log(proba[:, 1] / proba[:, 0])
    right = (rng.random(3000) < 1.0 / (1.0 + np.exp(-(0.5 * logit + 0.3)))).astype(int)
    found = calibrated(proba[None], proba[None], one_hot(right, 2))
    expected = LogisticRegression(C=np.inf).fit(logit[:, None], right).predict_proba(logit[:, None])
    np.testing.assert_allclose(found, expected, atol=0.01)


def test_pairs_show_errors_that_the_columns_explain():
    """Every row of class 0 with a large second column is labelled 1: models of the labels as given cannot know."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(600, 2))
    right = (X[:, 0] > 0).astype(int)
    given = np.where((right == 0) & (X[:, 1] > 0), 1, right)
    trusted = np.arange(600) < 120
    y = np.where(trusted, right, given)
    with pytest.warns(UserWarning, match="other class shares than the rest"):
        clf = RDIAClassifier(random_state=0).fit(X, y, trusted=trusted, y_given=given)
    assert (clf.relabeled_y_ == right)[~trusted].mean() > 0.95 > (given == right)[~trusted].mean()
    low, high = clf.noise_rate_interval_
    assert low <= (given != right)[~trusted].mean() <= high


def test_trees_are_given_no_rows_for_a_trace_of_doubt():
    """They count rows, whatever these weigh; a linear model takes each trace for what it is."""
    data = make_table("cancer", rate=0.2)
    trees = RDIAClassifier(HistGradientBoostingClassifier(max_iter=10)).fit(data.X, data.y)
    linear = RDIAClassifier(LogisticRegression(max_iter=300), random_state=0).fit(data.X, data.y)
    for clf in (trees, linear):
        np.testing.assert_allclose(clf.targets_.sum(axis=1), 1.0)
    assert trees.targets_[trees.targets_ > 0.0].min() >= 0.05
    assert linear.targets_[linear.targets_ > 0.0].min() < 0.05
    assert trees.harmful_mask_.any()
