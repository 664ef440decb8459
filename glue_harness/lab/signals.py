"""SIGINT and SIGTERM ask a run to stop where it can go on later; a second one stops it where it is."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator

from glue_harness.core.errors import Stopped
from glue_harness.train.ranks import ALONE, Ranks

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Stop:
    """What was asked for, and whether it may cut short what is going on.

    Of several processes all stop at the same place: a wish is heard there even if another process had the signal.
    """

    def __init__(self, tell: Callable[[str], None] | None = None, ranks: Ranks = ALONE) -> None:
        self.tell, self.ranks = tell, ranks  # whoever asked hears so at once: a step may take a while
        self.asked: int | None = None  # the signal
        self.raised = False
        self._at_once = True

    def receive(self, number: int, frame: object) -> None:
        again, self.asked = self.asked is not None, self.asked or number
        if self.raised:
            return  # it is stopping already, and what it still saves is worth having
        if again or self._at_once:
            self.raised = True
            raise Stopped(self.asked)
        if self.tell:
            self.tell("stopping after this step (again to stop now)")

    def wanted(self) -> bool:
        """Whether any process was asked. All of them must call this, and `obey`, at the same place."""
        if agreed := self.ranks.agree(self.asked or 0):
            self.asked = agreed
        return bool(agreed)

    def obey(self) -> None:
        """Stops here if that was asked for."""
        if self.wanted():
            assert self.asked, "it is what was agreed"
            raise Stopped(self.asked)

    @contextlib.contextmanager
    def later(self) -> Iterator[None]:
        """Inside, a first signal waits for `obey`."""
        before, self._at_once = self._at_once, False
        try:
            yield
        finally:
            self._at_once = before

    @contextlib.contextmanager
    def at_once(self) -> Iterator[None]:
        """Inside, a signal need not wait: nothing that is kept is being changed. Several processes wait for `obey`:
        who left alone would leave the others without an answer."""
        before, self._at_once = self._at_once, self.ranks.size == 1
        try:
            self.obey()
            yield
        finally:
            self._at_once = before


@contextlib.contextmanager
def listening(tell: Callable[[str], None] | None = None, ranks: Ranks = ALONE) -> Iterator[Stop]:
    """Takes the signals while a run is under way; one that is ignored, as under `nohup`, stays ignored."""
    stop = Stop(tell, ranks)
    before = {}
    if threading.current_thread() is threading.main_thread():
        before = {number: signal.getsignal(number) for number in SIGNALS}
    heard = {number: handler for number, handler in before.items() if handler not in (signal.SIG_IGN, None)}
    for number in heard:
        signal.signal(number, stop.receive)
    try:
        yield stop
    finally:
        for number, handler in heard.items():
            signal.signal(number, handler)
