"""Results that others published, to stand beside one's own. The values and their source are in published.json."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

FILE = Path(__file__).with_suffix(".json")
Value = tuple[str, str]  # T5's registry name of a task, key of its metric


@dataclass(frozen=True)
class Result:
    """One configuration of the paper; deviations are known where it is a mean of several runs."""

    configuration: str
    runs: int
    averages: Mapping[str, float]  # suite -> average as printed
    average_deviations: Mapping[str, float]
    values: Mapping[Value, float]
    deviations: Mapping[Value, float]


@dataclass(frozen=True)
class Table:
    """One of the paper's tables: which of its configurations stand there. The values are those of Table 16."""

    title: str
    rows: tuple[str, ...]
    footnotes: Mapping[str, str]  # configuration -> remark


@dataclass(frozen=True)
class Published:
    source: str
    short: str  # the source in a few words
    model: str
    notes: tuple[str, ...]
    results: tuple[Result, ...]
    tables: Mapping[str, Table]

    def result(self, configuration: str) -> Result:
        return next(result for result in self.results if result.configuration == configuration)


def load_published() -> Published:
    table = json.loads(FILE.read_text(encoding="utf-8"))
    suites = table["suites"]
    columns = [(task, key) for task, key in table["columns"]]
    results = tuple(
        Result(
            configuration=row["configuration"],
            runs=row["runs"],
            averages=dict(zip(suites, row["averages"], strict=True)),
            average_deviations=dict(zip(suites, row.get("average_deviations", ()), strict=False)),
            values=dict(zip(columns, row["values"], strict=True)),
            deviations=dict(zip(columns, row.get("deviations", ()), strict=False)),
        )
        for row in table["rows"]
    )
    tables = {
        name: Table(made["title"], tuple(made["rows"]), made.get("footnotes", {}))
        for name, made in table["tables"].items()
    }
    return Published(table["source"], table["short"], table["model"], tuple(table["notes"]), results, tables)
