"""Files as programs and people leave them: read, called by their lines, and written back cell by cell."""

import codecs
import csv
import datetime as dt
import gzip
import io
import json
import re
import sys
import zipfile

import openpyxl
import polars as pl
import pytest

from skrdia.audit import _excel
from skrdia.audit._columns import guess
from skrdia.audit._errors import AuditError
from skrdia.audit._tables import ADDED, read_table
from tests.audit_tables import N_ROWS, as_csv, as_json, audit, columns

ROWS = [["a", "é1", "x"], ["b", "\u201c2", "y"], ["c, d", "3\n4", "x"], ["e", "5", "y"]]


def written_back(folder, data, name="t.csv", label="label", change=None, **options):
    """The table, and the bytes of the file that is written with one changed label."""
    path = folder / name
    path.write_bytes(data)
    table = read_table(path, **options)
    labels = table.column(label)
    given = list(labels)
    for row, value in (change or {}).items():
        labels[row] = value
    added = dict(zip(ADDED, (given, [0.5, None] * 9, ["", "relabelled"] * 9), strict=True))
    table.write(folder / f"new-{name}", label, labels, {key: cells[: table.n_rows] for key, cells in added.items()})
    return table, (folder / f"new-{name}").read_bytes()


def text_of(rows=ROWS, header=("id", "text", "label"), delimiter=",", newline="\n"):
    return newline.join(_line(row, delimiter) for row in [header, *rows]) + newline


def _line(cells, delimiter):
    out = io.StringIO()
    csv.writer(out, delimiter=delimiter).writerow(cells)
    return out.getvalue().removesuffix("\r\n")


def with_added(text, delimiter=",", newline="\n", header="id"):
    """The text with the three columns that `written_back` adds."""
    rows = list(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter))
    start = next(i for i, row in enumerate(rows) if header in row)
    added = [[row[-1], ("0.5", "")[i % 2], ("", "relabelled")[i % 2]] for i, row in enumerate(rows[start + 1 :])]
    new = [row + more for row, more in zip(rows[start:], [list(ADDED), *added], strict=True)]
    return newline.join(_line(row, delimiter) for row in new) + newline


MARKS = {"utf-8": codecs.BOM_UTF8, "utf-16-le": codecs.BOM_UTF16_LE, "utf-16-be": codecs.BOM_UTF16_BE}
MARKS |= {"utf-32-le": codecs.BOM_UTF32_LE, "utf-32-be": codecs.BOM_UTF32_BE}


@pytest.mark.parametrize("encoding", MARKS)
@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
def test_files_with_a_mark(tmp_path, encoding, newline):
    data = MARKS[encoding] + text_of(newline=newline).encode(encoding)
    table, new = written_back(tmp_path, data)
    assert table.column("text") == [row[1] for row in ROWS]
    assert new == MARKS[encoding] + with_added(text_of(newline=newline), newline=newline).encode(encoding)
    assert table.notes == []


@pytest.mark.parametrize("told", ["utf-16", "UTF16", "utf-8-sig", "utf-32"])
def test_an_encoding_that_its_mark_completes(tmp_path, told):
    data = text_of().encode(told)
    table, new = written_back(tmp_path, data, encoding=told)
    assert table.column("text") == [row[1] for row in ROWS]
    assert new == with_added(text_of()).encode(told)


@pytest.mark.parametrize("encoding", ["cp1252", "utf-16-le", "utf-16-be"])
def test_an_encoding_that_is_guessed_is_told(tmp_path, encoding):
    table, new = written_back(tmp_path, text_of().encode(encoding))
    assert table.column("text") == [row[1] for row in ROWS]
    assert f"read as {encoding}" in table.notes[0]
    assert "--encoding" in table.notes[0]
    assert new == with_added(text_of()).encode(encoding)


def test_what_is_in_no_encoding_is_an_error(tmp_path):
    (tmp_path / "t.csv").write_bytes(b"a,b\n1,\x81\xe9\n")
    with pytest.raises(AuditError, match="is not in utf-8: byte 6"):
        read_table(tmp_path / "t.csv")


@pytest.mark.parametrize(
    ("before", "delimiter", "first"),
    [("sep=;\n", ";", 3), ("SEP=,\r\n", ",", 3), ('"sep=|"\n', "|", 3), ("\n\n", ",", 4), ("sep=:\n", ":", 3)],
)
def test_what_stands_before_the_header_is_kept(tmp_path, before, delimiter, first):
    text = text_of(delimiter=delimiter)
    table, new = written_back(tmp_path, (before + text).encode())
    assert table.names == ["id", "text", "label"]
    assert list(table.lines) == [first, first + 1, first + 2, first + 4]
    assert new.decode() == before + with_added(text, delimiter)


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
def test_rows_are_called_by_their_lines(tmp_path, newline):
    table, _ = written_back(tmp_path, text_of(newline=newline).encode())
    assert list(table.lines) == [2, 3, 4, 6]  # the third holds a line break
    assert table.called([0]) == "line 2"
    assert table.called([0, 1, 2, 3]) == "lines 2, 3, 4 and 1 more"


@pytest.mark.parametrize(
    ("text", "names", "index"),
    [
        (",x,label\n0,1.5,a\n1,2.5,b\n2,3,a\n", ["Unnamed: 0", "x", "label"], "Unnamed: 0"),
        (",x,label\n7,1.5,a\n3,2.5,b\n5,3,a\n", ["Unnamed: 0", "x", "label"], "Unnamed: 0"),
        ("Unnamed: 0,x,label\n7,1.5,a\n3,2.5,b\n5,3,a\n", ["Unnamed: 0", "x", "label"], "Unnamed: 0"),
        ('"x","label"\n"1",1.5,a\n"7",2.5,b\n"3",3,a\n', ["Unnamed: 0", "x", "label"], "Unnamed: 0"),
        ("x,label,\n1.5,a,\n2.5,b,\n3,a,\n", ["x", "label", "Unnamed: 2"], "Unnamed: 2"),
        (
            "__index_level_0__,x,label\n7,1.5,a\n3,2.5,b\n5,3,a\n",
            ["__index_level_0__", "x", "label"],
            "__index_level_0__",
        ),
    ],
)
def test_columns_that_only_count_the_rows(tmp_path, text, names, index):
    table, new = written_back(tmp_path, text.encode())
    assert table.names == names
    used = {column.name: column.is_used for column in guess(table, names, {})}
    assert used[index] is False
    assert used["x"] is True
    assert next(csv.reader(io.StringIO(new.decode()))) == [*next(csv.reader(io.StringIO(text))), *ADDED]


def test_columns_without_a_name_that_hold_something_are_used(tmp_path):
    table, _ = written_back(tmp_path, b"label,,\na,1.5,u\nb,2.5,v\na,2.5,u\n")
    assert [column.kind for column in guess(table, ["Unnamed: 1", "Unnamed: 2"], {})] == ["number", "category"]


@pytest.mark.parametrize(
    "text", ["x,label\n1,2,3\n4,5\n", "x,label\na,1,2\na,3,4\n", "x,label\n1,2,\n3,4,\n", "x,label\n1,a\n\n2,b\n"]
)
def test_ragged_rows_are_told_by_their_line(tmp_path, text):
    (tmp_path / "t.csv").write_text(text)
    with pytest.raises(AuditError, match=r"t.csv, line [23] has \d cells, but the header has 2"):
        read_table(tmp_path / "t.csv")


def test_half_a_pair_of_surrogates_in_text(tmp_path):
    (tmp_path / "t.csv").write_bytes(b"a,b\n1,2\n1,\\ud800\n")
    with pytest.raises(AuditError, match="line 3 has half of a pair of surrogates"):
        read_table(tmp_path / "t.csv", "unicode_escape")


def nested(depth):
    return '{"y": 1, "a": ' + "[" * depth + "]" * depth + "}\n"


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ('{"y": 1, "a": "\\ud800"}', "line 2: 'a' has half of a pair of surrogates"),
        ('{"y": 1, "\\udc00": 1}', "half of a pair of surrogates"),
        ('{"y": "x\\ud83d"}', "line 2: 'y' has half"),
        (nested(101), "line 2: lists and objects stand more than 100 deep"),
        (nested(990), "more than 100 deep"),
        (nested(10**6), "more than 100 deep"),
        ('{"y": 1' + "0" * 5000 + "}", "line 2 has a number of too many digits"),
        ('{"y": 1, "a": 1e999}', "line 2 has the number 1e999"),
        ('{"y": 1, "a": 1, "a": 2}', "line 2 has the key 'a' more than once"),
        ('{"y": 1, "": 1}', "a key is empty"),
    ],
)
def test_json_that_cannot_be_kept(tmp_path, line, expected):
    (tmp_path / "t.jsonl").write_text('{"y": 1}\n' + line + "\n")
    with pytest.raises(AuditError, match=expected):
        read_table(tmp_path / "t.jsonl")


def test_json_that_can_be_kept(tmp_path):
    lines = ['{"y": 1, "a": 1' + "0" * 400 + "}", '{"y": 2, "a": "\\u4e2d"}', "", nested(99).strip(), '{"y": 1.0}']
    for encoding in ("utf-8", "cp1252"):
        table, new = written_back(tmp_path, "\n".join(lines).encode(encoding), "t.jsonl", "y", encoding=encoding)
        assert list(table.lines) == [1, 2, 4, 5]
        rows = [json.loads(line) for line in new.decode(encoding).splitlines()]
        given = [json.loads(line) for line in lines if line]
        assert [{k: v for k, v in row.items() if k not in ADDED} for row in rows] == given


def test_huge_cells_do_not_stop_an_audit(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    cells, _ = columns()
    cells["integers"] = [10**400 + i for i in range(N_ROWS)]
    cells["one integer"] = [10**400 if i == 3 else i / 7 for i in range(N_ROWS)]
    cells["one text"] = ["z" * 10**6 if i == 3 else i / 7 for i in range(N_ROWS)]
    (tmp_path / "t.jsonl").write_text(as_json(cells))
    result = audit("t.jsonl", "--label", "y", "--trusted", "verified", "--category", "integers")
    assert result.exit_code == 0, result.stderr
    assert "column 'one integer': 159 of 160 are numbers; line 4 is '1000000" in result.stderr


@pytest.mark.parametrize(
    ("label", "expected"),
    [
        (lambda i: "ab"[i % 2] * 3_000_000, r"has a text of 3,000,000 characters in line 1; a label has at most 1,000"),
        (lambda i: 10**30 + i % 2, r"has the number 1000.* in line 1, which takes more than 64 bits"),
        (lambda i: -(2**64) if i == 3 else i % 2, "in line 4, which takes more than 64 bits"),
    ],
)
def test_huge_labels(tmp_path, label, expected):
    cells = {"x": list(range(8)), "y": [label(i) for i in range(8)]}
    (tmp_path / "t.jsonl").write_text(as_json(cells))
    result = audit(tmp_path / "t.jsonl", "--label", "y")
    assert result.exit_code == 1
    assert len(result.stderr.splitlines()) == 1
    assert re.search(expected, result.stderr)


@pytest.mark.parametrize("text", ["w{0}", "?!", "w{0} w{0}", "", "a b"])
def test_texts_without_repeated_words(tmp_path, text):
    cells, _ = columns()
    cells["note"] = [text.format(i) for i in range(N_ROWS)]
    (tmp_path / "t.csv").write_text(as_csv(cells), encoding="utf-8")
    result = audit(tmp_path / "t.csv", "--label", "y", "--text", "note")
    assert result.exit_code == 1
    assert result.stderr.startswith("Error: --text: no word of column 'note' stands in two rows")


def sheet_of(book=None, title="Sheet", at=(1, 1), cells=None):
    book = book or openpyxl.Workbook()
    sheet = book[title] if title in book.sheetnames else book.create_sheet(title)
    cells = cells or columns()[0]
    for j, (name, column) in enumerate(cells.items()):
        sheet.cell(at[0], at[1] + j, name)
        for i, value in enumerate(column):
            sheet.cell(at[0] + 1 + i, at[1] + j, value)
    return book


def excel(folder, book, name="t.xlsx"):
    book.save(folder / name)
    return (folder / name).read_bytes()


def values(path):
    return [list(row) for row in openpyxl.load_workbook(path).active.iter_rows(values_only=True)]


def test_an_excel_file_is_audited_and_written_as_one(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    cells, _ = columns()
    cells["x"] = [float(cell) for cell in cells["x"]]
    cells["when"] = [dt.datetime(2024, 1, 1 + i % 28, i % 24) for i in range(N_ROWS)]
    book = sheet_of(cells=cells)
    book.active["B2"].number_format = "0.00"
    book.active.column_dimensions["A"].width = 33
    book.create_sheet("notes")["A1"] = "=1+1"
    data = excel(tmp_path, book)
    result = audit("t.xlsx", "--label", "y", "--trusted", "verified", "--json")
    assert result.exit_code == 0, result.stderr
    assert {c["name"]: c["kind"] for c in json.loads(result.stdout)["columns"]}["when"] == "date"
    assert (tmp_path / "t.xlsx").read_bytes() == data
    given, new = values(tmp_path / "t.xlsx"), values(tmp_path / "audit" / "repaired.xlsx")
    j = given[0].index("y")
    assert new[0] == [*given[0], *ADDED]
    assert [[*row[:j], *row[j + 1 : -3]] for row in new] == [[*row[:j], *row[j + 1 :]] for row in given]
    assert [row[-3] for row in new[1:]] == cells["y"]
    changed = [new[i][j] != given[i][j] for i in range(1, N_ROWS + 1)]
    assert [row[-1] == "relabelled" for row in new[1:]] == changed
    assert sum(changed) > 0
    repaired = openpyxl.load_workbook(tmp_path / "audit" / "repaired.xlsx")
    assert repaired.active["B2"].number_format == "0.00"
    assert repaired.active.column_dimensions["A"].width == 33
    assert repaired["notes"]["A1"].value == "=1+1"
    keys = (tmp_path / "audit" / "ledger.csv").read_text().splitlines()[1].split(",")
    assert cells["y"][int(keys[1]) - 2] == keys[3]


def test_a_table_anywhere_in_a_sheet(tmp_path):
    book = sheet_of(at=(4, 3), cells={"x": [1, 2.5, None, 4], "label": ["a", "=b", None, "a"]})
    book.active["D6"].data_type = "s"
    table, _ = written_back(tmp_path, excel(tmp_path, book), "t.xlsx", change={1: "a", 3: "=b"})
    assert table.names == ["x", "label"]
    assert list(table.lines) == [5, 6, 7, 8]
    assert table.called([1]) == "row 6"
    assert table.column("x") == [1, 2.5, None, 4]
    new = values(tmp_path / "new-t.xlsx")
    assert new[3][2:] == ["x", "label", *ADDED]
    assert new[5][2:] == [2.5, "a", "=b", None, "relabelled"]
    assert new[7][2:] == [4, "=b", "a", None, "relabelled"]
    assert openpyxl.load_workbook(tmp_path / "new-t.xlsx").active["D8"].data_type == "s"


@pytest.mark.parametrize(
    "label", [[1, 2, 1, 2], [True, False, True, True], [dt.date(2024, 1, 1), dt.date(2024, 1, 2)] * 2, [0.5, 1.5] * 2]
)
def test_labels_of_excel_keep_their_type(tmp_path, label):
    book = sheet_of(cells={"x": [1, 2, 3, 4], "label": label})
    path = tmp_path / "t.xlsx"
    path.write_bytes(excel(tmp_path, book))
    table = read_table(path)
    labels = table.column("label")
    table.write(tmp_path / "n.xlsx", "label", labels[::-1], dict.fromkeys(ADDED, labels))
    given, new = values(path), values(tmp_path / "n.xlsx")
    assert [row[1] for row in new[1:]] == [row[1] for row in given[1:]][::-1]
    assert [row[2] for row in new[1:]] == [row[1] for row in given[1:]]


def test_sheets(tmp_path):
    book = sheet_of(title="first")
    sheet_of(book, "second", cells={"other": [1]})
    path = tmp_path / "t.xlsx"
    excel(tmp_path, book)
    table = read_table(path)
    assert table.names == list(columns()[0])
    assert "sheet 'first' is read; --sheet names another ('second')" in table.notes[0]
    assert read_table(path, sheet="second").names == ["other"]
    book["first"].sheet_state = "hidden"
    excel(tmp_path, book)
    assert read_table(path).names == ["other"]
    with pytest.raises(AuditError, match=r"--sheet: .* has no sheet 'secnd'. Did you mean 'second'"):
        read_table(path, sheet="secnd")


def damaged(folder, kind):
    path = folder / "t.xlsx"
    data = excel(folder, sheet_of(cells={"x": [1], "y": ["=1+1"]}))
    book = openpyxl.Workbook()
    made = {
        "no zip": b"x,y\n1,2\n",
        "half": data[: len(data) // 2],
        "another zip": gzip.compress(data),
        "no values": data,
        "empty": excel(folder, book),
        "header only": excel(folder, sheet_of(cells={"x": [], "y": []})),
        "same name": excel(folder, sheet_of(book, cells={"x": [1], "x ": [1]})),
    }
    path.write_bytes(made[kind])
    return path


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("no zip", "is no Excel file that can be read"),
        ("half", "is no Excel file that can be read"),
        ("another zip", "is no Excel file that can be read"),
        ("no values", "the formula in B2 has no value yet. Open the file in a spreadsheet"),
        ("empty", "is empty"),
        ("header only", "has no rows"),
    ],
)
def test_excel_files_that_cannot_be_read(tmp_path, kind, expected):
    with pytest.raises(AuditError, match=expected):
        read_table(damaged(tmp_path, kind))


def test_without_the_library_the_extra_is_named(tmp_path, monkeypatch):
    path = damaged(tmp_path, "empty")
    monkeypatch.setitem(sys.modules, "openpyxl", None)
    with pytest.raises(AuditError, match=r"Excel files need openpyxl: pip install 'skrdia\[excel\]'"):
        read_table(path)
    assert _excel.SUFFIX == ".xlsx"


def test_parquet_rows_and_types(tmp_path):
    frame = pl.DataFrame(
        {
            "__index_level_0__": [4, 2, 9, 7],
            "price": pl.Series(["1.50", "2.25", "3.00", "4.75"]).cast(pl.Decimal(10, 2)),
            "took": [dt.timedelta(seconds=i) for i in range(4)],
            "at": [dt.time(6, i) for i in range(4)],
            "since": pl.Series([dt.datetime(2024, 1, 1 + i, tzinfo=dt.UTC) for i in range(4)]),
            "label": ["a", "b", "a", "b"],
        }
    )
    frame.write_parquet(tmp_path / "t.parquet")
    table = read_table(tmp_path / "t.parquet")
    assert table.called([0, 3]) == "rows 1, 4"
    assert {c.name: c.kind for c in guess(table, table.names[:-1], {})} == {
        "__index_level_0__": "identifier",
        "price": "number",
        "took": "identifier",
        "at": "time",
        "since": "date",
    }
    added = dict(zip(ADDED, (frame["label"].to_list(), [0.5] * 4, [""] * 4), strict=True))
    table.write(tmp_path / "n.parquet", "label", ["b", "b", "b", "b"], added)
    assert pl.read_parquet(tmp_path / "n.parquet").drop("label", *ADDED).equals(frame.drop("label"))


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("cell", ["a\rb", "a\nb", "a\r\nb", 'a"b', "a,b", " a ", "'"])
def test_cells_that_need_quotes_get_them(tmp_path, newline, cell):
    rows = [["1", cell, "x"], ["2", "c", "y"]]
    table, new = written_back(tmp_path, text_of(rows, newline=newline).encode())
    assert table.column("text") == [cell, "c"]
    assert new.decode() == with_added(text_of(rows, newline=newline), newline=newline)


def test_formulas_are_read_by_their_values_and_kept(tmp_path):
    """As a spreadsheet leaves them: the second has an empty text for a value."""
    path = damaged(tmp_path, "no values")
    table = sheet_of(cells={"x": [1, 2, 3], "label": ["=A2", '=""', "=A4"]})
    excel(tmp_path, table)
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    name = "xl/worksheets/sheet1.xml"
    sheet = re.sub(rb"<f>A(\d)</f><v ?/?>(?:</v>)?", rb"<f>A\1</f><v>1\1</v>", parts[name])
    assert sheet != parts[name]
    with zipfile.ZipFile(path, "w") as archive:
        for part, content in (parts | {name: sheet}).items():
            archive.writestr(part, content)
    read = read_table(path)
    assert read.column("label") == [12, None, 14]
    read.write(tmp_path / "n.xlsx", "label", [14, None, 14], {name: [12, None, 14] for name in ADDED})
    assert [row[1] for row in values(tmp_path / "n.xlsx")] == ["label", 14, '=""', "=A4"]
