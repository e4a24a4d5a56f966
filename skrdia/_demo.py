"""What ``skrdia demo`` shows: labels of a real table flipped, and repaired in several ways."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, log_loss

from skrdia import RDIAClassifier
from skrdia.datasets import flip_labels, load_breast_cancer_scale

__all__ = ["show"]


def show(noise: float, seed: int, report: Path | None) -> None:
    """Flip, repair, compare, print, and write the report."""
    console = Console()
    with console.status("Training ..."):
        table, clf, X = _demo_table(noise, seed)
    console.print(table)
    rows = np.flatnonzero(clf.harmful_mask_)
    console.print(
        "\nAfter clf = RDIAClassifier(LogisticRegression()).fit(X, y, X_val=X_val, y_val=y_val), the line auto:\n"
        f"  clf.harmful_mask_  True for the {len(rows)} rows that hurt, first {rows[:4].tolist()}\n"
        f"  clf.relabeled_y_   the labels after repair, of these rows {clf.relabeled_y_[rows[:4]].tolist()}\n"
        "  clf.influences_    how much each row hurts (positive) or helps (negative)",
        highlight=False,
    )
    if report is not None:
        clf.report(report, X, title="skrdia demo: breast cancer")
        console.print(f"\nThe report: {report}", highlight=False, soft_wrap=True)


def _demo_table(noise: float, seed: int) -> tuple[Any, RDIAClassifier, Any]:
    X, y = load_breast_cancer_scale(return_X_y=True)
    train, val, test = np.split(np.arange(len(y)), [350, 500])  # the paper's split
    noisy_y, flipped = flip_labels(y[train], noise, random_state=seed)
    trusted = {"X_val": X[val], "y_val": y[val]}

    table = Table(
        title=f"Breast cancer: {flipped.sum()} of {len(train)} training labels flipped, {len(val)} validation rows",
        caption=f"log loss and accuracy on {len(test)} test rows; found, fixed: of the flipped labels",
    )
    for name in ("trained on", "log loss", "accuracy", "changed", "found", "fixed"):
        table.add_column(name, justify="left" if name == "trained on" else "right", no_wrap=True)

    def add(name: str, model: Any, *counts: object) -> None:
        loss = log_loss(y[test], model.predict_proba(X[test]))
        accuracy = accuracy_score(y[test], model.predict(X[test]))
        table.add_row(name, f"{loss:.3f}", f"{accuracy:.3f}", *(str(count) for count in (*counts, *["-"] * 3)[:3]))

    def add_repaired(name: str, **params: Any) -> RDIAClassifier:
        clf = RDIAClassifier(LogisticRegression(), **params).fit(X[train], noisy_y, **trusted)
        fixed = flipped & (clf.relabeled_y_ == y[train])
        changed = f"{clf.harmful_mask_.sum()} dropped" if params.get("strategy") == "drop" else ""
        changed = changed or (clf.relabeled_y_ != noisy_y).sum()
        add(name, clf, changed, (flipped & clf.harmful_mask_).sum(), fixed.sum())
        return clf

    rows = np.r_[train, val]
    add("everything", LogisticRegression().fit(X[rows], np.r_[noisy_y, y[val]]))
    add("validation rows only", LogisticRegression().fit(X[val], y[val]))
    add_repaired("harmful rows dropped", alpha=0.7, strategy="drop")
    add_repaired("RDIA, one round", alpha=0.7)
    add_repaired("RDIA, up to ten rounds", alpha=0.7, max_iter=10)
    clf = add_repaired("auto")
    add("perfect labels", LogisticRegression().fit(X[rows], y[rows]), flipped.sum(), flipped.sum(), flipped.sum())
    return table, clf, X[train]
