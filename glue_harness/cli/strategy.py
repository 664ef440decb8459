"""`glue run --strategy`: several runs, one table."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from glue_harness.report.console import lasting, note, say, show, table

if TYPE_CHECKING:
    from glue_harness.core.plan import Plan
    from glue_harness.core.record import Record
    from glue_harness.lab.strategy import Stage
    from glue_harness.runs.origin import Origin
    from glue_harness.suite.registry import Registry

Do = Callable[..., "Record"]  # carries out a plan as a named stage, or goes on with a run of it


def run_strategy(
    strategy: str,
    stages: Sequence[Stage],
    seeds: Iterable[int],
    registry: Registry,
    results: Path,
    do: Do,
    quiet: bool,
    as_json: bool,
) -> None:
    """Every stage of every seed that is not finished yet, and a table for each seed."""
    from glue_harness.cli.progress import score_table, show_seeds
    from glue_harness.core.writing import json_text
    from glue_harness.lab.strategy import carry_out, scores_of
    from glue_harness.runs.store import Store

    of_seeds = []
    for seed in seeds:
        records = carry_out(stages, seed, Store(results), *told(strategy, stages, do, quiet))
        scores = scores_of(stages, records, registry)
        of_seeds.append(scores)
        if as_json:
            runs = [{"stage": stage.name, "id": r.id} for stage, r in zip(stages, records, strict=True)]
            values = {task: score.metrics for task, score in scores.items()}
            click.echo(json_text({"strategy": strategy, "seed": seed, "stages": runs, "scores": values}))
        else:
            show(score_table(scores, registry, f"{strategy}, seed {seed}"))
            say(f"{sum(r.seconds for r in records):.0f} s in {len(records)} runs in {results}", style="dim")
    if len(of_seeds) > 1 and not as_json:
        show_seeds(of_seeds, registry)


def told(
    strategy: str, stages: Sequence[Stage], do: Do, quiet: bool
) -> tuple[Callable[[Stage, Plan, str | None], Record], Callable[[Stage, Record], None]]:
    """How a stage is carried out or found, each after a line that says which one it is."""

    def tell(stage: Stage, rest: str = "") -> None:
        if not quiet:
            note(f"{strategy} {stages.index(stage) + 1}/{len(stages)}: {stage.name}{rest}", style="bold")

    def carried_out(stage: Stage, plan: Plan, resume: str | None) -> Record:
        tell(stage, f" goes on, {resume}" if resume else "")
        return do(plan, f"{strategy}: {stage.name}", resume=resume)

    return carried_out, lambda stage, record: tell(stage, f" is finished, {record.id}")


def show_stages(
    stages: Sequence[Stage], plan: Plan, origin: Origin, registry: Registry, results: Path, as_json: bool
) -> None:
    """What would run, what is done already, and what the rest will cost."""
    from glue_harness.core.writing import json_text
    from glue_harness.runs.store import Store

    store = Store(results)
    rows: list[dict[str, Any]] = []
    for stage in stages:
        done = store.finished(stage.plan.digest, plan.seed)
        rows.append(
            {
                "stage": stage.name,
                "tasks": list(stage.plan.tasks),
                "model": stage.plan.model,
                "steps": stage.plan.steps,
                "plan": stage.plan.digest,
                "finished": done.id if done else None,
                "training_seconds": 0.0 if done else seconds_of(stage, plan, origin, registry),
            }
        )
    total = sum(row["training_seconds"] for row in rows)
    if as_json:
        click.echo(json_text({"stages": rows, "training_seconds": total}))
        return
    columns = ("stage", "tasks", "model", "steps", "plan", "minutes")
    lines = [(r["stage"], ",".join(r["tasks"]), r["model"], f"{r['steps']:,}", r["plan"], minutes_of(r)) for r in rows]
    show(table(columns, lines, right=("steps", "minutes")))
    say(f"about {lasting(total)} of training, evaluation comes on top; nothing was trained")


def minutes_of(row: dict[str, Any]) -> str:
    return "done" if row["finished"] else f"{row['training_seconds'] / 60:.1f}"


def seconds_of(stage: Stage, base: Plan, origin: Origin, registry: Registry) -> float:
    """Timed on the model that the first stage starts from: a stage that follows has one of the same size."""
    from glue_harness.lab.assemble import assemble
    from glue_harness.lab.estimate import estimate
    from glue_harness.lab.request import choose_tasks

    plan = stage.plan.replace(model=base.model, tokenizer=base.tokenizer)
    return estimate(assemble(plan, registry, choose_tasks(plan, registry), origin))["training_seconds"]
