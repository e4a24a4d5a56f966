"""Time whole processes: what a command line or an import costs, alternating, as a multiple of what it is compared with.

    python tests/benchmarks/startup.py [--before folder] [--runs 11]

prints the median seconds of each, the ratio to its reference (the median of the ratios of neighbouring runs), and with
``--before`` the same against another checkout of the package.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median
from time import perf_counter

ROOT = Path(__file__).parents[2]
COMMAND = "from skrdia.cli import main; main(prog_name='skrdia')"
SKLEARN = "import sklearn.linear_model, sklearn.model_selection, sklearn.preprocessing"
LINES = {
    "skrdia --help": (COMMAND, ["--help"], {}),
    "skrdia audit --help": (COMMAND, ["audit", "--help"], {}),
    "skrdia reproduce --help": (COMMAND, ["reproduce", "--help"], {}),
    "skrdia audit, no table": (COMMAND, ["audit"], {}),
    "skrdia audit, no file": (COMMAND, ["audit", "nowhere.csv", "--label", "y"], {}),
    "skrdia audit, no column": (COMMAND, ["audit", "t.csv", "--label", "z"], {}),
    "TAB of options": (COMMAND, [], {"COMP_WORDS": "skrdia audit --", "COMP_CWORD": "2"}),
    "TAB of columns": (COMMAND, [], {"COMP_WORDS": "skrdia audit t.csv --label ", "COMP_CWORD": "4"}),
    "import skrdia": ("import skrdia", [], {}),
    "from skrdia import RDIAClassifier": ("from skrdia import RDIAClassifier", [], {}),
    "scikit-learn": (SKLEARN, [], {}),
}
REFERENCE = "scikit-learn"
"""What every use of the classifier imports of it: linear_model, model_selection and preprocessing."""


def seconds(package: Path, folder: str, code: str, arguments: list[str], environment: dict[str, str]) -> float:
    """Wall time of a process, with the package of this checkout."""
    completes = {"_SKRDIA_COMPLETE": "bash_complete"} if environment else {}
    own = {"PYTHONPATH": str(package), "PYTHONPYCACHEPREFIX": f"{folder}/{package.name}", "OMP_NUM_THREADS": "1"}
    env = os.environ | own | completes | environment
    env.pop("PYTHONDONTWRITEBYTECODE", None)  # which would compile a checkout anew every time
    start = perf_counter()
    subprocess.run([sys.executable, "-c", code, *arguments], cwd=folder, env=env, capture_output=True)
    return perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--before", type=Path, help="Another checkout, to compare with.")
    parser.add_argument("--runs", type=int, default=11)
    options = parser.parse_args()
    packages = [ROOT, *([options.before] if options.before else [])]
    times: dict[tuple[Path, str], list[float]] = {(package, name): [] for package in packages for name in LINES}
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "t.csv").write_text("x,y\n1,a\n2,b\n", encoding="utf-8")
        for _ in range(options.runs + 1):  # the first warms the disk
            for name, line in LINES.items():
                for package in packages:
                    times[package, name].append(seconds(package, folder, *line))
    print(f"{'':34} {'seconds':>8} {'/ scikit-learn':>15}" + (f" {'before / now':>13}" if options.before else ""))
    for name in LINES:
        own, reference = times[ROOT, name][1:], times[ROOT, REFERENCE][1:]
        cells = f"{name:34} {median(own):8.3f} {median(a / b for a, b in zip(own, reference, strict=True)):15.3f}"
        if options.before:
            before = times[options.before, name][1:]
            cells += f" {median(b / a for a, b in zip(own, before, strict=True)):13.1f}"
        print(cells)


if __name__ == "__main__":
    main()
