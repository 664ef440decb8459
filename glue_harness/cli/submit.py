"""`glue submit`: the zip that the official server scores, made from runs; and a check of any such zip."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from glue_harness.cli.options import json_option, open_registry, results_option, task_folders_option
from glue_harness.core.errors import DataError, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from glue_harness.runs.store import Store
    from glue_harness.submit import Part
    from glue_harness.submit.answers import Answered
    from glue_harness.suite.registry import Registry

COLUMNS = ("file", "task", "run", "step", "rows")
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

    \b
    Each task is answered at the step that was best for it, by the first RUN that learned it.
    AX is answered by the model of MNLI, AX-b and AX-g by that of RTE.
    WNLI, on which T5 does not train: by a run that did, else as in T5 by a model
    of WSC, else by --fill-missing.

    \b
    glue submit RUN --data DIR
    glue submit GLUE_RUN WNLI_RUN --fill-missing --out glue.zip
    glue submit --check glue.zip
    """
    from glue_harness.runs.store import Store

    registry = open_registry(task_folders)
    if zip_file:
        if runs or where or out or fill_missing:
            raise UsageError("--check looks at a zip that is there: leave out RUN, --data, --out and --fill-missing")
        report_faults(zip_file, registry, suite, as_json)
        return
    if not runs:
        raise UsageError("name a run, or a zip with --check")
    make_zip(runs, suite, where, out, fill_missing, registry, Store(results), as_json)


def report_faults(zip_file: Path, registry: Registry, suite: str | None, as_json: bool) -> None:
    from glue_harness.report.console import say
    from glue_harness.submit.check import check

    faults = check(zip_file, registry, suite)
    if as_json:
        click.echo(json.dumps({"file": str(zip_file), "faults": faults}))
    else:
        for fault in faults:
            say(fault)
    if faults:
        raise DataError(f"{str(zip_file)!r} has {len(faults)} fault{'s' * (len(faults) > 1)}")
    if not as_json:
        say(f"{zip_file}: no fault")


def make_zip(
    names: Sequence[str],
    suite: str | None,
    where: str | None,
    out: Path | None,
    fill_missing: bool,
    registry: Registry,
    store: Store,
    as_json: bool,
) -> None:
    from glue_harness.submit import parts, suite_of, write_zip

    records = [store.find(name) for name in names]
    suite = suite or suite_of(registry, records)
    planned = parts(registry, suite, records)
    if (missing := [part.file for part in planned if not part.step]) and not fill_missing:
        raise UsageError(f"no run answers {', '.join(missing)}: name more runs, or give --fill-missing")
    synthetic = is_synthetic(planned, where)
    out = out or store.run_folder(records[0].id) / f"{suite}{f'-{MARK}' if synthetic else ''}.zip"
    if synthetic and MARK not in out.name:
        raise UsageError(f"these answers are a demo's: --out must have {MARK!r} in its name, not {out.name!r}")
    from glue_harness.submit.answers import answer_parts  # brings torch with it: names were checked before

    answered = answer_parts(planned, registry, store, where)
    write_zip(out, answered.texts)
    show_made(out, suite, planned, answered, as_json)


def is_synthetic(planned: Sequence[Part], where: str | None) -> bool:
    """Whether synthetic rows were learned or are answered: only on request, by naming --data."""
    from glue_harness.data import is_demo

    learned = [part.record for part in planned if is_demo(part.record.plan["data"])]
    if learned and not where:
        fix = f"give --data {learned[0].plan['data']} to have a zip all the same"
        raise UsageError(f"run {learned[0].id} learned synthetic rows: {fix}")
    return bool(learned) or is_demo(where or "")


def show_made(out: Path, suite: str, planned: Sequence[Part], answered: Answered, as_json: bool) -> None:
    from glue_harness.report.console import note, say, show, table

    facts = [
        {
            "file": part.file,
            "task": part.task.name,
            "run": part.record.id if part.step else None,
            "step": part.step or None,
            "rows": answered.rows[part.file],
        }
        for part in planned
    ]
    for remark in answered.notes:
        note(remark)
    if as_json:
        click.echo(json.dumps({"file": str(out), "suite": suite, "parts": facts, "notes": answered.notes}))
        return
    cells = [["-" if fact[column] is None else fact[column] for column in COLUMNS] for fact in facts]
    show(table(COLUMNS, cells, right=("step", "rows")))
    say(str(out))
