"""Products of a table with vectors, in one pass over its rows where two products follow each other.

With X (n, d), W (d, q) and G (n, q), all sums in float64 whatever the type of X,

    forward(W)        X W                         (n, q)
    backward(G, k)    (X ** k)' G                 (d, q)
    both(W, f)        X' f(X W)  and  1' f(X W)   (d, q), (q,)     f acts on every row by itself

A product reads all of X and computes little, so that its price is the bytes it reads. `both` therefore goes through X
once: dense rows in blocks that stay in the cache between their two products, sparse ones, whose kernels read the rows
several times faster than the vectors they scatter to, in one block for each thread. float32 rows are read as they are,
and a block at a time is converted.

`tests/benchmarks/scale.py product` prints what `both` takes over scipy's two products. Dense products are left to BLAS,
which has threads of its own. The threads are plain ones: a call of joblib's takes 12 ms, which is many a product.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import numpy as np
from sklearn.utils import gen_batches, gen_even_slices

from skrdia._sklearn import _openmp_effective_n_threads
from skrdia._sparse import csr_of, cut
from skrdia._validation import is_sparse
from skrdia.views._base import Array

__all__ = ["Products"]

_CACHE_BYTES = 2**22
"""Of a block of dense rows, for all threads of BLAS together."""

_CACHE_ROWS = 2**12
"""For which f is computed at once, so that its temporary arrays stay in the cache, and in the process."""

_CONVERTED_NONZEROS = 2**22
"""Of the copy, converted or squared, of a block of sparse rows."""

_WORTH_A_THREAD = 2**21
"""Multiplications that take longer than to start a thread."""

Between = Callable[[slice, Array], Array]
"""What comes between two products: f(rows, Z) for a block of rows and their Z (B, q)."""

T = TypeVar("T")


class Products:
    """Products with the rows of X, a float array or CSR matrix (n, d)."""

    def __init__(self, X: Any) -> None:
        self._X = X
        self._is_sparse = is_sparse(X)
        self._parts: dict[int, list[tuple[slice, Any]]] = {}  # by the number of threads: rows, and X there

    def forward(self, W: Array) -> Array:
        """X W, (n, q)."""
        out = np.empty((self._X.shape[0], W.shape[1]))

        def fill(rows: slice, X: Any) -> None:
            for block, B in self._blocks(rows, X):
                out[block] = _times(B, W)

        self._each(fill, W.shape[1])
        return out

    def backward(self, G: Array, power: int = 1) -> Array:
        """(X ** power)' G, (d, q)."""

        def add(rows: slice, X: Any) -> Array:
            blocks = self._blocks(rows, X, is_copied=power != 1)
            return _total(_transposed_times(_powered(B, power), G[block]) for block, B in blocks)

        return _total(self._each(add, G.shape[1]))

    def both(self, W: Array, between: Between) -> tuple[Array, Array]:
        """X' f(X W), (d, q), and the sum of f(X W) over the rows, (q,)."""

        def add(rows: slice, X: Any) -> tuple[Array, Array]:
            sums = np.zeros(W.shape[1])

            def products() -> Iterator[Array]:
                for block, B in self._blocks(rows, X):
                    Z = _times(B, W)
                    for part in gen_batches(len(Z), _CACHE_ROWS):
                        Z[part] = between(slice(block.start + part.start, block.start + part.stop), Z[part])
                    sums[:] += Z.sum(axis=0)
                    yield _transposed_times(B, Z)

            return _total(products()), sums

        parts = self._each(add, W.shape[1])
        return _total(part for part, _ in parts), np.sum([sums for _, sums in parts], axis=0)

    def _each(self, job: Callable[[slice, Any], T], width: int) -> list[T]:
        """The job done for one part of the rows in each thread."""
        parts = self._parts_for(self._n_threads(width))
        if len(parts) == 1:
            return [job(*parts[0])]
        with ThreadPoolExecutor(len(parts)) as pool:
            return list(pool.map(job, *zip(*parts, strict=True)))

    def _n_threads(self, width: int) -> int:
        """Of which each has a result (d, q) of its own, so that they must have more to do than to add these."""
        if not self._is_sparse:
            return 1
        work = self._X.nnz * width
        worth = min(work // _WORTH_A_THREAD, work // (4 * self._X.shape[1] * width))
        return max(1, min(worth, _openmp_effective_n_threads()))

    def _parts_for(self, n_threads: int) -> list[tuple[slice, Any]]:
        if n_threads not in self._parts:
            slices = [slice(0, self._X.shape[0])] if n_threads == 1 else gen_even_slices(self._X.shape[0], n_threads)
            self._parts[n_threads] = [
                (rows, self._X if n_threads == 1 else cut(self._X, rows.start, rows.stop)) for rows in slices
            ]
        return self._parts[n_threads]

    def _blocks(self, rows: slice, X: Any, is_copied: bool = False) -> Iterator[tuple[slice, Any]]:
        """Positions among all rows, and the rows in float64; small ones where the rows are copied."""
        n_rows = X.shape[0]
        if not self._is_sparse:
            size = max(1, _CACHE_BYTES // (8 * max(1, X.shape[1])))
        elif is_copied or X.dtype != np.float64:
            size = max(1, int(_CONVERTED_NONZEROS / max(1.0, X.nnz / max(1, n_rows))))
        else:
            size = max(1, n_rows)
        for block in gen_batches(n_rows, size):
            B = X if size >= n_rows else cut(X, block.start, block.stop) if self._is_sparse else X[block]
            yield slice(rows.start + block.start, rows.start + block.stop), B.astype(np.float64, copy=False)


def _columns(A: Array) -> Array:
    """A (m, 1) array as a vector, for which BLAS and scipy.sparse have the faster routine."""
    return A[:, 0] if A.shape[1] == 1 else A


def _times(B: Any, W: Array) -> Array:
    product: Array = B @ _columns(W)
    return product.reshape(-1, W.shape[1])


def _transposed_times(B: Any, G: Array) -> Array:
    product: Array = B.T @ _columns(G)
    return product.reshape(-1, G.shape[1])


def _powered(B: Any, power: int) -> Any:
    if power == 1:
        return B
    if is_sparse(B):
        return csr_of(B.data**power, B.indices, B.indptr, B.shape[1])
    return B**power


def _total(arrays: Any) -> Array:
    """Their sum, added up in the first one; there is at least one."""
    arrays = iter(arrays)
    total: Array = next(arrays)
    for array in arrays:
        total += array
    return total
