"""Host callbacks: told about ten times a second, they see copies and cannot change results."""

import json
import pathlib
from typing import Any

from infsup.core.driver import Event


class JSONLines:
    """Writes the metrics of every look as one JSON line.

    Args:
        path: a file; appended to, so that a resumed run goes on in the same file.

    Raises:
        OSError: the file cannot be opened (at once, before any work).
    """

    def __init__(self, path: str | pathlib.Path):
        self.path = pathlib.Path(path)
        self._file = self.path.open("a", encoding="utf-8")

    def __call__(self, event: Event) -> None:
        """Writes what is new."""
        names = list(event.looks)
        for row in zip(*event.looks.values(), strict=True):
            line: dict[str, Any] = {"stage": event.stage}
            for name, value in zip(names, row, strict=True):
                line[name] = int(value) if name == "step" else float(value)
            self._file.write(json.dumps(line) + "\n")
        self._file.flush()
        if event.kind == "end":
            self._file.close()
            self._file = self.path.open("a", encoding="utf-8")  # a further stage may follow
