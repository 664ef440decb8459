"""Which rows a run learns from and which choose its steps: nested, in proportion, and without a leak."""

from collections import Counter
from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from records import finished, runner

from glue_harness import Plan, data, load_tasks, run
from glue_harness.core.errors import UsageError
from glue_harness.data.rows import inputs_of
from glue_harness.data.subsets import (
    TextTable,
    components_of,
    described,
    in_proportion,
    key,
    limited,
    longest_column,
    parts,
    passage_keys,
    strata,
    text_table,
)
from glue_harness.data.texts import row_texts
from glue_harness.report.board import make_boards
from glue_harness.runs.store import Store

REGISTRY = load_tasks()
TRAINED = [name for name, task in REGISTRY.tasks.items() if "train" in task.splits and task.demo]
TINY = {"data": "demo:300", "model": "tiny", "steps": 12, "eval_every": 4, "batch_size": 8, "device": "cpu"}


def demo(name, rows=300):
    return REGISTRY.tasks[name], data.load(REGISTRY.tasks[name], "train", f"demo:{rows}")


def plan(**changes):
    return Plan(**{"tasks": ("rte",), **changes})


@given(st.lists(st.integers(0, 4), min_size=1, max_size=60), st.randoms(use_true_random=False))
@settings(max_examples=100, deadline=None)
def test_every_beginning_has_each_stratums_share_rounded_up_or_down(labels, random):
    order = list(in_proportion(labels, [random.getrandbits(64) for _ in labels]))
    assert sorted(order) == list(range(len(labels)))
    for n in range(len(labels) + 1):
        found = Counter(labels[place] for place in order[:n])
        for label, size in Counter(labels).items():
            assert abs(found[label] - n * size / len(labels)) < 1


@given(st.integers(1, 320), st.integers(1, 320), st.integers(0, 5))
@settings(max_examples=20, deadline=None)
def test_a_smaller_limit_gives_a_part_of_a_larger_ones_rows(one, other, seed):
    task, rows = demo("mnli")
    fewer, more = sorted((one, other))
    assert set(limited(task, rows, fewer, seed)) <= set(limited(task, rows, more, seed))
    assert len(limited(task, rows, fewer, seed)) == min(fewer, len(rows))


def test_other_seeds_give_other_rows_and_the_order_of_rows_does_not_matter():
    task, rows = demo("rte")
    chosen = limited(task, rows, 50, 0)
    assert chosen == limited(task, rows, 50, 0) != limited(task, rows, 50, 1)
    shuffled = Random(0).sample(list(rows), len(rows))
    texts = sorted(inputs_of(task, rows[place]) for place in chosen)
    assert sorted(inputs_of(task, shuffled[place]) for place in limited(task, shuffled, 50, 0)) == texts


def test_numbers_are_drawn_from_all_their_range():
    task, rows = demo("stsb", 500)
    found = Counter(strata(task, rows)[place] for place in limited(task, rows, 100, 0))
    whole = Counter(strata(task, rows))
    assert len(whole) == 5
    assert all(abs(found[k] - whole[k] / 5) < 1 for k in whole)


def texts_at(task, rows, places):
    """Every digest of the rows at some places."""
    return {digest for place in places for digest in row_texts(task, rows[place]).all}


@pytest.mark.parametrize("name", TRAINED)
def test_no_text_and_no_passage_is_on_both_sides(name):
    task, rows = demo(name)
    rows = list(rows)
    part = parts(plan(tasks=(name,), select="heldout", heldout=40), {name: (task, rows)}, {name})[name]
    passages = passage_keys(task, rows, seed=0)
    assert part.left_out == 0
    assert sorted([*part.trained, *part.held_out]) == list(range(len(rows)))
    for texts in (passages, [inputs_of(task, row) for row in rows], group_of_each(task, rows)):
        assert not {texts[p] for p in part.held_out} & {texts[p] for p in part.trained} - {None}
    both = texts_at(task, rows, part.trained) & texts_at(task, rows, part.held_out)
    components = Counter(components_of({name: text_table(task, rows, range(300), 0)}, {name: 300})[name]).values()
    if len(components) > 1:
        assert 40 <= len(part.held_out) <= 40 + max(size for size in components if size <= 60)
        assert (both, part.ties) == (set(), 0)
    else:  # every row of MultiRC's demo asks what others ask: passages are kept apart, and the rest is counted
        assert name == "multirc"
        assert 40 <= len(part.held_out) <= 40 + max(Counter(passages).values())
        assert part.ties == sum(not both.isdisjoint(row_texts(task, rows[p]).all) for p in part.trained) > 0


def group_of_each(task, rows):
    """What is scored together, such as the answers to one question of MultiRC."""
    examples = [task.examples(row, number) for number, row in enumerate(rows)]
    return [of_row[0].group if of_row else None for of_row in examples]


def questions_at(train, found, which):
    """Per task the questions of the rows of one part of train."""
    return {
        name: {row_texts(task, rows[place]).question for place in getattr(found[name], which)}
        for name, (task, rows) in train.items()
    }


def both_rtes(rows):
    """The two tasks as they are: other columns in another order, labels the same, and one has a quotation mark more."""
    marked = [{**row, "premise": row["sentence1"] + '"', "hypothesis": row["sentence2"]} for row in rows]
    return {"rte": (REGISTRY.tasks["rte"], rows), "superglue_rte": (REGISTRY.tasks["superglue_rte"], marked[::-1])}


def test_what_one_task_holds_out_no_other_is_trained_on():
    both = both_rtes(list(demo("rte")[1]))
    found = parts(plan(select="heldout"), both, both)
    held, trained = (questions_at(both, found, which) for which in ("held_out", "trained"))
    assert held["rte"] == held["superglue_rte"]
    assert trained["rte"] == trained["superglue_rte"]
    assert [part.left_out for part in found.values()] == [0, 0]
    task, marked = both["superglue_rte"]
    other = {**both, "superglue_rte": (task, marked[:60])}  # another size holds out other rows of the same data
    found = parts(plan(select="heldout"), other, other)
    held = set().union(*(texts_at(*other[name], part.held_out) for name, part in found.items()))
    trained = set().union(*(texts_at(*other[name], part.trained) for name, part in found.items()))
    assert not held & trained
    left_out = {name: part.left_out for name, part in found.items()}
    assert max(left_out.values()) > 0
    counts = ", ".join(f"{name} {n}" for name, n in left_out.items() if n)
    lines = described(plan(select="heldout"), found, {})
    assert f"not trained on, because they share a text with a held-out row: {counts}" in lines


def test_what_is_held_out_is_not_trained_on_through_any_chain_of_tasks():
    """A premise of one task stands in another's pair, and what stands beside it there in a third one."""
    task, rows = demo("mrpc")
    pairs = [
        {**row, "sentence1": f"this is text {k}", "sentence2": f"this is text {k + 1}"} for k, row in enumerate(rows)
    ]
    train = {"mrpc": (task, pairs[:50]), "stsb": (REGISTRY.tasks["stsb"], [{**r, "label": 1.0} for r in pairs[50:200]])}
    with_cola = {**train, "cola": (REGISTRY.tasks["cola"], [{"sentence": r["sentence1"], "label": 1} for r in pairs])}
    found = parts(plan(select="heldout"), train, {"mrpc"})
    assert found["mrpc"].ties  # one chain of all rows cannot be cut: it is said, and the other task is kept clean
    held = texts_at(*train["mrpc"], found["mrpc"].held_out)
    assert not held & texts_at(*train["stsb"], found["stsb"].trained)
    found = parts(plan(select="heldout"), with_cola, {"mrpc"})
    assert found["cola"].left_out >= len(found["mrpc"].held_out)
    assert not held & texts_at(*with_cola["cola"], found["cola"].trained)


@given(st.lists(st.lists(st.integers(0, 30), min_size=1, max_size=3), min_size=1, max_size=40))
@settings(max_examples=100, deadline=None)
def test_components_are_those_of_a_walk_over_shared_texts(texts_of_rows):
    rows, digests = zip(*((k, text) for k, texts in enumerate(texts_of_rows) for text in texts), strict=True)
    table = TextTable(np.array(rows, np.int64), np.array(digests, np.uint64))
    found = components_of({"toy": table}, {"toy": len(texts_of_rows)})["toy"]
    for row, texts in enumerate(texts_of_rows):
        reached, before = set(texts), set()
        while reached != before:
            before = set(reached)
            reached |= {text for others in texts_of_rows if before & {*others} for text in others}
        assert found[row] == min(reached)


def test_a_limit_takes_the_same_rows_of_both_rtes():
    both = both_rtes(list(demo("rte")[1]))
    found = parts(plan(train_limit=100), both, both)
    used = questions_at(both, found, "trained")
    assert used["rte"] == used["superglue_rte"]
    assert len(found["rte"].trained) == len(found["superglue_rte"].trained) == 100


def test_real_rows_are_split_without_a_shared_text(shared):
    names = ("mrpc", "stsb", "rte", "superglue_rte", "wic")
    load = {name: data.load(REGISTRY.tasks[name], "train", str(shared / "data")) for name in names}
    train = {name: (REGISTRY.tasks[name], list(rows)) for name, rows in load.items()}
    found = parts(plan(select="heldout"), train, train)
    held = set().union(*(texts_at(*train[name], part.held_out) for name, part in found.items()))
    for name, part in found.items():
        assert not held & texts_at(*train[name], part.trained)
        assert len(part.held_out) >= min(1000, len(train[name][1]) // 5)
        assert (part.ties, part.left_out < 100) == (0, True)
    rtes = {name: train[name] for name in ("rte", "superglue_rte")}
    used = questions_at(rtes, parts(plan(train_limit=200), rtes, rtes), "trained")
    assert len(used["rte"] | used["superglue_rte"]) == 200


def test_a_limit_counts_what_is_held_out_too():
    found = parts(plan(select="heldout", train_limit=50, heldout=7), {"rte": demo("rte")}, {"rte"})["rte"]
    assert (len(found.trained) + len(found.held_out), len(found.held_out) >= 7) == (50, True)
    assert parts(plan(), {"rte": demo("rte")}, {"rte"})["rte"] == (range(300), [], 0, 0)


def test_only_what_is_scored_holds_rows_out_and_text_is_not_limited():
    both = {name: demo(name) for name in ("rte", "span_corruption")}
    found = parts(plan(select="heldout", train_limit=50), both, {"rte"})
    assert (len(found["rte"].held_out), found["span_corruption"].held_out) == (10, [])
    assert len(found["span_corruption"].trained) == len(both["span_corruption"][1])


def test_the_passage_is_the_longest_text():
    wanted = {"multirc": "paragraph", "boolq": "passage", "record": "passage", "squad": "context", "mnli": "premise"}
    assert {name: longest_column(*demo(name)) for name in wanted} == wanted
    assert longest_column(*demo("wmt_en_de")) is None
    assert key("a", 0) != key("a", 1)


def test_settings_that_cannot_work_are_refused():
    with pytest.raises(UsageError, match="heldout is 5 but select is 'validation': use --select heldout"):
        plan(heldout=5)
    with pytest.raises(UsageError, match="select"):
        plan(select="held-out")
    with pytest.raises(UsageError, match="rte: 4 rows are too few to hold some out"):
        parts(plan(select="heldout", train_limit=4), {"rte": demo("rte")}, {"rte"})


@pytest.fixture(scope="module")
def held_out(tmp_path_factory):
    """A run that chose its steps on a held-out part of train, for two tasks that others score."""
    folder = tmp_path_factory.mktemp("heldout")
    chosen = Plan(("mnli", "wsc"), **TINY, select="heldout", heldout=40, mixing="equal", train_limit=200)
    return run(chosen, results=folder), folder


def test_held_out_rows_choose_the_step_and_validation_scores_it(held_out):
    record, folder = held_out
    assert record.selected_on.keys() == record.history.keys() == {"mnli", "wsc"}
    assert {facts["split"] for facts in record.selected_on.values()} == {"train, held out"}
    assert record.mix["mnli"]["rows"] + record.selected_on["mnli"]["examples"] == 200
    assert record.scores.keys() == {"mnli_matched", "mnli_mismatched", "wsc_eval"}
    assert not record.last
    for name, scorers in {"mnli": ("mnli_matched", "mnli_mismatched"), "wsc": ("wsc_eval",)}.items():
        values = {step: found["accuracy"] for step, found in record.history[name]}
        for scorer in scorers:
            assert record.scores[scorer].step == max(values, key=lambda step: (values[step], -step))
            assert record.scores[scorer].n == 200
            assert (folder / record.id / "predictions" / f"{scorer}.jsonl").exists()
    assert any("held out of train: mnli 40, wsc 40" in text for text in record.notes)
    assert any("train_limit 200: mnli 200 of 300 rows, wsc 200 of 300 rows" in text for text in record.notes)


def test_other_runs_say_that_validation_chose(tmp_path):
    record = run(Plan(("rte", "wnli_referent"), **{**TINY, "steps": 4}, eval_limit=9), results=tmp_path)
    assert record.selected_on["rte"] == {"split": "validation", "examples": 9}


def test_what_has_no_train_rows_is_scored_at_the_last_step(tmp_path):
    record = run(Plan(("rte", "wnli_referent"), **{**TINY, "steps": 8}, select="heldout"), results=tmp_path)
    assert (record.history.keys(), record.scores["wnli_referent"].step) == ({"rte"}, 8)


def test_the_record_is_read_back(held_out):
    record, folder = held_out
    assert Store(folder).find(record.id).selected_on == record.selected_on


def test_board_and_compare_show_what_chose_the_steps(tmp_path, capsys):
    store, glue = Store(tmp_path / "results"), runner(capsys)
    usual, held = finished(store), finished(store, select="heldout", train_limit=100)
    board = make_boards([usual], REGISTRY, "glue")[1]
    assert not board.notes
    board = make_boards([usual, held], REGISTRY, "glue")[1]
    assert {row.select: row.data for row in board.rows} == {
        "validation": "demo",
        "heldout": "demo, 100 rows of train, steps chosen on held-out train",
    }
    assert "chose their steps by the scores that stand here: these are optimistic" in board.notes[0]
    _, out, _ = glue("compare", held.id, usual.id)
    assert f"{usual.id} chose its steps by the scores that stand here, which are optimistic" in out
