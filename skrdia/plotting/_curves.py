"""Losses as curves: over the share of noise, and over the epochs of a net."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from skrdia.plotting._fitted import find
from skrdia.plotting._style import BEFORE_AFTER, CATEGORIES, LINES, MARKERS, literal, one_axes
from skrdia.views._base import Array

__all__ = ["LossCurvesDisplay", "NoiseCurvesDisplay"]


class NoiseCurvesDisplay:
    """Test loss of several methods over the share of wrong labels, as in figure 2 of the paper.

    Use `from_losses` to make one.

    Parameters
    ----------
    noise : ndarray of shape (n_noise,)
        Shares of wrong labels, between 0 and 1.
    mean : ndarray of shape (n_methods, n_noise)
        Mean test loss in nats.
    deviation : ndarray of shape (n_methods, n_noise)
        Its standard deviation over the runs; zero for a single run.
    methods : list of str of length n_methods
        Names of the methods.

    Attributes
    ----------
    lines_ : list of matplotlib Line2D
        The means.
    bands_ : list of matplotlib PolyCollection
        A standard deviation to both sides.
    ax_ : matplotlib Axes
        The axes.
    figure_ : matplotlib Figure
        The figure.

    References
    ----------
    .. [1] Kong, Shen, Huang, "Resolving training biases via influence-based data relabeling", ICLR 2022, Figure 2.

    Examples
    --------
    >>> from skrdia.plotting import NoiseCurvesDisplay
    >>> losses = {"as given": [[0.2, 0.3], [0.5, 0.7]], "repaired": [[0.2, 0.2], [0.3, 0.3]]}
    >>> NoiseCurvesDisplay.from_losses([0.0, 0.4], losses).mean
    array([[0.25, 0.6 ],
           [0.2 , 0.3 ]])
    """

    def __init__(self, *, noise: Array, mean: Array, deviation: Array, methods: Sequence[str]) -> None:
        self.noise = noise
        self.mean = mean
        self.deviation = deviation
        self.methods = methods

    @classmethod
    def from_losses(
        cls, noise: ArrayLike, losses: Mapping[str, ArrayLike], *, ax: Any = None, **kwargs: Any
    ) -> NoiseCurvesDisplay:
        """Draw losses of several runs.

        Parameters
        ----------
        noise : array-like of shape (n_noise,)
            Shares of wrong labels, between 0 and 1.
        losses : dict of array-like of shape (n_noise, n_runs) or (n_noise,)
            For each method its test losses in nats.
        ax : matplotlib Axes, default=None
            Where to draw; a new figure when None.
        **kwargs : dict
            For `matplotlib.axes.Axes.plot`.

        Returns
        -------
        display : NoiseCurvesDisplay
            What was drawn.
        """
        shares = np.asarray(noise, dtype=np.float64)
        runs = []
        for name, values in losses.items():
            own = np.asarray(values, dtype=np.float64)
            if own.ndim not in (1, 2) or own.shape[0] != len(shares):
                raise ValueError(
                    f"losses[{name!r}] has shape {own.shape}, expected ({len(shares)}, n_runs): a row for each entry "
                    "of noise."
                )
            runs.append(own.reshape(len(shares), -1))
        if not runs:
            raise ValueError("losses has no method; pass a dict of at least one.")
        mean, deviation = (np.array([f(own, axis=1) for own in runs]) for f in (np.mean, np.std))
        return cls(noise=shares, mean=mean, deviation=deviation, methods=list(losses)).plot(ax=ax, **kwargs)

    def plot(self, ax: Any = None, **kwargs: Any) -> NoiseCurvesDisplay:
        """Draw.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; a new figure when None.
        **kwargs : dict
            For `matplotlib.axes.Axes.plot`.

        Returns
        -------
        display : NoiseCurvesDisplay
            Itself.
        """
        ax = one_axes(ax)
        self.ax_, self.figure_ = ax, ax.figure
        self.lines_, self.bands_ = [], []
        for i, (method, mean, deviation) in enumerate(zip(self.methods, self.mean, self.deviation, strict=True)):
            style = {"color": CATEGORIES[i % len(CATEGORIES)], "marker": MARKERS[i % len(MARKERS)]}
            style |= {"label": literal(method), "linestyle": LINES[i % len(LINES)]}
            self.lines_ += ax.plot(self.noise, mean, **(style | kwargs))
            band = ax.fill_between(self.noise, mean - deviation, mean + deviation, color=style["color"], alpha=0.18)
            band.set_linewidth(0.0)
            self.bands_.append(band)
        ax.xaxis.set_major_formatter(lambda share, _: f"{share:.0%}")
        ax.set(xlabel="share of wrong labels", ylabel="test log loss (nats)", title="Test loss under label noise")
        ax.legend()
        return self


class LossCurvesDisplay:
    """Training and validation loss of a net over the epochs.

    Use `from_estimator` to make one.

    Parameters
    ----------
    train_loss : ndarray of shape (n_epochs,)
        In nats, with the penalty where the net adds it to its loss.
    valid_loss : ndarray of shape (n_epochs,), default=None
        In nats; nan for epochs without.

    Attributes
    ----------
    lines_ : list of matplotlib Line2D
        The training loss, and the validation loss where there is one.
    best_ : matplotlib Line2D or None
        The line at the epoch with the lowest validation loss.
    ax_ : matplotlib Axes
        The axes.
    figure_ : matplotlib Figure
        The figure.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.neural_network import MLPClassifier
    >>> from skrdia.plotting import LossCurvesDisplay
    >>> X, y = load_iris(return_X_y=True)
    >>> net = MLPClassifier((8,), learning_rate_init=0.02, max_iter=500, random_state=0).fit(X, y)
    >>> LossCurvesDisplay.from_estimator(net).train_loss.shape == (net.n_iter_,)
    True
    """

    def __init__(self, *, train_loss: Array, valid_loss: Array | None = None) -> None:
        self.train_loss = train_loss
        self.valid_loss = valid_loss

    @classmethod
    def from_estimator(cls, estimator: Any, *, ax: Any = None, **kwargs: Any) -> LossCurvesDisplay:
        """Draw the losses of a fitted net.

        Parameters
        ----------
        estimator : MLPClassifier, net of skorch, or a pipeline, search or RDIAClassifier with one in it
            A fitted one. Of an `RDIAClassifier`, the final fit; pass its `base_estimator_` for the first one.
        ax : matplotlib Axes, default=None
            Where to draw; a new figure when None.
        **kwargs : dict
            For `matplotlib.axes.Axes.plot`.

        Returns
        -------
        display : LossCurvesDisplay
            What was drawn.
        """
        net, _ = find(estimator)
        while not _has_curve(net):
            net = _inside(net, estimator)
        if hasattr(net, "loss_curve_"):
            return cls(train_loss=np.asarray(net.loss_curve_)).plot(ax=ax, **kwargs)
        train, valid = (np.array([e.get(f"{s}_loss", np.nan) for e in net.history]) for s in ("train", "valid"))
        return cls(train_loss=train, valid_loss=None if np.isnan(valid).all() else valid).plot(ax=ax, **kwargs)

    def plot(self, ax: Any = None, **kwargs: Any) -> LossCurvesDisplay:
        """Draw.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; a new figure when None.
        **kwargs : dict
            For `matplotlib.axes.Axes.plot`.

        Returns
        -------
        display : LossCurvesDisplay
            Itself.
        """
        ax = one_axes(ax)
        self.ax_, self.figure_, self.best_ = ax, ax.figure, None
        epochs = np.arange(1, len(self.train_loss) + 1)
        self.lines_ = ax.plot(epochs, self.train_loss, **({"color": BEFORE_AFTER[1], "label": "training"} | kwargs))
        if self.valid_loss is not None:
            style = {"color": BEFORE_AFTER[0], "linestyle": "--", "label": "validation"} | kwargs
            self.lines_ += ax.plot(epochs, self.valid_loss, **style)
            best = epochs[np.nanargmin(self.valid_loss)]
            self.best_ = ax.axvline(best, color="black", linestyle=":", label=f"lowest validation loss: epoch {best}")
        ax.xaxis.get_major_locator().set_params(integer=True)
        ax.set(xlabel="epoch", ylabel="loss (nats)", title=f"Loss over {len(epochs)} epochs of training")
        ax.legend()
        return self


def _has_curve(net: Any) -> bool:
    history = getattr(net, "history", None)
    return hasattr(net, "loss_curve_") or bool(history and "train_loss" in history[-1])


def _inside(model: Any, estimator: Any) -> Any:
    """The net in a pipeline, a search, an RDIAClassifier, or a wrapper."""
    if hasattr(model, "steps"):
        return model.steps[-1][1]
    for name in ("best_estimator_", "estimator_", "estimator"):
        if hasattr(model, name):
            return getattr(model, name)
    raise TypeError(
        f"estimator={estimator!r} has no loss_curve_ and no history of epochs. Pass a net of skorch, or an "
        "MLPClassifier with solver 'adam' or 'sgd'; the third solver has no epochs."
    )
