"""Control: the verification identity, dual bounds, and the Riccati equation."""

from fractions import Fraction

import numpy as np

from infsup.core.figure import Curve, Figure
from infsup.theorems.registry import Compared, Finding, generator, short, theorem


@theorem(
    "D04",
    "The verification identity: what a control costs above the best",
    statement=r"J(u)-V(x_0)=\int_0^T\!\Big[H(x,u)-\min_{v}H(x,v)\Big]\,dt,\qquad"
    r" H(x,u)-\min_{v}H(x,v)=(u-u^*)^{\mathsf T}R\,(u-u^*)",
    hypotheses=(
        "H(x, u) = l(x, u) + ⟨∇V, f(x, u)⟩, V is C¹ and solves Hamilton-Jacobi-Bellman",
        "for the second equality: cost xᵀQx + uᵀRu, dynamics affine in u",
    ),
    source="[fleming2006controlled], Theorem I.5.1; completion of squares",
    kind="proved_real",
)
def verification_identity(size, key, broken=False):
    r"""A non-linear feedback of a cart: its cost, the integral, and the certificate agree.

    Derivation: d/dt V(t, x) = V_t + grad V . f(x, u) = H(x, u, grad V) - l - min H along the path
    of u; integrate, with V(T) = g. With H = l + grad V . (A x + B u), grad V = 2 P x, the minimum
    is at u* = -R^-1 B'P x and H(u) - H(u*) = (u - u*)'R(u - u*). Both integrals by Runge-Kutta of
    order 4; V by the library's Riccati method. Broken: the factor 1/2 of the other convention.
    """
    import jax
    import jax.numpy as jnp

    from infsup import certify, control, run
    from infsup.problems.controlled import double_integrator

    problem = double_integrator()
    found = run(problem, control.Riccati(), 0)
    law = found.answer
    best = getattr(law, "answer", law)
    z0 = np.append(problem.x0, 1.0)
    value = float(z0 @ np.asarray(found.evidence["value"])[0] @ z0)

    def feedback(t, x):
        return jnp.array([-jnp.tanh(2 * x[0]) - 0.7 * x[1] + 0.2 * jnp.sin(3 * t)])

    def slope(t, z):
        x = z[:2]
        u, v = feedback(t, x), best(t, x)
        cost = problem.running(t, x, u)
        excess = (0.5 if broken else 1.0) * jnp.sum((u - v) ** 2)
        return jnp.concatenate([problem.drift(t, x, u), jnp.array([cost, excess])])

    steps = {"quick": 1000, "default": 4000, "full": 20_000}[size]
    h = problem.horizon / steps

    @jax.jit
    def path(z):
        def step(z, k):
            t = k * h
            a = slope(t, z)
            b = slope(t + h / 2, z + h / 2 * a)
            c = slope(t + h / 2, z + h / 2 * b)
            d = slope(t + h, z + h * c)
            return z + h / 6 * (a + 2 * b + 2 * c + d), z

        end, seen = jax.lax.scan(step, z, jnp.arange(steps, dtype=float))
        return jnp.concatenate([seen, end[None]])

    z = np.asarray(path(jnp.append(jnp.asarray(problem.x0), jnp.zeros(2))))
    cost = float(z[-1, 2]) + float(problem.terminal(jnp.asarray(z[-1, :2])))
    excess = float(z[-1, 3])
    bracket = certify(problem, feedback, control.RiccatiGap())
    compared = (
        Compared("J(u) − V against the integral", cost - value, "==", excess, 1e-6),
        Compared("upper end of the certificate", float(bracket.upper), ">=", excess, 1e-9),
        Compared("lower end of the certificate", float(bracket.lower), "<=", excess, 1e-9),
    )
    t = np.linspace(0, problem.horizon, steps + 1)
    shown = np.linspace(0, steps, 200).astype(int)
    figure = Figure(
        (
            Curve(t[shown], np.full(200, cost - value), "J(u) − V", "grey", "dashed"),
            Curve(t[shown], z[shown, 3], "∫(u − u*)² up to t", "accent"),
        ),
        "t",
        "cost above the best",
        "What the control loses at each moment adds up to all that it loses.",
    )
    return Finding(compared, figure, f"J(u) = {cost:.6f}, V = {value:.6f}.")


@theorem(
    "D05",
    "A subsolution bounds the cost of every control from below",
    statement=r"v_t+\min_u H(x,u,\nabla v)\ge0,\qquad v(T,\cdot)\le g"
    r"\;\Longrightarrow\; v(0,x_0)\le V(x_0)\le J(u)\ \text{ for all } u",
    hypotheses=("v is C¹", "the inequality holds on the whole domain, for all t"),
    source="[vinter1993convex], weak duality; derived here",
    kind="proved",
)
def hjb_subsolution(size, key, broken=False):
    r"""A polynomial of t times x^2, proved to be a subsolution in rational arithmetic.

    Derivation: along any control d/dt v(t, x) = v_t + grad v . f >= -l(x, u), because v_t + H(x, u,
    grad v) >= v_t + min H >= 0; integrate from 0 to T. For x' = a x + u, cost x^2 + u^2 and v =
    w(t) x^2 the inequality is w' + 2 a w - w^2 + 1 >= 0. w is a fit of the library's Riccati
    solution, lowered by e (1 + 4(T - t)); the polynomial on the left is exact, and is bounded from
    below by its Bernstein coefficients. Broken: it is raised instead.
    """
    from infsup import control, run

    a, T, x0 = 0.5, 3.0, 1.3
    problem = control.linear_quadratic(a, 1.0, 1.0, 1.0, horizon=T, x0=np.array([x0]))
    found = run(problem, control.Riccati(), 0)
    P = np.asarray(found.evidence["value"])
    law = getattr(found.answer, "answer", found.answer)
    value = float(P[0, 0, 0]) * x0**2
    times, p = np.asarray(law.times), P[:, 0, 0]
    # in s = t/T in [0, 1], so that Bernstein's basis fits
    fit = np.polynomial.Chebyshev.fit(times / T, p, 18, domain=[0, 1])
    power = fit.convert(kind=np.polynomial.Polynomial, domain=[-1, 1], window=[-1, 1]).coef
    margin = Fraction(1, 10**4) * (-1 if broken else 1)
    w = [Fraction(float(c)) for c in power]
    w[0] -= margin * (1 + 4 * Fraction(T))
    w[1] += margin * 4 * Fraction(T)
    rate = [k * c / Fraction(T) for k, c in enumerate(w)][1:]
    square = [Fraction(0)] * (2 * len(w) - 1)
    for i, c in enumerate(w):
        for j, d in enumerate(w):
            square[i + j] += c * d
    left = [-c for c in square]
    for k, c in enumerate(rate):
        left[k] += c
    for k, c in enumerate(w):
        left[k] += 2 * Fraction(a) * c
    left[0] += 1
    least = _least_on_unit(left, {"quick": 16, "default": 64, "full": 256}[size])
    lower = w[0] * Fraction(x0) ** 2
    end = sum(w, Fraction(0))

    def cost(gain: float) -> float:
        # x = x0 exp((a - k) t): the cost of u = -k x in closed form
        rate = 2 * (a - gain)
        return (1 + gain**2) * x0**2 * (np.expm1(rate * T) / rate if rate else T)

    gains = np.linspace(0.6, 2.5, 96)
    costs = np.array([cost(float(k)) for k in gains])
    compared = (
        Compared("least of v_t + min H over x², proved", short(least, up=False), ">=", 0),
        Compared("v(T)/x²", short(end, up=True), "<=", 0),
        Compared("v(0, x₀) against V", short(lower, up=True), "<=", value, 1e-9),
        Compared("v(0, x₀) against V, from below", short(lower, up=False), ">=", value - 0.01),
        Compared("V against the best linear feedback", value, "<=", float(costs.min()), 1e-9),
    )
    figure = Figure(
        (
            Curve(gains, np.full(96, float(lower)), "v(0, x₀), proved", "grey", "dashed"),
            Curve(gains, costs, "J of u = −k x", "accent"),
        ),
        "gain k",
        "cost",
        "Every feedback lies above the dual bound, which needs no control at all.",
    )
    return Finding(compared, figure, f"{float(lower):.4f} ≤ V = {value:.4f} ≤ {costs.min():.4f}.")


@theorem(
    "D07",
    "The linear-quadratic regulator: Riccati, cost and stability",
    statement=r"A^{\mathsf T}P+PA-PBR^{-1}B^{\mathsf T}P+Q=0,\qquad V(x)=x^{\mathsf T}Px,\qquad"
    r" \operatorname{Re}\lambda\,(A-BR^{-1}B^{\mathsf T}P)<0",
    hypotheses=("(A, B) stabilisable", "(A, Q) detectable, Q ⪰ 0, R ≻ 0", "infinite horizon"),
    source="[kalman1960contributions]",
    kind="proved_real",
)
def linear_quadratic_regulator(size, key, broken=False):
    r"""An unstable chain of four states: the finite-horizon solution becomes the stationary one.

    Derivation: V = x'Px solves 0 = min_u x'Qx + u'Ru + 2 x'P(Ax + Bu), with u = -R^-1 B'P x. The
    finite horizon's P(0) converges to it as exp(2 s T), s < 0 the abscissa of A - BK. The cost of
    the stationary feedback is found again by a Lyapunov equation, without Riccati. Broken: the
    quadratic term halved, as the convention l = (x'Qx + u'Ru)/2 with V = x'Px would have it.
    """
    import scipy.linalg as sl

    from infsup import control, run

    rng = generator("D07", key)
    d = 4
    A = 0.5 * np.eye(d) + np.diag([1.0, -1.0, 1.0], 1) + np.diag([0.3, 0.2, 0.1], -1)
    B = np.array([[0.0, 0.4], [1.0, 0.0], [0.0, 0.0], [0.2, 1.0]])
    Q, R = np.eye(d), np.diag([1.0, 0.5])
    x0 = rng.normal(size=d)
    problem = control.linear_quadratic(A, B, Q, R, horizon=20.0, x0=x0)
    found = run(problem, control.Riccati(), 0)
    law = getattr(found.answer, "answer", found.answer)
    P_of_t = np.asarray(found.evidence["value"])[:, :d, :d]
    P = P_of_t[0]
    S = B @ np.linalg.solve(R, B.T)
    residual = A.T @ P + P @ A - (0.5 if broken else 1.0) * P @ S @ P + Q
    K = np.linalg.solve(R, B.T @ P)
    closed = A - B @ K
    cost = sl.solve_continuous_lyapunov(closed.T, -(Q + K.T @ R @ K))
    scale = float(np.linalg.norm(P))
    abscissa = float(np.linalg.eigvals(closed).real.max())
    compared = (
        Compared("residual relative to |P|", float(np.linalg.norm(residual)) / scale, "<=", 1e-9),
        Compared("largest real part of the closed loop", abscissa, "<=", -1e-3),
        Compared("largest real part of A", float(np.linalg.eigvals(A).real.max()), ">=", 0.0),
        Compared(
            "cost of the feedback", float(x0 @ cost @ x0), "==", float(x0 @ P @ x0), 1e-8 * scale
        ),
    )
    times = np.asarray(law.times)
    gap = np.linalg.norm(P_of_t - P, axis=(1, 2)) / scale
    shown = gap > 1e-14
    figure = Figure(
        (
            Curve(
                times[shown],
                np.exp(2 * abscissa * (problem.horizon - times[shown])),
                "exp(2 s (T − t))",
                "grey",
                "dashed",
            ),
            Curve(times[shown], gap[shown], "|P(t) − P|/|P|", "accent"),
        ),
        "t",
        "distance to the stationary solution",
        "Backwards from the end, the solution settles at twice the rate of the closed loop.",
        log_y=True,
    )
    return Finding(compared, figure)


def _least_on_unit(power: list[Fraction], parts: int) -> Fraction:
    """A lower bound of a polynomial on [0, 1], exact: least Bernstein coefficient over parts."""
    from math import comb

    n, zero = len(power) - 1, Fraction(0)
    least = None
    for part in range(parts):
        at, width = Fraction(part, parts), Fraction(1, parts)
        # coefficients of q(s) = p(at + width s)
        moved = [
            sum((power[j] * comb(j, i) * at ** (j - i) for j in range(i, n + 1)), zero) * width**i
            for i in range(n + 1)
        ]
        for k in range(n + 1):
            b = sum((moved[i] * Fraction(comb(k, i), comb(n, i)) for i in range(k + 1)), zero)
            least = b if least is None or b < least else least
    assert least is not None
    return least
