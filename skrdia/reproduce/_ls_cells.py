"""The methods of the tables of loss-based relabelling, by name, and the measurement of their cells."""

from __future__ import annotations

import warnings
from importlib import import_module

from threadpoolctl import threadpool_limits

from skrdia.reproduce._jobs import message
from skrdia.reproduce._net_cells import NetCell, load
from skrdia.reproduce._results import Row, Schema

__all__ = ["FINDERS", "RESULTS", "RULES", "run_cell"]

RULES = {
    "erm": "cross-entropy",
    "forward": "forward",
    "self-teaching": "self-teaching",
    "co-teaching": "co-teaching",
    "sigua": "sigua",
    "rdia-ls": "paper",
    "rdia-ls-code": "released",
    "posterior": "posterior",
    "posterior-estimated": "posterior",
    "posterior-over": "posterior",
    "posterior-under": "posterior",
}
"""By method, the rule of `RDIALSClassifier`. The noise rate is known, but where it is estimated, or off by 0.2."""

FINDERS = ("rdia-all", "rdia-last", "find-by-loss")
"""Methods of Table 10: by the influence of all parameters or those of the last layer, and by the loss."""

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
    try:
        measured = import_module("skrdia.reproduce._ls_methods")
        data = load(cell)
    except Exception as error:  # recorded, and reported at the end
        return [RESULTS.row_of(cell, name, error=message(error)) for name in methods]
    rows = []
    with threadpool_limits(limits=1), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name in methods:
            measure = measured.time_finder if name in FINDERS else measured.measure
            try:
                rows.append(RESULTS.row_of(cell, name, n_train=len(data.y), **measure(cell, data, name)))
            except Exception as error:
                rows.append(RESULTS.row_of(cell, name, error=message(error)))
    return rows
