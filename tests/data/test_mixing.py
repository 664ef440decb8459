"""Mixings and T5's mixtures, against the golden vectors and by their rules."""

import math

import pytest
from conftest import golden

from glue_harness.core.errors import UsageError
from glue_harness.core.plan import Plan
from glue_harness.data import mixing
from glue_harness.data.mixing import SizeRate, probabilities, rates, shares
from glue_harness.lab.request import make_request
from glue_harness.suite.registry import load_tasks

LINES = golden("mixing")


def lines(kind):
    return [pytest.param(line["raw"], line["expect"], id=line["id"]) for line in LINES if line["task"] == kind]


def close(expected):
    return pytest.approx(expected, rel=1e-9, abs=0)


@pytest.mark.parametrize("mixing", ["proportional", "temperature"])
@pytest.mark.parametrize(("raw", "expect"), lines("rate_num_examples"))
def test_rate_follows_from_size(mixing, raw, expect):
    found = rates(mixing, raw["sizes"], SizeRate(raw["K"], raw["T"], raw["scale"]))
    assert found == close(expect["rates"])
    assert probabilities(found) == close(expect["probabilities"])


@pytest.mark.parametrize(("raw", "expect"), lines("equal"))
def test_equal(raw, expect):
    found = rates("equal", raw["sizes"])
    assert found == expect["rates"]
    assert probabilities(found) == close(expect["probabilities"])


@pytest.mark.parametrize(("raw", "expect"), lines("nested"))
def test_a_mixture_inside_shares_its_weight(raw, expect):
    found = mixing.mixture_rates(dict(raw["top"]), lambda task: pytest.fail("no rate depends on size"), raw["mixtures"])
    assert found == close(expect["rates"])
    assert probabilities(found) == close(expect["probabilities"])


@pytest.mark.parametrize(("raw", "expect"), lines("registered_mixture"))
def test_t5s_registered_mixtures(raw, expect):
    size_rate = SizeRate(raw["K"], raw["T"])
    found = mixing.mixture_rates(mixing.mixture(raw["mixture"]), lambda task: size_rate(raw["sizes"][task]))
    assert found == close(expect["rates"])
    assert list(found) == expect["order"]


def test_short_names_are_t5s_mixtures():
    assert mixing.mixture("t5:glue") is mixing.mixture("glue_v002_proportional")
    assert mixing.mixture("t5:all_equal") is mixing.mixture("all_equal")
    assert mixing.mixture("t5:leave_one_out_squad") is mixing.mixture("leave_one_out_squad_v010_allanswers")
    assert len(mixing.mixture("t5:all")) == 11 + 12 + 5 + 1


def test_mixtures_of_equal_rates_have_rates_of_one():
    mnli = ("glue_mnli_v002", "glue_mnli_mismatched_v002", "glue_mnli_matched_v002")
    assert mixing.mixture("glue_mnli_and_dev_v002") == dict.fromkeys(mnli, 1.0)
    for name in ("all_equal", "large_supervised_equal", "large_translation_equal", "squad_trivia_qa_equal"):
        assert {*mixing.mixture(name).values()} == {1.0}


def test_unsupervised_text_has_a_fixed_rate_where_t5_fixes_it():
    huge = SizeRate(temperature=2.0)
    for name in ("en_mix", "all_mix"):
        assert mixing.mixture_rates(mixing.mixture(name), lambda task: huge(10**9))[mixing.C4] == 1e6
    assert mixing.mixture_rates(mixing.mixture("all_proportional"), lambda task: huge(10**8))[mixing.C4] == 1e4


def test_mixtures_nest_more_than_once():
    inner = {"a": {"x": 1, "y": 3}, "b": {"a": 2, "z": 2}}
    assert mixing.mixture_rates({"b": 1.0, "x": 0.5}, lambda task: 0, inner) == {"x": 0.625, "y": 0.375, "z": 0.5}


def test_a_mixing_nobody_knows_is_refused_before_data_is_read():
    with pytest.raises(UsageError, match=r"unknown mixing 'equals': did you mean equal\?"):
        make_request(Plan(("rte",), mixing="equals"), load_tasks())


def test_a_custom_rate_for_every_task():
    assert rates("custom", {"a": 10, "b": 20}, custom={"b": 3, "a": 0}) == {"a": 0, "b": 3}


def test_shares_count_examples_and_epochs():
    seen = shares({"a": 300, "b": None}, {"a": 3.0, "b": 1.0}, examples=1200)
    assert seen["a"] == (300, 3.0, 0.75, 900.0, 3.0)
    assert seen["b"] == (None, 1.0, 0.25, 300.0, None)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: rates("temprature", {"a": 1}), "unknown mixing 'temprature': did you mean temperature?"),
        (lambda: SizeRate(limit=-1), "limit must be above 0 (or 0 for no limit), not -1"),
        (lambda: SizeRate(limit=math.nan), "limit must be above 0 (or 0 for no limit), not nan"),
        (lambda: SizeRate(temperature=0), "temperature must be above 0, not 0"),
        (lambda: SizeRate(scale=-2), "scale must be above 0, not -2"),
        (
            lambda: SizeRate(temperature=0.001)(10**6),
            "temperature 0.001 is too small for 1000000 examples: raise it",
        ),
        (lambda: probabilities({"a": 0, "b": 0}), "the rates sum to 0: at least one task must be trained on"),
        (lambda: probabilities({"a": 1, "b": -1}), "the rate of task 'b' must be 0 or above, not -1"),
        (lambda: probabilities({"a": 1, "b": math.inf}), "the rate of task 'b' must be 0 or above, not inf"),
        (lambda: SizeRate(limit=math.inf), "limit must be above 0 (or 0 for no limit), not inf"),
        (lambda: SizeRate(temperature=math.inf), "temperature must be above 0, not inf"),
        (lambda: probabilities({"a": math.nan}), "the rate of task 'a' must be 0 or above, not nan"),
        (
            lambda: rates("custom", {"mnli": 1}, custom={"mnil": 1}),
            "unknown task in rates 'mnil': did you mean mnli?",
        ),
        (
            lambda: rates("custom", {"a": 1, "b": 1}, custom={"a": 1}),
            "no rate for task 'b': add --rate b=1, or b=0 to score it only",
        ),
        (lambda: mixing.mixture("t5:gleu"), "unknown mixture 't5:gleu': did you mean t5:glue?"),
        (
            lambda: mixing.mixture_rates({"t5:glue": mixing.BY_SIZE}, float),
            "mixture 't5:glue' inside a mixture needs a number as its weight",
        ),
        (lambda: mixing.mixture_rates({"m": 1}, float, {"m": {"a": 0}}), "mixture 'm' has no task with a rate above 0"),
    ],
)
def test_what_cannot_be_mixed_is_said(call, message):
    with pytest.raises(UsageError) as error:
        call()
    assert str(error.value) == message
