"""The nets of the paper's deep experiments, and a multi-layer perceptron, as classifiers of skorch.

    mlp     784-256-10
    lenet   two convolutions of 8 and 16 channels with max-pooling, and one linear layer
    cnn     six convolutions in three pairs, each pair followed by max-pooling, and two linear layers

Trained by Adam with learning rate 0.001 on MNIST and by SGD with learning rate 0.01 and momentum 0.9 on CIFAR10, in
batches of 64, on the GPU where there is one.

Reference: Kong, Shen, Huang, "Resolving training biases via influence-based data relabeling", ICLR 2022, appendix C.3.
"""

from __future__ import annotations

from typing import Any

try:
    import torch
    from skorch import NeuralNetClassifier
    from torch import nn
except ImportError as error:
    raise ImportError("Nets need torch and skorch. Install them with: pip install 'skrdia[torch]'") from error

__all__ = ["DEVICE", "REFIT_RATE", "make_net", "module_of"]

REFIT_RATE = {"mnist": 1e-5, "cifar10": 1e-3}
"""The paper's learning rates for the retraining."""

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"


def make_net(name: str, dataset: str, n_epochs: int, n_classes: int = 10) -> Any:
    """Return an untrained net for images of a data set.

    Parameters
    ----------
    name : {"mlp", "lenet", "cnn"}
        The architecture.
    dataset : {"mnist", "cifar10"}
        Decides the size of the images and the optimizer.
    n_epochs : int
        Of training.
    n_classes : int, default=10
        Number of outputs.

    Returns
    -------
    NeuralNetClassifier
    """
    adam = {"optimizer": torch.optim.Adam, "lr": 1e-3}
    sgd = {"optimizer": torch.optim.SGD, "lr": 1e-2, "optimizer__momentum": 0.9}
    return NeuralNetClassifier(
        **module_of(name, dataset, n_classes),
        criterion=nn.CrossEntropyLoss,
        max_epochs=n_epochs,
        batch_size=64,
        iterator_train__shuffle=True,
        iterator_valid__batch_size=500,
        train_split=None,
        device=DEVICE,
        verbose=0,
        **(adam if dataset == "mnist" else sgd),
    )


def module_of(name: str, dataset: str, n_classes: int) -> dict[str, Any]:
    """Return the parameters with which skorch makes the module.

    Parameters
    ----------
    name : {"mlp", "lenet", "cnn"}
        The architecture.
    dataset : {"mnist", "cifar10", "cifar100"}
        Decides the size of the images.
    n_classes : int
        Number of outputs.

    Returns
    -------
    parameters : dict
        `module`, and its own with the prefix "module__".
    """
    channels, width = (1, 28) if dataset == "mnist" else (3, 32)
    own = {"channels": channels, "width": width, "n_classes": n_classes}
    return {"module": _MODULES[name]} | {f"module__{key}": value for key, value in own.items()}


def _mlp(channels: int, width: int, n_classes: int) -> nn.Module:
    n_pixels = channels * width**2
    return nn.Sequential(nn.Flatten(), nn.Linear(n_pixels, 256), nn.ReLU(), nn.Linear(256, n_classes))


def _lenet(channels: int, width: int, n_classes: int) -> nn.Module:
    left = ((width - 4) // 2 - 4) // 2
    return nn.Sequential(
        *(nn.Conv2d(channels, 8, 5), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Conv2d(8, 16, 5), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Flatten(), nn.Linear(16 * left**2, n_classes)),
    )


def _cnn(channels: int, width: int, n_classes: int) -> nn.Module:
    layers: list[nn.Module] = []
    for n_in, n_out in ((channels, 64), (64, 64), (64, 128), (128, 128), (128, 196), (196, 196)):
        layers += [nn.Conv2d(n_in, n_out, 3, padding=1), nn.BatchNorm2d(n_out), nn.ReLU()]
        layers += [nn.MaxPool2d(2)] if n_in == n_out else []
    left = width // 8
    layers += [nn.Flatten(), nn.Linear(196 * left**2, 256), nn.ReLU(), nn.Linear(256, n_classes)]
    return nn.Sequential(*layers)


_MODULES = {"mlp": _mlp, "lenet": _lenet, "cnn": _cnn}
