"""How often each task is seen: a mixing is one function, sizes -> rates. And T5's registered mixtures, by name."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from glue_harness.core.errors import UsageError, unknown

Sizes = Mapping[str, float]  # task -> number of training examples
Rates = dict[str, float]  # task -> how often it is drawn, relative to the others; 0 = only scored


@dataclass(frozen=True)
class SizeRate:
    """T5's rate of a task with n examples: scaled, then capped at `limit`, then tempered."""

    limit: float | None = None  # K; None or 0: no cap
    temperature: float = 1.0
    scale: float = 1.0

    def __post_init__(self) -> None:
        if self.limit is not None and not 0 <= self.limit < math.inf:
            raise UsageError(f"limit must be above 0 (or 0 for no limit), not {self.limit}")
        for name in ("temperature", "scale"):
            if not 0 < getattr(self, name) < math.inf:
                raise UsageError(f"{name} must be above 0, not {getattr(self, name)}")

    def __call__(self, n: float) -> float:
        capped = min(n * self.scale, self.limit or math.inf)
        try:
            return float(capped) ** (1 / self.temperature)
        except OverflowError:
            raise UsageError(f"temperature {self.temperature} is too small for {n} examples: raise it") from None


UNCHANGED = SizeRate()  # n itself


def proportional(sizes: Sizes, size_rate: SizeRate, custom: Rates) -> Rates:
    """In proportion to what `size_rate` makes of the number of examples."""
    return {task: size_rate(n) for task, n in sizes.items()}


def equal(sizes: Sizes, size_rate: SizeRate, custom: Rates) -> Rates:
    """Every task as often as any other."""
    return dict.fromkeys(sizes, 1.0)


def as_given(sizes: Sizes, size_rate: SizeRate, custom: Rates) -> Rates:
    """The user's own rates, one for every task."""
    for task in custom:
        if task not in sizes:
            raise unknown("task in rates", task, sizes)
    for task in sizes:
        if task not in custom:
            raise UsageError(f"no rate for task {task!r}: add --rate {task}=1, or {task}=0 to score it only")
    return {task: float(custom[task]) for task in sizes}


MIXINGS: dict[str, Callable[[Sizes, SizeRate, Rates], Rates]] = {
    "proportional": proportional,
    "temperature": proportional,  # the same formula, which T above 1 flattens
    "equal": equal,
    "custom": as_given,
}


def rates(
    mixing: str, sizes: Sizes, size_rate: SizeRate = UNCHANGED, custom: Mapping[str, float] | None = None
) -> Rates:
    """The rate of every task under a mixing."""
    if mixing not in MIXINGS:
        raise unknown("mixing", mixing, MIXINGS)
    return MIXINGS[mixing](sizes, size_rate, dict(custom or {}))


def probabilities(rates: Mapping[str, float]) -> Rates:
    """Rates that sum to 1."""
    for task, rate in rates.items():
        if not 0 <= rate < math.inf:
            raise UsageError(f"the rate of task {task!r} must be 0 or above, not {rate}")
    total = sum(rates.values())
    if not 0 < total < math.inf:
        raise UsageError(f"the rates sum to {total:g}: at least one task must be trained on")
    return {task: rate / total for task, rate in rates.items()}


class Share(NamedTuple):
    """One task's part of a run."""

    rows: float | None  # None: not known, and not needed for its rate
    rate: float
    probability: float
    examples: float  # expected
    epochs: float | None


def shares(sizes: Mapping[str, float | None], rates: Mapping[str, float], examples: int) -> dict[str, Share]:
    """What a run of so many examples is expected to see of each task."""
    found = {}
    for task, probability in probabilities(rates).items():
        size, expected = sizes.get(task), probability * examples
        found[task] = Share(size, rates[task], probability, expected, expected / size if size else None)
    return found


def steps_of(epochs: float, sizes: Mapping[str, float | None], rates: Mapping[str, float], an_update: float) -> int:
    """Updates in which as many examples are drawn, so often, as all tasks have that are drawn at all."""
    examples = sum(sizes.get(task) or 0 for task, rate in rates.items() if rate > 0)
    return max(1, math.ceil(round(epochs * examples / an_update, 6)))  # 0.1 x 30 is no more than 3


class Realised(NamedTuple):
    """What a run saw of one task, beside what its mixing promised."""

    planned: float  # share of all examples
    share: float
    examples: int
    epochs: float | None


def realised(mix: Mapping[str, Mapping[str, Any]]) -> dict[str, Realised]:
    """From a record's mix: shares, and examples seen of each task."""
    total = sum(int(facts.get("seen") or 0) for facts in mix.values())
    found = {}
    for task, facts in mix.items():
        seen, size = int(facts.get("seen") or 0), facts.get("rows")
        share = seen / total if total else 0.0
        found[task] = Realised(facts.get("probability") or 0.0, share, seen, seen / size if size else None)
    return found


# Mixtures go by T5's names of tasks. Numbers are T5's constants: training examples after preprocessing, which limit
# and temperature don't reach.

BY_SIZE = None  # the rate follows from the number of examples, under the run's limit and temperature
Mixture = Mapping[str, float | None]  # task or mixture -> rate, BY_SIZE, or 0 = only scored
GLUE: Mixture = {
    "glue_cola_v002": 8_551,
    "glue_sst2_v002": 67_349,
    "glue_mrpc_v002": 3_668,
    "glue_qqp_v002": 363_849,
    "glue_stsb_v002": 5_749,
    "glue_mnli_v002": 392_702,
    "glue_qnli_v002": 104_743,
    "glue_rte_v002": 2_490,
    "glue_mnli_matched_v002": 0,
    "glue_mnli_mismatched_v002": 0,
    "glue_ax_v002": 0,
}
WINOGRAD: Mixture = {
    "dpr_v001_simple": 1_322,
    "super_glue_wsc_v102_simple_train": 259,
    "super_glue_wsc_v102_simple_eval": 0,
}
SUPER_GLUE: Mixture = {
    **WINOGRAD,
    "super_glue_boolq_v102": 9_427,
    "super_glue_cb_v102": 250,
    "super_glue_copa_v102": 400,
    "super_glue_multirc_v102": 27_243,
    "super_glue_record_v102": 138_854,  # one example an answer, not a row
    "super_glue_rte_v102": 2_490,
    "super_glue_wic_v102": 5_428,
    "super_glue_axb_v102": 0,
    "super_glue_axg_v102": 0,
}
C4 = "c4_v020_unsupervised"
TEXT_SIZES = {C4: 364_868_892}  # of members whose text is the user's own
C4_RATE = 1e6  # where T5 fixes it
SQUAD, CNN_DAILYMAIL = "squad_v010_allanswers", "cnn_dailymail_v002"
EN_DE, EN_FR, EN_RO = "wmt_t2t_ende_v003", "wmt15_enfr_v003", "wmt16_enro_v003"
LARGE: Mixture = dict.fromkeys((CNN_DAILYMAIL, SQUAD, EN_DE, EN_FR, EN_RO, C4), BY_SIZE)
BOTH: Mixture = {**GLUE, **SUPER_GLUE}
HALF_RTE: Mixture = {task: rate / 2 for task, rate in BOTH.items() if rate and "_rte_" in task}  # the same data
ALL: Mixture = {**BOTH, **HALF_RTE, **LARGE}

REGISTERED: dict[str, Mixture] = {
    "glue_v002_proportional": GLUE,
    "glue_mnli_and_dev_v002": {task: 1.0 for task in GLUE if "mnli" in task},
    "super_glue_v102_proportional": SUPER_GLUE,
    "wsc_dpr_simple_proportional": WINOGRAD,
    "en_mix": {**dict.fromkeys((*GLUE, *SUPER_GLUE, SQUAD), BY_SIZE), C4: C4_RATE},
    "all_equal": dict.fromkeys(ALL, 1.0),
    "all_proportional": ALL,
    "all_mix": {**ALL, C4: C4_RATE},
    "leave_one_out_glue_v002_proportional": {**SUPER_GLUE, **LARGE},
    "leave_one_out_super_glue_v102_proportional": {**GLUE, **LARGE},
    **{f"leave_one_out_{out}": {t: rate for t, rate in ALL.items() if t != out} for out in LARGE if out != C4},
    "large_supervised_equal": dict.fromkeys((EN_DE, EN_FR, CNN_DAILYMAIL), 1.0),
    "large_supervised_proportional": dict.fromkeys((EN_DE, EN_FR, CNN_DAILYMAIL), BY_SIZE),
    "large_translation_equal": dict.fromkeys((EN_DE, EN_FR), 1.0),
    "squad_trivia_qa_equal": dict.fromkeys((SQUAD, "trivia_qa_v010"), 1.0),
}
FINE_TUNED = {  # short name -> what T5 fine-tunes as one
    "glue": "glue_v002_proportional",
    "super_glue": "super_glue_v102_proportional",
    "cnn_dailymail": CNN_DAILYMAIL,
    "squad": SQUAD,
    "wmt_en_de": EN_DE,
    "wmt_en_fr": EN_FR,
    "wmt_en_ro": EN_RO,
}
SHORT = {
    "t5:glue": GLUE,
    "t5:super_glue": SUPER_GLUE,
    "t5:all": ALL,
    **{f"t5:leave_one_out_{short}": REGISTERED[f"leave_one_out_{name}"] for short, name in FINE_TUNED.items()},
}
MIXTURES: dict[str, Mixture] = {**REGISTERED, **{f"t5:{name}": REGISTERED[name] for name in REGISTERED}, **SHORT}


def is_mixture(name: str) -> bool:
    """Whether a name among tasks means a mixture, known or not."""
    return name in MIXTURES or name.startswith("t5:")


def mixture(name: str) -> Mixture:
    """A registered mixture by T5's name, with or without `t5:` before it, or by a short name such as `t5:glue`."""
    if name not in MIXTURES:
        raise unknown("mixture", name, [*SHORT, *REGISTERED])
    return MIXTURES[name]


def mixture_rates(
    members: Mixture, size_rate: Callable[[str], float], mixtures: Mapping[str, Mixture] = MIXTURES
) -> Rates:
    """The rate of every task, in T5's sampling order: by name.

    A mixture inside shares its weight among its tasks, which adds to what they have elsewhere.
    """
    found: Rates = {}
    for member, weight in members.items():
        inside, total = {member: 1.0}, 1.0
        if member in mixtures:
            inside = mixture_rates(mixtures[member], size_rate, mixtures)
            total = sum(inside.values())
            if weight is BY_SIZE:
                raise UsageError(f"mixture {member!r} inside a mixture needs a number as its weight")
            if not total > 0:
                raise UsageError(f"mixture {member!r} has no task with a rate above 0")
        elif weight is BY_SIZE:
            weight = size_rate(member)
        for task, rate in inside.items():
            found[task] = found.get(task, 0.0) + weight * rate / total
    return dict(sorted(found.items()))
