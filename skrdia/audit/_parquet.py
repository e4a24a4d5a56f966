"""Parquet files, whose columns keep their types. The file has no lines: rows are called by their number from one."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

from skrdia.audit._errors import AuditError
from skrdia.audit._table import Table, check_names, named

__all__ = ["SUFFIXES", "read_parquet"]

SUFFIXES = (".parquet", ".pq")


class _Parquet(Table):
    """A frame of polars, with the types of its columns."""

    word = "row"

    def __init__(self, path: Path, suffix: str, names: list[str], frame: Any) -> None:
        super().__init__(path, suffix, names, range(1, len(frame) + 1))
        self._frame = frame

    def column(self, name: str) -> list[Any]:
        import polars as pl

        series = self._frame.to_series(self.names.index(name))
        if series.dtype.is_nested() or series.dtype == pl.Object:
            raise AuditError(f"{self.path}: column {name!r} holds {series.dtype}. Pass --ignore {name}.")
        if series.dtype == pl.Duration:
            series = series.dt.total_microseconds() / 1e6
        elif isinstance(series.dtype, pl.Datetime) and series.dtype.time_zone:
            series = series.dt.convert_time_zone("UTC").dt.replace_time_zone(None).cast(pl.String)
        elif _is_shown_as_text(series.dtype):
            series = series.cast(pl.String)
        cells: list[Any] = series.to_list()
        return cells

    def write(self, path: Path, label: str, labels: list[Any], added: dict[str, list[Any]]) -> None:
        import polars as pl

        given = self._frame.to_series(self.names.index(label))
        plain = pl.String if _is_shown_as_text(given.dtype) else given.dtype
        columns = [pl.Series(given.name, labels, dtype=plain).cast(given.dtype)]
        columns += [
            given.alias("old_label"),
            pl.Series("influence", added["influence"], dtype=pl.Float64),
            pl.Series("decision", added["decision"], dtype=pl.String),
        ]
        try:
            self._frame.with_columns(columns).write_parquet(path)
        except pl.exceptions.PolarsError as error:  # which a full disk may raise too
            raise OSError(errno.EIO, str(error).splitlines()[0], os.fspath(path)) from error


def _is_shown_as_text(dtype: Any) -> bool:
    import polars as pl

    return dtype in (pl.Categorical, pl.Enum, pl.Decimal) or dtype.is_temporal()


def read_parquet(path: Path, suffix: str) -> Table:
    """Read a Parquet file."""
    import polars as pl

    try:
        frame = pl.read_parquet(path)
    except Exception as error:  # polars has many, and a panic for a damaged file
        raise AuditError(f"{path} is no Parquet file that can be read: {str(error).splitlines()[0]}.") from error
    names, unnamed = named(frame.columns)
    check_names(path, names)
    table = _Parquet(path, suffix, names, frame)
    table.unnamed = unnamed
    return table
