"""Results for tests of the page: hostile texts in data, answers and names; a board with ties and gaps."""

from __future__ import annotations

import json
from pathlib import Path

from records import GLUE, finished

from glue_harness.runs.store import Store

HOSTILE = "</script><script>window.hacked=1</script><img src=x onerror=window.hacked=1>&lt;\u2028'\"`${window.hacked=1}"
GOLD = "eennen"  # entailment or not, of six rows
FIRST = "ennenx"  # wrong in 1, 3, 4 and (none at all) in 5
OTHER = "eeneen"  # wrong in 3
WORDS = {"e": "entailment", "n": "not_entailment", "x": HOSTILE}


def rows(folder: Path, gold: str = GOLD) -> Path:
    """RTE's rows, in JSON lines: every text is hostile."""
    (folder / "rte").mkdir(parents=True)
    lines = [
        {
            "sentence1": f"Premise {k} {HOSTILE}",
            "sentence2": f"Claim {k}, {'cats' if k % 2 else 'dogs'}.",
            "label": "en".index(c),
        }
        for k, c in enumerate(gold)
    ]
    (folder / "rte" / "validation.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return folder


def answered(glue, folder: Path, answers: str, name: str) -> str:
    """A system's answers as a run, with shares; its id."""
    file = folder / "answers.jsonl"
    lines = [
        {
            "answer": WORDS[c],
            "shares": {"entailment": 0.9 if c == "e" else 0.3, "not_entailment": 0.1 if c == "e" else 0.7},
        }
        for c in answers
    ]
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    code, out, err = glue("score", "rte", file, "--data", folder, "--as", name, "--invalid", "--json")
    assert code == 0, err
    return json.loads(out)["run"]


def board(store: Store) -> None:
    """Runs of GLUE on demo data: two that tie, one far below, one that lacks tasks, one that failed."""
    first = finished(store, lr=1e-3, day=1)
    second = finished(store, lr=2e-3, shift=0.1, day=2)
    lora = finished(store, lr=3e-3, shift=-8.0, day=3, method="lora")
    for record, cost in ((first, 12.5), (second, 5.0), (lora, 2.0)):  # the first is beaten by the second
        record.seconds = cost
        record.tags = ["paper", *(["lora"] if record is lora else [])]
        store.save(record)
    child = finished(store, {"rte": GLUE["rte"]}, lr=4e-3, day=4, tasks=("rte",))
    child.environment["model"] = {"run": lora.id, "step": 100}
    child.note = HOSTILE
    store.save(child)
    finished(store, lr=5e-3, day=5, status="failed", error=HOSTILE)
    finished(store, data="folder", lr=1e-3, day=6)
