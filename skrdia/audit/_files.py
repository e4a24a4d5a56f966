"""The files of an audit, written beside their place and moved there when all are whole."""

from __future__ import annotations

import os
import shutil
import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

from skrdia.audit._errors import AuditError

__all__ = ["all_or_nothing", "check_folder", "interruptible"]


def check_folder(out: Path, names: Iterable[str], inputs: Iterable[Path]) -> None:
    """Raise unless these files can be written to the folder without touching an input."""
    if out.exists() and not out.is_dir():
        raise AuditError(f"--out: {out} is a file; name a folder.")
    if not out.exists() and not out.parent.is_dir():
        raise AuditError(f"--out: the folder {out.parent} does not exist. Make it first.")
    for name in names:
        place = out / name
        for read in inputs:
            if place.exists() and read.exists() and place.samefile(read):
                raise AuditError(
                    f"--out: {place} is an input of this audit, and would be replaced. Name another folder."
                )
        if place.is_dir():
            raise AuditError(f"--out: {place} is a folder, where a file is to be written. Name another folder.")
    part = _beside(out)
    try:
        part.mkdir()
        part.rmdir()
    except OSError as error:
        raise AuditError(f"--out: {out} cannot be written: {error.strerror}. Name another folder.") from error


@contextmanager
def all_or_nothing(out: Path) -> Iterator[Path]:
    """A folder to write to; its files replace those of `out` when all of them have been written."""
    part = _beside(out)
    try:
        part.mkdir()
        yield part
        if out.exists():
            for file in part.iterdir():
                os.replace(file, out / file.name)
        else:
            os.replace(part, out)
    except OSError as error:
        raise AuditError(
            f"--out: {out} cannot be written: {error.strerror or error}. Nothing was changed; free some space, or name "
            "another folder."
        ) from error
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _beside(out: Path) -> Path:
    """A new name on the same disk, in the folder itself where it exists."""
    return (out if out.exists() else out.parent) / f".audit-{uuid4().hex}"


@contextmanager
def interruptible() -> Iterator[Callable[[], None]]:
    """Have Ctrl-C and `kill` end the command by KeyboardInterrupt, so that it cleans up.

    Yields a function that raises it again after a signal: Python drops an exception that is raised while C calls back,
    such as from the loader of libraries.
    """
    caught: list[int] = []

    def stop(number: int, _: Any) -> None:
        caught.append(number)
        raise KeyboardInterrupt

    def check() -> None:
        if caught:
            raise KeyboardInterrupt

    is_main = threading.current_thread() is threading.main_thread()
    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM) if is_main}
    try:
        yield check
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
