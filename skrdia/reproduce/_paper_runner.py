"""Measure the cells of the paper's tables. A method that fails costs its own figure only."""

from __future__ import annotations

import warnings
from time import perf_counter

import numpy as np
from threadpoolctl import threadpool_limits

from skrdia.datasets import fetch_paper_dataset
from skrdia.reproduce._jobs import message
from skrdia.reproduce._paper_cells import RESULTS, PaperCell, load
from skrdia.reproduce._paper_methods import METHODS, Task, log_loss
from skrdia.reproduce._results import Row

__all__ = ["missing", "run_cell"]


def missing(datasets: list[str]) -> dict[str, str]:
    """Name the data sets that cannot be had, with what to do about each."""
    found = {}
    for name in datasets:
        try:
            fetch_paper_dataset(name)
        except FileNotFoundError as error:
            found[name] = str(error)
    return found


def run_cell(cell: PaperCell, methods: list[str]) -> list[Row]:
    """Measure one cell.

    Parameters
    ----------
    cell : PaperCell
        What is measured.
    methods : list of str
        By which methods.

    Returns
    -------
    rows : list of dict
        A row for each method; a failure has a text in `error`.
    """
    with threadpool_limits(limits=1), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            task = Task(load(cell), cell.seed)
        except Exception as error:  # recorded, and reported at the end
            return [RESULTS.row_of(cell, name, error=message(error)) for name in methods]
        return [_measure(cell, name, task) for name in methods]


def _measure(cell: PaperCell, name: str, task: Task) -> Row:
    data, start = task.data, perf_counter()
    try:
        outcome = METHODS[name](task)
        seconds = perf_counter() - start
        return RESULTS.row_of(
            cell,
            name,
            n_train=len(data.y),
            n_features=data.X.shape[1],
            n_changed=int(np.count_nonzero((outcome.labels != task.given).any(axis=1))),
            n_wrong=int(np.count_nonzero(outcome.labels[np.arange(len(data.y)), data.y_true] < 0.5)),
            loss=log_loss(outcome.model, data.X_test, data.y_test),
            validation_loss=log_loss(outcome.model, data.X_val, data.y_val),
            accuracy=float(outcome.model.score(data.X_test, data.y_test)),
            alpha=outcome.alpha,
            seconds=round(seconds, 3),
        )
    except Exception as error:
        return RESULTS.row_of(cell, name, error=message(error))
