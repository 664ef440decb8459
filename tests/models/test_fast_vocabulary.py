"""A checkpoint's vocabulary as transformers reads it: the same tokens as ours."""

import json
from random import Random

from toys import toy_model
from transformers import AutoTokenizer

from glue_harness.models.tokenizer import EOS, load_tokenizer, train_tokenizer
from glue_harness.suite.registry import load_tasks

TEXTS = (
    "A dog sleeps.",
    "mnli premise: it  runs hypothesis: x, y",
    "\u00dcber caf\u00e9 \ufb01ne",
    " a ",
    "1,234.50 %",
    "",
)


def demo_texts():
    tasks = load_tasks().tasks
    rows = [(tasks[name], row) for name in ("mnli", "cola") for row in tasks[name].demo(Random(0), 150)]
    return [text for task, row in rows for example in task.examples(row) for text in (example.inputs, example.target)]


def test_auto_tokenizer_reads_a_checkpoint_and_gives_its_tokens(tmp_path):
    model = toy_model()
    model.save(tmp_path)
    theirs, ours = AutoTokenizer.from_pretrained(tmp_path), load_tokenizer(tmp_path)
    texts = ["red cat sits here", "toy text: small dog", *TEXTS[:2]]
    assert [ids[-1] for ids in theirs(texts).input_ids] == [EOS] * len(texts)
    assert [ids[:-1] for ids in theirs(texts).input_ids] == ours.encode(texts)
    assert (theirs.pad_token_id, theirs.eos_token_id, theirs.unk_token_id) == (0, 1, 2)
    assert theirs.convert_tokens_to_ids("<extra_id_0>") == ours.first_sentinel


def test_a_learned_vocabulary_gives_the_same_tokens(tmp_path):
    texts = demo_texts()
    ours = train_tokenizer(texts, 700)
    ours.save(tmp_path)
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "t5"}))
    theirs = AutoTokenizer.from_pretrained(tmp_path)
    assert [ids[:-1] for ids in theirs([*texts, *TEXTS]).input_ids] == ours.encode([*texts, *TEXTS])


def test_the_genuine_vocabulary_gives_the_same_tokens(tmp_path, shared):
    ours = load_tokenizer(shared / "data" / "t5-tokenizer")
    ours.save(tmp_path)
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "t5"}))
    theirs = AutoTokenizer.from_pretrained(tmp_path)
    texts = [*demo_texts()[:200], *TEXTS]
    assert [ids[:-1] for ids in theirs(texts).input_ids] == ours.encode(texts)
    assert theirs.convert_tokens_to_ids("<extra_id_0>") == ours.first_sentinel == 32_099
