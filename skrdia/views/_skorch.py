"""Training a skorch net on targets (n, K): hard labels as they are, anything else straight into the cross-entropy

    loss = - 1 / B sum_i sum_k c_k Y_ik log p_ik        over the B rows of a batch, c_k the class weights

whose rows need not sum to one. Rows of zeros are left out.

skorch's own loop does the training; for its duration the net has another `get_loss`, for targets that are rows of
numbers, and `get_split_datasets`, for the rows that judge it.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.base import clone
from skorch.callbacks import Callback
from torch import Tensor, nn
from torch.utils.data import Dataset, Subset

from skrdia._progress import tell
from skrdia._sklearn import _safe_indexing
from skrdia.views._base import Array

__all__ = ["copy_net", "fit_targets", "train_on"]

_FINE_TUNING = 0.5
"""Factor on the learning rate when a fitted net is trained on."""


def fit_targets(
    net: Any,
    X: Any,
    targets: Array,
    classes: NDArray[Any],
    *,
    judges: tuple[Any, Array] | None = None,
    start: Any = None,
    seed: int | None = None,
) -> Any:
    """Train a clone of a net on the rows of X with a target.

    Parameters
    ----------
    net : NeuralNetClassifier
        Not changed.
    X : array of shape (n, ...)
        Rows.
    targets : array of shape (n, K)
        Their targets.
    classes : array of shape (K,)
        The labels, which must be 0 to K - 1.
    judges : (X_val, targets_val) or None
        Validation rows, instead of the net's own `train_split`: the epoch with the lowest loss on them is kept.
    start : NeuralNetClassifier or None
        A trained net of the same module to begin at.
    seed : int or None
        Makes the training deterministic, without touching torch's global generator. None: that generator.

    Returns
    -------
    NeuralNetClassifier
    """
    _check_classes(classes)
    net = clone(net)
    with _random_numbers(seed):
        net.initialize()
        if start is not None:
            net.module_.load_state_dict(copy.deepcopy(start.module_.state_dict()))
        _train(net, X, targets, net.max_epochs, None if judges is None else _Judge(net, *judges))
    net.classes_inferred_ = classes
    return net


def train_on(
    net: Any,
    X: Any,
    targets: Array,
    classes: NDArray[Any],
    n_epochs: int,
    *,
    on_epoch: Callable[[Any], object],
    seed: int | None = None,
) -> Any:
    """A copy of a fitted net, trained for some epochs more on all of these rows, at half its learning rate.

    The optimizer starts afresh. `on_epoch` is called with the copy after every epoch.
    """
    with _random_numbers(seed):
        longer = copy_net(net, lr=_FINE_TUNING * net.lr)
        _train(longer, X, targets, n_epochs, _Watch(longer, on_epoch))
    return longer.set_params(lr=net.lr)


def copy_net(net: Any, **params: Any) -> Any:
    """A copy of a fitted net with some parameters changed; its module's class need not be one that can be pickled."""
    copied = clone(net).set_params(**params).initialize()
    copied.module_.load_state_dict(copy.deepcopy(net.module_.state_dict()))
    copied.history = copy.deepcopy(net.history)
    copied.classes_inferred_ = net.classes_
    return copied


def _train(net: Any, X: Any, targets: Array, n_epochs: int, watch: _Watch | None) -> None:
    rows = np.flatnonzero(targets.any(axis=1))
    X, targets = (X if len(rows) == len(targets) else _safe_indexing(X, rows)), targets[rows]
    codes = targets.argmax(axis=1)
    with _trained_on(net, None if _is_hard(targets) else targets, watch, n_epochs):
        net.notify("on_train_begin", X=X, y=codes)
        net.fit_loop(X, codes, epochs=n_epochs)  # not partial_fit, which swallows an interrupt
        net.notify("on_train_end", X=X, y=codes)


def _check_classes(classes: NDArray[Any]) -> None:
    if classes.dtype.kind not in "iub" or not np.array_equal(classes, np.arange(len(classes))):
        raise ValueError(
            f"y has the labels {classes[:10].tolist()}, and a skorch net needs 0 to K - 1, the positions of its "
            "module's outputs. Encode them with sklearn.preprocessing.LabelEncoder."
        )


def _is_hard(targets: Array) -> bool:
    return bool((np.count_nonzero(targets, axis=1) == 1).all() and (targets.max(axis=1) == 1.0).all())


@contextmanager
def _random_numbers(seed: int | None) -> Iterator[None]:
    if seed is None:
        yield
        return
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        yield


@contextmanager
def _trained_on(net: Any, targets: Array | None, watch: _Watch | None, n_epochs: int) -> Iterator[None]:
    """For a while, a net that trains on soft targets, and is watched instead of split."""
    own_callbacks = net.callbacks_
    own_loss, own_split = net.get_loss, net.get_split_datasets

    def get_loss(y_pred: Any, y_true: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        if y_true.dim() == 2:
            return soft_loss(net, y_pred, y_true)
        return own_loss(y_pred, y_true, *args, **kwargs)

    def get_split_datasets(X: Any, y: Any = None, **params: Any) -> tuple[Any, Any]:
        if watch is None:
            train, valid = own_split(X, y, **params)
        else:
            train, valid = net.get_dataset(X, y), watch.dataset
        return (train if targets is None else _Retargeted(train, targets)), valid

    net.get_loss, net.get_split_datasets = get_loss, get_split_datasets
    added = [("skrdia_progress", _Progress(n_epochs)), *([] if watch is None else [("skrdia_watch", watch)])]
    net.callbacks_ = [*own_callbacks, *added]
    try:
        yield
        if watch is not None:
            watch.finish()
    finally:
        del net.get_loss, net.get_split_datasets
        net.callbacks_ = own_callbacks


def soft_loss(net: Any, y_pred: Any, targets: Tensor) -> Tensor:
    """Cross-entropy of soft targets (B, K), the mean over the rows of a batch."""
    out = y_pred[0] if isinstance(y_pred, tuple) else y_pred
    if isinstance(net.criterion_, nn.NLLLoss):
        log_proba = torch.log(out + torch.finfo(out.dtype).eps)
    else:
        log_proba = torch.log_softmax(out, dim=1)
    targets = targets.to(log_proba)
    if net.criterion_.weight is not None:
        targets = targets * net.criterion_.weight.to(log_proba)
    return -(targets * log_proba).sum(dim=1).mean()


class _Retargeted(Dataset):
    """The rows of a dataset, or of a subset of one, with other targets."""

    def __init__(self, dataset: Any, targets: Array) -> None:
        self.dataset = dataset
        indices = dataset.indices if isinstance(dataset, Subset) else np.arange(len(dataset))
        self.targets = targets[np.asarray(indices)].astype(np.float32)

    def __len__(self) -> int:
        return len(self.targets)

    def __getitem__(self, i: Any) -> tuple[Any, Any]:
        return self.dataset[i][0], self.targets[i]


class _Progress(Callback):
    """Tells of every epoch."""

    def __init__(self, n_epochs: int) -> None:
        self._n_epochs = n_epochs
        self._epoch = 0

    def on_epoch_end(self, net: Any, **kwargs: Any) -> None:
        self._epoch += 1
        tell(f"epoch {self._epoch} of {self._n_epochs}, training loss {net.history[-1].get('train_loss', np.nan):.4f}")


class _Watch(Callback):
    """Looks at a net after every epoch; it trains on all rows, and is not judged by any of its own."""

    dataset: Any = None

    def __init__(self, net: Any, look: Callable[[Any], object]) -> None:
        self._net = net
        self._look = look

    def on_epoch_end(self, net: Any, **kwargs: Any) -> None:
        self._look(net)

    def finish(self) -> None:
        """Called after the last epoch."""


class _Judge(_Watch):
    """Keeps the parameters of the epoch with the lowest loss on the validation rows."""

    def __init__(self, net: Any, X_val: Any, targets_val: Array) -> None:
        super().__init__(net, self._compare)
        rows = np.flatnonzero(targets_val.any(axis=1))
        self._X, self._targets = (
            (X_val if len(rows) == len(targets_val) else _safe_indexing(X_val, rows)),
            targets_val[rows],
        )
        self.dataset = net.get_dataset(self._X, self._targets.argmax(axis=1))
        self._best: tuple[float, Any] = (np.inf, None)

    def _compare(self, net: Any) -> None:
        proba = net.predict_proba(self._X)
        loss = -float((self._targets * np.log(np.maximum(proba, np.finfo(proba.dtype).tiny))).sum())
        if loss < self._best[0]:
            self._best = (loss, copy.deepcopy(net.module_.state_dict()))

    def finish(self) -> None:
        if self._best[1] is not None:
            self._net.module_.load_state_dict(self._best[1])
