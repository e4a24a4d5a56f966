"""Views of estimators that contain another: transform the rows, then delegate."""

from __future__ import annotations

from typing import Any

from sklearn.base import clone

from skrdia._blocks import as_blocks
from skrdia.views._base import Linearization, Options, View, as_view, check_supported, draft, regularised
from skrdia.views._heads import resamplers

__all__ = ["FrozenFactory", "PipelineFactory"]


class PipelineView:
    """The view of the last step of a fitted pipeline; the steps before it hold no parameters."""

    def __init__(self, transform: Any, last: Any) -> None:
        self._transform = transform
        self._last = last
        self.theta = last.theta
        self.classes_ = last.classes_
        self.penalty = last.penalty
        self.penalty_gradient = last.penalty_gradient
        self.class_weight = last.class_weight
        self.softening = getattr(last, "softening", 1.0)
        self.damping = getattr(last, "damping", 0.0)

    def linearize(self, X: Any) -> Linearization:
        blocks = as_blocks(X)
        return self._last.linearize(self._transform(X) if blocks is None else blocks.map(self._transform))


class PipelineFactory:
    @staticmethod
    def check(estimator: Any) -> None:
        if found := resamplers(estimator):
            raise TypeError(
                f"{estimator!r} has the step {found[0]!r}, which makes training rows of its own: those of X have no "
                "influence that can be told. Leave it out here, for example by influence_estimator."
            )
        check_supported(estimator.steps[-1][1])

    @staticmethod
    def view(estimator: Any, options: Options) -> View:
        last = as_view(estimator.steps[-1][1], options)
        return last if len(estimator.steps) == 1 else PipelineView(estimator[:-1].transform, last)

    @staticmethod
    def regularised(estimator: Any, factor: float) -> Any:
        name, last = estimator.steps[-1]
        last = regularised(last, factor)
        return None if last is None else clone(estimator).set_params(**{name: last})

    @staticmethod
    def draft(estimator: Any, fitted: Any) -> None:
        draft(estimator.steps[-1][1], None if fitted is None else fitted.steps[-1][1])


class FrozenFactory:
    @staticmethod
    def check(estimator: Any) -> None:
        check_supported(estimator.estimator)

    @staticmethod
    def view(estimator: Any, options: Options) -> View:
        return as_view(estimator.estimator, options)

    @staticmethod
    def regularised(estimator: Any, factor: float) -> Any:
        return None

    @staticmethod
    def draft(estimator: Any, fitted: Any) -> None:
        """Nothing to do: it is not trained."""
