"""Rows of the T5 paper's Tables 4 and 5 that hide tokens drawn one by one: what is shown, what is told, how much of it."""

from __future__ import annotations

from collections import Counter
from random import Random
from types import SimpleNamespace

import pytest

from glue_harness import Plan, load_tasks, run
from glue_harness.models.denoising import drawn
from glue_harness.models.tokenizer import EOS, SENTINELS, UNK

NOISE = {name: task.noise for name, task in load_tasks().tasks.items()}
WORDS = SimpleNamespace(size=32_000, first_sentinel=32_099)
WAYS = ("mass_style", "replace_spans", "drop_tokens", "deshuffling")


def sides(name, length, draw, limits=(512, 512)):
    inputs, targets = drawn(range(1000, 1000 + length), NOISE[name], limits, WORDS, Random(draw))
    assert inputs[-1] == targets[-1] == EOS
    assert len(inputs) <= limits[0]
    assert len(targets) <= limits[1]
    return inputs[:-1], targets[:-1]


@pytest.mark.parametrize("length", [1, 2, 10, 100])
def test_mass_style_hides_behind_one_sentinel_and_tells_the_whole_text(length):
    for draw in range(100):
        inputs, targets = sides("mass_style", length, draw)
        assert targets == list(range(1000, 1000 + length))
        changed = [a for a, b in zip(inputs, targets, strict=True) if a != b]
        assert changed == [WORDS.first_sentinel] * max(1, round(0.15 * length))


@pytest.mark.parametrize("length", [1, 2, 10, 100])
def test_replaced_spans_are_told_behind_their_sentinels(length):
    touching = 0
    for draw in range(100):
        inputs, targets = sides("replace_spans", length, draw)
        sentinels = [token for token in inputs if token > WORDS.size]
        assert sentinels == [WORDS.first_sentinel - k for k in range(len(sentinels))]
        told = {}
        for token in targets:
            if token > WORDS.size:
                told[token] = []
            else:
                told[next(reversed(told))].append(token)
        put_back = [t for token in inputs for t in (told[token] if token > WORDS.size else [token])]
        assert put_back == list(range(1000, 1000 + length))
        number = sum(map(len, told.values()))
        assert number == max(1, round(0.15 * length))
        touching += number - len(sentinels)
        assert list(told)[: len(sentinels)] == sentinels
        assert len(told) - len(sentinels) == (inputs[-1] < WORDS.size)  # one more where the text goes on
    if length == 100:  # of 15 tokens among 100, 14 x 15 / 100 stand right behind another one
        assert abs(touching / 100 - 2.1) < 0.5


@pytest.mark.parametrize("length", [1, 2, 10, 100])
def test_dropped_tokens_are_told_in_their_order(length):
    for draw in range(100):
        inputs, targets = sides("drop_tokens", length, draw)
        assert len(targets) == max(1, round(0.15 * length))
        assert sorted([*inputs, *targets]) == list(range(1000, 1000 + length))
        assert (inputs, targets) == (sorted(inputs), sorted(targets))


def test_each_place_is_hidden_as_often_as_any_other():
    hidden = Counter(token for draw in range(2000) for token in sides("drop_tokens", 40, draw)[1])
    for place in range(40):
        assert abs(hidden[1000 + place] / 2000 - 0.15) < 4.5 * (0.15 * 0.85 / 2000) ** 0.5


def test_shuffled_tokens_may_stand_anywhere():
    first = Counter()
    for draw in range(2000):
        inputs, targets = sides("deshuffling", 8, draw)
        assert targets == list(range(1000, 1008)) == sorted(inputs)
        first[inputs[0]] += 1
    for token in targets:
        assert abs(first[token] / 2000 - 1 / 8) < 4.5 * (1 / 8 * 7 / 8 / 2000) ** 0.5


@pytest.mark.parametrize("name", WAYS)
@pytest.mark.parametrize("limits", [(512, 512), (40, 9), (9, 40), (2000, 2000), (4, 4)])
def test_of_a_text_that_is_too_long_a_part_fits_on_both_sides(name, limits):
    starts = set()
    for draw in range(60):
        inputs, targets = sides(name, 3000, draw, limits)
        assert (inputs, targets) == sides(name, 3000, draw, limits)  # a function of the draw
        tokens = [token for token in (*inputs, *targets) if UNK < token < WORDS.size]
        assert len({token - k for k, token in enumerate(sorted(set(tokens)))}) == 1  # without a gap
        assert all(WORDS.first_sentinel - SENTINELS < token for token in (*inputs, *targets) if token > WORDS.size)
        starts.add(min(tokens))
    assert len(starts) > 30


def test_where_no_token_fits_behind_its_sentinel_none_is_asked():
    assert sides("replace_spans", 9, 0, (9, 3)) == sides("replace_spans", 9, 0, (2, 2)) == ([], [])


@pytest.mark.parametrize("name", WAYS)
def test_a_t5_is_trained_on_it(name, tmp_path):
    plan = Plan((name,), model="tiny", device="cpu", precision="fp32", max_input=40, max_target=30, data="demo:40",
                batch_size=8, steps=2)  # fmt: skip
    record = run(plan, results=tmp_path)
    assert (record.status, record.mix[name]["seen"]) == ("finished", 16)
