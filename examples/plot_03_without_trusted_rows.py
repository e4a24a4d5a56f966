"""
Repair without trusted rows
===========================

With `cv`, every row is scored by models that never saw it. That finds random mistakes. Two kinds of mistakes cannot be
found this way, and a few trusted rows mend both.
"""

# %%
# The ten digits, and four kinds of wrong labels. A fifth of the rows is kept as trusted rows for the second column.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss, roc_auc_score
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler

from skrdia import RDIAClassifier
from skrdia.datasets import flip_labels

X, y = load_digits(return_X_y=True)
y = (y > 4).astype(int)  # small digits against large ones
X, X_test, y, y_test = train_test_split(StandardScaler().fit_transform(X), y, random_state=0, stratify=y)
X, X_val, y, y_val = train_test_split(X, y, test_size=0.2, random_state=0, stratify=y)

cases = {
    "20 % of the labels, at random": flip_labels(y, 0.2, random_state=0)[0],
    "60 % of the labels, at random": flip_labels(y, 0.6, random_state=0)[0],
    "60 % of one class": flip_labels(y, 0.6, "one-sided", random_state=0)[0],
}
losses = {}
for case, labels in cases.items():
    without = RDIAClassifier(LogisticRegression(C=0.1), cv=5).fit(X, labels)
    with_trusted = RDIAClassifier(LogisticRegression(C=0.1)).fit(X, labels, X_val=X_val, y_val=y_val)
    models = {
        "as given": LogisticRegression(C=0.1).fit(X, labels),
        "no trusted rows": without,
        "trusted rows": with_trusted,
        "right labels": LogisticRegression(C=0.1).fit(X, y),
    }
    losses[case] = [log_loss(y_test, model.predict_proba(X_test)) for model in models.values()]
    found = [roc_auc_score(labels != y, clf.scores_) for clf in (without, with_trusted)]
    print(f"{case:30} AUROC of the wrong labels {found[0]:.2f} without trusted rows, {found[1]:.2f} with")

# %%
# Random flips of a fifth of the labels are found by both. When most labels are wrong, the wrong ones are the consistent
# ones: the scores are upside down, and the repair completes the error. When most of one class has the other's label,
# the models learn just that.

positions = np.arange(len(cases))
for i, name in enumerate(models):
    plt.bar(positions + 0.2 * i, [loss[i] for loss in losses.values()], width=0.18, label=name)
plt.xticks(positions + 0.3, [case.replace(", ", ",\n") for case in cases])
plt.ylabel("test log loss (nats)")
plt.legend()
plt.show()
