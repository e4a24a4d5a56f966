"""The commands ``skrdia reproduce table1`` and so on: options in, a report out.

What measures is imported by the functions that run, so that help, completion and errors of options come at once.
"""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import click

from skrdia.reproduce import _names as known
from skrdia.reproduce._console import NAMES, NUMBERS, check_known, wide_console
from skrdia.reproduce._drawing import new_figure
from skrdia.reproduce._experiments import EXPERIMENTS, Experiment

__all__ = ["COMMANDS"]

_RESUME = """

    A finished cell is not measured again: a run can be interrupted and continued in the same folder. Data sets that
    cannot be had are listed as missing, with the file to put where."""


def _datasets(names: tuple[str, ...], default: tuple[str, ...]) -> Any:
    return click.option(
        "--datasets",
        type=NAMES,
        callback=partial(_checked, names, "data set"),
        help=f"Of {', '.join(names)}; by default {', '.join(default)}.",
    )


def _methods(names: tuple[str, ...]) -> Any:
    return click.option(
        "--methods", type=NAMES, callback=partial(_checked, names, "method"), help=f"Only these, of {', '.join(names)}."
    )


def _checked(names: tuple[str, ...], what: str, ctx: Any, param: Any, value: list[str] | None) -> list[str]:
    try:
        return check_known(value, names, what)
    except ValueError as error:
        raise click.BadParameter(str(error)) from error


def _noises(ctx: Any, param: Any, value: list[float] | None) -> list[float]:
    outside = [noise for noise in value or [] if not 0.0 <= noise < 1.0]
    if outside:
        raise click.BadParameter(f"{outside[0]:g} is no share of flipped labels; use numbers from 0 to below 1.")
    return list(dict.fromkeys(value or []))


_NOISE = click.option("--noise", type=NUMBERS, callback=_noises, help="Shares of flipped labels, such as 0,0.4.")
_SEEDS = click.option("--seeds", type=click.IntRange(1), help="Number of runs, the paper's or more by default.")
_OUTPUT = click.option(
    "--output",
    type=click.Path(file_okay=False, path_type=Path),
    default="skrdia-reproduce",
    show_default=True,
    help="Folder of the results.",
)
_N_JOBS = click.option("--n-jobs", default=1, show_default=True, help="Cells in parallel, of one thread each.")


def _command_line() -> str:
    """What was typed, without the path of the program."""
    return shlex.join(["skrdia", *sys.argv[1:]])


def _experiment_command(experiment: Experiment) -> click.Command:
    def run(
        datasets: list[str], noise: list[float], seeds: int | None, methods: list[str], output: Path, n_jobs: int
    ) -> None:
        from skrdia.reproduce._paper_report import tables_and_curves

        report = partial(tables_and_curves, experiment.name, wide_console(), output, datasets, noise, seeds, methods)
        _complain(lambda: report(n_jobs, _command_line()))

    run.__doc__ = f"{experiment.title}.{_RESUME}"
    methods = tuple(dict.fromkeys(name for names in experiment.methods.values() for name in names))
    own = (_datasets(known.DATASETS, experiment.datasets), _NOISE, _SEEDS, _methods(methods))
    return _with_options(experiment.name, run, *own, _OUTPUT, _N_JOBS)


def _figure3(datasets: list[str], noise: list[float], model: str, output: Path, n_jobs: int) -> None:
    """Figure 3: the training images that harm chosen test images most."""
    from skrdia.reproduce._paper_report import harmful_images

    _complain(lambda: harmful_images(wide_console(), output, datasets, noise, n_jobs, _command_line(), model))


def _nets(output: Path, n_jobs: int, nets: list[str], noise: list[str], methods: list[str], **numbers: int) -> None:
    """Nets on MNIST with wrong labels: test loss, and what the influences find."""
    from skrdia.reproduce._net_report import noise_table

    args = (nets or ["mlp", "lenet"], noise or list(_NET_NOISES), numbers["subset"], numbers["epochs"])
    rest = (numbers["seeds"], methods or list(known.NET_METHODS), n_jobs, _command_line())
    _complain(lambda: noise_table(wide_console(), output, *args, *rest))


def _table2(
    output: Path, n_jobs: int, datasets: list[str], nets: list[str], methods: list[str], **numbers: int
) -> None:
    """Table 2: test loss of nets with the labels as they are."""
    from skrdia.reproduce._net_report import table_2

    args = (datasets or list(known.IMAGES), nets or ["lenet", "cnn"], numbers["subset"], numbers["epochs"])
    rest = (numbers["seeds"], methods or list(known.TABLE_2_METHODS), n_jobs, _command_line())
    _complain(lambda: table_2(wide_console(), output, *args, *rest))


def _relabelling_command(name: str) -> click.Command:
    dataset, net = known.RELABELLING[name]

    def run(output: Path, n_jobs: int, nets: list[str], noise: list[float], methods: list[str], **numbers: int) -> None:
        from skrdia.reproduce._ls_report import accuracies

        args = (nets, [f"{share:g}" for share in noise], numbers["subset"], numbers["epochs"], numbers["seeds"])
        report = partial(accuracies, name, wide_console(), output, *args, methods)
        _complain(lambda: report(n_jobs, _command_line()))

    run.__doc__ = f"Table {name[-1]}: loss-based relabelling while a net trains on {dataset.upper()}.{_RESUME}"
    options = (_of_nets((net,)), _NOISE, _methods(tuple(known.RULES)), _subset(0), _PAPER_EPOCHS, _runs(3))
    return _with_options(name, run, *options, _OUTPUT, _N_JOBS)


def _table10_deep(datasets: list[str], methods: list[str], subset: int, epochs: int, output: Path) -> None:
    """Table 10, nets: seconds to find the harmful rows by influence and by loss, on this machine."""
    from skrdia.reproduce._ls_report import seconds_to_find

    args = (datasets, subset, epochs, methods, _command_line())
    _complain(lambda: seconds_to_find(wide_console(), output, *args))


def _signals(
    output: Path,
    n_jobs: int,
    datasets: list[str],
    models: list[str],
    kinds: list[str],
    rates: list[float],
    methods: list[str],
    **numbers: int,
) -> None:
    """Signals of wrong labels and anomalies: average precision, AUROC and F1 on tables and MNIST."""
    from skrdia.reproduce._signal_report import signal_tables

    args = (datasets, models, kinds, rates, numbers["rows"], numbers["seeds"], methods, n_jobs, _command_line())
    _complain(lambda: signal_tables(wide_console(), output, *args))


def _table10(datasets: list[str], output: Path) -> None:
    """Table 10: seconds to find the harmful rows, on this machine."""
    from skrdia.reproduce._paper_report import step_two

    _complain(lambda: step_two(wide_console(), output, datasets, _command_line()))


def _all(seeds: int | None, output: Path, n_jobs: int) -> None:
    """Every table and figure, with their own data sets, one after the other."""
    from skrdia.reproduce._paper_report import harmful_images, step_two, tables_and_curves

    console, line = wide_console(), _command_line()
    _complain(new_figure)  # fails now rather than after the tables
    for name in EXPERIMENTS:
        _complain(partial(tables_and_curves, name, console, output, (), (), seeds, (), n_jobs, line))
    _complain(lambda: harmful_images(console, output, (), (), n_jobs, line))
    _complain(lambda: step_two(console, output, (), line))


def _with_options(name: str, function: Callable[..., None], *options: Any) -> click.Command:
    for option in reversed(options):
        function = option(function)
    return click.command(name=name)(function)


def _complain(report: Callable[[], None]) -> None:
    """Run a report; what is wrong with its input, or a missing extra, becomes a message without a traceback."""
    try:
        report()
    except (ImportError, ValueError) as error:
        raise click.ClickException(str(error)) from error


def _net_noises(ctx: Any, param: Any, value: list[str] | None) -> list[str]:
    for text in value or []:
        if text != "class":
            try:
                _noises(ctx, param, [float(text)])
            except ValueError as error:
                raise click.BadParameter(f"{text!r} is neither 'class' nor a share of flipped labels.") from error
    return list(dict.fromkeys(value or []))


_NET_NOISES = ("0", "0.2", "0.4", "0.6", "0.8", "class")
_MODEL = click.option(
    "--model", type=click.Choice(["logistic", "lenet"]), default="logistic", show_default=True, help="The classifier."
)
_NET_NOISE = click.option(
    "--noise", type=NAMES, callback=_net_noises, help="Shares of flipped labels, or class: 60 % of one class."
)


_PAPER_EPOCHS = click.option(
    "--epochs", type=click.IntRange(1), default=200, show_default=True, help="Of training; a CPU affords 20 or 30."
)
_FEW_EPOCHS = click.option("--epochs", type=click.IntRange(1), default=1, show_default=True, help="Of training.")


def _subset(default: int) -> Any:
    return click.option("--subset", type=click.IntRange(0), default=default, show_default=True, help="Rows; 0 for all.")


def _runs(default: int) -> Any:
    return click.option("--seeds", type=click.IntRange(1), default=default, show_default=True, help="Number of runs.")


def _of_nets(nets: tuple[str, ...]) -> Any:
    check = partial(_checked, tuple(known.EPOCHS), "net")
    return click.option("--nets", type=NAMES, callback=check, help=f"Of {', '.join(known.EPOCHS)}; {', '.join(nets)}.")


def _net_options(nets: tuple[str, ...], methods: tuple[str, ...], subset: int, seeds: int) -> tuple[Any, ...]:
    return (
        _of_nets(nets),
        _methods(methods),
        _subset(subset),
        click.option("--epochs", type=click.IntRange(1), help="Of training; mlp 20, lenet 8, cnn 20."),
        _runs(seeds),
    )


def _some_of(name: str, names: tuple[str, ...], what: str) -> Any:
    check = partial(_checked, names, what)
    return click.option(name, type=NAMES, callback=check, help=f"Of {', '.join(names)}; all.")


def _rates(ctx: Any, param: Any, value: list[float] | None) -> list[float]:
    outside = [rate for rate in value or [] if not 0.0 < rate < 0.5]
    if outside:
        raise click.BadParameter(f"{outside[0]:g} is no share of glitches; use numbers between 0 and 0.5.")
    return list(dict.fromkeys(value or []))


COMMANDS: list[click.Command] = [
    _with_options(
        "signals",
        _signals,
        _datasets((*known.TABLES, "mnist"), (*known.SIGNAL_TABLES, "mnist")),
        _some_of("--models", known.SIGNAL_MODELS, "model"),
        _some_of("--kinds", known.KINDS, "kind"),
        click.option("--rates", type=NUMBERS, callback=_rates, help="Shares of glitches; 0.01,0.05,0.1,0.2."),
        click.option("--rows", type=click.IntRange(100), default=1000, show_default=True, help="Most rows of each."),
        _runs(5),
        _methods(known.SIGNAL_METHODS),
        _OUTPUT,
        _N_JOBS,
    ),
    *(_experiment_command(experiment) for experiment in EXPERIMENTS.values()),
    _with_options("figure3", _figure3, _datasets(known.IMAGES, known.IMAGES), _NOISE, _MODEL, _OUTPUT, _N_JOBS),
    _with_options(
        "nets", _nets, _NET_NOISE, *_net_options(("mlp", "lenet"), known.NET_METHODS, 10_000, 3), _OUTPUT, _N_JOBS
    ),
    _with_options(
        "table2",
        _table2,
        _datasets(known.IMAGES, known.IMAGES),
        *_net_options(("lenet", "cnn"), known.TABLE_2_METHODS, 0, 5),
        _OUTPUT,
        _N_JOBS,
    ),
    _with_options("table10", _table10, _datasets((*known.DATASETS, *known.SIZES), known.TIMED), _OUTPUT),
    *(_relabelling_command(name) for name in known.RELABELLING),
    _with_options(
        *(
            "table10-deep",
            _table10_deep,
            _datasets(known.IMAGES, known.IMAGES),
            _methods(known.FINDERS),
            _subset(0),
            _FEW_EPOCHS,
            _OUTPUT,
        )
    ),
    _with_options("all", _all, _SEEDS, _OUTPUT, _N_JOBS),
]
