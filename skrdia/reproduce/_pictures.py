"""Figure 3: for chosen test images the three training images of the same label that harm them most.

For each label the test image is the one with the largest loss among those that the model, trained on clean labels,
gets right. The influences are those of the model trained on the labels as given.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from threadpoolctl import threadpool_limits

from skrdia._matrix import influence_matrix
from skrdia._train import fit_targets
from skrdia._validation import one_hot
from skrdia.datasets import fetch_paper_dataset
from skrdia.reproduce._drawing import new_figure
from skrdia.reproduce._jobs import Job, message
from skrdia.reproduce._names import EPOCHS
from skrdia.reproduce._paper_cells import Data, PaperCell, load
from skrdia.reproduce._paper_methods import CLASSES, paper_base
from skrdia.reproduce._results import Row, Schema
from skrdia.reproduce._text import TextTable

__all__ = ["NOISES", "RESULTS", "draw", "find", "jobs", "table"]

NOISES = (0.0, 0.5)
RANKS = ("most harmful", "second", "third")


@dataclass(frozen=True)
class Picture:
    """A test image of a data set, one for each label, with a share of the training labels flipped."""

    dataset: str
    noise: float
    label: int
    model: str = "logistic"


RESULTS = Schema(Picture, counts=("test_row", "train_row", "true_label"), numbers=("influence", "test_loss"))


def jobs(datasets: Iterable[str], noises: Iterable[float], model: str = "logistic") -> list[Job]:
    """List the pictures of the figure.

    Parameters
    ----------
    datasets : iterable of str
        Data sets of images.
    noises : iterable of float
        Shares of flipped training labels.
    model : {"logistic", "lenet"}, default="logistic"
        The classifier.

    Returns
    -------
    jobs : list of tuple
        Each test image with the ranks of its training images.
    """
    noises = list(noises)
    cells = product(datasets, noises, (0, 1))
    return [(Picture(name, noise, label, model), list(RANKS)) for name, noise, label in cells]


def find(picture: Picture, ranks: list[str]) -> list[Row]:
    """Find the most harmful training images of one test image.

    Parameters
    ----------
    picture : Picture
        The test image.
    ranks : list of str
        Which of the three.

    Returns
    -------
    rows : list of dict
        A row for each rank; a failure has a text in `error`.
    """
    try:
        with threadpool_limits(limits=1), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = dict(zip(RANKS, _harmful(picture), strict=True))
    except Exception as error:  # recorded, and reported at the end
        return [RESULTS.row_of(picture, rank, error=message(error)) for rank in ranks]
    return [RESULTS.row_of(picture, rank, **found[rank]) for rank in ranks]


def _harmful(picture: Picture) -> list[dict[str, Any]]:
    data = load(PaperCell(picture.dataset, picture.noise))
    train = _trainer(picture, data)
    row, loss = _test_image(train(data.y_true), data, picture.label)
    phi = influence_matrix(train(data.y), data.X, data.y, data.X_test[[row]], data.y_test[[row]])[0]
    worst = np.argsort(np.where(data.y == picture.label, -phi, np.inf), kind="stable")[: len(RANKS)]
    return [
        {
            "test_row": int(row),
            "train_row": int(i),
            "true_label": int(data.y_true[i]),
            "influence": float(phi[i]),
            "test_loss": loss,
        }
        for i in worst
    ]


def _trainer(picture: Picture, data: Data) -> Callable[[Any], Any]:
    """From labels to a model trained on them."""
    model: Any = paper_base()
    if picture.model == "lenet":
        from skrdia.reproduce._nets import make_net

        shape = (-1, 1, 28, 28) if picture.dataset == "mnist" else (-1, 32, 32, 3)
        net = make_net("lenet", picture.dataset, EPOCHS["lenet"], n_classes=2)
        model = make_pipeline(FunctionTransformer(_as_images, kw_args={"shape": shape}), net)
    return lambda labels: fit_targets(model, data.X, one_hot(labels, 2), CLASSES, seed=0)


def _as_images(X: Any, shape: tuple[int, ...]) -> Any:
    """Rows of pixels as images in single precision, channels first."""
    images = X.reshape(shape).astype(np.float32)
    return images if shape[-1] != 3 else np.ascontiguousarray(images.transpose(0, 3, 1, 2))


def _test_image(model: Any, data: Data, label: int) -> tuple[np.intp, float]:
    """The test image with the largest loss that the model of the right labels gets right, and that loss."""
    proba = model.predict_proba(data.X_test)[:, label]
    candidates = np.flatnonzero((data.y_test == label) & (proba > 0.5))
    row = candidates[proba[candidates].argmin()]
    return row, float(-np.log(proba[row]))


def table(rows: Iterable[Row]) -> TextTable:
    """Return what was found.

    Parameters
    ----------
    rows : iterable of dict
        Of the results file, without failures.

    Returns
    -------
    table : TextTable
        A line for each image; a label is that of the test image, which the training image was given too.
    """
    text = [
        [
            row["dataset"],
            row["model"],
            f"{row['noise']:g}",
            str(row["label"]),
            str(row["test_row"]),
            f"{row['test_loss']:.3f}",
            str(row["train_row"]),
            str(row["true_label"]),
            f"{row['influence']:.4f}",
        ]
        for row in rows
    ]
    columns = [
        "data set",
        "model",
        "noise",
        "label",
        "test row",
        "test loss",
        "training row",
        "its right label",
        "influence",
    ]
    return TextTable("Figure 3: the training images of the same label that harm a test image most", columns, text)


def draw(rows: Sequence[Row], path: Path) -> None:
    """Draw the figure: a line of four images for each picture.

    Parameters
    ----------
    rows : sequence of dict
        Of the results file, without failures.
    path : Path
        The image file to write.
    """
    pictures: dict[Picture, list[Row]] = {}
    for row in rows:
        pictures.setdefault(RESULTS.cell_of(row), []).append(row)
    bunches = {name: fetch_paper_dataset(name) for name in dict.fromkeys(row["dataset"] for row in rows)}
    figure = new_figure(6.4, 1.75 * len(pictures))
    axes = figure.subplots(len(pictures), 1 + len(RANKS), squeeze=False)
    for line, (picture, harmful) in zip(axes, pictures.items(), strict=True):
        bunch = bunches[picture.dataset]
        names = bunch.target_names
        noise = f"{picture.noise:.0%} flipped" if picture.noise else "no label flipped"
        title = f"{bunch.title}, {noise}\ntest: {names[picture.label]}"
        _show(line[0], bunch.X_test[harmful[0]["test_row"]], bunch.image_shape, title)
        for axis, row in zip(line[1:], sorted(harmful, key=lambda row: -row["influence"]), strict=True):
            truth = names[row["true_label"]]
            wrong = "" if row["true_label"] == picture.label else f"\nlabelled {names[picture.label]}"
            _show(axis, bunch.X_train[row["train_row"]], bunch.image_shape, f"{row['influence']:.3g}\n{truth}{wrong}")
    figure.savefig(path, dpi=150)


def _show(axis: Any, pixels: Any, shape: tuple[int, ...], title: str) -> None:
    axis.imshow(pixels.reshape(shape), cmap="gray_r" if len(shape) == 2 else None, vmin=0, vmax=1)
    axis.set_title(title, fontsize=8)
    axis.set_axis_off()
