"""Influence of every training row on every validation row, and of moving its features.

With the kernel of `skrdia._kernel`, M (n_val, n) in nats,

    up             M_ji                                     up-weighting row i changes the loss of row j by M_ji / n
    perturbation   d M_ji / d x_i                           (n_val, n, d), nats per unit of a feature

M_ji depends on x_i through the gradient of the loss of row i alone. Moving x_i by delta moves the minimum of the
objective by -H^-1 (d g_i / d x_i) delta w_i / n, so that it changes the loss of validation row j by
w_i / n times the entries (j, i) times delta, to first order.

Reference: Koh, Liang, "Understanding black-box predictions via influence functions", ICML 2017, Eq. (2) and (5).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils import gen_batches

from skrdia._influence import check_rows, loss_gradients
from skrdia._kernel import BLOCK_NUMBERS, Kernel, newton_term
from skrdia._validation import one_hot
from skrdia.solvers import Solution
from skrdia.views import Options, as_view
from skrdia.views._base import Array

__all__ = ["influence_matrix"]


def influence_matrix(
    estimator: Any,
    X: Any,
    y: ArrayLike,
    X_val: Any,
    y_val: ArrayLike,
    *,
    mode: str = "up",
    sample_weight: ArrayLike | None = None,
    hessian: str | Callable[..., Solution] = "newton-cg",
    random_state: Any = None,
    parameters: str | None = None,
    softening: float | None = None,
    damping: float | None = None,
    out: Any = None,
) -> Any:
    """Influence of every training row, or of moving it, on the loss of every validation row.

    `influence` is the faster way to the mean over validation rows.

    Parameters
    ----------
    estimator : classifier
        Fitted on `X`, `y` and `sample_weight`. Any type that `RDIAClassifier` takes as `base_estimator`.
    X : {array-like, sparse matrix, data frame} of shape (n_samples, n_features)
        Training rows.
    y : array-like of shape (n_samples,)
        Training labels.
    X_val : {array-like, sparse matrix, data frame} of shape (n_val, n_features)
        Validation rows.
    y_val : array-like of shape (n_val,)
        Validation labels.
    mode : {"up", "perturbation"}, default="up"
        "up" is the influence of more weight on the row; "perturbation", of larger features. The latter needs a
        logistic regression or a net of skorch; the features are those that the last step of a pipeline gets.
    sample_weight : array-like of shape (n_samples,), default=None
        The weights the estimator was fitted with.
    hessian : {"newton-cg", "direct", "lissa", "ekfac", "identity"} or callable, default="newton-cg"
        How the inverse Hessian is applied, see `skrdia.solvers`. One factorisation serves all validation rows with
        "direct", and with "newton-cg" for a linear model of at most 8,192 parameters.
    random_state : int, RandomState instance or None, default=None
        For "lissa".
    parameters : str, default=None
        For a net, the parameters whose influence is meant: "last", those of its last layer, also when None; "all"; or a
        pattern of their names, such as "layers.2.*".
    softening : float, default=None
        Factor on the logits before gradients and curvature are taken, see `RDIAClassifier`. None is 0.2 for nets and 1
        for other models.
    damping : float, default=None
        Added to the diagonal of the mean Hessian. None is a thousandth of the trace for nets and 0 for other models.
    out : array of the shape of the result, default=None
        Filled block by block and returned; anything that takes ``out[i:j] = block``, such as a `numpy.memmap` or an
        array of zarr, for results larger than memory.

    Returns
    -------
    matrix : ndarray of shape (n_val, n_samples), or (n_val, n_samples, ...) with the shape of a row, or `out`
        For "up", entry (j, i) is the influence of training row i, as labelled, on the loss of validation row j, in
        nats; positive means harmful. The mean over j is ``influence(...).values``. For "perturbation", entry (j, i) is
        its gradient with respect to the features of row i, in nats per unit; positive means that a larger feature
        raises the loss.

    Raises
    ------
    TypeError
        If the estimator's type is not supported, or not with this mode.
    ValueError
        If an argument is malformed; the message names it.

    See Also
    --------
    influence : The influence on the mean loss, for every label.
    skrdia.signals.score : Signals of wrong labels and anomalies that are made of these influences.

    References
    ----------
    .. [1] Koh, Liang, "Understanding black-box predictions via influence functions", ICML 2017, Eq. (2) and (5).

    Examples
    --------
    >>> from sklearn.linear_model import LogisticRegression
    >>> from skrdia import influence_matrix
    >>> X, y = [[-2.0], [-1.0], [1.0], [2.0]], [0, 0, 1, 1]
    >>> model = LogisticRegression().fit(X, y)
    >>> influence_matrix(model, X, y, X_val=[[-1.5], [1.5], [0.5]], y_val=[0, 1, 1]).shape
    (3, 4)
    >>> influence_matrix(model, X, y, [[-1.5], [1.5], [0.5]], [0, 1, 1], mode="perturbation").shape
    (3, 4, 1)
    """
    if mode not in ("up", "perturbation"):
        raise ValueError(f"mode={mode!r} is unknown; use 'up' or 'perturbation'.")
    view = as_view(estimator, Options(parameters, softening, damping, to_inputs=mode == "perturbation"))
    codes, targets = check_rows(view, X, y, sample_weight, "y")
    _, targets_val = check_rows(view, X_val, y_val, None, "y_val")
    term = newton_term(view, X, targets, hessian, random_state, n_trained=len(codes))
    kernel, given = Kernel([term], X_val, targets_val), one_hot(codes, len(view.classes_))
    if mode == "up":
        out = _checked(out, (len(targets_val), len(codes)))
        into = out if isinstance(out, np.ndarray) and out.flags.c_contiguous and out.dtype == np.float64 else None
        for rows, block in kernel.matrix(given, out=into):
            if into is None:
                out[rows] = block
        return out
    return _perturbation(kernel, given, out, type(estimator).__name__)


def _perturbation(kernel: Kernel, given: Array, out: Any, name: str) -> Any:
    term, val, targets_val = kernel.terms[0], kernel.judges[0], kernel.targets_val
    if not hasattr(term.rows, "input_gradients"):
        raise TypeError(
            f"mode='perturbation' is not supported for {name}: it needs the gradient of the loss with respect to the "
            "features. Use LogisticRegression, SGDClassifier, or a net of skorch, alone or at the end of a pipeline."
        )
    shape = (len(targets_val), *term.rows.shape)
    out = _checked(out, shape)
    for block in gen_batches(shape[0], max(1, BLOCK_NUMBERS // int(np.prod(shape[1:])))):
        gradients = loss_gradients(val, targets_val, np.arange(block.start, block.stop))
        out[block] = term.rows.input_gradients(term.inverse.solve(gradients.T), given)
    return out


def _checked(out: Any, shape: tuple[int, ...]) -> Any:
    if out is None:
        return np.empty(shape)
    if tuple(getattr(out, "shape", ())) != shape:
        raise ValueError(f"out has shape {getattr(out, 'shape', None)}, expected {shape}, that of the result.")
    return out
