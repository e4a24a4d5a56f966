"""What each way to treat wrong labels is worth on the caller's own data, judged by verified rows alone.

The trusted rows are split k-fold, stratified, R times over: J = k R splits. In each, one fold judges and the others
train, along with all other rows. With l_mj the mean log loss of method m over the judging rows of split j,

    loss_m       = mean_j l_mj                                 nats per row
    d_mj         = l_mj - l_0j                                 method 0 is "everything"
    difference_m = mean_j d_mj                                 nats per row; negative is better
    error_m      = sqrt((1 / J + r) var_j d_mj)                var with J - 1 in the denominator

where r = n_judge / n_train corrects for the overlap of the splits (Nadeau and Bengio). n_train counts the trusted rows
only, for the others are the same in every split. So, for predictions that do not depend on the split, error_m tends to
the standard error of a mean over the trusted rows as R grows, and not to zero.

References: Nadeau, Bengio, "Inference for the generalization error", Machine Learning 52, 2003. Bouckaert, Frank,
"Evaluating the replicability of significance tests for comparing learning algorithms", PAKDD 2004, for repeated k-fold.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from numbers import Integral
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.model_selection import RepeatedKFold, RepeatedStratifiedKFold
from sklearn.utils import check_random_state
from sklearn.utils.parallel import Parallel, delayed
from sklearn.utils.validation import check_consistent_length

from skrdia._rows import _check_sources, as_indexable, check_outside, check_trusted, joined, stack
from skrdia._train import predict_targets, safe_log
from skrdia._treatments import CLEANLAB, METHODS, NEEDS_VIEW, REFERENCE, Method, Table, Task, own
from skrdia._validation import check_labels, check_sample_weight
from skrdia.views import check_supported
from skrdia.views._base import Array

__all__ = ["Comparison", "compare_strategies"]


@dataclass(frozen=True, eq=False, repr=False)
class Comparison:
    """How well each method does on rows with verified labels; prints as a table.

    Parameters
    ----------
    names : list of str
        The methods; the first, "everything", is the one the others are compared with.
    losses : ndarray of shape (n_methods, n_splits)
        Log loss of every method on the rows that judge each split, in nats.
    accuracies : ndarray of shape (n_methods, n_splits)
        Share of these rows whose most probable label is right.
    times : ndarray of shape (n_methods, n_splits)
        Seconds that fitting and predicting took.
    n_train : ndarray of shape (n_splits,)
        Trusted rows that each split trains on.
    n_judge : ndarray of shape (n_splits,)
        Trusted rows that judge each split.
    n_untrusted : int
        Other rows, which every split trains on.
    notes : tuple of str
        What else the reader of the table should know, such as a method left out.
    """

    names: list[str]
    losses: Array
    accuracies: Array
    times: Array
    n_train: NDArray[np.intp]
    n_judge: NDArray[np.intp]
    n_untrusted: int
    notes: tuple[str, ...] = ()

    @property
    def log_loss(self) -> Array:
        """Mean log loss of each method, (n_methods,), in nats per row."""
        return self.losses.mean(axis=1)

    @property
    def accuracy(self) -> Array:
        """Mean accuracy of each method, (n_methods,)."""
        return self.accuracies.mean(axis=1)

    @property
    def seconds(self) -> Array:
        """Mean seconds that each method takes for one split, (n_methods,)."""
        return self.times.mean(axis=1)

    @property
    def difference(self) -> Array:
        """Mean log loss of each method less that of "everything", (n_methods,), in nats; negative is better."""
        return (self.losses - self.losses[0]).mean(axis=1)

    @property
    def standard_error(self) -> Array:
        """Standard error of `difference`, (n_methods,), corrected for the overlap of the splits."""
        return self._error(self.losses - self.losses[0])

    @property
    def is_best(self) -> NDArray[np.bool_]:
        """Whether each method is within one standard error of the lowest log loss, (n_methods,)."""
        gap = self.losses - self.losses[self.log_loss.argmin()]
        return gap.mean(axis=1) <= self._error(gap)

    @property
    def best(self) -> list[str]:
        """The names of the methods within one standard error of the lowest log loss."""
        return [name for name, is_best in zip(self.names, self.is_best, strict=True) if is_best]

    def _error(self, differences: Array) -> Array:
        return corrected_standard_error(differences, float(np.mean(self.n_judge / self.n_train)))

    def to_frame(self, backend: Any = "pandas", *, by_split: bool = False) -> Any:
        """Return the comparison as a data frame.

        Parameters
        ----------
        backend : {"pandas", "polars", "pyarrow", "modin", "cudf"}, default="pandas"
            The library of the frame, which must be installed.
        by_split : bool, default=False
            Whether to have a row for each method and split instead of one for each method.

        Returns
        -------
        frame : DataFrame
            Columns `method`, `log_loss`, `difference`, `standard_error`, `accuracy`, `seconds` and `is_best`; or
            `method`, `split`, `log_loss`, `accuracy` and `seconds`.
        """
        import narwhals as nw

        columns: dict[str, Any] = {"method": list(self.names)}
        if by_split:
            columns["method"] = np.repeat(self.names, len(self.n_train)).tolist()
            columns["split"] = np.tile(np.arange(len(self.n_train)), len(self.names))
            columns |= {"log_loss": self.losses.ravel(), "accuracy": self.accuracies.ravel()}
            columns["seconds"] = self.times.ravel()
        else:
            for name in ("log_loss", "difference", "standard_error", "accuracy", "seconds", "is_best"):
                columns[name] = getattr(self, name)
        return nw.from_dict(columns, backend=backend).to_native()

    def __repr__(self) -> str:
        width = max(map(len, self.names))
        lines = [f"{'':{width}}  log loss    vs everything  std. error  accuracy  seconds"]
        for i, name in enumerate(self.names):
            loss = f"{self.log_loss[i]:8.4f} {'*' if self.is_best[i] else ' '}"
            against = f"{self.difference[i]:+13.4f}  {self.standard_error[i]:10.4f}" if i else f"{'-':>13}  {'-':>10}"
            lines.append(f"{name:{width}}  {loss}  {against}  {self.accuracy[i]:8.3f}  {self.seconds[i]:7.2f}")
        return "\n".join([*lines, "", *self._footnotes()])

    def _footnotes(self) -> Iterable[str]:
        n_trusted, n_splits = int(self.n_train[0] + self.n_judge[0]), len(self.n_train)
        yield "* lowest log loss, or within one standard error of it"
        yield (
            f"{n_splits} splits of {n_trusted} trusted rows: about {self.n_judge.mean():.0f} judge, the other "
            f"{self.n_train.mean():.0f} train, with {self.n_untrusted} more rows"
        )
        yield from self.notes


def corrected_standard_error(differences: Array, ratio: float) -> Array:
    """Standard error of the mean over the last axis, for overlapping splits; `ratio` is judging over training rows."""
    n_splits = differences.shape[-1]
    return np.sqrt((1.0 / n_splits + ratio) * differences.var(axis=-1, ddof=1))


def compare_strategies(
    estimator: Any,
    X: Any,
    y: ArrayLike,
    *,
    X_val: Any = None,
    y_val: ArrayLike | None = None,
    trusted: ArrayLike | None = None,
    sample_weight: ArrayLike | None = None,
    strategies: Iterable[str] | Mapping[str, Any] | None = None,
    influence_estimator: Any = None,
    cv: int = 5,
    n_repeats: int = 2,
    n_jobs: int | None = None,
    random_state: Any = None,
    verbose: int = 0,
) -> Comparison:
    """Compare what can be done about wrong labels on your own data, judged by rows with verified labels.

    The verified rows are split again and again: one part judges, the others are the trusted rows that every method is
    given. The other rows always train. The methods are

    - "everything": the estimator on all rows as given;
    - "everything, recalibrated": the same, its probabilities corrected by a temperature and a bias for each class that
      are fitted to out-of-fold probabilities of the trusted rows;
    - "untrusted rows only" and "trusted rows only";
    - "drop", "paper" and "best label": `RDIAClassifier` with ``alpha=0.7`` and the strategies "drop", "relabel-soft"
      and "relabel";
    - "auto": `RDIAClassifier` with ``alpha="auto"``;
    - "cleanlab, pruned": on all rows but the untrusted ones that ``cleanlab.filter.find_label_issues`` finds, from
      out-of-fold probabilities by fits that include the trusted rows. Left out where cleanlab is not installed.

    Parameters
    ----------
    estimator : classifier
        The classifier to train, with `predict_proba`.
    X : {array-like, sparse matrix, data frame} of shape (n_samples, n_features)
        Rows.
    y : array-like of shape (n_samples,)
        Labels, of which some may be wrong.
    X_val : {array-like, sparse matrix, data frame} of shape (n_val, n_features), default=None
        More rows, with verified labels.
    y_val : array-like of shape (n_val,), default=None
        Their labels.
    trusted : bool array-like of shape (n_samples,), default=None
        Instead of `X_val` and `y_val`, True for the rows of X whose label is verified.
    sample_weight : array-like of shape (n_samples,), default=None
        Weights of the rows of X, in training and in judging; rows of weight zero are left out. Rows of `X_val` weigh
        one.
    strategies : list of str or dict, default=None
        Names of the methods to compare, all of them when None; "everything" always comes first. Or a dict of methods to
        add: a classifier for each name, or None to leave out the method of that name. A classifier whose `fit` takes
        `trusted` is given that mask (a pipeline for its last step; with metadata routing, any that requests it), any
        other one is trained on all rows.
    influence_estimator : classifier, default=None
        Passed on to `RDIAClassifier`: the model that finds the wrong labels, where it is not the estimator.
    cv : int, default=5
        Parts that the trusted rows are split into; each of them judges once.
    n_repeats : int, default=2
        Times that this is done, with other parts.
    n_jobs : int, default=None
        Splits in parallel. None means 1 unless in a `joblib.parallel_backend` context, -1 all processors.
    random_state : int, RandomState instance or None, default=None
        For the splits, and for the methods "drop" to "auto". Classifiers that draw random numbers of their own have
        their own `random_state`.
    verbose : int, default=0
        If positive, print a line for every finished split.

    Returns
    -------
    Comparison
        Print it, or see `Comparison.to_frame`.

    Raises
    ------
    ImportError
        If `strategies` names "cleanlab, pruned" and cleanlab is not installed.
    TypeError
        If a classifier has no `predict_proba`, or `RDIAClassifier` does not support its type; in the latter case pass
        an `influence_estimator`, or leave out the methods "drop" to "auto".
    ValueError
        If an argument is malformed, or there are too few rows with verified labels.

    See Also
    --------
    RDIAClassifier : What most of the methods are.
    skrdia.strategies : More strategies; add them by ``strategies={"name": RDIAClassifier(..., strategy=...)}``.

    Notes
    -----
    A final fit has all trusted rows, where the methods here have a share of ``1 - 1 / cv``, so that those that depend
    on them will be a little better than the table says. The lowest of several log losses looks a little too good,
    because it was chosen on the rows that judge. Rows that belong together, such as copies, fool the comparison where
    some of them judge and others train.

    References
    ----------
    .. [1] Nadeau, Bengio, "Inference for the generalization error", Machine Learning 52, 2003, for the standard errors.
    .. [2] Guo, Pleiss, Sun, Weinberger, "On calibration of modern neural networks", ICML 2017.
    .. [3] Northcutt, Jiang, Chuang, "Confident learning: estimating uncertainty in dataset labels", JAIR 70, 2021.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.linear_model import LogisticRegression
    >>> from skrdia import compare_strategies
    >>> from skrdia.datasets import flip_labels, load_breast_cancer_scale
    >>> X, y = load_breast_cancer_scale(return_X_y=True)
    >>> trusted = np.arange(len(y)) % 5 == 0
    >>> y[~trusted], _ = flip_labels(y[~trusted], rate=0.3, random_state=0)
    >>> names = ["everything", "trusted rows only", "best label"]
    >>> comparison = compare_strategies(
    ...     LogisticRegression(), X, y, trusted=trusted, strategies=names, n_repeats=1, random_state=0
    ... )
    >>> str(comparison).splitlines()[0].split("  ")[-3:]
    ['std. error', 'accuracy', 'seconds']
    >>> comparison.best  # this table is easy to learn from few rows
    ['trusted rows only']
    """
    _check_classifier("estimator", estimator)
    methods = _choose_methods(strategies)
    if any(methods.get(name) is METHODS[name] for name in NEEDS_VIEW):
        check_supported(estimator if influence_estimator is None else influence_estimator)
    notes = _leave_out_missing(methods, is_named=strategies is not None and not isinstance(strategies, Mapping))
    table = _read(X, y, X_val, y_val, trusted, sample_weight)
    _check_counts(table, cv, n_repeats)
    rng = check_random_state(random_state)
    parts = _parts(table, cv, n_repeats, rng)
    notes += _note_of_rare_classes(table, cv)
    seeds = rng.randint(2**31 - 1, size=len(parts))
    results: list[Array] = []
    for result in Parallel(n_jobs=n_jobs, return_as="generator")(
        delayed(_run_split)(methods, table, judge, estimator, influence_estimator, int(seed))
        for judge, seed in zip(parts, seeds, strict=True)
    ):
        results.append(result)
        if verbose:
            print(_sentence(list(methods), results, len(parts)))
    losses, accuracies, times = np.stack(results, axis=2)
    n_judge = np.array([len(part) for part in parts])
    n_train = int(table.trusted.sum()) - n_judge
    return Comparison(list(methods), losses, accuracies, times, n_train, n_judge, int((~table.trusted).sum()), notes)


def _choose_methods(strategies: Any) -> dict[str, Method]:
    """The methods that `strategies` asks for, "everything" first."""
    if strategies is None:
        return dict(METHODS)
    if not isinstance(strategies, Mapping):
        names = [strategies] if isinstance(strategies, str) else list(strategies)
        _check_names(names)
        return {name: METHODS[name] for name in dict.fromkeys([REFERENCE, *names])}
    if REFERENCE in strategies:
        raise ValueError(f"strategies has {REFERENCE!r}, which the others are compared with; choose another name.")
    _check_names([name for name, classifier in strategies.items() if classifier is None])
    methods = dict(METHODS)
    for name, classifier in strategies.items():
        if classifier is None:
            del methods[name]
        else:
            _check_classifier(f"strategies[{name!r}]", classifier)
            methods[name] = partial(own, classifier=classifier)
    return methods


def _check_names(names: list[str]) -> None:
    unknown = [name for name in names if name not in METHODS]
    if unknown:
        raise ValueError(
            f"strategies has unknown names: {unknown}. Known are {list(METHODS)}; to add a method of your own pass a "
            "dict, {name: classifier}."
        )


def _check_classifier(name: str, classifier: Any) -> None:
    if not hasattr(classifier, "predict_proba"):
        raise TypeError(
            f"{name}={classifier!r} has no predict_proba, which the log loss needs. Use another classifier, or a "
            "calibrated one (CalibratedClassifierCV)."
        )


def _leave_out_missing(methods: dict[str, Method], is_named: bool) -> tuple[str, ...]:
    """Remove cleanlab from the methods where it is not installed, and return a note that says so."""
    try:
        if methods.get(CLEANLAB) is METHODS[CLEANLAB]:
            import_module("cleanlab")
            import_module("cleanlab.filter")
    except ImportError as error:
        if is_named:
            raise ImportError(f"strategies names {CLEANLAB!r}, which needs cleanlab: pip install cleanlab.") from error
        del methods[CLEANLAB]
        return (f"{CLEANLAB!r} is left out: it needs cleanlab (pip install cleanlab)",)
    return ()


def _read(X: Any, y: Any, X_val: Any, y_val: Any, trusted: Any, sample_weight: Any) -> Table:
    """All rows in one table."""
    _check_sources(X_val, y_val, trusted, None)
    if X_val is None and (trusted is None or not np.any(trusted)):
        raise ValueError(
            "compare_strategies needs rows whose labels are verified, to judge by. Pass trusted, with True for such "
            "rows of X, or X_val and y_val."
        )
    X, y = as_indexable(X), check_labels(y)
    check_consistent_length(X, y)
    weight = check_sample_weight(sample_weight, len(y))
    if X_val is None:
        mask = check_trusted(trusted, len(y))
    else:
        X, X_val, y_val = check_outside(X, X_val, y_val)
        mask = np.repeat([False, True], [len(y), len(y_val)])
        X, y, weight = stack(X, X_val), joined(y, y_val), np.append(weight, np.ones(len(y_val)))
    kept = weight > 0.0
    if mask[kept].all():
        raise ValueError("compare_strategies needs rows to train on that are not verified, with positive weight.")
    return Table(X, y, weight, mask, np.unique(y[kept])).take(kept)


def _check_counts(table: Table, cv: int, n_repeats: int) -> None:
    for name, value, smallest in (("cv", cv, 2), ("n_repeats", n_repeats, 1)):
        if not isinstance(value, Integral) or value < smallest:
            raise ValueError(f"{name}={value!r}: expected an integer of at least {smallest}.")
    if table.trusted.sum() < cv:
        raise ValueError(
            f"cv={cv}, but there are only {int(table.trusted.sum())} rows with verified labels, and every part needs "
            "one. Verify more rows, or use fewer parts."
        )


def _parts(table: Table, cv: int, n_repeats: int, rng: np.random.RandomState) -> list[NDArray[np.intp]]:
    """The rows that judge each split: every class of two verified rows is in two parts."""
    judges = np.flatnonzero(table.trusted)
    codes = np.unique(table.y[judges], return_inverse=True)[1]
    kind = RepeatedStratifiedKFold if np.bincount(codes).max() >= cv else RepeatedKFold
    splitter = kind(n_splits=cv, n_repeats=n_repeats, random_state=rng.randint(2**31 - 1))
    with warnings.catch_warnings():  # of classes with fewer rows than parts
        warnings.simplefilter("ignore", UserWarning)
        return [judges[test] for _, test in splitter.split(judges, codes)]


def _note_of_rare_classes(table: Table, cv: int) -> tuple[str, ...]:
    counts = (table.targets[table.trusted] > 0.0).sum(axis=0)
    rare = [f"{table.classes.tolist()[k]!r} ({counts[k]})" for k in np.flatnonzero(counts < cv)]
    if not rare:
        return ()
    more = f" and {len(rare) - 10} more" if len(rare) > 10 else ""
    return (
        f"labels with fewer verified rows than parts: {', '.join(rare[:10])}{more}; where none of them trains, rows "
        "with such a label are left as they are",
    )


def _run_split(
    methods: dict[str, Method],
    table: Table,
    judge: NDArray[np.intp],
    estimator: Any,
    influence_estimator: Any,
    seed: int,
) -> Array:
    """Log loss, accuracy and seconds of every method, (3, n_methods), on the rows that judge."""
    judged, train = table.take(judge), np.setdiff1d(np.arange(len(table.y)), judge)
    task = Task(table.take(train), estimator, influence_estimator, seed)
    scores = np.empty((3, len(methods)))
    for i, method in enumerate(methods.values()):
        start = perf_counter()
        with warnings.catch_warnings():  # the comparison says so once
            warnings.filterwarnings(
                "ignore", message="(?s)(Only verified rows are labelled|.*left as they are)", category=UserWarning
            )
            proba = predict_targets(method(task), judged.X, table.classes)
        scores[2, i] = perf_counter() - start
        scores[:2, i] = _score(proba, judged)
    return scores


def _score(proba: Array, judged: Table) -> tuple[float, float]:
    """Log loss, in nats, and accuracy, weighted."""
    share = judged.targets / judged.weight.sum()
    right = judged.classes[proba.argmax(axis=1)] == judged.y
    return -float((share * safe_log(proba)).sum()), float(right @ share.sum(axis=1))


def _sentence(names: list[str], results: list[Array], n_splits: int) -> str:
    losses, _, times = results[-1]
    best = losses.argmin()
    return (
        f"[RDIA] compare_strategies: split {len(results)} of {n_splits}, log loss {losses[0]:.4f} by {names[0]!r}, "
        f"lowest {losses[best]:.4f} by {names[best]!r}, {times.sum():.1f} s"
    )
