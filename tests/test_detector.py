"""InfluenceLabelDetector: scikit-learn's checks, and what a user of IsolationForest expects."""

import pickle
import warnings

import numpy as np
import pytest
from scipy import sparse
from sklearn.base import clone
from sklearn.ensemble import IsolationForest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from skrdia import InfluenceLabelDetector
from skrdia.datasets import add_anomalies
from skrdia.signals import SIGNALS, score

from .conftest import make_table


@parametrize_with_checks(
    [
        InfluenceLabelDetector(),
        InfluenceLabelDetector(LogisticRegression(C=0.1), signal="self-influence", contamination=0.2),
        InfluenceLabelDetector(make_pipeline(StandardScaler(), LogisticRegression()), signal="isolation"),
    ]
)
def test_estimator_checks(estimator, check):
    with warnings.catch_warnings():
        warnings.simplefilter("default")  # tables of a few rows, where a fit may not converge
        check(estimator)


def test_finds_wrong_labels_that_a_detector_of_rows_cannot(table):
    wrong = table.y != table.y_true
    found = InfluenceLabelDetector().fit_predict(table.X, table.y) == -1
    assert wrong[found].mean() > 0.85
    assert found[wrong].mean() > 0.85
    forest = IsolationForest(random_state=0).fit(table.X)
    assert roc_auc_score(wrong, -forest.score_samples(table.X)) < 0.6


def test_auto_contamination_is_close_to_the_truth():
    for rate in (0.0, 0.1, 0.3):
        data = make_table("breast_cancer", rate)
        detector = InfluenceLabelDetector().fit(data.X, data.y)
        assert abs(detector.contamination_ - rate) < 0.02
        assert (detector.predict(data.X) == -1).sum() == round(detector.contamination_ * len(data.y))


@pytest.mark.parametrize("signal", ["stacked-posterior", "self-influence", "confidence", "isolation"])
def test_scores_are_those_of_the_signal(table3, signal):
    model = LogisticRegression()
    detector = InfluenceLabelDetector(model, signal=signal, contamination=0.2).fit(table3.X, table3.y)
    expected = score(clone(model).fit(table3.X, table3.y), table3.X, table3.y, signal=signal)
    np.testing.assert_allclose(detector.scores_, expected)
    np.testing.assert_array_equal(detector.score_samples(table3.X), -detector.scores_)
    np.testing.assert_array_equal(detector.score_samples(table3.X, table3.y), -detector.scores_)
    np.testing.assert_array_equal(detector.predict(table3.X[::-1]), detector.predict(table3.X)[::-1])
    assert (detector.predict(table3.X) == -1).sum() == 18


@pytest.mark.parametrize("signal", [name for name in SIGNALS if name != "leave-one-out"])
def test_new_rows_are_judged_with_their_labels(signal):
    data = make_table("digits", 0.1)
    detector = InfluenceLabelDetector(LogisticRegression(C=0.01), signal=signal).fit(data.X, data.y, **data.val)
    right = detector.score_samples(data.X_test, data.y_test)
    wrong = detector.score_samples(data.X_test, (data.y_test + 1) % 10)
    assert np.isfinite(np.r_[right, wrong]).all()
    if signal in ("stacked-posterior", "posterior", "confidence", "margin", "trusted-confidence", "influence"):
        assert roc_auc_score(np.repeat([0, 1], len(right)), -np.r_[right, wrong]) > 0.9


def test_a_new_row_without_a_label_has_the_predicted_one(table):
    detector = InfluenceLabelDetector(signal="self-influence").fit(table.X, table.y)
    new = table.X_test + 0.01
    predicted = detector.estimator_.predict(new)
    np.testing.assert_array_equal(detector.score_samples(new), detector.score_samples(new, predicted))


def test_equal_rows_with_different_labels(table):
    X, y = np.vstack([table.X, table.X[:1]]), np.r_[table.y, 1 - table.y[0]]
    detector = InfluenceLabelDetector().fit(X, y)
    scores = -detector.score_samples(X, y)
    assert scores[0] != scores[-1]
    assert -detector.score_samples(X[:1])[0] == max(scores[0], scores[-1])


def test_anomalies_are_found_by_isolation():
    data = make_table("digits", 0.0)
    for kind in ("near", "far"):
        X, y, bad = add_anomalies(data.X, data.y, 0.1, kind, random_state=0)
        detector = InfluenceLabelDetector(signal="isolation", contamination=0.1).fit(X, y)
        assert bad[detector.predict(X) == -1].mean() > 0.8
        self_influence = InfluenceLabelDetector(signal="self-influence", contamination=0.1).fit(X, y)
        assert bad[self_influence.predict(X) == -1].mean() < 0.1


def test_trusted_rows_find_anomalies_in_new_rows():
    data = make_table("digits", 0.0)
    X, y, _ = add_anomalies(data.X, data.y, 0.2, "near", random_state=0)
    detector = InfluenceLabelDetector(signal="trusted-isolation", contamination=0.2).fit(X, y, **data.val)
    unseen = np.vstack([data.X_test, X[-50:] + 0.01])
    expected = np.r_[np.zeros(len(data.X_test)), np.ones(50)]
    assert roc_auc_score(expected, -detector.score_samples(unseen)) > 0.99


def test_without_labels(table):
    X = np.vstack([table.X, np.full((3, table.X.shape[1]), 8.0) * [[1], [-1], [1.5]]])
    detector = InfluenceLabelDetector(contamination=0.05).fit(X)
    assert (detector.predict(X)[-3:] == -1).all()
    assert (detector.fit_predict(X) == -1).sum() == 15
    assert (InfluenceLabelDetector().fit_predict(X) == -1).sum() == 30
    with pytest.raises(ValueError, match="fitted without"):
        detector.predict(X, np.zeros(len(X)))


def test_sparse_rows(table):
    X = np.where(np.abs(table.X) < 0.4, 0.0, table.X)
    detector = InfluenceLabelDetector(LogisticRegression(tol=1e-8, max_iter=1000), signal="self-influence")
    dense, found = clone(detector).fit(X, table.y), clone(detector).fit(sparse.csr_array(X), table.y)
    np.testing.assert_allclose(found.scores_, dense.scores_, rtol=1e-4)
    np.testing.assert_array_equal(found.score_samples(sparse.csc_array(X)), -found.scores_)


def test_frames_of_strings():
    pd = pytest.importorskip("pandas")
    from sklearn.preprocessing import OneHotEncoder

    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"colour": rng.choice(["red", "green"], 200), "size": rng.choice(["s", "m", "l"], 200)})
    y = np.where(frame["colour"] == "red", "yes", "no")
    y[:5] = np.where(y[:5] == "yes", "no", "yes")
    model = make_pipeline(OneHotEncoder(), LogisticRegression())
    detector = InfluenceLabelDetector(model).fit(frame, y)
    assert (detector.predict(frame, y)[:5] == -1).all()
    assert detector.feature_names_in_.tolist() == ["colour", "size"]
    with pytest.raises(ValueError, match="feature names"):
        detector.predict(frame[["size"]])


def test_a_net(table):
    net = MLPClassifier((16,), max_iter=60, learning_rate_init=0.01, random_state=0)
    wrong = table.y != table.y_true
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        detector = InfluenceLabelDetector(net, random_state=0).fit(table.X, table.y)
    assert roc_auc_score(wrong, detector.scores_) > 0.93


def test_it_can_be_pickled(table):
    detector = InfluenceLabelDetector().fit(table.X, table.y)
    loaded = pickle.loads(pickle.dumps(detector))
    np.testing.assert_array_equal(loaded.predict(table.X), detector.predict(table.X))


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"contamination": 0.7}, "'contamination' parameter"),
        ({"contamination": 0.0}, "'contamination' parameter"),
        ({"signal": "selfinfluence"}, "'signal' parameter"),
        ({"signal": "influence"}, "judges rows by validation rows"),
        ({"signal": "trusted-confidence"}, "trusted"),
        ({"hessian": "newton"}, "hessian='newton' is unknown"),
    ],
)
def test_bad_parameters(table, params, message):
    detector = InfluenceLabelDetector(**{"signal": "self-influence"} | params)
    with pytest.raises(ValueError, match=message):
        detector.fit(table.X, table.y)


def test_bad_rows(table):
    detector = InfluenceLabelDetector().fit(table.X, table.y)
    with pytest.raises(ValueError, match="y has labels that no training row"):
        detector.predict(table.X, np.full(len(table.X), 7))
    with pytest.raises(ValueError, match="at least two classes"):
        InfluenceLabelDetector().fit(table.X, np.zeros(len(table.X)))
    with pytest.raises(ValueError, match="y_val was given without X_val"):
        InfluenceLabelDetector().fit(table.X, table.y, y_val=table.y_val)
    retrained = InfluenceLabelDetector(signal="leave-one-out").fit(table.X[:40], table.y[:40], **table.val)
    with pytest.raises(ValueError, match="leave-one-out"):
        retrained.predict(table.X_test, table.y_test)
    with pytest.raises(TypeError, match="is not supported"):
        InfluenceLabelDetector(IsolationForest()).fit(table.X, table.y)
