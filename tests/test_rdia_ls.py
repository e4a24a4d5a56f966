"""Loss-based relabelling as a classifier of skorch and scikit-learn."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

torch = pytest.importorskip("torch", reason="torch is not installed")
pytest.importorskip("skorch", reason="skorch is not installed")

from skorch import NeuralNetClassifier  # noqa: E402
from skorch.callbacks import EpochScoring  # noqa: E402
from skorch.dataset import ValidSplit  # noqa: E402

from skrdia import RDIALSClassifier  # noqa: E402
from skrdia._ls_rules import RULES  # noqa: E402


class Net(torch.nn.Sequential):
    def __init__(self, n_classes=10):
        super().__init__(torch.nn.Linear(64, 64), torch.nn.ReLU(), torch.nn.Linear(64, n_classes))


@pytest.fixture(scope="module")
def digits():
    X, y = load_digits(return_X_y=True)
    rng = np.random.RandomState(0)
    flipped = rng.uniform(size=len(y)) < 0.4
    noisy = np.where(flipped, (y + rng.randint(1, 10, len(y))) % 10, y)
    train = np.arange(len(y)) < 1300
    X = (X / 16.0).astype(np.float32)
    return X[train], noisy[train], y[train], flipped[train], X[~train], y[~train]


def net(**params):
    torch.manual_seed(0)
    defaults = {"max_epochs": 30, "verbose": 0, "batch_size": 32, "iterator_train__shuffle": True}
    return RDIALSClassifier(Net, **(defaults | params))


@pytest.mark.slow
def test_wrong_labels_are_found_and_repaired(digits):
    X, noisy, y, flipped, X_test, y_test = digits
    clf = net(lr=0.01).fit(X, noisy, flipped=flipped)
    plain = net(lr=0.01, rule="cross-entropy").fit(X, noisy)
    assert clf.score(X_test, y_test) > plain.score(X_test, y_test) + 0.05
    assert (clf.relabeled_y_ == y).mean() > 0.9
    assert clf.noise_rate_ == pytest.approx(0.4, abs=0.15)
    last = clf.history[-1]
    assert last["precision"] == pytest.approx(flipped[clf.harmful_mask_].mean())
    assert last["recall"] == pytest.approx(clf.harmful_mask_[flipped].mean())
    assert last["precision"] > 0.9
    assert last["recall"] > 0.8
    assert last["clean_share"] == pytest.approx(1 - clf.harmful_mask_.mean())
    assert (clf.relabeled_y_ != noisy).tolist() == clf.harmful_mask_.tolist()


def test_without_noise_the_paper_s_rule_is_skorch_s_training(digits):
    X, noisy, *_ = digits
    ours = net(rule="paper", noise_rate=0, max_epochs=3).fit(X, noisy)
    torch.manual_seed(0)
    theirs = NeuralNetClassifier(
        Net,
        criterion=torch.nn.CrossEntropyLoss,
        optimizer=torch.optim.Adam,
        lr=1e-3,
        max_epochs=3,
        batch_size=32,
        iterator_train__shuffle=True,
        train_split=None,
        verbose=0,
    ).fit(X, noisy)
    np.testing.assert_array_equal(ours.predict_proba(X), theirs.predict_proba(X))
    assert not ours.harmful_mask_.any()


@pytest.mark.parametrize("rule", sorted(RULES))
def test_every_rule_trains_and_pickles(digits, rule):
    X, noisy, _, _, X_test, _ = digits
    before = X.copy(), noisy.copy()
    clf = net(rule=rule, noise_rate=0.4, max_epochs=3, warmup_epochs=1).fit(X, noisy)
    loaded = pickle.loads(pickle.dumps(clf))
    np.testing.assert_array_equal(loaded.predict_proba(X_test), clf.predict_proba(X_test))
    np.testing.assert_array_equal((X, noisy)[0], before[0])
    np.testing.assert_array_equal((X, noisy)[1], before[1])


def test_labels_may_be_strings_also_for_scorers(digits):
    X, noisy, _, _, X_test, _ = digits
    names = np.array([f"digit {k}" for k in range(10)])
    accuracy = EpochScoring("accuracy", lower_is_better=False, on_train=True)
    clf = net(max_epochs=3, callbacks=[accuracy], train_split=ValidSplit(5, stratified=True)).fit(X, names[noisy])
    assert set(clf.predict(X_test)) <= set(names)
    assert clf.classes_.tolist() == names.tolist()
    assert clf.relabeled_y_.dtype == names.dtype
    assert 0 < clf.history[-1]["valid_acc"] <= 1
    assert clf.history[-1]["accuracy"] > 0


def test_rows_held_out_are_not_judged(digits):
    X, noisy, *_ = digits
    trusted = np.arange(len(noisy)) < 200
    clf = net(max_epochs=12).fit(X, noisy, trusted=trusted)
    assert not clf.harmful_mask_[trusted].any()
    assert clf.harmful_mask_.shape == noisy.shape
    assert "valid_loss" in clf.history[-1]


def test_validation_rows_estimate_the_noise_rate(digits):
    X, noisy, _, _, X_test, y_test = digits
    clf = net().fit(X, noisy, X_val=X_test, y_val=y_test)
    assert clf.noise_rate_ == pytest.approx(0.4, abs=0.06)


def test_it_goes_into_pipelines_and_searches(digits):
    X, noisy, *_ = digits
    search = GridSearchCV(
        make_pipeline(StandardScaler(), net(max_epochs=2)),
        {"rdialsclassifier__gamma": [0.2, 0.5], "rdialsclassifier__noise_rate": [0.4, None]},
        cv=2,
    ).fit(X, noisy)
    assert search.best_estimator_.predict(X).shape == noisy.shape
    assert clone(net(gamma=0.3)).gamma == 0.3


def test_auto_takes_the_gamma_that_is_best_on_validation_rows(digits):
    X, noisy, _, _, X_test, y_test = digits
    rest = {"X_val": X_test[:200], "y_val": y_test[:200]}
    params = {"rule": "paper", "noise_rate": 0.4, "max_epochs": 4, "warmup_epochs": 1, "lr": 0.01, "batch_size": 256}
    clf = net(gamma="auto", **params).fit(X, noisy, **rest)
    assert clf.gamma == "auto"
    scores = {
        gamma: net(gamma=gamma, **params).fit(X, noisy, **rest).score(rest["X_val"], rest["y_val"])
        for gamma in (0.05, 0.5, 0.95)
    }
    assert clf.score(rest["X_val"], rest["y_val"]) >= max(scores.values())
    assert clf.gamma_ in [k / 20 for k in range(1, 20)]
    again = net(gamma=clf.gamma_, **params).fit(X, noisy, **rest)
    np.testing.assert_array_equal(again.predict_proba(X), clf.predict_proba(X))
    with pytest.raises(ValueError, match="needs validation rows"):
        net(gamma="auto").fit(X, noisy)
    with pytest.raises(ValueError, match="needs validation rows"):
        net(gamma="auto").partial_fit(X, noisy)


@pytest.mark.parametrize("rule", ["paper", "released", "posterior"])
@pytest.mark.parametrize("noise_rate", [0, 0.99])
def test_batches_may_be_all_clean_or_but_one_row_noisy(digits, rule, noise_rate):
    X, noisy, *_ = digits
    clf = net(rule=rule, noise_rate=noise_rate, warmup_epochs=0, max_epochs=2, batch_size=2).fit(X[:101], noisy[:101])
    assert np.isfinite(clf.predict_proba(X)).all()
    if noise_rate == 0:
        assert not clf.harmful_mask_.any()


class Rows(torch.utils.data.Dataset):
    """Rows that are made when they are asked for; their own labels are of no use."""

    def __init__(self, X):
        self.X = X

    def __len__(self):
        return len(self.X)

    def __getitem__(self, i):
        return self.X[i], 0


def test_rows_may_come_from_a_dataset(digits):
    X, noisy, *_ = digits
    trusted = np.arange(len(noisy)) >= 1200
    names = np.array([f"digit {k}" for k in range(10)])[noisy]
    params = {"max_epochs": 3, "noise_rate": 0.4, "warmup_epochs": 1}
    ours = net(**params).fit(Rows(X), names)
    theirs = net(**params).fit(X, names)
    np.testing.assert_array_equal(ours.predict_proba(Rows(X)), theirs.predict_proba(X))
    np.testing.assert_array_equal(ours.harmful_mask_, theirs.harmful_mask_)
    ours = net(noise_rate=None, max_epochs=2).fit(Rows(X), names, trusted=trusted)
    theirs = net(noise_rate=None, max_epochs=2).fit(X, names, trusted=trusted)
    np.testing.assert_array_equal(ours.predict_proba(Rows(X)), theirs.predict_proba(X))


def test_partial_fit_goes_on(digits):
    X, noisy, *_ = digits
    clf = net(max_epochs=2).partial_fit(X, noisy, classes=np.arange(10))
    clf.partial_fit(X, noisy)
    assert len(clf.history) == 4


def test_training_stops_where_the_loss_is_no_number_and_keeps_the_weights_before(digits):
    X, noisy, *_ = digits
    with pytest.warns(ConvergenceWarning, match="in epoch 2"):
        clf = net(max_epochs=5, callbacks=[("spoil", _Spoil())]).fit(X, noisy)
    assert np.isfinite(clf.predict_proba(X)).all()


class _Spoil(EpochScoring):
    """Makes the weights infinite in the second epoch."""

    def __init__(self):
        super().__init__("accuracy")

    def on_epoch_begin(self, net, *args, **kwargs):
        super().on_epoch_begin(net, *args, **kwargs)
        if len(net.history) == 2:
            next(iter(net.module_.parameters())).data.fill_(torch.inf)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"noise_rate": 1.0}, r"noise_rate=1.0 is not in \[0, 1\)"),
        ({"noise_rate": -0.1}, "noise_rate"),
        ({"gamma": 1.1}, r"gamma=1.1 is not in \[0, 1\]"),
        ({"warmup_epochs": -1}, "warmup_epochs"),
        ({"rule": "best"}, "use one of"),
        ({"module__n_classes": 9}, "module returns"),
    ],
)
def test_bad_parameters_are_named(digits, params, message):
    X, noisy, *_ = digits
    with pytest.raises(ValueError, match=message):
        net(**params).fit(X, noisy)


def test_one_class_is_an_error(digits):
    X, noisy, *_ = digits
    with pytest.raises(ValueError, match="at least two classes"):
        net().fit(X, np.zeros(len(noisy), dtype=int))
