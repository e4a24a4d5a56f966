"""Rows in blocks: where they come from, what is taken of them, and that models see the same rows."""

from pathlib import Path
from time import sleep

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import LogisticRegression as InMemory
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler, scale

from skrdia import RDIAClassifier, influence
from skrdia.blocks import RowBlocks
from skrdia.linear_model import LogisticRegression

RNG = np.random.default_rng(0)
X, Y = load_breast_cancer(return_X_y=True)
X = scale(X)
KINDS = {
    "list": lambda X, path: RowBlocks([X[:100], X[100:103], X[103:]]),
    "csr list": lambda X, path: RowBlocks([sparse.csr_array(X[:100]), sparse.csr_array(X[100:])]),
    "function": lambda X, path: RowBlocks(lambda: (X[i : i + 90] for i in range(0, len(X), 90))),
    "array": lambda X, path: RowBlocks.from_array(X, block_rows=70),
    "csr": lambda X, path: RowBlocks.from_array(sparse.csr_array(X), block_rows=70),
    "memory map": lambda X, path: RowBlocks.from_array(mapped(X, path / "X.npy"), block_rows=70),
    "csr of memory maps": lambda X, path: RowBlocks.from_array(mapped_csr(sparse.csr_array(X), path), block_rows=70),
    "parquet": lambda X, path: parquet(X, path),
    "mapped": lambda X, path: RowBlocks.from_array(X + 1.0, block_rows=70).map(lambda block: block - 1.0),
    "above": lambda X, path: RowBlocks([X[:200]]).above(X[200:]),
}


def mapped(array, path):
    np.save(path, array)
    return np.load(path, mmap_mode="r")


def mapped_csr(X, path):
    arrays = [mapped(getattr(X, name), path / f"{name}.npy") for name in ("data", "indices", "indptr")]
    return sparse.csr_array(tuple(arrays), shape=X.shape)


def parquet(X, path):
    pa = pytest.importorskip("pyarrow")
    import pyarrow.parquet as pq

    names = [f"column {j}" for j in range(X.shape[1])]
    for part, rows in (("a", slice(0, 300)), ("b", slice(300, None))):
        columns = {name: X[rows, j] for j, name in enumerate(names)} | {"label": ["x"] * len(X[rows])}
        pq.write_table(pa.table(columns), path / f"{part}.parquet", row_group_size=120)
    return RowBlocks.from_parquet([path / "a.parquet", path / "b.parquet"], columns=names)


def dense(A):
    return A.toarray() if hasattr(A, "toarray") and not isinstance(A, np.ndarray) else A


@pytest.fixture(params=KINDS)
def blocks(request, tmp_path):
    return KINDS[request.param](X, tmp_path)


def test_every_source_has_the_same_rows(blocks):
    assert blocks.shape == X.shape
    assert len(blocks) == len(X)
    for _ in range(2):
        assert_allclose(np.vstack([dense(block) for block in blocks]), X, atol=1e-15)


def test_a_fit_on_blocks_is_the_fit_on_all_rows(blocks):
    model, known = (LogisticRegression(C=0.1, tol=1e-9).fit(rows, Y) for rows in (blocks, X))
    assert_allclose(model.coef_, known.coef_, atol=1e-7)
    assert_allclose(model.predict_proba(blocks), known.predict_proba(X), atol=1e-7)
    assert_array_equal(model.predict(blocks), known.predict(X))


def test_influence_of_rows_in_blocks(blocks):
    model = LogisticRegression(C=0.1, tol=1e-9).fit(X, Y)
    for hessian in ("newton-cg", "direct"):
        on_blocks, known = (influence(model, rows, Y, X[:50], Y[:50], hessian=hessian) for rows in (blocks, X))
        assert_allclose(on_blocks.by_label, known.by_label, atol=1e-6)
    assert_allclose(influence(model, blocks, Y, blocks, Y).by_label, influence(model, X, Y, X, Y).by_label, atol=1e-6)


@given(st.lists(st.integers(0, 568), max_size=40))
@settings(max_examples=60, deadline=None)
def test_take_is_indexing(positions):
    positions = np.sort(np.asarray(positions, dtype=np.intp))
    for blocks in (RowBlocks.from_array(X, block_rows=70), RowBlocks([X[:10]]).above(RowBlocks([X[10:]]))):
        assert_array_equal(blocks.take(positions), X[positions])


def test_large_selections_stay_blocks(monkeypatch):
    monkeypatch.setattr("skrdia.blocks._SMALL_BYTES", 0)
    blocks = RowBlocks.from_array(X, block_rows=70)
    rows = np.flatnonzero(Y == 1)
    chosen = blocks.take(rows)
    assert isinstance(chosen, RowBlocks)
    assert_array_equal(chosen.toarray(), X[rows])
    assert_array_equal(chosen.take(np.array([3, 3, 200])).toarray(), X[rows[[3, 3, 200]]])


@pytest.mark.parametrize("small", [0, 2**28])
@pytest.mark.parametrize(
    "params",
    [{"alpha": 0.3}, {"alpha": 0.3, "strategy": "drop", "max_iter": 3}, pytest.param({}, marks=pytest.mark.slow)],
    ids=str,
)
def test_rdia_on_blocks_is_that_of_all_rows(params, small, monkeypatch, tmp_path):
    monkeypatch.setattr("skrdia.blocks._SMALL_BYTES", small)
    trusted = RNG.random(len(Y)) < 0.3
    given = np.where((RNG.random(len(Y)) < 0.2) & ~trusted, 1 - Y, Y)
    blocks = RowBlocks.from_array(mapped(X, tmp_path / "X.npy"), block_rows=100)
    base = LogisticRegression(C=0.1, tol=1e-9)
    fits = [RDIAClassifier(base, random_state=0, **params).fit(rows, given, trusted=trusted) for rows in (blocks, X)]
    if not params:  # no trees are grown on blocks
        assert (fits[0].harmful_mask_ == fits[1].harmful_mask_).mean() > 0.98
        assert np.abs(fits[0].predict_proba(blocks) - fits[1].predict_proba(X)).mean() < 0.02
        return
    for name in ("harmful_mask_", "relabeled_y_", "validation_mask_"):
        assert_array_equal(getattr(fits[0], name), getattr(fits[1], name))
    assert_allclose(fits[0].influences_, fits[1].influences_, atol=1e-5)
    assert_allclose(fits[0].targets_, fits[1].targets_, atol=1e-4)
    assert_allclose(fits[0].predict_proba(blocks), fits[1].predict_proba(X), atol=1e-4)
    assert fits[0].ledger_["row"].tolist() == fits[1].ledger_["row"].tolist()


def test_validation_rows_from_elsewhere():
    blocks = RowBlocks.from_array(X[100:], block_rows=100)
    for val in (X[:100], RowBlocks.from_array(X[:100], block_rows=30)):
        on_blocks = RDIAClassifier(LogisticRegression(tol=1e-9), alpha=0.3).fit(
            blocks, Y[100:], X_val=val, y_val=Y[:100]
        )
        known = RDIAClassifier(LogisticRegression(tol=1e-9), alpha=0.3).fit(
            X[100:], Y[100:], X_val=X[:100], y_val=Y[:100]
        )
        assert_array_equal(on_blocks.harmful_mask_, known.harmful_mask_)
        assert_allclose(on_blocks.estimator_.coef_, known.estimator_.coef_, atol=1e-5)


def test_a_fitted_pipeline_transforms_each_block():
    raw = load_breast_cancer().data
    model = make_pipeline(StandardScaler(), InMemory(C=0.1, tol=1e-9)).fit(raw, Y)
    blocks = RowBlocks.from_array(raw, block_rows=100)
    assert_allclose(
        influence(model, blocks, Y, raw[:50], Y[:50]).by_label, influence(model, raw, Y, raw[:50], Y[:50]).by_label,
        atol=1e-6,
    )  # fmt: skip


def test_float32_stays():
    blocks = RowBlocks.from_array(X.astype(np.float32), block_rows=100)
    assert blocks.dtype == np.float32
    assert RowBlocks.from_array((X > 0).astype(np.int8)).dtype == np.float64
    single = LogisticRegression(tol=1e-9).fit(blocks, Y)
    double = LogisticRegression(tol=1e-9).fit(X.astype(np.float32).astype(np.float64), Y)
    assert_allclose(single.coef_, double.coef_, atol=1e-7)  # the sums are in double precision


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs Linux's count of mapped memory")
@pytest.mark.parametrize("is_sparse", [False, True])
def test_maps_do_not_stay_in_memory(tmp_path, is_sparse):
    """A pass over 32 MB in a file has a few blocks of 1 MB in memory at a time."""
    table = np.ones((4_096, 1_024))
    rows = mapped_csr(sparse.csr_array(table), tmp_path) if is_sparse else mapped(table, tmp_path / "X.npy")
    blocks = RowBlocks.from_array(rows, block_rows=128)

    def mapped_bytes():
        return 1_024 * int(Path("/proc/self/status").read_text().partition("RssFile:")[2].split()[0])

    before = mapped_bytes()
    most = max(mapped_bytes() - before for _ in blocks)
    assert most < 2**23
    assert_allclose(blocks.total(lambda block: np.asarray(block.sum(axis=0))), 4_096.0)


def test_threads_compute_with_blocks_of_their_own():
    """Sums and rows do not depend on which block is done first; a function that fails says so."""
    rng = np.random.default_rng(0)
    blocks = RowBlocks.from_array(rng.standard_normal((64, 3)), block_rows=2)

    def slow_at_first(block):
        sleep(1e-3 if abs(block[0, 0]) > 0.5 else 0.0)
        return block

    for _ in range(3):
        assert_array_equal(blocks.each(slow_at_first, 3), blocks.toarray())
        assert_array_equal(blocks.total(slow_at_first), blocks.total(lambda block: block.copy()))

    def failing(block):
        raise FloatingPointError("in a thread")

    with pytest.raises(FloatingPointError, match="in a thread"):
        blocks.total(failing)


def test_not_one_array_is_made_of_all_rows():
    """Blocks that are made when read, and the most that live at once."""
    alive, most = [0], [0]

    class Block(np.ndarray):
        def __del__(self):
            alive[0] -= 1 if self.base is None else 0

    def blocks():
        for i in range(0, len(X), 10):
            block = np.ndarray.__new__(Block, (len(X[i : i + 10]), X.shape[1]))
            block[:] = X[i : i + 10]
            alive[0] += 1
            most[0] = max(most[0], alive[0])
            yield block

    model = LogisticRegression(max_iter=1000).fit(RowBlocks(blocks), Y)
    influence(model, RowBlocks(blocks), Y, X[:20], Y[:20])
    assert most[0] <= 4


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: RowBlocks(iter([X])), TypeError, "only once"),
        (lambda: RowBlocks([]), ValueError, "no row"),
        (lambda: RowBlocks([X[:0]]), ValueError, "no row"),
        (lambda: RowBlocks([X[0]]), ValueError, "1 dimensions"),
        (lambda: list(RowBlocks([X, X[:, :3]])), ValueError, "3 columns, the first one 30"),
        (lambda: RowBlocks.from_array(X[0]), ValueError, "1 dimensions"),
        (lambda: RowBlocks.from_array(sparse.csc_array(X)), TypeError, "tocsr"),
        (lambda: RowBlocks([X]).take(np.array([3, 2])), ValueError, "must increase"),
        (lambda: RowBlocks([X]).above(X[:, :2]), ValueError, "2 columns, expected 30"),
        (lambda: RowBlocks([X]).map(lambda block: block[:1]), ValueError, "keep the rows"),
        (lambda: LogisticRegression().fit(RowBlocks([X]), Y[:5]), ValueError, "inconsistent"),
        (lambda: LogisticRegression().fit(RowBlocks([np.full((569, 2), np.nan)]), Y), ValueError, "NaN"),
        (lambda: LogisticRegression().fit(X, Y).predict(RowBlocks([X[:, :2]])), ValueError, "2 features"),
        (lambda: influence(InMemory().fit(X, Y), RowBlocks([X[:, :2]]), Y, X, Y), ValueError, "X: X has 2 features"),
    ],
)
def test_bad_input_is_named(make, error, message):
    with pytest.raises(error, match=message):
        make()


def test_blocks_that_change_between_passes():
    sizes = iter([100, 100, 90])

    def blocks():
        yield X[: next(sizes)]

    rows = RowBlocks(blocks)  # has called it twice, to count and for the columns
    with pytest.raises(ValueError, match="pass before"):
        list(rows)


def test_bad_parquet(tmp_path):
    pa = pytest.importorskip("pyarrow")
    import pyarrow.parquet as pq

    pq.write_table(pa.table({"a": [1.0, None], "b": ["x", "y"]}), tmp_path / "t.parquet")
    for columns, message in ((["a"], "'a' has 1 missing"), (["b"], "'b' has type")):
        with pytest.raises(ValueError, match=message):
            RowBlocks.from_parquet(tmp_path / "t.parquet", columns=columns)
