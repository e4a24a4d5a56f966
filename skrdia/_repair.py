"""Rounds of steps I to III: train, find the harmful rows, decide their targets, until there is nothing left to change.

Every round starts from the targets of the round before: a relabelled row that is still harmful is relabelled again, a
dropped one stays out. A round that reaches earlier targets again ends the repair.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils.parallel import Parallel, delayed

from skrdia._evidence import Evidence, can_judge
from skrdia._influence import Solved
from skrdia._rows import Fold, Rows, take
from skrdia._train import predict_targets, safe_log
from skrdia.signals._table import SIGNALS, apply
from skrdia.views._base import Array

__all__ = [
    "Detection",
    "Repaired",
    "entry",
    "keep_classes",
    "predicted_gain",
    "propose",
    "repair",
    "sentence",
    "unjudged",
]


_MODELS_OF_NOISE = tuple(SIGNALS[name] for name in ("noise-model", "calibrated-posterior", "paired-posterior"))
"""Signals that say how probable each label is, so that no other model need be asked."""


@dataclass(frozen=True)
class Findings:
    """What the evidence on one fold says."""

    by_label: Array
    log_proba: Array
    estimator: Any
    solved: Solved | None


@dataclass(frozen=True)
class Detection:
    """The findings of all folds. Arrays (n, K) are means over the folds a row is trained in, else nan."""

    estimators: list[Any]
    by_label: Array
    log_proba: Array
    influences: Array
    loss_gradient: Array
    validation_loss: float
    diagnostics: dict[str, Any]


@dataclass(frozen=True)
class Repaired:
    """Targets (n, K) before sample weights, and how they came about.

    `rounds` (n,) has the first round that changed each row's target, 0 for none.
    """

    labels: Array
    harmful: NDArray[np.bool_]
    first: Detection
    history: list[dict[str, Any]]
    termination_condition: str
    rounds: NDArray[np.intp]


def repair(
    rows: Rows,
    gather: Callable[[Fold, Array], Evidence],
    signal: Callable[..., Array],
    strategy: Callable[..., Array],
    alpha: float,
    *,
    max_iter: int,
    n_jobs: int | None,
    rng: np.random.RandomState,
    report: Callable[[str], None],
    is_judged: bool = True,
) -> Repaired:
    """Run at most `max_iter` rounds; `gather` collects the evidence of a fold, given the current targets.

    `is_judged`: whether the signal asks validation rows, which say nothing of rows with a label that none of them has.
    """
    labels, harmful, seen = rows.given, np.zeros(len(rows.y), dtype=bool), [rows.given]
    detections: list[Detection] = []
    history: list[dict[str, Any]] = []
    condition = "max_iter"
    while condition == "max_iter" and len(history) < max_iter:
        found = _detect_all(rows, labels, gather, signal, n_jobs, is_judged)
        detections = detections or [found]
        if history:
            history[-1]["realised_gain"] = history[-1]["validation_loss"] - found.validation_loss
        flagged, proposed = propose(labels, found.by_label, found.log_proba, strategy, alpha, rng)
        lost = _lost_classes(rows, proposed)
        if len(lost) and len(rows.classes) - len(lost) > 1:
            flagged, proposed = keep_classes(labels, proposed, np.isin(rows.classes, lost), flagged)
            _warn_of_lost_classes(len(history) + 1, lost, "the rows of such a class are left as they are")
            lost = lost[:0]
        if len(lost):
            condition = f"a class would be left empty: {lost.tolist()}"
            _warn_of_lost_classes(len(history) + 1, lost, "stopped before it, with the labels of the round before")
            proposed = labels
        elif not flagged.any():
            condition = "no row above alpha"
        elif any(np.array_equal(proposed, earlier) for earlier in seen):
            condition = "labels repeat"
        history.append(entry(len(history) + 1, found, flagged, labels, proposed))
        report(sentence(history[-1], alpha))
        if not len(lost):
            labels, harmful = proposed, harmful | flagged
            seen.append(labels)
    history[-1]["termination_condition"] = condition
    return Repaired(labels, harmful, detections[0], history, condition, _first_changes(seen))


def _first_changes(seen: list[Array]) -> NDArray[np.intp]:
    """The first step of the sequence of targets that changed each row, from 1 on; 0 for none."""
    rounds = np.zeros(len(seen[0]), dtype=np.intp)
    for number, (before, after) in enumerate(pairwise(seen), start=1):
        rounds[(rounds == 0) & (before != after).any(axis=1)] = number
    return rounds


def keep_classes(
    labels: Array, proposed: Array, lost: NDArray[np.bool_], flagged: NDArray[np.bool_]
) -> tuple[NDArray[np.bool_], Array]:
    """The harmful rows and the targets, with the rows of classes that would be left empty (K,) as they are."""
    kept = np.asarray((labels * lost).any(axis=1))
    return flagged & ~kept, np.where(kept[:, None], labels, proposed)


def _warn_of_lost_classes(number: int, lost: NDArray[Any], effect: str) -> None:
    warnings.warn(
        f"Round {number} would leave no training row of class {lost.tolist()}; {effect}. Use a larger alpha, or more "
        "validation rows of that class.",
        UserWarning,
        stacklevel=4,
    )


def entry(number: int, found: Detection, flagged: NDArray[np.bool_], labels: Array, proposed: Array) -> dict[str, Any]:
    """The line of `history_` for a round that changes `labels` to `proposed`."""
    return {
        "round": number,
        "n_harmful": int(flagged.sum()),
        "n_changed": int((proposed != labels).any(axis=1).sum()),
        "validation_loss": found.validation_loss,
        "predicted_gain": predicted_gain(found, labels, proposed),
        "realised_gain": np.nan,
        "termination_condition": "",
        "diagnostics": found.diagnostics,
    }


def predicted_gain(found: Detection, labels: Array, proposed: Array) -> float:
    """Decrease of the validation loss to first order, in nats; nan without influences."""
    return float(np.nansum(found.loss_gradient * (labels - proposed))) if found.diagnostics else np.nan


def _find(
    gather: Callable[[Fold, Array], Evidence], fold: Fold, targets: Array, signal: Any, is_needed: bool
) -> Findings | None:
    """None where the rows of a fold say nothing, which must be others unless it `is_needed`."""
    evidence = gather(fold, targets)
    judges = evidence.targets_val
    if not is_needed and evidence.has_influences and judges is not None and not can_judge(evidence.targets, judges):
        return None
    estimator, solved = evidence.detection if evidence.has_influences else (None, None)
    by_label = apply(signal, evidence)
    if solved is not None:
        log_proba = solved.log_proba
    elif signal in _MODELS_OF_NOISE:
        log_proba = safe_log(1.0 - by_label)
    else:
        with np.errstate(divide="ignore", invalid="ignore"):
            log_proba = np.log(evidence.confidence)
        judged = ~np.isnan(by_label if by_label.ndim == 1 else by_label.max(axis=1))
        unseen = judged & np.isnan(log_proba).any(axis=1)
        if unseen.any():  # no fold could tell, and the signal has
            own = predict_targets(evidence.model, take(evidence.X, unseen), evidence.classes)
            log_proba[unseen] = safe_log(own)
    if by_label.ndim == 1:  # a score for the labels as they are; of the others the most probable one is best
        of_others = np.where(np.isnan(by_label)[:, None], np.nan, -log_proba)
        by_label = np.where(evidence.given > 0.0, by_label[:, None], of_others)
    return Findings(by_label, log_proba, estimator, solved)


def _detect_all(rows: Rows, labels: Array, gather: Any, signal: Any, n_jobs: int | None, is_judged: bool) -> Detection:
    results = Parallel(n_jobs=n_jobs if len(rows.folds) > 1 else None)(
        delayed(_find)(gather, fold, labels, signal, len(rows.folds) == 1) for fold in rows.folds
    )
    if all(found is None for found in results):
        _find(gather, rows.folds[0], labels, signal, is_needed=True)
    unknown = np.full(labels.shape, np.nan)
    sums, count = np.zeros((4, *labels.shape)), np.zeros((len(labels), 1))
    for fold, found in zip(rows.folds, results, strict=True):
        if found is None:
            continue
        at = fold.train
        told = np.ones(len(at), dtype=bool)
        if is_judged:
            told = ~unjudged(rows.given[at], fold.targets_val)
        count[at[told]] += 1.0
        solved = (unknown, unknown) if found.solved is None else (found.solved.by_label, found.solved.loss_gradient)
        for total, part in zip(sums, (found.by_label, found.log_proba, *solved), strict=True):
            total[at[told]] += (part if len(part) == len(at) else part[at])[told]
    means = np.divide(sums, count, out=np.full_like(sums, np.nan), where=count > 0.0)
    known = [found.solved for found in results if found is not None and found.solved is not None]
    return Detection(
        [None if found is None else found.estimator for found in results],
        by_label=means[0],
        log_proba=means[1],
        influences=means[2],
        loss_gradient=means[3] * rows.weight[:, None] * count / len(rows.folds),
        validation_loss=float(np.mean([solved.validation_loss for solved in known])) if known else np.nan,
        diagnostics=_worst([solved.diagnostics for solved in known]) if known else {},
    )


def unjudged(given: Array, targets_val: Array | None) -> NDArray[np.bool_]:
    """Which rows (n,) have a label that no validation row of positive weight has: they are left as they are.

    Judged by the others, every one of them would look harmful.
    """
    if targets_val is None:
        return np.zeros(len(given), dtype=bool)
    unknown: NDArray[np.bool_] = targets_val.sum(axis=0) == 0.0
    return unknown[given.argmax(axis=1)]


def propose(
    labels: Array,
    by_label: Array,
    log_proba: Array,
    strategy: Callable[..., Array],
    alpha: float,
    rng: np.random.RandomState,
    left_alone: NDArray[np.bool_] | None = None,
) -> tuple[NDArray[np.bool_], Array]:
    """Step III: which rows score above alpha, and what the strategy makes of the current targets (n, K).

    Rows without a score, with nan for every label, stay as they are, and so do those that are to be `left_alone`.
    """
    at: NDArray[np.bool_] = np.asarray(~np.isnan(by_label).all(axis=1))
    if len(at) and not at.any():
        raise ValueError(f"signal returned nan for every row ({len(at)}); expected a number for each of their labels.")
    if left_alone is not None:
        at &= ~left_alone
    if at.all():
        return _propose(labels, by_label, log_proba, strategy, alpha, rng)
    harmful, targets = np.zeros(len(labels), dtype=bool), labels.copy()
    if at.any():
        harmful[at], targets[at] = _propose(labels[at], by_label[at], log_proba[at], strategy, alpha, rng)
    return harmful, targets


def _propose(
    labels: Array,
    by_label: Array,
    log_proba: Array,
    strategy: Callable[..., Array],
    alpha: float,
    rng: np.random.RandomState,
) -> tuple[NDArray[np.bool_], Array]:
    scores = (labels * by_label).sum(axis=1)
    if np.isnan(scores).any():
        raise ValueError(f"signal returned {np.isnan(scores).sum()} nan; expected a number for each row.")
    targets = np.asarray(strategy(labels, by_label, log_proba, scores > alpha, rng), dtype=np.float64)
    if targets.shape != labels.shape or not (np.isfinite(targets).all() and (targets >= 0.0).all()):
        raise ValueError(
            f"strategy returned an array of shape {targets.shape}; expected {labels.shape}, finite and non-negative."
        )
    return scores > alpha, targets


def _lost_classes(rows: Rows, labels: Array) -> NDArray[Any]:
    """Classes that lose their last weight in the training rows of some fold."""
    lost = np.zeros(len(rows.classes), dtype=bool)
    for fold in rows.folds:
        before, after = ((some * rows.weight[:, None])[fold.train].sum(axis=0) for some in (rows.given, labels))
        lost |= (after == 0.0) & (before > 0.0)
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


def sentence(entry: dict[str, Any], alpha: float) -> str:
    return (
        f"[RDIA] round {entry['round']}: validation loss {entry['validation_loss']:.4f}, {entry['n_harmful']} rows "
        f"above alpha={alpha:g}, {entry['n_changed']} targets changed, predicted gain {entry['predicted_gain']:.4f}"
    )
