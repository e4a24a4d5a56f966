"""The data sets of the paper, split as its authors split them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol, TypeVar

from sklearn.utils import Bunch

from skrdia.datasets._paper_files import File, cache_folder, obtain
from skrdia.datasets._paper_readers import Table
from skrdia.datasets._paper_tasks import TASKS, Shape, Source, Task

__all__ = ["fetch_paper_dataset", "obtain_source"]


def fetch_paper_dataset(
    name: str, *, data_home: str | os.PathLike[str] | None = None, download_if_missing: bool = True
) -> Any:
    """Load a data set of the paper's Table 5 with the authors' split, or a real stand-in for one.

    Files are looked for in the folder that the environment variable ``SKRDIA_DATA`` names, in its subfolder ``A``, and
    in the cache folder, compressed or not; a file that is nowhere is downloaded into the cache folder, which needs
    ``pip install 'skrdia[data]'``. A data set with several sources takes the first that is on this machine, and only if
    none is the first that can be downloaded. `PAPER_DATASETS` has the names of the paper's ten, in its order, and
    `STAND_INS` says what the others stand in for.

    Parameters
    ----------
    name : str
        One of these. "70/30" is by position: the last 30 % of the training block validate.

        * "breast-cancer", "diabetes": the first 500 rows 70/30, the others test; breast-cancer needs no file.
        * "news20", "real-sim": 15,000 and 60,000 random rows 70/30, the others test.
        * "adult": a1a.t 70/30, tested on a1a; or else a9a 70/30, tested on a9a.t.
        * "covtype": the first 400,000 rows 70/30, the others test; or else a sample of 92,962 rows cut likewise.
        * "criteo": every 100th row; the first 80 % of them 70/30, the others test. Not downloaded automatically.
        * "avazu": avazu-app.tr 70/30, tested on avazu-app.val.
        * "mnist": the digits 1 against 7 without the first 100 training images, 70/30; the test images test.
        * "cifar10": cats against birds; all training images train, a random 70 % of the test images validate.
        * "news20-bydate": stands in for news20; 15,000 random rows 70/30, the others test.
        * "reuters-moneyfx": stands in for real-sim; its training rows 70/30, its test rows test.
        * "mnist-11684": mnist with the last 11,684 training rows, the number in the paper's Table 3, 70/30.
    data_home : str or path-like, default=None
        The cache folder. By default ``skrdia`` in scikit-learn's data folder, see `sklearn.datasets.get_data_home`.
    download_if_missing : bool, default=True
        Whether to download a file that is not on this machine. Without, no network is used.

    Returns
    -------
    bunch : Bunch
        `X_train`, `X_val`, `X_test`: float64, ndarray or CSR with 32-bit indices; images are rows of pixels from 0 to
        1. `y_train`, `y_val`, `y_test`: int64, 0 or 1; `target_names` of the two. `name`; `title`, the name to print;
        `image_shape`, None where rows are not images; `files`, the paths read; `departure`, one sentence on how data
        or split differ from the authors', empty where they do not; `DESCR`.

    Raises
    ------
    ValueError
        If `name` is unknown, or a file cannot be read or holds another table than the published one. Where no checksum
        of a download is known, the comparison with the published size is the only check.
    FileNotFoundError
        If a file is missing and cannot be downloaded. The message says which file to put where, and its source.

    See Also
    --------
    load_breast_cancer_scale : The breast-cancer table in one piece.
    make_ctr_like : Synthetic rows of the size of Criteo and Avazu.
    flip_labels : Wrong labels.

    References
    ----------
    .. [1] Kong, Shen, Huang, "Resolving training biases via influence-based data relabeling", ICLR 2022, Table 5.

    Examples
    --------
    >>> from skrdia.datasets import fetch_paper_dataset
    >>> cancer = fetch_paper_dataset("breast-cancer")
    >>> cancer.X_train.shape, cancer.X_val.shape, cancer.X_test.shape
    ((350, 10), (150, 10), (183, 10))
    """
    if name not in TASKS:
        raise ValueError(f"name={name!r} is unknown; use one of {list(TASKS)}.")
    task = TASKS[name]
    source, paths = obtain_source(task.title, task.sources, cache_folder(data_home), download_if_missing)
    bunch = Bunch(name=name, title=task.title, image_shape=task.image_shape, departure=source.departure)
    bunch.target_names = list(task.target_names)
    bunch.files = [str(path) for path in paths]
    parts = zip(("train", "val", "test"), source.split(_read(task, source, paths)), strict=True)
    for part, (X, y) in parts:
        bunch[f"X_{part}"], bunch[f"y_{part}"] = X, y
    bunch.DESCR = _describe(task, bunch)
    return bunch


class HasFiles(Protocol):
    """A source of a data set."""

    @property
    def files(self) -> tuple[File, ...]:
        """What it consists of."""


_S = TypeVar("_S", bound=HasFiles)


def obtain_source(title: str, sources: Sequence[_S], cache: Path, download_if_missing: bool) -> tuple[_S, list[Path]]:
    """Return the first source all of whose files are on this machine, or else can be had, and their paths."""
    for download in (False, True) if download_if_missing else (False,):
        reasons = []
        for source in sources:
            try:
                return source, [obtain(file, cache, download) for file in source.files]
            except FileNotFoundError as error:
                reasons.append(str(error))
    choices = "\nor\n".join(
        "\n".join(f"  {file.name} from {file.url or file.origin}" for file in source.files) for source in sources
    )
    raise FileNotFoundError(
        f"{title} is not complete on this machine. Put these files into the folder that the environment variable "
        f"SKRDIA_DATA names (now {os.environ.get('SKRDIA_DATA') or 'unset'}) or into {cache}:\n{choices}\n"
        + "\n".join(dict.fromkeys(reasons))
    )


def _read(task: Task, source: Source, paths: Sequence[Path]) -> list[Table]:
    """Return the tables of a source if they have the published shapes."""
    names = ", ".join(str(path) for path in paths) or "the package's own copy"
    remedy = "Delete what is wrong, and fetch it again or put the published file there."
    try:
        tables = source.read(paths)
    except (ImportError, MemoryError):
        raise
    except Exception as error:  # whatever a damaged file makes the readers raise
        raise ValueError(f"{task.title}: {names} cannot be read: {error}. {remedy}") from error
    found = [
        Shape(X.shape[0], X.shape[1], None if expected.positives is None else int(y.sum()))
        for (X, y), expected in zip(tables, source.shapes, strict=True)
    ]
    if found != list(source.shapes):
        raise ValueError(
            f"{task.title}: {names} has {' and '.join(map(_spell, found))}; expected "
            f"{' and '.join(map(_spell, source.shapes))}. {remedy}"
        )
    return tables


def _spell(shape: Shape) -> str:
    positives = "" if shape.positives is None else f" ({shape.positives} of class 1)"
    return f"{shape.rows} rows{positives} x {shape.columns} columns"


def _describe(task: Task, bunch: Bunch) -> str:
    rows = ", ".join(
        f"{len(bunch[f'y_{part}']):,} rows {verb}"
        for part, verb in (("train", "train"), ("val", "validate"), ("test", "test"))
    )
    stands_for = f" Stands in for {task.stands_for}." if task.stands_for else ""
    description = f"{task.title}. {task.about}{stands_for} {bunch.X_train.shape[1]:,} columns; {rows}."
    return f"{description} {bunch.departure}".rstrip()
