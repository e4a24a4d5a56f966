"""Whatever is given to fit: it fits, or says which argument it cannot use; it changes nothing, and repeats itself."""

import copy
import re
import warnings
from contextlib import contextmanager
from dataclasses import is_dataclass
from inspect import signature

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, currently_in_test_context, given, note, settings
from hypothesis import strategies as st
from scipy import sparse
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning

from skrdia import RDIAClassifier
from tests.property_cases import CONTAINERS, draw_case, plain_labels

ARGUMENTS = {*signature(RDIAClassifier).parameters, *signature(RDIAClassifier.fit).parameters} - {"self"}
NAMES_AN_ARGUMENT = re.compile(r"\b(" + "|".join(ARGUMENTS) + r")\b")
N_PER_ROW = ("harmful_mask_", "relabeled_y_", "scores_", "influences_", "validation_mask_")


def say(text):
    """Show this with an example that fails."""
    if currently_in_test_context():
        note(text)


@contextmanager
def expected_warnings():
    """Of models that are not trained to the end, of rows that cannot be judged, and of constant columns."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        for message in (
            "Nothing could tell whether the rows labelled",
            "Only verified rows are labelled",
            r"\d+ rows were in no test fold",
            r"Round \d would leave no training row",
            "The groups parameter is ignored by",
            r"Features \[.*\] are constant",
            r"About \d+ of \d+ verified labels look wrong",
            "The verified rows have other class shares",
        ):
            warnings.filterwarnings("ignore", message=f"(?s){message}", category=UserWarning)
        warnings.filterwarnings("ignore", message="Using the 'liblinear' solver for multiclass", category=FutureWarning)
        for message in ("invalid value encountered in divide", "divide by zero encountered in divide"):
            warnings.filterwarnings("ignore", message=message, module=r"sklearn\.feature_selection")
        yield


def same(one, other):
    """Whether two values are of the same type, and equal in every entry; nan equals nan."""
    if type(one) is not type(other):
        return False
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if is_dataclass(one):
        return same(vars(one), vars(other))
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(same, one, other))
    if sparse.issparse(one):
        return one.format == other.format and same(_parts(one), _parts(other))
    if isinstance(one, np.ndarray):
        equal = one.shape == other.shape and one.dtype == other.dtype
        return equal and (np.array_equal(one, other, equal_nan=one.dtype.kind == "f"))
    if hasattr(one, "equals"):
        index = not isinstance(one, pd.DataFrame | pd.Series) or one.index.equals(other.index)
        return bool(one.equals(other)) and index
    if hasattr(one, "to_numpy"):
        return same(one.to_numpy(), other.to_numpy())
    return bool(one == other or (one != one and other != other))


def _parts(X):
    return [getattr(X, name) for name in ("data", "indices", "indptr", "coords") if hasattr(X, name)]


def accepted(model, X, y, sample_weight=None, **_):
    """The refusal of the model itself, or None."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if hasattr(model, "steps") and sample_weight is not None:
                name = f"{model.steps[-1][0]}__sample_weight"
                clone(model).fit(X, y, **{name: np.broadcast_to(sample_weight, len(y))})
            elif sample_weight is not None:
                clone(model).fit(X, y, sample_weight=np.broadcast_to(sample_weight, len(y)))
            else:
                clone(model).fit(X, y)
    except (TypeError, ValueError) as error:
        return error
    return None


def fitted(clf, X, y, arguments):
    """The fitted classifier, or None where it is refused in words that say what of the call cannot be used."""
    try:
        with expected_warnings():
            return clf.fit(X, y, **arguments)
    except (TypeError, ValueError) as error:
        say(f"refused: {error}")
        own = accepted(clf.base_estimator, X, _of_all_classes(y, arguments), arguments.get("sample_weight"))
        if not NAMES_AN_ARGUMENT.search(str(error)) and str(error) != str(own):
            raise AssertionError(f"names no argument: {error}") from error
        assert not [name for name in vars(clf) if name.endswith("_")]
        return None


def _of_all_classes(y, arguments):
    """The labels, of which some become those that only validation rows have."""
    labels = plain_labels(y)
    added = np.setdiff1d(plain_labels(arguments["y_val"]), labels) if "y_val" in arguments else labels[:0]
    return np.concatenate([added, labels[len(added) :]])


def check_attributes(clf, X, y, arguments):
    """Every attribute has an entry for each row, and they agree with each other."""
    labels, n = np.asarray(y), len(y)
    for name in N_PER_ROW:
        assert getattr(clf, name).shape == (n,), name
    for name in ("targets_", "label_influences_"):
        assert getattr(clf, name).shape == (n, len(clf.classes_)), name
    known = set(clf.classes_.tolist())
    assert len(known) == len(clf.classes_)
    assert set(clf.relabeled_y_.tolist()) <= known | set(labels.tolist())
    verified = clf.validation_mask_
    assert not clf.harmful_mask_[verified].any()
    assert np.isnan(clf.scores_[verified]).all()
    assert same(clf.relabeled_y_[verified].tolist(), labels[verified].tolist())
    if "trusted" in arguments:
        np.testing.assert_array_equal(verified, np.asarray(arguments["trusted"], dtype=bool))
    assert (np.isfinite(clf.targets_) & (clf.targets_ >= 0.0)).all()
    weight = np.broadcast_to(arguments.get("sample_weight", 1.0), n)
    assert not clf.targets_[weight == 0.0].any()
    assert hasattr(clf, "influence_std_") == clf.compute_std
    assert clf.termination_condition_
    assert len({len(values) for values in clf.held_out_.values()}) == 1
    proba, predicted = clf.predict_proba(X), clf.predict(X)
    assert proba.shape == (n, len(clf.estimator_.classes_))
    np.testing.assert_allclose(proba.sum(axis=1), 1.0, rtol=1e-5)
    assert set(predicted.tolist()) <= known
    changed = clf.harmful_mask_ | (clf.relabeled_y_ != labels)
    assert set(clf.ledger_["row"].tolist()) >= set(np.flatnonzero(changed).tolist())


def public(clf):
    """What a fit has computed, but for the estimators, whose probabilities say the same."""
    return {
        name: value
        for name, value in vars(clf).items()
        if name.endswith("_") and name not in ("estimator_", "base_estimator_", "ledger_")
    }


def outcome(case, *, again=False):
    """Check one case, with `again` fitted twice; whether it is valid for the base estimator, and whether it fits."""
    say(repr(case))
    X, y, arguments = case.data()
    model = case.model(X, y)
    refusal = accepted(model, X, y, **arguments)
    before, clf = copy.deepcopy((X, y, arguments)), case.classifier(model)
    params = repr(clf.get_params())
    is_fitted = fitted(clf, X, y, arguments) is not None
    assert same(before, (X, y, arguments))
    assert repr(clf.get_params()) == params
    if is_fitted:
        check_attributes(clf, X, y, arguments)
        if again:
            first, proba = public(clf), clf.predict_proba(X)
            fitted(clf, X, y, arguments)
            assert same(first, public(clf))
            np.testing.assert_array_equal(clf.predict_proba(X), proba)
    return refusal is None, is_fitted


def drawn(data, **options):
    return draw_case(lambda several: data.draw(st.sampled_from(several)), **options)


QUICKLY = {"suppress_health_check": list(HealthCheck)}


@pytest.mark.parametrize("containers", CONTAINERS)
@settings(max_examples=8, **QUICKLY)
@given(data=st.data())
def test_any_call_fits_or_names_an_argument(containers, data):
    outcome(drawn(data, containers=CONTAINERS[containers]), again=True)


@settings(max_examples=2, **QUICKLY)
@given(data=st.data())
def test_any_choice_fits_or_names_an_argument(data):
    outcome(drawn(data, auto=True))


@pytest.mark.slow
@settings(max_examples=500, **QUICKLY)
@given(data=st.data())
def test_many_calls_fit_or_name_an_argument(data):
    outcome(drawn(data), again=True)


@pytest.mark.slow
@settings(max_examples=20, **QUICKLY)
@given(data=st.data())
def test_many_choices_fit_or_name_an_argument(data):
    outcome(drawn(data, auto=True), again=True)


def share_that_fits(n_cases):
    """Of the calls whose data the base estimator itself can be fitted on."""
    rng = np.random.default_rng(0)
    cases = [draw_case(lambda several: several[rng.integers(len(several))]) for _ in range(n_cases)]
    valid = [is_fitted for is_valid, is_fitted in map(outcome, cases) if is_valid]
    assert len(valid) > n_cases / 2
    return np.mean(valid)


@pytest.mark.parametrize("n_cases", [15, pytest.param(500, marks=pytest.mark.slow)])
def test_most_valid_calls_fit(n_cases):
    share = share_that_fits(n_cases)
    print(f"{share:.1%} of the valid calls fit")
    assert share >= 0.8
