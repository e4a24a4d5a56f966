"""alpha="auto" for nets, which are dear to train and cheap to fine-tune: one choice among a few recipes.

A recipe trains the net on some targets, and then fine-tunes it for some epochs on the validation rows alone:

    nothing              the labels as given and the validation rows                          never fine-tuned
    fine-tune            the labels as given, the epoch with the lowest validation loss
    trusted rows only    the validation rows alone
    influence            best labels of the rows with a positive influence (softened logits, last layer)
    posterior            posterior of the labels by a noise model, whose probabilities are those of "fine-tune"
    posterior, again     the same, by the net of "posterior"

For each of three folds of the validation rows the recipes are carried out with the other two, and asked for the labels
of the third after every epoch of fine-tuning: the number of epochs is the one with the lowest mean loss. Of the
recipes within half a standard error of the lowest loss the first in this list is the best. It must beat doing nothing
by more than 1.4 standard errors and by more than 3 nats in all; else nothing is done.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from sklearn.utils.parallel import Parallel, delayed

from skrdia._evidence import interleaved_folds
from skrdia._influence import solve_influence
from skrdia._noise_model import label_posterior
from skrdia._repair import propose
from skrdia._rows import stack, take
from skrdia._train import fine_tune, fit_targets, predict_targets
from skrdia._tuning import (
    _MIN_GAIN,
    _MIN_STANDARD_ERRORS,
    NOTHING,
    TRUSTED_ONLY,
    Candidate,
    Choice,
    Problem,
    _keeps_classes,
    _line,
    _loss,
    _mean_and_error,
    _unchanged,
    too_few_rows,
)
from skrdia.strategies import STRATEGIES
from skrdia.views import as_view
from skrdia.views._base import Array

__all__ = ["choose_net"]

FINE_TUNE = Candidate("none", "fine-tune", np.inf, n_iter=0)
INFLUENCE = Candidate("influence", "relabel", 0.0)
POSTERIOR, POSTERIOR_AGAIN = (Candidate("trusted-posterior", "soft", 0.0, n_iter=k) for k in (1, 2))

_RECIPES = (NOTHING, FINE_TUNE, TRUSTED_ONLY, INFLUENCE, POSTERIOR, POSTERIOR_AGAIN)

_TEACHERS = {POSTERIOR: FINE_TUNE, POSTERIOR_AGAIN: POSTERIOR}
"""The recipe whose net says the probabilities."""

_N_FOLDS, _MAX_EPOCHS, _TIE = 3, 30, 0.5


@dataclass(frozen=True)
class Prepared:
    """Targets (n, K) before sample weights, and the net trained on them."""

    labels: Array
    net: Any


@dataclass(frozen=True)
class Examined:
    """A recipe in all folds: losses (E + 1, n_val) of the validation rows after every epoch of fine-tuning."""

    losses: Array
    prepared: list[Prepared]
    weight: Array

    @property
    def n_epochs(self) -> int:
        return int((self.losses @ self.weight).argmin())

    @property
    def best(self) -> Array:
        """Losses (n_val,) after the best number of epochs."""
        return self.losses[self.n_epochs]


def choose_net(
    problem: Problem, n_jobs: int | None = None, report: Callable[[str], object] = str
) -> tuple[Choice, int, Any]:
    """The choice, the epochs of fine-tuning, and the net to fine-tune where it is not one to be trained on targets."""
    if (condition := too_few_rows(problem)) is not None:
        return _unchanged(problem, np.full(len(problem.given), np.nan), [], condition), 0, None
    base = _train(problem, problem.given, judged=True)
    fold = interleaved_folds(problem.targets_val, _N_FOLDS)
    tasks = [
        replace(problem, X_val=take(problem.X_val, fold != i), targets_val=problem.targets_val[fold != i])
        for i in range(_N_FOLDS)
    ]
    weight = problem.targets_val.sum(axis=1)
    examined: dict[Candidate, Examined] = {}
    for recipe in _RECIPES:
        teachers = [_teacher(recipe, task, examined, i) for i, task in enumerate(tasks)]
        results = Parallel(n_jobs=n_jobs)(
            delayed(_examine)(recipe, task, base, teacher, take(problem.X_val, fold == i))
            for i, (task, teacher) in enumerate(zip(tasks, teachers, strict=True))
        )
        losses = np.empty((len(results[0][1]), len(fold)))
        for i, (_, probabilities) in enumerate(results):
            losses[:, fold == i] = [_loss(proba, problem.targets_val[fold == i]) for proba in probabilities]
        examined[recipe] = Examined(losses, [prepared for prepared, _ in results], weight)
        report(
            f"[RDIA] alpha='auto': {recipe.signal}, {recipe.strategy}, {recipe.n_iter}: held-out loss "
            f"{np.average(examined[recipe].best, weights=weight):.4f} after {examined[recipe].n_epochs} epochs of "
            "fine-tuning"
        )
    return _decide(problem, examined, base)


def _examine(recipe: Candidate, task: Problem, base: Any, teacher: Any, X_test: Any) -> tuple[Prepared, list[Array]]:
    """A recipe in one fold, and what its net says of the rows X_test after 0, 1, ... epochs of fine-tuning."""
    prepared = _prepare(recipe, task, base, teacher)
    said = [predict_targets(prepared.net, X_test, task.classes)]
    if recipe != NOTHING and task.refit_on_all:
        _fine_tune(task, prepared.net, _MAX_EPOCHS, lambda net: said.append(predict_targets(net, X_test, task.classes)))
    return prepared, said


def _prepare(recipe: Candidate, problem: Problem, base: Any, teacher: Any) -> Prepared:
    if recipe == FINE_TUNE:
        return Prepared(problem.given, base)
    labels = _labels(recipe, problem, base, teacher)
    return Prepared(labels, _train(problem, labels))


def _labels(recipe: Candidate, problem: Problem, base: Any, teacher: Any) -> Array:
    if recipe == TRUSTED_ONLY and problem.refit_on_all:
        return np.zeros_like(problem.given)
    if recipe == INFLUENCE:
        targets = problem.given * problem.weight[:, None]
        view = as_view(base, problem.options)
        solved = solve_influence(
            view, problem.X, targets, problem.X_val, problem.targets_val, problem.hessian, problem.seed
        )
        rng = np.random.RandomState(problem.seed)
        log_proba, strategy = solved.log_proba, STRATEGIES[recipe.strategy]
        return propose(problem.given, solved.by_label, log_proba, strategy, recipe.alpha, rng)[1]
    if recipe in _TEACHERS:
        proba = predict_targets(teacher, problem.X, problem.classes)
        return label_posterior(proba, problem.given, problem.weight)
    return problem.given


def _teacher(recipe: Candidate, task: Problem, examined: dict[Candidate, Examined], i: int) -> Any:
    """The net of an earlier recipe in fold i, fine-tuned."""
    if recipe not in _TEACHERS:
        return None
    earlier = examined[_TEACHERS[recipe]]
    return _fine_tune(task, earlier.prepared[i].net, earlier.n_epochs)


def _train(problem: Problem, labels: Array, judged: bool = False) -> Any:
    X, targets = problem.X, labels * problem.weight[:, None]
    judges = (problem.X_val, problem.targets_val)
    if judged:
        kept = judges if problem.best_epoch else None
        return fit_targets(problem.base, X, targets, problem.classes, judges=kept, seed=problem.seed)
    if problem.refit_on_all:
        X, targets = stack(X, problem.X_val), np.vstack([targets, problem.targets_val])
    return fit_targets(problem.base, X, targets, problem.classes, is_draft=True, seed=problem.seed)


def _fine_tune(problem: Problem, net: Any, n_epochs: int, on_epoch: Callable[[Any], object] = bool) -> Any:
    return fine_tune(
        net, problem.X_val, problem.targets_val, problem.classes, n_epochs, on_epoch=on_epoch, seed=problem.seed
    )


def _decide(problem: Problem, examined: dict[Candidate, Examined], base: Any) -> tuple[Choice, int, Any]:
    weight = problem.targets_val.sum(axis=1)
    nothing = examined[NOTHING].best
    best = _simplest_of_the_best(examined, weight)
    gain, error = _mean_and_error(nothing - examined[best].best, weight)
    total = gain * np.count_nonzero(weight)
    nets: dict[Candidate, Prepared] = {}
    for recipe in (FINE_TUNE, POSTERIOR, best):
        _carry_out(problem, recipe, examined, nets, base)
    doubt = 1.0 - (problem.given * nets[POSTERIOR].labels).sum(axis=1)
    labels = nets[best].labels
    accepted = gain > _MIN_STANDARD_ERRORS * error and total > _MIN_GAIN and _keeps_classes(problem, labels)
    history = []
    for recipe, tried in examined.items():
        changed = np.mean([(one.labels != problem.given).any(axis=1).mean() for one in tried.prepared])
        line = _line(problem, replace(recipe, detector=1.0), tried.best, nothing, weight)
        weighs = float(recipe == (best if accepted else NOTHING))
        history.append(line | {"changed": float(changed), "weight": weighs, "fine_tuning_epochs": tried.n_epochs})
    sentence = f"it gains {gain:.4f} ({error:.4f}) nats per validation row, {total:.1f} in all"
    if not accepted:
        needed = f"more than {_MIN_STANDARD_ERRORS:g} standard errors and {_MIN_GAIN:g} nats in all are needed"
        reason = f"do nothing was best: of the repair, {sentence}; {needed}"
        return _unchanged(problem, doubt, history, reason), 0, None
    likeliest = problem.given if best == TRUSTED_ONLY else labels
    harmful = (problem.given * likeliest).sum(axis=1) < 0.5
    condition = f"the best recipe ({best.signal}, {best.strategy}): {sentence}"
    choice = Choice(labels, likeliest, harmful, doubt, best, history, condition)
    return choice, examined[best].n_epochs, base if best == FINE_TUNE else None


def _simplest_of_the_best(examined: dict[Candidate, Examined], weight: Array) -> Candidate:
    """The first recipe whose loss is within half a standard error of the lowest."""
    lowest = min(examined.values(), key=lambda tried: float(tried.best @ weight)).best
    for recipe, tried in examined.items():
        excess, error = _mean_and_error(tried.best - lowest, weight)
        if excess <= _TIE * error:
            return recipe
    raise AssertionError("the lowest is within any error of itself")


def _carry_out(
    problem: Problem,
    recipe: Candidate,
    examined: dict[Candidate, Examined],
    nets: dict[Candidate, Prepared],
    base: Any,
) -> None:
    """A recipe with all validation rows, after those it learns from; a net is trained only where another needs it."""
    if recipe in nets:
        return
    teacher = None
    if recipe in _TEACHERS:
        earlier = _TEACHERS[recipe]
        _carry_out(problem, earlier, examined, nets, base)
        start = nets[earlier].net
        start = _train(problem, nets[earlier].labels) if start is None else start
        teacher = _fine_tune(problem, start, examined[earlier].n_epochs)
    nets[recipe] = Prepared(_labels(recipe, problem, base, teacher), base if recipe == FINE_TUNE else None)
