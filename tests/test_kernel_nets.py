"""Signals and influences of moving features on nets of torch, against gradients row by row."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")
skorch = pytest.importorskip("skorch")

from sklearn.metrics import roc_auc_score  # noqa: E402
from sklearn.pipeline import make_pipeline  # noqa: E402
from sklearn.preprocessing import StandardScaler  # noqa: E402

from skrdia import InfluenceLabelDetector, influence_matrix  # noqa: E402
from skrdia.signals import SIGNALS, score  # noqa: E402
from skrdia.tracin import Checkpoints, tracin  # noqa: E402

from .conftest import make_table  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore:.*did not converge")
K = 3


def make_net(n_columns, hidden=6, epochs=20, **params):
    torch.manual_seed(0)
    module = torch.nn.Sequential(torch.nn.Linear(n_columns, hidden), torch.nn.Tanh(), torch.nn.Linear(hidden, K))
    return skorch.NeuralNetClassifier(
        module.double(),
        criterion=torch.nn.CrossEntropyLoss,
        max_epochs=epochs,
        lr=0.3,
        batch_size=30,
        train_split=None,
        verbose=0,
        **params,
    )


@pytest.fixture(scope="module")
def data():
    return make_table("wine", 0.1)


@pytest.fixture(scope="module")
def net(data):
    return make_net(data.X.shape[1], callbacks=[Checkpoints(every=5)]).fit(data.X, data.y.astype(np.int64))


def row_gradients(module, X, y, names, softening=1.0):
    """(n, p), one backward pass for each row."""
    parameters = [p for name, p in module.named_parameters() if name in names]
    rows = []
    for x, label in zip(torch.as_tensor(X), y, strict=True):
        log_proba = torch.log_softmax(softening * torch.log_softmax(module(x[None]), 1), 1)
        gradients = torch.autograd.grad(-log_proba[0, label], parameters)
        rows.append(torch.cat([g.ravel() for g in gradients]).numpy())
    return np.array(rows)


LAST, ALL = ("2.weight", "2.bias"), ("0.weight", "0.bias", "2.weight", "2.bias")


@pytest.mark.parametrize(("parameters", "names"), [("last", LAST), ("all", ALL)])
def test_tracin_signals(net, data, parameters, names):
    own = matrix = 0.0
    module = net.module_
    kept = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    checkpoints = dict(net.callbacks_)["Checkpoints"].checkpoints_
    for rate, state in checkpoints:
        module.load_state_dict(state)
        g, g_val = (row_gradients(module, X, y, names) for X, y in ((data.X, data.y), (data.X_val, data.y_val)))
        own, matrix = own + rate * (g**2).sum(axis=1), matrix - rate * g_val @ g.T
    module.load_state_dict(kept)
    params = {"hessian": "tracin", "parameters": parameters}
    found = score(net, data.X, data.y, signal="self-influence", **params)
    if parameters == "last":
        np.testing.assert_allclose(found, own, rtol=1e-6)
    else:  # estimated by 64 draws for each of the four checkpoints
        assert np.median(np.abs(found / own - 1.0)) < 0.2
    arguments = (net, data.X, data.y, data.X_val, data.y_val)
    found = score(*arguments, signal="average-absolute-influence", **params)
    np.testing.assert_allclose(found, np.abs(matrix).mean(axis=0), rtol=1e-6)
    found = score(*arguments, signal="influence", **params)
    np.testing.assert_allclose(found, tracin(*arguments, parameters=parameters).values, rtol=1e-9)
    np.testing.assert_allclose(found, matrix.mean(axis=0), atol=1e-8 * np.abs(matrix).max())


def test_tracin_leaves_no_row_out(net, data):
    with pytest.raises(ValueError, match="leaves a row out of the Hessian"):
        score(net, data.X, data.y, signal="self-influence-loo", hessian="tracin")


def test_tracin_of_a_pipeline(data):
    net = make_net(data.X.shape[1], callbacks=[Checkpoints(every=10)])
    model = make_pipeline(StandardScaler(), net).fit(3.0 * data.X, data.y.astype(np.int64))
    found = score(model, 3.0 * data.X, data.y, hessian="tracin")
    inner = score(model[-1], model[0].transform(3.0 * data.X), data.y, hessian="tracin")
    np.testing.assert_allclose(found, inner)


@pytest.mark.parametrize("parameters", ["last", "all"])
@pytest.mark.parametrize("softening", [1.0, 0.4])
def test_perturbation_is_the_gradient_of_the_matrix(net, data, parameters, softening):
    X, y = data.X[:30], data.y[:30]
    arguments = {"parameters": parameters, "softening": softening, "hessian": "identity"}
    found = influence_matrix(net, X, y, data.X_val[:4], data.y_val[:4], mode="perturbation", **arguments)
    assert found.shape == (4, 30, X.shape[1])
    step = 1e-5
    for d in (0, 7):
        sides = []
        for sign in (1.0, -1.0):
            moved = X.copy()
            moved[:, d] += sign * step
            sides.append(influence_matrix(net, moved, y, data.X_val[:4], data.y_val[:4], **arguments))
        expected = (sides[0] - sides[1]) / (2 * step)
        np.testing.assert_allclose(found[:, :, d], expected, atol=1e-6 * np.abs(found).max())


def test_perturbation_of_images():
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(40, 1, 6, 6)).astype(np.float32), rng.integers(0, K, 40)
    module = torch.nn.Sequential(torch.nn.Conv2d(1, 2, 3), torch.nn.Flatten(), torch.nn.Linear(32, K))
    net = skorch.NeuralNetClassifier(module, criterion=torch.nn.CrossEntropyLoss, max_epochs=2, verbose=0).fit(X, y)
    found = influence_matrix(net, X, y, X[:3], y[:3], mode="perturbation")
    assert found.shape == (3, 40, 1, 6, 6)
    assert np.isfinite(found).all()


def test_perturbation_needs_rows_that_can_be_moved():
    class Embedded(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.embedding, self.linear = torch.nn.Embedding(9, 4), torch.nn.Linear(4, K)

        def forward(self, words):
            return self.linear(self.embedding(words).mean(dim=1))

    rng = np.random.default_rng(0)
    X, y = rng.integers(0, 9, (40, 5)), rng.integers(0, K, 40)
    net = skorch.NeuralNetClassifier(Embedded, criterion=torch.nn.CrossEntropyLoss, max_epochs=2, verbose=0).fit(X, y)
    with pytest.raises(TypeError, match="one floating-point array"):
        influence_matrix(net, X, y, X[:3], y[:3], mode="perturbation")


@pytest.mark.parametrize("signal", [name for name in SIGNALS if name != "leave-one-out"])
def test_every_signal_scores_a_net(net, data, signal):
    found = score(net, data.X, data.y.astype(np.int64), data.X_val, data.y_val, signal=signal, random_state=0)
    assert found.shape == (90,)
    assert np.isfinite(found).all()


def test_a_detector_around_a_net(data):
    net = make_net(data.X.shape[1], epochs=15)
    detector = InfluenceLabelDetector(net, random_state=0).fit(data.X, data.y.astype(np.int64))
    assert roc_auc_score(data.y != data.y_true, detector.scores_) > 0.95
    np.testing.assert_array_equal(detector.score_samples(data.X), -detector.scores_)
