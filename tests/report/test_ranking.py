"""Rows share a rank unless a test tells them apart: by the kept answers, or by the intervals where there are none."""

import random

import pytest
from records import GLUE, finished

from glue_harness.core.task import Text
from glue_harness.metrics import measure
from glue_harness.metrics.student import Variance
from glue_harness.report.board import make_boards
from glue_harness.report.ranking import Contender, ranking
from glue_harness.runs.store import Store
from glue_harness.suite.registry import load_tasks

REGISTRY = load_tasks()
N = 100
TASKS = ("rte", "mrpc")


@pytest.fixture
def store(tmp_path) -> Store:
    return Store(tmp_path / "results")


def answered(store, right, **plan):
    """A run of two tasks with its answers; `right` says which are."""
    scores, kept = {}, {}
    for task in map(REGISTRY.task, TASKS):
        examples = [task.example(Text("", task.labels[k % 2]), str(k), {}) for k in range(N)]
        wrong = dict(zip(task.labels, reversed(task.labels), strict=True))
        kept[task.name] = [
            task.prediction(e, e.target if right(k) else wrong[e.target]) for k, e in enumerate(examples)
        ]
        scores[task.name] = measure(task.metrics, kept[task.name])
    run = finished(store, scores, tasks=TASKS, **plan)
    for name, predictions in kept.items():
        store.run(run.id).write_predictions(name, predictions)
    return run


def board_of(store, **asked):
    records, _ = store.summaries()
    return make_boards(records, REGISTRY, "glue", tasks=TASKS, store=store, **asked)[1]


def places(board):
    return [(row.rank, row.steps) for row in board.rows]


@pytest.mark.parametrize("asked", [{}, {"every_pair": True}])
def test_rows_that_no_paired_test_tells_apart_share_a_rank(store, asked):
    answered(store, lambda k: k >= 2, steps=1)
    answered(store, lambda k: k >= 3, steps=2)
    answered(store, lambda k: k % 2, steps=3)
    board = board_of(store, **asked)
    assert places(board) == [(1, 1), (1, 2), (3, 3)]
    assert [row.tested for row in board.rows] == [True] * 3
    assert board.ranking[0].startswith("Rows share a rank unless a paired test of their answers tells")
    assert "for all 3 pairs" in board.ranking[0]
    assert "one seed is one model" in board.ranking[1]
    assert board.rows[0].best > 0.8  # it is right wherever the second is
    assert board.rows[2].best == 0
    assert sum(row.best for row in board.rows) == pytest.approx(1)


def test_pairing_finds_what_intervals_do_not(store):
    """The second is wrong where the first is, and on twelve examples more of each task."""
    first = answered(store, lambda k: k % 4, steps=1)
    answered(store, lambda k: k % 4 and k % 8 != 1, steps=2)
    assert [rank for rank, _ in places(board_of(store))] == [1, 2]
    for file in store.run_folder(first.id).glob("predictions/*"):
        file.unlink()
    for record in store.load_all()[0]:
        for score in record.scores.values():
            score.intervals = {key: (value - 18, value + 18) for key, value in score.metrics.items()}
        store.save(record)
    board = board_of(store)
    assert [(row.rank, row.tested) for row in board.rows] == [(1, False), (1, False)]
    assert f"{first.id}/predictions/rte.jsonl: it cannot be read" in board.ranking[1]
    assert "used for 1 of 2 rows because" in board.ranking[1]


def test_answers_that_are_not_those_of_the_record_are_not_used(store):
    answered(store, lambda k: k % 2, steps=1)
    run = answered(store, lambda k: k % 3, steps=2)
    run.scores["rte"].metrics["accuracy"] += 1
    store.save(run)
    board = board_of(store)
    assert not any(row.tested for row in board.rows)
    assert f"the kept answers of {run.id} give rte another accuracy than its record" in board.ranking[1]


def test_large_boards_are_tested_on_request(store, monkeypatch):
    monkeypatch.setattr("glue_harness.report.standing.MOST_ROWS", 2)
    for steps in (1, 2, 3):
        answered(store, lambda k, steps=steps: k >= steps, steps=steps)
    assert "so many rows or answers are read with --test only" in board_of(store).ranking[1]
    assert all(row.tested for row in board_of(store, every_pair=True).rows)


def test_a_chain_of_close_rows_does_not_tie_its_ends():
    """Each row is within reach of the next, the last is far behind the first."""
    row = [Contender(50 - k, Variance(1.0)) for k in range(10)]
    ranks = ranking(row).ranks
    assert ranks[0] == ranks[1] == ranks[4] == 1
    assert ranks[-1] > 1
    assert ranks == sorted(ranks)


def test_rows_of_unknown_variance_are_ranked_by_their_averages_alone():
    assert ranking([Contender(2, None), Contender(1, None), Contender(1, None)]) == (
        [1, 2, 2],
        [None] * 3,
        [False] * 3,
    )


@pytest.mark.parametrize("rows", [2, 6, 12])
def test_equal_recipes_share_the_first_rank(rows):
    """Type I error of a whole board: in 5 % of boards at most any row of equal ones stands behind."""
    draw, boards = random.Random(rows), 300
    wrong = 0
    for _ in range(boards):
        means = sorted((draw.gauss(0, 1) for _ in range(rows)), reverse=True)
        wrong += max(ranking([Contender(mean, Variance(1.0)) for mean in means]).ranks) > 1
    assert wrong / boards <= 0.05 + 2 * (0.05 * 0.95 / boards) ** 0.5


def test_the_probability_to_be_best():
    """Of two, it is that of their difference: P(N(1, 1 + 3) > 0) = 0.6915; of three equals a third each."""
    assert ranking([Contender(1, Variance(1.0)), Contender(0, Variance(3.0))]).best == pytest.approx(
        [0.6915, 0.3085], abs=2e-3
    )
    assert ranking([Contender(1, Variance(1.0))] * 3).best == pytest.approx([1 / 3] * 3)
    assert ranking([Contender(1, Variance(0.0)), Contender(0, Variance(0.0))]).best == pytest.approx([1, 0])


def test_identical_data_in_another_folder_is_the_same_experiment(store):
    runs = [finished(store, data=folder, seed=seed) for seed, folder in enumerate(("/data/glue", "/mnt/glue"))]
    for run in runs:
        for roles in run.data.values():
            roles["validation"]["fingerprint"] = "0123"
        store.save(run)
    (row,) = make_boards(store.load_all()[0], REGISTRY, "glue")[0].rows
    assert row.runs == tuple(run.id for run in runs)
    runs[1].data["rte"]["validation"]["fingerprint"] = "4567"
    store.save(runs[1])
    assert {row.name for row in make_boards(store.load_all()[0], REGISTRY, "glue")[0].rows} == {
        "/data/glue",
        "/mnt/glue",
    }


def test_other_data_is_marked_on_partial_rows_too(store):
    for steps, data in ((1, "demo"), (2, "demo"), (3, "demo:50")):
        finished(store, {"rte": GLUE["rte"]}, data=data, steps=steps)
    rows = make_boards(store.load_all()[0], REGISTRY, "glue")[1].rows
    assert {row.steps: row.data for row in rows} == {1: "demo", 2: "demo", 3: "demo:50, other data"}


def test_a_value_that_its_metric_cannot_have_is_refused(store):
    good = finished(store, steps=1)
    for value in (100.1, -0.1):
        run = finished(store, steps=2)
        run.scores["rte"].metrics["accuracy"] = value
        store.save(run)
    board = make_boards(store.load_all()[0], REGISTRY, "glue")[1]
    assert [row.runs for row in board.rows] == [(good.id,)]
    assert {reason for _, reason in board.left_out} == {
        f"rte.accuracy is {value}, not between 0 and 100: its record was changed" for value in (100.1, -0.1)
    }
