"""The methods that are compared: name -> function(problem) -> probabilities of the test rows.

All train the same base estimator, and in the end on training and trusted rows together, except "trusted rows only".
"everything" takes the labels as given and "perfect" the right ones: the two ends of the distance that a repair covers.
A method may return scores of the training rows too, high for a suspicious label.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from typing import Any, NamedTuple

import numpy as np
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skrdia._outcome import candidate_targets
from skrdia._rdia import RDIAClassifier
from skrdia._train import fit_targets, predict_targets
from skrdia._validation import one_hot
from skrdia.reproduce._cells import Cell, Split
from skrdia.reproduce._losses import row_losses
from skrdia.reproduce._prototype import average_of_best
from skrdia.views._base import Array

__all__ = [
    "BASES",
    "METHODS",
    "NO_TRUSTED_METHODS",
    "SLOW",
    "Outcome",
    "Problem",
    "methods_for",
    "problem",
    "unavailable",
]

PAPER_ALPHA = 0.7  # the best of those compared in the user guide
FOLDS = 5


class Problem(NamedTuple):
    """What a method is given. `detector` finds the wrong labels of a base that has no influence; else None."""

    data: Split
    base: Any
    detector: Any
    C: float
    seed: int


class Outcome(NamedTuple):
    """Probabilities of the test rows, and scores of the training rows where a method has them."""

    proba: Array
    scores: Array | None = None


Method = Callable[[Problem], Outcome]


def _logistic(C: float, seed: int) -> tuple[Any, Any]:
    return LogisticRegression(C=C, max_iter=1000), None


def _hgb(C: float, seed: int) -> tuple[Any, Any]:
    from sklearn.ensemble import HistGradientBoostingClassifier  # slow to import

    return HistGradientBoostingClassifier(random_state=seed), make_pipeline(StandardScaler(), LogisticRegression(C=C))


BASES: dict[str, Callable[[float, int], tuple[Any, Any]]] = {"logistic": _logistic, "hgb": _hgb}


def problem(cell: Cell, data: Split) -> Problem:
    """Return what the methods are given in a cell."""
    return Problem(data, *BASES[cell.base](cell.C, cell.seed), cell.C, cell.seed)


def _everything(task: Problem) -> Outcome:
    return _train(task, one_hot(task.data.y, task.data.n_classes))


def _perfect(task: Problem) -> Outcome:
    return _train(task, one_hot(task.data.y_true, task.data.n_classes))


def _trusted_only(task: Problem) -> Outcome:
    return _train(task, np.zeros((len(task.data.y), task.data.n_classes)))


def _auto(task: Problem) -> Outcome:
    return _test(task, _repair(task, alpha="auto"))


def _paper(strategy: str) -> Method:
    return lambda task: _test(task, _repair(task, alpha=PAPER_ALPHA, strategy=strategy))


def _prototype(task: Problem) -> Outcome:
    return _train(task, average_of_best(task.base, task.C, task.data, task.seed))


def _hindsight(task: Problem) -> Outcome:
    """The candidate of "auto" with the lowest loss on the test rows: what no choice of one can beat."""
    data = task.data
    candidates = candidate_targets(_classifier(task, alpha="auto"), data.X, data.y, data.X_val, data.y_val)
    outcomes = [_train(task, targets) for targets in candidates.values()]
    return min(outcomes, key=lambda outcome: float(row_losses(outcome.proba, data.y_test).mean()))


def _cleanlab(task: Problem) -> Outcome:
    data = task.data
    learner = import_module("cleanlab.classification").CleanLearning(
        clf=clone(task.base), cv_n_folds=FOLDS, seed=task.seed, find_label_issues_kwargs={"n_jobs": 1}
    )
    learner.fit(np.vstack([data.X, data.X_val]), np.r_[data.y, data.y_val])
    return _test(task, learner.clf)


METHODS: dict[str, Method] = {
    "everything": _everything,
    "perfect": _perfect,
    "trusted rows only": _trusted_only,
    "auto": _auto,
    "drop": _paper("drop"),
    "relabel": _paper("relabel"),
    "uids-linear": _paper("uids-linear"),
    "uids-sigmoid": _paper("uids-sigmoid"),
    "optlr": _paper("optlr"),
    "random": _paper("random"),
    "cleanlab": _cleanlab,
    "prototype": _prototype,
    "hindsight": _hindsight,
}
SLOW = ("prototype", "hindsight")


def _auto_without_trusted(task: Problem) -> Outcome:
    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=task.seed)
    fitted = _classifier(task, cv=folds).fit(task.data.X, task.data.y)
    return Outcome(_test(task, fitted).proba, fitted.scores_)


def _cleanlab_without_trusted(task: Problem) -> Outcome:
    data = task.data
    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=task.seed)
    proba = cross_val_predict(clone(task.base), data.X, data.y, cv=folds, method="predict_proba")
    quality = import_module("cleanlab.rank").get_label_quality_scores(data.y, proba)
    issues = import_module("cleanlab.filter").find_label_issues(data.y, proba, n_jobs=1)
    targets = one_hot(data.y, data.n_classes)
    targets[issues] = 0.0
    return Outcome(_train(task, targets).proba, 1.0 - quality)


NO_TRUSTED_METHODS: dict[str, Method] = {
    "everything": _everything,
    "perfect": _perfect,
    "auto": _auto_without_trusted,
    "cleanlab": _cleanlab_without_trusted,
}


def methods_for(base: str, *, trusted: bool = True) -> list[str]:
    """Names of the methods that suit the base estimator; the prototype knows logistic regression only."""
    names = METHODS if trusted else NO_TRUSTED_METHODS
    return [name for name in names if base == "logistic" or name != "prototype"]


def unavailable() -> dict[str, str]:
    """Methods whose package is missing here, with what to do about it."""
    if find_spec("cleanlab") is None:
        return {"cleanlab": "cleanlab is left out, because it is not installed: pip install cleanlab"}
    return {}


def _classifier(task: Problem, **params: Any) -> RDIAClassifier:
    if task.detector is not None:
        params["influence_estimator"] = task.detector
    return RDIAClassifier(task.base, random_state=task.seed, **params)


def _repair(task: Problem, **params: Any) -> RDIAClassifier:
    data = task.data
    return _classifier(task, **params).fit(data.X, data.y, X_val=data.X_val, y_val=data.y_val)


def _train(task: Problem, targets: Array) -> Outcome:
    """Train the base on targets of the training rows and on the trusted rows."""
    data = task.data
    labels = np.vstack([targets, one_hot(data.y_val, data.n_classes)])
    return _test(task, fit_targets(task.base, np.vstack([data.X, data.X_val]), labels, np.arange(data.n_classes)))


def _test(task: Problem, fitted: Any) -> Outcome:
    return Outcome(predict_targets(fitted, task.data.X_test, np.arange(task.data.n_classes)))
