"""One run on several processes: what it leaves, how it ends, and how it goes on, whatever happens to one of them.

A process that waited for one that has died would wait for half an hour: that these tests end is what they show.
"""

import json
import signal

import pytest
from kills import base, data, record_in, the_run, zygote  # noqa: F401

from glue_harness.core.errors import UsageError
from glue_harness.core.place import Place, place
from glue_harness.core.record import Record
from glue_harness.runs.folder import RunFolder
from glue_harness.runs.onlooker import Onlooker
from glue_harness.runs.pace import scaling
from glue_harness.runs.store import Store


@pytest.fixture(scope="session")
def plan(base, data):  # noqa: F811
    common = {"tasks": ["rte", "stsb"], "mixing": "equal", "model": base, "data": data, "device": "cpu", "lr": 5e-3}
    return {**common, "seed": 1, "steps": 6, "batch_size": 8, "micro_batch": 2, "eval_every": 2, "max_answer": 4}


@pytest.fixture(scope="session")
def shared_by_two(zygote, plan, tmp_path_factory):  # noqa: F811
    results = tmp_path_factory.mktemp("two")
    return zygote(results, plan=plan, processes=2)["fates"], the_run(results)


def test_the_first_process_writes_one_record_that_both_know(shared_by_two):
    fates, folder = shared_by_two
    assert [fate["id"] for fate in fates] == [folder.name] * 2
    record = record_in(folder)
    assert record["status"] == "finished"
    assert record["environment"]["processes"] == 2
    assert 0 < record["environment"]["waiting"] <= 1
    assert sorted(file.name for file in folder.glob("*/*.jsonl")) == ["rte.jsonl", "stsb.jsonl"]
    assert not (folder / "lock").exists()
    assert not (folder / "resume").exists()


def test_it_is_the_run_that_one_process_would_have_done(zygote, plan, shared_by_two, tmp_path):  # noqa: F811
    """In fp32, where sums in another order differ a little; tests/train/test_rank_updates.py has the weights, in fp64."""
    zygote(tmp_path, plan=plan)
    one, two = the_run(tmp_path), shared_by_two[1]
    records = record_in(one), record_in(two)
    for same in ("mix", "digest", "plan", "data", "parameters"):
        assert records[0][same] == records[1][same]
    logs = [RunFolder(folder).read_train() for folder in (one, two)]
    assert len(logs[0]) == len(logs[1])
    for mine, other in zip(*logs, strict=True):
        assert mine["tokens"] == other["tokens"]
        assert mine["loss"] == pytest.approx(other["loss"], rel=1e-4)
    for task in ("rte", "stsb"):
        answers = [(folder / "predictions" / f"{task}.jsonl").read_text().splitlines() for folder in (one, two)]
        ids = [[json.loads(line)["id"] for line in lines] for lines in answers]
        assert ids[0] == ids[1]
        assert [at for at, _ in records[0]["history"][task]] == [at for at, _ in records[1]["history"][task]]


def test_a_process_that_dies_ends_the_run_at_once_and_another_number_goes_on(zygote, plan, tmp_path):  # noqa: F811
    death = {"hurt": 1, "calls": [["train.loop:fitting", 4, False]]}
    first, killed = zygote(tmp_path, plan=plan, processes=2, **death)["fates"]
    assert killed["signal"] == signal.SIGKILL
    assert first["error"] == (
        "Lost: another process of this run died: glue run --resume goes on from its newest checkpoint"
    )
    assert record_in(the_run(tmp_path))["status"] == "failed"
    fates = zygote(tmp_path, resume="latest", processes=3)["fates"]
    record = record_in(the_run(tmp_path))
    assert [fate.get("id") for fate in fates] == [record["id"]] * 3
    assert (record["status"], record["resumed"]) == ("finished", [2])
    assert "at step 2, processes was 2 and is 3" in record["notes"]


def test_the_first_process_may_be_the_one_that_dies(zygote, plan, tmp_path):  # noqa: F811
    death = {"hurt": 0, "calls": [["train.checkpoints:_write", 2, True]]}
    killed, other = zygote(tmp_path, plan=plan, processes=2, **death)["fates"]
    assert killed["signal"] == signal.SIGKILL
    assert other["error"].startswith("Lost: ")
    assert zygote(tmp_path, resume="latest")["id"] == the_run(tmp_path).name
    assert record_in(the_run(tmp_path))["resumed"] == [2]


def test_what_one_process_fails_of_the_first_one_says(zygote, plan, tmp_path):  # noqa: F811
    first, other = zygote(tmp_path, plan=plan, processes=2, hurt=1, raises=["train.loop:fitting", 3, "error"])["fates"]
    assert other["error"] == "GlueError: planted"
    assert first["error"] == "Lost: process 1 of 2 (counted from 0) failed: planted"
    assert record_in(the_run(tmp_path))["error"] == "process 1 of 2 (counted from 0) failed: planted"


def test_a_process_that_runs_out_of_memory_does_its_part_in_smaller_passes(zygote, plan, tmp_path):  # noqa: F811
    tight = {"hurt": 1, "raises": ["train.passes:accumulate", 3, "memory"]}
    zygote(tmp_path, plan=plan, processes=2, **tight)
    record = record_in(the_run(tmp_path))
    assert record["status"] == "finished"
    assert [text for text in record["notes"] if text.startswith("out of memory: passes of at most ")]


@pytest.mark.parametrize(
    ("where", "nth", "step", "scored"),
    [("train.loop:fitting", 3, 3, [2]), ("train.answers:_answer_batch", 3, 2, [])],  # the latter in an evaluation
)
def test_a_signal_to_one_process_stops_all_where_they_can_go_on(
    where,
    nth,
    step,
    scored,
    zygote,  # noqa: F811
    plan,
    tmp_path,
):
    how = {"hurt": 1, "signal": signal.SIGTERM, "calls": [[where, nth, False]]}
    fates = zygote(tmp_path, plan={**plan, "eval_tokens": 100}, processes=2, **how)["fates"]
    assert [fate["code"] for fate in fates] == [128 + signal.SIGTERM] * 2
    folder = the_run(tmp_path)
    assert record_in(folder)["status"] == "interrupted"
    assert RunFolder(folder).snapshots()[0][0] == step
    assert [at for at, _ in record_in(folder)["history"].get("rte", [])] == scored
    zygote(tmp_path, resume="latest", processes=2)
    assert record_in(folder)["status"] == "finished"


def test_a_job_of_torchrun_that_begins_again_finds_its_run(zygote, plan, tmp_path):  # noqa: F811
    job = {"TORCHELASTIC_RUN_ID": "job-7"}
    zygote(tmp_path, plan=plan, processes=2, env=job, hurt=1, calls=[["train.loop:fitting", 5, False]])
    other = {"TORCHELASTIC_RUN_ID": "job-8", "TORCHELASTIC_RESTART_COUNT": 1}
    zygote(tmp_path, plan={**plan, "steps": 2}, processes=2, env=other)  # of another job: it begins
    again = {**job, "TORCHELASTIC_RESTART_COUNT": 1}
    fates = zygote(tmp_path, plan=plan, processes=2, env=again)["fates"]
    records = [json.loads(file.read_text()) for file in tmp_path.glob("*/record.json")]
    assert {(record["plan"]["steps"], tuple(record["resumed"])) for record in records} == {(6, (4,)), (2, ())}
    assert fates[0]["id"] in [record["id"] for record in records if record["resumed"]]


def test_an_onlooker_writes_nothing():
    """Every method of the folder that takes part in writing has one there; what only reads has none."""
    ours = {name for name in vars(Onlooker) if not name.startswith("__")}
    reading = {"is_free", "read_predictions", "read_shared", "read_train", "log", "checkpoint", "snapshot"}
    reading |= {"plan_file", "is_at_work"}
    reading |= {"has_checkpoint", "snapshots", "newest_snapshot", "_predictions_of", "_kept_predictions"}
    assert {name for name in vars(RunFolder) if not name.startswith("__")} == ours | reading


def test_the_place_is_what_torchrun_says(monkeypatch):
    assert place() == Place(0, 1, 0, 1, 0, "")
    for name, value in {"WORLD_SIZE": "4", "RANK": "3", "LOCAL_RANK": "1", "LOCAL_WORLD_SIZE": "2"}.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(UsageError, match=r"WORLD_SIZE is 4 but RANK or MASTER_ADDR is not set: use glue run --proc"):
        place()
    monkeypatch.setenv("MASTER_ADDR", "localhost")
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "night")
    assert place() == Place(3, 4, 1, 2, 0, "night")
    monkeypatch.setenv("RANK", "first")
    with pytest.raises(UsageError, match=r"RANK is 'first' in the environment: it must be a number"):
        place()


def timed(name: str, digest: str, seconds: float, processes: int, waiting: float | None = None) -> Record:
    plan = {"tasks": ["rte"], "model": "tiny"}
    facts = {"device": "CPU", "threads": 2 // processes, "processes": processes}
    if waiting is not None:
        facts["waiting"] = waiting
    mix = {"rte": {"seen": 600}}
    return Record(name, plan, digest, status="finished", mix=mix, timing={"train": seconds}, environment=facts)


def test_scaling_is_told_beside_what_one_process_did(tmp_path):
    store = Store(tmp_path)
    two = timed("20260101-000003-two", "a" * 12, 4.0, 2, 0.125)
    for record in (timed("20260101-000001-one", "a" * 12, 6.0, 1), timed("20260101-000002-other", "b" * 12, 1.0, 1)):
        assert scaling(record, store) is None
        store.create(record)
    store.create(two)
    assert scaling(two, store) == (
        "2 processes of 1 thread: 150 examples/s, 75 each; 12% of training was exchange and waiting\n"
        "one process of 2 threads had 100 in 20260101-000001-one: 75% efficiency"
    )
    alone = timed("20260101-000004-two", "c" * 12, 4.0, 2, 0.125)
    assert scaling(alone, store).endswith("waiting; no run of this plan on one process to compare with")
