"""Repair wrong training labels with influence functions, inside scikit-learn."""

from skrdia._compare import Comparison, compare_strategies
from skrdia._influence import Influence, influence, influence_matrix
from skrdia._rdia import RDIAClassifier

__version__ = "0.1.0.dev0"

__all__ = ["Comparison", "Influence", "RDIAClassifier", "compare_strategies", "influence", "influence_matrix"]
