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

clf = RDIAClassifier(LogisticRegression())
clf.fit(X[train], noisy_y, X_val=X[val], y_val=y[val])

# %%
# The validation rows have chosen: every candidate with its cross-validated gain over doing nothing, and its weight in
# the average that was used.

lines = sorted(clf.history_, key=lambda line: line["gain"])
names = [f"{line['signal']}, {line['strategy']} {line['detector'][18:]} x{line['n_iter']}" for line in lines]
names = [{"none, none  x0": "do nothing", "none, drop  x0": "validation rows only"}.get(name, name) for name in names]
gains, errors = [line["gain"] for line in lines], [line["gain_se"] for line in lines]
plt.figure(layout="constrained")
plt.errorbar(gains, names, xerr=errors, fmt="o")
plt.scatter(gains, names, [400 * line["weight"] for line in lines], alpha=0.4, label="weight in the average")
plt.axvline(0.0, color="black", linestyle="--")
plt.xlabel("gain over doing nothing (nats per validation row)")
plt.legend()
plt.show()
print(clf.termination_condition_)

# %%
# How suspicious the label of every training row is: the share of its weight that the repairs took from it. Most of the
# rows above one half are the flipped ones.

bins = np.linspace(0.0, 1.0, 21)
plt.hist([clf.scores_[~flipped], clf.scores_[flipped]], bins, stacked=True, label=["right label", "flipped"])
plt.xlabel("score")
plt.ylabel("training rows")
plt.legend()
plt.show()
found = flipped[clf.harmful_mask_].sum()
print(f"{flipped.sum()} labels were flipped; {clf.harmful_mask_.sum()} rows were marked, {found} of them flipped")
print(f"{(clf.relabeled_y_ == y[train]).mean():.2f} of the labels are right now")

# %%
# Against training on everything, and against labels without an error.

rows = np.r_[train, val]
for name, model in {
    "everything": LogisticRegression().fit(X[rows], np.r_[noisy_y, y[val]]),
    "repaired": clf,
    "perfect labels": LogisticRegression().fit(X[rows], y[rows]),
}.items():
    print(f"{name:15} test log loss {log_loss(y[test], model.predict_proba(X[test])):.3f}")
