"""The report: what it says of a fit, that the numbers are those of the fit, and that values cannot break out of it."""

import re
import sys
from html.parser import HTMLParser

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import polars as pl
import pytest
from scipy import sparse
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.model_selection import GridSearchCV
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skrdia import RDIAClassifier
from skrdia.plotting import LabelTransitionDisplay
from skrdia.report import summarise
from skrdia.report._copies import copies

NASTY = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "' onmouseover='alert(1)",
    "{{ 7 * 7 }}",
    "{% raw %}",
    "</style><script>",
    "javascript:alert(1)",
    "$\\frac{",
    "a$b$",
    "=HYPERLINK(1)",
    "☃ 标签 \ud800",
    "\x00\x1b[31m",
]


class Page(HTMLParser):
    """The elements, their attributes and the text of a page."""

    def __init__(self, path):
        super().__init__()
        self.elements, self.text = [], ""
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.text += data

    def of(self, tag):
        return [attrs for name, attrs in self.elements if name == tag]


def fit(table, alpha="auto", **params):
    clf = RDIAClassifier(LogisticRegression(), alpha=alpha, random_state=0, **params)
    return clf.fit(table.X, table.y) if clf.cv else clf.fit(table.X, table.y, **table.val)


@pytest.fixture(scope="module")
def auto():
    from tests.conftest import make_table

    table = make_table("breast_cancer", rate=0.2)
    return table, fit(table)


def mean_loss(held_out, name):
    return np.average(held_out[name], weights=held_out["weight"])


def test_held_out_losses_of_the_choice(auto):
    table, clf = auto
    held_out = clf.held_out_
    assert held_out["row"].tolist() == [-1] * len(table.y_val)
    assert held_out["label"].tolist() == table.y_val.tolist()
    nothing = next(line for line in clf.history_ if line["strategy"] == "none")
    assert mean_loss(held_out, "before") == pytest.approx(nothing["loss"])
    told = re.search(r"it gains ([-.\d]+) \(([.\d]+)\)", clf.termination_condition_)
    gain = held_out["before"] - held_out["after"]
    assert float(told[1]) == pytest.approx(gain.mean(), abs=6e-5)
    assert float(told[2]) == pytest.approx(gain.std(ddof=1) / np.sqrt(len(gain)), abs=6e-5)


def test_held_out_losses_with_a_threshold(table):
    trusted = np.arange(len(table.y)) % 3 == 0
    weight = np.linspace(0.5, 2.0, len(table.y))
    clf = RDIAClassifier(LogisticRegression(), alpha=0.3, refit_on="train")
    clf.fit(table.X, table.y, weight, trusted=trusted)
    held_out = clf.held_out_
    assert held_out["row"].tolist() == np.flatnonzero(trusted).tolist()
    for name, model in (("before", clf.base_estimator_), ("after", clf.estimator_)):
        proba = model.predict_proba(table.X[trusted])
        expected = log_loss(table.y[trusted], proba, sample_weight=weight[trusted])
        assert mean_loss(held_out, name) == pytest.approx(expected)
    refitted = RDIAClassifier(LogisticRegression(), alpha=0.3).fit(table.X, table.y, trusted=trusted).held_out_
    assert np.isfinite(refitted["before"]).all()
    assert np.isnan(refitted["after"]).all()  # the final fit was trained on them


def test_trusted_and_outside_rows_are_told_apart(table):
    trusted = np.arange(len(table.y)) % 5 == 0
    clf = RDIAClassifier(LogisticRegression(), alpha=0.3).fit(table.X, table.y, trusted=trusted, **table.val)
    rows = clf.held_out_["row"]
    assert rows.tolist() == [*np.flatnonzero(trusted), *[-1] * len(table.y_val)]
    assert clf.held_out_["label"].tolist() == [*table.y[trusted], *table.y_val]


def test_verdict_of_a_repair(auto):
    table, clf = auto
    summary = summarise(clf)
    n_wrong = clf.harmful_mask_.sum()
    assert summary["verdict"].startswith(f"{n_wrong} of {len(table.y)} labels look wrong; repairing them lowers")
    for key, name in (("loss_before", "before"), ("loss_after", "after")):
        assert summary[key] == pytest.approx(mean_loss(clf.held_out_, name))
        assert f"{summary[key]:.3f}" in summary["verdict"]
    assert f"(standard error {summary['loss_error']:.3f})" in summary["verdict"]
    assert sum(summary["actions"].values()) == len(clf.ledger_)


@pytest.mark.parametrize(
    ("expected", "params"),
    [
        ("no row has a signal above alpha = 1e+06", {"alpha": 1e6}),
        ("promises, to first order, to lower the held-out log loss", {"alpha": 0.3}),
        ("repairing them lowers held-out log loss from", {"alpha": 0.3, "refit_on": "train"}),
        ("what repairing them is worth was not measured", {"cv": 3}),
    ],
)
def test_verdict_by_setting(table, expected, params):
    assert expected in summarise(fit(table, **params))["verdict"]


def test_nothing_worth_changing():
    from tests.conftest import make_table

    table = make_table("breast_cancer", rate=0.0)
    clf = fit(table)
    summary = summarise(clf)
    assert clf.termination_condition_.startswith("do nothing")
    assert summary["verdict"].startswith(
        f"Nothing worth changing among {len(table.y)} labels: no repair is a clear gain"
    )
    assert summary["loss_before"] == summary["loss_after"]
    assert summary["first_rows"] == []


def test_too_few_validation_rows(table):
    clf = RDIAClassifier(LogisticRegression())
    clf.fit(table.X, table.y, X_val=table.X_val[:4], y_val=[0, 1, 0, 1])
    summary = summarise(clf)
    assert "an estimated" in summary["verdict"]
    assert any("4 validation rows are too few" in step for step in summary["steps"])
    assert summary["loss_before"] is None
    assert any("Few validation rows speak for these labels: 0 (2), 1 (2)" in text for text in summary["cautions"])


def test_cautions(table):
    params = {"alpha": 0.3, "validation_fraction": 0.3, "random_state": 0}
    held_out = RDIAClassifier(LogisticRegression(), **params).fit(table.X, table.y)
    assert any("may be wrong as well" in text for text in summarise(held_out)["cautions"])
    assert any("no verified rows" in text for text in summarise(fit(table, cv=3))["cautions"])
    harm = fit(table, alpha=0.0, strategy="random", refit_on="train")
    assert any("does harm" in text for text in summarise(harm)["cautions"])
    assert any("of the labels look wrong" in text for text in summarise(fit(table, alpha=0.0))["cautions"]) == (
        harm.harmful_mask_.mean() > 0.4
    )


def test_an_unfinished_solve_is_said(auto):
    import copy

    clf = copy.copy(auto[1])
    clf.diagnostics_ = clf.diagnostics_ | {"converged": False, "residual": 0.03, "scaled_gradient_norm": 1.0}
    cautions = " ".join(summarise(clf)["cautions"])
    assert "relative residual 0.03" in cautions
    assert "not at the optimum" in cautions


def test_effects_by_class_and_group(auto):
    table, clf = auto
    groups = np.where(np.arange(len(table.y)) < 100, "old", "new").astype(object)
    groups[:3] = None
    summary = summarise(clf, groups=groups)
    by_class = {line["name"]: line for line in summary["classes"]}
    for label in (0, 1):
        own = table.y == label
        line = by_class[str(label)]
        assert (line["n_rows"], line["n_wrong"]) == (own.sum(), clf.harmful_mask_[own].sum())
        judged = clf.held_out_["label"] == label
        assert line["loss"].before == pytest.approx(clf.held_out_["before"][judged].mean())
        assert line["n_validation"] == judged.sum()
    flips = ((table.y == 0) & (clf.relabeled_y_ == 1)).sum()
    assert by_class["0"]["commonest"] == f"0 → 1: {flips}"
    by_group = {line["name"]: line for line in summary["groups"]}
    assert list(by_group) == ["new", "old", "(missing)"]
    assert by_group["old"]["n_rows"] == 97
    assert by_group["old"]["n_wrong"] == clf.harmful_mask_[3:100].sum()
    assert np.isnan(by_group["old"]["loss"].before)  # no validation row has a group


def test_loss_by_group_of_trusted_rows(table):
    trusted = np.arange(len(table.y)) % 3 == 0
    groups = np.arange(len(table.y)) % 2
    clf = RDIAClassifier(LogisticRegression(), alpha=0.3, refit_on="train").fit(table.X, table.y, trusted=trusted)
    for line in summarise(clf, groups=groups)["groups"]:
        own = groups[trusted] == int(line["name"])
        assert line["loss"].after == pytest.approx(clf.held_out_["after"][own].mean())


@pytest.mark.parametrize("make", [np.asarray, pd.DataFrame, sparse.csr_array, lambda X: pl.DataFrame(X)])
def test_first_rows_have_their_features(table, make):
    X = make(table.X)
    clf = RDIAClassifier(LogisticRegression(), alpha=0.3).fit(X, table.y, **(table.val | {"X_val": make(table.X_val)}))
    lines = summarise(clf, X, n_rows=3)["first_rows"]
    assert [line["row"] for line in lines] == clf.ledger_.suggest(3)["row"].tolist()
    for line in lines:
        shown = [value for _, value in line["features"]]
        assert shown == [f"{value:.4g}" for value in table.X[line["row"]][: len(shown)]]
        assert len(shown) + line["more"] == table.X.shape[1]


def test_stored_zeros_are_neither_shown_nor_removed(table):
    X = sparse.csr_array(table.X)
    X.data[::2] = 0.0
    clf = RDIAClassifier(LogisticRegression(), alpha=0.3).fit(X, table.y, **table.val)
    n_stored = X.nnz
    lines = summarise(clf, X, n_rows=len(table.y))["first_rows"]
    assert all(value != "0" for line in lines for _, value in line["features"])
    assert X.nnz == n_stored


def test_rows_have_the_callers_names(auto):
    table, clf = auto
    key = [f"patient {i}" for i in range(len(table.y))]
    raw = pd.DataFrame({"town": ["x" * 200] * len(table.y), "age": 1.0})
    line = summarise(clf, raw, key=key, n_rows=1)["first_rows"][0]
    assert line["name"] == f"patient {line['row']}"
    assert line["features"] == [("town", "x" * 79 + "…"), ("age", "1")]


def test_what_it_is_of(table):
    pipeline = make_pipeline(StandardScaler(), RDIAClassifier(LogisticRegression(), alpha=0.3, random_state=0))
    search = GridSearchCV(pipeline, {"rdiaclassifier__alpha": [0.3]}, cv=2).fit(table.X, table.y)
    expected = summarise(search.best_estimator_[-1])["verdict"]
    assert summarise(search)["verdict"] == summarise(search.best_estimator_)["verdict"] == expected
    with pytest.raises(TypeError, match="Pass a fitted RDIAClassifier"):
        summarise(LogisticRegression().fit(table.X, table.y))


@pytest.mark.parametrize(
    ("message", "arguments"),
    [
        (r"X has 3 rows, but the estimator was fitted on 300", {"X": np.zeros((3, 2))}),
        (r"groups has shape \(3,\), expected \(300,\)", {"groups": [1, 2, 3]}),
        (r"values has shape \(3,\), expected 300", {"key": [1, 2, 3]}),
        (r"n_rows=0: expected a positive integer", {"n_rows": 0}),
    ],
)
def test_bad_arguments(auto, tmp_path, message, arguments):
    with pytest.raises(ValueError, match=message):
        auto[1].report(tmp_path / "audit.html", **arguments)
    assert list(tmp_path.iterdir()) == []


def test_files_that_cannot_be_written(auto, tmp_path):
    _, clf = auto
    (tmp_path / "file").write_text("mine")
    for write in (clf.report, clf.ledger_.to_csv, clf.ledger_.to_json, clf.ledger_.to_parquet):
        with pytest.raises(FileNotFoundError, match=r"away/x cannot be written: there is no folder .*away\. Make it"):
            write(tmp_path / "away" / "x")
        with pytest.raises(NotADirectoryError, match=r"file/x cannot be written: .*file is a file, not a folder"):
            write(str(tmp_path / "file" / "x"))
        with pytest.raises(IsADirectoryError, match=r"is a folder\. Name a file in it"):
            write(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_the_page(auto, tmp_path):
    table, clf = auto
    path = tmp_path / "audit.html"
    clf.report(path, table.X, groups=np.arange(len(table.y)) % 3, title="My audit")
    page, summary = Page(path), summarise(clf)
    assert summary["verdict"] in page.text
    for text in [*summary["cautions"], *summary["steps"], *summary["versions"]]:
        assert text in page.text
    assert page.text.index(summary["verdict"]) < page.text.index("Rows to look at first") < page.text.index("By label")
    assert page.text.count("held-out loss") >= 1
    assert len(page.of("img")) == 3
    assert all(image["alt"] and image["src"].startswith("data:image/svg+xml;base64,") for image in page.of("img"))
    assert plt.get_fignums() == []
    first = path.read_bytes()
    clf.report(path, table.X, groups=np.arange(len(table.y)) % 3, title="My audit")
    assert path.read_bytes() == first  # nothing of time or chance
    assert [file.name for file in tmp_path.iterdir()] == ["audit.html"]


@pytest.mark.parametrize("params", [{"alpha": 0.3, "max_iter": 3}, {"alpha": 1e6}, {"cv": 3}, {"alpha": 0.3, "cv": 3}])
def test_the_page_by_setting(table, tmp_path, params):
    clf = fit(table, **params)
    clf.report(tmp_path / "audit.html")
    assert summarise(clf)["verdict"] in Page(tmp_path / "audit.html").text


def test_another_base_estimator(table, tmp_path):
    clf = RDIAClassifier(GaussianNB(), influence_estimator=LogisticRegression(), alpha=0.3)
    clf.fit(table.X, table.y, **table.val).report(tmp_path / "audit.html")
    assert "GaussianNB" in Page(tmp_path / "audit.html").text


def test_many_classes(tmp_path):
    rng = np.random.default_rng(0)
    y = np.repeat(np.arange(40), 6)
    X = np.eye(40)[y] + 0.1 * rng.standard_normal((len(y), 40))
    clf = RDIAClassifier(LogisticRegression(), alpha=0.5, random_state=0).fit(X, y)
    clf.report(tmp_path / "audit.html")
    assert "… 10 more" in Page(tmp_path / "audit.html").text


def test_values_of_the_table_cannot_break_out(tmp_path):
    rng = np.random.default_rng(0)
    X = pd.DataFrame(rng.standard_normal((240, 3)), columns=["plain", NASTY[0], NASTY[1]])
    names = np.array(NASTY, dtype=object)[[0, 1]]
    right = names[(X["plain"] > 0).astype(int)]
    y = right.copy()
    y[::5] = names[::-1][(X["plain"] > 0).astype(int)][::5]
    trusted = np.arange(240) % 2 == 1
    y[trusted] = right[trusted]
    clf = RDIAClassifier(LogisticRegression(), random_state=0).fit(X, y, trusted=trusted)
    assert clf.harmful_mask_.sum() >= 12
    with pd.option_context("mode.string_storage", "python"):  # strings of pyarrow hold no lone surrogates
        shown = pd.DataFrame({f"{text}{i}": [text] * 240 for i, text in enumerate(NASTY)})
    path = tmp_path / "audit.html"
    clf.report(path, shown, key=[f"{NASTY[i % len(NASTY)]}{i}" for i in range(240)], groups=NASTY * 20, title=NASTY[0])
    page = Page(path)
    for text in NASTY[:10]:
        assert text in page.text
    assert page.of("script") == []
    assert all(not name.startswith("on") for _, attrs in page.elements for name in attrs)
    loaded = [attrs.get("src") or attrs.get("href") for _, attrs in page.elements]
    assert all(uri is None or uri.startswith("data:") for uri in loaded)
    assert len(page.of("img")) == 3
    notebook = clf._repr_html_()
    assert NASTY[0] not in notebook
    assert "<img" not in notebook.split("<style")[0]


def test_a_label_is_no_formula(table):
    labels = np.array(["a$\\frac{$", "$$"], dtype=object)
    y = labels[(table.y > 0).astype(int)]
    display = LabelTransitionDisplay.from_labels(y, y)
    display.figure_.canvas.draw()
    shown = [tick.get_text() for tick in display.ax_.get_yticklabels()]
    assert shown == [r"\$\$", r"a\$\frac{\$"]
    plt.close("all")


def test_notebook_shows_the_verdict_above_the_diagram(auto):
    _, clf = auto
    shown = clf._repr_mimebundle_()["text/html"]
    assert shown.index(summarise(clf)["verdict"]) < shown.index("sk-top-container")
    unfitted = RDIAClassifier(LogisticRegression())
    assert "sk-top-container" in unfitted._repr_html_()
    assert "verdict" not in unfitted._repr_html_()


@pytest.mark.parametrize("name", ["jinja2", "matplotlib"])
def test_missing_package(auto, tmp_path, monkeypatch, name):
    monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.setattr("skrdia.report._page.find_spec", lambda module: None if module == name else object())
    with pytest.raises(ImportError, match=rf"A report needs {name}: pip install 'skrdia\[report\]'"):
        auto[1].report(tmp_path / "audit.html")
    assert auto[1]._repr_html_()  # a notebook needs neither


def test_a_failing_write_leaves_nothing(auto, tmp_path):
    with pytest.raises(OSError, match="there is no folder"):
        auto[1].report(tmp_path / "no folder" / "audit.html")
    folder = tmp_path / "audit.html"
    folder.mkdir()
    with pytest.raises(OSError):
        auto[1].report(folder)
    assert [file.name for file in tmp_path.iterdir()] == ["audit.html"]


COPIED = np.array([[1.0, 0.0], [2.0, np.nan], [1.0, -0.0], [3.0, 4.0], [2.0, np.nan], [1.0, 0.0]])


@pytest.mark.parametrize(
    "make",
    [
        np.array,
        np.asfortranarray,
        sparse.csr_array,
        sparse.coo_matrix,
        lambda X: np.array(X, dtype=object),
        lambda X: X.tolist(),
        lambda X: pd.DataFrame(X, columns=["a", "b"]),
        lambda X: pl.DataFrame(X, schema=["a", "b"]),
    ],
)
def test_copies(make):
    found = copies(make(COPIED), ["x", "y", "x", "x", "z", "x"], ["r0", "r1", "r2", "r3", "r4", "r5"])
    assert found == {
        "n_rows": 5,
        "n_sets": 2,
        "n_mixed": 1,
        "sets": [
            {"names": ["r1", "r4"], "n_rows": 2, "labels": [("y", 1), ("z", 1)]},
            {"names": ["r0", "r2", "r5"], "n_rows": 3, "labels": [("x", 3)]},
        ],
    }


@pytest.mark.parametrize("X", [np.eye(3), np.zeros((3, 0)), np.array([[[]]] * 3), pd.DataFrame({"a": [[1], [1], [2]]})])
def test_no_copies(X):
    assert copies(X, [0, 1, 0], range(3)) is None


def test_notes_and_the_name_of_the_key(table, auto, tmp_path):
    key = pd.Series(np.arange(len(table.y)), name="case <1>")
    auto[1].report(tmp_path / "audit.html", table.X, key=key, notes=["Read <with> care."])
    page = (tmp_path / "audit.html").read_text(encoding="utf-8")
    assert "<li>Read &lt;with&gt; care.</li>" in page
    assert '<th scope="col">case &lt;1&gt;</th>' in page
