"""Inner products of gradients under the inverse curvature: what the signals of influence are made of.

With g_ik = -grad log p_ik (p,) the gradient of the loss of row i with label k, A = H^-1 (p, p) the inverse of the mean
Hessian, and u_i = w_i / n the share of the weight that row i had in training,

    <g_ik, g_jl> = g_ik . A g_jl

    M_ji   = -<g_im, g_jm>              (n_val, n)   influence of row i, as labelled, on the loss of validation row j
    s_ik   = <g_ik, g_ik>               (n, K)       self-influence
    phi_ik = -<g_ik, grad Lv>           (n, K)       influence on the mean validation loss

all in nats. Without row i, the mean Hessian is H - u_i C_i, C_i its own part, whose rank is below K. With q logits z
that are linear in the parameters, J_i (q, p) their Jacobian, C_i = J_i' c_i J_i, t_ik (q,) the gradient of log p_ik in
z and V_i = J_i A J_i' (q, q) the covariance of z for parameters of covariance A, Woodbury's identity gives

    s_ik                                    = t_ik . V_i t_ik
    s_ik with the Hessian that lacks row i  = t_ik . V_i (1 - u_i c_i V_i)^-1 t_ik
    phi_ik likewise                         = dz_i . (1 - u_i c_i V_i)^-1 t_ik,      dz_i = J_i A grad Lv

For two classes u c V is the leverage h of the row, and the correction is the factor 1 / (1 - h). Nothing here is of
shape (n, p), and V_i comes from one product of the rows with A.

Where p is too large for A, it is estimated from m random vectors. With D the diagonal of H and e_r random signs, the
diagonal of V_i, which is all of it where the logits share no parameters, is

    V_i ~ J_i D^-1 J_i' + 1/m sum_r (J_i (H^-1 D^1/2 e_r - D^-1/2 e_r)) (J_i D^-1/2 e_r)

on average, with a noise that vanishes as H becomes diagonal; the relative changes by the second term are shrunk towards
their mean over the rows by empirical Bayes. Where the logits are not linear in the parameters, or a change of all of
them changes no probability, z_r = H^-1 b_r is drawn with covariance A, from b_r of covariance H, and

    V_i ~ 1/m sum_r d_r d_r',    d_r = jvp(z_r)_i (K,),    c_i = diag(p_i),    t_ik = e_k

in the log-probabilities. The relative standard error of s_ik is then the root of 2 / m: 18 % for the 64 draws here.

TracIn replaces A by eta_c times the identity, and sums over checkpoints c, see `skrdia.tracin`.

References: Koh, Liang, "Understanding black-box predictions via influence functions", ICML 2017. Pregibon, "Logistic
regression diagnostics", Annals of Statistics 9, 1981 (the one-step correction). Pruthi et al., "Estimating training
data influence by tracing gradient descent", NeurIPS 2020 (self-influence).
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import check_random_state, gen_batches

from skrdia._influence import diagnose, linearize, loss_gradients, of_all_labels, softened, solver_of, training
from skrdia.curvature import Curvature
from skrdia.solvers import Factor, newton_cg
from skrdia.views import Linearization, View
from skrdia.views._base import Array

__all__ = ["BLOCK_NUMBERS", "Identity", "Inverse", "Kernel", "Newton", "Term", "inner", "newton_term"]

_DENSE_MAX = 8192
"""Most parameters for which "newton-cg" is replaced by a factorisation where many solves are needed."""

_N_DRAWS, _N_LINEAR_DRAWS = 64, 16
"""Random vectors for nets, and for linear models."""

_DRAW_RTOL, _SMALLEST_RATIO = 0.05, 0.1
"""Relative residual of their solves, and the least that they may leave of the first estimate for linear models."""

BLOCK_NUMBERS = 2**24
"""Numbers in a block of gradients or of influences."""


class Local(NamedTuple):
    """V (n, q, q), c (n, q, q) and t (n, K, q) of every row, in logits or else in log-probabilities."""

    V: Array
    c: Array
    t: Array
    in_logits: bool


class Inverse(Protocol):
    """The inverse curvature A (p, p) of a term."""

    leaves_out: bool
    """Whether A is the inverse of a sum over rows, of which one can be left out."""

    def solve(self, V: Array) -> Array:
        """A times the columns of V (p, m)."""

    def covariance(self, rows: Any) -> Array | None:
        """V (n, q, q) for rows whose logits are linear in the parameters, where it is better had than by draws."""

    def draw(self, rng: np.random.RandomState) -> Array:
        """Parameters (p,) of covariance A."""


class Identity:
    """A multiple of the identity, of p parameters."""

    leaves_out = False

    def __init__(self, p: int, rate: float = 1.0) -> None:
        self._p, self._rate = p, rate

    def solve(self, V: Array) -> Array:
        return self._rate * V

    def covariance(self, rows: Any) -> Array:
        return rows.logit_covariance(np.full(self._p, self._rate))

    def draw(self, rng: np.random.RandomState) -> Array:
        return np.sqrt(self._rate) * rng.choice([-1.0, 1.0], size=self._p)


class Newton:
    """The inverse of the curvature of the mean training objective.

    Parameters
    ----------
    H : Curvature
        Of the training rows.
    gradient : array of shape (p,)
        Of the mean training objective, for the warning that the estimator is far from its optimum.
    hessian : str or callable
        See `skrdia.solvers`. Where H has a closed form of few parameters, "newton-cg" is a factorisation.
    random_state : int, RandomState or None
        For "lissa".
    """

    leaves_out = True

    def __init__(self, H: Curvature, gradient: Array, hessian: Any, random_state: Any) -> None:
        self._H, self._gradient, self._hessian, self._random_state = H, gradient, hessian, random_state
        self._is_dense = hessian == "direct" or (hessian == "newton-cg" and H.has_dense and len(gradient) <= _DENSE_MAX)
        self._has_warned = False

    def solve(self, V: Array) -> Array:
        if self._is_dense:
            solutions, info = self._factor.solve(V)
        else:
            solutions, info = solver_of(self._hessian)(self._H, V, random_state=self._random_state)
        if not self._has_warned:
            diagnose(self._H, self._hessian, info, self._gradient)
            self._has_warned = True
        return solutions

    def covariance(self, rows: Any) -> Array | None:
        if self._is_dense:
            return rows.logit_covariance(self._factor.inverse())
        if self._hessian != "newton-cg" or rows.is_singular:
            return None
        root, rng = np.sqrt(self._H.diagonal()), check_random_state(0)
        inverse = np.divide(1.0, root, out=np.zeros_like(root), where=root > 0.0)
        first = rows.logit_covariance(inverse**2).diagonal(axis1=1, axis2=2)
        total, squares = np.zeros((2, *first.shape))
        for _ in range(_N_LINEAR_DRAWS):
            signs = rng.choice([-1.0, 1.0], size=len(root))
            start = inverse * signs
            a, _ = newton_cg(self._H, root * signs, rtol=_DRAW_RTOL)
            change = rows.logit_jvp(a - start) * rows.logit_jvp(start)
            change = np.divide(change, first, out=np.zeros_like(first), where=first > 0.0)
            total += change
            squares += change**2
        ratio = np.maximum(1.0 + _shrunk(total / _N_LINEAR_DRAWS, squares / _N_LINEAR_DRAWS), _SMALLEST_RATIO)
        return (first * ratio)[:, :, None] * np.eye(first.shape[1])

    def draw(self, rng: np.random.RandomState) -> Array:
        noise = self._H.noise(rng)
        if self._hessian == "newton-cg" and not self._is_dense:
            return newton_cg(self._H, noise, rtol=_DRAW_RTOL)[0]
        return self.solve(noise[:, None])[:, 0]

    @cached_property
    def _factor(self) -> Factor:
        return Factor(self._H)


class Term:
    """The rows to score at one set of parameters, and the inverse curvature there.

    Parameters
    ----------
    view : View
        Of the estimator with these parameters.
    rows : Linearization
        Of n rows, softened.
    inverse : Inverse
        A.
    share : array of shape (n,), default=None
        Share u of every row in the weight that was trained on; None for rows that were not.
    """

    def __init__(self, view: View, rows: Linearization, inverse: Inverse, share: Array | None = None) -> None:
        self.view, self.inverse = view, inverse
        self.rows: Any = rows
        self.share = np.zeros(len(rows.log_proba)) if share is None else share

    @cached_property
    def local(self) -> Local:
        """The covariance of the logits of every row, and what else its self-influence takes."""
        n, K = self.rows.log_proba.shape
        known = self.inverse.covariance(self.rows) if hasattr(self.rows, "logit_covariance") else None
        if known is not None:
            labels = np.broadcast_to(np.eye(K)[:, None], (K, n, K))
            t = np.stack([self.rows.logit_cotangent(R) for R in labels], axis=1)
            return Local(known, self.rows.logit_curvature(), t, in_logits=True)
        rng, V = check_random_state(0), np.zeros((n, K, K))
        for _ in range(_N_DRAWS):
            d = self.rows.jvp(self.inverse.draw(rng))
            V += d[:, :, None] * d[:, None, :] / _N_DRAWS
        c, t = np.exp(self.rows.log_proba)[:, :, None] * np.eye(K), np.broadcast_to(np.eye(K), (n, K, K))
        return Local(V, c, t, in_logits=False)

    def logit_change(self, s: Array) -> Array:
        """dz (n, q) in the direction s."""
        return self.rows.logit_jvp(s) if self.local.in_logits else self.rows.jvp(s)

    def correction(self) -> Array:
        """(1 - u c V)^-1 of every row, (n, q, q)."""
        if not self.inverse.leaves_out:
            raise ValueError(
                "This signal leaves a row out of the Hessian, and there is none with hessian='tracin' or 'identity'. "
                "Use another hessian, or the signal 'self-influence'."
            )
        V, c, *_ = self.local
        return np.asarray(np.linalg.inv(np.eye(V.shape[1]) - self.share[:, None, None] * (c @ V)), dtype=np.float64)


def newton_term(
    view: View, X: Any, targets: Array, hessian: Any, random_state: Any = None, *, n_trained: int = 0, X_new: Any = None
) -> Term:
    """The term of a fitted estimator: its training rows, or new ones of no share in the training."""
    train, H, gradient = training(view, linearize(view, X, "X"), targets, n_trained or int(np.count_nonzero(targets)))
    if hessian == "identity":
        inverse: Inverse = Identity(len(gradient))
    else:
        inverse = Newton(H, gradient, hessian, random_state)
    return Term(view, train, inverse, H.share) if X_new is None else Term(view, softened(view, X_new, "X"), inverse)


class Kernel:
    """The inner products of n rows with themselves and with validation rows, summed over terms.

    Parameters
    ----------
    terms : list of Term
        One, or one for each checkpoint of TracIn.
    X_val : array-like of shape (n_val, n_features), or None
        Validation rows.
    targets_val : array of shape (n_val, K), or None
        Their targets.
    known : array of shape (K,), or None
        Which of the labels the terms know; None for all.
    """

    def __init__(
        self,
        terms: list[Term],
        X_val: Any = None,
        targets_val: Array | None = None,
        known: NDArray[np.bool_] | None = None,
    ) -> None:
        self.terms = terms
        self._known = np.ones(terms[0].rows.log_proba.shape[1], dtype=bool) if known is None else known
        self._X_val = X_val
        self._targets_val = targets_val

    @property
    def targets_val(self) -> Array:
        """Targets of the validation rows, (n_val, K), without those of labels that the terms do not know."""
        if self._targets_val is None:
            raise ValueError(
                "X_val, y_val: this signal judges rows by validation rows, of which there are none. Pass some, or use "
                "a signal that needs none, such as 'self-influence' or 'posterior'."
            )
        return self._targets_val * self._known

    @cached_property
    def judges(self) -> list[Linearization]:
        """The validation rows at the parameters of every term."""
        assert self.targets_val is not None
        return [softened(term.view, self._X_val, "X_val") for term in self.terms]

    def self_influence(self, *, leave_out: bool = False) -> Array:
        """s (n, K); with `leave_out`, by the Hessian without the row."""
        total: Any = 0.0
        for term in self.terms:
            V, _, t, _ = term.local
            V = V @ term.correction() if leave_out else V
            total = total + np.einsum("nkq,nqr,nkr->nk", t, V, t, optimize=True)
        return of_all_labels(total, self._known)

    def influences(self, R: Array | None = None, *, leave_out: bool = False) -> Array:
        """phi (n, K) for the validation functional ``-(R * log_proba).sum()``, R (n_val, K); `leave_out` as above.

        R is by default that of the mean validation loss.
        """
        own = (self.targets_val if R is None else R)[:, self._known]
        R = own / own.sum() if R is None else own
        total: Any = 0.0
        for term, val in zip(self.terms, self.judges, strict=True):
            s = term.inverse.solve(-val.vjp(R)[:, None])[:, 0]
            if leave_out:
                dz, t = term.logit_change(s), term.local.t
                total = total + np.einsum("nq,nqr,nkr->nk", dz, term.correction(), t, optimize=True)
            else:
                total = total + term.rows.jvp(s)
        return of_all_labels(total, self._known)

    def matrix(self, given: Array, *, last: bool = False, out: Array | None = None) -> Iterator[tuple[slice, Array]]:
        """Blocks of M: validation rows, and their (B, n) influences; `given` (n, K) holds the labels that are meant.

        With `last`, of the last term alone. `out` (n_val, n) is where the blocks are computed.
        """
        terms = list(zip(self.terms, self.judges, strict=True))[-1 if last else 0 :]
        targets_val, given = self.targets_val[:, self._known], given[:, self._known]
        size = max(len(given), len(self.terms[0].view.theta))
        for block in gen_batches(len(self.targets_val), max(1, BLOCK_NUMBERS // size)):
            total = np.empty((block.stop - block.start, len(given))) if out is None else out[block]
            for i, (term, val) in enumerate(terms):
                gradients = loss_gradients(val, targets_val, np.arange(block.start, block.stop))
                solutions = term.inverse.solve(gradients.T)
                if i == 0:
                    inner(term.rows, solutions, given, out=total)
                else:
                    total += inner(term.rows, solutions, given)
            yield block, total


def inner(at: Any, V: Array, R: Array, out: Array | None = None) -> Array:
    """``(R * jvp(v)).sum(axis=1)`` for the m columns v of V (p, m), an array (m, n)."""
    if hasattr(at, "inner"):
        return at.inner(V, R, out)
    out = np.empty((V.shape[1], len(R))) if out is None else out
    for one, v in zip(out, V.T, strict=True):
        np.einsum("nk,nk->n", R, at.jvp(v), out=one)
    return out


def _shrunk(mean: Array, mean_square: Array) -> Array:
    """Means (n, q) of m draws, shrunk towards their average over n by empirical Bayes."""
    noise = (mean_square - mean**2) / (_N_LINEAR_DRAWS - 1)
    centre = mean.mean(axis=0)
    spread = np.maximum(mean.var(axis=0) - noise.mean(axis=0), 0.0)
    return centre + (mean - centre) * spread / np.maximum(spread + noise, np.finfo(np.float64).tiny)
