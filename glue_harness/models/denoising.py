"""What a T5 learns from text alone: span corruption, and other rows of the T5 paper's Tables 3 and 4."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

from glue_harness.core.task import Denoising, Noise, Prefix, SpanNoise
from glue_harness.models.objectives import part_of
from glue_harness.models.packing import Stream
from glue_harness.models.tokenizer import EOS, SENTINELS, UNK, Tokenizer
from glue_harness.suite.spans import corrupt, draw_mask, longest

Sides = tuple[list[int], list[int]]  # inputs and targets


def drawn(text: Stream, noise: Noise, lengths: Sequence[int], words: Tokenizer, random: Random) -> Sides:
    """What a draw makes of a text. Of one that is too long, as T5 does, a part that begins at a random token."""
    most_in, most_out = lengths
    if isinstance(noise, Prefix):
        return continued(text, most_in, most_out, random)
    if isinstance(noise, Denoising):
        return denoised(text, noise, most_in, most_out, words, random)
    assert isinstance(noise, SpanNoise), "check refuses others"
    part, _ = part_of(text, longest(noise, most_in, most_out, SENTINELS), random)
    inputs, targets = corrupt(part, draw_mask(noise, random, len(part)), lambda span: words.first_sentinel - span)
    return [*inputs, EOS], [*targets, EOS]


def continued(text: Stream, inputs: int, targets: int, random: Random) -> Sides:
    """So many tokens, drawn first, that both sides fit with their ends; and what follows them."""
    cut = random.randint(1, max(1, min(inputs, len(text)) - 1))
    part, _ = part_of(text, cut + targets - 1, random)
    return [*part[:cut], EOS], [*part[cut:], EOS]


def denoised(text: Stream, noise: Denoising, inputs: int, targets: int, words: Tokenizer, random: Random) -> Sides:
    """The first sentinel, or as often as `noise.random` says another token, in the place of each hidden token."""
    part, _ = part_of(text, min(inputs, targets) - 1, random)
    hidden = set(random.sample(range(len(part)), max(1, round(noise.share * len(part)))))
    shown = [
        token
        if place not in hidden
        else random.randrange(UNK + 1, words.size)
        if random.random() < noise.random
        else words.first_sentinel
        for place, token in enumerate(part)
    ]
    return [*shown, EOS], [*part, EOS]
