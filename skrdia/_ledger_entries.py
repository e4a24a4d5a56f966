"""The rows of a ledger, from a fit: what was changed, what that is worth, and why.

With phi_ik the influence of label k on sample i on the first fit, y_i its given label (n, K), y'_i its targets after
repair, both before the sample weight w_i, and n the total weight,

    gain_i = w_i / n sum_k (y_ik - y'_ik) phi_ik         nats of validation loss, to first order

(times the class weights of the estimator). For a new label k it is w_i (phi_im - phi_ik) / n, with m the given one; for
a dropped row w_i phi_im / n. Over all rows, also those that change too little for the ledger, it sums to
`predicted_gain_`.
"""

from __future__ import annotations

from sys import intern
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skrdia._ledger_columns import Book, as_column
from skrdia._outcome import Outcome
from skrdia._rows import Rows, take
from skrdia._train import predict_targets
from skrdia._validation import encode
from skrdia.signals._table import OF_PROBABILITIES
from skrdia.views._base import Array

__all__ = ["enter"]

_ROUNDING = 1e-9
"""Smaller changes of a target come from the arithmetic of averages."""

_LEAST_CHANGE = 0.1
"""Share of its weight that a row must lose or gain for the ledger: averages take a little from nearly every row."""

_CAUSES = {
    "influence": "its label raises the held-out loss",
    "leave-one-out": "its label raises the held-out loss",
    "self-influence": "its label is hard to learn from the other rows",
    "self-influence-loo": "its label is hard to learn from the other rows",
    "confidence": "models that never saw it find its label improbable",
    "margin": "models that never saw it prefer another label",
    "posterior": "its label is probably wrong, by models that never saw it and their estimate of the noise",
    "stacked-posterior": "its label is probably wrong, by several models that never saw it",
    "noise-model": "its label is probably wrong, by a model of how the labels were given",
    "calibrated-posterior": "its label is probably wrong, by models that verified rows have calibrated",
    "paired-posterior": "its label is probably wrong, by models that verified rows have calibrated",
    "trusted-confidence": "a model of the trusted rows finds its label improbable",
    "trusted-posterior": "its label is probably wrong, by a model of the trusted rows and its estimate of the noise",
}
"""What a signal above alpha says of a row, in plain words."""


def enter(clf: Any, rows: Rows, outcome: Outcome) -> Book:
    """The ledger of a fitted `RDIAClassifier`."""
    repaired = outcome.repaired
    differs = (np.abs(repaired.labels - rows.given) > _LEAST_CHANGE).any(axis=1) & (rows.weight > 0.0)
    concerned = clf.harmful_mask_ | (clf.relabeled_y_ != rows.y) | differs
    at = np.flatnonzero(concerned & ~rows.validation_mask)
    given, labels = rows.given[at], repaired.labels[at]
    codes = encode(clf.relabeled_y_[at], rows.classes, "relabeled_y_")
    action = _actions(given, labels, codes)
    index = getattr(rows.X, "index", None) if hasattr(rows.X, "columns") else None
    unknown = np.full(len(at), np.nan)
    columns = {
        "index": at if index is None else as_column(np.asarray(index)[at]),
        "row": at,
        "label": as_column(rows.y[at]),
        "new_label": as_column(clf.relabeled_y_[at]),
        "action": action,
        "influence": clf.influences_[at],
        "standard_error": clf.influence_std_[at] if clf.compute_std else unknown,
        "predicted_gain": (repaired.first.loss_gradient[at] * (given - labels)).sum(axis=1),
        "score": np.array(outcome.scores[at], dtype=np.float64),
        "round": repaired.rounds[at],
        "confidence": _confidence(clf.estimator_, rows, at, codes),
        "reason": _reasons(clf, rows, outcome, at, codes, action),
        "decision": as_column([""] * len(at)),
    }
    classes = as_column(rows.classes)
    return Book(columns, len(rows.y), classes, rows.validation_mask.copy(), rows.outside is not None, _came(rows))


def _came(rows: Rows) -> dict[str, NDArray[Any]] | None:
    """The trusted rows of which it is known with which label they came."""
    if rows.came is None:
        return None
    at = np.flatnonzero(rows.came >= 0)
    return {"row": at, "label": as_column(rows.classes[rows.came[at]])}


def _actions(given: Array, labels: Array, codes: NDArray[np.intp]) -> NDArray[Any]:
    dropped = ~labels.any(axis=1)
    moved = given.argmax(axis=1) != codes
    kept = np.abs(given - labels).max(axis=1, initial=0.0) <= _ROUNDING
    names = np.array(["drop", "relabel", "flag", "soften"], dtype=object)
    chosen: NDArray[Any] = names[np.select([dropped, moved, kept], [0, 1, 2], default=3)]
    return chosen


def _confidence(estimator: Any, rows: Rows, at: NDArray[np.intp], codes: NDArray[np.intp]) -> Array:
    """Probability of these labels; nan for an estimator that knows none."""
    if len(at) == 0 or not hasattr(estimator, "predict_proba"):
        return np.full(len(at), np.nan)
    proba: Array = predict_targets(estimator, take(rows.X, at), rows.classes)[np.arange(len(at)), codes]
    return proba.clip(0.0, 1.0)


def _reasons(
    clf: Any, rows: Rows, outcome: Outcome, at: NDArray[np.intp], codes: NDArray[np.intp], action: NDArray[Any]
) -> NDArray[Any]:
    """One text for each row; equal ones are one object, of which a large table has few."""
    labels, likeliest, names = outcome.repaired.labels[at], outcome.likeliest[at], rows.classes.tolist()
    shares, kept = labels[np.arange(len(at)), codes], (rows.given[at] * likeliest).sum(axis=1)
    lowers = clf.label_influences_[at, codes] < 0.0
    is_auto = clf.alpha == "auto"
    blamed = np.abs(likeliest - rows.given[at]).max(axis=1) > _ROUNDING if is_auto else clf.harmful_mask_[at]
    texts = []
    for i, number in enumerate(outcome.repaired.rounds[at].tolist()):
        cause = (_chosen_cause if is_auto else _cause)(clf, bool(blamed[i]), float(kept[i]))
        if number > 1 and not is_auto:
            cause = f"after the repairs before round {number}, {cause}"
        effect = "a later round changed it back"
        if action[i] != "flag" or number == 0:
            would_lower = number == 1 and not is_auto and clf.signal_ == "influence" and bool(lowers[i])
            effect = _effect(clf, action[i], str(names[codes[i]]), float(shares[i]), would_lower)
        texts.append(intern(f"{cause}; {effect}"))
    return as_column(texts)


def _name(value: Any) -> str:
    return repr(value) if isinstance(value, str) else getattr(value, "__name__", repr(value))


def _cause(clf: Any, blamed: bool, kept: float) -> str:
    """Why the row is in the ledger. `blamed`: whether its score is above alpha."""
    if not blamed:
        return f"the strategy {_name(clf.strategy_)} changes it too, though its score is not above alpha"
    known = _CAUSES.get(clf.signal_) if isinstance(clf.signal_, str) else None
    return known or f"its score by the signal {_name(clf.signal_)} is above alpha"


def _chosen_cause(clf: Any, blamed: bool, kept: float) -> str:
    """The same for alpha="auto". `blamed`: whether a repair changed this row; `kept`: what it left to its label."""
    if not blamed:
        return "held-out rows are predicted better with less weight on all rows that are not trusted"
    if clf.signal_ == "none":
        return "held-out rows are predicted better without the rows that are not trusted"
    doubt = "doubt its label" if kept < 0.5 else f"have {'some' if kept < 0.9 else 'little'} doubt about its label"
    if not len(clf.held_out_["row"]):
        return f"models that never saw it, by the signal {_name(clf.signal_)}, {doubt}"
    return f"the repairs that help most on held-out rows, above all by the signal {_name(clf.signal_)}, {doubt}"


def _effect(clf: Any, action: str, new: str, share: float, would_lower: bool) -> str:
    """What was done; `new` is the label after repair, which has the share of the row's weight."""
    if action == "drop":
        return "it is left out"
    if action == "flag":
        return "it is left as it was"
    if action == "soften":
        return f"its label is left with {_percent(share)} of its weight"
    if abs(share - 1.0) > _ROUNDING:
        return f"label {new} gets {_percent(share)} of its weight"
    if would_lower:
        return f"label {new} would lower it"
    if clf.signal_ in OF_PROBABILITIES and clf.strategy_ == "relabel":
        return f"label {new} is the likeliest other one"
    return f"label {new} takes its place"


def _percent(share: float) -> str:
    if 0.995 <= share < 1.0:
        return "over 99%"
    return f"{share:.0%}" if share >= 0.005 else "under 1%"
