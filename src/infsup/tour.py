"""The library in a few minutes, on real data: `make tour`, or `python -m infsup.tour`.

Every stop types a command of the shell, so that what one sees is what one can type. What is found
is saved below `runs/tour` and checked at the end; the tour fails where a claim does.
"""

import csv
import os
import pathlib
import shlex
import shutil
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from infsup.cli.app import main as shell
from infsup.cli.screen import begin, screen

HOME = pathlib.Path("runs/tour")

STOPS = (
    ("digits", "Learning: a network reads digits; what is its error on digits to come?"),
    ("digits-softmax", "Optimisation: a convex loss; how far is it from the least there is?"),
    ("hjb-lq-100", "Control: 100 dimensions, noise; is there anything left to gain?"),
    ("eight-gaussians", "Sampling: a law that is known; how far are the draws from it?"),
    ("digits-flow", "Generating: digits that nobody wrote; how far are they from real ones?"),
)
FUNCTION = ("exp(-x)*sin(3*x)", "--on", "0", "6", "--eps", "1e-8")


@dataclass
class Tour:
    """What the stops found.

    Args:
        rows: name, certificate and seconds of each headline.
        failed: what went wrong.
    """

    rows: list[tuple[str, Any, float]] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)

    def type(self, *typed: str) -> int:
        """Runs a command of the shell as it would be typed; Ctrl-C in it ends the tour."""
        begin()
        screen.say(f"$ infsup {shlex.join(typed)}")
        screen.out.flush()
        code = shell(typed)
        screen.say()
        if code in (130, 143):
            raise KeyboardInterrupt
        if code:
            self.failed.append(f"infsup {shlex.join(typed)}  [exit {code}]")
        return code


def tour() -> int:
    """Runs all stops.

    Returns:
        0, or 1 where a claim failed, or 130 after Ctrl-C.
    """
    taken = Tour()
    begun = time.monotonic()
    stops: list[tuple[str, Callable[[], None]]] = [
        (title, lambda name=name: _solve(taken, name)) for name, title in STOPS
    ]
    stops += [
        (
            "Approximation: a function and a tolerance; which network is proved to keep it?",
            lambda: _approximate(taken),
        ),
        ("Your own classifier: any file of predictions, two of them paired", lambda: _files(taken)),
        ("The theorems behind it: each is compared and could fail", lambda: _verify(taken)),
    ]
    try:
        for number, (title, stop) in enumerate(stops, 1):
            begin()
            _heading(f"{number} of {len(stops)}   {title}")
            stop()
        begin()
        _heading("Checked again from the files, by a second, small program without JAX")
        saved = [str(HOME / n) for n in _saved() if (HOME / n / "solution.json").exists()]
        taken.type("check", "-q", *saved)
        begin()
        _heading("All of it as one page")
        taken.type("report", str(HOME), "-o", str(HOME / "report"))
    except KeyboardInterrupt:
        screen.say("The tour was interrupted; what was found so far is saved.", file=sys.stderr)
        return 130
    _table(taken, time.monotonic() - begun)
    return 1 if taken.failed else 0


def _heading(text: str) -> None:
    import textwrap

    screen.say("-" * screen.width if screen.ascii else "─" * screen.width)
    screen.lines(textwrap.wrap(text, screen.width))
    screen.say()


def _solve(taken: Tour, name: str) -> None:
    from infsup.core.files import load

    folder = HOME / name
    if taken.type("solve", name, "-o", str(folder)) not in (0, 3):
        return
    solution = load(folder)
    taken.rows.append((name, solution.certificate, solution.seconds["total"]))


def _saved() -> tuple[str, ...]:
    return (*(name for name, _ in STOPS), "function")


def _approximate(taken: Tour) -> None:
    from infsup.core.files import load

    folder = HOME / "function"
    if taken.type("approximate", *FUNCTION, "-o", str(folder)) == 0:
        solution = load(folder)
        taken.rows.append(("function", solution.certificate, solution.seconds["total"]))


def _verify(taken: Tour) -> None:
    if taken.type("verify", "--quick", "-q", "-o", str(HOME)) == 0:
        # with an error planted in each, which the check must find
        taken.type("verify", "--quick", "--broken", "-q", "-o", str(HOME))


def _files(taken: Tour) -> None:
    """Predictions of the first stop's network and of a simple rule, as a file like any other."""
    from infsup.core.answers import evaluate
    from infsup.core.files import load
    from infsup.generalization import certify_predictions

    begun = time.monotonic()
    solution = load(HOME / "digits")
    problem: Any = solution.problem
    fit, held_out = problem.data.fit, problem.data.held_out
    network = evaluate(problem.accept(solution.answer), held_out["x"]).argmax(1)
    nearest = nearest_mean(*(np.asarray(a) for a in (fit["x"], fit["y"], held_out["x"])))
    file = HOME / "predictions.csv"
    with file.open("w", newline="", encoding="utf-8") as stream:
        out = csv.writer(stream)
        out.writerow(["label", "network", "nearest mean"])
        out.writerows(zip(np.asarray(held_out["y"]), network, nearest, strict=True))
    if taken.type("certify", "predictions", str(file)):
        return
    labels = np.asarray(held_out["y"])
    certificate = certify_predictions(labels, network, nearest, names=("network", "nearest mean"))[
        0
    ]
    taken.rows.append(("paired difference", certificate, time.monotonic() - begun))


def nearest_mean(x: np.ndarray, y: np.ndarray, new: np.ndarray) -> np.ndarray:
    """The class whose mean is nearest: a classifier of two lines, to compare with.

    Args:
        x: rows [n, d] to fit.
        y: their labels [n], from 0.
        new: rows [m, d].

    Returns:
        Labels [m].
    """
    means = np.stack([x[y == k].mean(0) for k in range(int(y.max()) + 1)])
    return ((new[:, None] - means) ** 2).sum(2).argmin(1)


def _table(taken: Tour, total: float) -> None:
    from infsup.core.bracket import ends_in_words

    begin()
    _heading("What is known now")
    rows = [(n, ends_in_words(c), c.kind, c.verdict, f"{took:.0f} s") for n, c, took in taken.rows]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        if sum(widths) + 2 * len(widths) <= screen.width:
            screen.say("  ".join(x.ljust(w) for x, w in zip(row, widths, strict=True)).rstrip())
        else:
            screen.say(row[0])
            screen.say(f"  {row[1]}")
            screen.say(f"  {', '.join(row[2:])}")
    screen.say()
    for failure in taken.failed:
        screen.say(f"✗ failed  {failure}", "refuted")
    activate = pathlib.Path(sys.executable).with_name("activate")
    shell_needs = shutil.which("infsup") is None and activate.exists()
    screen.rows(
        [
            ("took", f"{total:.0f} s"),
            ("saved", str(HOME)),
            # else the shell would not find the commands that follow
            *(
                [("next", f"source {shlex.quote(os.path.relpath(activate))}")]
                if shell_needs
                else []
            ),
            ("" if shell_needs else "next", "infsup list"),
            ("", "infsup solve hjb-lq-100 -s lam=20"),
            ("", "infsup certify predictions YOUR_FILE.csv"),
            ("report", str(HOME / "report" / "index.html")),
        ]
    )


def main() -> int:
    """The tour, with the shell's 64-bit arithmetic."""
    from infsup.cli.problem_file import use_64_bit

    try:
        use_64_bit()
    except KeyboardInterrupt:
        return 130
    return tour()


if __name__ == "__main__":
    sys.exit(main())
