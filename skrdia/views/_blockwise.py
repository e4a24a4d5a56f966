"""Logistic models linearised on rows in blocks, which are on disk or on the workers of a cluster.

What is per row is put together, what is per parameter is added up:

    jvp(X, v) = [jvp(X_1, v); jvp(X_2, v); ...],          vjp(X, R) = vjp(X_1, R_1) + vjp(X_2, R_2) + ...

and so with all other products. Only the logits' n K' probabilities stay in memory; X is read again for each product.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.utils import assert_all_finite

from skrdia._validation import is_sparse
from skrdia.views._base import Array, Linearization, Softened
from skrdia.views._logistic_rows import LogisticLinearization, LogisticModel

__all__ = ["Blockwise", "check_finite"]


class Blockwise:
    """A logistic model linearised on rows in blocks: what is per row is put together, what is per parameter added up.

    The blocks say where the rows are, and where they are computed with: read from disk one after the other
    (`RowBlocks`), or held by the workers of a cluster, in which case arrays of n rows are Dask arrays.
    """

    def __init__(self, model: LogisticModel, blocks: Any, n_classes: int, factor: float = 1.0) -> None:
        self._blocks, self._shared, self._factor = blocks, (blocks.share(model), factor), factor
        self._model, self._width, self.shape = model, n_classes, blocks.shape
        self._known = blocks.each(_known, n_classes + model.full_theta.shape[1], shared=self._shared)
        self.log_proba = self._known[:, :n_classes]

    def jvp(self, v: Array) -> Any:
        return self._blocks.each(_jvp, self._width, self._known, shared=(*self._shared, v))

    def vjp(self, R: Any) -> Array:
        return self._blocks.total(_vjp, self._known, R, shared=self._shared)

    def hvp(self, w: Any, v: Array) -> Array:
        return self._blocks.total(_hvp, self._known, w, shared=(*self._shared, v))

    def hessian_diagonal(self, w: Any) -> Array:
        return self._blocks.total(_hessian_diagonal, self._known, w, shared=self._shared)

    def hessian(self, w: Any) -> Array:
        return self._blocks.total(_hessian, self._known, w, shared=self._shared)

    def softened(self, factor: float) -> Linearization:
        if not self._model.link.is_normalised:
            return Softened(self, factor)
        return Blockwise(self._model, self._blocks, self._width, factor * self._factor)


def check_finite(X: Any) -> None:
    """Raise ValueError where a block has a missing or infinite number."""
    assert_all_finite(X.data if is_sparse(X) else X, input_name="X")


def _known(X: Any, model: LogisticModel, factor: float) -> Array:
    """Of each row its log-probabilities and mu, which the other functions are given again."""
    check_finite(X)
    at = LogisticLinearization(model, X, factor=factor)
    return np.hstack([at.log_proba, at._mu])


def _resumed(X: Any, known: Array, model: LogisticModel, factor: float) -> LogisticLinearization:
    width = model.full_theta.shape[1]
    return LogisticLinearization(model, X, (known[:, :-width], known[:, -width:]), factor)


def _jvp(X: Any, known: Array, model: LogisticModel, factor: float, v: Array) -> Array:
    return _resumed(X, known, model, factor).jvp(v)


def _vjp(X: Any, known: Array, R: Array, model: LogisticModel, factor: float) -> Array:
    return _resumed(X, known, model, factor).vjp(R)


def _hvp(X: Any, known: Array, w: Array, model: LogisticModel, factor: float, v: Array) -> Array:
    return _resumed(X, known, model, factor).hvp(w, v)


def _hessian_diagonal(X: Any, known: Array, w: Array, model: LogisticModel, factor: float) -> Array:
    return _resumed(X, known, model, factor).hessian_diagonal(w)


def _hessian(X: Any, known: Array, w: Array, model: LogisticModel, factor: float) -> Array:
    return _resumed(X, known, model, factor).hessian(w)
