"""Whoever sees a run go by in the tests."""

from __future__ import annotations


class Interrupt:
    """Stops a run at a step, as Ctrl-C does."""

    def __init__(self, at: int) -> None:
        self.at = at

    def assembled(self, *_): ...

    def scored(self, *_): ...

    def stepped(self, setup, state) -> None:
        if state.step == self.at:
            raise KeyboardInterrupt
