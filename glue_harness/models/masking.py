"""BERT's objective: some tokens of a text are hidden, each by a mask, another token or nothing, and are to be told."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import NamedTuple

from glue_harness.core.task import Masking


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
