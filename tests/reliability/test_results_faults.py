"""Results under bad conditions: many writers at once, a full disk, a read-only one, odd clocks, newer records."""

import csv
import json
import os
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from conftest import ROOT
from records import finished, runner

from glue_harness.cli.board import write_files
from glue_harness.core.errors import DataError, GlueError
from glue_harness.core.plan import Plan
from glue_harness.report.board import make_boards
from glue_harness.runs import store as store_module
from glue_harness.runs.store import Store
from glue_harness.suite.registry import load_tasks

REGISTRY = load_tasks()
RTE = REGISTRY.task("rte")
ROWS = [{"sentence1": f"a{k}", "sentence2": "b", "label": k % 2} for k in range(60)]
EXAMPLES = [example for k, row in enumerate(ROWS) for example in RTE.examples(row, k)]


def predictions(answer: str):
    return [RTE.prediction(example, answer, {"entailment": 0.5}) for example in EXAMPLES]


# Many writers

WRITERS, RUNS = 8, 12
WRITER = f"""
import sys, time
from pathlib import Path
sys.path[:0] = sys.argv[3:]
from records import GLUE, scores
from glue_harness.core.plan import Plan
from glue_harness.core.record import Record
from glue_harness.runs.store import Store
folder, me = Path(sys.argv[1]), int(sys.argv[2])
store = Store(folder)
print("ready", flush=True)
sys.stdin.readline()
for k in range({RUNS}):
    plan = Plan(("glue",), data="demo", model="tiny", steps=1000 + me, seed=k)
    record = Record(store.new_id(plan), plan.to_dict(), plan.digest, started=f"2025-01-01T00:00:{{k:02}}+00:00")
    store.create(record)
    for step in range(3):
        record.history.setdefault("rte", []).append((step, {{"accuracy": float(me)}}))
        store.run(record.id).append_train({{"step": step, "writer": me}})
        store.save(record)
    record.scores, record.status = scores(GLUE, shift=me / 100), "finished"
    record.notes = [f"{{me}} {{k}}"] * 300
    store.save(record)
"""


def test_eight_writers_and_two_boards_at_once_lose_and_mix_nothing(tmp_path):
    store, boards = Store(tmp_path / "results"), tmp_path / "boards"
    arguments = [str(store.folder), "{}", str(ROOT / "tests"), str(ROOT)]
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", WRITER, *(a.format(k) for a in arguments)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for k in range(WRITERS)
    ]
    assert all(writer.stdout.readline() == "ready\n" for writer in writers)
    for writer in writers:
        writer.stdin.write("go\n")
        writer.stdin.flush()
    seen = 0
    while any(writer.poll() is None for writer in writers):
        records, broken = store.load_all()
        assert broken == []
        assert len(records) >= seen, "a record was lost"
        seen = len(records)
        for board in make_boards(records, REGISTRY, "glue"):
            write_files(board, ["csv", "json"], boards)
        json.loads((boards / "glue-demo.json").read_text())
    assert [writer.wait() for writer in writers] == [0] * WRITERS
    records, broken = store.load_all()
    assert (len(records), broken) == (WRITERS * RUNS, [])
    for record in records:
        me, seed = record.plan["steps"] - 1000, record.plan["seed"]
        assert (record.status, record.notes) == ("finished", [f"{me} {seed}"] * 300)
        assert [values for _, values in record.history["rte"]] == [{"accuracy": float(me)}] * 3
        assert record.scores["rte"].metrics == {"accuracy": 55.0 + me / 100}
        lines = (store.run_folder(record.id) / "train.jsonl").read_text().splitlines()
        assert [json.loads(line) for line in lines] == [{"step": step, "writer": me} for step in range(3)]
    (board,) = (board for board in make_boards(records, REGISTRY, "glue") if board.rows)
    assert [(row.seeds, row.steps) for row in board.rows] == [(RUNS, 1000 + k) for k in reversed(range(WRITERS))]
    assert {row.rank for row in board.rows} == {1}  # they are 0.01 apart
    assert not [file for file in tmp_path.rglob("*") if file.name.endswith(".tmp")]


def test_two_boards_written_at_once_are_one_of_them(tmp_path):
    store = Store(tmp_path / "results")
    for k in range(20):
        finished(store, seed=k, steps=10 + k)
    command = [
        sys.executable,
        "-m",
        "glue_harness",
        "board",
        "--results",
        str(store.folder),
        "--out",
        str(tmp_path / "out"),
    ]
    writers = [
        subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=ROOT) for _ in range(3)
    ]
    assert [writer.wait() for writer in writers] == [0, 0, 0]
    assert sorted(os.listdir(tmp_path / "out")) == ["glue-demo.csv", "glue-demo.md"]
    with (tmp_path / "out" / "glue-demo.csv").open(newline="") as file:
        assert len(list(csv.DictReader(file))) == 20


# A full disk

PAGE = 4096


class Disk:
    """A small file system of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.filler = folder / "filler"

    def leave(self, free: int) -> None:
        """Fills the disk up to so many bytes."""
        self.filler.unlink(missing_ok=True)
        status = os.statvfs(self.folder)
        with self.filler.open("wb") as file:
            os.posix_fallocate(file.fileno(), 0, max(1, status.f_bavail * status.f_frsize - free))


@pytest.fixture
def mount(tmp_path):
    """A function that mounts a file system in memory, of so many MiB."""
    mounted = []

    def mount(size: int, *options: str) -> Disk:
        folder = tmp_path / f"disk{len(mounted)}"
        folder.mkdir()
        command = ["mount", "-t", "tmpfs", "-o", ",".join([f"size={size}m", *options]), "tmpfs", str(folder)]
        try:
            done = subprocess.run(command, capture_output=True, text=True)
        except FileNotFoundError:
            pytest.skip("there is no mount command here")
        if done.returncode:
            pytest.skip(f"a file system cannot be mounted here: {done.stderr.strip()}")
        mounted.append(folder)
        return Disk(folder)

    yield mount
    for folder in mounted:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def everything(folder: Path) -> dict[Path, bytes]:
    return {file: file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def one_more_run(store: Store, boards: Path) -> None:
    """All that a run writes but its weights, and the board after it."""
    record = finished(store, steps=7, status="running")
    for step in range(100):
        store.run(record.id).append_train({"step": step, "filling": "x" * 100})
    store.run(record.id).write_predictions("rte", predictions("not_entailment"))
    record.status = "finished"
    store.save(record)
    for board in make_boards(store.load_all()[0], REGISTRY, "glue"):
        write_files(board, ["csv", "html"], boards)


def refusal(store: Store, boards: Path) -> str | None:
    """What one run more is told, if it is told something; its exit code would be 1."""
    try:
        one_more_run(store, boards)
    except GlueError as error:
        return str(error) if error.exit_code == 1 else None
    return None


def test_a_disk_that_is_full_at_any_write_keeps_what_was_there(mount):
    disk = mount(1)
    store, boards = Store(disk.folder / "results"), disk.folder / "boards"
    earlier = finished(store)
    store.run(earlier.id).write_predictions("rte", predictions("entailment"))
    write_files(make_boards([earlier], REGISTRY, "glue")[1], ["csv", "html"], boards)
    kept = everything(disk.folder)
    failures = set()
    for pages in range(40):
        disk.leave(pages * PAGE)
        if (message := refusal(store, boards)) is None:
            break
        assert "No space left on device" in message
        assert "\n" not in message
        failures.add(message.split(": ")[0].rpartition("/")[2])
        assert {file: content for file, content in everything(disk.folder).items() if file in kept} == kept
        records, broken = store.load_all()
        assert broken == []
        assert earlier.id in [record.id for record in records]
        assert not list(disk.folder.rglob("*.tmp"))
        for record in records:
            if record.id != earlier.id:
                store.discard(record.id)
    else:
        pytest.fail("it never fitted")
    assert {"train.jsonl'", "rte.jsonl'"} <= failures
    assert len(failures) >= 3, failures


@pytest.mark.parametrize("free", [0, 6 * PAGE, 300 * PAGE, 1100 * PAGE])
def test_a_run_on_a_full_disk_is_one_line_and_exit_1(mount, capsys, free):
    disk = mount(24)
    store = Store(disk.folder / "results")
    earlier = finished(store)
    kept = everything(disk.folder)
    disk.leave(free)
    call = runner(capsys)
    small = ["--steps", "2", "--eval-every", "1", "--batch-size", "4", "--set", "eval_limit=4", "--quiet"]
    code, _, err = call(
        "run", "--task", "rte", "--data", "demo:50", "--model", "tiny", *small, "--results", store.folder
    )
    assert (code, err.count("\n")) == (1, 1), err
    assert err.startswith("glue: ")
    assert "No space left on device" in err
    assert {file: content for file, content in everything(disk.folder).items() if file in kept} == kept
    assert store.load_all()[1] == []
    disk.filler.unlink()
    code, out, _ = call("board", "--results", store.folder, "--out", disk.folder / "boards")
    assert (code, AVERAGE_SHOWN in out) == (0, True)
    assert store.find(earlier.id).status == "finished"


AVERAGE_SHOWN = "50.00"


def failing_at(k: int, call: Callable) -> Callable:
    """The same function, whose k-th call meets a full disk."""
    count = iter(range(10**9))

    def counted(*arguments, **options):
        if next(count) == k:
            raise OSError(28, "No space left on device")
        return call(*arguments, **options)

    return counted


@pytest.mark.parametrize("point", ["fsync", "replace", "mkdir"])
def test_every_call_that_writes_may_fail(tmp_path, monkeypatch, point):
    """The same without a disk of one's own, call by call."""
    store, boards = Store(tmp_path / "results"), tmp_path / "boards"
    earlier = finished(store)
    store.run(earlier.id).write_predictions("rte", predictions("entailment"))
    kept = everything(tmp_path)
    original = getattr(os, point)
    failed = 0
    for k in range(100):
        with monkeypatch.context() as patch:
            patch.setattr(os, point, failing_at(k, original))
            message = refusal(store, boards)
        if message is None:
            break
        assert "No space left on device" in message
        failed += 1
        assert {file: content for file, content in everything(tmp_path).items() if file in kept} == kept
        assert not list(tmp_path.rglob("*.tmp"))
        assert store.load_all()[1] == []
    assert failed >= {"fsync": 5, "replace": 5, "mkdir": 1}[point]


# A read-only one


def test_a_read_only_folder_is_found_before_anything_is_trained(mount, tmp_path, capsys):
    disk = mount(4)
    store = Store(disk.folder / "results")
    finished(store)
    subprocess.run(["mount", "-o", "remount,ro", str(disk.folder)], check=True)
    call = runner(capsys)
    code, out, err = call("run", "--task", "rte", "--demo", "--results", store.folder)
    assert (code, out, err.count("\n")) == (1, "", 1)
    assert f"results folder '{store.folder}' cannot be written: Read-only file system" in err
    code, out, _ = call("board", "--results", store.folder, "--out", tmp_path / "boards")
    assert (code, AVERAGE_SHOWN in out) == (0, True)
    code, _, err = call("board", "--results", store.folder, "--out", disk.folder / "boards")
    assert (code, err.count("\n")) == (1, 1)
    assert "cannot save" in err
    assert "Read-only file system" in err


# Newer records


def test_a_record_of_a_newer_glue_is_named_and_skipped(tmp_path, capsys):
    store = Store(tmp_path / "results")
    newer, ours = finished(store), finished(store, steps=9)
    path = store.run_folder(newer.id) / "record.json"
    values = {**json.loads(path.read_text()), "schema": 2, "scores": "in another form", "new": {}}
    path.write_text(json.dumps(values))
    code, out, err = runner(capsys)("board", "--results", store.folder, "--out", tmp_path / "boards")
    assert (code, out.count("1 seed")) == (0, 1)
    assert f"skipped {path}: its schema is 2, not 1: written by another version of glue" in err
    with pytest.raises(DataError, match="its schema is 2, not 1"):
        store.find(newer.id)
    assert store.find("latest").id == ours.id
    assert json.loads(path.read_text()) == values


# Clocks


class Clock:
    """Stands where it is told to."""

    def __init__(self, now: datetime) -> None:
        self.moment = now
        self.strptime = datetime.strptime

    def now(self, zone: object) -> datetime:
        return self.moment

    def __call__(self, *parts: int) -> datetime:
        return datetime(*parts)


@pytest.fixture
def clock(monkeypatch) -> Clock:
    clock = Clock(datetime(2026, 3, 1, 12, tzinfo=UTC))
    monkeypatch.setattr(store_module, "datetime", clock)
    return clock


def test_a_clock_that_goes_back_is_noted_and_loses_nothing(tmp_path, clock):
    store = Store(tmp_path)
    first = finished(store, seed=0)
    clock.moment -= timedelta(days=400)
    second = finished(store, seed=1)
    clock.moment += timedelta(days=400, minutes=5)
    third = finished(store, seed=2)
    assert {record.id for record in store.load_all()[0]} == {first.id, second.id, third.id}
    note = f"the clock went back: run {first.id} is dated later; latest and boards go by the dates"
    assert [store.find(run.id).notes for run in (first, second, third)] == [[], [note], []]


def test_clocks_of_a_cluster_need_not_agree_to_the_second(tmp_path, clock):
    finished(Store(tmp_path), seed=0)
    clock.moment -= timedelta(seconds=30)
    assert finished(Store(tmp_path), seed=1).notes == []


def test_runs_of_one_microsecond_are_two_runs(tmp_path, clock):
    store = Store(tmp_path)
    runs = [finished(store, seed=k) for k in range(50)]
    assert len({run.id for run in runs}) == 50
    assert [record.plan["seed"] for record in sorted(store.load_all()[0], key=lambda r: r.plan["seed"])] == [*range(50)]


def test_even_the_same_id_is_given_once(tmp_path, clock, monkeypatch):
    store, plan = Store(tmp_path), Plan(("rte",))
    monkeypatch.setattr(store_module.secrets, "token_hex", lambda n: "00" * n)
    first = finished(store, steps=5)
    with pytest.raises(GlueError, match="cannot be written: File exists"):
        finished(store, steps=6)
    assert store.find(first.id).plan["steps"] == 5
    assert store.new_id(plan) == store.new_id(plan)
