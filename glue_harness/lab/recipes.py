"""Named sets of settings: how models were fine-tuned by their papers and code, and what came out best measured here.

Each is for one family of models. Where the source has settings for each task, so has the recipe; docs/recipes.md says
where they are from and what no source says.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from glue_harness.core.errors import UsageError, unknown
from glue_harness.core.plan import EARLIER, Plan
from glue_harness.core.settings import over, own_settings
from glue_harness.core.task import Task
from glue_harness.lab.request import select
from glue_harness.suite.registry import Registry

LENGTHS = {"glue": (512, 84), "superglue": (512, 62), "qa": (512, 97)}  # suite -> tokens of inputs, of targets
OTHER_LENGTHS = (512, 512)
FROM_MNLI = ("rte", "mrpc", "stsb", "cb", "superglue_rte")  # small tasks that gain from what MNLI teaches
SMALL, LARGE = 256, 1024  # hidden sizes of the published models of that name
HIGH_RATE = 5e-4  # above, AdamW moves a pre-trained encoder away from what it knows; ELECTRA-small's own is 3e-4
Settings = dict[str, Any]

T5_UPDATES: Settings = {
    "optimizer": "adafactor",
    "lr": 1e-3,
    "schedule": "constant",
    "warmup": 0,
    "weight_decay": 0.0,
    "clip": None,
    "dropout": 0.1,
}


def t5(tasks: Sequence[Task], size: int | None) -> Settings:
    """How T5 was fine-tuned. Lengths are those of the suite that all tasks are from."""
    suites = {task.suite for task in tasks}
    max_input, max_target = LENGTHS.get(suites.pop(), OTHER_LENGTHS) if len(suites) == 1 else OTHER_LENGTHS
    return {
        "steps": 2**18,
        "batch_tokens": 2**16,
        **T5_UPDATES,
        "z_loss": 1e-4,
        "max_input": max_input,
        "max_target": max_target,
        "max_answer": 128,
        "answers": "strict",
        "eval_every": 5000,
    }


def modern(tasks: Sequence[Task], size: int | None) -> Settings:
    """What came out best of those measured (docs/measurements.md): T5's optimiser, smaller updates, closed answers."""
    return {
        "batch_size": 32,
        **T5_UPDATES,
        "answers": "closed",
        "eval_every": None,
    }


def bert(tasks: Sequence[Task], size: int | None) -> Settings:
    """Devlin et al. (2019) and their code, but for the optimiser's bias correction, which theirs lacks."""
    return {
        "epochs": 3.0,
        "batch_size": 32,
        "optimizer": "adamw",
        "lr": 2e-5,
        "schedule": "linear",
        "warmup_share": 0.1,
        "weight_decay": 0.01,
        "decayed": "matrices",
        "clip": 1.0,
        "layer_decay": 1.0,
        "max_input": 128 if {task.suite for task in tasks} == {"glue"} else 512,
    }


def stable(tasks: Sequence[Task], size: int | None) -> Settings:
    """Mosbach et al. (2021), for small sets: many epochs, down to a training loss of almost nothing."""
    return {**bert(tasks, size), "epochs": 20.0, "batch_size": 16}


def roberta(tasks: Sequence[Task], size: int | None) -> Settings:
    """Liu et al. (2019), table 10; of their rates 1e-5, 2e-5, 3e-5 the middle one, of their batches the larger one."""
    changes = {"epochs": 10.0, "warmup_share": 0.06, "weight_decay": 0.1, "decayed": "all", "clip": None}
    return {**bert(tasks, size), **changes, "max_input": 512}


def electra(tasks: Sequence[Task], size: int | None) -> Settings:
    """Clark et al. (2020), table 7: rates by the model's size, epochs by the task."""
    names = {task.name for task in tasks}
    rate = 3e-4 if size == SMALL else 5e-5 if size == LARGE else 1e-4
    epochs = 10.0 if names <= {"rte", "stsb"} else 2.0 if names == {"squad"} else 3.0
    decay = 0.9 if size == LARGE else 0.8
    return {**bert(tasks, size), "lr": rate, "epochs": epochs, "layer_decay": decay, "weight_decay": 0.0}


class Row(NamedTuple):
    """Of ModernBERT's table: learning rate, decay of the weights, epochs."""

    lr: float
    weight_decay: float
    epochs: float


MODERNBERT = {  # Warner et al. (2024), table 6: task -> base, large
    "cola": (Row(8e-5, 1e-6, 5), Row(3e-5, 8e-6, 5)),
    "mnli": (Row(5e-5, 5e-6, 1), Row(3e-5, 1e-5, 1)),
    "mrpc": (Row(5e-5, 5e-6, 10), Row(8e-5, 5e-6, 2)),
    "qnli": (Row(8e-5, 5e-6, 2), Row(3e-5, 5e-6, 2)),
    "qqp": (Row(5e-5, 5e-6, 10), Row(5e-5, 8e-6, 2)),
    "rte": (Row(5e-5, 1e-5, 3), Row(5e-5, 8e-6, 3)),
    "sst2": (Row(8e-5, 1e-5, 2), Row(1e-5, 1e-6, 3)),
    "stsb": (Row(8e-5, 5e-6, 10), Row(8e-5, 1e-5, 10)),
}


def modernbert(tasks: Sequence[Task], size: int | None) -> Settings:
    """A task's row; that of RTE for tasks without one, that of MNLI for several tasks at once."""
    name = tasks[0].name if len(tasks) == 1 else "mnli"
    row = MODERNBERT.get(name, MODERNBERT["rte"])[size == LARGE]
    return {**roberta(tasks, size), **row._asdict(), "batch_size": 64}


class Recipe(NamedTuple):
    settings: Callable[[Sequence[Task], int | None], Settings]  # of tasks and the model's hidden size, if it is known
    family: str  # whose models it is for
    from_mnli: bool = False  # whether its source trains some tasks from MNLI's best step


RECIPES: dict[str, Recipe] = {
    "modern": Recipe(modern, "t5"),
    "t5": Recipe(t5, "t5"),
    "bert": Recipe(bert, "encoder"),
    "stable": Recipe(stable, "encoder"),
    "roberta": Recipe(roberta, "encoder", from_mnli=True),
    "electra": Recipe(electra, "encoder"),
    "modernbert": Recipe(modernbert, "encoder", from_mnli=True),
}


def values_of(name: str, tasks: Sequence[str], registry: Registry, size: int | None = None) -> Settings:
    """A recipe for these tasks and a model of that hidden size, as settings of a plan."""
    if name not in RECIPES:
        raise unknown("recipe", name, RECIPES)
    return RECIPES[name].settings(select(Plan(tuple(tasks)), registry), size)


def refuse_other_family(name: str, model: str, family: str | None) -> None:
    """A recipe on a model of another family would mean nothing; of a model that is not known yet, nothing is said."""
    if name in RECIPES and family not in (None, RECIPES[name].family):
        others = [other for other, recipe in RECIPES.items() if recipe.family == family]
        fix = f"use --recipe {others[0]}" if others else "leave it out"
        raise UsageError(
            f"recipe {name} is for the family {RECIPES[name].family}, but model {model!r} is of the family {family}: "
            f"{fix}, or another --model"
        )


@dataclass(frozen=True)
class Applied:
    """A recipe under the settings that a user gives, for one model."""

    name: str
    registry: Registry
    size: int | None = None  # the model's hidden size
    given: Mapping[str, Any] = field(default_factory=dict)

    def settings(self, tasks: Sequence[str]) -> Settings:
        """What the recipe says for tasks, as far as the user says nothing else."""
        values, own = over(values_of(self.name, tasks, self.registry, self.size), self.given), own_settings()
        other = {name for name in values if name in own and own[name].owner[0] == "optimizer"}
        other = {name for name in other if own[name].owner[1] != values["optimizer"]}  # of the one that it names
        return {name: value for name, value in values.items() if name not in {*self.given, *other}}

    def note(self, plan: Plan) -> str:
        """What a record says of a plan that was made from the recipe."""
        asked = values_of(self.name, plan.tasks, self.registry, self.size)
        unlike = [name for name, value in asked.items() if getattr(plan, name) != value]
        length = "steps" if plan.epochs is None else "epochs"
        said = [length if name in ("steps", "epochs") else name for name in unlike]
        other = [f"{name} {getattr(plan, name)}" for name in said]
        if RECIPES[self.name].from_mnli and set(plan.tasks) & set(FROM_MNLI) and not plan.model.startswith(EARLIER):
            other.append("not from MNLI's best step, where its source starts (--strategy two-rounds)")
        return f"recipe {self.name}" + (f", but {', '.join(other)}" if other else "")


def advice(plan: Plan, origin: Mapping[str, Any]) -> str | None:
    """What is wrong with a plan's rate for a model of that origin, if anything: the default is T5's."""
    family, kind = origin.get("family", "").partition(" ")[0], origin.get("kind")
    is_pretrained = (family, kind) == ("encoder", "pretrained") and origin.get("run") is None
    is_moved_whole = plan.method in ("full", "unfreeze", "prune") and plan.optimizer == "adamw"
    if not is_pretrained or not is_moved_whole or plan.lr <= HIGH_RATE:
        return None
    return f"lr {plan.lr:g} is high for a pre-trained encoder that learns whole: see --recipe bert"
