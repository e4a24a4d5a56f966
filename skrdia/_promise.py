"""Is what is delivered as good as what was judged?

A repair is judged by the models of folds, each on the validation rows that it has not seen. What is delivered is
another model, trained on all of them, and its training may go another way: end after a few epochs, say. No row is left
that it has not seen, so that its loss d_j of validation row j cannot be compared with the h_j that was promised. Nor
with s_j, the mean loss by those models that were trained on the row: a model that has learned the row less by heart may
well be the better one. Between the two lies what a model that is as good, but remembers half as much, would say. In
nats, over the n rows of weight w_j > 0,

    r_j    = (h_j + s_j) / 2                                                                                       (n,)
    e      = sum_j w_j (d_j - r_j) / sum_j w_j            the excess, positive where what is delivered is worse
    v      = standard error of e by Cochran's formula, the pairs d_j - r_j as independent
    p      = sum_j w_j h_j / sum_j w_j                    the promise

The promise is broken where

    e > 2 v,    n e > 3 nats,    e > p / 5

Then p + e is the loss to expect, and the recipe with the next lowest promise is trained instead, until none promises
less than what is to be expected of those that were. (`tests/benchmarks/nets_tables.py --epochs` has p + e beside the
loss on other rows, for nets that stopped early.)

Where s_j is not known, or of models that were trained on few of the rows and so know these too well, r_j = h_j. What is
delivered has seen the row, so that e is then too small: what looks broken is.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any, TypeVar

import numpy as np

from skrdia._means import mean_and_error
from skrdia.views._base import Array

__all__ = ["excess_loss", "keep_promise"]

_MIN_STANDARD_ERRORS, _MIN_NATS, _MIN_SHARE = 2.0, 3.0, 0.2

Recipe = TypeVar("Recipe", bound=Hashable)


def excess_loss(delivered: Array, held_out: Array, weight: Array, seen: Array | None = None) -> float:
    """The excess e in nats per row where the promise is broken, else 0.

    Parameters
    ----------
    delivered : array of shape (n_val,)
        Losses d of the validation rows by what is to be delivered, which was trained on them.
    held_out : array of shape (n_val,)
        Losses h of the same rows by the judged models that were not trained on them.
    weight : array of shape (n_val,)
        Weights of the rows; those of zero weight do not count.
    seen : array of shape (n_val,) or None
        Losses s of the same rows by the judged models that were trained on them.

    Returns
    -------
    float
    """
    n = int(np.count_nonzero(weight))
    reference = held_out if seen is None else (held_out + seen) / 2.0
    pairs = np.where(weight > 0.0, delivered - reference, 0.0)
    (excess, error), promised = mean_and_error(pairs, weight), float(weight @ held_out / weight.sum())
    is_broken = excess > max(_MIN_STANDARD_ERRORS * error, _MIN_NATS / n, _MIN_SHARE * promised)
    return excess if is_broken else 0.0


def keep_promise(
    recipes: Sequence[Recipe], promised: Mapping[Recipe, float], train: Callable[[Recipe], tuple[Any, float]]
) -> tuple[Recipe, Any, dict[Recipe, float]]:
    """The first of the recipes that keeps its promise, or else the one to expect the lowest loss of.

    Parameters
    ----------
    recipes : sequence
        The one that was chosen, then the others by what they promise.
    promised : mapping of recipe to float
        Their mean held-out losses.
    train : callable
        ``train(recipe)`` returns what would be delivered, and `excess_loss` of it.

    Returns
    -------
    recipe
    model
        What ``train`` returned for it.
    broken : dict of recipe to float
        The recipes whose promise was broken, with the excess of each; empty where the first kept its own.
    """
    models: dict[Recipe, Any] = {}
    broken: dict[Recipe, float] = {}
    for recipe in recipes:
        if any(promised[earlier] + excess <= promised[recipe] for earlier, excess in broken.items()):
            break
        models[recipe], excess = train(recipe)
        if excess == 0.0:
            return recipe, models[recipe], broken
        broken[recipe] = excess
    best = min(broken, key=lambda recipe: float(promised[recipe] + broken[recipe]))
    return best, models[best], broken
