"""What the attributes of a fitted `RDIAClassifier` say, in one place: labels before and after, and held-out losses."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skrdia._ledger_columns import ACTIONS
from skrdia._means import mean_and_error

__all__ = ["Facts", "Loss"]


@dataclass(frozen=True)
class Loss:
    """Mean held-out loss before and after, in nats, and the standard error of their difference; nan if unknown."""

    before: float
    after: float
    error: float
    n_rows: int

    @property
    def gain(self) -> float:
        """Decrease of the loss."""
        return self.before - self.after


@dataclass(frozen=True)
class Facts:
    """A fitted `RDIAClassifier`, read."""

    clf: Any

    @cached_property
    def given(self) -> NDArray[Any]:
        """Labels (n,) as given to `fit`."""
        labels = np.asarray(self.clf.relabeled_y_).astype(object)
        labels[self.clf.ledger_["row"]] = self.clf.ledger_["label"]
        return labels

    @cached_property
    def repaired(self) -> NDArray[Any]:
        """Labels (n,) after repair."""
        return np.asarray(self.clf.relabeled_y_).astype(object)

    @cached_property
    def trained(self) -> NDArray[np.bool_]:
        """The rows (n,) whose label was in question."""
        return ~np.asarray(self.clf.validation_mask_)

    @cached_property
    def dropped(self) -> NDArray[np.bool_]:
        """The rows (n,) that the final fit leaves out, with the reason in the ledger."""
        mask = np.zeros(len(self.trained), dtype=bool)
        mask[self.clf.ledger_["row"][self.clf.ledger_["action"] == "drop"]] = True
        return mask

    @cached_property
    def actions(self) -> dict[str, int]:
        """Rows of the ledger by what was done to them."""
        done = self.clf.ledger_["action"]
        return {name: int((done == name).sum()) for name in ACTIONS}

    @property
    def wrong(self) -> NDArray[np.bool_]:
        """The rows (n,) whose label looks wrong."""
        return np.asarray(self.clf.harmful_mask_)

    @property
    def is_auto(self) -> bool:
        """Whether the validation rows chose."""
        return isinstance(self.clf.alpha, str)

    @property
    def did_nothing(self) -> bool:
        """Whether the targets are the labels as given."""
        is_judged = self.is_auto and not self.is_out_of_fold
        return is_judged and str(self.clf.termination_condition_).startswith("do nothing")

    @property
    def knows_noise(self) -> bool:
        """Whether the share of wrong labels was estimated."""
        return hasattr(self.clf, "noise_rate_")

    @property
    def is_out_of_fold(self) -> bool:
        """Whether there are no validation rows, so that every row was scored by models that had not seen it."""
        return len(self.clf.held_out_["row"]) == 0

    def loss(self, rows: NDArray[np.bool_] | None = None) -> Loss:
        """Over all validation rows, or over those marked among them (n_val,)."""
        held_out = self.clf.held_out_
        shown = slice(None) if rows is None else rows
        weight, before, after = (held_out[name][shown] for name in ("weight", "before", "after"))
        n_rows = int(np.count_nonzero(weight))
        if n_rows == 0:
            return Loss(np.nan, np.nan, np.nan, 0)
        error = mean_and_error(before - after, weight)[1] if n_rows > 1 else np.nan
        mean_before, mean_after = (float(np.average(losses, weights=weight)) for losses in (before, after))
        return Loss(mean_before, mean_after, error, n_rows)
