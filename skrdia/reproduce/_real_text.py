"""The figures of `realnoise` as tables of text."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from skrdia.reproduce._real_cells import REAL, RESULTS, TABLE_VIEW, RealCell
from skrdia.reproduce._real_summary import ENDS, RealSummary, summarise
from skrdia.reproduce._results import Row
from skrdia.reproduce._summary import Figures
from skrdia.reproduce._text import TextTable, decimal, percent

__all__ = ["failures", "tables"]

_STRONG = "cells where the labels as they came cost at least 5 %"
Column = Callable[[dict[str, Any]], str]


def tables(rows: Iterable[Row]) -> list[TextTable]:
    """Return the summary of results: for each base estimator, real and made noise, and each share of verified rows.

    Parameters
    ----------
    rows : iterable of dict
        Rows of one or several files; later ones replace earlier ones of the same cell and method.

    Returns
    -------
    tables : list of TextTable
        Those that have any rows.
    """
    parts: dict[tuple[str, bool, float], list[Row]] = {}
    for row in RESULTS.latest(rows).values():
        parts.setdefault((row["base"], row["view"] == TABLE_VIEW, row["verified"]), []).append(row)
    found = []
    for base, is_table, share in sorted(parts, key=lambda key: (key[0] != "logistic", *key[1:])):
        noise = "made noise" if is_table else "real noise"
        setting = f"{base}, {noise}, {f'{100 * share:g} %' if share else 'none'} verified"
        by = ("columns", "table") if is_table else ("columns",)
        found += [table for table in _all(summarise(parts[base, is_table, share]), setting, by) if table.rows]
    return found


def failures(rows: Iterable[Row]) -> TextTable:
    """Return what failed last time it was tried, with the message."""
    failed = [row for row in RESULTS.latest(rows).values() if row["error"]]
    lines = [
        [f"{_cell(RESULTS.cell_of(row))}, verified {row['verified']:g}", row["method"], row["error"]] for row in failed
    ]
    return TextTable("Failures", ["cell", "method", "message"], lines)


def _all(summary: RealSummary, setting: str, by: tuple[str, ...]) -> list[TextTable]:
    return [
        _recovered(summary, setting),
        *(_by(summary, key, setting) for key in by if len(summary.by[key]) > 1),
        _accuracy(summary.accuracy, setting),
        _marks(summary.marks, setting),
        _rates(summary.rates, setting),
        _excess(summary.weak, f"Wrong labels that hardly hurt: loss over that of everything ({setting})"),
        _excess(summary.clean, f"Right labels: loss over that of everything ({setting})"),
        _cost(summary.cost, setting),
    ]


def _recovered(summary: RealSummary, setting: str) -> TextTable:
    sets = summary.by["set"] if len(summary.by["set"]) > 1 else {}
    columns: dict[str, Column] = {
        "mean": lambda figure: decimal(figure["mean"]),
        "worst": lambda figure: decimal(figure["worst"]),
        "in": lambda figure: _cell(figure["where"]),
        "below zero": lambda figure: str(figure["below"]),
        "cells": lambda figure: str(figure["cells"]),
    }
    table = _lines(summary.recovered, f"Recovered of the distance to right labels ({setting})", columns)
    lines = [
        [line[0], *(_mean_and_worst(figures.get(line[0])) for figures in sets.values()), *line[1:]]
        for line in table.rows
    ]
    caption = f"{_STRONG}: mean (worst); below zero: by over one standard error"
    return table._replace(columns=["method", *sets, *table.columns[1:]], rows=lines, caption=caption)


def _by(summary: RealSummary, key: str, setting: str) -> TextTable:
    methods = [name for name in summary.methods if name not in ENDS]
    lines = [
        [value, *(_mean_and_worst(figures.get(name)) for name in methods)]
        for value, figures in sorted(summary.by[key].items())
    ]
    return TextTable(f"Recovered by {key} ({setting})", [key, *methods], lines, f"{_STRONG}: mean (worst)")


def _accuracy(figures: Figures, setting: str) -> TextTable:
    columns = _per_set(figures, "", 3) | {"mean": lambda figure: f"{figure['mean']:.3f}"}
    return _lines(figures, f"Test accuracy where labels are wrong ({setting})", columns)


def _marks(figures: Figures, setting: str) -> TextTable:
    columns = _per_set(figures, "F1, ", 2) | {
        "F1": lambda figure: decimal(figure["f1"]),
        "precision": lambda figure: decimal(figure["precision"]),
        "recall": lambda figure: decimal(figure["recall"]),
        "cells": lambda figure: str(figure["cells"]),
    }
    return _lines(figures, f"Marked rows against wrong labels ({setting})", columns)


def _per_set(figures: Figures, before: str, decimals: int) -> dict[str, Column]:
    """A column for each set, where there are several."""

    def column(name: str) -> Column:
        return lambda figure: f"{figure['by'][name]:.{decimals}f}" if name in figure["by"] else "-"

    names = list(dict.fromkeys(name for figure in figures.values() for name in figure["by"]))
    return {before + name: column(name) for name in names if len(names) > 1}


def _rates(figures: Figures, setting: str) -> TextTable:
    columns: dict[str, Column] = {
        "mean error": lambda figure: f"{figure['error']:+.3f}",
        "mean absolute error": lambda figure: f"{figure['absolute']:.3f}",
        "within 0.05": lambda figure: decimal(figure["close"]),
        "interval covers": lambda figure: decimal(figure["covered"]),
        "median width": lambda figure: decimal(figure["width"]),
        "cells": lambda figure: str(figure["cells"]),
    }
    return _lines(figures, f"Estimated share of wrong labels less the true one ({setting})", columns)


def _excess(figures: Figures, title: str) -> TextTable:
    columns: dict[str, Column] = {
        "mean": lambda figure: percent(figure["mean"]),
        "worst": lambda figure: percent(figure["worst"]),
        "in": lambda figure: _cell(figure["where"]),
        "marked": lambda figure: percent(figure["marked"]).removeprefix("+"),
        "cells": lambda figure: str(figure["cells"]),
    }
    return _lines(figures, title, columns)


def _cost(figures: Figures, setting: str) -> TextTable:
    columns: dict[str, Column] = {
        "base fits, median": lambda figure: f"{figure['median']:.1f}",
        "most": lambda figure: f"{figure['most']:.0f}",
        "seconds, median": lambda figure: decimal(figure["seconds"]),
    }
    return _lines(figures, f"Cost ({setting})", columns)


def _lines(figures: Figures, title: str, columns: dict[str, Column]) -> TextTable:
    lines = [[method, *(column(figure) for column in columns.values())] for method, figure in figures.items()]
    return TextTable(title, ["method", *columns], lines)


def _mean_and_worst(figure: dict[str, Any] | None) -> str:
    if figure is None:
        return "-"
    return decimal(figure["mean"]) + (f" ({decimal(figure['worst'])})" if figure["cells"] > 1 else "")


def _cell(cell: RealCell) -> str:
    noise = "" if cell.noise == REAL else f", {cell.noise}" + (f" {cell.flipped:g}" if cell.flipped else "")
    view = "" if cell.view == TABLE_VIEW else f" {cell.view}"
    return f"{cell.source}{view}{noise}, C={cell.C:g}, seed {cell.seed}"
