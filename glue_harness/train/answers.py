"""How a model answers: choices by branch-node greedy, verified if asked, free text by generation."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random
from typing import Any

from glue_harness.core.errors import GlueError
from glue_harness.core.plan import Plan
from glue_harness.core.task import Example, Prediction, Task
from glue_harness.models.interface import Answer, Encoded, Model
from glue_harness.models.packing import FINE, Grid
from glue_harness.train.device import Machine
from glue_harness.train.feed import another, by_length, with_prompt
from glue_harness.train.memory import is_out_of_memory

EVAL_TOKENS = {"cpu": 2048, "cuda": 16_384}  # of a batch
GRID = Grid(width=64)  # on a GPU: few shapes, and memory that is used again
BATCH_COST = {"cpu": 128, "cuda": 4096}  # tokens that a batch costs by itself, whatever is in it


def answer(
    model: Model,
    task: Task,
    examples: Sequence[Example],
    plan: Plan,
    machine: Machine,
    tokens: Sequence[Encoded] | None = None,
    told: Callable[[int], None] | None = None,
) -> list[Prediction]:
    """A prediction for every example, in order. `tokens` are the examples', where they are at hand.

    Several processes answer a batch each at a time. `told` hears after it how many examples they answered.
    """
    model.module.eval()
    encoded = model.encode(task, examples) if tokens is None else [tokens[k] for k in range(len(examples))]
    if task.noise:  # what is asked of a text that is held out is always the same
        random = [Random(f"{task.name}/{example.id}") for example in examples]
        encoded = [model.corrupt(e, task.noise, random[k], another(encoded, k)) for k, e in enumerate(encoded)]
    encoded = [with_prompt(e, model) for e in encoded]
    answers: dict[int, Answer] = {}
    ranks = machine.ranks
    with machine.autocast():  # around all batches: weights are cast once
        for closed in (True, False):  # a row without choices in a task of choices is answered freely
            rows = [k for k, example in enumerate(examples) if bool(example.choices) == closed]
            batches = batches_of([encoded[k] for k in rows], plan, machine)
            for turn in range(0, len(batches), ranks.size):  # a batch for each process, all of about one length
                for batch in batches[turn : turn + ranks.size][ranks.rank :][:1]:
                    members = [rows[k] for k in batch]
                    found = _answered(
                        model, task, [encoded[k] for k in members], [examples[k] for k in members], plan, machine
                    )
                    answers.update(zip(members, found, strict=True))
                if told:
                    told(sum(map(len, batches[turn : turn + ranks.size])))
    for others in ranks.gather(answers):
        answers |= others
    return [task.prediction(e, answers[k].text, answers[k].scores) for k, e in enumerate(examples)]


def batches_of(encoded: Sequence[Encoded], plan: Plan, machine: Machine) -> list[list[int]]:
    """Indices of examples that are answered together."""
    return by_length(encoded, token_budget(plan, machine), BATCH_COST[machine.device.type])


def token_budget(plan: Plan, machine: Machine) -> int:
    """Padded input tokens in a batch of answers."""
    return plan.eval_tokens or EVAL_TOKENS[machine.device.type]


def lay_singly(model: Model, encoded: Sequence[Encoded], machine: Machine) -> Any:
    """A batch with one example a row."""
    return model.lay([[e] for e in encoded], machine.device, GRID if machine.on_gpu else FINE)


def _answered(
    model: Model, task: Task, encoded: Sequence[Encoded], examples: Sequence[Example], plan: Plan, machine: Machine
) -> list[Answer]:
    """A batch's answers; where memory does not suffice, those of its halves."""
    try:
        return _answer_batch(model, task, encoded, examples, plan, machine)
    except RuntimeError as error:  # CUDA's OutOfMemoryError is one
        if not is_out_of_memory(error):
            raise
    if len(encoded) == 1:
        raise GlueError("one example does not fit into memory to be answered: use a smaller --model or --set max_input")
    middle = len(encoded) // 2
    halves = (slice(None, middle), slice(middle, None))
    return [a for half in halves for a in _answered(model, task, encoded[half], examples[half], plan, machine)]


def _answer_batch(
    model: Model, task: Task, encoded: Sequence[Encoded], examples: Sequence[Example], plan: Plan, machine: Machine
) -> list[Answer]:
    batch = lay_singly(model, encoded, machine)
    return model.answer(batch, task, examples, plan.answers == "strict", plan.max_answer)
