"""Validation rows that come in another library, with other categories, types or order of columns than X."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
from scipy import sparse
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

from skrdia import RDIAClassifier
from skrdia._frames import alike, concat
from skrdia.report import summarise

LETTERS = ["a", "b", "c", "a"]


def frames(**columns):
    """The same columns in two libraries."""
    return [pd.DataFrame(columns), pl.DataFrame({name: list(values) for name, values in columns.items()})]


def together(X, X_val):
    A, B = alike(X, X_val)
    return concat(A, B)


@pytest.mark.parametrize("one", [0, 1])
@pytest.mark.parametrize("other", [0, 1])
def test_frames_of_any_two_libraries_in_any_order_of_columns(one, other):
    X = frames(a=[1.0, 2.0], b=["x", "y"], c=[True, False])[one]
    X_val = frames(c=[True], b=["z"], a=[3.0])[other]
    both = together(X, X_val)
    assert type(both) is type(X)
    assert list(both.columns) == ["a", "b", "c"]
    assert [list(both[name]) for name in both.columns] == [[1.0, 2.0, 3.0], ["x", "y", "z"], [True, False, True]]
    assert [both[name].dtype for name in both.columns] == [X[name].dtype for name in X.columns]


@pytest.mark.parametrize("one", [0, 1])
def test_cells_without_a_value_in_another_library(one):
    cells = {"a": ["x", None], "b": [True, None], "c": [1.0, None], "d": ["x", "y"]}
    X = frames(a=["x", "y"], b=[True, False], c=[1.0, 2.0], d=["x", "y"])[one]
    X_val = frames(**cells)[1 - one]
    both = together(X, X_val)
    found = [[None if cell is None or cell != cell else cell for cell in both[name].to_list()] for name in both.columns]
    assert found == [["x", "y", "x", None], [True, False, True, None], [1.0, 2.0, 1.0, None], ["x", "y", "x", "y"]]


@pytest.mark.parametrize(
    ("dtype", "dtype_val"),
    [
        ("category", "category"),
        ("category", "str"),
        ("category", "object"),
        (pd.CategoricalDtype(["c", "b", "a"], ordered=True), "category"),
    ],
)
def test_categories_of_pandas_are_those_of_both(dtype, dtype_val):
    X = pd.DataFrame({"c": pd.Series(LETTERS, dtype=dtype)})
    X_val = pd.DataFrame({"c": pd.Series(["d", "a", None], dtype=dtype_val)})
    before = X.copy(), X_val.copy()
    both = together(X, X_val)
    known = list(X["c"].cat.categories)
    assert list(both["c"].cat.categories) == [*known, "d"]
    assert both["c"].cat.ordered == X["c"].cat.ordered
    assert [None if pd.isna(value) else value for value in both["c"]] == [*LETTERS, "d", "a", None]
    for frame, copy in zip((X, X_val), before, strict=True):
        pd.testing.assert_frame_equal(frame, copy)


@pytest.mark.parametrize("dtype", [pl.Categorical, pl.Enum(["a", "b", "c"])])
@pytest.mark.parametrize("dtype_val", [pl.Categorical, pl.Enum(["d", "a"]), pl.String])
def test_categories_of_polars_are_those_of_both(dtype, dtype_val):
    X = pl.DataFrame({"c": pl.Series(LETTERS, dtype=dtype)})
    X_val = pl.DataFrame({"c": pl.Series(["d", "a", None], dtype=dtype_val)})
    both = together(X, X_val)
    assert both["c"].to_list() == [*LETTERS, "d", "a", None]
    assert both["c"].dtype == (pl.Enum(["a", "b", "c", "d"]) if isinstance(dtype, pl.Enum) else dtype)


def test_numbers_as_categories_stay_numbers():
    X = pd.DataFrame({"c": pd.Categorical([3, 1, 2])})
    both = together(X, pd.DataFrame({"c": [2, 5]}))
    assert list(both["c"]) == [3, 1, 2, 2, 5]
    assert list(both["c"].cat.categories) == [1, 2, 3, 5]


@pytest.mark.parametrize(
    ("own", "others", "expected"),
    [
        (np.array([1, 2]), np.array([1.5]), [1.0, 2.0, 1.5]),
        (np.array([1.5, 2]), np.array([1]), [1.5, 2.0, 1.0]),
        (np.array([1.5, 2], dtype=np.float32), np.array([1.0]), [1.5, 2.0, 1.0]),
        (np.array([1, 2], dtype=np.int8), np.array([300]), [1, 2, 300]),
        (np.array([1, 0]), np.array([True]), [1, 0, 1]),
    ],
)
@pytest.mark.parametrize("library", [pd.DataFrame, pl.DataFrame])
def test_numbers_of_other_types(own, others, expected, library):
    assert list(together(library({"a": own}), library({"a": others}))["a"]) == expected


@pytest.mark.parametrize("library", [pd.DataFrame, pl.DataFrame])
def test_a_column_without_values_is_of_any_type(library):
    both = together(library({"a": ["x", "y"], "b": [1.0, 2.0]}), library({"a": [None], "b": [None]}))
    assert [None if value != value else value for value in both["a"]] == ["x", "y", None]
    assert np.isnan(np.asarray(both["b"], dtype=float)[-1])


@pytest.mark.parametrize(
    ("own", "others", "message"),
    [
        ([1.0, 2.0], ["x"], "X_val: column 'a' holds text, such as 'x', where X has numbers"),
        (["x", "y"], [1.0], "X_val: column 'a' holds numbers, such as 1.0, where X has text"),
        (["x", "y"], [True], "X_val: column 'a' holds True and False, such as True, where X has text"),
        (pd.Categorical(["x", "y"]), [1.0], "X_val: column 'a' holds values such as 1.0, where X has categories"),
        (pd.to_datetime(["2020-01-01", "2021-01-01"]), [1.0], "X_val: column 'a' holds numbers, .* where X has times"),
        ([1, 2], np.array(["x", 1.5], dtype=object), "X_val: column 'a' cannot be made int64, as in X"),
        ([1.0, 2.0], pd.to_datetime(["2020-01-01"]), "X_val: column 'a' holds times, .* where X has numbers"),
    ],
)
def test_other_kinds_of_values_are_an_error_that_names_the_column(own, others, message):
    with pytest.raises(ValueError, match=message):
        alike(pd.DataFrame({"a": own}), pd.DataFrame({"a": others}))


@pytest.mark.parametrize(
    "names",
    [[0, 1, 2], [("a", "x"), ("a", "y"), ("b", "x")], pd.MultiIndex.from_product([["a"], [1, 2, 3]])],
)
def test_columns_of_pandas_without_plain_names(names):
    rng = np.random.default_rng(0)
    y = np.arange(60) % 2
    X = pd.DataFrame(rng.normal(size=(60, 3)) + y[:, None]).set_axis(names, axis=1)
    X_val, before = X[:20].astype(np.float32), X.copy()
    clf = RDIAClassifier(alpha=0.1).fit(X[20:], y[20:], X_val=X_val, y_val=y[:20])
    arrays = RDIAClassifier(alpha=0.1)
    arrays.fit(X[20:].to_numpy(), y[20:], X_val=X_val.to_numpy(), y_val=y[:20])
    np.testing.assert_array_equal(clf.predict_proba(X), arrays.predict_proba(X.to_numpy()))
    pd.testing.assert_frame_equal(X, before)
    assert len(clf.ledger_) > 0
    summarise(clf, X[20:])


def test_the_order_of_columns_without_plain_names():
    X = pd.DataFrame({0: [1.0], 1: [2.0]})
    assert list(alike(X, X[[1, 0]])[1].columns) == [0, 1]
    twice = pd.DataFrame([[1.0, 2.0, 3.0]], columns=list("aab"))
    with pytest.raises(ValueError, match=r"X_val has the columns \['b', 'a', 'a'\].* the same order"):
        alike(twice, twice.set_axis(list("baa"), axis=1))


def test_arrays_are_made_alike():
    X = np.array([["a", 1], ["b", 2]], dtype=object)
    assert alike(X, np.array([["c", "3"]]))[1].dtype == object
    with pytest.raises(ValueError, match="X_val has values of dtype object where X has numbers"):
        alike(np.ones((2, 2)), np.array([["c", "3"]], dtype=object))
    dense, rows = alike(np.ones((2, 2)), sparse.csr_array(np.ones((1, 2))))
    assert isinstance(dense, np.ndarray)
    assert sparse.issparse(rows)
    series, texts = alike(pd.Series(["a", "b"]), np.array(["c"], dtype=object))
    assert list(np.concatenate([series, texts])) == ["a", "b", "c"]


def grown(n, letters, seed=0):
    rng = np.random.default_rng(seed)
    c, x = rng.choice(list(letters), n), rng.normal(size=n)
    return {"c": c, "x": x}, ((c > "b") ^ (rng.random(n) < 0.1)).astype(int)


@pytest.mark.parametrize("kind", ["pandas", "polars", "enum"])
@pytest.mark.parametrize("refit_on", ["all", "train"])
def test_native_categories_reach_boosted_trees(kind, refit_on):
    """The verified rows lack one category, and have one more."""
    (columns, y), (columns_val, y_val) = grown(200, "abcd"), grown(80, "abce", seed=1)
    if kind == "pandas":
        X, X_val = (pd.DataFrame(some).astype({"c": "category"}) for some in (columns, columns_val))
    else:
        letters = ["abcd", "abce"]
        dtypes = [pl.Categorical, pl.Categorical] if kind == "polars" else [pl.Enum(list(some)) for some in letters]
        X, X_val = (
            pl.DataFrame(some).with_columns(pl.col("c").cast(dtype))
            for some, dtype in zip((columns, columns_val), dtypes, strict=True)
        )
    trees = HistGradientBoostingClassifier(max_iter=5, categorical_features="from_dtype")
    finder = make_pipeline(OneHotEncoder(handle_unknown="ignore"), LogisticRegression())
    clf = RDIAClassifier(trees, alpha=0.7, influence_estimator=finder, refit_on=refit_on)
    clf.fit(X, y, X_val=X_val, y_val=y_val)
    assert clf.score(X_val, y_val) > 0.8
    assert clf.score(X, y) > 0.8
