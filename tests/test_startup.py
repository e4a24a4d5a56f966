"""What a command line, or an import, loads; and what an interrupt does while it loads."""

import os
import pickle
import signal
import subprocess
import sys
from functools import partial

import pytest
from click.testing import CliRunner

import skrdia
import skrdia.datasets
import skrdia.plotting
from skrdia.audit import _command
from skrdia.audit._models import MODELS
from skrdia.cli import main
from skrdia.datasets import PAPER_DATASETS, STAND_INS
from skrdia.datasets._paper_tasks import TASKS
from skrdia.reproduce import _methods, _names, _paper_methods, _real_sets, _signal_runner
from skrdia.reproduce import _tables as _reproduced_tables
from skrdia.signals import SIGNALS
from skrdia.signals._table import WITHOUT_TRUSTED_ROWS

HEAVY = ["numpy", "scipy", "sklearn", "pandas", "polars", "matplotlib", "dask", "torch"]
# Runs the command that follows, and then prints which of these libraries it has loaded.
PROBE = f"""
import atexit, os, sys
loaded = lambda: os.write(2, (" ".join(["LOADED", *(m for m in {HEAVY} if m in sys.modules)]) + "\\n").encode())
atexit.register(loaded)
from skrdia.__main__ import main
main()
"""
INTERRUPTED = "Error: interrupted; nothing was written.\n"


def run(code, *args, cwd=None, **environment):
    return subprocess.run(
        [sys.executable, "-c", code, *map(str, args)],
        cwd=cwd,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=120,
    )


@pytest.fixture
def table(tmp_path):
    """A folder with a table."""
    (tmp_path / "t.csv").write_text("x,y,checked\n1,a,yes\n2,b,no\n", encoding="utf-8")
    return tmp_path


@pytest.mark.parametrize(
    ("line", "code", "says"),
    [
        ("--help", 0, "Repair wrong training labels"),
        ("--version", 0, skrdia.__version__),
        ("audit --help", 0, "--fail-above"),
        ("demo --help", 0, "--noise"),
        ("reproduce --help", 0, "table10-deep"),
        ("reproduce autorepair --help", 0, "--slow-seeds"),
        ("reproduce realnoise --help", 0, "yoruba"),
        ("reproduce signals --help", 0, "waveform5000"),
        ("reproduce table1 --help", 0, "rdia best on test"),
        ("completion bash", 0, "_SKRDIA_COMPLETE"),
        ("nonsense", 2, "No such command 'nonsense'"),
        ("audit", 2, "Missing argument 'TABLE'"),
        ("audit t.csv --label y --modle mlp", 2, "No such option"),
        ("audit t.csv --label y --model tree", 2, "'tree' is not one of"),
        ("audit nowhere.csv --label y", 1, "nowhere.csv: there is no such file."),
        ("audit t.csv --label z", 1, "--label: t.csv has no column 'z'."),
        ("audit t.csv --label y --trusted z", 1, "--trusted: t.csv has no column 'z'."),
        ("audit t.csv --label y --text z", 1, "--text: t.csv has no column 'z'."),
        ("audit t.csv --label y --validation nowhere.csv", 1, "nowhere.csv: there is no such file."),
        ("reproduce table1 --methods nonsense", 2, "method 'nonsense' is unknown here"),
    ],
)
def test_help_and_errors_load_no_library(table, line, code, says):
    ran = run(PROBE, *line.split(), cwd=table)
    assert ran.returncode == code
    assert says in " ".join((ran.stdout + ran.stderr).split())
    assert ran.stderr.splitlines()[-1] == "LOADED"


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("skrdia ", "audit"),
        ("skrdia audit t.csv --mo", "--model"),
        ("skrdia audit t.csv --model ", "random-forest"),
        ("skrdia audit t.csv --label ", "checked"),
        ("skrdia reproduce ", "table3"),
        ("skrdia reproduce signals --k", "--kinds"),
    ],
)
def test_completion_loads_no_library(table, words, found):
    at = str(len(words.split(" ")) - 1)
    ran = run(PROBE, cwd=table, _SKRDIA_COMPLETE="bash_complete", COMP_WORDS=words, COMP_CWORD=at)
    assert f"plain,{found}" in ran.stdout.split()
    assert ran.stderr == "LOADED\n"


def test_names_of_options_are_those_of_what_they_name():
    assert list(_command.MODEL_NAMES) == list(MODELS)
    assert list(PAPER_DATASETS) == [name for name, task in TASKS.items() if not task.stands_for]
    assert {name: task.stands_for for name, task in TASKS.items() if task.stands_for} == STAND_INS
    assert list(_names.BASES) == list(_methods.BASES)
    assert list(_names.TABLES) == list(_reproduced_tables.TABLES)
    assert list(_names.TEXT_SETS) == list(_real_sets._FILES)
    assert list(_names.PAPER_METHODS) == list(_paper_methods.METHODS)
    assert set(_names.DRAWS) < set(_names.PAPER_METHODS)
    of_signals = {name.removesuffix(_signal_runner.TRUSTED) for name in _names.SIGNAL_METHODS}
    assert of_signals - set(SIGNALS) == {"cleanlab", "isolation-forest"}
    assert set(WITHOUT_TRUSTED_ROWS) < of_signals


def test_the_package_alone_loads_nothing():
    code = f"import sys, skrdia, skrdia.datasets, skrdia.plotting; print([m for m in {HEAVY} if m in sys.modules])"
    assert run(code).stdout == "[]\n"


def test_the_classifier_loads_no_display():
    code = "import sys; from skrdia import RDIAClassifier; print(*(m for m in sys.modules if 'skrdia.plotting._' in m))"
    assert {name.removeprefix("skrdia.plotting.") for name in run(code).stdout.split()} == {
        "_choices",
        "_fitted",
        "_style",
    }


def test_names_of_the_package():
    for package in (skrdia, skrdia.datasets, skrdia.plotting):
        assert set(package.__all__) < set(dir(package))
        for name in package.__all__:
            assert getattr(package, name) is getattr(package, name)
        with pytest.raises(AttributeError, match=rf"module '{package.__name__}' has no attribute 'nonsense'"):
            package.nonsense  # noqa: B018
    assert {"__version__", "RDIALSClassifier", "signals"} < set(dir(skrdia))
    everything = {}
    exec("from skrdia import *", everything)
    assert set(skrdia.__all__) < set(everything)
    assert pickle.loads(pickle.dumps(skrdia.RDIAClassifier)) is skrdia.RDIAClassifier
    assert run("import skrdia; print(skrdia.signals.SIGNALS['margin'].__name__)").stdout == "margin\n"


def test_each_name_can_be_the_first():
    code = "import skrdia; print(all(getattr(skrdia, name) for name in skrdia.__all__[::-1]))"
    assert run(code).stdout == "True\n"


SWALLOWED = """
import signal
try:
    signal.raise_signal(signal.SIGTERM)
except KeyboardInterrupt as error:
    raise ImportError("could not be loaded") from error
"""


@pytest.mark.parametrize(
    ("module", "code"),
    [
        *((module, "raise KeyboardInterrupt") for module in ("click", "csv", "rich", "numpy")),
        *((module, "exec('raise KeyboardInterrupt')") for module in ("click", "numpy")),
        ("numpy", SWALLOWED),
    ],
)
def test_an_interrupt_while_a_module_is_loaded(table, module, code):
    (table / "path").mkdir()
    (table / "path" / f"{module}.py").write_text(code, encoding="utf-8")
    line = [sys.executable, "-m", "skrdia", "audit", "t.csv", "--label", "y"]
    ran = subprocess.run(
        line, cwd=table, env=os.environ | {"PYTHONPATH": str(table / "path")}, capture_output=True, text=True
    )
    assert (ran.returncode, ran.stdout, ran.stderr) == (130, "", INTERRUPTED)
    assert sorted(os.listdir(table)) == ["path", "t.csv"]


@pytest.mark.parametrize("module", ["click", "numpy"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_while_a_module_is_loaded(table, module, number):
    (table / "path").mkdir()
    slow = "import sys, time; print('loading', file=sys.stderr, flush=True); time.sleep(100)"
    (table / "path" / f"{module}.py").write_text(slow, encoding="utf-8")
    line = [sys.executable, "-m", "skrdia", "audit", "t.csv", "--label", "y"]
    environment = os.environ | {"PYTHONPATH": str(table / "path")}
    options = {"preexec_fn": partial(signal.signal, signal.SIGINT, signal.SIG_DFL)}  # as if not run in the background
    with subprocess.Popen(line, cwd=table, env=environment, stderr=subprocess.PIPE, text=True, **options) as ran:
        assert ran.stderr.readline() == "loading\n"
        ran.send_signal(number)
        assert ran.stderr.read() == INTERRUPTED
    assert ran.returncode == 130


def test_an_interrupt_while_the_table_is_read(table, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.chdir(table)
    monkeypatch.setattr("skrdia.audit._tables.read_text", interrupted)
    result = CliRunner().invoke(main, ["audit", "t.csv", "--label", "y"])
    assert (result.exit_code, result.stdout, result.stderr) == (130, "", INTERRUPTED)


@pytest.mark.parametrize(
    ("line", "says"),
    [(["demo"], INTERRUPTED), (["reproduce", "cost"], "Error: interrupted; finished cells are kept.\n")],
)
def test_an_interrupt_of_other_commands(monkeypatch, line, says):
    def interrupted(*args, **params):
        raise KeyboardInterrupt

    monkeypatch.setattr("skrdia._rdia.RDIAClassifier.fit", interrupted)
    result = CliRunner().invoke(main, [*line, *(["--sizes", "100"] if "cost" in line else [])])
    assert (result.exit_code, result.stderr) == (130, says)
