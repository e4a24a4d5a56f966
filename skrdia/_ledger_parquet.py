"""A ledger as a Parquet file, and back.

Parquet has types of its own; a column of mixed types, of tuples, or of texts with lone surrogates is stored as JSON,
under its name followed by ":json".
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Any, Literal

from skrdia._files import replacing
from skrdia._ledger_checks import check_names, checked, column_of, ordered
from skrdia._ledger_columns import COLUMNS, Book, Column, for_frame, is_text
from skrdia._ledger_csv import decoded, encoded
from skrdia._shown import shown

__all__ = ["read_parquet", "write_parquet"]

_JSON = ":json"
_MAGIC = b"PAR1"


def write_parquet(path: Any, columns: dict[str, Column]) -> None:
    """Write the columns with their types."""
    import narwhals as nw

    cells: dict[str, Any] = {}
    for name, column in columns.items():
        is_json = column.dtype.kind == "O" and not (is_text(column) and all(map(_is_unicode, column)))
        cells[f"{name}{_JSON}" if is_json else name] = (
            [json.dumps(encoded(cell)) for cell in column] if is_json else for_frame(column, mixes=True)
        )
    frame = nw.from_dict(cells, backend=_parquet_backend())
    with replacing(path) as part:
        frame.write_parquet(part)


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def read_parquet(path: Any) -> Book:
    """Read what `write_parquet` wrote."""
    frame = _frame(path)
    stored = {name: _plain_name(name) for name in frame.columns}
    check_names(path, stored.values())
    given = {name: at for at, name in stored.items()}
    columns = {name: column_of(path, name, _cells(path, name, frame[given[name]]), _place) for name in ordered(given)}
    return checked(path, columns, _place)


def _plain_name(stored: str) -> str:
    name = stored.removesuffix(_JSON)
    return name if COLUMNS.get(name, "any") == "any" else stored


def _place(i: int) -> str:
    return f"row {i + 1}"


def _frame(path: Any) -> Any:
    import narwhals as nw

    backend = _parquet_backend()
    with open(path, "rb") as file:
        beginning = file.read(len(_MAGIC))
        file.seek(0, 2)
        file.seek(max(file.tell() - len(_MAGIC), 0))
        if beginning != _MAGIC or file.read() != _MAGIC:
            raise ValueError(
                f"{path} is no Parquet file, or is cut off: it does not begin and end as one. Write it by "
                "Ledger.to_parquet."
            )
    with _explained(path):
        return nw.read_parquet(str(path), backend=backend)


@contextmanager
def _explained(path: Any) -> Iterator[None]:
    try:
        yield
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:  # of a damaged file polars raises a panic, which is no Exception
        raise ValueError(f"{path} is a Parquet file that cannot be read, as it is damaged.") from error


def _cells(path: Any, name: str, series: Any) -> Any:
    """The cells of a column as `column_of` takes them."""
    import narwhals as nw

    kind, dtype = COLUMNS.get(name, "any"), series.dtype
    if len(series) == 0:
        return []
    fits = {
        "text": dtype == nw.String,
        "int": dtype.is_integer(),
        "float": dtype.is_float() or dtype.is_integer(),
        "any": dtype in (nw.String, nw.Boolean) or dtype.is_integer() or dtype.is_float() or _is_time(dtype),
    }
    is_json = series.name.endswith(_JSON)
    if not fits["text" if is_json else kind]:
        raise ValueError(f"{path}: column {series.name!r} has the type {dtype}; write it by Ledger.to_parquet.")
    with _explained(path):
        cells, values = series.to_list(), series.to_numpy()
    if kind == "float":
        return [float("nan") if cell is None else cell for cell in cells]
    if None in cells:
        raise ValueError(
            f"{path}: column {series.name!r} has nothing in {_place(cells.index(None))}; expected a value."
        )
    if is_json:
        return [_from_json(path, series.name, cell, _place(i)) for i, cell in enumerate(cells)]
    return values if kind == "any" and dtype != nw.String else cells  # numpy would cut zeros off the ends of texts


def _is_time(dtype: Any) -> bool:
    import narwhals as nw

    return dtype == nw.Datetime and dtype.time_zone is None


def _from_json(path: Any, name: str, cell: str, place: str) -> Any:
    try:
        return decoded(json.loads(cell))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path}: column {name!r} has {shown(cell)} in {place}; expected a value in JSON.") from error


def _parquet_backend() -> Literal["polars", "pyarrow"]:
    if find_spec("polars") is not None:
        return "polars"
    if find_spec("pyarrow") is not None:
        return "pyarrow"
    raise ImportError(
        "Parquet files need polars or pyarrow (pandas too reads them by pyarrow). Install one of them, with: pip "
        "install polars; or use CSV or JSON, which need nothing."
    )
