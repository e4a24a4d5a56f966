"""Influences in the plane, with the decision boundary.

Class probabilities P (g, g, K) are taken on a grid; the boundary of class k is where P_k equals the largest other one.
In a projection no point of the plane is a row, so that P is the mean over the rows nearest to it there.

Reference for the latter: Migut, Worring, Veenman, "Visualizing multi-dimensional decision boundaries in 2D", Data
Mining and Knowledge Discovery 29, 2015.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import sparse
from sklearn.decomposition import PCA
from sklearn.neighbors import KNeighborsRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import check_array

from skrdia._rows import as_indexable
from skrdia._validation import check_labels, one_hot
from skrdia.plotting._fitted import INFLUENCE, check_n_rows, dense, find, shown_by
from skrdia.plotting._style import GREY, MARKERS, POSITIVE, SIGNED, literal, one_axes
from skrdia.views._base import Array

__all__ = ["InfluencePlaneDisplay"]

_N_NEIGHBORS, _SHARE_OF_NEIGHBORS = 15, 0.05
"""The larger of the two numbers of rows makes a boundary in a projection; fewer make it ragged."""

_IN_RANGE = 0.98
"""Share of the rows within the range of the colours: a single extreme row would leave all others pale."""


class InfluencePlaneDisplay:
    """Influence of every training row, in the plane, with the decision boundary.

    Use `from_estimator` to make one. Rows without a value, such as validation rows, are not drawn.

    Parameters
    ----------
    points : ndarray of shape (n_samples, 2)
        Where the rows are drawn.
    values : ndarray of shape (n_samples,)
        Their influences in nats, positive is harmful; nan for rows that have none.
    labels : ndarray of shape (n_samples,)
        Their labels as given.
    harmful : ndarray of shape (n_samples,), default=None
        True for the rows to ring.
    xx0, xx1 : ndarray of shape (n_grid, n_grid), default=None
        The grid of the boundary, as of `numpy.meshgrid`. None draws no boundary.
    response : ndarray of shape (n_grid, n_grid, n_classes), default=None
        Class probabilities there.
    name : str, default="influence (nats)"
        What the values are, with their unit.
    xlabel, ylabel : str, default=None
        What the two axes are.
    title : str, default=None
        What is seen.

    Attributes
    ----------
    points_ : list of matplotlib PathCollection
        The rows, one collection for each label.
    rings_ : matplotlib PathCollection or None
        The rings around harmful rows.
    boundary_ : list of matplotlib ContourSet
        The boundary of each class that has one.
    colorbar_ : matplotlib Colorbar
        The scale of the values.
    ax_ : matplotlib Axes
        The axes.
    figure_ : matplotlib Figure
        The figure.

    See Also
    --------
    sklearn.inspection.DecisionBoundaryDisplay : The boundary alone, with the regions of the classes.

    Examples
    --------
    >>> from sklearn.linear_model import LogisticRegression
    >>> from skrdia import RDIAClassifier
    >>> from skrdia.datasets import flip_labels, make_gaussian_blobs
    >>> from skrdia.plotting import InfluencePlaneDisplay
    >>> X, y = make_gaussian_blobs(200, random_state=0)
    >>> noisy_y, wrong = flip_labels(y[:120], 0.2, random_state=0)
    >>> clf = RDIAClassifier(LogisticRegression(), alpha=0.5).fit(X[:120], noisy_y, X_val=X[120:], y_val=y[120:])
    >>> display = InfluencePlaneDisplay.from_estimator(clf, X[:120], noisy_y)
    >>> display.response.shape
    (200, 200, 2)
    """

    def __init__(
        self,
        *,
        points: Array,
        values: Array,
        labels: NDArray[Any],
        harmful: NDArray[np.bool_] | None = None,
        xx0: Array | None = None,
        xx1: Array | None = None,
        response: Array | None = None,
        name: str = INFLUENCE,
        xlabel: str | None = None,
        ylabel: str | None = None,
        title: str | None = None,
    ) -> None:
        self.points = points
        self.values = values
        self.labels = labels
        self.harmful = harmful
        self.xx0 = xx0
        self.xx1 = xx1
        self.response = response
        self.name = name
        self.xlabel = xlabel
        self.ylabel = ylabel
        self.title = title

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        y: ArrayLike,
        *,
        projection: ArrayLike | None = None,
        grid_resolution: int = 200,
        ax: Any = None,
        **kwargs: Any,
    ) -> InfluencePlaneDisplay:
        """Draw the influences of a fitted classifier.

        With ``alpha="auto"`` these are its `influences_`, or without any its `scores_`; with a number the signal that
        `alpha` was compared with.

        Parameters
        ----------
        estimator : RDIAClassifier, or a pipeline or search with one at its end
            Fitted on `X` and `y`.
        X : {array-like, sparse matrix, data frame} of shape (n_samples, n_features)
            The rows given to `fit`. With two features these are the axes.
        y : array-like of shape (n_samples,)
            The labels given to `fit`.
        projection : array-like of shape (n_samples, 2), default=None
            Where to draw the rows. None: the two features, or where there are more the first two principal components
            of the standardised ones. The boundary in a projection is that between the rows nearest to each point.
        grid_resolution : int, default=200
            Points of the grid of the boundary along each axis.
        ax : matplotlib Axes, default=None
            Where to draw; a new figure when None.
        **kwargs : dict
            For `matplotlib.axes.Axes.scatter`.

        Returns
        -------
        display : InfluencePlaneDisplay
            What was drawn.
        """
        clf, _ = find(estimator, "influences_", "scores_", "harmful_mask_")
        X, labels, evidence = as_indexable(X), check_labels(y), shown_by(clf)
        for name, array in (("X", X), ("y", labels)):
            check_n_rows(array, len(evidence.values), name)
        exact = projection is None and X.shape[1] == 2
        points, (xlabel, ylabel) = _two_features(X) if exact else _projected(X, projection)
        xx0, xx1 = _grid(points, grid_resolution)
        grid = np.column_stack([xx0.ravel(), xx1.ravel()])
        if exact:
            response = _probabilities(estimator, _like(X, grid))
        else:
            response = _mean_of_nearest(points, _probabilities(estimator, X), grid)
        return cls(
            points=points,
            values=evidence.values,
            labels=labels,
            harmful=clf.harmful_mask_,
            xx0=xx0,
            xx1=xx1,
            response=response.reshape(*xx0.shape, -1),
            name=evidence.name,
            xlabel=xlabel,
            ylabel=ylabel,
            title="Training rows and decision boundary" + ("" if exact else " (of the nearest rows)"),
        ).plot(ax=ax, **kwargs)

    def plot(self, ax: Any = None, **kwargs: Any) -> InfluencePlaneDisplay:
        """Draw.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; a new figure when None.
        **kwargs : dict
            For `matplotlib.axes.Axes.scatter`.

        Returns
        -------
        display : InfluencePlaneDisplay
            Itself.
        """
        ax = one_axes(ax, 7.2, 5.4)
        self.ax_, self.figure_ = ax, ax.figure
        self.boundary_ = self._draw_boundary(ax)
        limit, lowest, extend = self._range()
        style = {"s": 22, "cmap": SIGNED if lowest < 0 else POSITIVE, "vmin": lowest, "vmax": limit}
        style |= {"edgecolors": GREY, "linewidths": 0.4, "zorder": 2} | kwargs
        self.points_ = []
        for i, label in enumerate(np.unique(self.labels)):
            rows = np.flatnonzero((self.labels == label) & np.isfinite(self.values))
            rows = rows[np.argsort(np.abs(self.values[rows]), kind="stable")]  # the strongest on top
            marker = MARKERS[i % len(MARKERS)]
            self.points_.append(
                ax.scatter(*self.points[rows].T, **({"c": self.values[rows], "marker": marker} | style))
            )
            ax.scatter([], [], facecolors="white", edgecolors="black", marker=marker, label=f"label {literal(label)}")
        self.rings_ = None
        if self.harmful is not None:
            ring = {"s": 70, "facecolors": "none", "edgecolors": "black", "linewidths": 0.9, "zorder": 3}
            name = f"harmful ({self.harmful.sum()})"
            self.rings_ = ax.scatter(*self.points[self.harmful].T, **ring, label=name)
        self.colorbar_ = ax.figure.colorbar(
            self.points_[0], ax=ax, label=literal(self.name), extend=extend, location="bottom", aspect=40
        )
        ax.set(xlabel=literal(self.xlabel or ""), ylabel=literal(self.ylabel or ""), title=literal(self.title or ""))
        ax.legend(fontsize="small", loc="upper left", bbox_to_anchor=(1.0, 1.0), frameon=False)
        return self

    def _range(self) -> tuple[float, float, str]:
        """Upper and lower end of the colours, and at which ends values lie beyond."""
        values = self.values[np.isfinite(self.values)]
        if values.min() >= 0.0:
            return float(values.max()) or 1.0, 0.0, "neither"
        limit = float(np.quantile(np.abs(values), _IN_RANGE)) or float(np.abs(values).max())
        ends = {(True, True): "both", (True, False): "min", (False, True): "max", (False, False): "neither"}
        return limit, -limit, ends[bool(values.min() < -limit), bool(values.max() > limit)]

    def _draw_boundary(self, ax: Any) -> list[Any]:
        if self.response is None:
            return []
        drawn = []
        for k in range(self.response.shape[2]):
            margin = self.response[:, :, k] - np.delete(self.response, k, axis=2).max(axis=2)
            if margin.min() < 0.0 < margin.max():
                style = {"levels": [0.0], "colors": "black", "linewidths": 1.5, "linestyles": "-", "zorder": 1}
                drawn.append(ax.contour(self.xx0, self.xx1, margin, **style))
        if drawn:
            ax.plot([], [], color="black", label="decision boundary")
        return drawn


def _probabilities(estimator: Any, X: Any) -> Array:
    """Class probabilities (n, K), or ones and zeros of an estimator that has none."""
    if hasattr(estimator, "predict_proba"):
        return np.asarray(estimator.predict_proba(X))
    classes = estimator.classes_
    return one_hot(np.searchsorted(classes, estimator.predict(X)), len(classes))


def _mean_of_nearest(points: Array, proba: Array, grid: Array) -> Array:
    n_neighbors = max(_N_NEIGHBORS, int(_SHARE_OF_NEIGHBORS * len(points)))
    neighbors = KNeighborsRegressor(min(n_neighbors, len(points))).fit(points, proba)
    return np.asarray(neighbors.predict(grid))


def _two_features(X: Any) -> tuple[Array, tuple[str, str]]:
    first, second = X.columns if hasattr(X, "columns") else ("feature 0", "feature 1")
    return dense(X).astype(np.float64), (str(first), str(second))


def _projected(X: Any, projection: ArrayLike | None) -> tuple[Array, tuple[str, str]]:
    if projection is not None:
        points = check_array(projection, dtype=np.float64, input_name="projection")
        if points.shape != (X.shape[0], 2):
            raise ValueError(f"projection has shape {points.shape}, expected ({X.shape[0]}, 2): a point per row of X.")
        return points, ("projection 0", "projection 1")
    try:
        plane = make_pipeline(StandardScaler(with_mean=not sparse.issparse(X)), PCA(2, random_state=0))
        points = plane.set_output(transform="default").fit_transform(X)
    except ValueError as error:
        raise ValueError(f"X has no principal components ({error}) Pass projection, two numbers per row.") from error
    shares = plane[-1].explained_variance_ratio_
    return points, tuple(f"principal component {i + 1} ({shares[i]:.0%} of the variance)" for i in (0, 1))  # type: ignore[return-value]


def _grid(points: Array, resolution: int) -> tuple[Array, Array]:
    if resolution < 2:
        raise ValueError(f"grid_resolution={resolution} is too small; use at least 2.")
    low, high = points.min(axis=0), points.max(axis=0)
    margin = 0.05 * np.where(high > low, high - low, 1.0)
    xx0, xx1 = np.meshgrid(*np.linspace(low - margin, high + margin, resolution).T)
    return xx0, xx1


def _like(X: Any, grid: Array) -> Any:
    """The grid as what X is, since an estimator fitted on a data frame expects its column names."""
    if not hasattr(X, "columns"):
        return grid
    import narwhals as nw

    frame = nw.from_native(X)
    columns = dict(zip(frame.columns, grid.T, strict=True))
    return nw.from_dict(columns, backend=nw.get_native_namespace(frame)).to_native()
