"""The data sets of the paper, data with a known answer, synthetic click logs, label noise, and anomalies."""

from skrdia.datasets._anomalies import add_anomalies
from skrdia.datasets._base import load_breast_cancer_scale
from skrdia.datasets._blobs import gaussian_boundary, gaussian_log_odds, make_gaussian_blobs
from skrdia.datasets._clothing import fetch_clothing1m
from skrdia.datasets._ctr import make_ctr_like
from skrdia.datasets._noise import flip_labels
from skrdia.datasets._paper import PAPER_DATASETS, STAND_INS, fetch_paper_dataset
from skrdia.datasets._paper_images import fetch_paper_images

__all__ = [
    "PAPER_DATASETS",
    "STAND_INS",
    "add_anomalies",
    "fetch_clothing1m",
    "fetch_paper_dataset",
    "fetch_paper_images",
    "flip_labels",
    "gaussian_boundary",
    "gaussian_log_odds",
    "load_breast_cancer_scale",
    "make_ctr_like",
    "make_gaussian_blobs",
]
