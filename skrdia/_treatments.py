"""The methods that `compare_strategies` compares: each turns the training rows of a split into a fitted classifier.

"everything, recalibrated" turns the probabilities p_k of the estimator into softmax_k(a log p_k + b_k), a >= 0, with

    a, b = argmin  sum_i w_i (log loss of trusted row i) + 0.05 ((a - 1)^2 + |b|^2)

a temperature of 1 / a and a bias for each class; for two classes that is Platt scaling. The estimator was trained on
the trusted rows, so that its own probabilities there look too good. Those in the sum are out of fold: by fits on all
rows but a fifth of the trusted training rows, of that fifth. The small penalty keeps a and b finite.

References: Guo, Pleiss, Sun, Weinberger, "On calibration of modern neural networks", ICML 2017.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from inspect import signature
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import logsumexp, softmax
from sklearn import get_config
from sklearn.base import clone
from sklearn.utils.metadata_routing import get_routing_for_object

from skrdia._out_of_fold import interleaved_folds
from skrdia._rdia import RDIAClassifier
from skrdia._rows import take
from skrdia._train import fit_targets, last_step, predict_targets, safe_log
from skrdia._validation import encode, one_hot
from skrdia.views._base import Array

__all__ = [
    "CLEANLAB",
    "METHODS",
    "NEEDS_VIEW",
    "REFERENCE",
    "Method",
    "Table",
    "Task",
    "fit_scale_and_bias",
    "own",
]

REFERENCE, CLEANLAB = "everything", "cleanlab, pruned"

_N_FOLDS = 5
"""Folds of out-of-fold probabilities, for recalibration and for cleanlab."""

_PENALTY = 0.1
"""Of the scale and the biases of a recalibration: a normal prior with standard deviation 3."""


@dataclass(frozen=True)
class Table:
    """Rows of positive weight, with their labels, weights, and whether each label is verified."""

    X: Any
    y: NDArray[Any]
    weight: Array
    trusted: NDArray[np.bool_]
    classes: NDArray[Any]

    def take(self, rows: NDArray[Any]) -> Table:
        return Table(take(self.X, rows), self.y[rows], self.weight[rows], self.trusted[rows], self.classes)

    @property
    def targets(self) -> Array:
        return one_hot(encode(self.y, self.classes, "y"), len(self.classes), self.weight)


@dataclass(frozen=True)
class Task:
    """What every method is given: the training rows of a split."""

    table: Table
    estimator: Any
    influence_estimator: Any
    seed: int

    def fit(self, rows: NDArray[np.bool_]) -> Any:
        """The estimator trained on some of the rows, as labelled."""
        return fit_targets(self.estimator, self.table.X, self.table.targets * rows[:, None], self.table.classes)

    def out_of_fold(self, rows: NDArray[np.bool_]) -> Array:
        """Probabilities (rows.sum(), K) of these rows, by fits on the others of them and all rows that are not."""
        table, positions = self.table, np.flatnonzero(rows)
        fold = interleaved_folds(table.targets[rows], _N_FOLDS)
        proba = np.empty((len(positions), len(table.classes)))
        for i in np.unique(fold):
            held_out = positions[fold == i]
            fitted = self.fit(~np.isin(np.arange(len(rows)), held_out))
            proba[fold == i] = predict_targets(fitted, take(table.X, held_out), table.classes)
        return proba


def _everything(task: Task) -> Any:
    return task.fit(np.ones(len(task.table.y), dtype=bool))


def _untrusted_only(task: Task) -> Any:
    return task.fit(~task.table.trusted)


def _trusted_only(task: Task) -> Any:
    return task.fit(task.table.trusted)


@dataclass(frozen=True)
class _Recalibrated:
    """A fitted classifier whose probabilities p_k become softmax_k(scale log p_k + bias_k)."""

    estimator: Any
    classes_: NDArray[Any]
    scale: float
    bias: Array

    def predict_proba(self, X: Any) -> Array:
        log_proba = safe_log(predict_targets(self.estimator, X, self.classes_))
        return softmax(self.scale * log_proba + self.bias, axis=1)


def _recalibrated(task: Task) -> Any:
    table = task.table
    log_proba = safe_log(task.out_of_fold(table.trusted))
    return _Recalibrated(_everything(task), table.classes, *fit_scale_and_bias(log_proba, table.targets[table.trusted]))


def fit_scale_and_bias(log_proba: Array, targets: Array, penalty: float = _PENALTY) -> tuple[float, Array]:
    """The scale a and biases b (K,) of softmax_k(a log p_k + b_k) that fit targets (n, K) best."""
    weight = targets.sum(axis=1)

    def objective(params: Array) -> tuple[float, Array]:
        logits = params[0] * log_proba + params[1:]
        residual = weight[:, None] * softmax(logits, axis=1) - targets
        away = params - start
        loss = weight @ logsumexp(logits, axis=1) - (targets * logits).sum() + 0.5 * penalty * (away @ away)
        gradient = np.append((residual * log_proba).sum(), residual.sum(axis=0)) + penalty * away
        return loss / weight.sum(), gradient / weight.sum()

    start = np.append(1.0, np.zeros(log_proba.shape[1]))
    bounds: list[tuple[float | None, float | None]] = [(0.0, None), *[(None, None)] * log_proba.shape[1]]
    params = minimize(
        objective,
        start,
        jac=True,
        method="L-BFGS-B",
        bounds=bounds,
        options={"maxiter": 1000, "ftol": 1e-13, "gtol": 1e-8},
    ).x
    return float(params[0]), params[1:]


def _rdia(task: Task, **params: Any) -> Any:
    clf = RDIAClassifier(task.estimator, influence_estimator=task.influence_estimator, random_state=task.seed, **params)
    return clf.fit(task.table.X, task.table.y, task.table.weight, trusted=task.table.trusted)


def _cleanlab_pruned(task: Task) -> Any:
    table, untrusted = task.table, np.flatnonzero(~task.table.trusted)
    given = encode(table.y[untrusted], table.classes, "y")
    find_label_issues = import_module("cleanlab.filter").find_label_issues
    is_issue = find_label_issues(labels=given, pred_probs=task.out_of_fold(~table.trusted), n_jobs=1)
    return task.fit(~np.isin(np.arange(len(table.y)), untrusted[is_issue]))


def own(task: Task, classifier: Any) -> Any:
    """A classifier of the caller's; `trusted` goes to the last step of a pipeline, or to whatever requests it."""
    classifier, table = clone(classifier), task.table
    path, last = last_step(classifier)
    is_routed = get_config()["enable_metadata_routing"]
    if "trusted" in signature(last.fit).parameters:
        prefix = "__".join([*path, ""]) if not is_routed else ""
    elif is_routed and "trusted" in get_routing_for_object(classifier).consumes("fit", ["trusted"]):
        prefix = ""
    else:
        return fit_targets(classifier, table.X, table.targets, table.classes)
    params: dict[str, Any] = {f"{prefix}trusted": table.trusted}
    if (table.weight != 1.0).any():
        params[f"{prefix}sample_weight"] = table.weight
    return classifier.fit(table.X, table.y, **params)


Method = Callable[[Task], Any]

METHODS: dict[str, Method] = {
    REFERENCE: _everything,
    "everything, recalibrated": _recalibrated,
    "untrusted rows only": _untrusted_only,
    "trusted rows only": _trusted_only,
    "drop": partial(_rdia, alpha=0.7, strategy="drop"),
    "paper": partial(_rdia, alpha=0.7, strategy="relabel-soft"),
    "best label": partial(_rdia, alpha=0.7, strategy="relabel"),
    "auto": partial(_rdia, alpha="auto"),
    CLEANLAB: _cleanlab_pruned,
}

NEEDS_VIEW = ("drop", "paper", "best label", "auto")
"""Methods that compute influences."""
