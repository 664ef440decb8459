"""Examples that are not independent name the same cluster, and their answers keep it."""

import json
from random import Random

import pytest

from glue_harness.metrics.answers import read_answers
from glue_harness.runs.folder import RunFolder
from glue_harness.suite.registry import load_tasks

REGISTRY = load_tasks()
WSC_ROW = {"text": "Ann told Eve that she had won .", "span2_index": 4, "span2_text": "she", "idx": 0}
ROWS = {
    "multirc": [
        {"paragraph": "p", "question": q, "answer": a, "label": 1, "idx": {"paragraph": p, "question": k, "answer": 0}}
        for p, k, q, a in ((3, 7, "q", "a"), (3, 8, "r", "b"), (4, 9, "q", "a"))
    ],
    "record": [
        {"passage": "Ann", "query": q, "entities": ["Ann"], "answers": ["Ann"], "idx": {"passage": p, "query": k}}
        for p, k, q in ((3, 7, "q"), (3, 8, "r"), (4, 9, "q"))
    ],
    "squad": [
        {"context": c, "question": q, "answers": {"text": ["a"]}} for c, q in (("a b", "q"), ("a b", "r"), ("a c", "q"))
    ],
    "wsc_eval": [
        {**WSC_ROW, "span1_index": 0, "span1_text": "Ann", "label": 1},
        {**WSC_ROW, "span1_index": 2, "span1_text": "Eve", "label": 0},
        {**WSC_ROW, "text": "Ann told Eve that she had lost .", "span1_index": 0, "span1_text": "Ann", "label": 1},
    ],
}
ROWS["wsc_marked"] = ROWS["wsc_eval"]


@pytest.mark.parametrize("name", ROWS)
def test_examples_about_one_text_are_one_cluster(name, tmp_path):
    task = REGISTRY.tasks[name]
    examples = [example for k, row in enumerate(ROWS[name]) for example in task.examples(row, k)]
    first, second, third = (example.cluster for example in examples)
    assert first is not None
    assert (first == second, first == third) == (True, False)
    folder = RunFolder(tmp_path)
    folder.write_predictions(name, [task.prediction(example, example.target) for example in examples])
    assert [p.example.cluster for p in folder.read_predictions(task)] == [first, second, third]


@pytest.mark.parametrize("name", ["cola", "mnli_matched", "copa", "wic"])
def test_other_examples_are_by_themselves(name):
    task = REGISTRY.tasks[name]
    rows = task.demo(Random(0), 4)
    assert {example.cluster for k, row in enumerate(rows) for example in task.examples(row, k)} == {None}


def test_answers_of_other_systems_need_not_know_their_cluster(tmp_path):
    for name, info, target in (
        ("multirc", {"idx": {"question": 1}}, "True"),
        ("squad", {"answers": ["a"]}, "a"),
        ("wsc_eval", {"label": 1}, "Ann"),
    ):
        file = tmp_path / f"{name}.jsonl"
        file.write_text(json.dumps({"target": target, "prediction": target, "example": info}) + "\n")
        with open(file, "rb") as lines:
            (found,) = read_answers(REGISTRY.task(name), lines, file.name)
        assert found.example.cluster is None
