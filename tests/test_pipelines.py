"""The short form of `benchmarks/pipelines.py`: every base estimator, with sources, thresholds, containers in turn."""

import warnings

import pytest

from .benchmarks.pipelines import ALPHAS, BASES, CONTAINERS, VERIFIED, Cell, cells, is_good, run

SLOW = ("select", "target encoder")
"""What is fitted again for every set of labels."""


def chosen():
    possible = set(cells())
    for i, (name, base) in enumerate(BASES.items()):
        containers = list(CONTAINERS[base.kind])
        for j in range(2):
            alpha = ALPHAS[1 if name in SLOW else (i + j) % 2]
            cell = Cell(name, VERIFIED[(i + j) % 3], alpha, containers[(i + 2 * j) % len(containers)])
            if cell in possible:
                yield cell


@pytest.mark.parametrize("cell", list(chosen()), ids=lambda cell: "-".join(str(cell).split()))
def test_every_base_estimator_finds_most_flips_of_an_easy_table(cell):
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="(?s).*(converge|far from its optimum)")
        assert is_good(*run(cell))
