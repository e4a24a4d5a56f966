"""Pairs: the labels that verified rows came with reach the choice, row by row, and change nothing else."""

import warnings
from enum import StrEnum

import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.validation import check_is_fitted

from skrdia import Ledger, RDIAClassifier, _outcome
from skrdia._rows import split_rows
from skrdia._tuning import Problem
from tests.conftest import make_table

NAMES = np.array(["ant", "bee", "crane"])


class Insect(StrEnum):
    ANT = "ant"
    BEE = "bee"
    CRANE = "crane"


def rows():
    """X, labels of which the trusted are right, the mask of these, and the labels that all rows came with."""
    table = make_table("wine", rate=0.3)
    trusted = np.arange(90) % 3 == 0
    return table.X, np.where(trusted, table.y_true, table.y), trusted, table.y


def one_hot(labels):
    return np.eye(3)[labels]


@pytest.fixture
def evidences(monkeypatch):
    """All evidence that a fit gathers in `_rounds`."""
    seen, real = [], _outcome.Evidence

    def spy(*args, **options):
        seen.append(real(*args, **options))
        return seen[-1]

    monkeypatch.setattr(_outcome, "Evidence", spy)
    return seen


@pytest.fixture
def problems(monkeypatch):
    """The problem of a fit with alpha="auto", and those of its folds with the rows that each leaves out."""
    seen, choose, without = [], _outcome.choose, Problem.without

    def spy(problem, *args, **options):
        seen.append(problem)
        return choose(problem, *args, **options)

    def smaller(problem, held_out, rng=None):
        seen.append((held_out, without(problem, held_out, rng)))
        return seen[-1][1]

    monkeypatch.setattr(_outcome, "choose", spy)
    monkeypatch.setattr(Problem, "without", smaller)
    return seen


def test_each_validation_row_has_the_label_it_came_with():
    X, y, trusted, came = rows()
    found = split_rows(X, y, trusted=trusted, y_given=came)
    np.testing.assert_array_equal(found.given_val, one_hot(came[trusted]))
    np.testing.assert_array_equal(found.folds[0].targets_val, one_hot(y[trusted]))
    assert (found.given_val != found.folds[0].targets_val).any()
    seen = found.seen_as(X[:, :2], None)
    np.testing.assert_array_equal(seen.given_val, found.given_val)
    weight = np.arange(90) + 1.0
    weighted = split_rows(X, y, weight, trusted=trusted, y_given=came)
    np.testing.assert_array_equal(weighted.given_val, found.given_val)


def test_rows_beside_those_of_X_come_last_and_are_not_known():
    X, y, trusted, came = rows()
    found = split_rows(X[:80], y[:80], X_val=X[80:], y_val=y[80:], trusted=trusted[:80], y_given=came[:80])
    np.testing.assert_array_equal(found.given_val[:-10], one_hot(came[:80][trusted[:80]]))
    assert not found.given_val[-10:].any()
    assert len(found.given_val) == len(found.folds[0].targets_val)


@pytest.mark.parametrize(
    ("own", "container"),
    [
        (np.arange(3), lambda cells: np.array([np.nan if c is None else c for c in cells])),
        (np.arange(3), list),
        (np.arange(3), lambda cells: pd.Series(cells, dtype="Int64", index=np.arange(90)[::-1])),
        (np.arange(3), lambda cells: pl.Series(cells)),
        (np.arange(3.0), lambda cells: pl.Series(cells)),
        (NAMES, lambda cells: ["ant", np.nan, *cells[2:]]),
        (NAMES, tuple),
        (NAMES.astype(object), lambda cells: np.array(cells, dtype=object)),
        (NAMES, lambda cells: pd.Series(cells, dtype="category")),
        (NAMES, lambda cells: pd.Series(cells, dtype="string")),
        (NAMES, lambda cells: pl.Series(cells)),
        (NAMES, lambda cells: [None if c is None else Insect(c) for c in cells]),
        (np.array(["2020", "2021", "2022"], dtype="M8[D]"), lambda cells: pd.to_datetime(pd.Series(cells))),
    ],
)
def test_missing_entries_of_all_kinds_are_not_known(own, container):
    X, y, trusted, came = rows()
    labels = own[came].tolist()
    y = own[y]
    cells = [None if not trusted[i] or i % 2 else labels[i] for i in range(90)]
    cells[0], cells[1] = own.tolist()[0], None
    found = split_rows(X, y, trusted=trusted, y_given=container(cells))
    expected = one_hot(came)
    expected[np.arange(90) % 2 == 1] = 0.0
    expected[0] = [1.0, 0.0, 0.0]
    np.testing.assert_array_equal(found.given_val, expected[trusted])


def test_booleans_with_missing_ones():
    X, y, trusted, came = rows()
    cells = [None if i % 2 else bool(label) for i, label in enumerate(came > 0)]
    found = split_rows(X, np.where(trusted, y > 0, came > 0), trusted=trusted, y_given=cells)
    even = np.arange(90) % 2 == 0
    np.testing.assert_array_equal(found.given_val[:, 1], (even & (came > 0))[trusted])


@pytest.mark.parametrize("nothing", [[None] * 90, np.full(90, np.nan), pd.Series([pd.NA] * 90)])
def test_nothing_known_is_no_pair(nothing):
    X, y, trusted, came = rows()
    assert split_rows(X, y, trusted=trusted, y_given=nothing).given_val is None
    assert split_rows(X, y, trusted=trusted).given_val is None
    only_others = [None if trusted[i] else int(label) for i, label in enumerate(came)]
    assert split_rows(X, y, trusted=trusted, y_given=only_others).given_val is None


def changed(position, value):
    _, _, _, came = rows()
    cells = came.tolist()
    cells[position] = value
    return cells


@pytest.mark.parametrize(
    ("y_given", "message"),
    [
        ([0, 1], r"y_given has shape \(2,\), expected \(90,\)"),
        (np.zeros((90, 1)), r"y_given has shape \(90, 1\), expected \(90,\)"),
        (0, r"y_given has shape \(\), expected \(90,\)"),
        (changed(4, 7), r"y_given has 7 in row 4, where y has \d and trusted is False \(1 such rows\).*leave it out"),
        (["ant"] * 90, "y_given has labels such as 'ant', and y 0. Write both alike"),
        (changed(3, "ant"), "y_given has labels such as 'ant', and y 0"),
        (changed(3, [1, 2]), r"y_given has labels such as \[1, 2\], and y 0"),
    ],
)
def test_errors_name_the_argument(y_given, message):
    X, y, trusted, _ = rows()
    clf = RDIAClassifier(alpha=0.7)
    with pytest.raises(ValueError, match=message):
        clf.fit(X, y, trusted=trusted, y_given=y_given)
    with pytest.raises(NotFittedError):
        check_is_fitted(clf)


@pytest.mark.parametrize("params", [{}, {"cv": 3}])
def test_pairs_need_verified_rows(params):
    X, y, _, came = rows()
    with pytest.raises(ValueError, match=r"y_given says with which label a verified row came; mark .* by trusted too"):
        RDIAClassifier(**params).fit(X, y, y_given=came)


def test_a_label_that_no_row_has_is_told_and_not_known():
    X, y, trusted, came = rows()
    cells = NAMES[came].tolist()
    cells[0] = cells[3] = "fly"
    with pytest.warns(UserWarning, match=r"y_given has labels that no row of y has, .*\['fly'\], in 2 trusted rows"):
        found = split_rows(X, NAMES[y], trusted=trusted, y_given=cells)
    assert not found.given_val[:2].any()
    np.testing.assert_array_equal(found.given_val[2:], one_hot(came[trusted][2:]))
    with pytest.warns(UserWarning, match=r"\['fly'\], in 30 trusted rows"):
        assert split_rows(X, NAMES[y], trusted=trusted, y_given=np.where(trusted, "fly", NAMES[came])).given_val is None


def test_the_choice_and_its_folds_have_them(problems, evidences):
    X, y, trusted, came = rows()
    RDIAClassifier(LogisticRegression(), random_state=0).fit(X, y, trusted=trusted, y_given=came)
    whole, *folds = problems
    expected = one_hot(came[trusted])
    np.testing.assert_array_equal(whole.given_val, expected)
    assert len(folds) >= 5
    for held_out, task in folds:
        np.testing.assert_array_equal(task.given_val, expected[~held_out])
        assert len(task.targets_val) == len(task.given_val)
    np.testing.assert_array_equal(evidences[0].given_val, expected)


@pytest.mark.parametrize("params", [{"alpha": 0.3, "max_iter": 2}, {"alpha": 0.5, "signal": "trusted-posterior"}])
def test_evidence_has_them_and_a_threshold_does_not_mind(evidences, params):
    X, y, trusted, came = rows()
    with_pairs = RDIAClassifier(**params).fit(X, y, trusted=trusted, y_given=came)
    for evidence in evidences:
        np.testing.assert_array_equal(evidence.given_val, one_hot(came[trusted]))
    evidences.clear()
    without = RDIAClassifier(**params).fit(X, y, trusted=trusted)
    assert all(evidence.given_val is None for evidence in evidences)
    np.testing.assert_array_equal(with_pairs.targets_, without.targets_)


def test_pairs_are_routed_and_sliced_with_the_rows(routing, evidences):
    X, y, trusted, came = rows()
    X = np.column_stack([X, np.arange(90) / 90])
    rdia = RDIAClassifier(LogisticRegression(), alpha=0.7).set_fit_request(trusted=True, y_given=True)
    search = GridSearchCV(make_pipeline("passthrough", rdia), {"rdiaclassifier__alpha": [0.3, 0.7]}, cv=3)
    search.fit(X, y, trusted=trusted, y_given=pd.Series(came))
    assert len(evidences) >= 7
    for evidence in evidences:
        at = np.rint(evidence.X_val[:, -1] * 90).astype(int)
        assert trusted[at].all()
        np.testing.assert_array_equal(evidence.given_val, one_hot(came[at]))
    assert {len(evidence.given_val) for evidence in evidences} > {30}


def test_a_pipeline_hands_them_on(routing, evidences):
    X, y, trusted, came = rows()
    rdia = RDIAClassifier(alpha=0.7).set_fit_request(trusted=True, y_given=True)
    make_pipeline(StandardScaler(), rdia).fit(X, y, trusted=trusted, y_given=came)
    np.testing.assert_array_equal(evidences[0].given_val, one_hot(came[trusted]))
    inside = RDIAClassifier(make_pipeline(StandardScaler(), LogisticRegression()), alpha=0.7)
    inside.fit(X, y, trusted=trusted, y_given=came)
    np.testing.assert_array_equal(evidences[-1].given_val, one_hot(came[trusted]))


def test_inputs_are_not_modified():
    X, y, trusted, came = rows()
    cells = [None if i % 2 else int(label) for i, label in enumerate(came)]
    before = list(cells)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        RDIAClassifier(alpha=0.7).fit(X, y, trusted=trusted, y_given=cells)
    assert cells == before


def pairs_of(clf):
    """The trusted rows of X of which it is known with which label they came, from the ledger of a fit."""
    came = clf.ledger_._book.came
    return {} if came is None else dict(zip(came["row"].tolist(), came["label"].tolist(), strict=True))


@pytest.mark.parametrize(
    "way", [{"alpha": 0.3}, {"alpha": 0.3, "strategy": "drop"}, pytest.param({}, marks=pytest.mark.slow)]
)
def test_decisions_on_a_ledger_are_pairs(evidences, way):
    X, y, _, _ = rows()
    y, table = NAMES[y], make_table("wine")
    val = {"X_val": table.X_val, "y_val": NAMES[table.y_val]}
    clf = RDIAClassifier(random_state=0, **way).fit(X, y, **val)
    a, b, c = clf.ledger_["row"][:3].tolist()
    ledger = clf.ledger_.accept(a).reject(b).set_label(c, "bee")
    dropped = [a] if ledger["action"][0] == "drop" else []  # of which nobody said what is right
    again = ledger.refit(clf, X, y, **val)
    settled = {row: str(y[row]) for row in (a, b, c) if row not in dropped}
    inside = np.flatnonzero(again.validation_mask_).tolist()
    expected = [one_hot(np.flatnonzero(settled[row] == NAMES)[0]) if row in settled else np.zeros(3) for row in inside]
    np.testing.assert_array_equal(evidences[-1].given_val[: len(inside)], expected)
    assert not evidences[-1].given_val[len(inside) :].any()
    assert pairs_of(again) == {}  # the decisions are in the lines of the ledger
    assert again.relabeled_y_[c] == "bee"
    evidences.clear()
    carried_out = np.where(np.isin(np.arange(90), [a, b, c]), again.relabeled_y_, y)
    again.ledger_.refit(again, X, carried_out, **val)
    np.testing.assert_array_equal(evidences[-1].given_val[: len(inside)], expected)


@pytest.mark.parametrize("kind", ["in memory", "json", "csv"])
def test_pairs_of_the_first_fit_are_kept(tmp_path, evidences, kind):
    X, y, trusted, came = rows()
    y, cells = NAMES[y], [str(NAMES[label]) if i % 2 else None for i, label in enumerate(came)]
    clf = RDIAClassifier(alpha=0.3, random_state=0).fit(X, y, trusted=trusted, y_given=cells)
    known = {i: cells[i] for i in range(90) if trusted[i] and cells[i]}
    assert pairs_of(clf) == known
    ledger, more = clf.ledger_, {}
    if kind == "json":
        ledger.to_json(tmp_path / "ledger.json")
        ledger = Ledger.read_json(tmp_path / "ledger.json")
    elif kind == "csv":
        ledger.to_csv(tmp_path / "ledger.csv")
        ledger, more = Ledger.read_csv(tmp_path / "ledger.csv"), {"trusted": trusted, "y_given": cells}
    a, b = ledger["row"][:2].tolist()
    again = ledger.accept(a).set_label(b, "ant").refit(clf, X, y, **more)
    assert pairs_of(again) == known
    at, decided = np.flatnonzero(again.validation_mask_), {a: str(y[a]), b: str(y[b])}
    assert len(at) == trusted.sum() + 2
    both = known | decided
    expected = [both[row] == NAMES if row in both else np.zeros(3) for row in at.tolist()]
    np.testing.assert_array_equal(evidences[-1].given_val, expected)
    again.ledger_.undo()
    evidences.clear()
    again.ledger_.refit(clf, X, y)
    kept = [both[row] == NAMES if row in both else np.zeros(3) for row in at.tolist() if row != b]
    np.testing.assert_array_equal(evidences[-1].given_val, kept)


def test_labels_that_vanish_by_decisions_and_further_pairs():
    X, y, trusted, came = rows()
    y = NAMES[y].astype("<U8")
    slip = int(np.flatnonzero(~trusted)[0])
    y[slip] = "slip"
    with pytest.warns(UserWarning, match="left as they are"):
        clf = RDIAClassifier(alpha=0.3).fit(X, y, trusted=trusted)
    book = clf.ledger_._book
    book.columns = {name: column[:1].copy() for name, column in book.columns.items()}
    book.columns |= {"row": np.array([slip]), "label": np.array(["slip"], dtype=object), "index": np.array([slip])}
    ledger = clf.ledger_.__class__(book).set_label(slip, "bee")
    again = ledger.refit(clf, X, y, y_given=np.where(trusted, NAMES[came], y))
    assert again.classes_.tolist() == NAMES.tolist()
    assert pairs_of(again) == {row: NAMES[came[row]] for row in np.flatnonzero(trusted).tolist()}
    with pytest.raises(ValueError, match="y_given has shape"):
        ledger.refit(clf, X, y, y_given=came[:3])
    with pytest.raises(ValueError, match=r"y_given has 'ant' in row \d+, where y has 'bee|crane'"):
        ledger.refit(clf, X, y, y_given=np.full(90, "ant"))


def test_labels_that_are_times():
    X, y, trusted, came = rows()
    own = np.array(["2020", "2021", "2022"], dtype="M8[D]").astype("M8[ns]")
    clf = RDIAClassifier(alpha=0.3).fit(X, own[y], trusted=trusted, y_given=own[came])
    ledger = clf.ledger_.accept(clf.ledger_["index"][0])
    again = ledger.refit(clf, X, own[y])
    assert pairs_of(again) == pairs_of(clf)
    assert len(pairs_of(clf)) == trusted.sum()
