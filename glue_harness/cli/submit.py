"""`glue submit`: the zip that the official server scores, made from runs; and a check of any such zip."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from glue_harness.cli.options import json_option, open_registry, results_option, task_folders_option
from glue_harness.core.errors import DataError, UsageError

if TYPE_CHECKING:
    from glue_harness.suite.registry import Registry

MARK = "demo"  # in the name of a zip that must not be taken for a real one


@click.command()
@click.argument("runs", nargs=-1, metavar="[RUN ...]")
@click.option("--suite", metavar="NAME", help="glue or superglue.  [default: the one that the runs learned]")
@click.option("--data", "where", metavar="WHERE", help="hub, demo or a folder.  [default: where each run had its data]")
@click.option("--out", type=click.Path(path_type=Path), help="The zip.  [default: in the first run's folder]")
@click.option("--fill-missing", is_flag=True, help="Majority answers for tasks that no run learned.")
@click.option("--check", "zip_file", type=click.Path(path_type=Path), help="Name every fault of this zip instead.")
@results_option
@task_folders_option
@json_option
def command(
    runs: tuple[str, ...],
    suite: str | None,
    where: str | None,
    out: Path | None,
    fill_missing: bool,
    zip_file: Path | None,
    results: Path,
    task_folders: tuple[str, ...],
    as_json: bool,
) -> None:
    """Answer the test splits of a suite and zip the answers for its official server.

    Each task is answered at the step that was best for it, by the first RUN that learned it. AX is answered by the
    model of MNLI, AX-b and AX-g by that of RTE. WNLI, on which T5 does not train: by a run that did, else as in T5 by
    a model of WSC, else by --fill-missing.

    \b
    glue submit RUN --data DIR
    glue submit GLUE_RUN WNLI_RUN --fill-missing --out glue.zip
    glue submit --check glue.zip
    """
    from glue_harness.data import is_demo
    from glue_harness.report.console import note, say, show, table
    from glue_harness.runs.store import Store, refuse_scored
    from glue_harness.submit import assign, file_text, suite_of, write_zip

    registry = open_registry(task_folders)
    if zip_file:
        if runs or where or out or fill_missing:
            raise UsageError("--check looks at a zip that is there: leave out RUN, --data, --out and --fill-missing")
        report_faults(zip_file, registry, suite, as_json)
        return
    if not runs:
        raise UsageError("name a run, or a zip with --check")
    store = Store(results)
    records = [store.find(name) for name in runs]
    for record in records:
        refuse_scored(record, "nothing can answer the test rows")
    suite = suite or suite_of(registry, records)
    assigned = assign(registry, suite, records)
    if (missing := [one.file for one in assigned if not one.step]) and not fill_missing:
        raise UsageError(f"no run answers {', '.join(missing)}: name more runs, or give --fill-missing")
    learned = [one.record for one in assigned if is_demo(one.record.plan["data"])]
    if learned and not where:  # synthetic rows are answered on request only
        fix = f"give --data {learned[0].plan['data']} to have a zip all the same"
        raise UsageError(f"run {learned[0].id} learned synthetic rows: {fix}")
    mark = f"-{MARK}" if learned or is_demo(where or "") else ""
    out = out or store.run_folder(records[0].id) / f"{suite}{mark}.zip"
    if mark and MARK not in out.name:
        raise UsageError(f"these answers are a demo's: --out must have {MARK!r} in its name, not {out.name!r}")
    from glue_harness.submit.answers import answer_files  # brings torch with it: names were checked before

    answers, notes = answer_files(assigned, registry, store, where)
    write_zip(out, {file: file_text(task, answers[file]) for file, task, *_ in assigned})
    for remark in notes:
        note(remark)
    facts = [
        {
            "file": file,
            "task": task.name,
            "run": record.id if step else None,
            "step": step or None,
            "rows": len(answers[file]),
        }
        for file, task, record, step in assigned
    ]
    if as_json:
        click.echo(json.dumps({"file": str(out), "suite": suite, "parts": facts, "notes": notes}))
        return
    lines = [["-" if value is None else value for value in fact.values()] for fact in facts]
    show(table([*facts[0]], lines, right=("step", "rows")))
    say(str(out))


def report_faults(zip_file: Path, registry: Registry, suite: str | None, as_json: bool) -> None:
    from glue_harness.report.console import say
    from glue_harness.submit.check import check

    faults = check(zip_file, registry, suite)
    if as_json:
        click.echo(json.dumps({"file": str(zip_file), "faults": faults}))
    else:
        for line in faults or [f"{zip_file}: no fault"]:
            say(line)
    if faults:
        raise DataError(f"{str(zip_file)!r} has {len(faults)} fault{'s' * (len(faults) > 1)}")
