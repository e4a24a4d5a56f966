"""A ledger as a JSON file, and back: the type of every column is stored beside it."""

from __future__ import annotations

import json
import re
import warnings
from typing import Any, NoReturn

import numpy as np

from skrdia._files import read_text, replacing
from skrdia._ledger_checks import check_labels, check_names, checked, column_of
from skrdia._ledger_columns import COLUMNS, DECISIONS, Book, Column, to_list
from skrdia._ledger_csv import decoded, encoded
from skrdia._shown import shown

__all__ = ["read_json", "write_json"]

_FORMAT = 1
_KEYS = ("skrdia_ledger", "n_samples", "classes", "validation_rows", "outside", "columns", "history")
_CAME = ("row", "label")
_STEP = ("row", "decision", "new_label")
_KINDS = {"int": "iu", "float": "f", "text": "O"}
_DTYPE = re.compile(r"[<>|=](b1|[iu][1248]|f[248]|M8\[[un]s\]|O)")


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
    if book.came is not None:
        content["came"] = {name: _typed(column) for name, column in book.came.items()}
    with replacing(path) as part, open(part, "x", encoding="utf-8") as file:
        json.dump(content, file, allow_nan=False, indent=1)


def _typed(column: Column) -> dict[str, Any]:
    return {"dtype": column.dtype.str, "values": [encoded(cell) for cell in to_list(column)]}


def read_json(path: Any) -> Book:
    """Read what `write_json` wrote."""
    content = _parsed(path, read_text(path, "a ledger in JSON"))
    columns = content["columns"]
    if not isinstance(columns, dict):
        _damaged(path, "columns", columns, "an object with the columns")
    check_names(path, columns)
    columns = {name: _untyped(path, name, column) for name, column in columns.items()}
    lengths = {name: len(column) for name, column in columns.items()}
    if len(set(lengths.values())) > 1:
        raise ValueError(f"{path}: the columns have {lengths} values; expected as many in each. It is damaged.")
    n_samples = content["n_samples"]
    if n_samples is not None and (type(n_samples) is not int or n_samples < 0):
        _damaged(path, "n_samples", n_samples, "the number of rows of X, or null")
    if not isinstance(content["outside"], bool | None):
        _damaged(path, "outside", content["outside"], "true, false or null")
    book = checked(path, columns, _place, n_samples)
    book.n_samples, book.outside = n_samples, content["outside"]
    book.validation = _validation(path, content["validation_rows"], n_samples, columns["row"])
    if content["classes"] is not None:
        book.classes = _untyped(path, "classes", content["classes"])
        check_labels(path, {"classes": book.classes, "label": columns["label"]}, _place)
    if "came" in content:
        book.came = _came(path, content["came"], book)
    if not isinstance(content["history"], list):
        _damaged(path, "history", content["history"], "a list of decisions")
    book.history = [_step(path, i, step, columns) for i, step in enumerate(content["history"], start=1)]
    return book


def _place(i: int) -> str:
    return f"value {i + 1}"


def _parsed(path: Any, text: str) -> dict[str, Any]:
    """The object in the file, of which the keys are those of a ledger of this format."""
    try:
        content = json.loads(text, parse_constant=_no_constant, object_pairs_hook=_no_key_twice)
    except json.JSONDecodeError as error:
        raise ValueError(
            f"{path}, line {error.lineno} is not JSON: {error.msg}. The file is cut off there, damaged, or something "
            "else; write it by Ledger.to_json."
        ) from error
    except (ValueError, RecursionError) as error:  # RecursionError: an array within an array, and so on
        what = "it is nested too deeply" if isinstance(error, RecursionError) else str(error).split(";")[0]
        raise ValueError(f"{path} is not a ledger: {what}. Write it by Ledger.to_json.") from error
    version = content.get("skrdia_ledger") if isinstance(content, dict) else None
    if type(version) is int and version > _FORMAT:
        raise ValueError(
            f"{path} has format {shown(version)} of ledgers, and this version of skrdia reads up to {_FORMAT}. Update "
            "skrdia, or write the ledger as CSV there."
        )
    if type(version) is not int or version != _FORMAT:
        raise ValueError(f"{path} is not a ledger that this version of skrdia can read; write it by Ledger.to_json.")
    if content.keys() - {"came"} != set(_KEYS):
        raise ValueError(f"{path} has the keys {shown(list(content))}, expected {list(_KEYS)}. It is damaged.")
    return dict(content)


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number of JSON")


def _no_key_twice(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError(f"an object has a key twice, of {shown([key for key, _ in pairs])}")
    return found


def _damaged(path: Any, name: str, value: Any, expected: str) -> NoReturn:
    raise ValueError(f"{path}: {name!r} is {shown(value)}; expected {expected}. Write it by Ledger.to_json.")


def _untyped(path: Any, name: str, stored: Any) -> Column:
    """A column in the type that is stored beside it."""
    is_column = isinstance(stored, dict) and stored.keys() == {"dtype", "values"}
    if not is_column or not isinstance(stored["values"], list) or not isinstance(stored["dtype"], str):
        _damaged(path, name, stored, 'an object with "dtype" and "values"')
    if not _DTYPE.fullmatch(stored["dtype"]):
        _damaged(path, f"dtype of {name}", stored["dtype"], 'one such as "<i8", "<f8", "|b1", "<M8[us]" or "|O"')
    dtype, kinds = np.dtype(stored["dtype"]), _KINDS.get(COLUMNS.get(name, "any"), "biufMO")
    if dtype.kind not in kinds:
        _damaged(path, f"dtype of {name}", stored["dtype"], f"one of the kind {kinds}")
    cells = []
    for i, cell in enumerate(stored["values"]):
        try:
            cells.append(decoded(cell))
        except (ValueError, RecursionError) as error:
            raise ValueError(f"{path}: column {name!r} has {shown(cell)} in {_place(i)}; expected a value.") from error
    if dtype.kind != "M":  # of which the cells are text
        cells = column_of(path, name, cells, _place).tolist()
    column = np.fromiter(cells, dtype=object, count=len(cells))
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        try:
            column = column.astype(dtype)
            is_same = repr(to_list(column)) == repr(cells)
        except (TypeError, ValueError, OverflowError):
            is_same = False
    if not is_same:
        i = next((i for i, cell in enumerate(cells) if not _fits(cell, dtype)), 0)
        raise ValueError(
            f"{path}: column {name!r} has {shown(cells[i])} in {_place(i)}, which is no value of its dtype "
            f"{stored['dtype']!r}. It is damaged."
        )
    return column


def _fits(cell: Any, dtype: np.dtype[Any]) -> bool:
    try:
        with warnings.catch_warnings():  # numpy below 2 warns of numbers that are out of range
            warnings.simplefilter("ignore", DeprecationWarning)
            return repr(to_list(np.array([cell], dtype=object).astype(dtype))) == repr([cell])
    except (TypeError, ValueError, OverflowError):
        return False


def _validation(path: Any, rows: Any, n_samples: int | None, lines: Column) -> Any:
    """The mask of the validation rows, of which none is a line of the ledger."""
    if rows is None:
        return None
    if not isinstance(rows, list) or any(type(row) is not int for row in rows):
        _damaged(path, "validation_rows", rows, "a list of integers, or null")
    if n_samples is None or len(set(rows)) < len(rows) or any(not 0 <= row < n_samples for row in rows):
        _damaged(path, "validation_rows", rows, f"different rows of the {shown(n_samples)} of X")
    both = sorted(set(rows) & set(lines.tolist()))
    if both:
        _damaged(path, "validation_rows", both, "rows that are no lines of the ledger")
    try:
        mask = np.zeros(n_samples, dtype=bool)
    except (MemoryError, ValueError) as error:
        raise ValueError(f"{path}: n_samples is {shown(n_samples)}, for which the memory does not suffice.") from error
    mask[rows] = True
    return mask


def _came(path: Any, stored: Any, book: Book) -> dict[str, Column]:
    """Validation rows, and the label that each came with."""
    if not isinstance(stored, dict) or stored.keys() != set(_CAME):
        _damaged(path, "came", stored, f"an object with {list(_CAME)}")
    came = {name: _untyped(path, name, stored[name]) for name in _CAME}
    rows = came["row"].tolist()
    if len(rows) != len(came["label"]) or len(set(rows)) < len(rows):
        _damaged(path, "came", stored, "as many rows as labels, each once")
    others = set(rows) - set(np.flatnonzero(book.validation).tolist() if book.validation is not None else ())
    if others:
        _damaged(path, "came", sorted(others), "rows that are validation rows")
    check_labels(path, {"label": book.columns["label"], "came": came["label"]}, _place)
    return came


def _step(path: Any, number: int, step: Any, columns: dict[str, Column]) -> dict[str, Column]:
    """A decision that `undo` can take back: rows of the ledger, and what they had before."""
    if not isinstance(step, dict) or step.keys() != set(_STEP):
        _damaged(path, f"history, decision {number}", step, f"an object with {list(_STEP)}")
    kept = {name: _untyped(path, name, step[name]) for name in _STEP}
    rows = kept["row"].tolist()
    if not rows or len({len(column) for column in kept.values()}) > 1 or len(set(rows)) < len(rows):
        _damaged(path, f"history, decision {number}", step, f"as many values in each of {list(_STEP)}, for other rows")
    unknown = sorted(set(rows) - set(columns["row"].tolist()))
    if unknown:
        _damaged(path, f"history, decision {number}", unknown, "rows of the ledger")
    if set(kept["decision"].tolist()) - set(DECISIONS):
        _damaged(path, f"history, decision {number}", kept["decision"].tolist(), f"some of {list(DECISIONS)}")
    check_labels(path, {"label": columns["label"], "new_label": kept["new_label"]}, _place)
    return kept
