"""Verified rows that are not what they seem."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier

from skrdia import RDIAClassifier
from skrdia._rows import split_rows
from skrdia._second_look import look_at_verified
from skrdia.report import summarise

MEANS = np.array([1.5, 1.5, 0.8, 0.0, 0.0])
N, N_VAL = 400, 200


def draw(n, share, seed):
    """Two gaussians, and the class of each row."""
    rng = np.random.default_rng(seed)
    y = (rng.random(n) < share).astype(int)
    return rng.normal(size=(n, 5)) + np.where(y[:, None] == 1, MEANS, -MEANS), y


def flip(y, rate, seed, only=(0, 1)):
    wrong = (np.random.default_rng(seed).random(len(y)) < rate) & np.isin(y, only)
    return np.where(wrong, 1 - y, y)


def look(y_val, X_val, given, X, **more):
    return look_at_verified(LogisticRegression(), split_rows(X, given, X_val=X_val, y_val=y_val, **more), None)


@pytest.fixture(scope="module")
def rows():
    X, y = draw(N, 0.5, 0)
    X_val, y_val = draw(N_VAL, 0.5, 1)
    return X, y, X_val, y_val


@pytest.mark.parametrize(("rate", "only"), [(0.0, (0, 1)), (0.3, (0, 1)), (0.6, (1,))])
def test_right_labels_are_trusted_whatever_is_wrong_with_the_others(rows, rate, only):
    X, y, X_val, y_val = rows
    check = look(y_val, X_val, flip(y, rate, 2, only), X)
    assert not check.is_wrong
    assert len(check.suspects) == 0
    np.testing.assert_array_equal(check.weights, 1.0)
    assert check.interval[0] == 0.0
    assert check.interval[1] < 0.05


@pytest.mark.parametrize(("rate", "only", "of_others"), [(0.1, (0, 1), 0.05), (0.2, (0, 1), 0.05), (0.6, (1,), 0.15)])
def test_wrong_labels_are_found(rows, rate, only, of_others):
    """Those of one class, which verified rows tell each other, where the others show that they have wrong ones too."""
    X, y, X_val, y_val = rows
    shown = flip(y_val, rate, 3, only)
    wrong = shown != y_val
    check = look(shown, X_val, flip(y, of_others, 2), X)
    assert check.is_wrong
    assert check.interval[0] < wrong.mean() < check.interval[1] + 0.02
    assert check.wrong_rate == pytest.approx(wrong.mean(), abs=0.04)
    assert wrong[check.suspects].mean() > 0.8
    assert wrong[check.suspects].sum() > 0.7 * wrong.sum()
    assert (np.diff(check.wrong[check.suspects]) <= 0.0).all()
    np.testing.assert_allclose(check.weights, 1.0 - 0.9 * check.wrong)
    assert check.weights[wrong].mean() < 0.4
    assert check.weights[~wrong].mean() > 0.9
    assert "verified labels look wrong" in check.cautions([0, 1])[0]


def test_a_biased_sample_is_weighed_to_the_shares_of_the_others(rows):
    X, y, _, _ = rows
    X_val, y_val = draw(400, 0.1, 4)
    check = look(y_val, X_val, flip(y, 0.2, 2), X)
    assert check.is_shifted
    assert check.not_random > 0.9
    assert not check.is_wrong
    np.testing.assert_allclose(check.expected_shares, 0.5, atol=0.06)
    weighed = np.array([check.weights[y_val == k].sum() for k in (0, 1)])
    np.testing.assert_allclose(weighed / weighed.sum(), check.expected_shares, atol=0.05)
    assert weighed.sum() <= len(y_val) + 1e-9
    (caution,) = check.cautions(["no", "yes"])
    assert "'no' where" in caution
    assert "not a random sample" in caution
    assert "in one direction" in caution
    assert check.reason == ""


def test_few_rows_of_a_rare_class_choose_nothing(rows):
    X, y, _, _ = rows
    X_val, y_val = draw(60, 0.1, 4)
    given = flip(y, 0.2, 2)
    with pytest.warns(UserWarning, match="choose nothing"):
        clf = RDIAClassifier().fit(X, given, X_val=X_val, y_val=y_val)
    assert "not a random sample" in clf.termination_condition_
    assert not clf.harmful_mask_.any()
    assert any("not a random sample" in caution for caution in summarise(clf)["cautions"])
    weight = np.r_[np.ones(N), clf.verified_check_.weights]
    expected = LogisticRegression().fit(np.vstack([X, X_val]), np.r_[given, y_val], weight)
    np.testing.assert_allclose(clf.predict_proba(X_val), expected.predict_proba(X_val), atol=1e-3)


def test_a_random_sample_of_rows_with_one_sided_errors_keeps_its_weight(rows):
    """The shares may differ from those of labels that are wrong in one direction; the rows do not."""
    X, y, X_val, y_val = rows
    check = look(y_val, X_val, flip(y, 0.6, 5, (1,)), X)
    assert check.not_random < 0.5
    np.testing.assert_array_equal(check.weights, 1.0)


def test_fit_says_so_and_counts_them_less(rows):
    X, y, X_val, y_val = rows
    shown = flip(y_val, 0.2, 3)
    stacked, trusted = np.vstack([X, X_val]), np.arange(N + N_VAL) >= N
    labels = np.r_[flip(y, 0.05, 2), shown]
    with pytest.warns(UserWarning, match="verified labels look wrong"):
        clf = RDIAClassifier().fit(stacked, labels, trusted=trusted)
    suspects = clf.held_out_["row"][clf.verified_suspects_]
    assert len(suspects) > 10
    assert ((shown != y_val)[suspects - N]).mean() > 0.8
    np.testing.assert_allclose(clf.held_out_["weight"], clf.verified_check_.weights)
    np.testing.assert_allclose(clf.targets_[trusted].sum(axis=1), clf.verified_check_.weights)
    assert "verified_suspects_" in " ".join(summarise(clf)["cautions"])
    X_test, y_test = draw(2_000, 0.5, 6)
    everything = LogisticRegression().fit(stacked, labels)
    assert clf.score(X_test, y_test) > everything.score(X_test, y_test) - 0.01
    loss, before = (
        -np.log(model.predict_proba(X_test)[np.arange(2_000), y_test]).mean() for model in (clf, everything)
    )
    assert loss < 0.8 * before


def test_an_estimator_without_weights_leaves_them_out(rows):
    X, y, X_val, y_val = rows
    base, finder = KNeighborsClassifier(15), LogisticRegression()
    with pytest.warns(UserWarning, match="verified labels look wrong"):
        clf = RDIAClassifier(base, influence_estimator=finder).fit(
            X, flip(y, 0.05, 2), X_val=X_val, y_val=flip(y_val, 0.2, 3)
        )
    assert set(np.unique(clf.verified_check_.weights)) == {0.0, 1.0}
    np.testing.assert_array_equal(np.flatnonzero(clf.verified_check_.weights == 0.0), np.sort(clf.verified_suspects_))


def test_nothing_is_looked_at_where_nothing_is_verified(rows):
    X, y, X_val, y_val = rows
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        held_out = RDIAClassifier().fit(X, flip(y, 0.05, 2))
        few = RDIAClassifier().fit(X, y, X_val=X_val[:8], y_val=y_val[:8])
        number = RDIAClassifier(alpha=0.1).fit(X, y, X_val=X_val, y_val=y_val)
    for clf in (held_out, few, number):
        assert clf.verified_check_ is None
        assert len(clf.verified_suspects_) == 0


def test_rows_without_weight_are_not_judged(rows):
    X, y, X_val, y_val = rows
    shown = flip(y_val, 0.2, 3)
    stacked, labels = np.vstack([X, X_val]), np.r_[flip(y, 0.05, 2), shown]
    trusted, weight = np.arange(N + N_VAL) >= N, np.ones(N + N_VAL)
    weight[-30:] = 0.0
    check = look_at_verified(LogisticRegression(), split_rows(stacked, labels, weight, trusted=trusted), None)
    assert (check.wrong[-30:] == 0.0).all()
    assert (check.weights[-30:] == 1.0).all()
    assert check.suspects.max() < N_VAL - 30
