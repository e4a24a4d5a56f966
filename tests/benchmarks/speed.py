"""What step II and the cache cost, as ratios within one run.

    python tests/benchmarks/speed.py [sparse] [dense] [grid] [signals]

sparse   1,000,000 x 1,000,000, 15 non-zeros a row, power-law columns, C = 0.1: seconds of step II for all rows over
         those of the base fit, and peak memory of fit + step II over that of the fit alone (each in its own process)
dense    50,000 x 500, binary, columns from uncorrelated to strongly correlated: the same seconds
grid     GridSearchCV over 11 alphas, with and without `memory`
signals  self-influence of all rows over the base fit, on 50,000 x 500 dense and on 72,000 x 21,000 sparse rows with 50
         non-zeros in columns that follow a power law, tf-idf weighted; `influence_matrix` of 10,000 training and 1,000
         validation rows over one matrix product of that size, at 500 columns
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from scipy import sparse
from sklearn.datasets import load_digits
from sklearn.feature_extraction.text import TfidfTransformer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.preprocessing import scale

from skrdia import RDIAClassifier, influence, influence_matrix
from skrdia.datasets import flip_labels, make_ctr_like
from skrdia.signals import score


def sparse_table(n: int = 1_000_000, d: int = 1_000_000, nnz: int = 15, n_val: int = 20_000):
    """Binary features whose columns follow a power law, and labels from a sparse logistic model."""
    X, y = make_ctr_like(n + n_val, d, nnz, random_state=0)
    return X[:n], y[:n], X[n:], y[n:]


def dense_table(n: int = 50_000, d: int = 500, n_val: int = 5_000, decay: float = 0.5):
    """Gaussian features whose spectrum falls as rank ** -decay, and labels from a logistic model."""
    rng = np.random.default_rng(0)
    rotation, _ = np.linalg.qr(rng.normal(size=(d, d)))
    X = rng.normal(size=(n + n_val, d)) / np.arange(1, d + 1) ** decay @ rotation
    X /= X.std(axis=0)
    y = (rng.random(n + n_val) < 1.0 / (1.0 + np.exp(-X @ rng.normal(scale=0.1, size=d)))).astype(int)
    return X[:n], y[:n], X[n:], y[n:]


def step_two(table, hessian: str = "newton-cg", **params) -> None:
    X, y, X_val, y_val = table
    start = time.perf_counter()
    model = LogisticRegression(**params).fit(X, y)
    fitted = time.perf_counter()
    result = influence(model, X, y, X_val, y_val, hessian=hessian)
    end = time.perf_counter()
    print(
        f"base fit {fitted - start:.2f} s ({model.n_iter_[0]} iterations), step II by {hessian} {end - fitted:.2f} s "
        f"({result.diagnostics['n_products']} products, residual {result.diagnostics['residual']:.1e}), "
        f"ratio {(end - fitted) / (fitted - start):.3f}"
    )


def peak_memory(folder: str, step: str) -> None:
    """Print the peak of this process, in MB, with the table alone, after the base fit, or also after step II.

    Needs Linux.
    """
    X, X_val = (sparse.csr_array(sparse.load_npz(f"{folder}/{name}.npz")) for name in ("X", "X_val"))
    y, y_val = (np.load(f"{folder}/{name}.npy") for name in ("y", "y_val"))
    Path("/proc/self/clear_refs").write_text("5")  # forget the peak of loading
    if step != "table":
        model = LogisticRegression(C=0.1).fit(X, y)
    if step == "influence":
        influence(model, X, y, X_val, y_val)
    status = Path("/proc/self/status").read_text()
    print(int(status.partition("VmHWM:")[2].split()[0]) / 1024)


def compare_memory(table) -> None:
    X, y, X_val, y_val = table
    with tempfile.TemporaryDirectory() as folder:
        for name, matrix in (("X", X), ("X_val", X_val)):
            sparse.save_npz(f"{folder}/{name}.npz", matrix, compressed=False)
        for name, labels in (("y", y), ("y_val", y_val)):
            np.save(f"{folder}/{name}.npy", labels)
        peaks = []
        for step in ("table", "fit", "influence"):
            command = [sys.executable, "-W", "ignore", __file__, "--peak", folder, step]
            peaks.append(float(subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout))
    print(
        f"peak memory: table alone {peaks[0]:.0f} MB, base fit {peaks[1]:.0f} MB, with step II {peaks[2]:.0f} MB, "
        f"ratio {peaks[2] / peaks[1]:.2f}"
    )


def trusted_table(name: str):
    """All rows in random order, 20 % of the labels of the untrusted ones wrong, and the mask of the trusted ones."""
    if name == "digits":
        X, y = load_digits(return_X_y=True)
        X = scale(X)
    else:
        X, y, X_val, y_val = dense_table(n=20_000, d=200)
        X, y = np.vstack([X, X_val]), np.r_[y, y_val]
    trusted = np.random.default_rng(0).random(len(y)) < 0.2
    y[~trusted], _ = flip_labels(y[~trusted], 0.2, random_state=0)
    return X, y, trusted


def grid(name: str, hessian: str) -> None:
    X, y, trusted = trusted_table(name)
    seconds = {}
    for memory in (False, True):
        with tempfile.TemporaryDirectory() as folder:
            clf = RDIAClassifier(LogisticRegression(), hessian=hessian, memory=folder if memory else None)
            clf.set_fit_request(trusted=True)
            start = time.perf_counter()
            GridSearchCV(clf, {"alpha": np.linspace(0, 2, 11)}, scoring="neg_log_loss").fit(X, y, trusted=trusted)
            seconds[memory] = time.perf_counter() - start
    print(
        f"{name}, hessian={hessian!r}: {seconds[False]:.1f} s without memory, {seconds[True]:.1f} s with, "
        f"ratio {seconds[True] / seconds[False]:.2f}"
    )


def text_table(n: int = 72_000, d: int = 21_000, nnz: int = 50):
    """Rows like those of texts: unit length, columns by a power law, weighted by inverse document frequency."""
    X, y = make_ctr_like(n, d, nnz, random_state=0)
    X = TfidfTransformer().fit_transform(sparse.csr_matrix(X))
    return X, y


def seconds(function, repeats: int = 3) -> float:
    """Median time of some calls."""
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        function()
        times.append(time.perf_counter() - start)
    return float(np.median(times))


def self_influence(name: str, X, y) -> None:
    model = LogisticRegression(max_iter=1000)
    fit = seconds(lambda: model.fit(X, y))
    own = seconds(lambda: score(model, X, y))
    print(
        f"  self-influence, {name}: base fit {fit:.2f} s ({model.n_iter_[0]} iterations), self-influence {own:.2f} s, "
        f"ratio {own / fit:.2f}"
    )


def matrix() -> None:
    X, y, X_val, y_val = dense_table(n=10_000, n_val=1_000)
    model = LogisticRegression().fit(X, y)
    product = seconds(lambda: X_val @ X.T, 9)
    found = seconds(lambda: influence_matrix(model, X, y, X_val, y_val), 9)
    print(f"  influence_matrix {found:.3f} s, one product {product:.3f} s, ratio {found / product:.2f}")


def main() -> None:
    from sklearn import set_config

    set_config(enable_metadata_routing=True)
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", default=["dense", "grid", "sparse"], help="sparse, dense, grid, signals")
    parser.add_argument("--peak", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.peak:
        peak_memory(*options.peak)
        return
    for part in options.parts:
        print(part, end=": ", flush=True)
        if part == "sparse":
            table = sparse_table()
            step_two(table, C=0.1)
            compare_memory(table)
        elif part == "dense":
            print()
            for decay, hessian in ((0.0, "newton-cg"), (0.5, "newton-cg"), (1.0, "newton-cg"), (1.0, "direct")):
                print(f"  spectrum rank ** -{decay}: ", end="", flush=True)
                step_two(dense_table(decay=decay), hessian)
        elif part == "signals":
            print()
            self_influence("50,000 x 500 dense", *dense_table()[:2])
            self_influence("72,000 x 21,000 sparse", *text_table())
            matrix()
        else:
            print()
            for name, hessian in (("20,000 x 200", "newton-cg"), ("digits", "newton-cg"), ("digits", "direct")):
                grid(name, hessian)


if __name__ == "__main__":
    main()
