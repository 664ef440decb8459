"""glue doctor as a command: the table, its fixes, JSON, exit codes."""

import json
from pathlib import Path

import pytest
from planted import copy_into_dev, write_data
from toys import toy_model

from glue_harness.cli import main


@pytest.fixture
def folder(tmp_path) -> Path:
    return write_data(tmp_path / "data")


@pytest.fixture
def saved_model(tmp_path) -> Path:
    folder = tmp_path / "model"
    folder.mkdir()
    toy_model().save(folder)
    return folder


def ran(capsys, *arguments: str) -> tuple[int, str, str]:
    try:
        main(["doctor", *arguments])
        code = 0
    except SystemExit as exit:
        code = exit.code
    out, err = capsys.readouterr()
    return code, out, err


def test_warnings_alone_are_success(capsys, folder):
    code, out, err = ran(capsys, "--data", str(folder))
    assert code == 0
    assert "0 wrong" in out
    assert "rte validation" in out
    assert "not looked at, for want of data: cola, sst2" in err
    assert max(map(len, out.splitlines())) <= 120


def test_a_fault_comes_with_its_fix_and_exit_code_1(capsys, folder):
    copy_into_dev(folder / "RTE" / "train.tsv", folder / "RTE" / "dev.tsv")
    code, out, _ = ran(capsys, "--data", str(folder), "--task", "rte,qnli")
    assert code == 1
    lines = out.splitlines()
    at = next(k for k, line in enumerate(lines) if "FAIL" in line)
    assert " ".join(lines[at].split()) == "rte validation FAIL duplicates 50 of 150 rows are also in train"
    assert lines[at + 1].strip().startswith("fix: take both splits again")
    assert "1 wrong" in lines[-1]


def test_json_holds_every_finding(capsys, folder, saved_model):
    code, out, _ = ran(capsys, "--data", str(folder), "--task", "rte", "--model", str(saved_model), "--json")
    facts = json.loads(out)
    assert (code, facts["ok"]) == (0, True)
    found = {(f["where"], f["check"]): f for f in facts["findings"]}
    assert found["rte train", "rows"] == {
        "where": "rte train",
        "check": "rows",
        "state": "warn",
        "text": "subset: 400 of 2,490 rows",
        "fix": "",
    }
    assert {("versions", "versions"), ("device", "device"), ("results", "disk"), ("model", "model")} <= found.keys()


def test_json_says_when_something_is_wrong(capsys, tmp_path):
    code, out, _ = ran(capsys, "--data", str(tmp_path), "--json")
    assert (code, json.loads(out)["ok"]) == (1, False)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--task", "mnlii"], "glue: unknown task or suite 'mnlii': did you mean mnli?"),
        (
            ["--data", "nowhere"],
            "glue: --data 'nowhere' is not a folder: use hub, demo, demo:ROWS or an existing folder",
        ),
        (["--model", "nowhere"], "glue: --model 'nowhere' is not a folder: name one that save_pretrained wrote"),
    ],
)
def test_wrong_requests_are_one_line(capsys, arguments, message):
    code, _, err = ran(capsys, *arguments)
    assert (code, err.strip()) == (2, message)
