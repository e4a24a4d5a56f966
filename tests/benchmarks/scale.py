"""What the package costs at scale, as ratios within one run.

    python tests/benchmarks/scale.py product | avazu | growth | memory | dask | peers

product  one curvature product over the two products that it consists of, CSR 3,000,000 x 1,000,000 with 15 non-zeros
         a row and dense 200,000 x 1,000, in float64 and float32, with one thread and with all
avazu    14,600,000 x 1,000,000 click-like rows of 15 non-zeros: base fit, influences, relabel, refit, and peak memory
growth   exponents of time and memory of step II in n and d
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np
from sklearn.linear_model import LogisticRegression
from threadpoolctl import threadpool_limits

from skrdia import RDIAClassifier, influence
from skrdia.datasets import make_ctr_like
from skrdia.views import as_view

HARMFUL = 0.05


def best_seconds(*functions: Callable[[], object], repeats: int = 7) -> list[float]:
    """The shortest time of some calls of each function, which take turns."""
    times = []
    for _ in range(repeats):
        for function in functions:
            start = time.perf_counter()
            function()
            times.append(time.perf_counter() - start)
    return [min(times[i :: len(functions)]) for i in range(len(functions))]


def peak_gib() -> float:
    """Peak memory of this process so far. Needs Linux."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) / 2**20


def in_process(part: str, *arguments: object) -> str:
    """The output of a part, in a process of its own."""
    command = [sys.executable, "-W", "ignore", __file__, part, *map(str, arguments)]
    return subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout.strip()


def product() -> None:
    rng = np.random.default_rng(0)
    X, y = make_ctr_like(3_000_000, 1_000_000, 15, random_state=0)
    model = LogisticRegression(C=0.1, max_iter=30, tol=0.1).fit(X, y)
    print("CSR 3,000,000 x 1,000,000, 15 non-zeros a row: one product over X @ v and X.T @ u by scipy, one thread")
    for dtype in (np.float64, np.float32):
        compare_product(model, X, X.astype(dtype))
    X = rng.standard_normal((200_000, 1_000))
    y = (X[:, 0] + rng.standard_normal(len(X)) > 0).astype(int)
    model = LogisticRegression(max_iter=30, tol=0.1).fit(X, y)
    print("dense 200,000 x 1,000: one product over X @ v and X.T @ u by BLAS with as many threads")
    for dtype in (np.float64, np.float32):
        compare_product(model, X, X.astype(dtype))


def compare_product(model, X, rows) -> None:
    at = as_view(model).linearize(rows)
    rng = np.random.default_rng(0)
    v, u, w = rng.standard_normal(X.shape[1] + 1), rng.standard_normal(X.shape[0]), rng.random(X.shape[0])
    for n_threads in (1, 2):
        with threadpool_limits(n_threads):
            two, one = best_seconds(lambda: (X @ v[:-1], X.T @ u), lambda: at.hvp(w, v))
        print(f"  {rows.dtype}, {n_threads} thread(s): {one:.3f} s over {two:.3f} s, ratio {one / two:.2f}", flush=True)


class Timed(LogisticRegression):
    """Prints what each fit takes."""

    def fit(self, X, y, sample_weight=None):
        start = time.perf_counter()
        super().fit(X, y, sample_weight)
        seconds = time.perf_counter() - start
        print(f"  fit {seconds:.1f} s, {self.n_iter_[0]} iterations, peak {peak_gib():.1f} GiB", flush=True)
        return self


def avazu(n: int = 14_600_000, n_val: int = 100_000) -> None:
    X, y = make_ctr_like(n + n_val, 1_000_000, 15, random_state=0)
    X, X_val, y, y_val = X[:n], X[n:], y[:n], y[n:]
    wrong = np.random.default_rng(0).random(n) < 0.1
    given = np.where(wrong, 1 - y, y)
    print(f"{n:,} x 1,000,000, peak of the table {peak_gib():.1f} GiB", flush=True)
    clf = RDIAClassifier(Timed(C=0.1, max_iter=1000), alpha=HARMFUL, refit_on="train")
    start = time.perf_counter()
    clf.fit(X, given, X_val=X_val, y_val=y_val)
    print(
        f"  everything {time.perf_counter() - start:.1f} s, {clf.diagnostics_['n_products']} products, wrong labels "
        f"{wrong.sum():,} -> {(clf.relabeled_y_ != y).sum():,}, peak {peak_gib():.1f} GiB"
    )
    start = time.perf_counter()
    influence(clf.base_estimator_, X, given, X_val, y_val)
    print(f"  step II alone {time.perf_counter() - start:.1f} s, peak {peak_gib():.1f} GiB")


def step_two(n: int, d: int) -> None:
    """Print seconds of a product, seconds of step II, products, and GiB beyond the table."""
    X, y = make_ctr_like(n + 10_000, d, 15, random_state=0)
    X, X_val, y, y_val = X[:n], X[n:], y[:n], y[n:]
    model = LogisticRegression(C=0.1, max_iter=20).fit(X[:100_000], y[:100_000])
    start = time.perf_counter()
    result = influence(model, X, y, X_val, y_val)
    seconds = time.perf_counter() - start
    tracemalloc.start()
    influence(model, X, y, X_val, y_val)
    memory = tracemalloc.get_traced_memory()[1] / 2**30
    print(seconds / result.diagnostics["n_products"], seconds, result.diagnostics["n_products"], memory)


def growth() -> None:
    rows = (100_000, 300_000, 1_000_000, 3_000_000, 10_000_000)
    columns = (1_000, 10_000, 100_000, 1_000_000)
    for name, sizes in (("n", [(n, 100_000) for n in rows]), ("d", [(1_000_000, d) for d in columns])):
        table = np.array([[float(x) for x in in_process("step", n, d).split()] for n, d in sizes])
        axis = np.log([size[name == "d"] for size in sizes])
        for (n, d), (per_product, seconds, products, memory) in zip(sizes, table, strict=True):
            print(
                f"  {n:>10,} x {d:>9,}: {seconds:6.2f} s, {products:.0f} products of {per_product:.4f} s, "
                f"{memory:.3f} GiB beyond the table",
                flush=True,
            )
        for what, column in (("time of step II", 1), ("time of a product", 0), ("memory", 3)):
            print(f"  exponent of {what} in {name}: {np.polyfit(axis, np.log(table[:, column]), 1)[0]:.2f}", flush=True)


PARTS = {"product": product, "avazu": avazu, "growth": growth, "step": step_two}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", choices=PARTS)
    parser.add_argument("sizes", nargs="*", type=int, help="of the part; its own ones by default")
    options = parser.parse_args()
    PARTS[options.part](*options.sizes)


if __name__ == "__main__":
    main()
