"""The table of model families, known without torch: names, shapes from scratch, and where a model's weights lie.

A family's file declares `FAMILY = Family(...)`, which is read without running the file.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from glue_harness.core.errors import UsageError, unknown
from glue_harness.core.hub import check_address
from glue_harness.core.plan import EARLIER, Plan
from glue_harness.core.settings import PLUGINS, declared_constant, load_plugin, own_settings, plugin_files
from glue_harness.core.task import Task
from glue_harness.models.marks import kind_in

if TYPE_CHECKING:
    from glue_harness.models.interface import Model

HUB_TIMEOUT = 10  # seconds
LARGEST_HEAD = 64 * 2**20  # bytes of a file of weights that describe them


@dataclass(frozen=True)
class Family:
    types: tuple[str, ...]  # `model_type` in a config.json
    shapes: Mapping[str, Mapping[str, int]] = field(default_factory=dict)  # model from scratch -> its sizes
    millions: Mapping[str, float] = field(default_factory=dict)  # model from scratch -> millions of parameters
    learns_vocabulary: tuple[str, ...] = ()  # those of them that need none to start with
    objective: str = ""  # the task that its models learn from text alone
    shares: tuple[str, ...] = ()  # families whose settings are its own too
    name: str = ""  # of its file


def families() -> tuple[Family, ...]:
    return _families(os.environ.get(PLUGINS, ""))


@lru_cache
def _families(plugins: str) -> tuple[Family, ...]:
    declared = {name: declared_constant(file, "FAMILY", Family=Family) for name, file in plugin_files("family").items()}
    return tuple(replace(family, name=name) for name, family in declared.items() if family)


def shapes() -> dict[str, Mapping[str, int]]:
    """Every model that can be made from scratch, smallest first within a family."""
    return {model: shape for family in families() for model, shape in family.shapes.items()}


def is_from_scratch(model: str) -> bool:
    return model in shapes()


def learns_vocabulary(plan: Plan) -> bool:
    """Whether a plan's model makes its vocabulary of the tasks' own texts."""
    return not plan.tokenizer and any(plan.model in family.learns_vocabulary for family in families())


def millions_of(source: str) -> float | None:
    """Millions of parameters of a model that is not loaded yet: from the table, or from the heads of its files."""
    if is_from_scratch(source):
        return next(family.millions[source] for family in families() if source in family.shapes)
    if not Path(source).is_dir():
        return None
    return sum(map(math.prod, shapes_in(Path(source)).values())) / 1e6


class Known(NamedTuple):
    """What is known of a model before it is loaded; None: nothing."""

    family: str | None = None
    size: int | None = None  # of its hidden states


def known_of(source: str) -> Known:
    """Of a model from scratch, a folder of weights, or a Hub id, of which only the configuration is fetched."""
    if is_from_scratch(source):
        family = next(family for family in families() if source in family.shapes)
        return Known(family.name, family.shapes[source].get("hidden_size"))
    config: dict[str, Any] = {}
    with contextlib.suppress(OSError, ValueError):
        config = json.loads((config_of_hub(source) or Path(source) / "config.json").read_text(encoding="utf-8"))
    kind, size = config.get("model_type"), config.get("hidden_size") or config.get("dim")
    return Known(next((family.name for family in families() if kind in family.types), None), size)


def config_of_hub(model: str) -> Path | None:
    """The configuration of a model of the Hub; None where it cannot be had: loading the model will say why."""
    if Path(model).is_dir() or not looks_like_hub_id(model):
        return None
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import HfHubHTTPError

    try:
        return Path(hf_hub_download(model, "config.json", etag_timeout=HUB_TIMEOUT))
    except (OSError, ValueError, HfHubHTTPError, RuntimeError):
        return None


def shapes_in(folder: Path) -> dict[str, tuple[int, ...]]:
    """The shapes of a folder's weights by their names, from the heads of its files; files that have none are left out.

    Head: 8 bytes that say how long the JSON behind them is.
    """
    found: dict[str, tuple[int, ...]] = {}
    for file in folder.glob("*.safetensors"):
        with contextlib.suppress(OSError, ValueError, LookupError, TypeError), open(file, "rb") as opened:
            head = json.loads(opened.read(min(LARGEST_HEAD, int.from_bytes(opened.read(8), "little"))))
            found |= {name: tuple(facts["shape"]) for name, facts in head.items() if name != "__metadata__"}
    return found


def check_model(model: str, tokenizer: str | None) -> None:
    """Whether a model's name can be meant: cheap, so that a typo does not wait for torch."""
    if tokenizer and not Path(tokenizer).is_dir():
        raise UsageError(f"tokenizer folder {tokenizer!r} does not exist (--tokenizer)")
    if is_from_scratch(model):
        if not tokenizer and not any(model in family.learns_vocabulary for family in families()):
            raise UsageError(f"{model} starts from scratch: give its vocabulary with --tokenizer DIR")
    elif not model.startswith(EARLIER) and not Path(model).is_dir() and not looks_like_hub_id(model):
        raise unknown("model", model, shapes())
    elif tokenizer:
        raise UsageError(f"model {model!r} has a vocabulary of its own: leave out --tokenizer")


def looks_like_hub_id(model: str) -> bool:
    """`owner/name`, or one of the Hub's old names without owner, such as `t5-small`."""
    return ":" not in model and not model.startswith((".", "/")) and ("/" in model or "-" in model)


def load_model(plan: Plan, tasks: Sequence[Task], texts: Iterable[str]) -> Model:
    """The plan's model on the CPU. `tasks` are those it will answer; `texts` theirs, for a vocabulary to learn."""
    check_model(plan.model, plan.tokenizer)
    known = families()
    if is_from_scratch(plan.model):
        source, family = None, next(family for family in known if plan.model in family.shapes)
    else:
        source = model_folder(plan.model)
        kind = model_type(source, plan.model)
        found = [family for family in known if kind in family.types]
        if not found:
            types = ", ".join(name for family in known for name in family.types)
            raise UsageError(f"model {plan.model!r} is a {kind}: known families: {types}")
        family = found[0]
    for name, value in plan.own.items():  # of another family: it would do nothing
        kind, owner = own_settings()[name].owner if name in own_settings() else ("", "")
        if kind == "family" and owner not in (family.name, *family.shares):
            raise UsageError(
                f"{name} is {value} but model {plan.model!r} is of the family {family.name}, not {owner}: leave it out"
            )
    model: Model = load_plugin("family", family.name).load(plan, source, tasks, texts)
    model.origin.setdefault("family", family.name)
    if source and (weights := kind_in(source)):
        from glue_harness.models.compressed import compress

        compress(model, weights, plan.model)
        model.load_weights(source)
        model.origin["weights"] = weights
    model.plain = {name for name, _ in model.module.named_parameters()}
    return model


def model_type(folder: Path, name: str) -> str:
    try:
        return str(json.loads((folder / "config.json").read_text(encoding="utf-8"))["model_type"])
    except (OSError, ValueError, LookupError, TypeError) as error:
        reason = "it has no config.json" if isinstance(error, FileNotFoundError) else f"its config.json: {error}"
        raise UsageError(f"model {name!r} cannot be loaded: {reason}") from None


def model_folder(name: str) -> Path:
    """A local folder as it is; a Hub id through the local cache or the network."""
    if Path(name).is_dir():
        return Path(name)
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, RepositoryNotFoundError

    check_address()
    wanted = ["config.json", "*.safetensors", "*.safetensors.index.json", "*.model", "tokenizer*.json"]
    wanted += ["vocab.txt", "vocab.json", "merges.txt", "special_tokens_map.json"]
    try:
        return Path(snapshot_download(name, allow_patterns=wanted, etag_timeout=HUB_TIMEOUT))
    except (HFValidationError, RepositoryNotFoundError):
        raise UsageError(f"model {name!r} is neither a folder here nor a model on the Hub") from None
    except (OSError, HfHubHTTPError, RuntimeError):
        raise UsageError(
            f"model {name!r} is not in the local cache and the Hub cannot be reached: use --model DIR or --model tiny"
        ) from None
