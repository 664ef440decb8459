"""T5's best checkpoint per task and its averages, for any registry."""

import math
from collections import defaultdict
from dataclasses import replace

import pytest
from conftest import golden

from glue_harness import metrics
from glue_harness.core.task import Source
from glue_harness.metrics.selection import best_step, by_step, suite_average
from glue_harness.suite.build import classify
from glue_harness.suite.registry import Registry, load_tasks

SUITES = {"Average GLUE Score": "glue", "Average SuperGLUE Score": "superglue"}
KEYS = {  # what T5 writes in brackets after a task's name
    "F1": ("f1", "mean_3class_f1"),
    "accuracy": ("accuracy",),
    "Pearson": ("pearson_corrcoef",),
    "Spearman": ("spearman_corrcoef",),
    "EM": ("em", "exact_match"),
    "ROUGE-1": ("rouge1",),
    "ROUGE-2": ("rouge2",),
    "ROUGE-L": ("rougeLsum",),
}
TASKS = {  # T5's display name -> its registry name, where the one does not spell the other
    "MNLIm": "glue_mnli_matched_v002",
    "MNLImm": "glue_mnli_mismatched_v002",
    "GLUE RTE": "glue_rte_v002",
    "SuperGLUE RTE": "super_glue_rte_v102",
    "WSC": "super_glue_wsc_v102_simple_eval",
    "WMT T2T En-De": "wmt_t2t_ende_v003",
    "CNN/DM": "cnn_dailymail_v002",
}


@pytest.fixture(scope="module")
def registry() -> Registry:
    return load_tasks()


def lines(task: str):
    return pytest.mark.parametrize(
        "line", [line for line in golden("metric") if line["task"] == task], ids=lambda line: line["id"]
    )


def named(registry: Registry, t5_key: str) -> tuple[str, str]:
    task, _, key = t5_key.partition("/")
    return registry.task(task).name, key


@lines("benchmark_average")
def test_averages_equal_t5(registry, line):
    scores = defaultdict(dict)
    for t5_key, value in line["raw"]["scores"].items():
        task, key = named(registry, t5_key)
        scores[task][key] = value
    for title, suite in SUITES.items():
        assert suite_average(registry, suite, scores) == pytest.approx(line["expect"]["averages"].get(title), abs=1e-6)


@lines("best_checkpoint")
def test_best_checkpoints_equal_t5(registry, line):
    histories = defaultdict(list)
    for t5_key, points in line["raw"]["scores"].items():
        task, key = named(registry, t5_key)
        histories[task] += [(step, {key: value}) for step, value in points]
    found = {title: best_of(registry, title, line["raw"]["scores"], histories) for title in line["expect"]["max"]}
    assert {title: step for title, (step, _) in found.items()} == line["expect"]["step"]
    assert {title: value for title, (_, value) in found.items()} == pytest.approx(line["expect"]["max"], abs=1e-6)


def best_of(registry, title, t5_keys, histories) -> tuple[int | None, float | None]:
    """Step and value for one of T5's display names."""
    if title in SUITES:
        averages = averages_of(registry, SUITES[title], histories)
        step = max(sorted(averages), key=averages.get, default=None)
        return step, averages.get(step)
    task, key = task_and_key(registry, title, t5_keys)
    group = next((registry.scorers(t) for t in registry.tasks.values() if task.name in t.scored_by), [task])
    step = best_step(group, histories)
    return step, None if step is None else by_step(histories[task.name])[step][key]


def averages_of(registry, suite, histories) -> dict[int, float]:
    """The average at each step that has one."""
    tables = {name: by_step(history) for name, history in histories.items()}
    steps = {step for table in tables.values() for step in table}
    found = {
        step: suite_average(registry, suite, {name: table.get(step, {}) for name, table in tables.items()})
        for step in steps
    }
    return {step: average for step, average in found.items() if average is not None}


def task_and_key(registry, title, t5_keys):
    name, _, bracket = title.removesuffix(")").partition(" (")
    t5_name = TASKS.get(name) or next(
        k.partition("/")[0] for k in t5_keys if f"_{name.lower().replace('-', '')}_" in f"_{k}"
    )
    task = registry.task(t5_name)
    keys = KEYS[bracket] if bracket else task.keys
    (key,) = {*keys} & {*task.keys}
    return task, key


TOY = classify(
    "toy", fields=("text",), labels=("no", "yes"), source=Source("toy"), metrics=(metrics.f1, metrics.accuracy)
)


def at(step: int, f1=None, accuracy=None) -> tuple:
    return step, {key: value for key, value in (("f1", f1), ("accuracy", accuracy)) if value is not None}


def test_the_highest_mean_wins_and_the_first_step_on_ties():
    history = [at(30, 50, 90), at(20, 90, 50), at(10, 60, 70)]
    assert best_step([TOY], {"toy": history}) == 20
    assert by_step(history)[20] == {"f1": 90, "accuracy": 50}


def test_a_value_missing_at_a_step_is_left_out_of_its_mean():
    assert best_step([TOY], {"toy": [at(10, 50, 60), at(20, 58)]}) == 20


def test_a_step_measured_twice_keeps_the_larger_value():
    history = [at(10, 50, 50), at(20, 40, 40), at(20, 70, 30)]
    assert best_step([TOY], {"toy": history}) == 20
    assert by_step(history)[20] == {"f1": 70, "accuracy": 40}


def test_a_task_of_which_a_value_was_never_measured_has_no_best():
    assert best_step([TOY], {"toy": [at(10, f1=50)]}) is None
    assert best_step([TOY], {}) is None


@pytest.mark.parametrize("undefined", [math.nan, None])
def test_an_undefined_score_is_never_better_than_a_defined_one(undefined):
    task = replace(TOY, metrics=(metrics.accuracy,))
    nothing = {"accuracy": undefined}
    assert best_step([task], {"toy": [(10, nothing), (20, {"accuracy": -5.0})]}) == 20
    assert best_step([task], {"toy": [(20, nothing), (10, nothing)]}) == 10  # but a checkpoint there must be


def test_tasks_scored_together_choose_one_step():
    tasks = [replace(TOY, name=name, metrics=(metrics.accuracy,)) for name in ("a", "b")]
    histories = {"a": [at(10, None, 1.0), at(20, None, 2.0)], "b": [at(10, None, 9.0), at(20, None, 7.0)]}
    assert best_step(tasks, histories) == 10


def toy_registry() -> Registry:
    tasks = [
        replace(TOY, name="one", suite="s"),
        replace(TOY, name="two", suite="s", scored_by=("left", "right"), metrics=(metrics.accuracy,)),
        replace(TOY, name="left", suite="s", part="extra", metrics=(metrics.accuracy,)),
        replace(TOY, name="right", suite="s", part="extra", metrics=(metrics.accuracy,)),
        replace(TOY, name="friend", suite="s", part="companion"),
        replace(TOY, name="stranger", suite="t"),
    ]
    return Registry({task.name: task for task in tasks}, {})


SCORES = {"one": {"f1": 80.0, "accuracy": 60.0}, "left": {"accuracy": 20.0}, "right": {"accuracy": 30.0}}


def test_companions_extras_and_other_suites_do_not_count():
    assert suite_average(toy_registry(), "s", SCORES) == (70 + 25) / 2
    assert suite_average(toy_registry(), "s", {**SCORES, "friend": {"f1": 0.0, "accuracy": 0.0}}) == (70 + 25) / 2


@pytest.mark.parametrize("missing", [{}, {"accuracy": None}, {"accuracy": math.nan}])
def test_no_average_when_a_value_is_missing(missing):
    assert suite_average(toy_registry(), "s", {**SCORES, "right": missing}) is None


def test_an_average_needs_all_values_at_its_step():
    histories = {
        name: [(10, values), (20, {key: v + 1 for key, v in values.items()})] for name, values in SCORES.items()
    }
    assert averages_of(toy_registry(), "s", histories) == {10: 47.5, 20: 48.5}
    histories["left"] = histories["left"][:1]
    assert averages_of(toy_registry(), "s", histories) == {10: 47.5}
    del histories["left"]
    assert averages_of(toy_registry(), "s", histories) == {}
