"""Grey pictures as PNG: ink on nothing, so that the page's paper shows through."""

import base64
import struct
import zlib

import numpy as np


def ink(a: np.ndarray) -> bytes:
    """A PNG of black pixels whose opacity is the ink.

    Args:
        a: [height, width], 0 is paper and 1 is ink.

    Returns:
        The file: 8 bits of grey (always 0) and 8 bits of opacity.
    """
    height, width = a.shape
    opacity = np.rint(255 * np.clip(a, 0, 1)).astype(np.uint8)
    # every line begins with its filter, here none
    rows = np.zeros((height, 1 + 2 * width), np.uint8)
    rows[:, 2::2] = opacity
    header = struct.pack(">IIBBBBB", width, height, 8, 4, 0, 0, 0)
    body = zlib.compress(rows.tobytes(), 9)
    chunks = ((b"IHDR", header), (b"IDAT", body), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        for name, data in chunks
    )


def address(png: bytes) -> str:
    """The file as a `data:` address."""
    return "data:image/png;base64," + base64.b64encode(png).decode()


def sheet(images: np.ndarray, gap: int = 1) -> np.ndarray:
    """Rows and columns of pictures as one, with a gap of paper between them.

    Args:
        images: [rows, columns, height, width].
        gap: pixels.

    Returns:
        [rows * (height + gap) - gap, columns * (width + gap) - gap].
    """
    rows, columns, height, width = images.shape
    out = np.zeros((rows * (height + gap) - gap, columns * (width + gap) - gap))
    for i in range(rows):
        for j in range(columns):
            y, x = i * (height + gap), j * (width + gap)
            out[y : y + height, x : x + width] = images[i, j]
    return out
