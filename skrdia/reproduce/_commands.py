"""The commands ``skrdia reproduce``.

What measures is imported by the functions that run, so that help, completion and errors of options come at once.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from skrdia.reproduce._console import NAMES, NUMBERS, CommaSeparated, check_known, print_table, run_jobs, wide_console
from skrdia.reproduce._names import BASES, TABLES
from skrdia.reproduce._paper_commands import COMMANDS
from skrdia.reproduce._real_commands import realnoise

if TYPE_CHECKING:
    from rich.console import Console

    from skrdia.reproduce._cells import Cell

__all__ = ["reproduce"]


@click.group()
def reproduce() -> None:
    """Measure what a repair is worth."""


_FILE = click.Path(dir_okay=False, path_type=Path)
_EXISTING = click.Path(exists=True, dir_okay=False, path_type=Path)


@reproduce.command()
@click.option("--tables", "table_names", type=NAMES, help="Names; all there are. Most need SKRDIA_DATA.")
@click.option("--noise", "noises", type=NAMES, help="Kinds, such as clean,symmetric or symmetric=0.3; all.")
@click.option("--c", "Cs", type=NUMBERS, help="Values of C, for hgb of its detector; 0.1,1,10, for hgb 0.1.")
@click.option("--seeds", default=5, show_default=True, type=click.IntRange(1), help="Number of seeds.")
@click.option("--trusted", type=NUMBERS, default="0.3,0.05", show_default=True, help="Shares of trusted rows.")
@click.option("--no-trusted", is_flag=True, help="Compare without trusted rows, at 5 to 30 % noise.")
@click.option("--methods", "method_names", type=NAMES, help="Names; all.")
@click.option("--slow-seeds", default=1, show_default=True, help="Number of seeds of prototype and hindsight.")
@click.option("--base", default="logistic", show_default=True, type=click.Choice(BASES), help="Base estimator.")
@click.option("--max-rows", type=click.IntRange(0), help="Rows drawn from a table; 1600, for hgb 0: up to 20,000.")
@click.option("--n-jobs", default=1, show_default=True, help="Cells in parallel.")
@click.option("--output", type=_FILE, default="skrdia-autorepair.csv", show_default=True, help="Results, appended to.")
@click.option("--summary", type=_EXISTING, multiple=True, help="Only summarise this file, or several.")
def autorepair(output: Path, summary: tuple[Path, ...], n_jobs: int, slow_seeds: int, **options: Any) -> None:
    """Measure how much of the harm of wrong labels a repair undoes, on real tables.

    Results that are in the output file already are not measured again, so that a run can be interrupted and continued.
    """
    from skrdia.reproduce._cells import RESULTS
    from skrdia.reproduce._runner import plan, run_cell
    from skrdia.reproduce._text import failures, tables

    console = wide_console()
    try:
        if summary:
            rows = [row for path in summary for row in RESULTS.read(path)]
        else:
            wanted, names = _selection(console, **options)
            jobs = plan(wanted, names, RESULTS.read(output), slow_seeds)
            run_jobs(console, jobs, run_cell, RESULTS, output, n_jobs)
            selected = set(wanted)
            rows = [row for row in RESULTS.read(output) if RESULTS.cell_of(row) in selected]
    except ValueError as error:
        raise click.ClickException(str(error)) from error
    for table in (*tables(rows), failures(rows)):
        print_table(console, table)


@reproduce.command(name="cost")
@click.option(
    "--sizes", type=CommaSeparated(int), default="1000,5000,20000", show_default=True, help="Numbers of rows."
)
@click.option(
    "--repeats", default=3, show_default=True, type=click.IntRange(1), help="Fits of which to take the median."
)
def cost_command(sizes: list[int], repeats: int) -> None:
    """Time alpha="auto" against one fit of its base estimator, on 100 columns."""
    from skrdia.reproduce._cost import cost
    from skrdia.reproduce._text import cost_table

    console = wide_console()
    with console.status("Training ..."):
        table = cost_table(cost(sizes, repeats))
    print_table(console, table)


def _selection(
    console: Console,
    table_names: list[str] | None,
    noises: list[str] | None,
    Cs: list[float] | None,
    seeds: int,
    trusted: list[float],
    no_trusted: bool,
    method_names: list[str] | None,
    base: str,
    max_rows: int | None,
) -> tuple[list[Cell], list[str]]:
    """The cells and methods that the options ask for."""
    from skrdia.reproduce._cells import NO_TRUSTED_NOISES, NOISES, cells, parse_noise
    from skrdia.reproduce._methods import methods_for, unavailable
    from skrdia.reproduce._tables import available

    hgb = base == "hgb"
    defaults = NO_TRUSTED_NOISES if no_trusted else NOISES
    wanted = cells(
        check_known(table_names, TABLES, "table") or available(min_rows=5000 if hgb else 0),
        [noise for text in noises for noise in parse_noise(text, defaults)] if noises else defaults,
        Cs or ([0.1] if hgb else [0.1, 1.0, 10.0]),
        range(seeds),
        [0.0] if no_trusted else trusted,
        base,
        max_rows if max_rows is not None else (0 if hgb else 1600),
    )
    possible = methods_for(base, trusted=not no_trusted)
    names = check_known(method_names, possible, "method") or possible
    for name, notice in unavailable().items():
        if name in names:
            console.print(notice, highlight=False)
            names = [other for other in names if other != name]
    return list(wanted), names


for command in (realnoise, *COMMANDS):
    reproduce.add_command(command)
