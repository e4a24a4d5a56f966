"""How it was decided: the candidates of alpha="auto", a search over alpha, and the rounds of one alpha."""

from __future__ import annotations

import re
from collections.abc import Sequence
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skrdia._shown import shown
from skrdia.plotting._fitted import find
from skrdia.plotting._style import CATEGORIES, GREY, LINES, MARKERS, literal, one_axes
from skrdia.views._base import Array

__all__ = ["AlphaPathDisplay", "RoundsDisplay", "candidate_name"]


class AlphaPathDisplay:
    """Held-out loss of every candidate of ``alpha="auto"``, or along the alphas of a search.

    Use `from_estimator` to make one.

    Parameters
    ----------
    loss : ndarray of shape (n_candidates,)
        Held-out loss, in nats where it is a log loss.
    loss_se : ndarray of shape (n_candidates,)
        Its standard error; of the candidates of ``alpha="auto"`` that of the difference to doing nothing, paired over
        the validation rows.
    alpha : ndarray of shape (n_candidates,)
        The thresholds.
    names : list of str of length n_candidates
        What the candidates are apart from alpha: each name has a line of its own in a search.
    chosen : int, default=None
        The candidate that was used: of several that were averaged, the one of the largest weight.
    reference : float, default=None
        Loss of doing nothing. Where it is given, the candidates are listed, the best on top, and not drawn along alpha.
    loss_name : str, default="held-out loss (nats)"
        What the loss is, with its unit.

    Attributes
    ----------
    lines_ : list of matplotlib ErrorbarContainer
        The losses with their standard errors.
    chosen_ : matplotlib Line2D or None
        The ring around the candidate that was used.
    ax_ : matplotlib Axes
        The axes.
    figure_ : matplotlib Figure
        The figure.

    Examples
    --------
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn.model_selection import GridSearchCV
    >>> from skrdia import RDIAClassifier
    >>> from skrdia.datasets import load_breast_cancer_scale
    >>> from skrdia.plotting import AlphaPathDisplay
    >>> X, y = load_breast_cancer_scale(return_X_y=True)
    >>> clf = RDIAClassifier(LogisticRegression(), cv=5)
    >>> search = GridSearchCV(clf, {"alpha": [0.5, 0.7, 0.9]}, scoring="neg_log_loss").fit(X, y)
    >>> AlphaPathDisplay.from_estimator(search).alpha
    array([0.5, 0.7, 0.9])
    """

    def __init__(
        self,
        *,
        loss: Array,
        loss_se: Array,
        alpha: Array,
        names: Sequence[str],
        chosen: int | None = None,
        reference: float | None = None,
        loss_name: str = "held-out loss (nats)",
    ) -> None:
        self.loss = loss
        self.loss_se = loss_se
        self.alpha = alpha
        self.names = names
        self.chosen = chosen
        self.reference = reference
        self.loss_name = loss_name

    @classmethod
    def from_estimator(cls, estimator: Any, *, ax: Any = None, **kwargs: Any) -> AlphaPathDisplay:
        """Draw what a fitted classifier or search has tried.

        Parameters
        ----------
        estimator : RDIAClassifier or search
            A fitted classifier with ``alpha="auto"``, alone or at the end of a pipeline; or a fitted `GridSearchCV` or
            the like over a parameter `alpha`, scored by the negative of a loss. Of a search, candidates with
            ``alpha="auto"`` are left out.
        ax : matplotlib Axes, default=None
            Where to draw; a new figure when None.
        **kwargs : dict
            For `matplotlib.axes.Axes.errorbar`.

        Returns
        -------
        display : AlphaPathDisplay
            What was drawn.
        """
        clf, _ = find(estimator, *(["cv_results_"] if hasattr(estimator, "cv_results_") else ["history_", "alpha"]))
        arrays = _of_search(clf) if hasattr(clf, "cv_results_") else _of_candidates(clf)
        return cls(**arrays).plot(ax=ax, **kwargs)

    def plot(self, ax: Any = None, *, max_candidates: int = 16, **kwargs: Any) -> AlphaPathDisplay:
        """Draw.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; a new figure when None.
        max_candidates : int, default=16
            Where candidates are listed, the number of them, the best first.
        **kwargs : dict
            For `matplotlib.axes.Axes.errorbar`.

        Returns
        -------
        display : AlphaPathDisplay
            Itself.
        """
        listed = self.reference is not None
        n_listed = min(max_candidates, len(self.loss))
        ax = one_axes(ax, height=1.2 + 0.26 * n_listed if listed else 4.8, width=7.5 if listed else 6.4)
        self.ax_, self.figure_ = ax, ax.figure
        self.chosen_ = None
        self.lines_ = self._list(ax, n_listed, kwargs) if listed else self._path(ax, kwargs)
        ax.legend(fontsize="small")
        return self

    def _list(self, ax: Any, n_listed: int, kwargs: dict[str, Any]) -> list[Any]:
        shown = np.argsort(self.loss, kind="stable")[:n_listed]
        places = np.arange(len(shown))[::-1]
        style = {"fmt": "o", "color": CATEGORIES[0], "capsize": 2, "label": "mean ± standard error of the gain"}
        line = ax.errorbar(self.loss[shown], places, xerr=self.loss_se[shown], **(style | kwargs))
        ax.set_yticks(places, [literal(self.names[i]) for i in shown], fontsize="small")
        ax.axvline(self.reference, color="black", linestyle="--", label="doing nothing")
        if self.chosen is not None and self.chosen in shown:
            place = places[shown == self.chosen]
            self._ring(ax, self.loss[[self.chosen]], place, "largest weight")
        ax.set(xlabel=self.loss_name, title=f"The best {len(shown)} of {len(self.loss)} candidates")
        return [line]

    def _path(self, ax: Any, kwargs: dict[str, Any]) -> list[Any]:
        lines = []
        for i, name in enumerate(dict.fromkeys(self.names)):
            rows = np.flatnonzero([own == name for own in self.names])
            rows = rows[np.argsort(self.alpha[rows], kind="stable")]
            style = {"marker": MARKERS[i % len(MARKERS)], "linestyle": LINES[i % len(LINES)], "capsize": 2}
            style |= {"color": CATEGORIES[i % len(CATEGORIES)], "label": literal(name) or "mean ± standard error"}
            lines.append(ax.errorbar(self.alpha[rows], self.loss[rows], yerr=self.loss_se[rows], **(style | kwargs)))
        if self.chosen is not None:
            self._ring(ax, self.alpha[[self.chosen]], self.loss[[self.chosen]], f"chosen: {self.alpha[self.chosen]:g}")
        if self.alpha.min() > 0.0 and self.alpha.max() >= 10.0 * self.alpha.min():
            ax.set_xscale("log")
        ax.set(xlabel="alpha (in the unit of the signal)", ylabel=self.loss_name, title="Held-out loss along alpha")
        return lines

    def _ring(self, ax: Any, x: Any, y: Any, label: str) -> None:
        style = {"markerfacecolor": "none", "markeredgecolor": "black", "markersize": 13, "markeredgewidth": 1.5}
        self.chosen_ = ax.plot(x, y, "o", **style, label=label, zorder=3)[0]


def _of_candidates(clf: Any) -> dict[str, Any]:
    history = clf.history_
    if not history or not isinstance(history[0], dict) or "gain_se" not in history[0]:
        raise ValueError(
            f"estimator has alpha={shown(clf.alpha)}, and validation rows have not judged candidates; use "
            "RoundsDisplay for the rounds, or fit it with alpha='auto' and without cv."
        )
    weights = [line["weight"] for line in history]
    return {
        "loss": np.array([line["loss"] for line in history]),
        "loss_se": np.array([line["gain_se"] for line in history]),
        "alpha": np.array([line["alpha"] for line in history]),
        "names": [candidate_name(line) for line in history],
        "chosen": int(np.argmax(weights)),
        "reference": float(history[0]["loss"] + history[0]["gain"]),
    }


def candidate_name(line: dict[str, Any]) -> str:
    """What a line of `history_` tried, in a few words."""
    signal, strategy = (v if isinstance(v, str) else getattr(v, "__name__", "callable") for v in _what(line))
    if line["n_iter"] == 0:
        return "validation rows only" if strategy == "drop" else "doing nothing" if signal == "none" else signal
    rounds = f", {line['n_iter']} rounds" if line["n_iter"] > 1 else ""
    innermost = re.findall(r"\(([^()]*)\)", line["detector"])
    own = innermost[-1] if innermost else ""
    threshold = f" > {line['alpha']:.3g}" if 0.0 < line["alpha"] < np.inf else ""
    return f"{signal}{threshold}: {strategy}{rounds}" + (f" [{own}]" if own and len(own) <= 20 else "")


def _what(line: dict[str, Any]) -> tuple[Any, Any]:
    return line["signal"], line["strategy"]


def _of_search(search: Any) -> dict[str, Any]:
    results = search.cv_results_
    score = search.refit if getattr(search, "multimetric_", False) else "score"
    if not isinstance(score, str):
        raise ValueError(f"estimator has several scores and refit={score!r}; set refit to the name of one of them.")
    key = _alpha_key(results)
    is_number = np.array([isinstance(value, Real) for value in results[key].tolist()])
    if not is_number.any():
        raise ValueError("estimator is a search in which alpha is never a number; there is no path to draw.")
    loss = -np.asarray(results[f"mean_test_{score}"], dtype=np.float64)[is_number]
    if (loss < 0.0).any():
        raise ValueError(
            f"estimator is a search with positive scores ({score}), which are no loss; use scoring='neg_log_loss'."
        )
    best = getattr(search, "best_index_", None)
    is_best = np.arange(len(is_number))[is_number] == best
    scorer = search.scorer_[score] if isinstance(search.scorer_, dict) else search.scorer_
    return {
        "loss": loss,
        "loss_se": np.asarray(results[f"std_test_{score}"])[is_number] / np.sqrt(search.n_splits_),
        "alpha": np.array([value for value, kept in zip(results[key], is_number, strict=True) if kept], dtype=float),
        "names": [_other_parameters(p, key) for p, kept in zip(results["params"], is_number, strict=True) if kept],
        "chosen": int(np.flatnonzero(is_best)[0]) if is_best.any() else None,
        "loss_name": "held-out loss" + (" (nats)" if "log_loss" in str(scorer) else ""),
    }


def _alpha_key(results: dict[str, Any]) -> str:
    """The parameter `alpha` of the RDIAClassifier, not one of the same name of the estimators in it."""
    keys = [key for key in results if key.startswith("param_") and key[6:].rpartition("__")[2] == "alpha"]
    keys = [key for key in keys if "base_estimator__" not in key and "influence_estimator__" not in key]
    if len(keys) != 1:
        raise ValueError(f"estimator is a search over {len(keys)} parameters alpha, expected one of an RDIAClassifier.")
    return keys[0]


def _other_parameters(params: dict[str, Any], key: str) -> str:
    return ", ".join(f"{name.rpartition('__')[2]}={value}" for name, value in params.items() if f"param_{name}" != key)


class RoundsDisplay:
    """Validation loss after each round of repair, and the number of targets that the round changed.

    Use `from_estimator` to make one.

    Parameters
    ----------
    validation_loss : ndarray of shape (n_rounds + 1,)
        In nats, before the first round and after each one; nan where no model of these targets was judged, as after the
        last round of ``max_iter`` rounds.
    n_changed : ndarray of shape (n_rounds,)
        Targets that each round changed.

    Attributes
    ----------
    line_ : matplotlib Line2D
        The loss.
    bars_ : matplotlib BarContainer
        The changes.
    ax_ : matplotlib Axes
        The axes of the loss.
    changes_ax_ : matplotlib Axes
        The axes of the changes, on the right.
    figure_ : matplotlib Figure
        The figure.

    Examples
    --------
    >>> import numpy as np
    >>> from skrdia.plotting import RoundsDisplay
    >>> display = RoundsDisplay(validation_loss=np.array([0.5, 0.3, 0.28]), n_changed=np.array([40, 5])).plot()
    >>> display.line_.get_ydata()
    array([0.5 , 0.3 , 0.28])
    """

    def __init__(self, *, validation_loss: Array, n_changed: NDArray[np.intp]) -> None:
        self.validation_loss = validation_loss
        self.n_changed = n_changed

    @classmethod
    def from_estimator(cls, estimator: Any, *, ax: Any = None, **kwargs: Any) -> RoundsDisplay:
        """Draw the rounds of a classifier that was fitted with a number for `alpha`.

        Parameters
        ----------
        estimator : RDIAClassifier, or a pipeline or search with one at its end
            A fitted one.
        ax : matplotlib Axes, default=None
            Where to draw; a new figure when None.
        **kwargs : dict
            For `matplotlib.axes.Axes.plot`, which draws the loss.

        Returns
        -------
        display : RoundsDisplay
            What was drawn.
        """
        clf, _ = find(estimator, "history_", "alpha")
        history = clf.history_
        if "round" not in history[0]:
            raise ValueError(
                f"estimator has alpha={shown(clf.alpha)}, whose candidates AlphaPathDisplay shows; fit it with a "
                "number for alpha to have rounds."
            )
        losses = [line["validation_loss"] for line in history]
        last = losses[-1] - history[-1]["realised_gain"]
        n_changed = np.array([line["n_changed"] for line in history])
        return cls(validation_loss=np.array([*losses, last]), n_changed=n_changed).plot(ax=ax, **kwargs)

    def plot(self, ax: Any = None, **kwargs: Any) -> RoundsDisplay:
        """Draw.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; a new figure when None.
        **kwargs : dict
            For `matplotlib.axes.Axes.plot`, which draws the loss.

        Returns
        -------
        display : RoundsDisplay
            Itself.
        """
        ax = one_axes(ax)
        self.ax_, self.figure_, self.changes_ax_ = ax, ax.figure, ax.twinx()
        rounds, between = np.arange(len(self.validation_loss)), np.arange(len(self.n_changed)) + 0.5
        self.bars_ = self.changes_ax_.bar(between, self.n_changed, width=0.5, color=CATEGORIES[5], alpha=0.6)
        self.changes_ax_.margins(y=0.1)
        self.changes_ax_.bar_label(self.bars_, color=GREY)
        self.changes_ax_.set_ylabel("targets that the round changed (bars)")
        self.line_ = ax.plot(rounds, self.validation_loss, **({"color": CATEGORIES[1], "marker": "o"} | kwargs))[0]
        ax.set_zorder(self.changes_ax_.get_zorder() + 1)  # the line over the bars
        ax.patch.set_visible(False)
        ax.set_xticks(rounds, ["as given", *map(str, rounds[1:])])
        ax.set(xlabel="after round", ylabel="validation loss (nats, line)", title="What each round changed and gained")
        return self
