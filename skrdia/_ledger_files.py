"""The columns of a ledger, and how they are written to files and read back equal.

A cell of a CSV file has no type but what it looks like. So the columns of keys and labels follow one rule: a cell is

    nothing          an empty cell
    a boolean        True, False, TRUE or FALSE
    a number         digits, with a point or an exponent for a float; nan, inf, -inf
    a time           2024-01-31T12:00:00, with or without a fraction; NaT
    a tuple          a JSON array
    a text           anything else, or whatever follows a leading apostrophe

and a text that would be taken for something else is written with the apostrophe. So is, in every column, a text that
begins with an apostrophe, or with one of = + - @ tab carriage return newline, which a spreadsheet would run as a
formula. Reading takes one leading apostrophe off. Texts become Python strings, integers int64, floats float64.

In JSON the type of every column is stored beside it. Parquet has types of its own; a column of mixed types or tuples is
stored there as JSON, under its name followed by ":json".
"""

from __future__ import annotations

import csv
import json
import math
import os
import re
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal, Self
from uuid import uuid4

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "ACTIONS",
    "COLUMNS",
    "DECISIONS",
    "Book",
    "Filed",
    "as_column",
    "plain",
    "replacing",
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

_FORMAT = 1
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "'")
_INTEGER = re.compile(r"-?[0-9]+")
_FLOAT = re.compile(r"-?([0-9]+\.?[0-9]*([eE][-+]?[0-9]+)?|inf)|nan")
_TIME = re.compile(r"-?[0-9]{4,}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,9})?|NaT")
_BOOLEANS = {"True": True, "TRUE": True, "False": False, "FALSE": False}


@dataclass
class Book:
    """The rows of a ledger, and what it remembers of the fit.

    `history` holds the decisions, the last one last, each with what it replaced: `row` (positions in X), `decision` and
    `new_label`. `validation` (n_samples,) marks the validation rows of X, without those that decisions made trusted,
    and `outside` tells whether there were others. What was not kept in a file is None.
    """

    columns: dict[str, Column]
    n_samples: int | None = None
    classes: Column | None = None
    validation: NDArray[np.bool_] | None = None
    outside: bool | None = None
    history: list[dict[str, Column]] = field(default_factory=list)


def plain(value: Any) -> Any:
    """A key or label as a Python object that files can hold: a string where it is of any other type."""
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, tuple):
        return tuple(plain(part) for part in value)
    return value if value is None or isinstance(value, str | int | float) else str(value)


def as_column(values: Any) -> Column:
    """A vector of keys or labels: numbers, booleans and times as they are, strings and the rest as objects."""
    if not isinstance(values, list | tuple):  # of which numpy would make numbers strings, and tuples a second axis
        values = np.asarray(values)
        if values.dtype.kind in "biuf":
            return values.copy()
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
    cells = {name: _for_frame(column, mixes) for name, column in columns.items()}
    return nw.from_dict(cells, backend=backend).to_native()


def _for_frame(column: Column, mixes: bool) -> Any:
    if column.dtype.kind != "O":
        return column
    cells = column.tolist()
    return cells if mixes or _is_text(cells) else [None if cell is None else str(cell) for cell in cells]


def _is_text(cells: Iterable[Any]) -> bool:
    return all(isinstance(cell, str) for cell in cells)


@contextmanager
def replacing(path: Any) -> Iterator[Path]:
    """A name in the folder of `path`, which takes the place of `path` when all has been written."""
    path = Path(path)
    part = path.with_name(f".{path.name}.{uuid4().hex}.part")
    try:
        yield part
        os.replace(part, path)
    finally:
        with suppress(FileNotFoundError):
            part.unlink()


def write_csv(path: Any, columns: dict[str, Column]) -> None:
    """Write the columns, by the rule of this module."""
    cells = {name: _cells(name, column) for name, column in columns.items()}
    with replacing(path) as part, open(part, "x", newline="", encoding="utf-8", errors="surrogatepass") as file:
        writer = csv.writer(file)
        writer.writerow(cells)
        writer.writerows(zip(*cells.values(), strict=True))


def _cells(name: str, column: Column) -> list[str]:
    if column.dtype.kind == "M":
        return to_list(column)
    write = _guarded if COLUMNS.get(name) == "text" else _written
    return [write(cell) for cell in column.tolist()]


def _guarded(text: str) -> str:
    return "'" + text if text.startswith(_FORMULA) else text


def _written(cell: Any) -> str:
    if isinstance(cell, str):
        return _guarded(cell) if isinstance(_parsed(cell), str) else "'" + cell
    if cell is None:
        return ""
    return json.dumps(_encoded(cell)) if isinstance(cell, tuple) else str(cell)


def _parsed(cell: str) -> Any:
    """What a cell without a leading apostrophe stands for."""
    if cell == "":
        return None
    if cell in _BOOLEANS:
        return _BOOLEANS[cell]
    with suppress(ValueError):
        if _INTEGER.fullmatch(cell):
            return int(cell)
        if _FLOAT.fullmatch(cell):
            return float(cell)
        if _TIME.fullmatch(cell):
            return np.datetime64(cell)
        if cell.startswith("["):
            return _decoded(json.loads(cell))
    return cell


def _read(cell: str) -> Any:
    return cell[1:] if cell.startswith("'") else _parsed(cell)


def read_csv(path: Any) -> Book:
    """Read what `write_csv` wrote."""
    with open(path, newline="", encoding="utf-8-sig", errors="surrogatepass") as file:
        header, *lines = list(csv.reader(file)) or [[]]
    lines = [line for line in lines if line]
    _check_names(path, header)
    for number, line in enumerate(lines, start=2):
        if len(line) != len(header):
            raise ValueError(f"{path}: row {number} has {len(line)} cells, expected {len(header)}, one per column.")
    cells = dict(zip(header, zip(*lines, strict=True), strict=True)) if lines else dict.fromkeys(header, ())
    return _checked(path, {name: _column(path, name, cells[name]) for name in _order(header)})


def _column(path: Any, name: str, cells: Iterable[str]) -> Column:
    kind = COLUMNS.get(name, "any")
    if kind == "any":
        return as_column([_read(cell) for cell in cells])
    if kind == "text":
        return as_column([cell.removeprefix("'") for cell in cells])
    values = []
    for number, cell in enumerate(cells, start=2):
        try:
            values.append(int(cell) if kind == "int" else float(cell or "nan"))
        except ValueError:
            expected = "an integer" if kind == "int" else "a number, with a point for the decimals, or nothing"
            raise ValueError(f"{path}: column {name!r} has {cell!r} in row {number}; expected {expected}.") from None
    return np.array(values, dtype=np.intp if kind == "int" else np.float64)


def write_json(path: Any, book: Book) -> None:
    """Write all that the ledger knows."""
    content = {
        "skrdia_ledger": _FORMAT,
        "n_samples": book.n_samples,
        "classes": None if book.classes is None else _typed(book.classes),
        "validation_rows": None if book.validation is None else np.flatnonzero(book.validation).tolist(),
        "outside": book.outside,
        "columns": {name: _typed(column) for name, column in book.columns.items()},
        "history": [{name: _typed(column) for name, column in step.items()} for step in book.history],
    }
    with replacing(path) as part, open(part, "x", encoding="utf-8") as file:
        json.dump(content, file, allow_nan=False, indent=1)


def read_json(path: Any) -> Book:
    """Read what `write_json` wrote."""
    with open(path, encoding="utf-8") as file:
        content = json.load(file)
    if not isinstance(content, dict) or content.get("skrdia_ledger") != _FORMAT:
        raise ValueError(f"{path} is not a ledger that this version of skrdia can read; write it by Ledger.to_json.")
    columns = {name: _untyped(column) for name, column in content["columns"].items()}
    _check_names(path, columns)
    validation = None
    if content["validation_rows"] is not None:
        validation = np.zeros(content["n_samples"], dtype=bool)
        validation[content["validation_rows"]] = True
    book = _checked(path, columns)
    book.n_samples, book.validation, book.outside = content["n_samples"], validation, content["outside"]
    book.classes = None if content["classes"] is None else _untyped(content["classes"])
    book.history = [{name: _untyped(column) for name, column in step.items()} for step in content["history"]]
    return book


def _typed(column: Column) -> dict[str, Any]:
    return {"dtype": column.dtype.str, "values": [_encoded(cell) for cell in to_list(column)]}


def _untyped(stored: dict[str, Any]) -> Column:
    cells = [_decoded(cell) for cell in stored["values"]]
    return np.fromiter(cells, dtype=object, count=len(cells)).astype(stored["dtype"])


def _encoded(cell: Any) -> Any:
    """A cell in JSON, which has no tuples and no number that is not finite."""
    if isinstance(cell, tuple):
        return [_encoded(part) for part in cell]
    return {"float": str(cell)} if isinstance(cell, float) and not math.isfinite(cell) else cell


def _decoded(cell: Any) -> Any:
    if isinstance(cell, list):
        return tuple(_decoded(part) for part in cell)
    if isinstance(cell, dict):
        if cell.keys() != {"float"}:
            raise ValueError(f"{cell} stands for no key or label.")
        return float(cell["float"])
    return cell


def write_parquet(path: Any, columns: dict[str, Column]) -> None:
    """Write the columns with their types."""
    import narwhals as nw

    cells: dict[str, Any] = {}
    for name, column in columns.items():
        is_json = column.dtype.kind == "O" and not _is_text(column)
        cells[f"{name}:json" if is_json else name] = (
            [json.dumps(_encoded(cell)) for cell in column] if is_json else _for_frame(column, mixes=True)
        )
    frame = nw.from_dict(cells, backend=_parquet_backend())
    with replacing(path) as part:
        frame.write_parquet(part)


def read_parquet(path: Any) -> Book:
    """Read what `write_parquet` wrote."""
    import narwhals as nw

    frame = nw.read_parquet(str(path), backend=_parquet_backend())
    columns = {}
    for name in frame.columns:
        column: Any = frame[name].to_numpy()
        if name.endswith(":json"):
            column = [_decoded(json.loads(cell)) for cell in column]
        columns[name.removesuffix(":json")] = as_column(column)
    _check_names(path, columns)
    return _checked(path, {name: columns[name] for name in _order(columns)})


def _parquet_backend() -> Literal["polars", "pyarrow"]:
    if find_spec("polars") is not None:
        return "polars"
    if find_spec("pyarrow") is not None:
        return "pyarrow"
    raise ImportError(
        "Parquet files need polars or pyarrow (pandas too reads them by pyarrow). Install one of them, with: pip "
        "install polars; or use CSV or JSON, which need nothing."
    )


def _order(names: Iterable[str]) -> list[str]:
    known = set(names)
    return [name for name in ("index", "key", *list(COLUMNS)[1:]) if name in known]


def _check_names(path: Any, names: Iterable[str]) -> None:
    missing = [name for name in COLUMNS if name not in set(names)]
    if missing:
        raise ValueError(
            f"{path} has no column {missing}; expected {list(COLUMNS)}, as Ledger.to_csv and its like write them, in a "
            "CSV file separated by commas."
        )


def _checked(path: Any, columns: dict[str, Column]) -> Book:
    for name, allowed in (("decision", DECISIONS), ("action", ACTIONS)):
        unknown = sorted(set(columns[name].tolist()) - set(allowed))
        if unknown:
            raise ValueError(f"{path}: column {name!r} has {unknown[:10]}; expected one of {list(allowed)}.")
    rows = columns["row"]
    if len(rows) and (rows.min() < 0 or len(np.unique(rows)) < len(rows)):
        raise ValueError(f"{path}: column 'row' has negative or repeated numbers; expected one line per row of X.")
    return Book(columns)


class Filed(ABC):
    """The files of a ledger."""

    @abstractmethod
    def _shown(self) -> Book:
        """The lines to write."""

    @classmethod
    @abstractmethod
    def _of(cls, book: Book) -> Self:
        """The ledger of lines that were read."""

    def to_csv(self, path: Any) -> None:
        """Write the ledger as a CSV file, for a spreadsheet too; the order of the decisions is not kept.

        A text that a spreadsheet would take for a formula, or that looks like a number, is written with an apostrophe
        before it, which `read_csv` takes off.

        Parameters
        ----------
        path : str or path-like
            The file, replaced if it exists.
        """
        write_csv(path, self._shown().columns)

    @classmethod
    def read_csv(cls, path: Any) -> Self:
        """Read a ledger that `to_csv` wrote, and in which a person may have filled in decisions since.

        Keys and labels are what they look like: integers, floats, True and False, times, and otherwise, or after an
        apostrophe, strings. Fill in `decision` with "accepted", "rejected", or "set" and the right label in
        `new_label`.

        Parameters
        ----------
        path : str or path-like
            The file.

        Returns
        -------
        ledger : Ledger
            Equal to the one that was written.

        Raises
        ------
        ValueError
            If the file is no such ledger; the message names the column.
        """
        return cls._of(read_csv(path))

    def to_json(self, path: Any) -> None:
        """Write the ledger as a JSON file, which keeps everything, also what `undo` and `refit` go by.

        Parameters
        ----------
        path : str or path-like
            The file, replaced if it exists.
        """
        write_json(path, self._shown())

    @classmethod
    def read_json(cls, path: Any) -> Self:
        """Read a ledger that `to_json` wrote.

        Parameters
        ----------
        path : str or path-like
            The file.

        Returns
        -------
        ledger : Ledger
            Equal to the one that was written.

        Raises
        ------
        ValueError
            If the file is no such ledger.
        """
        return cls._of(read_json(path))

    def to_parquet(self, path: Any) -> None:
        """Write the ledger as a Parquet file; the order of the decisions is not kept.

        Parameters
        ----------
        path : str or path-like
            The file, replaced if it exists.

        Raises
        ------
        ImportError
            If neither polars nor pyarrow is installed.
        """
        write_parquet(path, self._shown().columns)

    @classmethod
    def read_parquet(cls, path: Any) -> Self:
        """Read a ledger that `to_parquet` wrote.

        Parameters
        ----------
        path : str or path-like
            The file.

        Returns
        -------
        ledger : Ledger
            Equal to the one that was written.

        Raises
        ------
        ImportError
            If neither polars nor pyarrow is installed.
        ValueError
            If the file is no such ledger; the message names the column.
        """
        return cls._of(read_parquet(path))
