"""What the columns of a table are: numbers, dates, categories, text, or nothing to learn from; and their encoding.

A column is

    number       all its cells are finite numbers, none with a leading zero such as 01234
    date         all are ISO dates or times; encoded as days since 1970
    category     at most 50 different texts, or a twentieth of the rows, but no more than 1,000
    text         other texts; left out unless --text names it
    identifier   left out: texts or whole numbers that count the rows
    constant     left out: one value, or none

where cells that are empty, NA, N/A, NaN, null, None or ? are missing. Numbers are scaled, with the median for missing
ones and a column that marks them, and those of ten values or more are also given cubic splines, so that a linear model
can follow a curve (adult: test log loss 0.308 instead of 0.318); categories are one-hot, with missing as one of them
and rare ones together; text becomes tf-idf weights of words.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.compose import ColumnTransformer
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, SplineTransformer, StandardScaler

from skrdia.audit._errors import AuditError, unknown_column

__all__ = ["Column", "as_texts", "encoder", "guess", "is_missing", "to_frame"]

_MISSING = frozenset({"", "NA", "N/A", "NaN", "nan", "NULL", "null", "None", "?"})
_FEW, _SHARE, _MANY = 50, 0.05, 1_000
_LEADING_ZERO = re.compile(r"[-+]?0\d")
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
_RARE, _MOST_CATEGORIES, _MOST_WORDS = 10, 100, 50_000
_CURVED, _KNOTS = 10, 5
_SECONDS_PER_DAY = 86_400.0
KINDS = ("number", "date", "category", "text")


class Column(NamedTuple):
    """A column, its kind, and why; the kinds of `KINDS` are learned from."""

    name: str
    kind: str
    n_missing: int
    n_distinct: int
    note: str = ""

    @property
    def is_used(self) -> bool:
        return self.kind in KINDS and not self.note.startswith("left out")


def is_missing(cell: Any) -> bool:
    """Whether a cell holds nothing."""
    if isinstance(cell, str):
        return cell.strip() in _MISSING
    return cell is None or cell != cell


def as_number(cell: Any, comma: bool = False) -> float:
    """A cell as a number; nan where it is missing, ValueError where it is none."""
    if isinstance(cell, bool | np.bool_):
        raise ValueError("a boolean is no number")
    if isinstance(cell, str):
        text = cell.strip()
        if text in _MISSING:
            return math.nan
        if "_" in text:
            raise ValueError("no number")
        return float(text.replace(",", ".") if comma else text)
    return math.nan if cell is None else float(cell)


def as_days(cell: Any) -> float:
    """An ISO date or time in days since 1970; nan where it is missing, ValueError where it is none."""
    if is_missing(cell):
        return math.nan
    text = str(cell).strip()
    if not _DATE.match(text):
        raise ValueError("no date")
    time = datetime.fromisoformat(text)
    return (time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp() / _SECONDS_PER_DAY


def as_texts(cell: Any) -> str:
    """A cell as a category: whole numbers without a point, so that 3 and 3.0 are the same; missing ones alike."""
    if is_missing(cell):
        return "(missing)"
    if isinstance(cell, float | np.floating) and float(cell).is_integer():
        return str(int(cell))
    return str(cell).strip()


def guess(table: Any, names: Sequence[str], forced: dict[str, str]) -> list[Column]:
    """The kinds of the columns; `forced` has those that the user named."""
    for name, kind in forced.items():
        if name not in table.names:
            raise unknown_column(f"--{kind}", name, table.names, table.path)
    columns = []
    for name in names:
        if forced.get(name) == "ignore":
            columns.append(Column(name, "ignored", 0, 0, "left out: --ignore"))
            continue
        columns.append(_guess_one(table, name, forced.get(name)))
    return columns


def _guess_one(table: Any, name: str, forced: str | None) -> Column:
    cells = table.column(name)
    present = [cell for cell in cells if not is_missing(cell)]
    distinct = set(map(as_texts, present))

    def told(kind: str, note: str = "") -> Column:
        return Column(name, kind, len(cells) - len(present), len(distinct), note)

    if forced == "numeric":
        _numbers(table, name, cells)
        return told("number")
    if forced is not None:
        return told(forced)
    if len(distinct) <= 1:
        return told("constant", "left out: the same everywhere")
    values = _parsed(present, lambda cell: as_number(cell, table.decimal_comma))
    if values is not None and not any(isinstance(c, str) and _LEADING_ZERO.match(c.strip()) for c in present):
        if np.isinf(values).any():
            _numbers(table, name, cells)  # tells the row
        if len(cells) == len(present) > 2 and np.all(np.diff(values) == 1.0):
            return told("identifier", "left out: it counts the rows")
        return told("number")
    if _parsed(present, as_days) is not None:
        return told("date")
    if len(distinct) == len(present) > _FEW:
        return told("identifier", f"left out: no two are the same; --text {name} uses its words")
    if len(distinct) <= min(_MANY, max(_FEW, _SHARE * len(cells))):
        return told("category")
    return told("text", f"left out: --text {name} uses its words")


def _parsed(cells: Iterable[Any], parse: Callable[[Any], float]) -> NDArray[np.float64] | None:
    """The cells as numbers, None unless all are."""
    try:
        return np.array([parse(cell) for cell in cells])
    except (ValueError, TypeError, OverflowError):
        return None


def _numbers(table: Any, name: str, cells: Sequence[Any]) -> NDArray[np.float64]:
    """The cells as numbers, of which all must be finite or missing."""
    values = np.empty(len(cells))
    for row, cell in enumerate(cells):
        try:
            values[row] = as_number(cell, table.decimal_comma)
        except (ValueError, TypeError):
            raise AuditError(
                f"{table.path}, row {row + 1}: column {name!r} has {str(cell)[:40]!r}, where numbers are "
                f"expected. Mend the cell, or pass --category {name}."
            ) from None
        if math.isinf(values[row]):
            raise AuditError(f"{table.path}, row {row + 1}: column {name!r} is infinite. Mend the cell.")
    return values


def to_frame(table: Any, columns: Sequence[Column], rows: Sequence[int] | NDArray[np.intp]) -> Any:
    """The columns that are learned from as a frame of numbers and texts, for some rows."""
    import polars as pl

    frame = {}
    for column in columns:
        cells = table.column(column.name)
        kept = cells if len(rows) == len(cells) else [cells[i] for i in rows]
        if column.kind == "number":
            frame[column.name] = pl.Series(column.name, _numbers(table, column.name, kept))
        else:
            frame[column.name] = pl.Series(column.name, [None if c is None else str(c) for c in kept], dtype=pl.String)
    return pl.DataFrame(frame)


def _cells(X: Any) -> NDArray[Any]:
    return np.asarray(X.to_numpy() if hasattr(X, "to_numpy") else X, dtype=object)


def numbers_of(X: Any) -> NDArray[np.float64]:
    """A table of cells as numbers, with nan for missing ones."""
    values = np.asarray(X.to_numpy() if hasattr(X, "to_numpy") else X)
    if values.dtype.kind in "fiu":
        return values.astype(np.float64)
    return np.array([[as_number(cell) for cell in row] for row in _cells(X)], dtype=np.float64)


def days_of(X: Any) -> NDArray[np.float64]:
    """A table of dates as days, with nan for missing ones."""
    return np.array([[as_days(cell) for cell in row] for row in _cells(X)], dtype=np.float64)


def texts_of(X: Any) -> NDArray[Any]:
    """A table of cells as categories."""
    cells = _cells(X)
    return np.array([as_texts(cell) for cell in cells.ravel()], dtype=object).reshape(cells.shape)


def words_of(X: Any) -> NDArray[Any]:
    """A column of cells as text."""
    return np.array(["" if is_missing(cell) else str(cell) for cell in _cells(X).ravel()], dtype=object)


def encoder(columns: Sequence[Column], dense: bool) -> ColumnTransformer:
    """From a frame with these columns, of whatever library, to numbers."""

    def numeric(cells: Any) -> Any:
        return make_pipeline(
            FunctionTransformer(cells, feature_names_out="one-to-one"),
            SimpleImputer(strategy="median", add_indicator=True),
            StandardScaler(),
        )

    def curved(cells: Any) -> Any:
        return make_pipeline(
            FunctionTransformer(cells, feature_names_out="one-to-one"),
            SimpleImputer(strategy="median"),
            SplineTransformer(n_knots=_KNOTS, knots="quantile", include_bias=False),
            StandardScaler(),
        )

    of = {kind: [column.name for column in columns if column.kind == kind] for kind in KINDS}
    one_hot = OneHotEncoder(
        handle_unknown="infrequent_if_exist", min_frequency=_RARE, max_categories=_MOST_CATEGORIES, sparse_output=True
    )
    parts: list[tuple[str, Any, Any]] = [
        ("numbers", numeric(numbers_of), of["number"]),
        ("curves", curved(numbers_of), [c.name for c in columns if c.kind == "number" and c.n_distinct >= _CURVED]),
        ("dates", numeric(days_of), of["date"]),
        (
            "categories",
            make_pipeline(FunctionTransformer(texts_of, feature_names_out="one-to-one"), one_hot),
            of["category"],
        ),
    ]
    words = TfidfVectorizer(min_df=2, max_features=_MOST_WORDS, sublinear_tf=True)
    parts += [(f"text {name}", make_pipeline(FunctionTransformer(words_of), words), [name]) for name in of["text"]]
    used = [part for part in parts if part[2]]
    return ColumnTransformer(used, sparse_threshold=0.0 if dense else 0.5, verbose_feature_names_out=True)
