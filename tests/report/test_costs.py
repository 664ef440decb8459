"""What runs cost, on boards, in comparisons and on the page: made-up costs of made-up runs."""

import csv
import json
from itertools import product

import pytest
from records import finished, runner

from glue_harness import load_tasks
from glue_harness.core.cost import Cost
from glue_harness.report.costs import front, remarks, spent
from glue_harness.report.page.chosen import choose
from glue_harness.runs import costs
from glue_harness.runs.store import Store

MACHINE = {"device": "CPU", "processor": "Processor 9", "threads": 2, "torch": "2.13.0"}


def with_cost(store, record, *, size=1000, milliseconds=10.0, pace=200.0, beside=(), measured="2025-01-02", **machine):
    cost = Cost(
        run=record.id,
        task="rte",
        bytes=size,
        parameters=300_000,
        nonzero=250_000,
        milliseconds=milliseconds,
        examples_per_second=pace,
        rounds={},
        examples=8,
        singles=4,
        beside=[other.id for other in beside if other is not record],
        precision="fp32",
        machine=MACHINE | machine,
        measured=measured,
    )
    costs.save(cost, store)
    return record


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "results")


@pytest.fixture
def three(store):
    """A base, what is smaller and as good as that, and what is slower and worse."""
    made = [finished(store, shift=s, lr=lr) for s, lr in ((0.0, 1e-3), (0.5, 2e-3), (-3.0, 3e-3))]
    for record, size, ms in zip(made, (4_000_000, 1_000_000, 2_000_000), (10.0, 12.0, 20.0), strict=True):
        with_cost(store, record, size=size, milliseconds=ms, pace=2000 / ms, beside=made)
    return made


@pytest.fixture
def glue(capsys):
    return runner(capsys)


def test_the_front_is_what_no_other_beats():
    """Held against its definition over all pairs of a small grid."""
    for costs_ in product((1.0, 2.0, 3.0), repeat=3):
        points = list(zip(costs_, (5.0, 6.0, 6.0), strict=True))
        beaten = {
            k
            for k, (cost, score) in enumerate(points)
            for other_cost, other_score in points
            if other_cost <= cost and other_score >= score and (other_cost < cost or other_score > score)
        }
        assert set(front(points)) == set(range(3)) - beaten
    assert front([None, (1.0, 2.0), None]) == (1,)
    assert front([None]) == ()


def test_seeds_count_as_their_mean_and_only_those_of_the_newest_machine(store):
    first, second, third = (finished(store, seed=seed) for seed in range(3))
    with_cost(store, first, milliseconds=10.0, measured="2025-01-02")
    with_cost(store, second, milliseconds=30.0, measured="2025-01-03")
    with_cost(store, third, milliseconds=500.0, processor="Old One", measured="2025-01-01")
    found = spent([first.id, second.id, third.id, "not-there"], store)
    assert (found.milliseconds, found.bytes) == (20.0, 1000)
    assert found.place == "Processor 9, 2 threads, torch 2.13.0"
    assert spent(["not-there"], store) is None


def test_what_makes_times_not_comparable_is_said(store, three):
    found = {record.id: spent([record.id], store) for record in three}
    assert remarks(found) == ["Times are those of Processor 9, 2 threads, torch 2.13.0"]
    other = with_cost(store, finished(store, lr=4e-3))
    found[other.id] = spent([other.id], store)
    assert "Not all times were taken in turns" in remarks(found)[1]
    with_cost(store, other, processor="Old One")
    (said,) = remarks(found | {other.id: spent([other.id], store)})
    assert said.startswith("Times of different machines are not comparable: ")
    assert f"Old One, 2 threads, torch 2.13.0: {other.id}" in said
    assert remarks({"a": None})[0].startswith("Not measured: a; glue cost")


@pytest.mark.parametrize("columns", ["80", "160"])
def test_boards_have_costs_where_they_are_asked_for(store, three, glue, tmp_path, columns, monkeypatch):
    monkeypatch.setenv("COLUMNS", columns)
    finished(store, lr=4e-3)
    code, out, _ = glue("board", "--task", "rte", "--cost", "--format", "csv", "--out", tmp_path)
    assert code == 0
    assert all(text in out for text in ("1.0 MB", "4.0 MB", "12.00", "0.2 M", "examples/s"))
    assert "Not measured: 0.004; glue cost RUN RUN..." in " ".join(out.split()).replace("lr ", "")
    rows = {row["runs"]: row for row in csv.DictReader((tmp_path / "glue-demo.csv").open())}
    assert [rows[record.id]["bytes"] for record in three] == ["4000000.0", "1000000.0", "2000000.0"]
    assert sorted(row["milliseconds"] for row in rows.values()) == ["", "10.0", "12.0", "20.0"]


def test_every_format_has_them(store, three, glue, tmp_path):
    formats = [option for name in ("md", "html", "latex") for option in ("--format", name)]
    assert glue("board", "--cost", *formats, "--out", tmp_path)[0] == 0
    for name in ("md", "html", "latex"):
        text = (tmp_path / f"glue-demo.{name}").read_text()
        assert "Examples/s" in text
        assert "1.0 MB" in text
    body = (tmp_path / "glue-demo.latex").read_text().splitlines()
    spec, head = body[1].removeprefix("\\begin{tabular}{").removesuffix("}"), body[3]
    assert len(spec) == head.count("&") + 1  # a column each, or LaTeX stops
    found = json.loads(glue("board", "--cost", "--format", "json")[1])
    assert sorted(row["cost"]["bytes"] for row in found[0]["rows"]) == [1e6, 2e6, 4e6]


def test_without_the_option_nothing_of_it_is_there(store, three, glue, tmp_path):
    out = glue("board", "--format", "csv", "--out", tmp_path)[1]
    assert "examples/s" not in out
    assert "milliseconds" not in (tmp_path / "glue-demo.csv").read_text()


def test_compare_marks_what_nothing_beats(store, three, glue):
    ids = [record.id for record in three]
    found = json.loads(glue("compare", *ids, "--pareto", "--json")[1])["pareto"]
    fronts = {(of["score"], of["cost"]): of["front"] for of in found["fronts"]}
    assert fronts["glue.average", "bytes"] == [ids[1]]
    assert fronts["glue.average", "milliseconds"] == ids[:2]
    assert fronts["glue.average", "examples_per_second"] == ids[:2]
    assert {score for score, _ in fronts} == {"glue.average"}  # the suite's stands for all its tasks
    code, out, _ = glue("compare", *ids, "--pareto")
    assert code == 0
    assert "* 1.0 MB" in out
    assert "* 4.0 MB" not in out
    assert "* 10.00" in out


def said(glue, *given):
    code, out, err = glue(*given)
    assert (code, out, err.count("\n")) == (2, "", 1), err
    return err


def test_bad_input_is_one_line(store, glue):
    ids = [finished(store, lr=lr).id for lr in (1e-3, 2e-3)]
    assert "no cost of these runs is known: glue cost RUN RUN..." in said(glue, "compare", *ids, "--pareto")
    assert "leave out --all-pairs" in said(glue, "compare", *ids, "--pareto", "--all-pairs")


def test_a_damaged_file_leaves_the_board_whole(store, three, glue, tmp_path):
    (store.run_folder(three[0].id) / "cost.json").write_text("{")
    code, out, _ = glue("board", "--cost", "--out", tmp_path)
    assert code == 0
    assert "Not measured: " in out


def test_the_page_knows_them(store, three):
    facts, _ = choose([], store, load_tasks()).facts(0, None)
    (board,) = facts["boards"]
    rows = {row["key"]: row for row in board["rows"] if row["runs"]}
    first = rows[three[0].id]
    assert [first[name] for name in ("bytes", "nonzero", "milliseconds", "examples_per_second")] == [
        4e6,
        25e4,
        10.0,
        5.0,
    ]
    assert board["measured"] == ["Times are those of Processor 9, 2 threads, torch 2.13.0"]


def test_the_picture_has_a_panel_for_each_cost(store, three, glue, tmp_path):
    ids = [record.id for record in three]
    code, _, err = glue("compare", *ids, "--pareto", "--plot", tmp_path / "fronts.svg", "--json")
    assert (code, err) == (0, f"wrote {tmp_path / 'fronts.svg'}\n")
    text = (tmp_path / "fronts.svg").read_text()
    for words in ("weights on disk, MB", "milliseconds of one example alone", "ms an example, in batches", *ids):
        assert words in text
    marks = sum(text.count(f"<{shape} ") for shape in ("circle", "polygon"))
    assert marks == 4 * len(ids)
