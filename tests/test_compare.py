"""compare_strategies: every number against the steps written out, its errors, and what it accepts."""

import subprocess
import sys
from types import ModuleType

import numpy as np
import pandas as pd
import polars as pl
import pytest
from scipy import sparse
from scipy.optimize import minimize
from scipy.special import log_softmax
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.linear_model import LogisticRegression, RidgeClassifier
from sklearn.metrics import accuracy_score, log_loss
from sklearn.model_selection import GridSearchCV, KFold, RepeatedStratifiedKFold, StratifiedKFold
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skrdia import Comparison, RDIAClassifier, compare_strategies
from skrdia._compare import corrected_standard_error
from skrdia._treatments import METHODS, fit_scale_and_bias

from .conftest import make_table

CHEAP = ["everything", "trusted rows only"]
WITHOUT_CLEANLAB = [name for name in METHODS if name != "cleanlab, pruned"]


def stacked(table, labels=None):
    """The rows of a table with its validation rows as trusted ones: X, y, trusted."""
    y = np.r_[table.y, table.y_val]
    trusted = np.arange(len(y)) >= len(table.y)
    return np.vstack([table.X, table.X_val]), y if labels is None else np.array(labels)[y], trusted


@pytest.fixture(scope="module")
def wine():
    return stacked(make_table("wine", rate=0.2), ["red", "rose", "white"])


@pytest.fixture(scope="module")
def cancer():
    """Small, with 30 % of the labels flipped."""
    X, y, trusted = stacked(make_table("breast_cancer", rate=0.3))
    kept = np.arange(len(y)) % 3 != 0
    return X[kept], y[kept], trusted[kept]


def first_split(y, trusted, cv):
    """The rows that train and those that judge, and the seed of the methods, with random_state=0."""
    rng, rows = np.random.RandomState(0), np.flatnonzero(trusted)
    splitter = RepeatedStratifiedKFold(n_splits=cv, n_repeats=1, random_state=rng.randint(2**31 - 1))
    _, judge = next(splitter.split(rows, y[rows]))
    train = np.ones(len(y), dtype=bool)
    train[rows[judge]] = False
    return np.flatnonzero(train), rows[judge], rng.randint(2**31 - 1, size=cv)[0]


def dealt_out(y, n_folds=5):
    """Folds: the rows of each class in turn, that of class k beginning with fold k."""
    fold = np.empty(len(y), dtype=int)
    for k, label in enumerate(np.unique(y)):
        fold[y == label] = (np.arange((y == label).sum()) + k) % n_folds
    return fold


def out_of_fold(X, y, rows):
    """Probabilities of some rows by fits on all others but a fifth of these."""
    fold, proba = dealt_out(y[rows]), np.empty((rows.sum(), len(np.unique(y))))
    for i in range(5):
        held_out = np.flatnonzero(rows)[fold == i]
        fitted = LogisticRegression(C=0.3).fit(np.delete(X, held_out, axis=0), np.delete(y, held_out))
        proba[fold == i] = fitted.predict_proba(X[held_out])
    return proba


@pytest.fixture
def cleanlab(monkeypatch):
    """Stands in for the package, installed or not: every row whose label has a probability below 0.3 is an issue."""
    fake = ModuleType("cleanlab")
    fake.filter = ModuleType("cleanlab.filter")
    fake.filter.find_label_issues = lambda labels, pred_probs, n_jobs: pred_probs[np.arange(len(labels)), labels] < 0.3
    monkeypatch.setitem(sys.modules, "cleanlab", fake)
    monkeypatch.setitem(sys.modules, "cleanlab.filter", fake.filter)


def test_every_method_is_what_it_says(wine, cleanlab):
    X, y, trusted = wine
    result = compare_strategies(LogisticRegression(C=0.3), X, y, trusted=trusted, cv=2, n_repeats=1, random_state=0)
    train, judge, seed = first_split(y, trusted, 2)
    X_judge, y_judge = X[judge], y[judge]
    X, y, trusted = X[train], y[train], trusted[train]
    classes = np.unique(y)

    everything = LogisticRegression(C=0.3).fit(X, y)
    scale, bias = fit_scale_and_bias(
        np.log(out_of_fold(X, y, trusted)), np.eye(3)[np.searchsorted(classes, y[trusted])]
    )
    recalibrated = np.exp(log_softmax(scale * everything.predict_log_proba(X_judge) + bias, axis=1))
    issue = out_of_fold(X, y, ~trusted)[classes == y[~trusted][:, None]] < 0.3
    assert 0 < issue.sum() < 50
    kept = np.ones(len(y), dtype=bool)
    kept[np.flatnonzero(~trusted)[issue]] = False

    def rdia(**params):
        clf = RDIAClassifier(LogisticRegression(C=0.3), random_state=seed, **params)
        return clf.fit(X, y, trusted=trusted).predict_proba(X_judge)

    def alone(rows):
        return LogisticRegression(C=0.3).fit(X[rows], y[rows]).predict_proba(X_judge)

    expected = {
        "everything": everything.predict_proba(X_judge),
        "everything, recalibrated": recalibrated,
        "untrusted rows only": alone(~trusted),
        "trusted rows only": alone(trusted),
        "drop": rdia(alpha=0.7, strategy="drop"),
        "paper": rdia(alpha=0.7, strategy="relabel-soft"),
        "best label": rdia(alpha=0.7, strategy="relabel"),
        "auto": rdia(alpha="auto"),
        "cleanlab, pruned": alone(kept),
    }
    assert result.names == list(expected)
    for i, proba in enumerate(expected.values()):
        assert result.losses[i, 0] == pytest.approx(log_loss(y_judge, proba, labels=classes), rel=1e-9)
        assert result.accuracies[i, 0] == pytest.approx(accuracy_score(y_judge, classes[proba.argmax(axis=1)]))
    assert len(np.unique(result.losses[:, 0])) == len(expected)
    assert (result.times > 0.0).all()
    assert result.n_train.tolist() == result.n_judge.tolist() == [22, 22]
    assert result.n_untrusted == 90


@pytest.mark.slow
def test_repair_beats_everything_on_flipped_labels(cancer):
    X, y, trusted = cancer
    result = compare_strategies(
        LogisticRegression(), X, y, trusted=trusted, strategies=["auto"], cv=3, n_repeats=1, random_state=0
    )
    assert result.names == ["everything", "auto"]
    assert result.difference[1] < -3 * result.standard_error[1]
    assert result.best == ["auto"]


class TestRecalibration:
    @pytest.fixture
    def scores(self):
        """Log-probabilities for three classes, and weighted labels drawn from a rescaled and shifted version."""
        rng = np.random.default_rng(0)
        log_proba = log_softmax(rng.normal(size=(400, 3)), axis=1)
        logits = 2.5 * log_proba + [1.0, 0.0, -1.0]
        codes = (logits + rng.gumbel(size=logits.shape)).argmax(axis=1)
        return log_proba, np.eye(3)[codes] * rng.integers(1, 4, size=(400, 1))

    def test_recovers_what_generated_the_labels(self, scores):
        scale, bias = fit_scale_and_bias(*scores)
        assert scale == pytest.approx(2.5, abs=0.3)
        assert bias - bias.mean() == pytest.approx([1.0, 0.0, -1.0], abs=0.3)

    def test_against_a_search_without_gradients(self, scores):
        log_proba, targets = scores

        def objective(params):
            log_q = log_softmax(params[0] * log_proba + params[1:], axis=1)
            return -(targets * log_q).sum() + 0.05 * ((params[0] - 1.0) ** 2 + (params[1:] ** 2).sum())

        options = {"xatol": 1e-9, "fatol": 1e-12, "maxiter": 4000, "maxfev": 4000}
        expected = minimize(objective, [1.0, 0.0, 0.0, 0.0], method="Nelder-Mead", options=options).x
        np.testing.assert_allclose(np.hstack(fit_scale_and_bias(log_proba, targets)), expected, atol=1e-4)

    def test_is_platt_scaling_for_two_classes(self, scores):
        log_proba, targets = log_softmax(scores[0][:, :2], axis=1), scores[1][:, :2] + [[0.3, 0.3]]
        log_odds = log_proba[:, [1]] - log_proba[:, [0]]
        platt = LogisticRegression(C=np.inf, tol=1e-10, max_iter=1000)
        platt.fit(np.repeat(log_odds, 2, axis=0), np.tile([0, 1], len(log_odds)), targets.ravel())
        scale, bias = fit_scale_and_bias(log_proba, targets, penalty=0.0)
        assert scale == pytest.approx(platt.coef_[0, 0], rel=1e-4)
        assert bias[1] - bias[0] == pytest.approx(platt.intercept_[0], rel=1e-4)

    def test_stays_finite_and_never_turns_the_ranking_around(self):
        log_proba = np.log([[0.9, 0.1], [0.2, 0.8]])
        right, wrong = np.eye(2), np.eye(2)[::-1]
        assert 1.0 < fit_scale_and_bias(log_proba, right)[0] < 10.0
        assert fit_scale_and_bias(log_proba, wrong)[0] == 0.0


class TestStandardError:
    def test_by_hand(self):
        losses = np.array([[0.5, 0.7, 0.6, 0.4], [0.3, 0.6, 0.2, 0.3], [0.29, 0.61, 0.22, 0.30]])
        n_train, n_judge = np.array([30, 30, 31, 31]), np.array([11, 11, 10, 10])
        result = Comparison(["everything", "a", "b"], losses, losses, losses, n_train, n_judge, 100)
        d = losses[1] - losses[0]
        variance = ((d - d.mean()) ** 2).sum() / 3
        ratio = (11 / 30 + 11 / 30 + 10 / 31 + 10 / 31) / 4
        assert result.difference[1] == pytest.approx(d.mean())
        assert result.standard_error[1] == pytest.approx(np.sqrt((1 / 4 + ratio) * variance))
        assert result.difference[0] == result.standard_error[0] == 0.0
        assert result.log_loss == pytest.approx([0.55, 0.35, 0.355])
        assert result.best == ["a", "b"]
        assert result.is_best.tolist() == [False, True, True]

    def test_of_fixed_predictions_is_that_of_a_mean(self):
        """With many repeats: half of the variance of a mean is that of which rows there are, not of how they split."""
        values = np.random.default_rng(0).exponential(size=100)
        folds = [KFold(5, shuffle=True, random_state=i) for i in range(300)]
        means = np.array([values[test].mean() for fold in folds for _, test in fold.split(values)])
        expected = values.std(ddof=1) / np.sqrt(len(values))
        assert corrected_standard_error(means, 20 / 80) == pytest.approx(expected, rel=0.03)


@pytest.fixture(scope="module")
def comparison(cancer):
    X, y, trusted = cancer
    return compare_strategies(
        LogisticRegression(), X, y, trusted=trusted, strategies=[*CHEAP, "drop"], cv=3, random_state=0
    )


@pytest.mark.parametrize("backend", ["pandas", "polars"])
def test_frame(comparison, backend):
    frame = comparison.to_frame(backend)
    assert type(frame).__module__.startswith(backend)
    columns = ["method", "log_loss", "difference", "standard_error", "accuracy", "seconds", "is_best"]
    assert list(frame.columns) == columns
    assert list(frame["method"]) == comparison.names == [*CHEAP, "drop"]
    for column in columns[1:]:
        np.testing.assert_array_equal(frame[column].to_numpy(), getattr(comparison, column))
    splits = comparison.to_frame(backend, by_split=True)
    assert list(splits.columns) == ["method", "split", "log_loss", "accuracy", "seconds"]
    assert list(splits["method"])[5:7] == ["everything", "trusted rows only"]
    assert list(splits["split"]) == [0, 1, 2, 3, 4, 5] * 3
    np.testing.assert_array_equal(splits["log_loss"].to_numpy(), comparison.losses.ravel())
    np.testing.assert_array_equal(splits["accuracy"].to_numpy(), comparison.accuracies.ravel())


def test_prints_a_table(comparison):
    lines = str(comparison).splitlines()
    assert lines[0].split() == ["log", "loss", "vs", "everything", "std.", "error", "accuracy", "seconds"]
    assert len({len(line) for line in lines[:4]}) == 1
    for i, line in enumerate(lines[1:4]):
        assert line.startswith(comparison.names[i])
        assert f"{comparison.log_loss[i]:.4f} *" in line or not comparison.is_best[i]
    assert lines[1].count("-") == 2
    assert f"{comparison.difference[2]:+.4f}  {comparison.standard_error[2]:10.4f}" in lines[3]
    assert lines[5] == "* lowest log loss, or within one standard error of it"
    assert lines[6] == "6 splits of 100 trusted rows: about 33 judge, the other 67 train, with 200 more rows"
    assert repr(comparison) == str(comparison)


def same(one, other, **tolerance):
    assert one.names == other.names
    np.testing.assert_allclose(one.losses, other.losses, **({"rtol": 0.0} | tolerance))
    np.testing.assert_allclose(one.accuracies, other.accuracies)


def test_random_state_and_processes_do_not_matter(cancer):
    X, y, trusted = cancer
    params = {"trusted": trusted, "strategies": [*CHEAP, "best label"], "cv": 2, "n_repeats": 2}
    first = compare_strategies(LogisticRegression(), X, y, random_state=0, **params)
    same(first, compare_strategies(LogisticRegression(), X, y, random_state=0, n_jobs=2, **params))
    other = compare_strategies(LogisticRegression(), X, y, random_state=1, **params)
    assert (other.losses != first.losses).all()


def test_takes_frames_sparse_rows_and_separate_validation_rows(wine):
    X, y, trusted = wine
    params = {"strategies": [*CHEAP, "everything, recalibrated", "drop"], "cv": 2, "n_repeats": 1, "random_state": 0}
    expected = compare_strategies(LogisticRegression(), X, y, trusted=trusted, **params)
    names = [f"x{i}" for i in range(X.shape[1])]
    pandas = pd.DataFrame(X, columns=names, index=np.arange(len(y))[::-1])
    polars = pl.DataFrame(X, schema=names)
    for rows in (pandas, polars, sparse.coo_array(X), X.tolist()):
        labels = pd.Series(y) if rows is pandas else y
        same(expected, compare_strategies(LogisticRegression(), rows, labels, trusted=trusted, **params), rtol=1e-6)
    for rows in (X, pandas, polars, sparse.csr_array(X)):
        train, val = (rows[:90], rows[90:])
        apart = compare_strategies(LogisticRegression(), train, y[:90], X_val=val, y_val=y[90:], **params)
        same(expected, apart, rtol=1e-6)


def test_weights_train_and_judge(wine):
    X, y, trusted = wine
    weight = np.random.default_rng(0).integers(0, 3, len(y)).astype(float)
    params = {"strategies": CHEAP, "cv": 2, "n_repeats": 1, "random_state": 0}
    result = compare_strategies(LogisticRegression(), X, y, trusted=trusted, sample_weight=weight, **params)
    used = weight > 0.0
    X, y, trusted, weight = X[used], y[used], trusted[used], weight[used]
    train, judge, _ = first_split(y, trusted, 2)
    fitted = LogisticRegression().fit(X[train], y[train], weight[train])
    proba, right = fitted.predict_proba(X[judge]), fitted.predict(X[judge]) == y[judge]
    assert result.losses[0, 0] == pytest.approx(log_loss(y[judge], proba, sample_weight=weight[judge]))
    assert result.accuracies[0, 0] == pytest.approx(np.average(right, weights=weight[judge]))


class WithoutTheLastClass(ClassifierMixin, BaseEstimator):
    """Never learns that it exists."""

    def fit(self, X, y):
        kept = y != np.unique(y)[-1]
        self.fitted_ = LogisticRegression().fit(X[kept], y[kept])
        self.classes_ = self.fitted_.classes_
        return self

    def predict_proba(self, X):
        return self.fitted_.predict_proba(X)


def test_classifiers_of_the_caller(wine, routing):
    X, y, trusted = wine
    repair = RDIAClassifier(LogisticRegression(), alpha=0.7, strategy="relabel")
    requesting = clone(repair).set_fit_request(trusted=True)
    search = GridSearchCV(requesting, {"alpha": [0.7]}, cv=StratifiedKFold(2, shuffle=True, random_state=0))
    added = {
        "repair": repair,
        "search": search,
        "neighbours": KNeighborsClassifier(),
        "blind": WithoutTheLastClass(),
        "drop": RDIAClassifier(LogisticRegression(), alpha=0.1, strategy="drop"),
        **dict.fromkeys(["everything, recalibrated", "auto", "cleanlab, pruned", "untrusted rows only"]),
    }
    params = {"trusted": trusted, "cv": 2, "n_repeats": 1, "random_state": 0}
    result = compare_strategies(LogisticRegression(), X, y, strategies=added, **params)
    loss = dict(zip(result.names, result.losses[:, 0], strict=True))
    kept = ["everything", "trusted rows only", "drop", "paper", "best label"]
    assert result.names == [*kept, "repair", "search", "neighbours", "blind"]
    assert loss["repair"] == loss["search"] == loss["best label"]
    train, judge, _ = first_split(y, trusted, 2)
    assert loss["neighbours"] == pytest.approx(
        log_loss(y[judge], KNeighborsClassifier().fit(X[train], y[train]).predict_proba(X[judge]))
    )
    assert loss["blind"] > 36.0 * (y[judge] == "white").mean()
    default = compare_strategies(LogisticRegression(), X, y, strategies=["drop"], **params)
    assert loss["drop"] != default.losses[1, 0]


@pytest.mark.parametrize("is_routed", [False, True])
def test_pipelines_of_the_caller_are_given_the_trusted_rows(wine, is_routed, request):
    X, y, trusted = wine
    weight = np.random.default_rng(0).integers(1, 3, len(y)).astype(float)
    clf = RDIAClassifier(LogisticRegression(), alpha=0.7)
    if is_routed:
        request.getfixturevalue("routing")
        clf.set_fit_request(trusted=True, sample_weight=True)
        scaler = StandardScaler().set_fit_request(sample_weight=False)
    else:
        scaler = StandardScaler()
    added = {"pipeline": make_pipeline(scaler, clf), **dict.fromkeys([*WITHOUT_CLEANLAB[1:], "cleanlab, pruned"])}
    params = {"trusted": trusted, "sample_weight": weight, "cv": 2, "n_repeats": 1, "random_state": 0}
    result = compare_strategies(LogisticRegression(), X, y, strategies=added, **params)
    train, judge, _ = first_split(y, trusted, 2)
    scaled = StandardScaler().fit(X[train])
    by_hand = RDIAClassifier(LogisticRegression(), alpha=0.7).fit(
        scaled.transform(X[train]), y[train], weight[train], trusted=trusted[train]
    )
    proba = by_hand.predict_proba(scaled.transform(X[judge]))
    assert result.losses[1, 0] == pytest.approx(log_loss(y[judge], proba, sample_weight=weight[judge]))


def test_another_model_can_find_the_wrong_labels(wine):
    X, y, trusted = wine
    params = {"trusted": trusted, "cv": 2, "n_repeats": 1, "random_state": 0, "strategies": ["drop"]}
    base, finder = KNeighborsClassifier(), LogisticRegression(C=0.1)
    with pytest.raises(TypeError, match=r"KNeighborsClassifier.* is not supported"):
        compare_strategies(base, X, y, **params)
    result = compare_strategies(base, X, y, influence_estimator=finder, **params)
    train, judge, _ = first_split(y, trusted, 2)
    clf = RDIAClassifier(base, alpha=0.7, strategy="drop", influence_estimator=finder)
    clf.fit(X[train], y[train], trusted=trusted[train])
    assert clf.harmful_mask_.any()
    assert result.losses[1, 0] == pytest.approx(log_loss(y[judge], clf.predict_proba(X[judge])))
    assert compare_strategies(base, X, y, **params | {"strategies": CHEAP}).names == CHEAP


def test_verbose_prints_a_line_per_split(wine, capsys):
    X, y, trusted = wine
    compare_strategies(LogisticRegression(), X, y, trusted=trusted, strategies=CHEAP, cv=2, n_repeats=1, verbose=1)
    lines = capsys.readouterr().out.splitlines()
    assert [line[:45] for line in lines] == [f"[RDIA] compare_strategies: split {i} of 2, log " for i in (1, 2)]


def test_cleanlab_itself(cancer):
    cleanlab_filter = pytest.importorskip("cleanlab.filter")
    X, y, trusted = cancer
    params = {"strategies": ["cleanlab, pruned"], "cv": 2, "n_repeats": 1, "random_state": 0}
    result = compare_strategies(LogisticRegression(C=0.3), X, y, trusted=trusted, **params)
    train, judge, _ = first_split(y, trusted, 2)
    X_train, y_train, untrusted = X[train], y[train], np.flatnonzero(~trusted[train])
    proba = out_of_fold(X_train, y_train, ~trusted[train])
    kept = np.delete(
        np.arange(len(train)), untrusted[cleanlab_filter.find_label_issues(y_train[untrusted], proba, n_jobs=1)]
    )
    assert 100 < len(kept) < len(train)
    fitted = LogisticRegression(C=0.3).fit(X_train[kept], y_train[kept])
    assert result.losses[1, 0] == pytest.approx(log_loss(y[judge], fitted.predict_proba(X[judge])))


class TestWithoutCleanlab:
    @pytest.fixture(autouse=True)
    def no_cleanlab(self, monkeypatch):
        monkeypatch.setitem(sys.modules, "cleanlab", None)

    def test_says_so_in_a_note(self, wine):
        X, y, trusted = wine
        left_out = dict.fromkeys(["auto", "paper"])
        result = compare_strategies(
            LogisticRegression(), X, y, trusted=trusted, strategies=left_out, cv=2, n_repeats=1, random_state=0
        )
        assert result.names == [name for name in WITHOUT_CLEANLAB if name not in left_out]
        assert str(result).endswith("\n'cleanlab, pruned' is left out: it needs cleanlab (pip install cleanlab)")

    def test_is_an_error_where_it_was_named(self, wine):
        X, y, trusted = wine
        with pytest.raises(ImportError, match="pip install cleanlab"):
            compare_strategies(LogisticRegression(), X, y, trusted=trusted, strategies=["cleanlab, pruned"])


def test_importing_the_package_does_not_load_cleanlab():
    code = "import sys, skrdia; print('cleanlab' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "False"


def test_errors(wine):
    X, y, trusted = wine

    def fails(error, message, estimator=None, y=y, **params):
        params = {"trusted": trusted, "strategies": CHEAP} | params
        with pytest.raises(error, match=message):
            compare_strategies(estimator or LogisticRegression(), X, y, **params)

    fails(ValueError, "needs rows whose labels are verified.*Pass trusted", trusted=None)
    fails(ValueError, "needs rows whose labels are verified.*Pass trusted", trusted=np.zeros(len(y), dtype=bool))
    fails(ValueError, "trusted is True for every row", trusted=np.ones(len(y), dtype=bool))
    fails(ValueError, "trusted has dtype int64", trusted=trusted.astype(np.int64))
    fails(ValueError, "given twice, by X_val, y_val and trusted", X_val=X, y_val=y)
    fails(ValueError, "y_val was given without X_val", trusted=None, y_val=y)
    fails(ValueError, r"X_val has shape \(134, 3\)", trusted=None, X_val=X[:, :3], y_val=y)
    fails(ValueError, "y_val has labels such as 1", trusted=None, X_val=X[:3], y_val=[1, 2, 3])
    fails(ValueError, "cv=5, but there are only 3 rows", trusted=np.arange(len(y)) < 3)
    fails(ValueError, "rows to train on that are not verified", sample_weight=trusted.astype(float))
    fails(ValueError, "cv=1: expected an integer of at least 2", cv=1)
    fails(ValueError, "cv=KFold.*: expected an integer", cv=KFold(3))
    fails(ValueError, "n_repeats=0: expected an integer of at least 1", n_repeats=0)
    fails(ValueError, r"unknown names: \['relabel'\]. Known are \['everything', ", strategies=["drop", "relabel"])
    fails(ValueError, r"unknown names: \['relabel'\]", strategies="relabel")
    fails(ValueError, r"unknown names: \['relabel'\]", strategies={"relabel": None})
    fails(ValueError, "strategies has 'everything', which", strategies={"everything": LogisticRegression()})
    fails(
        TypeError, r"strategies\['ridge'\]=RidgeClassifier.* no predict_proba", strategies={"ridge": RidgeClassifier()}
    )
    fails(TypeError, r"estimator=RidgeClassifier.* no predict_proba", estimator=RidgeClassifier())


def test_labels_of_ten_classes():
    table = make_table("digits", rate=0.3)
    X, y, trusted = stacked(table)
    result = compare_strategies(
        make_pipeline(StandardScaler(), LogisticRegression(C=0.01)),
        X,
        y,
        trusted=trusted,
        strategies=["everything, recalibrated", "drop"],
        cv=2,
        n_repeats=1,
        random_state=0,
    )
    assert (result.difference[1:] < 0.0).all()
