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
    finally:
        # Python remembers an interrupt inside of exec, such as that of a dataclass, until the next exec, and would end
        # by a signal instead of the exit code.
        exec("")


def _stop(number: int, frame: Any) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    main()
