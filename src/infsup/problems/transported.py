"""Transport problems of the gallery."""

from infsup.data import digits as read_digits
from infsup.generative.problem import Transport
from infsup.numerics.gaussian_mixture import ring


def eight_gaussians(radius: float = 5.0, spread: float = 1.0, modes: int = 8) -> Transport:
    """Equal Gaussians on a circle in the plane; density and velocities in closed form.

    Args:
        radius: of the circle.
        spread: standard deviation of each Gaussian.
        modes: how many.
    """
    return Transport(ring(modes, radius, spread))


def digits_flow(key: int = 0, share: float = 0.8) -> Transport:
    """The packaged digits as draws of a law on [0, 1]^64.

    Args:
        key: of the split.
        share: of the rows to fit.
    """
    return Transport(read_digits(), key=key, share=share)
