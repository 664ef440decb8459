"""Rows from folders: official files with all their quirks, files in the Hub's schema, and what is said of bad ones."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from glue_harness.core.errors import DataError, GlueError, RowError, UsageError
from glue_harness.core.task import Source, jsonl, tsv
from glue_harness.data import available, load
from glue_harness.suite.build import classify, generate, regress

PAIR = {"premise": "s1", "hypothesis": "s2"}
SOURCE = Source(
    "owner/suite",
    config="pair",
    rows={"train": 4, "dev": 2},
    folder="Pair",
    files={"train": tsv("train.tsv", **PAIR, label="gold"), "dev": tsv("dev.tsv", "old.tsv", **PAIR)},
)
TASK = classify(
    "toypair",
    fields=tuple(PAIR),
    labels=("yes", "no"),
    source=SOURCE,
    metrics=(),
    splits={"train": "train", "validation": "train", "test": "dev"},
    suite="toysuite",
)
HEADER = "id\ts1\ts2\tgold\n"
GOOD = HEADER + "7\ta\tb\tyes\n8\tc\td\tno\n"


def task_with(**changes):
    return replace(TASK, source=replace(SOURCE, **changes))


@pytest.fixture
def folder(tmp_path) -> Path:
    (tmp_path / "data" / "Pair").mkdir(parents=True)
    return tmp_path / "data"


def write(folder: Path, content: str | bytes, name: str = "Pair/train.tsv") -> None:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)


def train(folder: Path, task=TASK) -> list[dict]:
    return list(load(task, "train", str(folder)))


def fault(folder: Path, task=TASK, role: str = "train") -> str:
    with pytest.raises(GlueError) as caught:
        load(task, role, str(folder))
    assert "\n" not in str(caught.value)
    return str(caught.value).replace(str(folder), "DIR")


def test_columns_become_the_hubs_and_words_become_ids(folder):
    write(folder, GOOD)
    assert train(folder) == [
        {"idx": 0, "premise": "a", "hypothesis": "b", "label": 0},
        {"idx": 1, "premise": "c", "hypothesis": "d", "label": 1},
    ]


def test_the_rows_say_where_they_are_from(folder):
    write(folder, GOOD)
    rows = load(TASK, "train", str(folder))
    assert rows.origin == "folder data/Pair/train.tsv"
    assert rows.notes == ("subset: 2 of 4 rows",)
    assert rows[1]["premise"] == "c"
    assert rows[:1] == [rows[0]]
    assert rows.to_record() == {
        "split": "train",
        "rows": 2,
        "official": 4,
        "origin": "folder data/Pair/train.tsv",
        "fingerprint": rows.fingerprint,
        "notes": ["subset: 2 of 4 rows"],
    }


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"\xef\xbb\xbf" + GOOD.encode(), id="byte order mark"),
        pytest.param(GOOD.replace("\n", "\r\n"), id="windows line ends"),
        pytest.param(GOOD.rstrip("\n"), id="no newline at the end"),
        pytest.param(GOOD + "\n\n", id="blank lines at the end"),
        pytest.param(GOOD.replace("yes", "0").replace("no", "1"), id="labels as numbers"),
        pytest.param("gold\ts2\ts1\nyes\tb\ta\nno\td\tc\n", id="columns in another order"),
    ],
)
def test_harmless_differences_change_nothing(folder, content):
    write(folder, GOOD)
    expected = load(TASK, "train", str(folder))
    expected_rows = list(expected)
    write(folder, content)
    rows = load(TASK, "train", str(folder))
    assert list(rows) == expected_rows
    assert rows.fingerprint == expected.fingerprint


@pytest.mark.parametrize(
    "text", ['"', '"open', 'a "b" c', "'", "\\t", " padded ", "a\u2028b", "a\x0bb", "a\x85b", "\u00e9\U0001f600"]
)
def test_no_character_but_tab_and_newline_has_a_meaning(folder, text):
    write(folder, f"{HEADER}0\t{text}\tb\tyes\n1\tc\td\tno\n")
    assert [row["premise"] for row in train(folder)] == [text, "c"]


def test_a_file_without_header_is_read_by_position(folder):
    task = task_with(files={"train": tsv("train.tsv", header=False, premise=3, hypothesis=0, label=1)})
    write(folder, "h\tyes\t\tp\nk\tno\t*\tq\n")
    assert train(folder, task) == [
        {"idx": 0, "premise": "p", "hypothesis": "h", "label": 0},
        {"idx": 1, "premise": "q", "hypothesis": "k", "label": 1},
    ]
    write(folder, "h\tyes\n")
    assert fault(folder, task) == (
        "DIR/Pair/train.tsv, line 1: expected at least 4 columns, found 2: is it another file?"
    )


def test_a_file_without_label_column_is_hidden(folder):
    write(folder, "s1\ts2\na\tb\n", "Pair/old.tsv")
    assert list(load(TASK, "test", str(folder))) == [{"idx": 0, "premise": "a", "hypothesis": "b", "label": -1}]


def test_scores_are_in_single_precision_as_on_the_hub(folder):
    task = regress(
        "score",
        fields=("premise",),
        source=replace(
            SOURCE, files={"train": tsv("train.tsv", premise="s1", label="gold"), "dev": tsv("dev.tsv", premise="s1")}
        ),
        metrics=(),
        write=str,
        choices=("0.0", "5.0"),
        splits={"train": "train", "test": "dev"},
    )
    write(folder, "s1\tgold\na\t5.000\nb\t3.8\n")
    write(folder, "s1\na\n", "Pair/dev.tsv")
    assert [row["label"] for row in train(folder, task)] == [5.0, 3.799999952316284]
    assert load(task, "test", str(folder))[0]["label"] == -1.0
    write(folder, "s1\tgold\na\t5.2\n")
    assert fault(folder, task) == "folder data/Pair/train.tsv, row 1: label 5.199999809265137 is not allowed: 0 to 5"
    write(folder, "s1\tgold\na\thigh\n")
    assert fault(folder, task) == "folder data/Pair/train.tsv, row 1: label 'high' is not allowed: 0 to 5"


def test_a_truncated_row_is_refused(folder):
    write(folder, GOOD + "9\te")
    assert fault(folder) == (
        "DIR/Pair/train.tsv, line 4: expected 4 columns, found 2: the row is truncated or broken, download the file again"
    )


def test_broken_rows_are_dropped_only_if_all_others_are_there(folder):
    task = task_with(rows={"train": 2})
    write(folder, GOOD.replace("8\t", "lost\n8\t"))
    rows = load(task, "train", str(folder))
    assert [row["idx"] for row in rows] == [0, 2]
    assert rows.notes == ("broken row dropped: train.tsv, line 3: expected 4 columns, found 1",)
    write(folder, GOOD.replace("8\t", "lost\n8\t") + "9\te\tf\tno\n")
    assert fault(folder, task).startswith("DIR/Pair/train.tsv, line 3: expected 4 columns, found 1")


def test_a_file_that_is_not_utf8_is_refused_with_the_place(folder):
    content = b"\xef\xbb\xbf" + GOOD.encode() + b"9\te\xe9\tf\tno\n"
    write(folder, content)
    assert fault(folder) == (
        f"DIR/Pair/train.tsv, line 4: byte {content.index(0xE9)} of the file is not UTF-8: convert it, or download it again"
    )


def test_a_missing_column_is_refused(folder):
    write(folder, "id\ts1\tgold\n0\ta\tyes\n")
    assert fault(folder) == (
        "DIR/Pair/train.tsv, line 1: column 's2' is missing, found: id, s1, gold: is it another file?"
    )


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "DIR/Pair/train.tsv is empty: download it again"),
        (HEADER, "folder data/Pair/train.tsv: no rows: a train split must not be empty"),
        (GOOD + "9\te\tf\tmaybe\n", "folder data/Pair/train.tsv, row 3: label 'maybe' is not allowed: 0=yes, 1=no"),
        (GOOD + "9\te\tf\t2\n", "folder data/Pair/train.tsv, row 3: label 2 is not allowed: 0=yes, 1=no"),
        (GOOD + "9\te\tf\t\n", "folder data/Pair/train.tsv, row 3: label '' is not allowed: 0=yes, 1=no"),
        (
            GOOD + "9\te\tf\t-1\n",
            "folder data/Pair/train.tsv, row 3: label -1 means hidden, and a train split needs labels: is it a test file?",
        ),
    ],
)
def test_rows_that_cannot_be_trained_on_are_refused(folder, content, message):
    write(folder, content)
    assert fault(folder) == message


def test_hidden_labels_are_refused_in_validation_too(folder):
    write(folder, GOOD + "9\te\tf\t-1\n")
    assert "row 3: label -1 means hidden, and a validation split needs labels" in fault(folder, role="validation")


def test_more_rows_than_official_are_said(folder):
    write(folder, GOOD)
    rows = load(task_with(rows={"train": 1}), "train", str(folder))
    assert rows.notes == ("more rows than the official split: 2, not 1",)


def test_a_missing_file_names_every_place_and_the_fix(folder):
    assert fault(folder, role="test") == (
        "no dev rows of 'toypair': looked for dev.tsv, old.tsv in data/Pair and dev/state.json, dev.parquet, "
        "dev-*-of-*.parquet, data/dev-*-of-*.parquet, dev.jsonl, dev.csv in data/toypair, data/pair, data "
        "and dev.tsv in data/toypair, data/pair: put one there, or use --data hub"
    )


def test_a_folder_that_does_not_exist_is_a_wrong_request(tmp_path):
    with pytest.raises(UsageError) as caught:
        load(TASK, "train", str(tmp_path / "dmeo"))
    assert str(caught.value).endswith("dmeo' is not a folder: use hub, demo, demo:ROWS or an existing folder")


@pytest.mark.parametrize("top", ["toysuite", "ToySuite", "toy_suite"])
def test_the_suites_own_folder_comes_first(folder, top):
    """RTE is in both benchmarks."""
    write(folder, GOOD)
    write(folder, HEADER + "0\tright\tb\tyes\n", f"{top}/Pair/train.tsv")
    assert train(folder)[0]["premise"] == "right"
    assert load(TASK, "train", str(folder)).origin == f"folder data/{top}/Pair/train.tsv"


def test_the_tasks_own_folder_can_be_named(folder, monkeypatch):
    write(folder, GOOD)
    assert load(TASK, "train", str(folder / "Pair")).origin == "folder Pair/train.tsv"
    monkeypatch.chdir(folder / "Pair")
    assert load(TASK, "train", ".").origin == "folder Pair/train.tsv"


def adapt(record):
    """A passage with several questions, as MultiRC has."""
    if "broken" in record:
        raise RowError("it says so itself")
    for question in record["questions"]:
        yield {"premise": record["passage"], "hypothesis": question, "label": 0}


def test_records_become_as_many_rows_as_they_hold(folder):
    task = task_with(files={"train": jsonl("train.jsonl")}, adapt=adapt)
    write(folder, '{"passage": "p", "questions": ["a", "b"]}\n{"passage": "q", "questions": []}\n', "Pair/train.jsonl")
    assert [row["hypothesis"] for row in train(folder, task)] == ["a", "b"]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (
            '{"passage": "p", ',
            "not JSON: Expecting property name enclosed in double quotes: line 1 column 18 (char 17)",
        ),
        ("[]", "a JSON list, not an object"),
        ('{"passage": "p"}', "not a 'toypair' record: KeyError('questions'): is it another file?"),
        ('{"broken": 1}', "it says so itself"),
    ],
)
def test_a_bad_record_is_refused_with_its_line(folder, line, message):
    task = task_with(files={"train": jsonl("train.jsonl")}, adapt=adapt)
    write(folder, f'{{"passage": "p", "questions": ["a"]}}\n{line}\n', "Pair/train.jsonl")
    assert fault(folder, task) == f"DIR/Pair/train.jsonl, line 2: {message}"


HUB_ROWS = [
    {"premise": "a", "hypothesis": "b", "label": 0, "idx": 0},
    {"premise": "c", "hypothesis": "d", "label": 1, "idx": 1},
    {"premise": "e", "hypothesis": "f", "label": 1, "idx": 2},
]


def save_parquet(folder: Path) -> None:
    from datasets import Dataset

    folder.mkdir(parents=True)
    Dataset.from_list(HUB_ROWS).to_parquet(folder / "train.parquet")


def save_shards(folder: Path) -> None:
    from datasets import Dataset

    folder.mkdir(parents=True)
    Dataset.from_list(HUB_ROWS[:2]).to_parquet(folder / "train-00000-of-00002.parquet")
    Dataset.from_list(HUB_ROWS[2:]).to_parquet(folder / "train-00001-of-00002.parquet")


def save_to_disk(folder: Path) -> None:
    from datasets import Dataset, DatasetDict

    DatasetDict({"train": Dataset.from_list(HUB_ROWS)}).save_to_disk(folder)


def save_selection(folder: Path) -> None:
    """Rows picked out of a larger set, in two data files."""
    from datasets import Dataset

    Dataset.from_list([*HUB_ROWS, *HUB_ROWS]).select([3, 1, 5]).save_to_disk(folder / "train", num_shards=2)


def save_jsonl(folder: Path) -> None:
    folder.mkdir(parents=True)
    (folder / "train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in HUB_ROWS))


@pytest.mark.parametrize("save", [save_parquet, save_shards, save_to_disk, save_selection, save_jsonl])
@pytest.mark.parametrize("name", ["toypair", "pair", "."])
def test_files_in_the_hubs_schema(tmp_path, save, name):
    save(tmp_path / "hub" / name)
    rows = load(TASK, "train", str(tmp_path / "hub"))
    assert list(rows) == HUB_ROWS
    assert [rows[0], rows[-1]] == [HUB_ROWS[0], HUB_ROWS[-1]]
    assert rows[1:] == HUB_ROWS[1:]
    with pytest.raises(IndexError):
        rows[3]


def test_the_fingerprint_knows_content_and_not_format(tmp_path):
    saves = (save_shards, save_to_disk, save_jsonl)
    for save in saves:
        save(tmp_path / save.__name__ / "pair")
    found = {load(TASK, "train", str(tmp_path / save.__name__)).fingerprint for save in saves}
    assert len(found) == 1
    (tmp_path / "save_jsonl/pair/train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in HUB_ROWS[::-1]))
    assert load(TASK, "train", str(tmp_path / "save_jsonl")).fingerprint not in found


def test_a_damaged_parquet_file_is_one_line(tmp_path):
    save_parquet(tmp_path / "pair")
    file = tmp_path / "pair" / "train.parquet"
    file.write_bytes(file.read_bytes()[:-20])
    message = fault(tmp_path)
    assert message.startswith("DIR/pair/train.parquet cannot be read: ")
    assert message.endswith(": save or download it again")


def test_shards_of_different_data_are_refused(tmp_path):
    from datasets import Dataset

    save_shards(tmp_path / "pair")
    Dataset.from_list([{"other": 1}]).to_parquet(tmp_path / "pair" / "train-00001-of-00002.parquet")
    assert fault(tmp_path) == "DIR/pair: the parts have different columns: save or download them again"


@pytest.mark.parametrize("state", ["", "[]", '{"_data_files": [{"filename": "gone.arrow"}]}'])
def test_a_damaged_saved_folder_is_one_line(tmp_path, state):
    save_to_disk(tmp_path / "pair")
    (tmp_path / "pair" / "train" / "state.json").write_text(state)
    assert fault(tmp_path).startswith("DIR/pair/train/")


def test_rows_lacking_a_column_are_refused(tmp_path):
    lines = [json.dumps(row) for row in ({"premise": "a", "hypothesis": "b", "label": 0}, {"premise": "c", "label": 0})]
    write(tmp_path, "\n".join(lines), "pair/train.jsonl")
    assert fault(tmp_path).endswith("/pair/train.jsonl, row 2: column 'hypothesis' is missing, found: premise, label")


@pytest.mark.parametrize("label", ["true", "1.0", '"maybe"', "null", "2"])
def test_labels_in_the_hubs_schema_are_words_or_whole_numbers(tmp_path, label):
    write(tmp_path, f'{{"premise": "a", "hypothesis": "b", "label": {label}}}', "pair/train.jsonl")
    assert f"row 1: label {json.loads(label)!r} is not allowed: 0=yes, 1=no" in fault(tmp_path)


def test_a_task_that_generates_needs_no_label(tmp_path):
    task = generate("free", columns=("question",), encode=lambda row: [], source=Source("owner/free"), metrics=())
    write(tmp_path, '{"question": "why"}', "free/train.jsonl")
    assert train(tmp_path, task) == [{"question": "why"}]


def test_what_is_available_is_told_by_file_names(folder):
    assert available(TASK, str(folder)) == "no"
    write(folder, "not even read")
    assert available(TASK, str(folder)) == "partly: no test"
    write(folder, "", "pair/dev.parquet")
    assert available(TASK, str(folder)) == "yes"


def test_a_split_that_a_task_lacks(folder):
    scored = replace(TASK, splits={"train": "train"}, scored_by=("matched",))
    with pytest.raises(DataError, match=r"^task 'toypair' has no validation split: it is scored by matched$"):
        load(scored, "validation", str(folder))
    with pytest.raises(DataError, match=r"^task 'toypair' has no test split: it has train$"):
        load(replace(TASK, splits={"train": "train"}), "test", str(folder))
    with pytest.raises(UsageError, match=r"^unknown split 'tst': did you mean test\?$"):
        load(TASK, "tst", str(folder))


def test_rows_of_a_file_are_a_sequence(folder):
    write(folder, GOOD)
    rows = load(TASK, "train", str(folder))
    whole = list(rows)
    assert len(rows) == len(whole) > 1
    assert [rows[k] for k in range(len(rows))] == whole
    assert rows[-1] == whole[-1]
    for part in (slice(None), slice(1, None), slice(None, None, 2), slice(None, None, -1), slice(5, 1), slice(0, 1)):
        assert rows[part] == whole[part]
    with pytest.raises(IndexError):
        rows[len(rows)]


def test_a_file_that_changes_while_it_is_used_is_named(folder):
    write(folder, GOOD)
    rows = load(TASK, "train", str(folder))
    write(folder, GOOD + "no\te\tf\n")
    with pytest.raises(DataError, match=r"train\.tsv was changed while it was in use: start again"):
        list(rows)
