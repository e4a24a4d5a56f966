"""Measure the cells of `realnoise`. A method that fails costs its own figures only."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from time import perf_counter

import numpy as np
from numpy.typing import NDArray

from skrdia.reproduce._jobs import Job, measure_cell, remaining
from skrdia.reproduce._losses import mean_and_error, row_losses
from skrdia.reproduce._real_cells import RESULTS, NoisyRows, RealCell, load
from skrdia.reproduce._real_methods import Problem, methods_for, problem
from skrdia.reproduce._results import Row
from skrdia.views._base import Array

__all__ = ["plan", "run_cell"]

BASE_FITS = 3  # of which the fastest counts

Prepared = tuple[Problem, Array, float]


def plan(cells: Iterable[RealCell], methods: Sequence[str], rows: Iterable[Row]) -> list[Job]:
    """List what is left to do.

    Parameters
    ----------
    cells : iterable of RealCell
        What should be measured.
    methods : sequence of str
        Which methods, where they suit the cell.
    rows : iterable of dict
        What has been measured; failures count as left.

    Returns
    -------
    jobs : list of tuple
        Every cell with its missing methods, without the cells that have none.
    """
    wanted = [(cell, [name for name in methods_for(cell) if name in methods]) for cell in cells]
    return remaining(wanted, RESULTS, rows)


def run_cell(cell: RealCell, methods: Sequence[str]) -> list[Row]:
    """Measure one cell.

    Parameters
    ----------
    cell : RealCell
        What is measured.
    methods : sequence of str
        By which methods.

    Returns
    -------
    rows : list of dict
        A row for each method; a failure has a text in `error`.
    """

    def prepare() -> Prepared:
        given = problem(cell, load(cell))
        everything = methods_for(cell)["everything"]
        return given, row_losses(everything(given).proba, given.data.y_test), _base_seconds(given)

    return measure_cell(cell, methods, RESULTS, prepare, lambda shared, name: _measure(cell, name, *shared))


def _base_seconds(given: Problem) -> float:
    seconds = []
    for _ in range(BASE_FITS):
        start = perf_counter()
        given.task.fit(np.ones(len(given.data.y), dtype=bool))
        seconds.append(perf_counter() - start)
    return min(seconds)


def _measure(cell: RealCell, name: str, given: Problem, reference: Array, base_seconds: float) -> Row:
    start = perf_counter()
    outcome = methods_for(cell)[name](given)
    seconds = perf_counter() - start
    data = given.data
    losses = row_losses(outcome.proba, data.y_test)
    loss, loss_se = mean_and_error(losses)
    if not np.isfinite(loss):
        raise ValueError(f"the loss is {loss}")
    return RESULTS.row_of(
        cell,
        name,
        n=len(data.y),
        K=data.n_classes,
        n_verified=int(data.verified.sum()),
        n_test=len(data.y_test),
        loss=loss,
        loss_se=loss_se,
        diff_se=mean_and_error(losses - reference)[1],
        accuracy=float((outcome.proba.argmax(axis=1) == data.y_test).mean()),
        **_found(outcome.marked, data),
        **dict(zip(("rate", "rate_low", "rate_high"), outcome.rates, strict=True)),
        true_rate=float((data.given != data.right)[~data.verified].mean()),
        seconds=round(seconds, 4),
        base_fits=round(seconds / base_seconds, 2),
    )


def _found(marked: NDArray[np.bool_] | None, data: NoisyRows) -> dict[str, float]:
    """How well the marked rows are those with wrong labels; nothing that has no answer."""
    if marked is None:
        return {}
    marked, wrong = marked[~data.verified], (data.given != data.right)[~data.verified]
    hits = float((marked & wrong).sum())
    found = {"marked": float(marked.sum())}
    if marked.any():
        found["precision"] = hits / float(marked.sum())
    if wrong.any():
        found |= {"recall": hits / float(wrong.sum()), "f1": 2.0 * hits / float(marked.sum() + wrong.sum())}
    return found
