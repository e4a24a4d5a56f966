"""The figures of a report, as SVG images inside the page."""

from __future__ import annotations

import warnings
from base64 import b64encode
from collections.abc import Callable
from io import BytesIO
from typing import Any, NamedTuple

import numpy as np

from skrdia.plotting import AlphaPathDisplay, InfluenceDistributionDisplay, LabelTransitionDisplay, RoundsDisplay
from skrdia.plotting._fitted import shown_by
from skrdia.report._facts import Facts

__all__ = ["Figure", "figures"]

_MOST_CLASSES = 20
"""Of which a matrix of labels can be read."""


class Figure(NamedTuple):
    """An image as a data URI, and what it shows."""

    uri: str
    caption: str


def figures(facts: Facts) -> list[Figure]:
    """Those that the fit has something to show in."""
    clf, drawn = facts.clf, list[Figure]()
    if len(clf.classes_) <= _MOST_CLASSES:
        size = 1.8 + 0.4 * max(6, len(clf.classes_))
        drawn.append(Figure(_draw(lambda ax: _transitions(facts, ax), size + 1.0, size), _TRANSITIONS))
    if np.isfinite(shown_by(clf).values).any():
        image = _draw(lambda ax: InfluenceDistributionDisplay.from_estimator(clf, ax=ax), 7.5)
        drawn.append(Figure(image, _DISTRIBUTION))
    if clf.history_ and "gain_se" in clf.history_[0]:
        height = 1.2 + 0.26 * min(16, len(clf.history_))
        drawn.append(Figure(_draw(lambda ax: AlphaPathDisplay.from_estimator(clf, ax=ax), 7.5, height), _CANDIDATES))
    elif len(clf.history_) > 1:
        drawn.append(Figure(_draw(lambda ax: RoundsDisplay.from_estimator(clf, ax=ax)), _ROUNDS))
    return drawn


_TRANSITIONS = "Labels as given and after repair. Off the diagonal: what was changed, and into what."
_DISTRIBUTION = "How suspicious the labels are. A tail on the right is a group of rows that hurt."
_CANDIDATES = "Repairs that were tried, by the loss on rows that no model had seen. Left of the dashed line is better."
_ROUNDS = "What each round changed, and the loss on the validation rows after it."


def _transitions(facts: Facts, ax: Any) -> Any:
    rows = facts.trained
    return LabelTransitionDisplay.from_labels(
        np.asarray(facts.given[rows].tolist()),
        np.asarray(facts.repaired[rows].tolist()),
        dropped=facts.dropped[rows],
        ax=ax,
    )


def _draw(show: Callable[[Any], Any], width: float = 6.4, height: float = 4.8) -> str:
    """Have a display drawn on axes of this size in inches; as a data URI."""
    from matplotlib import rc_context
    from matplotlib.figure import Figure as Canvas

    stream = BytesIO()
    with rc_context({"svg.hashsalt": "skrdia"}), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph")  # of a label in a script that the font lacks: a box is drawn
        figure = Canvas(figsize=(width, height), layout="constrained")
        show(figure.add_subplot())
        figure.savefig(stream, format="svg", metadata={"Date": None, "Creator": None})
    return f"data:image/svg+xml;base64,{b64encode(stream.getvalue()).decode('ascii')}"
