"""Decoders through transformers' causal classes: T5's strings, a separator between question and answer."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from random import Random
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from glue_harness.core.errors import UsageError
from glue_harness.core.plan import Plan
from glue_harness.core.settings import Setting
from glue_harness.core.task import Continuation, Example, Noise, Task
from glue_harness.models import decoder_bodies, decoder_weights, weight_files
from glue_harness.models.batch import IGNORED
from glue_harness.models.blocks import compile_blocks, lean_blocks
from glue_harness.models.causal_vocabulary import CausalVocabulary
from glue_harness.models.decoder_batch import Batch, Branches, branches, lay, seen_in_rows
from glue_harness.models.decoder_bodies import BODIES, blocks_of, states
from glue_harness.models.dropout import counted, replace_dropout
from glue_harness.models.families import Family
from glue_harness.models.interface import Answer, Choices, Encoded, Export, Loss, Other, Parts
from glue_harness.models.objectives import part_of, refuse_other_objectives, told
from glue_harness.models.packing import FINE, Grid
from glue_harness.models.shots import BETWEEN, Shots, load_shots, solved

FAMILY = Family(
    types=("gpt2", "opt", "llama", "qwen2", "qwen3"),
    shapes={
        "gpt:tiny": {"hidden_size": 128, "num_hidden_layers": 2, "num_attention_heads": 2, "positions": 1024},
        "gpt:small": {"hidden_size": 768, "num_hidden_layers": 12, "num_attention_heads": 12, "positions": 1024},
    },
    millions={"gpt:tiny": 1.6, "gpt:small": 92.1},
    learns_vocabulary=("gpt:tiny", "gpt:small"),
    objective="causal",
)
SETTINGS = (
    Setting("separator", str, "\nanswer:", "Between a decoder's question and its answer; a space follows.", fixed=True),
    Setting("candidates", str, "sum", "A choice's weight for a decoder: sum or mean of its tokens' log-probabilities.",
            choices=("sum", "mean"), fixed=True),
    Setting("shots", int, None, "Solved training examples before a decoder's question, with --steps 0; 0: the bare "
            "question.", "Model", least=0, optional=True, fixed=True),
)  # fmt: skip
KEPT = 16  # bytes of each value that a block makes: in fp32 and bf16, with masks and what the backward pass adds
LEAST = 8  # tokens of a question, with its separator
FREE = 4  # a part of all places is kept free for a free answer, at most


class Decoder:
    """Answers by going on with a text."""

    def __init__(self, module: nn.Module, vocabulary: CausalVocabulary, origin: dict[str, Any], plan: Plan) -> None:
        self.module, self.words, self.plan, self.name = module, vocabulary, plan, plan.model
        self.config, self.body = module.config, BODIES[module.config.model_type]
        self.origin = {**origin, "family": f"decoder ({self.config.model_type})", "vocabulary": vocabulary.fingerprint}
        decoder_bodies.check_config(self.config, self.name)
        self.vocabulary = max(vocabulary.size, vocabulary.end + 1)
        self.positions = self.config.max_position_embeddings
        self.separator = vocabulary.ids([plan.separator])[0]
        self.fingerprint = ["decoder", vocabulary.fingerprint, plan.separator]
        # a prompted model goes on after its answer: it ends where the next solved example would begin
        self.end = (vocabulary.behind(BETWEEN) or [vocabulary.end])[0] if plan.shots is not None else vocabulary.end
        self.shots = Shots({}, vocabulary, plan.separator)
        self.prompt_length = 0
        self._choices: dict[tuple[str, ...], list[list[int]]] = {}
        replace_dropout(module)
        decoder_weights.set_dropout(module, plan.dropout)
        decoder_bodies.use_packed(module)
        decoder_bodies.replace_gelu(module)

    @property
    def lengths(self) -> tuple[int, ...]:
        """Question and answer together, and an answer alone."""
        whole = min(self.plan.max_input, self.positions - self.prompt_length)
        return whole, min(self.plan.max_target, whole - LEAST)

    def show(self, examples: Mapping[str, Sequence[Example]]) -> None:
        self._take(Shots(solved(examples), self.words, self.plan.separator))
        self.origin["shots"] = {task: [example.id for example in own] for task, own in examples.items()}

    def recall(self, folder: Path) -> None:
        self._take(load_shots(folder, self.words, self.plan.separator))

    def _take(self, shots: Shots) -> None:
        self.shots = shots
        self.fingerprint = [*self.fingerprint, shots.fingerprint]

    def check(self, tasks: Sequence[Task]) -> None:
        refuse_other_objectives(self.name, tasks, Continuation, FAMILY.objective)
        if self.plan.shots is not None and not self.plan.never_learns:
            raise UsageError(f"shots is {self.plan.shots} but steps is {self.plan.steps}: use --steps 0")
        if self.lengths[0] < 2 * LEAST + len(self.separator):
            left = f"prompt_length {self.prompt_length} and max_input {self.plan.max_input} leave"
            raise UsageError(f"{left} {max(0, self.lengths[0])} of the {self.positions} positions of {self.name!r}")

    def as_read(self, task: Task) -> Task:
        return task

    def inspected(self) -> str:
        embedded = self.module.get_input_embeddings().num_embeddings
        if self.vocabulary > embedded:
            raise UsageError(
                f"model {self.name!r}: its vocabulary has {self.vocabulary:,} pieces, its embeddings {embedded:,}"
            )
        return f"{self.words.size:,} pieces, {self.config.model_type}, {self.positions:,} positions"

    def encode(self, task: Task, examples: Sequence[Example]) -> list[Encoded]:
        """The first stream is what the model reads in training: all but the answer's last token, its end."""
        if task.noise:
            return [Encoded((ids,)) for ids in self.words.ids([example.inputs for example in examples])]
        inputs = self.words.ids([example.inputs + self.plan.separator for example in examples])
        targets = self.words.answers(self.plan.separator, [example.target for example in examples])
        whole, longest = self.lengths
        found = []
        for example, text, target in zip(examples, inputs, targets, strict=True):
            kept = min(longest, self._longest(example))
            answer = [*target[: kept - 1], self.end]
            room = whole + 1 - kept - len(self.words.before)
            shots = self.shots.before(task.name, room - len(text))
            text, cut = self._fitting(text, room)
            ids = [*self.words.before, *shots, *text, *answer[:-1]]
            lost = cut + (0 if example.choices else max(0, len(target) + 1 - kept))
            found.append(Encoded((ids, answer), lost=lost))
        return found

    def _fitting(self, text: list[int], room: int) -> tuple[list[int], int]:
        """A question loses its end, never the separator; and how many tokens it lost."""
        over, behind = max(0, len(text) - room), len(self.separator)
        return (text[: max(0, len(text) - behind - over)] + text[-behind:] if over else text), over

    def _longest(self, example: Example) -> int:
        """Tokens of the longest answer that may be: never a function of the right one."""
        if example.choices:
            return max(map(len, self.option_tokens(example.choices)))
        return self.lengths[0] // FREE

    def option_tokens(self, choices: Sequence[str]) -> list[list[int]]:
        """Each choice with the end of an answer."""
        key = tuple(choices)
        if key not in self._choices:
            self._choices[key] = [[*ids, self.end] for ids in self.words.answers(self.plan.separator, choices)]
        return self._choices[key]

    def corrupt(self, text: Encoded, noise: Noise, random: Random, other: Other) -> Encoded:
        """Every token is an answer: the first to the vocabulary's own beginning, or to an end of text before it."""
        start = self.words.before or [self.words.end]
        part, ends = part_of(text.streams[0], self.lengths[0] - len(start), random)
        tokens = [*part, self.words.end] if ends else part
        return Encoded(([*start, *tokens[:-1]], tokens))

    def filler(self, length: int) -> Encoded:
        end = self.words.end
        return Encoded(([end] * length, [end]), prompt=self.prompt_length)

    @property
    def token_bytes(self) -> int:
        config = self.config
        wide = next((n for n in ("intermediate_size", "ffn_dim", "n_inner") if getattr(config, n, None)), None)
        inner = getattr(config, wide) if wide else 4 * config.hidden_size
        return KEPT * config.num_hidden_layers * (4 * config.hidden_size + inner)

    def lay(self, rows: Sequence[Sequence[Encoded]], device: torch.device, grid: Grid = FINE) -> Batch:
        return lay(rows, self.prompt_length, device, grid)

    def compile(self) -> None:
        compile_blocks(blocks_of(self.module, self.body))

    def loss(self, batch: Batch, lean: bool = False) -> Loss:
        """Cross-entropy of the answers' tokens; the head runs on these alone."""
        return self.graded(batch, lean)[0]

    def graded(self, batch: Batch, lean: bool = False) -> tuple[Loss, list[Choices]]:
        """Every token of an answer carries what is to be learned of the whole answer's choices."""
        options = batch.options
        with lean_blocks(blocks_of(self.module, self.body) if lean else []):
            logits = self._logits(batch)
            if options:
                with counted(options.in_rows):
                    scores = self._scores(options.branches)
        each = functional.cross_entropy(logits, batch.labels, ignore_index=IGNORED, reduction="none")
        loss = Loss(each.sum(), each.detach())
        if options is None:
            return loss, []
        terms = torch.arange(len(options.owners), device=each.device)
        return loss, [Choices(scores, options.soft, terms, options.owners)]

    def _logits(self, batch: Batch) -> Tensor:
        """Of each token of the answers."""
        found = states(self.module, batch.ids, seen_in_rows(batch.segments), batch.positions)
        logits = self.module.get_output_embeddings()(found[batch.places])
        return logits.to(torch.promote_types(logits.dtype, torch.float32))

    @torch.no_grad()
    def _told(self, batch: Batch) -> list[Answer]:
        logits = self._logits(batch)
        losses = functional.cross_entropy(logits, batch.labels, ignore_index=IGNORED, reduction="none")
        there = batch.labels != IGNORED
        return told(losses[there], (logits.argmax(-1) == batch.labels)[there], batch.terms)

    def answer(self, batch: Batch, task: Task, examples: Sequence[Example], strict: bool, length: int) -> list[Answer]:
        """`strict`: what greedy decoding writes, whatever the choices are."""
        if task.noise:
            return self._told(batch)
        if strict or not examples[0].choices:
            return [Answer(text, {}) for text in self.write(batch, length)]
        shares = self.shares(batch, task, examples)
        return [Answer(max(of, key=of.__getitem__), of) for of in shares]

    @torch.no_grad()
    def shares(self, batch: Batch, task: Task, examples: Sequence[Example]) -> list[dict[str, float]]:
        """softmax over an example's choices of the log-probability of each: its tokens' and its end's."""
        choices = [self.option_tokens(example.choices) for example in examples]
        rows = self._scores(branches(batch.questions, choices, batch.ids.device)).softmax(-1).tolist()
        return [
            dict(zip(example.choices, row[: len(example.choices)], strict=True))
            for example, row in zip(examples, rows, strict=True)
        ]

    def _scores(self, laid: Branches) -> Tensor:
        """[examples, most]: the log-probability of each choice, or its mean over tokens, as the plan's `candidates`."""
        found = states(self.module, laid.ids, laid.seen, laid.positions)
        logits = self.module.get_output_embeddings()(found[laid.places]).float()
        logs = -functional.cross_entropy(logits, laid.labels, reduction="none").double()
        sums = logs.new_zeros(laid.counts.numel()).index_add(0, laid.owners, logs).view_as(laid.counts)
        if self.plan.candidates == "mean":
            sums = sums / laid.counts.clamp(min=1)
        return sums.masked_fill(laid.counts == 0, float("-inf"))

    def write(self, batch: Batch, length: int) -> list[str]:
        questions = [question.tolist() for question in batch.questions]
        room = self.positions - max(map(len, questions))
        written = decoder_bodies.write(self.module, questions, self.end, min(length, room))
        return [self.words.text(ids, self.end) for ids in written]

    def parts(self) -> Parts:
        module, body = self.module, self.body
        blocks, output = blocks_of(module, body), module.get_output_embeddings()
        embeddings, final = module.get_input_embeddings(), module.get_submodule(body.final)
        inner = [part for block in blocks for part in block.modules() if is_norm(part)]
        return Parts(
            stacks=(blocks,),
            feed_forwards=[block.get_submodule(body.feed_forward) for block in blocks],
            attention=tuple(dict.fromkeys((body.query, body.value))),
            norms=[parameter for norm in (*inner, final) for parameter in reversed(list(norm.parameters()))],
            embeddings=embeddings,
            reader=module.base_model,
            above=(final, *(() if output.weight is embeddings.weight else (output,))),
            attentions=[block.get_submodule(body.attention) for block in blocks],
        )

    def save(self, folder: Path) -> None:
        weight_files.save(self.module, folder)
        self.save_vocabulary(folder)

    def save_vocabulary(self, folder: Path) -> None:
        self.config.save_pretrained(folder)
        self.words.save(folder)
        if self.plan.shots is not None:
            self.shots.save(folder)

    def check_part(self, folder: Path) -> None:
        """A decoder writes its answers: no head of a task could be another's."""

    def load_weights(self, folder: Path) -> None:
        weight_files.load(self.module, folder)

    def export(self, task: Task) -> Export:
        return decoder_weights.export(self.module, self.words, self.plan.separator, self.plan.max_answer)


def is_norm(part: nn.Module) -> bool:
    return "Norm" in type(part).__name__


def load(plan: Plan, source: Path | None, tasks: Sequence[Task], texts: Iterable[str]) -> Decoder:
    """From the weights in a folder, or, without one, from scratch with a vocabulary given or learned of the texts."""
    torch.manual_seed(plan.seed)
    if source is None:
        module, vocabulary = decoder_weights.from_scratch(plan, FAMILY.shapes[plan.model], texts)
        return Decoder(module, vocabulary, {"kind": "from scratch"}, plan)
    module, vocabulary = decoder_weights.read(source, plan.model)
    model = Decoder(module, vocabulary, {"kind": "pretrained"}, plan)
    model.inspected()
    return model


assert set(FAMILY.types) == set(BODIES)
