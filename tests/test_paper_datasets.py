"""The data sets of the paper: the published tables, splits and readers."""

import gzip
import io
import tarfile
from functools import cache, partial
from pathlib import Path

import numpy as np
import pytest
from scipy.sparse import csr_array, issparse, save_npz, vstack
from sklearn.datasets import dump_svmlight_file
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss

from skrdia.datasets import PAPER_DATASETS, STAND_INS, fetch_paper_dataset, load_breast_cancer_scale
from skrdia.datasets._paper_readers import split_first, split_random
from skrdia.datasets._paper_tasks import TASKS, Shape

from .conftest import expect, write_rows

# By the first file read: rows and positives of the three parts, columns.
PUBLISHED = {
    "": ((350, 150, 183), (164, 33, 42), 10),
    "diabetes_pima.npz": ((350, 150, 268), (134, 48, 86), 8),
    "news20.binary.bz2": ((10_500, 4_500, 4_996), None, 1_355_191),
    "news20_like_bydate_1-2gram.X.npz": ((10_500, 4_500, 3_846), None, 1_440_395),
    "a1a.t": ((21_669, 9_287, 1_605), (None, None, 395), 123),
    "a9a_train.X.npz": ((22_792, 9_769, 16_281), (5_437, 2_404, 3_846), 123),
    "real-sim.bz2": ((42_000, 18_000, 12_309), None, 20_958),
    "reuters_moneyfx_train.X.npz": ((5_439, 2_331, 3_299), (369, 169, 179), 8_315),
    "covtype.libsvm.binary.scale.bz2": ((280_000, 120_000, 181_012), None, 54),
    "covtype_sample93k.npz": ((44_800, 19_201, 28_961), None, 54),
    "mnist.npz": ((9_088, 3_895, 2_163), (4_775, 1_953, 1_135), 784),
    "train-images-idx3-ubyte.gz": ((9_088, 3_895, 2_163), (4_775, 1_953, 1_135), 784),
    "cifar10_jpeg.npz": ((10_000, 1_400, 600), (5_000, None, None), 3_072),
    "cifar-10-binary.tar.gz": ((10_000, 1_400, 600), (5_000, None, None), 3_072),
}
PARTS = ("train", "val", "test")


@cache
def load(name):
    """The data set as it is on this machine, without a download; kept, since images take a while to decode."""
    try:
        return fetch_paper_dataset(name, download_if_missing=False)
    except FileNotFoundError:
        return None


def real(name):
    bunch = load(name)
    if bunch is None:
        pytest.skip(f"needs the files of {name} in SKRDIA_DATA")
    return bunch


def numbers(bunch, column=0):
    return [np.asarray(bunch[f"X_{part}"][:, [column]].sum(axis=1)).ravel().astype(int).tolist() for part in PARTS]


# ------------------------------------------------------------------------------------------------ the published tables


def test_names():
    paper = "breast-cancer diabetes news20 adult real-sim covtype criteo avazu mnist cifar10"
    assert " ".join(PAPER_DATASETS) == paper
    assert STAND_INS == {"news20-bydate": "news20", "reuters-moneyfx": "real-sim", "mnist-11684": "mnist"}


@pytest.mark.parametrize("name", sorted(set(TASKS) - {"criteo", "avazu", "mnist-11684"}))
def test_rows_and_classes(name):
    bunch = real(name)
    first = Path(bunch.files[0]).name if bunch.files else ""
    rows, positives, columns = PUBLISHED[first]
    for part, n_rows, n_positives in zip(PARTS, rows, positives or (None, None, None), strict=True):
        X, y = bunch[f"X_{part}"], bunch[f"y_{part}"]
        assert X.shape == (n_rows, columns)
        assert (X.dtype, y.dtype, y.shape) == (np.float64, np.int64, (n_rows,))
        assert set(np.unique(y)) == {0, 1}
        assert n_positives in (None, y.sum())
        if issparse(X):
            assert (X.format, X.indices.dtype, X.indptr.dtype) == ("csr", np.int32, np.int32)
        else:
            assert isinstance(X, np.ndarray)
    assert (bunch.name, bunch.title) == (name, TASKS[name].title)
    assert bunch.departure in bunch.DESCR
    assert bunch.DESCR.startswith(bunch.title)


def test_breast_cancer_is_cut_by_position(retrieved):
    bunch, (X, y) = fetch_paper_dataset("breast-cancer"), load_breast_cancer_scale(return_X_y=True)
    np.testing.assert_array_equal(np.vstack([bunch[f"X_{part}"] for part in PARTS]), X)
    np.testing.assert_array_equal(np.concatenate([bunch[f"y_{part}"] for part in PARTS]), y)
    assert (bunch.files, bunch.departure, bunch.image_shape, retrieved) == ([], "", None, [])


@pytest.mark.parametrize(("name", "published"), [("breast-cancer", 0.0914), ("diabetes", 0.5170)])
def test_plain_logistic_regression_has_the_loss_of_the_paper(name, published):
    data = real(name)
    model = LogisticRegression(C=0.1, fit_intercept=False, tol=1e-7, solver="liblinear")
    model.fit(data.X_train, data.y_train)
    assert round(log_loss(data.y_test, model.predict_proba(data.X_test)), 4) == published


@pytest.mark.parametrize(("name", "shape"), [("mnist", (28, 28)), ("cifar10", (32, 32, 3))])
def test_images(name, shape):
    bunch = real(name)
    assert bunch.image_shape == shape
    for part in PARTS:
        images = bunch[f"X_{part}"].reshape(-1, *shape)
        assert (images.min(), images.max()) == (0.0, 1.0)


def test_scaled_columns():
    assert np.abs(real("diabetes").X_train).max() <= 1.0
    covtype = real("covtype")
    everything = np.vstack([covtype[f"X_{part}"] for part in PARTS])
    assert (everything.min(), everything.max()) == (0.0, 1.0)


def test_the_last_training_rows_of_mnist():
    shorter, longer = real("mnist-11684"), real("mnist")
    assert [len(shorter[f"y_{part}"]) for part in PARTS] == [8_178, 3_506, 2_163]
    assert (shorter.departure != "", longer.departure) == (True, "")
    for letter in "Xy":
        block = np.concatenate([longer[f"{letter}_train"], longer[f"{letter}_val"]])[-11_684:]
        np.testing.assert_array_equal(block[:8_178], shorter[f"{letter}_train"])
        np.testing.assert_array_equal(block[8_178:], shorter[f"{letter}_val"])
        np.testing.assert_array_equal(longer[f"{letter}_test"], shorter[f"{letter}_test"])


@pytest.mark.parametrize("name", ["news20-bydate", "reuters-moneyfx"])
def test_rows_of_text_have_length_one(name):
    bunch = real(name)
    assert STAND_INS[name] in bunch.departure
    norms = np.sqrt(vstack([bunch[f"X_{part}"] for part in PARTS]).power(2).sum(axis=1))
    np.testing.assert_allclose(norms, 1.0, atol=1e-4)


def test_departures_are_sentences():
    for task in TASKS.values():
        for source in task.sources:
            assert not source.departure or (source.departure[0].isupper() and source.departure.endswith("."))


# ----------------------------------------------------------------------------------- splits and readers, in small files


@pytest.mark.parametrize("suffix", ["", ".bz2", ".gz"])
def test_split_by_position_of_two_files(folder, monkeypatch, suffix):
    expect(monkeypatch, "adult", shapes=(Shape(10, 123, 5), Shape(4, 123, 2)))
    write_rows(folder / f"a1a.t{suffix}", 10)
    write_rows(folder / f"a1a{suffix}", 4, first=11)
    bunch = fetch_paper_dataset("adult", download_if_missing=False)
    assert numbers(bunch) == [[1, 2, 3, 4, 5, 6, 7], [8, 9, 10], [11, 12, 13, 14]]
    assert bunch.y_train.tolist() == [1, 0, 1, 0, 1, 0, 1]
    assert bunch.X_train.nnz == 14
    assert (bunch.X_train.indices.dtype, bunch.X_train.indptr.dtype) == (np.int32, np.int32)
    assert [Path(path).name for path in bunch.files] == [f"a1a.t{suffix}", f"a1a{suffix}"]
    assert bunch.departure == ""


@pytest.mark.parametrize("name", ["news20", "real-sim"])
def test_random_split(folder, monkeypatch, name):
    columns = TASKS[name].sources[0].shapes[0].columns
    expect(monkeypatch, name, shapes=(Shape(50, columns),), split=partial(split_random, n_block=20))
    write_rows(folder / TASKS[name].sources[0].files[0].name, 50)
    bunch = fetch_paper_dataset(name, download_if_missing=False)
    train, val, test = drawn = numbers(bunch)
    assert (len(train), len(val), len(test)) == (14, 6, 30)
    assert sorted([*train, *val, *test]) == list(range(1, 51))
    assert train != sorted(train)
    assert numbers(fetch_paper_dataset(name, download_if_missing=False)) == drawn
    for part, rows in zip(PARTS, drawn, strict=True):
        assert bunch[f"y_{part}"].tolist() == [row % 2 for row in rows]


def test_class_2_of_covtype_and_class_minus_1_of_diabetes_are_the_positive_ones(folder, monkeypatch):
    expect(monkeypatch, "covtype", shapes=(Shape(20, 54, 10),), split=partial(split_first, n_block=10))
    write_rows(folder / "covtype.libsvm.binary.scale", 20, labels=(2, 1))
    bunch = fetch_paper_dataset("covtype", download_if_missing=False)
    assert isinstance(bunch.X_train, np.ndarray)
    assert numbers(bunch) == [list(range(1, 8)), [8, 9, 10], list(range(11, 21))]
    assert bunch.y_train.tolist() == [0, 1, 0, 1, 0, 1, 0]

    expect(monkeypatch, "diabetes", source=1, shapes=(Shape(20, 8, 10),), split=partial(split_first, n_block=10))
    write_rows(folder / "diabetes_scale", 20)
    assert fetch_paper_dataset("diabetes", download_if_missing=False).y_train.tolist() == [0, 1, 0, 1, 0, 1, 0]


def test_both_sources_of_diabetes_are_the_same_table(folder, monkeypatch):
    rng = np.random.default_rng(0)
    X, y = rng.integers(0, 100, size=(20, 8)), np.arange(20) % 2
    scaled = 2.0 * (X - X.min(axis=0)) / (X.max(axis=0) - X.min(axis=0)) - 1.0
    small = {"shapes": (Shape(20, 8, 10),), "split": partial(split_first, n_block=10)}
    np.savez(folder / "diabetes_pima.npz", X=X.astype(np.float32), y=y)
    dump_svmlight_file(scaled, 1 - 2 * y, str(folder / "diabetes_scale"), zero_based=False)
    bunches = []
    for source in (0, 1):
        with monkeypatch.context() as patch:
            expect(patch, "diabetes", source, **small)
            bunches.append(fetch_paper_dataset("diabetes", download_if_missing=False))
    for part in PARTS:
        np.testing.assert_allclose(bunches[0][f"X_{part}"], bunches[1][f"X_{part}"], atol=1e-12)
        np.testing.assert_array_equal(bunches[0][f"y_{part}"], bunches[1][f"y_{part}"])


@pytest.mark.parametrize("suffix", ["", ".bz2", ".gz"])
def test_every_100th_row_of_criteo(folder, monkeypatch, suffix):
    expect(monkeypatch, "criteo", shapes=(Shape(20, 1_000_000),), split=partial(split_first, n_block=16))
    write_rows(folder / f"criteo.kaggle2014.train.svm{suffix}", 1950, labels=(0, 1))
    train, val, test = numbers(fetch_paper_dataset("criteo", download_if_missing=False))
    assert (len(train), len(val), len(test)) == (11, 5, 4)
    assert [*train, *val, *test] == list(range(1, 1951, 100))


def test_avazu(folder, monkeypatch):
    expect(monkeypatch, "avazu", shapes=(Shape(10, 1_000_000), Shape(5, 1_000_000)))
    write_rows(folder / "avazu-app.tr.bz2", 10, labels=(0, 1))
    write_rows(folder / "avazu-app.val", 5, labels=(0, 1), first=11)
    assert numbers(fetch_paper_dataset("avazu")) == [list(range(1, 8)), [8, 9, 10], list(range(11, 16))]


def test_pairs_of_sparse_rows_and_labels(folder, monkeypatch):
    expect(monkeypatch, "news20-bydate", shapes=(Shape(8, 4, 4),), split=partial(split_first, n_block=5))
    X = np.arange(32).reshape(8, 4) % 5
    save_npz(folder / "news20_like_bydate_1-2gram.X.npz", csr_array(X.astype(np.int8)))
    np.savez(folder / "news20_like_bydate_1-2gram.y.npz", y=np.array([1, -1] * 4, dtype=np.int8))
    bunch = fetch_paper_dataset("news20-bydate", download_if_missing=False)
    np.testing.assert_allclose(bunch.X_train.toarray(), (X / np.linalg.norm(X, axis=1, keepdims=True))[:3])
    assert bunch.y_test.tolist() == [0, 1, 0]


def digits(n, seed):
    rng = np.random.default_rng(seed)
    return rng.integers(0, 256, size=(n, 28, 28), dtype=np.uint8), rng.integers(0, 10, size=n, dtype=np.uint8)


def idx(array):
    return bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">i4").tobytes() + array.tobytes()


@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_both_sources_of_mnist_are_the_same_table(folder, monkeypatch, suffix):
    (X, y), (X_test, y_test) = digits(300, 0), digits(60, 1)
    kept, kept_test = np.isin(y[100:], [1, 7]), np.isin(y_test, [1, 7])
    ones = [int((labels == 1).sum()) for labels in (y[100:], y_test)]
    shapes = (Shape(kept.sum(), 784, ones[0]), Shape(kept_test.sum(), 784, ones[1]))
    if suffix:
        for name, array in (("train-images-idx3", X), ("train-labels-idx1", y)):
            (folder / f"{name}-ubyte.gz").write_bytes(gzip.compress(idx(array)))
        for name, array in (("t10k-images-idx3", X_test), ("t10k-labels-idx1", y_test)):
            (folder / f"{name}-ubyte").write_bytes(idx(array))
    else:
        np.savez(folder / "mnist.npz", X_train=X, y_train=y, X_test=X_test, y_test=y_test)
    expect(monkeypatch, "mnist", source=bool(suffix), shapes=shapes)
    bunch = fetch_paper_dataset("mnist", download_if_missing=False)
    block = np.vstack([bunch.X_train, bunch.X_val])
    np.testing.assert_array_equal(block, X[100:][kept].reshape(-1, 784) / 255)
    np.testing.assert_array_equal(np.r_[bunch.y_train, bunch.y_val], y[100:][kept] == 1)
    np.testing.assert_array_equal(bunch.X_test, X_test[kept_test].reshape(-1, 784) / 255)
    assert len(bunch.y_train) == int(0.7 * len(block))


def test_cifar10_binary(folder, monkeypatch):
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, size=(60, 32, 32, 3), dtype=np.uint8)
    labels = np.tile([0, 2, 3, 5, 2], 12).astype(np.uint8)
    records = np.c_[labels, images.transpose(0, 3, 1, 2).reshape(60, -1)]
    with tarfile.open(folder / "cifar-10-binary.tar.gz", "w:gz") as archive:
        for number, name in enumerate(["test_batch", *(f"data_batch_{number}" for number in range(1, 6))]):
            content = records[10 * number : 10 * number + 10].tobytes()
            member = tarfile.TarInfo(f"cifar-10-batches-bin/{name}.bin")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    expect(monkeypatch, "cifar10", shapes=(Shape(30, 3072, 10), Shape(6, 3072, 2)))
    bunch = fetch_paper_dataset("cifar10", download_if_missing=False)
    rows = np.flatnonzero(np.isin(labels, [2, 3]))
    np.testing.assert_array_equal(bunch.X_train, images[rows[6:]].reshape(30, -1) / 255)
    np.testing.assert_array_equal(bunch.y_train, labels[rows[6:]] == 3)
    held_out = np.vstack([bunch.X_val, bunch.X_test])
    assert (len(bunch.X_val), len(bunch.X_test)) == (4, 2)
    assert {row.tobytes() for row in held_out} == {row.tobytes() for row in images[rows[:6]].reshape(6, -1) / 255}
    assert "600" in bunch.departure
