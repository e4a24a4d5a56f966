"""Rows on the workers of a Dask cluster, as blocks: their products are computed where they are.

Each chunk of rows is one block, held by its worker. A function of the blocks becomes a task for each of them. What is
shared, such as the vector of a product, is fetched by each worker once; what is summed is added up in a tree over the
cluster, always in the order of the blocks, so that the numbers do not depend on where a block is. A task whose worker
is lost runs again elsewhere, as do those that made its block.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import uuid4

import dask
import dask.array as da
import numpy as np
from dask.delayed import delayed
from dask.distributed import Client, Future, get_client
from dask.sizeof import sizeof
from numpy.typing import NDArray
from scipy import sparse

from skrdia._block_sources import as_block
from skrdia._sparse import nbytes_of
from skrdia._validation import check_labels, encode, is_sparse, one_hot
from skrdia.blocks import FAN_IN, Blocks

__all__ = ["DaskBlocks", "check_targets", "checked_weight", "encoded", "labels_of"]

_SMALL_BYTES = 2**16
"""Of an array that goes with every task, instead of ahead of them."""

_REMEMBERED = 8
"""Arrays whose chunks are held for the next product."""


class DaskBlocks(Blocks):
    """The rows of a Dask array, persisted on the workers.

    Attributes
    ----------
    shape : tuple of int
        Numbers of rows and of columns.
    chunks : tuple of int
        Rows in each block.
    """

    def __init__(self, chunks: tuple[int, ...], n_columns: int, futures: list[Future], client: Client) -> None:
        self.chunks = chunks
        self.shape = (sum(chunks), n_columns)
        self.n_blocks = len(chunks)
        self._futures = futures
        self._client = client
        self._held: dict[str, list[Future]] = {}

    @classmethod
    def of(cls, X: Any) -> DaskBlocks:
        """The blocks of a Dask array or data frame."""
        client = _client()
        if X.ndim != 2:
            raise ValueError(f"X has {X.ndim} dimensions, expected 2: rows and columns.")
        X = X.rechunk({1: -1}) if getattr(X, "numblocks", (1, 1))[1] != 1 else X
        futures = client.map(_block, _parts(client, X), pure=False)
        shapes = client.gather(client.map(_shape, futures, pure=False))
        kept = [(future, n) for future, (n, _) in zip(futures, shapes, strict=True) if n > 0]
        if not kept:
            raise ValueError("X: there is no row. Pass at least one block with rows.")
        widths = {width for n, width in shapes if n > 0}
        if len(widths) > 1:
            raise ValueError(f"X: the blocks have {sorted(widths)} columns; all need the same ones.")
        return cls(tuple(n for _, n in kept), widths.pop(), [future for future, _ in kept], client)

    def each(
        self,
        function: Callable[..., NDArray[Any]],
        n_columns: int | None,
        *rowwise: Any,
        shared: Any = (),
        dtype: Any = float,
    ) -> Any:
        """What a function makes of each block, a Dask array with a chunk for each; see `RowBlocks`."""
        futures = self._compute(self._tasks(function, rowwise, shared))
        return self._array_of(futures, () if n_columns is None else (n_columns,), dtype)

    def total(self, function: Callable[..., NDArray[Any]], *rowwise: Any, shared: Any = ()) -> NDArray[Any]:
        """The sum of what a function makes of each block, added up on the cluster; see `RowBlocks`."""
        parts, add = self._tasks(function, rowwise, shared), delayed(_sum, pure=False)
        while len(parts) > 1:
            parts = [add(parts[i : i + FAN_IN]) for i in range(0, len(parts), FAN_IN)]
        return np.array(self._compute(parts[0]).result())

    def share(self, value: Any) -> Any:
        """The value on the cluster, from where every worker fetches it once."""
        return self._compute(_shared(value))

    def above(self, X: Any) -> DaskBlocks:
        """These rows, and below them other blocks, or rows in memory, which become one block."""
        if isinstance(X, DaskBlocks):
            chunks, futures = X.chunks, X._futures
        else:
            chunks, futures = (X.shape[0],), [self._compute(delayed(_block, pure=False)(X))]
        if X.shape[1] != self.shape[1]:
            raise ValueError(f"X_val has {X.shape[1]} columns, expected {self.shape[1]}, as X has.")
        return DaskBlocks(self.chunks + chunks, self.shape[1], self._futures + futures, self._client)

    def hold(self, array: Any) -> Any:
        """An array of one row or number for each row, computed and kept by the workers, in chunks as of X."""
        return self._array_of(self._chunks_of(array), array.shape[1:], array.dtype)

    def list_of(self, function: Callable[..., Any], *rowwise: Any, shared: Any = ()) -> list[Any]:
        """What a function makes of each block, in the memory of the caller."""
        return self._client.gather(self._compute(self._tasks(function, rowwise, shared)))

    def gather(self, *arrays: Any, where: Any) -> tuple[Any, list[Any]]:
        """Rows of X, and of some arrays, where a Dask array (n,) is true, in the memory of the caller."""
        parts = self.list_of(_chosen, where, *arrays)
        X = [part[0] for part in parts]
        stacked = sparse.vstack(X, format="csr") if is_sparse(X[0]) else np.vstack(X)
        return stacked, [np.concatenate(column) for column in zip(*(part[1:] for part in parts), strict=True)]

    def aligned(self, array: Any, name: str) -> Any:
        """A Dask array or series, or an array in memory, with one entry for each row, in chunks as of X."""
        if not hasattr(array, "to_delayed"):
            array = da.from_array(np.asarray(array), chunks=-1)
        if not hasattr(array, "chunks") or any(np.isnan(size) for size in array.chunks[0]):
            futures = _parts(self._client, array)
            lengths, (dtype, *_) = zip(*self._client.gather(self._client.map(_kind, futures, pure=False)), strict=True)
            array = _concatenated(futures, lengths, (), dtype)
        if array.shape[0] != self.shape[0]:
            raise ValueError(
                f"Found input variables with inconsistent numbers of samples: X has {self.shape[0]}, {name} has "
                f"{array.shape[0]}."
            )
        return self.hold(array)

    def _array_of(self, futures: list[Future], shape: tuple[int, ...], dtype: Any) -> Any:
        array = _concatenated(futures, self.chunks, shape, dtype)
        self._remember(array.name, futures)
        return array

    def _remember(self, name: str, futures: list[Future]) -> None:
        while len(self._held) >= _REMEMBERED:
            del self._held[next(iter(self._held))]
        self._held[name] = futures

    def _tasks(self, function: Callable[..., Any], rowwise: Any, shared: Any) -> list[Any]:
        """A task for each block. Those of a pass are one graph, since each message to the scheduler takes its time."""
        columns, values = [self._chunks_of(array) for array in rowwise], [_shared(value) for value in shared]
        task = delayed(function, pure=False)
        return [task(*arguments, *values) for arguments in zip(self._futures, *columns, strict=True)]

    def _compute(self, tasks: Any) -> Any:
        """Start tasks whose values may be large."""
        with dask.config.set({"distributed.admin.large-graph-warning-threshold": "1TB"}):
            return self._client.compute(tasks)

    def _chunks_of(self, array: Any) -> list[Future]:
        """The chunks of an array that belong to the blocks."""
        if array.name not in self._held:
            chunks = array.rechunk((self.chunks, *array.shape[1:]))
            computed = self._client.compute(list(chunks.to_delayed().ravel()))
            self._remember(array.name, self._client.map(_beside, self._futures, computed, pure=False))
        return self._held[array.name]


def check_targets(blocks: DaskBlocks, y: Any, sample_weight: Any) -> tuple[NDArray[Any], Any]:
    """The classes (K,), and targets (n, K) as a Dask array."""
    classes, given = labels_of(blocks, blocks.aligned(y, "y"))
    if sample_weight is None:
        return classes, given
    weight = checked_weight(blocks, sample_weight)
    return classes, blocks.hold(given * weight[:, None])


def labels_of(blocks: DaskBlocks, y: Any, where: Any = None) -> tuple[NDArray[Any], Any]:
    """The labels that occur where a Dask array is true, and a one in the column of each row's label, (n, K)."""
    where = da.ones(blocks.shape[0], chunks=(blocks.chunks,), dtype=bool) if where is None else where
    parts = blocks.list_of(_labels, y, where)
    classes = np.unique(np.concatenate(parts))
    return classes, encoded(blocks, y, classes, "y")


def encoded(blocks: DaskBlocks, y: Any, classes: NDArray[Any], name: str) -> Any:
    """A one in the column of each row's label, (n, K), as a Dask array."""
    return blocks.each(_one_hot, len(classes), y, shared=(classes, name))


def checked_weight(blocks: DaskBlocks, sample_weight: Any) -> Any:
    """Sample weights, as a Dask array (n,)."""
    weight = blocks.aligned(sample_weight, "sample_weight").astype(np.float64)
    smallest, largest = float(weight.min()), float(weight.max())
    if not (smallest >= 0.0 and 0.0 < largest < np.inf):
        raise ValueError(
            f"sample_weight is between {smallest:g} and {largest:g}; weights must be finite, zero or positive, and "
            "not all zero."
        )
    return blocks.hold(weight)


def _client() -> Client:
    try:
        return get_client()
    except ValueError as error:
        raise ValueError(
            "X is of Dask, and its rows stay on the workers of a cluster, of which there is none. Start one before, on "
            "this machine with `from dask.distributed import Client; client = Client()`."
        ) from error


def _parts(client: Client, X: Any) -> list[Future]:
    """The chunks of a Dask array, or the partitions of a data frame or series as arrays."""
    futures = client.compute(list(np.ravel(X.to_delayed())))
    return futures if hasattr(X, "chunks") else client.map(np.asarray, futures, pure=False)


def _kind(array: Any) -> tuple[int, Any]:
    return len(array), array.dtype


def _concatenated(futures: list[Future], lengths: Any, shape: tuple[int, ...], dtype: Any) -> Any:
    """A Dask array of these chunks, those without rows left out."""
    name = f"rows-{uuid4().hex}"
    kept = [(future, n) for future, n in zip(futures, lengths, strict=True) if n > 0]
    graph = {(name, i, *(0 for _ in shape)): future for i, (future, _) in enumerate(kept)}
    chunks = (tuple(n for _, n in kept), *((size,) for size in shape))
    return da.Array(graph, name, chunks, meta=np.empty((0,) * (1 + len(shape)), dtype))


def _shared(value: Any) -> Any:
    """What the tasks of all blocks are given: small values themselves, large ones as the result of one more task.

    That task runs again where its result is lost; scattered data would be lost with its worker.
    """
    is_small = isinstance(value, Future) or np.isscalar(value) or getattr(value, "nbytes", np.inf) <= _SMALL_BYTES
    return value if is_small else delayed(_same, pure=False)(value)


def _same(value: Any) -> Any:
    return value


def _beside(X: Any, chunk: Any) -> Any:
    """The chunk, where the rows X are."""
    return chunk


# Dask counts the bytes of sparse matrices, not of sparse arrays, and would move these as if they were empty.
sizeof.register(sparse.csr_array, nbytes_of)


def _block(X: Any) -> Any:
    """The rows as a block; workers that import this function know its size."""
    return as_block(X)


def _shape(X: Any) -> tuple[int, int]:
    return X.shape


def _sum(vectors: list[NDArray[Any]]) -> NDArray[Any]:
    total = vectors[0].copy()
    for vector in vectors[1:]:
        total += vector
    return total


def _chosen(X: Any, where: NDArray[np.bool_], *arrays: Any) -> tuple[Any, ...]:
    return X[where], *(array[where] for array in arrays)


def _labels(X: Any, y: NDArray[Any], where: NDArray[np.bool_]) -> NDArray[Any]:
    return np.unique(check_labels(y[where])) if where.any() else y[:0]


def _one_hot(X: Any, y: NDArray[Any], classes: NDArray[Any], name: str) -> NDArray[np.float64]:
    return one_hot(encode(y, classes, name), len(classes))
