"""Rows whose texts were trained on, the score without them, and which examples are asked while training."""

import json
from dataclasses import replace
from random import Random

import pytest
from toys import toy_model, toy_tokens

from glue_harness import Plan, data, load_tasks, run
from glue_harness.cli.progress import without_trained_texts
from glue_harness.core.record import record_from
from glue_harness.data.rows import examples_of
from glue_harness.lab.rundata import Questions, some_of
from glue_harness.runs.store import Store

REGISTRY = load_tasks()
TINY = {"model": "tiny", "steps": 2, "eval_every": 1, "batch_size": 8, "device": "cpu", "max_input": 64}


def pairs(first, last):
    return [
        {"sentence1": f"This is text number {k}.", "sentence2": f"So is the text {k}", "label": k % 2}
        for k in range(first, last)
    ]


@pytest.fixture
def folder(tmp_path):
    """RTE's validation split stands in part in MRPC's train split, with sentences exchanged and in capitals."""
    rows = {
        "rte/train": pairs(0, 60),
        "rte/validation": pairs(100, 140),
        "mrpc/train": [
            *({**row, "sentence1": row["sentence2"].upper(), "sentence2": row["sentence1"]} for row in pairs(100, 107)),
            *({**row, "sentence2": f"another text, namely {k}"} for k, row in enumerate(pairs(107, 110))),
            *pairs(200, 260),
        ],
        "mrpc/validation": pairs(300, 320),
    }
    for name, of_split in rows.items():
        path = tmp_path / "data" / f"{name}.jsonl"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(json.dumps(row) + "\n" for row in of_split))
    return str(tmp_path / "data")


def test_rows_trained_on_by_another_task_are_counted_and_scored_without(folder, tmp_path):
    alone = run(Plan(("rte",), data=folder, **TINY), results=tmp_path)
    assert alone.scores["rte"].clean == {"rows": 40, "shared": 0, "whole": 0, "n": 40, "metrics": {}}
    assert without_trained_texts(alone.scores, REGISTRY) == ""
    both = run(Plan(("rte", "mrpc"), data=folder, **TINY), results=tmp_path)
    found = tmp_path / both.id / "predictions" / "rte.jsonl"
    right = [fact["label"] == fact["answer"] for fact in labels_and_answers(found)]
    accuracy = 100 * sum(right[10:]) / 30
    assert both.scores["rte"].clean == {
        "rows": 40,
        "shared": 10,
        "whole": 7,
        "n": 30,
        "metrics": {"accuracy": pytest.approx(accuracy)},
    }
    assert both.scores["mrpc"].clean["shared"] == 0
    assert Store(tmp_path).run(both.id).read_shared(REGISTRY.tasks["rte"]) == {str(k) for k in range(10)}
    line = f"share a text with rows trained on: RTE 10 of 40 rows, without them accuracy {accuracy:.2f}"
    assert without_trained_texts(both.scores, REGISTRY) == line
    assert Store(tmp_path).find(both.id).scores["rte"].clean == both.scores["rte"].clean


def labels_and_answers(path):
    facts = [json.loads(line) for line in path.read_text().splitlines()]
    return [{"label": fact["target"], "answer": fact["prediction"]} for fact in facts]


def test_what_is_not_trained_on_is_no_leak(folder, tmp_path):
    """Held-out rows and those beyond the limit are in train's file, but not in training."""
    plan = Plan(("rte", "mrpc"), data=folder, train_limit=20, select="heldout", **TINY)
    record = run(plan, results=tmp_path)
    assert record.scores["rte"].clean["shared"] < 10


def test_a_demo_is_not_looked_at(tmp_path):
    """Its rows are made of so few words that they meet by design."""
    record = run(Plan(("rte",), data="demo:40", **TINY), results=tmp_path)
    assert record.scores["rte"].clean is None
    assert Store(tmp_path).run(record.id).read_shared(REGISTRY.tasks["rte"]) == set()


def test_an_older_record_has_no_such_score(folder, tmp_path):
    values = run(Plan(("rte",), data=folder, **TINY), results=tmp_path).to_dict()
    del values["scores"]["rte"]["clean"]
    assert record_from(values).scores["rte"].clean is None


def questions_of(name, rows=60):
    task = REGISTRY.tasks[name]
    found = list(examples_of(task, data.load(task, "validation", f"demo:{rows}")))
    return task, Questions(found, toy_tokens(toy_model(), found, task))


@pytest.mark.parametrize("name", ["rte", "stsb", "multirc", "record", "wmt_en_de"])
def test_a_limit_takes_examples_by_their_texts(name):
    task, asked = questions_of(name)
    all_ids = [example.id for example in asked.examples]
    before: set[str] = set()
    for limit in (5, 20, 50):
        few = some_of(task, asked, limit)
        ids = [example.id for example in few.examples]
        assert len(ids) == min(limit, len(all_ids))
        assert before <= set(ids)
        assert ids == [i for i in all_ids if i in set(ids)] != all_ids[:limit]
        assert [few.tokens.id(k) for k in range(len(few.tokens))] == ids
        before = set(ids)
    groups = [example.group for example in asked.examples]
    cut = {e.group for e in few.examples} & {e.group for e in asked.examples if e.id not in before} - {None}
    assert len(cut) <= 1 or set(groups) == {None}


def test_the_order_of_rows_does_not_choose():
    task, asked = questions_of("rte")
    rows = Random(0).sample(asked.examples, len(asked.examples))
    shuffled = Questions([replace(example, id=str(n)) for n, example in enumerate(rows)], asked.tokens)
    chosen = {example.inputs for example in some_of(task, asked, 20).examples}
    assert {example.inputs for example in some_of(task, shuffled, 20).examples} == chosen
