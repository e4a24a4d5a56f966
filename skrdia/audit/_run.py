"""From a table in a file to a repaired one: which rows can be learned from, the fit, and what became of each row."""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.pipeline import Pipeline

from skrdia import RDIAClassifier
from skrdia.audit._cells import as_texts, is_missing
from skrdia.audit._columns import Column, for_other_table, guess, to_frame
from skrdia.audit._encoder import encoder, share_words
from skrdia.audit._errors import AuditError, listed, repeated, unknown_column
from skrdia.audit._labels import Labels, as_spelled, read_given, read_labels
from skrdia.audit._models import MODELS
from skrdia.audit._tables import ADDED, Table, read_table
from skrdia.report._copies import copies

__all__ = ["Audit", "Options", "Prepared", "fit", "prepare"]

_YES, _NO = {"1", "true", "yes", "y", "t", "1.0"}, {"0", "false", "no", "n", "f", "0.0", "(missing)"}
_DECISIONS = {"relabel": "relabelled", "drop": "dropped", "soften": "softened", "flag": "flagged"}


@dataclass(frozen=True)
class Options:
    """What the user asked for."""

    table: Path
    label: str
    trusted: str | None = None
    given: str | None = None
    validation: Path | None = None
    model: str = "logistic"
    key: str | None = None
    group: str | None = None
    fold_group: str | None = None
    forced: dict[str, str] = field(default_factory=dict)
    missing_label: tuple[str, ...] = ()
    similar_labels: str = "error"
    decimal: str | None = None
    encoding: str | None = None
    sheet: str | None = None
    allow_unknown: bool = False
    seed: int = 0
    jobs: int | None = None


class Named(list[Any]):
    """Cells with the name of their column, as a series has it, but of any types."""

    def __init__(self, cells: Sequence[Any], name: str) -> None:
        super().__init__(cells)
        self.name = name


@dataclass(frozen=True)
class Prepared:
    """What `fit` needs: `rows` are the positions in the table of the rows with a label, `cells` the labels of all.

    `given` has the label that each verified row came with, None where that is not known.
    """

    options: Options
    table: Table
    columns: list[Column]
    rows: NDArray[np.intp]
    labels: NDArray[Any]
    cells: list[Any]
    trusted: NDArray[np.bool_] | None
    given: NDArray[Any] | None
    keys: list[Any]
    groups: list[str] | None
    fold_groups: NDArray[np.intp] | None
    frame: Any
    outside: tuple[Any, NDArray[Any]] | None
    notes: list[str]

    def named_keys(self) -> Named:
        """The keys with a name that says what they are: a column, or lines of the file."""
        return Named(self.keys, self.options.key or self.table.word)


@dataclass(frozen=True)
class Audit:
    """A fit, and for every row of the table its label after repair, its influence and what was decided."""

    prepared: Prepared
    clf: RDIAClassifier
    model: Pipeline
    labels: list[Any]
    added: dict[str, list[Any]]
    notes: list[str]

    @property
    def n_wrong(self) -> int:
        return int(self.clf.harmful_mask_.sum())

    @property
    def share_wrong(self) -> float:
        """Among the labels that could be wrong: those of rows that are not trusted."""
        return self.n_wrong / int((~self.clf.validation_mask_).sum())


def prepare(options: Options, table: Table | None = None) -> Prepared:
    """Check all that can be checked before the fit; the table is read unless it has been."""
    if table is None:
        table = read_table(options.table, options.encoding, options.sheet)
    _check_options(options, table)
    labels = read_labels(table, options.label, options.missing_label, options.similar_labels)
    rows = labels.rows
    trusted = None if options.trusted is None else _trusted(table, options.trusted, rows)
    hidden = {options.label, options.trusted, options.given, options.key, options.fold_group} - {None}
    names = [name for name in table.names if name not in hidden]
    decimal = {None: None, "point": ".", "comma": ","}[options.decimal]
    columns = guess(table, names, options.forced, decimal)
    used = [column for column in columns if column.is_used]
    _check_used(options, table, used)
    notes = [*table.notes, *labels.notes, *_of_columns(table, columns)]
    given = _given(options, table, labels, trusted, notes)
    outside = None if options.validation is None else _outside(options, table, used, labels, notes)
    frame = to_frame(table, used, rows)
    notes += _of_copies(table, frame, labels)
    return Prepared(
        options=options,
        table=table,
        columns=columns,
        rows=rows,
        labels=labels.labels,
        cells=labels.cells,
        trusted=trusted,
        given=given,
        keys=_keys(options, table, rows),
        groups=None if options.group is None else [as_texts(cell) for cell in _part(table, options.group, rows)],
        fold_groups=None if options.fold_group is None else _fold_groups(table, options.fold_group, rows, notes),
        frame=frame,
        outside=outside,
        notes=notes,
    )


def _check_used(options: Options, table: Table, used: Sequence[Column]) -> None:
    if not used:
        raise AuditError(
            f"{options.table} has no column left to learn from. Name some by --text, --category or --numeric."
        )
    for column in used:
        if column.kind == "text" and not share_words(table.column(column.name)):
            raise AuditError(
                f"--text: no word of column {column.name!r} stands in two rows, so that nothing can be learned from "
                f"it. Pass --ignore {column.name}, or --category {column.name}."
            )


def _of_columns(table: Table, columns: Sequence[Column]) -> list[str]:
    """Notes on columns that are read in another way than they look."""
    unnamed = [name for name in table.names if name in table.unnamed]
    told = [f"columns without a name are called {listed(unnamed)}."] if unnamed else []
    return told + [f"column {c.name!r}: {c.note}; taken for missing." for c in columns if c.n_others]


def _of_copies(table: Table, frame: Any, labels: Labels) -> list[str]:
    found = copies(frame, labels.labels, [table.lines[row] for row in labels.rows.tolist()])
    if found is None:
        return []
    first = found["sets"][0]
    told = f"such as {table.word}s {', '.join(first['names'][:3])}"
    mixed = f", in {found['n_mixed']:,} of {found['n_sets']:,} sets with different labels" if found["n_mixed"] else ""
    return [
        f"{found['n_rows']:,} rows are the same as another in every column that is used{mixed}, {told}; audit.html "
        "lists them."
    ]


def _fold_groups(table: Table, name: str, rows: NDArray[np.intp], notes: list[str]) -> NDArray[np.intp]:
    """A number for each group of rows that stand on the same side of every fold; rows without a group are their own."""
    cells = _part(table, name, rows)
    alone = [i for i, cell in enumerate(cells) if is_missing(cell)]
    if alone:
        at = table.called([int(rows[i]) for i in alone])
        notes.append(f"--fold-group: column {name!r} is empty in {at}; each such row is a group of its own.")
    texts = [(i, "") if is_missing(cell) else (-1, as_texts(cell)) for i, cell in enumerate(cells)]
    numbers = {text: number for number, text in enumerate(dict.fromkeys(texts))}
    if len(numbers) < 2:
        raise AuditError(f"--fold-group: column {name!r} is the same in every row, so that it makes no folds.")
    return np.array([numbers[text] for text in texts])


def _part(table: Table, name: str, rows: NDArray[np.intp]) -> list[Any]:
    cells = table.column(name)
    return [cells[i] for i in rows]


def _check_options(options: Options, table: Table) -> None:
    named = {
        "--label": options.label,
        "--trusted": options.trusted,
        "--given": options.given,
        "--key": options.key,
        "--group": options.group,
        "--fold-group": options.fold_group,
    }
    for option, name in named.items():
        if name is not None and name not in table.names:
            raise unknown_column(option, name, table.names, table.path)
    roles = [named[option] for option in ("--label", "--trusted", "--given", "--key") if named[option] is not None]
    twice = repeated([*roles, *options.forced])
    twice += [name for name in (options.group, options.fold_group) if name == options.label]
    if options.fold_group in {options.trusted, options.given, *options.forced} - {None}:
        twice.append(options.fold_group)
    if twice:
        raise AuditError(f"Column {listed(twice)} is named by more than one option; it can have one role.")
    taken = [name for name in ADDED if name in table.names]
    if taken:
        raise AuditError(f"{table.path} has a column {listed(taken)}, which the repaired table adds. Rename it.")
    if options.validation is not None and options.validation.exists() and options.validation.samefile(options.table):
        raise AuditError(f"--validation: {options.validation} is the table itself. Use --trusted for rows of it.")


def _trusted(table: Table, name: str, rows: NDArray[np.intp]) -> NDArray[np.bool_]:
    cells = [as_texts(cell).lower() for cell in _part(table, name, rows)]
    strange = sorted(set(cells) - _YES - _NO)
    if strange:
        raise AuditError(
            f"--trusted: column {name!r} has {listed(strange)}; expected yes or no, true or false, 1 or 0."
        )
    trusted = np.array([cell in _YES for cell in cells])
    if trusted.all():
        raise AuditError(f"--trusted: column {name!r} trusts every label, so that there is none to repair.")
    if not trusted.any():
        raise AuditError(f"--trusted: column {name!r} trusts no label. Mark verified rows, or leave --trusted out.")
    return trusted


def _given(
    options: Options, table: Table, labels: Labels, trusted: NDArray[np.bool_] | None, notes: list[str]
) -> NDArray[Any] | None:
    if options.given is None:
        return None
    assert options.trusted is not None  # the command has checked it
    assert trusted is not None
    columns = options.label, options.trusted
    given, told = read_given(
        table, options.given, labels, trusted, options.missing_label, options.similar_labels, columns
    )
    notes += told
    return given


def _keys(options: Options, table: Table, rows: NDArray[np.intp]) -> list[Any]:
    """What to call the rows: the cells of the key column, or the lines of the file in which they stand."""
    if options.key is None:
        return [table.lines[i] for i in rows]
    keys = [cell if isinstance(cell, int | float) else str(cell) for cell in table.column(options.key)]
    if twice := repeated(keys):
        raise AuditError(f"--key: column {options.key!r} has {listed(twice)} more than once; keys tell rows apart.")
    return [keys[i] for i in rows]


def _outside(
    options: Options, table: Table, used: Sequence[Column], labels: Labels, notes: list[str]
) -> tuple[Any, NDArray[Any]]:
    """The rows of the validation file as a frame, and their labels."""
    assert options.validation is not None
    other = read_table(options.validation, options.encoding)
    notes += other.notes
    missing = [column.name for column in used if column.name not in other.names]
    if options.label not in other.names:
        raise unknown_column("--label", options.label, other.names, other.path)
    if missing:
        raise AuditError(f"--validation: {other.path} has no column {listed(missing)}, which {table.path} has.")
    own = _labels_outside(options, table, other, labels)
    columns = []
    for column in used:
        if column.kind == "category" and not options.allow_unknown:
            _check_categories(table, other, column.name)
        column, told = for_other_table(column, other)
        columns.append(column)
        notes += told
    return to_frame(other, columns, range(other.n_rows)), own


def _labels_outside(options: Options, table: Table, other: Table, labels: Labels) -> NDArray[Any]:
    """The labels of the validation file, each as the table spells it."""
    theirs = other.column(options.label)
    words = set(options.missing_label)
    unlabelled = [
        i for i, cell in enumerate(theirs) if cell is None or str(cell).strip() in {"", *words} or cell != cell
    ]
    if unlabelled:
        raise AuditError(
            f"--validation: {other.path} has no label in {other.called(unlabelled)}. Remove such rows, or label them."
        )
    found, pairs = as_spelled(theirs, labels.labels, options.similar_labels)
    strange = {str(cell) for cell, own in zip(theirs, found, strict=True) if own is None}
    if strange:
        hint = f" Some differ in spelling only ({', '.join(pairs[:3])}): --similar-labels merge." if pairs else ""
        raise AuditError(
            f"--validation: {other.path} has labels that {table.path} has not: {listed(sorted(strange))}. Those are "
            f"{listed(sorted(set(map(str, labels.labels.tolist()))))}.{hint}"
        )
    return np.fromiter(found, dtype=object, count=len(found))


def _check_categories(table: Table, other: Table, name: str) -> None:
    seen = set(map(as_texts, table.column(name)))
    new = sorted(set(map(as_texts, other.column(name))) - seen)
    if new:
        raise AuditError(
            f"--validation: column {name!r} of {other.path} has categories that {table.path} has not: "
            f"{listed(new)}. Write them alike, or pass --allow-unknown to take them for unknown."
        )


def fit(prepared: Prepared, report: Callable[[str], object] = str) -> Audit:
    """Encode the columns, fit, and say of every row what became of it."""
    options, model = prepared.options, MODELS[prepared.options.model]
    encode = encoder([column for column in prepared.columns if column.is_used], model.dense)
    report("encoding the columns")
    X = encode.fit_transform(prepared.frame)
    rows: dict[str, Any] = {}
    if prepared.trusted is not None:
        rows["trusted"] = prepared.trusted
    if prepared.given is not None:
        rows["y_given"] = prepared.given
    if prepared.fold_groups is not None:
        rows["groups"] = prepared.fold_groups
    if prepared.outside is not None:
        rows |= {"X_val": encode.transform(prepared.outside[0]), "y_val": _plain(prepared.outside[1])}
    clf = RDIAClassifier(
        model.classifier,
        influence_estimator=model.finder,
        random_state=options.seed,
        n_jobs=options.jobs,
        verbose=1,
    )
    report("training")
    with warnings.catch_warnings(record=True) as caught, redirect_stdout(_Lines(report)):
        warnings.simplefilter("always")
        try:
            clf.fit(X, _plain(prepared.labels), **rows)
        except (TypeError, ValueError) as error:
            raise AuditError(_in_words_of_the_command(str(error))) from error
    notes = list(dict.fromkeys(" ".join(str(one.message).split()) for one in caught))
    labels, added = _of_all_rows(prepared, clf)
    return Audit(prepared, clf, Pipeline([("table", encode), ("model", clf.estimator_)]), labels, added, notes)


class _Lines(io.TextIOBase):
    """A stream that hands over the lines printed to it."""

    def __init__(self, report: Callable[[str], object]) -> None:
        self._report = report

    def write(self, text: str) -> int:
        if text.strip():
            self._report(text.strip().removeprefix("[RDIA] "))
        return len(text)


def _plain(labels: NDArray[Any]) -> NDArray[Any]:
    """Labels in a dtype of their own."""
    return np.array(labels.tolist())


def _in_words_of_the_command(message: str) -> str:
    of = {
        "trusted": "--trusted",
        "y_given": "--given",
        "X_val, y_val": "--validation",
        "y_val": "--validation",
        "groups": "--fold-group",
    }
    for argument, option in of.items():
        if message.startswith(argument):
            return option + message.removeprefix(argument)
    return message


def _of_all_rows(prepared: Prepared, clf: RDIAClassifier) -> tuple[list[Any], dict[str, list[Any]]]:
    given = prepared.table.column(prepared.options.label)
    labels = list(prepared.cells)
    influence: list[Any] = [None] * len(given)
    decision = ["unlabelled"] * len(given)
    decided: NDArray[Any] = np.full(len(prepared.rows), "", dtype=object)
    decided[[prepared.cells[row] != given[row] for row in prepared.rows.tolist()]] = "merged"
    decided[clf.validation_mask_] = "trusted"
    decided[clf.ledger_["row"]] = [_DECISIONS[action] for action in clf.ledger_["action"].tolist()]
    changed = set(np.flatnonzero(decided == "relabelled").tolist())
    new = clf.relabeled_y_.tolist()
    for i, (row, value) in enumerate(zip(prepared.rows.tolist(), clf.influences_.tolist(), strict=True)):
        influence[row] = value if value == value else None
        decision[row] = decided[i]
        if i in changed:
            labels[row] = new[i]
    return labels, dict(zip(ADDED, (given, influence, decision), strict=True))
