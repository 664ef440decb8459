"""What a user meant by an option or a setting that is not there: what the same command has comes first."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from importlib import import_module
from typing import Any

import click

from glue_harness.cli.options import pair
from glue_harness.core.errors import UsageError
from glue_harness.core.plan import settings
from glue_harness.core.plan_file import parsed

CLOSE, LIKE = 0.75, 0.6  # from here on two names are nearly the same, or alike
MOST_NAMED = 3  # commands
SET = "--set"


def unknown_option(error: click.exceptions.NoSuchOption, verbs: Iterable[str]) -> str:
    """The line for an option that the command has not: how to write it, or which command has it."""
    name, context = error.option_name, error.ctx
    message = f"No such option {name!r}"
    if context is None:
        return message
    found = writings(context)
    if bare(name) in found:
        return f"{message}: write {found[bare(name)]}"
    near, likeness = nearest(name, found)
    if likeness < CLOSE:
        others = [
            verb for verb in verbs if name in options_of(import_module(f"glue_harness.cli.{verb}").command.params)
        ]
        if others:
            more = f" and {len(others) - MOST_NAMED} more" if len(others) > MOST_NAMED else ""
            return f"{message}: it is one of glue {', glue '.join(others[:MOST_NAMED])}{more}"
    return message + (f": did you mean {near}?" if likeness >= LIKE else "")


def setting_given(text: str) -> tuple[str, Any]:
    """What `--set KEY=VALUE` says."""
    key, value = pair(text, SET, str)
    context = click.get_current_context(silent=True)
    if context and key not in settings():
        found = writings(context)
        near, likeness = nearest(key, found)
        if likeness >= LIKE and not near.startswith(SET):
            fix = f"write {near}" if bare(key) in found else f"did you mean {near}?"
            raise UsageError(f"{SET} {text!r}: {key} is no setting: {fix}")
    return key, parsed(key, value, SET)


def nearest(name: str, found: dict[str, str]) -> tuple[str, float]:
    """How the most similar name is written, and how similar it is; of equals the first, which is an option."""
    likeness = {known: difflib.SequenceMatcher(None, bare(name), known).ratio() for known in found}
    best = max(likeness, key=likeness.__getitem__)
    return found[best], likeness[best]


def writings(context: click.Context) -> dict[str, str]:
    """How each option of a command is written, and each setting that it takes, by their bare names."""
    options = options_of(context.command.get_params(context))
    found = {bare(option): option for option in options}
    if SET in options:
        for setting in settings().values():
            option = f"--{setting.name.replace('_', '-')}"
            written = option if option in options else f"{SET} {setting.name}=VALUE"
            found.setdefault(bare(setting.name), written)
            found.setdefault(bare(setting.help.rstrip(".")), written)  # --learning-rate
    return found


def options_of(parameters: Iterable[click.Parameter]) -> list[str]:
    return [option for parameter in parameters for option in parameter.opts if option.startswith("--")]


def bare(name: str) -> str:
    return name.replace("-", "").replace("_", "").replace(" ", "").lower()
