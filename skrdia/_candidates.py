"""What alpha="auto" tries: signals, thresholds, strategies, rounds, and detectors of several strengths."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from skrdia._out_of_fold import STRONGER, WEAKER
from skrdia._train import takes_weights
from skrdia.signals._table import OF_PROBABILITIES
from skrdia.views import has_view, regularised

__all__ = ["NOTHING", "OF_GIVEN_LABELS", "TRUSTED_ONLY", "Candidate", "candidates", "detectors_to_try"]

OF_GIVEN_LABELS = ("noise-model", "calibrated-posterior", "paired-posterior")
"""Signals that ask models of the labels as given."""

_BASE = "base estimator"
"""The detector that is the base estimator, where another model finds the rows."""

_ALPHAS = {"influence": (0.05, 0.2, 0.6)} | dict.fromkeys(OF_PROBABILITIES, (0.5, 0.8, 0.95))
"""Thresholds that are tried for a signal named by the user."""

_NAMED = ("influence", "confidence", "trusted-confidence", "posterior", "trusted-posterior")
"""Signals that are tried for a strategy named by the user."""

_MANY_VALIDATION_ROWS = 100
"""With fewer, a detector that is hardly regularised, and influences by one as regularised as the base, overfit them."""


@dataclass(frozen=True)
class Candidate:
    """One way to turn given labels into targets. `detector` is its factor on C, or the base estimator."""

    signal: str
    strategy: Any
    alpha: float
    n_iter: int = 1
    detector: float | str = 1.0


NOTHING = Candidate("none", "none", np.inf, n_iter=0)
TRUSTED_ONLY = Candidate("none", "drop", -np.inf, n_iter=0)

_SOFT_AND_HARD = (("soft", 0.0), ("relabel", 0.5))

_AUTO = (
    Candidate("noise-model", "soft", 0.0),
    *(Candidate("calibrated-posterior", *rule) for rule in _SOFT_AND_HARD),
    *(Candidate("trusted-posterior", "soft", 0.0, detector=factor) for factor in (1.0, 0.1)),
    *(Candidate("trusted-posterior", "relabel", 0.5, detector=factor) for factor in (1.0, 0.1)),
    Candidate("trusted-confidence", "relabel", 0.8, detector=0.1),
    Candidate("trusted-confidence", "drop", 0.8, detector=0.1),
    Candidate("influence", "drop", 0.2, detector=0.01),
    *(Candidate("influence", "relabel", 0.05, n_iter=k, detector=0.01) for k in (1, 2)),
)
"""What "auto" tries: few, chosen greedily from about 200 so that their mixture recovers as much as that of all."""

_WITH_PAIRS = tuple(Candidate("paired-posterior", *rule) for rule in _SOFT_AND_HARD)

_WITH_MANY_VALIDATION_ROWS = (
    Candidate("trusted-posterior", "soft", 0.0, detector=WEAKER),
    Candidate("trusted-posterior", "relabel", 0.5, detector=WEAKER),
    *(Candidate("influence", "relabel", 0.05, n_iter=k) for k in (1, 2, 3)),
    *(Candidate("influence", "relabel", 0.2, n_iter=k) for k in (1, 2)),
)

_BY_THE_BASE_ESTIMATOR = (
    Candidate("trusted-posterior", "soft", 0.0, detector=_BASE),
    Candidate("trusted-posterior", "relabel", 0.5, detector=_BASE),
)
"""What is tried in addition with the base estimator as the detector, when another model finds the rows."""


def detectors_to_try(base: Any, finder: Any) -> dict[float | str, Any]:
    """The model that finds the rows, clones of it by their factor on C where it has one, and the base estimator."""
    clones = {factor: regularised(finder, factor) for factor in (*STRONGER, WEAKER)}
    models: dict[float | str, Any] = {1.0: finder}
    models |= {factor: model for factor, model in clones.items() if model is not None}
    return models | ({_BASE: base} if _finds_too(base, finder) else {})


def _finds_too(base: Any, finder: Any) -> bool:
    """Whether the base estimator is a detector of its own: it can be trained on posteriors."""
    return base is not finder and takes_weights(base)


def candidates(
    signal: Any,
    strategy: Any,
    max_iter: int | None,
    base: Any,
    finder: Any,
    n_val: int = _MANY_VALIDATION_ROWS,
    *,
    has_pairs: bool = False,
) -> list[Candidate]:
    """What is tried besides doing nothing and the trusted rows only, for the user's signal, strategy and models."""
    if callable(signal):
        raise ValueError(
            "alpha='auto' does not know the unit of a callable signal; give alpha a number, or search over it with "
            "GridSearchCV."
        )
    if signal not in ("auto", *_ALPHAS):
        raise ValueError(
            f"alpha='auto' does not know which thresholds to try for signal={signal!r}; it knows those of "
            f"{list(_ALPHAS)}. Give alpha a number, or search over it with GridSearchCV."
        )
    tried: Iterable[Candidate] = _product(signal, strategy)
    if signal == "auto" and strategy == "auto":
        tried = (*_AUTO, *_WITH_MANY_VALIDATION_ROWS) if n_val >= _MANY_VALIDATION_ROWS else _AUTO
        tried = (*tried, *_WITH_PAIRS) if has_pairs else tried
        tried = (*tried, *_BY_THE_BASE_ESTIMATOR) if _finds_too(base, finder) else tried
    known, rounds = detectors_to_try(base, finder), np.inf if max_iter is None else max_iter
    differentiable = has_view(finder)
    distinct = dict.fromkeys(replace(c, detector=c.detector if c.detector in known else 1.0) for c in tried)
    return [c for c in distinct if c.n_iter <= rounds and (differentiable or c.signal != "influence")]


def _product(signal: str, strategy: Any) -> Iterable[Candidate]:
    """Every threshold and detector, for a signal or a strategy that the user has named."""
    for name in _NAMED if signal == "auto" else [signal]:
        soft = [] if name == "influence" else ["soft"]
        for rule in ["relabel", "drop", *soft] if strategy == "auto" else [strategy]:
            for alpha in (0.0,) if rule == "soft" else _ALPHAS[name]:
                for factor in (1.0, *STRONGER):
                    yield Candidate(name, rule, alpha, 1, factor)
                    if name == "influence":
                        yield Candidate(name, rule, alpha, 2, factor)
