"""SQuAD, CNN/DailyMail and WMT: T5's strings byte for byte, the official files, the demo rows."""

import json
from random import Random

import pytest
from conftest import golden

from glue_harness.core.errors import DataError, RowError
from glue_harness.data import load
from glue_harness.suite.registry import load_tasks

REGISTRY = load_tasks()
NAMES = ("squad", "squad_trivia", "cnn_dailymail", "wmt_en_de", "wmt_en_fr", "wmt_en_ro")
ASKED = {
    "id": "q1",
    "question": "Who won (in 1900)?",
    "context": "Ann  won.\u00a0It was 1900!",
    "answers": {"text": ["Ann", "Ann  won."], "answer_start": [0, 0]},
}


def vectors():
    found = [line for line in golden("preprocess") if line["task"].startswith(("squad", "cnn_dailymail", "wmt/"))]
    return [pytest.param(line, id=line["id"]) for line in found]


@pytest.mark.parametrize("line", vectors())
def test_texts_are_t5s(line):
    task = REGISTRY.task(line["t5_task"])
    assert task is REGISTRY.task(line["task"])
    texts = task.encode(line["raw"])
    assert [{"inputs": text.inputs, "targets": text.target} for text in texts] == line["expect"]
    if "answers" in line["aux"][0]:
        assert texts[0].info["answers"] == line["aux"][0]["answers"]


def test_every_padded_answer_is_gold():
    example = REGISTRY.task("squad").examples(ASKED)[0]
    assert example.inputs == "question: Who won ( in 1900 ) ? context: Ann won . \u00a0It was 1900 ! "
    assert (example.target, example.label) == ("Ann", ("Ann", "Ann won . "))


def test_closed_book_has_no_document():
    example = REGISTRY.task("squad_v010_context_free").examples({**ASKED, "context": None})[0]
    assert example.inputs == "squad trivia question: Who won ( in 1900 ) ? "
    assert example.label == ("Ann", "Ann won . ")


@pytest.mark.parametrize("sign", "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~")
def test_every_ascii_sign_is_padded(sign):
    encode = REGISTRY.task("squad").encode
    assert encode({**ASKED, "answers": {"text": [f"a{sign}b"]}})[0].target == f"a {sign} b"


@pytest.mark.parametrize("space", ["\v", "\u0085", "\u00a0", "\u2028", "\u3000", "\x1c"])
def test_other_white_space_stays(space):
    encode = REGISTRY.task("squad").encode
    assert encode({**ASKED, "answers": {"text": [f"a{space}{space}b \t\n\f\rc"]}})[0].target == f"a{space}{space}b c"


@pytest.mark.parametrize(
    ("task", "row", "message"),
    [
        ("squad", {**ASKED, "answers": {"text": []}}, "column 'answers' must hold at least one answer as text"),
        ("squad", {**ASKED, "answers": None}, "column 'answers' must hold at least one answer as text, not None"),
        ("squad", {**ASKED, "context": 3}, "column 'context' must be text, not 3"),
        ("cnn_dailymail", {"article": "x", "highlights": None}, "column 'highlights' must be text, not None"),
        ("wmt_en_ro", {"translation": {"en": "x"}}, "column 'ro' must be text, not None"),
        ("wmt_en_ro", {"translation": "x"}, "column 'translation' must hold the pair en and ro, not 'x'"),
    ],
)
def test_a_row_that_cannot_be_encoded_is_said(task, row, message):
    with pytest.raises(RowError) as error:
        REGISTRY.task(task).encode(row)
    assert str(error.value).startswith(message)


def test_squad_is_never_scored_against_a_single_target():
    with pytest.raises(RowError, match=r"they must stand in example\.answers"):
        REGISTRY.task("squad").gold("Ann", {})


def test_the_official_squad_file_is_read(tmp_path):
    question = {"id": "q1", "question": "Who?", "answers": [{"text": "Ann", "answer_start": 0}]}
    articles = {"data": [{"title": "A", "paragraphs": [{"context": "Ann won.", "qas": [question]}]}], "version": "1.1"}
    (tmp_path / "SQuAD").mkdir()
    (tmp_path / "SQuAD" / "train-v1.1.json").write_text(json.dumps(articles))
    assert list(load(REGISTRY.task("squad"), "train", str(tmp_path))) == [
        {"id": "q1", "question": "Who?", "answers": {"text": ["Ann"]}, "context": "Ann won."}
    ]


def test_json_lines_in_the_hubs_schema_are_read(tmp_path):
    rows = {
        "SQuAD/validation.jsonl": ("squad", ASKED),
        "CNN-DailyMail/validation.jsonl": ("cnn_dailymail", {"article": "a", "highlights": "b"}),
        "wmt-en-de/validation.jsonl": ("wmt_en_de", {"translation": {"en": "a", "de": "b"}}),
        "wmt-en-fr/test.jsonl": ("wmt_en_fr", {"translation": {"en": "a", "fr": "b"}}),
    }
    for name, (task, row) in rows.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(json.dumps(row) + "\n")
        assert list(load(REGISTRY.task(task), "validation", str(tmp_path))) == [row]


def test_another_json_file_is_not_taken_for_squad(tmp_path):
    (tmp_path / "SQuAD").mkdir()
    (tmp_path / "SQuAD" / "train-v1.1.json").write_text('{"data": [{"text": "x"}]}')
    with pytest.raises(DataError, match="not a 'squad' record"):
        load(REGISTRY.task("squad"), "train", str(tmp_path))


@pytest.mark.parametrize("name", NAMES)
def test_demo_rows_repeat_and_can_be_encoded(name):
    task = REGISTRY.task(name)
    rows = task.demo(Random(3), 300)
    assert rows == task.demo(Random(3), 300)
    assert rows != task.demo(Random(4), 300)
    texts = [text for row in rows for text in task.encode(row)]
    assert len(texts) == 300
    assert len({text.inputs for text in texts}) > 250
    assert all(text.target for text in texts)


@pytest.mark.parametrize("name", ["squad", "cnn_dailymail"])
def test_demo_answers_stand_in_the_text(name):
    task = REGISTRY.task(name)
    for row in task.demo(Random(0), 100):
        (text,) = task.encode(row)
        assert text.target.strip() in text.inputs


def test_german_says_when_before_what():
    (row,) = REGISTRY.task("wmt_en_de").demo(Random(0), 1)
    assert row["translation"] == {
        "en": "Our neighbour loses a zikleb in the garden in winter.",
        "de": "Unser Nachbar verliert im Winter einen Kulon im Garten.",
    }
