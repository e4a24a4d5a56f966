"""Step II: how bad every label of every row is; high = bad.

A signal is a function ``signal(evidence) -> by_label`` of the `Evidence` on n training rows: an array (n, K) that says
of each label how bad it would be on each row, or an array (n,) for the labels as they are. A row's score is the entry
of its own label. Rows with a score above `alpha` are harmful, so `alpha` is in the signal's own unit; "relabel" gives
them the label of the lowest entry. `score` and `rank_rows` apply signals to an estimator that is fitted already.

With g_ik the gradient of the loss of row i with label k, H the mean Hessian, and q_ik a probability of label k:

    influence              phi_ik               nats of validation loss, times n; see `skrdia.influence`
    self-influence         g_ik . H^-1 g_ik     nats of the row's own loss, times n
    confidence             1 - q_ik             q by models that never saw row i: other folds and the trusted rows
    margin                 max_l q_il - q_ik    l another label than k
    trusted-confidence     1 - q_ik             q by a model of the trusted rows alone
    posterior              1 - R_ik             R the posterior of the right label by a noise model, q from confidence
    stacked-posterior      1 - R_ik             the same with a shrunken noise model, q from several detectors
    trusted-posterior      1 - R_ik             the same as posterior, q from trusted-confidence
    noise-model            1 - R_ik             R by the model of the labels as given, see below
    calibrated-posterior   1 - R_ik             q of the labels as given, calibrated on trusted rows
    paired-posterior       1 - R_ik             the same, which knows with which labels trusted rows came
    isolation              D_others / D_all     for anomalies: distances in two metrics, see `isolation`

and the others by the formulas of `skrdia.signals._influences`.

Influence asks what a label does to the loss on the trusted rows, which shows systematic errors and shifted data;
self-influence, confidence and the posteriors whether a label is right. Confidence needs no trusted rows, but a
systematic error fools every model trained on it. The posteriors weigh what a model expects of a row against the label
it came with and how often, by their own estimate, labels of each class are wrong; "posterior" is computed twice, the
second time with q out of fold from models trained on the first. "noise-model" knows that such models give the
probability of the label as given, and finds that of the right one (`skrdia._noise_model`).

`Evidence` has the arrays ``influences``, ``confidence``, ``trusted_confidence``, ``posterior``, ``trusted_posterior``,
``stacked_posterior``, ``isolation`` and ``trusted_isolation``, each computed when asked for; ``kernel``, the inner
products of gradients; and ``X``, ``targets``, ``given``, ``weight``, ``classes``, ``X_val`` and ``targets_val``.
"""

from __future__ import annotations

from skrdia.signals._influences import (
    average_absolute_influence,
    cnci,
    gd_class,
    influence,
    influence_margin,
    isolation,
    leave_one_out,
    leave_one_out_step,
    marginal_influence,
    pcid,
    self_influence,
    self_influence_loo,
    trusted_isolation,
)
from skrdia.signals._labels import (
    calibrated_posterior,
    confidence,
    margin,
    noise_model,
    paired_posterior,
    posterior,
    stacked_posterior,
    trusted_confidence,
    trusted_posterior,
)
from skrdia.signals._score import rank_rows, score
from skrdia.signals._table import SIGNALS

__all__ = [
    "SIGNALS",
    "average_absolute_influence",
    "calibrated_posterior",
    "cnci",
    "confidence",
    "gd_class",
    "influence",
    "influence_margin",
    "isolation",
    "leave_one_out",
    "leave_one_out_step",
    "margin",
    "marginal_influence",
    "noise_model",
    "paired_posterior",
    "pcid",
    "posterior",
    "rank_rows",
    "score",
    "self_influence",
    "self_influence_loo",
    "stacked_posterior",
    "trusted_confidence",
    "trusted_isolation",
    "trusted_posterior",
]
