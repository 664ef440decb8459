"""`glue show`: a task's facts and rows for people, exact lines of JSON for scripts."""

import io
import json
import subprocess
import sys
from threading import Timer
from types import SimpleNamespace

import pytest
from conftest import golden

from glue_harness.cli import main
from glue_harness.core.errors import UsageError
from glue_harness.suite.registry import load_tasks

PAIR = {"premise": "a", "hypothesis": "b", "label": 0}
VECTORS = golden("preprocess")
TASKS = load_tasks()
PLUGIN = """
from glue_harness.suite.build import generate
from glue_harness.core.errors import RowError
from glue_harness.core.task import Source, Text

def encode(row):
    return [Text(word.upper(), str(len(word))) for word in row["words"]]

SPLITTER = generate("splitter", columns=("words",), encode=encode, source=Source("x"), metrics=())
"""


def is_known(name: str) -> bool:
    try:
        TASKS.task(name)
    except UsageError:
        return False
    return True


KNOWN = sorted(name for name in {vector["t5_task"] for vector in VECTORS} if is_known(name))


def failing(capsys, arguments: list[str], code: int) -> tuple[str, str]:
    with pytest.raises(SystemExit) as caught:
        main(["show", *arguments])
    output = capsys.readouterr()
    assert caught.value.code == code
    return output.out, output.err.removesuffix("\n")


@pytest.fixture
def stdin(monkeypatch):
    def feed(content: str | bytes) -> None:
        data = content.encode() if isinstance(content, str) else content
        monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(data)))

    return feed


@pytest.fixture
def splitter(tmp_path):
    (tmp_path / "tasks").mkdir()
    (tmp_path / "tasks" / "splitter.py").write_text(PLUGIN)
    return ["splitter", "--tasks", str(tmp_path / "tasks")]


@pytest.mark.parametrize("name", KNOWN)
def test_rows_become_exactly_what_t5_makes_of_them(name, capsys, tmp_path):
    vectors = [vector for vector in VECTORS if vector["t5_task"] == name]
    file = tmp_path / "rows.jsonl"
    file.write_text("".join(json.dumps(vector["raw"]) + "\n" for vector in vectors))
    refused = [vector for vector in vectors if isinstance(vector["expect"], dict)]
    try:
        main(["show", name, "--rows", str(file), "--json"])
        code = 0
    except SystemExit as stop:
        code = stop.code
    lines = capsys.readouterr().out.splitlines()
    assert code == bool(refused)
    assert len(lines) == len(vectors)
    for line, vector in zip(lines, vectors, strict=True):
        if vector in refused:
            assert list(json.loads(line)) == ["error"]
        else:
            assert line == json.dumps(vector["expect"])


def test_t5s_registered_tasks_are_here():
    assert {"glue_mnli_v002", "glue_stsb_v002", "super_glue_record_v102"} <= set(KNOWN)


def test_bad_lines_are_told_apart_and_the_rest_goes_on(capsys, stdin):
    good = json.dumps(PAIR).encode()
    lines = [
        good,
        b"",
        b"nope",
        b"[1]",
        b'{"premise": "a"}',
        b'{"premise": "a", "hypothesis": 3, "label": 0}',
        b'{"premise": "a", "hypothesis": "b", "label": 9}',
        b'{"premise": "\xff"}',
        good,
    ]
    stdin(b"\n".join(lines))
    out, err = failing(capsys, ["mnli", "--rows", "-", "--json"], 1)
    encoded = [{"inputs": "mnli hypothesis: b premise: a", "targets": "entailment"}]
    assert [json.loads(line) for line in out.splitlines()] == [
        encoded,
        {"error": "line 3: not JSON: Expecting value: line 1 column 1 (char 0)"},
        {"error": "line 4: a JSON list, not an object"},
        {"error": "columns 'hypothesis', 'label' are missing, found: premise"},
        {"error": "column 'hypothesis' must be text, not 3"},
        {"error": "label 9 is not allowed: 0=entailment, 1=neutral, 2=contradiction, -1=hidden"},
        {"error": "line 8: not JSON: 'utf-8' codec can't decode byte 0xff in position 13: invalid start byte"},
        encoded,
    ]
    assert err == "glue: 6 of 8 rows could not become examples of 'mnli'"


def test_a_line_nested_without_end_is_no_crash(capsys, stdin):
    stdin("[" * 100_000)
    out, _ = failing(capsys, ["mnli", "--rows", "-", "--json"], 1)
    assert json.loads(out)["error"].startswith("line 1: not JSON: ")


def test_any_text_comes_back_byte_for_byte(capsys, stdin):
    premise = 'tab\t quote" é 東京 \U0001f600 \ud800 \u2028'
    stdin(b"\xef\xbb\xbf" + json.dumps({**PAIR, "premise": premise}).encode() + b"\r\n")
    main(["show", "mnli", "--rows", "-", "--json"])
    out = capsys.readouterr().out
    assert out.isascii()
    assert out == json.dumps([{"inputs": f"mnli hypothesis: b premise: {premise}", "targets": "entailment"}]) + "\n"


def test_extra_columns_are_allowed(capsys, stdin):
    stdin(json.dumps({**PAIR, "idx": 7, "genre": None}))
    main(["show", "mnli", "--rows", "-", "--json"])
    assert json.loads(capsys.readouterr().out)[0]["targets"] == "entailment"


def test_a_row_may_give_several_examples_or_none(capsys, stdin, splitter):
    stdin('{"words": ["a", "bb"]}\n{"words": []}\n')
    main(["show", *splitter, "--rows", "-", "--json"])
    assert [json.loads(line) for line in capsys.readouterr().out.splitlines()] == [
        [{"inputs": "A", "targets": "1"}, {"inputs": "BB", "targets": "2"}],
        [],
    ]


def test_a_value_of_the_wrong_type_is_an_error_of_its_row(capsys, stdin, splitter):
    stdin('{"words": 3}\n{"words": [3]}\n')
    out, err = failing(capsys, [*splitter, "--rows", "-", "--json"], 1)
    why = ["TypeError: 'int' object is not iterable", "AttributeError: 'int' object has no attribute 'upper'"]
    for line, reason in zip(out.splitlines(), why, strict=True):
        error = json.loads(line)["error"]
        assert error.startswith("a value has the wrong type or shape: ")
        assert "splitter.py, line " in error
        assert f": {reason} (at: " in error
    assert err == "glue: 2 of 2 rows could not become examples of 'splitter'"


def test_lines_are_answered_before_the_next_is_written():
    command = [sys.executable, "-m", "glue_harness", "show", "mnli", "--rows", "-", "--json"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        alarm = Timer(30, process.kill)  # a command that waits for more would wait for ever
        alarm.start()
        for _ in range(3):
            process.stdin.write(json.dumps(PAIR).encode() + b"\n")
            process.stdin.flush()
            assert json.loads(process.stdout.readline())[0]["targets"] == "entailment"
        process.stdin.close()
        alarm.cancel()
    assert process.returncode == 0


def test_rows_are_limited_only_on_request(capsys, stdin):
    stdin(f"{json.dumps(PAIR)}\n" * 10)
    main(["show", "mnli", "--rows", "-", "--json"])
    assert capsys.readouterr().out.count("\n") == 10
    stdin(f"{json.dumps(PAIR)}\n" * 10)
    main(["show", "mnli", "--rows", "-", "--json", "--n", "4"])
    assert capsys.readouterr().out.count("\n") == 4


def test_rows_of_ones_own_can_be_looked_at(capsys, stdin):
    stdin(json.dumps(PAIR) + "\nnope\n")
    out, _ = failing(capsys, ["mnli", "--rows", "-"], 1)
    assert [" ".join(line.split()) for line in out.splitlines()] == [
        "",
        "row 1",
        "premise a",
        "hypothesis b",
        "label 0",
        "inputs mnli hypothesis: b premise: a",
        "target entailment",
        "",
        "row 2",
        "error: line 2: not JSON: Expecting value: line 1 column 1 (char 0)",
    ]


def test_the_screen_has_facts_and_demo_rows(capsys):
    main(["show", "mnli_matched", "--n", "1"])
    screen = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    assert screen[0] == "mnli_matched (MNLI-m)"
    for line in (
        "fields hypothesis, premise",
        "labels 0 = entailment, 1 = neutral, 2 = contradiction",
        "metrics accuracy",
        "also called glue_mnli_matched_v002, glue/mnli_matched",
        "rows validation (validation_matched) 9,815, test (test_matched) 9,796",
        "Hub nyu-mll/glue mnli at bcdcba7",
        "1 of 400 validation_matched rows of demo (synthetic; real rows: --data hub or --data DIR)",
        "row 1",
    ):
        assert line in screen
    assert any(line.startswith("inputs mnli hypothesis: ") for line in screen)
    assert "row 2" not in screen


def test_a_row_that_t5_drops_is_said_to_be(capsys, stdin, splitter):
    stdin('{"words": []}')
    main(["show", *splitter, "--rows", "-"])
    assert "dropped: T5 makes no example of it" in capsys.readouterr().out


def test_data_cannot_steer_the_terminal(capsys, stdin):
    stdin(json.dumps({**PAIR, "premise": "\x1b[31mred [bold]"}))
    main(["show", "mnli", "--rows", "-"])
    out = capsys.readouterr().out
    assert "\x1b" not in out
    assert "\\x1b[31mred [bold]" in out


def test_a_folder_can_be_shown_and_its_notes_are(capsys, tmp_path):
    (tmp_path / "RTE").mkdir()
    (tmp_path / "RTE" / "train.tsv").write_text("index\tsentence1\tsentence2\tlabel\n0\tfirst\tsecond\tentailment\n")
    main(["show", "rte", "--data", str(tmp_path)])
    screen = capsys.readouterr().out
    assert f"1 of 1 train rows of folder {tmp_path.name}/RTE/train.tsv; subset: 1 of 2,490 rows" in screen
    assert "rte sentence1: first sentence2: second" in screen


def test_json_has_facts_evidence_and_rows(capsys):
    main(["show", "stsb", "--json", "--n", "2", "--split", "test"])
    shown = json.loads(capsys.readouterr().out)
    assert shown["fields"] == ["sentence1", "sentence2"]
    assert (shown["splits"]["test"], shown["rows"]["test"]) == ("test", 1379)
    assert shown["hub"]["id"] == "nyu-mll/glue"
    assert shown["files"]["validation"] == ["STS-B/dev.tsv"]
    assert (shown["data"]["origin"], shown["data"]["rows"]) == ("demo", 400)
    assert [row["row"]["label"] for row in shown["sample"]] == [-1.0, -1.0]
    assert shown["sample"][0]["texts"][0]["inputs"].startswith("stsb sentence1: ")


def test_a_task_without_demo_is_shown_without_rows(capsys, splitter):
    main(["show", *splitter])
    assert "no rows to show: this task has no demo, name --data hub or --data DIR" in capsys.readouterr().out
    main(["show", *splitter, "--json"])
    shown = json.loads(capsys.readouterr().out)
    assert (shown["data"], shown["sample"]) == (None, [])


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["mnlu"], 2, "glue: unknown task 'mnlu': did you mean mnli?"),
        (["mnli", "--split", "trian"], 2, "glue: unknown split 'trian': did you mean train?"),
        (
            ["mnli", "--split", "validation"],
            1,
            "glue: task 'mnli' has no validation split: it is scored by mnli_matched, mnli_mismatched",
        ),
        (
            ["mnli", "--rows", "-", "--data", "demo"],
            2,
            "glue: --rows brings its own rows: leave out --data and --split",
        ),
        (
            ["mnli", "--rows", "gone.jsonl"],
            2,
            "glue: Invalid value for '--rows': 'gone.jsonl': No such file or directory (see glue show --help)",
        ),
        (
            ["mnli", "--data", "hub"],
            1,
            "glue: cannot get 'nyu-mll/glue' from the Hub (HF_HUB_OFFLINE is set): "
            "without network use --data demo or --data DIR, or try glue run --task mnli --demo",
        ),
        (
            ["mnli", "--data", ""],
            2,
            "glue: --data '' is not a folder: use hub, demo, demo:ROWS or an existing folder",
        ),
        (["x9q"], 2, "glue: unknown task 'x9q': glue tasks lists them"),
    ],
)
def test_wrong_requests_are_one_line(capsys, arguments, code, message):
    assert failing(capsys, arguments, code) == ("", message)
