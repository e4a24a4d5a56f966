"""Table 10: seconds to find the harmful rows (step II), next to those of the base fit (step I).

Each data set is measured in a process of its own, whose peak memory then is that of loading, both steps, and nothing
else. "criteo-size" and "avazu-size" are synthetic stand-ins of the shape of the paper's data, see `make_ctr_like`.
"""

from __future__ import annotations

import multiprocessing
import warnings
from collections.abc import Iterable, Mapping
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from skrdia._influence import influence
from skrdia.datasets import make_ctr_like
from skrdia.reproduce._jobs import Job, message
from skrdia.reproduce._names import SIZES
from skrdia.reproduce._paper_cells import RESULTS, Data, PaperCell, load
from skrdia.reproduce._paper_methods import paper_base
from skrdia.reproduce._published import SECONDS
from skrdia.reproduce._results import Row
from skrdia.reproduce._text import TextTable

__all__ = ["METHOD", "jobs", "table", "time_apart"]

METHOD = "step II"
VALIDATION_SHARE = 0.3
_PUBLISHED = SECONDS | {name: SECONDS[name.removesuffix("-size")] for name in SIZES}


def jobs(datasets: Iterable[str]) -> list[Job]:
    """List what is timed.

    Parameters
    ----------
    datasets : iterable of str
        Names for `fetch_paper_dataset`, and keys of `SIZES`.

    Returns
    -------
    jobs : list of tuple
        A cell for each.
    """
    return [(PaperCell(name), [METHOD]) for name in datasets]


def time_apart(cell: PaperCell, methods: list[str]) -> list[Row]:
    """Time the steps on one data set in a process of its own.

    Parameters
    ----------
    cell : PaperCell
        Its data set counts.
    methods : list of str
        "step II".

    Returns
    -------
    rows : list of dict
        One row: `fit_seconds` of step I, `seconds` of step II, `gigabytes` at the peak.
    """
    try:
        with ProcessPoolExecutor(max_workers=1, mp_context=multiprocessing.get_context("spawn")) as process:
            return [RESULTS.row_of(cell, METHOD, **process.submit(_time, cell).result())]
    except Exception as error:  # recorded, and reported at the end
        return [RESULTS.row_of(cell, METHOD, error=message(error))]


def _time(cell: PaperCell) -> dict[str, Any]:
    data = _synthetic(*SIZES[cell.dataset]) if cell.dataset in SIZES else load(cell)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        start = perf_counter()
        model = paper_base().fit(data.X, data.y)
        fitted = perf_counter()
        influence(model, data.X, data.y, data.X_val, data.y_val)
    return {
        "n_train": len(data.y),
        "n_features": data.X.shape[1],
        "fit_seconds": round(fitted - start, 3),
        "seconds": round(perf_counter() - fitted, 3),
        "gigabytes": _peak_gigabytes(),
    }


def _synthetic(n_samples: int, n_features: int, nnz: int) -> Data:
    X, y = make_ctr_like(n_samples, n_features, nnz, random_state=0)
    n_train = n_samples - round(VALIDATION_SHARE * n_samples)
    X_val, y_val = X[n_train:], y[n_train:]
    X = X[:n_train]
    return Data(X, y[:n_train], y[:n_train], X_val, y_val, X_val[:1], y_val[:1])


def _peak_gigabytes() -> float:
    """Peak memory of this process so far; nan where the system does not say."""
    status = Path("/proc/self/status")
    if not status.exists():  # not Linux
        return float("nan")
    kilobytes = int(status.read_text(encoding="utf-8").partition("VmHWM:")[2].split()[0])
    return round(kilobytes * 1024 / 1e9, 3)


def table(rows: Iterable[Row], wanted: Iterable[Job], missing: Mapping[str, str]) -> TextTable:
    """Return the seconds beside the paper's.

    Parameters
    ----------
    rows : iterable of dict
        Of the results file.
    wanted : iterable of tuple
        Cells, also of missing data sets.
    missing : mapping
        From the data sets that cannot be had to what to do about it.

    Returns
    -------
    table : TextTable
        A line for each data set.
    """
    latest = RESULTS.latest(rows)
    text = []
    for cell, _ in wanted:
        published = _PUBLISHED.get(cell.dataset)
        paper = "-" if published is None else f"{published:,.2f}"
        row = latest.get((cell, METHOD))
        if row is None or row["error"]:
            note = "missing" if cell.dataset in missing else "not run" if row is None else "failed"
            text.append([cell.dataset, "-", "-", paper, note, "-", "-", "-"])
            continue
        figures = [row["seconds"], row["fit_seconds"], row["seconds"] / max(row["fit_seconds"], 1e-3)]
        memory = "-" if np.isnan(row["gigabytes"]) else f"{row['gigabytes']:.1f}"
        size = [f"{row['n_train']:,}", f"{row['n_features']:,}"]
        text.append([cell.dataset, *size, paper, *(f"{figure:,.2f}" for figure in figures), memory])
    columns = ["data set", "rows", "columns", "paper, s", "step II, s", "base fit, s", "ratio", "peak memory, GB"]
    return TextTable("Table 10: seconds to find the harmful rows", columns, text)
