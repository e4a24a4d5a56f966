"""Files of a ledger that are damaged, or never were one: one clear ValueError each, and nothing foreign is taken."""

import gzip
import json

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from skrdia import Ledger

from .test_ledger_files import CELLS, make_ledger

KINDS = ("csv", "json", "parquet")


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A ledger with decisions in files of all kinds: their folder."""
    ledger = make_ledger(["good", "bad", "good"], index=["a", "b", "c"], reason="its label raises the held-out loss")
    ledger._book.n_samples, ledger._book.outside = 9, False
    ledger._book.classes = np.array(["bad", "good"], dtype=object)
    ledger._book.validation = np.arange(9) > 5
    ledger.accept("a").set_label("b", "good")
    folder = tmp_path_factory.mktemp("files")
    for kind in KINDS:
        write(ledger, kind, folder)
    return folder


def write(ledger, kind, folder):
    getattr(ledger, f"to_{kind}")(folder / f"ledger.{kind}")
    return folder / f"ledger.{kind}"


def read(kind, path):
    return getattr(Ledger, f"read_{kind}")(path)


def refused(kind, path, message):
    with pytest.raises(ValueError, match=message) as caught:
        read(kind, path)
    text = str(caught.value)
    assert text.startswith(str(path))
    assert "np." not in text
    assert len(text) < 700


CSV = [
    # what is replaced, by what, and what is said
    ("row", "line", r"has no column \['row'\]"),
    (",row,", ",row,row,", r"has more than one column \['row'\]"),
    (",row,", ",row,comment,", r"has a column \['comment'\] too"),
    (",row,", ",row,,", r"has a column \[''\] too"),
    ("\na,0", "\na,-1", "column 'row' has -1 in line 2; expected an integer from 0"),
    ("\na,0", "\na,0.5", "column 'row' has '0.5' in line 2; expected an integer from 0"),
    ("\na,0", "\na,\uff11", "column 'row' has '\uff11' in line 2"),
    ("\na,0", "\na,1_0", "column 'row' has '1_0' in line 2"),
    ("\na,0", "\na,", "column 'row' has '' in line 2"),
    ("\na,0", "\na," + "9" * 30, "column 'row' has 9+ in line 2"),
    ("\na,0", "\na," + "9" * 5000, r"column 'row' has '9+\.\.\.9+' in line 2"),
    ("\na,0", "\na,1", "column 'row' has 1 in line 3, as in line 2"),
    (",flag,", ",flog,", r"column 'action' has 'flog' in line 2; expected one of \['relabel', 'drop'"),
    ("accepted", "Accepted", r"column 'decision' has 'Accepted' in line 2; expected one of"),
    ("accepted", "accepted\x00", r"column 'decision' has 'accepted\\x00' in line 2"),
    ("flag,0.0", 'flag,"0,5"', "column 'influence' has '0,5' in line 2; expected a number, with a point"),
    ("flag,0.0", "flag,1e", "column 'influence' has '1e' in line 2"),
    ("flag,0.0", "flag,0x1", "column 'influence' has '0x1' in line 2"),
    ("flag,0.0,0.0", "flag,0.0,-1.0", "column 'standard_error' has -1.0 in line 2; expected a number from 0"),
    ("0,0.0,its", "0,7,its", "column 'confidence' has 7.0 in line 2; expected a probability"),
    ("0,0.0,its", "0,inf,its", "column 'confidence' has inf in line 2; expected a probability"),
    ("0,0.0,its", "1.5,0.0,its", "column 'round' has '1.5' in line 2; expected an integer"),
    ("0,good", "0,", "column 'label' has None in line 2; expected a label"),
    ("0,good", "0,nan", "column 'label' has nan in line 2; expected a label"),
    ("0,good", "0,inf", "column 'label' has inf in line 2; expected a label"),
    ("0,good", '0,"[1]"', r"column 'label' has \(1,\) in line 2; expected a label"),
    ("0,good", "0,7", "has 'bad', text, in line 3, but column 'label' has 7, a number, in line 2; .* one type"),
    ("0,good", "0,True", "has 'bad', text, in line 3, but column 'label' has True, yes or no, in line 2"),
    (
        "0,good",
        "0,=1+1",
        "column 'label' has '=1\\+1' in line 2, which a spreadsheet .* apostrophe",
    ),
    ("\na,0", "\n@SUM(A1),0", "column 'index' has '@SUM\\(A1\\)' in line 2, which a spreadsheet takes for a formula"),
    ("its label", "+its label", "column 'reason' has .* in line 2, which a spreadsheet takes for a formula"),
    ("its label", '"its label', "line 2: unexpected end of data. A quote is not closed, or the file is cut off"),
    ("its label", '"its" label', "line 2: ',' expected after '\"'"),
    (",flag,", ",flag,more,", "line 2 has 14 cells, expected 13"),
    (",", ";", r"has no column \['index', .*separated by semicolons; save it with commas"),
    (",", "\t", r"has no column \['index', .*separated by tabs; save it with commas"),
]


@pytest.mark.parametrize(("old", "new", "message"), CSV)
def test_csv(files, tmp_path, old, new, message):
    text = (files / "ledger.csv").read_bytes().decode()
    assert old in text
    path = tmp_path / "ledger.csv"
    path.write_bytes(text.replace(old, new, -1 if old == "," else 1).encode())
    refused("csv", path, message)


@pytest.mark.parametrize("kind", ["csv", "json"])
def test_encodings_are_named(files, tmp_path, kind):
    text = (files / f"ledger.{kind}").read_text(encoding="utf-8")
    path = tmp_path / "ledger"
    for encoding in ("utf-16", "utf-32"):
        path.write_bytes(text.encode(encoding))
        refused(kind, path, rf"is in UTF-{encoding[-2:]}; expected a ledger in \w+ in UTF-8. Save")
    path.write_bytes(text.encode("utf-16-le"))
    refused(kind, path, "zero bytes: it is in UTF-16" if kind == "csv" else "line 1 is not JSON")
    path.write_bytes(text.replace("held-out", "h\xe9ld-out").encode("cp1252"))
    refused(kind, path, r"line \d+: byte 0xe9 is not UTF-8. .* in cp1252 or another encoding, save it as UTF-8")
    path.write_bytes(text.encode("utf-8-sig"))
    assert read(kind, path) == read(kind, files / f"ledger.{kind}")


@pytest.mark.parametrize("kind", KINDS)
def test_files_of_other_kinds(files, tmp_path, kind):
    path, whole = tmp_path / "ledger", (files / f"ledger.{kind}").read_bytes()
    for content in (
        b"",
        b"\n \n",
        b"\xef\xbb\xbf",
        b"PK\x03\x04" + whole,
        gzip.compress(whole),
        gzip.compress(whole)[:90],
    ):
        path.write_bytes(content)
        refused(kind, path, "is no Parquet file" if kind == "parquet" else "is empty|workbook|packed by gzip")
    for other in set(KINDS) - {kind}:
        path.write_bytes((files / f"ledger.{other}").read_bytes())
        refused(kind, path, "is a Parquet file|looks like JSON; read it by|is not JSON|is no Parquet file")
    path.write_bytes(b"a,b\n1,2\n" if kind == "csv" else b"[1, 2]")
    refused(kind, path, "has no column|is not a ledger|is no Parquet file")
    with pytest.raises(FileNotFoundError):
        read(kind, tmp_path / "nowhere")
    with pytest.raises(OSError, match="directory"):
        read(kind, tmp_path)


def changed(*keys, to):
    """A function that sets an entry of nested objects."""

    def change(content):
        for key in keys[:-1]:
            content = content[key]
        content[keys[-1]] = to

    return change


def came(rows, labels):
    """Validation rows and the labels they came with, as the file has them."""
    dtype = "|O" if isinstance(labels[0], str) else "<i8"
    return {"row": {"dtype": "<i8", "values": rows}, "label": {"dtype": dtype, "values": labels}}


OF_ROW = ("columns", "row", "values")
JSON = [
    (
        changed("skrdia_ledger", to=2),
        "has format 2 of ledgers, and this version .* reads up to 1. Update",
    ),
    (changed("skrdia_ledger", to=True), "is not a ledger that this version of skrdia can read"),
    (changed("skrdia_ledger", to="1"), "is not a ledger that this version of skrdia can read"),
    (changed("more", to=1), r"has the keys \['skrdia_ledger', .*'more'\], expected"),
    (lambda content: content.pop("outside"), r"has the keys \['skrdia_ledger'"),
    (changed("columns", to=[]), r"'columns' is \[\]; expected an object"),
    (lambda content: content["columns"].pop("label"), r"has no column \['label'\]"),
    (changed("columns", "more", to={"dtype": "<i8", "values": []}), r"has a column \['more'\] too"),
    (changed("columns", "row", to=3), '\'row\' is 3; expected an object with "dtype" and "values"'),
    (changed("columns", "row", "values", to="012"), "'row' is .*; expected an object"),
    (changed("columns", "row", "dtype", to="O,O"), "'dtype of row' is 'O,O'; expected one such as"),
    (changed("columns", "row", "dtype", to="<f8"), "'dtype of row' is '<f8'; expected one of the kind iu"),
    (changed("columns", "reason", "dtype", to="<i8"), "'dtype of reason' is '<i8'; expected one of the kind O"),
    (changed(*OF_ROW, to=[0, 1]), "the columns have .*'row': 2.* values; expected as many in each"),
    (changed(*OF_ROW, 0, to=True), "column 'row' has True in value 1; expected an integer from 0"),
    (changed(*OF_ROW, 0, to=0.5), "column 'row' has 0.5 in value 1; expected an integer from 0"),
    (changed(*OF_ROW, 0, to=None), "column 'row' has None in value 1; expected an integer from 0"),
    (changed(*OF_ROW, 0, to=10**20), "column 'row' has 10+ in value 1; expected an integer from 0"),
    (changed(*OF_ROW, 0, to=9), "column 'row' has 9 in value 1, but the fit had 9 rows"),
    (changed(*OF_ROW, 0, to=6), r"'validation_rows' is \[6\]; expected rows that are no lines"),
    (changed("columns", "round", "dtype", to="|i1"), ""),
    (changed("columns", "round", "values", 1, to=300), ""),
    (changed("columns", "score", "values", 1, to="x"), "column 'score' has 'x' in value 2; expected a number"),
    (
        changed("columns", "score", "values", 1, to={"float": "1e5"}),
        r"'score' has \{'float': '1e5'\} in value 2",
    ),
    (changed("columns", "label", "values", 1, to={"a": 1}), r"column 'label' has \{'a': 1\} in value 2"),
    (changed("columns", "label", "values", 1, to=7), "column 'label' has 7, a number, in value 2, but"),
    (
        changed("columns", "label", to={"dtype": "<i8", "values": [1, 2, 3.5]}),
        "has 3.5 in value 3, which is no value",
    ),
    (
        changed("columns", "label", to={"dtype": "|i1", "values": [1, 2, 300]}),
        "has 300 in value 3, which is no value",
    ),
    (changed("columns", "label", to={"dtype": "<M8[us]", "values": ["1", "x", "y"]}), "which is no value of its dtype"),
    (changed("columns", "decision", "values", 1, to="no"), "column 'decision' has 'no' in value 2; expected one of"),
    (changed("columns", "reason", "values", 1, to=3), "column 'reason' has 3 in value 2; expected text"),
    (changed("n_samples", to=-1), "'n_samples' is -1; expected the number of rows of X"),
    (changed("n_samples", to=9.5), "'n_samples' is 9.5; expected the number of rows of X"),
    (changed("n_samples", to=10**60), "n_samples is 10.*0, for which the memory does not suffice"),
    (changed("n_samples", to=None), "'validation_rows' is .* expected different rows of the None of X"),
    (changed("outside", to=3), "'outside' is 3; expected true, false or null"),
    (changed("validation_rows", to=[8, 8]), r"'validation_rows' is \[8, 8\]; expected different rows of the 9 of X"),
    (changed("validation_rows", to=[9]), r"'validation_rows' is \[9\]; expected different rows of the 9 of X"),
    (changed("validation_rows", to=[True]), r"'validation_rows' is \[True\]; expected a list of integers"),
    (
        changed("classes", "values", to=[1, 2]),
        "'label' has 'good', text, in value 1, but column 'classes' has 1",
    ),
    (changed("came", to={"row": []}), r"'came' is \{'row': \[\]\}; expected an object with \['row', 'label'\]"),
    (changed("came", to=came([8], ["bad"])), ""),
    (changed("came", to=came([8], ["bad", "good"])), "'came' is .* expected as many rows as labels"),
    (changed("came", to=came([8, 8], ["bad", "good"])), "'came' is .* expected as many rows as labels, each once"),
    (changed("came", to=came([3, 8], ["bad", "good"])), r"'came' is \[3\]; expected rows that are validation rows"),
    (changed("came", to=came([8], [3])), "column 'came' has 3, a number, in value 1, but"),
    (changed("history", to={}), r"'history' is \{\}; expected a list of decisions"),
    (changed("history", 0, to=[]), r"'history, decision 1' is \[\]; expected an object with"),
    (changed("history", 0, "row", "values", to=[5]), r"'history, decision 1' is \[5\]; expected rows of the ledger"),
    (changed("history", 0, "row", "values", to=[]), "'history, decision 1' is .* expected as many values in each"),
    (changed("history", 1, "decision", "values", to=["x"]), "column 'decision' has 'x' in value 1; expected one of"),
    (changed("history", 1, "new_label", "values", to=[3]), "column 'new_label' has 3, a number, in value 1, but"),
]


@pytest.mark.parametrize(("change", "message"), JSON)
def test_json(files, tmp_path, change, message):
    content = json.loads((files / "ledger.json").read_text(encoding="utf-8"))
    change(content)
    path = tmp_path / "ledger.json"
    path.write_text(json.dumps(content), encoding="utf-8")
    if message:
        refused("json", path, message)
    else:
        assert len(read("json", path)) == 3


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"skrdia_ledger": 1', "line 1 is not JSON: Expecting ',' delimiter. The file is cut off"),
        ('{"skrdia_ledger": NaN}', "is not a ledger: NaN is no number of JSON"),
        ('{"skrdia_ledger": 1, "skrdia_ledger": 1}', "is not a ledger: an object has a key twice"),
        ("[" * 100_000 + "]" * 100_000, "is not a ledger: it is nested too deeply"),
        ('{"skrdia_ledger": ' + "9" * 5000 + "}", "is not a ledger: Exceeds the limit"),
        ('{"skrdia_ledger": ' + "9" * 50 + "}", r"has format 9+\.*9* of ledgers"),
        ("\x00" * 20, "line 1 is not JSON"),
        ("null", "is not a ledger that this version of skrdia can read"),
    ],
)
def test_json_as_a_whole(tmp_path, text, message):
    (tmp_path / "ledger.json").write_text(text, encoding="utf-8")
    refused("json", tmp_path / "ledger.json", message)


PARQUET = [
    (lambda frame: frame.drop("row"), r"has no column \['row'\]"),
    (lambda frame: frame.with_columns(more=1), r"has a column \['more'\] too"),
    (lambda frame: frame.with_columns(pl.lit("3").alias("row:json")), r"has a column \['row:json'\] too"),
    (lambda frame: frame.with_columns(pl.lit("3").alias("label:json")), r"has more than one column \['label'\]"),
    (lambda frame: frame.with_columns(row=pl.lit(3)), "column 'row' has 3 in row 2, as in row 1"),
    (lambda frame: frame.with_columns(row=pl.lit(-3)), "column 'row' has -3 in row 1; expected an integer from 0"),
    (lambda frame: frame.with_columns(row=pl.lit(0.5)), "column 'row' has the type Float64"),
    (lambda frame: frame.with_columns(row=pl.lit(None)), "column 'row' has the type"),
    (lambda frame: frame.with_columns(row=pl.lit(None, pl.Int64)), "column 'row' has nothing in row 1"),
    (lambda frame: frame.with_columns(score=pl.lit("1")), "column 'score' has the type String"),
    (lambda frame: frame.with_columns(reason=pl.lit(1)), "column 'reason' has the type Int"),
    (lambda frame: frame.with_columns(reason=pl.lit(None, pl.String)), "column 'reason' has nothing in row 1"),
    (lambda frame: frame.with_columns(decision=pl.lit("no")), "column 'decision' has 'no' in row 1; expected one of"),
    (
        lambda frame: frame.with_columns(label=pl.lit(1)),
        "'good', text, in row 1, but column 'label' has 1",
    ),
    (lambda frame: frame.with_columns(label=pl.lit(float("nan"))), "column 'label' has nan in row 1; expected a label"),
    (lambda frame: frame.with_columns(label=[1]), "column 'label' has the type List"),
    (lambda frame: frame.with_columns(label=pl.lit(b"a")), "column 'label' has the type Binary"),
    (
        lambda frame: frame.rename({"label": "label:json"}),
        "has 'good' in row 1; expected a value in JSON",
    ),
    (lambda frame: frame.with_columns(pl.lit("[" * 9999).alias("index:json")).drop("index"), "column 'index:json' has"),
    (lambda frame: pl.DataFrame({"a": [1]}), r"has no column \['index'"),
]


@pytest.mark.parametrize(("change", "message"), PARQUET)
def test_parquet(files, tmp_path, change, message):
    path = tmp_path / "ledger.parquet"
    change(pl.read_parquet(files / "ledger.parquet")).write_parquet(path)
    refused("parquet", path, message)


def test_parquet_that_is_damaged(files, tmp_path):
    whole, path = (files / "ledger.parquet").read_bytes(), tmp_path / "ledger.parquet"
    for content in (whole[:-1], whole[:200], b"PAR1PAR1", whole[:4] + b"\xff" * (len(whole) - 8) + whole[-4:]):
        path.write_bytes(content)
        refused("parquet", path, "is no Parquet file, or is cut off|cannot be read, as it is damaged")


def test_a_ledger_without_lines_is_read_back(tmp_path):
    empty = make_ledger(["a"])
    empty = Ledger(empty._book, at=np.array([], dtype=int))
    for kind in KINDS:
        assert len(read(kind, write(empty, kind, tmp_path))) == 0


LABELS = st.one_of(
    st.lists(CELLS, min_size=1),
    st.lists(st.text(st.sampled_from("'\"\\,;=+-@[]{}\t\r\n\x00 0aé漢😀")), min_size=1),
    st.lists(st.integers(-(2**63), 2**63 - 1), min_size=1),
    st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1),
    st.lists(st.booleans(), min_size=1),
    st.integers(100_000, 300_000).map(lambda n: ["a" * n, "b'\"\n" * (n // 4)]),
)


@given(LABELS, st.sampled_from(["list", "array", "series"]), CELLS)
def test_what_is_written_is_read_back(tmp_path_factory, labels, holder, reason):
    if holder == "array" and not any(isinstance(label, str) and "\x00" in label for label in labels):
        labels = np.array(labels)
    if holder == "series":
        labels = pd.Series(labels)
    ledger, folder = make_ledger(list(labels), reason=reason), tmp_path_factory.mktemp("ledger")
    for kind in KINDS:
        assert read(kind, write(ledger, kind, folder)) == ledger


@pytest.mark.parametrize("kind", KINDS)
def test_labels_of_megabytes(tmp_path, kind):
    ledger = make_ledger(["a", "b" * 2_000_000])
    assert read(kind, write(ledger, kind, tmp_path)) == ledger


@pytest.mark.parametrize("kind", KINDS)
def test_names_of_files_with_bytes_that_are_no_text_are_kept(tmp_path, kind):
    ledger = make_ledger(["a", "b"], index=["x\udce9.png", "y.png"])
    assert read(kind, write(ledger, kind, tmp_path)) == ledger


DAMAGE = st.lists(
    st.tuples(st.floats(0, 1, exclude_max=True), st.sampled_from(["flip", "cut", "add"]), st.binary(min_size=1)),
    min_size=1,
    max_size=3,
)


def damaged(data, damage):
    """The bytes with some flipped, cut out or put in."""
    for share, how, new in damage:
        at = int(share * len(data))
        if how == "flip":
            new = bytes(a ^ b for a, b in zip(data[at:], new, strict=False))
        data = data[:at] + (b"" if how == "cut" else new) + data[at + (0 if how == "add" else len(new)) :]
    return data


@pytest.mark.parametrize("kind", KINDS)
@given(damage=DAMAGE)
def test_damage_is_told_or_harmless(files, tmp_path_factory, kind, damage):
    folder = tmp_path_factory.mktemp("ledger")
    path = folder / f"ledger.{kind}"
    path.write_bytes(damaged((files / path.name).read_bytes(), damage))
    try:
        ledger = read(kind, path)
    except ValueError as error:
        assert str(error).startswith(str(path))  # noqa: PT017
        return
    for other in KINDS:
        assert read(other, write(ledger, other, folder)) == ledger
