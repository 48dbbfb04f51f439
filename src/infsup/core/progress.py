"""The progress bar on stderr: phase, step, time per step, metrics, ETA. It changes no result."""

import sys
from typing import Any

from infsup.core.driver import Event


class Progress:
    """A bar while active; nothing at all where stderr is not a terminal.

    Args:
        show: True, False, or None for "when stderr is a terminal".
    """

    def __init__(self, show: bool | None = None):
        self.show = sys.stderr.isatty() if show is None else bool(show)
        self._bar: Any = None
        self._task: Any = None

    def __enter__(self) -> "Progress":
        if self.show:
            from rich.console import Console
            from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

            self._bar = Progress(
                TextColumn("{task.description}"),
                BarColumn(bar_width=30),
                TextColumn("{task.completed:.0f}/{task.total:.0f}  {task.fields[detail]}"),
                TimeRemainingColumn(compact=True),
                console=Console(stderr=True),
                transient=True,
            )
            self._bar.start()
            self._task = self._bar.add_task("starting", total=1, detail="")
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.stop()
            self._bar = None

    def phase(self, name: str) -> None:
        """Says what is going on: compiling, running, certifying."""
        if self._bar is not None:
            self._bar.update(self._task, description=name)

    def tell(self, event: Event) -> None:
        """Moves the bar."""
        if self._bar is None:
            return
        detail = ""
        if event.step and event.seconds:
            detail = f"{_seconds(event.seconds / event.step)}/step"
        for name, value in list(event.metrics.items())[:2]:
            detail += f"  {name} {value:.4g}"
        self._bar.update(self._task, total=max(event.steps, 1), completed=event.step, detail=detail)


def _seconds(s: float) -> str:
    for unit, scale in (("s", 1.0), ("ms", 1e-3), ("us", 1e-6)):
        if s >= scale or unit == "us":
            return f"{s / scale:.3g} {unit}"
    return ""
