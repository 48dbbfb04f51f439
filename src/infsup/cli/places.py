"""Where results go: what cannot be written is said before the work."""

import os
import pathlib

from infsup.cli.exits import UNREADABLE, ShellError


def place_for(folder: pathlib.Path) -> None:
    """Makes a folder that files will go into, with those above it.

    Raises:
        ShellError: it cannot be made, or not be written to.
    """
    remedy = "-o DIR, in a folder of your own"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as e:
        reason = e.strerror or type(e).__name__
        raise ShellError(
            f"`{folder}` cannot be made: {reason}", remedy=remedy, code=UNREADABLE
        ) from None
    if not os.access(folder, os.W_OK | os.X_OK):
        raise ShellError(f"`{folder}` cannot be written to", remedy=remedy, code=UNREADABLE)
