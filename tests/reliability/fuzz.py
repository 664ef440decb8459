"""Feeds damaged and hostile bytes to all readers: `python tests/reliability/fuzz.py [SECONDS] [SEED]`.

Prints how many inputs each reader had and what went wrong: anything but a use or a refusal in one line, or a long wait.
"""

from __future__ import annotations

import json
import random
import sys
import tempfile
import time
import traceback
from collections import Counter
from pathlib import Path
from typing import Any

sys.path[:0] = [str(Path(__file__).parent.parent), str(Path(__file__).parent.parent.parent)]

from readers import READERS, Reader  # noqa: E402

from glue_harness.core.errors import GlueError  # noqa: E402

SLOW = 5.0  # seconds for one small input
VALUES: list[Any] = [
    *(None, True, False, 0, -1, 1, 2**31, 2**63, -(2**63), 2**64, 10**25, 10**400, 0.5, -0.0, 1e308, float("inf")),
    *(
        float("nan"),
        "",
        " ",
        "\0",
        "\ud800",
        "\udfff x",
        "\u202e",
        "\x1b[31m",
        "\x9b0m",
        "[red]",
        "</s>",
        "<extra_id_0>",
    ),
    *(
        "=cmd()",
        "../x",
        "/etc/passwd",
        "CON",
        "x" * 300,
        "\n",
        "\r",
        "\u2028",
        "nan",
        "1e999",
        "9" * 5000,
        [],
        {},
        [[]],
    ),
    *([None], [[1, 2]], {"": None}, {"a": {"b": {}}}, [{}], ["a"], {"idx": None}, "True", "1.0", "x" * 100_000),
]
TOKENS = [
    *(
        b"\0",
        b"\xff",
        b"\xef\xbb\xbf",
        b"\r",
        b"\n",
        b"\r\n",
        b"\t",
        b"\t" * 50,
        b'"',
        b"\\",
        b"\\ud800",
        b"{",
        b"}",
        b"[",
        b"]",
    ),
    *(b"[" * 5000, b'{"a":' * 5000, b"NaN", b"-Infinity", b"1e999", b"9" * 5000, b"0x" + b"f" * 5000, b"\xed\xa0\x80"),
    *(
        "\u202e\u2028\u0085".encode(),
        b"\x1b[2J\x1b]8;;x\x07",
        b"a." * 3000,
        b"= {",
        b"'''",
        b"#",
        b"inf",
        b"1979-05-27T07:32:00Z",
    ),
]


def mutated(seed: bytes, rng: random.Random) -> bytes:
    """Damage to the bytes, or to the values inside; sometimes nothing of the seed is left."""
    kind = rng.random()
    if kind < 0.5 and (inside := mutated_json(seed, rng)) is not None:
        return inside
    if kind > 0.98:
        return rng.randbytes(rng.randrange(200))
    content = bytearray(seed)
    for _ in range(rng.choice((1, 1, 2, 5))):
        at, end = sorted(rng.randrange(len(content) + 1) for _ in range(2))
        match rng.randrange(6):
            case 0:
                content[at : at + 1] = rng.randbytes(1)
            case 1:
                del content[at : min(end, at + rng.choice((1, 5, 500)))]
            case 2:
                content[at:at] = content[at:end]
            case 3:
                content[at:at] = rng.choice(TOKENS)
            case 4:
                content[at : at + rng.randrange(10)] = rng.choice(TOKENS)
            case 5:
                del content[at:]
    return bytes(content)


def mutated_json(seed: bytes, rng: random.Random) -> bytes | None:
    """The JSON lines of a seed with some value, or some key, replaced by a hostile one; None if they are no JSON."""
    try:
        lines = [json.loads(line) for line in seed.splitlines()]
    except ValueError:
        return None
    for _ in range(rng.choice((1, 1, 2, 4))):
        line = rng.randrange(len(lines))
        lines[line] = with_changed_value(lines[line], rng)
    return "\n".join(json.dumps(line) for line in lines).encode()


def with_changed_value(value: Any, rng: random.Random) -> Any:
    if rng.random() < 0.2 or not isinstance(value, dict | list) or not value:
        return rng.choice(VALUES)
    if isinstance(value, list):
        place = rng.randrange(len(value))
        return [with_changed_value(item, rng) if k == place else item for k, item in enumerate(value)]
    chosen = rng.choice(list(value))
    match rng.randrange(6):
        case 0:
            return {key: item for key, item in value.items() if key != chosen}
        case 1:
            return {(str(rng.choice(VALUES)) if key == chosen else key): item for key, item in value.items()}
        case _:
            return {key: with_changed_value(item, rng) if key == chosen else item for key, item in value.items()}


def fault(reader: Reader, content: bytes) -> str | None:
    """What a reader does wrong with some bytes."""
    with tempfile.TemporaryDirectory() as folder:
        began = time.monotonic()
        try:
            reader.read(content, Path(folder))
        except GlueError:
            pass
        except Exception as error:
            place = traceback.extract_tb(error.__traceback__)[-1]
            return f"{type(error).__name__}: {str(error)[:100]!r} ({Path(place.filename).name}:{place.lineno})"
        took = time.monotonic() - began
    return f"it took {took:.0f} s" if took > SLOW else None


def fuzz(seconds: float, seed: int) -> tuple[Counter[str], dict[str, dict[str, bytes]]]:
    """Inputs tried per reader, and faults with an input that shows each."""
    tried: Counter[str] = Counter()
    faults: dict[str, dict[str, bytes]] = {}
    rng = random.Random(seed)
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        for reader in READERS:
            content = mutated(rng.choice(reader.seeds), rng)
            tried[reader.name] += 1
            if found := fault(reader, content):
                faults.setdefault(reader.name, {}).setdefault(found, content)
    return tried, faults


def main(seconds: str = "60", seed: str = "0") -> None:
    tried, faults = fuzz(float(seconds), int(seed))
    for name, count in tried.items():
        print(f"{count:>9,}  {name}: {len(faults.get(name, {}))} kinds of faults")
        for found, content in faults.get(name, {}).items():
            print(f"           {found}\n           {content[:300]!r}")
    print(f"{sum(tried.values()):>9,}  inputs in all, seed {seed}")
    sys.exit(bool(faults))


if __name__ == "__main__":
    main(*sys.argv[1:])
