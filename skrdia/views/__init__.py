"""Fitted classifiers as differentiable functions of their parameters."""

from skrdia.views._base import (
    Linearization,
    Options,
    View,
    as_view,
    capability,
    check_supported,
    draft,
    has_view,
    regularised,
    soften,
)

__all__ = [
    "Linearization",
    "Options",
    "View",
    "as_view",
    "capability",
    "check_supported",
    "draft",
    "has_view",
    "regularised",
    "soften",
]
