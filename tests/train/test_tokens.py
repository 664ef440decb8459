"""Tokens in the cache: what names them, what happens to them, and that a feed draws what it always drew."""

import io
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from random import Random

import numpy as np
import pytest
from conftest import ROOT
from toys import WORDS, toy_examples, toy_model, toy_plan, toy_task, toy_tokens

from glue_harness.core import cache
from glue_harness.core.errors import DataError
from glue_harness.core.task import SpanNoise
from glue_harness.data import Rows
from glue_harness.data.rows import examples_of
from glue_harness.suite.registry import load_tasks
from glue_harness.train import code, tokens
from glue_harness.train.tokens import CHUNK, Subset, Tokens, key, tokens_of

TASK_FILE = (ROOT / "tests" / "examples" / "headlines.py").read_text(encoding="utf-8")


def rows_of(n: int, fingerprint: str = "one") -> Rows:
    words = [" ".join(WORDS[k % 7 : k % 7 + 1 + k % 5]) for k in range(n)]
    rows = [{"headline": f"{text} {k}", "label": k % 2} for k, text in enumerate(words)]
    return Rows(rows, "train", "here", None, fingerprint)


@pytest.fixture
def home(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("GLUE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(tokens, "SMALL", 0)
    return tmp_path / "cache"


@pytest.fixture
def task(tmp_path):
    return loaded(tmp_path, TASK_FILE)


def loaded(folder: Path, text: str):
    (folder / "headlines.py").write_text(text, encoding="utf-8")
    return load_tasks([folder]).task("headlines")


def made(task, n: int = 50, notes: list[str] | None = None, **changes) -> Tokens:
    plan = toy_plan(**changes)
    found: list[str] = []
    result = tokens_of(task, rows_of(n), toy_model(plan=plan), found if notes is None else notes)
    assert notes is not None or not found
    return result


def plain(encoded) -> list[tuple]:
    return [tuple(map(list, e.streams)) for e in encoded]


def files(home: Path) -> list[str]:
    return sorted(file.name for file in home.iterdir())


def direct(task, n: int, **changes) -> list[tuple]:
    return plain(toy_model(plan=toy_plan(**changes)).encode(task, list(examples_of(task, rows_of(n)))))


@pytest.mark.parametrize("n", [1, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK + 7])
def test_tokens_are_those_of_direct_encoding(home, task, n):
    for found in (made(task, n), made(task, n)):  # written, and found again
        assert len(found) == n
        assert plain(found[k] for k in range(n)) == direct(task, n)
        assert [found.id(k) for k in (0, n - 1)] == ["0", str(n - 1)]
    assert len(files(home)) == 1


def test_lengths_are_cut_as_ever(home, task):
    found = made(task, 50, max_input=6, max_target=2)
    assert plain(found[k] for k in range(50)) == direct(task, 50, max_input=6, max_target=2)
    assert max(found[k].length for k in range(50)) == 6


def test_what_is_found_is_not_made_again(home, task, monkeypatch):
    first = plain(made(task))
    monkeypatch.setattr(tokens, "write", lambda *_: pytest.fail("made again"))
    assert plain(made(task)) == first


def test_everything_that_decides_tokens_is_in_their_name(task, tmp_path):
    plan = toy_plan()
    model = toy_model()
    other_vocabulary = toy_model()
    other_vocabulary.tokenizer = type("Other", (), {"fingerprint": model.tokenizer.fingerprint})()
    names = [
        key(task, rows_of(3), model),
        key(replace(task, name="other"), rows_of(3), model),
        key(task, rows_of(3, "two"), model),
        key(task, rows_of(3), other_vocabulary),
        key(task, rows_of(3), toy_model(plan=plan.replace(max_input=511))),
        key(task, rows_of(3), toy_model(plan=plan.replace(max_target=127))),
        key(loaded(tmp_path, TASK_FILE.replace('"sport"', '"sports"')), rows_of(3), model),
    ]
    assert len(set(names)) == len(names)
    again = loaded(tmp_path, TASK_FILE)
    assert key(again, rows_of(3), toy_model(seed=1, plan=plan.replace(seed=1, steps=7))) == names[0]


def test_a_changed_task_file_is_never_served_old_tokens(home, task, tmp_path):
    before = made(task)
    after = made(changed := loaded(tmp_path, TASK_FILE.replace('"sport"', '"small"')))
    assert plain(after) == direct(changed, 50) != plain(before)
    assert len(files(home)) == 2


def test_the_code_of_a_task_is_all_that_its_file_imports(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "far_helper.py").write_text("import numpy\nX = 1\n")
    (tmp_path / "near_helper.py").write_text("from far_helper import X\n")
    file = tmp_path / "mine.py"
    file.write_text("import json\nfrom glue_harness.suite.build import classify\ndef late():\n    import near_helper\n")
    found = {source.name for source in code.sources([file])}
    assert {"mine.py", "near_helper.py", "far_helper.py", "build.py", "task.py"} <= found
    assert not found & {"numpy.py", "decoder.py"}
    before = code.digest(file)
    (tmp_path / "far_helper.py").write_text("import numpy\nX = 2\n")
    assert code.digest(file) != before


def test_the_code_of_a_built_in_task_leaves_other_tasks_out():
    found = {source.name for source in code.sources([load_tasks().task("wsc").file])}
    assert {"wsc.py", "winograd.py", "superglue.py"} <= found
    assert "rte.py" not in found


@pytest.mark.parametrize("damage", ["cut", "flipped", "empty"])
def test_a_damaged_entry_is_set_aside_named_and_made_again(home, task, damage):
    expected = plain(made(task))
    (name,) = files(home)
    content = bytearray((home / name).read_bytes())
    content[len(content) // 2] ^= 1
    (home / name).write_bytes({"cut": content[:-100], "flipped": content, "empty": b""}[damage])
    notes: list[str] = []
    assert plain(made(task, notes=notes)) == expected
    (note,) = notes
    assert name in note
    assert "was set aside as .corrupt-*" in note
    aside, again = files(home)
    assert aside.startswith(".corrupt-")
    assert again == name
    assert plain(made(task)) == expected  # without a note


def test_a_cache_that_cannot_be_written_is_said_and_does_not_matter(home, task):
    home.write_text("a file is in the way")
    notes: list[str] = []
    assert plain(made(task, notes=notes)) == direct(task, 50)
    (note,) = notes
    assert note.startswith(f"cache {home} cannot be written: ")
    assert "GLUE_CACHE" in note


@pytest.mark.parametrize("also", ["", "tempfile"])
def test_a_full_disk_is_said_and_leaves_no_draft(home, task, monkeypatch, also):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    if also:
        monkeypatch.setattr("tempfile.TemporaryFile", full)
    notes: list[str] = []
    assert plain(made(task, notes=notes)) == direct(task, 50)
    assert "No space left on device" in notes[0]
    assert files(home) == []


def test_drafts_of_killed_processes_go_after_a_day(home, task):
    home.mkdir()
    old, young = home / ".draft-old", home / ".draft-young"
    for draft in (old, young):
        draft.touch()
    os.utime(old, (0, 0))
    made(task)
    assert not old.exists()
    assert young.exists()


def test_small_splits_and_tasks_without_a_file_leave_nothing(home, task, monkeypatch):
    assert plain(made(replace(task, file=None))) == direct(task, 50)
    monkeypatch.setattr(tokens, "SMALL", 50)
    assert plain(made(task)) == direct(task, 50)
    assert not home.exists()


def test_where_the_cache_is(monkeypatch):
    assert str(cache.folder()) == os.environ["GLUE_CACHE"]
    monkeypatch.delenv("GLUE_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", "/somewhere")
    assert cache.folder() == Path("/somewhere/glue-harness")
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert cache.folder() == Path.home() / ".cache" / "glue-harness"


RACE = """
import sys, time
from glue_harness.core import cache

def make(file):
    print("making", flush=True)
    sys.stdin.readline()
    for _ in range(50):
        file.write(bytes(1000))
        time.sleep(0.001)

notes = []
print(len(cache.kept("key", make, notes)), notes)
"""


def test_two_processes_make_one_entry_at_once(home):
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    both = [subprocess.Popen([sys.executable, "-c", RACE], **pipes) for _ in range(2)]
    assert [process.stdout.readline() for process in both] == ["making\n"] * 2
    for process in both:
        process.stdin.write("\n")
        process.stdin.flush()
    assert [process.communicate(timeout=60)[0] for process in both] == ["50000 []\n"] * 2
    assert len(files(home)) == 1


def test_a_row_that_cannot_be_encoded_leaves_no_draft(home, task):
    rows = rows_of(20)
    rows.rows[6]["headline"] = None
    with pytest.raises(DataError, match=r"headlines, row 7 of here: column 'headline' must be text, not None"):
        tokens_of(task, rows, toy_model(), [])
    assert files(home) == []


def test_ids_that_need_more_than_16_bits():
    file, wide = io.BytesIO(), toy_model()
    wide.vocabulary = 250_000
    wide.encode = lambda task, examples: [tokens.Encoded(([70_000, 1], [1])) for _ in examples]
    tokens.write(file, toy_task(), iter(toy_examples(1)), wide)
    assert plain(Tokens(file.getbuffer(), "toy")) == [([70_000, 1], [1])]


def test_a_gold_number_and_its_head_come_back_with_the_tokens():
    file, model = io.BytesIO(), toy_model()
    model.encode = lambda task, examples: [tokens.Encoded(([3, 1],), 2.5, task.name) for _ in examples]
    tokens.write(file, toy_task(), iter(toy_examples(CHUNK + 1)), model)
    found = Tokens(file.getbuffer(), "toy")
    assert len(found) == CHUNK + 1
    assert (found[CHUNK].gold, found[CHUNK].head, found[CHUNK].sizes, found[CHUNK].terms) == (2.5, "toy", (2,), 1)


def test_tokens_are_32_bits_wide_whatever_the_file_holds():
    found = toy_tokens(toy_model(), toy_examples(3))
    assert found.parts[0]["stream0"].values.type == "uint16"
    assert found[0].streams[0].dtype == np.int32


def test_a_subset_is_its_examples():
    found = toy_tokens(toy_model(), toy_examples(10))
    subset = Subset(found, np.array([7, 2]))
    assert plain(subset) == plain([found[7], found[2]])
    assert [subset.id(k) for k in range(len(subset))] == ["7", "2"]
    assert plain(subset[1:]) == plain([found[2]])
    assert plain(found[8:]) == plain([found[8], found[9]])


def test_an_example_is_named_by_its_row_and_its_place_there():
    twice = replace(toy_task(), encode=lambda row: toy_task().encode(row) * 2)
    examples = [e for k in range(2) for e in twice.examples({"text": "red cat", "label": 0}, k)]
    found = toy_tokens(toy_model(), examples)
    assert [found.id(k) for k in range(4)] == ["0.0", "0.1", "1.0", "1.1"]


def test_texts_to_corrupt_stay_whole(home, task):
    noisy = replace(task, noise=SpanNoise())
    found = made(noisy, 5, max_input=3)
    texts = [example.inputs for example in examples_of(noisy, rows_of(5))]
    assert plain(found) == [(ids,) for ids in toy_model().tokenizer.encode(texts)]


@pytest.mark.parametrize("name", sorted(load_tasks().tasks))
def test_tokens_depend_on_nothing_that_the_fingerprint_leaves_out(name):
    """A row's fingerprint is that of the columns that a task needs: its texts may come from no other."""
    task = load_tasks().task(name)
    rows = task.demo(Random(0), 30)
    for row, other in zip(rows, rows[1:] + rows[:1], strict=True):
        mixed = {**other, **{column: row[column] for column in task.needs}}
        assert [text[:2] for text in task.encode(mixed)] == [text[:2] for text in task.encode(row)]
