"""RDIAClassifier: find the training rows that hurt, repair their labels, retrain."""

from __future__ import annotations

from numbers import Integral, Real
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, ClassifierMixin, MetaEstimatorMixin
from sklearn.linear_model import LogisticRegression
from sklearn.utils import Tags, check_random_state, get_tags

from skrdia._blocks import is_dask
from skrdia._delegates import Delegates
from skrdia._finish import finish
from skrdia._fitted import (
    features_of,
    replace_attributes,
    warn_of_rows_left_alone,
    warn_of_unverified_judges,
)
from skrdia._heads import Heads, fit_heads
from skrdia._held_out import held_out
from skrdia._ledger import open_ledger
from skrdia._out_of_fold import N_FOLDS
from skrdia._outcome import Outcome, by_choice, by_threshold, seed_of, signal_name, without_judges
from skrdia._progress import listening
from skrdia._rows import split_rows
from skrdia._second_look import warn_of_verified
from skrdia._sklearn import HasMethods, Interval, StrOptions, _fit_context
from skrdia.report._page import Reported
from skrdia.signals import SIGNALS
from skrdia.solvers import SOLVERS
from skrdia.strategies import STRATEGIES
from skrdia.views import check_supported
from skrdia.views._heads import without_resamplers

__all__ = ["RDIAClassifier"]


class RDIAClassifier(Reported, Delegates, ClassifierMixin, MetaEstimatorMixin, BaseEstimator):
    """Classifier trained on labels that influence functions have repaired.

    `fit` trains the base estimator (step I), computes the influence of every training row on the loss over trusted
    validation rows (step II), gives the rows that hurt a new label (step III), and retrains (step IV) [1]_. By default
    the validation rows choose how: which signal finds the rows, at which threshold, and what becomes of them.

    Parameters
    ----------
    base_estimator : classifier, default=None
        The classifier to train; ``LogisticRegression()`` when None. `LogisticRegression`, `LogisticRegressionCV`,
        ``SGDClassifier(loss="log_loss")``, `MLPClassifier`, skorch's `NeuralNetClassifier` with a cross-entropy, a
        `Pipeline` that ends in one of them, a `FrozenEstimator` around one of them, or any estimator with a method
        ``__skrdia_view__()``. The first steps of a pipeline that do not learn from labels are fitted
        once, on all rows that train or judge.
    alpha : "auto" or float, default="auto"
        Rows whose signal exceeds `alpha` are harmful. "auto" tries candidates (signal, threshold, strategy, rounds, and
        strength of the detector's regularisation), judges each by cross-validation over the validation rows, and
        averages the targets of those that predict them best; where that is no clear gain over doing nothing, it does
        nothing. Where nothing is verified, a model of how the labels were given takes their place. A number is in the
        unit of the signal, which with validation rows is then "influence": nats of validation loss per row,
        times the number of rows, so that deleting a row with influence phi lowers the validation loss by about
        ``phi / n_samples``.
    hessian : {"newton-cg", "direct", "lissa", "ekfac", "identity"} or callable, default="newton-cg"
        How the inverse Hessian is applied, see `skrdia.solvers`: by conjugate gradients that never form it, by a dense
        factorisation, by stochastic recursion, by a Kronecker factorisation of the layers of a net, or not at all.
    influence_estimator : classifier, default=None
        The model of steps I and II, the base estimator when None. With one of the types above here, `base_estimator`
        can be any classifier with `fit` and `predict_proba`, with or without sample weights.
    signal : {"auto", "influence", "confidence", "trusted-confidence", "posterior", ...} or callable, \
            default="auto"
        The score that is compared with `alpha`, see `skrdia.signals`. "auto" leaves it to the validation rows when
        `alpha` is "auto", and otherwise is "influence". Where nothing is verified it is "noise-model" with "auto", and
        "confidence" with a number, so that the label of a row is wrong where other models find it improbable.
    strategy : {"auto", "relabel", "relabel-soft", "soft", "drop", "none", "uids-linear", "uids-sigmoid", "optlr", \
            "random"} or callable, default="auto"
        What becomes of harmful rows, see `skrdia.strategies`. "auto" leaves it to the validation rows when `alpha` is
        "auto", and otherwise is "relabel": the label with the lowest signal, for two classes the other label.
        "relabel-soft" is the paper's soft target for more than two classes; the last four are the methods that the
        paper compares with.
    max_iter : int, default=None
        Rounds of steps I to III. None is one round, as in the paper, or up to three with ``alpha="auto"``.
    validation_fraction : float, default=None
        Share of the rows held out, stratified by class, when `fit` is given no validation rows. Their labels are taken
        to be right, although nobody has verified them, and `fit` warns of that. None holds nothing out.
    cv : int, cross-validation generator or iterable, default=None
        Without validation rows: score every row by models that never saw it, fits on the folds it is not in, so that
        every row can be repaired. None is 5 shuffled folds then, unless `validation_fraction` is given. With
        ``signal="influence"`` a row has its mean influence over the folds it is trained in, on the rows of the other
        fold, whose labels nobody has verified either.
    refit_on : {"all", "train"}, default="all"
        Rows of the final fit: the repaired training rows and the validation rows, or, as in the paper, only the former.
    refit_params : dict, default=None
        Parameters set on the base estimator for the final fit, such as ``{"lr": 1e-4, "max_epochs": 5}``. With
        ``"warm_start": True`` that fit begins at the first one, as in the paper for nets. None is the base estimator as
        it is, from scratch.
    parameters : str, default=None
        For a net, the parameters whose influence is meant: "last", those of its last layer, also when None; "all"; or a
        pattern of their names, such as "layers.2.*".
    softening : float, default=None
        Factor on the logits of the fitted model before gradients and curvature are taken. Below one it shows wrong
        labels that a net has learned by heart, where its gradient vanishes. None is 0.2 for nets, 1 for other models.
    damping : float, default=None
        Added to the diagonal of the mean Hessian. None is a thousandth of its trace for nets, 0 for other models.
    best_epoch : bool, default=True
        For a net of skorch: whether the first fit keeps the epoch with the lowest loss on the validation rows, instead
        of the last one. It then trains on all other rows, whatever its `train_split`.
    compute_std : bool, default=False
        Whether to compute `influence_std_`, for about one more linear solve per validation row.
    memory : str or object with the joblib.Memory interface, default=None
        Caches steps I and II, so that a search over `alpha` and `strategy` pays for them once, and then for the final
        fits alone; with ``alpha="auto"``, the choice.
    n_jobs : int, default=None
        Folds in parallel, of `cv` or of ``alpha="auto"``. None means 1 unless in a `joblib.parallel_backend` context,
        -1 all processors.
    random_state : int, RandomState instance or None, default=None
        For the hold-out, for ``hessian="lissa"``, for random strategies, for the training of nets of skorch, and with
        ``alpha="auto"`` for the share of the rows that the folds train on where there are more than 4,000.
    verbose : int, default=0
        If positive, print a line per round, or per fold of ``alpha="auto"``; for nets per epoch, and every few seconds
        of a pass over the rows.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The labels, of all rows.
    estimator_ : classifier
        The final fit; `predict` and the like are its.
    base_estimator_ : classifier
        The first fit, on the labels as given (with `cv` or an `influence_estimator`, on all rows).
    harmful_mask_ : ndarray of shape (n_samples,)
        True for the rows of the X given to `fit` that some round found harmful, with ``alpha="auto"`` for those whose
        label has lost more than half of its weight, and where nothing is verified for so many of the rows with the
        highest `scores_` as make the expected F measure largest; False for validation rows.
    relabeled_y_ : ndarray of shape (n_samples,)
        The labels after repair, in the dtype of y. Dropped rows keep theirs; a soft target counts as its largest entry.
    targets_ : ndarray of shape (n_samples, n_classes)
        Training targets of the final fit: the sample weight in the column of the label, zeros for a row left out.
    scores_ : ndarray of shape (n_samples,)
        How suspicious the label of each row is, high = bad: the signal in the first round; with ``alpha="auto"`` the
        share of its weight that the repairs took from it, accepted or not; where nothing is verified the probability
        that the label is wrong. Nan for validation rows, and for rows that are left as they are because nothing could
        judge them: no verified row has their label, no other row has it, or no fold of `cv` tests them.
    noise_rate_ : float
        Estimated share of wrong labels among the rows that are not verified, with ``alpha="auto"``: by the noise model
        [2]_, or where verified rows contradict that by what they show. This and the next five are not there with a
        number for `alpha`, for nets with verified rows, and on a cluster.
    noise_rate_interval_ : ndarray of shape (2,)
        The shares that are exceeded with probability 0.95, and with 0.05.
    noise_matrix_ : ndarray of shape (n_classes, n_classes)
        Probability that a row of one class (rows) is given each label (columns).
    noise_counts_ : ndarray of shape (n_classes,)
        Estimated number of wrong labels among the rows given each label.
    harmful_precision_, harmful_recall_ : float
        The share of the rows in `harmful_mask_` whose label is expected to be wrong, and their share of all wrong ones;
        nan where no row is marked.
    influences_ : ndarray of shape (n_samples,)
        Influence of each row as given, on the first fit; positive is harmful, nan for validation rows, and
        everywhere when the influences were not needed.
    label_influences_ : ndarray of shape (n_samples, n_classes)
        Influence each row would have with each label, on the first fit.
    influence_std_ : ndarray of shape (n_samples,)
        Standard error of `influences_` over the validation rows, with ``compute_std=True``: the harm of a row is
        significant where the influence exceeds twice this.
    validation_mask_ : ndarray of shape (n_samples,)
        True for the rows of X used as validation rows.
    signal_, strategy_, alpha_, n_iter_ : str or callable, str or callable, float, int
        What was used; with ``alpha="auto"`` by the candidate of the largest weight ("none" and infinity where doing
        nothing was best). `n_iter_` is the number of rounds run.
    predicted_gain_ : float
        Decrease of the validation loss that the repair promises to first order, in nats; nan without influences.
    ledger_ : Ledger
        A line for each row that was changed or found harmful, with the reason, for a person to decide on, see `Ledger`.
    held_out_ : dict of ndarrays of shape (n_val,)
        The validation rows: `row`, the position in X, -1 for those of `X_val`; `label`; `weight`, with the factors of
        `verified_check_`; and the loss of each in nats, `before` and `after` the repair, by models that have not seen
        it. With ``alpha="auto"`` they are those of the cross-validation that chose, equal where nothing was done; with
        a number for `alpha` those of the first fit and, with ``refit_on="train"``, the final one. Nan where there are
        none, such as with `cv`.
    history_ : list of dict
        Per round: `round`, `n_harmful`, `n_changed` (targets that differ from the round before), `validation_loss` (of
        the model trained on the targets before the round), `predicted_gain` and `realised_gain` (of the change; nan
        where no model trained on just the new targets was judged by the validation rows), `diagnostics`, and
        `termination_condition`. With ``alpha="auto"`` per candidate: `signal`, `strategy`, `alpha`, `n_iter`,
        `detector`, its cross-validated `loss` and standard error `loss_se` in nats, its `gain` over doing nothing and
        the paired standard error `gain_se`, the share of the training rows `changed`, and its `weight` in the average;
        for nets also `fine_tuning_epochs` and `temperature`.
    verified_suspects_ : ndarray of shape (n_suspects,)
        With ``alpha="auto"``: positions in `held_out_` of the rows whose verified label is more likely wrong than
        right, the likeliest first; ``held_out_["row"][verified_suspects_]`` are their rows of X. They count for less in
        the choice and in the final fit.
    verified_check_ : object or None
        What was found out about the verified rows: the factors `weights` on their weights, the probability `wrong` for
        each label, `wrong_rate` with its `interval`, their class `shares` and the `expected_shares`. None without
        verified rows, with a number for `alpha`, or with less than ten.
    termination_condition_ : str
        Why the rounds ended: "no row above alpha", "labels repeat", "max_iter", or "a class would be left empty: ...".
        With ``alpha="auto"``: "average of ...", "the best candidate alone: ...", "the best recipe ...: ...", "do
        nothing was best: ..." or "do nothing: ...", with the figures; and after that "trained on all rows, worse than
        judged: ..." where another repair is delivered than the one that was best. Where nothing is verified, or too
        little to choose by: "estimated: ...".
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
    Ledger : Decide on the changes, and fit again.
    skrdia.report.summarise : The verdict, and all that the report shows, as a dict.

    Notes
    -----
    A search such as `GridSearchCV` slices every array in the fit parameters that is as long as X, so an `X_val` with as
    many rows as X would lose rows without a word. `trusted` is per row of X, so that slicing it is right.

    References
    ----------
    .. [1] Kong, Shen, Huang, "Resolving training biases via influence-based data relabeling", ICLR 2022.
    .. [2] Menon, van Rooyen, Ong, Williamson, "Learning from corrupted binary labels via class-probability estimation",
       ICML 2015.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.linear_model import LogisticRegression
    >>> from skrdia import RDIAClassifier
    >>> X = np.repeat([[-2.0], [-1.0], [1.0], [2.0]], 10, axis=0)
    >>> y = np.where(X[:, 0] > 0, "good", "bad")
    >>> y[[0, 39]] = "good", "bad"  # two wrong labels
    >>> clf = RDIAClassifier(LogisticRegression(), alpha=0.7)  # the paper's method, with a threshold
    >>> clf.fit(X, y, X_val=[[-1.5], [1.5]], y_val=["bad", "good"])
    RDIAClassifier(alpha=0.7, base_estimator=LogisticRegression())
    >>> np.flatnonzero(clf.harmful_mask_)
    array([ 0, 39])
    >>> clf.relabeled_y_[[0, 39]]
    array(['bad', 'good'], dtype='<U4')
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "base_estimator": [HasMethods(["fit", "predict"]), None],
        "alpha": [StrOptions({"auto"}), Interval(Real, 0.0, None, closed="left")],
        "hessian": [StrOptions(set(SOLVERS)), callable],
        "influence_estimator": [HasMethods(["fit", "predict"]), None],
        "signal": [StrOptions({"auto", *SIGNALS}), callable],
        "strategy": [StrOptions({"auto", *STRATEGIES}), callable],
        "max_iter": [Interval(Integral, 1, None, closed="left"), None],
        "validation_fraction": [Interval(Real, 0.0, 1.0, closed="neither"), None],
        "cv": ["cv_object"],
        "refit_on": [StrOptions({"all", "train"})],
        "refit_params": [dict, None],
        "parameters": [str, None],
        "softening": [Interval(Real, 0.0, None, closed="neither"), None],
        "damping": [Interval(Real, 0.0, None, closed="left"), None],
        "best_epoch": ["boolean"],
        "compute_std": ["boolean"],
        "memory": [str, HasMethods(["cache"]), None],
        "n_jobs": [Integral, None],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
    }

    def __init__(
        self,
        base_estimator: Any = None,
        alpha: Any = "auto",
        hessian: Any = "newton-cg",
        *,
        influence_estimator: Any = None,
        signal: Any = "auto",
        strategy: Any = "auto",
        max_iter: int | None = None,
        validation_fraction: float | None = None,
        cv: Any = None,
        refit_on: str = "all",
        refit_params: dict[str, Any] | None = None,
        parameters: str | None = None,
        softening: float | None = None,
        damping: float | None = None,
        best_epoch: bool = True,
        compute_std: bool = False,
        memory: Any = None,
        n_jobs: int | None = None,
        random_state: Any = None,
        verbose: int = 0,
    ) -> None:
        self.base_estimator = base_estimator
        self.alpha = alpha
        self.hessian = hessian
        self.influence_estimator = influence_estimator
        self.signal = signal
        self.strategy = strategy
        self.max_iter = max_iter
        self.validation_fraction = validation_fraction
        self.cv = cv
        self.refit_on = refit_on
        self.refit_params = refit_params
        self.parameters = parameters
        self.softening = softening
        self.damping = damping
        self.best_epoch = best_epoch
        self.compute_std = compute_std
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
        groups: ArrayLike | None = None,
        y_given: ArrayLike | None = None,
    ) -> RDIAClassifier:
        """Train on repaired labels.

        The validation rows are `X_val` and `y_val`, or the `trusted` rows of X, or both of these. Where there are none,
        nothing is verified: every row is scored out of fold (`cv`), a model of how the labels were given says how many
        are wrong, and the classifier is trained on the posterior of the right labels. Only with `validation_fraction`
        part of the rows, unverified as they are, takes the place of validation rows.

        Parameters
        ----------
        X : {array-like, sparse matrix, data frame, RowBlocks} of shape (n_samples, n_features)
            Training rows. A Dask array or data frame stays on its cluster, see `skrdia.dask`: y, weights and masks may
            then be of Dask too, and so are the attributes with an entry for each row.
        y : array-like of shape (n_samples,)
            Labels, of which some may be wrong.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows, in the training loss and, for trusted or held-out rows, in the validation loss.
        X_val : {array-like, sparse matrix, data frame} of shape (n_val, n_features), default=None
            Validation rows. A `Pipeline` transforms them with ``Pipeline(..., transform_input=["X_val"])``.
        y_val : array-like of shape (n_val,), default=None
            Their labels, correct ones.
        trusted : bool array-like of shape (n_samples,), default=None
            True for the rows of X whose label is verified: they are validation rows, beside those of `X_val` where that
            is given, and never relabelled.
        groups : array-like of shape (n_samples,), default=None
            The group of each row, such as the patient it is of. Rows of one group never stand on both sides of a split:
            of `cv`, of ``alpha="auto"``, of out-of-fold probabilities, or of the hold-out. Rows of `X_val` are in none.
        y_given : array-like of shape (n_samples,), default=None
            The label that each row of X came with before anyone looked at it, of the type of y; None, nan and ``pd.NA``
            stand for one that is not known. Those of `trusted` rows are used: beside the right label in y they show
            which labels are taken for which. Other rows came with their label in y, so theirs are missing, or the same.

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

        Warns
        -----
        UserWarning
            With ``alpha="auto"``, if verified labels look wrong, or verified rows have other class shares than the rest
            (see the notes on verified rows in "How it works"); if rows of a label cannot be judged.
        """
        if is_dask(X):
            from skrdia._cluster import fit_on_cluster  # loads dask

            return fit_on_cluster(self, X, y, sample_weight, X_val, y_val, trusted, groups, y_given)
        base = self._base()
        finder = self._finder(base)
        is_verified = trusted is not None or X_val is not None
        cv = N_FOLDS if self.cv is None and self.validation_fraction is None and not is_verified else self.cv
        self._check_estimators(base, finder, is_out_of_fold=cv is not None)
        if not is_verified:
            warn_of_unverified_judges(self, cv)
        rng = check_random_state(self.random_state)
        rows = split_rows(
            X,
            y,
            sample_weight,
            X_val=X_val,
            y_val=y_val,
            trusted=trusted,
            groups=groups,
            y_given=y_given,
            cv=cv,
            validation_fraction=self.validation_fraction,
            random_state=rng,
            fold_seed=None if cv is self.cv else seed_of(self.random_state, rng),
        )
        features = features_of(X)
        with listening(print if self.verbose else None):
            heads = fit_heads(base, finder, rows)
            outcome, fitted = finish(self, heads, self._repair(heads, rng))
        warn_of_rows_left_alone(rows, outcome.scores)
        warn_of_verified(outcome.check, rows)
        replace_attributes(self, features | fitted)
        self.held_out_ = held_out(self, rows, outcome)
        self.ledger_ = open_ledger(self, rows, outcome)
        self._has_verified_rows = is_verified
        return self

    def _repair(self, heads: Heads, rng: np.random.RandomState) -> Outcome:
        if self.alpha != "auto":
            return by_threshold(self, heads.finder, heads.rows, rng)
        choose = without_judges if heads.rows.splits else by_choice
        return choose(self, heads.base, heads.finder, heads.rows, rng)

    def _base(self) -> Any:
        return LogisticRegression() if self.base_estimator is None else self.base_estimator

    def _finder(self, base: Any) -> Any:
        """The model of steps I and II; its training rows are those of X."""
        return without_resamplers(base) if self.influence_estimator is None else self.influence_estimator

    def _check_estimators(self, base: Any, finder: Any, *, is_out_of_fold: bool) -> None:
        signal = signal_name(self, is_out_of_fold)
        if signal in ("auto", "influence"):
            check_supported(finder)
        for name, estimator in (("base_estimator", base), ("influence_estimator", finder)):
            judged = self.alpha == "auto" or signal != "influence"
            if judged and not hasattr(estimator, "predict_proba"):
                raise TypeError(
                    f"{name}={estimator!r} has no predict_proba, which alpha='auto' and every signal but 'influence' "
                    "need. Use another classifier, or a calibrated one (CalibratedClassifierCV)."
                )

    def __sklearn_tags__(self) -> Tags:
        tags, base = super().__sklearn_tags__(), get_tags(self._base())
        tags.input_tags.sparse = base.input_tags.sparse
        tags.input_tags.allow_nan = base.input_tags.allow_nan
        return tags
