"""A plan's teacher put to use: its model, and what it makes of the training examples."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import IO

from glue_harness import __version__
from glue_harness.core import cache
from glue_harness.core.errors import UsageError
from glue_harness.core.plan import Plan
from glue_harness.core.task import Example, Task
from glue_harness.data.rows import CANONICAL, examples_of
from glue_harness.lab.predict import Trained
from glue_harness.lab.request import Request
from glue_harness.lab.rundata import RunData, row_number
from glue_harness.lab.teacher import Teacher
from glue_harness.models.families import millions_of
from glue_harness.models.interface import Model, count_parameters, own_parameters
from glue_harness.train import checkpoints, device
from glue_harness.train.lessons import Shares, Taught, write
from glue_harness.train.tokens import CHUNK

VERSION = 1  # of the shares that are kept: raised when the same teacher would give others


class School:
    """The teacher of a run. Its model is loaded when it is asked for the first time: what is kept needs none."""

    def __init__(self, request: Request, teacher: Teacher, told: Callable[[str, int], None] | None = None) -> None:
        """`told` hears of which task so many examples are about to be read: that may take a while."""
        self.request, self.teacher, self.told = request, teacher, told
        plan, own = request.plan, teacher.plan
        if own is None:  # a folder says nothing of how it was asked
            own = Plan(plan.tasks, model=teacher.origin.source, max_input=plan.max_input, precision=plan.precision)
        else:
            own = own.replace(precision=teacher.precision)
        self.plan = own.replace(device=plan.device)
        with self._by_name():
            self.evidence = teacher.to_record()
        self._trained: Trained | None = None

    @property
    def labelled(self) -> list[Task]:
        """What is trained on that a teacher answers."""
        return [task for task in self.request.trained if not task.noise]

    @property
    def trained(self) -> Trained:
        if self._trained is None:
            self._trained = self._load()
        return self._trained

    def _load(self) -> Trained:
        origin, known = self.teacher.origin, self.request.registry.tasks
        with self._by_name():
            tasks = [known[name] for name in self.teacher.tasks if name in known] if origin.parts else []
            model = checkpoints.build(origin, self.plan, tasks)
            if self.labelled and not hasattr(model, "option_tokens") and not model.parts().heads:  # none of our folders
                model = checkpoints.build(origin, self.plan, self.labelled)
                self._refuse_fresh_heads(model)
        machine = device.set_up(self.plan)
        model.module.to(machine.device)
        return Trained(self.plan, model, machine)

    @contextmanager
    def _by_name(self) -> Iterator[None]:
        """What is wrong with the teacher is said of it, not of the student."""
        try:
            yield
        except UsageError as error:
            raise UsageError(f"teacher {self.teacher.name!r}: {error}") from None

    def _refuse_fresh_heads(self, model: Model) -> None:
        taken = model.origin.get("heads", {})
        for task in self.labelled:
            said = taken.get(task.name, "")
            if not said or "anew" in said:
                reason = f" ({said})" if said else ""
                raise UsageError(f"it has no head that has learned {task.name}{reason}: fine-tune it first, glue run")

    def sit_beside(self, model: Model) -> None:
        """Where inner states are matched, the student's method finds the teacher there."""
        if self.request.plan.match != "none":
            model.teacher = self.trained.model  # type: ignore[attr-defined]

    def teach(self, data: RunData, model: Model) -> RunData:
        """The data with what the teacher makes of each training example beside its tokens."""
        if self.request.plan.match == "none" and len(self.labelled) < len(self.request.trained):
            raise UsageError("text alone has no answers to learn from a teacher: hold its states, --match minilm")
        read = [model.as_read(task) or task for task in data.rows.trained if not task.noise]
        return replace(data, training={**data.training, **{t.name: self._taught(t, data, model) for t in read}})

    def _taught(self, task: Task, data: RunData, model: Model) -> Taught:
        def examples() -> Iterator[Example]:
            """Those that are trained on, in the order of the tokens."""
            wanted = set(data.rows.parts[task.name].trained)
            every = examples_of(task, data.rows.train(task.name))
            return (example for example in every if row_number(example.id) in wanted)

        digest, choices = hashlib.sha256(), []
        for example in examples():
            check_choices(task, example)
            digest.update(CANONICAL.encode([example.inputs, example.choices, example.fields]).encode())
            choices += [] if task.choices else [example.choices]

        def make(file: IO[bytes]) -> None:
            if self.told:
                self.told(task.name, len(tokens))
            write(file, (self.answers(task, chunk) for chunk in chunks(examples())))

        tokens = data.training[task.name]
        kept = cache.kept(self._key(task, digest.hexdigest()), make, data.rows.notes, what="teacher's shares")
        assert not isinstance(tokens, Taught), "taught once"
        return Taught(tokens, Shares(kept), task, model, choices)

    def _key(self, task: Task, examples: str) -> str:
        own = self.plan
        how = {name: getattr(own, name) for name in ("max_input", "max_target", "precision")} | dict(own.own)
        code = hashlib.sha256(Path(task.file).read_bytes()).hexdigest() if task.file else None
        facts = {"teacher": self.evidence["fingerprint"], "task": task.name, "code": code, "examples": examples}
        return cache.key_of({**facts, "how": how, "version": [VERSION, __version__]})

    def answers(self, task: Task, examples: Sequence[Example]) -> Sequence[Sequence[float]]:
        """The shares of each example's choices; the number, where a head answers one."""
        trained = self.trained
        with self._by_name():
            if task.kind == "regress" and not hasattr(trained.model, "option_tokens"):
                return [[float(found.text)] for found in trained.answers(task, examples)]
            shares = trained.shares(task, examples)
        return [[own[choice] for choice in e.choices] for e, own in zip(examples, shares, strict=True)]

    def size_note(self, model: Model) -> list[str]:
        """A student that is no smaller is worth a word: it is not what distilling is for."""
        millions = millions_of(self.teacher.origin.source)
        own = count_parameters(own_parameters(model).values()) / 1e6
        if millions is None or own <= millions:
            return []
        return [f"the student is larger than its teacher: {own:,.1f} million parameters, {millions:,.1f} million"]


def check_choices(task: Task, example: Example) -> None:
    """A teacher tells shares of choices that its student has too."""
    shown = tuple(task.view.choices(example)) if task.view and task.kind != "regress" else example.choices
    if not example.choices or shown != example.choices:
        what = "has no fixed choices" if not example.choices else "has other choices for heads than for writers"
        raise UsageError(f"task {task.name} {what}: a teacher has no shares to tell of it; use --method full")


def chunks(examples: Iterator[Example]) -> Iterable[list[Example]]:
    while chunk := list(islice(examples, CHUNK)):
        yield chunk
