"""Linear dynamics and quadratic costs as stored modules, and problems made of them."""

import warnings
from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from infsup.control.matched import cole_hopf_value
from infsup.control.problem import ControlProblem
from infsup.control.radial import LogRadial
from infsup.core.errors import UsageError
from infsup.core.registry import register


def _real(x: Any, name: str) -> np.ndarray:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # a complex number would lose a part
            return np.asarray(x, np.float64)
    except (TypeError, ValueError, OverflowError, Warning):
        raise UsageError(f"`{name}` is {type(x).__name__}, not an array of real numbers") from None


def _number_or_matrix(x: Any, name: str = "a coefficient") -> np.ndarray:
    a = _real(x, name)
    if a.ndim not in (0, 2) or not np.isfinite(a).all():
        raise UsageError(
            f"`{name}` is NaN, inf or of shape {a.shape}",
            "It is a finite matrix, or a scalar for a multiple of the identity.",
            f"{name}=numpy.eye(d)   or   {name}=1.0",
        )
    return a


def _apply(a: Any, x: Any) -> Any:
    return a * x if a.ndim == 0 else jnp.asarray(a) @ x


@register
class LinearDrift(eqx.Module):
    """f(t, x, u) = A x + B u.

    Args:
        A: [d, d], or a scalar multiple of the identity.
        B: [d, m], or a scalar multiple of the identity.
    """

    A: np.ndarray = eqx.field(converter=_number_or_matrix)
    B: np.ndarray = eqx.field(converter=_number_or_matrix)

    def __call__(self, t: Any, x: Float[Array, " d"], u: Float[Array, " m"]) -> Float[Array, " d"]:
        return _apply(self.A, x) + _apply(self.B, u)


@register
class QuadraticCost(eqx.Module):
    """l(t, x, u) = x'Q x + u'R u, without the factor 1/2.

    Args:
        Q: [d, d], or a scalar multiple of the identity.
        R: [m, m], or a scalar multiple of the identity.
    """

    Q: np.ndarray = eqx.field(converter=_number_or_matrix)
    R: np.ndarray = eqx.field(converter=_number_or_matrix)

    def __call__(self, t: Any, x: Float[Array, " d"], u: Float[Array, " m"]) -> Float[Array, ""]:
        return x @ _apply(self.Q, x) + u @ _apply(self.R, u)


@register
class QuadraticTerminal(eqx.Module):
    """g(x) = x'Q x, without the factor 1/2.

    Args:
        Q: [d, d], or a scalar multiple of the identity.
    """

    Q: np.ndarray = eqx.field(converter=_number_or_matrix)

    def __call__(self, x: Float[Array, " d"]) -> Float[Array, ""]:
        return x @ _apply(self.Q, x)


def linear_quadratic(
    A: Any,
    B: Any,
    Q: Any,
    R: Any,
    terminal_Q: Any = 0.0,
    *,
    horizon: float,
    x0: Any,
    sigma: Any = 0.0,
) -> ControlProblem:
    """Minimise E[int_0^T x'Qx + u'Ru dt + x_T' Q_T x_T] for dx = (Ax + Bu)dt + sigma dW.

    Time-varying or affine coefficients: give functions of (t, x, u) to `ControlProblem`.

    Args:
        A: [d, d]; here and below a scalar is a multiple of the identity.
        B: [d, m].
        Q: [d, d], symmetric.
        R: [m, m], symmetric, positive definite.
        terminal_Q: [d, d], symmetric.
        horizon: T > 0.
        x0: [d].
        sigma: 0, a scalar, or [d, w].

    Raises:
        UsageError: shapes do not fit, Q or R is not symmetric, R is not positive definite.
    """
    d = np.size(x0)
    B_, R_ = _number_or_matrix(B, "B"), _number_or_matrix(R, "R")
    m = d if B_.ndim == 0 else B_.shape[1]
    sizes = {"A": (A, (d, d)), "B": (B, (d, m)), "Q": (Q, (d, d)), "R": (R, (m, m))}
    sizes["terminal_Q"] = (terminal_Q, (d, d))
    for name, (value, shape) in sizes.items():
        a = _number_or_matrix(value, name)
        if a.ndim == 2 and a.shape != shape:
            raise UsageError(
                f"`{name}` has shape {a.shape}, asked {shape}",
                f"d = {d} is the length of `x0`, m = {m} the number of columns of `B`.",
            )
        if name in ("Q", "R", "terminal_Q") and a.ndim == 2 and not np.allclose(a, a.T):
            raise UsageError(
                f"`{name}` is not symmetric", remedy=f"{name} = ({name} + {name}.T) / 2"
            )
    low = float(R_) if R_.ndim == 0 else float(np.linalg.eigvalsh(R_)[0])
    if low <= 0:
        raise UsageError(
            f"`R` is not positive definite: its least eigenvalue is {low:g}",
            "Without a cost on every control there is no minimum.",
            "R=1.0",
        )
    return ControlProblem(
        drift=LinearDrift(A, B),
        running=QuadraticCost(Q, R),
        terminal=QuadraticTerminal(terminal_Q),
        horizon=horizon,
        x0=x0,
        diffusion=sigma,
        controls=m,
        title=f"LQR, d = {d}, m = {m}",
    )


def hjb_lq(
    dim: int = 100, lam: float = 1.0, horizon: float = 1.0, x0: Any = None
) -> ControlProblem:
    r"""The HJB-LQ problem of the deep-BSDE literature, with its exact value.

    dX = 2 sqrt(lam) u dt + sqrt(2) dW, cost E[int |u|^2 dt + ln((1 + |X_T|^2)/2)]. By Cole-Hopf
    V(0, x0) = -(1/lam) ln E[(2/(1 + |x0 + sqrt(2T) Z|^2))^lam], Z standard normal: a
    one-dimensional integral over a noncentral chi square, here by Gauss-Legendre quadrature (64
    nodes on each of 24 panels; both halves agree to 1e-12).

    Args:
        dim: d >= 1.
        lam: strength of the control, > 0.
        horizon: T > 0.
        x0: [d]; default 0.

    Source: J. Han, A. Jentzen and W. E, PNAS 115 (2018) 8505-8510, and the public code of DeepBSDE
        (equation HJBLQ).
    """
    if not isinstance(dim, int) or isinstance(dim, bool) or not 1 <= dim < 2**31:
        raise UsageError(f"`dim` is {dim!r}", "It is the dimension of the state.", "dim=100")
    if not isinstance(lam, (int, float, np.number)) or not 0.0 < lam < np.inf:
        raise UsageError(f"`lam` is {lam!r}", "The control needs a positive strength.", "lam=1.0")
    start = np.zeros(dim) if x0 is None else _real(x0, "x0")
    draft = ControlProblem(
        drift=LinearDrift(0.0, 2.0 * float(np.sqrt(lam))),
        running=QuadraticCost(0.0, 1.0),
        terminal=LogRadial(),
        horizon=horizon,
        x0=start,
        diffusion=float(np.sqrt(2.0)),
        controls=dim,
        title=f"HJB-LQ, d = {dim}, λ = {lam:g}",
    )
    value = cole_hopf_value(
        lambda r: np.log1p(r * r) - np.log(2.0), dim, lam, horizon, float(np.linalg.norm(start))
    )
    return eqx.tree_at(lambda p: p.truth, draft, value, is_leaf=lambda x: x is None)
