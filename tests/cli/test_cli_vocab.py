"""`glue vocab`: what is learned is read by models and by transformers, and how vocabularies suit texts is counted."""

import json

import pytest
from records import runner
from transformers import AutoTokenizer

from glue_harness.core.plan import Plan
from glue_harness.lab.vocabulary import KINDS, Vocabulary, fit, learned, opened
from glue_harness.models.families import load_model
from glue_harness.suite.registry import load_tasks

TEXTS = ("the old painter sleeps near the river", "on monday it rained a lot in the school", "some animals laugh") * 20
SIZE = {"sentencepiece-unigram": 40, "sentencepiece-bpe": 110, "wordpiece": 120, "bpe": 120}
MODELS = {
    "sentencepiece-unigram": "t5:mini",
    "sentencepiece-bpe": "t5:mini",
    "wordpiece": "bert:tiny",
    "bpe": "gpt:tiny",
}


@pytest.fixture
def glue(capsys):
    return runner(capsys)


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_learned_is_written_and_read_by_models_and_transformers(kind, glue, tmp_path):
    (tmp_path / "text.txt").write_text("\n\n".join(TEXTS))
    arguments = (
        "--kind",
        kind,
        "--size",
        SIZE[kind],
        "--text",
        tmp_path / "text.txt",
        "--out",
        tmp_path / "v",
        "--json",
    )
    code, out, err = glue("vocab", *arguments)
    assert code == 0, err
    facts = json.loads(out)
    assert facts["texts"]["text"]["v"]["coverage"] == 1.0
    assert facts["texts"]["text"]["v"]["unknown"] == 0.0
    model = load_model(
        Plan(("rte",), model=MODELS[kind], tokenizer=str(tmp_path / "v")), [load_tasks().tasks["rte"]], ()
    )
    assert model.inspected()
    theirs = AutoTokenizer.from_pretrained(tmp_path / "v")
    ours = opened(str(tmp_path / "v")).encode([TEXTS[0]])[0]
    assert theirs(TEXTS[0], add_special_tokens=False)["input_ids"] == ours


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_texts_give_the_same_vocabulary(kind):
    one, other = learned(kind, SIZE[kind], TEXTS), learned(kind, SIZE[kind], TEXTS)
    assert one.size == other.size
    assert one.encode(TEXTS[:3]) == other.encode(TEXTS[:3])


def test_coverage_counts_words_and_unknown_counts_tokens():
    known = {"a": [1], "b": [2, 2], "c": [0]}
    made = Vocabulary("toy", 3, lambda texts: [[t for w in text.split() for t in known[w]] for text in texts], 0, print)
    found = fit(made, ["a b b", "c a"])
    assert found.coverage == pytest.approx(4 / 5)
    assert found.tokens_a_word == pytest.approx(7 / 5)
    assert found.unknown == pytest.approx(1 / 7)


def test_up_to_four_stand_side_by_side(glue, tmp_path):
    for k in range(4):
        learned("bpe", 110 + k, TEXTS).save(_made(tmp_path / f"v{k}"))
    folders = [tmp_path / f"v{k}" for k in range(4)]
    code, out, err = glue("vocab", *folders, "--task", "rte,cola", "--data", "demo:40", "--json")
    assert code == 0, err
    facts = json.loads(out)
    assert facts["sizes"] == {f"v{k}": 110 + k for k in range(4)}
    assert set(facts["texts"]) == {"rte", "cola"}
    assert all(set(of) == set(facts["sizes"]) for of in facts["texts"].values())


def _made(folder):
    folder.mkdir()
    return folder


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "nothing to learn or to show: give --kind NAME, or a folder with a vocabulary"),
        (("--kind", "bpe"), "--kind NAME and --out FOLDER go together: what is learned is written"),
        (("--kind", "bbpe", "--out", "x"), "unknown kind 'bbpe': did you mean bpe?"),
        (("nowhere",), "no text: name tasks with --task, or give some with --text"),
        (("nowhere", "--task", "rte", "--data", "demo:40"), "there is no folder 'nowhere' with a vocabulary"),
        (("a", "b", "c", "d", "e", "--task", "rte"), "4 vocabularies stand side by side at most: leave out 'e'"),
        (
            ("--kind", "bpe", "--size", "90000", "--task", "rte", "--data", "demo:40", "--out", "x"),
            "a vocabulary of 90,000 is larger than the text allows: use --size ",
        ),
        (
            ("--kind", "bpe", "--size", "30", "--task", "rte", "--data", "demo:40", "--out", "x"),
            "a vocabulary of 30 has no room for every letter and sign: it needs ",
        ),
        (("--kind", "bpe", "--task", "rte", "--out", "full"), "--out 'full' is not empty: name another folder"),
    ],
)
def test_a_wrong_request_is_one_line_and_writes_nothing(glue, arguments, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    _made(tmp_path / "full").joinpath("file").write_text("x")
    code, out, err = glue("vocab", *arguments)
    assert (code, out) == (2, "")
    assert err.startswith(f"glue: {message}")
    assert err.count("\n") == 1
    assert not (tmp_path / "x").exists()
