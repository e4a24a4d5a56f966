"""The command ``skrdia``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, log_loss

from skrdia import RDIAClassifier, __version__
from skrdia.datasets import flip_labels, load_breast_cancer_scale
from skrdia.reproduce._cells import NO_TRUSTED_NOISES, NOISES, Cell, cells, parse_noise
from skrdia.reproduce._cost import cost
from skrdia.reproduce._methods import BASES, methods_for, unavailable
from skrdia.reproduce._results import cell_of, read
from skrdia.reproduce._runner import plan, run
from skrdia.reproduce._tables import TABLES, available
from skrdia.reproduce._text import TextTable, cost_table, failures, tables

try:
    import click
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )
    from rich.table import Table
except ImportError as error:
    raise SystemExit(f"The skrdia command needs {error.name}: pip install 'skrdia[cli]'") from error

__all__ = ["main"]


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="skrdia")
def main() -> None:
    """Repair wrong training labels with influence functions."""


@main.command()
@click.option("--noise", default=0.3, show_default=True, type=click.FloatRange(0, 1), help="Share of labels to flip.")
@click.option("--seed", default=0, show_default=True, help="Seed of the flips.")
def demo(noise: float, seed: int) -> None:
    """Flip training labels of a real table, repair them, and compare."""
    console = Console()
    with console.status("Training ..."):
        table, clf = _demo_table(noise, seed)
    console.print(table)
    rows = np.flatnonzero(clf.harmful_mask_)
    console.print(
        "\nAfter clf = RDIAClassifier(LogisticRegression()).fit(X, y, X_val=X_val, y_val=y_val), the line auto:\n"
        f"  clf.harmful_mask_  True for the {len(rows)} rows that hurt, first {rows[:4].tolist()}\n"
        f"  clf.relabeled_y_   the labels after repair, of these rows {clf.relabeled_y_[rows[:4]].tolist()}\n"
        "  clf.influences_    how much each row hurts (positive) or helps (negative)",
        highlight=False,
    )


def _demo_table(noise: float, seed: int) -> tuple[Any, RDIAClassifier]:
    X, y = load_breast_cancer_scale(return_X_y=True)
    train, val, test = np.split(np.arange(len(y)), [350, 500])  # the paper's split
    noisy_y, flipped = flip_labels(y[train], noise, random_state=seed)
    trusted = {"X_val": X[val], "y_val": y[val]}

    table = Table(
        title=f"Breast cancer: {flipped.sum()} of {len(train)} training labels flipped, {len(val)} validation rows",
        caption=f"log loss and accuracy on {len(test)} test rows; found, fixed: of the flipped labels",
    )
    for name in ("trained on", "log loss", "accuracy", "changed", "found", "fixed"):
        table.add_column(name, justify="left" if name == "trained on" else "right", no_wrap=True)

    def add(name: str, model: Any, *counts: object) -> None:
        loss = log_loss(y[test], model.predict_proba(X[test]))
        accuracy = accuracy_score(y[test], model.predict(X[test]))
        table.add_row(name, f"{loss:.3f}", f"{accuracy:.3f}", *(str(count) for count in (*counts, *["-"] * 3)[:3]))

    def add_repaired(name: str, **params: Any) -> RDIAClassifier:
        clf = RDIAClassifier(LogisticRegression(), **params).fit(X[train], noisy_y, **trusted)
        fixed = flipped & (clf.relabeled_y_ == y[train])
        changed = f"{clf.harmful_mask_.sum()} dropped" if params.get("strategy") == "drop" else ""
        changed = changed or (clf.relabeled_y_ != noisy_y).sum()
        add(name, clf, changed, (flipped & clf.harmful_mask_).sum(), fixed.sum())
        return clf

    rows = np.r_[train, val]
    add("everything", LogisticRegression().fit(X[rows], np.r_[noisy_y, y[val]]))
    add("validation rows only", LogisticRegression().fit(X[val], y[val]))
    add_repaired("harmful rows dropped", alpha=0.7, strategy="drop")
    add_repaired("RDIA, one round", alpha=0.7)
    add_repaired("RDIA, up to ten rounds", alpha=0.7, max_iter=10)
    clf = add_repaired("auto")
    add("perfect labels", LogisticRegression().fit(X[rows], y[rows]), flipped.sum(), flipped.sum(), flipped.sum())
    return table, clf


@main.group()
def reproduce() -> None:
    """Measure what a repair is worth."""


class _List(click.ParamType):
    """Values separated by commas."""

    name = "list"

    def __init__(self, kind: type) -> None:
        self.kind = kind

    def convert(self, value: Any, param: Any, ctx: Any) -> list[Any]:
        if not isinstance(value, str):
            return list(value)
        try:
            return [self.kind(part.strip()) for part in value.split(",")]
        except ValueError:
            self.fail(f"{value!r} is not a list such as 0.1,1", param, ctx)


_NAMES, _NUMBERS = _List(str), _List(float)
_FILE = click.Path(dir_okay=False, path_type=Path)
_EXISTING = click.Path(exists=True, dir_okay=False, path_type=Path)


@reproduce.command()
@click.option("--tables", "table_names", type=_NAMES, help="Names; all there are. Most need SKRDIA_DATA.")
@click.option("--noise", "noises", type=_NAMES, help="Kinds, such as clean,symmetric or symmetric=0.3; all.")
@click.option("--c", "Cs", type=_NUMBERS, help="Values of C, for hgb of its detector; 0.1,1,10, for hgb 0.1.")
@click.option("--seeds", default=5, show_default=True, type=click.IntRange(1), help="Number of seeds.")
@click.option("--trusted", type=_NUMBERS, default="0.3,0.05", show_default=True, help="Shares of trusted rows.")
@click.option("--no-trusted", is_flag=True, help="Compare without trusted rows, at 5 to 30 % noise.")
@click.option("--methods", "method_names", type=_NAMES, help="Names; all.")
@click.option("--slow-seeds", default=1, show_default=True, help="Number of seeds of prototype and hindsight.")
@click.option("--base", default="logistic", show_default=True, type=click.Choice(list(BASES)), help="Base estimator.")
@click.option("--max-rows", type=click.IntRange(0), help="Rows drawn from a table; 1600, for hgb 0: up to 20,000.")
@click.option("--n-jobs", default=1, show_default=True, help="Cells in parallel.")
@click.option("--output", type=_FILE, default="skrdia-autorepair.csv", show_default=True, help="Results, appended to.")
@click.option("--summary", type=_EXISTING, multiple=True, help="Only summarise this file, or several.")
def autorepair(output: Path, summary: tuple[Path, ...], n_jobs: int, slow_seeds: int, **options: Any) -> None:
    """Measure how much of the harm of wrong labels a repair undoes, on real tables.

    Results that are in the output file already are not measured again, so that a run can be interrupted and continued.
    """
    console = _wide_console()
    try:
        if summary:
            rows = [row for path in summary for row in read(path)]
        else:
            wanted, names = _selection(console, **options)
            _run(console, plan(wanted, names, read(output), slow_seeds), output, n_jobs)
            selected = set(wanted)
            rows = [row for row in read(output) if cell_of(row) in selected]
    except ValueError as error:
        raise click.ClickException(str(error)) from error
    for table in (*tables(rows), failures(rows)):
        if table.rows:
            _print(console, table)


@reproduce.command(name="cost")
@click.option("--sizes", type=_List(int), default="1000,5000,20000", show_default=True, help="Numbers of rows.")
@click.option(
    "--repeats", default=3, show_default=True, type=click.IntRange(1), help="Fits of which to take the median."
)
def cost_command(sizes: list[int], repeats: int) -> None:
    """Time alpha="auto" against one fit of its base estimator, on 100 columns."""
    console = _wide_console()
    with console.status("Training ..."):
        table = cost_table(cost(sizes, repeats))
    _print(console, table)


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
    hgb = base == "hgb"
    defaults = NO_TRUSTED_NOISES if no_trusted else NOISES
    wanted = cells(
        _known(table_names, list(TABLES), "table") or available(min_rows=5000 if hgb else 0),
        [noise for text in noises for noise in parse_noise(text, defaults)] if noises else defaults,
        Cs or ([0.1] if hgb else [0.1, 1.0, 10.0]),
        range(seeds),
        [0.0] if no_trusted else trusted,
        base,
        max_rows if max_rows is not None else (0 if hgb else 1600),
    )
    possible = methods_for(base, trusted=not no_trusted)
    names = _known(method_names, possible, "method") or possible
    for name, notice in unavailable().items():
        if name in names:
            console.print(notice, highlight=False)
            names = [other for other in names if other != name]
    return list(wanted), names


def _known(names: list[str] | None, known: list[str], what: str) -> list[str]:
    unknown = [name for name in names or [] if name not in known]
    if unknown:
        raise ValueError(f"{what} {unknown[0]!r} is unknown here; use some of {', '.join(known)}.")
    return names or []


def _run(console: Console, jobs: Sequence[Any], output: Path, n_jobs: int) -> None:
    columns = (TextColumn("Cells"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console) as progress:
        task = progress.add_task("", total=len(jobs))
        for _ in run(jobs, output, n_jobs):
            progress.advance(task)
    console.print(f"{len(jobs)} cells measured; results in {output}", highlight=False)


def _wide_console() -> Console:
    """A console that does not squeeze tables into 80 columns where the output is a file."""
    console = Console()
    return console if console.is_terminal else Console(width=160)


def _print(console: Console, text: TextTable) -> None:
    table = Table()
    for i, name in enumerate(text.columns):
        table.add_column(name, justify="right" if i and name not in text.words else "left")
    for row in text.rows:
        table.add_row(*row)
    console.print(text.title, style="bold", highlight=False)
    console.print(table)
    console.print(*([text.caption] if text.caption else []), "", sep="\n", highlight=False)
