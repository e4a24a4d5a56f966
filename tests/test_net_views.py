"""The contract of views, for nets: MLPClassifier by its weights, and torch modules, in float64."""

import copy

import numpy as np
import pytest
from scipy import sparse
from scipy.special import log_softmax
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skrdia import influence
from skrdia._influence import training
from skrdia._kronecker import approximate_inverse
from skrdia._validation import one_hot
from skrdia.curvature import Curvature
from skrdia.solvers import direct, ekfac, lissa, newton_cg
from skrdia.views import Options, View, as_view, soften

try:
    import torch
    from skorch import NeuralNetClassifier
    from torch import nn
except ImportError:
    torch = None

N_CLASSES = 4
X, y = (array[:160] for array in load_digits(n_class=N_CLASSES, return_X_y=True))
X = X / 16.0
needs_torch = pytest.mark.skipif(torch is None, reason="torch or skorch is not installed")


def mlp(**params):
    defaults = {"hidden_layer_sizes": (7, 5), "max_iter": 30, "random_state": 0, "alpha": 0.1, "tol": 0.0}
    model = MLPClassifier(**(defaults | {"n_iter_no_change": 1000} | params))
    rows = y < 2 if params.get("activation") == "tanh" else y < N_CLASSES  # tanh: a single logit
    with pytest.warns(ConvergenceWarning):  # stopped early on purpose
        return model.fit(X[rows], y[rows])


def net(module, train=True, **params):
    torch.manual_seed(0)
    defaults = {"criterion": nn.CrossEntropyLoss, "optimizer": torch.optim.SGD, "lr": 0.1, "max_epochs": 3}
    model = NeuralNetClassifier(module, **(defaults | {"train_split": None, "verbose": 0, "batch_size": 50} | params))
    return model.fit(X, y)


if torch is not None:

    class Images(nn.Module):
        """Convolution, batch normalisation and dropout."""

        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(1, 3, 3, padding=1, stride=2, bias=False)
            self.norm = nn.BatchNorm2d(3)
            self.drop = nn.Dropout(0.5)
            self.out = nn.Linear(48, N_CLASSES)

        def forward(self, rows):
            images = rows.reshape(-1, 1, 8, 8)
            return self.out(self.drop(torch.tanh(self.norm(self.conv(images))).flatten(1)))

    class Named(nn.Module):
        """Two inputs, by name."""

        def __init__(self):
            super().__init__()
            self.out = nn.Linear(64, N_CLASSES)

        def forward(self, rows, factor):
            return self.out(rows * factor)


def modules():
    """Small modules, each with its quirk."""
    torch.manual_seed(0)
    hidden = nn.Sequential(nn.Linear(64, 6), nn.Tanh(), nn.Linear(6, N_CLASSES))
    frozen = copy.deepcopy(hidden)
    frozen[0].requires_grad_(False)
    return {
        "linear": nn.Linear(64, N_CLASSES),
        "no bias": nn.Linear(64, N_CLASSES, bias=False),
        "hidden layer": hidden,
        "log-probabilities": nn.Sequential(*copy.deepcopy(hidden), nn.LogSoftmax(1)),
        "frozen": frozen,
        "images": Images(),
        "scaled": nn.Sequential(copy.deepcopy(hidden), nn.Softsign()),
    }


MLPS = {
    "mlp": ({}, "all"),
    "mlp last": ({}, "last"),
    "mlp biases": ({"activation": "logistic"}, "intercepts_*"),
    "mlp binary": ({"activation": "tanh"}, "all"),
    "mlp binary last": ({"activation": "tanh", "solver": "lbfgs", "max_iter": 10}, "last"),
    "mlp identity": ({"activation": "identity", "solver": "sgd", "batch_size": 50}, "coefs_.?"),
}
NETS = [
    ("linear", "all"),
    ("linear", "last"),
    ("hidden layer", "all"),
    ("hidden layer", "last"),
    ("hidden layer", "0.*"),
    ("log-probabilities", "all"),
    ("log-probabilities", "last"),
    ("probabilities", "all"),
    ("frozen", "all"),
    ("images", "all"),
    ("images", "last"),
    ("images", "norm.*"),
    ("no bias", "last"),
    ("scaled", "last"),
]
CASES = [
    *(pytest.param("mlp", name, id=name) for name in MLPS),
    *(pytest.param(name, pattern, id=f"{name}-{pattern}", marks=needs_torch) for name, pattern in NETS),
]


def make(name, pattern):
    """A fitted net and the options of its view."""
    if name == "mlp":
        params, parameters = MLPS[pattern]
        return mlp(**params), Options(parameters)
    if name == "probabilities":
        module = nn.Sequential(nn.Linear(64, N_CLASSES), nn.Softmax(1)).double()
        return net(module, criterion=nn.NLLLoss), Options(pattern)
    return net(modules()[name].double(), optimizer__weight_decay=0.01), Options(pattern)


@pytest.fixture(scope="module")
def made():
    """Fitted nets by name, so that each is trained once."""
    return {}


@pytest.fixture
def fitted(request, made):
    key = request.param
    if key not in made:
        made[key] = make(*key)
    estimator, options = made[key]
    return estimator, as_view(estimator, options), X[:30]


def contract(test):
    """Run a test for every net."""
    ids = [case.id for case in CASES]
    params = [pytest.param(case.values, marks=case.marks) for case in CASES]
    return pytest.mark.parametrize("fitted", params, ids=ids, indirect=True)(test)


def rng(seed=0):
    return np.random.default_rng(seed)


def jacobian(view, at):
    """d log p_ik / d theta_a, (n, K, p)."""
    return np.stack([at.jvp(e) for e in np.eye(len(view.theta))], axis=-1)


@contract
def test_log_proba_is_the_estimators(fitted):
    estimator, view, rows = fitted
    assert isinstance(view, View)
    expected = np.log(estimator.predict_proba(rows))
    np.testing.assert_allclose(view.linearize(rows).log_proba, expected, atol=1e-9)


@contract
def test_jvp_and_vjp_are_adjoint(fitted):
    _, view, rows = fitted
    for factor in (1.0, 0.2):
        at = soften(view.linearize(rows), factor)
        v, R = rng().normal(size=len(view.theta)), rng(1).normal(size=at.log_proba.shape)
        np.testing.assert_allclose(at.vjp(R) @ v, (R * at.jvp(v)).sum(), rtol=1e-10)


def moved(view, v):
    """The view at theta + v."""
    other = copy.deepcopy(view)
    if hasattr(other, "module"):
        with torch.no_grad():
            for p, d in zip(other.free.values(), other.split(v).values(), strict=True):
                p += d
        if hasattr(other, "full_theta"):
            other.full_theta = other.scatter(view.theta + v)
    elif hasattr(other, "layers"):
        other.layers = [(W + dW, b + db) for (W, b), (dW, db) in zip(other.layers, other.split(v), strict=True)]
    else:
        other._last.model = other._last.model.moved_to(view.theta + v)
    return other


@contract
def test_jvp_is_the_derivative(fitted):
    _, view, rows = fitted
    v, t = rng().normal(size=len(view.theta)), 1e-6
    for factor in (1.0, 0.2):
        up, down = (
            log_softmax(factor * moved(view, sign * t * v).linearize(rows).log_proba, axis=1) for sign in (1, -1)
        )
        jvp = soften(view.linearize(rows), factor).jvp(v)
        np.testing.assert_allclose(jvp, (up - down) / (2 * t), atol=1e-7, rtol=1e-5)


@contract
def test_curvature_is_the_dense_gauss_newton_matrix(fitted):
    _, view, rows = fitted
    J = jacobian(view, view.linearize(rows))
    weight, penalty = rng().uniform(0.5, 2.0, size=len(rows)), view.penalty(len(rows))
    v = rng(1).normal(size=len(view.theta))
    for factor in (1.0, 0.2):
        at = soften(view.linearize(rows), factor)
        centred = factor * (J - np.einsum("ij,ija->ia", np.exp(at.log_proba), J)[:, None, :])
        dense = np.einsum("ik,ika,ikb->ab", weight[:, None] * np.exp(at.log_proba), centred, centred, optimize=True)
        H = Curvature(at, weight, penalty, damping=0.03)
        expected = (dense + np.diag(penalty)) / weight.sum() + 0.03 * np.eye(len(dense))
        np.testing.assert_allclose(H @ v, expected @ v, rtol=1e-8, atol=1e-10)


@contract
def test_additive_over_rows_and_equivariant(fitted):
    _, view, rows = fitted
    at, v = view.linearize(rows), rng().normal(size=len(view.theta))
    R = rng(1).normal(size=at.log_proba.shape)
    order = rng(2).permutation(len(rows))
    halves = np.array_split(order, 2)
    parts = [view.linearize(rows[half]).vjp(R[half]) for half in halves]
    np.testing.assert_allclose(sum(parts), at.vjp(R), rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(view.linearize(rows[order]).jvp(v), at.jvp(v)[order], rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(at.rows(order[:7]).jvp(v), at.jvp(v)[order[:7]], rtol=1e-9, atol=1e-12)


@contract
def test_score_identity(fitted):
    estimator, view, rows = fitted
    at = view.linearize(rows)
    slack = 1e-11 if type(getattr(estimator, "criterion_", None)).__name__ != "NLLLoss" else 1e-9
    v = rng().normal(size=len(view.theta))
    np.testing.assert_allclose((np.exp(at.log_proba) * at.jvp(v)).sum(axis=1), 0.0, atol=slack)


@contract
def test_layers_give_the_gradient(fitted):
    """Inputs times errors, summed over positions and rows, is the gradient of the layer."""
    _, view, rows = fitted
    at = soften(view.linearize(rows), 0.5)
    R, gradients = rng().normal(size=at.log_proba.shape), {}
    for layer, a, delta in at.layers(R):
        product = np.einsum("bti,btj->ij", a, delta)
        gradients[layer] = gradients.get(layer, 0.0) + product
    for layer, matrix in gradients.items():
        np.testing.assert_allclose(layer.as_vector(matrix), at.vjp(R)[layer.place], rtol=1e-8, atol=1e-10)
        np.testing.assert_allclose(layer.as_matrix(layer.as_vector(matrix)), matrix)


def test_penalty_of_mlp_is_the_estimators():
    """At the optimum found by lbfgs the gradient of the mean objective vanishes."""
    model = MLPClassifier((5,), solver="lbfgs", alpha=20.0, tol=1e-12, max_iter=5000, random_state=0).fit(X, y)
    for pattern in ("all", "last"):
        view = as_view(model, Options(pattern))
        *_, gradient = training(view, view.linearize(X), one_hot(y, N_CLASSES), len(y))
        assert np.abs(gradient).max() < 0.01 * np.abs(view.penalty_gradient(len(y)) / len(y)).max()
        assert view.penalty(len(y)).max() == 20.0


def test_mlp_takes_sparse_rows():
    model = mlp()
    for pattern in ("all", "last"):
        view = as_view(model, Options(pattern))
        dense, other = view.linearize(X), view.linearize(sparse.csr_array(X))
        v, R = rng().normal(size=len(view.theta)), rng(1).normal(size=dense.log_proba.shape)
        np.testing.assert_allclose(other.jvp(v), dense.jvp(v), rtol=1e-10, atol=1e-12)
        np.testing.assert_allclose(other.vjp(R), dense.vjp(R), rtol=1e-10, atol=1e-10)


@needs_torch
def test_mlp_and_torch_agree():
    """The same weights in both."""
    model = mlp(hidden_layer_sizes=(6,), alpha=0.0)
    module = nn.Sequential(nn.Linear(64, 6), nn.ReLU(), nn.Linear(6, N_CLASSES)).double()
    with torch.no_grad():
        for layer, W, b in zip((module[0], module[2]), model.coefs_, model.intercepts_, strict=True):
            layer.weight.copy_(torch.as_tensor(W.T))
            layer.bias.copy_(torch.as_tensor(b))
    other = net(module, lr=0.0)
    for pattern in ("all", "last"):
        params = {"parameters": pattern, "damping": 0.01, "hessian": "direct"}
        expected, result = (influence(m, X, y, X[::7], y[::7], **params) for m in (model, other))
        scale = np.abs(expected.by_label).max()
        np.testing.assert_allclose(result.by_label, expected.by_label, atol=1e-3 * scale)


@needs_torch
def test_linear_module_has_the_influences_of_logistic_regression():
    """A linear module trained to its optimum, weight decay on the weights alone, against the closed form."""
    C = 0.5
    module = nn.Linear(64, N_CLASSES).double()
    model = net(
        module,
        optimizer=torch.optim.LBFGS,
        lr=1.0,
        max_epochs=1,
        batch_size=-1,
        optimizer__max_iter=1,
    )
    reference = LogisticRegression(C=C, tol=1e-12, max_iter=10_000).fit(X, y)
    with torch.no_grad():
        model.module_.weight.copy_(torch.as_tensor(reference.coef_))
        model.module_.bias.copy_(torch.as_tensor(reference.intercept_))
    decay = {"weight_decay": 1.0 / (C * len(y))}
    model.optimizer_ = torch.optim.SGD(
        [{"params": [model.module_.weight], **decay}, {"params": [model.module_.bias]}], lr=0.1
    )
    expected = influence(reference, X, y, X[::7], y[::7], hessian="direct")
    for pattern in ("all", "last"):
        view = as_view(model, Options(pattern))
        *_, gradient = training(view, view.linearize(X), one_hot(y, N_CLASSES), len(y))
        assert np.abs(gradient).max() < 1e-7
        params = {"parameters": pattern, "softening": 1.0, "damping": 0.0, "hessian": "direct"}
        result = influence(model, X, y, X[::7], y[::7], **params)
        np.testing.assert_allclose(result.by_label, expected.by_label, rtol=1e-5, atol=1e-8)
        assert result.validation_loss == pytest.approx(expected.validation_loss)


def curvature(view, factor=0.2, damping=0.01):
    at = soften(view.linearize(X), factor)
    return at, Curvature(at, np.ones(len(X)), view.penalty(len(X)), damping)


@pytest.mark.parametrize(
    ("name", "pattern"),
    [
        ("mlp", "mlp"),
        ("mlp", "mlp last"),
        pytest.param("images", "all", marks=needs_torch),
        pytest.param("images", "last", marks=needs_torch),
    ],
)
def test_solvers_agree_with_the_dense_solve(name, pattern):
    estimator, options = make(name, pattern)
    view = as_view(estimator, options)
    at, H = curvature(view)
    g = at.vjp(rng().normal(size=at.log_proba.shape)) / len(X)
    expected, _ = direct(H, g)
    for solver, params in ((newton_cg, {"rtol": 1e-8}), (ekfac, {"rtol": 1e-8}), (lissa, {"rtol": 1e-2})):
        x, info = solver(H, g, random_state=0, **params)
        assert info["converged"]
        tolerance = 1e-5 if solver is not lissa else 0.1
        np.testing.assert_allclose(x, expected, atol=tolerance * np.abs(expected).max())
    _, one_product = curvature(view)
    x, info = ekfac(one_product, g, max_iter=0)
    assert one_product.n_products == 1  # the residual; the factorisation itself takes none
    assert np.corrcoef(at.jvp(x).ravel(), at.jvp(expected).ravel())[0, 1] > 0.9


def test_factorisation_is_positive_definite():
    estimator, options = make("mlp", "mlp")
    _, H = curvature(as_view(estimator, options))
    inverse = approximate_inverse(H)
    M = np.column_stack([inverse(e) for e in np.eye(H.shape[0])])
    np.testing.assert_allclose(M, M.T, atol=1e-8 * np.abs(M).max())
    assert np.linalg.eigvalsh(M).min() > 0.0


def test_ekfac_needs_layers(table):
    model = make_pipeline(StandardScaler(), LogisticRegression(fit_intercept=True)).fit(table.X, table.y)
    influence(model, table.X, table.y, table.X_val, table.y_val, hessian="ekfac")  # one layer
    estimator, options = make("mlp", "mlp biases")
    _, H = curvature(as_view(estimator, options))
    with pytest.raises(ValueError, match=r"hessian='ekfac' needs a net with .* Use hessian='newton-cg'"):
        ekfac(H, np.ones(H.shape[0]))


def test_damping_by_default_is_a_thousandth_of_the_trace():
    estimator, options = make("mlp", "mlp")
    view = as_view(estimator, options)
    at = soften(view.linearize(X), view.softening)
    H = Curvature(at, np.ones(len(X)), view.penalty(len(X)), None)
    trace = np.trace(Curvature(at, np.ones(len(X)), view.penalty(len(X))).toarray())
    assert H.damping == pytest.approx(trace / 1000, rel=0.1)
    result = influence(estimator, X, y, X, y, parameters="all")
    assert result.diagnostics["damping"] == pytest.approx(H.damping)
    assert influence(estimator, X, y, X, y, damping=0.5).diagnostics["damping"] == 0.5


def test_unknown_parameters():
    with pytest.raises(
        ValueError, match=r"parameters='conv\*' matches none of the parameters of the net: \['coefs_.0'"
    ):
        influence(mlp(), X, y, X, y, parameters="conv*")
    with pytest.raises(
        ValueError, match="parameters='layers' chooses layers of a net, and LogisticRegression has none"
    ):
        influence(LogisticRegression().fit(X, y), X, y, X, y, parameters="layers")


@needs_torch
def test_errors_of_torch_views():
    model = net(modules()["hidden layer"].double())
    with pytest.raises(ValueError, match=r"parameters='conv\*' matches none of the trainable parameters"):
        influence(model, X, y, X, y, parameters="conv*")
    model.module_.requires_grad_(False)
    with pytest.raises(ValueError, match="the module has no parameters with gradients"):
        influence(model, X, y, X, y)
    wide = net(nn.Linear(64, N_CLASSES + 2).double())
    with pytest.raises(ValueError, match="X_val: the module has 6 outputs, but was trained on 4 classes"):
        influence(wide, X, y, X, y)
    mse = NeuralNetClassifier(nn.Linear(64, 4), criterion=nn.MSELoss)
    with pytest.raises(TypeError, match="criterion=MSELoss of NeuralNetClassifier is not supported"):
        influence(mse, X, y, X, y)
    big = net(nn.Sequential(nn.Linear(64, 300), nn.ReLU(), nn.Linear(300, N_CLASSES)).double())
    with pytest.raises(ValueError, match=r"forms the dense Hessian, 20704 x 20704 numbers \(3 GB\).*newton-cg"):
        influence(big, X, y, X, y, parameters="all", hessian="direct")


@needs_torch
def test_views_leave_the_net_alone():
    model = net(modules()["images"].double())
    model.module_.train()
    before = copy.deepcopy(model.module_.state_dict())
    influence(model, X, y, X, y, parameters="all")
    assert model.module_.training
    assert all(torch.equal(before[name], tensor) for name, tensor in model.module_.state_dict().items())
    assert all(p.requires_grad for p in model.module_.parameters())


@needs_torch
def test_rows_beyond_what_is_kept(monkeypatch):
    """Batches read anew in every pass, and the last layer without its inputs kept, give the same numbers."""
    from skrdia.views import _torch

    model = net(modules()["hidden layer"].double())
    params = {"damping": 0.01, "hessian": "newton-cg"}
    kept = [influence(model, X, y, X, y, parameters=p, **params).by_label for p in ("all", "last")]
    monkeypatch.setattr(_torch, "_KEPT_BYTES", 1000)
    again = [influence(model, X, y, X, y, parameters=p, **params).by_label for p in ("all", "last")]
    np.testing.assert_allclose(again, kept, atol=1e-5)


@needs_torch
def test_named_inputs():
    rows = {"rows": X, "factor": np.full((len(X), 1), 0.5)}
    torch.manual_seed(0)
    model = NeuralNetClassifier(Named().double(), criterion=nn.CrossEntropyLoss, train_split=None, verbose=0)
    model.fit(rows, y)
    at = as_view(model, Options("all")).linearize(rows)
    np.testing.assert_allclose(at.log_proba, np.log(model.predict_proba(rows)), atol=1e-9)
