"""Small tables in files for the tests of the command."""

from __future__ import annotations

import csv
import io
import json

import numpy as np
from click.testing import CliRunner

from skrdia.cli import main

N_ROWS = 160


def columns(seed=0):
    """A table as columns of text: two numbers, a category, missing cells, verified rows, a fifth of labels wrong."""
    rng = np.random.default_rng(seed)
    x, z = rng.standard_normal((2, N_ROWS)).round(3)
    colour = rng.choice(["red", "green", "blue"], size=N_ROWS)
    right = np.where(x + 0.5 * z + (colour == "red") > 0.3, "good", "bad")
    verified = np.arange(N_ROWS) % 2 == 0
    wrong = ~verified & (rng.random(N_ROWS) < 0.4)
    label = np.where(wrong, np.where(right == "good", "bad", "good"), right)
    cells = {
        "id": [f"r{i:03d}" for i in range(N_ROWS)],
        "x": [f"{v:g}" for v in x],
        "z": ["" if i % 17 == 0 else f"{v:g}" for i, v in enumerate(z)],
        "colour": ["?" if i % 23 == 0 else str(v) for i, v in enumerate(colour)],
        "verified": ["yes" if v else "no" for v in verified],
        "y": label.tolist(),
    }
    return cells, right


def as_csv(cells, delimiter=",", newline="\n"):
    out = io.StringIO()
    writer = csv.writer(out, delimiter=delimiter, lineterminator=newline)
    writer.writerow(cells)
    writer.writerows(zip(*cells.values(), strict=True))
    return out.getvalue()


def as_json(cells):
    rows = [dict(zip(cells, row, strict=True)) for row in zip(*cells.values(), strict=True)]
    return "".join(json.dumps(row) + "\n" for row in rows)


def audit(*arguments):
    """Run the command in this process."""
    return CliRunner().invoke(main, ["audit", *map(str, arguments)])
