"""
Tables larger than memory
=========================

Rows that are read block by block in every pass: here from a memory-mapped file of click-like rows, whose labels are
spoilt. Only a few numbers of each row stay in memory.
"""

# %%
# The table is written in blocks, as if it did not fit.

import tempfile
from pathlib import Path

import numpy as np

from skrdia import RDIAClassifier, estimate_memory
from skrdia.blocks import RowBlocks
from skrdia.linear_model import LogisticRegression

folder = tempfile.TemporaryDirectory()
path = Path(folder.name) / "X.npy"
n, d = 60_000, 50
rng = np.random.default_rng(0)
direction = rng.standard_normal(d)
table = np.lib.format.open_memmap(path, "w+", np.float32, (n, d))
right = np.empty(n, dtype=int)
for start in range(0, n, 10_000):
    rows = slice(start, start + 10_000)
    table[rows] = rng.standard_normal((10_000, d))
    right[rows] = table[rows] @ direction + rng.logistic(size=10_000) > 0
table.flush()

trusted = rng.random(n) < 0.02
wrong = (rng.random(n) < 0.2) & ~trusted
labels = np.where(wrong, 1 - right, right)

# %%
# What would it take? The rows count only with the blocks that are in memory at once.

rows = RowBlocks.from_array(np.load(path, mmap_mode="r"), block_rows=10_000)
print(rows)
print(estimate_memory(rows))

# %%
# The same call as for rows in memory.

clf = RDIAClassifier(LogisticRegression(), random_state=0).fit(rows, labels, trusted=trusted)
print(clf.termination_condition_)
print(f"wrong labels: {wrong.sum():,} before, {(clf.relabeled_y_ != right).sum():,} after")

# %%
# The fitted classifier takes rows in memory or in blocks.

print(clf.predict_proba(rows)[:3])
del table, rows
folder.cleanup()
