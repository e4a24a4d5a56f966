"""Repair wrong training labels with influence functions, inside scikit-learn."""

from typing import TYPE_CHECKING

from skrdia._lazy import on_demand

if TYPE_CHECKING:
    from skrdia._compare import Comparison, compare_strategies
    from skrdia._detector import InfluenceLabelDetector
    from skrdia._influence import Influence, influence
    from skrdia._ledger import Ledger
    from skrdia._matrix import influence_matrix
    from skrdia._memory import MemoryEstimate, estimate_memory
    from skrdia._rdia import RDIAClassifier
    from skrdia._rdia_ls import RDIALSClassifier as RDIALSClassifier
else:
    __getattr__, __dir__ = on_demand(
        __name__,
        {
            "_compare": ("Comparison", "compare_strategies"),
            "_detector": ("InfluenceLabelDetector",),
            "_influence": ("Influence", "influence"),
            "_ledger": ("Ledger",),
            "_matrix": ("influence_matrix",),
            "_memory": ("MemoryEstimate", "estimate_memory"),
            "_rdia": ("RDIAClassifier",),
            "_rdia_ls": ("RDIALSClassifier",),
        },
        (
            *("blocks", "curvature", "dask", "datasets", "linear_model", "plotting", "report"),
            *("signals", "solvers", "strategies", "tracin", "views"),
        ),
    )

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
