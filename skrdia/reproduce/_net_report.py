"""The tables of nets: measured, printed and written into a folder, from `nets.csv` with every measurement there."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from importlib import import_module
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from skrdia.reproduce import _curves
from skrdia.reproduce._drawing import new_figure
from skrdia.reproduce._jobs import Job
from skrdia.reproduce._names import EPOCHS
from skrdia.reproduce._net_cells import RESULTS, NetCell, fetch_images
from skrdia.reproduce._net_runner import run_cell
from skrdia.reproduce._paper_cells import PaperCell
from skrdia.reproduce._paper_report import failures, measure_left, write_tables
from skrdia.reproduce._paper_summary import Line
from skrdia.reproduce._published import TABLE_2
from skrdia.reproduce._results import Row, Schema
from skrdia.reproduce._text import TextTable, percent

__all__ = ["measure_nets", "noise_table", "table_2"]


def noise_table(
    console: Console,
    folder: Path,
    nets: Sequence[str],
    noises: Sequence[str],
    subset: int,
    epochs: int | None,
    seeds: int,
    methods: Sequence[str],
    n_jobs: int,
    command: str,
) -> None:
    """Measure nets on MNIST with wrong labels, and draw the losses over the share of them."""
    new_figure()  # fails now rather than after the measurement
    wanted = _jobs(["mnist"], nets, noises, subset, epochs, seeds, methods)
    rows = measure_nets(console, folder / "nets.csv", wanted, run_cell, RESULTS, n_jobs)
    tables = [
        _by_method(rows, methods, "loss", "Test log loss (nats)"),
        _by_method(rows, methods, "accuracy", "Test accuracy"),
        _against_baselines(rows),
        _detection(rows),
        failures(RESULTS.read(folder / "nets.csv"), wanted, RESULTS),
    ]
    write_tables(console, folder / "nets.md", "Nets on MNIST with wrong labels", command, tables)
    lines = _lines(rows, methods)
    if lines:
        _curves.draw(lines, folder / "nets.png")
        console.print(f"curves in {folder / 'nets.png'}", highlight=False)


def table_2(
    console: Console,
    folder: Path,
    datasets: Sequence[str],
    nets: Sequence[str],
    subset: int,
    epochs: int | None,
    seeds: int,
    methods: Sequence[str],
    n_jobs: int,
    command: str,
) -> None:
    """Measure the paper's Table 2."""
    wanted = _jobs(datasets, nets, ["0"], subset, epochs, seeds, methods)
    rows = measure_nets(console, folder / "nets.csv", wanted, run_cell, RESULTS, n_jobs)
    text = []
    for (dataset, net), method in product(dict.fromkeys((row["dataset"], row["net"]) for row in rows), methods):
        losses = [row["loss"] for row in rows if (row["dataset"], row["net"], row["method"]) == (dataset, net, method)]
        if not losses:
            continue
        printed = TABLE_2[dataset, net].get(method)
        ours, spread = np.mean(losses), f" ± {np.std(losses, ddof=1):.4f}" if len(losses) > 1 else ""
        published, difference = (
            ("-", "") if printed is None else (f"{printed.mean:.4f}", percent(ours / printed.mean - 1))
        )
        text.append([dataset, net, method, published, f"{ours:.4f}{spread}", difference, str(len(losses))])
    columns = ["data set", "net", "method", "paper", "ours", "difference", "runs"]
    table = TextTable("Table 2: test loss of nets with the labels as they are", columns, text, words=("net", "method"))
    tables = [table, failures(RESULTS.read(folder / "nets.csv"), wanted, RESULTS)]
    write_tables(console, folder / "table2.md", "Table 2", command, tables)


def _need_nets() -> None:
    """Fail now, with the extra to install, where torch or skorch is missing."""
    import_module("skrdia.reproduce._nets")


def _jobs(
    datasets: Sequence[str],
    nets: Sequence[str],
    noises: Sequence[str],
    subset: int,
    epochs: int | None,
    seeds: int,
    methods: Sequence[str],
) -> list[Job]:
    """All cells of one seed before the next, so that an early stop leaves a balanced part."""
    cells = product(range(seeds), datasets, noises, nets)
    return [
        (NetCell(data, net, noise, subset, epochs or EPOCHS[net], seed), list(methods))
        for seed, data, noise, net in cells
    ]


def measure_nets(
    console: Console, path: Path, wanted: Sequence[Job], measure: Any, schema: Schema, n_jobs: int
) -> list[Row]:
    """Measure what is left, and return the rows of the wanted cells and methods that did not fail."""
    _need_nets()
    missing = _missing({cell.dataset for cell, _ in wanted})
    for name, text in missing.items():
        console.print(f"{name}: {text}", highlight=False)
    latest = schema.latest(measure_left(console, wanted, missing, measure, schema, path, n_jobs))
    keys = [(cell, method) for cell, methods in wanted for method in methods]
    return [latest[key] for key in keys if key in latest and not latest[key]["error"]]


def _missing(datasets: Iterable[str]) -> dict[str, str]:
    """The images that cannot be had, with what to do about it."""
    missing = {}
    for name in datasets:
        try:
            fetch_images(name)
        except (FileNotFoundError, ImportError) as error:
            missing[name] = str(error)
    return missing


def _groups(rows: Sequence[Row]) -> dict[tuple[str, str], list[Row]]:
    """Rows by net and noise."""
    groups: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        groups.setdefault((row["net"], row["noise"]), []).append(row)
    return groups


def _by_method(rows: Sequence[Row], methods: Sequence[str], quantity: str, title: str) -> TextTable:
    text = []
    for (net, noise), group in _groups(rows).items():
        values = [[row[quantity] for row in group if row["method"] == method] for method in methods]
        means = [f"{np.mean(runs):.3f}" if runs else "-" for runs in values]
        text.append([net, noise, *means, str(max(map(len, values)))])
    return TextTable(title, ["net", "noise", *methods, "runs"], text)


def _against_baselines(rows: Sequence[Row]) -> TextTable:
    text = []
    for (net, noise), group in _groups([row for row in rows if row["method"] == "auto"]).items():
        over = np.array([row["over_best"] for row in group])
        error = np.mean([row["over_best_se"] for row in group])
        if len(over) > 1:
            error = np.std(over, ddof=1) / np.sqrt(len(over))
        verdict = "yes" if over.mean() <= error else "no"
        text.append([net, noise, f"{over.mean():+.4f}", f"{error:.4f}", verdict])
    columns = ["net", "noise", "auto minus the best baseline", "std. error", "within one"]
    return TextTable("Test log loss of auto against the best baseline of each run", columns, text)


def _detection(rows: Sequence[Row]) -> TextTable:
    text = []
    for (net, noise), group in _groups(rows).items():
        runs = {row["seed"]: (row["auroc"], row["flagged"]) for row in group}
        auroc, flagged = np.mean(list(runs.values()), axis=0)
        text.append([net, noise, "-" if np.isnan(auroc) else f"{auroc:.3f}", f"{flagged:.3f}"])
    return TextTable(
        "Influences of the first fit: AUROC for the wrong labels, and share of the rows above zero",
        ["net", "noise", "AUROC", "flagged"],
        text,
    )


def _lines(rows: Sequence[Row], methods: Sequence[str]) -> list[Line]:
    """The losses over the share of flipped labels, a panel for each net."""
    lines = []
    for (net, noise), group in _groups(rows).items():
        if noise == "class":
            continue
        for method in methods:
            losses = tuple(row["loss"] for row in group if row["method"] == method)
            if losses:
                lines.append(Line(PaperCell(net, float(noise)), method, "loss", None, losses))
    return sorted(lines, key=lambda line: line.cell.noise)
