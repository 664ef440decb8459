"""The baselines of the GLUE paper: each text becomes one vector, and a small network for each task compares two."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any
from zlib import crc32

import torch
from torch import Tensor, nn

from glue_harness.core.errors import UsageError
from glue_harness.core.plan import Plan
from glue_harness.core.task import Example, Noise, Task
from glue_harness.models import sentence_batch
from glue_harness.models.bilm import LAYERS, read
from glue_harness.models.dropout import Dropout, counted
from glue_harness.models.heads import Facts, answers_of, check_choices, facts_of, shares_of, take_best
from glue_harness.models.interface import Answer, Choices, Encoded, Loss, Other, Parts
from glue_harness.models.layer_sum import LayerSum
from glue_harness.models.objectives import refuse_other_objectives
from glue_harness.models.packing import FINE, Grid
from glue_harness.models.sentence_batch import Batch, Group
from glue_harness.models.sentence_source import (
    HEADS,
    READS,
    SHARED,
    Table,
    config_in,
    known_table,
    learned_table,
    made_of,
    read_weights,
)
from glue_harness.models.text_words import TextModel, load_text_model
from glue_harness.models.word_model import KEPT, WordModel, take_weights
from glue_harness.models.words import UNK

SERVED = ("label", "number", "choice", "marks")  # kinds of heads
HIDDEN = 512  # inner size of a head, as in the GLUE paper
DROPOUT = 0.2  # its too


class Reader(nn.Module):
    """Turns the words of texts [texts, words, width] into states of words and one vector of each text."""

    outputs: int  # size of a state and of a text's vector

    def forward(self, vectors: Tensor, present: Tensor, lengths: Sequence[int]) -> tuple[Tensor, Tensor]:
        raise NotImplementedError

    def compare(
        self, states: Tensor, present: Tensor, pairs: Tensor, lengths: Sequence[int]
    ) -> tuple[Tensor, Tensor] | None:
        """Vectors of the texts of each pair that have looked at each other; None where they do not.

        `lengths` of these texts, first and second in turns.
        """
        return None


class SentenceModel(WordModel):
    """Word vectors, a reader, and a head for each task."""

    def __init__(
        self,
        kind: str,
        made: dict[str, Any],
        table: Table,
        reader: Reader,
        heads: dict[str, Facts],
        plan: Plan,
        reads: bool = False,
    ) -> None:
        """`reads`: the reader gets a sum of what the layers of a language model say of the words."""
        lm_learns = plan.tune_bilm == "on" if reads else None
        learns = not made["vectors"] or made["tune_vectors"] == "on"  # fixed, as the GLUE paper's are
        super().__init__(kind, made, table, plan, learns and lm_learns is not False, lm_learns)
        self.facts = heads
        if reads:
            self.module.layer_sum = LayerSum(LAYERS + 1)
        self.module.body = reader
        self.module.heads = nn.ModuleDict(
            {task: make_head(reader.outputs, of, f"{plan.seed}/{task}") for task, of in heads.items()}
        )
        self.token_bytes = KEPT * ((1 + 8 * reads) * self.width + 4 * reader.outputs)
        self.module.eval()

    def check(self, tasks: Sequence[Task]) -> None:
        refuse_other_objectives(self.name, tasks, None, "")
        unserved = [task.name for task in tasks if task.view is None or task.view.head not in SERVED]
        if unserved:
            raise UsageError(
                f"model {self.name!r} compares sentences: it cannot write or find a text in another, which "
                f"{', '.join(unserved)} needs: use a T5, or an encoder for SQuAD"
            )
        if self.plan.answers == "strict":
            raise UsageError(f"answers is 'strict' but model {self.name!r} writes no text: use --answers closed")

    def as_read(self, task: Task) -> Task | None:
        if task.view is None or task.view.head not in SERVED:
            return None
        return replace(task, encode=task.view.encode) if task.view.encode else task

    def inspected(self) -> str:
        width = self.module.words.weight.shape[1]
        return f"{self.words.size:,} words, vectors of {width} numbers, heads: {', '.join(self.facts) or 'none'}"

    def encode(self, task: Task, examples: Sequence[Example]) -> list[Encoded]:
        if task.view is None or task.view.head not in SERVED:
            self.check([task])
        head = self.head_of(task.answered_by or task.name)
        check_choices(task.name, task.choices, self.facts[head], self.name)
        return sentence_batch.encoded(self.words, task, head, examples, self.lengths[0])

    def corrupt(self, text: Encoded, noise: Noise, random: Random, other: Other) -> Encoded:
        raise UsageError(f"model {self.name!r} cannot learn from text alone: use another family")

    def filler(self, length: int) -> Encoded:
        task, facts = next(iter(self.facts.items()))
        return Encoded(([UNK] * max(2, length),), 0.0, task, marks=sentence_batch.filler_marks(facts.kind))

    def head_of(self, task: str) -> str:
        """The head that answers a task: its own, or that of the task that trains it."""
        found = next((name for name, of in self.facts.items() if task == name or task in of.serves), None)
        if found is None:
            raise UsageError(f"model {self.name!r} has no head for {task}: it has {', '.join(self.facts) or 'none'}")
        return found

    def lay(self, rows: Sequence[Sequence[Encoded]], device: torch.device, grid: Grid = FINE) -> Batch:
        """Texts apart, whatever row they stood in: nothing is computed for padding but word vectors."""
        heads = {e.head: self.head_of(e.head) for row in rows for e in row}
        return sentence_batch.lay(rows, heads, {head: self.facts[head].kind for head in heads.values()}, device)

    def loss(self, batch: Batch, lean: bool = False) -> Loss:
        """Cross-entropy of a choice, squared error of a number."""
        return self.graded(batch, lean)[0]

    def graded(self, batch: Batch, lean: bool = False) -> tuple[Loss, list[Choices]]:
        each = torch.zeros(batch.size, dtype=self.module.words.weight.dtype, device=batch.ids.device)
        choices = []
        for group, found in self._found(batch):
            each = each.index_put((group.members,), group.losses(found))
            if group.soft is not None:
                choices.append(Choices(found, group.soft, group.members, is_number=group.kind == "number"))
        return Loss(each.sum(), each.detach()), choices

    @torch.no_grad()
    def answer(self, batch: Batch, task: Task, examples: Sequence[Example], strict: bool, length: int) -> list[Answer]:
        """`strict` and `length` are of models that write."""
        ((_, found),) = self._found(batch)
        return answers_of(task, examples, found)

    @torch.no_grad()
    def shares(self, batch: Batch, task: Task, examples: Sequence[Example]) -> list[dict[str, float]]:
        ((_, found),) = self._found(batch)
        return shares_of(task, examples, found)

    def _found(self, batch: Batch) -> Iterable[tuple[Group, Tensor]]:
        """What each head gives: a row for each of its examples."""
        with torch.autocast(batch.ids.device.type, enabled=False):  # sums over hundreds of words are exact in fp32 only
            present = batch.present
            with counted(batch.in_rows):
                states, texts = self.module.body(self._vectors(batch), present, batch.lengths)
            for group in batch.groups:
                pair = self._phrases(batch, states, texts, group) or self._texts(group, states, texts, present)
                with counted(group.in_rows):
                    found = self._scores(group, features(*pair))
                yield group, found

    def _vectors(self, batch: Batch) -> Tensor:
        """Of each word its own vector, or, of a language model that does not learn without dropout, what it says."""
        if not self.config[READS]:
            return self.module.words(batch.ids)
        if self.plan.tune_bilm == "off":
            self.module.lm.eval()
        return self.module.layer_sum(read(self.module.lm, self.module.words, batch.ids, batch.lengths))

    def _phrases(self, batch: Batch, states: Tensor, texts: Tensor, group: Group) -> tuple[Tensor, Tensor] | None:
        """Of a question about two phrases, each one's mean state beside the vector of the text that it is in."""
        if group.kind != "marks":
            return None
        places = torch.arange(states.shape[1], device=states.device)
        text, first, beyond = batch.phrases.unbind(1)
        inside = ((places >= first[:, None]) & (places < beyond[:, None])).to(states.dtype)
        means = (states[text] * inside[..., None]).sum(1) / inside.sum(1, keepdim=True)
        phrases = torch.cat([texts[text], means], dim=1)
        return phrases[group.firsts], phrases[group.seconds]

    def _texts(self, group: Group, states: Tensor, texts: Tensor, present: Tensor) -> tuple[Tensor, Tensor]:
        """A text alone is compared with nothing: a vector of zeros."""
        first, second = texts[group.firsts], texts[group.seconds] * (group.seconds >= 0)[:, None]
        paired, seen = group.paired, None
        if len(paired):
            pairs = torch.stack([group.firsts, group.seconds], 1)[paired]
            with counted([2 * count for count in group.in_rows] if len(paired) == len(group.firsts) else None):
                seen = self.module.body.compare(states, present, pairs, group.pair_lengths)
        if seen is None:
            return first, second
        return first.index_put((paired,), seen[0]), second.index_put((paired,), seen[1])

    def _scores(self, group: Group, read: Tensor) -> Tensor:
        found = self.module.heads[group.head](read)
        if group.kind != "choice":
            return found
        filled = found.new_full((len(group.members), group.most), float("-inf"))
        return filled.index_put((group.owners, group.places), found[:, 0])

    def parts(self) -> Parts:
        """No blocks: what methods would do between them has no place in so small a model."""
        heads = list(self.module.heads.values())
        return Parts((), (), (), (), self.module.words, self.module.body, heads)

    def check_part(self, folder: Path) -> None:
        for task, made in config_in(folder).get(HEADS, {}).items():
            if task in self.facts:
                check_choices(task, self.facts[task].choices, Facts(**made), self.name)


def features(first: Tensor, second: Tensor) -> Tensor:
    """[u; v; |u - v|; u * v]: what two texts have in common and what not (the GLUE paper, section 4)."""
    return torch.cat([first, second, (first - second).abs(), first * second], dim=-1)


def make_head(size: int, facts: Facts, seed: str) -> nn.Module:
    """A head with fresh weights, a function of the seed alone, on the features of two vectors of `size`."""
    own = 2 * size if facts.kind == "marks" else size  # a phrase stands beside its text
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(crc32(seed.encode()))
        inner, last = nn.Linear(4 * own, HIDDEN), nn.Linear(HIDDEN, facts.outputs)
        return nn.Sequential(Dropout(DROPOUT), inner, nn.Tanh(), Dropout(DROPOUT), last)


def load_sentence_model(
    kind: str,
    reader: Callable[[int, Mapping[str, Any]], Reader],
    names: tuple[str, ...],
    plan: Plan,
    source: Path | None,
    tasks: Sequence[Task],
    texts: Iterable[str],
) -> SentenceModel | TextModel:
    """From the weights in a folder, or from scratch. `reader` makes one for vectors of a width, as `names` say."""
    torch.manual_seed(plan.seed)
    if any(task.noise for task in tasks):
        return load_text_model(kind, plan, source, tasks, texts)
    wanted = facts_of(tasks)
    config = config_in(source or (Path(plan.tokenizer) if plan.tokenizer else None))
    made = made_of(plan, (*SHARED, *names), config)
    if source is None:
        table = learned_table(plan, made, texts)
        return SentenceModel(kind, made, table, reader(table.vectors.shape[1], made), wanted, plan)
    weights, table, reads = read_weights(source), known_table(source, config), config.get(READS, False)
    own = {task: Facts(**facts) for task, facts in config[HEADS].items()}
    width = table.vectors.shape[1] * (2 if reads else 1)
    model = SentenceModel(kind, made, table, reader(width, made), wanted or own, plan, reads)
    learned_of_text = not any(name.startswith("body.") for name in weights)  # what reads words is made anew
    take_weights(model, weights, ("heads.", "body.", "layer_sum.") if learned_of_text else ("heads.",))
    if learned_of_text and plan.method != "full" and list(model.module.body.parameters()):
        raise UsageError(
            f"method is {plan.method!r} but above the words of that run stands a new {kind}, which has to learn: "
            "use --method full"
        )

    def weights_of(task: str) -> dict[str, Tensor]:
        start = f"heads.{task}."
        return {name.removeprefix(start): weight for name, weight in weights.items() if name.startswith(start)}

    taken = {
        task: take_best(model.module.heads[task], task, facts, own, weights_of) for task, facts in model.facts.items()
    }
    if any(taken.values()):
        model.origin["heads"] = {task: said or "made anew" for task, said in taken.items()}
    return model
