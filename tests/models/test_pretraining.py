"""Learning from text alone: what is hidden, how it is told, and that later runs start from there."""

from __future__ import annotations

import copy
from collections import Counter
from random import Random

import numpy as np
import pytest
import torch
from decoders import write_decoder
from encoders import SIZES, config_of, write_encoder
from toys import CPU
from transformers import AutoModelForCausalLM, AutoModelForMaskedLM

from glue_harness import Plan, load_tasks, run
from glue_harness.core.errors import DataError, UsageError
from glue_harness.core.task import Continuation, Example, Masking
from glue_harness.data.own import read_text
from glue_harness.lab.predict import load
from glue_harness.lab.strategy import stages_of
from glue_harness.metrics import measure, told
from glue_harness.models.families import load_model
from glue_harness.models.interface import Encoded
from glue_harness.models.masking import mask
from glue_harness.models.packing import FINE
from glue_harness.models.tokenizer import EOS
from glue_harness.suite.text_alone import Told, read_told
from glue_harness.train.feed import another

REGISTRY = load_tasks()
MLM, CAUSAL, NSP = (REGISTRY.tasks[name] for name in ("mlm", "causal", "mlm_nsp"))
MASK, PLAIN = 4, list(range(5, 1000))


def plan(model, *tasks, **changes) -> Plan:
    values = {"device": "cpu", "precision": "fp32", "max_input": 40, "data": "demo:60", "batch_size": 8, "steps": 4}
    return Plan(tasks or ("mlm",), model=str(model), **{**values, **changes})


@pytest.fixture(scope="module")
def encoder(tmp_path_factory):
    made = {}

    def of(kind: str):
        if kind not in made:
            folder = write_encoder(tmp_path_factory.mktemp(kind), kind)
            tasks = [REGISTRY.tasks[name] for name in ("mlm_nsp", "rte")]
            made[kind] = load_model(plan(folder, "mlm_nsp", "rte"), tasks, ())
        model = copy.deepcopy(made[kind])
        model.module.eval()
        return model

    return of


def texts(task, n=6):
    return [example for k, row in enumerate(task.demo(Random(3), n)) for example in task.examples(row, k)]


def asked(model, task, seed=0):
    encoded = model.encode(task, texts(task))
    return [model.corrupt(one, task.noise, Random(f"{seed}/{k}"), another(encoded, k)) for k, one in enumerate(encoded)]


def test_fifteen_in_a_hundred_are_told_of_which_eight_in_ten_are_masked():
    random, counts, told_places = Random(0), Counter(), 0
    for draw in range(500):
        ids = [random.choice(PLAIN) for _ in range(100)]
        found = mask(ids, Masking(), MASK, PLAIN, Random(draw))
        assert len(found.places) == len(set(found.places)) == 15
        assert found.labels == [ids[place] for place in found.places]
        untouched = [k for k in range(100) if k not in set(found.places)]
        assert [found.ids[k] for k in untouched] == [ids[k] for k in untouched]
        for place, label in zip(found.places, found.labels, strict=True):
            counts["mask" if found.ids[place] == MASK else "same" if found.ids[place] == label else "other"] += 1
        told_places += 15
    for name, share in (("mask", 0.8), ("other", 0.1), ("same", 0.1)):
        spread = (share * (1 - share) / told_places) ** 0.5
        assert abs(counts[name] / told_places - share) < 4 * spread


@pytest.mark.parametrize(("length", "number"), [(1, 1), (2, 1), (7, 1), (10, 2), (40, 6)])
def test_the_share_is_rounded_and_never_nothing(length, number):
    assert len(mask([9] * length, Masking(), MASK, PLAIN, Random(0)).places) == number


def test_words_that_are_hidden_whole_are_told_whole():
    goes_on = [k % 3 != 0 for k in range(60)]  # words of three tokens
    for draw in range(50):
        places = mask([9] * 60, Masking(), MASK, PLAIN, Random(draw), goes_on).places
        assert set(places) == {3 * (place // 3) + k for place in places for k in range(3)}
        assert len(places) == 9


def test_what_is_hidden_is_a_function_of_seed_and_draw_and_never_a_special_token(encoder):
    model = encoder("bert")
    special = set(model.tokenizer.tokenizer.all_special_ids)
    one, again, other = asked(model, MLM), asked(model, MLM), asked(model, MLM, seed=1)
    assert [list(e.streams[0]) for e in one] == [list(e.streams[0]) for e in again]
    assert [list(e.marks) for e in one] != [list(e.marks) for e in other]
    for encoded in one:
        places, labels = np.asarray(encoded.marks).reshape(2, -1)
        assert encoded.terms == len(places) == round(0.15 * (len(encoded.streams[0]) - 2))
        assert special.isdisjoint(labels.tolist())
        assert 0 < places.min() <= places.max() < len(encoded.streams[0]) - 1


@pytest.mark.parametrize("kind", [*SIZES, "distilbert"])
def test_packed_rows_of_texts_and_questions_equal_examples_alone(kind, encoder):
    model = encoder(kind)
    model.module.double()
    rte = REGISTRY.tasks["rte"]
    rows = rte.demo(Random(0), 3)
    encoded = [
        asked(model, MLM)[0],
        *asked(model, NSP)[:2],
        *model.encode(rte, [e for k, r in enumerate(rows) for e in rte.examples(r, k)]),
    ]
    encoded = [encoded[k] for k in (3, 0, 4, 1, 2, 5)]
    together = model.loss(model.lay([encoded[:4], encoded[4:]], CPU.device, FINE))
    together.total.backward()
    packed = {name: p.grad.clone() for name, p in model.module.named_parameters() if p.grad is not None}
    model.module.zero_grad()
    alone = [model.loss(model.lay([[one]], CPU.device, FINE)) for one in encoded]
    torch.stack([loss.total for loss in alone]).sum().backward()
    assert len(together.each) == sum(one.terms for one in encoded)
    torch.testing.assert_close(together.each, torch.cat([loss.each for loss in alone]), rtol=0, atol=1e-10)
    for name, parameter in model.module.named_parameters():
        if parameter.grad is not None:
            torch.testing.assert_close(packed[name], parameter.grad, rtol=0, atol=1e-10, msg=name)


def test_half_of_the_second_segments_follow_and_the_others_are_of_another_text(encoder):
    """Texts of one token each, so that a segment shows where it is from."""
    model = encoder("bert")
    words, texts = model.tokenizer, [Encoded(([5 + k] * 60,)) for k in range(40)]
    follows = Counter()
    for draw in range(800):
        k = draw % 40
        found = model.corrupt(texts[k], NSP.noise, Random(draw), another(texts, k))
        ids = [int(token) for token in found.streams[0]]
        assert ids.count(words.between[0]) == 2
        assert len(ids) <= 40
        middle = ids.index(words.between[0])
        labels = dict(zip(*np.asarray(found.marks).reshape(2, -1).tolist(), strict=True))
        whole = [labels.get(place, token) for place, token in enumerate(ids)]
        first, second = set(whole[1:middle]), set(whole[middle + 1 : -1])
        assert first == {5 + k}
        assert (second == first) == bool(found.gold)
        assert found.terms == len(labels) + 1
        follows[found.gold] += 1
    assert abs(follows[1.0] / 800 - 0.5) < 4 * (0.25 / 800) ** 0.5


def test_the_second_segment_is_told_from_the_first_tokens_state_and_its_pooling_is_kept(encoder, tmp_path):
    record = run(plan("bert:tiny", "mlm_nsp", steps=4, eval_every=2), results=tmp_path)
    assert set(record.scores["mlm_nsp"].metrics) == {"probability", "accuracy", "next_accuracy"}
    assert record.scores["mlm_nsp"].invalid == 0
    tuned = run(plan(f"run:{record.id}", "rte", steps=1), results=tmp_path)
    assert tuned.environment["model"]["heads"]["rte"].startswith("of next_segment, its output layer made anew")


def test_text_of_one_document_has_no_pairs(tmp_path):
    (tmp_path / "a.txt").write_text("one text here\n\nand another")
    with pytest.raises(DataError, match="has no two documents for train, to make pairs of: put a blank line between"):
        run(plan("bert:tiny", "mlm_nsp", text=str(tmp_path / "a.txt")), results=tmp_path)


@pytest.mark.parametrize("kind", [*SIZES, "distilbert"])
def test_masked_tokens_are_told_as_transformers_own_class_tells_them(kind, encoder):
    model = encoder(kind)
    whole = AutoModelForMaskedLM.from_config(config_of(kind)).eval()
    whole.base_model.load_state_dict(model.module.body.state_dict(), strict=False)
    head = {n: w for n, w in model.module.heads["mlm_nsp"].state_dict().items() if n in whole.state_dict()}
    whole.load_state_dict(head, strict=False)
    whole.tie_weights()
    for encoded in asked(model, MLM)[:3]:
        places, labels = (torch.from_numpy(part) for part in np.asarray(encoded.marks).reshape(2, -1))
        ids = torch.tensor([list(encoded.streams[0])])
        with torch.no_grad():
            logits = whole(ids, attention_mask=torch.ones_like(ids)).logits[0, places]
            ours = model.loss(model.lay([[encoded]], CPU.device)).each
        expected = torch.nn.functional.cross_entropy(logits, labels, reduction="none")
        torch.testing.assert_close(ours, expected, rtol=0, atol=1e-4)


@pytest.mark.parametrize("kind", ["gpt2", "llama"])
def test_every_token_of_a_text_is_told_from_those_before_it(kind, tmp_path):
    model = load_model(plan(write_decoder(tmp_path, kind), "causal"), [CAUSAL], ())
    whole = AutoModelForCausalLM.from_pretrained(tmp_path).eval()
    for encoded, example in zip(asked(model, CAUSAL), texts(CAUSAL), strict=True):
        start, text = model.words.before or [model.words.end], model.words.ids([example.inputs])[0]
        ids, tokens = list(encoded.streams[0]), list(encoded.streams[1])
        assert ids[: len(start)] == start
        assert tokens[: len(ids) - len(start)] == ids[len(start) :]
        assert (tokens[-1] == model.words.end) == (len(text) <= 40 - len(start))
        read = torch.tensor([[*ids, tokens[-1]]])
        labels = torch.tensor([[-100] * len(start) + tokens])
        expected = whole(read, labels=labels).loss.item() * len(tokens)
        assert model.loss(model.lay([[encoded]], CPU.device)).total.item() == pytest.approx(expected, rel=1e-5)


def test_the_metric_is_that_of_all_tokens_together():
    example = Example("0", "", "", {}, None)
    given = [Told(2.0, 3, 4), Told(1.0, 0, 1)]
    predictions = [CAUSAL.prediction(example, one.printed()) for one in given]
    assert [prediction.label for prediction in predictions] == given
    assert measure([told], predictions) == {"probability": pytest.approx(100 * np.exp(-3 / 5)), "accuracy": 60.0}
    assert read_told("nonsense") is None


def test_what_is_held_out_is_never_trained_on(tmp_path):
    file = tmp_path / "text.txt"
    file.write_text("\n\n".join(f"paragraph {k}" for k in range(45)))
    trained, held = read_text(str(file), "train").rows, read_text(str(file), "validation").rows
    assert [row["text"] for row in held] == ["paragraph 19", "paragraph 39"]
    assert len(trained) == 43
    assert not {row["text"] for row in trained} & {row["text"] for row in held}
    file.write_text("a\n\nb")
    assert [row["text"] for row in read_text(str(file), "validation").rows] == ["b"]
    file.write_text("only one")
    with pytest.raises(DataError, match="is one paragraph: of which none can be held out; put blank lines between"):
        read_text(str(file), "train")


@pytest.mark.parametrize(("model", "task"), [("bert:tiny", "mlm"), ("gpt:tiny", "causal")])
def test_a_model_learns_from_text_is_scored_and_later_runs_start_there(model, task, tmp_path):
    record = run(plan(model, task, data="demo:200", steps=30, eval_every=10, max_input=64), results=tmp_path)
    history = [values["probability"] for _, values in record.history[task]]
    assert history[-1] > history[0]
    again = load(record, tmp_path / record.id, record.last_step)
    first = again.model.module.state_dict()
    tuned = run(plan(f"run:{record.id}", "rte", steps=1, lr=1e-9), results=tmp_path)
    there = load(tuned, tmp_path / tuned.id, 1).model.module.state_dict()
    shared = [name for name in first if name in there and "heads" not in name]
    assert len(shared) > 10
    assert all(torch.allclose(first[name], there[name], atol=1e-6) for name in shared)


@pytest.mark.parametrize(
    ("model", "task"),
    [("bert:tiny", "mlm"), ("gpt:tiny", "causal"), ("tiny", "span_corruption"), ("bilstm", "bilm"), ("cbow", "cbow")],
)
def test_pretrain_finetune_begins_with_the_objective_of_the_family(model, task):
    stages = stages_of("pretrain-finetune", plan(model, "rte", "cola"), REGISTRY)
    assert [stage.plan.tasks for stage in stages] == [(task,), ("rte",), ("cola",)]


@pytest.mark.parametrize(
    ("model", "task", "changes", "message"),
    [
        ("tiny", "mlm", {}, "model 'tiny' cannot learn mlm from text alone: its objective is span_corruption"),
        ("bert:tiny", "causal", {}, "model 'bert:tiny' cannot learn causal from text alone: its objective is mlm"),
        ("cbow", "mlm", {}, "model 'cbow' cannot learn mlm from text alone: its objective is bilm, cbow or skipgram"),
        (
            "bert:tiny",
            "mlm",
            {"method": "lora"},
            "method is 'lora' but text alone is learned by whole models: use full",
        ),
    ],
)
def test_another_familys_objective_is_refused(model, task, changes, message, tmp_path):
    with pytest.raises(UsageError, match=message):
        run(plan(model, task, **changes), results=tmp_path)


def test_what_only_tells_masked_words_is_not_exported(encoder):
    with pytest.raises(UsageError, match="mlm_nsp is what a model starts from: glue run --task TASK --model run:RUN"):
        encoder("bert").export(NSP)


@pytest.fixture(scope="module")
def t5():
    tasks = [REGISTRY.tasks["span_corruption"]]
    texts = [e.inputs for k, row in enumerate(tasks[0].demo(Random(1), 50)) for e in tasks[0].examples(row, k)]
    return load_model(plan("tiny", "span_corruption", max_input=30, max_target=20), tasks, texts)


@pytest.mark.parametrize("length", [2, 9, 48, 300])
def test_a_t5_goes_on_with_the_beginning_of_a_text(t5, length):
    noise, ids, cuts = REGISTRY.tasks["prefix_lm"].noise, list(range(10, 10 + length)), set()
    for draw in range(300):
        inputs, targets = t5.corrupt(Encoded((ids,)), noise, Random(draw)).streams
        assert inputs[-1] == targets[-1] == EOS
        whole = [*inputs[:-1], *targets[:-1]]
        assert whole == ids[whole[0] - 10 :][: len(whole)]
        assert len(whole) <= min(length, 48)
        assert len(targets) == 20 or whole[-1] == ids[-1]
        assert 1 < len(inputs) <= 30
        assert 1 < len(targets) <= 20
        cuts.add(len(inputs))
    assert cuts == set(range(2, min(30, length) + 1))


def test_a_t5_writes_the_whole_of_a_text_whose_tokens_are_hidden(t5):
    noise, ids, counts = REGISTRY.tasks["bert_style"].noise, list(range(10, 200)), Counter()
    for draw in range(300):
        inputs, targets = t5.corrupt(Encoded((ids,)), noise, Random(draw)).streams
        assert len(inputs) == len(targets) == 20
        changed = [a for a, b in zip(inputs, targets, strict=True) if a != b]
        assert len(changed) <= 3
        counts["mask"] += changed.count(t5.tokenizer.first_sentinel)
        counts["asked"] += 3
    assert abs(counts["mask"] / counts["asked"] - 0.9) < 4 * (0.09 / counts["asked"]) ** 0.5


@pytest.mark.parametrize("task", ["prefix_lm", "bert_style"])
def test_a_t5_is_trained_on_it(task, tmp_path):
    record = run(plan("tiny", task, max_target=30), results=tmp_path)
    assert record.status == "finished"
    assert record.mix[task]["seen"] == 32


def test_another_text_is_never_the_same_one():
    random = Random(0)
    drawn = Counter(another(list(range(5)), 2)(random) for _ in range(400))
    assert set(drawn) == {0, 1, 3, 4}
    assert another(["only"], 0)(random) == "only"


def test_objectives_are_declared_as_tasks():
    assert (MLM.noise, CAUSAL.noise) == (Masking(0.15, 0.8, 0.1), Continuation())
