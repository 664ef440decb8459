"""What a constant answer scores, and what that says of a model."""

import pytest

from glue_harness.core.task import Prediction
from glue_harness.metrics.baselines import baseline, constant_answer, no_better
from glue_harness.suite.registry import load_tasks

TASKS = load_tasks().tasks


def answered(name, pairs):
    """Predictions for pairs of a right label and an answer."""
    task = TASKS[name]
    made = []
    for number, (label, answer) in enumerate(pairs):
        row = {column: "a text" for column in task.columns if column != "idx"} | {"idx": number, "label": label}
        made += [task.prediction(example, answer) for example in task.examples(row, number)]
    return task, made


def test_the_most_frequent_label_on_the_same_rows():
    task, given = answered("mrpc", [(1, "equivalent"), (1, "not_equivalent"), (1, "equivalent"), (0, "equivalent")])
    assert baseline(task, given) == {"f1": pytest.approx(600 / 7), "accuracy": 75.0}  # 2 * 3 / (2 * 3 + 1)
    assert constant_answer(given) is None


def test_a_correlation_of_a_constant_is_undefined_or_zero():
    task, given = answered("stsb", [(1.0, "1.0"), (3.0, "2.0"), (5.0, "4.0")])
    assert baseline(task, given) == {"pearson_corrcoef": None, "spearman_corrcoef": None}
    task, given = answered("cola", [(1, "acceptable"), (0, "acceptable"), (1, "acceptable")])
    assert baseline(task, given) == {"matthews_corrcoef": 0.0}
    assert constant_answer(given) == "acceptable"


def test_one_answer_is_right_where_all_have_the_same():
    assert constant_answer(answered("cola", [(1, "acceptable"), (1, "acceptable")])[1]) is None


def test_free_texts_have_no_constant_answer():
    task = TASKS["squad"]
    example = task.examples({"id": "q", "question": "w", "context": "a", "answers": {"text": ["a"]}}, 0)[0]
    assert baseline(task, [Prediction(example, "a", "a")]) == {}


def test_better_means_above():
    assert no_better({"accuracy": 75.0, "f1": 86.0}, {"accuracy": 75.0, "f1": 85.7}) == ["accuracy"]
    assert no_better({"f1": None, "x": 1.0}, {"f1": 3.0}) == []
