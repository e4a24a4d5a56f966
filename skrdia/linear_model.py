"""Logistic regression on rows that are anywhere: in memory, on disk in blocks, or on the workers of a cluster.

It minimises the objective of scikit-learn's, divided by the total weight n of the rows,

    f(W, b) = (sum_ik c_k Y_ik (-log p_k(x_i)) + |W|^2 / (2 C)) / n

by scipy's L-BFGS or trust-region Newton-CG. One pass over the rows gives f and its gradient, another one a product with
its Hessian; only these vectors travel, and the rows stay where they are. The variables are the coefficients times the
root of the diagonal of the Hessian at zero, so that the number of passes depends little on the units of the columns.
"""

from __future__ import annotations

import warnings
from contextlib import nullcontext
from functools import cached_property
from math import fsum
from numbers import Integral, Real
from typing import Any, ClassVar, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import OptimizeResult, minimize
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import accuracy_score
from sklearn.utils import Tags
from sklearn.utils.validation import check_consistent_length, check_is_fitted, validate_data

from skrdia._blocks import as_blocks, is_dask
from skrdia._progress import listening, tell
from skrdia._sklearn import Interval, StrOptions, _fit_context
from skrdia._validation import check_labels, check_sample_weight, encode, one_hot
from skrdia.blocks import RowBlocks
from skrdia.views import as_view
from skrdia.views._base import Array
from skrdia.views._blockwise import Blockwise, check_finite
from skrdia.views._links import Sigmoid, Softmax
from skrdia.views._logistic import check_n_columns, class_weights
from skrdia.views._logistic_rows import LogisticLinearization, LogisticModel
from skrdia.views._products import Products

__all__ = ["LogisticRegression"]


class LogisticRegression(ClassifierMixin, BaseEstimator):
    """Logistic regression whose rows are in memory, on disk, or on the workers of a Dask cluster.

    Its objective, parameters and optimum are those of `sklearn.linear_model.LogisticRegression` with an L2 penalty. Use
    it where the rows come in blocks, or where sparse rows are so many that two threads are worth having; with
    `RDIAClassifier` it is the base estimator for such rows.

    Parameters
    ----------
    C : float, default=1.0
        Inverse of the strength of the L2 penalty; infinite for none.
    tol : float, default=1e-4
        Largest entry of the gradient of the mean objective at which to stop, in nats per unit of a coefficient.
    fit_intercept : bool, default=True
        Whether there is an intercept, which is not penalised.
    class_weight : dict or "balanced", default=None
        Weights of the classes, as in scikit-learn.
    solver : {"lbfgs", "newton-cg"}, default="lbfgs"
        "newton-cg" makes fewer passes where a tight `tol` is asked for.
    max_iter : int, default=100
        Iterations of the solver.
    verbose : int, default=0
        Above zero, a line is printed every few seconds.
    warm_start : bool, default=False
        Whether to start at the coefficients of the last fit.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The labels, sorted.
    coef_ : ndarray of shape (1, n_features) or (n_classes, n_features)
        Coefficients.
    intercept_ : ndarray of shape (1,) or (n_classes,)
        Intercepts.
    n_iter_ : ndarray of shape (1,)
        Iterations of the solver.
    n_passes_ : int
        Passes over the rows.
    n_features_in_ : int
        Number of columns.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Their names, where X has names that are strings.

    See Also
    --------
    skrdia.blocks.RowBlocks : Rows that are read block by block.

    References
    ----------
    .. [1] Nocedal, Wright, "Numerical optimization", 2006, algorithms 7.2 and 7.5.

    Examples
    --------
    >>> import numpy as np
    >>> from skrdia.blocks import RowBlocks
    >>> from skrdia.linear_model import LogisticRegression
    >>> X, y = np.array([[-2.0], [-1.0], [1.0], [2.0]]), ["no", "no", "yes", "yes"]
    >>> LogisticRegression().fit(RowBlocks([X[:2], X[2:]]), y).predict([[3.0]])
    array(['yes'], dtype='<U3')
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "C": [Interval(Real, 0.0, None, closed="right")],
        "tol": [Interval(Real, 0.0, None, closed="left")],
        "fit_intercept": ["boolean"],
        "class_weight": [dict, StrOptions({"balanced"}), None],
        "solver": [StrOptions({"lbfgs", "newton-cg"})],
        "max_iter": [Interval(Integral, 0, None, closed="left")],
        "verbose": ["verbose"],
        "warm_start": ["boolean"],
    }

    coef_: Array
    intercept_: Array

    def __init__(
        self,
        C: float = 1.0,
        *,
        tol: float = 1e-4,
        fit_intercept: bool = True,
        class_weight: Any = None,
        solver: str = "lbfgs",
        max_iter: int = 100,
        verbose: int = 0,
        warm_start: bool = False,
    ) -> None:
        self.C = C
        self.tol = tol
        self.fit_intercept = fit_intercept
        self.class_weight = class_weight
        self.solver = solver
        self.max_iter = max_iter
        self.verbose = verbose
        self.warm_start = warm_start

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: Any, y: Any, sample_weight: ArrayLike | None = None) -> LogisticRegression:
        """Fit the model.

        Parameters
        ----------
        X : {array-like, sparse matrix, RowBlocks, Dask array, Dask data frame} of shape (n_samples, n_features)
            Rows.
        y : array-like of shape (n_samples,)
            Labels; a Dask array or series where X is of Dask, with partitions of as many rows.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows; a Dask array where X is of Dask.

        Returns
        -------
        self : LogisticRegression
            The fitted estimator.

        Raises
        ------
        ValueError
            If an argument is malformed; the message names it.

        Warns
        -----
        ConvergenceWarning
            If `max_iter` is reached, or no progress is possible, before `tol`.
        """
        blocks = as_blocks(X)
        if is_dask(X):
            from skrdia._dask_blocks import check_targets

            classes, targets = check_targets(blocks, y, sample_weight)
        else:
            if blocks is None:
                X = validate_data(self, X, accept_sparse="csr", dtype=[np.float64, np.float32])
                blocks = RowBlocks([X])
            labels = check_labels(y)
            check_consistent_length(X, labels)
            weight = check_sample_weight(sample_weight, len(labels))
            classes = np.unique(labels)
            targets = one_hot(encode(labels, classes, "y"), len(classes), weight)
        with listening(print) if self.verbose else nullcontext():
            return self.fit_targets(blocks, targets, classes, names=getattr(X, "columns", None))

    def fit_targets(self, blocks: Any, targets: Any, classes: NDArray[Any], *, names: Any = None) -> LogisticRegression:
        """Fit the model to soft labels, without checks.

        Parameters
        ----------
        blocks : RowBlocks or DaskBlocks
            Rows.
        targets : array of shape (n_samples, n_classes)
            Weight of every label of every row.
        classes : array of shape (n_classes,)
            The labels, sorted.
        names : sequence of str, default=None
            Names of the columns.

        Returns
        -------
        self : LogisticRegression
            The fitted estimator.
        """
        if len(classes) < 2:
            raise ValueError(
                f"This solver needs samples of at least 2 classes in the data, but y has only one class: "
                f"{classes.tolist()}."
            )
        start = (self.coef_, self.intercept_) if self.warm_start and hasattr(self, "coef_") else None
        self.classes_, self.n_features_in_ = classes, blocks.shape[1]
        if names is not None and all(isinstance(name, str) for name in names):
            self.feature_names_in_ = np.asarray(list(names), dtype=object)
        elif names is None and hasattr(self, "feature_names_in_"):
            del self.feature_names_in_
        problem = _Objective(self, blocks, targets)
        full = problem.minimum(start)
        self.coef_, self.intercept_ = np.ascontiguousarray(full[:-1].T), full[-1].copy()
        self.n_iter_, self.n_passes_ = np.array([problem.n_iter], dtype=np.int32), problem.n_passes
        return self

    def decision_function(self, X: Any) -> Any:
        """Compute the logits of each row.

        Parameters
        ----------
        X : {array-like, sparse matrix, RowBlocks, Dask array, Dask data frame} of shape (n_samples, n_features)
            Rows.

        Returns
        -------
        z : array of shape (n_samples,), or (n_samples, n_classes) for more than two classes
            Logits; a Dask array where X is of Dask.
        """
        z = self._logits(X)
        return z[:, 0] if len(self.classes_) == 2 else z

    def predict_proba(self, X: Any) -> Any:
        """Predict the probability of each label.

        Parameters
        ----------
        X : {array-like, sparse matrix, RowBlocks, Dask array, Dask data frame} of shape (n_samples, n_features)
            Rows.

        Returns
        -------
        p : array of shape (n_samples, n_classes)
            Probabilities, in the order of `classes_`; a Dask array where X is of Dask.
        """
        return np.exp(self.predict_log_proba(X))

    def predict_log_proba(self, X: Any) -> Any:
        """Predict the logarithm of the probability of each label.

        Parameters
        ----------
        X : {array-like, sparse matrix, RowBlocks, Dask array, Dask data frame} of shape (n_samples, n_features)
            Rows.

        Returns
        -------
        log_p : array of shape (n_samples, n_classes)
            Log-probabilities, in the order of `classes_`; a Dask array where X is of Dask.
        """
        check_is_fitted(self)
        return as_view(self).linearize(X).log_proba

    def predict(self, X: Any) -> Any:
        """Predict the label of each row.

        Parameters
        ----------
        X : {array-like, sparse matrix, RowBlocks, Dask array, Dask data frame} of shape (n_samples, n_features)
            Rows.

        Returns
        -------
        y : array of shape (n_samples,)
            Labels; a Dask array where X is of Dask.
        """
        z, classes = self._logits(X), self.classes_
        codes = (z[:, 0] > 0.0).astype(np.intp) if len(classes) == 2 else z.argmax(axis=1)
        return codes.map_blocks(classes.__getitem__, dtype=classes.dtype) if is_dask(codes) else classes[codes]

    def score(self, X: Any, y: Any, sample_weight: ArrayLike | None = None) -> float:
        """Compute the accuracy.

        Parameters
        ----------
        X : {array-like, sparse matrix, RowBlocks, Dask array, Dask data frame} of shape (n_samples, n_features)
            Rows.
        y : array-like of shape (n_samples,)
            Their labels.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows.

        Returns
        -------
        accuracy : float
            Share of the rows, or of their weight, whose label is predicted.
        """
        predicted, labels = np.asarray(self.predict(X)), np.asarray(y)
        return float(accuracy_score(labels, predicted, sample_weight=sample_weight))

    def _logits(self, X: Any) -> Any:
        check_is_fitted(self)
        full = np.vstack([self.coef_.T, self.intercept_])
        blocks = as_blocks(X)
        if blocks is None:
            X = validate_data(self, X, reset=False, accept_sparse="csr", dtype=[np.float64, np.float32])
            return _logits(X, full)
        check_n_columns(self, blocks)
        return blocks.each(_logits, full.shape[1], shared=(full,))

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags


def _logits(X: Any, full: Array) -> Array:
    return Products(X).forward(full[:-1]) + full[-1]


class _Objective:
    """f and its derivatives in u, the parameters (p,) of a `LogisticModel` times the root of the curvature at zero."""

    n_iter: int
    n_passes: int

    def __init__(self, estimator: LogisticRegression, blocks: Any, targets: Any) -> None:
        self._estimator, self._blocks = estimator, blocks
        n_classes = targets.shape[1]
        shape = (blocks.shape[1] + 1, 1 if n_classes == 2 else n_classes)
        free = np.ones(shape, dtype=bool)
        free[-1] = estimator.fit_intercept
        link = Sigmoid(binary=True) if n_classes == 2 else Softmax()
        self._model = LogisticModel(link, np.zeros(shape), None if estimator.fit_intercept else free)
        counts = np.asarray(targets.sum(axis=0), dtype=np.float64)
        self._class_weight = class_weights(estimator.class_weight, estimator.classes_, counts)
        self._targets, self._n_classes = targets, n_classes
        self._total = float(counts @ self._class_weight)
        penalised = np.full(shape, 1.0 / estimator.C)
        penalised[-1] = 0.0
        self._l2 = self._model.gather(penalised) / self._total
        self._shared = blocks.share(self._class_weight), blocks.share(self._model)
        self.n_iter, self.n_passes = 0, 1  # the pass for the diagonal
        diagonal = blocks.total(_diagonal_at_zero, targets, shared=self._shared)
        curvature = diagonal / self._total + self._l2
        self._scale = 1.0 / np.sqrt(np.where(curvature > 0.0, curvature, 1.0))
        self._value, self._slope = np.inf, np.inf
        self._at: tuple[Array, Blockwise] | None = None

    def minimum(self, start: tuple[Array, Array] | None) -> Array:
        """W above b, (d + 1, K')."""
        u = np.zeros(len(self._scale))
        if start is not None:
            full = np.vstack([start[0].T, start[1]])
            if full.shape == self._model.full_theta.shape:
                u = self._model.gather(full) / self._scale
        options: dict[str, Any] = {"maxiter": self._estimator.max_iter, "gtol": 0.0}
        params: dict[str, Any] = {"jac": True, "callback": self._stop}
        if self._estimator.solver == "lbfgs":
            options |= {"ftol": np.finfo(np.float64).eps, "maxls": 50, "maxfun": np.inf}
            params["method"] = "L-BFGS-B"
        else:
            params |= {"method": "trust-ncg", "hessp": self._product}
        if self._estimator.max_iter > 0:
            result = cast(Any, minimize)(self._value_and_gradient, u, options=options, **params)
            u, self.n_iter = result.x, int(result.nit)
            self._warn(result)
        return self._model.scatter(self._scale * u)

    def _value_and_gradient(self, u: Array) -> tuple[float, Array]:
        theta = self._scale * u
        sums = self._blocks.total(_loss_and_gradient, self._targets, shared=(*self._shared, theta)) / self._total
        self.n_passes += 1
        gradient = sums[1:] + self._l2 * theta
        self._value, self._slope = sums[0] + 0.5 * (self._l2 * theta) @ theta, np.abs(gradient).max()
        return self._value, self._scale * gradient

    def _product(self, u: Array, v: Array) -> Array:
        if self._at is None or not np.array_equal(self._at[0], u):
            model = self._model.moved_to(self._scale * u)
            self._at = u.copy(), Blockwise(model, self._blocks, self._n_classes)
            self.n_passes += 1
        self.n_passes += 1
        direction = self._scale * v
        product = self._at[1].hvp(self._weight, direction) / self._total + self._l2 * direction
        return self._scale * product

    @cached_property
    def _weight(self) -> Any:
        """Total weight (n,) of the labels of every row."""
        return (self._targets * self._class_weight).sum(axis=1)

    def _stop(self, intermediate_result: OptimizeResult) -> None:
        """The criterion of scikit-learn's "lbfgs", in the gradient without our scale."""
        self.n_iter += 1
        tell(
            f"logistic regression: iteration {self.n_iter}, {self.n_passes} passes over {self._blocks.shape[0]:,} "
            f"rows, objective {self._value:.6f}, largest gradient {self._slope:.1e}",
            is_minor=True,
        )
        if self._slope <= self._estimator.tol:
            raise StopIteration

    def _warn(self, result: OptimizeResult) -> None:
        if self._slope <= self._estimator.tol or result.success:  # or no change within the precision of the objective
            return
        if self.n_iter >= self._estimator.max_iter:
            reason, remedy = (
                f"stopped at max_iter={self._estimator.max_iter}",
                "Increase max_iter, or scale the columns",
            )
        else:
            reason, remedy = "can make no more progress", "Scale the columns, or use a larger tol"
        warnings.warn(
            f"{self._estimator.solver} {reason}: the largest entry of the gradient is {self._slope:.1e}, "
            f"tol={self._estimator.tol:g}. {remedy}.",
            ConvergenceWarning,
            stacklevel=6,
        )


def _diagonal_at_zero(X: Any, targets: Array, class_weight: Array, model: LogisticModel) -> Array:
    check_finite(X)
    return LogisticLinearization(model, X).hessian_diagonal(targets @ class_weight)


def _loss_and_gradient(X: Any, targets: Array, class_weight: Array, model: LogisticModel, theta: Array) -> Array:
    """The summed loss of some rows, and below it its gradient: (1 + p,)."""
    link, full, losses = model.link, model.scatter(theta), list[float]()

    def residual(rows: slice, z: Array) -> Array:
        z += full[-1]
        weighted = targets[rows] * class_weight
        losses.append(-(weighted * link.log_proba(z)).sum())  # by several threads, in any order
        return link.mean(z) * weighted.sum(axis=1, keepdims=True) - link.drop(weighted)

    W, b = Products(X).both(full[:-1], residual)
    return np.concatenate([[fsum(losses)], model.gather(np.vstack([W, b]))])
