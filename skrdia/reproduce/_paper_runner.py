"""Measure the cells of the paper's tables. A method that fails costs its own figure only."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from skrdia.reproduce._jobs import measure_cell
from skrdia.reproduce._paper_cells import RESULTS, PaperCell, load
from skrdia.reproduce._paper_methods import METHODS, Task, log_loss
from skrdia.reproduce._results import Row
from skrdia.views._base import Array

__all__ = ["run_cell"]


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

    def prepare() -> Task:
        return Task(load(cell), cell.seed)

    return measure_cell(cell, methods, RESULTS, prepare, lambda task, name: _measure(cell, name, task))


def _measure(cell: PaperCell, name: str, task: Task) -> Row:
    data, outcome = task.data, METHODS[name](task)
    return RESULTS.row_of(
        cell,
        name,
        n_train=len(data.y),
        n_features=data.X.shape[1],
        n_changed=_lost(outcome.labels, data.y),
        n_wrong=_lost(outcome.labels, data.y_true),
        loss=log_loss(outcome.model, data.X_test, data.y_test),
        validation_loss=log_loss(outcome.model, data.X_val, data.y_val),
        accuracy=float(outcome.model.score(data.X_test, data.y_test)),
        alpha=outcome.alpha,
    )


def _lost(labels: Array, y: NDArray[np.int64]) -> int:
    """Number of rows whose label y has lost more than half of its weight in the targets (n, 2)."""
    return int(np.count_nonzero(labels[np.arange(len(y)), y] < 0.5))
