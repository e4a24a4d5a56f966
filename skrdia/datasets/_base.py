"""Embedded data."""

from __future__ import annotations

from importlib.resources import as_file, files
from typing import Any

import numpy as np
from sklearn.utils import Bunch

__all__ = ["load_breast_cancer_scale"]


def load_breast_cancer_scale(*, return_X_y: bool = False) -> Any:
    """Load the breast-cancer table of the paper, LIBSVM's breast-cancer_scale.

    Wisconsin breast cancer, original, without its 16 rows of missing values: 683 rows, 10 columns scaled to [-1, 1],
    444 benign and 239 malignant. The paper trains on the first 350 rows in file order, validates on the next 150 and
    tests on the last 183.

    Parameters
    ----------
    return_X_y : bool, default=False
        Return ``(data, target)`` instead of a Bunch.

    Returns
    -------
    bunch : Bunch
        `data` of shape (683, 10), float64; `target` of shape (683,), 0 benign and 1 malignant; `feature_names`;
        `target_names`; `DESCR`.

    References
    ----------
    .. [1] Kong, Shen, Huang, "Resolving training biases via influence-based data relabeling", ICLR 2022, Table 5.

    Examples
    --------
    >>> from skrdia.datasets import load_breast_cancer_scale
    >>> X, y = load_breast_cancer_scale(return_X_y=True)
    >>> X.shape, int(y.sum())
    ((683, 10), 239)
    """
    with as_file(files("skrdia.datasets") / "data" / "breast_cancer_scale.npz") as path, np.load(path) as stored:
        data, target = stored["X"].astype(np.float64), (stored["y"] > 0).astype(np.int64)
        feature_names = stored["feature_names"]
    if return_X_y:
        return data, target
    return Bunch(
        data=data,
        target=target,
        feature_names=feature_names.tolist(),
        target_names=["benign", "malignant"],
        DESCR=load_breast_cancer_scale.__doc__,
    )
