"""glue doctor on data: planted faults are found in made-up rows, which need no download; nothing else is."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from planted import (
    TASKS,
    WRITTEN,
    WRONG_ORDERS,
    copy_into_dev,
    cut,
    examined,
    exchange,
    faults,
    label_the_test_split,
    only,
    permute,
    read_tsv,
    swap,
    write_data,
    write_mnli,
    write_tsv,
)

from glue_harness.core.task import Source, tsv
from glue_harness.doctor import FAIL, OK, WARN, Finding
from glue_harness.doctor.checks import allowed
from glue_harness.doctor.data import choose, examine
from glue_harness.suite.build import classify
from glue_harness.suite.cues import marks


@pytest.fixture
def folder(tmp_path) -> Path:
    return write_data(tmp_path / "data")


def test_made_up_data_in_the_official_layout_is_not_accused(folder):
    findings = examined(folder)
    assert {f.where.split()[0] for f in findings} == set(WRITTEN)
    assert not [f for f in findings if f.state == FAIL]
    assert {f.check for f in findings if f.state == WARN} == {"rows"}
    assert Finding("rte test", "answers", OK, "answers hidden") in findings
    assert Finding("rte validation", "duplicates", OK, "none also in train") in findings


def test_texts_that_another_task_trains_on_are_counted(folder):
    where = "qqp validation"
    for names in ((), ("qqp",)):
        assert Finding(where, "texts", OK, "none has a text in train") in examined(folder, *names)
    dev, train = folder / "QQP" / "dev.tsv", folder / "STS-B" / "train.tsv"
    (header, of_dev), (columns, of_train) = read_tsv(dev), read_tsv(train)
    one, two = header.index("question1"), header.index("question2")
    for k, row in enumerate(of_train[:9]):  # five stand there whole, exchanged and in capitals, four with one text
        row[columns.index("sentence1")] = f"{of_dev[k][two].upper()} !"
        if k < 5:
            row[columns.index("sentence2")] = of_dev[k][one]
    write_tsv(train, columns, of_train)
    assert Finding(where, "texts", OK, "rows with a text in train of stsb 9 (5 whole)") in examined(folder)
    assert Finding("rte validation", "texts", OK, "rows with a text in train of rte 37") in examined(
        folder, "rte", "stsb"
    )


def test_swapped_folders_are_found(folder):
    swap(folder, "QQP", "STS-B")
    findings = {f.where: f for f in examined(folder) if f.state == FAIL}
    assert findings.keys() >= {"qqp train", "qqp validation", "stsb train", "stsb validation"}
    assert "column 'question1' is missing" in findings["qqp train"].text
    assert findings["qqp train"].fix == "it has the columns of STS-B: exchange the folders"
    assert findings["stsb validation"].fix == "it has the columns of QQP: exchange the folders"


def test_swapped_rows_under_the_right_column_names_are_found(folder):
    swap(folder, "QQP", "STS-B")
    for name, columns in (
        ("QQP", ["question1", "question2", "is_duplicate"]),
        ("STS-B", ["sentence1", "sentence2", "score"]),
    ):
        _, rows = read_tsv(folder / name / "train.tsv")
        write_tsv(folder / name / "train.tsv", columns, [[a, b, str(int(float(label) > 0))] for a, b, label in rows])
    assert faults(folder, "qqp", "stsb") >= {("qqp train", "content"), ("stsb train", "content")}


@pytest.mark.parametrize("order", WRONG_ORDERS)
def test_permuted_labels_are_found(tmp_path, order):
    write_mnli(tmp_path)
    assert not faults(tmp_path)
    for file in (tmp_path / "MNLI").iterdir():
        permute(file, order)
    findings = [f for f in examined(tmp_path) if f.state == FAIL]
    assert {f.where for f in findings} == {"mnli train", "mnli validation_matched", "mnli validation_mismatched"}
    assert {f.check for f in findings} == {"content"}
    assert "labels are exchanged (0=entailment, 1=neutral, 2=contradiction)" in findings[0].fix


def test_a_truncated_file_is_found(folder):
    cut(folder / "RTE" / "train.tsv", 0.6)
    found = only(examined(folder, "rte"), FAIL)
    assert (found.where, found.check) == ("rte train", "readable")
    assert found.text.endswith("expected 3 columns, found 2: the row is truncated or broken, download the file again")


def test_a_file_cut_inside_its_last_column_is_found(folder):
    cut(folder / "RTE" / "test.tsv", 0.6)
    found = only(examined(folder, "rte"), FAIL)
    assert (found.where, found.check) == ("rte test", "file")
    assert found.text.startswith("test.tsv ends without a newline after ")


def test_training_rows_in_dev_are_found(folder):
    copy_into_dev(folder / "RTE" / "train.tsv", folder / "RTE" / "dev.tsv")
    found = only(examined(folder, "rte"), FAIL)
    assert (found.where, found.check) == ("rte validation", "duplicates")
    assert found.text == "50 of 150 rows are also in train"
    assert found.fix.endswith("rows 101, 102, 103 are the first")


def test_what_the_official_splits_share_is_allowed():
    assert [allowed(rows) for rows in (71, 277, 1063, 9815, 40_430)] == [1, 5, 20, 20, 40]


def test_real_looking_test_labels_are_found(folder):
    label_the_test_split(folder / "RTE" / "test.tsv", ["entailment", "not_entailment"])
    found = only(examined(folder, "rte"), FAIL)
    assert (found.where, found.check) == ("rte test", "answers")
    assert found.text == "100 of 100 rows have an answer, but the official ones are not public"


@pytest.mark.parametrize(("labels", "state"), [(["0"], WARN), (["-1"], OK)])
def test_placeholders_for_test_labels_are_no_fault(folder, labels, state):
    label_the_test_split(folder / "RTE" / "test.tsv", labels)
    (found,) = (f for f in examined(folder, "rte") if (f.where, f.check) == ("rte test", "answers"))
    assert found.state == state


@pytest.mark.parametrize(
    ("name", "first", "second", "check"),
    [
        ("RTE", "sentence1", "sentence2", "content"),
        ("RTE", "sentence2", "label", "readable"),
        ("QNLI", "question", "sentence", "content"),
        ("STS-B", "sentence1", "score", "readable"),
    ],
)
def test_columns_in_the_wrong_order_are_found(folder, name, first, second, check):
    exchange(folder / name / "train.tsv", first, second)
    task = name.lower().replace("-", "")
    assert faults(folder, task) == {(f"{task} train", check)}


PAIR = Source("none", rows={"train": 60, "test": 60}, folder="Pair", hidden=("test",))
TOY = classify(
    "toy",
    fields=("text", "more"),
    labels=("yes", "no"),
    source=PAIR,
    metrics=(),
    splits={"train": "train", "test": "test"},
)


def examined_toy(root: Path, rows: list[dict], role: str = "train", task=TOY) -> list[Finding]:
    (root / "toy").mkdir()
    (root / "toy" / f"{role}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return [f for f in examine([(task,)], str(root), [task]) if f.where == f"toy {role}"]


def toy_rows(count: int = 60, **values) -> list[dict]:
    return [{"text": f"text {k}", "more": "words", "label": k % 2, **values} for k in range(count)]


def test_hidden_labels_in_training_rows_are_found(tmp_path):
    rows = [*toy_rows(59), {"text": "last", "more": "words", "label": -1}]
    found = only(examined_toy(tmp_path, rows), FAIL)
    assert found.check == "readable"
    assert "row 60: label -1 means hidden, and a train split needs labels" in found.text


def test_a_missing_class_is_found(tmp_path):
    found = only(examined_toy(tmp_path, toy_rows(label=1)), FAIL)
    assert (found.check, found.text) == ("labels", "no row is yes: 0% yes, 100% no")


def test_a_missing_class_among_a_few_rows_is_a_warning(tmp_path):
    findings = examined_toy(tmp_path, toy_rows(10, label=1))
    assert {f.check: f.state for f in findings} == {"rows": WARN, "labels": WARN}


@pytest.mark.parametrize(
    ("count", "text"), [(59, "subset: 59 of 60 rows"), (61, "more rows than the official split: 61, not 60")]
)
def test_other_row_counts_are_a_warning(tmp_path, count, text):
    assert only(examined_toy(tmp_path, toy_rows(count)), WARN).text == text


def test_a_column_without_words_is_found(tmp_path):
    found = only(examined_toy(tmp_path, toy_rows(more="2750203")), FAIL)
    assert found.text == "column 'more' holds no words in 60 of 60 rows looked at"


def test_rows_that_cannot_be_encoded_are_found(tmp_path):
    rows = [*toy_rows(59), {"text": None, "more": "words", "label": 0}]
    found = only(examined_toy(tmp_path, rows), FAIL)
    assert found.check == "encoding"
    assert found.text == "1 of 60 rows cannot be examples of 'toy', row 60: column 'text' must be text, not None"


def test_too_many_broken_rows_are_found(tmp_path):
    source = replace(PAIR, files={"train": tsv("train.tsv", text="text", more="more", label="label")})
    task = replace(TOY, source=source)
    rows = [[row["text"], row["more"], str(row["label"])] for row in toy_rows()]
    for broken, state in ((2, WARN), (41, FAIL)):
        write_tsv(tmp_path / "Pair" / "train.tsv", ["text", "more", "label"], [*rows, *[["cut", "short"]] * broken])
        findings = examine([(task,)], str(tmp_path), [task])
        (found,) = (f for f in findings if (f.where, f.check) == ("toy train", "rows"))
        assert found.state == state
        assert found.text.endswith(f"expected 3 columns, found 2, and {broken - 1} more like it")


def test_content_that_a_cue_misses_is_suspicious_only_in_many_rows(tmp_path):
    task = replace(TOY, cues=(marks(0, lambda row: row["more"] == "words", "words mark yes"),))
    for count, states in ((60, set()), (1200, {WARN})):
        root = tmp_path / str(count)
        root.mkdir()
        found = examined_toy(root, toy_rows(count), task=task)
        assert {f.state for f in found if f.check == "content"} == states


def test_missing_splits_are_named(folder):
    for name in ("train", "test"):
        (folder / "RTE" / f"{name}.tsv").unlink()
    states = {f.where: f.state for f in examined(folder, "rte") if f.check == "presence"}
    assert states == {"rte train": FAIL, "rte test": WARN}


def test_tasks_without_data_are_left_out_unless_named(folder):
    here, absent = choose(TASKS, (), str(folder))
    assert [tasks[0].name for tasks in here] == ["stsb", "qqp", "qnli", "rte"]
    assert {"cola", "squad", "record"} <= {tasks[0].name for tasks in absent}
    assert faults(folder, "cola") == {("cola train", "presence"), ("cola validation", "presence")}


def test_a_scorer_brings_the_rows_it_must_not_share(tmp_path):
    write_mnli(tmp_path)
    assert {f.where for f in examined(tmp_path, "mnli_matched")} >= {"mnli train", "mnli validation_mismatched"}


def test_a_folder_without_any_data_is_wrong_and_an_empty_cache_is_not(tmp_path, monkeypatch):
    monkeypatch.setenv("HF_DATASETS_CACHE", str(tmp_path))
    assert [f.state for f in examined(tmp_path)] == [FAIL]
    assert [f.state for f in examined("hub")] == [WARN]
    assert {f.state for f in examined("hub", "rte")} == {WARN}


def test_demo_data_needs_no_cues():
    findings = examined("demo:300", "cola", "qqp")
    assert {f.state for f in findings} == {OK}
    assert "content" not in {f.check for f in findings}


def test_the_demo_of_every_task_is_as_it_claims_to_be():
    assert {f for f in examined("demo", *TASKS.tasks) if f.state != OK} == set()


def test_what_is_not_on_the_hub_is_not_looked_for_there(tmp_path):
    own = classify("own", fields=("text",), labels=("good", "bad"), source=Source(), metrics=())
    registry = replace(TASKS, tasks={**TASKS.tasks, "own": own})
    (tmp_path / "validation.jsonl").write_text('{"text": "a"}\n')
    advice = "each row needs the columns text, label; labels: good, bad"
    found = [f for where in ("hub", str(tmp_path)) for f in examine(choose(registry, ["own"], where)[0], where, [own])]
    assert {f.check for f in found} == {"presence", "readable"}
    assert all(f.fix.endswith(advice) for f in found)
    assert not any("download" in f.text + f.fix for f in found)
