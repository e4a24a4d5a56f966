"""Readers, from the files of a data set to its tables; and splits, from its tables to the rows of the three parts.

A reader returns one table (X, y), or two where the test rows have files of their own. X is float64, dense or CSR with
32-bit indices; y is int64, 0 or 1.
"""

from __future__ import annotations

import bz2
import gzip
import io
import tarfile
from collections.abc import Callable, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array, load_npz
from sklearn.datasets import load_svmlight_file, load_svmlight_files
from sklearn.preprocessing import minmax_scale, normalize

from skrdia.datasets._base import load_breast_cancer_scale

__all__ = [
    "Images",
    "Reader",
    "Split",
    "Table",
    "cifar10_binary",
    "cifar10_jpeg",
    "cifar100_binary",
    "mnist_idx",
    "mnist_npz",
    "read_cifar10_binary",
    "read_cifar10_jpeg",
    "read_covtype_sample",
    "read_embedded",
    "read_libsvm",
    "read_libsvm_sample",
    "read_mnist_idx",
    "read_mnist_npz",
    "read_pima",
    "read_sparse_npz",
    "split_by_position",
    "split_first",
    "split_last",
    "split_random",
    "split_test",
]

Table: TypeAlias = tuple[Any, NDArray[np.int64]]
LabelledImages: TypeAlias = tuple[NDArray[np.uint8], NDArray[Any]]
Images: TypeAlias = tuple[LabelledImages, LabelledImages]
Reader: TypeAlias = Callable[[Sequence[Path]], list[Table]]
Split: TypeAlias = Callable[[Sequence[Table]], tuple[Table, Table, Table]]

_CIFAR_BIRD, _CIFAR_CAT = 2, 3
_CIFAR_SHAPE = (32, 32, 3)


# ------------------------------------------------------------------------------------------------------------- tables


def read_embedded(paths: Sequence[Path]) -> list[Table]:
    return [load_breast_cancer_scale(return_X_y=True)]


def read_pima(paths: Sequence[Path]) -> list[Table]:
    with np.load(paths[0]) as stored:
        scaled = minmax_scale(stored["X"].astype(np.float64), (-1, 1))
        return [(scaled, _labels(stored["y"]))]


def read_covtype_sample(paths: Sequence[Path]) -> list[Table]:
    with np.load(paths[0]) as stored:
        X = stored["X"].astype(np.float64)
        low, high = stored["scale_min"].astype(np.float64), stored["scale_max"].astype(np.float64)
        X[:, : len(low)] = (X[:, : len(low)] - low) / (high - low)
        return [(X, _labels(stored["y_binary"]))]


def read_libsvm(paths: Sequence[Path], *, n_features: int, positive: int = 1, dense: bool = False) -> list[Table]:
    """Read files of one table each; `positive` is the label of class 1."""
    parts = load_svmlight_files([str(path) for path in paths], n_features=n_features)
    return [
        (X.toarray() if dense else _csr(X), _labels(y, positive)) for X, y in zip(parts[::2], parts[1::2], strict=True)
    ]


def read_libsvm_sample(paths: Sequence[Path], *, n_features: int, step: int) -> list[Table]:
    """Read every `step`-th row of a file that is too large to hold."""
    with _open(paths[0]) as lines:
        sample = io.BytesIO(b"".join(islice(lines, 0, None, step)))
    X, y = load_svmlight_file(sample, n_features=n_features)
    return [(_csr(X), _labels(y))]


def read_sparse_npz(paths: Sequence[Path], *, unit_rows: bool = False) -> list[Table]:
    """Read pairs of files, of rows and of their labels."""
    tables = []
    for X_path, y_path in zip(paths[::2], paths[1::2], strict=True):
        X = _csr(load_npz(X_path))
        with np.load(y_path) as stored:
            tables.append((normalize(X, copy=False) if unit_rows else X, _labels(stored["y"])))
    return tables


def _csr(X: Any) -> Any:
    rows = csr_array(X, dtype=np.float64)
    rows.indices, rows.indptr = rows.indices.astype(np.int32, copy=False), rows.indptr.astype(np.int32, copy=False)
    return rows


def _labels(y: NDArray[Any], positive: int = 1) -> NDArray[np.int64]:
    return (y == positive).astype(np.int64)


def _open(path: Path) -> Any:
    openers: dict[str, Callable[..., Any]] = {".bz2": bz2.open, ".gz": gzip.open}
    return openers.get(path.suffix, open)(path, "rb")


# ------------------------------------------------------------------------------------------------------------- images


def mnist_npz(paths: Sequence[Path]) -> Images:
    """All digits: bytes (n, 28, 28) and labels, of the training and of the test images."""
    with np.load(paths[0]) as stored:
        X, y, X_test, y_test = (stored[key] for key in ("X_train", "y_train", "X_test", "y_test"))
    return (X, y), (X_test, y_test)


def mnist_idx(paths: Sequence[Path]) -> Images:
    """The same, of the four original files."""
    X, y, X_test, y_test = map(_read_idx, paths)
    return (X, y), (X_test, y_test)


def read_mnist_npz(paths: Sequence[Path]) -> list[Table]:
    return _one_or_seven(*mnist_npz(paths))


def read_mnist_idx(paths: Sequence[Path]) -> list[Table]:
    return _one_or_seven(*mnist_idx(paths))


def _read_idx(path: Path) -> NDArray[np.uint8]:
    """Read an array of bytes: two zeros, 8 for the type, the number of axes, their lengths big-endian, the bytes."""
    with _open(path) as file:
        content = file.read()
    n_axes = content[3]
    shape = np.frombuffer(content, ">i4", count=n_axes, offset=4)
    return np.frombuffer(content, np.uint8, offset=4 + 4 * n_axes).reshape(shape)


def _one_or_seven(train: LabelledImages, test: LabelledImages) -> list[Table]:
    # The authors leave out the first 100 training images, of all digits, before they select two digits.
    return [_two_classes(train[0][100:], train[1][100:], 1, 7), _two_classes(*test, 1, 7)]


def cifar10_binary(paths: Sequence[Path]) -> Images:
    """All classes: bytes (n, 32, 32, 3) and labels, of the training and of the test images."""
    with tarfile.open(paths[0]) as archive:
        train = b"".join(_member(archive, f"data_batch_{number}") for number in range(1, 6))
        return _images_of(train), _images_of(_member(archive, "test_batch"))


def cifar100_binary(paths: Sequence[Path]) -> Images:
    """All hundred classes: bytes (n, 32, 32, 3) and labels, of the training and of the test images."""
    with tarfile.open(paths[0]) as archive:
        train, test = (_bytes(archive, f"cifar-100-binary/{part}.bin") for part in ("train", "test"))
    return _images_of(train, 2), _images_of(test, 2)


def read_cifar10_binary(paths: Sequence[Path]) -> list[Table]:
    return [_two_classes(*part, _CIFAR_CAT, _CIFAR_BIRD) for part in cifar10_binary(paths)]


def _member(archive: tarfile.TarFile, name: str) -> bytes:
    return _bytes(archive, f"cifar-10-batches-bin/{name}.bin")


def _bytes(archive: tarfile.TarFile, name: str) -> bytes:
    file = archive.extractfile(name)
    if file is None:
        raise ValueError(f"{name} is not a file")
    return file.read()


def _images_of(records: bytes, n_labels: int = 1) -> LabelledImages:
    """Images and labels of records of labels, the last of which counts, and three planes of 32 x 32 bytes."""
    labelled = np.frombuffer(records, np.uint8).reshape(-1, n_labels + 3 * 32 * 32)
    return labelled[:, n_labels:].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1), labelled[:, n_labels - 1]


def read_cifar10_jpeg(paths: Sequence[Path]) -> list[Table]:
    parts = cifar10_jpeg(paths, (_CIFAR_CAT, _CIFAR_BIRD))
    return [_two_classes(*part, _CIFAR_CAT, _CIFAR_BIRD) for part in parts]


def cifar10_jpeg(paths: Sequence[Path], classes: Sequence[int] = range(10)) -> Images:
    """Read JPEG streams that share their first bytes; the rest is stored one stream after another."""
    with np.load(paths[0]) as stored:
        labels, n_train = stored["y"], int(stored["n_train"])
        streams, prefix = stored["data"].tobytes(), stored["prefix"].tobytes()
        ends = np.cumsum(stored["lengths"], dtype=np.int64)
    starts = np.r_[0, ends[:-1]]
    rows = np.flatnonzero(np.isin(labels, classes))
    images = _decode([prefix + streams[starts[row] : ends[row]] for row in rows])
    train, test = rows < n_train, rows >= n_train
    return (images[train], labels[rows[train]]), (images[test], labels[rows[test]])


def _decode(streams: Sequence[bytes]) -> NDArray[np.uint8]:
    try:
        from PIL import Image
    except ImportError as error:
        raise ImportError("reading JPEG images needs Pillow: pip install 'skrdia[data]'") from error
    images = np.empty((len(streams), *_CIFAR_SHAPE), dtype=np.uint8)
    for image, stream in zip(images, streams, strict=True):
        image[...] = np.asarray(Image.open(io.BytesIO(stream)))
    return images


def _two_classes(images: NDArray[np.uint8], labels: NDArray[Any], one: int, zero: int) -> Table:
    """Return the images of two classes as rows, pixels from 0 to 1."""
    kept = (labels == one) | (labels == zero)
    return images[kept].reshape(kept.sum(), -1) / 255.0, _labels(labels[kept], one)


# ------------------------------------------------------------------------------------------------------------- splits


def split_by_position(tables: Sequence[Table]) -> tuple[Table, Table, Table]:
    """Two tables, of training and of test rows: the last 30 % of the training rows validate."""
    (X, y), test = tables
    n_train = len(y) * 7 // 10
    return (X[:n_train], y[:n_train]), (X[n_train:], y[n_train:]), test


def split_first(tables: Sequence[Table], *, n_block: int) -> tuple[Table, Table, Table]:
    """One table: the first `n_block` rows train and validate, the others test."""
    ((X, y),) = tables
    return split_by_position([(X[:n_block], y[:n_block]), (X[n_block:], y[n_block:])])


def split_last(tables: Sequence[Table], *, n_block: int) -> tuple[Table, Table, Table]:
    """Two tables, of training and of test rows: the last `n_block` of the training rows are cut by position."""
    (X, y), test = tables
    return split_by_position([(X[-n_block:], y[-n_block:]), test])


def split_random(tables: Sequence[Table], *, n_block: int) -> tuple[Table, Table, Table]:
    """One table: a random `n_block` rows train and validate, the others test."""
    ((X, y),) = tables
    order = np.random.RandomState(0).permutation(len(y))
    return split_first([(X[order], y[order])], n_block=n_block)


def split_test(tables: Sequence[Table]) -> tuple[Table, Table, Table]:
    """Two tables: all rows of the first train; of the second, a random 70 % validate and the others test."""
    train, (X, y) = tables
    order = np.random.RandomState(0).permutation(len(y))
    val, test = np.split(order, [len(y) * 7 // 10])
    return train, (X[val], y[val]), (X[test], y[test])
