"""Measure the cells of the tables of nets. A method that fails costs its own figure only."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from sklearn.metrics import roc_auc_score
from threadpoolctl import threadpool_limits

from skrdia.reproduce._jobs import message
from skrdia.reproduce._losses import row_losses
from skrdia.reproduce._net_cells import RESULTS, NetCell, load
from skrdia.reproduce._results import Row
from skrdia.views._base import Array

__all__ = ["run_cell"]


def run_cell(cell: NetCell, methods: list[str]) -> list[Row]:
    """Measure one cell.

    Parameters
    ----------
    cell : NetCell
        What is measured.
    methods : list of str
        By which methods.

    Returns
    -------
    rows : list of dict
        A row for each method; a failure has a text in `error`.
    """
    try:
        from skrdia.reproduce._net_methods import BASELINES, METHODS, TABLE_2, Task
        from skrdia.reproduce._nets import make_net

        task = Task(load(cell), make_net(cell.net, cell.dataset, cell.epochs), cell.seed)
    except Exception as error:  # recorded, and reported at the end
        return [RESULTS.row_of(cell, name, error=message(error)) for name in methods]
    losses: dict[str, Array] = {}
    rows: list[Row] = []
    with threadpool_limits(limits=1), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        evidence = _influences(task)
        for name in methods:
            method = METHODS[name] if name in METHODS else TABLE_2[name]
            rows.append(_measure(cell, name, method, task, evidence, losses))
    baselines = [losses[name] for name in BASELINES if name in losses]
    if baselines:
        best = min(baselines, key=lambda loss: float(loss.mean()))
        for row in rows:
            if row["method"] in losses:
                over = losses[row["method"]] - best
                row |= {"over_best": float(over.mean()), "over_best_se": float(over.std() / np.sqrt(len(over)))}
    return rows


def _measure(
    cell: NetCell, name: str, method: Callable[[Any], Any], task: Any, evidence: Row, losses: dict[str, Array]
) -> Row:
    start = time.perf_counter()
    try:
        model = method(task)
        seconds = time.perf_counter() - start
        proba = model.predict_proba(task.data.X_test)
    except Exception as error:
        return RESULTS.row_of(cell, name, error=message(error))
    losses[name] = row_losses(proba, task.data.y_test)
    return RESULTS.row_of(
        cell,
        name,
        n_train=len(task.data.y),
        loss=float(losses[name].mean()),
        accuracy=float((proba.argmax(axis=1) == task.data.y_test).mean()),
        seconds=seconds,
        **evidence,
    )


def _influences(task: Any) -> Row:
    """How well the influences of the first fit tell the wrong labels, and the share of the rows they flag."""
    try:
        phi, wrong = task.influences, task.data.y != task.data.y_true
    except Exception:  # what fails here fails again in the methods that need it, and is recorded there
        return {}
    auroc = float(roc_auc_score(wrong, phi)) if wrong.any() else float("nan")
    return {"auroc": auroc, "flagged": float((phi > 0.0).mean())}
