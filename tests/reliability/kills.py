"""Runs that are killed and go on, and what must be the same afterwards."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from toys import toy_plan
from transformers import T5Config, T5ForConditionalGeneration

from glue_harness import load_tasks
from glue_harness.data import load
from glue_harness.models.t5 import T5
from glue_harness.models.tokenizer import train_tokenizer

TASKS = ("rte", "stsb")
HERE = Path(__file__).parent
FACTS = ("status", "scores", "history", "last", "mix", "data", "parameters", "skipped", "plan", "digest", "stopped")


def rows_of(task: str, role: str) -> list[dict]:
    return list(load(load_tasks().task(task), role, "demo:100"))


@pytest.fixture(scope="session")
def base(tmp_path_factory) -> str:
    """A pretrained model of 40,000 parameters, with dropout, that can read and write the tasks' words."""
    tasks = [load_tasks().task(name) for name in TASKS]
    examples = [e for task in tasks for n, row in enumerate(rows_of(task.name, "train")) for e in task.examples(row, n)]
    tokenizer = train_tokenizer([text for e in examples for text in (e.inputs, e.target)], 300)
    shape = {"d_model": 32, "d_kv": 8, "d_ff": 64, "num_layers": 2, "num_heads": 4, "dropout_rate": 0.1}
    config = T5Config(vocab_size=tokenizer.size + 5, decoder_start_token_id=0, **shape)
    torch.manual_seed(4)
    module = T5ForConditionalGeneration._from_config(config, attn_implementation="sdpa")
    folder = tmp_path_factory.mktemp("base")
    T5(module, tokenizer, {}, toy_plan()).save(folder)
    return str(folder)


@pytest.fixture(scope="session")
def data(tmp_path_factory) -> str:
    """A few rows of two tasks: scoring them takes no time."""
    folder = tmp_path_factory.mktemp("data")
    write_rows(folder)
    return str(folder)


def write_rows(folder: Path, train: int = 24, validation: int = 16) -> None:
    for task in TASKS:
        (folder / task).mkdir(exist_ok=True)
        for role, rows in (("train", train), ("validation", validation)):
            lines = [json.dumps(row) + "\n" for row in rows_of(task, role)[:rows]]
            (folder / task / f"{role}.jsonl").write_text("".join(lines))


@pytest.fixture(scope="session")
def zygote(base, data, tmp_path_factory) -> Iterator[Callable[..., dict]]:
    """A function that carries out one run in a forked child; see zygote.py for what can happen to it."""
    command = [sys.executable, str(HERE / "zygote.py"), base, data, str(tmp_path_factory.mktemp("warm"))]
    env = {**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=env) as process:
        assert process.stdout.readline() == "ready\n"

        def carry_out(results: Path, **job: object) -> dict:
            process.stdin.write(json.dumps({"results": str(results), **job}) + "\n")
            process.stdin.flush()
            return json.loads(process.stdout.readline())

        yield carry_out
        process.stdin.close()


def the_run(results: Path) -> Path:
    (folder,) = [file.parent for file in results.glob("*/record.json")]
    return folder


def record_in(folder: Path) -> dict:
    return json.loads((folder / "record.json").read_text())


def evidence(folder: Path) -> dict:
    """All of a finished run that may not depend on how often it was killed: facts, and files by their bytes."""
    record = record_in(folder)
    kept = [f for f in folder.rglob("*") if f.is_file() and f.name != "record.json"]
    files = {str(f.relative_to(folder)): hashlib.sha256(f.read_bytes()).hexdigest() for f in kept}
    return {"facts": {key: record[key] for key in FACTS}, "files": files}
