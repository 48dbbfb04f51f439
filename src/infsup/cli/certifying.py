"""`infsup certify`: what a file of predictions or of bounded numbers is worth."""

import math
from typing import Annotated, Any

import typer

from infsup.cli.exits import DONE, FAILED, UNCERTIFIED, ShellError
from infsup.cli.screen import screen

Level = Annotated[float, typer.Option(help="With this probability all certificates hold together.")]
Gap = Annotated[float | None, typer.Option(help="Exit 3 where the headline's bracket is wider.")]


def predictions(
    file: Annotated[
        str,
        typer.Argument(
            help="CSV or npz with one row a case: a column `label` and one of predictions, or two "
            "to compare. A CSV may lack a header; then --label 0 says which column is the label."
        ),
    ],
    against: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="Predictions of another classifier for the same rows."),
    ] = None,
    label: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Column of the true labels; default: label, y, target."),
    ] = None,
    column: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="Column of the predictions; twice to compare two."),
    ] = None,
    level: Level = 0.99,
    gap: Gap = None,
) -> int:
    """Bracket the error rate of a classifier; of two of them, the difference, paired.

    A CSV may look like this, with text or numbers as labels:

    \b
    label,mine,theirs
    cat,cat,dog
    """  # noqa: D301
    delta = _delta(level, gap)
    from infsup.cli.tables import labelled, same_rows
    from infsup.generalization import certify_predictions

    first = labelled(file, label, column)
    found = dict(first.predictions)
    if against is not None:
        second = labelled(against, label, None, labels=first.labels)
        same_rows(file, first, against, second)
        if len(found) > 1:
            raise ShellError(
                f"`{file}` has {len(found)} columns of predictions, and --against has more",
                remedy=f"--column {next(iter(found))}",
            )
        if len(second.predictions) > 1:
            raise ShellError(
                f"`{against}` has {len(second.predictions)} columns of predictions",
                f"They are {', '.join(second.predictions)}.",
                "a file with one of them",
            )
        ((a, mine),), ((b, theirs),) = found.items(), second.predictions.items()
        if a == b:
            a, b = first.name, second.name
        found = {a: mine, b if a != b else f"{b} (2)": theirs}
    if len(found) > 2:
        raise ShellError(
            f"`{file}` has {len(found)} columns of predictions",
            f"They are {', '.join(list(found)[:12])}.",
            " ".join(f"--column {n}" for n in list(found)[:2]),
        )
    names = list(found)
    certificates = certify_predictions(
        first.labels,
        found[names[0]],
        found[names[1]] if len(names) == 2 else None,
        delta=delta,
        names=(names[0], names[1] if len(names) == 2 else "B"),
        of=first.name,
    )
    return _show(file, certificates, gap, rows=len(first.labels))


def mean(
    file: Annotated[
        str,
        typer.Argument(
            help="CSV, txt, npy or npz with one number a row, in the order drawn; - reads stdin."
        ),
    ],
    span: Annotated[
        tuple[float, float],
        typer.Option("--range", metavar="LO HI", help="Every possible value lies in it."),
    ],
    column: Annotated[
        str | None, typer.Option(metavar="NAME", help="Which column, or array of an npz.")
    ] = None,
    level: Level = 0.99,
    gap: Gap = None,
) -> int:
    """Bracket the mean of bounded numbers: returns, losses, scores.

    LO and HI are what a value can be at all, not the least and largest of these.
    """
    delta = _delta(level, gap)
    lo, hi = span
    if not lo < hi:
        raise ShellError(
            f"`--range {lo:g} {hi:g}` is empty",
            "Every possible value lies between LO and HI.",
            f"--range {hi:g} {lo:g}" if lo > hi else "--range 0 1",
        )
    from infsup.cli.tables import numbers

    values, name = numbers(file, column)
    outside = (values < lo) | (values > hi)
    if outside.any():
        row = int(outside.argmax())
        raise ShellError(
            f"`{file}` holds {values[row]:g} in row {row + 1}, outside --range {lo:g} {hi:g}",
            "The interval rests on a range that every possible value lies in.",
            f"--range {min(lo, float(values.min())):g} {max(hi, float(values.max())):g}   "
            "if values can be no further out",
            UNCERTIFIED,
        )
    from infsup.generalization import certify_mean

    return _show(
        file,
        (certify_mean(values, (lo, hi), delta=delta, of=f"values of {name}"),),
        gap,
        len(values),
    )


def _delta(level: float, gap: float | None) -> float:
    from fractions import Fraction

    if not 0.0 < level < 1.0:
        raise ShellError(f"`--level {level:g}` is no probability in (0, 1)", remedy="--level .99")
    if gap is not None and not gap >= 0:
        raise ShellError(f"`--gap {gap:g}` is no width", remedy="--gap 0.01")
    from infsup.cli.problem_file import use_64_bit

    use_64_bit()
    return float(1 - Fraction(repr(level)))


def _show(file: str, certificates: tuple[Any, ...], gap: float | None, rows: int) -> int:
    from infsup.cli.documents import certificate_as_json, percent, put, show, versions

    headline = certificates[0]
    wide = gap is not None and not headline.width <= gap
    code = DONE
    if any(c.verdict == "refuted" for c in certificates):
        code = FAILED
    elif wide or headline.verdict in ("refused", "inapplicable"):
        code = UNCERTIFIED
    found = [certificate_as_json(c) for c in certificates]
    screen.emit(
        {
            "file": file,
            "rows": rows,
            "versions": versions(),
            "status": {"verdict": headline.verdict, "exit": code},
            "certificate": found[0],
            "certificates": found,
        }
    )
    for number, c in enumerate(certificates):
        if number and not screen.quiet:
            screen.say()
        show(c, brief=number > 0)
    put("rows", f"{rows:,} of {file}")
    if len(certificates) > 1:
        whole = percent(1 - math.fsum(1 - c.level for c in certificates))
        put("together", f"all {len(certificates)} hold with {whole} confidence")
    if gap is not None:
        put("gap", f"asked at most {gap:g}: {'not met' if wide else 'met'}")
    return code
