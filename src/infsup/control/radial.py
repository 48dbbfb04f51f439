"""Terminal costs that depend on |x| alone, with the constants that bounds need."""

import abc
from typing import Any, ClassVar

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from infsup.core.registry import register


class Radial(eqx.Module):
    """A terminal cost g(x) = profile(|x|), with declared constants.

    A subclass is final and gives `profile`, `floor` and `curvature`. The constants are part of a
    proof: state in its docstring why they hold and set `checked`; left at False they are `assumed`
    hypotheses, and every certificate says so.
    """

    checked: ClassVar[bool] = False
    """True: the docstring derives the constants."""

    @abc.abstractmethod
    def profile(self, r: Any) -> Any:
        """The cost at radius r >= 0, elementwise; extended evenly it is differentiable."""

    @property
    @abc.abstractmethod
    def floor(self) -> float:
        """profile(r) >= floor for all r >= 0, finite."""

    @abc.abstractmethod
    def curvature(self, low: Any, high: Any) -> tuple[Any, Any]:
        """(a, b) with a <= profile'' <= b on [low, high], 0 <= low <= high <= inf, elementwise.

        Constants that hold everywhere will do; finer ones make certificates cheaper.
        """

    def __call__(self, x: Float[Array, " d"]) -> Float[Array, ""]:
        return self.profile(jnp.sqrt(jnp.sum(x * x)))


@register
class LogRadial(Radial):
    """g(x) = ln((1 + |x|^2)/2), the terminal cost of the 100-dimensional HJB-LQ problem.

    profile(r) = ln((1 + r^2)/2) is even and smooth; its least value is at 0. With s = r^2,
    profile'' = 2(1 - s)/(1 + s)^2; its derivative in s, 2(s - 3)/(1 + s)^3, vanishes at s = 3
    alone, so profile'' falls from 2 at r = 0 to -1/4 at r^2 = 3 and then rises to 0.
    """

    checked: ClassVar[bool] = True

    def profile(self, r: Any) -> Any:
        return jnp.log1p(r * r) - jnp.log(2.0)

    @property
    def floor(self) -> float:
        # rounded down from -ln 2 = -0.693147180559945309...
        return -0.6931471805599454

    def curvature(self, low: Any, high: Any) -> tuple[Any, Any]:
        def second(s):
            return 2 / (1 + s) * (2 / (1 + s) - 1)  # 2(1 - s)/(1 + s)^2, finite at s = inf

        s, t = low * low, high * high
        a, b = second(s), second(t)
        least = jnp.where((s <= 3.0) & (t >= 3.0), -0.25, jnp.minimum(a, b))
        largest = jnp.maximum(a, b)
        # 1e-14: above the few ulp that `second` may err
        return least - 1e-14, largest + 1e-14

    def __call__(self, x: Float[Array, " d"]) -> Float[Array, ""]:
        # without the square root, whose derivative at 0 is NaN
        return jnp.log1p(jnp.sum(x * x)) - jnp.log(2.0)
