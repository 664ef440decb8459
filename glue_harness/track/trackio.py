"""Trackio's local database: trackio show --project glue. TRACKIO_SPACE_ID sends it to a Space instead."""

from __future__ import annotations

import os
from collections.abc import Mapping

from glue_harness.track import PROJECT, Told

PACKAGE = "trackio"


def begin(told: Told) -> Trackio:
    return Trackio(told)


class Trackio:
    def __init__(self, told: Told) -> None:
        import trackio

        self.finish = trackio.finish  # a run's own would leave it open for the end of the program
        space = os.environ.get("TRACKIO_SPACE_ID")
        config = {**told.settings, "tags": list(told.tags), "note": told.note}
        self.run = trackio.init(PROJECT, name=told.id, space_id=space, config=config, resume="allow", embed=False)

    def log(self, step: int, values: Mapping[str, float]) -> None:
        self.run.log(dict(values), step=step)

    def end(self, status: str) -> None:
        self.finish()
