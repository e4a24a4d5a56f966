"""Is what is delivered as good as what was judged?

A repair is judged by the models of folds, each on the validation rows that it has not seen. What is delivered is
another model, trained on all of them, and its training may go another way: end after a few epochs, say. No row is left
that it has not seen, so that its loss cannot be compared with the one promised. But models can be compared on rows that
all of them were trained on. With d_j the loss of validation row j by what is to be delivered, l_ij its loss by the
model of fold i, and F_j the folds that trained on it, in nats, over the n rows of weight w_j > 0,

    r_j    = mean of l_ij over i in F_j                          what was judged, of a row it was trained on    (n,)
    e      = sum_j w_j (d_j - r_j) / sum_j w_j                   the excess, positive where what is delivered is worse
    s      = standard error of e by Cochran's formula, the pairs d_j - r_j as independent

The promise p, the held-out loss of the judged models, is broken where

    e > 2 s,    n e > 3 nats,    e > p / 5

of which the last leaves room for a model that has more rows to remember than those of the folds. Then p + e is the loss
to expect, and the recipe with the next lowest promise is trained instead, until none promises less than what is to be
expected of those that were.

Where the folds trained on few of the rows, so that their models know these too well, r_j is the held-out loss of row j
instead. What is delivered has seen the row, so that e is then too small, and a promise that looks broken is.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any, TypeVar

import numpy as np

from skrdia.views._base import Array

__all__ = ["excess_loss", "keep_promise"]

_MIN_STANDARD_ERRORS, _MIN_NATS, _MIN_SHARE = 2.0, 3.0, 0.2

Recipe = TypeVar("Recipe", bound=Hashable)


def excess_loss(delivered: Array, reference: Array, weight: Array, promised: float) -> float:
    """The excess e in nats per row where the promise is broken, else 0.

    Parameters
    ----------
    delivered : array of shape (n_val,)
        Losses d of the validation rows by what is to be delivered, which was trained on them.
    reference : array of shape (n_val,)
        Losses r of the same rows by the models of the folds that were trained on them; or that were not.
    weight : array of shape (n_val,)
        Weights of the rows; those of zero weight do not count.
    promised : float
        The mean held-out loss p.

    Returns
    -------
    float
    """
    share, n = weight / weight.sum(), int(np.count_nonzero(weight))
    pairs = np.where(weight > 0.0, delivered - reference, 0.0)
    excess = float(share @ pairs)
    error = float(np.sqrt(n / max(1, n - 1) * (share**2 @ (pairs - excess) ** 2)))
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
