"""Histogram of influences or scores, with the threshold."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from skrdia.plotting._fitted import INFLUENCE, check_mask, find, shown_by
from skrdia.plotting._style import CATEGORIES, one_axes
from skrdia.views._base import Array

__all__ = ["InfluenceDistributionDisplay"]

_BINS = (10, 50)


class InfluenceDistributionDisplay:
    """Histogram of the influences of the training rows, with the threshold alpha.

    Use `from_estimator` to make one.

    Parameters
    ----------
    values : ndarray of shape (n_samples,)
        Influences in nats, positive is harmful; nan for rows that have none, which are left out.
    alpha : float, default=None
        The threshold, in the unit of the values.
    wrong : ndarray of shape (n_samples,), default=None
        True for the rows known to have a wrong label: their bars are stacked on those of the others.
    name : str, default="influence (nats)"
        What the values are, with their unit.

    Attributes
    ----------
    bars_ : list of matplotlib BarContainer
        The bars: of all rows, or of rows with the right label and of rows with a wrong one.
    threshold_ : matplotlib Line2D or None
        The line at alpha.
    ax_ : matplotlib Axes
        The axes.
    figure_ : matplotlib Figure
        The figure.

    Examples
    --------
    >>> import numpy as np
    >>> from skrdia.plotting import InfluenceDistributionDisplay
    >>> values, wrong = np.array([-0.1, -0.2, 0.1, 1.5]), np.array([False, False, False, True])
    >>> display = InfluenceDistributionDisplay(values=values, alpha=0.5, wrong=wrong).plot()
    >>> [text.get_text() for text in display.ax_.get_legend().get_texts()]
    ['3 right labels, 0 above alpha', '1 wrong labels, 1 above alpha', 'alpha = 0.5']
    """

    def __init__(
        self,
        *,
        values: Array,
        alpha: float | None = None,
        wrong: NDArray[np.bool_] | None = None,
        name: str = INFLUENCE,
    ) -> None:
        self.values = values
        self.alpha = alpha
        self.wrong = wrong
        self.name = name

    @classmethod
    def from_estimator(
        cls, estimator: Any, *, wrong: ArrayLike | None = None, ax: Any = None, **kwargs: Any
    ) -> InfluenceDistributionDisplay:
        """Draw the influences of a fitted classifier.

        With a number for `alpha` the values are those it was compared with in the first round, and it is marked. With
        ``alpha="auto"`` they are the `influences_`, or without any the `scores_`; candidates have thresholds in units
        of their own, so that none is marked.

        Parameters
        ----------
        estimator : RDIAClassifier, or a pipeline or search with one at its end
            A fitted one.
        wrong : bool array-like of shape (n_samples,), default=None
            True for the rows given to `fit` whose label is known to be wrong.
        ax : matplotlib Axes, default=None
            Where to draw; a new figure when None.
        **kwargs : dict
            For `matplotlib.axes.Axes.hist`.

        Returns
        -------
        display : InfluenceDistributionDisplay
            What was drawn.
        """
        clf, _ = find(estimator, "influences_", "scores_")
        values, name, alpha = shown_by(clf)
        mask = None if wrong is None else check_mask(wrong, len(values), "wrong")
        return cls(values=values, alpha=alpha, wrong=mask, name=name).plot(ax=ax, **kwargs)

    def plot(self, ax: Any = None, **kwargs: Any) -> InfluenceDistributionDisplay:
        """Draw.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; a new figure when None.
        **kwargs : dict
            For `matplotlib.axes.Axes.hist`.

        Returns
        -------
        display : InfluenceDistributionDisplay
            Itself.
        """
        ax = one_axes(ax)
        self.ax_, self.figure_ = ax, ax.figure
        shown = np.isfinite(self.values)
        groups = {"rows": shown}
        if self.wrong is not None:
            groups = {"right labels": shown & ~self.wrong, "wrong labels": shown & self.wrong}
        values = [self.values[group] for group in groups.values()]
        style: dict[str, Any] = {"bins": self._edges(self.values[shown]), "color": list(CATEGORIES[: len(groups)])}
        style |= {"label": [self._legend(name, own) for name, own in zip(groups, values, strict=True)], "stacked": True}
        bars = ax.hist(values, **(style | kwargs))[2]
        self.bars_ = [bars] if len(groups) == 1 else list(bars)
        self.threshold_ = None
        if self.alpha is not None:
            self.threshold_ = ax.axvline(self.alpha, color="black", linestyle="--", label=f"alpha = {self.alpha:g}")
        title = f"Where the {shown.sum()} training rows lie: the farther right, the more suspicious"
        ax.set(xlabel=self.name, ylabel="training rows", title=title)
        ax.legend(loc="upper right", fontsize="small")
        return self

    def _edges(self, values: Array) -> Array:
        """Edges of the bins, one of them at alpha, so that no bar has rows on both sides of it."""
        low, high = values.min(), values.max()
        n_bins = np.clip(len(np.histogram_bin_edges(values, "auto")) - 1, *_BINS)
        width = (high - low) / n_bins or 1.0
        origin = low if self.alpha is None else self.alpha
        first, last = np.floor((low - origin) / width), np.ceil((high - origin) / width)
        return np.asarray(origin + width * np.arange(first, max(last, first + 1) + 1))

    def _legend(self, name: str, values: Array) -> str:
        above = "" if self.alpha is None else f", {(values > self.alpha).sum()} above alpha"
        return f"{len(values)} {name}{above}"
