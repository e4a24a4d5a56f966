"""Measure one of the paper's tables or figures and write it down, in a folder that later runs go on from.

The folder has `cells.csv` with every measurement, which the tables share; `figure3.csv` with the images found; and for
each table or figure NAME the figures as NAME.csv and NAME.md, and the pictures NAME.png.
"""

from __future__ import annotations

import platform
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from importlib.metadata import version
from pathlib import Path
from typing import Any

from rich.console import Console

from skrdia import __version__
from skrdia.datasets import fetch_paper_dataset
from skrdia.reproduce import _curves, _pictures, _timing
from skrdia.reproduce._console import print_table, run_jobs
from skrdia.reproduce._drawing import new_figure
from skrdia.reproduce._experiments import EXPERIMENTS, jobs
from skrdia.reproduce._jobs import Job, remaining
from skrdia.reproduce._names import IMAGES, SIZES, TIMED
from skrdia.reproduce._paper_cells import RESULTS
from skrdia.reproduce._paper_runner import run_cell
from skrdia.reproduce._paper_summary import contest, lines, table, write_csv
from skrdia.reproduce._results import Row, Schema
from skrdia.reproduce._text import TextTable, markdown

__all__ = ["failures", "harmful_images", "measure_left", "step_two", "tables_and_curves", "write_tables"]


def tables_and_curves(
    name: str,
    console: Console,
    folder: Path,
    datasets: Sequence[str],
    noises: Sequence[float],
    seeds: int | None,
    methods: Sequence[str],
    n_jobs: int,
    command: str,
) -> None:
    """Measure an experiment of `EXPERIMENTS`, print and write its tables and, for a figure, its curves."""
    experiment = EXPERIMENTS[name]
    if name.startswith("figure"):
        new_figure()  # fails now rather than after the measurement
    datasets = datasets or experiment.datasets
    wanted = jobs(experiment, datasets, noises or experiment.noises, seeds or experiment.seeds, methods)
    missing, departures = _survey(console, datasets)
    rows = measure_left(console, wanted, missing, run_cell, RESULTS, folder / "cells.csv", n_jobs)
    found = lines(experiment, wanted, rows, missing)
    write_csv(folder / f"{name}.csv", found)
    tables = [table(experiment, found), contest(rows, wanted), *_notes(missing, departures), failures(rows, wanted)]
    write_tables(console, folder / f"{name}.md", experiment.title, command, tables)
    if name.startswith("figure"):
        _curves.draw([line for line in found if line.quantity == "loss"], folder / f"{name}.png")
        console.print(f"curves in {folder / name}.png", highlight=False)


def harmful_images(
    console: Console,
    folder: Path,
    datasets: Sequence[str],
    noises: Sequence[float],
    n_jobs: int,
    command: str,
    model: str = "logistic",
) -> None:
    """Find the images of Figure 3, print and write what they are, and draw them."""
    new_figure()  # fails now rather than after the search
    datasets = datasets or IMAGES
    wanted = _pictures.jobs(datasets, noises or _pictures.NOISES, model)
    missing, departures = _survey(console, datasets)
    rows = measure_left(console, wanted, missing, _pictures.find, _pictures.RESULTS, folder / "figure3.csv", n_jobs)
    latest = _pictures.RESULTS.latest(rows)
    done = [latest[cell, rank] for cell, ranks in wanted for rank in ranks if (cell, rank) in latest]
    done = [row for row in done if not row["error"]]
    tables = [_pictures.table(done), *_notes(missing, departures), failures(rows, wanted, _pictures.RESULTS)]
    write_tables(console, folder / "figure3.md", "Figure 3: harmful training images", command, tables)
    if done:
        _pictures.draw(done, folder / "figure3.png")
        console.print(f"pictures in {folder / 'figure3.png'}", highlight=False)


def step_two(console: Console, folder: Path, datasets: Sequence[str], command: str) -> None:
    """Time step II, print and write Table 10."""
    datasets = datasets or TIMED
    wanted = _timing.jobs(datasets)
    missing, departures = _survey(console, [name for name in datasets if name not in SIZES])
    rows = measure_left(console, wanted, missing, _timing.time_apart, RESULTS, folder / "cells.csv", n_jobs=1)
    tables = [_timing.table(rows, wanted, missing), *_notes(missing, departures), failures(rows, wanted)]
    write_tables(console, folder / "table10.md", "Table 10", command, tables)


def _survey(console: Console, datasets: Iterable[str]) -> tuple[dict[str, str], dict[str, str]]:
    """The data sets that cannot be had, with what to do about it, and those that differ from the authors'."""
    missing: dict[str, str] = {}
    departures: dict[str, str] = {}
    with console.status("Looking for the data ..."):
        for name in datasets:
            try:
                departure = fetch_paper_dataset(name).departure
            except (FileNotFoundError, ImportError) as error:
                missing[name] = str(error)
            else:
                departures |= {name: departure} if departure else {}
    return missing, departures


def measure_left(
    console: Console,
    wanted: Sequence[Job],
    missing: Mapping[str, str],
    measure: Any,
    schema: Schema,
    path: Path,
    n_jobs: int,
) -> list[Row]:
    """Measure what is left of the jobs whose data are there, and return all rows of the file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    possible = [job for job in wanted if job[0].dataset not in missing]
    run_jobs(console, remaining(possible, schema, schema.read(path)), measure, schema, path, n_jobs)
    return schema.read(path)


def _notes(missing: Mapping[str, str], departures: Mapping[str, str]) -> list[TextTable]:
    return [
        TextTable(
            "Data sets that are missing, and listed so above",
            ["data set", "message"],
            [[name, " ".join(text.split())] for name, text in missing.items()],
        ),
        TextTable(
            "Data sets that differ from the authors'",
            ["data set", "message"],
            [[name, text] for name, text in departures.items()],
        ),
    ]


def failures(rows: Iterable[Row], wanted: Iterable[Job], schema: Schema = RESULTS) -> TextTable:
    latest = schema.latest(rows)
    keys = [(cell, method) for cell, methods in wanted for method in methods]
    failed = [[str(cell), method, latest[cell, method]["error"]] for cell, method in keys if (cell, method) in latest]
    return TextTable("Failures", ["cell", "method", "message"], [row for row in failed if row[-1]])


def write_tables(console: Console, path: Path, title: str, command: str, tables: Sequence[TextTable]) -> None:
    """Print the tables that have rows, and write them as Markdown."""
    tables = [text for text in tables if text.rows]
    packages = ", ".join(f"{name} {version(name)}" for name in ("numpy", "scipy", "scikit-learn"))
    origin = f"`{command}`, {date.today()}, skrdia {__version__}, Python {platform.python_version()}, {packages}."
    path.write_text("\n".join([f"# {title}", "", origin, "", *map(markdown, tables)]), encoding="utf-8")
    for text in tables:
        print_table(console, text)
    console.print(f"tables in {path}", highlight=False)
