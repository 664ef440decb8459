"""How far seeds of one recipe lie apart, as known beforehand: from one's own plans, else from T5's Table 16."""

from __future__ import annotations

import math
import statistics
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from glue_harness.core.errors import DataError
from glue_harness.core.plan import SCORED
from glue_harness.core.record import Record
from glue_harness.metrics.power import Spread, least_between_models, least_between_recipes
from glue_harness.report.experiments import Experiment, in_order, label
from glue_harness.report.published import load_published
from glue_harness.runs.index import Entry, plan_of
from glue_harness.runs.store import Store
from glue_harness.suite.registry import Registry

SEEDS = range(2, 11)
KNOWN_FROM = 3  # seeds of a plan, to say how far they lie apart
LATEST_PLANS = 50  # that are asked: with 100 degrees of freedom more say the same, and each takes time to read


def known_spread(task: str, key: str, own: Sequence[Experiment], registry: Registry, is_demo: bool) -> Spread | None:
    """Pooled over plans of three seeds or more, sd^2 = sum (k-1) s^2 / sum (k-1); of demo data none is published."""
    found = []
    for experiment in own:
        scores = [record.scores[task].metrics.get(key) for record in experiment.records if task in record.scores]
        defined = [value for value in scores if value is not None]
        if len(defined) == len(scores) >= KNOWN_FROM:
            found.append((len(defined) - 1, statistics.variance(defined)))
    if found:
        df = sum(freedom for freedom, _ in found)
        sd = math.sqrt(sum(freedom * variance for freedom, variance in found) / df)
        return Spread(sd, df, f"{len(found)} plan{'s' * (len(found) > 1)} of {df + len(found)} runs here")
    return None if is_demo else published_spread(task, key, registry)


def published_spread(task: str, key: str, registry: Registry) -> Spread | None:
    """That of the ten runs of T5's baseline."""
    published = load_published()
    baseline = published.results[0]
    for (name, of_key), deviation in baseline.deviations.items():
        if registry.aliases.get(name, name) == task and of_key == key:
            return Spread(deviation, baseline.runs - 1, published.short)
    return None


def worth_reading(known: Sequence[Entry]) -> list[Entry]:
    """What the index knows of the latest plans with three seeds or more; `known` is oldest first."""
    by_digest: dict[str, list[Entry]] = {}
    for entry in known:
        if entry.status == "finished":
            of_plan = by_digest.pop(entry.digest, [])  # plans stand in the order of their last runs
            by_digest[entry.digest] = [*of_plan, entry]
    found = [entries for entries in by_digest.values() if len({entry.seed or 0 for entry in entries}) >= KNOWN_FROM]
    return [entry for entries in found[-LATEST_PLANS:] for entry in entries]


def repeated(records: Iterable[Record]) -> list[Experiment]:
    """The finished plans with three seeds or more that were trained; of one seed's repeats the latest counts."""
    by_digest: dict[str, dict[int, Record]] = {}
    for record in records:
        if record.status == "finished" and record.plan.get("method") != SCORED:
            by_digest.setdefault(record.digest, {})[plan_of(record).seed] = record
    return [
        Experiment(f"plan {digest}", tuple(found[seed] for seed in sorted(found)))
        for digest, found in by_digest.items()
        if len(found) >= KNOWN_FROM
    ]


def on_same_data(experiments: Iterable[Experiment], task: str, contents: Collection[object]) -> list[Experiment]:
    return [experiment for experiment in experiments if experiment.contents(task, "validation") == set(contents)]


def with_churn(
    spread: Spread, task: str, key: str, own: Sequence[Experiment], store: Store, registry: Registry
) -> Spread:
    """The same with what the changing answers of one's own seeds add to it, read from their predictions."""
    from glue_harness.metrics.stats import churn_variance

    found = []
    for experiment in own:
        records = [record for record in experiment.records if task in record.scores]
        if len(records) < KNOWN_FROM:
            continue
        try:
            answers = [store.read_predictions(record.id, registry.tasks[task]) for record in records]
            metric = next(metric for metric in registry.tasks[task].metrics if key in metric.keys)
            found.append(churn_variance([metric.tally(predictions) for predictions in answers])[key])
        except DataError:  # without predictions sd^2 stands for all
            continue
    return spread._replace(churn=statistics.fmean(found)) if found else spread


@dataclass(frozen=True)
class Findable:
    """The least differences in one value of a task that are found with 80 %."""

    name: str
    label: str
    sd: float  # over seeds
    source: str
    churn: float | None  # the part of sd^2 that is of single examples
    own_sd: float  # what is left of sd without it
    models: float  # between two models, at most, where the churn is not known
    recipes: Mapping[int, float]  # number of seeds of each -> between two recipes


def findable(
    tasks: Sequence[str], own: Sequence[Experiment], store: Store, registry: Registry, is_demo: bool
) -> list[Findable]:
    """Of every value whose spread over seeds is known."""
    found, titles = [], registry.titles(tasks)
    for name in in_order(tasks, registry):
        keys = registry.tasks[name].keys
        for key in keys:
            spread = known_spread(name, key, own, registry, is_demo)
            if spread is None:
                continue
            spread = with_churn(spread, name, key, own, store, registry)
            found.append(
                Findable(
                    name=f"{name}.{key}",
                    label=label(titles[name], key, keys),
                    sd=spread.sd,
                    source=spread.source,
                    churn=spread.churn,
                    own_sd=math.sqrt(spread.own),
                    models=least_between_models(spread),
                    recipes={k: least_between_recipes(spread, k) for k in SEEDS},
                )
            )
    return found
