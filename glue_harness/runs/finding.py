"""Which of many runs are meant: by task, model, status, tag, date, and by any setting of their plans."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from fnmatch import fnmatchcase
from typing import Any

from glue_harness.core.errors import UsageError
from glue_harness.core.plan import default_of
from glue_harness.core.plan_file import parsed, setting_named
from glue_harness.core.record import Record
from glue_harness.runs.store import Store

KILLED = "killed"  # its record says that it runs, and no process is at work on it
STATUSES = ("running", "finished", "failed", "interrupted", KILLED)
UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
WILD = re.compile(r"[*?\[]")
LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Filter:
    """What a run must be; of several values of one kind, any."""

    tasks: Sequence[str] = ()
    models: Sequence[str] = ()
    statuses: Sequence[str] = ()
    tags: Sequence[str] = ()
    since: datetime | None = None
    where: Mapping[str, str] = field(default_factory=dict)  # setting -> its value, wildcards allowed

    def __bool__(self) -> bool:
        return bool(self.tasks or self.models or self.statuses or self.tags or self.since or self.where)

    def chosen(self, records: Iterable[Record], store: Store) -> list[Record]:
        """Statuses come last: to know that a run was killed, its folder is looked at."""
        found = [record for record in records if self._takes(record)]
        return [r for r in found if not self.statuses or status_of(r, store) in self.statuses]

    def _takes(self, record: Record) -> bool:
        model = str(record.plan.get("model", default_of("model")))
        asked = {*record.plan["tasks"], *record.scores, *record.mix}
        return (
            (not self.tasks or any(_like(name, wanted) for name in asked for wanted in self.tasks))
            and (not self.models or any(_like_model(model, wanted) for wanted in self.models))
            and (not self.tags or any(_like(tag, wanted) for tag in record.tags for wanted in self.tags))
            and (self.since is None or began(record) >= self.since)
            and all(_has(record, name, text) for name, text in self.where.items())
        )


def status_of(record: Record, store: Store) -> str:
    """As recorded, unless a run that says it runs has no process any more."""
    is_left = record.status == "running" and not store.run(record.id).is_at_work()
    return KILLED if is_left else record.status


def began(record: Record) -> datetime:
    try:
        return datetime.fromisoformat(record.started).astimezone(UTC)
    except ValueError:
        return LONG_AGO


def since(text: str) -> datetime:
    """A day or an instant by the clock here, or how long ago: 2026-11-20, 2026-11-20T15:30, 90m, 12h, 7d, 2w."""
    try:
        if ago := re.fullmatch(r"(\d{1,6})([mhdw])", text):
            return datetime.now(UTC) - timedelta(**{UNITS[ago[2]]: int(ago[1])})
        return datetime.fromisoformat(text).astimezone(UTC)
    except (ValueError, OverflowError):
        raise UsageError(f"--since {text!r}: write a day, as 2026-11-20, or how long ago, as 12h, 7d or 2w") from None


def where(texts: Iterable[str]) -> dict[str, str]:
    """What `--where SETTING=VALUE` says, each setting a known one and each value one that it can have."""
    found = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not name or not value:
            raise UsageError(f"--where {text!r}: write it as SETTING=VALUE, for example model=tiny or lr=1e-4")
        setting_named(name, f"--where {text!r}")
        if not WILD.search(value) and not isinstance(default_of(name), list):
            parsed(name, value, f"--where {text!r}")
        found[name] = value
    return found


def _has(record: Record, name: str, text: str) -> bool:
    value = record.plan.get(name, default_of(name))
    if WILD.search(text):
        return any(_like(str(one), text) for one in (value if isinstance(value, list | tuple) else [value]))
    if isinstance(value, list | tuple):
        return {part.strip() for part in text.split(",")} <= set(map(str, value))
    wanted = parsed(name, text, "--where")
    return bool(value == wanted) or (name == "model" and _like_model(str(value), text))


def _like(name: str, wanted: str) -> bool:
    return fnmatchcase(name, wanted) if WILD.search(wanted) else name == wanted


def _like_model(model: str, wanted: str) -> bool:
    """Its whole name, or what stands after the last slash."""
    return _like(model, wanted) or _like(model.rstrip("/").rpartition("/")[2], wanted)


def none_of(records: Sequence[Record], chosen: Filter) -> str:
    """Why a filter leaves no run, in words: the first wish that none fulfils, and what there is instead."""
    kinds: tuple[tuple[str, Sequence[str], set[Any]], ...] = (
        ("task", chosen.tasks, {name for record in records for name in (*record.plan["tasks"], *record.scores)}),
        ("model", chosen.models, {str(record.plan.get("model", default_of("model"))) for record in records}),
        ("tag", chosen.tags, {tag for record in records for tag in record.tags}),
    )
    for kind, wanted, there in kinds:
        fits = _like_model if kind == "model" else _like
        if wanted and not any(fits(name, text) for name in there for text in wanted):
            known = f"there are {', '.join(sorted(there)[:8])}" if there else f"no run has a {kind}"
            return f"no run has {kind} {' or '.join(map(repr, wanted))}: {known}"
    return f"none of {len(records):,} runs is meant by these options together"
