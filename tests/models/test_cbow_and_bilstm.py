"""CBOW and BiLSTM: what they read, what they compute, their word vectors, and runs from rows to answers."""

from __future__ import annotations

from random import Random

import pytest
import torch
from toys import CPU

from glue_harness import Plan, data, load_tasks, run
from glue_harness.core.errors import DataError, UsageError
from glue_harness.lab.predict import load
from glue_harness.models import vectors
from glue_harness.models.dropout import drawn_by_rows
from glue_harness.models.families import load_model
from glue_harness.models.packing import FINE
from glue_harness.models.vectors import take_vectors
from glue_harness.models.words import UNK, Words, frequent, words_in
from glue_harness.runs.store import Store

REGISTRY = load_tasks()
TASKS = ("cola", "mnli", "stsb", "copa", "wic", "wsc")  # every kind of head that is served, texts alone and pairs
SMALL = {"word_size": 12, "device": "cpu", "precision": "fp32", "max_input": 24, "dropout": 0.0}
KINDS = {"cbow": {"model": "cbow"}, "bilstm": {"model": "bilstm", "lstm_size": 5}}
KINDS["attention"] = {**KINDS["bilstm"], "pair_attention": "on"}


def plan_of(kind: str, tasks=TASKS, **changes) -> Plan:
    return Plan(tasks, **{**SMALL, **KINDS[kind], **changes})


def examples_of(name: str, n: int = 3):
    task = REGISTRY.tasks[name]
    rows = task.demo(Random(name), n)
    return task, [example for number, row in enumerate(rows) for example in task.examples(row, number)]


def texts():
    return [example.inputs for name in TASKS for example in examples_of(name, 40)[1]]


def model_of(kind: str, tasks=TASKS, **changes):
    return load_model(plan_of(kind, tasks, **changes), [REGISTRY.tasks[name] for name in tasks], texts())


@pytest.fixture
def glove(tmp_path):
    """Vectors of what the demo rows say, and a name that GloVe writes with a space."""
    random, file = Random(0), tmp_path / "glove.txt"
    words = [*frequent(words_in(texts()), 500).words, ". .", "Zebra"]
    file.write_text("".join(f"{word} {' '.join(f'{random.gauss(0, 1):.4f}' for _ in range(6))}\n" for word in words))
    return file


def test_words_are_split_as_word_vectors_are_made():
    words = Words(["do", "n't", "it", "'s", "fine", ",", "Bob"])
    read = words.read("Don't, it's FINE bob xyz")
    assert [words.words[w.id - 2] if w.id > UNK else "?" for w in read] == [
        "do", "n't", ",", "it", "'s", "fine", "?", "?",
    ]  # fmt: skip
    assert (read[0].start, read[0].end, read[1].end) == (0, 2, 5)
    assert [w.id for w in words.read("  ")] == [UNK]


def test_the_learned_vocabulary_is_of_frequent_words_in_small_letters():
    assert frequent(words_in(["The cat", "the dog the", "dog once"]), 10).words == ["the", "dog"]
    assert frequent(words_in(["b a", "a b"]), 1).words == ["b"]


@pytest.mark.parametrize("kind", KINDS)
def test_rows_of_several_examples_equal_examples_alone(kind):
    model = model_of(kind)
    model.module.double()
    encoded = [one for name in TASKS for one in model.encode(*examples_of(name))]
    Random(1).shuffle(encoded)
    together = model.loss(model.lay([encoded[:7], encoded[7:]], CPU.device, FINE))
    together.total.backward()
    packed = {name: p.grad.clone() for name, p in model.module.named_parameters()}
    model.module.zero_grad()
    alone = [model.loss(model.lay([[one]], CPU.device, FINE)) for one in encoded]
    torch.stack([loss.total for loss in alone]).sum().backward()
    torch.testing.assert_close(together.each, torch.cat([loss.each for loss in alone]), rtol=0, atol=1e-10)
    for name, parameter in model.module.named_parameters():
        torch.testing.assert_close(packed[name], parameter.grad, rtol=0, atol=1e-10, msg=name)


@pytest.mark.parametrize("kind", KINDS)
def test_dropout_is_the_same_for_a_row_in_whatever_part_of_a_pass_it_stands(kind):
    model = model_of(kind)
    model.module.train()
    encoded = [one for name in TASKS for one in model.encode(*examples_of(name))]
    Random(2).shuffle(encoded)
    rows = [encoded[k : k + 3] for k in range(0, len(encoded), 3)]

    def losses(first: int, last: int):
        with drawn_by_rows([100 + row for row in range(first, last)]):
            return model.loss(model.lay(rows[first:last], CPU.device, FINE)).each

    whole = losses(0, len(rows))
    parts = torch.cat([losses(0, 2), losses(2, 3), losses(3, len(rows))])
    torch.testing.assert_close(parts, whole, rtol=0, atol=1e-5)
    model.module.eval()
    assert not torch.allclose(losses(0, len(rows)), whole, atol=1e-3)


def test_a_cbow_is_the_mean_of_its_words_and_a_pair_is_compared_four_ways():
    model = model_of("cbow", ("mnli",)).module.double(), model_of("cbow", ("mnli",))
    model[1].module = model[0]
    task, examples = examples_of("mnli", 1)
    (pair,) = task.view.pairs(examples[0])
    table = model[0].words.weight
    u, v = (table[torch.tensor([w.id for w in model[1].words.read(text)])].mean(0) for text in pair[:2])
    expected = model[0].heads["mnli"](torch.cat([u, v, (u - v).abs(), u * v])).softmax(-1)
    batch = model[1].lay([model[1].encode(task, examples)], CPU.device)
    shares = model[1].shares(batch, task, examples)[0]
    assert list(shares.values()) == pytest.approx(expected.tolist(), abs=1e-12)


def test_a_bilstm_takes_the_greatest_state_of_both_directions():
    model = model_of("bilstm", ("cola",), lstm_layers=1)
    task, examples = examples_of("cola", 1)
    ids = torch.tensor([w.id for w in model.words.read(task.view.pairs(examples[0])[0].first)])
    lstm = model.module.body.layers[0]
    u = lstm(model.module.words.weight[ids][None])[0][0].amax(0)
    expected = model.module.heads["cola"](torch.cat([u, 0 * u, u.abs(), 0 * u])).softmax(-1)
    batch = model.lay([model.encode(task, examples)], CPU.device)
    assert list(model.shares(batch, task, examples)[0].values()) == pytest.approx(expected.tolist(), abs=1e-6)


def test_with_attention_a_text_depends_on_the_other():
    task, examples = examples_of("mnli", 2)
    (one, _), other = task.view.pairs(examples[0])[0][:2], task.view.pairs(examples[1])[0].second
    for kind, depends in (("bilstm", False), ("attention", True)):
        model = model_of(kind, ("mnli",))
        seen = []
        model.module.heads["mnli"].register_forward_pre_hook(lambda _, given, seen=seen: seen.append(given[0]))
        for second in (task.view.pairs(examples[0])[0].second, other):
            premise = examples[0].fields | {"premise": one, "hypothesis": second}
            (example,) = task.examples({**premise, "label": 0})
            model.loss(model.lay([model.encode(task, [example])], CPU.device))
        first = [read[0, : model.module.body.outputs] for read in seen]
        assert torch.equal(*first) != depends


def test_a_pair_that_is_too_long_loses_words_of_its_longer_text():
    model = model_of("cbow", ("rte",), max_input=6)
    task = REGISTRY.tasks["rte"]
    (example,) = task.examples({"sentence1": "a b c d e f g", "sentence2": "x y", "label": 0})
    (encoded,) = model.encode(task, [example])
    assert (len(encoded.streams[0]), encoded.lost, list(encoded.marks)) == (6, 3, [0, 4])


def test_a_phrase_that_is_cut_off_is_read_at_the_last_word_that_is_left():
    model = model_of("cbow", ("wic",), max_input=4)
    task, examples = examples_of("wic", 5)
    for encoded in model.encode(task, examples):
        starts, spans = encoded.marks[:2], encoded.marks[2:]
        sizes = [starts[1], len(encoded.streams[0]) - starts[1]]
        for text, first, beyond in (spans[:3], spans[3:]):
            assert 0 <= first < beyond <= sizes[text]


@pytest.mark.parametrize("task", ["squad", "wmt_en_de"])
def test_what_compares_sentences_refuses_what_must_be_written_or_found(task):
    with pytest.raises(UsageError, match=rf"'cbow' compares sentences: it cannot .*{task}.*use a T5, or an encoder"):
        model_of("cbow", ("rte",)).check([REGISTRY.tasks[task]])


@pytest.mark.parametrize("method", ["lora", "adapter", "unfreeze", "prompt"])
def test_methods_that_need_blocks_are_refused_by_name(method, tmp_path):
    with pytest.raises(UsageError, match=rf"method {method} needs .* of which model 'bilstm' has none: use --method"):
        run(plan_of("bilstm", ("rte",), data="demo:40", method=method, steps=2, batch_size=4), results=tmp_path)


def test_vectors_of_a_file_stay_and_are_found_as_written_or_in_small_letters(glove):
    model = model_of("cbow", vectors=str(glove), word_size=None)
    table = take_vectors(str(glove), (), [])
    assert model.module.words.weight.shape == (len(table.words) + 2, 6)
    assert "words.weight" not in dict(model.module.named_parameters())
    (zebra,) = model.words.read("Zebra")
    torch.testing.assert_close(model.module.words.weight[zebra.id], torch.from_numpy(table.matrix[-1].copy()))
    assert model.words.read("THE")[0].id == model.words.read("the")[0].id > UNK
    assert "words.weight" in dict(
        model_of("cbow", vectors=str(glove), word_size=None, tune_vectors="on").module.named_parameters()
    )


def test_of_rare_words_only_those_of_the_tasks_are_taken(glove, monkeypatch):
    monkeypatch.setattr(vectors, "COMMON", 3)
    found = take_vectors(str(glove), {"Zebra"}, [])
    assert len(found.words) == 4
    assert found.words[-1] == "Zebra"


def test_a_vectors_file_is_parsed_once(glove, monkeypatch):
    first = take_vectors(str(glove), (), [])
    monkeypatch.setattr(vectors, "write", lambda *_: pytest.fail("parsed again"))
    again = take_vectors(str(glove), (), [])
    assert first.words == again.words
    assert (first.matrix == again.matrix).all()


def test_the_first_line_of_fasttext_is_no_vector(tmp_path):
    file = tmp_path / "wiki.vec"
    file.write_text("2 3\nred 1 2 3 \nblue 4 5 6\n")
    found = take_vectors(str(file), (), [])
    assert (found.words, found.matrix.tolist()) == (["red", "blue"], [[1, 2, 3], [4, 5, 6]])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "has no line with a word and its numbers"),
        (b"2 3\n", "has no line with a word and its numbers"),
        (b"a 1 2 3\nb 1 2\n", "line 2: 2 numbers behind the word, where 3 are expected"),
        (b"a 1 2 3\nb 1 2 3 4\n", "line 2: 4 numbers behind the word, where 3 are expected"),
        (b"a 1 2 3\nb 1 x 3\n", "line 2: 'x' is not a number"),
        (b"a 1 2 3\nb 1 nan 3\n", "line 2: a number that is not finite"),
        (b"a 1 2 3\n\xff\xfe 1 2 3\n", "line 2: not UTF-8: is this a text file of GloVe or fastText"),
        (b"word\n", "line 1: 0 numbers behind the word, where some are expected"),
    ],
)
def test_a_broken_vectors_file_is_one_line(content, message, tmp_path):
    (tmp_path / "bad.txt").write_bytes(content)
    with pytest.raises(DataError, match=message):
        take_vectors(str(tmp_path / "bad.txt"), (), [])


def test_vectors_that_are_not_there_or_of_another_width_are_refused(glove):
    with pytest.raises(UsageError, match=r"--vectors 'none.txt': there is no such file"):
        model_of("cbow", vectors="none.txt")
    with pytest.raises(UsageError, match=r"word_size is 12 but the vectors of .* have 6 numbers: leave word_size out"):
        model_of("cbow", vectors=str(glove))


def test_settings_of_the_baselines_are_refused_for_other_models():
    plan = Plan(("rte",), model="bert:tiny", lstm_size=7)
    with pytest.raises(
        UsageError, match=r"lstm_size is 7 but model 'bert:tiny' is of the family encoder, not recurrent"
    ):
        load_model(plan, [REGISTRY.tasks["rte"]], texts())


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("method", ["full", "frozen"])
def test_a_run_is_scored_and_answers_again_from_its_checkpoint_and_another_starts_from_it(
    kind, method, tmp_path, glove
):
    own = {"vectors": str(glove), "word_size": None, "method": method}
    tasks = ("rte", "stsb", "copa", "wic")
    plan = plan_of(kind, tasks, data="demo:40", steps=4, batch_size=8, eval_every=2, mixing="equal", **own)
    record = run(plan, results=tmp_path)
    assert set(record.scores) == set(tasks)
    assert record.environment["model"]["vectors"]["width"] == 6
    for name in tasks:
        task = REGISTRY.tasks[name]
        model = load(record, tmp_path / record.id, record.scores[name].step)
        rows = data.load(task, "validation", "demo:40")
        examples = [e for number, row in enumerate(rows) for e in task.examples(row, number)]
        kept = Store(tmp_path).read_predictions(record.id, task)
        assert [p.text for p in model.answers(task, examples)] == [p.text for p in kept]
    start = Plan(("mnli", "rte"), model=f"run:{record.id}", data="demo:40", steps=2, batch_size=8, mixing="equal")
    heads = run(start, results=tmp_path).environment["model"].get("heads", {})
    assert method == "frozen" or heads == {
        "rte": "of rte",
        "mnli": "of rte, its output layer made anew: the labels differ",
    }
    if kind != "cbow":
        with pytest.raises(UsageError, match=r"lstm_size is 9 but the model that it starts from has 5: leave it out"):
            run(start.replace(lstm_size=9), results=tmp_path)


def test_a_damaged_folder_is_named(tmp_path):
    record = run(plan_of("cbow", ("rte",), data="demo:40", steps=2, batch_size=8), results=tmp_path)
    folder = tmp_path / "copy"
    source = next((tmp_path / record.id / "checkpoints").iterdir())
    folder.mkdir()
    for file in source.iterdir():
        if file.suffix in (".json", ".safetensors"):
            (folder / file.name).write_bytes(file.read_bytes())
    plan = Plan(("rte",), model=str(folder))
    load_model(plan, [REGISTRY.tasks["rte"]], ())
    (folder / "words.json").write_text("{}")
    with pytest.raises(UsageError, match=r"no vocabulary of words in .*: its words.json: it is no list of words"):
        load_model(plan, [REGISTRY.tasks["rte"]], ())
    (folder / "model.safetensors").write_bytes(b"x")
    with pytest.raises(UsageError, match=r"weights in .* cannot be read"):
        load_model(plan, [REGISTRY.tasks["rte"]], ())
