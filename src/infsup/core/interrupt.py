"""Signals set a flag that the driver reads between chunks."""

import signal
import threading
from types import FrameType


class Interrupt:
    """Catches SIGINT and SIGTERM while active; the handlers before it are always restored.

    The first signal sets `name`; a second SIGINT raises KeyboardInterrupt. Only the main thread
    may set handlers; elsewhere this does nothing.
    """

    def __init__(self):
        self.name = ""
        self._old: dict[int, object] = {}

    def __enter__(self) -> "Interrupt":
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._old[number] = signal.signal(number, self._caught)
        return self

    def _caught(self, number: int, frame: FrameType | None) -> None:
        del frame
        if self.name and number == signal.SIGINT:
            raise KeyboardInterrupt
        self.name = "interrupted" if number == signal.SIGINT else "terminated"

    def __exit__(self, *_: object) -> None:
        for number, old in self._old.items():
            signal.signal(number, old)  # type: ignore[arg-type]
