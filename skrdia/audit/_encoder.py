"""From a frame of cells, of whatever library, to numbers; part of the model that the command writes.

Numbers are scaled, with the median for missing ones and a column that marks them, and those of ten values or more are
also given cubic splines, so that a linear model can follow a curve (adult: test log loss 0.308 instead of 0.318). Dates
are days since 1970, with sine and cosine of the periods that they show: day, week, year. Categories are one-hot, with
missing as one of them and rare ones together; text becomes tf-idf weights of words.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.compose import ColumnTransformer
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, SplineTransformer, StandardScaler

from skrdia.audit._cells import as_texts, is_missing
from skrdia.audit._columns import KINDS, Column
from skrdia.audit._numbers import NumberForm, as_number
from skrdia.audit._times import as_days

__all__ = ["encoder", "share_words"]

_RARE, _MOST_CATEGORIES, _MOST_WORDS = 10, 100, 50_000
_CURVED, _KNOTS = 10, 5

Cells = NDArray[Any]


def _cells(X: Any) -> Cells:
    return np.asarray(X.to_numpy() if hasattr(X, "to_numpy") else X, dtype=object)


def _parsed(X: Any, parsers: Sequence[Callable[[Any], float]]) -> NDArray[np.float64]:
    """Cells (n, k) as numbers, column by column; nan for missing ones, and with a warning for those that are none."""
    cells = _cells(X)
    values, others = np.full(cells.shape, np.nan), []
    for j, parse in enumerate(parsers):
        for i, cell in enumerate(cells[:, j].tolist()):
            if not is_missing(cell):
                try:
                    values[i, j] = parse(cell)
                except (ValueError, TypeError, OverflowError):
                    others.append(cell)
    if others:
        warnings.warn(
            f"{len(others)} cells are no numbers, dates or times where these are expected, such as "
            f"{str(others[0])[:40]!r}; they are taken for missing.",
            UserWarning,
            stacklevel=2,
        )
    return values


def numbers_of(X: Any, forms: Sequence[Sequence[str]]) -> NDArray[np.float64]:
    """A table of cells as numbers, with nan for missing ones; `forms` has decimal sign and unit of every column."""
    values = np.asarray(X.to_numpy() if hasattr(X, "to_numpy") else X)
    if values.dtype.kind in "fiu":
        return values.astype(np.float64)
    return _parsed(X, [partial(as_number, form=NumberForm(*form)) for form in forms])


def days_of(X: Any, forms: Sequence[str]) -> NDArray[np.float64]:
    """A table of dates and times as days, with nan for missing ones."""
    return _parsed(X, [partial(as_days, form=form) for form in forms])


def cycles_of(days: Any, periods: Sequence[Sequence[float]]) -> NDArray[np.float64]:
    """Days (n, k) as sine and cosine of the periods of each column; zero where they are missing."""
    angles = [2.0 * np.pi * days[:, j] / period for j, own in enumerate(periods) for period in own]
    return np.nan_to_num(np.column_stack([part for angle in angles for part in (np.sin(angle), np.cos(angle))]))


def texts_of(X: Any) -> Cells:
    """A table of cells as categories."""
    cells = _cells(X)
    return np.array([as_texts(cell) for cell in cells.ravel()], dtype=object).reshape(cells.shape)


def words_of(X: Any) -> Cells:
    """A column of cells as text."""
    return np.array(["" if is_missing(cell) else str(cell) for cell in _cells(X).ravel()], dtype=object)


def share_words(cells: Sequence[Any]) -> bool:
    """Whether a word of a column of text stands in more than one row, so that something can be learned from it."""
    analyse, seen = TfidfVectorizer().build_analyzer(), set[str]()
    for text in words_of(np.asarray(cells, dtype=object)):
        own = set(analyse(text))
        if not seen.isdisjoint(own):
            return True
        seen |= own
    return False


def _numeric(function: Any, forms: Sequence[Any]) -> Pipeline:
    return make_pipeline(
        FunctionTransformer(function, kw_args={"forms": forms}),
        SimpleImputer(strategy="median", add_indicator=True),
        StandardScaler(),
    )


def _curved(forms: Sequence[Any]) -> Pipeline:
    return make_pipeline(
        FunctionTransformer(numbers_of, kw_args={"forms": forms}),
        SimpleImputer(strategy="median"),
        SplineTransformer(n_knots=_KNOTS, knots="quantile", include_bias=False),
        StandardScaler(),
    )


def _cyclic(columns: Sequence[Column]) -> Pipeline:
    return make_pipeline(
        FunctionTransformer(days_of, kw_args={"forms": [column.form for column in columns]}),
        FunctionTransformer(cycles_of, kw_args={"periods": [list(column.periods) for column in columns]}),
    )


def encoder(columns: Sequence[Column], dense: bool) -> ColumnTransformer:
    """From a frame with these columns, of whatever library, to numbers."""
    of = {kind: [column for column in columns if column.kind == kind] for kind in KINDS}
    times = [*of["date"], *of["time"]]
    curves = [column for column in of["number"] if column.n_distinct >= _CURVED]
    cycles = [column for column in times if column.periods]
    one_hot = OneHotEncoder(
        handle_unknown="infrequent_if_exist", min_frequency=_RARE, max_categories=_MOST_CATEGORIES, sparse_output=True
    )
    categories = make_pipeline(FunctionTransformer(texts_of, feature_names_out="one-to-one"), one_hot)
    parts: list[tuple[str, Any, list[Column]]] = [
        ("numbers", _numeric(numbers_of, [list(column.form) for column in of["number"]]), of["number"]),
        ("curves", _curved([list(column.form) for column in curves]), curves),
        ("dates", _numeric(days_of, [column.form for column in times]), times),
        ("cycles", _cyclic(cycles), cycles),
        ("categories", categories, of["category"]),
    ]
    words = TfidfVectorizer(min_df=2, max_features=_MOST_WORDS, sublinear_tf=True)
    parts += [(f"text {one.name}", make_pipeline(FunctionTransformer(words_of), words), [one]) for one in of["text"]]
    used = [(name, part, [column.name for column in own]) for name, part, own in parts if own]
    return ColumnTransformer(used, sparse_threshold=0.0 if dense else 0.5, verbose_feature_names_out=True)
