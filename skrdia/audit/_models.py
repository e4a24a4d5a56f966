"""The classifiers that the command offers, each with the model that finds the rows where it cannot itself."""

from __future__ import annotations

from typing import Any, NamedTuple

from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier

__all__ = ["MODELS", "Model"]


class Model(NamedTuple):
    """A classifier, the model that finds the rows (None: itself), and whether it needs dense rows."""

    classifier: Any
    finder: Any = None
    dense: bool = True


_LINEAR = LogisticRegression(max_iter=1_000)

MODELS = {
    "logistic": Model(_LINEAR, dense=False),
    "hist-gradient-boosting": Model(HistGradientBoostingClassifier(random_state=0), _LINEAR),
    "random-forest": Model(RandomForestClassifier(min_samples_leaf=5, random_state=0), _LINEAR),
    "mlp": Model(MLPClassifier(tol=1e-3, random_state=0)),
}
