"""What a run looks like while it goes by and when it is done."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Mapping, Sequence
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from glue_harness.report.console import (
    UNDEFINED,
    TableColumn,
    console,
    is_narrow,
    note,
    or_dash,
    or_undefined,
    say,
    show,
    table,
    table_of,
)
from glue_harness.runs.pace import scaling
from glue_harness.runs.store import Store

if TYPE_CHECKING:
    from rich.table import Table

    from glue_harness.core.record import Record, Score
    from glue_harness.lab.assemble import Setup
    from glue_harness.suite.registry import Registry
    from glue_harness.train.loop import State

REFRESH = 0.2  # seconds between two updates of the bar


class ProgressDisplay:
    """Watches a run: a bar on a terminal, a line per evaluation elsewhere, nothing if quiet."""

    def __init__(self, quiet: bool) -> None:
        self.quiet = quiet
        self.folder: Path | None = None
        self.bar: Any = None
        self.state: State | None = None
        self.shown = 0.0
        self.asking: Any = None  # the evaluation's place in its bar, while one goes on
        self.before: tuple[float, int, int] | None = None  # the first step's end: time, examples, tokens

    def __enter__(self) -> ProgressDisplay:
        return self

    def __exit__(self, *_: object) -> None:
        if self.bar:
            self.bar.stop()

    def assembled(self, setup: Setup, record: Record, folder: Path) -> None:
        self.folder = folder
        if self.quiet:
            return
        for text in record.notes:
            note(text)
        for line in describe(setup):
            note(line)
        if record.resumed:
            note(f"goes on from step {record.resumed[-1]:,}")
        if console(stderr=True).is_terminal:
            self._draw(setup, *record.resumed[-1:])

    def asked_teacher(self, task: str, examples: int) -> None:
        if not self.quiet:
            note(f"the teacher reads {examples:,} examples of {task}: once, what it says is kept in the cache")

    def stepped(self, setup: Setup, state: State) -> None:
        self.state = state
        now = time.perf_counter()
        if state.skipped[-1:] == [state.step] and not self.quiet:
            note(f"step {state.step:>6}  skipped: its loss or gradient is not finite", style="red")
        self.before = self.before or (now, state.examples, state.tokens)
        if not self.bar or (now - self.shown < REFRESH and state.step < setup.request.plan.steps):
            return
        self.shown = now
        began, examples, tokens = self.before
        elapsed = now - began or math.inf
        total = sum(state.seen.values())
        self.shares.plain = " ".join(f"{name} {count / total:.0%}" for name, count in sorted(state.seen.items()))
        speed = f"{(state.examples - examples) / elapsed:,.0f} ex/s {(state.tokens - tokens) / elapsed:,.0f} tok/s"
        self.counts.update(self.job, completed=state.step, loss=f"{state.loss:.3f}", speed=speed)

    def answered(self, done: int, asked: int) -> None:
        """The bar of an evaluation stands below that of training, which waits meanwhile."""
        now = time.perf_counter()
        if not self.bar or (now - self.shown < REFRESH and done < asked):
            return
        self.shown = now
        self.counts.update(self.job, speed="")  # of training: it would go on falling
        if self.asking is None:
            self.asking = self.questions.add_task("", total=asked)
        self.questions.update(self.asking, total=asked, completed=done)
        if done >= asked:
            self.questions.remove_task(self.asking)
            self.asking = None

    def stopping(self, text: str) -> None:
        """Written past all buffers and locks: the signal may have come while one was held."""
        os.write(2, f"\n{text}\n".encode())

    def scored(self, step: int, values: dict[str, dict[str, float | None]]) -> None:
        if not self.quiet:
            loss = f"loss {self.state.loss:.3f}  " if self.state else ""
            scores = "  ".join(
                f"{task} " + "/".join(or_undefined(value, ".1f") for value in found.values())
                for task, found in values.items()
            )
            note(f"step {step:>6}  {loss}{scores}")

    def _draw(self, setup: Setup, done: int = 0) -> None:
        """The counts on one line, the tasks' shares below: many tasks would crowd the counts out."""
        from rich.console import Group
        from rich.live import Live
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
        from rich.text import Text

        self.counts = Progress(
            BarColumn(bar_width=16),
            MofNCompleteColumn(),
            TextColumn("loss {task.fields[loss]}"),
            TextColumn("{task.fields[speed]}"),
            TimeRemainingColumn(),
        )
        self.job = self.counts.add_task("", total=setup.request.plan.steps, completed=done, loss="-", speed="")
        self.questions = Progress(
            BarColumn(bar_width=16), MofNCompleteColumn(), TextColumn("answered"), TimeRemainingColumn()
        )
        self.shares = Text(style="dim", no_wrap=True, overflow="ellipsis")
        self.bar = Live(Group(self.counts, self.questions, self.shares), console=console(stderr=True), transient=True)
        self.bar.start()


def describe(setup: Setup) -> list[str]:
    """The run in a few lines: what learns, on what machine, at what cost of memory, from which data."""
    from glue_harness.lab.estimate import state_bytes
    from glue_harness.lab.recipes import advice

    plan, counts, at_first = setup.request.plan, setup.learner.counts, setup.learner.learn_at_first
    passes = "" if plan.epochs is None else f" ({plan.length})"
    together = f", {setup.machine.ranks.size} processes" if setup.machine.ranks.size > 1 else ""
    room = f"{state_bytes(setup) / 2**20:,.0f} MiB" + (" in each process" if setup.machine.sharded else "")
    slowly = f", {at_first:,} at first" if at_first < counts["trainable"] else ""
    lines = [
        f"model {plan.model}: {counts['trainable']:,} of {counts['total']:,} parameters learn ({plan.method}{slowly}); "
        f"{setup.machine.device.type}, {setup.machine.precision}{together}",
        f"weights, gradients and optimiser state: {room} (activations come on top)",
        "no step: the model is scored as it is"
        if plan.never_learns
        else f"{plan.steps:,} steps of {plan.update}{passes}, {plan.optimizer}, lr {plan.lr:g}, seed {plan.seed}",
    ]
    origin = setup.learner.model.origin
    heads: dict[str, list[str]] = {}
    for task, said in origin.get("heads", {}).items():
        heads.setdefault(said, []).append(task)
    lines += [f"head of {', '.join(tasks)}: {said}" for said, tasks in heads.items()]
    if warning := advice(plan, {**origin, **setup.request.origin.to_record()}):
        lines.append(warning)
    if plan.patience:
        lines.append(f"ends early after {plan.patience} evaluations without a better mean of the tasks' scores")
    if (plan.eval_every or 0) > plan.steps > 0:
        lines.append(f"scored once, at the end: eval_every is {plan.eval_every:,}")
    for task, roles in setup.data.rows.by_role.items():
        lines += [f"{task}: {text}" for rows in roles.values() for text in rows.notes]
    return lines


def show_scores(record: Record, registry: Registry, folder: Path) -> None:
    """What a run ends with."""
    if record.scores:
        show(score_table(record.scores, registry))
        if line := without_trained_texts(record.scores, registry):
            say(line)
    if record.stopped:
        say(record.stopped["why"])
    for remark in remarks(record):
        say(f"Note: {remark}", style="yellow")
    if len(record.mix) > 1:
        show(drawn_mix(record))
    if told := scaling(record, Store(folder.parent)):
        say(told)
    say(f"{_durations(record)}, recorded in {folder}", style="dim")


def without_trained_texts(scores: Mapping[str, Score], registry: Registry) -> str:
    """Which scores rest on rows with texts that were trained on, and what they are without those rows."""
    told, titles = [], registry.titles(scores)
    for name, score in scores.items():
        if score.clean and score.clean["shared"]:
            values = (f"{key} {or_undefined(v)}" for key, v in score.clean["metrics"].items())
            facts = f"{score.clean['shared']:,} of {score.clean['rows']:,} rows, without them {', '.join(values)}"
            told.append(f"{titles[name]} {facts}")
    return f"share a text with rows trained on: {'; '.join(told)}" if told else ""


def remarks(record: Record) -> list[str]:
    """What a reader of the scores must know: answers that say nothing, and texts that the model did not see."""
    found = empty_answers(record.scores)
    for name, roles in record.data.items():
        for role, split in roles.items():
            if split.get("cut"):
                share, lost = split["cut"] / split["examples"], split["lost"] / (split["tokens"] + split["lost"])
                found.append(f"{name} {role}: {share:.1%} of the examples were cut off, {lost:.1%} of their tokens")
    return found


def empty_answers(scores: Mapping[str, Score]) -> list[str]:
    """Of which tasks the answers say nothing."""
    from glue_harness.metrics.baselines import no_better

    found = []
    for name, score in scores.items():
        lacking = ", ".join(key for key, value in score.metrics.items() if value is None)
        if score.constant is not None:
            so = f", which leaves {lacking} {UNDEFINED}" if lacking else ""
            found.append(f"{name}: every answer is {score.constant!r}{so}")
        elif lacking:
            found.append(f"{name}: {lacking} {UNDEFINED}: an answer is no finite number, or the metric divides by 0")
        elif keys := no_better(score.metrics, score.baseline):
            found.append(f"{name}: {', '.join(keys)} no better than the baseline, one answer for all")
    return found


def _durations(record: Record) -> str:
    """All seconds, and the share of each part."""
    parts = ", ".join(f"{part} {took / record.seconds:.0%}" for part, took in record.timing.items() if took is not None)
    return f"{record.seconds:.0f} s ({parts})" if record.seconds else "0 s"


def drawn_mix(record: Record) -> Table:
    """What a multi-task run saw of each task, beside what its mixing promised."""
    from glue_harness.data.mixing import realised

    rows = [
        (
            task,
            f"{record.mix[task]['rows']:,}",
            f"{mix.planned:.1%}",
            f"{mix.share:.1%}",
            f"{mix.examples:,}",
            "-" if mix.epochs is None else f"{mix.epochs:.2f}",
        )
        for task, mix in realised(record.mix).items()
    ]
    columns = ("trained on", "examples", "planned share", "share drawn", "drawn", "epochs")
    return table(columns, rows, right=columns[1:])


def score_table(scores: Mapping[str, Score], registry: Registry, title: str = "") -> Table:
    """Every value of every task with what it rests on."""
    from glue_harness.report.experiments import SHORT

    rows, titles = [], registry.titles(scores)
    has_ceiling = any(score.ceiling for score in scores.values())  # of real rows nobody knows it
    names = SHORT if has_ceiling or is_narrow() else {}
    for name, score in scores.items():
        for key, value in score.metrics.items():
            low, high = score.intervals.get(key) or (None, None)
            between = f"{low:.2f} to {high:.2f}" if low is not None else "-"
            beside = (found.get(key) for found in (score.without_luck, score.baseline, score.ceiling))
            of_score = (titles[name], names.get(key, key), or_undefined(value), between)
            numbers = (or_dash(number, ".2f") for number in beside)
            rows.append((*of_score, *numbers, score.n, score.step, _invalid(score)))
    without_luck = "without\nluck" if is_narrow() else "without luck"
    headings: tuple[str, ...] = ("task", "metric", "score", "95 % interval", without_luck, "baseline", "ceiling")
    headings += ("examples", "best step", "invalid")
    columns = [
        TableColumn(name, itemgetter(k), right=k >= 2, whole=k >= 1, wide=name in ("examples", "best step"))
        for k, name in enumerate(headings)
        if name != "ceiling" or has_ceiling
    ]
    return table_of(rows, columns, title)


def show_seeds(of_seeds: Sequence[Mapping[str, Score]], registry: Registry) -> None:
    """Mean and sample standard deviation over seeds, each with the scores of its tasks."""
    from statistics import mean, stdev

    rows, titles = [], registry.titles(of_seeds[0])
    for name, first in of_seeds[0].items():
        for key in first.metrics:
            each = [scores[name].metrics[key] for scores in of_seeds]
            values = [value for value in each if value is not None]
            spread = (f"{mean(values):.2f}", f"{stdev(values):.2f}") if len(values) == len(each) else (UNDEFINED, "-")
            rows.append((titles[name], key, *spread, " ".join(map(or_undefined, each))))
    columns = ("task", "metric", "mean", "std", "each seed")
    show(table(columns, rows, title=f"{len(of_seeds)} seeds", right=columns[2:]))


def _invalid(score: Any) -> str:
    return f"{score.invalid / score.n:.1%}" if score.invalid else "0"
