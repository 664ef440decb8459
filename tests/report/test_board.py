"""Boards rank whole runs by T5's average, keep demo and real data apart, and show their evidence."""

import csv
import io
import json
import statistics
from dataclasses import replace
from fractions import Fraction

import pandas
import pytest
from records import AVERAGE, GLUE, finished
from scipy.stats import t as student

from glue_harness.core.errors import UsageError
from glue_harness.report import formats
from glue_harness.report.board import make_boards
from glue_harness.report.experiments import Stat, stat
from glue_harness.report.published import load_published
from glue_harness.report.screen import drawn
from glue_harness.runs.store import Store
from glue_harness.suite.registry import load_tasks

REGISTRY = load_tasks()


@pytest.fixture
def store(tmp_path) -> Store:
    return Store(tmp_path / "results")


def boards(store, suite="glue", with_published=False):
    records, broken = store.load_all()
    assert broken == []
    return make_boards(records, REGISTRY, suite, with_published)


def demo_rows(store):
    return boards(store)[1].rows


def test_columns_follow_the_official_table():
    assert [column.label for column in boards(Store("nowhere"))[0].columns] == [
        *("CoLA", "SST-2", "MRPC F1", "MRPC Acc", "STS-B Pearson", "STS-B Spearman", "QQP F1", "QQP Acc"),
        *("MNLI-m", "MNLI-mm", "QNLI", "RTE"),
    ]


def test_runs_are_ranked_by_the_average_over_tasks(store):
    worse, best = finished(store, shift=-1, steps=10), finished(store, shift=2, steps=20)
    tied = finished(store, shift=-1, steps=30)
    rows = demo_rows(store)
    assert [(row.rank, row.average.mean) for row in rows] == [
        (1, pytest.approx(AVERAGE + 2)),
        (2, pytest.approx(AVERAGE - 1)),
        (2, pytest.approx(AVERAGE - 1)),
    ]
    assert rows[0].runs == (best.id,)
    assert {rows[1].runs, rows[2].runs} == {(worse.id,), (tied.id,)}


def test_a_run_with_missing_tasks_shows_them_and_no_average(store):
    finished(store, shift=-5)
    finished(store, {"rte": {"accuracy": 99.0}}, steps=10)
    two = finished(store, {name: GLUE[name] for name in ("cola", "rte")}, steps=20)
    whole, more, less = demo_rows(store)
    assert (whole.rank, more.rank, less.rank) == (1, None, None)
    assert (more.average, less.average) == (None, None)
    assert more.runs == (two.id,)
    assert {column.label: value.mean for column, value in more.values.items()} == {"CoLA": 10.0, "RTE": 55.0}


def test_an_undefined_value_is_no_zero(store):
    finished(store, {**GLUE, "stsb": {"pearson_corrcoef": None, "spearman_corrcoef": 50.0}})
    (row,) = demo_rows(store)
    assert row.average is None
    assert "STS-B Pearson" not in {column.label for column in row.values}


def test_seeds_of_a_plan_are_one_row(store):
    runs = [finished(store, shift=shift, seed=seed) for seed, shift in enumerate((-1.0, 0.0, 4.0))]
    (row,) = demo_rows(store)
    assert row.seeds == 3
    assert row.runs == tuple(run.id for run in runs)
    assert row.average.mean == pytest.approx(AVERAGE + 1)
    assert row.average.deviation == pytest.approx(statistics.stdev([-1, 0, 4]))
    cola = next(value for column, value in row.values.items() if column.label == "CoLA")
    # the variance of the mean over 3 seeds, and that of one seed's examples: each interval is +-1
    of_seeds, of_examples = statistics.variance([-1, 0, 4]) / 3, (1 / 1.96) ** 2
    freedom = (of_seeds + of_examples) ** 2 / (of_seeds**2 / 2)
    half = student.ppf(0.975, freedom) * (of_seeds + of_examples) ** 0.5
    assert cola[:2] == (11, pytest.approx(statistics.stdev([-1, 0, 4])))
    assert cola[2:4] == pytest.approx((11 - half, 11 + half), rel=5e-3)
    assert cola.over == "seeds and examples"


def test_one_seed_shows_the_interval_over_its_examples(store):
    finished(store)
    (row,) = demo_rows(store)
    assert {value for column, value in row.values.items() if column.label == "RTE"} == {
        Stat(55.0, None, 54.0, 56.0, "examples")
    }
    # of eight members seven have the error of one task, MNLI that of two halves; values of one task move together
    half = (7 + 2 * 0.5**2) ** 0.5 / 8
    assert row.average == Stat(AVERAGE, None, pytest.approx(AVERAGE - half), pytest.approx(AVERAGE + half), "examples")


@pytest.mark.parametrize("seeds", [3, 5, 31])
def test_the_interval_across_seeds_is_students(seeds):
    values = [float(k % 3) for k in range(seeds)]
    low, high = student.interval(0.95, seeds - 1, statistics.fmean(values), statistics.stdev(values) / seeds**0.5)
    assert stat(values)[2:4] == pytest.approx((low, high), rel=1e-3)
    assert stat(values).over == "seeds"


def test_two_seeds_have_a_deviation_and_no_interval():
    assert stat([50.0, 60.0], [(49.0, 51.0), (59.0, 61.0)]) == Stat(55.0, pytest.approx(50**0.5), None, None)


def test_a_seed_counts_once(store):
    first, later = finished(store, day=1), finished(store, shift=5, day=2)
    board = boards(store)[1]
    assert [row.runs for row in board.rows] == [(later.id,)]
    assert board.left_out == ((first.id, f"repeats seed 0 of the later run {later.id}"),)


def test_the_average_without_the_luck_of_choosing_stands_beside_it(store):
    """Over the seeds, by the rule of the average itself; nothing where a seed does not know it."""
    for seed in range(2):
        record = finished(store, seed=seed)
        for score in record.scores.values():
            score.without_luck = {key: value - 2 * (seed + 1) for key, value in score.metrics.items()}
        store.save(record)
    unknown = finished(store, lr=0.1)
    rows = {row.digest: row for row in demo_rows(store)}
    assert rows.pop(unknown.digest).without_luck is None
    (row,) = rows.values()
    assert (row.average.mean, row.without_luck) == (pytest.approx(AVERAGE), pytest.approx(AVERAGE - 3))
    assert "Without luck" in text_of(store, "md")
    assert "47.00" in text_of(store, "html")
    assert [*pandas.read_csv(io.StringIO(text_of(store, "csv")))["without_luck"].dropna()] == [pytest.approx(47)]
    shown = "".join(text for text, _ in drawn(boards(store)[1], 200))
    assert "without luck: the average without the luck of choosing the best of several steps" in shown
    assert "47.00" in shown


def test_seeds_that_saw_other_data_are_not_averaged(store):
    first, second = finished(store, seed=0), finished(store, seed=1)
    second.data["rte"]["validation"]["fingerprint"] = "changed"
    store.save(second)
    assert {row.runs for row in demo_rows(store)} == {(first.id,), (second.id,)}


def test_demo_and_real_data_share_no_board(store):
    demo, rows, real = finished(store, shift=1), finished(store, data="demo:500"), finished(store, data="hub")
    of_real, of_demo = boards(store)
    assert (of_real.name, of_demo.name) == ("glue", "glue-demo")
    assert [row.runs for row in of_real.rows] == [(real.id,)]
    assert {(row.runs, row.data) for row in of_demo.rows} == {
        ((demo.id,), "demo"),
        ((rows.id,), "demo:500, other data"),
    }


SIZES = ((5, "demo:50"), (2, "demo:200"), (1, "demo:200"))


def test_only_rows_on_the_data_that_most_share_are_ranked(store):
    small, *shared = (finished(store, shift=shift, data=data, steps=9 + shift) for shift, data in SIZES)
    other = finished(store, {"rte": GLUE["rte"]}, data="demo:50")
    same = finished(store, {"cola": GLUE["cola"]}, data="demo:200")
    rows = demo_rows(store)
    assert [(row.runs[0], row.rank) for row in rows[:3]] == [(shared[0].id, 1), (shared[1].id, 2), (small.id, None)]
    assert {row.runs[0]: row.data for row in rows[2:]} == {
        small.id: "demo:50, other data",
        other.id: "demo:50, other data",
        same.id: "demo:200",
    }


def test_a_better_score_on_fewer_examples_is_not_ranked_above(store):
    whole, part = finished(store, data="hub"), finished(store, shift=8, data="somewhere")
    part.scores = {task: replace(score, n=10) for task, score in part.scores.items()}
    store.save(part)
    assert [(row.runs[0], row.rank) for row in boards(store)[0].rows] == [(whole.id, 1), (part.id, None)]


def test_unfinished_runs_are_left_out_by_name(store):
    failed = finished(store, status="failed", error="loss is nan at step 3", day=3)
    stopped = finished(store, status="interrupted", day=2)
    started = finished(store, {}, status="running", day=1)
    finished(store, {"boolq": {"accuracy": 1.0}}, tasks=("boolq",), status="failed")
    board = boards(store)[1]
    assert board.rows == ()
    assert board.left_out == (
        (failed.id, "failed: loss is nan at step 3"),
        (stopped.id, "interrupted"),
        (started.id, "running"),
    )


def test_runs_of_other_suites_are_not_on_the_board(store):
    finished(store, {"boolq": {"accuracy": 1.0}}, tasks=("boolq",))
    assert [board.rows for board in boards(store)] == [(), ()]
    assert len(boards(store, "superglue")[1].rows) == 1


def test_a_subset_and_limited_evaluation_are_marked(store):
    part = finished(store, data="somewhere", eval_limit=64)
    part.data["rte"]["validation"] |= {"rows": 99, "official": 277}
    store.save(part)
    (row,) = boards(store)[0].rows
    assert row.data == "real, subset, steps chosen on 64 examples"


def test_a_row_says_how_its_numbers_came_about(store):
    finished(store, seed=0, invalid=2, mixing="temperature", temperature=2.0, steps=77)
    changed = finished(store, seed=1, invalid=0, mixing="temperature", temperature=2.0, steps=77, day=2)
    changed.environment["dirty"] = True
    store.save(changed)
    (row,) = demo_rows(store)
    assert (row.model, row.method, row.steps, row.seeds) == ("tiny", "full", 77, 2)
    assert formats.mixing(row) == "temperature T=2 K=2^19"
    assert row.invalid == pytest.approx(1.0)
    assert (row.date, row.commit, row.digest) == ("2025-01-02", "0123456789 changed", changed.digest)


def test_a_single_task_was_not_mixed(store):
    run = finished(store, {"rte": {"accuracy": 9.0}}, tasks=("rte",))
    run.mix = {"rte": {"probability": 1.0}}
    store.save(run)
    (row,) = demo_rows(store)
    assert formats.mixing(row) == ""


def test_an_unknown_suite_gets_a_suggestion():
    with pytest.raises(UsageError, match=r"^unknown suite 'gleu': did you mean glue\?$"):
        boards(Store("nowhere"), "gleu")


# Published rows


def test_published_rows_stand_below_without_rank_and_never_beside_demo_runs(store):
    finished(store)
    finished(store, data="hub", shift=-25)
    real, demo = boards(store, with_published=True)
    ours, *theirs = real.rows
    assert (ours.source, ours.rank) == ("run", 1)
    assert len(theirs) == 20
    assert {row.rank for row in theirs} == {None}
    assert {row.source for row in theirs} == {"published: Raffel et al. 2020, Table 16"}
    assert all(len(row.values) == len(real.columns) for row in theirs)
    assert theirs[0].average == Stat(83.28, 0.235)
    assert any("misprint" in note for note in real.notes)
    assert [row.source for row in demo.rows] == ["run"]


@pytest.mark.parametrize("suite", ["glue", "superglue"])
def test_published_averages_recompute_from_their_values(suite):
    real, _ = boards(Store("nowhere"), suite, with_published=True)
    printed = {result.configuration: result.averages[suite] for result in load_published().results}
    assert len(real.rows) == len(printed) == 20
    for row in real.rows:
        tasks = {column.group: [] for column in real.columns}
        for column, value in row.values.items():
            tasks[column.group].append(Fraction(str(value.mean)))
        average = sum(sum(values) / len(values) for values in tasks.values()) / len(tasks)
        assert len(tasks) == 8
        assert abs(average - Fraction(str(printed[row.method]))) <= Fraction(5, 1000), row.method
        assert row.average.mean == printed[row.method]


def test_suites_without_an_average_have_published_values_too():
    real, _ = boards(Store("nowhere"), "translation", with_published=True)
    baseline = real.rows[0]
    assert baseline.average is None
    assert [value.mean for value in baseline.values.values()] == [26.98, 39.82, 27.65]


def test_the_adapter_row_is_that_of_table_16_not_the_misprint():
    rows = {result.configuration: result for result in load_published().results}
    assert rows["Adapter d=2048"].averages == {"glue": 82.62, "superglue": 68.61}
    assert rows["Adapter d=128"].averages["glue"] == 81.51


# Formats


def text_of(store, name, change=lambda board: board):
    return formats.renderer(name)(change(boards(store)[1]))


def test_formats_are_found_by_their_files():
    assert {"csv", "html", "json", "latex", "md"} <= set(formats.names())
    with pytest.raises(UsageError, match=r"^unknown format 'jsn': did you mean json\?$"):
        formats.renderer("jsn")


def test_pandas_reads_the_csv_without_help(store):
    finished(store, seed=0)
    finished(store, shift=2, seed=1)
    finished(store, {"cola": {"matthews_corrcoef": -5.0}}, steps=9)
    table = pandas.read_csv(io.StringIO(text_of(store, "csv")))
    assert list(table["rank"].fillna(0)) == [1, 0]
    assert table["average"][0] == pytest.approx(AVERAGE + 1)
    assert table["average_deviation"][0] == pytest.approx(2**0.5)
    assert list(table["cola.matthews_corrcoef"]) == [11.0, -5.0]
    assert list(table["seeds"]) == [2, 1]
    assert list(table["source"]) == ["run", "run"]


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r"])
def test_no_cell_of_the_csv_is_a_formula(store, start):
    finished(store, {"cola": {"matthews_corrcoef": -5.0}}, model=f'{start}cmd|"/c calc"!A1')
    (row,) = csv.DictReader(io.StringIO(text_of(store, "csv"), newline=""))
    mark = f"'{start}" if start.strip() else ""
    assert row["model"] == f'{mark}cmd|"/c calc"!A1'
    assert row["cola.matthews_corrcoef"] == "-5.0"


def test_markdown_shows_text_as_it_is(store):
    finished(store, model="a|b`c\n<b>*d*</b>", status="finished")
    finished(store, status="failed", error="<script> | boom\nline 2")
    text = text_of(store, "md")
    lines = text.splitlines()
    assert [line.count(" | ") for line in lines[2:5]] == [lines[2].count(" | ")] * 3
    assert r"a\|b\`c &lt;b&gt;\*d\*&lt;/b&gt;" in lines[4]
    assert "Left out: " in text
    assert r"&lt;script&gt; \| boom line 2" in text
    assert "<" not in text


def test_html_holds_no_markup_from_data(store):
    finished(store, model="<script>alert(1)</script>")
    text = text_of(store, "html", lambda board: replace(board, name="<b>", left_out=(("<i>", "<u>"),)))
    assert not any(tag in text for tag in ("<script>", "<b>", "<i>", "<u>"))
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in text


def test_json_keeps_every_value_with_its_interval(store):
    run = finished(store)
    failed = finished(store, status="failed")
    board = json.loads(text_of(store, "json"))
    facts = {"name", "suite", "columns", "rows", "left_out", "notes", "common", "ranking", "legend"}
    assert board.keys() == facts
    (row,) = board["rows"]
    assert row["runs"] == [run.id]
    assert (row["average"]["mean"], row["average"]["over"]) == (AVERAGE, "examples")
    interval = {"low": 54.0, "high": 56.0, "over": "examples"}
    assert row["values"]["rte.accuracy"] == {"mean": 55.0, "deviation": None, **interval}
    assert board["left_out"] == [{"run": failed.id, "reason": "failed"}]
