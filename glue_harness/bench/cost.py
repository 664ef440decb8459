"""What the models of runs cost: bytes on disk, parameters, and the time of an answer, all of them in one process.

Times are those of the model alone, from tokens to answers: tokenising is the same work for all. They are taken as
`glue bench` takes them: all warm up, then they take turns, and who begins changes from round to round.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import torch

from glue_harness import data
from glue_harness.bench.measure import Contestant, measure, now
from glue_harness.core.cost import Cost
from glue_harness.core.errors import UsageError
from glue_harness.core.record import Record
from glue_harness.core.task import Example, Task
from glue_harness.data.rows import examples_of
from glue_harness.lab.predict import Trained, load
from glue_harness.metrics.selection import answering_step
from glue_harness.models.families import is_from_scratch, model_folder
from glue_harness.models.interface import Encoded, count_parameters
from glue_harness.runs.origin import weights_at
from glue_harness.runs.store import Store
from glue_harness.suite.registry import Registry
from glue_harness.train.answers import answer

SINGLES = 64  # examples that are asked one at a time


def costs(
    records: Sequence[Record], task: Task, store: Store, registry: Registry, examples: int, rounds: int
) -> list[Cost]:
    """Of each run's model at the step that answers the task best, on validation rows of the first run's data."""
    steps = [answering_step(registry, record.scores, task) for record in records]
    if None in steps:
        raise UsageError(f"run {records[steps.index(None)].id} has no score of {task.name}: name another --task")
    chosen = list(zip(records, [step or 0 for step in steps], strict=True))
    sizes = [bytes_of(record, step, store) for record, step in chosen]  # weights that are gone are found out first
    models = [load(record, store.run_folder(record.id), step, registry) for record, step in chosen]
    plan = models[0].plan
    rows = data.load(task, "validation", plan.data, revision=plan.revision)
    asked = spread_over(list(examples_of(task, rows)), examples)
    tokens = [one.model.encode(task, asked) for one in models]
    every = [list(range(len(asked)))]
    single = [[k] for k in spread_over(every[0], SINGLES)]
    in_batches, alone = (
        timed(records, [partial(ask, one, task, asked, own, turns) for one, own in zip(models, tokens, strict=True)],
              models[0], tokens[0], rounds)
        for turns in (every, single)
    )  # fmt: skip
    found = []
    for record, one, size in zip(records, models, sizes, strict=True):
        weights = list(one.model.module.parameters())
        each = {
            "milliseconds": [1000 * seconds / len(single) for seconds in alone[record.id]],
            "examples_per_second": [len(asked) / seconds for seconds in in_batches[record.id]],
        }
        found.append(
            Cost(
                run=record.id,
                task=task.name,
                bytes=size,
                parameters=count_parameters(weights),
                nonzero=sum(int(torch.count_nonzero(weight)) for weight in weights),
                milliseconds=median(each["milliseconds"]),
                examples_per_second=median(each["examples_per_second"]),
                rounds=each,
                examples=len(asked),
                singles=len(single),
                beside=[other.id for other in records if other.id != record.id],
                precision=one.machine.precision,
                machine=machine_of(one),
                measured=datetime.now(UTC).isoformat(timespec="seconds"),
            )
        )
    return found


def ask(
    one: Trained, task: Task, examples: Sequence[Example], tokens: Sequence[Encoded], turns: list[list[int]]
) -> float:
    """Seconds for all answers, those of one turn asked together."""
    began = now(one.machine.device)
    for turn in turns:
        answer(one.model, task, [examples[k] for k in turn], one.plan, one.machine, [tokens[k] for k in turn])
    return now(one.machine.device) - began


def timed(
    records: Sequence[Record], runs: Sequence[Any], first: Trained, tokens: Sequence[Encoded], rounds: int
) -> dict[str, list[float]]:
    """The seconds of each round."""
    contestants = [Contestant(record.id, "", 1, run) for record, run in zip(records, runs, strict=True)]
    sides = measure(contestants, rounds, first.machine, tokens)["sides"]
    return {name: side["all_seconds"] for name, side in sides.items()}


def bytes_of(record: Record, step: int, store: Store) -> int:
    """Of the files of weights; of a run that trained a part, with those of the model that it is a part of."""
    origin = weights_at(record, step, store)
    folders = [part.folder for part in origin.parts]
    if not is_from_scratch(origin.source):  # else its other weights are drawn from a seed
        folders.append(model_folder(origin.source))
    return sum(file.stat().st_size for folder in folders for file in folder.glob("*.safetensors"))


def spread_over(all_of_them: Sequence[Any], most: int) -> list[Any]:
    """So many, evenly from the first to the last: the same each time."""
    count = min(most, len(all_of_them))
    return [all_of_them[k * len(all_of_them) // count] for k in range(count)]


def machine_of(one: Trained) -> dict[str, Any]:
    device = one.machine.describe()["device"]
    return {
        "device": device,
        "processor": processor() if device == "CPU" else device,
        "threads": torch.get_num_threads(),
        "torch": str(torch.__version__),
    }


def processor() -> str:
    """As the system calls it; empty where it does not say."""
    try:
        found = re.search(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(encoding="utf-8"), re.M)
    except OSError:
        return ""
    return found[1].strip() if found else ""
