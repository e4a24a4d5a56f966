"""What every table in a file can do, whatever the kind of the file."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from skrdia.audit._errors import AuditError, listed, repeated

__all__ = ["ADDED", "Table", "check_names", "named"]

ADDED = ("old_label", "influence", "decision")
"""The columns that a repaired table has at its end."""

_UNNAMED = "Unnamed: {}"
"""What pandas calls a column without a name, by its position from zero."""


class Table(ABC):
    """A table that was read: `names` of its columns, and the `lines` of the file in which its rows begin."""

    word = "line"
    """What a number of `lines` counts."""

    decimal: Literal[".", ","] | None = None
    """The decimal sign of numbers that are text, where the kind of the file tells."""

    unnamed: frozenset[str] = frozenset()
    """The columns that have no name in the file, and are called as pandas calls them."""

    def __init__(
        self, path: Path, suffix: str, names: Sequence[str], lines: Sequence[int], notes: Sequence[str] = ()
    ) -> None:
        self.path, self.suffix, self.names, self.lines, self.notes = path, suffix, list(names), lines, list(notes)

    @property
    def n_rows(self) -> int:
        return len(self.lines)

    def called(self, rows: Sequence[int], most: int = 3) -> str:
        """Rows by their lines: "line 18", "lines 18, 25, 31 and 4 more"."""
        shown = ", ".join(str(self.lines[row]) for row in rows[:most])
        more = f" and {len(rows) - most:,} more" if len(rows) > most else ""
        return f"{self.word}{'s' if len(rows) > 1 else ''} {shown}{more}"

    @abstractmethod
    def column(self, name: str) -> list[Any]:
        """The cells: text, numbers, booleans, or None."""

    @abstractmethod
    def write(self, path: Path, label: str, labels: list[Any], added: dict[str, list[Any]]) -> None:
        """Write the table with other labels, and columns added at its end."""


def named(names: Sequence[str]) -> tuple[list[str], frozenset[str]]:
    """The names, and which of them were missing and are called as pandas calls such columns."""
    whole = [name if name.strip() else _UNNAMED.format(j) for j, name in enumerate(names)]
    return whole, frozenset(new for new, name in zip(whole, names, strict=True) if new != name)


def check_names(path: Path, names: Sequence[str]) -> None:
    """Raise unless every column has a name of its own."""
    if twice := repeated(names):
        raise AuditError(f"{path} has more than one column {listed(twice)}. Give each column a name of its own.")
