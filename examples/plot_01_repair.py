"""
Repair labels, step by step
===========================

Flip 30 % of the labels of a real table, find the rows that hurt, repair them, and look at what was done.
"""

# %%
# The paper's breast-cancer table: 350 training rows, 150 verified validation rows, 183 test rows.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss

from skrdia import RDIAClassifier
from skrdia.datasets import flip_labels, load_breast_cancer_scale

X, y = load_breast_cancer_scale(return_X_y=True)
train, val, test = np.split(np.arange(len(y)), [350, 500])
noisy_y, flipped = flip_labels(y[train], rate=0.3, random_state=0)

clf = RDIAClassifier(LogisticRegression(), max_iter=10)
clf.fit(X[train], noisy_y, X_val=X[val], y_val=y[val])

# %%
# Influence of every training row on the validation loss, by the model trained on the noisy labels. Rows above alpha are
# relabelled; most of them are the flipped ones.

bins = np.linspace(clf.influences_.min(), clf.influences_.max(), 40)
plt.hist([clf.influences_[~flipped], clf.influences_[flipped]], bins, stacked=True, label=["right label", "flipped"])
plt.axvline(clf.alpha_, color="black", linestyle="--", label="alpha")
plt.xlabel("influence on the validation loss (nats)")
plt.ylabel("training rows")
plt.legend()
plt.show()

# %%
# Every round finds more, until the labels no longer change.

for entry in clf.history_:
    print(
        f"round {entry['round']}: validation loss {entry['validation_loss']:.3f}, {entry['n_changed']} labels changed"
    )
print("ended because:", clf.termination_condition_)

# %%
# Against training on everything, and against labels without an error.

rows = np.r_[train, val]
for name, model in {
    "everything": LogisticRegression().fit(X[rows], np.r_[noisy_y, y[val]]),
    "repaired": clf,
    "perfect labels": LogisticRegression().fit(X[rows], y[rows]),
}.items():
    print(f"{name:15} test log loss {log_loss(y[test], model.predict_proba(X[test])):.3f}")
