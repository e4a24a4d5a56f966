"""What a fit takes in memory, and going on where an interrupted one has ended."""

import tracemalloc

import numpy as np
import pytest
from joblib import Memory
from numpy.testing import assert_allclose
from scipy import sparse
from sklearn.linear_model import LogisticRegression

from skrdia import RDIAClassifier, estimate_memory
from skrdia.blocks import RowBlocks
from skrdia.datasets import make_ctr_like

from .conftest import make_table

CALLS = []


class Counting(LogisticRegression):
    """Counts its fits, and is interrupted in one of them."""

    stop_at = None

    def fit(self, X, y, sample_weight=None):
        CALLS.append(X.shape)
        if len(CALLS) == type(self).stop_at:
            raise KeyboardInterrupt
        return super().fit(X, y, sample_weight)


@pytest.mark.parametrize(("n", "d", "n_classes"), [(100_000, 100, 2), (40_000, 100, 8), (5_000, 100_000, 3)])
def test_the_estimate_is_near_the_peak(n, d, n_classes):
    X = make_ctr_like(n, d, 15, random_state=0)[0]
    y = np.random.default_rng(0).integers(0, n_classes, n)
    clf = RDIAClassifier(LogisticRegression(C=1e-3), alpha=1.0)
    tracemalloc.start()
    clf.fit(X, y, trusted=np.arange(n) % 50 == 0)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    estimate = estimate_memory(X, n_classes=n_classes)
    guess = estimate.peak - estimate.rows - (estimate.hessian == "direct") * (estimate.direct - estimate.newton_cg)
    assert 0.7 < guess / peak < 1.6


def test_the_parts_of_an_estimate(monkeypatch):
    X = np.zeros((1000, 50), dtype=np.float32)
    estimate = estimate_memory(X)
    assert estimate.rows == estimate.copy == X.nbytes
    assert estimate.hessian == "direct"
    assert estimate.fits
    assert f"hessian='direct', of {estimate.available / 2**30:8.2f} GiB free" in str(estimate)
    S = sparse.random_array((1000, 50), density=0.1, format="csr", random_state=0)
    assert estimate_memory(S).rows == S.data.nbytes + S.indices.nbytes + S.indptr.nbytes
    for n_threads, n_blocks in ((1, 3), (4, 6)):
        monkeypatch.setattr("skrdia.blocks._openmp_effective_n_threads", lambda n=n_threads: n)
        assert estimate_memory(RowBlocks.from_array(X, block_rows=10)).rows == n_blocks * X[:10].nbytes
    assert estimate_memory(RowBlocks.from_array(X, block_rows=10)).copy == 0


def test_what_does_not_fit():
    X = np.lib.stride_tricks.as_strided(np.zeros(1), (10**9, 10**3), (0, 0))
    estimate = estimate_memory(X)
    assert estimate.hessian == "newton-cg"
    assert not estimate.fits
    assert "skrdia.dask" in str(estimate)


def test_bad_input_of_an_estimate():
    with pytest.raises(TypeError, match="X is a list"):
        estimate_memory([[1.0]])
    da = pytest.importorskip("dask.array")
    with pytest.raises(TypeError, match="one worker"):
        estimate_memory(da.zeros((3, 3)))


@pytest.mark.parametrize("params", [{"alpha": 0.5}, {"alpha": "auto"}], ids=str)
def test_an_interrupted_fit_goes_on(params, tmp_path, monkeypatch):
    """With `memory`, what was finished before the interruption is not done again."""
    data = make_table("breast_cancer")
    trusted = np.arange(len(data.y)) % 4 == 0
    clf = RDIAClassifier(Counting(C=0.1), random_state=0, memory=Memory(tmp_path, verbose=0), **params)
    CALLS.clear()
    known = RDIAClassifier(Counting(C=0.1), random_state=0, **params).fit(data.X, data.y, trusted=trusted)
    everything = len(CALLS)
    CALLS.clear()
    monkeypatch.setattr(Counting, "stop_at", everything)  # the last one
    with pytest.raises(KeyboardInterrupt):
        clf.fit(data.X, data.y, trusted=trusted)
    CALLS.clear()
    monkeypatch.setattr(Counting, "stop_at", None)
    clf.fit(data.X, data.y, trusted=trusted)
    assert 1 <= len(CALLS) <= everything / 2
    assert_allclose(clf.estimator_.coef_, known.estimator_.coef_)


def test_an_interrupted_fold_goes_on_with_those_before(tmp_path, monkeypatch):
    data = make_table("breast_cancer")
    trusted = np.arange(len(data.y)) % 4 == 0
    clf = RDIAClassifier(Counting(C=0.1), random_state=0, memory=Memory(tmp_path, verbose=0))
    CALLS.clear()
    RDIAClassifier(Counting(C=0.1), random_state=0).fit(data.X, data.y, trusted=trusted)
    everything = len(CALLS)
    CALLS.clear()
    monkeypatch.setattr(Counting, "stop_at", everything // 2)
    with pytest.raises(KeyboardInterrupt):
        clf.fit(data.X, data.y, trusted=trusted)
    CALLS.clear()
    monkeypatch.setattr(Counting, "stop_at", None)
    clf.fit(data.X, data.y, trusted=trusted)
    assert len(CALLS) < 0.8 * everything


def test_progress_in_products_and_rows(capsys, monkeypatch):
    monkeypatch.setattr("skrdia._progress._SECONDS", 0.0)
    data = make_table("breast_cancer")
    params = {"validation_fraction": 0.3, "random_state": 0, "verbose": 1}
    RDIAClassifier(LogisticRegression(), alpha=0.5, **params).fit(data.X, data.y)
    assert "[RDIA] step II: 1 products with the Hessian over 210 rows" in capsys.readouterr().out
