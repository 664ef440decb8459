"""Fine-tuning methods: what learns at which step, what stays to the bit, and what is kept of it."""

import json
import sys
from functools import partial

import pytest
import torch
from records import runner
from torch import nn
from toys import CPU, toy_examples, toy_feed, toy_model, toy_plan, toy_task, vocabulary

from glue_harness import Plan, load_tasks, run
from glue_harness.core.errors import GlueError, UsageError
from glue_harness.core.sealed import MARKER
from glue_harness.core.settings import plugin_files
from glue_harness.data import load as load_rows
from glue_harness.data.own import question
from glue_harness.lab.predict import load
from glue_harness.methods import load_method
from glue_harness.models.interface import Encoded, count_parameters, names_of
from glue_harness.models.stacks import encode
from glue_harness.models.t5 import T5, from_scratch
from glue_harness.models.tokenizer import load_tokenizer
from glue_harness.runs.folder import RunFolder
from glue_harness.runs.store import Store
from glue_harness.train import checkpoints, passes
from glue_harness.train.answers import answer
from glue_harness.train.checkpoints import PART
from glue_harness.train.learner import Learner
from glue_harness.train.loop import Hook, train
from glue_harness.train.memory import Fit
from glue_harness.train.optimizers import make_optimizer

PARTIAL = ("adapter", "frozen", "lora", "prompt")  # what they train is kept apart from the rest
STEPS = 4


def needs(method: str) -> None:
    if method == "lora":
        pytest.importorskip("peft")


def of_family(family: str) -> T5:
    """A toy of mT5 or UMT5: gated, untied, and UMT5 with position biases in every block."""
    import transformers

    shape = {"d_model": 32, "d_kv": 8, "d_ff": 64, "num_layers": 2, "num_heads": 4, "decoder_start_token_id": 0}
    config = getattr(transformers, f"{family}Config")(vocab_size=vocabulary().size + 5, dropout_rate=0.0, **shape)
    torch.manual_seed(0)
    module = getattr(transformers, f"{family}ForConditionalGeneration")._from_config(config, attn_implementation="sdpa")
    return T5(module.eval(), vocabulary(), {}, toy_plan())


FAMILIES = [toy_model, partial(of_family, "MT5"), partial(of_family, "UMT5")]


def prepared(method: str, model: T5 | None = None, **changes) -> tuple[T5, Plan, list[nn.Parameter]]:
    plan = toy_plan(**{"method": method, "steps": STEPS, "batch_size": 8, "lr": 1e-2, **changes})
    model = model or toy_model(seed=plan.seed, plan=plan)
    return model, plan, load_method(method).prepare(model, plan)


def names(model: T5, parameters) -> set[str]:
    wanted = {id(p) for p in parameters}
    return {name for name, p in model.module.named_parameters() if id(p) in wanted}


def learning(model: T5) -> set[str]:
    return {name for name, p in model.module.named_parameters() if p.requires_grad}


def snapshot(model: T5) -> dict[str, torch.Tensor]:
    return {name: p.detach().clone() for name, p in model.module.named_parameters()}


def changed(before: dict[str, torch.Tensor], model: T5) -> set[str]:
    return {name for name, weight in snapshot(model).items() if not torch.equal(weight, before[name])}


def trained(method: str, model: T5 | None = None, **changes) -> tuple[T5, list[set[str]]]:
    """The model after its steps, and which parameters each step moved."""
    model, plan, parameters = prepared(method, model, **changes)
    before, moved = snapshot(model), []

    def compare(_: object) -> None:
        moved.append(changed(before, model))
        before.update(snapshot(model))

    learner = Learner(plan, model, load_method(method), parameters, 0, make_optimizer(plan, parameters))
    train(learner, toy_feed(model, 8), CPU, [Hook(1, lambda s: compare(s))])
    return model, moved


def answers(model: T5) -> list[tuple[str, dict[str, float]]]:
    found = answer(model, toy_task(), toy_examples(20, seed=5), toy_plan(), CPU)
    return [(prediction.text, prediction.scores) for prediction in found]


@pytest.mark.parametrize("optimizer", [{"optimizer": "adamw", "weight_decay": 0.1}, {"optimizer": "adafactor"}])
@pytest.mark.parametrize("method", ["full", *PARTIAL])
def test_exactly_what_a_method_names_is_moved(method, optimizer):
    """The others stay to the bit, in spite of weight decay."""
    needs(method)
    expected = learning(prepared(method)[0])
    _, moved = trained(method, **optimizer)
    assert set().union(*moved) == expected
    assert moved[-1] <= expected


def test_every_method_is_tested_here():
    elsewhere = {"distil", "prune"}  # test_distil.py, test_prune.py
    assert set(plugin_files("method")) == {"full", "unfreeze", *elsewhere, *PARTIAL}


# adapters


@pytest.mark.parametrize("make", FAMILIES)
def test_an_adapter_of_zero_output_leaves_answers_to_the_bit(make):
    model = make()
    before = answers(model)
    prepared("adapter", model)
    assert answers(model) != before
    for sub_layer in model.parts().feed_forwards:
        nn.init.zeros_(sub_layer.adapter.up.weight)
    assert answers(model) == before


def test_an_adapter_computes_t5s_formula():
    model, *_ = prepared("adapter", adapter_width=16)
    for sub_layer in model.parts().feed_forwards:
        nn.init.uniform_(sub_layer.adapter.norm.weight, 0.5, 2.0)
    adapter = model.parts().feed_forwards[0].adapter
    x = torch.randn(3, 5, 32) * 7
    normed = x / (x.square().mean(-1, keepdim=True) + 1e-6).sqrt() * adapter.norm.weight
    expected = x + (normed @ adapter.down.weight.T).clamp(min=0) @ adapter.up.weight.T
    torch.testing.assert_close(adapter(x), expected)


def test_a_new_adapter_adds_little_at_any_width():
    for width in (8, 512):
        adapter = prepared("adapter", adapter_width=width)[0].parts().feed_forwards[0].adapter
        x = torch.randn(200, 32)
        assert 0.01 < (adapter(x) - x).std().item() < 0.15


def test_every_block_of_both_stacks_has_one_adapter_behind_its_feed_forward():
    model, *_ = prepared("adapter", toy_model(num_layers=3, num_decoder_layers=1))
    held = [name for name, part in model.module.named_modules() if name.endswith("adapter")]
    assert held == [*(f"encoder.block.{k}.layer.1.adapter" for k in range(3)), "decoder.block.0.layer.2.adapter"]
    calls = []
    for name in held:
        model.module.get_submodule(name).register_forward_hook(lambda *_, name=name: calls.append(name))
    model.loss(model.lay([[e] for e in model.encode(toy_task(), toy_examples(2))], CPU.device))
    assert calls == held


def test_dropout_of_an_adapter_is_the_models():
    from glue_harness.lab.assemble import set_dropout

    model = toy_model(dropout=0.1)
    set_dropout(model.module, 0.3)
    prepared("adapter", model)
    assert model.parts().feed_forwards[0].adapter.dropout.p == 0.3


@pytest.mark.parametrize("make", FAMILIES)
def test_norms_learn_with_the_adapters_unless_told_otherwise(make):
    norms = {name for name in learning(make()) if "layer_norm" in name}
    both = learning(prepared("adapter", make())[0])
    alone = learning(prepared("adapter", make(), adapter_trains="adapters")[0])
    assert len(norms) == 2 * 2 + 2 * 3 + 2
    assert both - alone == norms
    assert alone
    assert all(".adapter." in name for name in alone)


@pytest.fixture(scope="module")
def t5_base():
    """T5-base's shape without its numbers: a new one for every width."""

    def make() -> T5:
        with torch.device("meta"):
            return T5(from_scratch("t5:base", 32_128), vocabulary(), {}, toy_plan())

    return make


@pytest.mark.parametrize("width", [32, 128, 512, 2048])
def test_adapters_of_t5_base_are_as_large_as_the_formula_says(t5_base, width):
    with torch.device("meta"):
        model, _, alone = prepared("adapter", t5_base(), adapter_width=width, adapter_trains="adapters")
        _, _, both = prepared("adapter", t5_base(), adapter_width=width)
    assert count_parameters(alone) == 24 * (2 * 768 * width + 768)
    assert count_parameters(both) - count_parameters(alone) == 768 * (12 * 2 + 12 * 3 + 2)
    assert count_parameters(model.module.parameters()) == 222_903_552 + count_parameters(alone)


def test_t5_base_with_adapters_of_32_trains_1198080(t5_base):
    with torch.device("meta"):
        assert (
            count_parameters(prepared("adapter", t5_base(), adapter_width=32, adapter_trains="adapters")[2])
            == 1_198_080
        )


# gradual unfreezing


def blocks_in(moved: set[str]) -> dict[str, set[int]]:
    found: dict[str, set[int]] = {"encoder": set(), "decoder": set()}
    for stack, kind, number, _ in (name.split(".")[:4] for name in moved if ".block." in name):
        assert kind == "block"
        found[stack].add(int(number))
    return found


SCHEDULES = [  # depths, steps, the lowest block of each stack that each step moves
    ((3, 3), 6, [(2, 2), (2, 2), (1, 1), (1, 1), (0, 0), (0, 0)]),
    ((4, 2), 4, [(3, 1), (2, 1), (1, 0), (0, 0)]),
    ((2, 3), 3, [(1, 2), (0, 1), (0, 0)]),
    ((3, 3), 4, [(2, 2), (2, 2), (1, 1), (0, 0)]),
]


@pytest.mark.parametrize(("depths", "steps", "lowest"), SCHEDULES)
def test_blocks_thaw_from_the_top_of_both_stacks(depths, steps, lowest):
    model = toy_model(num_layers=depths[0], num_decoder_layers=depths[1])
    outside = {name for name in learning(model) if ".block." not in name}
    _, moved = trained("unfreeze", model, steps=steps)
    for step, (encoder, decoder) in zip(moved, lowest, strict=True):
        assert blocks_in(step) == {
            "encoder": set(range(encoder, depths[0])),
            "decoder": set(range(decoder, depths[1])),
        }
        assert outside <= step


def test_position_biases_thaw_with_the_block_that_holds_them():
    model = toy_model(num_layers=3)
    _, moved = trained("unfreeze", model, steps=3)
    biased = [{name for name in step if "relative_attention_bias" in name} for step in moved]
    assert [len(names) for names in biased] == [0, 0, 2]


def test_the_optimizer_is_told_of_all_that_will_ever_learn():
    model, plan, parameters = prepared("unfreeze")
    assert names(model, parameters) == set(snapshot(model))
    assert learning(model) < names(model, parameters)
    load_method("unfreeze").on_step(model, plan, plan.steps - 1)
    assert learning(model) == names(model, parameters)


def test_any_step_can_be_the_first_one_called():
    """A resumed run enters in the middle."""
    model, plan, _ = prepared("unfreeze", toy_model(num_layers=4), steps=8)
    method, found = load_method("unfreeze"), {}
    for step in range(8):
        method.on_step(model, plan, step)
        found[step] = learning(model)
    for step in reversed(range(8)):
        method.on_step(model, plan, step)
        assert learning(model) == found[step]


def test_fewer_steps_than_layers_are_refused():
    with pytest.raises(UsageError, match=r"^unfreeze needs a step for each of the 6 layers of 'toy': steps is 4$"):
        prepared("unfreeze", toy_model(num_layers=6))


# the last layers only


def test_frozen_trains_the_decoders_last_block_and_the_norm_before_the_head():
    for make in FAMILIES:
        model, _, parameters = prepared("frozen", make())
        assert names(model, parameters) == learning(model)
        outside = {name for name in learning(model) if not name.startswith("decoder.block.1.")}
        assert outside == {"decoder.final_layer_norm.weight"}
        assert len(learning(model)) > 10


# LoRA


@pytest.mark.parametrize("make", FAMILIES)
def test_lora_of_rank_r_in_every_query_and_value(make):
    needs("lora")
    model = make()
    before = answers(model)
    _, _, parameters = prepared("lora", model, lora_rank=3)
    for (text, scores), (text_before, scores_before) in zip(answers(model), before, strict=True):
        assert text == text_before  # the second factor starts at zero
        assert scores == pytest.approx(scores_before, rel=1e-5)  # values are summed in another order
    attentions = 2 * 1 + 2 * 2
    assert count_parameters(parameters) == attentions * 2 * (32 + 32) * 3


def test_a_prompt_of_length_vectors_learns_and_nothing_else():
    model, _, parameters = prepared("prompt", prompt_length=7)
    assert names(model, parameters) == learning(model) == {"encoder.prompt"}
    assert count_parameters(parameters) == 7 * 32
    (start,), vocabulary = parameters, model.module.shared.weight
    assert all(any(torch.equal(vector, row) for row in vocabulary) for vector in start)


@pytest.mark.parametrize("make", FAMILIES)
def test_a_prompt_stands_in_front_of_every_input(make):
    """Filled with the vectors of real tokens, it is a text in front of the text; in packed rows too."""
    model, words = make(), [5, 9, 11]
    encoded = [Encoded(([*words, *e.streams[0]], e.streams[1])) for e in model.encode(toy_task(), toy_examples(3))]
    plain = [
        model.loss(model.lay([encoded[:2], encoded[2:]], CPU.device)).each,
        model.lay([[e] for e in encoded], CPU.device),
    ]
    memory = encode(model.module, plain[1].inputs, plain[1].segments)
    prepared("prompt", model, prompt_length=3)
    with torch.no_grad():
        model.module.encoder.prompt.copy_(model.module.shared.weight[words])
    encoded = [Encoded((e.streams[0][3:], e.streams[1])) for e in encoded]
    torch.testing.assert_close(model.loss(model.lay([encoded[:2], encoded[2:]], CPU.device)).each, plain[0])
    batch = model.lay([[e] for e in encoded], CPU.device)
    found = encode(model.module, batch.inputs, batch.segments)
    seen = batch.segments > 0
    torch.testing.assert_close(found[seen], memory[seen])


def test_the_vectors_of_a_prompt_take_room_in_packing_and_in_the_probe(monkeypatch):
    """What is counted of an update is what is laid, and no pass is larger than what was found to fit."""
    model, plan, _ = prepared("prompt")
    feed = toy_feed(model, batch=24)
    update = feed.update(0)
    laid = [model.lay(part.rows, CPU.device, part.grid).inputs for part in update.passes]
    assert update.padded == sum(inputs.numel() for inputs in laid)
    assert sum(int((inputs < 0).sum()) for inputs in laid) == 24 * plan.prompt_length
    pieces = [model.lay(piece.rows, CPU.device, piece.grid).inputs for part in update.passes for piece in part.cut(150)]
    assert all(inputs.numel() <= 150 or len(inputs) == 1 for inputs in pieces)
    probed = []
    monkeypatch.setattr(passes, "fitting", lambda model, update, *rest, **named: probed.append(update))
    passes.probe(model, CPU, Fit(most=1000), feed, 40)
    assert probed[0].padded == 1000 // (40 + plan.prompt_length) * (40 + plan.prompt_length)


def test_a_prompt_goes_through_a_compiled_graph():
    model, _, (prompt,) = prepared("prompt")
    batch = model.lay([[e] for e in model.encode(toy_task(), toy_examples(3))], CPU.device)
    model.loss(batch).total.backward()
    expected, prompt.grad = prompt.grad, None
    model.compile(backend="aot_eager")
    model.loss(batch).total.backward()
    torch.testing.assert_close(prompt.grad, expected)
    assert expected.abs().min() > 0


def test_lora_without_peft_says_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "peft", None)
    with pytest.raises(UsageError, match=r"^method lora needs peft: pip install 'glue-harness\[lora\]'$"):
        prepared("lora")


# what is kept


@pytest.mark.parametrize("method", ["full", "unfreeze", *PARTIAL])
def test_what_was_saved_answers_as_before(method, tmp_path):
    needs(method)
    model, _ = trained(method)
    checkpoints.save(
        RunFolder(tmp_path), STEPS, model, names_of(model, (p for p in model.module.parameters() if p.requires_grad))
    )
    again, *_ = prepared(method)
    assert answers(again) != answers(model)
    checkpoints.load(RunFolder(tmp_path), STEPS, again)
    assert answers(again) == answers(model)
    folder = RunFolder(tmp_path).checkpoint(STEPS)
    assert (folder / PART).exists() == (method in PARTIAL)
    assert load_tokenizer(folder).fingerprint == vocabulary().fingerprint  # it may exist nowhere else


def kept(tmp_path, method="adapter", **changes) -> None:
    model, _, parameters = prepared(method, **changes)
    checkpoints.save(RunFolder(tmp_path), 1, model, names_of(model, parameters))


REFUSED = "holds only what was trained, on a base that is not this model: give it the model of its plan, unchanged$"


@pytest.mark.parametrize("method", PARTIAL)
def test_another_base_is_refused(method, tmp_path):
    needs(method)
    kept(tmp_path, method)
    other, *_ = prepared(method, toy_model(seed=1))
    before = snapshot(other)
    with pytest.raises(GlueError, match=REFUSED):
        checkpoints.load(RunFolder(tmp_path), 1, other)
    assert not changed(before, other)


@pytest.mark.parametrize("changes", [{"adapter_width": 8}, {"method": "frozen"}, {"method": "full"}])
def test_a_model_prepared_in_another_way_is_refused(changes, tmp_path):
    kept(tmp_path)
    with pytest.raises(GlueError, match=REFUSED):
        checkpoints.load(RunFolder(tmp_path), 1, prepared(**{"method": "adapter", **changes})[0])


def test_one_moved_number_of_the_base_is_noticed(tmp_path):
    kept(tmp_path)
    other, *_ = prepared("adapter")
    other.module.shared.weight.data[7, 3] += 1e-3
    with pytest.raises(GlueError, match=REFUSED):
        checkpoints.load(RunFolder(tmp_path), 1, other)


def test_norms_that_learn_are_no_part_of_the_base(tmp_path):
    """They are in the checkpoint: whatever the model at hand has in their place is written over."""
    kept(tmp_path)
    other, *_ = prepared("adapter")
    nn.init.zeros_(other.parts().norms[0])
    checkpoints.load(RunFolder(tmp_path), 1, other)
    assert other.parts().norms[0].eq(1).all()


def test_a_step_that_was_not_kept_or_only_half_is_said_to_be_none(tmp_path):
    kept(tmp_path)
    with pytest.raises(GlueError, match=r"^no complete checkpoint at '.*step-00000002'$"):
        checkpoints.load(RunFolder(tmp_path), 2, prepared("adapter")[0])
    (RunFolder(tmp_path).checkpoint(1) / MARKER).unlink()
    with pytest.raises(GlueError, match=r"^no complete checkpoint at '.*step-00000001'$"):
        checkpoints.load(RunFolder(tmp_path), 1, prepared("adapter")[0])


def test_a_cut_off_file_is_one_line(tmp_path):
    kept(tmp_path)
    file = RunFolder(tmp_path).checkpoint(1) / PART
    file.write_bytes(file.read_bytes()[:-100])
    with pytest.raises(GlueError, match=r"^checkpoint '.*step-00000001' cannot be read: ") as caught:
        checkpoints.load(RunFolder(tmp_path), 1, prepared("adapter")[0])
    assert "\n" not in str(caught.value)


# end to end

FAST = {"data": "demo:100", "steps": 4, "eval_every": 2, "batch_size": 8, "lr": 1e-2, "device": "cpu"}


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    folder = tmp_path_factory.mktemp("base")
    toy_model(seed=3).save(folder)
    return folder


@pytest.mark.parametrize("method", ["unfreeze", *PARTIAL])
@pytest.mark.parametrize("source", ["a folder", "tiny"])
def test_a_runs_model_answers_again(method, source, base, tmp_path, capsys):
    needs(method)
    model = str(base) if source == "a folder" else source
    record = run(Plan(("rte",), model=model, method=method, **FAST), results=tmp_path)
    task, store = load_tasks().task("rte"), Store(tmp_path)
    step = record.scores["rte"].step
    rows = load_rows(task, "validation", FAST["data"])
    found = load(record, store.run_folder(record.id), step).answers(task, [question(task, row) for row in rows])
    stored = store.read_predictions(record.id, task)
    assert [p.text for p in found] == [p.text for p in stored]
    assert [p.scores for p in found] == [pytest.approx(p.scores, abs=1e-4) for p in stored]
    pair = ("--sentence1", rows[0]["sentence1"], "--sentence2", rows[0]["sentence2"], "--json")
    code, out, err = runner(capsys)("predict", record.id, "--task", "rte", *pair, "--results", tmp_path)
    assert (code, err) == (0, "")
    assert json.loads(out)["answer"] == stored[0].text


def test_a_checkpoint_is_small_and_its_base_must_stay(base, tmp_path):
    moving = tmp_path / "base"
    moving.mkdir()
    for file in base.iterdir():
        (moving / file.name).write_bytes(file.read_bytes())
    record = run(Plan(("rte",), model=str(moving), method="adapter", adapter_width=2, **FAST), results=tmp_path)
    step = record.scores["rte"].step
    folder = RunFolder(tmp_path / record.id).checkpoint(step)
    numbers = record.parameters["trainable"]
    assert numbers == 4 * (2 * 32 * 2 + 32) + 12 * 32 < record.parameters["total"] / 10
    assert 4 * numbers < (folder / PART).stat().st_size < 4 * numbers + 4000
    assert not (folder / "model.safetensors").exists()
    toy_model(seed=4).save(moving)
    with pytest.raises(GlueError, match=REFUSED):
        load(record, tmp_path / record.id, step)


def dry_run(capsys, *options: str) -> tuple[int, str, str]:
    return runner(capsys)("run", "-t", "rte", "--data", "demo:50", "-m", "tiny", *options, "--dry-run")


def test_dry_run_counts_what_learns_at_first_and_at_last(capsys):
    code, out, _ = dry_run(capsys, "--method", "unfreeze", "--steps", "2", "--json")
    found = json.loads(out)
    assert code == 0
    assert found["parameters"]["trainable"] == found["parameters"]["total"] > found["learn_at_first"] > 0
    assert found["state_bytes"] == 16 * found["parameters"]["total"]
    shown = dry_run(capsys, "--method", "unfreeze", "--steps", "2")[1]
    assert f"parameters learn (unfreeze, {found['learn_at_first']:,} at first)" in " ".join(shown.split())


def test_dry_run_counts_a_part(capsys):
    code, out, _ = dry_run(
        capsys, "--method", "adapter", "--adapter-width", "32", "--adapter-trains", "adapters", "--json"
    )
    found = json.loads(out)
    assert code == 0
    assert found["parameters"].keys() == {"total", "trainable"}
    assert found["parameters"]["trainable"] == found["learn_at_first"] == 4 * (2 * 128 * 32 + 128)
    assert found["state_bytes"] == 4 * found["parameters"]["total"] + 12 * found["parameters"]["trainable"]


MISTAKES = [
    (("--method", "adaptr"), "unknown method 'adaptr': did you mean adapter?"),
    (("--method", "adapter", "--adapter-width", "0"), "adapter_width must be above 0, not 0"),
    (("--method", "adapter", "--adapter-trains", "norms"), "unknown adapter_trains 'norms': did you mean "),
    (("--adapter-width", "32"), "adapter_width is 32 but method is 'full': use --method adapter"),
    (("--method", "frozen", "--adapter-trains", "adapters"), "but method is 'frozen': use --method adapter"),
    (("--set", "lora_rank=4"), "lora_rank is 4 but method is 'full': use --method lora"),
    (("--method", "unfreeze", "--steps", "1"), "unfreeze needs a step for each of the 2 layers of 'tiny': steps is 1"),
]


@pytest.mark.parametrize(("options", "message"), MISTAKES)
def test_mistakes_are_one_line(options, message, capsys):
    code, out, err = dry_run(capsys, *options)
    assert (code, out) == (2, "")
    assert message in err
    assert err.count("\n") == 1
