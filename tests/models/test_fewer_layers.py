"""Layers left out: what stays computes as before, and is saved, loaded and exported as an ordinary smaller model."""

from random import Random

import pytest
import torch
from decoders import write_decoder
from encoders import SIZES, write_encoder
from toys import CPU, toy_model
from transformers import T5Config, T5ForConditionalGeneration
from transformers.models.umt5 import UMT5Config, UMT5ForConditionalGeneration

from glue_harness.core.errors import UsageError
from glue_harness.core.plan import Plan
from glue_harness.models.families import load_model
from glue_harness.models.layers import every_other, keep_layers
from glue_harness.models.stacks import encode
from glue_harness.suite.registry import load_tasks

REGISTRY = load_tasks()
RTE = REGISTRY.tasks["rte"]
LEFT = ["bert", "roberta", "electra", "mpnet", "deberta-v2", "modernbert", "distilbert"]


def loaded(folder, **changes):
    model = load_model(Plan(("rte",), model=str(folder), device="cpu", precision="fp32", **changes), [RTE], ())
    model.module.eval()
    return model


def batch_of(model):
    examples = [RTE.examples(row, number)[0] for number, row in enumerate(RTE.demo(Random(0), 3))]
    return model.lay([[e] for e in model.encode(RTE, examples)], CPU.device)


def losses(model) -> torch.Tensor:
    with torch.no_grad():
        return model.loss(batch_of(model)).each


@pytest.mark.parametrize("kind", LEFT)
def test_an_encoder_without_some_layers_is_an_ordinary_smaller_one(kind, tmp_path):
    (tmp_path / "whole").mkdir(), (tmp_path / "less").mkdir()
    model = loaded(write_encoder(tmp_path / "whole", kind))
    (stack,) = model.parts().stacks
    whole = losses(model)
    stay = list(stack)[::2]
    keep_layers(model, every_other(model))
    assert list(model.parts().stacks[0]) == stay
    less = losses(model)
    assert not torch.allclose(less, whole)
    assert {name for name, _ in model.module.named_parameters()} == model.plain
    model.save(tmp_path / "less")
    again = loaded(tmp_path / "less")
    assert len(again.parts().stacks[0]) == len(stay) == again.config.num_hidden_layers
    assert torch.equal(losses(again), less)


def test_what_is_left_out_is_left_out_of_the_sum(tmp_path):
    """Blocks whose output is what comes in may as well be left out: the numbers stay the same."""
    model = loaded(write_decoder(tmp_path, "llama"))
    (stack,) = model.parts().stacks
    with torch.no_grad():
        for part in (stack[0].self_attn.o_proj, stack[0].mlp.down_proj):
            part.weight.zero_()
    whole = losses(model)
    keep_layers(model, [[1]])
    assert torch.equal(losses(model), whole)


@pytest.mark.parametrize("kind", ["gpt2", "qwen3"])
def test_a_decoder_still_writes(kind, tmp_path):
    (tmp_path / "whole").mkdir(), (tmp_path / "less").mkdir()
    model = loaded(write_decoder(tmp_path / "whole", kind), max_input=90)
    keep_layers(model, [[1]])
    written = model.write(batch_of(model), 4)
    model.save(tmp_path / "less")
    again = loaded(tmp_path / "less", max_input=90)
    assert again.config.num_hidden_layers == 1
    assert again.write(batch_of(again), 4) == written
    assert torch.equal(losses(again), losses(model))


@pytest.mark.parametrize("kept", [[[0, 2], [0, 1]], [[1, 2], [2]]])
def test_a_t5_hands_its_distances_on(kept, tmp_path):
    """They lie in the lowest layer of each stack, and all the others read them there."""
    model = toy_model(num_layers=3, num_decoder_layers=3)
    tables = [stack[0].layer[0].SelfAttention.relative_attention_bias.weight for stack in model.parts().stacks]
    keep_layers(model, kept)
    for stack, table in zip(model.parts().stacks, tables, strict=True):
        assert stack[0].layer[0].SelfAttention.relative_attention_bias.weight is table
    config = model.module.config
    assert (config.num_layers, config.num_decoder_layers) == tuple(map(len, kept))
    fresh = T5ForConditionalGeneration(T5Config.from_dict(config.to_dict())).eval()
    fresh.load_state_dict(model.module.state_dict())  # every name is there and none too many
    ids = torch.arange(1, 9)[None]
    states = encode(model.module, ids, torch.ones_like(ids))
    assert torch.allclose(fresh.encoder(ids).last_hidden_state, states, atol=1e-6)
    ours, theirs = (m.generate(ids, max_new_tokens=4, do_sample=False) for m in (model.module, fresh))
    assert ours.tolist() == theirs.tolist()


def test_of_a_umt5_every_layer_has_its_own_distances():
    model = toy_model()
    size = {"d_model": 32, "d_kv": 8, "d_ff": 64, "num_layers": 2, "num_heads": 4}
    model.module = UMT5ForConditionalGeneration(UMT5Config(vocab_size=50, decoder_start_token_id=0, **size))
    model.config = model.module.config
    second = model.parts().stacks[0][1].layer[0].SelfAttention.relative_attention_bias.weight
    keep_layers(model, [[1], [1]])
    assert model.parts().stacks[0][0].layer[0].SelfAttention.relative_attention_bias.weight is second


def test_a_model_whose_layers_cannot_go_says_why(tmp_path):
    assert "albert" in SIZES
    for kind in ("albert", "modernbert"):
        (tmp_path / kind).mkdir()
    albert = loaded(write_encoder(tmp_path / "albert", "albert"))
    with pytest.raises(UsageError, match="uses the same layer 2 times: none can be left out"):
        keep_layers(albert, [[0]])
    modern = loaded(write_encoder(tmp_path / "modernbert", "modernbert"))
    with pytest.raises(UsageError, match="its first layer differs from the others"):
        keep_layers(modern, [[1, 2]])
    bilstm = load_model(Plan(("rte",), model="bilstm", device="cpu", own={"lstm_size": 4}), [RTE], ["a b c"] * 9)
    with pytest.raises(UsageError, match="'bilstm' has no layers that could be left out"):
        keep_layers(bilstm, [])
