"""The report in a real browser: nothing on the console, and no sideways scrolling on a phone or a desktop."""

import json
import re
import shutil
import subprocess

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from skrdia import RDIAClassifier
from tests.conftest import make_table

CHROMIUM = next(
    (path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), ""
)
OPTIONS = [
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
    *("--allow-file-access-from-files", "--enable-logging=stderr", "--virtual-time-budget=5000", "--dump-dom"),
]
PHONE, DESKTOP = 390, 1280

pytestmark = pytest.mark.skipif(not CHROMIUM, reason="needs Chromium, such as Debian's package chromium")

LOOK = """<!DOCTYPE html><body><iframe src="{page}" style="width: {width}px; height: 800px; border: 0"></iframe><script>
document.querySelector("iframe").onload = event => {{
  const view = event.target.contentWindow, page = view.document, first = page.querySelector("#rows ~ table tbody tr");
  document.body.textContent = "seen" + JSON.stringify({{
    width: page.documentElement.scrollWidth,
    verdict: page.querySelector("h1").textContent,
    size: parseFloat(view.getComputedStyle(page.querySelector("td")).fontSize),
    first: first ? first.getBoundingClientRect().top : null,
    broken: [...page.images].filter(image => !image.naturalWidth).length,
    images: page.images.length,
  }}) + "end";
}}</script></body>"""


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    table = make_table("breast_cancer", rate=0.2)
    X = pd.DataFrame(table.X).add_prefix("a_long_name_of_a_column_without_any_space_in_it_number_")
    X["note"] = "an address without any space: " + "x" * 300
    y = np.array(["benign", "a_label_with_a_very_long_name_" + "y" * 60])[(table.y > 0).astype(int)]
    y_val = np.array(["benign", "a_label_with_a_very_long_name_" + "y" * 60])[(table.y_val > 0).astype(int)]
    clf = RDIAClassifier(LogisticRegression(), random_state=0).fit(table.X, y, X_val=table.X_val, y_val=y_val)
    path = tmp_path_factory.mktemp("report") / "audit.html"
    clf.report(path, X, groups=np.arange(len(y)) % 4)
    return path


def look(page, width):
    """What a browser sees of the page in a window of this width, and what it writes to the console."""
    wrapper = page.with_name(f"look_{width}.html")
    wrapper.write_text(LOOK.format(page=page.name, width=width), encoding="utf-8")
    profile = page.with_name(f"profile_{width}")
    command = [CHROMIUM, *OPTIONS, f"--user-data-dir={profile}", f"--window-size={width + 100},900", wrapper.as_uri()]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    seen = re.search("seen(.*)end", ran.stdout)
    assert seen, ran.stderr
    return json.loads(seen[1]), [line for line in ran.stderr.splitlines() if "CONSOLE" in line]


@pytest.mark.parametrize("width", [PHONE, DESKTOP])
def test_it_renders(page, width):
    seen, console = look(page, width)
    assert console == []
    assert seen["width"] <= width
    assert "labels look wrong" in seen["verdict"]
    assert seen["size"] >= 12
    assert (seen["images"], seen["broken"]) == (3, 0)
    assert 0 < seen["first"] < 800  # the first row to look at is on the first screen


def test_the_console_is_read(page):
    broken = page.with_name("broken.html")
    broken.write_text(page.read_text(encoding="utf-8").replace("<main>", "<main><script>boom()</script>"), "utf-8")
    seen, console = look(broken, DESKTOP)
    assert len(console) == 1  # the page's own policy lets no script run
    assert "Content Security Policy" in console[0]
    assert seen["images"] == 3


def test_the_short_form_renders(page):
    table = make_table("iris", rate=0.2)
    X = StandardScaler().fit_transform(table.X)
    clf = RDIAClassifier(LogisticRegression(), alpha=0.3).fit(X, table.y, **table.val)
    notebook = page.with_name("notebook.html")
    body = f"<!DOCTYPE html><body><h1>x</h1><table><tr><td>x</td></tr></table>{clf._repr_html_()}</body>"
    notebook.write_text(body, encoding="utf-8")
    seen, console = look(notebook, DESKTOP)
    assert console == []
    assert seen["width"] <= DESKTOP
