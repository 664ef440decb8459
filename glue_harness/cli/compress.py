"""`glue compress`: a finished run's model with its weights in fewer bits, as a run of its own."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import click

from glue_harness.cli.options import (
    json_option,
    open_registry,
    results_option,
    said_of,
    said_options,
    task_folders_option,
)
from glue_harness.cli.streams import emit
from glue_harness.core.errors import UsageError


@click.command()
@click.argument("run", metavar="RUN")
@click.option(
    "--int8",
    type=click.Choice(("dynamic", "weight-only")),
    help="8-bit matrices; dynamic: inputs become 8-bit too, each token by a scale of its own.",
)
@click.option("--bf16", is_flag=True, help="All weights in 16 bits: half the bytes, the cheap baseline.")
@click.option("-t", "--task", "name", metavar="NAME", help="Whose best step, of a run that has several.")
@click.option("--no-cost", is_flag=True, help="Do not measure bytes and time in turns with RUN's (glue cost).")
@said_options
@results_option
@task_folders_option
@click.option("-q", "--quiet", is_flag=True, help="Only the scores.")
@json_option
def command(
    run: str,
    int8: str | None,
    bf16: bool,
    name: str | None,
    no_cost: bool,
    results: Path,
    task_folders: tuple[str, ...],
    quiet: bool,
    as_json: bool,
    **given: object,
) -> None:
    """Keep a finished run's weights in fewer bits, score them on the same rows, and record that as a run.

    \b
    int8: the matrices of the blocks, and an encoder's table of words, become
    whole numbers of 8 bits with a scale for each of their rows. Of encoders, T5
    and decoders of Llama's kind, on a CPU. Asked twice, it shows the first run.

    \b
    glue compress RUN --int8 dynamic
    glue compress RUN --int8 weight-only --task mnli
    glue compress RUN --bf16
    glue compare RUN COMPRESSED --pareto     what it costs, and what it saves
    """
    from glue_harness.cli.cost import EXAMPLES, ROUNDS, drawn, measured, shared_task
    from glue_harness.cli.run import carry_out, show_record
    from glue_harness.lab.compression import compressed_plan, luck_of
    from glue_harness.lab.request import make_request
    from glue_harness.report.console import note
    from glue_harness.runs.store import Store

    if bool(int8) == bf16:
        raise UsageError("say how: --int8 dynamic, --int8 weight-only or --bf16, one of them")
    registry, store = open_registry(task_folders, [name] if name else []), Store(results)
    base = store.find(run)
    plan = compressed_plan(base, f"int8-{int8}" if int8 else "bf16", name, store, registry)
    request = make_request(plan, registry, store)
    record = store.finished(request.plan.digest, request.plan.seed)
    if record:
        note(f"run {record.id} is that already, finished")
    else:
        store.prove()
        request = replace(request, notes=(*request.notes, *luck_of(base, request)))
        record = carry_out(request, results, quiet, **said_of(given))
    show_record(record, registry, results / record.id, as_json)
    if not no_cost:
        task = shared_task([base, record], registry, name)
        found = measured([base, record], task, store, registry, EXAMPLES, ROUNDS)
        if not as_json:  # it prints one thing, the run; what was measured lies in the runs' folders
            emit(False, None, drawn(found, ROUNDS))
