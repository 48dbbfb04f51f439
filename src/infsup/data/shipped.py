"""Data sets that come inside the package."""

from importlib import resources

import numpy as np

from infsup.core.errors import UsageError, nearest
from infsup.core.split import DataSet
from infsup.data import DATA


def digits() -> DataSet:
    """1,797 handwritten digits of 8 x 8 pixels.

    Columns: "x" float32 [1797, 64] in [0, 1] (the 17 grey levels of the original over 16, so
    exact in float32), "y" int32 [1797] in 0..9.

    They are the digits of 13 people, so rows are not quite independent: what is said of the law
    behind them speaks of further digits of such a group, not of a new writer.

    Source: E. Alpaydin and C. Kaynak, Optical Recognition of Handwritten Digits, UCI (1998), its
    test part, as scikit-learn ships it; `digits.LICENSE.txt` stands beside the file, which
    `tools/make_digits.py` made.
    """
    path = resources.files("infsup.data") / "digits.npz"
    with path.open("rb") as stream, np.load(stream, allow_pickle=False) as found:
        x, y = found["x"], found["y"]
    columns = {"x": (x / 16.0).astype(np.float32), "y": y.astype(np.int32)}
    return DataSet(columns, name="digits", source="infsup:digits")


def packaged(name: str) -> DataSet:
    """A packaged data set by its name, "digits", or by its source, "infsup:digits".

    Raises:
        UsageError: there is no such data set; says the nearest.
    """
    if not isinstance(name, str):
        raise UsageError(f"`name` is {type(name).__name__}", remedy=nearest("", DATA))
    plain = name.removeprefix("infsup:")
    if plain not in DATA:
        raise UsageError(f"there is no packaged data set `{name}`", remedy=nearest(plain, DATA))
    return {"digits": digits}[plain]()
