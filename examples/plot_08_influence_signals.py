"""
See which rows influence a model, and find the wrong ones
==========================================================

Two Gaussian classes, whose best boundary is known; a logistic regression; the influence of every training row on the
test rows, coloured in the plane; and what signals made of such influences find when labels are wrong. After the
notebook "Influence functions for data mislabeling" in the documentation of pyDVL.
"""

# %%
# Data with a known answer. The classes overlap, so that some rows lie beyond the best boundary.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import ConfusionMatrixDisplay, average_precision_score
from sklearn.model_selection import train_test_split

from skrdia import InfluenceLabelDetector, influence_matrix
from skrdia.datasets import flip_labels, gaussian_boundary, make_gaussian_blobs
from skrdia.signals import rank_rows, score

X, y = make_gaussian_blobs(3_000, random_state=0)
X_train, X_test, y_train, y_test = train_test_split(X, y, test_size=0.3, random_state=0)
line = gaussian_boundary(z=np.linspace(-1.5, 1.5, 2))

plt.figure(layout="constrained")
for label, colour in ((0, "tab:blue"), (1, "tab:orange")):
    plt.scatter(*X_train[y_train == label].T, s=8, color=colour, label=f"class {label}")
plt.plot(*line.T, color="black", label="best boundary")
plt.xlabel("$x_0$")
plt.ylabel("$x_1$")
plt.legend()
plt.show()

# %%
# A logistic regression comes close to the best boundary.

model = LogisticRegression().fit(X_train, y_train)
ConfusionMatrixDisplay.from_estimator(model, X_test, y_test, normalize="true")
plt.show()

# %%
# The influence of every training row on the loss of every test row, and its mean over the test rows: positive where the
# row harms. Rows beyond the boundary of their class harm most, and the farther the more.

M = influence_matrix(model, X_train, y_train, X_test, y_test)
mean = M.mean(axis=0)

plt.figure(layout="constrained")
limit = np.abs(mean).max()
shown = np.argsort(np.abs(mean))
points = plt.scatter(*X_train[shown].T, c=mean[shown], s=12, cmap="PuOr_r", vmin=-limit, vmax=limit)
plt.plot(*line.T, color="black")
plt.colorbar(points, label="influence on the test loss (nats)")
plt.xlabel("$x_0$")
plt.ylabel("$x_1$")
plt.show()

# %%
# Where a row would have to move: the gradient of its influence with respect to its features.

move = influence_matrix(model, X_train, y_train, X_test[:200], y_test[:200], mode="perturbation").mean(axis=0)
worst = np.argsort(-mean)[:30]

plt.figure(layout="constrained")
plt.scatter(*X_train[worst].T, s=12, color="tab:red")
plt.quiver(*X_train[worst].T, *-move[worst].T, angles="xy", width=3e-3)
plt.plot(*line.T, color="black")
plt.title("The 30 most harmful rows, and where they would do less harm")
plt.xlabel("$x_0$")
plt.ylabel("$x_1$")
plt.show()

# %%
# Now a tenth of the labels is wrong. Which signal finds them?

noisy_y, wrong = flip_labels(y_train, 0.1, random_state=0)
model = LogisticRegression().fit(X_train, noisy_y)
for signal in ("self-influence", "average-absolute-influence", "influence", "confidence", "stacked-posterior"):
    scores = score(model, X_train, noisy_y, X_test, y_test, signal=signal)
    print(f"{signal:28s} average precision {average_precision_score(wrong, scores):.3f}")

# %%
# The rows to look at first, as a frame, and a detector with the interface of `IsolationForest`, which chooses how many
# rows to flag.

print(rank_rows(model, X_train, noisy_y, signals=["stacked-posterior", "self-influence"]).head())
found = InfluenceLabelDetector().fit_predict(X_train, noisy_y) == -1
print(f"{found.sum()} rows flagged, {wrong[found].sum()} of them among the {wrong.sum()} with a wrong label")
