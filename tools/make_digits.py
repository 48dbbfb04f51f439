"""Makes src/infsup/data/digits.npz from scikit-learn's copy: `python tools/make_digits.py`.

The zip entries carry a fixed date, so the same data give the same bytes.
"""

import io
import pathlib
import zipfile

import numpy as np
from sklearn.datasets import load_digits

HERE = pathlib.Path(__file__).resolve().parent.parent / "src/infsup/data/digits.npz"


def main() -> None:
    found = load_digits()
    columns = {"x": found.data.astype(np.uint8), "y": found.target.astype(np.uint8)}
    assert (columns["x"] == found.data).all()
    with zipfile.ZipFile(HERE, "w") as file:
        for name, a in columns.items():
            body = io.BytesIO()
            np.lib.format.write_array(body, a, allow_pickle=False)
            entry = zipfile.ZipInfo(f"{name}.npy", (1980, 1, 1, 0, 0, 0))
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = 0o644 << 16
            file.writestr(entry, body.getvalue(), compresslevel=9)
    print(f"{HERE}: {HERE.stat().st_size} bytes, {len(columns['y'])} rows")


if __name__ == "__main__":
    main()
