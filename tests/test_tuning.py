"""alpha="auto", other detectors than the base estimator, and repair without trusted rows."""

import numpy as np
import pytest
from scipy import sparse
from sklearn.base import clone
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression, Perceptron, SGDClassifier
from sklearn.metrics import log_loss, roc_auc_score
from sklearn.model_selection import GridSearchCV, StratifiedKFold, cross_val_predict
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skrdia import RDIAClassifier, influence
from skrdia._candidates import candidates, detectors_to_try
from skrdia._out_of_fold import detectors, interleaved_folds
from skrdia._outcome import _problem, candidate_targets
from skrdia._tuning import choose
from skrdia.datasets import flip_labels

from .conftest import make_table


def recovered(clf, data, base=None):
    """Share of the distance from the labels as given to the right ones, in test log loss."""
    X = np.vstack([data.X, data.X_val])
    base = LogisticRegression() if base is None else base
    worst, best = (
        log_loss(data.y_test, base.fit(X, np.r_[y, data.y_val]).predict_proba(data.X_test))
        for y in (data.y, data.y_true)
    )
    return (worst - log_loss(data.y_test, clf.predict_proba(data.X_test))) / (worst - best)


def noisy(name, kind, rate):
    data = make_table(name, rate=0.0)
    return data._replace(y=flip_labels(data.y_true, rate, kind, X=data.X, random_state=1)[0])


@pytest.mark.parametrize(
    ("name", "kind", "rate", "least"),
    [
        ("cancer", "symmetric", 0.3, 0.7),
        ("cancer", "one-sided", 0.6, 0.7),
        ("cancer", "group", 0.7, 0.7),
        pytest.param("digits", "symmetric", 0.4, 0.7, marks=pytest.mark.slow),
        pytest.param("digits", "symmetric", 0.8, 0.7, marks=pytest.mark.slow),
        pytest.param("digits", "pair", 0.3, 0.7, marks=pytest.mark.slow),
    ],
)
def test_most_of_the_harm_is_undone_whatever_is_wrong(name, kind, rate, least):
    data = noisy(name, kind, rate)
    clf = RDIAClassifier().fit(data.X, data.y, **data.val)
    assert recovered(clf, data) > least
    wrong = data.y != data.y_true
    assert roc_auc_score(wrong, clf.scores_) > 0.9
    assert (clf.relabeled_y_ == data.y_true).mean() > (data.y == data.y_true).mean()
    assert clf.harmful_mask_[wrong].mean() > clf.harmful_mask_[~wrong].mean() + 0.5


@pytest.mark.parametrize("name", ["breast_cancer", "cancer", "wine", pytest.param("digits", marks=pytest.mark.slow)])
def test_little_is_done_where_nothing_is_wrong(name):
    data = make_table(name, rate=0.0)
    clf = RDIAClassifier().fit(data.X, data.y, **data.val)
    as_given = LogisticRegression().fit(np.vstack([data.X, data.X_val]), np.r_[data.y, data.y_val])
    losses = [log_loss(data.y_test, model.predict_proba(data.X_test)) for model in (clf, as_given)]
    assert losses[0] < 1.02 * losses[1]
    assert clf.harmful_mask_.mean() < 0.01
    if clf.termination_condition_.startswith("do nothing was best"):
        np.testing.assert_array_equal(clf.estimator_.coef_, as_given.coef_)
        assert (clf.signal_, clf.strategy_, clf.alpha_, clf.n_iter_) == ("none", "none", np.inf, 1)
        np.testing.assert_array_equal(clf.relabeled_y_, data.y)


def test_history_is_the_cross_validated_loss(table):
    """Doing nothing and the trusted rows only, computed again by hand."""
    clf = RDIAClassifier().fit(table.X, table.y, **table.val)
    fold = interleaved_folds(np.eye(2)[table.y_val], 5)
    for entry, X, y in ((0, table.X, table.y), (1, table.X[:0], table.y[:0])):
        losses = np.empty(len(fold))
        for i in range(5):
            kept, held_out = fold != i, fold == i
            model = LogisticRegression(tol=1e-3).fit(np.vstack([X, table.X_val[kept]]), np.r_[y, table.y_val[kept]])
            proba = model.predict_proba(table.X_val[held_out])
            losses[held_out] = -np.log(proba[np.arange(len(proba)), table.y_val[held_out]])
        assert clf.history_[entry]["loss"] == pytest.approx(losses.mean(), rel=0.01)  # these fits stop early
        assert clf.history_[entry]["loss_se"] == pytest.approx(losses.std(ddof=1) / np.sqrt(len(losses)), rel=0.05)
    assert clf.history_[0]["gain"] == 0.0
    assert clf.history_[1]["strategy"] == "drop"
    assert sum(entry["weight"] for entry in clf.history_) == pytest.approx(1.0)
    gains = [clf.history_[0]["loss"] - entry["loss"] for entry in clf.history_]
    np.testing.assert_allclose([entry["gain"] for entry in clf.history_], gains)
    assert clf.termination_condition_.startswith(("average of", "the best candidate"))


def test_the_targets_are_the_weighted_average(table):
    clf = RDIAClassifier()
    proposals = candidate_targets(clf, table.X, table.y, **table.val)
    clf.fit(table.X, table.y, **table.val)
    weights = [entry["weight"] for entry in clf.history_]
    assert len(weights) == len(proposals)
    expected = sum(w * targets for w, targets in zip(weights, proposals.values(), strict=True))
    np.testing.assert_allclose(clf.targets_, expected, atol=1e-9)


def test_held_out_rows_have_no_part_in_their_fold(table):
    """Wrong labels on the rows of one fold change the losses of that fold's rows by their own labels alone."""
    fold = interleaved_folds(np.eye(2)[table.y_val], 5)
    problem = _problem(
        RDIAClassifier(), LogisticRegression(), LogisticRegression(), _rows(table), np.random.RandomState(0)
    )
    for i in range(5):
        part = problem.without(fold == i, np.random.RandomState(0))
        np.testing.assert_array_equal(part.X_val, table.X_val[fold != i])
        np.testing.assert_array_equal(part.targets_val.argmax(axis=1), table.y_val[fold != i])
        np.testing.assert_array_equal(part.X, table.X)


def _rows(data):
    from skrdia._rows import split_rows

    return split_rows(data.X, data.y, **data.val)


def test_many_rows_are_sampled_for_the_folds(monkeypatch):
    monkeypatch.setattr("skrdia._tuning._MAX_ROWS", 200)
    data = make_table("cancer", rate=0.3)
    clf = RDIAClassifier(random_state=0).fit(data.X, data.y, **data.val)
    assert recovered(clf, data) > 0.5
    problem = _problem(
        RDIAClassifier(), LogisticRegression(), LogisticRegression(), _rows(data), np.random.RandomState(0)
    )
    part = problem.without(np.arange(150) < 30, np.random.RandomState(0))
    assert len(part.given) == pytest.approx(300 * 200 / 450, abs=2)
    assert len(part.targets_val) == pytest.approx(120 * 200 / 450, abs=2)
    again = RDIAClassifier(random_state=0).fit(data.X, data.y, **data.val)
    np.testing.assert_array_equal(again.targets_, clf.targets_)


def test_in_parallel_and_from_the_cache(table, tmp_path, monkeypatch, capsys):
    plain = RDIAClassifier(verbose=1).fit(table.X, table.y, **table.val)
    assert capsys.readouterr().out.count("[RDIA] alpha='auto': fold") == 5
    for params in ({"n_jobs": 2}, {"memory": str(tmp_path)}):
        other = RDIAClassifier(**params).fit(table.X, table.y, **table.val)
        np.testing.assert_array_equal(other.targets_, plain.targets_)
    fits = []
    fit = LogisticRegression.fit
    monkeypatch.setattr(LogisticRegression, "fit", lambda self, *args, **kw: fits.append(1) or fit(self, *args, **kw))
    again = RDIAClassifier(memory=str(tmp_path)).fit(table.X, table.y, **table.val)
    np.testing.assert_array_equal(again.targets_, plain.targets_)
    assert len(fits) == 1  # the last one


def test_sparse_frames_trusted_and_labels_of_any_kind(table):
    plain = RDIAClassifier().fit(table.X, table.y, **table.val)
    X, y = np.vstack([table.X, table.X_val]), np.r_[table.y, table.y_val]
    trusted = np.arange(len(y)) >= len(table.y)
    names = np.array(["no", "yes"])
    marked = RDIAClassifier().fit(sparse.csr_array(X), names[y], trusted=trusted)
    np.testing.assert_allclose(marked.targets_[~trusted], plain.targets_, atol=1e-3)
    np.testing.assert_array_equal(marked.relabeled_y_[~trusted], names[plain.relabeled_y_])
    assert not marked.harmful_mask_[trusted].any()
    assert np.isnan(marked.scores_[trusted]).all()
    assert np.isfinite(marked.scores_[~trusted]).all()


def test_validation_weights_count(table):
    times = np.random.default_rng(0).integers(1, 3, len(table.y_val))
    X, y = np.vstack([table.X, table.X_val]), np.r_[table.y, table.y_val]
    trusted = np.arange(len(y)) >= len(table.y)
    weight = np.r_[np.ones(len(table.y)), times]
    clf = RDIAClassifier().fit(X, y, sample_weight=weight, trusted=trusted)
    losses = clf.history_[0]["loss"]
    assert np.isfinite(losses)
    assert losses != RDIAClassifier().fit(X, y, trusted=trusted).history_[0]["loss"]


def test_few_validation_rows(table):
    """The model of the labels as given repairs, and knows the labels of these."""
    few = np.r_[np.flatnonzero(table.y_val == 0)[:4], np.flatnonzero(table.y_val == 1)[:4]]
    clf = RDIAClassifier().fit(table.X, table.y, X_val=table.X_val[few], y_val=table.y_val[few])
    assert clf.termination_condition_.startswith(
        "8 validation rows are too few to choose by, 10 are needed; estimated:"
    )
    assert clf.signal_ == "noise-model"
    assert recovered(clf, table) > 0.3
    named = RDIAClassifier(signal="influence").fit(table.X, table.y, X_val=table.X_val[few], y_val=table.y_val[few])
    assert named.termination_condition_ == "do nothing: 8 validation rows are too few to choose by, 10 are needed"
    assert named.history_ == []
    np.testing.assert_array_equal(named.targets_, np.eye(2)[table.y])


def test_naming_a_signal_or_a_strategy_restricts_the_candidates(table):
    base, bayes = LogisticRegression(), GaussianNB()
    assert {c.signal for c in candidates("influence", "auto", None, base, base)} == {"influence"}
    assert {c.strategy for c in candidates("auto", "drop", None, base, base)} == {"drop"}
    assert max(c.n_iter for c in candidates("auto", "auto", None, base, base)) == 3
    assert max(c.n_iter for c in candidates("auto", "auto", 1, base, base)) == 1
    assert "influence" not in {c.signal for c in candidates("auto", "auto", None, bayes, bayes)}
    clf = RDIAClassifier(signal="influence", strategy="drop").fit(table.X, table.y, **table.val)
    assert {(entry["signal"], entry["strategy"]) for entry in clf.history_[2:]} == {("influence", "drop")}
    assert recovered(clf, table) > 0.3


def test_detectors_differ_in_regularisation():
    pipeline = make_pipeline(StandardScaler(), LogisticRegression(C=2.0))
    assert [model[-1].C for model in detectors(pipeline)] == pytest.approx([2.0, 0.2, 0.02])
    sgd, bayes, free = SGDClassifier("log_loss", alpha=1e-4), GaussianNB(), LogisticRegression(C=np.inf)
    assert [model.alpha for model in detectors(sgd)] == pytest.approx([1e-4, 1e-3, 1e-2])
    assert len(detectors(bayes)) == len(detectors(free)) == 1
    tried = detectors_to_try(pipeline, pipeline)
    assert {factor: model[-1].C for factor, model in tried.items()} == pytest.approx(
        {1.0: 2.0, 0.1: 0.2, 0.01: 0.02, 30.0: 60.0}
    )
    assert list(detectors_to_try(free, free)) == [1.0]
    assert len(detectors_to_try(KNeighborsClassifier(), pipeline)) == 4  # no weights, so it cannot learn posteriors
    base = GaussianNB()
    assert detectors_to_try(base, pipeline)["base estimator"] is base
    named = {c.detector for c in candidates("auto", "auto", None, base, pipeline)}
    assert named == {1.0, 0.1, 0.01, 30.0, "base estimator"}
    assert {c.detector for c in candidates("auto", "auto", None, free, free)} == {1.0}


def test_few_validation_rows_leave_out_what_would_overfit_them():
    base = LogisticRegression()
    many, few = (candidates("auto", "auto", None, base, base, n_val) for n_val in (100, 99))
    overfit = [c for c in many if (c.signal, c.detector) == ("influence", 1.0) or c.detector == 30.0]
    assert [c for c in many if c not in few] == overfit
    assert set(few) < set(many)
    assert candidates("influence", "relabel", None, base, base, 99) == candidates(
        "influence", "relabel", None, base, base
    )


def test_choose_without_candidates(table):
    problem = _problem(
        RDIAClassifier(), LogisticRegression(), LogisticRegression(), _rows(table), np.random.RandomState(0)
    )
    choice = choose(problem, [])
    assert choice.labels.shape == problem.given.shape
    assert len(choice.history) == 2


@pytest.mark.parametrize("refit_on", ["all", "train"])
def test_refit_on(table, refit_on):
    clf = RDIAClassifier(refit_on=refit_on).fit(table.X, table.y, **table.val)
    assert ("drop", 0) in {(e["strategy"], e["n_iter"]) for e in clf.history_} or refit_on == "train"
    assert clf.score(table.X_test, table.y_test) > 0.9


@pytest.mark.slow
def test_numbers_and_auto_in_one_search(table):
    search = GridSearchCV(RDIAClassifier(random_state=0), {"alpha": ["auto", 0.1, 0.7]}, cv=2, error_score="raise")
    search.fit(table.X, table.y, **table.val)
    assert len(search.cv_results_["params"]) == 3


OTHERS = [
    RandomForestClassifier(20, random_state=0),
    pytest.param(HistGradientBoostingClassifier(max_iter=20, random_state=0), marks=pytest.mark.slow),
    KNeighborsClassifier(5),
    GaussianNB(),
]


@pytest.mark.slow
@pytest.mark.parametrize("base", OTHERS, ids=lambda base: type(base).__name__)
def test_any_base_estimator_with_another_detector(base):
    data = make_table("cancer", rate=0.3)
    detector = make_pipeline(StandardScaler(), LogisticRegression(C=0.1))
    clf = RDIAClassifier(base, influence_estimator=detector).fit(data.X, data.y, **data.val)
    assert type(clf.estimator_) is type(clf.base_estimator_) is type(base)
    as_given = clone(base).fit(np.vstack([data.X, data.X_val]), np.r_[data.y, data.y_val])
    assert clf.score(data.X_test, data.y_test) >= as_given.score(data.X_test, data.y_test) - 0.02
    if not isinstance(base, GaussianNB):  # flips hardly change its fit
        assert clf.termination_condition_.startswith(("average of", "the best candidate"))
        assert clf.harmful_mask_[data.y != data.y_true].mean() > 0.7
    if isinstance(base, KNeighborsClassifier):  # takes no weights
        assert set(np.unique(clf.targets_)) <= {0.0, 1.0}
    one = RDIAClassifier(base, alpha=0.3, influence_estimator=detector, max_iter=3).fit(data.X, data.y, **data.val)
    assert one.harmful_mask_[data.y != data.y_true].mean() > 0.6
    assert one.score(data.X_test, data.y_test) > 0.85


def test_a_base_estimator_with_neither(table):
    with pytest.raises(TypeError, match="name one of these as influence_estimator"):
        RDIAClassifier(RandomForestClassifier()).fit(table.X, table.y, **table.val)
    with pytest.raises(TypeError, match=r"Perceptron.* has no predict_proba"):
        RDIAClassifier(Perceptron(), influence_estimator=LogisticRegression()).fit(table.X, table.y, **table.val)
    with pytest.raises(ValueError, match="alpha='auto' does not know the unit of a callable signal"):
        RDIAClassifier(signal=lambda evidence: evidence.influences).fit(table.X, table.y, **table.val)


def test_confidence_needs_no_curvature(table):
    clf = RDIAClassifier(GaussianNB(), alpha=0.8, signal="confidence").fit(table.X, table.y, **table.val)
    assert np.isnan(clf.influences_).all()
    assert np.isnan(clf.predicted_gain_)
    assert clf.harmful_mask_.any()
    auto = RDIAClassifier(GaussianNB(), signal="confidence").fit(table.X, table.y, **table.val)
    assert {entry["signal"] for entry in auto.history_[2:]} == {"confidence"}


def test_standard_errors(table):
    clf = RDIAClassifier(alpha=0.7, compute_std=True, hessian="direct").fit(table.X, table.y, **table.val)
    model = LogisticRegression().fit(table.X, table.y)
    result = influence(model, table.X, table.y, table.X_val, table.y_val, hessian="direct", std=True)
    np.testing.assert_allclose(clf.influence_std_, result.standard_error, rtol=1e-6)
    wrong = table.y != table.y_true
    significant = clf.influences_ > 2.0 * clf.influence_std_
    assert wrong[significant].mean() > wrong[clf.influences_ > 0.0].mean()
    assert not hasattr(RDIAClassifier(alpha=0.7).fit(table.X, table.y, **table.val), "influence_std_")
    folds = RDIAClassifier(alpha=0.7, compute_std=True, cv=3, signal="influence").fit(table.X, table.y)
    assert (folds.influence_std_ > 0.0).all()


@pytest.mark.parametrize("name", ["cancer", "digits"])
def test_without_trusted_rows(name):
    data = make_table(name, rate=0.2)
    wrong = data.y != data.y_true
    clf = RDIAClassifier(cv=5).fit(data.X, data.y)
    confidence = cross_val_predict(LogisticRegression(), data.X, data.y, cv=5, method="predict_proba")
    plain = roc_auc_score(wrong, -confidence[np.arange(len(wrong)), data.y])
    assert roc_auc_score(wrong, clf.scores_) > plain - 0.005
    assert not clf.validation_mask_.any()
    as_given = LogisticRegression().fit(data.X, data.y)
    assert log_loss(data.y_test, clf.predict_proba(data.X_test)) < log_loss(
        data.y_test, as_given.predict_proba(data.X_test)
    )
    assert (clf.relabeled_y_ == data.y_true).mean() > (data.y == data.y_true).mean() + 0.03
    assert clf.termination_condition_
    assert np.isnan(clf.influences_).all()


def test_rows_are_scored_by_models_that_never_saw_them(table):
    """A row's own label has no part in the probabilities it is compared with."""
    folds = StratifiedKFold(4)
    clf = RDIAClassifier(GaussianNB(), alpha=0.9, signal="confidence", cv=folds).fit(table.X, table.y)
    expected = cross_val_predict(GaussianNB(), table.X, table.y, cv=folds, method="predict_proba")
    np.testing.assert_allclose(clf.scores_, 1.0 - expected[np.arange(len(table.y)), table.y])
    np.testing.assert_array_equal(clf.harmful_mask_, clf.scores_ > 0.9)


def test_what_needs_trusted_rows_says_so(table):
    with pytest.raises(ValueError, match="needs trusted rows to choose a threshold"):
        RDIAClassifier(signal="influence", cv=3).fit(table.X, table.y)
    with pytest.raises(ValueError, match="needs trusted rows to choose a threshold"):
        RDIAClassifier(signal="trusted-posterior", cv=3).fit(table.X, table.y)


@pytest.mark.parametrize(
    "base",
    [
        LogisticRegression(solver="liblinear"),
        LogisticRegression(solver="newton-cholesky", class_weight="balanced"),
        make_pipeline(StandardScaler(), make_pipeline(LogisticRegression(C=0.1))),
    ],
    ids=["liblinear", "balanced", "nested pipeline"],
)
def test_any_logistic_regression(base):
    data = make_table("cancer", rate=0.3)
    clf = RDIAClassifier(base).fit(data.X, data.y, **data.val)
    assert recovered(clf, data, clone(base)) > 0.6
    assert clf.estimator_.get_params().keys() == base.get_params().keys()
    assert "warm_start=True" not in repr(clf.estimator_)


def test_a_frozen_base_cannot_gain(table):
    model = FrozenEstimator(LogisticRegression().fit(table.X, table.y))
    clf = RDIAClassifier(model).fit(table.X, table.y, **table.val)
    assert clf.termination_condition_.startswith("do nothing was best: of the repair, it gains 0.0000")


def test_candidates_do_not_warn_each(table):
    base = SGDClassifier("log_loss", max_iter=1, tol=None, random_state=0)
    with pytest.warns(ConvergenceWarning, match="far from its optimum") as caught:
        RDIAClassifier(base).fit(table.X, table.y, **table.val)
    assert len(caught) == 1


@pytest.mark.slow
def test_frames_reach_a_base_estimator_that_reads_them(table):
    import pandas as pd

    columns = [f"x{i}" for i in range(table.X.shape[1])]
    X, X_val, X_test = (pd.DataFrame(rows, columns=columns) for rows in (table.X, table.X_val, table.X_test))
    clf = RDIAClassifier(HistGradientBoostingClassifier(max_iter=10), influence_estimator=LogisticRegression())
    clf.fit(X, np.array(["no", "yes"])[table.y], X_val=X_val, y_val=np.array(["no", "yes"])[table.y_val])
    assert clf.estimator_.feature_names_in_.tolist() == columns
    assert clf.score(X_test, np.array(["no", "yes"])[table.y_test]) > 0.9
