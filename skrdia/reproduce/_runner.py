"""Measure the cells of `autorepair`. A method that fails costs its own figure only."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Sequence
from time import perf_counter
from typing import Any

import numpy as np
from sklearn.metrics import average_precision_score, roc_auc_score
from threadpoolctl import threadpool_limits

from skrdia.reproduce._cells import RESULTS, Cell, split
from skrdia.reproduce._jobs import Job, message, remaining
from skrdia.reproduce._losses import mean_and_error, row_losses
from skrdia.reproduce._methods import METHODS, NO_TRUSTED_METHODS, SLOW, Outcome, Problem, problem
from skrdia.reproduce._results import Row
from skrdia.reproduce._tables import load_table
from skrdia.views._base import Array

__all__ = ["plan", "run_cell"]


def plan(cells: Iterable[Cell], methods: Sequence[str], rows: Iterable[Row], slow_seeds: int = 1) -> list[Job]:
    """List what is left to do.

    Parameters
    ----------
    cells : iterable of Cell
        What should be measured.
    methods : sequence of str
        Which methods.
    rows : iterable of dict
        What has been measured; failures count as left.
    slow_seeds : int, default=1
        The slow methods run for seeds below this number.

    Returns
    -------
    jobs : list of tuple
        Every cell with its missing methods, without the cells that have none.
    """
    wanted = [(cell, [name for name in methods if name not in SLOW or cell.seed < slow_seeds]) for cell in cells]
    return remaining(wanted, RESULTS, rows)


def run_cell(cell: Cell, methods: Sequence[str]) -> list[Row]:
    """Measure one cell.

    Parameters
    ----------
    cell : Cell
        What is measured.
    methods : sequence of str
        By which methods.

    Returns
    -------
    rows : list of dict
        A row for each method; a failure has a text in `error`.
    """
    with threadpool_limits(limits=1), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        table = METHODS if cell.trusted else NO_TRUSTED_METHODS
        try:
            task = problem(cell, split(cell, load_table(cell.table, cell.max_rows)))
            reference = row_losses(table["everything"](task).proba, task.data.y_test)
        except Exception as error:  # recorded, and reported at the end
            return [RESULTS.row_of(cell, name, error=message(error)) for name in methods]
        rows, losses = [], {}
        for name in methods:
            try:
                row, losses[name] = _measure(cell, name, task, reference)
            except Exception as error:
                row = RESULTS.row_of(cell, name, error=message(error))
            rows.append(row)
    if "auto" in losses:
        for row in rows:
            if row["method"] in losses:
                row["auto_se"] = mean_and_error(losses[row["method"]] - losses["auto"])[1]
    return rows


def _measure(cell: Cell, name: str, task: Problem, reference: Array) -> tuple[Row, Array]:
    start = perf_counter()
    outcome = (METHODS if cell.trusted else NO_TRUSTED_METHODS)[name](task)
    seconds = perf_counter() - start
    data = task.data
    losses = row_losses(outcome.proba, data.y_test)
    loss, loss_se = mean_and_error(losses)
    if not np.isfinite(loss):
        raise ValueError(f"the loss is {loss}")
    row = RESULTS.row_of(
        cell,
        name,
        n=len(data.y) + len(data.y_val) + len(data.y_test),
        K=data.n_classes,
        n_trusted=len(data.y_val),
        loss=loss,
        loss_se=loss_se,
        diff_se=mean_and_error(losses - reference)[1],
        accuracy=float((outcome.proba.argmax(axis=1) == data.y_test).mean()),
        seconds=round(seconds, 3),
        **_found(outcome, task),
    )
    return row, losses


def _found(outcome: Outcome, task: Problem) -> dict[str, Any]:
    """How well the scores tell wrong labels from right ones."""
    wrong = task.data.y != task.data.y_true
    if outcome.scores is None or not wrong.any() or wrong.all():
        return {}
    return {
        "auroc": float(roc_auc_score(wrong, outcome.scores)),
        "average_precision": float(average_precision_score(wrong, outcome.scores)),
    }
