"""What a T5 learns from text alone: span corruption, and other rows of the T5 paper's Tables 4 and 5."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from itertools import count
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
    """What is hidden is as much as the share says, rounded, and at least one; T5's code draws for each token alone."""
    part, _ = part_of(text, longest_denoised(noise, inputs, targets), random)
    if noise.way == "shuffled":
        return [*random.sample(part, len(part)), EOS], [*part, EOS]
    places = set(random.sample(range(len(part)), hidden(noise, len(part))))
    mask = [place in places for place in range(len(part))]
    if noise.way == "spans":
        shown, told = corrupt(part, mask, lambda span: words.first_sentinel - span)
        return [*shown, EOS], [*told, EOS]
    if noise.way == "dropped":
        shown, told = (
            [token for token, gone in zip(part, mask, strict=True) if gone == kind] for kind in (False, True)
        )
        return [*shown, EOS], [*told, EOS]
    shown = [
        token
        if not gone
        else random.randrange(UNK + 1, words.size)
        if random.random() < noise.random
        else words.first_sentinel
        for token, gone in zip(part, mask, strict=True)
    ]
    return [*shown, EOS], [*part, EOS]


def hidden(noise: Denoising, length: int) -> int:
    return min(length, max(1, round(noise.share * length)))


@cache
def longest_denoised(noise: Denoising, inputs: int, targets: int) -> int:
    """The longest text of which both sides fit with their ends, whatever is drawn: no two hidden tokens may touch."""
    if noise.way in ("masked", "shuffled"):
        return min(inputs, targets) - 1

    def fits(length: int) -> bool:
        gone = hidden(noise, length)
        if noise.way == "dropped":
            return length - gone < inputs and gone < targets
        return length < inputs and 2 * gone + 1 < targets and gone < SENTINELS  # one more sentinel ends them

    return next(length for length in count() if not fits(length + 1))
