"""The page in a real Chromium: what it shows, keeps in its address, exports and never does."""

from __future__ import annotations

import csv
import io
import json
from xml.etree import ElementTree

import pytest
from browser import PROGRAM, Browser
from pages import FIRST, OTHER, answered, board, rows
from records import finished

from glue_harness.cli import main
from glue_harness.runs.store import Store

pytestmark = pytest.mark.skipif(not PROGRAM, reason="needs Chromium, as in apt-get install chromium")
VIEWS = (
    "view=board",
    "view=runs",
    "view=run&run={first}",
    "view=compare&a={first}&b={other}",
    "view=many",
    "view=run&run=no",
)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A page of two systems' answers beside boards, and the ids of these runs."""
    folder = tmp_path_factory.mktemp("page")
    results, page = str(folder / "results"), folder / "page.html"
    board(Store(results))

    def glue(*arguments):
        out = io.StringIO()
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("GLUE_RESULTS", results)
            patch.setattr("sys.stdout", out)
            main([str(argument) for argument in arguments])
        return 0, out.getvalue(), ""

    data = rows(folder / "data")
    runs = [answered(glue, data, answers, name) for answers, name in ((FIRST, "first"), (OTHER, "other"))]
    glue("report", "glue", *runs, "--out", page)
    return page, runs


@pytest.fixture(scope="module")
def browser():
    found = Browser()
    yield found
    found.close()


@pytest.fixture
def at(made, browser):
    """Opens the page at an address within it; at the end nothing was complained of, asked for, or run."""
    page, (first, other) = made
    browser.screen(1280)
    browser.console.clear()
    browser.requests.clear()

    def open_at(address=""):
        browser.open(page, "#" + address.format(first=first, other=other))
        return browser

    yield open_at
    assert browser.console == []
    assert {address.partition(":")[0] for address in browser.requests} <= {
        "file",
        "about",
        "blob",
        "data",
    }  # of itself, or within it
    assert not browser.run("window.hacked")


def texts(browser, selector):
    return browser.run(f"[...document.querySelectorAll({json.dumps(selector)})].map(e => e.textContent)")


def choose(browser, selector, value):
    """A value as a user gives it to a control."""
    browser.run(
        f"{{const e = document.querySelector({json.dumps(selector)}); e.value = {json.dumps(value)};"
        "e.dispatchEvent(new Event(e.tagName === 'SELECT' ? 'change' : 'input', {bubbles: true}))}"
    )
    browser.settle()


def click(browser, selector):
    browser.run(f"document.querySelector({json.dumps(selector)}).click()")
    browser.settle()


def saved(browser, button):
    """What a button saves, as text."""
    browser.run(
        "window.saved = null; URL.createObjectURL = (blob) => { blob.text().then((text) => { window.saved = text }); return '#' }"
    )
    browser.run(f"{button}.click()")
    browser.wait("window.saved !== null")
    return browser.run("window.saved")


DEMO = "view=board&board=glue-demo"
ROW_NAMES = ".board tbody th"


def test_rows_are_sorted_by_any_column_and_missing_values_come_last(at):
    page = at(DEMO)
    ranked = texts(page, ROW_NAMES)
    assert [text.split(",")[0] for text in texts(page, ".board td.number:nth-child(2)")] == ["1=", "1=", "3", "–"]
    click(page, "#sort-average")
    assert page.run("document.querySelector('[aria-sort]').textContent.trim()").startswith("Average")
    assert page.run("document.activeElement.id || 'sort-average'") == "sort-average"
    falling = texts(page, ROW_NAMES)
    click(page, "#sort-average")
    rising = texts(page, ROW_NAMES)
    assert falling == ranked
    assert rising == [*reversed(ranked[:3]), ranked[3]]


def test_the_address_holds_what_is_shown_and_brings_it_back(at):
    page = at(DEMO)
    choose(page, "#menu-method", "lora")
    click(page, "#column-rte\\.accuracy")
    click(page, "#sort-name")
    shown, address = texts(page, ".board"), page.run("location.hash.slice(1)")
    assert {"method=lora", "sort=name", "board=glue-demo"} <= set(address.split("&"))
    assert len(texts(page, ROW_NAMES)) == 1
    assert "RTE" not in " ".join(texts(page, ".board thead th"))
    assert texts(at(address), ".board") == shown
    assert page.run("document.querySelector('#menu-method').value") == "lora"


def test_words_find_rows_and_typing_keeps_the_caret(at):
    page = at(DEMO)
    page.run("document.querySelector('#search-q').focus()")
    choose(page, "#search-q", "LORA tiny")
    assert len(texts(page, ROW_NAMES)) == 1
    assert page.run("document.activeElement.id") == "search-q"
    choose(page, "#search-q", "nothing of that name")
    assert texts(page, ".board caption")[0].startswith("0 of 4 rows")


def test_a_long_board_is_drawn_in_full_on_request(tmp_path, browser):
    store = Store(tmp_path / "results")
    for k in range(53):
        finished(store, shift=-k / 10, lr=1e-4 * (k + 1))
    main(["report", "--results", str(store.folder), "--out", str(tmp_path / "page.html")])
    browser.open(tmp_path / "page.html")
    assert len(texts(browser, ROW_NAMES)) == 40
    click(browser, "#all-rows")
    assert len(texts(browser, ROW_NAMES)) == 53
    assert not browser.run("document.querySelector('#all-rows')")


def test_published_rows_stand_on_the_real_board_only_and_on_request(at):
    page = at("view=board&board=glue")
    assert len(texts(page, ROW_NAMES)) == 3
    click(page, "#switch-published")
    marked = texts(page, ".board tr.published th")
    assert len(marked) > 10
    assert all(text.endswith("published") for text in marked)
    click(page, "#sort-rank")
    assert page.run("document.querySelector('.board tbody tr').className") != "published"
    assert not at(DEMO).run("document.querySelector('#switch-published')")


def test_the_table_as_shown_is_exported(at):
    page = at(DEMO + "&method=lora&columns=rank name average method")
    exported = saved(page, "document.querySelector('#csv')")
    (row,) = list(csv.DictReader(io.StringIO(exported)))
    assert row["Rank"] == "3"
    assert row["Method"] == "lora"
    assert float(row["Average"]) == pytest.approx(42.0)
    assert float(row["Average low"]) < 42 < float(row["Average high"])


def test_examples_that_one_run_fixed_broke_or_both_missed(at):
    page = at("view=compare&a={first}&b={other}")
    assert texts(page, ".chip") == ["3 A wrong, B right", "0 A right, B wrong", "1 both wrong", "2 both right"]
    assert len(texts(page, "article")) == 4
    choose(page, "#menu-kind", "fixed")
    assert sorted(texts(page, "article h3 a")) == ["example 1", "example 4", "example 5"]
    choose(page, "#search-text", "CATS")
    assert sorted(texts(page, "article h3 a")) == ["example 1", "example 5"]
    choose(page, "#menu-answer", "(invalid)")
    assert texts(page, "article h3 a") == ["example 5"]
    assert "(not a valid answer)" in texts(page, "article")[0]
    address = page.run("document.querySelector('article h3 a').hash.slice(1)")
    assert texts(at(address), "article h3 a") == ["example 5"]
    swapped = at("view=compare&a={other}&b={first}")
    assert texts(swapped, ".chip")[:2] == ["0 A wrong, B right", "3 A right, B wrong"]


def test_rows_are_filtered_by_tag_and_family(at):
    page = at(DEMO)
    everything = len(texts(page, ROW_NAMES))
    choose(page, "#menu-tag", "lora")
    (name,) = texts(page, ROW_NAMES)
    assert "lora" in name
    assert "tag=lora" in page.run("location.hash")
    choose(page, "#menu-tag", "")
    assert len(texts(page, ROW_NAMES)) == everything
    page = at(DEMO + "&family=none-of-these")
    assert texts(page, ROW_NAMES) == []


def test_a_run_leads_to_what_it_started_from_and_back(at):
    page = at("view=runs&tag=lora")
    (parent,) = texts(page, "tbody th")
    click(page, "tbody th a")
    assert "starts for" in texts(page, "tbody th")
    click(page, "td a[href*='view=run&']")
    rows = dict(
        page.run(
            "[...document.querySelectorAll('tbody tr')].map(r => [...r.cells].slice(0, 2).map(c => c.textContent))"
        )
    )
    assert rows["started from"].strip() == parent


def test_profiles_are_drawn_a_line_a_row(at):
    page = at("view=many&board=glue-demo")
    page.wait("document.querySelectorAll('.plot svg').length > 1")
    (figure,) = page.run(
        "[...document.querySelectorAll('figure')].filter(f => f.textContent.includes('Performance profiles'))"
        ".map(f => f.querySelectorAll('polyline').length)"
    )
    assert figure == 3


def test_what_nothing_beats_is_on_the_front(at):
    page = at("view=many&board=glue-demo&cost=seconds")
    page.wait("!!document.querySelector('.plot svg')")
    rows_of = (
        "[...document.querySelector('figure table').tBodies[0].rows].map(r => [...r.cells].map(c => c.textContent))"
    )
    found = page.run(rows_of)
    assert [(row[1], row[3]) for row in found] == [("2.0 s", "yes"), ("5.0 s", "yes"), ("13 s", "")]
    assert page.run("document.querySelectorAll('.on-front').length") == 2
    assert texts(page, "h2") == ["Ranks over tasks"]


def test_a_run_shows_its_plan_its_confusion_and_its_provenance(at):
    page = at("view=run&run={first}")
    assert texts(page, "h2")[:5] == ["Scores", "Answers", "Plan", "Provenance", "Data"]
    cells = page.run(
        "[...document.querySelectorAll('.confusion tbody tr')].map(r => [...r.cells].map(c => c.textContent))"
    )
    assert [row[:4] for row in cells] == [["entailment", "1", "2", "0"], ["not_entailment", "1", "1", "1"]]
    assert "first" in texts(page, "pre")[0]
    assert "ECE" in texts(page, "main")[0]


def test_a_chart_is_saved_as_a_drawing_that_stands_alone(at):
    page = at("view=run&run={first}")
    page.wait("!!document.querySelector('.plot svg')")
    text = saved(page, "[...document.querySelectorAll('.tools button')].find(b => b.textContent === 'SVG')")
    assert ElementTree.fromstring(text).tag == "{http://www.w3.org/2000/svg}svg"
    assert "var(" not in text


@pytest.mark.parametrize("view", VIEWS)
def test_every_view_fits_a_phone_light_and_dark(at, browser, view):
    for dark in (False, True):
        browser.screen(360, dark=dark)
        page = at(view)
        assert page.run("document.documentElement.scrollWidth <= document.documentElement.clientWidth"), dark
        paper = page.run("getComputedStyle(document.body).backgroundColor")
        assert (sum(map(int, paper[4:-1].split(","))) < 200) is dark
        assert len(texts(page, "h1")) == 1


def test_colours_are_chosen_in_the_page(at):
    page = at(DEMO)
    choose(page, "#theme", "dark")
    assert page.run("getComputedStyle(document.documentElement).colorScheme") == "dark"
    assert "theme=dark" in page.run("location.hash")
    click(page, "header nav a:nth-child(2)")
    page.wait("document.querySelector('h1').textContent === 'Runs'")
    assert page.run("getComputedStyle(document.documentElement).colorScheme") == "dark"


CONTRAST = """
(() => {
  const context = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const over = (colours) => { context.clearRect(0, 0, 1, 1); for (const c of colours) { context.fillStyle = c; context.fillRect(0, 0, 1, 1); } return [...context.getImageData(0, 0, 1, 1).data].slice(0, 3); };
  const light = (rgb) => rgb.map((v) => v / 255).map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)).reduce((sum, v, k) => sum + v * [0.2126, 0.7152, 0.0722][k], 0);
  const behind = (e) => (e ? [...behind(e.parentElement), getComputedStyle(e).backgroundColor] : ["white"]);
  const poor = [];
  for (const e of document.querySelectorAll("body *")) {
    if (![...e.childNodes].some((n) => n.nodeType === 3 && n.data.trim()) || !e.checkVisibility() || e.disabled || e.closest("svg, script, .skip")) continue;
    const paper = behind(e), [a, b] = [light(over(paper)), light(over([...paper, getComputedStyle(e).color]))];
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (ratio < 4.5) poor.push(`${e.tagName}.${e.className} ${ratio.toFixed(2)} ${e.textContent.slice(0, 30)}`);
  }
  return poor;
})()
"""


@pytest.mark.parametrize("view", VIEWS)
def test_every_text_can_be_read_light_and_dark(at, browser, view):
    for dark in (False, True):
        browser.screen(1280, dark=dark)
        assert at(view).run(CONTRAST) == [], dark


NAMELESS = """
[...document.querySelectorAll("a, button, input, select, summary, [tabindex='0']")].filter((e) => e.checkVisibility()
  && !(e.textContent.trim() || e.getAttribute("aria-label") || e.labels?.length)).map((e) => e.outerHTML.slice(0, 120))
"""


@pytest.mark.parametrize("view", VIEWS)
def test_every_control_has_a_name_and_every_table_a_caption(at, view):
    page = at(view)
    assert page.run(NAMELESS) == []
    assert page.run("[...document.querySelectorAll('table')].filter(t => !t.caption?.textContent).length") == 0
    headings = "[...document.querySelectorAll('thead th')].filter(t => t.scope !== 'col' || !t.textContent.trim())"
    assert page.run(f"{headings}.length") == 0
    assert page.run("document.querySelectorAll('[role=img] a').length") == 0  # a picture has no parts to reach
    assert page.run("new Set([...document.querySelectorAll('[id]')].map(e => e.id)).size") == page.run(
        "document.querySelectorAll('[id]').length"
    )


def test_a_sweep_shows_what_each_setting_did(tmp_path, browser):
    """Two rates by two methods; the winner's fresh seeds chose nothing, so they are no part of it."""
    store = Store(tmp_path / "results")
    for lr, method, value in ((1e-4, "full", 60.0), (1e-3, "full", 70.0), (1e-3, "lora", 80.0)):
        for seed, stage in ((0, f"lr {lr}"), (1, "final")):
            plan = {"tasks": ("rte",), "seed": seed, "lr": lr, "method": method}
            record = finished(store, {"rte": {"accuracy": 50.0}}, **plan)
            record.stage = f"sweep of 0123456789ab: {stage}"
            record.history = {"rte": [(1, {"accuracy": value - 30}), (2, {"accuracy": value - 20 * seed})]}
            store.save(record)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.stdout", io.StringIO())
        main(["report", "--results", str(tmp_path / "results"), "--out", str(tmp_path / "page.html")])
    browser.open(tmp_path / "page.html", "#view=sweeps")
    assert browser.run("document.querySelectorAll('figure').length") == 2
    assert browser.run("[...document.querySelectorAll('figure circle')].length") == 6
    cells = "[...document.querySelectorAll('section tbody tr')].map((row) => row.firstChild.textContent)"
    assert browser.run(cells) == ["80.00", "70.00", "60.00"]
    assert browser.console == []
