"""Runs of an encoder from rows to a board: every kind of head in one model, on demo rows and a folder of 30,000 weights."""

from __future__ import annotations

import json
from random import Random

import pytest
from encoders import SIZES, write_encoder
from watchers import Interrupt

from glue_harness import Plan, data, load_tasks, run
from glue_harness.core.errors import UsageError
from glue_harness.core.record import Record
from glue_harness.core.writing import json_text
from glue_harness.lab.predict import load
from glue_harness.lab.request import make_request
from glue_harness.report.board import make_boards
from glue_harness.runs.store import Store

REGISTRY = load_tasks()
HEADS = ("rte", "stsb", "copa", "wic", "squad")
ARCHITECTURES = [*SIZES, "distilbert"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    made = {}

    def of(kind: str):
        if kind not in made:
            made[kind] = write_encoder(tmp_path_factory.mktemp(kind), kind, positions=128)
        return str(made[kind])

    return of


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    return tmp_path_factory.mktemp("results")


def plan(model: str, *tasks: str, **changes) -> Plan:
    values = {"data": "demo:60", "steps": 8, "batch_size": 8, "lr": 1e-3, "mixing": "equal", "eval_every": 4}
    return Plan(tasks or HEADS, model=model, max_input=64, precision="fp32", **{**values, **changes})


def same_bits(one: Record, other: Record) -> None:
    for part in ("history", "scores", "last"):
        assert json_text(one.to_dict()[part]) == json_text(other.to_dict()[part])


@pytest.fixture(scope="module")
def finished(results, folder):
    return run(plan(folder("bert")), results=results)


def test_every_kind_of_head_is_trained_scored_and_recorded(finished):
    assert finished.status == "finished"
    assert set(finished.scores) == set(HEADS)
    assert all(score.invalid == 0 for score in finished.scores.values())
    assert finished.environment["model"]["kind"] == "pretrained"


@pytest.mark.parametrize("kind", ARCHITECTURES)
def test_every_architecture_is_trained_stopped_and_resumed_and_answers_again(kind, folder, tmp_path):
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    asked = plan(folder(kind), "mrpc", "copa", steps=4, eval_every=2)
    record = run(asked, results=whole)
    with pytest.raises(KeyboardInterrupt):
        run(asked, results=parts, watcher=Interrupt(3))
    (begun,) = Store(parts).load_all()[0]
    resumed = run(None, results=parts, resume=begun.id)
    assert resumed.resumed == [2]
    same_bits(resumed, record)
    logs = [(results / of.id / "train.jsonl").read_text() for results, of in ((whole, record), (parts, resumed))]
    assert logs[0] == logs[1]
    assert [json.loads(line).get("scored") for line in logs[0].splitlines()] == [None, 2, None, 4]

    again = load(record, whole / record.id, record.scores["copa"].step)
    task = REGISTRY.tasks["copa"]
    kept = Store(whole).read_predictions(record.id, task)
    rows = data.load(task, "validation", "demo:60")
    examples = [e for number, row in enumerate(rows) for e in task.examples(row, number)]
    assert [p.text for p in again.answers(task, examples)] == [p.text for p in kept]


@pytest.mark.parametrize("method", ["adapter", "frozen", "prompt", "lora", "unfreeze"])
def test_what_a_method_trained_of_it_answers_again_and_is_gone_on_from(method, folder, tmp_path):
    """Its head learns with it, and is kept beside it; another task's run has no place for that, and makes its own."""
    if method == "lora":
        pytest.importorskip("peft")
    first = run(plan(folder("bert"), "cola", "copa", steps=2, eval_every=2, method=method), results=tmp_path)
    second = run(plan(f"run:{first.id}", "copa", "rte", steps=2, eval_every=2, method=method), results=tmp_path)
    task = REGISTRY.tasks["copa"]
    rows = data.load(task, "validation", "demo:60")
    examples = [e for number, row in enumerate(rows) for e in task.examples(row, number)]
    for record in (first, second):
        again = load(record, tmp_path / record.id, 2)
        kept = Store(tmp_path).read_predictions(record.id, task)
        assert [p.text for p in again.answers(task, examples)] == [p.text for p in kept]


def test_interrupted_and_resumed_it_ends_with_the_same_bits(folder, tmp_path, finished):
    with pytest.raises(KeyboardInterrupt):
        run(plan(folder("bert")), results=tmp_path, watcher=Interrupt(5))
    (begun,) = Store(tmp_path).load_all()[0]
    again = run(None, results=tmp_path, resume=begun.id)
    assert again.resumed == [4]
    same_bits(again, finished)


def test_it_stands_on_a_board(finished):
    board = make_boards([finished], REGISTRY, "glue")[1]
    assert [column.task for column in board.rows[0].values if column.task in HEADS]


@pytest.mark.parametrize("changes", [
    {"select": "heldout", "heldout": 10},
    {"batch_tokens": 256},
    {"mixing": "proportional", "limit": 40.0},
    {"mixing": "temperature", "temperature": 2.0},
    {"mixing": "custom", "rates": {"rte": 1.0, "copa": 3.0}},
    {"packing": "buckets"},
    {"micro_batch": 3},
    {"optimizer": "adafactor"},
])  # fmt: skip
def test_how_t5_is_trained_an_encoder_is_too(changes, folder, tmp_path):
    record = run(plan(folder("bert"), "rte", "copa", steps=3, eval_every=3, **changes), results=tmp_path)
    assert record.status == "finished"


def test_another_task_starts_from_its_best_step_with_a_head_of_its_own(finished, results, folder):
    record = run(plan(f"run:{finished.id}@rte", "cola", steps=2, eval_every=2), results=results)
    said = record.environment["model"]
    assert said["run"] == finished.id
    assert said["heads"] == {"cola": "of rte, its output layer made anew: the labels differ"}


def test_a_head_answers_what_it_was_not_trained_on(results, folder):
    """AX has no rows to train on: MNLI's head answers it."""
    record = run(plan(folder("bert"), "mnli", steps=2, eval_every=2), results=results)
    assert set(record.scores) == {"mnli_matched", "mnli_mismatched"}
    trained = load(record, results / record.id, record.scores["mnli_matched"].step)
    task = REGISTRY.tasks["ax"]
    examples = [e for number, row in enumerate(task.demo(Random(0), 4)) for e in task.examples(row)]
    assert {p.text for p in trained.answers(task, examples)} <= set(task.choices)


def test_superglue_is_trained_without_the_companion_that_an_encoder_cannot_read(folder, tmp_path):
    record = run(plan(folder("bert"), "superglue", steps=2, eval_every=2, data="demo:30"), results=tmp_path)
    assert record.status == "finished"
    assert any("dpr is left out" in note for note in record.notes)


def test_from_scratch_with_a_vocabulary_of_its_own(tmp_path):
    record = run(plan("bert:tiny", "cola", steps=2, eval_every=2), results=tmp_path)
    assert record.environment["model"]["kind"] == "from scratch"


def test_a_task_that_it_cannot_read_is_refused_by_name(folder, tmp_path):
    with pytest.raises(UsageError, match="cannot write texts, which cnn_dailymail needs: use a T5"):
        run(plan(folder("bert"), "rte", "cnn_dailymail"), results=tmp_path)


def test_its_settings_are_refused_for_a_t5(tmp_path):
    with pytest.raises(
        UsageError, match=r"stride is 7 but model 'tiny' is of the family t5, not encoder: leave it out"
    ):
        run(plan("tiny", "rte", stride=7), results=tmp_path)


def test_a_plan_of_it_is_checked_without_torch(folder):
    assert make_request(plan(folder("bert")), REGISTRY).trained
