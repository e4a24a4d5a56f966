"""Pairs of labels: the one that a verified row came with, and the right one."""

from __future__ import annotations

import warnings
from collections import Counter
from numbers import Number
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from skrdia._shown import shown
from skrdia._validation import encode, is_missing

__all__ = ["check_given", "labels_given"]


def check_given(
    y_given: ArrayLike | None, y: NDArray[Any], trusted: NDArray[np.bool_] | None, classes: NDArray[Any]
) -> NDArray[np.intp] | None:
    """The class (n,) that each trusted row came with, -1 where it is not known; None where it is known of none."""
    if y_given is None:
        return None
    if trusted is None:
        raise ValueError("y_given says with which label a verified row came; mark the verified rows by trusted too.")
    at, labels = labels_given(y_given, y)
    code = {label: k for k, label in enumerate(_plain(classes))}
    _check_kinds(labels, next(iter(code)))
    came = np.full(len(y), -1, dtype=np.intp)
    came[at] = [code.get(label, -1) for label in labels]
    differs = np.flatnonzero(~trusted[at] & (came[at] != encode(y, classes, "y")[at]))
    if len(differs):
        row = int(at[differs[0]])
        raise ValueError(
            f"y_given has {shown(labels[differs[0]])} in row {row}, where y has {shown(y[row])} and trusted is False "
            f"({len(differs)} such rows). The label that such a row came with is that of y: leave it out of y_given "
            "(None or nan), or give y that label, or mark the row as trusted if its label is verified."
        )
    _warn_of_unknown([label for label, row in zip(labels, at.tolist(), strict=True) if came[row] < 0])
    came[~trusted] = -1
    return came if (came >= 0).any() else None


def labels_given(y_given: Any, y: NDArray[Any]) -> tuple[NDArray[np.intp], list[Any]]:
    """The rows of which y_given has a label, and these labels."""
    values = _as_array(y_given, y)
    if values.shape != y.shape:
        raise ValueError(
            f"y_given has shape {values.shape}, expected {y.shape}: the label that each row of X came with."
        )
    at = np.flatnonzero(~_is_nothing(values))
    return at, _plain(values[at])


def _as_array(y_given: Any, y: NDArray[Any]) -> NDArray[Any]:
    """An array in which missing labels are still to be told from others."""
    if y.dtype.kind == "M":
        return np.asarray(y_given, dtype="M8[ns]")
    if isinstance(y_given, list | tuple) and any(isinstance(value, str | list) for value in y_given):
        return np.array([*y_given, None], dtype=object)[:-1]  # numpy would make a text of nan, and an axis of lists
    return np.asarray(y_given)


def _is_nothing(values: NDArray[Any]) -> NDArray[np.bool_]:
    if values.dtype.kind == "O":
        return is_missing(values)
    nothing: NDArray[np.bool_] = np.isnat(values) if values.dtype.kind == "M" else values != values
    return nothing


def _plain(labels: NDArray[Any]) -> list[Any]:
    """Labels that are equal, and have one hash, whatever the types of their arrays."""
    cells = (labels.astype("M8[ns]").astype(str) if labels.dtype.kind == "M" else labels).tolist()
    return [str.__str__(cell) if isinstance(cell, str) else cell for cell in cells]


def _check_kinds(labels: list[Any], one: Any) -> None:
    kind = str if isinstance(one, str) else Number
    for label in labels:
        if not isinstance(label, kind):
            raise ValueError(f"y_given has labels such as {shown(label)}, and y {shown(one)}. Write both alike.")


def _warn_of_unknown(labels: list[Any]) -> None:
    if not labels:
        return
    names = [label for label, _ in Counter(labels).most_common(10)]
    warnings.warn(
        f"y_given has labels that no row of y has, such as {shown(names)}, in {len(labels)} trusted "
        f"row{'' if len(labels) == 1 else 's'}: with which label these came is taken as not known.",
        UserWarning,
        stacklevel=2,
    )
