"""`RDIALSClassifier`: relabelling by the loss, while a deep net trains. The rules are in `_ls_rules`."""

from __future__ import annotations

import copy
import math
import warnings
from collections.abc import Iterator, Mapping
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning

from skrdia._rows import check_trusted, take
from skrdia._shown import shown
from skrdia._validation import check_labels, encode

try:
    import torch
    from skorch import NeuralNetClassifier
    from skorch.dataset import unpack_data
    from skorch.utils import to_tensor
    from torch import Tensor, nn
    from torch.utils.data import Dataset, Subset

    from skrdia._ls_rules import RULES, Batch, symmetric_noise_rate
except ImportError as error:
    raise ImportError(
        "RDIALSClassifier needs torch and skorch. Install them with: pip install 'skrdia[torch]'"
    ) from error

__all__ = ["RDIALSClassifier"]

_MOMENTUM = 0.9
"""Of the mean of a row's probabilities over the epochs."""

_GRID = tuple(step / 20 for step in range(1, 20))
"""The paper's values of gamma (appendix G.1)."""

_ENOUGH_ROWS = 10_000
"""Rows that the noise rate is estimated from, evenly spaced where there are more."""


class RDIALSClassifier(NeuralNetClassifier):
    """A net that relabels rows of high loss while it trains (RDIA-LS).

    Parameters
    ----------
    module : Module class or instance
        Returns logits (B, K); or probabilities, with `criterion=torch.nn.NLLLoss`.
    noise_rate : float in [0, 1) or None, default=None
        Share of wrong labels, tau in the paper. None: estimated during the warm-up, see `noise_rate_`. 0: plain
        training.
    gamma : float in [0, 1] or "auto", default=0.5
        Weight of the relabelled rows, against 1 - gamma of the others. "auto" trains a net for each of 0.05, 0.1, ...,
        0.95, the paper's grid, and then another with the value of the highest accuracy on the validation rows.
    warmup_epochs : int, default=10
        Epochs T_k in which the share of rows taken for clean falls to 1 - tau.
    rule : str, default="posterior"
        What the loss of a batch is: "posterior", ours; "paper" (Algorithm 2); "released", what the authors' code does;
        or a rival: "cross-entropy", "forward", "self-teaching", "co-teaching", "sigua".
    max_epochs, lr, optimizer, criterion, train_split, **kwargs
        As of `skorch.NeuralNetClassifier`, but with Adam at 0.001, 30 epochs, and no rows held out, by default.

    Attributes
    ----------
    classes_ : array of shape (K,)
        The labels.
    noise_rate_ : float
        The share of wrong labels that was used. An estimate is made anew at the end of every epoch of the warm-up, by
        maximum likelihood for a symmetric error, or from the accuracy on the validation rows.
    gamma_ : float
        The weight that was used.
    harmful_mask_ : array of shape (n,), bool
        The rows that were not taken for clean in the last epoch; False on rows that were not trained on.
    relabeled_y_ : array of shape (n,)
        The labels, those of harmful rows replaced by the most probable other one.
    history : skorch.History
        With "clean_share" for every epoch, and "precision" and "recall" where `flipped` was given to `fit`.
    """

    def __init__(
        self,
        module: Any,
        noise_rate: float | None = None,
        gamma: float | str = 0.5,
        warmup_epochs: int = 10,
        *args: Any,
        rule: str = "posterior",
        criterion: Any = nn.CrossEntropyLoss,
        optimizer: Any = torch.optim.Adam,
        lr: float = 1e-3,
        max_epochs: int = 30,
        train_split: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            module,
            *args,
            criterion=criterion,
            optimizer=optimizer,
            lr=lr,
            max_epochs=max_epochs,
            train_split=train_split,
            **kwargs,
        )
        self.noise_rate = noise_rate
        self.gamma = gamma
        self.warmup_epochs = warmup_epochs
        self.rule = rule

    def fit(
        self,
        X: Any,
        y: ArrayLike,
        *,
        X_val: Any = None,
        y_val: ArrayLike | None = None,
        trusted: ArrayLike | None = None,
        flipped: ArrayLike | None = None,
        **fit_params: Any,
    ) -> RDIALSClassifier:
        """Train, and relabel.

        Parameters
        ----------
        X : array of shape (n, ...), dict of arrays, or Dataset
            Rows; of a Dataset, the labels are not used.
        y : array of shape (n,)
            Their labels, of any type.
        X_val, y_val : arrays of shape (n_val, ...) and (n_val,), default=None
            Rows with right labels, which estimate the noise rate and give "valid_loss"; they are not trained on.
        trusted : array of shape (n,), bool, default=None
            Instead of X_val and y_val, the rows of X with right labels.
        flipped : array of shape (n,), bool, default=None
            Rows known to have wrong labels; only "precision" and "recall" in `history` look at it.
        **fit_params : dict
            For the module's forward.

        Returns
        -------
        self : RDIALSClassifier

        Raises
        ------
        ValueError
            If a parameter, labels or shapes are wrong. The message says which.
        """
        labels = check_labels(y)
        rows = np.arange(len(labels))
        if trusted is not None:
            if X_val is not None or y_val is not None:
                raise ValueError("The validation rows are given twice, by X_val, y_val and trusted; give one of them.")
            mask = check_trusted(trusted, len(labels))
            X_val, y_val, rows = _take(X, np.flatnonzero(mask)), labels[mask], np.flatnonzero(~mask)
        if (X_val is None) != (y_val is None):
            raise ValueError("X_val and y_val belong together; pass both, or neither.")
        if not self.warm_start or not self.initialized_:
            self._check_parameters()
            if self.gamma == "auto":
                self.gamma_ = self._best_gamma(_take(X, rows), labels[rows], X_val, y_val, fit_params)
            self.initialize()
            self.classes_inferred_ = _two_or_more(np.unique(labels[rows]))
        judges = None if X_val is None else (X_val, encode(check_labels(y_val, "y_val"), self.classes_, "y_val"))
        return self._go_on(X, labels, rows, judges, flipped, _routing_method="fit", **fit_params)

    def partial_fit(self, X: Any, y: Any = None, classes: Any = None, **fit_params: Any) -> RDIALSClassifier:
        """Train for `max_epochs` more; the first call may name all the classes."""
        labels = check_labels(y)
        if not self.initialized_:
            self._check_parameters()
            if self.gamma == "auto":
                raise ValueError("gamma='auto' needs validation rows: call fit with X_val and y_val, or give a number.")
            self.initialize()
            self.classes_inferred_ = _two_or_more(np.unique(labels if classes is None else classes))
        return self._go_on(X, labels, np.arange(len(labels)), None, None, **fit_params)

    def predict(self, X: Any) -> NDArray[Any]:
        """The most probable label of every row, (n,)."""
        labels: NDArray[Any] = self.classes_[self.predict_proba(X).argmax(axis=1)]
        return labels

    def score(self, X: Any, y: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
        """Accuracy of `predict` on rows X with labels y, (n,), weighted by `sample_weight`."""
        accuracy: float = super().score(X, y, sample_weight=sample_weight)
        return accuracy

    def _go_on(self, X: Any, labels: Any, rows: Any, judges: Any, flipped: Any, **fit_params: Any) -> RDIALSClassifier:
        classes = self.classes_
        codes = encode(labels, classes, "y")
        n_classes = len(classes)
        memory = torch.zeros(len(rows), n_classes, device=self.device)
        X_train = _take(X, rows)
        if self.gamma != "auto":
            self.gamma_ = float(self.gamma)
        if len(self.history):
            memory = torch.as_tensor(self.predict_proba(X_train), device=self.device)
        else:
            self.noise_rate_ = 0.0 if self.noise_rate is None else float(self.noise_rate)
        self.run_ = _Run(memory, codes[rows], judges, None if flipped is None else np.asarray(flipped)[rows])
        self.classes_inferred_ = np.arange(n_classes)  # while it trains, to callbacks and scorers, labels are positions
        try:
            super().partial_fit(X_train, codes[rows], **fit_params)
        finally:
            self.classes_inferred_ = classes
            run = self.run_
            del self.run_
        harmful = run.harmful
        self.harmful_mask_ = np.zeros(len(labels), dtype=bool)
        self.harmful_mask_[rows[harmful]] = True
        self.relabeled_y_ = labels.copy()
        self.relabeled_y_[rows[harmful]] = classes[run.other_labels()[harmful]]
        return self

    def _best_gamma(self, X: Any, labels: Any, X_val: Any, y_val: Any, fit_params: dict[str, Any]) -> float:
        """The value of the grid whose net is right on most validation rows, each trained from the same weights."""
        if X_val is None:
            raise ValueError("gamma='auto' needs validation rows: pass X_val and y_val, or trusted, or give a number.")
        scores = {}
        for gamma in _GRID:
            with torch.random.fork_rng():
                net = clone(self).set_params(gamma=gamma)
                scores[gamma] = net.fit(X, labels, X_val=X_val, y_val=y_val, **fit_params).score(X_val, y_val)
        return max(scores, key=lambda gamma: (scores[gamma], -abs(gamma - 0.5)))

    def _check_parameters(self) -> None:
        if self.rule not in RULES:
            raise ValueError(f"rule={self.rule!r} is unknown; use one of {list(RULES)}.")
        if self.noise_rate is not None and not (_is_number(self.noise_rate) and 0.0 <= self.noise_rate < 1.0):
            raise ValueError(
                f"noise_rate={shown(self.noise_rate)} is not in [0, 1); pass a share of wrong labels, or None."
            )
        if self.gamma != "auto" and not (_is_number(self.gamma) and 0.0 <= float(self.gamma) <= 1.0):
            raise ValueError(
                f"gamma={shown(self.gamma)} is not in [0, 1]; give a weight of the relabelled rows, or 'auto'."
            )
        if not (isinstance(self.warmup_epochs, int | np.integer) and self.warmup_epochs >= 0):
            raise ValueError(f"warmup_epochs={shown(self.warmup_epochs)} is not a number of epochs, 0 or more.")

    # what follows is called by skorch's loop

    def check_data(self, X: Any, y: Any) -> None:
        """Nothing: labels are checked before."""

    def initialize_module(self) -> RDIALSClassifier:
        """Make the module, and a second one for "co-teaching"."""
        super().initialize_module()
        self.__dict__.pop("peer_", None)
        if self.rule == "co-teaching":
            self.peer_: Any = self.initialized_instance(self.module, self.get_params_for("module"))
            if self.peer_ is self.module_:
                self.peer_ = copy.deepcopy(self.module_).apply(_reset)
        return self

    def get_split_datasets(self, X: Any, y: Any = None, **params: Any) -> tuple[Any, Any]:
        """Training rows that know their number, and rows that judge."""
        if self.run_.judges is None:
            train, valid = super().get_split_datasets(X, y, **params)
        else:
            train, valid = self.get_dataset(X, y), self.get_dataset(*self.run_.judges)
        return _Numbered(train, self.run_.codes), valid

    def run_single_epoch(self, iterator: Any, training: bool, prefix: str, step_fn: Any, **fit_params: Any) -> None:
        """Take the numbers off the rows before anyone sees the batch."""
        iterator = self._unnumbered(iterator) if training else iterator
        super().run_single_epoch(iterator, training, prefix, step_fn, **fit_params)

    def _unnumbered(self, iterator: Any) -> Iterator[Any]:
        for Xi, (yi, rows) in iterator:
            self.run_.batch = rows
            yield Xi, yi

    def train_step_single(self, batch: Any, **fit_params: Any) -> dict[str, Any]:
        """One step by the rule."""
        self._set_training(True)
        Xi, yi = unpack_data(batch)
        y_pred = self.infer(Xi, **fit_params)
        log_proba = self._log_proba(y_pred)
        _check_outputs(log_proba, len(self.classes_))
        peer = None
        if self.rule == "co-teaching":
            peer = self._log_proba(self._infer_peer(Xi, fit_params))
        run, y = self.run_, yi.to(log_proba.device)
        remembered = run.remember(log_proba.detach())
        epoch = len(self.history)
        judgement = RULES[self.rule](
            Batch(log_proba, y, epoch, self.warmup_epochs, self.noise_rate_, self.gamma_, remembered, peer)
        )
        if not math.isfinite(judgement.loss.item()):
            raise _Diverged
        judgement.loss.backward()
        run.clean[run.batch] = judgement.clean.cpu()
        return {"loss": judgement.loss, "y_pred": y_pred}

    def fit_loop(self, X: Any, y: Any = None, epochs: int | None = None, **kwargs: Any) -> RDIALSClassifier:
        """Train until the end, or until the loss is not a number any more."""
        self._keep_weights()
        try:
            super().fit_loop(X, y, epochs, **kwargs)
        except _Diverged:
            for name, state in self.run_.good.items():
                getattr(self, name).load_state_dict(state)
            warnings.warn(
                f"The training loss was not a finite number in epoch {len(self.history)}, so training stopped; the "
                "weights are those before that epoch. Lower lr, or look for values in X that are not finite.",
                ConvergenceWarning,
                stacklevel=2,
            )
        return self

    def on_epoch_end(self, net: Any, dataset_train: Any = None, dataset_valid: Any = None, **kwargs: Any) -> None:
        """Note what was taken for clean, and estimate the noise rate."""
        super().on_epoch_end(net, dataset_train=dataset_train, dataset_valid=dataset_valid, **kwargs)
        run, record = self.run_, self.history.record
        record("clean_share", float(run.clean[run.seen].float().mean()))
        if run.flipped is not None:
            hits = float((run.harmful & run.flipped).sum())
            record("precision", hits / max(int(run.harmful.sum()), 1))
            record("recall", hits / max(int(run.flipped.sum()), 1))
        if self.noise_rate is None and len(self.history) <= self.warmup_epochs:
            self.noise_rate_ = self._estimated_noise_rate()
        record("noise_rate", self.noise_rate_)
        self._keep_weights()

    def _keep_weights(self) -> None:
        modules = [name + "_" for name in self._modules]
        if all(torch.isfinite(p).all() for name in modules for p in getattr(self, name).parameters()):
            self.run_.good = {name: copy.deepcopy(getattr(self, name).state_dict()) for name in modules}

    def _estimated_noise_rate(self) -> float:
        """How often the right label of a row, by what is remembered of it, is another than the given one."""
        run, n_classes = self.run_, len(self.classes_)
        proba = run.memory[run.seen].double().cpu().numpy()
        codes = run.codes[run.seen.numpy()]
        if run.judges is None:
            rows = np.arange(0, len(codes), -(-len(codes) // _ENOUGH_ROWS))
            rate = symmetric_noise_rate(proba[rows], codes[rows])
        else:
            error = float((self.predict_proba(run.judges[0]).argmax(axis=1) != run.judges[1]).mean())
            agreement = float((proba.argmax(axis=1) == codes).mean())
            rate = (1.0 - error - agreement) / max(1.0 - error - error / (n_classes - 1), 1e-3)
        return min(max(rate, 0.0), 1.0 - 1.0 / n_classes)

    def _log_proba(self, y_pred: Any) -> Tensor:
        out = y_pred[0] if isinstance(y_pred, tuple) else y_pred
        if isinstance(self.criterion_, nn.NLLLoss):
            return torch.log(out + torch.finfo(out.dtype).eps)
        return torch.log_softmax(out, dim=1)

    def _infer_peer(self, Xi: Any, fit_params: dict[str, Any]) -> Any:
        x = to_tensor(Xi, device=self.device)
        peer: Any = self.peer_
        return peer(**x, **fit_params) if isinstance(x, Mapping) else peer(x, **fit_params)


class _Run:
    """What is known of the rows of one call, on the way."""

    def __init__(self, memory: Tensor, codes: NDArray[np.intp], judges: Any, flipped: Any) -> None:
        self.memory = memory
        self.codes = codes
        self.judges = judges
        self.flipped = flipped
        self.clean = torch.ones(len(codes), dtype=torch.bool)
        self.seen = torch.zeros(len(codes), dtype=torch.bool)
        self.known = torch.full((len(codes),), bool(memory.any()))
        self.batch = torch.zeros(0, dtype=torch.long)
        self.good: dict[str, Any] = {}

    @property
    def harmful(self) -> NDArray[np.bool_]:
        """Rows that were not taken for clean when last seen, (n,)."""
        mask: NDArray[np.bool_] = (~self.clean & self.seen).numpy()
        return mask

    def remember(self, log_proba: Tensor) -> Tensor:
        """Mean probabilities of the rows of the batch over former epochs, the present ones where there are none."""
        rows = self.batch.to(self.memory.device)
        proba = log_proba.exp().to(self.memory)
        old = torch.where(self.known[self.batch].to(proba.device)[:, None], self.memory[rows], proba)
        self.memory[rows] = _MOMENTUM * old + (1.0 - _MOMENTUM) * proba
        self.known[self.batch] = True
        self.seen[self.batch] = True
        return old

    def other_labels(self) -> NDArray[np.intp]:
        """The most probable label of every row but the given one, (n,)."""
        proba = self.memory.cpu().numpy().copy()
        proba[np.arange(len(proba)), self.codes] = -1.0
        labels: NDArray[np.intp] = proba.argmax(axis=1)
        return labels


class _Diverged(Exception):
    """The loss is not a finite number."""


class _Numbered(Dataset):
    """The rows of a dataset with their labels, and the number that they have in the whole."""

    def __init__(self, dataset: Any, codes: NDArray[np.intp]) -> None:
        self.dataset = dataset
        self.codes = codes.tolist()  # as Python's integers, which are collated fast
        whole = len(dataset) == len(codes)
        self.rows = list(range(len(codes)) if whole else map(int, dataset.indices))  # of the split of `train_split`

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, i: Any) -> tuple[Any, Any]:
        row = self.rows[i]
        return self.dataset[i][0], (self.codes[row], row)


def _take(X: Any, rows: NDArray[np.intp]) -> Any:
    """Rows of an array, a dict of arrays or a Dataset; X itself where they are all."""
    if isinstance(X, Dataset):
        return X if len(rows) == len(X) else Subset(X, rows.tolist())  # type: ignore[arg-type]
    if isinstance(X, Mapping):
        return {name: _take(part, rows) for name, part in X.items()}
    return X if len(rows) == len(X) else take(X, rows)


def _is_number(value: Any) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool)


def _two_or_more(classes: NDArray[Any]) -> NDArray[Any]:
    if len(classes) < 2:
        raise ValueError(f"y has {len(classes)} class ({classes.tolist()}); classification needs at least two classes.")
    return classes


def _check_outputs(log_proba: Tensor, n_classes: int) -> None:
    if log_proba.dim() != 2 or log_proba.shape[1] != n_classes:
        raise ValueError(
            f"module returns an array of shape {tuple(log_proba.shape)}, and y has {n_classes} classes; it has to "
            f"return (batch, {n_classes})."
        )


def _reset(module: nn.Module) -> None:
    reset: Any = getattr(module, "reset_parameters", None)
    if reset is not None:
        reset()
