"""Time and peak memory of products, base fit and influences, over rows, columns, density and classes.

cd tests/asv && asv run --quick            # the last commit
asv run --environment existing:same        # the working tree, in this environment
asv continuous HEAD~1 HEAD && asv publish  # what a commit changed; pages with the history
"""

import numpy as np
from scipy import sparse
from sklearn.linear_model import LogisticRegression as InMemory

from skrdia import influence
from skrdia.blocks import RowBlocks
from skrdia.linear_model import LogisticRegression
from skrdia.views import as_view


def table(n, d, density, n_classes):
    """Rows, dense ones for a density of one, labels, and a model that is good enough to take products at."""
    rng = np.random.default_rng(0)
    if density == 1.0:
        X = rng.standard_normal((n, d))
    else:
        nnz = max(1, round(density * d))
        indices = rng.integers(0, d, (n, nnz), dtype=np.int32)
        indptr = np.arange(0, n * nnz + 1, nnz, dtype=np.int32)
        X = sparse.csr_array((rng.standard_normal(n * nnz), indices.ravel(), indptr), shape=(n, d))
        X.sum_duplicates()
    y = np.argmax(
        X[:, :n_classes] @ rng.standard_normal((n_classes, n_classes)) + rng.gumbel(size=(n, n_classes)), axis=1
    )
    return X, y, InMemory(C=0.01, max_iter=20, tol=0.1).fit(X[:5_000], y[:5_000])


class _Table:
    params = ([20_000, 200_000], [20, 200], [1.0, 0.05], [2, 5])
    param_names = ("n", "d", "density", "K")
    timeout = 120

    def setup(self, n, d, density, n_classes):
        self.X, self.y, self.model = table(n, d, density, n_classes)
        self.at = as_view(self.model).linearize(self.X)
        self.v = np.random.default_rng(0).standard_normal(len(as_view(self.model).theta))
        self.w = np.ones(n)


class Product(_Table):
    """One product with the Hessian, in memory."""

    def time_product(self, *params):
        self.at.hvp(self.w, self.v)

    def peakmem_product(self, *params):
        self.at.hvp(self.w, self.v)


class StepTwo(_Table):
    """Influences of all labels of all rows."""

    def time_newton_cg(self, *params):
        influence(self.model, self.X, self.y, self.X[:500], self.y[:500])

    def time_direct(self, *params):
        influence(self.model, self.X, self.y, self.X[:500], self.y[:500], hessian="direct")

    def peakmem_newton_cg(self, *params):
        influence(self.model, self.X, self.y, self.X[:500], self.y[:500])

    def time_in_blocks(self, *params):
        influence(self.model, RowBlocks.from_array(self.X, block_rows=10_000), self.y, self.X[:500], self.y[:500])


class BaseFit(_Table):
    def time_lbfgs(self, *params):
        LogisticRegression(max_iter=1000).fit(self.X, self.y)

    def time_newton_cg(self, *params):
        LogisticRegression(solver="newton-cg", max_iter=1000).fit(self.X, self.y)

    def time_scikit_learn(self, *params):
        InMemory(max_iter=1000).fit(self.X, self.y)

    def peakmem_lbfgs(self, *params):
        LogisticRegression(max_iter=1000).fit(self.X, self.y)
