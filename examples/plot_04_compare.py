"""
Compare the ways to treat wrong labels
======================================

`compare_strategies` fits them all on your own rows and judges them by verified rows that none of them has seen.
"""

# %%
# A table with 15 % verified rows; 30 % of the other labels are flipped.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skrdia import compare_strategies
from skrdia.datasets import flip_labels

X, y = load_breast_cancer(return_X_y=True)
trusted = np.random.default_rng(0).random(len(y)) < 0.15
labels = y.copy()
labels[~trusted], _ = flip_labels(y[~trusted], rate=0.3, random_state=0)

model = make_pipeline(StandardScaler(), LogisticRegression(C=0.1))
comparison = compare_strategies(model, X, labels, trusted=trusted, random_state=0)
print(comparison)

# %%
# The standard error is that of the difference to training on everything, paired over the splits.

frame = comparison.to_frame()
plt.figure(layout="constrained")
plt.errorbar(frame["difference"], frame["method"], xerr=frame["standard_error"], fmt="o")
plt.axvline(0.0, color="black", linestyle="--")
plt.xlabel("log loss over that of training on everything (nats)")
plt.show()
