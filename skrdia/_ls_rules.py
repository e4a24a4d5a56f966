"""Rules of loss-based relabelling: what the loss of a mini-batch with wrong labels is.

With p_ik the probabilities of a net, y_i the given labels, tau the share of wrong ones, t the epoch, T_k the length of
the warm-up, and B the rows of a batch,

    rho(t) = 1 - min(t / T_k tau, tau)                     share of the rows taken for clean, those of smallest loss
    L(clean) = mean -log p_iy,   L(relabelled) = mean -log(1 - p_iy)                    (Lemma 2)
    loss = gamma L(relabelled) + (1 - gamma) L(clean)                                  (Algorithm 2, "paper")

A part without rows carries no weight: with tau = 0 "paper" is plain cross-entropy.

References: Kong, Shen, Huang, "Resolving training biases via influence-based data relabeling", ICLR 2022, appendix F
and G. Patrini et al., "Making deep neural networks robust to label noise", CVPR 2017 (forward). Jiang et al.,
"MentorNet", ICML 2018 (self-teaching). Han et al., "Co-teaching", NeurIPS 2018. Han et al., "SIGUA", ICML 2020. Zhang,
Sabuncu, "Generalized cross entropy loss", NeurIPS 2018.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import logsumexp
from torch import Tensor
from torch.nn import functional

__all__ = [
    "RULES",
    "Batch",
    "Judgement",
    "clean_share",
    "label_posterior",
    "relabelled_loss",
    "symmetric_channel",
    "symmetric_noise_rate",
]

_GCE_EXPONENT = 0.9
_CERTAIN = 0.7
"""Rows whose posterior has no label above this are left out by "posterior"."""

_MAX_LOG_POWER = 3.0
"""Bound of the logarithm of the power that sharpens what is remembered, and of that which flattens it."""

_SIGUA_SHARE = 0.01
"""Weight of the gradient ascent of "sigua"."""


def clean_share(epoch: int, warmup_epochs: int, noise_rate: float) -> float:
    """rho(t), the share of a batch taken for clean in an epoch, the first of which is 1."""
    if warmup_epochs == 0:
        return 1.0 - noise_rate
    return 1.0 - min(epoch / warmup_epochs * noise_rate, noise_rate)


@dataclass(frozen=True)
class Batch:
    """What a rule is given.

    `log_proba` (B, K) carries a gradient; `peer` is that of a second net, for "co-teaching"; `remembered` (B, K) holds
    the mean probabilities of the rows over former epochs.
    """

    log_proba: Tensor
    y: Tensor
    epoch: int
    warmup_epochs: int
    noise_rate: float
    gamma: float
    remembered: Tensor
    peer: Tensor | None = None

    @property
    def losses(self) -> Tensor:
        """Cross-entropy of the rows, (B,)."""
        return _nll(self.log_proba, self.y)

    @property
    def is_warm(self) -> bool:
        """Whether the warm-up is over."""
        return self.epoch > self.warmup_epochs

    @property
    def n_clean(self) -> int:
        """Number of the rows taken for clean: at least one."""
        share = clean_share(self.epoch, self.warmup_epochs, self.noise_rate)
        return max(1, math.ceil(share * len(self.y) - 1e-9))


class Judgement(NamedTuple):
    """The loss of a batch, and which of its rows are taken for clean, (B,)."""

    loss: Tensor
    clean: Tensor


def relabelled_loss(log_proba: Tensor, y: Tensor) -> Tensor:
    """-log(1 - p_y) of every row (B,), the loss of a relabelled row (Lemma 2)."""
    others = log_proba.scatter(1, y[:, None], -torch.inf)
    return -torch.logsumexp(others, dim=1)


def symmetric_channel(noise_rate: float, n_classes: int, like: Tensor) -> Tensor:
    """T (K, K): the given label is right with probability 1 - tau, else any other one alike."""
    off = noise_rate / (n_classes - 1)
    channel = torch.full((n_classes, n_classes), off, dtype=like.dtype, device=like.device)
    return channel.fill_diagonal_(1.0 - noise_rate)


def label_posterior(proba: Tensor, y: Tensor, noise_rate: float) -> Tensor:
    """Posterior (B, K) of the right label: what is predicted times how likely it was to become the given one."""
    joint = proba * symmetric_channel(noise_rate, proba.shape[1], proba)[:, y].T
    return joint / joint.sum(dim=1, keepdim=True).clamp(min=torch.finfo(joint.dtype).tiny)


def symmetric_noise_rate(proba: NDArray[np.float64], codes: NDArray[np.intp]) -> float:
    """Estimate tau of a symmetric channel by maximum likelihood.

    The given labels follow (1 - tau) q_iy + tau (1 - q_iy) / (K - 1), with q proportional to proba to the power of b,
    which is estimated with tau: probabilities remembered from the first epochs are too flat.

    Parameters
    ----------
    proba : array of shape (n, K)
        Probabilities of every row.
    codes : array of shape (n,)
        The given labels, 0 to K - 1.

    Returns
    -------
    rate : float
        From 0 to 1 - 1 / K, where labels are independent of the rows.
    """
    n_classes = proba.shape[1]
    log_proba = np.log(np.maximum(proba, np.finfo(np.float64).tiny))
    given = log_proba[np.arange(len(codes)), codes]

    def loss(parameters: NDArray[np.float64]) -> float:
        power, rate = np.exp(parameters[0]), parameters[1]
        right = np.exp(power * given - logsumexp(power * log_proba, axis=1))
        seen = (1.0 - rate) * right + rate * (1.0 - right) / (n_classes - 1)
        return float(-np.log(np.maximum(seen, np.finfo(np.float64).tiny)).mean())

    bounds = [(-_MAX_LOG_POWER, _MAX_LOG_POWER), (0.0, 1.0 - 1.0 / n_classes)]
    starts = ((0.0, share * bounds[1][1]) for share in (0.1, 0.6))
    best = min((minimize(loss, start, bounds=bounds, method="L-BFGS-B") for start in starts), key=lambda fit: fit.fun)
    return float(best.x[1])


def _nll(log_proba: Tensor, y: Tensor) -> Tensor:
    return functional.nll_loss(log_proba, y, reduction="none")


def _smallest(losses: Tensor, n_clean: int) -> Tensor:
    """A mask of the rows with the smallest losses."""
    clean = torch.zeros(len(losses), dtype=torch.bool, device=losses.device)
    clean[losses.detach().argsort(stable=True)[:n_clean]] = True
    return clean


def _weighed(gamma: float, relabelled: Tensor, clean: Tensor) -> Tensor:
    """gamma times the mean of the one plus 1 - gamma times that of the other, or the mean of the one that has rows."""
    if len(relabelled) == 0:
        return clean.mean()
    if len(clean) == 0:
        return relabelled.mean()
    return gamma * relabelled.mean() + (1.0 - gamma) * clean.mean()


def _cross_entropy(batch: Batch) -> Judgement:
    return Judgement(batch.losses.mean(), torch.ones_like(batch.y, dtype=torch.bool))


def _self_teaching(batch: Batch) -> Judgement:
    clean = _smallest(batch.losses, batch.n_clean)
    return Judgement(batch.losses[clean].mean(), clean)


def _co_teaching(batch: Batch) -> Judgement:
    """Each of two nets is trained on the rows of smallest loss of the other."""
    if batch.peer is None:
        raise ValueError("rule 'co-teaching' needs the output of a second net in batch.peer.")
    theirs = _nll(batch.peer, batch.y)
    clean = _smallest(batch.losses, batch.n_clean)
    loss = batch.losses[_smallest(theirs, batch.n_clean)].mean() + theirs[clean].mean()
    return Judgement(loss, clean)


def _sigua(batch: Batch) -> Judgement:
    """Descent on the rows taken for clean, and a little ascent on the others."""
    clean = _smallest(batch.losses, batch.n_clean)
    signs = torch.where(clean, 1.0, -_SIGUA_SHARE).to(batch.losses)
    return Judgement((signs * batch.losses).mean(), clean)


def _forward(batch: Batch) -> Judgement:
    """Cross-entropy of the given labels after a symmetric channel."""
    channel = symmetric_channel(batch.noise_rate, batch.log_proba.shape[1], batch.log_proba)
    seen = torch.logsumexp(batch.log_proba + channel.log()[:, batch.y].T, dim=1)
    return Judgement(-seen.mean(), torch.ones_like(batch.y, dtype=torch.bool))


def _paper(batch: Batch) -> Judgement:
    clean = _smallest(batch.losses, batch.n_clean)
    relabelled = relabelled_loss(batch.log_proba, batch.y)[~clean]
    return Judgement(_weighed(batch.gamma, relabelled, batch.losses[clean]), clean)


def _released(batch: Batch) -> Judgement:
    """What the authors' code does.

    Self-teaching in the warm-up. Then half of the rows that are not clean, those of largest loss, are left out; softmax
    is applied twice to the others' logits; gamma weighs the clean rows; and the mean relabelled loss is divided by the
    number of rows once more.
    """
    if not batch.is_warm:
        return _self_teaching(batch)
    n_rows = len(batch.y)
    order = batch.losses.detach().argsort(stable=True)
    clean = _smallest(batch.losses, batch.n_clean)
    middle = order[batch.n_clean : max(n_rows - int(batch.noise_rate / 2 * n_rows), batch.n_clean)]
    twice = functional.cross_entropy(batch.log_proba[clean].exp(), batch.y[clean])
    if len(middle) == 0:
        return Judgement(twice, clean)
    relabelled = relabelled_loss(batch.log_proba, batch.y)[middle].mean()
    return Judgement(batch.gamma * twice + (1.0 - batch.gamma) * relabelled / n_rows, clean)


def _posterior(batch: Batch) -> Judgement:
    """Ours: a robust loss in the warm-up, then the posterior of the right label given what is remembered of the row.

    The warm-up uses the generalised cross-entropy (1 - p_y^q) / q, where q rises in its first third: with a small q a
    net learns faster, right labels and wrong ones. Rows without a label of high posterior are left out.
    Relabelled are those whose most probable label is another than the given one; gamma = 0.5 weighs all rows alike.
    """
    if not batch.is_warm:
        exponent = _GCE_EXPONENT * min(1.0, 3.0 * batch.epoch / batch.warmup_epochs)
        loss = -torch.expm1(-exponent * batch.losses).mean() / exponent
        return Judgement(loss, _smallest(batch.losses, batch.n_clean))
    posterior = label_posterior(batch.remembered, batch.y, batch.noise_rate)
    certainty, label = posterior.max(dim=1)
    clean = label == batch.y
    weight = torch.where(clean, 2.0 - 2.0 * batch.gamma, 2.0 * batch.gamma).to(posterior) * (certainty > _CERTAIN)
    loss = -(weight * (posterior * batch.log_proba).sum(dim=1)).mean()
    return Judgement(loss, clean)


RULES: dict[str, Callable[[Batch], Judgement]] = {
    "posterior": _posterior,
    "paper": _paper,
    "released": _released,
    "cross-entropy": _cross_entropy,
    "forward": _forward,
    "self-teaching": _self_teaching,
    "co-teaching": _co_teaching,
    "sigua": _sigua,
}
