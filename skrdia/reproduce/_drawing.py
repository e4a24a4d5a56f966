"""Figures without a window, and a clear error where matplotlib is missing."""

from __future__ import annotations

from typing import Any

__all__ = ["new_figure"]


def new_figure(width: float = 1.0, height: float = 1.0) -> Any:
    """Return an empty figure of this size in inches.

    Parameters
    ----------
    width, height : float, default=1.0
        In inches.

    Returns
    -------
    figure : matplotlib.figure.Figure
        To draw on and to save.

    Raises
    ------
    ImportError
        If matplotlib is missing.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ImportError("Drawing this figure needs matplotlib: pip install 'skrdia[plot]'") from error
    return Figure(figsize=(width, height), layout="constrained")
