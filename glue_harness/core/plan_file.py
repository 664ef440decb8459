"""Settings that a plan file or the command line names, as values of a plan."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from glue_harness.core.errors import UsageError, unknown
from glue_harness.core.plan import settings
from glue_harness.core.reading import read_small, toml_value
from glue_harness.core.settings import Setting, refuse_two_lengths

LARGEST_FILE = 2**16  # bytes of TOML: a plan has a tenth of that


def read_plan(path: Path) -> dict[str, Any]:
    """The values of a plan file, not yet a plan: options on the command line may override them."""
    try:
        with open(path, "rb") as file:
            values = toml_value(read_small(file, LARGEST_FILE))
    except OSError as error:
        raise UsageError(f"cannot read plan {str(path)!r}: {error.strerror}") from None
    except ValueError as error:
        raise UsageError(f"plan {str(path)!r} is not TOML: {error}") from None
    found = {key: setting_named(key, str(path)).checked(value, str(path)) for key, value in values.items()}
    refuse_two_lengths(found, str(path))
    return found


def setting_named(name: str, where: str) -> Setting:
    """A setting that a file or an option names."""
    known = settings()
    if name not in known:
        raise UsageError(f"{where}: {unknown('setting', name, known, lister='glue run --help-settings')}")
    return known[name]


def parsed(name: str, text: str, where: str) -> Any:
    """A value written on the command line as `name=text`."""
    return setting_named(name, where).parsed(text, where)
