"""Fitted classifiers as differentiable functions of their parameters."""

from skrdia.views._base import Linearization, View, as_view, check_supported, draft, has_view, regularised

__all__ = ["Linearization", "View", "as_view", "check_supported", "draft", "has_view", "regularised"]
