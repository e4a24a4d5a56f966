"""What the columns of a table are: numbers, dates, categories, text, or nothing to learn from.

A column is

    number       its cells are finite numbers, none with a leading zero such as 01234
    date         they are dates, with or without a time of day
    time         they are times of day
    category     at most 50 different texts, or a twentieth of the rows, but no more than 1,000
    text         other texts; left out unless --text names it
    identifier   left out: texts or whole numbers that count the rows, or the index that pandas or R wrote
    constant     left out: one value, or none

where cells that are empty, NA, N/A, NaN, null, None or ? are missing. A number, date or time may have a few other
cells, a tenth of them, or any share of words such as "-" or "unknown": those are missing too, and are told.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from itertools import islice
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from skrdia.audit._cells import as_texts, is_missing
from skrdia.audit._errors import AuditError, unknown_column
from skrdia.audit._numbers import NumberForm, as_number, decimal_of, is_open, main_unit
from skrdia.audit._table import Table
from skrdia.audit._times import as_days, time_form, words_of_form

__all__ = ["KINDS", "Column", "for_other_table", "guess", "to_frame"]

KINDS = ("number", "date", "time", "category", "text")
_FEW, _SHARE, _MANY = 50, 0.05, 1_000
_OTHERS, _OTHERS_WHEN_TOLD, _SAMPLE = 0.1, 0.5, 500
_PLACEHOLDERS = {
    "unknown",
    "missing",
    "none",
    "nil",
    "na",
    "n.a.",
    "nan",
    "not available",
    "not applicable",
    "tbd",
    "nd",
}
_LEADING_ZERO = re.compile(r"[-+]?0\d")
_EIGHT_DIGITS = re.compile(r"(?:19|20)\d{6}")
_INDEX = re.compile(r"Unnamed: \d+|__index_level_\d+__")
_WEEK, _YEAR = 7.0, 365.2425
_NOT_PARSED = (ValueError, TypeError, OverflowError)


class Column(NamedTuple):
    """A column, its kind, and why; the kinds of `KINDS` are learned from.

    `form` says how its numbers or times are written, `periods` after how many days its times come round again, and
    `n_others` how many cells are missing because they are no number or time.
    """

    name: str
    kind: str
    n_missing: int
    n_distinct: int
    note: str = ""
    form: Any = None
    periods: tuple[float, ...] = ()
    n_others: int = 0

    @property
    def is_used(self) -> bool:
        return self.kind in KINDS and not self.note.startswith("left out")


class _Read(NamedTuple):
    """Cells as numbers (n,), nan where they are missing, and the positions of those that are none and should be."""

    values: NDArray[np.float64]
    others: list[int]


def guess(table: Table, names: Sequence[str], forced: dict[str, str], decimal: str | None = None) -> list[Column]:
    """The kinds of the columns; `forced` has those that the user named, `decimal` the sign that the user told."""
    for name, kind in forced.items():
        if name not in table.names:
            raise unknown_column(f"--{kind}", name, table.names, table.path)
    own = [name for name in names if forced.get(name) not in ("ignore", "text", "category")]
    shown = decimal or _shown_decimal(table, own)
    columns = []
    for name in names:
        if forced.get(name) == "ignore":
            columns.append(Column(name, "ignored", 0, 0, "left out: --ignore"))
            continue
        columns.append(_guess_one(table, name, forced.get(name), decimal, shown))
    return columns


def _shown_decimal(table: Table, names: Sequence[str]) -> str | None:
    """The comma, if it is the decimal sign wherever the columns with commas show one."""
    samples = [_sample(table.column(name)) for name in names]
    found = {decimal_of(cells) for cells in samples if _has_commas(cells)}
    return "," if found - {None} == {","} else None


def _has_commas(cells: Iterable[Any]) -> bool:
    return any(isinstance(cell, str) and "," in cell for cell in cells)


def _sample(cells: Sequence[Any]) -> Sequence[Any]:
    return cells[:: max(1, len(cells) // _SAMPLE)]


def _guess_one(table: Table, name: str, forced: str | None, told: str | None, shown: str | None) -> Column:
    cells = table.column(name)
    present = [cell for cell in cells if not is_missing(cell)]
    unique = list(dict.fromkeys(present))
    distinct = set(map(as_texts, unique))

    def column(kind: str, note: str = "") -> Column:
        return Column(name, kind, len(cells) - len(present), len(distinct), note)

    if forced in ("category", "text"):
        return column(forced)
    if len(distinct) <= 1 and forced is None:
        return column("constant", "left out: the same everywhere")
    if forced is None and ((table.unnamed and name in table.unnamed) or _INDEX.fullmatch(name)) and _is_index(present):
        return column("identifier", "left out: an index of the rows")
    if forced is None and all(_is_day_of_eight_digits(cell) for cell in unique):
        return _as_times(table, name, cells, unique) or column("category")
    number = _as_number(table, name, cells, unique, forced, told, shown)
    if number is not None:
        return number
    if forced == "numeric":
        raise _no_number(table, name, cells)
    time = _as_times(table, name, cells, unique)
    if time is not None:
        return time
    if len(distinct) == len(present) > _FEW:
        return column("identifier", f"left out: no two are the same; --text {name} uses its words")
    if len(distinct) <= min(_MANY, max(_FEW, _SHARE * len(cells))):
        return column("category")
    return column("text", f"left out: --text {name} uses its words")


def _is_index(present: Sequence[Any]) -> bool:
    """Whether the cells are whole numbers of which no two are the same."""
    texts = list(map(as_texts, present))
    return all(text.isdigit() for text in texts) and len(set(texts)) == len(texts)


def _is_day_of_eight_digits(cell: Any) -> bool:
    text = str(cell).strip()
    if not _EIGHT_DIGITS.fullmatch(text):
        return False
    try:
        as_days(text, "%Y%m%d")
    except ValueError:
        return False
    return True


def _as_number(
    table: Table,
    name: str,
    cells: Sequence[Any],
    unique: Sequence[Any],
    forced: str | None,
    told: str | None,
    shown: str | None,
) -> Column | None:
    """The column as one of numbers, None where it is none."""
    form, note = _form(table, unique, told, shown)
    most = _OTHERS if forced is None else _OTHERS_WHEN_TOLD
    if not _may_be(cells, lambda cell: as_number(cell, form), 2 * most):
        return None
    if forced is None and any(isinstance(c, str) and _LEADING_ZERO.match(c.strip()) for c in unique):
        return None
    read = _read(cells, lambda cell: as_number(cell, form))
    if not _are_few(cells, read, most):
        return None
    known = read.values[~np.isnan(read.values)]
    counts_rows = len(cells) == len(known) > 2 and not known[0] % 1.0 and np.all(np.diff(known) == 1.0)
    if forced is None and counts_rows and not form.unit:
        return Column(name, "identifier", 0, len(known), "left out: it counts the rows")
    notes = [*_of_unit(form, cells), *note, *_of_others(table, cells, read, "numbers")]
    counts = len(cells) - len(known), len(np.unique(known))
    return Column(name, "number", *counts, "; ".join(notes), form, n_others=len(read.others))


def _form(table: Table, unique: Sequence[Any], told: str | None, shown: str | None) -> tuple[NumberForm, list[str]]:
    """How the numbers of a column are written, and a note where that could not be seen."""
    has_commas = _has_commas(unique)
    if not has_commas and "," not in (told, shown):
        decimal, note = ".", list[str]()
    else:
        seen = told or decimal_of(unique)
        decimal = seen or shown or (table.decimal if has_commas else None) or "."
        open_cells = () if seen else islice(filter(is_open, unique), 1)
        other = "point" if decimal == "," else "comma"
        note = [
            f"{c!r} is {as_number(c, NumberForm(decimal)):g}, unless --decimal {other}"
            for c in open_cells
            if _splits(c)
        ]
    return NumberForm(decimal, main_unit(_sample(unique))), note


def _splits(cell: Any) -> bool:
    return isinstance(cell, str) and cell.strip().lstrip("-+").replace(",", "").replace(".", "").isdigit()


def _of_unit(form: NumberForm, present: Sequence[Any]) -> list[str]:
    if not form.unit:
        return []
    without = sum(not is_missing(cell) and form.unit not in str(cell) for cell in present)
    return [f"in {form.unit}" + (f", which {without:,} lack" if without and not form.unit.isalpha() else "")]


def _as_times(table: Table, name: str, cells: Sequence[Any], unique: Sequence[Any]) -> Column | None:
    """The column as one of dates or times of day, None where it is neither."""
    form, is_open_form = time_form(_sample(unique))
    if form is None:
        return None
    parse = _remembered(form)
    if not _may_be(cells, parse, 2 * _OTHERS):
        return None
    form, is_open_form = time_form(unique)
    if form is None:
        return None
    read = _read(cells, _remembered(form))
    if not _are_few(cells, read, _OTHERS):
        return None
    known = read.values[~np.isnan(read.values)]
    notes = [f"read as {words_of_form(form)}"] if is_open_form else []
    notes += _of_others(table, cells, read, "times" if form == "time" else "dates")
    kind = "time" if form == "time" else "date"
    counts = len(cells) - len(known), len(np.unique(known))
    return Column(name, kind, *counts, "; ".join(notes), form, _periods(known, form), len(read.others))


def _remembered(form: str) -> Callable[[Any], float]:
    return lru_cache(100_000)(lambda cell: as_days(cell, form))


def _periods(days: NDArray[np.float64], form: str) -> tuple[float, ...]:
    """Days after which times come round, of those that the column is long and fine enough to show."""
    if form == "time":
        return (1.0,)
    span = float(np.ptp(days))
    of_day = bool(np.ptp(days % 1.0))
    return (1.0,) * of_day + (_WEEK,) * (span >= 2 * _WEEK) + (_YEAR,) * (span >= _YEAR)


def _read(cells: Sequence[Any], parse: Callable[[Any], float]) -> _Read:
    values, others = np.full(len(cells), np.nan), []
    for i, cell in enumerate(cells):
        try:
            values[i] = parse(cell)
        except _NOT_PARSED:
            if not is_missing(cell):
                others.append(i)
    return _Read(values, others)


def _are_few(cells: Sequence[Any], read: _Read, share: float) -> bool:
    """Whether the cells that are no numbers are few, words for nothing beside several numbers not counted."""
    known = read.values[~np.isnan(read.values)]
    if not len(known):
        return False
    if len(read.others) <= share * (len(known) + len(read.others)):
        return True
    words = [str(cells[i]).strip().casefold() for i in read.others]
    n_others = sum(word not in _PLACEHOLDERS and bool(re.search(r"\w", word)) for word in words)
    return n_others <= share * (len(known) + n_others) and len(np.unique(known)) > 2


def _may_be(cells: Sequence[Any], parse: Callable[[Any], float], share: float) -> bool:
    """Whether it is worth to parse all of the cells, by a part of those that are not missing."""
    part = _sample([cell for cell in cells if not is_missing(cell)])
    return _are_few(part, _read(part, parse), share)


def _of_others(table: Table, cells: Sequence[Any], read: _Read, what: str) -> list[str]:
    """That some cells are taken for missing, and which."""
    if not read.others:
        return []
    n_known = int(np.count_nonzero(~np.isnan(read.values)))
    return [f"{n_known:,} of {n_known + len(read.others):,} are {what}; {_told(table, cells, read.others)}"]


def _told(table: Table, cells: Sequence[Any], rows: Sequence[int]) -> str:
    """Cells with their lines: "line 18 is 'missing'"."""
    texts = Counter(str(cells[row])[:40] for row in rows)
    parts = []
    for text, n in texts.most_common(3):
        own = [row for row in rows if str(cells[row])[:40] == text]
        parts.append(f"{table.called(own)} {'is' if n == 1 else 'are'} {text!r}")
    more = f"; and {len(texts) - 3} more words" if len(texts) > 3 else ""
    return ", ".join(parts) + more


def _no_number(table: Table, name: str, cells: Sequence[Any]) -> AuditError:
    rows = _read(cells, as_number).others
    told = _told(table, cells, rows) if rows else "it is empty"
    return AuditError(
        f"--numeric: most of column {name!r} of {table.path} are no numbers: {told}. Mend the cells, or pass "
        f"--category {name}."
    )


def for_other_table(column: Column, table: Table) -> tuple[Column, list[str]]:
    """The column as another table writes it, and notes on its cells that are missing by their form."""
    if column.kind not in ("number", "date", "time"):
        return column, []
    cells = table.column(column.name)
    if column.kind == "number":
        own = decimal_of([cell for cell in cells if not is_missing(cell)])
        column = column._replace(form=column.form._replace(decimal=own or column.form.decimal))
    read = _read(cells, _parser(column))
    if not read.others:
        return column, []
    if len(read.others) > _OTHERS * len(cells) and not _are_few(cells, read, _OTHERS):
        raise AuditError(
            f"{table.path}: column {column.name!r} should hold {column.kind}s, but {_told(table, cells, read.others)}. "
            f"Write them as in the audited table, or pass --category {column.name}."
        )
    return column, [
        f"{table.path}: of column {column.name!r} {told}; taken for missing."
        for told in _of_others(table, cells, read, f"{column.kind}s")
    ]


def _parser(column: Column) -> Callable[[Any], float]:
    if column.kind == "number":
        return lambda cell: as_number(cell, column.form)
    return _remembered(column.form)


def to_frame(table: Table, columns: Sequence[Column], rows: Sequence[int] | NDArray[np.intp]) -> Any:
    """The columns that are learned from as a frame of numbers and texts, for some rows."""
    import polars as pl

    frame = {}
    for column in columns:
        cells = table.column(column.name)
        kept = cells if len(rows) == len(cells) else [cells[i] for i in rows]
        if column.kind in ("category", "text"):
            texts = [None if c is None else str(c) for c in kept]
        else:
            values = _read(kept, _parser(column)).values
            if column.kind == "number":
                frame[column.name] = pl.Series(column.name, values)
                continue
            texts = [None if math.isnan(value) else str(c) for c, value in zip(kept, values, strict=True)]
        frame[column.name] = pl.Series(column.name, texts, dtype=pl.String)
    return pl.DataFrame(frame)
