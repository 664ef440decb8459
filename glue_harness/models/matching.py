"""An encoder held to another one's inner states, on the same packed rows: the ways of TinyBERT and of MiniLM.

tinybert: the mean over layers m = 0..M of |W h_m - H_g(m)|^2, with g(m) = m N / M of the teacher's N layers; layer 0
is what enters the first one and W is learned where the sizes differ; and the same, without W, of attention's scores
before the softmax (Jiao et al., 2020, equations 7 to 9).

minilm: KL(teacher || student) of softmax(Q K' / sqrt(d)), and of softmax(V V' / sqrt(d)), in the last layer (Wang et
al., 2020, equations 6 to 9). Where the heads differ in number, both models' are cut anew into as many as divide both,
as MiniLMv2 does it.

All of it is a mean over the tokens of each example, so that it does not depend on what stands beside it in a row.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from glue_harness.core.errors import GlueError, UsageError
from glue_harness.models.interface import BESIDE

KEYS = {"query": "key", "q_lin": "k_lin", "q": "k", "query_proj": "key_proj"}  # by the name of the queries' matrix


class Inside:
    """What goes through an encoder's layers while somebody listens, in the order of the layers."""

    def __init__(self, model: Any) -> None:
        parts, names = model.parts(), model.body
        self.listens = False
        self.states: list[Tensor] = []  # what enters the first layer, then what each gives
        self.queries: list[Tensor] = []
        self.keys: list[Tensor] = []
        self.values: list[Tensor] = []
        self.heads = model.config.num_attention_heads
        for block in parts.stacks[0]:
            block.register_forward_hook(self._through_block, with_kwargs=True)
            found = {name.rpartition(".")[2]: part for name, part in block.named_modules()}
            for name, kept in ((names.query, self.queries), (KEYS[names.query], self.keys), (names.value, self.values)):
                found[name].register_forward_hook(self._keeping(kept))

    @contextmanager
    def heard(self, lean: bool = False) -> Iterator[None]:
        if lean:  # what is computed twice has no states to keep
            raise GlueError("matching states does not fit into memory: use --set micro_batch=N, or leave out --match")
        for kept in (self.states, self.queries, self.keys, self.values):
            kept.clear()
        self.listens = True
        try:
            yield
        finally:
            self.listens = False

    @torch.compiler.disable  # a graph of a block would hold the lists as they were when it was made
    def _through_block(self, block: nn.Module, given: tuple[Any, ...], named: dict[str, Any], output: Any) -> None:
        if self.listens:
            if not self.states:
                self.states.append(given[0] if given else named["hidden_states"])
            self.states.append(output[0] if isinstance(output, tuple) else output)

    def _keeping(self, kept: list[Tensor]) -> Any:
        @torch.compiler.disable
        def keep(part: nn.Module, given: tuple[Any, ...], output: Tensor) -> None:
            if self.listens:
                kept.append(output)

        return keep


class Matching:
    """Of a student with its teacher, both encoders that read the same tokens."""

    def __init__(self, student: Any, teacher: Any, kind: str) -> None:
        self.kind, self.teacher = kind, teacher
        self.own, self.others = Inside(student), Inside(teacher)
        sizes = student.config.hidden_size, teacher.config.hidden_size
        self.layers = student.parts().passes, teacher.parts().passes
        beside = nn.ModuleList()
        if kind == "tinybert" and sizes[0] != sizes[1]:
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(student.plan.seed)
                beside.extend(nn.Linear(*sizes, bias=False) for _ in range(self.layers[0] + 1))
            setattr(student.module, BESIDE, beside)
        self.beside = beside

    def losses(self, batch: Any) -> Tensor:
        """Of each example of a batch that the student has just read."""
        with torch.no_grad(), self.others.heard():
            self.teacher._states(batch)
        each = self._like_tinybert(batch) if self.kind == "tinybert" else self._like_minilm(batch)
        there = (batch.examples >= 0).flatten().to(each.dtype)
        owners, none = batch.examples.clamp(min=0).flatten(), each.new_zeros(batch.size)  # no more examples than terms
        sums = none.index_add(0, owners, each.flatten() * there)
        return sums / none.index_add(0, owners, there).clamp(min=1)

    def _like_tinybert(self, batch: Any) -> Tensor:
        """[rows, width]: of each token."""
        own, other = self.layers
        found = []
        for layer in range(own + 1):
            mine, theirs = self.own.states[layer], self.others.states[uniform(layer, own, other)]
            mine = self.beside[layer](mine) if len(self.beside) else mine
            found.append((mine.float() - theirs.float()).square().mean(-1))
        seen = same(batch.segments)
        for layer in range(own):
            at = uniform(layer + 1, own, other) - 1
            mine = scores(self.own.queries[layer], self.own.keys[layer], self.own.heads)
            theirs = scores(self.others.queries[at], self.others.keys[at], self.others.heads)
            if self.own.heads != self.others.heads:
                mine, theirs = mine.mean(1, keepdim=True), theirs.mean(1, keepdim=True)
            apart = (mine - theirs).square().mean(1) * seen
            found.append(apart.sum(-1) / seen.sum(-1).clamp(min=1))
        return torch.stack(found).sum(0) / (2 * own + 1)

    def _like_minilm(self, batch: Any) -> Tensor:
        heads = math.gcd(self.own.heads, self.others.heads)
        unseen = ~same(batch.segments)[:, None]

        def logs(left: Tensor, right: Tensor) -> Tensor:
            return scores(left, right, heads).masked_fill(unseen, -1e4).log_softmax(-1)

        own, others = self.own, self.others
        total = torch.zeros_like(batch.segments, dtype=torch.float32)
        for mine, theirs in (
            ((own.queries[-1], own.keys[-1]), (others.queries[-1], others.keys[-1])),
            ((own.values[-1], own.values[-1]), (others.values[-1], others.values[-1])),
        ):
            apart = functional.kl_div(logs(*mine), logs(*theirs), reduction="none", log_target=True)
            total = total + apart.sum(-1).mean(1)
        return total


def uniform(layer: int, own: int, other: int) -> int:
    """TinyBERT's g(m): which of the teacher's layers a student's is held to."""
    return round(layer * other / own)


def same(segments: Tensor) -> Tensor:
    """[rows, query, key]: whether two tokens are of one sequence."""
    return (segments[:, :, None] == segments[:, None, :]) & (segments > 0)[:, None, :]


def scores(left: Tensor, right: Tensor, heads: int) -> Tensor:
    """[rows, heads, width, width] of states [rows, width, size]."""
    left, right = (part.float().unflatten(-1, (heads, -1)).transpose(1, 2) for part in (left, right))
    return left @ right.transpose(2, 3) / math.sqrt(left.shape[-1])


def match(student: Any, kind: str) -> None:
    """Holds a student to the teacher beside it; refuses two that do not read the same tokens in the same way."""
    teacher = student.teacher
    for role, model in (("student", student), ("teacher", teacher)):
        if not hasattr(model, "matching"):
            raise UsageError(f"match holds the states of two encoders together, and the {role} is none: leave it out")
        if model.body.query not in KEYS:
            what = f"match reads queries, keys and values apart, and the {role}'s are one matrix"
            raise UsageError(f"{what}: leave it out")
    if student.tokenizer.fingerprint != teacher.tokenizer.fingerprint:
        raise UsageError("match needs one vocabulary, and student and teacher have two: leave it out")
    if teacher.positions is not None and teacher.positions < student.lengths[0]:
        what = f"the teacher has {teacher.positions} positions, the student reads {student.lengths[0]}"
        raise UsageError(f"match: {what}: use --set max_input={teacher.positions}")
    student.matching = Matching(student, teacher, kind)
