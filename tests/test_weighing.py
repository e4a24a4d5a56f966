"""How far candidates and a repair are believed: by verified rows, and by the model of the labels as given."""

import numpy as np
import pytest
from scipy.stats import norm

from skrdia import RDIAClassifier
from skrdia._candidates import NOTHING, TRUSTED_ONLY, Candidate
from skrdia._means import mean_and_error, row_counts
from skrdia._weighing import prior_of, share_of_repair, weights_of
from skrdia.datasets import flip_labels

from .conftest import make_table

NAMES = [NOTHING, TRUSTED_ONLY, Candidate("noise-model", "soft", 0.0), Candidate("influence", "drop", 0.2)]
EVEN = np.ones(50)


def gains(z, total, n=50):
    """Gains of n rows with this sum, which is z standard errors."""
    values = np.resize([-1.0, 1.0], n)
    error = total / n / z
    return total / n + values * error * np.sqrt(n - 1)


def test_the_prior_sums_to_one_and_prefers_models_of_the_labels_as_given():
    prior = prior_of(NAMES, 0.2)
    np.testing.assert_allclose(prior, [0.2, 0.08, 0.64, 0.08])
    np.testing.assert_allclose(prior_of(NAMES[:1], 0.3), [1.0])
    np.testing.assert_allclose(prior_of(NAMES[:2], 0.5), [5 / 6, 1 / 6])


@pytest.mark.parametrize(("n", "closer"), [(20, 0), (2_000, 3)])
def test_few_rows_leave_the_prior_and_many_do_not(n, closer):
    losses = np.full((4, n), 1.0)
    losses[3] = 0.9
    weights = weights_of(losses, np.ones(n), np.array([0.7, 0.1, 0.1, 0.1]))
    assert weights.argmax() == closer
    assert weights.sum() == pytest.approx(1.0)


def test_rows_without_weight_leave_the_prior():
    prior = prior_of(NAMES, 0.5)
    np.testing.assert_allclose(weights_of(np.ones((4, 5)), np.zeros(5), prior), prior)


def test_the_share_is_that_of_the_formula():
    for z, total, clean in ((1.0, 3.0, 0.5), (0.5, 0.2, 0.3), (2.0, 5.0, 0.9)):
        told = min(total, np.log(norm.cdf(z) / norm.cdf(-z)))
        expected = 1.0 / (1.0 + np.exp(1.0 - np.log((1.0 - clean) / clean) - told))
        assert share_of_repair(gains(z, total), EVEN, clean) == pytest.approx(expected, rel=1e-6)


def test_the_share_grows_with_the_gain_and_with_errors_that_show():
    by_gain = [share_of_repair(gains(z, 4.0), EVEN, 0.5) for z in (0.1, 1.0, 2.0)]
    assert by_gain == sorted(by_gain)
    by_errors = [share_of_repair(gains(1.0, 4.0), EVEN, clean) for clean in (0.9, 0.5, 0.1)]
    assert by_errors == sorted(by_errors)
    assert share_of_repair(gains(6.0, 40.0), EVEN, 0.95) == 1.0
    assert share_of_repair(-gains(6.0, 40.0), EVEN, 0.05) < 1e-3
    assert share_of_repair(np.zeros(50), EVEN, 0.05) == 0.0


def test_scaled_and_repeated_weights():
    values, times = gains(1.0, 3.0), np.resize([1.0, 2.0, 0.0], 50)
    once = share_of_repair(values, times, 0.5)
    assert share_of_repair(values, 7.0 * times, 0.5) == pytest.approx(once)
    assert row_counts(7.0 * times).sum() == pytest.approx(np.count_nonzero(times))
    mean, error = mean_and_error(values, EVEN)
    assert mean == pytest.approx(values.mean())
    assert error == pytest.approx(values.std(ddof=1) / np.sqrt(50))


@pytest.mark.parametrize("rate", [0.0, 0.3])
def test_few_verified_rows_repair_where_the_labels_show_errors_and_only_there(rate):
    data = make_table("breast_cancer", rate=0.0)
    y = flip_labels(data.y_true, rate, random_state=1)[0] if rate else data.y_true
    few = np.sort(np.concatenate([np.flatnonzero(data.y_val == k)[:n] for k, n in ((0, 13), (1, 7))]))
    clf = RDIAClassifier(random_state=0).fit(data.X, y, X_val=data.X_val[few], y_val=data.y_val[few])
    assert (clf.harmful_mask_.mean() > 0.1) == (rate > 0.0)
    assert (clf.targets_.max(axis=1) < 1.0).mean() > 0.5 or not rate
