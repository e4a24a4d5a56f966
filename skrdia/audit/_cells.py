"""What a cell of a column of features stands for: nothing, or a category."""

from __future__ import annotations

from typing import Any

__all__ = ["MISSING", "as_texts", "is_missing", "is_missing_word"]

MISSING = "(missing)"
_WORDS = frozenset({"", "NA", "N/A", "n/a", "#N/A", "<NA>", "NaN", "nan", "NaT", "NULL", "null", "None", "?"})


def is_missing(cell: Any) -> bool:
    """Whether a cell holds nothing."""
    if isinstance(cell, str):
        return cell.strip() in _WORDS
    return cell is None or cell != cell


def is_missing_word(cell: Any) -> bool:
    """Whether a cell holds a word for nothing."""
    return isinstance(cell, str) and bool(cell.strip()) and cell.strip() in _WORDS


def as_texts(cell: Any) -> str:
    """A cell as a category: whole numbers without a point, so that 3 and 3.0 are the same; missing ones alike."""
    if is_missing(cell):
        return MISSING
    if isinstance(cell, float) and cell.is_integer():
        return str(int(cell))
    return str(cell).strip()
