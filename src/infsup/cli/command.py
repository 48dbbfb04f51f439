"""What all commands share: --json, -q, --no-color, and a number as the result."""

import contextlib
import functools
import inspect
import sys
from collections.abc import Callable
from typing import Annotated, Any

import typer

from infsup.cli.screen import begin

_SHARED = {
    "json": Annotated[
        bool, typer.Option("--json", help="One JSON object on stdout, all else on stderr.")
    ],
    "quiet": Annotated[bool, typer.Option("--quiet", "-q", help="One line will do.")],
    "no_color": Annotated[bool, typer.Option("--no-color", help="No colour.")],
}


def command(
    app: typer.Typer, name: str, within: str = ""
) -> Callable[[Callable[..., int]], Callable[..., int]]:
    """Registers a function as a command; it returns the exit code.

    Args:
        app: where.
        name: what one types.
        within: what one types before it.
    """

    def put(function: Callable[..., int]) -> Callable[..., int]:
        @functools.wraps(function)
        def run(*, json: bool, quiet: bool, no_color: bool, **arguments: Any) -> None:
            begin(json=json, quiet=quiet, no_color=no_color, command=f"{within} {name}".strip())
            # a problem's own file may print; then stdout still is one JSON object
            with contextlib.redirect_stdout(sys.stderr) if json else contextlib.nullcontext():
                code = function(**arguments)
            raise typer.Exit(code)

        own = inspect.signature(function)
        shared = [
            inspect.Parameter(n, inspect.Parameter.KEYWORD_ONLY, default=False, annotation=a)
            for n, a in _SHARED.items()
        ]
        run.__signature__ = own.replace(  # type: ignore[attr-defined]
            parameters=[*own.parameters.values(), *shared], return_annotation=None
        )
        run.__annotations__ = {**function.__annotations__, **_SHARED, "return": None}
        app.command(name)(run)
        return function

    return put
