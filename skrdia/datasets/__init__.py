"""Small data sets that come with the package, data with a known answer, and label noise."""

from skrdia.datasets._base import load_breast_cancer_scale
from skrdia.datasets._blobs import gaussian_boundary, gaussian_log_odds, make_gaussian_blobs
from skrdia.datasets._noise import flip_labels

__all__ = [
    "flip_labels",
    "gaussian_boundary",
    "gaussian_log_odds",
    "load_breast_cancer_scale",
    "make_gaussian_blobs",
]
