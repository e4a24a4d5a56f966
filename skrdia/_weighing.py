"""How far candidates, and a repair, are believed, by validation rows and by the model of the labels as given.

With P_cj the probability that candidate c gave to the label of validation row j, which it has not seen, the weights of
the candidates are stacking weights (`skrdia._stacking`) with a prior that is worth 400 / n_val rows, between one and
eight: few rows cannot tell twenty candidates apart, many can. With c the probability that no label is wrong, by the
model of the labels as given (`skrdia._noise_model`) and between 0.05 and 0.95, or 1/2 where that was not asked, the
prior is c for doing nothing, four fifths of the rest for the candidates that ask models of the labels as given, which
have seen thousands of labels, and a fifth for all others.

Let a repair gain over doing nothing z standard errors, and G nats summed over the validation rows. With the odds that
there is something to repair, those of a gain, and one nat against repairs,

    s = 1 / (1 + exp(1 - log((1 - c) / c) - min(G, log(Phi(z) / Phi(-z)))))

is the share of it that is done, and all of it above 0.95. So a few verified rows that see no gain do not outweigh
thousands of labels that show errors by themselves, and a gain that they see by chance repairs no clean labels. The
constants were chosen on spambase, magic, optdigits, german_credit, mammographic, waveform5000, vowel, hausa and yoruba.

Reference: Yao, Vehtari, Simpson, Gelman, "Using stacking to average Bayesian predictive distributions", Bayesian
Analysis 13, 2018.
"""

from __future__ import annotations

import numpy as np
from scipy.special import expit, log_ndtr

from skrdia._candidates import NOTHING, OF_GIVEN_LABELS, Candidate
from skrdia._means import mean_and_error
from skrdia._stacking import stacking_weights
from skrdia.views._base import Array

__all__ = ["prior_of", "share_of_repair", "weights_of"]

_PRIOR, _PRIOR_ROWS, _OF_GIVEN_LABELS = 400.0, (1.0, 8.0), 0.8
"""What the prior is worth in rows, times n_val, and its bounds; the share that `OF_GIVEN_LABELS` have of what
is not on doing nothing.
"""
_SMALLEST_WEIGHT = 0.01
_DOUBT, _SURE = 1.0, 0.95
"""Nats against repairs; the share of a repair from which on all of it is done."""


def prior_of(names: list[Candidate], is_clean: float) -> Array:
    """Prior of the stacking weights, (M,)."""
    nothing = np.array([c == NOTHING for c in names])
    known = np.array([c.signal in OF_GIVEN_LABELS for c in names])
    prior = np.where(nothing, is_clean, 0.0)
    for some, share in ((known, _OF_GIVEN_LABELS), (~known & ~nothing, 1.0 - _OF_GIVEN_LABELS)):
        prior[some] = (1.0 - is_clean) * share / max(1, int(some.sum()))
    return prior / prior.sum()


def weights_of(losses: Array, counts: Array, prior: Array) -> Array:
    """Stacking weights of the candidates; small ones become zero."""
    strength = float(np.clip(_PRIOR / max(1, int(np.count_nonzero(counts))), *_PRIOR_ROWS))
    weights = stacking_weights(np.exp(-losses), counts, prior, strength)
    weights[weights < _SMALLEST_WEIGHT] = 0.0
    return weights / weights.sum()


def share_of_repair(gains: Array, weight: Array, is_clean: float) -> float:
    """The share s of a repair in what is trained on, for its gains (n_val,) over doing nothing."""
    if np.allclose(gains, 0.0):  # nothing that is trained changes
        return 0.0
    gain, error = mean_and_error(gains, weight)
    z = gain / max(error, np.finfo(np.float64).tiny)
    evidence = min(gain * np.count_nonzero(weight), float(log_ndtr(z) - log_ndtr(-z)))
    share = float(expit(np.log(1.0 / is_clean - 1.0) + evidence - _DOUBT))
    return 1.0 if share > _SURE else share
