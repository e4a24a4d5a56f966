"""The command ``skrdia reproduce realnoise``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from skrdia.reproduce._console import NAMES, NUMBERS, check_known, print_table, run_jobs, wide_console
from skrdia.reproduce._names import BASES, TABLES, TEXT_SETS, TEXT_VIEWS

if TYPE_CHECKING:
    from rich.console import Console

    from skrdia.reproduce._jobs import Job
    from skrdia.reproduce._real_cells import RealCell
    from skrdia.reproduce._results import Row

__all__ = ["realnoise"]

_FILE = click.Path(dir_okay=False, path_type=Path)
_EXISTING = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.command()
@click.option("--sets", type=NAMES, help=f"Of {', '.join(TEXT_SETS)}, all by default, or tables such as magic.")
@click.option("--view", "views", type=NAMES, default=",".join(TEXT_VIEWS), show_default=True, help="Columns of texts.")
@click.option(
    "--noise", "noises", type=NAMES, help="Of texts real, also clean; of tables clean,symmetric=0.1 or one-sided=0.3."
)
@click.option("--c", "Cs", type=NUMBERS, help="Values of C; 1,10, for hgb of its detector, 1.")
@click.option("--verified", "shares", type=NUMBERS, help="Shares of verified rows; 0,0.05,0.15, for tables 0,0.05.")
@click.option("--seeds", default=3, show_default=True, type=click.IntRange(1), help="Number of seeds.")
@click.option("--methods", "method_names", type=NAMES, help="Names; all that suit.")
@click.option("--base", default="logistic", show_default=True, type=click.Choice(BASES), help="Base estimator.")
@click.option("--n-jobs", default=1, show_default=True, help="Cells in parallel.")
@click.option("--output", type=_FILE, default="skrdia-realnoise.csv", show_default=True, help="Results, appended to.")
@click.option("--summary", type=_EXISTING, multiple=True, help="Only summarise this file, or several.")
def realnoise(output: Path, summary: tuple[Path, ...], n_jobs: int, **options: Any) -> None:
    """Measure repair with few verified rows or none, on labels that really came wrong, or on tables with made noise.

    Results that are in the output file already are not measured again, so that a run can be interrupted and continued.
    """
    from skrdia.reproduce._real_cells import RESULTS
    from skrdia.reproduce._real_text import failures, tables

    console = wide_console()
    try:
        if summary:
            rows = [row for path in summary for row in RESULTS.read(path)]
        else:
            rows = _measured(console, output, n_jobs, **options)
    except ValueError as error:
        raise click.ClickException(str(error)) from error
    for table in (*tables(rows), failures(rows)):
        print_table(console, table)


def _measured(console: Console, output: Path, n_jobs: int, method_names: list[str] | None, **options: Any) -> list[Row]:
    """Measure what is left, and return the rows of the cells that the options ask for."""
    from skrdia.reproduce._real_cells import RESULTS
    from skrdia.reproduce._real_runner import plan, run_cell

    wanted, names = _cells(**options), _methods(console, method_names)
    jobs: list[Job] = plan(wanted, names, RESULTS.read(output))
    run_jobs(console, jobs, run_cell, RESULTS, output, n_jobs)
    selected = set(wanted)
    return [row for row in RESULTS.read(output) if RESULTS.cell_of(row) in selected]


def _cells(
    sets: list[str] | None,
    views: list[str],
    noises: list[str] | None,
    Cs: list[float] | None,
    shares: list[float] | None,
    seeds: int,
    base: str,
) -> list[RealCell]:
    from skrdia.reproduce._real_cells import cells, parse_real_noise

    outside = [share for share in shares or [] if not 0.0 <= share < 1.0]
    if outside:
        raise ValueError(f"--verified: {outside[0]:g} is no share of verified rows; use numbers from 0 to below 1.")
    found = cells(
        check_known(sets, (*TEXT_SETS, *TABLES), "set") or list(TEXT_SETS),
        check_known(views, TEXT_VIEWS, "view"),
        [noise for text in noises or [] for noise in parse_real_noise(text)],
        Cs or ([1.0] if base == "hgb" else [1.0, 10.0]),
        range(seeds),
        shares or [],
        base,
    )
    wanted = list(dict.fromkeys(found))
    if not wanted:
        raise ValueError("nothing to measure: texts have real noise or clean labels, tables any noise but real.")
    return wanted


def _methods(console: Console, names: list[str] | None) -> list[str]:
    from skrdia.reproduce._real_methods import METHODS, VERIFIED_METHODS, unavailable

    possible = list(dict.fromkeys((*METHODS, *VERIFIED_METHODS)))
    found = check_known(names, possible, "method") or possible
    for name, notice in unavailable().items():
        if name in found:
            console.print(notice, highlight=False)
            found.remove(name)
    return found
