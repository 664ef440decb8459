"""Does the suite notice small faults? Plants some, one at a time, in a copy of the repository, and runs its tests.

    python tests/mutation/run.py                    # a sample of 20 of each group: half an hour
    python tests/mutation/run.py loop --sample 0    # every fault of one group
    python tests/mutation/run.py --only glue_harness/train/loop.py:109

Each test is run once, traced, to know which lines it runs. A fault is given to the tests that run its line, quick ones
first, until one fails. torch is imported once: each fault has a process forked from this one.
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import hashlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path
from tempfile import gettempdir
from typing import Any, NamedTuple

from covering import Chosen, Watcher
from mutants import Mutant, mutants_of

ROOT = Path(__file__).resolve().parents[2]
COPY = Path(gettempdir()) / f"glue-mutation-{os.getuid()}" / "copy"  # ../shared stays beside it, as a link
EQUAL = Path(__file__).with_name("equal.json")  # changes that are no faults -> why nothing computed differs
GROUPS = {
    "metrics": [
        "metrics/__init__.py",
        *(f"metrics/{name}.py" for name in ("classification", "correlation", "question_answering", "generation")),
        *(f"metrics/{name}.py" for name in ("answers", "baselines", "selection", "crossfit", "units")),
    ],
    "stats": [
        *(f"metrics/{name}.py" for name in ("stats", "student", "bootstrap", "intervals", "power")),
        *("report/ranking.py", "report/comparison.py"),
    ],
    "mixing": ["data/mixing.py"],
    "sampler": ["data/sampler.py"],
    "packing": ["models/packing.py", "train/arrangement.py"],
    "loop": ["train/loop.py", "train/passes.py", "train/feed.py", "train/learner.py"],
    "optimisers": [f"train/optimizers/{name}.py" for name in ("__init__", "adafactor", "adamw")],
    "store": ["runs/store.py", "runs/folder.py", "core/writing.py", "core/sealed.py"],
    "resume": ["runs/resume.py", "train/snapshots.py", "train/checkpoints.py", "lab/saving.py", "lab/attempt.py"],
}
LEFT_OUT = ("tests/reliability/test_fake_cuda.py", "tests/reliability/test_soak.py", "tests/test_docs.py")  # minutes
QUICK = 8.0  # seconds of tests that are tried first: then pytest starts anew for the others
COLLECTING = 0.5  # seconds that one more file of tests costs
HEAVY = (
    *("torch", "transformers", "datasets", "evaluate", "sacrebleu", "rouge_score", "hypothesis", "scipy.stats"),
    *("sklearn.metrics", "rich.console", "rich.progress", "rich.table", "pandas", "anyio", "tomllib", "click"),
)


class Fault(NamedTuple):
    group: str
    file: str
    mutant: Mutant
    key: str  # the file, the line with the piece that changes in between «», and what it becomes
    nth: int  # of those with this key

    @property
    def name(self) -> str:
        """Without the number of the line, which moves."""
        return self.key + f" ({self.nth})" * (self.nth > 1)

    @property
    def told(self) -> str:
        return self.key.replace(": ", f":{self.mutant.line}: ", 1)


class Fate(NamedTuple):
    killed: bool
    by: str
    seconds: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("groups", nargs="*", help=f"of {', '.join(GROUPS)}; all")
    parser.add_argument("--sample", type=int, default=20, help="faults of each group; 0: all")
    parser.add_argument("--seed", type=int, default=1, help="of the sample")
    parser.add_argument("--seconds", type=float, default=30, help="of tests for one fault")
    parser.add_argument("--only", action="append", help="FILE or FILE:LINE, all faults there")
    parser.add_argument("--again", action="store_true", help="try those once more that no test noticed last time")
    parser.add_argument("--first", action="append", default=[], help="a file of tests to try before others")
    parser.add_argument("--list", action="store_true", help="show the faults, plant none")
    chosen = parser.parse_args()
    faults = list(sampled(chosen.groups or list(GROUPS), chosen.sample, chosen.seed, chosen.only))
    if chosen.list:
        print("\n".join(fault.told for fault in faults))
        return
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that no child is left
    make_copy()
    for name in HEAVY:
        __import__(name)
    gc.freeze()  # what is imported here is no garbage of a child
    tests = traced()
    kept = COPY.parent / "fates.json"
    fates = {k: Fate(*v) for k, v in json.loads(kept.read_text(encoding="utf-8")).items()} if kept.exists() else {}
    equal = json.loads(EQUAL.read_text(encoding="utf-8"))
    for number, fault in enumerate(faults, 1):
        if fault.name in equal:
            fates[fault.name] = Fate(False, f"no fault: {equal[fault.name]}", 0.0)
        elif fault.name not in fates or (chosen.again and not fates[fault.name].killed):
            fate = fates[fault.name] = tried(fault, tests, chosen.seconds, chosen.first)
            kept.write_text(json.dumps(fates), encoding="utf-8")
            word = f"killed by {fate.by}" if fate.killed else "SURVIVED"
            print(f"{number}/{len(faults)}  {fault.told}  {word}, {fate.seconds:.1f} s", flush=True)
    report([(fault, fates[fault.name]) for fault in faults], equal)


def sampled(groups: Sequence[str], size: int, seed: int, only: Sequence[str] | None) -> Iterator[Fault]:
    for group in groups:
        found, keys = [], Counter[str]()
        for file in (f"glue_harness/{name}" for name in GROUPS[group]):
            source = (ROOT / file).read_bytes()
            for mutant in mutants_of(source):
                key = f"{file}: {marked(source, mutant)}"
                keys[key] += 1
                if not only or file in only or f"{file}:{mutant.line}" in only:
                    found.append(Fault(group, file, mutant, key, keys[key]))
        if size and not only:
            places = list(range(len(found)))
            random.Random(f"{group} {seed}").shuffle(places)  # so that a larger sample holds the smaller one
            found = [found[k] for k in sorted(places[:size])]
        yield from found


def marked(source: bytes, mutant: Mutant) -> str:
    """The line with the piece that changes in between «», and what it becomes."""
    start = source.rfind(b"\n", 0, mutant.start) + 1
    stop = source.find(b"\n", mutant.stop)
    parts = source[start : mutant.start], "«", mutant.before, "»", source[mutant.stop : stop]
    line = "".join(part if isinstance(part, str) else part.decode() for part in parts)
    return " ".join(f"{line} -> {mutant.after}".split())


def make_copy() -> None:
    """What git knows or would add, and nothing else; compiled files of earlier copies are kept if they still fit."""
    listed = subprocess.run(
        ["git", "-C", str(ROOT), "ls-files", "-co", "--exclude-standard"], capture_output=True, text=True, check=True
    ).stdout.splitlines()
    for name in listed:
        target = COPY / name
        source = ROOT / name
        if source.is_file() and not (target.exists() and target.read_bytes() == source.read_bytes()):
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, target)
    for stale in COPY.rglob("*.py"):
        if str(stale.relative_to(COPY)) not in listed:
            stale.unlink()
    link, shared = COPY.parent / "shared", ROOT.parent / "shared"
    if shared.is_dir() and not link.is_symlink():
        link.symlink_to(shared)


def forked(work: Callable[[], Any], limit: float) -> Any:
    """What `work` returns in a process of its own that stands in the copy; None if it does not return in time."""
    told = COPY.parent / "told.json"
    told.unlink(missing_ok=True)
    pid = os.fork()
    if pid == 0:
        os.setsid()
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        with open(COPY.parent / "output.txt", "wb") as output:
            os.dup2(output.fileno(), 1)
            os.dup2(output.fileno(), 2)
        os.chdir(COPY)
        os.environ["PYTHONPATH"] = str(COPY)
        sys.path[:] = [str(COPY), *(path for path in sys.path if not path.startswith(str(ROOT / "tests")))]
        told.write_text(json.dumps(work()), encoding="utf-8")
        os._exit(0)
    ends = time.monotonic() + limit
    try:
        while os.waitpid(pid, os.WNOHANG)[0] == 0:
            if time.monotonic() > ends:
                return None
            time.sleep(0.02)
    finally:  # also what the tests started
        with contextlib.suppress(ProcessLookupError, ChildProcessError):
            os.killpg(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
    return json.loads(told.read_text(encoding="utf-8")) if told.exists() else None


def run_pytest(plugin: object, arguments: Sequence[str]) -> int:
    import pytest

    usual = ["-p", "no:cacheprovider", "-q", "--hypothesis-seed=0", f"--rootdir={COPY}"]
    return int(pytest.main([*usual, *arguments], plugins=[plugin]))


def traced() -> dict[str, Any]:
    """test -> its seconds and the lines it runs. Kept for the next time, file by file, while nothing changes."""
    files = {f"glue_harness/{file}" for of_group in GROUPS.values() for file in of_group}
    code = hashlib.sha256(b"".join((COPY / file).read_bytes() for file in sorted(files))).hexdigest()
    kept = COPY.parent / "tests.json"
    known: dict[str, Any] = json.loads(kept.read_text(encoding="utf-8")) if kept.exists() else {}
    tests: dict[str, Any] = {}
    for file in sorted((COPY / "tests").rglob("test_*.py")):
        name = str(file.relative_to(COPY))
        if name in LEFT_OUT:
            continue
        key = hashlib.sha256(code.encode() + file.read_bytes()).hexdigest()
        if key not in known:
            print(f"tracing {name}", flush=True)

            def work(name: str = name) -> dict[str, Any]:
                watcher = Watcher(COPY, files)
                run_pytest(watcher, [name])
                return {test: facts for test, facts in watcher.found.items() if test not in watcher.failed}

            known[key] = forked(work, 900) or {}
            kept.write_text(json.dumps(known), encoding="utf-8")
        tests |= known[key]
    return tests


def covering(fault: Fault, tests: dict[str, Any]) -> list[str]:
    """The tests that run the fault, quick ones first, those of its room before others; then those beside them.

    What a fixture of a whole file ran counts for the first of its tests only, so the others of the file are tried too.
    A fault in what runs on import is everywhere: its tests are those that run anything of its file.
    """
    wanted = fault.mutant.lines
    room = f"tests/{fault.file.split('/')[1]}/"
    hits = set()
    for name, facts in tests.items():
        lines = facts["lines"].get(fault.file, ())
        if any(wanted is None or line in wanted for line in lines):
            hits.add(name)
    files = {file_of(name) for name in hits}

    def cost(name: str) -> float:
        return tests[name]["seconds"] + COLLECTING * (not name.startswith(room)) + COLLECTING * (name not in hits)

    return sorted((name for name in tests if file_of(name) in files), key=cost)


def file_of(test: str) -> str:
    return test.partition("::")[0]


def tried(fault: Fault, tests: dict[str, Any], longest: float, first: Sequence[str]) -> Fate:
    began, order = time.monotonic(), covering(fault, tests)
    order.sort(key=lambda name: file_of(name) not in first)
    file = COPY / fault.file
    source = file.read_bytes()
    compiled = (file.parent / "__pycache__").glob(f"{file.stem}.*.pyc")
    for cached in compiled:  # a fault may have the size and the second of what was compiled
        cached.unlink()
    os.environ["PYTHONDONTWRITEBYTECODE"] = "1"
    sys.dont_write_bytecode = True
    file.write_bytes(fault.mutant.planted(source))
    passed = 0
    try:
        for part in parts(order, tests, longest):
            seconds = sum(tests[name]["seconds"] for name in part)

            def work(part: list[str] = part) -> str:
                plugin = Chosen(part)
                code = run_pytest(plugin, ["-x", *sorted({file_of(name) for name in part})])
                return plugin.fails or ("" if code == 0 else f"pytest ends with {code}")

            by = forked(work, 60 + 5 * seconds)
            if by != "":
                return Fate(True, "it never ends, or the process dies" if by is None else by, time.monotonic() - began)
            passed += len(part)
    finally:
        file.write_bytes(source)
    return Fate(False, f"{passed} tests pass", time.monotonic() - began)


def parts(order: Sequence[str], tests: dict[str, Any], longest: float) -> Iterator[list[str]]:
    """Quick ones, then the others up to what one fault may cost."""
    part: list[str] = []
    spent, bound, files = 0.0, QUICK, set()
    for name in order:
        spent += tests[name]["seconds"] + COLLECTING * (file_of(name) not in files)
        files.add(file_of(name))
        if spent > bound and part:
            yield part
            part, bound, files = [], longest, set()
        if spent > longest:
            return
        part.append(name)
    if part:
        yield part


def report(results: Sequence[tuple[Fault, Fate]], equal: Collection[str]) -> None:
    print(f"\n{'group':<12}{'changes':>8}{'no fault':>10}{'killed':>8}{'left':>6}{'share':>8}")
    rows = {group: [pair for pair in results if pair[0].group == group] for group in GROUPS}
    for group, pairs in [*rows.items(), ("all", list(results))]:
        if pairs:
            killed = sum(fate.killed for _, fate in pairs)
            none = sum(fault.name in equal for fault, _ in pairs)
            share = killed / max(1, len(pairs) - none)
            print(f"{group:<12}{len(pairs):>8}{none:>10}{killed:>8}{len(pairs) - none - killed:>6}{share:>8.1%}")
    print()
    for fault, fate in results:
        if not fate.killed:
            print(f"{fault.told}  ({fate.by})")


if __name__ == "__main__":
    main()
