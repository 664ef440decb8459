"""The check of a submission: a valid zip has no fault, and of any other zip every fault is named."""

from dataclasses import replace
from random import Random
from zipfile import ZIP_DEFLATED, ZipFile

import pytest

from glue_harness.core.errors import UsageError
from glue_harness.submit import file_text, number_faults, official_files, write_zip
from glue_harness.submit.check import LARGEST, MOST_FILES, check
from glue_harness.suite.registry import Registry, load_tasks

REGISTRY = load_tasks()


def short(task, rows=12):
    """The task as if its official test split had few rows."""
    if "test" not in task.splits:
        return task
    return replace(task, source=replace(task.source, rows={**task.source.rows, task.splits["test"]: rows}))


SHORT = Registry({name: short(task) for name, task in REGISTRY.tasks.items()}, {})


def answers(task, rows):
    """A valid answer for every row of a test split."""
    said = task.submission.words[0] if task.submission.words else (2.5 if task.kind == "regress" else "Ann")
    depth = max(1, len(task.submission.levels))
    return [((k // 6, k // 3, k)[-depth:], said) for k in range(rows)]


def valid_texts(suite, registry=SHORT):
    return {
        file: file_text(task, answers(task, registry.tasks[task.name].source.rows[task.splits["test"]]))
        for file, (task, *_) in official_files(registry, suite)[suite].items()
    }


def packed(path, texts):
    """Any zip, right or wrong."""
    with ZipFile(path, "w", ZIP_DEFLATED) as archive:
        for name, text in texts.items():
            archive.writestr(name, text)
    return path


def test_the_same_answers_make_the_same_bytes(tmp_path):
    texts = valid_texts("superglue")
    for name in ("a.zip", "b.zip"):
        write_zip(tmp_path / name, texts)
    assert (tmp_path / "a.zip").read_bytes() == (tmp_path / "b.zip").read_bytes()
    assert [file.name for file in sorted(tmp_path.iterdir()) if file.is_file()] == ["a.zip", "b.zip"]


@pytest.mark.parametrize("suite", ["glue", "superglue"])
def test_a_valid_zip_has_no_fault(tmp_path, suite):
    write_zip(tmp_path / "it.zip", valid_texts(suite))
    assert check(tmp_path / "it.zip", SHORT) == []


def test_the_official_row_counts_are_those_of_the_task_files(tmp_path):
    write_zip(tmp_path / "it.zip", valid_texts("superglue", REGISTRY))
    assert check(tmp_path / "it.zip", REGISTRY) == []
    assert "BoolQ.jsonl: 3,245 rows, not 12" in check(tmp_path / "it.zip", SHORT)


def test_words_may_be_true_in_either_case_but_not_bare(tmp_path):
    texts = valid_texts("superglue")
    packed(tmp_path / "it.zip", texts | {"WSC.jsonl": texts["WSC.jsonl"].replace("false", "False")})
    assert check(tmp_path / "it.zip", SHORT) == []
    packed(tmp_path / "it.zip", texts | {"WSC.jsonl": texts["WSC.jsonl"].replace('"false"', "false")})
    assert check(tmp_path / "it.zip", SHORT) == [
        "WSC.jsonl: answer is not allowed: False and 11 more (line 1); allowed: false, true"
    ]


FAULTS = [
    ("CoLA.tsv", "index", "id", ["the header is 'id\\tprediction', not 'index\\tprediction'"]),
    ("CoLA.tsv", "index\tprediction\n", "", ["the header is '0\\t0', not 'index\\tprediction'"]),
    ("CoLA.tsv", "11\t0\n", "", ["11 rows, not 12", "index is missing: 11"]),
    ("CoLA.tsv", "11\t0\n", "11\t0\n12\t0\n", ["13 rows, not 12", "index is not one of the test split's: 12"]),
    ("CoLA.tsv", "\n3\t", "\n2\t", ["index stands twice: 2", "index is missing: 3"]),
    ("CoLA.tsv", "3\t0\n4\t0\n", "4\t0\n3\t0\n", ["index is out of order: 3"]),
    ("CoLA.tsv", "3\t0", "x\t0", ["index is not a number, line: 5", "11 rows, not 12", "index is missing: 3"]),
    ("CoLA.tsv", "3\t0", "3 0", ["not two columns, line: 5", "11 rows, not 12", "index is missing: 3"]),
    ("CoLA.tsv", "3\t0", "3\tno", ["answer is not allowed: 'no' (line 5); allowed: 0, 1"]),
    ("RTE.tsv", "entailment", "0", ["answer is not allowed: '0' and 11 more (line 2); allowed: entailment, not_entailment"]),
    ("STS-B.tsv", "3\t2.5", "3\t5.1", ["answer is not allowed: '5.1' (line 5); allowed: a number from 0 to 5"]),
    ("STS-B.tsv", "3\t2.5", "3\tnan", ["answer is not allowed: 'nan' (line 5); allowed: a number from 0 to 5"]),
    ("STS-B.tsv", "3\t2.5", "3\t" + "9" * 80, [f"answer is not allowed: '{'9' * 56}... (line 5); allowed: a number from 0 to 5"]),
    ("COPA.jsonl", '3, "label": 0', '3, "label": false', ["answer is not allowed: False (line 4); allowed: 0, 1"]),
    ("ReCoRD.jsonl", '3, "label": "Ann"', '3, "label": ""', ["answer is not allowed: '' (line 4); allowed: a text"]),
    ("CB.jsonl", '"idx": 3,', '"idx": null,', ["index is not a number, line: 4", "11 rows, not 12", "index is missing: 3"]),
    ("CB.jsonl", '"idx": 3,', "", ["not an answer: the record has no 'idx' (line 4)", "11 rows, not 12", "index is missing: 3"]),
    ("MultiRC.jsonl", '"questions"', '"question"', ["not an answer: the record has no 'passage.questions' (line 1) and 1 more", "0 rows, not 12", "index is missing: 0 and 11 more"]),
    ("MultiRC.jsonl", '{"idx": 3, "answers"', '{"idx": 9, "answers"', ["enclosing idx is missing: 3"]),
]  # fmt: skip


@pytest.mark.parametrize(("file", "old", "new", "faults"), FAULTS)
def test_a_fault_is_named_with_its_place(tmp_path, file, old, new, faults):
    texts = valid_texts("glue" if file.endswith("tsv") else "superglue")
    assert old in texts[file]
    texts[file] = texts[file].replace(old, new)
    assert check(packed(tmp_path / "it.zip", texts), SHORT) == [f"{file}: {fault}" for fault in faults]


def test_every_fault_is_named_at_once(tmp_path):
    texts = valid_texts("glue")
    texts["SST-2.tsv"] = texts["SST-2.tsv"].encode().replace(b"\t0", b"\t\xff", 1)
    texts["mine/AX.tsv"] = texts.pop("AX.tsv")
    texts |= {"readme.txt": "hello", "empty/": ""}
    del texts["QQP.tsv"]
    faults = check(packed(tmp_path / "it.zip", texts), SHORT)
    assert sorted(faults) == [
        "AX.tsv: missing",
        "QQP.tsv: missing",
        "SST-2.tsv: not UTF-8: byte 19",
        "empty/: a folder: the files belong at the top of the zip",
        "mine/AX.tsv: in a folder: it belongs at the top of the zip",
        "readme.txt: not a file of this submission",
    ]


def test_a_file_twice_in_a_zip_is_a_fault(tmp_path):
    path = packed(tmp_path / "it.zip", valid_texts("glue"))
    with pytest.warns(UserWarning, match="Duplicate"), ZipFile(path, "a") as archive:
        archive.writestr("RTE.tsv", "x")
    assert "RTE.tsv: in the zip 2 times" in check(path, SHORT)


def test_what_is_no_submission_is_said_to_be_none(tmp_path):
    (tmp_path / "text.zip").write_text("hello")
    assert check(tmp_path / "text.zip", SHORT) == ["it is not a zip file, or a truncated one"]
    other = packed(tmp_path / "other.zip", {"a.txt": "hello"})
    assert check(other, SHORT) == ["it holds no file of glue or superglue"]
    assert check(packed(tmp_path / "glue.zip", valid_texts("glue")), SHORT, "superglue") == [
        "it holds no file of superglue"
    ]
    with pytest.raises(UsageError, match=r"cannot read '.*gone.zip': No such file"):
        check(tmp_path / "gone.zip", SHORT)


def test_a_zip_bomb_is_not_unpacked(tmp_path):
    texts = valid_texts("glue") | {"CoLA.tsv": b"0" * (LARGEST + 1), "RTE.tsv": b"\n" * LARGEST}
    assert check(packed(tmp_path / "it.zip", texts), SHORT) == [
        "CoLA.tsv: unpacks to more than 16 MiB: not read",
        "RTE.tsv: more than 1,000,000 lines: not read",
    ]
    many = packed(tmp_path / "many.zip", {f"{k}.tsv": "" for k in range(MOST_FILES + 1)})
    assert check(many, SHORT) == ["it holds 1,001 entries: not looked into"]


def test_a_damaged_zip_never_breaks_the_check(tmp_path):
    whole, random = packed(tmp_path / "it.zip", valid_texts("superglue")).read_bytes(), Random(0)
    for _ in range(100):
        damaged = bytearray(whole[: random.randrange(len(whole))] if random.random() < 0.2 else whole)
        for _ in range(random.randint(1, 8)):
            damaged[random.randrange(len(damaged))] = random.randrange(256)
        (tmp_path / "damaged.zip").write_bytes(damaged)
        assert isinstance(check(tmp_path / "damaged.zip", SHORT), list)


def test_enormous_numbers_cost_nothing():
    assert number_faults([(10**9, 0), (10**9, 1)], 2) == ["enclosing idx is missing: 0"]
