"""Tables in files, read so that they can be written again cell by cell, with another label column and three more.

A CSV file has cells of text and nothing else: none is interpreted, so that what is written back is what was read. A
JSON-lines file keeps the keys of every row, in their order; a Parquet file the type of every column.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
import zlib
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from skrdia.audit._errors import AuditError, listed, repeated

__all__ = ["ADDED", "Table", "read_table"]

ADDED = ("old_label", "influence", "decision")
"""The columns that a repaired table has at its end."""

_DELIMITERS = {".csv": ",;\t|", ".tsv": "\t", ".txt": "\t,;|"}
_LONGEST_CELL = 2**27
_JSON = (".jsonl", ".ndjson", ".json")
_PARQUET = (".parquet", ".pq")


class Table(ABC):
    """A table that was read: `names` of its columns, `n_rows`, and the suffix of the file."""

    def __init__(self, path: Path, suffix: str, names: Sequence[str], n_rows: int) -> None:
        self.path, self.suffix, self.names, self.n_rows = path, suffix, list(names), n_rows

    decimal_comma = False
    """Whether numbers may be written as 1,5."""

    @abstractmethod
    def column(self, name: str) -> list[Any]:
        """The cells: text, numbers, booleans, or None."""

    @abstractmethod
    def write(self, path: Path, label: str, labels: list[Any], added: dict[str, list[Any]]) -> None:
        """Write the table with other labels, and columns added at its end."""


def read_table(path: Path, encoding: str = "utf-8") -> Table:
    """Read a CSV, JSON-lines or Parquet file, by its suffix."""
    suffixes = [suffix.lower() for suffix in path.suffixes]
    packed = suffixes[-1:] == [".gz"]
    kind = (suffixes[-2:-1] if packed else suffixes[-1:]) or [""]
    suffix = kind[0] + (".gz" if packed else "")
    if not path.exists():
        raise AuditError(f"{path}: there is no such file.")
    if not path.is_file():
        raise AuditError(f"{path} is not a file.")
    if kind[0] in _PARQUET and not packed:
        return _read_parquet(path, suffix)
    if kind[0] not in (*_DELIMITERS, *_JSON):
        known = ", ".join([*_DELIMITERS, *_JSON, *_PARQUET])
        raise AuditError(f"{path}: unknown kind of file; known are {known}, and those of text with .gz.")
    with _explained(path, encoding):
        text = _text(path, packed, encoding)
        table = _read_json(path, suffix, text) if kind[0] in _JSON else _read_csv(path, suffix, text, encoding)
    if table.n_rows == 0:
        raise AuditError(f"{path} has no rows.")
    return table


@contextmanager
def _explained(path: Path, encoding: str) -> Iterator[None]:
    try:
        yield
    except LookupError as error:
        if "encoding" not in str(error):
            raise
        raise AuditError(
            f"--encoding: {encoding!r} is no encoding that Python knows, such as utf-8 or cp1252."
        ) from error
    except UnicodeDecodeError as error:
        raise AuditError(
            f"{path} is not in {encoding}: byte {error.start} cannot be read. Name its encoding, such as --encoding "
            "cp1252."
        ) from error
    except (gzip.BadGzipFile, zlib.error, EOFError) as error:
        raise AuditError(f"{path} is no whole gzip file: {error}. Download or pack it again.") from error
    except OSError as error:
        raise AuditError(f"{path} cannot be read: {error.strerror or error}.") from error


def _text(path: Path, packed: bool, encoding: str) -> str:
    data = path.read_bytes()
    text = (gzip.decompress(data) if packed else data).decode(encoding)
    if "\x00" in text:
        row = text.count("\n", 0, text.index("\x00")) + 1
        raise AuditError(f"{path} has a zero byte in line {row}: it is no text, or in another --encoding (utf-16?).")
    if not text.removeprefix("\ufeff").strip():
        raise AuditError(f"{path} is empty.")
    return text


def _encode(text: str, encoding: str, packed: bool) -> bytes:
    data = text.encode(encoding)
    return gzip.compress(data, mtime=0) if packed else data


class _Csv(Table):
    """Cells of text, row by row."""

    def __init__(self, path: Path, suffix: str, names: list[str], rows: list[list[str]], form: dict[str, Any]) -> None:
        super().__init__(path, suffix, names, len(rows))
        self._rows, self._form = rows, form
        self.decimal_comma = form["delimiter"] == ";"

    def column(self, name: str) -> list[Any]:
        j = self.names.index(name)
        return [row[j] for row in self._rows]

    def write(self, path: Path, label: str, labels: list[Any], added: dict[str, list[Any]]) -> None:
        j, out = self.names.index(label), io.StringIO()
        writer = csv.writer(out, delimiter=self._form["delimiter"], lineterminator=self._form["newline"])
        writer.writerow([*self.names, *added])
        more = zip(*added.values(), strict=True)
        for row, cell, extra in zip(self._rows, labels, more, strict=True):
            writer.writerow([*row[:j], cell, *row[j + 1 :], *("" if value is None else value for value in extra)])
        text = self._form["mark"] + out.getvalue()
        path.write_bytes(_encode(text, self._form["encoding"], self.suffix.endswith(".gz")))


def _read_csv(path: Path, suffix: str, text: str, encoding: str) -> Table:
    mark = "\ufeff" if text.startswith("\ufeff") else ""
    text = text.removeprefix("\ufeff")
    first = text.split("\n", 1)[0]
    possible = _DELIMITERS[suffix.removesuffix(".gz")]
    delimiter = max(possible, key=lambda one: (first.count(one), -possible.index(one)))
    csv.field_size_limit(_LONGEST_CELL)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    rows: list[list[str]] = []
    try:
        names = next(reader)
        width = len(names)
        rows.extend(reader)
    except csv.Error as error:
        raise AuditError(f"{path}, line {reader.line_num}: {error}. Look for a quote that is not closed.") from error
    while rows and not rows[-1]:
        rows.pop()
    _check_names(path, names)
    for number, row in enumerate(rows, start=1):
        if len(row) != width and not (width == 1 and not row):
            raise AuditError(
                f"{path}, row {number} has {len(row)} cells, but the header has {width}. Mend the row, or quote cells "
                f"that hold {delimiter!r}."
            )
    rows = [row or [""] for row in rows]
    newline = "\r\n" if first.endswith("\r") else "\n"
    form = {"delimiter": delimiter, "newline": newline, "mark": mark, "encoding": encoding}
    return _Csv(path, suffix, names, rows, form)


def _check_names(path: Path, names: Sequence[str]) -> None:
    if twice := repeated(names):
        raise AuditError(f"{path} has more than one column {listed(twice)}. Give each column a name of its own.")
    if any(not name.strip() for name in names):
        at = [name.strip() for name in names].index("") + 1
        raise AuditError(f"{path}: column {at} has no name in the header. Give it one.")


class _Json(Table):
    """An object for each row."""

    def __init__(self, path: Path, suffix: str, names: list[str], rows: list[dict[str, Any]]) -> None:
        super().__init__(path, suffix, names, len(rows))
        self._rows = rows

    def column(self, name: str) -> list[Any]:
        cells = [row.get(name) for row in self._rows]
        for number, cell in enumerate(cells, start=1):
            if isinstance(cell, dict | list):
                raise AuditError(
                    f"{self.path}, row {number}: {name!r} holds a list or an object. Pass --ignore {name}."
                )
        return cells

    def write(self, path: Path, label: str, labels: list[Any], added: dict[str, list[Any]]) -> None:
        lines = []
        for row, cell, extra in zip(self._rows, labels, zip(*added.values(), strict=True), strict=True):
            own = row if cell is None and label not in row else row | {label: cell}
            lines.append(json.dumps(own | dict(zip(added, extra, strict=True)), ensure_ascii=False) + "\n")
        path.write_bytes(_encode("".join(lines), "utf-8", self.suffix.endswith(".gz")))


def _read_json(path: Path, suffix: str, text: str) -> Table:
    rows: list[dict[str, Any]] = []
    for number, line in enumerate(text.removeprefix("\ufeff").split("\n"), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except json.JSONDecodeError as error:
            raise AuditError(
                f"{path}, line {number} is no JSON: {error.msg}. Each line must hold one object."
            ) from error
        if not isinstance(row, dict):
            raise AuditError(f"{path}, line {number} holds no object {{...}}. Each line must hold one object.")
        rows.append(row)
    names = list(dict.fromkeys(name for row in rows for name in row))
    _check_names(path, names)
    return _Json(path, suffix, names, rows)


class _Parquet(Table):
    """A frame of polars, with the types of its columns."""

    def __init__(self, path: Path, suffix: str, frame: Any) -> None:
        super().__init__(path, suffix, frame.columns, len(frame))
        self._frame = frame

    def column(self, name: str) -> list[Any]:
        import polars as pl

        series = self._frame[name]
        if series.dtype.is_nested():
            raise AuditError(f"{self.path}: column {name!r} holds {series.dtype}. Pass --ignore {name}.")
        if series.dtype in (pl.Categorical, pl.Enum) or series.dtype.is_temporal():
            series = series.cast(pl.String)
        cells: list[Any] = series.to_list()
        return cells

    def write(self, path: Path, label: str, labels: list[Any], added: dict[str, list[Any]]) -> None:
        import polars as pl

        dtype = self._frame[label].dtype
        given = self._frame[label]
        plain = pl.String if dtype in (pl.Categorical, pl.Enum) or dtype.is_temporal() else dtype
        columns = [pl.Series(label, labels, dtype=plain).cast(dtype)]
        columns += [
            given.alias("old_label"),
            pl.Series("influence", added["influence"], dtype=pl.Float64),
            pl.Series("decision", added["decision"], dtype=pl.String),
        ]
        self._frame.with_columns(columns).write_parquet(path)


def _read_parquet(path: Path, suffix: str) -> Table:
    import polars as pl

    try:
        frame = pl.read_parquet(path)
    except Exception as error:  # polars has many, and a panic for a damaged file
        raise AuditError(f"{path} is no Parquet file that can be read: {str(error).splitlines()[0]}.") from error
    if not len(frame):
        raise AuditError(f"{path} has no rows.")
    _check_names(path, frame.columns)
    return _Parquet(path, suffix, frame)
