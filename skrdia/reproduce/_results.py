"""Results files: one line of CSV per cell and method, appended as cells finish.

A later line replaces an earlier one of the same cell and method. A line with an error is not a result: the next start
tries that pair again.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import Any, BinaryIO

__all__ = ["Row", "Schema"]

Row = dict[str, Any]
_TYPES: dict[str, Callable[[str], Any]] = {"str": str, "int": int, "float": float}


@dataclass(frozen=True)
class Schema:
    """The columns of a results file.

    Parameters
    ----------
    cell : type
        A frozen dataclass of what is measured; its fields are strings, integers and floats.
    counts, numbers : tuple of str
        Names of the integers and floats that a measurement yields.
    """

    cell: type
    counts: tuple[str, ...]
    numbers: tuple[str, ...]

    @cached_property
    def fields(self) -> tuple[str, ...]:
        """Names of the columns, in order."""
        return (*self._cell_types, *self.counts, "method", *self.numbers, "error")

    def row_of(self, cell: Any, method: str, **values: Any) -> Row:
        """Return a row; numbers that are not given are nan, counts 0."""
        unset = dict.fromkeys(self.counts, 0) | dict.fromkeys(self.numbers, float("nan")) | {"error": ""}
        row = asdict(cell) | {"method": method} | unset | values
        return {name: row[name] for name in self.fields}

    def cell_of(self, row: Row) -> Any:
        """Return the cell that a row belongs to."""
        return self.cell(**{name: row[name] for name in self._cell_types})

    def read(self, path: Path) -> list[Row]:
        """Read all complete lines of a results file; none where it does not exist."""
        if not path.exists():
            return []
        text = path.read_text(encoding="utf-8")
        lines = csv.DictReader(io.StringIO(text[: text.rfind("\n") + 1]))
        if lines.fieldnames is not None and tuple(lines.fieldnames) != self.fields:
            raise ValueError(f"{path} has other columns than {', '.join(self.fields)}. Name another file.")
        return [self._typed(line) for line in lines]

    def append(self, path: Path, rows: Iterable[Row]) -> None:
        """Append rows, below the header; a line that an interruption cut off is removed first."""
        with path.open("a+b") as file:
            end = _complete(file)
            text = io.StringIO()
            writer = csv.DictWriter(text, self.fields, lineterminator="\n")
            if end == 0:
                writer.writeheader()
            for row in rows:
                writer.writerow(row | {"error": " ".join(str(row["error"]).split())})
            file.write(text.getvalue().encode())

    def latest(self, rows: Iterable[Row]) -> dict[tuple[Any, str], Row]:
        """Return the last row of every cell and method."""
        return {(self.cell_of(row), row["method"]): row for row in rows}

    @cached_property
    def _cell_types(self) -> dict[str, Callable[[str], Any]]:
        return {field.name: _TYPES[str(field.type)] for field in fields(self.cell)}

    def _typed(self, line: dict[str, str]) -> Row:
        kinds = self._cell_types | dict.fromkeys(self.counts, int) | dict.fromkeys(self.numbers, float)
        return {name: kinds[name](line[name]) if name in kinds else line[name] for name in self.fields}


def _complete(file: BinaryIO) -> int:
    """Cut off a line without an end, and return the length of the file."""
    length = file.seek(0, io.SEEK_END)
    file.seek(max(length - 1, 0))
    if file.read(1) not in (b"", b"\n"):
        file.seek(0)
        length = file.read().rfind(b"\n") + 1
        file.truncate(length)
    return length
