"""The ledger of a fit: a line for each changed or harmful row, which a person accepts, rejects or corrects.

The lines most worth a look are those of the largest

    |gain_i| max(1 - p_i, 0.01)

where gain_i is what the change promises, in nats of validation loss, and p_i the probability of the new label by the
final fit: what may be lost by a wrong change, times how likely that is.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from numbers import Integral
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import clone

from skrdia._ledger_checks import kind_of
from skrdia._ledger_columns import ACTIONS, DECISIONS, Book, as_column, plain, to_list, to_native
from skrdia._ledger_entries import enter
from skrdia._ledger_files import Filed
from skrdia._ledger_refit import continued, honoured
from skrdia._outcome import Outcome
from skrdia._rows import Rows, check_groups
from skrdia._shown import shown

__all__ = ["Ledger", "open_ledger"]

_LEAST_DOUBT = 0.01
"""Of a label that the final fit is sure of, which is trained on it."""


class Ledger(Filed):
    """The changed and the harmful rows of a fit, with the reasons, and what a person decided about them.

    `RDIAClassifier.ledger_` is one. It has a line for each row of the X given to `fit` whose label was changed, or more
    than a tenth of its weight, or that was found harmful; validation rows are never among them. Decisions are made in
    place, also through `suggest` and `with_key`, which show the same ledger; `refit` honours them.

    Parameters
    ----------
    book : Book
        The lines, and what is remembered of the fit. Ledgers come from `RDIAClassifier` or from files.
    at : ndarray of shape (n_rows,), default=None
        Positions of the lines to show, all when None.
    key : ndarray, default=None
        A key for every line of the book, by which rows are then addressed instead of the index.

    See Also
    --------
    RDIAClassifier : Repairs labels, and keeps the ledger.

    Notes
    -----
    The columns, also of files and frames, are `index` (of the pandas frame given to `fit`, else the position); `key`,
    where there is one; `row`, the position in X; `label` and `new_label`, before and after; `action`: "relabel", "drop"
    (left out), "soften" (another weight, or a share of it moved to other labels) or "flag" (left as it was);
    `influence` and its `standard_error`, in nats, nan where they were not computed; `predicted_gain`, the decrease of
    the validation loss that the change promises to first order, in nats; `score`, how suspicious the label is; `round`,
    the first that changed the row, 0 for none; `confidence`, the probability of the proposed label by the final fit;
    `reason`, in plain words; and `decision`: "", "accepted", "rejected" or "set".

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.linear_model import LogisticRegression
    >>> from skrdia import RDIAClassifier
    >>> X = np.repeat([[-2.0], [-1.0], [1.0], [2.0]], 10, axis=0)
    >>> y = np.where(X[:, 0] > 0, "good", "bad")
    >>> y[[0, 39]] = "good", "bad"  # two wrong labels
    >>> val = {"X_val": [[-1.5], [1.5]], "y_val": ["bad", "good"]}
    >>> clf = RDIAClassifier(LogisticRegression(), alpha=0.7).fit(X, y, **val)
    >>> clf.ledger_
    <Ledger of 2 rows: 2 relabel; 2 undecided>
    >>> clf.ledger_["reason"][0]
    'its label raises the held-out loss; label bad would lower it'
    >>> clf.ledger_.accept(0).reject(39)
    <Ledger of 2 rows: 2 relabel; 1 accepted, 1 rejected>
    >>> again = clf.ledger_.refit(clf, X, y, **val)
    >>> again.relabeled_y_[[0, 39]]
    array(['bad', 'bad'], dtype='<U4')
    """

    def __init__(self, book: Book, at: NDArray[np.intp] | None = None, key: NDArray[Any] | None = None) -> None:
        self._book = book
        self._at = np.arange(len(book.columns["row"])) if at is None else at
        self._key = key

    def __len__(self) -> int:
        return len(self._at)

    def __getitem__(self, name: str) -> NDArray[Any]:
        columns = self._columns()
        if name not in columns:
            raise KeyError(f"{name!r} is no column of the ledger; it has {list(columns)}.")
        return columns[name]

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Ledger):
            return NotImplemented
        own, others = self._columns(), other._columns()
        return own.keys() == others.keys() and all(repr(to_list(own[k])) == repr(to_list(others[k])) for k in own)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        actions, decisions = self["action"], self["decision"]
        did = [f"{count} {name}" for name in ACTIONS if (count := int((actions == name).sum()))]
        named = {name: name or "undecided" for name in (*DECISIONS[1:], "")}
        decided = [f"{n} {text}" for name, text in named.items() if (n := int((decisions == name).sum()))]
        counts = f": {', '.join(did)}; {', '.join(decided)}" if len(self) else ""
        return f"<Ledger of {len(self)} row{'' if len(self) == 1 else 's'}{counts}>"

    def _columns(self) -> dict[str, NDArray[Any]]:
        """Copies of the columns of the lines shown."""
        columns = {name: column[self._at] for name, column in self._book.columns.items()}
        if self._key is None:
            return columns
        return {"index": columns.pop("index"), "key": self._key[self._at], **columns}

    def to_frame(self, backend: Any = "pandas") -> Any:
        """Return the ledger as a data frame.

        Parameters
        ----------
        backend : {"pandas", "polars", "pyarrow", "modin", "cudf"}, default="pandas"
            The library of the frame, which must be installed.

        Returns
        -------
        frame : DataFrame
            A row for each line, with the columns in the notes of `Ledger`.
        """
        return to_native(self._columns(), backend)

    def with_key(self, values: ArrayLike) -> Ledger:
        """Return the same ledger, its rows addressed by a key column.

        Parameters
        ----------
        values : array-like of shape (n_samples,)
            The key of every row of the X given to `fit`, such as a column of it.

        Returns
        -------
        ledger : Ledger
            Decisions made through it are made in this one too.

        Raises
        ------
        ValueError
            If there is not one value per row of X.
        """
        key, rows = as_column(values), self._book.columns["row"]
        expected = self._book.n_samples
        if key.ndim != 1 or len(key) <= rows.max(initial=-1) or (expected is not None and len(key) != expected):
            needed = f"{expected}" if expected is not None else f"more than {rows.max(initial=-1)}"
            raise ValueError(f"values has shape {key.shape}, expected {needed} values: one per row of X.")
        return Ledger(self._book, self._at, key[rows])

    def suggest(self, budget: int) -> Ledger:
        """Return the undecided rows that are most worth a person's look.

        They are ordered by ``abs(predicted_gain) * max(1 - confidence, 0.01)``: what may be lost by a wrong change,
        times how likely the final fit takes it to be wrong. Rows without a gain, such as those that were only flagged,
        come after them, with `score` in its place. An unknown confidence counts as none.

        Parameters
        ----------
        budget : int
            The largest number of rows.

        Returns
        -------
        ledger : Ledger
            These lines, best first. Decisions made through it are made in this ledger too.

        Raises
        ------
        ValueError
            If the budget is not a positive integer.
        """
        if not isinstance(budget, Integral) or budget < 1:
            raise ValueError(f"budget={shown(budget)}: expected a positive integer, the number of rows to look at.")
        doubt = np.maximum(1.0 - np.nan_to_num(self["confidence"]), _LEAST_DOUBT)
        gain, score = (np.nan_to_num(np.abs(self[name])) * doubt for name in ("predicted_gain", "score"))
        order = np.lexsort((-score, -gain))
        open_rows = order[self["decision"][order] == ""]
        return Ledger(self._book, self._at[open_rows[: int(budget)]], self._key)

    def accept(self, rows: Any) -> Ledger:
        """Accept what was done to some rows, see `refit` for what follows.

        Parameters
        ----------
        rows : key or sequence of keys
            The rows, by their index, or by the key given to `with_key`.

        Returns
        -------
        self : Ledger
            The ledger, changed in place.

        Raises
        ------
        ValueError
            If a key is unknown or ambiguous, or the label of a row was set by hand; then nothing is changed.
        """
        return self._decide("accepted", rows)

    def reject(self, rows: Any) -> Ledger:
        """Reject what was done to some rows: their given label is right.

        Parameters
        ----------
        rows : key or sequence of keys
            The rows, by their index, or by the key given to `with_key`.

        Returns
        -------
        self : Ledger
            The ledger, changed in place.

        Raises
        ------
        ValueError
            If a key is unknown or ambiguous, or the label of a row was set by hand; then nothing is changed.
        """
        return self._decide("rejected", rows)

    def set_label(self, row: Any, label: Any) -> Ledger:
        """Give a row its right label by hand, which takes the place of `new_label`.

        Parameters
        ----------
        row : key
            The row, by its index, or by the key given to `with_key`.
        label : label
            One of the labels of `fit`.

        Returns
        -------
        self : Ledger
            The ledger, changed in place.

        Raises
        ------
        ValueError
            If the key is unknown or ambiguous, or the label is unknown; then nothing is changed.
        """
        at, columns = self._find([row]), self._book.columns
        known = self._book.classes
        known = np.unique(np.concatenate([columns["label"], columns["new_label"]])) if known is None else known
        labels, label = known.tolist(), plain(label)
        if label not in labels and (self._book.classes is not None or kind_of(label) != kind_of(labels[0])):
            raise ValueError(f"label={shown(label)} is not a label of fit; those are {shown(labels[:20])}.")
        self._remember(at)
        new = columns["new_label"].astype(object)
        new[at] = labels[labels.index(label)] if label in labels else label
        columns["new_label"] = as_column(new)
        columns["decision"][at] = "set"
        return self

    def undo(self) -> Ledger:
        """Take back the last call of `accept`, `reject` or `set_label`.

        Returns
        -------
        self : Ledger
            The ledger, changed in place.

        Raises
        ------
        ValueError
            If no decision is left, or none is known: CSV and Parquet files do not hold their order.
        """
        if not self._book.history:
            raise ValueError("There is no decision to undo. CSV and Parquet files do not hold their order; JSON does.")
        step, columns = self._book.history.pop(), self._book.columns
        position = {row: i for i, row in enumerate(columns["row"].tolist())}
        at = [position[row] for row in step["row"].tolist()]
        columns["decision"][at] = step["decision"]
        columns["new_label"][at] = step["new_label"]
        return self

    def _decide(self, decision: str, rows: Any) -> Ledger:
        at = self._find(_as_keys(rows))
        was_set = self._book.columns["decision"][at] == "set"
        if was_set.any():
            names = shown(self._names()[at[was_set]].tolist()[:10])
            raise ValueError(
                f"rows: the label of {names} was set by hand, in place of what was proposed. Undo that, or give the "
                "right label by set_label."
            )
        self._remember(at)
        self._book.columns["decision"][at] = decision
        return self

    def _remember(self, at: NDArray[np.intp]) -> None:
        names = ("row", "decision", "new_label")
        self._book.history.append({name: self._book.columns[name][at] for name in names})

    def _names(self) -> NDArray[Any]:
        """What rows are addressed by, for every line of the book."""
        return self._book.columns["index"] if self._key is None else self._key

    def _find(self, keys: list[Any]) -> NDArray[np.intp]:
        """Positions in the book of the lines shown with these keys."""
        names, places = self._names(), dict[Any, list[int]]()
        for name, at in zip(to_list(names[self._at]), self._at.tolist(), strict=True):
            places.setdefault(name, []).append(at)
        wanted = [_as_time(key, names.dtype) if names.dtype.kind == "M" else plain(key) for key in keys]
        addressed = "index" if self._key is None else "key"
        unknown = [key for key in wanted if key not in places]
        if unknown:
            raise ValueError(
                f"rows: {shown(unknown[:10])} {'is' if len(unknown) == 1 else 'are'} not among the {len(self)} rows of "
                f"the ledger, which have the {addressed} {shown(list(places)[:5])}{' ...' if len(places) > 5 else ''}."
            )
        several = [key for key in wanted if len(places[key]) > 1]
        if several:
            raise ValueError(
                f"rows: the {addressed} {shown(several[:10])} stands for more than one row of the ledger. Address rows "
                "by a column of different values, with ledger.with_key(values)."
            )
        return np.array([places[key][0] for key in dict.fromkeys(wanted)], dtype=np.intp)

    def refit(
        self,
        clf: Any,
        X: Any,
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
        X_val: Any = None,
        y_val: ArrayLike | None = None,
        trusted: ArrayLike | None = None,
        groups: ArrayLike | None = None,
        y_given: ArrayLike | None = None,
    ) -> Any:
        """Fit again, with the decisions honoured: every row that was decided on is trusted from then on.

        An accepted row has its new label, or is left out where it was dropped (for one that was softened or flagged the
        new label is the given one); a rejected row has its given label; and a row whose label was set has that one.
        With which label each of them came is known too, and so passed on as `y_given`.

        Parameters
        ----------
        clf : RDIAClassifier
            The classifier; a clone of it is fitted, with its parameters.
        X : {array-like, sparse matrix, data frame} of shape (n_samples, n_features)
            The rows of the first fit, in the same order.
        y : array-like of shape (n_samples,)
            The labels that were given to the first fit.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows.
        X_val : {array-like, sparse matrix, data frame} of shape (n_val, n_features), default=None
            Validation rows, as in the first fit.
        y_val : array-like of shape (n_val,), default=None
            Their labels.
        trusted : bool array-like of shape (n_samples,), default=None
            True for further rows whose label is verified. Without this and `X_val`, the trusted or held-out rows of the
            first fit are trusted again; where a file did not keep them, some are held out anew.
        groups : array-like of shape (n_samples,), default=None
            The group of each row, as in the first fit.
        y_given : array-like of shape (n_samples,), default=None
            The label that each row came with, for further rows than those that were decided on and those of the first
            fit, whose labels are remembered; where a file did not keep these, pass them again.

        Returns
        -------
        clf : RDIAClassifier
            Fitted. Its `ledger_` has what the new fit changed, and after it the rows decided on so far, with the
            figures of the fit that proposed them, so that it can go on from there. Its rows are addressed by the index.

        Raises
        ------
        ValueError
            If X or y are not those of the first fit, the validation rows are missing, or `clf` has `cv`, which leaves
            no room for trusted rows.
        """
        book, decided = self._book, np.flatnonzero(self._book.columns["decision"] != "")
        numbers = check_groups(groups, len(np.asarray(y)))
        data = honoured(book, clf, y, sample_weight, X_val, trusted, numbers, y_given)
        rows = {"X_val": X_val, "y_val": y_val, "trusted": data.trusted, "groups": groups, "y_given": data.given}
        fitted = clone(clf).fit(X, data.y, data.weight, **rows)
        fitted.ledger_ = Ledger(continued(fitted.ledger_._book, book, decided))
        return fitted

    def _shown(self) -> Book:
        """The lines shown as a book of their own, for a file."""
        columns, steps = self._columns(), []
        for step in self._book.history:
            kept = np.isin(step["row"], columns["row"])
            if kept.any():
                steps.append({name: column[kept] for name, column in step.items()})
        return replace(self._book, columns=columns, history=steps)

    @classmethod
    def _of(cls, book: Book) -> Ledger:
        return cls(book, key=book.columns.pop("key", None))


def open_ledger(clf: Any, rows: Rows, outcome: Outcome) -> Ledger:
    """The ledger of a fitted `RDIAClassifier`."""
    return Ledger(enter(clf, rows, outcome))


def _as_keys(rows: Any) -> list[Any]:
    """One key, or several; a tuple is one key."""
    if isinstance(rows, str | tuple) or not isinstance(rows, Iterable):
        return [rows]
    return list(rows)


def _as_time(key: Any, dtype: np.dtype[Any]) -> str:
    try:
        time: Any = np.datetime64
        return str(time(key, np.datetime_data(dtype)[0]))
    except (TypeError, ValueError):
        return str(key)
