"""Answers: strict equals free greedy decoding, closed equals decoding constrained by a trie."""

from types import SimpleNamespace

import pytest
import torch
from toys import CPU, LABELS, toy_examples, toy_model, toy_plan, toy_task

from glue_harness.core.task import Example
from glue_harness.models.t5 import T5
from glue_harness.models.tokenizer import EOS
from glue_harness.models.trie import build_trie
from glue_harness.train.answers import answer
from glue_harness.train.feed import by_length

EXAMPLES = toy_examples(60, seed=1)


def trained(steps: int) -> T5:
    """A model pushed towards the labels: between never and nearly always valid."""
    model = toy_model(seed=3)
    optimizer = torch.optim.AdamW(model.module.parameters(), lr=3e-3)
    for step in range(steps):
        batch = model.lay([[e] for e in model.encode(toy_task(), toy_examples(16, seed=100 + step))], CPU.device)
        loss = model.loss(batch)
        (loss.total / len(loss.each)).backward()
        optimizer.step()
        optimizer.zero_grad()
    return model


@pytest.fixture(scope="module", params=[0, 12, 25, 60], ids="trained for {} steps".format)
def model(request) -> T5:
    return trained(request.param)


def reference(model: T5, example: Example, length: int, **options) -> str:
    """What transformers' own generate says to one unpadded example."""
    ids = torch.tensor([model.encode(toy_task(), [example])[0].streams[0]])
    out = model.module.eval().generate(input_ids=ids, max_new_tokens=length, do_sample=False, num_beams=1, **options)
    return model.tokenizer.decode(out[0, 1:].tolist())


def test_strict_equals_generate_on_every_example(model):
    plan = toy_plan(answers="strict", eval_tokens=300)
    found = answer(model, toy_task(), EXAMPLES, plan, CPU)
    assert [p.text for p in found] == [reference(model, e, plan.max_answer) for e in EXAMPLES]
    assert [p.label for p in found] == [LABELS.index(p.text) if p.text in LABELS else None for p in found]


def test_the_models_cover_valid_and_invalid_answers():
    shares = []
    for steps in (0, 25, 60):
        found = answer(trained(steps), toy_task(), EXAMPLES, toy_plan(answers="strict"), CPU)
        shares.append(sum(p.label is None for p in found) / len(found))
    assert max(shares) > 0.5
    assert min(shares) < 0.5


def test_closed_equals_trie_constrained_generate(model):
    root = build_trie(LABELS, [[*ids, EOS] for ids in model.tokenizer.encode(LABELS)])

    def allowed(_: int, prefix: torch.Tensor) -> list[int]:
        node = root
        for token in prefix[1:].tolist():
            node = node.children[token]
        return list(node.children) or [0]

    found = answer(model, toy_task(), EXAMPLES, toy_plan(eval_tokens=300), CPU)
    expected = [reference(model, e, 12, prefix_allowed_tokens_fn=allowed) for e in EXAMPLES]
    assert [p.text for p in found] == expected
    assert all(p.label is not None for p in found)


def test_closed_answers_may_differ_from_row_to_row(model):
    rows = [Example(str(k), e.inputs, "x", {}, 0, choices=LABELS[k % 3 : k % 3 + 2]) for k, e in enumerate(EXAMPLES)]
    found = answer(model, toy_task(), rows, toy_plan(), CPU)
    assert all(p.text in p.example.choices for p in found)


def test_rows_without_choices_are_answered_freely(model):
    free = Example("free", EXAMPLES[0].inputs, "x", {}, 0)
    mixed = [EXAMPLES[1], free, EXAMPLES[2]]
    found = answer(model, toy_task(), mixed, toy_plan(), CPU)
    assert found[1].text == reference(model, free, 12)
    assert found[0].text in LABELS


def test_shares_of_probability_sum_to_one_over_sibling_answers(model):
    task = toy_task("pair", ("good", "bad one"))
    found = answer(model, task, toy_examples(10, task), toy_plan(), CPU)
    for prediction in found:
        assert sum(prediction.scores.values()) == pytest.approx(1, abs=1e-5)
        assert max(prediction.scores, key=prediction.scores.get) == prediction.text


def test_batches_keep_every_row_once_within_the_budget():
    encoded = toy_model().encode(toy_task(), EXAMPLES)
    batches = by_length(encoded, 100, 20)
    assert sorted(k for batch in batches for k in batch) == list(range(len(EXAMPLES)))
    assert all(len(b) * max(encoded[k].length for k in b) <= 100 or len(b) == 1 for b in batches)
    longest = max(e.length for e in encoded)
    assert all(len(b) * encoded[b[0]].length - sum(encoded[k].length for k in b) <= 20 + longest for b in batches)
    assert len(by_length(encoded, 10**6, 10**6)) == 1


def test_a_batch_ends_where_its_padding_costs_as_much_as_one_batch_more():
    def batches(lengths, budget, waste):
        found = by_length([SimpleNamespace(length=n) for n in lengths], budget, waste)
        return [[lengths[k] for k in batch] for batch in found]

    assert batches([9, 10, 8, 9, 9], 1000, 2) == [[10, 9, 9], [9, 8]]
    assert batches([10, 6, 6], 1000, 4) == [[10, 6], [6]]
    assert batches([10, 10, 10], 20, 100) == [[10, 10], [10]]  # the budget is of padded tokens, and may be used up
    assert batches([4, 10, 5], 8, 100) == [[10], [5], [4]]  # one that exceeds it stands alone


def test_a_single_choice_is_forced():
    task = toy_task("one", ("good",))
    found = answer(
        toy_model(), task, [Example("0", "one text: cat", "good", {}, 0, choices=("good",))], toy_plan(), CPU
    )
    assert found[0].text == "good"
    assert found[0].scores == {"good": 1.0}
