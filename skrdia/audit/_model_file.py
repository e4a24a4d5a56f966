"""The file of the model: joblib's, which anybody with scikit-learn reads, or that of skops, which runs no code."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from skrdia.audit._errors import AuditError

__all__ = ["FORMATS", "check_format", "write_model"]

FORMATS = {
    "joblib": "loading model.joblib runs code that is stored in it: load it only if you trust whoever could have "
    "changed it. --model-format skops writes a file that can be looked at first.",
    "skops": "look at skops.io.get_untrusted_types(file='model.skops') before you load it by skops.io.load with "
    "these types as trusted.",
}
"""What to know about the file before it is loaded."""


def check_format(name: str) -> None:
    """Raise unless the library of the format is there."""
    if name == "skops":
        try:
            import skops.io  # noqa: F401
        except ImportError as error:
            raise AuditError("--model-format skops needs skops: pip install 'skrdia[skops]'") from error


def write_model(model: Any, path: Path, name: str) -> None:
    """Write a pipeline in the format."""
    if name == "skops":
        from skops.io import dump
    else:
        from joblib import dump
    dump(model, path)
