"""Host callbacks: told about ten times a second, they see copies and cannot change results."""

import json
import os
import pathlib
from typing import Any

from infsup.core.driver import Event
from infsup.core.errors import UsageError


class JSONLines:
    """Writes the metrics of every look as one JSON line.

    Args:
        path: a file; appended to, so that a resumed run goes on in the same file.

    Raises:
        OSError: the file cannot be opened (at once, before any work).
    """

    def __init__(self, path: str | pathlib.Path):
        if not isinstance(path, (str, os.PathLike)):
            raise UsageError(f"`path` of JSONLines is {type(path).__name__}", remedy='"run.jsonl"')
        self.path = pathlib.Path(path)
        self._write([])

    def __call__(self, event: Event) -> None:
        """Writes what is new."""
        names = list(event.looks)
        lines = []
        for row in zip(*event.looks.values(), strict=True):
            line: dict[str, Any] = {"stage": event.stage}
            for name, value in zip(names, row, strict=True):
                line[name] = int(value) if name == "step" else float(value)
            lines.append(json.dumps(line) + "\n")
        if lines:
            self._write(lines)

    def _write(self, lines: list[str]) -> None:
        # opened each time, ten times a second at most: nothing to close, nothing lost by a kill
        with self.path.open("a", encoding="utf-8") as file:
            file.writelines(lines)
