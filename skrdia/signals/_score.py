"""Signals of an estimator that is fitted already."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import clone

from skrdia._evidence import Evidence
from skrdia._frames import alike
from skrdia._influence import check_rows
from skrdia._out_of_fold import companions, detectors, folds
from skrdia._rows import as_indexable, check_pair
from skrdia._validation import one_hot
from skrdia.signals._table import SIGNALS, Signal, apply
from skrdia.views import Options, as_view
from skrdia.views._base import DEFAULTS, Array
from skrdia.views._heads import fitted_head

_N_SPLITS = 5
"""Folds of the out-of-fold probabilities: there is time for more than in a repair."""

__all__ = ["gather", "known_signal", "of_given", "rank_rows", "score"]


def score(
    estimator: Any,
    X: Any,
    y: ArrayLike,
    X_val: Any = None,
    y_val: ArrayLike | None = None,
    *,
    signal: str | Signal = "self-influence",
    sample_weight: ArrayLike | None = None,
    hessian: str | Callable[..., Any] = "newton-cg",
    random_state: Any = None,
    parameters: str | None = None,
    softening: float | None = None,
    damping: float | None = None,
) -> Array:
    """Score every training row by a signal of wrong labels or anomalies.

    Parameters
    ----------
    estimator : classifier
        Fitted on `X`, `y` and `sample_weight`. Any type that `RDIAClassifier` takes as `base_estimator`.
    X : {array-like, sparse matrix, data frame} of shape (n_samples, n_features)
        Training rows.
    y : array-like of shape (n_samples,)
        Training labels.
    X_val : {array-like, sparse matrix, data frame} of shape (n_val, n_features), default=None
        Validation rows, which some of the signals need, and which the others use where they can.
    y_val : array-like of shape (n_val,), default=None
        Validation labels, correct ones.
    signal : str or callable, default="self-influence"
        A name in `skrdia.signals.SIGNALS`, or a function of the evidence. Those that ask for probabilities out of fold
        train clones of the estimator.
    sample_weight : array-like of shape (n_samples,), default=None
        The weights the estimator was fitted with.
    hessian : {"newton-cg", "direct", "lissa", "ekfac", "identity", "tracin"} or callable, default="newton-cg"
        How the inverse Hessian is applied, see `skrdia.solvers`. "newton-cg" is a factorisation for linear models of at
        most 8,192 parameters, to the same result. "tracin" sums over the checkpoints of a net instead, see
        `skrdia.tracin`.
    random_state : int, RandomState instance or None, default=None
        For "lissa", and for the training of nets.
    parameters : str, default=None
        For a net, the parameters whose influence is meant: "last", those of its last layer, also when None; "all"; or a
        pattern of their names, such as "layers.2.*".
    softening : float, default=None
        Factor on the logits before gradients and curvature are taken, see `RDIAClassifier`. None is 0.2 for nets, 1 for
        other models and with "tracin".
    damping : float, default=None
        Added to the diagonal of the mean Hessian. None is a thousandth of the trace for nets and 0 for other models.

    Returns
    -------
    scores : ndarray of shape (n_samples,)
        High for a suspicious row, in the unit of the signal.

    Raises
    ------
    TypeError
        If the estimator's type is not supported.
    ValueError
        If an argument is malformed, or the signal needs validation rows and there are none; the message names it.

    See Also
    --------
    rank_rows : A frame with the most suspicious rows first.
    skrdia.InfluenceLabelDetector : A threshold on such scores, as an outlier detector.

    References
    ----------
    .. [1] Myrtakis et al., "A comparative analysis of influence signals for data debugging", arXiv 2506.11584.

    Examples
    --------
    >>> from sklearn.linear_model import LogisticRegression
    >>> from skrdia.signals import score
    >>> X, y = [[-2.0], [-1.5], [-1.0], [1.0], [1.5], [2.0]], ["a", "a", "a", "b", "b", "a"]  # the last label is wrong
    >>> model = LogisticRegression().fit(X, y)
    >>> int(score(model, X, y).argmax())
    5
    """
    function = known_signal(signal)
    given = {"sample_weight": sample_weight, "hessian": hessian, "random_state": random_state}
    options = Options(parameters, softening, damping)
    evidence = gather(estimator, X, y, X_val, y_val, **given, options=options)
    return of_given(apply(function, evidence), evidence.given)


def rank_rows(
    estimator: Any,
    X: Any,
    y: ArrayLike,
    X_val: Any = None,
    y_val: ArrayLike | None = None,
    *,
    signals: Sequence[str] = ("self-influence",),
    sample_weight: ArrayLike | None = None,
    hessian: str | Callable[..., Any] = "newton-cg",
    random_state: Any = None,
    parameters: str | None = None,
    softening: float | None = None,
    damping: float | None = None,
    backend: Any = "pandas",
) -> Any:
    """Rank the training rows by signals, the most suspicious first.

    Parameters
    ----------
    estimator : classifier
        As for `score`, like the other parameters but for these two.
    X : {array-like, sparse matrix, data frame} of shape (n_samples, n_features)
        Training rows.
    y : array-like of shape (n_samples,)
        Training labels.
    X_val : {array-like, sparse matrix, data frame} of shape (n_val, n_features), default=None
        Validation rows.
    y_val : array-like of shape (n_val,), default=None
        Validation labels, correct ones.
    signals : sequence of str, default=("self-influence",)
        Names in `skrdia.signals.SIGNALS`; the first decides the order.
    sample_weight : array-like of shape (n_samples,), default=None
        The weights the estimator was fitted with.
    hessian : str or callable, default="newton-cg"
        How the inverse Hessian is applied.
    random_state : int, RandomState instance or None, default=None
        For "lissa", and for the training of nets.
    parameters : str, default=None
        For a net, the parameters whose influence is meant.
    softening : float, default=None
        Factor on the logits.
    damping : float, default=None
        Added to the diagonal of the mean Hessian.
    backend : {"pandas", "polars", "pyarrow", "modin", "cudf"}, default="pandas"
        The library of the frame, which must be installed.

    Returns
    -------
    frame : DataFrame of n_samples rows
        Columns `row`, the index of the frame that the rows came in, or else their position; `label`, as given;
        `suggested_label`, the least suspicious label by the first of the signals that judges every label, or else the
        most probable one out of fold; and one for each signal.

    Raises
    ------
    TypeError
        If the estimator's type is not supported.
    ValueError
        If an argument is malformed; the message names it.

    See Also
    --------
    score : One signal, in the order of the rows.

    Examples
    --------
    >>> from sklearn.linear_model import LogisticRegression
    >>> from skrdia.signals import rank_rows
    >>> X, y = [[-2.0], [-1.5], [-1.0], [1.0], [1.5], [2.0]], ["a", "a", "a", "b", "b", "a"]  # the last label is wrong
    >>> model = LogisticRegression().fit(X, y)
    >>> frame = rank_rows(model, X, y, signals=["self-influence", "confidence"])
    >>> print(*frame[["row", "label", "suggested_label"]].iloc[0])
    5 a b
    """
    import narwhals as nw

    if isinstance(signals, str) or not len(signals):
        raise ValueError(f"signals={signals!r} must be a list of names, such as ['self-influence', 'confidence'].")
    functions = {name: known_signal(name) for name in signals}
    given = {"sample_weight": sample_weight, "hessian": hessian, "random_state": random_state}
    options = Options(parameters, softening, damping)
    evidence = gather(estimator, X, y, X_val, y_val, **given, options=options)
    found = {name: apply(function, evidence) for name, function in functions.items()}
    of_labels = [values for values in found.values() if values.ndim == 2]
    suggested = of_labels[0].argmin(axis=1) if of_labels else evidence.confidence.argmax(axis=1)
    scores = {name: of_given(values, evidence.given) for name, values in found.items()}
    order = np.argsort(-scores[signals[0]], kind="stable")
    index = np.asarray(X.index) if hasattr(X, "columns") and hasattr(X, "index") else np.arange(len(order))
    labels = {"label": np.asarray(y), "suggested_label": evidence.classes[suggested]}
    columns = {"row": index, **labels, **scores}
    return nw.from_dict({name: values[order] for name, values in columns.items()}, backend=backend).to_native()


def gather(
    estimator: Any,
    X: Any,
    y: ArrayLike,
    X_val: Any = None,
    y_val: ArrayLike | None = None,
    *,
    sample_weight: ArrayLike | None = None,
    hessian: Any = "newton-cg",
    random_state: Any = None,
    options: Options = DEFAULTS,
) -> Evidence:
    """The evidence on the training rows of a fitted estimator."""
    check_pair(X_val, y_val)
    view, X = as_view(estimator, options), as_indexable(X)
    if X_val is not None:
        X, X_val = alike(X, as_indexable(X_val))
    codes, targets = check_rows(view, X, y, sample_weight, "y")
    judges = None if y_val is None else check_rows(view, X_val, y_val, None, "y_val")[1]
    given: Array = one_hot(codes, len(view.classes_))
    head = fitted_head(estimator, X)
    estimator = head.tail
    return Evidence(
        detectors(clone(estimator)),
        X=head.X,
        targets=targets,
        given=given,
        weight=targets.sum(axis=1),
        classes=view.classes_,
        X_val=None if X_val is None else head.transform(X_val),
        targets_val=judges,
        hessian=hessian,
        seed=random_state,
        options=options,
        training_seed=random_state if isinstance(random_state, int) else None,
        fitted=estimator,
        companions=companions(estimator),
        splits=folds(given, _N_SPLITS),
    )


def known_signal(signal: Any) -> Signal:
    """The function of a name; a callable itself."""
    if callable(signal):
        return signal
    if signal not in SIGNALS:
        raise ValueError(f"signal={signal!r} is unknown; use one of {list(SIGNALS)}, or a callable.")
    return SIGNALS[signal]


def of_given(values: Array, given: Array) -> Array:
    return values if values.ndim == 1 else values[np.arange(len(given)), given.argmax(axis=1)]
