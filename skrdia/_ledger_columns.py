"""The columns of a ledger, in memory."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "ACTIONS",
    "COLUMNS",
    "DECISIONS",
    "Book",
    "Column",
    "as_column",
    "for_frame",
    "is_text",
    "plain",
    "to_list",
    "to_native",
]

Column = NDArray[Any]

COLUMNS: dict[str, str] = {
    "index": "any",
    "row": "int",
    "label": "any",
    "new_label": "any",
    "action": "text",
    "influence": "float",
    "standard_error": "float",
    "predicted_gain": "float",
    "score": "float",
    "round": "int",
    "confidence": "float",
    "reason": "text",
    "decision": "text",
}
"""Names and kinds of the columns, in the order of the files; a column `key` may follow `index`."""

ACTIONS = ("relabel", "drop", "soften", "flag")
DECISIONS = ("", "accepted", "rejected", "set")


@dataclass
class Book:
    """The rows of a ledger, and what it remembers of the fit.

    `history` holds the decisions, the last one last, each with what it replaced: `row` (positions in X), `decision` and
    `new_label`. `validation` (n_samples,) marks the validation rows of X, without those that decisions made trusted,
    and `outside` tells whether there were others. `came` has trusted rows, `row`, with the `label` that each came with.
    What was not kept in a file is None.
    """

    columns: dict[str, Column]
    n_samples: int | None = None
    classes: Column | None = None
    validation: NDArray[np.bool_] | None = None
    outside: bool | None = None
    came: dict[str, Column] | None = None
    history: list[dict[str, Column]] = field(default_factory=list)


def plain(value: Any) -> Any:
    """A key or label as a Python object that files can hold: a string where it is of any other type."""
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, tuple):
        return tuple(plain(part) for part in value)
    if isinstance(value, str):  # of which subclasses, such as those of enum, print as something else
        return str.__str__(value)
    return value if value is None or isinstance(value, int | float) else str(value)


def as_column(values: Any) -> Column:
    """A vector of keys or labels: numbers, booleans and times as they are, strings and the rest as objects."""
    if not isinstance(values, list | tuple):  # of which numpy would make numbers strings, and tuples a second axis
        values = np.asarray(values)
        if values.dtype.kind in "biuf":
            return values.astype(np.float64) if values.dtype.char == "g" else values.copy()
        if values.dtype.kind == "M":
            return values.astype("M8[ns]" if np.datetime_data(values.dtype)[0] == "ns" else "M8[us]")
    cells: list[Any] = [value if isinstance(value, np.datetime64) else plain(value) for value in values]
    kinds = {type(cell) for cell in cells}
    if kinds == {np.datetime64}:
        return as_column(np.array(cells))
    if kinds in ({bool}, {float}) or (kinds == {int} and all(abs(cell) < 2**63 for cell in cells)):
        return np.array(cells)
    return np.fromiter(map(plain, cells), dtype=object, count=len(cells))


def to_list(column: Column) -> list[Any]:
    """The cells as Python objects; times as text, which loses no digits."""
    cells: list[Any] = (column.astype(str) if column.dtype.kind == "M" else column).tolist()
    return cells


def to_native(columns: dict[str, Column], backend: Any) -> Any:
    """A data frame of the columns; where the library has no columns of mixed types, these are text."""
    import narwhals as nw

    mixes = "pandas" in str(backend).lower() or "modin" in str(backend).lower()
    cells = {name: for_frame(column, mixes) for name, column in columns.items()}
    return nw.from_dict(cells, backend=backend).to_native()


def for_frame(column: Column, mixes: bool) -> Any:
    """What to make a column of a frame of, in a library that mixes types or does not."""
    if column.dtype.kind != "O":
        return column
    cells = column.tolist()
    return cells if mixes or is_text(cells) else [None if cell is None else str(cell) for cell in cells]


def is_text(cells: Iterable[Any]) -> bool:
    """Whether all cells are strings."""
    return all(isinstance(cell, str) for cell in cells)
