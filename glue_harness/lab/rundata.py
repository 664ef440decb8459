"""What a run trains on and what it is asked: rows, and examples in tokens."""

from __future__ import annotations

from collections.abc import Collection, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from glue_harness import data
from glue_harness.core.errors import DataError, UsageError
from glue_harness.core.plan import Plan
from glue_harness.core.record import Clean, Score, Selection
from glue_harness.core.task import Example, Prediction, Row, Task
from glue_harness.data import Rows, subsets
from glue_harness.data.rows import examples_of, fingerprint
from glue_harness.data.subsets import TrainPart
from glue_harness.data.texts import Overlap, found_among, overlap, row_texts
from glue_harness.lab.request import Request, rates
from glue_harness.models.interface import Model
from glue_harness.runs.evidence import score
from glue_harness.train.lessons import Taught
from glue_harness.train.tokens import Lengths, Subset, Tokens, tokens_of


class Questions(NamedTuple):
    """Examples to answer, and their tokens."""

    examples: list[Example]
    tokens: Tokens | Subset


@dataclass(frozen=True)
class RunRows:
    """The rows of every task, and which of its train split are used."""

    by_role: dict[str, dict[str, Rows]]  # task -> role -> rows
    trained: list[Task]
    parts: dict[str, TrainPart]
    overlaps: dict[
        str, Overlap
    ]  # scoring task -> its validation rows that share a text with rows trained on; no demo's
    notes: list[str]  # what is not as the plan asked

    def read_by(self, model: Model) -> RunRows:
        """Without the companions that the model cannot read, which nobody asked for by name."""
        left = [task for task in self.trained if task.part == "companion" and model.as_read(task) is None]
        notes = [f"{task.name} is left out of the training mix: this model cannot read it" for task in left]
        return replace(self, trained=[task for task in self.trained if task not in left], notes=[*self.notes, *notes])

    def train(self, name: str) -> Rows:
        return self.by_role[name]["train"]

    def texts(self) -> Iterator[str]:
        """What a vocabulary is learned from: all that is trained on, one text at a time."""
        for task in self.trained:
            for example in examples_of(task, at(self.train(task.name), self.parts[task.name].trained)):
                yield from (example.inputs, example.target)

    def with_clean(self, task: Task, scored: Score, predictions: Sequence[Prediction]) -> Score:
        """The score, and beside it the one without the rows that share a text with rows trained on."""
        found = self.overlaps.get(task.name)
        if found is None:
            return scored
        without = self.shared(task, predictions)
        left = [p for p in predictions if p.example.id not in without]
        metrics: dict[str, float | None] = {}
        if found.shared:
            metrics = dict.fromkeys(task.keys)
            if left:
                metrics = score(task, left, scored.step, [metric.tally(left) for metric in task.metrics]).metrics
        shared = len(found.shared)
        clean: Clean = {"rows": found.rows, "shared": shared, "whole": found.whole, "n": len(left), "metrics": metrics}
        return replace(scored, clean=clean)

    def shared(self, task: Task, predictions: Iterable[Prediction]) -> set[str]:
        """The ids of the examples of rows that share a text with rows trained on."""
        found = self.overlaps.get(task.name)
        return {p.example.id for p in predictions if row_number(p.example.id) in found.shared} if found else set()


@dataclass(frozen=True)
class RunData:
    """The examples of a run in tokens."""

    rows: RunRows
    training: Mapping[str, Tokens | Subset | Taught]
    scoring: dict[str, Questions]  # task -> its validation split
    choosing: dict[str, tuple[Task, ...]]  # group of tasks -> the tasks whose scores choose its best step
    asked: dict[str, Questions]  # one of those -> what it is asked while training
    rates: dict[str, float]  # task -> how often it is drawn, relative to the others

    @property
    def sizes(self) -> dict[str, int]:
        """How many examples each task trains on."""
        return {name: len(examples) for name, examples in self.training.items()}

    @property
    def choosers(self) -> list[Task]:
        """Every task once whose score chooses a step."""
        return list({task.name: task for tasks in self.choosing.values() for task in tasks}.values())

    @property
    def lengths(self) -> dict[tuple[str, str], Lengths]:
        """How long the examples of each task and role are, and what of them was cut off."""
        found = {(name, "train"): tokens.lengths() for name, tokens in self.training.items()}
        return found | {(name, "validation"): asked.tokens.lengths() for name, asked in self.scoring.items()}

    def selected_on(self, plan: Plan) -> dict[str, Selection]:
        """Which rows choose the steps, and how many examples they make."""
        return {
            task.name: {
                "split": "train, held out" if plan.select == "heldout" else task.splits["validation"],
                "examples": len(self.asked[task.name].examples),
            }
            for task in self.choosers
        }


def read_rows(request: Request) -> RunRows:
    """The rows of every task and what was left out; one error for all that are missing.

    A companion, which a suite trains on but does not average, may be missing: the official download lacks DPR.
    """
    plan = request.plan
    wanted = [(task, "train") for task in request.trained] + [(task, "validation") for task in request.scored]
    found: dict[str, dict[str, Rows]] = {}
    failed: dict[str, DataError] = {}
    notes = []
    for task, role in wanted:
        try:
            if plan.text is not None and task.noise:
                read = data.load_text(task, role, plan.text)
            else:
                read = data.load(task, role, plan.data, revision=plan.revision)
            found.setdefault(task.name, {})[role] = read
        except DataError as error:
            if task.part == "companion" and task.name not in plan.tasks:
                notes.append(f"{task.name} is left out of the training mix: {error}")
            else:
                failed.setdefault(task.name, error)
    if len(failed) > 1:
        first = next(iter(failed.values()))
        raise DataError(f"no usable data for {len(failed)} tasks ({', '.join(failed)}); the first: {first}")
    for failure in failed.values():
        raise failure
    trained = [task for task in request.trained if task.name in found]
    train = {task.name: (task, found[task.name]["train"]) for task in trained}
    parts = subsets.parts(plan, train, request.groups)
    notes += subsets.described(plan, parts, {name: len(rows) for name, (_, rows) in train.items()})
    # a demo's texts are made of so few words that they meet by design
    overlaps = {} if plan.is_demo else overlaps_with_trained(request.scored, trained, found, parts)
    return RunRows(found, trained, parts, overlaps, notes)


def overlaps_with_trained(
    scored: Sequence[Task], trained: Sequence[Task], rows: dict[str, dict[str, Rows]], parts: dict[str, TrainPart]
) -> dict[str, Overlap]:
    """Which validation rows have a text of a row that this run trains on, for whatever task.

    Train streams by once: in memory are 64-bit digests of the validation rows.
    """
    texts = {task.name: [row_texts(task, row) for row in rows[task.name]["validation"]] for task in scored}
    wanted = {digest for of_task in texts.values() for row in of_task for digest in row.all}
    found: set[int] = set()
    for task in trained:
        found |= found_among(wanted, task, at(rows[task.name]["train"], parts[task.name].trained))
    return {name: overlap(of_task, found) for name, of_task in texts.items()}


def encode_rows(rows: RunRows, request: Request, model: Model) -> RunData:
    """All rows as the model reads them. A split's tokens are made once, whatever part of it is used."""
    plan = request.plan
    if model.lengths[0] < plan.max_input:
        has = f"model {plan.model!r} has no more positions"
        rows.notes.append(f"inputs are cut at {model.lengths[0]} tokens, not at max_input {plan.max_input}: {has}")
    training = {task.name: trained_tokens(task, rows, model) for task in rows.trained}
    scoring = {
        task.name: questions(task, rows.by_role[task.name]["validation"], model, rows) for task in request.scored
    }
    choosing, asked = request.groups, scoring
    if plan.select == "heldout":
        asked = {}
        choosing = dict.fromkeys(request.groups, ())
        for name, group in request.groups.items():
            if name in rows.parts:  # rows of train, read as the scorers of the group read theirs
                task = replace(group[0], name=name)
                kept = list(at(rows.train(name), rows.parts[name].held_out))
                origin = f"{rows.train(name).origin}, held out"
                held = replace(rows.train(name), rows=kept, origin=origin, fingerprint=fingerprint(task, kept))
                choosing[name], asked[name] = (task,), questions(task, held, model, rows)
    if plan.eval_limit:
        by_name = {task.name: task for task in (*rows.trained, *request.scored)}
        asked = {name: some_of(by_name[name], questions, plan.eval_limit) for name, questions in asked.items()}
    sizes = {name: len(examples) for name, examples in training.items()}
    for name, size in sizes.items():
        if not size:
            raise DataError(f"{name}: no training example is left after T5's preprocessing")
    for name, questioned in scoring.items():
        if not questioned.examples:
            origin = rows.by_role[name]["validation"].origin
            raise DataError(f"{name}: no example to score is left of {origin} after T5's preprocessing")
    if plan.batch_size > (total := sum(sizes.values())) and not plan.batch_tokens:
        raise UsageError(f"batch_size {plan.batch_size} is larger than the data ({total} examples): use --batch-size")
    return RunData(rows, training, scoring, choosing, asked, rates(plan, request.registry, sizes))


def cut_off(found: Lengths) -> str:
    """How much of the examples was left out because they are too long."""
    return (
        f"{found.share:.1%} of {found.examples:,} examples are cut off at max_input or max_target, "
        f"{found.share_lost:.1%} of their tokens are lost"
    )


def trained_tokens(task: Task, rows: RunRows, model: Model) -> Tokens | Subset:
    tokens = tokens_of(model.as_read(task) or task, rows.train(task.name), model, rows.notes)
    wanted = set(rows.parts[task.name].trained)
    if len(wanted) == len(rows.train(task.name)):
        return tokens
    numbers = (n for n in range(len(tokens)) if row_number(tokens.id(n)) in wanted)
    return Subset(tokens, np.fromiter(numbers, np.int64))


def questions(task: Task, rows: Rows, model: Model, run_rows: RunRows) -> Questions:
    examples = list(examples_of(task, rows))
    return Questions(examples, tokens_of(task, rows, model, run_rows.notes, examples))


def some_of(task: Task, asked: Questions, limit: int) -> Questions:
    """So many of the examples, by a digest of their texts: the same under every seed, and a smaller limit's are among
    a larger one's. What is scored together, as the answers to one question of MultiRC, is asked together.
    """
    turns = [row_texts(task, example.fields).question for example in asked.examples]
    of_group: dict[Hashable, int] = {}
    for example, turn in zip(asked.examples, turns, strict=True):
        if example.group is not None:
            of_group[example.group] = min(turn, of_group.get(example.group, turn))
    order = sorted(range(len(turns)), key=lambda k: (of_group.get(asked.examples[k].group, turns[k]), k))
    kept = sorted(order[:limit])
    assert isinstance(asked.tokens, Tokens), "all of a split's questions, not some of them already"
    return Questions([asked.examples[k] for k in kept], Subset(asked.tokens, kept))


def row_number(id: str) -> int:
    """An example's id begins with the number of the row that it was made of."""
    return int(id.partition(".")[0])


def at(rows: Rows, places: Collection[int]) -> Iterable[Row]:
    """The rows at some places, in their order; of all rows, the rows themselves."""
    if len(places) == len(rows):
        return rows
    wanted: set[int] | Sequence[int] = set(places)
    return (row for number, row in enumerate(rows) if number in wanted)
