"""Published tables made again: the T5 paper's, those of encoders, and the GLUE paper's own baselines."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from glue_harness.core.errors import UsageError
from glue_harness.core.plan import Plan
from glue_harness.lab.recipes import refuse_other_family
from glue_harness.models.families import known_of
from glue_harness.report.published import published_tables
from glue_harness.reproduce import baselines
from glue_harness.reproduce.baselines import BaselineTable
from glue_harness.reproduce.encoders import ROWS, EncoderTable
from glue_harness.reproduce.scale import scale_of
from glue_harness.reproduce.t5 import T5Table
from glue_harness.runs.origin import find_origin
from glue_harness.runs.store import Store
from glue_harness.suite.registry import Registry


def is_of_encoders(table: str) -> bool:
    return set(published_tables()[table].tables[table].rows) <= ROWS.keys()


def is_of_baselines(table: str) -> bool:
    return set(published_tables()[table].tables[table].rows) <= baselines.ROWS.keys()


def planned(
    name: str, given: Mapping[str, Any], share: float, pretrain_steps: int | None, registry: Registry, store: Store
) -> T5Table | EncoderTable | BaselineTable:
    """A table under the settings that a user gives, over a share of its steps or epochs."""
    rows = published_tables()[name].tables[name].rows
    if not is_of_encoders(name) and not is_of_baselines(name):
        return T5Table(rows, scale_of(given, share, pretrain_steps, registry), registry)
    of = "encoders" if is_of_encoders(name) else "baselines"
    unread = {"text": given.get("text"), "pretrain-steps": pretrain_steps}
    for option, value in unread.items():
        if value is not None:
            raise UsageError(f"table {name} is of {of}, which nothing pre-trains here: leave out --{option}")
    if is_of_baselines(name):
        if "model" in given:
            raise UsageError(f"the rows of table {name} are its models: leave out --model {given['model']}")
        return BaselineTable(rows, given, share, registry)
    size = None
    if "model" in given:
        model = Plan(("rte",), model=given["model"], seed=given.get("seed", 0))
        known = known_of(find_origin(model, store, registry).source)
        refuse_other_family(ROWS[rows[0]].recipe, given["model"], known.family)
        size = known.size
    return EncoderTable(rows, given, share, registry, size)
