"""Step IV: train on the repaired targets, compare with what was promised, and gather what is known of the fit."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from skrdia._estimates import Noise
from skrdia._heads import Heads
from skrdia._influence import influence_standard_error, validation_loss
from skrdia._outcome import Outcome, options_of, training_seed
from skrdia._promise import excess_loss, keep_promise
from skrdia._repair import predicted_gain
from skrdia._rows import Rows, stack, take
from skrdia._second_look import attributes_of
from skrdia._train import fine_tune, fit_targets, known_labels, predict_targets, scale_logits
from skrdia._tuning import cross_entropy
from skrdia._tuning_nets import NO_MORE
from skrdia.views import as_view
from skrdia.views._base import Array

__all__ = ["finish"]


def finish(clf: Any, heads: Heads, outcome: Outcome) -> tuple[Outcome, dict[str, Any]]:
    """What is delivered, and the fitted attributes that follow from it. `clf` is the unfitted `RDIAClassifier`."""
    if outcome.check is not None:
        heads = replace(heads, rows=heads.rows.weighed(outcome.check.weights))
    rows, first, seed = heads.rows, outcome.repaired.first, training_seed(clf)
    first_fit = first.estimators[0]
    if len(first.estimators) > 1 or heads.finder is not heads.base or first_fit is None:
        first_fit = fit_targets(heads.base, rows.X, rows.given * rows.weight[:, None], rows.classes, seed=seed)
    outcome, estimator = _deliver(clf, heads, outcome, first_fit)
    labels, history = outcome.repaired.labels, outcome.repaired.history
    if clf.refit_on == "train" and len(rows.folds) == 1 and first.diagnostics and clf.alpha != "auto":
        fold = rows.folds[0]
        if heads.finder is heads.base and fold.targets_val is not None and len(estimator.classes_) == len(rows.classes):
            loss = validation_loss(estimator, fold.X_val, fold.targets_val)
            history[-1]["realised_gain"] = history[-1]["validation_loss"] - loss
    relabeled = rows.y.copy()
    changed = (outcome.likeliest != rows.given).any(axis=1) & outcome.likeliest.any(axis=1)
    relabeled[changed] = rows.classes[outcome.likeliest[changed].argmax(axis=1)]
    signal, strategy, alpha, n_iter = outcome.chosen
    fitted = {
        "estimator_": heads.join(estimator),
        "base_estimator_": heads.join(first_fit),
        "classes_": rows.classes,
        "harmful_mask_": outcome.harmful & ~rows.validation_mask,
        "relabeled_y_": relabeled,
        "targets_": _targets(clf, rows, labels),
        "scores_": outcome.scores,
        "label_influences_": first.influences,
        "influences_": (rows.given * first.influences).sum(axis=1),
        "validation_mask_": rows.validation_mask,
        "signal_": signal,
        "strategy_": strategy,
        "alpha_": alpha,
        "n_iter_": n_iter,
        "predicted_gain_": predicted_gain(first, rows.given, labels),
        "history_": history,
        "termination_condition_": outcome.repaired.termination_condition,
        "diagnostics_": first.diagnostics,
    }
    if outcome.noise is not None:
        fitted |= _of_noise(outcome.noise)
    fitted |= attributes_of(outcome.check)
    if clf.compute_std:
        fitted["influence_std_"] = _standard_errors(clf, rows, first)
    return outcome, fitted


def _of_noise(noise: Noise) -> dict[str, Any]:
    """The attributes that say how many labels are wrong."""
    return {
        "noise_matrix_": noise.channel,
        "noise_rate_": noise.rate,
        "noise_rate_interval_": np.array(noise.interval),
        "noise_counts_": noise.counts,
        "harmful_precision_": noise.marks.precision,
        "harmful_recall_": noise.marks.recall,
    }


def _targets(clf: Any, rows: Rows, labels: Array) -> Array:
    """Training targets (n, K) of the final fit."""
    targets = labels * rows.weight[:, None]
    if clf.refit_on == "train":
        targets[rows.validation_mask] = 0.0
    return targets


def _deliver(clf: Any, heads: Heads, outcome: Outcome, first: Any) -> tuple[Outcome, Any]:
    """The chosen repair, or where its final fit is much worse than was promised, the next best one."""
    fold = heads.rows.folds[0]
    if outcome.losses is None or outcome.finish is not NO_MORE or clf.refit_params or fold.targets_val is None:
        return outcome, _refit(clf, heads, outcome, first)
    weight, others = fold.targets_val.sum(axis=1), [outcome, *outcome.others]
    promised = {i: float(np.average(one.losses[1], weights=weight)) for i, one in enumerate(others)}  # type: ignore[index]

    targets_val = fold.targets_val

    def train(i: int) -> tuple[Any, float]:
        estimator = _refit(clf, heads, others[i], first)
        losses = cross_entropy(predict_targets(estimator, fold.X_val, heads.rows.classes), targets_val)
        return estimator, excess_loss(losses, others[i].losses[1], weight)  # type: ignore[index]

    kept, estimator, broken = keep_promise(range(len(others)), promised, train)
    if not broken:
        return outcome, estimator
    repaired = others[kept].repaired
    why = ", ".join(
        f"{others[i].repaired.termination_condition} ({excess:.4f} nats worse)" for i, excess in broken.items()
    )
    condition = f"{repaired.termination_condition}; trained on all rows, worse than judged: {why}"
    return replace(others[kept], repaired=replace(repaired, termination_condition=condition)), estimator


def _refit(clf: Any, heads: Heads, outcome: Outcome, first: Any) -> Any:
    seed, last, rows = training_seed(clf), outcome.finish, heads.rows
    estimator = last.start
    if estimator is None or clf.refit_params:
        params = clf.refit_params or {}
        is_warm = any(name.rpartition("__")[2] == "warm_start" and value for name, value in params.items())
        X, fit_on = rows.X, _targets(clf, rows, outcome.repaired.labels)
        if clf.refit_on == "all" and rows.outside is not None:
            X, fit_on = stack(X, rows.outside[0]), np.vstack([fit_on, rows.outside[1]])
        model, warm = heads.with_params(params), first if is_warm else None
        estimator = fit_targets(model, X, fit_on, rows.classes, warm=warm, seed=seed)
    judges = rows.folds[0]
    if last.n_epochs > 0 and judges.targets_val is not None:
        args = (judges.X_val, judges.targets_val, rows.classes, last.n_epochs)
        estimator = fine_tune(estimator, *args, seed=seed)
    return estimator if last.factor == 1.0 else scale_logits(estimator, last.factor, judges.X_val)


def _standard_errors(clf: Any, rows: Rows, first: Any) -> Array:
    """Of `influences_`; folds of `cv` count as independent, since each has its own validation rows."""
    squares, count = np.zeros(len(rows.y)), np.zeros(len(rows.y))
    if not first.diagnostics:  # there are no influences
        return np.full(len(rows.y), np.nan)
    for fold, estimator in zip(rows.folds, first.estimators, strict=True):
        if estimator is None or fold.targets_val is None:
            continue
        view, targets = as_view(estimator, options_of(clf)), rows.given[fold.train] * rows.weight[fold.train][:, None]
        known = known_labels(view.classes_, rows.classes, targets)
        given = rows.given[fold.train][:, known]
        error = influence_standard_error(
            view,
            take(rows.X, fold.train),
            targets[:, known],
            fold.X_val,
            fold.targets_val[:, known],
            clf.hessian,
            clf.random_state,
            given=given,
        )
        squares[fold.train] += error**2
        count[fold.train] += 1.0
    return np.divide(np.sqrt(squares), count, out=np.full(len(count), np.nan), where=count > 0.0)
