"""Signals set a flag that the driver reads between chunks."""

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType


class Interrupt:
    """Catches SIGINT and SIGTERM while active; the handlers before it are always restored.

    The first signal sets `name`, a second SIGINT sets `hurry` (return at once, uncertified), a
    third one raises KeyboardInterrupt, since the step may hang; so does the second inside
    `with interrupt.breakable():`. Only the main thread may set handlers; elsewhere this does
    nothing.
    """

    def __init__(self):
        self.name = ""
        self.hurry = False
        self._breakable = False
        self._old: dict[int, object] = {}

    def __enter__(self) -> "Interrupt":
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._old[number] = signal.signal(number, self._caught)
        return self

    def _caught(self, number: int, frame: FrameType | None) -> None:
        del frame
        if self.name and number == signal.SIGINT:
            if self.hurry or self._breakable:
                raise KeyboardInterrupt
            self.hurry = True
            return
        self.name = "interrupted" if number == signal.SIGINT else "terminated"

    @contextlib.contextmanager
    def breakable(self) -> Iterator[None]:
        """Work that a Ctrl-C after the first breaks off."""
        if self.hurry:
            raise KeyboardInterrupt
        self._breakable = True
        try:
            yield
        finally:
            self._breakable = False

    def __exit__(self, *_: object) -> None:
        for number, old in self._old.items():
            signal.signal(number, old)  # type: ignore[arg-type]
