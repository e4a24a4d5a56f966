"""Measure the cells of signals. A signal that fails costs its own figure only.

A method is the name of a signal, with "+trusted" where it is given the trusted rows, as those are that judge by them.
"cleanlab" is the self-confidence of five folds, and "isolation-forest" scikit-learn's, which looks at the rows alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib import import_module
from time import perf_counter
from typing import Any

import numpy as np
from sklearn.base import clone
from sklearn.ensemble import IsolationForest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score, roc_auc_score
from sklearn.model_selection import StratifiedKFold
from sklearn.neural_network import MLPClassifier

from skrdia._evidence import Evidence
from skrdia.reproduce._jobs import measure_cell
from skrdia.reproduce._results import Row
from skrdia.reproduce._signal_cells import RESULTS, Glitches, SignalCell, load
from skrdia.signals import SIGNALS
from skrdia.signals._score import gather, of_given
from skrdia.signals._table import WITHOUT_TRUSTED_ROWS, apply
from skrdia.views._base import Array

__all__ = ["METHODS", "PUBLISHED", "methods_for", "run_cell"]

TRUSTED = "+trusted"
PUBLISHED = ("self-influence", "average-absolute-influence+trusted", "marginal-influence+trusted", "gd-class+trusted")
"""The four of the benchmark."""

_SLOW = ("leave-one-out",)
_LEAVE_OUT = ("self-influence-loo", "leave-one-out-step+trusted")
_OUT_OF_FOLD = ("confidence", "margin", "posterior", "stacked-posterior")
METHODS = (
    *WITHOUT_TRUSTED_ROWS,
    *("cleanlab", "isolation-forest"),
    *(f"{name}{TRUSTED}" for name in SIGNALS if name not in (*WITHOUT_TRUSTED_ROWS, *_SLOW)),
    *(f"{name}{TRUSTED}" for name in (*_OUT_OF_FOLD, "cleanlab")),
)


def methods_for(model: str) -> list[str]:
    """The methods that a model allows for: checkpoints have no Hessian that a row could be left out of."""
    return [name for name in METHODS if model != "lenet-tracin" or name not in _LEAVE_OUT]


def run_cell(cell: SignalCell, methods: Sequence[str]) -> list[Row]:
    """Measure one cell.

    Parameters
    ----------
    cell : SignalCell
        What is measured.
    methods : sequence of str
        Of `METHODS`.

    Returns
    -------
    rows : list of dict
        A row for each method; a failure has a text in `error`.
    """

    def prepare() -> tuple[Any, Glitches, dict[str, Evidence]]:
        data = load(cell)
        model = _make(cell, len(np.unique(data.y))).fit(data.X, data.y)
        return model, data, {name: _evidence(cell, model, data, bool(name)) for name in ("", TRUSTED)}

    return measure_cell(cell, methods, RESULTS, prepare, lambda shared, name: _measure(cell, name, *shared))


def _measure(cell: SignalCell, name: str, model: Any, data: Glitches, evidence: dict[str, Evidence]) -> Row:
    signal, plus, _ = name.partition("+")
    known = evidence[TRUSTED if plus else ""]
    start = perf_counter()
    if signal in _OTHERS:
        scores = _OTHERS[signal](model, data, bool(plus), cell.seed)
    else:
        scores = of_given(apply(SIGNALS[signal], known), known.given)
    seconds = perf_counter() - start
    if not np.isfinite(scores).all():
        raise ValueError(f"{np.isnan(scores).sum()} scores are nan")
    worst = np.argsort(-scores, kind="stable")[: data.bad.sum()]
    return RESULTS.row_of(
        cell,
        name,
        n=len(data.y),
        n_bad=int(data.bad.sum()),
        n_trusted=len(data.y_val),
        f1=float(data.bad[worst].mean()),
        auroc=float(roc_auc_score(data.bad, scores)),
        average_precision=float(average_precision_score(data.bad, scores)),
        seconds=round(seconds, 3),
        **({"kept": _kept(known)} if signal == "influence" else {}),
    )


def _kept(evidence: Evidence) -> float:
    """Mean over rows of the absolute sum of influences over the sum of absolute ones."""
    signed, absolute = np.zeros((2, len(evidence.given)))
    for _, block in evidence.kernel.matrix(evidence.given):
        signed += block.sum(axis=0)
        absolute += np.abs(block).sum(axis=0)
    return float((np.abs(signed) / np.maximum(absolute, np.finfo(np.float64).tiny)).mean())


def _make(cell: SignalCell, n_classes: int) -> Any:
    if cell.model == "linear":
        return LogisticRegression(max_iter=1000)
    if cell.model == "mlp":
        return MLPClassifier((64,), learning_rate_init=0.01, max_iter=30, random_state=cell.seed)
    nets = import_module("skrdia.reproduce._nets")
    net = nets.make_net("lenet", "mnist", 8, n_classes)
    if cell.model == "lenet-tracin":
        net.set_params(callbacks=[import_module("skrdia.tracin").Checkpoints(every=2)])
    import_module("torch").manual_seed(cell.seed)
    return net


def _evidence(cell: SignalCell, model: Any, data: Glitches, trusted: bool) -> Evidence:
    judges = (data.X_val, data.y_val) if trusted else (None, None)
    hessian = "tracin" if cell.model == "lenet-tracin" else "newton-cg"
    return gather(model, data.X, data.y, *judges, hessian=hessian, random_state=cell.seed)


def _cleanlab(model: Any, data: Glitches, trusted: bool, seed: int) -> Array:
    n_classes = int(data.y.max()) + 1
    proba = np.zeros((len(data.y), n_classes))
    folds = StratifiedKFold(5, shuffle=True, random_state=seed)
    for train, test in folds.split(data.y, data.y):
        X, y = data.X[train], data.y[train]
        if trusted:
            X, y = np.concatenate([X, data.X_val]), np.r_[y, data.y_val]
        fitted = clone(model).fit(X, y)
        proba[test[:, None], fitted.classes_] = fitted.predict_proba(data.X[test])
    quality: Array = import_module("cleanlab.rank").get_label_quality_scores(data.y, proba)
    return 1.0 - quality


def _isolation_forest(model: Any, data: Glitches, trusted: bool, seed: int) -> Array:
    X = data.X.reshape(len(data.X), -1)
    return -IsolationForest(random_state=seed).fit(X).score_samples(X)


_OTHERS: dict[str, Callable[[Any, Glitches, bool, int], Array]] = {
    "cleanlab": _cleanlab,
    "isolation-forest": _isolation_forest,
}
