"""How alone a row is with the rows of its own label: the mark of a cluster that does not belong.

With f_i (d,) the inputs of a model's last layer, centred, scaled to unit variance, and with a one appended, and

    G_S = 1/|S| sum_{j in S} f_j f_j'                  second moments of a set S of rows, (d + 1, d + 1)
    D_S(i) = f_i . (G_S + 0.01 mean(diag G) I)^-1 f_i  squared distance of row i in the metric of S

the isolation of row i with label m is D_{rows of other labels}(i) / D_{all rows}(i), without unit: about 1 for a row of
a class like the others, and large where only rows of its own label reach. The trusted isolation is D_{validation
rows}(i) / D_{all rows}(i). A model fits a cluster of anomalies under one label better than other rows, so that
gradients and influences are small there and find none; but no other rows lie in its direction, so that the quotient is
large.

More than 256 columns are first reduced to their 256 leading singular directions.

Reference: Mahalanobis, "On the generalised distance in statistics", 1936. The quotient is ours.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from skrdia.views._base import Array

__all__ = ["Isolation"]

_MAX_COLUMNS = 256
_RIDGE = 0.01


class Isolation:
    """The second moments of rows, of each label and in all.

    Parameters
    ----------
    features : array or sparse matrix of shape (n, d)
        Inputs of the last layer, for the training rows.
    given : array of shape (n, K)
        One in the column of each row's label.
    """

    def __init__(self, features: Any, given: Array) -> None:
        self._reduce = None
        if features.shape[1] > _MAX_COLUMNS:
            from sklearn.decomposition import TruncatedSVD  # slow to import

            self._reduce = TruncatedSVD(min(_MAX_COLUMNS, features.shape[0] - 1), random_state=0).fit(features)
        rows = self._reduced(features)
        self._mean, spread = rows.mean(axis=0), rows.std(axis=0)
        self._scale = np.where(spread > 1e-12 * np.abs(rows).max(initial=0.0), spread, np.inf)
        rows = self._standardised(rows)
        self._counts = given.sum(axis=0)
        self._moments = np.stack([(rows * one[:, None]).T @ rows for one in given.T])
        self._metric = self._inverse(self._moments.sum(axis=0) / len(rows))

    def distance(self, features: Any) -> Array:
        """D_{all rows}, (n,)."""
        return _quadratic(self._standardised(self._reduced(features)), self._metric)

    def among_labels(self, features: Any) -> Array:
        """The isolation (n, K) of rows under every label."""
        rows = self._standardised(self._reduced(features))
        everything, values = self._moments.sum(axis=0), np.empty((len(rows), len(self._moments)))
        for k, own in enumerate(self._moments):
            n_others = self._counts.sum() - self._counts[k]
            values[:, k] = _quadratic(rows, self._inverse((everything - own) / n_others))
        return values / _quadratic(rows, self._metric)[:, None]

    def from_rows(self, features: Any, trusted: Any) -> Array:
        """The trusted isolation (n,) of rows."""
        rows, judges = (self._standardised(self._reduced(part)) for part in (features, trusted))
        metric = self._inverse(judges.T @ judges / len(judges))
        return _quadratic(rows, metric) / _quadratic(rows, self._metric)

    def _reduced(self, features: Any) -> Array:
        if self._reduce is not None:
            return self._reduce.transform(features)
        dense = features.toarray() if hasattr(features, "toarray") else features
        return np.asarray(dense, dtype=np.float64)

    def _standardised(self, rows: Array) -> Array:
        return np.hstack([(rows - self._mean) / self._scale, np.ones((len(rows), 1))])

    def _inverse(self, moments: Array) -> Array:
        ridge = _RIDGE * self._moments.sum(axis=0).trace() / self._counts.sum() / len(moments)
        return np.linalg.inv(moments + ridge * np.eye(len(moments)))


def _quadratic(rows: Array, metric: Array) -> Array:
    return np.einsum("ij,ij->i", rows @ metric, rows)
