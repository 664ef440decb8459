"""A plan: everything needed to repeat a run, as TOML too, and a digest that names it."""

from __future__ import annotations

import collections.abc
import dataclasses
import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import UnionType
from typing import Any, get_args, get_origin, get_type_hints

from glue_harness.core.errors import UsageError, unknown
from glue_harness.core.settings import Setting, over, own_settings, plugin_files, refuse_two_lengths
from glue_harness.core.writing import toml_text

EARLIER = ("run:", "plan:")  # a model that an earlier run made: see runs/origin.py
SCORED = "scored"  # in the place of a method: another system gave the answers, nothing was trained
ON_OFF = ("on", "off")
OF_SCORED = ("tasks", "data", "revision", "model", "method", "seed")  # all that such a plan says; model is the system

# Headings of `glue run --help`; a setting without one has no option of its own and is reached by --set.
LEARN, MODEL, SMALLER, MIX = "What to learn", "Model", "Smaller models", "How often each task is drawn"
TRAINING, SCORES, SEVERAL = "Training", "Scores", "Several runs"


def setting(default: Any, help: str, group: str = "", **facts: Any) -> Any:
    """A setting that every plan has. Its name and type are those of the field."""
    metadata = {"help": help, "group": group, **facts}
    if isinstance(default, dict):  # a dataclass wants a new one for each instance
        return dataclasses.field(default_factory=default.copy, metadata=metadata)
    return dataclasses.field(default=default, metadata=metadata)


def is_demo(data: str) -> bool:
    """Whether `data` means the tasks' own generators: demo, or demo:ROWS."""
    return data.partition(":")[0] == "demo"


@dataclass(frozen=True, init=False)
class Plan:
    """What to train on what, how, and how to score it. One seed: several seeds are several runs.

    Settings of the plan's method, optimiser and family are attributes too: `plan.adapter_width`.
    """

    tasks: tuple[str, ...] = setting((), "Tasks or suites.", fixed=True)
    data: str = setting("hub", "hub, demo, demo:ROWS, or a folder (official download, save_to_disk, parquet).", LEARN)
    revision: str | None = setting(None, "Of the Hub data, instead of the one pinned in the task's file.")
    train_limit: int | None = setting(
        None, "Rows of each task's train split to use; a smaller number's are among a larger one's.", LEARN, above=0
    )
    model: str = setting(
        "google-t5/t5-small",
        "Hub id, folder, or from scratch: tiny, t5:mini|small|base|large, bert:tiny|mini|small|base|large, "
        "gpt:tiny|small, cbow, bilstm.",
        MODEL,
        fixed=True,
        short="-m",
    )
    tokenizer: str | None = setting(None, "Folder with the vocabulary of a model from scratch.", MODEL, fixed=True)
    method: str = setting(
        "full", "How it learns: full, adapter, unfreeze, frozen, lora, prompt, distil or prune.", MODEL, fixed=True
    )
    mixing: str = setting("proportional", "proportional, temperature, equal or custom.", MIX)
    limit: float | None = setting(2.0**19, "K: examples of one task that count at most.", MIX, above=0)
    temperature: float = setting(1.0, "T: flattens the mix when above 1.", MIX, above=0)
    rates: Mapping[str, float] = setting({}, "A task's rate, for mixing = custom.")
    text: str | None = setting(None, "File or folder of plain text for span corruption.", LEARN)
    text_share: float | None = setting(
        None, "Its share of what is drawn, beside other tasks; default: by its size.", MIX, above=0, below=1
    )
    # 0 beside epochs: they are not counted yet
    steps: int = setting(1000, "Optimiser updates; 0: the model is scored as it is.", TRAINING, least=0)
    epochs: float | None = setting(
        None, "Instead: passes over the training examples; 0.5 is half of one.", TRAINING, above=0, below=1e6
    )
    batch_size: int = setting(32, "Examples per update.", TRAINING, above=0)
    batch_tokens: int | None = setting(
        None, "Instead: input tokens per update, packed as T5 does it.", TRAINING, above=0
    )
    micro_batch: int | None = setting(None, "Examples per pass; default: as many as fit.", above=0)
    packing: str = setting(
        "auto",
        "rows: several examples in one; buckets: one a row, passes of similar length.",
        choices=("auto", "rows", "buckets"),
    )
    lr: float = setting(1e-3, "Learning rate.", TRAINING, above=0)
    optimizer: str = setting("adamw", "adamw or adafactor.", TRAINING, fixed=True)
    schedule: str = setting("linear", "constant, or linear: a fall to 0.", choices=("constant", "linear"))
    warmup: int = setting(0, "Steps in which the rate rises first.", least=0)
    warmup_share: float = setting(0.0, "Instead: their share of all steps, rounded down.", least=0, below=1)
    patience: int | None = setting(
        None, "Evaluations without a better mean of the tasks' scores that end a run; default: none do.", above=0
    )
    layer_decay: float = setting(
        1.0, "Factor of the rate from each block to the one below; heads have all of it, embeddings least.", above=0
    )
    clip: float | None = setting(1.0, "Largest norm of the gradient, or none.", above=0)
    dropout: float | None = setting(None, "Instead of the model's own.", least=0, below=1)
    on_nonfinite: str = setting(
        "stop", "stop or skip: an update whose loss or gradient is not finite.", TRAINING, choices=("stop", "skip")
    )
    max_input: int = setting(512, "Input tokens of an example at most.", above=0, least=2)
    max_target: int = setting(128, "Target tokens of an example at most.", above=0, least=2)
    max_answer: int = setting(128, "Tokens of a generated answer at most.", above=0)
    answers: str = setting(
        "closed",
        "closed: only valid answers. strict: T5's free greedy decoding.",
        SCORES,
        choices=("closed", "strict"),
    )
    select: str = setting(
        "validation",
        "validation, or heldout: choose best steps on rows of train that are not trained on.",
        SCORES,
        choices=("validation", "heldout"),
    )
    heldout: int = setting(1000, "Rows of each task that are held out at most, and a fifth of them at most.", above=0)
    eval_every: int | None = setting(None, "Steps between evaluations; default: ten times a run.", SCORES, above=0)
    eval_limit: int | None = setting(
        None, "Examples of each task that are scored while training; the final scores use all.", above=0
    )
    eval_tokens: int | None = setting(
        None, "Padded input tokens in a batch of answers; default: what suits the device.", above=0, identity=False
    )
    precision: str = setting(
        "auto",
        "bf16 or fp32; auto: bf16 where it is faster, and the record and the digest name the one that is used.",
        choices=("auto", "bf16", "fp32"),
    )
    compile: str = setting(
        "auto", "torch.compile: on CUDA, in runs that are long enough.", choices=("auto", "on", "off"), identity=False
    )
    bf16_weights: str = setting(
        "off", "All weights are cast to bf16 at once: for CUDA, the same bits.", choices=ON_OFF, identity=False
    )
    weights: str = setting("fp32", "See glue compress.", choices=("fp32", "bf16", "int8-dynamic", "int8-weight-only"))
    cuda_graphs: str = setting(
        "off", "Updates of one pass are recorded and started as one operation.", choices=ON_OFF, identity=False
    )
    shard: str = setting("off", "Processes divide the weights.", TRAINING, choices=ON_OFF, identity=False, alone="on")
    device: str = setting("auto", "auto, cuda or cpu.", TRAINING, choices=("auto", "cuda", "cpu"), identity=False)
    seed: int = setting(0, "First seed.", SEVERAL, least=0)
    # Settings of its method, optimiser and family that are not at their defaults.
    own: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    def __init__(self, tasks: str | Sequence[str], **values: Any) -> None:
        """`tasks` is a list, or names with commas between them."""
        names = [name.strip() for name in tasks.split(",")] if isinstance(tasks, str) else tasks
        refuse_two_lengths(values, "plan")
        self._fill({"tasks": names, **values}, "plan")

    def _fill(self, values: Mapping[str, Any], where: str) -> None:
        values = {**values.get("own", {}), **{name: value for name, value in values.items() if name != "own"}}
        own_kinds = own_settings()
        own: dict[str, Any] = {}
        follows = values.get("epochs") is not None and "steps" not in values
        for name, declared in GENERAL.items():
            value = values.get(name, declared.default)
            if type(value) is not type(declared.default) or value != declared.default:  # few are: ten thousand plans
                value = declared.checked(value, where)  # are read for a board
                declared.check_bounds(value)
            object.__setattr__(self, name, 0 if follows and name == "steps" else value)
        for name in values.keys() - GENERAL.keys():
            if name in own_kinds:
                value = own_kinds[name].checked(values[name], where)
                own_kinds[name].check_bounds(value)
                if value != own_kinds[name].default:
                    own[name] = value
            elif self.method in plugin_files("method") and self.optimizer in plugin_files("optimizer"):
                error = unknown("setting", name, settings(), lister="glue run --help-settings")
                raise UsageError(f"{where}: {error}")
            else:  # a record of a method that is not installed here is still worth reading
                own[name] = values[name]
        object.__setattr__(self, "own", dict(sorted(own.items())))
        self._check()

    def __getattr__(self, name: str) -> Any:
        """A setting of the method, optimiser or family. Python asks here only for what is no field."""
        if not name.startswith("_"):
            declared = own_settings().get(name)
            if name in self.own or declared:
                return self.own.get(name, declared and declared.default)
        raise AttributeError(f"a plan has no setting {name!r}")

    def _check(self) -> None:
        """What one setting says of another."""
        if not self.tasks:
            raise UsageError("no task: name one with --task, for example --task mnli")
        if self.batch_tokens and (self.batch_tokens < self.max_input or self.micro_batch or self.packing != "auto"):
            raise UsageError(
                f"batch_tokens {self.batch_tokens} makes rows of max_input ({self.max_input}) tokens in T5's way: "
                "it must hold at least one, and goes without micro_batch and packing"
            )
        if self.layer_decay > 1:
            raise UsageError(f"layer_decay {self.layer_decay:g} would move what is below most: it must be at most 1")
        if self.warmup and self.warmup_share:
            raise UsageError(f"warmup is {self.warmup} and warmup_share {self.warmup_share:g}: give one of them")
        if self.warmup >= self.steps > 0:
            raise UsageError(f"warmup {self.warmup} leaves nothing of {self.steps} steps: it must be below steps")
        for name, value in self.own.items():
            kind, owner = own_settings()[name].owner if name in own_settings() else ("", "")
            if kind in ("method", "optimizer") and not own_settings()[name].is_of(kind, getattr(self, kind)):
                chosen = getattr(self, kind)
                raise UsageError(f"{name} is {value} but {kind} is {chosen!r}: use --{kind} {owner}")
        if self.heldout != GENERAL["heldout"].default and self.select != "heldout":
            raise UsageError(f"heldout is {self.heldout} but select is {self.select!r}: use --select heldout")
        if self.temperature != 1 and self.mixing != "temperature":
            raise UsageError(
                f"temperature is {self.temperature} but mixing is {self.mixing!r}: use --mixing temperature"
            )
        if self.rates and self.mixing != "custom":
            raise UsageError(f"rates are given but mixing is {self.mixing!r}: use --mixing custom")
        if any(not 0 <= rate < math.inf for rate in self.rates.values()):
            raise UsageError("a custom rate must not be negative, nor without end")
        if self.mixing == "custom" and not sum(self.rates.values()) > 0:
            raise UsageError("custom rates sum to 0: give at least one, for example --rate mnli=2")

    def replace(self, **changes: Any) -> Plan:
        """The plan with other values. Another method or optimiser leaves the settings of the former one behind."""
        left = {
            name
            for name, declared in own_settings().items()
            if (kind := declared.owner[0]) in changes and not declared.is_of(kind, changes[kind])
        }
        own = {name: value for name, value in self.own.items() if name not in left}
        general = {name: getattr(self, name) for name in GENERAL if name != "steps" or self.steps or self.never_learns}
        return plan_from(over({**general, **own}, changes))

    def lasting(self, steps: int) -> Plan:
        """The plan whose epochs amount to so many steps."""
        return plan_from({**self.to_dict(), "steps": steps})

    @property
    def digest(self) -> str:
        """Names the experiment, whatever its seed: runs with one digest are repeats of each other.

        Of what differs from the defaults, so that a setting that is added later leaves the names of old plans alone.
        """
        known = settings()
        facts = {key: value for key, value in self.departures().items() if key not in known or known[key].identity}
        return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:12]

    def departures(self) -> dict[str, Any]:
        """The settings that are not at their defaults, the seed aside."""
        return {key: value for key, value in self.to_dict().items() if key != "seed" and value != default_of(key)}

    @property
    def update(self) -> str:
        """How large an update is, in words."""
        return f"{self.batch_tokens:,} tokens" if self.batch_tokens else f"{self.batch_size:,} examples"

    @property
    def never_learns(self) -> bool:
        """Whether the model is only scored, as it is."""
        return self.steps == 0 and self.epochs is None

    @property
    def length(self) -> str:
        """How long a run is, in words: as it was asked for."""
        number, unit = (f"{self.steps:,}", "step") if self.epochs is None else (f"{self.epochs:g}", "epoch")
        return f"{number} {unit}" + ("" if number == "1" else "s")

    @property
    def is_demo(self) -> bool:
        return is_demo(self.data)

    @property
    def is_scored(self) -> bool:
        """Whether it only names a system whose answers were scored (`glue score --as`)."""
        return self.method == SCORED

    def says(self, name: str) -> bool:
        """Whether a setting means anything in this plan: of steps and epochs one does, the other follows or is not."""
        if self.is_scored:
            return name in OF_SCORED
        return name != ("epochs" if self.epochs is None else "steps")

    def to_dict(self) -> dict[str, Any]:
        """Every setting that applies: those of all plans, and those of this plan's method, optimiser and family."""
        if self.is_scored:
            return {name: getattr(self, name) for name in OF_SCORED} | {"tasks": list(self.tasks)}
        general = {name: getattr(self, name) for name in GENERAL if self.says(name)}
        kinds = {"method": self.method, "optimizer": self.optimizer}
        applying = (s.name for s in own_settings().values() if s.is_of(s.owner[0], kinds.get(s.owner[0], "")))
        own = {name: getattr(self, name) for name in applying}
        return {**general, **own, **self.own, "tasks": list(self.tasks), "rates": dict(self.rates)}

    def to_toml(self, chosen: Mapping[str, Any] | None = None) -> str:
        """All settings, or the chosen ones. `none` stands for no value where the default is one: TOML has no word."""
        values = self.to_dict() if chosen is None else chosen
        lines = [f"{key} = {toml_text(value)}" for key, value in values.items() if value is not None]
        lines += [f'{key} = "none"' for key, value in values.items() if value is None and default_of(key) is not None]
        return "\n".join(lines) + "\n"


def _declared(field: dataclasses.Field[Any], hint: Any) -> Setting:
    """A field of `Plan` as a setting: its type hint says its kind and whether it may be None."""
    kinds = get_args(hint) if isinstance(hint, UnionType) else (hint,)
    kind = {tuple: tuple, collections.abc.Mapping: dict}.get(get_origin(kinds[0]), kinds[0])
    default = {} if field.default is dataclasses.MISSING else field.default
    return Setting(field.name, kind, default, optional=len(kinds) > 1, **field.metadata)


GENERAL = {
    field.name: _declared(field, hint)
    for field, hint in zip(dataclasses.fields(Plan), get_type_hints(Plan).values(), strict=True)
    if field.name != "own"
}


def settings() -> dict[str, Setting]:
    """Every setting by name: those of all plans, then those of methods, optimisers and families."""
    return {**GENERAL, **own_settings()}


def default_of(name: str) -> Any:
    """What a plan has that does not say; None for a setting that nobody here declares."""
    declared = settings().get(name)
    return declared and (list(declared.default) if declared.kind is tuple else declared.default)


def plan_from(values: Mapping[str, Any], where: str = "plan") -> Plan:
    """A plan from plain values, each checked against its setting's type; errors say where they were read."""
    plan = Plan.__new__(Plan)
    plan._fill(values, where)
    return plan
