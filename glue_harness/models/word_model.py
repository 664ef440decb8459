"""What models of words have in common, whether they compare sentences or learn from text: how they lie on disk."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor, nn
from torch.nn import functional

from glue_harness.core.errors import GlueError, UsageError
from glue_harness.core.plan import Plan
from glue_harness.core.task import Task
from glue_harness.models.bilm import LanguageModel
from glue_harness.models.heads import Facts
from glue_harness.models.interface import Export
from glue_harness.models.lstm import keep_fixed
from glue_harness.models.sentence_source import HEADS, MADE, READS, WEIGHTS, WIDTH, Table, read_weights

KEPT = 16  # bytes of each value of a word that training keeps


class WordVectors(nn.Module):
    """A table of vectors. What was read from a file is no parameter, unless it is to learn on."""

    def __init__(self, table: Tensor, learns: bool) -> None:
        super().__init__()
        self.weight = nn.Parameter(table)
        if not learns:
            keep_fixed(self)

    def forward(self, ids: Tensor) -> Tensor:
        return functional.embedding(ids, self.weight)


class WordModel:
    """Words, their vectors, and where there is one the language model that reads these."""

    prompt_length = 0

    def __init__(
        self, kind: str, made: Mapping[str, Any], table: Table, plan: Plan, learns: bool, lm_learns: bool | None
    ) -> None:
        """`learns`: whether the vectors do; `lm_learns`: whether the language model does, None: there is none."""
        self.plan, self.name, self.words = plan, plan.model, table.words
        self.facts: dict[str, Facts] = {}  # of each task that has a head
        self.origin = {**table.origin, "vocabulary": self.words.fingerprint}
        self.width = table.vectors.shape[1]
        self.config = {"model_type": f"glue-{kind}", MADE: dict(made), WIDTH: self.width, READS: lm_learns is not None}
        self.module = nn.Module()
        self.module.words = WordVectors(table.vectors, learns)
        if lm_learns is not None:
            self.module.lm = LanguageModel(self.width, self.words.size)
            if not lm_learns:
                keep_fixed(self.module.lm)
        self.lengths, self.vocabulary = (plan.max_input,), self.words.size
        self.fingerprint = ["words", self.words.fingerprint]

    def compile(self) -> None:
        """A recurrent network is one kernel already, and what is around it is small."""

    def save(self, folder: Path) -> None:
        from safetensors.torch import save_file

        weights = {
            name.replace("heads.", f"{HEADS}.", 1) if name.startswith("heads.") else name: weight.contiguous()
            for name, weight in self.module.state_dict().items()
        }
        save_file(weights, str(folder / WEIGHTS), metadata={"format": "pt"})
        self.save_vocabulary(folder)

    def save_vocabulary(self, folder: Path) -> None:
        heads = {task: of._asdict() for task, of in self.facts.items()}
        text = json.dumps({**self.config, HEADS: heads}, indent=2, sort_keys=True)
        (folder / "config.json").write_text(text + "\n", encoding="utf-8")
        self.words.save(folder)

    def load_weights(self, folder: Path) -> None:
        try:
            self.module.load_state_dict(read_weights(folder))
        except RuntimeError as error:
            reason = " ".join(str(error).split())[:200]
            raise GlueError(f"weights in {str(folder)!r} are those of another model: {reason}") from None

    def export(self, task: Task) -> Export:
        raise UsageError(
            f"model {self.name!r} is none of transformers' classes: glue predict and glue submit serve this run"
        )


def take_weights(model: WordModel, weights: Mapping[str, Tensor], new: tuple[str, ...]) -> None:
    """Those of an earlier run; what begins as `new` says it need not have, and what it has beside them is left."""
    there = {name: weight for name, weight in weights.items() if not name.startswith("heads.")}
    try:
        lacking = model.module.load_state_dict(there, strict=False).missing_keys
    except RuntimeError as error:
        raise UsageError(f"model {model.name!r} cannot be loaded: {' '.join(str(error).split())[:200]}") from None
    if lacking := [name for name in lacking if not name.startswith(new)]:
        raise UsageError(f"model {model.name!r} lacks weights: {', '.join(lacking[:3])}")
