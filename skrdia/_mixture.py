"""What several models say of the labels as given, of rows that they have not seen: the source of the noise model.

The detectors are linear, in strengths of regularisation from one that can learn wrong labels by heart to one that
cannot. Where the boundary is bent all of them are wrong in the same places, which looks like wrong labels; a forest is
not. Of 100 trees it is better than boosted ones, which learn wrong labels by heart where there are many (.61 against
.56 of what noise costs on four tables of two classes). The noise model weighs them, see `skrdia._noise_model`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.decomposition import TruncatedSVD
from sklearn.ensemble import RandomForestClassifier
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skrdia._frames import is_frame, names_of
from skrdia._noise_model import NoiseModel
from skrdia._out_of_fold import N_FOLDS, STRONGER, companions, detectors, folds, out_of_fold, unpredictable
from skrdia._rows import Split, stack, take
from skrdia._train import predict_targets
from skrdia._validation import is_missing, is_sparse
from skrdia.blocks import Blocks, RowBlocks
from skrdia.views import has_view
from skrdia.views._base import Array
from skrdia.views._heads import Renditions

__all__ = ["Predictions", "of_verified", "predict_given"]

_COMPONENTS, _MOST_ROWS = 60, 100_000
_N_TREES, _LEAF = 100, 5


@dataclass(frozen=True, repr=False)
class Predictions:
    """Probabilities of the labels as given by M models that had not seen the rows.

    Parameters
    ----------
    proba : array of shape (M, n, K)
        Of the rows that may have wrong labels; nan for those that no fold tests.
    proba_val : array of shape (M, n_val, K), or None
        Of the verified rows, which none of the models was trained on.
    noise : NoiseModel or None
        What the noise model makes of the labels as given alone: where fits that know more start.
    """

    proba: Array
    proba_val: Array | None
    noise: NoiseModel | None = None

    def take(self, rows: NDArray[np.intp], rows_val: NDArray[np.intp]) -> Predictions:
        """The same of some of the rows, by position."""
        of_val = None if self.proba_val is None else self.proba_val[:, rows_val]
        return Predictions(self.proba[:, rows], of_val, self.noise)


def predict_given(
    finder: Any,
    X: Any,
    targets: Array,
    classes: NDArray[Any],
    splits: list[Split],
    X_val: Any = None,
    *,
    groups: NDArray[np.intp] | None = None,
    groups_val: NDArray[np.intp] | None = None,
    seed: int | None = None,
    cache: Callable[..., Any] | None = None,
    with_trees: bool = True,
) -> Predictions:
    """Train the models on the labels as given, out of fold.

    Parameters
    ----------
    finder : classifier
        The first of the detectors, unfitted.
    X : array-like of shape (n, n_features)
        Rows that may have wrong labels.
    targets : array of shape (n, K)
        The labels as given, times the sample weights.
    classes : array of shape (K,)
        The labels.
    splits : list of (train, test)
        Folds of these rows.
    X_val : array-like of shape (n_val, n_features), or None
        Verified rows.
    groups, groups_val : array of shapes (n,) and (n_val,), or None
        Numbers of groups of rows: no row is judged by a model of rows of its own group.
    seed : int or None
        For the training of nets.
    cache : callable
        ``joblib.Memory.cache``, or None.
    with_trees : bool, default=True
        Whether a forest is one of them, the most expensive one.

    Returns
    -------
    Predictions
    """
    everything = X if X_val is None else stack(X, X_val)
    examine = _examine if cache is None else cache(_examine)
    apart = np.ones((len(splits), everything.shape[0] - len(targets)), dtype=bool)
    if groups is not None and groups_val is not None:
        apart = np.stack([~np.isin(groups_val, groups[train]) for train, _ in splits])
    found = [
        examine(model, rows, targets, classes, splits, apart, seed)
        for model, rows in _models(finder, everything, with_trees=with_trees)
    ]
    proba = np.stack([part for part, _ in found])
    proba[:, unpredictable(targets.argmax(axis=1), targets, splits)] = np.nan
    return Predictions(proba, None if X_val is None else np.stack([part for _, part in found]))


def _examine(
    model: Any,
    everything: Any,
    targets: Array,
    classes: NDArray[Any],
    splits: list[Split],
    apart: NDArray[np.bool_],
    seed: int | None,
) -> tuple[Array, Array]:
    """Probabilities of the rows with targets, out of fold, and of the others, the mean over the folds.

    `apart` (number of folds, n_val): whether a verified row is in no group of the fold's training rows.
    """
    n = len(targets)
    X, X_val = take(everything, np.arange(n)), take(everything, np.arange(n, everything.shape[0]))
    proba, fits = out_of_fold(model, X, targets, classes, None, None, splits, [], seed)
    if not X_val.shape[0]:
        return proba, np.zeros((0, len(classes)))
    counted = np.where(apart.any(axis=0), apart, True) / np.maximum(apart.sum(axis=0), 1)
    counted /= counted.sum(axis=0)
    parts = np.stack([predict_targets(fitted, X_val, classes) for fitted in fits])
    return proba, np.einsum("fi,fik->ik", counted, parts)


def of_verified(
    model: Any,
    classes: NDArray[Any],
    X_val: Any,
    targets_val: Array,
    groups_val: NDArray[np.intp] | None,
    seed: int | None,
) -> Array:
    """Probabilities of the verified rows (n_val, K), out of fold, by models of these alone."""
    splits = folds(targets_val, N_FOLDS, groups_val)
    proba, _ = out_of_fold(model, X_val, targets_val, classes, None, None, splits, [], seed)
    return np.where(np.isnan(proba), 1.0 / len(classes), proba)


def _models(finder: Any, everything: Any, *, with_trees: bool) -> list[tuple[Any, Any]]:
    """Unfitted models, each with the rows as it gets them."""
    linear = [(model, everything) for model in (*detectors(finder), *companions(finder))]
    numbers = as_numbers(everything)
    if numbers is None:
        return linear
    if not has_view(finder):
        scaled = make_pipeline(SimpleImputer(keep_empty_features=True), StandardScaler())
        linear += [(make_pipeline(scaled, LogisticRegression(C=C, max_iter=300)), numbers) for C in (1.0, *STRONGER)]
    forest = RandomForestClassifier(_N_TREES, min_samples_leaf=_LEAF, random_state=0)
    return [*linear, (forest, numbers)] if with_trees else linear


def as_numbers(X: Any) -> Array | None:
    """Rows of any kind as a table of numbers (n, d) for trees, with nan for missing ones; None where there is none.

    Sparse rows of more than 60 columns and texts become their leading singular directions, categories numbers. More
    than 100,000 rows tell a linear model enough.
    """
    if isinstance(X, Renditions):
        return as_numbers(X.parts[0])
    if isinstance(X, Blocks | RowBlocks) or X.shape[0] > _MOST_ROWS:
        return None
    if is_sparse(X):
        if X.shape[1] <= _COMPONENTS:
            return np.asarray(X.toarray(), dtype=np.float64)
        n_components = min(_COMPONENTS, X.shape[0] - 1)
        return np.asarray(TruncatedSVD(n_components, random_state=0).fit_transform(X))
    if is_frame(X):
        columns = [np.asarray(column) for column in _columns(X)]
    else:
        values = np.asarray(X)
        if values.ndim == 1:
            return _of_texts(values)
        values = values.reshape(len(values), -1)
        if values.dtype.kind in "fiub":
            return np.asarray(values, dtype=np.float64)
        columns = list(values.T)
    return np.column_stack([_as_column(column) for column in columns])


def _columns(frame: Any) -> list[Any]:
    import narwhals as nw

    names = names_of(frame)
    wrapped = nw.from_native(frame, eager_only=True, pass_through=True)
    if isinstance(wrapped, nw.DataFrame):
        return [wrapped[:, i].to_numpy() for i in range(len(names))]
    return [frame.iloc[:, i] for i in range(len(names))]


def _as_column(column: NDArray[Any]) -> Array:
    """Numbers as they are, times as days, anything else as the number of its value in their order."""
    if column.dtype.kind in "fiub":
        return column.astype(np.float64)
    if column.dtype.kind in "mM":
        days = column.astype(f"{column.dtype.kind}8[s]").astype(np.float64) / 86_400.0
        return np.where(np.isnat(column), np.nan, days)
    missing = is_missing(column)
    values = np.full(len(column), np.nan)
    known = column[~missing]
    try:
        values[~missing] = known.astype(np.float64)
    except (TypeError, ValueError):
        values[~missing] = np.unique(known.astype(str), return_inverse=True)[1]
    return values


def _of_texts(texts: NDArray[Any]) -> Array | None:
    """None where no word stands in two texts."""
    try:
        return as_numbers(TfidfVectorizer(min_df=2, sublinear_tf=True).fit_transform(texts.astype(str)))
    except ValueError:
        return None
