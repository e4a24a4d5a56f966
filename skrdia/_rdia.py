"""RDIAClassifier: find the training rows that hurt, repair their labels, retrain."""

from __future__ import annotations

from numbers import Integral, Real
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassifierMixin, MetaEstimatorMixin, clone
from sklearn.linear_model import LogisticRegression
from sklearn.utils import Tags, check_random_state, get_tags
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted, check_memory, validate_data

from skrdia._influence import validation_loss
from skrdia._repair import Repaired, detect, repair
from skrdia._rows import Rows, split_rows, stack
from skrdia._sklearn import HasMethods, Interval, StrOptions, _fit_context
from skrdia._train import fit_targets
from skrdia.signals import SIGNALS
from skrdia.signals import influence as influence_signal
from skrdia.solvers import DETERMINISTIC, SOLVERS
from skrdia.strategies import STRATEGIES
from skrdia.views import check_supported
from skrdia.views._base import Array

__all__ = ["RDIAClassifier"]


def _estimator_has(method: str) -> Any:
    """Whether the fitted estimator, or before `fit` the base estimator, has the method; for `available_if`."""

    def check(self: RDIAClassifier) -> bool:
        getattr(self.estimator_ if hasattr(self, "estimator_") else self._base(), method)
        return True

    return check


class RDIAClassifier(ClassifierMixin, MetaEstimatorMixin, BaseEstimator):
    """Classifier trained on labels that influence functions have repaired.

    `fit` trains the base estimator (step I), computes the influence of every training row on the loss over trusted
    validation rows (step II), gives the rows that hurt a new label (step III), and retrains (step IV) [1]_.

    Parameters
    ----------
    base_estimator : classifier, default=None
        The classifier to train; ``LogisticRegression()`` when None. `LogisticRegression`, `LogisticRegressionCV`,
        ``SGDClassifier(loss="log_loss")``, a `Pipeline` that ends in one of them, a `FrozenEstimator` around one of
        them, or any estimator with a method ``__skrdia_view__()``.
    alpha : float, default=0.7
        Rows whose signal exceeds `alpha` are harmful. In the unit of the signal; for "influence" that is nats of
        validation loss per row, times the number of rows: deleting a row with influence phi lowers the validation loss
        by about ``phi / n_samples``. The default is the best of the values compared in the user guide.
    hessian : {"newton-cg", "direct", "lissa", "identity"} or callable, default="newton-cg"
        How the inverse Hessian is applied, see `skrdia.solvers`: by conjugate gradients that never form it, by a dense
        factorisation, by stochastic recursion, or not at all.
    signal : {"auto", "influence"} or callable, default="auto"
        The score that is compared with `alpha`, see `skrdia.signals`. "auto" is "influence".
    strategy : {"auto", "relabel", "relabel-soft", "drop", "none"} or callable, default="auto"
        What becomes of harmful rows, see `skrdia.strategies`. "auto" is "relabel": the label of lowest influence, for
        two classes the other label. "relabel-soft" is the paper's soft target for more than two classes.
    max_iter : int, default=None
        Rounds of steps I to III. None is one round, as in the paper.
    validation_fraction : float, default=0.3
        Share of the rows held out, stratified by class, when `fit` is given no validation rows. Their labels should be
        right: hand over verified ones by `trusted` or `X_val` where there are any.
    cv : int, cross-validation generator or iterable, default=None
        Instead of holding rows out, score every row by its mean influence over the folds it is trained in, on the rows
        of the other fold. Every row can then be repaired.
    refit_on : {"all", "train"}, default="all"
        Rows of the final fit: the repaired training rows and the validation rows, or, as in the paper, only the former.
    memory : str or object with the joblib.Memory interface, default=None
        Caches steps I and II, so that a search over `alpha` and `strategy` pays for them once, and then for the final
        fits alone.
    n_jobs : int, default=None
        Folds of `cv` in parallel. None means 1 unless in a `joblib.parallel_backend` context, -1 all processors.
    random_state : int, RandomState instance or None, default=None
        For the hold-out, for ``hessian="lissa"``, and for random strategies.
    verbose : int, default=0
        If positive, print a line per round.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The labels.
    estimator_ : classifier
        The final fit; `predict` and the like are its.
    base_estimator_ : classifier
        The first fit, on the labels as given (with `cv`, on all rows).
    harmful_mask_ : ndarray of shape (n_samples,)
        True for the rows of the X given to `fit` that some round found harmful; False for validation rows.
    relabeled_y_ : ndarray of shape (n_samples,)
        The labels after repair, in the dtype of y. Dropped rows keep theirs; a soft target counts as its largest entry.
    targets_ : ndarray of shape (n_samples, n_classes)
        Training targets of the final fit: the sample weight in the column of the label, zeros for a row left out.
    influences_ : ndarray of shape (n_samples,)
        Influence of each row as given, on the first fit; positive is harmful, nan for validation rows.
    label_influences_ : ndarray of shape (n_samples, n_classes)
        Influence each row would have with each label, on the first fit.
    validation_mask_ : ndarray of shape (n_samples,)
        True for the rows of X used as validation rows.
    alpha_ : float
        The threshold used.
    n_iter_ : int
        Rounds run.
    predicted_gain_ : float
        Decrease of the validation loss that the repair promises to first order, in nats.
    history_ : list of dict
        Per round: `round`, `n_harmful`, `n_changed` (targets that differ from the round before), `validation_loss` (of
        the model trained on the targets before the round), `predicted_gain` and `realised_gain` (of the change; nan
        where no model trained on just the new targets was judged by the validation rows), `diagnostics`, and
        `termination_condition`.
    termination_condition_ : str
        Why the rounds ended: "no row above alpha", "labels repeat", "max_iter", or "a class would be left empty: ...".
    diagnostics_ : dict
        Of the first round (the worst of its folds): `hessian`, `iterations`, `residual`, `converged` (of the linear
        solve), `n_products` with the Hessian, `damping` (added to its diagonal), `smallest_curvature` and
        `largest_curvature` seen, `gradient_norm` (largest entry of the gradient of the mean training objective) and
        `scaled_gradient_norm` (the same, each entry over the root of its curvature, summed in squares: how far the
        base estimator is from its optimum, in units that do not depend on the columns').
    n_features_in_ : int
        Number of features seen during `fit`.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of features seen during `fit`, when X has string column names.

    See Also
    --------
    influence : Only the numbers, for an estimator fitted elsewhere.

    Notes
    -----
    A search such as `GridSearchCV` slices every array in the fit parameters that is as long as X, so an `X_val` with as
    many rows as X would lose rows without a word. `trusted` is per row of X, so that slicing it is right.

    References
    ----------
    .. [1] Kong, Shen, Huang, "Resolving training biases via influence-based data relabeling", ICLR 2022.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.linear_model import LogisticRegression
    >>> from skrdia import RDIAClassifier
    >>> X = np.repeat([[-2.0], [-1.0], [1.0], [2.0]], 10, axis=0)
    >>> y = np.where(X[:, 0] > 0, "good", "bad")
    >>> y[[0, 39]] = "good", "bad"  # two wrong labels
    >>> clf = RDIAClassifier(LogisticRegression())
    >>> clf.fit(X, y, X_val=[[-1.5], [1.5]], y_val=["bad", "good"])
    RDIAClassifier(base_estimator=LogisticRegression())
    >>> np.flatnonzero(clf.harmful_mask_)
    array([ 0, 39])
    >>> clf.relabeled_y_[[0, 39]]
    array(['bad', 'good'], dtype='<U4')
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "base_estimator": [HasMethods(["fit", "predict"]), None],
        "alpha": [Interval(Real, 0.0, None, closed="left")],
        "hessian": [StrOptions(set(SOLVERS)), callable],
        "signal": [StrOptions({"auto", *SIGNALS}), callable],
        "strategy": [StrOptions({"auto", *STRATEGIES}), callable],
        "max_iter": [Interval(Integral, 1, None, closed="left"), None],
        "validation_fraction": [Interval(Real, 0.0, 1.0, closed="neither")],
        "cv": ["cv_object"],
        "refit_on": [StrOptions({"all", "train"})],
        "memory": [str, HasMethods(["cache"]), None],
        "n_jobs": [Integral, None],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
    }

    def __init__(
        self,
        base_estimator: Any = None,
        alpha: float = 0.7,
        hessian: Any = "newton-cg",
        *,
        signal: Any = "auto",
        strategy: Any = "auto",
        max_iter: int | None = None,
        validation_fraction: float = 0.3,
        cv: Any = None,
        refit_on: str = "all",
        memory: Any = None,
        n_jobs: int | None = None,
        random_state: Any = None,
        verbose: int = 0,
    ) -> None:
        self.base_estimator = base_estimator
        self.alpha = alpha
        self.hessian = hessian
        self.signal = signal
        self.strategy = strategy
        self.max_iter = max_iter
        self.validation_fraction = validation_fraction
        self.cv = cv
        self.refit_on = refit_on
        self.memory = memory
        self.n_jobs = n_jobs
        self.random_state = random_state
        self.verbose = verbose

    @_fit_context(prefer_skip_nested_validation=False)
    def fit(
        self,
        X: Any,
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
        *,
        X_val: Any = None,
        y_val: ArrayLike | None = None,
        trusted: ArrayLike | None = None,
    ) -> RDIAClassifier:
        """Train on repaired labels.

        The validation rows are `X_val` and `y_val`, or the `trusted` rows of X, or the folds of `cv`, or else a
        stratified hold-out of `validation_fraction` of the rows.

        Parameters
        ----------
        X : {array-like, sparse matrix, data frame} of shape (n_samples, n_features)
            Training rows.
        y : array-like of shape (n_samples,)
            Labels, of which some may be wrong.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows, in the training loss and, for trusted or held-out rows, in the validation loss.
        X_val : {array-like, sparse matrix, data frame} of shape (n_val, n_features), default=None
            Validation rows. A `Pipeline` transforms them with ``Pipeline(..., transform_input=["X_val"])``.
        y_val : array-like of shape (n_val,), default=None
            Their labels, correct ones.
        trusted : bool array-like of shape (n_samples,), default=None
            True for the rows of X whose label is verified: they are the validation rows, and never relabelled.

        Returns
        -------
        self : RDIAClassifier
            The fitted estimator.

        Raises
        ------
        TypeError
            If the base estimator is of an unsupported type; the message lists the supported ones.
        ValueError
            If an argument is malformed; the message names it.
        """
        base = self._base()
        check_supported(base)
        self._check_columns(X, X_val)
        rng = check_random_state(self.random_state)
        rows = split_rows(
            X,
            y,
            sample_weight,
            X_val=X_val,
            y_val=y_val,
            trusted=trusted,
            cv=self.cv,
            validation_fraction=self.validation_fraction,
            random_state=rng,
        )
        repaired = repair(
            rows,
            self._detector(base, rows, rng),
            _resolve(self.signal, SIGNALS, auto="influence"),
            _resolve(self.strategy, STRATEGIES, auto="relabel"),
            self.alpha,
            max_iter=self.max_iter or 1,
            n_jobs=self.n_jobs,
            rng=rng,
            report=print if self.verbose else lambda _: None,
        )
        self._store(base, rows, repaired)
        validate_data(self, X=X, skip_check_array=True)  # n_features_in_, feature_names_in_
        return self

    def _base(self) -> Any:
        return LogisticRegression() if self.base_estimator is None else self.base_estimator

    def _check_columns(self, X: Any, X_val: Any) -> None:
        if X_val is None:
            return
        if hasattr(X, "columns") != hasattr(X_val, "columns"):
            raise ValueError(
                f"X is a {type(X).__name__} and X_val a {type(X_val).__name__}; pass both as data frames with the same "
                "columns, or both as arrays."
            )
        scratch = clone(self)  # so that a failing fit leaves no attribute behind
        validate_data(scratch, X=X, skip_check_array=True)
        try:
            validate_data(scratch, X=X_val, skip_check_array=True, reset=False)
        except ValueError as error:
            raise ValueError(f"X_val: {error}") from error

    def _detector(self, base: Any, rows: Rows, rng: np.random.RandomState) -> Any:
        cached = check_memory(self.memory).cache(detect)
        seed = None if self.hessian in DETERMINISTIC else rng.randint(2**31 - 1)

        def detect_fold(X: Any, targets: Array, X_val: Any, targets_val: Array) -> Any:
            return cached(base, X, targets, rows.classes, X_val, targets_val, self.hessian, seed)

        return detect_fold

    def _store(self, base: Any, rows: Rows, repaired: Repaired) -> None:
        labels, first, history = repaired.labels, repaired.first, repaired.history
        targets = labels * rows.weight[:, None]
        if self.refit_on == "train":
            targets[rows.validation_mask] = 0.0
        X, fit_on = rows.X, targets
        if self.refit_on == "all" and rows.outside is not None:
            X, fit_on = stack(X, rows.outside[0]), np.vstack([targets, rows.outside[1]])
        estimator = fit_targets(base, X, fit_on, rows.classes)
        if self.refit_on == "train" and len(rows.folds) == 1:
            loss = validation_loss(estimator, rows.folds[0].X_val, rows.folds[0].targets_val)
            history[-1]["realised_gain"] = history[-1]["validation_loss"] - loss
        relabeled = rows.y.copy()
        changed = (labels != rows.given).any(axis=1) & labels.any(axis=1)
        relabeled[changed] = rows.classes[labels[changed].argmax(axis=1)]

        self.estimator_ = estimator
        self.base_estimator_ = first.estimators[0]
        if len(first.estimators) > 1:
            self.base_estimator_ = fit_targets(base, rows.X, rows.given * rows.weight[:, None], rows.classes)
        self.classes_ = rows.classes
        self.harmful_mask_ = repaired.harmful
        self.relabeled_y_ = relabeled
        self.targets_ = targets
        self.label_influences_ = first.influences
        self.influences_ = influence_signal(rows.given, first.influences, first.log_proba)
        self.validation_mask_ = rows.validation_mask
        self.alpha_ = float(self.alpha)
        self.n_iter_ = len(history)
        self.predicted_gain_ = float(np.nansum(first.loss_gradient * (rows.given - labels)))
        self.history_ = history
        self.termination_condition_ = repaired.termination_condition
        self.diagnostics_ = first.diagnostics

    @available_if(_estimator_has("predict"))
    def predict(self, X: Any) -> NDArray[Any]:
        """Predict the label of each row.

        Parameters
        ----------
        X : {array-like, sparse matrix, data frame} of shape (n_samples, n_features)
            Rows.

        Returns
        -------
        y : ndarray of shape (n_samples,)
            Labels.
        """
        check_is_fitted(self)
        return self.estimator_.predict(X)

    @available_if(_estimator_has("predict_proba"))
    def predict_proba(self, X: Any) -> Array:
        """Predict the probability of each label.

        Parameters
        ----------
        X : {array-like, sparse matrix, data frame} of shape (n_samples, n_features)
            Rows.

        Returns
        -------
        p : ndarray of shape (n_samples, n_classes)
            Probabilities, in the order of `classes_`.
        """
        check_is_fitted(self)
        return self.estimator_.predict_proba(X)

    @available_if(_estimator_has("predict_log_proba"))
    def predict_log_proba(self, X: Any) -> Array:
        """Predict the log-probability of each label.

        Parameters
        ----------
        X : {array-like, sparse matrix, data frame} of shape (n_samples, n_features)
            Rows.

        Returns
        -------
        log_p : ndarray of shape (n_samples, n_classes)
            Log-probabilities, in the order of `classes_`.
        """
        check_is_fitted(self)
        return self.estimator_.predict_log_proba(X)

    @available_if(_estimator_has("decision_function"))
    def decision_function(self, X: Any) -> Array:
        """Compute the decision function of the final fit.

        Parameters
        ----------
        X : {array-like, sparse matrix, data frame} of shape (n_samples, n_features)
            Rows.

        Returns
        -------
        decision : ndarray of shape (n_samples,) or (n_samples, n_classes)
            Logits, of the second class where there are two.
        """
        check_is_fitted(self)
        return self.estimator_.decision_function(X)

    def score(self, X: Any, y: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
        """Score of the final fit: the mean accuracy, for the classifiers of scikit-learn.

        Parameters
        ----------
        X : {array-like, sparse matrix, data frame} of shape (n_samples, n_features)
            Rows.
        y : array-like of shape (n_samples,)
            True labels.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows.

        Returns
        -------
        score : float
            Mean accuracy of `predict` on X with respect to y.
        """
        check_is_fitted(self)
        return self.estimator_.score(X, y, sample_weight=sample_weight)

    def __sklearn_tags__(self) -> Tags:
        tags, base = super().__sklearn_tags__(), get_tags(self._base())
        tags.input_tags.sparse = base.input_tags.sparse
        tags.input_tags.allow_nan = base.input_tags.allow_nan
        return tags


def _resolve(value: Any, table: dict[str, Any], auto: str) -> Any:
    """The function of a name; a callable is returned as it is."""
    return table[auto if value == "auto" else value] if isinstance(value, str) else value
