"""Marks on runs, what they hold, what hangs on them; what is removed, and that nothing else is."""

import json
import os

import pytest
from records import finished
from runs.test_finding import at_work

from glue_harness.core.errors import GlueError, UsageError
from glue_harness.core.plan import Plan
from glue_harness.runs import care
from glue_harness.runs.store import Store


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "results")


def fill(store, record, **sizes):
    """Files of so many bytes, by the folders of a run."""
    for name, size in sizes.items():
        file = store.run_folder(record.id) / name / "step-1" / "data"
        file.parent.mkdir(parents=True)
        file.write_bytes(b"x" * size)


def test_marks_are_kept_with_the_record_and_are_no_part_of_the_experiment(store):
    record = finished(store)
    care.change(store, record, care.marks(["a", "b", "a"], "why not").put_on)
    care.change(store, record, care.marks(["b", "c"]).put_on)
    (found,), _ = store.summaries()
    assert (found.tags, found.note, found.digest) == (["a", "b", "c"], "why not", record.digest)
    assert not (store.run_folder(record.id) / "lock").exists()


@pytest.mark.parametrize("tag", ["", "two words", "a,b", "x" * 65, "a\nb"])
def test_what_is_no_tag(tag):
    with pytest.raises(UsageError, match=r"^tag [\s\S]*: write one word of at most 64 signs"):
        care.marks([tag])


def test_a_record_that_its_own_process_writes_is_left_to_it(store):
    record = finished(store, status="running")
    with at_work(store.run_folder(record.id)), pytest.raises(GlueError, match="is at work and writes its record"):
        care.change(store, record, care.marks(["a"]).put_on)
    assert store.find(record.id).tags == []


def test_records_of_earlier_versions_have_no_marks(store):
    record = finished(store)
    file = store.run_folder(record.id) / "record.json"
    values = json.loads(file.read_text())
    for name in ("tags", "note", "kept"):
        del values[name]
    file.write_text(json.dumps(values))
    found = store.find(record.id)
    assert (found.tags, found.note, found.kept) == ([], "", False)


def test_sizes_are_those_of_the_files(store):
    record = finished(store)
    fill(store, record, checkpoints=1000, predictions=30)
    os.symlink("/usr/bin", store.run_folder(record.id) / "export")  # what a link leads to is not the run's
    sizes = care.sizes(store, record)
    assert sizes.pop("record.json") > 100
    assert sizes == {"checkpoints": 1000, "predictions": 30}


def test_who_started_from_whom(store):
    first = finished(store)
    second = finished(store, model=f"run:{first.id}@rte", seed=1)
    third = finished(store, model="plan:0123456789ab", seed=2)
    third.environment["model"] = {"run": first.id, "step": 5}
    assert care.parents(first) == []
    assert second.parents == third.parents == {"model": [first.id], "teacher": []}
    store.run(second.id).save(second)
    written = json.loads((store.run_folder(second.id) / "record.json").read_text())
    assert written["parents"] == second.parents  # for whoever reads the file alone
    assert care.children([first, second, third]) == {first.id: [second.id, third.id]}


def test_what_must_not_lose_anything(store):
    first, second = finished(store), finished(store, seed=1)
    child = finished(store, model=f"run:{first.id}", seed=2)
    of = care.children([first, second, child])
    assert care.reason_to_stay(store, second, of) is None
    assert care.reason_to_stay(store, first, of) == f"is what run {child.id} started or learned from"
    assert care.reason_to_stay(store, first, of, going={child.id}) is None
    second.kept = True
    assert care.reason_to_stay(store, second, of) == "is marked to be kept (glue runs keep --undo)"
    with at_work(store.run_folder(child.id)):
        assert care.reason_to_stay(store, child, of) == "is at work"


def test_a_run_is_removed_and_no_other(store, tmp_path):
    gone, other = finished(store), finished(store, seed=1)
    fill(store, gone, checkpoints=10)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "mine").touch()
    os.symlink(elsewhere, store.run_folder(gone.id) / "link")
    care.remove(store, gone)
    assert [record.id for record in store.summaries()[0]] == [other.id]
    assert (elsewhere / "mine").exists()


def test_a_linked_run_loses_its_link_only(store, tmp_path):
    elsewhere = Store(tmp_path / "elsewhere")
    record = finished(elsewhere)
    store.folder.mkdir()
    os.symlink(elsewhere.run_folder(record.id), store.run_folder(record.id))
    care.remove(store, record)
    assert not store.run_folder(record.id).exists()
    assert elsewhere.find(record.id)


def test_weights_go_and_evidence_stays(store):
    record = finished(store)
    fill(store, record, checkpoints=1000, resume=500, predictions=30, export=7)
    assert care.free(store, record, care.LARGE) == 1500
    sizes = care.sizes(store, record)
    assert {name for name in sizes if name != "record.json"} == {"predictions", "export"}
    assert care.FREED in store.find(record.id).notes
    assert care.free(store, record, care.EXPORTED) == 7
    assert store.find(record.id).notes.count(care.FREED) == 1
    assert care.free(store, record, care.LARGE) == 0


def test_a_digest_means_all_seeds(store):
    runs = [finished(store, seed=seed) for seed in (0, 1)]
    other = finished(store, lr=0.5)
    among = store.summaries()[0]
    digest = Plan(**runs[0].plan).digest
    assert {record.id for record in care.named(store, [digest], among)} == {record.id for record in runs}
    both = care.named(store, [f"{runs[0].id},{other.id}", "latest"], among)
    assert {runs[0].id, other.id} <= {record.id for record in both}
    with pytest.raises(UsageError, match="unknown run 'nothing'"):
        care.named(store, ["nothing"], among)


def test_a_mean_score_is_over_tasks():
    from records import scores

    from glue_harness.core.record import Record

    record = Record("a", {}, "")
    assert care.mean_score(record) is None
    record.scores = scores({"mrpc": {"f1": 80.0, "accuracy": 60.0}, "rte": {"accuracy": 50.0}})
    assert care.mean_score(record) == 60.0
    record.scores = scores({"rte": {"accuracy": None}})
    assert care.mean_score(record) is None
