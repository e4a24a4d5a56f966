"""Names of the data sets of the paper, apart from `_paper_tasks`, so that a command that lists them loads no reader."""

from __future__ import annotations

__all__ = ["PAPER_DATASETS", "STAND_INS"]

PAPER_DATASETS = (
    *("breast-cancer", "diabetes", "news20", "adult", "real-sim", "covtype", "criteo", "avazu", "mnist", "cifar10"),
)
STAND_INS = {"news20-bydate": "news20", "reuters-moneyfx": "real-sim", "mnist-11684": "mnist"}
"""By data set, the one of the paper that it stands in for."""
