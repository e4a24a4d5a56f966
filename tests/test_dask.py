"""Rows of Dask: the numbers of rows in memory, results that stay on the cluster, and workers that are lost."""

import os
import signal
import threading
import time

import numpy as np
import pytest
from joblib import parallel_config
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn import config_context
from sklearn.base import clone
from sklearn.datasets import make_classification
from sklearn.linear_model import LogisticRegression as InMemory
from sklearn.model_selection import GridSearchCV
from sklearn.utils.fixes import parse_version

from skrdia import RDIAClassifier, influence
from skrdia.blocks import RowBlocks
from skrdia.linear_model import LogisticRegression

da = pytest.importorskip("dask.array")
distributed = pytest.importorskip("distributed")
DaskBlocks = pytest.importorskip("skrdia._dask_blocks").DaskBlocks

CHUNK = 250
N = 1_000
NAMES = np.array(["no", "yes"])
RNG = np.random.default_rng(0)
X, RIGHT = make_classification(N, 12, n_informative=6, class_sep=1.5, random_state=0)
TRUSTED = RNG.random(N) < 0.3
WRONG = (RNG.random(N) < 0.2) & ~TRUSTED
Y = NAMES[np.where(WRONG, 1 - RIGHT, RIGHT)]
BASE = LogisticRegression(tol=1e-6)


@pytest.fixture(scope="module")
def client():
    settings = {"n_workers": 2, "threads_per_worker": 1, "processes": False, "dashboard_address": ":0"}
    with distributed.LocalCluster(**settings) as cluster, distributed.Client(cluster) as client:
        yield client


def lazy(array, chunk=CHUNK):
    return da.from_array(array, chunks=(chunk, *array.shape[1:]))


def lazy_csr(array):
    return lazy(array).map_blocks(sparse.csr_array, meta=sparse.csr_array((0, 0)))


def frame(array):
    dd = pytest.importorskip("dask.dataframe")
    pd = pytest.importorskip("pandas")
    return dd.from_pandas(pd.DataFrame(array, columns=[f"c{j}" for j in range(array.shape[1])]), chunksize=CHUNK)


def column(array):
    dd = pytest.importorskip("dask.dataframe")
    pd = pytest.importorskip("pandas")
    return dd.from_pandas(pd.Series(array, dtype=object), chunksize=CHUNK)


KINDS = {
    "array": (lazy, lazy),
    "csr": (lazy_csr, lazy),
    "frame": (frame, column),
    "labels in memory": (lazy, np.asarray),
}


@pytest.mark.parametrize("kind", KINDS)
def test_the_fit_is_that_of_rows_in_memory(client, kind):
    rows, labels = KINDS[kind]
    model, known = clone(BASE).fit(rows(X), labels(Y)), clone(BASE).fit(X, Y)
    assert_allclose(model.coef_, known.coef_, atol=1e-6)
    assert_array_equal(model.predict(rows(X)).compute(), known.predict(X))
    assert_allclose(model.predict_proba(rows(X)).compute(), known.predict_proba(X), atol=1e-6)
    if kind == "frame":
        assert model.feature_names_in_.tolist() == [f"c{j}" for j in range(12)]


@pytest.mark.slow
def test_more_classes_and_weights(client):
    X, y = make_classification(600, 8, n_informative=6, n_classes=3, random_state=0)
    weight = RNG.uniform(0.5, 2.0, 600)
    for params in ({}, {"class_weight": "balanced", "fit_intercept": False}):
        model = LogisticRegression(tol=1e-7, **params).fit(lazy(X), lazy(y), lazy(weight))
        known = InMemory(tol=1e-9, max_iter=10_000, **params).fit(X, y, weight)
        assert_allclose(model.coef_, known.coef_, atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("hessian", ["newton-cg", "direct"])
def test_influence(client, hessian):
    model = InMemory(tol=1e-9).fit(X, Y)
    given = influence(model, X, Y, X[:50], Y[:50], hessian=hessian)
    clf = RDIAClassifier(LogisticRegression(tol=1e-7), alpha=0.3, hessian=hessian)
    clf.fit(lazy(X), lazy(Y), X_val=X[:50], y_val=Y[:50])
    assert isinstance(clf.label_influences_, da.Array)
    assert clf.label_influences_.chunks == ((CHUNK,) * 4, (2,))
    assert_allclose(clf.label_influences_.compute(), given.by_label, atol=1e-4)


@pytest.mark.slow
def test_the_numbers_are_those_of_the_same_blocks_in_this_process(client):
    """The sums are made in the same order, so that rounding is the same too."""
    S = sparse.csr_array(np.where(np.abs(X) > 0.5, X, 0.0))
    clf, judges = RDIAClassifier(BASE, alpha=0.3), {"X_val": S[:50], "y_val": Y[:50]}
    here = clone(clf).fit(RowBlocks([S[i : i + CHUNK] for i in range(0, N, CHUNK)]), Y, **judges)
    there = clone(clf).fit(lazy_csr(S.toarray()), lazy(Y), **judges)
    assert_allclose(there.influences_.compute(), here.influences_, rtol=1e-10, atol=0.0)
    assert_allclose(there.estimator_.coef_, here.estimator_.coef_, rtol=1e-10, atol=0.0)


def test_workers_know_the_size_of_sparse_rows(client):
    """Or Dask would rather move the rows than a vector."""
    S = sparse.csr_array(np.tile(X, 10))
    before = set(client.run_on_scheduler(lambda dask_scheduler: [*dask_scheduler.tasks]))
    blocks = DaskBlocks.of(lazy_csr(S.toarray()))
    sizes = client.run_on_scheduler(lambda dask_scheduler: {k: t.nbytes for k, t in dask_scheduler.tasks.items()})
    held = [size for key, size in sizes.items() if key not in before and "_block" in str(key)]
    assert len(held) == blocks.n_blocks
    assert sum(held) >= S.data.nbytes + S.indices.nbytes


PARAMS = [
    {"alpha": 0.3},
    {"alpha": 0.3, "strategy": "drop", "max_iter": 2, "refit_on": "train"},
    {"alpha": 0.8, "signal": "trusted-confidence"},
]


@pytest.mark.slow
@pytest.mark.parametrize("params", PARAMS, ids=str)
def test_rdia_is_that_of_rows_in_memory(client, params):
    clf = RDIAClassifier(LogisticRegression(tol=1e-7), **params)
    known = clone(clf).fit(X, Y, trusted=TRUSTED)
    clf.fit(lazy(X), lazy(Y), trusted=lazy(TRUSTED))
    for name in ("harmful_mask_", "relabeled_y_", "validation_mask_"):
        assert isinstance(getattr(clf, name), da.Array)
        assert_array_equal(getattr(clf, name).compute(), getattr(known, name))
    for name in ("influences_", "label_influences_", "scores_", "targets_"):  # confidence is by a draft in memory
        tolerance = 0.01 if name == "scores_" and "signal" in params else 1e-4
        assert_allclose(getattr(clf, name).compute(), getattr(known, name), atol=tolerance)
    assert_allclose(clf.estimator_.coef_, known.estimator_.coef_, atol=1e-5)
    assert_allclose(clf.predicted_gain_, known.predicted_gain_, atol=1e-5)
    assert clf.n_iter_ == known.n_iter_
    assert clf.termination_condition_ == known.termination_condition_
    assert clf.history_[0].keys() == known.history_[0].keys()
    assert clf.history_[0]["n_harmful"] == known.history_[0]["n_harmful"]
    assert_array_equal(clf.predict(X), known.predict(X))


@pytest.mark.slow
def test_soft_targets_of_a_noise_model(client):
    """Folds are drawn, so the numbers are not those of rows in memory; most wrong labels are found all the same."""
    clf = RDIAClassifier(BASE, alpha=0.5, signal="posterior", random_state=0)
    known = clone(clf).fit(X, Y, trusted=TRUSTED)
    clf.fit(lazy(X), lazy(Y), trusted=lazy(TRUSTED))
    left, known_left = ((np.asarray(f.relabeled_y_) != NAMES[RIGHT]).sum() for f in (clf, known))
    assert left < 0.8 * WRONG.sum()
    assert left < 1.2 * known_left


@pytest.mark.slow
def test_auto(client):
    """The candidates that work block by block; in memory there are others, and verified rows are looked at first."""
    clf = RDIAClassifier(BASE, random_state=0)
    known = clone(clf).fit(X, Y, trusted=TRUSTED)
    clf.fit(lazy(X), lazy(Y), trusted=lazy(TRUSTED))
    assert clf.termination_condition_.startswith("average of")
    assert f"judged on {N - TRUSTED.sum()} training and {TRUSTED.sum()} validation rows" in clf.termination_condition_
    signals = {line["signal"] for line in clf.history_}
    assert signals < {line["signal"] for line in known.history_}  # those that work block by block
    wrong, known_wrong = ((np.asarray(f.relabeled_y_) != NAMES[RIGHT]).sum() for f in (clf, known))
    assert max(wrong, known_wrong) < 0.5 * (NAMES[RIGHT] != Y).sum()
    proba = clf.predict_proba(X), known.predict_proba(X)
    assert np.abs(proba[0] - proba[1]).mean() < 0.03


@pytest.mark.slow
def test_held_out_rows_do_not_depend_on_the_cluster(client):
    params = {"alpha": 0.3, "validation_fraction": 0.3, "random_state": 0}
    fits = [RDIAClassifier(BASE, **params).fit(lazy(X), lazy(Y)) for _ in range(2)]
    assert_array_equal(fits[0].validation_mask_.compute(), fits[1].validation_mask_.compute())
    assert 0.2 < fits[0].validation_mask_.mean().compute() < 0.4


@pytest.mark.slow
def test_changed_partitions_give_the_same_numbers(client):
    fits = [
        RDIAClassifier(LogisticRegression(tol=1e-8, solver="newton-cg"), alpha=0.3).fit(
            lazy(X[:500], chunk), lazy(Y[:500], 90), trusted=lazy(TRUSTED[:500], 130)
        )
        for chunk in (CHUNK, 200)
    ]
    assert_allclose(fits[0].estimator_.coef_, fits[1].estimator_.coef_, atol=1e-6)
    assert fits[1].influences_.chunks == ((200, 200, 100),)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"base": InMemory()}, TypeError, "skrdia.dask.LogisticRegression"),
        ({"params": {"signal": "self-influence", "alpha": 1.0}}, ValueError, "signal='self-influence' needs all rows"),
        ({"params": {"strategy": "optlr", "alpha": 1.0}}, ValueError, "strategy='optlr' needs all rows"),
        ({"params": {"hessian": "lissa"}}, ValueError, "hessian='lissa' needs all rows"),
        ({"params": {"cv": 3, "alpha": 0.5}}, ValueError, "cv needs all rows"),
        ({"params": {"compute_std": True}}, ValueError, "compute_std=True needs all rows"),
        ({"y_given": Y}, ValueError, "y_given needs all rows in memory"),
        ({"y": lazy(Y[:10])}, ValueError, "y has 10"),
        ({"y": lazy(np.full(N, "no"))}, ValueError, "1 class"),
        ({"trusted": lazy(TRUSTED.astype(int))}, ValueError, "trusted has dtype int64, expected bool"),
        ({"trusted": lazy(TRUSTED & (RIGHT == 0))}, ValueError, "the validation rows are all of class"),
        ({"sample_weight": lazy(-np.ones(N))}, ValueError, "sample_weight is between -1 and -1"),
        ({"X": lazy(np.full((N, 2), np.nan))}, ValueError, "NaN"),
        ({"X_val": X[:5], "y_val": Y[:5]}, ValueError, "given twice"),
        ({"trusted": None, "X_val": X[:5]}, ValueError, "belong together"),
    ],
    ids=str,
)
def test_bad_input_is_named(client, change, error, message):
    arguments = {"X": lazy(X), "y": lazy(Y), "trusted": lazy(TRUSTED)} | change
    clf = RDIAClassifier(arguments.pop("base", BASE), **arguments.pop("params", {"alpha": 0.3}))
    with pytest.raises(error, match=message):
        clf.fit(arguments.pop("X"), arguments.pop("y"), **arguments)


@pytest.mark.slow
@pytest.mark.skipif(
    parse_version(distributed.__version__) < parse_version("2026.1"),
    reason="a search through joblib hangs on an in-process cluster of distributed 2025.1",
)
def test_auto_and_searches_through_joblib(client):
    """Rows in memory: the folds of "auto", and the cells of a search, are the tasks of the cluster."""
    alone = RDIAClassifier(InMemory(), random_state=0).fit(X, Y, trusted=TRUSTED)
    with config_context(enable_metadata_routing=True):
        clf = RDIAClassifier(InMemory(), random_state=0).set_fit_request(trusted=True)
        search = GridSearchCV(clf, {"alpha": [0.2, 0.4]}, cv=2, scoring="neg_log_loss")
        found = clone(search).fit(X, Y, trusted=TRUSTED)
        with parallel_config("dask"):
            spread = clone(search).fit(X, Y, trusted=TRUSTED)
            auto = clone(alone).set_params(n_jobs=2).fit(X, Y, trusted=TRUSTED)
    assert_allclose(spread.cv_results_["mean_test_score"], found.cv_results_["mean_test_score"], rtol=1e-8)
    assert_allclose(auto.targets_, alone.targets_, atol=1e-8)


def test_without_a_cluster(monkeypatch):
    def missing():
        raise ValueError("No clients found")

    monkeypatch.setattr("skrdia._dask_blocks.get_client", missing)
    with pytest.raises(ValueError, match="client = Client"):
        clone(BASE).fit(lazy(X), lazy(Y))


@pytest.mark.slow
def test_a_lost_worker(client):
    """Killed in the middle of the fit: what it held is made again, and the numbers are those of rows in blocks."""
    S = sparse.csr_array(np.where(np.abs(X) > 0.5, X, 0.0))
    blocks = [S[i : i + 100] for i in range(0, N, 100)]
    model = LogisticRegression(C=0.1, tol=1e-9)
    known = clone(model).fit(RowBlocks(blocks), Y)
    settings = {"n_workers": 2, "threads_per_worker": 1, "processes": True, "dashboard_address": ":0"}
    with (
        distributed.LocalCluster(**settings) as cluster,
        distributed.Client(cluster, set_as_default=False) as own,
        own.as_current(),
    ):
        rows = lazy(S.toarray(), 100).map_blocks(sparse.csr_array, meta=sparse.csr_array((0, 0)))
        clone(model).set_params(max_iter=1, tol=1.0).fit(rows, lazy(Y, 100))  # the workers have loaded everything
        victim = next(iter(cluster.workers.values()))
        pid = victim.pid
        killer = threading.Timer(1.0, os.kill, (pid, signal.SIGKILL))
        killer.start()
        fitted = clone(model)
        until = time.monotonic() + 60.0
        while victim.pid == pid and time.monotonic() < until:  # fits go on until the worker has been replaced
            fitted = clone(model).fit(rows, lazy(Y, 100))
        killer.join()
        again = clone(model).fit(rows, lazy(Y, 100))
    assert victim.pid != pid
    assert_allclose(fitted.coef_, known.coef_, atol=1e-8)
    assert_allclose(again.coef_, known.coef_, atol=1e-8)
