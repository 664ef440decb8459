"""Trackers are told what goes by; one that fails, or is not there, never costs a run."""

import importlib.util
import sys
import tomllib
from types import SimpleNamespace

import pytest
from conftest import ROOT

from glue_harness import Plan, run
from glue_harness.core.errors import UsageError
from glue_harness.runs.care import marks
from glue_harness.track import Told, begin, check, packages

PLAN = Plan("rte", data="demo:60", model="tiny", steps=4, batch_size=8, eval_every=2)


def has(package):
    return importlib.util.find_spec(package) is not None


def test_every_tracker_names_its_package_and_has_an_extra_of_its_name():
    assert packages() == {"tensorboard": "tensorboardX", "trackio": "trackio", "wandb": "wandb", "mlflow": "mlflow"}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    for name, package in packages().items():
        (needed,) = project["optional-dependencies"][name]
        assert needed.startswith(f"{package}>=")


def test_unknown_trackers_and_lacking_packages_are_refused_before_anything_begins(monkeypatch):
    with pytest.raises(UsageError, match="unknown tracker 'tensorbord': did you mean tensorboard"):
        check(["tensorbord"])
    for nothing in (None, SimpleNamespace(origin=None)):  # a folder that has its name
        monkeypatch.setattr("glue_harness.track.find_spec", lambda name, nothing=nothing: nothing)
        with pytest.raises(UsageError, match=r"--track wandb needs wandb: pip install 'glue-harness\[wandb\]'"):
            check(["wandb"])


def test_a_run_that_cannot_be_tracked_leaves_nothing(tmp_path):
    with pytest.raises(UsageError, match="unknown tracker 'nobody'"):
        run(PLAN, results=tmp_path / "results", track=("nobody",))
    assert not (tmp_path / "results").exists()


class Heard:
    """A tracker that remembers what it was told."""

    def __init__(self, told, fails_at=None):
        self.told, self.values, self.status, self.fails_at = told, {}, None, fails_at

    def log(self, step, values):
        if step == self.fails_at:
            raise ConnectionError("no route\nto host")
        self.values.setdefault(step, {}).update(values)

    def end(self, status):
        self.status = status
        print("a tracker says good-bye")


@pytest.fixture
def heard(monkeypatch):
    """Trackers in the places of the real ones: wandb fails at step 2, mlflow does not begin."""
    made = {}

    def begin(name, told):
        if name == "mlflow":
            raise SystemExit("no server")
        made[name] = Heard(told, fails_at=2 if name == "wandb" else None)
        return made[name]

    monkeypatch.setattr("glue_harness.lab.tracking.begin", begin)
    monkeypatch.setattr("glue_harness.track.find_spec", lambda name: SimpleNamespace(origin="there"))
    return made


def test_what_trackers_are_told(heard, tmp_path, capsys):
    record = run(PLAN, results=tmp_path, track=("trackio",), marks=marks(["a"], "why"))
    tracker = heard["trackio"]
    assert tracker.told[:2] == (record.id, tmp_path / record.id)
    assert (tracker.told.settings["steps"], tracker.told.tags, tracker.told.note) == (4, ("a",), "why")
    assert tracker.values.keys() == {1, 2, 4}
    assert tracker.values[4]["train/loss"] > 0
    assert tracker.values[2]["rte/accuracy"] == record.history["rte"][0][1]["accuracy"]
    assert tracker.values[4]["rte/best/accuracy"] == record.scores["rte"].metrics["accuracy"]
    assert tracker.status == "finished"
    captured = capsys.readouterr()
    assert captured.out == ""  # stdout may be read by a program
    assert "good-bye" in captured.err


def test_a_tracker_that_fails_is_told_of_once_and_the_run_goes_on(heard, tmp_path, capsys):
    record = run(PLAN, results=tmp_path, track=("wandb", "mlflow", "trackio"))
    assert record.status == "finished"
    err = capsys.readouterr().err
    for line in (
        "tracker wandb failed and is told no more: ConnectionError: no route to host",
        "tracker mlflow failed and is told no more: SystemExit: no server",
    ):
        assert err.count(line) == 1
        assert line in record.notes
    assert heard["wandb"].status is None
    assert heard["trackio"].status == "finished"


def test_a_run_that_fails_ends_its_trackers(heard, tmp_path, monkeypatch):
    def fails(*_):
        raise RuntimeError("out of luck")

    monkeypatch.setattr("glue_harness.lab.attempt.Attempt._evaluate", fails)
    with pytest.raises(RuntimeError):
        run(PLAN, results=tmp_path, track=("trackio",))
    assert heard["trackio"].status == "failed"


def test_trackers_change_no_bit_of_a_run(heard, tmp_path):
    told, alone = run(PLAN, results=tmp_path / "a", track=("trackio",)), run(PLAN, results=tmp_path / "b")
    assert told.history == alone.history
    assert told.digest == alone.digest


TOLD = {"settings": {"lr": 0.1, "tasks": ["rte"]}, "tags": ("a", "b"), "note": "why", "step": 0}


def events(folder):
    """The scalars of an event file: each record has its length in 8 bytes, a checksum in 4, and another one behind."""
    from tensorboardX.proto.event_pb2 import Event

    (file,) = folder.glob("events.*")
    content, found = file.read_bytes(), {}
    while content:
        size = int.from_bytes(content[:8], "little")
        event = Event.FromString(content[12 : 12 + size])
        found |= {(event.step, value.tag): value.simple_value for value in event.summary.value}
        content = content[16 + size :]
    return found


@pytest.mark.skipif(not has("tensorboardX"), reason="needs tensorboardX")
def test_tensorboard_writes_event_files_into_the_run(tmp_path):
    tracker = begin("tensorboard", Told(id="r", folder=tmp_path, **TOLD))
    tracker.log(10, {"train/loss": 0.5, "rte/accuracy": 75.0})
    tracker.end("finished")
    found = events(tmp_path / "tensorboard")
    assert found[10, "train/loss"] == 0.5
    assert found[10, "rte/accuracy"] == 75.0


@pytest.mark.skipif(not has("trackio"), reason="needs trackio")
def test_trackio_keeps_a_local_database(tmp_path):
    """In a process of its own: trackio reads its place when it is loaded."""
    import os
    import sqlite3
    import subprocess

    code = (
        "from pathlib import Path; from glue_harness.track import Told, begin\n"
        f"t = begin('trackio', Told(id='r', folder=Path({str(tmp_path)!r}), **{TOLD!r}))\n"
        "t.log(10, {'train/loss': 0.5}); t.end('finished')"
    )
    subprocess.run([sys.executable, "-c", code], env={**os.environ, "TRACKIO_DIR": str(tmp_path)}, check=True)
    ((step, metrics),) = sqlite3.connect(tmp_path / "glue.db").execute("select step, metrics from metrics").fetchall()
    assert step == 10
    assert b'"train/loss":0.5' in bytes(metrics)


@pytest.mark.skipif(not has("wandb"), reason="needs wandb")
def test_wandb_is_offline_in_the_run(tmp_path, monkeypatch):
    monkeypatch.delenv("WANDB_MODE", raising=False)
    tracker = begin("wandb", Told(id="r", folder=tmp_path, **TOLD))
    tracker.log(10, {"train/loss": 0.5})
    tracker.end("finished")
    assert [file.suffix for file in tmp_path.glob("wandb/offline-run-*/run-*")] == [".wandb"]


@pytest.mark.skipif(not (has("mlflow") and has("sqlalchemy")), reason="needs mlflow")
def test_mlflow_finds_a_run_again_that_goes_on(tmp_path, monkeypatch):
    from mlflow import MlflowClient

    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    for step in (10, 20):
        tracker = begin("mlflow", Told(id="r", folder=tmp_path / "r", **TOLD))
        tracker.log(step, {"train/loss": 0.5})
        tracker.end("finished" if step == 20 else "interrupted")
    client = MlflowClient(tracking_uri=f"sqlite:///{tmp_path}/mlflow.db")
    (found,) = client.search_runs([client.get_experiment_by_name("glue").experiment_id])
    assert (found.info.status, found.data.params["lr"], found.data.tags["glue.tags"]) == ("FINISHED", "0.1", "a,b")
    assert [one.step for one in client.get_metric_history(found.info.run_id, "train/loss")] == [10, 20]


@pytest.mark.parametrize(("mode", "expected"), [(None, "offline"), ("online", "online")])
def test_nothing_leaves_the_machine_unless_the_user_says_so(tmp_path, monkeypatch, mode, expected):
    """By packages that only remember how they were called."""
    given = {}
    wandb = SimpleNamespace(init=lambda **how: given.update(how), Settings=lambda **_: None)
    trackio = SimpleNamespace(init=lambda project, **how: given.update(how), finish=None)
    monkeypatch.setitem(sys.modules, "wandb", wandb)
    monkeypatch.setitem(sys.modules, "trackio", trackio)
    monkeypatch.delenv("TRACKIO_SPACE_ID", raising=False)
    monkeypatch.setenv("WANDB_MODE", mode) if mode else monkeypatch.delenv("WANDB_MODE", raising=False)
    begin("wandb", Told(id="r", folder=tmp_path, **TOLD))
    assert (given["mode"], given["id"], given["tags"]) == (expected, "r", ["a", "b"])
    begin("trackio", Told(id="r", folder=tmp_path, **TOLD))
    assert (given["space_id"], given["name"]) == (None, "r")
