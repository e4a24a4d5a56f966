"""``python -m skrdia`` and the command ``skrdia``: an interrupt ends it in one line, also while it is being loaded."""

from __future__ import annotations

import signal
import sys
from typing import Any

__all__ = ["main"]

_INTERRUPTED = 130


def main() -> None:
    """Run the command."""
    try:
        signal.signal(signal.SIGTERM, _stop)
        from skrdia.cli import main as run

        run(prog_name="skrdia")
    except KeyboardInterrupt:
        print("Error: interrupted; nothing was written.", file=sys.stderr)
        sys.exit(_INTERRUPTED)


def _stop(number: int, frame: Any) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    main()
