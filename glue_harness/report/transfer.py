"""What training together did to each task: a multi-task run beside runs of its tasks alone."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from glue_harness.core.errors import DataError, UsageError
from glue_harness.core.plan import Plan, plan_from
from glue_harness.core.record import Record
from glue_harness.data.mixing import realised
from glue_harness.metrics import measure
from glue_harness.metrics.power import EXAMPLES
from glue_harness.report.comparison import ScoreDifference, corrected, notes_on, scores_of
from glue_harness.report.experiments import Experiment, Stat, differing, pick
from glue_harness.report.spread import repeated
from glue_harness.runs.store import Store
from glue_harness.suite.registry import Registry

MIX = ("tasks", "mixing", "limit", "temperature", "rates", "seed")  # what a task alone need not share with the mix
GAIN, LOSS = "gain", "negative transfer"
OTHER = "other settings"  # so that nothing can be said of training together
UNCLEAN = "only by shared texts"  # without the rows whose texts were trained on, the sign is another


@dataclass(frozen=True)
class Effect:
    """One value of a task, alone and together with others."""

    name: str
    label: str
    run: str  # of the task alone
    alone: Stat
    together: Stat
    difference: ScoreDifference  # together minus alone; Holm's correction over all effects
    epochs_alone: float | None
    epochs_together: float | None
    alike: bool  # the task alone was trained under the plan of the mix
    clean: float | None = None  # the difference without the rows that share a text with any the mix trained on

    @property
    def verdict(self) -> str:
        """What is more than chance, of runs that differ in their mix only; of one seed what can be said of models."""
        if not self.alike:
            return OTHER
        if self.difference.over == EXAMPLES:
            return self.difference.verdict
        if not self.difference.is_sure:
            return ""
        if self.clean is not None and self.clean * self.difference.value <= 0:
            return UNCLEAN
        return GAIN if self.difference.value > 0 else LOSS


@dataclass(frozen=True)
class Transfer:
    together: Experiment
    effects: tuple[Effect, ...]
    notes: tuple[str, ...]


def arranged(experiments: Sequence[Experiment], registry: Registry) -> tuple[Experiment, dict[str, Experiment]] | None:
    """The one multi-task experiment, and that of each of its tasks alone; None if the experiments are not such."""
    tasks = [tasks_of(experiment.records[0], registry) for experiment in experiments]
    mixes = [k for k, names in enumerate(tasks) if len(names) > 1]
    alone = {names[0]: experiment for names, experiment in zip(tasks, experiments, strict=True) if len(names) == 1}
    if len(mixes) != 1 or not alone or len(alone) != len(experiments) - 1 or not alone.keys() <= {*tasks[mixes[0]]}:
        return None
    return experiments[mixes[0]], alone


def tasks_of(record: Record, registry: Registry) -> list[str]:
    """What a run trained and scored."""
    drawn = [name for name, share in record.mix.items() if share.get("probability")]
    return [name for name in drawn if any(scorer in record.scores for scorer in scorers(name, registry))]


def scorers(name: str, registry: Registry) -> list[str]:
    return [task.name for task in registry.scorers(registry.tasks[name])] if name in registry.tasks else [name]


def find_alone(together: Experiment, store: Store, among: Sequence[Record], registry: Registry) -> list[Experiment]:
    """The latest finished plan of each task alone that is the multi-task plan but for the mix."""
    names = tasks_of(together.records[0], registry)
    if len(names) < 2:
        raise UsageError(
            f"{together.name} trained {' and '.join(names) or 'nothing'}: --transfer takes a run of several"
        )
    found = {}
    for record in among:
        of_record = tasks_of(record, registry) if record.status == "finished" else []
        if len(of_record) == 1 and of_record[0] in names and not unlike(plan_from(record.plan), together.plan):
            found[of_record[0]] = record.digest
    if not found:
        plan = store.run_folder(together.records[0].id) / "plan.toml"
        raise UsageError(
            f"no run of {names[0]} alone has the plan of {together.name}: "
            f"glue run --plan {plan} --task {names[0]}, or name runs to compare with"
        )
    return [pick(store, found[name], among) for name in names if name in found]


def unlike(alone: Plan, together: Plan) -> list[str]:
    """The settings beside the mix that a task alone was trained with differently."""
    settings = differing([alone, together], but=MIX).items()
    shown = {name: ["not set" if value is None else value for value in pair] for name, pair in settings}
    return [f"{name} {theirs} instead of {ours}" for name, (theirs, ours) in shown.items()]


def transfer(
    together: Experiment,
    alone: dict[str, Experiment],
    store: Store,
    registry: Registry,
    among: Sequence[Record] = (),
) -> Transfer:
    """Gain or loss on every value of every task that also has a run of its own; `among` as in `compare`."""
    repeats = repeated(among)
    pairs = [
        (name, scorer, score)
        for name, experiment in alone.items()
        for scorer in scorers(name, registry)
        for score in scores_of(scorer, (experiment, together), store, registry, repeats)
        if all(score.stats)
    ]
    settings = {name: unlike(experiment.plan, together.plan) for name, experiment in alone.items()}

    clean = {
        f"{scorer}.{key}": value
        for name, scorer in dict.fromkeys((name, scorer) for name, scorer, _ in pairs)
        for key, value in clean_differences(scorer, alone[name], together, store, registry).items()
    }

    def epochs(experiment: Experiment, name: str) -> float | None:
        mix = realised(experiment.records[0].mix)
        return mix[name].epochs if name in mix else None

    effects = [
        Effect(
            name=score.name,
            label=score.label,
            run=alone[name].name,
            alone=of_alone,
            together=of_together,
            difference=difference,
            epochs_alone=epochs(alone[name], name),
            epochs_together=epochs(together, name),
            alike=not settings[name],
            clean=clean.get(score.name),
        )
        for (name, _, _), score in zip(pairs, corrected([score for _, _, score in pairs]), strict=True)
        if (of_alone := score.stats[0]) and (of_together := score.stats[1]) and (difference := score.differences[1])
    ]
    notes = []
    if missing := [name for name in tasks_of(together.records[0], registry) if name not in alone]:
        notes.append(f"no run alone to compare with: {', '.join(missing)}")
    for name, experiment in alone.items():
        if settings[name]:
            notes.append(f"{name} alone was trained with other settings: {'; '.join(settings[name])}")
        notes += notes_on((experiment, together))
    return Transfer(together, tuple(effects), tuple(dict.fromkeys(notes)))


def clean_differences(
    name: str, alone: Experiment, together: Experiment, store: Store, registry: Registry
) -> dict[str, float]:
    """Together minus alone without the rows that share a text with any that the mix trained on; {} if there are none.

    A row that another task of the mix shows in training is no news about transfer.
    """
    task = registry.tasks.get(name)
    cleans = [record.scores[name].clean for record in together.records if name in record.scores]
    if task is None or not any(clean and clean["shared"] for clean in cleans):
        return {}
    try:
        shared = {id for record in together.records for id in store.run(record.id).read_shared(task)}
        sides = []
        for experiment in (alone, together):
            seeds = [store.read_predictions(record.id, task) for record in experiment.records]
            left = [[p for p in seed if p.example.id not in shared] for seed in seeds]
            if not all(left):
                return {}
            values = [measure(task.metrics, of_seed) for of_seed in left]
            sides.append({key: fmean(of_seed[key] for of_seed in values) for key in task.keys})
    except DataError:  # `scores_of` has told why
        return {}
    of_alone, of_together = sides
    found = {key: of_together[key] - of_alone[key] for key in task.keys}
    return {key: value for key, value in found.items() if math.isfinite(value)} if shared else {}
