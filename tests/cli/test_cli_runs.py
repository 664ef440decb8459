"""`glue runs`: listing, marks, removal, watching; and what is said of runs that begin."""

import json

import pytest
from records import GLUE, finished, narrow_screen, runner
from runs.test_care import fill
from runs.test_finding import at_work

from glue_harness.runs.store import Store


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "results")


@pytest.fixture
def glue(capsys):
    return runner(capsys)


def test_runs_are_listed_the_newest_last(store, glue, monkeypatch):
    first, second = finished(store, day=1), finished(store, {}, day=2, status="failed", tasks=("rte",))
    code, out, _ = glue("runs")
    assert code == 0
    assert out.index(first.id) < out.index(second.id)
    assert "48.89" in out  # of nine, as MNLI has two
    monkeypatch.setattr("glue_harness.report.console.console", narrow_screen)
    glue("runs", "tag", first.id, "paper")
    _, out, _ = glue("runs")
    assert max(map(len, out.splitlines())) <= 80
    assert "paper" in out


def test_filters_and_json(store, glue):
    kept = finished(store, {"rte": GLUE["rte"]}, tasks=("rte",), lr=0.5)
    finished(store)
    fill(store, kept, checkpoints=5000)
    _, out, _ = glue("runs", "--where", "lr=0.5", "--json")
    (fact,) = json.loads(out)
    assert fact["id"] == kept.id
    assert fact["bytes"] > 5000
    assert (fact["status"], fact["score"], fact["tasks"], fact["tags"]) == ("finished", 55.0, ["rte"], [])
    code, out, err = glue("runs", "--tag", "nothing")
    assert (code, out, err) == (0, "", "no run has tag 'nothing': no run has a tag\n")


def test_only_the_newest_are_shown_unless_all_are_asked_for(store, glue, monkeypatch):
    monkeypatch.setattr("glue_harness.cli.runs.NEWEST", 2)
    runs = [finished(store, day=day) for day in (1, 2, 3)]
    _, out, err = glue("runs")
    assert runs[0].id not in out
    assert err == "the newest 2 of 3 runs: --all shows every one\n"
    _, out, err = glue("runs", "--all")
    assert runs[0].id in out
    assert err == ""
    _, out, _ = glue("runs", "--json")
    assert len(json.loads(out)) == 3


def test_a_folder_without_runs_and_one_with_a_broken_record(store, glue):
    store.folder.mkdir()
    told = f"no run in '{store.folder}': make one with glue run, or name a folder with --results"
    assert glue("runs") == (0, "", told + "\n")
    assert glue("runs", "--json") == (0, "[]\n", told + "\n")
    assert glue("runs", "show", "latest") == (2, "", f"glue: {told}\n")
    code, _, err = glue("runs", "tag", "latest", "a")
    assert (code, err) == (2, f"glue: {told}\n")
    record = finished(store)
    broken = store.folder / "20250101-000000-x-s0-00000000" / "record.json"
    broken.parent.mkdir()
    broken.write_text("{")
    code, out, err = glue("runs")
    assert (code, record.id in out) == (0, True)
    assert err.startswith(f"skipped {broken}: it is not complete JSON")


def test_no_text_of_a_record_steers_the_terminal_or_fakes_a_line(store, glue):
    record = finished(store, status="failed", error="gone\n\x1b[2Jfine")
    record.tags, record.note = ["a\x1b[31m\nfinished"], "x\n\x1b]0;title\x07"
    store.save(record)
    for arguments in (
        ("runs",),
        ("runs", "show", record.id),
        ("runs", "watch", record.id),
        ("runs", "keep", record.id),
    ):
        code, out, err = glue(*arguments)
        assert code == 0
        assert not set("\x1b\x07") & set(out + err)
        assert "\nfinished" not in out.replace(" ", "")


def test_tags_notes_and_keeping(store, glue):
    runs = [finished(store, seed=seed) for seed in (0, 1)]
    digest = runs[0].digest
    _, out, _ = glue("runs", "tag", digest, "paper,best", "old")
    assert out.splitlines() == [f"{run.id}: paper best old" for run in sorted(runs, key=lambda run: run.id)]
    glue("runs", "tag", runs[0].id, "old", "--remove")
    glue("runs", "note", runs[0].id, "the rate\nwas high")
    glue("runs", "keep", runs[0].id)
    found = store.find(runs[0].id)
    assert (found.tags, found.note, found.kept) == (["paper", "best"], "the rate\nwas high", True)
    glue("runs", "keep", runs[0].id, "--undo")
    glue("runs", "note", runs[0].id, "")
    found = store.find(runs[0].id)
    assert (found.note, found.kept) == ("", False)
    assert glue("runs", "tag", runs[0].id, "two words")[0] == 2


def test_a_run_is_shown_with_all_that_is_known_of_it(store, glue):
    first = finished(store)
    child = finished(store, {"rte": GLUE["rte"]}, tasks=("rte",), model=f"run:{first.id}", lr=0.5)
    _, out, _ = glue("runs", "show", child.id)
    for text in (child.id, "started from", first.id, "lr = 0.5", child.digest, "RTE", "55.00"):
        assert text in out
    _, out, _ = glue("runs", "show", first.id, "--json")
    facts = json.loads(out)
    assert (facts["children"], facts["parents"]) == ([child.id], [])
    assert facts["parts"].keys() == {"record.json"}
    assert facts["bytes"] == sum(facts["parts"].values())
    again = finished(store, seed=1)
    code, _, err = glue("runs", "show", first.digest)
    assert (code, err) == (2, f"glue: '{first.digest}' means 2 runs, show takes one: {first.id}, {again.id}\n")


def test_removal_asks(store, glue, monkeypatch):
    first, second = finished(store, day=1), finished(store, day=2, status="failed")
    monkeypatch.setattr("click.confirm", lambda text, **_: text.startswith("remove 2 runs"))
    assert glue("runs", "rm", second.id)[0] == 0  # no
    assert store.find(second.id)
    code, out, err = glue("runs", "rm", f"{first.id},{second.id}")
    assert code == 0
    assert out.startswith("removed 2 runs")
    assert first.id in err
    assert store.summaries()[0] == []


def test_nobody_to_ask_means_no(store, glue, monkeypatch):
    record = finished(store)
    import io

    monkeypatch.setattr("sys.stdin", io.StringIO(""))
    code, _, err = glue("runs", "rm", record.id)
    assert code == 2
    assert "nobody answered, so nothing was done: --yes means to remove them" in err
    assert store.find(record.id)


def test_what_is_needed_is_not_removed(store, glue):
    first = finished(store, day=1)
    child = finished(store, model=f"run:{first.id}", seed=1, day=2)
    code, _, err = glue("runs", "rm", first.id, "--yes")
    assert (code, err) == (
        2,
        f"glue: run {first.id} is what run {child.id} started or learned from: nothing was removed; --force removes it all the same\n",
    )
    glue("runs", "keep", child.id)
    code, _, err = glue("runs", "rm", "--status", "finished", "--yes")
    assert code == 0
    assert f"left alone: {child.id} is marked to be kept" in err
    assert f"left alone: {first.id}" in err or not store.run_folder(first.id).exists()
    assert store.find(child.id)
    glue("runs", "keep", child.id, "--undo")
    with at_work(store.run_folder(child.id)):
        code, _, err = glue("runs", "rm", child.id, "--yes")
    assert code == 2
    assert "is at work" in err
    assert glue("runs", "rm", first.id if store.run_folder(first.id).exists() else child.id, "--yes", "--force")[0] == 0


def test_what_stays_keeps_what_it_started_from(store, glue):
    """Of runs that are meant by an option, one that stays makes its parent stay too."""
    first = finished(store, day=1)
    child = finished(store, model=f"run:{first.id}", seed=1, day=2)
    glue("runs", "keep", child.id)
    glue("runs", "rm", "--status", "finished", "--yes")
    assert {record.id for record in store.summaries()[0]} == {first.id, child.id}


def test_removal_must_know_what(store, glue):
    finished(store)
    code, _, err = glue("runs", "rm", "--yes")
    assert code == 2
    assert "rm takes runs, or options that say which" in err


def test_pruning_frees_weights_of_finished_runs(store, glue):
    done, left, kept = finished(store, day=1), finished(store, day=2, status="interrupted"), finished(store, day=3)
    for record in (done, left, kept):
        fill(store, record, checkpoints=5_000_000, predictions=10)
    glue("runs", "keep", kept.id)
    code, out, err = glue("runs", "prune", "--checkpoints", "--yes")
    assert (code, out) == (0, "freed 5.0 MB of 1 run\n")
    assert f"left alone: {left.id} is interrupted, not finished" in err
    assert f"left alone: {kept.id} is marked to be kept" in err
    assert not (store.run_folder(done.id) / "checkpoints").exists()
    assert (store.run_folder(done.id) / "predictions").exists()
    assert (store.run_folder(left.id) / "checkpoints").exists()
    glue("runs", "prune", left.id, "--checkpoints", "--yes")
    assert not (store.run_folder(left.id) / "checkpoints").exists()
    code, _, err = glue("runs", "prune", "--checkpoints", "--yes")
    assert "there is nothing to free" in err
    code, _, err = glue("runs", "prune", "--yes")
    assert code == 2
    assert "prune must know what to free" in err


def test_watching_without_a_terminal_looks_once(store, glue):
    assert glue("runs", "watch") == (0, "", f"no run is at work in '{store.folder}'\n")
    record = finished(store, status="running", steps=100)
    store.run(record.id).append_train({"step": 40, "loss": 0.5})
    with at_work(store.run_folder(record.id)):
        code, out, _ = glue("runs", "watch")
        _, machine, _ = glue("runs", "watch", "--json")
    assert code == 0
    for text in (record.id, "40 of 100", "0.500"):
        assert text in out
    (fact,) = json.loads(machine)
    assert (fact["step"], fact["status"]) == (40, "running")
    _, out, _ = glue("runs", "watch", record.id)
    assert "killed" in out


def test_options_of_a_subcommand_stand_behind_it(store, glue):
    finished(store)
    code, _, err = glue("runs", "--results", store.folder, "show", "latest")
    assert code == 2
    assert "--results stands before show: write it behind" in err


def test_what_is_said_of_a_run_is_recorded_and_no_part_of_its_plan(store, glue):
    common = ("run", "--task", "rte", "--data", "demo:60", "-m", "tiny", "--steps", 2, "--batch-size", 8, "-q")
    assert glue(*common, "--tag", "a,b", "--tag", "c", "--note", "a try")[0] == 0
    assert glue(*common, "--seeds", 2, "--tag", "d")[0] == 0
    first, *others = store.load_all()[0]
    assert (first.tags, first.note) == (["a", "b", "c"], "a try")
    assert [record.tags for record in others] == [["d"]]  # the first seed was there
    assert {record.digest for record in others} == {first.digest}
    code, _, err = glue(*common, "--tag", "two words")
    assert code == 2
    assert "tag 'two words'" in err


def test_a_run_that_goes_on_gets_more_tags(store, glue):
    common = ("--data", "demo:60", "-m", "tiny", "--steps", 2, "--batch-size", 8, "-q")
    glue("run", "--task", "rte", *common, "--tag", "a")
    (record,) = store.load_all()[0]
    record.status = "interrupted"
    store.save(record)
    assert glue("run", "--resume", record.id, "--tag", "b", "--note", "on", "-q")[0] == 0
    found = store.find(record.id)
    assert (found.tags, found.note, found.status) == (["a", "b"], "on", "finished")


def test_a_board_of_chosen_runs(store, glue):
    first = finished(store, lr=0.5, day=1)
    second = finished(store, lr=0.1, day=2)
    glue("runs", "tag", second.id, "paper")

    def rows(*options):
        _, out, err = glue("board", "--format", "json", *options)
        return {run for board in json.loads(out) for row in board["rows"] for run in row["runs"]}, err

    assert rows()[0] == {first.id, second.id}
    assert rows("--where", "lr=0.5")[0] == {first.id}
    assert rows("--tag", "paper")[0] == {second.id}
    assert rows("--since", "2025-01-02")[0] == {second.id}
    assert rows("--tag", "other") == (set(), "no run has tag 'other': there are paper\n")
