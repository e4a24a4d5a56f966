"""A head of transformers is fitted once; what learns from labels is fitted again with every set of labels."""

import warnings
from collections import Counter
from typing import ClassVar

import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator, TransformerMixin, clone
from sklearn.compose import ColumnTransformer, make_column_transformer
from sklearn.decomposition import PCA, TruncatedSVD
from sklearn.feature_extraction.text import HashingVectorizer, TfidfVectorizer
from sklearn.feature_selection import SelectFromModel, SelectKBest, VarianceThreshold
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression, SGDClassifier
from sklearn.pipeline import FeatureUnion, Pipeline, make_pipeline, make_union
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler, TargetEncoder
from sklearn.random_projection import SparseRandomProjection
from sklearn.utils.discovery import all_estimators

from skrdia import InfluenceLabelDetector, Ledger, RDIAClassifier, compare_strategies, influence, influence_matrix
from skrdia._train import fit_targets
from skrdia._validation import one_hot
from skrdia.signals import rank_rows, score
from skrdia.views._heads import fit_head, fitted_head, learns_from_labels


class Shrink(TransformerMixin, BaseEstimator):
    """A transformer of the user's own: nothing tells what it learns from."""

    def fit(self, X, y=None):
        self.scale_ = 1.0 + np.abs(np.asarray(X)).max()
        return self

    def transform(self, X):
        return np.asarray(X) / self.scale_


def numbers(n=240, seed=0):
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 2, n)
    X = rng.normal(size=(n, 4)) + 1.5 * y[:, None]
    trusted = np.arange(n) < n // 3
    return X, np.where(~trusted & (rng.random(n) < 0.2), 1 - y, y), trusted, y


def texts(n=240, seed=0):
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 2, n)
    words = [[f"w{i}" for i in (range(60) if v else range(40, 100))] for v in y]
    X = [" ".join(rng.choice(some, 12)) for some in words]
    trusted = np.arange(n) < n // 3
    return X, np.where(~trusted & (rng.random(n) < 0.2), 1 - y, y), trusted, y


TRANSFORMERS = [cls for _, cls in all_estimators(type_filter="transformer") if cls.__module__.startswith("sklearn.")]


@pytest.mark.parametrize("cls", TRANSFORMERS, ids=lambda cls: cls.__name__)
def test_what_ignores_labels_makes_the_same_of_rows_with_other_labels(cls):
    """Of all transformers of scikit-learn."""
    try:
        transformer = cls()
    except TypeError:
        pytest.skip("needs another estimator")
    if learns_from_labels(transformer) or not hasattr(transformer, "transform"):
        return
    few = {"random_state": 0, "max_iter": 5, "n_components": 2} if "Dictionary" in cls.__name__ else {"random_state": 0}
    transformer.set_params(**{name: value for name, value in few.items() if name in transformer.get_params()})
    X, y, _, _ = numbers(60)
    X = np.abs(X)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            made = [clone(transformer).fit(X, labels).transform(X) for labels in (y, 1 - y, np.arange(60) % 3)]
        except (TypeError, ValueError, AttributeError):
            pytest.skip("takes no table of numbers")
    made = [np.asarray(part.toarray() if hasattr(part, "toarray") else part) for part in made]
    np.testing.assert_array_equal(made[0], made[1])
    np.testing.assert_array_equal(made[0], made[2])


@pytest.mark.parametrize(
    ("transformer", "expected"),
    [
        ("passthrough", False),
        (None, False),
        (StandardScaler(), False),
        (FunctionTransformer(np.log1p), False),
        (TfidfVectorizer(), False),
        (TargetEncoder(), True),
        (SelectKBest(), True),
        (SelectFromModel(LogisticRegression()), True),
        (VarianceThreshold(), False),
        (Shrink(), True),
        (FrozenEstimator(SelectKBest()), False),
        (make_pipeline(StandardScaler(), PCA()), False),
        (make_pipeline(StandardScaler(), SelectKBest()), True),
        (make_union(PCA(), make_pipeline(SelectKBest())), True),
        (FeatureUnion([("pca", PCA()), ("none", "drop"), ("same", "passthrough")]), False),
        (make_column_transformer((OneHotEncoder(), [0]), remainder=StandardScaler()), False),
        (make_column_transformer((OneHotEncoder(), [0]), remainder=make_pipeline(TargetEncoder())), True),
        (ColumnTransformer([("a", make_union(TargetEncoder()), [0])]), True),
    ],
)
def test_every_leaf_tells_whether_labels_are_learned_from(transformer, expected):
    assert learns_from_labels(transformer) == expected


class Counting(FunctionTransformer):
    """Counts the rows it is given, by what is done with them."""

    seen: ClassVar[Counter] = Counter()

    def fit(self, X, y=None):
        Counting.seen["fits"] += 1
        Counting.seen["fitted"] += len(X)
        return super().fit(X, y)


Counting.__module__ = "sklearn.preprocessing._function_transformer"  # where its like is known to ignore labels


@pytest.mark.parametrize("params", [{"alpha": 0.7}, {}, {"alpha": 0.7, "strategy": "drop", "max_iter": 3}, {"cv": 3}])
def test_the_head_is_fitted_once_on_each_row(params):
    X, y, trusted, _ = numbers()
    Counting.seen.clear()
    model = make_pipeline(Counting(), LogisticRegression())
    clf = RDIAClassifier(model, random_state=0, **params)
    clf.fit(X, y, **({} if "cv" in params else {"trusted": trusted}))
    assert Counting.seen == {"fits": 1, "fitted": len(X)}
    assert clf.base_estimator_[0] is clf.estimator_[0]


def test_rows_beside_x_are_among_those_the_head_is_fitted_on():
    X, y, trusted, _ = numbers()
    model = make_pipeline(StandardScaler(), LogisticRegression())
    val = {"X_val": X[trusted], "y_val": y[trusted]}
    apart = RDIAClassifier(model, alpha=0.7).fit(X[~trusted], y[~trusted], **val)
    inside = RDIAClassifier(model, alpha=0.7).fit(X, y, trusted=trusted)
    np.testing.assert_allclose(apart.estimator_[0].mean_, X.mean(axis=0))
    np.testing.assert_array_equal(apart.relabeled_y_, inside.relabeled_y_[~trusted])
    np.testing.assert_allclose(apart.influences_, inside.influences_[~trusted], atol=1e-6)


def test_rows_without_weight_do_not_shape_the_head():
    X, y, trusted, _ = numbers()
    X[200:] += 1000.0
    weight = np.where(np.arange(len(X)) < 200, 1.0, 0.0)
    model = make_pipeline(StandardScaler(), LogisticRegression())
    clf = RDIAClassifier(model, alpha=0.7).fit(X, y, weight, trusted=trusted)
    np.testing.assert_allclose(clf.estimator_[0].mean_, X[:200].mean(axis=0))


def test_a_head_that_learns_from_labels_is_fitted_with_the_repaired_ones():
    X, y, trusted, _ = numbers()
    model = make_pipeline(StandardScaler(), SelectKBest(k=2), LogisticRegression())
    clf = RDIAClassifier(model, alpha=0.7).fit(X, y, trusted=trusted)
    repaired = make_pipeline(SelectKBest(k=2), LogisticRegression())
    repaired.fit(StandardScaler().fit_transform(X), clf.relabeled_y_)
    np.testing.assert_allclose(clf.estimator_[1].scores_, repaired[0].scores_)
    np.testing.assert_allclose(clf.estimator_[2].coef_, repaired[1].coef_, atol=1e-6)


@pytest.mark.parametrize(
    "model",
    [
        make_pipeline(StandardScaler(), LogisticRegression()),
        make_pipeline(SelectKBest(k=2), LogisticRegression()),
        make_pipeline(StandardScaler(), make_pipeline(PCA(2, random_state=0), LogisticRegression())),
        make_pipeline(LogisticRegression()),
        Pipeline([("none", "passthrough"), ("scale", StandardScaler()), ("model", LogisticRegression())]),
        LogisticRegression(),
    ],
)
def test_joined_again_it_is_the_estimator_fitted_as_a_whole(model):
    X, y, _, _ = numbers()
    head = fit_head(model, X, y, np.ones(len(y)))
    joined = head.join(clone(head.tail).fit(head.X, y))
    whole = clone(model).fit(X, y)
    np.testing.assert_array_equal(joined.predict_proba(X), whole.predict_proba(X))
    assert joined.get_params().keys() == whole.get_params().keys()
    assert type(joined) is type(model)
    apart = fitted_head(whole, X)
    np.testing.assert_array_equal(apart.tail.predict_proba(apart.X), whole.predict_proba(X))
    np.testing.assert_array_equal(apart.tail.predict_proba(apart.transform(X[:5])), whole.predict_proba(X[:5]))


def test_targets_of_a_pipeline_are_fitted_on_each_row_once():
    """Hard targets: the pipeline as a whole; soft ones: the scaler sees each row once."""
    X, y, _, _ = numbers()
    for model in (
        make_pipeline(StandardScaler(), LogisticRegression()),
        make_pipeline(StandardScaler(), SelectKBest(k=2), LogisticRegression()),
    ):
        fitted = fit_targets(model, X, one_hot(y, 2), np.arange(2))
        np.testing.assert_array_equal(fitted.predict_proba(X), clone(model).fit(X, y).predict_proba(X))
        soft = fit_targets(model, X, 0.9 * one_hot(y, 2) + 0.05, np.arange(2))
        np.testing.assert_allclose(soft[0].mean_, X.mean(axis=0))
        dropped = fit_targets(model, X, one_hot(y, 2) * (np.arange(len(y)) < 100)[:, None], np.arange(2))
        np.testing.assert_allclose(dropped[0].mean_, X[:100].mean(axis=0))


FRAME = pd.DataFrame(
    {
        "a": numbers()[0][:, 0],
        "city": np.random.default_rng(1).choice([f"c{i}" for i in range(60)], 240),
        "t": texts()[0],
        "rare": np.where(np.arange(240) == 150, 1.0, 0.0),
    }
)
COLUMNS = {
    "one-hot": make_column_transformer((StandardScaler(), ["a"]), (OneHotEncoder(handle_unknown="ignore"), ["city"])),
    "infrequent": make_column_transformer(
        (OneHotEncoder(handle_unknown="infrequent_if_exist", min_frequency=5), ["city"]), (StandardScaler(), ["a"])
    ),
    "tf-idf": make_column_transformer((TfidfVectorizer(), "t"), (StandardScaler(), ["a"])),
    "constant without a row": make_column_transformer((VarianceThreshold(), ["a", "rare"])),
    "target encoder": make_column_transformer((TargetEncoder(), ["city"]), (StandardScaler(), ["a"])),
    "own": make_column_transformer((Shrink(), ["a", "rare"]), (TfidfVectorizer(), "t")),
    "pandas": make_column_transformer((StandardScaler(), ["a"])).set_output(transform="pandas"),
}
ENDS = {
    "logistic": LogisticRegression(),
    "liblinear": LogisticRegression(solver="liblinear"),
    "sgd": SGDClassifier(loss="log_loss", random_state=0),
}


@pytest.mark.parametrize(
    ("name", "end", "source", "params"),
    [
        *((name, "logistic", "trusted", {}) for name in COLUMNS if name not in ("target encoder", "own")),
        *((name, "logistic", "trusted", {"signal": "confidence"}) for name in ("target encoder", "own")),
        *((name, "logistic", "cv", {}) for name in COLUMNS),
        ("tf-idf", "logistic", "held out", {}),
        ("one-hot", "liblinear", "trusted", {}),
        ("infrequent", "sgd", "trusted", {"strategy": "drop"}),
    ],
)
def test_columns_that_differ_between_rows(name, end, source, params):
    _, y, trusted, right = numbers()
    y = right if source == "held out" else y
    clf = RDIAClassifier(make_pipeline(COLUMNS[name], ENDS[end]), cv=3 if source == "cv" else None, random_state=0)
    clf.set_params(**params)
    before = FRAME.copy()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="(?s).*far from its optimum")
        clf.fit(FRAME, y, **({"trusted": trusted} if source == "trusted" else {}))
    assert clf.score(FRAME, right) > 0.6
    pd.testing.assert_frame_equal(FRAME, before)
    np.testing.assert_array_equal(clf.feature_names_in_, FRAME.columns)


def as_string_dtype(X):
    return np.array(X)


TEXTS = {
    "list": list,
    "tuple": tuple,
    "array": as_string_dtype,
    "objects": lambda X: np.array(X, dtype=object),
    "series": pd.Series,
}


@pytest.mark.parametrize(
    ("container", "source", "alpha"),
    [
        *((container, source, 0.7) for container in TEXTS for source in ("trusted", "X_val", "held out", "cv")),
        *(("list", source, "auto") for source in ("trusted", "X_val", "held out", "cv")),
        ("series", "X_val", "auto"),
    ],
)
def test_texts_in_any_container(container, source, alpha):
    X, y, trusted, _ = texts()
    make = TEXTS[container]
    clf = RDIAClassifier(
        make_pipeline(TfidfVectorizer(), LogisticRegression()),
        alpha=alpha,
        cv=3 if source == "cv" else None,
        random_state=0,
    )
    if source == "X_val":
        train = [text for text, known in zip(X, trusted, strict=True) if not known]
        val = [text for text, known in zip(X, trusted, strict=True) if known]
        clf.fit(make(train), y[~trusted], X_val=make(val), y_val=y[trusted])
    else:
        clf.fit(make(X), y, **({"trusted": trusted} if source == "trusted" else {}))
    assert clf.predict(make(X)).shape == (240,)
    assert clf.relabeled_y_.shape == clf.harmful_mask_.shape == (160 if source == "X_val" else 240,)


@pytest.mark.slow
@pytest.mark.parametrize("container", ["list", "series"])
def test_everything_else_takes_texts(container, tmp_path):
    X, y, trusted, _ = texts()
    X = TEXTS[container](X)
    model = make_pipeline(TfidfVectorizer(), LogisticRegression())
    fitted = clone(model).fit(X, y)
    val = [text for text, known in zip(X, trusted, strict=True) if known]
    names = ["influence", "confidence", "trusted-posterior", "isolation"]
    assert len(rank_rows(fitted, X, y, val, y[trusted], signals=names)) == 240
    assert score(fitted, X, y, signal="stacked-posterior").shape == (240,)
    assert influence(fitted, X, y, val, y[trusted], std=True).values.shape == (240,)
    assert influence_matrix(fitted, X, y, val, y[trusted]).shape == (80, 240)
    detector = InfluenceLabelDetector(model).fit(X, y)
    assert detector.score_samples(X, y).shape == detector.predict(X).shape == (240,)
    comparison = compare_strategies(model, X, y, trusted=trusted, strategies=["best label", "auto"], n_repeats=1)
    assert np.isfinite(comparison.log_loss).all()
    clf = RDIAClassifier(model, random_state=0).fit(X, y, trusted=trusted)
    clf.report(tmp_path / "report.html", X)
    clf.ledger_.to_csv(tmp_path / "ledger.csv")
    rows = clf.ledger_.suggest(3)["row"]
    again = Ledger.read_csv(tmp_path / "ledger.csv").accept(list(clf.ledger_.suggest(3)["index"]))
    refitted = again.refit(clf, X, y, trusted=trusted)
    assert refitted.validation_mask_[rows].all()


def test_a_finder_and_a_base_estimator_with_heads_of_their_own():
    _, y, trusted, right = numbers()
    base = make_pipeline(COLUMNS["tf-idf"], LogisticRegression())
    finder = make_pipeline(COLUMNS["one-hot"], LogisticRegression(C=0.1))
    for params in ({"alpha": 0.7}, {}, {"cv": 3}, {"alpha": 0.7, "refit_params": {"logisticregression__C": 0.3}}):
        clf = RDIAClassifier(base, influence_estimator=finder, random_state=0, **params)
        clf.fit(FRAME, y, **({} if "cv" in params else {"trusted": trusted}))
        assert clf.score(FRAME, right) > 0.7
        assert [name for name, _ in clf.estimator_.steps] == [name for name, _ in base.steps]
        assert params.get("refit_params", {}).get("logisticregression__C", 1.0) == clf.estimator_[-1].C


def test_a_head_remembers_in_the_memory_of_its_pipeline(tmp_path):
    X, y, trusted, _ = texts()
    model = make_pipeline(
        TfidfVectorizer(), TruncatedSVD(5, random_state=0), LogisticRegression(), memory=str(tmp_path)
    )
    clf = RDIAClassifier(model, alpha=0.7).fit(X, y, trusted=trusted)
    assert any(tmp_path.rglob("output.pkl"))
    without = RDIAClassifier(clone(model).set_params(memory=None), alpha=0.7).fit(X, y, trusted=trusted)
    np.testing.assert_array_equal(clf.influences_, without.influences_)
    assert clf.estimator_.memory == str(tmp_path)


def test_a_frozen_pipeline_keeps_its_head():
    X, y, trusted, _ = texts()
    fitted = make_pipeline(
        HashingVectorizer(n_features=64), StandardScaler(with_mean=False), LogisticRegression(tol=1e-8)
    )
    fitted.fit(X, y)
    val = [X[i] for i in np.flatnonzero(trusted)]
    frozen = RDIAClassifier(FrozenEstimator(fitted), alpha=0.7).fit(X, y, X_val=val, y_val=y[trusted])
    assert frozen.estimator_.estimator is fitted
    expected = influence(fitted, X, y, val, y[trusted]).values
    np.testing.assert_allclose(frozen.influences_, expected, atol=1e-8)


def test_a_random_head_with_a_seed_gives_the_same_fit_again():
    X, y, trusted, _ = numbers()
    model = make_pipeline(SparseRandomProjection(3, random_state=0), LogisticRegression())
    first, second = (RDIAClassifier(model, random_state=0).fit(X, y, trusted=trusted) for _ in range(2))
    np.testing.assert_array_equal(first.targets_, second.targets_)
    np.testing.assert_array_equal(first.predict_proba(X), second.predict_proba(X))


def test_a_scaler_that_requests_weights_gets_those_of_the_rows(routing):
    X, y, trusted, _ = numbers()
    weight = np.random.default_rng(0).uniform(0.5, 2.0, len(y))
    model = make_pipeline(StandardScaler().set_fit_request(sample_weight=True), LogisticRegression())
    clf = RDIAClassifier(model, alpha=0.7).fit(X, y, weight, trusted=trusted)
    np.testing.assert_allclose(clf.estimator_[0].mean_, StandardScaler().fit(X, sample_weight=weight).mean_)


def test_parameters_of_the_head_cannot_change_for_the_final_fit():
    X, y, trusted, _ = numbers()
    model = make_pipeline(StandardScaler(), LogisticRegression())
    clf = RDIAClassifier(model, alpha=0.7, refit_params={"standardscaler__with_mean": False})
    with pytest.raises(
        ValueError, match="refit_params sets 'standardscaler__with_mean', of a step that is fitted once"
    ):
        clf.fit(X, y, trusted=trusted)
    clf.set_params(refit_params={"logisticregression__C": 5.0, "logisticregression__warm_start": True})
    assert clf.fit(X, y, trusted=trusted).estimator_[-1].C == 5.0
