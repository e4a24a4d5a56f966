"""Strategies and signals: the formulas, and what must hold whatever the influences are."""

from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.special import expit, log_softmax
from scipy.stats import spearmanr
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV

from skrdia import RDIAClassifier
from skrdia.strategies import (
    STRATEGIES,
    drop,
    none,
    optlr,
    random,
    relabel,
    relabel_soft,
    soft,
    uids_linear,
    uids_sigmoid,
)

from .conftest import make_table

SUBSAMPLES = ["uids-sigmoid", "uids-linear", "optlr", "random"]


@st.composite
def situations(draw, soft=False):
    """Targets, influences with the score identity, log-probabilities, and a mask."""
    n, k = draw(st.integers(1, 8)), draw(st.integers(2, 5))
    log_proba = log_softmax(draw(arrays(float, (n, k), elements=st.floats(-8, 8))), axis=1)
    raw = draw(arrays(float, (n, k), elements=st.floats(-5, 5))).round(9)  # subnormal numbers do not scale exactly
    influences = raw - (np.exp(log_proba) * raw).sum(axis=1, keepdims=True)
    targets = np.eye(k)[draw(arrays(int, n, elements=st.integers(0, k - 1)))]
    if soft:  # rows spread over labels, and rows of zeros
        targets *= draw(arrays(float, (n, 1), elements=st.sampled_from([0.0, 0.5, 1.0])))
        targets += draw(arrays(float, (n, k), elements=st.sampled_from([0.0, 0.0, 0.25])))
    return targets, influences, log_proba, draw(arrays(bool, n))


@pytest.mark.parametrize("name", [name for name in STRATEGIES if name not in SUBSAMPLES])
@settings(max_examples=50)
@given(situation=situations())
def test_contract(name, situation):
    if name == "soft":
        situation = (situation[0], 1.0 - np.exp(situation[2]), *situation[2:])
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
    phi = (targets * influences).sum(axis=1)
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
    spread = relabel_soft(targets, influences, log_proba, everything)
    np.testing.assert_allclose(
        -(spread * log_proba).sum(axis=1), -np.log(-np.expm1((targets * log_proba).sum(axis=1))), rtol=1e-6, atol=1e-12
    )
    assert (spread * targets == 0).all()


def test_by_hand():
    targets = np.eye(3)
    influences = np.array([[2.0, -1.0, -3.0], [0.5, 1.0, 0.8], [0.0, 0.0, 0.0]])
    p = np.array([[0.5, 0.3, 0.2], [0.1, 0.6, 0.3], [0.2, 0.2, 0.6]])
    harmful = np.array([True, True, False])
    np.testing.assert_array_equal(relabel(targets, influences, np.log(p), harmful), [[0, 0, 1], [1, 0, 0], [0, 0, 1]])
    np.testing.assert_array_equal(drop(targets, influences, np.log(p), harmful), [[0, 0, 0], [0, 0, 0], [0, 0, 1]])
    expected = np.log(0.5) / (2 * np.log([0.3, 0.2]))
    np.testing.assert_allclose(relabel_soft(targets, influences, np.log(p), harmful)[0], [0.0, *expected])


def test_soft_spreads_by_probability():
    proba = np.array([[0.5, 0.3, 0.2], [0.1, 0.6, 0.3]])
    harmful = np.array([False, True])
    np.testing.assert_allclose(soft(np.eye(3)[[0, 0]], 1.0 - proba, np.log(proba), harmful), [[1, 0, 0], proba[1]])
    with pytest.raises(ValueError, match="needs a signal that is one minus a probability"):
        soft(np.eye(3)[[0, 0]], proba - 0.5, np.log(proba), harmful)


@pytest.mark.parametrize("name", SUBSAMPLES)
@settings(max_examples=100)
@given(situation=situations(soft=True))
def test_subsample_contract(name, situation):
    """Rows are kept as they are or weighted up, or zero; zero rows stay so; the generator alone decides."""
    targets, influences, log_proba, harmful = situation
    copies = [array.copy() for array in situation]
    result = STRATEGIES[name](*situation, np.random.RandomState(3))
    for array, copy in zip(situation, copies, strict=True):
        np.testing.assert_array_equal(array, copy)
    assert result is not targets
    kept = result.any(axis=1)
    assert not kept[~targets.any(axis=1)].any()
    factor = result[kept].sum(axis=1, keepdims=True) / targets[kept].sum(axis=1, keepdims=True)
    np.testing.assert_allclose(result[kept], factor * targets[kept])
    assert (factor >= 1.0 - 1e-12).all()
    assert (factor <= (10.0 + 1e-9 if name == "optlr" else 1.0)).all()
    again = STRATEGIES[name](targets, 1024.0 * influences, log_proba - 1.0, ~harmful, np.random.RandomState(3))
    np.testing.assert_array_equal(again, result)  # nor do the unit, the mask or the probabilities matter


def sample(n=60, seed=0):
    """Targets of three classes, of sizes 3 : 2 : 1, and influences without ties."""
    rng = np.random.default_rng(seed)
    return np.eye(3)[np.arange(n) % 6 % 4 % 3], rng.normal(size=(n, 3))


def frequencies(strategy, targets, influences, n_draws=4000):
    """How often a row was kept, and its mean target."""
    rng, kept, total = np.random.RandomState(0), np.zeros(len(targets)), np.zeros_like(targets)
    for _ in range(n_draws):
        result = strategy(targets, influences, None, None, rng)
        kept += result.any(axis=1)
        total += result
    return kept / n_draws, total / n_draws


@pytest.mark.parametrize("ratio", [0.01, 0.3, 0.5, 0.95, 1.0])
@pytest.mark.parametrize("strategy", [uids_sigmoid, uids_linear, random])
def test_the_share_kept_is_exact(strategy, ratio):
    targets, influences = sample()
    targets[:6] = 0.0
    result = strategy(targets, influences, None, None, np.random.RandomState(0), ratio=ratio)
    sizes = targets.sum(axis=0) if strategy is not random else targets.sum()
    expected = np.maximum(1, np.floor(ratio * sizes + 1e-9))
    np.testing.assert_array_equal(result.sum(axis=0) if strategy is not random else result.sum(), expected)


@pytest.mark.parametrize(
    ("strategy", "formula"),
    [(uids_sigmoid, lambda u: expit(-5.0 * u)), (uids_linear, lambda u: np.clip(-5.0 * u, 0.0, 1.0))],
)
def test_probabilities_of_uids(strategy, formula):
    """Without a share they are the published ones; with it they still decrease with phi."""
    targets, influences = sample()
    phi = (targets * influences).sum(axis=1)
    kept, _ = frequencies(partial(strategy, scale=5.0, ratio=None), targets, influences)
    expected = formula(phi / np.ptp(phi))
    np.testing.assert_allclose(kept, expected, atol=5 * 0.5 / np.sqrt(4000))
    kept, _ = frequencies(partial(strategy, scale=5.0, ratio=0.5), targets, influences, n_draws=1000)
    for column in targets.T.astype(bool):
        likelier = expected[column][:, None] > expected[column] + 0.1
        assert (kept[column][:, None] > kept[column] - 0.1)[likelier].all()
        assert spearmanr(expected[column], kept[column])[0] > 0.8


def test_uids_linear_fills_up_with_rows_of_positive_influence():
    """All rows that help are kept, whatever the scale, where they are fewer than the share."""
    targets, influences = np.eye(2)[np.arange(40) % 2], np.linspace(-0.3, 0.7, 40)[:, None] * np.ones(2)
    result = uids_linear(targets, influences, None, None, np.random.RandomState(0), scale=1e9, ratio=0.9)
    assert result[influences[:, 0] < 0].any(axis=1).all()
    assert result.sum() == 36


def test_optlr_is_unbiased_and_optimal():
    targets, influences = sample()
    targets[0], targets[1] = [0.5, 0.25, 0.0], 0.0
    ratio, floor, n_draws = 0.6, 0.2, 4000
    strategy = partial(optlr, ratio=ratio, floor=floor)
    kept, mean = frequencies(strategy, targets, influences, n_draws)
    weighted = np.max([strategy(targets, influences, None, None, np.random.RandomState(s)) for s in range(200)], axis=0)
    rows = targets.any(axis=1)
    pi = targets[rows].sum(axis=1) / weighted[rows].sum(axis=1)
    assert not weighted[~rows].any()
    assert pi.mean() == pytest.approx(ratio)
    assert (pi.min(), pi.max()) == pytest.approx((floor, 1.0))
    np.testing.assert_allclose(kept[rows], pi, atol=5 * 0.5 / np.sqrt(n_draws))
    error = np.abs(mean - targets)[rows]
    assert (error <= 5 * targets[rows] * np.sqrt((1 / pi - 1) / n_draws)[:, None] + 1e-12).all()

    phi = np.abs((targets * influences)[rows].sum(axis=1) / targets[rows].sum(axis=1))
    between = (pi > floor + 1e-9) & (pi < 1.0 - 1e-9)
    np.testing.assert_allclose(pi[between] / phi[between], (pi[between] / phi[between])[0])
    rng = np.random.default_rng(0)
    for _ in range(100):  # any other probabilities with this mean and floor give phi a larger variance
        other = floor + (1.0 - floor) * rng.random(len(pi))
        other = floor + (other - floor) * (ratio - floor) / (other - floor).mean()
        other = 0.9 * pi + 0.1 * np.minimum(other, 1.0)
        assert (phi**2 / pi).sum() <= (phi**2 / other).sum()


def test_random_is_uniform():
    targets, influences = sample()
    kept, _ = frequencies(partial(random, ratio=0.7), targets, influences)
    np.testing.assert_allclose(kept, 0.7, atol=5 * 0.5 / np.sqrt(4000))


@pytest.mark.parametrize("name", SUBSAMPLES)
def test_subsamples_without_influences_or_rows(name):
    """Equal influences give equal chances; no rows, or none left, is no error."""
    rng = np.random.RandomState(0)
    targets = np.eye(2)[[0, 1] * 50]
    assert 80 <= STRATEGIES[name](targets, np.zeros((100, 2)), None, None, rng).any(axis=1).sum() <= 100
    for n in (0, 5):
        result = STRATEGIES[name](np.zeros((n, 2)), np.zeros((n, 2)), None, None, rng)
        np.testing.assert_array_equal(result, np.zeros((n, 2)))


@pytest.mark.parametrize(
    ("strategy", "message"),
    [
        (partial(uids_sigmoid, ratio=0.0), r"ratio=0.0 must be above 0 and at most 1"),
        (partial(uids_linear, ratio=1.5), r"ratio=1.5 must be above 0 and at most 1"),
        (partial(random, ratio=95), r"ratio=95 must be above 0 and at most 1"),
        (partial(optlr, ratio=0.0), r"ratio=0.0 must be above 0 and at most 1"),
        (partial(optlr, floor=0.0), r"floor=0.0 must be above 0 and below ratio=0.95"),
        (partial(optlr, ratio=0.5, floor=0.5), r"floor=0.5 must be above 0 and below ratio=0.5"),
        (partial(uids_sigmoid, scale=-1.0), r"scale=-1.0 must be positive and finite"),
        (partial(uids_linear, scale=np.inf), r"scale=inf must be positive and finite"),
    ],
)
def test_bad_parameters(strategy, message):
    with pytest.raises(ValueError, match=message):
        strategy(*sample(), None, None, np.random.RandomState(0))


@pytest.mark.parametrize("max_iter", [None, 3])
@pytest.mark.parametrize("name", SUBSAMPLES)
@pytest.mark.parametrize("table", ["breast_cancer", "wine"])
def test_subsamples_in_the_classifier(table, name, max_iter):
    """`alpha` marks rows, and the subsample decides what becomes of them."""
    data = make_table(table, rate=0.2)
    clf = RDIAClassifier(LogisticRegression(C=0.1), alpha=0.5, strategy=name, max_iter=max_iter, random_state=0)
    clf.fit(data.X, data.y, **data.val)
    assert clf.n_iter_ == (max_iter or 1)
    assert clf.termination_condition_ == "max_iter"
    np.testing.assert_array_equal(clf.relabeled_y_, data.y)
    if max_iter is None:
        np.testing.assert_array_equal(clf.harmful_mask_, clf.influences_ > 0.5)
    dropped = ~clf.targets_.any(axis=1)
    assert 0 < dropped.sum() < 0.25 * len(data.y)
    assert dropped[~clf.harmful_mask_].any() or name == "uids-sigmoid"
    again = clone(clf).fit(data.X, data.y, **data.val)
    np.testing.assert_array_equal(again.targets_, clf.targets_)
    other = clone(clf).set_params(random_state=1).fit(data.X, data.y, **data.val)
    assert (other.targets_ != clf.targets_).any()


@pytest.mark.parametrize("name", SUBSAMPLES)
def test_subsamples_with_no_harmful_row(name, table):
    clf = RDIAClassifier(alpha=1e9, strategy=name, max_iter=5, random_state=0).fit(table.X, table.y, **table.val)
    assert (clf.n_iter_, clf.termination_condition_) == (1, "no row above alpha")
    assert not clf.harmful_mask_.any()
    assert not clf.targets_.any(axis=1).all()


@pytest.mark.parametrize("name", SUBSAMPLES)
def test_subsamples_with_other_validation_rows(name, table3):
    """Held-out, trusted and cross-validated rows, and sample weights."""
    weight = np.random.default_rng(0).integers(0, 3, len(table3.y)).astype(float)
    held_out = {"validation_fraction": 0.3}
    for params, fit_params in [(held_out, {}), ({}, {"trusted": np.arange(len(table3.y)) % 3 == 0}), ({"cv": 3}, {})]:
        clf = RDIAClassifier(alpha=0.7, strategy=name, random_state=0, **params)
        clf.fit(table3.X, table3.y, sample_weight=weight, **fit_params)
        np.testing.assert_array_equal(clf.targets_[clf.validation_mask_].sum(axis=1), weight[clf.validation_mask_])
        assert np.isfinite(clf.predict_proba(table3.X_test)).all()


def test_parameters_are_searched(table):
    strategies = [none, partial(uids_sigmoid, ratio=0.7), partial(uids_sigmoid, scale=1.0), partial(optlr, floor=0.5)]
    search = GridSearchCV(
        RDIAClassifier(alpha=0.7, random_state=0), {"strategy": strategies}, scoring="neg_log_loss", cv=2
    )
    search.fit(table.X, table.y, **table.val)
    assert len(set(search.cv_results_["mean_test_score"])) == len(strategies)
    assert search.best_estimator_.n_iter_ == 1
