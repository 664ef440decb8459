"""Any bytes give rows or one clean line: never a traceback, a hang, or memory without end."""

import json
import os
import signal
import tracemalloc
from pathlib import Path
from random import Random

import pytest
from fuzz import fault, mutated
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from readers import READERS, TASKS
from records import finished

from glue_harness.cli import main
from glue_harness.core.errors import DataError, GlueError, RowError, UsageError
from glue_harness.core.plan import Plan, plan_from
from glue_harness.core.plan_file import read_plan
from glue_harness.core.reading import LONGEST_LINE, json_value, toml_value
from glue_harness.data import load
from glue_harness.data.lines import BOM, text_lines
from glue_harness.runs.store import Store

SOME = settings(derandomize=True, max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))
MANY = settings(SOME, max_examples=100)
TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))


@pytest.fixture(autouse=True)
def no_hang():
    """A reader that waits, say for a pipe, fails its test instead of stopping the suite."""
    signal.signal(signal.SIGALRM, lambda *_: pytest.fail("it hangs"))
    signal.alarm(60)
    yield
    signal.alarm(0)


@pytest.mark.parametrize("reader", READERS, ids=lambda reader: reader.name)
@SOME
@given(st.integers(), st.binary(max_size=40), st.booleans())
def test_any_bytes_are_used_or_refused(reader, seed, noise, is_noise):
    content = noise if is_noise else mutated(reader.seeds[seed % len(reader.seeds)], Random(seed))
    assert fault(reader, content) is None


@pytest.mark.parametrize("reader", READERS, ids=lambda reader: reader.name)
def test_what_the_damage_is_done_to_is_good_itself(reader, tmp_path):
    if reader.name == "state.json":
        pytest.skip("good only with the Arrow file beside it, which nothing damages")
    reader.read(reader.seeds[0], tmp_path)


def test_the_fuzzer_finds_a_planted_fault(tmp_path):
    reader = READERS[0]._replace(read=lambda content, folder: content.decode())
    assert fault(reader, b"\xff").startswith("UnicodeDecodeError")
    assert fault(reader, b"fine") is None


# Lines


@MANY
@given(st.lists(st.binary(max_size=20)))
def test_only_a_newline_ends_a_line(tmp_path_factory, lines):
    file = tmp_path_factory.getbasetemp() / "lines"
    file.write_bytes(b"\n".join(lines))
    try:
        wanted = [
            (number, line.removesuffix(b"\r").decode())
            for number, line in enumerate(b"\n".join(lines).removeprefix(BOM).split(b"\n"), 1)
            if line.removesuffix(b"\r")
        ]
    except UnicodeDecodeError:
        with pytest.raises(DataError, match="is not UTF-8"):
            list(text_lines(file))
    else:
        assert [(number, text) for number, text in text_lines(file)] == wanted


def sparse(path: Path, size: int) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        file.truncate(size)
    return path


@pytest.mark.parametrize("name", ["RTE/train.tsv", "rte/train.jsonl"])
def test_a_line_of_a_gigabyte_is_refused_in_little_memory(tmp_path, name):
    sparse(tmp_path / name, 2**30)
    tracemalloc.start()
    with pytest.raises(DataError, match="line 1: longer than 16 MiB: is it a text file, with line ends"):
        load(TASKS["rte"], "train", str(tmp_path))
    assert tracemalloc.get_traced_memory()[1] < 4 * LONGEST_LINE
    tracemalloc.stop()


def test_a_record_of_half_a_gigabyte_is_named_in_little_memory(tmp_path):
    store = Store(tmp_path)
    sparse(tmp_path / "large" / "record.json", 2**29)
    finished(store)
    tracemalloc.start()
    records, broken = store.load_all()
    assert tracemalloc.get_traced_memory()[1] < 150 * 2**20
    tracemalloc.stop()
    assert len(records) == 1
    assert broken == [(tmp_path / "large" / "record.json", "it is larger than 64 MiB")]


def test_a_million_columns_are_told_in_a_few_words(tmp_path, capsys):
    (tmp_path / "RTE").mkdir()
    (tmp_path / "RTE" / "train.tsv").write_text("column\t" * 10**6 + "\n1\n")
    with pytest.raises(SystemExit):
        main(["show", "rte", "--data", str(tmp_path)])
    err = capsys.readouterr().err
    assert "column 'sentence1' is missing" in err
    assert len(err) < 2500
    assert err.count("\n") == 1


# JSON and TOML

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
)


@MANY
@given(JSON)
def test_json_comes_back(value):
    assert json_value(json.dumps(value)) == value


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("[" * 100_000, "more than 100 levels deep"),
        ("[" * 102 + "]" * 102, "more than 100 levels deep"),
        ('{"a":' * 500 + "1" + "}" * 500, "more than 100 levels deep"),
        ("9" * 5000, "number 99999999999999999999... is too large"),
        ("1e999", "number 1e999 is too large"),
        ("NaN", "NaN is no JSON"),
        ("[-Infinity]", "-Infinity is no JSON"),
    ],
)
def test_json_that_would_break_its_users_is_refused(text, reason):
    with pytest.raises(ValueError, match="^" + reason.replace(".", r"\.").replace("+", r"\+") + "$"):
        json_value(text)


def test_deep_but_honest_json_is_read():
    assert json_value("[" * 100 + "]" * 100)
    assert json_value("[" + "[]," * 1000 + "[]]") == [[]] * 1001


@pytest.mark.parametrize(
    "text", ["a = " + "[" * 50_000, "a" + ".a" * 20_000 + " = 1", "a = 0x" + "f" * 5000, "a = 1" + "0" * 5000]
)
def test_toml_bombs_are_refused(text):
    with pytest.raises(ValueError, match=r"levels deep|too large|digits|dots"):
        toml_value(text)


def test_a_plan_without_end_is_refused():
    with pytest.raises(UsageError, match=r"plan '/dev/zero' is not TOML: it is larger than 0\.0625 MiB"):
        read_plan(Path("/dev/zero"))


@MANY
@given(TEXT.filter(bool), TEXT, st.dictionaries(TEXT, st.floats(0.5, 1e9), min_size=1))
def test_a_plan_comes_back_from_its_file(tmp_path_factory, task, data, rates):
    plan = Plan((task,), data=data, model=task, mixing="custom", rates=rates)
    file = tmp_path_factory.getbasetemp() / "plan.toml"
    file.write_text(plan.to_toml(), encoding="utf-8", newline="")
    assert plan_from(read_plan(file)) == plan


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"seed": 2**65}, "seed: number 0x20000"),
        ({"lr": 10**400}, "lr: number 0x"),
        ({"model": "a\0b"}, "model must be text that UTF-8 can write, without NUL"),
        ({"data": "caf\udce9"}, "data must be text that UTF-8 can write"),
        ({"weight_decay": float("inf")}, "weight_decay must be 0 or more, not inf"),
        ({"mixing": "custom", "rates": {"rte": float("inf")}}, "a custom rate must not be negative, nor without end"),
    ],
)
def test_settings_that_nothing_can_use_are_refused(values, reason):
    with pytest.raises(UsageError, match=reason):
        plan_from({"tasks": ["rte"], **values})


# Rows


def test_half_a_surrogate_pair_is_no_text(tmp_path):
    (tmp_path / "rte").mkdir()
    rows = [{"sentence1": text, "sentence2": "b", "label": 0} for text in ("\U0001f600", "\ud800")]
    (tmp_path / "rte" / "train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    with pytest.raises(DataError, match=r"line 2: not text: it has half of a surrogate pair"):
        load(TASKS["rte"], "train", str(tmp_path))


@pytest.mark.parametrize("words", ["(a+)+", "(a|aa)*", "a?" * 30, "(a{1,9}){1,9}"])
def test_a_row_cannot_smuggle_in_a_search_without_end(words):
    row = {"sentence": "see " + "a" * 5000 + "!", "pronoun": words, "candidates": ["x", "y"], "label": 0}
    with pytest.raises(RowError, match="make a regular expression that may take for ever"):
        TASKS["dpr"].encode(row)
    row = {"text": "a" * 5000 + "!", "span1_text": words, "span1_index": 0, "span2_text": "b", "span2_index": 10**12}
    with pytest.raises(RowError, match="make a regular expression that may take for ever"):
        TASKS["wsc_marked"].encode({**row, "label": 0})


def test_a_damaged_parquet_file_is_named(tmp_path):
    import pyarrow
    from pyarrow.parquet import write_table

    (tmp_path / "rte").mkdir()
    file = tmp_path / "rte" / "train.parquet"
    rows = [{"sentence1": "hello there", "sentence2": "b", "label": 0}]
    write_table(pyarrow.Table.from_pylist(rows), file, compression="none", use_dictionary=False)
    file.write_bytes(file.read_bytes().replace(b"hello there", b"hello\xffthere"))
    with pytest.raises(DataError, match=r"train.parquet cannot be read: .*UTF8"):
        load(TASKS["rte"], "train", str(tmp_path))


def test_saved_data_names_no_files_elsewhere(tmp_path):
    (tmp_path / "rte" / "train").mkdir(parents=True)
    for name in ("../../secret.arrow", "/etc/passwd"):
        state = {"_data_files": [{"filename": name}]}
        (tmp_path / "rte" / "train" / "state.json").write_text(json.dumps(state))
        with pytest.raises(DataError, match="it names no files beside it"):
            load(TASKS["rte"], "train", str(tmp_path))


# What is no file


def pipe(path: Path) -> None:
    os.mkfifo(path)


def device(path: Path) -> None:
    path.symlink_to("/dev/zero")


def circle(path: Path) -> None:
    path.symlink_to(path)


@pytest.mark.parametrize("make", [pipe, device, circle, Path.mkdir])
@pytest.mark.parametrize("name", ["RTE/train.tsv", "BoolQ/train.jsonl", "rte/train.jsonl", "rte/train.parquet"])
def test_only_files_are_read_as_data(tmp_path, make, name):
    path = tmp_path / name
    path.parent.mkdir()
    make(path)
    with pytest.raises(
        GlueError, match=r"it is a pipe or a device, not a file|Is a directory|symbolic links|no train rows"
    ):
        load(TASKS["boolq" if "BoolQ" in name else "rte"], "train", str(tmp_path))


@pytest.mark.parametrize("make", [pipe, device, circle, Path.mkdir])
def test_only_files_are_read_as_records_and_predictions(tmp_path, make):
    store = Store(tmp_path / "results")
    good, bad = finished(store), finished(store)
    (store.run_folder(bad.id) / "record.json").unlink()
    make(store.run_folder(bad.id) / "record.json")
    records, broken = store.load_all()
    assert [record.id for record in records] == [good.id]
    assert [path.parent.name for path, _ in broken] == ([] if make is circle else [bad.id])
    (store.run_folder(good.id) / "predictions").mkdir()
    make(store.run_folder(good.id) / "predictions" / "rte.jsonl")
    with pytest.raises(DataError, match=r"rte.jsonl: it cannot be read: "):
        store.read_predictions(good.id, TASKS["rte"])
