"""Rows that have the same features as another: told apart by nothing, and wrong somewhere if their labels differ."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Hashable, Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skrdia._rows import as_indexable
from skrdia.report._numbers import as_text

__all__ = ["Copies", "copies"]

_MOST_SETS, _MOST_ROWS, _MOST_CELLS = 10, 5, 10**8

Copies = dict[str, Any]


def copies(X: Any, labels: Sequence[Any] | NDArray[Any], names: Sequence[Any] | NDArray[Any]) -> Copies | None:
    """Sets of rows of X (n, p) with the same features, those first whose labels (n,) differ; None if there are none.

    Rows that are not in memory, and very large arrays, are not looked at.
    """
    sets: defaultdict[Hashable, list[int]] = defaultdict(list)
    try:
        for key, row in _keys(as_indexable(X)):
            sets[key].append(row)
    except TypeError:  # of a cell that cannot be compared, such as a list
        return None
    found = [(Counter(labels[row] for row in rows), rows) for rows in sets.values() if len(rows) > 1]
    if not found:
        return None
    found.sort(key=lambda one: (len(one[0]) == 1, -len(one[1]), one[1][0]))
    return {
        "n_rows": sum(len(rows) for _, rows in found),
        "n_sets": len(found),
        "n_mixed": sum(len(counts) > 1 for counts, _ in found),
        "sets": [
            {
                "names": [as_text(names[row]) for row in rows[:_MOST_ROWS]],
                "n_rows": len(rows),
                "labels": [(as_text(label), n) for label, n in counts.most_common()],
            }
            for counts, rows in found[:_MOST_SETS]
        ],
    }


def _keys(X: Any) -> Iterable[tuple[Hashable, int]]:
    """What rows with the same features share; rows that are alone may be left out."""
    if hasattr(X, "columns"):
        return _of_frame(X)
    if hasattr(X, "tocsr"):
        X = X.copy()
        X.sum_duplicates()
        X.eliminate_zeros()
        bounds = zip(X.indptr[:-1].tolist(), X.indptr[1:].tolist(), strict=True)
        return (((X.indices[a:b].tobytes(), X.data[a:b].tobytes()), i) for i, (a, b) in enumerate(bounds))
    if type(X) is not np.ndarray or X.ndim != 2 or not 0 < X.size <= _MOST_CELLS:
        return ()
    if X.dtype.kind == "O":
        return ((_without_nan(row), i) for i, row in enumerate(X.tolist()))
    X = np.ascontiguousarray(X + 0.0 if X.dtype.kind == "f" else X)  # for which 0 and -0 are the same
    return ((row.tobytes(), i) for i, row in enumerate(X))


def _of_frame(X: Any) -> Iterable[tuple[Hashable, int]]:
    import narwhals as nw

    frame: Any = nw.from_native(X, eager_only=True, pass_through=True)
    if not isinstance(frame, nw.DataFrame) or not len(frame.columns):
        return ()
    mask = frame.is_duplicated()
    rows = np.flatnonzero(mask.to_numpy()).tolist()
    return zip(map(_without_nan, frame.filter(mask).rows()), rows, strict=True)


def _without_nan(row: Iterable[Any]) -> tuple[Any, ...]:
    return tuple(None if cell != cell else cell for cell in row)
