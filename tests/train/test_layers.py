"""Rates by depth: which parameter learns at which share of the rate, and that an update is as much smaller."""

import copy

import pytest
import torch
from encoders import SIZES, write_encoder
from toys import CPU, toy_feed, toy_model, toy_plan

from glue_harness import Plan, load_tasks
from glue_harness.core.errors import UsageError
from glue_harness.methods import load_method
from glue_harness.models.families import load_model
from glue_harness.train.learner import Learner
from glue_harness.train.loop import train
from glue_harness.train.optimizers import by_depth, make_optimizer
from glue_harness.train.optimizers.adafactor import Adafactor

REGISTRY = load_tasks()
KINDS = [*SIZES, "distilbert"]


def scales(model, decay=0.5) -> dict[str, float]:
    """Each parameter's share of the rate, by its name."""
    groups = by_depth(list(model.module.parameters()), model.parts(), decay)
    found = {id(parameter): group["scale"] for group in groups for parameter in group["params"]}
    return {name: found[id(parameter)] for name, parameter in model.module.named_parameters()}


@pytest.fixture(scope="module")
def encoder(tmp_path_factory):
    def make(kind):
        folder = write_encoder(tmp_path_factory.mktemp(kind), kind)
        plan = Plan(("rte", "stsb"), model=str(folder), device="cpu", max_input=40)
        return load_model(plan, [REGISTRY.tasks[name] for name in plan.tasks], ())

    return make


@pytest.mark.parametrize("kind", KINDS)
def test_an_encoders_heads_learn_most_and_its_embeddings_least(kind, encoder):
    model = encoder(kind)
    found, blocks = scales(model), model.parts().stacks[0]
    deepest = 0.5 ** (len(blocks) + 1)
    inside = {id(p): k for k, block in enumerate(blocks) for p in block.parameters()}
    for name, parameter in model.module.named_parameters():
        if name.startswith("heads.") or ".final_norm." in name:
            assert found[name] == 1, name
        elif id(parameter) in inside:
            assert found[name] == 0.5 ** (len(blocks) - inside[id(parameter)]), name
        else:
            assert found[name] == deepest, name
    assert {name for name in found if "embeddings" in name} <= {n for n, scale in found.items() if scale == deepest}
    assert len(set(found.values())) == len(blocks) + 2


def test_the_stacks_of_a_t5_are_counted_each_from_its_own_top():
    found = scales(toy_model(num_layers=3, num_decoder_layers=1))
    assert found["shared.weight"] == 0.5**4
    assert [found[f"encoder.block.{k}.layer.1.layer_norm.weight"] for k in range(3)] == [0.125, 0.25, 0.5]
    assert found["decoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight"] == 0.5
    assert found["encoder.final_layer_norm.weight"] == found["decoder.final_layer_norm.weight"] == 1


def test_an_output_matrix_of_its_own_is_no_embedding():
    model = toy_model()
    output = model.module.lm_head
    output.weight = torch.nn.Parameter(output.weight.detach().clone())  # as v1.1 and mT5 are read
    found = scales(model)
    assert (found["lm_head.weight"], found["shared.weight"]) == (1, 0.125)


def updates(optimizer: str, steps: int = 1, **changes) -> dict[str, torch.Tensor]:
    """What a parameter has moved by."""
    plan = toy_plan(optimizer=optimizer, steps=steps, lr=1e-3, schedule="constant", clip=None, **changes)
    model = toy_model()
    before = copy.deepcopy(model.module.state_dict())
    parameters = list(model.module.parameters())
    made = make_optimizer(plan, parameters, model.parts())
    learner = Learner(plan, model, load_method("full"), parameters, 0, made)
    train(learner, toy_feed(model, 8), CPU, [])
    return {name: weight - before[name] for name, weight in model.module.state_dict().items()}


@pytest.mark.parametrize("optimizer", ["adamw", "adafactor"])
def test_the_first_update_is_smaller_by_the_power_of_the_depth(optimizer):
    plain, decayed = updates(optimizer), updates(optimizer, layer_decay=0.5)
    expected = scales(toy_model())
    for name, scale in expected.items():
        torch.testing.assert_close(decayed[name], scale * plain[name], rtol=1e-2, atol=1e-6, msg=name)
        assert plain[name].abs().max() > 1e-5
    assert len(set(expected.values())) == 4


def test_without_decay_nothing_is_other_than_before():
    plain, none = updates("adamw", 3), updates("adamw", 3, layer_decay=1.0)
    assert all(torch.equal(plain[name], none[name]) for name in plain)


def test_stacked_adafactor_mixes_no_rates():
    """As on CUDA: parameters of one shape are moved together, but none at the rate of another."""
    torch.manual_seed(0)
    one_by_one = [torch.nn.Parameter(torch.randn(16, 16)) for _ in range(4)]
    together = copy.deepcopy(one_by_one)
    made = []
    for parameters, stacked in ((one_by_one, False), (together, True)):
        groups = [{"params": parameters[:2], "scale": 1.0}, {"params": parameters[2:], "scale": 0.25}]
        made.append(Adafactor(groups, lr=1e-2, stacked=stacked))
    for _ in range(3):
        for one, other in zip(one_by_one, together, strict=True):
            one.grad = torch.randn_like(one)
            other.grad = one.grad.clone()
        for optimizer in made:
            for group in optimizer.param_groups:
                group["lr"] = 1e-2 * group["scale"]
            optimizer.step()
    assert [len(made[1]._together(group["params"])) for group in made[1].param_groups] == [1, 1]
    for one, other in zip(one_by_one, together, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-7)


def test_decay_of_weights_may_be_for_matrices_alone():
    model = toy_model()
    plan = toy_plan(weight_decay=0.1, decayed="matrices", layer_decay=0.5)
    groups = make_optimizer(plan, model.module.parameters(), model.parts()).param_groups
    decays = {id(p): group["weight_decay"] for group in groups for p in group["params"]}
    share = {id(p): group["scale"] for group in groups for p in group["params"]}
    expected = scales(model)
    for name, parameter in model.module.named_parameters():
        assert decays[id(parameter)] == (0.0 if "layer_norm" in name else 0.1), name
        assert share[id(parameter)] == expected[name]
    plain = make_optimizer(toy_plan(weight_decay=0.1), model.module.parameters()).param_groups
    assert [group["weight_decay"] for group in plain] == [0.1]


def test_a_decay_that_could_slow_nothing_is_refused():
    model = toy_model()
    plan = toy_plan(method="prompt", layer_decay=0.9)
    with pytest.raises(
        UsageError,
        match=r"^layer_decay is 0.9 but all that method prompt trains learns at one rate: use --set layer_decay=1$",
    ):
        make_optimizer(plan, load_method("prompt").prepare(model, plan), model.parts())
    with pytest.raises(UsageError, match=r"^layer_decay 1.1 would move what is below most: it must be at most 1$"):
        toy_plan(layer_decay=1.1)
