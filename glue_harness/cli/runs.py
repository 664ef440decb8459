"""`glue runs`: which runs there are, what they hold on disk, marks on them, and their removal."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from glue_harness.cli.care import keep, prune, remark, rm, tag
from glue_harness.cli.finding import finding, finding_options, open_store
from glue_harness.cli.options import json_option, open_registry, results_option, task_folders_option
from glue_harness.cli.streams import Names, Shown, emit
from glue_harness.core.errors import UsageError
from glue_harness.report.console import TableColumn, in_bytes, note, one_line, or_dash, table_of

if TYPE_CHECKING:
    from glue_harness.core.record import Record
    from glue_harness.runs.store import Store

NEWEST = 30
COMMANDLINE = click.core.ParameterSource.COMMANDLINE


@click.group(invoke_without_command=True)
@finding_options()
@click.option("--all", "show_all", is_flag=True, help=f"Every run, not the newest {NEWEST}; --json has every run.")
@results_option
@json_option
@click.pass_context
def command(context: click.Context, show_all: bool, results: Path, as_json: bool, **wanted: Any) -> None:
    """List the runs: status, mean score, time, size on disk, tags, newest last. Subcommands look after them.

    The score is the mean over tasks of the mean of their metrics. A wide screen shows notes too.

    \b
    RUN is an id or a part of it, its folder, latest, or a plan's digest: all
    its seeds. Commas join several.

    \b
    glue runs --task rte --since 7d
    glue runs --tag baseline --where lr=1e-4
    glue runs show latest
    glue runs tag latest baseline
    glue runs rm --status failed
    glue runs prune --checkpoints --model "*large*"
    glue runs watch
    """
    if context.invoked_subcommand:
        given = [p for p in command.params if p.name and context.get_parameter_source(p.name) is COMMANDLINE]
        if given:
            raise UsageError(f"{given[0].opts[-1]} stands before {context.invoked_subcommand}: write it behind")
        return
    store, records, by = open_store(results, finding(**wanted))
    shown = records if show_all or as_json else records[-NEWEST:]
    facts = [facts_of(record, store, by) for record in shown]
    emit(as_json, facts, drawn(facts), indent=2)
    if as_json:
        return
    if len(shown) < len(records):
        note(f"the newest {len(shown)} of {len(records):,} runs: --all shows every one")


@command.command()
@click.argument("name", metavar="RUN")
@results_option
@task_folders_option
@json_option
def show(name: str, results: Path, task_folders: Names, as_json: bool) -> None:
    """Show a run: how it went, its scores, what differs from the defaults, its parents, its size on disk.

    \b
    glue runs show latest
    glue runs show rte-tiny --json
    """
    from glue_harness.cli.progress import score_table
    from glue_harness.runs import care
    from glue_harness.runs.index import plan_of

    registry = open_registry(task_folders)
    store, (record, *others), children = open_store(results, names=(name,))
    if others:
        listed = ", ".join(one.id for one in (record, *others))
        raise UsageError(f"{name!r} means {1 + len(others)} runs, show takes one: {listed}")
    facts = facts_of(record, store, children)
    facts |= {"plan": plan_of(record).departures(), "parts": care.sizes(store, record)}
    facts |= {"notes": record.notes, "error": record.error, "folder": str(results / record.id)}

    def drawn_run() -> Shown:
        from glue_harness.cli.show import grid
        from glue_harness.core.writing import toml_text

        yield record.id, "bold"
        parts = sorted(facts["parts"].items(), key=lambda part: -part[1])
        texts = {
            "status": one_line(facts["status"] + (f": {record.error}" if record.error else "")),
            "began": record.started[:19].replace("T", " ") + " UTC" if record.started else "",
            "took": f"{record.seconds:,.0f} s" if record.seconds else "",
            "tags": one_line(" ".join(record.tags)),
            "note": one_line(record.note),
            "kept": "yes" if record.kept else "",
            "plan": " ".join([record.digest, f"seed {record.plan.get('seed', 0)}"]),
            "settings": "\n".join(f"{key} = {toml_text(value)}" for key, value in facts["plan"].items()),
            "started from": "\n".join(record.parents["model"]),
            "taught by": "\n".join(record.parents["teacher"]),
            "starts for": "\n".join(facts["children"]),
            "on disk": ", ".join(f"{part} {in_bytes(size)}" for part, size in parts),
            "folder": facts["folder"],
            "notes": "\n".join(map(one_line, record.notes)),
        }
        yield grid({name: text for name, text in texts.items() if text})
        if record.scores:
            yield score_table(record.scores, registry)

    emit(as_json, facts, drawn_run(), indent=2)


@command.command()
@click.argument("name", required=False, metavar="[RUN]")
@click.option("--every", type=click.FloatRange(min=0.1), default=1.0, show_default=True, help="Seconds between looks.")
@results_option
@json_option
def watch(name: str | None, every: float, results: Path, as_json: bool) -> None:
    """Watch runs that other processes carry out: step, loss, time left, last scores. It reads files only.

    On a terminal until they end, or Ctrl-C; elsewhere, and with --json, once.

    \b
    glue runs watch
    glue runs watch latest --json
    """
    from glue_harness.cli.watch import follow
    from glue_harness.runs.store import Store

    follow(Store(results), name, every, as_json)


def facts_of(record: Record, store: Store, children: dict[str, list[str]]) -> dict[str, Any]:
    from glue_harness.runs import care
    from glue_harness.runs.finding import status_of

    return {
        "id": record.id,
        "status": status_of(record, store),
        "tasks": record.plan["tasks"],
        "model": record.plan.get("model"),
        "method": record.plan.get("method"),
        "seed": record.plan.get("seed", 0),
        "digest": record.digest,
        "started": record.started,
        "seconds": record.seconds,
        "score": care.mean_score(record),
        "scores": {task: score.metrics for task, score in record.scores.items()},
        "bytes": sum(care.sizes(store, record).values()),
        "tags": record.tags,
        "note": record.note,
        "kept": record.kept,
        "parents": care.parents(record),
        "children": children.get(record.id, []),
    }


def drawn(facts: Sequence[dict[str, Any]]) -> Shown:
    columns = [
        TableColumn("run", lambda fact: fact["id"]),
        TableColumn("status", lambda fact: one_line(fact["status"]), whole=True),
        TableColumn("score", lambda fact: or_dash(fact["score"], ".2f"), right=True, whole=True),
        TableColumn("seconds", lambda fact: f"{fact['seconds']:,.0f}", right=True, whole=True, wide=True),
        TableColumn("on disk", lambda fact: in_bytes(fact["bytes"]), right=True, whole=True),
        TableColumn("tags", lambda fact: one_line(" ".join([*fact["tags"], *(["(kept)"] if fact["kept"] else [])]))),
        TableColumn("note", lambda fact: one_line(fact["note"]), wide=True),
    ]
    if facts:
        yield table_of(facts, columns, style=lambda fact: "" if fact["status"] == "finished" else "dim")


for looking_after in (tag, remark, keep, rm, prune):
    command.add_command(looking_after)
