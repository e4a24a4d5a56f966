"""Nets of torch, trained by skorch, through automatic differentiation.

The module is copied and put in evaluation mode. With f(theta) its logits on a batch, jvp is a forward-mode derivative
of log softmax f, vjp a reverse-mode one, and the Gauss-Newton product

    vjp(w * P * jvp(v)) = sum over batches of J' (w * P * (J v))

takes one forward pass in dual numbers and one backward pass. Batches come from the net's own iterator, products are in
the module's precision, and sums over batches in float64. Batches are kept up to a quarter of a gigabyte, so that small
data are collated once; nothing else grows with the number of rows but the (n, K) results.

theta is the concatenation of the free parameters, raveled, in the order of `named_parameters`. An optimizer's
weight_decay adds weight_decay |theta|^2 / 2 to the mean loss.
"""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable, Iterator, Mapping
from fnmatch import fnmatchcase
from functools import partial
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from skorch.dataset import unpack_data
from skorch.utils import to_device, to_tensor
from torch import Tensor, nn
from torch.autograd import forward_ad
from torch.func import functional_call

from skrdia._progress import tell
from skrdia.views._base import Array, Layer, Options, View
from skrdia.views._links import Softmax
from skrdia.views._logistic_rows import LogisticLinearization, LogisticModel
from skrdia.views._mlp import SOFTENING, curve
from skrdia.views._skorch import copy_net, fit_targets, train_on

__all__ = ["SkorchFactory", "TorchView"]

_KEPT_BYTES = 2**28
"""Size of the batches, or of the inputs of the last layer, that are kept between products."""

_CRITERIA = (nn.CrossEntropyLoss, nn.NLLLoss)


with warnings.catch_warnings():  # torch compiles its forward-mode rules by a deprecated function of its own
    warnings.simplefilter("ignore", DeprecationWarning)
    with forward_ad.dual_level():
        forward_ad.make_dual(torch.zeros(1), torch.zeros(1))


class TorchView:
    """A module and those of its parameters that are free.

    Parameters
    ----------
    net : NeuralNetClassifier
        Initialized.
    module : Module
        A copy of its module, in evaluation mode.
    names : list of str
        Names of the free parameters.
    """

    softening: float = SOFTENING
    damping: float | None = None

    def __init__(self, net: Any, module: nn.Module, names: list[str]) -> None:
        self.net = net
        self.module = module
        self.classes_: NDArray[Any] = net.classes_
        parameters = dict(module.named_parameters())
        self.free = {name: parameters[name].detach() for name in names}
        self.theta = _flat(self.free.values())
        decay = _weight_decay(net)
        self._decay = np.concatenate([np.full(p.numel(), decay.get(name, 0.0)) for name, p in self.free.items()])

    def penalty(self, n_samples: int) -> Array:
        return self._decay * n_samples

    def penalty_gradient(self, n_samples: int) -> Array:
        return self._decay * self.theta * n_samples

    def class_weight(self, targets: Array) -> Array:
        return _class_weight(self.net, len(self.classes_))

    def linearize(self, X: Any) -> TorchLinearization:
        return TorchLinearization(self, X)

    def split(self, v: Array) -> dict[str, Tensor]:
        """A direction v (p,) as tensors like the free parameters."""
        tensors, start = {}, 0
        for name, p in self.free.items():
            part = torch.as_tensor(v[start : start + p.numel()]).to(device=p.device, dtype=p.dtype)
            tensors[name] = part.reshape(p.shape)
            start += p.numel()
        return tensors

    def logits(self, batch: Any, parameters: Mapping[str, Tensor]) -> Tensor:
        """Unnormalised log-probabilities of a batch, (B, K)."""
        out = call(self.net, batch, partial(functional_call, self.module, dict(parameters)))
        return log_output(self.net, out)


class TorchLinearization:
    """A net linearised on the rows of X, which `NeuralNet.get_dataset` takes."""

    def __init__(self, view: TorchView, X: Any) -> None:
        self._view = view
        self._X = X
        self._kept: list[Any] | None = []
        self.precision = max(float(torch.finfo(p.dtype).eps) for p in view.free.values())
        with torch.no_grad():
            parts = [self._log_proba(batch, self._view.free) for batch in self._read()]
        self.log_proba = np.concatenate([to_numpy(part) for part in parts])
        if self.log_proba.shape[1] != len(view.classes_):
            raise ValueError(
                f"the module has {self.log_proba.shape[1]} outputs, but was trained on {len(view.classes_)} classes. "
                "Give the module one output for each class, and train it on rows of every class."
            )

    def jvp(self, v: Array) -> Array:
        direction = self._view.split(v)
        with torch.no_grad():
            parts = [to_numpy(self._dual(batch, self._view.free, direction)[1]) for batch, _ in self._batches()]
        return np.concatenate(parts)

    def vjp(self, R: Array) -> Array:
        gradient = np.zeros(len(self._view.theta))
        for batch, rows in self._batches():
            parameters = self._tracked()
            gradient += self._gradient(self._log_proba(batch, parameters), parameters, R[rows])
        return gradient

    def gauss_newton(self, w: Array, v: Array, softening: float = 1.0) -> Array:
        """The product ``vjp(w * P * jvp(v))`` of the softened model, with one forward pass."""
        direction, product = self._view.split(v), np.zeros(len(self._view.theta))
        for batch, rows in self._batches():
            parameters = self._tracked()
            log_proba, d = self._dual(batch, parameters, direction)
            R = curve(self.log_proba[rows], to_numpy(d.detach()), w[rows], softening)
            product += self._gradient(log_proba, parameters, R)
        return product

    @property
    def shape(self) -> tuple[int, ...]:
        batch, _ = next(self._batches())
        return (len(self.log_proba), *batch.shape[1:])

    def input_gradients(self, V: Array, R: Array, softening: float = 1.0) -> Array:
        """The gradients of ``(R * jvp(v)).sum(axis=1)`` of the softened model in the rows, (m, n, ...)."""
        return np.stack([self._input_gradient(self._view.split(v), R, softening) for v in V.T])

    def _input_gradient(self, direction: Mapping[str, Tensor], R: Array, softening: float) -> Array:
        parts = []
        for batch, rows in self._batches():
            if not (isinstance(batch, Tensor) and batch.is_floating_point()):
                raise TypeError("mode='perturbation' needs rows that are one floating-point array, which can be moved.")
            inputs, parameters = batch.detach().clone().requires_grad_(), self._tracked()
            log_proba = torch.log_softmax(softening * self._log_proba(inputs, parameters), dim=1)
            total = (torch.as_tensor(R[rows]).to(log_proba) * log_proba).sum()
            gradients = torch.autograd.grad(total, list(parameters.values()), create_graph=True)
            products = [(g * direction[name]).sum() for name, g in zip(parameters, gradients, strict=True)]
            change = torch.stack(products).sum()
            parts.append(to_numpy(torch.autograd.grad(change, inputs)[0]))
        return np.concatenate(parts)

    def rows(self, index: Any) -> TorchLinearization:
        return TorchLinearization(self._view, self._X[np.asarray(index)])

    def layers(self, R: Array) -> Iterator[tuple[Layer, Array, Array]]:
        layers = self._layers()
        for batch, rows in self._batches() if layers else ():
            seen: dict[str, tuple[Tensor, Tensor]] = {}
            modules = {name: self._view.module.get_submodule(name) for name in layers}
            handles = [m.register_forward_hook(partial(_remember, seen, name)) for name, m in modules.items()]
            try:
                log_proba = self._log_proba(batch, self._tracked())
            finally:
                for handle in handles:
                    handle.remove()
            cotangent = torch.as_tensor(R[rows]).to(log_proba)
            errors = torch.autograd.grad(log_proba, [output for _, output in seen.values()], cotangent)
            for (name, (inputs, _)), error in zip(seen.items(), errors, strict=True):
                yield layers[name], *_as_matrices(modules[name], inputs, error)

    def _layers(self) -> dict[str, Layer]:
        """The linear and convolutional layers all of whose parameters are free, by name."""
        starts, start = dict[str, int](), 0
        for name, p in self._view.free.items():
            starts[name] = start
            start += p.numel()
        layers = {}
        for name, module in self._view.module.named_modules():
            own = [f"{name}.{key}" if name else key for key, _ in module.named_parameters(recurse=False)]
            simple = isinstance(module, nn.Linear) or (isinstance(module, nn.Conv2d) and module.groups == 1)
            if simple and all(key in starts for key in own):
                n_outputs = len(self._view.free[own[0]])
                n_inputs = self._view.free[own[0]].numel() // n_outputs
                layers[name] = Layer(starts[own[0]], True, (n_inputs + len(own) - 1, n_outputs), n_inputs)
        return layers

    def _read(self) -> Iterator[Any]:
        """Batches of the net's iterator, kept while they are small."""
        net, size = self._view.net, 0
        for data in net.get_iterator(net.get_dataset(self._X), training=False):
            batch = to_device(to_tensor(unpack_data(data)[0], device=net.device), net.device)
            size += _n_bytes(batch)
            if self._kept is not None:
                self._kept = [*self._kept, batch] if size <= _KEPT_BYTES else None
            yield batch

    def _batches(self) -> Iterator[tuple[Any, slice]]:
        start = 0
        for batch in self._read() if self._kept is None else self._kept:
            size = _n_rows(batch)
            yield batch, slice(start, start + size)
            start += size
            tell(f"pass over the rows of a net: {start} of {len(self.log_proba)}", is_minor=True)

    def _tracked(self) -> dict[str, Tensor]:
        return {name: p.clone().requires_grad_() for name, p in self._view.free.items()}

    def _log_proba(self, batch: Any, parameters: Mapping[str, Tensor]) -> Tensor:
        return torch.log_softmax(self._view.logits(batch, parameters), dim=1)

    def _dual(
        self, batch: Any, parameters: Mapping[str, Tensor], direction: Mapping[str, Tensor]
    ) -> tuple[Tensor, Tensor]:
        """log p of a batch, and its derivative in a direction."""
        with forward_ad.dual_level():
            duals = {name: forward_ad.make_dual(p, direction[name]) for name, p in parameters.items()}
            log_proba, d = forward_ad.unpack_dual(self._log_proba(batch, duals))
        return log_proba, d

    def _gradient(self, log_proba: Tensor, parameters: Mapping[str, Tensor], R: Array) -> Array:
        cotangent = torch.as_tensor(R).to(log_proba)
        return _flat(torch.autograd.grad(log_proba, list(parameters.values()), cotangent))


def call(net: Any, batch: Any, module: Callable[..., Any]) -> Tensor:
    """The first output of a module for a batch, in the way `NeuralNet.infer` calls it."""
    out = module((), batch) if isinstance(batch, Mapping) else module((batch,))
    return out[0] if isinstance(out, tuple) else out


def log_output(net: Any, out: Tensor) -> Tensor:
    """Logits from what the module returns: probabilities where the criterion is NLLLoss, by skorch's convention."""
    if isinstance(net.criterion_, nn.NLLLoss):
        return torch.log(out + torch.finfo(out.dtype).eps)
    return out


def to_numpy(tensor: Tensor) -> Array:
    return tensor.detach().cpu().numpy().astype(np.float64)


def _flat(tensors: Any) -> Array:
    return np.concatenate([to_numpy(tensor).ravel() for tensor in tensors])


def _n_rows(batch: Any) -> int:
    return len(next(iter(batch.values()))) if isinstance(batch, Mapping) else len(batch)


def _n_bytes(batch: Any) -> int:
    tensors = batch.values() if isinstance(batch, Mapping) else [batch]
    return sum(tensor.nelement() * tensor.element_size() for tensor in tensors)


def _remember(seen: dict[str, tuple[Tensor, Tensor]], name: str, module: Any, inputs: Any, output: Tensor) -> None:
    if name in seen:
        raise ValueError(f"hessian='ekfac' needs layers that are used once, and {name!r} is used twice.")
    seen[name] = (inputs[0], output)


def _as_matrices(module: nn.Module, inputs: Tensor, error: Tensor) -> tuple[Array, Array]:
    """Inputs (B, T, d + 1) and errors (B, T, o) of a layer for T positions of every row; a bias is one more input."""
    inputs, error = inputs.detach(), error.detach()
    if isinstance(module, nn.Conv2d):
        padding: Any = module.padding
        patches = nn.functional.unfold(inputs, module.kernel_size, module.dilation, padding, module.stride)
        inputs, error = patches.transpose(1, 2), error.flatten(2).transpose(1, 2)
    a = to_numpy(inputs).reshape(len(inputs), -1, inputs.shape[-1])
    if module.bias is not None:
        a = np.concatenate([a, np.ones((*a.shape[:2], 1))], axis=2)
    return a, to_numpy(error).reshape(len(error), -1, error.shape[-1])


def _weight_decay(net: Any) -> dict[str, float]:
    """weight_decay of every parameter, by its name in the module."""
    if not hasattr(net, "optimizer_"):
        return {}
    decay = {id(p): group.get("weight_decay", 0.0) for group in net.optimizer_.param_groups for p in group["params"]}
    return {name: float(decay.get(id(p), 0.0)) for name, p in net.module_.named_parameters()}


def _class_weight(net: Any, n_classes: int) -> Array:
    weight = net.criterion_.weight
    return np.ones(n_classes) if weight is None else to_numpy(weight)


def _free_names(module: nn.Module, pattern: str) -> list[str]:
    trainable = [name for name, p in module.named_parameters() if p.requires_grad]
    if not trainable:
        raise ValueError(
            "the module has no parameters with gradients, so nothing can be learned from a label. Set requires_grad of "
            "at least the last layer's."
        )
    if pattern == "last":
        last = trainable[-1].rpartition(".")[0]
        return [name for name in trainable if name.rpartition(".")[0] == last]
    names = trainable if pattern == "all" else [name for name in trainable if fnmatchcase(name, pattern)]
    if not names:
        raise ValueError(f"parameters={pattern!r} matches none of the trainable parameters of the module: {trainable}.")
    return names


def _head(net: Any, module: nn.Module, names: list[str]) -> Any:
    """The last layer, where it is linear, all of it is free, and nothing but a softmax follows it; else None."""
    path = names[0].rpartition(".")[0]
    head: Any = module.get_submodule(path)
    if not isinstance(head, nn.Linear) or len(names) != len(list(head.parameters())):
        return None
    return head


def _inputs(net: Any, module: nn.Module, head: nn.Linear, X: Any) -> tuple[Array, bool]:
    """The inputs (n, d) of the last layer, and whether its output is that of the module up to normalisation."""
    seen: list[Tensor] = []
    handle = head.register_forward_hook(lambda _, inputs, output: seen.append(inputs[0]))
    parts, same = [], True
    try:
        with torch.no_grad():
            for data in net.get_iterator(net.get_dataset(X), training=False):
                batch = to_device(to_tensor(unpack_data(data)[0], device=net.device), net.device)
                out = log_output(net, call(net, batch, lambda args, kwargs=None: module(*args, **(kwargs or {}))))
                features = seen.pop()
                logits = head(features)
                seen.clear()
                same &= features.dim() == 2 and torch.allclose(
                    torch.log_softmax(out, 1), torch.log_softmax(logits, 1), rtol=1e-3, atol=1e-4
                )
                parts.append(features.cpu().numpy())
    finally:
        handle.remove()
    return np.concatenate(parts), same


class SkorchFactory:
    """NeuralNetClassifier of skorch, with a cross-entropy."""

    fit_targets = staticmethod(fit_targets)
    train_on = staticmethod(train_on)

    @staticmethod
    def check(estimator: Any) -> None:
        criterion = estimator.criterion if isinstance(estimator.criterion, type) else type(estimator.criterion)
        if not issubclass(criterion, _CRITERIA):
            raise TypeError(
                f"criterion={criterion.__name__} of {type(estimator).__name__} is not supported: influence needs a "
                "cross-entropy. Use criterion=torch.nn.CrossEntropyLoss (the module returns logits or "
                "log-probabilities), or torch.nn.NLLLoss (it returns probabilities)."
            )

    @staticmethod
    def view(estimator: Any, options: Options) -> View:
        estimator.check_is_fitted(["module_", "criterion_"])
        module = copy.deepcopy(estimator.module_).eval()
        pattern = options.parameters or "last"
        names = _free_names(module, pattern)
        view = TorchView(estimator, module, names)
        head = _head(estimator, module, names) if pattern == "last" and not options.to_inputs else None
        return view if head is None else _HeadView(view, head)

    @staticmethod
    def scale_logits(net: Any, factor: float) -> Any:
        """A copy of a fitted net whose last layer's outputs are multiplied by a factor; None if it is not linear."""
        copied = copy_net(net)
        linear = [module for module in copied.module_.modules() if isinstance(module, nn.Linear)]
        if not linear:
            return None
        with torch.no_grad():
            for p in linear[-1].parameters():
                p.mul_(factor)
        return copied

    @staticmethod
    def regularised(estimator: Any, factor: float) -> Any:
        """None: logit softening takes its place, without another training."""
        return None

    @staticmethod
    def draft(estimator: Any, fitted: Any) -> None:
        """Nothing to do: where it ends depends on where it begins."""


class _HeadView(TorchView):
    """The last layer of a net alone: a logistic model of the layer's inputs, where these are not too large to keep."""

    link = Softmax()

    def __init__(self, view: TorchView, head: nn.Linear) -> None:
        vars(self).update(vars(view))
        self._head = head
        self._shape = (head.out_features, head.in_features)
        self.full_theta = self.scatter(self.theta)
        self.free = view.free

    def linearize(self, X: Any) -> Any:
        if 4 * X.shape[0] * self._head.in_features <= _KEPT_BYTES:
            features, is_last = _inputs(self.net, self.module, self._head, X)
            if is_last and self._head.out_features == len(self.classes_):
                return LogisticLinearization(cast(LogisticModel, self), features)
        return super().linearize(X)

    def layer(self) -> Layer:
        """The layer itself."""
        n_outputs, n_inputs = self._shape
        n_rows = n_inputs + (self._head.bias is not None)
        return Layer(0, True, (n_rows, n_outputs), n_inputs)

    def scatter(self, v: Array) -> Array:
        """The (d + 1, K) array of weights above biases of a direction v (p,)."""
        n_weights = self._head.weight.numel()
        bias = v[n_weights:] if self._head.bias is not None else np.zeros(self._shape[0])
        return np.vstack([v[:n_weights].reshape(self._shape).T, bias])

    def gather(self, full: Array) -> Array:
        """The parameters (p,) in such an array."""
        weights = full[:-1].T.ravel()
        return weights if self._head.bias is None else np.concatenate([weights, full[-1]])
