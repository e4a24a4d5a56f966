"""The cells and the methods of the paper's tables, and what is measured of them."""

import numpy as np
import pytest
from scipy.sparse import csr_array
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.utils import Bunch

from skrdia import RDIAClassifier
from skrdia._validation import one_hot
from skrdia.datasets import fetch_paper_dataset, load_breast_cancer_scale
from skrdia.reproduce import _paper_cells, _paper_methods
from skrdia.reproduce._names import DRAWS
from skrdia.reproduce._paper_cells import RESULTS, PaperCell, load
from skrdia.reproduce._paper_methods import ALPHAS, METHODS, Task, paper_base
from skrdia.reproduce._paper_runner import run_cell
from skrdia.reproduce._published import TABLE_1

CANCER = "breast-cancer"


def task_of(noise=0.0, seed=0, dataset=CANCER, **params):
    return Task(load(PaperCell(dataset, noise, seed=seed, **params)), seed)


def loss_of(model, data):
    return log_loss(data.y_test, model.predict_proba(data.X_test))


@pytest.fixture
def toy(monkeypatch):
    """A sparse data set whose rows are numbered, in the place of every data set: 70 training rows, 30, 20."""
    X = np.zeros((120, 3))
    X[:, 0], X[:, 1] = np.arange(120), 1.0
    y = np.arange(120) % 3 % 2
    bunch = Bunch()
    for name, rows in zip(("train", "val", "test"), np.split(np.arange(120), [70, 100]), strict=True):
        bunch[f"X_{name}"], bunch[f"y_{name}"] = csr_array(X[rows]), y[rows]
    _paper_cells._fetch.cache_clear()
    monkeypatch.setattr(_paper_cells, "fetch_paper_dataset", lambda name: bunch)
    yield bunch
    _paper_cells._fetch.cache_clear()


def numbers(X):
    """The numbers of the rows of the toy data set."""
    return X.toarray()[:, 0].astype(int)


# ---------------------------------------------------------------------------------------------------------------- cells


def test_the_split_of_the_authors():
    X, y = load_breast_cancer_scale(return_X_y=True)
    data = load(PaperCell(CANCER))
    for found, rows in (("", slice(350)), ("_val", slice(350, 500)), ("_test", slice(500, None))):
        np.testing.assert_array_equal(getattr(data, f"X{found}"), X[rows])
        np.testing.assert_array_equal(getattr(data, f"y{found}"), y[rows])
    np.testing.assert_array_equal(data.y, data.y_true)


@pytest.mark.parametrize("noise", [0.2, 0.8])
@pytest.mark.parametrize("split", ["paper", "random"])
def test_labels_are_flipped_after_the_split(noise, split):
    data, clean = load(PaperCell(CANCER, noise, split)), load(PaperCell(CANCER, 0.0, split))
    assert (data.y != data.y_true).mean() == pytest.approx(noise)
    for name in ("X", "y_true", "X_val", "y_val", "X_test", "y_test"):
        np.testing.assert_array_equal(getattr(data, name), getattr(clean, name))


def test_a_random_split_draws_the_validation_rows_from_the_block(toy):
    drawn = [load(PaperCell("any", split="random", seed=seed)) for seed in range(5)]
    for data in drawn:
        train, val = numbers(data.X), numbers(data.X_val)
        assert (len(train), len(val)) == (70, 30)
        assert sorted([*train, *val]) == list(range(100))
        np.testing.assert_array_equal(data.y, train % 3 % 2)
        np.testing.assert_array_equal(data.y_val, val % 3 % 2)
        np.testing.assert_array_equal(numbers(data.X_test), np.arange(100, 120))
    assert len({tuple(numbers(data.X_val)) for data in drawn}) == 5
    assert 15 < np.mean([(numbers(data.X_val) < 70).sum() for data in drawn]) < 27  # 21 of 30 expected


def test_some_of_the_validation_rows(toy):
    cells = [PaperCell("any", 0.4, n_val=12, seed=seed) for seed in (0, 0, 1)]
    first, again, other = (numbers(load(cell).X_val) for cell in cells)
    assert len(set(first)) == 12
    assert set(first) <= set(range(70, 100))
    np.testing.assert_array_equal(first, again)
    assert set(first) != set(other)
    data = load(cells[0])
    np.testing.assert_array_equal(data.y_val, first % 3 % 2)
    assert len(data.y) == 70
    assert load(PaperCell("any", n_val=500)).X_val.shape[0] == 30


def test_seeds(toy):
    flipped = [np.flatnonzero(task.data.y != task.data.y_true) for task in (task_of(0.4, s) for s in (0, 0, 1))]
    np.testing.assert_array_equal(flipped[0], flipped[1])
    assert set(flipped[0]) != set(flipped[2])


def test_fetched_arrays_stay_as_they_are(monkeypatch):
    monkeypatch.delenv("SKRDIA_DATA", raising=False)
    kept, before = _paper_cells._fetch(CANCER, None), fetch_paper_dataset(CANCER)
    for cell in (PaperCell(CANCER), PaperCell(CANCER, 0.4, "random", 100)):
        rows = run_cell(cell, [name for name in METHODS if "auto" not in name])
        assert {row["error"] for row in rows} == {""}
    for part in ("train", "val", "test"):
        np.testing.assert_array_equal(kept[f"X_{part}"], before[f"X_{part}"])
        np.testing.assert_array_equal(kept[f"y_{part}"], before[f"y_{part}"])


# -------------------------------------------------------------------------------------------------------------- methods


def test_breast_cancer_to_the_digits_of_the_paper():
    task = task_of()
    losses = {name: loss_of(METHODS[name](task).model, task.data) for name in TABLE_1[CANCER]}
    assert f"{losses['erm']:.4f}" == "0.0914"
    assert f"{losses['dropout']:.4f}" == "0.0731"
    assert losses["rdia best on test"] == pytest.approx(0.0649, abs=0.0002)
    assert losses["optlr"] == pytest.approx(0.0934, abs=0.004)
    assert losses["rdia"] < losses["dropout"] < losses["uids-sigmoid"] < losses["erm"] < losses["random"]


@pytest.mark.parametrize(
    ("dataset", "method", "mean"),
    [("diabetes", "erm", 0.5170), ("diabetes", "rdia best on test", 0.4920), ("mnist", "rdia at 0.002", 0.0207)],
)
def test_real_tables_near_the_paper(dataset, method, mean):
    try:
        task = Task(load_without_download(dataset), 0)
    except FileNotFoundError:
        pytest.skip(f"needs the files of {dataset} in SKRDIA_DATA")
    assert loss_of(METHODS[method](task).model, task.data) == pytest.approx(mean, abs=0.0003)


def load_without_download(dataset):
    fetch_paper_dataset(dataset, download_if_missing=False)
    return load(PaperCell(dataset))


ROUNDS = {
    "erm": ("none", 0.0),
    "dropout": ("drop", 0.0),
    "optlr": ("optlr", 0.0),
    "uids-linear": ("uids-linear", 0.0),
    "uids-sigmoid": ("uids-sigmoid", 0.0),
    **{f"rdia at {alpha:g}": ("relabel", alpha) for alpha in (0.01, 0.002, 0.0002)},
}


def one_round(data, strategy, alpha, seed=0):
    """The classifier of the package, with a threshold in the scale of the reference code."""
    rng = np.random.RandomState([seed, 1])
    clf = RDIAClassifier(
        paper_base(),
        alpha=alpha / (0.1 * len(data.y_val) / len(data.y)),
        signal="influence",
        strategy=strategy,
        refit_on="train",
        random_state=rng,
    )
    return clf.fit(data.X, data.y, X_val=data.X_val, y_val=data.y_val)


@pytest.mark.parametrize("params", [{}, {"noise": 0.4, "seed": 3}, {"noise": 0.4, "n_val": 60}])
@pytest.mark.parametrize("name", ROUNDS)
def test_a_method_is_a_round_of_the_classifier(name, params):
    task = task_of(**params)
    outcome, clf = METHODS[name](task), one_round(task.data, *ROUNDS[name], task.seed)
    np.testing.assert_array_equal(outcome.labels, clf.targets_)
    np.testing.assert_allclose(
        outcome.model.predict_proba(task.data.X_test), clf.predict_proba(task.data.X_test), atol=1e-6
    )


@pytest.mark.parametrize(("noise", "n_val"), [(0.0, 0), (0.4, 0), (0.4, 50)])
def test_tuned_has_the_lowest_validation_loss_of_the_grid(noise, n_val):
    task = task_of(noise, n_val=n_val)
    data = task.data
    grid = {alpha: one_round(data, "relabel", alpha) for alpha in ALPHAS}
    for name, X, y in (("rdia", data.X_val, data.y_val), ("rdia best on test", data.X_test, data.y_test)):
        losses = {alpha: log_loss(y, clf.predict_proba(X)) for alpha, clf in grid.items()}
        outcome = METHODS[name](task)
        assert losses[outcome.alpha] == pytest.approx(min(losses.values()), abs=1e-9)
        np.testing.assert_array_equal(outcome.labels, grid[outcome.alpha].targets_)


def test_of_equals_the_largest_alpha(monkeypatch):
    monkeypatch.setattr(_paper_methods, "ALPHAS", (5.0, 6.0, 7.0))
    task = task_of(0.4)
    for name in ("rdia", "rdia best on test"):
        outcome = METHODS[name](task)
        assert outcome.alpha == 7.0
        np.testing.assert_array_equal(outcome.labels, one_hot(task.data.y, 2))


def test_random_changes_as_many_labels_as_rdia_and_others_than_the_flips():
    shares = []
    for seed in range(12):
        task = task_of(0.4, seed)
        changed, relabelled = ((METHODS[name](task).labels != task.given).any(axis=1) for name in ("random", "rdia"))
        assert changed.sum() == relabelled.sum() > 80
        shares.append((task.data.y != task.data.y_true)[changed].mean())
        assert (task.data.y != task.data.y_true)[relabelled].mean() > 0.7
    assert np.mean(shares) == pytest.approx(0.4, abs=0.05)
    assert np.abs(np.array(shares) - 0.4).max() < 0.2


@pytest.mark.parametrize("name", ["optlr", "uids-linear", "uids-sigmoid"])
def test_draws_change_with_the_seed(name):
    zero, one = (METHODS[name](task_of(seed=seed)).labels for seed in (0, 1))
    assert (zero != one).any()
    np.testing.assert_array_equal(zero, METHODS[name](task_of()).labels)


def test_ends_are_plain_fits():
    task = task_of(0.4)
    data = task.data
    both = np.vstack([data.X, data.X_val])
    for name, X, y in (
        ("erm", data.X, data.y),
        ("perfect", data.X, data.y_true),
        ("validation only", data.X_val, data.y_val),
        ("erm and validation", both, np.r_[data.y, data.y_val]),
        ("perfect and validation", both, np.r_[data.y_true, data.y_val]),
    ):
        model = LogisticRegression(C=0.1, fit_intercept=False, tol=1e-10).fit(X, y)
        found = METHODS[name](task).model.predict_proba(data.X_test)
        np.testing.assert_allclose(found, model.predict_proba(data.X_test), atol=1e-4, err_msg=name)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "refit_on"), [("auto", "all"), ("auto on training rows", "train")])
def test_auto_is_the_classifier_as_it_comes(name, refit_on):
    task = task_of(0.4, 1)
    data = task.data
    clf = RDIAClassifier(paper_base(), refit_on=refit_on, random_state=1)
    clf.fit(data.X, data.y, X_val=data.X_val, y_val=data.y_val)
    outcome = METHODS[name](task)
    np.testing.assert_allclose(outcome.model.predict_proba(data.X_test), clf.predict_proba(data.X_test), atol=1e-6)
    np.testing.assert_allclose(outcome.labels, clf.targets_)


def test_what_is_measured():
    cell = PaperCell(CANCER, 0.4, seed=1)
    names = ["erm", "dropout", "perfect", "validation only"]
    rows = {row["method"]: row for row in run_cell(cell, names)}
    task = task_of(0.4, 1)
    data = task.data
    for name, row in rows.items():
        model = METHODS[name](task).model
        assert RESULTS.cell_of(row) == cell
        assert (row["n_train"], row["n_features"], row["error"]) == (350, 10, "")
        assert row["loss"] == pytest.approx(loss_of(model, data))
        assert row["validation_loss"] == pytest.approx(log_loss(data.y_val, model.predict_proba(data.X_val)))
        assert row["accuracy"] == (model.predict(data.X_test) == data.y_test).mean()
    assert [rows[name]["n_changed"] for name in ("erm", "perfect", "validation only")] == [0, 140, 350]
    assert [rows[name]["n_wrong"] for name in ("erm", "perfect", "validation only")] == [140, 0, 350]
    harmful = task.influence.values > 0.0
    assert rows["dropout"]["n_changed"] == harmful.sum()
    assert rows["dropout"]["n_wrong"] == (harmful | (data.y != data.y_true)).sum()


def test_methods_that_do_not_draw_give_the_same_for_every_seed():
    names = [name for name in METHODS if name not in DRAWS]
    zero, one = (run_cell(PaperCell(CANCER, seed=seed), names) for seed in (0, 1))
    assert [row["loss"] for row in zero] == [row["loss"] for row in one]
