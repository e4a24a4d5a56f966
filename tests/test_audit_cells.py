"""Cells as people write them: labels that are words or spellings, numbers and times with a few other cells."""

import math

import numpy as np
import pytest

from skrdia.audit._columns import guess, to_frame
from skrdia.audit._encoder import encoder
from skrdia.audit._errors import AuditError
from skrdia.audit._numbers import NumberForm, as_number, decimal_of
from skrdia.audit._run import Options, prepare
from skrdia.audit._tables import read_table
from skrdia.audit._times import as_days, time_form
from tests.audit_tables import N_ROWS, as_csv, as_json, audit, columns


def table_of(folder, delimiter=",", **cells):
    (folder / "t.csv").write_text(as_csv(cells, delimiter), encoding="utf-8")
    return read_table(folder / "t.csv")


def guessed(folder, cells, delimiter=",", **options):
    """The column with these cells, as it is guessed, and its values."""
    table = table_of(folder, delimiter, c=list(map(str, cells)), other=["a,b"] * len(cells))
    (column,) = guess(table, ["c"], options.pop("forced", {}), **options)
    values = to_frame(table, [column], range(len(cells)))["c"].to_list() if column.is_used else None
    return column, values


def prepared(folder, labels, **options):
    cells, _ = columns()
    cells |= {"y": labels}
    (folder / "t.csv").write_text(as_csv(cells), encoding="utf-8")
    return prepare(Options(folder / "t.csv", "y", **options))


def with_labels(*labels):
    """Labels of all rows, of which the first are these, over and over."""
    return [labels[i % len(labels)] for i in range(N_ROWS)]


@pytest.mark.parametrize("word", ["None", "NA", "null", "?", "N/A", "nan", "NULL", "-"])
def test_words_for_nothing_are_labels(tmp_path, word):
    labels = with_labels(word, "mild", "severe")
    found = prepared(tmp_path, labels)
    assert found.labels.tolist() == labels
    assert any(f"{word!r} (54 rows) in column 'y' is taken for a label" in note for note in found.notes) == (
        word != "-"
    )
    other = prepared(tmp_path, labels, missing_label=(word,))
    assert set(other.labels) == {"mild", "severe"}
    assert any("54 rows without a label" in note for note in other.notes)


@pytest.mark.parametrize("empty", ["", " ", "\t", "\u00a0"])
def test_empty_cells_are_no_labels(tmp_path, empty):
    found = prepared(tmp_path, with_labels(empty, "a", "b"))
    assert len(found.labels) == N_ROWS - 54
    assert 0 not in found.rows


def test_a_missing_label_that_is_nowhere_is_told(tmp_path):
    notes = prepared(tmp_path, with_labels("a", "b"), missing_label=("NN",)).notes
    assert "--missing-label: no cell of column 'y' is 'NN'." in notes


ALIKE = {
    "outer spaces": ("no", "no ", "yes"),
    "case": ("no", "No", "yes"),
    "a space that does not break": ("no", "no\u00a0", "yes"),
    "two spaces": ("not yet", "not  yet", "yes"),
    "1 and 1.0": ("1", "1.0", "2"),
    "1 and 01": ("1", "01", "2"),
    "1000 and 1e3": ("1000", "1e3", "2"),
    "accents in two forms": ("caf\u00e9", "cafe\u0301", "tea"),
}


@pytest.mark.parametrize("name", ALIKE)
def test_labels_alike(tmp_path, name):
    one, other, last = ALIKE[name]
    labels = with_labels(one, one, other, last)
    with pytest.raises(AuditError) as caught:
        prepared(tmp_path, labels)
    assert f"{one!r} (80 rows) and {other!r} (40 rows)" in str(caught.value)
    assert "--similar-labels merge" in str(caught.value)
    merged = prepared(tmp_path, labels, similar_labels="merge")
    assert merged.labels.tolist() == [one if label == other else label for label in labels]
    assert any(f"{other!r} (40 rows) into {one!r}" in note for note in merged.notes)
    assert prepared(tmp_path, labels, similar_labels="keep").labels.tolist() == labels


@pytest.mark.parametrize(("one", "other"), [("a b", "ab"), ("1", "1.5"), ("9007199254740993", "9007199254740992")])
def test_labels_not_alike(tmp_path, one, other):
    if other == "1.5":
        other = "1x"
    assert set(prepared(tmp_path, with_labels(one, other)).labels) == {one, other}


def test_merged_labels_are_written_and_the_cells_kept_beside_them(tmp_path):
    cells, _ = columns()
    cells["y"] = [label.upper() + " " if i % 5 == 0 else label for i, label in enumerate(cells["y"])]
    (tmp_path / "t.csv").write_text(as_csv(cells), encoding="utf-8")
    options = ("--label", "y", "--trusted", "verified", "--similar-labels", "merge", "--out", tmp_path / "o")
    result = audit(tmp_path / "t.csv", *options)
    assert result.exit_code == 0, result.stderr
    table = read_table(tmp_path / "o" / "repaired.csv")
    assert set(table.column("y")) == {"good", "bad"}
    assert table.column("old_label") == cells["y"]
    merged = [i for i, decision in enumerate(table.column("decision")) if decision == "merged"]
    assert merged
    assert all(cells["y"][i].strip().lower() == table.column("y")[i] for i in merged)


@pytest.mark.parametrize("odd", [["godo"], ["godo", "bda"], ["godo", "bda", "x y"]])
def test_labels_of_a_single_row_are_told(tmp_path, odd):
    labels = columns()[0]["y"]
    labels[: len(odd)] = odd
    found = prepared(tmp_path, labels)
    assert found.labels.tolist() == labels
    at = ["line 2", "lines 2, 3", "lines 2, 3, 4"][len(odd) - 1]
    expected = f"{', '.join(map(repr, odd))} in column 'y' has a single row ({at})"
    assert any(note.startswith(expected) for note in found.notes)


@pytest.mark.parametrize("values", [(1, "1"), (1, True), (1.0, "a"), (1, 1.0)])
def test_labels_of_several_types(tmp_path, values):
    cells, _ = columns()
    cells["y"] = [values[i % 2] for i in range(N_ROWS)]
    (tmp_path / "t.jsonl").write_text(as_json(cells), encoding="utf-8")
    with pytest.raises(AuditError, match=r"different types|form of a number"):
        prepare(Options(tmp_path / "t.jsonl", "y"))


def test_the_validation_file_spells_labels_otherwise(tmp_path):
    cells, right = columns(seed=1)
    cells["y"] = [label.title() for label in right.tolist()]
    (tmp_path / "v.csv").write_text(as_csv(cells), encoding="utf-8")
    labels = columns()[0]["y"]
    options = {"validation": tmp_path / "v.csv", "forced": {"verified": "ignore"}}
    with pytest.raises(AuditError, match=r"has not: 'Bad', 'Good'.*'Bad' for 'bad'.*--similar-labels merge"):
        prepared(tmp_path, labels, **options)
    found = prepared(tmp_path, labels, similar_labels="merge", **options)
    assert found.outside[1].tolist() == right.tolist()


WRITTEN = {
    "12.5%": (".", "%", 12.5),
    "12,5 %": (",", "%", 12.5),
    "$3": (".", "$", 3.0),
    "-$3.50": (".", "$", -3.5),
    "3,50 €": (".", "€", 3.5),
    "USD 3": (".", "USD", 3.0),
    "1,234.5": (".", "", 1234.5),
    "1.234,5": (".", "", 1234.5),
    "1,234,567": (".", "", 1234567.0),
    "1.234.567": (".", "", 1234567.0),
    "1 234,5": (".", "", 1234.5),
    "1\u202f234": (".", "", 1234.0),
    "1'234.50": (".", "", 1234.5),
    "1,234": (".", "", 1234.0),
    "1,23": (".", "", 1.23),
    "0,123": (".", "", 0.123),
    "(1,234)": (".", "", -1234.0),
    "\u22125": (".", "", -5.0),
    "+5": (".", "", 5.0),
    ".5": (".", "", 0.5),
    "5.": (".", "", 5.0),
    "1,5e3": (".", "", 1500.0),
    "70 kg": (".", "kg", 70.0),
}


@pytest.mark.parametrize("text", WRITTEN)
def test_numbers_as_people_write_them(text):
    decimal, unit, value = WRITTEN[text]
    assert as_number(text, NumberForm(decimal, unit)) == value
    assert as_number(f"  {text} ", NumberForm(decimal, unit)) == value


def test_an_open_comma_follows_the_form():
    assert as_number("1,234", NumberForm(",")) == 1.234
    assert as_number("1.234", NumberForm(",")) == 1234.0
    assert as_number("1.234", NumberForm(".")) == 1.234
    assert decimal_of(["1,234", "5"]) is None
    assert decimal_of(["1,234", "5,5"]) == ","
    assert decimal_of(["1,234", "2,345.5"]) == "."


@pytest.mark.parametrize(
    "text", ["-", "12-5", "1,2,3", "1.2.3.4", "1_000", "inf", "x", "$", "--5", "(-5)", "1,23,456", "5 kg", ""]
)
def test_no_numbers(text):
    with pytest.raises(ValueError):
        as_number(text)


@pytest.mark.parametrize("other", ["missing", "-", "n.a.", "inf", "see note", "1" * 500, "#REF!"])
def test_a_column_of_numbers_stays_one(tmp_path, other):
    cells = [f"{i / 7:.3f}" for i in range(300)]
    cells[17] = other
    column, values = guessed(tmp_path, cells)
    assert column.kind == "number"
    assert column.n_missing == column.n_others == 1
    assert column.note == f"299 of 300 are numbers; line 19 is {other[:40]!r}"
    assert values[18] == float(cells[18])
    assert math.isnan(values[17])


def test_few_numbers_beside_more_kinds_of_other_cells(tmp_path):
    cells = [str(1 + i % 5) for i in range(300)]
    cells[:15] = [f"note {i}" for i in range(15)]
    column, _ = guessed(tmp_path, cells)
    assert (column.kind, column.n_others) == ("number", 15)
    assert column.note.endswith("line 4 is 'note 2'; and 12 more words")


def test_several_other_cells_are_counted(tmp_path):
    cells = [f"{i / 7:.3f}" for i in range(300)]
    cells[3:9] = ["-", "-", "-", "-", "broken", "-"]
    column, _ = guessed(tmp_path, cells)
    assert column.note == "294 of 300 are numbers; lines 5, 6, 7 and 2 more are '-', line 9 is 'broken'"
    cells[100:280] = ["-"] * 180
    assert guessed(tmp_path, cells)[0].kind == "number"  # a word for nothing may be as common as it likes
    cells[100:280] = ["walk", "ride"] * 90
    assert guessed(tmp_path, cells)[0].kind == "text"
    column, values = guessed(tmp_path, cells[:190], forced={"c": "numeric"})
    assert column.kind == "number"
    assert np.isnan(values).sum() == column.n_others == 96


@pytest.mark.parametrize(
    ("cells", "delimiter", "expected", "note"),
    [
        ([f"{i},5" for i in range(60)], ",", 7.5, ""),
        ([f"{i},5" for i in range(60)], "\t", 7.5, ""),
        ([f"{i},250" for i in range(60)], ";", 7.25, "'1,250' is 1.25, unless --decimal point"),
        ([f"{i + 1},250" for i in range(60)], ",", 8250.0, "'1,250' is 1250, unless --decimal comma"),
        ([f"{i + 1},250.5" for i in range(60)], ",", 8250.5, ""),
        ([f"{i + 1}.250,5" for i in range(60)], ",", 8250.5, ""),
        ([f"{i}.5%" for i in range(60)], ",", 7.5, "in %"),
        ([f"${i}" for i in range(60)], ",", 7.0, "in $"),
        ([f"{i} kg" for i in range(60)], ",", 7.0, "in kg"),
    ],
)
def test_columns_of_written_numbers(tmp_path, cells, delimiter, expected, note):
    column, values = guessed(tmp_path, cells, delimiter)
    assert column.kind == "number"
    assert values[7] == expected
    assert column.note == note or (note.startswith("'1,250' is 1.25") and column.note == "")


def test_the_decimal_sign_can_be_told(tmp_path):
    cells = [f"{i + 1},250" for i in range(60)]
    assert guessed(tmp_path, cells, decimal=",")[1][7] == 8.25
    assert guessed(tmp_path, cells, ";", decimal=".")[1][7] == 8250.0


def test_other_columns_tell_the_decimal_sign(tmp_path):
    table = table_of(tmp_path, a=[f"{i + 1},250" for i in range(60)], b=[f"{i},5" for i in range(60)])
    columns = guess(table, ["a", "b"], {})
    assert to_frame(table, columns, range(60))["a"][7] == 8.25


@pytest.mark.parametrize(
    "cells",
    [["$5", "€7"] * 30, ["5", "3K"] * 30, ["10A", "10B", "11A"] * 20, ["007", "012"] * 30, ["S", "M", "38"] * 20],
)
def test_codes_and_mixed_units_are_no_numbers(tmp_path, cells):
    assert guessed(tmp_path, cells)[0].kind == "category"


MOMENTS = {
    "iso": ["2024-01-31", "2024-02-01 12:00", "2024-03-05T06:00:00+00:00"],
    "%d.%m.%Y": ["31.01.2024", "1.2.2024 12:00", "05.03.2024 06:00:00"],
    "%m/%d/%Y": ["01/31/2024", "2/1/2024 12:00 PM", "03/05/2024 6:00 am"],
    "%d/%m/%Y": ["31/01/2024", "1/2/2024 12:00", "05/03/2024 06:00"],
    "%Y/%m/%d": ["2024/01/31", "2024/2/1 12:00", "2024/03/05 06:00"],
    "%d-%b-%Y": ["31 Jan 2024", "1-Feb-2024 12:00", "05 Mar 2024 06:00"],
    "%b %d %Y": ["Jan 31, 2024", "Feb 1 2024 12:00", "Mar 5, 2024, 06:00"],
    "%d.%m.%y": ["31.01.24", "1.2.24 12:00", "05.03.24 06:00"],
    "%Y%m%d": ["20240131", "20240201 12:00", "20240305 06:00"],
}


@pytest.mark.parametrize("form", MOMENTS)
def test_dates_as_people_write_them(form):
    assert time_form(MOMENTS[form]) == (form, False)
    assert [as_days(text, form) - 19753 for text in MOMENTS[form]] == [0.0, 1.5, 34.25] or form == "iso"
    with pytest.raises(ValueError):
        as_days("soon", form)


def test_times_of_day():
    assert time_form(["6:00", "18:00:30", "6:00 PM"]) == ("time", False)
    assert [as_days(text, "time") for text in ("6:00", "6:00 PM", "12:00 am", "23:59:60")] == [0.25, 0.75, 0.0, 1.0]
    for text in ("24:00", "6:61", "13:00 pm", "6"):
        with pytest.raises(ValueError):
            as_days(text, "time")


@pytest.mark.parametrize("other", ["unknown", "-", "31.02.2024", "soon"])
def test_a_column_of_dates_stays_one(tmp_path, other):
    cells = [f"{1 + i % 28:02d}.{1 + i % 12:02d}.2024" for i in range(100)]
    cells[40] = other
    column, values = guessed(tmp_path, cells)
    assert (column.kind, column.note) == ("date", f"99 of 100 are dates; line 42 is {other!r}")
    assert values[40] is None


def test_day_or_month_first_is_told(tmp_path):
    column, _ = guessed(tmp_path, [f"{1 + i % 12:02d}/{1 + i % 7:02d}/2024" for i in range(100)])
    assert (column.kind, column.note) == ("date", "read as month/day/year")


@pytest.mark.parametrize(
    ("cells", "periods"),
    [
        ([f"{i % 24}:{i % 60:02d}" for i in range(200)], (1.0,)),
        ([f"2024-01-{1 + i % 9:02d}" for i in range(200)], ()),
        ([f"2024-01-{1 + i % 28:02d}" for i in range(200)], (7.0,)),
        ([f"2024-01-{1 + i % 28:02d} {i % 24:02d}:00" for i in range(200)], (1.0, 7.0)),
        ([f"{2019 + i % 5}-{1 + i % 12:02d}-{1 + i % 28:02d}" for i in range(200)], (7.0, 365.2425)),
    ],
)
def test_periods(tmp_path, cells, periods):
    column, _ = guessed(tmp_path, cells)
    assert column.periods == periods


def test_a_time_of_day_can_be_learned(tmp_path):
    """Night is on both sides of midnight, so that no line through the hours tells it from day."""
    from sklearn.linear_model import LogisticRegression

    hours = np.arange(240) % 24
    table = table_of(tmp_path, at=[f"{hour}:30" for hour in hours.tolist()])
    found = guess(table, ["at"], {})
    X = encoder(found, dense=True).fit_transform(to_frame(table, found, range(240)))
    night = (hours >= 21) | (hours < 9)
    assert LogisticRegression().fit(X, night).score(X, night) == 1.0


def test_the_model_takes_other_cells_for_missing_and_tells(tmp_path):
    table = table_of(tmp_path, p=[f"{i}.5%" for i in range(60)], d=[f"{1 + i % 28}.1.2024" for i in range(60)])
    found = guess(table, ["p", "d"], {})
    encode = encoder(found, dense=True).fit(to_frame(table, found, range(60)))
    import polars as pl

    raw = pl.DataFrame({"p": ["7.5%", "7.5%"], "d": ["9.1.2024", "9.1.2024"]})
    np.testing.assert_array_equal(encode.transform(raw), encode.transform(raw.reverse()))
    with pytest.warns(UserWarning, match="1 cells are no numbers, dates or times .* such as 'later'"):
        encode.transform(raw.with_columns(d=pl.Series(["9.1.2024", "later"])))


def test_copies_are_named_by_their_lines(tmp_path):
    cells, _ = columns()
    for name, column in cells.items():
        column += [column[i] for i in (3, 4, 4)] if name != "id" else ["r900", "r901", "r902"]
    cells["y"][-1] = "bad" if cells["y"][4] == "good" else "good"
    (tmp_path / "t.csv").write_text(as_csv(cells), encoding="utf-8")
    result = audit(tmp_path / "t.csv", "--label", "y", "--trusted", "verified", "--out", tmp_path / "o")
    assert result.exit_code == 0, result.stderr
    expected = (
        "5 rows are the same as another in every column that is used, in 1 of 2 sets with different labels, such as"
    )
    assert f"{expected} lines 6, 163, 164; audit.html lists them." in result.stderr
    page = (tmp_path / "o" / "audit.html").read_text(encoding="utf-8")
    assert '<th scope="row">6, 163, 164</th><td class="n" data-name="rows">3</td>' in page
    assert '<th scope="row">5, 162</th><td class="n" data-name="rows">2</td>' in page
    assert f"{expected} lines 6" in page  # under what to be careful of
    assert '<th scope="col">line</th>' in page
