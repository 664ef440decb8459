"""What the names in a plan mean: which tasks are trained on, what scores them, under which mixing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from glue_harness import mixing, mixtures
from glue_harness.errors import UsageError, unknown
from glue_harness.plan import Plan
from glue_harness.registry import Registry
from glue_harness.task import Task

SIZED = ("proportional", "temperature")  # mixings that are T5's formula of a size


@dataclass(frozen=True)
class Chosen:
    """The tasks a plan names, by what is done with them."""

    trained: tuple[Task, ...]  # in T5's sampling order: by name
    groups: dict[str, tuple[Task, ...]]  # task -> the tasks that score it, and choose its checkpoint together
    notes: tuple[str, ...]

    @property
    def scored(self) -> list[Task]:
        """Every scoring task once."""
        return list({task.name: task for group in self.groups.values() for task in group}.values())


def choose_tasks(plan: Plan, registry: Registry) -> Chosen:
    """What the plan trains and what scores it. Names are checked here, before anything is read."""
    if plan.mixing not in mixing.MIXINGS:
        raise unknown("mixing", plan.mixing, mixing.MIXINGS)
    selected = select(plan, registry)
    trained = [task for task in selected if "train" in task.splits]
    if not trained:
        names = ", ".join(task.name for task in selected)
        raise UsageError(f"nothing to train on: {names} has no train split; see glue tasks")
    groups: dict[str, tuple[Task, ...]] = {}
    notes = []
    for task in selected:
        scorers = tuple(s for s in registry.scorers(task) if "validation" in s.splits and s.metrics)
        if scorers:
            groups[task.name] = scorers
        elif "train" in task.splits:
            notes.append(f"{task.name} is trained on but not scored: it has no labelled validation split")
        else:
            notes.append(f"{task.name} has hidden labels only: it is neither trained on nor scored")
    grouped = {scorer.name for task in selected for scorer in registry.scorers(task) if scorer is not task}
    groups = {name: group for name, group in groups.items() if name not in grouped}
    notes += left_out(plan, registry, selected)
    return Chosen(tuple(sorted(trained, key=lambda task: task.name)), groups, tuple(notes))


def select(plan: Plan, registry: Registry) -> list[Task]:
    """The plan's tasks. `a+b` is two suites, and a mixture stands for its members, which others may share."""
    names: list[str] = []
    for name in plan.tasks:
        if name.startswith(mixtures.PREFIX):
            names += (member for member in members_of(name, registry) if member not in names)
        else:
            names += name.split("+")
    return registry.select(names)


def members_of(mixture: str, registry: Registry) -> list[str]:
    """The tasks of a mixture, by our names; a member that has no task file here is refused by name."""
    names = mixtures.rates(mixtures.mixture(mixture), lambda name: 1.0)
    missing = [name for name in names if name not in registry.aliases]
    if missing:
        raise UsageError(f"mixture {mixture!r} has members without a task here: {', '.join(missing)}")
    return [registry.aliases[name] for name in names]


def rates(plan: Plan, registry: Registry, sizes: Mapping[str, int]) -> mixing.Rates:
    """How often each trained task is drawn, relative to the others."""
    named = [name for name in plan.tasks if name.startswith(mixtures.PREFIX)]
    if not named:
        counted = {name: n / 2 if name in halved(plan) else n for name, n in sizes.items()}
        return mixing.rates(plan.mixing, counted, plan.limit, plan.temperature, custom=plan.rates)
    alone = len(plan.tasks) == 1
    if not alone and plan.mixing != "custom":
        raise UsageError(f"{named[0]} beside other tasks: say what each weighs, --mixing custom --rate {named[0]}=1")
    if alone and plan.mixing not in SIZED:
        raise UsageError(f"{named[0]} has its own rates: leave out --mixing {plan.mixing}")
    size_rate = mixing.SizeRate(plan.limit, plan.temperature)
    members = mixtures.mixture(named[0]) if alone else plan.rates
    found = mixtures.rates(members, lambda name: size_rate(sizes.get(registry.task(name).name, 0)))
    by_name: mixing.Rates = {}
    for name, rate in found.items():  # a task may be listed by our name and, inside a mixture, by T5's
        by_name[registry.task(name).name] = by_name.get(registry.task(name).name, 0.0) + rate
    return {name: by_name.get(name, 0.0) for name in sizes}


def halved(plan: Plan) -> tuple[str, ...]:
    """T5 counts half of each RTE where both benchmarks are trained together: the two are the same data."""
    return ("rte", "superglue_rte") if any("+" in name for name in plan.tasks) else ()


def left_out(plan: Plan, registry: Registry, selected: list[Task]) -> list[str]:
    """What a suite's name does not bring along, said so that nobody misses it silently."""
    notes = []
    for suite in plan.tasks:
        others = set(registry.suites.get(f"{suite}-all", ())) - {task.name for task in selected}
        if suite in registry.suites and others:
            names = ", ".join(sorted(others))
            notes.append(f"{suite} leaves out {names}, as T5 does: neither trained on nor in the average")
    return notes
