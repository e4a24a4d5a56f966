"""Arguments that cannot be used: the error names them."""

import numpy as np
import pytest
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from skrdia import RDIAClassifier
from skrdia.report import summarise

X = np.random.default_rng(0).normal(size=(60, 3))
y = np.arange(60) % 2
HALVES = np.arange(30), np.arange(30, 60)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (y + 0.5, "^y: Unknown label type"),
        (y + 1j, "^y: Complex data"),
        (np.where(y, b"a", b"b"), "^y: Support for labels represented as bytes"),
        ([(1, 2), (3, 4)] * 30, "^y should be a 1d array"),
    ],
)
def test_labels_of_no_class(labels, message):
    with pytest.raises((TypeError, ValueError), match=message):
        RDIAClassifier(alpha=0.5).fit(X, labels, trusted=np.arange(60) < 20)
    with pytest.raises((TypeError, ValueError), match=r"^y_val: "):
        RDIAClassifier(alpha=0.5).fit(X, y, X_val=X, y_val=labels)


@pytest.mark.parametrize("weight", [["a"] * 60, np.full(60, np.datetime64("2020-01-01"))])
def test_weights_that_are_no_numbers(weight):
    with pytest.raises(ValueError, match="sample_weight holds text or times"):
        RDIAClassifier(alpha=0.5).fit(X, y, weight, trusted=np.arange(60) < 20)


@pytest.mark.parametrize("rows", [{"a": [1, 2]}, {1, 2}, None, 3, "text", iter([1])])
def test_rows_that_are_no_table(rows):
    with pytest.raises(ValueError, match=r"^X is a .*; expected rows"):
        RDIAClassifier(alpha=0.5).fit(rows, [0, 1], trusted=[True, False])


@pytest.mark.parametrize(
    ("cv", "message"),
    [
        ([], "cv makes no split"),
        ([1, 2, 3], r"cv=\[1, 2, 3\] cannot split these rows"),
        ([(1, 2, 3)], r"cv=\[\(1, 2, 3\)\] cannot split these rows"),
        ([(np.arange(90), HALVES[0])], "cv: a fold is not one of positions of rows.* from 0 to 59"),
        ([(np.arange(-30, 0), HALVES[0])], "cv: a fold is not one of positions"),
        ([(np.arange(30.0), HALVES[1])], "cv: a fold is not one of positions"),
        ([(np.ones(30, dtype=bool), HALVES[1])], "cv: a fold is not one of positions"),
        ([(HALVES[0], [])], "cv makes a fold without any row"),
        ([([], HALVES[0]), HALVES], "cv makes a fold without any row"),
    ],
)
def test_folds_that_are_none(cv, message):
    with pytest.raises(ValueError, match=message):
        RDIAClassifier(cv=cv, alpha=0.5).fit(X, y)


def test_the_report_of_a_fit_that_changed_no_row():
    texts = np.array(["good", "bad"], dtype=object)[y]
    for model, rows in ((None, X), (make_pipeline(TfidfVectorizer(), LogisticRegression()), texts)):
        clf = RDIAClassifier(model, alpha=1e6).fit(rows, y, trusted=np.arange(60) < 20)
        assert len(clf.ledger_) == 0
        summarise(clf, rows)
