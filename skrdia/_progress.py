"""Progress of long computations, told to whoever asked for it; silent otherwise."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

__all__ = ["listening", "tell"]

_SECONDS = 5.0
"""Between two messages on the batches of a pass over the rows."""


class _Listener:
    def __init__(self, report: Callable[[str], object]) -> None:
        self.report = report
        self.last = time.monotonic()


_listener: ContextVar[_Listener | None] = ContextVar("skrdia_listener", default=None)


@contextmanager
def listening(report: Callable[[str], object] | None) -> Iterator[None]:
    """Have `tell` call this function; None for silence."""
    token = _listener.set(None if report is None else _Listener(report))
    try:
        yield
    finally:
        _listener.reset(token)


def tell(message: str, *, is_minor: bool = False) -> None:
    """Report a line; a minor one only when nothing has been reported for some seconds."""
    listener = _listener.get()
    if listener is None or (is_minor and time.monotonic() - listener.last < _SECONDS):
        return
    listener.last = time.monotonic()
    listener.report(f"[RDIA] {message}")
