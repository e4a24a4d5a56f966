"""How many labels are wrong, and which: a model of the labels as they were given.

A model that was trained on wrong labels says with which probability q a row has the label it was *given*: q = T' p,
with p that of the right label, and T_kj the probability that a row of class k is given the label j. To take q for p is
to see uncertainty where there are errors. Here p is a combination of what M models said of rows they had not seen,

    s_mik = log q_mik - sum_j log q_mij / K                                                        (M, n, K)
    p_ik  = softmax_k (sum_m a_m s_mik + b_k)                                                      (n, K)
    E_ik  = sum_j T_kj given_ij, or 1 where it is not known which label the row was given          (n, K)
    L     = sum_i w_i log sum_k C_ik p_ik E_ik,     R_ik = C_ik p_ik E_ik / sum_j C_ij p_ij E_ij   (n, K)

where C_ik is 0 for the labels that a verified row does not have, and else 1. R is the posterior of the right label. The
gradients of L are sum_ik w_i (R - p)_ik s_mik for a_m, sum_i w_i (R - p)_ik for b_k, and N_kj / T_kj for T_kj, with the
counts N_kj = sum_i w_i R_ik given_ij.

Noise shows as a plateau: where p is near one, q stops at T_kk, whatever the slope a. For each mean share e of errors on
a grid, L is maximised over a, b and the shape of T,

    e_k = e K softmax(t)_k         1 - T_kk                 t_k ~ Cauchy(0.7): alike, or errors of one class alone
    T_kj = e_k softmax(u_k)_j      for j != k               u_kj ~ N(0, 1): mostly of all other classes alike
    log sum_m a_m ~ N(-log(1 - e K / (K - 1)), 1 / 4)       for q is flatter than p by that factor;   b_k ~ N(0, 1)

and all that is asked is averaged over the grid with weights pi(e) exp(L_e). The prior pi has a lump at e = 0.

A plateau of one label in a hundred is what data are like: outliers, and classes that are not told apart by the columns.
With f ~ Exp(mu) the share of such natural exceptions, and wrong labels either absent or as likely to be many as few,

    P(no label is wrong | e) = a / (a + 1 - exp(-E / mu)),        a = exp(-E / mu) / (2 mu),        E = max_k e_k

and that share of the weight is that of the labels as they are.

References: Menon, van Rooyen, Ong, Williamson, "Learning from corrupted binary labels via class-probability
estimation", ICML 2015, for q = T' p. Patrini et al., "Making deep neural networks robust to label noise: a loss
correction approach", CVPR 2017. Bootkrajang, Kaban, "Label-noise robust logistic regression and its applications",
ECML 2012. The priors were chosen on seven tables, and are reported on others in the user guide.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import ndtr, softmax

from skrdia._means import row_counts
from skrdia.views._base import Array

__all__ = ["NoiseModel", "fit_noise_model"]

_GRID = np.array(
    [
        *(0.0, 0.01, 0.02, 0.04, 0.07, 0.1, 0.14, 0.18, 0.22, 0.26, 0.3, 0.34, 0.38, 0.42, 0.46),
        *np.arange(0.5, 0.96, 0.05),
    ]
)
_NO_ERRORS = 0.05
"""Prior of e = 0."""
_NATURAL = 0.01
"""Mean mu of the share of natural exceptions."""
_TILT, _SPREAD, _SLOPE, _BIAS = 0.7, 1.0, 0.5, 1.0
"""Scale of t; standard deviations of u, log sum a, b."""
_LARGEST, _SMALLEST, _LEAST_RIGHT = 0.97, 1e-4, 1e-12
"""Largest e_k; smallest of the probabilities q whose logarithm is taken, and of p."""
_MAX_ROWS, _MAX_ITER, _NEGLIGIBLE = 4_000, 60, 1e-4
_MODEL_ERROR, _POINTS = 0.08, 2_001
"""Relative standard deviation of a rate, for what the model leaves out; points at which its distribution is known."""
_RULE_OF_THREE = 3.0
"""Wrong labels of which none may show, with a probability of 0.05."""


@dataclass(frozen=True, repr=False)
class NoiseModel:
    """What the model of the labels as given says of n rows and K classes.

    Parameters
    ----------
    posterior : array of shape (n, K)
        R, of the right label given the row and the label it came with.
    right : array of shape (n, K)
        p, of the right label given the row alone.
    channel : array of shape (K, K)
        T, rows are right labels and columns given ones; each row sums to one.
    rates : array of shape (1 + G,)
        Share of wrong labels among the rows that are not verified: zero, and that for each e of the grid.
    weights : array of shape (1 + G,)
        Posterior weights of these; they sum to one.
    fits : array of shape (G, P)
        The parameters at which the likelihood is largest for each e of the grid.
    """

    posterior: Array
    right: Array
    channel: Array
    rates: Array
    weights: Array
    fits: Array

    @property
    def rate(self) -> float:
        """Expected share of wrong labels."""
        return float(self.rates @ self.weights)

    @property
    def is_clean(self) -> float:
        """Probability that no label is wrong."""
        return float(self.weights[0])

    @property
    def is_likely(self) -> NDArray[np.bool_]:
        """Points (G,) of the grid that may count for nearly the same rows: zero, those that do, their neighbours."""
        counts = np.concatenate([[False], self.weights[1:] > _NEGLIGIBLE, [False]])
        near = counts[:-2] | counts[1:-1] | counts[2:]
        near[0] = True
        return np.asarray(near)

    @cached_property
    def interval(self) -> tuple[float, float]:
        """Shares of wrong labels that are exceeded with probability 0.95, and with 0.05.

        Each rate has an error of its own, since no model is right: relative standard deviation 0.08.
        """
        at = np.linspace(0.0, 1.0, _POINTS)
        spread = np.hypot(
            _MODEL_ERROR * self.rates, np.gradient(np.append(self.rates[1:], 1.0)).clip(0.0) / np.sqrt(12.0)
        )
        below = (self.rates[:, None] == 0.0) | (self.rates[:, None] < at)
        known = spread[:, None] > 0.0
        with np.errstate(divide="ignore", invalid="ignore"):
            cdf = np.where(known, ndtr((at - self.rates[:, None]) / spread[:, None]), below)
        total = self.weights @ np.where(self.rates[:, None] == 0.0, 1.0, cdf)
        low, high = (float(at[min(int(np.searchsorted(total, share)), _POINTS - 1)]) for share in (0.05, 0.95))
        return low, max(high, _RULE_OF_THREE / len(self.posterior))


def fit_noise_model(
    proba: Array,
    given: Array,
    weight: Array,
    allowed: NDArray[np.bool_] | None = None,
    seed: int = 0,
    like: NoiseModel | None = None,
) -> NoiseModel:
    """Fit the model to probabilities by models that had not seen the rows.

    Parameters
    ----------
    proba : array of shape (M, n, K)
        q, of M models.
    given : array of shape (n, K)
        One in the column of the label each row came with; a row of zeros where that is not known.
    weight : array of shape (n,)
        Weights of the rows.
    allowed : array of shape (n, K), default=None
        C: False for the labels that a verified row does not have. None: no row is verified.
    seed : int, default=0
        Of the sample of rows that the parameters are fitted to where there are more than 4,000.
    like : NoiseModel, default=None
        A fit of the same models to much the same rows, to start at. Of the grid, what is unlikely by it is left out.

    Returns
    -------
    NoiseModel
    """
    everything = np.ones(given.shape, dtype=bool) if allowed is None else allowed
    every = _Likelihood(_centred(proba), given, weight, everything)
    own = every.sample(_MAX_ROWS, np.random.RandomState(seed)) if len(given) > _MAX_ROWS else every
    n_classes = given.shape[1]
    grid = _GRID[0.95 * (1.0 - 1.0 / n_classes) > _GRID]
    values = np.full(len(grid), -np.inf)
    if like is None:
        fits, params = np.empty((len(grid), len(own.start))), own.maximise(0.0, own.start)[1]
        for i, error in enumerate(grid):
            values[i], params = own.maximise(error, params)
            fits[i] = params
    else:
        fits = like.fits.copy()
        for point in np.flatnonzero(like.is_likely):
            values[point], fits[point] = own.maximise(grid[point], fits[point])
    return _average(every, grid, fits, softmax(values + _log_prior(grid)))


def _average(every: _Likelihood, grid: Array, fits: Array, weights: Array) -> NoiseModel:
    n_classes = every.given.shape[1]
    is_open = np.asarray(every.given.any(axis=1) & every.allowed.all(axis=1))
    counted = is_open & (every.weight > 0.0)
    posterior, right = np.zeros(every.given.shape), np.zeros(every.given.shape)
    channel, rates, absent = np.zeros((n_classes, n_classes)), np.zeros(len(grid)), np.zeros(len(grid))
    for i, error in enumerate(grid):
        own, p, T = every.posterior(error, fits[i])
        rates[i] = 1.0 - (own * every.given)[counted].sum() / max(1, np.count_nonzero(counted))
        absent[i] = _share_without_errors(float(1.0 - T.diagonal().min()))
        if weights[i] > _NEGLIGIBLE:
            as_given = np.where(is_open[:, None], every.given, own)
            posterior += weights[i] * (absent[i] * as_given + (1.0 - absent[i]) * own)
            right += weights[i] * p
            channel += weights[i] * (absent[i] * np.eye(n_classes) + (1.0 - absent[i]) * T)
    for total in (posterior, right, channel):
        total /= total.sum(axis=1, keepdims=True)
    of_rates = np.append(weights @ absent, weights * (1.0 - absent))
    return NoiseModel(posterior, right, channel, np.append(0.0, rates), of_rates, fits)


def _log_prior(grid: Array) -> Array:
    """Log weights of the points of the grid: uniform, but for the lump at zero."""
    width = np.gradient(grid)
    prior = (1.0 - _NO_ERRORS) * width / width.sum()
    prior[0] = _NO_ERRORS
    return np.log(prior)


def _share_without_errors(error: float) -> float:
    """P(no label is wrong | e), for the largest error of a class."""
    if error == 0.0:
        return 1.0
    lump = np.exp(-error / _NATURAL) / (2.0 * _NATURAL)
    return float(lump / (lump + 1.0 - np.exp(-error / _NATURAL)))


def _centred(proba: Array) -> Array:
    logs = np.log(np.maximum(proba, _SMALLEST))
    return logs - logs.mean(axis=2, keepdims=True)


@dataclass(frozen=True)
class _Likelihood:
    """L and its gradient for the parameters (a, b, t, u), in one vector, at a mean share of errors."""

    scores: Array
    given: Array
    weight: Array
    allowed: NDArray[np.bool_]

    @property
    def start(self) -> Array:
        """The mean of the models, and errors of all classes alike."""
        n_models, _, n_classes = self.scores.shape
        return np.concatenate([np.full(n_models, 1.0 / n_models), np.zeros(n_classes * (n_classes + 1))])

    def sample(self, n_rows: int, rng: np.random.RandomState) -> _Likelihood:
        rows = np.sort(rng.permutation(len(self.given))[:n_rows])
        return _Likelihood(self.scores[:, rows], self.given[rows], self.weight[rows], self.allowed[rows])

    def maximise(self, error: float, start: Array) -> tuple[float, Array]:
        """The largest value in nats, and the parameters."""
        total, n_models = float(np.count_nonzero(self.weight)), len(self.scores)
        bounds = [(1e-6, None)] * n_models + [(None, None)] * (len(start) - n_models)

        def loss(params: Array) -> tuple[float, Array]:
            value, gradient = self.value(params, error)
            return -value / total, -gradient / total

        found = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds, options={"maxiter": _MAX_ITER})
        return -float(found.fun) * total, found.x

    def posterior(self, error: float, params: Array) -> tuple[Array, Array, Array]:
        """R (n, K), p (n, K) and T (K, K)."""
        right, (channel, _, _, _) = self._right(params), self._channel(params, error)
        joint = right * self._emission(channel) * self.allowed
        total = np.maximum(joint.sum(axis=1, keepdims=True), np.finfo(np.float64).tiny)
        return joint / total, right, channel

    def value(self, params: Array, error: float) -> tuple[float, Array]:
        """L with the logarithm of the prior, and its gradient."""
        n_classes = self.given.shape[1]
        slopes, bias, tilt, spread = self._parts(params)
        channel, share, errors, shape = self._channel(params, error)
        right = self._right(params)
        joint = right * self._emission(channel) * self.allowed
        likelihood = joint.sum(axis=1)
        posterior = joint / likelihood[:, None]
        weight = self._weight
        value = float(weight @ np.log(likelihood))
        change = (posterior - right) * weight[:, None]
        counts = (posterior * weight[:, None]).T @ self.given
        steep = np.log(slopes.sum()) + np.log(max(0.15, 1.0 - error * n_classes / (n_classes - 1)))
        value -= 0.5 * ((steep / _SLOPE) ** 2 + (bias @ bias) / _BIAS**2) + np.log1p((tilt / _TILT) ** 2).sum()
        value -= 0.5 * (spread * spread).sum() / _SPREAD**2
        off = counts - np.diag(np.diag(counts))
        by_error = np.zeros(n_classes)
        if error > 0.0:
            by_error = off.sum(axis=1) - np.diag(counts) * errors / (1.0 - errors)
            by_error[errors >= _LARGEST] = 0.0
        by_shape = off - shape * off.sum(axis=1, keepdims=True) if error > 0.0 else np.zeros_like(off)
        gradient = np.concatenate(
            [
                np.tensordot(self.scores, change, axes=2) - steep / _SLOPE**2 / slopes.sum(),
                change.sum(axis=0) - bias / _BIAS**2,
                by_error - share * by_error.sum() - 2.0 * tilt / (_TILT**2 + tilt**2),
                (by_shape - spread / _SPREAD**2)[~np.eye(n_classes, dtype=bool)],
            ]
        )
        return value, gradient

    @cached_property
    def _weight(self) -> Array:
        """Weights that sum to the number of rows of positive weight."""
        return row_counts(self.weight)

    @cached_property
    def _is_unknown(self) -> Array:
        return 1.0 - self.given.sum(axis=1, keepdims=True)

    def _emission(self, channel: Array) -> Array:
        """E, a little more than zero where a label cannot have been given: a pair may say otherwise."""
        return np.maximum(self.given @ channel.T, _SMALLEST**2) + self._is_unknown

    def _right(self, params: Array) -> Array:
        slopes, bias, _, _ = self._parts(params)
        return np.maximum(softmax(np.tensordot(slopes, self.scores, axes=1) + bias, axis=1), _LEAST_RIGHT)

    def _parts(self, params: Array) -> tuple[Array, Array, Array, Array]:
        """a (M,), b (K,), t (K,), and u (K, K), of which the diagonal is zero."""
        n_models, _, n_classes = self.scores.shape
        spread = np.zeros((n_classes, n_classes))
        spread[~np.eye(n_classes, dtype=bool)] = params[n_models + 2 * n_classes :]
        ends = n_models, n_models + n_classes, n_models + 2 * n_classes
        return params[: ends[0]], params[ends[0] : ends[1]], params[ends[1] : ends[2]], spread

    def _channel(self, params: Array, error: float) -> tuple[Array, Array, Array, Array]:
        """T (K, K); softmax(t) (K,); e_k (K,); softmax(u_k)_j (K, K), of which the diagonal is zero."""
        _, _, tilt, spread = self._parts(params)
        n_classes = len(tilt)
        share = softmax(tilt)
        errors = np.minimum(error * n_classes * share, _LARGEST)
        logits = spread.copy()
        np.fill_diagonal(logits, -np.inf)
        shape = softmax(logits, axis=1)
        return np.diag(1.0 - errors) + errors[:, None] * shape, share, errors, shape
