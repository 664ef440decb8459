"""Demo rows of SuperGLUE and DPR: repeatable, balanced, true to the Hub's schema."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from random import Random

import pytest

from glue_harness.data.lexicon import MEN, WOMEN
from glue_harness.suite.registry import load_tasks

REGISTRY = load_tasks()
LABELLED = ("boolq", "cb", "copa", "multirc", "superglue_rte", "wic", "wsc", "wsc_marked", "dpr", "axb", "axg")


def rows_of(name: str, n: int, seed: int = 1) -> list[dict]:
    return REGISTRY.task(name).demo(Random(seed), n)


def examples_of(name: str, n: int, seed: int = 1) -> list:
    return [example for row in rows_of(name, n, seed) for example in REGISTRY.task(name).examples(row)]


@pytest.mark.parametrize("name", [*LABELLED, "record"])
def test_demo_rows_are_repeatable_and_various(name):
    assert rows_of(name, 60) == rows_of(name, 60)
    assert rows_of(name, 60) != rows_of(name, 60, seed=2)
    inputs = [str([row[column] for column in REGISTRY.task(name).columns]) for row in rows_of(name, 500)]
    assert len(set(inputs)) > 490


@pytest.mark.parametrize("name", [*LABELLED, "record"])
@pytest.mark.parametrize("n", [1, 31, 90])
def test_demo_rows_encode(name, n):
    rows, task = rows_of(name, n), REGISTRY.task(name)
    assert len(rows) == n
    assert all(set(task.needs) <= row.keys() for row in rows)
    assert name == "wsc" or len(examples_of(name, n)) == n


@pytest.mark.parametrize("name", LABELLED)
@pytest.mark.parametrize("n", [31, 90])
def test_demo_labels_are_balanced(name, n):
    counts = Counter(row["label"] for row in rows_of(name, n))
    assert set(counts) == set(range(len(REGISTRY.task(name).labels) or 2))
    assert max(counts.values()) - min(counts.values()) <= 1


def test_multirc_questions_have_right_and_wrong_answers():
    questions = defaultdict(list)
    for row in rows_of("multirc", 40):
        questions[row["idx"]["question"]].append(row)
    assert len(questions) == 10
    for rows in questions.values():
        assert {(row["question"], row["paragraph"]) for row in rows} == {(rows[0]["question"], rows[0]["paragraph"])}
        assert len({row["idx"]["answer"] for row in rows}) == 4
        assert all((row["answer"] in row["paragraph"]) == row["label"] for row in rows)


def test_record_asks_for_the_person_that_the_verb_says():
    sides = defaultdict(set)
    for row in rows_of("record", 300):
        spans = row["entity_spans"]
        for text, start, end in zip(spans["text"], spans["start"], spans["end"], strict=True):
            assert row["passage"][start:end] == text
        assert row["entities"] == sorted(spans["text"])
        first, verb, second, *_ = row["passage"].split()
        people = [name for name in row["entities"] if name in WOMEN + MEN]
        if verb == "from":
            assert people == row["answers"] == [first]
        else:
            assert people == sorted((first, second))
            sides[verb].add((first, second).index(*row["answers"]))
        assert "@placeholder" in row["query"]
    assert {len(of_verb) for of_verb in sides.values()} == {1}
    assert {place for of_verb in sides.values() for place in of_verb} == {0, 1}


def test_wic_offsets_cut_the_word_out():
    for row in rows_of("wic", 50):
        assert row["sentence1"][row["start1"] : row["end1"]] == row["word"]
        assert row["sentence2"][row["start2"] : row["end2"]] == row["word"]


@pytest.mark.parametrize("name", ["wsc", "wsc_marked"])
def test_wsc_label_says_whether_the_pronoun_fits_the_name(name):
    for row in rows_of(name, 50):
        words = row["text"].split(" ")
        assert words[row["span1_index"]] == row["span1_text"]
        assert words[row["span2_index"]] == row["span2_text"]
        assert (row["span1_text"] in {"she": WOMEN, "he": MEN}[row["span2_text"]]) == row["label"]


def test_referents_are_names_of_the_text():
    for name in ("wsc", "dpr"):
        for example in examples_of(name, 50):
            pronoun = re.search(r" \*(she|he)\* ", example.inputs).group(1)
            assert example.target in {"she": WOMEN, "he": MEN}[pronoun]
            assert f" {example.target} " in example.inputs
            assert example.inputs.count("*") == 2
