"""Figures as tables of text, to be printed by the command."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import numpy as np

from skrdia.reproduce._cells import RESULTS, Cell
from skrdia.reproduce._cost import Cost
from skrdia.reproduce._results import Row
from skrdia.reproduce._summary import ENDS, MANY_TRUSTED, Figures, Summary, noise_name, summarise
from skrdia.reproduce._tables import EASY

__all__ = ["TextTable", "cost_table", "decimal", "failures", "markdown", "percent", "tables"]


class TextTable(NamedTuple):
    """Rows of text below column names; the first column and those in `words` are not numbers."""

    title: str
    columns: list[str]
    rows: list[list[str]]
    caption: str = ""
    words: tuple[str, ...] = ("method", "message", "in")


def markdown(table: TextTable) -> str:
    """Return a table as Markdown, below its title; a bar in a cell is escaped."""
    rule = [":--" if i == 0 or name in table.words else "--:" for i, name in enumerate(table.columns)]
    lines = [[cell.replace("|", r"\|") for cell in cells] for cells in (table.columns, rule, *table.rows)]
    text = [f"| {' | '.join(cells)} |" for cells in lines]
    caption = ["", table.caption] if table.caption else []
    return "\n".join([f"## {table.title}", "", *text, *caption, ""])


def percent(value: float | None) -> str:
    """Return a share as a signed percentage, "-" for none."""
    return "-" if value is None or np.isnan(value) else f"{round(100 * value, 1) + 0.0:+.1f} %"


def tables(rows: Iterable[Row]) -> list[TextTable]:
    """Return the summary of a results file, for each base estimator, with and without trusted rows.

    Parameters
    ----------
    rows : iterable of dict
        Rows of one or several files; later ones replace earlier ones of the same cell and method.

    Returns
    -------
    tables : list of TextTable
        Those that have any rows.
    """
    rows = list(RESULTS.latest(rows).values())
    found = []
    for base, trusted in sorted({(row["base"], row["trusted"] > 0) for row in rows}, reverse=True):
        part = summarise(row for row in rows if (row["base"], row["trusted"] > 0) == (base, trusted))
        setting = f"{base}, {'with' if trusted else 'without'} trusted rows"
        found += [table for table in _all(part, setting) if table.rows]
    return found


def failures(rows: Iterable[Row]) -> TextTable:
    """Return what failed last time it was tried, with the message."""
    failed = [row for row in RESULTS.latest(rows).values() if row["error"]]
    return TextTable(
        "Failures", ["cell", "method", "message"], [[_name(row), row["method"], row["error"]] for row in failed]
    )


def cost_table(costs: Iterable[Cost]) -> TextTable:
    """Return the table of ``skrdia reproduce cost``."""
    lines = [[f"{c.n:,}", f"{c.base:.2f}", f"{c.auto:.1f}", f"{c.ratio:.0f}"] for c in costs]
    return TextTable("Cost of alpha='auto'", ["rows", "base fit, s", "auto, s", "base fits"], lines)


def _all(summary: Summary, setting: str) -> list[TextTable]:
    return [
        _recovered(summary.recovered, f"Recovered of the distance to perfect labels ({setting})"),
        *(_by(summary, key, setting) for key, values in summary.by.items() if len(values) > 1),
        _recovered(summary.easy, f"Recovered on easy tables: {', '.join(EASY)} ({setting})"),
        _weak(summary, setting),
        _clean(summary, setting),
        _lines(
            summary.shifted,
            f"Shifted training rows, right labels ({setting})",
            {"mean gain": lambda figure: percent(figure["gain"]), "cells": "cells"},
        ),
        _lines(
            summary.against,
            f"Cells that auto wins, ties count half ({setting})",
            {"with wrong labels": "noisy", "all": "all", "cells": "cells"},
            "rival",
        ),
        _lines(
            summary.gaps,
            f"Recovered on the same cells ({setting})",
            {"its": "other", "auto's": "auto", "gap": "gap", "cells": "cells"},
        ),
        _found(summary, setting),
    ]


def _recovered(figures: Figures, title: str) -> TextTable:
    caption = "cells where training on the given labels is at least 5 % worse; below zero: by over one standard error"
    columns = {"below zero": "below", "test accuracy": "accuracy"}
    columns = {
        name: columns.get(name, name) for name in ("mean", "median", "cells", "below zero", "test accuracy", "seconds")
    }
    return _lines(figures, title, columns)._replace(caption=caption)


def _by(summary: Summary, key: str, setting: str) -> TextTable:
    methods = [name for name in summary.methods if name not in ENDS]
    lines = [
        [value, *(decimal(means.get(name)) for name in methods)] for value, means in sorted(summary.by[key].items())
    ]
    return TextTable(f"Recovered by {key} ({setting})", [key, *methods], lines)


def _weak(summary: Summary, setting: str) -> TextTable:
    columns: dict[str, str | Callable[[dict[str, Any]], str]] = {
        "mean": lambda figure: percent(figure["mean"]),
        "worst": lambda figure: percent(figure["worst"]),
        "in": lambda figure: _cell(figure["where"]),
        "cells": "cells",
    }
    return _lines(summary.weak, f"Wrong labels that hardly hurt: loss over that of everything ({setting})", columns)


def _clean(summary: Summary, setting: str) -> TextTable:
    many = f"{MANY_TRUSTED}+ trusted"
    columns: dict[str, str | Callable[[dict[str, Any]], str]] = {
        "mean": lambda figure: percent(figure["mean"]),
        "worst": lambda figure: percent(figure["worst"]),
        "cells": "cells",
        f"mean, {many}": lambda figure: percent(figure.get("mean_many")),
        f"worst, {many}": lambda figure: percent(figure.get("worst_many")),
        f"cells, {many}": "cells_many",
    }
    return _lines(summary.clean, f"Right labels: loss over that of everything ({setting})", columns)


def _found(summary: Summary, setting: str) -> TextTable:
    lines = [
        [noise, method, decimal(figure["auroc"]), decimal(figure["average_precision"]), str(figure["cells"])]
        for noise, figures in summary.found.items()
        for method, figure in figures.items()
    ]
    columns = ["noise", "method", "AUROC", "average precision", "cells"]
    return TextTable(f"Wrong labels found by the scores ({setting})", columns, lines)


def _lines(figures: Figures, title: str, columns: dict[str, Any], first: str = "method") -> TextTable:
    """A line per method; a column is the key of a figure, or a function of all of them."""

    def text(figure: dict[str, Any], column: Any) -> str:
        if callable(column):
            return str(column(figure))
        return str(figure[column]) if isinstance(figure[column], int) else decimal(figure[column])

    lines = [[method, *(text(figure, column) for column in columns.values())] for method, figure in figures.items()]
    return TextTable(title, [first, *columns], lines)


def decimal(value: float | None) -> str:
    """Return a number with two decimals, "-" for none."""
    return "-" if value is None or np.isnan(value) else f"{round(value, 2) + 0.0:.2f}"


def _cell(cell: Cell) -> str:
    return f"{cell.table}, {noise_name(cell)}, C={cell.C:g}, seed {cell.seed}, trusted {cell.trusted:g}"


def _name(row: Row) -> str:
    return _cell(RESULTS.cell_of(row))
