"""Rows on the workers of a Dask cluster.

`RDIAClassifier` takes Dask arrays (dense, or with CSR blocks) and numeric Dask data frames as X, and then y, weights
and masks of Dask too. The rows stay on the workers; a product with the Hessian sends them one vector and adds up one.
What is per row, such as `influences_`, comes back as Dask arrays with the chunks of X. A client must be there first.

    from dask.distributed import Client
    from skrdia import RDIAClassifier
    from skrdia.dask import LogisticRegression

    client = Client()
    clf = RDIAClassifier(LogisticRegression(C=0.1)).fit(X, y, trusted=trusted)
    clf.harmful_mask_.sum().compute()

`LogisticRegression` is that of `skrdia.linear_model`.
"""

from __future__ import annotations

try:
    import dask.array  # noqa: F401
    import distributed  # noqa: F401
except ImportError as error:
    raise ImportError("skrdia.dask needs Dask: pip install 'skrdia[dask]'.") from error

from skrdia.linear_model import LogisticRegression

__all__ = ["LogisticRegression"]
