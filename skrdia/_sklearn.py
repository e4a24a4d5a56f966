"""The only module that uses private names of scikit-learn, or hides a difference between its versions."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import _fit_context
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import LabelBinarizer
from sklearn.utils import _safe_indexing
from sklearn.utils._openmp_helpers import _openmp_effective_n_threads
from sklearn.utils._param_validation import HasMethods, Interval, StrOptions
from sklearn.utils.parallel import _get_threadpool_controller
from sklearn.utils.validation import _num_samples, validate_data

__all__ = [
    "HasMethods",
    "Interval",
    "StrOptions",
    "_fit_context",
    "_get_threadpool_controller",
    "_num_samples",
    "_openmp_effective_n_threads",
    "_safe_indexing",
    "forget_best_loss",
    "taking_targets",
]


@contextmanager
def taking_targets(net: Any, classes: NDArray[Any]) -> Iterator[None]:
    """For a while, `fit` and `partial_fit` of an MLPClassifier take targets (n, K) as y, whose rows sum to one.

    Its backpropagation takes a matrix of targets anyway: that of the encoded labels. `classes` (K,) are those of the
    columns; a net that has been fitted before must have the same.
    """
    binarizer = LabelBinarizer().fit(classes)

    def validate_input(X: Any, y: Any, incremental: bool, reset: bool) -> tuple[Any, Any]:
        X = validate_data(net, X, accept_sparse=["csr", "csc"], dtype=(np.float64, np.float32), reset=reset)
        if reset:
            net._label_binarizer, net.classes_ = binarizer, binarizer.classes_
        is_hard = np.isin(y, (0.0, 1.0)).all()
        encoded = y if len(classes) > 2 else 1.0 - y[:, :1]  # one logistic output, for the second of two classes
        return X, encoded.astype(bool if is_hard else X.dtype, copy=False)  # bool as for labels: in float32 it matters

    replaced: dict[str, Callable[..., Any]] = {"_validate_input": validate_input}
    if net.early_stopping and len(classes) <= 2:
        replaced["_fit_stochastic"] = _split_by_likelier_label(net)
    vars(net).update(replaced)
    try:
        yield
    finally:
        for name in replaced:
            delattr(net, name)


def _split_by_likelier_label(net: Any) -> Callable[..., None]:
    """Training with early stopping on targets of two classes, whose split scikit-learn would stratify by their values.

    The split is made here, and the net's own loop trains on one part and counts by the other.
    """
    fit_stochastic, count = net._fit_stochastic, net._update_no_improvement_count

    def fit(X: Any, y: Any, sample_weight: Any, *args: Any) -> None:
        arrays = [X, y] if sample_weight is None else [X, y, sample_weight]
        X, X_val, y, y_val, *weights = train_test_split(
            *arrays, random_state=net._random_state, test_size=net.validation_fraction, stratify=y > 0.5
        )
        weight, weight_val = weights or (None, None)
        judges = X_val, net._label_binarizer.inverse_transform(y_val), weight_val
        net._update_no_improvement_count = lambda *_: count(True, *judges)
        net.early_stopping = False
        try:
            fit_stochastic(X, y, weight, *args)
        finally:
            net.early_stopping = True
            del net._update_no_improvement_count
        net.coefs_, net.intercepts_ = net._best_coefs, net._best_intercepts

    return fit


def forget_best_loss(net: Any) -> None:
    """Let the stopping rule of a fitted MLPClassifier start afresh, since other targets have another best loss."""
    net._no_improvement_count = 0
    net.best_loss_, net.best_validation_score_ = (None, -np.inf) if net.early_stopping else (np.inf, None)
