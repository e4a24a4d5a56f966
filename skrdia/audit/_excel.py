"""Excel files: a sheet, its rows called by their number in it.

The workbook is written again with other cells in one column and three more columns; its formulas, formats and other
sheets stay.
"""

from __future__ import annotations

import io
import warnings
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import Any

from skrdia.audit._errors import AuditError, listed, unknown_column
from skrdia.audit._table import Table, check_names, named

__all__ = ["SUFFIX", "read_excel"]

SUFFIX = ".xlsx"
_SECONDS_PER_DAY = 86_400.0


class _Excel(Table):
    """A sheet of a workbook: `_at` is where the table begins in it, `_rows` the values of its cells."""

    word = "row"

    def __init__(self, path: Path, names: list[str], rows: dict[int, tuple[Any, ...]], notes: list[str]) -> None:
        super().__init__(path, SUFFIX, names, list(rows), notes)
        self._rows = list(rows.values())
        self._sheet: Any = None
        self._book: Any = None
        self._header, self._first = 1, 0

    def placed(self, book: Any, sheet: Any, header: int, first: int) -> _Excel:
        """Say where the table stands: the row of the header, and the columns before the first."""
        self._book, self._sheet, self._header, self._first = book, sheet, header, first
        return self

    def column(self, name: str) -> list[Any]:
        j = self.names.index(name)
        return [_plain(row[j]) for row in self._rows]

    def write(self, path: Path, label: str, labels: list[Any], added: dict[str, list[Any]]) -> None:
        j = self.names.index(label)
        given = [row[j] for row in self._rows]
        original = {_plain(cell): cell for cell in given}  # a date that was read as text becomes a date again
        place = self._first + len(self.names) + 1
        for k, name in enumerate(added):
            self._put(self._header, place + k, name)
        for i, line in enumerate(self.lines):
            if _plain(given[i]) != labels[i]:
                self._put(line, self._first + j + 1, original.get(labels[i], labels[i]))
            self._put(line, place, given[i])
            for k, cells in enumerate(list(added.values())[1:], start=1):
                self._put(line, place + k, cells[i])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of what the library cannot keep; told at reading
            self._book.save(path)

    def _put(self, row: int, column: int, value: Any) -> None:
        cell = self._sheet.cell(row, column)
        cell.value = value
        if isinstance(value, str) and value.startswith("="):
            cell.data_type = "s"  # a text, no formula
        if isinstance(value, date | time | timedelta):
            return
        cell.number_format = "General"


def _plain(cell: Any) -> Any:
    """A value of the sheet as text or a number."""
    if isinstance(cell, datetime):
        return cell.date().isoformat() if cell.time() == time() else cell.isoformat(sep=" ")
    if isinstance(cell, date | time):
        return cell.isoformat()
    return cell.total_seconds() / _SECONDS_PER_DAY if isinstance(cell, timedelta) else cell


def read_excel(path: Path, suffix: str, sheet: str | None = None) -> Table:
    """Read the named sheet, or the first that is shown and not empty."""
    data = path.read_bytes()
    book, notes = _workbook(path, data, formulas=True)
    chosen = _choose(path, book, sheet, notes)
    values = chosen
    formulas = [cell.coordinate for row in chosen.iter_rows() for cell in row if cell.data_type == "f"]
    if formulas:
        values = _workbook(path, data, formulas=False)[0][chosen.title]
        if all(values[at].value is None for at in formulas):
            raise AuditError(
                f"{path}: the formula in {formulas[0]} has no value yet. Open the file in a spreadsheet and save it, "
                "so that it is computed."
            )
    cells = list(values.iter_rows(values_only=True))
    header = next(i for i, row in enumerate(cells) if any(map(_is_filled, row)))
    last = max(i for i, row in enumerate(cells) if any(map(_is_filled, row)))
    used = [j for j in range(len(cells[0])) if any(_is_filled(row[j]) for row in cells[header : last + 1])]
    first, end = used[0], used[-1] + 1
    names, unnamed = named(["" if cell is None else str(_plain(cell)) for cell in cells[header][first:end]])
    check_names(path, names)
    rows = {number: row[first:end] for number, row in enumerate(cells[header + 1 : last + 1], start=header + 2)}
    table = _Excel(path, names, rows, notes).placed(book, chosen, header + 1, first)
    table.unnamed = unnamed
    return table


def _is_filled(cell: Any) -> bool:
    return cell is not None and (not isinstance(cell, str) or bool(cell.strip()))


def _workbook(path: Path, data: bytes, formulas: bool) -> tuple[Any, list[str]]:
    try:
        from openpyxl import load_workbook
    except ImportError as error:
        raise AuditError(f"{path}: Excel files need openpyxl: pip install 'skrdia[excel]'") from error
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            book = load_workbook(io.BytesIO(data), data_only=not formulas)
        except MemoryError:
            raise
        except Exception as error:  # of zip files, of XML, and the library's own
            raise AuditError(
                f"{path} is no Excel file that can be read: {str(error) or type(error).__name__}. Open it and save it "
                "as .xlsx, without a password."
            ) from error
    return book, [f"repaired.xlsx: {text}" for text in dict.fromkeys(str(one.message) for one in caught)]


def _choose(path: Path, book: Any, name: str | None, notes: list[str]) -> Any:
    sheets = [one for one in book.worksheets if any(map(_is_filled, _values(one)))]
    if name is not None:
        found = next((one for one in book.worksheets if one.title == name), None)
        if found is None:
            raise unknown_column("--sheet", name, [one.title for one in book.worksheets], path, "sheet")
        sheets = [one for one in sheets if one is found]
    shown = [one for one in sheets if one.sheet_state == "visible"] or sheets
    if not shown:
        raise AuditError(f"{path} is empty.")
    if len(shown) > 1:
        others = listed(one.title for one in shown[1:])
        notes.append(f"{path}: sheet {shown[0].title!r} is read; --sheet names another ({others}).")
    return shown[0]


def _values(sheet: Any) -> Any:
    return (cell for row in sheet.iter_rows(values_only=True) for cell in row)
