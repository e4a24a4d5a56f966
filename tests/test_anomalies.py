"""Rows that do not belong."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_array, csr_matrix
from scipy.stats import chisquare, kstest

from skrdia.datasets import add_anomalies

KINDS = ["far", "near", "class", "rows"]
CLUSTERS = {"far": 3.0, "near": 1.0}
IMPROBABLE = 1e-4  # a test of chance fails when its p-value is below


def make_data(n=120, shape=(3,), n_classes=3, seed=0):
    """Rows with columns of different means and units, and classes of equal size."""
    rng = np.random.default_rng(seed)
    columns = int(np.prod(shape))
    X = rng.normal(size=(n, columns)) * 2.0 ** np.arange(columns) - np.arange(columns)
    return X.reshape(n, *shape), np.arange(n) % n_classes


def options(kind, X, n_source=500):
    """The source that `kind` needs: rows far above those of X."""
    if kind != "rows":
        return {"kind": kind}
    rows = np.random.default_rng(99).uniform(1000.0, 2000.0, size=(n_source, *np.shape(X)[1:]))
    return {"kind": kind, "source": rows}


def rows_of(X):
    return [tuple(row) for row in np.reshape(X, (len(X), -1)).tolist()]


def standardised(X, is_anomaly):
    normal = X[~is_anomaly]
    return (X - normal.mean(axis=0)) / normal.std(axis=0)


# ---------------------------------------------------------------------------------------------- what all kinds share


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("rate", [0.01, 0.1, 0.3])
@pytest.mark.parametrize("shape", [(3,), (2, 2), (1, 3, 2)])
@pytest.mark.parametrize(
    "names",
    [
        np.array([4, 7, 9], dtype=np.int8),
        np.array(["a", "bee", "c"]),
        np.array(["yes", "no", "perhaps"], dtype=object),
        np.array([-1.5, 0.0, 2.0]),
    ],
)
def test_add_anomalies(kind, rate, shape, names):
    X, codes = make_data(shape=shape)
    y, arguments = names[codes], options(kind, X)
    before = X.copy(), y.copy(), np.copy(arguments.get("source", 0.0))
    X_all, y_all, is_anomaly = add_anomalies(X, y, rate, random_state=0, **arguments)
    normal = ~is_anomaly
    n_normal = 80 if kind == "class" else 120

    assert is_anomaly.dtype == bool
    assert normal.sum() == n_normal
    assert is_anomaly.sum() == max(1, round(rate / (1 - rate) * n_normal))
    assert not is_anomaly[:n_normal].any()
    assert X_all.shape == (len(is_anomaly), *shape)
    assert X_all.dtype == np.float64
    assert y_all.dtype == y.dtype
    assert len(set(y_all[is_anomaly])) == 1
    assert set(y_all[is_anomaly]) <= set(y_all[normal])
    if kind != "class":
        np.testing.assert_array_equal(X_all[normal], X)
        np.testing.assert_array_equal(y_all[normal], y)
    for value, old in zip((X, y, arguments.get("source", 0.0)), before, strict=True):
        np.testing.assert_array_equal(value, old)


@pytest.mark.parametrize("kind", KINDS)
def test_results_are_no_views(kind):
    X, y = make_data()
    X_all, y_all, _ = add_anomalies(X, y, random_state=0, **options(kind, X))
    assert not np.shares_memory(X_all, X)
    assert not np.shares_memory(y_all, y)


@given(
    codes=st.lists(st.integers(0, 4), min_size=2, max_size=40),
    rate=st.floats(0.001, 0.9),
    kind=st.sampled_from(["far", "near", "rows"]),
    seed=st.integers(0, 2**32 - 1),
)
@settings(max_examples=60)
def test_add_anomalies_properties(codes, rate, kind, seed):
    y = np.array(codes)
    X, _ = make_data(len(y))
    arguments = options(kind, X)
    X_all, y_all, is_anomaly = add_anomalies(X, y, rate, random_state=seed, **arguments)
    np.testing.assert_array_equal(X_all[: len(y)], X)
    np.testing.assert_array_equal(y_all[: len(y)], y)
    np.testing.assert_array_equal(np.flatnonzero(~is_anomaly), np.arange(len(y)))
    n_anomalies = is_anomaly.sum()
    assert n_anomalies >= 1
    assert n_anomalies == 1 or abs(n_anomalies - rate * len(y_all)) <= 0.5
    assert len(set(y_all[is_anomaly])) == 1
    assert set(y_all) == set(codes)

    random_state = np.random.RandomState(seed)
    again = add_anomalies(X, y, rate, random_state=random_state, **arguments)
    for value, same in zip((X_all, y_all, is_anomaly), again, strict=True):
        np.testing.assert_array_equal(value, same)

    names = np.array(["ant", "bee", "cow", "dog", "elk"])  # other names in the same order: the same anomalies
    renamed = add_anomalies(X, names[y], rate, random_state=seed, **arguments)
    np.testing.assert_array_equal(renamed[0], X_all)
    np.testing.assert_array_equal(renamed[1], names[y_all])


@pytest.mark.parametrize("kind", KINDS)
def test_random_state_matters(kind):
    X, y = make_data()
    first, second = (add_anomalies(X, y, 0.2, random_state=seed, **options(kind, X))[0] for seed in (0, 1))
    assert first[-1].tolist() != second[-1].tolist()


@pytest.mark.parametrize("kind", KINDS)
def test_every_class_is_as_likely_to_be_the_label(kind):
    X, _ = make_data(60)
    y = np.repeat([0, 1, 2, 3], [9, 12, 15, 24])
    rng = np.random.RandomState(0)
    drawn = [add_anomalies(X, y, 0.01, random_state=rng, **options(kind, X))[1][-1] for _ in range(400)]
    assert chisquare(np.bincount(drawn, minlength=4)).pvalue > IMPROBABLE


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("rows", "labels"),
    [
        (lambda X: X.tolist(), list),
        (lambda X: pd.DataFrame(X, columns=list("abc")), pd.Series),
        (lambda X: pl.DataFrame(X, schema=list("abc")), pl.Series),
        (np.asfortranarray, lambda y: np.asarray(y)[:, None]),
    ],
)
def test_containers(rows, labels, kind):
    X, y = make_data()
    arguments = options(kind, X)
    expected = add_anomalies(X, y, 0.2, random_state=0, **arguments)
    if kind == "rows":
        arguments["source"] = rows(arguments["source"])
    result = add_anomalies(rows(X), labels(y.tolist()), 0.2, random_state=0, **arguments)
    for value, same in zip(result, expected, strict=True):
        assert type(value) is np.ndarray
        np.testing.assert_array_equal(value, same)


@pytest.mark.parametrize(
    ("kind", "dtype", "expected"),
    [
        *((kind, dtype, dtype) for kind in KINDS for dtype in ("float32", "float64")),
        ("far", "float16", "float16"),
        ("far", "uint8", "float64"),
        ("near", "int64", "float64"),
        ("near", "bool", "float64"),
        ("class", "uint8", "uint8"),
        ("class", "bool", "bool"),
        ("rows", "int32", "float64"),
    ],
)
def test_dtype_of_the_rows(kind, dtype, expected):
    X, y = make_data()
    X = np.maximum(X, 0.0).astype(dtype)
    X_all, _, is_anomaly = add_anomalies(X, y, random_state=0, **options(kind, X))
    assert X_all.dtype == expected
    if kind != "class":
        np.testing.assert_array_equal(X_all[~is_anomaly], X)


@pytest.mark.parametrize(
    ("dtype", "of_source", "expected"),
    [("uint8", "uint8", "uint8"), ("uint8", "int64", "int64"), ("float32", "int64", "float32")],
)
def test_dtype_holds_the_source_too(dtype, of_source, expected):
    X, y = make_data()
    source = np.full((50, 3), 200, dtype=of_source)
    X_all, _, is_anomaly = add_anomalies(np.abs(X).astype(dtype), y, kind="rows", source=source, random_state=0)
    assert X_all.dtype == expected
    np.testing.assert_array_equal(X_all[is_anomaly], 200)


# ----------------------------------------------------------------------------------------------------------- clusters


@pytest.mark.parametrize(("kind", "distance"), CLUSTERS.items())
@pytest.mark.parametrize("n_columns", [1, 2, 30])
def test_clusters_are_where_they_should_be(kind, distance, n_columns):
    X, y = make_data(2000, (n_columns,))
    X_all, _, is_anomaly = add_anomalies(X, y, 0.5, kind, random_state=0)
    rows = standardised(X_all, is_anomaly)
    assert is_anomaly.sum() == 2000
    root_mean_square = np.mean(np.sum(rows[~is_anomaly] ** 2, axis=1)) ** 0.5
    centre = rows[is_anomaly].mean(axis=0)
    np.testing.assert_allclose(np.linalg.norm(centre), distance * root_mean_square, rtol=0.05)
    noise = (rows[is_anomaly] - centre) / 0.25
    np.testing.assert_allclose(np.cov(noise.T), np.eye(n_columns) if n_columns > 1 else 1.0, atol=0.15)
    assert kstest(noise[:, 0], "norm").pvalue > IMPROBABLE


@pytest.mark.parametrize("kind", CLUSTERS)
def test_distance_of_one_anomaly(kind):
    X, y = make_data(50, (400,))
    X_all, _, is_anomaly = add_anomalies(X, y, 0.01, kind, random_state=0)
    distance = np.linalg.norm(standardised(X_all, is_anomaly)[-1]) / 400**0.5
    assert distance == pytest.approx((CLUSTERS[kind] ** 2 + 0.25**2) ** 0.5, rel=0.05)


@pytest.mark.parametrize("kind", CLUSTERS)
def test_clusters_lie_in_any_direction(kind):
    X, y = make_data(200, (2,))
    rng = np.random.RandomState(0)
    angles = []
    for _ in range(300):
        X_all, _, is_anomaly = add_anomalies(X, y, 0.2, kind, random_state=rng)
        centre = standardised(X_all, is_anomaly)[is_anomaly].mean(axis=0)
        angles.append(np.arctan2(*centre) / (2 * np.pi) + 0.5)
    assert kstest(angles, "uniform").pvalue > IMPROBABLE


@pytest.mark.parametrize("kind", CLUSTERS)
def test_units_of_the_columns_move_with_the_clusters(kind):
    X, y = make_data()
    unit, shift = np.array([1.0, 1024.0, 0.25]), 3.0
    plain = add_anomalies(X, y, 0.2, kind, random_state=0)[0]
    np.testing.assert_allclose(add_anomalies(X * unit + shift, y, 0.2, kind, random_state=0)[0], plain * unit + shift)


@pytest.mark.parametrize("kind", CLUSTERS)
def test_constant_columns_keep_their_value(kind):
    X, y = make_data()
    constant = np.full((len(X), 2), [0.1, -1e6 / 3])
    X_all, _, _ = add_anomalies(np.c_[constant[:, :1], X, constant[:, 1:]], y, 0.2, kind, random_state=0)
    np.testing.assert_array_equal(X_all[:, [0, -1]], constant[[0] * len(X_all)])
    np.testing.assert_array_equal(X_all[:, 1:-1], add_anomalies(X, y, 0.2, kind, random_state=0)[0])


@pytest.mark.parametrize("kind", CLUSTERS)
def test_images_are_rows(kind):
    X, y = make_data(shape=(2, 3))
    images = add_anomalies(X, y, 0.2, kind, random_state=0)[0]
    np.testing.assert_array_equal(rows_of(images), add_anomalies(X.reshape(-1, 6), y, 0.2, kind, random_state=0)[0])


@pytest.mark.parametrize("kind", [*CLUSTERS, "rows"])
def test_a_single_class_is_enough(kind):
    X, _ = make_data()
    _, y_all, _ = add_anomalies(X, ["a"] * len(X), random_state=0, **options(kind, X))
    assert set(y_all) == {"a"}


# -------------------------------------------------------------------------------------------------- class and source


@pytest.mark.parametrize("shape", [(3,), (2, 2)])
@pytest.mark.parametrize("seed", range(4))
def test_a_class_leaves_and_comes_back(shape, seed):
    X, y = make_data(shape=shape)
    X_all, y_all, is_anomaly = add_anomalies(X, y, 0.3, "class", random_state=seed)
    (gone,) = set(y) - set(y_all)
    np.testing.assert_array_equal(X_all[~is_anomaly], X[y != gone])
    np.testing.assert_array_equal(y_all[~is_anomaly], y[y != gone])
    back = rows_of(X_all[is_anomaly])
    assert len(set(back)) == len(back) == 34
    assert set(back) < set(rows_of(X[y == gone]))


def test_any_class_may_leave():
    X, _ = make_data(60)
    y = np.repeat([0, 1, 2, 3], [9, 12, 15, 24])
    rng = np.random.RandomState(0)
    gone = [(set(y) - set(add_anomalies(X, y, 0.1, "class", random_state=rng)[1])).pop() for _ in range(400)]
    assert chisquare(np.bincount(gone, minlength=4)).pvalue > IMPROBABLE


def test_anomalies_of_a_class_may_be_all_its_rows():
    X, y = make_data()
    X_all, y_all, _ = add_anomalies(X, y, 1 / 3, "class", random_state=0)
    assert sorted(rows_of(X_all)) == sorted(rows_of(X))
    assert len(set(y_all)) == 2


@pytest.mark.parametrize("shape", [(3,), (2, 2)])
def test_rows_come_from_the_source(shape):
    X, y = make_data(shape=shape)
    arguments = options("rows", X, n_source=80)
    X_all, _, is_anomaly = add_anomalies(X, y, 0.4, random_state=0, **arguments)
    drawn = rows_of(X_all[is_anomaly])
    assert len(set(drawn)) == len(drawn) == 80
    assert set(drawn) == set(rows_of(arguments["source"]))
    some = rows_of(add_anomalies(X, y, 0.2, random_state=0, **arguments)[0][120:])
    assert len(set(some)) == len(some) == 30
    assert set(some) < set(drawn)


@pytest.mark.parametrize(("kind", "n_source", "n_classes"), [("rows", 31, 1), ("class", 0, 3), ("class", 0, 7)])
def test_the_largest_rate_of_the_message_is_possible(kind, n_source, n_classes):
    X, y = make_data(n_classes=n_classes)
    arguments = options(kind, X, n_source)
    with pytest.raises(ValueError, match="the largest rate possible is") as caught:
        add_anomalies(X, y, 0.9, random_state=0, **arguments)
    largest = float(str(caught.value).rstrip(".").split()[-1])
    add_anomalies(X, y, largest, random_state=0, **arguments)
    with pytest.raises(ValueError, match="the largest rate possible is"):
        add_anomalies(X, y, largest + 0.01, random_state=0, **arguments)


# ------------------------------------------------------------------------------------------------------------- errors

ROWS = [[1.0, 2.0], [3.0, 4.0], [5.0, 7.0]]


@pytest.mark.parametrize("rate", [0.0, 1.0, 1.5, -0.1, float("nan"), "much", None, [0.1, 0.2]])
def test_rate_must_be_a_share(rate):
    with pytest.raises(ValueError, match=r"rate=.* must be a number between 0 and 1, both excluded"):
        add_anomalies(ROWS, [0, 1, 2], rate)


@pytest.mark.parametrize(
    ("X", "y", "arguments", "message"),
    [
        (ROWS, [0, 1, 2], {"kind": "odd"}, r"kind='odd' is unknown; use one of \['far', 'near', 'class', 'rows'\]"),
        (csr_matrix(ROWS), [0, 1, 2], {}, r"X is sparse, .* convert it, with X.toarray\(\)"),
        (csr_array(ROWS), [0, 1, 2], {"kind": "class"}, r"X is sparse, .* convert it, with X.toarray\(\)"),
        ([1.0, 2.0, 3.0], [0, 1, 2], {}, "X must be an array of finite numbers, with one row per sample.*1D array"),
        ([[1.0], [np.nan], [2.0]], [0, 1, 2], {}, "X must be an array of finite numbers.*contains NaN"),
        ([[1.0], [np.inf], [2.0]], [0, 1, 2], {}, "X must be an array of finite numbers.*contains infinity"),
        (pd.DataFrame({"a": ["u", "v", "w"]}), [0, 1, 2], {}, "X must be an array of finite numbers.*encode"),
        (np.empty((0, 2)), [], {}, "X must be an array of finite numbers.*0 sample"),
        (np.array(ROWS, dtype=complex), [0, 1, 2], {}, "X must be an array of finite numbers.*[Cc]omplex"),
        (np.array(ROWS).astype("datetime64[s]"), [0, 1, 2], {}, "X has the dtype datetime64.*, which is not one of"),
        (np.ones((3, 2)), [0, 1, 2], {}, "X has the same values in every row"),
        (ROWS[:1], [0], {"kind": "near"}, "X has the same values in every row"),
        (np.array([[6e4], [-6e4], [0.0]], dtype=np.float16), [0, 1, 2], {}, "X has the dtype float16.*overflow"),
        ([[1e308], [-1e308], [1e308]], [0, 1, 2], {}, "X has the dtype float64.*overflow; convert .* scale it down"),
        (ROWS, [0, 1], {}, "X has 3 rows and y has 2 labels"),
        (ROWS, [[0, 1], [1, 0], [0, 0]], {}, "y should be a 1d array"),
        (ROWS, [0.0, 1.0, np.nan], {}, "y has missing labels .nan.. Drop"),
        (ROWS, ["a", None, "b"], {}, r"y has labels that cannot be sorted, of the types \['NoneType', 'str'\]"),
        (ROWS, pd.Series([1, 2, None], dtype="Int64"), {}, "y has labels that cannot be sorted|y has missing labels"),
        (ROWS, [0, 1, 1], {"kind": "class"}, "y has 2 of the at least 3 classes that kind='class' needs"),
        (ROWS, ["a", "a", "a"], {"kind": "class"}, "y has 1 of the at least 3 classes"),
        (
            ROWS,
            ["a", "b", "c"],
            {"kind": "class", "rate": 0.5},
            "rate=0.5 asks for 2 anomalies, but class '[abc]' of y, drawn at random, has 1 rows; the largest rate "
            "possible is 0.333333",
        ),
        (ROWS, [0, 1, 2], {"kind": "rows"}, "source is missing; kind='rows' needs it"),
        (ROWS, [0, 1, 2], {"source": ROWS}, "source is for kind='rows', but kind='far'; leave it out"),
        (ROWS, [0, 1, 2], {"kind": "class", "source": ROWS}, "source is for kind='rows', but kind='class'"),
        (ROWS, [0, 1, 2], {"kind": "rows", "source": np.eye(3)}, "source has 3 columns and X has 2; they must be"),
        (
            np.zeros((3, 2, 2)),
            [0, 1, 2],
            {"kind": "rows", "source": np.zeros((3, 2, 4))},
            r"source has rows of shape \(2, 4\) and X of \(2, 2\); they must be the same",
        ),
        (ROWS, [0, 1, 2], {"kind": "rows", "source": np.zeros((3, 2, 2))}, r"source has rows of shape \(2, 2\) and X"),
        (ROWS, [0, 1, 2], {"kind": "rows", "source": csr_matrix(ROWS)}, "source is sparse.*source.toarray"),
        (ROWS, [0, 1, 2], {"kind": "rows", "source": [[1.0, np.nan]]}, "source must be an array of finite numbers"),
        (
            ROWS,
            [0, 1, 2],
            {"kind": "rows", "source": ROWS[:1], "rate": 0.5},
            "rate=0.5 asks for 3 anomalies, but source has 1 rows; the largest rate possible is 0.25",
        ),
        (
            np.array(ROWS, dtype=np.float16),
            [0, 1, 2],
            {"kind": "rows", "source": [[1e6, 1e6]]},
            "X has the dtype float16, in which the anomalies overflow; convert X to float64",
        ),
    ],
)
def test_add_anomalies_bad_input(X, y, arguments, message):
    with pytest.raises(ValueError, match=message):
        add_anomalies(X, y, random_state=0, **arguments)
