"""A model's folder whose files are damaged, or not of one model: one line that names the file or the size."""

import json
import shutil

import pytest
from toys import toy_model, toy_plan

from glue_harness.core.errors import UsageError
from glue_harness.data import hub
from glue_harness.models.families import load_model, model_folder
from glue_harness.models.fast_vocabulary import fields
from glue_harness.models.tokenizer import SentencePiece, train_tokenizer
from glue_harness.suite.registry import load_tasks


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    folder = tmp_path_factory.mktemp("model")
    toy_model().save(folder)
    return folder


@pytest.fixture
def model(saved, tmp_path):
    return shutil.copytree(saved, tmp_path / "model")


def refusal(folder) -> str:
    with pytest.raises(UsageError) as error:
        load_model(toy_plan(model=str(folder)), (), ())
    assert error.value.exit_code == 2
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.mark.parametrize(
    ("size", "value", "line"),
    [
        ("d_model", -5, "its config.json says d_model -5, which must be a whole number from 1 to 16,777,216"),
        ("d_model", "x", "its config.json says d_model 'x', which must be a whole number"),
        ("d_model", 64, "its config.json says d_model 64, its weights 32"),
        ("d_ff", 10**11, "its config.json says d_ff 100000000000, which must be a whole number"),
        ("d_ff", 65, "its config.json says d_ff 65, its weights 64"),
        ("d_kv", 9, "its config.json says d_kv 9, its weights 8 for each of its heads"),
        ("num_heads", 3, "its config.json says num_heads 3, its weights 4"),
        ("num_layers", 0, "its config.json says num_layers 0, which must be a whole number"),
        ("num_layers", 99_999, "its config.json says num_layers 99999, its weights have 2"),
        ("num_decoder_layers", 1, "its config.json says num_decoder_layers 1, its weights have 2"),
        ("vocab_size", 10, "its config.json says vocab_size 10, its weights "),
        ("decoder_start_token_id", 10**6, "its config.json says decoder_start_token_id 1000000, which must be below"),
        ("dropout_rate", 5, "dropout probability has to be between 0 and 1, but got 5"),
    ],
)
def test_sizes_that_no_model_has_or_not_these_weights(model, size, value, line):
    file = model / "config.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), size: value}), encoding="utf-8")
    assert f"model '{model}' cannot be loaded: {line}" in refusal(model)


def test_a_vocabulary_that_is_cut_off_or_empty(model, capfd):
    """Also between two pieces, which the library takes for the whole."""
    file = model / "spiece.model"
    whole = file.read_bytes()
    between = sum(2 + len(piece) for _, piece in [*fields(whole)][:50])  # each behind its number and its length
    assert SentencePiece(whole[:between]).size == 50
    for content in (whole[:1000], whole[:between], b""):
        file.write_bytes(content)
        assert refusal(model).startswith(f"vocabulary '{file}' is not complete, or none of SentencePiece: copy it")
    assert capfd.readouterr().err == ""  # the library writes of its own


@pytest.mark.parametrize("text", ["{}", "[]", "{", '{"model": {"type": "Unigram", "vocab": null}}'])
def test_a_tokenizer_file_that_holds_no_vocabulary(model, text):
    (model / "spiece.model").unlink()
    (model / "tokenizer.json").write_text(text, encoding="utf-8")
    assert refusal(model).startswith(f"vocabulary '{model / 'tokenizer.json'}' is not complete")


def test_a_vocabulary_of_another_model(model):
    larger = train_tokenizer((f"word{n} other{n * n}" for n in range(400)), 900)
    larger.save(model)
    assert f"its vocabulary has {larger.size:,} pieces, its embeddings" in refusal(model)


def test_an_address_of_the_hub_that_is_none(monkeypatch):
    monkeypatch.setenv("HF_ENDPOINT", "garbage")
    with pytest.raises(UsageError, match="HF_ENDPOINT is 'garbage': it must be an address that begins with https://"):
        model_folder("google-t5/t5-small")
    for name in hub.OFFLINE:
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(UsageError, match="HF_ENDPOINT is 'garbage': it must be an address that begins with https://"):
        hub.commit_of(load_tasks().task("rte").source, None)
