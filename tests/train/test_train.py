"""The loop: loss, accumulation, optimisers, schedules, hooks and what a seed fixes."""

import copy
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from toys import CPU, toy_examples, toy_feed, toy_model, toy_plan, toy_task, toy_tokens

from glue_harness.core.errors import GlueError, UsageError
from glue_harness.data.sampler import Sampler
from glue_harness.methods import load_method
from glue_harness.models.batch import IGNORED
from glue_harness.models.packing import FINE, t5_rows
from glue_harness.train.arrangement import buckets, packed
from glue_harness.train.device import Machine
from glue_harness.train.feed import Feed, PackedFeed
from glue_harness.train.learner import Learner
from glue_harness.train.loop import Hook, State, hash_seed, train
from glue_harness.train.memory import Fit
from glue_harness.train.optimizers import learning_rate, make_optimizer
from glue_harness.train.optimizers.adafactor import Adafactor
from glue_harness.train.passes import accumulate, fitting
from glue_harness.train.weights import WHOLE


def trained(hooks=(), dropout=0.1, micro=None, machine=CPU, **changes):
    plan = toy_plan(**{"steps": 6, "batch_size": 8, "lr": 1e-3, **changes})
    model = toy_model(seed=plan.seed, plan=plan, dropout=dropout)
    method = load_method("full")
    parameters = method.prepare(model, plan)
    optimizer = make_optimizer(plan, parameters)
    feed = toy_feed(model, plan.batch_size, micro, seed=plan.seed)
    state = train(Learner(plan, model, method, parameters, 0, optimizer), feed, machine, hooks)
    return model, state


def weights(model) -> dict[str, torch.Tensor]:
    return model.module.state_dict()


def test_loss_equals_transformers_own():
    model = toy_model()
    batch = model.lay([[e] for e in model.encode(toy_task(), toy_examples(8))], CPU.device)
    loss = model.loss(batch)
    labels = torch.full_like(batch.given, IGNORED)
    labels.view(-1)[batch.places] = batch.labels
    expected = model.module(input_ids=batch.inputs, attention_mask=batch.segments, labels=labels).loss
    assert loss.each.sum().item() == pytest.approx(loss.total.item())
    torch.testing.assert_close(loss.total / len(loss.each), expected)


def test_gradient_does_not_depend_on_accumulation():
    gradients = {}
    for micro in (16, 5, 1):
        model = toy_model()
        model.module.double()
        loss = accumulate(model, toy_feed(model, 16, micro).update(0), CPU, Fit()).sum().item()
        gradients[micro] = (loss, {name: p.grad for name, p in model.module.named_parameters() if p.grad is not None})
    for micro in (5, 1):
        assert gradients[micro][0] == pytest.approx(gradients[16][0], abs=1e-10)
        for name, gradient in gradients[16][1].items():
            torch.testing.assert_close(gradients[micro][1][name], gradient, rtol=0, atol=1e-10)


def test_the_gradient_is_of_the_mean_over_all_target_tokens():
    """T5's rule: a long target weighs more than a short one, and no example weighs as much as another."""
    model, expected = toy_model(), toy_model()
    for one in (model, expected):
        one.module.double()
    update = toy_feed(model, 16, 5).update(0)
    accumulate(model, update, CPU, Fit())
    batches = [expected.lay(part.rows, CPU.device, part.grid) for part in update.passes]
    tokens = sum(int((batch.labels != IGNORED).sum()) for batch in batches)
    assert tokens > 16
    (sum(expected.loss(batch).total for batch in batches) / tokens).backward()
    for (name, found), (_, wanted) in zip(
        model.module.named_parameters(), expected.module.named_parameters(), strict=True
    ):
        if wanted.grad is not None:
            torch.testing.assert_close(found.grad, wanted.grad, rtol=0, atol=1e-10, msg=name)


@pytest.mark.parametrize(("norm", "left"), [(0.99, 0.99), (1.01, 1.0), (1.99, 1.0), (50.0, 1.0)])
def test_a_gradient_beyond_the_limit_is_scaled_down_to_it(norm, left):
    parameter = torch.nn.Parameter(torch.zeros(4))
    parameter.grad = torch.full((4,), norm / 2)
    assert WHOLE.clip([parameter], 1.0).item() == pytest.approx(norm)
    assert parameter.grad.norm().item() == pytest.approx(left, abs=1e-5)


def test_same_plan_and_seed_give_the_same_bits():
    first, second, other = trained()[0], trained()[0], trained(seed=1)[0]
    assert all(torch.equal(a, b) for a, b in zip(weights(first).values(), weights(second).values(), strict=True))
    assert not all(torch.equal(a, b) for a, b in zip(weights(first).values(), weights(other).values(), strict=True))


def test_dropout_is_a_function_of_the_steps_seed_and_not_of_history():
    model = toy_model(dropout=0.3)
    model.module.train()
    update, found = toy_feed(model, 8).update(0), []
    for seed in (5, 6, 5):
        torch.rand(3)  # whatever was drawn before
        found.append(fitting(model, update, CPU, Fit(), seed).item())
    assert found[0] == found[2] != found[1]


def test_no_two_steps_share_a_seed_and_no_version_changes_it():
    assert len({hash_seed(seed, step) for seed in range(30) for step in range(3000)}) == 90_000
    assert all(0 <= hash_seed(seed, step) < 2**63 for seed in (0, 7, 2**40) for step in (0, 1, 10**7))
    assert (hash_seed(0, 0), hash_seed(1, 2), hash_seed(3, 0)) == (
        1,
        2_082_924_258_217_183_112,
        6_532_028_347_405_268_032,
    )


def test_training_learns():
    losses = []
    trained([Hook(1, lambda state: losses.append(state.loss))], steps=80, dropout=0.0, lr=3e-3)
    assert sum(losses[-5:]) < 0.6 * sum(losses[:5])


def test_hooks_run_when_due_and_at_the_end():
    steps: list[int] = []
    _, state = trained([Hook(4, lambda state: steps.append(state.step))])
    assert steps == [4, 6]
    assert state.examples == 48
    assert state.seen == {"toy": 48}


def test_a_hook_sees_the_rate_the_examples_and_the_tokens_of_its_step():
    seen: list[tuple] = []
    note = Hook(1, lambda state: seen.append((state.step, state.lr, state.examples, state.tokens)))
    model, _ = trained([note], steps=4, warmup=2, schedule="linear", lr=0.01, batch_size=8)
    padded = [toy_feed(model, 8).update(step).padded for step in range(4)]
    rates = [0.005, 0.01, 0.01, 0.005]
    assert seen == [(k + 1, rates[k], 8 * (k + 1), sum(padded[: k + 1])) for k in range(4)]


def test_nonfinite_loss_names_step_and_examples():
    with pytest.raises(
        GlueError,
        match=r"loss \S+ \(gradient norm \S+\) at step \d on 8 of 8 examples, of toy: toy/\d+, .*: try a smaller",
    ):
        trained(lr=1e30, clip=None, steps=20, optimizer="adamw")


class Late(Machine):
    """A device whose measurements come two steps later."""

    lag = 2


LATE = Late(CPU.device, CPU.precision)


def test_a_measurement_that_comes_later_is_there_at_the_end():
    first, last = [], []
    state = trained([Hook(1, lambda state: first.append(state.loss))])[1]
    late = trained([Hook(1, lambda state: last.append(state.loss))], machine=LATE)[1]
    assert last[2:-1] == first[:3]
    assert last[-1] == first[-1]
    assert (late.loss, late.gradient_norm) == (state.loss, state.gradient_norm)


def test_a_measurement_that_comes_later_still_ends_the_run():
    with pytest.raises(GlueError, match=r"at step [23] on "):
        trained(lr=1e30, clip=None, steps=4, optimizer="adamw", machine=LATE)


def test_schedules():
    linear = learning_rate(toy_plan(lr=1.0, steps=10, warmup=2, schedule="linear"))
    assert [linear(step) for step in (0, 1, 2, 6, 9)] == [0.5, 1.0, 1.0, 0.5, 0.125]
    constant = learning_rate(toy_plan(lr=1.0, steps=10, warmup=2, schedule="constant"))
    assert [constant(step) for step in (0, 1, 2, 9)] == [0.5, 1.0, 1.0, 1.0]


def test_adafactor_equals_transformers_where_both_factor():
    """The reference factors every matrix; T5 and we only those with two dimensions of 128 or more."""
    from transformers.optimization import Adafactor as Reference

    torch.manual_seed(0)
    ours = torch.nn.ParameterList(
        [torch.nn.Parameter(torch.randn(s)) for s in ((128, 130), (200,), (150, 256), (3, 128, 140))]
    )
    theirs = copy.deepcopy(ours)
    optimizers = (
        Adafactor(ours, lr=1e-3),
        Reference(theirs, lr=1e-3, relative_step=False, scale_parameter=True, warmup_init=False),
    )
    for _ in range(5):
        for mine, other in zip(ours, theirs, strict=True):
            mine.grad = torch.randn_like(mine)
            other.grad = mine.grad.clone()
        for optimizer in optimizers:
            optimizer.step()
    for mine, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(mine, other, rtol=1e-5, atol=1e-7)


def test_adafactor_keeps_full_moments_of_small_matrices():
    parameter = torch.nn.Parameter(torch.ones(127, 4096))
    optimizer = Adafactor([parameter], lr=1e-3)
    parameter.grad = torch.randn_like(parameter)
    optimizer.step()
    assert optimizer.state[parameter]["moment"].shape == parameter.shape


def test_adafactor_of_stacked_parameters_makes_the_same_sums():
    """Also where some of a shape have taken fewer steps, as in gradual unfreezing."""
    torch.manual_seed(0)
    shapes = [(128, 130)] * 4 + [(130, 128)] + [(64,)] * 3 + [(32, 8)] * 2
    plain = torch.nn.ParameterList([torch.nn.Parameter(torch.randn(s, dtype=torch.float64)) for s in shapes])
    stacked = copy.deepcopy(plain)
    optimizers = Adafactor(plain, lr=1e-2, stacked=False), Adafactor(stacked, lr=1e-2, stacked=True)
    for step in range(6):
        for number, (one, other) in enumerate(zip(plain, stacked, strict=True)):
            learns = number % 2 == 0 or step >= 3
            one.grad = torch.randn_like(one) if learns else None
            other.grad = one.grad.clone() if learns else None
        for optimizer in optimizers:
            optimizer.step()
    assert len(optimizers[1]._together(list(stacked))) == 7 < len(shapes)
    for one, other in zip(plain, stacked, strict=True):
        torch.testing.assert_close(other, one, rtol=0, atol=1e-12)
        mine, others = (optimizer.state[p] for optimizer, p in zip(optimizers, (one, other), strict=True))
        assert mine["step"] == others["step"]
        assert all(torch.allclose(mine[k], others[k], rtol=0, atol=1e-12) for k in mine if k != "step")


def test_batches_are_functions_of_seed_and_step():
    model = toy_model()
    forward, backward = toy_feed(model), toy_feed(model)
    steps = [0, 1, 16, 35]
    ahead = {step: forward.update(step).ids for step in steps}
    assert ahead == {step: backward.update(step).ids for step in reversed(steps)}


def test_an_update_holds_exactly_the_sampled_examples():
    update = toy_feed(toy_model(), batch=8).update(3)
    _, rows = Sampler(0, [100], [1.0]).draws(24, 32)
    assert update.ids == [f"toy/{row}" for row in rows.tolist()]


def test_buckets_are_cut_by_length_when_it_pays():
    lengths = [*[400] * 8, *[10] * 24]
    assert [len(part) for part in buckets(lengths, None)] == [8, 8, 8, 8]
    assert sorted(buckets(lengths, None)[-1]) == list(range(8))
    assert len(buckets([10] * 24, None)) == 1
    assert max(map(len, buckets([10] * 24, 5))) <= 5
    assert [len(part) for part in buckets([10] * 24, 6)] == [6] * 4  # the limit itself may be reached
    assert buckets([3, 1, 2], None) == [[1, 2, 0]]


def packed_feed(model) -> PackedFeed:
    tokens = {"toy": toy_tokens(model, toy_examples(50))}
    common = (model, tokens, Sampler(0, [50], [1.0]), 0, packed(FINE, None))
    return PackedFeed(*common, height=5)


def test_updates_of_tokens_are_the_rows_of_t5s_packer_one_after_the_other():
    model = toy_model(plan=toy_plan(max_input=40, max_target=16))
    feed = packed_feed(model)
    drawn = [d.encoded for d in feed.draws(0, 400)]
    rows = t5_rows([e.sizes for e in drawn], (40, 16))
    assert any(len(row) > 1 for row in rows)
    steps = [feed.update(step) for step in range(12)]
    made = [row for update in steps for part in update.passes for row in part.rows]
    assert len(made) == 60
    as_lists = [[tuple(map(list, e.streams)) for e in row] for row in made]
    assert as_lists == [[tuple(map(list, drawn[k].streams)) for k in row] for row in rows[:60]]
    assert packed_feed(model).update(9).ids == steps[9].ids  # whatever was asked for before
    assert feed.update(2).ids == steps[2].ids
    assert steps[0].padded == 5 * max(sum(e.length for e in row) for row in made[:5]) <= 5 * 40
    assert feed.examples_an_update() == pytest.approx(sum(u.examples for u in steps) / 12, rel=0.2)
    assert [e.length for e in feed.drawn(3)] == [len(i) for row in as_lists[15:20] for i, _ in row]


def test_an_update_may_be_asked_for_while_a_thread_makes_others():
    model = toy_model(plan=toy_plan(max_input=40, max_target=16))
    feed, alone = packed_feed(model), packed_feed(model)
    busy, most, own = [], [], feed.draws

    def slow(start, stop):
        busy.append(start)
        most.append(len(busy))
        time.sleep(0.002)
        busy.pop()
        return own(start, stop)

    feed.draws = slow
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(feed.drawn, range(12)))
    for step, drawn in enumerate(found):
        expected = alone.drawn(step)
        assert [list(e.streams[0]) for e in drawn] == [list(e.streams[0]) for e in expected]
    assert max(most) == 1


def test_losses_of_tasks_are_means_over_their_own_tokens():
    model = toy_model()
    tokens = {name: toy_tokens(model, toy_examples(30, seed=k)) for k, name in enumerate(("a", "b"))}
    feed = Feed(model, tokens, Sampler(0, [30, 30], [0.5, 0.5]), 16, packed(FINE, None))
    plan = toy_plan(steps=1, batch_size=16)
    parameters = load_method("full").prepare(model, plan)
    (drawn,) = [feed.draws(0, 16)]
    expected = {
        name: sum(model.loss(model.lay([[d.encoded]], CPU.device)).total.item() for d in drawn if d.task == k)
        / sum(d.encoded.terms for d in drawn if d.task == k)
        for k, name in enumerate(feed.names)
    }
    learner = Learner(plan, model, load_method("full"), parameters, 0, make_optimizer(plan, parameters))
    state = train(learner, feed, CPU, ())
    assert state.task_losses == pytest.approx(expected, rel=1e-5)


def test_unknown_method_is_named():
    with pytest.raises(UsageError, match=r"unknown method 'ful': did you mean full\?"):
        load_method("ful")


def test_state_starts_empty():
    assert State().step == 0
    assert not State().seen
