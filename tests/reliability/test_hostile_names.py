"""No name and no link leads out of a folder; only code that the user named is run."""

import ast
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT
from hypothesis import given, settings
from hypothesis import strategies as st
from records import finished

from glue_harness.cli import main
from glue_harness.core.errors import DataError, GlueError, UsageError
from glue_harness.core.names import is_safe_name
from glue_harness.core.plan import Plan
from glue_harness.core.reading import is_text
from glue_harness.core.task import Source
from glue_harness.runs.store import Store
from glue_harness.suite.build import classify
from glue_harness.suite.registry import load_tasks

UNSAFE = [
    "../x",
    "..",
    ".",
    "",
    "/etc",
    "a/b",
    "a\\b",
    "a\0b",
    "a\nb",
    "a:b",
    "CON",
    "nul",
    "aux.json",
    "com1",
    "x" * 300,
]
UNSAFE += ["end.", ".hidden", "-option", "ünder", "[red]", "\u202eabc", " a", "a ", "\ud800", "lpt9.tar.gz"]


@pytest.fixture
def store(tmp_path) -> Store:
    return Store(tmp_path / "results")


@pytest.mark.parametrize("name", UNSAFE)
def test_unsafe_names_name_no_run_and_no_predictions(store, name):
    with pytest.raises(UsageError, match=r"^run id .* is not allowed: use at most 128 letters"):
        store.run_folder(name)
    with pytest.raises(UsageError, match=r"^task name .* cannot be a file name: use at most 128 letters"):
        store.run("run").write_predictions(name, [])
    assert not store.folder.exists()


@settings(derandomize=True, max_examples=200, deadline=None)
@given(st.text())
def test_a_safe_name_is_a_file_of_its_folder(name):
    if is_safe_name(name):
        path = os.path.normpath(os.path.join("/results", name))
        assert (os.path.dirname(path), os.path.basename(path)) == ("/results", name)
        assert name.isascii()
        assert name.isprintable()


@settings(derandomize=True, max_examples=200, deadline=None)
@given(st.text(min_size=1), st.text(min_size=1), st.integers(0, 2**63))
def test_whatever_model_and_tasks_are_called_the_run_has_a_safe_name(task, model, seed):
    store = Store("results")
    if any("\0" in text or not is_text(text) for text in (task, model)):
        with pytest.raises(UsageError, match="must be text that UTF-8 can write, without NUL"):
            Plan((task,), model=model, seed=seed)
        return
    plan = Plan((task,), model=model, seed=seed)
    assert store.run_folder(store.new_id(plan)).parent == store.folder


def test_a_record_in_a_folder_with_an_unsafe_name_is_named(store):
    record = finished(store)
    odd = store.folder / "\x1b[31m"
    shutil.copytree(store.run_folder(record.id), odd)
    (odd / "record.json").write_text(json.dumps({**record.to_dict(), "id": odd.name}))
    records, ((path, reason),) = store.load_all()
    assert [found.id for found in records] == [record.id]
    assert path.parent == odd
    assert reason.startswith("its folder cannot be that of a run: ")


# Links


@pytest.mark.parametrize("inner", ["", "record.json"])
def test_links_out_of_the_results_are_not_followed(store, tmp_path, inner):
    elsewhere = Store(tmp_path / "elsewhere")
    record, mine = finished(elsewhere), finished(store)
    folder = store.folder / record.id
    if inner:
        folder.mkdir()
    (folder / inner).symlink_to(elsewhere.run_folder(record.id) / inner)
    records, ((path, reason),) = store.load_all()
    assert [found.id for found in records] == [mine.id]
    assert path == folder / "record.json"
    assert "a link leads out of the results folder and is not followed" in reason
    with pytest.raises(DataError, match="a link leads out of the results folder"):
        store.find(record.id)


def test_linked_predictions_are_not_read(store, tmp_path):
    record = finished(store)
    folder = store.run_folder(record.id) / "predictions"
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret" / "rte.jsonl").write_text("{}")
    folder.symlink_to(tmp_path / "secret")
    with pytest.raises(DataError, match="a link leads out of the results folder"):
        store.read_predictions(record.id, load_tasks().task("rte"))


def test_the_results_folder_itself_may_be_a_link(store, tmp_path):
    record = finished(store)
    (tmp_path / "link").symlink_to(store.folder)
    assert Store(tmp_path / "link").find("latest").id == record.id


def test_links_in_a_circle_are_no_runs(store):
    record = finished(store)
    (store.folder / "again").symlink_to(store.folder)
    (store.folder / "self").symlink_to(store.folder / "self")
    records, broken = store.load_all()
    assert [found.id for found in records] == [record.id]
    assert broken == []


# Tasks


def task_file(folder: Path, name: str, suite: str = "custom", file: str = "own.py") -> None:
    folder.mkdir(exist_ok=True)
    (folder / file).write_text(
        "from glue_harness.suite.build import classify\nfrom glue_harness.metrics import accuracy\n"
        "from glue_harness.core.task import Source\n"
        f"TASK = classify({name!r}, fields=('text',), labels=('a', 'b'), metrics=(accuracy,), suite={suite!r},\n"
        "    source=Source(''), demo=lambda random, n: [{'text': str(random.random()), 'label': k % 2} for k in range(n)])\n"
    )


@pytest.mark.parametrize("name", UNSAFE)
def test_a_task_cannot_have_an_unsafe_name(tmp_path, name):
    task_file(tmp_path / "own", name)
    registry = load_tasks([tmp_path / "own"])
    assert name not in registry.tasks
    (reason,) = registry.broken.values()
    assert "cannot be a file name" in reason or "surrogates not allowed" in reason


@pytest.mark.parametrize("suite", [*UNSAFE, "Glue", "glue-demo", "own-all"])
def test_a_suite_cannot_name_a_leaderboard_elsewhere_or_one_that_is_taken(tmp_path, suite):
    task_file(tmp_path / "own", "fine", suite)
    registry = load_tasks([tmp_path / "own"])
    assert suite not in registry.suites
    (reason,) = registry.broken.values()
    assert "cannot name a leaderboard" in reason or "surrogates not allowed" in reason


def test_tasks_that_differ_in_case_only_would_share_files(tmp_path):
    task_file(tmp_path / "own", "RTE")
    registry = load_tasks([tmp_path / "own"])
    assert "RTE" not in registry.tasks
    (reason,) = registry.broken.values()
    assert reason == "task name 'RTE' differs from 'rte' in case only, so one's files would be the other's"


def test_a_board_is_written_into_its_folder_only(store, tmp_path, capsys):
    finished(store, model="../../x", data="demo")
    main(["board", "--results", str(store.folder), "--out", str(tmp_path / "boards")])
    assert sorted(os.listdir(tmp_path / "boards")) == ["glue-demo.csv", "glue-demo.md"]
    with pytest.raises(SystemExit):
        main(["board", "--suite", "../glue", "--results", str(store.folder), "--out", str(tmp_path / "boards")])
    assert sorted(os.listdir(tmp_path)) == ["boards", "results"]


# Code


def test_only_code_from_named_folders_is_run(tmp_path):
    """Whatever lies where the user stands, in the data or in the results, stays text."""
    trap = "open('trapped', 'w')\n"
    for place in ("tasks", "results/tasks", "data/rte", "glue_harness/tasks"):
        (tmp_path / place).mkdir(parents=True)
        for name in ("rte.py", "evil.py", "conftest.py", "__init__.py"):
            (tmp_path / place / name).write_text(trap)
    for name in ("sitecustomize.py", "rich.py", "click.py", "torch.py"):
        (tmp_path / name).write_text(trap)
    (tmp_path / "data" / "rte" / "train.jsonl").write_text('{"sentence1": "a", "sentence2": "b", "label": 0}\n')
    script = "import sys; sys.path[:1] = []; from glue_harness.cli import main; main(sys.argv[1:])"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    for arguments in (["tasks", "--data", "data"], ["show", "rte", "--data", "data"], ["board"]):
        command = [sys.executable, "-c", script, *arguments]
        subprocess.run(command, cwd=tmp_path, check=True, capture_output=True, env=environment)
    assert not (tmp_path / "trapped").exists()
    subprocess.run(
        [sys.executable, "-c", script, "tasks", "--tasks", "tasks"], cwd=tmp_path, capture_output=True, env=environment
    )
    assert (tmp_path / "trapped").exists()


FORBIDDEN_CALLS = {"eval", "exec", "compile", "__import__", "os.system", "os.popen", "torch.hub.load"}
FORBIDDEN_MODULES = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "shelve", "marshal", "yaml", "commands"}


@pytest.mark.parametrize(
    "file", sorted([*(ROOT / "glue_harness").rglob("*.py"), *(ROOT / "tasks").glob("*.py")]), ids=str
)
def test_nothing_is_unpickled_no_shell_and_no_foreign_code_is_run(file):
    tree = ast.parse(file.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
        names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        assert not {name.split(".")[0] for name in names} & FORBIDDEN_MODULES
    for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call)):
        assert ast.unparse(call.func) not in FORBIDDEN_CALLS
        given = {k.arg: ast.unparse(k.value) for k in call.keywords}
        assert all(given.get(name, "False") == "False" for name in ("shell", "trust_remote_code", "allow_pickle"))
        if ast.unparse(call.func) == "torch.load":
            assert given.get("weights_only") == "True", ast.unparse(call)


def test_a_model_of_the_users_brings_no_code(tmp_path):
    """A folder whose configuration asks for code of its own is loaded without it, or refused."""
    from glue_harness.models.families import load_model

    (tmp_path / "config.json").write_text(
        json.dumps(
            {
                "model_type": "evil",
                "architectures": ["Evil"],
                "auto_map": {"AutoConfig": "evil.Evil", "AutoModelForSeq2SeqLM": "evil.Evil"},
            }
        )
    )
    (tmp_path / "evil.py").write_text(f"open({str(tmp_path / 'trapped')!r}, 'w')\n")
    with pytest.raises(GlueError):
        load_model(Plan(("rte",), model=str(tmp_path)), (), ())
    assert not (tmp_path / "trapped").exists()


def test_the_builder_alone_names_nothing(tmp_path):
    """A task that only lives in Python is caught where its files would be made."""
    task = classify("../x", fields=("text",), labels=("a",), metrics=(), source=Source(""))
    with pytest.raises(UsageError, match="cannot be a file name"):
        Store(tmp_path).run("run").write_predictions(task.name, [])
