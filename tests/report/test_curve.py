"""Scores against examples and steps, losses per task: what is drawn, on a terminal and in files."""

import json
import os
import re
import subprocess
import sys

import pytest
from records import finished, narrow_screen, runner

from glue_harness.report.curves import Chart, Curve, Point, against_examples, against_steps, labels, losses
from glue_harness.report.experiments import Experiment
from glue_harness.report.plots import spread_out, ticks, upright
from glue_harness.report.plots.files import render as written
from glue_harness.report.plots.lines import draw_lines
from glue_harness.report.plots.terminal import MARKS, draw
from glue_harness.runs.store import Store
from glue_harness.suite.registry import load_tasks

REGISTRY = load_tasks()
PLAIN = Chart("", "steps", "score", (Curve("RTE", (Point(10, 50.0), Point(20, 60.0), Point(40, 90.0, 5.0))),))


@pytest.fixture
def store(tmp_path) -> Store:
    return Store(tmp_path / "results")


@pytest.fixture
def glue(capsys):
    return runner(capsys)


def ended(store, accuracy, rows=500, tasks=("rte",), history=(), log=(), **plan):
    values = {name: {"accuracy": accuracy} for name in tasks}
    record = finished(store, values, tasks=tasks, **plan)
    record.mix = {name: {"rows": rows, "probability": 1 / len(tasks), "seen": 10} for name in tasks}
    record.history = {name: [(step, {"accuracy": value}) for step, value in history] for name in tasks}
    store.save(record)
    for entry in log:
        store.run(record.id).append_train(entry)
    return record


def drawn(glue, *arguments):
    code, out, err = glue("curve", *arguments, "--json")
    assert (code, err) == (0, "")
    return json.loads(out)["charts"]


def test_examples_are_averaged_over_seeds_and_joined_over_limits(store, glue):
    for limit, scores in {50: (60, 70), 100: (80, 84)}.items():
        for seed, accuracy in enumerate(scores):
            ended(store, float(accuracy), rows=limit, train_limit=limit, seed=seed)
    ended(store, 90.0, rows=500)
    (chart,) = drawn(glue, *(record.id for record in store.load_all()[0]))
    assert (chart["x"], chart["y"], chart["title"]) == ("training examples", "score", "")
    (line,) = chart["lines"]
    assert line["label"] == "RTE"
    assert [(p["x"], p["y"]) for p in line["points"]] == [(50, 65), (100, 82), (500, 90)]
    assert [p["deviation"] for p in line["points"]] == [pytest.approx(50**0.5), pytest.approx(8**0.5), None]


def test_seeds_whose_score_is_undefined_are_named(store, glue):
    runs = [ended(store, accuracy, seed=seed) for seed, accuracy in enumerate((50.0, None, 70.0))]
    code, _, err = glue("curve", *[run.id for run in runs], "--against", "examples")
    assert code == 0
    assert err == f"RTE: undefined in 1 of 3 runs of plan {runs[0].digest}, left out\n"


def test_what_differs_in_the_plans_is_the_name_of_a_line(store):
    experiments = [
        Experiment("", (ended(store, 60.0, rows=n, train_limit=n, method=m),))
        for m in ("full", "frozen")
        for n in (50, 90)
    ]
    (chart,) = against_examples(experiments, REGISTRY, ())
    assert (chart.title, [line.label for line in chart.curves]) == ("RTE", ["method full", "method frozen"])
    alone = [Experiment("", (ended(store, 60.0, tasks=(name,)),)) for name in ("rte", "sst2")]
    assert labels(alone) == ["", ""]
    together = Experiment("", (ended(store, 60.0, tasks=("rte", "sst2")),))
    assert labels([*alone, together]) == ["alone", "alone", "rte,sst2"]


def test_steps_show_the_history_and_say_when_it_is_of_held_out_rows(store):
    runs = [
        ended(store, 0.0, history=[(10, y), (20, y + 10)], seed=s, select="heldout") for s, y in enumerate((40, 50))
    ]
    (chart,) = against_steps([Experiment("", tuple(runs))], REGISTRY, ())
    assert (chart.x, chart.y) == ("steps", "score on held-out train")
    assert [(p.x, p.y) for p in chart.curves[0].points] == [(10, 45), (20, 55)]
    assert not against_steps([Experiment("", tuple(runs))], REGISTRY, ["cola"])


def test_losses_are_per_task_and_those_of_a_single_task_are_the_runs(store):
    log = [{"step": k, "loss": 9.0, "task_losses": {"rte": 4.0 - k, "sst2": 1.0}} for k in (1, 2)]
    both = ended(store, 0.0, tasks=("rte", "sst2"), log=log, steps=60)
    (chart,) = losses([Experiment("", (both,))], store, REGISTRY, ())
    assert {line.label: [p.y for p in line.points] for line in chart.curves} == {"SST-2": [1, 1], "RTE": [3, 2]}
    single = ended(store, 0.0, log=[{"step": 1, "loss": 7.0}])
    assert losses([Experiment("", (single,))], store, REGISTRY, ())[0].curves[0].points == (Point(1, 7),)


def test_a_log_that_was_cut_off_or_repeated_is_read_as_far_as_it_goes(store):
    record = ended(store, 0.0, log=[{"step": k, "loss": float(k)} for k in (1, 2, 2)])
    with open(store.run_folder(record.id) / "train.jsonl", "a") as file:
        file.write('[]\n{"step": "x"}\n{"step": 3, "lo')
    assert [entry["step"] for entry in store.read_train(record.id)] == [1, 2]
    assert store.read_train(ended(store, 0.0).id) == []


def test_a_long_log_becomes_a_line_of_a_few_points(store):
    log = [{"step": k, "loss": float(k % 2)} for k in range(1, 1001)]
    (chart,) = losses([Experiment("", (ended(store, 0.0, log=log),))], store, REGISTRY, ())
    (line,) = chart.curves
    assert 40 <= len(line.points) <= 61
    assert all(0.4 < point.y < 0.6 for point in line.points[:-1])


@pytest.mark.parametrize("width", [40, 80, 120])
def test_a_chart_fits_its_screen_and_names_each_line_at_its_end(width):
    lines = tuple(Curve(f"task {k}", tuple(Point(x, 50.0 + k * x / 9) for x in (10, 20, 30))) for k in range(5))
    text = [line.plain for line in draw(Chart("", "steps", "score", lines), width)]
    assert all(len(line) <= width for line in text)
    for k, sign in zip(range(5), MARKS, strict=False):
        assert sum(f"{sign} task {k}" in line for line in text) == 1
    assert text[0] == "Score"
    assert text[-1].endswith("steps")


def test_a_line_that_rises_is_drawn_from_the_bottom_left_to_the_top_right():
    rows = [line.plain for line in draw(PLAIN, 60)[1:-2]]
    marked = [(row, line.index(MARKS[0])) for row, line in enumerate(rows) if MARKS[0] in line]
    assert [column for _, column in sorted(marked)] == sorted((column for _, column in marked), reverse=True)
    assert len(marked) == 3
    assert re.search(r"^\s*100┤", rows[0])


def render(charts, ending):
    return written(draw_lines(charts, 16.0), ending)


def test_a_single_point_and_a_flat_line_can_be_drawn():
    for points in ((Point(10, 100.0),), (Point(10, 100.0), Point(20, 100.0))):
        chart = Chart("", "steps", "score", (Curve("RTE", points),), has_few_points=True)
        assert draw(chart, 60)
        assert render([chart], ".png").startswith(b"\x89PNG")


def test_a_file_is_the_same_twice_and_its_text_is_text():
    first, second = (render([PLAIN, PLAIN], ".svg") for _ in range(2))
    assert first == second
    assert b">RTE</text>" in first
    assert b"steps" in first


def test_ticks_are_round_and_cover_what_is_drawn():
    for low, high in ((0, 100), (41.3, 43.9), (0.002, 0.017), (7, 7)):
        found = ticks(low, high, 5)
        assert found[0] <= low <= high <= found[-1]
        assert 2 <= len(found) <= 8
    assert ticks(0, 100, 5) == [0, 25, 50, 75, 100]


def test_losses_stand_on_an_axis_of_ratios_unless_one_is_zero(store):
    log = [{"step": 1, "loss": 10.0}, {"step": 2, "loss": 0.1}, {"step": 3, "loss": 0.01}]
    (chart,) = losses([Experiment("", (ended(store, 0.0, log=log, steps=60),))], store, REGISTRY, ())
    assert upright(chart, 5).ticks == [0.01, 0.1, 1, 10]
    rows = [line.plain for line in draw(chart, 60)[1:-2]]
    (middle,) = (k for k, row in enumerate(rows) if MARKS[0] in row and "RTE" not in row and "10┤" not in row)
    assert middle / (len(rows) - 1) == pytest.approx(2 / 3, abs=0.05)
    assert render([chart], ".svg")
    (chart,) = losses([Experiment("", (ended(store, 0.0, log=[{"step": 1, "loss": 0.0}]),))], store, REGISTRY, ())
    assert not chart.falls_by_ratios


def test_names_of_lines_that_end_together_are_spread_out():
    places = spread_out([5, 5, 5, 0], 1, 0, 6)
    assert sorted(places) == [0, 4, 5, 6]
    assert len({round(place) for place in spread_out([15.0] * 16, 1, 0, 15)}) == 16


def test_the_command_draws_writes_and_fits(store, glue, tmp_path, monkeypatch):
    record = ended(store, 80.0, history=[(10, 50.0), (20, 80.0)], log=[{"step": 10, "loss": 0.5}])
    monkeypatch.setattr("glue_harness.report.console.console", narrow_screen)
    for name in ("curve.svg", "curve.png", "curve.pdf"):
        code, out, err = glue("curve", record.id, "--out", tmp_path / name)
        assert (code, (tmp_path / name).stat().st_size > 1000) == (0, True)
        assert f"wrote {tmp_path / name}" in err.replace("\n", "")
    assert max(map(len, out.splitlines())) <= 80
    assert "Training loss per target token" in out
    assert "\x1b" not in out


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_a_terminal_that_knows_few_signs_shows_the_same_chart_in_others(encoding, store):
    """Not a question mark in it, and nothing moved: each sign has the width of the one it stands for."""
    record = ended(store, 90.0, history=[(10, 50.0), (20, 60.0), (40, 90.0)])
    command = [sys.executable, "-m", "glue_harness", "curve", record.id, "--results", store.folder]
    charts = []
    for name in (encoding, "utf-8"):
        out = subprocess.run(command, capture_output=True, env={**os.environ, "PYTHONIOENCODING": name})
        assert (out.returncode, out.stderr) == (0, b"")
        charts.append(out.stdout.decode(name).splitlines())
    plain, whole = charts
    assert "?" not in "".join(plain)
    assert [len(line) for line in plain] == [len(line) for line in whole]
    points = [(row, column) for row, line in enumerate(whole) for column, sign in enumerate(line) if sign == "●"]
    assert len(points) == 4  # the last one stands beside the name
    assert {plain[row][column] for row, column in points} == {"o"}


def test_what_cannot_be_drawn_is_one_line(store, glue, tmp_path, monkeypatch):
    record = ended(store, 80.0)
    cases = {
        (): "curve takes one or more runs",
        (record.id,): "nothing to draw: these runs have no scores",
        (record.id, "--task", "rtee"): "did you mean",
        (record.id, "--out", tmp_path / "a.gif"): "a.gif': the picture's name must end in .svg, .png or .pdf",
        (record.id, "--width-cm", 8): "--width-cm is for a picture: name its file with --plot",
        (record.id, "--plot", tmp_path / "a.svg", "--width-cm", 2): "--width-cm 2: from 6 to 100",
    }
    for arguments, message in cases.items():
        code, out, err = glue("curve", *arguments)
        assert (code in (1, 2), out, err.count("\n")) == (True, "", 1)
        assert message in err
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    code, _, err = glue("curve", record.id, "--out", tmp_path / "a.png")
    assert (code, ".png needs matplotlib: pip install 'glue-harness[plot]', or take .svg" in err) == (2, True)
