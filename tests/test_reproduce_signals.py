"""The command `skrdia reproduce signals`: cells, measurements, tables."""

import importlib.util

import numpy as np
import pytest
from click.testing import CliRunner

from skrdia.cli import main
from skrdia.datasets import fetch_paper_images
from skrdia.reproduce._names import KINDS
from skrdia.reproduce._signal_cells import RESULTS, SignalCell, load
from skrdia.reproduce._signal_runner import METHODS, PUBLISHED, methods_for, run_cell
from skrdia.signals import SIGNALS

HAS_CLEANLAB = importlib.util.find_spec("cleanlab") is not None


def cell(dataset="digits", model="linear", kind="uniform", rate=0.1, rows=900):
    return SignalCell(dataset, model, kind, rate, 0, rows)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("rate", [0.01, 0.2])
def test_cells(kind, rate):
    data = load(cell(kind=kind, rate=rate))
    again = load(cell(kind=kind, rate=rate))
    np.testing.assert_array_equal(data.X, again.X)
    np.testing.assert_array_equal(data.y, again.y)
    n = len(data.y)
    assert len(data.y_val) == 45
    assert set(data.y_val) == set(data.y) == set(range(10))
    np.testing.assert_allclose(data.X.std(axis=0)[data.X.std(axis=0) > 0], 1.0)
    spread = [np.sqrt((rows**2).mean()) for rows in (data.X_val, data.X[~data.bad])]
    assert spread[0] == pytest.approx(spread[1], rel=0.15)  # on one scale
    if kind == "class":
        assert len(np.unique(data.y[data.bad])) == 1
        assert data.bad.sum() == min(max(1, round(rate * n)), data.bad.sum())
    else:
        assert data.bad.sum() == round(rate * n)
    if kind in ("near", "far"):
        assert data.bad[-data.bad.sum() :].all()
        assert len(np.unique(data.y[data.bad])) == 1


@pytest.mark.slow
def test_cells_of_images():
    try:
        for name in ("mnist", "cifar10"):
            fetch_paper_images(name)
    except (FileNotFoundError, ImportError) as error:
        pytest.skip(str(error))
    for kind in KINDS:
        data = load(cell("mnist", "lenet", kind, 0.2))
        assert data.X.shape[1:] == data.X_val.shape[1:] == (1, 28, 28)
        assert 0.0 <= data.X.min() < data.X.max() <= 1.0
        assert len(np.unique(data.y)) == (9 if kind == "near" else 10)
        assert set(data.y_val) <= set(data.y)
    assert load(cell("mnist", "linear", rate=0.2)).X.ndim == 2


def test_every_signal_is_measured():
    names = {name.removesuffix("+trusted") for name in METHODS}
    assert names == (set(SIGNALS) | {"cleanlab", "isolation-forest"}) - {"leave-one-out"}
    assert set(PUBLISHED) < set(METHODS)
    assert "self-influence-loo" not in methods_for("lenet-tracin")


def test_measurements():
    methods = [name for name in METHODS if not name.startswith("cleanlab")]
    rows = {row["method"]: row for row in run_cell(cell(), methods)}
    assert not [row["error"] for row in rows.values() if row["error"]]
    assert rows["stacked-posterior"]["auroc"] > 0.95
    assert rows["self-influence"]["auroc"] > 0.9
    signed = rows["influence+trusted"]["auroc"] + rows["marginal-influence+trusted"]["auroc"]
    assert signed == pytest.approx(1.0)
    assert 0.0 < rows["influence+trusted"]["kept"] < 1.0
    rows = {row["method"]: row for row in run_cell(cell(kind="far"), ["isolation", "self-influence"])}
    assert rows["isolation"]["average_precision"] > 0.9
    assert rows["self-influence"]["auroc"] < 0.5


def test_a_failure_costs_its_own_figure_only(monkeypatch):
    def fail(evidence):
        raise ValueError("no such thing")

    monkeypatch.setitem(SIGNALS, "self-influence", fail)
    rows = run_cell(cell(), ["self-influence", "confidence"])
    assert rows[0]["error"] == "ValueError: no such thing"
    assert rows[1]["auroc"] > 0.9
    rows = run_cell(cell("no such table"), ["confidence"])
    assert "is unknown" in rows[0]["error"]


@pytest.mark.skipif(not HAS_CLEANLAB, reason="needs cleanlab")
def test_command(tmp_path):
    options = ["--datasets", "breast_cancer,spambase", "--models", "linear", "--kinds", "uniform,far", "--rates", "0.1"]
    methods = ",".join([*PUBLISHED, "stacked-posterior", "isolation", "cleanlab", "influence+trusted"])
    arguments = ["reproduce", "signals", *options, "--seeds", "2", "--methods", methods, "--output", str(tmp_path)]
    environment = {"SKRDIA_DATA": str(tmp_path)}
    result = CliRunner().invoke(main, arguments, catch_exceptions=False, env=environment)
    assert result.exit_code == 0
    text = (tmp_path / "signals.md").read_text()
    for title in (
        "Average precision: linear, tables, 4 cells",
        "The four published signals",
        "Cancellation",
        "Missing",
    ):
        assert title in text
    assert "set SKRDIA_DATA to a folder that has C/spambase.npz" in text
    kept = (tmp_path / "signals.csv").read_bytes()
    assert len(RESULTS.read(tmp_path / "signals.csv")) == 4 * 8
    again = CliRunner().invoke(main, arguments, catch_exceptions=False, env=environment)
    assert "0 cells measured" in again.output
    assert (tmp_path / "signals.csv").read_bytes() == kept


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--datasets", "iris"], "data set 'iris' is unknown"),
        (["--models", "forest"], "model 'forest' is unknown"),
        (["--kinds", "flips"], "kind 'flips' is unknown"),
        (["--rates", "0.7"], "0.7 is no share of glitches"),
        (["--methods", "margins"], "method 'margins' is unknown"),
        (["--rows", "5"], "5 is not in the range"),
    ],
)
def test_bad_options(options, message, tmp_path):
    result = CliRunner().invoke(main, ["reproduce", "signals", *options, "--output", str(tmp_path)])
    assert result.exit_code == 2
    assert message in " ".join(result.output.split())
