"""The measurement behind ``skrdia reproduce``: cells, methods, resume, failures, figures, the command."""

import numpy as np
import pytest
from click.testing import CliRunner
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.preprocessing import scale

from skrdia._train import predict_targets
from skrdia._validation import one_hot
from skrdia.cli import main
from skrdia.reproduce import _methods, _prototype, _runner
from skrdia.reproduce._cells import NOISES, RESULTS, Cell, cells, parse_noise, positions, split
from skrdia.reproduce._cost import measure
from skrdia.reproduce._jobs import run
from skrdia.reproduce._losses import mean_and_error, row_losses
from skrdia.reproduce._methods import METHODS, NO_TRUSTED_METHODS, Outcome, methods_for, problem, unavailable
from skrdia.reproduce._runner import plan, run_cell
from skrdia.reproduce._summary import summarise
from skrdia.reproduce._tables import TABLES, Table, available, draw, load_table, prepare
from skrdia.reproduce._text import failures, tables

SMALL = "breast_cancer_scale"


def a_cell(noise="symmetric", rate=0.4, table=SMALL, seed=0, trusted=0.3, **params):
    return Cell(table, noise, rate, 1.0, seed, trusted, **params)


def toy(n=300, seed=0):
    """Two classes, split by the sum of two columns."""
    X = np.random.default_rng(seed).normal(size=(n, 2))
    return Table("toy", X, (X.sum(axis=1) > 0).astype(int))


def test_embedded_tables_need_no_folder(monkeypatch):
    monkeypatch.delenv("SKRDIA_DATA", raising=False)
    assert available() == [SMALL, "breast_cancer", "digits"]
    assert available(min_rows=1000) == ["digits"]
    X, y = load_table("digits", 500)[1:]
    assert X.shape[0] == len(y) == 500
    np.testing.assert_allclose(np.bincount(y), 500 / 1797 * np.bincount(load_digits().target), atol=1)
    with pytest.raises(ValueError, match="set SKRDIA_DATA to a folder that has"):
        load_table("car")
    with pytest.raises(ValueError, match="table 'cars' is unknown"):
        load_table("cars")


def test_a_table_of_the_folder(monkeypatch, tmp_path):
    (tmp_path / "C").mkdir()
    X, y = np.random.default_rng(0).normal(size=(100, 3)), np.arange(100) % 2
    np.savez(tmp_path / TABLES["car"].file, X=X, y=y, is_categorical=[False] * 3)
    monkeypatch.setenv("SKRDIA_DATA", str(tmp_path))
    assert "car" in available()
    np.testing.assert_array_equal(load_table("car").X, X)


def test_prepare():
    y = np.repeat(["a", "b", "c"], [50, 60, 39])
    X = np.column_stack([np.arange(149.0), np.full(149, 7.0), np.arange(149) % 3])
    X[0] = np.nan
    table, codes = prepare(X, y, categorical=[False, False, True])
    assert np.bincount(codes).tolist() == [50, 60]  # class c has too few rows
    assert table.shape == (110, 4)  # the constant column is gone, the last has become three
    assert table[0].tolist() == [np.median(np.arange(1, 110)), 0.0, 0.0, 0.0]
    np.testing.assert_array_equal(table[1:, 1:].argmax(axis=1), X[1:110, 2])
    table, codes = prepare(X, y, max_rows=90)
    assert np.bincount(codes).tolist() == [41, 49]
    with pytest.raises(ValueError, match="leaves no class with 40 rows"):
        prepare(X, y, max_rows=30)


def test_draw_takes_every_class_by_its_share():
    y = np.repeat([0, 1, 2], [600, 397, 3])
    rows = draw(np.arange(1000), y, 100, np.random.RandomState(0))
    assert len(np.unique(rows)) == 100
    np.testing.assert_allclose(np.bincount(y[rows]), [60, 39, 1], atol=1)


@pytest.mark.parametrize(("noise", "rate"), NOISES)
@pytest.mark.parametrize("trusted", [0.3, 0.05, 0.0])
def test_rows_are_disjoint_and_noise_is_in_the_training_rows_only(noise, rate, trusted):
    table, cell = load_table("breast_cancer"), a_cell(noise, rate, "breast_cancer", trusted=trusted)
    found, data = positions(cell, table), split(cell, table)
    assert len(np.unique(np.concatenate(found))) == sum(map(len, found))
    n = len(table.y)
    assert len(found.test) == round(0.3 * n)
    if noise != "shifted":
        assert sum(map(len, found)) == n
        assert len(found.trusted) == {0.3: round(0.3 * (n - len(found.test))), 0.05: 50, 0.0: 0}[trusted]
    for name, rows in (("y_true", found.train), ("y_val", found.trusted), ("y_test", found.test)):
        np.testing.assert_array_equal(getattr(data, name), table.y[rows])
    wrong = (data.y != data.y_true).mean()
    expected = {"one-sided": rate * (data.y_true == 0).mean(), "group": rate / 2}.get(noise, rate)
    assert wrong == pytest.approx(expected, abs=0.01)
    np.testing.assert_allclose(np.vstack([data.X, data.X_val]).mean(axis=0), 0.0, atol=1e-9)
    assert abs(data.X_test.mean(axis=0)).max() > 1e-3  # the test rows have no say in it


@pytest.mark.parametrize("trusted", [0.3, 0.05])
def test_shifted_rows_come_from_the_right_half(trusted):
    table = toy(1000)
    found = positions(a_cell("shifted", 0.0, trusted=trusted, seed=3), table)
    along = scale(table.X) @ np.random.RandomState(3).normal(size=2)
    near = along > np.median(along)
    assert near[found.test].all()
    assert near[found.trusted].all()
    assert near[found.train].mean() == pytest.approx(0.15, abs=0.01)
    assert len(found.trusted) / (len(found.trusted) + len(found.train)) == pytest.approx(max(trusted, 0.078), abs=0.01)


def test_a_table_that_cannot_be_split():
    X = np.r_[np.full((60, 1), -1.0), np.full((60, 1), 1.0)] + np.linspace(0.0, 0.1, 120)[:, None]
    table = Table("far apart", X, np.repeat([0, 1], 60))
    with pytest.raises(ValueError, match="far apart: in 100 random half-spaces some class is missing"):
        positions(a_cell("shifted", 0.0), table)


def test_cells_and_noise():
    wanted = list(cells(["a", "b"], NOISES, (0.1, 1.0), range(2), (0.3,)))
    assert len(set(wanted)) == len(wanted) == 2 * len(NOISES) * 2 * 2
    assert [cell.seed for cell in wanted] == sorted(cell.seed for cell in wanted)
    assert parse_noise("symmetric") == [("symmetric", rate) for rate in (0.1, 0.2, 0.4, 0.6, 0.8)]
    assert parse_noise("pair=0.5") == [("pair", 0.5)]
    with pytest.raises(ValueError, match="noise 'asymmetric' is unknown"):
        parse_noise("asymmetric")
    with pytest.raises(ValueError, match="it takes no rate"):
        parse_noise("clean=0.1")


def test_losses():
    proba, y = np.random.default_rng(0).dirichlet(np.ones(3), 50), np.arange(50) % 3
    losses = row_losses(proba, y)
    assert losses.mean() == pytest.approx(log_loss(y, proba))
    assert mean_and_error(losses) == pytest.approx((losses.mean(), losses.std(ddof=1) / np.sqrt(50)))
    table = toy()
    model = LogisticRegression().fit(table.X, table.y * 2)  # class 1 is never seen
    assert predict_targets(model, table.X, np.arange(3))[:, 1].max() == 0.0
    assert np.isfinite(row_losses(np.eye(3)[[0]], np.array([1]))).all()


def task_of(cell):
    return problem(cell, split(cell, load_table(cell.table, cell.max_rows)))


def loss_of(outcome, task):
    return row_losses(outcome.proba, task.data.y_test).mean()


@pytest.mark.parametrize("name", ["drop", "relabel", "uids-linear", "uids-sigmoid", "optlr", "random"])
def test_methods_of_the_paper(name):
    task = task_of(a_cell())
    everything, perfect = (loss_of(METHODS[end](task), task) for end in ("everything", "perfect"))
    worst = everything if name in ("drop", "relabel") else 1.1 * everything
    assert perfect < loss_of(METHODS[name](task), task) < worst


def test_ends():
    task = task_of(a_cell())
    data = task.data
    model = LogisticRegression(max_iter=1000).fit(np.vstack([data.X, data.X_val]), np.r_[data.y_true, data.y_val])
    np.testing.assert_allclose(METHODS["perfect"](task).proba, model.predict_proba(data.X_test))
    model.fit(data.X_val, data.y_val)
    np.testing.assert_allclose(METHODS["trusted rows only"](task).proba, model.predict_proba(data.X_test))


def test_auto_and_hindsight():
    task = task_of(a_cell())
    loss = {
        name: loss_of(METHODS[name](task), task) for name in ("everything", "trusted rows only", "auto", "hindsight")
    }
    assert loss["hindsight"] <= loss["trusted rows only"]  # one of the candidates
    assert loss["auto"] < loss["everything"]


def test_auto_without_trusted_rows():
    task = task_of(a_cell(rate=0.2, trusted=0.0))
    outcome = NO_TRUSTED_METHODS["auto"](task)
    wrong = task.data.y != task.data.y_true
    assert outcome.scores[wrong].mean() > outcome.scores[~wrong].mean() + 0.3
    assert loss_of(outcome, task) < loss_of(NO_TRUSTED_METHODS["everything"](task), task)


@pytest.mark.skipif("cleanlab" in unavailable(), reason="compares with cleanlab, which is not installed")
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("trusted", [0.3, 0.0])
def test_cleanlab(trusted):
    task = task_of(a_cell(rate=0.2, trusted=trusted))
    methods = METHODS if trusted else NO_TRUSTED_METHODS
    outcome = methods["cleanlab"](task)
    assert loss_of(outcome, task) < loss_of(methods["everything"](task), task)
    if not trusted:
        wrong = task.data.y != task.data.y_true
        assert outcome.scores[wrong].mean() > outcome.scores[~wrong].mean() + 0.3


def test_methods_for_each_base(monkeypatch):
    assert methods_for("logistic") == list(METHODS)
    assert "prototype" not in methods_for("hgb")
    assert methods_for("logistic", trusted=False) == ["everything", "perfect", "auto", "cleanlab"]
    monkeypatch.setattr(_methods, "find_spec", lambda name: None)
    assert "pip install cleanlab" in unavailable()["cleanlab"]


def test_prototype(monkeypatch):
    monkeypatch.setattr(_prototype, "STRENGTHS", (1.0,))
    monkeypatch.setattr(_prototype, "ALPHAS", (0.2,))
    data = split(a_cell(), toy())
    names = [key for key, _ in _prototype.candidates(data, 1.0)]
    assert len(set(names)) == len(names) == 2 + 2 * 2 + 5 * 2 * 2  # ends, influence, confidence
    base = LogisticRegression()
    targets = _prototype.average_of_best(base, 1.0, data, seed=0)
    assert targets.shape == (len(data.y), 2)
    assert targets.min() >= 0.0
    assert targets.sum(axis=1).max() <= 1.0 + 1e-12
    right, wrong = (targets[np.arange(len(data.y)), y] for y in (data.y_true, 1 - data.y_true))
    assert right.mean() > 5 * wrong.mean()  # 60 % of the given labels are right


def test_prototype_leaves_right_labels_alone(monkeypatch):
    monkeypatch.setattr(_prototype, "STRENGTHS", (1.0,))
    monkeypatch.setattr(
        _prototype, "_folds", lambda y, seed: iter([(rows, rows) for rows in np.array_split(np.arange(len(y)), 2)])
    )
    monkeypatch.setattr(_prototype, "candidates", lambda data, C: iter(nothing_and_worse(data)))
    data = split(a_cell("clean", 0.0), toy())
    targets = _prototype.average_of_best(LogisticRegression(), 1.0, data, seed=0)
    np.testing.assert_array_equal(targets, one_hot(data.y, 2))


def nothing_and_worse(data):
    given = one_hot(data.y, 2)
    return [(_prototype.NOTHING, given), (("worse",), given[:, ::-1])]


def test_results_file(tmp_path):
    path, cell = tmp_path / "results.csv", a_cell(rate=0.1)
    assert RESULTS.read(path) == []
    RESULTS.append(path, [RESULTS.row_of(cell, "auto", loss=0.1 + 0.2)])
    RESULTS.append(path, [RESULTS.row_of(cell, "drop", error="ValueError: two\nlines, and a comma")])
    with path.open("a") as file:
        file.write("logistic,cut o")  # an interrupted run
    rows = RESULTS.read(path)
    assert [row["method"] for row in rows] == ["auto", "drop"]
    assert RESULTS.cell_of(rows[0]) == cell
    assert rows[0]["loss"] == 0.1 + 0.2
    assert np.isnan(rows[0]["diff_se"])
    assert rows[1]["error"] == "ValueError: two lines, and a comma"
    RESULTS.append(path, [RESULTS.row_of(cell, "drop", loss=1.0)])
    assert [row["error"] for row in RESULTS.latest(RESULTS.read(path)).values()] == ["", ""]
    path.write_text("a,b\n1,2\n")
    with pytest.raises(ValueError, match="has other columns"):
        RESULTS.read(path)


QUICK = ["everything", "perfect", "trusted rows only"]


def test_a_second_run_does_no_work(tmp_path):
    path = tmp_path / "results.csv"
    wanted = [a_cell(), a_cell("clean", 0.0), a_cell(seed=1)]
    jobs = plan(wanted, QUICK, RESULTS.read(path))
    assert jobs == [(cell, QUICK) for cell in wanted]
    assert len(list(run(jobs[:2], run_cell, RESULTS, path))) == 2
    assert plan(wanted, QUICK, RESULTS.read(path)) == [(wanted[2], QUICK)]
    list(run(jobs[2:], run_cell, RESULTS, path))
    assert plan(wanted, QUICK, RESULTS.read(path)) == []
    assert plan(wanted[:1], [*QUICK, "drop"], RESULTS.read(path)) == [(wanted[0], ["drop"])]
    rows = RESULTS.latest(RESULTS.read(path))
    assert len(rows) == 9
    assert rows[wanted[0], "everything"]["diff_se"] == 0.0
    assert rows[wanted[0], "perfect"]["diff_se"] > 0.0
    assert rows[wanted[0], "perfect"]["n_trusted"] == 143
    assert rows[wanted[0], "perfect"]["accuracy"] > 0.9


def test_slow_methods_run_for_the_first_seeds():
    jobs = plan([a_cell(seed=0), a_cell(seed=1)], ["auto", "hindsight"], [], slow_seeds=1)
    assert [methods for _, methods in jobs] == [["auto", "hindsight"], ["auto"]]


def test_a_failure_is_recorded_and_tried_again(monkeypatch, tmp_path):
    def fail(task):
        raise RuntimeError("no luck")

    path, wanted = tmp_path / "results.csv", [a_cell(), a_cell(table="no such table")]
    monkeypatch.setitem(METHODS, "drop", fail)
    list(run(plan(wanted, [*QUICK, "drop"], []), run_cell, RESULTS, path))
    rows = RESULTS.read(path)
    failed = {(row["table"], row["method"]): row["error"] for row in rows if row["error"]}
    assert failed.pop((SMALL, "drop")) == "RuntimeError: no luck"
    assert {key: "is unknown" in text for key, text in failed.items()} == {
        ("no such table", name): True for name in [*QUICK, "drop"]
    }
    assert [methods for _, methods in plan(wanted, [*QUICK, "drop"], rows)] == [["drop"], [*QUICK, "drop"]]
    assert [line[1] for line in failures(rows).rows] == ["drop", *QUICK, "drop"]
    assert len(summarise(rows).methods) == 3


def test_paired_errors(monkeypatch):
    monkeypatch.setitem(METHODS, "auto", METHODS["trusted rows only"])
    cell = a_cell()
    rows = {row["method"]: row for row in run_cell(cell, ["everything", "auto"])}
    task = task_of(cell)
    losses = [row_losses(METHODS[name](task).proba, task.data.y_test) for name in ("everything", "auto")]
    error = mean_and_error(losses[0] - losses[1])[1]
    assert rows["auto"]["diff_se"] == rows["everything"]["auto_se"] == pytest.approx(error)
    assert rows["auto"]["auto_se"] == rows["everything"]["diff_se"] == 0.0


def test_scores_are_measured_without_trusted_rows(monkeypatch):
    def oracle(task):
        data = task.data
        return Outcome(_runner.NO_TRUSTED_METHODS["perfect"](task).proba, (data.y != data.y_true).astype(float))

    monkeypatch.setitem(NO_TRUSTED_METHODS, "auto", oracle)
    rows = {row["method"]: row for row in run_cell(a_cell(trusted=0.0), ["everything", "perfect", "auto"])}
    assert rows["auto"]["auroc"] == rows["auto"]["average_precision"] == 1.0
    assert np.isnan(rows["everything"]["auroc"])
    assert rows["auto"]["loss"] == rows["perfect"]["loss"]
    found = summarise(rows.values()).found["symmetric 0.4"]["auto"]
    assert found == {"auroc": 1.0, "average_precision": 1.0, "cells": 1}


def test_a_base_without_influence():
    cell = a_cell(base="hgb")
    task = task_of(cell)
    assert task.base.__class__.__name__ == "HistGradientBoostingClassifier"
    assert task.detector[-1].C == cell.C
    assert loss_of(METHODS["perfect"](task), task) < loss_of(METHODS["everything"](task), task)


def tidy():
    """Losses by hand: two strong cells, a weak one, two clean ones, a shifted one."""

    def rows(cell, n_trusted=250, **losses):
        for method, loss in losses.items():
            values = {
                "loss": loss,
                "accuracy": 0.9,
                "diff_se": 0.05,
                "auto_se": 0.05,
                "n_trusted": n_trusted,
                "seconds": 1.0,
            }
            yield RESULTS.row_of(cell, {"trusted_only": "trusted rows only"}.get(method, method), **values)

    strong = {"everything": 1.0, "perfect": 0.5}
    yield from rows(a_cell(), **strong, auto=0.6, drop=1.04, prototype=0.7, hindsight=0.55)
    yield from rows(a_cell(table="car", rate=0.2), **strong, auto=0.7, drop=1.1)
    yield from rows(a_cell(rate=0.1), everything=0.52, perfect=0.5, auto=0.546, drop=0.52)
    yield from rows(a_cell("clean", 0.0), everything=0.5, perfect=0.5, auto=0.5, drop=0.54)
    yield from rows(a_cell("clean", 0.0, trusted=0.05), n_trusted=50, everything=0.5, perfect=0.5, auto=0.6, drop=0.5)
    yield from rows(a_cell("shifted", 0.0), everything=0.5, perfect=0.5, auto=0.4, drop=0.55)
    yield RESULTS.row_of(a_cell(seed=4), "auto", error="ValueError: no")
    yield RESULTS.row_of(a_cell(seed=3), "auto", loss=1.0)  # without the two ends


def test_summary():
    summary = summarise(tidy())
    assert summary.methods == ["everything", "perfect", "auto", "drop", "prototype", "hindsight"]
    assert summary.recovered["auto"] == pytest.approx(
        {"mean": 0.7, "median": 0.7, "cells": 2, "below": 0, "accuracy": 0.9, "seconds": 1.0}
    )
    assert summary.recovered["drop"]["mean"] == pytest.approx(-0.14)
    assert summary.recovered["drop"]["below"] == 1
    assert summary.recovered["perfect"]["mean"] == 1.0
    assert summary.recovered["everything"]["mean"] == 0.0
    assert summary.by["table"]["car"] == pytest.approx({"auto": 0.6, "drop": -0.2})
    assert summary.by["noise"]["symmetric 0.4"]["auto"] == pytest.approx(0.8)
    assert summary.weak["auto"]["worst"] == pytest.approx(0.05)
    assert summary.weak["auto"]["mean"] == summary.weak["auto"]["worst"]
    assert summary.weak["auto"]["where"] == a_cell(rate=0.1)
    assert summary.clean["auto"]["mean"] == pytest.approx(0.1)
    assert summary.clean["auto"]["worst"] == pytest.approx(0.2)
    assert summary.clean["auto"]["cells_many"] == 1
    assert summary.clean["auto"]["mean_many"] == summary.clean["auto"]["worst_many"] == 0.0
    assert summary.clean["drop"]["worst_many"] == pytest.approx(0.08)
    assert summary.shifted["auto"]["gain"] == pytest.approx(0.2)
    assert summary.against["drop"] == pytest.approx(
        {"noisy": (1 + 1 + 0.5) / 3, "all": (1 + 1 + 0.5 + 0.5 + 0 + 1) / 6, "cells": 6}
    )
    assert summary.against["prototype"]["cells"] == 1
    assert "hindsight" not in summary.against
    assert summary.gaps["hindsight"] == pytest.approx({"auto": 0.8, "other": 0.9, "gap": 0.1, "cells": 1})
    assert summary.gaps["prototype"] == pytest.approx({"auto": 0.8, "other": 0.6, "gap": -0.2, "cells": 1})
    assert summary.easy["auto"]["cells"] == 1
    assert summary.found == {}


def test_rows_of_different_runs_have_no_paired_error():
    rows = [row | {"auto_se": np.nan} for row in tidy() if RESULTS.cell_of(row) == a_cell()]
    assert summarise(rows).against["prototype"]["all"] == 1.0  # 0.1 better, over 0.05 root 2
    rows = [row | {"diff_se": 0.1} for row in rows]
    assert summarise(rows).against["prototype"]["all"] == 0.5


def test_text():
    text = {table.title.partition(" (")[0]: table for table in tables(tidy())}
    assert text["Recovered of the distance to perfect labels"].rows[2] == [
        "auto",
        "0.70",
        "0.70",
        "2",
        "0",
        "0.90",
        "1.00",
    ]
    assert text["Recovered by table"].rows[1][:2] == ["car", "0.60"]
    assert "Recovered by C" not in text  # a single value
    assert text["Right labels: loss over that of everything"].rows[0] == [
        "auto",
        "+10.0 %",
        "+20.0 %",
        "2",
        "+0.0 %",
        "+0.0 %",
        "1",
    ]


def invoke(*args):
    return CliRunner().invoke(main, ["reproduce", *args])


def test_command(tmp_path, monkeypatch):
    monkeypatch.delenv("SKRDIA_DATA", raising=False)
    path = str(tmp_path / "results.csv")
    args = ["autorepair", "--tables", SMALL, "--noise", "symmetric=0.4,clean", "--c", "1", "--seeds", "1"]
    args += ["--trusted", "0.3", "--methods", "everything,perfect,trusted rows only,drop", "--output", path]
    first = invoke(*args)
    assert first.exit_code == 0, first.output
    assert "2 cells measured" in first.output
    assert "Failures" not in first.output
    second = invoke(*args)
    assert "0 cells measured" in second.output
    again = invoke("autorepair", "--summary", path)
    assert first.output.partition("Recovered")[2] == again.output.partition("Recovered")[2]
    assert "Right labels" in again.output


@pytest.mark.parametrize(
    ("option", "message"),
    [
        (("--tables", "cars"), "table 'cars' is unknown here"),
        (("--methods", "auto,prototype", "--base", "hgb"), "method 'prototype' is unknown here"),
        (("--noise", "none"), "noise 'none' is unknown"),
        (("--c", "one"), "'one' is not a list such as"),
        (("--summary", "no such file"), "does not exist"),
    ],
)
def test_command_names_what_is_wrong(option, message, tmp_path):
    result = invoke("autorepair", "--output", str(tmp_path / "results.csv"), *option)
    assert result.exit_code != 0
    assert message in " ".join(result.output.split())


def test_cost_command():
    result = invoke("cost", "--sizes", "200", "--repeats", "1")
    assert result.exit_code == 0, result.output
    assert "base fits" in result.output
    assert "│ 200 " in result.output


def test_medians_of_turns():
    turns = []
    seconds = measure([lambda: turns.append("a"), lambda: turns.append("b")], 3)
    assert turns == ["a", "b"] * 3
    assert len(seconds) == 2
    assert min(seconds) >= 0.0
