"""The image data sets of the paper's deep models, all ten classes."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import Bunch

from skrdia.datasets._paper import obtain_task
from skrdia.datasets._paper_files import cache_folder
from skrdia.datasets._paper_readers import (
    Images,
    Reader,
    cifar10_binary,
    cifar10_jpeg,
    mnist_idx,
    mnist_npz,
    read_cifar10_binary,
    read_cifar10_jpeg,
    read_mnist_idx,
    read_mnist_npz,
)
from skrdia.datasets._paper_tasks import TASKS

__all__ = ["fetch_paper_images"]

_READERS: dict[Reader, Callable[..., Images]] = {
    read_mnist_npz: mnist_npz,
    read_mnist_idx: mnist_idx,
    read_cifar10_binary: cifar10_binary,
    read_cifar10_jpeg: cifar10_jpeg,
}
_NAMES = {
    "mnist": tuple("0123456789"),
    "cifar10": ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"),
}


def fetch_paper_images(
    name: str, *, data_home: str | os.PathLike[str] | None = None, download_if_missing: bool = True
) -> Any:
    """Load all ten classes of MNIST or CIFAR10, as the paper's Table 2 has them.

    Files are looked for, and downloaded, as by `fetch_paper_dataset`.

    Parameters
    ----------
    name : {"mnist", "cifar10"}
        Which.
    data_home : str or path-like, default=None
        The cache folder, see `fetch_paper_dataset`.
    download_if_missing : bool, default=True
        Whether to download a file that is not on this machine. Without, no network is used.

    Returns
    -------
    bunch : Bunch
        `X_train` and `X_test`: float32, pixels from 0 to 1, (n, 1, 28, 28) or (n, 3, 32, 32); `y_train` and `y_test`:
        int64, 0 to 9; `target_names`; `name`; `title`; `files`, the paths read.

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
    if name not in _NAMES:
        raise ValueError(f"name={name!r} is unknown; use one of {list(_NAMES)}.")
    source, paths = obtain_task(TASKS[name], cache_folder(data_home), download_if_missing)
    bunch = Bunch(name=name, title=TASKS[name].title, target_names=list(_NAMES[name]))
    bunch.files = [str(path) for path in paths]
    for part, (images, labels) in zip(("train", "test"), _READERS[source.read](paths), strict=True):
        bunch[f"X_{part}"], bunch[f"y_{part}"] = _channels_first(images), labels.astype(np.int64)
    return bunch


def _channels_first(images: NDArray[np.uint8]) -> NDArray[np.float32]:
    images = images[:, None] if images.ndim == 3 else images.transpose(0, 3, 1, 2)
    return np.ascontiguousarray(images, dtype=np.float32) / np.float32(255.0)
