"""RDIAClassifier in the hands of scikit-learn's own meta-estimators and tools."""

import io
import pickle

import joblib
import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn import config_context
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import BaggingClassifier, StackingClassifier, VotingClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import get_scorer
from sklearn.model_selection import GridSearchCV, StratifiedKFold, cross_validate
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from skrdia import RDIAClassifier


@pytest.fixture
def rows(table):
    """All rows in one table, the validation rows marked, in random order."""
    X, y = np.vstack([table.X, table.X_val]), np.r_[table.y, table.y_val]
    order = np.random.default_rng(0).permutation(len(y))
    return X[order], y[order], (order >= len(table.y))


def test_pipeline_around(table, routing):
    rdia = RDIAClassifier().set_fit_request(X_val=True, y_val=True)
    X, X_val = table.X * 5.0 + 1.0, table.X_val * 5.0 + 1.0
    pipeline = Pipeline([("scale", StandardScaler()), ("rdia", rdia)], transform_input=["X_val"])
    pipeline.fit(X, table.y, X_val=X_val, y_val=table.y_val)
    scaler = StandardScaler().fit(X)
    expected = RDIAClassifier().fit(scaler.transform(X), table.y, X_val=scaler.transform(X_val), y_val=table.y_val)
    np.testing.assert_array_equal(pipeline[-1].relabeled_y_, expected.relabeled_y_)
    np.testing.assert_array_equal(pipeline.predict(X), expected.predict(scaler.transform(X)))


def test_pipelines_inside_and_outside(rows, routing):
    X, y, trusted = rows
    inner = make_pipeline(make_pipeline(StandardScaler(), "passthrough"), make_pipeline(LogisticRegression(C=0.1)))
    outer = make_pipeline(StandardScaler(), make_pipeline(RDIAClassifier(inner).set_fit_request(trusted=True)))
    outer.fit(X, y, trusted=trusted)
    rdia = outer[-1][-1]
    np.testing.assert_array_equal(rdia.validation_mask_, trusted)
    assert outer.score(X[trusted], y[trusted]) > 0.9


def test_grid_search_slices_trusted_with_the_rows(rows, routing):
    X, y, trusted = rows
    rdia = RDIAClassifier(LogisticRegression()).set_fit_request(trusted=True)
    search = GridSearchCV(
        make_pipeline(StandardScaler(), rdia),
        {
            "rdiaclassifier__alpha": [0.1, 0.7],
            "rdiaclassifier__hessian": ["newton-cg", "direct"],
            "rdiaclassifier__strategy": ["relabel", "drop"],
            "rdiaclassifier__base_estimator__C": [0.1, 1.0],
        },
        cv=StratifiedKFold(3),
        error_score="raise",
    )
    search.fit(X, y, trusted=trusted)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    np.testing.assert_array_equal(search.best_estimator_[-1].validation_mask_, trusted)
    by_hessian = pd.DataFrame(search.cv_results_).groupby("param_rdiaclassifier__hessian")["mean_test_score"].mean()
    assert abs(by_hessian["direct"] - by_hessian["newton-cg"]) < 1e-3


def test_a_search_slices_an_X_val_that_is_as_long_as_X(table, routing):
    """The trap the documentation warns of; if this fails, scikit-learn mended it and the warning can go."""
    X, y = table.X[:150], table.y[:150]
    rdia = RDIAClassifier().set_fit_request(X_val=True, y_val=True)
    seen = []
    rdia.alpha, rdia.signal = 0.7, lambda evidence: seen.append(len(evidence.given)) or evidence.influences
    with config_context(enable_metadata_routing=True):
        search = GridSearchCV(rdia, {"alpha": [10.0]}, cv=3, refit=False)
        search.fit(X, y, X_val=table.X_val, y_val=table.y_val)
    assert seen == [100, 100, 100]


def test_cross_validate_with_trusted(rows, routing):
    X, y, trusted = rows
    rdia = RDIAClassifier().set_fit_request(trusted=True)
    scorer = get_scorer("neg_log_loss")
    result = cross_validate(
        rdia, X, y, params={"trusted": trusted}, scoring=scorer, error_score="raise", return_estimator=True, cv=2
    )
    assert np.isfinite(result["test_score"]).all()
    assert sum(clf.validation_mask_.sum() for clf in result["estimator"]) == trusted.sum()


def test_pickle_and_joblib(table):
    clf = RDIAClassifier(make_pipeline(StandardScaler(), LogisticRegression())).fit(table.X, table.y, **table.val)
    buffer = io.BytesIO()
    joblib.dump(clf, buffer)
    buffer.seek(0)
    for copy in (pickle.loads(pickle.dumps(clf)), joblib.load(buffer)):
        np.testing.assert_array_equal(copy.predict_proba(table.X), clf.predict_proba(table.X))
        np.testing.assert_array_equal(copy.harmful_mask_, clf.harmful_mask_)


@pytest.mark.parametrize(
    "labels",
    [pytest.param(np.array([0, 1]), marks=pytest.mark.slow), np.array(["no", "yes"])],
    ids=["numbers", "texts"],
)
@pytest.mark.parametrize(
    "wrap",
    [
        lambda clf: CalibratedClassifierCV(clf, cv=3),
        lambda clf: VotingClassifier([("rdia", clf), ("plain", LogisticRegression())], voting="soft"),
        lambda clf: StackingClassifier([("rdia", clf), ("plain", LogisticRegression())], cv=3),
        lambda clf: BaggingClassifier(clf, n_estimators=3, random_state=0),
    ],
    ids=["calibrated", "voting", "stacking", "bagging"],
)
def test_meta_estimators(rows, wrap, labels):
    X, y, _ = rows
    model = wrap(RDIAClassifier(random_state=0)).fit(X, labels[y])
    assert set(model.predict(X)) == set(labels)
    assert model.score(X, labels[y]) > 0.7


@pytest.mark.parametrize("library", [pd, pl], ids=["pandas", "polars"])
def test_column_transformer_on_frames(table, library):
    """A frame with numbers, missing values and strings reaches the column transformer as it is."""

    def frame(X):
        size = np.where(X[:, 1] > 0, X[:, 1], np.nan)
        return library.DataFrame({"a": X[:, 0], "size": size, "kind": np.where(X[:, 2] > 0, "x", "y").tolist()})

    columns = ColumnTransformer(
        [
            ("number", make_pipeline(SimpleImputer(), StandardScaler()), ["a", "size"]),
            ("kind", OneHotEncoder(), ["kind"]),
        ]
    )
    clf = RDIAClassifier(make_pipeline(columns, LogisticRegression()), alpha=0.1)
    clf.fit(frame(table.X), table.y, X_val=frame(table.X_val), y_val=table.y_val)
    assert clf.feature_names_in_.tolist() == ["a", "size", "kind"]
    assert clf.harmful_mask_.any()
    assert clf.score(frame(table.X_test), table.y_test) > 0.85
    marked = RDIAClassifier(make_pipeline(columns, LogisticRegression()), alpha=0.1).fit(
        frame(table.X), table.y, trusted=np.arange(len(table.y)) < 100
    )
    assert marked.validation_mask_.sum() == 100


@pytest.mark.parametrize("output", ["default", "pandas", "polars"])
def test_set_output(rows, output, routing):
    X, y, trusted = rows
    rdia = RDIAClassifier().set_fit_request(trusted=True)
    pipeline = make_pipeline(StandardScaler(), rdia).set_output(transform=output).fit(X, y, trusted=trusted)
    assert hasattr(pipeline[-1], "feature_names_in_") == (output != "default")
    assert pipeline.predict(X).shape == y.shape
