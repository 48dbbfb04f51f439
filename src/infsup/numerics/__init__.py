"""What the pillars share: quadrature with an error bound, facts read off a program."""

from infsup.core.lazy import lazy

PUBLIC = {
    "Degree": "polynomial_degree",
    "NormLaw": "quadrature",
    "chords": "quadrature",
    "mean_lower": "quadrature",
    "mean_upper": "quadrature",
    "degree_in": "polynomial_degree",
}

__getattr__, __dir__ = lazy(__name__, PUBLIC)
