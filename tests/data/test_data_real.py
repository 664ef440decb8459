"""The real rows, where they are at hand: official files load, with the row counts that they are known to have."""

import pytest

from glue_harness.data import load
from glue_harness.suite.registry import load_tasks

TASKS = load_tasks()
GLUE = {  # task -> rows of train, validation, test in ../shared/data (see its PROVENANCE.md)
    "cola": (8551, 1043, 1063),
    "sst2": (67349, 872, 1821),
    "mrpc": (3668, 408, 1725),
    "stsb": (5749, 1500, 1379),
    "rte": (2490, 277, 3000),
    "wnli": (635, 71, 146),
    "qnli": (10293, 5463, 5463),
    "mnli": (10471, None, None),
    "mnli_matched": (None, 9815, None),
    "mnli_mismatched": (None, 1000, None),
    "qqp": (20000, 3497, None),
    "ax": (None, None, 1104),
}
SUPERGLUE = {
    "boolq": (261, 3270, 3245),
    "cb": (250, 56, 250),
    "copa": (400, 100, 500),
    "multirc": (27243, 4848, 9693),
    "record": (32, 32, None),
    "superglue_rte": (2490, 277, 3000),
    "wic": (5428, 638, 1400),
    "wsc": (554, None, None),
    "wsc_eval": (None, 104, 146),
    "axb": (None, None, 1104),
    "axg": (None, None, 356),
}
SPLITS = [
    (task, role, rows)
    for task, counts in {**GLUE, **SUPERGLUE}.items()
    for role, rows in zip(("train", "validation", "test"), counts, strict=True)
    if rows
]


@pytest.mark.parametrize(("name", "role", "expected"), SPLITS)
def test_official_files_hold_the_known_rows(shared, name, role, expected):
    task = TASKS.task(name)
    rows = load(task, role, str(shared / "data"))
    assert len(rows) == expected
    suite = "superglue" if name in SUPERGLUE else "glue"
    assert rows.origin.startswith(f"folder data/{suite}/")
    assert bool(rows.notes) == (expected != rows.official)
    own = load(task, role, str(shared / "data" / suite))
    assert own.fingerprint == rows.fingerprint


@pytest.mark.parametrize("name", GLUE)
def test_real_rows_become_examples(shared, name):
    task = TASKS.task(name)
    rows = load(task, next(iter(task.splits)), str(shared / "data" / "glue"))
    assert all(task.encode(row) for row in rows[:200])
