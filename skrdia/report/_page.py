"""The summary as one HTML page, which loads nothing and runs nothing."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape
from importlib.util import find_spec
from typing import Any

from numpy.typing import ArrayLike

from skrdia._files import replacing
from skrdia.report._facts import Facts
from skrdia.report._numbers import as_text, count, decimals, percent
from skrdia.report._summary import summarise

__all__ = ["Reported"]

_SHOWN_IN_NOTEBOOKS = 3
"""Cautions and rows in the short form."""


def _render(facts: Facts, summary: dict[str, Any], title: str, row_word: str) -> str:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    from skrdia.report._figures import figures

    environment = Environment(
        loader=PackageLoader("skrdia.report", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"cell": as_text, "percent": percent, "number": lambda n: f"{n:,}"}
    environment.globals |= {"decimals": decimals, "count": count}
    return environment.get_template("page.html").render(
        title=title, row_word=row_word, figures=figures(facts), **summary
    )


class Reported:
    """Shows a fitted classifier to a person: as a report, and in a notebook."""

    def report(
        self,
        path: Any,
        X: Any = None,
        *,
        key: ArrayLike | None = None,
        groups: ArrayLike | None = None,
        title: str = "Label audit",
        n_rows: int = 10,
        notes: Iterable[str] = (),
    ) -> None:
        """Write what was found, done and gained as one HTML file.

        The verdict comes first, then the rows to look at; the effects by class and by group, the figures, what was done
        and why it stopped, and how to repeat it follow. The file holds everything it shows: it loads nothing from
        elsewhere, needs no JavaScript, and every value of the table is escaped.

        Parameters
        ----------
        path : str or path-like
            The file, replaced if it exists, once all of it has been written.
        X : {array-like, sparse matrix, data frame} of shape (n_samples, any), default=None
            Features to show beside the rows, in the order of the rows given to `fit`: those, or more readable ones. The
            estimator keeps no rows, so that without X none are shown.
        key : array-like of shape (n_samples,), default=None
            What to call each row, instead of its index. The column of names is headed by the name of a series.
        groups : array-like of shape (n_samples,), default=None
            A group of each row, such as its source, to tell the effects by.
        title : str, default="Label audit"
            The title of the page.
        n_rows : int, default=10
            Rows to show, the ones most worth a look, see `Ledger.suggest`.
        notes : iterable of str, default=()
            Sentences to add to those about what to be careful of, such as how the table was read.

        Raises
        ------
        ImportError
            If jinja2 or matplotlib is not installed: ``pip install 'skrdia[report]'``.
        ValueError
            If an argument does not have one entry per row given to `fit`.
        OSError
            If `path` names a folder, or a file in a folder that does not exist.

        See Also
        --------
        skrdia.report.summarise : The same as a dict.
        """
        missing = [name for name in ("jinja2", "matplotlib") if find_spec(name) is None]
        if missing:
            raise ImportError(f"A report needs {' and '.join(missing)}: pip install 'skrdia[report]'")
        with replacing(path) as part:
            summary = summarise(self, X, key=key, groups=groups, n_rows=n_rows)
            summary["cautions"] = [*summary["cautions"], *notes]
            page = _render(Facts(self), summary, title, str(getattr(key, "name", None) or "row"))
            part.write_text(page, encoding="utf-8", errors="replace")

    def _html_repr(self) -> str:
        """What a notebook shows: of a fitted classifier, the verdict above scikit-learn's diagram."""
        diagram: str = super()._html_repr()  # type: ignore[misc]
        return _short(summarise(self, n_rows=_SHOWN_IN_NOTEBOOKS)) + diagram if hasattr(self, "held_out_") else diagram


def _short(summary: dict[str, Any]) -> str:
    cautions = "".join(f"<li>{escape(text)}</li>" for text in summary["cautions"][:_SHOWN_IN_NOTEBOOKS])
    rows = "".join(
        f"<li>row {escape(as_text(row['name']))}: label {escape(as_text(row['label']))}, {escape(row['reason'])}</li>"
        for row in summary["first_rows"]
    )
    return (
        '<div style="font-family: sans-serif; margin: 0 0 0.5em">'
        f"<p><strong>{escape(summary['verdict'])}</strong></p>"
        + (f"<p>Rows to look at first, of <code>ledger_</code>:</p><ul>{rows}</ul>" if rows else "")
        + (f"<p>Be careful:</p><ul>{cautions}</ul>" if cautions else "")
        + "<p><code>report(path, X)</code> writes the whole story.</p></div>"
    )
