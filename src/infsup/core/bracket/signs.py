"""The sign of each verdict, as a character and as a shape."""

from infsup.core.certificate import VERDICTS

SIGNS: dict[str, str] = dict(zip(VERDICTS, "✓✓≈○–⊘✗", strict=True))
"""Verdict -> sign. The word always goes with it."""

ASCII_SIGNS: dict[str, str] = dict(zip(VERDICTS, "++~o-/x", strict=True))
"""Verdict -> sign, for terminals without Unicode."""

_SHAPES = {
    "certified": '<path d="M3 8.5 6.5 12 13 4.5"/>',
    "conditional": '<circle cx="8" cy="8" r="5"/>'
    '<path d="M8 3a5 5 0 0 0 0 10z" fill="currentColor" stroke="none"/>',
    "consistent": '<path d="M2.5 6.5c2-2 3.5-2 5.5-.7s3.5 1.3 5.5-.8'
    'M2.5 11c2-2 3.5-2 5.5-.7s3.5 1.3 5.5-.8"/>',
    "vacuous": '<circle cx="8" cy="8" r="5"/>',
    "inapplicable": '<path d="M3 8h10"/>',
    "refused": '<circle cx="8" cy="8" r="5.3"/><path d="M4.3 11.7 11.7 4.3"/>',
    "refuted": '<path d="M3.5 3.5l9 9M12.5 3.5l-9 9"/>',
}

NAMESPACE = "http://www.w3.org/2000/svg"


def sign(verdict: str) -> str:
    """The sign of a verdict as inline SVG of 16 x 16 units, in the colour of the text around it."""
    return (
        f'<svg xmlns="{NAMESPACE}" class="sign" viewBox="0 0 16 16" width="1em" height="1em" '
        'aria-hidden="true" fill="none" stroke="currentColor" stroke-width="2" '
        f'stroke-linecap="round" stroke-linejoin="round">{_SHAPES[verdict]}</svg>'
    )
