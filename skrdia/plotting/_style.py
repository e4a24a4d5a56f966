"""Colours that colour-blind readers tell apart, and axes to draw on. matplotlib is imported only to draw.

Reference for the categories: Okabe, Ito, "Color universal design", 2008.
"""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = [
    "BEFORE_AFTER",
    "CATEGORIES",
    "GREY",
    "LINES",
    "MARKERS",
    "POSITIVE",
    "SIGNED",
    "literal",
    "one_axes",
    "panels",
]

CATEGORIES = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
"""Of Okabe and Ito, without the yellow, which a white page swallows."""

MARKERS = "os^Dv<>P"
LINES = ("-", "--", ":", "-.")
BEFORE_AFTER = (CATEGORIES[1], CATEGORIES[0])
SIGNED, POSITIVE, GREY = "PuOr_r", "viridis", "0.45"


def literal(value: Any, longest: int = 60) -> str:
    """A text of the user's, such as a label, cut to leave room for the drawing; dollar signs begin no formula."""
    text = str(value)
    return (text if len(text) <= longest else f"{text[: longest - 1]}…").replace("$", r"\$")


def one_axes(ax: Any, width: float = 6.4, height: float = 4.8) -> Any:
    """The caller's axes, or new ones in a figure of this size in inches."""
    return panels(ax, 1, width, height)[0]


def panels(ax: Any, n: int, width: float, height: float) -> Any:
    """Axes (n,) side by side: new ones, the caller's own n, or n in the place of the caller's single one."""
    if ax is None:
        return _pyplot().subplots(1, n, figsize=(width, height), layout="constrained", squeeze=False)[1][0]
    axes = np.ravel(np.asarray(ax, dtype=object))
    if len(axes) == n:
        return axes
    place = axes[0].get_subplotspec() if len(axes) == 1 else None
    if place is None:
        raise ValueError(
            f"ax has {len(axes)} axes, expected {n}, one for each panel, or a single one made by subplots."
        )
    axes[0].set_axis_off()
    grid = place.subgridspec(1, n)
    return np.array([axes[0].figure.add_subplot(grid[i]) for i in range(n)], dtype=object)


def _pyplot() -> Any:
    try:
        from matplotlib import pyplot
    except ImportError as error:
        raise ImportError("The displays of skrdia.plotting need matplotlib: pip install 'skrdia[plot]'") from error
    return pyplot
