"""`infsup certify samples`: draws of any generator against rows that it has not seen."""

import math
import pathlib
from typing import TYPE_CHECKING, Annotated

import typer

from infsup.cli.certifying import Gap, Level, _delta, _show
from infsup.cli.exits import UNREADABLE, ShellError

if TYPE_CHECKING:
    import numpy as np

LEAST = 16
NAMES = ("x", "samples", "draws", "data", "rows")


def samples(
    file: Annotated[
        str,
        typer.Argument(
            help="CSV, npy or npz with one draw a row, as the generator made them (an npz: the "
            "array `x` or `samples`, or its only one)."
        ),
    ],
    held_out: Annotated[
        str,
        typer.Option(
            "--held-out", metavar="FILE", help="Rows that the generator was not fitted to."
        ),
    ],
    column: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="Columns to compare; default: all of them."),
    ] = None,
    level: Level = 0.99,
    within: Annotated[
        tuple[float, float] | None,
        typer.Option(
            metavar="LO HI",
            help="Least and largest possible value of a draw's numbers (pixels: 0 1): W2 then has "
            "an interval that holds at this sample size.",
        ),
    ] = None,
    key: Annotated[int, typer.Option(help="Of the halves that train and judge critics.")] = 0,
    gap: Gap = None,
) -> int:
    """Bracket how far the law of a generator is from data, from draws and held-out rows.

    W2 is to the held-out rows themselves. Total variation, Jensen-Shannon and KL are to the law
    behind them, and only from below: what a critic, trained on one half, still tells apart on the
    other. That the rows were not seen by the generator is assumed.
    """
    delta = _delta(level, gap)
    first, second = rows(file, column), rows(held_out, column)
    x, y = _aligned(file, first, held_out, second)
    for name, a in ((file, x), (held_out, y)):
        if len(a) < LEAST:
            raise ShellError(
                f"`{name}` holds {len(a)} row{'s' * (len(a) != 1)}",
                "Half of them train a critic and half judge it.",
                f"at least {LEAST} rows, better hundreds",
            )
    from infsup.generative.files import certify_samples, equal_rows

    same = equal_rows(x, y)
    if same == len(x) and equal_rows(y, x) == len(y):
        raise ShellError(
            f"`{file}` and `{held_out}` hold the same rows, all {same} of them",
            "Nothing is learned of a generator from its own draws.",
            "draws of the generator, and rows that it has not seen",
        )
    found = certify_samples(
        x,
        y,
        delta=delta,
        key=key,
        of=pathlib.Path(file).name,
        rows=pathlib.Path(held_out).name,
        within=within,
    )
    from infsup.cli.documents import put

    code = _show(file, found, gap, rows=len(x))
    put("held out", f"{len(y):,} rows of {held_out}")
    put("equal", f"{same:,} draws equal a held-out row in content")
    return code


def rows(file: str, columns: list[str] | None = None) -> "tuple[np.ndarray, list[str]]":
    """Rows [n, d] as float64, and the names of the columns ([] where there are none).

    A first column without a name that counts 0, 1, 2, ... is the number of the row, and left out.

    Args:
        file: CSV, npy or npz.
        columns: which to read, by name or number; the others may hold text.

    Raises:
        ShellError: no such file or column, text, NaN, or an array that is no rows.
    """
    import numpy as np

    from infsup.cli.tables import _arrays, _cells, _number

    if file.endswith((".npy", ".npz")):
        found = _arrays(file)
        name = next((n for n in NAMES if n in found), next(iter(found), ""))
        if name not in NAMES and len(found) != 1:
            raise ShellError(
                f"`{file}` has {len(found)} arrays",
                f"They are {', '.join(list(found)[:12])}.",
                "one of them, or one that is named x",
            )
        a = found[name]
        if a.ndim < 2 or a.dtype.kind not in "fiub" or a[:1].size == 0 < len(a):
            raise ShellError(
                f"`{name or file}` is {a.dtype}{list(a.shape)}",
                "One draw a row: an array [n, ...] of numbers.",
                "np.save(file, x.reshape(n, -1))",
            )
        wide = math.prod(a.shape[1:])
        picked, names = _places(file, [], wide, columns), []
        values = a.astype(np.float64).reshape(len(a), wide)[:, picked]
    else:
        lines = _cells(file)
        first = [c.strip() for c in lines[0]]
        # a frame without names of its own is written under the names 0, 1, 2, ...
        counted = len(first) > 1 and first == [str(i) for i in range(len(first))]
        header = counted or any(_number(c) is None for c in first)
        body = lines[1:] if header else lines
        picked = _places(file, first if header else [], len(first), columns)
        values = np.empty((len(body), len(picked)))
        for number, row in enumerate(body):
            if len(row) != len(first):
                raise ShellError(
                    f"`{file}`, row {number + 1}: {len(row)} cells, the first has {len(first)}",
                    code=UNREADABLE,
                )
            for j, at in enumerate(picked):
                value = _number(row[at])
                if value is None:
                    known = [n for n, c in zip(first, row, strict=True) if _number(c) is not None]
                    raise ShellError(
                        f"`{file}`, row {number + 1}: {row[at].strip()[:40]!r} is no number",
                        remedy=" ".join(f"--column {n}" for n in known[:6])
                        if header
                        else "numbers only",
                        code=UNREADABLE,
                    )
                values[number, j] = value
        names = [first[at] for at in picked] if header else []
        unnamed = header and not columns and not names[0] and len(names) > 1
        if unnamed and (values[:, 0] == np.arange(len(values))).all():
            values, names = values[:, 1:], names[1:]
    bad = ~np.isfinite(values)
    if bad.any():
        row, j = (int(v[0]) for v in np.nonzero(bad))
        where = f"column {names[j]}" if names else f"column {j}"
        raise ShellError(
            f"`{file}`, row {row + 1}, {where}: {values[row, j]} is no finite number",
            "A law with such draws has no distance to anything.",
            "find out why; dropping the row changes the law",
            UNREADABLE,
        )
    return values, names


def _places(file: str, names: list[str], wide: int, columns: list[str] | None) -> list[int]:
    """Which columns are read: those that are asked for, or all."""
    known = names or [str(i) for i in range(wide)]
    for n in columns or ():
        if n not in known:
            raise ShellError(
                f"`{file}` has no column `{n}`", f"It has {', '.join(known[:12])}.", known[0]
            )
    return [known.index(n) for n in columns] if columns else list(range(wide))


def _aligned(
    file: str,
    first: "tuple[np.ndarray, list[str]]",
    other: str,
    second: "tuple[np.ndarray, list[str]]",
) -> "tuple[np.ndarray, np.ndarray]":
    """The same columns of both, by name where both have names."""
    (x, a), (y, b) = first, second
    if x.shape[1] != y.shape[1]:
        shared = [n for n in a if n in b]
        raise ShellError(
            f"`{file}` has {x.shape[1]} columns, `{other}` has {y.shape[1]}",
            "Both are draws of laws on the same space.",
            " ".join(f"--column {n}" for n in shared[:6]),
        )
    if a and b and a != b:
        missing = next((n for n in a if n not in b), None)
        if missing is not None:
            raise ShellError(
                f"`{other}` has no column `{missing}`, `{file}` has",
                f"It has {', '.join(b[:12])}.",
                f"--column {next((n for n in a if n in b), b[0])}",
            )
        y = y[:, [b.index(n) for n in a]]
    return x, y
