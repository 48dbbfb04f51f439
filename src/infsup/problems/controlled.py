"""Control problems of the gallery."""

import numpy as np

from infsup.control.problem import ControlProblem
from infsup.control.quadratic import hjb_lq, linear_quadratic


def hjb_lq_100(lam: float = 1.0, dim: int = 100, horizon: float = 1.0) -> ControlProblem:
    """From X_0 = 0, dX = 2 sqrt(lam) u dt + sqrt(2) dW; E[int |u|^2 dt + ln((1 + |X_T|^2) / 2)].

    Args:
        lam: strength of the control, > 0. The literature's benchmark has 1; there, doing nothing
            is 0.22 % from the optimum, so 20 and 50 are the honest ones.
        dim: dimension of the state.
        horizon: T.
    """
    return hjb_lq(dim=dim, lam=lam, horizon=horizon)


def double_integrator(horizon: float = 2.0) -> ControlProblem:
    """A cart x'' = u from x = 1 at rest, cost int (x^2 + x'^2 + u^2) dt + |state|^2 at the end.

    Args:
        horizon: T.
    """
    A = np.array([[0.0, 1.0], [0.0, 0.0]])
    B = np.array([[0.0], [1.0]])
    return linear_quadratic(
        A, B, np.eye(2), np.eye(1), terminal_Q=np.eye(2), horizon=horizon, x0=np.array([1.0, 0.0])
    )
