"""The training rows that harm one validation row most, as images or as lines of a table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from skrdia._rows import as_indexable, take
from skrdia._validation import check_labels
from skrdia.plotting._fitted import dense
from skrdia.plotting._style import SIGNED, literal, one_axes, panels
from skrdia.views._base import Array

__all__ = ["HarmfulRowsDisplay"]

_MAX_COLUMNS = 10
_FAR = 3.0
"""Standard deviations from the mean at which the colours of a table end."""


class HarmfulRowsDisplay:
    """The training rows that harm a validation row most: images as in figure 3 of the paper, or a table of features.

    Use `from_influences` to make one.

    Parameters
    ----------
    rows : ndarray of shape (n_rows,)
        Positions of the training rows, the most harmful first.
    influences : ndarray of shape (n_rows,)
        Their influences on the loss of the validation row, in nats.
    values : ndarray of shape (n_rows, n_features)
        Their features.
    labels : ndarray of shape (n_rows,)
        Their labels as given.
    deviations : ndarray of shape (n_rows, n_features), default=None
        How many standard deviations each feature is from its mean over the training rows; needed for a table. With
        `judged` one more row for it, the first.
    judged : ndarray of shape (n_features,), default=None
        Features of the validation row.
    judged_label : object, default=None
        Its label.
    image_shape : tuple of int, default=None
        Height and width, and for coloured images a 3, of the image that a row is. None shows a table.
    feature_names : list of str of length n_features, default=None
        Names of the columns of the table.

    Attributes
    ----------
    images_ : list of matplotlib AxesImage
        The images, that of the validation row first; or the one of the colours of the table.
    axes_ : ndarray of matplotlib Axes
        The axes of the images, or the one of the table.
    ax_ : matplotlib Axes
        The first of them.
    figure_ : matplotlib Figure
        The figure.

    See Also
    --------
    skrdia.influence_matrix : The influence of every training row on every validation row.

    References
    ----------
    .. [1] Kong, Shen, Huang, "Resolving training biases via influence-based data relabeling", ICLR 2022, Figure 3.

    Examples
    --------
    >>> from sklearn.linear_model import LogisticRegression
    >>> from skrdia import influence_matrix
    >>> from skrdia.datasets import flip_labels, load_breast_cancer_scale
    >>> from skrdia.plotting import HarmfulRowsDisplay
    >>> X, y = load_breast_cancer_scale(return_X_y=True)
    >>> noisy_y, wrong = flip_labels(y[:350], 0.1, random_state=0)
    >>> model = LogisticRegression().fit(X[:350], noisy_y)
    >>> matrix = influence_matrix(model, X[:350], noisy_y, X[350:], y[350:])
    >>> display = HarmfulRowsDisplay.from_influences(matrix, X[:350], noisy_y, row=7, X_val=X[350:], y_val=y[350:])
    >>> wrong[display.rows]
    array([ True,  True,  True,  True,  True])
    """

    def __init__(
        self,
        *,
        rows: NDArray[np.intp],
        influences: Array,
        values: NDArray[Any],
        labels: NDArray[Any],
        deviations: Array | None = None,
        judged: NDArray[Any] | None = None,
        judged_label: Any = None,
        image_shape: tuple[int, ...] | None = None,
        feature_names: Sequence[str] | None = None,
    ) -> None:
        self.rows = rows
        self.influences = influences
        self.values = values
        self.labels = labels
        self.deviations = deviations
        self.judged = judged
        self.judged_label = judged_label
        self.image_shape = image_shape
        self.feature_names = feature_names

    @classmethod
    def from_influences(
        cls,
        influences: ArrayLike,
        X: Any,
        y: ArrayLike,
        *,
        row: int = 0,
        X_val: Any = None,
        y_val: ArrayLike | None = None,
        n_rows: int = 5,
        image_shape: tuple[int, ...] | None = None,
        ax: Any = None,
        **kwargs: Any,
    ) -> HarmfulRowsDisplay:
        """Draw the rows with the largest influences.

        Parameters
        ----------
        influences : array-like of shape (n_samples,) or (n_val, n_samples)
            Influences of the training rows in nats: on one validation row, or on all, as of `skrdia.influence_matrix`.
            A row with nan is not shown; ``np.where(y == label, influences, np.nan)`` keeps to the rows of one label, as
            the paper does.
        X : {array-like, sparse matrix, data frame} of shape (n_samples, n_features)
            Training rows.
        y : array-like of shape (n_samples,)
            Their labels as given.
        row : int, default=0
            Position of the validation row.
        X_val : {array-like, sparse matrix, data frame} of shape (n_val, n_features), default=None
            Validation rows; the one that is harmed is shown first. None shows the harmful ones alone.
        y_val : array-like of shape (n_val,), default=None
            Their labels.
        n_rows : int, default=5
            Training rows to show.
        image_shape : tuple of int, default=None
            Height and width, and for coloured images a 3, of the image that a row is. None shows a table.
        ax : matplotlib Axes, or array of one for each image, default=None
            Where to draw; a new figure when None.
        **kwargs : dict
            For `matplotlib.axes.Axes.imshow`.

        Returns
        -------
        display : HarmfulRowsDisplay
            What was drawn.
        """
        X, labels = as_indexable(X), check_labels(y)
        phi = _of_one_row(influences, row, X.shape[0])
        if n_rows < 1:
            raise ValueError(f"n_rows={n_rows} is too small; use at least 1.")
        if len(labels) != X.shape[0]:
            raise ValueError(f"y has {len(labels)} labels, expected {X.shape[0]}, one per row of X.")
        worst = np.argsort(-phi, kind="stable")[: min(n_rows, int(np.isfinite(phi).sum()))]
        values = dense(take(X, worst))
        judged = None if X_val is None else dense(take(as_indexable(X_val), np.array([row])))[0]
        if image_shape is not None and int(np.prod(image_shape)) != X.shape[1]:
            raise ValueError(f"image_shape={image_shape} does not have the {X.shape[1]} numbers of a row of X.")
        shown = values if judged is None else np.vstack([judged, values])
        return cls(
            rows=worst,
            influences=phi[worst],
            values=values,
            labels=labels[worst],
            deviations=None if image_shape is not None else _deviations(X, shown),
            judged=judged,
            judged_label=None if y_val is None else np.asarray(y_val)[row],
            image_shape=image_shape,
            feature_names=[str(c) for c in X.columns] if hasattr(X, "columns") else None,
        ).plot(ax=ax, **kwargs)

    def plot(self, ax: Any = None, **kwargs: Any) -> HarmfulRowsDisplay:
        """Draw.

        Parameters
        ----------
        ax : matplotlib Axes, or array of one for each image, default=None
            Where to draw; a new figure when None. A single one gives its place to all images.
        **kwargs : dict
            For `matplotlib.axes.Axes.imshow`.

        Returns
        -------
        display : HarmfulRowsDisplay
            Itself.
        """
        shown = self.values if self.judged is None else np.vstack([self.judged, self.values])
        if self.image_shape is None:
            self._draw_table(ax, shown, kwargs)
        else:
            self._draw_images(ax, shown, kwargs)
        self.ax_, self.figure_ = self.axes_[0], self.axes_[0].figure
        return self

    def _titles(self, join: str) -> list[str]:
        titles = [
            join.join([f"row {row}", f"label {literal(label)}", f"{influence:+.3g} nats"])
            for row, label, influence in zip(self.rows, self.labels, self.influences, strict=True)
        ]
        if self.judged is None:
            return titles
        label = "" if self.judged_label is None else f"{join}label {literal(self.judged_label)}"
        return [f"validation row{label}", *titles]

    def _draw_images(self, ax: Any, shown: NDArray[Any], kwargs: dict[str, Any]) -> None:
        assert self.image_shape is not None
        self.axes_ = panels(ax, len(shown), 1.5 * len(shown), 2.2)
        pixels = shown.astype(np.float64)
        low, high = min(0.0, pixels.min()), pixels.max()
        scaled = ((pixels - low) / ((high - low) or 1.0)).reshape(len(shown), *self.image_shape)
        style = {"cmap": "gray_r" if len(self.image_shape) == 2 else None, "vmin": 0.0, "vmax": 1.0} | kwargs
        self.images_ = []
        for axis, image, title in zip(self.axes_, scaled, self._titles("\n"), strict=True):
            self.images_.append(axis.imshow(image, **style))
            axis.set_title(title, fontsize="small")
            axis.set(xticks=[], yticks=[])
        if self.judged is not None:
            self.axes_[0].spines[:].set_linewidth(3.0)  # the one that is harmed

    def _draw_table(self, ax: Any, shown: NDArray[Any], kwargs: dict[str, Any]) -> None:
        if self.deviations is None:
            raise ValueError("deviations is None, but a table needs them for its colours; or pass image_shape.")
        columns = np.sort(np.argsort(-np.abs(self.deviations).mean(axis=0), kind="stable")[:_MAX_COLUMNS])
        names = self.feature_names or [f"feature {i}" for i in range(shown.shape[1])]
        axis = one_axes(ax, 3.6 + 0.75 * len(columns), 1.7 + 0.4 * len(shown))
        style = {"cmap": SIGNED, "vmin": -_FAR, "vmax": _FAR, "aspect": "auto"} | kwargs
        image = axis.imshow(self.deviations[:, columns], **style)
        for (i, j), deviation in np.ndenumerate(self.deviations[:, columns]):
            colour = "white" if abs(deviation) > 0.6 * _FAR else "black"
            text = _text(shown[i, columns[j]])
            axis.text(j, i, text, ha="center", va="center", color=colour, fontsize="small")
        axis.set_xticks(
            range(len(columns)), [literal(names[i]) for i in columns], rotation=30, ha="right", fontsize="small"
        )
        axis.set_yticks(range(len(shown)), self._titles(", "), fontsize="small")
        if self.judged is not None:
            axis.axhline(0.5, color="black", linewidth=2.0)
        some = (
            "" if len(columns) == shown.shape[1] else f", {len(columns)} of {shown.shape[1]} features (the least usual)"
        )
        axis.set_title(f"The {len(self.rows)} most harmful training rows{some}")
        axis.figure.colorbar(image, ax=axis, label="standard deviations\nfrom the mean", extend="both")
        self.axes_, self.images_ = np.array([axis], dtype=object), [image]


def _of_one_row(influences: ArrayLike, row: int, n_samples: int) -> Array:
    phi = np.asarray(influences, dtype=np.float64)
    if phi.ndim not in (1, 2) or phi.shape[-1] != n_samples:
        raise ValueError(f"influences has shape {phi.shape}, expected ({n_samples},) or (n_val, {n_samples}).")
    if phi.ndim == 2 and not 0 <= row < len(phi):
        raise ValueError(f"row={row} is not a position in the {len(phi)} validation rows of influences.")
    phi = phi[row] if phi.ndim == 2 else phi
    if not np.isfinite(phi).any():
        raise ValueError("influences has no finite number for this validation row; there is nothing to show.")
    return phi


def _deviations(X: Any, shown: NDArray[Any]) -> Array:
    """From the mean of each column, in standard deviations; zero in columns that are no numbers or do not vary."""
    deviations = np.zeros(shown.shape)
    everything = dense(X)
    for j in range(shown.shape[1]):
        try:
            column, own = everything[:, j].astype(np.float64), shown[:, j].astype(np.float64)
        except (TypeError, ValueError):
            continue
        spread = np.nanstd(column)
        if spread > 0.0:
            deviations[:, j] = np.nan_to_num((own - np.nanmean(column)) / spread)
    return deviations


def _text(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, (int, float, np.number)) else literal(value)
