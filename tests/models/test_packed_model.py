"""Packed rows give the loss and the gradients that each example gives alone, in every family and precision."""

from __future__ import annotations

import copy
import json

import pytest
import torch
from torch import nn
from toys import CPU, toy_examples, toy_model, toy_plan, toy_task, toy_tokens

from glue_harness.core.errors import GlueError
from glue_harness.data.sampler import Sampler
from glue_harness.models import graphs, stacks
from glue_harness.models.batch import IGNORED
from glue_harness.models.dropout import Dropout, dropped, replace_dropout
from glue_harness.models.norm import Norm
from glue_harness.models.packing import FINE, pack
from glue_harness.train.answers import answer
from glue_harness.train.arrangement import COARSE, as_passes, in_buckets, packed
from glue_harness.train.feed import Feed
from glue_harness.train.memory import Fit, find_fit, is_out_of_memory
from glue_harness.train.passes import fitting, probe

SHAPES = {
    "v1": {},
    "v1.1": {"feed_forward_proj": "gated-gelu", "tie_word_embeddings": False},
    "uneven": {"num_layers": 3, "num_decoder_layers": 1},
}


def model_of(shape: str, dtype: torch.dtype):
    model = toy_model(seed=1, **SHAPES[shape])
    model.module.to(dtype)
    return model


def rows_of(encoded, grid=FINE):
    return [[encoded[k] for k in row] for row in pack([e.sizes for e in encoded], grid)]


def gradients(model) -> dict[str, torch.Tensor]:
    found = {name: p.grad.clone() for name, p in model.module.named_parameters() if p.grad is not None}
    model.module.zero_grad()
    return found


def reference(model, encoded) -> torch.Tensor:
    """The sum over examples, each by transformers' own forward pass, alone and without padding."""
    total = 0.0
    for example in encoded:
        (batch,) = [model.lay([[example]], CPU.device)]
        loss = model.module(input_ids=batch.inputs, labels=batch.labels[None]).loss
        total = total + loss * example.terms
    return total


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-10), (torch.float32, 1e-4)], ids=["fp64", "fp32"])
@pytest.mark.parametrize("grid", [FINE, COARSE], ids=["fine", "coarse"])
@pytest.mark.parametrize("shape", SHAPES)
def test_packed_rows_equal_examples_alone(shape, grid, dtype, tolerance):
    model = model_of(shape, dtype)
    encoded = model.encode(toy_task(), toy_examples(24))
    rows = rows_of(encoded, grid)
    assert any(len(row) > 2 for row in rows)
    loss = model.loss(model.lay(rows, CPU.device, grid))
    loss.total.backward()
    ours = gradients(model)
    expected = reference(model, encoded)
    expected.backward()
    theirs = gradients(model)
    torch.testing.assert_close(loss.total, expected, rtol=tolerance, atol=tolerance)
    assert ours.keys() == theirs.keys()
    for name, gradient in theirs.items():
        torch.testing.assert_close(
            ours[name], gradient, rtol=tolerance, atol=tolerance, msg=lambda m, n=name: f"{n}: {m}"
        )


def test_a_lean_pass_gives_the_same_bits():
    found = []
    for lean in (False, True):
        model = toy_model(dropout=0.1)
        model.module.train()
        torch.manual_seed(0)
        loss = model.loss(model.lay(rows_of(model.encode(toy_task(), toy_examples(12))), CPU.device), lean)
        loss.total.backward()
        found.append({"loss": loss.total.detach(), **gradients(model)})
    assert all(torch.equal(found[0][name], found[1][name]) for name in found[0])


def test_reading_memory_directly_is_attention(monkeypatch):
    model = toy_model()
    model.module.double()
    batch = model.lay(rows_of(model.encode(toy_task(), toy_examples(12))), CPU.device)
    found = []
    for few in (True, False):
        monkeypatch.setattr(stacks, "_few", lambda *_, few=few: few)
        found.append(model.loss(batch).total)
    torch.testing.assert_close(*found, rtol=1e-12, atol=1e-12)


def test_long_targets_read_keys_and_values():
    attention = toy_model().module.decoder.block[0].layer[1].EncDecAttention
    memory = torch.zeros(1, 20, 32)
    assert stacks._few(torch.zeros(1, 4, 4, 8), memory, attention)
    assert not stacks._few(torch.zeros(1, 4, 5, 8), memory, attention)


def test_z_loss_is_the_square_of_the_log_of_the_sum():
    model = toy_model()
    batch = model.lay([[e] for e in model.encode(toy_task(), toy_examples(3))], CPU.device)
    plain = model.loss(batch)
    model.z_loss = 1e-2
    states = []
    model.module.decoder.final_layer_norm.register_forward_hook(lambda *a: states.append(a[-1]))
    found = model.loss(batch)
    logits = (states[0].flatten(0, 1)[batch.places] * model.scale) @ model.module.lm_head.weight.T
    expected = plain.total + 1e-2 * logits.exp().sum(-1).log().square().sum()
    torch.testing.assert_close(found.total, expected)
    torch.testing.assert_close(found.each, plain.each)


def test_what_fills_the_grid_is_ignored():
    model = toy_model()
    batch = model.lay(rows_of(model.encode(toy_task(), toy_examples(5))), CPU.device, COARSE)
    assert batch.inputs.shape[0] % COARSE.rows == batch.inputs.shape[1] % COARSE.width == 0
    assert len(batch.labels) % COARSE.labels == 0
    assert (batch.labels == IGNORED).any()
    assert not model.loss(batch).each[batch.labels == IGNORED].any()


@pytest.mark.parametrize("grid", [FINE, COARSE], ids=["fine", "coarse"])
@pytest.mark.parametrize(
    "arrange", [packed(FINE, None), packed(FINE, 5), in_buckets(None)], ids=["rows", "5", "buckets"]
)
def test_every_arrangement_holds_every_example_and_its_task_once(arrange, grid):
    encoded = toy_model().encode(toy_task(), toy_examples(23))
    passes = as_passes(arrange(encoded), encoded, range(23), grid)
    for most in (None, 700, 300, 40, 1):
        pieces = [piece for part in passes for piece in part.cut(most)]
        held = [(id(e), k) for p in pieces for e, k in zip((e for r in p.rows for e in r), p.tasks, strict=True)]
        assert sorted(held) == sorted((id(e), k) for k, e in enumerate(encoded))
        assert most is None or all(p.padded <= max(most, p.width) for p in pieces)


@pytest.mark.parametrize("arrange", [packed(FINE, None), in_buckets(9)], ids=["rows", "buckets"])
@pytest.mark.parametrize("grid", [FINE, COARSE], ids=["fine", "coarse"])
def test_memory_is_asked_for_in_ever_smaller_pieces_and_then_said_to_be_too_small(grid, arrange):
    model, fit = toy_model(), Fit()
    encoded = model.encode(toy_task(), toy_examples(40))
    update = type("Update", (), {"passes": as_passes(arrange(encoded), encoded, [0] * 40, grid)})
    seen = []
    while not fit.lean:
        fit.shrink(update)
        seen.append((fit.most, fit.lean))
    with pytest.raises(GlueError, match=r"a single row does not fit into memory: use a smaller --model"):
        fit.shrink(update)
    assert len(seen) > 2
    halved = [most for most, _ in seen[:-1]]
    assert halved == sorted(set(halved), reverse=True)
    assert len(fit.notes) == len(seen)
    assert is_out_of_memory(torch.OutOfMemoryError("x"))
    assert not is_out_of_memory(RuntimeError("shapes differ"))


def test_dropout_is_unbiased_repeats_with_its_seed_and_passes_its_mask_to_the_gradient():
    x = torch.ones(1000, 1000, requires_grad=True)
    torch.manual_seed(0)
    found = dropped(x, 0.1)
    found.sum().backward()
    assert (found == 0).float().mean().item() == pytest.approx(0.1, abs=1e-3)
    assert found.mean().item() == pytest.approx(1, abs=1e-3)
    assert torch.equal(found, x.grad)
    assert (found.reshape(-1, 4) == 0).float().mean(0).tolist() == pytest.approx(
        [0.1] * 4, abs=2e-3
    )  # every part of a word
    torch.manual_seed(0)
    assert torch.equal(dropped(x, 0.1), found)
    assert dropped(x, 0.0) is x


def test_dropout_is_replaced_with_its_rate_and_back():
    module = nn.Sequential(nn.Linear(2, 2), nn.Sequential(nn.Dropout(0.3))).eval()
    plain = copy.deepcopy(module)
    replace_dropout(module)
    assert type(module[1][0]) is Dropout
    assert (module[1][0].p, module[1][0].training) == (0.3, False)
    replace_dropout(module, nn.Dropout)
    assert repr(module) == repr(plain)


def test_the_norm_of_a_gpu_is_that_of_transformers():
    """In value and gradient; on a CPU to the last bit."""
    from transformers.models.t5.modeling_t5 import T5LayerNorm

    theirs = T5LayerNorm(32)
    nn.init.normal_(theirs.weight)
    ours, x = Norm(theirs), 3 * torch.randn(4, 7, 32)
    x.requires_grad_()
    expected = theirs(x)
    assert torch.equal(ours(x), expected)
    torch.testing.assert_close(ours.fused(x), expected)
    wanted = torch.autograd.grad(expected.square().sum(), [x, theirs.weight])
    for found, gradient in zip(
        torch.autograd.grad(ours.fused(x).square().sum(), [x, ours.weight]), wanted, strict=True
    ):
        torch.testing.assert_close(found, gradient, rtol=1e-4, atol=1e-4)


def counted(made: list):
    def backend(graph, inputs):
        made.append(graph)
        return graph.forward

    return backend


def test_a_block_is_compiled_once_for_all_shapes_and_loses_nothing():
    """One graph for the encoder's blocks and one for the decoder's, whatever the sides of a batch."""
    model, made = toy_model(num_layers=3, num_heads=2), []
    model.compile(backend=counted(made))
    counts = []
    for examples in (40, 200, 90, 10):
        rows = rows_of(model.encode(toy_task(), toy_examples(examples)), COARSE)
        batch = model.lay(rows, CPU.device, COARSE)
        model.module.eval()
        alone = model.loss(batch).total
        alone.backward()
        expected = gradients(model)
        model.module.zero_grad()
        model.module.train()
        loss = model.loss(batch).total
        loss.backward()
        torch.testing.assert_close(loss, alone)
        for name, gradient in gradients(model).items():
            torch.testing.assert_close(gradient, expected[name])
        model.module.zero_grad()
        counts.append(len(made))
    assert counts == [2, 2, 2, 2]


def test_graphs_are_not_made_for_a_look_at_an_example_nor_where_memory_is_short():
    model, made = toy_model(num_layers=1), []
    model.compile(backend=counted(made))
    batch = model.lay([[e] for e in model.encode(toy_task(), toy_examples(2))], CPU.device)
    model.module.eval()
    model.loss(batch)
    model.module.train()
    model.loss(batch, lean=True)
    assert not made


def test_each_block_of_a_graph_drops_values_of_its_own_and_the_same_ones_backwards():
    block = toy_model(num_layers=1, dropout=0.5).module.encoder.block[0].train()
    graph = graphs.compiled(stacks.encoder_block, "aot_eager")
    states, bias = torch.randn(2, 7, 32, requires_grad=True), torch.zeros(2, 4, 7, 7)
    assert not torch.equal(graph(block, states, bias), graph(block, states, bias))

    def total(moved: torch.Tensor) -> torch.Tensor:
        torch.manual_seed(1)
        return graph(block, moved, bias).double().square().sum()

    (slope,) = torch.autograd.grad(total(states), states)
    step = 1e-3 * torch.randn_like(states)
    risen = (total(states + step) - total(states - step)).item() / 2
    assert risen == pytest.approx((slope * step).sum().item(), rel=2e-2)


def test_graphs_are_kept_in_our_cache_though_torch_has_chosen_a_folder(monkeypatch, tmp_path):
    from torch._inductor.runtime.cache_dir_utils import cache_dir, default_cache_dir

    monkeypatch.setenv("GLUE_CACHE", str(tmp_path))
    monkeypatch.setenv(graphs.FOLDER, default_cache_dir())  # as importing parts of transformers leaves it
    graphs.keep_graphs()
    assert cache_dir() == str(tmp_path / "graphs")
    monkeypatch.setenv(graphs.FOLDER, str(tmp_path / "own"))
    graphs.keep_graphs()
    assert cache_dir() == str(tmp_path / "own")


def test_what_did_not_fit_is_halved_until_it_does_and_remembered(monkeypatch, tmp_path):
    """A memory of 150 padded tokens: the update and its gradients stay."""
    monkeypatch.setenv("GLUE_CACHE", str(tmp_path))
    expected, halved = toy_model(), toy_model()
    tokens = {"toy": toy_tokens(expected, toy_examples(60))}
    update = Feed(expected, tokens, Sampler(0, [60], [1.0]), 48, packed(FINE, None)).update(0)
    whole = fitting(expected, update, CPU, Fit(), seed=0)
    honest = halved.loss

    def small(batch, lean):
        if batch.inputs.numel() > 150:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return honest(batch, lean)

    monkeypatch.setattr(halved, "loss", small)
    fit = Fit(key="toy")
    torch.testing.assert_close(fitting(halved, update, CPU, fit, seed=0), whole)
    theirs = gradients(halved)
    for name, gradient in gradients(expected).items():
        torch.testing.assert_close(theirs[name], gradient, rtol=1e-4, atol=1e-6)
    assert 0 < fit.most <= 150
    assert all(note.startswith("out of memory: passes of at most ") for note in fit.notes)
    assert json.loads((tmp_path / "fit-toy.json").read_text()) == {"most": fit.most, "lean": False}


def test_a_probe_finds_what_fits_before_the_first_step(monkeypatch, tmp_path):
    monkeypatch.setenv("GLUE_CACHE", str(tmp_path))
    model = toy_model()
    feed = Feed(model, {"toy": toy_tokens(model, toy_examples(9))}, Sampler(0, [9], [1.0]), 4, packed(FINE, None))
    fit = find_fit(model, CPU, 10)
    assert fit.most > 4096
    honest = model.loss

    def small(batch, lean):
        if batch.inputs.numel() > 3000:
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory")
        return honest(batch, lean)

    monkeypatch.setattr(model, "loss", small)
    fit.most = 8192
    probe(model, CPU, fit, feed, 512)
    assert fit.most <= 3000
    assert not gradients(model)
    assert fit.tried
    assert find_fit(model, CPU, 10).tried
    assert find_fit(model, CPU, 10).most == fit.most
    assert find_fit(toy_model(plan=toy_plan(max_input=64)), CPU, 10).most != fit.most


def test_answers_that_do_not_fit_are_given_in_halves(monkeypatch):
    model, task = toy_model(), toy_task()
    examples = toy_examples(20)
    expected = [p.text for p in answer(model, task, examples, toy_plan(), CPU)]
    honest = model.choose

    def small(batch, choices):
        if len(choices) > 3:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return honest(batch, choices)

    monkeypatch.setattr(model, "choose", small)
    assert [p.text for p in answer(model, task, examples, toy_plan(), CPU)] == expected
    monkeypatch.setattr(model, "choose", lambda *_: (_ for _ in ()).throw(torch.OutOfMemoryError("no")))
    with pytest.raises(GlueError, match="one example does not fit into memory to be answered"):
        answer(model, task, examples, toy_plan(), CPU)


def test_what_an_earlier_run_needed_is_said(monkeypatch, tmp_path):
    monkeypatch.setenv("GLUE_CACHE", str(tmp_path))
    model = toy_model()
    first = find_fit(model, CPU, 10)
    first.remember()
    assert not find_fit(model, CPU, 10).notes
    first.most = 100
    first.remember()
    (note,) = find_fit(model, CPU, 10).notes
    assert note == f"passes of at most 100 tokens, as an earlier run needed (fit-{first.key}.json in the cache)"


def test_a_compiled_loss_takes_dropout():
    model = toy_model(dropout=0.1, num_layers=1)
    model.module.train()
    model.compile(backend="aot_eager")
    batch = model.lay(rows_of(model.encode(toy_task(), toy_examples(20)), COARSE), CPU.device, COARSE)
    torch.manual_seed(0)
    first = model.loss(batch)
    torch.manual_seed(1)
    other = model.loss(batch)
    first.total.backward()
    assert gradients(model)
    assert first.total.item() != other.total.item()
