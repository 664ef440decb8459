"""Many runs in one folder and in one process: work grows with them, waste does not. Times: tests/benchmarks/soak.py."""

import gc
import os
import threading
from collections import Counter
from pathlib import Path

import pytest
import torch
from records import finished, runner

from glue_harness import Plan, run
from glue_harness.report import standing
from glue_harness.runs import folder, index
from glue_harness.runs.store import Store

RECORDS = 120


@pytest.fixture
def parsed(monkeypatch) -> Counter[str]:
    """How often each run's record was parsed."""
    found: Counter[str] = Counter()
    original = folder.record_from

    def counted(values):
        found[values["id"]] += 1
        return original(values)

    monkeypatch.setattr(folder, "record_from", counted)
    monkeypatch.setattr(index, "SETTLED", -1)  # so that what the index keeps does not depend on this machine's speed
    return found


@pytest.fixture
def many(tmp_path) -> Store:
    many = Store(tmp_path / "results")
    for k in range(RECORDS):
        finished(many, shift=k / 100, seed=k % 3, steps=1000 + k // 3)
    return many


def test_a_command_parses_each_record_once(many, parsed, tmp_path, capsys):
    call, where = runner(capsys), ("--results", many.folder)
    runs = [record.id for record in many.load_all()[0]]
    digest = many.find(runs[-1]).digest
    for arguments, most in (
        (("board", *where, "--out", tmp_path), 1),
        (("board", *where, "--out", tmp_path, "--format", "html", "--format", "latex", "--published"), 1),
        (("compare", runs[0][-8:], "latest", *where), 1),
        (("compare", runs[0], runs[5], *where), 2),  # a whole id is also looked up in its own folder
        (("compare", digest, runs[0], *where), 2),
        (("tasks",), 0),
        (("show", "rte"), 0),
    ):
        parsed.clear()
        assert call(*arguments)[0] == 0
        assert max(parsed.values(), default=0) <= most, arguments
        assert sum(parsed.values()) <= RECORDS + 2, arguments


def test_ranking_compares_kinds_of_data_not_pairs_of_rows(many, monkeypatch, tmp_path, capsys):
    count = Counter()
    original = standing._same_data

    def counted(*arguments):
        count["calls"] += 1
        return original(*arguments)

    monkeypatch.setattr(standing, "_same_data", counted)
    runner(capsys)("board", "--results", many.folder, "--out", tmp_path)
    assert 0 < count["calls"] <= 3 * RECORDS


def footprint() -> tuple[int, int, int, int]:
    """Tensors, objects, open files and threads of this process."""
    gc.collect()
    objects = gc.get_objects()
    tensors = sum(issubclass(type(one), torch.Tensor) for one in objects)
    return tensors, len(objects), len(os.listdir("/proc/self/fd")), threading.active_count()


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="open files are counted through /proc")
def test_runs_in_one_process_leave_nothing_behind(tmp_path):
    plan = Plan(("rte",), data="demo:50", model="tiny", steps=1, eval_every=1, batch_size=4, eval_limit=4, device="cpu")
    sizes = []
    for seed in range(6):
        run(plan.replace(seed=seed), results=tmp_path)
        sizes.append(footprint())
    (tensors, objects, files, threads), last = sizes[2], sizes[-1]
    assert last[0] == tensors
    assert last[1] - objects < 100, "objects that nobody needs any more"
    assert last[2:] == (files, threads)
