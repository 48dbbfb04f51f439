"""The bridge: a coupling and a conditional path; velocities, scores, denoisers follow from it.

With an independent standard normal source all noise of x_t is one, x_t = a x1 + s n. Write
D(t, x) = E[x1 | x_t = x] (denoiser) and N(t, x) = E[n | x_t = x] (noise). Then

    x = a D + s N,        velocity  v = a' D + s' N,        score = -N / s,

so each of the four gives the others. From v the inverse has the determinant a s' - s a' < 0 and is
regular at both ends; from the score, D is lost where a = 0.
"""

from typing import Any

import equinox as eqx
from jaxtyping import Array, Float

from infsup.core.registry import register
from infsup.generative.couplings import Coupling, Independent
from infsup.generative.schedules import Linear, Path

Vector = Float[Array, " d"]
Time = Float[Array, ""] | float


@register
class Bridge(eqx.Module):
    """How noise and data are joined.

    Args:
        coupling: which pairs (x0, x1).
        path: the way from the one to the other.
    """

    coupling: Coupling = Independent()
    path: Path = Linear()

    def point(self, t: Any, x0: Any, x1: Any, z: Any) -> tuple[Any, Any]:
        """x_t and its derivative in t, for given ends and fresh noise z; t broadcasts."""
        w = self.path.at(t)
        return (
            w.a * x1 + w.b * x0 + w.c * z,
            w.da * x1 + w.db * x0 + w.dc * z,
        )


# -- conversions, of an independent standard normal source ----------------------------------------


def velocity_from_parts(path: Path, t: Time, denoised: Vector, noise: Vector) -> Vector:
    """V = a' D + s' N."""
    w = path.at(t)
    return w.da * denoised + w.ds * noise


def denoised_from_velocity(path: Path, t: Time, x: Vector, velocity: Vector) -> Vector:
    """D = (s' x - s v) / (a s' - s a'); regular at both ends of linear and trigonometric paths."""
    w = path.at(t)
    return (w.ds * x - w.s * velocity) / (w.a * w.ds - w.s * w.da)


def noise_from_velocity(path: Path, t: Time, x: Vector, velocity: Vector) -> Vector:
    """N = (a v - a' x) / (a s' - s a')."""
    w = path.at(t)
    return (w.a * velocity - w.da * x) / (w.a * w.ds - w.s * w.da)


def score_from_velocity(path: Path, t: Time, x: Vector, velocity: Vector) -> Vector:
    """-N / s. At s = 0 it is 0/0: NaN or inf there; the limit exists where data have a density."""
    return -noise_from_velocity(path, t, x, velocity) / path.at(t).s


def velocity_from_denoised(path: Path, t: Time, x: Vector, denoised: Vector) -> Vector:
    """A' D + s' (x - a D)/s; 0/0 at s = 0, where v = a' x + s' N needs N."""
    w = path.at(t)
    return w.da * denoised + w.ds * (x - w.a * denoised) / w.s


def velocity_from_noise(path: Path, t: Time, x: Vector, noise: Vector) -> Vector:
    """A' (x - s N)/a + s' N; 0/0 at a = 0, where D is not known from N."""
    w = path.at(t)
    return w.da * (x - w.s * noise) / w.a + w.ds * noise


def velocity_from_score(path: Path, t: Time, x: Vector, score: Vector) -> Vector:
    """With N = -s score; 0/0 at a = 0."""
    return velocity_from_noise(path, t, x, -path.at(t).s * score)


# -- what is exact --------------------------------------------------------------------------------


def exact_velocity(law: Any, path: Path, t: Time, x: Vector) -> Vector:
    """E[dx_t/dt | x_t = x] of a law of `numerics.gaussian_mixture` under independent coupling.

    The flow of this velocity takes the law of a(0) X + s(0) n to that of a(1) X + s(1) n.

    Args:
        law: a `GaussianMixture` or `Atoms`.
        path: the conditional path.
        t: in [0, 1]; for `Atoms`, where s(t) > 0.
        x: [d].
    """
    w = path.at(t)
    return velocity_from_parts(path, t, *law.split_through(x, w.a, w.s))


def exact_score(law: Any, path: Path, t: Time, x: Vector) -> Vector:
    """Gradient of the log density of x_t at x, of a `GaussianMixture`."""
    w = path.at(t)
    return law.score_through(x, w.a, w.s)
