"""`glue run --strategy`: several runs, one table."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from glue_harness.report.console import lasting, say, show, table

if TYPE_CHECKING:
    from glue_harness.jobs.graph import Job
    from glue_harness.jobs.launch import Launch
    from glue_harness.lab.recipes import Applied
    from glue_harness.lab.request import Request
    from glue_harness.lab.strategy import Stage

LaunchAll = Callable[[list["Job"]], "Launch"]  # carries jobs out


def run_strategy(
    strategy: str,
    stages: Sequence[Stage],
    request: Request,
    seeds: int,
    results: Path,
    launch_all: LaunchAll,
    recipe: Applied | None,
    as_json: bool,
) -> None:
    """Every stage of every seed that is not finished yet, and a table for each seed."""
    from glue_harness.cli.progress import score_table, show_seeds
    from glue_harness.core.writing import json_text
    from glue_harness.lab.strategy import scores_of

    chosen = range(request.plan.seed, request.plan.seed + seeds)
    jobs = {seed: jobs_of(strategy, stages, seed, seeds, recipe) for seed in chosen}
    launch = launch_all([job for of_seed in jobs.values() for job in of_seed])
    of_seeds = []
    for seed in chosen:
        records = launch.records(jobs[seed])
        scores = scores_of(stages, records, request.registry)
        of_seeds.append(scores)
        if as_json:
            runs = [{"stage": stage.name, "id": r.id} for stage, r in zip(stages, records, strict=True)]
            values = {task: score.metrics for task, score in scores.items()}
            click.echo(json_text({"strategy": strategy, "seed": seed, "stages": runs, "scores": values}))
        else:
            show(score_table(scores, request.registry, f"{strategy}, seed {seed}"))
            say(f"{sum(r.seconds for r in records):.0f} s in {len(records)} runs in {results}", style="dim")
    if len(of_seeds) > 1 and not as_json:
        show_seeds(of_seeds, request.registry)


def jobs_of(strategy: str, stages: Sequence[Stage], seed: int, seeds: int, recipe: Applied | None) -> list[Job]:
    from glue_harness.jobs.graph import Job

    jobs = []
    for number, stage in enumerate(stages, 1):
        plan = stage.plan.replace(seed=seed)
        name = f"{strategy} {number}/{len(stages)}: {stage.name}" + (f", seed {seed}" if seeds > 1 else "")
        notes = (recipe.note(plan),) if recipe else ()
        jobs.append(Job(plan, f"{strategy}: {stage.name}", name, notes))
    return jobs


def show_stages(stages: Sequence[Stage], request: Request, seeds: int, results: Path, as_json: bool) -> None:
    """What would run, what is done already, and what the rest will cost."""
    from glue_harness.core.writing import json_text
    from glue_harness.lab.assemble import assemble
    from glue_harness.lab.estimate import estimate
    from glue_harness.lab.request import make_request
    from glue_harness.runs.store import Store

    store, base = Store(results), request.plan
    rows: list[dict[str, Any]] = []
    wanted = range(base.seed, base.seed + seeds)
    for stage in stages:
        done = {seed: found for seed in wanted if (found := store.finished(stage.plan.digest, seed))}
        training = evaluation = 0.0
        steps = next((record.plan["steps"] for record in done.values()), stage.plan.steps)
        left = seeds - len(done)
        if left:  # timed on the model that the first stage starts from: a stage that follows has one of its size
            timed = stage.plan.replace(model=base.model, tokenizer=base.tokenizer)
            cost = estimate(assemble(make_request(timed, request.registry, store)))
            training, evaluation = left * cost["training_seconds"], left * cost["evaluation_seconds"]
            steps = cost["steps"]
        rows.append(
            {
                "stage": stage.name,
                "tasks": list(stage.plan.tasks),
                "model": stage.plan.model,
                "steps": steps,
                "plan": stage.plan.digest,
                "finished": done[base.seed].id if base.seed in done else None,
                "seeds_left": [seed for seed in wanted if seed not in done],
                "training_seconds": training,
                "evaluation_seconds": evaluation,
            }
        )
    total = {part: sum(row[part] for row in rows) for part in ("training_seconds", "evaluation_seconds")}
    if as_json:
        click.echo(json_text({"stages": rows, **total}))
        return
    seconds = [row["training_seconds"] + row["evaluation_seconds"] for row in rows]
    minutes = [f"{s / 60:.1f}" if row["seeds_left"] else "done" for row, s in zip(rows, seconds, strict=True)]
    lines = [
        (row["stage"], ",".join(row["tasks"]), row["model"], f"{row['steps']:,}", row["plan"], shown)
        for row, shown in zip(rows, minutes, strict=True)
    ]
    show(table(("stage", "tasks", "model", "steps", "plan", "minutes"), lines, right=("steps", "minutes")))
    for_training, for_evaluation = map(lasting, total.values())
    of = f" of {seeds} seeds" if seeds > 1 else ""
    say(f"about {for_training} of training and {for_evaluation} of evaluation{of}; nothing was trained")
