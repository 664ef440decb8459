"""A user's own tables: CSV, TSV, JSON lines and parquet with a header, labels as words or numbers."""

import json
from random import Random

import pytest

from glue_harness import data, load_tasks
from glue_harness.core.errors import DataError, UsageError
from glue_harness.core.task import Source
from glue_harness.data.declare import declare, scale
from glue_harness.data.tables import csv_rows
from glue_harness.suite.build import classify

TASK = classify("own", fields=("text",), labels=("no", "yes"), source=Source(), metrics=())
ROWS = [{"text": 'a "b", c', "label": 1}, {"text": "two\nlines; here", "label": 0}, {"text": " d ", "label": 1}]
FORMS = {
    "train.csv": 'text,label\r\n"a ""b"", c",yes\r\n"two\nlines; here",no\r\n" d ",1\r\n',
    "own/train.csv": '\ufeffn;label;text\n7;1;a "b", c\n8;0;"two\nlines; here"\n9;1.0; d \n',
    "own/train.jsonl": "".join(
        json.dumps(row | {"label": word}) + "\n" for row, word in zip(ROWS, ("yes", 0, "1"), strict=True)
    ),
}


def put(folder, name, content):
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content, encoding="utf-8", newline="")
    return path


def loaded(folder, task=TASK, role="train"):
    return [{name: row[name] for name in task.needs} for row in data.load(task, role, str(folder))]


@pytest.mark.parametrize("name", FORMS)
def test_a_table_with_a_header_is_read_and_labels_may_be_words_or_numbers(tmp_path, name):
    put(tmp_path, name, FORMS[name])
    assert loaded(tmp_path) == ROWS
    rows = data.load(TASK, "train", str(tmp_path))
    assert (len(rows), rows[2]["text"], len(list(rows))) == (3, " d ", 3)


def test_parquet_and_tabs(tmp_path):
    import pyarrow.parquet

    (tmp_path / "own").mkdir()
    table = pyarrow.table({"text": [row["text"] for row in ROWS], "label": ["yes", "no", "yes"]})
    pyarrow.parquet.write_table(table, tmp_path / "own" / "train.parquet")
    assert loaded(tmp_path) == ROWS
    put(tmp_path, "own/validation.tsv", 'label\ttext\nyes\ta "b", c\nno\t"open\n')  # quotes have no meaning there
    assert loaded(tmp_path, role="validation") == [ROWS[0], {"text": '"open', "label": 0}]
    put(tmp_path, "test.csv", "text\nwho knows\n")
    assert loaded(tmp_path, role="test") == [{"text": "who knows", "label": -1}]


def test_what_is_no_text_is_json_in_a_cell(tmp_path):
    task = load_tasks().tasks["wsc"]
    (row,) = task.demo(Random(0), 1)
    values = {name: row[name] if isinstance(row[name], str) else json.dumps(row[name]) for name in task.needs}
    cells = ['"' + value.replace('"', '""') + '"' for value in values.values()]
    put(tmp_path, "wsc/train.csv", f"{','.join(values)}\n{','.join(cells)}\n")
    assert loaded(tmp_path, task) == [{name: row[name] for name in task.needs}]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("text,label\na,b,yes\n", "line 2: expected 2 columns, found 3: put cells that have commas in double quotes"),
        ('text,label\n"a,yes\n', "line 2: not CSV: unexpected end of data: is a double quote left open?"),
        ("text,text\na,yes\n", "line 1: column 'text' stands there twice: is the first line a header?"),
        ("text,label\na,maybe\n", "row 1: label 'maybe' is not allowed: 0=no, 1=yes"),
        ("text,label\na,1.5\n", "row 1: label '1.5' is not allowed: 0=no, 1=yes"),
        ("text,label\na,\n", "row 1: label '' is not allowed: 0=no, 1=yes"),
        ("review,label\na,yes\n", "row 1: column 'text' is missing, found: idx, label, review"),
        ("text,label\n", "no rows: a train split must not be empty"),
        ("", "no rows: a train split must not be empty"),
    ],
)
def test_a_broken_table_is_one_line(tmp_path, content, message):
    put(tmp_path, "train.csv", content)
    with pytest.raises(DataError) as caught:
        loaded(tmp_path)
    assert str(caught.value).endswith(message)


def test_a_missing_split_names_the_files_that_lie_there(tmp_path):
    put(tmp_path, "own/training.csv", "text,label\n")
    put(tmp_path, "own/notes.md", "")
    put(tmp_path, "reviews.xlsx", "")
    put(tmp_path, "validation.csv", "text,label\na,no\n")  # another split's, not to be mistaken for this one
    lying = f"{tmp_path.name}/own/training.csv, {tmp_path.name}/reviews.xlsx"
    with pytest.raises(DataError, match=rf"no train rows of 'own': looked for .*\(what lies there: {lying}\): put one"):
        loaded(tmp_path)


def test_a_tsv_at_the_top_belongs_to_an_official_task(tmp_path):
    put(tmp_path, "train.tsv", "sentence\tlabel\na b c\t1\n")
    assert loaded(tmp_path, classify("own2", fields=("sentence",), labels=("a", "b"), source=Source(), metrics=()))
    assert data.available(load_tasks().tasks["cola"], str(tmp_path)) == "no"


def table(folder, name="train.csv", labels=("good", "bad"), n=40, **columns):
    rows = [{"review": f"text {k}", "mark": labels[k % len(labels)], **columns} for k in range(n)]
    lines = [",".join(rows[0]), *(",".join(map(str, row.values())) for row in rows)]
    return put(folder, name, "\n".join(lines) + "\n")


def read_task(folder, declared):
    put(folder, "own.py", declared.text)
    registry = load_tasks([folder])
    assert registry.broken == {}
    return registry.tasks["mine"]


def test_words_make_a_task_that_runs_on_the_table_as_it_lies(tmp_path):
    found = table(tmp_path, id=7)
    table(tmp_path, "dev.csv", n=4, id=7)
    put(tmp_path, "test.csv", "review,id\nunknown,8\n")
    declared = declare("mine", found, None, {})
    assert (declared.kind, declared.label, declared.fields, declared.unread) == (
        "classify",
        "mark",
        ("review",),
        ("id",),
    )
    assert declared.shares == {"bad": 0.5, "good": 0.5}
    task = read_task(tmp_path, declared)
    assert task.labels == ("bad", "good")
    assert loaded(tmp_path, task)[:2] == [{"review": "text 0", "label": 1}, {"review": "text 1", "label": 0}]
    assert len(loaded(tmp_path, task, "validation")) == 4
    assert loaded(tmp_path, task, "test") == [{"review": "unknown", "label": -1}]
    assert task.examples(loaded(tmp_path, task)[0])[0].inputs == "mine review: text 0"


@pytest.mark.parametrize("suffix", ["jsonl", "parquet"])
def test_numbers_that_name_classes_are_words(tmp_path, suffix):
    rows = [{"label": 3 + k % 3, "body": f"text {k}", "label text": "x y"} for k in range(30)]
    path = tmp_path / f"train.{suffix}"
    if suffix == "jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    else:
        import pyarrow.parquet

        pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), path)
    task = read_task(tmp_path, declare("mine", path, None, {}))
    assert task.labels == ("3", "4", "5")
    assert [row["label"] for row in loaded(tmp_path, task)[:4]] == [0, 1, 2, 0]


def test_many_numbers_make_a_scale(tmp_path):
    found = table(tmp_path, labels=[f"{k / 10}" for k in range(-3, 49)], n=52)
    declared = declare("mine", found, "mark", {})
    task = read_task(tmp_path, declared)
    assert (task.kind, declared.shares) == ("regress", {})
    assert (task.choices[0], task.choices[-1], len(task.choices)) == ("-0.4", "4.8", 27)
    assert task.examples({"review": "x", "label": 1.29})[0].target == "1.2"
    assert loaded(tmp_path, task)[0]["label"] == pytest.approx(-0.3)


@pytest.mark.parametrize(("low", "high"), [(0, 5), (1, 100), (-3, 3.7), (0.001, 0.0042), (1e6, 3e6)])
def test_a_scale_has_every_value_between_its_ends(low, high):
    found = [float(choice) for choice in scale(low, high)]
    assert found[0] <= low < high <= found[-1]
    assert 20 <= len(found) <= 53
    assert len(set(scale(low, high))) == len(found)


@pytest.mark.parametrize(
    ("labels", "label", "message"),
    [
        (("good", "bad"), "stars", "unknown column 'stars': known: mark, review"),
        (("good", "good "), None, "label 'good ' has white space too much, which no model answers: take it out"),
        (("good", ""), "mark", "row 2: column 'mark' is empty: every row to train on needs a label"),
        (("good",), "mark", "column 'mark' has 1 different texts"),
        ([f"w{k}" for k in range(21)], "mark", "column 'mark' has 21 different texts"),
        ([f"w{k}" for k in range(21)], None, "which column of train.csv is the label? name it with --label: review, m"),
    ],
)
def test_what_cannot_be_declared_is_said(tmp_path, labels, label, message):
    with pytest.raises((DataError, UsageError)) as caught:
        declare("mine", table(tmp_path, labels=labels), label, {})
    assert message in str(caught.value)


def test_a_large_cell_is_read_and_a_file_of_another_kind_refused(tmp_path):
    path = put(tmp_path, "train.csv", f"text,label\n{'x' * 300_000},yes\n")
    assert len(next(csv_rows(path))["text"]) == 300_000
    with pytest.raises(UsageError, match=r"--from 'train.xlsx': give a table with a header: .csv, .tsv, .jsonl, .parq"):
        declare("mine", put(tmp_path, "train.xlsx", ""), None, {})
    put(tmp_path, "dev.csv", "text\na\n")
    path = put(tmp_path, "train.csv", "text,label\na,yes\nb,no\n")
    with pytest.raises(DataError, match=r"dev.csv: column 'label' is missing, found: text"):
        declare("mine", path, None, {})
