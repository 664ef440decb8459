"""A run that ends when nothing gets better: where it ends, what is kept of it, and that a resumed one ends there too."""

import math

import pytest
from records import runner
from watchers import Interrupt

from glue_harness import Plan, load_tasks, run
from glue_harness.core.errors import UsageError
from glue_harness.core.writing import json_text
from glue_harness.lab import attempt
from glue_harness.metrics.selection import wait_of
from glue_harness.runs.folder import RunFolder
from glue_harness.runs.store import Store

REGISTRY = load_tasks()
STILL = {"data": "demo:60", "model": "tiny", "batch_size": 8, "eval_every": 5, "lr": 1e-12, "device": "cpu"}
"""At this rate no answer changes: the first evaluation stays the best one."""


def plan(*tasks: str, **changes) -> Plan:
    return Plan(tasks or ("rte",), **{**STILL, "steps": 40, "patience": 2, **changes})


@pytest.fixture(scope="module")
def ended(tmp_path_factory):
    folder = tmp_path_factory.mktemp("results")
    return run(plan(), results=folder), folder


def test_it_ends_after_so_many_evaluations_without_a_better_one(ended):
    record, _ = ended
    score = record.history["rte"][0][1]["accuracy"]
    assert record.status == "finished"
    assert [step for step, _ in record.history["rte"]] == [5, 10, 15]
    assert record.scores["rte"].step == 5
    assert record.stopped == {
        "step": 15,
        "why": "ended after step 15 of 40: 2 evaluations without a better mean of rte "
        f"than {score:.2f}, of step 5 (patience)",
    }
    assert (record.plan["steps"], record.last_step) == (40, 15)


def test_the_rate_is_still_that_of_the_planned_steps(ended):
    record, folder = ended
    rates = {entry["step"]: entry["lr"] for entry in Store(folder).read_train(record.id)}
    assert rates == {1: pytest.approx(1e-12), 10: pytest.approx(1e-12 * 31 / 40)}
    assert record.last["rte"].step == 15


def test_another_run_starts_from_where_it_ended(ended):
    record, folder = ended
    kept = RunFolder(folder / record.id)
    assert kept.has_checkpoint(15)
    again = run(plan(model=f"run:{record.id}", steps=1, patience=None), results=folder)
    assert again.environment["model"]["step"] == 15
    assert again.stopped is None


def test_it_says_so(tmp_path, capsys):
    options = ("--data", "demo:60", "-m", "tiny", "--steps", "9", "--eval-every", "1", "--lr", "1e-12")
    code, out, err = runner(capsys)("run", "-t", "rte", *options, "--set", "patience=3", "--results", tmp_path)
    assert code == 0
    assert "ends early after 3 evaluations without a better mean of the tasks' scores" in err
    assert "ended after step 4 of 9: 3 evaluations without a better mean of rte than " in out


@pytest.mark.parametrize("at", [7, 15])
def test_a_resumed_run_ends_where_it_would_have_ended(at, ended, tmp_path):
    with pytest.raises(KeyboardInterrupt):
        run(plan(), results=tmp_path, watcher=Interrupt(at))
    again = run(None, results=tmp_path, resume="latest")
    for part in ("history", "scores", "last", "stopped", "mix"):
        assert json_text(again.to_dict()[part]) == json_text(ended[0].to_dict()[part])


def test_killed_behind_its_last_snapshot_it_trains_no_further(ended, tmp_path, monkeypatch):
    """The snapshot of its last step says that it is over."""
    with monkeypatch.context() as patched:
        patched.setattr(attempt.Attempt, "_add_yardsticks", lambda self: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            run(plan(), results=tmp_path)
    again = run(None, results=tmp_path, resume="latest")
    assert again.resumed == [15]
    assert again.stopped == ended[0].stopped
    assert [step for step, _ in again.history["rte"]] == [5, 10, 15]


def test_patience_that_runs_out_at_the_last_planned_step_cuts_nothing_short(tmp_path):
    record = run(plan(steps=15), results=tmp_path)
    assert [step for step, _ in record.history["rte"]] == [5, 10, 15]
    assert (record.stopped, record.last_step) == (None, 15)


def test_of_several_tasks_the_mean_must_get_better():
    """Each counts as one, however many values it has; what is undefined counts as 0; the earliest best counts."""
    mrpc, rte = REGISTRY.task("mrpc"), REGISTRY.task("rte")
    history = {
        "mrpc": [(1, {"f1": 80.0, "accuracy": 60.0}), (2, {"f1": 90.0, "accuracy": 70.0}), (3, {"f1": None, "accuracy": 90.0})],
        "rte": [(1, {"accuracy": 50.0}), (2, {"accuracy": 40.0}), (3, {"accuracy": 71.0})],
    }  # fmt: skip
    assert wait_of([(mrpc,), (rte,)], history) == (2, 1, 60.0)  # 60, 60, 58
    assert wait_of([(mrpc,)], history) == (1, 2, 80.0)
    assert wait_of([(rte,)], history) == (0, 3, 71.0)
    assert wait_of([()], {}) == (0, 0, 0.0)
    assert wait_of([(rte,)], {"rte": [(1, {"accuracy": math.nan}), (2, {"accuracy": 1.0})]}) == (0, 2, 1.0)


def test_patience_needs_scores(tmp_path):
    text = tmp_path / "text.txt"
    text.write_text("some words of plain text\n" * 50, encoding="utf-8")
    with pytest.raises(UsageError, match=r"^patience is 2 but no task of span_corruption is scored: leave it out$"):
        run(plan("span_corruption", text=str(text)), results=tmp_path)
