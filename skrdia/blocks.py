"""Rows that are read block by block, again in every pass: tables larger than memory.

A fit makes some dozen passes over its rows and keeps a few numbers of each row, so only the numbers of columns have to
stay on disk. `RowBlocks` are rows for `skrdia.linear_model.LogisticRegression`, and for `RDIAClassifier` and
`influence` around it; while some blocks are computed with, one in each thread, the next one is read.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from skrdia._block_sources import ArraySource, FunctionSource, MappedSource, ParquetSource, SequenceSource
from skrdia._sklearn import _get_threadpool_controller, _openmp_effective_n_threads
from skrdia._sparse import nbytes_of
from skrdia._validation import is_sparse

__all__ = ["FAN_IN", "Blocks", "RowBlocks"]

_BLOCK_BYTES = 2**26
"""Of a block cut from an array: large enough for a disk, small enough for several in memory."""

FAN_IN = 8
"""Arrays that are added up at once."""

_SMALL_BYTES = 2**28
"""Selections up to this size are read at once and kept."""


@dataclass(frozen=True)
class _Part:
    """A block of a source, and which of its rows; None for all."""

    source: Any
    number: int
    rows: NDArray[np.intp] | None
    n_rows: int


class Blocks:
    """Rows in blocks, wherever they are: `each`, `total` and `share` apply functions to the blocks."""


class RowBlocks(Blocks):
    """Rows in blocks, which are read again in every pass.

    Parameters
    ----------
    blocks : sequence of {array, sparse matrix}, or callable
        The blocks, each of shape (n_rows, n_features), or a function without arguments that returns a new iterator over
        them. It is called once for every pass, and must yield the same rows each time.

    Attributes
    ----------
    shape : tuple of int
        Numbers of rows and of columns.
    n_blocks : int
        Number of blocks.
    nbytes : int
        Size of all rows in memory, estimated from the first block.

    Raises
    ------
    TypeError
        If `blocks` is an iterator, which cannot be read twice.
    ValueError
        If there is no row, or the blocks differ in their number of columns.

    See Also
    --------
    skrdia.linear_model.LogisticRegression : Is fitted on such rows.

    Examples
    --------
    >>> import numpy as np
    >>> from scipy.sparse import random_array
    >>> from skrdia.blocks import RowBlocks
    >>> def blocks():
    ...     rng = np.random.default_rng(0)
    ...     for _ in range(3):
    ...         yield random_array((1000, 500), density=0.01, format="csr", rng=rng)
    >>> RowBlocks(blocks)
    <RowBlocks of 3000 x 500 in 3 blocks>
    """

    def __init__(self, blocks: Sequence[Any] | Callable[[], Iterable[Any]]) -> None:
        if hasattr(blocks, "__next__"):
            raise TypeError(
                "blocks is an iterator, which can be read only once, and a fit makes many passes. Pass a list of "
                "blocks, or the function that returns the iterator."
            )
        source = FunctionSource(blocks) if callable(blocks) else SequenceSource(list(blocks))
        self._set(_all_of(source))

    @classmethod
    def from_array(cls, X: Any, *, block_rows: int | None = None) -> RowBlocks:
        """Cut an array or CSR matrix into blocks.

        Parameters
        ----------
        X : {array, CSR matrix} of shape (n_samples, n_features)
            In memory or memory-mapped (``np.load(path, mmap_mode="r")``; a CSR matrix may consist of memory-mapped
            arrays). The blocks of a map are read from its file, so that the map itself takes no memory.
        block_rows : int, default=None
            Rows in a block; about 64 MB when None.

        Returns
        -------
        RowBlocks
        """
        if getattr(X, "ndim", 0) != 2:
            raise ValueError(f"X has {getattr(X, 'ndim', 0)} dimensions, expected 2: rows and columns.")
        if is_sparse(X) and X.format != "csr":
            raise TypeError(f"X is a sparse matrix in {X.format} format, whose rows cannot be cut; pass X.tocsr().")
        numbers = X.nnz + X.shape[0] if is_sparse(X) else X.size
        size = block_rows or max(1, int(_BLOCK_BYTES / 8 * X.shape[0] / max(1, numbers)))
        return cls._made(_all_of(ArraySource(X, size)))

    @classmethod
    def from_parquet(cls, paths: Any, *, columns: Sequence[str] | None = None) -> RowBlocks:
        """Read the row groups of Parquet files, one after the other.

        Parameters
        ----------
        paths : path or sequence of paths
            The files, in the order of their rows.
        columns : sequence of str, default=None
            Numeric columns, in this order; all when None. Name them where the files hold the labels too.

        Returns
        -------
        RowBlocks
            With float32 rows if every column is float32, else float64 ones.
        """
        files = [paths] if isinstance(paths, str | Path) else list(paths)
        source = ParquetSource([str(path) for path in files], None if columns is None else list(columns))
        return cls._made(_all_of(source))

    @classmethod
    def _made(cls, parts: list[_Part]) -> RowBlocks:
        rows = cls.__new__(cls)
        rows._set(parts)
        return rows

    def _set(self, parts: list[_Part]) -> None:
        self._parts = [part for part in parts if part.n_rows > 0]
        if not self._parts:
            raise ValueError("blocks: there is no row. Pass at least one block with rows.")
        first = next(iter(self))
        self.shape = (sum(part.n_rows for part in self._parts), int(first.shape[1]))
        self.dtype = first.dtype
        self.n_blocks = len(self._parts)
        self.nbytes = int(nbytes_of(first) / first.shape[0] * self.shape[0])

    def __len__(self) -> int:
        return self.shape[0]

    def __repr__(self) -> str:
        return f"<RowBlocks of {self.shape[0]} x {self.shape[1]} in {self.n_blocks} blocks>"

    def __iter__(self) -> Iterator[Any]:
        for _, run in groupby(self._parts, key=lambda part: id(part.source)):
            parts = list(run)
            for part, block in zip(parts, parts[0].source.read([part.number for part in parts]), strict=True):
                self._check(block)
                yield block if part.rows is None else block[part.rows]

    def _check(self, block: Any) -> None:
        if hasattr(self, "shape") and block.shape[1] != self.shape[1]:
            raise ValueError(
                f"blocks: one block has {block.shape[1]} columns, the first one {self.shape[1]}. All blocks need the "
                "same columns."
            )

    def map(self, function: Callable[[Any], Any]) -> RowBlocks:
        """The same rows with a function applied to every block when it is read.

        Parameters
        ----------
        function : callable
            Takes a block and returns one with as many rows, such as the `transform` of a fitted scaler.

        Returns
        -------
        RowBlocks
        """
        wrapped = {id(part.source): MappedSource(part.source, function) for part in self._parts}
        return self._made([replace(part, source=wrapped[id(part.source)]) for part in self._parts])

    def take(self, positions: NDArray[np.intp]) -> Any:
        """Some of the rows, at increasing positions, of which some may repeat.

        Parameters
        ----------
        positions : array of int
            Positions of the rows, in increasing order.

        Returns
        -------
        {array, CSR matrix} or RowBlocks
            The rows themselves where they take at most 256 MB, else blocks that select them when read.
        """
        positions = np.asarray(positions)
        if len(positions) and (np.diff(positions) < 0).any():
            raise ValueError("positions must increase: rows are read in their order.")
        ends = np.cumsum([part.n_rows for part in self._parts])
        cuts = np.searchsorted(positions, np.append(0, ends))
        parts = []
        for part, start, a, b in zip(self._parts, np.append(0, ends[:-1]), cuts[:-1], cuts[1:], strict=True):
            local = positions[a:b] - start
            if part.rows is not None:
                local = part.rows[local]
            parts.append(replace(part, rows=local, n_rows=len(local)))
        if len(positions) == 0:
            return next(iter(self))[:0]
        chosen = self._made(parts)
        return chosen.toarray() if chosen.nbytes <= _SMALL_BYTES else chosen

    def above(self, other: Any) -> RowBlocks:
        """These rows, and below them those of `other`.

        Parameters
        ----------
        other : RowBlocks, array or CSR matrix
            With the same columns.

        Returns
        -------
        RowBlocks
        """
        below = other if isinstance(other, RowBlocks) else RowBlocks([other])
        if below.shape[1] != self.shape[1]:
            raise ValueError(f"other has {below.shape[1]} columns, expected {self.shape[1]}, as these rows have.")
        return self._made([*self._parts, *below._parts])

    def toarray(self) -> Any:
        """All rows in memory.

        Returns
        -------
        {array, CSR matrix} of shape (n_samples, n_features)
        """
        blocks = list(self)
        return sparse.vstack(blocks, format="csr") if is_sparse(blocks[0]) else np.vstack(blocks)

    def each(
        self, function: Callable[..., NDArray[Any]], n_columns: int | None, *rowwise: Any, shared: Any = ()
    ) -> Any:
        """What a function makes of each block, one below the other.

        Parameters
        ----------
        function : callable
            ``function(X, *rowwise, *shared) -> array``, of shape (rows of X, n_columns).
        n_columns : int or None
            Number of columns of the result; None for a vector.
        *rowwise : array of shape (n_samples, ...)
            Of which the function gets the rows that belong to the block.
        shared : sequence
            What it gets as it is.

        Returns
        -------
        array of shape (n_samples, n_columns)
        """
        out = np.empty(self.shape[0] if n_columns is None else (self.shape[0], n_columns))
        for rows, values in self._applied(function, rowwise, shared):
            out[rows] = values
        return out

    def total(self, function: Callable[..., NDArray[Any]], *rowwise: Any, shared: Any = ()) -> NDArray[Any]:
        """The sum of what a function makes of each block, an array of any shape; arguments as for `each`."""
        sums = _TreeSum()
        for _, values in self._applied(function, rowwise, shared):
            sums.add(values)
        return sums.total()

    def share(self, value: Any) -> Any:
        """What functions of `each` and `total` are given for this value: itself."""
        return value

    @property
    def n_threads(self) -> int:
        """Number of blocks that are computed with at once."""
        return min(_openmp_effective_n_threads(), self.n_blocks)

    def _applied(self, function: Callable[..., Any], rowwise: Any, shared: Any) -> Iterator[tuple[slice, Any]]:
        """Positions of the rows of each block and what the function makes of it, in their order.

        Every thread computes with a block of its own, in which products have no more threads: all are busy however
        small the blocks are.
        """

        def apply(rows: slice, block: Any) -> Any:
            return function(block, *(array[rows] for array in rowwise), *shared)

        if self.n_blocks == 1:
            everything = slice(0, self.shape[0])
            yield everything, apply(everything, next(iter(self)))
            return
        n_threads = self.n_threads
        threads = _get_threadpool_controller()
        waiting, start = deque[tuple[slice, Future[Any]]](), 0
        with (
            threads.limit(limits=1, user_api="blas"),
            ThreadPoolExecutor(n_threads, initializer=partial(threads.limit, limits=1, user_api="openmp")) as pool,
        ):
            for block in _ahead(iter(self)):
                rows = slice(start, start := start + block.shape[0])
                waiting.append((rows, pool.submit(apply, rows, block)))
                if len(waiting) > n_threads:
                    yield _done(waiting)
            while waiting:
                yield _done(waiting)


def _all_of(source: Any) -> list[_Part]:
    return [_Part(source, i, None, n) for i, n in enumerate(source.lengths)]


class _TreeSum:
    """Adds up eight arrays, then eight such sums, and so on: the order in which a cluster adds them up too."""

    def __init__(self) -> None:
        self._levels: list[tuple[int, NDArray[Any]]] = []  # how many, and their sum

    def add(self, array: NDArray[Any], level: int = 0) -> None:
        if level == len(self._levels):
            self._levels.append((0, array))
        count, total = self._levels[level]
        if count == 0:
            total = array
        elif count == 1:
            total = total + array  # the first one may be rows of the table
        else:
            total += array
        if count + 1 < FAN_IN:
            self._levels[level] = count + 1, total
        else:
            self._levels[level] = 0, total
            self.add(total, level + 1)

    def total(self) -> NDArray[Any]:
        rest: NDArray[Any] | None = None
        for count, total in self._levels:
            if count == 0:
                continue
            rest = total if rest is None else total + rest
        assert rest is not None
        return rest


def _done(waiting: deque[tuple[slice, Future[Any]]]) -> tuple[slice, Any]:
    rows, future = waiting.popleft()
    return rows, future.result()


def _ahead(blocks: Iterator[Any]) -> Iterator[Any]:
    """The same, with the next one read while the last one is used."""
    with ThreadPoolExecutor(1) as reader:
        waiting = reader.submit(next, blocks, None)
        while (block := waiting.result()) is not None:
            waiting = reader.submit(next, blocks, None)
            yield block
