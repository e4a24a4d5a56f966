"""The columns of labels: which rows have one, which differ in nothing but their spelling, and what can be learned.

Only empty cells are missing here, for a word such as None may well be a label.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from skrdia.audit._cells import is_missing_word
from skrdia.audit._errors import AuditError, listed
from skrdia.audit._table import Table

__all__ = ["Labels", "as_spelled", "read_given", "read_labels"]

_MOST_CLASSES, _MOST_NUMBERS, _LONGEST, _MOST_SHOWN = 1_000, 100, 1_000, 5
_NUMBER = re.compile(r"[-+]?(?:[0-9]{1,400}\.?[0-9]{0,400}|\.[0-9]{1,400})(?:[eE][-+]?[0-9]{1,3})?")
_BLANK = re.compile(r"[\s\u200b\u200c\u200d\u2060\ufeff]+")
_INT64 = 2**63


class Labels(NamedTuple):
    """The labels (n,) of the rows (n,) that have one, the cells of all rows with other spellings merged, and notes."""

    rows: NDArray[np.intp]
    labels: NDArray[Any]
    cells: list[Any]
    notes: list[str]


def read_labels(table: Table, name: str, missing: Iterable[str], similar: str) -> Labels:
    """The labels of a column; `missing` has words for none, `similar` what to do about other spellings."""
    cells, words = table.column(name), {word.strip() for word in missing}
    notes = [f"--missing-label: no cell of column {name!r} is {word!r}." for word in sorted(words - _texts(cells))]
    rows = [i for i, cell in enumerate(cells) if not _is_empty(cell, words)]
    if not rows:
        raise AuditError(f"--label: column {name!r} is empty in every row.")
    _check_size(table, name, cells, rows)
    merged = _merged(table, name, cells, rows, similar, notes)
    notes += _of_words(name, (merged[i] for i in rows))
    labels = np.fromiter((merged[i] for i in rows), dtype=object, count=len(rows))
    _check_kinds(table, name, merged, rows)
    _check_classes(name, Counter(labels.tolist()))
    notes += _of_single_rows(table, name, merged, rows)
    if len(rows) < len(cells):
        notes.append(f"{len(cells) - len(rows):,} rows without a label are kept as they are, and not learned from.")
    return Labels(np.array(rows), labels, merged, notes)


def _texts(cells: Sequence[Any]) -> set[str]:
    return {cell.strip() for cell in cells if isinstance(cell, str)}


def _is_empty(cell: Any, words: set[str]) -> bool:
    if isinstance(cell, str):
        return not _BLANK.sub("", cell) or cell.strip() in words
    return cell is None or cell != cell


def _check_size(table: Table, name: str, cells: Sequence[Any], rows: Sequence[int]) -> None:
    for i in rows:
        cell = cells[i]
        if isinstance(cell, str) and len(cell) > _LONGEST:
            raise AuditError(
                f"--label: column {name!r} has a text of {len(cell):,} characters in {table.called([i])}; a label has "
                f"at most {_LONGEST:,}. Name another column, or mend the cell."
            )
        if isinstance(cell, int) and not -_INT64 <= cell < _INT64:
            raise AuditError(
                f"--label: column {name!r} has the number {str(cell)[:20]}... in {table.called([i])}, which takes more "
                "than 64 bits. Write such labels as text."
            )


def spelling(label: Any) -> str:
    """What two spellings of a label share: case, outer and repeated spaces, and 1 or 1.0 do not count."""
    text = _BLANK.sub(" ", unicodedata.normalize("NFC", str(label))).strip()
    return str(Decimal(text).normalize()) if _NUMBER.fullmatch(text) else text.casefold()


def as_spelled(cells: Sequence[Any], labels: NDArray[Any], similar: str) -> tuple[list[Any], list[str]]:
    """Each cell as these labels spell it, None where it is none of them, and those that differ in spelling only."""
    known = {str(label): label for label in labels.tolist()}
    alike = {spelling(label): label for label in known.values()}
    merges = similar == "merge"
    found = [known.get(str(cell), alike.get(spelling(cell)) if merges else None) for cell in cells]
    strange = {str(cell): spelling(cell) for cell, own in zip(cells, found, strict=True) if own is None}
    return found, [f"{text!r} for {str(alike[key])!r}" for text, key in sorted(strange.items()) if key in alike]


def read_given(
    table: Table,
    name: str,
    labels: Labels,
    trusted: NDArray[np.bool_],
    missing: Iterable[str],
    similar: str,
    columns: tuple[str, str],
) -> tuple[NDArray[Any], list[str]]:
    """The label (n,) that each row with a label came with, None where that is not known, and notes.

    `columns` are those of the labels and of the verified rows.
    """
    cells, words = table.column(name), {word.strip() for word in missing}
    own = [(i, cells[row]) for i, row in enumerate(labels.rows.tolist()) if not _is_empty(cells[row], words)]
    found, respelled = as_spelled([cell for _, cell in own], labels.labels, similar)
    if respelled and similar == "error":
        raise AuditError(
            f"--given: column {name!r} has labels that differ from those of column {columns[0]!r} in case, spaces or "
            f"the form of a number only: {'; '.join(respelled[:_MOST_SHOWN])}. Pass --similar-labels merge to make "
            "them one, or --similar-labels keep if they are not the same."
        )
    given = np.full(len(labels.rows), None, dtype=object)
    for (i, _), label in zip(own, found, strict=True):
        given[i] = label
    differs = [int(labels.rows[i]) for i, _ in own if not trusted[i] and given[i] != labels.labels[i]]
    if differs:
        raise AuditError(
            f"--given: column {name!r} has another label than column {columns[0]!r} in {table.called(differs)}, where "
            f"column {columns[1]!r} says no. Rows that nobody verified have the label they came with: put it back into "
            f"column {columns[0]!r}, or, where somebody did, write yes into column {columns[1]!r}."
        )
    unknown = Counter(str(cell) for i, cell in own if trusted[i] and given[i] is None)
    notes = [
        f"--given: {_counted(text, n)} of column {name!r} is no label of column {columns[0]!r}, and is not counted."
        for text, n in unknown.most_common(_MOST_SHOWN)
    ]
    given[~trusted] = None
    if all(label is None for label in given.tolist()):
        notes.append(f"--given: column {name!r} says of no verified row with which label it came.")
    return given, notes


def _merged(
    table: Table, name: str, cells: list[Any], rows: Sequence[int], similar: str, notes: list[str]
) -> list[Any]:
    """The cells, of which those alike are given the commonest spelling where that was asked for."""
    counts = Counter((type(cells[i]), cells[i]) for i in rows)
    alike: defaultdict[str, list[tuple[type, Any]]] = defaultdict(list)
    for one in counts:
        alike[spelling(one[1])].append(one)
    groups = [sorted(own, key=lambda one: -counts[one]) for own in alike.values() if len(own) > 1]
    if not groups or similar == "keep":
        return cells
    if similar != "merge":
        pairs = "; ".join(" and ".join(_counted(one[1], counts[one]) for one in own) for own in groups[:_MOST_SHOWN])
        more = f"; and {len(groups) - _MOST_SHOWN:,} more" if len(groups) > _MOST_SHOWN else ""
        raise AuditError(
            f"--label: column {name!r} has labels that differ in case, spaces or the form of a number only: "
            f"{pairs}{more}. Pass --similar-labels merge to make them one, or --similar-labels keep if they are not "
            "the same."
        )
    into = {one: own[0][1] for own in groups for one in own[1:]}
    merged = list(cells)
    for i in rows:
        merged[i] = into.get((type(cells[i]), cells[i]), cells[i])
    said = "; ".join(
        f"{', '.join(_counted(one[1], counts[one]) for one in own[1:])} into {own[0][1]!r}"
        for own in groups[:_MOST_SHOWN]
    )
    more = f"; and {len(groups) - _MOST_SHOWN:,} more" if len(groups) > _MOST_SHOWN else ""
    notes.append(f"labels of column {name!r} are merged: {said}{more}.")
    return merged


def _counted(label: Any, n: int) -> str:
    return f"{label!r} ({n:,} row{'s' if n > 1 else ''})"


def _of_words(name: str, labels: Iterable[Any]) -> list[str]:
    """Notes on labels that are words for nothing elsewhere."""
    counts = Counter(label for label in labels if is_missing_word(label))
    return [
        f"{_counted(word, n)} in column {name!r} is taken for a label; --missing-label {word.strip()} says it is none."
        for word, n in counts.most_common(_MOST_SHOWN)
    ]


def _check_kinds(table: Table, name: str, cells: Sequence[Any], rows: Sequence[int]) -> None:
    first: dict[type, int] = {}
    for i in rows:
        first.setdefault(type(cells[i]), i)
    if len(first) > 1:
        one, other = list(first.values())[:2]
        raise AuditError(
            f"--label: column {name!r} has values of different types, such as {cells[one]!r} in {table.called([one])} "
            f"and {cells[other]!r} in {table.called([other])}. Write all labels as text, or all as numbers."
        )


def _check_classes(name: str, counts: Counter[Any]) -> None:
    if len(counts) < 2:
        raise AuditError(f"--label: column {name!r} is {listed(counts)} in every row; two labels are needed.")
    numbers = _all_numbers(counts)
    if numbers and (len(counts) > _MOST_NUMBERS or any(value % 1 for value in numbers)):
        raise AuditError(
            f"--label: column {name!r} looks like a number to predict, such as {listed(list(counts)[:3])}. "
            "This command repairs class labels; put the numbers in classes first."
        )
    if len(counts) > _MOST_CLASSES:
        raise AuditError(f"--label: column {name!r} has {len(counts):,} labels; at most {_MOST_CLASSES:,}.")


def _of_single_rows(table: Table, name: str, cells: Sequence[Any], rows: Sequence[int]) -> list[str]:
    """A note on labels with a single row, which are more often a slip than a label."""
    counts = Counter(cells[i] for i in rows)
    single = [i for i in rows if counts[cells[i]] == 1]
    if not single:
        return []
    return [
        f"{listed(cells[i] for i in single)} in column {name!r} has a single row ({table.called(single)}), from which "
        "nothing can be learned; correct it, if it is a slip."
    ]


def _all_numbers(labels: Any) -> list[float]:
    """The labels as numbers, none unless all are finite ones."""
    try:
        values = [float(label) for label in labels]
    except (TypeError, ValueError, OverflowError):
        return []
    return values if all(map(math.isfinite, values)) else []
