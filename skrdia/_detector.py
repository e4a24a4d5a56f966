"""Signals of wrong labels behind the interface of scikit-learn's outlier detectors."""

from __future__ import annotations

from hashlib import blake2b
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, OutlierMixin, clone
from sklearn.linear_model import LogisticRegression
from sklearn.utils import Tags, get_tags
from sklearn.utils.validation import check_consistent_length, check_is_fitted, validate_data

from skrdia._fitted import replace_attributes
from skrdia._isolation import Isolation
from skrdia._label_posterior import confident_share
from skrdia._rows import as_indexable, take
from skrdia._sklearn import HasMethods, Interval, StrOptions, _fit_context
from skrdia._unseen import Unseen
from skrdia._validation import check_labels, encode, one_hot
from skrdia.signals import SIGNALS
from skrdia.signals._score import gather, known_signal, of_given
from skrdia.signals._table import apply
from skrdia.views import Options
from skrdia.views._base import Array
from skrdia.views._heads import fitted_head

__all__ = ["InfluenceLabelDetector"]

_UNLABELLED_SHARE = 0.1
"""Share of outliers by default where there are no labels to estimate it from."""


class InfluenceLabelDetector(OutlierMixin, BaseEstimator):
    """Detect rows with a wrong label, or that do not belong, by a signal and a threshold.

    It has the methods of scikit-learn's outlier detectors, and judges rows together with their labels. A row of `fit`
    keeps the score it got there, out of fold where the signal is; any other row is judged by the fitted model, and
    without a label as if it had the one that the model predicts.

    Parameters
    ----------
    estimator : classifier, default=None
        The model whose gradients and probabilities the signal is made of, of any type that `RDIAClassifier` takes as
        `base_estimator`; None is ``LogisticRegression()``.
    signal : str or callable, default="stacked-posterior"
        A name in `skrdia.signals.SIGNALS`, or a function of the evidence.
    contamination : "auto" or float, default="auto"
        Share of the rows of `fit` that are outliers, above 0 and at most 0.5. "auto" is the share of wrong labels by
        the confident counting of [2]_, which is too high where classes overlap much; and a tenth without labels.
    hessian : str or callable, default="newton-cg"
        How the inverse Hessian is applied, see `skrdia.signals.score`.
    parameters : str, default=None
        For a net, the parameters whose influence is meant, see `skrdia.signals.score`.
    softening : float, default=None
        Factor on the logits, see `skrdia.signals.score`.
    damping : float, default=None
        Added to the diagonal of the mean Hessian, see `skrdia.signals.score`.
    random_state : int, RandomState instance or None, default=None
        For random solvers, and for the training of nets.

    Attributes
    ----------
    scores_ : ndarray of shape (n_samples,)
        Of the rows of `fit`, high for suspicious ones, in the unit of the signal.
    offset_ : float
        ``decision_function(X) = score_samples(X) - offset_``.
    contamination_ : float
        Share of the rows of `fit` that are outliers.
    estimator_ : classifier
        Fitted on the rows; None without labels.
    classes_ : ndarray of shape (n_classes,)
        The labels; missing without them.
    n_features_in_ : int
        Number of columns.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the columns, where X had string names.

    See Also
    --------
    skrdia.signals.score : The scores alone, of an estimator that is fitted already.
    RDIAClassifier : Repair the labels, and train on the repaired ones.
    sklearn.ensemble.IsolationForest : Looks at the rows alone.

    References
    ----------
    .. [1] Myrtakis et al., "A comparative analysis of influence signals for data debugging", arXiv 2506.11584.
    .. [2] Northcutt, Jiang, Chuang, "Confident learning: estimating uncertainty in dataset labels", JAIR 70, 2021.

    Examples
    --------
    >>> from skrdia import InfluenceLabelDetector
    >>> from skrdia.datasets import flip_labels, load_breast_cancer_scale
    >>> X, y = load_breast_cancer_scale(return_X_y=True)
    >>> noisy_y, flipped = flip_labels(y, rate=0.1, random_state=0)
    >>> found = InfluenceLabelDetector().fit_predict(X, noisy_y) == -1
    >>> print(f"{found.sum()} found, {flipped[found].sum()} of {flipped.sum()} flipped")
    76 found, 66 of 68 flipped
    """

    _parameter_constraints: dict[str, Any] = {  # noqa: RUF012
        "estimator": [HasMethods(["fit"]), None],
        "signal": [StrOptions(set(SIGNALS)), callable],
        "contamination": [StrOptions({"auto"}), Interval(Real, 0.0, 0.5, closed="right")],
        "hessian": [str, callable],
        "parameters": [str, None],
        "softening": [Interval(Real, 0.0, 1.0, closed="right"), None],
        "damping": [Interval(Real, 0.0, None, closed="left"), None],
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        estimator: Any = None,
        *,
        signal: Any = "stacked-posterior",
        contamination: Any = "auto",
        hessian: Any = "newton-cg",
        parameters: str | None = None,
        softening: float | None = None,
        damping: float | None = None,
        random_state: Any = None,
    ) -> None:
        self.estimator = estimator
        self.signal = signal
        self.contamination = contamination
        self.hessian = hessian
        self.parameters = parameters
        self.softening = softening
        self.damping = damping
        self.random_state = random_state

    @_fit_context(prefer_skip_nested_validation=False)
    def fit(
        self, X: Any, y: ArrayLike | None = None, *, X_val: Any = None, y_val: ArrayLike | None = None
    ) -> InfluenceLabelDetector:
        """Train the estimator, score the rows, and set the threshold.

        Parameters
        ----------
        X : {array-like, sparse matrix, data frame} of shape (n_samples, n_features)
            Rows.
        y : array-like of shape (n_samples,), default=None
            Their labels. Without them rows are judged by where they lie: no estimator is trained, and a row's score is
            its squared Mahalanobis distance from all rows.
        X_val : {array-like, sparse matrix, data frame} of shape (n_val, n_features), default=None
            Validation rows, which some signals need.
        y_val : array-like of shape (n_val,), default=None
            Their labels, correct ones.

        Returns
        -------
        self : InfluenceLabelDetector
            The fitted detector.

        Raises
        ------
        TypeError
            If the estimator's type is not supported.
        ValueError
            If an argument is malformed; the message names it.
        """
        replace_attributes(self, {})
        for name in ("_evidence", "_isolation", "_keys", "_known"):
            self.__dict__.pop(name, None)
        if y is None:
            self._fit_unlabelled(X)
        else:
            self._fit_labelled(X, y, X_val, y_val)
        n_outliers = round(self.contamination_ * len(self.scores_))
        ordered = np.sort(-self.scores_)
        self.offset_ = float(ordered[n_outliers])
        return self

    def fit_predict(self, X: Any, y: ArrayLike | None = None, **params: Any) -> NDArray[np.int_]:
        """Fit, and tell which of the rows are outliers.

        Parameters
        ----------
        X : {array-like, sparse matrix, data frame} of shape (n_samples, n_features)
            Rows.
        y : array-like of shape (n_samples,), default=None
            Their labels.
        **params : dict
            `X_val` and `y_val`, see `fit`.

        Returns
        -------
        is_inlier : ndarray of shape (n_samples,)
            -1 for outliers and 1 for inliers.
        """
        return _signs(-self.fit(X, y, **params).scores_ - self.offset_)

    def score_samples(self, X: Any, y: ArrayLike | None = None) -> Array:
        """Score rows: the lower, the more abnormal.

        Parameters
        ----------
        X : {array-like, sparse matrix, data frame} of shape (n_samples, n_features)
            Rows.
        y : array-like of shape (n_samples,), default=None
            Their labels. Without them a row of `fit` has its label there, and any other the predicted one. Of several
            equal rows of `fit` the most suspicious counts, unless X is all of the rows in their order.

        Returns
        -------
        scores : ndarray of shape (n_samples,)
            Minus the signal.

        Raises
        ------
        ValueError
            If X has other columns than in `fit`, or y a label that was not there.
        """
        check_is_fitted(self)
        if self.estimator_ is None:
            if y is not None:
                raise ValueError("y was given, but the detector was fitted without. Leave it out, or fit with labels.")
            return -self._isolation.distance(self._numbers(X, reset=False))
        X = self._checked(X, reset=False)
        codes = None
        if y is not None:
            codes = encode(check_labels(y), self.classes_, "y")
            check_consistent_length(X, codes)
        keys = _row_keys(X)
        if codes is None and keys == self._keys:
            return -self.scores_
        known: list[Any] = keys if codes is None else list(zip(keys, codes, strict=True))
        scores = np.array([self._known.get(key, np.nan) for key in known])
        unseen = np.flatnonzero(np.isnan(scores))
        if len(unseen):
            scores[unseen] = self._score_unseen(take(X, unseen), None if codes is None else codes[unseen])
        return -scores

    def decision_function(self, X: Any, y: ArrayLike | None = None) -> Array:
        """How far above the threshold each row is: negative for outliers.

        Parameters
        ----------
        X : {array-like, sparse matrix, data frame} of shape (n_samples, n_features)
            Rows.
        y : array-like of shape (n_samples,), default=None
            Their labels, see `score_samples`.

        Returns
        -------
        decision : ndarray of shape (n_samples,)
            ``score_samples(X, y) - offset_``.
        """
        return self.score_samples(X, y) - self.offset_

    def predict(self, X: Any, y: ArrayLike | None = None) -> NDArray[np.int_]:
        """Tell which rows are outliers.

        Parameters
        ----------
        X : {array-like, sparse matrix, data frame} of shape (n_samples, n_features)
            Rows.
        y : array-like of shape (n_samples,), default=None
            Their labels, see `score_samples`.

        Returns
        -------
        is_inlier : ndarray of shape (n_samples,)
            -1 for outliers and 1 for inliers.
        """
        return _signs(self.decision_function(X, y))

    def _fit_labelled(self, X: Any, y: ArrayLike, X_val: Any, y_val: ArrayLike | None) -> None:
        labels = check_labels(y)
        X = self._checked(X, reset=True)
        check_consistent_length(X, labels)
        if len(np.unique(labels)) < 2:
            raise ValueError(f"y has 1 class, {np.unique(labels).tolist()}; wrong labels need at least two classes.")
        self.estimator_ = clone(self._base()).fit(X, labels)
        options = Options(self.parameters, self.softening, self.damping)
        params = {"hessian": self.hessian, "random_state": self.random_state, "options": options}
        self._evidence = gather(self.estimator_, X, labels, X_val, y_val, **params)
        self.classes_ = self._evidence.classes
        codes = self._evidence.given.argmax(axis=1)
        self.scores_ = of_given(apply(known_signal(self.signal), self._evidence), self._evidence.given)
        self.contamination_ = self.contamination
        if self.contamination == "auto":
            known, seen = self._evidence, ~np.isnan(self._evidence.confidence[:, 0])
            shares = (part[seen] for part in (known.confidence, known.given, known.weight))
            self.contamination_ = min(0.5, confident_share(*shares))
        self._keys, self._known = _row_keys(X), dict[Any, float]()
        for key, code, score in zip(self._keys, codes, self.scores_, strict=True):
            for one in (key, (key, code)):
                self._known[one] = max(score, self._known.get(one, -np.inf))

    def _fit_unlabelled(self, X: Any) -> None:
        rows = self._numbers(X, reset=True)
        self._isolation = Isolation(rows, np.ones((rows.shape[0], 1)))
        self.estimator_, self.scores_ = None, self._isolation.distance(rows)
        self.contamination_ = _UNLABELLED_SHARE if self.contamination == "auto" else self.contamination

    def _score_unseen(self, X: Any, codes: NDArray[np.intp] | None) -> Array:
        if codes is None:
            codes = encode(np.asarray(self.estimator_.predict(X)), self.classes_, "y")
        given = one_hot(codes, len(self.classes_))
        return of_given(
            apply(known_signal(self.signal), Unseen(self._evidence, fitted_head(self.estimator_, X).X, given)), given
        )

    def _checked(self, X: Any, *, reset: bool) -> Any:
        """Rows of whatever kind the estimator takes, with the columns of `fit`."""
        X = as_indexable(X)
        is_numeric = getattr(getattr(X, "dtype", None), "kind", "O") in "fiub"
        if hasattr(X, "columns") or getattr(X, "ndim", 2) > 2 or not is_numeric:
            validate_data(self, X=X, reset=reset, skip_check_array=True)
            return X
        return self._numbers(X, reset=reset)

    def _numbers(self, X: Any, *, reset: bool) -> Any:
        tags = get_tags(self)
        finite = "allow-nan" if tags.input_tags.allow_nan else True
        return validate_data(
            self, X=X, reset=reset, accept_sparse="csr", dtype=[np.float64, np.float32], ensure_all_finite=finite
        )

    def _base(self) -> Any:
        return LogisticRegression() if self.estimator is None else self.estimator

    def __sklearn_tags__(self) -> Tags:
        tags, base = super().__sklearn_tags__(), get_tags(self._base())
        tags.input_tags.sparse = base.input_tags.sparse
        tags.input_tags.allow_nan = base.input_tags.allow_nan
        return tags


def _signs(decision: Array) -> NDArray[np.int_]:
    return np.where(decision < 0.0, -1, 1)  # a row that could not be judged is none


def _row_keys(X: Any) -> list[bytes]:
    """A key of every row, equal for equal rows."""
    if hasattr(X, "tocsr"):
        X = X.tocsr(copy=True)
        X.sum_duplicates()
        bounds = list(zip(X.indptr[:-1], X.indptr[1:], strict=True))
        return [_digest(X.indices[a:b].tobytes() + X.data[a:b].astype(np.float64).tobytes()) for a, b in bounds]
    rows = np.asarray(X)
    if rows.dtype == object:
        return [_digest(repr(row.tolist() if rows.ndim > 1 else row).encode()) for row in rows]
    if rows.dtype.kind in "fiub":
        rows = rows.astype(np.float64)
    return [_digest(row.tobytes()) for row in np.ascontiguousarray(rows)]


def _digest(row: bytes) -> bytes:
    return blake2b(row, digest_size=16).digest()
