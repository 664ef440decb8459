"""The GLUE paper's own baselines as lists of runs: CBOW and BiLSTM, each task alone and all together.

What was published stands in published_glue_paper.json; here is how we make it, and what is otherwise.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from glue_harness.core.plan import Plan, plan_from
from glue_harness.core.settings import over
from glue_harness.lab.strategy import stages_of
from glue_harness.reproduce.configuration import Configuration, last, noise_of
from glue_harness.reproduce.encoders import CELLS, GLUE, SCALED, SMALLER
from glue_harness.suite.registry import Registry


class How(NamedTuple):
    model: str
    strategy: str = "single"
    settings: Mapping[str, Any] = {}


ATTENTION = {"pair_attention": "on"}
ROWS = {
    "CBOW": How("cbow"),
    "CBOW, multi-task": How("cbow", "multitask"),
    "BiLSTM": How("bilstm"),
    "BiLSTM, multi-task": How("bilstm", "multitask"),
    "BiLSTM+Attn": How("bilstm", "single", ATTENTION),
    "BiLSTM+Attn, multi-task": How("bilstm", "multitask", ATTENTION),
}
EPOCHS = 10.0
# Adam, its rate, batches and clipping are the paper's; it trains until validation says no, for at most how long it
# does not say. Ten passes are what its smaller tasks need here.
SETTINGS = {"tasks": (*GLUE, "wnli"), "epochs": EPOCHS, "batch_size": 128, "lr": 1e-3, "weight_decay": 0.0, "clip": 1.0}


@dataclass(frozen=True)
class BaselineTable:
    """The table, planned: `given` is what the user says, `share` the part of the epochs."""

    rows: Sequence[str]
    given: Mapping[str, Any]
    share: float
    registry: Registry
    left_out: str = field(default="", init=False)  # every row can be made

    @property
    def plan(self) -> Plan:
        return self.plan_of(self.rows[0])

    @property
    def is_full(self) -> bool:
        return self.share == 1 and not any(self.given.get(name) not in (None, "hub") for name in SMALLER)

    def like(self, plan: Plan) -> BaselineTable:
        """With the precision that was found for the plan."""
        return replace(self, given={**self.given, "precision": plan.precision})

    def plan_of(self, row: str) -> Plan:
        how = ROWS[row]
        own = {**SETTINGS, "epochs": self.share * EPOCHS, "model": how.model}
        return plan_from({**over(own, self.given), **how.settings})

    def configurations(self) -> list[Configuration]:
        found = []
        for row in self.rows:
            how = ROWS[row]
            stages = stages_of(how.strategy, self.plan_of(row), self.registry)
            shown = [how.strategy, *("attention" for name in how.settings if name == "pair_attention")]
            found.append(Configuration(row, tuple(stages), ", ".join(shown)))
        return found

    def head(self, configurations: Sequence[Configuration], seeds: int) -> tuple[str, ...]:
        """What was done otherwise than in the paper, and what the numbers mean."""
        plan = self.plan_of("BiLSTM")
        length = f"{plan.steps:,} steps" if plan.epochs is None else f"{plan.epochs:g} epochs"
        words = f"vectors of {last(plan.vectors)}" if plan.vectors else "no pre-trained vectors: words learn as they go"
        return (
            *(() if self.is_full else (SCALED,)),
            f"Ours: data {last(plan.data)}, {words}; states of {plan.lstm_size}; {length} of {plan.update}, "
            f"rate {plan.lr:g} falling to 0, the best step on validation. The paper: GloVe's vectors (840 billion "
            "words), states of 1,500, batches of 128, rate 0.001 divided by 5 where validation stops to rise, and the "
            "best of its baselines' runs; together, each task's loss is divided by its number of examples, which is "
            "not done here.",
            f"{CELLS} Ours has {noise_of(seeds)}; how far the published values vary is not known and not in it.",
        )
