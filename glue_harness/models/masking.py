"""BERT's objective: some tokens of a text are hidden, each by a mask, another token or nothing, and are to be told."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import NamedTuple

from glue_harness.core.task import Masking
from glue_harness.models.interface import Encoded, Other
from glue_harness.models.objectives import part_of
from glue_harness.models.packing import Stream
from glue_harness.models.pairs import PairTokenizer


class Masked(NamedTuple):
    ids: list[int]
    places: list[int]  # of the tokens that are to be told, in their order
    labels: list[int]  # what they are


def mask(
    ids: Sequence[int], noise: Masking, mask_id: int, plain: Sequence[int], random: Random, goes_on: Sequence[bool] = ()
) -> Masked:
    """`share` of the tokens, rounded, and at least one; words that are hidden whole may make them a few more.

    `plain`: the ids that another token is drawn from. `goes_on`: of each token whether it goes on with the word of
    the one before it; empty where tokens are hidden one by one.
    """
    wanted = max(1, round(noise.share * len(ids)))
    words: list[list[int]] = []
    for place in range(len(ids)):
        if goes_on and goes_on[place] and words:
            words[-1].append(place)
        else:
            words.append([place])
    random.shuffle(words)
    places: list[int] = []
    for word in words:
        if len(places) >= wanted:
            break
        places += word
    hidden = list(ids)
    for place in sorted(places):
        drawn = random.random()
        if drawn < noise.masked:
            hidden[place] = mask_id
        elif drawn < noise.masked + noise.random:
            hidden[place] = plain[random.randrange(len(plain))]
    places.sort()
    return Masked(hidden, places, [ids[place] for place in places])


def masked(
    words: PairTokenizer,
    head: str,
    text: Encoded,
    noise: Masking,
    random: Random,
    other: Other,
    length: int,
    whole_words: bool,
) -> Encoded:
    """Of a text that is too long a part. Marks: where hidden tokens stand, then what they are; of a pair of segments,
    gold: whether the second follows the first."""
    around = [words.before_pair, words.between, words.after_pair] if noise.pairs else [words.before, words.after]
    room = length - sum(map(len, around))
    part, _ = part_of(text.streams[0], room, random)
    first, follows = len(part), None
    if noise.pairs:
        first, part, follows = segments(part, other(random).streams[0], room, random)
    goes_on = [words.goes_on[k] for k in part] if whole_words else ()
    found = mask(part, noise, words.mask, words.plain, random, goes_on)
    before, between, *after = around
    ids = [*before, *found.ids[:first], *between, *found.ids[first:], *(token for own in after for token in own)]
    places = [len(before) + place + len(between) * (place >= first) for place in found.places]
    gold = None if follows is None else float(follows)
    return Encoded((ids,), gold, head, marks=[*places, *found.labels], told=len(places))


def segments(part: Sequence[int], other: Stream, room: int, random: Random) -> tuple[int, list[int], bool]:
    """A text cut in two at a random token, the second half as it is or, as often, from another text.

    Gives the first one's length, both, and whether the second follows the first. Another text's is cut at random too:
    no segment shows by its own beginning where it is from.
    """
    cut = random.randint(1, max(1, len(part) - 1))
    if random.random() < 0.5 and cut < len(part):
        return cut, list(part), True
    begin = random.randint(0, max(0, len(other) - 2))
    second = list(map(int, other[begin : begin + min(room - cut, max(1, len(part) - cut))]))
    return cut, [*part[:cut], *second], False
