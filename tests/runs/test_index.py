"""The index only saves time: whatever happens to it or to the records, readers see what the records say."""

import dataclasses
import json
import os
import random
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT
from records import finished, runner

from glue_harness.core.errors import DataError
from glue_harness.report.board import make_boards
from glue_harness.runs import index
from glue_harness.runs import store as store_module
from glue_harness.runs.store import Store
from glue_harness.suite.registry import load_tasks

RECORDS = 30


@pytest.fixture
def cache(tmp_path, monkeypatch) -> Path:
    """A cache of the test's own, which takes files however young they are."""
    monkeypatch.setenv("GLUE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(index, "SETTLED", -(10**18))
    return tmp_path / "cache"


@pytest.fixture
def read(monkeypatch) -> list[str]:
    """The records that were read from their files."""
    found = []
    for module in (index, store_module):
        original = module.read_record

        def counted(path, results, original=original):
            found.append(path.parent.name)
            return original(path, results)

        monkeypatch.setattr(module, "read_record", counted)
    return found


@pytest.fixture
def store(tmp_path, cache) -> Store:
    store = Store(tmp_path / "results")
    for k in range(RECORDS):
        record = finished(store, shift=k / 10, day=1 + k % 9, seed=k % 3, steps=10 + k // 3)
        record.history = {"rte": [(5, {"accuracy": 50.0}), (10, {"accuracy": None})]}
        record.last, record.notes = record.scores, [f"ä \ud800 \t\n {k}"]
        store.save(record)
    (store.folder / "broken").mkdir()
    (store.folder / "broken" / "record.json").write_text("{")
    (store.folder / "stray.json").write_text("{}")
    return store


def check(store: Store) -> None:
    """With the index and without it, records and boards are the same."""
    directly, named = store.load_all()
    summaries, also_named = store.summaries()
    assert summaries == [dataclasses.replace(record, history={}, last={}) for record in directly]
    assert also_named == named
    assert make_boards(summaries, load_tasks(), "glue") == make_boards(directly, load_tasks(), "glue")


def the_file(cache: Path) -> Path:
    (file,) = cache.glob("*.index")
    return file


def test_only_what_changed_is_read(store, read):
    check(store)
    read.clear()
    store.summaries()
    assert read == [store.folder.name]  # stray.json
    record = store.load_all()[0][3]
    record.status = "failed"
    store.save(record)
    read.clear()
    store.summaries()
    assert sorted(read) == sorted([record.id, store.folder.name])
    check(store)


def test_the_finished_run_of_a_plan_is_the_only_one_read(store, read):
    store.summaries()
    wanted = store.load_all()[0][7]
    (store.folder / "stray.json").unlink()
    read.clear()
    assert store.finished(wanted.digest, wanted.plan["seed"]) == wanted
    assert store.finished(wanted.digest, 99) is None
    assert store.find(wanted.id[-8:]) == wanted
    assert read == [wanted.id, wanted.id]


OTHER = """
import sys
sys.path[:0] = sys.argv[2:]
from records import finished
from glue_harness.runs.store import Store
store = Store(sys.argv[1])
first, second, third = store.load_all()[0][:3]
first.scores["rte"].metrics["accuracy"] = 77.0
store.save(first)
store.discard(second.id)
(store.run_folder(third.id) / "record.json").write_text("[")
finished(store, seed=9)
"""


def test_another_process_adds_changes_and_removes(store):
    check(store)
    for _ in range(3):
        subprocess.run([sys.executable, "-c", OTHER, store.folder, ROOT / "tests", ROOT], check=True)
        check(store)


def flip(file: Path) -> None:
    content = bytearray(file.read_bytes())
    for place in random.Random(1).sample(range(len(content)), 40):
        content[place] ^= 1 << place % 8
    file.write_bytes(content)


DAMAGES = {
    "deleted": Path.unlink,
    "empty": lambda file: file.write_bytes(b""),
    "truncated": lambda file: os.truncate(file, file.stat().st_size // 2 + 1),
    "40 flipped bits": flip,
    "something else": lambda file: file.write_bytes(b"SQLite format 3\0" * 99),
    "a line cut off, as by a kill": lambda file: os.truncate(file, file.stat().st_size - 3),
    "twice the same": lambda file: file.write_bytes(file.read_bytes() * 2),
    "a folder": lambda file: (file.unlink(), file.mkdir()),
    "a pipe": lambda file: (file.unlink(), os.mkfifo(file)),
    "a link to nothing": lambda file: (file.unlink(), file.symlink_to("nowhere")),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_index_changes_nothing_and_is_made_again(damage, store, cache, read):
    check(store)
    DAMAGES[damage](the_file(cache))
    check(store)
    read.clear()
    store.summaries()
    assert len(read) <= 1 or damage in ("a folder", "a pipe"), "it was not made again"
    check(store)


def test_an_index_of_another_version_is_not_used(store, cache, read, monkeypatch):
    check(store)
    monkeypatch.setattr(index, "VERSION", 1)
    read.clear()
    store.summaries()
    assert len(read) == RECORDS + 2
    check(store)


def test_an_index_that_others_can_write_is_not_believed(store, cache):
    check(store)
    lines = [line[8:].replace(b'"accuracy": 5', b'"accuracy": 9') for line in the_file(cache).read_bytes().split(b"\n")]
    forged = b"".join(b"\n%08x%b" % (index.zlib.crc32(line, index.VERSION), line) for line in lines if line)
    the_file(cache).write_bytes(forged)
    assert store.summaries()[0][0].scores["rte"].metrics["accuracy"] > 90  # so the forgery is one
    the_file(cache).chmod(0o622)
    check(store)


@pytest.mark.parametrize("how", ["a file in the way", "a full disk"])
def test_without_a_place_for_it_everything_is_read(how, store, cache, monkeypatch):
    if how == "a file in the way":
        cache.write_text("mine")
    else:
        cache.mkdir()
        monkeypatch.setenv("GLUE_CACHE", "/dev/full")
    check(store)
    check(store)


def test_it_does_not_grow_without_end(store, cache):
    record = store.load_all()[0][0]
    store.summaries()
    size = the_file(cache).stat().st_size
    for k in range(8 * RECORDS):
        record.seconds = float(k)
        store.save(record)
        store.summaries()
    assert the_file(cache).stat().st_size < 8 * size
    check(store)


def test_a_file_that_may_change_again_within_its_time_stamp_is_read_again(store, cache, monkeypatch):
    monkeypatch.setattr(index, "SETTLED", 3600 * 10**9)
    store.summaries()
    assert not list(cache.glob("*.index"))


def test_what_an_index_knew_is_no_way_around_the_walls(store, tmp_path):
    """A run that was good is replaced by a link out of the folder, another by one of another name."""
    check(store)
    linked, renamed, changed = store.load_all()[0][:3]
    shutil.move(store.run_folder(linked.id), tmp_path / linked.id)
    store.run_folder(linked.id).symlink_to(tmp_path / linked.id)
    store.run_folder(renamed.id).rename(store.folder / "renamed")
    path = store.run_folder(changed.id) / "record.json"
    times, text = path.stat(), path.read_text()
    path.write_text(text.replace('"schema": 1', '"schema": 9'))  # as long, and as old
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    check(store)
    reasons = {path.parent.name: reason for path, reason in store.summaries()[1]}
    assert "a link leads out of the results folder" in reasons[linked.id]
    assert "it is the record of run" in reasons["renamed"]
    assert "its schema is 9" in reasons[changed.id]
    with pytest.raises(DataError, match="its schema is 9"):
        store.find(changed.id)


def test_several_processes_make_it_at_once(store, cache):
    code = (
        "import sys; from glue_harness.runs import index; from glue_harness.runs.store import Store\n"
        "index.SETTLED = -(10**18)\nfor _ in range(20): print(len(Store(sys.argv[1]).summaries()[0]))"
    )
    command = [sys.executable, "-c", code, str(store.folder)]
    readers = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) for _ in range(4)]
    for _ in range(10):
        finished(store, seed=7)
    assert all(int(reader.communicate()[0].split()[-1]) >= RECORDS for reader in readers)
    check(store)


def test_the_command_writes_the_same_board_with_and_without(store, cache, tmp_path, capsys, monkeypatch):
    call, written = runner(capsys), []
    for name in ("none yet", "there", "damaged"):
        if name == "damaged":
            flip(the_file(cache))
        out = tmp_path / name
        assert call("board", "--results", store.folder, "--out", out, "--format", "csv")[0] == 0
        written.append((out / "glue-demo.csv").read_bytes())
    assert len(set(written)) == 1
    ours = json.loads(call("compare", "latest", store.load_all()[0][0].id[-8:], "--json", "--results", store.folder)[1])
    shutil.rmtree(cache)
    assert ours == json.loads(
        call("compare", "latest", store.load_all()[0][0].id[-8:], "--json", "--results", store.folder)[1]
    )
