"""cost.json in a run's folder: what its model costs, where somebody has measured it."""

from __future__ import annotations

import dataclasses

from glue_harness.core.cost import Cost, cost_from
from glue_harness.core.errors import DataError
from glue_harness.core.reading import json_value, read_small
from glue_harness.core.writing import json_text, why, write_atomic
from glue_harness.runs.folder import open_inside
from glue_harness.runs.store import Store

COST = "cost.json"
LARGEST = 2**20  # bytes


def save(cost: Cost, store: Store) -> None:
    write_atomic(store.run_folder(cost.run) / COST, json_text(dataclasses.asdict(cost), indent=1) + "\n")


def read(run_id: str, store: Store) -> Cost | None:
    """None where nobody has measured it."""
    path = store.run_folder(run_id) / COST
    if not path.exists():  # of thousands of runs few have one
        return None
    try:
        with open_inside(path, store.folder) as file:
            return cost_from(json_value(read_small(file, LARGEST)))
    except FileNotFoundError:
        return None
    except OSError as error:
        raise DataError(f"{path}: it cannot be read: {why(error)}") from None
    except (ValueError, DataError) as error:
        raise DataError(f"{path}: {error}; glue cost {run_id} measures it anew") from None
