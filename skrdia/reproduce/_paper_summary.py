"""From measured cells to the paper's tables: its figure, ours, the difference."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from skrdia.reproduce._experiments import Experiment
from skrdia.reproduce._jobs import Job
from skrdia.reproduce._paper_cells import RESULTS, PaperCell
from skrdia.reproduce._published import Figure
from skrdia.reproduce._results import Row
from skrdia.reproduce._text import TextTable, percent

__all__ = ["Line", "contest", "lines", "table", "write_csv"]


class Line(NamedTuple):
    """One figure of a table; `cell` has seed 0 and stands for all runs.

    `values` has an entry for each run: none where the data are missing or every run failed, which `note` then says.
    """

    cell: PaperCell
    method: str
    quantity: str
    published: Figure | None
    values: tuple[float, ...]
    note: str = ""

    @property
    def mean(self) -> float:
        """Mean over the runs."""
        return float(np.mean(self.values)) if self.values else float("nan")

    @property
    def deviation(self) -> float:
        """Standard deviation over the runs; nan for a single one."""
        return float(np.std(self.values, ddof=1)) if len(self.values) > 1 else float("nan")

    @property
    def difference(self) -> float:
        """Ours over the paper's, minus one."""
        if self.published is None or not self.published.mean:
            return float("nan")
        return self.mean / self.published.mean - 1.0


def lines(experiment: Experiment, wanted: Iterable[Job], rows: Iterable[Row], missing: Mapping[str, str]) -> list[Line]:
    """Collect the runs of every figure of an experiment.

    Parameters
    ----------
    experiment : Experiment
        The table or figure.
    wanted : iterable of tuple
        Its cells and methods, also those of missing data sets.
    rows : iterable of dict
        Of the results file.
    missing : mapping
        From the data sets that cannot be had to what to do about it.

    Returns
    -------
    lines : list of Line
        In the order of the data sets, splits, shares of noise, numbers of validation rows and methods.
    """
    latest = RESULTS.latest(rows)
    runs: dict[tuple[PaperCell, str], list[Row]] = {}
    for cell, methods in wanted:
        for method in methods:
            found = runs.setdefault((replace(cell, seed=0), method), [])
            if (cell, method) in latest:
                found.append(latest[cell, method])
    return [
        _line(experiment, cell, method, quantity, found, cell.dataset in missing)
        for (cell, method), found in runs.items()
        for quantity in experiment.quantities
    ]


def _line(
    experiment: Experiment, cell: PaperCell, method: str, quantity: str, found: list[Row], is_missing: bool
) -> Line:
    values = tuple(float(row[quantity]) for row in found if not row["error"])
    note = ""
    if not values:
        note = "missing" if is_missing else "failed" if found else "not run"
    return Line(cell, method, quantity, experiment.published(cell, method, quantity), values, note)


_KEYS = {"dataset": "data set", "split": "split", "noise": "noise", "n_val": "validation rows"}
_QUANTITIES = {"loss": "test loss", "validation_loss": "validation loss", "n_changed": "labels changed"}


def table(experiment: Experiment, found: Sequence[Line]) -> TextTable:
    """Return the lines as a table; columns that say the same everywhere are left out.

    Parameters
    ----------
    experiment : Experiment
        The table or figure.
    found : sequence of Line
        Its lines.

    Returns
    -------
    table : TextTable
        With the paper's figure, ours and the difference.
    """
    keys = [key for key in _KEYS if len({getattr(line.cell, key) for line in found}) > 1]
    has_quantities = len(experiment.quantities) > 1
    columns = [*(_KEYS[key] for key in keys), "method", *(["quantity"] if has_quantities else [])]
    text = [
        [
            *(f"{getattr(line.cell, key)}" for key in keys),
            line.method,
            *([_QUANTITIES[line.quantity]] if has_quantities else []),
            *_figures(line),
        ]
        for line in found
    ]
    words = ("method", "quantity", "split")
    return TextTable(experiment.title, [*columns, "paper", "ours", "difference", "runs"], text, words=words)


def _figures(line: Line) -> list[str]:
    digits = 0 if line.quantity == "n_changed" else 4
    published = "-" if line.published is None else _number(*line.published, digits)
    ours = line.note or _number(line.mean, line.deviation, digits)
    return [published, ours, percent(line.difference), str(len(line.values))]


def _number(mean: float, deviation: float, digits: int) -> str:
    text = f"{mean:,.{digits}f}"
    return text if np.isnan(deviation) else f"{text} ± {deviation:,.{digits}f}"


def contest(rows: Iterable[Row], wanted: Iterable[Job]) -> TextTable:
    """Compare "auto" with tuned RDIA run by run, where the validation rows are drawn at random.

    Parameters
    ----------
    rows : iterable of dict
        Of the results file.
    wanted : iterable of tuple
        The cells that count.

    Returns
    -------
    table : TextTable
        For each data set: mean test losses, and the number of runs in which auto's is at or below.
    """
    latest = RESULTS.latest(rows)
    losses: dict[str, list[list[float]]] = {}
    for cell, _ in wanted:
        run = [latest.get((cell, name)) for name in ("erm", "rdia", "erm and validation", "auto")]
        if cell.split == "random" and all(row is not None and not row["error"] for row in run):
            losses.setdefault(cell.dataset, []).append([row["loss"] for row in run if row is not None])
    text = []
    for dataset, runs in losses.items():
        figures = np.array(runs)
        won = int(np.count_nonzero(figures[:, 3] <= figures[:, 1]))
        text.append([dataset, *(f"{mean:.4f}" for mean in figures.mean(axis=0)), f"{won} of {len(runs)}"])
    return TextTable(
        "RDIA auto against RDIA tuned, validation rows drawn at random",
        ["data set", "erm", "rdia", "erm and validation", "auto", "auto at or below rdia"],
        text,
    )


def write_csv(path: Path, found: Iterable[Line]) -> None:
    """Write the lines as a tidy file, one figure in each.

    Parameters
    ----------
    path : Path
        The file; it is replaced.
    found : iterable of Line
        The lines.
    """
    names = [*_KEYS, "method", "quantity", "paper", "paper_std", "ours", "ours_std", "difference", "runs", "note"]
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(names)
        for line in found:
            published = line.published or Figure(float("nan"))
            cell = [getattr(line.cell, key) for key in _KEYS]
            ours = [line.mean, line.deviation, line.difference, len(line.values), line.note]
            writer.writerow([*cell, line.method, line.quantity, *published, *ours])
