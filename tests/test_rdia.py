"""RDIAClassifier: what it stores, what it accepts, and how it fails."""

import pickle

import numpy as np
import pandas as pd
import polars as pl
import pytest
from scipy import sparse
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression, SGDClassifier
from sklearn.metrics import log_loss
from sklearn.model_selection import StratifiedKFold
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.validation import check_is_fitted

from skrdia import RDIAClassifier, influence
from skrdia._train import fit_targets

from .conftest import make_table


def assert_same(one, other, exact=True):
    np.testing.assert_array_equal(other.harmful_mask_, one.harmful_mask_)
    np.testing.assert_array_equal(other.targets_, one.targets_)
    tolerance = {"rtol": 0.0, "atol": 0.0} if exact else {"rtol": 1e-5, "atol": 1e-5}
    np.testing.assert_allclose(other.influences_, one.influences_, **tolerance)


def test_repair_helps_and_finds_flipped_labels(table):
    clf = RDIAClassifier(alpha=0.7, max_iter=10).fit(table.X, table.y, **table.val)
    X_all, flipped = np.vstack([table.X, table.X_val]), table.y != table.y_true

    def loss(model):
        return log_loss(table.y_test, model.predict_proba(table.X_test))

    everything = loss(LogisticRegression().fit(X_all, np.r_[table.y, table.y_val]))
    perfect = loss(LogisticRegression().fit(X_all, np.r_[table.y_true, table.y_val]))
    assert loss(clf) < perfect + 0.3 * (everything - perfect)
    assert (flipped & clf.harmful_mask_).sum() / clf.harmful_mask_.sum() > 0.8
    assert (clf.relabeled_y_[flipped] == table.y_true[flipped]).mean() > 0.7


def test_one_round_is_the_four_steps(table3):
    """Against the steps written out, on three classes with weights."""
    weight = np.random.default_rng(0).integers(0, 3, len(table3.y)).astype(float)
    clf = RDIAClassifier(LogisticRegression(C=0.5), alpha=0.3, hessian="direct")
    clf.fit(table3.X, table3.y, weight, **table3.val)
    base = LogisticRegression(C=0.5).fit(table3.X, table3.y, weight)
    found = influence(base, table3.X, table3.y, *table3.val.values(), sample_weight=weight, hessian="direct")
    harmful = found.values > 0.3
    y = table3.y.copy()
    others = np.where(np.eye(3)[y] == 1, np.inf, found.by_label)
    y[harmful] = others.argmin(axis=1)[harmful]
    X_all, y_all = np.vstack([table3.X, table3.X_val]), np.r_[y, table3.y_val]
    final = LogisticRegression(C=0.5).fit(X_all, y_all, np.r_[weight, np.ones(len(table3.y_val))])

    assert harmful.any()
    np.testing.assert_array_equal(clf.harmful_mask_, harmful)
    np.testing.assert_array_equal(clf.relabeled_y_, y)
    np.testing.assert_allclose(clf.label_influences_, found.by_label, rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(clf.targets_, np.eye(3)[y] * weight[:, None])
    np.testing.assert_allclose(clf.predict_proba(table3.X_test), final.predict_proba(table3.X_test), rtol=1e-4)
    gain = (weight * (found.values - found.by_label[np.arange(len(y)), y])).sum() / weight.sum()
    np.testing.assert_allclose(clf.predicted_gain_, gain, rtol=1e-6)


@pytest.mark.parametrize("source", ["X_val", "trusted", "hold-out"])
def test_attributes_are_aligned_with_the_callers_rows(table, source):
    n, n_val = len(table.y), len(table.y_val)
    X, y = np.vstack([table.X, table.X_val]), np.r_[table.y, table.y_val]
    trusted = np.arange(n + n_val) >= n
    clf = RDIAClassifier(alpha=0.1, validation_fraction=0.3 if source == "hold-out" else None, random_state=0)
    if source == "X_val":
        clf.fit(table.X, table.y, **table.val)
        y, trusted = table.y, np.zeros(n, dtype=bool)
    elif source == "trusted":
        clf.fit(X, y, trusted=trusted)
    else:
        with pytest.warns(UserWarning, match=r"(?s)no row is verified.*trusted.*cv=5"):
            clf.fit(X, y)
        trusted = clf.validation_mask_
        assert trusted.sum() == round(0.3 * len(y))
        np.testing.assert_allclose(np.bincount(y[trusted]) / trusted.sum(), np.bincount(y) / len(y), atol=0.01)
    np.testing.assert_array_equal(clf.validation_mask_, trusted)
    np.testing.assert_array_equal(np.isnan(clf.influences_), trusted)
    assert clf.harmful_mask_.shape == clf.relabeled_y_.shape == y.shape
    assert clf.targets_.shape == clf.label_influences_.shape == (len(y), 2)
    assert clf.harmful_mask_.dtype == bool
    assert clf.harmful_mask_.any()
    assert not clf.harmful_mask_[trusted].any()
    np.testing.assert_array_equal(clf.relabeled_y_ != y, clf.harmful_mask_)
    np.testing.assert_array_equal(clf.harmful_mask_, clf.influences_ > 0.1)


def test_trusted_rows_and_separate_ones_give_the_same_repair(table):
    X, y = np.vstack([table.X, table.X_val]), np.r_[table.y, table.y_val]
    trusted = np.arange(len(y)) >= len(table.y)
    order = np.random.default_rng(0).permutation(len(y))
    marked = RDIAClassifier(alpha=0.7, hessian="direct").fit(X[order], y[order], trusted=trusted[order])
    separate = RDIAClassifier(alpha=0.7, hessian="direct").fit(table.X, table.y, **table.val)
    back = np.argsort(order)[: len(table.y)]
    np.testing.assert_array_equal(marked.relabeled_y_[back], separate.relabeled_y_)
    np.testing.assert_allclose(
        marked.predict_proba(table.X_test), separate.predict_proba(table.X_test), rtol=1e-2, atol=1e-3
    )


@pytest.mark.parametrize(
    "labels",
    [np.array([5, -3]), np.array(["no", "a longer yes"]), np.array([False, True]), np.array(["u", "v"], dtype=object)],
)
def test_labels_keep_their_dtype(table, labels):
    clf = RDIAClassifier(alpha=0.1).fit(table.X, labels[table.y], X_val=table.X_val, y_val=labels[table.y_val])
    assert clf.relabeled_y_.dtype == labels.dtype
    assert clf.classes_.dtype == labels.dtype
    assert set(clf.predict(table.X_test)) <= set(labels)
    reference = RDIAClassifier(alpha=0.1).fit(table.X, table.y, **table.val)
    np.testing.assert_array_equal(clf.relabeled_y_, labels[reference.relabeled_y_])


@pytest.mark.parametrize("refit_on", ["all", "train"])
def test_refit_on(table, refit_on):
    X, y = np.vstack([table.X, table.X_val]), np.r_[table.y, table.y_val]
    trusted = np.arange(len(y)) >= len(table.y)
    clf = RDIAClassifier(alpha=0.7, refit_on=refit_on).fit(X, y, trusted=trusted)
    assert (clf.targets_[trusted].sum() > 0) == (refit_on == "all")
    rows = slice(None) if refit_on == "all" else ~trusted
    expected = LogisticRegression().fit(X[rows], clf.relabeled_y_[rows])
    np.testing.assert_array_equal(clf.estimator_.coef_, expected.coef_)
    # what the repair really brought is known only where the validation rows had no part in the last fit
    assert np.isnan(clf.history_[-1]["realised_gain"]) == (refit_on == "all")


def test_drop_leaves_rows_out(table):
    clf = RDIAClassifier(alpha=0.7, strategy="drop", refit_on="train").fit(table.X, table.y, **table.val)
    kept = ~clf.harmful_mask_
    np.testing.assert_array_equal(clf.relabeled_y_, table.y)
    np.testing.assert_array_equal(clf.targets_.sum(axis=1), kept)
    expected = LogisticRegression().fit(table.X[kept], table.y[kept])
    np.testing.assert_array_equal(clf.estimator_.coef_, expected.coef_)


def test_none_marks_and_changes_nothing(table):
    clf = RDIAClassifier(strategy="none", alpha=0.1).fit(table.X, table.y, **table.val)
    assert clf.harmful_mask_.any()
    np.testing.assert_array_equal(clf.relabeled_y_, table.y)
    assert clf.predicted_gain_ == 0.0


def test_soft_targets_are_weights_of_repeated_rows(table3):
    clf = RDIAClassifier(strategy="relabel-soft", alpha=0.1, refit_on="train").fit(table3.X, table3.y, **table3.val)
    soft = clf.harmful_mask_
    assert soft.any()
    assert ((clf.targets_[soft] > 0).sum(axis=1) == 2).all()
    assert (clf.targets_[soft].sum(axis=1) < 1.0).all()
    assert (clf.relabeled_y_[soft] != table3.y[soft]).all()
    rows, labels = np.nonzero(clf.targets_)
    expected = LogisticRegression().fit(table3.X[rows], labels, sample_weight=clf.targets_[rows, labels])
    np.testing.assert_allclose(clf.estimator_.coef_, expected.coef_)


def test_callable_signal_strategy_and_hessian(table):
    from skrdia.solvers import direct

    calls = []

    def signal(evidence):
        log_proba = evidence.detection[1].log_proba
        return 1.0 - np.exp((evidence.targets * log_proba).sum(axis=1))  # confidence in another label

    def strategy(targets, influences, log_proba, harmful, rng):
        calls.append(rng.rand())
        return np.where(harmful[:, None], 0.5, targets)

    clf = RDIAClassifier(alpha=0.6, signal=signal, strategy=strategy, hessian=direct, random_state=0)
    clf.fit(table.X, table.y, **table.val)
    p = clf.base_estimator_.predict_proba(table.X)[np.arange(len(table.y)), table.y]
    np.testing.assert_array_equal(clf.harmful_mask_, p < 0.4)
    assert (clf.targets_[clf.harmful_mask_] == 0.5).all()
    assert len(calls) == 1


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"signal": lambda evidence: np.zeros(3)}, r"signal returned an array of shape \(3,\)"),
        (
            {"signal": lambda evidence: np.full(len(evidence.given), np.nan)},
            r"signal returned nan for every row \(300\)",
        ),
        ({"strategy": lambda t, i, p, h, rng: t[:5]}, r"strategy returned an array of shape \(5, 2\)"),
        ({"strategy": lambda t, i, p, h, rng: -t}, "strategy returned .* non-negative"),
    ],
)
def test_callables_are_checked(table, params, message):
    with pytest.raises(ValueError, match=message):
        RDIAClassifier(alpha=0.7, **params).fit(table.X, table.y, **table.val)


def test_rounds(table):
    one, many = (
        RDIAClassifier(alpha=0.3, max_iter=rounds, refit_on="train").fit(table.X, table.y, **table.val)
        for rounds in (1, 20)
    )
    assert one.n_iter_ == 1
    assert one.termination_condition_ == "max_iter"
    assert 1 < many.n_iter_ <= 20
    assert many.termination_condition_ in ("no row above alpha", "labels repeat")
    assert [entry["round"] for entry in many.history_] == list(range(1, many.n_iter_ + 1))
    np.testing.assert_array_equal(many.influences_, one.influences_)
    losses = [entry["validation_loss"] for entry in many.history_]
    np.testing.assert_allclose([entry["realised_gain"] for entry in many.history_[:-1]], -np.diff(losses))
    assert losses[-1] < losses[0]
    assert many.history_[-1]["termination_condition"] == many.termination_condition_
    predicted, realised = many.history_[0]["predicted_gain"], many.history_[0]["realised_gain"]
    assert 0.3 < realised / predicted < 3.0


def test_nothing_above_alpha_is_the_base_estimator(table):
    clf = RDIAClassifier(alpha=1e6, max_iter=5, refit_on="train").fit(table.X, table.y, **table.val)
    assert clf.termination_condition_ == "no row above alpha"
    assert clf.n_iter_ == 1
    np.testing.assert_array_equal(clf.estimator_.coef_, LogisticRegression().fit(table.X, table.y).coef_)


def test_a_round_that_would_empty_a_class_stops(table):
    def everything_to_zero(targets, influences, log_proba, harmful, rng):
        return np.eye(2)[np.zeros(len(targets), dtype=int)]

    with pytest.warns(UserWarning, match=r"no training row of class \[1\]; stopped before it"):
        clf = RDIAClassifier(alpha=0.7, strategy=everything_to_zero, max_iter=3).fit(table.X, table.y, **table.val)
    assert clf.termination_condition_ == clf.history_[-1]["termination_condition"] != ""
    assert "left empty: [1]" in clf.termination_condition_
    np.testing.assert_array_equal(clf.relabeled_y_, table.y)
    assert not clf.harmful_mask_.any()


def test_cross_validation_scores_every_row(table):
    folds = StratifiedKFold(3)
    params = {"alpha": 0.1, "signal": "influence", "cv": folds, "hessian": "direct"}
    clf = RDIAClassifier(**params).fit(table.X, table.y)
    expected, count = np.zeros(len(table.y)), np.zeros(len(table.y))
    for train, test in folds.split(table.X, table.y):
        X, y = table.X[train], table.y[train]
        model = LogisticRegression().fit(X, y)
        expected[train] += influence(model, X, y, table.X[test], table.y[test], hessian="direct").values
        count[train] += 1
    np.testing.assert_allclose(clf.influences_, expected / count, rtol=1e-8, atol=1e-12)
    assert not clf.validation_mask_.any()
    assert_same(clf, RDIAClassifier(**params, n_jobs=2).fit(table.X, table.y), exact=False)


@pytest.mark.parametrize(
    "container",
    [
        list,
        np.asfortranarray,
        sparse.csr_array,
        sparse.csc_array,
        sparse.coo_array,
        sparse.csr_matrix,
        sparse.coo_matrix,
        lambda X: pd.DataFrame(X, columns=[f"c{j}" for j in range(X.shape[1])]),
        lambda X: pl.DataFrame(X, schema=[f"c{j}" for j in range(X.shape[1])]),
    ],
    ids=["list", "fortran", "csr", "csc", "coo", "csr matrix", "coo matrix", "pandas", "polars"],
)
@pytest.mark.parametrize("source", ["X_val", "trusted", "both"])
def test_containers(table, container, source):
    if source == "both":
        trusted, X = np.arange(len(table.y)) % 3 == 0, (container(table.X), table.y)
        reference = RDIAClassifier(alpha=0.1).fit(table.X, table.y, trusted=trusted, **table.val)
        val = {"trusted": trusted, "X_val": container(table.X_val), "y_val": table.y_val}
    elif source == "X_val":
        data, X, val = (table.X, table.y), (container(table.X), table.y), {**table.val, "X_val": container(table.X_val)}
        reference = RDIAClassifier(alpha=0.1).fit(*data, **table.val)
    else:
        trusted = np.arange(len(table.y)) % 3 == 0
        X, val = (container(table.X), table.y), {"trusted": trusted}
        reference = RDIAClassifier(alpha=0.1).fit(table.X, table.y, trusted=trusted)
    clf = RDIAClassifier(alpha=0.1).fit(*X, **val)
    assert_same(reference, clf, exact=False)
    assert clf.predict(X[0]).shape == table.y.shape
    if hasattr(X[0], "columns"):
        assert clf.feature_names_in_.tolist() == [f"c{j}" for j in range(10)]


def test_float32(table):
    reference = RDIAClassifier(alpha=0.1).fit(table.X, table.y, **table.val)
    X, X_val = table.X.astype(np.float32), table.X_val.astype(np.float32)
    clf = RDIAClassifier(alpha=0.1).fit(X, table.y, X_val=X_val, y_val=table.y_val)
    np.testing.assert_allclose(clf.influences_, reference.influences_, rtol=1e-2, atol=1e-2)


def test_sparse_stays_sparse(monkeypatch):
    data = make_table("wine")
    wide = [sparse.csr_array(np.hstack([X, np.zeros((len(X), 60))])) for X in (data.X, data.X_val)]

    def refuse(self, *args, **kwargs):
        raise AssertionError("a sparse matrix was made dense")

    for method in ("toarray", "todense"):
        monkeypatch.setattr(sparse.csr_array, method, refuse)
    RDIAClassifier(max_iter=2).fit(wide[0], data.y, X_val=wide[1], y_val=data.y_val)


def test_zero_weights_are_like_removed_rows(table):
    weight = np.ones(len(table.y))
    weight[::4] = 0.0
    kept = weight > 0
    whole = RDIAClassifier(alpha=0.1).fit(table.X, table.y, weight, **table.val)
    rest = RDIAClassifier(alpha=0.1).fit(table.X[kept], table.y[kept], **table.val)
    np.testing.assert_array_equal(whole.harmful_mask_[kept], rest.harmful_mask_)
    np.testing.assert_allclose(whole.estimator_.coef_, rest.estimator_.coef_, rtol=1e-6)
    assert np.isfinite(whole.influences_).all()
    assert (whole.targets_[~kept] == 0).all()


def test_integer_weights_are_like_repeated_rows(table):
    weight = np.random.default_rng(0).integers(1, 4, len(table.y))
    base = LogisticRegression(tol=1e-8, max_iter=1000)
    weighted = RDIAClassifier(base, alpha=0.1).fit(table.X, table.y, weight, **table.val)
    rows = np.repeat(np.arange(len(table.y)), weight)
    repeated = RDIAClassifier(base, alpha=0.1).fit(table.X[rows], table.y[rows], **table.val)
    np.testing.assert_allclose(repeated.influences_, weighted.influences_[rows], rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(repeated.estimator_.coef_, weighted.estimator_.coef_, rtol=1e-4, atol=1e-6)


def test_row_order_does_not_matter(table):
    order = np.random.default_rng(0).permutation(len(table.y))
    one = RDIAClassifier(alpha=0.7, hessian="direct").fit(table.X, table.y, **table.val)
    other = RDIAClassifier(alpha=0.7, hessian="direct").fit(table.X[order], table.y[order], **table.val)
    np.testing.assert_allclose(other.influences_, one.influences_[order], rtol=1e-2, atol=1e-3)


@pytest.mark.filterwarnings("ignore:.*verified labels look wrong themselves")  # they are
def test_inputs_are_not_modified(table):
    arrays = {
        "X": table.X.copy(),
        "y": table.y.copy(),
        "sample_weight": np.ones(len(table.y)),
        "X_val": table.X_val.copy(),
        "y_val": table.y_val.copy(),
    }
    for array in arrays.values():
        array.flags.writeable = False
    RDIAClassifier(max_iter=3).fit(**arrays)
    X = sparse.csr_array(table.X)
    X.data.flags.writeable = X.indices.flags.writeable = False
    RDIAClassifier(max_iter=3).fit(X, arrays["y"], trusted=np.arange(len(table.y)) % 2 == 0)


def test_unconverged_base_warns_and_says_so(table):
    base = SGDClassifier("log_loss", max_iter=1, tol=None, random_state=0)
    with pytest.warns(ConvergenceWarning, match="far from its optimum"):
        clf = RDIAClassifier(base).fit(table.X, table.y, **table.val)
    assert clf.diagnostics_["scaled_gradient_norm"] > 0.1
    assert clf.diagnostics_["gradient_norm"] > 0


@pytest.mark.parametrize("hessian", ["newton-cg", "direct", "lissa", "identity"])
def test_every_hessian(table, hessian):
    clf = RDIAClassifier(hessian=hessian, alpha=0.1, random_state=0).fit(table.X, table.y, **table.val)
    assert clf.diagnostics_["hessian"] == hessian
    flipped = table.y != table.y_true
    assert clf.influences_[flipped].mean() > clf.influences_[~flipped].mean()


def test_memory_runs_steps_one_and_two_once(table, tmp_path, monkeypatch):
    fits = []
    fit = LogisticRegression.fit
    monkeypatch.setattr(LogisticRegression, "fit", lambda self, *args, **kw: fits.append(1) or fit(self, *args, **kw))
    for alpha in (0.1, 0.2, 0.4):
        cached = RDIAClassifier(alpha=alpha, memory=str(tmp_path)).fit(table.X, table.y, **table.val)
        assert_same(RDIAClassifier(alpha=alpha).fit(table.X, table.y, **table.val), cached)
    assert len(fits) == 3 * 2 + 1 + 3  # without: two fits each; with: one base fit, and a refit each


def test_frozen_base_is_not_refitted(table):
    model = LogisticRegression().fit(table.X, table.y)
    clf = RDIAClassifier(FrozenEstimator(model), alpha=0.7).fit(table.X, table.y, **table.val)
    np.testing.assert_array_equal(clf.predict_proba(table.X), model.predict_proba(table.X))
    with pytest.raises(ValueError, match="frozen estimator must have been fitted on the same labels"):
        clf.fit(table.X, table.y + 1, X_val=table.X_val, y_val=table.y_val + 1)


def test_pickle_clone_and_idempotence(table):
    clf = RDIAClassifier(LogisticRegression(C=0.5), alpha=0.1).fit(table.X, table.y, **table.val)
    assert_same(clf, pickle.loads(pickle.dumps(clf)))
    assert_same(clf, clone(clf).fit(table.X, table.y, **table.val))
    with pytest.raises(NotFittedError):
        clone(clf).predict(table.X)


def test_verbose(table, capsys):
    RDIAClassifier(alpha=0.7, verbose=1, max_iter=2).fit(table.X, table.y, **table.val)
    assert capsys.readouterr().out.count("[RDIA] round") == 2


@pytest.mark.filterwarnings("ignore:validation_fraction")
def test_random_state_fixes_the_hold_out(table):
    params = {"validation_fraction": 0.3, "alpha": 0.5}
    masks = [RDIAClassifier(**params, random_state=s).fit(table.X, table.y).validation_mask_ for s in (0, 0, 1)]
    np.testing.assert_array_equal(masks[0], masks[1])
    assert (masks[0] != masks[2]).any()


BAD = {
    "one class": ({"y": np.zeros(300, dtype=int)}, {}, "y has 1 class"),
    "continuous y": ({"y": np.linspace(0, 1, 300)}, {}, "Unknown label type"),
    "nan in X": ({"X": np.full((300, 10), np.nan)}, {}, "Input X contains NaN"),
    "infinity in X": ({"X": np.full((300, 10), np.inf)}, {}, "Input X contains infinity"),
    "nan in X_val": ({"X_val": np.full((150, 10), np.nan)}, {}, "X_val: Input X contains NaN"),
    "nan in y": ({"y": np.full(300, np.nan)}, {}, "Input y contains NaN"),
    "empty X_val": ({"X_val": np.empty((0, 10)), "y_val": np.empty(0, dtype=int)}, {}, "X_val, y_val: there are no"),
    "class missing in y_val": ({"y_val": np.zeros(150, dtype=int)}, {}, r"y_val: .* all of class \[0\]"),
    "unseen class in y_val": ({"y_val": np.full(150, 9)}, {}, r"y_val: .* all of class \[9\]"),
    "other kind in y_val": ({"y_val": np.full(150, "yes")}, {}, "y_val has labels such as 'yes', and y such as"),
    "no weight": (
        {
            "trusted": np.arange(300) < 9,
            "X_val": None,
            "y_val": None,
            "sample_weight": (np.arange(300) >= 9).astype(float),
        },
        {},
        "trusted: no validation row has a positive",
    ),
    "groups": ({"groups": np.zeros(300)}, {}, "groups has one group"),
    "short groups": ({"groups": np.zeros(3)}, {}, r"groups has shape \(3,\), expected \(300,\)"),
    "missing group": ({"groups": [None, *"ab" * 149, "c"]}, {}, "groups has 1 missing values, first in row 0"),
    "X_val alone": ({"y_val": None}, {}, "X_val was given without y_val"),
    "y_val alone": ({"X_val": None}, {}, "y_val was given without X_val"),
    "X_val and cv": ({}, {"cv": 3}, "given twice, by X_val, y_val and cv"),
    "three sources": ({"trusted": np.arange(300) < 9}, {"cv": 3}, "given twice, by X_val, y_val and trusted and cv"),
    "columns of X_val": ({"X_val": np.zeros((150, 3))}, {}, r"X_val has shape \(150, 3\), and X \(300, 10\)"),
    "lengths": ({"y": np.zeros(7, dtype=int)}, {}, "inconsistent numbers of samples"),
    "lengths of X_val": ({"y_val": np.zeros(7, dtype=int)}, {}, "inconsistent numbers of samples"),
    "negative weight": ({"sample_weight": -np.ones(300)}, {}, "sample_weight has a negative"),
    "zero weights": ({"sample_weight": np.zeros(300)}, {}, "sample_weight is zero for every row"),
    "short weights": ({"sample_weight": np.ones(3)}, {}, "sample_weight has shape"),
    "negative alpha": ({}, {"alpha": -0.1}, "'alpha' parameter"),
    "nan alpha": ({}, {"alpha": np.nan}, "'alpha' parameter"),
    "hessian": ({}, {"hessian": "exact"}, "(?=.*'direct')(?=.*'identity')(?=.*'lissa').*'newton-cg'"),
    "strategy": ({}, {"strategy": "flip"}, "(?=.*'drop')(?=.*'none').*'relabel-soft'"),
    "signal": ({}, {"signal": "loss"}, "'signal' parameter.*'influence'"),
    "refit_on": ({}, {"refit_on": "val"}, "'refit_on' parameter"),
    "max_iter": ({}, {"max_iter": 0}, "'max_iter' parameter"),
}
BAD_TRUSTED = {
    "trusted all": (np.ones(300, dtype=bool), "trusted is True for every row"),
    "trusted none": (np.zeros(300, dtype=bool), "trusted is False for every row"),
    "trusted length": (np.ones(3, dtype=bool), r"trusted has shape \(3,\)"),
    "trusted dtype": (np.ones(300, dtype=int), "trusted has dtype int64, expected bool"),
    "trusted one class": (None, r"trusted: .* all of class \[0\]"),
}


@pytest.mark.parametrize("case", [*BAD, *BAD_TRUSTED])
def test_bad_input_names_the_argument_and_leaves_the_estimator_unfitted(table, case):
    arguments = {"X": table.X, "y": table.y, **table.val}
    if case in BAD:
        change, params, message = BAD[case]
        arguments |= change
    else:
        trusted, message = BAD_TRUSTED[case]
        params = {}
        trusted = (table.y == 0) & (np.arange(300) < 100) if trusted is None else trusted
        arguments = {"X": table.X, "y": table.y, "trusted": trusted}
    clf = RDIAClassifier(**params)
    with pytest.raises(ValueError, match=message):
        clf.fit(**arguments)
    with pytest.raises(NotFittedError):
        check_is_fitted(clf)


def test_column_names_of_X_val(table):
    frame = pd.DataFrame(table.X, columns=list("abcdefghij"))
    wrong = pd.DataFrame(table.X_val, columns=list("abcdefghxy"))
    with pytest.raises(ValueError, match=r"X_val: The feature names should match.*\['i', 'j'\].*\['x', 'y'\]"):
        RDIAClassifier().fit(frame, table.y, X_val=wrong, y_val=table.y_val)
    with pytest.raises(ValueError, match="X is a DataFrame and X_val a ndarray"):
        RDIAClassifier().fit(frame, table.y, **table.val)


def test_unsupported_base_estimator(table):
    from sklearn.ensemble import RandomForestClassifier

    with pytest.raises(TypeError, match=r"RandomForestClassifier\(\) is not supported.*Supported: LogisticRegression"):
        RDIAClassifier(RandomForestClassifier()).fit(table.X, table.y, **table.val)


def test_weights_reach_the_last_step_of_a_pipeline(table, routing):
    weight = np.random.default_rng(0).integers(1, 4, len(table.y)).astype(float)
    scaler = StandardScaler().set_fit_request(sample_weight=False)
    clf = RDIAClassifier(make_pipeline(scaler, LogisticRegression()), alpha=0.7, strategy="none", refit_on="train")
    clf.fit(table.X, table.y, weight, **table.val)
    scaler = StandardScaler().fit(np.vstack([table.X, table.X_val]))
    expected = LogisticRegression().fit(scaler.transform(table.X), table.y, weight)
    np.testing.assert_allclose(clf.estimator_[-1].coef_, expected.coef_)


def test_an_estimator_without_sample_weight_is_refused_only_where_weights_are_needed(table3):
    targets = np.eye(3)[table3.y]
    assert fit_targets(KNeighborsClassifier(), table3.X, targets, np.arange(3)).score(table3.X, table3.y) > 0.5
    with pytest.raises(ValueError, match=r"base_estimator=KNeighborsClassifier\(\) takes no sample_weight"):
        fit_targets(KNeighborsClassifier(), table3.X, targets * 0.5, np.arange(3))
