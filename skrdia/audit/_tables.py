"""Tables in files, read so that they can be written again cell by cell, with another label column and three more."""

from __future__ import annotations

from pathlib import Path

from skrdia.audit import _csv, _excel, _json, _parquet
from skrdia.audit._decode import read_text
from skrdia.audit._errors import AuditError
from skrdia.audit._table import ADDED, Table

__all__ = ["ADDED", "Table", "read_table"]


def read_table(path: Path, encoding: str | None = None, sheet: str | None = None) -> Table:
    """Read a CSV, JSON-lines, Parquet or Excel file, by its suffix."""
    suffixes = [suffix.lower() for suffix in path.suffixes]
    packed = suffixes[-1:] == [".gz"]
    kind = ((suffixes[-2:-1] if packed else suffixes[-1:]) or [""])[0]
    suffix = kind + (".gz" if packed else "")
    if not path.exists():
        raise AuditError(f"{path}: there is no such file.")
    if not path.is_file():
        raise AuditError(f"{path} is not a file.")
    if kind in _parquet.SUFFIXES and not packed:
        table = _parquet.read_parquet(path, suffix)
    elif kind == _excel.SUFFIX and not packed:
        table = _excel.read_excel(path, suffix, sheet)
    elif kind in _csv.DELIMITERS:
        table = _csv.read_csv(path, suffix, read_text(path, packed, encoding))
    elif kind in _json.SUFFIXES:
        table = _json.read_json(path, suffix, read_text(path, packed, encoding))
    else:
        known = ", ".join([*_csv.DELIMITERS, *_json.SUFFIXES, *_parquet.SUFFIXES, _excel.SUFFIX])
        hint = " Save it as .xlsx." if kind in (".xls", ".xlsm", ".xlsb", ".ods") else ""
        raise AuditError(f"{path}: unknown kind of file; known are {known}, and those of text with .gz.{hint}")
    if table.n_rows == 0:
        raise AuditError(f"{path} has no rows.")
    return table
