"""A controlled diffusion with running and terminal cost: the problem of this pillar."""

import math
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from infsup.control.feedback import ZeroControl
from infsup.core.answers import Function, shape_of
from infsup.core.certificate import Hypothesis
from infsup.core.errors import UsageError
from infsup.core.problem import Problem

Shape = jax.ShapeDtypeStruct


def _point(x: Any) -> np.ndarray:
    try:
        found = np.array(x, np.float64)  # a copy, which nobody else can write to
    except (TypeError, ValueError):
        raise UsageError(
            f"`x0` is {type(x).__name__}, not an array of numbers", remedy="x0=numpy.zeros(3)"
        ) from None
    found.flags.writeable = False
    return found


class ControlProblem(Problem):
    r"""Minimise E[int_0^T l(t,X,u) dt + g(X_T)] over controls u of dX = f(t,X,u)dt + sigma dW.

    Time runs forward in [0, T]; X_0 = `x0`; u is adapted (any feedback u(t, x) is), in R^m. With
    `diffusion=0` this is a deterministic problem. Functions see one sample: scalar `t`, `x[d]`,
    `u[m]`, and are written with `jax.numpy`.

    Args:
        drift: f(t, x, u) -> [d].
        running: l(t, x, u) -> scalar.
        terminal: g(x) -> scalar; a `Radial` says that it depends on |x| alone.
        horizon: T > 0, finite.
        x0: the initial state, [d], finite; kept as NumPy float64.
        diffusion: sigma: 0, a scalar s >= 0 (s times the identity), an array [d, w], or a function
            (t, x, u) -> [d, w].
        controls: m >= 1, the number of controls.
        truth: the exact value inf J, where it is known.
        title: what to call the problem in print.

    Raises:
        UsageError: one for each argument that cannot be used.
    """

    needs_64_bit = True

    drift: Callable
    running: Callable
    terminal: Callable
    horizon: float
    x0: np.ndarray = eqx.field(converter=_point)
    diffusion: Any = 0.0
    controls: int = eqx.field(static=True, default=1)
    truth: float | None = None  # type: ignore[override]  # a field in place of the property
    title: str = eqx.field(static=True, default="")

    def __check_init__(self):
        horizon = self.horizon
        if not isinstance(horizon, (int, float)) or not 0.0 < horizon < math.inf:
            raise UsageError(
                f"`horizon` is {horizon!r}", "Time runs in [0, horizon].", remedy="horizon=1.0"
            )
        if self.x0.ndim != 1 or self.x0.size == 0:
            raise UsageError(
                f"`x0` has shape {self.x0.shape}, asked [d]",
                "One initial state, without a batch axis.",
                "x0=numpy.zeros(3)",
            )
        if not np.isfinite(self.x0).all():
            raise UsageError("`x0` holds NaN or inf", remedy=f"x0=numpy.zeros({self.x0.size})")
        m = self.controls
        if not isinstance(m, int) or isinstance(m, bool) or m < 1:
            raise UsageError(
                f"`controls` is {m!r}", "It is the number of controls.", remedy="controls=1"
            )
        t, x, u = self.sample_shapes()
        d = self.x0.size
        _looks_like(self.drift, "drift", (t, x, u), (d,))
        _looks_like(self.running, "running", (t, x, u), ())
        _looks_like(self.terminal, "terminal", (x,), ())
        self._check_diffusion(t, x, u)

    def _check_diffusion(self, *args: Shape) -> None:
        sigma, d = self.diffusion, self.x0.size
        if callable(sigma):
            _looks_like(sigma, "diffusion", args, (d, None))
            return
        try:
            a = np.asarray(sigma, np.float64)
        except (TypeError, ValueError):
            raise UsageError(
                f"`diffusion` is {type(sigma).__name__}",
                remedy="diffusion=0.3   or an array [d, w]   or a function (t, x, u) -> [d, w]",
            ) from None
        if not np.isfinite(a).all() or (a.ndim == 0 and a < 0):
            raise UsageError(
                f"`diffusion` is {a if a.ndim == 0 else 'an array with NaN or inf'}",
                "It is finite, and a scalar is not negative.",
                "diffusion=0.3",
            )
        if a.ndim not in (0, 2) or (a.ndim == 2 and a.shape[0] != d):
            raise UsageError(
                f"`diffusion` has shape {a.shape}, asked a scalar or [{d}, w]",
                "sigma(t, x, u) dW is added to the state, which has the shape of `x0`.",
                f"numpy.eye({d})",
            )

    def sample_shapes(self) -> tuple[Shape, Shape, Shape]:
        """Shapes and dtypes of one (t, x, u)."""
        real = jnp.result_type(float)
        return Shape((), real), Shape(self.x0.shape, real), Shape((self.controls,), real)

    @property
    def asks(self) -> Function:
        """A control law u(t, x) -> [m], or u(t, x, key)."""
        t, x, u = self.sample_shapes()
        return Function((t, x), u)

    def trivial(self) -> dict[str, Any]:
        return {"do nothing": ZeroControl(self.controls)}

    def hypotheses(self) -> tuple[Hypothesis, ...]:
        from infsup.control.structure import structure_of

        return structure_of(self).hypotheses()

    @property
    def name(self) -> str:
        return self.title or f"ControlProblem, d = {self.x0.size}"


def _looks_like(f: Any, name: str, args: tuple[Shape, ...], out: tuple) -> None:
    """The function takes these arguments and gives that shape (None: any length)."""
    takes = "(t, x, u)" if len(args) == 3 else "(x)"
    if not callable(f):
        raise UsageError(f"`{name}` is {type(f).__name__}, not a function {takes}")
    asked = "[" + ", ".join("w" if n is None else str(n) for n in out) + "]" if out else "a scalar"
    try:
        got = eqx.filter_eval_shape(f, *args)
    except (
        jax.errors.TracerArrayConversionError,
        jax.errors.ConcretizationTypeError,
        jax.errors.TracerBoolConversionError,
    ) as e:
        raise UsageError(
            f"`{name}` cannot be traced by JAX: {str(e).splitlines()[0]}",
            "Its program decides which theorems hold.",
            "jax.numpy in place of numpy, jax.lax.cond in place of if",
        ) from None
    except (TypeError, ValueError, IndexError) as e:
        seen = ", ".join(shape_of(a) for a in args)
        raise UsageError(
            f"`{name}` fails on one sample {takes} = ({seen}): {str(e).splitlines()[0]}",
            "Functions see one sample, without a batch axis.",
            f"def {name}{takes}: ... -> {asked}",
        ) from None
    shape = tuple(getattr(got, "shape", np.shape(got) if isinstance(got, (int, float)) else (-1,)))
    if len(shape) != len(out) or any(n not in (None, k) for n, k in zip(out, shape, strict=True)):
        raise UsageError(
            f"`{name}` gives {shape_of(got)}, asked {asked}",
            "d is the length of `x0`, m is `controls`.",
        )
