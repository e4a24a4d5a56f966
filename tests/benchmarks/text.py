"""Time of alpha="auto" on TF-IDF of short texts, and on many classes; against another checkout in the same run.

    python tests/benchmarks/text.py                          # this checkout
    python tests/benchmarks/text.py --against OTHER_FOLDER   # the two in turn, with the ratio

The vocabulary and the categories are fixed, so that every fit has the same columns; without that, or with texts that
are not a column of a frame, the default could not be fitted before heads were fitted once.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import time
import warnings
from pathlib import Path

CASES = {
    "text": "5,000 texts of 12 words, TF-IDF, two classes",
    "one-hot": "5,000 rows, six columns of 300 categories, one-hot, two classes",
    "classes": "2,000 rows, 20 numbers, 40 classes",
}


def run(case: str) -> float:
    """Seconds of one fit."""
    import numpy as np
    import pandas as pd
    from sklearn.compose import make_column_transformer
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder

    from skrdia import RDIAClassifier

    rng = np.random.default_rng(0)
    if case == "classes":
        y = rng.integers(0, 40, 2_000)
        X = rng.normal(size=(40, 20))[y] * 2.0 + rng.normal(size=(2_000, 20))
        model = LogisticRegression()
    else:
        y = rng.integers(0, 2, 5_000)
    if case == "text":
        words = [f"word{i}" for i in range(4_000)]
        X = np.array([" ".join(words[i] for i in rng.integers(0 if v else 400, 3_600 if v else 4_000, 12)) for v in y])
        X = pd.DataFrame({"text": X})
        model = make_pipeline(
            make_column_transformer((TfidfVectorizer(vocabulary=words), "text")), LogisticRegression()
        )
    if case == "one-hot":
        X = np.where(rng.random((5_000, 6)) < 0.5, y[:, None] * 150, 75) + rng.integers(0, 150, (5_000, 6))
        known = [np.arange(300)] * 6
        model = make_pipeline(OneHotEncoder(categories=known, handle_unknown="ignore"), LogisticRegression())
    trusted = rng.random(len(y)) < 0.2
    n_classes = int(y.max()) + 1
    noisy = np.where(~trusted & (rng.random(len(y)) < 0.3), (y + 1) % n_classes, y)
    start = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        clf = RDIAClassifier(model, random_state=0).fit(X, noisy, trusted=trusted)
    assert clf.score(X, y) > clf.base_estimator_.score(X, y) - 0.05
    return time.perf_counter() - start


def seconds(case: str, folder: Path) -> float:
    paths = [str(folder), str(Path(__file__).parent)]
    script = f"import sys; sys.path[:0] = {paths}; import text; print(text.run({case!r}))"
    out = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=folder, env=os.environ)
    if out.returncode:
        raise SystemExit(out.stderr)
    return float(out.stdout)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--against", type=Path)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--only", action="append", choices=list(CASES))
    options = parser.parse_args()
    here = Path(__file__).resolve().parents[2]
    for case, title in CASES.items():
        if options.only and case not in options.only:
            continue
        own, other = [], []
        for _ in range(options.runs):
            own.append(seconds(case, here))
            if options.against is not None:
                other.append(seconds(case, options.against.resolve()))
        line = f"{case:8} {statistics.median(own):7.2f} s"
        if other:
            ratios = [b / a for a, b in zip(own, other, strict=True)]
            line += f", {statistics.median(other):7.2f} s there: {statistics.median(ratios):.1f} times as long"
        print(f"{line}   {title}", flush=True)


if __name__ == "__main__":
    main()
