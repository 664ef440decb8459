"""The page before axe-core: no serious finding in any view, light and dark, wide and narrow.

axe-core is too large to keep here: AXE names its axe.min.js, else it is looked for where npm puts it.
"""

import json
import os
from pathlib import Path

import pytest
from browser import PROGRAM, Browser
from conftest import ROOT
from pages import FIRST, OTHER, answered, board, rows
from records import runner

from glue_harness.runs.store import Store

PLACES = (
    os.environ.get("AXE", ""),
    ROOT / "node_modules/axe-core/axe.min.js",
    "/usr/lib/node_modules/axe-core/axe.min.js",
)
AXE = next((Path(place) for place in PLACES if place and Path(place).is_file()), None)
pytestmark = [
    pytest.mark.skipif(PROGRAM is None, reason="needs Chromium"),
    pytest.mark.skipif(AXE is None, reason="needs axe-core: npm install axe-core, or AXE=.../axe.min.js"),
]
VIEWS = (
    "view=board&board=glue-demo",
    "view=board&board=glue&published=1",
    "view=runs",
    "view=run&run={first}",
    "view=compare&a={first}&b={other}",
    "view=many&board=glue-demo",
)


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    import io
    from contextlib import redirect_stderr, redirect_stdout
    from types import SimpleNamespace

    folder = tmp_path_factory.mktemp("axe")
    store = Store(folder / "results")

    def call(*arguments):
        out, err = io.StringIO(), io.StringIO()
        capsys = SimpleNamespace(readouterr=lambda: SimpleNamespace(out=out.getvalue(), err=err.getvalue()))
        with redirect_stdout(out), redirect_stderr(err):
            return runner(capsys)(*arguments, "--results", store.folder)

    rows(folder)
    first, other = (answered(call, folder, answers, name) for answers, name in ((FIRST, "first"), (OTHER, "other")))
    board(store)
    code, _, err = call("report", "--out", folder / "page.html")
    assert code == 0, err
    return folder / "page.html", {"first": first, "other": other}


@pytest.fixture(scope="module")
def browser():
    made = Browser()
    yield made
    made.close()


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1280])
@pytest.mark.parametrize("view", VIEWS)
def test_no_serious_finding(page, browser, view, width, theme):
    file, names = page
    browser.screen(width)
    browser.open(file, f"#{view.format(**names)}&theme={theme}")
    browser.settle()
    browser.ask("Page.setBypassCSP", enabled=True)
    browser.run(AXE.read_text(encoding="utf-8") + ";0")
    told = "[r.passes.length, r.violations.map(v => [v.impact, v.id, v.nodes[0].html])]"
    passed, found = json.loads(browser.run(f"axe.run().then(r => JSON.stringify({told}))"))
    assert passed > 10  # it did look
    assert [violation for violation in found if violation[0] in ("serious", "critical")] == []


def test_it_does_find_what_is_wrong(page, browser):
    browser.open(page[0], "#view=runs")
    browser.ask("Page.setBypassCSP", enabled=True)
    browser.run(AXE.read_text(encoding="utf-8") + ";0")
    browser.run("document.querySelector('main').append(document.createElement('button'))")
    assert "button-name" in browser.run("axe.run().then(r => r.violations.map(v => v.id))")
