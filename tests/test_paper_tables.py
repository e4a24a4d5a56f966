"""What stands in the paper's tables: its figures, the runs of each, and the summary."""

import numpy as np
import pandas as pd
import pytest

from skrdia.datasets import PAPER_DATASETS
from skrdia.reproduce._experiments import EXPERIMENTS, Experiment, jobs
from skrdia.reproduce._names import DRAWS
from skrdia.reproduce._paper_cells import RESULTS, PaperCell
from skrdia.reproduce._paper_methods import METHODS
from skrdia.reproduce._paper_summary import Line, contest, lines, table, write_csv
from skrdia.reproduce._published import TABLE_1, TABLE_3, TABLE_3_CHANGED, TABLE_4, TABLE_4_VALIDATION, Figure
from skrdia.reproduce._text import TextTable, markdown

CANCER = "breast-cancer"


# ------------------------------------------------------------------------------------------------- the paper's figures


def test_figures_of_the_paper():
    assert set(TABLE_1) == set(PAPER_DATASETS)
    assert all(set(line) <= set(METHODS) for line in TABLE_1.values())
    erm = [line["erm"].mean for line in TABLE_1.values()]
    assert erm == [0.0914, 0.5170, 0.5157, 0.3383, 0.2606, 0.4911, 0.6936, 0.3449, 0.0245, 0.5952]
    assert TABLE_1["covtype"]["uids-sigmoid"] == (0.6784, 0.0032)
    assert all(line["rdia"] == min(line.values()) for name, line in TABLE_1.items() if name != "adult")
    assert TABLE_3[0.0]["erm"].mean == TABLE_1["mnist"]["erm"].mean
    assert TABLE_3[0.0]["rdia at 0.002"].mean == TABLE_1["mnist"]["rdia"].mean
    for changed in TABLE_3_CHANGED.values():
        assert changed["rdia at 0.01"] < changed["rdia at 0.002"] < changed["rdia at 0.0002"]
    for given in (TABLE_4, TABLE_4_VALIDATION):
        assert list(given) == [100, 200, 500, 1000]
        assert all(line["rdia"] < line["uids-linear"] < line["erm"] for line in given.values())


@pytest.mark.parametrize(
    ("name", "cell", "method", "quantity", "mean"),
    [
        ("table1", PaperCell("adult"), "optlr", "loss", 0.3547),
        ("table1", PaperCell("adult", 0.2), "optlr", "loss", None),
        ("table1", PaperCell("adult"), "auto", "loss", None),
        ("table1", PaperCell("news20-bydate"), "erm", "loss", None),
        ("figure2", PaperCell("diabetes"), "random", "loss", 0.5461),
        ("figure2", PaperCell("diabetes", 0.2), "random", "loss", None),
        ("table3", PaperCell("mnist-11684", 0.5), "rdia at 0.002", "n_changed", 4139),
        ("table3", PaperCell("mnist", 0.8), "rdia at 0.01", "loss", 0.1009),
        ("table3", PaperCell("diabetes", 0.8), "rdia at 0.01", "loss", None),
        ("table4", PaperCell("mnist", 0.4, n_val=200), "rdia", "loss", 0.2080),
        ("table4", PaperCell("mnist", 0.4, n_val=200), "erm", "validation_loss", 0.5309),
        ("table4", PaperCell("mnist", 0.2, n_val=200), "erm", "loss", None),
        ("table4", PaperCell("mnist", 0.4, n_val=300), "erm", "loss", None),
    ],
)
def test_which_figure_stands_beside_a_cell(name, cell, method, quantity, mean):
    figure = EXPERIMENTS[name].published(cell, method, quantity)
    assert (figure and figure.mean) == mean


# ---------------------------------------------------------------------------------------------- what is to be measured


def test_jobs_of_clean_labels():
    experiment = EXPERIMENTS["table1"]
    found = jobs(experiment, ["diabetes", CANCER], (0.0,), 3)
    assert [cell.seed for cell, _ in found] == sorted(cell.seed for cell, _ in found)
    assert [(cell.dataset, cell.split) for cell, _ in found if cell.seed == 0] == [
        ("diabetes", "paper"),
        ("diabetes", "random"),
        (CANCER, "paper"),
        (CANCER, "random"),
    ]
    for cell, methods in found:
        assert methods == [
            name for name in experiment.methods[cell.split] if cell.split == "random" or not cell.seed or name in DRAWS
        ]
    assert jobs(experiment, [CANCER], (0.0,), 2, ["erm", "optlr"]) == [
        (PaperCell(CANCER), ["erm", "optlr"]),
        (PaperCell(CANCER, split="random"), ["erm"]),
        (PaperCell(CANCER, seed=1), ["optlr"]),
        (PaperCell(CANCER, split="random", seed=1), ["erm"]),
    ]


@pytest.mark.parametrize(("name", "noises", "n_cells"), [("figure2", (0.4, 0.8), 2), ("table4", (0.0,), 4)])
def test_every_method_runs_for_every_seed_where_the_cell_draws(name, noises, n_cells):
    found = jobs(EXPERIMENTS[name], ["mnist"], noises, 3, ["erm"])
    assert [methods for _, methods in found] == [["erm"]] * 3 * n_cells


# -------------------------------------------------------------------------------------------------------------- summary

SMALL = Experiment(
    "small",
    "Small",
    ("a", "b"),
    {"paper": ("erm", "rdia")},
    lambda cell, method, quantity: Figure(0.5, 0.01) if (cell.dataset, method) == ("a", "rdia") else None,
)


def rows_by_hand():
    """Three runs of RDIA on data set a, one of ERM, which failed before; on b a failure; nothing of c and d."""
    return [
        RESULTS.row_of(PaperCell("a"), "erm", error="ValueError: no"),
        RESULTS.row_of(PaperCell("a"), "erm", loss=0.6),
        *(RESULTS.row_of(PaperCell("a", seed=seed), "rdia", loss=loss) for seed, loss in enumerate((0.4, 0.5, 0.9))),
        RESULTS.row_of(PaperCell("b"), "erm", error="ValueError: no"),
        RESULTS.row_of(PaperCell("a", 0.4), "erm", loss=7.0),
    ]


def jobs_by_hand():
    return [
        *((PaperCell("a", seed=seed), ["rdia"] if seed else ["erm", "rdia"]) for seed in range(3)),
        *((PaperCell(name), ["erm"]) for name in "bcd"),
    ]


def lines_by_hand():
    return lines(SMALL, jobs_by_hand(), rows_by_hand(), {"c": "put it there"})


def test_lines():
    erm, rdia, failed, missing, not_run = lines_by_hand()
    assert (erm.method, erm.values, erm.mean, erm.published) == ("erm", (0.6,), 0.6, None)
    assert np.isnan([erm.deviation, erm.difference]).all()
    assert rdia.values == (0.4, 0.5, 0.9)
    assert rdia.mean == pytest.approx(0.6)
    assert rdia.deviation == pytest.approx(np.sqrt((0.04 + 0.01 + 0.09) / 2))
    assert rdia.difference == pytest.approx(0.2)
    assert [line.note for line in (erm, rdia, failed, missing, not_run)] == ["", "", "failed", "missing", "not run"]
    assert (missing.cell, missing.values) == (PaperCell("c"), ())


def test_table():
    text = table(SMALL, lines_by_hand())
    assert text.columns == ["data set", "method", "paper", "ours", "difference", "runs"]
    assert text.rows == [
        ["a", "erm", "-", "0.6000", "-", "1"],
        ["a", "rdia", "0.5000 ± 0.0100", "0.6000 ± 0.2646", "+20.0 %", "3"],
        ["b", "erm", "-", "failed", "-", "0"],
        ["c", "erm", "-", "missing", "-", "0"],
        ["d", "erm", "-", "not run", "-", "0"],
    ]


def test_columns_that_say_the_same_everywhere_are_left_out():
    both = [
        Line(PaperCell("a", noise), "erm", quantity, Figure(1500.0), (1200.0,))
        for noise in (0.0, 0.2)
        for quantity in ("n_changed", "loss")
    ]
    text = table(EXPERIMENTS["table3"], both)
    assert text.columns == ["noise", "method", "quantity", "paper", "ours", "difference", "runs"]
    assert text.rows[2] == ["0.2", "erm", "labels changed", "1,500", "1,200", "-20.0 %", "1"]
    assert text.rows[3] == ["0.2", "erm", "test loss", "1,500.0000", "1,200.0000", "-20.0 %", "1"]
    assert np.isnan(Line(PaperCell("a"), "erm", "n_changed", Figure(0.0), (3.0,)).difference)


def test_csv(tmp_path):
    path, found = tmp_path / "small.csv", lines_by_hand()
    write_csv(path, found)
    read = pd.read_csv(path)
    assert len(read) == len(found)
    np.testing.assert_allclose(read["ours"], [line.mean for line in found], rtol=1e-15)
    np.testing.assert_allclose(read["ours_std"], [line.deviation for line in found], rtol=1e-15)
    np.testing.assert_allclose(read["difference"], [line.difference for line in found], rtol=1e-15)
    assert read["runs"].tolist() == [1, 3, 0, 0, 0]
    assert read["note"].fillna("").tolist() == ["", "", "failed", "missing", "not run"]
    assert read.loc[1, ["dataset", "split", "noise", "n_val", "method", "quantity", "paper", "paper_std"]].tolist() == [
        *("a", "paper", 0.0, 0, "rdia", "loss", 0.5, 0.01)
    ]


def test_contest():
    names = ["erm", "rdia", "erm and validation", "auto"]
    runs = {0: (0.9, 0.5, 0.8, 0.4), 1: (0.7, 0.5, 0.6, 0.5), 2: (0.5, 0.2, 0.4, 0.6)}
    rows = [
        RESULTS.row_of(PaperCell("a", split=split, seed=seed), name, loss=loss)
        for split in ("paper", "random")
        for seed, losses in runs.items()
        for name, loss in zip(names, losses, strict=True)
    ]
    rows.append(RESULTS.row_of(PaperCell("a", split="random", seed=3), "auto", loss=9.0))
    rows.append(RESULTS.row_of(PaperCell("a", split="random", seed=4), "auto", error="ValueError: no"))
    wanted = [(PaperCell("a", split=split, seed=seed), names) for seed in range(5) for split in ("paper", "random")]
    assert contest(rows, wanted).rows == [["a", "0.7000", "0.4000", "0.6000", "0.5000", "2 of 3"]]
    assert contest(rows, wanted[:2]).rows == [["a", "0.9000", "0.5000", "0.8000", "0.4000", "1 of 1"]]
    assert contest(rows, [(PaperCell("b", split="random"), names)]).rows == []


def test_markdown():
    text = TextTable("Title", ["data set", "method", "loss"], [["a*b_c", "x | y", "0.1 ± 0.2"]], caption="Caption.")
    assert markdown(text).splitlines() == [
        "## Title",
        "",
        "| data set | method | loss |",
        "| :-- | :-- | --: |",
        r"| a*b_c | x \| y | 0.1 ± 0.2 |",
        "",
        "Caption.",
    ]
