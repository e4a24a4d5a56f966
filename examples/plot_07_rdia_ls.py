"""
Relabel while a net trains
==========================

A deep net learns right labels before it learns wrong ones by heart, so that rows of high loss are suspect. RDIA-LS
relabels them from batch to batch, in one training. It needs no validation rows, and no share of wrong labels.
"""

# %%
# Images of ten digits, 40 % of whose labels are flipped.

import matplotlib.pyplot as plt
import numpy as np
import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from skrdia import RDIALSClassifier
from skrdia.datasets import flip_labels

torch.set_num_threads(1)
X, y = load_digits(return_X_y=True)
X = (X / 16).astype(np.float32)
X, X_test, y, y_test = train_test_split(X, y, random_state=0, stratify=y)
labels, flipped = flip_labels(y, 0.4, random_state=0)


def module():
    return torch.nn.Sequential(torch.nn.Linear(64, 128), torch.nn.ReLU(), torch.nn.Linear(128, 10))


# %%
# All but `noise_rate`, `gamma`, `warmup_epochs` and `rule` is skorch's. `flipped` is not used to train: it fills
# "precision" and "recall" in the history.

nets = {}
for rule in ("cross-entropy", "posterior"):
    torch.manual_seed(0)
    net = RDIALSClassifier(
        module, rule=rule, lr=0.01, max_epochs=40, batch_size=32, iterator_train__shuffle=True, verbose=0
    )
    nets[rule] = net.fit(X, labels, flipped=flipped)
    print(f"{rule}: test accuracy {net.score(X_test, y_test):.3f}")

# %%
# What it tells about the rows.

net = nets["posterior"]
print(f"share of wrong labels: {flipped.mean():.2f}, estimated {net.noise_rate_:.2f}")
print(f"right labels: {np.mean(labels == y):.0%} before, {np.mean(net.relabeled_y_ == y):.0%} after")

# %%
# In the warm-up of ten epochs the rows of highest loss, ever more of them, are marked but not relabelled yet.

figure, axis = plt.subplots(figsize=(6, 3), layout="constrained")
for name in ("clean_share", "precision", "recall"):
    axis.plot(net.history[:, "epoch"], net.history[:, name], label=name)
axis.set_xlabel("epoch")
axis.set_ylim(0, 1.02)
axis.legend()
plt.show()
