"""The command ``skrdia audit``: options, what is printed, and how it ends.

The libraries that compute are imported when the table has been read, so that help, completion, and errors about files
and columns come at once.
"""

from __future__ import annotations

import json
import os
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.shell_completion import get_completion_class, split_arg_string

from skrdia import __version__
from skrdia.audit._errors import AuditError, unknown_column
from skrdia.audit._files import Interrupts, all_or_nothing, check_folder, finish_earlier
from skrdia.audit._model_file import FORMATS, check_format, write_model
from skrdia.audit._tables import Table, read_table

if TYPE_CHECKING:
    from rich.console import Console

    from skrdia.audit._columns import Column
    from skrdia.audit._run import Audit, Prepared

__all__ = ["MODEL_NAMES", "audit", "completion"]

MODEL_NAMES = ("logistic", "hist-gradient-boosting", "random-forest", "mlp")
"""The keys of `skrdia.audit._models.MODELS`, which loads scikit-learn."""

_INTERRUPTED, _ABOVE = 130, 3


class OneLine(click.Command):
    """A command whose errors are one line each."""

    def invoke(self, ctx: click.Context) -> Any:
        interrupts = Interrupts()
        try:
            with interrupts.heard():
                ctx.obj = interrupts
                try:
                    return super().invoke(ctx)
                except Exception:
                    interrupts()  # a library that was interrupted while it loaded may have made another error of that
                    raise
        except AuditError as error:
            message, code = str(error), 1
        except (KeyboardInterrupt, click.Abort):
            message, code = f"interrupted; {interrupts.outcome}.", _INTERRUPTED
        except MemoryError:
            message, code = "not enough memory. Leave columns out by --ignore, or audit a part of the rows.", 1
        except (click.ClickException, click.exceptions.Exit, BrokenPipeError):
            raise
        except Exception as error:
            if "SKRDIA_DEBUG" in os.environ:
                raise
            message = f"unexpected {type(error).__name__}: {error} (this is a bug; SKRDIA_DEBUG=1 shows where)"
            code = 1
        click.echo(f"Error: {' '.join(message.split())}", err=True)
        ctx.exit(code)

    def make_context(self, *args: Any, **kwargs: Any) -> click.Context:
        try:
            return super().make_context(*args, **kwargs)
        except click.UsageError as error:
            error.ctx = None  # which would print the usage too
            raise


def _columns_of(_: click.Context, __: click.Parameter, incomplete: str) -> list[str]:
    """Names of columns of the table on the command line, for shell completion.

    click gives up parsing where the value of an option is still missing, so that the table is not among its parameters.
    """
    words = split_arg_string(os.environ.get("COMP_WORDS", ""))
    for path in (Path(word) for word in words[2:] if Path(word).is_file()):
        try:
            return [name for name in read_table(path).names if name.startswith(incomplete)]
        except AuditError:
            continue
    return []


def _option(*names: str, **attributes: Any) -> Callable[..., Any]:
    """An option that names a column."""
    return click.option(*names, metavar="COLUMN", shell_complete=_columns_of, **attributes)


@click.command(cls=OneLine)
@click.argument("table", type=click.Path(path_type=Path))
@_option("--label", required=True, help="The column of labels, of which some may be wrong.")
@_option("--trusted", help="A yes-or-no column: rows whose label is verified.")
@_option("--given", help="Of labels as they came: what verified rows had before somebody corrected --label.")
@click.option("--validation", type=click.Path(path_type=Path), help="Another table, of rows whose labels are verified.")
@click.option("--model", type=click.Choice(MODEL_NAMES), default="logistic", show_default=True)
@click.option(
    "--model-format",
    type=click.Choice(list(FORMATS)),
    default="joblib",
    show_default=True,
    help="Of the model's file; one of skops can be looked at before it is loaded.",
)
@click.option("--out", type=click.Path(path_type=Path), default=Path("audit"), show_default=True, help="The folder.")
@_option("--key", help="A column that names the rows in the report and the ledger; their line otherwise.")
@_option("--group", help="A column, such as the source, to tell the effects by.")
@_option("--fold-group", help="A column, such as the patient: rows of one value stand on the same side of every fold.")
@_option("--numeric", multiple=True, help="A column of numbers, whatever it looks like.")
@_option("--category", multiple=True, help="A column of categories.")
@_option("--text", multiple=True, help="A column of text: its words are used.")
@_option("--ignore", multiple=True, help="A column to leave out.")
@click.option("--missing-label", multiple=True, metavar="WORD", help="A word, such as NA, for a label that is missing.")
@click.option(
    "--similar-labels",
    type=click.Choice(["error", "merge", "keep"]),
    default="error",
    show_default=True,
    help="What to do about labels that differ in case, spaces or the form of a number only.",
)
@click.option(
    "--decimal", type=click.Choice(["point", "comma"]), help="What 1,234 is; told from other cells otherwise."
)
@click.option("--encoding", help="Of files of text; told from the file otherwise.")
@click.option("--sheet", help="Of an Excel file; the first one otherwise.")
@click.option("--allow-unknown", is_flag=True, help="Take new categories in --validation for unknown.")
@click.option("--seed", default=0, show_default=True, help="Of all that is random.")
@click.option("--jobs", type=int, help="Folds in parallel; -1 for all processors.")
@click.option("--fail-above", type=click.FloatRange(0, 1), help="Exit with 3 if a larger share of labels looks wrong.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object, for machines.")
@click.pass_obj
def audit(check: Interrupts, **given: Any) -> None:
    """Find and repair wrong labels of a table in a file.

    TABLE is CSV (.csv, .tsv, .txt), JSON lines (.jsonl, .ndjson, .json), Parquet (.parquet) or Excel (.xlsx); files of
    text may be packed (.gz). The folder --out then holds

    \b
      repaired.*    the table, its label column repaired, and three columns at the end:
                    old_label, influence (nats; positive hurts), decision
      ledger.csv    every changed or suspicious row, with the reason, to decide on
      audit.html    the report
      model.joblib  the model trained on the repaired labels, for frames with these columns;
                    loading it runs code, see --model-format

    TABLE itself is never touched, and nothing half-written is left behind. Exit codes: 0 done; 3 more labels look wrong
    than --fail-above allows; 1 or 2 an error, in one line; 130 interrupted.

    \b
    Examples:
      skrdia audit train.csv --label y --trusted verified
      skrdia audit train.csv --label y --trusted verified --given y_before
      skrdia audit train.csv --label y --validation checked.csv --model hist-gradient-boosting
      skrdia audit train.parquet --label y --key id --group clinic --text note --out audit-may
      skrdia audit train.jsonl.gz --label y --trusted verified --json --fail-above 0.05
    """
    from rich.console import Console

    start = time.perf_counter()
    limit, as_json, out = given.pop("fail_above"), given.pop("as_json"), given.pop("out")
    model_format = given.pop("model_format")
    check_format(model_format)
    forced: dict[str, str] = {}
    for kind in ("numeric", "category", "text", "ignore"):
        for name in given.pop(kind):
            if name in forced:
                raise AuditError(f"Column {name!r} is named by --{forced[name]} and --{kind}; it can have one role.")
            forced[name] = kind
    errors = Console(stderr=True, highlight=False, markup=False)
    with _progress(errors, check) as report:
        report("reading")
        earlier = finish_earlier(out)
        table = _read(given, forced)
        from skrdia.audit._run import Options, fit, prepare
        from skrdia.report import summarise

        check()
        options = Options(**given, forced=forced)
        prepared = prepare(options, table)
        suffix = prepared.table.suffix
        names = [f"repaired{suffix}", "ledger.csv", "audit.html", f"model.{model_format}"]
        inputs = [path for path in (options.table, options.validation) if path is not None]
        check_folder(out, names, inputs)
        _print_columns(errors, prepared)
        done = fit(prepared, report)
        report("writing")
        with all_or_nothing(out, check) as part:
            _write(done, [part / name for name in names], model_format)
    for note in [*earlier, *prepared.notes, *_warning_of_formulas(prepared), *done.notes, FORMATS[model_format]]:
        errors.print(f"note: {note}", soft_wrap=True)
    share = done.share_wrong
    failed = limit is not None and share > limit
    summary = summarise(done.clf)
    if as_json:
        click.echo(json.dumps(_as_json(done, summary, [out / n for n in names], time.perf_counter() - start, failed)))
    else:
        _print(done, summary["verdict"], out, names)
    if failed:
        click.echo(f"Failed: {share:.1%} of the labels look wrong, more than --fail-above {limit:g} allows.", err=True)
        click.get_current_context().exit(_ABOVE)


def _read(given: dict[str, Any], forced: dict[str, str]) -> Table:
    """The table, which has the columns that the options name."""
    if given["given"] is not None and given["trusted"] is None:
        raise AuditError(
            "--given says with which label verified rows came; name the column that marks those by --trusted too."
        )
    validation = given["validation"]
    if validation is not None and not validation.is_file():
        read_table(validation)  # says what is wrong with it
    table = read_table(given["table"], given["encoding"], given["sheet"])
    named = [
        (name.replace("_", "-"), given[name]) for name in ("label", "trusted", "given", "key", "group", "fold_group")
    ]
    for option, name in [*named, *((kind, name) for name, kind in forced.items())]:
        if name is not None and name not in table.names:
            raise unknown_column(f"--{option}", name, table.names, table.path)
    return table


@contextmanager
def _progress(console: Console, check: Callable[[], None]) -> Iterator[Callable[[str], None]]:
    """Show the latest line while at work, on a terminal only; and call the check whenever there is one."""
    with console.status("starting") if console.is_terminal else nullcontext() as status:

        def report(line: str) -> None:
            check()
            if status is not None:
                status.update(f"{line} ...")

        yield report


def _print_columns(console: Console, prepared: Prepared) -> None:
    from rich.table import Table as RichTable

    table = RichTable(box=None, pad_edge=False)
    for name in ("column", "kind", "missing", "distinct", ""):
        table.add_column(name, justify="right" if name in ("missing", "distinct") else "left", overflow="fold")
    for column in prepared.columns:
        table.add_row(column.name, column.kind, f"{column.n_missing:,}", f"{column.n_distinct:,}", column.note)
    console.print(table)


def _write(done: Audit, paths: list[Path], model_format: str) -> None:
    repaired, ledger, report, model = paths
    prepared, options = done.prepared, done.prepared.options
    prepared.table.write(repaired, options.label, done.labels, done.added)
    done.clf.ledger_.with_key(prepared.keys).to_csv(ledger)
    title = f"Label audit of {options.table.name}"
    done.clf.report(
        report, prepared.frame, key=prepared.named_keys(), groups=prepared.groups, title=title, notes=prepared.notes
    )
    write_model(done.model, model, model_format)


def _warning_of_formulas(prepared: Prepared) -> list[str]:
    table = prepared.table
    if not table.suffix.startswith((".csv", ".tsv", ".txt")):
        return []
    texts = [column.name for column in prepared.columns if column.kind not in ("number", "date", "time")]
    risky = [name for name in [*texts, prepared.options.label] if any(map(_is_formula, table.column(name)))]
    if not risky:
        return []
    return [
        f"cells of {', '.join(risky[:5])} begin like a formula of a spreadsheet; repaired{table.suffix} keeps them as "
        "they are, while ledger.csv and audit.html are safe to open."
    ]


def _is_formula(cell: str) -> bool:
    if not cell.startswith(("=", "+", "-", "@", "\t", "\r")):
        return False
    try:
        float(cell)
    except ValueError:
        return len(cell) > 1
    return False


def _print(done: Audit, verdict: str, out: Path, names: list[str]) -> None:
    click.echo(verdict)
    trusted = done.prepared.trusted is not None or done.prepared.outside is not None
    if not trusted:
        click.echo("No verified rows were given: with --trusted or --validation more can be repaired, and measured.")
    click.echo(f"Written to {out}{os.sep}: {', '.join(names)}")
    if len(done.clf.ledger_):
        click.echo(f"Next: open {out / 'audit.html'}; {out / 'ledger.csv'} lists every row to decide on.")


def _as_json(done: Audit, summary: dict[str, Any], paths: list[Path], seconds: float, failed: bool) -> dict[str, Any]:
    prepared, clf = done.prepared, done.clf
    return {
        "verdict": summary["verdict"],
        "cautions": summary["cautions"],
        "n_rows": prepared.table.n_rows,
        "n_labelled": len(prepared.rows),
        "n_trusted": 0 if prepared.trusted is None else int(prepared.trusted.sum()),
        "n_pairs": 0 if prepared.given is None else sum(label is not None for label in prepared.given.tolist()),
        "n_wrong": done.n_wrong,
        "share_wrong": done.share_wrong,
        "actions": dict(Counter(name for name in done.added["decision"] if name)),
        "classes": clf.classes_.tolist(),
        **{name: summary[name] for name in ("loss_before", "loss_after", "loss_error")},
        "columns": [_told(column) for column in prepared.columns],
        "notes": [*prepared.notes, *done.notes],
        "files": [str(path) for path in paths],
        "seconds": round(seconds, 1),
        "version": __version__,
        "failed": failed,
    }


def _told(column: Column) -> dict[str, Any]:
    told = {"name": column.name, "kind": column.kind, "used": column.is_used, "missing": column.n_missing}
    return told | {"note": column.note}


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print what makes a shell complete this command.

    \b
    For bash and zsh, in ~/.bashrc or ~/.zshrc:
      eval "$(skrdia completion bash)"
    For fish, in ~/.config/fish/config.fish:
      skrdia completion fish | source
    """
    found = get_completion_class(shell)
    assert found is not None
    click.echo(found(click.get_current_context().find_root().command, {}, "skrdia", "_SKRDIA_COMPLETE").source())
