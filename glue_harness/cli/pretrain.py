"""`glue pretrain`: a model learns from text alone, and is what later runs start from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from glue_harness.cli.options import (
    json_option,
    open_registry,
    plan_option,
    results_option,
    settings_option,
    task_folders_option,
)
from glue_harness.core.errors import UsageError, unknown
from glue_harness.core.names import LATEST
from glue_harness.suite.registry import Registry


@click.command()
@click.option(
    "--objective",
    metavar="NAME",
    help="Encoders: mlm, mlm+nsp. Decoders: causal. BiLSTM, CBOW: bilm, cbow, skipgram. T5: span_corruption, "
    "prefix_lm, bert_style, mass_style, replace_spans, drop_tokens, deshuffling.  [default: the model's first]",
)
@plan_option("model", default="bert:mini")
@plan_option("tokenizer")
@plan_option("text", "File or folder of plain text, a blank line between paragraphs; without it --data.")
@click.option("--data", metavar="WHERE", help="Instead of --text: demo, demo:ROWS or a folder.")
@plan_option("steps")
@plan_option("batch_size")
@plan_option("lr")
@plan_option("optimizer")
@plan_option("eval_every")
@plan_option("device")
@plan_option("seed")
@plan_option("method", "full, or distil: a student's inner states are held to those of a --teacher.")
@plan_option("teacher", "Encoder that has learned already: a folder or a run; for --method distil.")
@plan_option("match", "How: tinybert or minilm; for --method distil.")
@plan_option("alpha", "Share of the loss that is the teacher's; the rest is the objective's.")
@settings_option
@click.option(
    "--resume",
    is_flag=False,
    flag_value=LATEST,
    metavar="[RUN]",
    help="Go on with a run, without a name the newest unfinished one.",
)
@task_folders_option
@results_option
@click.option("--dry-run", is_flag=True, help="Show the settings, memory and time; train nothing.")
@click.option("-q", "--quiet", is_flag=True, help="Only the scores.")
@json_option
def command(
    objective: str | None,
    data: str | None,
    task_folders: tuple[str, ...],
    results: Path,
    resume: str | None,
    dry_run: bool,
    quiet: bool,
    as_json: bool,
    **given: Any,
) -> None:
    """Train a model on text alone. Its run is what others start from, with --model run:RUN.

    Every 20th paragraph is held out; the run is scored on these: the share of tokens that were told, and the
    probability that they were given. The run is one like any other: resumed, compared, drawn and shown.

    \b
    glue pretrain --model bert:mini --text DIR --steps 20000
    glue pretrain --objective causal --model gpt:small --text DIR
    glue pretrain --objective mlm+nsp --text DIR
    glue pretrain --model bert:mini --text DIR --set whole_words=on
    glue pretrain --model t5:small --tokenizer DIR --text DIR
    glue pretrain --text T -m DIR --method distil --teacher DIR --match minilm
    glue pretrain --objective bilm --model bilstm --text DIR --set words=8000
    glue pretrain --objective skipgram --model cbow --text DIR
    glue run --task sst2 --data DIR --model run:latest
    """
    from glue_harness.cli.dry_run import show_dry_run
    from glue_harness.cli.run import carry_out, find_begun, plan_of, show_record
    from glue_harness.lab.request import make_request
    from glue_harness.report.console import note
    from glue_harness.runs.resume import agreed_plan
    from glue_harness.runs.store import Store

    registry, store = open_registry(task_folders), Store(results)
    begun = find_begun(store, resume, False, dry_run=dry_run)
    values = dict(begun.plan) if begun else {}
    if not begun:
        model = given["model"] or "bert:mini"
        values = {"model": model, "data": data or "demo", "tasks": [objective_of(objective, model, registry)]}
        if given["text"] is None and data is None:
            raise UsageError("no text: give some with --text FILE or DIR, or --data demo to try")
    elif objective or data:
        raise UsageError("--resume goes on with a run as it was begun: leave out --objective and --data")
    plan, _ = plan_of(values, {}, given, registry, store)
    request = make_request(plan, registry, store)
    if not dry_run:
        store.prove()
    if begun:
        agreed_plan(begun, request.plan, False)
        if begun.status == "finished":
            note(f"run {begun.id} is finished: there is nothing left to do")
    from glue_harness.lab.assemble import settle  # torch begins here

    request = settle(request)
    if dry_run:
        show_dry_run(request, results, as_json, False, [request.plan.seed])
        return
    record = carry_out(request, results, quiet, resume=begun and begun.id)
    show_record(record, registry, results / record.id, as_json)


def objective_of(asked: str | None, model: str, registry: Registry) -> str:
    """The task that stands for it; of none, what the model's family learns from text alone."""
    from glue_harness.models.families import families, known_of

    known = sorted(task.name for task in registry.tasks.values() if task.noise)
    if asked is not None:
        asked = asked.replace("+", "_")
        if asked not in known:
            raise unknown("objective", asked, known)
        return asked
    family = known_of(model).family
    if family is None:
        raise UsageError(f"what model {model!r} learns from text alone is not known: name it with --objective")
    own = next(one.objective for one in families() if one.name == family)
    if not own:
        raise UsageError(f"model {model!r} cannot learn from text alone: use a T5, an encoder or a decoder")
    return own
