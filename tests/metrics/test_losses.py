"""How wrong single answers are: by shares, by distance, by what is missing in their own score."""

import math

import pytest

from glue_harness.core.task import Text
from glue_harness.metrics import losses as module
from glue_harness.metrics import measure
from glue_harness.metrics.losses import judge
from glue_harness.suite.registry import load_tasks

TASKS = load_tasks().tasks


def answered(name, *facts):
    """Predictions of (target, answer, shares, info), where the last ones may be left out."""
    task, found = TASKS[name], []
    for number, (target, answer, *more) in enumerate(facts):
        shares, info = (*more, {}, {})[:2]
        found.append(task.prediction(task.example(Text("", target, info), str(number), {}), answer, shares))
    return task, found


def losses(name, *facts):
    return [(found.is_right, pytest.approx(found.loss)) for found in judge(*answered(name, *facts))]


def test_a_label_is_right_or_wrong_and_shares_say_how_much():
    found = losses(
        "rte",
        ("entailment", "entailment"),
        ("entailment", "not_entailment"),
        ("entailment", "maybe"),
        ("entailment", "entailment", {"entailment": 0.6, "not_entailment": 0.4}),
        ("entailment", "not_entailment", {"entailment": 0.1, "not_entailment": 0.9}),
        ("entailment", "not_entailment", {"not_entailment": 0.9}),  # the right one was not reached
    )
    assert found == [(True, 0.0), (False, 1.0), (False, 1.0), (True, 0.4), (False, 0.9), (False, 1.0)]


def test_a_number_is_as_wrong_as_it_is_far():
    found = losses("stsb", ("3.0", "3.0"), ("3.0", "4.2"), ("3.0", "high"), ("3.0", "nan"))
    assert found == [(True, 0.0), (False, 1.2), (False, 4.0), (False, math.inf)]  # T5 takes what is no number for -1


def test_free_text_is_as_wrong_as_its_own_score_is_low():
    info = {"answers": ["the old house", "a house"]}
    found = losses("squad", ("", "The house.", {}, info), ("", "old house here", {}, info), ("", "barn", {}, info))
    assert found[0] == (True, 0.0)
    # exact 0, F1 of {old, house} in {old, house, here} is 0.8
    assert found[1] == (False, 60.0)
    assert found[2] == (False, 100.0)


def test_what_is_scored_as_one_is_judged_as_one():
    """The first of the answers to a query counts, as in its score."""
    info = {"answers": ["Ann", "Bob"], "idx": {"passage": 0, "query": 0}}
    other = {"answers": ["Cy"], "idx": {"passage": 0, "query": 1}}
    task, found = answered("record", ("Ann", "Bob", {}, info), ("Bob", "Eve", {}, info), ("Cy", "Eve", {}, other))
    judged = judge(task, found)
    assert [(j.prediction.example.id, j.is_right) for j in judged] == [("0", True), ("2", False)]


@pytest.mark.parametrize("name", ["squad", "cnn_dailymail"])
def test_losses_of_means_average_to_what_the_score_lacks(name, monkeypatch):
    """Also where units are more than are scored in one go."""
    monkeypatch.setattr(module, "AT_ONCE", 3)
    texts = ["a cat sat", "a cat ran home", "dogs", "the dog sat", "a cat", "home", "cat sat"]
    facts = [("a cat sat", text, {}, {"answers": ["a cat sat", "dogs"]}) for text in texts]
    task, found = answered(name, *facts)
    values = measure(task.metrics, found).values()
    lacking = sum(100 - value for value in values) / len(values)
    judged = judge(task, found)
    assert len(judged) == len(texts)
    assert sum(j.loss for j in judged) / len(judged) == pytest.approx(lacking)
