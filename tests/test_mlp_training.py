"""MLPClassifier on targets (n, K): what `fit` gives for hard labels, and the loss written out for soft ones."""

import copy
import pickle
import warnings

import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skrdia import RDIAClassifier
from skrdia._train import fine_tune, fit_targets
from skrdia._validation import one_hot

X, y = (array[:240] for array in load_digits(return_X_y=True))
X = X / 16.0
WEIGHT = np.random.default_rng(0).choice([0.5, 1.0, 2.0], size=len(y))

SOLVERS = [
    {},
    {"solver": "lbfgs"},
    {"solver": "sgd", "learning_rate": "adaptive", "batch_size": 32},
    {"early_stopping": True, "shuffle": False},
    {"early_stopping": True, "validation_fraction": 0.3, "n_iter_no_change": 2},
]


def make(**params):
    return MLPClassifier(**({"hidden_layer_sizes": (8,), "max_iter": 12, "random_state": 0} | params))


def soft(n_classes, seed=0, share=0.3):
    """Targets whose likeliest label is the given one, of rows of `n_classes` digits."""
    rng, codes = np.random.default_rng(seed), y % n_classes
    return (1.0 - share) * np.eye(n_classes)[codes] + share * rng.dirichlet(np.full(n_classes, 0.3), len(codes))


def trained(net, targets, rows=X, **params):
    """On the labels 10, 20, ..."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return fit_targets(net, rows, targets, 10 * np.arange(1, targets.shape[1] + 1), **params)


def theta(net):
    return np.concatenate([array.ravel() for array in (*net.coefs_, *net.intercepts_)])


def log_proba(net, rows=X):
    return np.log(net.predict_proba(rows))


@pytest.mark.parametrize("as_rows", [np.asarray, sparse.csr_array, np.float32], ids=["dense", "csr", "float32"])
@pytest.mark.parametrize("n_classes", [2, 5])
@pytest.mark.parametrize("params", SOLVERS, ids=str)
def test_hard_labels_give_what_fit_gives(params, n_classes, as_rows):
    rows, codes = as_rows(X), y % n_classes
    for weight in (None, WEIGHT):
        expected = make(**params)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            expected.fit(rows, 10 * (codes + 1), sample_weight=weight)
        targets = one_hot(codes, n_classes) * (1.0 if weight is None else weight[:, None])
        net = trained(make(**params), targets, rows)
        np.testing.assert_array_equal(theta(net), theta(expected))
        assert vars(net).keys() == vars(expected).keys()
        assert net.get_params() == expected.get_params()
        assert net.n_iter_ == expected.n_iter_
        np.testing.assert_array_equal(net.classes_, expected.classes_)
        for name in ("loss_", "loss_curve_", "validation_scores_"):
            np.testing.assert_array_equal(getattr(net, name, None), getattr(expected, name, None))
        np.testing.assert_array_equal(net.predict(rows), expected.predict(rows))


@pytest.mark.parametrize("n_classes", [2, 5])
def test_a_step_is_the_gradient_of_the_soft_loss(n_classes):
    """One step of gradient descent on all rows, against finite differences of the loss written out."""
    alpha, rate, h = 0.7, 0.01, 1e-6
    targets = soft(n_classes) * WEIGHT[:, None]
    net = make(solver="sgd", momentum=0.0, batch_size=len(y), max_iter=1, alpha=alpha, learning_rate_init=rate)
    before = trained(net.set_params(learning_rate_init=1e-300), targets)
    after = trained(net.set_params(learning_rate_init=rate), targets)

    def loss(moved):
        squares = sum((W**2).sum() for W in moved.coefs_)
        return (-(targets * log_proba(moved)).sum() + alpha / 2.0 * squares) / targets.sum()

    assert after.loss_ == pytest.approx(loss(before))
    for layer, (i, j) in ((0, (20, 3)), (1, (2, 0)), (1, (7, -1))):
        up, down = copy.deepcopy(before), copy.deepcopy(before)
        up.coefs_[layer][i, j] += h
        down.coefs_[layer][i, j] -= h
        step = after.coefs_[layer][i, j] - before.coefs_[layer][i, j]
        assert step / rate == pytest.approx(-(loss(up) - loss(down)) / (2.0 * h), rel=1e-4, abs=1e-8)


@pytest.mark.parametrize("n_classes", [2, 5])
def test_full_batches_are_those_of_repeated_weighted_rows(n_classes):
    targets = soft(n_classes) * WEIGHT[:, None]
    net = make(solver="lbfgs", max_iter=8)
    rows, codes = np.nonzero(targets)
    with pytest.warns(ConvergenceWarning):
        expected = clone(net).fit(X[rows], codes, sample_weight=targets[rows, codes])
    np.testing.assert_allclose(log_proba(trained(net, targets)), log_proba(expected), atol=1e-5)


def test_rows_and_classes_without_weight_are_left_out():
    targets = one_hot(y % 4, 4)
    targets[:, 2] = 0.0
    kept = targets.any(axis=1)
    net = trained(make(), targets)
    assert list(net.classes_) == [10, 20, 40]
    np.testing.assert_array_equal(theta(net), theta(trained(make(), targets[kept], X[kept])))
    never_likeliest = one_hot(y % 2, 3) * 0.9
    never_likeliest[:, 2] = 0.1
    assert list(trained(make(), never_likeliest).classes_) == [10, 20, 30]


@pytest.mark.parametrize(
    ("n_classes", "params"),
    [
        (10, {}),
        (3, {}),
        (2, {}),
        (10, {"solver": "sgd", "learning_rate_init": 0.1}),
        (10, {"early_stopping": True}),
        (2, {"early_stopping": True}),
    ],
    ids=str,
)
def test_soft_targets_do_not_stop_it_early(n_classes, params):
    """It trains about as long as on hard labels; a row for each entry made the loss of an epoch mostly chance."""
    net = make(hidden_layer_sizes=(16,), max_iter=150, learning_rate_init=0.003).set_params(**params)
    hard = trained(net, one_hot(y % n_classes, n_classes))
    for seed in range(3):
        assert trained(net, soft(n_classes, seed)).n_iter_ > 0.7 * hard.n_iter_


@pytest.mark.parametrize("params", SOLVERS, ids=str)
@pytest.mark.parametrize("n_classes", [2, 5])
def test_the_result_is_a_plain_net(n_classes, params):
    net = trained(make(**params), soft(n_classes))
    assert type(net) is MLPClassifier
    np.testing.assert_array_equal(log_proba(pickle.loads(pickle.dumps(net))), log_proba(net))
    assert clone(net).get_params() == make(**params).get_params()
    assert set(net.predict(X)) <= {10 * k for k in range(1, n_classes + 1)}
    again = make(**params)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        net.fit(X, y)
        again.fit(X, y)
    np.testing.assert_array_equal(theta(net), theta(again))
    if params.get("solver") != "lbfgs" and not params.get("early_stopping"):
        assert net.partial_fit(X, y).loss_curve_[-1] == net.loss_


def test_seed_is_for_nets_without_one_of_their_own():
    targets, free = soft(3), make(random_state=None)
    first, second, other = (trained(free, targets, seed=seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(theta(first), theta(second))
    assert not np.array_equal(theta(first), theta(other))
    assert first.random_state is None
    np.testing.assert_array_equal(theta(trained(make(random_state=1), targets, seed=2)), theta(first))


def test_data_frames_and_pipelines():
    frame, targets = pd.DataFrame(X, columns=[f"pixel {i}" for i in range(64)]), soft(3)
    net = trained(make(), targets, frame)
    assert list(net.feature_names_in_) == list(frame.columns)
    pipe = trained(make_pipeline(StandardScaler(), make()), targets)
    expected = trained(make(), targets, StandardScaler().fit_transform(X))
    np.testing.assert_array_equal(theta(pipe[-1]), theta(expected))


@pytest.mark.parametrize("params", SOLVERS, ids=str)
def test_start_goes_on_from_a_net_on_other_targets(params):
    """Its best loss was that on other targets: the stopping rule starts afresh, and warm_start stays as it was."""
    net = make(**params).set_params(tol=1e-3, n_iter_no_change=2, learning_rate_init=0.01, max_iter=30)
    first = trained(net, one_hot(y % 3, 3))
    before = theta(first)
    longer = trained(net, soft(3, share=0.6), warm=first)
    np.testing.assert_array_equal(theta(first), before)
    assert not longer.warm_start
    assert longer.n_iter_ > 3
    one_step = trained(net.set_params(max_iter=1, learning_rate_init=1e-9), soft(3), warm=first)
    if net.solver != "lbfgs":
        np.testing.assert_allclose(theta(one_step), before, atol=1e-5)
    with pytest.raises(ValueError, match=r"trained on the classes \[10, 20, 30\], and is to go on with \[10, 20\]"):
        trained(net, one_hot(y % 2, 2), warm=first)


@pytest.mark.parametrize("n_classes", [2, 5])
@pytest.mark.parametrize("params", SOLVERS, ids=str)
def test_fine_tuning_on_soft_targets(params, n_classes):
    net, classes = trained(make(**params), one_hot(y % n_classes, n_classes)), 10 * np.arange(1, n_classes + 1)
    targets, losses, before = soft(n_classes, share=0.8), [], theta(net)

    def look(tuned):
        losses.append(-(targets * log_proba(tuned)).sum())

    tuned = fine_tune(net, X, targets, classes, 12, on_epoch=look)
    assert len(losses) == 12
    assert losses[-1] < losses[0] < -(targets * log_proba(net)).sum()
    np.testing.assert_array_equal(theta(net), before)
    assert tuned.get_params() == net.get_params()
    assert vars(tuned).keys() == vars(net).keys()
    np.testing.assert_array_equal(theta(fine_tune(net, X, targets, classes, 12)), theta(tuned))


def test_fine_tuning_on_hard_labels_is_partial_fit():
    net, codes = trained(make(shuffle=False), one_hot(y % 5, 5)), (y + 1) % 5
    targets = one_hot(codes, 5) * WEIGHT[:, None]
    classes = 10 * np.arange(1, 6)
    expected = copy.deepcopy(net)
    for _ in range(3):
        expected.partial_fit(X, classes[codes], sample_weight=WEIGHT)
    np.testing.assert_array_equal(theta(fine_tune(net, X, targets, classes, 3)), theta(expected))
    of_two = trained(make(shuffle=False), one_hot(y % 2, 2))
    expected = copy.deepcopy(of_two)
    known = codes < 2
    expected.partial_fit(X[known], classes[codes[known]], sample_weight=WEIGHT[known])
    np.testing.assert_array_equal(theta(fine_tune(of_two, X, targets, classes, 1)), theta(expected))


def test_warm_start_of_the_final_fit():
    model = make(hidden_layer_sizes=(16,), max_iter=300, learning_rate_init=0.01, tol=1e-3)
    params = {"warm_start": True, "learning_rate_init": 1e-9, "max_iter": 1}
    codes = y % 3
    args = (X[:180], codes[:180])
    with pytest.warns(ConvergenceWarning):
        clf = RDIAClassifier(model, alpha=0.1, refit_params=params).fit(*args, X_val=X[180:], y_val=codes[180:])
    np.testing.assert_allclose(theta(clf.estimator_), theta(clf.base_estimator_), atol=1e-6)
    assert clf.estimator_.warm_start
    assert not clf.base_estimator_.warm_start
