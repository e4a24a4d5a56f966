"""The results file: one line of CSV per cell and method, appended as cells finish.

A later line replaces an earlier one of the same cell and method. A line with an error is not a result: the next start
tries that pair again.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any, BinaryIO

from skrdia.reproduce._cells import Cell

__all__ = ["FIELDS", "Row", "append", "cell_of", "latest", "read", "row_of"]

Row = dict[str, Any]
_CELL = {field.name: {"str": str, "int": int, "float": float}[str(field.type)] for field in fields(Cell)}
_COUNTS = ("n", "K", "n_trusted")
_NUMBERS = ("loss", "loss_se", "diff_se", "auto_se", "accuracy", "auroc", "average_precision", "seconds")
FIELDS = (*_CELL, *_COUNTS, "method", *_NUMBERS, "error")


def row_of(cell: Cell, method: str, **values: Any) -> Row:
    """Return a row; numbers that are not given are nan, counts 0."""
    unset = dict.fromkeys(_COUNTS, 0) | dict.fromkeys(_NUMBERS, float("nan")) | {"error": ""}
    row = asdict(cell) | {"method": method} | unset | values
    return {name: row[name] for name in FIELDS}


def cell_of(row: Row) -> Cell:
    """Return the cell that a row belongs to."""
    return Cell(**{name: row[name] for name in _CELL})


def read(path: Path) -> list[Row]:
    """Read all complete lines of a results file; none where it does not exist."""
    if not path.exists():
        return []
    text = path.read_text(encoding="utf-8")
    lines = csv.DictReader(io.StringIO(text[: text.rfind("\n") + 1]))
    if lines.fieldnames is not None and tuple(lines.fieldnames) != FIELDS:
        raise ValueError(f"{path} has other columns than {', '.join(FIELDS)}. Name another file.")
    return [_typed(line) for line in lines]


def append(path: Path, rows: Iterable[Row]) -> None:
    """Append rows, below the header; a line that an interruption cut off is removed first."""
    with path.open("a+b") as file:
        end = _complete(file)
        text = io.StringIO()
        writer = csv.DictWriter(text, FIELDS, lineterminator="\n")
        if end == 0:
            writer.writeheader()
        for row in rows:
            writer.writerow(row | {"error": " ".join(str(row["error"]).split())})
        file.write(text.getvalue().encode())


def latest(rows: Iterable[Row]) -> dict[tuple[Cell, str], Row]:
    """Return the last row of every cell and method."""
    return {(cell_of(row), row["method"]): row for row in rows}


def _complete(file: BinaryIO) -> int:
    """Cut off a line without an end, and return the length of the file."""
    length = file.seek(0, io.SEEK_END)
    file.seek(max(length - 1, 0))
    if file.read(1) not in (b"", b"\n"):
        file.seek(0)
        length = file.read().rfind(b"\n") + 1
        file.truncate(length)
    return length


def _typed(line: dict[str, str]) -> Row:
    kinds = _CELL | dict.fromkeys(_COUNTS, int) | dict.fromkeys(_NUMBERS, float)
    return {name: kinds[name](line[name]) if name in kinds else line[name] for name in FIELDS}
