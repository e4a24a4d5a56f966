"""Measure the cells of the tables of loss-based relabelling. A method that fails costs its own figure only."""

from __future__ import annotations

import warnings
from importlib import import_module

from threadpoolctl import threadpool_limits

from skrdia.reproduce._jobs import message
from skrdia.reproduce._net_cells import NetCell, load
from skrdia.reproduce._results import Row, Schema

__all__ = ["FINDERS", "METHODS", "RESULTS", "run_cell"]

METHODS = (
    *("erm", "forward", "self-teaching", "co-teaching", "sigua"),
    *("rdia-ls", "rdia-ls-code", "posterior", "posterior-estimated"),
)
FINDERS = ("rdia-all", "rdia-last", "find-by-loss")

# accuracy, spread: mean and standard deviation over the last epochs, on the test rows. noise_rate: the one used.
# precision, recall: of the rows taken for noisy in the last epoch.
RESULTS = Schema(
    NetCell, counts=("n_train",), numbers=("accuracy", "spread", "noise_rate", "precision", "recall", "seconds")
)


def run_cell(cell: NetCell, methods: list[str]) -> list[Row]:
    """Measure one cell.

    Parameters
    ----------
    cell : NetCell
        What is measured.
    methods : list of str
        Of `METHODS` and `FINDERS`.

    Returns
    -------
    rows : list of dict
        A row for each method; a failure has a text in `error`.
    """
    rows = []
    for name in methods:
        try:
            measured = import_module("skrdia.reproduce._ls_methods")
            data = load(cell)
            with threadpool_limits(limits=1), warnings.catch_warnings():
                warnings.simplefilter("ignore")
                measure = measured.time_finder if name in FINDERS else measured.measure
                rows.append(RESULTS.row_of(cell, name, n_train=len(data.y), **measure(cell, data, name)))
        except Exception as error:  # recorded, and reported at the end
            rows.append(RESULTS.row_of(cell, name, error=message(error)))
    return rows
