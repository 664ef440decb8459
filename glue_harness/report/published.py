"""Results that others published, to stand beside one's own. Values and sources are in the files named here."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

FILES = {"t5": "published.json", "encoders": "published_encoders.json", "glue-paper": "published_glue_paper.json"}
TaskKey = tuple[str, str]  # a task, in the file by T5's registry name, and the key of one of its metrics


@dataclass(frozen=True)
class Result:
    """One configuration of a paper, or one model; deviations are known where it is a mean of several runs."""

    configuration: str
    source: str
    runs: int  # 1 where the source has one, or does not say what it makes of several
    averages: Mapping[str, float]  # suite -> average as printed
    average_deviations: Mapping[str, float]
    values: Mapping[TaskKey, float]
    deviations: Mapping[TaskKey, float]


@dataclass(frozen=True)
class PublishedTable:
    """Which results stand in a table. T5's are all in its Table 16."""

    title: str
    rows: Sequence[str]
    by_value: bool = False  # a column for every single value, or one for each task or suite
    footnotes: Mapping[str, str] = field(default_factory=dict)  # configuration -> remark


@dataclass(frozen=True)
class Published:
    source: str  # of all its results; empty where each has its own
    short: str  # the source in a few words
    model: str
    notes: tuple[str, ...]
    results: tuple[Result, ...]
    tables: Mapping[str, PublishedTable]

    def result(self, configuration: str) -> Result:
        return next(result for result in self.results if result.configuration == configuration)


@cache
def load_published(family: str = "t5") -> Published:
    file = json.loads((Path(__file__).parent / FILES[family]).read_text(encoding="utf-8"))
    keys = {"averages": file.get("suites", []), "values": [(task, key) for task, key in file["columns"]]}
    results = []
    for row in file["rows"]:
        numbers = {name: dict(zip(of, row.get(name, ()), strict=True)) for name, of in keys.items()}
        numbers["values"] = {key: value for key, value in numbers["values"].items() if value is not None}
        for name, of in {"average_deviations": keys["averages"], "deviations": keys["values"]}.items():
            numbers[name] = dict(zip(of, row.get(name, ()), strict=False))
        source = row.get("source") or file["source"]
        results.append(Result(row["configuration"], source, row.get("runs", 1), **numbers))
    tables = {name: PublishedTable(**made) for name, made in file["tables"].items()}
    source, short, model = (file.get(name, "") for name in ("source", "short", "model"))
    return Published(source, short, model, tuple(file.get("notes", ())), tuple(results), tables)


def published_tables() -> dict[str, Published]:
    """Every table that can be made again, with what its values are from."""
    return {table: found for found in map(load_published, FILES) for table in found.tables}
