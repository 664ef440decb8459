"""Tasks that learn from text alone: every paragraph is an example, what is asked of it is drawn anew each time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from glue_harness.core.task import Metric, Noise, Row, Source, Task, Text, txt
from glue_harness.suite.build import generate, text_of


class Told(NamedTuple):
    """How well a model told what was asked of a text: an answer of such a task, in print."""

    loss: float  # summed over tokens
    right: int  # tokens that were the likeliest
    tokens: int
    next_right: int = 0  # pairs of segments of which was told rightly whether one follows the other
    pairs: int = 0

    def printed(self) -> str:
        of_pairs = f" {self.next_right} {self.pairs}" if self.pairs else ""
        return f"{self.loss:.6g} {self.right} {self.tokens}{of_pairs}"


def read_told(text: str, _: Any = None) -> Told | None:
    try:
        loss, *counts = text.split()
        return Told(float(loss), *map(int, counts))
    except (ValueError, TypeError):
        return None


def encode(row: Row) -> list[Text]:
    """The target is made of the tokens, anew each time the text is drawn."""
    text = text_of(row, "text")
    return [Text(text, "")] if text.strip() else []


def text_alone(name: str, noise: Noise, metrics: Sequence[Metric] = (), **details: Any) -> Task:
    """A task of that name; one that has metrics holds a part of the text out."""
    files = {"train": txt(f"{name}.txt", f"{name}/*.txt")}
    files |= {"validation": txt(f"{name}_validation.txt", f"{name}_validation/*.txt")} if metrics else {}
    return generate(
        name,
        columns=("text",),
        encode=encode,
        source=Source(files=files),
        metrics=metrics,
        decode=read_told,
        splits={role: role for role in files},
        noise=noise,
        demo_noise=0 if metrics else None,  # a text has no label that could be wrong
        **details,
    )
