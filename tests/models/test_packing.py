"""T5's packer on vectors from its own code, and the properties of the packer that fills rows better."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from glue_harness.models.packing import Grid, best_fit, cost, decoder_inputs, lay_out, pack, t5_rows
from glue_harness.models.tokenizer import cut

GOLDEN = [json.loads(line) for line in (Path(__file__).parent.parent / "golden/packing.jsonl").read_text().splitlines()]
SIZES = st.lists(st.tuples(st.integers(1, 60), st.integers(1, 9)), min_size=1, max_size=40)


def trimmed(ids, length):
    """The vectors' features are cut before they are packed, and what is left has the size of its ids that are not 0."""
    cut_off = ids[:length]
    return cut_off[: np.count_nonzero(cut_off)]


def packed(examples, lengths):
    names = sorted(lengths)
    cut = [{name: trimmed(example[name], lengths[name]) for name in names} for example in examples]
    rows = t5_rows([[len(e[name]) for name in names] for e in cut], [lengths[name] for name in names])
    return {name: lay_out([[cut[k][name] for k in row] for row in rows], len(rows), lengths[name]) for name in names}


def alone(examples, lengths):
    return {
        name: lay_out([[trimmed(e[name], length)] for e in examples], len(examples), length)
        for name, length in lengths.items()
    }


def as_rows(columns):
    return [dict(zip(columns, row, strict=True)) for row in zip(*(c.tolist() for c in columns.values()), strict=True)]


def trim_and_pack(examples, lengths):
    laid = packed(examples, lengths)
    parts = {"": "ids", "_positions": "positions", "_segment_ids": "segments"}
    return as_rows({n + ending: getattr(f, part) for n, f in laid.items() for ending, part in parts.items()})


def trim_and_pad(examples, lengths):
    return as_rows({name: laid.ids for name, laid in alone(examples, lengths).items()})


def append_eos_after_trim(examples, lengths):
    return [{name: cut(e[name], length) for name, length in lengths.items()} for e in examples]


def enc_dec_features(examples, lengths, pack):
    laid = packed(examples, lengths) if pack else alone(examples, lengths)
    inputs, targets = laid["inputs"], laid["targets"]
    found = {
        "encoder_input_tokens": inputs.ids,
        "decoder_target_tokens": targets.ids,
        "decoder_input_tokens": decoder_inputs(targets.ids, targets.segments if pack else None),
        "decoder_loss_weights": (targets.ids != 0).astype(int),
    }
    if pack:
        found |= {
            "encoder_positions": inputs.positions,
            "decoder_positions": targets.positions,
            "encoder_segment_ids": inputs.segments,
            "decoder_segment_ids": targets.segments,
        }
    return as_rows(found)


@pytest.mark.parametrize("vector", GOLDEN, ids=[vector["id"] for vector in GOLDEN])
def test_packing_is_t5s(vector):
    functions = (trim_and_pack, trim_and_pad, append_eos_after_trim, enc_dec_features)
    make = {function.__name__: function for function in functions}[vector["task"]]
    assert make(**vector["raw"]) == vector["expect"]


def test_a_group_ends_where_t5_stops_reading():
    assert t5_rows([(1, 1)] * 5, (3, 3)) == [[0, 1, 2], [3, 4]]
    assert t5_rows([(1, 1)] * 5, (3, 4)) == [[0, 1, 2], [3], [4]]


@given(SIZES)
def test_every_example_stands_in_one_row_that_has_room(sizes):
    rows = best_fit(sizes, 60, (12,))
    assert sorted(k for row in rows for k in row) == list(range(len(sizes)))
    assert all(sum(sizes[k][0] for k in row) <= 60 and sum(sizes[k][1] for k in row) <= 12 for row in rows)


def test_an_example_goes_into_the_fullest_row_that_has_room_in_every_stream():
    assert best_fit([(6,), (5,), (4,), (3,)], 10, ()) == [[0, 2], [1, 3]]
    assert best_fit([(7, 2), (6, 1), (5, 1), (3, 1)], 10, (2,)) == [[0], [1, 3], [2]]  # row 0 has no depth left
    assert best_fit([(5, 1, 9), (5, 1, 9)], 10, (2, 10)) == [[0], [1]]  # the third stream is full
    assert best_fit([(5, 1, 5), (5, 1, 5)], 10, (2, 10)) == [[0, 1]]
    assert best_fit([(2, 7), (2, 1)], 10, (3,)) == [[0], [1]]  # deeper than a row's share: a row as deep as it is


def test_the_cost_is_of_padded_tokens_and_of_the_attention_between_them():
    sizes = [(3, 90), (4, 90), (5, 90)]
    assert cost([[0, 1], [2]], sizes) == pytest.approx(2 * 7 * (1 + 7 / 1500))
    assert cost([[0, 1], [2]], sizes, Grid(width=4, rows=4)) == pytest.approx(4 * 8 * (1 + 8 / 1500))
    assert cost([[0, 1, 2]], sizes) < cost([[0, 1], [2]], sizes)


def test_long_targets_do_not_all_come_to_stand_in_one_row():
    """A row holds twice its share of the targets at most, and what one example may have on top."""
    sizes = [(10, 100)] * 40 + [(10, 1)] * 60 + [(100, 1)]
    rows = pack(sizes)
    widths, depths = ([sum(sizes[k][stream] for k in row) for row in rows] for stream in (0, 1))
    width = max(widths)
    assert max(depths) <= 100 + 2 * width * 4061 // 1100 < 100 * (width // 10)  # as many as the width has room for
    assert max(depths) > 100 + width * 4061 // 1100


@given(SIZES)
def test_packing_never_costs_more_than_padding_each(sizes):
    rows = pack(sizes)
    assert sorted(k for row in rows for k in row) == list(range(len(sizes)))
    assert cost(rows, sizes) <= cost([[k] for k in range(len(sizes))], sizes)


def test_lengths_like_glues_leave_little_padding():
    random = np.random.default_rng(0)
    sizes = [(int(n), 3) for n in np.clip(random.lognormal(3.7, 0.5, 64), 8, 128)]
    rows = pack(sizes)
    width = max(sum(sizes[k][0] for k in row) for row in rows)
    assert 1 - sum(n for n, _ in sizes) / (len(rows) * width) < 0.06


def test_a_grid_gives_few_shapes():
    grid = Grid(width=128, rows=8)
    shapes = {cost(pack([(30, 3)] * n, grid), [(30, 3)] * n, grid) for n in range(40, 50)}
    assert len(shapes) <= 2
