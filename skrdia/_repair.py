"""Rounds of steps I to III: train, find the harmful rows, decide their targets, until there is nothing left to change.

Every round starts from the targets of the round before: a relabelled row that is still harmful is relabelled again, a
dropped one stays out. A round that reaches earlier targets again ends the repair.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils.parallel import Parallel, delayed

from skrdia._influence import Solved, solve_influence
from skrdia._rows import Rows, take
from skrdia._train import fit_targets
from skrdia.views import as_view
from skrdia.views._base import Array

__all__ = ["Repaired", "detect", "repair"]


def detect(
    estimator: Any,
    X: Any,
    targets: Array,
    classes: NDArray[Any],
    X_val: Any,
    targets_val: Array,
    hessian: Any,
    random_state: Any,
) -> tuple[Any, Solved]:
    """Steps I and II on the rows of one fold: the trained estimator, and what it says of every label of every row."""
    estimator = fit_targets(estimator, X, targets, classes)
    view = as_view(estimator)
    if not np.array_equal(view.classes_, classes):
        raise ValueError(
            f"base_estimator has classes {view.classes_.tolist()}, but the training labels y are {classes.tolist()}; "
            "a frozen estimator must have been fitted on the same labels."
        )
    return estimator, solve_influence(view, X, targets, X_val, targets_val, hessian, random_state)


@dataclass(frozen=True)
class Detection:
    """The outcome of `detect` for all folds. Arrays (n, K) are means over the folds a row is trained in, else nan."""

    estimators: list[Any]
    influences: Array
    log_proba: Array
    loss_gradient: Array
    validation_loss: float
    diagnostics: dict[str, Any]


@dataclass(frozen=True)
class Repaired:
    """Targets (n, K) before sample weights, and how they came about."""

    labels: Array
    harmful: NDArray[np.bool_]
    first: Detection
    history: list[dict[str, Any]]
    termination_condition: str


def repair(
    rows: Rows,
    detect_fold: Callable[..., tuple[Any, Solved]],
    signal: Callable[..., Array],
    strategy: Callable[..., Array],
    alpha: float,
    *,
    max_iter: int,
    n_jobs: int | None,
    rng: np.random.RandomState,
    report: Callable[[str], None],
) -> Repaired:
    """Run at most `max_iter` rounds.

    `detect_fold` has the arguments of `detect` from `X` to `targets_val`, without the classes.
    """
    labels, harmful, seen = rows.given, np.zeros(len(rows.y), dtype=bool), [rows.given]
    detections: list[Detection] = []
    history: list[dict[str, Any]] = []
    condition = "max_iter"
    while condition == "max_iter" and len(history) < max_iter:
        found = _detect_all(rows, labels, detect_fold, n_jobs)
        detections = detections or [found]
        if history:
            history[-1]["realised_gain"] = history[-1]["validation_loss"] - found.validation_loss
        flagged, proposed = _propose(labels, found, signal, strategy, alpha, rng)
        lost = _lost_classes(rows, proposed)
        if len(lost):
            condition = f"a class would be left empty: {lost.tolist()}"
            warnings.warn(
                f"Round {len(history) + 1} would leave no training row of class {lost.tolist()}; stopped before it, "
                "with the labels of the round before. Use a larger alpha, or more validation rows of that class.",
                UserWarning,
                stacklevel=3,
            )
            proposed = labels
        elif not flagged.any():
            condition = "no row above alpha"
        elif any(np.array_equal(proposed, earlier) for earlier in seen):
            condition = "labels repeat"
        history.append(_entry(len(history) + 1, found, flagged, labels, proposed))
        report(_sentence(history[-1], alpha))
        if not len(lost):
            labels, harmful = proposed, harmful | flagged
            seen.append(labels)
    history[-1]["termination_condition"] = condition
    return Repaired(labels, harmful, detections[0], history, condition)


def _entry(number: int, found: Detection, flagged: NDArray[np.bool_], labels: Array, proposed: Array) -> dict[str, Any]:
    """The line of `history_` for a round that changes `labels` to `proposed`."""
    return {
        "round": number,
        "n_harmful": int(flagged.sum()),
        "n_changed": int((proposed != labels).any(axis=1).sum()),
        "validation_loss": found.validation_loss,
        "predicted_gain": float(np.nansum(found.loss_gradient * (labels - proposed))),
        "realised_gain": np.nan,
        "termination_condition": "",
        "diagnostics": found.diagnostics,
    }


def _detect_all(rows: Rows, labels: Array, detect_fold: Callable[..., Any], n_jobs: int | None) -> Detection:
    targets = labels * rows.weight[:, None]
    results = Parallel(n_jobs=n_jobs if len(rows.folds) > 1 else None)(
        delayed(detect_fold)(take(rows.X, fold.train), targets[fold.train], fold.X_val, fold.targets_val)
        for fold in rows.folds
    )
    sums = np.zeros((3, *labels.shape))
    count = np.zeros((len(labels), 1))
    for fold, (_, solved) in zip(rows.folds, results, strict=True):
        count[fold.train] += 1.0
        for total, part in zip(sums, (solved.by_label, solved.log_proba, solved.loss_gradient), strict=True):
            total[fold.train] += part
    influences, log_proba, loss_gradient = np.divide(sums, count, out=np.full_like(sums, np.nan), where=count > 0.0)
    return Detection(
        estimators=[estimator for estimator, _ in results],
        influences=influences,
        log_proba=log_proba,
        loss_gradient=loss_gradient * rows.weight[:, None] * count / len(rows.folds),
        validation_loss=float(np.mean([solved.validation_loss for _, solved in results])),
        diagnostics=_worst([solved.diagnostics for _, solved in results]),
    )


def _propose(
    labels: Array,
    found: Detection,
    signal: Callable[..., Array],
    strategy: Callable[..., Array],
    alpha: float,
    rng: np.random.RandomState,
) -> tuple[NDArray[np.bool_], Array]:
    """Which rows are harmful, (n,), and the targets they should have, (n, K), by the signal and the strategy."""
    scored = ~np.isnan(found.influences[:, 0])
    current, influences, log_proba = labels[scored], found.influences[scored], found.log_proba[scored]
    scores = np.asarray(signal(current, influences, log_proba), dtype=np.float64)
    if scores.shape != (len(current),) or np.isnan(scores).any():
        raise ValueError(
            f"signal returned an array of shape {scores.shape} with {np.isnan(scores).sum()} nan; expected one number "
            f"for each of {len(current)} rows."
        )
    targets = np.asarray(strategy(current, influences, log_proba, scores > alpha, rng), dtype=np.float64)
    if targets.shape != current.shape or not (np.isfinite(targets).all() and (targets >= 0.0).all()):
        raise ValueError(
            f"strategy returned an array of shape {targets.shape}; expected {current.shape}, finite and non-negative."
        )
    harmful, proposed = np.zeros(len(labels), dtype=bool), labels.copy()
    harmful[scored] = scores > alpha
    proposed[scored] = targets
    return harmful, proposed


def _lost_classes(rows: Rows, labels: Array) -> NDArray[Any]:
    """Classes without weight in the training rows of some fold."""
    targets = labels * rows.weight[:, None]
    lost = np.zeros(len(rows.classes), dtype=bool)
    for fold in rows.folds:
        lost |= targets[fold.train].sum(axis=0) == 0.0
    return rows.classes[lost]


def _worst(diagnostics: list[dict[str, Any]]) -> dict[str, Any]:
    """The diagnostics of one fold, or the worst of several; `n_products` is their sum."""
    combine: dict[str, Callable[..., Any]] = dict.fromkeys(diagnostics[0], max) | {
        "converged": min,
        "rank": min,
        "smallest_curvature": min,
        "n_products": sum,
        "hessian": lambda values: values[0],
    }
    return {key: combine[key]([entry[key] for entry in diagnostics]) for key in diagnostics[0]}


def _sentence(entry: dict[str, Any], alpha: float) -> str:
    return (
        f"[RDIA] round {entry['round']}: validation loss {entry['validation_loss']:.4f}, {entry['n_harmful']} rows "
        f"above alpha={alpha:g}, {entry['n_changed']} targets changed, predicted gain {entry['predicted_gain']:.4f}"
    )
