"""From a ledger to the data of the next fit, in which its decisions are honoured, and to the ledger after that."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.utils import check_random_state

from skrdia._ledger_columns import COLUMNS, Book, as_column, to_list
from skrdia._pairs import labels_given
from skrdia._rows import check_trusted, hold_out
from skrdia._shown import shown
from skrdia._validation import check_labels, check_sample_weight
from skrdia.views._base import Array

__all__ = ["Honoured", "continued", "honoured"]


_HELD_OUT = 0.3
"""Share of the rows held out where those that were decided on are all of one class."""


@dataclass(frozen=True)
class Honoured:
    """Labels (n,), weights (n,), the mask of the trusted rows (n,), and the labels that these came with (n,).

    The last two are None where there are none; in `given` so is each label that is not known.
    """

    y: NDArray[Any]
    weight: Array
    trusted: NDArray[np.bool_] | None
    given: Any


def honoured(
    book: Book,
    clf: Any,
    y: ArrayLike,
    sample_weight: Any,
    X_val: Any,
    trusted: Any,
    groups: Any = None,
    y_given: Any = None,
) -> Honoured:
    """The data of the next fit: what was decided, and all rows that were decided on trusted."""
    labels = check_labels(y)
    weight = check_sample_weight(sample_weight, len(labels))
    _check_same(book, labels)
    columns = book.columns
    decided = columns["decision"] != ""
    rows = columns["row"][decided]
    labels = _labels(book, labels)
    left_out = columns["row"][(columns["decision"] == "accepted") & (columns["action"] == "drop")]
    weight[left_out] = 0.0
    mask = _validation_rows(book, clf, labels, weight, X_val, trusted, groups)
    mask[rows] = True
    if not mask.any():
        return Honoured(labels, weight, None, y_given)
    return Honoured(labels, weight, mask, _given(book, labels, weight, mask, y_given))


def _given(book: Book, y: NDArray[Any], weight: Array, trusted: NDArray[np.bool_], y_given: Any) -> Any:
    """The labels that trusted rows came with, as far as the ledger or the caller knows them.

    Of a row that was left out the right label is not known, and a label that no row has any more is no class.
    """
    given = np.full(len(y), None, dtype=object)
    if book.came is not None:
        given[book.came["row"]] = to_list(book.came["label"])
    given[~trusted] = None
    decided = book.columns["decision"] != ""
    given[book.columns["row"][decided]] = to_list(book.columns["label"][decided])
    known = set(to_list(as_column(np.unique(y[weight > 0.0]))))
    given[[label not in known for label in given.tolist()]] = None
    if y_given is not None:
        at, labels = labels_given(y_given, y)
        own = ~np.isin(at, book.columns["row"][decided])
        given[at[own]] = np.fromiter(labels, dtype=object, count=len(labels))[own]
    given[weight == 0.0] = None
    return given if any(label is not None for label in given.tolist()) else None


def _check_same(book: Book, y: NDArray[Any]) -> None:
    """That y is what the ledger is about; rows whose decision was carried out before may have their new label."""
    columns, rows = book.columns, book.columns["row"]
    smallest = rows.max(initial=-1) + 1
    if len(y) < smallest or (book.n_samples is not None and len(y) != book.n_samples):
        needed = f"at least {smallest}" if book.n_samples is None else str(book.n_samples)
        raise ValueError(f"y has {len(y)} labels, but the fit of this ledger had {needed}. Pass the same X and y.")
    own, old, new = (to_list(as_column(part)) for part in (y[rows], columns["label"], columns["new_label"]))
    decided = (columns["decision"] != "").tolist()
    for i, row in enumerate(rows.tolist()):
        if own[i] != old[i] and not (decided[i] and own[i] == new[i]):
            raise ValueError(
                f"y has the label {shown(own[i])} in row {row}, where this ledger has {shown(old[i])}. Pass the X and "
                "y of the first fit, in the same order."
            )


def _labels(book: Book, y: NDArray[Any]) -> NDArray[Any]:
    """Labels as decided, in the dtype of y."""
    classes, columns = np.unique(y), book.columns
    code = {label: k for k, label in enumerate(to_list(as_column(classes)))}
    right = np.where(columns["decision"] == "rejected", columns["label"], columns["new_label"])
    at = np.flatnonzero(columns["decision"] != "")
    decided = to_list(right[at])
    unknown = sorted({shown(label) for label in decided if label not in code})
    if unknown:
        raise ValueError(
            f"The ledger sets labels that no row of y has: {', '.join(unknown)}. Those of y are {shown(list(code))}."
        )
    labels = y.copy()
    labels[columns["row"][at]] = classes[[code[label] for label in decided]]
    return labels


def _validation_rows(
    book: Book, clf: Any, y: NDArray[Any], weight: Array, X_val: Any, trusted: Any, groups: Any
) -> NDArray[np.bool_]:
    """The validation rows of X besides those that were decided on."""
    decided = book.columns["row"][book.columns["decision"] != ""]
    if clf.cv is not None and len(decided):
        raise ValueError(
            f"clf has cv={shown(clf.cv)}, which leaves no room for trusted rows, as those are that were decided on. "
            "Set cv=None; pass X_val and y_val, or trusted, if there are more verified rows."
        )
    if trusted is not None:
        return check_trusted(trusted, len(y), needed=X_val is None and len(decided) == 0).copy()
    if X_val is not None or clf.cv is not None:
        return np.zeros(len(y), dtype=bool)
    if book.outside:
        raise ValueError("The first fit of this ledger had X_val and y_val. Pass them to refit, or trusted rows.")
    if book.validation is not None and book.validation.any():
        return book.validation.copy()
    if clf.validation_fraction is None and len(np.unique(y[decided])) != 1:
        return np.zeros(len(y), dtype=bool)  # of a single class no rows can judge
    candidates, fraction = weight.copy(), clf.validation_fraction or _HELD_OUT
    candidates[decided] = 0.0
    return hold_out(y, candidates, fraction, check_random_state(clf.random_state), groups)


def continued(new: Book, old: Book, decided: NDArray[np.intp]) -> Book:
    """The book of a fit in which decisions were honoured, with their lines after its own."""
    columns = {}
    for name, kind in COLUMNS.items():
        parts = new.columns[name], old.columns[name][decided]
        columns[name] = as_column([*parts[0], *parts[1]]) if kind == "any" else np.concatenate(parts)
    validation = None if new.validation is None else new.validation.copy()
    if validation is not None:
        validation[old.columns["row"][decided]] = False
    came = new.came
    if came is not None:
        kept = ~np.isin(came["row"], old.columns["row"][decided])
        came = {name: column[kept] for name, column in came.items()} if kept.any() else None
    return replace(new, columns=columns, validation=validation, came=came, history=[dict(step) for step in old.history])
