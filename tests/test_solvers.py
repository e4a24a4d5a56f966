"""Each solver against a dense solve; the tolerance stands beside its name."""

import copy

import numpy as np
import pytest
from scipy import sparse
from scipy.special import expit
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression

from skrdia import influence
from skrdia.curvature import Curvature
from skrdia.solvers import SOLVERS, direct, lissa, newton_cg
from skrdia.views import as_view

from .conftest import make_table
from .test_views import NO_PENALTY, TIGHT


def problem(table, C=0.1, fit_intercept=True):
    data = make_table(table)
    view = as_view(LogisticRegression(C=C, fit_intercept=fit_intercept, max_iter=1000).fit(data.X, data.y))
    at = view.linearize(data.X)
    H = Curvature(at, np.ones(len(data.y)), view.penalty(len(data.y)))
    targets = np.eye(len(view.classes_))[data.y_val]
    return H, -view.linearize(data.X_val).vjp(targets / len(targets)), at


@pytest.mark.parametrize("table", ["breast_cancer", "wine", "digits"])
@pytest.mark.parametrize(
    ("name", "C", "rtol"),
    [
        ("newton-cg", 0.1, 1e-4),
        ("newton-cg", 10.0, 1e-4),
        ("direct", 0.1, 1e-8),
        ("direct", 10.0, 1e-8),
        ("lissa", 0.1, 0.1),  # at C = 10 its default steps do not suffice on every table, and it warns
    ],
)
def test_influences_equal_those_of_a_dense_pseudoinverse(table, name, C, rtol):
    H, g, at = problem(table, C)
    x, info = SOLVERS[name](H, g, random_state=0)
    expected = at.jvp(np.linalg.pinv(H.toarray(), hermitian=True, rcond=1e-12) @ g)
    assert info["converged"]
    assert np.linalg.norm(at.jvp(x) - expected) <= rtol * np.linalg.norm(expected)


def test_identity_is_the_gradient(table):
    model = LogisticRegression().fit(table.X, table.y)
    view = as_view(model)
    gradient = -view.linearize(table.X_val).vjp(np.eye(2)[table.y_val] / len(table.y_val))
    result = influence(model, table.X, table.y, table.X_val, table.y_val, hessian="identity")
    np.testing.assert_allclose(result.by_label, view.linearize(table.X).jvp(gradient), rtol=1e-12)


def test_many_right_hand_sides(table):
    H, g, _ = problem("breast_cancer")
    G = np.column_stack([g, 2.0 * g, np.zeros_like(g)])
    for solver in (newton_cg, direct):
        x, _ = solver(H, G)
        np.testing.assert_allclose(x[:, 1], 2.0 * x[:, 0], rtol=1e-5, atol=1e-10)
        np.testing.assert_array_equal(x[:, 2], 0.0)


def test_newton_cg_does_not_depend_on_the_units_of_the_columns():
    """Without a penalty, rescaled columns give as many iterations and the same influences."""
    data = make_table("breast_cancer", rate=0.3)
    model = LogisticRegression(fit_intercept=False, **NO_PENALTY, **TIGHT).fit(data.X, data.y)
    other = copy.deepcopy(model)
    units = 10.0 ** np.arange(-4, 6)
    other.coef_ = model.coef_ / units
    once = influence(model, data.X, data.y, data.X_val, data.y_val)
    rescaled = influence(other, data.X * units, data.y, data.X_val * units, data.y_val)
    assert abs(rescaled.diagnostics["iterations"] - once.diagnostics["iterations"]) <= 1  # rounding
    np.testing.assert_allclose(rescaled.values, once.values, rtol=1e-3, atol=1e-5)


def test_jacobi_scaling_brings_the_influences_closer_at_the_same_price():
    """Sparse rows whose columns follow a power law: the error after ten products, with and without."""
    rng = np.random.default_rng(0)
    n, d = 3000, 1000
    columns = (d * rng.random(15 * n) ** 4).astype(int)
    X = sparse.csr_array((np.ones(15 * n), columns, np.arange(0, 15 * n + 1, 15)), shape=(n, d))
    y = (rng.random(n) < expit(X @ rng.normal(scale=0.5, size=d))).astype(int)
    view = as_view(LogisticRegression(max_iter=1000).fit(X, y))
    at, errors = view.linearize(X), []
    g = at.vjp(np.eye(2)[rng.integers(0, 2, n)] / n)
    for diagonal in (Curvature.diagonal, lambda H: np.ones(H.shape[0])):
        H = Curvature(at, np.ones(n), view.penalty(n))
        H.diagonal = diagonal.__get__(H)
        errors.append(np.linalg.norm(at.jvp(newton_cg(H, g, max_iter=10)[0] - direct(H, g)[0])))
    assert errors[0] < errors[1] / 3


@pytest.mark.parametrize(
    ("hessian", "name"),
    [
        (lambda H, g, random_state: newton_cg(H, g, max_iter=2), "newton-cg"),
        (lambda H, g, random_state: lissa(H, g, max_iter=64, rtol=1e-8, random_state=0), "lissa"),
    ],
)
def test_non_convergence_warns_and_stays_visible(table, hessian, name):
    model = LogisticRegression().fit(table.X, table.y)
    with pytest.warns(ConvergenceWarning, match=r"relative residual .* after \d+ iterations"):
        result = influence(model, table.X, table.y, table.X_val, table.y_val, hessian=hessian)
    assert not result.diagnostics["converged"]
    assert result.diagnostics["residual"] > 1e-6
    assert result.diagnostics["iterations"] > 0


def test_direct_refuses_what_would_not_fit():
    class Huge:
        shape = (10**6, 10**6)

    with pytest.raises(ValueError, match=r"hessian='direct' forms the dense Hessian.*newton-cg"):
        direct(Huge(), np.zeros(1))


def test_lissa_is_reproducible(table):
    H, g, _ = problem("breast_cancer")
    np.testing.assert_array_equal(lissa(H, g, random_state=3)[0], lissa(H, g, random_state=3)[0])
