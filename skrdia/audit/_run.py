"""From a table in a file to a repaired one: which rows can be learned from, the fit, and what became of each row."""

from __future__ import annotations

import io
import warnings
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.pipeline import Pipeline

from skrdia import RDIAClassifier
from skrdia.audit._columns import Column, as_texts, encoder, guess, is_missing, to_frame
from skrdia.audit._errors import AuditError, listed, repeated, unknown_column
from skrdia.audit._models import MODELS
from skrdia.audit._tables import ADDED, Table, read_table

__all__ = ["Audit", "Options", "Prepared", "fit", "prepare"]

_MOST_CLASSES, _MOST_NUMBERS = 1_000, 100
_YES, _NO = {"1", "true", "yes", "y", "t", "1.0"}, {"0", "false", "no", "n", "f", "0.0", "(missing)"}
_DECISIONS = {"relabel": "relabelled", "drop": "dropped", "soften": "softened", "flag": "flagged"}
_FOLDS = 5


@dataclass(frozen=True)
class Options:
    """What the user asked for."""

    table: Path
    label: str
    trusted: str | None = None
    validation: Path | None = None
    model: str = "logistic"
    key: str | None = None
    group: str | None = None
    forced: dict[str, str] = field(default_factory=dict)
    encoding: str = "utf-8"
    allow_unknown: bool = False
    seed: int = 0
    jobs: int | None = None


@dataclass(frozen=True)
class Prepared:
    """What `fit` needs: `rows` are the positions in the table of the rows with a label."""

    options: Options
    table: Table
    columns: list[Column]
    rows: NDArray[np.intp]
    labels: NDArray[Any]
    trusted: NDArray[np.bool_] | None
    keys: list[Any]
    groups: list[str] | None
    frame: Any
    outside: tuple[Any, NDArray[Any]] | None
    notes: list[str]


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


def prepare(options: Options, table: Table) -> Prepared:
    """Check all that can be checked before the fit of the table that was read."""
    _check_options(options, table)
    cells = table.column(options.label)
    rows = np.flatnonzero([not is_missing(cell) for cell in cells])
    if not len(rows):
        raise AuditError(f"--label: column {options.label!r} is empty in every row.")
    labels = np.array([cells[i] for i in rows], dtype=object)
    _check_labels(options, labels)
    trusted = None if options.trusted is None else _trusted(table, options.trusted, rows)
    hidden = {options.label, options.trusted, options.key} - {None}
    columns = guess(table, [name for name in table.names if name not in hidden], options.forced)
    used = [column for column in columns if column.is_used]
    if not used:
        raise AuditError(
            f"{options.table} has no column left to learn from. Name some by --text, --category or --numeric."
        )
    notes = []
    if len(rows) < len(cells):
        notes.append(f"{len(cells) - len(rows):,} rows without a label are kept as they are, and not learned from.")
    return Prepared(
        options=options,
        table=table,
        columns=columns,
        rows=rows,
        labels=labels,
        trusted=trusted,
        keys=_keys(options, table, rows),
        groups=None if options.group is None else [as_texts(cell) for cell in _part(table, options.group, rows)],
        frame=to_frame(table, used, rows),
        outside=None if options.validation is None else _outside(options, table, used, labels),
        notes=notes,
    )


def _part(table: Table, name: str, rows: NDArray[np.intp]) -> list[Any]:
    cells = table.column(name)
    return [cells[i] for i in rows]


def _check_options(options: Options, table: Table) -> None:
    named = {"--label": options.label, "--trusted": options.trusted, "--key": options.key, "--group": options.group}
    roles = [name for option, name in named.items() if name is not None and option != "--group"]
    twice = repeated([*roles, *options.forced])
    if options.group == options.label:
        twice.append(options.label)
    if twice:
        raise AuditError(f"Column {listed(twice)} is named by more than one option; it can have one role.")
    taken = [name for name in ADDED if name in table.names]
    if taken:
        raise AuditError(f"{table.path} has a column {listed(taken)}, which the repaired table adds. Rename it.")
    if options.validation is not None and options.validation.exists() and options.validation.samefile(options.table):
        raise AuditError(f"--validation: {options.validation} is the table itself. Use --trusted for rows of it.")


def _check_labels(options: Options, labels: NDArray[Any]) -> None:
    counts = Counter(labels.tolist())
    kinds = {type(label) for label in counts}
    if len(kinds) > 1:
        raise AuditError(f"--label: column {options.label!r} has values of different types, such as text and numbers.")
    if len(counts) < 2:
        raise AuditError(f"--label: column {options.label!r} is {listed(counts)} in every row; two labels are needed.")
    single = [label for label, n in counts.items() if n == 1]
    numbers = _all_numbers(counts)
    if numbers and (len(counts) > _MOST_NUMBERS or any(value % 1 for value in numbers)):
        raise AuditError(
            f"--label: column {options.label!r} looks like a number to predict, such as {listed(list(counts)[:3])}. "
            "This command repairs class labels; put the numbers in classes first."
        )
    if len(counts) > _MOST_CLASSES:
        raise AuditError(f"--label: column {options.label!r} has {len(counts):,} labels; at most {_MOST_CLASSES:,}.")
    if single:
        raise AuditError(
            f"--label: {listed(single)} in column {options.label!r} has a single row. Correct it, join it with another "
            "label, or empty the cell."
        )


def _all_numbers(labels: Any) -> list[float]:
    try:
        return [float(label) for label in labels]
    except (TypeError, ValueError):
        return []


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


def _keys(options: Options, table: Table, rows: NDArray[np.intp]) -> list[Any]:
    """What to call the rows: the cells of the key column, or their number in the table, from one."""
    if options.key is None:
        keys: list[Any] = (rows + 1).tolist()
        return keys
    keys = [cell if isinstance(cell, int | float) else str(cell) for cell in table.column(options.key)]
    if twice := repeated(keys):
        raise AuditError(f"--key: column {options.key!r} has {listed(twice)} more than once; keys tell rows apart.")
    return [keys[i] for i in rows]


def _outside(options: Options, table: Table, used: Sequence[Column], labels: NDArray[Any]) -> tuple[Any, NDArray[Any]]:
    """The rows of the validation file as a frame, and their labels."""
    assert options.validation is not None
    other = read_table(options.validation, options.encoding)
    missing = [column.name for column in used if column.name not in other.names]
    if options.label not in other.names:
        raise unknown_column("--label", options.label, other.names, other.path)
    if missing:
        raise AuditError(f"--validation: {other.path} has no column {listed(missing)}, which {table.path} has.")
    theirs = other.column(options.label)
    unlabelled = [i for i, cell in enumerate(theirs, start=1) if is_missing(cell)]
    if unlabelled:
        raise AuditError(
            f"--validation: {other.path}, row {unlabelled[0]} has no label. Remove such rows, or label them."
        )
    known = {str(label): label for label in labels}
    strange = sorted({str(cell) for cell in theirs} - known.keys())
    if strange:
        raise AuditError(
            f"--validation: {other.path} has labels that {table.path} has not: {listed(strange)}. Those are "
            f"{listed(sorted(known))}."
        )
    for column in used:
        if column.kind == "category" and not options.allow_unknown:
            seen = set(map(as_texts, table.column(column.name)))
            new = sorted(set(map(as_texts, other.column(column.name))) - seen)
            if new:
                raise AuditError(
                    f"--validation: column {column.name!r} of {other.path} has categories that {table.path} has not: "
                    f"{listed(new)}. Write them alike, or pass --allow-unknown to take them for unknown."
                )
    own = np.array([known[str(cell)] for cell in theirs], dtype=object)
    return to_frame(other, used, range(other.n_rows)), own


def fit(prepared: Prepared, report: Callable[[str], object] = str) -> Audit:
    """Encode the columns, fit, and say of every row what became of it."""
    options, model = prepared.options, MODELS[prepared.options.model]
    encode = encoder([column for column in prepared.columns if column.is_used], model.dense)
    report("encoding the columns")
    X = encode.fit_transform(prepared.frame)
    rows: dict[str, Any] = {}
    if prepared.trusted is not None:
        rows["trusted"] = prepared.trusted
    if prepared.outside is not None:
        rows |= {"X_val": encode.transform(prepared.outside[0]), "y_val": _plain(prepared.outside[1])}
    clf = RDIAClassifier(
        model.classifier,
        influence_estimator=model.finder,
        cv=None if rows else _FOLDS,
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
    for argument, option in (("trusted", "--trusted"), ("X_val, y_val", "--validation"), ("y_val", "--validation")):
        if message.startswith(argument):
            return option + message.removeprefix(argument)
    return message


def _of_all_rows(prepared: Prepared, clf: RDIAClassifier) -> tuple[list[Any], dict[str, list[Any]]]:
    given = prepared.table.column(prepared.options.label)
    labels = list(given)
    influence: list[Any] = [None] * len(given)
    decision = ["unlabelled"] * len(given)
    decided: NDArray[Any] = np.full(len(prepared.rows), "", dtype=object)
    decided[clf.validation_mask_] = "trusted"
    decided[clf.ledger_["row"]] = [_DECISIONS[action] for action in clf.ledger_["action"].tolist()]
    changed = set(np.flatnonzero(decided == "relabelled").tolist())
    new = clf.relabeled_y_.tolist()
    for i, (row, value) in enumerate(zip(prepared.rows.tolist(), clf.influences_.tolist(), strict=True)):
        influence[row] = value if value == value else None
        decision[row] = decided[i]
        if i in changed:
            labels[row] = new[i]
    return labels, dict(zip(ADDED, (list(given), influence, decision), strict=True))
