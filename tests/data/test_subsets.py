"""Which rows a run learns from and which choose its steps: nested, in proportion, and without a leak."""

from collections import Counter
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from records import finished, runner

from glue_harness import Plan, data, load_tasks, run
from glue_harness.core.errors import UsageError
from glue_harness.data.rows import inputs_of
from glue_harness.data.subsets import in_proportion, key, limited, longest_column, parts, passage_keys, strata
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


@pytest.mark.parametrize("name", TRAINED)
def test_no_passage_is_on_both_sides(name):
    task, rows = demo(name)
    part = parts(plan(tasks=(name,), select="heldout", heldout=40), {name: (task, rows)}, {name})[name]
    passages = passage_keys(task, rows, seed=0)
    assert 40 <= len(part.held_out) <= 40 + max(Counter(passages).values())
    assert sorted(part.trained + part.held_out) == list(range(len(rows)))
    for texts in (passages, [inputs_of(task, row) for row in rows], group_of_each(task, rows)):
        assert not {texts[p] for p in part.held_out} & {texts[p] for p in part.trained} - {None}


def group_of_each(task, rows):
    """What is scored together, such as the answers to one question of MultiRC."""
    examples = [task.examples(row, number) for number, row in enumerate(rows)]
    return [of_row[0].group if of_row else None for of_row in examples]


def test_what_one_task_holds_out_no_other_is_trained_on():
    task, rows = demo("rte")
    both = {"rte": (task, rows), "superglue_rte": (task, list(reversed(rows)))}
    found = parts(plan(select="heldout"), both, both)
    texts = {name: [inputs_of(task, row) for row in of_task] for name, (_, of_task) in both.items()}
    held = {name: {texts[name][place] for place in part.held_out} for name, part in found.items()}
    trained = {name: {texts[name][place] for place in part.trained} for name, part in found.items()}
    assert held["rte"] == held["superglue_rte"]
    other = {**both, "superglue_rte": (task, rows[:60])}  # another size holds out other rows of the same data
    found = parts(plan(select="heldout"), other, other)
    held = {texts["rte"][place] for part in found.values() for place in part.held_out}
    trained = {texts["rte"][place] for part in found.values() for place in part.trained}
    assert not held & trained


def test_a_limit_counts_what_is_held_out_too():
    found = parts(plan(select="heldout", train_limit=50, heldout=7), {"rte": demo("rte")}, {"rte"})["rte"]
    assert (len(found.trained) + len(found.held_out), len(found.held_out) >= 7) == (50, True)
    assert parts(plan(), {"rte": demo("rte")}, {"rte"})["rte"] == (range(300), [])


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
    assert any("held out of train: mnli 40, wsc" in text for text in record.notes)
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
