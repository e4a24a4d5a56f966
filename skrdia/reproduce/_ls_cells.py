"""The methods of the tables of loss-based relabelling, by name, and the measurement of their cells."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from skrdia.reproduce._jobs import measure_cell
from skrdia.reproduce._names import FINDERS
from skrdia.reproduce._net_cells import Data, NetCell, load
from skrdia.reproduce._results import Row, Schema

__all__ = ["RESULTS", "run_cell"]

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
        Of `RULES` and `FINDERS`.

    Returns
    -------
    rows : list of dict
        A row for each method; a failure has a text in `error`.
    """

    def measure(shared: tuple[Any, Data], name: str) -> Row:
        measured, data = shared
        function = measured.time_finder if name in FINDERS else measured.measure
        return RESULTS.row_of(cell, name, n_train=len(data.y), **function(cell, data, name))

    def prepare() -> tuple[Any, Data]:
        return import_module("skrdia.reproduce._ls_methods"), load(cell)

    return measure_cell(cell, methods, RESULTS, prepare, measure)
