"""Results that others published, to stand beside one's own. The values and their source are in published.json."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

FILE = Path(__file__).with_suffix(".json")
TaskKey = tuple[str, str]  # a task, in the file by T5's registry name, and the key of one of its metrics


@dataclass(frozen=True)
class Result:
    """One configuration of the paper; deviations are known where it is a mean of several runs."""

    configuration: str
    runs: int
    averages: Mapping[str, float]  # suite -> average as printed
    average_deviations: Mapping[str, float]
    values: Mapping[TaskKey, float]
    deviations: Mapping[TaskKey, float]


@dataclass(frozen=True)
class PublishedTable:
    """One of the paper's tables: which of its configurations stand there. The values are those of Table 16."""

    title: str
    rows: Sequence[str]
    footnotes: Mapping[str, str] = field(default_factory=dict)  # configuration -> remark


@dataclass(frozen=True)
class Published:
    source: str
    short: str  # the source in a few words
    model: str
    notes: tuple[str, ...]
    results: tuple[Result, ...]
    tables: Mapping[str, PublishedTable]

    def result(self, configuration: str) -> Result:
        return next(result for result in self.results if result.configuration == configuration)


@cache
def load_published() -> Published:
    file = json.loads(FILE.read_text(encoding="utf-8"))
    keys = {"averages": file["suites"], "values": [(task, key) for task, key in file["columns"]]}
    results = []
    for row in file["rows"]:
        numbers = {name: dict(zip(of, row[name], strict=True)) for name, of in keys.items()}
        for name, of in {"average_deviations": keys["averages"], "deviations": keys["values"]}.items():
            numbers[name] = dict(zip(of, row.get(name, ()), strict=False))
        results.append(Result(row["configuration"], row["runs"], **numbers))
    tables = {name: PublishedTable(**made) for name, made in file["tables"].items()}
    return Published(file["source"], file["short"], file["model"], tuple(file["notes"]), tuple(results), tables)
