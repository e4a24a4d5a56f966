"""The files of an audit: written beside their place, and put there together when all are whole.

A folder that does not exist yet is written under another name, and renamed. In one that exists the new files replace
the old ones one by one, by a journal: once it is written, they will all be in place, by this process or, if that is
killed, by the next audit of the folder; a fault before the last one brings the old ones back.

    .audit-<32 digits>/     locked while its process lives; without a lock it is left over
        new/                the new files
        old/                what they replace, to bring it back
        journal             written when all of `new` is whole and all of `old` is kept
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

from skrdia.audit._errors import AuditError

__all__ = ["Interrupts", "all_or_nothing", "check_folder", "finish_earlier"]

_PART = re.compile(r"\.audit-[0-9a-f]{32}")
_ABANDONED = 86_400.0
"""Seconds after which a folder is left over, where there are no locks."""


class _HalfReplacedError(Exception):
    """Some files are old and some new, and neither could be changed."""


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
def all_or_nothing(out: Path, interrupts: Interrupts | None = None) -> Iterator[Path]:
    """A folder to write to; its files replace those of `out` when all of them have been written."""
    part, interrupts = _beside(out), interrupts or Interrupts()
    keep = False
    try:
        with _locked(part):
            (part / "new").mkdir()
            yield part / "new"
            with interrupts.held():
                _put_in_place(part, out)
                interrupts.outcome = f"the files in {out} are all new"
    except _HalfReplacedError as error:
        keep = True
        raise AuditError(
            f"--out: {out} has files of this audit and of the one before: {error}. Both are whole in {part}; mend the "
            "disk and run any audit to this folder, which puts the new ones in place."
        ) from error
    except OSError as error:
        raise AuditError(
            f"--out: {out} cannot be written: {error.strerror or error}. Nothing was changed; free some space, or name "
            "another folder."
        ) from error
    finally:
        if not keep:
            shutil.rmtree(part, ignore_errors=True)


def _beside(out: Path) -> Path:
    """A new name on the same disk, in the folder itself where it exists."""
    return (out if out.exists() else out.parent) / f".audit-{uuid4().hex}"


def _put_in_place(part: Path, out: Path) -> None:
    new = part / "new"
    for file in new.iterdir():
        _flush(file)
    if not out.exists():
        os.replace(new, out)
        return
    names, old = sorted(os.listdir(new)), part / "old"
    old.mkdir()
    for name in names:
        if os.path.lexists(out / name):
            _keep(out / name, old / name)
    (part / "journal.part").write_text("\n".join(names), encoding="utf-8")
    _flush(part / "journal.part")
    os.replace(part / "journal.part", part / "journal")
    try:
        for name in names:
            os.replace(new / name, out / name)
    except BaseException as error:
        try:
            _bring_back(part, out, names)
        except OSError:
            raise _HalfReplacedError(getattr(error, "strerror", None) or str(error)) from error
        raise
    with suppress(OSError):
        (part / "journal").unlink()


def _flush(file: Path) -> None:
    """Have a file on the disk, so that no power cut leaves an empty one under its name."""
    with open(file, "rb+") as stream:  # which not every system syncs when it is only read
        os.fsync(stream.fileno())


def _keep(place: Path, copy: Path) -> None:
    try:
        os.link(place, copy, follow_symlinks=False)
    except (OSError, NotImplementedError):  # where there are no links to files
        shutil.copy2(place, copy, follow_symlinks=False)


def _bring_back(part: Path, out: Path, names: Iterable[str]) -> None:
    """Undo the replacements that were made, and take the journal back."""
    for name in names:
        if os.path.lexists(part / "new" / name):
            continue
        if not os.path.lexists(part / "old" / name):
            (out / name).unlink()
            continue
        try:
            os.replace(part / "old" / name, out / name)
        except OSError:
            shutil.copy2(part / "old" / name, out / name, follow_symlinks=False)
    (part / "journal").unlink()


def finish_earlier(out: Path) -> list[str]:
    """Do away with what killed audits left in and beside the folder: whole sets of files are put in place."""
    return [note for folder in dict.fromkeys((out, out.parent)) for note in _finish(folder)]


def _finish(folder: Path) -> list[str]:
    notes = []
    try:
        parts = [path for path in folder.iterdir() if _PART.fullmatch(path.name) and path.is_dir()]
    except OSError:
        return []
    for part in parts:
        if part.is_symlink() or not _is_left_over(part):
            continue
        try:
            if (part / "journal").exists():
                for name in (part / "journal").read_text(encoding="utf-8").split("\n"):
                    if os.path.lexists(part / "new" / name):
                        os.replace(part / "new" / name, folder / name)
                notes.append(f"an audit was killed while it replaced the files in {folder}; they are all new now.")
        except OSError as error:
            raise AuditError(
                f"--out: {part} holds whole files of an earlier audit, which cannot be put in place: {error.strerror}. "
                "Move them yourself, or name another folder."
            ) from error
        shutil.rmtree(part, ignore_errors=True)
    return notes


@contextmanager
def _locked(part: Path) -> Iterator[None]:
    """Make a folder and hold its lock, where there are locks; it ends with the process, however that ends."""
    part.mkdir()
    try:
        import fcntl
    except ImportError:
        yield
        return
    handle = os.open(part, os.O_RDONLY)
    try:
        with suppress(OSError):
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(handle)


def _is_left_over(part: Path) -> bool:
    is_old = time.time() - part.stat().st_mtime > _ABANDONED
    try:
        import fcntl
    except ImportError:
        return is_old
    try:
        handle = os.open(part, os.O_RDONLY)
    except OSError:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # a disk without locks
        return is_old
    finally:
        os.close(handle)
    return True


class Interrupts:
    """Has Ctrl-C and `kill` end the command by KeyboardInterrupt, so that it cleans up.

    Called, it raises again after a signal: Python drops an exception that is raised while C calls back, such as from
    the loader of libraries. `outcome` says what an interrupted command leaves.
    """

    def __init__(self) -> None:
        self.outcome = "nothing was written"
        self._caught: list[int] = []
        self._is_held = False

    def __call__(self) -> None:
        if self._caught and not self._is_held:
            raise KeyboardInterrupt

    def _stop(self, number: int, _: Any) -> None:
        self._caught.append(number)
        self()

    @contextmanager
    def held(self) -> Iterator[None]:
        """Put a signal off until the end of what must not be left half-done."""
        self()
        self._is_held = True
        try:
            yield
        finally:
            self._is_held = False
        self()

    @contextmanager
    def heard(self) -> Iterator[Interrupts]:
        """Listen to signals."""
        is_main = threading.current_thread() is threading.main_thread()
        before = {number: signal.signal(number, self._stop) for number in (signal.SIGINT, signal.SIGTERM) if is_main}
        try:
            yield self
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
