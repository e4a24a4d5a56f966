"""Label noise, and the synthetic data with a known boundary."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog
from scipy.sparse import csc_matrix, csr_array, csr_matrix
from scipy.special import expit
from scipy.stats import binomtest, chisquare, multivariate_normal, norm
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import scale

from skrdia.datasets import flip_labels, gaussian_boundary, gaussian_log_odds, make_gaussian_blobs

KINDS = ["symmetric", "pair", "one-sided", "instance", "group"]
IMPROBABLE = 1e-4  # a test of chance fails when its p-value is below


def rows_for(y, n_columns=3, seed=0):
    """Normal rows whose mean moves with the class."""
    codes = np.unique(np.asarray(y), return_inverse=True)[1]
    return np.random.default_rng(seed).normal(size=(len(codes), n_columns)) + codes[:, None]


def expected_flips(y, rate, kind):
    codes = np.unique(np.asarray(y), return_inverse=True)[1]
    return round(rate * {"one-sided": np.sum(codes == 0), "group": len(codes) // 2}.get(kind, len(codes)))


# ---------------------------------------------------------------------------------------------- what all kinds share


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("rate", [0.0, 0.25, 1.0])
@pytest.mark.parametrize(
    "y",
    [
        np.arange(100) % 2,
        (np.arange(100) % 7).astype(np.int8),
        np.array(["a", "b"] * 50),
        np.array(["yes", "no", "perhaps", "no"] * 25, dtype=object),
        [True, False] * 50,
        np.array([-1.0, 1.0] * 50),
    ],
)
def test_flip_labels(y, rate, kind):
    before, X = np.array(y), rows_for(y)
    X_before = X.copy()
    noisy, flipped = flip_labels(y, rate, kind, X=X, random_state=0)
    assert flipped.dtype == bool
    assert flipped.sum() == expected_flips(y, rate, kind)
    np.testing.assert_array_equal(noisy != before, flipped)
    assert noisy.dtype == before.dtype
    assert set(noisy) <= set(before)
    np.testing.assert_array_equal(y, before)
    np.testing.assert_array_equal(X, X_before)


@given(
    codes=st.lists(st.integers(0, 4), min_size=2, max_size=40).filter(lambda codes: len(set(codes)) > 1),
    rate=st.floats(0.0, 1.0),
    kind=st.sampled_from(KINDS),
    seed=st.integers(0, 2**32 - 1),
)
@settings(max_examples=80)
def test_flip_labels_properties(codes, rate, kind, seed):
    y = np.array(codes)
    X = rows_for(y, seed=1)
    noisy, flipped = flip_labels(y, rate, kind, X=X, random_state=seed)
    assert flipped.sum() == expected_flips(y, rate, kind)
    np.testing.assert_array_equal(noisy != y, flipped)
    assert set(noisy) <= set(codes)

    again, flipped_again = flip_labels(y, rate, kind, X=X, random_state=np.random.RandomState(seed))
    np.testing.assert_array_equal(again, noisy)
    np.testing.assert_array_equal(flipped_again, flipped)

    names = np.array(["ant", "bee", "cow", "dog", "elk"])  # other names in the same order: the same flips
    renamed, flipped_renamed = flip_labels(names[y], rate, kind, X=X, random_state=seed)
    np.testing.assert_array_equal(renamed, names[noisy])
    np.testing.assert_array_equal(flipped_renamed, flipped)


@pytest.mark.parametrize("kind", KINDS)
def test_random_state_matters(kind):
    y = np.arange(200) % 3
    first, second = (flip_labels(y, 0.3, kind, X=rows_for(y), random_state=seed)[1] for seed in (0, 1))
    assert (first != second).any()


@pytest.mark.parametrize("kind", ["symmetric", "pair", "group"])
def test_rows_do_not_depend_on_the_names_of_the_classes(kind):
    y = np.arange(60) % 3
    masks = [flip_labels(labels, 0.3, kind, X=rows_for(y), random_state=0)[1] for labels in (y, 2 - y, (y + 1) % 3)]
    np.testing.assert_array_equal(masks[0], masks[1])
    np.testing.assert_array_equal(masks[0], masks[2])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("make", [list, pd.Series, pl.Series, lambda y: np.asarray(y)[:, None]])
@pytest.mark.parametrize("labels", [[0, 1, 2], ["x", "y", "z"]])
@pytest.mark.filterwarnings("ignore:A column-vector")
def test_containers_of_labels(make, labels, kind):
    y = np.array(labels * 20)
    X = rows_for(y)
    expected, expected_mask = flip_labels(y, 0.3, kind, X=X, random_state=0)
    noisy, flipped = flip_labels(make(y.tolist()), 0.3, kind, X=X, random_state=0)
    assert noisy.shape == (60,)
    np.testing.assert_array_equal(noisy, expected)
    np.testing.assert_array_equal(flipped, expected_mask)


def test_nullable_integers_stay_integers():
    noisy, _ = flip_labels(pd.Series([1, 2] * 5, dtype="Int64"), 0.3, random_state=0)
    assert noisy.dtype == np.int64


@pytest.mark.parametrize("kind", ["instance", "group"])
@pytest.mark.parametrize(
    "make",
    [
        lambda X: X.tolist(),
        lambda X: pd.DataFrame(X, columns=list("abc")),
        lambda X: pl.DataFrame(X, schema=list("abc")),
        csr_matrix,
        csc_matrix,
        csr_array,
        np.asfortranarray,
    ],
)
def test_containers_of_rows(make, kind):
    y = np.arange(80) % 3
    X = rows_for(y)
    X[::2, 1] = 0.0
    expected = flip_labels(y, 0.2, kind, X=X, random_state=0)
    noisy, flipped = flip_labels(y, 0.2, kind, X=make(X), random_state=0)
    np.testing.assert_array_equal(noisy, expected[0])
    np.testing.assert_array_equal(flipped, expected[1])


@pytest.mark.parametrize("kind", ["instance", "group"])
@pytest.mark.parametrize("make", [csr_matrix, csc_matrix, csr_array])
def test_sparse_rows_stay_sparse_and_unchanged(make, kind, monkeypatch):
    y = np.arange(60) % 2
    X = make(np.random.default_rng(0).poisson(0.3, size=(60, 20)).astype(float))
    before = X.toarray()
    with monkeypatch.context() as patch:
        for container in (csr_matrix, csc_matrix, csr_array):
            for method in ("toarray", "todense"):
                patch.setattr(container, method, None)
        _, flipped = flip_labels(y, 0.3, kind, X=X, random_state=0)
    assert flipped.sum() == expected_flips(y, 0.3, kind)
    np.testing.assert_array_equal(X.toarray(), before)


@pytest.mark.parametrize("kind", ["instance", "group"])
def test_units_of_the_columns_do_not_matter(kind):
    y = np.arange(80) % 2
    X = rows_for(y)
    expected = flip_labels(y, 0.2, kind, X=X, random_state=0)[1]
    np.testing.assert_array_equal(
        flip_labels(y, 0.2, kind, X=X * [1.0, 1024.0, 0.25] + 3.0, random_state=0)[1], expected
    )


# --------------------------------------------------------------------------------------------------- kinds one by one


@pytest.mark.parametrize(("n_classes", "rate", "seed"), [(2, 0.3, 0), (2, 0.05, 7), (5, 0.4, 1), (3, 1.0, 2)])
def test_symmetric_draws_as_it_always_did(n_classes, rate, seed):
    y = np.arange(101) % n_classes
    rng = np.random.RandomState(seed)
    rows = rng.permutation(101)[: round(rate * 101)]
    expected = y.copy()
    expected[rows] = (y[rows] + rng.randint(1, n_classes, size=len(rows))) % n_classes
    np.testing.assert_array_equal(flip_labels(y, rate, random_state=seed)[0], expected)


@pytest.mark.parametrize("kind", ["symmetric", "group"])
def test_every_other_label_is_as_likely(kind):
    y = np.repeat(np.arange(4), 1000)
    noisy, flipped = flip_labels(y, 0.8, kind, X=rows_for(y), random_state=0)
    for code in range(4):
        counts = np.bincount(noisy[flipped & (y == code)], minlength=4)
        assert counts[code] == 0
        if counts.sum():
            assert chisquare(np.delete(counts, code)).pvalue > IMPROBABLE


def test_pair_goes_to_the_next_class():
    y = np.array(["a", "b", "c"] * 40)
    noisy, flipped = flip_labels(y, 0.5, "pair", random_state=0)
    follower = {"a": "b", "b": "c", "c": "a"}
    assert all(noisy[flipped] == [follower[label] for label in y[flipped]])
    assert set(y[flipped]) == set(follower)


@pytest.mark.parametrize("names", [["a", "b"], ["a", "b", "c"]])
def test_one_sided_turns_the_first_class_into_the_second(names):
    y = np.array(names * 30)
    noisy, flipped = flip_labels(y, 0.4, "one-sided", random_state=0)
    assert flipped.sum() == 12
    assert set(y[flipped]) == {"a"}
    assert set(noisy[flipped]) == {"b"}


def test_transition_matrix_frequencies():
    matrix = np.array([[0.7, 0.2, 0.1], [0.0, 1.0, 0.0], [0.05, 0.35, 0.6]])
    y = np.repeat(["a", "b", "c"], [3000, 1000, 2000])
    noisy, flipped = flip_labels(y, matrix, "one-sided", random_state=0)
    np.testing.assert_array_equal(flipped, noisy != y)
    for row, given_label in zip(matrix, "abc", strict=True):
        drawn = noisy[y == given_label]
        for probability, label in zip(row, "abc", strict=True):
            assert binomtest(int((drawn == label).sum()), len(drawn), probability).pvalue > IMPROBABLE


@pytest.mark.parametrize("make", [np.array, list, pd.DataFrame])
def test_transition_matrix_without_chance(make):
    y = np.arange(30) % 3
    keep, flipped = flip_labels(y, make(np.eye(3).tolist()), "one-sided", random_state=0)
    np.testing.assert_array_equal(keep, y)
    assert not flipped.any()
    cycle = make(np.roll(np.eye(3), 1, axis=1).tolist())
    np.testing.assert_array_equal(flip_labels(y, cycle, "one-sided", random_state=0)[0], (y + 1) % 3)


def test_transition_matrix_may_be_rounded():
    matrix = np.full((3, 3), 1 / 3, dtype=np.float32)
    before = matrix.copy()
    flip_labels(np.arange(30) % 3, matrix, "one-sided", random_state=0)
    np.testing.assert_array_equal(matrix, before)


def margins(X, y):
    """Margin of every row and its most probable other class, from a logistic regression of our own call."""
    probability = LogisticRegression(max_iter=1000).fit(scale(X), y).predict_proba(scale(X))
    own = probability[np.arange(len(y)), y]
    others = np.where(np.arange(probability.shape[1]) == y[:, None], -1.0, probability)
    return own - others.max(axis=1), others.argmax(axis=1)


def test_instance_flips_go_to_the_most_probable_other_class():
    X, y = load_iris(return_X_y=True)
    margin, runner_up = margins(X, y)
    noisy, flipped = flip_labels(y, 0.2, "instance", X=X, random_state=0)
    np.testing.assert_array_equal(noisy[flipped], runner_up[flipped])
    assert margin[flipped].mean() < margin[~flipped].mean()


def test_instance_draws_in_proportion_to_one_minus_the_margin():
    y = np.arange(8) % 2
    X = np.array([[-2.0], [2.0], [-1.0], [1.0], [-0.5], [0.5], [0.4], [-0.4]])
    weight = 1.0 - margins(X, y)[0]
    rng = np.random.RandomState(0)
    counts = sum(flip_labels(y, 1 / 8, "instance", X=X, random_state=rng)[1] for _ in range(400))
    assert chisquare(counts, 400 * weight / weight.sum()).pvalue > IMPROBABLE
    assert chisquare(counts).pvalue < IMPROBABLE


def test_instance_flips_lie_near_the_best_boundary():
    X, y = make_gaussian_blobs(3000, random_state=0)
    distance = np.abs(gaussian_log_odds(X))
    _, flipped = flip_labels(y, 0.1, "instance", X=X, random_state=0)
    shares = [part.mean() for part in np.array_split(flipped[np.argsort(distance)], 5)]
    assert shares == sorted(shares, reverse=True)
    assert distance[flipped].mean() < 0.5 * distance[~flipped].mean()


def test_instance_where_a_probability_is_zero():
    y = np.arange(4000) % 2
    X = np.where(y, 1.0, -1.0)[:, None]
    X[:2] *= 1000.0
    assert (LogisticRegression().fit(scale(X), y).predict_proba(scale(X))[:2] == [[1.0, 0.0], [0.0, 1.0]]).all()
    noisy, flipped = flip_labels(y, 1.0, "instance", X=X, random_state=0)
    assert flipped.all()
    np.testing.assert_array_equal(noisy, 1 - y)


def is_half_space(X, inside):
    """Whether some (u, b) has u . x >= b + 1 inside and u . x <= b - 1 outside."""
    sign = np.where(inside, -1.0, 1.0)
    rows = sign[:, None] * np.c_[X, -np.ones(len(X))]
    return linprog(np.zeros(rows.shape[1]), A_ub=rows, b_ub=-np.ones(len(X)), bounds=(None, None)).status == 0


@pytest.mark.parametrize("n", [80, 81])
@pytest.mark.parametrize("seed", range(3))
def test_group_flips_lie_in_one_half_space(n, seed):
    X = np.random.default_rng(seed).normal(size=(n, 2))
    y = np.arange(n) % 3
    assert not is_half_space(X, y == 0)
    half = flip_labels(y, 1.0, "group", X=X, random_state=seed)[1]
    assert half.sum() == n // 2
    assert is_half_space(X, half)
    some = flip_labels(y, 0.3, "group", X=X, random_state=seed)[1]
    assert some.sum() == 12
    assert not some[~half].any()


def test_group_takes_either_side_of_the_median():
    X = np.random.default_rng(0).normal(size=(50, 1))
    above = X[:, 0] > np.median(X)
    sides = [flip_labels(np.arange(50) % 2, 1.0, "group", X=X, random_state=seed)[1] for seed in range(10)]
    assert {(side == above).all() for side in sides} == {True, False}
    assert all((side == above).all() or (side == ~above).all() for side in sides)


def test_group_with_equal_rows():
    _, flipped = flip_labels(np.arange(20) % 2, 0.5, "group", X=np.ones((20, 2)), random_state=0)
    assert flipped.sum() == 5


@pytest.mark.parametrize(
    ("y", "rate", "options", "message"),
    [
        ([0, 1], 1.5, {}, "rate=1.5 must be between 0 and 1"),
        ([0, 1], -0.1, {}, "rate=-0.1 must be between 0 and 1"),
        ([0, 1], float("nan"), {}, "rate=nan must be between 0 and 1"),
        ([0, 1], "much", {}, "rate='much' must be a number between 0 and 1"),
        ([0, 1], 0.5, {"kind": "both"}, r"kind='both' is unknown; use one of \['symmetric', 'pair', 'one-sided'"),
        ([1, 1], 0.5, {}, "y has a single class, .1.; there is no other"),
        ([], 0.5, {}, "y is empty"),
        ([0.0, 1.0, np.nan], 0.5, {}, "y has missing labels .nan.. Drop"),
        (["a", None, "b"], 0.5, {}, r"y has labels that cannot be sorted, of the types \['NoneType', 'str'\]"),
        (pd.Series(["a", "b", None]), 0.5, {}, "y has labels that cannot be sorted"),
        (pd.Series([1, 2, None], dtype="Int64"), 0.5, {}, "y has missing labels"),
        ([[0, 1], [1, 0]], 0.5, {}, "y should be a 1d array"),
        ([0, 1], np.eye(2), {}, r"rate has shape \(2, 2\), but kind='symmetric' takes one number"),
        ([0, 1], np.eye(3), {"kind": "one-sided"}, r"rate has shape \(3, 3\), expected \(2, 2\): a row and a column"),
        ([0, 1], [0.5, 0.5], {"kind": "one-sided"}, r"rate has shape \(2,\), expected \(2, 2\)"),
        ([0, 1], [[0.5, 0.5], [1.0]], {"kind": "one-sided"}, "must be a number between 0 and 1, or a transition"),
        ([0, 1], [[0.9, 0.1], [0.5, 0.4]], {"kind": "one-sided"}, "row 1 sums to 0.9, expected 1"),
        ([0, 1], [[1.1, -0.1], [0.5, 0.5]], {"kind": "one-sided"}, "rate has a negative or missing entry"),
        ([0, 1], [[np.nan, 1.0], [0.5, 0.5]], {"kind": "one-sided"}, "rate has a negative or missing entry"),
        ([0, 1], 0.5, {"kind": "instance"}, "X is missing; kind='instance' needs it"),
        ([0, 1], 0.5, {"kind": "group"}, "X is missing; kind='group' needs it"),
        ([0, 1], 0.5, {"kind": "group", "X": [[1.0], [2.0], [3.0]]}, "X has 3 rows and y has 2 labels"),
        ([0, 1], 0.5, {"kind": "group", "X": [[1.0], [np.nan]]}, "X does not suit kind='group'.*contains NaN"),
        ([0, 1], 0.5, {"kind": "instance", "X": pd.DataFrame({"a": ["u", "v"]})}, "X does not suit kind='instance'"),
        ([0, 1], 0.5, {"kind": "instance", "X": [1.0, 2.0]}, "X does not suit kind='instance'"),
    ],
)
def test_flip_labels_bad_input(y, rate, options, message):
    with pytest.raises(ValueError, match=message):
        flip_labels(y, rate, **options)


# ---------------------------------------------------------------------------------------------------- Gaussian blobs

MEANS = np.array([[1.0, -2.0, 0.5], [0.0, 1.0, 0.0]])


def test_blobs_follow_their_distribution():
    X, y = make_gaussian_blobs(4000, MEANS, 0.7, random_state=0)
    assert X.shape == (4000, 3)
    assert X.dtype == np.float64
    assert y.dtype.kind == "i"
    assert binomtest(int(y.sum()), 4000).pvalue > IMPROBABLE
    for code in (0, 1):
        rows = X[y == code]
        np.testing.assert_allclose(rows.mean(axis=0), MEANS[code], atol=5 * 0.7 / len(rows) ** 0.5)
        np.testing.assert_allclose(np.cov(rows.T), 0.49 * np.eye(3), atol=0.06)


def test_blobs_are_repeatable_and_the_means_unchanged():
    means = MEANS.copy()
    X, y = make_gaussian_blobs(50, means, 0.7, random_state=3)
    again, y_again = make_gaussian_blobs(50, means, 0.7, random_state=3)
    np.testing.assert_array_equal(X, again)
    np.testing.assert_array_equal(y, y_again)
    np.testing.assert_array_equal(means, MEANS)
    assert (make_gaussian_blobs(50, means, 0.7, random_state=4)[0] != X).all()


def test_blobs_by_default_are_those_of_the_notebook():
    X, y = make_gaussian_blobs(random_state=0)
    assert X.shape == (10000, 2)
    np.testing.assert_allclose(X[y == 1].var(axis=0), 0.2, rtol=0.1)
    np.testing.assert_allclose(X[y == 1].mean(axis=0), 1.0, rtol=0.05)


@pytest.mark.parametrize("sigma", [0.3, 1.0, 2.5])
def test_log_odds_are_those_of_the_posterior(sigma):
    X = np.random.default_rng(0).normal(scale=2.0, size=(200, 3))
    density = [multivariate_normal(mean, sigma**2 * np.eye(3)) for mean in MEANS]
    log_odds = gaussian_log_odds(X, MEANS, sigma)
    np.testing.assert_allclose(log_odds, density[1].logpdf(X) - density[0].logpdf(X), rtol=1e-9, atol=1e-9)
    posterior = density[1].pdf(X) / (density[0].pdf(X) + density[1].pdf(X) + np.finfo(float).tiny)
    np.testing.assert_allclose(expit(log_odds), posterior, rtol=1e-6, atol=1e-12)
    nearer = np.linalg.norm(X - MEANS[1], axis=1) < np.linalg.norm(X - MEANS[0], axis=1)
    np.testing.assert_array_equal(log_odds > 0, nearer)


def test_error_of_the_best_decision():
    X, y = make_gaussian_blobs(20000, random_state=0)
    wrong = int(((gaussian_log_odds(X) > 0) != y).sum())
    least = norm.cdf(-(2**0.5) / (2 * 0.2**0.5))
    assert binomtest(wrong, 20000, least).pvalue > IMPROBABLE


def test_log_odds_are_what_logistic_regression_tends_to():
    X, y = make_gaussian_blobs(50000, MEANS, 1.5, random_state=0)
    fitted = LogisticRegression(C=1e6).fit(X, y)
    np.testing.assert_allclose(fitted.decision_function(X[:100]), gaussian_log_odds(X[:100], MEANS, 1.5), atol=0.15)


@given(
    means=st.lists(st.floats(-5, 5), min_size=4, max_size=4),
    z=st.lists(st.floats(-3, 3), min_size=1, max_size=5),
)
def test_boundary_is_where_both_classes_are_as_likely(means, z):
    means = np.reshape(means, (2, 2))
    distance = np.linalg.norm(means[1] - means[0])
    if distance < 1e-3:
        return
    points = gaussian_boundary(z, means)
    assert points.shape == (len(z), 2)
    np.testing.assert_allclose(gaussian_log_odds(points, means, 1.0), 0.0, atol=1e-9)
    from_midpoint = np.linalg.norm(points - means.mean(axis=0), axis=1)
    np.testing.assert_allclose(from_midpoint, np.abs(z) * distance, atol=1e-9)


def test_boundary_of_the_notebook():
    z = np.linspace(-1.5, 1.5, 7)
    np.testing.assert_allclose(gaussian_boundary(z), np.c_[0.5 + z, 0.5 - z])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: make_gaussian_blobs(0), "n_samples=0 must be a whole number"),
        (lambda: make_gaussian_blobs(10.0), "n_samples=10.0 must be a whole number"),
        (lambda: make_gaussian_blobs(10, sigma=0.0), "sigma=0.0 must be a positive number"),
        (lambda: make_gaussian_blobs(10, sigma=float("nan")), "sigma=nan must be a positive number"),
        (lambda: make_gaussian_blobs(10, sigma=[1.0, 2.0]), "must be a positive number"),
        (lambda: make_gaussian_blobs(10, np.eye(3)), "means has 3 rows, expected 2"),
        (lambda: make_gaussian_blobs(10, [[0.0, np.nan], [1.0, 1.0]]), "means contains NaN"),
        (lambda: gaussian_log_odds(np.eye(3)), "X has 3 columns and means has 2"),
        (lambda: gaussian_log_odds(np.eye(2), sigma=-1.0), "sigma=-1.0 must be a positive number"),
        (lambda: gaussian_boundary([0.0], MEANS), "means has 3 columns, expected 2"),
        (lambda: gaussian_boundary([0.0], np.ones((2, 2))), "means has two equal rows"),
        (lambda: gaussian_boundary([[0.0, 1.0]]), r"z has shape \(1, 2\), expected \(n_points,\)"),
    ],
)
def test_blobs_bad_input(call, message):
    with pytest.raises(ValueError, match=message):
        call()
