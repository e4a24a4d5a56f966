"""Strategies and signals: the formulas, and what must hold whatever the influences are."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.special import log_softmax

from skrdia import influence
from skrdia.signals import SIGNALS
from skrdia.strategies import STRATEGIES, drop, relabel, relabel_soft


@st.composite
def situations(draw):
    """Targets, influences with the score identity, log-probabilities, and a mask."""
    n, k = draw(st.integers(1, 8)), draw(st.integers(2, 5))
    log_proba = log_softmax(draw(arrays(float, (n, k), elements=st.floats(-8, 8))), axis=1)
    raw = draw(arrays(float, (n, k), elements=st.floats(-5, 5)))
    influences = raw - (np.exp(log_proba) * raw).sum(axis=1, keepdims=True)
    targets = np.eye(k)[draw(arrays(int, n, elements=st.integers(0, k - 1)))]
    return targets, influences, log_proba, draw(arrays(bool, n))


@pytest.mark.parametrize("name", STRATEGIES)
@settings(max_examples=50)
@given(situation=situations())
def test_contract(name, situation):
    targets, _, _, harmful = situation
    copies = [array.copy() for array in situation]
    result = STRATEGIES[name](*situation, np.random.RandomState(0))
    for array, copy in zip(situation, copies, strict=True):
        np.testing.assert_array_equal(array, copy)
    assert result is not targets
    assert result.shape == targets.shape
    assert (result >= 0.0).all()
    assert (result <= 1.0).all()
    np.testing.assert_array_equal(result[~harmful], targets[~harmful])


@given(situation=situations())
def test_relabel_never_promises_less_than_the_papers_theorem(situation):
    """The gain phi_m - phi_k* is at least phi_m / (1 - p_m), Theorem 2, and equal to it for two classes."""
    targets, influences, log_proba, _ = situation
    phi = SIGNALS["influence"](targets, influences, log_proba)
    harmful = phi > 1e-3
    result = relabel(targets, influences, log_proba, harmful)
    gain = phi - (result * influences).sum(axis=1)
    promised = phi[harmful] / -np.expm1((targets * log_proba).sum(axis=1)[harmful])
    assert (gain[harmful] >= promised * (1 - 1e-6) - 1e-9).all()
    if targets.shape[1] == 2:
        np.testing.assert_allclose(gain[harmful], promised, rtol=1e-5)


@given(situation=situations())
def test_soft_targets_have_the_loss_of_lemma_2(situation):
    """The cross-entropy with y' of Eq. 12 is -log(1 - p_m)."""
    targets, influences, log_proba, _ = situation
    log_proba = np.maximum(log_proba, -20.0)
    log_proba -= np.log(np.exp(log_proba).sum(axis=1, keepdims=True))
    everything = np.ones(len(targets), dtype=bool)
    soft = relabel_soft(targets, influences, log_proba, everything)
    np.testing.assert_allclose(
        -(soft * log_proba).sum(axis=1), -np.log(-np.expm1((targets * log_proba).sum(axis=1))), rtol=1e-6, atol=1e-12
    )
    assert (soft * targets == 0).all()


def test_by_hand():
    targets = np.eye(3)
    influences = np.array([[2.0, -1.0, -3.0], [0.5, 1.0, 0.8], [0.0, 0.0, 0.0]])
    p = np.array([[0.5, 0.3, 0.2], [0.1, 0.6, 0.3], [0.2, 0.2, 0.6]])
    harmful = np.array([True, True, False])
    np.testing.assert_array_equal(relabel(targets, influences, np.log(p), harmful), [[0, 0, 1], [1, 0, 0], [0, 0, 1]])
    np.testing.assert_array_equal(drop(targets, influences, np.log(p), harmful), [[0, 0, 0], [0, 0, 0], [0, 0, 1]])
    expected = np.log(0.5) / (2 * np.log([0.3, 0.2]))
    np.testing.assert_allclose(relabel_soft(targets, influences, np.log(p), harmful)[0], [0.0, *expected])


def test_influence_signal(table):
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression().fit(table.X, table.y)
    result = influence(model, table.X, table.y, table.X_val, table.y_val)
    scores = SIGNALS["influence"](np.eye(2)[table.y], result.by_label, result.log_proba)
    np.testing.assert_array_equal(scores, result.values)
