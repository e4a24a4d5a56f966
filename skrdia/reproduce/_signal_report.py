"""The tables of signals: measured, printed and written, from `signals.csv` with every measurement there."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from itertools import product
from pathlib import Path

import numpy as np
from rich.console import Console

from skrdia.reproduce._jobs import Job
from skrdia.reproduce._names import KINDS, SIGNAL_METHODS, SIGNAL_MODELS, SIGNAL_TABLES
from skrdia.reproduce._paper_report import failures, measure_left, write_tables
from skrdia.reproduce._results import Row
from skrdia.reproduce._signal_cells import RATES, RESULTS, SignalCell
from skrdia.reproduce._signal_runner import PUBLISHED, methods_for, run_cell
from skrdia.reproduce._tables import TABLES, available
from skrdia.reproduce._text import TextTable

__all__ = ["signal_tables"]

_OF_TABLES, _OF_NETS = ("linear", "mlp"), ("lenet", "lenet-tracin")
_MISLABELS, _ANOMALIES = KINDS[:2], KINDS[2:]
_QUANTITIES = {"average_precision": "Average precision", "auroc": "AUROC", "f1": "F1 at the true share"}
_AGAINST = ("self-influence", "cleanlab", "cleanlab+trusted")


def signal_tables(
    console: Console,
    folder: Path,
    datasets: Sequence[str],
    models: Sequence[str],
    kinds: Sequence[str],
    rates: Sequence[float],
    rows: int,
    seeds: int,
    methods: Sequence[str],
    n_jobs: int,
    command: str,
) -> None:
    """Measure signals at wrong labels and anomalies."""
    wanted, missing = _jobs(datasets, models, kinds or KINDS, rates or RATES, rows, seeds, methods)
    path = folder / "signals.csv"
    latest = RESULTS.latest(measure_left(console, wanted, missing, run_cell, RESULTS, path, n_jobs))
    keys = [(cell, method) for cell, names in wanted for method in names]
    done = [latest[key] for key in keys if key in latest and not latest[key]["error"]]
    tables = [
        *(_means(done, group, quantity) for quantity in _QUANTITIES for group in _groups(done)),
        _published(done),
        _cancellation(done),
        _contest(done),
        TextTable("Missing", ["data set", "message"], [[name, text] for name, text in missing.items()]),
        failures(latest.values(), wanted, RESULTS),
    ]
    write_tables(console, folder / "signals.md", "Signals of wrong labels and anomalies", command, tables)


def _jobs(
    datasets: Sequence[str],
    models: Sequence[str],
    kinds: Sequence[str],
    rates: Sequence[float],
    rows: int,
    seeds: int,
    methods: Sequence[str],
) -> tuple[list[Job], dict[str, str]]:
    """All cells of one seed before the next, so that an early stop leaves a balanced part."""
    names = datasets or (*SIGNAL_TABLES, "mnist")
    models = models or SIGNAL_MODELS
    wanted: list[Job] = []
    for seed, kind, rate, model, name in product(range(seeds), kinds, rates, models, names):
        if model not in _OF_NETS or name == "mnist":
            chosen = [method for method in methods_for(model) if not methods or method in methods]
            wanted.append((SignalCell(name, model, kind, rate, seed, rows), chosen))
    return wanted, _missing(names, models)


def _missing(names: Sequence[str], models: Sequence[str]) -> dict[str, str]:
    """Data that cannot be had, with what to do about it."""
    there = available()
    missing = {
        name: f"set SKRDIA_DATA to a folder that has {TABLES[name].file}."
        for name in names
        if name in TABLES and name not in there
    }
    if "mnist" in names:
        try:
            import_module("skrdia.datasets").fetch_paper_images("mnist")
            import_module("skrdia.datasets").fetch_paper_images("cifar10")
            if set(models) & set(_OF_NETS):
                import_module("skrdia.reproduce._nets")
        except (FileNotFoundError, ImportError) as error:
            missing["mnist"] = " ".join(str(error).split())
    return missing


def _groups(rows: Sequence[Row]) -> list[tuple[str, bool]]:
    """Models with rows of tables, and of MNIST."""
    return list(dict.fromkeys((row["model"], row["dataset"] == "mnist") for row in rows))


def _in(rows: Sequence[Row], group: tuple[str, bool]) -> list[Row]:
    return [row for row in rows if (row["model"], row["dataset"] == "mnist") == group]


def _title(group: tuple[str, bool]) -> str:
    return f"{group[0]}, {'MNIST' if group[1] else 'tables'}"


def _mean(rows: Sequence[Row], quantity: str, method: str, kinds: Sequence[str]) -> str:
    values = [row[quantity] for row in rows if row["method"] == method and row["kind"] in kinds]
    return f"{np.mean(values):.3f}" if values else "-"


def _means(rows: Sequence[Row], group: tuple[str, bool], quantity: str) -> TextTable:
    rows = _in(rows, group)
    kinds = [kind for kind in KINDS if any(row["kind"] == kind for row in rows)]
    columns = {kind: (kind,) for kind in kinds} | {"mislabels": _MISLABELS, "anomalies": _ANOMALIES}
    text = [
        [method, *(_mean(rows, quantity, method, members) for members in columns.values())]
        for method in SIGNAL_METHODS
        if any(row["method"] == method for row in rows)
    ]
    share = [_share(rows, members) for members in columns.values()]
    if quantity != "auroc":
        text.append(["chance", *share])
    n_cells = len({RESULTS.cell_of(row) for row in rows})
    title = f"{_QUANTITIES[quantity]}: {_title(group)}, {n_cells} cells"
    return TextTable(title, ["method", *columns], text)


def _share(rows: Sequence[Row], kinds: Sequence[str]) -> str:
    values = [row["n_bad"] / row["n"] for row in rows if row["kind"] in kinds]
    return f"{np.mean(values):.3f}" if values else "-"


def _published(rows: Sequence[Row]) -> TextTable:
    """Which of the four published signals is best at mislabels, and whether any finds anomalies."""
    text = []
    for group in _groups(rows):
        of_group = _in(rows, group)
        for kinds, name in ((_MISLABELS, "mislabels"), (_ANOMALIES, "anomalies")):
            means = {method: _mean(of_group, "auroc", method, kinds) for method in PUBLISHED}
            found = {method: float(value) for method, value in means.items() if value != "-"}
            if found:
                text.append([_title(group), name, max(found, key=lambda method: found[method]), *means.values()])
    columns = ["model", "glitches", "best", "self-influence", "avg. absolute", "marginal", "GD-class"]
    return TextTable("The four published signals: AUROC", columns, text, words=("glitches", "best"))


def _cancellation(rows: Sequence[Row]) -> TextTable:
    known = [row for row in rows if not np.isnan(row["kept"])]
    text = [
        [_title(group), *(_mean(_in(known, group), "kept", "influence+trusted", (kind,)) for kind in KINDS)]
        for group in _groups(known)
    ]
    title = "Cancellation: absolute sum of a row's influences over the sum of absolute ones"
    return TextTable(title, ["model", *KINDS], text)


def _contest(rows: Sequence[Row]) -> TextTable:
    """Average precision at mislabels of our signals less that of others, paired by cell."""
    latest = {(RESULTS.cell_of(row), row["method"]): row["average_precision"] for row in rows}
    text = []
    ours = ("stacked-posterior", "stacked-posterior+trusted", "trusted-posterior+trusted")
    for group, method, rival in product(_groups(rows), ours, _AGAINST):
        cells = {RESULTS.cell_of(row) for row in _in(rows, group) if row["kind"] in _MISLABELS}
        cells = {cell for cell in cells if {(cell, method), (cell, rival)} <= latest.keys()}
        if cells:
            over = np.array([latest[cell, method] - latest[cell, rival] for cell in cells])
            wins = float(np.mean((over > 0) + 0.5 * (over == 0)))
            error = f"{over.std(ddof=1) / np.sqrt(len(over)):.3f}" if len(over) > 1 else "-"
            text.append([_title(group), method, rival, f"{over.mean():+.3f}", error, f"{wins:.2f}", str(len(over))])
    columns = ["model", "ours", "rival", "difference", "std. error", "wins", "cells"]
    title = "Mislabels: average precision of ours over that of others"
    return TextTable(title, columns, text, words=("ours", "rival"))
