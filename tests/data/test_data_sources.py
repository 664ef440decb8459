"""Rows from the Hub's cache, from a Hub that is not reached, and from the demo."""

import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from glue_harness.core.errors import DataError, GlueError, UsageError
from glue_harness.core.task import Source
from glue_harness.data import available, hub, load
from glue_harness.data.rows import inputs_of
from glue_harness.suite.build import classify, regress
from glue_harness.suite.registry import load_tasks

PIN = "a" * 40
OTHER = "b" * 40


def demo(random, n):
    """Few different texts: evaluation rows are bound to meet training rows."""
    return [
        {"text": f"text {random.randrange(10 * n)}", "label": number % 2, "idx": {"group": number}}
        for number in range(n)
    ]


TASK = classify(
    "toy",
    fields=("text",),
    labels=("no", "yes"),
    source=Source("owner/Toys", config="pair", revision=PIN),
    metrics=(),
    demo=demo,
)


@pytest.fixture
def cache(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("HF_DATASETS_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def online(monkeypatch) -> None:
    for name in hub.OFFLINE:
        monkeypatch.delenv(name, raising=False)


def write_cache(cache: Path, revision: str, *shards: list[str], split: str = "train") -> None:
    """What `datasets` leaves behind after a download."""
    import pyarrow

    folder = cache / "owner___toys" / "pair" / "0.0.0" / revision
    folder.mkdir(parents=True, exist_ok=True)
    for number, texts in enumerate(shards):
        part = f"-{number:05d}-of-{len(shards):05d}" if len(shards) > 1 else ""
        table = pyarrow.table({"text": texts, "label": [0] * len(texts)})
        with pyarrow.ipc.new_stream(str(folder / f"toys-{split}{part}.arrow"), table.schema) as stream:
            stream.write_table(table)


def texts(rows) -> list[str]:
    return [row["text"] for row in rows]


def test_the_pinned_revision_is_read_from_the_cache(cache):
    write_cache(cache, OTHER, ["other"])
    write_cache(cache, PIN, ["a", "b"], ["c"])
    rows = load(TASK, "train", "hub")
    assert texts(rows) == ["a", "b", "c"]
    assert (rows.origin, rows.notes) == ("hub owner/Toys@aaaaaaa pair", ())


def test_a_revision_that_is_asked_for_overrides_the_pin(cache):
    write_cache(cache, PIN, ["pinned"])
    write_cache(cache, OTHER, ["other"])
    assert texts(load(TASK, "train", "hub", revision=OTHER)) == ["other"]


def test_a_split_is_not_taken_for_one_with_a_longer_name(cache):
    write_cache(cache, PIN, ["matched"], split="validation_matched")
    write_cache(cache, PIN, ["train"])
    assert not hub.cached_files(TASK.source, "validation", PIN)
    assert available(TASK, "hub") == "partly: no validation, test"


def test_nothing_is_cached(cache):
    assert available(TASK, "hub") == "to download"


def test_without_network_another_revision_stands_in_and_is_noted(cache):
    write_cache(cache, OTHER, ["other"])
    rows = load(TASK, "train", "hub")
    assert texts(rows) == ["other"]
    assert rows.origin == "hub owner/Toys@bbbbbbb pair"
    assert rows.notes == (f"the Hub was not reached: the newest cached revision, {OTHER}, stands in for {PIN}",)


def test_nothing_stands_in_for_a_revision_that_was_asked_for(cache):
    write_cache(cache, OTHER, ["other"])
    with pytest.raises(DataError, match="cannot get 'owner/Toys' from the Hub"):
        load(TASK, "train", "hub", revision="c" * 40)


@pytest.mark.parametrize("name", hub.OFFLINE)
def test_offline_variables_are_heeded_without_any_import(cache, online, monkeypatch, name):
    monkeypatch.setenv(name, "1")
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(DataError) as caught:
        load(TASK, "train", "hub")
    assert str(caught.value) == (
        f"cannot get 'owner/Toys' from the Hub ({name} is set): without network use --data demo or --data DIR, "
        "or try glue run --task mnli --demo"
    )


class FakeHub:
    """Stands for huggingface_hub and datasets: knows revisions, and one that needs a script."""

    def __init__(self, monkeypatch, commits: dict[str | None, str], fails: dict[str, Exception]) -> None:
        self.commits, self.fails, self.loaded = commits, fails, []
        monkeypatch.setitem(sys.modules, "huggingface_hub", SimpleNamespace(HfApi=lambda: self))
        fake = SimpleNamespace(load_dataset=self.load_dataset, disable_progress_bars=lambda: None)
        monkeypatch.setitem(sys.modules, "datasets", fake)

    def dataset_info(self, name, *, revision, timeout):
        if revision not in self.commits:
            raise ConnectionResetError("gone\nwith details")
        return SimpleNamespace(sha=self.commits[revision])

    def load_dataset(self, name, config, *, split, revision):
        import pyarrow

        self.loaded.append((name, config, split, revision))
        if revision in self.fails:
            raise self.fails[revision]
        return SimpleNamespace(data=SimpleNamespace(table=pyarrow.table({"text": [revision], "label": [1]})))


def test_a_revision_is_resolved_and_downloaded(cache, online, monkeypatch):
    fake = FakeHub(monkeypatch, {PIN: PIN}, {})
    assert texts(load(TASK, "train", "hub")) == [PIN]
    assert fake.loaded == [("owner/Toys", "pair", "train", PIN)]


def test_without_a_pin_the_newest_commit_is_recorded(cache, online, monkeypatch):
    FakeHub(monkeypatch, {None: OTHER}, {})
    task = replace(TASK, source=Source("owner/Toys"))
    assert load(task, "train", "hub").origin == "hub owner/Toys@bbbbbbb"


def test_a_revision_that_needs_a_script_is_read_as_converted(cache, online, monkeypatch):
    script = RuntimeError("Dataset scripts are no longer supported, but found toys.py")
    FakeHub(monkeypatch, {PIN: PIN, "refs/convert/parquet": OTHER}, {PIN: script})
    rows = load(TASK, "train", "hub")
    assert texts(rows) == [OTHER]
    assert rows.origin == "hub owner/Toys@bbbbbbb pair"
    assert rows.notes == (
        f"revision {PIN} needs a script, which is never run: read from refs/convert/parquet ({OTHER})",
    )


@pytest.mark.parametrize(
    ("commits", "fails", "reason"),
    [
        ({}, {}, "ConnectionResetError: gone"),
        (
            {PIN: PIN},
            {PIN: ValueError("BuilderConfig 'pair' not found.\nAvailable: ...")},
            "ValueError: BuilderConfig 'pair' not found.",
        ),
    ],
)
def test_whatever_fails_on_the_way_is_one_line(cache, online, monkeypatch, commits, fails, reason):
    FakeHub(monkeypatch, commits, fails)
    with pytest.raises(DataError) as caught:
        load(TASK, "train", "hub")
    assert str(caught.value) == (
        f"cannot get 'owner/Toys' from the Hub ({reason}): without network use --data demo or --data DIR, "
        "or try glue run --task mnli --demo"
    )


def test_a_local_folder_is_not_taken_for_the_hubs(cache, online, monkeypatch, tmp_path):
    FakeHub(monkeypatch, {PIN: PIN}, {})
    (tmp_path / "owner" / "Toys").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError, match=r"^folder 'owner/Toys' here hides the Hub's data set of that name"):
        load(TASK, "train", "hub")


def test_a_revision_is_refused_where_it_would_be_ignored(tmp_path):
    for where in ("demo", str(tmp_path)):
        with pytest.raises(UsageError, match="leave one of them out"):
            load(TASK, "train", where, revision=PIN)


def test_demo_rows_are_the_same_every_time():
    first, again = load(TASK, "train", "demo"), load(TASK, "train", "demo")
    assert list(first) == list(again)
    assert first.fingerprint == again.fingerprint
    assert (len(first), first.origin, first.official, first.notes) == (250, "demo", None, ())


ROWS = (250, 8_551, 392_702)


@pytest.mark.parametrize(
    ("where", "train", "others"), [("demo", 250, 400), ("demo:50", 50, 200), ("demo:3000", 3000, 300)]
)
def test_demo_sizes(where, train, others):
    assert [len(load(TASK, role, where)) for role in ("train", "validation", "test")] == [train, others, others]


def test_demo_sizes_follow_the_official_ones():
    sizes = [len(load(replace(TASK, source=replace(TASK.source, rows={"train": n})), "train", "demo")) for n in ROWS]
    assert sizes == [250, 462, 3133]


def test_demo_evaluation_rows_are_not_in_training():
    train = {row["text"] for row in load(TASK, "train", "demo")}
    for role in ("validation", "test"):
        rows = load(TASK, role, "demo")
        assert not train & set(texts(rows))
        assert len({row["idx"]["group"] for row in rows}) == len(rows)


def test_scorers_of_a_task_never_see_its_training_rows():
    """MNLI's scorers have no training split of their own, but share the configuration."""
    scorer = replace(TASK, name="toy_matched", splits={"validation": "validation_matched"})
    train = {row["text"] for row in load(TASK, "train", "demo")}
    assert not train & set(texts(load(scorer, "validation", "demo")))


def test_demo_test_labels_are_hidden():
    assert {row["label"] for row in load(TASK, "test", "demo")} == {-1}
    score = regress("score", fields=("text",), source=Source("x"), metrics=(), write=str, choices="01", demo=demo)
    hidden = {repr(row["label"]) for row in load(score, "test", "demo")}
    assert hidden == {"-1.0"}


@pytest.mark.parametrize("name", ["copa", "wmt_en_de", "record"])
def test_the_test_split_of_a_demo_asks_nothing_that_was_asked_before(name):
    task = load_tasks().task(name)
    asked = {role: {inputs_of(task, row) for row in load(task, role, "demo:400")} for role in task.splits}
    assert not asked["test"] & (asked["train"] | asked["validation"])


def test_answers_of_a_hidden_demo_split_are_hidden_too():
    assert {row["answers"] for row in load(load_tasks().task("record"), "test", "demo:50")} == {()}


def test_a_demo_that_knows_too_few_texts_says_so():
    task = replace(TASK, demo=lambda random, n: [{"text": "same", "label": 0}] * n)
    with pytest.raises(DataError) as caught:
        load(task, "validation", "demo:50")
    assert str(caught.value) == ("the demo of 'toy' has no 200 rows beside 50 others: use fewer, as in --data demo")


@pytest.mark.parametrize("where", ["demo:", "demo:0", "demo:-5", "demo:many", "demo:1e3", "demo:\u0663"])
def test_a_demo_size_must_be_a_number(where):
    with pytest.raises(UsageError) as caught:
        load(TASK, "train", where)
    assert str(caught.value) == (
        f"--data {where!r}: the number of rows must be a whole number above 0, as in demo:2000"
    )


def test_a_task_without_demo_says_what_else_there_is():
    task = replace(TASK, demo=None)
    with pytest.raises(GlueError, match=r"^task 'toy' has no demo generator: use --data hub or --data DIR$"):
        load(task, "train", "demo")
    assert (available(TASK, "demo"), available(task, "demo:10")) == ("yes", "no generator")
