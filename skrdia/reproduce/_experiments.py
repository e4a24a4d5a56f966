"""The paper's tables and figures: which cells and methods each needs, and which printed figures stand beside them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING, Any

from skrdia.datasets import PAPER_DATASETS, STAND_INS
from skrdia.reproduce._names import DRAWS
from skrdia.reproduce._names import PAPER_METHODS as METHODS
from skrdia.reproduce._published import TABLE_1, TABLE_3, TABLE_3_CHANGED, TABLE_4, TABLE_4_VALIDATION, Figure

if TYPE_CHECKING:
    from skrdia.reproduce._jobs import Job
    from skrdia.reproduce._paper_cells import PaperCell

__all__ = ["EXPERIMENTS", "Experiment", "jobs"]

Published = Callable[[Any, str, str], Figure | None]
"""From a `PaperCell`, a method and a quantity to the printed figure, if there is one."""

_MNIST = ("mnist", *(name for name, original in STAND_INS.items() if original == "mnist"))
_ALPHAS = tuple(name for name in METHODS if name.startswith("rdia at"))


@dataclass(frozen=True)
class Experiment:
    """A table or figure of the paper.

    Parameters
    ----------
    name, title : str
        "table1", and what it shows.
    datasets : tuple of str
        Names for `fetch_paper_dataset`.
    methods : dict
        For each split the names of the methods.
    published : callable
        The printed figures.
    noises : tuple of float
        Shares of flipped training labels.
    n_vals : tuple of int
        Numbers of validation rows; 0 is all.
    quantities : tuple of str
        Names of columns of the results.
    seeds : int
        Number of runs.
    """

    name: str
    title: str
    datasets: tuple[str, ...]
    methods: dict[str, tuple[str, ...]]
    published: Published
    noises: tuple[float, ...] = (0.0,)
    n_vals: tuple[int, ...] = (0,)
    quantities: tuple[str, ...] = ("loss",)
    seeds: int = 5


def jobs(
    experiment: Experiment, datasets: Iterable[str], noises: Iterable[float], seeds: int, methods: Sequence[str] = ()
) -> list[Job]:
    """List the cells of an experiment and the methods to measure on each.

    Parameters
    ----------
    experiment : Experiment
        The table or figure.
    datasets : iterable of str
        Which data sets.
    noises : iterable of float
        Which shares of flipped labels.
    seeds : int
        Number of runs; methods that draw nothing run once where the cell draws nothing either.
    methods : sequence of str, default=()
        Only these of the experiment's methods; all of them where empty.

    Returns
    -------
    jobs : list of tuple
        All cells of one seed before the next, so that an early stop leaves a balanced part.
    """
    from skrdia.reproduce._paper_cells import PaperCell  # loads numpy, which help and completion need not

    found = []
    for seed, dataset, split, noise, n_val in product(
        range(seeds), datasets, experiment.methods, noises, experiment.n_vals
    ):
        cell = PaperCell(dataset, noise, split, n_val, seed)
        wanted = [name for name in experiment.methods[split] if not methods or name in methods]
        if seed and split == "paper" and not noise and not n_val:
            wanted = [name for name in wanted if name in DRAWS]
        if wanted:
            found.append((cell, wanted))
    return found


def _table1(cell: PaperCell, method: str, quantity: str) -> Figure | None:
    return None if cell.noise else TABLE_1.get(cell.dataset, {}).get(method)


def _table3(cell: PaperCell, method: str, quantity: str) -> Figure | None:
    table = TABLE_3 if quantity == "loss" else TABLE_3_CHANGED
    return table.get(cell.noise, {}).get(method) if cell.dataset in _MNIST else None


def _table4(cell: PaperCell, method: str, quantity: str) -> Figure | None:
    table = TABLE_4 if quantity == "loss" else TABLE_4_VALIDATION
    return table.get(cell.n_val, {}).get(method) if cell.dataset in _MNIST and cell.noise == 0.4 else None


EXPERIMENTS: dict[str, Experiment] = {
    experiment.name: experiment
    for experiment in (
        Experiment(
            "table1",
            "Table 1: test loss with the labels as they are",
            PAPER_DATASETS,
            {
                "paper": tuple(name for name in METHODS if name not in (*_ALPHAS, "perfect", "perfect and validation")),
                "random": ("erm", "rdia", "auto", "erm and validation"),
            },
            _table1,
            seeds=10,
        ),
        Experiment(
            "table3",
            "Table 3: alpha, and the number of labels changed",
            ("mnist", "mnist-11684"),
            {"paper": ("erm", *_ALPHAS, "rdia", "auto", "auto on training rows", "perfect", "perfect and validation")},
            _table3,
            noises=(0.0, 0.2, 0.5, 0.8),
            quantities=("n_changed", "loss"),
            seeds=1,
        ),
        Experiment(
            "table4",
            "Table 4: the number of validation rows",
            ("mnist",),
            {
                "paper": (
                    "erm",
                    "uids-linear",
                    "uids-sigmoid",
                    "rdia",
                    "auto",
                    "auto on training rows",
                    "validation only",
                    "perfect",
                )
            },
            _table4,
            noises=(0.4,),
            n_vals=(100, 200, 500, 1000),
            quantities=("validation_loss", "loss"),
        ),
        Experiment(
            "figure2",
            "Figure 2: test loss over the share of flipped labels",
            ("breast-cancer", "diabetes", "mnist"),
            {"paper": tuple(name for name in METHODS if name not in (*_ALPHAS, "auto on training rows"))},
            _table1,
            noises=(0.0, 0.2, 0.4, 0.6, 0.8),
        ),
    )
}
