"""The image data sets of the paper's deep models, all classes."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import Bunch

from skrdia.datasets._paper import obtain_source
from skrdia.datasets._paper_files import File, cache_folder
from skrdia.datasets._paper_readers import (
    Images,
    Reader,
    cifar10_binary,
    cifar10_jpeg,
    cifar100_binary,
    mnist_idx,
    mnist_npz,
    read_cifar10_binary,
    read_cifar10_jpeg,
    read_mnist_idx,
    read_mnist_npz,
)
from skrdia.datasets._paper_tasks import TASKS

__all__ = ["fetch_paper_images"]


class ImageSource(NamedTuple):
    """Files, and how to read the images in them."""

    files: tuple[File, ...]
    read: Callable[[Sequence[Path]], Images]


class _Images(NamedTuple):
    title: str
    sources: tuple[ImageSource, ...]  # the first that is on this machine, or else can be had, is used
    target_names: tuple[str, ...] | None


_OF_TWO_CLASSES: dict[Reader, Callable[..., Images]] = {
    read_mnist_npz: mnist_npz,
    read_mnist_idx: mnist_idx,
    read_cifar10_binary: cifar10_binary,
    read_cifar10_jpeg: cifar10_jpeg,
}


def _all_classes_of(name: str, *target_names: str) -> _Images:
    """The files of a data set of two classes hold the others as well."""
    task = TASKS[name]
    sources = (ImageSource(source.files, _OF_TWO_CLASSES[source.read]) for source in task.sources)
    return _Images(task.title, tuple(sources), target_names)


_CIFAR100 = File(
    "cifar-100-binary.tar.gz",
    "https://www.cs.toronto.edu/~kriz/cifar-100-binary.tar.gz",
    "md5:03b5dce01913d631647c71ecec9e9cb8",
)
_IMAGES = {
    "mnist": _all_classes_of("mnist", *"0123456789"),
    "cifar10": _all_classes_of(
        *("cifar10", "airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
    ),
    "cifar100": _Images("CIFAR100", (ImageSource((_CIFAR100,), cifar100_binary),), None),
}


def fetch_paper_images(
    name: str, *, data_home: str | os.PathLike[str] | None = None, download_if_missing: bool = True
) -> Any:
    """Load all classes of MNIST, CIFAR10 or CIFAR100, as the paper's Tables 2 and 6 to 8 have them.

    Files are looked for, and downloaded, as by `fetch_paper_dataset`.

    Parameters
    ----------
    name : {"mnist", "cifar10", "cifar100"}
        Which.
    data_home : str or path-like, default=None
        The cache folder, see `fetch_paper_dataset`.
    download_if_missing : bool, default=True
        Whether to download a file that is not on this machine. Without, no network is used.

    Returns
    -------
    bunch : Bunch
        `X_train` and `X_test`: float32, pixels from 0 to 1, (n, 1, 28, 28) or (n, 3, 32, 32); `y_train` and `y_test`:
        int64, from 0, the fine labels of CIFAR100; `target_names`, None for CIFAR100; `name`; `title`; `files`, the
        paths read.

    Raises
    ------
    ValueError
        If `name` is unknown.
    FileNotFoundError
        If a file is missing and cannot be downloaded. The message says which file to put where, and its source.

    See Also
    --------
    fetch_paper_dataset : Two of the classes, for logistic regression.
    """
    if name not in _IMAGES:
        raise ValueError(f"name={name!r} is unknown; use one of {list(_IMAGES)}.")
    title, sources, target_names = _IMAGES[name]
    source, paths = obtain_source(title, sources, cache_folder(data_home), download_if_missing)
    bunch = Bunch(name=name, title=title, files=[str(path) for path in paths])
    bunch.target_names = None if target_names is None else list(target_names)
    for part, (images, labels) in zip(("train", "test"), source.read(paths), strict=True):
        bunch[f"X_{part}"], bunch[f"y_{part}"] = _channels_first(images), labels.astype(np.int64)
    return bunch


def _channels_first(images: NDArray[np.uint8]) -> NDArray[np.float32]:
    images = images[:, None] if images.ndim == 3 else images.transpose(0, 3, 1, 2)
    return np.ascontiguousarray(images, dtype=np.float32) / np.float32(255.0)
