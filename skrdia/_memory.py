"""What a fit takes in memory, before it runs.

For n rows, d columns, K classes, p = d + 1 parameters (times K for more than two classes) and 8 bytes a number,

    rows           n d s dense, n z (s + 4) + 4 n sparse     s bytes a number, z non-zeros a row
    base fit       8 (40 p + 8 n K)                          L-BFGS keeps pairs of vectors; probabilities and targets
    step II        8 (19 p + (7 + 7 K) n)                    of conjugate gradients; of a factorisation 24 p^2 more
    results        8 (12 + 6.5 K) n                          targets, influences, scores

in which the factors are measured, see `tests/benchmarks/scale.py memory`. The peak of a fit is the larger one of base
fit and step II, the results, and the rows twice: training rows are a copy where validation rows are taken out of X.
Rows on disk are not copied, and take the blocks that are read.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

import numpy as np

from skrdia._blocks import as_blocks, is_dask
from skrdia._sparse import nbytes_of
from skrdia._validation import is_sparse
from skrdia.solvers import DIRECT_MAX

__all__ = ["MemoryEstimate", "estimate_memory"]

_BLOCKS_WAITING = 2
"""Blocks of rows from disk that are in memory beside those that are computed with."""

_FEW_PARAMETERS = 500
"""Up to which a factorisation is about as fast as a few dozen products."""


@dataclass(frozen=True)
class MemoryEstimate:
    """What `RDIAClassifier.fit` takes, in bytes.

    Parameters
    ----------
    rows : int
        The rows themselves, as far as they are in memory.
    copy : int
        The training rows, where validation rows are taken out of X.
    base_fit : int
        Working memory of the base fit, a logistic regression by L-BFGS.
    newton_cg, direct : int
        Working memory of step II with each of these solvers.
    results : int
        What is kept for each row: targets, influences, scores.
    available : int
        Memory of this machine that is free now.
    hessian : str
        The solver to use: "direct" for few parameters, else "newton-cg".
    """

    rows: int
    copy: int
    base_fit: int
    newton_cg: int
    direct: int
    results: int
    available: int
    hessian: str

    @property
    def peak(self) -> int:
        """Of the whole fit with the solver to use."""
        step_two = self.direct if self.hessian == "direct" else self.newton_cg
        return self.rows + self.copy + self.results + max(self.base_fit, step_two)

    @property
    def fits(self) -> bool:
        """Whether that is within nine tenths of the memory that is free."""
        return self.peak - self.rows <= 0.9 * self.available

    def __str__(self) -> str:
        lines = [
            f"rows               {_shown(self.rows)}",
            f"copy of the rows   {_shown(self.copy)}",
            f"base fit           {_shown(self.base_fit)}",
            f"step II, newton-cg {_shown(self.newton_cg)}",
            f"step II, direct    {_shown(self.direct)}",
            f"results            {_shown(self.results)}",
            f"peak               {_shown(self.peak)} with hessian={self.hessian!r}, of {_shown(self.available)} free",
        ]
        if not self.fits:
            lines.append("It does not fit: read the rows from disk (skrdia.blocks.RowBlocks), or use skrdia.dask.")
        return "\n".join(lines)


def estimate_memory(X: Any, *, n_classes: int = 2) -> MemoryEstimate:
    """Estimate what `RDIAClassifier` around a logistic regression takes in memory, before a fit.

    Parameters
    ----------
    X : {array, sparse matrix, RowBlocks} of shape (n_samples, n_features)
        The rows, or some of the same shape: an ``np.empty`` or a memory map takes no memory.
    n_classes : int, default=2
        Number of classes.

    Returns
    -------
    MemoryEstimate
        Bytes by part; `print` shows them.

    Raises
    ------
    TypeError
        If X has no shape, or is of Dask, where each worker has but its share.

    Examples
    --------
    >>> import numpy as np
    >>> from skrdia import estimate_memory
    >>> estimate = estimate_memory(np.empty((10_000_000, 100), dtype=np.float32))
    >>> estimate.hessian
    'direct'
    >>> 4.0 <= estimate.rows / 1e9 <= 4.1
    True
    """
    if is_dask(X):
        raise TypeError("X is of Dask; estimate the memory of one worker with its share of the rows, in memory.")
    if len(getattr(X, "shape", ())) != 2:
        raise TypeError(f"X is a {type(X).__name__}, expected an array, a sparse matrix or RowBlocks.")
    n, d = X.shape
    width = 1 if n_classes == 2 else n_classes
    p = (d + 1) * width
    rows, step_two = _size_of(X), 8 * (19 * p + (7 + 7 * n_classes) * n)
    return MemoryEstimate(
        rows=rows,
        copy=0 if as_blocks(X) is not None else rows,
        base_fit=8 * (40 * p + 8 * n_classes * n),
        newton_cg=step_two,
        direct=step_two + 24 * p**2,
        results=int(8 * (12 + 6.5 * n_classes) * n),
        available=_free(),
        hessian="direct" if p <= min(_FEW_PARAMETERS, DIRECT_MAX) else "newton-cg",
    )


def _size_of(X: Any) -> int:
    blocks = as_blocks(X)
    if blocks is not None:
        return (blocks.n_threads + _BLOCKS_WAITING) * blocks.nbytes // blocks.n_blocks
    return nbytes_of(X) if is_sparse(X) or hasattr(X, "nbytes") else int(np.prod(X.shape)) * 8


def _free() -> int:
    try:
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError):  # not on every system
        return 0


def _shown(size: int) -> str:
    return f"{size / 2**30:8.2f} GiB"
