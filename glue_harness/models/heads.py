"""A head for each task, on top of an encoder's states: the one that transformers' own class of that kind has.

The class is made without its encoder; in the encoder's place stands `States`, which hands the class the states that it
is given. So pooling, activation and dropout are those of each architecture, and an exported model gives the same
numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from typing import Any, NamedTuple
from zlib import crc32

import torch
from torch import Tensor, nn
from transformers import (
    AutoModelForMaskedLM,
    AutoModelForMultipleChoice,
    AutoModelForQuestionAnswering,
    AutoModelForSequenceClassification,
    PreTrainedModel,
)
from transformers.modeling_outputs import BaseModelOutputWithPooling

from glue_harness.core.errors import UsageError
from glue_harness.core.task import Example, Masking, Task
from glue_harness.models.interface import Answer

TOLD = "mlm"  # the kind of head that tells hidden tokens
NEXT = "next_segment"  # the head beside it that tells whether the second segment follows the first
FOLLOWS = ("other", "next")  # its answers
CLASSES = {
    "label": AutoModelForSequenceClassification,
    "number": AutoModelForSequenceClassification,
    "choice": AutoModelForMultipleChoice,
    "span": AutoModelForQuestionAnswering,
    TOLD: AutoModelForMaskedLM,
}
DIGITS = 4  # behind the point of a number that a head answers: a batch's order changes later ones
MARKS = 2  # phrases that a question of the kind `marks` is about


class Facts(NamedTuple):
    """What is known of a head beside its weights: kept in the model's configuration."""

    kind: str
    choices: list[str]  # in the order of its numbers, where every example has the same
    serves: list[str]  # tasks that it answers beside its own

    @property
    def outputs(self) -> int:
        return {"number": 1, "choice": 1, "span": 2}.get(self.kind) or max(2, len(self.choices))


def facts_of(tasks: Sequence[Task]) -> dict[str, Facts]:
    """The heads that tasks need: one for each that no other task's head answers."""
    others = {scorer: task.name for task in tasks for scorer in task.scored_by if scorer != task.name}
    others |= {task.name: task.answered_by for task in tasks if task.answered_by}
    found = {
        task.name: Facts(
            task.view.head if task.view else TOLD,
            list(task.choices),
            sorted(name for name, head in others.items() if head == task.name),
        )
        for task in tasks
        if (task.view or isinstance(task.noise, Masking)) and task.name not in others
    }
    if any(isinstance(task.noise, Masking) and task.noise.pairs for task in tasks):
        found[NEXT] = Facts("label", list(FOLLOWS), [])
    return found


def check_choices(task: str, choices: Sequence[str], made: Facts, model: str) -> None:
    """A head's numbers mean the answers that its task had when it was made."""
    if made.kind in ("label", "marks") and made.choices != list(choices):
        raise UsageError(
            f"task {task!r} has the labels {', '.join(choices)}, but model {model!r} learned "
            f"{', '.join(made.choices)}: put the task's file back, or train again"
        )


class States(nn.Module):
    """Stands where a class of transformers has its encoder, and answers with what is given as `inputs_embeds`."""

    def __init__(self, encoder: nn.Module) -> None:
        super().__init__()
        for name in ("pooler", "pooler_activation"):  # where pooling is the encoder's own, as in BERT
            if isinstance(found := getattr(encoder, name, None), nn.Module):
                setattr(self, name, found)

    def forward(self, input_ids: None = None, inputs_embeds: Tensor | None = None, **_: Any) -> Any:
        assert inputs_embeds is not None, "states are given in place of embeddings"
        pooler = getattr(self, "pooler", None)
        pooled = None
        if isinstance(pooler, nn.Linear):  # ALBERT's
            pooled = self.pooler_activation(pooler(inputs_embeds[:, 0]))
        elif pooler is not None:
            pooled = pooler(inputs_embeds)
        return BaseModelOutputWithPooling(last_hidden_state=inputs_embeds, pooler_output=pooled)


class MarkHead(nn.Module):
    """The first token's state and the means of the marked words', side by side, to a score for each choice."""

    def __init__(self, size: int, outputs: int, dropout: float, spread: float) -> None:
        super().__init__()
        self.dropout = nn.Dropout(dropout)
        self.classifier = nn.Linear((1 + MARKS) * size, outputs)
        nn.init.normal_(self.classifier.weight, std=spread)
        nn.init.zeros_(self.classifier.bias)

    def forward(self, states: Tensor) -> Tensor:
        return self.classifier(self.dropout(states.flatten(1)))


def make_head(config: Any, kind: str, outputs: int, seed: str) -> nn.Module:
    """A head with fresh weights: a function of the seed alone, whatever else was made before."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(crc32(seed.encode()))
        if kind == "marks":
            dropout = getattr(config, "hidden_dropout_prob", 0.1)
            return MarkHead(config.hidden_size, outputs, dropout, getattr(config, "initializer_range", 0.02))
        return headless(class_of(config, kind, outputs))


def class_of(config: Any, kind: str, outputs: int, device: str = "meta") -> PreTrainedModel:
    """transformers' class of a kind, whole; on `meta` it costs neither time nor memory."""
    own = deepcopy(config)
    own.num_labels = outputs
    with torch.device(device):
        return CLASSES[kind].from_config(own)


def headless(made: PreTrainedModel) -> nn.Module:
    """The class with `States` for an encoder, its own weights made anew."""
    setattr(made, made.base_model_prefix, States(made.base_model))
    made.to_empty(device="cpu")
    with torch.no_grad():
        for part in made.modules():
            made._init_weights(part)
    return made


def scores(head: nn.Module, kind: str, states: Tensor) -> Tensor:
    """A row of numbers for each of the states [n, tokens, size]: of tokens their start and end, else of the first."""
    if kind == "marks":
        return head(states)
    if kind == TOLD:
        return head(inputs_embeds=states).logits[:, 0]
    if kind == "choice":
        one = states.new_ones(len(states), 1, 1)  # ModernBERT's pooling wants a mask here
        return head(inputs_embeds=states[:, None], attention_mask=one).logits
    if kind == "span":
        found = head(inputs_embeds=states)
        return torch.stack([found.start_logits, found.end_logits], dim=-1)
    return head(inputs_embeds=states).logits


def output_layer(head: nn.Module) -> tuple[str, nn.Linear]:
    """The last matrix, which gives as many numbers as there are answers."""
    return [(name, part) for name, part in head.named_modules() if isinstance(part, nn.Linear)][-1]


def take_over(head: nn.Module, weights: Mapping[str, Tensor], outputs: bool) -> str:
    """Weights of another head, as far as they fit: `whole` if the output layer's are among them, `part`, or none."""
    own = head.state_dict()
    last, _ = output_layer(head)
    fits = {n: w for n, w in weights.items() if n in own and own[n].shape == w.shape}
    whole = outputs and all(n in fits for n in own if n.startswith(f"{last}."))
    taken = {n: w for n, w in fits.items() if whole or not n.startswith(f"{last}.")}
    head.load_state_dict(taken, strict=False)
    return "whole" if whole else "part" if taken else ""


def take_best(
    head: nn.Module,
    task: str,
    facts: Facts,
    trained: Mapping[str, Facts],
    weights: Callable[[str], Mapping[str, Tensor]],
) -> str:
    """Weights of the head that was trained for this task, or else one like it; says which.

    Of a head of another kind its pooling fits, as MNLI's does for STS-B.
    """
    for name, other in sorted(trained.items(), key=lambda of: (of[0] != task, of[1].kind != facts.kind)):
        alike = other.kind == facts.kind and other.choices == facts.choices and (name == task or facts.choices)
        taken = take_over(head, weights(name), outputs=bool(alike))
        if taken:
            anew = ", its output layer made anew: the labels differ"
            return f"of {name}" + ("" if taken == "whole" else anew)
    return ""


def shares_of(task: Task, examples: Sequence[Example], logits: Tensor) -> list[dict[str, float]]:
    """The part that each of an example's choices has, from the row that a head gives it; a number has none."""
    assert task.view, "only what has a view is read by heads"
    if task.view.head == "number":
        return [{} for _ in examples]
    choices = [task.view.choices(example) for example in examples]
    rows = logits.double().softmax(-1).tolist()
    return [dict(zip(own, row[: len(own)], strict=True)) for own, row in zip(choices, rows, strict=True)]


def answers_of(task: Task, examples: Sequence[Example], logits: Tensor) -> list[Answer]:
    """The likeliest choice, or the number in print."""
    assert task.view, "only what has a view is read by heads"
    if task.view.head == "number":
        return [Answer(f"{value:.{DIGITS}f}", {}) for value in logits.float()[:, 0].tolist()]
    return [Answer(max(of, key=of.__getitem__), of) for of in shares_of(task, examples, logits)]
