"""Processes that keep the blocks of a model between them: the run that one process would have done, whatever happens.

tests/train/test_rank_updates.py has their updates in fp64. Here it is what they answer, write and go on from.
"""

import json
from dataclasses import replace

import pytest
from encoders import write_encoder
from kills import base, data, record_in, the_run, zygote  # noqa: F401
from safetensors.torch import load_file
from toys import CPU

from glue_harness import Plan, load_tasks
from glue_harness.core.errors import UsageError
from glue_harness.methods import load_method
from glue_harness.models.families import load_model
from glue_harness.runs.folder import RunFolder
from glue_harness.train.shards import spread

WAYS = {
    "adamw": {},
    "lora": {"method": "lora"},
    # the best step's weights are read back into the parts, to answer what was left out while training
    "adafactor": {"optimizer": "adafactor", "eval_limit": 5},
}


@pytest.fixture(scope="session")
def plan(base, data):  # noqa: F811
    common = {"tasks": ["rte", "stsb"], "mixing": "equal", "model": base, "data": data, "device": "cpu", "lr": 5e-3}
    return {**common, "seed": 1, "steps": 6, "batch_size": 8, "micro_batch": 3, "eval_every": 2, "max_answer": 4}


def weights(folder):
    """Of all checkpoints that are left."""
    files = sorted(folder.glob("checkpoints/*/*.safetensors"))
    assert files
    return {f"{file.relative_to(folder)}/{name}": t for file in files for name, t in load_file(file).items()}


def check_same(one, other, weight=2e-4):
    """But for sums in another order, in fp32."""
    mine, others = record_in(one), record_in(other)
    for same in ("mix", "digest", "data", "parameters", "status"):
        assert mine[same] == others[same]
    logs = [
        {facts["step"]: facts for facts in RunFolder(folder).read_train() if "loss" in facts} for folder in (one, other)
    ]
    for step, facts in logs[0].items():
        assert facts["loss"] == pytest.approx(logs[1][step]["loss"], rel=1e-3)
    for task in ("rte", "stsb"):
        answers = [(folder / "predictions" / f"{task}.jsonl").read_text().splitlines() for folder in (one, other)]
        ids = [[json.loads(line)["id"] for line in lines] for lines in answers]
        assert ids[0] == ids[1]
    first, second = weights(one), weights(other)
    assert first.keys() == second.keys()
    for name, tensor in first.items():
        assert (tensor - second[name]).abs().max() < weight, name


@pytest.mark.parametrize("way", WAYS)
def test_it_is_the_run_that_one_process_would_have_done(way, zygote, plan, tmp_path):  # noqa: F811
    zygote(tmp_path / "one", plan={**plan, **WAYS[way]})
    fates = zygote(tmp_path / "two", plan={**plan, **WAYS[way], "shard": "on"}, processes=2)["fates"]
    assert "error" not in fates[0], fates
    check_same(the_run(tmp_path / "one"), the_run(tmp_path / "two"))
    assert record_in(the_run(tmp_path / "two"))["environment"]["sharded"] is True


@pytest.mark.parametrize("way", WAYS)
def test_a_run_that_died_goes_on_among_another_number_and_on_one(way, zygote, plan, tmp_path):  # noqa: F811
    """Checkpoints and the optimiser's state are written whole."""
    changed = {**plan, **WAYS[way], "shard": "on"}
    zygote(tmp_path / "one", plan={**changed, "shard": "off"})
    several = tmp_path / "several"
    zygote(several, plan=changed, processes=2, hurt=1, calls=[["train.loop:fitting", 4, False]])
    zygote(several, resume="latest", processes=3, hurt=2, calls=[["train.loop:fitting", 3, False]])
    fate = zygote(several, resume="latest")
    assert fate["error"] == (
        "UsageError: shard is on but one process carries this run out: add --processes N, or --shard off"
    )
    assert "error" not in zygote(several, plan={**changed, "shard": "off"}, resume="latest")
    record = record_in(the_run(several))
    assert record["resumed"] == [2, 4]
    check_same(the_run(tmp_path / "one"), the_run(several))


def test_memory_that_ends_in_one_process_ends_the_run_in_one_line(zygote, plan, tmp_path):  # noqa: F811
    tight = {"hurt": 1, "raises": ["train.passes:accumulate", 3, "memory"]}
    first, other = zygote(tmp_path, plan={**plan, "shard": "on"}, processes=2, **tight)["fates"]
    line = (
        "out of memory, and processes that keep weights between them cannot cut a pass alone: use --set micro_batch=N"
    )
    assert other["error"] == f"GlueError: {line}"
    assert first["error"] == f"Lost: process 1 of 2 (counted from 0) failed: {line}"


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"method": "unfreeze"}, "method unfreeze does something of its own at each step: use --shard off"),
        ({"method": "frozen"}, "method frozen does something of its own at each step: use --shard off"),
        ({"model": "cbow"}, "model 'cbow' has no blocks: use --shard off"),
    ],
)
def test_what_needs_whole_weights_is_refused(changes, line, zygote, plan, tmp_path):  # noqa: F811
    first, _ = zygote(tmp_path, plan={**plan, "shard": "on", **changes}, processes=2)["fates"]
    assert first["error"] == f"UsageError: shard is on but {line}"


@pytest.mark.parametrize("name", ["compile", "bf16_weights"])
def test_so_is_what_wants_a_weight_to_stay_where_it_is(name, zygote, plan, tmp_path):  # noqa: F811
    changes = {"shard": "on", name: "on", "precision": "bf16"}
    first, _ = zygote(tmp_path, plan={**plan, **changes}, processes=2)["fates"]
    assert first["error"] == (
        f"UsageError: shard is on and so is {name}, which needs whole weights: use --set {name}=off"
    )


@pytest.mark.parametrize(
    ("kind", "changes", "line"),
    [
        ("albert", {}, "model '.*' uses one block again and again: use --shard off"),
        (
            "bert",
            {"method": "distil", "teacher": "run:any", "match": "tinybert"},
            "and match is 'tinybert', which reads inner states: use --shard off",
        ),
    ],
)
def test_what_was_not_tried_is_refused(kind, changes, line, tmp_path):
    plan = Plan("rte", model=str(write_encoder(tmp_path, kind)), shard="on", **changes)
    model = load_model(plan, [load_tasks().task("rte")], ())
    with pytest.raises(UsageError, match=f"^shard is on (but )?{line}$"):
        spread(plan, model, load_method(plan.method), replace(CPU, sharded=True), [])
