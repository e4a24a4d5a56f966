"""Rare classes, groups, splitters that leave rows out, resamplers, second fits: nothing stops that need not stop."""

import warnings

import numpy as np
import pandas as pd
import pytest
from imblearn.over_sampling import RandomOverSampler
from imblearn.pipeline import Pipeline as ResamplingPipeline
from imblearn.pipeline import make_pipeline as make_resampling_pipeline
from imblearn.under_sampling import RandomUnderSampler
from sklearn import config_context
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression, SGDClassifier
from sklearn.model_selection import GridSearchCV, GroupKFold, KFold, LeaveOneGroupOut, ShuffleSplit, TimeSeriesSplit
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skrdia import InfluenceLabelDetector, RDIAClassifier, compare_strategies, influence
from skrdia._rows import split_rows
from skrdia._tuning import Problem


def rows(n=240, n_classes=2, seed=0):
    """X, noisy labels, the mask of verified rows, right labels, and groups of ten."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, n_classes, n)
    X = rng.normal(size=(n, 3)) + 2.0 * np.eye(max(n_classes, 3))[y][:, :3]
    trusted = np.arange(n) % 3 == 0
    noisy = np.where(~trusted & (rng.random(n) < 0.2), (y + 1) % n_classes, y)
    return X, noisy, trusted, y, np.arange(n) // 10


def attributes_agree(clf, n):
    for name in ("harmful_mask_", "relabeled_y_", "scores_", "influences_", "validation_mask_"):
        assert getattr(clf, name).shape == (n,)
    for name in ("targets_", "label_influences_"):
        assert getattr(clf, name).shape == (n, len(clf.classes_))
    assert np.isfinite(clf.targets_).all()


# rare classes


@pytest.mark.parametrize("n_rare", [2, 3, 4])
@pytest.mark.parametrize("params", [{"cv": 5}, {"cv": 3}, {"cv": 5, "alpha": 0.7}])
def test_a_class_with_fewer_rows_than_folds_is_judged_by_those_it_has(n_rare, params):
    X, y, _, _, _ = rows()
    y[:n_rare] = 2
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Round 1 would leave no training row of class .2.; the rows")
        clf = RDIAClassifier(LogisticRegression(), **params).fit(X, y)
    attributes_agree(clf, len(y))
    assert np.isfinite(clf.scores_).all()
    if "alpha" in params:
        assert (clf.relabeled_y_ == 2).any()
    assert clf.targets_[:, 2].sum() > 0.1
    assert clf.harmful_mask_.any()


@pytest.mark.parametrize("params", [{"cv": 5}, {"cv": 5, "alpha": 0.7}, {"cv": 4, "alpha": 0.7, "signal": "influence"}])
@pytest.mark.parametrize("label", [9, "odd"])
def test_a_class_of_one_row_is_left_as_it_is(params, label):
    X, y, _, _, _ = rows()
    y = np.where(np.arange(len(y)) == 5, label, y.astype(type(label)))
    with pytest.warns(UserWarning, match=rf"rows labelled {label!r} \(1\) are right.*left as they are"):
        clf = RDIAClassifier(LogisticRegression(), **params).fit(X, y)
    attributes_agree(clf, len(y))
    assert clf.relabeled_y_[5] == y[5]
    assert not clf.harmful_mask_[5]
    assert np.isnan(clf.scores_[5])
    assert label in clf.estimator_.classes_.tolist()


def test_a_class_of_one_row_is_not_held_out():
    X, _, _, y, _ = rows()
    y = np.where(np.arange(len(y)) == 5, 9, y)
    with pytest.warns(UserWarning, match=r"rows labelled 9 \(1\)"):
        clf = RDIAClassifier(LogisticRegression(), random_state=0).fit(X, y)
    assert not clf.validation_mask_[5]
    assert clf.relabeled_y_[5] == 9


@pytest.mark.parametrize(
    "params",
    [{"alpha": 0.2}, {}, {"alpha": 0.2, "strategy": "drop", "max_iter": 3}, {"signal": "trusted-confidence"}],
)
@pytest.mark.filterwarnings("ignore:.*verified labels look wrong themselves")
def test_a_class_that_no_verified_row_has_is_left_as_it_is(params):
    X, y, trusted, right, _ = rows(n_classes=3)
    trusted &= right != 2
    assert (y[~trusted] == 2).sum() > 50
    with pytest.warns(UserWarning, match=r"rows labelled 2 \(\d+\) are right: no verified row"):
        clf = RDIAClassifier(LogisticRegression(), **params).fit(X, y, trusted=trusted)
    attributes_agree(clf, len(y))
    of_two = ~trusted & (y == 2)
    np.testing.assert_array_equal(clf.relabeled_y_[of_two], 2)
    assert not clf.harmful_mask_[of_two].any()
    np.testing.assert_array_equal(clf.targets_[of_two], np.eye(3)[2][None].repeat(of_two.sum(), axis=0))
    assert clf.harmful_mask_[~of_two].any()


@pytest.mark.parametrize("params", [{"alpha": 0.7}, {}, {"alpha": 0.7, "refit_on": "train"}])
@pytest.mark.parametrize("beside", [False, True])
def test_a_class_that_only_verified_rows_have(params, beside):
    X, y, trusted, _, _ = rows(n_classes=3)
    known = trusted | (y != 2)
    X, y, trusted = X[known], y[known], trusted[known]
    clf = RDIAClassifier(LogisticRegression(), **params)
    data = {"X": X, "y": y, "trusted": trusted}
    if beside:
        data = {"X": X[~trusted], "y": y[~trusted], "X_val": X[trusted], "y_val": y[trusted]}
    with pytest.warns(UserWarning, match="Only verified rows are labelled 2: no model of the other rows knows"):
        clf.fit(**data)
    assert clf.classes_.tolist() == [0, 1, 2]
    attributes_agree(clf, (~trusted).sum() if beside else len(y))
    if params.get("refit_on") != "train":
        assert clf.score(X[trusted], y[trusted]) > 0.7


@pytest.mark.filterwarnings("ignore:.*verified rows have other class shares")
@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("params", [{}, {"alpha": 0.5, "signal": "trusted-posterior"}, {"signal": "influence"}])
def test_one_verified_row_of_a_class(n_classes, params):
    X, y, trusted, right, _ = rows(n_classes=n_classes)
    trusted[np.flatnonzero(trusted & (right == 1))[1:]] = False
    clf = RDIAClassifier(LogisticRegression(), random_state=0, **params).fit(X, y, trusted=trusted)
    attributes_agree(clf, len(y))


@pytest.mark.parametrize("base", [MLPClassifier((8,), max_iter=30, random_state=0), SGDClassifier(loss="log_loss")])
def test_rare_classes_with_other_models(base):
    X, y, trusted, right, _ = rows(150, n_classes=3)
    trusted[np.flatnonzero(trusted & (right == 1))[1:]] = False
    trusted &= right != 2
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        clf = RDIAClassifier(make_pipeline(StandardScaler(), base), random_state=0).fit(X, y, trusted=trusted)
    attributes_agree(clf, len(y))
    np.testing.assert_array_equal(clf.relabeled_y_[~trusted & (y == 2)], 2)


def test_rare_classes_in_comparisons_and_detectors():
    X, y, trusted, right, _ = rows(n_classes=3)
    trusted[np.flatnonzero(trusted & (right == 1))[1:]] = False
    comparison = compare_strategies(
        LogisticRegression(), X, y, trusted=trusted, strategies=["best label", "trusted rows only"], n_repeats=1
    )
    assert "fewer verified rows than parts: 1 (1)" in str(comparison)
    y[0] = 9
    detector = InfluenceLabelDetector().fit(X, y)
    assert detector.predict(X, y)[0] == 1


def test_rows_of_one_kind_of_verified_label_are_refused():
    X, y, trusted, right, _ = rows()
    with pytest.raises(ValueError, match=r"trusted: the validation rows are all of class \[1\]"):
        RDIAClassifier().fit(X, y, trusted=trusted & (right == 1))


# groups


def spied(monkeypatch):
    """The problems of all folds of alpha="auto"."""
    seen, without = [], Problem.without

    def spy(self, *args):
        task = without(self, *args)
        seen.append((self, task))
        return task

    monkeypatch.setattr(Problem, "without", spy)
    return seen


@pytest.mark.parametrize("base", [LogisticRegression(), MLPClassifier((4,), max_iter=10, random_state=0)])
def test_groups_never_stand_on_both_sides_of_the_folds_that_choose(monkeypatch, base):
    X, y, trusted, _, groups = rows(150)
    seen = spied(monkeypatch)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        RDIAClassifier(base, random_state=0).fit(X, y, trusted=trusted, groups=groups)
    assert len(seen) in (3, 5)
    left_out = []
    for whole, task in seen:
        inside = set(task.groups) | set(task.groups_val)
        outside = set(whole.groups_val) - set(task.groups_val)
        assert outside
        assert not inside & outside
        left_out.append(outside)
    assert set.union(*left_out) == set(groups)


def test_groups_of_rows_that_are_held_out():
    X, _, _, y, groups = rows()
    clf = RDIAClassifier(alpha=0.7, validation_fraction=0.3, random_state=0).fit(X, y, groups=groups)
    held = set(groups[clf.validation_mask_])
    assert held
    assert not held & set(groups[~clf.validation_mask_])
    assert 0.2 < clf.validation_mask_.mean() < 0.45


@pytest.mark.parametrize("signal", ["confidence", "posterior", "trusted-posterior"])
def test_out_of_fold_models_do_not_know_the_group(signal):
    """With labels that are a matter of the group alone, a model that knows none of the group can tell nothing."""
    rng = np.random.default_rng(0)
    groups = np.arange(200) // 10
    of_group = rng.integers(0, 2, 20)
    X, y = np.eye(20)[groups], of_group[groups]
    trusted = np.arange(200) % 10 < 3
    fitted = RDIAClassifier(LogisticRegression(C=100.0), alpha=0.99, signal=signal, strategy="none")
    alone = fitted.fit(X, y, trusted=trusted).scores_[~trusted].mean()
    grouped = fitted.fit(X, y, trusted=trusted, groups=groups).scores_[~trusted].mean()
    assert alone < 0.1
    if signal == "confidence":
        assert grouped > 0.3


@pytest.mark.parametrize("cv", [GroupKFold(3), LeaveOneGroupOut(), 3])
@pytest.mark.parametrize("kind", [int, str])
def test_splitters_get_the_groups(cv, kind):
    X, y, _, _, groups = rows(120)
    groups = groups.astype(kind)
    clf = RDIAClassifier(LogisticRegression(), cv=cv).fit(X, y, groups=pd.Series(groups))
    assert np.isfinite(clf.scores_).all()
    read = split_rows(X, y, cv=cv, groups=groups)
    for train, test in read.splits:
        assert not set(groups[train]) & set(groups[test])


def test_a_splitter_that_needs_groups_says_so():
    X, y, _, _, _ = rows(60)
    with pytest.raises(ValueError, match=r"cv=GroupKFold.* cannot split these rows: .*groups.* Pass groups to fit"):
        RDIAClassifier(cv=GroupKFold(3)).fit(X, y)


def test_groups_are_routed_like_trusted(routing):
    X, y, trusted, _, groups = rows(120)
    rdia = RDIAClassifier(LogisticRegression(), alpha=0.7).set_fit_request(trusted=True, groups=True)
    search = GridSearchCV(
        make_pipeline(StandardScaler(), rdia), {"rdiaclassifier__alpha": [0.3, 0.9]}, cv=GroupKFold(3)
    )
    search.fit(X, y, trusted=trusted, groups=groups)
    assert search.best_estimator_[-1].validation_mask_.sum() == trusted.sum()


def test_a_ledger_is_refitted_with_groups():
    X, y, trusted, _, groups = rows(120)
    clf = RDIAClassifier(alpha=0.7).fit(X, y, trusted=trusted, groups=groups)
    row = int(clf.ledger_["row"][0])
    again = clf.ledger_.accept(row).refit(clf, X, y, trusted=trusted, groups=groups)
    assert again.validation_mask_[row]
    with pytest.raises(ValueError, match="groups has shape"):
        clf.ledger_.refit(clf, X, y, trusted=trusted, groups=groups[:5])


def test_groups_of_texts_and_missing_values():
    X, y, _, _, groups = rows(60)
    with pytest.raises(ValueError, match="groups has 1 missing values, first in row 3"):
        RDIAClassifier(cv=3).fit(X, y, groups=[None if i == 3 else f"g{g}" for i, g in enumerate(groups)])


# splitters that leave rows out


@pytest.mark.parametrize("cv", [TimeSeriesSplit(4), ShuffleSplit(2, random_state=0), [(range(60), range(60, 90))]])
@pytest.mark.parametrize("alpha", ["auto", 0.7])
def test_rows_that_no_fold_tests_are_left_alone(cv, alpha):
    X, y, _, _, _ = rows()
    cv = [tuple(map(np.array, map(list, split))) for split in cv] if isinstance(cv, list) else cv
    with pytest.warns(UserWarning, match="rows were in no test fold"):
        clf = RDIAClassifier(LogisticRegression(), cv=cv, alpha=alpha).fit(X, y)
    splits = cv if isinstance(cv, list) else list(cv.split(X, y))
    tested = np.isin(np.arange(len(y)), np.concatenate([test for _, test in splits]))
    np.testing.assert_array_equal(np.isnan(clf.scores_), ~tested)
    np.testing.assert_array_equal(clf.relabeled_y_[~tested], y[~tested])


@pytest.mark.parametrize(
    "params", [{"cv": KFold(4)}, {"cv": 3, "alpha": 0.7}, pytest.param({}, marks=pytest.mark.slow)]
)
def test_the_number_of_jobs_changes_nothing(params):
    X, y, trusted, _, _ = rows(120)
    fits = [
        RDIAClassifier(LogisticRegression(), n_jobs=n_jobs, random_state=0, **params).fit(
            X, y, **({} if "cv" in params else {"trusted": trusted})
        )
        for n_jobs in (1, 2)
    ]
    np.testing.assert_array_equal(fits[0].targets_, fits[1].targets_)
    np.testing.assert_array_equal(fits[0].scores_, fits[1].scores_)
    np.testing.assert_array_equal(fits[0].estimator_.coef_, fits[1].estimator_.coef_)


# resamplers


def resampling(last, *before):
    return make_resampling_pipeline(*before, RandomOverSampler(random_state=0), last)


@pytest.mark.parametrize("params", [{"alpha": 0.7}, {}, {"influence_estimator": LogisticRegression()}, {"cv": 3}])
@pytest.mark.parametrize(
    "base",
    [
        resampling(LogisticRegression()),
        resampling(LogisticRegression(), StandardScaler()),
        ResamplingPipeline([("under", RandomUnderSampler(random_state=0)), ("knn", KNeighborsClassifier())]),
    ],
)
def test_resamplers_work_without_weights(params, base):
    X, y, trusted, right, _ = rows(180)
    is_knn = "knn" in dict(base.steps)
    if is_knn and "influence_estimator" not in params:
        params = params | {"influence_estimator": LogisticRegression()}
    clf = RDIAClassifier(base, random_state=0, **params).fit(X, y, **({} if "cv" in params else {"trusted": trusted}))
    assert [name for name, _ in clf.estimator_.steps] == [name for name, _ in base.steps]
    assert isinstance(clf.estimator_, ResamplingPipeline)
    assert clf.score(X, right) > 0.8


def test_resamplers_are_refused_by_name_where_they_cannot_work():
    X, y, trusted, _, _ = rows()
    base = resampling(LogisticRegression())
    with pytest.raises(ValueError, match=r"base_estimator has the step RandomOverSampler.*no sample_weight fits"):
        RDIAClassifier(base, alpha=0.7).fit(X, y, np.full(len(y), 2.0), trusted=trusted)
    with pytest.raises(TypeError, match="has the step RandomOverSampler"):
        RDIAClassifier(LogisticRegression(), influence_estimator=base, alpha=0.7).fit(X, y, trusted=trusted)
    with pytest.raises(TypeError, match="has the step RandomOverSampler"):
        influence(base.fit(X, y), X, y, X[:9], y[:9])


# second fits


def public(clf):
    return {name for name in vars(clf) if name.endswith("_")}


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ({"compute_std": True, "alpha": 0.5}, {"compute_std": False, "alpha": 0.5}),
        ({"alpha": "auto"}, {"alpha": 0.5}),
        ({"alpha": 0.5}, {"cv": 3, "alpha": "auto"}),
    ],
)
def test_a_second_fit_leaves_nothing_of_the_first(first, second):
    X, y, trusted, _, _ = rows(120)
    clf = RDIAClassifier(LogisticRegression(), random_state=0, **first)
    clf.fit(pd.DataFrame(X, columns=list("abc")), y, trusted=trusted)
    clf.set_params(**second).fit(X[:90], y[:90], **({} if "cv" in second else {"trusted": trusted[:90]}))
    fresh = RDIAClassifier(LogisticRegression(), random_state=0, **(first | second))
    fresh.fit(X[:90], y[:90], **({} if "cv" in second else {"trusted": trusted[:90]}))
    assert public(clf) == public(fresh)
    for name in ("targets_", "scores_", "influences_", "relabeled_y_"):
        np.testing.assert_array_equal(getattr(clf, name), getattr(fresh, name))


def test_a_detector_leaves_nothing_of_its_first_fit():
    X, y, _, _, _ = rows(120)
    detector = InfluenceLabelDetector().fit(X, y).fit(X[:90])
    assert vars(detector).keys() == vars(InfluenceLabelDetector().fit(X[:90])).keys()


def test_a_fit_that_fails_leaves_no_attribute():
    X, y, trusted, _, _ = rows(60)
    clf = RDIAClassifier(alpha=0.7, signal=lambda evidence: np.zeros(3))
    with pytest.raises(ValueError, match="signal returned"):
        clf.fit(X, y, trusted=trusted)
    assert not public(clf)


# further members


@pytest.mark.parametrize("strategy", ["relabel", "drop", "relabel-soft"])
@pytest.mark.parametrize("cv", [2, 3])
def test_standard_errors_are_nan_where_there_are_no_influences(cv, strategy):
    X, y, _, _, _ = rows(90)
    clf = RDIAClassifier(cv=cv, alpha=0.7, compute_std=True, strategy=strategy).fit(X, y)
    assert np.isnan(clf.influence_std_).all()
    clf.set_params(signal="influence").fit(X, y)
    assert np.isfinite(clf.influence_std_).all()


def test_leave_one_out_beside_rows_that_are_left_out():
    X, y, trusted, _, _ = rows(90)
    weight = np.where(np.arange(90) < 5, 0.0, 1.0)
    val = {"X_val": X[trusted], "y_val": y[trusted]}
    clf = RDIAClassifier(alpha=0.1, signal="leave-one-out").fit(X[~trusted], y[~trusted], weight[~trusted], **val)
    assert clf.harmful_mask_.any()
    clf.set_params(alpha=0.0, strategy="drop", max_iter=2).fit(X[~trusted], y[~trusted], **val)
    assert not clf.targets_[clf.harmful_mask_].any()


def test_a_frozen_estimator_of_other_classes():
    X, y, trusted, _, _ = rows(90)
    frozen = FrozenEstimator(LogisticRegression().fit(X, y + 10 * (np.arange(90) % 2)))
    for params, data in (({"cv": 2}, {}), ({"alpha": 0.7}, {"trusted": trusted}), ({}, {"trusted": trusted})):
        with pytest.raises(ValueError, match="a frozen estimator must have been fitted on the same labels"):
            RDIAClassifier(frozen, **params).fit(X, y, **data)


@pytest.mark.parametrize("weight", [2.0, np.float64(0.5), 3])
def test_one_weight_for_all_rows(weight):
    X, y, trusted, _, _ = rows(90)
    one = RDIAClassifier(alpha=0.7).fit(X, y, weight, trusted=trusted)
    all_rows = RDIAClassifier(alpha=0.7).fit(X, y, np.full(90, float(weight)), trusted=trusted)
    np.testing.assert_array_equal(one.targets_, all_rows.targets_)


@pytest.mark.parametrize(
    ("y", "message"),
    [
        ([None, *[0, 1] * 30, 1], r"y has 1 missing labels \(None\), first in row 0"),
        (["a", None, *["a", "b"] * 30], r"y has 1 missing labels \(None\), first in row 1"),
        (["a", 1, *["a", "b"] * 30], "y mixes kinds of labels, such as 'a' and 1"),
        (pd.Series([*[0, 1] * 30, None, 1], dtype="Int64"), "y contains NaN"),
        (pd.Categorical([*"ab" * 30, None, "a"]), r"y has 1 missing labels \(nan\), first in row 60"),
    ],
)
def test_missing_and_mixed_labels_are_named(y, message):
    X = np.random.default_rng(0).normal(size=(62, 2))
    with pytest.raises(ValueError, match=message):
        RDIAClassifier(alpha=0.7).fit(X, y, trusted=np.arange(62) < 20)


@pytest.mark.parametrize("dtype", ["Int64", "int8", "boolean", "category", "str", "object", "bool", "float32"])
def test_labels_of_any_type_keep_it(dtype):
    X, y, trusted, _, _ = rows(90)
    series = pd.Series(y).astype(dtype if dtype not in ("boolean", "bool") else "bool").astype(dtype)
    clf = RDIAClassifier(alpha=0.7).fit(X, series, trusted=trusted)
    assert set(clf.relabeled_y_.tolist()) == set(series.tolist())
    assert set(clf.predict(X).tolist()) <= set(series.tolist())


@pytest.mark.parametrize("missing", [pd.NA, None, np.nan])
def test_missing_marks_of_verified_rows_are_named(missing):
    X, y, trusted, _, _ = rows(90)
    mask = trusted.astype(object)
    mask[7] = missing
    with pytest.raises(ValueError, match="trusted has 1 missing values, first in row 7"):
        RDIAClassifier(alpha=0.7).fit(X, y, trusted=mask)
    fine = RDIAClassifier(alpha=0.7).fit(X, y, trusted=pd.Series(trusted, dtype="boolean"))
    np.testing.assert_array_equal(fine.validation_mask_, trusted)
    with config_context(enable_metadata_routing=True):
        assert RDIAClassifier(alpha=0.7).fit(X, y, trusted=trusted.tolist()).harmful_mask_.any()
