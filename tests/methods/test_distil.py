"""Distillation: the soft loss by hand, any pair of families, shares that are computed once, and what is refused."""

from __future__ import annotations

import json
import math
import shutil
from dataclasses import replace
from random import Random

import pytest
import torch
from decoders import write_decoder
from encoders import config_of, vocabulary, write_encoder
from safetensors.torch import load_file, save_file
from toys import CPU, toy_model
from transformers import AutoModelForSequenceClassification
from watchers import Interrupt

from glue_harness import Plan, data, load_tasks, run
from glue_harness.cli import main
from glue_harness.core.errors import UsageError
from glue_harness.core.plan import plan_from
from glue_harness.core.writing import json_text
from glue_harness.lab import school
from glue_harness.lab.predict import load
from glue_harness.models.families import load_model
from glue_harness.models.interface import Choices
from glue_harness.models.matching import match
from glue_harness.models.teaching import soft_losses, taught, two_neighbours
from glue_harness.runs import care
from glue_harness.runs.store import Store

REGISTRY = load_tasks()
SMALL = {"data": "demo:40", "steps": 4, "eval_every": 2, "batch_size": 8, "max_input": 48, "lr": 3e-3}
DISTIL = {"method": "distil", "alpha": 0.7}


def plan_of(model, *tasks, **changes) -> Plan:
    values = {**SMALL, "device": "cpu", "precision": "fp32", "mixing": "equal", **changes}
    return Plan(tasks or ("rte",), model=str(model), **values)


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """A folder of 30,000 weights of each family; the T5 knows few words."""
    home = tmp_path_factory.mktemp("models")
    for name in ("bert", "small", "gpt2", "t5"):
        (home / name).mkdir()
    write_encoder(home / "bert", "bert")
    write_encoder(home / "small", "modernbert")
    write_decoder(home / "gpt2", "gpt2")
    toy_model().save(home / "t5")
    return {"bilstm": "bilstm", **{name: home / name for name in ("bert", "small", "gpt2", "t5")}}


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    return tmp_path_factory.mktemp("results")


@pytest.fixture(scope="module")
def teachers(results, models):
    """Runs of two tasks: an encoder's, which numbers its labels and answers a number, and a T5's, which writes both."""
    return {name: run(plan_of(models[name], "rte", "stsb"), results=results) for name in ("bert", "t5")}


def student(teacher, model, results, *tasks, **changes):
    return run(plan_of(model, *tasks, **{**DISTIL, "teacher": teacher.id, **changes}), results=results)


def test_the_soft_loss_is_what_a_hand_computes():
    """T = 2: shares .64 and .36 soften to .8 : .6, of seven parts four and three; what is not there counts nothing."""
    shares = torch.tensor([[0.64, 0.36, 0.0]])
    scores = torch.tensor([[math.log(9.0), math.log(1.0), -math.inf]], requires_grad=True)  # softened: 3 : 1
    (found,) = soft_losses(Choices(scores, shares, torch.tensor([0])), 2.0)
    wanted = 4 * (4 / 7 * math.log((4 / 7) / (3 / 4)) + 3 / 7 * math.log((3 / 7) / (1 / 4)))
    assert found.item() == pytest.approx(wanted, rel=1e-5)
    found.backward()  # T^2 / T (student - teacher)
    assert scores.grad.tolist()[0] == pytest.approx([2 * (3 / 4 - 4 / 7), 2 * (1 / 4 - 3 / 7), 0.0], rel=1e-5)


def test_of_a_number_it_is_the_squared_difference():
    numbers = Choices(torch.tensor([[3.0]]), torch.tensor([[2.5]]), torch.tensor([0]), is_number=True)
    assert soft_losses(numbers, 7.0).tolist() == [0.25]


@pytest.mark.parametrize(
    ("number", "shares"),
    [(0.5, [0.5, 0.5, 0]), (1, [0, 1, 0]), (1.75, [0, 0.25, 0.75]), (9, [0, 0, 1]), (-1, [1, 0, 0])],
)
def test_a_number_becomes_shares_of_its_neighbours(number, shares):
    assert two_neighbours(number, [0.0, 1.0, 2.0]) == pytest.approx(shares)


@pytest.mark.parametrize("name", ["rte", "copa"])
@pytest.mark.parametrize("family", ["bert", "small", "gpt2", "t5", "bilstm"])
def test_what_a_student_is_held_to_are_its_own_shares(family, name, models):
    """In packed rows, beside others, as when it is asked alone; and each token of an answer carries it."""
    task = REGISTRY.tasks[name]
    examples = [e for number, row in enumerate(task.demo(Random(3), 5)) for e in task.examples(row, number)]
    plan = plan_of(models[family], name, **DISTIL, teacher="known")
    model = load_model(plan, [task], [e.inputs for e in examples])
    model.module.eval()
    shown = [0.25, 0.75]
    writes = getattr(model, "option_tokens", None)
    encoded = [
        replace(found, soft=shown, options=writes(example.choices) if writes else ())
        for found, example in zip(model.encode(task, examples), examples, strict=True)
    ]
    packed = model.lay([encoded[:3], encoded[3:]], CPU.device)
    hard, (choices,) = model.graded(packed)
    asked = model.shares(model.lay([[e] for e in encoded], CPU.device), task, examples)
    alone = torch.tensor([[own[choice] for choice in e.choices] for own, e in zip(asked, examples, strict=True)])
    assert torch.allclose(choices.scores.softmax(-1).float(), alone, atol=1e-5)
    assert torch.allclose(choices.soft, torch.tensor([shown] * 5))
    assert torch.equal(hard.each, model.loss(packed).each)
    each = soft_losses(choices, 2.0)
    terms = torch.cat([value.repeat(e.terms) for value, e in zip(each, encoded, strict=True)])
    found = taught(plan, model, packed, False)
    assert torch.allclose(found.each, 0.3 * hard.each + 0.7 * terms.detach().float(), atol=1e-5)
    assert found.total.item() == pytest.approx(found.each.sum().item(), rel=1e-5)


def weights(results, record):
    (file,) = (results / record.id / "checkpoints").glob(f"*{record.last_step}/model.safetensors")
    return load_file(file)


def test_without_the_teachers_share_it_is_a_plain_run(results, models, teachers):
    plain = run(plan_of(models["bert"], "rte"), results=results)
    record = student(teachers["bert"], models["bert"], results, alpha=0.0)
    found, wanted = weights(results, record), weights(results, plain)
    assert found.keys() == wanted.keys()
    assert all(torch.equal(found[name], wanted[name]) for name in wanted)
    other = weights(results, student(teachers["bert"], models["bert"], results))
    assert not all(torch.equal(other[name], wanted[name]) for name in wanted)


@pytest.mark.parametrize(("teacher", "family", "tasks"), [
    ("bert", "bert", ["rte"]), ("t5", "bilstm", ["rte"]),
    *((teacher, family, ["rte", "stsb"]) for teacher, family in (
        ("bert", "small"), ("bert", "bilstm"), ("bert", "t5"), ("bert", "gpt2"), ("t5", "bert"), ("t5", "t5"),
    )),
])  # fmt: skip
def test_any_family_teaches_any_other(teacher, family, tasks, results, models, teachers):
    small = {"lstm_size": 8, "word_size": 12} if family == "bilstm" else {}
    record = student(teachers[teacher], models[family], results, *tasks, steps=2, **small)
    assert record.status == "finished"
    assert set(record.scores) == set(tasks)
    said = record.environment["teacher"]
    assert (said["run"], len(said["fingerprint"])) == (teachers[teacher].id, 16)
    best = teachers[teacher].scores["rte"].step if len(tasks) == 1 else teachers[teacher].last_step
    assert said["step"] == best
    asked = plan_of(models[family], *tasks, **DISTIL, teacher=f"run:{teachers[teacher].id}", steps=2, **small)
    assert asked.digest == record.digest  # a plan that is asked for again is found


def test_a_student_learns_what_its_teacher_says_and_not_the_labels(results, models, teachers, monkeypatch):
    """Of a teacher that says the contrary of every label, with all the loss its own."""
    monkeypatch.setenv("GLUE_CACHE", str(results / "contrary"))
    said = []

    def contrary(self, task, examples):
        said.extend(examples)
        return [[float(choice != e.target) for choice in e.choices] for e in examples]

    monkeypatch.setattr(school.School, "answers", contrary)
    changes = {"steps": 150, "eval_every": 150, "alpha": 1.0, "data": "demo:200", "batch_size": 32, "lr": 1e-2}
    plan = plan_of("cbow", "sst2", word_size=24, method="distil", teacher=str(models["bert"]), **changes)
    record = run(plan, results=results)
    assert len(said) == 200
    assert record.scores["sst2"].metrics["accuracy"] < 30


def test_every_other_layer_is_an_ordinary_smaller_model(results, models, teachers, tmp_path):
    start = f"run:{teachers['t5'].id}"
    record = student(teachers["t5"], start, results, "rte", student="every-other-layer", steps=2)
    assert record.parameters["total"] < teachers["t5"].parameters["total"]
    again = load(record, results / record.id, record.last_step)
    assert [len(stack) for stack in again.model.parts().stacks] == [1, 1]
    task = REGISTRY.tasks["rte"]
    rows = data.load(task, "validation", "demo:40")
    examples = [e for number, row in enumerate(rows) for e in task.examples(row, number)]
    at = load(record, results / record.id, record.scores["rte"].step)
    kept = Store(results).read_predictions(record.id, task)
    assert [p.text for p in at.answers(task, examples)] == [p.text for p in kept]
    start = f"run:{record.id}"
    assert run(plan_of(start, steps=1, eval_every=1), results=results).status == "finished"


def test_the_teacher_is_asked_once(results, models, teachers, monkeypatch):
    monkeypatch.setenv("GLUE_CACHE", str(results / "own cache"))
    student(teachers["bert"], models["bert"], results, "rte", steps=2)

    def loaded(self):
        raise AssertionError("what is kept needs no teacher")

    monkeypatch.setattr(school.School, "_load", loaded)
    student(
        teachers["bert"], "bilstm", results, "rte", steps=2, lstm_size=8, word_size=12
    )  # another family, other seed
    with pytest.raises(AssertionError, match="needs no teacher"):
        student(teachers["bert"], models["bert"], results, "rte", steps=2, data="demo:44")


def test_interrupted_and_resumed_it_ends_with_the_same_bits(results, models, teachers):
    changes = {"student": "every-other-layer", "micro_batch": 3, "steps": 5}
    plan = plan_of(models["bert"], "rte", "stsb", **DISTIL, **changes, teacher=teachers["bert"].id)
    whole = run(plan, results=results)
    with pytest.raises(KeyboardInterrupt):
        run(plan, results=results, watcher=Interrupt(3))
    (begun,) = [record for record in Store(results).load_all()[0] if record.status == "interrupted"]
    again = run(None, results=results, resume=begun.id)
    assert again.resumed == [2]
    for part in ("history", "scores", "last"):
        assert json_text(again.to_dict()[part]) == json_text(whole.to_dict()[part])
    found, wanted = weights(results, again), weights(results, whole)
    assert all(torch.equal(found[name], wanted[name]) for name in wanted)


def refused(results, model, *tasks, **changes) -> str:
    with pytest.raises(UsageError) as caught:
        run(plan_of(model, *tasks, **{**DISTIL, **changes}), results=results)
    return str(caught.value)


def test_what_cannot_teach_is_refused_by_name(results, models, teachers):
    bert, own = str(models["bert"]), teachers["bert"].id
    assert "method distil needs teacher (--teacher)" in refused(results, bert)
    assert refused(results, bert, teacher="nosuch").startswith("teacher 'nosuch': unknown run 'nosuch'")
    assert refused(results, bert, "cola", teacher=own) == (
        f"teacher '{own}' has learned rte, stsb, not cola: name a run of cola"
    )
    assert "it has no head that has learned rte: fine-tune it first" in refused(results, bert, teacher=bert)
    assert "alpha must be from 0 to 1, not 1.5" in refused_plan(alpha=1.5)
    assert "temperature_of_teacher must be above 0, not 0.0" in refused_plan(temperature_of_teacher=0)
    with pytest.raises(UsageError, match=r"teacher is \S+ but method is 'full': use --method distil"):
        plan_of("tiny", teacher=own)
    task = "task squad has no fixed choices: a teacher has no shares to tell of it; use --method full"
    assert refused(results, bert, "squad", teacher=bert) == task


def refused_plan(**changes) -> str:
    with pytest.raises(UsageError) as caught:
        plan_of("tiny", **{**DISTIL, **changes})
    return str(caught.value)


def test_a_student_that_is_larger_than_its_teacher_is_worth_a_word(results, teachers):
    record = student(teachers["bert"], "bert:tiny", results, "rte", steps=1, eval_every=1)
    (said,) = [note for note in record.notes if "larger" in note]
    assert said.startswith("the student is larger than its teacher: ")


@pytest.fixture(scope="module")
def large(tmp_path_factory, results):
    """A teacher of another size: four layers of 64 with four heads, beside students of two of 32 with two."""
    from transformers import AutoModel, AutoTokenizer

    home = tmp_path_factory.mktemp("large")
    config = config_of("bert")
    config.hidden_size, config.num_hidden_layers, config.num_attention_heads = 64, 4, 4
    torch.manual_seed(1)
    AutoModel.from_config(config).save_pretrained(home)
    vocabulary().save(home)
    assert AutoTokenizer.from_pretrained(home).vocab_size
    return run(plan_of(home, "rte", "copa"), results=results)


def matched(kind, student, teacher, name="rte"):
    """A student beside its teacher, and a batch of five examples that it has just read."""
    task = REGISTRY.tasks[name]
    plan = plan_of(student, name, **DISTIL, match=kind)
    model = load_model(plan, [task], ())
    model.teacher = load_model(plan_of(teacher, name), [task], ())
    model.module.eval(), model.teacher.module.eval()
    match(model, kind)
    examples = [e for number, row in enumerate(task.demo(Random(3), 5)) for e in task.examples(row, number)]
    encoded = model.encode(task, examples)
    return model, encoded


def match_losses(model, rows) -> torch.Tensor:
    batch = model.lay(rows, CPU.device)
    with model.matching.own.heard():
        model.graded(batch)
    return model.matching.losses(batch)


@pytest.mark.parametrize("kind", ["tinybert", "minilm"])
def test_what_is_held_together_is_zero_for_a_model_and_itself(kind, models):
    model, encoded = matched(kind, models["bert"], models["bert"])
    assert match_losses(model, [encoded]).abs().max() < 1e-6


@pytest.mark.parametrize("name", ["rte", "copa"])
@pytest.mark.parametrize("kind", ["tinybert", "minilm"])
def test_an_example_is_held_together_alike_in_whatever_row_it_stands(kind, name, models, large, results):
    source = results / large.id / "checkpoints"
    (folder,) = source.glob(f"*{large.last_step}")
    model, encoded = matched(kind, models["bert"], folder, name)
    together = match_losses(model, [encoded[:2], encoded[2:]])
    alone = torch.cat([match_losses(model, [[e]]) for e in encoded])
    assert together.shape == (5,)
    assert alone.min() > 0
    assert torch.allclose(together, alone, rtol=1e-4, atol=1e-6)


def looked_into(one, encoded):
    """States of every layer, and queries, keys and values of each by heads, by transformers' own modules."""
    ids = torch.tensor([[int(k) for k in encoded.streams[0]]])
    body, heads = one.module.body, one.config.num_attention_heads
    with torch.no_grad():
        types = one.lay([[encoded]], CPU.device).types
        states = body(ids, token_type_ids=types, output_hidden_states=True).hidden_states
        read = [
            [getattr(layer.attention.self, name)(entered).unflatten(-1, (heads, -1)).transpose(1, 2)
             for name in ("query", "key", "value")]
            for layer, entered in zip(body.encoder.layer, states[:-1], strict=True)
        ]  # fmt: skip
    return states, read


def products(left, right):
    return left @ right.transpose(2, 3) / math.sqrt(left.shape[-1])


def test_minilm_is_the_divergence_of_attention_and_of_values(models):
    model, (encoded, *_) = matched("minilm", models["bert"], models["bert"])
    with torch.no_grad():
        for weight in model.teacher.module.parameters():
            weight += 0.1 * torch.randn(weight.shape, generator=torch.Generator().manual_seed(1))
    (*_, theirs), (*_, mine) = (looked_into(one, encoded)[1] for one in (model.teacher, model))
    wanted = 0.0
    for left, right in ((0, 1), (2, 2)):
        teacher, student = (products(read[left], read[right]).softmax(-1) for read in (theirs, mine))
        wanted += (teacher * (teacher.log() - student.log())).sum(-1).mean().item()
    assert match_losses(model, [[encoded]]).item() == pytest.approx(wanted, rel=1e-4)


def test_tinybert_is_the_squared_difference_of_states_and_of_attention(models, large, results):
    """Two layers are held to the second and the fourth of four; heads of another number by their mean."""
    (folder,) = (results / large.id / "checkpoints").glob(f"*{large.last_step}")
    model, (encoded, *_) = matched("tinybert", models["bert"], folder)
    (states, read), (others, others_read) = (looked_into(one, encoded) for one in (model, model.teacher))
    turned = [matrix(of_layer) for matrix, of_layer in zip(model.module.beside, states, strict=True)]
    found = [(turned[m] - others[2 * m]).square().mean() for m in range(3)]
    for own, other in ((0, 1), (1, 3)):
        mine, theirs = (products(*parts[:2]).mean(1) for parts in (read[own], others_read[other]))
        found.append((mine - theirs).square().mean())
    assert match_losses(model, [[encoded]]).item() == pytest.approx(torch.stack(found).mean().item(), rel=1e-4)


@pytest.mark.parametrize("kind", ["tinybert", "minilm"])
def test_matching_learns_resumes_to_the_same_bits_and_leaves_no_trace_in_the_model(kind, results, models, large):
    changes = {"match": kind, "steps": 5, "tasks": ("rte", "copa")}
    plan = plan_of(models["bert"], **DISTIL, teacher=large.id).replace(**changes)
    whole = run(plan, results=results)
    with pytest.raises(KeyboardInterrupt):
        run(plan, results=results, watcher=Interrupt(3))
    (begun,) = [record for record in Store(results).load_all()[0] if record.status == "interrupted"]
    again = run(None, results=results, resume=begun.id)
    found, wanted = weights(results, again), weights(results, whole)
    assert all(torch.equal(found[name], wanted[name]) for name in wanted)
    assert not any("beside" in name for name in wanted)
    plain = student(large, models["bert"], results, "rte", "copa", steps=5)
    assert whole.parameters == plain.parameters
    other = weights(results, plain)
    assert other.keys() == wanted.keys()
    assert not all(torch.equal(other[name], wanted[name]) for name in wanted)


def test_a_general_student_matches_a_teacher_on_text_alone(results, models, large):
    plan = plan_of("bert:tiny", "mlm", **DISTIL, teacher=large.id, match="minilm", steps=2)
    assert "match needs one vocabulary" in refused(results, "bert:tiny", "mlm", teacher=large.id, match="minilm")
    record = run(plan.replace(tokenizer=str(models["bert"])), results=results)
    assert record.status == "finished"
    text = refused(results, "bert:tiny", "mlm", teacher=large.id, tokenizer=str(models["bert"]))
    assert text == "text alone has no answers to learn from a teacher: hold its states, --match minilm"


def test_models_that_cannot_be_held_together_are_refused(results, models, teachers):
    own = teachers["bert"].id
    text = "match holds the states of two encoders together, and the student is none: leave it out"
    assert refused(results, models["t5"], teacher=own, match="minilm") == text
    assert "and the student's are one matrix" in refused(results, models["small"], teacher=own, match="tinybert")


@pytest.fixture
def folder(results, teachers, tmp_path):
    """A teacher's weights as somebody else may have got them."""
    (found,) = (results / teachers["bert"].id / "checkpoints").glob(f"*{teachers['bert'].last_step}")
    shutil.copytree(found, tmp_path / "teacher")
    (tmp_path / "teacher" / "complete").unlink()
    return tmp_path / "teacher"


def test_a_folder_teaches_what_its_heads_have_learned(folder, results, models):
    record = run(plan_of(models["bert"], "rte", **DISTIL, teacher=str(folder)), results=results)
    assert record.environment["teacher"].keys() == {"fingerprint"}
    assert "has no head for cola: it has rte, stsb" in refused(results, models["bert"], "cola", teacher=str(folder))
    config = json.loads((folder / "config.json").read_text())
    config["glue_heads"]["rte"]["choices"] = ["yes", "no"]
    (folder / "config.json").write_text(json.dumps(config))
    text = refused(results, models["bert"], "rte", teacher=str(folder))
    assert text.startswith(f"teacher '{folder}': task 'rte' has the labels entailment, not_entailment, but model")
    assert "learned yes, no" in text
    missing = refused(results, models["bert"], "rte", teacher="./not/there")
    assert missing == "teacher './not/there' is neither a run, nor a folder here, nor a model of the Hub"


def test_a_run_does_not_go_on_under_another_teacher(folder, results, models):
    plan = plan_of(models["bert"], "rte", **DISTIL, teacher=str(folder))
    paused = run(plan, results=results, until=2)
    kept = load_file(folder / "model.safetensors")
    save_file({name: weight * 1.01 for name, weight in kept.items()}, folder / "model.safetensors")
    with pytest.raises(UsageError, match=r"is not the one that run \S+ began with"):
        run(None, results=results, resume=paused.id)
    save_file(kept, folder / "model.safetensors", metadata={"format": "pt"})
    assert run(None, results=results, resume=paused.id).status == "finished"


def test_what_was_trained_in_part_teaches_too(results, models):
    teacher = run(plan_of(models["bert"], method="adapter", adapter_width=4), results=results)
    record = student(teacher, "bilstm", results, "rte", lstm_size=8, word_size=12, steps=1, eval_every=1)
    assert record.environment["teacher"]["run"] == teacher.id
    assert care.parents(record) == [teacher.id]
    assert record.parents == {"model": [], "teacher": [teacher.id]}


def test_an_export_says_who_taught_it(results, teachers, tmp_path, capsys):
    start = f"run:{teachers['bert'].id}"
    record = student(teachers["bert"], start, results, "rte", student="every-other-layer", steps=1, eval_every=1)
    out = tmp_path / "out"
    main(["export", record.id, "--task", "rte", "--results", str(results), "--out", str(out)])
    taught = f"Beside the labels it learned what run {teachers['bert'].id} at step"
    assert taught in (out / "README.md").read_text()
    made = AutoModelForSequenceClassification.from_pretrained(out)
    assert made.config.num_hidden_layers == 1


def test_begun_as_the_teacher_where_no_model_is_named(results, teachers, capsys):
    how = ["--set", "max_input=48", "--device", "cpu", "--results", str(results), "--data", "demo:40"]
    named = ["--method", "distil", "--teacher", teachers["bert"].id, "--student", "every-other-layer"]
    main(["run", "--task", "rte", *named, *how, "--steps", "1", "--batch-size", "8", "--quiet"])
    (record,) = Store(results).load_all()[0][-1:]
    assert record.plan["teacher"] == f"run:{teachers['bert'].id}"
    assert record.plan["model"] == f"run:{teachers['bert'].id}@rte"
    assert (plan_from(record.plan).digest, record.environment["teacher"]["step"]) == (
        record.digest,
        teachers["bert"].scores["rte"].step,
    )
