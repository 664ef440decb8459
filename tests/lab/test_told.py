"""What a run tells beside its scores: what was cut off, a yardstick, how far an evaluation is, that it is stopping."""

import json
import os
import re
import signal
from collections import Counter
from dataclasses import replace

import pytest
from records import finished, runner

import glue_harness
from glue_harness import Plan
from glue_harness.cli.progress import ProgressDisplay, empty_answers, score_table, show_seeds
from glue_harness.core.errors import Stopped, UsageError
from glue_harness.lab.signals import listening
from glue_harness.report.console import show
from glue_harness.runs.store import Store
from glue_harness.suite.registry import load_tasks

OPTIONS = ("--task", "rte", "--data", "demo:60", "--model", "tiny", "--steps", "2", "--batch-size", "8")


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """A run whose inputs are cut, and how far its evaluations were, as it was told."""
    results = tmp_path_factory.mktemp("results")

    class Watcher:
        heard: tuple = ()

        def assembled(self, *_): ...
        def stepped(self, *_): ...
        def scored(self, *_): ...
        def stopping(self, *_): ...
        def answered(self, done, asked):
            self.heard = (*self.heard, (done, asked))

    watcher = Watcher()
    plan = Plan("rte", data="demo:60", model="tiny", steps=2, batch_size=8, eval_every=2, max_input=24)
    return results, glue_harness.run(plan, results=results, watcher=watcher), watcher.heard


def test_what_was_cut_off_is_recorded_and_told(done):
    _, record, _ = done
    validation = record.data["rte"]["validation"]
    assert (validation["rows"], validation["examples"]) == (200, 200)
    assert 2 < validation["cut"] < 200
    assert validation["lost"] >= validation["cut"]
    share, lost = validation["cut"] / 200, validation["lost"] / (validation["tokens"] + validation["lost"])
    told = f"rte validation: {share:.1%} of 200 examples are cut off at max_input or max_target, {lost:.1%}"
    assert any(note.startswith(told) for note in record.notes)


def test_each_score_has_its_yardstick(done):
    results, record, _ = done
    golds = Counter(p.example.label for p in Store(results).read_predictions(record.id, load_tasks().task("rte")))
    assert record.scores["rte"].baseline == {"accuracy": max(golds.values()) / 2}
    assert record.scores["rte"].ceiling == {"accuracy": 95.0}  # ten of 200 labels are wrong
    (kept,) = glue_harness.load_results(results)
    assert kept.scores["rte"].baseline == record.scores["rte"].baseline
    assert kept.scores["rte"].ceiling == record.scores["rte"].ceiling


def test_tasks_of_one_title_are_called_by_their_names(tmp_path, capsys):
    """RTE is in both suites: in a table of both, and in a comparison, two rows of one name tell nothing."""
    glue = runner(capsys)
    options = ("--data", "demo:60", "--model", "tiny", "--steps", "1", "--quiet", "--results", tmp_path)
    _, out, _ = glue("run", "--task", "rte,superglue_rte,cola", *options, "--seeds", "2")
    names = [line.split()[0] for line in out.splitlines() if re.search(r" (Acc|accuracy) +\d", line)]
    assert names == 3 * ["rte", "superglue_rte"]  # each seed's, and the table of both
    assert " CoLA " in out
    _, out, _ = glue("compare", *(file.parent.name for file in tmp_path.glob("*/record.json")), "--results", tmp_path)
    assert {"rte", "superglue_rte", "CoLA"} <= {line.split()[0] for line in out.splitlines() if line.split()}


def test_a_score_that_its_metric_does_not_give_is_undefined_everywhere(tmp_path, capsys):
    """Not nan, not a dash, and not left out: with the reason, in the run, its seeds, the board and the comparison."""
    store, glue, results = Store(tmp_path), runner(capsys), ("--results", tmp_path)
    nothing: dict[str, float | None] = {"pearson_corrcoef": None, "spearman_corrcoef": None}
    records = [finished(store, {"stsb": nothing}, tasks=("stsb",), seed=seed) for seed in (0, 1)]
    scores = {"stsb": replace(records[0].scores["stsb"], constant="4.0")}
    ProgressDisplay(quiet=False).scored(5, {"stsb": nothing})
    show(score_table(scores, load_tasks()))
    show_seeds([record.scores for record in records], load_tasks())
    out, err = capsys.readouterr()
    said = " ".join(out.split())
    assert "stsb undefined/undefined" in err
    assert "STS-B pearson_corrcoef undefined - -" in said
    assert "STS-B spearman_corrcoef undefined - undefined undefined" in said  # mean, deviation, each seed
    assert empty_answers(scores) == [
        "stsb: every answer is '4.0', which leaves pearson_corrcoef, spearman_corrcoef undefined"
    ]
    _, board, _ = glue("board", "--task", "stsb", *results)
    assert board.count("undefined") == 4  # two cells, the legend, why there is no average
    _, compared, _ = glue("compare", *(record.id for record in records), *results)
    assert [line.split()[-2:] for line in compared.splitlines() if "STS-B" in line] == 2 * [2 * ["undefined"]]
    for shown in (board, compared):
        assert "undefined: no value for some answers" in " ".join(shown.split())
    assert "nan" not in out + err + board + compared


def test_an_evaluation_tells_how_far_it_is(done):
    assert done[2][-1] == (200, 200)
    assert list(done[2]) == sorted(done[2])


def test_results_are_read_from_python(done):
    results, record, _ = done
    assert [row.runs for row in glue_harness.board("glue", results, demo=True).rows] == [(record.id,)]
    assert glue_harness.board("glue", results).rows == ()
    with pytest.raises(UsageError, match="no folder of runs at 'nowhere'"):
        glue_harness.load_results("nowhere")
    assert Plan("rte").tasks == ("rte",)
    assert Plan("rte", data=results).data == str(results)


def test_kept_weights_have_the_mode_that_the_umask_says(done):
    results, record, _ = done
    files = [*(results / record.id / "checkpoints").rglob("*.*")]
    assert {file.stat().st_mode & 0o777 for file in files if file.is_file()} == {0o666 & ~umask()}


def umask() -> int:
    os.umask(found := os.umask(0))
    return found


def test_seeds_go_on_where_they_stopped(tmp_path, capsys):
    glue, seeds = runner(capsys), ("--eval-every", "2", "--quiet", "--results", tmp_path)
    assert glue("run", *OPTIONS, *seeds)[0] == 0
    (first,) = tmp_path.glob("*/record.json")
    _, planned, _ = glue("run", *OPTIONS, *seeds, "--seeds", "3", "--dry-run")
    assert re.search(r"left to do, seed by seed: 1, 2; about [\d.]+ seconds in all", " ".join(planned.split()))
    code, _, err = glue("run", *OPTIONS, *seeds, "--seeds", "2")
    assert code == 0
    assert f"seed 0 is finished, {first.parent.name}" in err
    records = [json.loads(file.read_text()) for file in sorted(tmp_path.glob("*/record.json"))]
    assert sorted(record["plan"]["seed"] for record in records) == [0, 1]
    assert f"next: glue compare {records[0]['digest']} OTHER" in err
    second = next(file for file in tmp_path.glob("*/record.json") if file != first)
    second.write_text(json.dumps({**json.loads(second.read_text()), "status": "interrupted"}))
    code, _, err = glue("run", *OPTIONS, *seeds, "--seeds", "2")
    assert code == 0
    assert f"seed 1 goes on, {second.parent.name}" in err
    assert len([*tmp_path.glob("*/record.json")]) == 2


def test_several_seeds_that_are_stopped_say_how_to_go_on(tmp_path, capsys, monkeypatch):
    def stopped(*_, **__):
        raise Stopped(signal.SIGINT)

    monkeypatch.setattr("glue_harness.jobs.trials.run", stopped)
    code, _, err = runner(capsys)("run", *OPTIONS, "--seeds", "2", "--results", tmp_path)
    assert (code, err.splitlines()[-1]) == (130, "glue: interrupted: the same command goes on from here")


def test_the_first_signal_is_answered_at_once():
    told = []
    with listening(told.append) as stop, stop.later():
        signal.raise_signal(signal.SIGTERM)
        assert told == ["stopping after this step (again to stop now)"]
        with pytest.raises(Stopped):
            signal.raise_signal(signal.SIGTERM)
    assert len(told) == 1


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("where", ["assemble.read_rows", "assemble.build", "assemble.find_fit"])
def test_a_signal_while_a_run_is_set_up_is_obeyed_at_once(number, where, tmp_path, monkeypatch, request):
    """One is enough, nothing is said of steps, and no trace is left of a run that did not begin."""
    own = signal.signal(number, signal.default_int_handler)  # whoever started the tests may have had Ctrl-C ignored
    request.addfinalizer(lambda: signal.signal(number, own))
    went_on = []

    def signalled(*_):
        signal.raise_signal(number)
        went_on.append(number)

    monkeypatch.setattr(f"glue_harness.lab.{where}", signalled)
    with pytest.raises(Stopped) as stopped:
        glue_harness.run(Plan("rte", data="demo:60", model="tiny", steps=2, batch_size=8), results=tmp_path)
    assert (stopped.value.exit_code, went_on) == (128 + number, [])
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (("board", "--results", "/nonexistent"), "--results '/nonexistent': there is no such folder, and so no run"),
        (("compare", "a", "b", "--results", "/nonexistent"), "--results '/nonexistent': there is no such folder"),
        (("board", "--results", ""), "--results '': name a folder, or leave it out for results"),
        (("run", *OPTIONS, "--results", ""), "--results '': name a folder, or leave it out for results"),
        (("tasks", "--tasks", "/nonexistent"), "task folder '/nonexistent' cannot be read: No such file or directory"),
        (("run", *OPTIONS, "--data", "demo:99999999999"), "--data 'demo:99999999999': 1,000,000 rows at most"),
        (
            ("run", *OPTIONS[:-2], "--batch-tokens", "100000000"),
            "batch_tokens 100,000,000 is far larger than the data: ",
        ),
    ],
)
def test_a_folder_or_a_number_that_cannot_be_meant(arguments, line, capsys):
    code, out, err = runner(capsys)(*arguments)
    assert (code, out) == (2, "")
    assert line in err


def test_a_folder_of_tasks_that_cannot_be_read(tmp_path, capsys, monkeypatch):
    def refused(folder):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("glue_harness.suite.registry.os.listdir", refused)
    line = "cannot be read: Permission denied (--tasks or GLUE_TASKS)"
    code, _, err = runner(capsys)("tasks", "--tasks", tmp_path)
    assert code == 2
    assert err.endswith(f"{line}\n")
    assert err.count("\n") == 1
