"""Run what is left to do, in parallel, and write down every finished cell at once."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import joblib
from joblib import Parallel, delayed
from threadpoolctl import threadpool_limits

from skrdia.reproduce._results import Row, Schema

__all__ = ["Job", "measure_cell", "message", "remaining", "run"]

Job = tuple[Any, list[str]]
"""A cell, and the methods to measure on it."""


def remaining(jobs: Iterable[Job], schema: Schema, rows: Iterable[Row]) -> list[Job]:
    """List what is left to do.

    Parameters
    ----------
    jobs : iterable of tuple
        Cells, and the methods that should be measured on each.
    schema : Schema
        Of the results.
    rows : iterable of dict
        What has been measured; failures count as left.

    Returns
    -------
    jobs : list of tuple
        Every cell with its missing methods, without the cells that have none.
    """
    done = {key for key, row in schema.latest(rows).items() if not row["error"]}
    left = [(cell, [name for name in methods if (cell, name) not in done]) for cell, methods in jobs]
    return [(cell, methods) for cell, methods in left if methods]


def run(
    jobs: Sequence[Job], measure: Callable[[Any, list[str]], list[Row]], schema: Schema, path: Path, n_jobs: int = 1
) -> Iterator[list[Row]]:
    """Measure the jobs, append the rows of every finished cell to the file, and yield them.

    Parameters
    ----------
    jobs : sequence of tuple
        Cells and methods, from `remaining`.
    measure : callable
        From a cell and methods to a row for each method; a failure has a text in `error`.
    schema : Schema
        Of the results.
    path : Path
        The results file.
    n_jobs : int, default=1
        Cells in parallel.

    Yields
    ------
    rows : list of dict
        The rows of a cell.
    """
    since_1_4 = tuple(int(part) for part in joblib.__version__.split(".")[:2]) >= (1, 4)
    parallel = Parallel(n_jobs=n_jobs, return_as="generator_unordered" if since_1_4 else "generator")
    for rows in parallel(delayed(measure)(*job) for job in jobs):
        schema.append(path, rows)
        yield rows


def measure_cell(
    cell: Any, methods: Sequence[str], schema: Schema, prepare: Callable[[], Any], measure: Callable[[Any, str], Row]
) -> list[Row]:
    """Prepare a cell, and measure its methods in one thread; what fails has a text in `error`.

    Parameters
    ----------
    cell : dataclass
        What is measured.
    methods : sequence of str
        By which methods.
    schema : Schema
        Of the results.
    prepare : callable
        Returns what all methods share; if it fails, all have.
    measure : callable
        From that and the name of a method to a row.

    Returns
    -------
    rows : list of dict
        A row for each method.
    """
    with threadpool_limits(limits=1), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            shared = prepare()
        except Exception as error:  # recorded, and reported at the end
            return [schema.row_of(cell, name, error=message(error)) for name in methods]
        rows = []
        for name in methods:
            try:
                rows.append(measure(shared, name))
            except Exception as error:
                rows.append(schema.row_of(cell, name, error=message(error)))
        return rows


def message(error: Exception) -> str:
    """The text of a failure in a results file."""
    return f"{type(error).__name__}: {error}"
