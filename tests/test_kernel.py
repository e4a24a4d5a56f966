"""Signals of influence against brute force: dense gradients, dense Hessians, retraining, finite differences."""

import copy
import pickle

import numpy as np
import pytest
from scipy import sparse
from scipy.stats import spearmanr
from sklearn.linear_model import LogisticRegression, SGDClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skrdia import influence, influence_matrix
from skrdia._kernel import Kernel, Newton, Term, newton_term
from skrdia.signals import SIGNALS, rank_rows, score
from skrdia.views import Options, as_view, soften
from skrdia.views._base import DEFAULTS

from .conftest import make_table
from .test_views import L1

pytestmark = pytest.mark.filterwarnings("ignore:The base estimator is far from its optimum")
TIGHT = {"tol": 1e-10, "max_iter": 10_000}
MODELS = {
    "binary": ("breast_cancer", LogisticRegression(C=0.1, **TIGHT)),
    "no intercept": ("breast_cancer", LogisticRegression(C=0.1, fit_intercept=False, **TIGHT)),
    "class weights": ("breast_cancer", LogisticRegression(C=0.1, class_weight={0: 1.0, 1: 3.0}, **TIGHT)),
    "l1": ("breast_cancer", LogisticRegression(C=0.1, solver="saga", random_state=0, **L1, **TIGHT)),
    "multinomial": ("wine", LogisticRegression(C=0.1, **TIGHT)),
    "one-vs-rest": ("wine", SGDClassifier("log_loss", alpha=0.01, random_state=0, **TIGHT)),
    "pipeline": ("wine", make_pipeline(StandardScaler(), LogisticRegression(C=0.1, **TIGHT))),
    "mlp": ("wine", MLPClassifier((5,), alpha=1.0, solver="lbfgs", random_state=0, **TIGHT)),
}


def fitted(name):
    table, model = MODELS[name]
    data = make_table(table, 0.1)
    keep = slice(60)
    X, y = data.X[keep], data.y[keep]
    return copy.deepcopy(model).fit(X, y), X, y, data.X_val[:12], data.y_val[:12]


class Brute:
    """Dense gradients (n, K, p), the dense Hessian, and its pseudo-inverse."""

    def __init__(self, model, X, y, X_val, y_val, options=DEFAULTS):
        view = as_view(model, options)
        self.view, K = view, len(view.classes_)
        self.given = np.eye(K)[np.searchsorted(view.classes_, y)]
        self.given_val = np.eye(K)[np.searchsorted(view.classes_, y_val)]
        self.weight = (self.given * view.class_weight(self.given)).sum(axis=1)
        self.at, self.g = self._gradients(X)
        self.at_val, g_val = self._gradients(X_val)
        self.g_val = np.einsum("jk,jkp->jp", self.given_val, g_val)
        term = newton_term(view, X, self.given, "newton-cg", n_trained=len(y))
        self.H = term.inverse._H.toarray()
        self.A = np.linalg.pinv(self.H, rcond=1e-10, hermitian=True)
        self.kernel = Kernel([term], X_val, self.given_val)

    def _gradients(self, X):
        at = soften(self.view.linearize(X), getattr(self.view, "softening", 1.0))
        n, K = at.log_proba.shape
        rows = range(n)
        return at, np.stack([[-at.vjp(_entry(n, K, i, k)) for k in range(K)] for i in rows])

    def matrix(self, labels=None):
        own = np.einsum("nk,nkp->np", self.given if labels is None else labels, self.g)
        return -self.g_val @ self.A @ own.T


def _entry(n, K, i, k):
    R = np.zeros((n, K))
    R[i, k] = 1.0
    return R


@pytest.mark.parametrize("name", MODELS)
def test_self_influence_and_matrix(name):
    model, *data = fitted(name)
    brute = Brute(model, *data)
    expected = np.einsum("nkp,pq,nkq->nk", brute.g, brute.A, brute.g, optimize=True)
    np.testing.assert_allclose(brute.kernel.self_influence(), expected, atol=1e-8 * expected.max())
    matrix = influence_matrix(model, *data)
    np.testing.assert_allclose(matrix, brute.matrix(), atol=1e-8 * np.abs(matrix).max())


@pytest.mark.parametrize("name", [name for name in MODELS if name != "mlp"])
def test_leaving_a_row_out_of_the_hessian(name):
    model, *data = fitted(name)
    brute = Brute(model, *data)
    at = brute.at
    found = brute.kernel.self_influence(leave_out=True)
    R = brute.given_val / len(brute.given_val)
    phi = brute.kernel.influences(R, leave_out=True)
    share = brute.weight / brute.weight.sum()
    for i in range(0, len(share), 7):
        alone = at.rows([i])
        own = np.column_stack([alone.hvp(np.ones(1), e) for e in np.eye(len(brute.H))])
        A = np.linalg.pinv(brute.H - share[i] * own, rcond=1e-10, hermitian=True)
        expected = np.einsum("kp,pq,kq->k", brute.g[i], A, brute.g[i])
        np.testing.assert_allclose(found[i], expected, rtol=1e-7, atol=1e-9)
        np.testing.assert_allclose(phi[i], -brute.g[i] @ A @ brute.g_val.mean(axis=0), rtol=1e-6, atol=1e-9)


def test_binary_correction_is_the_leverage():
    model, X, y, *judges = fitted("binary")
    kernel = Brute(model, X, y, *judges).kernel
    V, c, *_ = kernel.terms[0].local
    leverage = (V * c)[:, 0, 0] / len(y)
    assert 0.0 < leverage.min() < leverage.max() < 1.0
    corrected = kernel.self_influence() / (1.0 - leverage)[:, None]
    np.testing.assert_allclose(kernel.self_influence(leave_out=True), corrected)


@pytest.mark.parametrize("parameters", ["last", "all"])
def test_softened_nets(parameters):
    model, *data = fitted("mlp")
    brute = Brute(model, *data, Options(parameters, softening=0.3, damping=0.01))
    expected = np.einsum("nkp,pq,nkq->nk", brute.g, brute.A, brute.g, optimize=True)
    found = brute.kernel.self_influence()
    if parameters == "last":
        np.testing.assert_allclose(found, expected, rtol=1e-8)
    else:  # estimated by 64 draws
        assert spearmanr(found.ravel(), expected.ravel()).statistic > 0.97
        assert abs(np.log(found / expected)).mean() < 0.3
    matrix = influence_matrix(model, *data, parameters=parameters, softening=0.3, damping=0.01)
    np.testing.assert_allclose(matrix, brute.matrix(), atol=1e-4 * np.abs(matrix).max())


def test_draws_for_many_sparse_columns():
    rng = np.random.default_rng(0)
    X = sparse.random(1500, 3000, density=0.005, random_state=0, format="csr")
    y = (X @ rng.normal(size=3000) + 0.1 * rng.normal(size=1500) > 0).astype(int)
    model = LogisticRegression(tol=1e-8, max_iter=1000).fit(X, y)
    view, given = as_view(model), np.eye(2)[y]
    exact = newton_term(view, X, given, "direct")
    drawn = Newton(exact.inverse._H, exact.inverse._gradient, "newton-cg", None)
    drawn._is_dense = False
    expected = Kernel([exact]).self_influence()
    found = Kernel([Term(view, exact.rows, drawn, exact.share)]).self_influence()
    error = np.abs(found / expected - 1.0)
    assert np.median(error) < 0.1
    assert np.quantile(error, 0.99) < 0.5
    assert spearmanr(found.ravel(), expected.ravel()).statistic > 0.99


@pytest.mark.parametrize("name", ["binary", "multinomial"])
def test_draws_of_the_laplace_posterior(name):
    model, *data = fitted(name)
    brute = Brute(model, *data)
    term = newton_term(brute.view, data[0], brute.given, "lissa", random_state=0)
    rng = np.random.RandomState(0)
    draws = np.stack([term.inverse._H.noise(rng) for _ in range(4000)])
    scale = np.sqrt(np.outer(np.diag(brute.H), np.diag(brute.H)))
    assert np.abs((draws.T @ draws / len(draws) - brute.H) / scale).max() < 0.12


def losses(model, X_val, y_val):
    return -as_view(model).linearize(X_val).log_proba[np.arange(len(y_val)), np.searchsorted(model.classes_, y_val)]


@pytest.mark.parametrize("name", ["binary", "multinomial", "one-vs-rest", "class weights", "pipeline"])
def test_perturbation_is_the_gradient_of_the_matrix(name):
    model, X, y, X_val, y_val = fitted(name)
    found = influence_matrix(model, X, y, X_val, y_val, mode="perturbation")
    assert found.shape == (12, 60, X.shape[1])
    brute = Brute(model, X, y, X_val, y_val)
    scale = model[0].scale_ if name == "pipeline" else np.ones(X.shape[1])
    step = 1e-5
    for d in (0, 3):
        moved = [Brute.__new__(Brute) for _ in range(2)]
        for one, sign in zip(moved, (1.0, -1.0), strict=True):
            shifted = X.copy()
            shifted[:, d] += sign * step * scale[d]
            vars(one).update(vars(brute))
            one.at, one.g = brute._gradients(shifted)
        expected = (moved[0].matrix() - moved[1].matrix()) / (2 * step)
        np.testing.assert_allclose(found[:, :, d], expected, atol=2e-6 * np.abs(found).max())


@pytest.mark.parametrize("name", ["binary", "multinomial"])
def test_perturbation_against_retrained_models(name):
    model, X, y, X_val, y_val = fitted(name)
    found = influence_matrix(model, X, y, X_val, y_val, mode="perturbation")
    step = 1e-3
    for i, d in [(0, 1), (17, 4), (41, 2)]:
        after = []
        for sign in (1.0, -1.0):
            moved = X.copy()
            moved[i, d] += sign * step
            refit = copy.deepcopy(model).set_params(solver="newton-cholesky").fit(moved, y)
            after.append(losses(refit, X_val, y_val))
        expected = len(y) * (after[0] - after[1]) / (2 * step)
        np.testing.assert_allclose(found[:, i, d], expected, rtol=1e-3, atol=1e-3 * np.abs(expected).max())


def test_large_results_go_to_a_memmap(tmp_path):
    model, *data = fitted("multinomial")
    for mode, shape in (("up", (12, 60)), ("perturbation", (12, 60, 13))):
        out = np.lib.format.open_memmap(tmp_path / f"{mode}.npy", "w+", shape=shape, dtype="float32")
        assert influence_matrix(model, *data, mode=mode, out=out) is out
        expected = influence_matrix(model, *data, mode=mode)
        np.testing.assert_allclose(np.load(tmp_path / f"{mode}.npy"), expected, rtol=1e-5, atol=1e-5)


class Chunked:
    """An array on disk that takes slices of its first axis, as those of zarr do."""

    def __init__(self, shape):
        self.shape, self.parts = shape, {}

    def __setitem__(self, rows, block):
        self.parts[rows.start] = np.array(block)


def test_anything_that_takes_slices_will_do(monkeypatch):
    monkeypatch.setattr("skrdia._kernel.BLOCK_NUMBERS", 300)
    model, *data = fitted("multinomial")
    out = Chunked((12, 60))
    assert influence_matrix(model, *data, out=out) is out
    assert len(out.parts) > 2
    whole = np.vstack([out.parts[start] for start in sorted(out.parts)])
    np.testing.assert_allclose(whole, influence_matrix(model, *data), atol=1e-10)


def test_blocks_do_not_matter(monkeypatch):
    model, *data = fitted("multinomial")
    kept = {name: score(model, *data, signal=name) for name in ("average-absolute-influence", "cnci", "pcid")}
    whole = [influence_matrix(model, *data, mode=mode) for mode in ("up", "perturbation")]
    monkeypatch.setattr("skrdia._kernel.BLOCK_NUMBERS", 300)
    monkeypatch.setattr("skrdia._matrix.BLOCK_NUMBERS", 1)
    for mode, expected in zip(("up", "perturbation"), whole, strict=True):
        np.testing.assert_allclose(influence_matrix(model, *data, mode=mode), expected, atol=1e-10)
    for name, expected in kept.items():
        np.testing.assert_allclose(score(model, *data, signal=name), expected, rtol=1e-8)


@pytest.mark.parametrize("name", ["binary", "multinomial", "one-vs-rest", "mlp"])
def test_published_signals(name):
    model, *data = fitted(name)
    brute, K = Brute(model, *data), len(model.classes_)
    M, own = brute.matrix(), brute.given.argmax(axis=1)
    help_, of_class = -M, [brute.given_val[:, c] > 0 for c in range(K)]
    rows = np.arange(len(own))
    expected = {
        "influence": M.mean(axis=0),
        "marginal-influence": help_.mean(axis=0),
        "average-absolute-influence": np.abs(help_).mean(axis=0),
        "gd-class": -np.min([help_[j].sum(axis=0) for j in of_class], axis=0) / len(M),
        "self-influence": np.einsum("np,pq,nq->n", brute.g[rows, own], brute.A, brute.g[rows, own]),
    }
    negative = np.stack([np.minimum(help_[j], 0).sum(axis=0) for j in of_class])
    changed = -brute.matrix(np.eye(K)[negative.argmin(axis=0)])
    expected["cnci"] = np.array([np.minimum(changed[of_class[own[i]], i], 0).sum() for i in rows])
    P = np.stack([np.maximum(help_[j], 0).sum(axis=0) for j in of_class])
    second = -brute.matrix(np.eye(K)[np.argsort(-P, axis=0)[1]])
    P2 = np.stack([np.maximum(second[j], 0).sum(axis=0) for j in of_class])
    product = np.maximum(help_, 0).sum(axis=0) * np.abs(P - P2).max(axis=0)
    expected["pcid"] = 1.0 / np.maximum(product, np.finfo(float).tiny)
    for signal, values in expected.items():
        found = score(model, *data, signal=signal)
        np.testing.assert_allclose(found, values, rtol=1e-6, atol=1e-8 * np.abs(values).max(), err_msg=signal)


def test_influence_margin():
    model, *data = fitted("multinomial")
    phi = influence(model, *data, hessian="direct").by_label
    own = np.searchsorted(model.classes_, data[1])
    expected = [phi[i, k] - np.delete(phi[i], k).min() for i, k in enumerate(own)]
    np.testing.assert_allclose(score(model, *data, signal="influence-margin"), expected, rtol=1e-8, atol=1e-9)


@pytest.mark.parametrize("name", ["binary", "multinomial", "class weights"])
def test_one_step_is_close_to_leaving_a_row_out(name):
    model, X, y, X_val, y_val = fitted(name)
    exact = score(model, X, y, X_val, y_val, signal="leave-one-out")
    weight = np.ones(len(y)) if name != "class weights" else np.where(y == 1, 3.0, 1.0)
    for i in (0, 30):
        refit = copy.deepcopy(model).fit(np.delete(X, i, 0), np.delete(y, i))
        gain = losses(model, X_val, y_val).mean() - losses(refit, X_val, y_val).mean()
        np.testing.assert_allclose(exact[i], gain * weight.sum() / weight[i], rtol=1e-4)
    step = score(model, X, y, X_val, y_val, signal="leave-one-out-step")
    plain = score(model, X, y, X_val, y_val, signal="influence")
    assert np.corrcoef(step, exact)[0, 1] > 0.99
    assert np.abs(step - exact).mean() < 0.7 * np.abs(plain - exact).mean()


def test_isolation():
    model, X, y, X_val, y_val = fitted("multinomial")
    spread = X.std(axis=0)
    f, f_val = (np.column_stack([(rows - X.mean(axis=0)) / spread, np.ones(len(rows))]) for rows in (X, X_val))

    def distance(rows, of):
        ridge = 0.01 * (f.T @ f / len(f)).trace() / f.shape[1]
        return np.einsum("ij,jk,ik->i", of, np.linalg.inv(rows.T @ rows / len(rows) + ridge * np.eye(f.shape[1])), of)

    everything = distance(f, f)
    expected = np.empty(len(y))
    for label in np.unique(y):
        expected[y == label] = distance(f[y != label], f)[y == label] / everything[y == label]
    np.testing.assert_allclose(score(model, X, y, signal="isolation"), expected)
    trusted = score(model, X, y, X_val, y_val, signal="trusted-isolation")
    np.testing.assert_allclose(trusted, distance(f_val, f) / everything)


def test_isolation_ignores_the_units_of_the_columns():
    model, X, y, *_ = fitted("multinomial")
    units = 10.0 ** (np.arange(X.shape[1]) % 3)
    again = LogisticRegression(max_iter=10_000).fit(X * units + 5.0, y)
    np.testing.assert_allclose(
        score(model, X, y, signal="isolation"), score(again, X * units + 5.0, y, signal="isolation")
    )


@pytest.mark.parametrize("signal", SIGNALS)
def test_sample_weights_that_are_zero_leave_a_row_out(signal):
    model, X, y, X_val, y_val = fitted("binary")
    extra, labels = np.vstack([X, X[:3] + 1.0]), np.r_[y, 1 - y[:3]]
    weight = np.r_[np.ones(len(y)), np.zeros(3)]
    if (
        signal in ("isolation", "trusted-isolation")
        or "confidence" in signal
        or "posterior" in signal
        or signal == "margin"
    ):
        assert np.isfinite(score(model, extra, labels, X_val, y_val, signal=signal, sample_weight=weight)).all()
        return
    found = score(model, extra, labels, X_val, y_val, signal=signal, sample_weight=weight)
    alone = score(model, X, y, X_val, y_val, signal=signal)
    np.testing.assert_allclose(found[: len(y)], alone, rtol=1e-5, atol=1e-8)
    assert found.shape == (63,)


def test_rank_rows_of_frames():
    pd = pytest.importorskip("pandas")
    pl = pytest.importorskip("polars")
    model, X, y, X_val, y_val = fitted("multinomial")
    names, labels = [f"c{i}" for i in range(X.shape[1])], np.array(["a", "b", "c"])[y]
    frame = pd.DataFrame(X, columns=names, index=[f"row {i}" for i in range(len(y))])
    model = LogisticRegression(C=0.1).fit(frame, labels)
    judges = pd.DataFrame(X_val, columns=names), np.array(["a", "b", "c"])[y_val]
    ranked = rank_rows(model, frame, labels, *judges, signals=["cnci", "self-influence"])
    assert ranked.columns.tolist() == ["row", "label", "suggested_label", "cnci", "self-influence"]
    assert ranked["cnci"].is_monotonic_decreasing
    positions = [int(name.split()[1]) for name in ranked["row"]]
    assert sorted(positions) == list(range(len(y)))
    np.testing.assert_array_equal(ranked["label"], labels[positions])
    np.testing.assert_array_equal(ranked["self-influence"], score(model, frame, labels)[positions])
    suggested = model.predict(frame)[positions]
    np.testing.assert_array_equal(ranked["suggested_label"], suggested)
    ranked = rank_rows(model, frame, labels, *judges, signals=["cnci"], backend="polars")
    assert isinstance(ranked, pl.DataFrame)
    assert (ranked["suggested_label"].to_numpy() == suggested).mean() > 0.9  # the most probable label out of fold


def test_a_table_of_names():
    model, *data = fitted("binary")
    with pytest.raises(ValueError, match="signal='self' is unknown; use one of"):
        score(model, *data, signal="self")
    for signal in set(SIGNALS) - {"leave-one-out"}:
        assert score(model, *data, signal=signal).shape == (60,)
    np.testing.assert_array_equal(
        score(model, *data, signal=lambda evidence: evidence.given[:, 0]), (data[1] == 0).astype(float)
    )


def test_bad_input():
    model, X, y, X_val, y_val = fitted("binary")
    with pytest.raises(ValueError, match="X_val was given without y_val"):
        score(model, X, y, X_val)
    with pytest.raises(ValueError, match="judges rows by validation rows"):
        score(model, X, y, signal="gd-class")
    with pytest.raises(ValueError, match="leaves a row out of the Hessian"):
        score(model, X, y, signal="self-influence-loo", hessian="identity")
    with pytest.raises(ValueError, match="signal returned an array of shape"):
        score(model, X, y, signal=lambda evidence: np.zeros(3))
    with pytest.raises(ValueError, match="mode='down' is unknown"):
        influence_matrix(model, X, y, X_val, y_val, mode="down")
    with pytest.raises(ValueError, match=r"out has shape \(2, 2\), expected \(12, 60\)"):
        influence_matrix(model, X, y, X_val, y_val, out=np.empty((2, 2)))
    with pytest.raises(ValueError, match="must be a list of names"):
        rank_rows(model, X, y, signals="self-influence")
    net, *data = fitted("mlp")
    with pytest.raises(TypeError, match="mode='perturbation' is not supported for MLPClassifier"):
        influence_matrix(net, *data, mode="perturbation")


def test_the_only_row_of_a_class_cannot_be_left_out():
    _, X, _, X_val, y_val = fitted("binary")
    alone = np.arange(60) == 59
    scores = score(LogisticRegression().fit(X, alone), X, alone, X_val, y_val > 0, signal="leave-one-out")
    np.testing.assert_array_equal(np.isnan(scores), alone)


def test_rows_are_not_modified():
    model, X, y, X_val, y_val = fitted("binary")
    kept = [part.copy() for part in (X, y, X_val, y_val)]
    for signal in set(SIGNALS) - {"leave-one-out"}:
        score(model, X, y, X_val, y_val, signal=signal)
    influence_matrix(model, X, y, X_val, y_val, mode="perturbation")
    for part, expected in zip((X, y, X_val, y_val), kept, strict=True):
        np.testing.assert_array_equal(part, expected)


def test_identity_is_the_dot_product_of_gradients():
    model, *data = fitted("multinomial")
    brute = Brute(model, *data)
    own = np.einsum("nk,nkp->np", brute.given, brute.g)
    np.testing.assert_allclose(score(model, *data, hessian="identity"), (own**2).sum(axis=1))
    matrix = influence_matrix(model, *data, hessian="identity")
    np.testing.assert_allclose(matrix, -brute.g_val @ own.T, atol=1e-12)


def test_evidence_can_be_pickled():
    from skrdia.signals._score import gather

    model, *data = fitted("binary")
    evidence = gather(model, *data)
    expected = SIGNALS["self-influence"](evidence)
    np.testing.assert_array_equal(SIGNALS["self-influence"](pickle.loads(pickle.dumps(evidence))), expected)
