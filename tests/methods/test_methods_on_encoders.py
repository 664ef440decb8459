"""Methods on encoders: what learns in each architecture, where adapters stand, which features heads read."""

from random import Random

import pytest
import torch
from conftest import ROOT
from encoders import SIZES, write_encoder
from records import runner
from torch import nn
from toys import CPU, toy_examples, toy_model, toy_plan, toy_task
from transformers import AutoModel

from glue_harness import Plan, load_tasks, run
from glue_harness.core.errors import UsageError
from glue_harness.core.settings import PLUGINS
from glue_harness.methods import load_method
from glue_harness.models.encoder import Encoder
from glue_harness.models.families import load_model
from glue_harness.models.interface import count_parameters, names_of
from glue_harness.runs.folder import RunFolder
from glue_harness.train import checkpoints

REGISTRY = load_tasks()
TASKS = ("rte", "stsb", "copa", "wic", "squad")  # each kind of head
KINDS = [*SIZES, "distilbert"]
KEYS = ("query_proj.bias", "key_proj.bias", "key.bias", "k_lin.bias")
WAYS = {
    "full": {},
    "unfreeze": {"steps": 4},
    "frozen": {},
    "frozen, sum": {"frozen_layers": "sum"},
    "adapter": {"adapter_width": 4},
    "adapter, both": {"adapter_width": 4, "adapter_place": "both"},
    "lora": {"lora_rank": 2},
    "prompt": {"prompt_length": 5},
    "prune": {"keep": 0.5},
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    made: dict[str, object] = {}

    def of(kind: str):
        if kind not in made:
            made[kind] = write_encoder(tmp_path_factory.mktemp(kind), kind)
        return made[kind]

    return of


def prepared(folder, way: str = "full", **changes) -> tuple[Encoder, Plan, list[nn.Parameter]]:
    method = way.partition(",")[0]
    values = {"device": "cpu", "precision": "fp32", "max_input": 40, "stride": 4, **WAYS[way], **changes}
    plan = Plan(TASKS, model=str(folder), method=method, **values)
    model = load_model(plan, [REGISTRY.tasks[name] for name in TASKS], ())
    if method == "lora":
        pytest.importorskip("peft")
    return model, plan, load_method(method).prepare(model, plan)


def encoded(model) -> list:
    rows = {name: REGISTRY.tasks[name].demo(Random(name), 2) for name in TASKS}
    made = []
    for name, of_task in rows.items():
        task = REGISTRY.tasks[name]
        examples = [e for number, row in enumerate(of_task) for e in task.examples(row, number)]
        made += model.encode(task, examples)
    return made


def batch_of(model):
    return model.lay([[example] for example in encoded(model)], CPU.device)


def states(model) -> torch.Tensor:
    with torch.no_grad():
        return model._states(batch_of(model))


def names(model, parameters) -> set[str]:
    wanted = {id(parameter) for parameter in parameters}
    return {name for name, parameter in model.module.named_parameters() if id(parameter) in wanted}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("kind", KINDS)
def test_just_what_a_method_names_gets_a_gradient(kind, way, folder):
    model, plan, parameters = prepared(folder(kind), way)
    learning = {name for name, p in model.module.named_parameters() if p.requires_grad}
    if plan.method != "unfreeze":
        assert learning == names(model, parameters)
    model.module.train()
    model.loss(batch_of(model)).total.backward()
    moved = {name for name, p in model.module.named_parameters() if p.grad is not None and p.grad.any()}
    # the other factor of LoRA is zero at the start; what is added to all choices, or to all keys, changes no share
    zero = {name for name in learning if "lora_A" in name or name.endswith((*KEYS, "copa.classifier.bias"))}
    zero |= {"heads.squad.qa_outputs.bias", "heads.squad.classifier.bias"}
    assert moved <= learning
    if way not in ("full", "unfreeze", "prune"):  # there are positions, types and words that nothing has
        assert learning - moved <= zero


@pytest.mark.parametrize("way", ["adapter", "adapter, both", "lora", "prompt"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_method_adds_as_much_as_it_announced(kind, way, folder):
    before = count_parameters(prepared(folder(kind))[0].module.parameters())
    model, plan, _ = prepared(folder(kind), way)
    fresh = prepared(folder(kind))[0]
    added, tokens = load_method(plan.method).added(fresh, plan)
    assert count_parameters(model.module.parameters()) - before == added > 0
    assert tokens == model.prompt_length


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("kind", ["bert", "albert", "modernbert"])
def test_what_was_saved_gives_the_same_states(kind, way, folder, tmp_path):
    model, _, parameters = prepared(folder(kind), way)
    with torch.no_grad():
        for parameter in parameters:
            parameter += 0.01 * torch.randn_like(parameter)
    model.module.eval()
    checkpoints.save(RunFolder(tmp_path), 1, model, names_of(model, parameters))
    again = prepared(folder(kind), way)[0]
    again.module.eval()
    checkpoints.load(RunFolder(tmp_path), 1, again)
    assert torch.equal(states(again), states(model))
    assert torch.equal(again.loss(batch_of(again)).each, model.loss(batch_of(model)).each)


# Adapters


@pytest.mark.parametrize("kind", KINDS)
def test_adapters_of_zero_output_leave_all_as_it_was(kind, folder):
    plain = prepared(folder(kind))[0]
    model, _, _ = prepared(folder(kind), "adapter, both")
    plain.module.eval(), model.module.eval()
    assert not torch.allclose(states(model), states(plain))
    for part in model.module.modules():
        if hasattr(part, "adapter"):
            nn.init.zeros_(part.adapter.up.weight)
    assert torch.equal(states(model), states(plain))


def test_an_adapter_stands_before_its_output_is_added_and_normed(folder):
    """Houlsby et al.: behind the matrix that gives the sub-layer's output, inside the residual connection."""
    model, _, _ = prepared(folder("bert"), "adapter, both")
    model.module.eval()
    seen: dict[str, torch.Tensor] = {}
    layer = model.module.body.encoder.layer[1]
    for name, output in (("attention", layer.attention.output), ("feed-forward", layer.output)):
        keep = lambda part, given, name=name: seen.__setitem__(name, given)  # noqa: E731
        output.register_forward_pre_hook(keep)
        output.LayerNorm.register_forward_pre_hook(
            lambda part, given, name=name: seen.__setitem__(f"{name} sum", given)
        )
    states(model)
    for name, output in (("attention", layer.attention.output), ("feed-forward", layer.output)):
        inner, residual = seen[name]
        x = inner @ output.dense.weight.T + output.dense.bias
        adapter = output.dense.adapter
        normed = x / (x.square().mean(-1, keepdim=True) + 1e-6).sqrt() * adapter.norm.weight
        adapted = x + (normed @ adapter.down.weight.T).clamp(min=0) @ adapter.up.weight.T
        torch.testing.assert_close(seen[f"{name} sum"][0], adapted + residual)


@pytest.mark.parametrize(("way", "each"), [("adapter", 1), ("adapter, both", 2)])
def test_every_block_has_its_adapters(way, each, folder):
    for kind in KINDS:
        model, _, _ = prepared(folder(kind), way)
        found = [part for part in model.module.modules() if hasattr(part, "adapter")]
        assert len(found) == each * len(model.parts().stacks[0]), kind


def test_the_dropout_of_an_adapter_is_that_of_its_block(folder):
    model, *_ = prepared(folder("bert"), "adapter, both")
    assert {part.adapter.dropout.p for part in model.module.modules() if hasattr(part, "adapter")} == {0.1}
    modern, *_ = prepared(folder("modernbert"), "adapter, both")
    assert {part.adapter.dropout.p for part in modern.module.modules() if hasattr(part, "adapter")} == {0.0}


def test_norms_learn_with_adapters_wholly(folder):
    model, _, parameters = prepared(folder("bert"), "adapter")
    norms = {name for name in names(model, parameters) if "LayerNorm" in name and "adapter" not in name}
    assert len(norms) == 2 * (1 + 2 * 2)


def test_a_t5_has_adapters_behind_its_attentions_too():
    plan = toy_plan(method="adapter", adapter_place="both", adapter_width=4)
    model, plain = toy_model(), toy_model()
    load_method("adapter").prepare(model, plan)
    found = [name for name, part in model.module.named_modules() if hasattr(part, "adapter")]
    assert len(found) == 2 * 2 + 2 * 3
    for part in model.module.modules():
        if hasattr(part, "adapter"):
            nn.init.zeros_(part.adapter.up.weight)
    examples = toy_examples(5)
    one, other = (m.loss(m.lay([[e] for e in m.encode(toy_task(), examples)], CPU.device)).each for m in (model, plain))
    assert torch.equal(one, other)
    nn.init.ones_(model.module.decoder.block[0].layer[1].EncDecAttention.o.adapter.up.weight)
    changed = model.loss(model.lay([[e] for e in model.encode(toy_task(), examples)], CPU.device)).each
    assert not torch.equal(changed, other)


# Fixed features


@pytest.mark.parametrize("kind", KINDS)
def test_frozen_trains_the_heads_alone_on_features_without_dropout(kind, folder):
    model, plan, parameters = prepared(folder(kind), "frozen", dropout=0.3)
    assert names(model, parameters) == {n for n, _ in model.module.named_parameters() if n.startswith("heads.")}
    load_method("frozen").on_step(model, plan, 0)
    assert model.module.training  # so that the loop does not turn dropout on
    assert torch.equal(states(model), states(model))
    assert all(head.training for head in model.parts().heads)
    model.module.eval()
    whole = prepared(folder(kind))[0]
    whole.module.eval()
    assert torch.equal(states(model), states(whole))


@pytest.mark.parametrize("kind", KINDS)
def test_the_sum_of_layers_is_elmos(kind, folder):
    """scale x sum_j softmax(w)_j h_j, of what enters the first block and what each block gives."""
    model, _, _ = prepared(folder(kind), "frozen, sum")
    model.module.eval()
    layer_sum = model.parts().reader.layer_sum
    torch.manual_seed(0)
    nn.init.normal_(layer_sum.weights)
    nn.init.constant_(layer_sum.scale, 1.7)
    plain = prepared(folder(kind))[0]
    plain.module.eval()
    layers: list[torch.Tensor] = []

    def keep(block, given, named, output):
        if not layers:
            layers.append(given[0] if given else named["hidden_states"])
        layers.append(output[0] if isinstance(output, tuple) else output)

    for block in plain.parts().stacks[0]:
        block.register_forward_hook(keep, with_kwargs=True)
    states(plain)
    assert len(layers) == plain.config.num_hidden_layers + 1 == len(layer_sum.weights)
    shares = layer_sum.weights.softmax(0)
    expected = 1.7 * sum(share * layer for share, layer in zip(shares, layers, strict=True))
    if above := plain.parts().above:
        expected = above[0](expected)
    torch.testing.assert_close(states(model), expected.flatten(0, 1))


def test_the_layers_are_those_that_transformers_gives(folder):
    model, _, _ = prepared(folder("bert"), "frozen, sum")
    model.module.eval()
    whole = AutoModel.from_pretrained(folder("bert")).eval()
    example = encoded(model)[0]
    batch = model.lay([[example]], CPU.device)
    length = example.length
    with torch.no_grad():
        inputs = {"input_ids": batch.ids[:, :length], "token_type_ids": batch.types[:, :length]}
        found = whole(**inputs, output_hidden_states=True).hidden_states
        torch.testing.assert_close(model._states(batch)[:length], sum(found)[0] / len(found))


def test_a_pass_that_ended_in_the_middle_leaves_nothing_behind(folder):
    model, _, _ = prepared(folder("bert"), "frozen, sum")
    model.module.eval()
    before = states(model)

    def fail(*_):
        raise RuntimeError("out of memory")

    hook = model.module.body.encoder.layer[1].register_forward_pre_hook(fail)
    with pytest.raises(RuntimeError):
        states(model)
    hook.remove()
    assert torch.equal(states(model), before)


@pytest.mark.parametrize("kind", ["bert", "albert", "modernbert"])
def test_the_sum_goes_through_lean_passes_and_graphs(kind, folder):
    model, _, parameters = prepared(folder(kind), "frozen, sum")
    batch = batch_of(model)

    def gradients(lean: bool = False) -> list[torch.Tensor]:
        model.module.zero_grad()
        torch.manual_seed(0)
        model.loss(batch, lean).total.backward()
        return [parameter.grad.clone() for parameter in parameters]

    plain = gradients()
    assert plain[0].abs().sum() > 0
    for other in (gradients(lean=True),):
        for one, two in zip(plain, other, strict=True):
            torch.testing.assert_close(one, two)
    for block in model.parts().stacks[0]:
        block.compile(backend="aot_eager", dynamic=True)
    for one, two in zip(plain, gradients(), strict=True):
        torch.testing.assert_close(one, two, rtol=1e-4, atol=1e-5)


def test_a_model_that_writes_has_no_features_to_sum():
    plan = toy_plan(method="frozen", frozen_layers="sum")
    with pytest.raises(
        UsageError, match=r"^frozen_layers is 'sum' but model 'toy' has no heads to read it: leave it out"
    ):
        load_method("frozen").prepare(toy_model(), plan)


# Prompts and positions


def test_a_prompt_takes_its_place_among_the_positions(folder, tmp_path):
    """96 positions, 20 of which are the prompt's: what an input has more than 76 is cut off, and counted."""
    small = {"data": "demo:40", "model": str(folder("bert")), "steps": 2, "batch_size": 4, "device": "cpu"}
    without = run(Plan("multirc", **small), results=tmp_path)
    record = run(Plan("multirc", method="prompt", prompt_length=20, **small), results=tmp_path)
    kept, whole = record.data["multirc"]["validation"], without.data["multirc"]["validation"]
    assert kept["cut"] > 0
    assert kept["tokens"] + kept["lost"] == whole["tokens"] + whole["lost"]
    assert record.status == "finished"


def test_a_prompt_that_leaves_no_room_is_refused_before_training(folder, tmp_path, capsys):
    command = (
        "run",
        "-t",
        "rte",
        "--data",
        "demo:40",
        "-m",
        folder("bert"),
        "--method",
        "prompt",
        "--results",
        tmp_path,
    )
    code, _, err = runner(capsys)(*command, "--set", "prompt_length=90")
    told = f"prompt_length 90 leaves 7 of the 97 positions of model '{folder('bert')}' for an input: make it smaller"
    assert (code, err) == (2, f"glue: {told}\n")


# A model without these parts


@pytest.mark.parametrize(
    "options",
    [
        ("--method", "adapter"),
        ("--method", "lora"),
        ("--method", "unfreeze"),
        ("--method", "prompt"),
        ("--method", "frozen", "--set", "frozen_layers=sum"),
    ],
)
def test_a_method_without_a_place_in_a_model_is_one_line(options, capsys, tmp_path, monkeypatch):
    monkeypatch.setenv(PLUGINS, str(ROOT / "tests" / "examples" / "plugins"))
    command = ("run", "-t", "rte", "--data", "demo:40", "-m", "bag", "--results", tmp_path)
    code, _, err = runner(capsys)(*command, *options)
    what = "attention" if "lora" in options else "blocks"
    told = f"method {options[1]} needs {what}, of which model 'bag' has none: use --method full"
    assert (code, err) == (2, f"glue: {told}\n")
    assert not list(tmp_path.glob("*/record.json"))


def test_frozen_trains_the_heads_of_any_model_that_has_them(tmp_path, monkeypatch):
    monkeypatch.setenv(PLUGINS, str(ROOT / "tests" / "examples" / "plugins"))
    plan = Plan("rte", data="demo:40", model="bag", method="frozen", steps=2, batch_size=4, device="cpu")
    assert run(plan, results=tmp_path).parameters["trainable"] == 2 * 64 + 2
