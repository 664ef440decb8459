"""Files of answers in every format: what is read of them, which format a file is, and what is refused."""

import io
import json

import pytest

from glue_harness.core.errors import DataError, UsageError
from glue_harness.data.answer_files import FORMATS, OURS, read_answer_file


def read(text, name="answers", kind=None):
    return read_answer_file(io.BytesIO(text.encode()), name, kind)


def pairs(text, name="answers", kind=None):
    return [(answer.key, answer.text) for answer in read(text, name, kind)]


def test_a_line_of_text_is_an_answer():
    assert pairs("yes\r\nno thanks\n") == [(None, "yes"), (None, "no thanks")]
    assert [answer.where for answer in read("a\nb\n")] == ["answers, line 1", "answers, line 2"]


def test_an_empty_line_of_text_is_an_empty_answer():
    assert pairs("a\n\nb\n") == [(None, "a"), (None, ""), (None, "b")]


@pytest.mark.parametrize("name", ["answers", "answers.txt", "stdin"])
@pytest.mark.parametrize(
    "text",
    [
        "index\tprediction\n3\tyes\n",
        "id,prediction\n3,yes\n",
        '"ID","Label"\n"3","yes"\n',
        '{"id": 3, "answer": "yes"}\n',
        '\ufeff{"idx": "3", "label": "yes"}\n',
    ],
)
def test_the_first_line_tells_the_format_where_the_name_does_not(text, name):
    assert pairs(text, name) == [("3", "yes")]


def test_a_name_says_the_format_and_an_option_says_it_louder():
    assert pairs("answer,note\nyes,x\n", "a.csv") == [(None, "yes")]
    assert pairs("answer,note\nyes,x\n", "a.txt") == [(None, "answer,note"), (None, "yes,x")]
    assert pairs("answer,note\nyes,x\n", "a.txt", "csv") == [(None, "yes")]
    assert pairs('{"answer": "yes"}\n', "a.txt", "text") == [(None, '{"answer": "yes"}')]


def test_the_first_of_the_usual_columns_has_the_answer_and_a_single_other_one_may_be_called_anything():
    assert pairs("label,answer,prediction\na,b,c\n", "x.csv") == [(None, "c")]
    assert pairs("id\tguess\n1\tyes\n", "x.tsv") == [("1", "yes")]


def test_values_of_json_become_texts():
    values = [True, 1, 1.0, 2.5, "1"]
    text = "".join(json.dumps({"idx": k, "label": value}) + "\n" for k, value in enumerate(values))
    assert pairs(text) == [("0", "True"), ("1", "1"), ("2", "1"), ("3", "2.5"), ("4", "1")]


def test_an_idx_of_several_numbers_is_one_key():
    assert pairs('{"idx": {"question": 1, "answer": 2}, "label": 1}\n') == [('{"answer": 2, "question": 1}', "1")]


def test_a_line_that_a_run_wrote_names_our_example():
    (answer,) = read('{"id": "3.0", "target": "a", "prediction": "b", "info": {}, "scores": {"b": 0.5}}\n')
    assert (answer.key, answer.column, answer.text, answer.shares) == ("3.0", OURS, "b", {"b": 0.5})


def test_what_predict_prints_is_read():
    (answer,) = read('{"answer": "yes", "label": null, "valid": false, "shares": {"yes": 0.5, "no": 0.5}}\n')
    assert (answer.key, answer.text, answer.is_invalid) == (None, "yes", True)
    assert answer.shares == {"yes": 0.5, "no": 0.5}


@pytest.mark.parametrize(
    ("text", "name", "message"),
    [
        ("", "a.txt", "a.txt is empty: expected an answer to every row"),
        ("id,prediction\n", "a.csv", "a.csv holds no answers: expected one to every row"),
        (
            "a,b,c\n1,2,3\n",
            "a.csv",
            "a.csv, line 2: which column has the answers? call it prediction or answer or label",
        ),
        ("id,prediction\n1,a,b\n", "a.csv", "a.csv, line 2: expected 2 columns, found 3: put cells that have commas"),
        ('id,label\n1,"a\n', "a.csv", "a.csv, line 2: not CSV: .*: is a double quote left open"),
        ("id\tid\n1\t2\n", "a.tsv", "a.tsv, line 1: column 'id' stands there twice"),
        ('{"answer": "a"}\n[1]\n', "a.jsonl", "a.jsonl, line 2: a JSON list, not an object"),
        ('{"answer": null}\n', "a.jsonl", "a.jsonl, line 1: an answer must be a text or a number, not None"),
        (
            '{"id": [1], "answer": "a"}\n',
            "a.jsonl",
            r"a.jsonl, line 1: an answer must be a text or a number, not \[1\]",
        ),
    ],
)
def test_what_cannot_be_read_is_named_with_its_line(text, name, message):
    with pytest.raises(DataError, match=message.replace("?", r"\?")):
        read(text, name)


def test_an_unknown_format_names_those_there_are():
    with pytest.raises(UsageError, match="unknown format 'xml': known: csv, jsonl, lm-eval, text, tsv"):
        read("a\n", kind="xml")
    assert sorted(FORMATS) == ["csv", "jsonl", "lm-eval", "text", "tsv"]


def test_bytes_that_are_no_text_are_named():
    with pytest.raises(DataError, match="answers, line 2: byte 3 of the file is not UTF-8"):
        read_answer_file(io.BytesIO(b"ab\n\xff\n"), "answers")
