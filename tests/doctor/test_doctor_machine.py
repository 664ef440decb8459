"""glue doctor on the machine: versions, room, and a model folder that loads or does not."""

import re
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest
from planted import only
from toys import toy_model, toy_plan

from glue_harness.doctor import FAIL, OK, WARN, Finding, machine
from glue_harness.doctor.data import choose
from glue_harness.doctor.lengths import lengths
from glue_harness.suite.registry import load_tasks


def software(monkeypatch, *lines: str, python: str = ">=3.11") -> list[Finding]:
    monkeypatch.setattr(machine, "requires", lambda package: list(lines))
    monkeypatch.setattr(machine, "metadata", lambda package: {"Requires-Python": python})
    return list(machine.software())


def test_versions_are_held_against_the_declared_ranges(monkeypatch):
    found = only(software(monkeypatch, "click>=8", "torch<1", "nothing-like-this>=2; extra == 'dev'"), FAIL)
    assert found.text.startswith("torch ")
    assert found.text.endswith(", needed: <1")
    assert found.fix == "pip install 'torch<1'"
    assert (
        only(software(monkeypatch, "no-such-package>=2"), FAIL).text == "no-such-package is not installed, needed: >=2"
    )
    assert only(software(monkeypatch, python=">=4"), FAIL).check == "python"


def test_a_checkout_that_is_not_installed_is_said(monkeypatch):
    monkeypatch.setattr(machine, "PACKAGE", "no-such-package")
    assert only(list(machine.software()), WARN).text.endswith("is not installed, so no version can be compared")


@pytest.mark.parametrize(("gib", "state"), [(0.5, FAIL), (5, WARN), (50, OK)])
def test_room_on_the_disk(monkeypatch, tmp_path, gib, state):
    monkeypatch.setattr(machine.shutil, "disk_usage", lambda folder: SimpleNamespace(free=gib * 2**30))
    found = machine.disk(tmp_path / "not" / "yet")
    assert (found.state, found.text) == (state, f"{gib:.1f} GiB free")


def test_results_below_a_file_cannot_be_written(tmp_path):
    (tmp_path / "file").touch()
    found = machine.disk(tmp_path / "file" / "results")
    assert (found.state, found.text) == (FAIL, f"{str(tmp_path / 'file' / 'results')!r} cannot be written")


@pytest.fixture(scope="module")
def saved_model(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("model")
    toy_model().save(folder)
    return folder


def test_a_model_folder_loads(saved_model):
    found = machine.model_folder(saved_model)[0]
    assert found.state == OK
    assert found.text.endswith("parameters, 120 pieces, one embedding matrix for both stacks")


@pytest.mark.parametrize("name", ["model.safetensors", "config.json", "spiece.model"])
def test_a_broken_model_folder_is_found(saved_model, tmp_path, name):
    folder = shutil.copytree(saved_model, tmp_path / "model")
    content = (folder / name).read_bytes()
    (folder / name).write_bytes(content[: len(content) // 2] if name != "spiece.model" else b"")
    assert machine.model_folder(folder)[0].state == FAIL


def test_a_model_with_a_weight_that_is_no_number_is_found(tmp_path):
    model = toy_model()
    model.module.shared.weight.data[3, 4] = float("nan")
    model.save(tmp_path)
    found = machine.model_folder(tmp_path)[0]
    assert (found.check, found.state) == ("weights", FAIL)
    assert found.text.startswith("1 of its weights are not finite, shared.weight is the first")


@pytest.mark.parametrize(
    ("built_for_cuda", "state"), [(False, OK), (True, WARN)], ids=["built for CPU", "built for CUDA"]
)
def test_a_missing_cuda_device_matters_to_a_torch_built_for_one(monkeypatch, built_for_cuda, state):
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(machine, "torch_built_for_cuda", lambda: built_for_cuda)
    found = machine.device()
    assert found.state == state
    assert f"CPU, {torch.get_num_threads()} threads" in found.text


def test_what_a_model_would_not_see_is_counted_by_task_and_split():
    sets, _ = choose(load_tasks(), ["rte", "stsb", "span_corruption"], "demo:60")
    found = {f.where: f for f in lengths(sets, "demo:60", toy_model(plan=toy_plan(max_input=60)))}
    assert set(found) == {f"{task} {split}" for task in ("rte", "stsb") for split in ("train", "validation", "test")}
    assert re.search(r"^[\d.]+% of 60 examples are cut off .*% of their tokens are lost$", found["rte train"].text)
    assert found["rte train"].state == WARN
    assert "a larger --set max_input" in found["rte train"].fix
    (whole,) = (f for f in lengths(sets[:1], "demo:60", toy_model()) if f.where == "stsb train")
    assert (whole.state, whole.fix) == (OK, "")
    assert whole.text.startswith("the longest of 60 examples has ")
