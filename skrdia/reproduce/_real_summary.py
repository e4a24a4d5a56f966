"""From the measurements of `realnoise` to figures; a pure function of the rows of a results file.

`recovered` and `excess` are those of `skrdia.reproduce._summary`, and so are the strong cells: those with wrong labels
where training on the labels as they came costs at least 5 % in log loss. The other cells with wrong labels are weak.

A method that tells the share of wrong labels among the rows that are not verified is off by |rate - true_rate|; its
interval, where it has one, covers the true share or not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np

from skrdia.reproduce._real_cells import REAL, RESULTS, TABLE_VIEW, RealCell
from skrdia.reproduce._real_methods import METHODS, VERIFIED_METHODS
from skrdia.reproduce._results import Row
from skrdia.reproduce._summary import Figures, Group, excess, groups_of, is_strong, recovered

__all__ = ["ENDS", "KEYS", "RealSummary", "summarise"]

CLOSE = 0.05  # an estimated share that is off by no more counts as right
ENDS = ("everything", "perfect")

Groups = dict[RealCell, Group]


class RealSummary(NamedTuple):
    """The figures of one base estimator, one kind of noise (real or made) and one share of verified rows.

    Parameters
    ----------
    methods : list of str
        In the order of the tables of methods.
    recovered : dict
        Of every method on strong cells: mean, worst and where, number of cells, number below zero by over one paired
        standard error.
    by : dict
        Per key of `KEYS`, of every value: the same.
    accuracy : dict
        Of every method on cells with wrong labels: mean test accuracy, and per set.
    weak, clean : dict
        Of every method on weak cells, and with right labels: mean and worst excess, where, mean share of the rows that
        are marked, number of cells.
    marks : dict
        Of every method that marks rows, on cells with wrong labels: mean precision (of the cells with any mark), recall
        and F1, and F1 per set.
    rates : dict
        Of every method that tells the share of wrong labels, on all cells: mean error and mean absolute error, share of
        the cells within 0.05, share that its interval covers, median width, number of cells.
    cost : dict
        Of every method on all cells: median and largest number of base fits, median seconds.
    """

    methods: list[str]
    recovered: Figures
    by: dict[str, dict[str, Figures]]
    accuracy: Figures
    weak: Figures
    clean: Figures
    marks: Figures
    rates: Figures
    cost: Figures


def _label(cell: RealCell) -> str:
    """The set, or for a table the kind of noise with its rate."""
    return cell.source if cell.noise == REAL else f"{cell.noise} {cell.flipped:g}" if cell.flipped else cell.noise


KEYS: dict[str, Callable[[RealCell], str]] = {
    "set": _label,
    "columns": lambda cell: f"C={cell.C:g}" if cell.view == TABLE_VIEW else f"{cell.view}, C={cell.C:g}",
    "table": lambda cell: cell.source,
}


def summarise(rows: Iterable[Row]) -> RealSummary:
    """Summarise the rows of one base estimator, one kind of noise and one share of verified rows.

    Parameters
    ----------
    rows : iterable of dict
        Rows of a results file. Failed ones are left out, and cells without both "everything" and "perfect".

    Returns
    -------
    summary : RealSummary
        The figures.
    """
    groups: Groups = groups_of(rows, RESULTS)
    noisy = {cell: group for cell, group in groups.items() if group["everything"]["true_rate"] > 0.0}
    strong = {cell: group for cell, group in noisy.items() if is_strong(group)}
    weak = {cell: group for cell, group in noisy.items() if cell not in strong}
    clean = {cell: group for cell, group in groups.items() if cell not in noisy}
    present = {name for group in groups.values() for name in group}
    methods = [name for name in {**METHODS, **VERIFIED_METHODS} if name in present]
    others = [name for name in methods if name not in ENDS]
    return RealSummary(
        methods,
        _each(strong, methods, _recovered),
        {name: _by(strong, methods, key) for name, key in KEYS.items()},
        _each(noisy, methods, _accuracy),
        _each(weak, others, _excess),
        _each(clean, others, _excess),
        _each(noisy, others, _marks),
        _each(groups, others, _rates),
        _each(groups, methods, _cost),
    )


def _worst(groups: Groups, figure: Callable[[Group], float]) -> tuple[float, RealCell]:
    """The smallest figure, and its cell."""
    where = min(groups, key=lambda cell: figure(groups[cell]))
    return figure(groups[where]), where


def _each(groups: Groups, methods: Sequence[str], figure: Callable[[Groups, str], dict[str, Any] | None]) -> Figures:
    """The figures of every method on the cells that it has been measured on, without the methods that have none."""
    own = {name: {cell: group for cell, group in groups.items() if name in group} for name in methods}
    found = {name: figure(cells, name) for name, cells in own.items() if cells}
    return {name: values for name, values in found.items() if values is not None}


def _by(groups: Groups, methods: Sequence[str], key: Callable[[RealCell], str]) -> dict[str, Figures]:
    parts: dict[str, Groups] = {}
    for cell, group in groups.items():
        parts.setdefault(key(cell), {})[cell] = group
    return {value: _each(part, methods, _recovered) for value, part in parts.items()}


def _recovered(groups: Groups, method: str) -> dict[str, Any]:
    worst, where = _worst(groups, lambda group: recovered(group, method))
    rows = [group[method] for group in groups.values()]
    ends = [group["everything"] for group in groups.values()]
    return {
        "mean": float(np.mean([recovered(group, method) for group in groups.values()])),
        "worst": worst,
        "where": where,
        "cells": len(groups),
        "below": sum(row["loss"] - end["loss"] > row["diff_se"] for row, end in zip(rows, ends, strict=True)),
    }


def _accuracy(groups: Groups, method: str) -> dict[str, Any]:
    rows = {cell: group[method] for cell, group in groups.items()}
    return {"mean": _mean([row["accuracy"] for row in rows.values()]), "by": _per_set(rows, "accuracy")}


def _excess(groups: Groups, method: str) -> dict[str, Any]:
    worst, where = _worst(groups, lambda group: -excess(group, method))
    shares = [group[method]["marked"] / (group[method]["n"] - group[method]["n_verified"]) for group in groups.values()]
    return {
        "mean": float(np.mean([excess(group, method) for group in groups.values()])),
        "worst": -worst,
        "where": where,
        "marked": float(np.mean(shares)),
        "cells": len(groups),
    }


def _marks(groups: Groups, method: str) -> dict[str, Any] | None:
    rows = {cell: group[method] for cell, group in groups.items() if not np.isnan(group[method]["f1"])}
    if not rows:
        return None
    precise = [row["precision"] for row in rows.values() if not np.isnan(row["precision"])]
    return {
        "by": _per_set(rows, "f1"),
        "precision": _mean(precise),
        "recall": _mean([row["recall"] for row in rows.values()]),
        "f1": _mean([row["f1"] for row in rows.values()]),
        "cells": len(rows),
    }


def _rates(groups: Groups, method: str) -> dict[str, Any] | None:
    rows = [group[method] for group in groups.values() if not np.isnan(group[method]["rate"])]
    if not rows:
        return None
    off = np.array([row["rate"] - row["true_rate"] for row in rows])
    known = [row for row in rows if not np.isnan(row["rate_low"])]
    return {
        "error": float(off.mean()),
        "absolute": float(np.abs(off).mean()),
        "close": float((np.abs(off) <= CLOSE).mean()),
        "covered": _mean([row["rate_low"] <= row["true_rate"] <= row["rate_high"] for row in known]),
        "width": float(np.median([row["rate_high"] - row["rate_low"] for row in known])) if known else float("nan"),
        "cells": len(rows),
    }


def _cost(groups: Groups, method: str) -> dict[str, Any]:
    rows = [group[method] for group in groups.values()]
    return {
        "median": float(np.median([row["base_fits"] for row in rows])),
        "most": float(np.max([row["base_fits"] for row in rows])),
        "seconds": float(np.median([row["seconds"] for row in rows])),
    }


def _per_set(rows: dict[RealCell, Row], quantity: str) -> dict[str, float]:
    names = dict.fromkeys(map(_label, rows))
    return {name: _mean([row[quantity] for cell, row in rows.items() if _label(cell) == name]) for name in names}


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values)) if values else float("nan")
