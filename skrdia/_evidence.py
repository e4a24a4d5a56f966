"""Steps I and II for one set of rows: what models say of every label of every row, computed when a signal asks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from skrdia._influence import Solved, of_all_labels, solve_influence
from skrdia._isolation import Isolation
from skrdia._kernel import Kernel, newton_term
from skrdia._label_posterior import label_posterior
from skrdia._rows import Split, as_indexable, grouped_splits, stack, take
from skrdia._stacking import stacking_weights
from skrdia._train import fit_targets, is_net, known_labels, predict_targets
from skrdia.views import as_view, has_view, regularised
from skrdia.views._base import DEFAULTS, Array, Options

__all__ = [
    "STRONGER",
    "Evidence",
    "can_judge",
    "companions",
    "detect",
    "detectors",
    "folds",
    "group_folds",
    "interleaved_folds",
    "out_of_fold",
]

STRONGER = (0.1, 0.01)
"""Factors on C of detectors that cannot learn wrong labels by heart."""

SHRINKAGE = 30.0
"""Rows by which the channel of the stacked posterior is shrunk towards a symmetric one."""

_N_SPLITS = 3
"""Folds of the out-of-fold probabilities; five recover no more, and cost more."""


def detectors(finder: Any) -> list[Any]:
    """The model that finds the rows, and clones of it with a stronger penalty where it has one."""
    return [finder, *filter(None, (regularised(finder, factor) for factor in STRONGER))]


def companions(finder: Any) -> list[Any]:
    """Linear models of what a net gets, of three strengths of regularisation: they cannot learn labels by heart."""
    if not is_net(finder):
        return []
    return [_with_last_step(finder, _linear(C)) for C in (1.0, *STRONGER)]


def _linear(C: float) -> Any:
    scaler = StandardScaler(with_mean=False)
    return make_pipeline(FunctionTransformer(_as_rows), scaler, LogisticRegression(C=C, max_iter=300))


def _with_last_step(estimator: Any, last: Any) -> Any:
    if not hasattr(estimator, "steps"):
        return last
    copied = clone(estimator)
    name, step = copied.steps[-1]
    copied.steps[-1] = (name, _with_last_step(step, last))
    return copied


def _as_rows(X: Any) -> Any:
    return X.reshape(len(X), -1) if getattr(X, "ndim", 2) > 2 else X


def detect(
    estimator: Any,
    X: Any,
    targets: Array,
    classes: NDArray[Any],
    X_val: Any,
    targets_val: Array,
    hessian: Any,
    random_state: Any,
    options: Options = DEFAULTS,
    best_epoch: bool = True,
    seed: int | None = None,
    cache: Callable[..., Any] | None = None,
) -> tuple[Any, Solved]:
    """The trained estimator, and what its influences say of every label of every row.

    `cache` remembers the trained estimator, so that a run which is interrupted in step II need not train again.
    """
    judges = (X_val, targets_val) if best_epoch else None
    train = fit_targets if cache is None else cache(fit_targets)
    if not can_judge(targets, targets_val):
        raise ValueError(
            f"y: the training rows have the classes {classes[targets.any(axis=0)].tolist()} and the validation rows "
            f"{classes[targets_val.any(axis=0)].tolist()}, at least in one fold, so that there are no influences: "
            "they need two classes to train on, and rows of one of these to judge by. Use another cv, or "
            "signal='confidence'."
        )
    estimator = train(estimator, X, targets, classes, judges=judges, seed=seed)
    view = as_view(estimator, options)
    known = known_labels(view.classes_, classes, targets)
    solved = solve_influence(view, X, targets[:, known], X_val, targets_val[:, known], hessian, random_state)
    return estimator, solved if known.all() else _of_all_classes(solved, known)


def can_judge(targets: Array, targets_val: Array) -> bool:
    """Whether there are influences: two classes to train on, and a validation row of a class that is trained on."""
    trained = targets.any(axis=0)
    return bool(trained.sum() > 1 and targets_val[:, trained].any())


def _of_all_classes(solved: Solved, known: NDArray[np.bool_]) -> Solved:
    """With columns for the classes that no training row has."""
    log_proba = np.full((len(solved.log_proba), len(known)), np.log(np.finfo(np.float64).eps))
    gradient = np.zeros(log_proba.shape)
    log_proba[:, known], gradient[:, known] = solved.log_proba, solved.loss_gradient
    by_label = of_all_labels(solved.by_label, known)
    return replace(solved, by_label=by_label, log_proba=log_proba, loss_gradient=gradient)


def out_of_fold(
    estimator: Any,
    X: Any,
    targets: Array,
    classes: NDArray[Any],
    X_val: Any,
    targets_val: Array | None,
    splits: list[Split],
    starts: list[Any],
    seed: int | None = None,
    groups: NDArray[np.intp] | None = None,
    groups_val: NDArray[np.intp] | None = None,
) -> tuple[Array, list[Any]]:
    """Probabilities (n, K) by fits on the other folds of X and all validation rows, and these fits.

    `starts` are fits to begin at, one for each split, or none. Rows that no split tests are nan. Validation rows of the
    group of a tested row do not train.
    """
    proba, fits = np.full(targets.shape, np.nan), []
    for i, (train, test) in enumerate(splits):
        rows, labels = take(X, train), targets[train]
        if X_val is not None and targets_val is not None:
            kept = np.arange(len(targets_val))
            if groups is not None and groups_val is not None:
                kept = np.flatnonzero(~np.isin(groups_val, groups[test]))
            rows = stack(rows, take(X_val, kept))
            labels = np.vstack([labels, targets_val[kept]])
        start = starts[i] if starts else None
        fits.append(fit_targets(estimator, rows, labels, classes, is_draft=True, start=start, seed=seed))
        proba[test] = predict_targets(fits[-1], take(X, test), classes)
    return proba, fits


def interleaved_folds(targets: Array, n_splits: int) -> NDArray[np.intp]:
    """The fold of every row, (n,): the rows of each class are dealt out in turn."""
    codes, fold = targets.argmax(axis=1), np.empty(len(targets), dtype=np.intp)
    for k in range(targets.shape[1]):
        members = np.flatnonzero(codes == k)
        fold[members] = (np.arange(len(members)) + k) % n_splits
    return fold


def folds(targets: Array, n_splits: int, groups: NDArray[np.intp] | None = None) -> list[Split]:
    """Training and test rows of every fold: interleaved, or of whole groups."""
    fold = group_folds(targets, groups, n_splits)
    return [(np.flatnonzero(fold != i), np.flatnonzero(fold == i)) for i in range(int(fold.max(initial=0)) + 1)]


def group_folds(targets: Array, groups: NDArray[np.intp] | None, n_splits: int) -> NDArray[np.intp]:
    """The fold of every row, (n,), such that no group is in two; there are fewer folds where there are fewer groups."""
    if groups is None:
        return interleaved_folds(targets, n_splits)
    fold = np.zeros(len(targets), dtype=np.intp)
    n_splits = min(n_splits, len(np.unique(groups)))
    if n_splits > 1:
        for i, (_, test) in enumerate(grouped_splits(targets.argmax(axis=1), groups, n_splits)):
            fold[test] = i
    return fold


def _uncached(function: Any, ignore: Any = None) -> Any:
    return function


@dataclass
class Evidence:
    """The rows of one fold, and what models say of them. Arrays (n, K) have a column for each label.

    Parameters
    ----------
    detectors : list of classifiers
        Unfitted. The first is the model of influences and posteriors; the others are more strongly regularised.
    X : array-like of shape (n, n_features)
        Training rows.
    targets : array of shape (n, K)
        Current targets, sample weights included.
    given : array of shape (n, K)
        One in the column of the label that each row came with.
    weight : array of shape (n,)
        Sample weights.
    classes : array of shape (K,)
        The labels.
    X_val : array-like of shape (n_val, n_features), or None
        Trusted rows.
    targets_val : array of shape (n_val, K), or None
        Their targets.
    hessian : str or callable
        See `skrdia.solvers`.
    seed : int or None
        For random solvers.
    cache : callable
        ``joblib.Memory.cache``, or the identity.
    splits : list of (train, test)
        For the out-of-fold probabilities; three folds, stratified by label, when empty.
    options : Options
        How the view of the first detector is taken.
    best_epoch : bool
        Whether the first detector, if it is a net, is the one of the epoch with the lowest loss on the trusted rows.
    training_seed : int or None
        For the training of nets.
    fitted : classifier or None
        The first detector where it has been trained on the targets already.
    companions : list of classifiers
        Unfitted; more models for the stacked posterior.
    groups : array of shape (n,) or None
        Numbers of the groups of rows of which none is on both sides of a fold.
    groups_val : array of shape (n_val,) or None
        The same of the trusted rows.
    given_val : array of shape (n_val, K) or None
        One in the column of the label that each trusted row came with before it was verified; zeros where that is not
        known, and None where it is known of none.
    """

    detectors: list[Any]
    X: Any
    targets: Array
    given: Array
    weight: Array
    classes: NDArray[Any]
    X_val: Any
    targets_val: Array | None
    hessian: Any = "newton-cg"
    seed: int | None = None
    cache: Callable[..., Any] = _uncached
    splits: list[Split] = field(default_factory=list)
    options: Options = DEFAULTS
    best_epoch: bool = True
    training_seed: int | None = None
    fitted: Any = None
    companions: list[Any] = field(default_factory=list)
    groups: NDArray[np.intp] | None = None
    groups_val: NDArray[np.intp] | None = None
    given_val: Array | None = None

    def __getstate__(self) -> dict[str, Any]:
        """Without the kernel and the features, which are computed again when asked for."""
        return {name: value for name, value in vars(self).items() if name not in ("kernel", "_own_features")}

    def __post_init__(self) -> None:
        self.X = as_indexable(self.X)
        if not self.splits:
            self.splits = folds(self.given, _N_SPLITS, self.groups)

    @property
    def has_influences(self) -> bool:
        """Whether there are validation rows, and a model with a curvature."""
        return self.X_val is not None and has_view(self.detectors[0])

    @cached_property
    def detection(self) -> tuple[Any, Solved]:
        """The first detector trained on the current targets, and its influences."""
        self._need_validation_rows("influence")
        assert self.targets_val is not None
        arguments = (self.classes, self.X_val, self.targets_val, self.hessian, self.seed)
        params = {"options": self.options, "best_epoch": self.best_epoch, "seed": self.training_seed}
        found = self.cache(detect, ignore=["cache"])
        return found(self.detectors[0], self.X, self.targets, *arguments, **params, cache=self.cache)

    @property
    def influences(self) -> Array:
        """Influence of every label of every row on the validation loss, (n, K)."""
        if self.fitted is not None:
            return self.kernel.influences()
        return self.detection[1].by_label

    @cached_property
    def model(self) -> Any:
        """The first detector, trained on the current targets."""
        if self.fitted is not None:
            return self.fitted
        if self.has_influences:
            return self.detection[0]
        return fit_targets(self.detectors[0], self.X, self.targets, self.classes, seed=self.training_seed)

    @cached_property
    def known(self) -> NDArray[np.bool_]:
        """Which of the labels the model knows, (K,); the rows of a fold need not have all."""
        return known_labels(self.model.classes_, self.classes, self.targets)

    @cached_property
    def kernel(self) -> Kernel:
        """Inner products of the gradients of the rows, with each other and with those of the validation rows."""
        return self.kernel_at(None)

    def kernel_at(self, X_new: Any) -> Kernel:
        """The kernel of rows that were not trained on; None: of the training rows."""
        judges = self.X_val, self.targets_val, self.known
        if self.hessian == "tracin":
            from skrdia.tracin import checkpoint_terms  # loads torch

            return Kernel(checkpoint_terms(self.model, self.X if X_new is None else X_new, self.options), *judges)
        view, n_trained = as_view(self.model, self.options), int(np.count_nonzero(self.targets))
        targets = self.targets[:, self.known]
        term = newton_term(view, self.X, targets, self.hessian, self.seed, n_trained=n_trained, X_new=X_new)
        return Kernel([term], *judges)

    @cached_property
    def isolation(self) -> Array:
        """How alone every row would be with the other rows of each label, (n, K)."""
        return self._isolation.among_labels(self._own_features)

    @cached_property
    def trusted_isolation(self) -> Array:
        """How far from the trusted rows every row is, relative to all rows, (n,)."""
        self._need_validation_rows("trusted-isolation")
        return self._isolation.from_rows(self._own_features, self._features(self.X_val))

    def isolation_at(self, X: Any) -> Array:
        """`isolation` of any rows."""
        return self._isolation.among_labels(self._features(X))

    def trusted_isolation_at(self, X: Any) -> Array:
        """`trusted_isolation` of any rows."""
        return self._isolation.from_rows(self._features(X), self._features(self.X_val))

    @cached_property
    def _isolation(self) -> Isolation:
        return Isolation(self._own_features, self.given)

    @cached_property
    def _own_features(self) -> Any:
        return self._features(self.X)

    def _features(self, X: Any) -> Any:
        at = as_view(self.model).linearize(X)
        if not hasattr(at, "features"):
            raise ValueError(
                f"signal: isolation compares the inputs of a linear last layer, and {type(self.model).__name__} has "
                "none that can be told. Use another signal, or a linear model as the estimator."
            )
        return at.features

    @cached_property
    def confidence(self) -> Array:
        """Probability of every label by models that never saw the row, (n, K): the detectors, stacked.

        The weights maximise the likelihood of the given labels, so that among models of different strength of
        regularisation the one that predicts the rows it has not seen counts most.
        """
        return self._stack(self.detectors[1:])

    def _stack(self, others: list[Any]) -> Array:
        parts = [self._out_of_fold(model, self.targets)[0] for model in others]
        proba = np.stack([self._first_out_of_fold[0], *parts])
        seen = ~np.isnan(proba[0, :, 0])
        likelihood = (proba[:, seen] * self.given[seen]).sum(axis=2)
        prior = np.full(len(proba), 1.0 / len(proba))
        return np.tensordot(stacking_weights(likelihood, self.weight[seen], prior, strength=0.0), proba, axes=1)

    @cached_property
    def trusted_confidence(self) -> Array:
        """Probability of every label by the first detector trained on the trusted rows alone, (n, K)."""
        return predict_targets(self.trusted_fit, self.X, self.classes)

    @cached_property
    def posterior(self) -> Array:
        """Posterior of every label by the noise model, (n, K), from the labels as they are."""
        return self._posterior(*self._first_out_of_fold)

    @cached_property
    def trusted_posterior(self) -> Array:
        """Posterior of every label by the noise model, (n, K), from the model of the trusted rows."""
        return self._posterior(self.trusted_confidence, [self.trusted_fit] * len(self.splits))

    @cached_property
    def stacked_posterior(self) -> Array:
        """Posterior of every label by a shrunken noise model, (n, K), from the stacked detectors."""
        posterior = self._stack([*self.detectors[1:], *self.companions]) if self.companions else self.confidence.copy()
        seen = ~np.isnan(posterior[:, 0])
        posterior[seen] = label_posterior(posterior[seen], self.given[seen], self.weight[seen], SHRINKAGE)
        return posterior

    @cached_property
    def _first_out_of_fold(self) -> tuple[Array, list[Any]]:
        return self._out_of_fold(self.detectors[0], self.targets)

    @cached_property
    def trusted_fit(self) -> Any:
        """The first detector trained on the trusted rows alone."""
        self._need_validation_rows("trusted")
        assert self.targets_val is not None
        model, seed = self.detectors[0], self.training_seed
        return fit_targets(model, self.X_val, self.targets_val, self.classes, is_draft=True, seed=seed)

    def _posterior(self, proba: Array, starts: list[Any]) -> Array:
        """Posterior by the probabilities of a model that was itself trained on the posterior by `proba`."""
        seen = ~np.isnan(proba[:, 0])
        posterior = np.full(proba.shape, np.nan)
        posterior[seen] = label_posterior(proba[seen], self.given[seen], self.weight[seen])
        targets = np.where(seen[:, None], posterior, self.given) * self.weight[:, None]
        proba, _ = self._out_of_fold(self.detectors[0], targets, starts)
        posterior[seen] = label_posterior(proba[seen], self.given[seen], self.weight[seen])
        return posterior

    def _out_of_fold(self, detector: Any, targets: Array, starts: list[Any] | None = None) -> tuple[Array, list[Any]]:
        arguments = (self.classes, self.X_val, self.targets_val, self.splits, starts or [], self.training_seed)
        proba, fits = self.cache(out_of_fold)(detector, self.X, targets, *arguments, self.groups, self.groups_val)
        if self._unpredictable.any():
            proba = np.where(self._unpredictable[:, None], np.nan, proba)
        return proba, fits

    @cached_property
    def _unpredictable(self) -> NDArray[np.bool_]:
        """Rows whose given label no training row of their fold has, so that no model can tell whether it is right."""
        found = np.zeros(len(self.given), dtype=bool)
        elsewhere = 0.0 if self.targets_val is None else self.targets_val.sum(axis=0)
        for train, test in self.splits:
            known = (self.given[train] * self.weight[train, None]).sum(axis=0) + elsewhere > 0.0
            found[test] = ~known[self.given[test].argmax(axis=1)]
        return found

    def _need_validation_rows(self, signal: str) -> None:
        if self.X_val is None:
            raise ValueError(
                f"This signal ({signal}) judges rows by trusted rows, of which there are none with cv. Pass trusted, "
                "or X_val and y_val, or use signal='confidence' or 'posterior'."
            )
