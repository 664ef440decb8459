"""SuperGLUE and DPR: T5's texts byte for byte, and the official files as rows in the Hub's schema."""

from __future__ import annotations

import json
from collections import Counter
from hashlib import sha256

import pytest
from conftest import golden

from glue_harness.core.errors import RowError
from glue_harness.core.task import HIDDEN
from glue_harness.suite.registry import load_tasks

REGISTRY = load_tasks()
VECTORS = [line for line in golden("preprocess") if line["task"] == "dpr" or line["task"].startswith("super_glue/")]
MEMBERS = ("boolq", "cb", "copa", "multirc", "record", "superglue_rte", "wic", "wsc")
ROWS = {  # of shared/data/superglue, where some files are subsets and ReCoRD has no test file
    "boolq": {"train": 261, "validation": 3270, "test": 3245},
    "cb": {"train": 250, "validation": 56, "test": 250},
    "copa": {"train": 400, "validation": 100, "test": 500},
    "multirc": {"train": 27243, "validation": 4848, "test": 9693},
    "record": {"train": 32, "validation": 32},
    "superglue_rte": {"train": 2490, "validation": 277, "test": 3000},
    "wic": {"train": 5428, "validation": 638, "test": 1400},
    "wsc": {"train": 554, "validation": 104, "test": 146},
    "axb": {"test": 1104},
    "axg": {"test": 356},
}


def adapted(name: str, record: dict) -> list[dict]:
    return list(REGISTRY.task(name).source.adapt(record))


def official(shared, name: str, split: str) -> list[dict]:
    """The rows of one file of the official download."""
    source = REGISTRY.task(name).source
    folder = shared / "data" / "superglue" / source.folder
    file = next(folder / file for file in source.files[split].names if (folder / file).exists())
    with file.open(encoding="utf-8") as lines:
        return [row for line in lines for row in source.adapt(json.loads(line))]


def side_data(info: dict) -> dict:
    """What a task keeps for scoring, under T5's names."""
    nested = {f"idx/{name}": value for name, value in info["idx"].items()} if isinstance(info.get("idx"), dict) else {}
    return {**info, **nested}


def scene(**changes) -> dict:
    row = {"text": "Ida saw Ben before he left .", "span1_index": 2, "span1_text": "Ben"}
    return row | {"span2_index": 4, "span2_text": "he", "label": 1, "idx": 0} | changes


@pytest.mark.parametrize("line", VECTORS, ids=lambda line: f"{line['task']}-{line['id']}")
def test_golden_texts(line):
    task = REGISTRY.task(line["task"])
    if line["expect"] == {"error": True}:
        with pytest.raises(RowError):
            task.examples(line["raw"])
        return
    examples = task.examples(line["raw"])
    assert [{"inputs": e.inputs, "targets": e.target} for e in examples] == line["expect"]
    for example, kept in zip(examples, line["aux"], strict=True):
        known = side_data(example.info)
        assert {name: known[name] for name in kept if name in known} == {n: v for n, v in kept.items() if n in known}


@pytest.mark.parametrize("task", ["multirc", "record", "wsc", "wsc_eval"])
def test_golden_side_data_is_complete(task):
    alias = REGISTRY.task(task).aliases[1]
    line = next(line for line in VECTORS if line["task"] == alias and line.get("aux"))
    (example, *_) = REGISTRY.task(task).examples(line["raw"])
    assert line["aux"][0].keys() <= side_data(example.info).keys()


def test_every_t5_name_is_known():
    for line in VECTORS:
        if not line["t5_task"].startswith("(unregistered)"):
            assert REGISTRY.task(line["t5_task"]) is REGISTRY.task(line["task"])


def test_suite():
    assert REGISTRY.suites["superglue"] == (*MEMBERS, "dpr")
    assert [REGISTRY.task(name).place for name in MEMBERS] == list(range(1, 9))
    assert {REGISTRY.task(name).part for name in ("axb", "axg", "wsc_eval")} == {"extra"}
    assert "wsc_marked" not in REGISTRY.suites["superglue-all"]
    assert REGISTRY.task("dpr").part == "companion"
    assert [task.name for task in REGISTRY.scorers(REGISTRY.task("wsc"))] == ["wsc_eval"]
    assert "train" not in REGISTRY.task("axb").splits


# What scoring gets


def test_multirc_is_grouped_by_question():
    row = {"paragraph": "p", "question": "q", "answer": "a", "label": 1}
    (example,) = REGISTRY.task("multirc").examples(row | {"idx": {"paragraph": 3, "question": 7, "answer": 9}})
    assert (example.label, example.group) == (1, 7)


def test_record_scores_every_answer_of_a_query():
    row = {
        "passage": "p",
        "query": "@placeholder",
        "entities": ["b", "a", "b"],
        "answers": ["b", "a"],
        "idx": {"passage": 1, "query": 2},
    }
    first, second = REGISTRY.task("record").examples(row)
    assert (first.target, second.target) == ("a", "b")
    assert first.label == second.label == ("a", "b")
    assert first.group == second.group == (1, 2)
    assert first.choices == ("a", "b")
    assert REGISTRY.task("record").prediction(first, " b.").label == " b."


def test_wsc_compares_the_answer_with_the_candidate_and_that_with_the_label():
    task = REGISTRY.task("wsc_eval")
    (example,) = task.examples(scene(label=0))
    assert example.label == 0
    assert [task.prediction(example, answer).label for answer in ("ben", "Ida", "the")] == [1, 0, None]


def test_wsc_trains_on_true_rows():
    assert REGISTRY.task("wsc").examples(scene(label=0)) == []
    assert [e.target for e in REGISTRY.task("wsc").examples(scene(label=1))] == ["Ben"]


def test_dpr_compares_raw_texts():
    row = {"sentence": "A saw B, so he ran.", "pronoun": "he", "candidates": ["A", "B"], "label": 1}
    (example,) = REGISTRY.task("dpr").examples(row)
    assert (example.label, REGISTRY.task("dpr").prediction(example, "b").label) == ("B", "b")


# Rows that cannot become an example


@pytest.mark.parametrize(
    ("name", "row", "message"),
    [
        ("wsc", scene(span2_index=7), "span2_index 7 must be within words 1 to 6 of the text"),
        ("wsc_eval", scene(span2_index=3), "word 3 of the text is 'before', not span2_text 'he'"),
        ("wsc_eval", scene(span2_index="4"), "column 'span2_index' must be a whole number, not '4'"),
        ("wsc_eval", scene(label=2), "label 2 is not allowed: 0=False, 1=True, -1=hidden"),
        ("wsc_marked", scene(span1_text="(Ben"), "is not a regular expression: missing ), unterminated subpattern"),
        (
            "dpr",
            {"sentence": "s", "pronoun": "*", "candidates": ["a", "b"], "label": 0},
            "is not a regular expression: nothing to repeat",
        ),
        ("dpr", {"sentence": "s", "pronoun": "he", "candidates": ["a"], "label": 1}, "label 1 is not allowed: 0=a"),
        ("dpr", {"sentence": "s", "pronoun": "he", "candidates": "ab", "label": 1}, "must be a list of texts"),
        ("record", {"passage": "p", "query": "q", "entities": [], "answers": []}, "the record has no 'idx'"),
        ("multirc", {"paragraph": "p", "question": "q", "answer": "a", "label": 0}, "the record has no 'idx'"),
        ("boolq", {"passage": "p", "question": "q", "label": "maybe"}, "label 'maybe' is not allowed"),
    ],
)
def test_bad_row(name, row, message):
    with pytest.raises(RowError) as caught:
        REGISTRY.task(name).examples(row)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


# Official records


@pytest.mark.parametrize(
    ("name", "label", "expected"),
    [
        ("boolq", True, 1),
        ("wic", False, 0),
        ("cb", "neutral", 2),
        ("copa", 1, 1),
        ("axb", "not_entailment", 1),
        ("superglue_rte", "entails", "entails"),
    ],
)
def test_flat_record(name, label, expected):
    columns = dict.fromkeys(REGISTRY.task(name).columns, "text")
    (row,) = adapted(name, {**columns, "idx": 3, "label": label, "version": 1.1})
    assert row == {**columns, "idx": 3, "label": expected}
    assert adapted(name, {**columns, "idx": 3})[0]["label"] == -1


def test_multirc_passage_becomes_answers():
    answers = [{"text": "one", "idx": 5, "label": 1}, {"text": "two", "idx": 6}]
    passage = {"text": "p", "questions": [{"question": "q", "idx": 2, "answers": answers}]}
    first, second = adapted("multirc", {"idx": 1, "passage": passage})
    assert first == {
        "paragraph": "p",
        "question": "q",
        "answer": "one",
        "idx": {"paragraph": 1, "question": 2, "answer": 5},
        "label": 1,
    }
    assert second["label"] == -1
    with pytest.raises(RowError, match=r"no 'passage\.questions'"):
        adapted("multirc", {"idx": 1, "passage": {"text": "p"}})


def test_record_passage_becomes_queries():
    spans = [{"start": 4, "end": 6}, {"start": 0, "end": 2}, {"start": 8, "end": 10}]
    queries = [
        {"query": "q1", "idx": 8, "answers": [{"start": 4, "end": 6, "text": "Bob"}, {"text": "Bob"}]},
        {"query": "q2", "idx": 9},
    ]
    first, second = adapted("record", {"idx": 1, "passage": {"text": "Ann Bob Ann", "entities": spans}, "qas": queries})
    assert first == {
        "passage": "Ann Bob Ann",
        "query": "q1",
        "entities": ["Ann", "Bob"],
        "entity_spans": {"text": ["Bob", "Ann", "Ann"], "start": [4, 0, 8], "end": [7, 3, 11]},
        "answers": ["Bob"],
        "idx": {"passage": 1, "query": 8},
    }
    assert (second["answers"], REGISTRY.task("record").examples(second)[0].target) == ([], HIDDEN)


@pytest.mark.parametrize(
    ("span", "index", "repaired"),
    [
        ("Ben", 2, "Ben"),
        ("The old\nman.", 4, "the old man"),
        ("ida", 0, "Ida"),
        ("Kim and Lee", 0, "Kim and Lee"),
    ],
)
def test_wsc_record_is_repaired(span, index, repaired):
    target = {"span1_text": span, "span1_index": index, "span2_text": "he", "span2_index": 7}
    (row,) = adapted("wsc", {"text": "Ida saw Ben and the old man before he left", "target": target, "idx": 0})
    assert row["span1_text"] == repaired
    assert row["label"] == -1
    with pytest.raises(RowError, match=r"span 'Xyz' points at word 10 of a text of 10 words"):
        adapted("wsc", {"text": row["text"], "target": target | {"span1_text": "Xyz", "span1_index": 10}, "idx": 0})


# The real files


@pytest.mark.parametrize("name", ROWS)
def test_real_rows_encode(shared, name):
    found = {}
    for split in ROWS[name]:
        rows = official(shared, name, split)
        found[split] = len(rows)
        for task in [REGISTRY.task(name), *REGISTRY.scorers(REGISTRY.task(name))]:
            for row in rows:
                assert all(column in row for column in task.needs)
                task.examples(row)
    assert found == ROWS[name]


@pytest.mark.parametrize("name", sorted({*ROWS} - {"record"}))
def test_real_labels_are_hidden_in_the_test_split_only(shared, name):
    for split in ROWS[name]:
        hidden = {row["label"] == -1 for row in official(shared, name, split)}
        assert hidden == {split == "test" and name in MEMBERS}  # the diagnostics' labels are public


def test_official_counts_are_those_of_the_whole_files():
    subsets = {("boolq", "train"), ("record", "train"), ("record", "validation")}
    for name, splits in ROWS.items():
        for split, count in splits.items():
            assert (name, split) in subsets or REGISTRY.task(name).source.rows[split] == count


def test_real_multirc_questions_are_unique_in_a_split(shared):
    for split, questions in {"train": 5131, "validation": 953, "test": 1820}.items():
        rows = official(shared, "multirc", split)
        assert len({row["idx"]["question"] for row in rows}) == questions


def test_real_record_expands_to_its_answers(shared):
    for split, expected in {"train": 44, "validation": 46}.items():
        examples = [e for row in official(shared, "record", split) for e in REGISTRY.task("record").examples(row)]
        assert len(examples) == expected
        assert all(e.target in e.choices for e in examples)
        assert all(span in row["passage"] for row in official(shared, "record", split) for span in row["entities"])


def test_real_wsc_marks_one_pronoun_and_changes_nothing_else(shared):
    task, misplaced = REGISTRY.task("wsc_eval"), Counter()
    for row in (row for split in ROWS["wsc"] for row in official(shared, "wsc", split)):
        (example,) = task.examples(row)
        text = example.inputs.removeprefix("wsc: ").replace(f"*{row['span2_text']}*", row["span2_text"])
        assert example.inputs.count("*") == 2
        if text != row["text"]:
            assert text.replace(' ,"', ',"') == row["text"].removesuffix(" ")
        if row["text"].split(" ")[row["span2_index"]] != row["span2_text"]:
            misplaced[sha256(row["text"].encode()).hexdigest()[:8]] += 1
    assert misplaced == {"ff12fea0": 3, "2254040d": 1}


def test_real_wsc_trains_on_259_rows(shared):
    rows = official(shared, "wsc", "train")
    assert sum(len(REGISTRY.task("wsc").examples(row)) for row in rows) == 259
    spans = [row for row in rows + official(shared, "wsc", "test") if row["span1_text"] not in row["text"]]
    assert len(spans) == 2  # two candidates of the test split name people whom the text lists otherwise
