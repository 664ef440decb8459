"""Copies of weights in bf16: the same updates as with autocast's own casts, to the bit, and nothing of them is kept."""

import hashlib
from random import Random

import pytest
import torch
from encoders import SIZES, write_encoder
from torch import nn
from toys import CPU, NEEDED, toy_examples, toy_feed, toy_model, toy_plan, toy_task

from glue_harness import Plan, load_tasks, run
from glue_harness.core.errors import UsageError
from glue_harness.core.settings import plugin_files
from glue_harness.methods import load_method
from glue_harness.models.families import load_model
from glue_harness.train.copies import Copies
from glue_harness.train.device import Machine
from glue_harness.train.learner import Learner
from glue_harness.train.loop import train
from glue_harness.train.memory import Fit
from glue_harness.train.optimizers import make_optimizer
from glue_harness.train.passes import one_pass

BF16 = Machine(CPU.device, "bf16")
UNTIED, GATED = {"tie_word_embeddings": False}, {"feed_forward_proj": "gated-gelu"}
CASES = {
    f"{method} {optimizer}": {"method": method, "optimizer": optimizer, **NEEDED.get(method, {})}
    for method in plugin_files("method")
    for optimizer in ("adamw", "adafactor")
}
CASES |= {"accumulation": {"micro_batch": 3}, "a head of its own": {"shape": UNTIED}, "gated": {"shape": GATED}}
CASES |= {"computed again": {"fit": Fit(lean=True)}}


def trained(copies: bool, shape=None, fit=None, **changes):
    """Weights and the optimiser's state after a few steps."""
    plan = toy_plan(**{"steps": 6, "batch_size": 8, "precision": "bf16", **changes})
    model = toy_model(seed=3, plan=plan, dropout=0.1, **(shape or {}))
    method = load_method(plan.method)
    parameters = method.prepare(model, plan)
    optimizer = make_optimizer(plan, parameters)
    way = Copies(model.module).run if copies else one_pass
    feed = toy_feed(model, 8, plan.micro_batch)
    train(Learner(plan, model, method, parameters, 0, optimizer, way), feed, BF16, (), fit)
    return model.module.state_dict(), [value for values in optimizer.state.values() for value in values.values()]


@pytest.mark.parametrize("case", CASES)
def test_updates_are_those_of_autocast_to_the_bit(case):
    if "lora" in case:
        pytest.importorskip("peft")
    (expected, state), (found, own) = (trained(copies, **CASES[case]) for copies in (False, True))
    assert found.keys() == expected.keys()
    assert all(weight.dtype == torch.float32 for weight in found.values())
    assert all(torch.equal(weight, found[name]) for name, weight in expected.items())
    assert len(own) == len(state)
    for mine, other in zip(own, state, strict=True):
        assert torch.equal(mine, other) if isinstance(mine, torch.Tensor) else mine == other


@pytest.mark.parametrize("lean", [False, True], ids=["kept", "again"])
@pytest.mark.parametrize("kind", [*SIZES, "distilbert"])
def test_gradients_of_encoders_are_those_of_autocast_to_the_bit(kind, lean, tmp_path):
    """Of every architecture with every kind of head; some use one matrix several times."""
    tasks = [load_tasks().task(name) for name in ("rte", "stsb", "copa", "wic", "squad")]
    folder = write_encoder(tmp_path, kind)
    plan = Plan([task.name for task in tasks], model=str(folder), device="cpu", max_input=40, stride=4, dropout=0.1)
    model = load_model(plan, tasks, ())
    model.module.train()
    examples = [(task, list(task.examples(row, 0))) for task in tasks for row in task.demo(Random(task.name), 2)]
    batch = model.lay([[e] for task, own in examples for e in model.encode(task, own)], CPU.device)
    found = []
    for way in (one_pass, Copies(model.module).run):
        torch.manual_seed(0)
        each = way(model, batch, 3, BF16, Fit(lean=lean), True)
        found.append(
            {"each": each, **{name: p.grad for name, p in model.module.named_parameters() if p.grad is not None}}
        )
        model.module.zero_grad(set_to_none=True)
    expected, own = found
    assert own.keys() == expected.keys()
    assert [name for name, gradient in expected.items() if not torch.equal(gradient, own[name])] == []


def test_a_copy_is_there_for_a_pass_only_and_of_linear_layers_only():
    model = toy_model()
    module, before = model.module, {name: id(p) for name, p in model.module.named_parameters()}
    beside = Copies(module)
    with beside.in_place():
        found = {name: p.dtype for name, p in module.named_parameters()}
    assert {name: id(p) for name, p in module.named_parameters()} == before
    exact = {name for name, kind in found.items() if kind == torch.float32}
    assert exact == {n for n in found if "layer_norm" in n or "relative_attention_bias" in n or n == "shared.weight"}
    assert set(found.values()) == {torch.float32, torch.bfloat16}
    with pytest.raises(RuntimeError, match="planted"), beside.in_place():
        raise RuntimeError("planted")
    assert {name: id(p) for name, p in module.named_parameters()} == before


def test_a_copy_is_that_of_the_weight_as_it_is_now_whoever_changed_it():
    linear = nn.Linear(3, 2)
    beside = Copies(linear)
    with torch.no_grad():
        linear.weight.fill_(2.0)
    with beside.in_place():
        assert (linear.weight == 2).all()
        assert linear.weight.dtype == linear.bias.dtype == torch.bfloat16


def test_a_weight_of_two_layers_has_one_copy():
    first, second = nn.Linear(3, 3), nn.Linear(3, 3)
    second.weight = first.weight
    beside = Copies(nn.Sequential(first, second))
    assert len(beside.copies) == 3
    with beside.in_place():
        assert first.weight is second.weight


def test_what_a_pass_that_failed_left_behind_is_in_no_later_gradient():
    model = toy_model()
    beside, fails = Copies(model.module), [True]
    batch = model.lay([[e] for e in model.encode(toy_task(), toy_examples(4))], CPU.device)

    def collect(own=beside.collect):
        if fails:
            raise torch.OutOfMemoryError("planted")
        own()

    beside.collect = collect
    with pytest.raises(torch.OutOfMemoryError):
        beside.run(model, batch, 1, BF16, Fit(), True)
    model.module.zero_grad()
    fails.clear()
    beside.run(model, batch, 1, BF16, Fit(), True)
    found = {name: p.grad for name, p in model.module.named_parameters()}
    model.module.zero_grad()
    one_pass(model, batch, 1, BF16, Fit(), True)
    assert all(torch.equal(p.grad, found[name]) for name, p in model.module.named_parameters() if p.grad is not None)


@pytest.mark.parametrize("model", ["tiny", "bert:tiny"])
def test_a_run_keeps_what_it_would_have_kept_without_copies(model, tmp_path):
    """Weights, predictions and log by their bytes; the plan's digest does not know the setting either."""
    kept, digests = [], set()
    for copies in ("off", "on"):
        plan = Plan("rte", data="demo:60", model=model, steps=4, eval_every=2, batch_size=8, device="cpu")
        plan = plan.replace(precision="bf16", bf16_weights=copies, eval_limit=8)
        record = run(plan, results=tmp_path / copies)
        digests.add(record.digest)
        files = sorted((tmp_path / copies / record.id).rglob("*"))
        named = [f for f in files if f.suffix in (".safetensors", ".jsonl")]
        kept.append([(f.name, hashlib.sha256(f.read_bytes()).hexdigest()) for f in named])
    assert kept[0] == kept[1]
    assert {"model.safetensors", "train.jsonl"} <= {name for name, _ in kept[0]}
    assert len(digests) == 1


def test_copies_without_bf16_are_refused(tmp_path):
    plan = Plan("rte", data="demo:60", model="tiny", device="cpu", precision="fp32", bf16_weights="on")
    with pytest.raises(UsageError) as refused:
        run(plan, results=tmp_path)
    assert str(refused.value) == "bf16_weights is on but the precision is fp32: use --set bf16_weights=off"
