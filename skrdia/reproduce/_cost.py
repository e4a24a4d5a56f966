"""What ``alpha="auto"`` costs: its time over that of one fit of the base estimator."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from statistics import median
from time import perf_counter
from typing import Any, NamedTuple

from sklearn.datasets import make_classification
from sklearn.linear_model import LogisticRegression

from skrdia._rdia import RDIAClassifier
from skrdia.datasets import flip_labels

__all__ = ["Cost", "cost", "measure"]

COLUMNS = 100
INFORMATIVE = 20
FLIPPED = 0.2
TRUSTED = 0.3


class Cost(NamedTuple):
    """Seconds of one fit each, medians of the same run, for n rows in all."""

    n: int
    base: float
    auto: float

    @property
    def ratio(self) -> float:
        """Fits of the base that one automatic repair takes."""
        return self.auto / self.base


def cost(sizes: list[int], repeats: int = 3) -> Iterator[Cost]:
    """Time both fits on n rows and 100 columns, two classes, 20 % of the labels flipped, 30 % of the rows trusted.

    Parameters
    ----------
    sizes : list of int
        Values of n.
    repeats : int, default=3
        Fits of which the median is taken; the two alternate.

    Yields
    ------
    cost : Cost
        For each n.
    """
    base = LogisticRegression(max_iter=1000)
    for n in sizes:
        X, y = make_classification(n, COLUMNS, n_informative=INFORMATIVE, flip_y=0.0, random_state=0)
        trusted, train = slice(round(TRUSTED * n)), slice(round(TRUSTED * n), None)
        noisy = y.copy()
        noisy[train] = flip_labels(y[train], FLIPPED, random_state=0)[0]
        auto = RDIAClassifier(base, alpha="auto", random_state=0)
        data = {"X": X[train], "y": noisy[train], "X_val": X[trusted], "y_val": y[trusted]}
        fits = [partial(base.fit, X, noisy), partial(auto.fit, **data)]
        yield Cost(n, *measure(fits, repeats))


def measure(fits: Sequence[Callable[[], Any]], repeats: int) -> list[float]:
    """Return the median seconds of each function; they take turns, so that a busy moment hits all.

    Parameters
    ----------
    fits : sequence of callable
        Without arguments.
    repeats : int
        Rounds.

    Returns
    -------
    seconds : list of float
        A median for each.
    """
    seconds: list[list[float]] = [[] for _ in fits]
    for _ in range(repeats):
        for taken, fit in zip(seconds, fits, strict=True):
            start = perf_counter()
            fit()
            taken.append(perf_counter() - start)
    return [median(taken) for taken in seconds]
