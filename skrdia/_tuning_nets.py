"""alpha="auto" for nets, which are dear to train and cheap to fine-tune: one choice among a few recipes.

A recipe trains the net on some targets, fine-tunes it for some epochs on the validation rows alone, and multiplies its
logits by a factor, the inverse of a temperature:

    nothing              the labels as given and the validation rows; neither fine-tuning nor a temperature
    recalibrate          the same, with a temperature
    fine-tune            the labels as given, the epoch with the lowest validation loss
    trusted rows only    the validation rows alone
    influence            best labels of the rows with a positive influence (softened logits, last layer)
    posterior            posterior of the labels by a noise model, whose probabilities are those of "fine-tune"
    posterior, again     the same, by the net of "posterior"

For each of three folds of the validation rows the recipes are carried out with the other two, and asked for the labels
of the third after every epoch of fine-tuning. The temperature is fitted to what the nets of the three folds said of
rows they had not seen; the number of epochs is the one with the lowest mean loss with it. In these losses one row's
worth of label is spread over all labels and rows, for n_val rows of K labels

    loss_j = -(1 - e) log p_j,y_j - e / K sum_k log p_jk,        e = 1 / (n_val + 1)

since a net that makes no mistake in n_val rows is not one that makes none. Of the recipes within half a
standard error of the lowest loss the first in this list is the best. It must beat doing nothing by more than 1.4
standard errors and by more than 3 nats in all; else nothing is done. Where the best recipe says nothing of single
labels, the repaired labels that are shown are those of "posterior", if it beats doing nothing as well.

Reference: Guo, Pleiss, Sun, Weinberger, "On calibration of modern neural networks", ICML 2017, for the temperature.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax, softmax
from sklearn.utils.parallel import Parallel, delayed

from skrdia._candidates import NOTHING, TRUSTED_ONLY, Candidate
from skrdia._influence import solve_influence
from skrdia._label_posterior import label_posterior
from skrdia._means import mean_and_error
from skrdia._out_of_fold import group_folds
from skrdia._promise import excess_loss, keep_promise
from skrdia._repair import propose
from skrdia._rows import stack, take
from skrdia._train import fine_tune, fit_targets, predict_targets, safe_log, scale_logits
from skrdia._tuning import (
    _MIN_GAIN,
    Choice,
    Problem,
    _keeps_classes,
    _line,
    _unchanged,
    too_few_rows,
)
from skrdia.strategies import STRATEGIES
from skrdia.views import as_view
from skrdia.views._base import Array

__all__ = ["NO_MORE", "Finish", "best_factor", "choose_net"]

RECALIBRATE = Candidate("none", "recalibrate", np.inf, n_iter=0)
FINE_TUNE = Candidate("none", "fine-tune", np.inf, n_iter=0)
INFLUENCE = Candidate("influence", "relabel", 0.0)
POSTERIOR, POSTERIOR_AGAIN = (Candidate("trusted-posterior", "soft", 0.0, n_iter=k) for k in (1, 2))

_RECIPES = (NOTHING, RECALIBRATE, FINE_TUNE, TRUSTED_ONLY, INFLUENCE, POSTERIOR, POSTERIOR_AGAIN)

_TEACHERS = {POSTERIOR: FINE_TUNE, POSTERIOR_AGAIN: POSTERIOR}
"""The recipe whose net says the probabilities."""

_N_FOLDS, _MAX_EPOCHS, _TIE, _MIN_STANDARD_ERRORS = 3, 30, 0.5, 1.4


@dataclass(frozen=True)
class Prepared:
    """Targets (n, K) before sample weights, the net trained on them, and the share of the rows that they change."""

    labels: Array
    net: Any
    changed: float = 0.0


@dataclass(frozen=True)
class Finish:
    """What follows the final fit: epochs of fine-tuning, from `start` instead of that fit unless None, and a factor.

    `start` is the net that was compared with what was promised.
    """

    n_epochs: int = 0
    start: Any = None
    factor: float = 1.0


NO_MORE = Finish()


@dataclass(frozen=True)
class Examined:
    """A recipe in all folds.

    `log_proba` (E + 1, n_val, K) is what its nets said of the validation rows they had not seen after every epoch of
    fine-tuning; `factors` (E + 1,) are what their logits are multiplied by.
    """

    log_proba: Array
    factors: Array
    targets_val: Array
    prepared: list[Prepared]

    @cached_property
    def losses(self) -> Array:
        """Of the validation rows after every epoch, (E + 1, n_val)."""
        pairs = zip(self.factors, self.log_proba, strict=True)
        return np.stack([_losses(factor * said, self.targets_val) for factor, said in pairs])

    @property
    def n_epochs(self) -> int:
        """The best number of epochs."""
        return int((self.losses @ self.targets_val.sum(axis=1)).argmin())

    @property
    def factor(self) -> float:
        """The factor after that."""
        return float(self.factors[self.n_epochs])

    @property
    def best(self) -> Array:
        """Losses (n_val,) after that."""
        return self.losses[self.n_epochs]

    @property
    def promised(self) -> float:
        """Their weighted mean."""
        return float(np.average(self.best, weights=self.targets_val.sum(axis=1)))


def choose_net(
    problem: Problem, n_jobs: int | None = None, report: Callable[[str], object] = str
) -> tuple[Choice, Finish]:
    """The choice, and what follows the final fit."""
    if (condition := too_few_rows(problem)) is not None:
        return _unchanged(problem, np.full(len(problem.given), np.nan), [], condition, None), NO_MORE
    base = _train(problem, problem.given, judged=True)
    can_scale = problem.refit_on_all and scale_logits(base, 0.5, take(problem.X_val, np.arange(10))) is not None
    fold = group_folds(problem.targets_val, problem.groups_val, _N_FOLDS)
    tasks = [problem.without(fold == i) for i in range(int(fold.max()) + 1)]
    bases = [base if len(task.given) == len(problem.given) else _train(task, task.given, judged=True) for task in tasks]
    examined: dict[Candidate, Examined] = {}
    for recipe in _recipes(problem, can_scale):
        if recipe == RECALIBRATE:
            tried = examined[NOTHING]
        else:
            teachers = [_teacher(recipe, task, examined, i) for i, task in enumerate(tasks)]
            results = Parallel(n_jobs=n_jobs)(
                delayed(_examine)(recipe, task, own, teacher, take(problem.X_val, fold == i))
                for i, (task, own, teacher) in enumerate(zip(tasks, bases, teachers, strict=True))
            )
            tried = _collect(results, fold, problem.targets_val)
        examined[recipe] = _recalibrated(tried) if can_scale and recipe != NOTHING else tried
        report(_sentence(recipe, examined[recipe]))
    return _decide(problem, examined, base, tasks, fold)


def _recipes(problem: Problem, can_scale: bool) -> list[Candidate]:
    impossible = [*([] if can_scale else [RECALIBRATE]), *([] if problem.refit_on_all else [TRUSTED_ONLY])]
    return [recipe for recipe in _RECIPES if recipe not in impossible]


def _examine(recipe: Candidate, task: Problem, base: Any, teacher: Any, X_test: Any) -> tuple[Prepared, list[Array]]:
    """A recipe in one fold, and what its net says of the rows X_test after 0, 1, ... epochs of fine-tuning."""
    prepared = _prepare(recipe, task, base, teacher)
    said = [predict_targets(prepared.net, X_test, task.classes)]
    if recipe != NOTHING and task.refit_on_all:
        _fine_tune(task, prepared.net, _MAX_EPOCHS, lambda net: said.append(predict_targets(net, X_test, task.classes)))
    return prepared, said


def _collect(results: list[tuple[Prepared, list[Array]]], fold: NDArray[np.intp], targets_val: Array) -> Examined:
    log_proba = np.empty((len(results[0][1]), *targets_val.shape))
    for i, (_, said) in enumerate(results):
        log_proba[:, fold == i] = safe_log(np.stack(said))
    return Examined(log_proba, np.ones(len(log_proba)), targets_val, [prepared for prepared, _ in results])


def _recalibrated(tried: Examined) -> Examined:
    """The same with the best factor after every epoch."""
    return replace(tried, factors=np.array([best_factor(said, tried.targets_val) for said in tried.log_proba]))


def best_factor(log_proba: Array, targets: Array) -> float:
    """The factor c of softmax(c log p) that fits targets (n, K) best; a weak prior holds it near one."""

    def objective(log_factor: float) -> float:
        return float(_losses(np.exp(log_factor) * log_proba, targets) @ weight) + log_factor**2

    weight = targets.sum(axis=1)
    return float(np.exp(minimize_scalar(objective, bounds=(-4.0, 3.0), method="bounded").x))


def _losses(logits: Array, targets: Array) -> Array:
    """Losses (n,) of softmax(logits) with one row's worth of label spread over all; 0 for rows of zero weight."""
    weight = targets.sum(axis=1)
    spread = 1.0 / (np.count_nonzero(weight) + 1)
    log_proba = log_softmax(logits, axis=1)
    right = np.where(targets > 0.0, log_proba, 0.0).sum(axis=1)
    return -((1.0 - spread) * right + spread * log_proba.mean(axis=1)) * (weight > 0.0)


def _sentence(recipe: Candidate, tried: Examined) -> str:
    name = f"{recipe.signal}, {recipe.strategy}, {recipe.n_iter}"
    return (
        f"[RDIA] alpha='auto': {name}: held-out loss {tried.promised:.4f} after {tried.n_epochs} epochs of fine-tuning"
    )


def _prepare(recipe: Candidate, problem: Problem, base: Any, teacher: Any) -> Prepared:
    if recipe == FINE_TUNE:
        return Prepared(problem.given, base)
    labels = _labels(recipe, problem, base, teacher)
    return Prepared(labels, _train(problem, labels), float((labels != problem.given).any(axis=1).mean()))


def _labels(recipe: Candidate, problem: Problem, base: Any, teacher: Any) -> Array:
    if recipe == TRUSTED_ONLY:
        return problem.given * problem.left_alone[:, None]
    if recipe == INFLUENCE:
        targets = problem.given * problem.weight[:, None]
        view = as_view(base, problem.options)
        solved = solve_influence(
            view, problem.X, targets, problem.X_val, problem.targets_val, problem.hessian, problem.seed
        )
        rng = np.random.RandomState(problem.seed)
        log_proba, strategy = solved.log_proba, STRATEGIES[recipe.strategy]
        return propose(problem.given, solved.by_label, log_proba, strategy, recipe.alpha, rng, problem.left_alone)[1]
    if recipe in _TEACHERS:
        net, factor = teacher
        proba = softmax(factor * safe_log(predict_targets(net, problem.X, problem.classes)), axis=1)
        posterior = label_posterior(proba, problem.given, problem.weight)
        return np.where(problem.left_alone[:, None], problem.given, posterior)
    return problem.given


def _teacher(recipe: Candidate, task: Problem, examined: dict[Candidate, Examined], i: int) -> Any:
    """The net of an earlier recipe in fold i, fine-tuned, and the factor on its logits."""
    if recipe not in _TEACHERS:
        return None
    earlier = examined[_TEACHERS[recipe]]
    return _fine_tune(task, earlier.prepared[i].net, earlier.n_epochs), earlier.factor


def _train(problem: Problem, labels: Array, judged: bool = False, is_draft: bool = True) -> Any:
    X, targets = problem.X, labels * problem.weight[:, None]
    judges = (problem.X_val, problem.targets_val)
    if judged:
        kept = judges if problem.best_epoch else None
        return fit_targets(problem.base, X, targets, problem.classes, judges=kept, seed=problem.seed)
    if problem.refit_on_all:
        X, targets = stack(X, problem.X_val), np.vstack([targets, problem.targets_val])
    return fit_targets(problem.base, X, targets, problem.classes, is_draft=is_draft, seed=problem.seed)


def _fine_tune(problem: Problem, net: Any, n_epochs: int, on_epoch: Callable[[Any], object] = bool) -> Any:
    return fine_tune(
        net, problem.X_val, problem.targets_val, problem.classes, n_epochs, on_epoch=on_epoch, seed=problem.seed
    )


@dataclass(frozen=True)
class Gain:
    """What a recipe gains over doing nothing: the mean and its standard error in nats per row, and the sum."""

    mean: float
    error: float
    total: float

    @property
    def is_clear(self) -> bool:
        """Whether it is enough to do something."""
        return self.mean > _MIN_STANDARD_ERRORS * self.error and self.total > _MIN_GAIN

    def __str__(self) -> str:
        return f"it gains {self.mean:.4f} ({self.error:.4f}) nats per validation row, {self.total:.1f} in all"


def _gain(examined: dict[Candidate, Examined], recipe: Candidate) -> Gain:
    weight = examined[recipe].targets_val.sum(axis=1)
    mean, error = mean_and_error(examined[NOTHING].best - examined[recipe].best, weight)
    return Gain(mean, error, mean * np.count_nonzero(weight))


def _decide(
    problem: Problem, examined: dict[Candidate, Examined], base: Any, tasks: list[Problem], fold: NDArray[np.intp]
) -> tuple[Choice, Finish]:
    best = _simplest_of_the_best(examined)
    nothing, gain = examined[NOTHING].best, _gain(examined, best)
    nets: dict[Candidate, Prepared] = {}
    for recipe in (FINE_TUNE, POSTERIOR, best):
        _carry_out(problem, recipe, examined, nets, base)
    doubt = 1.0 - (problem.given * nets[POSTERIOR].labels).sum(axis=1)
    if not (gain.is_clear and _keeps_classes(problem, nets[best].labels)):
        needed = f"more than {_MIN_STANDARD_ERRORS:g} standard errors and {_MIN_GAIN:g} nats in all are needed"
        reason = f"do nothing was best: of the repair, {gain}; {needed}"
        return _unchanged(problem, doubt, _history(problem, examined, NOTHING), reason, nothing), NO_MORE

    def train(recipe: Candidate) -> tuple[Any, float]:
        if recipe == NOTHING:
            return None, 0.0
        _carry_out(problem, recipe, examined, nets, base)
        start = base if recipe == FINE_TUNE else _train(problem, nets[recipe].labels, is_draft=False)
        return start, _excess(problem, start, examined[recipe], tasks, fold)

    promised = {recipe: tried.promised for recipe, tried in examined.items()}
    kept, start, broken = keep_promise(_by_preference(examined, best), promised, train)
    history, why = _history(problem, examined, kept), _broken(broken, kept)
    if kept == NOTHING:
        return _unchanged(problem, doubt, history, f"do nothing was best{why}", nothing), NO_MORE
    labels = nets[kept].labels
    likeliest = nets[POSTERIOR].labels if _hides_the_labels(kept, examined) else labels
    likeliest = np.where(likeliest.any(axis=1, keepdims=True), likeliest, problem.given)
    harmful = (problem.given * likeliest).sum(axis=1) < 0.5
    condition = f"the {'best' if kept == best else 'next best'} recipe {_name(kept)}: {_gain(examined, kept)}{why}"
    losses = np.stack([nothing, examined[kept].best])
    choice = Choice(labels, likeliest, harmful, doubt, kept, history, condition, losses)
    return choice, Finish(examined[kept].n_epochs, start, examined[kept].factor)


def _by_preference(examined: dict[Candidate, Examined], best: Candidate) -> list[Candidate]:
    """The best recipe, and what else may be delivered, by what it promises."""
    others = [recipe for recipe in examined if recipe == NOTHING or _gain(examined, recipe).is_clear]
    return list(dict.fromkeys([best, *sorted(others, key=lambda recipe: examined[recipe].promised)]))


def _excess(problem: Problem, start: Any, tried: Examined, tasks: list[Problem], fold: NDArray[np.intp]) -> float:
    """By how much a net, once fine-tuned, is worse than those of the folds, see `skrdia._promise`."""

    def losses(task: Problem, net: Any) -> Array:
        tuned = _fine_tune(task, net, tried.n_epochs)
        said = predict_targets(tuned, problem.X_val, problem.classes)
        return _losses(tried.factor * safe_log(said), problem.targets_val)

    seen = np.zeros(len(fold))
    for i, task in enumerate(tasks):
        seen += losses(task, tried.prepared[i].net) * (fold != i) / (len(tasks) - 1)
    return excess_loss(losses(problem, start), tried.best, problem.targets_val.sum(axis=1), seen)


def _broken(broken: dict[Candidate, float], kept: Candidate) -> str:
    """What to say of the recipes whose net was worse than those of the folds."""
    told = ", ".join(f"{_name(recipe)} by {excess:.4f} nats" for recipe, excess in broken.items())
    delivered = "; it is delivered, as nothing else promises less" if kept in broken else ""
    return f"; trained on all rows, worse than judged: {told}{delivered}" if broken else ""


def _name(recipe: Candidate) -> str:
    return f"({recipe.signal}, {recipe.strategy})"


def _history(problem: Problem, examined: dict[Candidate, Examined], kept: Candidate) -> list[dict[str, Any]]:
    history, weight = [], problem.targets_val.sum(axis=1)
    for recipe, tried in examined.items():
        changed = np.mean([one.changed for one in tried.prepared])
        line = _line(problem, replace(recipe, detector=1.0), tried.best, examined[NOTHING].best, weight)
        own = {"fine_tuning_epochs": tried.n_epochs, "temperature": 1.0 / tried.factor}
        history.append(line | {"changed": float(changed), "weight": float(recipe == kept)} | own)
    return history


def _hides_the_labels(best: Candidate, examined: dict[Candidate, Examined]) -> bool:
    """Whether the best recipe says nothing of single labels, while their posterior is better than nothing as well."""
    if best not in (FINE_TUNE, TRUSTED_ONLY):
        return False
    gain = _gain(examined, POSTERIOR)
    return gain.mean > _MIN_STANDARD_ERRORS * gain.error


def _simplest_of_the_best(examined: dict[Candidate, Examined]) -> Candidate:
    """The first recipe whose loss is within half a standard error of the lowest."""
    lowest = min(examined.values(), key=lambda tried: tried.promised).best
    for recipe, tried in examined.items():
        excess, error = mean_and_error(tried.best - lowest, tried.targets_val.sum(axis=1))
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
        teacher = _fine_tune(problem, start, examined[earlier].n_epochs), examined[earlier].factor
    nets[recipe] = Prepared(_labels(recipe, problem, base, teacher), base if recipe == FINE_TUNE else None)
