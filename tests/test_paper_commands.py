"""The commands that write the paper's tables and figures."""

import sys
from dataclasses import replace
from datetime import date

import numpy as np
import pandas as pd
import pytest
import sklearn
from click.testing import CliRunner
from scipy.special import expit
from sklearn.linear_model import LogisticRegression
from sklearn.utils import Bunch

from skrdia.cli import main
from skrdia.datasets import PAPER_DATASETS, _paper_files
from skrdia.reproduce import _curves, _paper_cells, _paper_report, _pictures, _timing
from skrdia.reproduce._drawing import new_figure
from skrdia.reproduce._experiments import EXPERIMENTS
from skrdia.reproduce._names import SIZES
from skrdia.reproduce._paper_cells import RESULTS, PaperCell, load
from skrdia.reproduce._paper_methods import METHODS

CANCER = "breast-cancer"
DOWNLOAD = _paper_files._download


@pytest.fixture
def command(monkeypatch, tmp_path):
    """Run a command where no file of any data set is, and none can be downloaded; results go to tmp_path / "out"."""

    def refuse(file, cache):
        raise FileNotFoundError(f"{file.url} could not be downloaded: no network here")

    monkeypatch.delenv("SKRDIA_DATA", raising=False)
    monkeypatch.setenv("SCIKIT_LEARN_DATA", str(tmp_path / "sklearn"))
    monkeypatch.setattr(_paper_files, "_download", refuse)

    def run(*args):
        args = ["reproduce", *args, "--output", str(tmp_path / "out")]
        monkeypatch.setattr(sys, "argv", ["/usr/bin/skrdia", *args])
        return CliRunner().invoke(main, args)

    return run


@pytest.fixture
def figures(monkeypatch):
    """The figures that are drawn."""
    drawn = []

    def keep(*size):
        drawn.append(new_figure(*size))
        return drawn[-1]

    monkeypatch.setattr(_curves, "new_figure", keep)
    monkeypatch.setattr(_pictures, "new_figure", keep)
    return drawn


QUICK = ("table1", "--datasets", CANCER, "--seeds", "2", "--methods", "erm,dropout,optlr,rdia best on test")


def test_table1(command, tmp_path):
    result = command(*QUICK)
    assert result.exit_code == 0, result.output
    assert "4 cells measured" in result.output
    rows = RESULTS.read(tmp_path / "out" / "cells.csv")
    assert len(rows) == 4 + 1 + 1 + 1  # of the second seed optlr, and erm on both random splits
    text = (tmp_path / "out" / "table1.md").read_text()
    assert text.startswith("# Table 1")
    assert "`skrdia reproduce table1 --datasets breast-cancer --seeds 2 --methods 'erm,dropout,optlr,rdia best" in text
    assert f"{date.today()}, skrdia " in text
    assert f"numpy {np.__version__}, " in text
    assert f"scikit-learn {sklearn.__version__}." in text
    assert "| paper | erm | 0.0914 | 0.0914 | +0.0 % | 1 |" in text
    assert "| paper | dropout | 0.0731 ± 0.0014 | 0.0731 | +0.0 % | 1 |" in text
    assert "| paper | rdia best on test | 0.0649 ± 0.0001 | 0.0650 | +0.1 % | 1 |" in text
    figures = pd.read_csv(tmp_path / "out" / "table1.csv").set_index(["split", "method"])
    losses = [row["loss"] for row in rows if row["method"] == "optlr"]
    assert figures.loc[("paper", "optlr"), "ours"] == pytest.approx(np.mean(losses))
    assert figures.loc[("paper", "optlr"), "ours_std"] == pytest.approx(abs(losses[0] - losses[1]) / np.sqrt(2))
    assert figures.loc[("random", "erm"), ["paper", "runs"]].tolist() == [0.0914, 2]
    assert "Failures" not in result.output
    assert "missing" not in text


def counted(monkeypatch):
    """The cells that are measured from now on."""
    calls, run_cell = [], _paper_report.run_cell
    monkeypatch.setattr(
        _paper_report, "run_cell", lambda cell, methods: calls.append((cell, methods)) or run_cell(cell, methods)
    )
    return calls


def test_a_second_run_measures_what_is_missing(command, monkeypatch, tmp_path):
    first, out = command(*QUICK), tmp_path / "out"
    calls, text = counted(monkeypatch), (out / "table1.md").read_text()
    again = command(*QUICK)
    assert calls == []
    assert "0 cells measured" in again.output
    assert again.output.partition("Table 1")[2] == first.output.partition("Table 1")[2]
    assert (out / "table1.md").read_text() == text

    whole = (out / "cells.csv").read_bytes()
    (out / "cells.csv").write_bytes(whole[:-30])  # an interrupted run
    command(*QUICK)
    last = RESULTS.read(out / "cells.csv")[-1]
    assert calls == [(RESULTS.cell_of(last), [last["method"]])]
    assert len((out / "cells.csv").read_bytes().splitlines()) == len(whole.splitlines())
    assert (out / "table1.md").read_text() == text

    calls.clear()
    command(*QUICK[:-1], "erm,uids-linear")
    assert calls == [(PaperCell(CANCER, seed=seed), ["uids-linear"]) for seed in range(2)]


def test_a_failure_is_listed_and_tried_again(command, monkeypatch, tmp_path):
    def fail(task):
        raise RuntimeError("no | luck [/here]")

    with monkeypatch.context() as patch:
        patch.setitem(METHODS, "dropout", fail)
        result = command(*QUICK)
    assert result.exit_code == 0, result.output
    assert "RuntimeError: no | luck [/here]" in result.output
    text = (tmp_path / "out" / "table1.md").read_text()
    assert "| paper | dropout | 0.0731 ± 0.0014 | failed | - | 0 |" in text
    assert r"| dropout | RuntimeError: no \| luck [/here] |" in text.partition("## Failures")[2]
    calls = counted(monkeypatch)
    result = command(*QUICK)
    assert calls == [(PaperCell(CANCER), ["dropout"])]
    assert "Failures" not in result.output
    assert "| 0.0731 | +0.0 % |" in (tmp_path / "out" / "table1.md").read_text()


def test_missing_data(command, tmp_path):
    result = command("table1", "--datasets", f"adult,{CANCER},criteo", "--seeds", "1", "--methods", "erm")
    assert result.exit_code == 0, result.output
    text = (tmp_path / "out" / "table1.md").read_text()
    assert "| adult | paper | erm | 0.3383 | missing | - | 0 |" in text
    assert "| breast-cancer | paper | erm | 0.0914 | 0.0914 |" in text
    listed = text.partition("## Data sets that are missing")[2]
    for word in ("a1a.t from https://", "SKRDIA_DATA names (now unset)", "could not be downloaded: no network here"):
        assert word in listed
    assert "a1a.t from" in result.output
    assert "criteo.kaggle2014" in listed
    assert pd.read_csv(tmp_path / "out" / "table1.csv")["note"].value_counts().to_dict() == {"missing": 4}


def test_an_extra_that_is_missing_is_named_in_full(command, monkeypatch):
    monkeypatch.setattr(_paper_files, "_download", DOWNLOAD)
    monkeypatch.setitem(sys.modules, "pooch", None)
    result = command("table10", "--datasets", "news20")
    assert result.exit_code == 0, result.output
    assert "pip install 'skrdia[data]'" in " ".join(result.output.replace("│", " ").split())


def test_figure2(command, figures, tmp_path):
    args = ("--datasets", CANCER, "--seeds", "2", "--methods", "erm,dropout,perfect and validation", "--noise", "0,0.4")
    result = command("figure2", *args)
    assert result.exit_code == 0, result.output
    assert (tmp_path / "out" / "figure2.png").read_bytes().startswith(b"\x89PNG")
    assert (tmp_path / "out" / "figure2.png").stat().st_size > 5000
    text = (tmp_path / "out" / "figure2.md").read_text()
    assert "| 0.0 | dropout | 0.0731 ± 0.0014 | 0.0731 | +0.0 % | 1 |" in text
    read = pd.read_csv(tmp_path / "out" / "figure2.csv")
    assert read.loc[read["noise"] > 0.0, "paper"].isna().all()
    (panel,) = figures[-1].axes
    assert panel.get_title() == CANCER
    for curve in panel.lines:
        found = read[read["method"] == curve.get_label()]
        np.testing.assert_allclose(curve.get_xydata(), found[["noise", "ours"]])
    assert len(panel.lines) == 3
    top = panel.collections[0].get_paths()[0].vertices[:, 1].max()
    noisy = read[(read["method"] == "erm") & (read["noise"] == 0.4)].iloc[0]
    assert noisy["runs"] == 2
    assert top == pytest.approx(noisy["ours"] + noisy["ours_std"])


def test_a_name_that_is_repeated_counts_once(command, tmp_path):
    args = ("figure2", "--datasets", f"{CANCER},{CANCER}", "--seeds", "1", "--methods", "erm,erm", "--noise", "0,0.0")
    assert "1 cells measured" in command(*args).output
    assert pd.read_csv(tmp_path / "out" / "figure2.csv")["runs"].tolist() == [1]


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (("table1", "--datasets", "iris"), "data set 'iris' is unknown here; use some of breast-cancer, diabetes"),
        (("table10", "--datasets", "iris"), "data set 'iris' is unknown here; use some of breast-cancer"),
        (("figure3", "--datasets", "adult"), "data set 'adult' is unknown here; use some of mnist, cifar10"),
        (("table1", "--methods", "erm,magic"), "method 'magic' is unknown here; use some of erm, random"),
        (("table3", "--methods", "optlr"), "method 'optlr' is unknown here; use some of erm, rdia at 0.01"),
        (("figure2", "--noise", "0.2,1"), "1 is no share of flipped labels; use numbers from 0 to below 1"),
        (("figure3", "--noise", "-0.1"), "-0.1 is no share of flipped labels"),
        (("table1", "--noise", "nan"), "nan is no share of flipped labels"),
        (("table1", "--noise", "half"), "'half' is not a list such as 0.1,1"),
        (("table4", "--seeds", "0"), "0 is not in the range x>=1"),
    ],
)
def test_what_is_wrong_is_named(command, tmp_path, args, message):
    result = command(*args)
    assert result.exit_code != 0
    assert message in " ".join(result.output.split())
    assert not (tmp_path / "out").exists()


def test_a_folder_of_another_kind(command, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "cells.csv").write_text("a,b\n1,2\n")
    result = command(*QUICK)
    assert result.exit_code == 1
    assert "cells.csv has other columns than" in result.output


@pytest.mark.parametrize("name", ["figure2", "figure3", "all"])
def test_drawing_names_its_extra_before_anything_is_measured(command, monkeypatch, tmp_path, name):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    result = command(name)
    assert result.exit_code == 1
    assert "pip install 'skrdia[plot]'" in result.output
    assert not (tmp_path / "out").exists()


def test_all(command, monkeypatch, tmp_path):
    for name in EXPERIMENTS:
        few = replace(EXPERIMENTS[name], methods={"paper": ("erm", "rdia")}, noises=(0.0,), n_vals=(0,))
        monkeypatch.setitem(EXPERIMENTS, name, few)
    monkeypatch.setattr(_paper_report, "TIMED", (CANCER, "diabetes"))
    result = command("all", "--seeds", "2")
    assert result.exit_code == 0, result.output
    written = {path.name for path in (tmp_path / "out").iterdir()}
    tables = {"table1.md", "table3.md", "table4.md", "figure2.md", "figure3.md", "table10.md", "figure2.png"}
    assert written == tables | {"cells.csv", "table1.csv", "table3.csv", "table4.csv", "figure2.csv"}
    first, third, last = ((tmp_path / "out" / f"table{number}.md").read_text() for number in (1, 3, 10))
    for name in set(PAPER_DATASETS) - {CANCER}:
        assert f"| {name} | rdia |" in first
        assert f"\n| {name} | " in first.partition("## Data sets that are missing")[2]
    assert "train-images-idx3-ubyte.gz from https://" in third
    assert "| diabetes | - | - | 0.03 | missing | - | - | - |" in last
    assert "| breast-cancer | 350 | 10 | - | 0." in last
    methods = [row["method"] for row in RESULTS.read(tmp_path / "out" / "cells.csv")]
    assert sorted(methods) == ["erm", "rdia", "step II"]


# ------------------------------------------------------------------------------------------------ Figure 3 and Table 10


@pytest.fixture(params=[(4, 3), (2, 2, 3)])
def images(request, monkeypatch):
    """Images of two kinds in the place of every data set."""
    rng = np.random.default_rng(0)
    bunch = Bunch(title="Toys", image_shape=request.param, target_names=["ball", "cube"], departure="")
    for name, n in (("train", 60), ("val", 10), ("test", 30)):
        y = np.arange(n) % 2
        bunch[f"y_{name}"] = y
        bunch[f"X_{name}"] = rng.uniform(size=(n, 12)) * np.where(y[:, None] == np.arange(12) // 6, 1.0, 0.7)
    _paper_cells._fetch.cache_clear()
    for module in (_paper_cells, _paper_report, _pictures):
        monkeypatch.setattr(module, "fetch_paper_dataset", lambda name: bunch)
    yield bunch
    _paper_cells._fetch.cache_clear()


def harmful_by_hand(data, label):
    """The test row, and the influence of every training row with the same label, from a dense Hessian."""
    fits = [LogisticRegression(C=0.1, fit_intercept=False, tol=1e-10).fit(data.X, y) for y in (data.y_true, data.y)]
    right = np.flatnonzero((data.y_test == label) & (fits[0].predict(data.X_test) == label))
    row = right[fits[0].predict_proba(data.X_test[right])[:, label].argmin()]
    p, p_test = (expit(X @ fits[1].coef_[0]) for X in (data.X, data.X_test[row]))
    hessian = (data.X.T * (p * (1.0 - p))) @ data.X + np.eye(12) / 0.1
    s = np.linalg.solve(hessian / len(p), (p_test - label) * data.X_test[row])
    return row, np.where(data.y == label, -(data.X @ s) * (p - data.y), -np.inf)


def test_figure3(command, images, figures, tmp_path):
    result = command("figure3", "--datasets", "mnist")
    assert result.exit_code == 0, result.output
    assert (tmp_path / "out" / "figure3.png").stat().st_size > 5000
    rows = _pictures.RESULTS.read(tmp_path / "out" / "figure3.csv")
    assert [(row["noise"], row["label"]) for row in rows] == [
        (noise, label) for noise in (0.0, 0.5) for label in (0, 1) for _ in range(3)
    ]
    axes = iter(figures[-1].axes)
    for start in range(0, 12, 3):
        found, first = rows[start : start + 3], rows[start]
        data, label = load(PaperCell("mnist", first["noise"])), first["label"]
        row, phi = harmful_by_hand(data, label)
        worst = np.argsort(-phi)[:3]
        assert {line["test_row"] for line in found} == {row}
        assert [line["train_row"] for line in found] == worst.tolist()
        np.testing.assert_allclose([line["influence"] for line in found], phi[worst], rtol=1e-3)
        assert [line["true_label"] for line in found] == images.y_train[worst].tolist()
        for image, axis in zip([images.X_test[row], *images.X_train[worst]], axes, strict=False):
            np.testing.assert_array_equal(axis.images[0].get_array(), image.reshape(images.image_shape))
    names = [axis.get_title().split("\n")[1:] for axis in figures[-1].axes if "Toys" not in axis.get_title()]
    for row, lines_below in zip(rows, names, strict=True):
        given, right = (images.target_names[row[key]] for key in ("label", "true_label"))
        assert lines_below == ([right] if given == right else [right, f"labelled {given}"])
    assert all(row["label"] == row["true_label"] for row in rows[:6])
    assert any(row["label"] != row["true_label"] for row in rows[6:])
    assert "0 cells measured" in command("figure3", "--datasets", "mnist").output


def test_an_image_that_no_model_gets_right_is_a_failure(command, images, figures, tmp_path):
    images.y_test[:] = 0
    result = command("figure3", "--datasets", "cifar10", "--noise", "0")
    assert result.exit_code == 0, result.output
    assert (
        "| Picture(dataset='cifar10', noise=0.0, label=1, model='logistic') | third | ValueError: "
        in (tmp_path / "out" / "figure3.md").read_text().partition("## Failures")[2]
    )
    rows = _pictures.RESULTS.read(tmp_path / "out" / "figure3.csv")
    assert [bool(row["error"]) for row in rows] == [False] * 3 + [True] * 3
    assert len(figures[-1].axes) == 4


def test_time_in_a_process_of_its_own():
    (row,) = _timing.time_apart(PaperCell(CANCER), ["step II"])
    assert (row["method"], row["error"], row["n_train"], row["n_features"]) == ("step II", "", 350, 10)
    assert 0.0 < row["seconds"] < 10.0
    assert 0.0 < row["fit_seconds"] < 10.0
    assert np.isnan(row["gigabytes"]) or 0.02 < row["gigabytes"] < 2.0


def test_a_synthetic_size(monkeypatch):
    monkeypatch.setitem(SIZES, "criteo-size", (2000, 300, 5))
    found = _timing._time(PaperCell("criteo-size"))
    assert (found["n_train"], found["n_features"]) == (1400, 300)
    assert found["seconds"] > 0.0
    data = _timing._synthetic(2000, 300, 5)
    assert (data.X.shape, data.X_val.shape, len(data.y_val)) == ((1400, 300), (600, 300), 600)
    assert data.X.nnz == 1400 * 5


def test_table10():
    timed = {"n_train": 1000, "n_features": 20, "seconds": 3.0, "fit_seconds": 0.5, "gigabytes": 1.26}
    rows = [
        RESULTS.row_of(PaperCell("avazu-size"), "step II", **timed),
        RESULTS.row_of(PaperCell("diabetes"), "step II", **timed | {"fit_seconds": 0.0, "gigabytes": np.nan}),
        RESULTS.row_of(PaperCell("mnist"), "step II", error="MemoryError: no"),
    ]
    wanted = _timing.jobs(["avazu-size", "diabetes", "mnist", "adult", "covtype"])
    assert _timing.table(rows, wanted, {"adult": "put it there"}).rows == [
        ["avazu-size", "1,000", "20", "252.00", "3.00", "0.50", "6.00", "1.3"],
        ["diabetes", "1,000", "20", "0.03", "3.00", "0.00", "3,000.00", "-"],
        ["mnist", "-", "-", "-", "failed", "-", "-", "-"],
        ["adult", "-", "-", "-", "missing", "-", "-", "-"],
        ["covtype", "-", "-", "-", "not run", "-", "-", "-"],
    ]
