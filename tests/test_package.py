"""The wheel carries the tasks, and they load from it as they do from a checkout."""

import os
import subprocess
import sys
import zipfile

import pytest
from conftest import ROOT

from glue_harness.core.errors import UsageError
from glue_harness.suite.registry import load_tasks

GOOD = """
from glue_harness.suite.build import classify
from glue_harness.metrics import accuracy
from glue_harness.core.task import Source

TASK = classify({name!r}, fields=("a",), labels=("x", "y"), metrics=(accuracy,), source=Source("none"))
"""


def test_a_wheel_holds_and_finds_every_task(tmp_path):
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        archive.extractall(tmp_path / "site")
    assert "glue_harness/tasks/mnli.py" in names
    assert "glue_harness/report/published.json" in names
    page = {file.name for file in (ROOT / "glue_harness" / "report" / "page").iterdir() if file.is_file()}
    assert {f"glue_harness/report/page/{name}" for name in page} <= set(names)
    assert not [name for name in names if name.startswith(("tests", "results", "leaderboards", "tasks"))]
    code = "from glue_harness import load_tasks; r = load_tasks(); print(len(r.tasks), r.task('mnli').file, r.broken)"
    env = {**os.environ, "PYTHONPATH": str(tmp_path / "site")}
    out = subprocess.run(
        [sys.executable, "-c", code], env=env, cwd=tmp_path, capture_output=True, text=True, check=True
    )
    count, file, broken = out.stdout.split(maxsplit=2)
    assert int(count) == len(load_tasks().tasks)
    assert file == str(tmp_path / "site" / "glue_harness" / "tasks" / "mnli.py")
    assert broken.strip() == "{}"


def test_tasks_of_a_folder_and_of_the_environment(tmp_path, monkeypatch):
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    (tmp_path / "one" / "mine.py").write_text(GOOD.format(name="mine"))
    (tmp_path / "two" / "other.py").write_text(GOOD.format(name="other"))
    monkeypatch.setenv("GLUE_TASKS", str(tmp_path / "two"))
    assert {"mine", "other"} <= load_tasks([tmp_path / "one"]).tasks.keys()


def test_a_broken_plugin_is_named_and_breaks_nothing_else(tmp_path):
    (tmp_path / "bad.py").write_text("import nothing_of_that_name")
    (tmp_path / "empty.py").write_text("x = 1")
    (tmp_path / "mine.py").write_text(GOOD.format(name="mine"))
    registry = load_tasks([tmp_path])
    assert "mine" in registry.tasks
    assert registry.broken == {
        str(tmp_path / "bad.py"): "ModuleNotFoundError: No module named 'nothing_of_that_name'",
        str(tmp_path / "empty.py"): "it defines no task",
    }
    with pytest.raises(UsageError, match=r"task 'bad' could not be loaded: .*bad.py: ModuleNotFoundError"):
        registry.task("bad")


def test_a_name_clash_is_an_error(tmp_path):
    (tmp_path / "mine.py").write_text(GOOD.format(name="mnli"))
    with pytest.raises(UsageError, match=r"task name 'mnli' is used twice: by .*mnli.py and by .*mine.py"):
        load_tasks([tmp_path])


def test_a_task_folder_that_is_not_there(tmp_path):
    with pytest.raises(
        UsageError, match=r"task folder .* cannot be read: No such file or directory \(--tasks or GLUE_TASKS\)"
    ):
        load_tasks([tmp_path / "nowhere"])


def test_entry_points_bring_tasks(tmp_path, monkeypatch):
    (tmp_path / "plug").mkdir()
    (tmp_path / "plug" / "__init__.py").write_text(GOOD.format(name="plugged"))
    info = tmp_path / "plug-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: plug\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[glue_harness.tasks]\nplug = plug\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert "plugged" in load_tasks().tasks
