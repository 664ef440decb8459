"""Settings of a plan. Each is declared once, where it is used; options, files, checks, help and digests follow from it.

What every plan has is declared in `core/plan.py`. A method, an optimiser and a model family declare their own in
their file, as a constant `SETTINGS = (Setting(...),)`. That constant is read without running the file: most of these
files import torch, and neither `glue run --help` nor a typo should wait for that.
"""

from __future__ import annotations

import ast
import importlib.util
import math
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

from glue_harness.core.errors import UsageError, unknown
from glue_harness.core.reading import check_values, is_text, toml_value

PACKAGE = Path(__file__).parent.parent
PLACES = {"method": "methods", "optimizer": "train/optimizers", "family": "models"}  # owner's kind -> folder of files
PLUGINS = "GLUE_PLUGINS"  # folders with files of the same kinds, in folders of these names


@dataclass(frozen=True)
class Setting:
    """One setting. `kind` is int, float, str, tuple (names) or dict (name -> number)."""

    name: str
    kind: type
    default: Any
    help: str
    group: str = ""  # heading of `glue run --help` under which it has an option; without one it is reached by --set
    choices: tuple[str, ...] = ()
    above: float | None = None  # bounds: above < value, least <= value, value < below
    least: float | None = None
    below: float | None = None
    most: float | None = None  # beside `above` or `least`: value <= most
    optional: bool = False  # may be None
    needed: bool = False  # a plan of its owner must give it: there is no default that suits
    identity: bool = True  # part of the digest: it changes the experiment, not only how fast or where it is done
    fixed: bool = False  # the weights are made that way: no resumed run can change it
    short: str = ""  # letter of its option
    alone: str = ""  # what its option says where no value follows it
    owner: tuple[str, str] = ("", "")  # kind and name of the method, optimiser or family whose it is
    others: tuple[str, ...] = ()  # of the same kind, whose it is too

    def is_of(self, kind: str, name: str) -> bool:
        """Whether it means anything to that method, optimiser or family."""
        return kind == self.owner[0] and name in (self.owner[1], *self.others)

    def checked(self, value: Any, where: str) -> Any:
        """The value in the setting's type, or an error that names the place."""
        self._refuse_unusable(value, where)
        if self.kind is tuple and isinstance(value, list | tuple) and all(isinstance(v, str) for v in value):
            return tuple(value)
        if self.kind is dict and isinstance(value, Mapping):
            for name, rate in value.items():
                if isinstance(rate, bool) or not isinstance(rate, int | float):
                    raise UsageError(f"{where}: the rate of {name!r} must be a number, not {rate!r}")
            return {name: float(rate) for name, rate in value.items()}
        if self.optional and (value is None or (value == "none" and self.kind is not str)):
            return None
        if self.kind is str and isinstance(value, os.PathLike):
            return os.fspath(value)
        if self.kind is float and isinstance(value, int) and not isinstance(value, bool):
            return float(value)
        if self.kind in (int, float, str) and isinstance(value, self.kind) and not isinstance(value, bool):
            return value
        named = self.kind.__name__ if self.kind in (int, float, str) else "a list or table"
        raise UsageError(f"{where}: {self.name} must be {named}, not {value!r}")

    def _refuse_unusable(self, value: Any, where: str) -> None:
        """Numbers that nothing can compute with, and texts that no file can be named by."""
        if isinstance(value, int | list | Mapping):
            try:
                check_values(value)
            except ValueError as error:
                raise UsageError(f"{where}: {self.name}: {error}") from None
        for text in [value] if isinstance(value, str) else value if isinstance(value, list | tuple | Mapping) else ():
            if isinstance(text, str) and ("\0" in text or not is_text(text)):
                raise UsageError(f"{where}: {self.name} must be text that UTF-8 can write, without NUL, not {text!r}")

    def check_bounds(self, value: Any) -> None:
        """Refuses a value of the right type that makes no sense. A number that is not finite never does."""
        if value is None or self.kind not in (int, float, str):
            return
        if self.choices and value not in self.choices:
            raise unknown(self.name, str(value), self.choices)
        above, least, below = self.above, self.least, math.inf if self.below is None else self.below
        if self.most is not None and not (value <= self.most and (value > above if least is None else value >= least)):
            raise UsageError(f"{self.name} must be {self._up_to_most}, not {value}")
        if above is not None and self.below is not None and not above < value < below:
            raise UsageError(f"{self.name} must be between {above:g} and {below:g}, not {value}")
        if above is not None and not above < value < math.inf:
            raise UsageError(f"{self.name} must be above {above:g}, not {value}")
        if least is not None and not least <= value < math.inf:
            raise UsageError(f"{self.name} must be {least:g} or more, not {value}")
        if self.below is not None and not value < below:
            raise UsageError(f"{self.name} must be below {below:g}, not {value}")

    @property
    def _up_to_most(self) -> str:
        return (
            f"above {self.above:g} and at most {self.most:g}"
            if self.least is None
            else f"from {self.least:g} to {self.most:g}"
        )

    def parsed(self, text: str, where: str) -> Any:
        """A value written on the command line as `--set name=text`."""
        try:
            value = None if text == "none" else toml_value(f"value = {text}")["value"]
        except ValueError:
            value = text
        return self.checked(value, where)

    @property
    def shown_default(self) -> str:
        """What it has if nothing is said; empty where there is nothing worth saying."""
        if self.default in (None, "", ()) or self.kind is dict:
            return ""
        return f"{self.default:.15g}" if isinstance(self.default, float) else str(self.default)

    @property
    def described(self) -> str:
        """Its help and its default. Without brackets: the plan fills the default in, not the command line."""
        return f"{self.help}  [default: {self.shown_default}]" if self.shown_default else self.help

    @property
    def allowed(self) -> str:
        """Which values it takes, in words."""
        kinds = {int: "whole number", float: "number", str: "text", tuple: "list of names", dict: "table"}
        found = kinds[self.kind]
        if self.choices:
            found = f"{', '.join(self.choices[:-1])} or {self.choices[-1]}"
        elif self.most is not None:
            found += f" {self._up_to_most}"
        elif self.least is not None:
            found += f", {self.least:g} or more" + ("" if self.below is None else f", below {self.below:g}")
        elif self.above is not None:
            found += f" above {self.above:g}" if self.below is None else f" between {self.above:g} and {self.below:g}"
        return found + (" or none" if self.optional else "")


# What is given to the left says the same in another way, and takes the place of what stands below it.
INSTEAD = {
    "batch_size": "batch_tokens",
    "steps": "epochs",
    "epochs": "steps",
    "warmup": "warmup_share",
    "warmup_share": "warmup",
}


def over(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Settings over others, of a recipe or a file."""
    displaced = {INSTEAD[name] for name, value in above.items() if name in INSTEAD and value is not None}
    return {name: value for name, value in below.items() if name not in displaced} | dict(above)


def refuse_two_lengths(values: Mapping[str, Any], where: str) -> None:
    if values.get("steps") is not None and values.get("epochs") is not None:
        both = f"steps is {values['steps']} and epochs {values['epochs']:g}"
        raise UsageError(f"{where}: {both}: a run has one length, give one of them")


def plugin_files(kind: str) -> dict[str, Path]:
    """The files of a kind by the names they go by: ours, then those of the user's folders."""
    folders = [PACKAGE / PLACES[kind]]
    folders += [Path(own) / PLACES[kind] for own in os.environ.get(PLUGINS, "").split(os.pathsep) if own]
    found: dict[str, Path] = {}
    for folder in folders:
        for file in sorted(folder.glob("[!_]*.py")):
            if file.stem in found:
                raise UsageError(f"{kind} {file.stem!r} is there twice: {found[file.stem]} and {file} ({PLUGINS})")
            found[file.stem] = file
    return found


def load_plugin(kind: str, name: str) -> ModuleType:
    """The module of a method, optimiser or family; a user's own is loaded by its path."""
    files = plugin_files(kind)
    if name not in files:
        raise unknown(kind, name, files)
    file = files[name]
    if file.is_relative_to(PACKAGE):
        return import_module(".".join((PACKAGE.name, *file.relative_to(PACKAGE).with_suffix("").parts)))
    return load_file(file, f"glue_{kind}_{name}")


def load_file(file: Path, name: str) -> ModuleType:
    """A Python file run as a module of that name."""
    spec = importlib.util.spec_from_file_location(name, file)
    if spec is None or spec.loader is None:
        raise ImportError(f"{file} cannot be loaded")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def declared_constant(file: Path, name: str, **known: Any) -> Any:
    """What a file assigns to a name at its top level, made of `known` and literals alone; None if it does not.

    Only these lines are parsed, up to the next one that begins a statement: whole files would cost start-up time.
    """
    source = re.search(rf"^{name} = .*\n(?:[ \])}}].*\n|\n)*", file.read_text(encoding="utf-8") + "\n", re.MULTILINE)
    if source is None:
        return None

    def value_of(node: ast.expr) -> Any:
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in known:
            named = {keyword.arg: value_of(keyword.value) for keyword in node.keywords if keyword.arg}
            return known[node.func.id](*map(value_of, node.args), **named)
        if isinstance(node, ast.Tuple):
            return tuple(map(value_of, node.elts))
        return known[node.id] if isinstance(node, ast.Name) else ast.literal_eval(node)

    try:
        (assignment,) = ast.parse(source[0]).body
        return value_of(assignment.value) if isinstance(assignment, ast.Assign) else None
    except Exception as error:
        reason = f"{type(error).__name__}: {error}"
        raise UsageError(f"{file}: {name} must be made of {', '.join(known)} and literals: {reason}") from None


def own_settings() -> dict[str, Setting]:
    """The settings that methods, optimisers and families declare, by name."""
    return _own_settings(os.environ.get(PLUGINS, ""))


@lru_cache
def _own_settings(plugins: str) -> dict[str, Setting]:
    found: dict[str, Setting] = {}
    known = {"Setting": Setting, "int": int, "float": float, "str": str, "dict": dict}
    for kind in PLACES:
        for owner, file in plugin_files(kind).items():
            for setting in declared_constant(file, "SETTINGS", **known) or ():
                if setting.name in found:
                    other = " ".join(found[setting.name].owner)
                    raise UsageError(f"{file}: setting {setting.name!r} is also one of {other}")
                found[setting.name] = replace(setting, owner=(kind, owner))
    return found
