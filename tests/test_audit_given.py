"""The option --given of the command audit: the labels that verified rows came with."""

import json

import joblib
import numpy as np
import polars as pl
import pytest

from skrdia import RDIAClassifier
from skrdia.audit import _run
from skrdia.audit._command import _columns_of
from skrdia.audit._run import Options, prepare
from tests.audit_tables import N_ROWS, as_csv, audit, columns

VERIFIED = np.arange(N_ROWS) % 2 == 0


def cells_with(**changes):
    """The table, whose verified rows came with a wrong label where `wrong` is true."""
    cells, _ = columns()
    wrong = VERIFIED & (np.arange(N_ROWS) % 8 == 0)
    other = {"good": "bad", "bad": "good"}
    cells["was"] = [other[label] if wrong[i] else label for i, label in enumerate(cells["y"])]
    for row, value in changes.pop("was", {}).items():
        cells["was"][row] = value
    return cells | changes


def write(folder, **changes):
    (folder / "t.csv").write_text(as_csv(cells_with(**changes)), encoding="utf-8")
    return folder / "t.csv"


def prepared(folder, *, options=None, **changes):
    return prepare(Options(write(folder, **changes), "y", trusted="verified", given="was", **(options or {})))


@pytest.fixture
def fitted(monkeypatch):
    """What the classifier of the audit is given."""
    seen, real = {}, RDIAClassifier.fit

    def fit(clf, X, y, **rows):
        seen.update(rows, X=X, y=y)
        return real(clf, X, y, **rows)

    monkeypatch.setattr(RDIAClassifier, "fit", fit)
    return seen


def test_an_audit_with_the_labels_as_they_came(tmp_path, fitted):
    table, cells = write(tmp_path), cells_with()
    options = ("--label", "y", "--trusted", "verified", "--given", "was", "--out", tmp_path / "o")
    result = audit(table, *options, "--json")
    assert result.exit_code == 0, result.stderr
    summary = json.loads(result.stdout)
    assert summary["n_pairs"] == summary["n_trusted"] == N_ROWS / 2
    assert "was" not in [column["name"] for column in summary["columns"]]
    assert np.array(fitted["y_given"])[VERIFIED].tolist() == np.array(cells["was"])[VERIFIED].tolist()
    assert (fitted["y_given"][VERIFIED] != fitted["y"][VERIFIED]).sum() == N_ROWS / 8
    repaired = pl.read_csv(tmp_path / "o" / "repaired.csv")
    assert repaired["was"].to_list() == cells["was"]
    assert repaired["old_label"].to_list() == cells["y"]
    model = joblib.load(tmp_path / "o" / "model.joblib")
    raw = pl.DataFrame({name: cells[name] for name in ("x", "z", "colour")})
    assert len(model.predict(raw)) == N_ROWS
    without = audit(
        table, "--label", "y", "--trusted", "verified", "--ignore", "was", "--out", tmp_path / "p", "--json"
    )
    assert json.loads(without.stdout)["n_pairs"] == 0


def test_empty_cells_and_words_are_not_known(tmp_path):
    found = prepared(tmp_path, was={0: "", 1: "", 2: "NA", 3: "NA", 4: "\u00a0"}, options={"missing_label": ("NA",)})
    assert found.given[:6].tolist() == [None] * 6
    assert found.given[6] == cells_with()["was"][6]
    assert (found.given[~VERIFIED] == None).all()  # noqa: E711
    assert not any("--given" in note for note in found.notes)


def test_labels_that_no_row_has_are_told(tmp_path):
    found = prepared(tmp_path, was={0: "fair", 2: "fair", 4: "poor"})
    assert found.given[[0, 2, 4]].tolist() == [None] * 3
    told = [note for note in found.notes if "--given" in note]
    assert told[0] == "--given: 'fair' (2 rows) of column 'was' is no label of column 'y', and is not counted."
    assert told[1].startswith("--given: 'poor' (1 row) of")
    assert len(told) == 2
    nothing = prepared(tmp_path, was=dict.fromkeys(range(N_ROWS), ""))
    assert any("says of no verified row with which label it came" in note for note in nothing.notes)


def test_spellings_are_those_of_the_labels(tmp_path):
    upper = {i: label.upper() for i, label in enumerate(cells_with()["was"])}
    merged = prepared(tmp_path, was=upper, options={"similar_labels": "merge"})
    assert merged.given.tolist() == prepared(tmp_path).given.tolist()
    some = {0: "GOOD", 2: "BAD "}
    kept = prepared(tmp_path, was=some, options={"similar_labels": "keep"})
    assert kept.given[[0, 2]].tolist() == [None, None]


def test_rows_without_a_label_are_left_out_here_too(tmp_path):
    labels = columns()[0]["y"]
    labels[0] = labels[5] = ""
    found = prepared(tmp_path, y=labels)
    assert len(found.given) == len(found.rows) == N_ROWS - 2
    assert found.given[1] == cells_with()["was"][2]


def test_numbers_with_missing_cells(tmp_path, fitted):
    cells = cells_with()
    code = {"good": 1, "bad": 0}
    was = [None if i % 3 == 0 else code[label] for i, label in enumerate(cells["was"])]
    frame = pl.DataFrame(cells | {"y": [code[label] for label in cells["y"]], "was": was})
    frame.write_parquet(tmp_path / "t.parquet")
    found = prepare(Options(tmp_path / "t.parquet", "y", trusted="verified", given="was"))
    assert found.given[VERIFIED].tolist() == np.array(was)[VERIFIED].tolist()
    _run.fit(found)
    assert fitted["y_given"] is found.given


def test_names_of_columns_are_completed(tmp_path, monkeypatch):
    monkeypatch.setenv("COMP_WORDS", f"skrdia audit {write(tmp_path)} --given w")
    assert _columns_of(None, None, "w") == ["was"]
