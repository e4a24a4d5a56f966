"""The verdict in one sentence, and what to be careful about, in plain words."""

from __future__ import annotations

import numpy as np

from skrdia._influence import FAR_FROM_OPTIMUM
from skrdia.report._facts import Facts, Loss
from skrdia.report._numbers import as_text, count, decimals, percent

__all__ = ["cautions", "verdict"]

_FEW_ROWS = 10
_MANY_WRONG = 0.4
_WIDE, _MANY_OF_ONE, _ONE_SIDED = 0.15, 0.1, 3.0
"""Width of an interval that says little; errors of one class, and how many times those of any other, to speak of."""
_SURE = 2.0
"""Standard errors from which on a difference is taken for one."""


def verdict(facts: Facts) -> str:
    """What was found, and what repairing it is worth."""
    n_wrong, n_rows = int(facts.wrong.sum()), int(facts.trained.sum())
    if facts.did_nothing:
        return _nothing(facts, n_rows)
    if n_wrong == 0 and not facts.is_auto:
        return f"Nothing worth changing: no row has a signal above alpha = {facts.clf.alpha_:g}."
    if n_wrong == 0:
        found, them = f"None of {count(n_rows, 'label')} looks clearly wrong", "giving less weight to doubtful ones"
    else:
        looks = "looks" if n_wrong == 1 else "look"
        found = f"{n_wrong:,} of {count(n_rows, 'label')} {looks} wrong"
        them = "repairing it" if n_wrong == 1 else "repairing them"
    if not (facts.knows_noise and np.isnan(facts.loss().gain)):
        return f"{found}; {_worth(facts, them)}."
    low, high = facts.clf.noise_rate_interval_
    estimate = (
        f"an estimated {percent(facts.clf.noise_rate_)} are wrong (90 % interval {percent(low)} to {percent(high)})"
    )
    return f"{found}, and {estimate}; {_worth(facts, them)}."


def _nothing(facts: Facts, n_rows: int) -> str:
    loss, condition = facts.loss(), str(facts.clf.termination_condition_)
    if not np.isfinite(loss.before):
        return f"Nothing was changed: {condition.removeprefix('do nothing: ')}."
    return (
        f"Nothing worth changing among {count(n_rows, 'label')}: no repair is a clear gain on "
        f"{count(loss.n_rows, 'held-out row')}, whose log loss is {loss.before:.3f}."
    )


def _worth(facts: Facts, them: str) -> str:
    loss = facts.loss()
    if np.isfinite(loss.gain):
        return f"{them} {_change(loss)}"
    if np.isfinite(loss.before) and np.isfinite(facts.clf.predicted_gain_):
        gain = facts.clf.predicted_gain_
        return f"{them} promises, to first order, to lower the held-out log loss of {loss.before:.3f} by {gain:.3f}"
    return f"what {them} is worth was not measured"


def _change(loss: Loss) -> str:
    verb = "lowers" if loss.gain >= 0.0 else "raises"
    digits = decimals(loss.error)
    error = f" (standard error {loss.error:.{digits}f})" if np.isfinite(loss.error) else ""
    return f"{verb} held-out log loss from {loss.before:.{digits}f} to {loss.after:.{digits}f}{error}"


def cautions(facts: Facts) -> list[str]:
    """Warnings in plain words."""
    return [*_of_the_rows(facts), *_of_the_noise(facts), *_of_the_gain(facts), *_of_the_computation(facts)]


def _of_the_rows(facts: Facts) -> list[str]:
    clf, found = facts.clf, list[str]()
    if not clf._has_verified_rows and not facts.is_out_of_fold:
        found.append(
            "The validation rows are a random part of the rows given, whose labels may be wrong as well. Pass rows "
            "with verified labels, by trusted or X_val, for a better repair and a verdict to rely on."
        )
    if facts.is_out_of_fold:
        found.append(
            "There are no verified rows: random mistakes can be found, but a systematic one, such as of labels made by "
            "rules, looks like the truth to every model that is trained on it. Verify some rows, chosen at random, to "
            "know the share of wrong labels, and pass them by trusted."
        )
    check = getattr(clf, "verified_check_", None)
    if check is not None:
        found += check.cautions(clf.classes_.tolist())
    labels, weight = clf.held_out_["label"], clf.held_out_["weight"]
    if len(labels):
        counts = {label: int(np.count_nonzero(weight[labels == label])) for label in clf.classes_.tolist()}
        few = [f"{as_text(label)} ({n})" for label, n in counts.items() if n < _FEW_ROWS]
        if few:
            named = ", ".join(few[:10]) + (", …" if len(few) > 10 else "")
            found.append(f"Few validation rows speak for these labels: {named}. Verify more rows of them.")
    share = facts.wrong.sum() / max(1, facts.trained.sum())
    if share > _MANY_WRONG:
        found.append(
            f"{percent(share)} of the labels look wrong. Check that the validation rows are of the same kind as the "
            "others, and that both code their labels in the same way."
        )
    return found


def _of_the_noise(facts: Facts) -> list[str]:
    """Where the share of wrong labels cannot be known well."""
    if not facts.knows_noise:
        return []
    clf, found = facts.clf, list[str]()
    low, high = clf.noise_rate_interval_
    if high - low > _WIDE:
        found.append(
            f"The labels say little of how many are wrong: between {percent(low)} and {percent(high)}. Verify about 50 "
            "rows, chosen at random, to know."
        )
    errors = 1.0 - np.diag(clf.noise_matrix_)
    worst = int(errors.argmax())
    others = np.delete(errors, worst)
    if errors[worst] > _MANY_OF_ONE and errors[worst] > _ONE_SIDED * others.max():
        label = as_text(clf.classes_.tolist()[worst])
        found.append(
            f"Mistakes seem to be one-sided: {percent(errors[worst])} of the rows that are {label} have another label. "
            "A class that the columns tell from others only in part looks the same. Verify rows of other labels that "
            f"the ledger takes for {label}."
        )
    return found


def _of_the_gain(facts: Facts) -> list[str]:
    found, loss = list[str](), facts.loss()
    if facts.did_nothing or not np.isfinite(loss.gain):
        return found
    if loss.gain < 0.0:
        found.append("The repair does harm on held-out rows: keep the labels as given, or use alpha='auto'.")
    elif np.isfinite(loss.error) and loss.gain < _SURE * loss.error:
        found.append("The gain is less than two standard errors: it may be chance. More validation rows would tell.")
    labels, weight = facts.clf.held_out_["label"], facts.clf.held_out_["weight"]
    for label in facts.clf.classes_.tolist():
        own = facts.loss((labels == label) & (weight > 0.0))
        if np.isfinite(own.error) and own.gain < -_SURE * own.error:
            found.append(
                f"For rows of label {as_text(label)} the held-out loss rises from {own.before:.3f} to {own.after:.3f}: "
                "look at the changes of that label first."
            )
    return found


def _of_the_computation(facts: Facts) -> list[str]:
    found, info, condition = list[str](), facts.clf.diagnostics_, str(facts.clf.termination_condition_)
    if info and not info["converged"]:
        found.append(
            f"The linear solve ended early (relative residual {info['residual']:.2g}): influences are approximate. "
            "Scale the columns, or use hessian='direct' for a model with few parameters."
        )
    if info and info["damping"] == 0.0 and info["scaled_gradient_norm"] > FAR_FROM_OPTIMUM:
        found.append(
            "The model is not at the optimum of its loss, so that influences are less reliable. Train it for longer "
            "(max_iter, tol), and scale the columns."
        )
    if condition.startswith("a class would be left empty"):
        found.append(f"The repair stopped early: {condition}. Verify rows of that label.")
    return found
