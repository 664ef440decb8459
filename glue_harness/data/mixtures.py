"""T5's registered mixtures by name, and mixtures of mixtures. Members go by T5's names of tasks."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from glue_harness.core.errors import UsageError, unknown

PREFIX = "t5:"  # where a mixture is named among tasks
BY_SIZE = None  # the rate follows from the number of examples, under the run's limit and temperature
Mixture = Mapping[str, float | None]  # task or mixture -> rate, BY_SIZE, or 0 = only scored

# Constants of T5: training examples after preprocessing. Limit and temperature don't reach them.
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
SIZES = {C4: 364_868_892}  # of members whose text is the user's own
C4_RATE = 1e6  # where T5 fixes it
SQUAD, CNN_DAILYMAIL = "squad_v010_allanswers", "cnn_dailymail_v002"
EN_DE, EN_FR, EN_RO = "wmt_t2t_ende_v003", "wmt15_enfr_v003", "wmt16_enro_v003"
LARGE: Mixture = dict.fromkeys((CNN_DAILYMAIL, SQUAD, EN_DE, EN_FR, EN_RO, C4), BY_SIZE)
BOTH: Mixture = {**GLUE, **SUPER_GLUE}
HALF_RTE: Mixture = {task: rate / 2 for task, rate in BOTH.items() if "_rte_" in task}  # the two are the same data
ALL: Mixture = {**BOTH, **HALF_RTE, **LARGE}


def equal(tasks: Iterable[str]) -> Mixture:
    return dict.fromkeys(tasks, 1.0)


def without(members: Mixture, left_out: str) -> Mixture:
    return {task: rate for task, rate in members.items() if task != left_out}


MIXTURES: dict[str, Mixture] = {
    "glue_v002_proportional": GLUE,
    "glue_mnli_and_dev_v002": equal(task for task in GLUE if "mnli" in task),
    "super_glue_v102_proportional": SUPER_GLUE,
    "wsc_dpr_simple_proportional": WINOGRAD,
    "en_mix": {**dict.fromkeys((*GLUE, *SUPER_GLUE, SQUAD), BY_SIZE), C4: C4_RATE},
    "all_equal": equal(ALL),
    "all_proportional": ALL,
    "all_mix": {**ALL, C4: C4_RATE},
    "leave_one_out_glue_v002_proportional": {**SUPER_GLUE, **LARGE},
    "leave_one_out_super_glue_v102_proportional": {**GLUE, **LARGE},
    **{f"leave_one_out_{task}": without(ALL, task) for task in LARGE if task != C4},
    "large_supervised_equal": equal((EN_DE, EN_FR, CNN_DAILYMAIL)),
    "large_supervised_proportional": dict.fromkeys((EN_DE, EN_FR, CNN_DAILYMAIL), BY_SIZE),
    "large_translation_equal": equal((EN_DE, EN_FR)),
    "squad_trivia_qa_equal": equal((SQUAD, "trivia_qa_v010")),
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
    **{f"t5:leave_one_out_{short}": MIXTURES[f"leave_one_out_{name}"] for short, name in FINE_TUNED.items()},
}
NAMES: dict[str, Mixture] = {**MIXTURES, **{f"t5:{name}": members for name, members in MIXTURES.items()}, **SHORT}


def is_mixture(name: str) -> bool:
    """Whether a name among tasks means a mixture, known or not."""
    return name in NAMES or name.startswith(PREFIX)


def mixture(name: str) -> Mixture:
    """A registered mixture by T5's name, with or without `t5:` before it, or by a short name such as `t5:glue`."""
    if name not in NAMES:
        raise unknown("mixture", name, [*SHORT, *MIXTURES])
    return NAMES[name]


def rates(
    members: Mixture, size_rate: Callable[[str], float], mixtures: Mapping[str, Mixture] = NAMES
) -> dict[str, float]:
    """The rate of every task, in T5's sampling order: by name.

    A mixture inside shares its weight among its tasks, which adds to what they have elsewhere.
    """
    found: dict[str, float] = {}
    for member, weight in members.items():
        if member in mixtures:
            part = _shared_out(member, weight, rates(mixtures[member], size_rate, mixtures))
        else:
            part = {member: float(size_rate(member) if weight is BY_SIZE else weight)}
        for task, rate in part.items():
            found[task] = found.get(task, 0.0) + rate
    return dict(sorted(found.items()))


def _shared_out(name: str, weight: float | None, inside: Mapping[str, float]) -> dict[str, float]:
    total = sum(inside.values())
    if weight is BY_SIZE:
        raise UsageError(f"mixture {name!r} inside a mixture needs a number as its weight")
    if not total > 0:
        raise UsageError(f"mixture {name!r} has no task with a rate above 0")
    return {task: weight * rate / total for task, rate in inside.items()}
