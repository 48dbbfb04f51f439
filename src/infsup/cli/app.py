"""The commands, and the way from an error to an exit code."""

import contextlib
import os
import sys
from collections.abc import Sequence
from typing import Annotated, Any

import typer

from infsup.cli import (
    approximating,
    bench,
    certifying,
    checking,
    doctor,
    listing,
    network,
    reporting,
    samples,
    solving,
    verifying,
)
from infsup.cli.command import command
from infsup.cli.exits import (
    BROKEN_PIPE,
    EXITS,
    USAGE,
    ShellError,
    report,
)
from infsup.cli.screen import begin, screen
from infsup.core.errors import nearest

app = typer.Typer(
    name="infsup",
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Exit codes: " + "; ".join(f"{code} {text}" for code, text in EXITS.items()) + ".",
)
certify = typer.Typer(
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    help="Say what a file of predictions, numbers, samples or a network is worth.",
)


def _version(wanted: bool) -> bool:
    if wanted:
        from infsup import __version__

        screen.say(f"infsup {__version__}")
        raise typer.Exit
    return wanted


@app.callback(
    help="Every answer lies between an inf and a sup that the software can defend.\n\n"
    "\b\ninfsup list\ninfsup solve hjb-lq-100\ninfsup check runs/hjb-lq-100-0\n"
)
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """What holds for all commands."""


command(app, "list")(listing.list_names)
command(app, "solve")(solving.solve)
command(app, "approximate")(approximating.approximate)
command(app, "check")(checking.check)
command(app, "verify")(verifying.verify)
command(app, "report")(reporting.report)
app.add_typer(certify, name="certify")
command(certify, "predictions", within="certify")(certifying.predictions)
command(certify, "mean", within="certify")(certifying.mean)
command(certify, "samples", within="certify")(samples.samples)
command(certify, "network", within="certify")(network.network)
command(app, "doctor")(doctor.doctor)
command(app, "bench")(bench.bench)


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the shell.

    Args:
        arguments: what was typed after `infsup`; by default of this process.

    Returns:
        The exit code, of `EXITS`.
    """
    typed = list(sys.argv[1:] if arguments is None else arguments)
    # the flags that all commands share may also stand before the command
    while len(typed) > 1 and typed[0] in ("--json", "-q", "--quiet", "--no-color"):
        typed.append(typed.pop(0))
    begin(
        json="--json" in typed,
        quiet="-q" in typed or "--quiet" in typed,
        no_color="--no-color" in typed,
        command=next((t for t in typed if not t.startswith("-")), ""),
    )
    try:
        code = _run(typed)
        screen.out.flush()
    except BrokenPipeError:
        return _closed()
    except SystemExit:
        # completion ends this way; else it is typer, which has met a closed pipe
        if "_INFSUP_COMPLETE" in os.environ:
            raise
        return _closed()
    except (Exception, KeyboardInterrupt) as error:
        return report(error)
    return code


def _closed() -> int:
    """What reads us has gone: nothing more may be written, not even at exit."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return BROKEN_PIPE


def _run(typed: list[str]) -> int:
    # typer carries its parser inside; the base of its errors has no public name
    click: Any = typer.BadParameter.__mro__[2]
    try:
        shell = typer.main.get_command(app)
        code = shell.main(
            typed or ["--help"],
            prog_name="infsup",
            standalone_mode=False,
            terminal_width=screen.width,
        )
    except typer.Exit as exit:
        return exit.exit_code
    except typer.Abort as abort:
        # click turns Ctrl-C into this
        raise KeyboardInterrupt from abort
    except click as error:
        raise _usage(error, typed) from error
    return code if isinstance(code, int) else 0


def _usage(error: BaseException, typed: list[str]) -> ShellError:
    """An error of the parser, with the help of the command that it came from as the remedy."""
    text = str(getattr(error, "format_message", lambda: error)()).strip().rstrip(".")
    context = getattr(error, "ctx", None)
    path = context.command_path if context is not None else "infsup"
    remedy = f"{path} --help"
    if "No such command" in text:
        name = text.split("'")[1] if "'" in text else text
        known = list(getattr(context.command, "commands", {})) if context is not None else []
        found = nearest(name, known)
        remedy = f"{path} {found}" if found in known else f"one of {found}"
        text = f"there is no command `{name}`"
    elif "No such option" in text:
        text, _, hint = text.replace("(Possible options:", "Did you mean").partition(
            " Did you mean"
        )
        close = hint.replace("one of:", "").strip(" :?)")
        if close:
            remedy = f"{path} {close}" if len(close.split()) == 1 else f"one of {close}"
    elif "nvalid value for" in text and "Input should be" in text:
        option, wanted = text.split("'")[1], text.partition("Input should be ")[2]
        at = typed.index(option) if option in typed[:-1] else None
        got = f"{option} {typed[at + 1]}" if at is not None else option
        text = f"`{got}` should be {wanted.partition(',')[0]}"
    text = text[:1].lower() + text[1:]
    return ShellError(text.splitlines()[0], "", remedy, USAGE)


if __name__ == "__main__":
    sys.exit(main())
