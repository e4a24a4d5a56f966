"""Signals: each against its definition, and what needs trusted rows."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from skrdia import RDIAClassifier, influence
from skrdia._evidence import Evidence
from skrdia._label_posterior import label_posterior
from skrdia._out_of_fold import interleaved_folds
from skrdia.signals import SIGNALS
from skrdia.signals._table import WITHOUT_TRUSTED_ROWS

from .conftest import make_table

TIGHT = {"tol": 1e-3, "max_iter": 1000}


def evidence_of(data, detectors=None, **changes):
    given = np.eye(data.y.max() + 1)[data.y]
    arguments = {
        "detectors": detectors or [LogisticRegression(**TIGHT)],
        "X": data.X,
        "targets": given,
        "given": given,
        "weight": np.ones(len(given)),
        "classes": np.arange(given.shape[1]),
        "X_val": data.X_val,
        "targets_val": np.eye(given.shape[1])[data.y_val],
    }
    return Evidence(**arguments | changes)


def folds_of(evidence):
    fold = interleaved_folds(evidence.given, 3)
    return [(np.flatnonzero(fold != i), np.flatnonzero(fold == i)) for i in range(3)]


def test_influence(table):
    model = LogisticRegression(**TIGHT).fit(table.X, table.y)
    expected = influence(model, table.X, table.y, table.X_val, table.y_val).by_label
    np.testing.assert_array_equal(SIGNALS["influence"](evidence_of(table)), expected)


@pytest.mark.parametrize("name", ["breast_cancer", "wine"])
def test_confidence_is_out_of_fold(name):
    data = make_table(name, rate=0.2)
    evidence = evidence_of(data)
    found = SIGNALS["confidence"](evidence)
    for train, test in folds_of(evidence):
        X, y = np.vstack([data.X[train], data.X_val]), np.r_[data.y[train], data.y_val]
        expected = 1.0 - LogisticRegression(**TIGHT).fit(X, y).predict_proba(data.X[test])
        np.testing.assert_allclose(found[test], expected, atol=1e-9)


def test_folds_are_stratified():
    targets = np.eye(3)[np.r_[np.zeros(30, int), np.ones(7, int), np.full(2, 2)]]
    fold = interleaved_folds(targets, 3)
    counts = np.array([targets[fold == i].sum(axis=0) for i in range(3)])
    assert (counts.max(axis=0) - counts.min(axis=0) <= 1).all()
    assert np.ptp(counts.sum(axis=1)) <= 1


def test_confidence_weighs_the_detectors(table):
    """By what they predict: one that knows nothing does not spoil the ranking, wherever it stands."""
    good, bad = LogisticRegression(C=0.1), LogisticRegression(C=1e-8)
    wrong, labels = table.y != table.y_true, (np.arange(len(table.y)), table.y)
    alone = evidence_of(table, [good]).confidence
    both = evidence_of(table, [good, bad]).confidence
    np.testing.assert_allclose(evidence_of(table, [bad, good]).confidence, both, atol=1e-3)
    assert roc_auc_score(wrong, -both[labels]) > roc_auc_score(wrong, -alone[labels]) - 0.005
    assert np.log(both[labels]).mean() > np.log(alone[labels]).mean()


def test_trusted_confidence(table):
    model = LogisticRegression(**TIGHT).fit(table.X_val, table.y_val)
    found = SIGNALS["trusted-confidence"](evidence_of(table))
    np.testing.assert_allclose(found, 1.0 - model.predict_proba(table.X), atol=1e-9)


@pytest.mark.parametrize("name", ["posterior", "trusted-posterior"])
def test_posteriors_are_two_steps_of_the_noise_model(table, name):
    evidence = evidence_of(table, [LogisticRegression(tol=1e-6, max_iter=1000)])
    ones = np.ones(len(table.y))
    first = evidence.confidence if name == "posterior" else evidence.trusted_confidence
    targets = label_posterior(first, evidence.given, ones)
    expected = label_posterior(evidence_of(table, targets=targets).confidence, evidence.given, ones)
    np.testing.assert_allclose(1.0 - SIGNALS[name](evidence), expected, atol=0.05)


def test_trusted_signals_find_wrong_labels_at_any_rate():
    for rate in (0.2, 0.5, 0.8):
        data = make_table("digits", rate)
        wrong = data.y != data.y_true
        evidence = evidence_of(data, [LogisticRegression(C=0.1)])
        for name in ("trusted-confidence", "trusted-posterior"):
            score = (evidence.given * SIGNALS[name](evidence)).sum(axis=1)
            assert roc_auc_score(wrong, score) > 0.95


def test_a_missing_class_gets_probability_zero(table3):
    kept = table3.y_val != 2
    targets_val = np.eye(3)[table3.y_val[kept]]
    evidence = evidence_of(table3, X_val=table3.X_val[kept], targets_val=targets_val)
    assert (evidence.trusted_confidence[:, 2] == 0.0).all()
    assert np.isfinite(evidence.posterior).all()
    assert np.isfinite(evidence.trusted_posterior).all()


@pytest.mark.parametrize("name", ["trusted-confidence", "trusted-posterior"])
def test_without_trusted_rows(table, name):
    with pytest.raises(ValueError, match="there are none with cv"):
        SIGNALS[name](evidence_of(table, X_val=None, targets_val=None))


@pytest.mark.parametrize("signal", ["confidence", "trusted-confidence", "posterior", "trusted-posterior"])
@pytest.mark.parametrize("strategy", ["relabel", "soft", "drop"])
def test_in_the_classifier(table, signal, strategy):
    clf = RDIAClassifier(alpha=0.6, signal=signal, strategy=strategy).fit(table.X, table.y, **table.val)
    wrong = table.y != table.y_true
    assert (clf.signal_, clf.strategy_, clf.alpha_, clf.n_iter_) == (signal, strategy, 0.6, 1)
    np.testing.assert_array_equal(clf.harmful_mask_, clf.scores_ > 0.6)
    assert wrong[clf.harmful_mask_].mean() > 0.8
    assert clf.harmful_mask_[wrong].mean() > 0.7
    if strategy == "relabel":
        assert (clf.relabeled_y_ == table.y_true).mean() > 0.93
    if strategy == "soft":
        np.testing.assert_allclose(clf.targets_[clf.harmful_mask_].sum(axis=1), 1.0)
    assert np.isfinite(clf.influences_).all()


def test_a_callable_can_say_something_of_every_label(table):
    by_label = RDIAClassifier(alpha=0.7, signal=lambda evidence: evidence.influences).fit(table.X, table.y, **table.val)
    named = RDIAClassifier(alpha=0.7).fit(table.X, table.y, **table.val)
    np.testing.assert_array_equal(by_label.targets_, named.targets_)
    with pytest.raises(ValueError, match="signal returned nan for every row"):
        RDIAClassifier(alpha=0.7, signal=lambda evidence: np.full(evidence.given.shape, np.nan)).fit(
            table.X, table.y, **table.val
        )


@pytest.mark.parametrize("signal", [name for name in SIGNALS if name != "leave-one-out"])
def test_every_signal_in_the_classifier(table, signal):
    scores = RDIAClassifier(alpha=1e9, signal=signal).fit(table.X, table.y, **table.val).scores_
    alpha = max(0.0, float(np.quantile(scores, 0.9)))
    clf = RDIAClassifier(alpha=alpha, signal=signal).fit(table.X, table.y, **table.val)
    np.testing.assert_array_equal(clf.harmful_mask_, clf.scores_ > alpha)
    if signal in WITHOUT_TRUSTED_ROWS:
        assert np.isfinite(RDIAClassifier(alpha=1e9, signal=signal, cv=3).fit(table.X, table.y).scores_).all()


def test_self_influence_relabels_what_it_finds(table):
    wrong = table.y != table.y_true
    clf = RDIAClassifier(alpha=20.0, signal="self-influence").fit(table.X, table.y, **table.val)
    assert (clf.relabeled_y_ != table.y_true).sum() < 0.85 * wrong.sum()


def test_auto_knows_the_units_of_probabilities_only(table):
    clf = RDIAClassifier(alpha="auto", signal="self-influence")
    with pytest.raises(ValueError, match="does not know which thresholds to try for signal='self-influence'"):
        clf.fit(table.X, table.y, **table.val)
    with pytest.raises(ValueError, match="needs trusted rows to choose a threshold"):
        RDIAClassifier(alpha="auto", signal="self-influence", cv=3).fit(table.X, table.y)
    RDIAClassifier(alpha="auto", signal="stacked-posterior").fit(table.X, table.y, **table.val)
