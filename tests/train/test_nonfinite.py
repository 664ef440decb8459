"""Numbers that are not finite: how many updates may be left out, and which weights are named."""

import pytest
import torch
from toys import CPU, toy_feed, toy_model, toy_plan

from glue_harness.core.errors import GlueError
from glue_harness.methods import load_method
from glue_harness.train.learner import Learner
from glue_harness.train.loop import Measurement, State, blamed, skip_or_stop, train
from glue_harness.train.optimizers import make_optimizer


def learner_of(**changes) -> Learner:
    plan = toy_plan(**changes)
    model, method = toy_model(plan=plan), load_method("full")
    parameters = method.prepare(model, plan)
    return Learner(plan, model, method, parameters, 0, make_optimizer(plan, parameters))


def test_a_hundredth_of_all_updates_may_be_skipped():
    learner = learner_of(steps=1000, on_nonfinite="skip")
    feed, state = toy_feed(learner.model, 2), State(loss=float("nan"))
    update = feed.update(0)
    for step in range(0, 20, 2):
        skip_or_stop(state, Measurement(step, update, torch.zeros(2), None), learner, feed, CPU)
    assert state.skipped == [*range(1, 20, 2)]
    with pytest.raises(
        GlueError, match=r"^loss nan .* at step 31 on .*: more than 10 of 1,000 updates were skipped, try"
    ):
        skip_or_stop(state, Measurement(30, update, torch.zeros(2), None), learner, feed, CPU)


def test_weights_that_are_not_finite_are_named_and_counted():
    learner = learner_of()
    learner.check_weights("at first")
    (first, one), (_, other), *_ = learner.model.module.named_parameters()
    with torch.no_grad():
        one.view(-1)[0] = float("nan")
    with pytest.raises(GlueError, match=rf"^weights after step 3 are not finite: {first}$"):
        learner.check_weights("after step 3")
    with torch.no_grad():
        other.view(-1)[0] = float("inf")
    with pytest.raises(GlueError, match=rf"^weights at load are not finite: {first} and 1 more$"):
        learner.check_weights("at load")


def test_only_skipped_updates_do_not_reach_the_optimizer(monkeypatch):
    """Also the second skip of a run: the optimiser would spread what is not finite over all weights."""
    learner = learner_of(steps=8, batch_size=2, on_nonfinite="skip")
    spoiled, moved, loss = iter("01010010"), [], learner.model.loss

    def poisoned(*arguments):
        found = loss(*arguments)
        return found._replace(total=found.total * float("nan")) if next(spoiled) == "1" else found

    monkeypatch.setattr(learner.model, "loss", poisoned)
    step = learner.optimizer.step
    monkeypatch.setattr(learner.optimizer, "step", lambda: (moved.append(state.step + 1), step()))
    state = State()
    train(learner, toy_feed(learner.model, 2), CPU, (), state=state)
    assert (state.skipped, moved) == ([2, 4, 7], [1, 3, 5, 6, 8])
    learner.check_weights("at the end")


def test_blame_is_laid_without_dropout(monkeypatch):
    learner, trains = learner_of(), []
    model, feed = learner.model, toy_feed(learner.model, 4)
    loss = model.loss
    monkeypatch.setattr(model, "loss", lambda *batch: (trains.append(model.module.training), loss(*batch))[1])
    model.module.train()
    said = blamed(feed.update(0).ids, feed.drawn(0), model, CPU)
    assert said.startswith("4 of 4 examples, of toy: toy/")  # none alone
    assert trains == [False] * 4
