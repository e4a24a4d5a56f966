"""Training scikit-learn's MLPClassifier on targets (n, K), each row once.

With w_i = sum_k Y_ik, the objective on a batch of rows is

    loss = - sum_i w_i sum_k (Y_ik / w_i) log p_ik / sum_i w_i  +  alpha |W|^2 / (2 sum_i w_i)

which for hard labels is that of `fit` with w as its sample weights. A row for each positive entry instead, weighted by
it, has the same sum over all rows, but not over a batch: batches then differ in weight, and their mean loss, by which
the net decides when to stop, is mostly chance.

scikit-learn's own loop does the training, with its own stopping rule; for its duration the net takes targets for
labels, see `skrdia._sklearn.taking_targets`. Rows of zeros are left out, and so are classes without any weight.
"""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state

from skrdia._sklearn import _safe_indexing, forget_best_loss, taking_targets
from skrdia.views._base import Array

__all__ = ["fit_targets", "train_on"]


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
    net : MLPClassifier
        Not changed.
    X : {array-like, sparse matrix, data frame} of shape (n, d)
        Rows.
    targets : array of shape (n, K)
        Their targets.
    classes : array of shape (K,)
        The labels.
    judges : (X_val, targets_val) or None
        Not used: the net has a stopping rule of its own.
    start : MLPClassifier or None
        A trained net with the same layers and classes to begin at.
    seed : int or None
        Makes the training of a net without a `random_state` of its own deterministic.

    Returns
    -------
    MLPClassifier
    """
    present = targets.any(axis=0)
    fitted = clone(net) if start is None else _begin_at(start, net, classes[present])
    random_state = seed if fitted.random_state is None else fitted.random_state
    with _for_a_while(fitted, random_state=random_state, warm_start=start is not None):
        _step(fitted, fitted.fit, X, targets[:, present], classes[present])
    return fitted


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
    """A copy of a fitted net, trained for some epochs more; those of "lbfgs" are fits of one iteration.

    `on_epoch` is called with the copy after every epoch.
    """
    _check_classes(net, classes[targets.any(axis=0)], all_of_them=False)
    net, known = copy.deepcopy(net), np.isin(classes, net.classes_)
    best_loss = getattr(net, "best_loss_", np.inf)
    random_state = seed if net.random_state is None else net.random_state
    params: dict[str, Any] = {"random_state": check_random_state(random_state)}  # one for all epochs
    if net.solver == "lbfgs":
        params |= {"warm_start": True, "max_iter": 1}
    else:
        params["early_stopping"] = False  # which `partial_fit` refuses
        net.best_loss_ = np.inf if best_loss is None else best_loss
    with _for_a_while(net, **params):
        for _ in range(n_epochs):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", ConvergenceWarning)
                step = net.fit if net.solver == "lbfgs" else net.partial_fit
                _step(net, step, X, targets[:, known], net.classes_)
            on_epoch(net)
    if best_loss is None:
        net.best_loss_ = None
    return net


def _begin_at(start: Any, net: Any, classes: NDArray[Any]) -> Any:
    """A copy of a trained net, with the parameters of another."""
    _check_classes(start, classes)
    fitted = copy.deepcopy(start).set_params(**clone(net).get_params(deep=False))
    forget_best_loss(fitted)
    return fitted


def _step(net: Any, step: Callable[..., Any], X: Any, targets: Array, classes: NDArray[Any]) -> None:
    """`fit` or `partial_fit` on targets; without weights other than one, none are passed on, as for hard labels."""
    rows = np.flatnonzero(targets.any(axis=1))
    X, targets = (X if len(rows) == len(targets) else _safe_indexing(X, rows)), targets[rows]
    weight = targets.sum(axis=1)
    with taking_targets(net, classes):
        step(X, targets / weight[:, None], **({} if (weight == 1.0).all() else {"sample_weight": weight}))


@contextmanager
def _for_a_while(net: Any, **params: Any) -> Iterator[None]:
    own = {name: getattr(net, name) for name in params}
    net.set_params(**params)
    try:
        yield
    finally:
        net.set_params(**own)


def _check_classes(net: Any, classes: NDArray[Any], all_of_them: bool = True) -> None:
    unknown = np.setdiff1d(classes, net.classes_)
    if len(unknown) or (all_of_them and len(classes) < len(net.classes_)):
        raise ValueError(
            f"the net was trained on the classes {net.classes_[:10].tolist()}, and is to go on with "
            f"{classes[:10].tolist()}. Train it from scratch, without warm_start."
        )
