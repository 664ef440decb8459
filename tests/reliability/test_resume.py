"""Killed at any instant and resumed, a run ends as if nothing had happened: the same bits in every file."""

import importlib.util
import json
from random import Random

import pytest
from kills import base, data, evidence, the_run, zygote  # noqa: F401

from glue_harness.core.settings import over

SIGKILL = 9
BOTH = {"tasks": ["rte", "stsb"], "mixing": "equal"}
RECIPES = {
    "full": {**BOTH, "micro_batch": 3},
    "adapter": {"method": "adapter", "adapter_width": 4, "optimizer": "adafactor"},
    "unfreeze": {**BOTH, "method": "unfreeze", "warmup": 2},
    "frozen": {**BOTH, "method": "frozen", "schedule": "constant", "weight_decay": 0.1},
    "lora": {"method": "lora", "lora_rank": 2, "micro_batch": 2},
    "full with adafactor, scored on a part": {**BOTH, "optimizer": "adafactor", "eval_limit": 4},
    "prompt, chosen on held-out rows": {**BOTH, "method": "prompt", "select": "heldout", "train_limit": 20},
    "full, with copies of weights in bf16": {**BOTH, "precision": "bf16", "bf16_weights": "on", "micro_batch": 3},
    "pruned by magnitude, everywhere": {"method": "prune", "keep": 0.3, "prune_every": 1, "prune_scope": "global"},
    "pruned by movement": {
        **BOTH, "model": "bert:tiny", "method": "prune", "keep": 0.1, "score": "movement", "prune_every": 2,
        "prune_end": 1.0,
    },
    "without a head": {"model": "bert:tiny", "method": "prune", "keep": 0.5, "pruned": "heads"},
    "adapter from scratch": {"model": "tiny", "method": "adapter", "adapter_width": 4, "answers": "strict"},
    "ended by patience": {**BOTH, "steps": 30, "lr": 1e-9, "patience": 2},
    "encoder with two heads, as long as its epochs": {
        **BOTH, "model": "bert:tiny", "epochs": 0.8, "warmup_share": 0.2, "layer_decay": 0.8, "decayed": "matrices",
        "weight_decay": 0.1,
    },
    "encoder with adapters": {
        "model": "bert:tiny", "method": "adapter", "adapter_place": "both", "layer_decay": 0.9, "optimizer": "adafactor",
    },
    "encoder whose heads read all layers": {
        **BOTH, "model": "bert:tiny", "method": "frozen", "frozen_layers": "sum",
    },
    "encoder that learns masked words beside a task": {
        "tasks": ["rte", "mlm_nsp"], "mixing": "equal", "model": "bert:tiny", "whole_words": "on", "max_input": 64,
        "data": "demo:24",
    },
    "decoder that learns from text": {"tasks": ["causal"], "model": "gpt:tiny", "max_input": 64, "data": "demo:24"},
    "decoder with two tasks": {**BOTH, "model": "gpt:tiny", "max_input": 64},
    "decoder with a prompt": {"model": "gpt:tiny", "method": "prompt", "max_input": 64, "candidates": "mean"},
    "decoder that is asked with examples": {"model": "gpt:tiny", "steps": 0, "shots": 2, "max_input": 256},
    "words in a BiLSTM with attention": {**BOTH, "model": "bilstm", "lstm_size": 8, "pair_attention": "on"},
    "words that learn from text, both ways": {"tasks": ["bilm"], "model": "bilstm", "word_size": 8, "data": "demo:24"},
    "words that learn from their neighbours": {
        "tasks": ["skipgram"], "model": "cbow", "word_size": 8, "data": "demo:24",
    },
    "words in a frozen CBOW": {"model": "cbow", "method": "frozen", "word_size": 16},
}  # fmt: skip
CADENCES = {"full with adafactor, scored on a part": 1, "frozen": 3, "ended by patience": 1}  # unlike the evaluations'


@pytest.fixture(scope="session")
def recipe(base, data):  # noqa: F811
    common = {"tasks": ["rte"], "model": base, "data": data, "device": "cpu", "lr": 5e-3, "seed": 1}
    common |= {"steps": 8, "batch_size": 4, "eval_every": 2, "max_answer": 4}
    return lambda name: over(common, RECIPES[name])


@pytest.fixture(scope="session")
def undisturbed(zygote, recipe, tmp_path_factory):  # noqa: F811
    """What a recipe gives if nothing happens, how many writes that takes, and how long."""
    known = {}

    def find(name: str):
        if name not in known:
            results = tmp_path_factory.mktemp("whole")
            fate = zygote(results, plan=recipe(name), checkpoint_every=CADENCES.get(name), count=True)
            known[name] = evidence(the_run(results)), fate["writes"], fate["seconds"]
        return known[name]

    return find


def end(zygote, results, plan, deaths, **how):  # noqa: F811
    """A run that dies and goes on, as often as there are deaths, to its end. Returns how often it was killed."""
    kills = 0
    for death in (*deaths, {}):
        begun = any(results.glob("*/record.json"))
        fate = zygote(results, **({"resume": "latest"} if begun else {"plan": plan}), **how, **death)
        kills += fate["signal"] == SIGKILL
        if not fate["signal"]:
            assert "error" not in fate, fate
            break
        if is_done(results):
            break
    return kills


def is_done(results) -> bool:
    """Killed between its last act and its exit."""
    records = [json.loads(file.read_text()) for file in results.glob("*/record.json")]
    return any(record["status"] == "finished" for record in records) and not any(results.glob("*/lock"))


@pytest.mark.parametrize("name", RECIPES)
def test_every_method_and_optimizer_goes_on_exactly(name, zygote, recipe, undisturbed, tmp_path):  # noqa: F811
    if RECIPES[name].get("method") == "lora" and not importlib.util.find_spec("peft"):
        pytest.skip("needs peft")
    whole, writes, _ = undisturbed(name)
    random = Random(name)
    deaths = [{"disk": random.randrange(writes // 3, writes // 2)}, {"disk": random.randrange(5, writes // 2)}]
    assert end(zygote, tmp_path, recipe(name), deaths, checkpoint_every=CADENCES.get(name)) == 2
    assert evidence(the_run(tmp_path)) == whole


def test_the_best_steps_differ_or_the_kills_would_prove_little(undisturbed):
    scores = undisturbed("full")[0]["facts"]["scores"]
    assert scores["rte"]["step"] != scores["stsb"]["step"]


INSTANTS = [  # function, which call of it, and whether the process dies before or after it
    ("train.loop:fitting", 3, False),
    ("train.loop:advance", 3, False),  # the weights have moved, the counters have not
    ("train.answers:_answer_batch", 4, True),
    ("train.checkpoints:_write", 3, True),  # the weights are in a draft
    ("core.sealed:checksum", 9, False),
    ("lab.evaluation:score", 7, False),
    ("runs.folder:RunFolder.write_predictions", 3, True),  # the predictions are newer than the record
    ("train.snapshots:save", 2, False),
    ("train.snapshots:write_optimizer", 2, True),
    ("train.snapshots:save", 2, True),
    ("runs.folder:RunFolder.prune", 3, False),
    ("runs.folder:RunFolder.keep_weights", 4, True),
    ("runs.folder:RunFolder.tidy", 1, False),  # the record says finished
    ("runs.folder:RunFolder.roll_back", 1, False),  # of a run that died before
    ("runs.folder:RunFolder.roll_back", 1, True),
]


@pytest.mark.parametrize(("where", "nth", "after"), INSTANTS)
def test_no_instant_is_a_bad_one(where, nth, after, zygote, recipe, undisturbed, tmp_path):  # noqa: F811
    deaths = [{"calls": [[where, nth, after]]}]
    if "roll_back" in where:
        deaths.insert(0, {"calls": [["train.loop:fitting", 4, False]]})
    assert end(zygote, tmp_path, recipe("full"), deaths) == len(deaths)
    assert evidence(the_run(tmp_path)) == undisturbed("full")[0]


def test_twenty_kills_at_random_instants(zygote, recipe, undisturbed, tmp_path):  # noqa: F811
    whole, _, seconds = undisturbed("full")
    random, kills, runs = Random(5), 0, 0
    while kills < 20:
        results = tmp_path / str(runs)
        kills += end(zygote, results, recipe("full"), [{"seconds": random.uniform(0, seconds / 2)} for _ in range(3)])
        assert evidence(the_run(results)) == whole
        runs += 1
    print(f"killed {kills} times in {runs} runs, survived {kills}")
