"""The demo generators of GLUE: the same for everybody, balanced, in the Hub's schema, learnable."""

from collections import Counter
from random import Random

import pytest

from glue_harness.data.lexicon import balanced_rows
from glue_harness.suite.registry import load_tasks

REGISTRY = load_tasks()
GLUE = [REGISTRY.tasks[name] for name in REGISTRY.suites["glue-all"]]
TRAINED = [task for task in GLUE if task.kind != "generate"]
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
        assert max(len(row[column].split()) for column in task.columns if column != "label") <= 12


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


@pytest.mark.parametrize("task", TRAINED, **ids)
def test_words_and_pairs_of_words_give_the_answer_away(task):
    """What a linear model learns at once, a tiny transformer learns in a few hundred steps."""
    from numpy import corrcoef
    from sklearn.feature_extraction.text import CountVectorizer
    from sklearn.linear_model import LogisticRegression, Ridge
    from sklearn.pipeline import make_pipeline

    train, held_out = task.demo(Random(1), 2000), task.demo(Random(2), 400)
    learner = Ridge() if task.kind == "regress" else LogisticRegression(C=10, max_iter=300)
    model = make_pipeline(CountVectorizer(ngram_range=(1, 2), token_pattern=r"[^\s.?]+"), learner)
    model.fit([task.examples(row)[0].inputs for row in train], [row["label"] for row in train])
    answers = model.predict([task.examples(row)[0].inputs for row in held_out])
    labels = [row["label"] for row in held_out]
    if task.kind == "regress":
        assert corrcoef(answers, labels)[0, 1] > 0.9
    else:
        assert (answers == labels).mean() > 0.92
