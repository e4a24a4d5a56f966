"""Figure 2: test loss over the share of flipped labels, with the standard deviation over runs shaded."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from skrdia.reproduce._drawing import new_figure
from skrdia.reproduce._paper_summary import Line

__all__ = ["draw"]

OURS = ("auto",)
ENDS = ("perfect and validation", "validation only")


def draw(lines: Sequence[Line], path: Path) -> None:
    """Draw a panel for each data set and a curve for each method.

    Parameters
    ----------
    lines : sequence of Line
        Test losses; those without a run are left out.
    path : Path
        The image file to write.
    """
    lines = [line for line in lines if line.values]
    panels = list(dict.fromkeys(line.cell.dataset for line in lines))
    methods = list(dict.fromkeys(line.method for line in lines))
    figure = new_figure(4.0 * max(1, len(panels)) + 1.6, 3.8)
    axes = figure.subplots(1, max(1, len(panels)), squeeze=False)[0]
    colours = _colours(len(methods))
    for axis, panel in zip(axes, panels, strict=False):
        for i, method in enumerate(methods):
            curve = [line for line in lines if (line.cell.dataset, line.method) == (panel, method)]
            noise = [line.cell.noise for line in curve]
            mean, deviation = (np.array([getattr(line, name) for line in curve]) for name in ("mean", "deviation"))
            width, style = (2.5, "-") if method in OURS else (1.0, ":" if method in ENDS else "-")
            axis.plot(noise, mean, style, color=colours[i], linewidth=width, label=method)
            if not np.isnan(deviation).all():
                axis.fill_between(noise, mean - deviation, mean + deviation, color=colours[i], alpha=0.2)
        axis.set(title=panel, xlabel="share of flipped labels", yscale="log")
    axes[0].set_ylabel("test log loss (nats)")
    if panels:
        figure.legend(*axes[0].get_legend_handles_labels(), loc="outside right center", fontsize=8, frameon=False)
    figure.savefig(path, dpi=150)


def _colours(n: int) -> list[Any]:
    from matplotlib import colormaps

    return [colormaps["tab20"](i % 20) for i in range(n)]
