"""Verbs of `glue runs` that change something: tag, note, keep, rm, prune."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from glue_harness.cli.finding import finding, finding_options, open_store
from glue_harness.cli.options import results_option, split_names
from glue_harness.cli.streams import Names
from glue_harness.core.errors import UsageError
from glue_harness.report.console import in_bytes, note, one_line, say

if TYPE_CHECKING:
    from glue_harness.core.record import Record

runs_argument = click.argument("names", nargs=-1, required=True, metavar="RUN [...]")


@click.command()
@click.argument("name", metavar="RUN")
@click.argument("tags", nargs=-1, required=True, metavar="TAG [...]")
@click.option("--remove", is_flag=True, help="Take these tags away.")
@results_option
def tag(name: str, tags: Names, remove: bool, results: Path) -> None:
    """Put tags on a run, or on all seeds of a plan, to find them by. They are no part of the experiment.

    \b
    glue runs tag latest baseline
    glue runs tag DIGEST baseline paper           all seeds of a plan
    glue runs tag latest baseline --remove
    """
    from glue_harness.runs import care

    marks = care.marks(split_names(tags))

    def how(record: Record) -> None:
        if remove:
            record.tags = [tag for tag in record.tags if tag not in marks.tags]
        else:
            marks.put_on(record)

    changed = mark(name, results, how)
    for record in changed:
        say(f"{record.id}: {one_line(' '.join(record.tags)) or 'no tags'}")


@click.command(name="note")
@click.argument("name", metavar="RUN")
@click.argument("text", metavar="TEXT")
@results_option
def remark(name: str, text: str, results: Path) -> None:
    """Write a note on a run, in the place of an earlier one; an empty text removes it.

    \b
    glue runs note latest "the rate was too high"
    glue runs note latest ""
    """
    from glue_harness.runs import care

    care.marks((), text)
    for record in mark(name, results, lambda record: setattr(record, "note", text)):
        say(f"{record.id}: {one_line(record.note) or 'no note'}")


@click.command()
@runs_argument
@click.option("--undo", is_flag=True, help="Let them go again.")
@results_option
def keep(names: Names, undo: bool, results: Path) -> None:
    """Mark runs to be kept: rm and prune leave them alone.

    \b
    glue runs keep latest
    glue runs keep RUN RUN --undo
    """
    for record in mark(",".join(names), results, lambda record: setattr(record, "kept", not undo)):
        say(f"{record.id}: {'kept' if record.kept else 'may be removed'}")


@click.command()
@click.argument("names", nargs=-1, metavar="[RUN ...]")
@finding_options()
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--force", is_flag=True, help="Also runs that are kept, at work, or that others started from.")
@results_option
def rm(names: Names, yes: bool, force: bool, results: Path, **wanted: Any) -> None:
    """Remove runs, by name or by what they are; both together must hold. It shows them, and asks.

    \b
    glue runs rm RUN RUN
    glue runs rm --status failed --since 2w
    glue runs rm --tag junk --yes
    """
    from glue_harness.runs import care

    chosen = finding(**wanted)
    if not names and not chosen:
        raise UsageError("rm takes runs, or options that say which: glue runs rm RUN, glue runs rm --status failed")
    store, records, children = open_store(results, chosen, names)
    stay = care.staying(store, records, children)
    if stay and names and not force:
        name, why = next(iter(stay.items()))
        raise UsageError(f"run {name} {why}: nothing was removed; --force removes it all the same")
    records = leave(records, {} if force else stay)
    held = {record.id: sum(care.sizes(store, record).values()) for record in records}
    if ask("remove", records, held, yes):
        for record in records:
            care.remove(store, record)
        say(f"removed {counted(records)}, {in_bytes(sum(held.values()))}")


@click.command()
@click.argument("names", nargs=-1, metavar="[RUN ...]")
@finding_options()
@click.option("--checkpoints", is_flag=True, help="Free weights; scores, answers, logs and plans stay.")
@click.option("--exports", is_flag=True, help="Free exported models in the runs' own folders.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--force", is_flag=True, help="Also of runs that are kept, or that others started from.")
@results_option
def prune(names: Names, checkpoints: bool, exports: bool, yes: bool, force: bool, results: Path, **wanted: Any) -> None:
    """Free disk space and keep the evidence: of runs that are named or meant by options, else of all finished ones.

    A run without weights can be compared, drawn and reported, but answers nothing new and starts no other run. Of
    unfinished runs only those that are named are pruned: they could no longer go on.

    \b
    glue runs prune --checkpoints
    glue runs prune --checkpoints --exports --task rte --yes
    """
    from glue_harness.runs import care

    parts = [*(care.LARGE if checkpoints else ()), *(care.EXPORTED if exports else ())]
    if not parts:
        raise UsageError("prune must know what to free: --checkpoints, --exports or both")
    store, records, children = open_store(results, finding(**wanted), names)
    stay = {}
    for record in records:
        why = care.reason_to_stay(store, record, children)
        if not names and record.status != "finished":
            stay[record.id] = f"is {record.status}, not finished"
        elif why and (not force or why == care.AT_WORK):
            stay[record.id] = why
    held = {record.id: care.held_by(care.sizes(store, record), parts) for record in records}
    records = leave([record for record in records if held[record.id]], stay)
    if ask("free", records, held, yes):
        freed = sum(care.free(store, record, parts) for record in records)
        say(f"freed {in_bytes(freed)} of {counted(records)}")


def mark(name: str, results: Path, how: Callable[[Record], None]) -> list[Record]:
    from glue_harness.runs import care

    store, records, _ = open_store(results, names=(name,))
    return [care.change(store, record, how) for record in records]


def leave(records: Sequence[Record], stay: dict[str, str]) -> list[Record]:
    """Those that go; of the others it is said why they do not."""
    for name, why in stay.items():
        note(f"left alone: {name} {why}")
    return [record for record in records if record.id not in stay]


def ask(what: str, records: Sequence[Record], held: dict[str, int], yes: bool) -> bool:
    """Whether to go on, by the user's word; what is meant is shown first."""
    if not records:
        note(f"there is nothing to {what}")
        return False
    for record in records:
        note(f"{record.id}  {one_line(record.status)}  {in_bytes(held[record.id])}", style=None)
    size = in_bytes(sum(held[record.id] for record in records))
    try:
        return yes or click.confirm(f"{what} {counted(records)}, {size}?", err=True)
    except click.Abort:
        raise UsageError(f"nobody answered, so nothing was done: --yes means to {what} them") from None


def counted(records: Sequence[Record]) -> str:
    return f"{len(records):,} run{'s' * (len(records) != 1)}"
