"""Updates as CUDA graphs, recorded by a stand-in on the CPU."""

from contextlib import nullcontext
from random import Random

import pytest
import torch
from encoders import write_encoder
from recording import Recorder, storage
from toys import CPU, toy_examples, toy_feed, toy_model, toy_plan, toy_task

from glue_harness import Plan, load_tasks, run
from glue_harness.core.errors import GlueError, UsageError
from glue_harness.methods import load_method
from glue_harness.models.batch import Batch
from glue_harness.models.encoder_batch import Batch as EncoderBatch
from glue_harness.models.encoder_batch import Group
from glue_harness.models.families import load_model
from glue_harness.models.packing import Grid
from glue_harness.train import passes, replays
from glue_harness.train.arrangement import packed
from glue_harness.train.copies import Copies
from glue_harness.train.device import Machine
from glue_harness.train.learner import Learner
from glue_harness.train.loop import Hook, train
from glue_harness.train.memory import Fit
from glue_harness.train.optimizers import make_optimizer
from glue_harness.train.passes import one_pass
from glue_harness.train.replays import USES, Replays

BF16 = Machine(CPU.device, "bf16")
COARSE = Grid(width=16, rows=1, depth=8, labels=16)


@pytest.fixture(autouse=True)
def masks_as_on_a_gpu(monkeypatch):
    """There torch's one generator draws them, which a graph knows; rows have streams of their own on a CPU only."""
    monkeypatch.setattr(passes, "drawn_by_rows", lambda seeds: nullcontext())


def trained(recorder=None, copies=False, machine=BF16, fit=None, **changes):
    plan = toy_plan(**{"steps": 18, "batch_size": 4, **changes})
    model = toy_model(seed=3, plan=plan, dropout=0.1)
    method = load_method(plan.method)
    parameters = method.prepare(model, plan)
    way = Copies(model.module).run if copies else one_pass
    way = Replays(way, parameters, recorder).run if recorder else way
    feed = toy_feed(model, 4)
    feed.grid, feed.arrange = COARSE, packed(COARSE, plan.micro_batch)
    losses = []
    learner = Learner(plan, model, method, parameters, 0, make_optimizer(plan, parameters), way)
    train(learner, feed, machine, [Hook(1, lambda state: losses.append((state.loss, state.gradient_norm)))], fit)
    return losses, model.module.state_dict()


def assert_same(found, expected):
    assert found[0] == expected[0]
    assert all(torch.equal(weight, expected[1][name]) for name, weight in found[1].items())


CASES = {
    "fp32": {"machine": CPU, "optimizer": "adafactor"},
    "bf16": {"z_loss": 1e-3},
    "copies": {"copies": True},
    "prompt": {"copies": True, "method": "prompt", "prompt_length": 3},
    "adapter": {"method": "adapter"},
}


@pytest.mark.parametrize("case", CASES)
def test_updates_that_are_recorded_give_the_same_bits(case):
    recorder = Recorder()
    assert_same(trained(recorder, **CASES[case]), trained(**CASES[case]))
    assert len(recorder.made) > 1
    assert sum(recording.starts for recording in recorder.made) >= 6


@pytest.mark.parametrize("kind", ["bert", "albert", "deberta-v2", "modernbert"])
def test_passes_of_encoders_that_are_recorded_give_the_same_bits(kind, tmp_path):
    task, recorder = load_tasks().task("rte"), Recorder()
    plan = Plan("rte", model=str(write_encoder(tmp_path, kind)), device="cpu", max_input=40, dropout=0.1)
    model = load_model(plan, [task], ())
    model.module.train()
    examples = [example for row in task.demo(Random(0), 4) for example in task.examples(row, 0)]
    encoded = model.encode(task, examples)
    beside = Copies(model.module)
    eager, recorded = beside.run, Replays(beside.run, list(model.module.parameters()), recorder).run
    for step in range(8):
        turned = [encoded[(step + k) % 4] for k in range(4)]  # of means, the lengths are part of the shape
        batch = model.lay([[e] for e in turned], CPU.device, Grid(width=32))
        found = []
        for way in (eager, recorded):
            torch.manual_seed(step)
            each = way(model, batch, 4 + step, BF16, Fit(), True).clone()
            found.append([each, *(p.grad.clone() for p in model.module.parameters() if p.grad is not None)])
            model.module.zero_grad(set_to_none=True)
        assert len(found[0]) == len(found[1])
        assert all(torch.equal(one, other) for one, other in zip(*found, strict=True))
    assert sum(recording.starts for recording in recorder.made) >= 4


def test_a_graph_that_reads_what_nobody_fills_would_be_seen(monkeypatch):
    """As the stand-in is there to find it."""
    own = replays.tensors_of
    monkeypatch.setattr(replays, "tensors_of", lambda batch: own(batch)[:1] + own(batch)[2:])  # not the segments
    assert trained(Recorder())[0] != trained()[0]


def test_a_shape_is_recorded_when_it_has_come_often_and_no_more_shapes_than_may_be(monkeypatch):
    model, recorder = toy_model(), Recorder()
    model.module.train()
    way = Replays(one_pass, list(model.module.parameters()), recorder)
    batches = [model.lay([[e] for e in model.encode(toy_task(), toy_examples(n))], CPU.device) for n in (2, 3, 4)]
    monkeypatch.setattr(replays, "MOST", 2)
    counts = []
    for _ in range(USES + 2):
        for batch in batches:
            model.module.zero_grad()
            way.run(model, batch, 1, CPU, Fit(), True)
        counts.append(len(recorder.made))
    assert counts == [*[0] * USES, 2, 2]
    assert [recording.starts for recording in recorder.made] == [2, 2]
    first, second = way.graphs.values()  # gradients are as large as the model: one place for all graphs
    assert {id(place) for _, place in first.learned} == {id(place) for _, place in second.learned}
    assert not {storage(place) for _, place in first.learned} & {storage(tensor) for tensor in recorder.pool}


def test_a_graph_has_a_batch_of_its_own():
    model = toy_model()
    model.module.train()
    way = Replays(one_pass, list(model.module.parameters()), Recorder())
    encoded = model.encode(toy_task(), [toy_examples(1)[0]] * 2)
    batch, other = (model.lay([[e] for e in encoded], CPU.device) for _ in range(2))
    other.inputs.fill_(5)
    before = batch.inputs.clone()
    for laid in (*[batch] * (USES + 1), other):
        way.run(model, laid, 1, CPU, Fit(), True)
    assert way.graphs
    assert torch.equal(batch.inputs, before)


@pytest.mark.parametrize(
    ("changes", "fit"), [({"micro_batch": 2}, None), ({}, Fit(lean=True))], ids=["several", "lean"]
)
def test_what_is_not_recorded(changes, fit):
    recorder = Recorder()
    assert_same(trained(recorder, fit=fit, **changes), trained(fit=fit, **changes))
    assert not recorder.made


def test_when_other_parameters_learn_graphs_are_made_anew():
    recorder = Recorder()
    assert_same(trained(recorder, method="unfreeze", steps=40), trained(method="unfreeze", steps=40))
    operations = [len(recording.operations) for recording in recorder.made]
    assert len(set(operations)) > 1


def test_memory_that_ends_while_a_graph_is_recorded_ends_graphs_not_the_run():
    fit = Fit()
    recorder = Recorder(fails=torch.OutOfMemoryError("planted"))
    assert_same(trained(recorder, fit=fit), trained())
    assert fit.notes == ["out of memory while a CUDA graph was recorded: passes go without graphs from here on"]
    assert fit.most is None


def test_what_cannot_be_recorded_ends_the_run_in_one_line():
    with pytest.raises(GlueError) as failed:
        trained(Recorder(fails=RuntimeError("operation not permitted\nwhen stream is capturing")))
    assert str(failed.value) == "a CUDA graph cannot be recorded: operation not permitted: use --set cuda_graphs=off"


def test_a_batch_of_which_a_graph_could_not_know_all_is_refused():
    with pytest.raises(GlueError) as refused:
        replays.shape_of(Batch(*[torch.zeros(2)] * 6, memory=[{"states": 1}]))
    assert str(refused.value) == "a CUDA graph cannot know of 'dict' in a batch: use --set cuda_graphs=off"


def test_batches_share_a_graph_if_a_pass_reads_the_same_of_them():
    def batch(rows=2, **changes):
        group = Group("rte", "label", *[torch.zeros(rows)] * 8, most=1, means=False, windows=[])
        return EncoderBatch(*[torch.zeros(rows, 4)] * 4, **{"groups": [group], "size": rows, "longest": 3, **changes})

    assert replays.shape_of(batch()) == replays.shape_of(batch(longest=4))
    others = [batch(3), batch(size=1), batch(groups=[]), batch(groups=batch().groups * 2)]
    assert len({replays.shape_of(one) for one in [batch(), *others]}) == 5
    assert len(replays.tensors_of(batch())) == 12
    own = replays.copied(batch())
    assert not {storage(t) for t in replays.tensors_of(own)} & {storage(t) for t in replays.tensors_of(batch())}


def test_graphs_without_cuda_are_refused(tmp_path):
    plan = Plan("rte", data="demo:60", model="tiny", device="cpu", cuda_graphs="on")
    with pytest.raises(UsageError) as refused:
        run(plan, results=tmp_path)
    assert str(refused.value) == "cuda_graphs is on but the device is cpu: use --set cuda_graphs=off"


@pytest.mark.parametrize("copies", [False, True])
def test_a_pass_leaves_nothing_of_its_autograd_graph_behind(copies):
    """A node that adds up a gradient remembers the stream it was made in; one of an eager pass could not be recorded."""
    model, seen = toy_model(), []
    module = model.module.train()
    beside = Copies(module)
    leaves = [*beside.copies, module.shared.weight] if copies else list(module.parameters())

    def node(leaf):
        return leaf.expand_as(leaf).grad_fn.next_functions[0][0]

    class Marked(type(BF16)):
        def autocast(self):
            seen.extend(node(leaf) for leaf in leaves)
            for made in seen:
                made.metadata["seen"] = True
            return super().autocast()

    batch = model.lay([[e] for e in model.encode(toy_task(), toy_examples(4))], CPU.device)
    (beside.run if copies else one_pass)(model, batch, 1, Marked(CPU.device, "bf16"), Fit(), True)
    assert all(node(leaf).metadata.get("seen") for leaf in leaves)  # as long as somebody holds it
    seen.clear()
    assert not any(node(leaf).metadata.get("seen") for leaf in leaves)
