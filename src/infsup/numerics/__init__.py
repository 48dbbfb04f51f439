"""What the pillars share: quadrature with an error bound, facts read off a program."""

from infsup.core.lazy import lazy

PUBLIC = {
    "Degree": "polynomial_degree",
    "NormLaw": "quadrature",
    "chords": "quadrature",
    "mean_lower": "quadrature",
    "mean_upper": "quadrature",
    "degree_in": "polynomial_degree",
    "gaussian_w2": "gaussian_transport",
    "gaussian_map": "gaussian_transport",
    "GaussianMixture": "gaussian_mixture",
    "Atoms": "gaussian_mixture",
    "ring": "gaussian_mixture",
    "radii": "newton_kantorovich",
    "polar_factor": "polar",
    "newton_schulz": "polar",
    "CUBIC": "polar",
    "JORDAN": "polar",
    "singular_value_range": "polar",
    "Plan": "entropic_transport",
    "sinkhorn": "entropic_transport",
    "oscillation": "entropic_transport",
    "transport_bracket": "entropic_transport",
}

__getattr__, __dir__ = lazy(__name__, PUBLIC)
