"""The files of an audit replace those of an earlier one together, whatever fails at whatever point."""

import os
import shutil
import signal
import subprocess
import sys

import pytest

from skrdia.audit import _files
from skrdia.audit._errors import AuditError
from skrdia.audit._files import Interrupts, all_or_nothing, finish_earlier

NAMES = ("audit.html", "ledger.csv", "model.joblib", "repaired.csv")
OLD = dict.fromkeys(NAMES[:3], "old") | {"mine.txt": "mine"}
NEW = dict.fromkeys(NAMES, "new")
CALLS = ("replace", "link", "fsync", "open", "listdir")


def content(folder):
    return {path.name: path.read_text() for path in folder.iterdir()} if folder.exists() else None


def earlier(folder):
    folder.mkdir()
    for name, text in OLD.items():
        (folder / name).write_text(text)


def write(out, interrupts=None):
    with all_or_nothing(out, interrupts) as part:
        for name, text in NEW.items():
            (part / name).write_text(text)


def failing(monkeypatch, name, at, forever=False):
    """Have the call of this number, and all after it where forever, raise; says whether it came."""
    real, calls = getattr(os, name), []

    def call(*args, **kwargs):
        calls.append(args)
        if len(calls) == at or (forever and len(calls) > at):
            raise OSError(5, "Input/output error")
        return real(*args, **kwargs)

    monkeypatch.setattr(os, name, call)
    return lambda: len(calls) >= at


@pytest.mark.parametrize("existing", [False, True])
def test_all_files_are_replaced(tmp_path, existing):
    out = tmp_path / "out"
    if existing:
        earlier(out)
    write(out)
    assert content(out) == (OLD | NEW if existing else NEW)
    assert os.listdir(tmp_path) == ["out"]


@pytest.mark.parametrize("existing", [False, True])
@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize("forever", [False, True])
def test_a_fault_at_any_point_leaves_the_old_or_the_new(tmp_path, monkeypatch, existing, name, forever):
    outcomes = set()
    for at in range(1, 20):
        out = tmp_path / f"out{at}"
        if existing:
            earlier(out)
        with monkeypatch.context() as patch:
            came = failing(patch, name, at, forever)
            try:
                write(out)
                said = "new"
            except AuditError as error:
                said = "old" if "Nothing was changed" in str(error) else "neither"
        finish_earlier(out)  # as the next audit does, for a fault can also hit the removal of the folder beside it
        assert content(out) == {"new": OLD | NEW if existing else NEW, "old": OLD if existing else None}[said]
        outcomes.add(said)
        if not came():
            break
    assert "new" in outcomes
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


@pytest.mark.parametrize("at", range(1, 7))
def test_an_interrupt_at_any_point(tmp_path, monkeypatch, at):
    """Ctrl-C is heard before the files are put in place, or after; the message says which."""
    out, interrupts = tmp_path / "out", Interrupts()
    earlier(out)
    real, calls = os.replace, []

    def replace(*args):
        calls.append(args)
        if len(calls) == at:
            signal.raise_signal(signal.SIGINT)
        return real(*args)

    monkeypatch.setattr(os, "replace", replace)
    with interrupts.heard():
        if at <= 5:  # the journal and four files
            with pytest.raises(KeyboardInterrupt):
                write(out, interrupts)
            assert interrupts.outcome == f"the files in {out} are all new"
        else:
            write(out, interrupts)
    assert content(out) == OLD | NEW


def test_an_interrupt_while_writing(tmp_path):
    out, interrupts = tmp_path / "out", Interrupts()
    earlier(out)

    def interrupted():
        with all_or_nothing(out, interrupts) as part:
            (part / "repaired.csv").write_text("half")
            signal.raise_signal(signal.SIGTERM)

    with interrupts.heard(), pytest.raises(KeyboardInterrupt):
        interrupted()
    assert interrupts.outcome == "nothing was written"
    assert content(out) == OLD


KILLED = """
import os, signal, sys
from pathlib import Path
from tests.test_audit_files import write
real, left = os.replace, [int(sys.argv[2])]
def replace(*args):
    left[0] -= 1
    if not left[0]:
        os.kill(os.getpid(), signal.SIGKILL)
    return real(*args)
os.replace = replace
write(Path(sys.argv[1]))
"""


@pytest.mark.parametrize("at", [1, 4])
def test_what_a_kill_leaves_is_finished_by_the_next_audit(tmp_path, at):
    out = tmp_path / "out"
    earlier(out)
    ran = subprocess.run([sys.executable, "-c", KILLED, str(out), str(at)], timeout=60, check=False)
    assert ran.returncode == -signal.SIGKILL
    notes = finish_earlier(out)
    assert content(out) == (OLD if at == 1 else OLD | NEW)
    assert bool(notes) == (at > 1)
    assert finish_earlier(out) == []


def test_folders_of_audits_at_work_are_left_alone(tmp_path):
    (tmp_path / ".audit-mine").mkdir()
    with all_or_nothing(tmp_path / "out") as part:
        (part / "repaired.csv").write_text("new")
        assert finish_earlier(tmp_path / "out") == []
        assert part.exists()
    assert content(tmp_path / "out") == {"repaired.csv": "new"}
    assert (tmp_path / ".audit-mine").exists()


@pytest.mark.parametrize("out", ["out", "."])
def test_left_over_folders_are_swept(tmp_path, out):
    (tmp_path / f".audit-{'0' * 32}" / "new").mkdir(parents=True)
    assert finish_earlier(tmp_path / out) == []
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_nothing_can_be_changed_in_says_so(tmp_path, monkeypatch):
    """The old files cannot be brought back either: both sets are kept, and the next audit finishes."""
    out = tmp_path / "out"
    earlier(out)

    def copy(*_, **__):
        raise OSError(30, "Read-only file system")

    with monkeypatch.context() as patch:
        patch.setattr(shutil, "copy2", copy)
        failing(patch, "replace", 3, forever=True)
        with pytest.raises(AuditError, match="files of this audit and of the one before: Input/output error"):
            write(out)
    assert len(finish_earlier(out)) == 1
    assert content(out) == OLD | NEW


def test_without_links_the_old_files_are_copied(tmp_path, monkeypatch):
    out = tmp_path / "out"
    earlier(out)
    failing(monkeypatch, "link", 1, forever=True)
    failing(monkeypatch, "replace", 4)
    with pytest.raises(AuditError, match="Nothing was changed"):
        write(out)
    assert content(out) == OLD


def test_without_locks_a_folder_is_left_over_after_a_day(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "fcntl", None)
    part = tmp_path / f".audit-{'0' * 32}"
    part.mkdir()
    assert finish_earlier(tmp_path) == []
    assert part.exists()
    os.utime(part, (1.0, 1.0))
    finish_earlier(tmp_path)
    assert not part.exists()
    assert _files._ABANDONED == 86_400.0
