"""Training under faults: damaged checkpoints, signals, changed plans and data, numbers that are not finite."""

import json
import math
import re
import shutil
import signal
from pathlib import Path

import pytest
import torch
from kills import base, data, evidence, record_in, the_run, write_rows, zygote  # noqa: F401
from safetensors.torch import load_file, save_file

from glue_harness import Plan, run
from glue_harness.core.errors import DataError, GlueError, UsageError
from glue_harness.models.t5 import T5
from glue_harness.runs.folder import RunFolder

UNKNOWN = 2  # the token of what a vocabulary lacks
KILL = {"calls": [["train.loop:fitting", 6, False]]}  # after the checkpoints of steps 2 and 4


@pytest.fixture(scope="module")
def plan(base, data) -> Plan:  # noqa: F811
    common = {"model": base, "data": data, "device": "cpu", "lr": 5e-3, "seed": 1}
    return Plan(("rte", "stsb"), mixing="equal", steps=8, batch_size=4, eval_every=2, **common)


@pytest.fixture(scope="module")
def whole(plan, tmp_path_factory) -> dict:
    results = tmp_path_factory.mktemp("whole")
    run(plan, results=results)
    return evidence(the_run(results))


@pytest.fixture(scope="module")
def killed_once(plan, zygote, tmp_path_factory) -> Path:  # noqa: F811
    results = tmp_path_factory.mktemp("killed") / "results"
    assert zygote(results, plan=plan.to_dict(), **KILL)["signal"] == signal.SIGKILL
    return results


@pytest.fixture
def killed(killed_once, tmp_path) -> Path:
    """A run that was killed at its sixth step, for this test alone."""
    return shutil.copytree(killed_once, tmp_path / "results")


def test_the_two_newest_checkpoints_are_kept(killed):
    assert [step for step, _ in RunFolder(the_run(killed)).snapshots()] == [4, 2]


DAMAGES = {
    "a flipped bit of the optimizer": "resume/step-00000004/optimizer.safetensors",
    "a flipped bit of the weights": "checkpoints/step-00000004/model.safetensors",
    "a flipped bit of the progress": "resume/step-00000004/progress.json",
    "no marker": "resume/step-00000004/complete",
    "a cut marker": "checkpoints/step-00000004/complete",
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_checkpoint_is_named_and_the_one_before_it_used(damage, killed, whole):
    folder = the_run(killed)
    file = folder / DAMAGES[damage]
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    if damage == "no marker":
        file.unlink()
    else:
        file.write_bytes(content[:10] if damage == "a cut marker" else content)
    record = run(None, results=killed, resume="latest")
    assert record.resumed == [2]
    (note,) = [note for note in record.notes if "step 4 cannot be resumed from" in note]
    assert str(file.parent) in note
    assert evidence(folder) == whole


def test_with_every_checkpoint_damaged_it_begins_again(killed, whole):
    for _, folder in RunFolder(the_run(killed)).snapshots():
        (folder / "progress.json").write_bytes(b"")
    record = run(None, results=killed, resume="latest")
    assert record.resumed == [0]
    assert "had no checkpoint to go on from and began again" in record.notes
    assert evidence(the_run(killed)) == whole


def test_it_goes_on_from_a_step_that_is_saved_but_not_scored(plan, whole, zygote, tmp_path):  # noqa: F811
    results = tmp_path / "results"
    assert zygote(results, plan=plan.to_dict(), checkpoint_every=1, **KILL)["signal"] == signal.SIGKILL
    record = run(None, results=results, resume="latest", checkpoint_every=1)
    assert record.resumed == [5]
    assert [step for step, _ in record.history["rte"]] == [2, 4, 6, 8]
    assert evidence(the_run(results)) == whole


def test_time_and_resumptions_add_up(killed):
    before = record_in(the_run(killed))
    record = run(None, results=killed, resume="latest")
    assert record.resumed == [4]
    assert all(record.timing[part] > before["timing"].get(part, 0) for part in ("setup", "train", "evaluate", "save"))
    assert record.seconds == pytest.approx(sum(record.timing.values()))


def test_a_changed_plan_is_refused_with_its_differences(killed, plan):
    folder = the_run(killed)
    before = (folder / "record.json").read_bytes()
    with pytest.raises(UsageError, match=r"has another plan: lr 0\.005 -> 0\.1; seed 1 -> 2; leave that out, or --for"):
        run(plan.replace(lr=0.1, seed=2), results=killed, resume="latest")
    with pytest.raises(UsageError, match="--force cannot change optimizer of run"):
        run(plan.replace(optimizer="adafactor"), results=killed, resume="latest", force=True)
    with pytest.raises(UsageError, match="has done 4 steps: it cannot have 4 in all"):
        run(plan.replace(steps=4), results=killed, resume="latest", force=True)
    assert (folder / "record.json").read_bytes() == before


def test_force_goes_on_under_a_changed_plan_and_says_so(killed, plan):
    before = record_in(the_run(killed))
    record = run(plan.replace(lr=0.1), results=killed, resume="latest", force=True)
    assert record.status == "finished"
    assert record.plan["lr"] == 0.1
    assert "goes on under a changed plan: lr 0.005 -> 0.1" in record.notes
    assert record.digest not in (before["digest"], plan.replace(lr=0.1).digest)  # it repeats neither of them


@pytest.mark.parametrize(
    ("rows", "text"), [((24, 15), "rte validation had 16 rows and has 15"), ((24, 16), "rte train has other rows")]
)
def test_changed_data_are_refused_by_name(rows, text, base, tmp_path, zygote, plan):  # noqa: F811
    folder = tmp_path / "data"
    folder.mkdir()
    write_rows(folder)
    plan = plan.replace(data=str(folder), tasks=("rte",), mixing="proportional")
    assert zygote(tmp_path / "results", plan=plan.to_dict(), **KILL)["signal"] == signal.SIGKILL
    write_rows(folder, *rows)
    if rows == (24, 16):
        file = folder / "rte" / "train.jsonl"
        lines = file.read_text().splitlines(keepends=True)
        file.write_text("".join(reversed(lines)))
    before = (the_run(tmp_path / "results") / "record.json").read_bytes()
    with pytest.raises(DataError, match=rf"the data of run .* changed: {text}.*; undo that, or --force"):
        run(None, results=tmp_path / "results", resume="latest")
    assert (the_run(tmp_path / "results") / "record.json").read_bytes() == before
    record = run(None, results=tmp_path / "results", resume="latest", force=True)
    assert record.status == "finished"
    assert any(note.startswith(f"went on with changed data: {text}") for note in record.notes)


def test_a_finished_run_is_given_back_as_it_is(plan, tmp_path):
    short = plan.replace(steps=2)
    first = run(short, results=tmp_path)
    again = run(short, results=tmp_path, resume=first.id)
    assert (again.id, again.resumed, again.seconds) == (first.id, [], first.seconds)
    with pytest.raises(UsageError, match=r"is finished, under another plan: steps 2 -> 4"):
        run(short.replace(steps=4), results=tmp_path, resume=first.id, force=True)
    with pytest.raises(UsageError, match=r"no unfinished run in .*: there is nothing to resume"):
        run(None, results=tmp_path, resume="latest")


def test_a_run_that_another_process_carries_out_is_left_alone(killed, zygote, plan):  # noqa: F811
    with RunFolder(the_run(killed)).claim():
        assert "nothing to resume" in zygote(killed, resume="latest")["error"]
        told = zygote(killed, resume=the_run(killed).name)["error"]
    assert "is being carried out by another process" in told


@pytest.mark.parametrize(
    ("number", "code", "where"),
    [
        (signal.SIGTERM, 143, ["train.loop:fitting", 4, True]),
        (signal.SIGINT, 130, ["train.loop:fitting", 4, True]),
        (signal.SIGTERM, 143, ["train.answers:_answer_batch", 4, False]),  # in an evaluation
        (signal.SIGTERM, 143, ["train.snapshots:write_optimizer", 1, False]),
    ],
)
def test_a_signal_saves_and_the_run_goes_on_exactly(number, code, where, zygote, plan, whole, tmp_path):  # noqa: F811
    fate = zygote(tmp_path, plan=plan.to_dict(), calls=[where], signal=number)
    assert fate["code"] == code
    record = record_in(the_run(tmp_path))
    assert record["status"] == "interrupted"
    assert record["error"] == ("terminated by the system" if code == 143 else "interrupted by the user")
    run(None, results=tmp_path, resume="latest")
    assert evidence(the_run(tmp_path)) == whole


def test_a_second_signal_stops_at_once(zygote, plan, tmp_path):  # noqa: F811
    calls = [["train.loop:fitting", 3, False], ["train.weights:Weights.clip", 3, False]]
    fate = zygote(tmp_path, plan=plan.to_dict(), calls=calls, signal=signal.SIGINT)
    assert fate["code"] == 130
    assert [step for step, _ in RunFolder(the_run(tmp_path)).snapshots()] == [2]  # step 3 was not done


# numbers that are not finite


@pytest.fixture
def poisoned(monkeypatch):
    """Makes the loss NaN whenever a batch of the training is as described."""

    def poison(is_bad):
        original = T5.loss

        def loss(self, batch, lean=False):
            found = original(self, batch, lean)
            worth = math.nan if is_bad(batch) else 1.0
            return found._replace(total=found.total * worth, each=found.each * worth)

        monkeypatch.setattr(T5, "loss", loss)

    return poison


@pytest.fixture
def bad_row(poisoned, plan, tmp_path) -> Plan:
    """A plan whose eighth training row has a character that the vocabulary lacks, and breaks the loss."""
    folder = tmp_path / "data"
    folder.mkdir()
    write_rows(folder)
    file = folder / "rte" / "train.jsonl"
    rows = [json.loads(line) for line in file.read_text().splitlines()]
    rows[7]["sentence1"] += " \u2603"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    poisoned(lambda batch: (batch.inputs == UNKNOWN).any())
    return plan.replace(tasks=("rte",), mixing="proportional", data=str(folder))


def test_a_bad_row_is_named_and_the_last_good_checkpoint_stays(bad_row, tmp_path):
    with pytest.raises(GlueError) as caught:
        run(bad_row, results=tmp_path / "results", checkpoint_every=1)
    said = re.fullmatch(
        r"loss nan \(gradient norm nan\) at step (\d) on 1 of 4 examples, of rte: rte/7: "
        "try a smaller --lr, or --on-nonfinite skip",
        str(caught.value),
    )
    record = record_in(the_run(tmp_path / "results"))
    assert (record["status"], record["error"]) == ("failed", str(caught.value))
    assert RunFolder(the_run(tmp_path / "results")).snapshots()[0][0] == int(said[1]) - 1 > 0


def test_a_skipped_update_is_counted(bad_row, tmp_path):
    record = run(bad_row.replace(on_nonfinite="skip"), results=tmp_path / "results")
    assert record.status == "finished"
    assert 1 <= len(record.skipped) <= 2  # 32 draws of 24 rows
    lines = RunFolder(tmp_path / "results" / record.id).read_train()
    assert [line["loss"] is None for line in lines] == [line["step"] in record.skipped for line in lines]
    stored = record_in(the_run(tmp_path / "results"))
    assert stored["skipped"] == record.skipped


@pytest.mark.parametrize(
    ("pattern", "reason", "steps"),
    [
        ("1111111111", "3 updates in a row were skipped, try a smaller --lr", [1, 2, 3]),
        ("0101010101", "more than 3 of 8 updates were skipped, try a smaller --lr", [2, 4, 6, 8]),
    ],
)
def test_skips_have_an_end(pattern, reason, steps, poisoned, plan, tmp_path):
    bad = iter(pattern)
    poisoned(lambda batch: next(bad, "0") == "1")
    with pytest.raises(GlueError, match=re.escape(reason)):
        run(plan.replace(on_nonfinite="skip"), results=tmp_path)
    record = record_in(the_run(tmp_path))
    assert record["status"] == "failed"
    assert record["skipped"] == steps


def test_a_rate_that_is_too_large_stops_within_three_steps(plan, tmp_path):
    with pytest.raises(GlueError) as caught:
        run(plan.replace(lr=1e30, clip=None, steps=40), results=tmp_path)
    assert int(re.search(r"at step (\d+) on|after step (\d+) are", str(caught.value))[1]) <= 3
    assert record_in(the_run(tmp_path))["status"] == "failed"


@pytest.mark.parametrize(("spoiled", "every", "left"), [(4, None, 2), (3, 1, 2)])
def test_weights_that_are_not_finite_are_never_kept(spoiled, every, left, plan, tmp_path, monkeypatch):
    """The loss of the step was finite; what the optimizer made of it is not. Step 3 is saved but not scored."""
    original = torch.optim.AdamW.step

    def step(self, closure=None):
        original(self, closure)
        state = next(iter(self.state.values()))
        if state["step"] == spoiled:
            self.param_groups[0]["params"][0].data.fill_(math.inf)

    monkeypatch.setattr(torch.optim.AdamW, "step", step)
    with pytest.raises(GlueError, match=rf"weights after step {spoiled} are not finite: shared\.weight$"):
        run(plan, results=tmp_path, checkpoint_every=every)
    folder = the_run(tmp_path)
    assert RunFolder(folder).snapshots()[0][0] == left
    assert [step for step, _ in record_in(folder)["history"]["rte"]] == [2]


def test_weights_that_are_not_finite_at_load_are_said_to_be(base, plan, tmp_path):  # noqa: F811
    folder = Path(shutil.copytree(base, tmp_path / "broken"))
    weights = load_file(folder / "model.safetensors")
    weights["encoder.block.1.layer.1.DenseReluDense.wi.weight"][0, 0] = float("nan")
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    name = r"encoder\.block\.1\.layer\.1\.DenseReluDense\.wi\.weight"
    with pytest.raises(GlueError, match=rf"weights of model '.*broken' are not finite: {name}$"):
        run(plan.replace(model=str(folder)), results=tmp_path / "results")
