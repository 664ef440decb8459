"""Pictures for papers: the same shapes as SVG, PNG and PDF; nothing outside the sheet, nothing by colour alone."""

import re
import sys
from xml.etree import ElementTree

import pytest
from records import GLUE, finished, runner

from glue_harness.core.task import Prediction
from glue_harness.report.curves import Chart, Curve, Point
from glue_harness.report.plots import files
from glue_harness.report.plots.intervals import Interval, Intervals, draw_intervals
from glue_harness.report.plots.lines import draw_lines
from glue_harness.report.plots.sheet import COLORS, MARGIN, Mark, Stroke, Words, shortened, style_of, width_of
from glue_harness.runs.store import Store
from glue_harness.suite.registry import load_tasks

SVG = "{http://www.w3.org/2000/svg}"
CHART = Chart(
    "RTE",
    "steps",
    "score",
    tuple(Curve(f"recipe {k}", (Point(1, 50.0 + k), Point(9, 60.0 + k, 1.0))) for k in range(9)),
)
FOREST = Intervals(
    "difference to a",
    ("b", "a much longer name of a recipe"),
    (
        ("RTE", (Interval(1.0, -1.0, 3.0, True), Interval(5.0, 4.0, 6.0))),
        ("a long label " * 9, (None, Interval(-2.0))),
    ),
    zero=True,
)


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "results")


@pytest.fixture
def glue(capsys):
    return runner(capsys)


def svg(sheet):
    return ElementTree.fromstring(files.render(sheet, ".svg"))


@pytest.mark.parametrize("width", [6.0, 8.0, 16.0, 30.0])
@pytest.mark.parametrize("draw", [lambda w: draw_lines([CHART] * 5, w), lambda w: draw_intervals(FOREST, w)])
def test_nothing_lies_outside_the_sheet(draw, width):
    sheet = draw(width)
    assert sheet.width + 2 * MARGIN == pytest.approx(width * 72 / 2.54)
    for shape in sheet.shapes:
        if isinstance(shape, Words):
            wide = width_of(shape.text, shape.size)
            left = shape.x - {"start": 0, "middle": wide / 2, "end": wide}[shape.anchor]
            assert left >= -MARGIN, shape
            assert left + wide <= sheet.width + MARGIN, shape
            assert 0 <= shape.y <= sheet.height + MARGIN
        elif isinstance(shape, Stroke):
            assert all(-1 <= x <= sheet.width + 1 and -1 <= y <= sheet.height + 1 for x, y in shape.points), shape


@pytest.mark.parametrize("sheet", [draw_lines([CHART], 16.0), draw_intervals(FOREST, 16.0)], ids=["lines", "intervals"])
def test_the_same_picture_in_each_kind_of_file(sheet):
    first = files.render(sheet, ".svg")
    assert first == files.render(sheet, ".svg")
    root = svg(sheet)
    assert root.get("width") == "16.00cm"
    assert root.find(f"{SVG}title").text
    texts = {text.text for text in root.iter(f"{SVG}text")}
    assert texts == {shape.text for shape in sheet.shapes if isinstance(shape, Words)}
    assert files.render(sheet, ".png").startswith(b"\x89PNG")
    pdf = files.render(sheet, ".pdf")
    assert pdf.startswith(b"%PDF")
    assert pdf == files.render(sheet, ".pdf")


def test_no_two_lines_look_alike_without_colours():
    looks = [(style_of(k).mark, style_of(k).dash) for k in range(4)]
    assert len(set(looks)) == 4
    assert len({style_of(k) for k in range(28)}) == 28
    assert len(set(COLORS)) == 7


def luminance(color):
    parts = [int(color[k : k + 2], 16) / 255 for k in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return sum(weight * part for weight, part in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def test_colours_are_seen_on_white():
    assert all(1.05 / (luminance(color) + 0.05) > 2 for color in COLORS)


def test_each_difference_has_its_place_and_what_is_unsure_is_hollow():
    sheet = draw_intervals(FOREST, 16.0)
    marks = [shape for shape in sheet.shapes if isinstance(shape, Mark)][:3]
    assert [mark.is_hollow for mark in marks] == [True, False, False]
    assert marks[2].x < marks[0].x < marks[1].x
    assert marks[0].color != marks[1].color
    (bar,) = [s for s in sheet.shapes if isinstance(s, Stroke) and s.width == 1.2 and s.color == marks[0].color]
    low, high = sorted(x for x, _ in bar.points)
    assert (low + high) / 2 == pytest.approx(marks[0].x)  # -1 to 3 around 1


def test_texts_are_texts():
    chart = Intervals("x", ("s",), (("<script>$x^2$", (Interval(1.0),)),))
    text = files.render(draw_intervals(chart, 16.0), ".svg").decode()
    assert "&lt;script&gt;" in text
    assert "<script>" not in text
    assert files.render(draw_intervals(chart, 16.0), ".png")  # a formula to matplotlib, were it not escaped


def test_control_characters_are_made_visible():
    chart = Intervals("x", ("s",), (("a\x00\x1b[31mb\nc", (Interval(1.0),)),))
    sheet = draw_intervals(chart, 16.0)
    (label,) = [text.text for text in svg(sheet).iter(f"{SVG}text") if "31m" in (text.text or "")]
    assert label == "a\\x00\\x1b[31mb c"
    assert files.render(sheet, ".pdf")


def test_long_names_are_shortened():
    assert shortened("abc", 100) == "abc"
    short = shortened("a" * 100, 60)
    assert short.endswith("…")
    assert width_of(short) <= 60


def answered(store, right, **plan):
    record = finished(store, {"rte": {"accuracy": 100.0 * right / 20}}, tasks=("rte",), **plan)
    task = load_tasks().task("rte")
    rows = [{"sentence1": "a", "sentence2": "b", "label": 0, "idx": k} for k in range(20)]
    examples = [example for k, row in enumerate(rows) for example in task.examples(row, k)]
    words = ["entailment"] * right + ["not_entailment"] * (20 - right)
    predictions = [Prediction(e, word, task.labels.index(word)) for e, word in zip(examples, words, strict=True)]
    store.run(record.id).write_predictions("rte", predictions)
    return record


def test_a_comparison_is_drawn(store, glue, tmp_path):
    first, second = answered(store, 10, lr=0.5), answered(store, 18, lr=0.1)
    code, out, err = glue("compare", first.id, second.id, "--plot", tmp_path / "a.svg", "--width-cm", 8)
    assert code == 0
    assert "+40.00" in out
    assert f"wrote {tmp_path}/a.svg" in err
    text = (tmp_path / "a.svg").read_text()
    assert ">RTE</text>" in text
    assert f"difference to {first.id}"[:20] in text
    assert 'width="8.00cm"' in text
    _, machine, _ = glue("compare", first.id, second.id, "--plot", tmp_path / "b.png", "--json")
    assert machine.startswith("{")
    assert (tmp_path / "b.png").exists()
    code, _, err = glue("compare", first.id, second.id, "--all-pairs", "--plot", tmp_path / "a.svg")
    assert (code, "--plot draws differences to the first run" in err) == (2, True)


def test_a_board_is_drawn(store, glue, tmp_path):
    finished(store, lr=0.5)
    finished(store, lr=0.1, shift=4)
    code, _, err = glue("board", "--plot", tmp_path / "a.svg")
    assert code == 0
    assert f"wrote {tmp_path}/a.svg" in err
    text = (tmp_path / "a.svg").read_text()
    assert re.search(r">1\. [^<]*lr 0\.1<", text)
    assert "average of glue" in text
    finished(store, data="hub")
    glue("board", "--plot", tmp_path / "b.svg")  # of two boards
    assert {file.name for file in tmp_path.glob("b*.svg")} == {"b-glue.svg", "b-glue-demo.svg"}


def test_a_board_without_averages_shows_its_columns(store, glue, tmp_path):
    finished(store, {name: GLUE[name] for name in ("rte", "cola")}, tasks=("rte", "cola"))
    glue("board", "--plot", tmp_path / "a.svg")
    text = (tmp_path / "a.svg").read_text()
    assert ">CoLA</text>" in text
    assert ">RTE</text>" in text


def test_svg_needs_no_matplotlib(store, glue, tmp_path, monkeypatch):
    finished(store)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    assert glue("board", "--plot", tmp_path / "a.svg")[0] == 0
    code, _, err = glue("board", "--plot", tmp_path / "a.pdf")
    assert (code, ".pdf needs matplotlib" in err) == (2, True)
