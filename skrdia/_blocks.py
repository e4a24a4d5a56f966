"""Which rows come in blocks: those of `skrdia.blocks`, and those of Dask."""

from __future__ import annotations

from typing import Any

from skrdia.blocks import Blocks

__all__ = ["as_blocks", "is_dask"]


def is_dask(X: Any) -> bool:
    """Whether X is a Dask array or data frame; imports nothing."""
    return type(X).__module__.partition(".")[0] in ("dask", "dask_expr")


def as_blocks(X: Any) -> Any:
    """The blocks of rows that come in blocks, else None."""
    if isinstance(X, Blocks):
        return X
    if is_dask(X):
        from skrdia._dask_blocks import DaskBlocks  # loads dask

        return DaskBlocks.of(X)
    return None
