"""What the package costs at scale, as ratios within one run.

    python tests/benchmarks/scale.py product | avazu | growth | memory | disk | dask

product  one curvature product over the two products that it consists of, CSR 3,000,000 x 1,000,000 with 15 non-zeros
         a row and dense 200,000 x 1,000, in float64 and float32, with one thread and with all
avazu    14,600,000 x 1,000,000 click-like rows of 15 non-zeros: base fit, influences, relabel, refit, and peak memory
growth   exponents of time and memory of step II in n and d
memory   `estimate_memory` over the peak of a fit, both without the rows
disk     base fit and influences from a file three times as large as the memory of the process, against in memory
dask     two worker processes against this one on 10,000,000 x 100,000 rows of 15 non-zeros, and with one worker killed

`avazu ours` fits with `skrdia.linear_model.LogisticRegression` instead of scikit-learn's.
"""

from __future__ import annotations

import argparse
import os
import resource
import signal
import subprocess
import sys
import tempfile
import threading
import time
import tracemalloc
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
from scipy.sparse import csr_array
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from threadpoolctl import threadpool_limits

from skrdia import RDIAClassifier, estimate_memory, influence
from skrdia.blocks import RowBlocks
from skrdia.datasets import make_ctr_like
from skrdia.linear_model import LogisticRegression as BlockLogisticRegression
from skrdia.views import as_view

HARMFUL = 2.0
"""Nats, for the labels of `make_ctr_like` are drawn, and most clicks are surprising."""


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


def timed(kind):
    """A logistic regression that prints what each fit takes."""

    class Timed(kind):
        def fit(self, X, y, sample_weight=None):
            start = time.perf_counter()
            super().fit(X, y, sample_weight)
            seconds = time.perf_counter() - start
            print(f"  fit {seconds:.1f} s, {self.n_iter_[0]} iterations, peak {peak_gib():.1f} GiB", flush=True)
            return self

    return Timed


def avazu(base: str = "sklearn", n: int = 14_600_000, n_val: int = 100_000) -> None:
    X, y = make_ctr_like(n + n_val, 1_000_000, 15, random_state=0)
    X, X_val, y, y_val = X[:n], X[n:], y[:n], y[n:]
    print(f"{n:,} x 1,000,000, base estimator of {base}, peak of the table {peak_gib():.1f} GiB", flush=True)
    model = timed(LogisticRegression if base == "sklearn" else BlockLogisticRegression)(C=0.1, max_iter=1000)
    clf = RDIAClassifier(model, alpha=HARMFUL, refit_on="train")
    start = time.perf_counter()
    clf.fit(X, y, X_val=X_val, y_val=y_val)
    print(
        f"  everything {time.perf_counter() - start:.1f} s, {clf.diagnostics_['n_products']} products, "
        f"{clf.harmful_mask_.sum():,} rows relabelled, peak {peak_gib():.1f} GiB",
        flush=True,
    )
    start = time.perf_counter()
    influence(clf.base_estimator_, X, y, X_val, y_val)
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


def memory() -> None:
    warnings.simplefilter("ignore", ConvergenceWarning)  # five iterations
    rng = np.random.default_rng(0)
    for n, d, n_classes in ((500_000, 100, 2), (200_000, 100, 10), (20_000, 300_000, 2), (20_000, 100_000, 5)):
        X, y = make_ctr_like(n, d, 15, random_state=0)[0], rng.integers(0, n_classes, n)
        for kind in (LogisticRegression, BlockLogisticRegression):
            clf = RDIAClassifier(kind(max_iter=5), alpha=1.0)
            tracemalloc.start()
            clf.fit(X, y, trusted=np.arange(n) % 50 == 0)
            peak = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
            estimate = estimate_memory(X, n_classes=n_classes)
            guess = estimate.copy + estimate.results + max(estimate.base_fit, estimate.newton_cg)
            print(f"  {n:,} x {d:,}, {n_classes} classes: {peak / 2**30:.3f} GiB, estimated {guess / 2**30:.3f} GiB")


DISK_ROWS, DISK_COLUMNS = 2_000_000, 400
"""Of the table on disk: 6.0 GiB."""


def disk(share: float = 3.0) -> None:
    with tempfile.TemporaryDirectory(dir=os.environ.get("SKRDIA_SCRATCH")) as folder:
        path = Path(folder) / "X.npy"
        X = np.lib.format.open_memmap(path, "w+", np.float64, (DISK_ROWS, DISK_COLUMNS))
        rng, direction = np.random.default_rng(0), np.random.default_rng(1).standard_normal(DISK_COLUMNS) / 20.0
        y = np.empty(DISK_ROWS, dtype=np.int8)
        for start in range(0, DISK_ROWS, 100_000):
            rows = slice(start, start + 100_000)
            X[rows] = rng.standard_normal((len(X[rows]), DISK_COLUMNS))
            y[rows] = X[rows] @ direction + rng.logistic(size=len(X[rows])) > 0
        X.flush()
        np.save(Path(folder) / "y.npy", y)
        size = path.stat().st_size / 2**30
        del X
        cap = size / share
        print(f"{DISK_ROWS:,} x {DISK_COLUMNS}: {size:.1f} GiB of rows, cap {cap:.1f} GiB", flush=True)
        print(in_process("on-disk", folder, "blocks", cap), flush=True)
        print(in_process("on-disk", folder, "memory", 0))


def on_disk(folder: str, where: str, cap: str) -> None:
    """Fit and influences, with the memory of the process limited to `cap` GiB."""
    y, X = np.load(Path(folder) / "y.npy"), np.load(Path(folder) / "X.npy", mmap_mode="r")
    if float(cap) > 0:
        resource.setrlimit(resource.RLIMIT_DATA, (int(float(cap) * 2**30),) * 2)
    rows = RowBlocks.from_array(X) if where == "blocks" else np.array(X)
    start = time.perf_counter()
    for _ in rows if where == "blocks" else ():
        pass
    read = time.perf_counter() - start
    start = time.perf_counter()
    model = BlockLogisticRegression(max_iter=1000).fit(rows, y)
    fitted = time.perf_counter()
    result = influence(model, rows, y, np.array(X[:10_000]), y[:10_000])
    end = time.perf_counter()
    print(
        f"  {where}: fit {fitted - start:.1f} s, step II {end - fitted:.1f} s, {model.n_passes_} passes and "
        f"{result.diagnostics['n_products']} products, reading alone {read:.2f} s a pass, peak {peak_gib():.2f} GiB, "
        f"mean influence {result.values.mean():.10f}"
    )


def rows_of(path: str, start: int, stop: int):
    """Rows of a CSR matrix whose arrays are in files, on a worker."""
    arrays = [np.load(Path(path) / f"{name}.npy", mmap_mode="r") for name in ("data", "indices", "indptr")]
    columns = int(np.load(Path(path) / "columns.npy"))
    a, b = arrays[2][start], arrays[2][stop]
    pieces = np.array(arrays[0][a:b]), np.array(arrays[1][a:b]), np.array(arrays[2][start : stop + 1]) - a
    return csr_array(pieces, shape=(stop - start, columns))


def on_cluster(n: int = 10_000_000, d: int = 100_000, n_blocks: int = 8, n_val: int = 100_000) -> None:
    import dask
    import dask.array as da
    from distributed import Client, LocalCluster, wait

    X, y = make_ctr_like(n + n_val, d, 15, random_state=0)
    X, y, judges = X[:n], y[:n], {"X_val": X[n:], "y_val": y[n:]}
    size = n // n_blocks
    parts = [X[i : i + size] for i in range(0, n, size)]
    base = BlockLogisticRegression(C=0.1, tol=1e-6, max_iter=1000)
    clf = RDIAClassifier(base, alpha=HARMFUL, refit_on="train")
    start = time.perf_counter()
    here = clone(clf).fit(RowBlocks(parts), y, **judges)
    seconds = time.perf_counter() - start
    print(f"{n:,} x {d:,}, {n_blocks} blocks: in this process {seconds:.1f} s", flush=True)
    folder = tempfile.TemporaryDirectory(dir=os.environ.get("SKRDIA_SCRATCH"))
    for name, array in (("data", X.data), ("indices", X.indices), ("indptr", X.indptr), ("columns", np.array(d))):
        np.save(Path(folder.name) / f"{name}.npy", array)
    del X, parts
    for killed in (False, True):
        with LocalCluster(2, threads_per_worker=1, dashboard_address=":0") as cluster, Client(cluster):
            blocks = [dask.delayed(rows_of)(folder.name, i * size, (i + 1) * size) for i in range(n_blocks)]
            lazy = [da.from_delayed(b, (size, d), np.float64, meta=csr_array((0, 0))) for b in blocks]
            rows = da.concatenate(lazy).persist()
            wait(rows)
            labels = da.from_array(y, chunks=size)
            if killed:
                victim = next(iter(cluster.workers.values())).pid
                threading.Timer(seconds / 3, os.kill, (victim, signal.SIGKILL)).start()
            start = time.perf_counter()
            there = clone(clf).fit(rows, labels, **judges)
            took = time.perf_counter() - start
            difference = np.abs(there.influences_.compute() - here.influences_).max()
            difference /= np.abs(here.influences_).max()
            coefficients = np.abs(there.estimator_.coef_ - here.estimator_.coef_).max()
            print(
                f"  two workers{', one killed' if killed else ''} {took:.1f} s, ratio {took / seconds:.2f}; largest "
                f"difference of influences {difference:.1e} of the largest one, of coefficients {coefficients:.1e}",
                flush=True,
            )
    folder.cleanup()


PARTS = {
    "product": product,
    "avazu": avazu,
    "growth": growth,
    "memory": memory,
    "step": step_two,
    "disk": disk,
    "on-disk": on_disk,
    "dask": on_cluster,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", choices=PARTS)
    parser.add_argument("arguments", nargs="*", help="of the part; its own ones by default")
    options = parser.parse_args()
    PARTS[options.part](*(int(a) if a.isdigit() else a for a in options.arguments))


if __name__ == "__main__":
    main()
