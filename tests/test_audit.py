"""The command audit: its files are read back equal, and say the same as the fit."""

import csv
import gzip
import json
import os
import subprocess
import sys

import joblib
import numpy as np
import pandas as pd
import polars as pl
import pytest
from click.testing import CliRunner

from skrdia import Ledger
from skrdia.audit._columns import guess, to_frame
from skrdia.audit._encoder import encoder
from skrdia.audit._tables import ADDED, read_table
from skrdia.cli import main
from tests.audit_tables import N_ROWS, as_csv, as_json, audit, columns


def read_rows(path, delimiter=","):
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.reader(file, delimiter=delimiter))


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    folder = tmp_path_factory.mktemp("audit")
    table = folder / "train.csv"
    table.write_text(as_csv(columns()[0]), encoding="utf-8")
    before = table.read_bytes()
    result = audit(table, "--label", "y", "--trusted", "verified", "--key", "id", "--out", folder / "out", "--json")
    assert result.exit_code == 0, result.stderr
    assert table.read_bytes() == before
    return folder, json.loads(result.stdout), result


def test_the_repaired_table(done):
    folder, summary, _ = done
    cells, right = columns()
    rows = read_rows(folder / "out" / "repaired.csv")
    names = rows[0]
    assert names == [*cells, *ADDED]
    repaired = {name: [row[j] for row in rows[1:]] for j, name in enumerate(names)}
    for name in cells:
        assert name == "y" or repaired[name] == cells[name]
    assert repaired["old_label"] == cells["y"]
    changed = np.array(repaired["y"]) != np.array(cells["y"])
    assert (np.array(repaired["decision"])[changed] == "relabelled").all()
    assert (np.array(repaired["decision"])[::2] == "trusted").all()
    assert (np.array(repaired["influence"])[::2] == "").all()
    assert np.isfinite(np.array(repaired["influence"])[1::2].astype(float)).all()
    wrong = [(np.array(labels) != right).sum() for labels in (cells["y"], repaired["y"])]
    assert wrong[1] <= wrong[0] / 2
    assert summary["n_wrong"] >= changed.sum() > 0


def test_the_other_files(done):
    folder, summary, _ = done
    cells, _ = columns()
    assert sorted(os.listdir(folder)) == ["out", "train.csv"]
    assert sorted(os.listdir(folder / "out")) == ["audit.html", "ledger.csv", "model.joblib", "repaired.csv"]
    ledger = Ledger.read_csv(folder / "out" / "ledger.csv")
    assert set(ledger["key"]) <= set(cells["id"])
    assert [cells["id"][row] for row in ledger["row"]] == ledger["key"].tolist()
    page = (folder / "out" / "audit.html").read_text(encoding="utf-8")
    assert summary["verdict"] in page
    assert "colour" in page
    assert f'<th scope="row"><span class="only-stacked">id </span>{ledger.suggest(1)["key"][0]}</th>' in page


@pytest.mark.parametrize("library", [pl.DataFrame, pd.DataFrame])
def test_the_model_predicts_from_raw_cells(done, library):
    folder, summary, _ = done
    cells, right = columns()
    model = joblib.load(folder / "out" / "model.joblib")
    raw = library({name: cells[name] for name in ("x", "z", "colour")})
    assert (model.predict(raw) == right).mean() > 0.85
    proba = model.predict_proba(raw)
    numbers = [float(cell) if cell else np.nan for cell in cells["z"]]
    typed = library({"x": [float(cell) for cell in cells["x"]], "z": numbers, "colour": cells["colour"]})
    np.testing.assert_allclose(model.predict_proba(typed), proba)
    assert model.classes_.tolist() == summary["classes"] == ["bad", "good"]
    model.predict(library({"x": [0.5], "z": [None], "colour": ["never seen"]}))


def test_the_summary(done):
    _, summary, result = done
    assert summary["n_rows"] == summary["n_labelled"] == N_ROWS
    assert summary["n_trusted"] == N_ROWS / 2
    assert summary["share_wrong"] == summary["n_wrong"] / (N_ROWS / 2)
    assert summary["loss_after"] < summary["loss_before"]
    assert {c["name"]: c["kind"] for c in summary["columns"]} == {"x": "number", "z": "number", "colour": "category"}
    assert not summary["failed"]
    assert "colour" in result.stderr
    assert "note: loading model.joblib runs code that is stored in it: load it only if you trust" in result.stderr
    assert "Traceback" not in result.stderr


def test_seeds_repeat(done, tmp_path):
    folder, *_ = done
    again = audit(folder / "train.csv", "--label", "y", "--trusted", "verified", "--key", "id", "--out", tmp_path / "o")
    assert again.exit_code == 0
    assert "labels look wrong" in again.stdout
    assert "Next: open" in again.stdout
    for name in ("repaired.csv", "ledger.csv", "audit.html"):
        assert (tmp_path / "o" / name).read_bytes() == (folder / "out" / name).read_bytes()


def test_fail_above_and_an_earlier_audit(done):
    folder, *_ = done
    out = folder / "out"
    (out / "notes.txt").write_text("mine", encoding="utf-8")
    options = ("--label", "y", "--trusted", "verified", "--key", "id", "--out", out)
    result = audit(folder / "train.csv", *options, "--fail-above", 0.01)
    assert result.exit_code == 3
    assert "more than --fail-above 0.01 allows" in result.stderr
    assert (out / "notes.txt").read_text(encoding="utf-8") == "mine"
    (out / "notes.txt").unlink()
    assert len(os.listdir(out)) == 4


def test_unlabelled_rows_are_kept(tmp_path):
    cells, _ = columns()
    cells["y"][3] = ""
    (tmp_path / "t.tsv").write_text(as_csv(cells, "\t", "\r\n"), encoding="utf-8-sig")
    validation, right = columns(seed=1)
    validation |= {"y": right.tolist()}
    validation.pop("verified")
    (tmp_path / "val.csv").write_text(as_csv(validation), encoding="utf-8")
    options = ("--label", "y", "--validation", tmp_path / "val.csv", "--ignore", "verified", "--out", tmp_path / "o")
    result = audit(tmp_path / "t.tsv", *options, "--group", "colour")
    assert result.exit_code == 0, result.stderr
    assert "1 rows without a label" in result.stderr
    data = (tmp_path / "o" / "repaired.tsv").read_bytes()
    assert data.startswith(b"\xef\xbb\xbf")
    assert data.count(b"\r\n") == N_ROWS + 1
    row = read_rows(tmp_path / "o" / "repaired.tsv", "\t")[4]
    assert row[5:] == ["", "", "", "unlabelled"]
    page = (tmp_path / "o" / "audit.html").read_text(encoding="utf-8")
    assert "By group" in page
    keys = Ledger.read_csv(tmp_path / "o" / "ledger.csv")["key"]
    assert 4 not in keys
    assert max(keys) <= N_ROWS


def test_json_lines_packed(tmp_path):
    cells, _ = columns()
    cells["y"] = [cell == "good" for cell in cells["y"]]
    cells["x"] = [float(cell) for cell in cells["x"]]
    rows = [json.loads(line) for line in as_json(cells).splitlines()]
    del rows[5]["z"]
    with gzip.open(tmp_path / "t.jsonl.gz", "wt", encoding="utf-8") as file:
        file.writelines(json.dumps(row) + "\n" for row in rows)
    result = audit(tmp_path / "t.jsonl.gz", "--label", "y", "--trusted", "verified", "--out", tmp_path / "o")
    assert result.exit_code == 0, result.stderr
    with gzip.open(tmp_path / "o" / "repaired.jsonl.gz", "rt", encoding="utf-8") as file:
        repaired = [json.loads(line) for line in file]
    assert len(repaired) == len(rows)
    for old, new in zip(rows, repaired, strict=True):
        assert list(new) == [*old, *ADDED]
        assert isinstance(new["y"], bool)
        assert {k: v for k, v in new.items() if k not in ("y", *ADDED)} == {k: v for k, v in old.items() if k != "y"}
        assert new["old_label"] is old["y"]


@pytest.mark.parametrize("dtype", [pl.Categorical, pl.String, pl.Int8])
def test_parquet_keeps_types(tmp_path, dtype):
    cells, _ = columns()
    frame = pl.DataFrame(cells).with_columns(pl.col("x").cast(pl.Float32))
    if dtype == pl.Int8:
        frame = frame.with_columns((pl.col("y") == "good").cast(pl.Int8))
    else:
        frame = frame.with_columns(pl.col("y").cast(dtype))
    frame = frame.with_columns(when=pl.date_range(pl.date(2020, 1, 1), pl.date(2020, 6, 8), eager=True))
    frame.write_parquet(tmp_path / "t.parquet")
    result = audit(tmp_path / "t.parquet", "--label", "y", "--trusted", "verified", "--out", tmp_path / "o")
    assert result.exit_code == 0, result.stderr
    repaired = pl.read_parquet(tmp_path / "o" / "repaired.parquet")
    assert repaired.drop("y", *ADDED).equals(frame.drop("y"))
    assert repaired.schema["y"] == frame.schema["y"] == repaired.schema["old_label"]
    assert repaired["old_label"].equals(frame["y"])
    assert (repaired["y"] != frame["y"]).sum() > 0


@pytest.mark.parametrize("model", ["mlp", "random-forest", "hist-gradient-boosting"])
def test_models_without_verified_rows(tmp_path, model):
    (tmp_path / "t.csv").write_text(as_csv(columns()[0]), encoding="utf-8")
    result = audit(
        tmp_path / "t.csv", "--label", "y", "--ignore", "verified", "--model", model, "--out", tmp_path / "o"
    )
    assert result.exit_code == 0, result.stderr
    assert "was not measured" in result.stdout
    assert "with --trusted or --validation more can be repaired" in result.stdout


def kinds(tmp_path, forced=None, **cells):
    path = tmp_path / "k.csv"
    path.write_text(as_csv({name: list(map(str, column)) for name, column in cells.items()}, ";"), encoding="utf-8")
    table = read_table(path)
    return {column.name: (column.kind, column.is_used) for column in guess(table, table.names, forced or {})}


def test_kinds_of_columns(tmp_path):
    rng = np.random.default_rng(0)
    rows = range(200)
    words = [" ".join(rng.choice(list("abcdefgh"), 5)) for _ in rows]
    found = kinds(
        tmp_path,
        number=[f"{i % 7},5" if i % 2 else "NA" for i in rows],
        exponent=[f"{i}e-3" for i in rows],
        zip=[f"0{i % 9}123" for i in rows],
        date=[f"2024-01-{1 + i % 28:02d}" for i in rows],
        time=[f"2024-01-{1 + i % 28:02d}T10:00:00+02:00" for i in rows],
        flag=["true" if i % 3 else "false" for i in rows],
        count=list(rows),
        name=[f"person {i}" for i in rows],
        words=[*words[:-1], words[0]],
        same=["x"] * 200,
        nothing=["?"] * 200,
    )
    assert found == {
        "number": ("number", True),
        "exponent": ("number", True),
        "zip": ("category", True),
        "date": ("date", True),
        "time": ("date", True),
        "flag": ("category", True),
        "count": ("identifier", False),
        "name": ("identifier", False),
        "words": ("text", False),
        "same": ("constant", False),
        "nothing": ("constant", False),
    }
    forced = {"words": "text", "count": "numeric", "flag": "ignore", "number": "category"}
    again = kinds(tmp_path, forced, number=["1", "2"] * 100, words=words, count=list(rows), flag=["t", "f"] * 100)
    assert again == {
        "number": ("category", True),
        "words": ("text", True),
        "count": ("number", True),
        "flag": ("ignored", False),
    }


def test_text_is_used_when_asked(tmp_path):
    cells, _ = columns()
    cells["note"] = [f"{'fine' if y == 'good' else 'poor'} item number {i}" for i, y in enumerate(cells["y"])]
    (tmp_path / "t.csv").write_text(as_csv(cells), encoding="utf-8")
    table = read_table(tmp_path / "t.csv")
    found = guess(table, ["note", "x"], {"note": "text"})
    encoded = encoder(found, dense=False)
    X = encoded.fit_transform(to_frame(table, found, range(table.n_rows)))
    names = list(encoded.named_transformers_["text note"][-1].get_feature_names_out())
    assert {"fine", "poor", "item", "number"} <= set(names)
    assert X.shape[0] == N_ROWS


def test_formulas_are_told_and_kept(tmp_path):
    cells, _ = columns()
    cells["colour"] = ["=1+1" if cell == "red" else cell for cell in cells["colour"]]
    cells["y"] = ["=HYPERLINK(1)" if cell == "bad" else cell for cell in cells["y"]]
    (tmp_path / "t.csv").write_text(as_csv(cells), encoding="utf-8")
    result = audit(tmp_path / "t.csv", "--label", "y", "--trusted", "verified", "--out", tmp_path / "o")
    assert result.exit_code == 0, result.stderr
    assert "begin like a formula" in result.stderr
    repaired = read_rows(tmp_path / "o" / "repaired.csv")
    assert [row[3] for row in repaired[1:]] == cells["colour"]
    ledger = (tmp_path / "o" / "ledger.csv").read_text(encoding="utf-8")
    assert "'=HYPERLINK(1)" in ledger
    assert ",=HYPERLINK" not in ledger


def test_demo_report(tmp_path):
    result = CliRunner().invoke(main, ["demo", "--report", str(tmp_path / "demo.html")])
    assert result.exit_code == 0
    assert "labels look wrong" in (tmp_path / "demo.html").read_text(encoding="utf-8")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_scripts(shell):
    result = CliRunner().invoke(main, ["completion", shell])
    assert result.exit_code == 0
    assert "_SKRDIA_COMPLETE" in result.stdout


def test_completion_of_columns(tmp_path):
    (tmp_path / "t.csv").write_text(as_csv(columns()[0]), encoding="utf-8")
    words = "skrdia audit t.csv --label "
    environment = os.environ | {"_SKRDIA_COMPLETE": "bash_complete", "COMP_WORDS": words + "c", "COMP_CWORD": "4"}
    script = "import sys; sys.argv = ['skrdia']; from skrdia.cli import main; main(prog_name='skrdia')"
    ran = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60
    )
    assert ran.stdout.split() == ["plain,colour"]
