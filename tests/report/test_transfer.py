"""What training together did to each task: gain, or negative transfer, with its evidence."""

import json

import pytest
from records import finished, runner

from glue_harness.core.task import Text
from glue_harness.data.mixing import realised
from glue_harness.metrics import measure
from glue_harness.metrics.stats import holm
from glue_harness.runs.store import Store
from glue_harness.suite.registry import load_tasks

REGISTRY = load_tasks()
N = 120
GOOD, FAIR, POOR = (lambda k: k % 20 != 0), (lambda k: k % 4 != 0), (lambda k: k % 2 == 0)


@pytest.fixture
def store(tmp_path) -> Store:
    return Store(tmp_path / "results")


@pytest.fixture
def glue(capsys):
    return runner(capsys)


def trained(store, right, seen=1000, shared=(), **plan):
    """A finished run of the tasks in `right`, which says of each what it answered rightly.

    The examples with an id in `shared` have a text of a row that the run was trained on.
    """
    values, found = {}, {}
    for name, is_right in right.items():
        task = REGISTRY.tasks[name]
        wrong = dict(zip(task.labels, reversed(task.labels), strict=True))
        examples = [task.example(Text("", task.labels[k % 2]), str(k), {}) for k in range(N)]
        found[name] = [task.prediction(e, e.target if is_right(k) else wrong[e.target]) for k, e in enumerate(examples)]
        values[name] = measure(task.metrics, found[name])
    record = finished(store, values, tasks=tuple(right), **plan)
    share = 1 / len(right)
    record.mix = {name: {"rows": 500, "probability": share, "seen": seen * share} for name in right}
    for name in right:
        record.scores[name].clean = {"rows": N, "shared": len(shared), "whole": 0, "n": N - len(shared), "metrics": {}}
    store.save(record)
    for name, predictions in found.items():
        store.run(record.id).write_predictions(name, predictions, shared)
    return record


def effects(glue, *arguments):
    code, out, err = glue("compare", *arguments, "--json")
    assert (code, err) == (0, "")
    return {effect["name"]: effect for effect in json.loads(out)["transfer"]}


def seeds_of(store, right, n=3, **plan):
    """Runs of one plan, each of which errs elsewhere; their digest."""
    moved = [{name: lambda k, s=s, of=of: of(k + s) for name, of in right.items()} for s in range(n)]
    return [trained(store, of_seed, seed=s, **plan) for s, of_seed in enumerate(moved)][-1].digest


def test_gain_and_loss_have_a_sign_an_interval_and_a_corrected_p(store, glue):
    multi = seeds_of(store, {"rte": POOR, "sst2": GOOD, "qnli": FAIR})
    alone = [seeds_of(store, {name: FAIR}) for name in ("rte", "sst2", "qnli")]
    found = effects(glue, multi, *alone)
    assert {name: effect["verdict"] for name, effect in found.items()} == {
        "rte.accuracy": "negative transfer",
        "sst2.accuracy": "gain",
        "qnli.accuracy": "",
    }
    loss = found["rte.accuracy"]["difference"]
    assert loss["value"] == pytest.approx(-25)
    assert loss["over"] == "seeds and examples"
    assert loss["low"] < -25 < loss["high"] < 0
    p_values = {name: effect["difference"]["p"] for name, effect in found.items()}
    assert {name: effect["difference"]["p_holm"] for name, effect in found.items()} == holm(p_values)
    assert (found["rte.accuracy"]["epochs_alone"], found["rte.accuracy"]["run"]) == (2, f"plan {alone[0]}")
    assert found["rte.accuracy"]["epochs_together"] == pytest.approx(2 / 3, abs=0.01)


def test_one_seed_is_never_a_gain_nor_a_loss(store, glue):
    multi = trained(store, {"rte": POOR, "qnli": FAIR})
    alone = [trained(store, {name: FAIR}) for name in ("rte", "qnli")]
    found = effects(glue, multi.id, *(record.id for record in alone))
    alike = "no difference found between these two models; one seed cannot tell a recipe from luck"
    assert {name: effect["verdict"] for name, effect in found.items()} == {
        "rte.accuracy": "these two models differ",
        "qnli.accuracy": alike,
    }
    out = glue("compare", multi.id, *(record.id for record in alone))[1]
    assert (
        "0 gained, 0 lost, 0 without a difference beyond chance, 2 of one seed, which tells nothing of transfer" in out
    )
    assert "These two models differ: RTE" in out
    assert "negative transfer" not in out


@pytest.mark.parametrize(("marked", "verdict"), [(40, "only by shared texts"), (20, "gain")])
def test_a_gain_that_stands_on_shared_texts_alone_is_withheld(marked, verdict, store, glue):
    """A third of the rows is always right together, since the mix has trained on them; on the rest it is no better."""
    shared = [str(k) for k in range(marked)]
    together = {"rte": lambda k: k < 40 or k % 2 == 0, "sst2": GOOD}
    multi = [trained(store, together, seed=seed, shared=shared) for seed in range(3)][-1].digest
    alone = [trained(store, {"rte": lambda k: k % 2 == 0 or k % 45 == 41}, seed=seed) for seed in range(3)][-1].digest
    found = effects(glue, multi, alone)["rte.accuracy"]
    assert found["verdict"] == verdict
    assert (found["clean"] < 0) == (verdict != "gain")
    out = glue("compare", multi, alone)[1]
    assert "clean: the change without the rows that share a text with any that the mix trained on" in out
    assert ("1 another sign without the rows whose texts were trained on" in out) == (verdict != "gain")


def test_rows_that_all_share_a_text_leave_no_second_difference(store, glue):
    shared = [str(k) for k in range(N)]
    multi = [trained(store, {"rte": GOOD, "sst2": GOOD}, seed=seed, shared=shared) for seed in range(2)][-1].digest
    found = effects(glue, multi, seeds_of(store, {"rte": POOR}, n=2))["rte.accuracy"]
    assert (found["verdict"], found["clean"]) == ("gain", None)


def test_the_order_of_runs_does_not_matter(store, glue):
    multi, alone = trained(store, {"rte": POOR, "sst2": GOOD}), trained(store, {"rte": FAIR})
    assert effects(glue, multi.id, alone.id) == effects(glue, alone.id, multi.id)


def test_nothing_is_said_of_runs_that_differ_in_more_than_the_mix(store, glue):
    multi, alone = trained(store, {"rte": GOOD, "sst2": GOOD}), trained(store, {"rte": POOR}, steps=9)
    code, out, err = glue("compare", multi.id, alone.id)
    assert (code, err) == (0, "")
    assert next(line for line in out.splitlines() if "RTE" in line).rstrip().endswith("other settings")
    assert "0 gained, 0 lost, 0 without a difference beyond chance, 1 not comparable" in out
    assert "rte alone was trained with other settings: steps 9 instead of 1000" in out


def test_the_table_names_losses_runs_and_what_is_missing(store, glue):
    multi, alone = seeds_of(store, {"rte": POOR, "sst2": GOOD}), seeds_of(store, {"rte": FAIR})
    code, out, err = glue("compare", multi, alone)
    assert (code, err) == (0, "")
    row = next(line for line in out.splitlines() if "RTE" in line)
    assert [word for word in row.split() if not {"±", "σ"} & {*word}][:4] == ["RTE", "75.00", "50.00", "-25.00"]
    assert row.endswith("p<0.001   2.0 > 1.0   negative transfer ")
    for text in (
        "0 gained, 1 lost, 0 without a difference beyond chance",
        "p after Holm's correction over 1 test; epochs alone > together",
        f"together: plan {multi}",
        f"alone: plan {alone} (RTE)",
        "Note: no run alone to compare with: sst2",
    ):
        assert text in out


def test_runs_of_the_same_plan_are_found(store, glue):
    multi = trained(store, {"rte": POOR, "sst2": GOOD}, mixing="equal")
    trained(store, {"rte": POOR, "sst2": GOOD}, mixing="equal", seed=1)
    trained(store, {"rte": POOR}, lr=0.5)
    seeds = [trained(store, {"rte": FAIR}, seed=seed, day=2) for seed in (0, 1)]
    trained(store, {"qnli": GOOD})
    found = effects(glue, "--transfer", multi.digest)
    assert {effect["run"] for effect in found.values()} == {f"plan {seeds[0].digest}"}
    assert found["rte.accuracy"]["verdict"] == "negative transfer"


def test_what_is_no_transfer_is_refused_with_a_way_out(store, glue):
    multi, single = trained(store, {"rte": POOR, "sst2": GOOD}), trained(store, {"qnli": FAIR})
    for runs, message in {
        (multi.id,): f"no run of rte alone has the plan of {multi.id}: glue run --plan ",
        (single.id,): f"{single.id} trained qnli: --transfer takes a run of several",
        (multi.id, single.id): "--transfer takes one run of several tasks, and runs of single ones of these",
    }.items():
        code, _, err = glue("compare", "--transfer", *runs)
        assert (code, err.count("\n")) == (2, 1)
        assert message in err
    assert "transfer" not in glue("compare", multi.id, single.id)[1]  # the usual comparison


def test_the_realised_mix_stands_beside_the_planned_one():
    mix = {
        "rte": {"rows": 100, "probability": 0.25, "seen": 300},
        "mnli": {"rows": None, "probability": 0.75, "seen": 700},
        "cola": {"rows": 50, "probability": 0.0},
    }
    found = realised(mix)
    assert found["rte"] == (0.25, 0.3, 300, 3.0)
    assert found["mnli"] == (0.75, 0.7, 700, None)
    assert found["cola"] == (0.0, 0.0, 0, 0.0)
    assert realised({"rte": {"rows": 100, "probability": 1.0}})["rte"].share == 0
