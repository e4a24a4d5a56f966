"""Small tables of every kind that scikit-learn takes, and ways to fit `RDIAClassifier` on them."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
from scipy import sparse
from sklearn.base import clone
from sklearn.compose import make_column_transformer
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.feature_selection import SelectKBest
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression, SGDClassifier
from sklearn.model_selection import KFold, TimeSeriesSplit
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.tree import DecisionTreeClassifier

from skrdia import RDIAClassifier
from skrdia.signals import SIGNALS
from skrdia.strategies import STRATEGIES

__all__ = ["CONTAINERS", "Case", "draw_case", "plain_labels"]

NUMBERS: dict[str, Callable[..., Any]] = {
    "float64": np.ascontiguousarray,
    "float32": lambda X: X.astype(np.float32),
    "ints": lambda X: np.round(3.0 * X).astype(int),
    "lists": lambda X: X.tolist(),
    "fortran": np.asfortranarray,
    "read-only": lambda X: _locked(X.copy()),
    "csr": sparse.csr_array,
    "csc": sparse.csc_matrix,
    "coo": sparse.coo_array,
    "pandas": lambda X: pd.DataFrame(X, columns=[f"c{i}" for i in range(X.shape[1])], index=np.arange(len(X)) // 2),
    "polars": lambda X: pl.DataFrame(X, schema=[f"c{i}" for i in range(X.shape[1])]),
    "object array": lambda X: X.astype(object),
}
TEXTS: dict[str, Callable[..., Any]] = {
    "list of texts": list,
    "array of texts": np.array,
    "objects of texts": lambda texts: np.array(texts, dtype=object),
    "series of texts": lambda texts: pd.Series(texts, index=np.arange(len(texts)) + 7),
    "polars texts": lambda texts: pl.Series("text", texts),
}
FRAMES = ("mixed pandas", "mixed polars")
CONTAINERS = {"numbers": tuple(NUMBERS), "texts": tuple(TEXTS), "frames": FRAMES}

LABELS: dict[str, Callable[..., Any]] = {
    "ints": lambda codes: codes,
    "list": lambda codes: codes.tolist(),
    "int8": lambda codes: codes.astype(np.int8),
    "negative": lambda codes: 2 * codes - 3,
    "floats": lambda codes: codes.astype(float),
    "texts": lambda codes: np.array([f"class {k}" for k in codes]),
    "list of texts": lambda codes: [f"class {k}" for k in codes],
    "objects": lambda codes: np.array(["abcdef"[k] for k in codes], dtype=object),
    "object ints": lambda codes: codes.astype(object),
    "series": lambda codes: pd.Series(codes, index=np.arange(len(codes))[::-1]),
    "texts of pandas": lambda codes: pd.Series(["abcdef"[k] for k in codes], dtype="string"),
    "categorical": lambda codes: pd.Categorical(["abcdef"[k] for k in codes]),
    "categories": lambda codes: pd.Series(codes).astype("category"),
    "nullable": lambda codes: pd.Series(codes, dtype="Int64"),
    "polars": lambda codes: pl.Series(["abcdef"[k] for k in codes]),
}
TRUTHS: dict[str, Callable[..., Any]] = {
    "bools": lambda codes: codes == 1,
    "object bools": lambda codes: (codes == 1).astype(object),
    "nullable bools": lambda codes: pd.Series(codes == 1, dtype="boolean"),
}
WEIGHTS: dict[str, Callable[..., Any]] = {
    "none": lambda n, rng: None,
    "ones": lambda n, rng: np.ones(n),
    "random": lambda n, rng: rng.uniform(0.2, 3.0, n),
    "zeros": lambda n, rng: np.where(rng.random(n) < 0.2, 0.0, 1.0),
    "ints": lambda n, rng: rng.integers(1, 4, n).tolist(),
    "series": lambda n, rng: pd.Series(rng.uniform(0.2, 3.0, n), index=np.arange(n) + 5),
    "scalar": lambda n, rng: 2.0,
}
GROUPS: dict[str, Callable[..., Any]] = {
    "none": lambda n, rng: None,
    "ints": lambda n, rng: np.arange(n) // 3,
    "texts": lambda n, rng: [f"patient {i}" for i in rng.integers(0, 8, n)],
    "series": lambda n, rng: pd.Series(rng.integers(0, 8, n), index=np.arange(n) + 5),
}
MASKS: tuple[Callable[..., Any], ...] = (np.asarray, list, lambda mask: pd.Series(mask, dtype="boolean"))

SOURCES = ("trusted", "X_val", "both", "held out", "cv", "KFold", "TimeSeriesSplit", "splits")

ENDS: dict[str, Callable[[], Any]] = {
    "logistic": lambda: LogisticRegression(),
    "liblinear": lambda: LogisticRegression(C=0.3, solver="liblinear"),
    "balanced": lambda: LogisticRegression(class_weight="balanced", max_iter=300),
    "sgd": lambda: SGDClassifier(loss="log_loss", alpha=0.01, random_state=0),
    "mlp": lambda: MLPClassifier((3,), max_iter=15, random_state=0),
    "frozen": lambda: LogisticRegression(C=0.5),
    "neighbours": lambda: KNeighborsClassifier(3),
    "tree": lambda: DecisionTreeClassifier(max_depth=3, random_state=0),
}
HEADS: dict[str, Callable[[], Any]] = {
    "none": lambda: None,
    "scaler": lambda: StandardScaler(with_mean=False),
    "selection": lambda: SelectKBest(k=1),
}

SIGNAL_NAMES, STRATEGY_NAMES = ("auto", *SIGNALS), ("auto", *STRATEGIES)


def _locked(X: np.ndarray) -> np.ndarray:
    X.setflags(write=False)
    return X


@dataclass(frozen=True)
class Case:
    """One way to call `fit`, by the names of what it is called with."""

    seed: int
    n: int
    n_classes: int
    n_rare: int
    container: str
    labels: str
    weights: str
    groups: str
    source: str
    head: str
    end: str
    params: dict[str, Any]

    def data(self) -> tuple[Any, Any, dict[str, Any]]:
        """X, y and the other arguments of `fit`."""
        rng = np.random.default_rng(self.seed)
        codes = _codes(rng, self.n, self.n_classes, self.n_rare)
        codes_val = _codes(rng, 24, self.n_classes, self.n_rare)
        noisy = np.where(rng.random(self.n) < 0.15, codes[rng.permutation(self.n)], codes)
        arguments = {
            "sample_weight": WEIGHTS[self.weights](self.n, rng),
            "groups": GROUPS[self.groups](self.n, rng),
        }
        if self.source in ("trusted", "both"):
            mask = np.arange(self.n) % 3 == self.seed % 3
            noisy = np.where(mask, codes, noisy)
            arguments["trusted"] = MASKS[self.seed % 3](mask)
        if self.source in ("X_val", "both"):
            arguments |= {"X_val": self._rows(rng, codes_val), "y_val": self._labels(codes_val)}
        return self._rows(rng, codes), self._labels(noisy), {k: v for k, v in arguments.items() if v is not None}

    def model(self, X: Any, y: Any) -> Any:
        """The base estimator."""
        steps, end = [HEADS[self.head]()], ENDS[self.end]()
        if self.container in TEXTS:
            steps.insert(0, TfidfVectorizer())
        if self.container in FRAMES:
            steps.insert(0, _encoder())
        model = make_pipeline(*[step for step in steps if step is not None], end) if any(steps) else end
        if self.end != "frozen" or len(set(plain_labels(y).tolist())) < 2:
            return model
        with warnings.catch_warnings():  # of a selection of constant columns
            warnings.simplefilter("ignore")
            return FrozenEstimator(model.fit(X, plain_labels(y)))

    def classifier(self, model: Any) -> RDIAClassifier:
        """Unfitted."""
        finder = None
        if self.end in ("neighbours", "tree"):
            finder = clone(model)
            if hasattr(finder, "steps"):
                finder.steps[-1] = ("end", LogisticRegression(C=0.1))
            else:
                finder = LogisticRegression(C=0.1)
        return RDIAClassifier(model, influence_estimator=finder, cv=self._cv(), random_state=0, **self.params)

    def _cv(self) -> Any:
        if self.source == "splits":
            part = np.arange(self.n) % 3
            return [(np.flatnonzero(part != i), np.flatnonzero(part == i)) for i in range(3)]
        splitters = {"cv": 3, "KFold": KFold(3, shuffle=True, random_state=0), "TimeSeriesSplit": TimeSeriesSplit(3)}
        return splitters.get(self.source)

    def _labels(self, codes: np.ndarray) -> Any:
        return (LABELS | TRUTHS)[self.labels](codes)

    def _rows(self, rng: np.random.Generator, codes: np.ndarray) -> Any:
        centres = np.random.default_rng(self.seed).normal(size=(self.n_classes, 3))
        X = rng.normal(size=(len(codes), 3)) + 2.0 * centres[codes]
        if self.container in TEXTS:
            words = [[f"w{k}{i}" for i in range(8)] + ["and", "the", "some"] for k in range(self.n_classes)]
            return TEXTS[self.container]([" ".join(rng.choice(words[k], 5)) for k in codes])
        if self.container in FRAMES:
            return _frame(X, rng, self.container)
        return NUMBERS[self.container](X)


def plain_labels(y: Any) -> np.ndarray:
    """Labels of any type as an array that every classifier takes."""
    return np.array(list(y))


def _codes(rng: np.random.Generator, n: int, n_classes: int, n_rare: int) -> np.ndarray:
    """Classes of rows; the last one has `n_rare` rows, unless that is zero."""
    n_common = n_classes - (n_rare > 0)
    codes = rng.permutation(np.arange(n) % n_common)
    codes[:n_rare] = n_classes - 1
    return rng.permutation(codes)


def _frame(X: np.ndarray, rng: np.random.Generator, container: str) -> Any:
    """Columns of several kinds; what stands for a city follows the first column."""
    n, city = len(X), np.where(X[:, 0] > 0.0, "east", np.where(X[:, 1] > 0.0, "west", "north"))
    if container == "mixed polars":
        return pl.DataFrame({"x": X[:, 0], "k": rng.integers(0, 9, n), "city": city, "flag": X[:, 2] > 0.0})
    return pd.DataFrame(
        {
            "x": pd.Series(X[:, 0], dtype="Float64"),
            "k": pd.Series(rng.integers(0, 9, n), dtype="Int64"),
            "city": pd.Categorical(city),
            "flag": pd.Series(X[:, 2] > 0.0, dtype="boolean"),
        }
    )


def _encoder() -> Any:
    return make_column_transformer(
        (StandardScaler(), ["x", "k"]), (OneHotEncoder(handle_unknown="ignore"), ["city", "flag"])
    )


def draw_case(choose: Callable[[Any], Any], *, containers: Any = None, auto: bool = False) -> Case:
    """A case, made of choices among options; `auto`: with alpha="auto" and few verified rows."""
    n_classes = choose((2, 2, 3, 4, 6))
    labels = (*LABELS, *TRUTHS) if n_classes == 2 else tuple(LABELS)
    params = {
        "alpha": "auto" if auto else choose((0.1, 0.5, 0.0, 1.0)),
        "signal": choose(("auto", "auto", "confidence", "influence", "posterior") if auto else SIGNAL_NAMES),
        "strategy": choose(("auto", "auto", "relabel", "drop") if auto else STRATEGY_NAMES),
        "refit_on": choose(("all", "train")),
        "max_iter": choose((None, 1, 2)),
        "compute_std": choose((False, True)),
        "hessian": choose(("newton-cg", "newton-cg", "direct", "identity", "lissa", "ekfac")),
    }
    if params["hessian"] == "lissa" and params["signal"] not in ("auto", "influence", "confidence"):
        params["hessian"] = "newton-cg"  # by thousands of steps for each right-hand side, of which there are many
    params["compute_std"] &= params["hessian"] != "lissa"
    return Case(
        seed=choose(range(1000)),
        n=choose(range(30, 46) if auto else range(20, 61)),
        n_classes=n_classes,
        n_rare=choose((0, 0, 0, 1, 2)),
        container=choose(containers or (*NUMBERS, *TEXTS, *FRAMES)),
        labels=choose(labels),
        weights=choose(("none", *WEIGHTS)),
        groups=choose(("none", "none", *GROUPS)),
        source=choose(SOURCES[:4] if auto else SOURCES),
        head=choose(tuple(HEADS)),
        end=choose(tuple(ENDS)),
        params=params,
    )
