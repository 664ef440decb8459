"""Which runs are meant: by what they learn, their model, status, tags, date, and any setting."""

import fcntl
import subprocess
import sys
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import pytest
from records import GLUE, finished

from glue_harness.core.errors import UsageError
from glue_harness.runs.finding import Filter, none_of, since, status_of, where
from glue_harness.runs.store import Store


@contextmanager
def at_work(folder):
    """Another process holds the run's lock, as one that carries it out does."""
    code = f"import fcntl, sys; f = open({str(folder / 'lock')!r}, 'ab'); fcntl.lockf(f, fcntl.LOCK_EX); print('held', flush=True); sys.stdin.read()"
    process = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        assert process.stdout.readline() == b"held\n"
        yield
    finally:
        process.communicate()


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "results")


@pytest.fixture
def runs(store):
    """Three runs: of all tasks, of RTE with a large model and a tag, of a failed CoLA."""
    whole = finished(store, day=1, lr=1e-4)
    rte = finished(store, {"rte": GLUE["rte"]}, day=2, tasks=("rte",), model="google-t5/t5-large")
    rte.tags, rte.mix = ["paper"], {"rte": {}}
    store.save(rte)
    failed = finished(store, {}, day=3, tasks=("cola",), status="failed")
    failed.mix = {}
    store.save(failed)
    return {"whole": whole.id, "rte": rte.id, "failed": failed.id}


@pytest.mark.parametrize(
    ("chosen", "names"),
    [
        (Filter(), {"whole", "rte", "failed"}),
        (Filter(tasks=["rte"]), {"whole", "rte"}),  # the first one by its scores
        (Filter(tasks=["glue"]), {"whole"}),
        (Filter(tasks=["c*"]), {"whole", "failed"}),
        (Filter(models=["t5-large"]), {"rte"}),
        (Filter(models=["google-t5/*"]), {"rte"}),
        (Filter(models=["t5"]), set()),
        (Filter(statuses=["failed", "killed"]), {"failed"}),
        (Filter(tags=["paper", "other"]), {"rte"}),
        (Filter(since=datetime(2025, 1, 2, tzinfo=UTC)), {"rte", "failed"}),
        (Filter(where={"lr": "0.0001"}), {"whole"}),
        (Filter(where={"lr": "1e-3"}), {"rte", "failed"}),  # the default
        (Filter(where={"model": "t5-large"}), {"rte"}),
        (Filter(where={"model": "tin?"}), {"whole", "failed"}),
        (Filter(where={"tasks": "cola"}), {"failed"}),
        (Filter(tasks=["rte"], models=["tiny"], where={"seed": "0"}), {"whole"}),
    ],
)
def test_what_a_filter_takes(store, runs, chosen, names):
    found = chosen.chosen(store.summaries()[0], store)
    assert {record.id for record in found} == {runs[name] for name in names}


def test_a_filter_is_true_when_it_asks_for_anything():
    assert not Filter()
    assert all((Filter(tags=["a"]), Filter(where={"lr": "1"}), Filter(since=datetime.now(UTC))))


def test_a_run_whose_process_is_gone_is_killed(store):
    record = finished(store, status="running")
    assert status_of(record, store) == "killed"
    with at_work(store.run_folder(record.id)):
        assert status_of(record, store) == "running"
        assert store.run(record.id).is_at_work()
    assert status_of(record, store) == "killed"


def test_to_look_changes_nothing(store):
    record = finished(store, status="running")
    before = sorted(store.run_folder(record.id).iterdir())
    status_of(record, store)
    assert sorted(store.run_folder(record.id).iterdir()) == before
    lock = store.run_folder(record.id) / "lock"
    lock.touch()
    status_of(record, store)
    with open(lock, "ab") as file:  # nobody holds it
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def test_how_long_ago():
    for text, ago in (("90m", timedelta(minutes=90)), ("12h", timedelta(hours=12)), ("2w", timedelta(weeks=2))):
        assert abs(datetime.now(UTC) - ago - since(text)) < timedelta(minutes=1)
    assert since("2026-11-20T10:00+01:00") == datetime(2026, 11, 20, 9, tzinfo=UTC)
    assert since("2026-11-20") == datetime(2026, 11, 20).astimezone(UTC)


@pytest.mark.parametrize("text", ["yesterday", "", "7", "7y", "2026-13-01", "999999w"])
def test_what_is_no_time(text):
    with pytest.raises(UsageError, match=f"--since '{text}': write a day, as 2026-11-20, or how long ago, as 12h"):
        since(text)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("lr", "write it as SETTING=VALUE"),
        ("lr=", "write it as SETTING=VALUE"),
        ("modle=tiny", "unknown setting 'modle': did you mean model"),
        ("lr=fast", "lr"),
    ],
)
def test_what_cannot_be_asked_for(text, told):
    with pytest.raises(UsageError, match=f"^--where '{text}'.*{told}"):
        where([text])


def test_why_there_is_none(store, runs):
    records = store.summaries()[0]
    assert none_of(records, Filter(tags=["papre"])) == "no run has tag 'papre': there are paper"
    assert none_of(records, Filter(models=["t5"])) == "no run has model 't5': there are google-t5/t5-large, tiny"
    assert (
        none_of(records, Filter(tags=["paper"], tasks=["cola"])) == "none of 3 runs is meant by these options together"
    )
