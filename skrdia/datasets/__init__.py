"""The data sets of the paper, data with a known answer, synthetic click logs, label noise, and anomalies."""

from typing import TYPE_CHECKING

from skrdia._lazy import on_demand

if TYPE_CHECKING:
    from skrdia.datasets._anomalies import add_anomalies
    from skrdia.datasets._base import load_breast_cancer_scale
    from skrdia.datasets._blobs import gaussian_boundary, gaussian_log_odds, make_gaussian_blobs
    from skrdia.datasets._clothing import fetch_clothing1m
    from skrdia.datasets._ctr import make_ctr_like
    from skrdia.datasets._noise import flip_labels
    from skrdia.datasets._paper import fetch_paper_dataset
    from skrdia.datasets._paper_images import fetch_paper_images
    from skrdia.datasets._paper_names import PAPER_DATASETS, STAND_INS
else:
    __getattr__, __dir__ = on_demand(
        __name__,
        {
            "_anomalies": ("add_anomalies",),
            "_base": ("load_breast_cancer_scale",),
            "_blobs": ("gaussian_boundary", "gaussian_log_odds", "make_gaussian_blobs"),
            "_clothing": ("fetch_clothing1m",),
            "_ctr": ("make_ctr_like",),
            "_noise": ("flip_labels",),
            "_paper": ("fetch_paper_dataset",),
            "_paper_images": ("fetch_paper_images",),
            "_paper_names": ("PAPER_DATASETS", "STAND_INS"),
        },
    )

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
