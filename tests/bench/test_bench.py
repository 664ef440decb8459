"""glue bench on toys: what it says is measured on equal terms, and its counting is exact. Nothing here is timed."""

import json
import threading
from functools import partial
from math import isclose
from random import Random

import pytest
import torch
from click.testing import CliRunner
from decoders import config_of, write_decoder
from encoders import write_encoder
from torch.utils.flop_counter import FlopCounterMode
from toys import CPU, toy_examples, toy_model, toy_task
from transformers import T5Config, T5ForConditionalGeneration

from glue_harness import bench
from glue_harness.bench import PARTS_OF_A_STEP, as_in_long_runs, contestants, prepared
from glue_harness.bench.contestants import answering, ask, rival_of, slices
from glue_harness.bench.measure import Contestant, PartClock, forward_flops, measure, peak_flops
from glue_harness.bench.rivals import Collator, targets
from glue_harness.bench.synthetic import LENGTHS, SYNTHETIC, draw_length, without_data
from glue_harness.cli import glue, main
from glue_harness.core.errors import UsageError
from glue_harness.core.plan import Plan
from glue_harness.lab.request import make_request
from glue_harness.models.batch import Batch
from glue_harness.models.interface import Encoded
from glue_harness.models.tokenizer import PAD
from glue_harness.suite.registry import Registry, load_tasks
from glue_harness.train.answers import answer

collator = partial(Collator, targets, PAD)  # a T5's
SMALL = [
    "bench",
    "--model",
    "tiny",
    "--steps",
    "2",
    "--batch-size",
    "4",
    "--repeats",
    "1",
    "--quick",
    "--device",
    "cpu",
]


@pytest.fixture(scope="module")
def found() -> dict:
    out = CliRunner().invoke(glue, [*SMALL, "--json"])
    assert out.exit_code == 0, f"{out.output}\n{out.exception}"
    return json.loads(out.stdout)


@pytest.fixture(scope="module")
def setup():
    plan = Plan(("x",), model="tiny", steps=3, batch_size=4, device="cpu", precision="fp32", data="demo")
    with without_data(plan, answers=8) as (plan, registry):
        return prepared(plan, registry)


@pytest.fixture(scope="module")
def encoded(setup):
    return [example for step in range(setup.request.plan.steps) for example in setup.feed.drawn(step)]


@pytest.mark.parametrize(("part", "sides"), [("train", ["padded", "tuned"]), ("answers", ["padded", "sorted"])])
def test_the_json_has_a_ratio_for_every_other_side(found, part, sides):
    assert list(found[part]["sides"]) == ["glue", *sides]
    for name in sides:
        theirs, ours = found[part]["sides"][name]["seconds"], found[part]["sides"]["glue"]["seconds"]
        assert isclose(found[part][f"vs_{name}"], theirs / ours)  # of one round the ratio is just this
    for side in found[part]["sides"].values():
        assert side["seconds"] > 0
        assert side["tokens_per_second"] > 0
        assert 0 <= side["padding"] < 1
        assert len(side["all_seconds"]) == found["repeats"] == 1


def test_training_counts_flops_alike_for_all_sides(found):
    sides = found["train"]["sides"].values()
    counts = [side["flops_per_second"] * side["seconds"] for side in sides]
    assert all(isclose(count, counts[0]) for count in counts)
    assert all(side["mfu"] is None for side in sides)  # of a CPU nobody states a peak


def test_the_setting_is_told(found):
    assert found["setup"]["updates"] * found["setup"]["batch_size"] == found["train"]["examples"] == 8
    assert "vocabulary" in found["flops"]


def test_the_screen_shows_ratios_and_what_each_side_does():
    out = CliRunner().invoke(glue, SMALL)
    assert out.exit_code == 0, out.output
    assert "every input padded to 128" in out.output
    assert "sorted into batches by length" in out.output


def test_what_our_side_does_otherwise_is_said():
    out = CliRunner().invoke(glue, [*SMALL, "--precision", "bf16", "--set", "bf16_weights=on", "--json"])
    assert out.exit_code == 0, out.output
    found = json.loads(out.stdout)
    assert found["train"]["sides"]["glue"]["does"] == "glue run's own loop, copies of weights in bf16"
    assert (found["setup"]["bf16_weights"], found["setup"]["cuda_graphs"]) == ("on", "off")


def test_a_profile_accounts_for_the_whole_step():
    out = CliRunner().invoke(glue, [*SMALL, "--profile", "--json"])
    assert out.exit_code == 0, out.output
    profile = json.loads(out.stdout)["profile"]
    assert set(profile["parts"]) == set(PARTS_OF_A_STEP)
    assert isclose(sum(part["share"] for part in profile["parts"].values()), 1)
    assert all(profile["parts"][name]["seconds"] > 0 for name in ("data", "forward", "backward", "optimizer"))


def test_a_clock_gives_time_to_the_innermost_part(monkeypatch):
    now = iter(range(100))
    monkeypatch.setattr("time.perf_counter", lambda: next(now))
    clock = PartClock(torch.device("cpu"))
    inner = clock.timed("sync", lambda: None)
    clock.timed("forward", inner)()
    assert clock.take() == {"other": 2, "forward": 2, "sync": 1}
    assert clock.take() == {"other": 1}


def test_graphs_are_measured_where_long_runs_have_them(monkeypatch):
    plan = Plan(("rte",), steps=5)

    def in_long_runs(**changes):
        return as_in_long_runs(make_request(plan.replace(**changes), load_tasks()))

    assert in_long_runs(device="cpu").compile == "auto"
    monkeypatch.setattr(bench.device, "choose", lambda plan: torch.device("cuda"))
    assert in_long_runs().compile == "on"
    assert in_long_runs(compile="off").compile == "off"


def test_a_clock_leaves_out_what_another_thread_does(monkeypatch):
    now = iter(range(100))
    monkeypatch.setattr("time.perf_counter", lambda: next(now))
    clock = PartClock(torch.device("cpu"))
    beside = threading.Thread(target=clock.timed("data", lambda: None))
    beside.start()
    beside.join()
    assert clock.take() == {"other": 1}


def test_both_sides_train_on_the_same_examples(setup, encoded, monkeypatch):
    seen = {"glue": [], "padded": [], "tuned": []}
    loss = setup.learner.model.loss
    ours, *theirs = contestants.training(setup, encoded)
    monkeypatch.setattr(
        setup.learner.model, "loss", lambda b, lean: seen["glue"].extend(examples_of(b)) or loss(b, lean)
    )
    ours.run()
    for side in theirs:
        collate = Collator.__call__

        def spy(self, examples, side=side, collate=collate):
            batch = collate(self, examples)
            seen[side.name].extend(rows_of(batch["input_ids"]))
            assert len(examples) == setup.request.plan.batch_size
            return batch

        monkeypatch.setattr(Collator, "__call__", spy)
        side.run()
        monkeypatch.setattr(Collator, "__call__", collate)
    expected = sorted(list(e.streams[0]) for e in encoded)
    assert {name: sorted(rows) for name, rows in seen.items()} == dict.fromkeys(seen, expected)


def examples_of(batch: Batch) -> list[list[int]]:
    pairs = zip(batch.inputs, batch.segments, strict=True)
    return [ids[segments == k].tolist() for ids, segments in pairs for k in range(1, int(segments.max()) + 1)]


def rows_of(ids: torch.Tensor) -> list[list[int]]:
    return [[token for token in row if token] for row in ids.tolist()]


def test_every_run_starts_from_the_same_weights_and_learns(setup, encoded):
    start = setup.learner.model.module.shared.weight.clone()
    ours, *_ = contestants.training(setup, encoded)
    ours.run()
    once = setup.learner.model.module.shared.weight.clone()
    ours.run()
    assert not torch.equal(once, start)
    assert torch.equal(setup.learner.model.module.shared.weight, once)


def test_a_trainer_runs_again_with_the_same_result(setup, encoded):
    made, run = contestants.trainer(setup, rival_of(setup), encoded, collator(width=128), "random")
    module = made.model
    assert run() > 0
    once = module.shared.weight.clone()
    assert run() > 0
    assert torch.equal(module.shared.weight, once)
    assert made.args.optim == "adamw_torch_fused"
    assert set(made.lr_scheduler.get_last_lr()) == {setup.request.plan.lr}


@pytest.mark.parametrize("collate", [collator(), collator(width=32), collator(multiple=8)])
def test_both_sides_have_the_same_loss_on_a_batch(collate):
    model = toy_model()
    encoded = model.encode(toy_task(), toy_examples(6))
    ours = model.loss(model.lay([[e] for e in encoded], CPU.device))
    theirs = model.module(**collate(encoded)).loss
    assert torch.isclose(ours.total / len(ours.each), theirs, rtol=1e-5)


def test_padding_is_counted_as_it_is_made():
    encoded = [Encoded(([5] * n, [1])) for n in (3, 9, 2)]
    assert collator().input_tokens(encoded, slices(3, 2)) == 9 + 9 + 2
    assert collator(multiple=8).input_tokens(encoded, slices(3, 2)) == 16 + 16 + 8
    assert collator(width=32).input_tokens(encoded, slices(3, 2)) == 96
    assert collator(multiple=8)(encoded)["attention_mask"].sum(1).tolist() == [3, 9, 2]


@pytest.mark.parametrize(("name", "kind"), [("rte", "label"), ("stsb", "number")])
def test_an_encoder_and_its_rival_have_the_same_loss_and_answers(name, kind, tmp_path):
    plan = Plan((name,), model=str(write_encoder(tmp_path, "bert")), data="demo:60", steps=2, batch_size=4, dropout=0.0)
    setup = prepared(plan.replace(device="cpu", precision="fp32"), load_tasks())
    model, rival = setup.learner.model, rival_of(setup)
    encoded = setup.feed.drawn(0)
    ours = model.loss(model.lay([[e] for e in encoded], CPU.device))
    module = rival.module().train(False)
    model.module.eval()
    assert rival.facts.kind == kind
    for made in (rival.collator(), rival.collator(96)):
        theirs = module(**made(encoded)).loss
        assert torch.isclose(ours.total / len(ours.each), theirs, rtol=1e-4)
    ((task, examples),) = ask(setup, 8)
    texts = [p.text for p in rival.answered(task, examples, lambda e: slices(len(e), 4), rival.collator())]
    assert texts == [p.text for p in answer(model, task, examples, setup.request.plan, CPU)]


@pytest.mark.parametrize("kind", ["gpt2", "llama"])
def test_a_decoder_and_its_rival_have_the_same_loss_and_answers(kind, tmp_path):
    folder = str(write_decoder(tmp_path, kind))
    plan = Plan(("rte", "copa"), model=folder, data="demo:60", steps=2, batch_size=4, dropout=0.0, max_input=80)
    setup = prepared(plan.replace(device="cpu", precision="fp32"), load_tasks())
    model, rival = setup.learner.model, rival_of(setup)
    encoded = setup.feed.drawn(0)
    ours = model.loss(model.lay([[e] for e in encoded], CPU.device))
    module = rival.module().eval()
    for made in (rival.collator(), rival.collator(96)):
        theirs = module(**made(encoded)).loss
        assert torch.isclose(ours.total / len(ours.each), theirs, rtol=1e-4)
    for task, examples in ask(setup, 8):
        texts = [p.text for p in rival.answered(task, examples, lambda e: slices(len(e), 4), rival.collator())]
        longest = max(len(ids) for example in examples for ids in model.option_tokens(example.choices))
        strict = setup.request.plan.replace(answers="strict", max_answer=longest)
        assert texts == [p.text for p in answer(model, task, examples, strict, CPU)]


@pytest.mark.parametrize("kind", ["gpt2", "opt", "llama", "qwen3"])
def test_flops_of_decoders_are_exact(kind):
    from transformers import AutoModelForCausalLM

    config = config_of(kind)
    module = AutoModelForCausalLM.from_config(config, attn_implementation="eager")
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        module.base_model(torch.ones(2, 13, dtype=torch.long))
        module.get_output_embeddings()(torch.zeros(2, 4, config.hidden_size))
    assert counter.get_total_flops() == pytest.approx(2 * forward_flops(config, 13, 4), rel=2e-3)  # rotary angles


def test_an_encoder_of_several_tasks_has_no_rival(tmp_path):
    plan = Plan(("rte", "cola"), model=str(write_encoder(tmp_path, "bert")), data="demo:60", steps=2, batch_size=4)
    setup = prepared(plan.replace(device="cpu", precision="fp32"), load_tasks())
    with pytest.raises(UsageError, match="which trains one task of labels or numbers"):
        rival_of(setup)


def test_grouping_by_length_loses_no_example():
    encoded = [Encoded(([5] * n, [1])) for n in range(1, 13)]
    grouped = contestants.grouped_by_length(encoded, Plan(("x",), steps=3, batch_size=4))
    assert [e.length for e in grouped] == sorted(range(1, 13), reverse=True)


def test_generate_answers_what_free_greedy_decoding_answers(setup):
    ((task, examples),) = questions = ask(setup, 6)
    assert task.name in [scored.name for scored in setup.request.scored]
    collators = {"padded": collator(width=128), "longest": collator()}
    found = {
        name: [p.text for p in rival_of(setup).answered(task, examples, lambda e: slices(len(e), 4), made)]
        for name, made in collators.items()
    }
    encoded = setup.learner.model.encode(toy_task(), examples)
    free = setup.learner.model.generate(setup.learner.model.lay([[e] for e in encoded], CPU.device), 2)
    assert found["padded"] == found["longest"]
    assert len(found["padded"]) == len(free) == 6
    assert [side.name for side in answering(setup, questions)] == ["glue", "padded", "sorted"]


@pytest.mark.parametrize("feed_forward", ["relu", "gated-gelu"])
@pytest.mark.parametrize(("inputs", "targets"), [(1, 1), (13, 4), (40, 7)])
def test_flops_are_exact(feed_forward, inputs, targets):
    config = T5Config(
        vocab_size=50, d_model=32, d_kv=8, d_ff=48, num_layers=3, num_decoder_layers=2, num_heads=3,
        feed_forward_proj=feed_forward, decoder_start_token_id=0,
    )  # fmt: skip
    module = T5ForConditionalGeneration._from_config(config, attn_implementation="eager")
    ids = torch.ones(2, inputs, dtype=torch.long)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        module(input_ids=ids, labels=torch.ones(2, targets, dtype=torch.long))
    assert counter.get_total_flops() == 2 * forward_flops(config, inputs, targets)


def test_training_takes_three_forward_passes():
    model = toy_model()
    module = T5ForConditionalGeneration._from_config(model.module.config, attn_implementation="eager")
    ids = torch.ones(2, 9, dtype=torch.long)
    with FlopCounterMode(display=False) as counter:
        module(input_ids=ids, labels=torch.ones(2, 3, dtype=torch.long)).loss.backward()
    assert counter.get_total_flops() == 3 * 2 * forward_flops(module.config, 9, 3)


@pytest.mark.parametrize(
    ("name", "precision", "peak"),
    [
        ("NVIDIA H200", "bf16", 989e12),
        ("NVIDIA H100 80GB HBM3", "fp32", 494.5e12),
        ("NVIDIA H100 PCIe", "bf16", 756e12),
        ("NVIDIA A100-SXM4-80GB", "bf16", 312e12),
        ("NVIDIA L40S", "bf16", None),
    ],
)
def test_the_peak_is_of_the_device_and_the_precision(name, precision, peak, monkeypatch):
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: name)
    assert peak_flops(torch.device("cuda"), precision) == peak


def test_sides_take_turns_and_another_begins_each_round():
    order = []
    sides = [Contestant(name, "", 1, lambda name=name: order.append(name) or 1.0) for name in "abc"]
    found = measure(sides, 2, CPU, [Encoded(([5], [1]))])
    assert "".join(order) == "abc" + "abc" + "bca"
    assert found["sides"]["a"]["all_seconds"] == [1.0, 1.0]


def test_a_ratio_is_taken_within_rounds():
    ours, theirs = iter([9.0, 1.0, 10.0, 1.0]), iter([3.0, 2.0, 20.0, 3.0])
    sides = [Contestant("ours", "", 1, lambda: next(ours)), Contestant("theirs", "", 1, lambda: next(theirs))]
    found = measure(sides, 3, CPU, [Encoded(([5], [1]))])
    assert found["vs_theirs"] == 2.0
    assert found["sides"]["ours"]["warm_up_seconds"] == 8.0


def test_synthetic_inputs_are_as_long_as_drawn(setup):
    random = Random(1)
    drawn_lengths = [draw_length(random) for _ in range(20_000)]
    assert min(drawn_lengths) >= LENGTHS[0.0]
    assert 45 < sum(drawn_lengths) / len(drawn_lengths) < 49  # GLUE's mean is 47
    assert sorted(drawn_lengths)[10_000] == pytest.approx(LENGTHS[0.5], abs=2)
    (row,) = SYNTHETIC.demo(Random(3), 1)
    (example,) = SYNTHETIC.examples(row)
    (tokens,) = setup.learner.model.encode(toy_task(), [example])
    assert tokens.length == min(draw_length(Random(3)), 128)


def test_without_accelerate_the_fix_is_named(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(UsageError, match=r"needs accelerate: pip install 'glue-harness\[bench\]'"):
        bench.bench(Plan(("x",)), Registry({}, {}), 1, 1)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--task", "mnli"], "--task needs rows: say where they are with --data"),
        (["--data", "demo", "--task", "mnlii", "--model", "tiny"], "did you mean"),
        (["--model", "t5:smal"], "did you mean"),
        (["--data", "demo", "--task", "squad", "--model", "tiny"], "answers to label tasks: name one that is scored"),
        (["--data", "demo", "--task", "span_corruption", "--model", "tiny"], "leave out span_corruption"),
        (["--set", "compile"], "--set 'compile': write it as NAME=VALUE"),
        (["--set", "optimizer=adafactor", "--model", "tiny"], "--set optimizer: glue bench has it the same on all"),
        (["--set", "cuda_graphs=on", "--model", "tiny"], "cuda_graphs is on but the device is cpu"),
        (["--data", "demo", "--task", "rte"], "give its vocabulary with --tokenizer DIR"),
    ],
)
def test_mistakes_are_one_line(arguments, message, capsys):
    with pytest.raises(SystemExit) as stopped:
        main(["bench", "--quick", "--device", "cpu", *arguments])
    assert stopped.value.code == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


def test_tasks_weigh_what_they_do_officially(setup):
    registry = load_tasks()
    plan = Plan(("rte", "cola"))
    weighed = as_in_long_runs(make_request(plan, registry))
    assert weighed.mixing == "custom"
    assert weighed.rates == {"rte": 2490, "cola": 8551}
    own = Registry({SYNTHETIC.name: SYNTHETIC}, {})
    plan = Plan((SYNTHETIC.name,), device="cpu")
    assert as_in_long_runs(make_request(plan, own)) == plan
