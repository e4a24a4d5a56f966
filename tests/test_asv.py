"""The classes for asv run, with the smallest of their parameters."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent / "asv"))
from benchmarks import scale

sys.path.pop(0)


@pytest.mark.parametrize("density", [1.0, 0.05])
@pytest.mark.parametrize("kind", [scale.Product, scale.StepTwo, scale.BaseFit])
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_every_benchmark_runs(kind, density):
    one = kind()
    params = 6_000, 20, density, 3
    one.setup(*params)
    methods = [name for name in dir(kind) if name.startswith(("time_", "peakmem_"))]
    assert len(methods) >= 2
    for name in methods:
        getattr(one, name)(*params)
