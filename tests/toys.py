"""Toys that several tests share: a small task, its rows, a vocabulary and a model of 30,000 parameters."""

from __future__ import annotations

import io
from collections.abc import Sequence
from functools import cache
from random import Random

import torch
from transformers import T5Config, T5ForConditionalGeneration

from glue_harness.core.plan import Plan
from glue_harness.core.task import Example, Source, Task
from glue_harness.data.sampler import Sampler
from glue_harness.metrics import accuracy
from glue_harness.models.packing import FINE
from glue_harness.models.t5 import T5
from glue_harness.models.tokenizer import SentencePiece, train_tokenizer
from glue_harness.suite.build import classify
from glue_harness.train.arrangement import packed
from glue_harness.train.device import Machine
from glue_harness.train.feed import Feed
from glue_harness.train.tokens import Tokens, write

WORDS = [
    "red",
    "blue",
    "green",
    "small",
    "large",
    "cat",
    "dog",
    "bird",
    "sits",
    "runs",
    "sleeps",
    "here",
    "there",
    "today",
]
LABELS = ("good", "goods", "not_good", "bad one", "bad two")  # shared beginnings, and one inside another
NEEDED = {
    "prune": {"keep": 0.5, "score": "movement", "prune_every": 1}
}  # method -> settings that have no default, or none for so few steps
CPU = Machine(torch.device("cpu"), "fp32")


def toy_task(name: str = "toy", labels: tuple[str, ...] = LABELS) -> Task:
    return classify(name, prefix="toy", fields=("text",), labels=labels, source=Source("none"), metrics=(accuracy,))


def toy_examples(n: int, task: Task | None = None, seed: int = 0) -> list[Example]:
    task, random = task or toy_task(), Random(seed)
    rows = [
        {"text": " ".join(random.choices(WORDS, k=random.randint(1, 12))), "label": random.randrange(len(task.labels))}
        for _ in range(n)
    ]
    return [example for number, row in enumerate(rows) for example in task.examples(row, number)]


@cache
def vocabulary() -> SentencePiece:
    texts = [text for example in toy_examples(300) for text in (example.inputs, example.target)]
    return train_tokenizer(texts, 120)


def toy_plan(**changes) -> Plan:
    values = {"tasks": ("toy",), "model": "toy", "device": "cpu", "precision": "fp32", "max_answer": 12}
    return Plan(**{**values, **changes})


def toy_model(seed: int = 0, plan: Plan | None = None, dropout: float = 0.0, **shape) -> T5:
    torch.manual_seed(seed)
    size = {"d_model": 32, "d_kv": 8, "d_ff": 64, "num_layers": 2, "num_heads": 4, **shape}
    config = T5Config(vocab_size=vocabulary().size + 5, decoder_start_token_id=0, dropout_rate=dropout, **size)
    module = T5ForConditionalGeneration._from_config(config, attn_implementation="sdpa")
    model = T5(module.eval(), vocabulary(), {}, plan or toy_plan())
    model.plain = {name for name, _ in module.named_parameters()}
    return model


def toy_tokens(model: T5, examples: Sequence[Example], task: Task | None = None) -> Tokens:
    file = io.BytesIO()
    write(file, task or toy_task(), iter(examples), model)
    return Tokens(file.getbuffer(), "toy")


def toy_feed(model, batch=8, micro=None, n=100, seed=0) -> Feed:
    return Feed(
        model, {"toy": toy_tokens(model, toy_examples(n))}, Sampler(seed, [n], [1.0]), batch, packed(FINE, micro)
    )
