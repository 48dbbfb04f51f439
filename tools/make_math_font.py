"""Cut the math font of the report down to what formulas use: src/infsup/report/math.woff2.

The font is STIX Two Math (SIL Open Font License 1.1, no reserved name), taken from the package
@fontsource/stix-two-math of npm:

    npm pack @fontsource/stix-two-math && tar xzf fontsource-stix-two-math-*.tgz
    pip install fonttools brotli
    python tools/make_math_font.py package/files/stix-two-math-latin-400-normal.woff2
"""

import pathlib
import sys

from fontTools import subset

OUT = pathlib.Path(__file__).parent.parent / "src" / "infsup" / "report" / "math.woff2"
MOST = 150_000

RANGES = (
    (0x20, 0x7E),  # ASCII
    (0xA0, 0x17F),  # Latin with accents: names of authors
    (0x237, 0x237),  # dotless j
    (0x2C6, 0x2DD),
    (0x300, 0x338),  # accents over letters
    (0x391, 0x3F6),  # Greek
    (0x2010, 0x2057),
    (0x2070, 0x209C),
    (0x20D0, 0x20F0),
    (0x2100, 0x214F),  # letterlike: R, N, E doubled, script letters
    (0x2190, 0x21FF),  # arrows
    (0x2200, 0x22FF),  # operators
    (0x2308, 0x230B),
    (0x23B0, 0x23B1),
    (0x23DC, 0x23E1),  # braces above and below
    (0x25A0, 0x25FF),
    (0x27E8, 0x27EB),  # angles
    (0x27F5, 0x27FC),
    (0x2A00, 0x2A06),
    (0x2A7D, 0x2A7E),
    (0x2AAF, 0x2AB0),
    (0x1D400, 0x1D56B),  # bold, italic, script, fraktur, doubled
    (0x1D6A4, 0x1D755),  # Greek bold and italic
    (0x1D7CE, 0x1D7E1),  # digits bold and doubled
)


def main(path):
    options = subset.Options()
    options.flavor = "woff2"
    options.hinting = False
    options.glyph_names = False
    options.layout_features = ["kern", "ssty", "dtls", "flac"]  # primes, dotless and flat accents
    options.name_IDs = [0, 1, 2, 3, 4, 5, 6, 13, 14]
    font = subset.load_font(path, options)
    subsetter = subset.Subsetter(options)
    subsetter.populate(unicodes=[u for a, b in RANGES for u in range(a, b + 1)])
    subsetter.subset(font)
    assert "MATH" in font, "without it fences and roots do not stretch"
    subset.save_font(font, OUT, options)
    size = OUT.stat().st_size
    assert size <= MOST, f"{size:,} bytes"
    print(f"{OUT.name}: {size:,} bytes, {len(font.getGlyphOrder()):,} glyphs")


if __name__ == "__main__":
    main(sys.argv[1])
