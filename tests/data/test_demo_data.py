"""The demo generators: the same for everybody, balanced, in the Hub's schema, graded, wrong in a declared share."""

from collections import Counter
from random import Random

import pytest
from numpy import corrcoef
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline

from glue_harness.core.task import Task
from glue_harness.data import load
from glue_harness.data.lexicon import CONTRADICTION, ENTAILMENT, NEUTRAL, SAID, balanced_rows, coined, often
from glue_harness.suite.registry import load_tasks

REGISTRY = load_tasks()
GLUE = [REGISTRY.tasks[name] for name in REGISTRY.suites["glue-all"]]
SUPERGLUE = [REGISTRY.tasks[name] for name in ("boolq", "cb", "multirc", "superglue_rte", "wic", "wsc_marked")]
TRAINED = [task for task in GLUE if task.kind != "generate"] + SUPERGLUE
ids = {"ids": lambda task: task.name}
HUB_COLUMNS = {
    "cola": ["sentence", "label", "idx"],
    "sst2": ["sentence", "label", "idx"],
    "mrpc": ["sentence1", "sentence2", "label", "idx"],
    "stsb": ["sentence1", "sentence2", "label", "idx"],
    "qqp": ["question1", "question2", "label", "idx"],
    "mnli": ["premise", "hypothesis", "label", "idx"],
    "qnli": ["question", "sentence", "label", "idx"],
    "rte": ["sentence1", "sentence2", "label", "idx"],
    "wnli": ["sentence1", "sentence2", "label", "idx"],
    "ax": ["premise", "hypothesis", "label", "idx"],
}


def texts(rows: list[dict]) -> list[tuple]:
    return [tuple(value for name, value in row.items() if name not in ("label", "idx")) for row in rows]


@pytest.mark.parametrize("task", GLUE, **ids)
def test_same_seed_same_rows(task):
    assert task.demo(Random(3), 50) == task.demo(Random(3), 50) != task.demo(Random(4), 50)


@pytest.mark.parametrize("task", GLUE, **ids)
def test_rows_are_in_the_schema_of_the_hub(task):
    rows = task.demo(Random(0), 100)
    columns = HUB_COLUMNS[task.source.config]
    assert all(list(row) == columns for row in rows)
    assert [row["idx"] for row in rows] == list(range(100))
    label = float if task.kind == "regress" else int
    assert all(type(row["label"]) is label for row in rows)


@pytest.mark.parametrize("n", [1, 7, 100])
@pytest.mark.parametrize("task", GLUE, **ids)
def test_labels_are_balanced(task, n):
    counts = Counter(row["label"] for row in task.demo(Random(0), n))
    assert counts.total() == n
    assert max(counts.values()) - min(counts.values()) <= 1
    every = {float(k) for k in range(6)} if task.kind == "regress" else set(range(len(task.labels)))
    assert set(counts) == every or (n < len(every) and set(counts) < every)


@pytest.mark.parametrize("task", GLUE, **ids)
def test_rows_are_distinct(task):
    rows = texts(task.demo(Random(0), 5000))
    assert len(set(rows)) == len(rows)


@pytest.mark.parametrize("task", GLUE, **ids)
def test_sentences_are_short_and_encodable(task):
    for row in task.demo(Random(0), 300):
        (example,) = task.examples(row)
        assert example.target in (example.choices or (example.target,))
        assert max(len(row[column].split()) for column in task.columns if column != "label") <= 14


def test_referent_rows_name_a_noun_of_the_story():
    task = REGISTRY.tasks["wnli_referent"]
    for row in task.demo(Random(0), 300):
        (example,) = task.examples(row)
        assert example.inputs == "wsc: " + row["sentence1"].replace(" it ", " *it* ")
        named = example.target.removeprefix("The ")
        assert row["sentence2"].startswith(f"The {named} ")
        assert f" {named} " in row["sentence1"]
        assert task.decode(named, example) == 1


def test_rows_repeat_when_there_are_no_more():
    rows = balanced_rows(Random(0), 5, (0, 1), lambda label: {"sentence": str(label)})
    assert [row["sentence"] for row in rows] == [str(row["label"]) for row in rows]
    assert len(rows) == 5


def learned(task: Task, rows: int) -> float:
    """What a linear model over words and pairs of words learns of so many rows: a share, or a correlation."""
    train, held_out = task.demo(Random(1), rows), task.demo(Random(2), 1000)
    learner = Ridge() if task.kind == "regress" else LogisticRegression(C=10, max_iter=300)
    model = make_pipeline(CountVectorizer(ngram_range=(1, 2), token_pattern=r"[^\s.?]+"), learner)
    model.fit([task.examples(row)[0].inputs for row in train], [row["label"] for row in train])
    answers = model.predict([task.examples(row)[0].inputs for row in held_out])
    labels = [row["label"] for row in held_out]
    return corrcoef(answers, labels)[0, 1] if task.kind == "regress" else (answers == labels).mean()


@pytest.mark.parametrize("task", TRAINED, **ids)
def test_more_rows_teach_more(task):
    """Difficulty is graded: something is learned of a hundred rows, but not all, and much of what is left later."""
    chance = 0 if task.kind == "regress" else 1 / len(task.labels)
    few, many = learned(task, 120), learned(task, 2000)
    assert chance + 0.05 < few < 0.9
    assert few + 0.02 < many > 0.75


def test_few_words_are_frequent_and_most_are_rare():
    counts = Counter(often(Random(seed), range(100)) for seed in range(20_000))
    assert counts.keys() <= set(range(100))
    assert counts[0] / counts[1] == pytest.approx(1.7, abs=0.2)  # ln 2 / ln 1.5
    assert counts[0] > 40 * counts[99] > 0


def test_coined_words_are_always_the_same_and_mean_one_thing():
    assert coined("way", 30) == coined("way", 30) == coined("way", 40)[:30] != coined("place", 30)
    relations = (ENTAILMENT, NEUTRAL, CONTRADICTION)
    assert len({word for relation in relations for word in SAID[relation]}) == sum(len(SAID[r]) for r in relations)


def pairs_of(task: Task, role: str) -> list[tuple[dict, dict]]:
    """Rows as they are used, each beside the one that the generator made."""
    split = task.splits[role]
    right = task.demo(Random(f"{task.source.config}/{split}/300"), 300) if role == "train" else None
    rows = load(task, role, "demo:300")
    return list(zip(rows, rows.right or right, strict=True))


@pytest.mark.parametrize("name", ["cola", "stsb", "mnli", "rte", "multirc", "wsc"])
def test_exactly_the_declared_share_of_training_labels_is_wrong(name):
    task = REGISTRY.task(name)
    pairs = pairs_of(task, "train")
    wrong = [(used, right) for used, right in pairs if used != right]
    assert len(wrong) == round(300 * task.demo_noise) > 0
    assert all({**used, "label": right["label"]} == right for used, right in wrong)
    assert load(task, "train", "demo:300").fingerprint == load(task, "train", "demo:300").fingerprint


@pytest.mark.parametrize("name", ["sst2", "stsb", "mnli_mismatched", "multirc", "wsc_eval"])
def test_the_same_share_of_validation_labels_is_wrong_and_the_right_ones_are_known(name):
    task = REGISTRY.task(name)
    pairs = pairs_of(task, "validation")
    assert sum(used["label"] != right["label"] for used, right in pairs) == round(200 * task.demo_noise) > 0
    assert all({**used, "label": None} == {**right, "label": None} for used, right in pairs)
    assert load(task, "test", "demo:300").right is None


def test_tasks_that_share_their_rows_share_what_is_wrong_with_them():
    glue, superglue = (load(REGISTRY.task(name), "validation", "demo") for name in ("rte", "superglue_rte"))
    assert [row["label"] for row in glue] == [row["label"] for row in superglue]
    assert [row["sentence2"] for row in glue] == [row["hypothesis"] for row in superglue]


def test_every_scored_task_states_its_noise():
    assert [
        t.name for t in REGISTRY.tasks.values() if t.demo_noise is None and t.metrics and "validation" in t.splits
    ] == []
