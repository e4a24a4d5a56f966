"""The model of the labels as given, on labels whose channel is known."""

import numpy as np
import pytest
from scipy.optimize import check_grad
from scipy.special import expit, softmax
from sklearn.metrics import f1_score

from skrdia._estimates import mark
from skrdia._noise_model import _centred, _Likelihood, fit_noise_model
from skrdia._validation import one_hot


def labels(channel, n=3000, seed=0, slope=4.0):
    """Right probabilities p, right and given labels, and what a linear model of these knows, which is flatter."""
    rng, n_classes = np.random.default_rng(seed), len(channel)
    z = rng.normal(size=(n, n_classes))
    p = softmax(slope * z, axis=1)
    right = np.array([rng.choice(n_classes, p=row) for row in p])
    given = np.array([rng.choice(n_classes, p=channel[k]) for k in right])
    return p, right, given, softmax(0.4 * slope * z, axis=1)[None]


def symmetric(n_classes, rate):
    return np.full((n_classes, n_classes), rate / (n_classes - 1)) + (1 - rate - rate / (n_classes - 1)) * np.eye(
        n_classes
    )


ONE_SIDED = np.array([[0.65, 0.35], [0.0, 1.0]])
TO_THE_NEXT = np.array([[0.8, 0.2, 0.0], [0.0, 0.8, 0.2], [0.2, 0.0, 0.8]])


@pytest.mark.parametrize(
    ("channel", "slope"),
    [(symmetric(2, 0.2), 4.0), (symmetric(4, 0.3), 4.0), (ONE_SIDED, 6.0), (TO_THE_NEXT, 4.0)],
    ids=["two classes", "four classes", "one-sided", "to the next class"],
)
def test_recovers_channel_and_share_of_wrong_labels(channel, slope):
    _, right, given, q = labels(channel, slope=slope)
    model = fit_noise_model(q, one_hot(given, len(channel)), np.ones(len(given)))
    wrong = given != right
    assert abs(model.rate - wrong.mean()) < 0.04
    assert model.interval[0] <= wrong.mean() <= model.interval[1]
    np.testing.assert_allclose(model.channel, channel, atol=0.1)
    np.testing.assert_allclose(model.posterior.sum(axis=1), 1.0)
    doubt = 1.0 - model.posterior[np.arange(len(given)), given]
    assert f1_score(wrong, doubt > 0.5) > 0.7


@pytest.mark.parametrize("n_classes", [2, 3])
def test_right_labels_stay(n_classes):
    _, _, given, q = labels(np.eye(n_classes))
    model = fit_noise_model(q, one_hot(given, n_classes), np.ones(len(given)))
    assert model.is_clean > 0.5
    assert model.interval[0] == 0.0
    assert model.interval[1] < 0.03
    assert np.abs(model.posterior - one_hot(given, n_classes)).max() < 0.3


def test_intervals_cover_the_truth():
    covered, widths = [], []
    for seed in range(20):
        rate = np.random.default_rng(seed).uniform(0.0, 0.4)
        _, right, given, q = labels(symmetric(3, rate), n=600, seed=seed)
        low, high = fit_noise_model(q, one_hot(given, 3), np.ones(600)).interval
        covered.append(low <= (given != right).mean() <= high)
        widths.append(high - low)
    assert np.mean(covered) >= 0.8
    assert np.median(widths) < 0.12


@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("error", [0.0, 0.2])
def test_gradient_is_that_of_finite_differences(n_classes, error):
    rng = np.random.default_rng(0)
    proba = rng.dirichlet(np.ones(n_classes), size=(2, 40))
    given, allowed = one_hot(rng.integers(n_classes, size=40), n_classes), np.ones((40, n_classes), dtype=bool)
    given[:5], allowed[5:10] = 0.0, one_hot(rng.integers(n_classes, size=5), n_classes) > 0.0
    likelihood = _Likelihood(_centred(proba), given, rng.uniform(0.5, 2.0, size=40), allowed)
    start = np.abs(likelihood.start + 0.1 * rng.normal(size=len(likelihood.start))) + 0.01

    def value(params):
        return likelihood.value(params, error)[0]

    def gradient(params):
        return likelihood.value(params, error)[1]

    assert check_grad(value, gradient, start) < 1e-4 * max(1.0, np.linalg.norm(gradient(start)))


def test_rows_in_another_order_and_scaled_weights():
    _, _, given, q = labels(symmetric(3, 0.2), n=400)
    weight, order = np.random.default_rng(1).uniform(0.5, 2.0, size=400), np.random.default_rng(2).permutation(400)
    model = fit_noise_model(q, one_hot(given, 3), weight)
    other = fit_noise_model(q[:, order], one_hot(given[order], 3), 7.0 * weight[order])
    np.testing.assert_allclose(other.posterior, model.posterior[order], atol=1e-3)


def test_verified_rows_and_pairs_are_known():
    channel = symmetric(2, 0.3)
    _, right, given, q = labels(channel, n=300, slope=0.7)
    verified = np.arange(300) < 150
    known, allowed = one_hot(given, 2), np.ones((300, 2), dtype=bool)
    allowed[verified] = one_hot(right[verified], 2) > 0.0
    paired = fit_noise_model(q, known, np.ones(300), allowed)
    np.testing.assert_allclose(paired.posterior[verified], one_hot(right[verified], 2), atol=1e-9)
    without = known * ~verified[:, None]
    alone = fit_noise_model(q, without, np.ones(300), allowed)
    wrong = (given != right)[~verified].mean()
    assert abs(paired.rate - wrong) < min(0.06, abs(alone.rate - wrong))  # labels that say little need pairs


def test_more_rows_than_are_fitted_to():
    _, right, given, q = labels(symmetric(2, 0.25), n=6000, slope=4.0)
    model = fit_noise_model(q, one_hot(given, 2), np.ones(6000))
    assert model.posterior.shape == (6000, 2)
    assert abs(model.rate - (given != right).mean()) < 0.04


def test_a_flat_model_is_sharpened():
    """Models of wrong labels are less sure than the truth; the slope of their combination makes up for it."""
    z = np.random.default_rng(0).normal(size=2000) * 4.0
    right = np.random.default_rng(1).random(2000) < expit(z)
    given = np.where(np.random.default_rng(2).random(2000) < 0.2, ~right, right).astype(int)
    flat = np.column_stack([1.0 - expit(0.4 * z), expit(0.4 * z)])
    model = fit_noise_model(flat[None], one_hot(given, 2), np.ones(2000))
    assert abs(model.rate - 0.2) < 0.04
    assert np.abs(model.right[:, 1] - expit(z)).mean() < 0.05


def test_marks_have_the_best_expected_f_measure():
    wrong = np.random.default_rng(0).beta(0.3, 1.0, size=200)
    marks = mark(wrong)
    measures = [2 * np.sort(wrong)[::-1][:m].sum() / (m + wrong.sum()) for m in range(1, 201)]
    assert marks.rows.sum() == 1 + int(np.argmax(measures))
    assert marks.precision == pytest.approx(wrong[marks.rows].mean())
    assert marks.recall == pytest.approx(wrong[marks.rows].sum() / wrong.sum())
    assert wrong[marks.rows].min() >= wrong[~marks.rows].max()
    assert marks.least == wrong[marks.rows].min()


@pytest.mark.parametrize("wrong", [np.full(50, 0.01), np.zeros(5), np.full(5, np.nan)])
def test_nothing_is_marked_that_is_probably_right(wrong):
    marks = mark(wrong)
    assert not marks.rows.any()
    assert np.isinf(marks.least)
