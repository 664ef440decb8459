"""Runs are saved whole or not at all, and read one by one: a broken one never hides the others."""

import errno
import gc
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from glue_harness.core.errors import DataError, GlueError, UsageError
from glue_harness.core.plan import Plan
from glue_harness.core.record import Record, Score
from glue_harness.core.task import Metric, Source, Tally
from glue_harness.runs.store import Store, without_collector
from glue_harness.suite.build import classify

RIGHT = Metric(
    ("right",),
    lambda predictions: Tally(
        [p.example.group for p in predictions],
        lambda weights: {"right": [sum(p.label == p.example.label for p in predictions)] * len(weights)},
    ),
)
GROUPED = classify(
    "grouped",
    fields=("text",),
    labels=("no", "yes"),
    source=Source("none"),
    metrics=(RIGHT,),
    info=lambda row: {"idx": {"question": row["question"]}},
    group=lambda info: info["idx"]["question"],
)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "results")


def made(store: Store, started: str = "2025-01-01T00:00:00Z", **plan) -> Record:
    plan = Plan(**{"tasks": ("mnli",), "model": "tiny", "data": "demo", **plan})
    record = Record(store.new_id(plan), plan.to_dict(), plan.digest, started=started)
    store.create(record)
    return record


def full_disk(*arguments):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_an_id_says_what_the_run_is_and_stays_inside_the_folder(store):
    plan = Plan(tasks=("mnli",), model="../evil models/T5 Größe/", seed=3)
    stamp, time, rest = store.new_id(plan).split("-", 2)
    assert len(stamp) == 8
    assert len(time) == 6
    assert rest.startswith("mnli-t5-gr-e-s3-")
    assert store.run_folder(store.new_id(plan)).parent == store.folder
    assert "-3tasks-" in store.new_id(Plan(tasks=("cola", "rte", "mrpc")))
    assert "-cola-rte-" in store.new_id(Plan(tasks=("cola", "rte")))
    assert f"-rte-{'m' * 24}-s0-" in store.new_id(Plan(tasks=("rte",), model="m" * 30))


def test_ids_of_one_instant_differ(store):
    plan = Plan(tasks=("mnli",))
    assert len({store.new_id(plan) for _ in range(2000)}) == 2000


def test_a_record_comes_back_as_it_was_saved(store):
    record = made(store)
    record.status = "finished"
    record.scores["mnli_matched"] = Score("validation_matched", 5, {"accuracy": 51.5, "f1": None}, {}, 10, 1, [])
    store.save(record)
    records, broken = store.load_all()
    assert records == [record]
    assert broken == []


def test_what_is_not_a_number_is_saved_as_null(store):
    record = made(store)
    record.timing = {"speed": float("nan"), "worst": float("inf")}
    record.notes = ["läuft \u2028 \ud800"]
    store.save(record)
    text = (store.run_folder(record.id) / "record.json").read_bytes().decode("utf-8")
    assert json.loads(text, parse_constant=pytest.fail)["timing"] == {"speed": None, "worst": None}
    assert store.find(record.id).notes == record.notes


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_a_full_disk_is_one_line_and_leaves_the_earlier_file(store, monkeypatch, call):
    record = made(store)
    folder = store.run_folder(record.id)
    before = (folder / "record.json").read_bytes()
    record.status = "finished"
    monkeypatch.setattr(os, call, full_disk)
    with pytest.raises(GlueError) as raised:
        store.save(record)
    expected = f"cannot save '{folder}/record.json': No space left on device; free some space or choose another folder"
    assert str(raised.value) == expected
    assert raised.value.exit_code == 1
    assert os.listdir(folder) == ["record.json"]
    assert (folder / "record.json").read_bytes() == before


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="what is synced is told through /proc")
def test_the_folder_is_synced_after_a_file_took_its_place(store, monkeypatch):
    """Without it the new name may be gone after a power cut, though the file's bytes are on disk."""
    record, calls = made(store), []
    sync, move = os.fsync, os.replace

    def synced(handle):
        calls.append(("sync", os.path.realpath(f"/proc/self/fd/{handle}")))
        sync(handle)

    def replaced(source, target):
        calls.append(("replace", os.path.realpath(target)))
        move(source, target)

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(os, "replace", replaced)
    store.save(record)
    folder = os.path.realpath(store.run_folder(record.id))
    assert [what for what, _ in calls] == ["sync", "replace", "sync"]
    assert calls[1:] == [("replace", f"{folder}/record.json"), ("sync", folder)]


def test_a_full_disk_stops_a_run_before_it_starts(store, monkeypatch):
    monkeypatch.setattr(os, "fsync", full_disk)
    with pytest.raises(GlueError, match=r"^results folder '.*' cannot be written: .*No space left on device"):
        made(store)
    assert os.listdir(store.folder) == []


@pytest.mark.parametrize("below", ["", "deeper/results"])
def test_a_file_in_the_way_of_the_results_folder_is_named_before_a_run_starts(tmp_path, below):
    (tmp_path / "taken").write_text("mine")
    store = Store(tmp_path / "taken" / below)
    with pytest.raises(GlueError) as raised:
        made(store)
    assert str(raised.value).startswith(f"results folder '{store.folder}' cannot be written: ")
    assert "--results" in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_run_folder_is_never_used_twice(store):
    record = made(store)
    with pytest.raises(GlueError, match="cannot be written: File exists"):
        store.create(record)


def test_a_discarded_run_leaves_no_trace(store):
    kept, discarded = made(store), made(store)
    store.discard(discarded.id)
    assert os.listdir(store.folder) == [kept.id]


def test_broken_records_are_named_and_the_others_are_read(store):
    good = made(store)
    whole = (store.run_folder(good.id) / "record.json").read_text()
    broken = {
        "truncated": (whole[: len(whole) // 2], "it is not complete JSON: "),
        "empty": ("", "it is empty"),
        "foreign": ('{"results": {"mnli": 90}}', "it is not a record of glue"),
        "a-list": ("[1, 2]", "it is not a record of glue"),
        "newer": (json.dumps({**json.loads(whole), "schema": 99}), "its schema is 99, not 1"),
        "renamed": (whole, f"it is the record of run {good.id!r}"),
        "no-plan": (json.dumps({**json.loads(whole), "plan": {}}), "its plan cannot be read: "),
        "odd-plan": (
            json.dumps({**json.loads(whole), "plan": {"tasks": ["mnli"], "x": 1}}),
            "its plan cannot be read: plan: unknown setting",
        ),
        "odd-score": (json.dumps({**json.loads(whole), "scores": {"mnli": 90}}), "it is not a complete record: "),
        "nested": ("[" * 100_000, "it is not complete JSON: "),
    }
    for name, (text, _) in broken.items():
        (store.folder / name).mkdir()
        (store.folder / name / "record.json").write_text(text)
    (store.folder / "bytes").mkdir()
    (store.folder / "bytes" / "record.json").write_bytes(b"\xff\xfe\x00")
    (store.folder / "stray.json").write_text("{}")
    (store.folder / "no-run").mkdir()

    records, named = store.load_all()
    assert records == [good]
    reasons = {path.parent.name if path.name == "record.json" else path.name: reason for path, reason in named}
    assert reasons.keys() == {*broken, "bytes", "stray.json"}
    assert reasons["bytes"] == "it is not UTF-8 text"
    for name, (_, reason) in broken.items():
        assert reasons[name].startswith(reason), name
        assert "\n" not in reasons[name]


def test_the_collector_rests_while_records_are_made_and_is_left_as_it_was():
    with without_collector():
        assert not gc.isenabled()
        with without_collector():
            pass
        assert not gc.isenabled()
    assert gc.isenabled()


def test_a_folder_that_is_not_there_holds_no_runs(store):
    assert store.load_all() == ([], [])


def test_a_run_is_found_by_its_id_a_part_of_it_and_its_folder(store):
    first, second = made(store, tasks=("cola",)), made(store, tasks=("rte",))
    folder = store.run_folder(first.id)
    for name in (first.id, first.id[-8:], "cola", str(folder), f"{folder}/", str(folder / "record.json")):
        assert store.find(name).id == first.id
    assert store.find("rte").id == second.id


def test_the_latest_run_is_the_one_that_started_last(store):
    made(store, started="2025-01-02T00:00:00Z")
    last = made(store, started="2025-01-03T00:00:00Z")
    made(store, started="2025-01-01T00:00:00Z")
    assert store.find("latest").id == last.id


def test_an_unknown_run_gets_a_suggestion(store):
    record = made(store)
    with pytest.raises(UsageError, match=f"^unknown run '{record.id}x': did you mean {record.id}\\?$"):
        store.find(f"{record.id}x")


def test_a_part_of_several_ids_is_refused(store):
    first, second = made(store), made(store)
    with pytest.raises(UsageError, match=r"^run 'mnli' matches 2 runs, write more of it: ") as raised:
        store.find("mnli")
    assert first.id in str(raised.value)
    assert second.id in str(raised.value)


def test_no_name_is_no_run(store):
    made(store)
    with pytest.raises(UsageError, match=r"^a run without a name: "):
        store.find("")


def test_an_empty_store_says_what_to_do(store):
    with pytest.raises(UsageError, match=r"^no run in '.*results': make one with glue run, "):
        store.find("latest")


def test_the_record_that_was_asked_for_is_never_skipped(store):
    record = made(store)
    (store.run_folder(record.id) / "record.json").write_text("{")
    with pytest.raises(DataError, match=r"record.json: it is not complete JSON"):
        store.find(record.id)


@pytest.mark.parametrize("name", ["../secret", "..", ".", "/etc", "a/../../secret", ".hidden", "a\\..\\b", "a\nb", ""])
def test_names_that_would_leave_the_folder_are_refused(store, name):
    made(store, tasks=("cola",))
    made(store, tasks=("rte",))
    (store.folder.parent / "secret").mkdir()
    (store.folder.parent / "secret" / "record.json").write_text("{}")
    with pytest.raises(UsageError):
        store.find(name)
    with pytest.raises(UsageError, match=r"^run id .* is not allowed: "):
        store.run_folder(name)
    with pytest.raises(UsageError, match=r"^task name .* cannot be a file name: "):
        store.run("run").write_predictions(name, [])


def predictions_of(texts):
    rows = [{"text": f"t{k}", "label": k % 2, "question": k // 2} for k in range(len(texts))]
    examples = [example for k, row in enumerate(rows) for example in GROUPED.examples(row, k)]
    return [GROUPED.prediction(example, text, {"yes": 0.5}) for example, text in zip(examples, texts, strict=True)]


def test_predictions_come_back_ready_to_be_scored(store):
    record = made(store)
    written = predictions_of(["no", "yes", "maybe \u2028\n\ud800", ""])
    store.run(record.id).write_predictions("grouped", written)
    read = store.read_predictions(record.id, GROUPED)
    kept = [(p.example.id, p.example.target, p.example.label, p.example.group, p.text, p.label, p.scores) for p in read]
    assert kept == [
        ("0", "no", 0, 0, "no", 0, {"yes": 0.5}),
        ("1", "yes", 1, 0, "yes", 1, {"yes": 0.5}),
        ("2", "no", 0, 1, "maybe \u2028\n\ud800", None, {"yes": 0.5}),
        ("3", "yes", 1, 1, "", None, {"yes": 0.5}),
    ]
    assert RIGHT.tally(read).units == RIGHT.tally(written).units
    lines = (store.run_folder(record.id) / "predictions" / "grouped.jsonl").read_text().splitlines()
    assert json.loads(lines[0]).keys() == {"id", "target", "prediction", "info", "scores"}


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ('{"id": "0", "target"', "line 2 is not a prediction of grouped: "),
        ('{"id": "0"}', "line 2 is not a prediction of grouped: 'target'"),
        ("3", "line 2 is not a prediction of grouped: "),
        ('{"id":"0","target":"x","prediction":"no","info":{},"scores":{}}', "target 'x' is not a label: no, yes"),
    ],
)
def test_a_damaged_line_of_predictions_is_named(store, line, reason):
    record = made(store)
    store.run(record.id).write_predictions("grouped", predictions_of(["no"]))
    with (store.run_folder(record.id) / "predictions" / "grouped.jsonl").open("a") as file:
        file.write(line + "\n")
    with pytest.raises(DataError, match=reason):
        store.read_predictions(record.id, GROUPED)


def test_missing_predictions_are_named(store):
    record = made(store)
    with pytest.raises(DataError, match=r"grouped.jsonl: it cannot be read: No such file"):
        store.read_predictions(record.id, GROUPED)


def test_a_full_disk_keeps_the_earlier_predictions(store, monkeypatch):
    record = made(store)
    store.run(record.id).write_predictions("grouped", predictions_of(["no"]))
    monkeypatch.setattr(os, "fsync", full_disk)
    with pytest.raises(GlueError, match="No space left on device"):
        store.run(record.id).write_predictions("grouped", predictions_of(["yes", "yes"]))
    assert [p.text for p in store.read_predictions(record.id, GROUPED)] == ["no"]


def test_the_training_log_grows_line_by_line(store):
    record = made(store)
    store.run(record.id).append_train({"step": 1, "loss": 2.5})
    store.run(record.id).append_train({"step": 2, "loss": float("inf")})
    lines = (store.run_folder(record.id) / "train.jsonl").read_text().splitlines()
    assert [json.loads(line) for line in lines] == [{"step": 1, "loss": 2.5}, {"step": 2, "loss": None}]
    with pytest.raises(GlueError, match=r"^cannot save '.*train.jsonl': No such file or directory; "):
        store.run("no-such-run").append_train({"step": 1})


WRITER = """
import sys
from glue_harness.core.plan import Plan
from glue_harness.core.record import Record
from glue_harness.runs.store import Store
store = Store(sys.argv[1])
plan = Plan(tasks=("mnli",))
shared = Record("shared", plan.to_dict(), plan.digest)
for k in range(15):
    store.create(Record(store.new_id(plan), plan.to_dict(), plan.digest))
    shared.notes = [f"{sys.argv[2]} {k}"] * 500
    store.save(shared)
"""


def test_a_long_training_log_is_read_and_one_that_memory_may_not_hold_is_refused(store, monkeypatch):
    run = store.run(made(store).id)
    run.log.write_text("".join(json.dumps({"step": step, "loss": 0.5}) + "\n" for step in range(50_000)))
    assert [entry["step"] for entry in run.read_train()] == [*range(50_000)]
    monkeypatch.setattr("glue_harness.runs.folder.LARGEST_LOG", 2**20)
    with pytest.raises(DataError, match=r"train\.jsonl: it cannot be read: it is larger than 1 MiB$"):
        run.read_train()


def test_several_processes_write_to_one_folder_while_another_reads(store):
    (store.folder / "shared").mkdir(parents=True)
    writers = [subprocess.Popen([sys.executable, "-c", WRITER, str(store.folder), str(k)]) for k in range(4)]
    while any(writer.poll() is None for writer in writers):
        _, broken = store.load_all()
        assert broken == []
    assert [writer.returncode for writer in writers] == [0, 0, 0, 0]
    records, broken = store.load_all()
    assert len(records) == 4 * 15 + 1
    assert broken == []
    assert len(set(store.find("shared").notes)) == 1
    assert os.listdir(store.folder / "shared") == ["record.json"]
