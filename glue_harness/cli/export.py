"""`glue export`: a run's model as a folder that transformers, or peft, reads."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from glue_harness.cli.options import json_option, open_registry, results_option, task_folders_option
from glue_harness.core.errors import UsageError
from glue_harness.core.names import is_safe_name
from glue_harness.core.writing import json_text

if TYPE_CHECKING:
    from glue_harness.core.record import Record
    from glue_harness.suite.registry import Registry

MODEL, NAME = "model", "every-eval-ever"


@click.command()
@click.argument("run", metavar="RUN")
@click.option(
    "--to",
    type=click.Choice((MODEL, NAME)),
    default=MODEL,
    show_default=True,
    help="The model as a folder, or its scores as a file of that schema.",
)
@click.option("-t", "--task", "name", metavar="NAME", help="Which task's head and best step.  [default: the only one]")
@click.option("--out", type=click.Path(path_type=Path), help="The folder.  [default: export/TASK in the run's folder]")
@click.option("--model-id", metavar="OWNER/NAME", help=f"With --to {NAME}: what the model is called on the Hub.")
@click.option("--merged", is_flag=True, help="Of a lora run the whole model, its updates added to the base.")
@click.option("--force", is_flag=True, help="Replace an earlier export in that folder.")
@results_option
@task_folders_option
@json_option
def command(
    run: str,
    to: str,
    name: str | None,
    out: Path | None,
    model_id: str | None,
    merged: bool,
    force: bool,
    results: Path,
    task_folders: tuple[str, ...],
    as_json: bool,
) -> None:
    """Write a run's model, at the step that was best for a task, or its scores, for use without glue.

    \b
    An encoder becomes what AutoModelForSequenceClassification (or
    ...ForMultipleChoice, ...ForQuestionAnswering) and AutoTokenizer load, with
    the names of its labels; a T5 or decoder what AutoModelForSeq2SeqLM or
    AutoModelForCausalLM loads, with how it generates; a lora run and the prompt
    of a model that writes what peft lays over their base.
    README.md says how to use it, what it scored, on which data, and its plan;
    .eval_results/ says so to the Hub, where the rows came from there.

    \b
    Every Eval Ever collects scores of all tools: --to every-eval-ever writes
    BENCHMARK/DEVELOPER/MODEL/UUID.json, for its data/, in schema 0.2.1.

    \b
    glue export latest
    glue export RUN --task mnli --out mnli-model
    glue export LORA_RUN --merged --out whole-model
    glue export RUN --to every-eval-ever --model-id me/my-model --out data
    """
    from glue_harness.core.plan import default_of
    from glue_harness.export import check_out, choose
    from glue_harness.report.console import note, say
    from glue_harness.runs.store import Store, refuse_scored

    registry, store = open_registry(task_folders), Store(results)
    record = store.find(run)
    if to == NAME:
        if merged or force:
            raise UsageError(f"--{'merged' if merged else 'force'} is for models: leave it out with --to {NAME}")
        write_scores(record, registry, out or store.run_folder(record.id) / "export" / NAME, model_id, name, as_json)
        return
    if model_id:
        raise UsageError(f"--model-id names a model among scores: add --to {NAME}")
    refuse_scored(record, "there is no model to export")
    chosen = choose(registry, record, name)
    out = out or store.run_folder(chosen.record.id) / "export" / chosen.task.name
    check_out(out, force)
    from glue_harness.export.folder import write  # brings torch with it: names were checked before

    made = write(chosen, store, registry, out, merged)
    if chosen.record.status != "finished":
        note(f"run {chosen.record.id} is {chosen.record.status}, not finished")
    if (weights := chosen.record.plan.get("weights", default_of("weights"))) != default_of("weights"):
        note(f"its {weights} weights are written as the floats of 32 bits that they stand for")
    if as_json:
        facts = {"folder": str(out), "run": chosen.record.id, "task": chosen.task.name, "step": chosen.step}
        click.echo(json_text({**facts, **made.to_facts()}))
        return
    say(f"{chosen.task.name} at step {chosen.step:,} of run {chosen.record.id}")
    say(f"for {made.reader}" + (f" and peft, on {made.base}" if made.base else "") + "; README.md says how to use it")
    say(str(out))


def write_scores(
    record: Record, registry: Registry, out: Path, model_id: str | None, name: str | None, as_json: bool
) -> None:
    from glue_harness.export.every_eval_ever import write
    from glue_harness.report.console import note, say

    if model_id is not None and not (model_id.count("/") == 1 and all(map(is_safe_name, model_id.split("/")))):
        raise UsageError(f"--model-id {model_id!r}: write it as OWNER/NAME")
    file, left_out = write(record, registry, out, model_id, name and registry.task(name).name)
    if record.status != "finished":
        note(f"run {record.id} is {record.status}, not finished")
    if left_out:
        note(f"left out, because undefined or of no known range: {', '.join(left_out)}", style="yellow")
    say(json_text({"file": str(file), "run": record.id}) if as_json else str(file))
