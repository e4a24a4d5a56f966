"""From rows to targets: by a threshold, by the choice of the validation rows, or with nothing to judge by.

`clf` is the unfitted `RDIAClassifier`, for its parameters.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils.validation import check_memory

from skrdia._candidates import OF_GIVEN_LABELS, Candidate, candidates, detectors_to_try
from skrdia._estimates import Noise, describe, mark, of_marked, witnessed
from skrdia._evidence import Evidence
from skrdia._heads import fit_heads
from skrdia._mixture import predict_given
from skrdia._noise_model import fit_noise_model
from skrdia._out_of_fold import N_FOLDS, detectors, folds
from skrdia._repair import Detection, Repaired, repair
from skrdia._rows import Fold, Rows, split_rows, take
from skrdia._second_look import can_take, look_at_verified, whole_rows
from skrdia._train import is_net, takes_weights
from skrdia._tuning import Choice, Problem, choose, evidence_of, propose_all, too_few_rows
from skrdia._tuning_nets import NO_MORE, Finish, choose_net
from skrdia._verified import VerifiedCheck
from skrdia.signals import SIGNALS
from skrdia.signals._table import OF_PROBABILITIES, WITHOUT_TRUSTED_ROWS
from skrdia.solvers import DETERMINISTIC
from skrdia.strategies import STRATEGIES
from skrdia.views import Options, has_view
from skrdia.views._base import Array

__all__ = [
    "Outcome",
    "by_choice",
    "by_threshold",
    "candidate_targets",
    "options_of",
    "seed_of",
    "signal_name",
    "training_seed",
    "without_judges",
]

_SPECK = 0.05


@dataclass(frozen=True)
class Outcome:
    """What `fit` stores: `likeliest` (n, K) shows the labels after repair, `chosen` the parameters that led there.

    `finish` is what follows the final fit of a net. `losses` (2, n_val) are those of the validation rows, with the
    labels as given and as chosen, where the choice has measured them. `others` are the next best choices. `noise` says
    how many labels are wrong, where that was asked, and `check` what was found out about the verified rows.
    """

    repaired: Repaired
    likeliest: Array
    harmful: NDArray[np.bool_]
    scores: Array
    chosen: tuple[Any, Any, float, int]
    finish: Finish = NO_MORE
    losses: Array | None = None
    others: tuple[Outcome, ...] = ()
    noise: Noise | None = None
    check: VerifiedCheck | None = None


def signal_name(clf: Any, is_out_of_fold: bool) -> Any:
    """The signal; "auto" stays where the validation rows choose it."""
    if clf.signal != "auto" or (clf.alpha == "auto" and not is_out_of_fold):
        return clf.signal
    if clf.alpha == "auto":
        return "noise-model" if clf.strategy == "auto" else "posterior"
    return "confidence" if is_out_of_fold else "influence"


def by_threshold(clf: Any, finder: Any, rows: Rows, rng: np.random.RandomState) -> Outcome:
    """One threshold, as in the paper."""
    signal = signal_name(clf, is_out_of_fold=bool(rows.splits))
    strategy = "relabel" if clf.strategy == "auto" else clf.strategy
    if rows.splits and signal in WITHOUT_TRUSTED_ROWS:
        rows = rows.without_judges()
    repaired = _rounds(clf, finder, rows, rng, signal, strategy, float(clf.alpha))
    return Outcome(
        repaired,
        repaired.labels,
        repaired.harmful,
        scores=(rows.given * repaired.first.by_label).sum(axis=1),
        chosen=(signal, strategy, float(clf.alpha), len(repaired.history)),
    )


def without_judges(clf: Any, base: Any, finder: Any, rows: Rows, rng: np.random.RandomState) -> Outcome:
    """Nothing to choose by: the model of the labels as given, or a signal and a strategy that the user has named."""
    signal = signal_name(clf, is_out_of_fold=True)
    if signal == "noise-model" and clf.strategy == "auto":
        return by_noise_model(clf, base, finder, rows.without_judges(), rng)
    of_base = "soft" if takes_weights(base) else "relabel"
    strategy = of_base if clf.strategy == "auto" else clf.strategy
    if signal not in WITHOUT_TRUSTED_ROWS or signal not in OF_PROBABILITIES:
        raise ValueError(
            f"signal={signal!r} with alpha='auto' needs trusted rows to choose a threshold by, of which there are "
            "none. Give alpha a number, or use signal='noise-model' or 'confidence'."
        )
    rows = rows.without_judges()
    repaired = _rounds(clf, finder, rows, rng, signal, strategy, 0.0 if strategy == "soft" else 0.5)
    return Outcome(
        repaired,
        repaired.labels,
        (rows.given * repaired.labels).sum(axis=1) < 0.5,
        scores=1.0 - (rows.given * np.exp(repaired.first.log_proba)).sum(axis=1),  # without influences, the confidence
        chosen=(signal, strategy, 0.5, len(repaired.history)),
    )


def by_noise_model(
    clf: Any, base: Any, finder: Any, rows: Rows, rng: np.random.RandomState, condition: str = ""
) -> Outcome:
    """Train on the posterior of the right label, mark what is probably wrong; verified rows are known to the model."""
    fold, gather = rows.folds[0], _gatherer(clf, finder, rows, rng)
    evidence = gather(fold, rows.given)
    noise = evidence.noise_model
    rule = "soft" if takes_weights(base) else "relabel"
    threshold = 0.0 if rule == "soft" else 0.5
    repaired = _repair(clf, rows, rng, lambda *_: evidence, "noise-model", rule, threshold)
    wrong = np.full(len(rows.y), np.nan)
    wrong[fold.train] = 1.0 - (rows.given[fold.train] * noise.posterior).sum(axis=1)
    marks = mark(wrong)
    told = describe(noise, rows.given[fold.train], marks)
    stop = condition + told.condition
    labels = repaired.labels if has_view(base) else _without_specks(repaired.labels)
    line = repaired.history[-1] | {"n_harmful": int(marks.rows.sum()), "termination_condition": stop}
    return Outcome(
        replace(repaired, labels=labels, history=[line], termination_condition=stop),
        labels,
        marks.rows,
        wrong,
        ("noise-model", rule, marks.least, 1),
        noise=told,
    )


def _without_specks(labels: Array) -> Array:
    """Targets (n, K) without entries below a twentieth of their row, each of which would be a row more to train on.

    Trees count rows, whatever they weigh: of clean labels a thousandth of doubt doubled the loss of boosted ones.
    """
    total = labels.sum(axis=1, keepdims=True)
    kept = np.where(labels < _SPECK * total, 0.0, labels)
    return np.asarray(kept * total / np.maximum(kept.sum(axis=1, keepdims=True), np.finfo(np.float64).tiny))


def by_choice(clf: Any, base: Any, finder: Any, rows: Rows, rng: np.random.RandomState) -> Outcome:
    """The validation rows choose, where there are enough of them, each as far as it is what it seems."""
    problem, cache = _problem(clf, base, finder, rows, rng), check_memory(clf.memory).cache
    if (why := too_few_rows(problem)) is not None and clf.signal == clf.strategy == "auto":
        return by_noise_model(clf, base, finder, rows, rng, f"{why}; ")
    tried = _tried(clf, base, finder, problem)
    if any(candidate.signal in OF_GIVEN_LABELS for candidate in tried) and can_take(finder, rows):
        problem = _predicted(problem, finder, clf)
    check = look_at_verified(finder, rows, training_seed(clf), cache, problem.predictions)
    if check is not None:
        check = check if takes_weights(base) else whole_rows(check)
        rows = rows.weighed(check.weights)
        judges = problem.targets_val * check.weights[:, None]
        problem = replace(problem, targets_val=judges, unfit=check.reason)
    signal = "influence" if has_view(finder) else "trusted-confidence"
    first = _rounds(clf, finder, rows, rng, signal, "none", np.inf).first
    choice, finish = _choose(clf, base, finder, problem, tried)
    outcome, *others = (_outcome_of(one, problem, rows, first, finish) for one in (choice, *choice.others))
    noise = None if problem.predictions is None else cache(_noise_of)(problem, choice.harmful)
    if noise is not None:
        harmful = np.zeros(len(rows.y), dtype=bool)
        harmful[rows.folds[0].train] = noise.marks.rows
        noise = replace(noise, marks=replace(noise.marks, rows=harmful))
    others = [replace(other, noise=noise, check=check) for other in others]
    return replace(outcome, others=tuple(others), noise=noise, check=check)


def _noise_of(problem: Problem, harmful: NDArray[np.bool_]) -> Noise:
    """How many labels are wrong, as the noise model says, unless the verified rows say otherwise."""
    evidence = evidence_of(problem)
    posterior = evidence.calibrated_posterior
    marks = of_marked(harmful, 1.0 - (posterior * problem.given).sum(axis=1))
    noise = describe(evidence.noise_model, problem.given, marks)
    return witnessed(noise, posterior, problem.given, problem.targets_val, problem.given_val)


def _outcome_of(choice: Choice, problem: Problem, rows: Rows, first: Detection, finish: Finish) -> Outcome:
    train = rows.folds[0].train
    labels, likeliest = rows.given.copy(), rows.given.copy()
    harmful, scores = np.zeros(len(rows.y), dtype=bool), np.full(len(rows.y), np.nan)
    labels[train], likeliest[train] = choice.labels, choice.likeliest
    harmful[train], scores[train] = choice.harmful, np.where(problem.left_alone, np.nan, choice.doubt)
    chosen = choice.heaviest
    n_iter = max(1, chosen.n_iter)
    rounds = np.where((labels != rows.given).any(axis=1), n_iter, 0)
    return Outcome(
        Repaired(labels, harmful, first, choice.history, choice.condition, rounds),
        likeliest,
        harmful,
        scores,
        (chosen.signal, chosen.strategy, chosen.alpha, n_iter),
        finish,
        choice.losses,
    )


def _predicted(problem: Problem, finder: Any, clf: Any) -> Problem:
    """With what models of the labels as given say, once for all candidates and folds."""
    splits = folds(problem.given, N_FOLDS, problem.groups)
    found = predict_given(
        finder,
        problem.X,
        problem.given * problem.weight[:, None],
        problem.classes,
        splits,
        problem.X_val,
        groups=problem.groups,
        groups_val=problem.groups_val,
        seed=training_seed(clf),
        cache=check_memory(clf.memory).cache,
    )
    seen = ~np.isnan(found.proba).any(axis=(0, 2))
    noise = fit_noise_model(found.proba[:, seen], problem.given[seen], problem.weight[seen])
    return replace(problem, predictions=replace(found, noise=noise))


def _tried(clf: Any, base: Any, finder: Any, problem: Problem) -> list[Candidate]:
    """The candidates; none for nets, which have recipes of their own."""
    if base is finder and is_net(base) and clf.signal == "auto" and clf.strategy == "auto":
        return []
    has_pairs = problem.given_val is not None and bool(problem.given_val.any())
    return candidates(clf.signal, clf.strategy, clf.max_iter, base, finder, problem.n_val, has_pairs=has_pairs)


def _choose(clf: Any, base: Any, finder: Any, problem: Problem, tried: list[Candidate]) -> tuple[Choice, Finish]:
    """The choice, and what follows the final fit."""
    cache = check_memory(clf.memory).cache
    if base is finder and is_net(base) and clf.signal == "auto" and clf.strategy == "auto":
        return cache(choose_net, ignore=["n_jobs", "report"])(problem, clf.n_jobs, _report(clf))
    remembered = cache(choose, ignore=["n_jobs", "report", "cache"])
    return remembered(problem, tried, clf.n_jobs, _report(clf), cache), NO_MORE


def candidate_targets(clf: Any, X: Any, y: Any, X_val: Any, y_val: Any) -> dict[str, Array]:
    """The targets (n, K) of every candidate of an unfitted `RDIAClassifier` with alpha="auto", to look at them."""
    rows, base = split_rows(X, y, X_val=X_val, y_val=y_val), clf._base()
    heads = fit_heads(base, clf._finder(base), rows)
    problem = _problem(clf, heads.base, heads.finder, heads.rows, np.random.RandomState(0))
    tried = candidates(clf.signal, clf.strategy, clf.max_iter, heads.base, heads.finder, problem.n_val)
    problem = _predicted(problem, heads.finder, clf)
    return {str(candidate): labels for candidate, labels in propose_all(problem, tried).items()}


def _problem(clf: Any, base: Any, finder: Any, rows: Rows, rng: np.random.RandomState) -> Problem:
    judges = rows.folds[0]
    assert judges.targets_val is not None
    return Problem(
        base,
        detectors_to_try(base, finder),
        take(rows.X, judges.train),
        rows.given[judges.train],
        rows.weight[judges.train],
        rows.classes,
        judges.X_val,
        judges.targets_val,
        clf.refit_on == "all",
        clf.hessian,
        seed_of(clf.random_state, rng),
        options_of(clf),
        clf.best_epoch,
        None if rows.groups is None else rows.groups[judges.train],
        rows.groups_val,
        rows.given_val,
    )


def options_of(clf: Any) -> Options:
    """How views of nets are taken."""
    return Options(clf.parameters, clf.softening, clf.damping)


def seed_of(random_state: Any, rng: np.random.RandomState) -> int:
    """A seed drawn from the user's random state; the same each time where there is none."""
    return 0 if random_state is None else int(rng.randint(2**31 - 1))


def training_seed(clf: Any) -> int | None:
    """Of nets; None for torch's own generator."""
    if isinstance(clf.random_state, np.random.RandomState):
        return int(clf.random_state.get_state()[1][0])  # type: ignore[index]
    return None if clf.random_state is None else int(clf.random_state)


def _rounds(
    clf: Any, finder: Any, rows: Rows, rng: np.random.RandomState, signal: Any, strategy: Any, alpha: float
) -> Repaired:
    return _repair(clf, rows, rng, _gatherer(clf, finder, rows, rng), signal, strategy, alpha)


def _gatherer(clf: Any, finder: Any, rows: Rows, rng: np.random.RandomState) -> Callable[[Fold, Array], Evidence]:
    """The evidence of a fold, for the targets of a round."""
    cache, models = check_memory(clf.memory).cache, detectors(finder)
    seed = None if clf.hessian in DETERMINISTIC else rng.randint(2**31 - 1)

    def gather(fold: Fold, labels: Array) -> Evidence:
        return Evidence(
            models,
            take(rows.X, fold.train),
            (labels * rows.weight[:, None])[fold.train],
            rows.given[fold.train],
            rows.weight[fold.train],
            rows.classes,
            fold.X_val,
            fold.targets_val,
            clf.hessian,
            seed,
            cache,
            rows.splits if fold.X_val is None else [],
            options_of(clf),
            clf.best_epoch,
            training_seed(clf),
            groups=None if rows.groups is None else rows.groups[fold.train],
            groups_val=None if fold.X_val is None or rows.splits else rows.groups_val,
            given_val=None if fold.X_val is None or rows.splits else rows.given_val,
        )

    return gather


def _repair(
    clf: Any, rows: Rows, rng: np.random.RandomState, gather: Any, signal: Any, strategy: Any, alpha: float
) -> Repaired:
    return repair(
        rows,
        gather,
        SIGNALS[signal] if isinstance(signal, str) else signal,
        STRATEGIES[strategy] if isinstance(strategy, str) else strategy,
        alpha,
        max_iter=clf.max_iter or 1,
        n_jobs=clf.n_jobs,
        rng=rng,
        report=_report(clf),
        is_judged=signal not in WITHOUT_TRUSTED_ROWS,
    )


def _report(clf: Any) -> Callable[[str], Any]:
    return print if clf.verbose else str
