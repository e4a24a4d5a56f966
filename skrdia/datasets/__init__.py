"""Small data sets that come with the package, and label noise."""

from skrdia.datasets._base import load_breast_cancer_scale
from skrdia.datasets._noise import flip_labels

__all__ = ["flip_labels", "load_breast_cancer_scale"]
