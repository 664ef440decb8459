"""Token ids must be native SentencePiece's for any text: `</s>` in a text is text."""

import json

import pytest
import sentencepiece
from conftest import golden
from toys import vocabulary

from glue_harness.core.errors import UsageError
from glue_harness.models.tokenizer import (
    EOS,
    SAMPLE,
    Bytes,
    FastTokenizer,
    cut,
    load_tokenizer,
    sampled,
    train_tokenizer,
    until_end,
)

TRAPS = [
    "hello world",
    "</s>",
    "a </s> b <extra_id_0> c <pad> <unk> <s>",
    "<extra_id_99>joined",
    "  two  spaces ",
    "tab\tnew\nline\r\x0b\x00nul",
    "ﬁ ½ Ⅷ \u200b zero width",
    "東京 🙂👩‍🚀 e\u0301 \ue000",
    " ⁇ ▁low line▁",
    "",
    " ",
]


def all_texts() -> list[str]:
    lines = [line["expect"] for line in golden("preprocess") if isinstance(line["expect"], list)]
    return TRAPS + [pair[side] for pairs in lines for pair in pairs for side in ("inputs", "targets")]


def test_genuine_vocabulary_equals_native_sentencepiece(shared):
    from sentencepiece import SentencePieceProcessor

    folder = shared / "data" / "t5-tokenizer"
    native = SentencePieceProcessor(model_file=str(folder / "spiece.model"))
    ours, fast = load_tokenizer(folder), FastTokenizer((folder / "tokenizer.json").read_text(encoding="utf-8"))
    for text, ids, fast_ids in zip(all_texts(), ours.encode(all_texts()), fast.encode(all_texts()), strict=True):
        assert ids == native.encode(text), text
        assert fast_ids == ids, text
        assert ours.decode(ids) == fast.decode(ids) == native.decode(ids)
        assert EOS not in ids
    assert ours.size == fast.size == 32_000
    assert ours.decode([37, 32_005, 9, EOS, 5]) == fast.decode([37, 32_005, 9, EOS, 5]) == "The ⁇ a"


def test_transformers_default_parses_control_tokens_out_of_text(shared):
    """The trap this file exists for: were it gone, the own tokenizer could go too."""
    from transformers import AutoTokenizer

    default = AutoTokenizer.from_pretrained(shared / "data" / "t5-tokenizer")
    assert EOS in default.encode("a </s> b", add_special_tokens=False)


def test_learned_vocabulary_has_t5s_special_ids_and_reads_control_tokens_as_text():
    tokenizer = vocabulary()
    for text in ("good cat", "</s> good", "<pad> cat"):
        ids = tokenizer.encode([text])[0]
        assert 1 not in ids
        assert 0 not in ids
    assert tokenizer.decode(tokenizer.encode(["not_good cat"])[0]) == "not_good cat"


def test_learning_is_deterministic():
    texts = ["one two three", "two three four", "four five six"] * 20
    assert train_tokenizer(texts, 60).fingerprint == train_tokenizer(texts, 60).fingerprint


def test_the_library_is_left_nothing_to_choose(monkeypatch):
    """Its own sample of more texts than it wants differs from process to process."""
    train, given = sentencepiece.SentencePieceTrainer.train, {}

    def spy(sentence_iterator, **options):
        given.update(options, texts=list(sentence_iterator))
        train(sentence_iterator=iter(given["texts"]), **options)

    monkeypatch.setattr("sentencepiece.SentencePieceTrainer.train", spy)
    train_tokenizer(map(str, range(SAMPLE + 9)), 300)
    assert len(given["texts"]) == given["input_sentence_size"] == SAMPLE


def test_a_sample_is_from_everywhere():
    assert sampled("abc", 3) == sampled("abc", 4) == list("abc")
    found = sampled(map(str, range(10_000)), 1000)
    assert len(set(found)) == 1000
    assert 4500 < sum(map(int, found)) / 1000 < 5500


def test_saved_vocabulary_is_the_same(tmp_path):
    vocabulary().save(tmp_path)
    assert load_tokenizer(tmp_path).fingerprint == vocabulary().fingerprint


def test_cut_keeps_one_end_of_sequence():
    assert cut([5, 6, 7], 10) == [5, 6, 7, EOS]
    assert cut([5, 6, 7], 3) == [5, 6, EOS]
    assert until_end([5, EOS, 6, EOS]) == [5]


def test_bytes_are_byt5s():
    assert Bytes().encode(["aé"]) == [[100, 198, 172]]
    assert Bytes().decode([100, 198, 172, EOS, 100]) == "aé"


def test_no_vocabulary_is_one_line(tmp_path):
    with pytest.raises(UsageError, match=r"no vocabulary in .*: it needs spiece.model or tokenizer.json"):
        load_tokenizer(tmp_path)
    (tmp_path / "tokenizer.json").write_text(json.dumps({"model": {"type": "BPE", "vocab": {}}}))
    with pytest.raises(UsageError, match="does not hold a SentencePiece vocabulary"):
        load_tokenizer(tmp_path)
