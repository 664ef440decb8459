"""How far a run of another process has come, by its files."""

import os
import time

import pytest
from records import finished
from runs.test_finding import at_work

from glue_harness.core.plan import Plan
from glue_harness.runs.store import Store
from glue_harness.runs.underway import at_work as those_at_work
from glue_harness.runs.underway import standing, standings


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "results")


@pytest.fixture
def record(store):
    """Step 40 of 100, reached in 20 seconds, ten of them ago; scored at step 30."""
    record = finished(store, status="running", steps=100)
    record.history = {"rte": [(10, {"accuracy": 50.0}), (30, {"accuracy": 60.0})]}
    store.save(record)
    run = store.run(record.id)
    run.save_plan(Plan(**record.plan))
    for step in (10, 40):
        run.append_train({"step": step, "loss": 1.0 / step})
    now = time.time()
    os.utime(run.plan_file, (now - 30, now - 30))
    os.utime(run.log, (now - 10, now - 10))
    return record


def test_where_a_run_stands(store, record):
    with at_work(store.run_folder(record.id)):
        found = standing(store, record.id)
    assert (found.status, found.step, found.steps, found.loss) == ("running", 40, 100, 0.025)
    assert (found.scored_at, found.scores) == (30, {"rte": {"accuracy": 60.0}})
    assert found.seconds_left == pytest.approx(60 * 0.5 - 10, abs=5)  # half a second a step


def test_the_pace_is_that_of_this_attempt(store, record):
    record.resumed = [30]
    store.save(record)
    assert standing(store, record.id).seconds_left == pytest.approx(60 * 2 - 10, abs=5)  # 20 seconds for ten steps


def test_a_line_that_is_being_written_is_not_read(store, record):
    with open(store.run(record.id).log, "ab") as file:
        file.write(b'{"step": 50, "lo')
    assert standing(store, record.id).step == 40


def test_a_run_that_has_just_begun(store):
    found = standing(store, finished(store, status="running").id)
    assert (found.step, found.loss, found.seconds_left, found.scores) == (0, None, None, {})


def test_which_runs_are_at_work(store, record):
    finished(store, seed=1)
    assert those_at_work(store) == []
    with at_work(store.run_folder(record.id)):
        assert those_at_work(store) == [record.id]


def test_a_run_that_is_removed_meanwhile_is_left_out(store, record):
    assert [one.id for one in standings(store, [record.id, "20250101-000000-gone-s0-00000000"])] == [record.id]
