"""How much of the rows a model would not see, because their examples are longer than a run allows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from glue_harness.core.errors import DataError
from glue_harness.core.task import Example, Task
from glue_harness.data import Rows, is_here, load
from glue_harness.data.rows import examples as examples_of
from glue_harness.doctor import OK, WARN, Finding
from glue_harness.doctor.data import SAMPLE, DataSet, splits

if TYPE_CHECKING:
    from glue_harness.models.interface import Model


def lengths(sets: Iterable[DataSet], data: str, model: Model) -> Iterator[Finding]:
    """Of each split that can be read; what cannot be read is said elsewhere."""
    for one in sets:
        for split, (role, readers) in splits(one).items():
            task = model.as_read(readers[0])
            if task is None or task.noise or not is_here(task, split, data):
                continue
            try:
                examples = sampled(task, load(task, role, data))
            except DataError:
                continue
            if examples:
                yield cut_off(f"{one[0].name} {split}", task, examples, model)


def sampled(task: Task, rows: Rows) -> list[Example]:
    """The examples of some rows from everywhere."""
    some = rows[:: -(-len(rows) // SAMPLE)]
    return [example for number, row in enumerate(some) for example in examples_of(task, row, number)]


def cut_off(where: str, task: Task, examples: Sequence[Example], model: Model) -> Finding:
    from glue_harness.lab.assemble import WORTH_SAYING
    from glue_harness.lab.rundata import cut_off as said
    from glue_harness.train.tokens import Lengths

    encoded = model.encode(task, examples)
    kept = [sum(map(len, one.streams)) for one in encoded]
    lost = [one.lost for one in encoded]
    found = Lengths(len(encoded), sum(kept), sum(map(bool, lost)), sum(lost))
    longest = max(map(sum, zip(kept, lost, strict=True)))
    if not found.cut:
        return Finding(where, "length", OK, f"the longest of {len(encoded):,} examples has {longest:,} tokens")
    fix = f"the longest has {longest:,} tokens: a larger --set max_input, or max_target, in place of 512 and 128"
    return Finding(where, "length", WARN if found.share > WORTH_SAYING else OK, said(found), fix)
