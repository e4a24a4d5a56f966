"""The table of signals: name -> function."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from skrdia._evidence import Evidence
from skrdia.signals import _influences as of_influence
from skrdia.signals import _labels as of_labels
from skrdia.views._base import Array

__all__ = ["OF_PROBABILITIES", "SIGNALS", "WITHOUT_TRUSTED_ROWS", "Signal", "apply"]

Signal = Callable[[Evidence], Array]

SIGNALS: dict[str, Signal] = {
    "influence": of_influence.influence,
    "marginal-influence": of_influence.marginal_influence,
    "influence-margin": of_influence.influence_margin,
    "average-absolute-influence": of_influence.average_absolute_influence,
    "gd-class": of_influence.gd_class,
    "cnci": of_influence.cnci,
    "pcid": of_influence.pcid,
    "leave-one-out": of_influence.leave_one_out,
    "leave-one-out-step": of_influence.leave_one_out_step,
    "self-influence": of_influence.self_influence,
    "self-influence-loo": of_influence.self_influence_loo,
    "confidence": of_labels.confidence,
    "margin": of_labels.margin,
    "posterior": of_labels.posterior,
    "stacked-posterior": of_labels.stacked_posterior,
    "noise-model": of_labels.noise_model,
    "trusted-confidence": of_labels.trusted_confidence,
    "trusted-posterior": of_labels.trusted_posterior,
    "calibrated-posterior": of_labels.calibrated_posterior,
    "paired-posterior": of_labels.paired_posterior,
    "isolation": of_influence.isolation,
    "trusted-isolation": of_influence.trusted_isolation,
}

WITHOUT_TRUSTED_ROWS = (
    "self-influence",
    "self-influence-loo",
    "confidence",
    "margin",
    "posterior",
    "stacked-posterior",
    "noise-model",
    "isolation",
)
"""Signals that need none."""

OF_PROBABILITIES = (
    "confidence",
    "trusted-confidence",
    "posterior",
    "stacked-posterior",
    "trusted-posterior",
    "noise-model",
    "calibrated-posterior",
    "paired-posterior",
)
"""Signals between 0 and 1: one minus a probability of the label."""


def apply(signal: Signal, evidence: Any) -> Array:
    """What a signal says of the rows: (n, K) or (n,) numbers, checked."""
    values, shape = np.asarray(signal(evidence), dtype=np.float64), evidence.given.shape
    if values.shape not in (shape, shape[:1]):
        raise ValueError(
            f"signal returned an array of shape {values.shape}; expected {shape}, one number for each label of each "
            f"row, or {shape[:1]}, one for each row as labelled."
        )
    return values
