"""Answers to label tasks: ours against transformers' `generate`, padded, and in batches sorted by length."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch

from glue_harness.bench.contest import Side, Stopwatch
from glue_harness.bench.features import Collator, features_of
from glue_harness.core.errors import UsageError
from glue_harness.core.task import Example, Prediction, Task
from glue_harness.lab.assemble import Setup
from glue_harness.models.tokenizer import EOS, PAD
from glue_harness.train.answers import answer, batches_of, token_budget

Questions = Mapping[str, Sequence[Example]]  # task -> what it asks
Work = Callable[[Task, Sequence[Example]], list[Prediction]]


def questions(setup: Setup, count: int) -> Questions:
    """About `count` validation examples with a closed set of answers, as many of each task."""
    closed = {name: [e for e in asked.examples if e.choices] for name, asked in setup.scoring.items()}
    closed = {name: examples for name, examples in closed.items() if examples}
    if not closed:
        raise UsageError("glue bench measures answers to label tasks: name one that is scored, for example --task mnli")
    return {name: examples[: max(1, count // len(closed))] for name, examples in closed.items()}


def answering_sides(setup: Setup, asked: Questions) -> list[Side]:
    """Ours first. All tokenise, answer and decode the same examples, task by task, with the same weights."""
    plan = setup.plan
    budget, width = token_budget(plan, setup.machine), plan.max_input
    size = max(1, budget // width)
    encoded = [setup.model.encode(examples) for examples in asked.values()]
    longest = sum(len(b) * max(e[k].length for k in b) for e in encoded for b in batches_of(e, plan, setup.machine))

    def ours(task: Task, examples: Sequence[Example]) -> list[Prediction]:
        return answer(setup.model, task, examples, plan, setup.machine)

    def padded(task: Task, examples: Sequence[Example]) -> list[Prediction]:
        return generated(setup, task, examples, lambda encoded: slices(len(encoded), size), Collator(width=width))

    def in_order_of_length(task: Task, examples: Sequence[Example]) -> list[Prediction]:
        return generated(setup, task, examples, lambda encoded: batches_of(encoded, plan, setup.machine), Collator())

    ends = "told to stop at the longest label"
    return [
        Side("glue", "glue run's own answers", longest, timed(setup, asked, ours)),
        Side(
            "padded",
            f"generate, every input padded to {width}, {size} at a time, {ends}",
            width * sum(map(len, encoded)),
            timed(setup, asked, padded),
        ),
        Side(
            "sorted",
            f"generate in our batches, sorted by length, padded to the longest, {ends}",
            longest,
            timed(setup, asked, in_order_of_length),
        ),
    ]


def timed(setup: Setup, asked: Questions, work: Work) -> Callable[[], float]:
    tasks = [task for task in setup.chosen.scored if task.name in asked]

    def run() -> float:
        with Stopwatch(setup.machine.device) as watch:
            for task in tasks:
                work(task, asked[task.name])
        return watch.seconds

    return run


@torch.no_grad()
def generated(
    setup: Setup,
    task: Task,
    examples: Sequence[Example],
    batches: Callable[[Sequence[Any]], Sequence[Sequence[int]]],
    collator: Collator,
) -> list[Prediction]:
    """Greedy decoding, ended after the longest label: untrained weights would go on where trained ones stop."""
    from transformers import GenerationConfig

    model, device = setup.model, setup.machine.device
    model.module.eval()
    features = features_of(model.encode(examples))
    labels = {choice for example in examples for choice in example.choices}
    config = GenerationConfig(
        max_new_tokens=1 + max(map(len, model.tokenizer.encode(sorted(labels)))),
        do_sample=False,
        decoder_start_token_id=model.module.config.decoder_start_token_id,
        eos_token_id=EOS,
        pad_token_id=PAD,
    )
    texts: dict[int, str] = {}
    for rows in batches(model.encode(examples)):
        batch = {name: tensor.to(device) for name, tensor in collator([features[k] for k in rows]).items()}
        with setup.machine.autocast():
            ids = model.module.generate(
                batch["input_ids"], attention_mask=batch["attention_mask"], generation_config=config
            )
        texts.update(zip(rows, (model.tokenizer.decode(row[1:]) for row in ids.tolist()), strict=True))
    return [task.prediction(example, texts[k]) for k, example in enumerate(examples)]


def slices(count: int, size: int) -> list[range]:
    return [range(k, min(k + size, count)) for k in range(0, count, size)]
