"""Values in messages: short, and as a person would type them."""

from __future__ import annotations

import reprlib
from typing import Any

import numpy as np

__all__ = ["shown"]


class _Short(reprlib.Repr):
    """`repr` of the value that a numpy scalar stands for, not ``np.int64(9)``; the middle of what is long left out."""

    def __init__(self) -> None:
        super().__init__()
        self.maxlist = self.maxtuple = self.maxset = self.maxfrozenset = self.maxdict = self.maxarray = 20
        self.maxstring = self.maxlong = self.maxother = 100

    def repr1(self, x: Any, level: int) -> str:
        if isinstance(x, np.datetime64 | np.timedelta64):
            return str(x)
        return super().repr1(x.item() if isinstance(x, np.generic) else x, level)

    def repr_int(self, x: int, level: int) -> str:
        return super().repr_int(x, level) if x.bit_length() < 10_000 else f"an integer of {x.bit_length():,} bits"

    def repr_ndarray(self, x: Any, level: int) -> str:
        return super().repr1(x.tolist(), level) if x.ndim else self.repr1(x[()], level)


_SHORT = _Short()


def shown(value: Any) -> str:
    """The value as it stands in a message."""
    return _SHORT.repr(value)
