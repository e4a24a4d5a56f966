"""Displays in the manner of scikit-learn: what was found, what was changed, and what it was worth.

The confusion matrix of a repaired classifier is scikit-learn's own `sklearn.metrics.ConfusionMatrixDisplay`.
"""

from typing import TYPE_CHECKING

from skrdia._lazy import on_demand

if TYPE_CHECKING:
    from skrdia.plotting._calibration import CalibrationComparisonDisplay
    from skrdia.plotting._choices import AlphaPathDisplay, RoundsDisplay
    from skrdia.plotting._curves import LossCurvesDisplay, NoiseCurvesDisplay
    from skrdia.plotting._distribution import InfluenceDistributionDisplay
    from skrdia.plotting._harmful import HarmfulRowsDisplay
    from skrdia.plotting._labels import LabelTransitionDisplay
    from skrdia.plotting._plane import InfluencePlaneDisplay
else:
    __getattr__, __dir__ = on_demand(
        __name__,
        {
            "_calibration": ("CalibrationComparisonDisplay",),
            "_choices": ("AlphaPathDisplay", "RoundsDisplay"),
            "_curves": ("LossCurvesDisplay", "NoiseCurvesDisplay"),
            "_distribution": ("InfluenceDistributionDisplay",),
            "_harmful": ("HarmfulRowsDisplay",),
            "_labels": ("LabelTransitionDisplay",),
            "_plane": ("InfluencePlaneDisplay",),
        },
    )

__all__ = [
    "AlphaPathDisplay",
    "CalibrationComparisonDisplay",
    "HarmfulRowsDisplay",
    "InfluenceDistributionDisplay",
    "InfluencePlaneDisplay",
    "LabelTransitionDisplay",
    "LossCurvesDisplay",
    "NoiseCurvesDisplay",
    "RoundsDisplay",
]
