"""glue doctor on the real rows, where they are at hand: every planted fault is found, and nothing else is."""

import shutil
from collections import Counter
from pathlib import Path

import pytest
from planted import (
    WRONG_ORDERS,
    copy_into_dev,
    cut,
    examined,
    exchange,
    faults,
    label_the_test_split,
    permute,
    read_tsv,
    swap,
    write_tsv,
)

from glue_harness import data
from glue_harness.doctor import FAIL, OK, WARN


@pytest.fixture
def real(shared, tmp_path):
    """Copies folders of real rows to a place where they may be spoilt."""

    def copy(*names: str, suite: str = "glue") -> Path:
        for name in names:
            shutil.copytree(shared / "data" / suite / name, tmp_path / "real" / name)
        return tmp_path / "real"

    return copy


def test_real_data_is_not_accused(shared):
    findings = examined(shared / "data")
    assert not [f for f in findings if f.state == FAIL]
    assert {f.check for f in findings if f.state == WARN} == {"rows", "presence"}
    found = {(f.where, f.check): f.text for f in findings if f.state == OK}
    assert found["cola validation", "duplicates"] == "16 also in train"
    assert found["cola train", "labels"] == "30% unacceptable, 70% acceptable"
    assert found["mnli train", "content"] == "3 of 3 cues plain to see"
    assert found["mrpc validation", "texts"] == "rows with a text in train of mrpc 43 (1 whole), stsb 63 (48 whole)"
    assert "mrpc 133 (111 whole), stsb 255 (8 whole)" in found["stsb validation", "texts"]
    assert found["cb validation", "texts"] == "none has a text in train"


def test_each_file_is_read_once(shared, monkeypatch):
    counted = Counter()
    read = data.folder.read

    def counting(task, split, where):
        counted[id(task.source.adapt), task.source.config, split] += 1
        return read(task, split, where)

    monkeypatch.setattr(data.folder, "read", counting)
    examined(shared / "data", "mnli", "wsc", "wnli")
    assert set(counted.values()) == {1}
    assert len(counted) == 9


def test_swapped_folders_of_real_rows_are_found(real):
    root = real("QQP", "STS-B")
    swap(root, "QQP", "STS-B")
    assert faults(root) >= {
        (f"{task} {split}", "readable") for task in ("qqp", "stsb") for split in ("train", "validation")
    }


@pytest.mark.parametrize("order", WRONG_ORDERS)
def test_permuted_labels_of_real_rows_are_found(real, order):
    root = real("MNLI")
    for file in (root / "MNLI").iterdir():
        permute(file, order)
    splits = ("train", "validation_matched", "validation_mismatched")
    assert faults(root) == {(f"mnli {split}", "content") for split in splits}


@pytest.mark.parametrize(
    "name", ["CoLA/train.tsv", "SST-2/dev.tsv", "MRPC/test.tsv", "STS-B/train.tsv", "MNLI/train.tsv"]
)
def test_truncated_real_files_are_found(real, name):
    root = real(Path(name).parent.name)
    cut(root / name, 0.5)
    assert len(faults(root)) == 1


@pytest.mark.parametrize(
    ("suite", "name", "task", "suffix"),
    [
        ("glue", "CoLA", "cola", "tsv"),
        ("glue", "SST-2", "sst2", "tsv"),
        ("glue", "MRPC", "mrpc", "tsv"),
        ("glue", "STS-B", "stsb", "tsv"),
        ("glue", "QQP", "qqp", "tsv"),
        ("glue", "QNLI", "qnli", "tsv"),
        ("glue", "RTE", "rte", "tsv"),
        ("superglue", "BoolQ", "boolq", "jsonl"),
        ("superglue", "MultiRC", "multirc", "jsonl"),
        ("superglue", "RTE", "superglue_rte", "jsonl"),
        ("superglue", "WiC", "wic", "jsonl"),
    ],
)
def test_training_rows_in_a_real_dev_set_are_found(real, suite, name, task, suffix):
    folder = real(name, suite=suite) / name
    dev = folder / ("dev.tsv" if suffix == "tsv" else "val.jsonl")
    copy_into_dev(folder / f"train.{suffix}", dev, header=int(suffix == "tsv" and name != "CoLA"))
    assert (f"{task} validation", "duplicates") in faults(folder.parent, task)


def test_training_rows_in_the_real_mnli_dev_set_are_found(real):
    folder = real("MNLI") / "MNLI"
    header, rows = read_tsv(folder / "train.tsv")
    dev_header, dev_rows = read_tsv(folder / "dev_matched.tsv")
    copies = [dict(zip(header, row, strict=True)) for row in rows[:50]]
    write_tsv(
        folder / "dev_matched.tsv",
        dev_header,
        dev_rows + [[row.get(name, "") for name in dev_header] for row in copies],
    )
    assert faults(folder.parent, "mnli") == {("mnli validation_matched", "duplicates")}


def test_real_looking_labels_in_real_test_splits_are_found(real):
    root = real("SST-2", "STS-B")
    label_the_test_split(root / "SST-2" / "test.tsv", ["0", "1"])
    label_the_test_split(root / "STS-B" / "test.tsv", ["0.4", "5.0", "2.2"])
    assert faults(root) == {("sst2 test", "answers"), ("stsb test", "answers")}


def test_a_dev_set_in_place_of_a_test_set_is_found(real):
    folder = real("CB", suite="superglue") / "CB"
    shutil.copy(folder / "val.jsonl", folder / "test.jsonl")
    assert faults(folder.parent) == {("cb test", "answers"), ("cb test", "duplicates")}


@pytest.mark.parametrize(
    ("name", "first", "second", "checks"),
    [
        ("MNLI", "sentence1", "sentence2", {"content"}),
        ("MNLI", "sentence1", "gold_label", {"readable"}),
        ("MRPC", "#1 ID", "#1 String", {"columns"}),
        ("QNLI", "question", "sentence", {"content"}),
        ("RTE", "index", "sentence2", {"columns"}),
        ("STS-B", "genre", "sentence1", {"content"}),
        ("WNLI", "sentence1", "sentence2", {"content"}),
    ],
)
def test_real_columns_in_the_wrong_order_are_found(real, name, first, second, checks):
    root = real(name)
    exchange(root / name / "train.tsv", first, second)
    assert {check for where, check in faults(root) if where.endswith("train")} == checks


def test_headless_columns_in_the_wrong_order_are_found(real):
    file = real("CoLA") / "CoLA" / "train.tsv"
    rows = [line.split("\t") for line in file.read_text(encoding="utf-8").split("\n") if line]
    file.write_text("".join("\t".join([row[3], row[1], row[2], row[0]]) + "\n" for row in rows), encoding="utf-8")
    assert faults(file.parent.parent) == {("cola train", "content")}
