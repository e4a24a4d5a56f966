"""What ``skrdia audit`` takes and gains on whole files.

    python tests/benchmarks/audit.py [adult] [large] [--folder FOLDER] [--model MODEL]

adult    the adult table of SKRDIA_DATA with its strings and missing values, 32,561 rows, of which 1,000 are verified
         and 20 % of the others have a flipped label: seconds, wrong labels before and after, and test log loss of
         model.joblib against the same model trained on everything as given
large    1,000,000 rows and 20 columns, synthetic: seconds and peak memory, and whether every file is read back equal

The tables stay in FOLDER (a temporary one by default), for trying the command by hand.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import joblib
import numpy as np
import polars as pl
from sklearn.base import clone
from sklearn.metrics import log_loss

from skrdia import Ledger
from skrdia.audit._models import MODELS
from skrdia.datasets import flip_labels


def write_csv(path: Path, columns: dict[str, object]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows(zip(*columns.values(), strict=True))


def adult(folder: Path) -> tuple[Path, np.ndarray, pl.DataFrame, np.ndarray]:
    """Write train.csv; its right labels, the test rows, and theirs."""
    with np.load(Path(os.environ["SKRDIA_DATA"]) / "C" / "adult_raw.npz") as stored:
        X, y = stored["X"], stored["class_names"][stored["y"]]
        categories = json.loads(str(stored["categories"]))
        columns: dict[str, list[str]] = {}
        for j, name in enumerate(stored["feature_names"].tolist()):
            names = categories.get(name) if isinstance(categories, dict) else None
            cells = [("?" if np.isnan(v) else names[int(v)] if names else f"{v:g}") for v in X[:, j]]
            columns[name] = cells
    n = 32_561
    rng = np.random.default_rng(0)
    verified = np.zeros(n, dtype=bool)
    verified[rng.choice(n, 1_000, replace=False)] = True
    labels = y[:n].copy()
    labels[~verified], _ = flip_labels(labels[~verified], rate=0.2, random_state=0)
    path = folder / "train.csv"
    train = {name: cells[:n] for name, cells in columns.items()}
    write_csv(path, {**train, "verified": np.where(verified, "yes", "no"), "income": labels})
    return path, y[:n], pl.DataFrame({name: cells[n:] for name, cells in columns.items()}), y[n:]


def run(folder: Path, *options: str) -> tuple[float, float]:
    """Seconds and peak memory in GB of the command."""
    start = time.perf_counter()
    subprocess.run([sys.executable, "-m", "skrdia", "audit", *options], cwd=folder, check=True)
    seconds = time.perf_counter() - start
    return seconds, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1e6


def measure_adult(folder: Path, model: str) -> None:
    path, right, X_test, y_test = adult(folder)
    seconds, _ = run(folder, path.name, "--label", "income", "--trusted", "verified", "--model", model)
    given = pl.read_csv(path, infer_schema=False)
    repaired = pl.read_csv(folder / "audit" / "repaired.csv", infer_schema=False)
    before, after = ((frame["income"].to_numpy() != right).sum() for frame in (given, repaired))
    pipeline = joblib.load(folder / "audit" / "model.joblib")  # which runs its code: it was written just now
    encoded, labels = pipeline[0].transform(given), given["income"].to_numpy()
    everything = clone(MODELS[model].classifier).fit(encoded, labels)
    classes = everything.classes_
    losses = [
        log_loss(y_test, proba, labels=classes)
        for proba in (everything.predict_proba(pipeline[0].transform(X_test)), pipeline.predict_proba(X_test))
    ]
    assert repaired.select(given.columns).drop("income").equals(given.drop("income"))
    assert repaired["old_label"].equals(given["income"].rename("old_label"))
    print(
        f"adult, {model}: {seconds:.0f} s; wrong labels {before:,} -> {after:,}; "
        f"test log loss {losses[0]:.4f} (everything as given) -> {losses[1]:.4f}"
    )


def measure_large(folder: Path, n: int = 1_000_000) -> None:
    rng = np.random.default_rng(0)
    numbers = rng.standard_normal((n, 9)).round(4)
    codes = np.column_stack([rng.integers(0, k, n) for k in (5, 6, 8, 10, 12, 15, 18, 20)])
    z = 2.0 * (numbers @ rng.standard_normal(9) + sum(rng.standard_normal(20)[c] for c in codes.T))
    right = np.where(rng.random(n) < 1.0 / (1.0 + np.exp(-z)), "yes", "no")
    verified = np.zeros(n, dtype=bool)
    verified[rng.choice(n, 2_000, replace=False)] = True
    labels = right.copy()
    labels[~verified], _ = flip_labels(labels[~verified], rate=0.2, random_state=0)
    columns: dict[str, object] = {"id": [f"r{i}" for i in range(n)]}
    columns |= {f"number{j}": numbers[:, j].tolist() for j in range(9)}
    columns |= {f"category{j}": [f"c{code}" for code in codes[:, j].tolist()] for j in range(8)}
    columns |= {"verified": verified.astype(int).tolist(), "label": labels.tolist()}
    path = folder / "large.csv"
    write_csv(path, columns)
    options = ("--label", "label", "--trusted", "verified", "--key", "id", "--out", "audit-large")
    seconds, peak = run(folder, path.name, *options)
    repaired = pl.read_csv(folder / "audit-large" / "repaired.csv", infer_schema=False)
    given = pl.read_csv(path, infer_schema=False)
    assert repaired.select(given.columns).drop("label").equals(given.drop("label"))
    ledger = Ledger.read_csv(folder / "audit-large" / "ledger.csv")
    decided = repaired.filter(~pl.col("decision").is_in(["trusted"]) & pl.col("decision").is_not_null())
    assert len(ledger) == len(decided.filter(pl.col("decision") != ""))
    wrong = [(frame["label"].to_numpy() != right).sum() for frame in (given, repaired)]
    print(f"large: {seconds:.0f} s, {peak:.1f} GB; wrong labels {wrong[0]:,} -> {wrong[1]:,}; read back equal")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("what", nargs="*", default=["adult", "large"], help="adult, large")
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--model", default="logistic", choices=list(MODELS))
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = args.folder or Path(temporary)
        if "adult" in args.what:
            measure_adult(folder, args.model)
        if "large" in args.what:
            measure_large(folder)


if __name__ == "__main__":
    main()
