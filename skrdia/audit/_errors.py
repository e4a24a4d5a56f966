"""The error that a user of the command sees as one line."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable
from difflib import get_close_matches
from typing import Any

__all__ = ["AuditError", "listed", "repeated", "unknown_column"]


class AuditError(Exception):
    """What was wrong with a file or an option, and what to do."""


def listed(values: Iterable[object], longest: int = 8) -> str:
    """Some values, quoted, and that there are more."""
    shown = [repr(str(value)[:60]) for value in values]
    return ", ".join(shown[:longest]) + (f" and {len(shown) - longest} more" if len(shown) > longest else "")


def repeated(values: Iterable[Hashable]) -> list[Any]:
    """The values that occur more than once."""
    return [value for value, n in Counter(values).items() if n > 1]


def unknown_column(option: str, name: str, names: Iterable[str], path: object, what: str = "column") -> AuditError:
    """The error about a column, or something else with a name, that a table does not have."""
    names = list(names)
    close = get_close_matches(name, names, 1)
    hint = f"Did you mean {close[0]!r}?" if close else f"It has {listed(names)}."
    return AuditError(f"{option}: {path} has no {what} {name!r}. {hint}")
