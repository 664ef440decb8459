"""Ways to spend a budget on several tasks. A strategy makes a list of plans of one plan; each is a run of its own.

A stage that starts from an earlier one names it by its plan (`plan:DIGEST`), not by its run: so the list is known
before anything has run, is the same for every seed, and a finished stage is found again by plan and seed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from glue_harness.core.errors import UsageError, unknown
from glue_harness.core.plan import Plan, default_of
from glue_harness.core.record import Record, Score
from glue_harness.data import mixing
from glue_harness.lab.recipes import FROM_MNLI
from glue_harness.lab.request import canonical
from glue_harness.models.families import families, known_of
from glue_harness.suite.registry import Registry

LONGER = 2  # what comes first is twice as long as the tuning: T5's 2^19 steps to 2^18
NEVER = 10**9  # steps between evaluations, of a run that is scored only at its end
FIRST_ROUND, SECOND_ROUND = "mnli", FROM_MNLI
MIXED = ("mixing", "limit", "temperature", "rates")  # settings that say nothing about one task alone
TEXT = ("text", "text_share")


Own = Callable[[tuple[str, ...]], Mapping[str, Any]]  # settings for tasks


@dataclass(frozen=True)
class Stage:
    """One run of a strategy."""

    name: str
    plan: Plan
    answers: tuple[str, ...] = ()  # the units whose final scores it gives; none: others build on it


@dataclass(frozen=True)
class Brief:
    """What a strategy is made of."""

    plan: Plan
    registry: Registry
    first_steps: int | None  # of what comes before the tuning; None: LONGER
    own: Own = lambda tasks: {}  # what a recipe says for tasks alone

    @property
    def units(self) -> list[str]:
        """What counts as one task: what the plan names, a suite as a whole. A suite named alone is its members."""
        names = self.split_suite or [part for name in self.plan.tasks for part in name.split("+")]
        for name in names:
            if mixing.is_mixture(name):
                raise UsageError(f"{name} is a mixture, which a strategy cannot take apart: name its tasks or suites")
        return [name for name in names if any(map(self.is_scored, self.registry.suites.get(name, (name,))))]

    @property
    def split_suite(self) -> list[str]:
        """The members of the only suite that is named, if no other task is."""
        named = [name for name in self.plan.tasks if not self._is_text(name)]
        return list(self.registry.suites.get(named[0], ())) if len(named) == 1 else []

    def _is_text(self, name: str) -> bool:
        return name in self.registry.tasks and self.registry.tasks[name].noise is not None

    def is_scored(self, name: str) -> bool:
        scorers = self.registry.scorers(self.registry.task(name))
        return any("validation" in task.splits and task.metrics and not task.noise for task in scorers)

    @property
    def text_task(self) -> str:
        """What the plan's model learns from text alone; of a model that is not known yet, T5's."""
        known = {family.name: family.objective for family in families()}
        return known.get(known_of(self.plan.model).family or "") or self.registry.text_task.name

    def alone(self, unit: str, start: Stage | None = None) -> Plan:
        """A plan for one unit: what the others need is left out, so that it equals a run of the unit by itself."""
        kept = MIXED if unit in self.registry.suites else ()
        left_out = [*TEXT, *(name for name in MIXED if name not in kept)]
        alone = {name: default_of(name) for name in left_out}
        plan = self.plan.replace(tasks=(unit,), **alone, **self.own((unit,)))
        return after(start, plan) if start else plan

    def joint(self, leave_out: str | None = None, text: bool = True) -> Plan:
        """A plan for all units but one, mixed; text joins them if the plan has a share for it."""
        tasks = [left for name in self.plan.tasks for left in self._without(name, leave_out)]
        with_text = text and self.plan.text_share is not None and self.text_task not in tasks
        if all(map(self._is_text, tasks)):
            raise UsageError(f"nothing is left to train on without {leave_out}: name two tasks or more")
        rates = {name: rate for name, rate in self.plan.rates.items() if name != leave_out}
        return self.plan.replace(tasks=(*tasks, *([self.text_task] if with_text else ())), rates=rates)

    def _without(self, name: str, leave_out: str | None) -> list[str]:
        if leave_out is None:
            return [name]
        if leave_out in self.split_suite and name in self.registry.suites:
            return [part for part in self.split_suite if part != leave_out]
        joined = "+".join(part for part in name.split("+") if part != leave_out)
        return [joined] if joined else []

    def first(self, name: str, plan: Plan) -> Stage:
        """A stage that others build on: longer, all parameters, scored once at its end."""
        if self.first_steps is None and plan.epochs is not None:
            return Stage(name, plan.replace(epochs=LONGER * plan.epochs, eval_every=NEVER, method="full"))
        steps = self.first_steps or LONGER * plan.steps
        return Stage(name, plan.replace(steps=steps, eval_every=steps, method="full"))


def single(brief: Brief) -> list[Stage]:
    """Each task alone, all from the same model."""
    return [Stage(f"train {unit}", brief.alone(unit), (unit,)) for unit in brief.units]


def multitask(brief: Brief) -> list[Stage]:
    """One run on all tasks; each is scored at its own best step."""
    return [Stage("train together", brief.joint(), tuple(brief.units))]


def multitask_finetune(brief: Brief) -> list[Stage]:
    """One run on all tasks, then each is tuned from its end."""
    start = brief.first("train together", brief.joint())
    return [start, *tuned(brief, start)]


def leave_one_out(brief: Brief) -> list[Stage]:
    """For each task: one run on all others, then it is tuned from its end."""
    stages = []
    for unit in brief.units:
        start = brief.first(f"train without {unit}", brief.joint(leave_out=unit))
        stages += [start, Stage(f"tune {unit}", brief.alone(unit, start), (unit,))]
    return stages


def pretrain_finetune(brief: Brief) -> list[Stage]:
    """Span corruption of text, then each task is tuned. With a share of text: no first run, text mixed into each."""
    if brief.plan.text_share is None:
        alone = brief.alone(brief.text_task).replace(text=brief.plan.text)
        start = brief.first("pre-train", alone)
        return [start, *tuned(brief, start)]
    return [
        Stage(f"train {unit} with text", brief.plan.replace(tasks=(unit, brief.text_task)), (unit,))
        for unit in brief.units
    ]


def two_rounds(brief: Brief) -> list[Stage]:
    """MNLI first, and the small tasks that gain from it from its best step; all others from the same model as MNLI.

    What others start from is trained whole: under another method MNLI has a run of its own besides.
    """
    tasks = [name for unit in brief.units for name in brief.registry.suites.get(unit, (unit,))]
    start = brief.alone(FIRST_ROUND).replace(method="full")
    answers = (FIRST_ROUND,) if FIRST_ROUND in tasks and start == brief.alone(FIRST_ROUND) else ()
    stages = [Stage(f"train {FIRST_ROUND}" + ("" if answers else " first"), start, answers)]
    for task in dict.fromkeys(tasks):
        if task in SECOND_ROUND:
            plan = after(stages[0], brief.alone(task), at=FIRST_ROUND)
            stages.append(Stage(f"tune {task}", plan, (task,)))
        elif (task,) != answers and brief.is_scored(task):
            stages.append(Stage(f"train {task}", brief.alone(task), (task,)))
    if not any(stage.plan.model != brief.plan.model for stage in stages):
        raise UsageError(f"no second round: name one of {', '.join(SECOND_ROUND)} with --task")
    return stages


STRATEGIES: dict[str, Callable[[Brief], list[Stage]]] = {
    "single": single,
    "multitask": multitask,
    "multitask-finetune": multitask_finetune,
    "leave-one-out": leave_one_out,
    "pretrain-finetune": pretrain_finetune,
    "two-rounds": two_rounds,
}
WITH_TEXT = ("multitask", "multitask-finetune", "leave-one-out", "pretrain-finetune")
WITH_FIRST = ("multitask-finetune", "leave-one-out", "pretrain-finetune")


def tuned(brief: Brief, start: Stage) -> list[Stage]:
    return [Stage(f"tune {unit}", brief.alone(unit, start), (unit,)) for unit in brief.units]


def after(start: Stage, plan: Plan, at: str = "") -> Plan:
    """The plan from the end of an earlier stage, or its best step `at` a task; its vocabulary comes along."""
    return plan.replace(model=f"plan:{start.plan.digest}" + (f"@{at}" if at else ""), tokenizer=None)


def stages_of(
    strategy: str, plan: Plan, registry: Registry, first_steps: int | None = None, own: Own | None = None
) -> list[Stage]:
    """The runs of a strategy in an order in which each finds what it starts from.

    `own`: what a recipe says for tasks that are trained alone.
    """
    if strategy not in STRATEGIES:
        raise unknown("strategy", strategy, STRATEGIES)
    if first_steps is not None and strategy not in WITH_FIRST:
        raise UsageError(f"strategy {strategy!r} has no run before the others: leave out --pretrain-steps")
    if strategy not in WITH_TEXT and (plan.text, plan.text_share) != (None, None):
        raise UsageError(f"strategy {strategy!r} trains on no text: leave out --text and --text-share")
    brief = Brief(canonical(plan, registry), registry, first_steps, own or (lambda tasks: {}))
    if not brief.units:
        raise UsageError(f"no task of {', '.join(plan.tasks)} can be scored: a strategy needs one")
    return STRATEGIES[strategy](brief)


def scores_of(stages: Sequence[Stage], records: Sequence[Record], registry: Registry) -> dict[str, Score]:
    """Each task's score, from the stage that answers it."""
    scores: dict[str, Score] = {}
    for stage, record in zip(stages, records, strict=True):
        names = [name for unit in stage.answers for name in registry.suites.get(unit, (unit,))]
        scorers = {scorer.name for name in names for scorer in registry.scorers(registry.task(name))}
        scores |= {name: score for name, score in record.scores.items() if name in scorers}
    return scores
