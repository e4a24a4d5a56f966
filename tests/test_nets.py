"""RDIAClassifier on nets: soft targets, warm starts, fine-tuning, the choice, and what users and clients expect."""

import pickle

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss, roc_auc_score
from sklearn.model_selection import GridSearchCV, StratifiedKFold, cross_validate
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from skrdia import RDIAClassifier, influence
from skrdia._train import fine_tune, fit_targets, is_net
from skrdia._validation import one_hot
from skrdia.datasets import flip_labels

torch = pytest.importorskip("torch", reason="torch is not installed")
skorch = pytest.importorskip("skorch", reason="skorch is not installed")
from torch import nn  # noqa: E402

from skrdia.tracin import Checkpoints, tracin  # noqa: E402
from skrdia.views._skorch import soft_loss  # noqa: E402

K = 5
X, y = load_digits(n_class=K, return_X_y=True)
order = np.random.default_rng(0).permutation(len(y))
X, y = (X[order] / 16.0).astype(np.float32), y[order]
train, val, test = np.split(np.arange(len(y)), [450, 600])
noisy, flipped = flip_labels(y[train], 0.4, random_state=0)
CLASSES = np.arange(K)
VAL = {"X_val": X[val], "y_val": y[val]}


def hidden(width=16):
    return nn.Sequential(nn.Linear(64, width), nn.ReLU(), nn.Linear(width, K))


def make(module=hidden, **params):
    defaults = {
        "criterion": nn.CrossEntropyLoss,
        "optimizer": torch.optim.Adam,
        "lr": 0.02,
        "max_epochs": 8,
        "batch_size": 64,
        "iterator_train__shuffle": True,
        "train_split": None,
        "verbose": 0,
    }
    return skorch.NeuralNetClassifier(module, **(defaults | params))


def state(net):
    return {name: tensor.numpy().copy() for name, tensor in net.module_.state_dict().items()}


def assert_same(a, b):
    for name, value in state(a).items():
        np.testing.assert_array_equal(value, state(b)[name])


def test_paper_method_on_a_net():
    clf = RDIAClassifier(make(), alpha=0.0, random_state=0).fit(X[train], noisy, **VAL)
    assert roc_auc_score(flipped, clf.influences_) > 0.9
    assert flipped[clf.harmful_mask_].mean() > 0.8
    assert (clf.relabeled_y_ == y[train]).mean() > (noisy == y[train]).mean() + 0.2
    assert clf.relabeled_y_.dtype == noisy.dtype
    assert clf.label_influences_.shape == clf.targets_.shape == (450, K)
    assert clf.score(X[test], y[test]) > 0.9
    assert clf.diagnostics_["damping"] > 0.0
    assert clf.estimator_.module_ is not clf.base_estimator_.module_
    assert list(clf.predict(X[test][:3])) == list(clf.estimator_.predict(X[test][:3]))


def test_defaults_of_nets_can_be_set():
    net = fit_targets(make(), X[train], one_hot(noisy, K), CLASSES, seed=0)
    args = (net, X[train], noisy, X[val], y[val])
    default = influence(*args)
    named = influence(*args, parameters="last", softening=0.2, damping=default.diagnostics["damping"])
    np.testing.assert_allclose(named.by_label, default.by_label, rtol=1e-6)
    for changed in ({"parameters": "all"}, {"softening": 1.0}, {"damping": 1.0}):
        assert not np.allclose(influence(*args, **changed).by_label, default.by_label, rtol=1e-2)
    clf = RDIAClassifier(net, alpha=0.0, parameters="0.*", softening=0.5, damping=0.1, random_state=0)
    clf.fit(X[train], noisy, **VAL)
    expected = influence(
        clf.base_estimator_, X[train], noisy, X[val], y[val], parameters="0.*", softening=0.5, damping=0.1
    )
    np.testing.assert_allclose(clf.influences_, expected.values, rtol=1e-5)


def test_softening_shows_what_was_learned_by_heart():
    """After many epochs the labels are memorised; with softened logits their influence still finds them."""
    net = fit_targets(make(max_epochs=150, lr=0.005, module__width=256), X[train], one_hot(noisy, K), CLASSES, seed=0)
    assert net.score(X[train], noisy) > 0.9
    args = (net, X[train], noisy, X[val], y[val])
    hard, soft = (roc_auc_score(flipped, influence(*args, softening=c).values) for c in (1.0, 0.2))
    assert soft > hard
    assert soft > 0.9
    clean = fit_targets(
        make(max_epochs=60, lr=0.005, module__width=256), X[train], one_hot(y[train], K), CLASSES, seed=0
    )
    flagged = [
        (influence(clean, X[train], y[train], X[val], y[val], softening=c).values > 0.0).mean() for c in (1.0, 0.2)
    ]
    assert flagged[1] < 0.15 < flagged[0]


def test_best_epoch_is_the_one_with_the_lowest_validation_loss():
    seen = []

    class Losses(skorch.callbacks.Callback):
        def on_epoch_end(self, net, **kwargs):
            seen.append(log_loss(y[val], net.predict_proba(X[val])))

    model = make(max_epochs=30, callbacks=[Losses()])
    judges = (X[val], one_hot(y[val], K))
    best = fit_targets(model, X[train], one_hot(noisy, K), CLASSES, judges=judges, seed=0)
    assert 0 < np.argmin(seen) < 29
    assert log_loss(y[val], best.predict_proba(X[val])) == pytest.approx(min(seen), rel=1e-4)
    last = fit_targets(model, X[train], one_hot(noisy, K), CLASSES, seed=0)
    assert log_loss(y[val], last.predict_proba(X[val])) == pytest.approx(seen[-1], rel=1e-4)
    clf = RDIAClassifier(model, alpha=0.0, best_epoch=False, random_state=0).fit(X[train], noisy, **VAL)
    assert_same(clf.base_estimator_, last)


@pytest.mark.parametrize("criterion", [nn.CrossEntropyLoss, nn.NLLLoss])
def test_soft_loss(criterion):
    """One-hot targets give skorch's own loss; others the sum written out."""
    module = hidden() if criterion is nn.CrossEntropyLoss else nn.Sequential(hidden(), nn.Softmax(1))
    weight = torch.arange(1.0, K + 1.0)
    net = make(module, criterion=criterion, criterion__weight=weight, criterion__reduction="sum").initialize()
    out, labels = net.module_(torch.as_tensor(X[:20])), torch.as_tensor(y[:20])
    own = net.get_loss(out, labels)
    assert soft_loss(net, out, torch.eye(K)[labels]).item() * 20 == pytest.approx(own.item(), rel=1e-5)
    targets = np.random.default_rng(0).uniform(size=(20, K))
    log_p = np.log(net.predict_proba(X[:20]))
    expected = -(targets * weight.numpy() * log_p).sum() / 20
    assert soft_loss(net, out, torch.as_tensor(targets)).item() == pytest.approx(expected, rel=1e-4)


def test_hard_targets_are_plain_training():
    model = make()
    with torch.random.fork_rng():
        torch.manual_seed(3)
        expected = clone(model).fit(X[train], noisy)
    assert_same(fit_targets(model, X[train], one_hot(noisy, K), CLASSES, seed=3), expected)


def test_targets_of_zero_leave_rows_out_and_weights_scale():
    model = make(optimizer=torch.optim.SGD, batch_size=-1, iterator_train__shuffle=False, lr=0.1)
    targets, kept = one_hot(noisy, K), np.arange(450) < 300
    dropped = fit_targets(model, X[train], targets * kept[:, None], CLASSES, seed=0)
    assert_same(dropped, fit_targets(model, X[train][kept], targets[kept], CLASSES, seed=0))
    twice = fit_targets(model, X[train], 2.0 * targets, CLASSES, seed=0)
    other = fit_targets(clone(model).set_params(lr=0.2), X[train], targets, CLASSES, seed=0)
    for name, value in state(twice).items():
        np.testing.assert_allclose(value, state(other)[name], atol=1e-5)


def test_sample_weights():
    weight = np.where(flipped, 0.01, 1.0)
    clf = RDIAClassifier(make(), alpha=1e9, random_state=0).fit(X[train], noisy, weight, **VAL)
    plain = RDIAClassifier(make(), alpha=1e9, random_state=0).fit(X[train], noisy, **VAL)
    losses = [log_loss(y[test], model.predict_proba(X[test])) for model in (clf, plain)]
    assert losses[0] < losses[1]
    np.testing.assert_array_equal(clf.targets_.sum(axis=1), weight)


def test_split_of_the_net_keeps_hard_labels_in_its_validation_rows():
    model = make(train_split=skorch.dataset.ValidSplit(5, stratified=True), max_epochs=2)
    soft = 0.9 * one_hot(noisy, K) + 0.02
    net = fit_targets(model, X[train], soft, CLASSES, seed=0)
    assert net.history[-1]["valid_acc"] > 0.0
    assert sum(net.history[-1, "batches", :, "train_batch_size"]) == 360


def test_random_state_makes_it_deterministic_and_leaves_torch_alone():
    first, second = (RDIAClassifier(make(), alpha=0.0, random_state=7).fit(X[train], noisy, **VAL) for _ in range(2))
    assert_same(first.estimator_, second.estimator_)
    other = RDIAClassifier(make(), alpha=0.0, random_state=8).fit(X[train], noisy, **VAL)
    assert not np.array_equal(other.influences_, first.influences_)
    before = torch.random.get_rng_state()
    fit_targets(make(), X[train], one_hot(noisy, K), CLASSES, seed=7)
    assert torch.equal(torch.random.get_rng_state(), before)


def test_warm_start_begins_at_the_first_fit():
    params = {"warm_start": True, "lr": 0.0, "max_epochs": 1}
    clf = RDIAClassifier(make(), alpha=0.0, refit_params=params, random_state=0).fit(X[train], noisy, **VAL)
    assert_same(clf.estimator_, clf.base_estimator_)
    assert clf.estimator_.lr == 0.0
    assert clf.base_estimator_.lr == 0.02
    params["lr"] = 0.01
    moved = RDIAClassifier(make(), alpha=0.0, refit_params=params, random_state=0).fit(X[train], noisy, **VAL)
    losses = [log_loss(y[test], model.predict_proba(X[test])) for model in (moved, clf)]
    assert losses[0] < losses[1]


def test_refit_params_of_other_models():
    clf = RDIAClassifier(LogisticRegression(), alpha=0.1, refit_params={"C": 0.5}).fit(X[train], noisy, **VAL)
    assert clf.estimator_.C == 0.5
    assert clf.base_estimator_.C == 1.0
    params = {"mlpclassifier__warm_start": True, "mlpclassifier__max_iter": 1}
    model = make_pipeline(StandardScaler(), MLPClassifier((8,), max_iter=40, random_state=0))
    with pytest.warns(ConvergenceWarning):
        clf = RDIAClassifier(model, alpha=0.0, refit_params=params).fit(X[train], noisy, **VAL)
    assert clf.estimator_[-1].n_iter_ == 1
    assert clf.estimator_.score(X[train], noisy) > 0.4  # not from scratch
    with pytest.raises(ValueError, match="Invalid parameter 'nope'"):
        RDIAClassifier(LogisticRegression(), alpha=0.1, refit_params={"nope": 1}).fit(X[train], noisy, **VAL)


@pytest.mark.slow
def test_auto_repairs_and_does_no_harm():
    everything = fit_targets(make(), X[train], one_hot(noisy, K), CLASSES, seed=0)
    clf = RDIAClassifier(make(), random_state=0).fit(X[train], noisy, **VAL)
    assert log_loss(y[test], clf.predict_proba(X[test])) < 0.5 * log_loss(y[test], everything.predict_proba(X[test]))
    assert clf.termination_condition_.startswith("the best recipe")
    assert roc_auc_score(flipped, clf.scores_) > 0.95
    lines = {(line["signal"], line["strategy"], line["n_iter"]): line for line in clf.history_}
    assert {line["weight"] for line in lines.values()} == {0.0, 1.0}
    assert lines["none", "none", 0]["fine_tuning_epochs"] == 0
    assert 0 < lines["none", "fine-tune", 0]["fine_tuning_epochs"] <= 30
    clean = RDIAClassifier(make(), random_state=0).fit(X[train], y[train], **VAL)
    plain = fit_targets(make(), X[:600], one_hot(y[:600], K), CLASSES, seed=0)
    losses = [log_loss(y[test], model.predict_proba(X[test])) for model in (clean, plain)]
    assert losses[0] <= 1.02 * losses[1]
    assert not clean.harmful_mask_.any()


def test_auto_with_few_validation_rows_asks_the_noise_model():
    clf = RDIAClassifier(make(max_epochs=1), random_state=0)
    clf.fit(X[train], noisy, X_val=X[val][:9], y_val=CLASSES.repeat(2)[:9])
    assert clf.termination_condition_.startswith("9 validation rows are too few")


def test_auto_on_training_rows_alone():
    clf = RDIAClassifier(make(max_epochs=3), refit_on="train", random_state=0).fit(X[train], noisy, **VAL)
    assert all(line["fine_tuning_epochs"] == 0 for line in clf.history_)


def test_fine_tuning_goes_on_from_the_net():
    net = fit_targets(make(), X[train], one_hot(noisy, K), CLASSES, seed=0)
    before, losses = state(net), []
    judges = (X[val], one_hot(y[val], K), CLASSES)
    tuned = fine_tune(net, *judges, 5, on_epoch=lambda n: losses.append(n.score(X[val], y[val])), seed=0)
    assert len(losses) == 5
    assert losses[-1] > net.score(X[val], y[val])
    for name, value in state(net).items():
        np.testing.assert_array_equal(value, before[name])
    assert tuned.lr == net.lr
    assert_same(fine_tune(net, *judges, 0, seed=0), net)


@pytest.mark.parametrize("solver", ["adam", pytest.param("lbfgs", marks=pytest.mark.slow)])
def test_auto_on_mlp_classifier(solver):
    model = MLPClassifier((16,), solver=solver, max_iter=60, random_state=0)
    assert is_net(make_pipeline(StandardScaler(), model))
    clf = RDIAClassifier(make_pipeline(StandardScaler(), model), random_state=0)
    with pytest.warns(ConvergenceWarning):
        clf.fit(X[train], noisy, **VAL)
    with pytest.warns(ConvergenceWarning):
        everything = clone(model).fit(X[:600], np.append(noisy, y[val]))
    losses = [log_loss(y[test], m.predict_proba(X[test])) for m in (clf, everything)]
    assert losses[0] < 0.7 * losses[1]


def test_data_frames():
    frame = pd.DataFrame(X, columns=[f"pixel {i}" for i in range(64)])
    model = MLPClassifier((8,), max_iter=20, learning_rate_init=0.01, random_state=0)
    clf = RDIAClassifier(model, random_state=0)
    with pytest.warns(ConvergenceWarning):
        clf.fit(frame.iloc[train], noisy, X_val=frame.iloc[val], y_val=y[val])
    assert clf.score(frame.iloc[test], y[test]) > 0.8
    assert list(clf.feature_names_in_) == list(frame.columns)


def test_pipelines_and_searches():
    """Transformers are fitted on all rows; a search runs over alpha and over the net's parameters."""
    pipe = make_pipeline(StandardScaler(), FunctionTransformer(np.float32), make())
    clf = RDIAClassifier(pipe, alpha=0.0, random_state=0).fit(X[train], noisy, **VAL)
    everything = np.vstack([X[train], VAL["X_val"]])
    np.testing.assert_allclose(clf.base_estimator_[0].mean_, everything.mean(axis=0), rtol=1e-4, atol=1e-6)
    assert roc_auc_score(flipped, clf.influences_) > 0.85
    trusted = np.arange(600) >= 450
    labels = np.append(noisy, y[val])
    search = GridSearchCV(
        RDIAClassifier(make(max_epochs=3), random_state=0),
        {"alpha": [0.0, 1.0], "base_estimator__module__width": [8]},
        cv=StratifiedKFold(2, shuffle=True, random_state=0),
        error_score="raise",
    )
    search.fit(X[:600], labels, trusted=trusted)
    assert search.best_estimator_.estimator_.module_[0].out_features == 8
    scores = cross_validate(RDIAClassifier(make(max_epochs=3), alpha=0.0), X[:600], labels, cv=2, error_score="raise")
    assert np.isfinite(scores["test_score"]).all()


def test_nets_survive_pickling():
    clf = RDIAClassifier(make(max_epochs=2), alpha=0.0, random_state=0).fit(X[train], noisy, **VAL)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(clf)).predict(X[test]), clf.predict(X[test]))


def test_other_signals_and_memory(tmp_path):
    for signal in ("confidence", "trusted-posterior"):
        clf = RDIAClassifier(make(), alpha=0.5, signal=signal, memory=str(tmp_path), random_state=0)
        assert roc_auc_score(flipped, clf.fit(X[train], noisy, **VAL).scores_) > 0.9


def test_a_net_finds_rows_for_another_classifier():
    clf = RDIAClassifier(LogisticRegression(), alpha=0.0, influence_estimator=make(), random_state=0)
    clf.fit(X[train], noisy, **VAL)
    assert isinstance(clf.estimator_, LogisticRegression)
    assert roc_auc_score(flipped, clf.influences_) > 0.9


@pytest.mark.parametrize("labels", [y[train].astype(str), y[train] + 1])
def test_labels_that_a_net_cannot_take(labels):
    clf = RDIAClassifier(make(), alpha=0.0, validation_fraction=0.2)
    with pytest.raises(ValueError, match=r"a skorch net needs 0 to K - 1.*LabelEncoder"):
        clf.fit(X[train], labels)


def test_interrupt_leaves_nothing_half_done():
    class Interrupt(skorch.callbacks.Callback):
        def on_epoch_end(self, net, **kwargs):
            raise KeyboardInterrupt

    model = make(callbacks=[Interrupt()])
    clf = RDIAClassifier(model, alpha=0.0)
    with pytest.raises(KeyboardInterrupt):
        clf.fit(X[train], noisy, **VAL)
    assert not hasattr(clf, "estimator_")
    assert not hasattr(model, "module_")


def test_progress(capsys):
    RDIAClassifier(make(max_epochs=2), alpha=0.0, verbose=1, random_state=0).fit(X[train], noisy, **VAL)
    printed = capsys.readouterr().out
    assert printed.count("[RDIA] epoch 2 of 2, training loss") == 2
    assert "[RDIA] round 1" in printed
    RDIAClassifier(make(max_epochs=2), alpha=0.0, random_state=0).fit(X[train], noisy, **VAL)
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("parameters", ["last", "all"])
def test_tracin_is_the_sum_of_gradient_products(parameters):
    model = make(callbacks=[Checkpoints(every=2)], max_epochs=5, lr=0.03)
    torch.manual_seed(0)
    net = model.fit(X[:40], noisy[:40])
    kept = dict(net.callbacks_)["Checkpoints"].checkpoints_
    assert [rate for rate, _ in kept] == [0.03, 0.03]
    result = tracin(net, X[:40], noisy[:40], X[val], y[val], parameters=parameters)
    expected = np.zeros((40, K))
    module = hidden()
    for rate, weights in kept:
        module.load_state_dict(weights)
        free = [p for name, p in module.named_parameters() if parameters == "all" or name.startswith("2")]
        loss = nn.functional.cross_entropy(module(torch.as_tensor(X[val])), torch.as_tensor(y[val]))
        g_val = torch.autograd.grad(loss, free)
        for i in range(40):
            for k in range(K):
                log_p = torch.log_softmax(module(torch.as_tensor(X[i : i + 1])), 1)[0, k]
                g = torch.autograd.grad(log_p, free)
                expected[i, k] += rate * sum((a * b).sum().item() for a, b in zip(g, g_val, strict=True))
    np.testing.assert_allclose(result.by_label, expected, rtol=1e-3, atol=1e-6)
    np.testing.assert_allclose(result.values, expected[np.arange(40), noisy[:40]], rtol=1e-3, atol=1e-6)
    assert result.diagnostics == {"hessian": "tracin", "checkpoints": 2}


def test_tracin_finds_flips_and_needs_checkpoints():
    pipe = make_pipeline(FunctionTransformer(np.float32), make(callbacks=[Checkpoints()]))
    torch.manual_seed(0)
    pipe.fit(X[train], noisy)
    assert roc_auc_score(flipped, tracin(pipe, X[train], noisy, X[val], y[val]).values) > 0.85
    with pytest.raises(ValueError, match=r"estimator has no checkpoints\. Train it with callbacks="):
        tracin(make(max_epochs=1).fit(X[train], noisy), X[train], noisy, X[val], y[val])
    with pytest.raises(ValueError, match="every=0 must be a positive number"):
        make(callbacks=[Checkpoints(every=0)]).fit(X[train], noisy)
