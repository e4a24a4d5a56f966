"""Where the rows of `RowBlocks` come from.

A source has `lengths`, the rows of each of its blocks, and ``read(numbers)``, an iterator over some of them, in order.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from mmap import PAGESIZE, mmap
from pathlib import Path
from typing import Any

import numpy as np

from skrdia._sparse import cut
from skrdia._validation import is_sparse

__all__ = ["ArraySource", "FunctionSource", "MappedSource", "ParquetSource", "SequenceSource", "as_block"]


class SequenceSource:
    """A list of blocks."""

    def __init__(self, blocks: list[Any]) -> None:
        self._blocks = [as_block(block) for block in blocks]
        self.lengths = [block.shape[0] for block in self._blocks]

    def read(self, numbers: list[int]) -> Iterator[Any]:
        return (self._blocks[number] for number in numbers)


class FunctionSource:
    """A function that returns an iterator: a block can only be reached through those before it."""

    def __init__(self, function: Callable[[], Iterable[Any]]) -> None:
        self._function = function
        self.lengths = [as_block(block).shape[0] for block in function()]

    def read(self, numbers: list[int]) -> Iterator[Any]:
        wanted = iter(numbers)
        number = next(wanted, None)
        for i, block in enumerate(self._function()):
            if number is None:
                return
            if i == number:
                yield self._checked(i, as_block(block))
                number = next(wanted, None)
        if number is not None:
            raise ValueError(f"blocks: block {number} is missing, which was there in the pass before.")

    def _checked(self, number: int, block: Any) -> Any:
        if block.shape[0] != self.lengths[number]:
            raise ValueError(
                f"blocks: block {number} has {block.shape[0]} rows, and {self.lengths[number]} in the pass before. "
                "Every pass must yield the same rows."
            )
        return block


class ArraySource:
    """An array or CSR matrix, cut into blocks of `size` rows; those of a memory map are mapped one by one."""

    def __init__(self, X: Any, size: int) -> None:
        self._X, self._size = X, size
        n = X.shape[0]
        self.lengths = [min(size, n - start) for start in range(0, n, size)]

    def read(self, numbers: list[int]) -> Iterator[Any]:
        for number in numbers:
            start = number * self._size
            yield as_block(self._rows(start, start + self.lengths[number]))

    def _rows(self, start: int, stop: int) -> Any:
        return cut(self._X, start, stop, _piece) if is_sparse(self._X) else _piece(self._X, start, stop)


def _piece(X: Any, start: int, stop: int) -> Any:
    """Rows of an array; those of a memory map in a map of their own, so that they do not stay in memory."""
    whole = X
    while isinstance(whole, np.ndarray) and not isinstance(whole.base, mmap):
        whole = whole.base
    path: Any = getattr(whole, "filename", None)
    if path is None or not X.flags.c_contiguous or start == stop:
        return X[start:stop]
    offset = whole.offset + X[start:].ctypes.data - whole.ctypes.data
    rows = np.asarray(np.memmap(path, X.dtype, "r", offset, (stop - start, *X.shape[1:])))
    rows.reshape(-1).view(np.uint8)[::PAGESIZE].max()  # reads all of its pages from the disk
    return rows


class ParquetSource:
    """Row groups of Parquet files."""

    def __init__(self, paths: list[str], columns: list[str] | None) -> None:
        self._paths, self._columns = paths, columns
        self.groups, self.lengths = [], []
        self.changed = [Path(path).stat().st_mtime_ns for path in paths]  # so that a cache knows files that changed
        for path in paths:
            file = _parquet().ParquetFile(path)
            for group in range(file.num_row_groups):
                self.groups.append((path, group))
                self.lengths.append(file.metadata.row_group(group).num_rows)

    def read(self, numbers: list[int]) -> Iterator[Any]:
        for number in numbers:
            path, group = self.groups[number]
            table = _parquet().ParquetFile(path).read_row_group(group, columns=self._columns)
            names = table.column_names if self._columns is None else self._columns
            yield as_block(np.column_stack([self._column(path, name, table[name]) for name in names]))

    def _column(self, path: str, name: str, column: Any) -> Any:
        if column.null_count:
            raise ValueError(f"{path}: column {name!r} has {column.null_count} missing values; fill them first.")
        values = column.to_numpy()
        if values.dtype.kind not in "biuf":
            raise ValueError(
                f"{path}: column {name!r} has type {column.type}, expected numbers. Encode it first, or name the "
                "numeric columns in `columns`."
            )
        return values


def _parquet() -> Any:
    try:
        import pyarrow.parquet
    except ImportError as error:
        raise ImportError("Parquet files need pyarrow: pip install 'skrdia[blocks]'.") from error
    return pyarrow.parquet


class MappedSource:
    """A source with a function applied to what it reads."""

    def __init__(self, source: Any, function: Callable[[Any], Any]) -> None:
        self._source, self._function = source, function

    def read(self, numbers: list[int]) -> Iterator[Any]:
        for block in self._source.read(numbers):
            mapped = as_block(self._function(block))
            if mapped.shape[0] != block.shape[0]:
                raise ValueError(
                    f"function returned {mapped.shape[0]} rows for a block of {block.shape[0]}; it must keep the rows."
                )
            yield mapped


def as_block(block: Any) -> Any:
    """A block as a float array or CSR matrix; float32 stays."""
    if is_sparse(block):
        block = block.tocsr()
    else:
        block = np.asarray(block)
        if block.ndim != 2:
            raise ValueError(f"blocks: one block has {block.ndim} dimensions, expected 2: rows and columns.")
    if block.dtype in (np.float32, np.float64):
        return block
    try:
        return block.astype(np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"blocks: values of type {block.dtype} are no numbers ({error}). Encode them first."
        ) from error
