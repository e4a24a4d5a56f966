"""``skrdia reproduce realnoise``: texts with labels that came wrong, tables, methods, figures, the command."""

import json
import lzma

import numpy as np
import pytest
from click.testing import CliRunner
from scipy.sparse import issparse
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score, log_loss, precision_score, recall_score

from skrdia import RDIAClassifier
from skrdia.cli import main
from skrdia.reproduce import _real_methods
from skrdia.reproduce._jobs import run
from skrdia.reproduce._losses import row_losses
from skrdia.reproduce._names import TEXT_SETS, TEXT_VIEWS
from skrdia.reproduce._real_cells import RESULTS, RealCell, cells, load, parse_real_noise
from skrdia.reproduce._real_methods import METHODS, PAIRS, VERIFIED_METHODS, Outcome, problem, unavailable
from skrdia.reproduce._real_runner import _found, plan, run_cell
from skrdia.reproduce._real_sets import _FILES, load_texts
from skrdia.reproduce._real_summary import summarise
from skrdia.reproduce._real_text import failures, tables

SMALL = "breast_cancer_scale"
WORDS = ["river water fish boat", "bank money loan rate", "goal match team coach"]
needs_cleanlab = pytest.mark.skipif(
    "cleanlab" in unavailable(), reason="compares with cleanlab, which is not installed"
)


def a_cell(source="hausa", noise="real", flipped=0.0, seed=0, verified=0.0, **params):
    view = "dense" if source in TEXT_SETS else "table"
    return RealCell(source, params.pop("view", view), noise, flipped, 1.0, seed, verified, **params)


def some_texts(n, rng):
    """Texts of four words of their own class and two of any, with the codes of their classes."""
    right = np.arange(n) % 3
    every = " ".join(WORDS).split()
    texts = [" ".join([*rng.choice(WORDS[code].split(), 4), *rng.choice(every, 2)]) for code in right]
    return texts, right


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The files of the four sets, small: every fifth label came wrong, and so did every fifth answer."""
    rng = np.random.default_rng(0)
    (texts, right), (new, y_new) = some_texts(120, rng), some_texts(60, rng)
    wrong = np.where(np.arange(120) % 5 == 0, (right + 1) % 3, right)
    names = np.array(["economy", "health", "sport"])
    news = {
        "train_clean": {"text": texts, "label": names[right].tolist()},
        "train_clean_noisy_labels": {"text": texts, "label": names[wrong].tolist()},
        "test": {"text": new, "label": names[y_new].tolist()},
    }
    votes = 0.8 * np.eye(3)[right] + 0.2 * np.eye(3)[(right + 1) % 3]
    movie = {
        "train": {"text": texts, "gold": right.tolist(), "conf": (5 * votes).tolist()},
        "val": {"text": new, "gold": y_new.tolist()},
    }
    about = (right == 1).astype(int)
    answers = np.repeat(about, 5) ^ (np.arange(600) % 5 == 0)
    amazon = {
        "train": {"text": texts, "gold": about.tolist()},
        "test": {"text": new, "gold": (y_new == 1).astype(int).tolist()},
        "answers": {"item": np.repeat(np.arange(120), 5).tolist(), "label": answers.tolist()},
    }
    (tmp_path / "B").mkdir()
    for name, stored in (("hausa", {"hausa": news, "yoruba": news}), ("movie", movie), ("amazon", amazon)):
        with lzma.open(tmp_path / _FILES[name], "wt") as file:
            json.dump(stored, file)
    monkeypatch.setenv("SKRDIA_DATA", str(tmp_path))
    return tmp_path


@pytest.mark.parametrize("name", TEXT_SETS)
def test_labels_come_as_they_were_given(folder, name):
    draws = [load_texts(name, "tfidf", seed) for seed in range(3)]
    X, given, right, X_test, y_test = draws[0]
    assert issparse(X)
    assert X.shape[1] == X_test.shape[1]
    assert (X.shape[0], X_test.shape[0]) == (len(given), len(y_test)) == (120, 60)
    np.testing.assert_array_equal(right, np.arange(120) % 3 if name != "amazon" else np.arange(120) % 3 == 1)
    assert (given != right).mean() == pytest.approx(0.2, abs=0.12)
    again = load_texts(name, "tfidf", 0)
    np.testing.assert_array_equal(again.given, given)
    assert (draws[1].given == given).all() == (name in ("hausa", "yoruba"))  # the lists always say the same
    assert all((draw.right == right).all() for draw in draws)


def test_the_dense_view_is_standardised_by_the_training_rows(folder):
    sparse, dense = (load_texts("hausa", view, 0) for view in TEXT_VIEWS)
    assert dense.X.shape == (120, min(100, sparse.X.shape[1]))
    np.testing.assert_allclose(dense.X.mean(axis=0), 0.0, atol=1e-9)
    assert abs(dense.X_test.mean(axis=0)).max() > 1e-3
    np.testing.assert_array_equal(dense.given, sparse.given)


def test_sets_that_cannot_be_had(monkeypatch, tmp_path):
    monkeypatch.setenv("SKRDIA_DATA", str(tmp_path))
    with pytest.raises(ValueError, match=r"set SKRDIA_DATA to a folder that has B/hausa"):
        load_texts("hausa", "tfidf", 0)
    with pytest.raises(ValueError, match="set 'igbo' is unknown"):
        load_texts("igbo", "tfidf", 0)


@pytest.mark.parametrize("share", [0.0, 0.05, 0.15])
def test_verified_rows_are_drawn_by_their_right_label(folder, share):
    data, other = (load(a_cell(verified=share, seed=seed)) for seed in (0, 1))
    counts = np.bincount(data.right[data.verified], minlength=3)
    assert counts.tolist() == [max(2, round(share * 40)) if share else 0] * 3
    np.testing.assert_array_equal(data.y[data.verified], data.right[data.verified])
    np.testing.assert_array_equal(data.y[~data.verified], data.given[~data.verified])
    assert data.n_classes == 3
    assert (data.verified == other.verified).all() == (share == 0.0)


def test_tables_have_made_noise():
    data, other = (load(a_cell(SMALL, "symmetric", 0.3, seed=seed, verified=0.05)) for seed in (0, 1))
    assert (data.given != data.right).mean() == pytest.approx(0.3, abs=0.01)
    assert data.verified.sum() == pytest.approx(0.05 * len(data.y), abs=1)
    assert not np.array_equal(data.X_test, other.X_test)
    clean = load(a_cell(SMALL, "clean"))
    np.testing.assert_array_equal(clean.given, clean.right)


def test_clean_texts_have_right_labels(folder):
    data = load(a_cell(noise="clean"))
    np.testing.assert_array_equal(data.given, data.right)


def test_cells_that_make_sense():
    def count(sources, base="logistic", noises=(), shares=()):
        return len(set(cells(sources, TEXT_VIEWS, noises, [1.0, 10.0], range(3), shares, base)))

    assert count(TEXT_SETS) == 4 * 2 * 2 * 3 * 3  # views, C, shares, seeds
    assert count(TEXT_SETS, "hgb") == 4 * 1 * 2 * 3 * 3  # the dense view alone
    assert count([SMALL]) == 4 * 2 * 2 * 3  # noises, C, shares, seeds
    assert count(["hausa", SMALL], noises=[("real", 0.0), ("pair", 0.2)], shares=[0.0]) == (2 + 1) * 2 * 3
    seeds = [cell.seed for cell in cells(["hausa", SMALL], TEXT_VIEWS, (), [1.0], range(2), ())]
    assert seeds == sorted(seeds)


def test_noise():
    assert parse_real_noise("real") == [("real", 0.0)]
    assert parse_real_noise("clean") == [("clean", 0.0)]
    assert parse_real_noise("one-sided=0.3") == [("one-sided", 0.3)]
    for text, message in (("shifted", "is not measured here"), ("real=0.1", "'real' is unknown"), ("x", "is unknown")):
        with pytest.raises(ValueError, match=message):
            parse_real_noise(text)


def outcome_of(name, cell):
    given = problem(cell, load(cell))
    return (VERIFIED_METHODS if cell.verified else METHODS)[name](given), given.data


def test_ends():
    cell = a_cell(SMALL, "symmetric", 0.3, verified=0.05)
    for name, labels in (("everything", "y"), ("perfect", "right")):
        outcome, data = outcome_of(name, cell)
        model = LogisticRegression(max_iter=1000).fit(data.X, getattr(data, labels))
        np.testing.assert_allclose(outcome.proba, model.predict_proba(data.X_test))
        assert outcome.marked is None
    outcome, data = outcome_of("verified only", cell)
    model.fit(data.X[data.verified], data.right[data.verified])
    np.testing.assert_allclose(outcome.proba, model.predict_proba(data.X_test))


@pytest.mark.filterwarnings("ignore")  # rows of a rare class, solvers that stop early
@pytest.mark.parametrize("verified", [0.0, 0.15])
def test_every_method_runs_on_texts(folder, verified):
    cell = a_cell("movie", view="tfidf", verified=verified)
    names = [name for name in (VERIFIED_METHODS if verified else METHODS) if name not in unavailable()]
    rows = {row["method"]: row for row in run_cell(cell, names)}
    assert [row["error"] for row in rows.values()] == [""] * len(names)
    marking = {name for name, row in rows.items() if not np.isnan(row["marked"])}
    assert set(names) - marking == {"everything", "perfect", "recalibrated", "verified only"} & set(names)
    for row in rows.values():
        assert row["n_verified"] == (18 if verified else 0)
        assert row["base_fits"] > 0.0
        assert 0.0 < row["true_rate"] < 0.4
    assert rows["everything"]["diff_se"] == 0.0


@needs_cleanlab
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("verified", [0.0, 0.05])
def test_cleanlab_marks_and_estimates(verified):
    cell = a_cell(SMALL, "symmetric", 0.2, verified=verified)
    outcome, data = outcome_of("cleanlab and verified" if verified else "cleanlab", cell)
    wrong = data.given != data.right
    assert not outcome.marked[data.verified].any()
    assert f1_score(wrong[~data.verified], outcome.marked[~data.verified]) > 0.8
    assert outcome.rates[0] == pytest.approx(0.2, abs=0.05)
    everything = outcome_of("everything", cell)[0]
    assert log_loss(data.y_test, outcome.proba) < log_loss(data.y_test, everything.proba)


def test_estimates_of_the_classifier_are_recorded(monkeypatch):
    class Estimating(RDIAClassifier):
        def fit(self, X, y, **rows):
            super().fit(X, y, **rows)
            self.noise_rate_, self.noise_rate_interval_ = 0.2, np.array([0.1, 0.3])
            return self

    monkeypatch.setattr(_real_methods, "RDIAClassifier", Estimating)
    row = run_cell(a_cell(SMALL, "symmetric", 0.3), ["confident"])[0]
    assert (row["rate"], row["rate_low"], row["rate_high"]) == (0.2, 0.1, 0.3)


def test_pairs_need_labels_as_they_came(monkeypatch):
    seen = {}

    class Recording(RDIAClassifier):
        def fit(self, X, y, *, trusted=None, y_given=None):
            seen.update(y=y, trusted=trusted, y_given=y_given)
            return super().fit(X, y, trusted=trusted)

    monkeypatch.setattr(_real_methods, "RDIAClassifier", Recording)
    monkeypatch.setattr(_real_methods, "find_spec", lambda name: None)
    assert list(unavailable()) == ["cleanlab", "cleanlab and verified"]
    _, data = outcome_of(PAIRS, a_cell(SMALL, "symmetric", 0.3, verified=0.05))
    np.testing.assert_array_equal(seen["y_given"], data.given)
    np.testing.assert_array_equal(seen["trusted"], data.verified)
    assert (seen["y"] != data.given).any()
    np.testing.assert_array_equal(seen["y"][data.verified], data.right[data.verified])


def test_marks_against_wrong_labels():
    data = load(a_cell(SMALL, "symmetric", 0.3, verified=0.05))
    marked = np.random.default_rng(0).random(len(data.y)) < 0.3
    truth, guess = (data.given != data.right)[~data.verified], marked[~data.verified]
    assert _found(marked, data) == pytest.approx(
        {
            "marked": guess.sum(),
            "precision": precision_score(truth, guess),
            "recall": recall_score(truth, guess),
            "f1": f1_score(truth, guess),
        }
    )
    assert _found(np.zeros(len(data.y), dtype=bool), data) == {"marked": 0.0, "recall": 0.0, "f1": 0.0}
    assert _found(None, data) == {}
    assert set(_found(marked, load(a_cell(SMALL, "clean")))) == {"marked", "precision"}


QUICK = ["everything", "perfect"]


def test_a_second_run_does_no_work(tmp_path):
    path = tmp_path / "results.csv"
    wanted = [a_cell(SMALL, "symmetric", 0.3), a_cell(SMALL, "symmetric", 0.3, verified=0.05)]
    assert plan(wanted, [*QUICK, "verified only"], []) == [(wanted[0], QUICK), (wanted[1], [*QUICK, "verified only"])]
    list(run(plan(wanted, QUICK, []), run_cell, RESULTS, path))
    rows = RESULTS.read(path)
    assert plan(wanted, QUICK, rows) == []
    assert plan(wanted, [*QUICK, "verified only"], rows) == [(wanted[1], ["verified only"])]
    assert {RESULTS.cell_of(row) for row in rows} == set(wanted)
    data = problem(wanted[0], load(wanted[0])).data
    expected = row_losses(METHODS["perfect"](problem(wanted[0], data)).proba, data.y_test).mean()
    assert RESULTS.latest(rows)[wanted[0], "perfect"]["loss"] == pytest.approx(expected)


def test_a_failure_is_recorded(monkeypatch):
    def fail(given):
        raise RuntimeError("no luck")

    monkeypatch.setitem(METHODS, "cv", fail)
    monkeypatch.setitem(METHODS, "default", lambda given: Outcome(np.full((len(given.data.y_test), 2), np.nan)))
    rows = run_cell(a_cell(SMALL, "clean"), ["everything", "cv", "default"])
    assert [row["error"] for row in rows] == ["", "RuntimeError: no luck", "ValueError: the loss is nan"]
    assert failures(rows).rows[0] == [f"{SMALL}, clean, C=1, seed 0, verified 0", "cv", "RuntimeError: no luck"]


def tidy():
    """Figures by hand: two strong cells of two sets, a weak one, a clean one."""

    def rows(cell, true_rate, **losses):
        for method, loss in losses.items():
            has_marks = method in ("cv", "cleanlab")
            values = {"loss": loss, "accuracy": 0.9 - loss / 10, "diff_se": 0.05, "n": 110, "n_verified": 10}
            values |= {"true_rate": true_rate, "seconds": 0.5, "base_fits": 10 * loss}
            if has_marks:
                values |= {"marked": 20.0, "precision": 0.5, "rate": 0.25, "rate_low": 0.1, "rate_high": 0.28}
            if has_marks and true_rate:
                values |= {"recall": 0.4, "f1": 0.5 - loss / 10}
            yield RESULTS.row_of(cell, method, **values)

    yield from rows(a_cell("hausa"), 0.3, everything=1.0, perfect=0.5, cv=0.6, cleanlab=1.1)
    yield from rows(a_cell("movie"), 0.2, everything=1.0, perfect=0.5, cv=0.8, cleanlab=1.04)
    yield from rows(a_cell("amazon"), 0.27, everything=0.5, perfect=0.49, cv=0.55, cleanlab=0.5)
    yield from rows(a_cell("amazon", "clean"), 0.0, everything=0.5, perfect=0.5, cv=0.5, cleanlab=0.6)
    yield RESULTS.row_of(a_cell("hausa", seed=1), "cv", error="ValueError: no")
    yield RESULTS.row_of(a_cell("hausa", seed=2), "cv", loss=1.0)  # without the two ends


def test_summary():
    summary = summarise(tidy())
    assert summary.methods == ["everything", "perfect", "cv", "cleanlab"]
    assert summary.recovered["cv"] == pytest.approx(
        {"mean": 0.6, "worst": 0.4, "where": a_cell("movie"), "cells": 2, "below": 0}
    )
    assert summary.recovered["cleanlab"]["mean"] == pytest.approx(-0.14)
    assert summary.recovered["cleanlab"]["below"] == 1
    assert summary.recovered["perfect"]["mean"] == 1.0
    assert summary.by["set"]["hausa"]["cv"]["mean"] == pytest.approx(0.8)
    assert list(summary.by["columns"]) == ["dense, C=1"]
    assert summary.accuracy["cv"] == {
        "mean": pytest.approx(0.9 - 0.65 / 10),
        "by": pytest.approx({"hausa": 0.84, "movie": 0.82, "amazon": 0.845}),
    }
    assert summary.weak["cv"] == pytest.approx(
        {"mean": 0.1, "worst": 0.1, "where": a_cell("amazon"), "marked": 0.2, "cells": 1}
    )
    assert summary.clean["cleanlab"]["worst"] == pytest.approx(0.2)
    assert "everything" not in summary.marks
    assert summary.marks["cv"]["f1"] == pytest.approx(0.5 - 0.65 / 10)
    assert summary.marks["cv"]["cells"] == 3
    assert summary.rates["cv"] == pytest.approx(
        {"error": (-0.05 + 0.05 - 0.02 + 0.25) / 4, "absolute": 0.37 / 4}
        | {"close": 0.75, "covered": 0.5, "width": 0.18, "cells": 4}
    )
    assert summary.cost["cv"] == pytest.approx({"median": 5.75, "most": 8.0, "seconds": 0.5})


def test_text():
    text = {table.title.partition(" (")[0]: table for table in tables(tidy())}
    recovered = text["Recovered of the distance to right labels"]
    assert recovered.columns == ["method", "hausa", "movie", "mean", "worst", "in", "below zero", "cells"]
    assert recovered.rows[2] == ["cv", "0.80", "0.40", "0.60", "0.40", "movie dense, C=1, seed 0", "0", "2"]
    assert text["Estimated share of wrong labels less the true one"].rows[0] == [
        *("cv", "+0.057", "0.092", "0.75", "0.50", "0.18", "4")
    ]
    assert text["Right labels: loss over that of everything"].rows[1][1:3] == ["+20.0 %", "+20.0 %"]
    assert "Recovered by columns" not in text  # a single value
    assert "Recovered by table" not in text


def invoke(*args):
    return CliRunner().invoke(main, ["reproduce", "realnoise", *args])


def test_command(folder, tmp_path):
    path = str(tmp_path / "results.csv")
    args = ["--sets", f"hausa,{SMALL}", "--c", "1", "--seeds", "1", "--methods", "everything,perfect,verified only"]
    args += ["--noise", "real,symmetric=0.3", "--verified", "0,0.05", "--view", "tfidf", "--output", path]
    first = invoke(*args)
    assert first.exit_code == 0, first.output
    assert "4 cells measured" in first.output
    assert "Failures" not in first.output
    assert "real noise, none verified" in first.output
    assert "made noise, 5 % verified" in first.output
    assert "0 cells measured" in invoke(*args).output
    again = invoke("--summary", path)
    assert first.output.partition("Recovered")[2] == again.output.partition("Recovered")[2]


@pytest.mark.parametrize(
    ("option", "message"),
    [
        (("--sets", "igbo"), "set 'igbo' is unknown here"),
        (("--view", "words"), "view 'words' is unknown here"),
        (("--methods", "magic"), "method 'magic' is unknown here"),
        (("--noise", "none"), "noise 'none' is unknown"),
        (("--verified", "5"), "--verified: 5 is no share of verified rows"),
        (("--sets", "hausa", "--noise", "pair=0.1"), "nothing to measure"),
        (("--summary", "no such file"), "does not exist"),
    ],
)
def test_command_names_what_is_wrong(option, message, tmp_path):
    result = invoke("--output", str(tmp_path / "results.csv"), *option)
    assert result.exit_code != 0
    assert message in " ".join(result.output.split())
