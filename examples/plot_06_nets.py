"""
Repair the labels of a neural network
=====================================

`RDIAClassifier` takes a net of skorch, or scikit-learn's `MLPClassifier`, like any other classifier. A net learns wrong
labels by heart, so three things differ: the influences are those of the last layer, at the epoch with the lowest
validation loss, with softened logits; and the validation rows may also fine-tune the net.
"""

# %%
# Images of ten digits. 40 % of the labels are flipped; a fifth of the rows is verified.

import matplotlib.pyplot as plt
import numpy as np
import torch
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.metrics import log_loss, roc_auc_score
from sklearn.model_selection import train_test_split
from skorch import NeuralNetClassifier

from skrdia import RDIAClassifier, influence
from skrdia.datasets import flip_labels

torch.set_num_threads(1)
X, y = load_digits(return_X_y=True)
X = (X / 16).astype(np.float32)
X, X_test, y, y_test = train_test_split(X, y, random_state=0, stratify=y)
X, X_val, y, y_val = train_test_split(X, y, test_size=0.2, random_state=0, stratify=y)
labels, flipped = flip_labels(y, 0.4, random_state=0)


def module():
    return torch.nn.Sequential(torch.nn.Linear(64, 128), torch.nn.ReLU(), torch.nn.Linear(128, 10))


net = NeuralNetClassifier(
    module,
    criterion=torch.nn.CrossEntropyLoss,
    optimizer=torch.optim.Adam,
    lr=0.005,
    max_epochs=20,
    batch_size=64,
    iterator_train__shuffle=True,
    train_split=None,
    verbose=0,
)

# %%
# By default the validation rows choose among a few recipes: nothing, a temperature, fine-tuning on the validation rows,
# and repairs by influence or by a noise model, each of them fine-tuned as well.

clf = RDIAClassifier(net, random_state=0).fit(X, labels, X_val=X_val, y_val=y_val)
print(clf.termination_condition_)
for line in clf.history_:
    print(f"{line['signal']:>18} {line['strategy']:>12}  held-out loss {line['loss']:.3f}, gain {line['gain']:+.3f}")

# %%
# What that is worth on test rows, and how many of the wrong labels are right now.

torch.manual_seed(0)
everything = net.fit(np.vstack([X, X_val]), np.append(labels, y_val))
models = {"labels as given": everything, "repaired": clf}
losses = {name: log_loss(y_test, model.predict_proba(X_test)) for name, model in models.items()}
print({name: round(loss, 3) for name, loss in losses.items()})
print(f"right labels: {np.mean(labels == y):.0%} before, {np.mean(clf.relabeled_y_ == y):.0%} after")

# %%
# Influences of a net that has been trained for long, without softening and with it. Wrong labels that were learned by
# heart hide near zero.

torch.manual_seed(0)
long = clone(net).set_params(max_epochs=150).fit(X, labels)
figure, axes = plt.subplots(1, 2, figsize=(8, 3), layout="constrained", sharey=True)
for axis, softening in zip(axes, (1.0, 0.2), strict=True):
    phi = influence(long, X, labels, X_val, y_val, softening=softening).values
    ranks = phi.argsort().argsort() / len(phi)
    bins = np.linspace(0, 1, 26)
    axis.hist([ranks[~flipped], ranks[flipped]], bins, stacked=True, label=["right label", "wrong label"])
    axis.set_title(f"logits times {softening:g}: AUROC {roc_auc_score(flipped, phi):.2f}")
    axis.set_xlabel("rank of the influence (1: most harmful)")
axes[0].set_ylabel("rows")
axes[0].legend(loc="upper left")
plt.show()
