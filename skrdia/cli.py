"""The command ``skrdia``.

Help, completion, and errors of usage are needed at once, so that here only click is imported.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from skrdia import __version__

try:
    import click

    if find_spec("rich") is None:
        raise ImportError(name="rich")
except ImportError as error:
    raise SystemExit(f"The skrdia command needs {error.name}: pip install 'skrdia[cli]'") from error

from skrdia.audit._command import audit, completion
from skrdia.reproduce._commands import reproduce

__all__ = ["main"]


_INTERRUPTED = 130


class Commands(click.Group):
    """A group of commands, which an interrupt ends in one line."""

    def make_context(self, *args: Any, **kwargs: Any) -> click.Context:
        with _one_line():
            return super().make_context(*args, **kwargs)

    def invoke(self, ctx: click.Context) -> Any:
        with _one_line(ctx):
            return super().invoke(ctx)


@contextmanager
def _one_line(ctx: click.Context | None = None) -> Iterator[None]:
    try:
        yield
    except (KeyboardInterrupt, click.Abort):
        measures = ctx is not None and ctx.invoked_subcommand == "reproduce"
        click.echo(f"Error: interrupted; {'finished cells are kept' if measures else 'nothing was written'}.", err=True)
        raise click.exceptions.Exit(_INTERRUPTED) from None


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="skrdia")
def main() -> None:
    """Repair wrong training labels with influence functions."""


@main.command()
@click.option("--noise", default=0.3, show_default=True, type=click.FloatRange(0, 1), help="Share of labels to flip.")
@click.option("--seed", default=0, show_default=True, help="Seed of the flips.")
@click.option(
    "--report", type=click.Path(path_type=Path, dir_okay=False), help="Also write the report of the line auto."
)
def demo(noise: float, seed: int, report: Path | None) -> None:
    """Flip training labels of a real table, repair them, and compare."""
    from skrdia._demo import show

    show(noise, seed, report)


for command in (audit, completion, reproduce):
    main.add_command(command)
