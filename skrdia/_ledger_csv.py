"""A ledger as a CSV file, and back.

A cell of a CSV file has no type but what it looks like. So the columns of keys and labels follow one rule: a cell is

    nothing          an empty cell
    a boolean        True, False, TRUE or FALSE
    a number         digits, with a point or an exponent for a float; nan, inf, -inf
    a time           2024-01-31T12:00:00, with or without a fraction; NaT
    a tuple          a JSON array
    a text           anything else, or whatever follows a leading apostrophe

and a text that would be taken for something else is written with the apostrophe. So is, in every column, a text that
begins with an apostrophe, or with one of = + - @ tab carriage return newline, which a spreadsheet would run as a
formula; without the apostrophe such a text is an error. Reading takes one leading apostrophe off. Texts become Python
strings, integers int64, floats float64.
"""

from __future__ import annotations

import csv
import io
import json
import math
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import numpy as np

from skrdia._files import read_text, replacing
from skrdia._ledger_checks import check_names, checked, column_of, ordered
from skrdia._ledger_columns import COLUMNS, Book, Column, to_list
from skrdia._shown import shown

__all__ = ["decoded", "encoded", "read_csv", "write_csv"]

_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")
_GUARDED = (*_FORMULA, "'")
_INTEGER = re.compile(r"-?[0-9]+")
_FLOAT = re.compile(r"-?([0-9]+\.?[0-9]*([eE][-+]?[0-9]+)?|inf)|nan")
_TIME = re.compile(r"-?[0-9]{4,}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,9})?|NaT")
_BOOLEANS = {"True": True, "TRUE": True, "False": False, "FALSE": False}
_LONGEST_CELL = 2**31 - 1
_LIMIT = threading.Lock()


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
    return "'" + text if text.startswith(_GUARDED) else text


def _written(cell: Any) -> str:
    if isinstance(cell, str):
        is_safe = not cell.startswith("[") and isinstance(_parsed(cell), str)
        return _guarded(cell) if is_safe else "'" + cell
    if cell is None:
        return ""
    return json.dumps(encoded(cell)) if isinstance(cell, tuple) else str(cell)


def _parsed(cell: str) -> Any:
    """What a cell without a leading apostrophe stands for."""
    if cell == "":
        return None
    if cell in _BOOLEANS:
        return _BOOLEANS[cell]
    with suppress(ValueError, RecursionError):
        if _INTEGER.fullmatch(cell):
            return int(cell)
        if _FLOAT.fullmatch(cell):
            return float(cell)
        if _TIME.fullmatch(cell):
            return np.datetime64(cell)
        if cell.startswith("["):
            return decoded(json.loads(cell))
    return cell


def encoded(cell: Any) -> Any:
    """A cell in JSON, which has no tuples and no number that is not finite."""
    if isinstance(cell, tuple):
        return [encoded(part) for part in cell]
    return {"float": str(cell)} if isinstance(cell, float) and not math.isfinite(cell) else cell


def decoded(cell: Any) -> Any:
    """The cell that `encoded` encoded."""
    if isinstance(cell, list):
        return tuple(decoded(part) for part in cell)
    if isinstance(cell, dict):
        if cell.keys() != {"float"} or cell["float"] not in ("nan", "inf", "-inf"):
            raise ValueError(f"{shown(cell)} stands for no key or label")
        return float(cell["float"])
    return cell


def read_csv(path: Any) -> Book:
    """Read what `write_csv` wrote."""
    text = read_text(path, "a ledger in CSV")
    (_, header), *records = _records(path, text)

    def place(i: int) -> str:
        return f"line {records[i][0]}"

    columns = {}
    for name in ordered(header):
        at = header.index(name)
        cells = [_cell(path, name, record[at], line) for line, record in records]
        columns[name] = column_of(path, name, cells, place)
    return checked(path, columns, place)


def _records(path: Any, text: str) -> list[tuple[int, list[str]]]:
    """The header and the lines that are not blank, each with the line of the file in which it begins."""
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    records: list[tuple[int, list[str]]] = []
    start = 1
    with _cells_of_any_length():
        try:
            for record in reader:
                if record:
                    records.append((start, record))
                start = reader.line_num + 1
        except csv.Error as error:
            raise ValueError(
                f"{path}, line {start}: {error}. A quote is not closed, or the file is cut off there."
            ) from error
    header = records[0][1]
    check_names(path, header, _hint(text, header))
    for line, record in records:
        if len(record) != len(header):
            raise ValueError(
                f"{path}, line {line} has {len(record)} cells, expected {len(header)}, one per column. Quote cells "
                "that hold commas; or the file is cut off there."
            )
    return records


@contextmanager
def _cells_of_any_length() -> Iterator[None]:
    """Python's limit of 131,072 characters is one for all threads, so that it is put back."""
    with _LIMIT:
        before = csv.field_size_limit(_LONGEST_CELL)
        try:
            yield
        finally:
            csv.field_size_limit(before)


def _hint(text: str, header: list[str]) -> str:
    if text.startswith(("{", "[")):
        return " It looks like JSON; read it by Ledger.read_json."
    if "\x00" in text:
        return " It has zero bytes: it is in UTF-16, or no text. Save it as UTF-8."
    separators = {";": "semicolons", "\t": "tabs", "|": "bars"}
    found = [name for mark, name in separators.items() if len(header) == 1 and mark in header[0]]
    return f" Its cells are separated by {found[0]}; save it with commas." if found else ""


def _cell(path: Any, name: str, cell: str, line: int) -> Any:
    """The value of a cell; where it cannot be one of its column, the text, about which `column_of` complains."""
    kind = COLUMNS.get(name, "any")
    if kind in ("any", "text"):
        if cell.startswith("'"):
            return cell[1:]
        value = _parsed(cell) if kind == "any" else cell
        if isinstance(value, str) and value.startswith(_FORMULA):
            raise ValueError(
                f"{path}: column {name!r} has {shown(cell)} in line {line}, which a spreadsheet takes for a formula. "
                "If it is meant as a text, write an apostrophe before it."
            )
        return value
    if kind == "float" and cell == "":
        return float("nan")
    if _INTEGER.fullmatch(cell) or (kind == "float" and _FLOAT.fullmatch(cell)):
        with suppress(ValueError):  # of integers of more digits than Python reads
            return int(cell) if kind == "int" else float(cell)
    return cell
