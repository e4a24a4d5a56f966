"""One contract for all views: adjoint, finite differences, sparse = dense, additive over rows, zero gradient."""

import copy

import numpy as np
import pytest
import sklearn
from scipy import sparse
from scipy.special import log_softmax
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression, LogisticRegressionCV, Perceptron, SGDClassifier
from sklearn.multiclass import OneVsRestClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.fixes import parse_version

from skrdia import influence, influence_matrix
from skrdia._influence import training
from skrdia._validation import one_hot
from skrdia.curvature import Curvature
from skrdia.views import View, as_view, check_supported

from .conftest import make_table

NEW = parse_version(sklearn.__version__) >= parse_version("1.8")
L1 = {"l1_ratio": 1.0} if NEW else {"penalty": "l1"}
ELASTIC_NET = {"l1_ratio": 0.5} | ({} if NEW else {"penalty": "elasticnet"})
NO_PENALTY = {"C": np.inf} if NEW else {"penalty": None}
CV = {"Cs": 3, "cv": 3, "scoring": "neg_log_loss"} | (
    {"use_legacy_attributes": False, "l1_ratios": (0,)} if NEW else {}
)
TIGHT = {"tol": 1e-10, "max_iter": 100_000}

ESTIMATORS = {
    "lbfgs": LogisticRegression(C=0.1, **TIGHT),
    "newton-cg": LogisticRegression(C=0.1, solver="newton-cg", **TIGHT),
    "newton-cholesky": LogisticRegression(C=0.1, solver="newton-cholesky", **TIGHT),
    "sag": LogisticRegression(C=0.1, solver="sag", random_state=0, **TIGHT),
    "saga": LogisticRegression(C=0.1, solver="saga", random_state=0, **TIGHT),
    "no intercept, balanced": LogisticRegression(C=0.1, fit_intercept=False, class_weight="balanced", **TIGHT),
    "class weights": LogisticRegression(C=0.1, class_weight={0: 1.0, 1: 3.0}, **TIGHT),
    "l1": LogisticRegression(C=0.1, solver="saga", random_state=0, **L1, **TIGHT),
    "elastic net": LogisticRegression(C=0.1, solver="saga", random_state=0, **ELASTIC_NET, **TIGHT),
    "cv": LogisticRegressionCV(**CV, **TIGHT),
    "sgd": SGDClassifier("log_loss", alpha=0.02, average=True, max_iter=20_000, tol=None, random_state=0),
    "pipeline": make_pipeline(StandardScaler(), LogisticRegression(C=0.1, **TIGHT)),
    "nested pipeline": make_pipeline(make_pipeline(StandardScaler(), LogisticRegression(C=0.1, **TIGHT))),
}
BINARY = {
    "liblinear": LogisticRegression(C=0.1, solver="liblinear", tol=1e-10, intercept_scaling=3.0),
    "liblinear dual": LogisticRegression(C=0.1, solver="liblinear", dual=True, random_state=0, **TIGHT),
    "liblinear l1": LogisticRegression(C=0.1, solver="liblinear", random_state=0, **L1, **TIGHT),
    "no penalty": LogisticRegression(**NO_PENALTY, **TIGHT),
}
CASES = [
    *((name, "breast_cancer") for name in [*ESTIMATORS, *BINARY]),
    *((name, "wine") for name in ESTIMATORS if name != "sgd"),
]


@pytest.fixture(scope="module", params=CASES, ids=lambda case: f"{case[0]}-{case[1]}")
def fitted(request):
    """A fitted estimator, its rows and its integer sample weights."""
    name, table = request.param
    data = make_table(table)
    weight = np.random.default_rng(0).integers(1, 4, len(data.y)).astype(float)
    estimator = clone({**ESTIMATORS, **BINARY}[name])
    path = ""
    last = estimator
    while hasattr(last, "steps"):
        path, last = f"{path}{last.steps[-1][0]}__", last.steps[-1][1]
    estimator.fit(data.X, data.y, **{f"{path}sample_weight": weight})
    return estimator, data, one_hot(data.y, len(np.unique(data.y)), weight), weight, name


def direction(view, seed=0):
    return np.random.default_rng(seed).normal(size=len(view.theta))


def test_log_proba_is_the_estimators(fitted):
    estimator, data, *_ = fitted
    view = as_view(estimator)
    assert isinstance(view, View)
    np.testing.assert_allclose(view.linearize(data.X).log_proba, estimator.predict_log_proba(data.X), atol=1e-9)


def test_the_gradient_vanishes_at_the_optimum(fitted):
    """So loss, penalty, intercept, class weights and sample weights are those of the estimator."""
    estimator, data, targets, _, name = fitted
    view = as_view(estimator)
    _, _, gradient = training(view, view.linearize(data.X), targets, len(data.y))
    assert np.abs(gradient).max() < (1e-3 if name == "sgd" else 1e-6)


def test_jvp_and_vjp_are_adjoint(fitted):
    estimator, data, targets, *_ = fitted
    view = as_view(estimator)
    at, v = view.linearize(data.X), direction(view)
    R = np.random.default_rng(1).normal(size=targets.shape)
    np.testing.assert_allclose(at.vjp(R) @ v, (R * at.jvp(v)).sum(), rtol=1e-10)


def moved(estimator, view, v, t):
    """A copy of the estimator at theta + t v."""
    other = copy.deepcopy(estimator)
    last = other
    while hasattr(last, "steps"):
        last = last.steps[-1][1]
    final = as_view(last).model
    full = final.full_theta + t * final.scatter(v)
    last.coef_, last.intercept_ = full[:-1].T, full[-1]
    return other


def test_jvp_is_the_derivative(fitted):
    estimator, data, *_ = fitted
    view = as_view(estimator)
    v, t = direction(view), 1e-6
    up, down = (as_view(moved(estimator, view, v, sign * t)).linearize(data.X).log_proba for sign in (1, -1))
    np.testing.assert_allclose(view.linearize(data.X).jvp(v), (up - down) / (2 * t), atol=1e-6, rtol=1e-5)


def test_hvp_is_the_second_derivative(fitted):
    estimator, data, targets, weight, _ = fitted
    view = as_view(estimator)
    v, t = direction(view), 1e-5
    up, down = (-as_view(moved(estimator, view, v, sign * t)).linearize(data.X).vjp(targets) for sign in (1, -1))
    Hv = view.linearize(data.X).hvp(weight, v)
    np.testing.assert_allclose(Hv, (up - down) / (2 * t), atol=1e-5 * np.abs(Hv).max(), rtol=1e-5)


def test_hvp_hessian_and_diagonal_agree(fitted):
    estimator, data, _, weight, _ = fitted
    view = as_view(estimator)
    at, v = view.linearize(data.X), direction(view)
    H = at.hessian(weight)
    np.testing.assert_allclose(H, H.T, atol=1e-12)
    np.testing.assert_allclose(H @ v, at.hvp(weight, v), rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(np.diag(H), at.hessian_diagonal(weight), rtol=1e-10, atol=1e-12)


def test_additive_over_rows_and_equivariant(fitted):
    estimator, data, targets, *_ = fitted
    view = as_view(estimator)
    at, v = view.linearize(data.X), direction(view)
    order = np.random.default_rng(2).permutation(len(data.y))
    halves = np.array_split(order, 2)
    np.testing.assert_allclose(
        sum(view.linearize(data.X[half]).vjp(targets[half]) for half in halves), at.vjp(targets), rtol=1e-9, atol=1e-9
    )
    np.testing.assert_allclose(view.linearize(data.X[order]).jvp(v), at.jvp(v)[order], rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(at.rows(order[:7]).jvp(v), at.jvp(v)[order[:7]], rtol=1e-9, atol=1e-12)


def test_score_identity(fitted):
    estimator, data, *_ = fitted
    view = as_view(estimator)
    at = view.linearize(data.X)
    np.testing.assert_allclose((np.exp(at.log_proba) * at.jvp(direction(view))).sum(axis=1), 0.0, atol=1e-11)


@pytest.mark.parametrize(
    "container",
    [
        sparse.csr_array,
        sparse.csc_array,
        sparse.coo_array,
        sparse.csr_matrix,
        sparse.csc_matrix,
        lambda X: sparse.csr_array(X.astype(np.float32)),
        lambda X: X.astype(np.float32),
        np.asfortranarray,
    ],
)
def test_every_container_gives_the_same_products(container):
    data = make_table("wine")
    X = np.round(data.X, 2).astype(np.float32).astype(np.float64)  # exact in both precisions
    view = as_view(LogisticRegression(C=0.1).fit(X, data.y))
    at, other, v = view.linearize(X), view.linearize(container(X)), direction(view)
    weight = np.ones(len(X))
    np.testing.assert_allclose(other.jvp(v), at.jvp(v), rtol=1e-10, atol=1e-10)
    np.testing.assert_allclose(other.hvp(weight, v), at.hvp(weight, v), rtol=1e-10, atol=1e-10)
    np.testing.assert_allclose(other.hessian(weight), at.hessian(weight), rtol=1e-10, atol=1e-10)
    np.testing.assert_allclose(other.hessian_diagonal(weight), at.hessian_diagonal(weight), rtol=1e-10)


def test_sparse_index_types(table):
    X = sparse.csr_array(table.X)
    wide = sparse.csr_array((X.data, X.indices.astype(np.int64), X.indptr.astype(np.int64)), shape=X.shape)
    model = LogisticRegression(C=0.1).fit(X, table.y)
    narrow, other = (influence(model, A, table.y, table.X_val, table.y_val).values for A in (X, wide))
    np.testing.assert_allclose(other, narrow, rtol=1e-12)


def test_one_vs_rest_loss_is_the_sum_of_the_binary_losses(table3):
    """SGD with three classes: at the optimum of each binary problem the gradient vanishes."""
    C = 0.1
    reference = OneVsRestClassifier(LogisticRegression(C=C, **TIGHT)).fit(table3.X, table3.y)
    sgd = SGDClassifier("log_loss", alpha=1 / (C * len(table3.y)), max_iter=1, tol=None).fit(table3.X, table3.y)
    sgd.coef_ = np.vstack([e.coef_ for e in reference.estimators_])
    sgd.intercept_ = np.hstack([e.intercept_ for e in reference.estimators_])
    view, targets = as_view(sgd), one_hot(table3.y, 3)
    _, H, gradient = training(view, view.linearize(table3.X), targets, len(table3.y))
    assert np.abs(gradient).max() < 1e-6
    probabilities = np.column_stack([e.predict_proba(table3.X)[:, 1] for e in reference.estimators_])
    expected = np.log(np.where(targets == 1, probabilities, 1 - probabilities)).sum(axis=1)
    at = view.linearize(table3.X)
    np.testing.assert_allclose((targets * at.log_proba).sum(axis=1), expected, rtol=1e-9)
    v = direction(view)
    np.testing.assert_allclose(H.toarray() @ v, H @ v, rtol=1e-9)
    R = np.random.default_rng(1).normal(size=targets.shape)
    np.testing.assert_allclose(at.vjp(R) @ v, (R * at.jvp(v)).sum(), rtol=1e-10)


def test_one_vs_rest_refuses_class_weights(table3):
    sgd = SGDClassifier("log_loss", class_weight="balanced", random_state=0).fit(table3.X, table3.y)
    with pytest.raises(ValueError, match="class_weight='balanced' of SGDClassifier"):
        as_view(sgd)


@pytest.mark.parametrize("wrap", [FrozenEstimator, lambda e: make_pipeline("passthrough", e)])
def test_wrapped_estimators_delegate(wrap, table):
    model = LogisticRegression().fit(table.X, table.y)
    wrapped = wrap(model)
    np.testing.assert_array_equal(
        as_view(wrapped).linearize(table.X).log_proba, as_view(model).linearize(table.X).log_proba
    )


class Minimal:
    """A third party's estimator: the least a view can offer, a softmax of X W."""

    def __init__(self, W, classes):
        self.theta, self.classes_, self.shape = W.ravel(), classes, W.shape

    def __skrdia_view__(self):
        return self

    def penalty(self, n_samples):
        return np.full(len(self.theta), 10.0)

    def penalty_gradient(self, n_samples):
        return 10.0 * self.theta

    def class_weight(self, targets):
        return np.ones(len(self.classes_))

    def linearize(self, X):
        return MinimalRows(X, self.theta.reshape(self.shape))


class MinimalRows:
    def __init__(self, X, W):
        self.X, self.log_proba = X, log_softmax(X @ W, axis=1)

    def jvp(self, v):
        dz = self.X @ v.reshape(self.X.shape[1], -1)
        return dz - (np.exp(self.log_proba) * dz).sum(axis=1, keepdims=True)

    def vjp(self, R):
        return (self.X.T @ (R - R.sum(axis=1, keepdims=True) * np.exp(self.log_proba))).ravel()


def test_a_third_partys_view_needs_only_jvp_and_vjp(table3):
    model = LogisticRegression(C=0.1, fit_intercept=False, **TIGHT).fit(table3.X, table3.y)
    minimal = Minimal(model.coef_.T, model.classes_)
    check_supported(minimal)
    expected = influence(model, table3.X, table3.y, table3.X_val, table3.y_val, hessian="direct")
    for hessian in ("direct", "newton-cg"):
        result = influence(minimal, table3.X, table3.y, table3.X_val, table3.y_val, hessian=hessian)
        np.testing.assert_allclose(result.by_label, expected.by_label, rtol=1e-4, atol=1e-5)
    matrix = influence_matrix(minimal, table3.X, table3.y, table3.X_val[:3], table3.y_val[:3])
    assert matrix.shape == (3, len(table3.y))


@pytest.mark.parametrize(
    ("estimator", "message"),
    [
        (Perceptron(), "Supported: LogisticRegression, LogisticRegressionCV, SGDClassifier"),
        (SGDClassifier(), "Use loss='log_loss'"),
        (make_pipeline(StandardScaler(), Perceptron()), "Perceptron"),
        (FrozenEstimator(Perceptron()), "Perceptron"),
        (object(), "__skrdia_view__"),
    ],
)
def test_unsupported_types(estimator, message):
    with pytest.raises(TypeError, match=message):
        check_supported(estimator)


def test_curvature_counts_products_and_sees_their_range(table):
    view = as_view(LogisticRegression().fit(table.X, table.y))
    H = Curvature(view.linearize(table.X), np.ones(len(table.y)), view.penalty(len(table.y)))
    eigenvalues = np.linalg.eigvalsh(H.toarray())
    for seed in range(3):
        H @ direction(view, seed)
    assert H.n_products == 3
    assert eigenvalues[0] <= H.smallest <= H.largest <= eigenvalues[-1]
