"""Fitted classifiers as differentiable functions of their parameters."""

from skrdia.views._base import (
    Linearization,
    Options,
    View,
    as_view,
    check_supported,
    draft,
    epochs,
    has_view,
    regularised,
    scaler,
    soften,
    trainer,
)

__all__ = [
    "Linearization",
    "Options",
    "View",
    "as_view",
    "check_supported",
    "draft",
    "epochs",
    "has_view",
    "regularised",
    "scaler",
    "soften",
    "trainer",
]
