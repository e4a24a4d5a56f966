"""Repair wrong training labels with influence functions, inside scikit-learn."""

from typing import TYPE_CHECKING, Any

from skrdia._compare import Comparison, compare_strategies
from skrdia._detector import InfluenceLabelDetector
from skrdia._influence import Influence, influence
from skrdia._ledger import Ledger
from skrdia._matrix import influence_matrix
from skrdia._memory import MemoryEstimate, estimate_memory
from skrdia._rdia import RDIAClassifier

if TYPE_CHECKING:
    from skrdia._rdia_ls import RDIALSClassifier as RDIALSClassifier

__version__ = "0.1.0.dev0"

__all__ = [
    "Comparison",
    "Influence",
    "InfluenceLabelDetector",
    "Ledger",
    "MemoryEstimate",
    "RDIAClassifier",
    "compare_strategies",
    "estimate_memory",
    "influence",
    "influence_matrix",
]


def __getattr__(name: str) -> Any:
    if name == "RDIALSClassifier":  # loads torch
        from skrdia._rdia_ls import RDIALSClassifier

        return RDIALSClassifier
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
