"""WMT: translate from English to German, French and Romanian.

The Hub has other builds than T5 trained on. En-De: T5 had News Commentary v13 (4,592,289 pairs). En-Fr: T5 had
WMT15 (40,853,137 pairs), and validated on newstest2014, which the Hub's WMT14 calls its test split.
"""

from collections.abc import Callable, Mapping
from random import Random

from glue_harness.core.errors import RowError
from glue_harness.core.task import Row, Source, Task, Text, jsonl
from glue_harness.data.lexicon import coined, often
from glue_harness.metrics import bleu
from glue_harness.suite.build import generate, text_of

LANGUAGES = {"de": "German", "fr": "French", "ro": "Romanian"}
SUBJECTS = (
    {"en": "the cat", "de": "die Katze", "fr": "le chat", "ro": "pisica"},
    {"en": "the dog", "de": "der Hund", "fr": "le chien", "ro": "câinele"},
    {"en": "the teacher", "de": "die Lehrerin", "fr": "la maîtresse", "ro": "profesoara"},
    {"en": "my brother", "de": "mein Bruder", "fr": "mon frère", "ro": "fratele meu"},
    {"en": "the old woman", "de": "die alte Frau", "fr": "la vieille femme", "ro": "bătrâna"},
    {"en": "the king", "de": "der König", "fr": "le roi", "ro": "regele"},
    {"en": "our neighbour", "de": "unser Nachbar", "fr": "notre voisin", "ro": "vecinul nostru"},
    {"en": "a child", "de": "ein Kind", "fr": "un enfant", "ro": "un copil"},
)
VERBS = (
    {"en": "sees", "de": "sieht", "fr": "voit", "ro": "vede"},
    {"en": "finds", "de": "findet", "fr": "trouve", "ro": "găsește"},
    {"en": "brings", "de": "bringt", "fr": "apporte", "ro": "aduce"},
    {"en": "loses", "de": "verliert", "fr": "perd", "ro": "pierde"},
    {"en": "hides", "de": "versteckt", "fr": "cache", "ro": "ascunde"},
    {"en": "sells", "de": "verkauft", "fr": "vend", "ro": "vinde"},
)
OBJECTS = (
    {"en": "a letter", "de": "einen Brief", "fr": "une lettre", "ro": "o scrisoare"},
    {"en": "the key", "de": "den Schlüssel", "fr": "la clé", "ro": "cheia"},
    {"en": "two apples", "de": "zwei Äpfel", "fr": "deux pommes", "ro": "două mere"},
    {"en": "a blue hat", "de": "einen blauen Hut", "fr": "un chapeau bleu", "ro": "o pălărie albastră"},
    {"en": "the bread", "de": "das Brot", "fr": "le pain", "ro": "pâinea"},
    {"en": "the old clock", "de": "die alte Uhr", "fr": "la vieille horloge", "ro": "ceasul vechi"},
    {"en": "three books", "de": "drei Bücher", "fr": "trois livres", "ro": "trei cărți"},
    {"en": "an umbrella", "de": "einen Schirm", "fr": "un parapluie", "ro": "o umbrelă"},
)
RARE = tuple(
    {"en": f"a {en}", "de": f"einen {de.capitalize()}", "fr": f"un {fr}", "ro": f"un {ro}"}
    for en, de, fr, ro in zip(*(coined(f"thing in {language}", 300) for language in ("en", *LANGUAGES)), strict=True)
)
TIMES = (
    {"en": "today", "de": "heute", "fr": "aujourd'hui", "ro": "astăzi"},
    {"en": "every day", "de": "jeden Tag", "fr": "tous les jours", "ro": "în fiecare zi"},
    {"en": "in winter", "de": "im Winter", "fr": "en hiver", "ro": "iarna"},
    {"en": "on Mondays", "de": "montags", "fr": "le lundi", "ro": "lunea"},
    {"en": "at noon", "de": "mittags", "fr": "à midi", "ro": "la prânz"},
)
PLACES = (
    {"en": "in the garden", "de": "im Garten", "fr": "dans le jardin", "ro": "în grădină"},
    {"en": "at home", "de": "zu Hause", "fr": "à la maison", "ro": "acasă"},
    {"en": "in the kitchen", "de": "in der Küche", "fr": "dans la cuisine", "ro": "în bucătărie"},
    {"en": "at the market", "de": "auf dem Markt", "fr": "au marché", "ro": "la piață"},
    {"en": "near the station", "de": "beim Bahnhof", "fr": "près de la gare", "ro": "lângă gară"},
)


def encoder(language: str) -> Callable[[Row], list[Text]]:
    prefix = f"translate English to {LANGUAGES[language]}: "

    def encode(row: Row) -> list[Text]:
        pair = row.get("translation")
        if not isinstance(pair, Mapping):
            raise RowError(f"column 'translation' must hold the pair en and {language}, not {pair!r}")
        return [Text(prefix + text_of(pair, "en"), text_of(pair, language))]

    return encode


def demo(language: str) -> Callable[[Random, int], list[dict]]:
    """Small sentences in correct grammar, about things that are mostly rare; German says when before what."""

    def sentence(in_language: str, parts: list[Mapping[str, str]]) -> str:
        who, does, what, where, when = (part[in_language] for part in parts)
        words = (who, does, when, what, where) if in_language == "de" else (who, does, what, where, when)
        text = " ".join(words)
        return f"{text[0].upper()}{text[1:]}."

    def rows(random: Random, n: int) -> list[dict]:
        def parts() -> list[Mapping[str, str]]:
            who, does, where, when = map(random.choice, (SUBJECTS, VERBS, PLACES, TIMES))
            return [who, does, often(random, OBJECTS + RARE), where, when]

        drawn = (parts() for _ in range(n))
        return [{"translation": {name: sentence(name, told) for name in ("en", language)}} for told in drawn]

    return rows


def translation(language: str, t5_name: str, source: Source, splits: Mapping[str, str], place: int) -> Task:
    return generate(
        f"wmt_en_{language}",
        columns=("translation",),
        encode=encoder(language),
        source=source,
        metrics=(bleu,),
        splits=splits,
        demo=demo(language),
        demo_noise=0,
        title=f"En-{language.title()}",
        suite="translation",
        place=place,
        aliases=(t5_name, f"wmt/en-{language}"),
    )


def pairs(hub: str, language: str, config: str, **rows: int) -> Source:
    """One language pair on the Hub, or JSON lines in its schema."""
    return Source(
        hub=hub,
        config=config,
        rows=rows,
        folder=f"wmt-en-{language}",
        files={split: jsonl(f"{split}.jsonl") for split in rows},
    )


AS_NAMED = {"train": "train", "validation": "validation", "test": "test"}
EN_DE = translation(
    "de",
    "wmt_t2t_ende_v003",
    pairs("wmt/wmt14", "de", "de-en", train=4_508_785, validation=3_000, test=3_003),
    AS_NAMED,
    place=1,
)
EN_FR = translation(
    "fr",
    "wmt15_enfr_v003",
    pairs("wmt/wmt14", "fr", "fr-en", train=40_836_715, validation=3_000, test=3_003),
    {"train": "train", "validation": "test"},
    place=2,
)
EN_RO = translation(
    "ro",
    "wmt16_enro_v003",
    pairs("wmt/wmt16", "ro", "ro-en", train=610_320, validation=1_999, test=1_999),
    AS_NAMED,
    place=3,
)
