"""What is delivered against what was promised: the rule, by hand, and nets that stop early."""

from dataclasses import replace

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.metrics import log_loss
from sklearn.neural_network import MLPClassifier

from skrdia import RDIAClassifier, _tuning_nets
from skrdia._promise import excess_loss, keep_promise
from skrdia.datasets import flip_labels


@pytest.mark.parametrize(
    ("shift", "spread", "n", "level", "is_broken"),
    [
        (0.2, 0.1, 100, 0.5, True),
        (-0.2, 0.1, 100, 0.5, False),  # better
        (0.2, 0.1, 10, 0.5, False),  # 2 nats in all
        (0.2, 2.0, 100, 0.5, False),  # one standard error
        (0.2, 0.1, 100, 1.1, False),  # less than a fifth
    ],
)
def test_when_a_promise_is_broken(shift, spread, n, level, is_broken):
    held_out = level + np.random.default_rng(0).uniform(-0.1, 0.1, size=n)
    pairs = shift + spread * np.resize([-1.0, 1.0], n)
    expected = pytest.approx(shift if is_broken else 0.0)
    assert excess_loss(held_out + pairs, held_out, np.ones(n)) == expected
    half = 0.1 + np.random.default_rng(1).uniform(size=n)  # of what the judged models remember
    assert excess_loss(held_out - half + pairs, held_out, np.ones(n), held_out - 2.0 * half) == expected


def test_weights_count_rows():
    rng = np.random.default_rng(1)
    delivered, held_out = rng.uniform(0.5, 1.0, size=(2, 80))
    weight = rng.uniform(1.0, 3.0, size=80) * (np.arange(80) < 60)
    delivered += 0.5
    delivered[60:] = np.nan  # of no weight
    expected = np.average((delivered - held_out)[:60], weights=weight[:60])
    assert excess_loss(delivered, held_out, weight) == pytest.approx(expected)
    assert excess_loss(delivered, held_out, 7.0 * weight) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("excess", "delivered", "trained"),
    [
        ({}, "a", "a"),
        ({"a": 0.05}, "a", "a"),  # 0.15 to expect: no other promises less
        ({"a": 0.3}, "b", "ab"),
        ({"a": 0.3, "b": 0.3}, "c", "abc"),
        ({"a": 0.3, "b": 0.3, "c": 0.3}, "a", "abc"),
        ({"a": 0.3, "b": 0.05}, "b", "ab"),
    ],
)
def test_the_next_best_is_trained_while_it_promises_less(excess, delivered, trained):
    promised, seen = {"a": 0.1, "b": 0.2, "c": 0.35}, []

    def train(recipe):
        seen.append(recipe)
        return recipe.upper(), excess.get(recipe, 0.0)

    recipe, model, broken = keep_promise("abc", promised, train)
    assert (recipe, model, "".join(seen)) == (delivered, delivered.upper(), trained)
    assert broken == {name: value for name, value in excess.items() if name in seen}


X, y = load_digits(n_class=5, return_X_y=True)
order = np.random.default_rng(0).permutation(len(y))
X, y = X[order] / 16.0, y[order]
TRAIN, VAL, TEST = slice(0, 300), slice(300, 420), slice(420, None)
NET = MLPClassifier((16,), learning_rate_init=0.02, tol=0.01, n_iter_no_change=5, random_state=0)


def fitted():
    labels, _ = flip_labels(y[TRAIN], 0.4, random_state=0)
    clf = RDIAClassifier(NET, random_state=0).fit(X[TRAIN], labels, X_val=X[VAL], y_val=y[VAL])
    return clf, log_loss(y[TEST], clf.predict_proba(X[TEST]))


def test_a_net_that_stops_early_is_not_delivered(monkeypatch):
    """The final fits of the first two recipes end after an epoch; those of the folds did not."""
    clf, loss = fitted()
    assert "worse than judged" not in clf.termination_condition_
    train, stopped = _tuning_nets._train, []

    def stop_early(problem, labels, is_draft=True, **params):
        if not is_draft and len(stopped) < 2:
            problem, is_draft = replace(problem, base=clone(NET).set_params(max_iter=1)), True
            stopped.append(labels)
        return train(problem, labels, is_draft=is_draft, **params)

    monkeypatch.setattr(_tuning_nets, "_train", stop_early)
    other, other_loss = fitted()
    assert len(stopped) == 2
    assert other.termination_condition_.startswith("the next best recipe (")
    name = f"{clf.signal_}, {clf.strategy_}"
    assert f"; trained on all rows, worse than judged: ({name}) by " in other.termination_condition_
    assert (other.signal_, other.strategy_, other.n_iter_) != (clf.signal_, clf.strategy_, clf.n_iter_)
    delivered = next(line for line in other.history_ if line["weight"] == 1.0)
    assert delivered["loss"] == pytest.approx(other.held_out_["after"].mean(), abs=1e-6)
    assert other_loss < loss + 0.1
