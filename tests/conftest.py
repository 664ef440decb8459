"""Fixtures that the whole suite shares: golden vectors, real rows where they exist, an isolated home."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

os.environ.setdefault("GOMP_SPINCOUNT", "1000")  # as in glue: before torch is loaded
os.environ.setdefault("OMP_NUM_THREADS", "1")  # sums have one order; models here are too small for more

ROOT = Path(__file__).resolve().parent.parent
SHARED = ROOT.parent / "shared"


def golden(name: str) -> list[dict]:
    """The vectors of tests/golden/<name>.jsonl."""
    lines = (ROOT / "tests" / "golden" / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


@pytest.fixture(scope="session")
def shared() -> Path:
    """Real rows and the genuine T5 vocabulary: not part of the repository, so not everywhere."""
    if not (SHARED / "data").is_dir():
        pytest.skip("needs ../shared/data (real rows, not distributable)")
    return SHARED


@pytest.fixture(autouse=True, scope="session")
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Tokens are kept for the session, not in the user's cache; commands that tests start inherit it."""
    os.environ["GLUE_CACHE"] = str(tmp_path_factory.mktemp("cache"))


@pytest.fixture(autouse=True)
def isolated(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No test writes into the repository or asks a hub."""
    monkeypatch.setenv("GLUE_RESULTS", str(tmp_path / "results"))
    monkeypatch.setenv("GLUE_LEADERBOARDS", str(tmp_path / "leaderboards"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_DATASETS_OFFLINE", "1")
    for name in ("GLUE_TASKS", "GLUE_DEBUG"):
        monkeypatch.delenv(name, raising=False)
