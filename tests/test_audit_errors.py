"""Bad input of the command audit: one line on stderr, an exit code, no traceback, and nothing half-written."""

import contextlib
import errno
import gzip
import os
import re
import resource
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from skrdia.audit import _command, _run
from tests.audit_tables import N_ROWS, as_csv, as_json, audit, columns

NAMES = ("--label", "y", "--trusted", "verified")


def write(folder, name="t.csv", **changes):
    """A table in which some columns are replaced; None leaves a column out."""
    cells = {k: v for k, v in (columns()[0] | changes).items() if v is not None}
    (folder / name).write_text(as_csv({k: [str(v) for v in column] for k, column in cells.items()}), encoding="utf-8")
    return folder / name


def alter(folder, old, new, name="t.csv"):
    """The table with a part of its text replaced."""
    path = write(folder, name)
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")
    return path


def put(folder, name, content):
    (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    return folder / name


def with_validation(folder, *options, **changes):
    changes = {"verified": None, "y": columns()[1].tolist()} | changes
    return (
        write(folder),
        "--label",
        "y",
        "--ignore",
        "verified",
        "--validation",
        write(folder, "v.csv", **changes),
        *options,
    )


def cell(column, row, value):
    cells = columns()[0][column]
    cells[row] = value
    return {column: cells}


def link(folder, kind):
    """The input, also under the name of the output."""
    table, out = write(folder), folder / "out"
    out.mkdir()
    getattr(os, kind)(table, out / "repaired.csv")
    return (table, *NAMES, "--out", out)


def parquet(folder, frame):
    frame.write_parquet(folder / "t.parquet")
    return folder / "t.parquet"


BAD = {
    "no such file": (lambda f: (f / "no.csv", *NAMES), "there is no such file"),
    "a folder": (lambda f: (f, *NAMES), "is not a file"),
    "unknown kind": (lambda f: (put(f, "t.xls", "x"), *NAMES), "unknown kind of file.*Save it as .xlsx"),
    "empty": (lambda f: (put(f, "t.csv", ""), *NAMES), "is empty"),
    "blank": (lambda f: (put(f, "t.csv", "\n\n"), *NAMES), "is empty"),
    "header only": (lambda f: (put(f, "t.csv", "x,verified,y\n"), *NAMES), "has no rows"),
    "same name twice": (lambda f: (alter(f, "x,z", "x,x"), *NAMES), "more than one column 'x'"),
    "row too short": (lambda f: (alter(f, "r003,", ""), *NAMES), "line 5 has 5 cells, but the header has 6"),
    "row too long": (lambda f: (alter(f, "r003,", "r003,,"), *NAMES), "line 5 has 7 cells"),
    "open quote": (lambda f: (alter(f, "r003,", '"r003,'), *NAMES), "quote that is not closed"),
    "zero byte": (lambda f: (alter(f, "r003,", "r\x003,"), *NAMES), "zero byte in line 5"),
    "encoding": (
        lambda f: (put(f, "t.csv", "x,y\n1,é\n".encode("cp1252")), *NAMES, "--encoding", "utf-8"),
        "is not in utf-8: byte 6",
    ),
    "name of encoding": (lambda f: (write(f), *NAMES, "--encoding", "utf-9"), "--encoding: 'utf-9' is no encoding"),
    "no gzip": (lambda f: (put(f, "t.csv.gz", "x,y\n"), *NAMES), "is no whole gzip file"),
    "half a gzip": (lambda f: (put(f, "t.csv.gz", gzip.compress(b"x,y\n1,2\n" * 99)[:30]), *NAMES), "no whole gzip"),
    "no JSON": (lambda f: (put(f, "t.jsonl", '{"y": 1}\n{"y": \n'), *NAMES), "line 2 is no JSON"),
    "a JSON list": (lambda f: (put(f, "t.jsonl", "[1, 2]\n"), *NAMES), "line 1 holds no object"),
    "nested JSON": (
        lambda f: (put(f, "t.jsonl", as_json(columns()[0]).replace('"red"', "[1]", 1)), *NAMES),
        "'colour' holds a list or an object. Pass --ignore colour",
    ),
    "no Parquet": (lambda f: (put(f, "t.parquet", "PAR1 no"), *NAMES), "is no Parquet file"),
    "nested Parquet": (
        lambda f: (parquet(f, pl.DataFrame(columns()[0]).with_columns(a=pl.lit([1]))), *NAMES),
        "column 'a' holds List",
    ),
    "label unknown": (lambda f: (write(f), "--label", "yy"), "--label: .*t.csv has no column 'yy'. Did you mean 'y'"),
    "label not given": (lambda f: (write(f),), "Missing option '--label'"),
    "labels missing": (lambda f: (write(f, y=[" "] * N_ROWS), *NAMES), "'y' is empty in every row"),
    "one label": (lambda f: (write(f, y=["a"] * N_ROWS), *NAMES), "two labels are needed"),
    "labels are numbers": (lambda f: (write(f), "--label", "x"), "looks like a number to predict"),
    "too many labels": (
        lambda f: (
            put(f, "t.csv", as_csv({"x": ["1", "2"] * 1001, "y": [f"c{i // 2}" for i in range(2002)]})),
            "--label",
            "y",
        ),
        "has 1,001 labels",
    ),
    "mixed labels": (
        lambda f: (put(f, "t.jsonl", '{"x": 1, "y": 1}\n{"x": 2, "y": "a"}\n' * 9), "--label", "y"),
        "values of different types",
    ),
    "trusted unknown": (lambda f: (write(f), "--label", "y", "--trusted", "v"), "--trusted: .* has no column 'v'"),
    "trusted no mask": (lambda f: (write(f), "--label", "y", "--trusted", "x"), "expected yes or no"),
    "all trusted": (lambda f: (write(f, verified=[1] * N_ROWS), *NAMES), "trusts every label"),
    "none trusted": (lambda f: (write(f, verified=[0] * N_ROWS), *NAMES), "trusts no label"),
    "a class not trusted": (
        lambda f: (write(f, verified=(np.array(columns()[0]["y"]) == "good") & (np.arange(N_ROWS) % 2 == 0)), *NAMES),
        "^Error: --trusted: the validation rows are all of class \\['good'\\]",
    ),
    "given without trusted": (lambda f: (write(f), "--label", "y", "--given", "id"), "by --trusted too"),
    "given unknown": (lambda f: (write(f), *NAMES, "--given", "before"), "--given: .* has no column 'before'"),
    "given is the label": (lambda f: (write(f), *NAMES, "--given", "y"), "Column 'y' is named by more than one"),
    "given is used": (
        lambda f: (write(f, was=["good"] * N_ROWS), *NAMES, "--given", "was", "--category", "was"),
        "'was' is named",
    ),
    "given and not verified": (
        lambda f: (write(f, was=["good"] * N_ROWS), *NAMES, "--given", "was"),
        "'was' has another label than column 'y' in lines 5, 9, 11 and .*, where column 'verified' says no",
    ),
    "given spelled otherwise": (
        lambda f: (write(f, was=[label.upper() for label in columns()[0]["y"]]), *NAMES, "--given", "was"),
        "--given: column 'was' has labels that differ .*'BAD' for 'bad'.* --similar-labels merge",
    ),
    "column in two roles": (lambda f: (write(f), *NAMES, "--ignore", "y"), "Column 'y' is named by more than one"),
    "column in two kinds": (
        lambda f: (write(f), *NAMES, "--text", "x", "--ignore", "x"),
        "'x' is named by --text and --ignore",
    ),
    "label as group": (lambda f: (write(f), *NAMES, "--group", "y"), "'y' is named by more than one"),
    "unknown text": (lambda f: (write(f), *NAMES, "--text", "note"), "--text: .* has no column 'note'"),
    "unknown key": (lambda f: (write(f), *NAMES, "--key", "nr"), "--key: .* has no column 'nr'"),
    "key twice": (lambda f: (write(f), *NAMES, "--key", "colour"), "--key: column 'colour' has .* more than once"),
    "words as numbers": (
        lambda f: (write(f), *NAMES, "--numeric", "colour"),
        "--numeric: most of column 'colour'.* are no numbers: lines? .* 'red'",
    ),
    "nothing to learn": (
        lambda f: (write(f), *NAMES, *(o for n in ("x", "z", "colour", "id") for o in ("--ignore", n))),
        "has no column left to learn from",
    ),
    "column taken": (lambda f: (write(f, old_label=["a"] * N_ROWS), *NAMES), "has a column 'old_label'"),
    "no validation file": (
        lambda f: (write(f), "--label", "y", "--validation", f / "v.csv"),
        "v.csv: there is no such",
    ),
    "validation is the table": (
        lambda f: (write(f), "--label", "y", "--validation", f / "t.csv"),
        "is the table itself",
    ),
    "validation lacks a column": (lambda f: with_validation(f, x=None), "v.csv has no column 'x'"),
    "validation lacks labels": (lambda f: with_validation(f, y=None), "v.csv has no column 'y'"),
    "validation label missing": (lambda f: with_validation(f, **cell("y", 2, "")), "v.csv has no label in line 4"),
    "validation label unknown": (lambda f: with_validation(f, **cell("y", 2, "ok")), "labels that .* has not: 'ok'"),
    "validation category": (
        lambda f: with_validation(f, **cell("colour", 2, "pink")),
        "categories that .* has not: 'pink'.* --allow-unknown",
    ),
    "validation numbers": (
        lambda f: with_validation(f, x=["much"] * 20 + columns()[0]["x"][20:]),
        "v.csv: column 'x' should hold numbers, but lines 2, 3, 4 and 17 more are 'much'",
    ),
    "out is a file": (lambda f: (write(f), *NAMES, "--out", put(f, "o", "x")), "--out: .* is a file"),
    "out has no parent": (lambda f: (write(f), *NAMES, "--out", f / "a" / "b"), "--out: the folder .* does not exist"),
    "out not writable": (lambda f: (write(f), *NAMES, "--out", "/proc/out"), "--out: /proc/out cannot be written"),
    "out is the input": (
        lambda f: (write(f, "repaired.csv"), *NAMES, "--out", f),
        "repaired.csv is an input of this audit",
    ),
    "out is a link to the input": (lambda f: link(f, "symlink"), "is an input of this audit"),
    "out is the same file": (lambda f: link(f, "link"), "is an input of this audit"),
    "share above one": (lambda f: (write(f), *NAMES, "--fail-above", "2"), "'--fail-above': 2.0 is not in the range"),
    "unknown model": (lambda f: (write(f), *NAMES, "--model", "svm"), "'svm' is not one of 'logistic'"),
    "unknown option": (lambda f: (write(f), *NAMES, "--labels"), "No such option"),
}


def listing(folder):
    return {str(path): path.read_bytes() if path.is_file() else None for path in sorted(Path(folder).rglob("*"))}


def check(result_code, stderr, expected):
    lines = stderr.splitlines()
    assert result_code not in (0, 3), stderr
    assert len(lines) == 1, stderr
    assert lines[0].startswith("Error: ")
    assert "this is a bug" not in lines[0]
    assert re.search(expected, lines[0]), lines[0]


def test_enough_cases():
    assert len(BAD) >= 45


@pytest.mark.parametrize("name", BAD)
def test_bad_input(tmp_path, monkeypatch, name):
    make, expected = BAD[name]
    arguments = make(tmp_path)
    monkeypatch.chdir(tmp_path)
    before = listing(tmp_path)
    result = audit(*arguments)
    stderr = result.stderr
    if name == "a class not trusted":  # told by the fit, after the columns have been printed
        stderr = stderr.splitlines()[-1]
    check(result.exit_code, stderr, expected)
    assert listing(tmp_path) == before


def test_new_categories_can_be_allowed(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = audit(*with_validation(tmp_path, "--allow-unknown", **cell("colour", 2, "pink")))
    assert result.exit_code == 0, result.stderr


@pytest.mark.parametrize("existing", [False, True])
def test_disk_full_while_writing(tmp_path, monkeypatch, existing):
    out = tmp_path / "out"
    if existing:
        out.mkdir()
        (out / "repaired.csv").write_text("an earlier audit", encoding="utf-8")
    table = write(tmp_path)
    before = listing(tmp_path)

    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("joblib.dump", full)
    result = audit(table, *NAMES, "--out", out)
    assert result.exit_code == 1
    assert "No space left on device. Nothing was changed" in result.stderr.splitlines()[-1]
    assert "Traceback" not in result.stderr
    assert listing(tmp_path) == before


def start(folder, *options, **keywords):
    """The command as a process of its own."""
    command = [sys.executable, "-m", "skrdia", "audit", str(folder / "t.csv"), *NAMES, *options]
    return subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **keywords)


def test_files_may_not_grow(tmp_path):
    write(tmp_path)
    before = listing(tmp_path)
    ran = start(tmp_path, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096)))
    _, stderr = ran.communicate(timeout=120)
    assert ran.returncode == 1, stderr
    assert stderr.splitlines()[-1].startswith("Error: --out: audit cannot be written: File too large")
    assert listing(tmp_path) == before


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted(tmp_path, number):
    write(tmp_path, **{name: column * 50 for name, column in columns()[0].items()})
    before = listing(tmp_path)
    ran = start(tmp_path)
    for line in ran.stderr:  # the columns are printed before the fit
        if line.startswith("colour"):
            break
    ran.send_signal(number)
    stdout, stderr = ran.communicate(timeout=60)
    assert ran.returncode == 130
    assert stdout == ""
    assert stderr.splitlines()[-1] == "Error: interrupted; nothing was written."
    assert "Traceback" not in stderr
    assert listing(tmp_path) == before


def test_an_interrupt_after_the_files_are_in_place_says_so(tmp_path, monkeypatch):
    def interrupted(*_):
        signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(_command, "_print", interrupted)
    out = tmp_path / "out"
    result = audit(write(tmp_path), *NAMES, "--out", out)
    assert result.exit_code == 130
    assert result.stderr.splitlines()[-1] == f"Error: interrupted; the files in {out} are all new."
    assert len(os.listdir(out)) == 4


def test_a_bug_is_one_line_too(tmp_path, monkeypatch):
    def broken(*_):
        raise ZeroDivisionError("division by zero")

    monkeypatch.setattr(_run, "fit", broken)
    result = audit(write(tmp_path), *NAMES, "--out", tmp_path / "out")
    assert result.exit_code == 1
    last = result.stderr.splitlines()[-1]
    assert last == "Error: unexpected ZeroDivisionError: division by zero (this is a bug; SKRDIA_DEBUG=1 shows where)"
    monkeypatch.setenv("SKRDIA_DEBUG", "1")
    assert isinstance(audit(tmp_path / "t.csv", *NAMES, "--out", tmp_path / "out").exception, ZeroDivisionError)


def test_out_of_memory_says_what_to_do(tmp_path, monkeypatch):
    def exhausted(*_):
        raise MemoryError

    monkeypatch.setattr(_run, "fit", exhausted)
    result = audit(write(tmp_path), *NAMES, "--out", tmp_path / "out")
    assert result.exit_code == 1
    assert result.stderr.splitlines()[-1].startswith("Error: not enough memory. Leave columns out by --ignore")


def test_an_interrupt_that_c_code_drops_is_not_lost(tmp_path, monkeypatch):
    """As when it comes while a library is loaded: Python then only prints that an exception was ignored."""
    real = _run.fit

    def interrupted(prepared, report):
        with contextlib.suppress(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
        return real(prepared, report)

    monkeypatch.setattr(_run, "fit", interrupted)
    result = audit(write(tmp_path), *NAMES, "--out", tmp_path / "out")
    assert result.exit_code == 130
    assert result.stderr.splitlines()[-1] == "Error: interrupted; nothing was written."
    assert sorted(os.listdir(tmp_path)) == ["t.csv"]
