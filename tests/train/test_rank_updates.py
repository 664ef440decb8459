"""Several processes move the weights as one does: in fp64 by gloo, with what each method, feed and optimiser adds."""

import json
import os
import subprocess
import sys
from pathlib import Path
from random import Random

import pytest
import torch
from conftest import ROOT
from encoders import write_encoder
from rank_scenes import OF_SIZE, SCENES, STEPS
from safetensors.torch import load_file
from toys import CPU, toy_feed, toy_model

from glue_harness import Plan, load_tasks
from glue_harness.core.errors import GlueError
from glue_harness.lab.assemble import set_dropout
from glue_harness.models.families import load_model
from glue_harness.models.packing import FINE
from glue_harness.train.arrangement import Pass, as_passes, packed
from glue_harness.train.feed import Update
from glue_harness.train.memory import Fit
from glue_harness.train.passes import accumulate, at_place
from glue_harness.train.ranks import ALONE, BUCKET, Several, buckets

EXACT = 1e-12
NOISE = ".key.bias"  # softmax does not see it: its gradient is what rounding leaves, which optimisers blow up
PAIRS = [(name, size) for size, names in OF_SIZE.items() for name in names if size > 1]


@pytest.fixture(scope="session")
def scenes(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("scenes")
    paths = os.pathsep.join(map(str, (ROOT, ROOT / "tests", ROOT / "tests" / "train")))
    env = {**os.environ, "PYTHONPATH": paths, "OMP_NUM_THREADS": "1"}
    script = Path(__file__).with_name("rank_scenes.py")
    done = subprocess.run([sys.executable, script, folder], env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return folder


def facts(scenes: Path, name: str, size: int) -> dict:
    return json.loads((scenes / f"{name}-{size}.json").read_text())


@pytest.mark.parametrize(("name", "size"), PAIRS)
def test_the_same_plan_moves_the_weights_in_the_same_way(name, size, scenes):
    one, several = (load_file(scenes / f"{name}-{n}.safetensors") for n in (1, size))
    assert one.keys() == several.keys()
    for weight in one:
        assert one[weight].dtype == torch.float64 or not one[weight].is_floating_point()
        if not weight.endswith(NOISE):
            torch.testing.assert_close(several[weight], one[weight], rtol=0, atol=EXACT, msg=lambda m, w=weight: w + m)
    mine, others = facts(scenes, name, 1), facts(scenes, name, size)
    assert (mine["seen"], mine["skipped"]) == (others["seen"], others["skipped"])
    assert len(mine["log"]) == len(others["log"]) == STEPS
    for expected, found in zip(mine["log"], others["log"], strict=True):
        for key, value in expected.items():
            assert found[key] == pytest.approx(value, rel=1e-9, abs=0)


def test_the_scenes_hold_what_they_are_named_after(scenes):
    """Without it each could pass for a reason of its own."""
    for name in SCENES:  # with a part of each block come fewer numbers, and without all of them
        assert (facts(scenes, name, 2)["kept"] < facts(scenes, name, 1)["kept"]) == name.startswith("sharded")
    assert any(len(step["tasks"]) < 3 for step in facts(scenes, "heads without examples", 1)["log"])
    assert facts(scenes, "not finite in one process", 2)["skipped"] == [5]
    first, last = facts(scenes, "out of memory in one process", 2)["notes"]
    assert not [text for text in first if text.startswith("out of memory")]
    assert [text for text in last if text.startswith("out of memory")]


def among(rank: int, size: int) -> Several:
    return Several(rank, size, None)


def update(batch=32, micro=None):
    return toy_feed(toy_model(), batch=batch, micro=micro).update(0)


def examples(passes: list[Pass]) -> list[int]:
    return sorted(id(example) for part in passes for row in part.rows for example in row)


@pytest.mark.parametrize("micro", [None, 16, 4, 3])
@pytest.mark.parametrize("size", [2, 3, 4, 7, 100])
def test_every_example_is_one_processs(size, micro):
    whole = update(micro=micro).passes
    shares = [among(rank, size).share(whole) for rank in range(size)]
    assert examples([part for share in shares for part in share]) == examples(whole)
    for part in (part for share in shares for part in share):
        assert len(part.tasks) == sum(map(len, part.rows)) > 0


def test_shares_weigh_about_the_same():
    whole = update(batch=96).passes
    (rows,) = [len(part.rows) for part in whole]
    shares = [sum(part.padded for part in among(rank, 4).share(whole)) for rank in range(4)]
    assert max(shares) - min(shares) <= 2 * whole[0].width < sum(shares) / 4
    assert rows >= 16


def test_passes_stay_whole_where_there_are_enough_and_keep_their_dropout():
    whole = update(micro=4).passes
    shared = [part for rank in range(3) for part in among(rank, 3).share(whole)]
    assert sorted(part.place for part in shared) == [(number, 0) for number in range(8)]
    assert len({at_place(7, n, row) % 2**32 for n in range(50) for row in range(50)}) == 2500  # what torch takes
    assert at_place(7, 0, 0) == 7


def test_the_parts_of_a_cut_pass_are_as_wide_as_the_whole():
    (whole,) = update().passes
    parts = [part for rank in range(4) for part in among(rank, 4).share([whole])]
    assert parts[0].place == (0, 0)
    assert {(part.width, part.depth) for part in parts} == {(whole.width, whole.depth)}
    pieces = list(whole.cut(whole.width * 2))
    assert [piece.place for piece in pieces] == [(0, row) for row in range(0, len(whole.rows), 2)]
    batch = toy_model().lay(pieces[-1].rows, CPU.device, pieces[-1].grid)
    assert (batch.inputs.shape[1], batch.given.shape[1]) == (whole.width, whole.depth)


def t5_update(tmp_path):
    model = toy_model(dropout=0.3)
    return model, toy_feed(model, batch=16).update(0)


def encoder_update(tmp_path):
    """Of two heads, so that each has its own rows."""
    tasks = [load_tasks().task(name) for name in ("rte", "stsb")]
    model = load_model(Plan("rte,stsb", model=str(write_encoder(tmp_path, "modernbert")), device="cpu"), tasks, ())
    encoded = [
        e for task in tasks for row in task.demo(Random(0), 9) for e in model.encode(task, task.examples(row, 0))
    ]
    mixed = [encoded[k * 5 % 18] for k in range(18)]
    owners = [["rte", "stsb"].index(example.head) for example in mixed]
    passes = as_passes(packed(FINE, None)(mixed), mixed, owners, FINE)
    return model, Update(passes, 18, 0, {}, ["rte", "stsb"], [9, 9], list)


@pytest.mark.parametrize("made", [t5_update, encoder_update])
@pytest.mark.parametrize("fit", [Fit(most=160), Fit(lean=True), Fit(most=1, lean=True)], ids=str)
def test_masks_are_the_same_however_memory_cuts_a_pass(fit, made, tmp_path):
    model, whole = made(tmp_path)
    set_dropout(model.module.double().train(), 0.3)
    gradients = []
    for one in (Fit(), fit, Fit()):
        accumulate(model, whole, CPU, one, seed=5)
        gradients.append([p.grad.clone() for p in model.module.parameters()])
        model.module.zero_grad(set_to_none=True)
    for at_once, cut, again in zip(*gradients, strict=True):
        assert torch.equal(at_once, again)
        torch.testing.assert_close(cut, at_once, rtol=0, atol=EXACT)
    assert fit.most is None or sum(1 for part in whole.passes for _ in part.cut(fit.most)) > 1
    accumulate(model, whole, CPU, Fit(), seed=6)  # another step has others
    assert not torch.allclose(next(model.module.parameters()).grad, gradients[0][0])


def test_buckets_hold_neighbours_of_one_type_and_are_not_too_large():
    shapes = [(BUCKET // 2,), (BUCKET // 2,), (8,), (BUCKET * 2,), (3, 4)]
    gradients = [torch.empty(shape, device="meta") for shape in shapes]
    gradients.append(torch.empty(5, device="meta", dtype=torch.float64))
    assert [[g.numel() for g in bucket] for bucket in buckets(gradients)] == [
        [BUCKET // 2, BUCKET // 2],
        [8],
        [BUCKET * 2],
        [12],
        [5],
    ]


def test_one_process_tells_nobody_anything():
    sums, passes = torch.ones(2), update().passes
    assert ALONE.share(passes) is passes
    assert ALONE.reduce([], sums) is sums
    assert (ALONE.gather(3), ALONE.agree(15), ALONE.first(lambda: "x"), ALONE.leads) == ([3], 15, "x", True)


def test_processes_whose_weights_differ_are_found(monkeypatch):
    several, module = among(0, 2), torch.nn.Linear(2, 2)
    monkeypatch.setattr(several, "gather", lambda own: [own, own])
    several.compare(module, "at first")
    monkeypatch.setattr(several, "gather", lambda own: [own, [own[0] + 1e-9, *own[1:]]])
    with pytest.raises(GlueError, match="the 2 processes have different weights after step 4: are files and versions"):
        several.compare(module, "after step 4")


def test_scenes_are_about_all_that_the_processes_must_agree_on():
    told = {str(value) for changes in SCENES.values() for value in changes.values()}
    assert {"adapter", "unfreeze", "adafactor", "buckets", "skip"} <= told
