"""`RDIAClassifier.fit` on the rows of a Dask cluster: steps I to IV, with every array of n rows on the workers.

The formulas are those of the other modules: views, curvature, solvers, signals and strategies work on Dask arrays, or
on the rows of one block at a time. What needs all rows at once in memory is done differently here:

* Validation rows are not taken out of X; they have no weight in training. Held-out rows, and the three folds of
  out-of-fold models, are drawn at random, not stratified.
* With ``alpha="auto"`` the candidates are judged on rows drawn at random, about 20,000 trusted and 20,000 other ones,
  in the memory of the client. Those that are chosen are then computed for all rows, with models of all rows.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import dask.array as da
import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import clone
from sklearn.utils.validation import check_memory

from skrdia._candidates import NOTHING, TRUSTED_ONLY, Candidate, candidates, detectors_to_try
from skrdia._dask_blocks import DaskBlocks, checked_weight, encoded, labels_of
from skrdia._fitted import replace_attributes, warn_of_unverified_judges
from skrdia._influence import Solved, solve_influence
from skrdia._label_posterior import apply_channel, channel_of
from skrdia._outcome import options_of, signal_name
from skrdia._progress import listening
from skrdia._repair import entry, propose, sentence
from skrdia._rows import check_judged
from skrdia._train import safe_log
from skrdia._tuning import Choice, Problem, choose
from skrdia._validation import check_labels, encode, one_hot
from skrdia.linear_model import LogisticRegression
from skrdia.signals import SIGNALS
from skrdia.strategies import STRATEGIES
from skrdia.views import as_view
from skrdia.views._base import Array

__all__ = ["fit_on_cluster"]

_SIGNALS = ("influence", "trusted-confidence", "posterior", "trusted-posterior")
_STRATEGIES = ("relabel", "relabel-soft", "soft", "drop", "none")
_SOLVERS = ("newton-cg", "direct", "identity")
"""What works block by block."""

_MAX_SAMPLE = 20_000
"""Rows of each kind by which the candidates of alpha="auto" are judged."""

_N_FOLDS, _MAX_ITER, _TOL = 3, 20, 1e-3
"""Folds of out-of-fold models; iterations of the noise model, and the change at which they end."""


@dataclass(frozen=True)
class _Rows:
    """The rows of X, and those that judge: the ones of X where `mask` (n,) is true, or others.

    `given` (n, K), `weight` (n,), which is that of training and zero where `mask` is true, and `fold` (n,) are Dask
    arrays. `judges` are rows and their targets (n_val, K).
    """

    blocks: DaskBlocks
    y: Any
    classes: NDArray[Any]
    given: Any
    weight: Any
    mask: Any
    fold: Any
    judges: tuple[Any, Any]
    are_outside: bool

    def weighted(self, labels: Any) -> Any:
        """Training targets (n, K)."""
        return labels * self.weight[:, None]

    @property
    def left_alone(self) -> Any:
        """Validation rows, and rows with a label that none of these has, (n,)."""
        unjudged = np.asarray(self.judges[1].sum(axis=0)) == 0.0
        return self.mask | ((self.given @ unjudged.astype(np.float64)) > 0.0) if unjudged.any() else self.mask

    def with_judges(self, targets: Any) -> tuple[DaskBlocks, Any]:
        """Rows and targets of training and validation rows."""
        X_val, targets_val = self.judges
        if not self.are_outside:
            return self.blocks, targets + targets_val
        return self.blocks.above(X_val), da.concatenate([targets, da.asarray(targets_val)])


def fit_on_cluster(
    clf: Any,
    X: Any,
    y: Any,
    sample_weight: Any,
    X_val: Any,
    y_val: ArrayLike | None,
    trusted: Any,
    groups: Any,
    y_given: Any = None,
) -> Any:
    """`RDIAClassifier.fit` for a Dask array or data frame X."""
    for name, value in (("groups", groups), ("y_given", y_given)):
        if value is not None:
            raise ValueError(f"{name} needs all rows in memory; for rows of Dask leave it out.")
    base = LogisticRegression() if clf.base_estimator is None else clf.base_estimator
    finder = base if clf.influence_estimator is None else clf.influence_estimator
    _check(clf, base, finder)
    seed = int(np.random.RandomState(clf.random_state).randint(2**31 - 1)) if clf.random_state is not None else 0
    rows = _read(clf, DaskBlocks.of(X), y, sample_weight, X_val, y_val, trusted, seed)
    with listening(print if clf.verbose else None):
        first = _Evidence(clf, rows, finder, rows.given)
        repaired = (
            _by_choice(clf, base, finder, rows, first, seed) if clf.alpha == "auto" else _rounds(clf, rows, first)
        )
        fitted = _finish(clf, base, rows, first, repaired)
    fitted["n_features_in_"] = rows.blocks.shape[1]
    if hasattr(X, "columns") and all(isinstance(name, str) for name in X.columns):
        fitted["feature_names_in_"] = np.asarray(list(X.columns), dtype=object)
    replace_attributes(clf, fitted)
    clf._has_verified_rows = trusted is not None or X_val is not None
    return clf


def _check(clf: Any, base: Any, finder: Any) -> None:
    for name, estimator in (("base_estimator", base), ("influence_estimator", finder)):
        if not isinstance(estimator, LogisticRegression):
            raise TypeError(
                f"{name}={estimator!r} cannot be trained on rows of Dask; use skrdia.dask.LogisticRegression, which "
                "has the parameters and the optimum of scikit-learn's, or bring the rows into memory (X.compute())."
            )
    if clf.cv is not None:
        raise ValueError("cv needs all rows in memory; for rows of Dask pass trusted, or X_val and y_val.")
    if clf.compute_std:
        raise ValueError("compute_std=True needs all rows in memory; for rows of Dask leave it out.")
    signal, strategy = signal_name(clf, is_out_of_fold=False), clf.strategy
    for name, value, known in (
        ("signal", signal, ("auto", *_SIGNALS)),
        ("strategy", strategy, ("auto", *_STRATEGIES)),
        ("hessian", clf.hessian, _SOLVERS),
    ):
        if not isinstance(value, str) or value not in known:
            raise ValueError(f"{name}={value!r} needs all rows in memory; for rows of Dask use one of {list(known)}.")


def _read(
    clf: Any, blocks: DaskBlocks, y: Any, sample_weight: Any, X_val: Any, y_val: Any, trusted: Any, seed: int
) -> _Rows:
    if (X_val is None) != (y_val is None):
        raise ValueError("X_val and y_val belong together; pass both, or neither.")
    if X_val is not None and trusted is not None:
        raise ValueError(
            "The validation rows are given twice, by X_val and trusted; for rows of Dask give one of them."
        )
    y = blocks.aligned(y, "y")
    chunks, n = (blocks.chunks,), blocks.shape[0]
    weight = da.ones(n, chunks=chunks) if sample_weight is None else checked_weight(blocks, sample_weight)
    random = da.random.RandomState(seed)
    fold = blocks.hold(random.randint(0, _N_FOLDS, size=n, chunks=chunks))
    if trusted is not None:
        mask = blocks.aligned(trusted, "trusted")
        if mask.dtype != bool:
            raise ValueError(f"trusted has dtype {mask.dtype}, expected bool: one True or False per row of X.")
    elif X_val is not None:
        mask = da.zeros(n, chunks=chunks, dtype=bool)
    elif clf.validation_fraction is None:
        raise ValueError(
            "Without verified rows all rows are needed in memory; for rows of Dask pass trusted, X_val and y_val, or "
            "set validation_fraction to have some of the rows, unverified as they are, held out."
        )
    else:
        warn_of_unverified_judges(clf, None)
        mask = random.random_sample(n, chunks=chunks) < clf.validation_fraction
    mask, training = blocks.hold(mask), blocks.hold(weight * ~mask)
    classes, given = labels_of(blocks, y, training > 0.0)
    if len(classes) < 2:
        raise ValueError(
            f"y has {len(classes)} class among the training rows with positive weight ({classes.tolist()}); "
            "classification needs at least two classes."
        )
    judges = (
        (blocks, blocks.hold(given * (weight * mask)[:, None])) if X_val is None else _outside(X_val, y_val, classes)
    )
    source = "y_val" if X_val is not None else "validation_fraction" if trusted is None else "trusted"
    totals = np.asarray(judges[1].sum(axis=0))
    check_judged(totals, classes, source)
    if not totals.all():
        _warn_of_unjudged(classes[totals == 0.0])
    return _Rows(blocks, y, classes, given, training, mask, fold, judges, X_val is not None)


def _warn_of_unjudged(classes: NDArray[Any]) -> None:
    warnings.warn(
        f"No verified row has the labels {classes[:10].tolist()}, so nothing could tell whether the rows labelled so "
        "are right. They are left as they are. Verify some rows of such labels.",
        UserWarning,
        stacklevel=4,
    )


def _outside(X_val: Any, y_val: Any, classes: NDArray[Any]) -> tuple[Any, Any]:
    if hasattr(X_val, "dask"):
        blocks = DaskBlocks.of(X_val)
        y_val = blocks.aligned(y_val, "y_val")
        return blocks, encoded(blocks, y_val, classes, "y_val")
    labels = check_labels(y_val, "y_val")
    return X_val, one_hot(encode(labels, classes, "y_val"), len(classes))


class _Evidence:
    """What a detector says of every row with the current labels (n, K); arrays are Dask arrays (n, K)."""

    def __init__(self, clf: Any, rows: _Rows, detector: Any, labels: Any) -> None:
        self._clf, self._rows, self._detector, self.labels = clf, rows, detector, labels

    @cached_property
    def detection(self) -> tuple[Any, Solved]:
        """The detector trained on the labels, and its influences."""
        rows, targets = self._rows, self._rows.blocks.hold(self._rows.weighted(self.labels))
        fitted = clone(self._detector).fit_targets(rows.blocks, targets, rows.classes)
        n_trained = int((targets > 0.0).sum())
        view = as_view(fitted, options_of(self._clf))
        return fitted, solve_influence(
            view, rows.blocks, targets, *rows.judges, self._clf.hessian, None, n_trained=n_trained
        )

    @property
    def influences(self) -> Any:
        return self.detection[1].by_label

    @cached_property
    def trusted_confidence(self) -> Any:
        """Probabilities by the detector trained on the validation rows."""
        X_val, targets_val = self._rows.judges
        fitted = clone(self._detector)
        if isinstance(X_val, DaskBlocks):
            fitted.fit_targets(X_val, targets_val, self._rows.classes)
        else:
            labels = self._rows.classes[targets_val.argmax(axis=1)]
            fitted.fit(X_val, labels, targets_val.sum(axis=1))
        return self._rows.blocks.hold(fitted.predict_proba(self._rows.blocks))

    @cached_property
    def posterior(self) -> Any:
        """Posterior of the noise model, from out-of-fold probabilities."""
        return self._posterior(self._out_of_fold(self._rows.weighted(self.labels)))

    @cached_property
    def trusted_posterior(self) -> Any:
        """Posterior of the noise model, from the model of the validation rows."""
        return self._posterior(self.trusted_confidence)

    def _posterior(self, proba: Any) -> Any:
        once = self._of_channel(proba)
        return self._of_channel(self._out_of_fold(self._rows.weighted(once)))

    def _out_of_fold(self, targets: Any) -> Any:
        rows, proba = self._rows, da.zeros_like(targets)
        for i in range(_N_FOLDS):
            X, kept = rows.with_judges(targets * (rows.fold != i)[:, None])
            fitted = clone(self._detector).fit_targets(X, X.hold(kept), rows.classes)
            proba = da.where((rows.fold == i)[:, None], fitted.predict_proba(rows.blocks), proba)
        return rows.blocks.hold(proba)

    def _of_channel(self, proba: Any) -> Any:
        """`label_posterior`, by counts that are summed over the blocks."""
        rows, width = self._rows, len(self._rows.classes)
        posterior = rows.blocks.each(_first_posterior, width, proba, rows.given)
        for _ in range(_MAX_ITER):
            channel = channel_of(rows.blocks.total(_counts, posterior, rows.given, rows.weight))
            updated = rows.blocks.each(_applied, width, proba, rows.given, shared=(channel,))
            change = float(abs(updated - posterior).max())
            posterior = updated
            if change < _TOL:
                break
        return posterior


@dataclass(frozen=True)
class _Repaired:
    """See `Outcome`; arrays are Dask arrays."""

    labels: Any
    likeliest: Any
    harmful: Any
    scores: Any
    history: list[dict[str, Any]]
    condition: str
    chosen: tuple[Any, Any, float, int]


def _proposal(rows: _Rows, evidence: _Evidence, signal: str, strategy: str, alpha: float) -> tuple[Any, Any, Any]:
    """What the signal says (n, K), the harmful rows (n,), and their new targets (n, K)."""
    by_label = SIGNALS[signal](evidence)  # type: ignore[arg-type]
    log_proba = evidence.detection[1].log_proba if signal == "influence" else safe_log(1.0 - by_label)
    args = (evidence.labels, by_label, log_proba, rows.left_alone)
    width = 1 + len(rows.classes)
    found = rows.blocks.each(_proposed, width, *args, shared=(STRATEGIES[strategy], alpha))
    return by_label, rows.blocks.hold(found[:, 0] > 0.0), rows.blocks.hold(found[:, 1:])


def _rounds(clf: Any, rows: _Rows, evidence: _Evidence) -> _Repaired:
    """One threshold, as in the paper."""
    signal, strategy = signal_name(clf, is_out_of_fold=False), "relabel" if clf.strategy == "auto" else clf.strategy
    detector, labels, seen = evidence._detector, rows.given, [rows.given]
    harmful, scores = da.zeros_like(rows.mask), None
    history: list[dict[str, Any]] = []
    condition = "max_iter"
    while condition == "max_iter" and len(history) < (clf.max_iter or 1):
        evidence = evidence if not history else _Evidence(clf, rows, detector, labels)
        by_label, flagged, proposed = _proposal(rows, evidence, signal, strategy, float(clf.alpha))
        scores = (rows.given * by_label).sum(axis=1) if scores is None else scores
        if history:
            history[-1]["realised_gain"] = history[-1]["validation_loss"] - evidence.detection[1].validation_loss
        lost = rows.classes[np.asarray(rows.weighted(proposed).sum(axis=0)) == 0.0]
        if len(lost):
            condition, proposed = f"a class would be left empty: {lost.tolist()}", labels
        elif not bool(flagged.any()):
            condition = "no row above alpha"
        elif any(not bool((proposed != earlier).any()) for earlier in seen):
            condition = "labels repeat"
        found = _Found(rows.weight, evidence.detection[1])
        history.append(entry(len(history) + 1, found, flagged, labels, proposed))  # type: ignore[arg-type]
        if clf.verbose:
            print(sentence(history[-1], float(clf.alpha)))
        if not len(lost):
            labels, harmful = proposed, rows.blocks.hold(harmful | flagged)
            seen.append(labels)
    history[-1]["termination_condition"] = condition
    chosen = (signal, strategy, float(clf.alpha), len(history))
    return _Repaired(labels, labels, harmful, scores, history, condition, chosen)


class _Found:
    """What `entry` needs of a detection."""

    def __init__(self, weight: Any, solved: Solved) -> None:
        self.loss_gradient = solved.loss_gradient * weight[:, None]
        self.validation_loss, self.diagnostics = solved.validation_loss, solved.diagnostics


def _by_choice(clf: Any, base: Any, finder: Any, rows: _Rows, first: _Evidence, seed: int) -> _Repaired:
    """The validation rows choose, by a sample."""
    problem = _sample(clf, base, finder, rows, seed)
    tried = [
        candidate
        for candidate in candidates(clf.signal, clf.strategy, clf.max_iter, base, finder, problem.n_val)
        if candidate.signal in _SIGNALS and candidate.strategy in _STRATEGIES
    ]
    cache, report = check_memory(clf.memory).cache, print if clf.verbose else str
    remembered = cache(choose, ignore=["n_jobs", "report", "cache"])
    choice: Choice = remembered(problem, tried, clf.n_jobs, report, cache)
    known = {(1.0, rows.given.name): first}
    proposals = {c: _targets(clf, rows, c, problem.detectors, known) for c in choice.mixture}
    labels = rows.blocks.hold(_mixed(choice.mixture, proposals))
    kept = {c: share for c, share in choice.mixture.items() if c != TRUSTED_ONLY}
    likeliest = rows.blocks.hold(_mixed(kept, proposals)) if kept else da.zeros_like(rows.given)
    remains = (rows.given * likeliest).sum(axis=1)
    training, heaviest = ~rows.mask, choice.heaviest
    n_judges = f"{len(problem.given):,} training and {len(problem.targets_val):,} validation rows"
    return _Repaired(
        labels,
        likeliest,
        training & (remains < 0.5),
        da.where(training, 1.0 - remains, np.nan),
        choice.history,
        f"{choice.condition} (judged on {n_judges})",
        (heaviest.signal, heaviest.strategy, heaviest.alpha, max(1, heaviest.n_iter)),
    )


def _sample(clf: Any, base: Any, finder: Any, rows: _Rows, seed: int) -> Problem:
    """Rows drawn at random, in memory."""
    random, n = da.random.RandomState(seed + 1), rows.blocks.shape[0]
    u = rows.blocks.hold(random.random_sample(n, chunks=(rows.blocks.chunks,)))
    n_train, n_val = int((rows.weight > 0.0).sum()), int(rows.mask.sum())
    X, (given, weight) = rows.blocks.gather(
        rows.given, rows.weight, where=(rows.weight > 0.0) & (u < _MAX_SAMPLE / max(1, n_train))
    )
    X_val, targets_val = rows.judges
    if not rows.are_outside:
        X_val, (targets_val,) = rows.blocks.gather(targets_val, where=rows.mask & (u < _MAX_SAMPLE / max(1, n_val)))
    elif isinstance(X_val, DaskBlocks):
        u = da.random.RandomState(seed + 2).random_sample(X_val.shape[0], chunks=(X_val.chunks,))
        X_val, (targets_val,) = X_val.gather(targets_val, where=u < _MAX_SAMPLE / X_val.shape[0])
    detectors = detectors_to_try(base, finder)
    args = (rows.classes, X_val, targets_val, clf.refit_on == "all", clf.hessian, seed, options_of(clf))
    return Problem(base, detectors, X, given, weight, *args)


def _targets(
    clf: Any, rows: _Rows, candidate: Candidate, detectors: Any, known: dict[tuple[Any, str], _Evidence]
) -> Any:
    """Targets (n, K) of one candidate, for all rows."""
    if candidate in (NOTHING, TRUSTED_ONLY):
        return rows.given * (1.0 if candidate == NOTHING else rows.left_alone[:, None])
    labels = rows.given
    for _ in range(candidate.n_iter):
        key = (candidate.detector, labels.name)
        if key not in known:
            known[key] = _Evidence(clf, rows, detectors[candidate.detector], labels)
        _, _, labels = _proposal(rows, known[key], candidate.signal, candidate.strategy, candidate.alpha)
    return labels


def _mixed(shares: dict[Candidate, float], proposals: dict[Candidate, Any]) -> Any:
    total = sum(shares.values())
    return sum(share / total * proposals[c] for c, share in shares.items())


def _finish(clf: Any, base: Any, rows: _Rows, first: _Evidence, repaired: _Repaired) -> dict[str, Any]:
    """Step IV, and all fitted attributes that follow from it."""
    fitted, solved = first.detection
    targets = rows.blocks.hold(rows.weighted(repaired.labels))
    X, fit_on = (rows.blocks, targets) if clf.refit_on == "train" else rows.with_judges(targets)
    if clf.influence_estimator is not None:
        fitted = clone(base).fit_targets(rows.blocks, rows.weighted(rows.given), rows.classes)
    final = clone(base).set_params(**(clf.refit_params or {}))
    if final.warm_start:
        final.coef_, final.intercept_ = fitted.coef_, fitted.intercept_
    arguments = (rows.y, rows.given, repaired.likeliest)
    relabeled = rows.blocks.each(_relabeled, None, *arguments, shared=(rows.classes,), dtype=rows.y.dtype)
    by_label = rows.blocks.hold(da.where(rows.mask[:, None], np.nan, solved.by_label))
    signal, strategy, alpha, n_iter = repaired.chosen
    change = (rows.given - repaired.labels) * rows.weight[:, None]
    return {
        "estimator_": final.fit_targets(X, X.hold(fit_on), rows.classes),
        "base_estimator_": fitted,
        "classes_": rows.classes,
        "harmful_mask_": rows.blocks.hold(repaired.harmful),
        "relabeled_y_": relabeled,
        "targets_": targets if clf.refit_on == "train" or rows.are_outside else X.hold(fit_on),
        "label_influences_": by_label,
        "influences_": rows.blocks.hold((rows.given * by_label).sum(axis=1)),
        "scores_": rows.blocks.hold(da.where(rows.mask, np.nan, repaired.scores)),
        "validation_mask_": rows.mask,
        "signal_": signal,
        "strategy_": strategy,
        "alpha_": alpha,
        "n_iter_": n_iter,
        "predicted_gain_": float((solved.loss_gradient * change).sum()),
        "history_": repaired.history,
        "termination_condition_": repaired.condition,
        "diagnostics_": solved.diagnostics,
    }


def _first_posterior(X: Any, proba: Array, given: Array) -> Array:
    n_classes = given.shape[1]
    return apply_channel(proba, given, np.full((n_classes, n_classes), 0.5 / n_classes) + 0.5 * np.eye(n_classes))


def _counts(X: Any, posterior: Array, given: Array, weight: Array) -> Array:
    return (posterior * weight[:, None]).T @ given


def _applied(X: Any, proba: Array, given: Array, channel: Array) -> Array:
    return apply_channel(proba, given, channel)


def _proposed(
    X: Any, labels: Array, by_label: Array, log_proba: Array, mask: NDArray[np.bool_], strategy: Any, alpha: float
) -> Array:
    """Whether each row is harmful, and its targets, (B, 1 + K); validation rows stay as they are."""
    found, rng = np.hstack([np.zeros((len(labels), 1)), labels]), np.random.RandomState(0)
    at = ~mask
    if at.any():
        harmful, targets = propose(labels[at], by_label[at], log_proba[at], strategy, alpha, rng)
        found[at] = np.hstack([harmful[:, None], targets])
    return found


def _relabeled(X: Any, y: NDArray[Any], given: Array, likeliest: Array, classes: NDArray[Any]) -> NDArray[Any]:
    relabeled = y.copy()
    changed = (likeliest != given).any(axis=1) & likeliest.any(axis=1)
    relabeled[changed] = classes[likeliest[changed].argmax(axis=1)]
    return relabeled
