"""The methods of the paper's tables: name -> function(task) -> the model that is tested, and what it was trained on.

All train the paper's logistic regression, C = 0.1 without an intercept, on the training rows alone, except "auto" and
the methods with "validation" in their names. The influences of the first fit serve them all. In the authors' code alpha
multiplies another scale, alpha_reference = C (n_val / n) alpha; names and tables have the reference scale.

    erm                     the labels as given
    random                  the labels of as many rows as "rdia" relabels, but drawn at random, are changed
    optlr, uids-*, dropout  see `skrdia.strategies`; dropout drops every row with positive influence
    rdia                    one round of the paper's relabelling, alpha of its grid with the lowest validation loss
    rdia best on test      the alpha with the lowest test loss, which cannot be known
    rdia at 0.01, ...   a given alpha
    auto                    RDIAClassifier() as it comes: repaired rows and validation rows
    auto on training rows     the same without validation rows in the final fit
    validation only         the validation rows alone
    erm and validation      the labels as given, and the validation rows
    perfect                 the right labels
    perfect and validation  the right labels, and the validation rows
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any, NamedTuple

import numpy as np
from sklearn.linear_model import LogisticRegression

from skrdia._influence import Influence, influence
from skrdia._rdia import RDIAClassifier
from skrdia._repair import propose
from skrdia._rows import stack
from skrdia._train import fit_targets
from skrdia._validation import one_hot
from skrdia.reproduce._losses import row_losses
from skrdia.reproduce._paper_cells import Data
from skrdia.strategies import STRATEGIES
from skrdia.views._base import Array

__all__ = ["ALPHAS", "CLASSES", "METHODS", "Outcome", "Task", "paper_base"]

C = 0.1
ALPHAS = (0.0, 0.0002, *(round(0.001 * k, 3) for k in range(1, 11)))
"""The paper's grids: section 5.1 and, for 0.0002, Tables 3 and 4."""

CLASSES = np.arange(2)


def paper_base() -> LogisticRegression:
    """The logistic regression of the paper's code."""
    return LogisticRegression(C=C, fit_intercept=False, tol=1e-7, solver="liblinear")


class Outcome(NamedTuple):
    """A fitted model, and the labels that it was trained on in the place of the given ones."""

    model: Any
    labels: Array
    alpha: float = float("nan")


@dataclass
class Task:
    """What a method is given. Arrays (n, 2) have a column for each label."""

    data: Data
    seed: int

    @cached_property
    def given(self) -> Array:
        """One in the column of the given label, (n, 2)."""
        return one_hot(self.data.y, 2)

    @cached_property
    def first(self) -> Any:
        """Step I: the fit on the labels as given."""
        return fit_targets(paper_base(), self.data.X, self.given, CLASSES)

    @cached_property
    def influence(self) -> Influence:
        """Step II: the influence of every label of every row."""
        return influence(self.first, self.data.X, self.data.y, self.data.X_val, self.data.y_val)

    @cached_property
    def grid(self) -> list[Outcome]:
        """One round of relabelling for every alpha of the grid, the largest first: of equals the first is chosen."""
        return [self.repaired("relabel", alpha) for alpha in reversed(ALPHAS)]

    @cached_property
    def tuned(self) -> Outcome:
        """That of the grid with the lowest validation loss."""
        return min(self.grid, key=lambda outcome: log_loss(outcome.model, self.data.X_val, self.data.y_val))

    @property
    def best(self) -> Outcome:
        """That of the grid with the lowest test loss: what no choice of alpha can beat."""
        return min(self.grid, key=lambda outcome: log_loss(outcome.model, self.data.X_test, self.data.y_test))

    def repaired(self, strategy: str, alpha: float = 0.0) -> Outcome:
        """Steps III and IV, with a threshold in the reference scale."""
        scale = C * len(self.data.y_val) / len(self.data.y)
        rng = np.random.RandomState([self.seed, 1])  # another stream than the one that flips labels
        numbers = (self.influence.by_label, self.influence.log_proba)
        labels = propose(self.given, *numbers, STRATEGIES[strategy], alpha / scale, rng)[1]
        return Outcome(self.fit(labels), labels, alpha)

    def fit(self, labels: Array, *, with_validation: bool = False) -> Any:
        """Train on targets of the training rows, and on the validation rows if asked to."""
        if not with_validation and np.array_equal(labels, self.given):
            return self.first
        X = self.data.X
        if with_validation:
            X, labels = stack(X, self.data.X_val), np.vstack([labels, one_hot(self.data.y_val, 2)])
        return fit_targets(paper_base(), X, labels, CLASSES)


def log_loss(model: Any, X: Any, y: Any) -> float:
    """Mean log loss of a model, in nats."""
    return float(row_losses(model.predict_proba(X), y).mean())


def _random(task: Task) -> Outcome:
    n_changed = int(np.count_nonzero((task.tuned.labels != task.given).any(axis=1)))
    labels = task.given.copy()
    rows = np.random.RandomState([task.seed, 2]).permutation(len(labels))[:n_changed]
    labels[rows] = labels[rows, ::-1]
    return Outcome(task.fit(labels), labels)


def _auto(refit_on: str, task: Task) -> Outcome:
    data = task.data
    clf = RDIAClassifier(paper_base(), random_state=task.seed, refit_on=refit_on)
    clf.fit(data.X, data.y, X_val=data.X_val, y_val=data.y_val)
    return Outcome(clf.estimator_, clf.targets_, clf.alpha_)


def _trained_on(labels_of: Callable[[Task], Array], with_validation: bool, task: Task) -> Outcome:
    labels = labels_of(task)
    return Outcome(task.fit(labels, with_validation=with_validation), labels)


def _given(task: Task) -> Array:
    return task.given


def _right(task: Task) -> Array:
    return one_hot(task.data.y_true, 2)


def _no_rows(task: Task) -> Array:
    return np.zeros_like(task.given)


def _repaired(strategy: str, alpha: float, task: Task) -> Outcome:
    return task.repaired(strategy, alpha)


METHODS: dict[str, Callable[[Task], Outcome]] = {
    "erm": partial(_trained_on, _given, False),
    "random": _random,
    "optlr": partial(_repaired, "optlr", 0.0),
    "dropout": partial(_repaired, "drop", 0.0),
    "uids-linear": partial(_repaired, "uids-linear", 0.0),
    "uids-sigmoid": partial(_repaired, "uids-sigmoid", 0.0),
    "rdia": lambda task: task.tuned,
    "rdia best on test": lambda task: task.best,
    "rdia at 0.01": partial(_repaired, "relabel", 0.01),
    "rdia at 0.002": partial(_repaired, "relabel", 0.002),
    "rdia at 0.0002": partial(_repaired, "relabel", 0.0002),
    "auto": partial(_auto, "all"),
    "auto on training rows": partial(_auto, "train"),
    "validation only": partial(_trained_on, _no_rows, True),
    "erm and validation": partial(_trained_on, _given, True),
    "perfect": partial(_trained_on, _right, False),
    "perfect and validation": partial(_trained_on, _right, True),
}
