"""`glue doctor`: is the data what it claims to be, and is the machine ready?"""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from glue_harness.cli.options import (
    data_option,
    json_option,
    open_registry,
    results_option,
    split_names,
    task_folders_option,
)
from glue_harness.core.errors import UsageError

if TYPE_CHECKING:
    from glue_harness.doctor import Finding

COLUMNS = ("where", "state", "check", "finding")
STYLES = {"ok": "green", "warn": "yellow", "FAIL": "bold red"}


@click.command()
@click.option("--task", "-t", "names", multiple=True, help="Tasks or suites; default: all whose data is there.")
@data_option()
@click.option(
    "--model", type=click.Path(path_type=Path), metavar="FOLDER", help="Also load this model, and see what it cuts off."
)
@results_option
@task_folders_option
@json_option
def command(
    names: tuple[str, ...], data: str, model: Path | None, results: Path, task_folders: tuple[str, ...], as_json: bool
) -> None:
    """Examine data and machine: exit code 1 if anything is wrong, 0 with warnings only.

    Rows are counted, encoded, compared between splits, and held against what real rows of their task show.
    Nothing in the rows tells, so it is not found, when the texts of a symmetric pair are exchanged (MRPC, QQP, STS-B,
    WiC), the labels of COPA, WNLI or WSC, or entailment and neutral in CB; or when a file ends early at a line's end:
    that is a subset. With --model it also says what share of the examples and tokens a run would cut off.

    \b
    glue doctor --data DIR
    glue doctor --data DIR --task mnli --model MODEL_DIR --json
    """
    from glue_harness.doctor.data import choose, examine
    from glue_harness.doctor.lengths import lengths
    from glue_harness.doctor.machine import examine_machine, model_folder

    if model and not model.is_dir():
        raise UsageError(f"--model {str(model)!r} is not a folder: name one that save_pretrained wrote")
    registry = open_registry(task_folders, split_names(names))
    sets, absent = choose(registry, split_names(names), data)
    findings = [*examine(sets, data, registry.tasks.values()), *examine_machine(results)]
    if model:
        told, loaded = model_folder(model, [task for tasks in sets for task in tasks])
        findings.append(told)
        if loaded:
            findings += lengths(sets, data, loaded)
    is_wrong = any(finding.state == "FAIL" for finding in findings)
    if as_json:
        facts = {"ok": not is_wrong, "findings": [finding._asdict() for finding in findings]}
        click.echo(json.dumps(facts, indent=2))
    else:
        show_findings(findings, [tasks[0].name for tasks in absent])
    if is_wrong:
        sys.exit(1)


def show_findings(findings: Sequence[Finding], absent: Sequence[str]) -> None:
    """A row for all that is well in one place, and one with its fix for each thing that is not."""
    from rich.text import Text

    from glue_harness.report.console import note, printable, say, show, table

    rows: list[list[str | Text]] = []
    for where in dict.fromkeys(finding.where for finding in findings):
        here = [finding for finding in findings if finding.where == where]
        if fine := [finding.text for finding in here if finding.state == "ok"]:
            rows.append([where, Text("ok", style=STYLES["ok"]), "", Text(printable("; ".join(fine)))])
        for _, check, state, text, fix in (finding for finding in here if finding.state != "ok"):
            told = f"{text}\nfix: {fix}" if fix else text
            rows.append([where, Text(state, style=STYLES[state]), check, Text(printable(told))])
    show(table(COLUMNS, rows))
    if absent:
        note(f"not looked at, for want of data: {', '.join(absent)}")
    count = Counter(finding.state for finding in findings)
    say(f"{count['FAIL']} wrong, {count['warn']} to be aware of, {count['ok']} checks fine")
