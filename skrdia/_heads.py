"""The rows of a fit, put once through the heads of the estimators, see `skrdia.views._heads`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.pipeline import Pipeline

from skrdia._blocks import as_blocks
from skrdia._rows import Rows, stack, take
from skrdia.views._heads import Head, Part, Renditions, fit_head, same, tail_with

__all__ = ["Heads", "fit_heads"]


@dataclass(frozen=True)
class Heads:
    """What is trained, on which rows, and how it becomes a classifier for the caller's rows.

    Parameters
    ----------
    base, finder : classifier
        The base estimator and the model that finds the rows, without what does not learn from labels.
    rows : Rows
        The rows as these see them.
    join : callable
        From a fit of `base` to a classifier for the caller's rows.
    whole : classifier
        The base estimator as the caller gave it.
    """

    base: Any
    finder: Any
    rows: Rows
    join: Callable[[Any], Any]
    whole: Any

    def with_params(self, params: dict[str, Any]) -> Any:
        """`base` with other parameters, by their names in the base estimator as the caller gave it."""
        if not params:
            return self.base
        tail = tail_with(self.whole, params)
        if not isinstance(self.rows.X, Renditions):
            return tail
        return Pipeline([*self.base.steps[:-1], ("model", tail)])


def fit_heads(base: Any, finder: Any, rows: Rows) -> Heads:
    """Fit the heads on all rows that train or judge; the finder may be the base estimator."""
    if as_blocks(rows.X) is not None:
        return Heads(base, finder, rows, same, base)
    everything = rows.X if rows.outside is None else stack(rows.X, rows.outside[0])
    given = rows.given if rows.outside is None else np.vstack([rows.given, rows.outside[1]])
    weight = rows.weight if rows.outside is None else np.append(rows.weight, rows.outside[1].sum(axis=1))
    arguments = everything, rows.classes[given.argmax(axis=1)], weight
    head = fit_head(base, *arguments)
    if finder is base:
        return Heads(head.tail, head.tail, _seen_as(rows, head.X, everything), head.join, base)
    other = fit_head(finder, *arguments)
    if head.X is everything and other.X is everything:
        return Heads(head.tail, other.tail, rows, head.join, base)
    both = _seen_as(rows, Renditions([head.X, other.X]), everything)
    return Heads(_of_part(0, head), _of_part(1, other), both, _Joined(head.join), base)


def _of_part(number: int, head: Head) -> Any:
    return Pipeline([("rows", Part(number)), ("model", head.tail)])


@dataclass(frozen=True)
class _Joined:
    """From a pipeline that chooses its rendition of the rows."""

    join: Callable[[Any], Any]

    def __call__(self, fitted: Any) -> Any:
        return self.join(fitted.steps[-1][1] if hasattr(fitted, "steps") else fitted)


def _seen_as(rows: Rows, X: Any, everything: Any) -> Rows:
    """The rows with what a head made of all of them."""
    if X is everything:
        return rows
    n = len(rows.y)
    if rows.outside is None:
        return rows.seen_as(X, None)
    at = np.arange(n + len(rows.outside[1]))
    return rows.seen_as(take(X, at[:n]), take(X, at[n:]))
