"""Sparse rows without copies, and the bytes of rows of any kind."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from scipy import sparse

__all__ = ["csr_of", "cut", "nbytes_of"]


def csr_of(data: Any, indices: Any, indptr: Any, n_columns: int) -> Any:
    """A CSR matrix of these very arrays; scipy's constructor copies arrays that are a small part of larger ones."""
    X = sparse.csr_array((len(indptr) - 1, n_columns), dtype=data.dtype)
    X.data, X.indices, X.indptr = data, indices, indptr
    return X


def _part(array: Any, start: int, stop: int) -> Any:
    return array[start:stop]


def cut(X: Any, start: int, stop: int, part: Callable[[Any, int, int], Any] = _part) -> Any:
    """Rows of a CSR matrix, without a copy of its numbers; `part` takes what belongs to them out of its arrays."""
    a, b = int(X.indptr[start]), int(X.indptr[stop])
    return csr_of(part(X.data, a, b), part(X.indices, a, b), X.indptr[start : stop + 1] - a, X.shape[1])


def nbytes_of(X: Any) -> int:
    """Bytes of an array, or of the arrays of a sparse matrix."""
    if sparse.issparse(X):
        return int(sum(getattr(X, name).nbytes for name in ("data", "indices", "indptr") if hasattr(X, name)))
    return int(X.nbytes)
