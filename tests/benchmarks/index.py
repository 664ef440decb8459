"""Commands on a folder of many runs: `python tests/benchmarks/index.py [RECORDS] [SEEDS]` (10,000; 50).

Makes records like those of real runs (GLUE and SuperGLUE together or a few tasks, ten evaluations, so many seeds a plan),
and prints how long each command takes as a whole process: the first time, when the index of the folder is made, and
afterwards, the median of five.

On two cores, 10,000 records of 16 kB, seconds with an index: board 1.84 (200 rows, 67 of them with an average), board of
SuperGLUE 1.5, compare 0.95, tasks 0.23, the look for a finished run 0.4; the index is made in 13 s.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from random import Random
from statistics import fmean, median

ROOT = Path(__file__).parent.parent.parent
sys.path[:0] = [str(ROOT / "tests"), str(ROOT)]

from records import GLUE, scores  # noqa: E402

from glue_harness.core.plan import Plan  # noqa: E402
from glue_harness.core.record import Record  # noqa: E402
from glue_harness.runs.store import Store  # noqa: E402

LIMIT = 2.0  # seconds
REPEATS = 5
SEEDS = int(sys.argv[2]) if len(sys.argv) > 2 else 50  # 10,000 records are 200 plans, 134 of them with GLUE tasks
SUPERGLUE = {
    "boolq": {"accuracy": 70.0},
    "cb": {"f1": 80.0, "accuracy": 85.0},
    "copa": {"accuracy": 60.0},
    "multirc": {"f1": 70.0, "exact_match": 20.0},
    "record": {"f1": 60.0, "em": 59.0},
    "rte": {"accuracy": 66.0},
    "wic": {"accuracy": 64.0},
    "wsc": {"accuracy": 63.0},
}
MIXES = (
    ("glue", GLUE),
    ("superglue", SUPERGLUE),
    ("rte,mrpc,stsb,cola", {t: GLUE[t] for t in GLUE if t in "rte mrpc stsb cola"}),
)


def record_of(store: Store, k: int, random: Random) -> Record:
    """The k-th run: of every plan all seeds, of every mix as many plans."""
    tasks, values = MIXES[k // SEEDS % len(MIXES)]
    lr = 1e-5 * (1 + k // SEEDS)
    plan = Plan(tuple(tasks.split(",")), data="/data/glue", model="t5:small", lr=lr, steps=20_000, seed=k % SEEDS)
    record = Record(store.new_id(plan), plan.to_dict(), plan.digest, status="finished")
    record.started = f"2026-01-{1 + k % 28:02}T{k % 24:02}:{k % 60:02}:{k % 59:02}.{k:06}+00:00"
    record.scores = scores(values, random.uniform(-9, 9), k % 7)
    record.last = record.scores
    record.history = {
        task: [(step, {key: random.uniform(0, 100) for key in metrics}) for step in range(2000, 20_001, 2000)]
        for task, metrics in values.items()
    }
    rows = {"rows": 2490, "official": 2490, "origin": "/data/glue"}
    roles = {"train": {**rows, "fingerprint": "0123456789abcdef"}, "validation": {**rows, "fingerprint": "fedcba98765"}}
    record.data = dict.fromkeys(values, roles)
    share = {"probability": 1 / len(values), "rows": 2490, "examples": 640_000 / len(values), "epochs": 28.5}
    record.mix = dict.fromkeys(values, share)
    record.selected_on = {task: {"split": "validation", "examples": 277} for task in values}
    record.parameters = {"total": 60_506_624, "trainable": 60_506_624}
    record.environment = {
        "glue": "0.1.0",
        "python": "3.12.3",
        "torch": "2.11.0",
        "transformers": "5.17.0",
        "platform": "Linux x86_64",
        "commit": "0123456789abcdef0123456789abcdef01234567",
        "dirty": False,
        "device": "cuda",
        "precision": "bf16",
        "command": ["glue", "run", "--task", tasks, "--data", "/data/glue", "--model", "t5:small"],
        "threads": 8,
        "model": {"source": "t5:small", "fingerprint": "0123456789abcdef"},
    }
    record.timing = {"setup": 12.5, "train": 1234.5, "evaluate": 123.4, "save": 12.3}
    record.seconds = 1382.7
    return record


def fill(store: Store, n: int) -> None:
    """Writes n records, not synced: this measures reading."""
    random, sizes = Random(0), []
    for k in range(n):
        record = record_of(store, k, random)
        folder = store.folder / record.id
        folder.mkdir(parents=True)
        (folder / "record.json").write_text(json.dumps(record.to_dict(), indent=1) + "\n")
        sizes.append((folder / "record.json").stat().st_size)
    print(f"{n:,} records of {fmean(sizes) / 1000:.1f} kB on average")


def seconds_of(command: list[str], env: dict[str, str]) -> float:
    began = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True, cwd=ROOT, env=env)
    return time.perf_counter() - began


def main() -> None:
    n = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    with tempfile.TemporaryDirectory() as folder:
        store, env = Store(Path(folder) / "results"), {**os.environ, "GLUE_CACHE": f"{folder}/cache"}
        fill(store, n)
        first, *_, last = sorted(path.name for path in store.folder.iterdir() if path.is_dir())
        where, out = ["--results", str(store.folder)], ["--out", f"{folder}/boards"]
        digest = json.loads((store.folder / last / "record.json").read_text())["digest"]
        finished = (
            f"from glue_harness.runs.store import Store; assert Store({str(store.folder)!r}).finished({digest!r}, 0)"
        )
        for name, arguments in {
            "glue board": ["-m", "glue_harness", "board", *where, *out],
            "glue board --suite superglue": ["-m", "glue_harness", "board", "--suite", "superglue", *where, *out],
            "glue report": ["-m", "glue_harness", "report", *where, "--out", f"{folder}/report.html"],
            "glue compare RUN RUN": ["-m", "glue_harness", "compare", first, last, *where],
            "glue compare latest PART": ["-m", "glue_harness", "compare", "latest", first[-8:], *where],
            "glue tasks": ["-m", "glue_harness", "tasks"],
            "Store.finished": ["-c", finished],
        }.items():
            cold = seconds_of(command := [sys.executable, *arguments], env)
            warm = median(seconds_of(command, env) for _ in range(REPEATS))
            print(f"{cold:6.2f} s, then {warm:5.2f} s{'  TOO SLOW' if warm > LIMIT else ''}  {name}", flush=True)


if __name__ == "__main__":
    main()
