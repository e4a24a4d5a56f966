"""Run in an environment with nothing but the core: the package is installed, fits, and names the missing extra."""

import importlib.util
import subprocess
import sys

import numpy as np
from sklearn.neural_network import MLPClassifier

from skrdia import RDIAClassifier
from skrdia.datasets import flip_labels, load_breast_cancer_scale

for package in ("click", "matplotlib", "pandas", "polars", "pytest", "rich", "skorch", "torch"):
    assert importlib.util.find_spec(package) is None, f"{package} is installed; this is not the core alone"

X, y = load_breast_cancer_scale(return_X_y=True)
noisy, flipped = flip_labels(y[:350], 0.3, random_state=0)
clf = RDIAClassifier().fit(X[:350], noisy, X_val=X[350:500], y_val=y[350:500])
assert flipped[clf.harmful_mask_].mean() > 0.5
assert clf.score(X[500:], y[500:]) > 0.95
assert np.isfinite(clf.influences_).all()

net = MLPClassifier((8,), solver="lbfgs", alpha=1.0, max_iter=2000, random_state=0)
clf = RDIAClassifier(net, alpha=0.0).fit(X[:350], noisy, X_val=X[350:500], y_val=y[350:500])
assert np.isfinite(clf.influences_).all()

demo = subprocess.run([sys.executable, "-m", "skrdia", "demo"], capture_output=True, text=True)
assert demo.returncode == 1
assert "pip install 'skrdia[cli]'" in demo.stderr
print("the core works without extras")
