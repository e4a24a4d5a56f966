"""alpha="auto": which repair, by cross-validation over the validation rows.

Every candidate turns the given labels into targets: a signal at some strength of the detector's regularisation, a
threshold, a strategy and a number of rounds; doing nothing; or leaving all rows out, which trains on the validation
rows alone. For each of five folds of the validation rows the candidates are computed with the other four, the base
estimator is trained on the targets of each and these four, and asked for the labels of the fifth. Where there are more
than 4,000 rows, each fold trains on a random share of them, which is enough to tell the candidates apart. Then

    targets = sum_c w_c targets_c                                                                      (n, K)

with w (M,) the weights of `skrdia._weighing`. Then the base estimator is trained on the average itself, in the same
folds, for the fit to an average of targets is not the mixture of the fits; with the weights by the other folds, for
those by all rows look better than they are. Where the best candidate alone, also found by the other folds, is better by
3 nats summed over the validation rows, a likelihood ratio of 20, it takes the place of the average. What is trained on
is the repair with the share s of `skrdia._weighing`, and else the labels as given; nothing is done where s is below a
third. A gain of few rows is seldom certain, and half a repair is safer than none or all of it, for the loss is convex.

Reference: Kass, Raftery, "Bayes factors", JASA 90, 1995, for 3 nats as strong evidence.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.parallel import Parallel, delayed
from threadpoolctl import threadpool_limits

from skrdia._candidates import NOTHING, TRUSTED_ONLY, Candidate
from skrdia._evidence import Evidence
from skrdia._means import mean_and_error, row_counts
from skrdia._mixture import Predictions
from skrdia._out_of_fold import group_folds
from skrdia._progress import tell
from skrdia._repair import keep_classes, propose, unjudged
from skrdia._rows import stack, take
from skrdia._train import fit_targets, last_step, predict_targets, safe_log, takes_weights
from skrdia._weighing import prior_of, share_of_repair, weights_of
from skrdia.signals._table import SIGNALS
from skrdia.strategies import STRATEGIES
from skrdia.views._base import DEFAULTS, Array, Options

__all__ = [
    "Choice",
    "Problem",
    "choose",
    "cross_entropy",
    "evidence_of",
    "propose_all",
    "too_few_rows",
]

_N_FOLDS, _MIN_VALIDATION_ROWS, _MAX_ROWS = 5, 10, 4_000
_MIN_GAIN = 3.0
_LEAST_SHARE = 1.0 / 3.0
"""The smallest share of a repair that is done."""
_KNOWABLE = 0.05, 0.95
"""What a model of the labels as given may at most be sure of."""


@dataclass(frozen=True)
class Problem:
    """The data of a choice. `targets_val` (n_val, K) holds the weights of the validation rows.

    `given_val` (n_val, K) has a one in the column of the label that each of them came with, and zeros where that is not
    known; it is None where it is known of none. `unfit` says why the validation rows cannot choose, where that is so.
    """

    base: Any
    detectors: dict[float | str, Any]
    X: Any
    given: Array
    weight: Array
    classes: NDArray[Any]
    X_val: Any
    targets_val: Array
    refit_on_all: bool
    hessian: Any
    seed: int
    options: Options = DEFAULTS
    best_epoch: bool = True
    groups: NDArray[np.intp] | None = None
    groups_val: NDArray[np.intp] | None = None
    given_val: Array | None = None
    predictions: Predictions | None = None
    unfit: str = ""

    @property
    def left_alone(self) -> NDArray[np.bool_]:
        """Training rows with a label that no validation row has, (n,): nothing can be said of them."""
        return unjudged(self.given, self.targets_val)

    @property
    def is_clean(self) -> float:
        """Probability that no label is wrong, as far as a model can know it; 1/2 where none was asked."""
        noise = None if self.predictions is None else self.predictions.noise
        return 0.5 if noise is None else float(np.clip(noise.is_clean, *_KNOWABLE))

    @property
    def n_val(self) -> int:
        """Number of validation rows of positive weight."""
        return int(np.count_nonzero(self.targets_val.any(axis=1)))

    def folds(self, n_splits: int) -> NDArray[np.intp]:
        """The fold of every validation row, (n_val,)."""
        return group_folds(self.targets_val, self.groups_val, n_splits)

    def without(self, held_out: NDArray[np.bool_], rng: np.random.RandomState | None = None) -> Problem:
        """The same without some of the validation rows, and without the training rows of their groups.

        Where there are many, a share of the others is kept; all of them without a source of randomness.
        """
        share = 1.0 if rng is None else min(1.0, _MAX_ROWS / (len(self.given) + len(self.targets_val)))
        train = np.arange(len(self.given))
        if self.groups is not None and self.groups_val is not None:
            train = np.flatnonzero(~np.isin(self.groups, self.groups_val[held_out]))
        train = _sample(train, self.given, share, rng)
        val = _sample(np.flatnonzero(~held_out), self.targets_val, share, rng)
        return replace(
            self,
            X=take(self.X, train),
            given=self.given[train],
            weight=self.weight[train],
            X_val=take(self.X_val, val),
            targets_val=self.targets_val[val],
            groups=None if self.groups is None else self.groups[train],
            groups_val=None if self.groups_val is None else self.groups_val[val],
            given_val=None if self.given_val is None else self.given_val[val],
            predictions=None if self.predictions is None else self.predictions.take(train, val),
        )


def _sample(rows: NDArray[np.intp], targets: Array, share: float, rng: Any) -> NDArray[np.intp]:
    """A random share of these rows, of each class separately, and at least two of each."""
    if share == 1.0:
        return rows
    codes = targets[rows].argmax(axis=1)
    parts = [rng.permutation(rows[codes == k]) for k in range(targets.shape[1])]
    return np.sort(np.concatenate([part[: max(2, round(share * len(part)))] for part in parts]))


@dataclass(frozen=True)
class Choice:
    """Targets (n, K) before sample weights, the heaviest candidate, and what each candidate was worth.

    `likeliest` (n, K) are the targets without the share of "trusted rows only", which says nothing of a single row;
    `harmful` (n,) marks the rows whose label has lost more than half of its weight there. `doubt` (n,) is that loss by
    the repairing candidates, whether or not their repair was accepted. `mixture` has the share of each candidate in the
    targets. `losses` (2, n_val) are those of the validation
    rows, in nats, with the labels as given and as chosen, each by a model that has not seen the row. `others` are the
    next best choices, by what they promise.
    """

    labels: Array
    likeliest: Array
    harmful: NDArray[np.bool_]
    doubt: Array
    heaviest: Candidate
    history: list[dict[str, Any]]
    condition: str
    losses: Array | None
    mixture: dict[Candidate, float] = field(default_factory=dict)
    others: tuple[Choice, ...] = ()


def propose_all(problem: Problem, tried: list[Candidate]) -> dict[Candidate, Array]:
    """Targets (n, K) before sample weights of doing nothing, of the trusted rows only, and of the candidates.

    A candidate that leaves a class without any row is left out.
    """
    proposals = {NOTHING: problem.given}
    if problem.refit_on_all:
        proposals[TRUSTED_ONLY] = problem.given * problem.left_alone[:, None]
    start = {factor: evidence_of(problem, factor, problem.given) for factor in problem.detectors}
    for candidate in dict.fromkeys(tried):
        before = replace(candidate, n_iter=candidate.n_iter - 1)
        if candidate.n_iter == 1:
            labels, evidence = problem.given, start[candidate.detector]
        elif before in proposals and np.count_nonzero(proposals[before].any(axis=0)) > 1:
            labels = proposals[before]
            evidence = evidence_of(problem, candidate.detector, labels)
        else:
            continue
        tell(f"alpha='auto': {candidate.signal}, {candidate.strategy}, {len(proposals)} of {len(tried)}", is_minor=True)
        proposal = _propose(evidence, labels, candidate, problem)
        if _keeps_classes(problem, proposal):
            proposals[candidate] = proposal
    return {candidate: harden(problem.base, labels) for candidate, labels in proposals.items()}


def harden(base: Any, labels: Array) -> Array:
    """Targets without fractions, for an estimator that takes no weights: the likeliest label, or a dropped row."""
    if takes_weights(base) or np.isin(labels, (0.0, 1.0)).all():
        return labels
    likeliest = np.eye(labels.shape[1])[labels.argmax(axis=1)]
    return likeliest * (labels.sum(axis=1, keepdims=True) >= 0.5)


def evidence_of(problem: Problem, detector: float | str = 1.0, labels: Array | None = None) -> Evidence:
    """What a detector says of the training rows with these labels (n, K), by default as given."""
    labels = problem.given if labels is None else labels
    return Evidence(
        [problem.detectors[detector]],
        problem.X,
        labels * problem.weight[:, None],
        problem.given,
        problem.weight,
        problem.classes,
        problem.X_val,
        problem.targets_val,
        problem.hessian,
        problem.seed,
        options=problem.options,
        best_epoch=problem.best_epoch,
        groups=problem.groups,
        groups_val=problem.groups_val,
        given_val=problem.given_val,
        predictions=problem.predictions,
    )


def _propose(evidence: Evidence, labels: Array, candidate: Candidate, problem: Problem) -> Array:
    if problem.left_alone.all():
        return labels
    with warnings.catch_warnings():  # `fit` warns once, of influences on all rows
        warnings.simplefilter("ignore", ConvergenceWarning)
        by_label = SIGNALS[candidate.signal](evidence)
    strategy = STRATEGIES[candidate.strategy] if isinstance(candidate.strategy, str) else candidate.strategy
    log_proba = evidence.detection[1].log_proba if candidate.signal == "influence" else safe_log(1.0 - by_label)
    rng = np.random.RandomState(problem.seed)
    flagged, proposed = propose(labels, by_label, log_proba, strategy, candidate.alpha, rng, problem.left_alone)
    lost = _lost(problem, proposed)
    return keep_classes(labels, proposed, lost, flagged)[1] if lost.any() and (~lost).sum() > 1 else proposed


def _lost(problem: Problem, labels: Array) -> NDArray[np.bool_]:
    """Classes (K,) that lose their last row."""
    totals, before = ((some * problem.weight[:, None]).sum(axis=0) for some in (labels, problem.given))
    if problem.refit_on_all:
        totals = totals + problem.targets_val.sum(axis=0)
    lost: NDArray[np.bool_] = (before > 0.0) & (totals == 0.0)
    return lost


def _keeps_classes(problem: Problem, labels: Array) -> bool:
    return not _lost(problem, labels).any()


def choose(
    problem: Problem,
    tried: list[Candidate],
    n_jobs: int | None = None,
    report: Callable[[str], object] = str,
    cache: Callable[..., Any] | None = None,
) -> Choice:
    """Choose among doing nothing, the trusted rows only, and the candidates; `cache` remembers each fold."""
    if (condition := too_few_rows(problem)) is not None:
        return _unchanged(problem, np.full(len(problem.given), np.nan), [], f"do nothing: {condition}", None)
    fold = group_folds(problem.targets_val, problem.groups_val, _N_FOLDS)
    n_folds = int(fold.max()) + 1
    rng = np.random.RandomState(problem.seed)
    tasks = [problem.without(fold == i, rng) for i in range(n_folds)]
    held_out = [take(problem.X_val, fold == i) for i in range(n_folds)]
    results = []
    examine = _examine if cache is None else cache(_examine)
    for result in Parallel(n_jobs=n_jobs, return_as="generator")(
        delayed(examine)(task, tried, rows) for task, rows in zip(tasks, held_out, strict=True)
    ):
        results.append(result)
        report(f"[RDIA] alpha='auto': fold {len(results)} of {n_folds}, {len(result[0])} candidates")
    names = [c for c in results[0][0] if all(c in proposals for proposals, _ in results)]
    losses = np.empty((len(names), len(fold)))
    for i, (_, judged) in enumerate(results):
        losses[:, fold == i] = [cross_entropy(judged[c], problem.targets_val[fold == i]) for c in names]
    counts = row_counts(problem.targets_val.sum(axis=1))
    prior = prior_of(names, problem.is_clean)
    weights = weights_of(losses, counts, prior)
    changed = [np.mean([(p[c] != p[NOTHING]).any(axis=1).mean() for p, _ in results]) for c in names]
    mixed = []
    for i, (proposals, _) in enumerate(results):
        by_others = weights_of(losses[:, fold != i], counts[fold != i], prior)
        mixed.append(harden(problem.base, _mixture(dict(zip(names, by_others, strict=True)), proposals)))
    average = np.empty(len(fold))
    for i, proba in enumerate(
        Parallel(n_jobs=n_jobs)(
            delayed(_judge)(task, labels, rows) for task, labels, rows in zip(tasks, mixed, held_out, strict=True)
        )
    ):
        average[fold == i] = cross_entropy(proba, problem.targets_val[fold == i])
    best = _best_by_others(losses, counts, fold)
    if (average - best) @ counts > _MIN_GAIN:
        weights, average = np.eye(len(names))[(losses @ counts).argmin()], best
    return _decide(problem, names, weights, losses, average, changed)


def _best_by_others(losses: Array, counts: Array, fold: NDArray[np.intp]) -> Array:
    """Losses (n_val,) of the candidate that is best in the other folds."""
    found = np.empty(len(fold))
    for i in range(int(fold.max()) + 1):
        test = fold == i
        found[test] = losses[(losses[:, ~test] @ counts[~test]).argmin(), test]
    return found


def too_few_rows(problem: Problem) -> str | None:
    """Why nothing can be chosen, where that is so."""
    if problem.unfit:
        return problem.unfit
    if problem.groups_val is not None and len(np.unique(problem.groups_val)) < 2:
        return "the validation rows are of one group, so that none of them can judge"
    if problem.n_val >= _MIN_VALIDATION_ROWS:
        return None
    return f"{problem.n_val} validation rows are too few to choose by, {_MIN_VALIDATION_ROWS} are needed"


def _examine(
    problem: Problem, tried: list[Candidate], X_test: Any
) -> tuple[dict[Candidate, Array], dict[Candidate, Array]]:
    """The proposals of all candidates, and what the base estimator trained on each says of the rows X_test."""
    with _few_threads(problem):
        proposals, judged, start = propose_all(problem, tried), {}, None
        for candidate, labels in proposals.items():
            judged[candidate], fitted = _train_and_ask(problem, labels, X_test, start)
            start = fitted if candidate == NOTHING else start
    return proposals, judged


def _judge(problem: Problem, labels: Array, X_test: Any) -> Array:
    with _few_threads(problem):
        return _train_and_ask(problem, labels, X_test, None)[0]


def _few_threads(problem: Problem) -> Any:
    """One thread for the linear algebra of some thousand rows, where more cost more than they save."""
    return threadpool_limits(1 if len(problem.given) <= _MAX_ROWS else None, user_api="blas")


def _train_and_ask(problem: Problem, labels: Array, X_test: Any, start: Any) -> tuple[Array, Any]:
    X, targets = problem.X, labels * problem.weight[:, None]
    if problem.refit_on_all:
        X, targets = stack(X, problem.X_val), np.vstack([targets, problem.targets_val])
    fitted = fit_targets(problem.base, X, targets, problem.classes, is_draft=True, start=start, seed=problem.seed)
    return predict_targets(fitted, X_test, problem.classes), fitted


def cross_entropy(proba: Array, targets: Array) -> Array:
    """Cross-entropy of every row, (n,); rows of zero weight count as zero."""
    return -(safe_log(proba) * (targets > 0.0)).sum(axis=1)


def _decide(
    problem: Problem, names: list[Candidate], weights: Array, losses: Array, average: Array, changed: list[float]
) -> Choice:
    weight = problem.targets_val.sum(axis=1)
    told, gains = _gain_of(losses[0], average, weight), losses[0] - average
    share = share_of_repair(gains, weight, problem.is_clean) if weights[0] < 1.0 else 0.0
    repairing = [c for c in names if c not in (NOTHING, TRUSTED_ONLY)]
    used = [c for c, share in zip(names, weights, strict=True) if c in repairing and share > 0.0] or repairing[:1]
    alone = names[int((losses @ row_counts(weight)).argmin())]
    known = list(dict.fromkeys([*used, *({alone} & set(repairing))]))
    with _few_threads(problem):
        proposals = propose_all(problem, _with_earlier_rounds(known))
    mixture = {c: share for c, share in zip(names, weights, strict=True) if c in proposals}
    doubt = 1.0 - (problem.given * _mixture(_only(used, mixture), proposals)).sum(axis=1) if used else np.nan
    doubt = np.broadcast_to(doubt, len(problem.given))

    def history(weights: Array) -> list[dict[str, Any]]:
        return [
            _line(problem, c, row, losses[0], weight) | {"changed": float(share), "weight": float(w)}
            for c, row, share, w in zip(names, losses, changed, weights, strict=True)
        ]

    def chosen(shares: Array, judged: Array) -> Choice:
        return _chosen(
            problem, dict(zip(names, shares, strict=True)), proposals, doubt, history(shares), losses[0], judged
        )

    nothing = np.eye(len(names))[0]
    weights = (1.0 - share) * nothing + share * weights
    average = -np.log((1.0 - share) * np.exp(-losses[0]) + share * np.exp(-average))
    mixture = {c: part for c, part in zip(names, weights, strict=True) if c in proposals}
    labels = harden(problem.base, _mixture(mixture, proposals))
    if share < _LEAST_SHARE or not _keeps_classes(problem, labels):
        belief = f"the probability that it helps is {share:.2f}, and {_LEAST_SHARE:.2f} is needed"
        condition = f"do nothing was best: of the repair, {told}; {belief}"
        return _unchanged(problem, doubt, history(nothing), condition, losses[0])
    others = [
        chosen(shares, losses[i])
        for i in dict.fromkeys([names.index(alone), *([names.index(TRUSTED_ONLY)] if TRUSTED_ONLY in names else [])])
        if i != 0 and not np.array_equal(shares := np.eye(len(names))[i], weights)
    ]
    others.append(_unchanged(problem, doubt, history(nothing), "do nothing", losses[0]))
    others.sort(key=lambda other: float(np.average(other.losses[1], weights=weight)))  # type: ignore[index]
    return replace(chosen(weights, average), others=tuple(others))


def _chosen(
    problem: Problem,
    shares: dict[Candidate, float],
    proposals: dict[Candidate, Array],
    doubt: Array,
    history: list[dict[str, Any]],
    nothing: Array,
    judged: Array,
) -> Choice:
    """A mixture of candidates; `nothing` and `judged` (n_val,) are the losses without it and with it."""
    mixture = {c: share for c, share in shares.items() if c in proposals}
    used = [c for c, share in mixture.items() if share > 0.0 and c not in (NOTHING, TRUSTED_ONLY)]
    likeliest = np.zeros_like(problem.given)
    if any(share > 0.0 for c, share in mixture.items() if c != TRUSTED_ONLY):
        likeliest = _mixture(_only([NOTHING, *used], mixture), proposals)
    n_used = sum(share > 0.0 for share in shares.values())
    kind = "the best candidate alone" if n_used == 1 else f"average of {n_used} candidates"
    return Choice(
        harden(problem.base, _mixture(mixture, proposals)),
        likeliest,
        (problem.given * likeliest).sum(axis=1) < 0.5,
        doubt,
        max(shares, key=lambda c: shares[c]),
        history,
        f"{kind}: {_gain_of(nothing, judged, problem.targets_val.sum(axis=1))}",
        np.stack([nothing, judged]),
        mixture,
    )


def _gain_of(nothing: Array, judged: Array, weight: Array) -> str:
    gain, error = mean_and_error(nothing - judged, weight)
    return f"it gains {gain:.4f} ({error:.4f}) nats per validation row, {gain * np.count_nonzero(weight):.1f} in all"


def _unchanged(
    problem: Problem, doubt: Array, history: list[dict[str, Any]], condition: str, losses: Array | None
) -> Choice:
    """Do nothing; `losses` (n_val,) are those of the validation rows then."""
    unharmed = np.zeros(len(problem.given), dtype=bool)
    judged = None if losses is None else np.stack([losses, losses])
    mixture = {NOTHING: 1.0}
    return Choice(problem.given, problem.given, unharmed, doubt, NOTHING, history, condition, judged, mixture)


def _with_earlier_rounds(tried: list[Candidate]) -> list[Candidate]:
    return [replace(candidate, n_iter=k) for candidate in tried for k in range(1, candidate.n_iter + 1)]


def _only(kept: list[Candidate], mixture: dict[Candidate, float]) -> dict[Candidate, float]:
    """The shares of some of the candidates; equal ones where these are all zero."""
    others = {c: mixture.get(c, 0.0) for c in kept}
    return others if any(others.values()) else dict.fromkeys(kept, 1.0)


def _mixture(shares: dict[Candidate, float], proposals: dict[Candidate, Array]) -> Array:
    """sum_c w_c targets_c, (n, K), with the shares scaled to sum to one; the given labels where none has a share."""
    known = {c: share for c, share in shares.items() if c in proposals and share > 0.0} or {NOTHING: 1.0}
    result: Array = sum((share * proposals[c] for c, share in known.items()), np.zeros_like(proposals[NOTHING]))
    return result / sum(known.values())


def _line(problem: Problem, candidate: Candidate, losses: Array, nothing: Array, weight: Array) -> dict[str, Any]:
    """The line of `history_` for one candidate."""
    loss, error = mean_and_error(losses, weight)
    gain, gain_error = mean_and_error(nothing - losses, weight)
    return {
        "signal": candidate.signal,
        "strategy": candidate.strategy,
        "alpha": candidate.alpha,
        "n_iter": candidate.n_iter,
        "detector": str(last_step(problem.detectors[candidate.detector])[1]) if candidate.n_iter else "",
        "loss": loss,
        "loss_se": error,
        "gain": gain,
        "gain_se": gain_error,
    }
