"""The methods of `realnoise`: name -> function(problem) -> probabilities of the test rows, and what was found.

All train the same base estimator, in the end on repaired and verified rows together, except "verified only". The labels
of the verified rows are right for all of them: "everything" takes the others as they came, "perfect" as they should be.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import issparse
from sklearn.decomposition import TruncatedSVD
from sklearn.model_selection import StratifiedKFold
from sklearn.pipeline import make_pipeline

from skrdia._rdia import RDIAClassifier
from skrdia._train import fit_targets, predict_targets
from skrdia._treatments import METHODS as TREATMENTS
from skrdia._treatments import Table, Task
from skrdia._validation import one_hot
from skrdia.reproduce._methods import BASES, FOLDS, PAPER_ALPHA
from skrdia.reproduce._real_cells import NoisyRows, RealCell
from skrdia.reproduce._real_sets import DENSE_COLUMNS
from skrdia.views._base import Array

__all__ = ["METHODS", "VERIFIED_METHODS", "Outcome", "Problem", "methods_for", "problem", "unavailable"]

PAIRS, CLEANLAB = "auto with pairs", ("cleanlab", "cleanlab and verified")
_SMALL_TREES = {"max_iter": 60, "learning_rate": 0.08, "max_leaf_nodes": 8}
_UNKNOWN = (float("nan"),) * 3


class Problem(NamedTuple):
    """The rows, and the same as the methods of `compare_strategies` take them, with the estimators."""

    data: NoisyRows
    task: Task


class Outcome(NamedTuple):
    """Probabilities of the test rows; the training rows that are taken for wrong; the estimated share of wrong labels,
    with the ends of an interval.
    """

    proba: Array
    marked: NDArray[np.bool_] | None = None
    rates: tuple[float, float, float] = _UNKNOWN


Method = Callable[[Problem], Outcome]


def problem(cell: RealCell, data: NoisyRows) -> Problem:
    """Return what the methods are given in a cell."""
    table = Table(data.X, data.y, np.ones(len(data.y)), data.verified, np.arange(data.n_classes))
    return Problem(data, Task(table, *BASES[cell.base](cell.C, cell.seed), cell.seed))


def _treatment(name: str) -> Method:
    return lambda given: _test(given, TREATMENTS[name](given.task))


def _perfect(given: Problem) -> Outcome:
    targets = one_hot(given.data.right, given.data.n_classes)
    return _test(given, fit_targets(given.task.estimator, given.data.X, targets, given.task.table.classes))


def _repaired(given: Problem, *, pairs: bool = False, **params: Any) -> Outcome:
    data, task = given
    params = {"influence_estimator": task.influence_estimator, "random_state": task.seed} | params
    rows: dict[str, Any] = {"trusted": data.verified} if data.verified.any() else {}
    if pairs:
        rows["y_given"] = data.given
    fitted = RDIAClassifier(task.estimator, **params).fit(data.X, data.y, **rows)
    interval = getattr(fitted, "noise_rate_interval_", None)
    low, high = _UNKNOWN[:2] if interval is None else map(float, interval)
    rate = float(getattr(fitted, "noise_rate_", np.nan))
    return _test(given, fitted)._replace(marked=fitted.harmful_mask_, rates=(rate, low, high))


def _by_folds(given: Problem, **params: Any) -> Outcome:
    return _repaired(given, cv=_folds(given), **params)


def _by_trees(given: Problem) -> Outcome:
    """By the confidence of boosted trees, of the leading singular directions of sparse columns."""
    from sklearn.ensemble import HistGradientBoostingClassifier  # slow to import

    X, n_columns = given.data.X, given.data.X.shape[1]
    finder = HistGradientBoostingClassifier(random_state=given.task.seed, **_SMALL_TREES)
    if issparse(X):
        finder = make_pipeline(TruncatedSVD(min(DENSE_COLUMNS, n_columns), random_state=0), finder)
    return _by_folds(given, influence_estimator=finder, alpha=PAPER_ALPHA, strategy="drop")


def _cleanlab(given: Problem) -> Outcome:
    return _pruned(given, _out_of_fold(given))


def _pruned(given: Problem, proba: Array) -> Outcome:
    """Without the rows that cleanlab takes for wrong, by probabilities of the rows that are not verified."""
    data, task, unverified = given.data, given.task, np.flatnonzero(~given.data.verified)
    labels, classes = data.given[unverified], np.unique(data.given[unverified])
    proba = proba[:, classes] / np.maximum(proba[:, classes].sum(axis=1, keepdims=True), np.finfo(np.float64).tiny)
    arguments = {"labels": np.searchsorted(classes, labels), "pred_probs": proba}
    issues = import_module("cleanlab.filter").find_label_issues(**arguments, n_jobs=1)
    marked = np.zeros(len(data.given), dtype=bool)
    marked[unverified[issues]] = True
    rate = import_module("cleanlab.count").num_label_issues(**arguments) / len(labels)
    return _test(given, task.fit(~marked))._replace(marked=marked, rates=(float(rate), *_UNKNOWN[:2]))


def _folds(given: Problem) -> StratifiedKFold:
    return StratifiedKFold(FOLDS, shuffle=True, random_state=given.task.seed)


def _out_of_fold(given: Problem) -> Array:
    """Probabilities of the rows that are not verified, by fits on the others of them and the verified ones."""
    data, unverified = given.data, np.flatnonzero(~given.data.verified)
    proba = np.zeros((len(unverified), data.n_classes))
    for _, held_out in _folds(given).split(unverified, data.given[unverified]):
        train = ~np.isin(np.arange(len(data.given)), unverified[held_out])
        X = data.X[unverified[held_out]]
        proba[held_out] = predict_targets(given.task.fit(train), X, given.task.table.classes)
    return proba


def _test(given: Problem, fitted: Any) -> Outcome:
    return Outcome(predict_targets(fitted, given.data.X_test, given.task.table.classes))


METHODS: dict[str, Method] = {
    "everything": _treatment("everything"),
    "perfect": _perfect,
    "default": _repaired,
    "cv": _by_folds,
    "posterior": partial(_by_folds, signal="posterior", alpha=0.5, strategy="relabel", max_iter=3),
    "confident": partial(_by_folds, alpha=PAPER_ALPHA, strategy="drop"),
    "confident trees": _by_trees,
    CLEANLAB[0]: _cleanlab,
}
"""With no verified rows."""

VERIFIED_METHODS: dict[str, Method] = {
    "everything": _treatment("everything"),
    "perfect": _perfect,
    "recalibrated": _treatment("everything, recalibrated"),
    "verified only": _treatment("trusted rows only"),
    "auto": _repaired,
    PAIRS: partial(_repaired, pairs=True),
    "paper": partial(_repaired, alpha=PAPER_ALPHA, strategy="relabel"),
    "drop": partial(_repaired, alpha=PAPER_ALPHA, strategy="drop"),
    CLEANLAB[1]: _cleanlab,
}
"""With some."""


def methods_for(cell: RealCell) -> dict[str, Method]:
    """The methods that suit a cell."""
    return VERIFIED_METHODS if cell.verified else METHODS


def unavailable() -> dict[str, str]:
    """Methods that cannot run here, with what to do about it."""
    found = {}
    if find_spec("cleanlab") is None:
        found = {name: f"{name} is left out, because it needs cleanlab: pip install cleanlab" for name in CLEANLAB}
    return found
