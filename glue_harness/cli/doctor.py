"""`glue doctor`: is the data what it claims to be, and is the machine ready?"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator
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
@click.option("--model", type=click.Path(path_type=Path), metavar="FOLDER", help="Also try to load this model.")
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
    that is a subset.

    \b
    glue doctor --data DIR
    glue doctor --data DIR --task mnli --model MODEL_DIR --json
    """
    from glue_harness.doctor.data import choose, examine
    from glue_harness.doctor.machine import examine_machine

    if model and not model.is_dir():
        raise UsageError(f"--model {str(model)!r} is not a folder: name one that save_pretrained wrote")
    registry = open_registry(task_folders)
    sets, absent = choose(registry, split_names(names), data)
    findings = [*examine(sets, data, registry.tasks.values()), *examine_machine(results, model)]
    if as_json:
        click.echo(json.dumps(as_facts(findings), indent=2))
    else:
        show_findings(findings, [tasks[0].name for tasks in absent])
    if is_wrong(findings):
        sys.exit(1)


def is_wrong(findings: Iterable[Finding]) -> bool:
    return any(finding.state == "FAIL" for finding in findings)


def as_facts(findings: list[Finding]) -> dict[str, object]:
    return {"ok": not is_wrong(findings), "findings": [finding._asdict() for finding in findings]}


def show_findings(findings: list[Finding], absent: list[str]) -> None:
    from rich.text import Text

    from glue_harness.report.console import note, printable, say, show, table

    show(
        table(
            COLUMNS,
            (
                [where, Text(state, style=STYLES[state]), check, Text(printable(text))]
                for where, state, check, text in told(findings)
            ),
        )
    )
    if absent:
        note(f"not looked at, for want of data: {', '.join(absent)}")
    count = {state: sum(finding.state == state for finding in findings) for state in STYLES}
    say(f"{count['FAIL']} wrong, {count['warn']} to be aware of, {count['ok']} checks fine")


def told(findings: list[Finding]) -> Iterator[tuple[str, str, str, str]]:
    """A line for all that is well in one place, and one with its fix for all that is not."""
    for where in dict.fromkeys(finding.where for finding in findings):
        here = [finding for finding in findings if finding.where == where]
        if fine := [finding.text for finding in here if finding.state == "ok"]:
            yield where, "ok", "", "; ".join(fine)
        for finding in here:
            if finding.state != "ok":
                fix = f"\nfix: {finding.fix}" if finding.fix else ""
                yield where, finding.state, finding.check, finding.text + fix
