"""A task without real rows whose inputs are as long as GLUE's: what the demo's short sentences cannot show."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from glue_harness.core.plan import Plan
from glue_harness.core.task import Source
from glue_harness.data import lexicon
from glue_harness.metrics import accuracy
from glue_harness.models.families import is_from_scratch
from glue_harness.models.tokenizer import train_tokenizer
from glue_harness.suite.build import classify
from glue_harness.suite.registry import Registry

# Share of inputs -> T5 tokens that they do not exceed: 9,600 draws from the official download's training rows,
# tasks mixed by their official sizes.
LENGTHS = {
    0.0: 8, 0.01: 11, 0.05: 20, 0.1: 26, 0.2: 30, 0.3: 34, 0.4: 38, 0.5: 42,
    0.6: 48, 0.7: 54, 0.8: 62, 0.9: 73, 0.95: 84, 0.99: 112, 1.0: 298,
}  # fmt: skip
MIX = "synthetic text, lengths drawn from quantiles measured on GLUE's training rows mixed by size"
WORDS = (*lexicon.NOUNS, *lexicon.ACTIONS, *lexicon.PLACES, *lexicon.DAYS, *lexicon.ADJECTIVES)
NOT_WORDS = 4  # tokens of an input that are not its text's: prefix, field name, colon, end
LABELS = ("entailment", "neutral", "contradiction")
VOCABULARY = 400


def draw_length(random: Random) -> int:
    """Straight lines between the quantiles."""
    return round(np.interp(random.random(), list(LENGTHS), list(LENGTHS.values())))


def rows(random: Random, n: int) -> list[dict[str, Any]]:
    lengths = (draw_length(random) - NOT_WORDS for _ in range(n))
    return [{"text": " ".join(random.choices(WORDS, k=k)), "label": random.randrange(len(LABELS))} for k in lengths]


SYNTHETIC = classify(
    "glue_lengths", prefix="bench", fields=("text",), labels=LABELS, source=Source(), metrics=(accuracy,), demo=rows
)


@contextlib.contextmanager
def without_data(plan: Plan, answers: int) -> Iterator[tuple[Plan, Registry]]:
    """The plan on enough synthetic rows; a model from scratch learns its vocabulary from them, one token a word."""
    with TemporaryDirectory() as folder:
        if is_from_scratch(plan.model) and not plan.tokenizer:
            train_tokenizer(texts(), VOCABULARY).save(Path(folder))
            plan = plan.replace(tokenizer=folder)
        wanted = max(plan.steps * plan.batch_size, 10 * answers)  # a tenth is for validation
        plan = plan.replace(tasks=(SYNTHETIC.name,), data=f"demo:{wanted}")
        yield plan, Registry({SYNTHETIC.name: SYNTHETIC}, {})


def texts() -> Iterator[str]:
    for row in rows(Random(0), 500):
        for example in SYNTHETIC.examples(row):
            yield from (example.inputs, example.target)
