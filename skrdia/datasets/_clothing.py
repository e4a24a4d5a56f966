"""Clothing1M: a million photographs of clothes whose labels were read off their captions, and some checked ones."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.utils import Bunch

from skrdia.datasets._paper_files import cache_folder

__all__ = ["fetch_clothing1m"]

_PARTS = {
    "train": ("noisy_train_key_list.txt", "noisy_label_kv.txt"),
    "train_clean": ("clean_train_key_list.txt", "clean_label_kv.txt"),
    "val": ("clean_val_key_list.txt", "clean_label_kv.txt"),
    "test": ("clean_test_key_list.txt", "clean_label_kv.txt"),
}
_NAMES = "category_names_eng.txt"
_FOLDER = "clothing1m"


def fetch_clothing1m(*, data_home: str | os.PathLike[str] | None = None) -> Any:
    """List the images of Clothing1M and their labels, as the paper's Table 9 has them.

    The images are given out by their authors on request, so nothing is downloaded. The folder "clothing1m" is looked
    for in the one that the environment variable SKRDIA_DATA names, and in the cache folder; it has the lists of the
    release (`noisy_train_key_list.txt` and so on), and the images below the names in them.

    Parameters
    ----------
    data_home : str or path-like, default=None
        The cache folder, see `fetch_paper_dataset`.

    Returns
    -------
    bunch : Bunch
        For "train" (labels from captions), "train_clean", "val" and "test" (checked labels): `files_train` and so on,
        str (n,), paths of JPEG images; `y_train` and so on, int64, 0 to 13. `target_names`.

    Raises
    ------
    FileNotFoundError
        If a list or the first image of a part is missing. The message says where it was looked for.
    ValueError
        If an image of a list has no label.

    References
    ----------
    Xiao et al., "Learning from massive noisy labeled data for image classification", CVPR 2015.
    """
    own = os.environ.get("SKRDIA_DATA")
    places = [Path(own) / _FOLDER] if own else []
    places.append(cache_folder(data_home) / _FOLDER)
    folder = next((place for place in places if place.is_dir()), None)
    if folder is None:
        raise FileNotFoundError(
            f"Clothing1M is not on this machine: there is no folder {' or '.join(map(str, places))}. Ask its authors "
            "for it (github.com/Cysu/noisy_label), and unpack lists and images into such a folder."
        )
    bunch = Bunch(target_names=_read(folder / _NAMES))
    for part, (keys, labels) in _PARTS.items():
        names = _read(folder / keys)
        by_name = dict(line.rsplit(maxsplit=1) for line in _read(folder / labels))
        bare = [name for name in names if name not in by_name]
        if bare:
            raise ValueError(f"{folder / labels} has no label of {bare[0]}, which is in {keys}. Unpack both again.")
        if names and not (folder / names[0]).is_file():
            raise FileNotFoundError(f"{folder / names[0]} is missing; {keys} lists it. Unpack the images there.")
        bunch[f"files_{part}"] = np.array([str(folder / name) for name in names])
        bunch[f"y_{part}"] = np.array([int(by_name[name]) for name in names], dtype=np.int64)
    return bunch


def _read(path: Path) -> list[str]:
    if not path.is_file():
        raise FileNotFoundError(f"{path} is missing; it is part of Clothing1M. Unpack it there.")
    return [line.strip() for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
