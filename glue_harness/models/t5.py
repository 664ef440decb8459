"""The T5 family through transformers: T5, v1.1, Flan, mT5, ByT5, UMT5, and T5s from scratch."""

from __future__ import annotations

import string
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from glue_harness.core.errors import UsageError
from glue_harness.core.plan import Plan
from glue_harness.core.settings import Setting
from glue_harness.core.task import Denoising, Example, Noise, Prefix, SpanNoise, Task
from glue_harness.models import stacks, weight_files
from glue_harness.models.batch import IGNORED, Batch, lay, moved, numbers, padded
from glue_harness.models.denoising import drawn
from glue_harness.models.dropout import replace_dropout
from glue_harness.models.families import Family
from glue_harness.models.feed_forward import replace_feed_forward
from glue_harness.models.graphs import compiled
from glue_harness.models.interface import Answer, Choices, Encoded, Export, Loss, Other, Parts
from glue_harness.models.norm import replace_norms
from glue_harness.models.objectives import refuse_other_objectives
from glue_harness.models.packing import FINE, Grid
from glue_harness.models.t5_weights import greedy, head_scale, read_module
from glue_harness.models.tokenizer import EOS, PAD, SENTINELS, Tokenizer, cut, excess, load_tokenizer, train_tokenizer
from glue_harness.models.trie import Node, build_trie

FAMILY = Family(
    types=("t5", "mt5", "umt5"),
    shapes={  # tiny trains on a laptop in a minute; the others are the published ones
        "tiny": {"d_model": 128, "d_kv": 32, "d_ff": 512, "num_layers": 2, "num_heads": 4},
        "t5:mini": {"d_model": 256, "d_kv": 64, "d_ff": 1024, "num_layers": 4, "num_heads": 4},
        "t5:small": {"d_model": 512, "d_kv": 64, "d_ff": 2048, "num_layers": 6, "num_heads": 8},
        "t5:base": {"d_model": 768, "d_kv": 64, "d_ff": 3072, "num_layers": 12, "num_heads": 12},
        "t5:large": {"d_model": 1024, "d_kv": 64, "d_ff": 4096, "num_layers": 24, "num_heads": 16},
    },
    millions={"tiny": 1.5, "t5:mini": 15.6, "t5:small": 60.5, "t5:base": 222.9, "t5:large": 737.7},
    learns_vocabulary=("tiny",),
    objective="span_corruption",
)
SETTINGS = (
    Setting("z_loss", float, 0.0, "Weight of log(Z)^2, Z what a token's probabilities are divided by.", least=0),
)
TINY_VOCABULARY = 4096
KEPT = 16  # bytes of each value that a block makes: in fp32 and bf16, with masks and what the backward pass adds
PUBLISHED_VOCABULARY = 32_128  # 32,000 pieces, 100 sentinels, padding to a multiple of 128


class T5:
    """A sequence-to-sequence model that answers in T5's way."""

    def __init__(self, module: nn.Module, tokenizer: Tokenizer, origin: dict[str, Any], plan: Plan) -> None:
        self.module, self.config = module, module.config
        self.tokenizer = tokenizer
        self.origin = origin
        self.name = plan.model
        self.lengths = (plan.max_input, plan.max_target)
        self.vocabulary = tokenizer.size + SENTINELS
        self.start = module.config.decoder_start_token_id
        self.scale = head_scale(module)
        self.z_loss, self.longest_answer = plan.z_loss, plan.max_answer
        self.prompt_length = 0  # every input begins with ids -1, -2, ...: a method says what they are
        replace_dropout(module)
        replace_feed_forward(module)
        replace_norms(module)
        self._graphs: tuple[stacks.Block | None, stacks.Block | None] = (None, None)
        self._tries: dict[tuple[str, ...], Node] = {}

    def check(self, tasks: Sequence[Task]) -> None:
        refuse_other_objectives(self.name, tasks, (SpanNoise, Prefix, Denoising), FAMILY.objective)
        noisy = [task.name for task in tasks if task.noise and not isinstance(task.noise, Prefix)]
        if noisy and not self.has_sentinels:
            names = ", ".join(noisy)
            raise UsageError(f"model {self.name!r} has no sentinels, which {names} needs: use a T5 or a ByT5")

    def inspected(self) -> str:
        pieces, embedded = self.tokenizer.size, self.module.shared.num_embeddings
        if not 0 < pieces <= embedded:
            raise UsageError(f"model {self.name!r}: its vocabulary has {pieces:,} pieces, its embeddings {embedded:,}")
        return f"{pieces:,} pieces, one embedding matrix for both stacks"

    def encode(self, task: Task, examples: Sequence[Example]) -> list[Encoded]:
        inputs = self.tokenizer.encode([example.inputs for example in examples])
        if task.noise:  # what is hidden of a text is drawn anew each time
            return [Encoded((ids,)) for ids in inputs]
        targets = self.tokenizer.encode([example.target for example in examples])
        most_in, most_out = self.lengths
        return [
            Encoded((cut(i, most_in), cut(t, most_out)), lost=excess(i, most_in) + excess(t, most_out))
            for i, t in zip(inputs, targets, strict=True)
        ]

    @property
    def fingerprint(self) -> list[str]:
        return [type(self.tokenizer).__name__, self.tokenizer.fingerprint]

    @property
    def has_sentinels(self) -> bool:
        """mT5 and UMT5 number theirs in another way."""
        there = self.tokenizer.first_sentinel < self.module.shared.num_embeddings
        return there and self.module.config.model_type == "t5"

    @property
    def token_bytes(self) -> int:
        config = self.module.config
        return KEPT * config.num_layers * (4 * config.d_model + config.d_ff)

    def corrupt(self, text: Encoded, noise: Noise, random: Random, other: Other | None = None) -> Encoded:
        return Encoded(drawn(text.streams[0], noise, self.lengths, self.tokenizer, random))

    def filler(self, length: int) -> Encoded:
        return Encoded(([EOS] * length, [EOS]), prompt=self.prompt_length)

    def lay(self, rows: Sequence[Sequence[Encoded]], device: torch.device, grid: Grid = FINE) -> Batch:
        if prompt := range(-1, -1 - self.prompt_length, -1):
            rows = [
                [replace(e, streams=([*prompt, *e.streams[0]], e.streams[1]), prompt=0) for e in row] for row in rows
            ]
        return lay(rows, device, self.start, grid)

    def loss(self, batch: Batch, lean: bool = False) -> Loss:
        return self.graded(batch, lean)[0]

    def graded(self, batch: Batch, lean: bool = False) -> tuple[Loss, list[Choices]]:
        """Every token of an answer carries what is to be learned of the whole answer's choices."""
        plain = lean or not self.module.training  # looks at single examples come in ever other shapes
        encoder, decoder = (None, None) if plain else self._graphs
        memory = stacks.encode(self.module, batch.inputs, batch.segments, lean, encoder)
        loss = self._loss(batch, memory, lean, decoder)
        options = batch.options
        if options is None:
            return loss, []
        given = (self.module, options.given, options.segments, memory, batch.segments, lean, decoder)
        logits = self._logits(stacks.decode(*given, own_segments=options.own_segments), options.places)
        return loss, [options.scored(logits)]

    def compile(self, backend: str | Callable = "inductor") -> None:
        """The blocks of each stack become a graph, made when training first meets them, and kept in the cache."""
        if self._graphs == (None, None):
            self._graphs = compiled(stacks.encoder_block, backend), compiled(stacks.decoder_block, backend)

    def _logits(self, states: Tensor, places: Tensor) -> Tensor:
        """The head runs on the places of labels only."""
        wanted = states.flatten(0, 1)[places] * self.scale
        logits = functional.linear(wanted, self.module.lm_head.weight)
        return logits.to(torch.promote_types(logits.dtype, torch.float32))

    def _loss(self, batch: Batch, memory: Tensor, lean: bool, decoder: stacks.Block | None) -> Loss:
        states = stacks.decode(self.module, batch.given, batch.given_segments, memory, batch.segments, lean, decoder)
        exact = self._logits(states, batch.places)
        each = functional.cross_entropy(exact, batch.labels, ignore_index=IGNORED, reduction="none")
        total = each.sum()
        if self.z_loss:
            total = total + self.z_loss * (exact.logsumexp(-1).square() * (batch.labels != IGNORED)).sum()
        return Loss(total, each.detach())

    def option_tokens(self, choices: Sequence[str]) -> list[list[int]]:
        return [[*ids, EOS] for ids in self.tokenizer.encode(choices)]

    def as_read(self, task: Task) -> Task:
        return task

    def answer(self, batch: Batch, task: Task, examples: Sequence[Example], strict: bool, length: int) -> list[Answer]:
        """Strict answers equal free greedy decoding: a choice stands only if the whole vocabulary agrees with it."""
        choices = [example.choices for example in examples]
        if not choices[0]:
            return self.generate(batch, length)
        answers = self.choose(batch, choices)
        if strict:
            agreed = self.agrees(batch, [answer.text for answer in answers])
            if doubtful := [k for k, sure in enumerate(agreed) if not sure]:
                for k, free in zip(doubtful, self.generate(batch.only(doubtful), length), strict=True):
                    answers[k] = free
        return answers

    @torch.no_grad()
    def choose(self, batch: Batch, choices: Sequence[Sequence[str]]) -> list[Answer]:
        """Branch-node greedy: the decoder runs only where the candidates differ, the head only on their tokens."""
        memory, device = self._memory(batch), batch.inputs.device
        nodes = [self._trie(tuple(c)).forced() for c in choices]
        scores: list[dict[str, float]] = [{} for _ in choices]
        reached = [1.0] * len(nodes)
        while open_ := [k for k, node in enumerate(nodes) if node.children]:
            rows = numbers(open_, device)
            prefixes = moved(padded([[self.start, *nodes[k].prefix] for k in open_], PAD), device)
            last = numbers([len(nodes[k].prefix) for k in open_], device)
            everyone = len(open_) == len(nodes)  # then nothing need be copied
            read = (memory, batch.segments) if everyone else (memory[rows], batch.segments[rows])
            hidden = self._decoder(prefixes, *read)[torch.arange(len(open_), device=device), last]
            level = []
            for node in {id(nodes[k]): nodes[k] for k in open_}.values():
                at, tokens = [j for j, k in enumerate(open_) if nodes[k] is node], list(node.children)
                weights = self.module.lm_head.weight[numbers(tokens, device)]
                logits = functional.linear(hidden[numbers(at, device)], weights).float()
                level.append((node, at, tokens, logits.argmax(-1, keepdim=True), logits.softmax(-1)))
            told = torch.cat([part.double().flatten() for *_, best, shares in level for part in (best, shares)])
            values = iter(told.tolist())  # all of a level at once: each reading waits for a GPU
            for node, at, tokens, *_ in level:
                best = [int(next(values)) for _ in at]
                for j, winner in zip(at, best, strict=True):
                    k, share = open_[j], [next(values) for _ in tokens]
                    for token, part in zip(tokens, share, strict=True):
                        if (answer := node.children[token].only_answer) is not None:
                            scores[k][answer] = reached[k] * part
                    reached[k] *= share[winner]
                    nodes[k] = node.children[tokens[winner]].forced()
        chosen = [node.answer for node in nodes if node.answer is not None]  # all: they are leaves
        return [Answer(answer, found or {answer: 1.0}) for answer, found in zip(chosen, scores, strict=True)]

    @torch.no_grad()
    def agrees(self, batch: Batch, texts: Sequence[str]) -> list[bool]:
        """The full vocabulary's best token must be the text's own at every position, its end included."""
        logits, wanted = self._forced(batch, texts)
        return ((logits.argmax(-1) == wanted) | (wanted < 0)).all(dim=1).tolist()

    @torch.no_grad()
    def shares(self, batch: Batch, task: Task, examples: Sequence[Example]) -> list[dict[str, float]]:
        """One choice of every example at a time, so that the encoder's output is never copied."""
        choices = [example.choices for example in examples]
        width = max(map(len, choices))
        filled = [[*own, *[own[0]] * (width - len(own))] for own in choices]
        logs = torch.stack([self._log_likelihood(batch, texts) for texts in zip(*filled, strict=True)], dim=1).cpu()
        return [
            dict(zip(own, row[: len(own)].softmax(-1).tolist(), strict=True))
            for own, row in zip(choices, logs, strict=True)
        ]

    @torch.no_grad()
    def generate(self, batch: Batch, length: int) -> list[Answer]:
        from transformers.modeling_outputs import BaseModelOutput

        config = greedy(self.start, length)
        memory = BaseModelOutput(last_hidden_state=self._memory(batch))
        ids = self.module.generate(encoder_outputs=memory, attention_mask=batch.segments, generation_config=config)
        return [Answer(self.tokenizer.decode(row[1:]), {}) for row in ids.tolist()]

    def parts(self) -> Parts:
        return stacks.parts_of(self.module)

    def save(self, folder: Path) -> None:
        weight_files.save(self.module, folder)
        self.config.save_pretrained(folder)
        self.save_vocabulary(folder)

    def save_vocabulary(self, folder: Path) -> None:
        self.tokenizer.save(folder)

    def check_part(self, folder: Path) -> None:
        """A T5 has no heads: whatever its tasks' labels are, it writes texts."""

    def load_weights(self, folder: Path) -> None:
        weight_files.load(self.module, folder)

    def export(self, task: Task) -> Export:
        from transformers import AutoModelForSeq2SeqLM

        whole = AutoModelForSeq2SeqLM.from_config(self.module.config)
        whole.generation_config = greedy(self.start, self.longest_answer)
        return Export("AutoModelForSeq2SeqLM", whole, self.module.state_dict(), self.tokenizer.save)

    def _memory(self, batch: Batch) -> Tensor:
        if not batch.memory:
            batch.memory.append(stacks.encode(self.module, batch.inputs, batch.segments))
        return batch.memory[0]

    def _decoder(self, ids: Tensor, memory: Tensor, segments: Tensor) -> Tensor:
        """Hidden states ready for the head, one example a row. What stands after a text, a text does not see."""
        return self.scale * stacks.decode(self.module, ids, torch.ones_like(ids), memory, segments)

    def _forced(self, batch: Batch, texts: Sequence[str]) -> tuple[Tensor, Tensor]:
        """The head's output at every token of given answers, and these tokens; -100 where an answer has ended."""
        sequences = self.option_tokens(texts)
        wanted = moved(padded(sequences, IGNORED), batch.inputs.device)
        given = moved(padded([[self.start, *s[:-1]] for s in sequences], PAD), wanted.device)
        hidden = self._decoder(given, self._memory(batch), batch.segments)
        return functional.linear(hidden, self.module.lm_head.weight), wanted

    def _log_likelihood(self, batch: Batch, texts: Sequence[str]) -> Tensor:
        logits, wanted = self._forced(batch, texts)
        return -functional.cross_entropy(logits.float().transpose(1, 2), wanted, reduction="none").sum(dim=1)

    def _trie(self, choices: tuple[str, ...]) -> Node:
        if choices not in self._tries:
            self._tries[choices] = build_trie(choices, self.option_tokens(choices))
        return self._tries[choices]


def load(plan: Plan, source: Path | None, tasks: Sequence[Task], texts: Iterable[str]) -> T5:
    """From the weights in a folder, or, without one, from scratch with a vocabulary given or learned of the texts."""
    torch.manual_seed(plan.seed)
    if source:
        return pretrained(plan, source)
    if plan.tokenizer:
        tokenizer = load_tokenizer(Path(plan.tokenizer))
    else:  # another task may be tuned from here, and its labels may have letters that these texts lack
        tokenizer = train_tokenizer(texts, TINY_VOCABULARY, spells=string.printable.strip())
    vocabulary = tokenizer.size + SENTINELS
    if plan.model not in FAMILY.learns_vocabulary:
        vocabulary = max(PUBLISHED_VOCABULARY, vocabulary)
    module = from_scratch(plan.model, vocabulary)
    return T5(module, tokenizer, {"kind": "from scratch", "vocabulary": tokenizer.fingerprint}, plan)


def from_scratch(model: str, vocabulary: int) -> nn.Module:
    from transformers import T5Config, T5ForConditionalGeneration

    config = T5Config(vocab_size=vocabulary, decoder_start_token_id=PAD, **FAMILY.shapes[model])
    return T5ForConditionalGeneration._from_config(config, attn_implementation="sdpa")


def pretrained(plan: Plan, folder: Path) -> T5:
    """A model of the family; its embeddings are checked after loading."""
    module, tokenizer = read_module(folder, plan.model), load_tokenizer(folder)
    model = T5(module, tokenizer, {"kind": "pretrained", "vocabulary": tokenizer.fingerprint}, plan)
    model.inspected()
    return model
