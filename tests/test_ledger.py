"""The ledger as a user works with it: look, decide, and fit again."""

import pickle

import numpy as np
import pandas as pd
import polars as pl
import pytest
from scipy import sparse
from sklearn.base import clone
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier

from skrdia import Ledger, RDIAClassifier
from skrdia._ledger_columns import COLUMNS, Book

SOFT = {"alpha": 0.3, "signal": "posterior", "strategy": "soft"}
WAYS = {
    "relabel": {"alpha": 0.3},
    "rounds": {"alpha": 0.3, "max_iter": 4},
    "drop": {"alpha": 0.3, "strategy": "drop"},
    "soft": SOFT,
    "soft of the paper": {"alpha": 0.1, "strategy": "relabel-soft"},
    "none": {"alpha": 0.1, "strategy": "none"},
    "subsample": {"alpha": 0.3, "strategy": "optlr", "random_state": 0},
    "auto": {},
    "confidence": {"alpha": 0.6, "signal": "confidence"},
    "std": {"alpha": 0.3, "compute_std": True},
    "train": {"alpha": 0.3, "refit_on": "train"},
}


def fit(table, **params):
    return RDIAClassifier(LogisticRegression(), **params).fit(table.X, table.y, **table.val)


def named_frame(X):
    return pd.DataFrame(X, columns=[f"c{j}" for j in range(X.shape[1])], index=[f"row {i}" for i in range(len(X))])


@pytest.fixture
def ledger(table3):
    return fit(table3, alpha=0.3).ledger_


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("classes", [2, 3])
def test_one_line_for_each_changed_or_harmful_row(table, table3, way, classes):
    data = table if classes == 2 else table3
    weight = np.random.default_rng(0).integers(1, 4, len(data.y)).astype(float)
    clf = RDIAClassifier(LogisticRegression(), **WAYS[way]).fit(data.X, data.y, weight, **data.val)
    ledger, given = clf.ledger_, np.eye(classes)[data.y]
    differs = (np.abs(clf.targets_ / weight[:, None] - given) > 0.1).any(axis=1)
    rows = np.flatnonzero(differs | clf.harmful_mask_ | (clf.relabeled_y_ != data.y))
    np.testing.assert_array_equal(ledger["row"], rows)
    np.testing.assert_array_equal(ledger["index"], rows)
    np.testing.assert_array_equal(ledger["label"], data.y[rows])
    np.testing.assert_array_equal(ledger["new_label"], clf.relabeled_y_[rows])
    np.testing.assert_array_equal(ledger["influence"], clf.influences_[rows])
    np.testing.assert_array_equal(ledger["score"], clf.scores_[rows])
    proba = clf.estimator_.predict_proba(data.X[rows]) if len(rows) else np.empty((0, classes))
    np.testing.assert_allclose(ledger["confidence"], proba[np.arange(len(rows)), clf.relabeled_y_[rows]])
    if way not in ("auto", "subsample"):  # which also change rows by less than a tenth
        np.testing.assert_allclose(ledger["predicted_gain"].sum(), clf.predicted_gain_, atol=1e-12)
    dropped, moved = ~clf.targets_[rows].any(axis=1), clf.relabeled_y_[rows] != data.y[rows]
    kinds = np.select([dropped, moved, differs[rows]], ["drop", "relabel", "soften"], "flag")
    np.testing.assert_array_equal(ledger["action"], kinds)
    back = np.array([reason.endswith("; a later round changed it back") for reason in ledger["reason"]], dtype=bool)
    np.testing.assert_array_equal(ledger["round"] > 0, (ledger["action"] != "flag") | back)
    assert not back.any() or way == "rounds"
    assert (ledger["round"] <= clf.n_iter_).all()
    assert np.isfinite(ledger["standard_error"]).all() == (way == "std" or len(ledger) == 0)
    assert (ledger["decision"] == "").all()
    assert all(isinstance(reason, str) and "; " in reason for reason in ledger["reason"])
    if way == "auto":
        assert (ledger["round"] == clf.n_iter_).all()
    elif way != "soft":
        assert len(ledger)


def test_the_gain_is_that_of_the_formula(table3):
    clf = RDIAClassifier(LogisticRegression(), alpha=0.3).fit(table3.X, table3.y, np.full(90, 2.0), **table3.val)
    row, phi = clf.ledger_["row"], clf.label_influences_
    gain = 2.0 / 180.0 * (phi[row, table3.y[row]] - phi[row, clf.relabeled_y_[row]])
    np.testing.assert_allclose(clf.ledger_["predicted_gain"], gain)
    clf = RDIAClassifier(LogisticRegression(), alpha=0.3, strategy="drop").fit(table3.X, table3.y, **table3.val)
    np.testing.assert_allclose(clf.ledger_["predicted_gain"], clf.ledger_["influence"] / 90)


def test_the_round_is_the_first_that_changed_the_row(table):
    rounds = [fit(table, alpha=0.3, max_iter=k) for k in (1, 2, 3)]
    found = dict(zip(rounds[2].ledger_["row"].tolist(), rounds[2].ledger_["round"].tolist(), strict=True))
    first = set(rounds[0].ledger_["row"].tolist())
    second = set(rounds[1].ledger_["row"].tolist()) - first
    assert {row for row, number in found.items() if number == 1} == first
    assert {row for row, number in found.items() if number == 2} == second
    assert set(found.values()) >= {1, 2}
    later = rounds[2].ledger_["reason"][rounds[2].ledger_["round"] == 2]
    assert all(reason.startswith("after the repairs before round 2, its label raises") for reason in later)


@pytest.mark.parametrize(
    ("params", "reason"),
    [
        ({"alpha": 0.7}, "its label raises the held-out loss; label {new} would lower it"),
        ({"alpha": 0.7, "strategy": "drop"}, "its label raises the held-out loss; it is left out"),
        ({"alpha": 0.7, "strategy": "none"}, "its label raises the held-out loss; it is left as it was"),
        (
            {"alpha": 0.7, "signal": "confidence"},
            "models that never saw it find its label improbable; label {new} is the likeliest other one",
        ),
        (
            {"alpha": 0.5, "signal": "trusted-confidence", "strategy": "drop"},
            "a model of the trusted rows finds its label improbable; it is left out",
        ),
        ({"alpha": 0.7, "signal": "gd-class"}, "its score by the signal 'gd-class' is above alpha; label {new} takes"),
        ({"alpha": "auto"}, "the repairs that help most on held-out rows, above all by the signal '"),
    ],
)
def test_reasons_are_plain_words(table, params, reason):
    names = np.array(["no", "yes"])
    clf = RDIAClassifier(**params).fit(table.X, names[table.y], X_val=table.X_val, y_val=names[table.y_val])
    harmful = np.isin(clf.ledger_["row"], np.flatnonzero(clf.harmful_mask_))
    assert harmful.any()
    for text, new in zip(clf.ledger_["reason"][harmful], clf.ledger_["new_label"][harmful], strict=True):
        assert text.startswith(reason.format(new=new))


@pytest.mark.filterwarnings("ignore:validation_fraction")
def test_validation_rows_are_never_in_the_ledger(table):
    clf = RDIAClassifier(alpha=0.1, validation_fraction=0.3, refit_on="train", random_state=0).fit(table.X, table.y)
    assert not clf.validation_mask_[clf.ledger_["row"]].any()
    cv = RDIAClassifier(cv=3).fit(table.X, table.y)
    assert len(cv.ledger_)
    assert np.isnan(cv.ledger_["influence"]).all()
    assert np.isnan(cv.ledger_["predicted_gain"]).all()
    assert (np.diff(cv.ledger_.suggest(10)["score"] * (1.0 - cv.ledger_.suggest(10)["confidence"])) <= 0.0).all()


@pytest.mark.parametrize(
    ("container", "index"),
    [
        (named_frame, "row {}"),
        (lambda X: pl.DataFrame(X, schema=[f"c{j}" for j in range(X.shape[1])]), None),
        (sparse.csr_array, None),
        (np.asarray, None),
        (lambda X: X.tolist(), None),
    ],
    ids=["pandas", "polars", "sparse", "numpy", "list"],
)
def test_rows_are_addressed_by_the_frames_own_index(table, container, index):
    clf = RDIAClassifier(alpha=0.5).fit(container(table.X), table.y, X_val=container(table.X_val), y_val=table.y_val)
    ledger = clf.ledger_
    expected = [index.format(row) if index else row for row in ledger["row"].tolist()]
    assert ledger["index"].tolist() == expected
    ledger.accept(expected[:2]).reject(expected[2]).set_label(expected[3], 0)
    assert ledger["decision"][:5].tolist() == ["accepted", "accepted", "rejected", "set", ""]
    again = ledger.refit(clf, container(table.X), table.y, X_val=container(table.X_val), y_val=table.y_val)
    assert again.validation_mask_.sum() == 4
    assert set(again.ledger_["index"].tolist()) >= set(expected[:4])


@pytest.mark.parametrize("backend", ["pandas", "polars"])
def test_to_frame(table, backend):
    ledger = (
        RDIAClassifier(alpha=0.5)
        .fit(named_frame(table.X), table.y, X_val=named_frame(table.X_val), y_val=table.y_val)
        .ledger_
    )
    frame = ledger.to_frame(backend)
    assert list(frame.columns) == list(COLUMNS)
    for name in COLUMNS:
        np.testing.assert_array_equal(frame[name].to_numpy(), ledger[name])
    with_key = ledger.with_key(np.arange(300)).to_frame(backend)
    assert list(with_key.columns)[:2] == ["index", "key"]


def test_suggest_puts_first_what_may_be_lost_by_a_wrong_change(ledger):
    worth = np.abs(ledger["predicted_gain"]) * np.maximum(1.0 - ledger["confidence"], 0.01)
    order = np.argsort(-worth)
    assert ledger.suggest(4)["row"].tolist() == ledger["row"][order[:4]].tolist()
    ledger.accept(ledger["index"][order[0]])
    assert ledger.suggest(3)["row"].tolist() == ledger["row"][order[1:4]].tolist()
    assert len(ledger.suggest(1000)) == len(ledger) - 1
    suggested = ledger.suggest(2)
    suggested.reject(suggested["index"])
    assert (ledger["decision"] == "rejected").sum() == 2
    assert ledger.suggest(1)["row"][0] == ledger["row"][order[3]]


def test_suggest_falls_back_on_the_score(table):
    ledger = fit(table, alpha=0.1, strategy="none").ledger_
    worth = ledger["score"] * np.maximum(1.0 - ledger["confidence"], 0.01)
    assert ledger.suggest(3)["row"].tolist() == ledger["row"][np.argsort(-worth)[:3]].tolist()
    for budget in (0, -1, 2.5, "all"):
        with pytest.raises(ValueError, match=r"budget=.*expected a positive integer"):
            ledger.suggest(budget)


def test_undo_after_each_kind_of_decision(ledger):
    before, (a, b, c) = pickle.loads(pickle.dumps(ledger)), ledger["index"][:3].tolist()
    other = (ledger["new_label"][0] + 1) % 3
    steps = [
        lambda: ledger.accept([a, b]),
        lambda: ledger.reject(a),
        lambda: ledger.set_label(a, other),
        lambda: ledger.set_label(c, other),
        lambda: ledger.set_label(a, (other + 1) % 3),
    ]
    states = []
    for step in steps:
        states.append(pickle.loads(pickle.dumps(ledger)))
        assert step() is ledger
        assert ledger != states[-1]
    for state in reversed(states):
        assert ledger.undo() is ledger
        assert ledger == state
    assert ledger == before
    with pytest.raises(ValueError, match="no decision to undo"):
        ledger.undo()


def test_a_key_column_addresses_rows(table):
    ledger, key = fit(table, alpha=0.5).ledger_, [f"id-{i}" for i in range(300)]
    keyed = ledger.with_key(pd.Series(key))
    row = int(ledger["row"][2])
    keyed.accept(f"id-{row}")
    assert ledger["decision"][2] == keyed["decision"][2] == "accepted"
    assert keyed["key"].tolist() == [f"id-{i}" for i in ledger["row"]]
    with pytest.raises(ValueError, match=r"rows: \['id-999'\] is not among .* which have the key \['id-"):
        keyed.accept(["id-999"])
    with pytest.raises(ValueError, match=r"values has shape \(3,\), expected 300 values: one per row of X"):
        ledger.with_key(key[:3])
    with pytest.raises(ValueError, match=r"values has shape \(300, 2\)"):
        ledger.with_key(np.zeros((300, 2)))
    with pytest.raises(ValueError, match=r"the key \['same'\] stands for more than one row"):
        ledger.with_key(["same"] * 300).accept("same")


def test_repeated_index(table):
    frame = named_frame(table.X).set_axis(np.arange(300) // 100)
    ledger = RDIAClassifier(alpha=0.5).fit(frame, table.y, X_val=named_frame(table.X_val), y_val=table.y_val).ledger_
    with pytest.raises(ValueError, match=r"the index \[0, 2\] stands for more than one row.*with_key"):
        ledger.accept([0, 2])
    assert (ledger["decision"] == "").all()


def test_errors_of_decisions_change_nothing(ledger):
    before, known = pickle.loads(pickle.dumps(ledger)), ledger["index"][0]
    with pytest.raises(ValueError, match=r"rows: \[-7, 1000\] are not among the \d+ rows of the ledger, .* index \[\d"):
        ledger.accept([known, -7, 1000])
    with pytest.raises(ValueError, match=r"rows: \['x'\] is not among"):
        ledger.reject("x")
    with pytest.raises(ValueError, match=r"label=9 is not a label of fit; those are \[0, 1, 2\]"):
        ledger.set_label(known, 9)
    assert ledger == before
    ledger.set_label(known, 1)
    with pytest.raises(ValueError, match=r"the label of \[\d+\] was set by hand.*Undo"):
        ledger.accept([known])
    assert ledger["decision"][0] == "set"
    with pytest.raises(KeyError, match="'phi' is no column of the ledger"):
        ledger["phi"]
    ledger.undo().accept([])
    assert ledger == before


def test_repr_and_length(ledger):
    assert repr(ledger).startswith(f"<Ledger of {len(ledger)} rows: {len(ledger)} relabel; {len(ledger)} undecided>")
    ledger.accept(ledger["index"][:2]).reject(ledger["index"][2])
    assert repr(ledger).endswith(f"2 accepted, 1 rejected, {len(ledger) - 3} undecided>")
    assert repr(ledger.accept(ledger["index"]).suggest(1)) == "<Ledger of 0 rows>"
    assert ledger != "a ledger"


@pytest.mark.parametrize("way", ["relabel", "drop", "soft", pytest.param("auto", marks=pytest.mark.slow)])
@pytest.mark.parametrize("classes", [2, 3])
def test_refit_honours_decisions(table, table3, way, classes):
    data = table if classes == 2 else table3
    names = np.array(["ant", "bee", "crane"])
    y, y_val = names[data.y], names[data.y_val]
    val = {"X_val": data.X_val, "y_val": y_val}
    clf = RDIAClassifier(random_state=0, **WAYS[way]).fit(data.X, y, **val)
    ledger = clf.ledger_
    a, b, c, d = ledger.suggest(4)["index"].tolist()
    ledger.accept([a, b]).reject(c).set_label(d, "bee")
    again = ledger.refit(clf, data.X, y, **val)
    assert again is not clf
    row = dict(zip(ledger["index"].tolist(), range(len(ledger)), strict=True))
    decided = np.array([a, b, c, d])
    np.testing.assert_array_equal(np.flatnonzero(again.validation_mask_), np.sort(decided))
    new = ledger["new_label"]
    assert again.relabeled_y_[decided].tolist() == [new[row[a]], new[row[b]], y[c], "bee"]
    left_out = [ledger["action"][row[i]] == "drop" for i in (a, b)] + [False, False]
    np.testing.assert_array_equal(~again.targets_[decided].any(axis=1), left_out)
    assert np.isnan(again.influences_[decided]).all()
    assert not again.harmful_mask_[decided].any()
    carried = again.ledger_["decision"] != ""
    assert set(again.ledger_["index"][carried].tolist()) == {a, b, c, d}
    third = again.ledger_.refit(again, data.X, y, **val)
    np.testing.assert_array_equal(third.validation_mask_, again.validation_mask_)
    np.testing.assert_array_equal(third.relabeled_y_[decided], again.relabeled_y_[decided])


def test_review_in_rounds_never_changes_what_was_decided(table):
    """Accept the best suggestions, refit, and so on: trusted rows only grow, and keep their labels."""
    clf, settled = fit(table, alpha=0.3), {}
    for _ in range(4):
        todo = clf.ledger_.suggest(5)
        right = table.y_true[todo["row"]]
        for index, new, old, true in zip(todo["index"], todo["new_label"], todo["label"], right, strict=True):
            todo.accept(index) if new == true else todo.reject(index) if old == true else todo.set_label(index, true)
        settled |= dict(zip(todo["row"].tolist(), right.tolist(), strict=True))
        clf = clf.ledger_.refit(clf, table.X, table.y, **table.val)
        assert set(np.flatnonzero(clf.validation_mask_)) == set(settled)
        assert clf.relabeled_y_[list(settled)].tolist() == list(settled.values())
        assert (clf.ledger_["decision"] != "").sum() == len(settled)
    assert len(settled) == 20
    clf.ledger_.undo()
    fewer = clf.ledger_.refit(clf, table.X, table.y, **table.val)
    assert fewer.validation_mask_.sum() == 19


@pytest.mark.filterwarnings("ignore:validation_fraction")
def test_held_out_rows_are_held_out_again(table):
    clf = RDIAClassifier(alpha=0.3, validation_fraction=0.3).fit(
        table.X, table.y
    )  # without random_state: another hold-out each time
    ledger = clf.ledger_.accept(clf.ledger_["index"][:3])
    again = ledger.refit(clf, table.X, table.y)
    expected = clf.validation_mask_ | np.isin(np.arange(300), ledger["row"][:3])
    np.testing.assert_array_equal(again.validation_mask_, expected)
    again.ledger_.undo()
    np.testing.assert_array_equal(again.ledger_.refit(clf, table.X, table.y).validation_mask_, clf.validation_mask_)
    new = Ledger(Book(ledger._columns())).refit(clf, table.X, table.y)
    assert new.validation_mask_.sum() == round(0.3 * 297) + 3


def test_an_accepted_drop_needs_no_weights_of_the_estimator(table):
    finder = LogisticRegression()
    clf = RDIAClassifier(KNeighborsClassifier(), 0.5, strategy="drop", influence_estimator=finder)
    clf.fit(table.X, table.y, **table.val)
    row = clf.ledger_["index"][0]
    again = clf.ledger_.accept(row).refit(clf, table.X, table.y, **table.val)
    assert not again.targets_[row].any()


def test_refit_keeps_the_dtype_of_labels(table):
    for labels in (
        np.array(["u", "a longer v"]),
        np.array(["u", "v"], dtype=object),
        np.array([False, True]),
        np.int8([5, 6]),
    ):
        clf = RDIAClassifier(alpha=0.5).fit(table.X, labels[table.y], X_val=table.X_val, y_val=labels[table.y_val])
        clf.ledger_.set_label(clf.ledger_["index"][0], labels[1])
        again = clf.ledger_.refit(clf, table.X, labels[table.y], X_val=table.X_val, y_val=labels[table.y_val])
        assert again.relabeled_y_.dtype == labels.dtype
        assert again.relabeled_y_[clf.ledger_["row"][0]] == labels[1]


def test_errors_of_refit(table, tmp_path):
    clf = fit(table, alpha=0.3)
    ledger = clf.ledger_.accept(clf.ledger_["index"][0])
    with pytest.raises(ValueError, match=r"y has 299 labels, but the fit of this ledger had 300"):
        ledger.refit(clf, table.X[:-1], table.y[:-1], **table.val)
    with pytest.raises(ValueError, match=r"y has the label \d in row \d+, where this ledger has \d"):
        ledger.refit(clf, table.X, 1 - table.y, **table.val)
    with pytest.raises(ValueError, match=r"had X_val and y_val\. Pass them to refit, or trusted rows"):
        ledger.refit(clf, table.X, table.y)
    with pytest.raises(ValueError, match="trusted has dtype int64"):
        ledger.refit(clf, table.X, table.y, trusted=table.y)
    with pytest.raises(ValueError, match="clf has cv=3, which leaves no room for trusted rows"):
        ledger.refit(RDIAClassifier(cv=3), table.X, table.y)
    ledger.to_csv(tmp_path / "ledger.csv")
    loaded = Ledger.read_csv(tmp_path / "ledger.csv").set_label(ledger["index"][1], 7)
    with pytest.raises(ValueError, match=r"The ledger sets labels that no row of y has: 7. Those of y are \[0, 1\]"):
        loaded.refit(clf, table.X, table.y, **table.val)
    with pytest.raises(ValueError, match="y has 3 labels, but the fit of this ledger had at least"):
        loaded.refit(clf, table.X[:3], table.y[:3], **table.val)


@pytest.mark.filterwarnings("ignore:validation_fraction")
def test_a_ledger_without_decisions_refits_the_same(table):
    held_out = {"alpha": 0.3, "validation_fraction": 0.3, "random_state": 0}
    for params, data in (({"alpha": 0.3}, table.val), ({"cv": 3}, {}), ({}, {}), (held_out, {})):
        clf = RDIAClassifier(**params).fit(table.X, table.y, **data)
        again = clf.ledger_.refit(clf, table.X, table.y, **data)
        np.testing.assert_array_equal(again.targets_, clf.targets_)
        assert again.ledger_ == clf.ledger_


def test_pickle_clone_and_a_base_estimator_of_any_kind(table):
    forest = RandomForestClassifier(20, random_state=0)
    clf = RDIAClassifier(forest, 0.5, influence_estimator=LogisticRegression()).fit(table.X, table.y, **table.val)
    copy = pickle.loads(pickle.dumps(clf))
    assert copy.ledger_ == clf.ledger_
    copy.ledger_.accept(copy.ledger_["index"][0])
    assert copy.ledger_ != clf.ledger_
    assert not hasattr(clone(clf), "ledger_")
    assert len(pickle.dumps(clf.ledger_)) < 50_000  # no rows of X are kept
