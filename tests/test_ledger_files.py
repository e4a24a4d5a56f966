"""The files of a ledger: read back equal, safe in a spreadsheet, and filled in by a person."""

import csv
import pickle
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from skrdia import Ledger, RDIAClassifier
from skrdia._ledger_columns import COLUMNS, Book, as_column

from .test_ledger import WAYS, fit, named_frame


@pytest.fixture
def ledger(table3):
    return fit(table3, alpha=0.3).ledger_


@pytest.mark.parametrize(
    "index",
    [
        pd.date_range("2024-01-31", periods=300, freq="h"),
        pd.date_range("2024-01-31", periods=300, freq="h", tz="Asia/Tokyo"),
        pd.MultiIndex.from_product([range(30), list("abcdefghij")]),
        pd.period_range("2024-01", periods=300, freq="D"),
        pd.Index([i if i % 2 else f"row {i}" for i in range(300)], dtype=object),
        pd.Index(np.arange(300) / 8),
        pd.CategoricalIndex([f"={i}" for i in range(300)]),
    ],
    ids=["times", "zone", "tuples", "periods", "mixed", "floats", "categories"],
)
def test_any_index_works_and_is_read_back_equal(table, index, tmp_path):
    frame = named_frame(table.X).set_axis(index)
    clf = RDIAClassifier(alpha=0.5).fit(frame, table.y, X_val=named_frame(table.X_val), y_val=table.y_val)
    ledger = clf.ledger_
    ledger.accept(index[ledger["row"][0]]).reject(index[ledger["row"][1:3]])
    assert ledger["decision"][:4].tolist() == ["accepted", "rejected", "rejected", ""]
    for copy in written(ledger, tmp_path):
        assert copy == ledger
        copy.accept(index[ledger["row"][3]])
        assert copy["decision"][3] == "accepted"
    for backend in ("pandas", "polars"):
        assert len(ledger.to_frame(backend)) == len(ledger)


def written(ledger, folder):
    """Copies by every kind of file; no other file is left behind."""
    for kind in ("csv", "json", "parquet"):
        path = folder / f"ledger.{kind}"
        for _ in range(2):  # a second time over the first
            getattr(ledger, f"to_{kind}")(path)
        yield getattr(Ledger, f"read_{kind}")(str(path))
    assert sorted(file.name for file in folder.iterdir()) == ["ledger.csv", "ledger.json", "ledger.parquet"]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    "labels", [np.array(["=no", "'yes"]), np.array([3, -5]), np.array([True, False]), np.array([1.0, 2.0])]
)
def test_files_are_read_back_equal(table, way, labels, tmp_path):
    clf = RDIAClassifier(**WAYS[way]).fit(table.X, labels[table.y], X_val=table.X_val, y_val=labels[table.y_val])
    rows = clf.ledger_["index"][:3].tolist()
    if rows:
        clf.ledger_.accept(rows[0]).reject(rows[1]).set_label(rows[2], labels[0])
    for copy in written(clf.ledger_, tmp_path):
        assert copy == clf.ledger_
        for name in COLUMNS:
            assert copy[name].dtype.kind == clf.ledger_[name].dtype.kind
        assert [type(label) for label in copy["label"].tolist()] == [type(x) for x in clf.ledger_["label"].tolist()]


ODD = ["=", "+1", "-", "@", "'", "''", "'=1", "1", "-1", "1.5", "1e3", "True", "nan", "inf", "NaT", "[1]", "''a"]
CELLS = st.one_of(st.text(max_size=5), st.sampled_from(ODD))
KEYS = st.lists(st.one_of(CELLS, st.integers(), st.booleans(), st.floats(), st.tuples(CELLS, st.integers()), st.none()))


def make_ledger(labels, index=None, reason=""):
    n = len(labels)
    columns = {name: np.zeros(n, dtype=int if kind == "int" else float) for name, kind in COLUMNS.items()}
    columns |= {"label": as_column(labels), "new_label": as_column(labels[::-1]), "row": np.arange(n)}
    columns |= {name: as_column([""] * n) for name in ("decision", "reason")} | {"action": as_column(["flag"] * n)}
    columns["index"] = np.arange(n) if index is None else as_column(index)
    columns["reason"] = as_column([reason] * n)
    return Ledger(Book(columns))


@given(KEYS)
def test_any_key_is_read_back_equal(tmp_path_factory, keys):
    ledger = make_ledger(["a"] * len(keys), keys)
    for copy in written(ledger, tmp_path_factory.mktemp("ledger")):
        assert copy == ledger


@pytest.mark.parametrize("text", ["=1+1", "+1", "-2+3", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "'=1", "-", "="])
def test_no_text_is_a_formula_in_a_spreadsheet(text, tmp_path):
    ledger = make_ledger([text, "b"], [f"{text}a", "c"], reason=text)
    ledger.to_csv(tmp_path / "ledger.csv")
    with open(tmp_path / "ledger.csv", newline="") as file:
        cells = [cell for line in csv.reader(file) for cell in line]
    assert not [cell for cell in cells if cell.startswith(("=", "+", "-", "@", "\t", "\r", "\n"))]
    assert Ledger.read_csv(tmp_path / "ledger.csv") == ledger


def test_the_rule_for_cells_of_keys_and_labels(tmp_path, ledger):
    ledger.to_csv(tmp_path / "ledger.csv")
    with open(tmp_path / "ledger.csv", newline="") as file:
        header, line, *_ = csv.reader(file)
    cells = ["5", "-5", "1.0", "2e3", "TRUE", "True", "'5", "'", "''", "007", "1_0", "abc", "2024-01-31T00:00:00", ""]
    expected = [5, -5, 1.0, 2000.0, True, True, "5", "", "'", 7, "1_0", "abc", None, None]
    lines = []
    for i, cell in enumerate(cells):
        values = dict(zip(header, line, strict=True)) | {"index": cell, "row": str(i)}
        lines.append(list(values.values()))
    with open(tmp_path / "ledger.csv", "w", newline="", encoding="utf-8-sig") as file:
        csv.writer(file).writerows([header, *lines])
    read = Ledger.read_csv(tmp_path / "ledger.csv")["index"].tolist()
    expected[12] = read[12]
    assert repr(read) == repr(expected)
    assert "2024-01-31" in str(read[12])


def test_a_person_fills_in_the_csv(table3, ledger, tmp_path):
    clf = fit(table3, alpha=0.3)
    clf.ledger_.suggest(3).to_csv(tmp_path / "todo.csv")
    lines = pd.read_csv(tmp_path / "todo.csv", dtype=str, keep_default_na=False)
    lines["decision"] = ["accepted", "rejected", "set"]
    lines.loc[2, "new_label"] = "1"
    lines.to_csv(tmp_path / "todo.csv", index=False)
    done = Ledger.read_csv(tmp_path / "todo.csv")
    again = done.refit(clf, table3.X, table3.y, **table3.val)
    first, second, third = done["row"]
    assert again.validation_mask_.sum() == 3
    assert again.relabeled_y_[first] == clf.relabeled_y_[first]
    assert again.relabeled_y_[second] == table3.y[second]
    assert again.relabeled_y_[third] == 1


def test_a_key_is_kept_in_files(table, tmp_path):
    keyed = fit(table, alpha=0.5).ledger_.with_key([f"id-{i}" for i in range(300)])
    for copy in written(keyed, tmp_path):
        assert copy == keyed
        copy.reject(keyed["key"][0])
        assert copy["decision"][0] == "rejected"


@pytest.mark.parametrize("kind", ["csv", "json", "parquet", "pickle"])
def test_saved_and_loaded_goes_on_where_it_was(table, kind, tmp_path):
    trusted = np.arange(300) % 3 == 0
    clf = RDIAClassifier(alpha=0.3).fit(table.X, table.y, trusted=trusted)
    a, b = clf.ledger_["index"][:2].tolist()
    clf.ledger_.accept(a)
    if kind == "pickle":
        loaded = pickle.loads(pickle.dumps(clf.ledger_))
    else:
        getattr(clf.ledger_, f"to_{kind}")(tmp_path / "ledger")
        loaded = getattr(Ledger, f"read_{kind}")(tmp_path / "ledger")
    for ledger in (clf.ledger_, loaded):
        ledger.reject(b)
    params = {"trusted": trusted} if kind in ("csv", "parquet") else {}
    here, there = (ledger.refit(clf, table.X, table.y, **params) for ledger in (clf.ledger_, loaded))
    np.testing.assert_array_equal(there.validation_mask_, here.validation_mask_)
    np.testing.assert_array_equal(there.targets_, here.targets_)
    assert there.ledger_ == here.ledger_
    assert here.validation_mask_.sum() == trusted.sum() + 2
    loaded.undo()
    if kind in ("csv", "parquet"):
        with pytest.raises(ValueError, match="CSV and Parquet files do not hold their order"):
            loaded.undo()
    else:
        loaded.undo()
        assert (loaded["decision"] == "").all()
        with pytest.raises(ValueError, match="label=7 is not a label of fit"):
            loaded.set_label(a, 7)


def test_part_of_a_ledger_in_json_keeps_its_decisions(ledger, tmp_path):
    a, b, c = ledger.suggest(3)["index"].tolist()
    part = ledger.suggest(2)
    ledger.accept([a, c]).reject(b).reject(c)
    part.to_json(tmp_path / "part.json")
    loaded = Ledger.read_json(tmp_path / "part.json")
    assert loaded == part
    assert loaded.undo()["decision"].tolist() == ["accepted", ""]
    assert loaded.undo()["decision"].tolist() == ["", ""]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda frame: frame.drop(columns="row"), r"has no column \['row'\]"),
        (lambda frame: frame.assign(decision="yes"), r"column 'decision' has 'yes' in line 2; expected one of"),
        (lambda frame: frame.assign(action="move"), r"column 'action' has 'move' in line 2; expected one of"),
        (lambda frame: frame.assign(row=3), r"column 'row' has 3 in line 3, as in line 2"),
        (lambda frame: frame.assign(row="x"), r"column 'row' has 'x' in line 2; expected an integer"),
        (lambda frame: frame.assign(influence="0,5"), r"column 'influence' has '0,5' in line 2; expected a number"),
    ],
)
def test_errors_of_reading_name_the_column(ledger, tmp_path, change, message):
    ledger.to_csv(tmp_path / "ledger.csv")
    frame = pd.read_csv(tmp_path / "ledger.csv", dtype=str, keep_default_na=False)
    change(frame).to_csv(tmp_path / "ledger.csv", index=False)
    with pytest.raises(ValueError, match=message):
        Ledger.read_csv(tmp_path / "ledger.csv")


def test_files_that_are_no_ledger(tmp_path, monkeypatch, ledger):
    (tmp_path / "other").write_text('{"a": 1}')
    with pytest.raises(ValueError, match="other is not a ledger"):
        Ledger.read_json(tmp_path / "other")
    with pytest.raises(ValueError, match="has no column"):
        Ledger.read_csv(tmp_path / "other")
    (tmp_path / "other").write_text(",".join(COLUMNS) + "\n1,2\n")
    with pytest.raises(ValueError, match="line 2 has 2 cells, expected 13"):
        Ledger.read_csv(tmp_path / "other")
    (tmp_path / "other").write_text("")
    with pytest.raises(ValueError, match="other is empty; expected a ledger in CSV"):
        Ledger.read_csv(tmp_path / "other")
    for name in ("polars", "pyarrow"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ImportError, match=r"Parquet files need polars or pyarrow.*pip install polars"):
        ledger.to_parquet(tmp_path / "ledger.parquet")


def test_a_failed_write_leaves_the_old_file(ledger, tmp_path, monkeypatch):
    ledger.to_json(tmp_path / "ledger.json")
    before = (tmp_path / "ledger.json").read_text()
    monkeypatch.setattr("json.dump", lambda *args, **params: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(OSError, match="disk full"):
        ledger.accept(ledger["index"][0]).to_json(tmp_path / "ledger.json")
    assert (tmp_path / "ledger.json").read_text() == before
    assert [file.name for file in tmp_path.iterdir()] == ["ledger.json"]


def test_csv_and_json_need_no_library_of_frames(ledger, tmp_path):
    ledger.to_csv(tmp_path / "ledger.csv")
    ledger.to_json(tmp_path / "ledger.json")
    code = (
        "import sys; sys.modules.update(pandas=None, polars=None); from skrdia import Ledger;"
        "Ledger.read_csv('ledger.csv').to_json('a'); Ledger.read_json('ledger.json').to_csv('b')"
    )
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True)
    assert Ledger.read_json(tmp_path / "a") == Ledger.read_csv(tmp_path / "b") == ledger
