"""Cost of the data path as rows grow: `python tests/benchmarks/datapath.py [--vocabulary DIR] [ROWS ...]`.

Synthetic sentences as long as GLUE's inputs, in SST-2's official file. Every size runs in a process of its own.
Memory is what the process has beyond imports and model, at its most, and not counting pages of mapped files,
which the system takes back when it needs them.
"""

import argparse
import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

ROWS = (10_000, 100_000, 1_000_000)
UPDATES = 2000
BATCH = 32


def write_rows(file: Path, n: int) -> None:
    from glue_harness.bench.synthetic import WORDS, draw_length

    random = Random(0)
    file.parent.mkdir()
    with file.open("w", encoding="utf-8") as out:
        out.write("sentence\tlabel\n")
        for _ in range(n):
            out.write(" ".join(random.choices(WORDS, k=draw_length(random) - 4)) + f"\t{random.randrange(2)}\n")


class Peak:
    """The most memory that is this process's own while it runs."""

    def __enter__(self) -> "Peak":
        self.base = self.most = self.now()
        self.going = True
        self.watch = threading.Thread(target=self.look, daemon=True)
        self.watch.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.going = False
        self.watch.join()

    def look(self) -> None:
        while self.going:
            self.most = max(self.most, self.now())
            time.sleep(0.005)

    @staticmethod
    def now() -> int:
        lines = Path("/proc/self/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("RssAnon"))

    @property
    def megabytes(self) -> float:
        return (self.most - self.base) / 1024


def measure(folder: Path, vocabulary: str, n: int) -> None:
    from glue_harness import Plan, load_tasks
    from glue_harness.data import load
    from glue_harness.data.sampler import Sampler
    from glue_harness.models.families import load_model
    from glue_harness.train.arrangement import arrangement
    from glue_harness.train.feed import Feed
    from glue_harness.train.tokens import tokens_of

    task = load_tasks().task("sst2")
    plan = Plan(("sst2",), data=str(folder), model="t5:small", tokenizer=vocabulary)
    model = load_model(plan, (), ())
    model.encode(task, [])
    with Peak() as peak:
        began = time.perf_counter()
        rows = load(task, "train", str(folder))
        loaded = time.perf_counter()
        tokens_of(task, rows, model, [])
        made = time.perf_counter()
        tokens = tokens_of(task, rows, model, [])
        opened = time.perf_counter()
        feed = Feed(
            model, {"sst2": tokens}, Sampler(0, [len(tokens)], [1.0]), BATCH, *arrangement(plan.packing, False, None)
        )
        feed.update(0)
        drawing = time.perf_counter()
        for step in range(1, UPDATES + 1):
            feed.update(step)
        drawn = time.perf_counter()
    print(
        f"{n:>9,} rows: read and checked {loaded - began:6.2f} s, tokenised {made - loaded:6.2f} s "
        f"({n / (made - loaded):>7,.0f} rows/s), found again {opened - made:5.2f} s, "
        f"{UPDATES / (drawn - drawing):>6,.0f} updates of {BATCH}/s, memory +{peak.megabytes:,.0f} MiB"
    )


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("rows", nargs="*", type=int, default=ROWS)
    parser.add_argument("--vocabulary", help="folder with a T5 vocabulary; default: one learned from synthetic text")
    parser.add_argument("--measure", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.measure:
        measure(Path(arguments.measure), arguments.vocabulary, arguments.rows[0])
        return
    with TemporaryDirectory() as folder:
        for n in arguments.rows:
            data = Path(folder) / str(n)
            data.mkdir()
            write_rows(data / "SST-2" / "train.tsv", n)
            vocabulary = arguments.vocabulary or learned(Path(folder))
            command = [sys.executable, __file__, str(n), "--measure", str(data), "--vocabulary", vocabulary]
            subprocess.run(command, env={**os.environ, "GLUE_CACHE": str(data / "cache")}, check=True)


def learned(folder: Path) -> str:
    from glue_harness.bench.synthetic import VOCABULARY, texts
    from glue_harness.models.tokenizer import train_tokenizer

    train_tokenizer(texts(), VOCABULARY).save(folder)
    return str(folder)


if __name__ == "__main__":
    main()
