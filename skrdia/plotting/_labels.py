"""From which label to which: counts of labels before and after repair."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from skrdia._validation import check_labels, encode
from skrdia.plotting._fitted import check_mask, check_n_rows, find
from skrdia.plotting._style import POSITIVE, literal, panels

__all__ = ["LabelTransitionDisplay"]

_DROPPED = "dropped"
_LONGEST = 24
"""Characters of a label that are shown."""

_MAX_SHARES = 6
"""Classes up to which a cell has room for its share beside its count; the colour shows it in any case."""


class LabelTransitionDisplay:
    """How many rows of each label have which label after repair.

    Use `from_estimator` or `from_labels` to make one.

    Parameters
    ----------
    after : ndarray of shape (n_classes, n_classes) or (n_classes, n_classes + 1)
        Rows by their label as given, or where `before` is given by their right label, and by the label after repair.
        A last column counts dropped rows.
    before : ndarray of shape (n_classes, n_classes), default=None
        Rows by right label and label as given.
    labels : ndarray of shape (n_classes,)
        The labels.

    Attributes
    ----------
    images_ : list of matplotlib AxesImage
        The matrix before where there is one, and the matrix after; colours are shares of the row.
    axes_ : ndarray of matplotlib Axes
        The axes of the two.
    ax_ : matplotlib Axes
        The last of them.
    figure_ : matplotlib Figure
        The figure.

    See Also
    --------
    sklearn.metrics.ConfusionMatrixDisplay : Right labels against predictions.

    Examples
    --------
    >>> from skrdia.plotting import LabelTransitionDisplay
    >>> given, repaired = ["a", "a", "b", "b"], ["a", "b", "b", "b"]
    >>> LabelTransitionDisplay.from_labels(given, repaired).after
    array([[1, 1],
           [0, 2]])
    """

    def __init__(
        self, *, after: NDArray[np.intp], before: NDArray[np.intp] | None = None, labels: NDArray[Any]
    ) -> None:
        self.after = after
        self.before = before
        self.labels = labels

    @classmethod
    def from_estimator(
        cls, estimator: Any, y: ArrayLike, *, y_true: ArrayLike | None = None, ax: Any = None, **kwargs: Any
    ) -> LabelTransitionDisplay:
        """Draw what a fitted classifier made of the labels of its training rows, without its validation rows.

        Parameters
        ----------
        estimator : RDIAClassifier or RDIALSClassifier, or a pipeline or search with one at its end
            A fitted one.
        y : array-like of shape (n_samples,)
            The labels given to `fit`.
        y_true : array-like of shape (n_samples,), default=None
            The right ones, where they are known.
        ax : matplotlib Axes, or array of two with `y_true`, default=None
            Where to draw; a new figure when None.
        **kwargs : dict
            For `matplotlib.axes.Axes.imshow`.

        Returns
        -------
        display : LabelTransitionDisplay
            What was drawn.
        """
        clf, _ = find(estimator, "relabeled_y_", "harmful_mask_", what="RDIAClassifier or RDIALSClassifier")
        given, repaired = check_labels(y), np.asarray(clf.relabeled_y_)
        check_n_rows(given, len(repaired), "y")
        train = ~getattr(clf, "validation_mask_", np.zeros(len(given), dtype=bool))
        targets = getattr(clf, "targets_", None)
        dropped = None if targets is None else ~targets[train].any(axis=1)
        truth = None if y_true is None else check_labels(y_true, "y_true")
        if truth is not None:
            check_n_rows(truth, len(given), "y_true")
            truth = truth[train]
        return cls.from_labels(given[train], repaired[train], y_true=truth, dropped=dropped, ax=ax, **kwargs)

    @classmethod
    def from_labels(
        cls,
        y: ArrayLike,
        y_repaired: ArrayLike,
        *,
        y_true: ArrayLike | None = None,
        dropped: ArrayLike | None = None,
        ax: Any = None,
        **kwargs: Any,
    ) -> LabelTransitionDisplay:
        """Draw labels before and after repair.

        Parameters
        ----------
        y : array-like of shape (n_samples,)
            Labels as given.
        y_repaired : array-like of shape (n_samples,)
            Labels after repair.
        y_true : array-like of shape (n_samples,), default=None
            Right labels, where they are known.
        dropped : bool array-like of shape (n_samples,), default=None
            True for rows that the repair left out.
        ax : matplotlib Axes, or array of two with `y_true`, default=None
            Where to draw; a new figure when None.
        **kwargs : dict
            For `matplotlib.axes.Axes.imshow`.

        Returns
        -------
        display : LabelTransitionDisplay
            What was drawn.
        """
        given, repaired = check_labels(y), check_labels(y_repaired, "y_repaired")
        truth = given if y_true is None else check_labels(y_true, "y_true")
        for name, array in (("y_repaired", repaired), ("y_true", truth)):
            if len(array) != len(given):
                raise ValueError(f"{name} has {len(array)} labels, expected {len(given)}, as many as y.")
        labels = np.unique(np.concatenate([given, repaired, truth]))
        codes = encode(repaired, labels, "y_repaired")
        if dropped is not None and np.any(dropped):
            codes = np.where(check_mask(dropped, len(given), "dropped"), len(labels), codes)
        rows = encode(truth, labels, "y_true")
        after = _counts(rows, codes, len(labels))
        before = None if y_true is None else _counts(rows, encode(given, labels, "y"), len(labels))
        return cls(after=after, before=before, labels=labels).plot(ax=ax, **kwargs)

    def plot(self, ax: Any = None, **kwargs: Any) -> LabelTransitionDisplay:
        """Draw.

        Parameters
        ----------
        ax : matplotlib Axes, or array of two where there is a matrix before, default=None
            Where to draw; a new figure when None. A single one gives its place to the two.
        **kwargs : dict
            For `matplotlib.axes.Axes.imshow`.

        Returns
        -------
        display : LabelTransitionDisplay
            Itself.
        """
        matrices = [self.after] if self.before is None else [self.before, self.after]
        size = 1.8 + 0.4 * max(6, len(self.labels))
        self.axes_ = panels(ax, len(matrices), (size + 0.5) * len(matrices), size)
        self.ax_, self.figure_ = self.axes_[-1], self.axes_[-1].figure
        names = ["label after repair"] if self.before is None else ["label as given", "label after repair"]
        self.images_ = [self._draw(*each, kwargs) for each in zip(self.axes_, matrices, names, strict=True)]
        self.axes_[0].set_ylabel("label as given" if self.before is None else "right label")
        self.figure_.colorbar(self.images_[-1], ax=list(self.axes_), label="share of the row")
        return self

    def _draw(self, ax: Any, counts: NDArray[np.intp], name: str, kwargs: dict[str, Any]) -> Any:
        shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
        image = ax.imshow(shares, **({"cmap": POSITIVE, "aspect": "auto", "vmin": 0.0, "vmax": 1.0} | kwargs))
        for (i, j), share in np.ndenumerate(shares):
            text = f"{counts[i, j]}\n{share:.0%}" if len(self.labels) <= _MAX_SHARES else str(counts[i, j])
            ax.text(j, i, text, ha="center", va="center", color="black" if share > 0.6 else "white", fontsize="small")
        names = [literal(label, _LONGEST) for label in self.labels]
        columns = [*names, *([_DROPPED] if counts.shape[1] > len(self.labels) else [])]
        ax.set_xticks(range(len(columns)), columns, rotation=45 if max(map(len, columns)) > 5 else 0)
        ax.set_yticks(range(len(names)), names)
        kept = np.trace(counts[:, : len(self.labels)]) / max(counts.sum(), 1)
        what = "kept as given" if self.before is None else "right"
        ax.set_title(f"{kept:.0%} of {counts.sum()} labels {what}", fontsize="medium")
        ax.set_xlabel(name)
        return image


def _counts(rows: NDArray[np.intp], columns: NDArray[np.intp], n_classes: int) -> NDArray[np.intp]:
    counts = np.zeros((n_classes, max(n_classes, int(columns.max()) + 1)), dtype=np.intp)
    np.add.at(counts, (rows, columns), 1)
    return counts
