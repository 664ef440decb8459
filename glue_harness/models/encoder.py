"""Encoders with a head for each task, through transformers: BERT and its kin, DeBERTa, ModernBERT."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import torch
from torch import Tensor, nn

from glue_harness.core.errors import UsageError
from glue_harness.core.plan import Plan
from glue_harness.core.settings import Setting
from glue_harness.core.task import Example, Masking, Noise, Task
from glue_harness.models import encoder_weights
from glue_harness.models.attention import lower_once, use_packed
from glue_harness.models.blocks import compile_blocks, lean_blocks
from glue_harness.models.bodies import BODIES, blocks_of, body_of, positions_of
from glue_harness.models.dropout import counted, replace_dropout
from glue_harness.models.encoder_batch import Batch, Group, lay
from glue_harness.models.encoder_inputs import encoded
from glue_harness.models.families import Family
from glue_harness.models.heads import TOLD, Facts, answers_of, check_choices, facts_of, make_head, scores, shares_of
from glue_harness.models.interface import Answer, Choices, Encoded, Export, Loss, Other, Parts
from glue_harness.models.masking import masked
from glue_harness.models.matching import Matching
from glue_harness.models.objectives import refuse_other_objectives, told
from glue_harness.models.packing import FINE, Grid
from glue_harness.models.pairs import NoSeparator, PairTokenizer
from glue_harness.models.windows import answer_of

FAMILY = Family(
    types=("bert", "roberta", "electra", "distilbert", "albert", "deberta-v2", "mpnet", "modernbert"),
    shapes={  # those of the published models
        "bert:tiny": {"hidden_size": 128, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 512},
        "bert:mini": {"hidden_size": 256, "num_hidden_layers": 4, "num_attention_heads": 4, "intermediate_size": 1024},
        "bert:small": {"hidden_size": 512, "num_hidden_layers": 4, "num_attention_heads": 8, "intermediate_size": 2048},
        "bert:base": {
            "hidden_size": 768,
            "num_hidden_layers": 12,
            "num_attention_heads": 12,
            "intermediate_size": 3072,
        },
        "bert:large": {
            "hidden_size": 1024,
            "num_hidden_layers": 24,
            "num_attention_heads": 16,
            "intermediate_size": 4096,
        },
        "modernbert:base": {
            "hidden_size": 768,
            "num_hidden_layers": 22,
            "num_attention_heads": 12,
            "intermediate_size": 1152,
        },
    },
    millions={
        "bert:tiny": 4.4,
        "bert:mini": 11.2,
        "bert:small": 28.8,
        "bert:base": 109.5,
        "bert:large": 335.1,
        "modernbert:base": 149.0,
    },
    objective="mlm",
    learns_vocabulary=("bert:tiny", "bert:mini", "bert:small", "bert:base", "bert:large", "modernbert:base"),
)
SETTINGS = (
    Setting("loss_weights", dict, {}, "A task's weight in the loss of an encoder, as {stsb = 0.5}; default: 1."),
    Setting(
        "whole_words",
        str,
        "off",
        "Whether all tokens of a word are hidden together, for --task mlm.",
        choices=("on", "off"),
    ),
    Setting("stride", int, 128, "Tokens that two windows of a long SQuAD paragraph share.", least=0, fixed=True),
)
WHOLE = ("full", "distil")  # methods that train all of a model
LEAST = 8  # tokens of an input: two texts of one or two, and what stands between them
KEPT = 16  # bytes of each value that a block makes: in fp32 and bf16, with masks and what the backward pass adds


class Encoder:
    """One encoder and a head for each task."""

    def __init__(
        self, body: nn.Module, tokenizer: PairTokenizer, heads: dict[str, Facts], origin: dict[str, Any], plan: Plan
    ) -> None:
        self.name, self.origin = plan.model, {**origin, "family": f"encoder ({body.config.model_type})"}
        self.tokenizer, self.facts = tokenizer, heads
        self.config, self.plan = body.config, plan
        self.body = body_of(self.config, self.name)
        self.module = nn.Module()
        self.module.body = body
        self.module.heads = nn.ModuleDict(
            {task: make_head(self.config, of.kind, of.outputs, f"{plan.seed}/{task}") for task, of in heads.items()}
        )
        for task, of in heads.items():
            if of.kind == TOLD:  # what tells a token is the matrix that reads it
                self.module.heads[task].get_output_embeddings().weight = body.get_input_embeddings().weight
        self.positions = positions_of(body, self.body)
        self.vocabulary = tokenizer.size
        self.fingerprint = ["encoder", tokenizer.fingerprint, str(plan.stride)]
        self.prompt_length = 0
        self.matching: Matching | None = None  # with a teacher's states: a method asks for it
        self.means = getattr(self.config, "classifier_pooling", "cls") == "mean"
        self.module.eval()  # all of it: loaded parts are in that mode, new ones in the other
        replace_dropout(self.module)
        use_packed(body)
        if self.body.reader:
            for block in blocks_of(body, self.body):
                lower_once(block.get_submodule(self.body.reader))

    @property
    def lengths(self) -> tuple[int, ...]:
        """A prompt in front of an input takes its place among the positions."""
        most = self.plan.max_input
        return (most if self.positions is None else min(most, self.positions - self.prompt_length),)

    def check(self, tasks: Sequence[Task]) -> None:
        refuse_other_objectives(self.name, tasks, Masking, FAMILY.objective)
        if self.plan.method not in WHOLE and any(task.noise for task in tasks):
            raise UsageError(f"method is {self.plan.method!r} but text alone is learned by whole models: use full")
        if unread := [task.name for task in tasks if task.view is None and not task.noise]:
            raise UsageError(f"model {self.name!r} cannot write texts, which {', '.join(unread)} needs: use a T5")
        if self.plan.answers == "strict":
            raise UsageError(f"answers is 'strict' but model {self.name!r} writes no text: use --answers closed")
        if other := [name for name in self.plan.loss_weights if name not in self.facts]:
            raise UsageError(f"loss_weights has {other[0]!r}, which is not trained: it has {', '.join(self.facts)}")
        if self.lengths[0] < min(LEAST, self.plan.max_input):
            left = f"leaves {max(0, self.lengths[0])} of the {self.positions} positions of model {self.name!r}"
            raise UsageError(f"prompt_length {self.prompt_length} {left} for an input: make it smaller")

    def as_read(self, task: Task) -> Task | None:
        if task.view is None:
            return task if task.noise else None
        return replace(task, encode=task.view.encode) if task.view.encode else task

    def inspected(self) -> str:
        embedded = self.config.vocab_size
        if self.tokenizer.size > embedded:
            raise UsageError(
                f"model {self.name!r}: its vocabulary has {self.tokenizer.size:,} pieces, its embeddings {embedded:,}"
            )
        return f"{self.tokenizer.size:,} pieces, {self.config.model_type}, heads: {', '.join(self.facts) or 'none'}"

    def encode(self, task: Task, examples: Sequence[Example]) -> list[Encoded]:
        if task.noise:
            return [Encoded((ids,)) for ids in self.tokenizer.ids([example.inputs for example in examples])]
        if task.view is None:
            raise UsageError(f"model {self.name!r} cannot write texts, which {task.name} needs: use a T5")
        head = self.head_of(task.answered_by or task.name)
        check_choices(task.name, task.choices, self.facts[head], self.name)
        try:
            return encoded(self.tokenizer, task, head, examples, self.lengths[0], self.plan.stride)
        except NoSeparator:
            what = f"task {task.name!r} is about two texts, and the vocabulary of model {self.name!r}"
            raise UsageError(f"{what} puts no separator between them: use another model") from None

    def corrupt(self, text: Encoded, noise: Noise, random: Random, other: Other) -> Encoded:
        assert isinstance(noise, Masking), "check refuses others"
        head = next(name for name, of in self.facts.items() if of.kind == TOLD)
        whole_words = self.plan.whole_words == "on"
        return masked(self.tokenizer, head, text, noise, random, other, self.lengths[0], whole_words)

    def filler(self, length: int) -> Encoded:
        task, facts = next(iter(self.facts.items()))
        marks = {TOLD: [0, self.tokenizer.pad + 1], "choice": [0], "span": [0, 0, 0], "marks": [0, 1, 0, 1]}.get(
            facts.kind, []
        )
        ids, asked = [self.tokenizer.pad + 1] * length, int(facts.kind == TOLD)
        return Encoded((ids,), None if asked else 0.0, task, marks=marks, told=asked, prompt=self.prompt_length)

    @property
    def token_bytes(self) -> int:
        config = self.config
        wide = getattr(config, "intermediate_size", None) or config.hidden_dim
        return KEPT * config.num_hidden_layers * (4 * config.hidden_size + wide)

    def head_of(self, task: str) -> str:
        """The head that answers a task: its own, or that of the task that trains it."""
        found = next((name for name, of in self.facts.items() if task == name or task in of.serves), None)
        if found is None:
            raise UsageError(f"model {self.name!r} has no head for {task}: it has {', '.join(self.facts) or 'none'}")
        return found

    def lay(self, rows: Sequence[Sequence[Encoded]], device: torch.device, grid: Grid = FINE) -> Batch:
        heads = {e.head: self.head_of(e.head) for row in rows for e in row}
        kinds = {head: self.facts[head].kind for head in heads.values()}
        prompt, is_matched = self.prompt_length, self.matching is not None
        batch = lay(rows, heads, kinds, self.tokenizer, prompt, self.means, device, grid, is_matched)
        if self.positions is not None and batch.longest > self.positions:
            raise UsageError(
                f"model {self.name!r} has {self.positions} positions, an input with its prompt {batch.longest}: "
                f"use --set max_input={self.positions - self.prompt_length}"
            )
        return batch

    def compile(self) -> None:
        compile_blocks(blocks_of(self.module.body, self.body))

    def loss(self, batch: Batch, lean: bool = False) -> Loss:
        """Cross-entropy of a choice, squared error of a number, each with its task's weight."""
        return self.graded(batch, lean)[0]

    def graded(self, batch: Batch, lean: bool = False) -> tuple[Loss, list[Choices]]:
        with lean_blocks(blocks_of(self.module.body, self.body) if lean else []):
            states = self._states(batch)
        each = states.new_zeros(batch.size, dtype=torch.promote_types(states.dtype, torch.float32))
        choices = []
        for group in batch.groups:
            with counted(group.in_rows):
                found = self._scores(group, states) if group.kind == "span" else self._logits(group, states)
            weight = self.plan.loss_weights.get(group.head, 1.0)
            each = each.index_put((group.members,), group.losses(found) * weight)
            if group.soft is not None:
                number = group.kind == "number"
                choices.append(Choices(found, group.soft, group.members, is_number=number, weight=weight))
        return Loss(each.sum(), each.detach()), choices

    @torch.no_grad()
    def answer(self, batch: Batch, task: Task, examples: Sequence[Example], strict: bool, length: int) -> list[Answer]:
        """`strict` and `length` are of models that write."""
        if task.noise:
            states, (group, *after) = self._states(batch), batch.groups
            found = self._scores(group, states)
            follows = [(self._scores(one, states).argmax(-1) == one.golds[:, 0]).tolist() for one in after]
            counts = [terms - len(after) for terms in batch.terms]
            return told(group.losses(found), found.argmax(-1) == group.golds[:, 0], counts, *follows)
        assert task.view, "only what has a view was encoded"
        if task.view.head == "span":
            states = self._states(batch)
            found = self._scores(batch.groups[0], states)
            return [
                answer_of(self.tokenizer, task, example, own, self.lengths[0], self.plan.stride)
                for example, own in zip(examples, batch.groups[0].by_example(found.tolist()), strict=True)
            ]
        (group,) = batch.groups
        return answers_of(task, examples, self._logits(group, self._states(batch)))

    @torch.no_grad()
    def shares(self, batch: Batch, task: Task, examples: Sequence[Example]) -> list[dict[str, float]]:
        assert task.view, "only what has a view was encoded"
        if task.view.head in ("number", "span"):
            return [{} for _ in examples]
        (group,) = batch.groups
        return shares_of(task, examples, self._logits(group, self._states(batch)))

    def _states(self, batch: Batch) -> Tensor:
        """The encoder's output for every token, row after row."""
        types = batch.types if getattr(self.config, "type_vocab_size", 0) > 1 else torch.zeros_like(batch.types)
        places = batch.positions + self.body.first_position(self.module.body)
        return self.body.call(self.module.body, batch.ids, batch.segments, places, types).flatten(0, 1)

    def _scores(self, group: Group, states: Tensor) -> Tensor:
        return scores(self.module.heads[group.head], group.kind, group.read(states))

    def _logits(self, group: Group, states: Tensor) -> Tensor:
        """A row for each example; what an example has less than another is minus infinity."""
        found = self._scores(group, states)
        if group.kind != "choice":
            return found
        filled = found.new_full((len(group.members), group.most), float("-inf"))
        return filled.index_put((group.owners, group.places_in_owner), found[:, 0])

    def parts(self) -> Parts:
        body, names = self.module.body, self.body
        blocks = blocks_of(body, names)
        norms = [part for part in body.modules() if isinstance(part, nn.LayerNorm | nn.RMSNorm)]
        return Parts(
            stacks=(blocks,),
            feed_forwards=[block.get_submodule(names.feed_forward) for block in blocks],
            attention=tuple(dict.fromkeys((names.query, names.value))),
            norms=[parameter for norm in norms for parameter in norm.parameters()],
            embeddings=body.get_input_embeddings(),
            reader=body,
            heads=list(self.module.heads.values()),
            above=[body.get_submodule(names.final)] if names.final else (),
            attentions=[block.get_submodule(names.attention) for block in blocks],
            passes=len(blocks) if self.config.model_type != "albert" else self.config.num_hidden_layers,
        )

    def save(self, folder: Path) -> None:
        encoder_weights.save(self.module, folder)
        self.save_vocabulary(folder)

    def save_vocabulary(self, folder: Path) -> None:
        encoder_weights.save_config(self.config, {task: of._asdict() for task, of in self.facts.items()}, folder)
        self.tokenizer.save(folder)

    def check_part(self, folder: Path) -> None:
        for task, made in encoder_weights.heads_of(folder).items():
            if task in self.facts:
                check_choices(task, self.facts[task].choices, made, self.name)

    def load_weights(self, folder: Path) -> None:
        encoder_weights.load(self.module, folder)

    def export(self, task: Task) -> Export:
        head = self.head_of(task.name)
        if self.facts[head].kind == TOLD:
            raise UsageError(f"{head} is what a model starts from: glue run --task TASK --model run:RUN tunes it first")
        return encoder_weights.export(self.module, self.config, self.tokenizer, head, self.facts[head])


def load(plan: Plan, source: Path | None, tasks: Sequence[Task], texts: Iterable[str]) -> Encoder:
    """From the weights in a folder, or, without one, from scratch with a vocabulary given or learned of the texts."""
    torch.manual_seed(plan.seed)
    wanted = facts_of(tasks)
    if source is None:
        body, tokenizer = encoder_weights.from_scratch(plan, FAMILY.shapes[plan.model], texts)
        return Encoder(body, tokenizer, wanted, {"kind": "from scratch", "vocabulary": tokenizer.fingerprint}, plan)
    found = encoder_weights.read(source, plan.model)
    origin: dict[str, Any] = {"kind": "pretrained", "vocabulary": found.tokenizer.fingerprint}
    model = Encoder(found.body, found.tokenizer, wanted or found.heads, origin, plan)
    model.inspected()
    taken = {task: found.take_head(model.module.heads[task], task, facts) for task, facts in model.facts.items()}
    if any(taken.values()):
        model.origin["heads"] = {task: said for task, said in taken.items() if said}
    return model


assert set(FAMILY.types) == set(BODIES)
