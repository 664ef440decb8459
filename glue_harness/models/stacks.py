"""T5's two stacks over packed rows, with transformers' modules and weights.

Tokens of several examples stand in one row; a token sees those of its own segment only. Segments are contiguous,
so distances within a row are the distances within an example, and T5's relative positions stay right.
Masks and position biases are made once a pass; the reference in the tests is transformers' own forward pass.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache, partial

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

from glue_harness.models.dropout import drawn_again, dropped
from glue_harness.models.interface import Parts
from glue_harness.models.packing import multiple

Block = Callable[..., Tensor]

THROUGH = "through"  # what a block whose weights lie in several processes has in the place of our functions
TABLE = 128  # tables of distances are made in multiples of it, not for each length


def parts_of(module: nn.Module) -> Parts:
    encoder, decoder, output = module.encoder, module.decoder, module.lm_head
    own_output = () if output.weight is encoder.embed_tokens.weight else (output,)
    return Parts(
        stacks=(encoder.block, decoder.block),
        feed_forwards=[block.layer[-1] for block in (*encoder.block, *decoder.block)],
        attention=("q", "v"),
        norms=[part.weight for name, part in module.named_modules() if name.endswith("layer_norm")],
        embeddings=encoder.embed_tokens,
        reader=encoder,
        through=(encoder_block, decoder_block),
        outside=[p for name, p in module.named_parameters() if "relative_attention_bias" in name],
        above=(encoder.final_layer_norm, decoder.final_layer_norm, *own_output),
        attentions=[
            *(block.layer[0].SelfAttention.o for block in (*encoder.block, *decoder.block)),
            *(block.layer[1].EncDecAttention.o for block in decoder.block),
        ],
    )


def encode(module: nn.Module, ids: Tensor, segments: Tensor, lean: bool = False, called: Block | None = None) -> Tensor:
    """The encoder's states. `called`: `encoder_block` or a graph of it.

    `lean` keeps no activations inside a block and computes them again instead.
    """
    stack = module.encoder
    seen = segments[:, None, :, None] == segments[:, None, None, :]
    states, bias = stack.dropout(stack.embed_tokens(ids)), None
    for block in stack.block:
        bias = _position_bias(block, seen, causal=False, last=bias)
        states = _called(called or encoder_block, lean, block, states, bias)
    return stack.dropout(stack.final_layer_norm(states))


def decode(
    module: nn.Module,
    ids: Tensor,
    segments: Tensor,
    memory: Tensor,
    memory_segments: Tensor,
    lean: bool = False,
    called: Block | None = None,
    own_segments: Tensor | None = None,
) -> Tensor:
    """The decoder's last states, not yet scaled for the head. `called`: `decoder_block` or a graph of it.

    A token reads the memory's tokens of its segment, and of the decoder's those of its own segment, where that is
    another: several answers to one question.
    """
    stack, length = module.decoder, ids.shape[1]
    own = segments if own_segments is None else own_segments
    seen = own[:, None, :, None] == own[:, None, None, :]
    seen = seen & torch.ones(length, length, dtype=torch.bool, device=ids.device).tril()
    states, bias = stack.dropout(stack.embed_tokens(ids)), None
    across = _mask(segments[:, None, :, None] == memory_segments[:, None, None, :], states.new_zeros(()))
    for block in stack.block:
        bias = _position_bias(block, seen, causal=True, last=bias)
        states = _called(called or decoder_block, lean, block, states, bias, memory, across)
    return stack.dropout(stack.final_layer_norm(states))


def encoder_block(block: nn.Module, states: Tensor, bias: Tensor) -> Tensor:
    return block.layer[-1](_self_attention(block.layer[0], states, bias))


def decoder_block(block: nn.Module, states: Tensor, bias: Tensor, memory: Tensor, across: Tensor) -> Tensor:
    states = _self_attention(block.layer[0], states, bias)
    layer = block.layer[1]
    read = _attend(layer.EncDecAttention, _lowered(layer.layer_norm(states)), memory, across, _rate(layer))
    return block.layer[-1](states + layer.dropout(read))


def _self_attention(layer: nn.Module, states: Tensor, bias: Tensor) -> Tensor:
    normed = _lowered(layer.layer_norm(states))
    return states + layer.dropout(_attend(layer.SelfAttention, normed, normed, bias, _rate(layer)))


def _attend(attention: nn.Module, x: Tensor, memory: Tensor, bias: Tensor, rate: float) -> Tensor:
    """T5 does not scale its scores. `bias` has the mask in it."""
    query = _heads(attention.q(x), attention)
    if _few(query, memory, attention):
        return attention.o(_read_directly(attention, query, memory, bias, rate))
    keys, values = _heads(attention.k(memory), attention), _heads(attention.v(memory), attention)
    if x.device.type == "cuda":
        mixed = functional.scaled_dot_product_attention(
            query,
            keys,
            values,
            attn_mask=bias.to(query.dtype).expand(-1, query.shape[1], -1, -1),
            dropout_p=rate,
            scale=1,
        )
    else:  # with a bias that learns, SDPA on a CPU computes in fp32: a third slower
        mixed = _shares(query @ keys.transpose(2, 3), bias, rate) @ values
    return attention.o(mixed.transpose(1, 2).flatten(2))


def _few(query: Tensor, memory: Tensor, attention: nn.Module) -> bool:
    """Whether keys and values of all of the memory would cost more than what the queries need of them."""
    plain = type(attention.k) is nn.Linear and type(attention.v) is nn.Linear  # LoRA and the like need their own call
    return plain and 2 * query.shape[1] * query.shape[2] <= memory.shape[2] and query.shape[2] < memory.shape[1]


def _read_directly(attention: nn.Module, query: Tensor, memory: Tensor, bias: Tensor, rate: float) -> Tensor:
    """The same attention with the key and value matrices moved to the queries' side, where there is little to do."""
    _, heads, length, size = query.shape
    keys, values = (part.weight.view(heads, size, -1) for part in (attention.k, attention.v))
    wanted = torch.einsum("rhqs,hsm->rhqm", query, keys).flatten(1, 2)
    scores = (wanted @ memory.transpose(1, 2)).unflatten(1, (heads, length))
    read = (_shares(scores, bias, rate).flatten(1, 2) @ memory).unflatten(1, (heads, length))
    return torch.einsum("rhqm,hsm->rqhs", read, values).flatten(2)


def _shares(scores: Tensor, bias: Tensor, rate: float) -> Tensor:
    shares = torch.softmax(scores + bias.to(scores.dtype), dim=-1, dtype=scores.dtype)
    return dropped(shares, rate) if rate else shares


def _rate(layer: nn.Module) -> float:
    return layer.dropout.p if layer.training else 0.0


def _heads(x: Tensor, attention: nn.Module) -> Tensor:
    return x.view(*x.shape[:-1], -1, attention.key_value_proj_dim).transpose(1, 2)


def _lowered(x: Tensor) -> Tensor:
    """In the precision of autocast at once, instead of in each of the products that read it."""
    kind = x.device.type
    return x.to(torch.get_autocast_dtype(kind)) if torch.is_autocast_enabled(kind) else x


def _called(function: Block, lean: bool, block: nn.Module, *rest: Tensor) -> Tensor:
    run = getattr(block, THROUGH, None) or partial(function, block)
    if lean:
        return checkpoint(run, *rest, use_reentrant=False, context_fn=drawn_again)
    return run(*rest)


def _mask(seen: Tensor, bias: Tensor) -> Tensor:
    """The bias where seen. Not minus infinity elsewhere: padding may see nothing, and must not give NaN."""
    lowered = _lowered(bias)
    return lowered.masked_fill(~seen, torch.finfo(lowered.dtype).min)


def _position_bias(block: nn.Module, seen: Tensor, *, causal: bool, last: Tensor | None) -> Tensor:
    """What each head has learned of each distance, and the mask. A layer without its own takes the last one's."""
    attention = block.layer[0].SelfAttention
    if not attention.has_relative_attention_bias:
        return last
    length = seen.shape[-1]
    number, farthest = attention.relative_attention_num_buckets, attention.relative_attention_max_distance
    buckets = _buckets(multiple(length, TABLE), causal, number, farthest, seen.device)[:length, :length]
    return _mask(seen, attention.relative_attention_bias(buckets).permute(2, 0, 1))


@cache  # few lengths there are, and a CUDA graph knows where a table lies: none may go
def _buckets(length: int, causal: bool, number: int, farthest: int, device: torch.device) -> Tensor:
    """T5's number for each distance: near ones have their own, far ones share on a logarithmic scale."""
    places = torch.arange(length)
    distance = places[None] - places[:, None]
    after = torch.zeros_like(distance)
    if causal:
        distance = -distance.clamp(max=0)
    else:
        number //= 2
        after, distance = number * (distance > 0), distance.abs()
    exact = number // 2
    far = exact + (torch.log(distance.float() / exact) / math.log(farthest / exact) * (number - exact)).long()
    return (after + torch.where(distance < exact, distance, far.clamp(max=number - 1))).to(device)
