"""The methods of the paper's Tables 6 to 8, on one training loop, and both ways to find the rows of its Table 10.

Trained as in its appendix G.1: Adam, learning rate 0.001, falling linearly to zero from 40 % of the epochs on, batches
of 128, T_k = 10."""

from __future__ import annotations

from functools import lru_cache
from time import perf_counter
from typing import Any

import numpy as np
import torch
from skorch.callbacks import Callback, LRScheduler
from torch.optim.lr_scheduler import LambdaLR

from skrdia._influence import influence
from skrdia._rdia_ls import RDIALSClassifier
from skrdia.reproduce._names import RULES
from skrdia.reproduce._net_cells import Data, NetCell, load
from skrdia.reproduce._nets import DEVICE, make_net, module_of

__all__ = ["last_epochs", "measure", "time_finder"]

GAMMA = 0.2
"""Of the paper's and the released rule: the best of its grid on MNIST, at most noise rates."""

_WARMUP = 10


def last_epochs(n_epochs: int) -> int:
    """How many epochs the accuracy is averaged over: the last 10, of fewer than 40 the last quarter."""
    return max(1, min(10, n_epochs // 4))


def measure(cell: NetCell, data: Data, method: str) -> dict[str, float]:
    """Train a net by a method.

    Parameters
    ----------
    cell : NetCell
        What is measured.
    data : Data
        Its rows.
    method : str
        A key of `RULES`.

    Returns
    -------
    numbers : dict of str to float
        Mean and standard deviation of the test accuracy over the last epochs; the noise rate used; of the rows taken
        for noisy, the share that are; of the noisy rows, the share found; seconds of training.
    """
    torch.manual_seed(cell.seed)
    rule = RULES[method]
    test = _TestAccuracy(data.X_test, data.y_test)
    fall = LRScheduler(LambdaLR, lr_lambda=_Fall(cell.epochs))
    net = RDIALSClassifier(
        **module_of(cell.net, cell.dataset, int(data.y_true.max()) + 1),
        noise_rate=_told(float(cell.noise), method),
        gamma=0.5 if rule == "posterior" else GAMMA,
        warmup_epochs=_WARMUP,
        rule=rule,
        max_epochs=cell.epochs,
        batch_size=128,
        iterator_train__shuffle=True,
        iterator_valid__batch_size=500,
        callbacks=[("test", test), ("fall", fall)],
        device=DEVICE,
        verbose=0,
    )
    wrong = data.y != data.y_true
    start = perf_counter()
    net.fit(data.X, data.y, flipped=wrong)
    seconds = perf_counter() - start
    accuracy = [row["test_accuracy"] for row in net.history if "test_accuracy" in row]
    return {
        "accuracy": float(np.mean(accuracy)),
        "spread": float(np.std(accuracy)),
        "noise_rate": net.noise_rate_,
        "precision": net.history[-1]["precision"],
        "recall": net.history[-1]["recall"],
        "seconds": seconds,
    }


class _TestAccuracy(Callback):
    """Notes the test accuracy of the last epochs."""

    def __init__(self, X: Any, y: Any) -> None:
        self.X = X
        self.y = y

    def on_epoch_end(self, net: Any, **kwargs: Any) -> None:
        if len(net.history) > net.max_epochs - last_epochs(net.max_epochs):
            right = net.predict_proba(self.X).argmax(axis=1) == self.y
            net.history.record("test_accuracy", float(right.mean()))


class _Fall:
    """The factor on the learning rate in an epoch."""

    def __init__(self, n_epochs: int) -> None:
        self.n_epochs = n_epochs

    def __call__(self, epoch: int) -> float:
        return min(1.0, (self.n_epochs - epoch) / (0.6 * self.n_epochs))


def _told(noise_rate: float, method: str) -> float | None:
    """The noise rate that a method is given: at most 0.9, where labels of ten classes tell nothing."""
    if method == "posterior-estimated":
        return None
    error = {"posterior-over": 0.2, "posterior-under": -0.2}.get(method, 0.0)
    return float(np.clip(noise_rate + error, 0.0, 0.9)) if error else noise_rate


def _rank_by_loss(net: Any, data: Data) -> None:
    """Rank the rows of every batch by their losses."""
    for start in range(0, len(data.y), 128):
        batch = slice(start, start + 128)
        proba = net.predict_proba(data.X[batch])
        np.argsort(-np.log(proba[np.arange(len(proba)), data.y[batch]]))


@lru_cache(maxsize=1)
def _trained(cell: NetCell) -> Any:
    """The net in which all methods find the rows."""
    torch.manual_seed(cell.seed)
    data = load(cell)
    return make_net(cell.net, cell.dataset, cell.epochs).fit(data.X, data.y)


def time_finder(cell: NetCell, data: Data, method: str) -> dict[str, float]:
    """Find the harmful rows in a net that has been trained.

    Parameters
    ----------
    cell : NetCell
        What is measured.
    data : Data
        Its rows.
    method : str
        Of `FINDERS`.

    Returns
    -------
    numbers : dict of str to float
        Seconds.
    """
    net = _trained(cell)
    start = perf_counter()
    if method == "find-by-loss":
        _rank_by_loss(net, data)
    else:
        influence(net, data.X, data.y, data.X_val, data.y_val, parameters=method.removeprefix("rdia-"))
    return {"seconds": perf_counter() - start}
