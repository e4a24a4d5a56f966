"""What the commands share: types of options, a console, tables on it, and a run with a progress bar."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from rich.console import Console

    from skrdia.reproduce._jobs import Job
    from skrdia.reproduce._results import Row, Schema
    from skrdia.reproduce._text import TextTable

__all__ = ["NAMES", "NUMBERS", "CommaSeparated", "check_known", "print_table", "run_jobs", "wide_console"]


class CommaSeparated(click.ParamType):
    """Values separated by commas."""

    name = "list"

    def __init__(self, kind: type) -> None:
        self.kind = kind

    def convert(self, value: Any, param: Any, ctx: Any) -> list[Any]:
        """Split and convert a text; a list stays as it is."""
        if not isinstance(value, str):
            return list(value)
        try:
            return [self.kind(part.strip()) for part in value.split(",")]
        except ValueError:
            self.fail(f"{value!r} is not a list such as 0.1,1", param, ctx)


NAMES, NUMBERS = CommaSeparated(str), CommaSeparated(float)


def check_known(names: list[str] | None, known: Sequence[str], what: str) -> list[str]:
    """Return the names, each once, none for None; raise ValueError for one that is unknown."""
    unknown = [name for name in names or [] if name not in known]
    if unknown:
        raise ValueError(f"{what} {unknown[0]!r} is unknown here; use some of {', '.join(known)}.")
    return list(dict.fromkeys(names or []))


def wide_console() -> Console:
    """A console that prints brackets as they are, and whose tables are not squeezed into 80 columns in a file."""
    from rich.console import Console

    console = Console(markup=False)
    return console if console.is_terminal else Console(markup=False, width=160)


def print_table(console: Console, text: TextTable) -> None:
    """Print a table below its title, and nothing where it has no rows."""
    from rich.table import Table

    if not text.rows:
        return
    table = Table()
    for i, name in enumerate(text.columns):
        table.add_column(name, justify="right" if i and name not in text.words else "left")
    for row in text.rows:
        table.add_row(*row)
    console.print(text.title, style="bold", highlight=False)
    console.print(table)
    console.print(*([text.caption] if text.caption else []), "", sep="\n", highlight=False)


def run_jobs(
    console: Console,
    jobs: Sequence[Job],
    measure: Callable[[Any, list[str]], list[Row]],
    schema: Schema,
    output: Path,
    n_jobs: int,
) -> None:
    """Run the jobs with a progress bar; the arguments are those of `skrdia.reproduce._jobs.run`."""
    from rich import progress as bars

    from skrdia.reproduce._jobs import run

    columns = (
        bars.TextColumn("Cells"),
        bars.BarColumn(),
        bars.MofNCompleteColumn(),
        bars.TimeElapsedColumn(),
        bars.TimeRemainingColumn(),
    )
    with bars.Progress(*columns, console=console) as progress:
        task = progress.add_task("", total=len(jobs))
        for _ in run(jobs, measure, schema, output, n_jobs):
            progress.advance(task)
    console.print(f"{len(jobs)} cells measured; results in {output}", highlight=False)
