"""A plain search that "auto" is compared with: the average of the ten candidates with the smallest validation loss.

A candidate is a signal, a rule, the strength of the penalty of the model that finds the rows, a threshold and a number
of rounds; it maps given labels to targets (n, K), K classes. Every round judges the given labels anew, by a model
trained on the targets of the round before.

    influence    bad: phi_i > alpha                phi on the loss over the trusted rows, model on the training rows
                 phi per row: times n / (sum of the targets), so that dropping rows does not change the unit
    confidence   bad: p_i(given label) < threshold p out of fold, 5 folds, with the trusted rows in every fold;
                 the model of round 2 is trained on what dropping the rows with p < 0.2 leaves
    drop         y' = 0
    relabel      y' = the label of lowest influence, or of highest probability

Every candidate, doing nothing and using the trusted rows only are run with 4 of 5 folds of the trusted rows and scored
on the fifth. The result is the mean of the targets of the ten best, or the given labels where these are within one
standard error of the best.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import KFold, StratifiedKFold

from skrdia._influence import influence
from skrdia._train import fit_targets, predict_targets
from skrdia._validation import one_hot
from skrdia.reproduce._cells import Split
from skrdia.reproduce._losses import mean_and_error, row_losses
from skrdia.reproduce._tables import Codes
from skrdia.views._base import Array

__all__ = ["average_of_best", "candidates"]

STRENGTHS = (1.0, 0.1, 0.01)
ALPHAS = (0.0, 0.05, 0.2, 0.6)
THRESHOLDS = (0.03, 0.1, 0.2, 0.35, 0.5)
RULES = ("drop", "relabel")
ROUNDS = (1, 2)
CONFIDENT = 0.2
FOLDS = 5
BEST = 10

Key = tuple[Any, ...]
NOTHING: Key = ("do nothing",)
TRUSTED_ONLY: Key = ("trusted rows only",)


def average_of_best(base: Any, C: float, data: Split, seed: int) -> Array:
    """Return the targets that the search ends with.

    Parameters
    ----------
    base : classifier
        The model to train in the end, and to judge candidates by.
    C : float
        Inverse strength of its penalty; the models that find rows are logistic regressions with C, C / 10 and C / 100.
    data : Split
        Training rows with given labels, and trusted rows.
    seed : int
        For the folds.

    Returns
    -------
    targets : ndarray of shape (n_samples, n_classes)
        Training targets of the training rows.
    """
    everything = dict(candidates(data, C))
    losses: dict[Key, Array] = {}
    for train, test in _folds(data.y_val, seed):
        part = data._replace(X_val=data.X_val[train], y_val=data.y_val[train])
        for key, targets in candidates(part, C):
            loss = _loss_after(base, part, targets, data.X_val[test], data.y_val[test])
            losses.setdefault(key, np.full(len(data.y_val), np.nan))[test] = loss
    losses = {key: loss for key, loss in losses.items() if key in everything and not np.isnan(loss).any()}
    order = sorted(losses, key=lambda key: float(losses[key].mean()))
    gain, error = mean_and_error(losses[NOTHING] - losses[order[0]])
    if gain <= error:
        return everything[NOTHING]
    average: Array = np.mean([everything[key] for key in order[:BEST]], axis=0)
    return average


def candidates(data: Split, C: float) -> Iterator[tuple[Key, Array]]:
    """Yield the name and the targets of every candidate that leaves each class two rows.

    Parameters
    ----------
    data : Split
        Training rows with given labels, and trusted rows.
    C : float
        Inverse strength of the penalty.

    Yields
    ------
    candidate : tuple
        Its name and its targets (n_samples, n_classes).
    """
    given = one_hot(data.y, data.n_classes)
    yield NOTHING, given
    yield TRUSTED_ONLY, np.zeros_like(given)
    for strength in STRENGTHS:
        model = LogisticRegression(C=C * strength, tol=1e-5, max_iter=2000)
        yield from (((strength, *key), targets) for key, targets in _by_influence(model, data, given))
        yield from (((strength, *key), targets) for key, targets in _by_confidence(model, data, given))


def _by_influence(model: Any, data: Split, given: Array) -> Iterator[tuple[Key, Array]]:
    first = _influences(model, data, given)
    for rule in RULES:
        for alpha in ALPHAS:
            phi = first
            for number in ROUNDS:
                bad = (given * phi).sum(axis=1) > alpha
                targets = _repaired(given, bad, rule, phi.argmin(axis=1))
                if targets is None:
                    break
                yield ("influence", rule, alpha, number), targets
                if number != ROUNDS[-1]:
                    phi = _influences(model, data, targets)


def _by_confidence(model: Any, data: Split, given: Array) -> Iterator[tuple[Key, Array]]:
    targets: Array | None = given
    for number in ROUNDS:
        if targets is None:
            break
        proba = _out_of_fold(model, data, targets)
        of_given = (given * proba).sum(axis=1)
        for threshold in THRESHOLDS:
            for rule in RULES:
                repaired = _repaired(given, of_given < threshold, rule, proba.argmax(axis=1))
                if repaired is not None:
                    yield ("confidence", rule, threshold, number), repaired
        targets = _repaired(given, of_given < CONFIDENT, "drop", proba.argmax(axis=1))


def _repaired(given: Array, bad: np.ndarray, rule: str, best: Codes) -> Array | None:
    targets = given.copy()
    targets[bad] = 0.0 if rule == "drop" else one_hot(best[bad], given.shape[1])
    return targets if (targets.sum(axis=0) >= 2.0).all() else None


def _influences(model: Any, data: Split, targets: Array) -> Array:
    """phi (n, K) of the model trained on hard targets; a row of zeros has weight zero."""
    weight = targets.sum(axis=1)
    fitted = fit_targets(model, data.X, targets, np.arange(data.n_classes))
    labels = targets.argmax(axis=1)
    found = influence(fitted, data.X, labels, data.X_val, data.y_val, sample_weight=weight)
    return found.by_label * (len(weight) / weight.sum())


def _out_of_fold(model: Any, data: Split, targets: Array) -> Array:
    proba = np.zeros_like(targets)
    trusted = one_hot(data.y_val, data.n_classes)
    for train, test in StratifiedKFold(FOLDS, shuffle=True, random_state=0).split(data.X, data.y):
        rows, labels = np.vstack([data.X[train], data.X_val]), np.vstack([targets[train], trusted])
        fitted = fit_targets(model, rows, labels, np.arange(data.n_classes))
        proba[test] = predict_targets(fitted, data.X[test], np.arange(data.n_classes))
    return proba


def _loss_after(base: Any, data: Split, targets: Array, X: Array, y: Codes) -> Array:
    rows = np.vstack([data.X, data.X_val])
    labels = np.vstack([targets, one_hot(data.y_val, data.n_classes)])
    fitted = fit_targets(base, rows, labels, np.arange(data.n_classes))
    return row_losses(predict_targets(fitted, X, np.arange(data.n_classes)), y)


def _folds(y: Codes, seed: int) -> Iterator[tuple[Codes, Codes]]:
    """Folds of the trusted rows, stratified where every class has a row for each."""
    enough = np.bincount(y).min() >= FOLDS
    splitter = (StratifiedKFold if enough else KFold)(FOLDS, shuffle=True, random_state=seed)
    return iter(splitter.split(np.zeros(len(y)), y))
