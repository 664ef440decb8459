"""A plan checked, and what its names mean: which tasks are trained on, what scores them, under which mixing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from glue_harness.core.errors import UsageError, unknown
from glue_harness.core.plan import Plan, default_of
from glue_harness.core.settings import own_settings, plugin_files
from glue_harness.core.task import Task
from glue_harness.data import check_where, mixing, own
from glue_harness.lab.teacher import Teacher, find_teacher
from glue_harness.models.families import check_model
from glue_harness.models.marks import kind_in
from glue_harness.runs.origin import Origin, find_origin
from glue_harness.runs.store import Store
from glue_harness.suite.registry import Registry

SIZED = ("proportional", "temperature")  # mixings that are T5's formula of a size


@dataclass(frozen=True)
class Request:
    """A plan whose names were checked, and what they mean here: made once, without torch, and what travels on."""

    plan: Plan  # by our names of tasks, and a name of its model that means the same later
    registry: Registry
    origin: Origin  # where its model lies
    trained: tuple[Task, ...]  # in T5's sampling order: by name
    groups: dict[str, tuple[Task, ...]]  # task -> the tasks that score it, and choose its checkpoint together
    notes: tuple[str, ...]
    teacher: Teacher | None = None  # whose answers its model learns

    @property
    def scored(self) -> list[Task]:
        """Every scoring task once."""
        return list({task.name: task for group in self.groups.values() for task in group}.values())


def make_request(plan: Plan, registry: Registry, store: Store | None = None) -> Request:
    """Checks all that can be wrong with a plan before torch is imported or a row is read.

    `store` has the runs that the plan's model may come from.
    """
    plan = canonical(plan, registry)
    check_names(plan)
    selected = select(plan, registry)
    trained = [task for task in selected if "train" in task.splits]
    if not trained:
        raise nothing_to_train(selected, registry)
    check_text(plan, selected)
    rates(plan, registry, dict.fromkeys((task.name for task in trained), 1))  # unknown names in custom rates
    origin = find_origin(plan, store, registry) if store else Origin(plan.model, plan.model)
    teacher = find_teacher(plan, trained, store, registry) if store else None
    if not plan.never_learns and (weights := kind_in(Path(origin.source))):
        raise UsageError(
            f"model {plan.model!r} has {weights} weights, which do not learn: start from the run that it was made of"
        )
    scorers_of = {task.name: registry.scorers(task) for task in selected}
    groups: dict[str, tuple[Task, ...]] = {}
    notes = []
    for task in selected:
        scorers = tuple(s for s in scorers_of[task.name] if "validation" in s.splits and s.metrics)
        if scorers:
            groups[task.name] = scorers
        elif "train" in task.splits:
            notes.append(f"{task.name} is trained on but not scored: it has no labelled validation split")
        else:
            notes.append(f"{task.name} has hidden labels only: it is neither trained on nor scored")
    for name, found in scorers_of.items():  # a task that scores another one is no group of its own
        for scorer in found:
            if scorer.name != name:
                groups.pop(scorer.name, None)
    if plan.patience and not groups:
        raise UsageError(f"patience is {plan.patience} but no task of {', '.join(plan.tasks)} is scored: leave it out")
    notes += left_out(plan, registry, selected)
    return Request(
        plan=plan.replace(model=origin.model, **({"teacher": teacher.name} if teacher else {})),
        registry=registry,
        origin=origin,
        trained=tuple(sorted(trained, key=lambda task: task.name)),
        groups=groups,
        notes=tuple(notes),
        teacher=teacher,
    )


def check_names(plan: Plan) -> None:
    """What can be wrong with a plan before tasks are looked at."""
    if plan.is_scored:
        raise UsageError(f"method {plan.method!r} stands for answers that glue score recorded: it trains nothing")
    for kind, name, known in (
        ("mixing", plan.mixing, mixing.MIXINGS),
        ("method", plan.method, plugin_files("method")),
        ("optimizer", plan.optimizer, plugin_files("optimizer")),
    ):
        if name not in known:
            raise unknown(kind, name, known)
    for declared in own_settings().values():
        if declared.needed and declared.owner == ("method", plan.method) and getattr(plan, declared.name) is None:
            option = f"--{declared.name.replace('_', '-')}"
            raise UsageError(f"method {plan.method} needs {declared.name} ({option}): {declared.help}")
    check_model(plan.model, plan.tokenizer)
    check_where(plan.data)
    if plan.weights != default_of("weights") and not plan.never_learns:
        what = f"weights is {plan.weights}, which do not learn, but the plan has {plan.length}"
        raise UsageError(f"{what}: glue compress RUN makes them of a finished run")
    if plan.never_learns and plan.method != "full":
        raise UsageError(f"method is {plan.method!r} but steps is 0: nothing learns, leave out --method")
    has_mixture = any(map(mixing.is_mixture, plan.tasks))
    if plan.limit != default_of("limit") and plan.mixing not in SIZED and not has_mixture:
        raise UsageError(f"limit is {plan.limit:g} but mixing {plan.mixing!r} does not look at sizes: leave it out")


def check_text(plan: Plan, selected: list[Task]) -> None:
    """Text is read only by a task that learns from text alone, and has a share only beside others."""
    given = {"text": plan.text, "text_share": plan.text_share}
    for setting, value in given.items():
        if value is not None and not any(task.noise for task in selected):
            raise UsageError(
                f"{setting} is {value!r} but no task learns from text alone: add --task span_corruption, mlm or causal"
            )
    if plan.text is not None:
        own.text_files(plan.text)
    if plan.text_share is not None and all(task.noise for task in selected):
        raise UsageError(f"text_share is {plan.text_share:g} but there is nothing beside the text: leave it out")


def nothing_to_train(selected: list[Task], registry: Registry) -> UsageError:
    names = ", ".join(task.name for task in selected)
    trainers = sorted({t.name for t in registry.tasks.values() for s in selected if s.name in t.scored_by})
    fix = f"train it with --task {','.join(trainers)}" if trainers else "see glue tasks"
    return UsageError(f"nothing to train on: {names} has no train split; {fix}")


def canonical(plan: Plan, registry: Registry) -> Plan:
    """The plan with our names for aliases, so that one experiment has one digest however it was typed."""
    tasks = tuple(registry.aliases.get(name, name) for name in plan.tasks)
    return plan.replace(tasks=tasks, rates={registry.aliases.get(name, name): r for name, r in plan.rates.items()})


def select(plan: Plan, registry: Registry) -> list[Task]:
    """The plan's tasks. `a+b` is two suites, and a mixture stands for its members, which others may share."""
    names: list[str] = []
    for name in plan.tasks:
        if mixing.is_mixture(name):
            names += (member for member in members_of(name, registry) if member not in names)
        else:
            names += name.split("+")
    return registry.select(names)


def members_of(mixture: str, registry: Registry) -> list[str]:
    """The tasks of a mixture, by our names; a member that has no task file here is refused by name."""
    names = mixing.mixture_rates(mixing.mixture(mixture), lambda name: 1.0)
    missing = [name for name in names if name not in registry.aliases]
    if missing:
        raise UsageError(f"mixture {mixture!r} has members without a task here: {', '.join(missing)}")
    return [registry.aliases[name] for name in names]


def rates(plan: Plan, registry: Registry, sizes: Mapping[str, int]) -> mixing.Rates:
    """How often each trained task is drawn, relative to the others."""
    found = rates_of_mixing(plan, registry, sizes)
    if plan.text_share is None:
        return found
    return with_share(found, [name for name in found if registry.tasks[name].noise], plan.text_share)


def with_share(rates: mixing.Rates, part: Sequence[str], share: float) -> mixing.Rates:
    """The rates with those of `part` scaled such that they make up a share of all."""
    inside = sum(rates[name] for name in part)
    outside = sum(rates.values()) - inside
    if not inside or not outside:
        raise UsageError(f"text_share is {share:g} but the mixing gives {', '.join(part)} or all others a rate of 0")
    scale = share / (1 - share) * outside / inside
    return {name: rate * scale if name in part else rate for name, rate in rates.items()}


def rates_of_mixing(plan: Plan, registry: Registry, sizes: Mapping[str, int]) -> mixing.Rates:
    """The rates before text alone is given the share that the plan may state."""
    named = [name for name in plan.tasks if mixing.is_mixture(name)]
    if not named:
        counted = {name: n / 2 if name in halved(plan) else n for name, n in sizes.items()}
        return mixing.rates(plan.mixing, counted, mixing.SizeRate(plan.limit, plan.temperature), plan.rates)
    alone = len(plan.tasks) == 1
    if not alone and plan.mixing != "custom":
        raise UsageError(f"{named[0]} beside other tasks: say what each weighs, --mixing custom --rate {named[0]}=1")
    if alone and plan.mixing not in SIZED:
        raise UsageError(f"{named[0]} has its own rates: leave out --mixing {plan.mixing}")
    size_rate = mixing.SizeRate(plan.limit, plan.temperature)
    members = mixing.mixture(named[0]) if alone else plan.rates
    found = mixing.mixture_rates(members, lambda name: size_rate(sizes.get(registry.task(name).name, 0)))
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
