"""How large a page is and how fast Chromium shows it: 200 runs on a board, 10,000 examples of two runs.

python tests/benchmarks/page.py
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from browser import Browser
from records import finished

from glue_harness.runs.store import Store

RUNS, EXAMPLES = 200, 10_000


def glue(*arguments: object) -> None:
    subprocess.run([sys.executable, "-m", "glue_harness", *map(str, arguments)], check=True, capture_output=True)


def results(folder: Path) -> list[str]:
    """200 records, and two runs with 10,000 answers; their ids."""
    store, luck = Store(folder / "results"), random.Random(0)
    for k in range(RUNS):
        finished(
            store, shift=luck.uniform(-20, 20), day=1 + k % 28, lr=1e-4 * (k + 1), method=luck.choice(["full", "lora"])
        )
    (folder / "rte").mkdir()
    words = [
        "the",
        "quick",
        "brown",
        "fox",
        "jumps",
        "over",
        "a",
        "lazy",
        "dog",
        "while",
        "nobody",
        "looks",
        "at",
        "it",
    ]
    lines = [
        {
            "sentence1": " ".join(luck.choices(words, k=30)) + f" {k}",
            "sentence2": " ".join(luck.choices(words, k=10)),
            "label": k % 2,
        }
        for k in range(EXAMPLES)
    ]
    (folder / "rte" / "validation.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    ids = []
    for name in ("first", "other"):
        (folder / "answers.txt").write_text("".join(luck.choice(["entailment\n", "not_entailment\n"]) for _ in lines))
        glue("score", "rte", folder / "answers.txt", "--data", folder, "--as", name, "--results", store.folder)
        ids.append(max(os.listdir(store.folder)))
    return ids


def timed(browser: Browser, action: str) -> float:
    """Milliseconds from an action until its frame is drawn."""
    return browser.run(
        f"new Promise(done => {{ const start = performance.now(); {action};"
        "requestAnimationFrame(() => setTimeout(() => done(performance.now() - start), 0)) })"
    )


def typed(field: str, text: str) -> str:
    return f"const e = document.querySelector('{field}'); e.value = '{text}'; e.dispatchEvent(new Event('input'))"


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        first, other = results(folder)
        page = folder / "page.html"
        start = time.perf_counter()
        glue("report", "glue", first, other, "--examples", "all", "--results", folder / "results", "--out", page)
        print(f"written in {time.perf_counter() - start:.1f} s, {page.stat().st_size / 1e6:.2f} MB")
        browser = Browser()
        try:
            browser.screen(1280)
            browser.open(page, "#view=board&board=glue-demo")
            browser.settle()
            painted = "performance.getEntriesByName('first-contentful-paint')"
            paint = f"{painted}[0].startTime"
            browser.wait(f"{painted}.length")  # else the first filter would be timed with it
            print(f"board of {RUNS} rows: first paint {browser.run(paint):.0f} ms")
            filters = [timed(browser, typed("#search-q", word)) for word in ("lora", "", "full", "", "lora", "full")]
            print(f"  filtered in {median(filters):.0f} ms (median of {len(filters)}, the slowest {max(filters):.0f})")
            sort = "document.querySelector('#sort-average').click()"
            print(f"  sorted in {timed(browser, sort):.0f} ms")
            browser.open(page, f"#view=compare&a={first}&b={other}")
            browser.wait(f"{painted}.length")
            print(f"examples, {EXAMPLES:,}: first paint {browser.run(paint):.0f} ms")
            print(f"  filtered in {timed(browser, typed('#search-text', 'lazy nobody')):.0f} ms")
        finally:
            browser.close()


if __name__ == "__main__":
    main()
