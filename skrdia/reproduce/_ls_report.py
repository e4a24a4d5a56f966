"""The tables of loss-based relabelling: measured, printed and written, from `relabelling.csv` with all measurements."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from pathlib import Path

import numpy as np
from rich.console import Console

from skrdia.reproduce._jobs import Job
from skrdia.reproduce._ls_cells import RESULTS, run_cell
from skrdia.reproduce._names import FINDERS, RULES
from skrdia.reproduce._names import RELABELLING as TABLES
from skrdia.reproduce._net_cells import NetCell
from skrdia.reproduce._net_report import measure_nets
from skrdia.reproduce._paper_report import failures, write_tables
from skrdia.reproduce._published import RELABELLING, RELABELLING_SECONDS
from skrdia.reproduce._results import Row
from skrdia.reproduce._text import TextTable

__all__ = ["NOISES", "accuracies", "seconds_to_find"]

NOISES = ("0.2", "0.4", "0.6", "0.8")
RIVALS = ("erm", "self-teaching", "co-teaching", "sigua")
_FOUND_ON = (("mnist", "lenet"), ("cifar10", "cnn"))


def accuracies(
    name: str,
    console: Console,
    folder: Path,
    nets: Sequence[str],
    noises: Sequence[str],
    subset: int,
    epochs: int,
    seeds: int,
    methods: Sequence[str],
    n_jobs: int,
    command: str,
) -> None:
    """Measure Table 6, 7 or 8."""
    dataset, net = TABLES[name]
    nets, methods = nets or [net], methods or tuple(RULES)
    cells = product(range(seeds), nets, noises or NOISES)
    wanted: list[Job] = [
        (NetCell(dataset, net, noise, subset, epochs, seed), [method])
        for seed, net, noise in cells
        for method in methods
    ]
    rows = _measure(console, folder, wanted, n_jobs)
    title = f"{name.replace('table', 'Table ')}: test accuracy on {dataset.upper()}, %"
    tables = [*(_against_paper(title, dataset, net, rows, methods) for net in nets), _contest(rows)]
    _write(console, folder / f"{name}.md", title, command, tables, wanted)


def seconds_to_find(
    console: Console,
    folder: Path,
    datasets: Sequence[str],
    subset: int,
    epochs: int,
    methods: Sequence[str],
    command: str,
) -> None:
    """Measure the part of Table 10 that is about nets."""
    wanted: list[Job] = [
        (NetCell(dataset, net, "0.4", subset, epochs, 0), list(methods or FINDERS))
        for dataset, net in _FOUND_ON
        if not datasets or dataset in datasets
    ]
    text = [
        [row["dataset"], row["net"], row["method"], f"{row['n_train']:,}", published, f"{row['seconds']:.2f}"]
        for row in _measure(console, folder, wanted, n_jobs=1)
        for published in [RELABELLING_SECONDS[row["dataset"]]["ls" if row["method"] == "find-by-loss" else "rdia"]]
    ]
    title = "Table 10, nets: seconds to find the harmful rows"
    columns = ["data set", "net", "method", "rows", "paper", "ours, s"]
    table = TextTable(title, columns, text, words=("net", "method", "paper"))
    _write(console, folder / "table10-deep.md", title, command, [table], wanted)


def _measure(console: Console, folder: Path, wanted: Sequence[Job], n_jobs: int) -> list[Row]:
    return measure_nets(console, folder / "relabelling.csv", wanted, run_cell, RESULTS, n_jobs)


def _write(
    console: Console, path: Path, title: str, command: str, tables: Sequence[TextTable], wanted: Sequence[Job]
) -> None:
    failed = failures(RESULTS.read(path.parent / "relabelling.csv"), wanted, RESULTS)
    write_tables(console, path, title, command, [*tables, failed])


def _runs(rows: Sequence[Row], net: str, noise: str, method: str) -> list[Row]:
    return [row for row in rows if (row["net"], row["noise"], row["method"]) == (net, noise, method)]


def _noises(rows: Sequence[Row], net: str) -> list[str]:
    return list(dict.fromkeys(row["noise"] for row in rows if row["net"] == net))


def _against_paper(title: str, dataset: str, net: str, rows: Sequence[Row], methods: Sequence[str]) -> TextTable:
    printed = RELABELLING[dataset] if (dataset, net) in TABLES.values() else {}
    text = []
    for noise, method in product(_noises(rows, net), methods):
        runs = _runs(rows, net, noise, method)
        if not runs:
            continue
        accuracy = 100.0 * np.array([row["accuracy"] for row in runs])
        spread = f" ± {accuracy.std(ddof=1):.2f}" if len(runs) > 1 else ""
        paper = printed.get(method, {}).get(float(noise))
        others = [f"{np.mean([row[name] for row in runs]):.2f}" for name in ("noise_rate", "precision", "recall")]
        against = ["-", ""] if paper is None else [f"{paper.mean:.2f}", f"{accuracy.mean() - paper.mean:+.2f}"]
        seconds = f"{np.mean([row['seconds'] for row in runs]):.0f}"
        text.append(
            [noise, method, against[0], f"{accuracy.mean():.2f}{spread}", against[1], *others, seconds, str(len(runs))]
        )
    columns = ["noise", "method", "paper", "ours", "difference", "rate used", "precision", "recall", "seconds", "runs"]
    return TextTable(f"{title}, {net}", columns, text)


def _contest(rows: Sequence[Row]) -> TextTable:
    """The default rule against the best rival, over the runs that have both."""
    text = []
    for net in dict.fromkeys(row["net"] for row in rows):
        for noise in _noises(rows, net):
            by_method = {
                name: {row["seed"]: row["accuracy"] for row in _runs(rows, net, noise, name)}
                for name in (*RIVALS, "posterior")
            }
            ours = by_method.pop("posterior")
            rivals = {name: runs for name, runs in by_method.items() if ours and ours.keys() <= runs.keys()}
            if not rivals:
                continue
            best = max(rivals, key=lambda name: np.mean([rivals[name][seed] for seed in ours]))
            over = 100.0 * np.array([ours[seed] - rivals[best][seed] for seed in ours])
            error = over.std(ddof=1) / np.sqrt(len(over)) if len(over) > 1 else float("nan")
            text.append([net, noise, best, f"{over.mean():+.2f}", "-" if np.isnan(error) else f"{error:.2f}"])
    columns = ["net", "noise", "best rival", "posterior minus it", "std. error"]
    title = "The default rule against plain training, self-teaching, co-teaching and SIGUA"
    return TextTable(title, columns, text, words=("noise", "best rival"))
