"""What a constant answer scores, and what all right answers score against labels of which some are wrong."""

from dataclasses import replace

import pytest
from sklearn.metrics import matthews_corrcoef

from glue_harness.core.task import Prediction
from glue_harness.data import load
from glue_harness.metrics.baselines import baseline, ceiling, constant_answer, no_better
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


def oracle(name, wrong, where="demo:300"):
    """The ceiling on the validation rows of a demo, `wrong` of which have a wrong label."""
    task, rows = TASKS[name], load(TASKS[name], "validation", where)
    assert sum(used != right for used, right in zip(rows, rows.right, strict=True)) == wrong
    given = [task.prediction(e, e.target) for number, row in enumerate(rows) for e in task.examples(row, number)]
    return ceiling(task, given, rows.right)


def test_all_right_answers_score_what_the_wrong_labels_leave():
    assert oracle("rte", 10) == {"accuracy": 95.0}
    assert oracle("mnli_matched", 10) == {"accuracy": 95.0}
    assert oracle("wsc_eval", 10) == {"accuracy": 95.0}  # whose targets name the candidate, be it right or wrong


def test_the_ceiling_is_in_the_metric_of_the_task():
    rows = load(TASKS["cola"], "validation", "demo:300")
    labels = [[row["label"] for row in of] for of in (rows, rows.right)]
    assert oracle("cola", 8) == {"matthews_corrcoef": pytest.approx(100 * matthews_corrcoef(*labels))}
    rows = load(TASKS["multirc"], "validation", "demo:300")
    spoilt = {row["idx"]["question"] for row, right in zip(rows, rows.right, strict=True) if row != right}
    questions = {row["idx"]["question"] for row in rows}
    assert oracle("multirc", 6)["exact_match"] == pytest.approx(100 * (1 - len(spoilt) / len(questions)))


def test_without_noise_everything_can_be_right():
    assert oracle("record", 0) == {"em": 100.0, "f1": 100.0}


def test_without_a_declared_share_no_ceiling_is_known():
    assert load(replace(TASKS["rte"], demo_noise=None), "validation", "demo:50").right is None


def test_better_means_above():
    assert no_better({"accuracy": 75.0, "f1": 86.0}, {"accuracy": 75.0, "f1": 85.7}) == ["accuracy"]
    assert no_better({"f1": None, "x": 1.0}, {"f1": 3.0}) == []
