"""Published scores of encoders as lists of runs: a row is a model, with the recipe and strategy that come nearest.

What was published stands in published_encoders.json; here is how we make it, and what is known to be otherwise.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from glue_harness.core.plan import Plan, plan_from
from glue_harness.core.settings import over
from glue_harness.lab.recipes import Applied
from glue_harness.lab.strategy import NEVER, stages_of
from glue_harness.reproduce.configuration import Configuration, last, noise_of
from glue_harness.suite.registry import Registry

SMALLER = ("tasks", "data", "model", "steps", "epochs", "batch_size", "batch_tokens", "train_limit")
SCALED = "A scaled run: with other tasks, data, models or steps than the source's its scores are not on one level."
CELLS = "Each cell: ours, the published one, and the difference with half its 95 % interval."
GLUE = ("cola", "sst2", "mrpc", "stsb", "qqp", "mnli", "qnli", "rte")


@dataclass(frozen=True)
class How:
    """How a published row comes about."""

    model: str
    size: int  # of its hidden states: a model that a user names stands for the rows of its size
    recipe: str
    source: str  # how it was done there, as far as it is known
    strategy: str = "single"
    settings: Mapping[str, Any] = field(default_factory=dict)  # beside the recipe's
    of_task: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    tasks: tuple[str, ...] = GLUE


ROWS: dict[str, How] = {
    "BERT-base": How(
        "google-bert/bert-base-cased",
        768,
        "bert",
        "the same rate, batches, lengths and epochs (MRPC 5), without warm-up and decay, scored after the last step, "
        "one seed: all as here",
        settings={"warmup_share": 0.0, "weight_decay": 0.0, "eval_every": NEVER},
        of_task={"mrpc": {"epochs": 5.0}},
    ),
    "BERT-large": How(
        "google-bert/bert-large-uncased",
        1024,
        "bert",
        "the row is XLNet's, which does not say which BERT-large it is, nor with which rate, batch and epochs",
    ),
    "MiniLM-L6-H384": How(
        "nreimers/MiniLM-L6-H384-uncased",
        384,
        "bert",
        "rates and epochs were searched for each task; here one rate and one length for all",
        settings={"lr": 5e-5, "epochs": 5.0},
        tasks=tuple(name for name in GLUE if name != "stsb"),
    ),
    "ModernBERT-base": How(
        "answerdotai/ModernBERT-base",
        768,
        "modernbert",
        "rate, decay and epochs of each task searched, as in the recipe; warm-up, schedule and the number of seeds "
        "are not stated",
        strategy="two-rounds",
    ),
}


@dataclass(frozen=True)
class EncoderTable:
    """A table of encoders, planned: `given` is what the user says, `share` the part of the epochs."""

    rows: Sequence[str]
    given: Mapping[str, Any]
    share: float
    registry: Registry
    size: int | None = None  # of the model that the user names
    left_out = "the model that was named is of another size"

    @property
    def made(self) -> list[str]:
        """The rows of the size of the named model; all, where no row has that size or no model is named."""
        return [row for row in self.rows if ROWS[row].size == self.size] or list(self.rows)

    @property
    def plan(self) -> Plan:
        """That of the first row, which has the tasks and the data of all."""
        return self.plan_of(self.made[0])

    @property
    def is_full(self) -> bool:
        return self.share == 1 and not any(self.given.get(name) not in (None, "hub") for name in SMALLER)

    def like(self, plan: Plan) -> EncoderTable:
        """With the precision that was found for the plan, and its model if the user named it."""
        model = {"model": plan.model} if "model" in self.given else {}
        given = {**self.given, **model, "precision": plan.precision}
        return EncoderTable(self.rows, given, self.share, self.registry, self.size)

    def applied(self, row: str) -> Applied:
        return Applied(ROWS[row].recipe, self.registry, self.size or ROWS[row].size, self.given)

    def own(self, row: str, tasks: Sequence[str]) -> dict[str, Any]:
        """What the recipe and the row say for tasks, under what the user says."""
        how = ROWS[row]
        of_task = how.of_task.get(tasks[0], {}) if len(tasks) == 1 else {}
        extra = over({**how.settings, **of_task}, self.given)
        values = self.applied(row).settings(tasks)
        values |= {name: value for name, value in extra.items() if name not in self.given}
        if values.get("epochs"):
            values["epochs"] *= self.share
        return values

    def plan_of(self, row: str) -> Plan:
        base = {"tasks": ROWS[row].tasks, "model": ROWS[row].model, **self.given}
        return plan_from({**self.own(row, base["tasks"]), **base})

    def configurations(self) -> list[Configuration]:
        found = []
        for row in self.made:
            how, plan = ROWS[row], self.plan_of(row)

            def own(tasks: Sequence[str], row: str = row) -> dict[str, Any]:
                return self.own(row, tasks)

            stages = stages_of(how.strategy, plan, self.registry, own=own)
            as_run = f"{how.strategy}, {how.recipe}"
            found.append(Configuration(row, tuple(stages), as_run, self.applied(row)))
        return found

    def head(self, configurations: Sequence[Configuration], seeds: int) -> tuple[str, ...]:
        """How each row is made here and was made there, and what the numbers mean."""
        said = [] if self.is_full else [SCALED]
        for one in configurations:
            how, plan = ROWS[one.name], self.plan_of(one.name)
            own = [f"{k} {v:g}" for k, v in how.settings.items() if v not in (NEVER, None) and getattr(plan, k) == v]
            part = "all" if self.share == 1 else f"{self.share:g} of"
            length = f"{plan.steps:,} steps" if plan.epochs is None else f"{part} its epochs in updates"
            said.append(
                f"{one.name}: {last(plan.model)}, data {last(plan.data)}, strategy {how.strategy}, recipe {how.recipe}"
                f"{' with ' + ', '.join(own) if own else ''}, {length} of {plan.update}. The source: {how.source}."
            )
        said.append(
            f"{CELLS} Ours has {noise_of(seeds)}; how far the published values vary is not known and not in it."
        )
        return tuple(said)
