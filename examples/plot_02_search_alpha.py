"""
Search alpha in a pipeline
==========================

Mark the verified rows with `trusted`, and let a grid search choose `alpha` and the strategy. `memory` makes it pay for
the influences once per fold.
"""

# %%
# Ten digits, 30 % of the rows verified, 40 % of the other labels wrong.

import tempfile

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import sklearn
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.model_selection import GridSearchCV, StratifiedKFold, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skrdia import RDIAClassifier
from skrdia.datasets import flip_labels

sklearn.set_config(enable_metadata_routing=True)
X, y = load_digits(return_X_y=True)
X, X_test, y, y_test = train_test_split(X, y, random_state=0, stratify=y)
trusted = np.random.default_rng(0).random(len(y)) < 0.3
labels = y.copy()
labels[~trusted], _ = flip_labels(y[~trusted], rate=0.4, random_state=0)

# %%
# Candidates are judged on the verified rows of the held-out fold alone: the score takes `trusted` as its sample weight.

memory = tempfile.TemporaryDirectory()
rdia = RDIAClassifier(LogisticRegression(C=0.1), memory=memory.name).set_fit_request(trusted=True)
scorer = sklearn.metrics.get_scorer("neg_log_loss").set_score_request(sample_weight="trusted")
search = GridSearchCV(
    make_pipeline(StandardScaler(), rdia),
    {"rdiaclassifier__alpha": [0.2, 0.5, 1.0, 2.0, 5.0], "rdiaclassifier__strategy": ["relabel", "drop"]},
    scoring=scorer,
    cv=StratifiedKFold(3),
)
search.fit(X, labels, trusted=trusted)

# %%

results = pd.DataFrame(search.cv_results_)
for strategy, rows in results.groupby("param_rdiaclassifier__strategy"):
    plt.plot(rows["param_rdiaclassifier__alpha"].astype(float), -rows["mean_test_score"], "o-", label=strategy)
plt.xscale("log")
plt.xlabel("alpha (nats)")
plt.ylabel("log loss on verified rows of the held-out fold (nats)")
plt.legend()
plt.show()

# %%

plain = make_pipeline(StandardScaler(), LogisticRegression(C=0.1)).fit(X, labels)
print("chosen:", search.best_params_)
print(f"test log loss: {log_loss(y_test, plain.predict_proba(X_test)):.3f} as given")
print(f"               {log_loss(y_test, search.predict_proba(X_test)):.3f} repaired")
memory.cleanup()
sklearn.set_config(enable_metadata_routing=False)
