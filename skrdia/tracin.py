"""TracIn: influence from the checkpoints of a net's training, without any inverse Hessian.

With theta_c the parameters after the epochs that were kept, and eta_c the learning rate there,

    phi_ik = sum_c eta_c grad Lv(theta_c) . grad log p_ik(theta_c)          (n, K)

the first-order change of the mean validation loss Lv by the steps of gradient descent on row i with label k, summed
over the checkpoints; positive means harmful. The unit is nats, for one step on the row at each checkpoint.

Reference: Pruthi, Liu, Kale, Sundararajan, "Estimating training data influence by tracing gradient descent", NeurIPS
2020, Eq. (1) and section 3.4.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from skrdia._influence import Influence, check_rows, mean_loss, softened
from skrdia._kernel import Identity, Kernel, Term
from skrdia._shown import shown
from skrdia.views import Options, as_view
from skrdia.views._pipeline import PipelineView

try:
    from skorch.callbacks import Callback

    from skrdia.views._skorch import copy_net
except ImportError as error:
    raise ImportError("skrdia.tracin needs torch and skorch. Install them with: pip install 'skrdia[torch]'") from error

__all__ = ["Checkpoints", "tracin"]


class Checkpoints(Callback):
    """A callback of skorch that keeps the parameters and the learning rate every few epochs, in memory.

    Parameters
    ----------
    every : int, default=1
        Epochs between checkpoints.

    Attributes
    ----------
    checkpoints_ : list of (float, dict)
        Learning rate, that of the optimizer's first group of parameters, and the module's state, after each of these
        epochs.

    See Also
    --------
    tracin : Influence from the checkpoints.
    """

    def __init__(self, every: int = 1) -> None:
        self.every = every

    def initialize(self) -> Checkpoints:
        """Forget the checkpoints of an earlier training.

        Returns
        -------
        self : Checkpoints
        """
        if self.every < 1:
            raise ValueError(f"every={shown(self.every)} must be a positive number of epochs.")
        self.checkpoints_: list[tuple[float, dict[str, Any]]] = []
        return self

    def on_epoch_end(self, net: Any, **kwargs: Any) -> None:
        """Keep a checkpoint, when it is time.

        Parameters
        ----------
        net : NeuralNet
            In training.
        **kwargs : dict
            Ignored.
        """
        if len(net.history) % self.every == 0:
            state = {name: tensor.detach().cpu().clone() for name, tensor in net.module_.state_dict().items()}
            self.checkpoints_.append((float(net.optimizer_.param_groups[0]["lr"]), state))


def tracin(
    estimator: Any,
    X: Any,
    y: ArrayLike,
    X_val: Any,
    y_val: ArrayLike,
    *,
    sample_weight: ArrayLike | None = None,
    parameters: str = "last",
    softening: float = 1.0,
) -> Influence:
    """Influence of every training row, and of every label it could have, traced through the checkpoints of a net.

    Parameters
    ----------
    estimator : NeuralNetClassifier, or a pipeline that ends in one
        Fitted, with a `Checkpoints` among its callbacks.
    X : array-like of shape (n_samples, ...)
        Training rows.
    y : array-like of shape (n_samples,)
        Training labels.
    X_val : array-like of shape (n_val, ...)
        Validation rows.
    y_val : array-like of shape (n_val,)
        Validation labels, correct ones.
    sample_weight : array-like of shape (n_samples,), default=None
        Checked, and otherwise without effect: influences are per unit of weight.
    parameters : str, default="last"
        Parameters whose gradients count: "last" for the last layer, "all", or a pattern of their names.
    softening : float, default=1.0
        Factor on the logits before gradients are taken, see `RDIAClassifier`.

    Returns
    -------
    Influence
        In nats; `diagnostics` holds the number of `checkpoints`.

    Raises
    ------
    ValueError
        If the net has no checkpoints.

    See Also
    --------
    influence : By an inverse Hessian, at the last parameters alone.

    References
    ----------
    .. [1] Pruthi, Liu, Kale, Sundararajan, "Estimating training data influence by tracing gradient descent",
       NeurIPS 2020.

    Examples
    --------
    >>> import torch
    >>> from skorch import NeuralNetClassifier
    >>> from sklearn.datasets import load_iris
    >>> from skrdia.tracin import Checkpoints, tracin
    >>> X, y = load_iris(return_X_y=True)
    >>> X = X.astype("float32")
    >>> net = NeuralNetClassifier(
    ...     torch.nn.Linear(4, 3), criterion=torch.nn.CrossEntropyLoss, callbacks=[Checkpoints(every=5)], verbose=0
    ... ).fit(X, y)
    >>> tracin(net, X, y, X[::10], y[::10]).by_label.shape
    (150, 3)
    """
    options = Options(parameters, softening)
    view = as_view(estimator, options)
    codes, _ = check_rows(view, X, y, sample_weight, "y")
    _, targets_val = check_rows(view, X_val, y_val, None, "y_val")
    fitted = view.linearize(X)
    loss = mean_loss(view.linearize(X_val), targets_val)
    terms = checkpoint_terms(estimator, X, options)
    by_label = Kernel(terms, X_val, targets_val).influences()
    return Influence(
        values=by_label[np.arange(len(codes)), codes],
        by_label=by_label,
        log_proba=fitted.log_proba,
        classes=view.classes_,
        validation_loss=loss,
        diagnostics={"hessian": "tracin", "checkpoints": len(terms)},
    )


def checkpoint_terms(estimator: Any, X: Any, options: Options) -> list[Term]:
    """The rows at every checkpoint of a net, or of a pipeline that ends in one; no softening unless asked for."""
    transforms = []
    while hasattr(estimator, "steps"):
        if len(estimator.steps) > 1:
            transforms.append(estimator[:-1].transform)
            X = transforms[-1](X)
        estimator = estimator.steps[-1][1]
    net = copy_net(estimator)
    options = replace(options, softening=1.0 if options.softening is None else options.softening)
    terms = []
    for rate, state in _checkpoints(estimator):
        net.module_.load_state_dict(state)
        view: Any = as_view(net, options)
        rows = softened(view, X, "X")
        for transform in reversed(transforms):
            view = PipelineView(transform, view)
        terms.append(Term(view, rows, Identity(len(view.theta), rate)))
    return terms


def _checkpoints(net: Any) -> list[tuple[float, dict[str, Any]]]:
    kept = [callback for _, callback in getattr(net, "callbacks_", []) if isinstance(callback, Checkpoints)]
    if not kept or not kept[0].checkpoints_:
        raise ValueError(
            "estimator has no checkpoints. Train it with callbacks=[skrdia.tracin.Checkpoints(every=k)], for at least "
            "k epochs."
        )
    return kept[0].checkpoints_
