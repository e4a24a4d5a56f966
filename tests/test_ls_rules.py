"""The losses of loss-based relabelling, against hand-computed values and automatic differentiation."""

from __future__ import annotations

import math

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")

from skrdia._ls_rules import (  # noqa: E402
    RULES,
    Batch,
    clean_share,
    label_posterior,
    relabelled_loss,
    symmetric_channel,
    symmetric_noise_rate,
)

PROBA = torch.tensor([[0.7, 0.2, 0.1], [0.1, 0.6, 0.3], [0.3, 0.3, 0.4], [0.05, 0.05, 0.9]], dtype=torch.float64)
Y = torch.tensor([0, 1, 0, 1])  # losses -log 0.7, 0.6, 0.3, 0.05


def batch(**changes):
    values = {
        "log_proba": PROBA.log().requires_grad_(),
        "y": Y,
        "epoch": 20,
        "warmup_epochs": 10,
        "noise_rate": 0.5,
        "gamma": 0.3,
        "remembered": PROBA,
    }
    return Batch(**(values | changes))


@pytest.mark.parametrize(("epoch", "share"), [(1, 0.96), (5, 0.8), (10, 0.6), (11, 0.6), (200, 0.6)])
def test_the_share_taken_for_clean_falls_linearly_to_one_minus_tau(epoch, share):
    assert clean_share(epoch, 10, 0.4) == pytest.approx(share)


def test_without_a_warm_up_the_share_is_one_minus_tau_at_once():
    assert clean_share(1, 0, 0.4) == pytest.approx(0.6)


def test_paper_by_hand():
    loss, clean = RULES["paper"](batch())
    assert clean.tolist() == [True, True, False, False]
    relabelled = -(math.log(1 - 0.3) + math.log(1 - 0.05)) / 2
    assert loss.item() == pytest.approx(0.3 * relabelled - 0.7 * (math.log(0.7) + math.log(0.6)) / 2)


def test_the_peers_by_hand():
    losses = [-math.log(p) for p in (0.7, 0.6, 0.3, 0.05)]
    assert RULES["cross-entropy"](batch()).loss.item() == pytest.approx(sum(losses) / 4)
    assert RULES["self-teaching"](batch()).loss.item() == pytest.approx((losses[0] + losses[1]) / 2)
    ascent = losses[0] + losses[1] - 0.01 * (losses[2] + losses[3])
    assert RULES["sigua"](batch()).loss.item() == pytest.approx(ascent / 4)
    seen = [0.5 * p + 0.25 * (1 - p) for p in (0.7, 0.6, 0.3, 0.05)]
    assert RULES["forward"](batch()).loss.item() == pytest.approx(-sum(map(math.log, seen)) / 4)


def test_co_teaching_trains_each_net_on_the_rows_of_the_other():
    peer = PROBA.flip(0).log().requires_grad_()  # -log 0.05, 0.3, 0.1, 0.2: rows 1 and 3
    mine = batch(peer=peer)
    loss, clean = RULES["co-teaching"](mine)
    assert clean.tolist() == [True, True, False, False]
    expected = -(math.log(0.6) + math.log(0.05)) / 2 - (math.log(0.05) + math.log(0.3)) / 2
    assert loss.item() == pytest.approx(expected)
    loss.backward()
    assert mine.log_proba.grad[[0, 2]].abs().sum() == 0
    with pytest.raises(ValueError, match="second net"):
        RULES["co-teaching"](batch())


def test_released_by_hand():
    loss, clean = RULES["released"](batch(gamma=0.2))
    assert clean.tolist() == [True, True, False, False]
    twice = [math.exp(row[k]) / np.exp(row).sum() for row, k in ((PROBA[0].numpy(), 0), (PROBA[1].numpy(), 1))]
    positive = -(math.log(twice[0]) + math.log(twice[1])) / 2
    assert loss.item() == pytest.approx(0.2 * positive - 0.8 * math.log(1 - 0.3) / 4)  # the last row is left out
    early = batch(epoch=5)
    assert RULES["released"](early).loss.item() == RULES["self-teaching"](early).loss.item()


def test_posterior_by_hand():
    robust = sum((1 - p**0.9) / 0.9 for p in (0.7, 0.6, 0.3, 0.05)) / 4
    assert RULES["posterior"](batch(epoch=10)).loss.item() == pytest.approx(robust)
    posterior = label_posterior(PROBA, Y, 0.5)
    np.testing.assert_allclose(posterior[0], np.array([0.35, 0.05, 0.025]) / 0.425)
    loss, clean = RULES["posterior"](batch())
    assert clean.tolist() == [True, True, True, False]
    rows = -(posterior * PROBA.log()).sum(dim=1)
    certain = (posterior.max(dim=1).values > 0.7).tolist()
    assert certain == [True, True, False, True]
    weights = torch.tensor([1.4, 1.4, 1.4, 0.6]) * torch.tensor(certain)
    assert loss.item() == pytest.approx(((weights * rows).sum() / 4).item())


def test_a_relabelled_row_has_the_gradient_of_the_soft_target_of_lemma_2():
    """For two classes, where it is a flip."""
    logits = torch.randn(6, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0)).requires_grad_()
    y = torch.tensor([0, 1, 0, 1, 0, 1])
    (ours,) = torch.autograd.grad(relabelled_loss(torch.log_softmax(logits, 1), y).sum(), logits)
    (flipped,) = torch.autograd.grad(torch.nn.functional.cross_entropy(logits, 1 - y, reduction="sum"), logits)
    torch.testing.assert_close(ours, flipped)


def test_a_relabelled_row_has_the_gradient_of_a_soft_target_and_the_value_of_eq_12():
    """The soft target p_k / (1 - p_m), k != m, held fixed, has the gradient, and that of Eq. 12 the value."""
    generator = torch.Generator().manual_seed(1)
    logits = torch.randn(5, 4, dtype=torch.float64, generator=generator).requires_grad_()
    y = torch.tensor([0, 1, 2, 3, 0])
    log_proba = torch.log_softmax(logits, 1)
    (ours,) = torch.autograd.grad(relabelled_loss(log_proba, y).sum(), logits, retain_graph=True)
    target = log_proba.detach().exp().scatter(1, y[:, None], 0.0)
    target = target / target.sum(dim=1, keepdim=True)
    (soft,) = torch.autograd.grad(torch.nn.functional.cross_entropy(logits, target, reduction="sum"), logits)
    torch.testing.assert_close(ours, soft)
    eq_12 = torch.log1p(-log_proba.detach().exp().gather(1, y[:, None])) / (3 * log_proba.detach())
    eq_12 = eq_12.scatter(1, y[:, None], 0.0)
    value = -(eq_12 * log_proba).sum(dim=1)
    torch.testing.assert_close(value, relabelled_loss(log_proba, y))


def test_a_certain_net_has_a_finite_relabelled_loss():
    log_proba = torch.log_softmax(torch.tensor([[80.0, 0.0, 0.0]]), 1)
    loss = relabelled_loss(log_proba, torch.tensor([0]))
    assert loss.item() == pytest.approx(80.0 - math.log(2), rel=1e-5)


@pytest.mark.parametrize("rule", ["paper", "forward", "self-teaching", "sigua"])
def test_without_noise_a_rule_is_plain_cross_entropy(rule):
    plain = RULES["cross-entropy"](batch()).loss
    torch.testing.assert_close(RULES[rule](batch(noise_rate=0.0)).loss, plain, rtol=0, atol=1e-15)


@pytest.mark.parametrize("rule", sorted(RULES))
def test_a_batch_of_one_row_has_a_finite_loss_and_gradient(rule):
    one = batch(
        log_proba=PROBA[:1].log().requires_grad_(),
        y=Y[:1],
        remembered=PROBA[:1],
        noise_rate=0.9,
        peer=PROBA[:1].log().requires_grad_(),
    )
    loss, clean = RULES[rule](one)
    loss.backward()
    assert math.isfinite(loss.item())
    assert torch.isfinite(one.log_proba.grad).all()
    assert clean.shape == (1,)


def test_a_channel_has_rows_that_sum_to_one():
    channel = symmetric_channel(0.3, 5, PROBA)
    torch.testing.assert_close(channel.sum(dim=1), torch.ones(5, dtype=torch.float64))


@pytest.mark.parametrize("rate", [0.0, 0.3, 0.7])
@pytest.mark.parametrize("flat", [1.0, 0.4])
def test_the_rate_of_a_symmetric_error_is_found_also_from_flat_probabilities(rate, flat):
    rng = np.random.default_rng(0)
    proba = rng.dirichlet(np.full(5, 0.2), 20_000)
    right = (rng.uniform(size=(len(proba), 1)) > proba.cumsum(axis=1)).sum(axis=1).clip(max=4)
    wrong = rng.uniform(size=len(right)) < rate
    given = np.where(wrong, (right + rng.integers(1, 5, len(right))) % 5, right)
    shown = proba**flat
    assert symmetric_noise_rate(shown / shown.sum(axis=1, keepdims=True), given) == pytest.approx(rate, abs=0.02)


def test_labels_without_relation_to_the_rows_have_the_highest_rate():
    rng = np.random.default_rng(0)
    proba = rng.dirichlet(np.full(5, 0.05), 20_000)
    assert symmetric_noise_rate(proba, rng.integers(0, 5, len(proba))) == pytest.approx(0.8, abs=0.02)
