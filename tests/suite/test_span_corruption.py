"""Span corruption: T5's noise and its format, the task that draws it, runs that learn from text alone."""

import json
import re
from dataclasses import replace
from itertools import groupby
from pathlib import Path
from random import Random

import pytest
from records import runner
from toys import toy_examples, toy_model, toy_plan, toy_task, toy_tokens, vocabulary

from glue_harness import Plan, load_tasks, run
from glue_harness.cli import main
from glue_harness.core.errors import DataError, UsageError
from glue_harness.core.task import SpanNoise
from glue_harness.data import available, load
from glue_harness.data.sampler import Sampler
from glue_harness.lab.assemble import assemble
from glue_harness.lab.request import make_request
from glue_harness.metrics.selection import suite_average
from glue_harness.models.interface import Encoded
from glue_harness.models.packing import FINE
from glue_harness.models.tokenizer import EOS, SENTINELS, Bytes, FastTokenizer, load_tokenizer
from glue_harness.report.board import make_boards
from glue_harness.runs.folder import RunFolder
from glue_harness.runs.store import Store
from glue_harness.suite.spans import amounts, corrupt, cut_up, draw_mask, longest
from glue_harness.train.arrangement import packed
from glue_harness.train.feed import Feed

REGISTRY = load_tasks()
TASK = REGISTRY.task("span_corruption")
NOISE = SpanNoise()
TINY = {"data": "demo:60", "model": "tiny", "steps": 4, "eval_every": 2, "batch_size": 8, "lr": 2e-3, "device": "cpu"}
LETTERS = "XYZ"


def corrupted(text: str, *hidden: int) -> tuple[str, str]:
    """Words, those in the places given hidden."""
    words = text.split()
    mask = [place in hidden for place in range(len(words))]
    inputs, targets = corrupt(words, mask, lambda span: f"<{LETTERS[span]}>")
    return " ".join(inputs), " ".join(targets)


def restored(inputs: list[int], targets: list[int]) -> list[int]:
    """The text again; sentinels are the negative numbers."""
    spans: dict[int, list[int]] = {}
    for token in targets:
        if token < 0:
            span = spans[token] = []
        else:
            span.append(token)
    return [token for given in inputs for token in (spans[given] if given < 0 else [given])]


def span_lengths(mask: list[bool]) -> list[int]:
    return [len(list(run)) for hidden, run in groupby(mask) if hidden]


def test_the_example_of_the_slide():
    assert corrupted("Thank you for inviting me to your party last week .", 2, 3, 8) == (
        "Thank you <X> me to your party <Y> week .",
        "<X> for inviting <Y> last <Z>",
    )


@pytest.mark.parametrize(
    ("hidden", "inputs", "targets"),
    [
        ((), "a b c d", "<X>"),
        ((2, 3), "a b <X>", "<X> c d"),
        ((0,), "<X> b c d", "<X> a <Y>"),
        ((0, 3), "<X> b c <Y>", "<X> a <Y> d"),
        ((0, 1, 2, 3), "<X>", "<X> a b c d"),
    ],
)
def test_every_span_follows_its_sentinel(hidden, inputs, targets):
    assert corrupted("a b c d", *hidden) == (inputs, targets)


def test_nothing_of_nothing():
    assert corrupted("") == ("", "")
    assert draw_mask(NOISE, Random(0), 0) == []


@pytest.mark.parametrize("length", [1, 2, 3, 7, 20, 100, 568])
@pytest.mark.parametrize("noise", [NOISE, SpanNoise(0.5, 1.0), SpanNoise(0.9, 2.0)], ids=str)
def test_inputs_and_targets_make_the_text_again(noise, length):
    text = list(range(length))
    for seed in range(20):
        inputs, targets = corrupt(text, draw_mask(noise, Random(seed), length), lambda span: -1 - span)
        assert restored(inputs, targets) == text
        assert [token for token in inputs if token < 0] == sorted({t for t in inputs if t < 0}, reverse=True)


@pytest.mark.parametrize(
    ("length", "hidden", "spans"),
    [(1, 0, 0), (2, 1, 1), (7, 1, 1), (10, 2, 1), (20, 3, 1), (30, 4, 1), (100, 15, 5), (512, 77, 26), (568, 85, 28)],
)
def test_as_many_tokens_and_spans_as_t5_hides(length, hidden, spans):
    """T5 rounds halves to even, and hides at least one token of two."""
    for seed in range(20):
        mask = draw_mask(NOISE, Random(seed), length)
        assert len(mask) == length
        assert (sum(mask), len(span_lengths(mask))) == (hidden, spans)
        assert not mask[0]
        assert mask[-1] == (length > 1)


def test_one_token_in_seven_is_hidden_in_spans_of_three():
    random = Random(0)
    masks = [draw_mask(NOISE, random, random.randint(50, 500)) for _ in range(300)]
    lengths = [length for mask in masks for length in span_lengths(mask)]
    assert sum(map(sum, masks)) / sum(map(len, masks)) == pytest.approx(0.15, abs=0.003)
    assert sum(lengths) / len(lengths) == pytest.approx(3, abs=0.05)
    assert set(lengths) >= set(range(1, 8))


def test_all_ways_to_cut_are_equally_likely():
    random = Random(0)
    drawn = [tuple(cut_up(random, 5, 3)) for _ in range(6000)]
    assert {drawn.count(way) // 100 for way in set(drawn)} <= {9, 10, 11}
    assert set(drawn) == {(a, b, 5 - a - b) for a in range(1, 4) for b in range(1, 5 - a)}


def test_inputs_are_filled_as_in_t5():
    """568 tokens make 512 of inputs and 114 of targets, ends included: T5's own lengths."""
    assert longest(NOISE, 512, 512, 100) == longest(NOISE, 512, 114, 100) == 568
    assert longest(NOISE, 512, 113, 100) < 568
    assert amounts(NOISE, longest(NOISE, 10_000, 10_000, 100))[1] == 100
    assert longest(NOISE, 2, 2, 100) == 1


def test_sentinels_are_t5s(shared):
    folder = shared / "data" / "t5-tokenizer"
    fast = FastTokenizer((folder / "tokenizer.json").read_text(encoding="utf-8"))
    assert load_tokenizer(folder).first_sentinel == fast.first_sentinel == 32_099
    assert Bytes.first_sentinel == 258


def model_with_room(**changes):
    model = toy_model(plan=toy_plan(**changes))
    model.module.resize_token_embeddings(vocabulary().size + SENTINELS, mean_resizing=False)
    return model


def feed_of(model, seed: int = 0) -> Feed:
    texts = [replace(example, inputs=" ".join([example.inputs] * 9), target="") for example in toy_examples(5)]
    noisy = replace(toy_task(), noise=NOISE)
    tokens = {"text": toy_tokens(model, texts, noisy), "toy": toy_tokens(model, toy_examples(40))}
    return Feed(model, tokens, Sampler(seed, [5, 40], [0.5, 0.5]), 16, packed(FINE, None), noise={"text": NOISE})


def drawn(feed: Feed, step: int) -> list[list[tuple]]:
    return sorted(tuple(map(list, e.streams)) for e in feed.drawn(step))


def test_a_draw_is_a_function_of_seed_and_number():
    model = model_with_room()
    feed = feed_of(model)
    ahead = {step: drawn(feed, step) for step in range(6)}
    assert ahead == {step: drawn(feed_of(model), step) for step in reversed(range(6))}
    assert ahead[0] != drawn(feed_of(model, seed=1), 0)
    first = vocabulary().first_sentinel
    texts = [inputs for pairs in ahead.values() for inputs, targets in pairs if first in targets]
    assert len(texts) == sum(feed.update(step).counts["text"] for step in range(6))
    assert len(set(map(tuple, texts))) > 10  # of five texts


def test_a_draw_is_the_same_in_updates_of_any_size():
    feed = feed_of(model_with_room())
    whole, parts = (
        [tuple(map(list, d.encoded.streams)) for start, stop in places for d in feed.draws(start, stop)]
        for places in ([(0, 96)], [(0, 7), (7, 40), (40, 96)])
    )
    assert whole == parts


def test_other_tasks_are_fed_as_ever():
    model = model_with_room()
    (example,) = toy_examples(1)
    (plain,) = model.encode(toy_task(), [example])
    feed = Feed(model, {"toy": toy_tokens(model, [example])}, Sampler(0, [1], [1.0]), 4, packed(FINE, None))
    assert drawn(feed, 0) == [plain.streams] * 4


def test_a_long_text_is_drawn_in_parts_that_fit():
    model = model_with_room(max_input=40, max_target=12)
    ids = list(range(3, 63)) * 20
    starts = set()
    for seed in range(30):
        made = model.corrupt(Encoded((ids,)), NOISE, Random(seed))
        assert made.length <= 40
        assert made.terms <= 12
        assert [stream.count(EOS) for stream in made.streams] == [1, 1]
        starts.add(made.streams[0][0])
    assert len(starts) > 10


def test_a_short_text_is_drawn_whole():
    model, first = model_with_room(), vocabulary().first_sentinel
    made = model.corrupt(Encoded(([5, 6, 7],)), NOISE, Random(0))
    assert made.streams == ([5, 6, first, EOS], [first, 7, EOS])
    made = model.corrupt(Encoded(([5, 6] * 10,)), SpanNoise(0.5, 5.0), Random(0))
    assert [token for token in made.streams[0] if token > 6] == [first, first - 1]
    assert model.corrupt(Encoded(([5],)), NOISE, Random(0)).streams[0] == [5, EOS]
    assert model.corrupt(Encoded(([],)), NOISE, Random(0)).streams[1] == [EOS]


@pytest.mark.parametrize("family", ["mt5", "umt5"])
def test_who_has_sentinels(family):
    model = model_with_room()
    assert model.has_sentinels
    assert not toy_model().has_sentinels
    model.module.config.model_type = family
    assert not model.has_sentinels


def test_a_model_without_sentinels_is_refused_by_name(monkeypatch):
    monkeypatch.setattr("glue_harness.train.checkpoints.load_model", lambda plan, tasks, texts: toy_model(plan=plan))
    plan = Plan(tasks=("rte", "span_corruption"), **TINY)
    with pytest.raises(UsageError) as error:
        assemble(make_request(plan, REGISTRY))
    assert str(error.value) == "model 'tiny' has no sentinels, which span_corruption needs: use a T5 or a ByT5"


def test_what_is_shown_is_a_pair_as_a_model_would_learn_it(capsys):
    """With the sentinels' names, of which the target tells what they hide: put back, it is the text again."""
    code, out, _ = runner(capsys)("show", "span_corruption", "--json", "--n", "5")
    assert code == 0
    for row in json.loads(out)["sample"]:
        (pair,) = row["texts"]
        inputs, *hidden = pair["inputs"], *re.split(r"<extra_id_\d+> ?", pair["targets"])[1:]
        for number, span in enumerate(hidden):
            assert f"<extra_id_{number}>" in pair["targets"]
            inputs = inputs.replace(f"<extra_id_{number}>", span.strip())
        assert inputs.strip() == row["row"]["text"]
        assert len(pair["inputs"].split()) < len(row["row"]["text"].split())
    assert "with words for tokens" in " ".join(runner(capsys)("show", "span_corruption")[1].split())


def test_it_is_the_c4_of_t5s_mixtures():
    assert REGISTRY.task("c4_v020_unsupervised") is TASK
    assert TASK in make_request(Plan(tasks=("t5:all_mix",)), REGISTRY).trained
    assert suite_average(REGISTRY, "unsupervised", {}) is None


def write(folder: Path, **texts: str) -> str:
    for name, text in texts.items():
        path = folder / f"{name.replace('__', '/')}.txt"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(text.encode())
    return str(folder)


def test_paragraphs_of_a_file(tmp_path):
    text = "\ufeffOne\u2028line.\nAnother.\n\n \t\nNext paragraph.\r\n\r\n\r\nLast, no newline"
    rows = load(TASK, "train", write(tmp_path / "corpus", span_corruption=text))
    assert [row["text"] for row in rows] == ["One\u2028line.\nAnother.", "Next paragraph.", "Last, no newline"]
    assert rows.origin == "folder corpus/span_corruption.txt"
    assert (rows.official, rows.notes) == (None, ())
    assert available(TASK, str(tmp_path / "corpus")) == "yes"


def test_paragraphs_of_a_folder_in_the_order_of_names(tmp_path):
    where = write(tmp_path, span_corruption__b="c\n\nd", span_corruption__a="a\n\nb")
    assert [row["text"] for row in load(TASK, "train", where)] == ["a", "b", "c", "d"]


def test_text_may_also_stand_in_json_lines(tmp_path):
    (tmp_path / "span_corruption").mkdir()
    (tmp_path / "span_corruption" / "train.jsonl").write_text('{"text": "a b"}\n{"text": " "}\n')
    rows = load(TASK, "train", str(tmp_path))
    assert [len(TASK.examples(row)) for row in rows] == [1, 0]


def test_where_text_was_looked_for_and_what_is_wrong_with_it(tmp_path):
    with pytest.raises(DataError, match=r"looked for span_corruption\.txt, span_corruption/\*\.txt in .*: put one"):
        load(TASK, "train", str(tmp_path))
    with pytest.raises(DataError, match="no rows: a train split must not be empty"):
        load(TASK, "train", write(tmp_path, span_corruption="\n \n"))
    (tmp_path / "span_corruption.txt").write_bytes(b"good\n\nb\xe4d\n")
    with pytest.raises(DataError, match=r"span_corruption\.txt, line 3: byte 7 of the file is not UTF-8"):
        load(TASK, "train", str(tmp_path))


def test_it_is_not_on_the_hub():
    assert available(TASK, "hub") == "no"
    with pytest.raises(UsageError) as error:
        load(TASK, "train", "hub")
    assert str(error.value) == (
        "task 'span_corruption' is not on the Hub: use --data demo, or --data DIR with your own"
    )


def test_demo_texts_are_stories_of_their_own():
    texts = [row["text"] for row in TASK.demo(Random(0), 200)]
    assert texts == [row["text"] for row in TASK.demo(Random(0), 200)]
    assert len(set(texts)) == 200
    assert {text.count(".") for text in texts} == {6, 7, 8, 9}  # some premises have a sentence before them


@pytest.fixture(scope="module")
def results(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("spans") / "results"


def test_a_mixture_with_text_scores_what_can_be_scored(results):
    record = run(Plan(tasks=("span_corruption", "rte"), **TINY), results=results)
    assert "span_corruption is trained on but not scored: it has no labelled validation split" in record.notes
    assert record.scores.keys() == {"rte"}
    assert record.mix["span_corruption"]["seen"] > 0
    assert record.parameters["total"] < 2_000_000


def test_text_alone_pre_trains_a_model_that_another_run_tunes(results):
    plan = Plan(tasks=("span_corruption",), **TINY)
    record, again = run(plan, results=results), run(plan, results=results)
    assert (record.status, record.scores, record.history) == ("finished", {}, {})
    lines = [(results / made.id / "train.jsonl").read_text() for made in (record, again)]
    assert lines[0] == lines[1] != ""
    assert "NaN" not in lines[0]
    checkpoints = results / record.id / "checkpoints"
    assert [folder.name for folder in checkpoints.iterdir()] == ["step-00000004"]

    tuned = run(
        Plan(tasks=("rte",), **{**TINY, "model": str(RunFolder(results / record.id).checkpoint(4))}), results=results
    )
    assert tuned.environment["model"]["kind"] == "pretrained"
    assert tuned.parameters == record.parameters
    further = run(replace(plan, model=str(RunFolder(results / tuned.id).checkpoint(4))), results=results)
    assert further.status == "finished"
    records, broken = Store(results).load_all()
    assert not broken
    assert len(make_boards(records, REGISTRY, "unsupervised")[1].rows) > 0


def test_the_loss_on_text_falls(tmp_path):
    losses = []

    class Watcher:
        def assembled(self, *_): ...
        def scored(self, *_): ...
        def stepped(self, setup, state):
            losses.append(state.loss)

    run(Plan(tasks=("span_corruption",), **{**TINY, "steps": 40}), results=tmp_path, watcher=Watcher())
    assert sum(losses[-5:]) < 0.7 * sum(losses[:5])


def output(*arguments: str, capsys) -> str:
    main(list(arguments))
    return capsys.readouterr().out


def test_the_commands_know_text(capsys):
    (fact,) = json.loads(output("tasks", "--suite", "unsupervised", "--json", capsys=capsys))
    assert (fact["metrics"], fact["rows"], fact["data"]) == ([], {"train": None}, "no")
    shown = output("show", "span_corruption", capsys=capsys)
    assert "span_corruption.txt or span_corruption/*.txt" in shown
    assert "Hub" not in shown
    mixed = json.loads(output("mix", "--mixture", "t5:all_mix", "--json", capsys=capsys))
    assert mixed["rates"]["c4_v020_unsupervised"] == 1e6
    mixed = json.loads(output("mix", "--mixture", "t5:all", "--limit", "1e9", "--json", capsys=capsys))
    assert mixed["rates"]["c4_v020_unsupervised"] == 364_868_892


def test_a_run_without_scores_shows_no_empty_table(capsys):
    settings = ("--data", "demo:60", "--model", "tiny", "--steps", "1", "--device", "cpu", "--quiet")
    out = output("run", "--task", "c4_v020_unsupervised", *settings, capsys=capsys)
    assert "metric" not in out
    assert "recorded in" in out
