"""Stacking weights and the noise model: oracles, limits and invariances."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.optimize import minimize
from scipy.special import softmax

from skrdia._label_posterior import label_posterior
from skrdia._stacking import stacking_weights


def objective(weights, likelihood, weight, prior, strength):
    return weight @ np.log(weights @ likelihood) + strength * prior @ np.log(np.maximum(weights, 1e-300))


@pytest.mark.parametrize("strength", [0.0, 1.0, 20.0])
def test_stacking_weights_maximise_the_objective(strength):
    rng = np.random.default_rng(0)
    likelihood, weight = rng.beta(1.0, 1.0 + np.arange(4)[:, None], (4, 60)), rng.integers(1, 4, 60).astype(float)
    prior = np.array([0.5, 0.2, 0.2, 0.1])
    found = stacking_weights(likelihood, weight, prior, strength)
    assert found.sum() == pytest.approx(1.0)
    oracle = softmax(
        minimize(lambda z: -objective(softmax(z), likelihood, weight, prior, strength), np.zeros(4), method="BFGS").x
    )
    best = objective(oracle, likelihood, weight, prior, strength)
    assert objective(np.maximum(found, 1e-9), likelihood, weight, prior, strength) > best - 1e-3


def test_stacking_weights_follow_prior_or_evidence():
    likelihood, prior = np.array([[0.9] * 50, [0.1] * 50]), np.array([0.3, 0.7])
    np.testing.assert_allclose(stacking_weights(likelihood[:, :1], np.zeros(1), prior, 1.0), prior)
    assert stacking_weights(likelihood, np.ones(50), prior, 1.0)[0] > 0.95
    assert stacking_weights(np.zeros((2, 5)), np.ones(5), prior, 0.0).sum() == pytest.approx(1.0)


def test_stacking_weights_take_a_weight_for_a_repetition():
    rng = np.random.default_rng(1)
    likelihood, times, prior = rng.random((3, 20)), rng.integers(0, 3, 20), np.full(3, 1 / 3)
    weighted = stacking_weights(likelihood, times.astype(float), prior, 1.0)
    repeated = stacking_weights(np.repeat(likelihood, times, axis=1), np.ones(times.sum()), prior, 1.0)
    np.testing.assert_allclose(weighted, repeated, atol=1e-9)


def channel_sample(n, channel, seed=0):
    """Probabilities of a calibrated model, right labels, and labels from the channel."""
    rng = np.random.default_rng(seed)
    k = len(channel)
    proba = rng.dirichlet(np.full(k, 0.3), n)
    right = np.array([rng.choice(k, p=p) for p in proba])
    given_label = np.array([rng.choice(k, p=channel[c]) for c in right])
    return proba, right, np.eye(k)[given_label]


@pytest.mark.parametrize(
    "channel",
    [
        np.full((3, 3), 0.15) + 0.55 * np.eye(3),  # symmetric
        np.array([[0.4, 0.6, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]),  # one-sided
        np.full((3, 3), 0.4) - 0.2 * np.eye(3),  # most labels are wrong
    ],
)
def test_posterior_is_that_of_the_true_channel(channel):
    proba, _, labels = channel_sample(4000, channel)
    exact = proba * (labels @ channel.T)
    exact /= exact.sum(axis=1, keepdims=True)
    found = label_posterior(proba, labels, np.ones(len(labels)))
    assert np.abs(found - exact).mean() < 0.02
    assert np.abs(label_posterior(proba, labels, np.ones(len(labels))) - proba).mean() > 0.02  # the labels do count


def test_posterior_is_calibrated():
    """Among the rows whose posterior of some label is near p, a share p has that label."""
    channel = np.full((2, 2), 0.3) + 0.4 * np.eye(2)
    proba, right, labels = channel_sample(6000, channel)
    posterior = label_posterior(proba, labels, np.ones(len(labels)))[:, 1]
    for low in (0.0, 0.25, 0.5, 0.75):
        rows = (posterior >= low) & (posterior <= low + 0.25)
        assert abs(posterior[rows].mean() - right[rows].mean()) < 0.04


@settings(max_examples=50)
@given(
    raw=arrays(float, (12, 3), elements=st.floats(0.0, 1.0)),
    codes=arrays(int, 12, elements=st.integers(0, 2)),
    order=st.permutations([0, 1, 2]),
)
def test_posterior_contract(raw, codes, order):
    total = raw.sum(axis=1, keepdims=True)
    proba = np.where(total > 0, raw / np.where(total > 0, total, 1.0), 1 / 3)
    labels, weight = np.eye(3)[codes], np.ones(12)
    found = label_posterior(proba, labels, weight)
    np.testing.assert_allclose(found.sum(axis=1), 1.0)
    assert (found >= 0.0).all()
    assert (found[proba == 0.0] == 0.0).all() or (proba.max(axis=1) == 0).any()
    np.testing.assert_allclose(label_posterior(proba[:, order], labels[:, order], weight), found[:, order], atol=1e-9)


def test_posterior_keeps_the_given_label_where_the_model_rules_all_out():
    proba, labels = np.array([[0.0, 0.0], [0.5, 0.5]]), np.eye(2)
    np.testing.assert_array_equal(label_posterior(proba, labels, np.ones(2))[0], [1.0, 0.0])
