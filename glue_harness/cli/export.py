"""`glue export`: a run's model as a folder that transformers, or peft, reads."""

from __future__ import annotations

from pathlib import Path

import click

from glue_harness.cli.options import json_option, open_registry, results_option, task_folders_option
from glue_harness.core.writing import json_text


@click.command()
@click.argument("run", metavar="RUN")
@click.option("-t", "--task", "name", metavar="NAME", help="Which task's head and best step.  [default: the only one]")
@click.option("--out", type=click.Path(path_type=Path), help="The folder.  [default: export/TASK in the run's folder]")
@click.option("--merged", is_flag=True, help="Of a lora run the whole model, its updates added to the base.")
@click.option("--force", is_flag=True, help="Replace an earlier export in that folder.")
@results_option
@task_folders_option
@json_option
def command(
    run: str,
    name: str | None,
    out: Path | None,
    merged: bool,
    force: bool,
    results: Path,
    task_folders: tuple[str, ...],
    as_json: bool,
) -> None:
    """Write a run's model, at the step that was best for a task, for use without glue.

    \b
    An encoder becomes what AutoModelForSequenceClassification (or
    ...ForMultipleChoice, ...ForQuestionAnswering) and AutoTokenizer load, with
    the names of its labels; a T5 what AutoModelForSeq2SeqLM loads, with how it
    generates; a lora run and a T5's prompt what peft lays over their base.
    README.md says how to use it, what it scored, on which data, and its plan.

    \b
    glue export latest
    glue export RUN --task mnli --out mnli-model
    glue export LORA_RUN --merged --out whole-model
    """
    from glue_harness.export import check_out, choose
    from glue_harness.report.console import note, say
    from glue_harness.runs.store import Store, refuse_scored

    registry, store = open_registry(task_folders), Store(results)
    record = store.find(run)
    refuse_scored(record, "there is no model to export")
    chosen = choose(registry, record, name)
    out = out or store.run_folder(chosen.record.id) / "export" / chosen.task.name
    check_out(out, force)
    from glue_harness.export.folder import write  # brings torch with it: names were checked before

    made = write(chosen, store, registry, out, merged)
    if chosen.record.status != "finished":
        note(f"run {chosen.record.id} is {chosen.record.status}, not finished")
    if as_json:
        facts = {"folder": str(out), "run": chosen.record.id, "task": chosen.task.name, "step": chosen.step}
        click.echo(json_text({**facts, **made.to_facts()}))
        return
    say(f"{chosen.task.name} at step {chosen.step:,} of run {chosen.record.id}")
    say(f"for {made.reader}" + (f" and peft, on {made.base}" if made.base else "") + "; README.md says how to use it")
    say(str(out))
