"""CBOW, the GLUE paper's simplest baseline: a text is the mean of its words' vectors."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import Tensor

from glue_harness.core.plan import Plan
from glue_harness.core.settings import Setting
from glue_harness.core.task import Task
from glue_harness.models.families import Family
from glue_harness.models.sentence import Reader, SentenceModel, load_sentence_model
from glue_harness.models.text_words import TextModel

FAMILY = Family(
    types=("glue-cbow",),
    shapes={"cbow": {"hidden_size": 300}},
    millions={"cbow": 9.0},
    learns_vocabulary=("cbow",),
    objective="cbow",
)
SETTINGS = (
    Setting("vectors", str, "", "Text file of GloVe or fastText: word vectors of --model cbow or bilstm.", "Model",
            fixed=True),
    Setting("tune_vectors", str, "off", "Whether vectors from a file learn on.", choices=("on", "off"), fixed=True),
    Setting("tune_bilm", str, "off", "Whether the language model of a run of bilm learns on.", choices=("on", "off"),
            fixed=True),
    Setting("word_size", int, None, "Size of word vectors; default: 300, or what a file has.", above=0, optional=True,
            fixed=True),
    Setting("words", int, 30_000, "Words of a vocabulary that CBOW or BiLSTM learns, at most.", above=0, fixed=True),
)  # fmt: skip


class Mean(Reader):
    def __init__(self, width: int, made: Mapping[str, Any]) -> None:
        super().__init__()
        self.outputs = width

    def forward(self, vectors: Tensor, present: Tensor, lengths: Sequence[int]) -> tuple[Tensor, Tensor]:
        there = present.to(vectors.dtype)[..., None]
        return vectors, (vectors * there).sum(1) / there.sum(1)


def load(plan: Plan, source: Path | None, tasks: Sequence[Task], texts: Iterable[str]) -> SentenceModel | TextModel:
    return load_sentence_model("cbow", Mean, (), plan, source, tasks, texts)
