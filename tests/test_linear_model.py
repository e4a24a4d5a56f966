"""The logistic regression for blocks, against scikit-learn's."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn.datasets import load_breast_cancer, load_digits, load_wine
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression as Sklearn
from sklearn.model_selection import GridSearchCV
from sklearn.preprocessing import scale
from sklearn.utils.estimator_checks import parametrize_with_checks

from skrdia import RDIAClassifier
from skrdia.datasets import make_ctr_like
from skrdia.linear_model import LogisticRegression

LOADERS = {"breast_cancer": load_breast_cancer, "wine": load_wine}


def table(name):
    X, y = LOADERS[name](return_X_y=True)
    return scale(X), y


@parametrize_with_checks([LogisticRegression(), LogisticRegression(solver="newton-cg", tol=1e-10)])
def test_estimator_checks(estimator, check):
    check(estimator)


@pytest.mark.parametrize("solver", ["lbfgs", "newton-cg"])
@pytest.mark.parametrize("name", LOADERS)
@pytest.mark.parametrize(
    "params",
    [{}, {"fit_intercept": False}, {"class_weight": "balanced"}, {"class_weight": {0: 1.0, 1: 3.0}}, {"C": 10.0}],
    ids=str,
)
def test_the_optimum_is_that_of_scikit_learn(name, params, solver):
    X, y = table(name)
    weight = np.random.default_rng(0).uniform(0.5, 2.0, len(y))
    known = Sklearn(tol=1e-10, max_iter=10_000, solver="newton-cholesky", **params).fit(X, y, weight)
    model = LogisticRegression(tol=1e-9, max_iter=1000, solver=solver, **params).fit(X, y, weight)
    assert_allclose(model.coef_, known.coef_, atol=1e-5)
    assert_allclose(model.predict_proba(X), known.predict_proba(X), atol=1e-6)
    assert_allclose(model.decision_function(X), known.decision_function(X), atol=1e-4)
    assert_array_equal(model.predict(X), known.predict(X))
    assert model.score(X, y, weight) == pytest.approx(known.score(X, y, weight))


def test_without_a_penalty():
    X, y = load_digits(return_X_y=True)
    X, y = scale(X[:, 2:6]), y > 4
    known = Sklearn(C=1e12, tol=1e-12, max_iter=10_000).fit(X, y)
    assert_allclose(LogisticRegression(C=np.inf, tol=1e-9).fit(X, y).coef_, known.coef_, atol=1e-5)


def test_sparse_rows_with_threads(monkeypatch):
    """The threads' parts add up to the whole, also the loss, to which all of them add."""
    X, y = make_ctr_like(60_000, 2_000, 15, random_state=0)
    alone = LogisticRegression(tol=1e-7).fit(X, y)
    monkeypatch.setattr("skrdia.views._products._openmp_effective_n_threads", lambda: 3)
    monkeypatch.setattr("skrdia.views._products._WORTH_A_THREAD", 2**16)
    threaded = [LogisticRegression(tol=1e-7).fit(X, y) for _ in range(2)]
    assert_allclose(threaded[0].coef_, alone.coef_, atol=1e-6)
    assert_array_equal(threaded[0].coef_, threaded[1].coef_)
    known = Sklearn(tol=1e-8, max_iter=10_000).fit(X, y)
    assert_allclose(threaded[0].coef_, known.coef_, atol=1e-3)


def test_the_units_of_the_columns_do_not_matter():
    X, y = table("breast_cancer")
    units = 10.0 ** np.random.default_rng(0).integers(-3, 4, X.shape[1])
    model = LogisticRegression(C=np.inf, max_iter=30, tol=1e-9)
    with pytest.warns(ConvergenceWarning, match="max_iter=30"):
        plain = model.fit(X, y).predict_proba(X)
    with pytest.warns(ConvergenceWarning, match="max_iter=30"):
        assert_allclose(model.fit(X * units, y).predict_proba(X * units), plain, atol=1e-3)


def test_it_makes_few_passes_where_some_columns_are_rare():
    """As in click logs: the scaling by the curvature."""
    X, y = make_ctr_like(20_000, 20_000, 15, random_state=0)
    ours, known = LogisticRegression(tol=1e-5).fit(X, y), Sklearn(tol=1e-5, max_iter=1000).fit(X, y)
    assert ours.n_iter_[0] < known.n_iter_[0] / 2
    optimum = LogisticRegression(tol=1e-10, solver="newton-cg").fit(X, y)
    assert np.abs(ours.coef_ - optimum.coef_).max() < np.abs(known.coef_ - optimum.coef_).max()


def test_warm_start():
    X, y = table("wine")
    model = LogisticRegression(tol=1e-8, warm_start=True).fit(X, y)
    first, coef = model.n_passes_, model.coef_
    model.fit(X, y)
    assert model.n_passes_ < first / 3
    assert_allclose(model.coef_, coef, atol=1e-6)
    assert model.fit(X[:, :4], y).coef_.shape == (3, 4)


def test_progress(capsys):
    X, y = table("wine")
    LogisticRegression(verbose=1).fit(X, y)
    assert capsys.readouterr().out == ""  # a line every few seconds


def test_progress_of_a_long_fit(capsys, monkeypatch):
    monkeypatch.setattr("skrdia._progress._SECONDS", 0.0)
    X, y = table("wine")
    LogisticRegression(verbose=1).fit(X, y)
    lines = capsys.readouterr().out.splitlines()
    assert "iteration 1, 3 passes over 178 rows, objective" in lines[0]


def test_max_iter_is_told():
    X, y = table("wine")
    with pytest.warns(ConvergenceWarning, match="lbfgs stopped at max_iter=2: the largest entry of the gradient is"):
        LogisticRegression(max_iter=2, tol=1e-9).fit(X, y)


def test_in_a_search():
    X, y = table("wine")
    search = GridSearchCV(RDIAClassifier(LogisticRegression(), alpha=0.5, random_state=0), {"alpha": [0.3, 0.6]}).fit(
        X, y
    )
    assert search.best_estimator_.estimator_.predict_proba(sparse.csr_array(X)).shape == (178, 3)
