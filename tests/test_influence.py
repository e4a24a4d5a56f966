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

from .conftest import make_table
from .test_views import NO_PENALTY


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
            r"hessian='exact' is unknown; use one of \['direct', 'identity', 'lissa', 'newton-cg'\]",
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
