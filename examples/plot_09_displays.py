"""
Displays of what was found, changed, and gained
===============================================

`skrdia.plotting` has displays in the manner of scikit-learn: `from_estimator` computes and draws, the object keeps the
arrays, and `plot` draws them again, on any axes.
"""

# %%
# Tumours described by 30 features; a fifth of the rows is verified, and a quarter of the other labels are wrong.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_breast_cancer, load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import ConfusionMatrixDisplay, log_loss
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skrdia import RDIAClassifier, influence_matrix
from skrdia.datasets import flip_labels
from skrdia.plotting import (
    AlphaPathDisplay,
    CalibrationComparisonDisplay,
    HarmfulRowsDisplay,
    InfluenceDistributionDisplay,
    InfluencePlaneDisplay,
    LabelTransitionDisplay,
    LossCurvesDisplay,
    NoiseCurvesDisplay,
    RoundsDisplay,
)

X, codes = load_breast_cancer(return_X_y=True, as_frame=True)
y = np.where(codes == 1, "benign", "malignant")
X, X_test, y, y_test = train_test_split(X, y, test_size=0.3, random_state=0, stratify=y)
X, X_val, y, y_val = train_test_split(X, y, test_size=0.2, random_state=0, stratify=y)
labels, wrong = flip_labels(y, 0.25, random_state=0)

model = make_pipeline(StandardScaler(), LogisticRegression(C=0.1))
clf = RDIAClassifier(model, alpha=0.2, max_iter=5).fit(X, labels, X_val=X_val, y_val=y_val)

# %%
# Where the harmful rows are. With two features the boundary is that of the final estimator; here the plane is that of
# the first two principal components, and the boundary the one between the rows nearest to each point. Rows deep in the
# region of the other label are orange, and ringed.

InfluencePlaneDisplay.from_estimator(clf, X, labels)
plt.show()

# %%
# Influences to the right of `alpha` are those of the rows that are given another label: most of them have a wrong one.

InfluenceDistributionDisplay.from_estimator(clf, wrong=wrong)
plt.show()

# %%
# The first round changes most labels and gains most; the next ones mend what it got wrong.

RoundsDisplay.from_estimator(clf)
plt.show()

# %%
# What became of the labels. Where the right ones are not known, leave `y_true` out: a single matrix then shows which
# given label became which.

LabelTransitionDisplay.from_estimator(clf, labels, y_true=y)
plt.show()

# %%
# Wrong labels make a model timid: the probabilities of the first fit are nearer to one half than they should be. Those
# of the final fit are nearly all at the two ends, and right there.

CalibrationComparisonDisplay.from_estimator(clf, X_test, y_test)
plt.show()

# %%
# The confusion matrix is scikit-learn's own.

ConfusionMatrixDisplay.from_estimator(clf, X_test, y_test)
plt.show()

# %%
# With ``alpha="auto"`` the validation rows judge candidates; those to the left of the dashed line beat doing nothing.

auto = RDIAClassifier(model, random_state=0).fit(X, labels, X_val=X_val, y_val=y_val)
AlphaPathDisplay.from_estimator(auto)
plt.show()

# %%
# A grid search over `alpha`. It judges by held-out labels that are as wrong as the others, and finds that the repair is
# best left alone: let it judge by verified rows, as in the example "Search alpha in a pipeline".

grid = {"alpha": [0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0], "strategy": ["relabel", "drop"]}
search = GridSearchCV(RDIAClassifier(model, random_state=0), grid, scoring="neg_log_loss", cv=3).fit(X, labels)
AlphaPathDisplay.from_estimator(search)
plt.show()

# %%
# The test loss over the share of wrong labels, with the standard deviation over five draws of them, as in figure 2 of
# the paper.

noise = [0.0, 0.1, 0.2, 0.3, 0.4]
losses = {"as given": np.empty((5, 5)), "repaired": np.empty((5, 5))}
for i, rate in enumerate(noise):
    for seed in range(5):
        noisy = flip_labels(y, rate, random_state=seed)[0]
        repaired = RDIAClassifier(model, alpha=0.2, max_iter=5).fit(X, noisy, X_val=X_val, y_val=y_val)
        for name, fitted in (("as given", repaired.base_estimator_), ("repaired", repaired)):
            losses[name][i, seed] = log_loss(y_test, fitted.predict_proba(X_test))
NoiseCurvesDisplay.from_losses(noise, losses)
plt.show()

# %%
# The training rows that harm one validation row most: the one that the model, trained on the labels as given, predicts
# worst. The colours show that it is an unusual tumour, and that the rows which harm it are as unusual; three of the
# five have the other label.

model.fit(X, labels)
influences = influence_matrix(model, X, labels, X_val, y_val)
proba = model.predict_proba(X_val)[np.arange(len(y_val)), np.searchsorted(model.classes_, y_val)]
HarmfulRowsDisplay.from_influences(influences, X, labels, row=int(proba.argmin()), X_val=X_val, y_val=y_val)
plt.show()

# %%
# The same for images, as in figure 3 of the paper.

images, digits = load_digits(return_X_y=True)
images /= 16.0
noisy_digits, _ = flip_labels(digits[:600], 0.3, random_state=0)
reader = LogisticRegression(C=0.1).fit(images[:600], noisy_digits)
influences = influence_matrix(reader, images[:600], noisy_digits, images[600:700], digits[600:700])
row = int(reader.predict_proba(images[600:700])[np.arange(100), digits[600:700]].argmin())
HarmfulRowsDisplay.from_influences(
    influences, images[:600], noisy_digits, row=row, X_val=images[600:700], y_val=digits[600:700], image_shape=(8, 8)
)
plt.show()

# %%
# The loss of a net over its epochs. A net of skorch with validation rows has a second curve, and a line at its lowest
# point.

net = MLPClassifier((32,), max_iter=1_000, learning_rate_init=0.01, random_state=0).fit(images[:600], noisy_digits)
LossCurvesDisplay.from_estimator(net)
plt.show()
