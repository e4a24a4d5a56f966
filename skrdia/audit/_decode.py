"""From the bytes of a file to text and back: packed or not, in the encoding that it says, shows, or is told to have."""

from __future__ import annotations

import codecs
import gzip
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from skrdia.audit._errors import AuditError

__all__ = ["Text", "encode", "read_text"]

_MARKS = {
    codecs.BOM_UTF8: "utf-8",
    codecs.BOM_UTF32_LE: "utf-32-le",  # before UTF-16, whose mark it begins with
    codecs.BOM_UTF32_BE: "utf-32-be",
    codecs.BOM_UTF16_LE: "utf-16-le",
    codecs.BOM_UTF16_BE: "utf-16-be",
}
_BY_MARK = {"utf-8-sig": "utf-8", "utf-16": "utf-16-le", "utf-32": "utf-32-le"}
"""Encodings that a mark completes, and what they are without one."""
_OF_WINDOWS = "cp1252"
_CHUNK, _SAMPLE, _MANY_ZEROS = 2**24, 2**16, 0.3


class Text(NamedTuple):
    """The text of a file without the mark at its beginning, that mark, and the encoding, which may be a guess."""

    text: str
    mark: str
    encoding: str
    packed: bool
    notes: list[str]


def read_text(path: Path, packed: bool, encoding: str | None) -> Text:
    """Read a file of text; without an encoding it is UTF-8, what its mark says, or a guess that is told."""
    with _explained(path, encoding):
        data = _bytes(path, packed)
        used, notes = _encoding_of(path, data, encoding)
        text = data.decode(used)
        if used not in (*_MARKS.values(), _OF_WINDOWS):  # others can hold half of a pair of surrogates
            text.encode("utf-8")
    mark = "\ufeff" if text.startswith("\ufeff") else ""
    text = text.removeprefix("\ufeff")
    if "\x00" in text:
        line = text.count("\n", 0, text.index("\x00")) + 1
        raise AuditError(f"{path} has a zero byte in line {line}: it is no text, or in another --encoding.")
    if not text.strip():
        raise AuditError(f"{path} is empty.")
    return Text(text, mark, used, packed, notes)


def encode(text: str, source: Text) -> bytes:
    """Text as it would stand in the file it came from."""
    data = (source.mark + text).encode(source.encoding)
    return gzip.compress(data, mtime=0) if source.packed else data


def _bytes(path: Path, packed: bool) -> bytes:
    """Read by parts, for signals are heard between them only."""
    with gzip.open(path) if packed else open(path, "rb") as file:
        parts = list(iter(lambda: file.read(_CHUNK), b""))
    return parts[0] if len(parts) == 1 else b"".join(parts)


def _encoding_of(path: Path, data: bytes, told: str | None) -> tuple[str, list[str]]:
    marked = next((encoding for mark, encoding in _MARKS.items() if data.startswith(mark)), None)
    if told is not None:
        name = codecs.lookup(told).name
        by_mark = _BY_MARK.get(name)
        matches = by_mark is not None and marked is not None and marked.startswith(name.removesuffix("-sig"))
        return (marked if matches and marked else by_mark or told), []
    if marked:
        return marked, []
    even, odd = (data[start:_SAMPLE:2].count(0) for start in (0, 1))
    if max(even, odd) > _MANY_ZEROS * min(len(data), _SAMPLE) / 2:
        guessed = "utf-16-le" if odd > even else "utf-16-be"
    else:
        try:
            data.decode("utf-8")
            return "utf-8", []
        except UnicodeDecodeError as error:
            guessed, shown = _OF_WINDOWS, data[max(0, error.start - 12) : error.start + 12]
        try:
            data.decode(guessed)
        except UnicodeDecodeError:
            return "utf-8", []  # whose error is told
        readable = shown.decode(guessed)
        return guessed, [
            f"{path} is not in UTF-8; it is read as {guessed}, in which a part of it is {readable!r}. Name its "
            "encoding by --encoding if that is wrong."
        ]
    return guessed, [f"{path} is read as {guessed}. Name its encoding by --encoding if that is wrong."]


@contextmanager
def _explained(path: Path, encoding: str | None) -> Iterator[None]:
    try:
        yield
    except LookupError as error:
        if "encoding" not in str(error):
            raise
        raise AuditError(
            f"--encoding: {encoding!r} is no encoding that Python knows, such as utf-8 or cp1252."
        ) from error
    except UnicodeDecodeError as error:
        raise AuditError(
            f"{path} is not in {error.encoding}: byte {error.start} cannot be read. Name its encoding, such as "
            "--encoding cp1250."
        ) from error
    except UnicodeEncodeError as error:
        line = str(error.object).count("\n", 0, error.start) + 1
        raise AuditError(
            f"{path}, line {line} has half of a pair of surrogates, which is no character. Mend the line."
        ) from error
    except (gzip.BadGzipFile, zlib.error, EOFError) as error:
        raise AuditError(f"{path} is no whole gzip file: {error}. Download or pack it again.") from error
    except OSError as error:
        raise AuditError(f"{path} cannot be read: {error.strerror or error}.") from error
