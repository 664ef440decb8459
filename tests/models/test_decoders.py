"""Decoders: packed rows equal each example alone, and answers are those of transformers' own classes."""

from __future__ import annotations

import copy
import shutil
from random import Random

import pytest
import torch
from decoders import SIZES, vocabulary, write_decoder
from toys import CPU
from transformers import AutoModelForCausalLM

from glue_harness.core.errors import UsageError
from glue_harness.core.plan import Plan
from glue_harness.models.batch import IGNORED
from glue_harness.models.causal_vocabulary import CausalVocabulary, learn_causal_vocabulary
from glue_harness.models.decoder_batch import question_of, seen_in_rows
from glue_harness.models.decoder_bodies import states
from glue_harness.models.dropout import drawn_by_rows
from glue_harness.models.families import load_model
from glue_harness.models.packing import FINE, pack
from glue_harness.suite.registry import load_tasks
from glue_harness.train.arrangement import COARSE

REGISTRY = load_tasks()
TASKS = ("mnli", "stsb", "copa", "record", "squad")  # labels, numbers, choices of two and of many, free text


def plan_of(folder, **changes) -> Plan:
    values = {"device": "cpu", "precision": "fp32", "max_input": 90, **changes}
    return Plan(TASKS, model=str(folder), **values)


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    return {kind: write_decoder(tmp_path_factory.mktemp(kind), kind) for kind in SIZES}


@pytest.fixture(scope="module")
def decoder(folders):
    def of(kind: str, **changes):
        model = load_model(plan_of(folders[kind], **changes), (), ())
        model.module.eval()
        return model

    return of


def reference(folder):
    """transformers' own, with its own attention."""
    return AutoModelForCausalLM.from_pretrained(folder).eval()


def examples_of(name: str, n: int = 3):
    task = REGISTRY.tasks[name]
    rows = task.demo(Random(name), n)
    return task, [example for number, row in enumerate(rows) for example in task.examples(row, number)][: 2 * n]


def everything(model):
    return [encoded for name in TASKS for encoded in model.encode(*examples_of(name))]


@pytest.mark.parametrize("grid", [FINE, COARSE], ids=["fine", "coarse"])
@pytest.mark.parametrize("kind", SIZES)
def test_packed_rows_equal_examples_alone(kind, grid, decoder):
    model = decoder(kind)
    model.module.double()
    encoded = everything(model)
    rows = [[encoded[k] for k in row] for row in pack([e.sizes for e in encoded], grid)]
    assert max(map(len, rows)) > 1
    together = model.loss(model.lay(rows, CPU.device, grid))
    together.total.backward()
    packed = {name: p.grad.clone() for name, p in model.module.named_parameters()}
    model.module.zero_grad()
    flat = [example for row in rows for example in row]
    alone = [model.loss(model.lay([[example]], CPU.device)) for example in flat]
    torch.stack([loss.total for loss in alone]).sum().backward()
    each = together.each[: sum(e.terms for e in flat)]
    torch.testing.assert_close(each, torch.cat([loss.each for loss in alone]), rtol=0, atol=1e-10)
    for name, parameter in model.module.named_parameters():
        torch.testing.assert_close(packed[name], parameter.grad, rtol=0, atol=1e-10, msg=name)


@pytest.mark.parametrize("kind", ["gpt2"])  # the others drop nothing, or OPT by torch's own function
def test_dropout_is_the_same_for_a_row_in_whatever_part_of_a_pass_it_stands(kind, decoder):
    model = decoder(kind, dropout=0.1)
    for part in model.module.modules():
        if isinstance(part, torch.nn.Dropout):
            part.p = 0.1
    model.module.train()
    encoded = everything(model)
    rows = [encoded[k : k + 2] for k in range(0, len(encoded), 2)]
    width = max(sum(one.length for one in row) for row in rows)

    def losses(first: int, last: int):
        with drawn_by_rows([100 + row for row in range(first, last)]):
            return model.loss(model.lay(rows[first:last], CPU.device, FINE._replace(least=(width, 0)))).each

    whole = losses(0, len(rows))
    torch.testing.assert_close(torch.cat([losses(0, 3), losses(3, len(rows))]), whole, rtol=0, atol=1e-4)
    model.module.eval()
    assert not torch.allclose(losses(0, len(rows)), whole, atol=1e-2)


@pytest.mark.parametrize("kind", SIZES)
def test_the_loss_is_transformers_own_on_the_answer_alone(kind, decoder, folders):
    model, whole = decoder(kind), reference(folders[kind])
    for encoded in everything(model):
        question, answer = question_of(encoded).tolist(), list(encoded.streams[1])
        ids = torch.tensor([[*question, *answer]])
        labels = torch.tensor([[IGNORED] * len(question) + answer])
        expected = whole(ids, labels=labels).loss.item() * len(answer)
        found = model.loss(model.lay([[encoded]], CPU.device))
        assert (found.total.item(), len(found.each)) == (pytest.approx(expected, abs=1e-3), len(answer))


@pytest.mark.parametrize("how", ["sum", "mean"])
@pytest.mark.parametrize("kind", SIZES)
def test_a_choice_is_weighed_by_the_log_probability_that_transformers_gives_it(kind, how, decoder, folders):
    model, whole = decoder(kind, candidates=how), reference(folders[kind])
    for name in ("mnli", "copa", "record"):
        task, examples = examples_of(name)
        encoded = model.encode(task, examples)
        batch = model.lay([[one] for one in encoded], CPU.device)
        for example, one, answer in zip(examples, encoded, model.answer(batch, task, examples, False, 8), strict=True):
            question = question_of(one).tolist()
            weights = []
            for choice in model.option_tokens(example.choices):
                logs = whole(torch.tensor([question + choice])).logits[0].log_softmax(-1)
                own = [logs[len(question) - 1 + k, token].item() for k, token in enumerate(choice)]
                weights.append(sum(own) / (len(own) if how == "mean" else 1))
            expected = torch.tensor(weights).softmax(0).tolist()
            assert list(answer.scores.values()) == pytest.approx(expected, abs=1e-4)
            assert answer.text == example.choices[max(range(len(weights)), key=weights.__getitem__)]


@pytest.mark.parametrize("kind", SIZES)
def test_strict_answers_are_what_transformers_generates(kind, decoder, folders):
    model, whole = decoder(kind), reference(folders[kind])
    for name in ("mnli", "squad"):
        task, examples = examples_of(name)
        encoded = model.encode(task, examples)
        found = model.answer(model.lay([[one] for one in encoded], CPU.device), task, examples, True, 6)
        for one, answer in zip(encoded, found, strict=True):
            ids = torch.tensor([question_of(one).tolist()])
            mask = torch.ones_like(ids)
            made = whole.generate(ids, attention_mask=mask, max_new_tokens=6, do_sample=False, pad_token_id=0)
            assert answer.text == model.words.text(made[0, ids.shape[1] :].tolist(), model.end)


def test_no_question_knows_its_answer(decoder):
    """Neither what is read nor where it is cut depends on it."""
    model = decoder("gpt2", max_input=40)
    for name in TASKS:
        task, examples = examples_of(name)
        for example in examples:
            others = [example.target, *(example.choices or ("some other answer, and a long one at that",))]
            asked = {tuple(question_of(model.encode(task, [copy.copy(example)])[0])) for _ in others} | {
                tuple(question_of(one)) for one in model.encode(task, [with_target(example, t) for t in others])
            }
            assert len(asked) == 1


def with_target(example, target):
    from dataclasses import replace

    return replace(example, target=target)


def test_a_question_ends_with_the_separator_and_loses_its_end(decoder):
    model = decoder("gpt2", max_input=24)
    task, examples = examples_of("mnli")
    for example, encoded in zip(examples, model.encode(task, examples), strict=True):
        question, answer = question_of(encoded).tolist(), list(encoded.streams[1])
        room = 25 - max(map(len, model.option_tokens(example.choices))) - len(model.separator)
        text = model.words.ids([example.inputs])[0]
        assert question == text[:room] + model.separator
        assert encoded.lost == max(0, len(text) - room)
        assert model.words.text(answer, model.end) == example.target
        assert len(encoded.streams[0]) <= 24
    assert max(encoded.lost for encoded in model.encode(task, examples)) > 0


def test_the_separator_is_declared_and_part_of_what_tokens_depend_on(decoder):
    one, other = decoder("gpt2"), decoder("gpt2", separator=" ->")
    assert one.fingerprint != other.fingerprint
    task, examples = examples_of("rte")
    assert "->" in other.words.fast.decode(question_of(other.encode(task, examples)[0]).tolist())


def test_an_answer_follows_the_separator_as_its_vocabulary_writes_it():
    """A byte-level vocabulary's words begin with their space."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    known = {piece: k for k, piece in enumerate([*letters, "Ġy", "es", "Ġyes", "<end>"])}
    made = Tokenizer(models.BPE(known, [("Ġ", "y"), ("e", "s"), ("Ġy", "es")]))
    made.pre_tokenizer, made.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    words = CausalVocabulary(PreTrainedTokenizerFast(tokenizer_object=made, eos_token="<end>"), "x")
    assert words.answers("\nanswer:", ["yes"]) == [[known["Ġyes"]]]
    assert words.text([known["Ġyes"], words.end, known["Ġy"]], words.end) == "yes"


def test_a_learned_vocabulary_is_the_same_every_time_and_never_reads_a_special_token():
    texts = ["the cat sat on the mat"] * 30
    one, other = learn_causal_vocabulary(texts, 200), learn_causal_vocabulary(texts, 200)
    assert one.fingerprint == other.fingerprint
    assert one.end not in one.ids(["the </s> cat"])[0]


@pytest.mark.parametrize("kind", SIZES)
def test_a_saved_decoder_is_read_back_the_same_by_us_and_by_transformers(kind, decoder, tmp_path):
    model = decoder(kind)
    model.save(tmp_path)
    again = load_model(plan_of(tmp_path), (), ())
    for name, weight in model.module.state_dict().items():
        assert torch.equal(again.module.state_dict()[name], weight), name
    ids = torch.arange(5, 25)[None]
    with torch.no_grad():
        expected = reference(tmp_path)(ids).logits[0]
        seen = seen_in_rows(torch.ones_like(ids))
        found = model.module.get_output_embeddings()(states(model.module, ids, seen, torch.arange(20)[None]))
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-4)


def test_what_packed_rows_would_compute_otherwise_is_refused(folders, tmp_path):
    import json

    shutil.copytree(folders["qwen2"], tmp_path, dirs_exist_ok=True)
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps({**config, "use_sliding_window": True}))
    with pytest.raises(UsageError, match="attends through a window"):
        load_model(plan_of(tmp_path), (), ())


def test_a_plan_that_leaves_no_room_for_a_question_is_refused(decoder):
    model = decoder("gpt2", max_input=10)
    with pytest.raises(UsageError, match="prompt_length 0 and max_input 10 leave 10 of the 160 positions"):
        model.check([REGISTRY.tasks["rte"]])


def test_span_corruption_is_not_its_objective(decoder):
    with pytest.raises(UsageError, match="cannot learn span_corruption from text alone: its objective is causal"):
        decoder("gpt2").check([REGISTRY.tasks["span_corruption"]])


def test_a_vocabulary_that_is_larger_than_the_embeddings_is_refused(folders, tmp_path):
    shutil.copytree(folders["gpt2"], tmp_path, dirs_exist_ok=True)
    learn_causal_vocabulary([" ".join(f"w{k}x{j}" for j in range(9)) for k in range(400)], 900).save(tmp_path)
    assert vocabulary().size < 900
    with pytest.raises(UsageError, match=r"its vocabulary has .* pieces, its embeddings"):
        load_model(plan_of(tmp_path), (), ())
