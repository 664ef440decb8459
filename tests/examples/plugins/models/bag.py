"""A bag of words: the mean of the words' vectors, and a head for each task. A model family in one file.

`GLUE_PLUGINS=tests/examples/plugins glue run --task rte --demo --model bag`
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from random import Random
from typing import Any, NamedTuple
from zlib import crc32

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional

from glue_harness.core.errors import UsageError
from glue_harness.core.plan import Plan
from glue_harness.core.settings import Setting
from glue_harness.core.task import Example, Noise, Task
from glue_harness.models.families import Family
from glue_harness.models.interface import Answer, Encoded, Export, Loss, Other, Parts
from glue_harness.models.packing import FINE, Grid

FAMILY = Family(types=("bag",), shapes={"bag": {"words": 4096}}, millions={"bag": 0.3}, learns_vocabulary=("bag",))
SETTINGS = (Setting("bag_size", int, 64, "Length of a word's vector, for --model bag.", "Model", above=0, fixed=True),)
WEIGHTS = "model.safetensors"


class Batch(NamedTuple):
    ids: Tensor  # of all examples, one after the other
    starts: Tensor  # where each example begins
    heads: list[str]
    golds: Tensor


class Bag:
    def __init__(self, words: int, size: int, outputs: dict[str, int], origin: dict[str, Any], plan: Plan) -> None:
        self.module = nn.Module()
        self.module.words = nn.EmbeddingBag(words, size, mode="mean")
        self.module.heads = nn.ModuleDict({task: nn.Linear(size, n) for task, n in outputs.items()})
        self.name, self.origin = plan.model, origin
        self.config = {"model_type": "bag", "words": words, "size": size, "heads": outputs}
        self.lengths, self.vocabulary, self.fingerprint = (plan.max_input,), words, ["hashed words", str(words)]
        self.prompt_length, self.token_bytes = 0, 8 * size

    def check(self, tasks: Sequence[Task]) -> None:
        if free := [task.name for task in tasks if not outputs_of(task)]:
            raise UsageError(f"model {self.name!r} cannot write texts, which {', '.join(free)} needs: use a T5")

    def inspected(self) -> str:
        return f"{self.vocabulary:,} hashed words, heads for {', '.join(self.module.heads)}"

    def encode(self, task: Task, examples: Sequence[Example]) -> list[Encoded]:
        def gold(example: Example) -> float:
            if task.kind == "regress":
                return float(example.target)
            return float(task.choices.index(example.target)) if example.target in task.choices else 0.0

        words = [[crc32(word.encode()) % self.vocabulary for word in e.inputs.split()] for e in examples]
        return [Encoded((w[: self.lengths[0]],), gold(e), task.name) for w, e in zip(words, examples, strict=True)]

    def corrupt(self, text: Encoded, noise: Noise, random: Random, other: Other) -> Encoded:
        raise UsageError(f"model {self.name!r} cannot learn from text alone: use a T5")

    def filler(self, length: int) -> Encoded:
        return Encoded(([0] * length,), 0.0, next(iter(self.module.heads)))

    def lay(self, rows: Sequence[Sequence[Encoded]], device: torch.device, grid: Grid = FINE) -> Batch:
        flat = [example for row in rows for example in row]
        ends = torch.tensor([example.length for example in flat]).cumsum(0)
        ids = torch.tensor([int(token) for example in flat for token in example.streams[0]], device=device)
        golds = torch.tensor([example.gold for example in flat], device=device)
        return Batch(ids, functional.pad(ends, (1, 0))[:-1].to(device), [e.head for e in flat], golds)

    def outputs(self, batch: Batch) -> list[Tensor]:
        states = self.module.words(batch.ids, batch.starts)
        return [self.module.heads[head](state) for head, state in zip(batch.heads, states, strict=True)]

    def loss(self, batch: Batch, lean: bool = False) -> Loss:
        """Cross-entropy of a label, squared error of a number."""
        each = torch.stack(
            [
                functional.cross_entropy(out, gold.long()) if len(out) > 1 else (out[0] - gold).square()
                for out, gold in zip(self.outputs(batch), batch.golds, strict=True)
            ]
        )
        return Loss(each.sum(), each.detach())

    def compile(self) -> None:
        self.module.compile()

    def as_read(self, task: Task) -> Task | None:
        return task if outputs_of(task) else None

    def answer(self, batch: Batch, task: Task, examples: Sequence[Example], strict: bool, length: int) -> list[Answer]:
        shares = self.shares(batch, task, examples)
        numbers = [out[0].item() for out in self.outputs(batch)]
        return [
            Answer(max(of, key=of.__getitem__), of) if of else Answer(f"{number:.1f}", {})
            for of, number in zip(shares, numbers, strict=True)
        ]

    @torch.no_grad()
    def shares(self, batch: Batch, task: Task, examples: Sequence[Example]) -> list[dict[str, float]]:
        outs = [out.softmax(-1).tolist() for out in self.outputs(batch)]  # a number is no choice, though it prints one
        return [
            dict(zip(example.choices, out, strict=True)) if len(out) > 1 else {}
            for example, out in zip(examples, outs, strict=True)
        ]

    def parts(self) -> Parts:
        words = self.module.words
        return Parts((), (), (), (), words, self.module, list(self.module.heads.values()))

    def save(self, folder: Path) -> None:
        save_file(self.module.state_dict(), str(folder / WEIGHTS))
        self.save_vocabulary(folder)

    def save_vocabulary(self, folder: Path) -> None:
        (folder / "config.json").write_text(json.dumps(self.config), encoding="utf-8")

    def check_part(self, folder: Path) -> None:
        pass

    def load_weights(self, folder: Path) -> None:
        self.module.load_state_dict(load_file(str(folder / WEIGHTS)))

    def export(self, task: Task) -> Export:
        raise UsageError(f"model {self.name!r} is a bag of words, which transformers has no class for")


def outputs_of(task: Task) -> int:
    """How many numbers a head gives; 0 for a task whose answers are free texts."""
    return 1 if task.kind == "regress" else len(task.choices)


def load(plan: Plan, source: Path | None, tasks: Sequence[Task], texts: Iterable[str]) -> Bag:
    torch.manual_seed(plan.seed)
    heads = {task.name: outputs_of(task) for task in tasks if outputs_of(task)}
    if source is None:
        return Bag(FAMILY.shapes[plan.model]["words"], plan.bag_size, heads, {"kind": "from scratch"}, plan)
    config = json.loads((source / "config.json").read_text(encoding="utf-8"))
    model = Bag(config["words"], config["size"], {**heads, **config["heads"]}, {"kind": "pretrained"}, plan)
    kept = load_file(str(source / WEIGHTS))
    model.module.load_state_dict({**model.module.state_dict(), **kept})
    return model
