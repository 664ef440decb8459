"""A model family is one file: this one trains, answers, saves, resumes and stands on a board, with no change elsewhere."""

import os

import pytest
from conftest import ROOT
from watchers import Interrupt

from glue_harness import Plan, load_tasks, run
from glue_harness.core.errors import UsageError
from glue_harness.core.settings import PLUGINS
from glue_harness.core.writing import json_text
from glue_harness.lab.predict import load
from glue_harness.report.board import make_boards
from glue_harness.runs.store import Store

REGISTRY = load_tasks()
TASKS = ("cola", "rte", "stsb")  # two of labels, one of numbers


@pytest.fixture(autouse=True)
def plugins(monkeypatch):
    monkeypatch.setenv(PLUGINS, str(ROOT / "tests" / "examples" / "plugins"))


def plan(*tasks: str, **changes) -> Plan:
    values = {"data": "demo:400", "model": "bag", "steps": 60, "lr": 0.03, "mixing": "equal", "eval_every": 20}
    return Plan(tasks or TASKS, **{**values, **changes})


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    return tmp_path_factory.mktemp("results")


@pytest.fixture
def finished(results):
    found = Store(results).finished(plan(precision="fp32").digest, 0)
    return found or run(plan(), results=results)


def test_it_learns_labels_and_numbers_together(finished):
    assert finished.status == "finished"
    assert finished.scores["cola"].metrics["matthews_corrcoef"] > 20
    assert finished.scores["stsb"].metrics["pearson_corrcoef"] > 20
    assert all(score.invalid == 0 for score in finished.scores.values())


def test_a_run_that_was_interrupted_goes_on_to_the_same_bits(finished, tmp_path):
    with pytest.raises(KeyboardInterrupt):
        run(plan(), results=tmp_path, watcher=Interrupt(33))
    (begun,) = Store(tmp_path).load_all()[0]
    again = run(None, results=tmp_path, resume=begun.id)
    assert again.resumed == [20]
    for part in ("history", "scores", "last"):  # some of it was read back from JSON
        assert json_text(again.to_dict()[part]) == json_text(finished.to_dict()[part])


def test_it_answers_from_its_checkpoint_as_it_was_scored(finished, results):
    task, store = REGISTRY.task("rte"), Store(results)
    kept = store.read_predictions(finished.id, task)
    trained = load(finished, results / finished.id, finished.scores["rte"].step)
    from glue_harness import data

    examples = [e for n, row in enumerate(data.load(task, "validation", "demo:400")) for e in task.examples(row, n)]
    assert [p.text for p in trained.answers(task, examples)] == [p.text for p in kept]


def test_another_task_starts_from_it_with_a_head_of_its_own(finished, results):
    record = run(plan("mrpc", model=f"run:{finished.id}", steps=5, eval_every=5), results=results)
    assert record.environment["model"]["run"] == finished.id
    assert record.scores["mrpc"].n > 0


def test_it_stands_on_a_board(finished, results):
    board = make_boards([finished], REGISTRY, "glue")[1]
    (row,) = board.rows
    assert row.model == "bag"
    assert {column.task for column in row.values} == set(TASKS)


def test_what_it_cannot_learn_is_refused_by_name(tmp_path):
    with pytest.raises(UsageError, match=r"model 'bag' cannot write texts, which squad needs: use a T5"):
        run(plan("squad"), results=tmp_path)


def test_a_setting_of_another_family_is_refused_rather_than_ignored(tmp_path):
    with pytest.raises(UsageError, match=r"z_loss is 0.1 but model 'bag' is of the family bag, not t5: leave it out"):
        run(plan("rte", z_loss=0.1), results=tmp_path)


@pytest.mark.parametrize("method", ["adapter", "prompt", "unfreeze"])
def test_a_method_that_needs_blocks_says_so(method, tmp_path):
    with pytest.raises(UsageError, match=f"method {method} needs blocks, of which model 'bag' has none: use"):
        run(plan("rte", method=method), results=tmp_path)


def test_heads_alone_may_learn_and_another_task_starts_from_them(tmp_path, monkeypatch):
    """What is kept is a part then, with a head that a model of other tasks has no place for."""
    (tmp_path / "methods").mkdir()
    probe = (
        "from glue_harness.methods import learn_only\n\ndef prepare(model, plan):\n    return learn_only(model, [])\n"
    )
    (tmp_path / "methods" / "probe.py").write_text(probe, encoding="utf-8")
    monkeypatch.setenv(PLUGINS, f"{ROOT / 'tests' / 'examples' / 'plugins'}{os.pathsep}{tmp_path}")
    changes = {"method": "probe", "steps": 5, "eval_every": 5}
    first = run(plan("cola", **changes), results=tmp_path)
    second = run(plan("rte", model=f"run:{first.id}", **changes), results=tmp_path)
    third = run(plan("cola", "rte", model=f"run:{second.id}", **changes), results=tmp_path)
    assert third.status == "finished"
    assert second.parameters["trainable"] < second.parameters["total"]
