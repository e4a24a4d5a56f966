"""Numbers as text, with as many digits as their standard error warrants."""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = ["as_text", "count", "decimals", "percent"]

_DECIMALS, _NO_ERROR, _LONG = (2, 5), 1e-6, 1e12


def decimals(error: float) -> int:
    """Decimals that show two digits of a standard error; three where it is unknown or nothing."""
    if not error > _NO_ERROR:
        return 3
    return int(np.clip(1 - np.floor(np.log10(error)), *_DECIMALS))


def count(n: int, singular: str, plural: str | None = None) -> str:
    """A number with its noun: "1 row", "1,234 rows"."""
    return f"{n:,} {singular if n == 1 else plural or singular + 's'}"


def percent(share: float) -> str:
    """A share, never rounded to none or to all."""
    if 0.0 < share < 0.001:
        return "under 0.1 %"
    if 0.999 < share < 1.0:
        return "over 99.9 %"
    return f"{100.0 * share:.1f} %"


def as_text(value: Any, longest: int = 80) -> str:
    """A cell of the user's table, short enough to be read."""
    if isinstance(value, float | np.floating):
        number = float(value)
        return str(int(number)) if number.is_integer() and abs(number) < _LONG else f"{number:.4g}"
    text = str(value)
    return text if len(text) <= longest else f"{text[: longest - 1]}…"
