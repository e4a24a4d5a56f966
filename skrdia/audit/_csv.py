"""CSV files: cells of text and nothing else, none interpreted, so that what is written back is what was read."""

from __future__ import annotations

import csv
import io
import re
from pathlib import Path
from typing import Any, NamedTuple

from skrdia.audit._decode import Text, encode
from skrdia.audit._errors import AuditError
from skrdia.audit._table import Table, check_names, named

__all__ = ["DELIMITERS", "read_csv"]

DELIMITERS = {".csv": ",;\t|", ".tsv": "\t,;|", ".txt": "\t,;|"}
_LONGEST_CELL = 2**27
_BEFORE_THE_HEADER = re.compile(
    r'(?:[ \t]*(?:\r\n|\n|\r))*(?:"?sep=(?P<delimiter>[^\r\n])"?[ \t]*(?:\r\n|\n|\r))?', re.I
)


class _Form(NamedTuple):
    """How the file is written: what stands before the header, and the header, are kept as they are."""

    source: Text
    before: str
    header: list[str]
    delimiter: str
    newline: str


class _Lines:
    """Lines of a writer that ends them by both signs, so that it quotes cells with either; ended as in the file."""

    def __init__(self, newline: str) -> None:
        self.lines: list[str] = []
        self._newline = newline

    def write(self, line: str) -> None:
        self.lines.append(line.removesuffix("\r\n") + self._newline)


class _Csv(Table):
    """Cells of text, row by row."""

    def __init__(
        self, path: Path, suffix: str, names: list[str], rows: list[list[str]], lines: list[int], form: _Form
    ) -> None:
        super().__init__(path, suffix, names, lines, form.source.notes)
        self._rows, self._form = rows, form
        self.decimal = "," if form.delimiter == ";" else None

    def column(self, name: str) -> list[Any]:
        j = self.names.index(name)
        return [row[j] for row in self._rows]

    def write(self, path: Path, label: str, labels: list[Any], added: dict[str, list[Any]]) -> None:
        j, form = self.names.index(label), self._form
        out = _Lines(form.newline)
        writer = csv.writer(out, delimiter=form.delimiter, lineterminator="\r\n")
        writer.writerow([*form.header, *added])
        more = zip(*added.values(), strict=True)
        for row, cell, extra in zip(self._rows, labels, more, strict=True):
            writer.writerow([*row[:j], cell, *row[j + 1 :], *("" if value is None else value for value in extra)])
        path.write_bytes(encode(form.before + "".join(out.lines), form.source))


def read_csv(path: Path, suffix: str, source: Text) -> Table:
    """Read cells that commas, semicolons, tabs or bars separate, whichever the header has the most of."""
    found = _BEFORE_THE_HEADER.match(source.text)
    before, told = (found.group(), found["delimiter"]) if found else ("", None)
    text = source.text[len(before) :]
    first = re.split(r"\r\n|\n|\r", text, maxsplit=1)[0]
    possible = DELIMITERS[suffix.removesuffix(".gz")]
    delimiter = told or max(possible, key=lambda one: (first.count(one), -possible.index(one)))
    header, rows, lines = _records(path, text, delimiter, len(re.findall(r"\r\n|\n|\r", before)))
    _check_widths(path, header, rows, lines, delimiter)
    rows = [row or [""] for row in rows]
    is_short = bool(rows) and len(rows[0]) == len(header) + 1
    names, unnamed = named(["", *header] if is_short else header)
    check_names(path, names)
    end = text[len(first) :]
    newline = "\r\n" if end.startswith("\r\n") else "\r" if end.startswith("\r") else "\n"
    table = _Csv(path, suffix, names, rows, lines, _Form(source, before, header, delimiter, newline))
    table.unnamed = unnamed
    return table


def _records(path: Path, text: str, delimiter: str, skipped: int) -> tuple[list[str], list[list[str]], list[int]]:
    """The header, the rows, and the lines of the file in which they begin."""
    csv.field_size_limit(_LONGEST_CELL)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    records: list[list[str]] = []
    lines: list[int] = []
    begin = skipped + 1
    try:
        for record in reader:  # not list(reader), which no signal ends
            records.append(record)
            lines.append(begin)
            begin = skipped + reader.line_num + 1
    except csv.Error as error:
        raise AuditError(
            f"{path}: the row that begins in line {begin} cannot be read: {error}. Look for a quote that is not closed."
        ) from error
    while records and not records[-1]:
        records.pop()
        lines.pop()
    if not records:
        raise AuditError(f"{path} is empty.")
    return records[0], records[1:], lines[1:]


def _check_widths(path: Path, header: list[str], rows: list[list[str]], lines: list[int], delimiter: str) -> None:
    width = len(header)
    wrong = [i for i, row in enumerate(rows) if len(row) != width and not (width == 1 and not row)]
    if not wrong or _is_named_by_rows(header, rows):
        return
    line, n_cells = lines[wrong[0]], len(rows[wrong[0]])
    raise AuditError(
        f"{path}, line {line} has {n_cells} cells, but the header has {width}. Mend the line, or quote cells that hold "
        f"{delimiter!r}."
    )


def _is_named_by_rows(header: list[str], rows: list[list[str]]) -> bool:
    """Whether every row begins with a name of its own, for which R writes no header."""
    return (
        all(len(row) == len(header) + 1 for row in rows)
        and len({row[0] for row in rows}) == len(rows)
        and any(row[-1].strip() for row in rows)
    )
