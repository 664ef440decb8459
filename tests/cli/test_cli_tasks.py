"""`glue tasks`: one screen, or JSON; quick, because nothing heavy is imported."""

import json
import shlex
import subprocess
import sys
from contextlib import suppress

import pytest
from conftest import ROOT
from records import narrow_screen
from refresh_docs import fences

from glue_harness.cli import main
from glue_harness.suite.registry import load_tasks

PLUGIN = """
from glue_harness.suite.build import classify
from glue_harness.core.task import Source

OWN = classify("own", fields=("text",), labels=("no", "yes"), source=Source("x", rows={"train": 12345}), metrics=(),
               splits={"train": "train", "validation": "validation"})
RARE = classify("rare", fields=("text",), labels=("no", "yes"), source=Source("x"), metrics=(), part="extra",
                splits={"test": "test"}, suite="odd")
"""


@pytest.fixture
def plugins(tmp_path, monkeypatch):
    folder = tmp_path / "plugins"
    folder.mkdir()
    (folder / "own.py").write_text(PLUGIN)
    monkeypatch.setenv("GLUE_TASKS", str(folder))
    return folder


def listed(capsys, *arguments: str) -> list[dict]:
    main(["tasks", "--json", *arguments])
    return json.loads(capsys.readouterr().out)


def row_of(screen: str, task: str) -> list[str]:
    return next(line.split() for line in screen.splitlines() if line.split()[:1] == [task])


def test_the_screen_tells_rows_metrics_and_data(capsys):
    main(["tasks"])
    screen = capsys.readouterr().out
    assert row_of(screen, "mrpc") == [
        "mrpc",
        "glue",
        "classify",
        "label",
        "3,668",
        "408",
        "F1,",
        "Acc",
        "to",
        "download",
    ]
    assert row_of(screen, "mnli")[4:6] == ["392,702", "-"]
    assert row_of(screen, "ax")[4:7] == ["-", "-", "none"]
    assert max(map(len, screen.splitlines())) <= 120


def test_a_narrow_screen_breaks_no_name_and_no_number(capsys, monkeypatch):
    main(["tasks", "--json"])
    facts = json.loads(capsys.readouterr().out)
    monkeypatch.setattr("glue_harness.report.console.console", narrow_screen)
    main(["tasks"])
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].split() == ["task", "train", "validation", "metrics", "data", "here"]
    shown = [line.split() for line in lines[3:] if line.strip()]
    assert [cells[0] for cells in shown] == [fact["task"] for fact in facts]
    assert ["wmt_en_fr", "40,836,715", "3,003", "BLEU", "to", "download"] in shown
    assert max(map(len, lines)) <= 80


def test_tasks_stand_in_table_order_extras_last(capsys):
    glue = [fact["task"] for fact in listed(capsys, "--suite", "glue")]
    assert glue[:8] == ["cola", "sst2", "mrpc", "stsb", "qqp", "mnli", "qnli", "rte"]
    assert set(glue[8:]) == {"mnli_matched", "mnli_mismatched", "wnli", "wnli_referent", "ax"}


def test_json_has_a_fact_sheet_of_each_task(capsys):
    facts = {fact["task"]: fact for fact in listed(capsys, "--data", "demo")}
    assert facts["mnli_matched"] == {
        "task": "mnli_matched",
        "title": "MNLI-m",
        "suite": "glue",
        "part": "extra",
        "kind": "classify",
        "head": "label",
        "rows": {"validation": 9815, "test": 9796},
        "metrics": ["accuracy"],
        "scored_by": [],
        "aliases": ["glue_mnli_matched_v002", "glue/mnli_matched"],
        "data": "yes",
    }
    assert facts["mnli"]["scored_by"] == ["mnli_matched", "mnli_mismatched"]


def test_the_data_column_looks_into_a_folder(capsys, tmp_path):
    (tmp_path / "RTE").mkdir()
    for name in ("train.tsv", "dev.tsv"):
        (tmp_path / "RTE" / name).touch()
    found = {fact["task"]: fact["data"] for fact in listed(capsys, "--suite", "glue", "--data", str(tmp_path))}
    assert (found["rte"], found["cola"]) == ("partly: no test", "no")


def test_a_suite_with_all_that_goes_by_its_name(capsys):
    """`glue-all` is a name that --task takes: the same tasks."""
    named = [fact["task"] for fact in listed(capsys, "--suite", "glue-all")]
    assert set(named) == set(load_tasks().suites["glue-all"])
    assert named[:2] == ["cola", "sst2"]
    assert {"ax", "wnli", "wnli_referent"} <= set(named)


def test_own_tasks_come_after_the_suites(capsys, plugins):
    facts = listed(capsys)
    assert facts[-1]["task"] == "own"
    assert facts[-1]["rows"] == {"train": 12345, "validation": None}
    main(["tasks"])
    assert row_of(capsys.readouterr().out, "own")[:6] == ["own", "custom", "classify", "label", "12,345", "?"]


def test_a_folder_of_tasks_can_be_named(capsys, plugins, monkeypatch):
    monkeypatch.delenv("GLUE_TASKS")
    assert [fact["task"] for fact in listed(capsys, "--suite", "odd", "--tasks", str(plugins))] == ["rare"]


@pytest.mark.parametrize(
    ("text", "reason"), [("1 / 0", "ZeroDivisionError: division by zero"), ("raise SystemExit(3)", "SystemExit: 3")]
)
def test_broken_plugins_are_named_and_hide_nothing(capsys, plugins, text, reason):
    (plugins / "bad.py").write_text(text)
    main(["tasks", "--json"])
    output = capsys.readouterr()
    assert json.loads(output.out)[-1]["task"] == "own"
    assert output.err == f"not loaded: {plugins / 'bad.py'}: {reason}\n"


@pytest.mark.parametrize(
    "arguments",
    [
        ["show", "own", "--data", "demo"],
        ["mix", "--task", "rte"],
        ["score", "rte", "nowhere.jsonl"],
        ["board"],
        ["compare", "a", "b"],
    ],
)
def test_every_verb_that_loads_tasks_names_the_broken_ones(capsys, plugins, arguments):
    (plugins / "bad.py").write_text("import glue_harness.nothing")
    with suppress(SystemExit):
        main(arguments)
    assert f"not loaded: {plugins / 'bad.py'}: ModuleNotFoundError: " in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [["run", "--task", "bad"], ["show", "bad"], ["mix", "--task", "rte,bad"]])
def test_a_broken_task_that_is_asked_for_is_one_line(capsys, plugins, arguments):
    (plugins / "bad.py").write_text("1 / 0")
    with pytest.raises(SystemExit):
        main(arguments)
    line = f"glue: task 'bad' could not be loaded: {plugins / 'bad.py'}: ZeroDivisionError: division by zero\n"
    assert capsys.readouterr().err == line


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--suite", "gleu"], "glue: unknown suite 'gleu': did you mean glue?"),
        (
            ["--data", "nowhere"],
            "glue: --data 'nowhere' is not a folder: use hub, demo, demo:ROWS or an existing folder",
        ),
        (["--suite", "glu-all"], "glue: unknown suite 'glu-all': did you mean glue-all?"),
        (["--data", ""], "glue: --data '' is not a folder: use hub, demo, demo:ROWS or an existing folder"),
        (["--tasks", "nowhere"], "glue: task folder 'nowhere' cannot be read: No such file or directory"),
    ],
)
def test_wrong_requests_are_one_line(capsys, arguments, message):
    with pytest.raises(SystemExit) as caught:
        main(["tasks", *arguments])
    assert caught.value.code == 2
    assert capsys.readouterr().err.strip().removesuffix(" (--tasks or GLUE_TASKS)") == message


@pytest.mark.parametrize("verb", ["tasks", "show"])
def test_nothing_heavy_is_imported(verb):
    arguments = [verb] if verb == "tasks" else [verb, "mnli"]
    code = (
        "import sys; from glue_harness.cli import main\n"
        f"main({arguments!r})\n"
        "heavy = {'torch', 'transformers', 'datasets', 'pandas', 'numpy', 'pyarrow', 'huggingface_hub'}\n"
        "print(sorted(heavy & set(sys.modules)), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr == "[]\n"


def example_of_the_docs(folder):
    """The table and the commands that docs/data.md shows, the table put where it says."""
    page = ROOT / "docs" / "data.md"
    (table,) = [text for text in fences(page, "text") if text.startswith("review,")]
    (commands,) = [text for text in fences(page, "sh") if "glue tasks new" in text]
    (folder / "reviews").mkdir()
    header, *rows = table.splitlines()
    for name, times in (("train", 10), ("validation", 2)):
        (folder / "reviews" / f"{name}.csv").write_text("\n".join([header, *rows * times]) + "\n")
    return [shlex.split(line)[1:] for line in commands.replace("\\\n", " ").splitlines()]


def test_the_docs_example_of_own_data_runs(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    new, *others = example_of_the_docs(tmp_path)
    main(new)
    out = capsys.readouterr().out
    assert out.startswith("wrote reviews/reviews.py: classify, sentiment (negative 50%, positive 50%) of review\n")
    assert "rows: 40 to train on; files: train train.csv, validation validation.csv\n" in out
    assert out.endswith(
        "next: glue show reviews --tasks reviews --data reviews and "
        "glue run --task reviews --tasks reviews --data reviews\n"
    )
    small = ["--model", "tiny", "--steps", "2", "--eval-every", "2", "--batch-size", "4", "--device", "cpu", "--quiet"]
    for words in others:
        main([*words, *(small if words[0] == "run" else [])])
    out = capsys.readouterr().out
    assert "reviews review: " in out
    assert "recorded in" in out


def test_a_task_file_is_never_overwritten_and_a_name_taken_is_refused(capsys, tmp_path):
    table = tmp_path / "train.csv"
    table.write_text("text,label\na b c,yes\nd e f,no\n")
    for name, message in (
        ("rte", "glue: 'rte' is a task or a suite already: choose another name"),
        ("../own", "glue: task name '../own' cannot be a file name: use at most 128 letters"),
        ("own", ""),
        ("own", f"glue: '{tmp_path}/own.py' is there already: choose another name, or remove it"),
    ):
        with suppress(SystemExit):
            main(["tasks", "new", name, "--from", str(table)])
        output = capsys.readouterr()
        assert output.err.startswith(message)
        assert bool(output.err) == bool(message) != ("nothing to score yet: put validation.csv" in output.out)
    assert [task["task"] for task in listed(capsys, "--tasks", str(tmp_path), "--suite", "custom")][-1] == "own"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["own.py", "train.csv"]
