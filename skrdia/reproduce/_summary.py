"""From measured losses to figures; a pure function of the rows of a results file.

L is the mean log loss on the test rows of a cell. With "everything" and "perfect" the training on the labels as given
and on the right ones,

    recovered = (L_everything - L_method) / (L_everything - L_perfect)      1: as good as right labels; < 0: harm
    excess    = L_method / L_everything - 1                                 > 0: harm

`recovered` is averaged over the strong cells: those with wrong labels and L_everything at least 5 % above L_perfect.
The other cells with wrong labels are weak: there is little to gain, and the worst excess counts. Cells with right
labels are "clean" or "shifted" and count on their own. A cell is below zero where the excess is more than one paired
standard error above zero. Methods win over each other cell by cell; within one paired standard error both win half.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import numpy as np

from skrdia.reproduce._cells import CLEAN, RESULTS, SHIFTED, Cell
from skrdia.reproduce._methods import METHODS
from skrdia.reproduce._results import Row, Schema
from skrdia.reproduce._tables import EASY

__all__ = ["Summary", "excess", "groups_of", "is_strong", "recovered", "summarise"]

STRONG = 1.05
MANY_TRUSTED = 200
ENDS = ("everything", "perfect")
BOUNDS = ("hindsight", "prototype")

Figures = dict[str, dict[str, Any]]  # of every method
Group = dict[str, Row]  # of a cell: the row of every method


class Summary(NamedTuple):
    """The figures of one base estimator.

    Parameters
    ----------
    methods : list of str
        In the order of `METHODS`.
    recovered : dict
        Of every method on strong cells: mean and median of `recovered`, number of cells, number below zero, mean test
        accuracy, median seconds.
    by : dict
        Per "table", "noise", "C" and "trusted": of every value and method the mean `recovered` on strong cells.
    weak : dict
        Of every method on weak cells: number of cells, mean and worst excess, and where.
    clean : dict
        Of every method with right labels: mean and worst excess, also with at least 200 trusted rows.
    shifted : dict
        Of every method with right labels but shifted training rows: mean gain, which is minus the excess.
    against : dict
        Of every rival: share of cells that "auto" wins, with wrong labels and in all.
    gaps : dict
        Of "hindsight" and "prototype": mean `recovered` of it and of "auto" on the same strong cells.
    easy : dict
        As `recovered`, on easy tables.
    found : dict
        Without trusted rows, per kind of noise and method: mean AUROC and average precision of the scores.
    """

    methods: list[str]
    recovered: Figures
    by: dict[str, dict[str, dict[str, float]]]
    weak: Figures
    clean: Figures
    shifted: Figures
    against: Figures
    gaps: Figures
    easy: Figures
    found: dict[str, Figures]


def summarise(rows: Iterable[Row]) -> Summary:
    """Summarise the rows of one base estimator, with or without trusted rows.

    Parameters
    ----------
    rows : iterable of dict
        Rows of a results file. Failed ones are left out, and cells without both "everything" and "perfect".

    Returns
    -------
    summary : Summary
        The figures.
    """
    groups = groups_of(rows)
    noisy = {cell: group for cell, group in groups.items() if cell.noise not in (CLEAN, SHIFTED)}
    strong = {cell: group for cell, group in noisy.items() if is_strong(group)}
    weak = {cell: group for cell, group in noisy.items() if cell not in strong}
    present = {name for group in groups.values() for name in group}
    methods = [name for name in METHODS if name in present]
    others = [name for name in methods if name not in ENDS]
    easy = {cell: group for cell, group in strong.items() if cell.table in EASY}
    return Summary(
        methods,
        _recovered(strong, methods),
        {name: _breakdown(strong, others, key) for name, key in _KEYS.items()},
        _per_method(weak, others, _worst),
        _clean({cell: group for cell, group in groups.items() if cell.noise == CLEAN}, others),
        _per_method({cell: group for cell, group in groups.items() if cell.noise == SHIFTED}, others, _gain),
        _against(groups, noisy, methods),
        _gaps(strong, methods),
        _recovered(easy, methods),
        _found(noisy, methods),
    )


def noise_name(cell: Cell) -> str:
    """Kind of noise with its rate, where it has one."""
    return f"{cell.noise} {cell.rate:g}" if cell.rate else cell.noise


_KEYS: dict[str, Callable[[Cell], str]] = {
    "table": lambda cell: cell.table,
    "noise": noise_name,
    "C": lambda cell: f"{cell.C:g}",
    "trusted": lambda cell: f"{cell.trusted:g}",
}


def groups_of(rows: Iterable[Row], schema: Schema = RESULTS) -> dict[Any, Group]:
    """The rows without a failure by cell and method, of the cells that have both ends."""
    groups: dict[Any, Group] = {}
    for (cell, method), row in schema.latest(rows).items():
        if not row["error"]:
            groups.setdefault(cell, {})[method] = row
    return {cell: group for cell, group in groups.items() if set(ENDS) <= set(group)}


def is_strong(group: Group) -> bool:
    """Whether the labels as given cost at least 5 %."""
    return bool(group["everything"]["loss"] >= STRONG * group["perfect"]["loss"])


def recovered(group: Group, method: str) -> float:
    """Share of the distance from the labels as given to the right ones; see the top of the file."""
    everything = group["everything"]["loss"]
    return float((everything - group[method]["loss"]) / (everything - group["perfect"]["loss"]))


def excess(group: Group, method: str) -> float:
    """Loss over that of training on the labels as given, less one."""
    return float(group[method]["loss"] / group["everything"]["loss"] - 1.0)


def _mean(groups: dict[Cell, Group], method: str) -> float:
    return float(np.mean([excess(group, method) for group in groups.values()]))


def _per_method(
    groups: dict[Cell, Group], methods: list[str], figure: Callable[[dict[Cell, Group], str], dict[str, Any]]
) -> Figures:
    """The figure of every method on the cells that it has been measured on."""
    figures = {}
    for method in methods:
        own = {cell: group for cell, group in groups.items() if method in group}
        if own:
            figures[method] = figure(own, method)
    return figures


def _recovered(strong: dict[Cell, Group], methods: list[str]) -> Figures:
    def figure(groups: dict[Cell, Group], method: str) -> dict[str, Any]:
        shares = [recovered(group, method) for group in groups.values()]
        below = [
            group[method]["loss"] - group["everything"]["loss"] > group[method]["diff_se"] for group in groups.values()
        ]
        return {
            "mean": float(np.mean(shares)),
            "median": float(np.median(shares)),
            "cells": len(groups),
            "below": sum(below),
            "accuracy": float(np.mean([group[method]["accuracy"] for group in groups.values()])),
            "seconds": float(np.median([group[method]["seconds"] for group in groups.values()])),
        }

    return _per_method(strong, methods, figure)


def _breakdown(
    strong: dict[Cell, Group], methods: list[str], key: Callable[[Cell], str]
) -> dict[str, dict[str, float]]:
    values = dict.fromkeys(key(cell) for cell in strong)
    parts = {value: {cell: group for cell, group in strong.items() if key(cell) == value} for value in values}
    return {
        value: {method: figure["mean"] for method, figure in _recovered(part, methods).items()}
        for value, part in parts.items()
    }


def _worst(groups: dict[Cell, Group], method: str) -> dict[str, Any]:
    where = max(groups, key=lambda cell: excess(groups[cell], method))
    return {
        "cells": len(groups),
        "mean": _mean(groups, method),
        "worst": excess(groups[where], method),
        "where": where,
    }


def _gain(groups: dict[Cell, Group], method: str) -> dict[str, Any]:
    return {"cells": len(groups), "gain": -_mean(groups, method)}


def _clean(clean: dict[Cell, Group], methods: list[str]) -> Figures:
    def figure(groups: dict[Cell, Group], method: str) -> dict[str, Any]:
        many = {cell: group for cell, group in groups.items() if group["everything"]["n_trusted"] >= MANY_TRUSTED}
        result = _worst(groups, method) | {"cells_many": len(many)}
        if many:
            worst = _worst(many, method)
            result |= {"mean_many": worst["mean"], "worst_many": worst["worst"]}
        return result

    return _per_method(clean, methods, figure)


def _against(groups: dict[Cell, Group], noisy: dict[Cell, Group], methods: list[str]) -> Figures:
    figures: Figures = {}
    for rival in methods:
        wins = {cell: _win(group, rival) for cell, group in groups.items() if {"auto", rival} <= set(group)}
        if not wins or rival in ("auto", "perfect", "hindsight"):
            continue
        with_noise = [win for cell, win in wins.items() if cell in noisy]
        figures[rival] = {
            "noisy": float(np.mean(with_noise)) if with_noise else float("nan"),
            "all": float(np.mean(list(wins.values()))),
            "cells": len(wins),
        }
    return figures


def _win(group: Group, rival: str) -> float:
    """1 where "auto" is better by more than one paired standard error, 0 where the rival is, else 1/2.

    Rows measured in different runs have no paired error; that of two independent differences stands in for it.
    """
    difference = group[rival]["loss"] - group["auto"]["loss"]
    error = group[rival]["auto_se"]
    if np.isnan(error):
        error = np.hypot(group[rival]["diff_se"], group["auto"]["diff_se"])
    return 0.5 if abs(difference) <= error else float(difference > 0.0)


def _gaps(strong: dict[Cell, Group], methods: list[str]) -> Figures:
    figures: Figures = {}
    for other in (name for name in methods if name in BOUNDS):
        both = [group for group in strong.values() if {"auto", other} <= set(group)]
        if both:
            own, its = (float(np.mean([recovered(group, name) for group in both])) for name in ("auto", other))
            figures[other] = {"auto": own, "other": its, "gap": its - own, "cells": len(both)}
    return figures


def _found(noisy: dict[Cell, Group], methods: list[str]) -> dict[str, Figures]:
    result: dict[str, Figures] = {}
    for name in dict.fromkeys(noise_name(cell) for cell in noisy):
        for method in methods:
            rows = [group[method] for cell, group in noisy.items() if noise_name(cell) == name and method in group]
            rows = [row for row in rows if not np.isnan(row["auroc"])]
            if rows:
                figures = {key: float(np.mean([row[key] for row in rows])) for key in ("auroc", "average_precision")}
                result.setdefault(name, {})[method] = figures | {"cells": len(rows)}
    return result
