"""The sampler: a pure function of seed and place, exact epochs, the asked shares."""

import numpy as np
import pytest

from glue_harness.data.sampler import BLOCK, Sampler, words

SIZES = (3, 1000, 1, 392_702)
PROBABILITIES = (0.05, 0.6, 0.0, 0.35)


@pytest.fixture(scope="module")
def drawn():
    return Sampler(7, SIZES, PROBABILITIES).draws(0, 4 * BLOCK)


def test_any_place_gives_what_the_start_gives(drawn):
    for start, stop in [(0, 1), (5, 37), (BLOCK - 3, BLOCK + 3), (2 * BLOCK, 2 * BLOCK), (3 * BLOCK + 9, 4 * BLOCK)]:
        tasks, rows = Sampler(7, SIZES, PROBABILITIES).draws(start, stop)
        assert (tasks == drawn[0][start:stop]).all()
        assert (rows == drawn[1][start:stop]).all()
        assert len(tasks) == len(rows) == stop - start


def test_small_steps_give_what_one_step_gives(drawn):
    sampler = Sampler(7, SIZES, PROBABILITIES)
    batches = [sampler.draws(start, start + 4096) for start in range(0, 4 * BLOCK, 4096)]
    assert (np.concatenate([tasks for tasks, _ in batches]) == drawn[0]).all()
    assert (np.concatenate([rows for _, rows in batches]) == drawn[1]).all()
    assert (sampler.draws(10, 20)[1] == drawn[1][10:20]).all()  # and back again


def test_no_row_twice_before_all_were_seen_once(drawn):
    tasks, rows = drawn
    for task, size in enumerate(SIZES):
        seen = rows[tasks == task]
        whole = len(seen) // size * size
        assert (np.sort(seen[:whole].reshape(-1, size), axis=1) == np.arange(size)).all()
        assert len(set(seen[whole:])) == len(seen) - whole
        assert len(seen) == 0 or 0 <= seen.min() <= seen.max() < size


def test_every_epoch_has_its_own_order(drawn):
    tasks, rows = drawn
    small = rows[tasks == 0]
    orders = {tuple(epoch) for epoch in small[: len(small) // 3 * 3].reshape(-1, 3).tolist()}
    assert len(orders) == 6  # all there are
    medium = rows[tasks == 1][:2000].reshape(2, 1000)
    assert (medium[0] != medium[1]).mean() > 0.99


def test_shares_are_as_asked(drawn):
    tasks, _ = drawn
    count = len(tasks)
    for task, probability in enumerate(PROBABILITIES):
        tolerance = 5 * np.sqrt(count * probability * (1 - probability))
        assert abs((tasks == task).sum() - count * probability) <= tolerance
    assert 2 not in tasks  # probability 0


def test_choices_are_independent(drawn):
    tasks, _ = drawn
    after = tasks[1:][tasks[:-1] == 1]
    assert abs((after == 3).mean() - 0.35) < 5 * np.sqrt(0.35 * 0.65 / len(after))


def test_no_block_of_draws_repeats_another(drawn):
    """Else a long run would see the same order of tasks again and again, though every share were right."""
    blocks = drawn[0].reshape(4, BLOCK)
    alike = sum(p * p for p in PROBABILITIES)  # of independent choices
    for first in range(4):
        for other in range(first + 1, 4):
            assert abs((blocks[first] == blocks[other]).mean() - alike) < 5 * np.sqrt(alike * (1 - alike) / BLOCK)


def test_another_seed_draws_otherwise(drawn):
    tasks, rows = Sampler(8, SIZES, PROBABILITIES).draws(0, 1000)
    assert (tasks != drawn[0][:1000]).any()
    assert (rows != drawn[1][:1000]).mean() > 0.5


def test_draws_stay_the_same_in_every_version():
    tasks, rows = Sampler(0, (5, 7), (1, 3)).draws(0, 12)
    assert tasks.tolist() == [0, 0, 0, 1, 1, 1, 1, 1, 1, 0, 1, 0]
    assert rows.tolist() == [3, 2, 4, 6, 2, 1, 3, 5, 0, 1, 4, 0]
    tasks, rows = Sampler(0, (5, 7), (1, 3)).draws(3 * BLOCK - 6, 3 * BLOCK + 6)
    assert tasks.tolist() == [1, 0, 0, 1, 1, 1, 0, 1, 1, 1, 0, 1]
    assert rows.tolist() == [6, 2, 3, 4, 1, 5, 4, 2, 3, 6, 0, 0]


def test_words_are_reached_at_once():
    assert (words(-1, 3, 400, 40) == words(-1, 3, 0, 440)[400:]).all()


def test_unnormalised_probabilities_and_a_last_task_that_is_never_drawn():
    tasks, _ = Sampler(1, (4, 4, 0), (2, 2, 0)).draws(0, 1000)
    assert set(tasks.tolist()) == {0, 1}


def test_a_task_without_rows_cannot_be_drawn():
    with pytest.raises(ValueError, match="a task without rows cannot be drawn"):
        Sampler(0, (3, 0), (0.5, 0.5))
