"""The families of T5: loaded as they were published, saved such that they are read back the same."""

import json
import string
from pathlib import Path
from random import Random

import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file
from toys import toy_examples, toy_plan, toy_task, vocabulary

from glue_harness.core.errors import GlueError, UsageError
from glue_harness.models import t5
from glue_harness.models.batch import IGNORED
from glue_harness.models.families import load_model
from glue_harness.models.tokenizer import train_tokenizer

SIZE = {"d_model": 32, "d_kv": 8, "d_ff": 64, "num_layers": 2, "num_heads": 4, "decoder_start_token_id": 0}
GATED = {"feed_forward_proj": "gated-gelu"}
FAMILIES = {  # published models: class, configuration, whether the head has weights of its own
    "t5": ("T5", {}, False),
    "v1.1": ("T5", GATED, True),
    "mt5": ("MT5", GATED, True),
    "umt5": ("UMT5", GATED, True),
}


def publish(folder: Path, family: str) -> torch.nn.Module:
    """A small model as its family is found on the Hub: v1.1's config says that its head is untied."""
    name, details, own_head = FAMILIES[family]
    torch.manual_seed(0)
    config = getattr(transformers, f"{name}Config")(vocab_size=vocabulary().size + 5, **SIZE, **details)
    module = getattr(transformers, f"{name}ForConditionalGeneration")._from_config(config)
    if own_head:
        module.lm_head.weight = torch.nn.Parameter(torch.randn_like(module.lm_head.weight))
    tied = {"encoder.embed_tokens.weight", "decoder.embed_tokens.weight", *([] if own_head else ["lm_head.weight"])}
    weights = {key: value.clone() for key, value in module.state_dict().items() if key not in tied}
    save_file(weights, str(folder / "model.safetensors"), metadata={"format": "pt"})
    config.save_pretrained(folder)
    if family == "v1.1":
        values = json.loads((folder / "config.json").read_text())
        values.pop("scale_decoder_outputs", None)
        (folder / "config.json").write_text(json.dumps({**values, "tie_word_embeddings": False}))
        module.config.scale_decoder_outputs = False
    vocabulary().save(folder)
    return module.eval()


def loss_of(model: t5.T5) -> float:
    model.module.eval()
    loss = model.loss(model.lay([[e] for e in model.encode(toy_task(), toy_examples(6))], torch.device("cpu")))
    return loss.total.item() / len(loss.each)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_family_is_loaded_as_transformers_runs_it_and_survives_saving(family, tmp_path):
    reference = publish(tmp_path, family)
    model = load_model(toy_plan(model=str(tmp_path)), (), ())
    batch = model.lay([[e] for e in model.encode(toy_task(), toy_examples(6))], torch.device("cpu"))
    labels = torch.full_like(batch.given, IGNORED)
    labels.view(-1)[batch.places] = batch.labels
    expected = reference(input_ids=batch.inputs, attention_mask=batch.segments, labels=labels).loss
    assert loss_of(model) == pytest.approx(expected.item(), rel=1e-5)
    assert torch.equal(model.module.lm_head.weight, reference.lm_head.weight)
    (tmp_path / "again").mkdir()
    model.save(tmp_path / "again")
    assert loss_of(load_model(toy_plan(model=str(tmp_path / "again")), (), ())) == loss_of(model)
    with torch.no_grad():
        model.module.shared.weight.zero_()
    model.load_weights(tmp_path / "again")
    assert loss_of(model) == pytest.approx(expected.item(), rel=1e-5)


def test_shared_weights_are_written_once_and_files_repeat(tmp_path):
    publish(tmp_path, "t5")
    model = load_model(toy_plan(model=str(tmp_path)), (), ())
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        model.save(tmp_path / name)
    names = load_file(tmp_path / "a" / "model.safetensors").keys()
    assert "shared.weight" in names
    assert not names & {"encoder.embed_tokens.weight", "decoder.embed_tokens.weight", "lm_head.weight"}
    files = [(tmp_path / name / "model.safetensors").read_bytes() for name in ("a", "b")]
    assert files[0] == files[1]


def test_a_model_with_missing_weights_is_refused(tmp_path):
    publish(tmp_path, "t5")
    weights = load_file(tmp_path / "model.safetensors")
    weights.pop("decoder.final_layer_norm.weight")
    save_file(weights, str(tmp_path / "model.safetensors"), metadata={"format": "pt"})
    with pytest.raises(UsageError, match=r"lacks weights: decoder.final_layer_norm.weight"):
        load_model(toy_plan(model=str(tmp_path)), (), ())


def test_a_model_of_another_family_is_refused(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "xlnet"}))
    with pytest.raises(UsageError, match=r"is a xlnet: known families: .*t5, mt5, umt5"):
        load_model(toy_plan(model=str(tmp_path)), (), ())


def test_weights_of_another_model_are_refused(tmp_path):
    publish(tmp_path, "t5")
    model = load_model(toy_plan(model=str(tmp_path)), (), ())
    save_file({"other": torch.zeros(2)}, str(tmp_path / "model.safetensors"))
    with pytest.raises(GlueError, match="those of another model"):
        model.load_weights(tmp_path)


@pytest.mark.parametrize(("size", "millions"), [("small", 60.5), ("base", 222.9)])
def test_from_scratch_shapes_are_the_published_ones(size, millions):
    with torch.device("meta"):
        module = t5.from_scratch(f"t5:{size}", t5.PUBLISHED_VOCABULARY)
    assert sum(p.numel() for p in module.parameters()) / 1e6 == pytest.approx(millions, abs=0.05)


def test_tiny_stays_under_two_million_parameters():
    module = t5.from_scratch("tiny", t5.TINY_VOCABULARY + t5.SENTINELS)
    assert sum(p.numel() for p in module.parameters()) < 2_000_000


def test_tiny_takes_any_vocabulary(tmp_path):
    """T5's own has 32,000 pieces: what the docs advise where several runs must share one."""
    random = Random(0)
    words = ("".join(random.choices(string.ascii_lowercase, k=8)) for _ in range(6000))
    given = train_tokenizer(words, 6000)
    given.save(tmp_path)
    model = load_model(toy_plan(model="tiny", tokenizer=str(tmp_path)), (), ())
    assert model.module.shared.num_embeddings == given.size + t5.SENTINELS > t5.TINY_VOCABULARY + t5.SENTINELS
    assert model.tokenizer.fingerprint == given.fingerprint
