"""`glue run --dry-run`: what a run will see, cost, and be able to find."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from glue_harness.cli.progress import describe
from glue_harness.report.console import lasting, note, say, show, table

if TYPE_CHECKING:
    from glue_harness.lab.assemble import Setup
    from glue_harness.lab.request import Request


def what_seeds_find(setup: Setup, results: Path) -> list[str]:
    """The least differences that are found with 80 %, of each value whose spread over seeds is known."""
    from glue_harness.report.spread import findable, on_same_data, repeated
    from glue_harness.runs.store import Store

    request, store = setup.request, Store(results)
    everything, found = repeated(store.summaries()[0]), []
    for task in request.scored:
        data = {setup.data.rows.by_role[task.name]["validation"].fingerprint}
        own = on_same_data(everything, task.name, data)
        found += findable([task.name], own, store, request.registry, request.plan.is_demo)
    if not found:
        return ["what seeds can find is not known here: glue power, after three seeds of a plan or more"]
    of_seeds = (f"{one.label} {one.recipes[3]:.2f} / {one.recipes[5]:.2f} / {one.recipes[10]:.2f}" for one in found)
    return [f"least difference that 3 / 5 / 10 seeds find with 80 % (see glue power): {', '.join(of_seeds)}"]


def show_dry_run(request: Request, results: Path, as_json: bool, show_all: bool, seeds: Sequence[int]) -> None:
    """The plan, or what of it differs from the defaults, what it will cost for the seeds left, and what it can find."""
    from glue_harness.core.writing import json_text
    from glue_harness.lab.assemble import WORTH_SAYING, assemble
    from glue_harness.lab.estimate import estimate
    from glue_harness.lab.rundata import cut_off

    setup = assemble(request)
    cost = estimate(setup)
    lengths: dict[str, dict[str, Any]] = {}
    for (task, role), found in setup.data.lengths.items():
        lengths.setdefault(task, {})[role] = found._asdict()
    if as_json:
        print(json_text({"plan": request.plan.to_dict(), "mix": setup.mix, "lengths": lengths, "seeds": seeds, **cost}))
        return
    say(request.plan.to_toml(None if show_all else request.plan.departures()))
    for text in (*request.notes, *setup.data.rows.notes):
        note(text)
    for (task, role), found in setup.data.lengths.items():
        if found.cut:
            say(f"{task} {role}: {cut_off(found)}", style="yellow" if found.share > WORTH_SAYING else None)
    columns = ("task", "rows", "rate", "probability", "examples", "epochs")
    formats = ("{:,}", "{:g}", "{:.2%}", "{:,.0f}", "{:.2f}")
    rows = [(name, *(f.format(v) for f, v in zip(formats, m.values(), strict=True))) for name, m in setup.mix.items()]
    show(table(columns, rows, right=columns[1:]))
    for line in describe(setup):
        say(line)
    for line in what_seeds_find(setup, results):
        say(line)
    say(f"plan {request.plan.digest}: {lasting_of(cost)}; nothing was trained")
    if list(seeds) != [request.plan.seed]:
        whole = len(seeds) * (cost["training_seconds"] + cost["evaluation_seconds"])
        say(f"left to do, seed by seed: {', '.join(map(str, seeds)) or 'none'}; about {lasting(whole)} in all")


def lasting_of(cost: Mapping[str, Any]) -> str:
    """What an estimate says of time."""
    training, evaluation = lasting(cost["training_seconds"]), lasting(cost["evaluation_seconds"])
    step, times = f"{1000 * cost['seconds_per_step']:,.0f} ms a step", f"{cost['evaluations']:,}"
    return f"about {training} of training ({step}) and {evaluation} of {times} evaluations"
