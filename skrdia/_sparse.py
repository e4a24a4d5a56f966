"""Sparse rows without copies."""

from __future__ import annotations

from typing import Any

from scipy import sparse

__all__ = ["csr_of"]


def csr_of(data: Any, indices: Any, indptr: Any, n_columns: int) -> Any:
    """A CSR matrix of these very arrays; scipy's constructor copies arrays that are a small part of larger ones."""
    X = sparse.csr_array((len(indptr) - 1, n_columns), dtype=data.dtype)
    X.data, X.indices, X.indptr = data, indices, indptr
    return X
