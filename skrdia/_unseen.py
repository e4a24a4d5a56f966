"""Evidence on rows that were not trained on: what the model and the noise of the training rows say of them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from skrdia._evidence import SHRINKAGE, Evidence
from skrdia._kernel import Kernel
from skrdia._label_posterior import apply_channel, label_channel
from skrdia._noise_model import NoiseModel
from skrdia._train import predict_targets
from skrdia.views._base import Array

__all__ = ["Unseen"]


@dataclass
class Unseen:
    """What signals ask of an `Evidence`, for other rows: nothing is out of fold, since the model never saw them.

    Parameters
    ----------
    known : Evidence
        On the training rows.
    X : array-like of shape (n, n_features)
        The other rows.
    given : array of shape (n, K)
        One in the column of each row's label.
    """

    known: Evidence
    X: Any
    given: Array

    @property
    def targets(self) -> Array:
        raise ValueError(
            "signal='leave-one-out' trains without a row, so it says nothing of rows that were not trained on. Use "
            "'influence' for these."
        )

    @cached_property
    def kernel(self) -> Kernel:
        return self.known.kernel_at(self.X)

    @property
    def influences(self) -> Array:
        return self.kernel.influences()

    @cached_property
    def confidence(self) -> Array:
        return predict_targets(self.known.model, self.X, self.known.classes)

    @cached_property
    def trusted_confidence(self) -> Array:
        return predict_targets(self.known.trusted_fit, self.X, self.known.classes)

    @property
    def posterior(self) -> Array:
        return self._posterior(self.confidence, self.known.posterior, 0.0)

    @property
    def stacked_posterior(self) -> Array:
        return self._posterior(self.confidence, self.known.stacked_posterior, SHRINKAGE)

    @property
    def trusted_posterior(self) -> Array:
        return self._posterior(self.trusted_confidence, self.known.trusted_posterior, 0.0)

    @cached_property
    def noise_model(self) -> NoiseModel:
        known = self.known.noise_model
        return replace(known, posterior=apply_channel(self.confidence, self.given, known.channel))

    @property
    def calibrated_posterior(self) -> Array:
        return self._posterior(self.trusted_confidence, self.known.calibrated_posterior, 0.0)

    @property
    def paired_posterior(self) -> Array:
        return self._posterior(self.trusted_confidence, self.known.paired_posterior, 0.0)

    @property
    def isolation(self) -> Array:
        return self.known.isolation_at(self.X)

    @property
    def trusted_isolation(self) -> Array:
        return self.known.trusted_isolation_at(self.X)

    def _posterior(self, proba: Array, of_known: Array, shrinkage: float) -> Array:
        channel = label_channel(of_known, self.known.given, self.known.weight, shrinkage)
        return apply_channel(proba, self.given, channel)
