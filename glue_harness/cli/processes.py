"""`--processes`: one run by several processes, each of which is a `glue run` of its own."""

from __future__ import annotations

import os
import sys

import click

from glue_harness.core.errors import UsageError
from glue_harness.core.place import place

processes_option = click.option(
    "--processes", type=click.IntRange(min=1), metavar="N", help="Processes that share each update; on GPUs, one a GPU."
)


def follow_silently() -> None:
    """Of several processes the first one talks; what another one dies of, it says too."""
    if place().rank and "GLUE_DEBUG" not in os.environ:
        sys.stdout = sys.stderr = open(os.devnull, "w")  # noqa: SIM115


def share_out(processes: int | None, **others: bool) -> None:
    """Has so many processes do what was asked, and ends with them; in one of them, goes on."""
    started = place().size
    if processes and started not in (1, processes):
        raise UsageError(f"--processes is {processes} but {started} were started: leave it out under torchrun")
    if max(started, processes or 1) == 1:
        return
    if unlike := [name.replace("_", "-") for name, given in others.items() if given]:
        raise UsageError(f"several processes share one run: leave out --{unlike[0]}")
    if started == 1 and processes:
        from glue_harness.lab.processes import launch

        sys.exit(launch(processes, sys.argv[1:]))
