"""What cannot fit is refused by counting, before it is built: nothing here allocates what it asks for."""

import pytest
from toys import toy_model

from glue_harness.core.errors import UsageError
from glue_harness.core.plan import Plan
from glue_harness.lab import room
from glue_harness.methods import load_method

GIB = 2**30


@pytest.mark.parametrize(
    ("settings", "line"),
    [
        ({"method": "adapter", "adapter_width": 10**9}, "method adapter with adapter_width 1,000,000,000 needs about"),
        ({"method": "prompt", "prompt_length": 10**8}, "method prompt with prompt_length 100,000,000 needs about"),
        ({"method": "prompt", "prompt_length": 10**5}, "method prompt with prompt_length 100,000 needs about"),
        ({"method": "lora", "lora_rank": 10**7}, "method lora with lora_rank 10,000,000 needs about"),
    ],
    ids=str,
)
def test_a_method_that_cannot_fit_is_refused(settings, line, monkeypatch):
    if settings["method"] == "lora":
        pytest.importorskip("peft")
    monkeypatch.setattr(room, "free_bytes", lambda: 8 * GIB)
    plan, model = Plan("rte", **settings), toy_model()
    with pytest.raises(UsageError) as error:
        room.check_method(plan, 10**6, *load_method(plan.method).added(model, plan), model.token_bytes, True)
    assert str(error.value).startswith(line)
    assert str(error.value).endswith("of memory, 8.0 GiB are free: use a smaller one")


@pytest.mark.parametrize("method", ["adapter", "lora", "prompt"])
def test_what_a_method_says_it_adds_is_what_it_adds(method):
    if method == "lora":
        pytest.importorskip("peft")
    plan, model = Plan("rte", method=method), toy_model()
    before = sum(p.numel() for p in model.module.parameters())
    added, tokens = load_method(method).added(model, plan)
    load_method(method).prepare(model, plan)
    assert sum(p.numel() for p in model.module.parameters()) == before + added
    assert tokens == model.prompt_length


def test_a_model_that_cannot_fit_is_refused_by_its_name(monkeypatch):
    monkeypatch.setattr(room, "free_bytes", lambda: 2 * GIB)
    with pytest.raises(UsageError, match=r"model 't5:large' needs about 2\.7 GiB of memory, 2\.0 GiB are free"):
        room.check_model(Plan("rte", model="t5:large"), "t5:large")
    room.check_model(Plan("rte", model="t5:base"), "t5:base")


def test_an_update_of_tokens_repeats_no_example_without_end():
    plan = Plan("rte", batch_tokens=65_536)
    room.check_update(plan, 400, 16_000)  # T5's update on COPA
    with pytest.raises(UsageError, match="batch_tokens 65,536 is far larger than the data: 4 examples of 200 tokens"):
        room.check_update(plan, 4, 200)


def test_there_is_a_limit_to_memory():
    assert 0 < room.free_bytes() < 2**60
