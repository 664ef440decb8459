"""Several runs on the screen: carried out wherever `--on` says, shown while they go by, failures told at the end."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

import click

from glue_harness.report.console import console, lasting, note, table

if TYPE_CHECKING:
    from rich.table import Table

    from glue_harness.core.record import Record
    from glue_harness.jobs.executors import Workplace
    from glue_harness.jobs.graph import Job
    from glue_harness.jobs.launch import Doing, Launch
    from glue_harness.runs.store import Store
    from glue_harness.suite.registry import Registry

    More = Callable[[Doing], Iterable[Job]]  # further jobs, once one has ended

HERE = "local"
MOST_SHOWN = 16  # jobs on a terminal
MOST_LISTED = 8  # finished ones that are named
STOPPING = "stopping: what is at work saves first (again to stop now)"

on_option = click.option(
    "--on",
    default=HERE,
    show_default=True,
    metavar="WHERE",
    help="Where runs are carried out: local (in order), local:N (processes), ray, ray:ADDRESS or slurm.",
)


def carry_out_jobs(
    jobs: Sequence[Job], on: str, place: Workplace, registry: Registry, quiet: bool, more: More | None = None
) -> Launch:
    """Every job that is not finished yet; a failure does not stop the others, and is told when all are over."""
    from glue_harness.core.errors import Stopped, UsageError
    from glue_harness.core.place import place as place_of_process
    from glue_harness.jobs.graph import graph_of
    from glue_harness.jobs.launch import Launch, State
    from glue_harness.jobs.places import executor_for
    from glue_harness.runs.store import Store

    if (shared := place_of_process().size) > 1:
        raise UsageError(
            f"{shared} processes were started to share one run, and this is many: start it once, with --on"
        )
    store = Store(place.results)
    store.prove()
    executor = executor_for(on, place, lambda job: carry_out_here(job, store, registry, place, quiet))
    has_screen = on != HERE and not quiet and console(stderr=True).is_terminal
    shown = Screen() if has_screen else Lines(quiet, here=on == HERE)
    launch = Launch(store, executor, shown.told, more or (lambda doing: ()))
    launch.add(graph_of(jobs).values())
    tell_finished(launch.in_state(State.FINISHED))
    with shown:
        try:
            launch.carry_out(shown.stopping)
        except Stopped as stop:
            raise _interrupted(stop.exit_code) from None
    if launch.stop.asked:
        raise _interrupted(128 + launch.stop.asked)
    failed = launch.in_state(State.FAILED, State.LEFT_OUT)
    if failed:
        tell_failures(launch, failed)
    return launch


def tell_finished(finished: Sequence[Doing]) -> None:
    """What need not be done again."""
    if len(finished) > MOST_LISTED:
        note(f"{len(finished):,} runs are finished already")
        return
    for doing in finished:
        note(f"{doing.job.name} is finished, {doing.run}")


def tell_failures(launch: Launch, failed: Sequence[Doing]) -> None:
    from glue_harness.core.errors import GlueError

    reasons = Counter(doing.text for doing in failed)
    if len(reasons) == 1 and len(failed) == len(launch.doing):
        raise GlueError(failed[0].text)
    for doing in failed:
        note(f"{doing.job.name}: {doing.state}: {doing.text}", style="red")
    raise GlueError(
        f"{len(failed)} of {len(launch.doing)} runs failed, as told above; the others are kept, "
        "and the same command tries these again"
    )


def carry_out_here(job: Job, store: Store, registry: Registry, place: Workplace, quiet: bool) -> Record:
    from glue_harness.cli.progress import ProgressDisplay
    from glue_harness.jobs.trials import begun, carry_out

    if goes_on := begun(job.plan, store):
        note(f"{job.name} goes on, {goes_on}", style="bold")
    elif not quiet:
        note(job.name, style="bold")
    with ProgressDisplay(quiet) as display:
        try:
            return carry_out(job, store, registry, display, **place.how)
        except KeyboardInterrupt as stop:
            raise _interrupted(getattr(stop, "exit_code", 130)) from None


def _interrupted(code: int) -> Exception:
    from glue_harness.core.errors import Interrupted

    word = "interrupted" if code == Interrupted.exit_code else "terminated"
    error = Interrupted(f"{word}: the same command goes on from here")
    error.exit_code = code
    return error


class Lines:
    """A line for what matters, where no terminal shows more."""

    def __init__(self, quiet: bool, here: bool) -> None:
        self.quiet, self.here = quiet, here

    def __enter__(self) -> Lines:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def stopping(self, text: str) -> None:
        tell_at_once(STOPPING)

    def told(self, doing: Doing) -> None:
        if not self.quiet and doing.job.name and (line := self.line(doing)):
            note(line)

    def line(self, doing: Doing) -> str:
        from glue_harness.jobs.launch import State

        name, state = doing.job.name, doing.state
        if state is State.ELSEWHERE or (state is State.WAITING and doing.text):
            return f"{name}: {doing.text}"
        if self.here:  # the run has told the rest itself
            return ""
        if state is State.RUNNING:
            return f"{name}: {doing.run}, {doing.where}" if doing.where and doing.step == doing.first else ""
        return f"{name}: {state}  {doing.text}"


class Screen:
    """A table of the jobs on a terminal, with what is at work on top."""

    def __init__(self) -> None:
        from rich.live import Live

        self.doing: dict[Any, Doing] = {}
        self.live = Live(console=console(stderr=True), get_renderable=self.drawn, refresh_per_second=2, transient=True)

    def __enter__(self) -> Screen:
        self.live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.live.stop()

    def stopping(self, text: str) -> None:
        tell_at_once(STOPPING)

    def told(self, doing: Doing) -> None:
        self.doing[doing.job.key] = doing

    def drawn(self) -> Table:
        from glue_harness.jobs.launch import State

        found = list(self.doing.values())
        order = [State.RUNNING, State.ELSEWHERE, State.FAILED, State.LEFT_OUT, State.WAITING]
        rest = sorted((d for d in found if d.state not in order), key=lambda d: -d.began)
        ranked = [d for state in order for d in found if d.state is state] + rest
        counts = Counter(d.state for d in found)
        title = ", ".join(f"{count} {state}" for state, count in counts.items())
        rows = [cells(doing) for doing in ranked[:MOST_SHOWN]]
        return table(("job", "state", "where", "step", "left", "scores"), rows, title=title, right=("step", "left"))


def cells(doing: Doing) -> tuple[str, ...]:
    step = f"{doing.step:,}/{doing.steps:,}" if doing.steps else ""
    left = lasting(doing.seconds_left) if doing.seconds_left is not None else ""
    return doing.job.name or doing.job.stage, doing.state, doing.where, step, left, doing.text


def tell_at_once(text: str) -> None:
    """Written past all buffers and locks: a signal's handler calls this."""
    os.write(2, f"\n{text}\n".encode())
