"""Are the probabilities right, before and after repair?

With the rows in bins b of equal width by the probability q_i that a row is right, and a_i = 1 where it is, else 0,

    expected calibration error     sum_b (n_b / n) |mean of a in b - mean of q in b|

For two classes q is the probability of the second one, and a whether the row has it; for more, q is the largest
probability and a whether the row has that class.

Reference: Guo, Pleiss, Sun, Weinberger, "On calibration of modern neural networks", ICML 2017, Eq. (3).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from skrdia._validation import check_labels, encode
from skrdia.plotting._fitted import find
from skrdia.plotting._style import BEFORE_AFTER, GREY, literal, one_axes
from skrdia.views._base import Array

__all__ = ["CalibrationComparisonDisplay"]

_NAMES = ("before", "after")


class CalibrationComparisonDisplay:
    """Reliability curves of the model before repair and after it, with the expected calibration error.

    Use `from_estimator` to make one.

    Parameters
    ----------
    prob_pred : ndarray of shape (2, n_bins)
        Mean predicted probability in each bin, before and after; nan in an empty one.
    prob_true : ndarray of shape (2, n_bins)
        Share of the rows that have the class.
    counts : ndarray of shape (2, n_bins)
        Rows in each bin.
    calibration_error : ndarray of shape (2,)
        Expected calibration error, before and after.
    xlabel : str, default="predicted probability"
        What is predicted.
    ylabel : str, default="share of the rows"
        What comes true.

    Attributes
    ----------
    lines_ : list of matplotlib Line2D
        The curves before and after.
    points_ : list of matplotlib PathCollection
        Their points, with an area that grows with the number of rows.
    ax_ : matplotlib Axes
        The axes.
    figure_ : matplotlib Figure
        The figure.

    See Also
    --------
    sklearn.calibration.CalibrationDisplay : The curve of one classifier of two classes.

    References
    ----------
    .. [1] Guo, Pleiss, Sun, Weinberger, "On calibration of modern neural networks", ICML 2017.

    Examples
    --------
    >>> from sklearn.linear_model import LogisticRegression
    >>> from skrdia import RDIAClassifier
    >>> from skrdia.datasets import flip_labels, load_breast_cancer_scale
    >>> from skrdia.plotting import CalibrationComparisonDisplay
    >>> X, y = load_breast_cancer_scale(return_X_y=True)
    >>> noisy_y, _ = flip_labels(y[:350], 0.3, random_state=0)
    >>> clf = RDIAClassifier(LogisticRegression(), alpha=0.1).fit(X[:350], noisy_y, X_val=X[350:500], y_val=y[350:500])
    >>> display = CalibrationComparisonDisplay.from_estimator(clf, X[500:], y[500:])
    >>> bool(display.calibration_error[1] < display.calibration_error[0])
    True
    """

    def __init__(
        self,
        *,
        prob_pred: Array,
        prob_true: Array,
        counts: NDArray[np.intp],
        calibration_error: Array,
        xlabel: str = "predicted probability",
        ylabel: str = "share of the rows",
    ) -> None:
        self.prob_pred = prob_pred
        self.prob_true = prob_true
        self.counts = counts
        self.calibration_error = calibration_error
        self.xlabel = xlabel
        self.ylabel = ylabel

    @classmethod
    def from_estimator(
        cls, estimator: Any, X: Any, y: ArrayLike, *, n_bins: int = 5, ax: Any = None, **kwargs: Any
    ) -> CalibrationComparisonDisplay:
        """Draw the curves of `base_estimator_` and `estimator_` of a fitted classifier.

        Parameters
        ----------
        estimator : RDIAClassifier, or a pipeline or search with one at its end
            A fitted one, whose estimators have `predict_proba`.
        X : {array-like, sparse matrix, data frame} of shape (n_rows, n_features)
            Rows that it was not fitted on.
        y : array-like of shape (n_rows,)
            Their labels, right ones.
        n_bins : int, default=5
            Bins of equal width.
        ax : matplotlib Axes, default=None
            Where to draw; a new figure when None.
        **kwargs : dict
            For `matplotlib.axes.Axes.plot`.

        Returns
        -------
        display : CalibrationComparisonDisplay
            What was drawn.
        """
        if n_bins < 1:
            raise ValueError(f"n_bins={n_bins} is too small; use at least 1.")
        clf, transform = find(estimator, "base_estimator_", "estimator_")
        X, codes = transform(X), encode(check_labels(y), clf.classes_, "y")
        curves = []
        for model in (clf.base_estimator_, clf.estimator_):
            if not hasattr(model, "predict_proba"):
                raise TypeError(f"estimator: {model!r} has no predict_proba, so that there is nothing to calibrate.")
            curves.append(_curve(np.asarray(model.predict_proba(X)), codes, n_bins))
        names = "prob_pred", "prob_true", "counts", "calibration_error"
        arrays: dict[str, Any] = {name: np.array(a) for name, a in zip(names, zip(*curves, strict=True), strict=True)}
        if len(clf.classes_) == 2:
            label = clf.classes_[1]
            arrays |= {"xlabel": f"predicted probability of {label}", "ylabel": f"share of the rows that are {label}"}
        else:
            arrays |= {"xlabel": "largest predicted probability", "ylabel": "share of right predictions"}
        return cls(**arrays).plot(ax=ax, **kwargs)

    def plot(self, ax: Any = None, **kwargs: Any) -> CalibrationComparisonDisplay:
        """Draw.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; a new figure when None.
        **kwargs : dict
            For `matplotlib.axes.Axes.plot`.

        Returns
        -------
        display : CalibrationComparisonDisplay
            Itself.
        """
        ax = one_axes(ax, 5.4, 5.2)
        self.ax_, self.figure_ = ax, ax.figure
        self.lines_, self.points_ = [], []
        ax.plot([0, 1], [0, 1], color=GREY, linestyle=":", label="perfectly calibrated")
        for i, name in enumerate(_NAMES):
            shown, colour = self.counts[i] > 0, BEFORE_AFTER[i]
            style = {"color": colour, "linestyle": ("--", "-")[i]}
            style |= {"label": f"{name}, expected calibration error {self.calibration_error[i]:.3f}"} | kwargs
            x, y, counts = self.prob_pred[i, shown], self.prob_true[i, shown], self.counts[i, shown]
            self.lines_ += ax.plot(x, y, **style)
            area = 10.0 + 250.0 * counts / counts.sum()
            self.points_.append(ax.scatter(x, y, area, color=colour, marker="so"[i], alpha=0.7, zorder=3))
        ax.set(xlabel=literal(self.xlabel), ylabel=literal(self.ylabel))
        ax.set(aspect="equal", xlim=(-0.03, 1.03), ylim=(-0.03, 1.03))
        ax.set_title(f"Calibration on {self.counts[0].sum()} rows (area: rows in the bin)")
        ax.legend(fontsize="small", framealpha=0.5)
        return self


def _curve(proba: Array, codes: NDArray[np.intp], n_bins: int) -> tuple[Array, Array, NDArray[np.intp], float]:
    """Mean prediction, share that came true and number of rows of each bin, and the expected calibration error."""
    top = np.ones(len(codes), dtype=np.intp) if proba.shape[1] == 2 else proba.argmax(axis=1)
    predicted, came_true = proba[np.arange(len(codes)), top], codes == top
    bins = np.minimum((predicted * n_bins).astype(np.intp), n_bins - 1)
    counts = np.bincount(bins, minlength=n_bins)
    with np.errstate(invalid="ignore"):
        prob_pred = np.bincount(bins, predicted, n_bins) / counts
        prob_true = np.bincount(bins, came_true, n_bins) / counts
    error = np.nansum(counts * np.abs(prob_true - prob_pred)) / len(codes)
    return prob_pred, prob_true, counts, float(error)
