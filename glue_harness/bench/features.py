"""Examples in the form that transformers' tools take, and their padding."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from glue_harness.models.tokenizer import PAD

IGNORED = -100  # a label that is padding

Feature = dict[str, list[int]]


def features_of(encoded: Sequence[Any]) -> list[Feature]:
    return [{"input_ids": list(map(int, e.inputs)), "labels": list(map(int, e.targets))} for e in encoded]


@dataclass(frozen=True)
class Collator:
    """Inputs padded to a width, or to the longest rounded up; targets to the longest."""

    width: int | None = None
    multiple: int = 1

    def columns(self, features: Sequence[Feature]) -> int:
        return self.width or -(-max(len(f["input_ids"]) for f in features) // self.multiple) * self.multiple

    def __call__(self, features: Sequence[Feature]) -> dict[str, Tensor]:
        columns = self.columns(features)
        labels = [f["labels"] for f in features]
        return {
            "input_ids": padded([f["input_ids"] for f in features], PAD, columns),
            "attention_mask": padded([[1] * len(f["input_ids"]) for f in features], 0, columns),
            "labels": padded(labels, IGNORED, max(map(len, labels))),
        }


def padded(sequences: Sequence[Sequence[int]], value: int, columns: int) -> Tensor:
    return torch.tensor([[*s, *[value] * (columns - len(s))] for s in sequences])


def padded_tokens(features: Sequence[Feature], collator: Collator, size: int) -> int:
    parts = [features[k : k + size] for k in range(0, len(features), size)]
    return sum(len(part) * collator.columns(part) for part in parts)
