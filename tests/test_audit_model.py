"""The model that an audit writes, and the folds that it is judged by."""

import inspect
import sys

import joblib
import numpy as np
import polars as pl
import pytest

from skrdia import RDIAClassifier
from skrdia.audit import _run
from skrdia.audit._errors import AuditError
from skrdia.audit._model_file import FORMATS, write_model
from skrdia.audit._run import Options, prepare
from tests.audit_tables import N_ROWS, as_csv, audit, columns

HAS_GROUPS = "groups" in inspect.signature(RDIAClassifier.fit).parameters


def with_groups(folder, groups):
    cells = columns()[0] | {"patient": groups}
    (folder / "t.csv").write_text(as_csv(cells), encoding="utf-8")
    return folder / "t.csv"


def patients(n=40):
    return [f"p{i % n}" for i in range(N_ROWS)]


def test_a_model_of_skops_is_that_of_joblib(tmp_path):
    sio = pytest.importorskip("skops.io")
    cells, _ = columns()
    cells["share"] = [f"{10 * i % 97}%" for i in range(N_ROWS)]
    cells["day"] = [f"{1 + i % 28}.{1 + i % 12}.2024" for i in range(N_ROWS)]
    cells["note"] = ["fine thing" if i % 3 else "poor thing" for i in range(N_ROWS)]
    (tmp_path / "t.csv").write_text(as_csv(cells), encoding="utf-8")
    done = _run.fit(prepare(Options(tmp_path / "t.csv", "y", trusted="verified", forced={"note": "text"})))
    for name in FORMATS:
        write_model(done.model, tmp_path / f"model.{name}", name)
    types = sio.get_untrusted_types(file=tmp_path / "model.skops")
    assert {name.partition(".")[0] for name in types} <= {"skrdia", "sklearn", "numpy", "scipy"}
    raw = pl.DataFrame({name: cells[name] for name in ("x", "z", "colour", "share", "day", "note")})
    expected = joblib.load(tmp_path / "model.joblib").predict_proba(raw)
    np.testing.assert_array_equal(sio.load(tmp_path / "model.skops", trusted=types).predict_proba(raw), expected)


def test_whoever_loads_a_model_of_skops_is_told_how(tmp_path):
    pytest.importorskip("skops.io")
    (tmp_path / "t.csv").write_text(as_csv(columns()[0]), encoding="utf-8")
    options = ("--label", "y", "--trusted", "verified", "--model-format", "skops", "--out", tmp_path / "o")
    result = audit(tmp_path / "t.csv", *options)
    assert "get_untrusted_types(file='model.skops')" in result.stderr
    assert (tmp_path / "o" / "model.skops").exists()
    assert f"Written to {tmp_path / 'o'}" in result.stdout


def test_without_skops_the_extra_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "skops.io", None)
    (tmp_path / "t.csv").write_text(as_csv(columns()[0]), encoding="utf-8")
    result = audit(tmp_path / "t.csv", "--label", "y", "--model-format", "skops", "--out", tmp_path / "o")
    assert result.exit_code == 1
    assert result.stderr == "Error: --model-format skops needs skops: pip install 'skrdia[skops]'\n"


@pytest.mark.parametrize("trusted", ["verified", None])
def test_groups_reach_the_fit_when_they_are_named(tmp_path, monkeypatch, trusted):
    given = []

    class Stopped(Exception):
        pass

    class Spy(RDIAClassifier):
        def fit(self, X, y, **rows):
            given.append(rows.get("groups"))
            raise Stopped

    monkeypatch.setattr(_run, "RDIAClassifier", Spy)
    path = with_groups(tmp_path, patients())
    forced = {} if trusted else {"verified": "ignore"}
    for fold_group in (None, "patient"):
        prepared = prepare(Options(path, "y", trusted=trusted, fold_group=fold_group, forced=forced))
        with pytest.raises(Stopped):
            _run.fit(prepared)
    assert given[0] is None
    names = np.array(patients())
    assert all(len(set(names[given[1] == number])) == 1 for number in range(40))
    assert len(set(given[1].tolist())) == 40
    assert "patient" not in [column.name for column in prepared.columns]


def test_rows_without_a_group_are_their_own(tmp_path):
    groups = patients()
    groups[3] = groups[7] = ""
    prepared = prepare(Options(with_groups(tmp_path, groups), "y", fold_group="patient", group="patient"))
    assert len(set(prepared.fold_groups.tolist())) == 42
    assert any("--fold-group: column 'patient' is empty in lines 5, 9;" in note for note in prepared.notes)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"fold_group": "patien"}, "--fold-group: .* has no column 'patien'. Did you mean 'patient'"),
        ({"fold_group": "y"}, "'y' is named by more than one option"),
        ({"fold_group": "verified", "trusted": "verified"}, "'verified' is named by more than one option"),
        ({"fold_group": "x", "forced": {"x": "numeric"}}, "'x' is named by more than one option"),
        ({"fold_group": "same"}, "--fold-group: column 'same' is the same in every row"),
    ],
)
def test_wrong_fold_groups(tmp_path, options, expected):
    path = with_groups(tmp_path, patients())
    path.write_text(as_csv(columns()[0] | {"patient": patients(), "same": ["s"] * N_ROWS}), encoding="utf-8")
    with pytest.raises(AuditError, match=expected):
        prepare(Options(path, "y", **options))


@pytest.mark.skipif(not HAS_GROUPS, reason="RDIAClassifier.fit takes no groups yet")
@pytest.mark.parametrize("trusted", [True, False])
def test_an_audit_by_groups(tmp_path, trusted):
    options = ("--trusted", "verified") if trusted else ("--ignore", "verified")
    path = with_groups(tmp_path, patients())
    result = audit(path, "--label", "y", *options, "--fold-group", "patient", "--out", tmp_path / "o")
    assert result.exit_code == 0, result.stderr
    assert "labels look wrong" in result.stdout or "Nothing worth changing" in result.stdout
