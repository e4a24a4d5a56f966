"""
Write a report that a person acts on
====================================

``clf.report("audit.html", X)`` writes what was found, done and gained as one HTML file, to be mailed or kept with the
data: the verdict, the rows to look at first with their features, the effects by label and by group, pictures, what was
done and why it stopped, and how to repeat it. It needs no connection and no JavaScript.
"""

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skrdia import RDIAClassifier
from skrdia.datasets import flip_labels
from skrdia.report import summarise

# %%
# A table with features that have names. Clinic B has typed a third of its labels wrongly, clinic A none; some labels of
# both are verified.

X, y = load_breast_cancer(return_X_y=True, as_frame=True)
labels = np.where(y == 1, "benign", "malignant")
rng = np.random.default_rng(0)
clinic = rng.choice(["A", "B"], size=len(y))
trusted = rng.random(len(y)) < 0.3
careless = (clinic == "B") & ~trusted
labels[careless], _ = flip_labels(labels[careless], rate=0.33, random_state=0)

# %%
# A fitted classifier shows the verdict above scikit-learn's diagram:

model = make_pipeline(StandardScaler(), LogisticRegression(C=0.1))
clf = RDIAClassifier(model, random_state=0).fit(X, labels, trusted=trusted)
clf

# %%
# The same as numbers. The effects by group show which clinic to call.

summary = summarise(clf, X, groups=clinic)
print(summary["verdict"])
for line in summary["groups"]:
    print(f"clinic {line['name']}: {line['n_wrong']} of {line['n_rows']} labels look wrong")

# %%
# And the page:

with TemporaryDirectory() as folder:
    path = Path(folder) / "audit.html"
    clf.report(path, X, groups=clinic, title="Breast cancer, two clinics")
    print(f"{path.stat().st_size / 1e3:.0f} kB")
