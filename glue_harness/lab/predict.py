"""A run's model put to use: answers to a user's rows, and to the official test splits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from glue_harness.core.plan import Plan, plan_from
from glue_harness.core.record import Record
from glue_harness.core.task import Example, Prediction, Task
from glue_harness.models.compressed import is_int8
from glue_harness.models.interface import Model
from glue_harness.runs.origin import weights_at
from glue_harness.runs.store import Store
from glue_harness.suite.registry import Registry, load_tasks
from glue_harness.train import checkpoints, device
from glue_harness.train.answers import answer, batches_of, lay_singly
from glue_harness.train.feed import with_prompt


@dataclass(frozen=True)
class Trained:
    """A run's model at one of its steps, on the device that is here, in the precision that was scored."""

    plan: Plan
    model: Model
    machine: device.Machine

    def answers(self, task: Task, examples: Sequence[Example], how: str | None = None) -> list[Prediction]:
        """As the run itself answered, unless told `how`."""
        plan = self.plan.replace(answers=how or self.plan.answers)
        return answer(self.model, task, examples, plan, self.machine)

    def cut(self, task: Task, examples: Sequence[Example]) -> list[int]:
        """How many tokens of each example the model does not see, because it is longer than the plan allows."""
        return [encoded.lost for encoded in self.model.encode(task, examples)]

    def shares(self, task: Task, examples: Sequence[Example]) -> list[dict[str, float]]:
        """The exact share of probability of every choice, for examples that have choices."""
        self.model.module.eval()
        encoded = [with_prompt(e, self.model) for e in self.model.encode(task, examples)]
        found: list[dict[str, float]] = [{} for _ in examples]
        closed = [k for k, example in enumerate(examples) if example.choices]
        for members in batches_of([encoded[k] for k in closed], self.plan, self.machine):
            batch = [closed[k] for k in members]
            with self.machine.autocast():
                laid = lay_singly(self.model, [encoded[k] for k in batch], self.machine)
                shares = self.model.shares(laid, task, [examples[k] for k in batch])
            for k, share in zip(batch, shares, strict=True):
                found[k] = share
        return found


def load(record: Record, run_folder: Path, step: int, registry: Registry | None = None) -> Trained:
    """The model that a run kept at a step, on the machine that is here."""
    precision = record.environment.get("precision", "auto")
    plan = plan_from(record.plan).replace(device="auto", precision=precision, shard="off")
    model = rebuilt(record, run_folder, step, plan, registry)
    if is_int8(model):
        plan = plan.replace(device="cpu")
    machine = device.set_up(plan)
    model.module.to(machine.device)
    return Trained(plan, model, machine)


def rebuilt(record: Record, run_folder: Path, step: int, plan: Plan, registry: Registry | None = None) -> Model:
    """The model on the CPU. Heads belong to tasks: `registry` has those of the run."""
    origin = weights_at(record, step, Store(run_folder.parent))
    known = (registry or load_tasks()).tasks if origin.parts else {}  # whole weights say themselves what they are
    tasks = [known[name] for name in {**record.mix, **record.scores} if name in known]
    return checkpoints.build(origin, plan, tasks)
