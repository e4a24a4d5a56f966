"""Files as a whole: replaced only when they have been written, and text whose encoding is told."""

from __future__ import annotations

import codecs
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

__all__ = ["read_text", "replacing"]

_OTHERS = {
    codecs.BOM_UTF32_LE: "in UTF-32",
    codecs.BOM_UTF32_BE: "in UTF-32",
    codecs.BOM_UTF16_LE: "in UTF-16",
    codecs.BOM_UTF16_BE: "in UTF-16",
    b"\x1f\x8b": "packed by gzip",
    b"PK\x03\x04": "a workbook of a spreadsheet, or packed by zip",
    b"PAR1": "a Parquet file",
}
"""By what files begin with, what they are, in the order to try."""


@contextmanager
def replacing(path: Any) -> Iterator[Path]:
    """A name in the folder of `path`, which takes the place of `path` when all has been written.

    Raises
    ------
    FileNotFoundError, NotADirectoryError, IsADirectoryError
        If there is no such folder, or `path` is one; the message says what to do.
    """
    path = Path(path)
    _check_place(path)
    part = path.with_name(f".{path.name}.{uuid4().hex}.part")
    try:
        yield part
        os.replace(part, path)
    finally:
        with suppress(FileNotFoundError):
            part.unlink()


def _check_place(path: Path) -> None:
    folder = path.parent
    if path.is_dir():
        raise IsADirectoryError(f"{path} is a folder. Name a file in it.")
    if folder.exists() and not folder.is_dir():
        raise NotADirectoryError(f"{path} cannot be written: {folder} is a file, not a folder. Name another place.")
    if not folder.exists():
        raise FileNotFoundError(f"{path} cannot be written: there is no folder {folder}. Make it, or name another.")


def read_text(path: Any, expected: str) -> str:
    """Read a file in UTF-8, with or without its mark; lone surrogates, of which names of files may have some, are kept.

    Raises
    ------
    ValueError
        If it is something else; the message says what, and that `expected` was.
    """
    data = Path(path).read_bytes()
    for beginning, name in _OTHERS.items():
        if data.startswith(beginning):
            raise ValueError(f"{path} is {name}; expected {expected} in UTF-8. Save or unpack it as such.")
    data = data.removeprefix(codecs.BOM_UTF8)
    if not data.strip():
        raise ValueError(f"{path} is empty; expected {expected}.")
    try:
        return data.decode("utf-8", "surrogatepass")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ValueError(
            f"{path}, line {line}: byte 0x{data[error.start]:02x} is not UTF-8. If the file is in cp1252 or another "
            f'encoding, save it as UTF-8; spreadsheets call that "CSV UTF-8". Otherwise it is damaged.'
        ) from error
