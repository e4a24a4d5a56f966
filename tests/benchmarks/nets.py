"""Step II on nets: how far the solvers agree, whether influences come true, and what memory it takes.

    SKRDIA_DATA=folder python tests/benchmarks/nets.py [solvers] [truth] [memory] [epoch]

solvers  784-64-32-10 (52,650 parameters), 4,000 rows of MNIST of which 20 % have a wrong label, 1,000 validation rows,
         damping 0.01, all parameters: seconds, and correlation with the influences of a tight solve
truth    784-32-10, 1,000 rows: predicted against realised change of the validation loss for groups of 20 rows that are
         removed, or given their best label, and the net trained on from the same parameters
memory   LeNet, 20,000 rows: peak memory after step II over that after one epoch of training
epoch    LeNet and an MLP, 10,000 rows: seconds of an epoch of RDIALSClassifier over those of skorch's own
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import time

import numpy as np
import torch
from scipy.stats import spearmanr
from skorch import NeuralNetClassifier
from torch import nn

from skrdia import RDIALSClassifier, influence
from skrdia._train import fit_targets
from skrdia._validation import one_hot
from skrdia.datasets import fetch_paper_images
from skrdia.reproduce._nets import make_net, module_of

CLASSES = np.arange(10)


def rows(n: int, n_val: int, noise: float):
    """Training rows with some wrong labels, and validation rows."""
    bunch, rng = fetch_paper_images("mnist"), np.random.default_rng(0)
    order = rng.permutation(len(bunch.y_train))[: n + n_val]
    X, y = bunch.X_train[order], bunch.y_train[order]
    wrong = rng.random(n) < noise
    y[:n][wrong] = (y[:n][wrong] + rng.integers(1, 10, wrong.sum())) % 10
    return X[:n], y[:n], X[n:], y[n:]


def perceptron(*widths: int, **params):
    layers = [nn.Flatten()]
    for n_in, n_out in zip((784, *widths), (*widths, 10), strict=True):
        layers += [nn.Linear(n_in, n_out), nn.ReLU()]
    defaults = {"criterion": nn.CrossEntropyLoss, "optimizer": torch.optim.Adam, "train_split": None, "verbose": 0}
    return NeuralNetClassifier(nn.Sequential(*layers[:-1]), **(defaults | params))


def solvers() -> None:
    X, y, X_val, y_val = rows(4000, 1000, 0.2)
    net = perceptron(64, 32, lr=1e-3, max_epochs=6, batch_size=64, iterator_valid__batch_size=500)
    net = fit_targets(net, X, one_hot(y, 10), CLASSES, seed=0)
    for softening in (1.0, 0.2):
        params = {"parameters": "all", "damping": 0.01, "softening": softening, "random_state": 0}
        tight = influence(net, X, y, X_val, y_val, hessian=_tight, **params)
        print(f"softening {softening:g}: tight solve, residual {tight.diagnostics['residual']:.0e}")
        for name in ("newton-cg", "ekfac", "lissa", "identity"):
            start = time.perf_counter()
            result = influence(net, X, y, X_val, y_val, hessian=name, **params)
            seconds = time.perf_counter() - start
            r = np.corrcoef(result.values, tight.values)[0, 1]
            print(
                f"  {name:10} correlation {r:.4f}, step II {seconds:.2f} s, {result.diagnostics['n_products']} products"
            )


def _tight(H, g, random_state=None):
    from skrdia.solvers import newton_cg

    return newton_cg(H, g, rtol=1e-5)


def truth(n_groups: int = 30, size: int = 20) -> None:
    X, y, X_val, y_val = rows(1000, 1000, 0.2)
    net = perceptron(32, lr=5e-3, max_epochs=300, batch_size=-1, optimizer__weight_decay=5e-3)

    def train(targets, start=None):
        return fit_targets(net, X, targets, CLASSES, start=start, seed=0)

    def loss(fitted):
        return -np.log(fitted.predict_proba(X_val)[np.arange(len(y_val)), y_val]).mean()

    given = one_hot(y, 10)
    base = train(given)
    result = influence(base, X, y, X_val, y_val, parameters="all", softening=1.0, damping=1e-3)
    best = result.by_label.argmin(axis=1)
    gain = result.values - result.by_label.min(axis=1)
    rng, before = np.random.default_rng(1), loss(train(given, base))
    for name, score in (("removed", result.values), ("relabelled", gain)):
        strata = np.array_split(np.argsort(score), n_groups)
        for kind in ("of rows with similar influence", "of random rows"):
            groups = [
                rng.choice(part if kind.startswith("of rows") else len(y), size, replace=False) for part in strata
            ]
            realised = []
            for group in groups:
                targets = given.copy()
                targets[group] = 0.0 if name == "removed" else np.eye(10)[best[group]]
                realised.append(loss(train(targets, base)) - before)
            predicted = [-score[group].sum() / len(y) for group in groups]
            rho = spearmanr(predicted, realised).statistic
            print(f"{n_groups} groups {kind}, {name}: Spearman correlation {rho:.2f}")


def memory() -> None:
    """Each in a process of its own, since a peak does not go down again."""
    peaks = {}
    for what in ("epoch", "last", "all"):
        command = [sys.executable, __file__, "--peak", what]
        peaks[what] = float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    for what in ("last", "all"):
        print(
            f"step II, parameters={what!r}: peak {peaks[what]:.2f} GB, {peaks[what] / peaks['epoch']:.2f} of an epoch's"
        )


def peak(what: str) -> None:
    X, y, X_val, y_val = rows(20_000, 1000, 0.2)
    net = make_net("lenet", "mnist", 1)
    net = fit_targets(net, X, one_hot(y, 10), CLASSES, seed=0)
    if what != "epoch":
        influence(net, X, y, X_val, y_val, parameters=what, damping=0.1)
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6)


def epoch() -> None:
    """Both in turn, so that what else the machine does slows both; medians over the epochs."""
    X, y, *_ = rows(10_000, 1000, 0.4)
    for name in ("mlp", "lenet"):
        params = {"criterion": torch.nn.CrossEntropyLoss, "optimizer": torch.optim.Adam, "lr": 1e-3, "batch_size": 128}
        params |= {"max_epochs": 4, "iterator_train__shuffle": True, "train_split": None, "verbose": 0}
        params |= module_of(name, "mnist", 10)
        seconds: dict[str, list[float]] = {"plain": [], "posterior": [], "paper": []}
        for _ in range(5):
            for kind, found in seconds.items():
                ours = kind != "plain"
                net = RDIALSClassifier(rule=kind, warmup_epochs=1, **params) if ours else NeuralNetClassifier(**params)
                found += net.fit(X, y).history[:, "dur"][1:]
        plain = np.median(seconds.pop("plain"))
        ratios = ", ".join(f"{kind} {np.median(found) / plain:.2f}" for kind, found in seconds.items())
        print(f"{name}: a plain epoch takes {plain:.2f} s; an epoch of RDIA-LS over that: {ratios}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", choices=["solvers", "truth", "memory", "epoch", []])
    parser.add_argument("--peak", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.peak:
        peak(options.peak)
    else:
        for part in options.parts or ["solvers", "truth", "memory", "epoch"]:
            globals()[part]()
