"""What only a GPU can tell: that its numbers are those of a CPU, with every switch, and that nothing waits for it.

`GLUE_GPU_TESTS=cpu` tries the tests themselves where there is none.
"""

import contextlib
import os
import statistics

import pytest
import torch
from recording import Recorder
from toys import vocabulary

from glue_harness import Plan, load_tasks, run
from glue_harness.lab.assemble import assemble
from glue_harness.lab.request import make_request
from glue_harness.lab.run import run as run_watched
from glue_harness.models.norm import Norm
from glue_harness.runs.store import Store
from glue_harness.train import replays
from glue_harness.train.answers import answer
from glue_harness.train.loop import Hook, train
from glue_harness.train.optimizers.adafactor import Adafactor
from glue_harness.train.passes import accumulate

DEVICE = os.environ.get("GLUE_GPU_TESTS", "cuda")
THERE = DEVICE != "cuda" or torch.cuda.is_available()
pytestmark = [pytest.mark.gpu, pytest.mark.slow, pytest.mark.skipif(not THERE, reason="needs a CUDA device")]
ONLY_THERE = pytest.mark.skipif(DEVICE != "cuda", reason="needs a CUDA device")
SWITCHES = {
    "compile": {"compile": "on", "dropout": 0.0},  # a graph draws its dropout in another way
    "copies": {"bf16_weights": "on"},
    "graphs": {"cuda_graphs": "on"},
    "all": {"compile": "on", "bf16_weights": "on", "cuda_graphs": "on", "dropout": 0.0},
}


@pytest.fixture
def setup(tmp_path, monkeypatch):
    if DEVICE == "cpu":
        monkeypatch.setattr("glue_harness.train.device.check", lambda *_: None)
        monkeypatch.setattr(replays, "on_cuda", Recorder)
    vocabulary().save(tmp_path)

    def make(task="rte", **changes):
        values = {"data": "demo:400", "model": "tiny", "tokenizer": str(tmp_path), "batch_size": 16, "device": DEVICE}
        values |= {"precision": "bf16", "dropout": 0.1, "compile": "off", "steps": 20, "schedule": "constant"}
        return assemble(make_request(Plan((task,), **{**values, **changes}), load_tasks(), Store(tmp_path / "results")))

    return make


def losses(setup, hooks=()):
    found = []
    hooks = [Hook(1, lambda state: found.append(state.loss)), *hooks]
    train(setup.learner, setup.feed, setup.machine, hooks, setup.fit)
    return torch.tensor(found)


def distance(one, other):
    """How far two runs' losses are apart, as a share: the median over steps."""
    return statistics.median(((one - other).abs() / other).tolist())


def late(setup, values):
    """Losses of a CPU as a GPU tells them: some steps later."""
    lag = setup.machine.lag
    return torch.cat([values[:1], *([values[:1]] * lag), values[1 : len(values) - lag - 1], values[-1:]])


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_fifty_losses_are_those_of_a_cpu(setup, precision):
    ours = setup(precision=precision, steps=50, dropout=0.0)
    found = losses(ours)
    expected = late(ours, losses(setup(precision=precision, steps=50, dropout=0.0, device="cpu")))
    print(f"{precision}: losses are {distance(found, expected):.2%} apart from those of a CPU")
    assert distance(found, expected) < (0.02 if precision == "bf16" else 0.005)


@pytest.mark.parametrize("switch", SWITCHES)
@pytest.mark.parametrize("optimizer", ["adamw", "adafactor"])
def test_switches_change_speed_and_nothing_else(setup, switch, optimizer):
    chosen = {**SWITCHES[switch], "optimizer": optimizer}
    plain = {name: value for name, value in chosen.items() if name in ("dropout", "optimizer")}
    apart = distance(losses(setup(**chosen)), losses(setup(**plain)))
    print(f"{switch}, {optimizer}: losses are {apart:.2%} apart from those without")
    assert apart < 0.01


def test_a_graph_was_recorded_and_drops_other_values_in_every_step(setup):
    one = setup(cuda_graphs="on", dropout=0.5)
    update, model = one.feed.update(0), one.learner.model
    model.module.train()
    found = []
    for step in range(2 * replays.USES + 4):
        torch.manual_seed(step // 2)
        found.append(accumulate(model, update, one.machine, one.fit, one.learner.run).tolist())
        model.module.zero_grad(set_to_none=True)
    recorded = one.learner.run.__self__
    assert len(recorded.graphs) == 1
    assert found[-1] == pytest.approx(found[-2], rel=1e-3)  # the same seed
    assert found[-3] != pytest.approx(found[-1], rel=1e-3)


def test_answers_are_those_of_a_cpu(setup):
    learned = setup(precision="fp32", steps=150, device="cpu")
    losses(learned)
    there = setup(precision="fp32")
    there.learner.model.module.load_state_dict(learned.learner.model.module.state_dict())
    task, asked = load_tasks().task("rte"), learned.data.asked["rte"].examples
    found = [
        answer(one.learner.model, task, asked, one.request.plan.replace(answers=how), one.machine)
        for one in (learned, there)
        for how in ("closed", "strict")
    ]
    texts = [[prediction.text for prediction in answers] for answers in found]
    same = [sum(map(str.__eq__, one, other)) for one, other in ((texts[0], texts[2]), (texts[1], texts[3]))]
    print(f"closed and strict answers that are those of a CPU: {same} of {len(asked)}")
    assert min(same) >= 0.99 * len(asked)
    assert len(set(texts[0])) > 1


@ONLY_THERE
@pytest.mark.parametrize("changes", [{}, {"optimizer": "adafactor"}, {"micro_batch": 4}, *SWITCHES.values()], ids=str)
def test_a_step_waits_for_nothing(setup, changes):
    """torch names every wait that it knows of; the first and the last step have one, as has recording."""
    steps = 2 * replays.USES + 6
    one = setup(steps=steps, batch_size=16, **changes)
    one.feed.sampler.draws = lambda start, stop, own=one.feed.sampler.draws: own(0, stop - start)  # one shape
    begins = Hook(
        1, lambda state: torch.cuda.set_sync_debug_mode("error" if replays.USES + 2 < state.step < steps - 1 else 0)
    )
    try:
        losses(one, [begins])
    finally:
        torch.cuda.set_sync_debug_mode(0)


@ONLY_THERE
def test_the_norm_is_one_kernel():
    from transformers.models.t5.modeling_t5 import T5LayerNorm

    norm = Norm(T5LayerNorm(512)).cuda()
    x = torch.randn(64, 512, device="cuda")
    torch.testing.assert_close(norm(x), norm.plain(x), rtol=1e-5, atol=1e-5)
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CUDA]) as seen:
        norm(x)
        torch.cuda.synchronize()
    kernels = [event.key for event in seen.key_averages() if event.device_type == torch.autograd.DeviceType.CUDA]
    assert len(kernels) == 1, kernels


@pytest.mark.parametrize("width", [64, 120, 128, 200, 256, 384, 512])
def test_gradients_are_finite_at_every_length(setup, width):
    one = setup(max_input=512)
    model = one.learner.model
    batch = model.lay([[model.filler(width)]] * 3, one.machine.device, one.feed.grid)
    model.module.train()
    with one.machine.autocast():
        loss = model.loss(batch).total
    loss.backward()
    assert all(p.grad.isfinite().all() for p in model.module.parameters() if p.grad is not None)


def test_stacked_adafactor_is_that_of_a_cpu():
    torch.manual_seed(0)
    shapes = [(128, 130)] * 4 + [(64,)] * 3 + [(32, 8)] * 2
    cpu = [torch.nn.Parameter(torch.randn(shape)) for shape in shapes]
    there = [torch.nn.Parameter(parameter.detach().to(DEVICE)) for parameter in cpu]
    optimizers = Adafactor(cpu, lr=1e-2), Adafactor(there, lr=1e-2)
    for _ in range(5):
        for one, other in zip(cpu, there, strict=True):
            one.grad = torch.randn_like(one)
            other.grad = one.grad.to(DEVICE)
        for optimizer in optimizers:
            optimizer.step()
    for one, other in zip(cpu, there, strict=True):
        torch.testing.assert_close(other.cpu(), one, rtol=1e-5, atol=1e-5)


@ONLY_THERE
def test_memory_that_ends_makes_passes_smaller_and_the_update_stays(setup):
    whole, short = setup(batch_size=256, dropout=0.0), setup(batch_size=256, dropout=0.0)
    expected = losses(whole)
    held = torch.cuda.memory_allocated()
    short.fit.key = None  # what is learned here is for no later run
    torch.cuda.empty_cache()
    torch.cuda.set_per_process_memory_fraction((held + 2**28) / torch.cuda.get_device_properties(0).total_memory)
    try:
        found = losses(short)
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
    assert short.fit.notes
    assert distance(found, expected) < 0.01


class Leaves:
    """Sees a run go by, and stops it at a step, as Ctrl-C does."""

    def assembled(self, *_): ...
    def scored(self, *_): ...

    def stepped(self, setup, state):
        if state.step == 14:
            raise KeyboardInterrupt


@pytest.mark.parametrize("changes", [{}, {"optimizer": "adafactor", "method": "adapter"}], ids=str)
def test_a_run_that_was_stopped_goes_on(changes, tmp_path):
    values = {"data": "demo:300", "model": "tiny", "steps": 24, "eval_every": 12, "batch_size": 16, "device": DEVICE}
    plan = Plan("rte", **{**values, **changes})
    whole = run(plan, results=tmp_path / "whole")
    with contextlib.suppress(KeyboardInterrupt):
        run_watched(plan, results=tmp_path / "left", watcher=Leaves(), checkpoint_every=5)
    again = run(None, results=tmp_path / "left", resume="latest")
    assert again.resumed == [10]
    ends = [record.scores["rte"].metrics["accuracy"] for record in (whole, again)]
    assert abs(ends[0] - ends[1]) <= 3
