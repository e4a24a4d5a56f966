"""What the columns of a ledger must be, wherever they were read from."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NoReturn

import numpy as np

from skrdia._ledger_columns import ACTIONS, COLUMNS, DECISIONS, Book, Column, as_column
from skrdia._shown import shown

__all__ = ["Place", "check_labels", "check_names", "checked", "column_of", "kind_of", "ordered"]

Place = Callable[[int], str]
"""From the position of a cell to where it stands in the file."""

_LARGEST = 2**63
_ROUNDING = 1e-6
"""By which probabilities may exceed one."""

_WRITTEN = "as Ledger.to_csv and its like write them"
_NAMES = {str: "text", bool: "yes or no", int: "a number", float: "a number", np.datetime64: "a time"}


def check_names(path: Any, names: Iterable[str], hint: str = "") -> None:
    """Raise unless these are the columns of a ledger, each once, in any order."""
    names = list(names)
    expected = f"expected {list(COLUMNS)}, {_WRITTEN}"
    missing = [name for name in COLUMNS if name not in names]
    if missing:
        raise ValueError(f"{path} has no column {shown(missing)}; {expected}.{hint}")
    twice = [name for name in dict.fromkeys(names) if names.count(name) > 1]
    if twice:
        raise ValueError(f"{path} has more than one column {shown(twice)}; {expected}. Remove one of them.")
    others = [name for name in names if name not in (*COLUMNS, "key")]
    if others:
        raise ValueError(f"{path} has a column {shown(others)} too; {expected}. Remove it.")


def ordered(names: Iterable[str]) -> list[str]:
    """These names, in the order of files."""
    known = set(names)
    return [name for name in ("index", "key", *list(COLUMNS)[1:]) if name in known]


def column_of(path: Any, name: str, cells: Sequence[Any], place: Place) -> Column:
    """A column of cells that are Python objects; a float that is nowhere is nan."""
    kind = COLUMNS.get(name, "any")

    def wrong(i: int, expected: str) -> NoReturn:
        raise ValueError(f"{path}: column {name!r} has {shown(cells[i])} in {place(i)}; expected {expected}.")

    if kind == "any":
        return as_column(cells)
    if kind == "text":
        allowed = {"action": ACTIONS, "decision": DECISIONS}.get(name)
        for i, cell in enumerate(cells):
            if not isinstance(cell, str):
                wrong(i, "text")
            if allowed is not None and cell not in allowed:
                wrong(i, f"one of {list(allowed)}")
        return as_column(cells)
    if kind == "int":
        for i, cell in enumerate(cells):
            if type(cell) is not int or not 0 <= cell < _LARGEST:
                wrong(i, "an integer from 0")
        return np.array(cells, dtype=np.intp)
    for i, cell in enumerate(cells):
        if type(cell) not in (int, float) or (type(cell) is int and abs(cell) >= _LARGEST):
            wrong(i, "a number, with a point for the decimals, or nothing")
        if name == "confidence" and not (cell != cell or 0.0 <= cell <= 1.0 + _ROUNDING):
            wrong(i, "a probability, from 0 to 1")
        if name == "standard_error" and cell < 0.0:
            wrong(i, "a number from 0")
    return np.array(cells, dtype=np.float64)


def checked(path: Any, columns: dict[str, Column], place: Place, n_samples: int | None = None) -> Book:
    """The book of these columns, which `column_of` made, if they go together."""
    first: dict[int, int] = {}
    for i, row in enumerate(columns["row"].tolist()):
        if row in first:
            raise ValueError(
                f"{path}: column 'row' has {row} in {place(i)}, as in {place(first[row])}; expected one line per row "
                "of X. Remove one of them."
            )
        if n_samples is not None and row >= n_samples:
            raise ValueError(f"{path}: column 'row' has {row} in {place(i)}, but the fit had {n_samples} rows.")
        first[row] = i
    check_labels(path, {name: columns[name] for name in ("label", "new_label")}, place)
    return Book(columns)


def kind_of(label: Any) -> str:
    """What a label is, as messages say it; nothing for what cannot be one."""
    is_missing = label != label or (isinstance(label, float) and math.isinf(label))
    return "" if is_missing else _NAMES.get(type(label), "")


def check_labels(path: Any, columns: dict[str, Column], place: Place) -> None:
    """Raise unless all cells are labels, and of one type."""
    first: tuple[str, str] | None = None
    for name, column in columns.items():
        for i, label in enumerate(column if column.dtype.kind == "M" else column.tolist()):
            kind = kind_of(label)
            if not kind:
                raise ValueError(f"{path}: column {name!r} has {shown(label)} in {place(i)}; expected a label.")
            if first is None:
                first = kind, f"column {name!r} has {shown(label)}, {kind}, in {place(i)}"
            elif kind != first[0]:
                raise ValueError(
                    f"{path}: column {name!r} has {shown(label)}, {kind}, in {place(i)}, but {first[1]}; the labels of "
                    "a fit have one type. In CSV a text that looks like a number needs an apostrophe before it."
                )
