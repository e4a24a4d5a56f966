"""The methods of the tables of nets: name -> function(task) -> a model that is tested.

The first fit, of the epoch with the lowest validation loss, and its influences, of the last layer with softened logits,
serve them all. V are the validation rows.

    everything                the training rows as given, the last epoch
    recalibrated              the same, with a temperature fitted on V
    trusted only              V alone, for thirty epochs
    fine-tuned                the first fit, trained for twenty epochs more on V
    drop, paper, best label   rows with positive influence dropped, relabelled by Eq. 12, or given the best label; and V
    auto                      RDIAClassifier(net)
    perfect                   the right labels, and V

and those of the paper's Table 2, which all go on from the first fit at the paper's lower learning rate, without V:

    erm                       the first fit
    random                    as many labels as "rdia" changes, drawn at random, are changed
    optlr, dropout, uids-*    see `skrdia.strategies`; dropout drops every row with positive influence
    rdia                      Eq. 12 for the rows above alpha, of four the one with the lowest validation loss
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from scipy.special import softmax

from skrdia._influence import Solved, solve_influence
from skrdia._rdia import RDIAClassifier
from skrdia._repair import propose
from skrdia._rows import stack
from skrdia._train import fine_tune, fit_targets, safe_log
from skrdia._tuning_nets import best_factor
from skrdia._validation import one_hot
from skrdia.reproduce._losses import row_losses
from skrdia.reproduce._net_cells import Data
from skrdia.reproduce._nets import REFIT_RATE, make_net
from skrdia.strategies import STRATEGIES
from skrdia.views import as_view
from skrdia.views._base import Array

__all__ = ["BASELINES", "METHODS", "TABLE_2", "Task"]

K = 10
CLASSES = np.arange(K)
BASELINES = ("everything", "recalibrated", "trusted only", "fine-tuned")
"""What needs no influence; "auto" has to be as good as the best of them."""

_ALPHAS = (0.0, 0.1, 0.3, 1.0)


@dataclass
class Task:
    """What a method is given."""

    data: Data
    net: Any
    seed: int

    @cached_property
    def given(self) -> Array:
        """One in the column of the given label, (n, K)."""
        return one_hot(self.data.y, K)

    @cached_property
    def judges(self) -> tuple[Any, Array]:
        """The validation rows and their targets."""
        return self.data.X_val, one_hot(self.data.y_val, K)

    @cached_property
    def first(self) -> Any:
        """The fit on the labels as given, of the best epoch."""
        return fit_targets(self.net, self.data.X, self.given, CLASSES, judges=self.judges, seed=self.seed)

    @cached_property
    def last(self) -> Any:
        """The same after the last epoch."""
        return fit_targets(self.net, self.data.X, self.given, CLASSES, seed=self.seed)

    @cached_property
    def solved(self) -> Solved:
        """The influence of every label of every row, (n, K)."""
        return solve_influence(as_view(self.first), self.data.X, self.given, *self.judges, "newton-cg", self.seed)

    @property
    def influences(self) -> Array:
        """Of the rows as labelled, (n,)."""
        return (self.given * self.solved.by_label).sum(axis=1)

    def repaired(self, strategy: str, alpha: float = 0.0) -> Array:
        """Targets (n, K) by a strategy."""
        rng = np.random.RandomState([self.seed, 1])
        numbers = (self.solved.by_label, self.solved.log_proba)
        return propose(self.given, *numbers, STRATEGIES[strategy], alpha, rng)[1]

    def from_scratch(self, labels: Array) -> Any:
        """Train on these targets and the validation rows."""
        X, targets = stack(self.data.X, self.judges[0]), np.vstack([labels, self.judges[1]])
        return fit_targets(self.net, X, targets, CLASSES, seed=self.seed)

    def going_on(self, labels: Array) -> Any:
        """Train on from the first fit, on these targets alone, at the paper's lower learning rate."""
        slower = {"lr": REFIT_RATE[self.data.dataset]}
        model = self.net.__class__(**(self.net.get_params(deep=False) | slower))
        return fit_targets(model, self.data.X, labels, CLASSES, warm=self.first, seed=self.seed)

    @cached_property
    def tuned(self) -> tuple[Any, Array]:
        """Eq. 12 with the threshold that has the lowest validation loss, and its targets."""
        tried = [self.repaired("relabel-soft", alpha) for alpha in _ALPHAS]
        models = [self.going_on(labels) for labels in tried]
        losses = [row_losses(model.predict_proba(self.data.X_val), self.data.y_val).mean() for model in models]
        best = int(np.argmin(losses))
        return models[best], tried[best]


@dataclass(frozen=True)
class _Recalibrated:
    """A net whose logits are multiplied by a factor."""

    net: Any
    factor: float

    def predict_proba(self, X: Any) -> Array:
        return softmax(self.factor * safe_log(self.net.predict_proba(X)), axis=1)


def _recalibrated(task: Task) -> Any:
    X_val, targets_val = task.judges
    return _Recalibrated(task.last, best_factor(safe_log(task.last.predict_proba(X_val)), targets_val))


def _trusted_only(task: Task) -> Any:
    return fit_targets(make_net(task.data.net, task.data.dataset, 30), *task.judges, CLASSES, seed=task.seed)


def _fine_tuned(task: Task) -> Any:
    return fine_tune(task.first, *task.judges, CLASSES, 20, seed=task.seed)


def _auto(task: Task) -> Any:
    data, clf = task.data, RDIAClassifier(task.net, random_state=task.seed)
    return clf.fit(data.X, data.y, X_val=data.X_val, y_val=data.y_val)


def _random(task: Task) -> Any:
    n_changed = int(np.count_nonzero((task.tuned[1] != task.given).any(axis=1)))
    rng, labels = np.random.RandomState([task.seed, 2]), task.given.copy()
    rows = rng.permutation(len(labels))[:n_changed]
    labels[rows] = np.eye(K)[(task.data.y[rows] + rng.randint(1, K, n_changed)) % K]
    return task.going_on(labels)


METHODS: dict[str, Callable[[Task], Any]] = {
    "everything": lambda task: task.last,
    "recalibrated": _recalibrated,
    "trusted only": _trusted_only,
    "fine-tuned": _fine_tuned,
    "drop": lambda task: task.from_scratch(task.repaired("drop")),
    "paper": lambda task: task.from_scratch(task.repaired("relabel-soft")),
    "best label": lambda task: task.from_scratch(task.repaired("relabel")),
    "auto": _auto,
    "perfect": lambda task: task.from_scratch(one_hot(task.data.y_true, K)),
}

TABLE_2: dict[str, Callable[[Task], Any]] = {
    "erm": lambda task: task.first,
    "random": _random,
    "optlr": lambda task: task.going_on(task.repaired("optlr")),
    "dropout": lambda task: task.going_on(task.repaired("drop")),
    "uids-linear": lambda task: task.going_on(task.repaired("uids-linear")),
    "uids-sigmoid": lambda task: task.going_on(task.repaired("uids-sigmoid")),
    "rdia": lambda task: task.tuned[0],
    "auto": _auto,
}
