"""The tables of a report: the rows to look at first, the effects by class and by group, and the candidates."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from skrdia._frames import names_of, numbered
from skrdia._rows import as_indexable, take
from skrdia.plotting._choices import candidate_name
from skrdia.plotting._fitted import check_n_rows
from skrdia.report._facts import Facts
from skrdia.report._numbers import as_text

__all__ = ["effects", "first_rows", "history"]

_MOST_FEATURES, _MOST_LINES = 12, 30

Line = dict[str, Any]


def first_rows(facts: Facts, X: Any, key: ArrayLike | None, n_rows: int) -> list[Line]:
    """The rows most worth a look, with the features that X has for them."""
    ledger = facts.clf.ledger_ if key is None else facts.clf.ledger_.with_key(key)
    shown = ledger.suggest(n_rows)
    columns = {name: shown[name] for name in ("index" if key is None else "key", *_COLUMNS)}
    columns["name"] = columns.pop("index" if key is None else "key")
    lines = [dict(zip(columns, cells, strict=True)) for cells in zip(*columns.values(), strict=True)]
    features = [list[tuple[str, str]]()] * len(lines) if X is None else _features(facts.clf, X, shown["row"])
    return [
        line | {"features": own[:_MOST_FEATURES], "more": max(0, len(own) - _MOST_FEATURES)}
        for line, own in zip(lines, features, strict=True)
    ]


_COLUMNS = ("row", "label", "new_label", "action", "confidence", "influence", "score", "reason")


def _features(clf: Any, X: Any, rows: NDArray[np.intp]) -> list[list[tuple[str, str]]]:
    """Name and value of the columns, for each of the rows; of a sparse matrix, of its non-zeros."""
    X = as_indexable(X)
    check_n_rows(X, len(clf.relabeled_y_), "X")
    part = take(X, rows)
    if hasattr(part, "columns"):
        import narwhals as nw

        names = names_of(part)
        frame: Any = nw.from_native(numbered(part, names))
        return [_named(names, row) for row in frame.rows()]
    if hasattr(part, "tocsr"):
        part, names = part.tocsr(copy=True), _names(clf, X.shape[1])
        part.eliminate_zeros()
        bounds = [slice(*pair) for pair in pairwise(part.indptr)]
        return [_named([names[j] for j in part.indices[own]], part.data[own]) for own in bounds]
    cells = np.asarray(part)
    cells = cells.reshape(len(rows), int(np.prod(cells.shape[1:])))
    return [_named(_names(clf, cells.shape[1]), row) for row in cells]


def _names(clf: Any, n_columns: int) -> list[str]:
    """Those that `fit` saw, if it saw as many columns."""
    known = getattr(clf, "feature_names_in_", ())
    return list(known) if len(known) == n_columns else [f"x{j}" for j in range(n_columns)]


def _named(names: Iterable[Any], cells: Iterable[Any]) -> list[tuple[str, str]]:
    return [(str(name), as_text(value)) for name, value in zip(names, cells, strict=True)]


def effects(facts: Facts, groups: NDArray[Any], of_validation: NDArray[Any]) -> list[Line]:
    """For each value of groups (n,): rows, labels that look wrong, the commonest change, and the held-out loss.

    `of_validation` (n_val,) has the group of each validation row. The largest groups come first.
    """
    trained, lines = facts.trained, list[Line]()
    sizes = Counter(groups[trained].tolist()) + Counter(dict.fromkeys(groups.tolist(), 0))
    names = sorted(set(groups.tolist()), key=lambda name: (-sizes[name], str(name)))
    for name in names[:_MOST_LINES]:
        own = trained & (groups == name)
        judges = of_validation == name
        wrong = own & facts.wrong
        lines.append(
            {
                "name": as_text(name),
                "n_rows": int(own.sum()),
                "n_wrong": int(wrong.sum()),
                "share_wrong": float(wrong.sum() / max(1, own.sum())),
                "commonest": _commonest(facts, own),
                "n_validation": int(np.count_nonzero(judges & (facts.clf.held_out_["weight"] > 0.0))),
                "loss": facts.loss(judges),
            }
        )
    if len(names) > _MOST_LINES:
        lines.append({"name": f"… {len(names) - _MOST_LINES} more", "n_rows": None})
    return lines


def _commonest(facts: Facts, rows: NDArray[np.bool_]) -> str:
    """The change that most of these rows share, in words."""
    changed = np.flatnonzero(rows & ((facts.given != facts.repaired) | facts.dropped))
    left_out = facts.dropped[changed].tolist()
    pairs = zip(facts.given[changed].tolist(), facts.repaired[changed].tolist(), left_out, strict=True)
    names = Counter(
        f"{as_text(old)} left out" if out else f"{as_text(old)} → {as_text(new)}" for old, new, out in pairs
    )
    return "; ".join(f"{name}: {n:,}" for name, n in names.most_common(1))


def history(facts: Facts) -> list[Line]:
    """The candidates, the most used and the best first, or the rounds."""
    lines = facts.clf.history_
    if not lines or "gain_se" not in lines[0]:
        return [dict(line) for line in lines]
    named = [line | {"name": candidate_name(line)} for line in lines]
    return sorted(named, key=lambda line: (-line["weight"], line["loss"]))[:_MOST_LINES]
