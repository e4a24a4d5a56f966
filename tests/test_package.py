"""The package as a whole: what importing it loads, its documentation, its command and its data."""

import importlib
import importlib.util
import pkgutil
import re
import subprocess
import sys

import numpy as np
import pytest
from click.testing import CliRunner
from numpydoc.validate import validate

import skrdia
import skrdia.plotting
from skrdia.cli import main
from skrdia.datasets import load_breast_cancer_scale

OPTIONAL = [
    "PIL",
    "cleanlab",
    "click",
    "dask",
    "jinja2",
    "matplotlib",
    "narwhals",
    "pandas",
    "polars",
    "pooch",
    "rich",
    "skorch",
    "torch",
    "tqdm",
]
HAS_TORCH = importlib.util.find_spec("skorch") is not None
OF_TORCH = {f"skrdia.{name}" for name in ("_ls_rules", "_rdia_ls", "tracin", "views._torch", "views._skorch")} | {
    f"skrdia.reproduce.{name}" for name in ("_ls_methods", "_nets", "_net_methods")
}
# Allowed: no extended summary or See Also section, a summary on a line with the quotes, and no type in a Returns line.
IGNORED = {"GL01", "GL02", "GL08", "ES01", "SA01", "EX01", "RT02", "PR09", "RT05", "SA04", "YD01", "GL03", "RT03"}


def test_importing_loads_no_optional_package():
    code = f"import sys; from skrdia import *; print([m for m in {OPTIONAL} if m in sys.modules])"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()
    sklearn_alone = f"import sys, sklearn.linear_model; print([m for m in {OPTIONAL} if m in sys.modules])"
    already = subprocess.run([sys.executable, "-c", sklearn_alone], capture_output=True, text=True, check=True).stdout
    assert loaded == already.strip()


def public_names():
    modules = [skrdia] + [
        importlib.import_module(f"skrdia.{name}")
        for name in ("datasets", "plotting", "signals", "solvers", "strategies", "views")
    ]
    if HAS_TORCH:
        modules.append(importlib.import_module("skrdia.tracin"))
    for module in modules:
        for name in module.__all__:
            value = getattr(module, name)
            if callable(value):
                yield f"{module.__name__}.{name}"
    for name in ("fit", "predict", "predict_proba", "predict_log_proba", "decision_function", "score"):
        yield f"skrdia.RDIAClassifier.{name}"
    for name in ("fit", "fit_predict", "predict", "score_samples", "decision_function"):
        yield f"skrdia.InfluenceLabelDetector.{name}"
    for name in skrdia.plotting.__all__:
        for method in vars(getattr(skrdia.plotting, name)):
            if method == "plot" or method.startswith("from_"):
                yield f"skrdia.plotting.{name}.{method}"
    for name in vars(skrdia.Ledger) | vars(skrdia.Ledger.__mro__[1]):
        if not name.startswith("_"):
            yield f"skrdia.Ledger.{name}"
    yield "skrdia.Comparison.to_frame"
    yield "skrdia.Influence.to_frame"


@pytest.mark.parametrize("name", list(public_names()))
def test_docstrings(name):
    errors = [f"{code}: {text}" for code, text in validate(name)["errors"] if code not in IGNORED]
    if name.startswith("skrdia.views."):  # protocols: members are documented where they are declared
        errors = [error for error in errors if not error.startswith(("PR01", "PR02"))]
    assert not errors


def test_public_names_are_strings_and_exist():
    for info in pkgutil.walk_packages(skrdia.__path__, "skrdia."):
        if info.name.endswith(("__main__", "._sklearn")) or (info.name in OF_TORCH and not HAS_TORCH):
            continue
        module = importlib.import_module(info.name)
        for name in module.__all__:
            assert hasattr(module, name)


def test_private_scikit_learn_is_imported_in_one_place():
    private = re.compile(r"from sklearn[\w.]*\._|from sklearn[\w.]* import [\w, ]*\b_|import sklearn[\w.]*\._")
    for info in pkgutil.walk_packages(skrdia.__path__, "skrdia."):
        if info.name not in ("skrdia._sklearn", "skrdia.__main__"):
            with open(importlib.util.find_spec(info.name).origin) as file:
                assert not private.search(file.read()), info.name


def test_demo():
    result = CliRunner().invoke(main, ["demo"], catch_exceptions=False)
    assert result.exit_code == 0
    rows = {}
    for line in result.output.splitlines():
        cells = [cell.strip() for cell in line.split("│")[1:-1]]
        if len(cells) == 6:
            rows[cells[0]] = cells[1:]
    assert list(rows) == [
        "everything",
        "validation rows only",
        "harmful rows dropped",
        "RDIA, one round",
        "RDIA, up to ten rounds",
        "auto",
        "perfect labels",
    ]
    loss = {name: float(cells[0]) for name, cells in rows.items()}
    assert loss["RDIA, up to ten rounds"] < loss["validation rows only"] < loss["everything"]
    assert loss["perfect labels"] < loss["auto"] < loss["RDIA, one round"]
    assert "harmful_mask_" in result.output
    assert "relabeled_y_" in result.output


def test_python_dash_m_demo():
    result = subprocess.run([sys.executable, "-m", "skrdia", "demo", "--noise", "0.1"], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert "35 of 350" in result.stdout


def test_the_command_names_its_extra(monkeypatch):
    code = "import sys; sys.modules['rich'] = None; sys.modules['rich.console'] = None; import skrdia.cli"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.returncode == 1
    assert "pip install 'skrdia[cli]'" in result.stderr


def test_breast_cancer_scale():
    bunch = load_breast_cancer_scale()
    assert bunch.data.shape == (683, 10)
    assert np.abs(bunch.data).max() == 1.0
    assert np.bincount(bunch.target).tolist() == [444, 239]
    assert np.bincount(bunch.target[:350]).tolist() == [186, 164]
    assert len(bunch.feature_names) == 10
