"""Steps I and II for one set of rows: what models say of every label of every row, computed when a signal asks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skrdia._calibration import calibrated
from skrdia._influence import Solved, of_all_labels, solve_influence
from skrdia._isolation import Isolation
from skrdia._kernel import Kernel, newton_term
from skrdia._label_posterior import label_posterior
from skrdia._mixture import Predictions, of_verified, predict_given
from skrdia._noise_model import NoiseModel, fit_noise_model
from skrdia._out_of_fold import WEAKER, folds, out_of_fold, unpredictable
from skrdia._rows import Split, as_indexable
from skrdia._stacking import stacking_weights
from skrdia._train import fit_targets, known_labels, predict_targets
from skrdia.views import as_view, has_view, regularised
from skrdia.views._base import DEFAULTS, Array, Options

__all__ = [
    "Evidence",
    "can_judge",
    "detect",
]

SHRINKAGE = 30.0
"""Rows by which the channel of the stacked posterior is shrunk towards a symmetric one."""

_N_SPLITS = 3
"""Folds of the out-of-fold probabilities; five recover no more, and cost more."""


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
    predictions : Predictions or None
        What models of the labels as given say, where that is known already.
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
    predictions: Predictions | None = None

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
    def noise_model(self) -> NoiseModel:
        """The model of the labels as given, see `skrdia._noise_model`; nan for rows that no fold can tell of."""
        found = self.predicted
        proba, given, weight, allowed = found.proba, self.given, self.weight, None
        if found.proba_val is not None and self.targets_val is not None:
            unknown = np.zeros(self.targets_val.shape)
            proba = np.concatenate([proba, found.proba_val], axis=1)
            given = np.vstack([given, unknown if self.given_val is None else self.given_val])
            weight = np.append(weight, self.targets_val.sum(axis=1))
            allowed = np.vstack([np.ones(self.given.shape, dtype=bool), self.targets_val > 0.0])
            allowed[~allowed.any(axis=1)] = True
        seen = np.asarray(~np.isnan(proba).any(axis=(0, 2)))
        if allowed is not None:
            allowed = allowed[seen]
        model = fit_noise_model(proba[:, seen], given[seen], weight[seen], allowed, like=found.noise)
        n = len(self.given)
        of_rows = np.full((2, n, given.shape[1]), np.nan)
        of_rows[:, seen[:n]] = model.posterior[: seen[:n].sum()], model.right[: seen[:n].sum()]
        return replace(model, posterior=of_rows[0], right=of_rows[1])

    @cached_property
    def calibrated_posterior(self) -> Array:
        """Posterior of every label, (n, K), by models of the labels as given that are calibrated on trusted rows."""
        (proba, proba_val), targets_val = self._stacked, self.targets_val
        assert targets_val is not None
        return self._where_seen(
            proba,
            lambda seen: label_posterior(
                calibrated(proba[:, seen], proba_val, targets_val), self.given[seen], self.weight[seen]
            ),
        )

    @cached_property
    def paired_posterior(self) -> Array:
        """The same, where it is known with which labels trusted rows came; else `calibrated_posterior`."""
        given_val = self.given_val
        if given_val is None or not given_val.any():
            return self.calibrated_posterior
        (proba, proba_val), targets_val = self._stacked, self.targets_val
        known = given_val.any(axis=1)
        assert targets_val is not None
        return self._where_seen(
            proba,
            lambda seen: calibrated(
                proba[:, seen], proba_val[:, known], targets_val[known], self.given[seen], given_val[known]
            ),
        )

    def _where_seen(self, proba: Array, of: Callable[[NDArray[np.bool_]], Array]) -> Array:
        seen = np.asarray(~np.isnan(proba).any(axis=(0, 2)))
        posterior = np.full(self.given.shape, np.nan)
        posterior[seen] = of(seen)
        return posterior

    @cached_property
    def _stacked(self) -> tuple[Array, Array]:
        """What models of the labels as given and of the trusted rows alone say of the rows, and of the trusted ones."""
        self._need_validation_rows("calibrated-posterior")
        found, targets_val = self.predicted, self.targets_val
        assert targets_val is not None
        assert found.proba_val is not None
        models, of_rows = [self.detectors[0]], [self.trusted_confidence]
        weaker, seed = regularised(self.detectors[0], WEAKER), self.training_seed
        if weaker is not None:
            fitted = fit_targets(weaker, self.X_val, targets_val, self.classes, is_draft=True, seed=seed)
            models.append(weaker)
            of_rows.append(predict_targets(fitted, self.X, self.classes))
        of_judges = [of_verified(one, self.classes, self.X_val, targets_val, self.groups_val, seed) for one in models]
        return np.concatenate([found.proba, of_rows]), np.concatenate([found.proba_val, of_judges])

    @cached_property
    def predicted(self) -> Predictions:
        """What several models say of the labels as given."""
        if self.predictions is not None:
            return self.predictions
        targets = self.given * self.weight[:, None]
        return predict_given(
            self.detectors[0],
            self.X,
            targets,
            self.classes,
            self.splits,
            self.X_val,
            groups=self.groups,
            groups_val=self.groups_val,
            seed=self.training_seed,
            cache=self.cache,
        )

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
        elsewhere = 0.0 if self.targets_val is None else self.targets_val.sum(axis=0)
        codes, targets = self.given.argmax(axis=1), self.given * self.weight[:, None]
        return unpredictable(codes, targets, self.splits, elsewhere)

    def _need_validation_rows(self, signal: str) -> None:
        if self.X_val is None:
            raise ValueError(
                f"This signal ({signal}) judges rows by trusted rows, of which there are none with cv. Pass trusted, "
                "or X_val and y_val, or use signal='confidence' or 'posterior'."
            )
