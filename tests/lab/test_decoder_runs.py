"""Runs of decoders from rows to a board: labels, numbers, choices and free texts in one model, under each method."""

from __future__ import annotations

import pytest
from decoders import SIZES, write_decoder

from glue_harness import Plan, data, load_tasks, run
from glue_harness.core.errors import UsageError
from glue_harness.data.own import question
from glue_harness.lab.predict import load
from glue_harness.runs.store import Store

REGISTRY = load_tasks()
TASKS = ("rte", "stsb", "copa", "squad")
METHODS = {
    "full": {},
    "unfreeze": {},
    "frozen": {},
    "adapter": {"adapter_width": 4},
    "lora": {"lora_rank": 2},
    "prompt": {"prompt_length": 5},
    "prune": {"keep": 0.5},
}


def plan(model, *tasks: str, **changes) -> Plan:
    values = {"data": "demo:40", "steps": 4, "batch_size": 8, "lr": 1e-3, "mixing": "equal", "eval_every": 2}
    own = {"max_input": 128, "precision": "fp32", "max_answer": 6, "device": "cpu"}
    return Plan(tasks or TASKS, model=str(model), **{**values, **own, **changes})


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return {kind: write_decoder(tmp_path_factory.mktemp(kind), kind) for kind in SIZES}


def answers_again(record, results, name):
    task = REGISTRY.tasks[name]
    trained = load(record, results / record.id, record.scores[name].step)
    rows = data.load(task, "validation", record.plan["data"])
    examples = [e for number, row in enumerate(rows) for e in task.examples(row, number)]
    return [p.text for p in trained.answers(task, examples)]


def kept_answers(record, results, name):
    return [p.text for p in Store(results).read_predictions(record.id, REGISTRY.tasks[name])]


@pytest.mark.parametrize("method", METHODS)
def test_every_method_trains_a_decoder_and_answers_again_from_its_checkpoint(method, folder, tmp_path):
    if method == "lora":
        pytest.importorskip("peft")
    record = run(plan(folder["gpt2"], method=method, **METHODS[method]), results=tmp_path)
    assert set(record.scores) == set(TASKS)
    if method not in ("full", "unfreeze", "prune"):
        assert record.parameters["trainable"] < record.parameters["total"]
    for name in ("rte", "squad"):
        assert answers_again(record, tmp_path, name) == kept_answers(record, tmp_path, name)
    after = run(plan(f"run:{record.id}", "rte", steps=2, method=method, **METHODS[method]), results=tmp_path)
    assert after.environment["model"]["run"] == record.id


@pytest.mark.parametrize("kind", SIZES)
def test_every_architecture_is_trained(kind, folder, tmp_path):
    record = run(plan(folder[kind], "rte", "copa", steps=2), results=tmp_path)
    assert answers_again(record, tmp_path, "copa") == kept_answers(record, tmp_path, "copa")
    assert record.environment["model"]["family"] == f"decoder ({kind})"


def test_a_decoder_from_scratch_learns_a_vocabulary_and_the_demo(tmp_path):
    record = run(plan("gpt:tiny", "rte", data="demo", steps=200, batch_size=32, eval_every=50, dropout=0.0,
                      max_input=64), results=tmp_path)  # fmt: skip
    assert record.scores["rte"].metrics["accuracy"] > 65
    assert record.scores["rte"].invalid == 0


def test_a_row_without_an_answer_loses_nothing(folder, tmp_path):
    record = run(plan(folder["gpt2"], "rte", steps=1), results=tmp_path)
    task = REGISTRY.tasks["rte"]
    asked = question(task, {"sentence1": "A cat sleeps.", "sentence2": "An animal sleeps."})
    assert load(record, tmp_path / record.id, 1).cut(task, [asked]) == [0]


def test_strict_answers_are_scored_as_they_were_written(folder, tmp_path):
    record = run(plan(folder["gpt2"], "rte", answers="strict", steps=1, lr=1e-6), results=tmp_path)
    assert record.scores["rte"].invalid > 0


def test_the_weighing_of_choices_is_part_of_the_plan(folder, tmp_path):
    one, other = plan(folder["gpt2"], "rte"), plan(folder["gpt2"], "rte", candidates="mean")
    assert one.digest != other.digest
    with pytest.raises(UsageError, match="candidates is mean but model 'bert:tiny' is of the family encoder"):
        run(plan("bert:tiny", "rte", candidates="mean"), results=tmp_path)


def test_dropout_of_a_plan_reaches_every_architecture(folder):
    from glue_harness.models.families import load_model

    model = load_model(plan(folder["opt"], "rte", dropout=0.25), (), ())
    rates = {part.dropout for part in model.module.modules() if isinstance(getattr(part, "dropout", None), float)}
    assert rates == {0.25}
