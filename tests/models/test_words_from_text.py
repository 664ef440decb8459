"""Words that learn from text alone: ELMo's language model of both directions, and word2vec's two ways."""

from __future__ import annotations

from collections import Counter
from random import Random

import numpy as np
import pytest
import torch
from torch.nn.functional import cross_entropy, logsigmoid
from toys import CPU

from glue_harness import Plan, load_tasks, run
from glue_harness.core.errors import UsageError
from glue_harness.core.task import BothWays, Neighbours
from glue_harness.lab.predict import load
from glue_harness.models.dropout import drawn_by_rows
from glue_harness.models.families import load_model
from glue_harness.models.interface import Encoded
from glue_harness.models.neighbours import Frequencies, asked
from glue_harness.models.words import PAD
from glue_harness.runs.store import Store
from glue_harness.train.feed import another

REGISTRY = load_tasks()
OBJECTIVES = ("bilm", "cbow", "skipgram")
SKIPGRAM, CBOW = Neighbours(together=False), Neighbours(together=True)


def plan_of(task, **changes) -> Plan:
    values = {"device": "cpu", "precision": "fp32", "max_input": 30, "data": "demo:60", "batch_size": 8, "steps": 4}
    return Plan((task,), **{**values, "model": "bilstm", "word_size": 6, **changes})


def examples_of(task, n=5):
    return [example for k, row in enumerate(task.demo(Random(3), n)) for example in task.examples(row, k)]


def model_of(name, **changes):
    task = REGISTRY.tasks[name]
    model = load_model(plan_of(name, **changes), [task], [e.inputs for e in examples_of(task, 40)])
    model.module.double()
    return model, task


def drawn(model, task, seed=0):
    encoded = model.encode(task, examples_of(task))
    return [model.corrupt(one, task.noise, Random(f"{seed}/{k}"), another(encoded, k)) for k, one in enumerate(encoded)]


def test_objectives_are_declared_as_tasks():
    assert [REGISTRY.tasks[name].noise for name in OBJECTIVES] == [BothWays(), CBOW, SKIPGRAM]


@pytest.mark.parametrize("name", OBJECTIVES)
def test_texts_in_rows_equal_texts_alone_and_what_is_asked_is_a_function_of_the_draw(name):
    model, task = model_of(name)
    encoded = drawn(model, task)
    assert [list(e.marks) for e in encoded] == [list(e.marks) for e in drawn(model, task)]
    if name != "bilm":
        assert [list(e.marks) for e in encoded] != [list(e.marks) for e in drawn(model, task, seed=1)]
        torch.nn.init.normal_(model.module.context.weight)
    together = model.loss(model.lay([encoded[:3], encoded[3:]], CPU.device))
    together.total.backward()
    rows = {n: p.grad.clone() for n, p in model.module.named_parameters()}
    model.module.zero_grad()
    alone = [model.loss(model.lay([[one]], CPU.device)) for one in encoded]
    torch.stack([loss.total for loss in alone]).sum().backward()
    assert len(together.each) == sum(one.terms for one in encoded)
    torch.testing.assert_close(together.each, torch.cat([loss.each for loss in alone]), rtol=0, atol=1e-10)
    for n, parameter in model.module.named_parameters():
        torch.testing.assert_close(rows[n], parameter.grad, rtol=0, atol=1e-10, msg=n)


def test_no_direction_ever_sees_the_other():
    """A word that is another changes what reads past it, in every layer, and nothing that has not come to it."""
    model, _ = model_of("bilm")
    vectors = torch.randn(1, 7, 6, dtype=torch.float64)
    changed = vectors.clone()
    changed[0, 3] += 1
    for first, second in zip(model.module.lm(vectors, [7]), model.module.lm(changed, [7]), strict=True):
        ahead, back = ((one - other).abs().sum(-1)[0] > 0 for one, other in zip(first, second, strict=True))
        assert not ahead[:3].any()
        assert not back[4:].any()
        assert ahead[3]
        assert back[3]
    assert ahead[4:].all()
    assert back[:3].all()


def test_each_word_and_the_edge_is_told_from_either_side():
    model, _ = model_of("bilm")
    lm, text = model.module.lm, [4, 9, 2]
    torch.nn.init.normal_(lm.bias)
    batch = model.lay([[Encoded((text,), told=8)], [Encoded(([5, 7, 8, 3, 3],), told=12)]], CPU.device)
    expected = []
    for layers, ids in ((lm.ahead, [PAD, *text, PAD]), (lm.back, [PAD, *text[::-1], PAD])):
        states = model.module.words(torch.tensor([ids]))
        below = 0
        for layer in layers:
            states = below = layer(states)[0] + below
        logits = states[0] @ model.module.words.weight.T + lm.bias
        losses = cross_entropy(logits[:-1], torch.tensor(ids[1:]), reduction="none")
        expected.append(losses if layers is lm.ahead else losses.flip(0))
    torch.testing.assert_close(model.loss(batch).each[:8], torch.cat(expected), rtol=0, atol=1e-10)


def test_dropout_of_a_language_model_is_that_of_its_row():
    model, task = model_of("bilm")
    model.module.train()
    rows = [[one] for one in drawn(model, task)]

    def losses(first, last):
        with drawn_by_rows([50 + k for k in range(first, last)]):
            return model.loss(model.lay(rows[first:last], CPU.device)).each

    torch.testing.assert_close(torch.cat([losses(0, 2), losses(2, 5)]), losses(0, 5), rtol=0, atol=1e-10)
    model.module.eval()
    assert not torch.allclose(losses(0, 5), model.loss(model.lay(rows, CPU.device)).each * 1.001)


def test_word_vectors_learn_from_the_loss_of_the_paper():
    for name, given in (("cbow", [3, 5, PAD, PAD, PAD, PAD, PAD, PAD, PAD, PAD]), ("skipgram", [3])):
        model, _ = model_of(name)
        torch.nn.init.normal_(model.module.context.weight)
        others, right = [6, PAD, 8, 4, 9], 7
        batch = model.lay([[Encoded(([3, 5, 7],), marks=[*given, *others, right], told=1)]], CPU.device)
        words, contexts = model.module.words.weight, model.module.context.weight
        mean = words[[k for k in given if k]].mean(0)
        expected = -logsigmoid(contexts[right] @ mean)
        expected = expected - sum(logsigmoid(-contexts[k] @ mean) for k in others if k != PAD)
        torch.testing.assert_close(model.loss(batch).total, expected)


def near(counted, n, share):
    assert abs(counted / n - share) < 4.5 * (share * (1 - share) / n) ** 0.5


def test_other_words_are_drawn_by_three_quarters_of_the_power_of_their_frequency():
    counts = np.array([0, 5, 100, 20, 3000, 0, 1.0])
    frequencies = Frequencies(counts, SKIPGRAM)
    found = Counter(frequencies.negatives(np.random.default_rng(0), (40_000, 1)).ravel().tolist())
    assert not found[0]
    assert not found[5]
    weights = counts**0.75 / (counts**0.75).sum()
    for word in (1, 2, 3, 4, 6):
        near(found[word], 40_000, weights[word])


def test_frequent_words_are_left_out_and_neighbours_are_nearer_the_more_often():
    counts = np.array([0.0, 0.0, *[1.0] * 40, 960.0])
    frequencies = Frequencies(counts, Neighbours(together=False, sample=0.04))
    text, distances, stayed, centres = [*range(2, 42), 42, 42, 42, 42], Counter(), 0, 0
    alone = Frequencies(np.array([0.0, 0.0, *[1.0] * 40]), Neighbours(together=False, sample=1.0))
    for draw in range(400):
        terms = asked(text, SKIPGRAM, frequencies, Random(draw), 100).marks.reshape(-1, 7)
        kept = {*terms[:, 0].tolist()}
        assert set(range(2, 42)) <= kept
        stayed += 42 in kept
        given, *_, right = asked(list(range(2, 42)), SKIPGRAM, alone, Random(draw), 100).marks.reshape(-1, 7).T
        for distance, number in Counter(np.abs(given - right)[(given > 10) & (given < 30)].tolist()).items():
            distances[distance] += number
        centres += 19
    near(stayed, 400, 1 - (1 - np.sqrt(0.04 / 0.96)) ** 4)  # any of four
    assert set(distances) == {1, 2, 3, 4, 5}
    for distance in range(1, 6):  # a window of b, drawn from 1 to 5, holds a distance d <= b: both sides together
        near(distances[distance] / 2, centres, (6 - distance) / 5 if distance > 1 else 1 - 1e-9)


def test_no_wrong_word_is_the_right_one_and_any_text_has_a_term():
    frequencies = Frequencies(np.array([0.0, 3.0, 900.0, 4.0]), CBOW)
    for noise, width in ((CBOW, 10), (SKIPGRAM, 1)):
        for text in ([2], [2, 2], [2, 3, 2, 2], [1]):
            for draw in range(50):
                found = asked(text, noise, frequencies, Random(draw), 4)
                terms = found.marks.reshape(-1, width + 6)
                assert found.told == len(terms) > 0
                assert (terms[:, width:-1] != terms[:, -1:]).all()
                assert (terms[:, -1] != PAD).all()
                assert (terms[:, :width] != PAD).any(1).all()


@pytest.fixture(scope="module")
def learned(tmp_path_factory):
    """A run of each objective, and one of SST-2 that starts from it."""
    results, found = tmp_path_factory.mktemp("results"), {}
    for name in OBJECTIVES:
        steps = {"steps": 30, "eval_every": 10, "lr": 2e-2}
        first = run(plan_of(name, data="demo:200", **steps), results=results)
        start = plan_of("sst2", model=f"run:{first.id}", lstm_size=5, lr=5e-2)
        found[name] = first, run(start.replace(word_size=None), results=results)
    return results, found


@pytest.mark.parametrize("name", OBJECTIVES)
def test_a_model_learns_from_text_and_later_runs_start_there(name, learned):
    results, found = learned
    first, tuned = found[name]
    values = [metrics["probability"] for _, metrics in first.history[name]]
    assert values[-1] > values[0]
    before = load(first, results / first.id, first.last_step).model.module.state_dict()
    after = load(tuned, results / tuned.id, tuned.scores["sst2"].step).model
    there = after.module.state_dict()
    shared = {key for key in before if key in there and key.startswith(("words.", "lm."))}
    assert shared >= {"words.weight"}
    if name != "bilm":
        assert not torch.equal(before["words.weight"], there["words.weight"])
        return
    assert sum(key.startswith("lm.") for key in shared) == 4 * 4 + 1
    assert [key for key in shared if not torch.equal(before[key], there[key])] == []
    assert {n.partition(".")[0] for n, _ in after.module.named_parameters()} == {"layer_sum", "body", "heads"}


def test_a_bilstm_reads_the_weighted_sum_of_a_language_models_layers(learned):
    results, found = learned
    _, tuned = found["bilm"]
    model = load(tuned, results / tuned.id, tuned.scores["sst2"].step).model
    model.module.layer_sum.weights.data = torch.tensor([0.0, 1.0, -1.0])
    batch = model.lay([model.encode(REGISTRY.tasks["sst2"], examples_of(REGISTRY.tasks["sst2"]))], CPU.device)
    ids = torch.nn.functional.pad(batch.ids, (1, 1))
    layers = model.module.lm(model.module.words(ids), [n + 2 for n in batch.lengths])
    shares = torch.tensor([0.0, 1.0, -1.0]).softmax(0)
    both = [torch.cat(states, -1)[:, 1:-1] for states in layers]
    expected = model.module.layer_sum.scale * sum(s * h for s, h in zip(shares, both, strict=True))
    torch.testing.assert_close(model._vectors(batch)[batch.present], expected[batch.present])


def test_a_language_model_learns_on_if_asked_and_a_run_of_a_run_keeps_it(learned):
    results, found = learned
    first, tuned = found["bilm"]
    plan = plan_of("cola", model=f"run:{first.id}", lstm_size=5, tune_bilm="on").replace(word_size=None)
    on = Store(results).run(run(plan, results=results).id)
    model = load_model(plan.replace(model=str(on.checkpoint(4))), [REGISTRY.tasks["cola"]], ())
    assert {n.partition(".")[0] for n, _ in model.module.named_parameters()} >= {"words", "lm"}
    with pytest.raises(UsageError, match=r"lstm_size is 9 but the model that it starts from has 5: leave it out"):
        run(plan.replace(model=f"run:{tuned.id}", lstm_size=9), results=results)
    again = run(plan.replace(model=f"run:{tuned.id}", tune_bilm="off", steps=1), results=results)
    assert again.environment["model"]["run"] == tuned.id


def test_a_new_reader_has_to_learn_and_the_mean_of_words_need_not(learned):
    results, found = learned
    for name, (first, _) in found.items():
        plan = plan_of("cola", model=f"run:{first.id}", method="frozen").replace(word_size=None)
        with pytest.raises(UsageError, match="above the words of that run stands a new bilstm, which has to"):
            run(plan, results=results)
        assert name in OBJECTIVES
    words = run(plan_of("skipgram", model="cbow"), results=results)
    plan = plan_of("cola", model=f"run:{words.id}", method="frozen").replace(word_size=None)
    frozen = run(plan, results=results)
    part = next(Store(results).run(frozen.id).checkpoint(4).glob("*.safetensors"))
    assert part.name == "trained.safetensors"
    assert run(plan.replace(model=f"run:{frozen.id}", seed=3), results=results).environment["model"]["run"] == frozen.id


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"method": "frozen"}, "method is 'frozen' but text alone is learned by whole models: use full"),
        (
            {"tasks": ("bilm", "rte"), "mixing": "equal"},
            "model 'bilstm' learns one thing of text at a time, and rte is another: glue pretrain, then",
        ),
        (
            {"tasks": ("mlm",)},
            "model 'bilstm' cannot learn mlm from text alone: its objective is bilm, cbow or skipgram",
        ),
    ],
)
def test_a_wrong_request_is_one_line(changes, message, tmp_path):
    with pytest.raises(UsageError, match=message):
        run(plan_of("bilm").replace(**changes), results=tmp_path)


def test_vectors_of_a_file_do_not_learn_unasked(tmp_path):
    file = tmp_path / "vectors.txt"
    file.write_text("the 1 2\nriver 3 4\n")
    with pytest.raises(UsageError, match="vectors of a file stay as they are: let them learn on with --set tune_vec"):
        model_of("skipgram", vectors=str(file), word_size=None)
    model, _ = model_of("skipgram", vectors=str(file), word_size=None, tune_vectors="on")
    assert "words.weight" in dict(model.module.named_parameters())
    fixed, _ = model_of("bilm", vectors=str(file), word_size=None)
    assert {n.partition(".")[0] for n, _ in fixed.module.named_parameters()} == {"lm"}
