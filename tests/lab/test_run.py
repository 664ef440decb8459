"""Runs from end to end on synthetic data: what is written, what is chosen, what survives a failure."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from glue_harness import Plan, load_tasks, run
from glue_harness.core.errors import DataError, GlueError, UsageError
from glue_harness.core.plan import plan_from
from glue_harness.core.plan_file import read_plan
from glue_harness.core.record import Record, record_from
from glue_harness.lab.assemble import assemble
from glue_harness.lab.estimate import estimate
from glue_harness.lab.request import make_request
from glue_harness.metrics import measure
from glue_harness.runs.folder import RunFolder
from glue_harness.runs.store import Store
from glue_harness.train.answers import answer
from glue_harness.train.checkpoints import load
from glue_harness.train.loop import train

TINY = {"data": "demo:300", "model": "tiny", "steps": 12, "eval_every": 4, "batch_size": 8, "lr": 2e-3, "device": "cpu"}


def tiny(*tasks: str, **changes) -> Plan:
    return Plan(**{"tasks": tasks, **TINY, **changes})


@pytest.fixture(scope="session")
def results(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("runs") / "results"


@pytest.fixture(scope="session")
def multi(results) -> Record:
    """One small multi-task run that several tests look at."""
    return run(tiny("mnli", "stsb", "cola", mixing="equal", precision="fp32"), results=results)


def test_a_record_stands_alone(multi, results):
    assert multi.status == "finished"
    stored = json.loads((results / multi.id / "record.json").read_text())
    assert stored["scores"].keys() == {"mnli_matched", "mnli_mismatched", "stsb", "cola"}
    assert stored["scores"]["stsb"]["metrics"].keys() == {"pearson_corrcoef", "spearman_corrcoef"}
    assert stored["data"]["mnli"]["train"]["rows"] == 300
    assert len(stored["data"]["cola"]["validation"]["fingerprint"]) >= 16
    assert stored["parameters"]["total"] == stored["parameters"]["trainable"] < 2_000_000
    assert sum(m["seen"] for m in stored["mix"].values()) == 12 * 8
    assert {"torch", "transformers", "python", "commit", "dirty", "device", "threads"} <= stored["environment"].keys()
    assert plan_from(stored["plan"]) == tiny("mnli", "stsb", "cola", mixing="equal", precision="fp32")
    assert [step for step, _ in stored["history"]["cola"]] == [4, 8, 12]


def test_bleu_stands_with_its_signature(tmp_path):
    record = run(tiny("wmt_en_de", steps=1, eval_every=1, max_answer=4, eval_limit=4), results=tmp_path)
    assert "tok:intl" in record.environment["metrics"]["bleu"]
    assert "smooth:exp" in record.environment["metrics"]["bleu"]


def test_intervals_surround_the_score(multi):
    for score in multi.scores.values():
        for key, (low, high) in score.intervals.items():
            assert score.metrics[key] is None or low <= score.metrics[key] <= high
    assert multi.scores["mnli_matched"].intervals.keys() == {"accuracy"}


def test_beside_a_score_stands_what_it_is_without_the_luck_of_choosing(multi, results):
    for name, score in multi.scores.items():
        assert score.without_luck.keys() == score.metrics.keys(), name
        for key, value in score.without_luck.items():
            assert score.metrics[key] is None or abs(value - score.metrics[key]) < 15
    stored = json.loads((results / multi.id / "record.json").read_text())
    assert stored["scores"]["cola"].pop("without_luck") == multi.scores["cola"].without_luck
    assert record_from(stored).scores["cola"].without_luck == {}  # as older versions wrote it: not known


@pytest.mark.parametrize("changes", [{"eval_every": 12}, {"select": "heldout", "train_limit": 200}])
def test_where_nothing_was_chosen_on_the_scored_rows_there_is_no_luck(tmp_path, changes):
    score = run(tiny("rte", **changes), results=tmp_path).scores["rte"]
    assert score.without_luck == score.metrics


def test_both_mnli_sets_share_one_best_step(multi):
    assert multi.scores["mnli_matched"].step == multi.scores["mnli_mismatched"].step
    means = {
        step: (values["accuracy"] + dict(multi.history["mnli_mismatched"])[step]["accuracy"]) / 2
        for step, values in multi.history["mnli_matched"]
    }
    assert multi.scores["mnli_matched"].step == max(means, key=lambda step: (means[step], -step))


def test_kept_checkpoints_are_the_best_ones_and_the_last(multi, results):
    kept = {int(f.name.removeprefix("step-")) for f in (results / multi.id / "checkpoints").iterdir()}
    assert kept == {score.step for score in multi.scores.values()} | {12}


def test_a_checkpoint_gives_its_scores_again(multi, results):
    plan = plan_from(multi.plan)
    registry = load_tasks()
    setup = assemble(make_request(plan, registry))
    for name, score in multi.scores.items():
        load(RunFolder(results / multi.id), score.step, setup.learner.model)
        asked = setup.data.scoring[name].examples
        predictions = answer(setup.learner.model, registry.task(name), asked, plan, setup.machine)
        assert [p.text for p in Store(results).read_predictions(multi.id, registry.task(name))] == [
            p.text for p in predictions
        ]
        for key, value in measure(registry.task(name).metrics, predictions).items():
            assert score.metrics[key] == pytest.approx(value, nan_ok=True) or score.metrics[key] is None


def test_a_run_repeats_to_the_bit(tmp_path):
    first = run(tiny("rte"), results=tmp_path)
    second = run(tiny("rte"), results=tmp_path)
    assert first.history == second.history
    weights = [load_file(RunFolder(tmp_path / r.id).checkpoint(12) / "model.safetensors") for r in (first, second)]
    assert weights[0].keys() == weights[1].keys()
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])
    assert first.digest == run(tiny("rte", seed=1, steps=12), results=tmp_path).digest


def test_a_plan_survives_toml(tmp_path):
    plan = tiny("rte", "cola", mixing="custom", rates={"rte": 1.0, "cola": 0.5})
    (tmp_path / "plan.toml").write_text(plan.to_toml())
    assert plan_from(read_plan(tmp_path / "plan.toml")) == plan


def test_the_kept_plan_repeats_the_run(multi, results):
    assert plan_from(read_plan(results / multi.id / "plan.toml")) == plan_from(multi.plan)


def test_limited_evaluation_is_made_up_for_at_the_end(tmp_path):
    record = run(tiny("rte", eval_limit=10), results=tmp_path)
    assert record.last["rte"].n == 10
    assert record.scores["rte"].n == 200


def test_the_rows_that_chose_nothing_are_without_luck(tmp_path):
    record = run(tiny("rte", eval_limit=10), results=tmp_path)
    found = RunFolder(tmp_path / record.id).read_predictions(load_tasks().task("rte"))
    rest = len(found) - 10
    right = record.scores["rte"].without_luck["accuracy"] * rest / 100  # of the 190 that were not asked before
    assert right == pytest.approx(round(right))
    assert 0 <= sum(p.label == p.example.label for p in found) - round(right) <= 10


def test_strict_answers_may_be_invalid_and_are_counted(tmp_path):
    record = run(tiny("cola", answers="strict", steps=1, eval_every=1, max_answer=8), results=tmp_path)
    score = record.scores["cola"]
    assert 0 < score.invalid <= score.n
    assert sum(count for _, count in score.common_invalid) <= score.invalid


def test_what_cannot_be_scored_is_said(tmp_path):
    chosen = make_request(tiny("rte", "ax"), load_tasks())
    assert any(text.startswith("ax has hidden labels only") for text in chosen.notes)
    glue = make_request(tiny("glue"), load_tasks())
    assert any("wnli" in text and "neither trained on nor in the average" in text for text in glue.notes)
    assert [task.name for task in glue.trained] == ["cola", "mnli", "mrpc", "qnli", "qqp", "rte", "sst2", "stsb"]


def test_only_tasks_without_training_data_are_refused():
    with pytest.raises(UsageError, match="nothing to train on: mnli_matched has no train split"):
        make_request(tiny("mnli_matched"), load_tasks())


def test_a_batch_larger_than_the_data_is_refused_and_leaves_nothing(tmp_path):
    with pytest.raises(UsageError, match="batch_size 400 is larger than the data"):
        run(tiny("rte", batch_size=400), results=tmp_path)
    assert not list(tmp_path.glob("*"))


def test_missing_data_names_every_task(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match=r"no usable data for 2 tasks \(cola, rte\); the first: "):
        run(tiny("rte", "cola", data=str(tmp_path / "empty")), results=tmp_path / "results")


def test_a_row_that_cannot_be_encoded_is_named_with_its_place(tmp_path):
    (tmp_path / "rte").mkdir()
    rows = [{"sentence1": "a", "sentence2": "b", "label": 0, "idx": 0}] * 20
    rows[6] = {**rows[6], "sentence2": None}
    for split in ("train", "validation"):
        text = "".join(json.dumps(row) + "\n" for row in rows)
        (tmp_path / "rte" / f"{split}.jsonl").write_text(text)
    with pytest.raises(DataError, match=r"row 7 .*'sentence2' must be text, not None"):
        run(tiny("rte", data=str(tmp_path)), results=tmp_path / "results")


def test_a_setting_at_its_default_is_not_in_a_digest(monkeypatch):
    """One that a later version adds must not give every plan another name."""
    plan, other = Plan(("rte",)), Plan(("rte",), lr=0.5)
    assert plan.digest == Plan(("rte",), seed=3).digest != other.digest
    facts = Plan.to_dict
    monkeypatch.setattr(Plan, "to_dict", lambda self: {k: v for k, v in facts(self).items() if k != "heldout"})
    assert Plan(("rte",), lr=0.5).digest == other.digest


def test_one_experiment_has_one_digest_however_it_is_typed(tmp_path):
    plain = run(tiny("rte", steps=1, mixing="custom", rates={"rte": 1.0}), results=tmp_path)
    alias = run(tiny("glue_rte_v002", steps=1, mixing="custom", rates={"glue_rte_v002": 1.0}), results=tmp_path)
    assert plain.digest == alias.digest


def test_an_unusable_results_folder_is_refused_before_anything_is_read(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setattr("glue_harness.lab.assemble.read_rows", lambda *_: pytest.fail("data was read"))
    with pytest.raises(GlueError, match=r"results folder .* cannot be written"):
        run(tiny("rte"), results=tmp_path / "file")


def test_an_interrupted_run_keeps_what_was_measured(tmp_path):
    class Impatient:
        def assembled(self, *_): ...
        def scored(self, *_): ...
        def stepped(self, setup, state):
            if state.step == 6:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(tiny("rte"), results=tmp_path, watcher=Impatient())
    (record,), broken = Store(tmp_path).load_all()
    assert not broken
    assert record.status == "interrupted"
    assert [step for step, _ in record.history["rte"]] == [4]
    assert record.scores["rte"].step == 4
    assert record.timing["train"] > 0
    assert record.error == "interrupted by the user"


def test_a_failed_run_says_why(tmp_path):
    with pytest.raises(GlueError, match="loss"):
        run(tiny("rte", lr=1e30, clip=None), results=tmp_path)
    (record,), _ = Store(tmp_path).load_all()
    assert record.status == "failed"
    assert "at step" in record.error


def test_a_full_disk_is_one_line_and_the_record_stays(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("glue_harness.models.t5.T5.save", full)
    with pytest.raises(GlueError, match=r"cannot save checkpoint .*No space left on device; free some space"):
        run(tiny("rte"), results=tmp_path)
    (record,), broken = Store(tmp_path).load_all()
    assert not broken
    assert record.status == "failed"
    assert [step for step, _ in record.history["rte"]] == [4]


def test_an_estimate_makes_no_graphs(monkeypatch):
    def compiled(model):
        raise AssertionError("graphs take longer than an estimate may")

    monkeypatch.setattr("glue_harness.models.t5.T5.compile", compiled)
    setup = assemble(make_request(tiny("rte", compile="on"), load_tasks()))
    assert setup.machine.compiled
    assert estimate(setup)["seconds_per_step"] > 0
    with pytest.raises(AssertionError, match="longer"):
        train(setup.learner, setup.feed, setup.machine, [])


def test_a_saved_model_is_a_model(multi, results, tmp_path):
    """The weights of one run start another."""
    folder = RunFolder(results / multi.id).checkpoint(12)
    record = run(tiny("rte", model=str(folder), steps=2, eval_every=2), results=tmp_path)
    assert record.parameters["total"] == multi.parameters["total"]
    assert record.environment["model"]["kind"] == "pretrained"


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_run_on_cuda(tmp_path):
    record = run(tiny("rte", device="cuda", steps=60), results=tmp_path)
    assert record.environment["precision"] == "bf16"
    assert record.scores["rte"].metrics["accuracy"] > 60
