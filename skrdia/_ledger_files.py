"""The files of a ledger: CSV for people and spreadsheets, JSON for everything, Parquet for types."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, Self

from skrdia._ledger_columns import Book
from skrdia._ledger_csv import read_csv, write_csv
from skrdia._ledger_json import read_json, write_json
from skrdia._ledger_parquet import read_parquet, write_parquet

__all__ = ["Filed"]


class Filed(ABC):
    """The files of a ledger."""

    @abstractmethod
    def _shown(self) -> Book:
        """The lines to write."""

    @classmethod
    @abstractmethod
    def _of(cls, book: Book) -> Self:
        """The ledger of lines that were read."""

    def to_csv(self, path: Any) -> None:
        """Write the ledger as a CSV file, for a spreadsheet too; the order of the decisions is not kept.

        A text that a spreadsheet would take for a formula, or that looks like a number, is written with an apostrophe
        before it, which `read_csv` takes off.

        Parameters
        ----------
        path : str or path-like
            The file, replaced if it exists.
        """
        write_csv(path, self._shown().columns)

    @classmethod
    def read_csv(cls, path: Any) -> Self:
        """Read a ledger that `to_csv` wrote, and in which a person may have filled in decisions since.

        Keys and labels are what they look like: integers, floats, True and False, times, and otherwise, or after an
        apostrophe, strings. Fill in `decision` with "accepted", "rejected", or "set" and the right label in
        `new_label`. The file is in UTF-8, separated by commas; columns may stand in any order, and none may be added.

        Parameters
        ----------
        path : str or path-like
            The file.

        Returns
        -------
        ledger : Ledger
            Equal to the one that was written.

        Raises
        ------
        ValueError
            If the file is no such ledger, or was damaged; the message names the column and the place, and what to do.
        """
        return cls._of(read_csv(path))

    def to_json(self, path: Any) -> None:
        """Write the ledger as a JSON file, which keeps everything, also what `undo` and `refit` go by.

        Parameters
        ----------
        path : str or path-like
            The file, replaced if it exists.
        """
        write_json(path, self._shown())

    @classmethod
    def read_json(cls, path: Any) -> Self:
        """Read a ledger that `to_json` wrote.

        Parameters
        ----------
        path : str or path-like
            The file.

        Returns
        -------
        ledger : Ledger
            Equal to the one that was written.

        Raises
        ------
        ValueError
            If the file is no such ledger, or was damaged; the message names the column and the place, and what to do.
        """
        return cls._of(read_json(path))

    def to_parquet(self, path: Any) -> None:
        """Write the ledger as a Parquet file; the order of the decisions is not kept.

        Parameters
        ----------
        path : str or path-like
            The file, replaced if it exists.

        Raises
        ------
        ImportError
            If neither polars nor pyarrow is installed.
        """
        write_parquet(path, self._shown().columns)

    @classmethod
    def read_parquet(cls, path: Any) -> Self:
        """Read a ledger that `to_parquet` wrote.

        Parameters
        ----------
        path : str or path-like
            The file.

        Returns
        -------
        ledger : Ledger
            Equal to the one that was written.

        Raises
        ------
        ImportError
            If neither polars nor pyarrow is installed.
        ValueError
            If the file is no such ledger, or was damaged; the message names the column and the place, and what to do.
        """
        return cls._of(read_parquet(path))
