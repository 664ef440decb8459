"""Encoders: packed rows equal each example alone in every architecture, pairs are read as transformers reads them."""

from __future__ import annotations

import copy
import json
from dataclasses import replace
from random import Random

import pytest
import torch
import transformers
from encoders import SIZES, config_of, vocabulary, write_encoder
from toys import CPU

from glue_harness.core.errors import UsageError
from glue_harness.core.plan import Plan
from glue_harness.core.task import Mark, Pair
from glue_harness.models.bodies import BODIES, body_of
from glue_harness.models.encoder import FAMILY
from glue_harness.models.encoder_weights import from_scratch
from glue_harness.models.families import load_model
from glue_harness.models.heads import CLASSES, class_of
from glue_harness.models.packing import FINE, pack
from glue_harness.models.pairs import kept, learn_pair_tokenizer
from glue_harness.models.windows import answer_of
from glue_harness.suite.registry import load_tasks
from glue_harness.train.arrangement import COARSE

REGISTRY = load_tasks()
TASKS = ("mnli", "stsb", "copa", "wic", "squad", "record")  # every kind of head, and a choice of many
CUT = {"truncation": "longest_first", "max_length": 40}  # as the plan below
KINDS = [*SIZES, "distilbert"]


def plan_of(folder, **changes) -> Plan:
    return Plan(TASKS, model=str(folder), device="cpu", precision="fp32", max_input=40, stride=4, **changes)


@pytest.fixture(scope="module")
def encoder(tmp_path_factory):
    """A model of each architecture with all heads, made once."""
    made = {}

    def of(kind: str):
        if kind not in made:
            folder = write_encoder(tmp_path_factory.mktemp(kind), kind)
            made[kind] = load_model(plan_of(folder), [REGISTRY.tasks[name] for name in TASKS], ())
        model = copy.deepcopy(made[kind])
        model.module.eval()
        return model

    return of


def examples_of(name: str, n: int = 3):
    task = REGISTRY.tasks[name]
    rows = task.demo(Random(name), n)
    return task, [example for number, row in enumerate(rows) for example in task.examples(row, number)]


def everything(model):
    return [encoded for name in TASKS for encoded in model.encode(*examples_of(name))]


def gradients(model):
    found = {name: p.grad.clone() for name, p in model.module.named_parameters() if p.grad is not None}
    model.module.zero_grad()
    return found


def test_every_architecture_is_tried():
    assert set(KINDS) == set(BODIES)


@pytest.mark.parametrize("grid", [FINE, COARSE], ids=["fine", "coarse"])
@pytest.mark.parametrize("kind", KINDS)
def test_packed_rows_equal_examples_alone(kind, grid, encoder):
    model = encoder(kind)
    model.module.double()
    encoded = everything(model)
    rows = [[encoded[k] for k in row] for row in pack([e.sizes for e in encoded], grid)]
    together = model.loss(model.lay(rows, CPU.device, grid))
    together.total.backward()
    packed = gradients(model)
    alone = [model.loss(model.lay([[example]], CPU.device)) for row in rows for example in row]
    torch.stack([loss.total for loss in alone]).sum().backward()
    torch.testing.assert_close(together.each, torch.cat([loss.each for loss in alone]), rtol=0, atol=1e-10)
    single = gradients(model)
    assert packed.keys() == single.keys()
    for name in packed:
        torch.testing.assert_close(packed[name], single[name], rtol=0, atol=1e-10, msg=name)


@pytest.mark.parametrize("kind", KINDS)
def test_heads_are_those_of_transformers(kind, encoder):
    """The same weights in transformers' own class, on each example alone, padded as its users do it."""
    model = encoder(kind)
    for name in ("mnli", "stsb", "copa", "squad"):
        facts = model.facts[name]
        whole = class_of(config_of(kind), facts.kind, facts.outputs, device="cpu").eval()
        whole.base_model.load_state_dict(model.module.body.state_dict(), strict=False)
        head = model.module.heads[name].state_dict()
        assert not whole.load_state_dict({**whole.state_dict(), **head}, strict=True).unexpected_keys
        check_logits(model, whole, name)


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_exported_loads_as_the_class_of_its_head(kind, encoder, tmp_path):
    model = encoder(kind)
    for name in ("mnli", "stsb", "copa", "squad"):
        made = model.export(REGISTRY.tasks[name])
        assert made.weights.keys() == made.whole.state_dict().keys()
        made.whole.load_state_dict(made.weights)
        made.whole.save_pretrained(tmp_path / name)
        check_logits(model, getattr(transformers, made.reader).from_pretrained(tmp_path / name), name)


@pytest.mark.parametrize("kind", KINDS)
def test_what_a_class_of_transformers_fine_tuned_is_read_with_its_head(kind, encoder, tmp_path):
    model = encoder(kind)
    for name in ("mnli", "stsb", "copa", "squad"):
        made = model.export(REGISTRY.tasks[name])
        made.whole.load_state_dict(made.weights)
        made.whole.save_pretrained(tmp_path / name)
        made.save_vocabulary(tmp_path / name)
        again = load_model(plan_of(tmp_path / name, seed=1), [REGISTRY.tasks[name]], ())
        assert again.origin["heads"] == {name: f"of {type(made.whole).__name__}"}
        for part, weight in model.module.heads[name].state_dict().items():
            assert torch.equal(weight, again.module.heads[name].state_dict()[part])


@pytest.mark.parametrize("name", FAMILY.shapes)
def test_from_scratch_shapes_are_the_published_ones(name):
    kind, size = (transformers.BertConfig, 30_522)
    if name.startswith("modernbert"):
        kind, size = (transformers.ModernBertConfig, 50_368)
    with torch.device("meta"):
        module = transformers.AutoModel.from_config(kind(vocab_size=size, **FAMILY.shapes[name]))
    millions = sum(parameter.numel() for parameter in module.parameters()) / 1e6
    assert millions == pytest.approx(FAMILY.millions[name], abs=0.06)


def test_from_scratch_with_a_vocabulary_that_is_given(tmp_path):
    vocabulary().save(tmp_path)
    plan = plan_of("modernbert:base", tokenizer=str(tmp_path))
    shape = {**FAMILY.shapes["modernbert:base"], "num_hidden_layers": 2, "hidden_size": 48}
    body, tokenizer = from_scratch(plan, shape, ())
    assert tokenizer.fingerprint == vocabulary().fingerprint
    assert body.config.vocab_size == tokenizer.size
    assert (body.config.cls_token_id, body.config.sep_token_id) == (2, 3)


def check_logits(model, whole, name: str) -> None:
    """Ours equal those of a class of transformers."""
    task, examples = examples_of(name, 2)
    for example, encoded in zip(examples, model.encode(task, examples), strict=True):
        given = [(pair.first, pair.second) for pair in task.view.pairs(example)]
        read = model.tokenizer.tokenizer(given, padding=True, return_tensors="pt", **CUT)
        names = ("input_ids", "attention_mask", *(["token_type_ids"] if types_of(model) else []))
        inputs = {name: read[name] for name in names}
        batch = model.lay([[encoded]], CPU.device)
        with torch.no_grad():
            if task.view.head == "choice":
                inputs = {name: values[None] for name, values in inputs.items()}
            theirs = whole(**inputs)
            states = model._states(batch)
            if task.view.head == "span":
                ours = model._scores(batch.groups[0], states)[0]
                theirs = torch.stack([theirs.start_logits[0], theirs.end_logits[0]], -1)
            else:
                ours, theirs = model._logits(batch.groups[0], states), theirs.logits
        torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-5)


def types_of(model) -> bool:
    return getattr(model.config, "type_vocab_size", 0) > 1


@pytest.mark.parametrize("kind", KINDS)
def test_a_lean_pass_gives_the_same_gradients(kind, encoder):
    model = encoder(kind)
    model.module.double().train()
    batch = model.lay([[example] for example in everything(model)], CPU.device)
    found = []
    for lean in (False, True):
        torch.manual_seed(0)
        model.loss(batch, lean).total.backward()
        found.append(gradients(model))
    for name in found[0]:
        torch.testing.assert_close(found[1][name], found[0][name], rtol=0, atol=1e-10, msg=name)


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_saved_is_read_again_by_us_and_by_transformers(kind, encoder, tmp_path):
    from transformers import AutoModel, AutoTokenizer

    model = encoder(kind)
    model.save(tmp_path)
    again = load_model(plan_of(tmp_path), (), ())
    assert again.facts == model.facts
    for name, weight in model.module.state_dict().items():
        assert torch.equal(weight, again.module.state_dict()[name]), name
    body = AutoModel.from_pretrained(tmp_path).state_dict()
    for name, weight in model.module.body.state_dict().items():
        assert torch.equal(weight, body[name]), name
    assert (
        AutoTokenizer.from_pretrained(tmp_path)("the river")["input_ids"]
        == model.tokenizer.lay([Pair("the river")], 40)[0].ids
    )


def test_pairs_are_read_as_transformers_reads_them():
    own, random = vocabulary(), Random(0)
    theirs = own.tokenizer
    words = ["the", "old", "painter", "is", "laughing", "in", "school", "antidisestablishment", "1,000!"]
    for _ in range(200):
        first, second = (" ".join(random.choices(words, k=random.randint(1, 30))) for _ in range(2))
        length = random.randint(4, 60)
        how = {"truncation": "longest_first", "max_length": length}
        assert own.lay([Pair(first, second)], length)[0].ids == theirs(first, second, **how)["input_ids"]
        assert own.lay([Pair(first)], length)[0].ids == theirs(first, **how)["input_ids"]


def test_second_texts_have_the_types_that_transformers_gives_them(encoder):
    model = encoder("bert")
    task, examples = examples_of("copa")
    batch = model.lay([model.encode(task, examples)], CPU.device)
    for example, start in zip(examples, batch.groups[0].tokens[::2].tolist(), strict=True):
        wanted = model.tokenizer.tokenizer(*task.view.pairs(example)[0][:2], **CUT)["token_type_ids"]
        assert batch.types.flatten()[start : start + len(wanted)].tolist() == wanted


def test_a_text_never_spells_a_separator():
    own = vocabulary()
    assert own.lay([Pair("a [SEP] b [CLS]", "[MASK]")], 60)[0].ids.count(own.between[0]) == 2


def test_what_is_cut_is_counted():
    own = vocabulary()
    whole = own.lay([Pair("the old painter", "in the school")], 40)[0]
    cut = own.lay([Pair("the old painter", "in the school")], len(whole.ids) - 2)[0]
    assert whole.lost == 0
    assert cut.lost == 2
    assert [kept(3, 9, 6), kept(9, 3, 6), kept(9, 9, 7), kept(1, 9, 6)] == [(3, 3), (3, 3), (3, 4), (1, 5)]


def test_marks_are_the_tokens_of_the_marked_words():
    own = vocabulary()
    text = "the old painter is laughing"
    (laid,) = own.lay([Pair("monday", text, (Mark(1, 8, 15),))], 40)
    ((first, beyond),) = laid.marks
    assert own.fast.decode(laid.ids[first:beyond]) == "painter"


def test_a_mark_that_was_cut_off_is_the_last_token_that_is_left():
    own = vocabulary()
    (laid,) = own.lay([Pair("the old painter is laughing in the school", None, (Mark(0, 35, 41),))], 6)
    assert laid.marks == [(4, 5)]


def test_a_long_paragraph_is_read_in_windows_and_answered_from_the_best(encoder):
    model = encoder("bert")
    task = REGISTRY.tasks["squad"]
    context = "the old painter is laughing in the school on monday it rained a lot " * 3 + "near the river"
    answers = {"text": ["the river"], "answer_start": [context.rindex("the river")]}
    row = {"question": "where ?", "context": context, "answers": answers}
    (example,) = task.examples(row, 0)
    (encoded,) = model.encode(task, [example])
    windows = len(encoded.marks) // 3
    begins, starts, ends = (list(encoded.marks[k * windows : (k + 1) * windows]) for k in range(3))
    assert windows > 1
    assert begins[0] == 0
    answered = [k for k in range(windows) if starts[k]]
    assert answered  # the answer stands near the end
    for k in answered:
        ids = encoded.streams[0][begins[k] :]
        assert model.tokenizer.fast.decode(ids[starts[k] : ends[k] + 1]) == "the river"
    scores = [[[0.0, 0.0] for _ in range(60)] for _ in range(windows)]
    scores[answered[-1]][starts[answered[-1]]][0] = scores[answered[-1]][ends[answered[-1]]][1] = 9.0
    assert answer_of(model.tokenizer, task, example, scores, *model.lengths, 4).text == "the river"


@pytest.mark.parametrize("name", TASKS)
def test_answers_are_choices_numbers_or_parts_of_the_text(name, encoder):
    model = encoder("bert")
    task, examples = examples_of(name, 4)
    encoded = model.encode(task, examples)
    answers = model.answer(model.lay([[e] for e in encoded], CPU.device), task, examples, False, 10)
    again = [
        model.answer(model.lay([[e]], CPU.device), task, [example], False, 10)[0]
        for e, example in zip(encoded, examples, strict=True)
    ]
    for example, answer, alone in zip(examples, answers, again, strict=True):
        assert answer.text == alone.text
        if task.view.head == "span":
            assert answer.text in task.view.pairs(example)[0].second
        elif task.view.head == "number":
            assert task.decode(answer.text, example) == float(answer.text)
        else:
            assert answer.text in task.view.choices(example)
            assert sum(answer.scores.values()) == pytest.approx(1)


def test_a_no_in_wsc_is_an_answer_that_scores_as_no(encoder):
    task = REGISTRY.tasks["wsc_eval"]
    for row in task.demo(Random(0), 6):
        (example,) = task.examples({**row, "idx": 0}, 0)
        no, yes = task.view.choices(example)
        assert (task.decode(no, example), task.decode(yes, example)) == (0, 1)
        assert task.view.gold(example) == row["label"]


def test_an_encoder_trains_on_the_wrong_candidates_of_wsc_too(tmp_path):
    task = REGISTRY.tasks["wsc"]
    model = load_model(plan_of(write_encoder(tmp_path, "bert")), [task], ())
    row = {**task.demo(Random(0), 2)[0], "label": 0, "idx": 0}
    assert not task.examples(row)
    assert len(model.as_read(task).examples(row)) == 1


class TestStartingFromAnother:
    """Heads that were trained before."""

    def test_a_head_of_the_same_task_is_kept(self, tmp_path, encoder):
        model = encoder("roberta")
        model.save(tmp_path)
        again = load_model(plan_of(tmp_path), [REGISTRY.tasks["mnli"]], ())
        assert again.origin["heads"] == {"mnli": "of mnli"}
        for name, weight in model.module.heads["mnli"].state_dict().items():
            assert torch.equal(weight, again.module.heads["mnli"].state_dict()[name])

    def test_of_a_task_with_other_labels_all_but_the_output_layer_is_kept(self, tmp_path, encoder):
        model = encoder("roberta")
        model.save(tmp_path)
        again = load_model(plan_of(tmp_path), [REGISTRY.tasks["rte"]], ())
        assert again.origin["heads"] == {"rte": "of mnli, its output layer made anew: the labels differ"}
        old, new = model.module.heads["mnli"].classifier, again.module.heads["rte"].classifier
        assert torch.equal(old.dense.weight, new.dense.weight)
        assert new.out_proj.weight.shape[0] == 2

    def test_of_a_task_whose_labels_are_in_another_order_now_the_output_layer_is_made_anew(self, tmp_path, encoder):
        """Its numbers would mean other answers, and no shape would tell."""
        model = encoder("roberta")
        model.save(tmp_path)
        mnli = REGISTRY.tasks["mnli"]
        turned = replace(mnli, choices=mnli.choices[::-1])
        again = load_model(plan_of(tmp_path, seed=1), [turned], ())
        assert again.origin["heads"] == {"mnli": "of mnli, its output layer made anew: the labels differ"}
        old, new = model.module.heads["mnli"].classifier, again.module.heads["mnli"].classifier
        assert torch.equal(old.dense.weight, new.dense.weight)
        assert not torch.equal(old.out_proj.weight, new.out_proj.weight)

    def test_pooling_that_labels_trained_answers_with_a_number_too(self, tmp_path):
        """STS-B starts from MNLI: its encoder has no pooling of its own any more, the head has."""
        model = load_model(plan_of(write_encoder(tmp_path / "base", "bert")), [REGISTRY.tasks["mnli"]], ())
        trained = model.module.heads["mnli"].bert.pooler.dense.weight
        torch.nn.init.normal_(trained)
        (tmp_path / "mnli").mkdir()
        model.save(tmp_path / "mnli")
        again = load_model(plan_of(tmp_path / "mnli"), [REGISTRY.tasks["stsb"]], ())
        assert again.origin["heads"] == {"stsb": "of mnli, its output layer made anew: the labels differ"}
        assert torch.equal(again.module.heads["stsb"].bert.pooler.dense.weight, trained)

    @pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0)])
    def test_a_classifier_of_transformers_keeps_its_labels_by_their_names(self, order, tmp_path):
        labels = REGISTRY.tasks["mnli"].labels
        config = config_of("bert")
        config.id2label = {k: labels[of].upper() for k, of in enumerate(order)}
        config.label2id = {name: k for k, name in config.id2label.items()}
        torch.manual_seed(3)
        whole = CLASSES["label"].from_config(config).eval()
        whole.save_pretrained(tmp_path)
        vocabulary().save(tmp_path)
        model = load_model(plan_of(tmp_path), [REGISTRY.tasks["mnli"]], ())
        model.module.eval()
        task, examples = examples_of("mnli", 2)
        batch = model.lay([[e] for e in model.encode(task, examples)], CPU.device)
        pairs = [tuple(task.view.pairs(example)[0][:2]) for example in examples]
        with torch.no_grad():
            read = model.tokenizer.tokenizer(pairs, padding=True, return_tensors="pt", **CUT)
            theirs = whole(**read).logits.softmax(-1)
        for k, shares in enumerate(model.shares(batch, task, examples)):
            for number, of in enumerate(order):
                assert shares[labels[of]] == pytest.approx(theirs[k, number].item(), abs=1e-5)

    def test_labels_of_another_task_are_not_taken_for_its_own(self, tmp_path):
        whole = CLASSES["label"].from_config(config_of("bert"))
        whole.save_pretrained(tmp_path)
        vocabulary().save(tmp_path)
        model = load_model(plan_of(tmp_path), [REGISTRY.tasks["rte"]], ())
        assert "its labels are not those of rte" in model.origin["heads"]["rte"]


def test_a_head_is_a_function_of_the_seed_and_its_task(tmp_path):
    folder = write_encoder(tmp_path, "bert")
    alone = load_model(plan_of(folder), [REGISTRY.tasks["rte"]], ()).module.heads["rte"]
    beside = load_model(plan_of(folder), [REGISTRY.tasks[n] for n in ("cola", "rte")], ()).module.heads
    other = load_model(plan_of(folder, seed=1), [REGISTRY.tasks["rte"]], ()).module.heads["rte"]
    assert torch.equal(alone.classifier.weight, beside["rte"].classifier.weight)
    assert not torch.equal(alone.classifier.weight, other.classifier.weight)
    assert not torch.equal(alone.classifier.weight, beside["cola"].classifier.weight)


def test_a_weight_of_a_task_scales_its_loss_alone(tmp_path):
    folder = write_encoder(tmp_path, "bert")
    tasks = [REGISTRY.tasks[name] for name in ("rte", "stsb")]
    found = []
    for weights in ({}, {"stsb": 0.5}):
        model = load_model(plan_of(folder).replace(loss_weights=weights), tasks, ())
        model.module.eval()
        encoded = [model.encode(*examples_of(name, 1))[0] for name in ("rte", "stsb")]
        found.append(model.loss(model.lay([encoded], CPU.device)).each)
    torch.testing.assert_close(found[1], found[0] * torch.tensor([1.0, 0.5]))


class TestRefusals:
    def refused(self, folder, *names, **changes) -> str:
        def load_and_check() -> None:
            tasks = [REGISTRY.tasks[name] for name in names or ("rte",)]
            load_model(plan_of(folder).replace(**changes), tasks, ()).check(tasks)

        with pytest.raises(UsageError) as caught:
            load_and_check()
        (line,) = str(caught.value).splitlines()
        return line

    def test_a_task_that_wants_a_text(self, tmp_path):
        folder = write_encoder(tmp_path, "bert")
        assert "cannot write texts, which wmt_en_de needs: use a T5" in self.refused(folder, "wmt_en_de")

    def test_strict_answers(self, tmp_path):
        assert "use --answers closed" in self.refused(write_encoder(tmp_path, "bert"), answers="strict")

    def test_a_vocabulary_of_another_model(self, tmp_path):
        folder = write_encoder(tmp_path, "bert")
        learn_pair_tokenizer([" ".join(f"word{k}" for k in range(200))] * 3, 400).save(folder)
        assert "pieces, its embeddings" in self.refused(folder)

    def test_a_pair_for_a_vocabulary_without_separators(self, tmp_path):
        folder = write_encoder(tmp_path, "bert")
        for name, key, value in (
            ("tokenizer.json", "post_processor", None),
            ("tokenizer_config.json", "tokenizer_class", "PreTrainedTokenizerFast"),
        ):
            values = json.loads((folder / name).read_text())
            (folder / name).write_text(json.dumps({**values, key: value}))
        tasks = [REGISTRY.tasks[name] for name in ("cola", "rte", "squad")]
        model = load_model(plan_of(folder), tasks, ())
        assert model.encode(*examples_of("cola", 1))  # one text alone needs none
        for name in ("rte", "squad"):
            with pytest.raises(UsageError) as caught:
                model.encode(*examples_of(name, 1))
            assert str(caught.value) == (
                f"task {name!r} is about two texts, and the vocabulary of model {str(folder)!r} puts no separator "
                "between them: use another model"
            )

    def test_code_of_its_own(self, tmp_path):
        folder = write_encoder(tmp_path, "bert")
        config = (folder / "config.json").read_text()
        (folder / "config.json").write_text(config.replace("{", '{"auto_map": {"AutoModel": "x.Y"},', 1))
        assert "wants to run code of its own" in self.refused(folder)

    def test_a_pickle(self, tmp_path):
        folder = write_encoder(tmp_path, "bert")
        (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
        line = self.refused(folder)
        assert "as a pickle, which could run anything" in line
        assert "save_pretrained" in line

    @pytest.mark.parametrize(
        ("changes", "message"),
        [
            ({"conv_kernel_size": 3}, "has a convolution over tokens, which would mix the examples of a row"),
            ({"is_decoder": True}, "is configured as a decoder: is_decoder must be false"),
        ],
    )
    def test_what_would_mix_examples_or_see_half_of_them(self, changes, message):
        config = config_of("deberta-v2")
        config.update(changes)
        with pytest.raises(UsageError, match=message):
            body_of(config, "x")

    def test_weights_that_are_not_there(self, tmp_path):
        folder = write_encoder(tmp_path, "bert")
        (folder / "model.safetensors").unlink()
        assert "no .safetensors file" in self.refused(folder)

    def test_a_configuration_of_other_sizes(self, tmp_path):
        folder = write_encoder(tmp_path, "bert")
        config = (folder / "config.json").read_text()
        (folder / "config.json").write_text(config.replace('"intermediate_size": 48', '"intermediate_size": 64'))
        self.refused(folder)

    def test_an_architecture_that_nobody_knows(self, tmp_path):
        folder = write_encoder(tmp_path, "bert")
        config = (folder / "config.json").read_text()
        (folder / "config.json").write_text(config.replace('"model_type": "bert"', '"model_type": "xlnet"'))
        assert "is a xlnet: known families: " in self.refused(folder)

    def test_a_task_that_no_head_answers(self, tmp_path):
        model = load_model(plan_of(write_encoder(tmp_path, "bert")), [REGISTRY.tasks["rte"]], ())
        with pytest.raises(UsageError, match="has no head for cola: it has rte"):
            model.lay([model.encode(*examples_of("cola", 1))], CPU.device)

    def test_a_weight_of_a_task_that_is_not_trained(self, tmp_path):
        line = self.refused(write_encoder(tmp_path, "bert"), loss_weights={"cola": 2.0})
        assert "loss_weights has 'cola', which is not trained: it has rte" in line
