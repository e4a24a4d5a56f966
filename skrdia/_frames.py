"""Validation rows made like the rows of X: the same library, columns in the same order, values of the same kind.

What is alike in meaning is converted: the order of columns, another library, numbers of another width, categories,
of which there are then those of both. What is not is an error that names X_val and the column.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from skrdia._validation import is_missing, is_sparse
from skrdia.blocks import Blocks

__all__ = ["alike", "concat", "is_frame", "names_of", "numbered"]

_KINDS = {
    "number": "numbers",
    "boolean": "True and False",
    "text": "text",
    "category": "categories",
    "time": "times",
    "other": "objects",
}


def is_frame(X: Any) -> bool:
    """Whether X has named columns."""
    return hasattr(X, "columns")


def concat(A: Any, B: Any) -> Any:
    """The rows of a frame above those of another one, which is alike."""
    import narwhals as nw

    names = names_of(A)
    both = nw.concat([nw.from_native(numbered(part, names)) for part in (A, B)]).to_native()
    return both if _are_plain(names) else both.set_axis(A.columns, axis=1)


def names_of(frame: Any) -> list[Any]:
    """The names of its columns."""
    return list(frame.column_names if hasattr(frame, "column_names") else frame.columns)


def _are_plain(names: list[Any]) -> bool:
    """Whether these are different strings; pandas has columns of other names too, and several of one name."""
    return len(set(names)) == len(names) and all(isinstance(name, str) for name in names)


def numbered(frame: Any, names: list[Any]) -> Any:
    """A frame whose columns have the numbers of the columns as names, itself where they are plain."""
    return frame if _are_plain(names) else frame.set_axis([str(i) for i in range(len(names))], axis=1)


def alike(X: Any, X_val: Any) -> tuple[Any, Any]:
    """X and X_val in types that can be put one above the other; neither is changed.

    Parameters
    ----------
    X, X_val : {array, sparse matrix, data frame, series, RowBlocks}
        Of shapes (n, ...) and (n_val, ...).

    Returns
    -------
    X, X_val : the same, converted where they differ.

    Raises
    ------
    ValueError
        If they cannot be made alike; the message names X_val and the column.
    """
    if isinstance(X, Blocks) or isinstance(X_val, Blocks):
        return X, X_val
    if is_frame(X) != is_frame(X_val):
        raise ValueError(
            f"X is a {type(X).__name__} and X_val a {type(X_val).__name__}; pass both as data frames with the same "
            "columns, or both as arrays."
        )
    if is_frame(X):
        return _frames_alike(X, X_val)
    if X.shape[1:] != X_val.shape[1:]:
        raise ValueError(
            f"X_val has shape {X_val.shape}, and X {X.shape}: the rows of both must have the same shape, such as the "
            "same number of features."
        )
    if is_sparse(X) or is_sparse(X_val):
        return X, X_val
    A, B = np.asarray(X), np.asarray(X_val)
    if A.dtype.kind in "fiubc" and B.dtype.kind not in "fiubc":
        B = _as_numbers(B)
    if object in (A.dtype, B.dtype) and A.dtype != B.dtype:
        return (X, B.astype(object)) if A.dtype == object else (A.astype(object), B)
    return X, B if type(X) is not type(X_val) else X_val


def _as_numbers(B: Any) -> Any:
    try:
        return B.astype(np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"X_val has values of dtype {B.dtype} where X has numbers: {error}.") from error


def _frames_alike(X: Any, X_val: Any) -> tuple[Any, Any]:
    import narwhals as nw

    names, others = names_of(X), names_of(X_val)
    if sorted(map(str, names)) != sorted(map(str, others)):
        missing, strange = ([n for n in a if n not in b] for a, b in ((names, others), (others, names)))
        raise ValueError(
            "X_val: The feature names should match those of X."
            + (f" Missing are {missing[:10]}." if missing else "")
            + (f" Unknown are {strange[:10]}." if strange else "")
        )
    if not _are_plain(names):
        return _pandas_alike(X, X_val, names, others)
    A = nw.from_native(X, eager_only=True)
    B = nw.from_native(X_val, eager_only=True)
    if A.implementation != B.implementation:
        B = _in_library(B, A.implementation)
    B = B.select(names)
    own, converted = {}, {}
    for name in names:
        a, b = _columns_alike(name, A.get_column(name), B.get_column(name))
        if a is not None:
            own[name] = a
        if b is not None:
            converted[name] = b
    return _with(X, own), _with(B.to_native(), converted)


def _pandas_alike(X: Any, X_val: Any, names: list[Any], others: list[Any]) -> tuple[Any, Any]:
    """Frames whose columns have other names than strings, or the same name, so that their order tells them apart."""
    if names != others:
        if len(set(names)) < len(names) or set(names) != set(others):
            raise ValueError(f"X_val has the columns {others[:10]}, and X {names[:10]}; give both the same order.")
        X_val = X_val[names]
    A, B = _frames_alike(numbered(X, names), numbered(X_val, names))
    return A.set_axis(X.columns, axis=1), B.set_axis(X.columns, axis=1)


def _in_library(frame: Any, implementation: Any) -> Any:
    """The same frame in another library, whose types need not be those of this one."""
    import narwhals as nw

    columns = {}
    for name in frame.columns:
        values = frame.get_column(name)
        kind = _kind(values)
        columns[name] = values.to_numpy() if kind in ("number", "time") else _cells(values.to_list())
    return nw.from_dict(columns, backend=implementation)


def _cells(values: list[Any]) -> list[Any]:
    """The same with None for every cell without a value: other libraries do not know the marks of pandas."""
    missing = is_missing(np.array([*values, None], dtype=object)[:-1])
    return [None if gone else value for value, gone in zip(values, missing.tolist(), strict=True)]


def _with(frame: Any, columns: dict[str, Any]) -> Any:
    """A frame with some columns replaced, itself where there are none."""
    if not columns:
        return frame
    if hasattr(frame, "assign"):
        changed = frame.copy(deep=False)
        for name, column in columns.items():
            changed[name] = column
        return changed
    return frame.with_columns(**columns)


def _kind(column: Any) -> str:
    dtype = column.dtype
    name = type(dtype).__name__ if not isinstance(dtype, type) else dtype.__name__
    if name in ("Categorical", "Enum"):
        return "category"
    if dtype.is_numeric():
        return "number"
    if name in ("Boolean", "String"):
        return {"Boolean": "boolean", "String": "text"}[name]
    return "time" if dtype.is_temporal() else "other"


def _columns_alike(name: str, a: Any, b: Any) -> tuple[Any, Any]:
    """Both columns where they have to be other ones, else None."""
    kinds = _kind(a), _kind(b)
    if kinds[0] == "category":
        return _categories(name, a, b)
    native_a, native_b = a.to_native(), b.to_native()
    if _dtype(native_a) == _dtype(native_b):
        return None, None
    if b.is_null().all():
        return None, _empty_like(native_a, native_b)
    if kinds == ("number", "number"):
        return _numbers(native_a, native_b)
    if kinds[0] == kinds[1] or "other" in kinds or a.is_null().all():
        return _cast(name, native_a, native_b)
    if kinds[1] == "category":
        values = b.to_list()
        if all(value is None or isinstance(value, str) for value in values) == (kinds[0] == "text"):
            return None, _of_values(native_a, native_b, values)
    if set(kinds) == {"number", "boolean"} and kinds[0] == "number":
        return _cast(name, native_a, native_b)
    example = next(value for value in b.to_list() if value is not None)
    raise ValueError(
        f"X_val: column {name!r} holds {_KINDS[kinds[1]]}, such as {example!r}, where X has {_KINDS[kinds[0]]}. Write "
        "it in both as the same kind."
    )


def _dtype(column: Any) -> Any:
    return column.dtype if hasattr(column, "dtype") else column.type


def _numbers(a: Any, b: Any) -> tuple[Any, Any]:
    """In the type of X where that loses nothing, else both as float64."""
    if not hasattr(a, "cast"):
        return None, None  # pandas finds the common type itself
    import polars as pl

    same = b.cast(a.dtype, strict=False)
    if same.is_null().sum() == b.is_null().sum() and (same.cast(pl.Float64) == b.cast(pl.Float64)).all():
        return None, same
    return a.cast(pl.Float64), b.cast(pl.Float64)


def _cast(name: str, a: Any, b: Any) -> tuple[Any, Any]:
    """X_val's column in the type of that of X, or both as objects where this one has no mark for a missing value."""
    try:
        if hasattr(b, "cast"):
            return None, b.cast(a.dtype)
        if getattr(a.dtype, "kind", "O") in "biu" and b.isna().any():
            return a.astype(object), b.astype(object)
        return None, b.astype(a.dtype)
    except Exception as error:  # each library has its own
        raise ValueError(f"X_val: column {name!r} cannot be made {a.dtype}, as in X: {error}") from error


def _empty_like(a: Any, b: Any) -> Any:
    """A column without values in the type of another, where pandas would not find it."""
    return b.cast(a.dtype) if hasattr(b, "cast") else a.iloc[:0].reindex(b.index)


def _of_values(a: Any, b: Any, values: list[Any]) -> Any:
    if hasattr(b, "cast"):
        return b.cast(a.dtype)
    return b.astype(a.dtype) if a.dtype != object else type(b)(values, index=b.index, dtype=object)


def _categories(name: str, a: Any, b: Any) -> tuple[Any, Any]:
    """Both with the categories of both, those of X first."""
    known = _known(a)
    present = _known(b) if _kind(b) == "category" else b.drop_nulls().unique(maintain_order=True).to_list()
    new = [value for value in present if value not in set(known)]
    if new and known and isinstance(new[0], str) != isinstance(known[0], str):
        raise ValueError(
            f"X_val: column {name!r} holds values such as {new[0]!r}, where X has categories such as {known[0]!r}. "
            "Write them alike in both."
        )
    native_a, native_b = a.to_native(), b.to_native()
    if hasattr(native_a, "astype"):
        wider = native_a.cat.set_categories([*known, *sorted(new, key=present.index)]) if new else native_a
        return (wider if new else None), native_b.astype(wider.dtype)
    import polars as pl

    dtype = native_a.dtype
    if isinstance(dtype, pl.Enum) and new:
        dtype = pl.Enum([*known, *new])
    wider = native_a.cast(pl.String).cast(dtype) if dtype != native_a.dtype else None
    return wider, native_b.cast(pl.String).cast(dtype)


def _known(column: Any) -> list[Any]:
    """The categories of a column, in their order where they have one."""
    native = column.to_native()
    if hasattr(native, "astype"):
        return list(native.cat.categories.tolist())
    if hasattr(native.dtype, "categories") and getattr(column.dtype, "categories", None) is not None:
        return list(native.dtype.categories)
    return list(column.drop_nulls().unique(maintain_order=True).to_list())
