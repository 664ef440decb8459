"""What training together did to each task: a multi-task run beside runs of its tasks alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from glue_harness.core.errors import UsageError
from glue_harness.core.plan import plan_from
from glue_harness.core.record import Record
from glue_harness.data.mixing import realised
from glue_harness.report.board import Stat
from glue_harness.report.comparison import SIGNIFICANT, Difference, Side, corrected, lines_of, notes_on, pick
from glue_harness.runs.store import Store
from glue_harness.suite.registry import Registry

MIX = ("tasks", "mixing", "limit", "temperature", "rates", "seed")  # what a task alone need not share with the mix
GAIN, LOSS = "gain", "negative transfer"
OTHER = "other settings"  # so that nothing can be said of training together


@dataclass(frozen=True)
class Effect:
    """One value of a task, alone and together with others."""

    name: str
    label: str
    run: str  # of the task alone
    alone: Stat
    together: Stat
    difference: Difference  # together minus alone; Holm's correction over all effects
    epochs_alone: float | None
    epochs_together: float | None
    alike: bool  # the task alone was trained under the plan of the mix

    @property
    def verdict(self) -> str:
        """What is more than chance, of runs that differ in their mix only."""
        if not self.alike:
            return OTHER
        if self.difference.p_holm is None or self.difference.p_holm >= SIGNIFICANT:
            return ""
        return GAIN if self.difference.value > 0 else LOSS


@dataclass(frozen=True)
class Transfer:
    together: Side
    effects: tuple[Effect, ...]
    notes: tuple[str, ...]


def arranged(sides: Sequence[Side], registry: Registry) -> tuple[Side, dict[str, Side]] | None:
    """The one multi-task side, and the side of each of its tasks alone; None if the sides are not such."""
    several = [side for side in sides if len(tasks_of(side.records[0], registry)) > 1]
    if len(several) != 1:
        return None
    alone = {}
    for side in sides:
        if side is not several[0]:
            names = tasks_of(side.records[0], registry)
            if len(names) != 1 or names[0] in alone or names[0] not in tasks_of(several[0].records[0], registry):
                return None
            alone[names[0]] = side
    return (several[0], alone) if alone else None


def tasks_of(record: Record, registry: Registry) -> list[str]:
    """What a run trained and scored."""
    drawn = [name for name, share in record.mix.items() if share.get("probability")]
    return [name for name in drawn if any(scorer in record.scores for scorer in scorers(name, registry))]


def scorers(name: str, registry: Registry) -> list[str]:
    return [task.name for task in registry.scorers(registry.tasks[name])] if name in registry.tasks else [name]


def find_alone(together: Side, store: Store, among: Sequence[Record], registry: Registry) -> list[Side]:
    """The latest finished plan of each task alone that is the multi-task plan but for the mix."""
    wanted, names = basis(together.records[0]), tasks_of(together.records[0], registry)
    if len(names) < 2:
        raise UsageError(
            f"{together.name} trained {' and '.join(names) or 'nothing'}: --transfer takes a run of several"
        )
    found = {}
    for record in among:
        of_record = tasks_of(record, registry)
        if record.status == "finished" and len(of_record) == 1 and of_record[0] in names and basis(record) == wanted:
            found[of_record[0]] = record.digest
    if not found:
        plan = store.run_folder(together.records[0].id) / "plan.toml"
        raise UsageError(
            f"no run of {names[0]} alone has the plan of {together.name}: "
            f"glue run --plan {plan} --task {names[0]}, or name runs to compare with"
        )
    return [pick(store, found[name], among) for name in names if name in found]


def basis(record: Record) -> dict[str, object]:
    return {key: value for key, value in plan_from(record.plan).to_dict().items() if key not in MIX}


def transfer(together: Side, alone: dict[str, Side], store: Store, registry: Registry) -> Transfer:
    """Gain or loss on every value of every task that also has a run of its own."""
    pairs = [
        (name, line)
        for name, side in alone.items()
        for scorer in scorers(name, registry)
        for line in lines_of(scorer, (side, together), store, registry)
        if all(line.stats)
    ]
    lines = corrected([line for _, line in pairs])
    effects = [
        Effect(
            name=line.name,
            label=line.label,
            run=alone[name].name,
            alone=line.stats[0],
            together=line.stats[1],
            difference=line.differences[1],
            epochs_alone=epochs(alone[name], name),
            epochs_together=epochs(together, name),
            alike=not other_settings(alone[name], together),
        )
        for (name, _), line in zip(pairs, lines, strict=True)
    ]
    return Transfer(together, tuple(effects), tuple(dict.fromkeys(notes(together, alone, registry))))


def epochs(side: Side, name: str) -> float | None:
    record = side.records[0]
    return realised(record.mix)[name].epochs if name in record.mix else None


def notes(together: Side, alone: dict[str, Side], registry: Registry) -> Iterator[str]:
    missing = [name for name in tasks_of(together.records[0], registry) if name not in alone]
    if missing:
        yield f"no run alone to compare with: {', '.join(missing)}"
    for name, side in alone.items():
        if different := other_settings(side, together):
            yield f"{name} alone was trained with other settings: {'; '.join(different)}"
        yield from notes_on((side, together))


def other_settings(alone: Side, together: Side) -> list[str]:
    theirs, ours = basis(alone.records[0]), basis(together.records[0])
    return [f"{key} {shown(theirs[key])} instead of {shown(ours[key])}" for key in ours if theirs[key] != ours[key]]


def shown(value: object) -> object:
    return "not set" if value is None else value
