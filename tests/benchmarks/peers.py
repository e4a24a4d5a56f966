"""The influence of every training row on the mean validation loss, by skrdia and by its peers, on the same model.

    python tests/benchmarks/peers.py dense mnist sparse

dense   50,000 x 500 binary, 1,000 validation rows
mnist   5,000 x 784, ten classes, 1,000 validation rows (needs SKRDIA_DATA)
sparse  72,000 x 21,000, 50 non-zeros a row

The model has no intercept, so that the ridge of the peers, the same for all parameters, is exactly its penalty; all
compute in float64. A peer that is not installed is left out, with the reason; so is one that takes longer than
`--limit` seconds or more memory than there is. The error is the largest difference over the largest influence, against
a dense solve (sparse: against skrdia with rtol 1e-13). Each runs in a process of its own; times are the shortest
of up to five runs within 20 s, without loading libraries. pyDVL's conjugate gradients take one right-hand side per
validation row, which takes hours here, and are left out. cleanlab ranks labels by out-of-fold probabilities instead:
other work, same aim.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from scipy import sparse
from sklearn.linear_model import LogisticRegression
from speed import dense_table, text_table

N_VAL = 1_000


def table(part: str):
    if part == "dense":
        X, y, X_val, y_val = dense_table(n_val=N_VAL)
        return X, y, X_val, y_val, 1.0
    if part == "mnist":
        with np.load(next(Path(os.environ["SKRDIA_DATA"]).rglob("mnist.npz"))) as data:
            X, y = data["X_train"][:6_000].reshape(6_000, -1) / 255.0, data["y_train"][:6_000].astype(int)
        return X[:5_000], y[:5_000], X[5_000:], y[5_000:], 0.01
    X, y = text_table(72_000 + N_VAL)
    return X[:72_000], y[:72_000], X[72_000:], y[72_000:], 1.0


def skrdia_newton_cg(model, X, y, X_val, y_val):
    from skrdia import influence

    return lambda: influence(model, X, y, X_val, y_val).values


def skrdia_direct(model, X, y, X_val, y_val):
    from skrdia import influence

    return lambda: influence(model, X, y, X_val, y_val, hessian="direct").values


def skrdia_tight(model, X, y, X_val, y_val):
    from skrdia import influence
    from skrdia.solvers import newton_cg

    def tight(H, g, random_state=None):
        return newton_cg(H, g, rtol=1e-13)

    return lambda: influence(model, X, y, X_val, y_val, hessian=tight).values


def exact(model, X, y, X_val, y_val):
    return (skrdia_tight if sparse.issparse(X) else skrdia_direct)(model, X, y, X_val, y_val)


def as_torch(model, X, y, X_val, y_val):
    """The module, its loss, and the tables as tensors; sparse rows are made dense, which all peers need."""
    import torch

    torch.set_default_dtype(torch.float64)
    X, X_val = (A.toarray() if sparse.issparse(A) else A for A in (X, X_val))
    is_binary = len(model.classes_) == 2
    net = torch.nn.Linear(X.shape[1], len(model.coef_), bias=False)
    with torch.no_grad():
        net.weight.copy_(torch.from_numpy(model.coef_))
    loss = torch.nn.BCEWithLogitsLoss() if is_binary else torch.nn.CrossEntropyLoss()
    labels = [torch.from_numpy(v.astype(float)[:, None] if is_binary else v.astype(np.int64)) for v in (y, y_val)]
    return net, loss, torch.from_numpy(X), labels[0], torch.from_numpy(X_val), labels[1]


def loader(X, y, size: int = 2_048):
    from torch.utils.data import DataLoader, TensorDataset

    return DataLoader(TensorDataset(X, y), batch_size=size)


def pydvl(model, *rows):
    from pydvl.influence.torch import DirectInfluence

    net, loss, X, y, X_val, y_val = as_torch(model, *rows)

    def run():
        found = DirectInfluence(net, loss, regularization=1.0 / (model.C * len(X))).fit(loader(X, y))
        factors = found.influence_factors(X_val, y_val).mean(dim=0, keepdim=True)
        parts = [found.influences_from_factors(factors, A, b)[0] for A, b in loader(X, y)]
        return -np.concatenate([part.detach().numpy() for part in parts])

    return run


def _dattri(kind: str, **params):
    def prepare(model, *rows):
        from dattri.algorithm import influence_function
        from dattri.task import AttributionTask
        from torch.func import functional_call

        net, loss, X, y, X_val, y_val = as_torch(model, *rows)

        def loss_of(weights, pair):
            z = functional_call(net, weights, (pair[0],))
            return loss(z.reshape(-1, z.shape[-1]), pair[1].reshape(-1, *y.shape[1:]))

        def run():
            task = AttributionTask(loss_func=loss_of, model=net, checkpoints=net.state_dict())
            ridge = 1.0 / (model.C * len(X))
            found = getattr(influence_function, kind)(task, regularization=ridge, **params)
            found.cache(loader(X, y, len(X)))
            scores = found.attribute(loader(X, y, len(X)), loader(X_val[None], y_val[None]))  # one item: the mean loss
            return -scores.detach().numpy().ravel()

        return run

    return prepare


def captum(model, *rows):
    import torch
    from captum.influence import NaiveInfluenceFunction

    net, loss, X, y, X_val, y_val = as_torch(model, *rows)
    loss.reduction = "none" if len(model.classes_) == 2 else "sum"

    def run():
        with tempfile.NamedTemporaryFile(suffix=".pt") as file:
            torch.save(net.state_dict(), file.name)
            summed = type(loss)(reduction="sum")
            found = NaiveInfluenceFunction(
                net,
                loader(X, y),
                file.name,
                loss_fn=summed,
                sample_wise_grads_per_batch=True,
                projection_dim=net.weight.numel(),
                hessian_reg=1.0 / model.C,
                hessian_inverse_tol=0.0,
            )
            scores = found.influence((X_val, y_val))
            return -scores.detach().numpy().mean(axis=0) * len(X)

    return run


def kronfluence(model, *rows):
    import torch
    from kronfluence.analyzer import Analyzer, prepare_model
    from kronfluence.arguments import FactorArguments, ScoreArguments
    from kronfluence.task import Task
    from torch.utils.data import TensorDataset

    net, loss, X, y, X_val, y_val = as_torch(model, *rows)
    summed = type(loss)(reduction="sum")

    class Rows(Task):
        def compute_train_loss(self, batch, model, sample=False):
            z = model(batch[0])
            if not sample:
                return summed(z, batch[1])
            with torch.no_grad():
                drawn = (
                    torch.bernoulli(torch.sigmoid(z)) if z.shape[1] == 1 else torch.multinomial(z.softmax(1), 1)[:, 0]
                )
            return summed(z, drawn)

        def compute_measurement(self, batch, model):
            return self.compute_train_loss(batch, model)

    def run():
        with tempfile.TemporaryDirectory() as folder:
            task = Rows()
            analyzer = Analyzer(
                "rows",
                prepare_model(torch.nn.Sequential(net), task),
                task,
                cpu=True,
                output_dir=folder,
                disable_tqdm=True,
            )
            train, query = TensorDataset(X, y), TensorDataset(X_val, y_val)
            double = {"amp_dtype": None}
            analyzer.fit_all_factors(
                "factors", train, per_device_batch_size=2_048, factor_args=FactorArguments("ekfac", **double)
            )
            args = ScoreArguments(damping_factor=1.0 / (model.C * len(X)), **double)
            analyzer.compute_pairwise_scores(
                "scores",
                "factors",
                query,
                train,
                per_device_query_batch_size=len(X_val),
                per_device_train_batch_size=2_048,
                score_args=args,
            )
            scores = analyzer.load_pairwise_scores("scores")["all_modules"]
            return -scores.numpy().mean(axis=0)

    return run


def cleanlab(model, X, y, X_val, y_val):
    from cleanlab.rank import get_label_quality_scores
    from sklearn.model_selection import cross_val_predict

    return lambda: get_label_quality_scores(y, cross_val_predict(model, X, y, cv=5, method="predict_proba"))


METHODS = {
    "skrdia newton-cg": skrdia_newton_cg,
    "skrdia CG, rtol 1e-13": skrdia_tight,
    "skrdia direct": skrdia_direct,
    "pyDVL direct": pydvl,
    "dattri explicit": _dattri("IFAttributorExplicit"),
    "dattri CG, 10 steps": _dattri("IFAttributorCG", max_iter=10),
    "dattri CG, 100 steps": _dattri("IFAttributorCG", max_iter=100),
    "captum naive": captum,
    "kronfluence EK-FAC": kronfluence,
    "cleanlab": cleanlab,
}


def measure(name: str, folder: str) -> None:
    """Run one method; store its numbers, print its time."""
    import joblib

    if name not in ("exact", "skrdia newton-cg"):
        import resource

        gib = int(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") * 0.8)
        resource.setrlimit(resource.RLIMIT_DATA, (gib, gib))
    run = (exact if name == "exact" else METHODS[name])(*joblib.load(Path(folder) / "table.joblib"))
    times, values = [], None
    while len(times) < 5 and sum(times) < 20.0:
        start = time.perf_counter()
        values = run()
        times.append(time.perf_counter() - start)
    np.save(Path(folder) / f"{name}.npy", values)
    print(min(times))


def in_process(name: str, folder: str, limit: float) -> tuple[float, str]:
    """Seconds, or the reason why there are none."""
    command = [sys.executable, "-W", "ignore", __file__, "--method", name, folder]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=limit)
    except subprocess.TimeoutExpired:
        return np.inf, f"stopped after {limit:g} s"
    if done.returncode == 0:
        return float(done.stdout.split()[-1]), ""
    lines = done.stderr.strip().splitlines()
    return np.inf, lines[-1][:120] if lines else f"ended with status {done.returncode}, out of memory"


def compare(part: str, limit: float) -> None:
    import joblib

    X, y, X_val, y_val, C = table(part)
    model = LogisticRegression(C=C, fit_intercept=False, tol=1e-8, max_iter=10_000).fit(X, y)
    print(f"{part}: {X.shape[0]:,} x {X.shape[1]:,}, {len(model.coef_) * X.shape[1]:,} parameters", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        joblib.dump((model, X, y, X_val, y_val), Path(folder) / "table.joblib")
        in_process("exact", folder, 600.0)
        truth = np.load(Path(folder) / "exact.npy")
        own = np.inf
        for name in METHODS:
            seconds, reason = in_process(name, folder, limit)
            if reason:
                print(f"  {name:22s} {reason}", flush=True)
                continue
            own = min(own, seconds) if name.startswith("skrdia") else own
            values = np.load(Path(folder) / f"{name}.npy")
            error = np.abs(values - truth).max() / np.abs(truth).max()
            shown = (
                f"error {error:.1e}, correlation {np.corrcoef(values, truth)[0, 1]:.4f}" if name != "cleanlab" else ""
            )
            print(f"  {name:22s} {seconds:8.3f} s, {seconds / own:7.1f} times skrdia  {shown}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", default=["dense"], help="dense, mnist, sparse")
    parser.add_argument("--limit", type=float, default=240.0, help="seconds for each method")
    parser.add_argument("--method", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.method:
        measure(*options.method)
        return
    for part in options.parts:
        compare(part, options.limit)


if __name__ == "__main__":
    main()
