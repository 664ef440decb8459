"""When two texts are the same, and which rows of one split stand in another."""

import tracemalloc
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from glue_harness import data, load_tasks
from glue_harness.data.texts import NOT_A_WORD, Overlap, digest, found_among, normal, overlap, row_texts

TASKS = load_tasks().tasks


@pytest.mark.parametrize(
    ("text", "form"),
    [
        ("Don't stop!", "don t stop"),
        (" don 't\tstop\u00a0", "don t stop"),
        ("“Don’t”—stop…", "don t stop"),
        ("snake_case 3.5 %", "snake case 3 5"),
        ("Cafe\u0301 ＡＢＣ", "café abc"),
        ("?!", ""),
    ],
)
def test_case_white_space_and_punctuation_are_folded(text, form):
    assert normal(text).decode() == form


@given(st.text(alphabet=st.characters(max_codepoint=127)))
def test_the_short_way_for_ascii_is_the_same_rule(text):
    assert normal(text) == NOT_A_WORD.sub(" ", text.lower()).strip().encode()


def test_a_row_is_its_longer_texts_and_its_question_in_any_order():
    pair = {"sentence1": "It is so.", "sentence2": "It is not so"}
    there = row_texts(TASKS["rte"], pair)
    swapped = row_texts(TASKS["mrpc"], {"sentence1": "it is NOT so", "sentence2": "it is so"})
    assert there == swapped
    assert len(there.texts) == 2
    short = row_texts(TASKS["rte"], {"sentence1": "It is.", "sentence2": "yes, really so"})
    assert len(short.texts) == 1
    assert short.question not in (there.question, *short.texts)
    one = row_texts(TASKS["sst2"], {"sentence": "a good film"})
    assert one.question != one.texts[0]
    assert row_texts(TASKS["sst2"], {"sentence": "good"}).texts == ()
    assert row_texts(TASKS["wmt_en_de"], {"translation": {"en": "it is so", "de": "es ist so"}}).texts != ()
    assert digest(b"a", 0) != digest(b"a", 1) != digest(b"a", 2)


def test_an_overlap_counts_texts_and_whole_questions():
    rows = [
        {"sentence1": "This is a", "sentence2": "this is b"},  # whole, exchanged there
        {"sentence1": "this is b", "sentence2": "this is c"},  # one text
        {"sentence1": "this is d", "sentence2": "this is e"},
        {"sentence1": "yes", "sentence2": "no"},  # short, but the question is the same
    ]
    trained = [{"sentence1": "this is b!", "sentence2": "this is a"}, {"sentence1": "Yes", "sentence2": "no"}]
    of_rows = [row_texts(TASKS["mrpc"], row) for row in rows]
    wanted = {found for row in of_rows for found in row.all}
    assert overlap(of_rows, found_among(wanted, TASKS["stsb"], trained)) == Overlap(4, frozenset({0, 1, 3}), 2)
    assert overlap(of_rows, set()) == Overlap(4, frozenset(), 0)


@pytest.mark.parametrize(
    ("scored", "trained", "rows", "with_text", "whole"),
    [
        ("mrpc", "stsb", 408, 63, 48),
        ("stsb", "mrpc", 1500, 133, 111),
        ("rte", "rte", 277, 105, 0),
        ("mrpc", "mrpc", 408, 43, 1),
        ("wic", "wic", 638, 96, 0),
    ],
)
def test_official_splits_share_what_the_docs_say(shared, scored, trained, rows, with_text, whole):
    where = str(shared / "data")
    of_rows = [row_texts(TASKS[scored], row) for row in data.load(TASKS[scored], "validation", where)]
    wanted = {found for row in of_rows for found in row.all}
    found = overlap(of_rows, found_among(wanted, TASKS[trained], data.load(TASKS[trained], "train", where)))
    assert (found.rows, len(found.shared), found.whole) == (rows, with_text, whole)


@pytest.mark.slow
def test_many_rows_stream_by_in_memory_that_does_not_grow_with_them():
    random, words = Random(0), [f"w{k}" for k in range(5000)]

    def stream(n):
        return ({"sentence1": " ".join(random.choices(words, k=20)), "sentence2": "a b c"} for _ in range(n))

    of_rows = [row_texts(TASKS["rte"], row) for row in stream(2_000)]
    wanted = {found for row in of_rows for found in row.all}
    peaks = []
    for n in (4_000, 40_000):
        tracemalloc.start()
        found_among(wanted, TASKS["rte"], stream(n))
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < peaks[0] + 100_000
