"""Verified rows that are not what they seem: the loss against training on everything, and what `fit` says.

    python tests/benchmarks/verified.py wrong                            # wrong labels among the verified rows
    python tests/benchmarks/verified.py shares                           # verified rows with other class shares
    python tests/benchmarks/verified.py shares --against OTHER_FOLDER    # another checkout too, on the same rows
    python tests/benchmarks/verified.py wrong --tables development       # the tables that the constants were chosen on

The tables are in the folder that SKRDIA_DATA names. With "wrong", 800 rows at most, 20 % of them verified, and 30 % of
the other labels wrong at random; with "shares", 600 rows, 20 % wrong, and verified rows beside them. "kept" is the gain
over everything, as a share of the gain with the same verified rows and right labels on them; both are gains over
training on everything with those right labels. A caution of `fit` counts where it speaks of the verified rows.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

TABLES = {
    "development": ["spambase", "magic", "optdigits", "german_credit", "mammographic", "waveform5000", "vowel"],
    "others": ["twonorm", "banknote", "car", "australian", "credit_default_taiwan", "letter"],
}
BALANCED = {"development": ["spambase", "magic", "mammographic"], "others": ["twonorm", "banknote", "australian"]}
SEEDS = {"development": (0, 1), "others": (5, 6, 7)}
WRONG = {"none": ("none", 0.0), "10 %": ("random", 0.1), "30 %": ("random", 0.3), "60 % of a class": ("class", 0.6)}
DRAWS = [(n, share) for n in (30, 100, 300) for share in (0.1, 0.5)]


def read(name: str, seed: int) -> tuple[Any, Any]:
    """At most 4,000 rows in random order, and their labels as integers."""
    import numpy as np

    rng = np.random.default_rng(1_000 + seed)
    if name == "gaussian":
        y = rng.integers(2, size=4_000)
        return rng.normal(size=(4_000, 6)) + np.where(y[:, None], 0.8, -0.8) * [1, 1, 0.5, 0, 0, 0], y
    with np.load(Path(os.environ["SKRDIA_DATA"]) / "C" / f"{name}.npz", allow_pickle=True) as data:
        X, y = data["X"].astype(np.float64), np.unique(data["y"], return_inverse=True)[1]
    rows = rng.permutation(len(y))[:4_000]
    X, y = X[rows], y[rows]
    return np.where(np.isnan(X), np.nanmedian(X, axis=0), X), y


def flipped(y: Any, n_classes: int, kind: str, rate: float, rng: Any) -> Any:
    """Labels of which some are another one: of any class, or of the second class alone."""
    wrong = (rng.random(len(y)) < rate) & ((y == 1) | (kind == "random"))
    new = (y + rng.integers(1, n_classes, len(y))) % n_classes
    import numpy as np

    return np.where(wrong, new, y)


def fit_all(X: Any, given: Any, right: Any, X_val: Any, y_val: Any, X_test: Any, y_test: Any) -> dict[str, Any]:
    """Log loss of everything, of right labels, and of skrdia; whether `fit` speaks of the verified rows."""
    import numpy as np
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import log_loss
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    from skrdia import RDIAClassifier

    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=300))
    labels = np.arange(int(max(part.max() for part in (right, y_val, y_test))) + 1)

    def loss(clf: Any) -> float:
        proba = np.full((len(y_test), len(labels)), 1e-9)
        proba[:, clf.classes_] = clf.predict_proba(X_test)
        return float(log_loss(y_test, proba / proba.sum(axis=1, keepdims=True), labels=labels))

    stacked = np.vstack([X, X_val])
    found = {
        "everything": loss(model.fit(stacked, np.r_[given, y_val])),
        "accuracy": -float(model.score(X_test, y_test)),
        "right": loss(model.fit(stacked, np.r_[right, y_val])),
    }
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        clf = RDIAClassifier(model, random_state=0).fit(X, given, X_val=X_val, y_val=y_val)
    said = " ".join(str(warning.message) for warning in seen)
    suspects = getattr(clf, "verified_suspects_", [])
    return found | {
        "skrdia": loss(clf),
        "accuracy": float(clf.score(X_test, y_test)) + found["accuracy"],
        "wrong": "verified labels look wrong" in said,
        "shares": "other class shares" in said,
        "suspects": np.asarray(suspects, dtype=int).tolist(),
    }


def wrong_case(name: str, seed: int) -> dict[str, Any]:
    import numpy as np

    X, y = read(name, seed)
    rng, n_classes = np.random.default_rng(seed), int(y.max()) + 1
    n = min(800, int(0.6 * len(y)))
    n_val = n // 5
    given = flipped(y[n_val:n], n_classes, "random", 0.3, rng)
    results = {}
    for title, (kind, rate) in WRONG.items():
        y_val = flipped(y[:n_val], n_classes, kind, rate, np.random.default_rng(100 + seed))
        results[title] = fit_all(X[n_val:n], given, y[n_val:n], X[:n_val], y_val, X[n:], y[n:])
        is_wrong = y_val != y[:n_val]
        results[title]["n_found"] = int(is_wrong[results[title]["suspects"]].sum())
        results[title]["n_wrong"] = int(is_wrong.sum())
    return results


def shares_case(name: str, seed: int) -> dict[str, Any]:
    """20 % noise; verified rows of which a tenth is of the second class, or a random sample."""
    import numpy as np

    X, y = read(name, seed)
    rng, n_classes = np.random.default_rng(seed), int(y.max()) + 1
    n = min(600, len(y) // 3)
    given, rest = flipped(y[:n], n_classes, "random", 0.2, rng), np.arange(n, len(y))
    results = {}
    for n_val, share in DRAWS:
        if n_val > 0.4 * len(rest):
            continue
        val = rest[:n_val]
        if share == 0.1:
            second, others = rest[y[rest] == 1], rest[y[rest] != 1]
            val = np.r_[second[: n_val // 10], others[: n_val - n_val // 10]]
        test = np.setdiff1d(rest, val)
        results[f"{n_val} {'9:1' if share == 0.1 else 'fair'}"] = fit_all(
            X[:n], given, y[:n], X[val], y[val], X[test], y[test]
        )
    return results


def f11_case(seed: int) -> dict[str, Any]:
    """The case that was reported: gaussians, a logistic regression as it is."""
    import numpy as np

    rng = np.random.default_rng(seed)
    y = rng.integers(2, size=4_000)
    X = rng.normal(size=(4_000, 6)) + np.where(y[:, None] == 1, 0.8, -0.8) * np.array([1, 1, 0.5, 0, 0, 0])
    given = y[:600].copy()
    wrong = rng.random(600) < 0.2
    given[wrong] = 1 - given[wrong]
    results = {}
    for n_val, share in DRAWS:
        val = np.arange(600, 600 + n_val)
        if share == 0.1:
            first, second = (np.flatnonzero(y[600:2_000] == k) + 600 for k in (0, 1))
            val = np.r_[first[: n_val - n_val // 10], second[: n_val // 10]]
        results[f"{n_val} {'9:1' if share == 0.1 else 'fair'}"] = fit_all(
            X[:600], given, y[:600], X[val], y[val], X[2_000:], y[2_000:]
        )
    return results


def run(kind: str, name: str, seed: int) -> dict[str, Any]:
    if name == "f11":
        return f11_case(seed)
    return wrong_case(name, seed) if kind == "wrong" else shares_case(name, seed)


def elsewhere(folder: Path, kind: str, name: str, seed: int) -> dict[str, Any]:
    """`run` with the package of another checkout."""
    paths = [str(folder), str(Path(__file__).parent)]
    call = f"verified.run({kind!r}, {name!r}, {seed})"
    script = f"import sys, json; sys.path[:0] = {paths}; import verified; print(json.dumps({call}))"
    out = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=folder, env=os.environ)
    if out.returncode:
        raise SystemExit(out.stderr)
    found: dict[str, Any] = json.loads(out.stdout.splitlines()[-1])
    return found


def cells(kind: str, which: str) -> Iterator[tuple[str, int]]:
    if kind == "wrong":
        names = [*TABLES[which], *(["gaussian"] if which == "development" else [])]
    else:
        names = [*BALANCED[which], *(["gaussian"] if which == "development" else [])]
    for name in names:
        for seed in SEEDS[which]:
            yield name, seed
    if kind == "shares" and which == "others":
        for seed in range(8):
            yield "f11", seed


def summary(kind: str, found: list[dict[str, Any]], title: str) -> str:
    import numpy as np

    rows = [results[title] for results in found if title in results]
    ratio = np.array([row["skrdia"] / row["everything"] for row in rows])
    said = [row["wrong"] or row["shares"] for row in rows]
    above = np.mean(ratio > 1.05)
    text = (
        f"{title:16} {len(rows):3} fits: loss / everything mean {ratio.mean():.3f}, "
        f"90 % {np.quantile(ratio, 0.9):.3f}, worst {ratio.max():.3f}, above 1.05 in {above:.0%}; accuracy worst "
        f"{min(row['accuracy'] for row in rows):+.3f}; a caution in {np.mean(said):.0%}"
    )
    if kind == "wrong":
        base = [results["none"] for results in found]
        pairs = list(zip(base, rows, strict=True))
        kept = np.array([(b["everything"] - r["skrdia"]) / (b["everything"] - b["skrdia"]) for b, r in pairs])
        gained = np.array([b["skrdia"] < 0.98 * b["everything"] for b in base])
        total = sum(1.0 - r["skrdia"] / b["everything"] for b, r in pairs)
        whole = sum(1.0 - b["skrdia"] / b["everything"] for b in base)
        shown, n_wrong = sum(len(row["suspects"]) for row in rows), sum(row["n_wrong"] for row in rows)
        right = sum(row["n_found"] for row in rows)
        text += (
            f"; kept {total / whole:.2f} of the gain, median {np.median(kept[gained]):.2f}, two thirds in "
            f"{np.mean(kept[gained] >= 2 / 3):.0%}; {right} of {n_wrong} wrong among {shown} suspects"
        )
    return text


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kind", choices=["wrong", "shares"])
    parser.add_argument("--tables", choices=list(TABLES), default="others")
    parser.add_argument("--against", type=Path)
    parser.add_argument("--only", action="append")
    options = parser.parse_args()
    own, other = [], []
    for name, seed in cells(options.kind, options.tables):
        if options.only and name not in options.only:
            continue
        own.append(run(options.kind, name, seed))
        lists = [own]
        if options.against is not None:
            other.append(elsewhere(options.against.resolve(), options.kind, name, seed))
            lists.append(other)
        for title in own[-1]:
            parts = [
                f"{r['skrdia'] / r['everything']:.2f}{' wrong' * r['wrong']}{' shares' * r['shares']}"
                for r in (results[-1][title] for results in lists)
            ]
            print(f"{name:22} {seed} {title:16} {' | there '.join(parts)}", flush=True)
    for place, results in (("here", own), ("there", other)):
        for title in results[0] if results else []:
            print(f"{place:6}{summary(options.kind, results, title)}")
        if name == "f11" and results and options.kind == "shares":
            for title in results[-1]:
                print(f"{place:6}f11: {summary(options.kind, results[-8:], title)}")


if __name__ == "__main__":
    main()
