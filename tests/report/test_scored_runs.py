"""Runs whose answers were scored, not trained: beside trained ones on boards and in comparisons, and never taken for one."""

import json

import pytest
from records import finished, runner

from glue_harness.core.plan import Plan, plan_from
from glue_harness.core.record import Record
from glue_harness.report import formats
from glue_harness.report.board import make_boards
from glue_harness.report.screen import drawn
from glue_harness.report.spread import repeated
from glue_harness.runs.resume import unfinished
from glue_harness.runs.store import Store
from glue_harness.suite.registry import load_tasks

REGISTRY = load_tasks()
CHOSEN = {"rte": {"accuracy": 60.0}, "cola": {"matthews_corrcoef": 20.0}}


@pytest.fixture
def store(tmp_path) -> Store:
    return Store(tmp_path / "results")


@pytest.fixture
def glue(capsys):
    return runner(capsys)


def scored(store, values=CHOSEN, shift=0.0, **plan) -> Record:
    """As `glue score --as big` leaves it."""
    plan = {"tasks": tuple(values), "model": "big", "method": "scored", **plan}
    run = finished(store, values, shift, **plan)
    run.mix, run.parameters, run.timing = {}, {}, {}
    for roles in run.data.values():
        roles["validation"]["fingerprint"] = "demo"
    store.save(run)
    return run


def board_of(store):
    return make_boards(store.summaries()[0], REGISTRY, "glue", tasks=["rte", "cola"])[1]


def test_a_plan_of_scored_answers_says_only_what_it_knows():
    plan = Plan(("rte",), model="big", method="scored", data="demo", seed=3)
    assert plan.is_scored
    assert set(plan.to_dict()) == {"tasks", "data", "revision", "model", "method", "seed"}
    assert plan_from(plan.to_dict()) == plan
    assert plan.digest == Plan(("rte",), model="big", method="scored", data="demo").digest
    assert plan.digest != Plan(("rte",), model="big", data="demo").digest
    assert (plan.says("steps"), plan.says("model")) == (False, True)


def test_a_board_shows_it_without_settings_of_a_training(store):
    finished(store, CHOSEN, tasks=("rte", "cola"), steps=40)
    finished(store, CHOSEN, -10, tasks=("rte", "cola"), steps=40, lr=3e-4)
    run = scored(store, shift=5)
    board = board_of(store)
    by_name = {row.name: row for row in board.rows}
    assert set(by_name) == {"big, scored", "tiny, full, lr 0.001", "tiny, full, lr 0.0003"}
    row = by_name["big, scored"]
    assert (row.runs, row.rank, row.average.mean) == ((run.id,), 1, 45.0)
    assert (row.model, row.method, row.steps, row.limit, row.temperature, row.select) == (
        "big",
        "scored",
        None,
        None,
        None,
        "",
    )
    assert row.settings == ""
    assert board.common == "proportional K=2^19 where trained, 40 steps where trained"
    assert by_name["tiny, full, lr 0.001"].steps == 40
    text = "\n".join(lines for lines, _ in drawn(board, 80))
    assert " 1  big, scored: 1 seed, demo" in text
    for name in formats.names():
        assert "big" in formats.renderer(name)(board)


def test_a_board_of_scored_runs_alone(store):
    scored(store)
    scored(store, shift=2, model="other")
    board = board_of(store)
    assert (board.common, [row.name for row in board.rows]) == ("scored", ["other", "big"])


def test_seeds_of_a_system_are_one_row(store):
    for seed in range(3):
        scored(store, shift=seed, seed=seed)
    (row,) = board_of(store).rows
    assert (row.seeds, row.average.mean) == (3, 41.0)
    assert row.average.over == "seeds and examples"


def test_its_seeds_tell_nothing_of_the_luck_of_training(store):
    for seed in range(3):
        scored(store, shift=seed, seed=seed)
    assert repeated(store.summaries()[0]) == []
    for seed in range(3):
        finished(store, CHOSEN, tasks=("rte", "cola"), seed=seed)
    assert [len(found.records) for found in repeated(store.summaries()[0])] == [3]


def test_compare_names_no_setting_that_one_side_does_not_have(store, glue):
    first, other = finished(store, CHOSEN, tasks=("rte", "cola"), select="heldout"), scored(store, shift=5)
    code, out, _ = glue("compare", first.id, other.id, "--json")
    comparison = json.loads(out)
    assert code == 0
    assert comparison["settings"] == {"model": ["tiny", "big"], "method": ["full", "scored"]}
    facts = comparison["runs"][1]
    assert {facts[name] for name in ("steps", "select", "seconds", "parameters", "trainable")} == {None}
    assert facts["mix"] == {}
    assert comparison["notes"] == []  # neither chose steps by these scores, nor was trained on other data
    third = finished(store, CHOSEN, tasks=("rte", "cola"), lr=3e-4)
    _, out, _ = glue("compare", other.id, first.id, third.id, "--json")
    assert json.loads(out)["settings"]["lr"] == [None, 1e-3, 3e-4]


REFUSALS = {
    "predict": (
        ("predict", "RUN", "--task", "rte", "--sentence1", "a", "--sentence2", "b"),
        "nothing can answer further rows",
    ),
    "submit": (("submit", "RUN"), "nothing can answer the test rows"),
    "curve": (("curve", "RUN"), "nothing was trained that a curve could show"),
    "resume": (("run", "--resume", "RUN"), "there is nothing to resume"),
    "start": (("run", "--task", "rte", "--demo", "--model", "run:RUN"), "model 'run:RUN' cannot start from it"),
}


@pytest.mark.parametrize(("arguments", "reason"), REFUSALS.values(), ids=REFUSALS)
def test_who_needs_a_model_is_told_that_there_is_none(store, glue, arguments, reason):
    run = scored(store).id
    code, out, err = glue(*(argument.replace("RUN", run) for argument in arguments))
    reason = reason.replace("RUN", run)
    assert (code, out, err) == (2, "", f"glue: run {run} has answers that were scored, not a model: {reason}\n")


def test_nothing_is_trained_by_that_name(glue):
    code, _, err = glue("run", "--task", "rte", "--demo", "--method", "scored")
    assert (code, err) == (
        2,
        "glue: method 'scored' stands for answers that glue score recorded: it trains nothing\n",
    )


def test_the_latest_unfinished_run_is_a_trained_one(store):
    run = finished(store, CHOSEN, status="interrupted")
    killed = scored(store)
    killed.status = "running"
    store.save(killed)
    assert unfinished(store, "latest").id == run.id
