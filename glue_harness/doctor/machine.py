"""What a run needs beside data: versions, a device, room on the disk, a model that loads."""

from __future__ import annotations

import os
import platform
import shutil
from collections.abc import Iterator, Sequence
from importlib.metadata import PackageNotFoundError, metadata, requires, version
from pathlib import Path
from typing import TYPE_CHECKING

from glue_harness.core.errors import GlueError
from glue_harness.core.plan import Plan
from glue_harness.core.task import Task
from glue_harness.doctor import FAIL, OK, WARN, Finding

if TYPE_CHECKING:
    from glue_harness.models.interface import Model

PACKAGE = "glue-harness"
PLAN = Plan(tasks=("doctor",))  # asks for what a run would choose by itself
TOLD = ("torch", "transformers", "datasets")  # versions worth saying when they are right
GIB = 2**30
LEAST, ENOUGH = GIB, 10 * GIB  # free space; a checkpoint of T5-Base with its optimizer takes 2.7 GiB


def examine_machine(results: Path) -> Iterator[Finding]:
    yield from software()
    yield device()
    yield disk(results)


def software() -> Iterator[Finding]:
    """Python and the packages against the ranges that the project declares."""
    from packaging.requirements import Requirement
    from packaging.specifiers import SpecifierSet

    python = platform.python_version()
    try:
        wanted = SpecifierSet(metadata(PACKAGE)["Requires-Python"])
        declared = [Requirement(line) for line in requires(PACKAGE) or ()]
    except PackageNotFoundError:
        text = f"python {python}; {PACKAGE} is not installed, so no version can be compared"
        yield Finding("versions", "versions", WARN, text, "pip install -e . in the checkout")
        return
    if python not in wanted:
        yield Finding("versions", "python", FAIL, f"python {python} is not {wanted}", f"install a python {wanted}")
    told = [f"python {python}"]
    for package in declared:
        if package.marker and not package.marker.evaluate({"extra": ""}):
            continue
        try:
            installed = version(package.name)
        except PackageNotFoundError:
            installed = ""
        if not (installed and package.specifier.contains(installed, prereleases=True)):
            text = f"{package.name} {installed or 'is not installed'}, needed: {package.specifier}"
            fix = f"pip install '{package.name}{package.specifier}'"
            yield Finding("versions", package.name, FAIL, text, fix)
        elif package.name in TOLD:
            told.append(f"{package.name} {installed}")
    yield Finding("versions", "versions", OK, ", ".join(told))


def device() -> Finding:
    """The device and the precision that a run of a model of usual size would choose."""
    state, fix = OK, ""
    try:
        from glue_harness.train.device import set_up

        machine = set_up(PLAN)
        built_for_cuda = torch_built_for_cuda()
        text = "{device}, {threads} threads, {precision}".format(**machine.describe())
        if machine.device.type == "cpu" and built_for_cuda:
            state, text = WARN, f"no CUDA device, though torch is built for one: {text}"
            fix = "see nvidia-smi: driver and CUDA_VISIBLE_DEVICES"
        elif machine.device.type == "cuda" and machine.precision == "fp32":
            state, text, fix = WARN, f"no bf16 on this device: {text}", "expect half the speed"
    except (ImportError, OSError) as error:
        reason = str(error).partition("\n")[0]
        state, text, fix = FAIL, f"torch cannot be imported: {reason}", "pip install --force-reinstall torch"
    return Finding("device", "device", state, text, fix)


def torch_built_for_cuda() -> bool:
    import torch

    return torch.version.cuda is not None


def disk(results: Path) -> Finding:
    """Whether runs can be kept where they are to go."""
    folder = results.absolute()
    while not folder.exists():
        folder = folder.parent
    fix = "choose another folder with --results or $GLUE_RESULTS"
    if not (folder.is_dir() and os.access(folder, os.W_OK)):
        return Finding("results", "disk", FAIL, f"{str(results)!r} cannot be written", fix)
    free = shutil.disk_usage(folder).free
    state = FAIL if free < LEAST else WARN if free < ENOUGH else OK
    fix = "" if state == OK else f"free some, or {fix}"
    return Finding("results", "disk", state, f"{free / GIB:,.1f} GiB free", fix)


def model_folder(folder: Path, tasks: Sequence[Task] = ()) -> tuple[Finding, Model | None]:
    """Whether a model's folder loads, with all weights, each a number, and a vocabulary that fits them; and the model.

    `tasks` are those that it may be asked to read.
    """
    from glue_harness.models.families import load_model
    from glue_harness.models.interface import count_parameters, not_finite

    fix = "save it again with save_pretrained, model and tokenizer"
    try:
        model = load_model(PLAN.replace(model=str(folder)), tasks, ())
        told = f"{count_parameters(model.module.parameters()):,} parameters, {model.inspected()}"
    except GlueError as error:
        return Finding("model", "model", FAIL, str(error), fix), None
    if bad := not_finite(model):
        text = f"{len(bad):,} of its weights are not finite, {bad[0]} is the first: nothing can be learned from there"
        return Finding("model", "weights", FAIL, text, "take an earlier checkpoint: training has made it so"), model
    return Finding("model", "model", OK, told), model
