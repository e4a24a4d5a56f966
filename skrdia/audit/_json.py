"""JSON lines: an object for each row, whose keys are kept in their order."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from skrdia.audit._decode import Text, encode
from skrdia.audit._errors import AuditError, listed, repeated
from skrdia.audit._table import Table, check_names

__all__ = ["SUFFIXES", "read_json"]

SUFFIXES = (".jsonl", ".ndjson", ".json")
_DEEPEST = 100


class _Json(Table):
    """An object for each row."""

    def __init__(
        self, path: Path, suffix: str, names: list[str], rows: list[dict[str, Any]], lines: Sequence[int], source: Text
    ) -> None:
        super().__init__(path, suffix, names, lines, source.notes)
        self._rows, self._source = rows, source

    def column(self, name: str) -> list[Any]:
        cells = [row.get(name) for row in self._rows]
        for line, cell in zip(self.lines, cells, strict=True):
            if isinstance(cell, dict | list):
                raise AuditError(f"{self.path}, line {line}: {name!r} holds a list or an object. Pass --ignore {name}.")
        return cells

    def write(self, path: Path, label: str, labels: list[Any], added: dict[str, list[Any]]) -> None:
        lines = []
        for row, cell, extra in zip(self._rows, labels, zip(*added.values(), strict=True), strict=True):
            own = row if cell is None and label not in row else row | {label: cell}
            lines.append(self._line(own | dict(zip(added, extra, strict=True))))
        path.write_bytes(encode("".join(lines), self._source))

    def _line(self, row: dict[str, Any]) -> str:
        line = json.dumps(row, ensure_ascii=False) + "\n"
        try:
            line.encode(self._source.encoding)
        except UnicodeEncodeError:  # of a character that was written as an escape
            line = json.dumps(row) + "\n"
        return line


def read_json(path: Path, suffix: str, source: Text) -> Table:
    """Read an object from each line that is not empty."""
    rows: list[dict[str, Any]] = []
    lines: list[int] = []
    for number, line in enumerate(source.text.split("\n"), start=1):
        if line.strip():
            rows.append(_object(f"{path}, line {number}", line))
            lines.append(number)
    names = list(dict.fromkeys(name for row in rows for name in row))
    check_names(path, names)
    if any(not name.strip() for name in names):
        raise AuditError(f"{path}: a key is empty. Give every key a name.")
    return _Json(path, suffix, names, rows, lines, source)


def _object(where: str, line: str) -> dict[str, Any]:
    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        made = dict(pairs)
        if len(made) < len(pairs):
            twice = repeated(name for name, _ in pairs)
            raise AuditError(f"{where} has the key {listed(twice)} more than once. Give each value a key of its own.")
        return made

    def finite(text: str) -> float:
        value = float(text)
        if math.isinf(value):
            raise AuditError(f"{where} has the number {text[:40]}, which is beyond all that is computed with. Mend it.")
        return value

    try:
        row = json.loads(line, object_pairs_hook=unique, parse_float=finite)
    except json.JSONDecodeError as error:
        raise AuditError(f"{where} is no JSON: {error.msg}. Each line must hold one object.") from error
    except ValueError as error:  # an integer of more digits than Python reads
        raise AuditError(f"{where} has a number of too many digits. Write it as text, in quotes.") from error
    except RecursionError as error:
        raise AuditError(f"{where}: {_TOO_DEEP}") from error
    if not isinstance(row, dict):
        raise AuditError(f"{where} holds no object {{...}}. Each line must hold one object.")
    if line.count("[") + line.count("{") > _DEEPEST and _depth(row) > _DEEPEST:
        raise AuditError(f"{where}: {_TOO_DEEP}")
    if "\\u" in line:
        _check_characters(where, row)
    return row


_TOO_DEEP = f"lists and objects stand more than {_DEEPEST} deep in each other. Leave that key out of the file."


def _depth(row: Any) -> int:
    """How deep lists and objects stand in each other."""
    depth, level = 0, [row]
    while level:
        depth += 1
        inner = [list(one.values()) if isinstance(one, dict) else one for one in level]
        level = [cell for cells in inner for cell in cells if isinstance(cell, dict | list)]
    return depth


def _check_characters(where: str, row: dict[str, Any]) -> None:
    for name, cell in row.items():
        try:
            json.dumps([name, cell], ensure_ascii=False).encode("utf-8")
        except UnicodeEncodeError as error:
            raise AuditError(
                f"{where}: {name!a} has half of a pair of surrogates, which is no character. Mend the cell."
            ) from error
