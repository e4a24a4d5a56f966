"""From fitted attributes to a dict of sentences and numbers, which the page and the notebook show."""

from __future__ import annotations

import platform
import sys
from collections.abc import Iterable
from importlib.metadata import version
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.utils.validation import check_is_fitted

from skrdia._ledger_columns import as_column
from skrdia._shown import shown
from skrdia.plotting._fitted import find, name_of
from skrdia.report._copies import copies
from skrdia.report._facts import Facts
from skrdia.report._numbers import as_text, count, percent
from skrdia.report._tables import effects, first_rows, history
from skrdia.report._verdict import cautions, verdict

__all__ = ["summarise"]

_PACKAGES = ("skrdia", "numpy", "scipy", "scikit-learn")


def summarise(
    estimator: Any,
    X: Any = None,
    *,
    key: ArrayLike | None = None,
    groups: ArrayLike | None = None,
    n_rows: int = 10,
) -> dict[str, Any]:
    """Say what a fit found, did and was worth.

    Parameters
    ----------
    estimator : RDIAClassifier, or a pipeline or search with one at its end
        A fitted one.
    X : {array-like, sparse matrix, data frame} of shape (n_samples, any), default=None
        Features to show beside the rows, in the order of the rows given to `fit`: those, or more readable ones.
    key : array-like of shape (n_samples,), default=None
        What to call each row, instead of its index.
    groups : array-like of shape (n_samples,), default=None
        A group of each row, such as its source, to tell the effects by.
    n_rows : int, default=10
        Rows to show, the ones most worth a look, see `Ledger.suggest`.

    Returns
    -------
    summary : dict
        `verdict`, a sentence; `cautions`, a list of them; `steps`, what was done and why it stopped; `n_rows` (in
        question), `n_wrong` and `n_validation`; `actions`, rows by what was done to them; `loss_before`, `loss_after`
        and `loss_error` in nats (the standard error is that of the difference), None where they are unknown;
        `first_rows`, `classes`, `groups` and `history`, lists of dicts; `copies`, rows of X that have the same features
        as another, or None; `settings` and `versions`, to repeat it.

    Raises
    ------
    ValueError
        If an argument does not have one entry per row given to `fit`.

    See Also
    --------
    RDIAClassifier.report : The same as an HTML page.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.linear_model import LogisticRegression
    >>> from skrdia import RDIAClassifier
    >>> from skrdia.report import summarise
    >>> X = np.repeat([[-2.0], [-1.0], [1.0], [2.0]], 10, axis=0)
    >>> y = (X[:, 0] > 0).astype(int)
    >>> y[[0, 39]] = 1, 0  # two wrong labels
    >>> clf = RDIAClassifier(LogisticRegression(), alpha=0.7, refit_on="train")
    >>> clf = clf.fit(X, y, X_val=[[-1.5], [1.5]] * 5, y_val=[0, 1] * 5)
    >>> summarise(clf)["verdict"]
    '2 of 40 labels look wrong; repairing them lowers held-out log loss from 0.099 to 0.032 (standard error 0.000).'
    """
    check_is_fitted(estimator)
    clf = find(estimator, "ledger_", "held_out_").clf
    if n_rows < 1:
        raise ValueError(f"n_rows={shown(n_rows)}: expected a positive integer, the number of rows to show.")
    facts = Facts(clf)
    loss = facts.loss()
    held_out = clf.held_out_
    return {
        "verdict": verdict(facts),
        "cautions": cautions(facts),
        "steps": _steps(facts),
        "n_rows": int(facts.trained.sum()),
        "n_wrong": int(facts.wrong.sum()),
        "n_validation": len(held_out["row"]),
        "actions": facts.actions,
        "loss_before": _known(loss.before),
        "loss_after": _known(loss.after),
        "loss_error": _known(loss.error),
        "first_rows": first_rows(facts, X, key, n_rows),
        "classes": effects(facts, facts.given, held_out["label"].astype(object)),
        "groups": [] if groups is None else _by_group(facts, groups),
        "copies": None if X is None else copies(X, facts.given, _row_names(facts, key)),
        "history": history(facts),
        "settings": _settings(clf),
        "versions": _versions(),
    }


def _row_names(facts: Facts, key: ArrayLike | None) -> Any:
    return range(len(facts.given)) if key is None else as_column(key).tolist()


def _known(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def _by_group(facts: Facts, groups: ArrayLike) -> list[dict[str, Any]]:
    column = as_column(groups).astype(object)
    if column.shape != facts.given.shape:
        raise ValueError(
            f"groups has shape {column.shape}, expected {facts.given.shape}: one group per row given to fit."
        )
    column[[value is None or value != value for value in column.tolist()]] = "(missing)"
    rows = facts.clf.held_out_["row"]
    outside: NDArray[Any] = np.full(len(rows), None, dtype=object)
    outside[rows >= 0] = column[rows[rows >= 0]]
    return effects(facts, column, outside)


def _steps(facts: Facts) -> list[str]:
    """What was done, in order, and why it stopped."""
    clf = facts.clf
    n_val, given = len(clf.held_out_["row"]), int(facts.trained.sum())
    found_by = name_of(clf.signal_)
    steps = [f"Trained {_model(clf.base_estimator_)} on {count(given, 'label')} as given."]
    if facts.is_out_of_fold:
        folds = "5 folds" if clf.cv is None else f"cv={shown(clf.cv)}"
        steps.append(f"Scored every row by models that had not seen it ({folds}), with the signal {found_by}.")
    elif facts.is_auto:
        tried = len(clf.history_)
        steps.append(
            f"Tried {count(tried, 'repair')}, with doing nothing among them, and judged each by cross-validation over "
            f"{count(n_val, 'validation row')}."
        )
    else:
        steps.append(
            f"Called the rows harmful whose {found_by} exceeds {clf.alpha_:g}, by {count(n_val, 'validation row')}, in "
            f"{count(clf.n_iter_, 'round')}; treated them by {name_of(clf.strategy_)}."
        )
    if facts.knows_noise and facts.wrong.any():
        steps.append(
            f"Marked {count(int(facts.wrong.sum()), 'label')}: about {percent(clf.harmful_precision_)} of these are "
            f"expected to be wrong, and about {percent(clf.harmful_recall_)} of all wrong labels to be among them."
        )
    steps.append(f"Stopped with: {clf.termination_condition_}.")
    words = {"relabel": "given a new label", "drop": "left out", "soften": "given less weight", "flag": "only marked"}
    done = [f"{n:,} {words[name]}" for name, n in facts.actions.items() if n]
    steps.append(f"Of the rows in question: {', '.join(done)}." if done else "No row was changed.")
    rows = "the repaired rows and the validation rows" if clf.refit_on == "all" else "the repaired rows alone"
    steps.append(f"Trained the final model on {rows}.")
    return steps


def _model(estimator: Any) -> str:
    steps = [step for _, step in getattr(estimator, "steps", [("", estimator)])]
    return " after ".join(type(step).__name__ for step in reversed(steps))


def _settings(clf: Any) -> dict[str, str]:
    """The parameters that were set, and the size of the table."""
    n_features = getattr(clf, "n_features_in_", None)
    labels = [as_text(label, 30) for label in clf.classes_[:20].tolist()]
    return {
        "estimator": clf.__repr__(N_CHAR_MAX=10**5),
        "rows": f"{len(clf.relabeled_y_):,}",
        "features": "unknown" if n_features is None else f"{n_features:,}",
        "labels": ", ".join(labels) + (", …" if len(clf.classes_) > 20 else ""),
        "random_state": "None: the numbers can differ a little in another run"
        if clf.random_state is None
        else str(clf.random_state),
    }


def _versions(packages: Iterable[str] = _PACKAGES) -> dict[str, str]:
    used = [*packages, *(name for name in ("torch", "skorch") if name in sys.modules)]
    return {"Python": platform.python_version()} | {name: version(name) for name in used}
