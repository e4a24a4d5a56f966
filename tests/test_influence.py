"""Influence against the truth: retraining, another library, and the definitions."""

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from scipy import sparse
from scipy.stats import spearmanr
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression, SGDClassifier
from sklearn.metrics import log_loss
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skrdia import influence, influence_matrix
from skrdia._influence import influence_standard_error
from skrdia.views import as_view

from .conftest import make_table
from .test_scale import peak, wide_table
from .test_views import NO_PENALTY, Minimal


def exact(C):
    return LogisticRegression(C=C, solver="newton-cholesky", tol=1e-10, max_iter=1000)


def retrained_changes(data, weight, C, relabel):
    """Change of the validation loss on retraining without a row, or with its best other label, for 60 rows."""
    model = LogisticRegression(C=C, solver="newton-cg", tol=1e-10, max_iter=1000, warm_start=True)
    model.fit(data.X, data.y, sample_weight=weight)
    result = influence(model, data.X, data.y, data.X_val, data.y_val, sample_weight=weight, hessian="direct")
    assert result.diagnostics["gradient_norm"] < 1e-9
    true, predicted = [], []
    for i in np.random.default_rng(0).permutation(len(data.y))[:60]:
        y, w = data.y.copy(), weight.copy()
        if relabel:
            others = np.where(model.classes_ == y[i], np.inf, result.by_label[i])
            y[i] = model.classes_[others.argmin()]
            predicted.append(w[i] * (others.min() - result.values[i]))
        else:
            predicted.append(-w[i] * result.values[i])
            w[i] = 0.0
        model.fit(data.X, y, sample_weight=w)
        true.append(log_loss(data.y_val, model.predict_proba(data.X_val)) - result.validation_loss)
    return np.array(true), np.array(predicted) / weight.sum()


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("table", ["breast_cancer", "cancer", "iris", "spambase"])
@pytest.mark.parametrize(("C", "relabel", "correlation"), [(0.1, False, 0.99), (1.0, False, 0.94), (0.1, True, 0.98)])
def test_rank_correlation_with_retraining(table, weighted, C, relabel, correlation):
    data = make_table(table)
    weight = np.random.default_rng(0).integers(1, 4, len(data.y)).astype(float) if weighted else np.ones(len(data.y))
    true, predicted = retrained_changes(data, weight, C, relabel)
    measured = spearmanr(true, predicted)[0]
    print(f"{table} C={C} relabel={relabel} weighted={weighted}: {measured:.4f}")
    assert measured >= correlation


def test_scale_does_not_depend_on_the_number_of_rows(table):
    """Every row twice, training or validation, with the penalty scaled along: the same influences."""
    once = influence(exact(0.1).fit(table.X, table.y), table.X, table.y, table.X_val, table.y_val, hessian="direct")
    X, y = np.vstack([table.X, table.X]), np.r_[table.y, table.y]
    X_val, y_val = np.vstack([table.X_val, table.X_val]), np.r_[table.y_val, table.y_val]
    twice = influence(exact(0.05).fit(X, y), X, y, X_val, y_val, hessian="direct")
    np.testing.assert_allclose(twice.values[: len(table.y)], once.values, rtol=1e-6, atol=1e-9)


def test_against_statsmodels(table):
    """Unpenalised logistic regression: GLMInfluence's one-step deletion, without its leverage factor."""
    X = table.X[:, :4]
    model = LogisticRegression(solver="newton-cholesky", tol=1e-12, **NO_PENALTY).fit(X, table.y)
    diagnostics = sm.GLM(table.y, sm.add_constant(X), family=sm.families.Binomial()).fit(tol=1e-12).get_influence()
    change = -diagnostics.d_params * (1 - diagnostics.hat_matrix_diag)[:, None]  # of theta, on deletion
    p = model.predict_proba(table.X_val[:, :4])[:, 1]
    gradient = sm.add_constant(table.X_val[:, :4]).T @ (p - table.y_val) / len(table.y_val)
    result = influence(model, X, table.y, table.X_val[:, :4], table.y_val, hessian="direct")
    np.testing.assert_allclose(-result.values / len(table.y), change @ gradient, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("table", ["breast_cancer", "wine"])
def test_sparse_equals_dense(table, fit_intercept):
    data = make_table(table)
    model = LogisticRegression(C=0.1, fit_intercept=fit_intercept).fit(data.X, data.y)
    for hessian in ("newton-cg", "direct"):
        dense = influence(model, data.X, data.y, data.X_val, data.y_val, hessian=hessian)
        for make in (sparse.csr_array, sparse.csc_matrix, sparse.coo_array):
            other = influence(model, make(data.X), data.y, make(data.X_val), data.y_val, hessian=hessian)
            # at its default tolerance the iterative solver repeats itself to 1e-6, the direct one to rounding
            tolerance = 1e-10 if hessian == "direct" else 1e-5
            np.testing.assert_allclose(other.by_label, dense.by_label, rtol=tolerance, atol=tolerance)


def test_matrix_rows_average_to_the_influence(table3):
    model = LogisticRegression(C=0.1).fit(table3.X, table3.y)
    args = model, table3.X, table3.y, table3.X_val, table3.y_val
    for hessian in ("newton-cg", "direct"):
        matrix = influence_matrix(*args, hessian=hessian)
        assert matrix.shape == (len(table3.y_val), len(table3.y))
        np.testing.assert_allclose(matrix.mean(axis=0), influence(*args).values, rtol=1e-3, atol=1e-5)


def test_matrix_in_blocks_is_the_same(table3, monkeypatch):
    model = LogisticRegression(C=0.1).fit(table3.X, table3.y)
    args = model, table3.X, table3.y, table3.X_val, table3.y_val
    whole = influence_matrix(*args, hessian="direct")
    monkeypatch.setattr("skrdia._influence._BLOCK_NUMBERS", 1)
    np.testing.assert_allclose(influence_matrix(*args, hessian="direct"), whole, rtol=1e-9, atol=1e-12)


def test_pipeline_equals_its_parts(table):
    X, X_val = table.X * 3.0 + 1.0, table.X_val * 3.0 + 1.0
    pipeline = make_pipeline(StandardScaler(), LogisticRegression(C=0.1)).fit(X, table.y)
    whole = influence(pipeline, X, table.y, X_val, table.y_val)
    scaler, model = pipeline
    parts = influence(model, scaler.transform(X), table.y, scaler.transform(X_val), table.y_val)
    np.testing.assert_array_equal(whole.by_label, parts.by_label)


def standard_error_of_the_matrix(matrix):
    return matrix.std(axis=0, ddof=1) / np.sqrt(len(matrix))


@pytest.mark.parametrize("make", [np.asarray, sparse.csr_array])
@pytest.mark.parametrize("hessian", ["direct", "newton-cg"])
@pytest.mark.parametrize("table", ["breast_cancer", "wine"])
def test_standard_error_is_that_of_the_matrix(table, hessian, make, monkeypatch):
    """Whether the validation rows are more or fewer than the parameters, and in blocks of any size."""
    data = make_table(table)
    model = LogisticRegression(C=0.1).fit(data.X, data.y)
    for n_val in (len(data.y_val), 9):
        args = model, make(data.X), data.y, make(data.X_val[:n_val]), data.y_val[:n_val]
        expected = standard_error_of_the_matrix(influence_matrix(*args, hessian=hessian))
        plain = influence(*args, hessian=hessian)
        assert plain.standard_error is None
        for block in (2**24, 20 * data.X.shape[1] * 3, 1):
            monkeypatch.setattr("skrdia._influence._BLOCK_NUMBERS", block)
            result = influence(*args, hessian=hessian, std=True)
            np.testing.assert_allclose(result.standard_error, expected, rtol=1e-9 if hessian == "direct" else 1e-4)
            np.testing.assert_array_equal(result.by_label, plain.by_label)


def test_standard_error_predicts_the_spread_over_validation_samples(table):
    """What it is for: the standard deviation of phi over 400 validation sets, drawn with replacement."""
    model = exact(0.1).fit(table.X, table.y)
    X, y = np.vstack([table.X_val, table.X_test]), np.r_[table.y_val, table.y_test]
    matrix = influence_matrix(model, table.X, table.y, X, y, hessian="direct")
    rng, n_val = np.random.default_rng(0), 100
    spread = np.std([matrix[rng.integers(len(y), size=n_val)].mean(axis=0) for _ in range(400)], axis=0)
    ratios = []
    for _ in range(20):
        rows = rng.permutation(len(y))[:n_val]
        result = influence(model, table.X, table.y, X[rows], y[rows], hessian="direct", std=True)
        ratios.append(result.standard_error / spread)
    assert np.mean(ratios) == pytest.approx(1.0, abs=0.05)
    assert np.abs(np.mean(ratios, axis=0) - 1.0).mean() < 0.1


@pytest.fixture
def weighted(table3):
    """Arguments of `influence_standard_error` without the validation targets, and weights of the validation rows."""
    view = as_view(LogisticRegression(C=0.1).fit(table3.X, table3.y))
    weight = np.random.default_rng(0).integers(0, 4, len(table3.y_val)).astype(float)

    def standard_error(X_val, targets_val, targets=None, **params):
        targets = np.eye(3)[table3.y] if targets is None else targets
        return influence_standard_error(view, table3.X, targets, X_val, targets_val, "direct", None, **params)

    return standard_error, np.eye(3)[table3.y_val], weight


def test_standard_error_with_validation_weights(table3, weighted):
    """The formula at the top of the module; rows without weight do not count, nor does the unit of the weights."""
    standard_error, labels, w = weighted
    model = LogisticRegression(C=0.1).fit(table3.X, table3.y)
    matrix = influence_matrix(model, table3.X, table3.y, table3.X_val, table3.y_val, hessian="direct")
    phi, m = w @ matrix / w.sum(), (w > 0).sum()
    expected = np.sqrt(m / (m - 1) * (w**2 @ (matrix - phi) ** 2)) / w.sum()
    result = standard_error(table3.X_val, labels * w[:, None])
    np.testing.assert_allclose(result, expected, rtol=1e-9)
    np.testing.assert_allclose(standard_error(table3.X_val, labels * 1e-3 * w[:, None]), expected, rtol=1e-9)
    kept = w > 0
    np.testing.assert_allclose(standard_error(table3.X_val[kept], (labels * w[:, None])[kept]), expected, rtol=1e-9)
    np.testing.assert_allclose(standard_error(table3.X_val, labels), standard_error_of_the_matrix(matrix), rtol=1e-9)


def test_a_weight_is_one_observation_that_counts_several_times(table3, weighted):
    """Repeated rows, with the sum over the copies of a row as one observation."""
    standard_error, labels, w = weighted
    copies = np.repeat(np.arange(len(w)), w.astype(int))
    model = LogisticRegression(C=0.1).fit(table3.X, table3.y)
    matrix = influence_matrix(model, table3.X, table3.y, table3.X_val[copies], table3.y_val[copies], hessian="direct")
    deviations = (matrix - matrix.mean(axis=0)) / len(copies)
    sums = np.array([deviations[copies == j].sum(axis=0) for j in np.unique(copies)])
    m = len(sums)
    expected = np.sqrt(m / (m - 1) * (sums**2).sum(axis=0))
    np.testing.assert_allclose(standard_error(table3.X_val, labels * w[:, None]), expected, rtol=1e-9)
    as_many = standard_error(table3.X_val[copies], labels[copies])
    assert (as_many < expected).mean() > 0.9  # copies taken for independent rows promise too much


def test_standard_error_of_soft_targets_and_of_rows_without_any(table3, weighted):
    standard_error, labels, _ = weighted
    targets = np.eye(3)[table3.y]
    targets[:10] = [0.5, 0.5, 0.0]
    targets[10:20] = 0.0
    result = standard_error(table3.X_val, labels, targets)
    np.testing.assert_array_equal(np.isnan(result), np.arange(len(targets)) // 10 == 1)
    given = np.eye(3)[table3.y]
    given[:10] = [0.1, 0.1, 0.0]
    of_labels = standard_error(table3.X_val, labels, targets, given=given)
    np.testing.assert_allclose(of_labels[~np.isnan(result)], result[~np.isnan(result)], rtol=1e-12)
    assert np.isfinite(of_labels).all()


def test_standard_error_without_variation(table3, weighted):
    """A single validation row says nothing of its error; equal rows have none."""
    standard_error, labels, _ = weighted
    assert np.isnan(standard_error(table3.X_val[:1], labels[:1])).all()
    for n in (2, 50):
        np.testing.assert_allclose(standard_error(table3.X_val[[0] * n], labels[[0] * n]), 0.0, atol=1e-12)


def test_standard_error_does_not_depend_on_the_units_of_columns(table):
    X, X_val, units = table.X[:, :4], table.X_val[:, :4], np.array([1e-5, 1.0, 1e5, 1.0])
    model = exact(1.0).set_params(**NO_PENALTY).fit(X, table.y)
    once = influence(model, X, table.y, X_val, table.y_val, std=True)
    model.coef_ = model.coef_ / units
    other = influence(model, X * units, table.y, X_val * units, table.y_val, std=True)
    np.testing.assert_allclose(other.standard_error, once.standard_error, rtol=1e-5)


def test_standard_error_for_other_models(table3):
    """One-vs-rest, and a third party's view, which may lack `rows`."""
    softmax = LogisticRegression(C=0.1, fit_intercept=False).fit(table3.X, table3.y)
    ovr = SGDClassifier("log_loss", alpha=0.1, max_iter=5000, tol=1e-6, random_state=0).fit(table3.X, table3.y)
    for model in (Minimal(softmax.coef_.T, softmax.classes_), ovr):
        args = model, table3.X, table3.y, table3.X_val, table3.y_val
        expected = standard_error_of_the_matrix(influence_matrix(*args, hessian="direct"))
        np.testing.assert_allclose(influence(*args, hessian="direct", std=True).standard_error, expected, rtol=1e-9)


@pytest.mark.slow
def test_standard_error_in_little_memory():
    """Neither (n_val, n) nor (n_val, p) is formed: the peak is far below either, for long and for wide tables."""
    rng = np.random.default_rng(0)
    X, X_val = rng.normal(size=(50_000, 5)), rng.normal(size=(1000, 5))
    y = X[:, 0] > rng.normal(size=len(X))
    args = LogisticRegression(tol=1e-8).fit(X, y), X, y, X_val, X_val[:, 0] > 0
    assert peak(lambda: influence(*args, std=True)) < 0.05 * 8 * len(X) * len(X_val)

    X, y = wide_table(n=300)
    model = LogisticRegression().fit(X[:200], y[:200])
    args = model, X[:200], y[:200], X[200:], y[200:]
    parameters = 8 * 1_000_000
    assert peak(lambda: influence(*args, hessian="identity", std=True)) < 20 * parameters  # (n_val, p) is a hundred


def test_a_solver_that_does_not_converge_warns(table):
    def unfinished(H, g, random_state):
        return g, {"iterations": 7, "residual": 0.5, "converged": False}

    model = exact(0.1).fit(table.X, table.y)
    args = model, table.X, table.y, table.X_val, table.y_val
    with pytest.warns(ConvergenceWarning, match=r"residual 5.0e-01 after 7 iterations.*use hessian='direct'") as seen:
        influence(*args, hessian=unfinished, std=True)
    assert len(seen) == 2


@pytest.mark.parametrize("backend", ["pandas", "polars"])
def test_to_frame(table3, backend):
    labels = np.array(["a", "b", "c"])
    model = LogisticRegression(C=0.1).fit(table3.X, labels[table3.y])
    X = pd.DataFrame(table3.X, index=[f"row {i}" for i in range(len(table3.X))])
    model.fit(X.to_numpy(), labels[table3.y])
    result = influence(model, X.to_numpy(), labels[table3.y], table3.X_val, labels[table3.y_val])
    frame = result.to_frame(backend)
    assert list(frame.columns) == ["influence", "influence[a]", "influence[b]", "influence[c]"]
    np.testing.assert_array_equal(frame["influence"].to_numpy(), result.values)
    result = influence(model, X.to_numpy(), labels[table3.y], table3.X_val, labels[table3.y_val], std=True)
    frame = result.to_frame(backend)
    assert list(frame.columns)[:2] == ["influence", "standard_error"]
    np.testing.assert_array_equal(frame["standard_error"].to_numpy(), result.standard_error)


def test_to_frame_keeps_the_index(table):
    X = pd.DataFrame(table.X, index=[f"row {i}" for i in range(len(table.X))]).rename(columns=str)
    X_val = pd.DataFrame(table.X_val).rename(columns=str)
    result = influence(LogisticRegression().fit(X, table.y), X, table.y, X_val, table.y_val)
    pd.testing.assert_index_equal(result.to_frame().index, X.index)


def test_zero_weight_rows_have_influences_and_no_effect(table):
    weight = np.ones(len(table.y))
    weight[:50] = 0.0
    model = exact(0.1).fit(table.X, table.y, sample_weight=weight)
    whole = influence(model, table.X, table.y, table.X_val, table.y_val, sample_weight=weight, hessian="direct")
    rest = influence(model, table.X[50:], table.y[50:], table.X_val, table.y_val, hessian="direct")
    np.testing.assert_allclose(whole.values[50:], rest.values, rtol=1e-8, atol=1e-12)
    assert np.isfinite(whole.values).all()
    assert (whole.values[:50] != 0).any()


def test_diagnostics(table):
    model = LogisticRegression(tol=1e-8, max_iter=1000).fit(table.X, table.y)
    diagnostics = influence(model, table.X, table.y, table.X_val, table.y_val).diagnostics
    assert diagnostics["converged"]
    assert diagnostics["residual"] < 2e-6
    assert diagnostics["n_products"] == diagnostics["iterations"] + 1
    assert diagnostics["damping"] == 0.0
    assert 0.0 < diagnostics["smallest_curvature"] < diagnostics["largest_curvature"]
    assert diagnostics["gradient_norm"] < 1e-7


@pytest.mark.parametrize(
    "estimator",
    [LogisticRegression(C=100.0, tol=0.1), SGDClassifier("log_loss", max_iter=1, tol=None, random_state=0)],
)
def test_a_base_fit_far_from_its_optimum_warns(table, estimator):
    with pytest.warns(ConvergenceWarning, match="far from its optimum.*smaller tol and a larger max_iter"):
        result = influence(estimator.fit(table.X, table.y), table.X, table.y, table.X_val, table.y_val)
    assert result.diagnostics["scaled_gradient_norm"] > 0.1


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("table", ["cancer", "wine", "digits"])
def test_influences_are_reliable_below_the_threshold_of_the_warning(table):
    """Rank correlation with the influences at the optimum, for base fits stopped early."""
    data = make_table(table)
    args = data.X, data.y, data.X_val, data.y_val
    optimum = influence(exact(1.0).fit(data.X, data.y), *args, hessian="direct").values
    norms, correlations = [], []
    for max_iter in (1, 2, 3, 5, 8, 12, 20, 50):
        result = influence(LogisticRegression(max_iter=max_iter).fit(data.X, data.y), *args, hessian="direct")
        norms.append(result.diagnostics["scaled_gradient_norm"])
        correlations.append(spearmanr(optimum, result.values)[0])
    norms, correlations = np.array(norms), np.array(correlations)
    assert correlations[norms <= 0.1].min() > 0.9
    assert correlations[norms > 0.1].min() < 0.9


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"y": [2] * 300}, "y has labels that no training row"),
        ({"y_val": np.full(150, 7)}, r"y_val has labels that no training row .*\[7\]"),
        ({"y": np.zeros(3)}, "inconsistent numbers of samples"),
        ({"X_val": np.zeros((150, 3))}, "X_val: X has 3 features, but LogisticRegression is expecting 10"),
        ({"X_val": np.full((150, 10), np.nan)}, "X_val: Input X contains NaN"),
        (
            {"hessian": "exact"},
            r"hessian='exact' is unknown; use one of \['direct', 'ekfac', 'identity', 'lissa', 'newton-cg'\]",
        ),
        ({"sample_weight": -np.ones(300)}, "sample_weight has a negative value"),
        ({"sample_weight": np.zeros(300)}, "sample_weight is zero for every row"),
        ({"sample_weight": np.ones(2)}, r"sample_weight has shape \(2,\)"),
        ({"sample_weight": np.full(300, np.nan)}, "sample_weight contains NaN"),
    ],
)
def test_bad_input(table, change, message):
    model = LogisticRegression().fit(table.X, table.y)
    arguments = {"X": table.X, "y": table.y, "X_val": table.X_val, "y_val": table.y_val} | change
    with pytest.raises(ValueError, match=message):
        influence(model, **arguments)
