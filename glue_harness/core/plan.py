"""A plan: everything needed to repeat a run. TOML in and out, and a digest that names it."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_type_hints

from glue_harness.core.errors import UsageError, unknown
from glue_harness.core.reading import check_values, is_text, read_small, toml_value

CHOICES = {
    "adapter_trains": ("adapters+norms", "adapters"),
    "optimizer": ("adamw", "adafactor"),
    "schedule": ("constant", "linear"),
    "answers": ("closed", "strict"),
    "packing": ("auto", "rows", "buckets"),
    "select": ("validation", "heldout"),
    "precision": ("auto", "bf16", "fp32"),
    "compile": ("auto", "on", "off"),
    "device": ("auto", "cuda", "cpu"),
    "on_nonfinite": ("stop", "skip"),
}
METHOD_SETTINGS = {
    "adapter_width": "adapter",
    "adapter_trains": "adapter",
    "lora_rank": "lora",
    "prompt_length": "prompt",
}
LEAST = {"weight_decay": 0, "z_loss": 0, "dropout": 0, "warmup": 0, "seed": 0, "max_input": 2, "max_target": 2}
EARLIER = ("run:", "plan:")  # a model that an earlier run made: see runs/origin.py
LARGEST_FILE = 2**16  # bytes of TOML: a plan has a tenth of that
POSITIVE = ("limit", "temperature", "steps", "batch_size", "batch_tokens", "micro_batch", "lr", "eval_every")
POSITIVE += ("eval_limit", "adapter_width", "lora_rank", "max_input", "max_target", "max_answer", "clip", "eval_tokens")
POSITIVE += ("train_limit", "heldout", "prompt_length")


def is_demo(data: str) -> bool:
    """Whether `data` means the tasks' own generators: demo, or demo:ROWS."""
    return data.partition(":")[0] == "demo"


@dataclass(frozen=True)
class Plan:
    """What to train on what, how, and how to score it. One seed: several seeds are several runs."""

    tasks: tuple[str, ...]
    data: str = "hub"  # hub, demo, demo:ROWS, or a folder
    revision: str | None = None  # of the Hub data; None: the one pinned in the task file
    train_limit: int | None = None  # rows of each task's train split that are used at most, held-out ones included
    model: str = "google-t5/t5-small"  # Hub id, folder, run:RUN, tiny, or t5:mini|small|base|large from scratch
    tokenizer: str | None = None  # folder with the vocabulary for a model from scratch
    method: str = "full"
    adapter_width: int = 128  # inner size of an adapter
    adapter_trains: str = "adapters+norms"
    lora_rank: int = 8
    prompt_length: int = 20  # vectors
    mixing: str = "proportional"
    limit: float | None = 2.0**19  # K: examples of one task that count at most
    temperature: float = 1.0
    rates: Mapping[str, float] = field(default_factory=dict)  # for mixing = custom
    text: str | None = None  # file or folder that span corruption reads; None: where the data is
    text_share: float | None = None  # of the examples drawn; None: by its size, like any task
    steps: int = 1000
    batch_size: int = 32  # examples per update
    batch_tokens: int | None = None  # instead: input tokens per update, in rows of max_input made by T5's packer
    micro_batch: int | None = None  # examples per pass; None: as many as fit
    packing: str = "auto"  # rows: several examples in one; buckets: one a row, passes of similar length
    lr: float = 1e-3
    optimizer: str = "adamw"
    schedule: str = "linear"
    warmup: int = 0  # steps
    weight_decay: float = 0.0
    clip: float | None = 1.0  # norm of the gradient
    z_loss: float = 0.0  # weight of the squared log of what a token's probabilities are divided by
    dropout: float | None = None  # None: the model's own
    on_nonfinite: str = "stop"  # or skip: what becomes of an update whose loss or gradient is not finite
    max_input: int = 512  # tokens
    max_target: int = 128
    max_answer: int = 128
    answers: str = "closed"
    select: str = "validation"  # rows that choose a task's best step: those that score it, or held-out ones of train
    heldout: int = 1000  # rows of each task at most, and a fifth of them at most
    eval_every: int | None = None  # steps; None: ten times a run
    eval_limit: int | None = None  # examples per task while training; the final scores use all
    eval_tokens: int | None = None  # padded input tokens in a batch of answers; None: what suits the device
    precision: str = "auto"
    compile: str = "auto"  # torch.compile: on CUDA, in runs that are long enough
    device: str = "auto"
    seed: int = 0

    def __post_init__(self) -> None:
        for name, kind in TYPES.items():  # 1 and 1.0 are one plan, with one digest
            if kind in (float, float | None) and isinstance(getattr(self, name), int):
                object.__setattr__(self, name, float(getattr(self, name)))
        object.__setattr__(self, "rates", {name: float(rate) for name, rate in self.rates.items()})
        if not self.tasks:
            raise UsageError("no task: name one with --task, for example --task mnli")
        for name, known in CHOICES.items():
            if getattr(self, name) not in known:
                raise unknown(name, str(getattr(self, name)), known)
        for name in POSITIVE:
            value = getattr(self, name)
            if value is not None and not (math.isfinite(value) and value > 0):
                raise UsageError(f"{name} must be above 0, not {value}")
        for name, least in LEAST.items():
            value = getattr(self, name)
            if value is not None and not least <= value < math.inf:
                raise UsageError(f"{name} must be {least} or more, not {value}")
        if self.dropout is not None and not self.dropout < 1:
            raise UsageError(f"dropout must be below 1, not {self.dropout}")
        if self.batch_tokens and (self.batch_tokens < self.max_input or self.micro_batch or self.packing != "auto"):
            raise UsageError(
                f"batch_tokens {self.batch_tokens} makes rows of max_input ({self.max_input}) tokens in T5's way: "
                "it must hold at least one, and goes without micro_batch and packing"
            )
        if self.warmup >= self.steps:
            raise UsageError(f"warmup {self.warmup} leaves nothing of {self.steps} steps: it must be below steps")
        if self.weight_decay and self.optimizer != "adamw":
            raise UsageError(f"weight_decay is {self.weight_decay} but {self.optimizer} has none: use adamw")
        for name, method in METHOD_SETTINGS.items():
            value = getattr(self, name)
            if value != FIELDS[name].default and self.method != method:
                raise UsageError(f"{name} is {value} but method is {self.method!r}: use --method {method}")
        if self.heldout != FIELDS["heldout"].default and self.select != "heldout":
            raise UsageError(f"heldout is {self.heldout} but select is {self.select!r}: use --select heldout")
        if self.temperature != 1 and self.mixing != "temperature":
            raise UsageError(
                f"temperature is {self.temperature} but mixing is {self.mixing!r}: use --mixing temperature"
            )
        if self.text_share is not None and not 0 < self.text_share < 1:
            raise UsageError(f"text_share must be between 0 and 1, not {self.text_share}")
        if self.rates and self.mixing != "custom":
            raise UsageError(f"rates are given but mixing is {self.mixing!r}: use --mixing custom")
        if any(not 0 <= rate < math.inf for rate in self.rates.values()):
            raise UsageError("a custom rate must not be negative, nor without end")
        if self.mixing == "custom" and not sum(self.rates.values()) > 0:
            raise UsageError("custom rates sum to 0: give at least one, for example --rate mnli=2")

    def replace(self, **changes: Any) -> Plan:
        return dataclasses.replace(self, **changes)

    @property
    def digest(self) -> str:
        """Names the plan whatever its seed: runs with one digest are repeats of one experiment.

        Of what differs from the defaults, so that a setting that is added later leaves the names of old plans alone.
        """
        facts = {key: value for key, value in self.to_dict().items() if key != "seed" and value != default_of(key)}
        return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:12]

    @property
    def update(self) -> str:
        """How large an update is, in words."""
        return f"{self.batch_tokens:,} tokens" if self.batch_tokens else f"{self.batch_size:,} examples"

    @property
    def is_demo(self) -> bool:
        return is_demo(self.data)

    def to_dict(self) -> dict[str, Any]:
        return {**dataclasses.asdict(self), "tasks": list(self.tasks), "rates": dict(self.rates)}

    def to_toml(self) -> str:
        lines = [f"{key} = {_toml(value)}" for key, value in self.to_dict().items() if value is not None]
        return "\n".join(lines) + "\n"


FIELDS = {f.name: f for f in dataclasses.fields(Plan)}
TYPES = get_type_hints(Plan)


def default_of(key: str) -> Any:
    made = FIELDS[key].default_factory
    return FIELDS[key].default if made is dataclasses.MISSING else made()


def plan_from(values: Mapping[str, Any], where: str = "plan") -> Plan:
    """A plan from plain values, each checked against its field's type."""
    return Plan(**{key: checked(key, value, where) for key, value in values.items()})


def read_plan(path: Path) -> dict[str, Any]:
    """The values of a plan file, not yet a plan: options on the command line may override them."""
    try:
        with open(path, "rb") as file:
            values = toml_value(read_small(file, LARGEST_FILE))
    except OSError as error:
        raise UsageError(f"cannot read plan {str(path)!r}: {error.strerror}") from None
    except ValueError as error:
        raise UsageError(f"plan {str(path)!r} is not TOML: {error}") from None
    return {key: checked(key, value, str(path)) for key, value in values.items()}


def checked(key: str, value: Any, where: str) -> Any:
    """A value in its field's type, or an error that names the place."""
    if key not in FIELDS:
        error = unknown("setting", key, FIELDS, lister="glue run --help")
        raise UsageError(f"{where}: {error}")
    kind = TYPES[key]
    _refuse_unusable(key, value, where)
    if kind == tuple[str, ...] and isinstance(value, list | tuple) and all(isinstance(v, str) for v in value):
        return tuple(value)
    if kind == Mapping[str, float] and isinstance(value, Mapping):
        return {name: checked_rate(name, rate, where) for name, rate in value.items()}
    plain = {str: str, int: int, float: float, str | None: str, int | None: int, float | None: float}.get(kind)
    allows_none = kind in (str | None, int | None, float | None)
    if allows_none and value is None:
        return None
    if plain is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if plain is not None and isinstance(value, plain) and not isinstance(value, bool):
        return value
    raise UsageError(f"{where}: {key} must be {getattr(plain, '__name__', 'a list or table')}, not {value!r}")


def _refuse_unusable(key: str, value: Any, where: str) -> None:
    """Numbers that nothing can compute with, and texts that no file can be named by."""
    if isinstance(value, int | list | Mapping):
        try:
            check_values(value)
        except ValueError as error:
            raise UsageError(f"{where}: {key}: {error}") from None
    for text in [value] if isinstance(value, str) else value if isinstance(value, list | tuple | Mapping) else ():
        if isinstance(text, str) and ("\0" in text or not is_text(text)):
            raise UsageError(f"{where}: {key} must be text that UTF-8 can write, without NUL, not {text!r}")


def checked_rate(name: str, rate: Any, where: str) -> float:
    if isinstance(rate, bool) or not isinstance(rate, int | float):
        raise UsageError(f"{where}: the rate of {name!r} must be a number, not {rate!r}")
    return float(rate)


def parsed(key: str, text: str, where: str) -> Any:
    """A value written on the command line as `key=text`."""
    try:
        value = None if text == "none" else toml_value(f"value = {text}")["value"]
    except ValueError:
        value = text
    return checked(key, value, where)


def _toml(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{_toml(key)} = {_toml(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_toml, value)) + "]"
    # TOML knows JSON's escapes, but no surrogate pairs; and it wants DEL escaped, which JSON does not
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
