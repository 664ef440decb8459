"""BiLSTM, the GLUE paper's baseline: a text is the greatest value of each state of a recurrent network in it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from glue_harness.core.plan import Plan
from glue_harness.core.settings import Setting
from glue_harness.core.task import Task
from glue_harness.models.families import Family
from glue_harness.models.lstm import TextDropout, run
from glue_harness.models.sentence import DROPOUT, Reader, SentenceModel, load_sentence_model
from glue_harness.models.text_words import TextModel

FAMILY = Family(
    types=("glue-bilstm",),
    shapes={"bilstm": {"hidden_size": 512}},
    millions={"bilstm": 11.7},
    learns_vocabulary=("bilstm",),
    objective="bilm",
    shares=("cbow",),
)
SETTINGS = (
    Setting("lstm_size", int, 256, "State of each direction of --model bilstm; the GLUE paper's is 1500.", above=0,
            fixed=True),
    Setting("lstm_layers", int, 2, "Layers of --model bilstm.", above=0, fixed=True),
    Setting("pair_attention", str, "off", "Whether the two texts of a pair look at each other in --model bilstm.",
            choices=("on", "off"), fixed=True),
)  # fmt: skip


class BiLSTM(Reader):
    """Layers one above the other, and with attention one more, which reads what a word sees in the other text."""

    def __init__(self, width: int, made: Mapping[str, Any]) -> None:
        super().__init__()
        size = made["lstm_size"]
        self.outputs = 2 * size
        sizes = [width, *[self.outputs] * (made["lstm_layers"] - 1)]
        self.layers = nn.ModuleList(nn.LSTM(n, size, batch_first=True, bidirectional=True) for n in sizes)
        self.dropout = TextDropout(DROPOUT)
        self.above = None
        if made["pair_attention"] == "on":
            self.above = nn.LSTM(2 * self.outputs, size, batch_first=True, bidirectional=True)

    def forward(self, vectors: Tensor, present: Tensor, lengths: Sequence[int]) -> tuple[Tensor, Tensor]:
        states, counts = vectors, torch.tensor(lengths)
        for layer in self.layers:
            states = run(layer, self.dropout(states), counts)
        return states, greatest(states, present)

    def compare(
        self, states: Tensor, present: Tensor, pairs: Tensor, lengths: Sequence[int]
    ) -> tuple[Tensor, Tensor] | None:
        """Each word beside the mean of the other text's words, weighted by how alike their states are."""
        if self.above is None:
            return None
        both, others = states[pairs.flatten()], states[pairs.flip(1).flatten()]
        there, in_others = present[pairs.flatten()], present[pairs.flip(1).flatten()]
        alike = (both @ others.transpose(1, 2)).masked_fill(~in_others[:, None], torch.finfo(states.dtype).min)
        beside = torch.cat([both, alike.softmax(-1) @ others], dim=-1)
        read = run(self.above, self.dropout(beside), torch.tensor(lengths))
        first, second = greatest(read, there).view(len(pairs), 2, -1).unbind(1)
        return first, second


def greatest(states: Tensor, present: Tensor) -> Tensor:
    return states.masked_fill(~present[..., None], torch.finfo(states.dtype).min).amax(1)


def load(plan: Plan, source: Path | None, tasks: Sequence[Task], texts: Iterable[str]) -> SentenceModel | TextModel:
    names = ("lstm_size", "lstm_layers", "pair_attention")
    return load_sentence_model("bilstm", BiLSTM, names, plan, source, tasks, texts)
