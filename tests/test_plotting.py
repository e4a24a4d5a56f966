"""Displays: the arrays they keep, what they draw, and where."""

import subprocess
import sys

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import polars as pl
import pytest
from scipy import sparse
from sklearn.calibration import calibration_curve
from sklearn.decomposition import PCA
from sklearn.ensemble import RandomForestClassifier
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression, SGDClassifier
from sklearn.metrics import confusion_matrix
from sklearn.model_selection import GridSearchCV
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler, scale
from sklearn.svm import LinearSVC

from skrdia import RDIAClassifier, influence_matrix, plotting
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


@pytest.fixture(autouse=True)
def _closed_figures():
    yield
    plt.close("all")


def fitted(table, alpha=0.3, model=None, n_columns=None, **params):
    clf = RDIAClassifier(LogisticRegression() if model is None else model, alpha=alpha, random_state=0, **params)
    return clf.fit(table.X[:, :n_columns], table.y, X_val=table.X_val[:, :n_columns], y_val=table.y_val)


@pytest.fixture
def rounds(table):
    return fitted(table, max_iter=4)


@pytest.fixture
def auto(table):
    return fitted(table, "auto")


def drawn_points(display):
    return sum(len(points.get_offsets()) for points in display.points_)


def test_importing_loads_no_matplotlib():
    code = "import sys, skrdia.plotting; print('matplotlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "False"


def test_missing_matplotlib_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ImportError, match=r"pip install 'skrdia\[plot\]'"):
        RoundsDisplay(validation_loss=np.array([0.5, 0.4]), n_changed=np.array([3])).plot()


@pytest.mark.parametrize("name", plotting.__all__)
def test_every_display_has_a_way_in_and_draws_again(name):
    display = getattr(plotting, name)
    assert callable(display.plot)
    assert any(way.startswith("from_") for way in vars(display))


class TestInfluencePlane:
    def test_two_features(self, table):
        clf = fitted(table, n_columns=2)
        display = InfluencePlaneDisplay.from_estimator(clf, table.X[:, :2], table.y, grid_resolution=30)
        np.testing.assert_array_equal(display.points, table.X[:, :2])
        np.testing.assert_array_equal(display.values, clf.influences_)
        grid = np.column_stack([display.xx0.ravel(), display.xx1.ravel()])
        np.testing.assert_allclose(display.response.reshape(-1, 2), clf.predict_proba(grid))
        assert drawn_points(display) == len(table.y)
        np.testing.assert_array_equal(display.rings_.get_offsets(), table.X[clf.harmful_mask_, :2])
        of_class = np.sort(clf.influences_[table.y == clf.classes_[1]])
        np.testing.assert_array_equal(np.sort(display.points_[1].get_array()), of_class)
        low, high = display.points_[0].get_clim()
        assert low == -high < 0.0
        assert len(display.boundary_) == 2
        assert display.colorbar_.ax.get_xlabel() == "influence (nats)"

    def test_validation_rows_are_not_drawn(self, table):
        clf = RDIAClassifier(LogisticRegression(), alpha=0.3, validation_fraction=0.3, random_state=0).fit(
            table.X, table.y
        )
        display = InfluencePlaneDisplay.from_estimator(clf, table.X, table.y, grid_resolution=10)
        assert drawn_points(display) == (~clf.validation_mask_).sum() < len(table.y)

    def test_principal_components_and_nearest_rows(self, table3):
        clf = fitted(table3)
        display = InfluencePlaneDisplay.from_estimator(clf, table3.X, table3.y, grid_resolution=20)
        np.testing.assert_allclose(display.points, PCA(2, random_state=0).fit_transform(scale(table3.X)), atol=1e-8)
        corner = np.array([display.xx0[0, 0], display.xx1[0, 0]])
        nearest = np.argsort(((display.points - corner) ** 2).sum(axis=1))[:15]
        np.testing.assert_allclose(display.response[0, 0], clf.predict_proba(table3.X)[nearest].mean(axis=0))
        assert display.response.shape == (20, 20, 3)
        assert len(display.points_) == 3
        assert "variance" in display.ax_.get_xlabel()

    def test_own_projection(self, table):
        clf, own = fitted(table), np.random.default_rng(0).normal(size=(len(table.y), 2))
        display = InfluencePlaneDisplay.from_estimator(clf, table.X, table.y, projection=own, grid_resolution=10)
        np.testing.assert_array_equal(display.points, own)

    @pytest.mark.parametrize("frame", [pd.DataFrame, pl.DataFrame])
    def test_data_frames(self, table, frame):
        X, X_val = (frame({"size": A[:, 0], "shape": A[:, 1]}) for A in (table.X, table.X_val))
        model = make_pipeline(StandardScaler(), LogisticRegression())
        clf = RDIAClassifier(model, alpha=0.3).fit(X, table.y, X_val=X_val, y_val=table.y_val)
        display = InfluencePlaneDisplay.from_estimator(clf, X, table.y, grid_resolution=10)
        assert (display.ax_.get_xlabel(), display.ax_.get_ylabel()) == ("size", "shape")

    def test_at_the_end_of_a_pipeline(self, table):
        model = make_pipeline(
            StandardScaler(), RDIAClassifier(LogisticRegression(), alpha=0.3, validation_fraction=0.3, random_state=0)
        )
        model.fit(table.X[:, :2], table.y)
        display = InfluencePlaneDisplay.from_estimator(model, table.X[:, :2], table.y, grid_resolution=10)
        np.testing.assert_array_equal(display.values, model[-1].influences_)
        grid = np.column_stack([display.xx0.ravel(), display.xx1.ravel()])
        np.testing.assert_allclose(display.response.reshape(-1, 2), model.predict_proba(grid))

    def test_sparse_rows(self, table):
        clf = RDIAClassifier(LogisticRegression(), alpha=0.3, validation_fraction=0.3, random_state=0).fit(
            sparse.csr_array(table.X), table.y
        )
        display = InfluencePlaneDisplay.from_estimator(clf, sparse.csr_array(table.X), table.y, grid_resolution=10)
        assert np.isfinite(display.points).all()

    def test_scores_where_there_are_no_influences(self, table):
        clf = RDIAClassifier(LogisticRegression(), cv=3).fit(table.X, table.y)
        display = InfluencePlaneDisplay.from_estimator(clf, table.X, table.y, grid_resolution=10)
        np.testing.assert_array_equal(display.values, clf.scores_)
        assert display.points_[0].get_cmap().name == "viridis"

    def test_no_probabilities(self, table):
        clf = fitted(table, model=LinearSVC(), influence_estimator=LogisticRegression(), n_columns=2)
        display = InfluencePlaneDisplay.from_estimator(clf, table.X[:, :2], table.y, grid_resolution=10)
        assert set(np.unique(display.response)) == {0.0, 1.0}

    def test_errors(self, table):
        clf = fitted(table)
        with pytest.raises(ValueError, match="X has 5 rows, but the estimator was fitted on 300"):
            InfluencePlaneDisplay.from_estimator(clf, table.X[:5], table.y)
        with pytest.raises(ValueError, match="projection has shape"):
            InfluencePlaneDisplay.from_estimator(clf, table.X, table.y, projection=table.X)
        with pytest.raises(ValueError, match="grid_resolution=1 is too small"):
            InfluencePlaneDisplay.from_estimator(clf, table.X, table.y, grid_resolution=1)
        X = table.X.copy()
        X[0, 0] = np.nan
        with pytest.raises(ValueError, match="Pass projection"):
            InfluencePlaneDisplay.from_estimator(clf, X, table.y)
        with pytest.raises(TypeError, match="has no influences_"):
            InfluencePlaneDisplay.from_estimator(clf.estimator_, table.X, table.y)
        with pytest.raises(NotFittedError):
            InfluencePlaneDisplay.from_estimator(RDIAClassifier(), table.X, table.y)


class TestInfluenceDistribution:
    def test_threshold_and_wrong_labels(self, table, rounds):
        wrong = table.y != table.y_true
        display = InfluenceDistributionDisplay.from_estimator(rounds, wrong=wrong)
        np.testing.assert_array_equal(display.values, rounds.influences_)
        heights = [sum(bar.get_height() for bar in bars) for bars in display.bars_]
        assert heights == [(~wrong).sum(), wrong.sum()]
        assert display.threshold_.get_xdata()[0] == 0.3
        above = sum(bar.get_height() for bars in display.bars_ for bar in bars if bar.get_x() > 0.3 - 1e-9)
        assert above == (rounds.influences_ > 0.3).sum()
        assert display.ax_.get_xlabel() == "influence (nats)"

    def test_of_the_choice_no_threshold_is_marked(self, auto):
        display = InfluenceDistributionDisplay.from_estimator(auto)
        np.testing.assert_array_equal(display.values, auto.influences_)
        assert display.threshold_ is None

    def test_of_another_signal(self, table):
        clf = fitted(table, alpha=0.6, signal="confidence")
        display = InfluenceDistributionDisplay.from_estimator(clf)
        np.testing.assert_array_equal(display.values, clf.scores_)
        assert (display.alpha, display.name) == (0.6, "signal: confidence")

    def test_validation_rows_are_left_out(self, table):
        clf = RDIAClassifier(LogisticRegression(), alpha=0.3, validation_fraction=0.3, random_state=0).fit(
            table.X, table.y
        )
        display = InfluenceDistributionDisplay.from_estimator(clf)
        assert sum(bar.get_height() for bar in display.bars_[0]) == (~clf.validation_mask_).sum()

    def test_errors(self, rounds):
        with pytest.raises(ValueError, match=r"wrong has dtype int64 and shape \(3,\), expected bool and \(300,\)"):
            InfluenceDistributionDisplay.from_estimator(rounds, wrong=[1, 2, 3])


class TestAlphaPath:
    def test_candidates(self, auto):
        display = AlphaPathDisplay.from_estimator(auto)
        np.testing.assert_array_equal(display.loss, [line["loss"] for line in auto.history_])
        np.testing.assert_array_equal(display.loss_se, [line["gain_se"] for line in auto.history_])
        assert display.reference == pytest.approx(auto.history_[0]["loss"])
        assert display.names[0] == "doing nothing"
        assert auto.history_[display.chosen]["weight"] == max(line["weight"] for line in auto.history_)
        drawn = display.lines_[0].lines[0].get_xdata()
        np.testing.assert_array_equal(drawn, np.sort(display.loss)[: len(drawn)])
        assert display.chosen_.get_xdata() == display.loss[display.chosen]
        assert len(display.plot(max_candidates=3).ax_.get_yticks()) == 3

    def test_detectors_in_pipelines_have_names(self, table):
        model = make_pipeline(StandardScaler(), LogisticRegression())
        display = AlphaPathDisplay.from_estimator(fitted(table, "auto", model))
        assert any(name.endswith("[C=0.01]") for name in display.names)

    def test_search(self, table):
        clf = RDIAClassifier(LogisticRegression(), validation_fraction=0.3, random_state=0)
        grid = {"alpha": [1.0, 0.1, 10.0], "strategy": ["drop", "relabel"]}
        search = GridSearchCV(clf, grid, scoring="neg_log_loss", cv=3).fit(table.X, table.y)
        display = AlphaPathDisplay.from_estimator(search)
        np.testing.assert_array_equal(display.loss, -search.cv_results_["mean_test_score"])
        np.testing.assert_allclose(display.loss_se, search.cv_results_["std_test_score"] / np.sqrt(3))
        assert display.alpha[display.chosen] == search.best_params_["alpha"]
        assert [line.get_label() for line in display.lines_] == ["strategy=drop", "strategy=relabel"]
        np.testing.assert_array_equal(display.lines_[0].lines[0].get_xdata(), [0.1, 1.0, 10.0])
        assert display.ax_.get_xscale() == "log"
        assert display.ax_.get_ylabel() == "held-out loss (nats)"

    def test_search_in_a_pipeline_and_with_auto(self, table):
        base = SGDClassifier(loss="log_loss", max_iter=2000, tol=1e-6, random_state=0)
        clf = RDIAClassifier(base, signal="confidence", validation_fraction=0.3, random_state=0)
        grid = {"rdiaclassifier__alpha": ["auto", 0.0, 1.0], "rdiaclassifier__base_estimator__alpha": [0.1]}
        search = GridSearchCV(make_pipeline(StandardScaler(), clf), grid, scoring="neg_brier_score", cv=2)
        display = AlphaPathDisplay.from_estimator(search.fit(table.X, table.y))
        np.testing.assert_array_equal(display.alpha, [0.0, 1.0])
        assert display.loss_name == "held-out loss"
        assert display.ax_.get_xscale() == "linear"

    def test_errors(self, table, rounds):
        with pytest.raises(ValueError, match="use RoundsDisplay"):
            AlphaPathDisplay.from_estimator(rounds)
        clf = RDIAClassifier(LogisticRegression(), validation_fraction=0.3, random_state=0)
        search = GridSearchCV(clf, {"alpha": [0.1, 1.0]}, cv=2).fit(table.X, table.y)
        with pytest.raises(ValueError, match="positive scores"):
            AlphaPathDisplay.from_estimator(search)
        search = GridSearchCV(LogisticRegression(), {"C": [1.0]}, scoring="neg_log_loss", cv=2).fit(table.X, table.y)
        with pytest.raises(ValueError, match="over 0 parameters alpha"):
            AlphaPathDisplay.from_estimator(search)


class TestRounds:
    def test_losses_and_changes(self, rounds):
        display = RoundsDisplay.from_estimator(rounds)
        losses = [line["validation_loss"] for line in rounds.history_]
        np.testing.assert_array_equal(display.validation_loss[:-1], losses)
        assert np.isnan(display.validation_loss[-1]) == np.isnan(rounds.history_[-1]["realised_gain"])
        np.testing.assert_array_equal(display.line_.get_ydata(), display.validation_loss)
        assert [bar.get_height() for bar in display.bars_] == [line["n_changed"] for line in rounds.history_]

    def test_last_loss_where_it_was_judged(self, table):
        clf = fitted(table, refit_on="train")
        display = RoundsDisplay.from_estimator(clf)
        first = clf.history_[0]
        np.testing.assert_allclose(
            display.validation_loss, [first["validation_loss"], first["validation_loss"] - first["realised_gain"]]
        )

    def test_without_trusted_rows(self, table):
        clf = RDIAClassifier(LogisticRegression(), cv=3).fit(table.X, table.y)
        assert len(RoundsDisplay.from_estimator(clf).n_changed) == clf.n_iter_

    def test_errors(self, auto):
        with pytest.raises(ValueError, match="AlphaPathDisplay"):
            RoundsDisplay.from_estimator(auto)


class TestNoiseCurves:
    def test_means_and_deviations(self):
        losses = {"one": np.array([[1.0, 3.0], [2.0, 4.0]]), "two": [5.0, 6.0]}
        display = NoiseCurvesDisplay.from_losses([0.0, 0.5], losses)
        np.testing.assert_array_equal(display.mean, [[2.0, 3.0], [5.0, 6.0]])
        np.testing.assert_array_equal(display.deviation, [[1.0, 1.0], [0.0, 0.0]])
        np.testing.assert_array_equal(display.lines_[1].get_ydata(), [5.0, 6.0])
        assert display.bands_[0].get_paths()[0].vertices[:, 1].max() == 4.0
        assert [line.get_label() for line in display.lines_] == ["one", "two"]

    def test_errors(self):
        with pytest.raises(ValueError, match=r"losses\['one'\] has shape \(3,\), expected \(2, n_runs\)"):
            NoiseCurvesDisplay.from_losses([0.0, 0.5], {"one": [1.0, 2.0, 3.0]})
        with pytest.raises(ValueError, match="losses has no method"):
            NoiseCurvesDisplay.from_losses([0.0], {})


class TestLabelTransition:
    def test_given_against_repaired(self, table3):
        clf = fitted(table3)
        display = LabelTransitionDisplay.from_estimator(clf, table3.y)
        np.testing.assert_array_equal(display.after, confusion_matrix(table3.y, clf.relabeled_y_))
        assert display.before is None
        shares = display.after / display.after.sum(axis=1, keepdims=True)
        np.testing.assert_allclose(display.images_[0].get_array(), shares)
        assert display.ax_.texts[1].get_text() == f"{display.after[0, 1]}\n{shares[0, 1]:.0%}"

    def test_right_labels_and_strings(self, table):
        names = np.array(["bad", "good"])
        given, truth, judges = (
            names[np.unique(y, return_inverse=True)[1]] for y in (table.y, table.y_true, table.y_val)
        )
        clf = RDIAClassifier(LogisticRegression(), alpha=0.3).fit(table.X, given, X_val=table.X_val, y_val=judges)
        display = LabelTransitionDisplay.from_estimator(clf, given, y_true=truth)
        np.testing.assert_array_equal(display.before, confusion_matrix(truth, given))
        np.testing.assert_array_equal(display.after, confusion_matrix(truth, clf.relabeled_y_))
        assert [text.get_text() for text in display.axes_[0].get_xticklabels()] == ["bad", "good"]
        assert len(display.axes_) == 2

    def test_dropped_rows_have_a_column(self, table):
        clf = fitted(table, strategy="drop")
        display = LabelTransitionDisplay.from_estimator(clf, table.y)
        assert display.after.shape == (2, 3)
        assert display.after[:, 2].sum() == clf.harmful_mask_.sum()
        assert display.ax_.get_xticklabels()[-1].get_text() == "dropped"

    def test_validation_rows_are_left_out(self, table):
        clf = RDIAClassifier(
            LogisticRegression(), alpha=0.3, refit_on="train", validation_fraction=0.3, random_state=0
        ).fit(table.X, table.y)
        display = LabelTransitionDisplay.from_estimator(clf, table.y)
        assert display.after.shape == (2, 2)
        assert display.after.sum() == (~clf.validation_mask_).sum()

    def test_axes(self):
        _, axes = plt.subplots(1, 2)
        display = LabelTransitionDisplay.from_labels([0, 1], [0, 1], y_true=[0, 1], ax=axes)
        assert list(display.axes_) == list(axes)
        _, ax = plt.subplots()
        display = display.plot(ax=ax)
        assert display.figure_ is ax.figure
        assert not ax.axison
        with pytest.raises(ValueError, match="ax has 3 axes, expected 2"):
            display.plot(ax=plt.subplots(1, 3)[1])

    def test_errors(self, table):
        clf = fitted(table)
        with pytest.raises(ValueError, match="y has 5 rows"):
            LabelTransitionDisplay.from_estimator(clf, table.y[:5])
        with pytest.raises(ValueError, match="y_repaired has 1 labels, expected 2"):
            LabelTransitionDisplay.from_labels([0, 1], [0])


class TestCalibrationComparison:
    def test_binary(self, table):
        clf = fitted(table)
        display = CalibrationComparisonDisplay.from_estimator(clf, table.X_test, table.y_test)
        for i, model in enumerate((clf.base_estimator_, clf.estimator_)):
            p = model.predict_proba(table.X_test)[:, 1]
            true, predicted = calibration_curve(table.y_test, p, pos_label=clf.classes_[1])
            shown = display.counts[i] > 0
            np.testing.assert_allclose(display.prob_true[i, shown], true)
            np.testing.assert_allclose(display.prob_pred[i, shown], predicted)
            error = np.sum(display.counts[i, shown] * np.abs(true - predicted)) / len(table.y_test)
            assert display.calibration_error[i] == pytest.approx(error)
            np.testing.assert_allclose(display.lines_[i].get_xdata(), predicted)
            assert f"{error:.3f}" in display.lines_[i].get_label()
        assert display.calibration_error[1] < display.calibration_error[0]

    def test_top_label(self, table3):
        clf = fitted(table3)
        display = CalibrationComparisonDisplay.from_estimator(clf, table3.X_test, table3.y_test, n_bins=1)
        proba = clf.predict_proba(table3.X_test)
        assert display.prob_pred[1, 0] == pytest.approx(proba.max(axis=1).mean())
        assert display.prob_true[1, 0] == pytest.approx(clf.score(table3.X_test, table3.y_test))

    def test_in_a_pipeline_in_a_search(self, table):
        model = make_pipeline(StandardScaler(), RDIAClassifier(LogisticRegression(), random_state=0))
        search = GridSearchCV(model, {"rdiaclassifier__alpha": [0.1, 1.0]}, cv=2).fit(table.X, table.y)
        display = CalibrationComparisonDisplay.from_estimator(search, table.X_test, table.y_test, n_bins=1)
        assert display.prob_pred[1, 0] == pytest.approx(search.predict_proba(table.X_test)[:, 1].mean())

    def test_errors(self, table):
        clf = fitted(table, model=LinearSVC(), influence_estimator=LogisticRegression())
        with pytest.raises(TypeError, match="has no predict_proba"):
            CalibrationComparisonDisplay.from_estimator(clf, table.X_test, table.y_test)
        with pytest.raises(ValueError, match="n_bins=0"):
            CalibrationComparisonDisplay.from_estimator(clf, table.X_test, table.y_test, n_bins=0)


class TestHarmfulRows:
    @pytest.fixture
    def influences(self, table):
        return influence_matrix(LogisticRegression().fit(table.X, table.y), table.X, table.y, table.X_val, table.y_val)

    def test_table(self, table, influences):
        display = HarmfulRowsDisplay.from_influences(
            influences, table.X, table.y, row=4, X_val=table.X_val, y_val=table.y_val
        )
        np.testing.assert_array_equal(display.rows, np.argsort(-influences[4])[:5])
        np.testing.assert_array_equal(display.influences, np.sort(influences[4])[:-6:-1])
        np.testing.assert_array_equal(display.values, table.X[display.rows])
        np.testing.assert_array_equal(display.judged, table.X_val[4])
        own = (np.vstack([table.X_val[4], display.values]) - table.X.mean(axis=0)) / table.X.std(axis=0)
        np.testing.assert_allclose(display.deviations, own)
        np.testing.assert_allclose(display.images_[0].get_array(), own)
        assert display.ax_.get_yticklabels()[1].get_text().startswith(f"row {display.rows[0]}, label")
        assert "nats" in display.ax_.get_yticklabels()[1].get_text()

    def test_vector_alone_and_rows_of_one_label(self, table, influences):
        phi = np.where(table.y == table.y_val[0], influences[0], np.nan)
        display = HarmfulRowsDisplay.from_influences(phi, table.X, table.y, n_rows=3)
        assert set(display.labels) == {table.y_val[0]}
        assert display.deviations.shape == (3, table.X.shape[1])

    def test_data_frame_with_text(self, table, influences):
        X = pd.DataFrame({"size": table.X[:, 0], "town": np.where(table.X[:, 1] > 0, "Rome", "Oslo")})
        display = HarmfulRowsDisplay.from_influences(influences, X, table.y, row=1)
        assert [text.get_text() for text in display.ax_.get_xticklabels()] == ["size", "town"]
        assert not display.deviations[:, 1].any()
        assert {text.get_text() for text in display.ax_.texts} >= {X["town"][display.rows[0]]}

    @pytest.mark.parametrize("shape", [(2, 3), (1, 2, 3)])
    def test_images(self, shape):
        X = np.random.default_rng(0).random((8, 6)) * 255
        display = HarmfulRowsDisplay.from_influences(
            np.arange(8.0), X, [0, 1] * 4, X_val=X[:2], y_val=[0, 1], n_rows=2, image_shape=shape
        )
        assert display.rows.tolist() == [7, 6]
        assert len(display.images_) == 3
        shown = X[[0, 7, 6]]
        np.testing.assert_allclose(display.images_[1].get_array(), (X[7] / shown.max()).reshape(shape))
        assert [ax.get_title() for ax in display.axes_] == [
            "validation row\nlabel 0",
            "row 7\nlabel 1\n+7 nats",
            "row 6\nlabel 0\n+6 nats",
        ]

    def test_errors(self, table, influences):
        def draw(phi, **params):
            return HarmfulRowsDisplay.from_influences(phi, table.X, table.y, **params)

        with pytest.raises(ValueError, match="influences has shape"):
            draw(influences[:, :5])
        with pytest.raises(ValueError, match="row=150 is not a position in the 150"):
            draw(influences, row=150)
        with pytest.raises(ValueError, match=r"image_shape=\(3, 3\) does not have the 10 numbers"):
            draw(influences, image_shape=(3, 3))
        with pytest.raises(ValueError, match="no finite number"):
            draw(np.full(len(table.y), np.nan))
        with pytest.raises(ValueError, match="n_rows=0"):
            draw(influences, n_rows=0)
        with pytest.raises(ValueError, match="deviations is None"):
            HarmfulRowsDisplay(rows=np.array([0]), influences=np.ones(1), values=table.X[:1], labels=table.y[:1]).plot()


class TestLossCurves:
    @pytest.mark.parametrize("wrap", [lambda net: net, lambda net: make_pipeline(StandardScaler(), net)])
    def test_of_scikit_learn(self, table, wrap):
        net = MLPClassifier((4,), learning_rate_init=0.01, max_iter=1000, random_state=0)
        model = wrap(net).fit(table.X, table.y)
        display = LossCurvesDisplay.from_estimator(model)
        curve = (model if wrap(net) is net else model[-1]).loss_curve_
        np.testing.assert_array_equal(display.lines_[0].get_ydata(), curve)
        assert display.valid_loss is None

    def test_of_the_final_fit(self, table):
        net = MLPClassifier((4,), learning_rate_init=0.01, max_iter=1000, random_state=0)
        clf = fitted(table, model=net)
        np.testing.assert_array_equal(LossCurvesDisplay.from_estimator(clf).train_loss, clf.estimator_.loss_curve_)

    def test_of_skorch(self, table):
        torch, skorch = pytest.importorskip("torch"), pytest.importorskip("skorch")
        torch.manual_seed(0)
        net = skorch.NeuralNetClassifier(
            torch.nn.Linear(table.X.shape[1], 2), criterion=torch.nn.CrossEntropyLoss, max_epochs=4, verbose=0
        )
        net.fit(table.X.astype(np.float32), (table.y == table.y.max()).astype(np.int64))
        display = LossCurvesDisplay.from_estimator(net)
        np.testing.assert_array_equal(display.train_loss, net.history[:, "train_loss"])
        np.testing.assert_array_equal(display.lines_[1].get_ydata(), net.history[:, "valid_loss"])
        assert display.best_.get_xdata()[0] == 1 + np.argmin(display.valid_loss)

    def test_errors(self, table):
        for model in (RandomForestClassifier(3), MLPClassifier((2,), solver="lbfgs", alpha=1.0, max_iter=2000)):
            with pytest.raises(TypeError, match="has no loss_curve_"):
                LossCurvesDisplay.from_estimator(model.fit(table.X, table.y))


def test_given_axes_are_used(table, rounds, auto):
    _, ax = plt.subplots()
    draw = {
        "plane": lambda: InfluencePlaneDisplay.from_estimator(rounds, table.X, table.y, grid_resolution=10, ax=ax),
        "distribution": lambda: InfluenceDistributionDisplay.from_estimator(rounds, ax=ax),
        "candidates": lambda: AlphaPathDisplay.from_estimator(auto, ax=ax),
        "rounds": lambda: RoundsDisplay.from_estimator(rounds, ax=ax),
        "noise": lambda: NoiseCurvesDisplay.from_losses([0.0, 0.1], {"one": [0.1, 0.2]}, ax=ax),
        "labels": lambda: LabelTransitionDisplay.from_estimator(rounds, table.y, ax=ax),
        "calibration": lambda: CalibrationComparisonDisplay.from_estimator(rounds, table.X_test, table.y_test, ax=ax),
        "harmful": lambda: HarmfulRowsDisplay.from_influences(rounds.influences_, table.X, table.y, ax=ax),
        "epochs": lambda: LossCurvesDisplay(train_loss=np.array([2.0, 1.0])).plot(ax=ax),
    }
    for name, make in draw.items():
        display = make()
        assert display.ax_ is ax, name
        assert display.figure_ is ax.figure, name
        assert display.ax_.get_title(), name
        ax.clear()
    assert len(plt.get_fignums()) == 1


def test_arguments_for_matplotlib():
    display = RoundsDisplay(validation_loss=np.array([0.5, 0.4]), n_changed=np.array([3])).plot(color="red")
    assert display.line_.get_color() == "red"
    assert display.plot() is display
