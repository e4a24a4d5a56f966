"""Are the verified rows what they seem? Labels may be wrong, and classes may have other shares than in the rest.

Wrong labels. The model of the labels as given (`skrdia._noise_model`) with p_ik the probability of the right label by
what M models say of each row: some trained on the rows that are not verified, others on the verified rows alone, out of
fold where they were trained on. One p and one channel T of the labels as given must do for the rows of both kinds,

    C_ik = V_k,v(i)    of a verified row i with the label v(i),        1 of another one                          (n, K)
    L(V) = sum_i log sum_k p_ik E_ik C_ik                              E of T, at the p and T that fit this V best
    V_kj = (N_kj + m V0_kj) / sum,    N_kj = sum_i R_ik [v(i) = j]     R ~ p E C;  m = 2 rows, V0_kk = 0.95      (K, K)

with V_kj the probability that a row of class k was verified as j. A verified row that is contradicted by the models of
the other rows alone says nothing: those may have learned a systematic error. With V = I the channel T explains that as
well as it can; only where wrong verified labels explain more does L grow,

    P(wrong) = 1 / (1 + exp(2 K - 3 - L(V) + L(I))),          s_i = P(wrong) (1 - R_i,v(i)),          weight 1 - 0.9 s_i

That asks of the model of the labels as given that it knows what it speaks of: that it finds wrong ones among these,
with the lower end of its 90 % interval above 0.01, or is right of as many verified labels as all models are that other
verified rows calibrate (`skrdia._calibration`). Else the labels as given are wrong in ways that it cannot see, as those
of rules are, and the verified ones are taken for right.

Errors of one class in the verified labels, and the same in the labels as given the other way around, differ
in that they level p off at different ends. Where p reaches neither, nothing can tell them apart. Nor can wrong verified
labels be told from classes that overlap where they are wrong as often as the labels as given. Of a class of which most
verified labels look wrong nothing is believed: s_i = 0.

Other shares. With f (K,) the shares of the verified labels, e those of the right labels of the other rows by the noise
model (which is not told of the verified labels), and n_val rows, the difference is more than chance where

    max_k |f_k - e_k| / sqrt(e_k (1 - e_k) / n_val + 0.05^2 + d^2)              has a tail, times K - 1, below 0.02,

over the classes that both kinds of rows have, d = h / (1 - r K / (K - 1)), with r the share of wrong labels and h its
standard deviation, the interval over 3.29: the more labels are wrong, the less those as given say of the shares.

Then either labels are wrong in one direction, or the sample is not random. In the first case the rows themselves are
alike; in the second they are as of the classes f. Along u = (f - e) / |f - e|,

    t = u (mean of p over the verified rows - over the others) / u (sum_k f_k mean of p over those of class k - e)

is 0 and 1 in the two cases, with the standard error h. P(not random) = 1 / (1 + exp(-(2 t - 1) / 2 h^2)), and rows of
class k get the weight (e_k / f_k)^P(not random), as of a random sample. Then L(V) would take the shares for errors, so
V is that of the verified rows alone, with p as one model more. The n_val f_k rows of class k speak for as many as
n_val f_k / e_k rows of a random sample would; where that is less than 40 for a class that was given more weight, a few
rows would decide, and the verified rows choose nothing.

References: Saerens, Latinne, Decaestecker, "Adjusting the outputs of a classifier to new a priori probabilities",
Neural Computation 14, 2002, and Lipton, Wang, Smola, "Detecting and correcting for label shift with black box
predictors", ICML 2018, for shares that differ. The constants were chosen on the tables named in
`tests/benchmarks/verified.py`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit
from scipy.stats import norm

from skrdia._calibration import calibrated
from skrdia._means import row_counts
from skrdia._mixture import Predictions
from skrdia._noise_model import NoiseModel, fit_noise_model
from skrdia._out_of_fold import N_FOLDS, folds
from skrdia.views._base import Array

__all__ = ["VerifiedCheck", "check_verified"]

_NATS, _NATS_PER_CLASS = -3.0, 2.0
_PRIOR_ROWS, _RIGHT = 2.0, 0.95
_MAX_PASSES, _SMALLEST = 3, 1e-9
_SURE, _NATURAL, _MIN_WRONG = 0.97, 0.03, 3.0
"""P(wrong), share and number of wrong verified labels from which on they are told."""
_MODEL_ERROR = 0.15
"""Relative standard deviation of the share of wrong labels, for what the model leaves out."""
_LEAST_TOLD = 0.1
"""Smallest of the factors 1 - r K / (K - 1)."""
_LEVEL, _SHARE_ERROR, _WIDTH = 0.02, 0.05, 2.0 * norm.isf(0.05)
"""Chance of a false alarm; error of the expected shares, for what the model leaves out; an interval, in errors."""
_KNOWN, _BETTER = 0.01, 1.0
"""Share of wrong labels among the others from which on their models may doubt verified ones; standard errors by which
verified rows must tell more of each other to be believed instead."""
_LARGEST_FACTOR, _MIN_ROWS = 10.0, 40.0
_DISCOUNT = 0.9
"""What a row that is surely wrong loses of its weight. Judged without any contradiction, the surest model is best."""
_MOST = 0.5
"""Share of the verified labels of a class up to which they are called wrong; beyond it the models do not see it."""
_NEGLIGIBLE = 0.01
"""Expected share of wrong verified labels up to which all of them keep their weight."""
_SHOWN = 10


@dataclass(frozen=True, eq=False)
class VerifiedCheck:
    """What is to be thought of n_val verified rows.

    Parameters
    ----------
    weights : array of shape (n_val,)
        Factors on the weights of the rows; their sum is not above n_val.
    wrong : array of shape (n_val,)
        Probabilities s that the verified label is wrong.
    wrong_rate : float
        Expected share of wrong labels among them.
    interval : tuple of float
        Shares that are exceeded with probability 0.95, and with 0.05.
    shares, expected_shares : arrays of shape (K,)
        f, of the verified labels; e, of the other rows by the noise model.
    not_random : float
        Probability that shares differ because the sample is not random; 0 where they differ by no more than chance.
    is_wrong, is_shifted : bool
        Whether wrong labels, or other shares, are worth a word.
    """

    weights: Array
    wrong: Array
    wrong_rate: float
    interval: tuple[float, float]
    shares: Array
    expected_shares: Array
    not_random: float
    is_wrong: bool
    is_shifted: bool

    @property
    def suspects(self) -> NDArray[np.intp]:
        """Positions of the verified rows that are more likely wrong than right, the likeliest first."""
        order = np.argsort(-self.wrong, kind="stable")
        return order[self.wrong[order] > 0.5]

    @property
    def reason(self) -> str:
        """Why these rows cannot choose a repair; empty where they can."""
        if self.not_random <= 0.5:
            return ""
        rare = (self.shares > 0.0) & (self.expected_shares > self.shares)
        stand_for = len(self.wrong) * self.shares[rare] / self.expected_shares[rare]
        if stand_for.min(initial=np.inf) >= _MIN_ROWS:
            return ""
        return "the verified rows are not a random sample, and too few are of the classes that are rare among them"

    def cautions(self, classes: list[Any]) -> list[str]:
        """Plain sentences with what may be the case, and what to do; none where all is as it seems."""
        return [
            *([self._of_wrong_labels()] if self.is_wrong else []),
            *([self._of_shares(classes)] if self.is_shifted else []),
        ]

    def _of_wrong_labels(self) -> str:
        n, (low, high) = len(self.wrong), self.interval
        return (
            f"About {round(self.wrong_rate * n):,} of {n:,} verified labels look wrong themselves ({low:.0%} to "
            f"{high:.0%} of them): neither the other rows nor the verified ones explain them, and they count for less. "
            "Look again at those in verified_suspects_. If they are right, the columns do not tell what makes them so."
        )

    def _of_shares(self, classes: list[Any]) -> str:
        off = np.abs(self.shares - self.expected_shares).round(9)  # the same of two classes, but for rounding
        order = np.argsort(-off, kind="stable")[:_SHOWN]
        named = ", ".join(
            f"{self.shares[k]:.0%} {classes[k]!r} where {self.expected_shares[k]:.0%} are expected"
            for k in order[: 1 if len(classes) == 2 else 3]
        )
        if self.is_wrong:
            done = "The verified labels that look wrong are a part of it."
        elif self.not_random > 0.5:
            done = (
                "The rows themselves differ from the others in the same way, so the sample is probably not random, and "
                f"the rows were weighed towards the expected shares{' and choose nothing' if self.reason else ''}."
            )
        else:
            done = (
                "The rows themselves are much like the others, so labels are probably wrong in one direction, and "
                "the verified labels were taken for right."
            )
        return (
            f"The verified rows have other class shares than the rest: {named}. Either the labels as given, or the "
            f"verified ones, are wrong mostly in one direction, or the verified rows are not a random sample. {done} "
            "Look at some of them again, verify rows drawn at random, or give the rows weights that make up for how "
            "they were drawn."
        )


def check_verified(
    predictions: Predictions,
    own: Predictions,
    given: Array,
    weight: Array,
    targets_val: Array,
) -> VerifiedCheck:
    """Compare the verified rows with what models say of them.

    Parameters
    ----------
    predictions : Predictions
        Of both kinds of rows, by models of the rows that are not verified.
    own : Predictions
        The same by models of the verified rows alone: ``proba`` is of the verified rows, ``proba_val`` of the others.
    given : array of shape (n, K)
        One in the column of the label that each row which is not verified was given.
    weight : array of shape (n,)
        Weights of these.
    targets_val : array of shape (n_val, K)
        The verified labels, times their weights; rows of zero weight are not judged.

    Returns
    -------
    VerifiedCheck
    """
    assert predictions.proba_val is not None
    assert own.proba_val is not None
    verified = (targets_val > 0.0).astype(np.float64)
    known = verified.sum(axis=1) > 0.0
    came = np.zeros(verified.shape)
    n = len(given)
    by_others = np.concatenate([predictions.proba, predictions.proba_val], axis=1)
    weights = np.concatenate([weight, np.ones(len(verified))])
    alone = fit_noise_model(by_others, np.vstack([given, came]), weights, like=predictions.noise)
    shares = verified[known].mean(axis=0)
    expected = np.average(alone.posterior[:n], axis=0, weights=weight)
    is_given = given.any(axis=0)
    is_shifted = _differ(shares, np.where(is_given, expected, 0.0), int(known.sum()), alone)
    not_random = _not_random(alone, weight, verified[known], shares, expected, n, known) if is_shifted else 0.0
    if not_random > 0.5:
        right = alone.right[n:]
        chance, wrong = _among_themselves(np.concatenate([right[None], own.proba]), verified)
    else:
        scores = np.concatenate([by_others, np.concatenate([own.proba_val, own.proba], axis=1)])
        chance, wrong = _together(scores, np.vstack([given, came]), weights, verified)
    doubted = (verified * wrong[:, None]).sum(axis=0) > _MOST * verified.sum(axis=0)
    wrong = np.where(known & ~(verified @ doubted > 0.0), wrong, 0.0)
    of_both = np.concatenate([predictions.proba_val, own.proba])
    if alone.interval[0] <= _KNOWN and _know_better(of_both, alone.right[n:], verified):
        chance = 0.0
    return _conclude(chance, wrong, verified, known, shares, expected, not_random, is_shifted)


def _know_better(scores: Array, others: Array, verified: Array) -> bool:
    """Whether verified rows tell of each other what the models of the other rows do not know, by McNemar's z.

    `scores` (M, n_val, K) are of all models, `others` (n_val, K) the right label by those of the other rows.
    """
    known = verified.any(axis=1)
    scores, others, verified = scores[:, known], others[known], verified[known]
    told = np.empty_like(verified)
    for train, test in folds(verified, N_FOLDS):
        told[test] = calibrated(scores[:, test], scores[:, train], verified[train])
    labels = verified.argmax(axis=1)
    hits, of_others = told.argmax(axis=1) == labels, others.argmax(axis=1) == labels
    gained, lost = np.count_nonzero(hits & ~of_others), np.count_nonzero(~hits & of_others)
    return bool(gained - lost > _BETTER * np.sqrt(gained + lost))


def _conclude(
    chance: float,
    wrong: Array,
    verified: Array,
    known: NDArray[np.bool_],
    shares: Array,
    expected: Array,
    not_random: float,
    is_shifted: bool,
) -> VerifiedCheck:
    n = max(1, int(known.sum()))
    rate = float(wrong[known].mean()) if known.any() else 0.0
    spread = float(np.hypot(np.sqrt((wrong * (1.0 - wrong)).sum() + 0.25) / n, _MODEL_ERROR * rate))
    low = max(0.0, rate - 1.645 * spread) if chance > _SURE else 0.0
    high = min(1.0, rate + 1.645 * spread)
    is_wrong = chance > _SURE and low > _NATURAL / 2.0 and chance * rate > _NATURAL and chance * rate * n > _MIN_WRONG
    factors = np.ones(len(shares))
    if not_random > 0.5:
        ratio = np.divide(expected, shares, out=np.ones(len(shares)), where=shares > 0.0)
        factors = np.clip(ratio, 1.0 / _LARGEST_FACTOR, _LARGEST_FACTOR) ** not_random
        factors /= max(1.0, float(shares @ factors))
    trust = 1.0 - _DISCOUNT * chance * wrong if chance * rate > _NEGLIGIBLE else np.ones(len(wrong))
    weights = np.where(known, trust * (verified @ factors), 1.0)
    return VerifiedCheck(
        weights, chance * wrong, chance * rate, (low, high), shares, expected, not_random, is_wrong, is_shifted
    )


def _together(scores: Array, given: Array, weight: Array, verified: Array) -> tuple[float, Array]:
    """P(wrong), and the probability (n_val,) that each verified label is wrong if some are."""
    n, n_classes = len(given) - len(verified), verified.shape[1]

    def fit(V: Array, like: NoiseModel | None = None) -> tuple[float, Array, NoiseModel]:
        allowed = np.vstack([np.ones((n, n_classes)), np.maximum(verified @ V.T, _SMALLEST)])
        allowed[n:][~verified.any(axis=1)] = 1.0
        found = fit_noise_model(scores, given, weight, allowed, like=like)
        joint = found.right * (given @ found.channel.T + 1.0 - given.sum(axis=1, keepdims=True)) * allowed
        total = np.maximum(joint.sum(axis=1), _SMALLEST)
        return float(np.log(total) @ row_counts(weight)), (joint / total[:, None])[n:], found

    without, posterior, noise = fit(np.eye(n_classes))
    by_themselves = _among_themselves(scores[:, n:], verified)
    best, wrong = -np.inf, by_themselves[1]
    posterior = _spread(verified, wrong, scores[:, n:].mean(axis=0))
    for _ in range(_MAX_PASSES):
        value, posterior, _ = fit(_channel(posterior, verified), noise)
        if value > best:
            best, wrong = value, 1.0 - (posterior * verified).sum(axis=1)
    return float(expit(best - without - _NATS_PER_CLASS * n_classes - _NATS)), wrong


def _spread(verified: Array, wrong: Array, proba: Array) -> Array:
    """A posterior (n_val, K) that doubts each verified label so much; the rest goes to what the models say."""
    rest = proba * (1.0 - verified) + _SMALLEST
    rest /= rest.sum(axis=1, keepdims=True)
    return verified * (1.0 - wrong)[:, None] + rest * wrong[:, None]


def _channel(posterior: Array, verified: Array) -> Array:
    """V (K, K)."""
    n_classes = verified.shape[1]
    prior = (1.0 - _RIGHT) / n_classes + _RIGHT * np.eye(n_classes)
    counts = posterior.T @ verified + _PRIOR_ROWS * prior
    return np.asarray(counts / counts.sum(axis=1, keepdims=True))


def _among_themselves(scores: Array, verified: Array) -> tuple[float, Array]:
    """The same by the verified rows alone."""
    found = fit_noise_model(scores, verified, np.asarray(verified.any(axis=1), dtype=np.float64))
    doubt = 1.0 - (found.posterior * verified).sum(axis=1)
    chance = 1.0 - found.is_clean
    return chance, np.clip(doubt / max(chance, 1e-3), 0.0, 1.0)


def _differ(shares: Array, expected: Array, n_val: int, alone: NoiseModel) -> bool:
    n_classes, (low, high) = len(shares), alone.interval
    common = (shares > 0.0) & (expected > 0.0)
    if common.sum() < 2:
        return False
    shares, expected = (part[common] / part[common].sum() for part in (shares, expected))
    told = max(_LEAST_TOLD, 1.0 - alone.rate * n_classes / (n_classes - 1))
    unsure = _SHARE_ERROR**2 + ((high - low) / _WIDTH / told) ** 2
    z = np.abs(shares - expected) / np.sqrt(expected * (1.0 - expected) / max(1, n_val) + unsure)
    return bool(2.0 * norm.sf(z.max()) * (len(shares) - 1) < _LEVEL)


def _not_random(
    alone: NoiseModel, weight: Array, verified: Array, shares: Array, expected: Array, n: int, known: NDArray[np.bool_]
) -> float:
    """P(not random)."""
    along = (shares - expected) / np.linalg.norm(shares - expected)
    others, own = alone.right[:n] @ along, alone.right[n:][known] @ along
    mean = float(np.average(others, weights=weight))
    of_class = alone.posterior[:n] * weight[:, None]
    means = of_class.T @ others / np.maximum(of_class.sum(axis=0), _SMALLEST)
    shift = float(shares @ means) - mean
    if shift <= 0.0:
        return 0.0
    error = float(np.sqrt(np.average((others - mean) ** 2, weights=weight) * (1.0 / len(own) + 1.0 / n))) / shift
    t = (float(own.mean()) - mean) / shift
    return float(expit((2.0 * t - 1.0) / (2.0 * error**2)))
