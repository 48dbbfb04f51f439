"""Optimisation: rates that are attained, a-posteriori gaps, and what the limits are."""

import math
from fractions import Fraction
from typing import Any

import numpy as np

from infsup.core.figure import Curve, Figure
from infsup.theorems.registry import Compared, Finding, generator, pick, theorem


@theorem(
    "B04",
    "Gradient descent finds a small gradient, convex or not",
    statement=r"\min_{0\le k<K}\|\nabla f(w_k)\|^2 \;\le\; \frac{4L\,(f(w_0)-f^*)}{3K-1}"
    r"\;\le\; \frac{2L\,(f(w_0)-f^*)}{K},\qquad w_{k+1}=w_k-\tfrac1L\nabla f(w_k)",
    hypotheses=("∇f is L-Lipschitz", "f ≥ f* > −∞", "step 1/L"),
    source="[nesterov2018lectures], Section 1.2.3 (right); [abbaszadehpeivasti2022exact] (left);"
    " both derived here",
    kind="proved_real",
)
def gradient_descent_stationarity(size, key, broken=False):
    r"""Gradient descent on the worst function there is, and on a non-convex sum of logarithms.

    Derivation: with steps 1/L, f(w) is at most the parabola of curvature L that touches it at w_k,
    and at least the one of curvature -L that touches it at w_{k+1}. Their difference is a concave
    quadratic function of w whose maximum, f_k - f_{k+1} - |g_k|^2/(2L) - |g_{k+1}|^2/(4L), is
    therefore not below zero. Sum over k < K - 1 and add f_{K-1} - f* >= |g_{K-1}|^2/(2L): the least
    of the |g_k|^2, times (1/2 + 3 (K - 1)/4)/L = (3K - 1)/(4L), is at most f_0 - f*. Attained: the
    slope is G at all iterates and falls to G/2 between, with curvature L and -L, then to 0 behind
    the last. The right bound uses |g_k|^2/(2L) alone. Broken: 3K in place of 3K - 1.
    """
    import jax.numpy as jnp

    from infsup.optimization import GradientDescent, Minimize
    from infsup.theorems.trajectories import iterates

    K = pick(size, 50, 200, 2000)
    L, G = 2.0, 3.0
    t = G / L
    compared, curves = [], []

    def hardest(w):
        # slope G - L |distance to the nearest iterate|; behind 0 the parabola down to -t
        nearest = jnp.floor(w / t + 0.5)
        rest = w - nearest * t
        ahead = G * G / (2 * L) + G * w - L * (nearest * t * t / 4 + rest * jnp.abs(rest) / 2)
        return jnp.sum(jnp.where(w > 0, ahead, L / 2 * (w + t) ** 2))

    def logarithms(w):
        return jnp.sum(jnp.log1p(w**2))

    start = 3.0 * generator("B04", key).normal(size=20)
    k = np.arange(1, K + 1)
    for name, f, w0 in (
        ("the worst function", hardest, [(K - 1) * t]),
        ("Σ log(1 + w²)", logarithms, start),
    ):
        problem = Minimize(f, jnp.zeros(len(w0)))
        w = iterates(GradientDescent(rate=1 / L, steps=K), problem, jnp.asarray(w0))
        squared = np.sum((L * (w[:-1] - w[1:])) ** 2, 1)
        above = float(f(jnp.asarray(w0)))
        bound = 4 * L * above / (3 * k - (0 if broken else 1))
        least = np.minimum.accumulate(squared)
        worst = K - 1 if name != "Σ log(1 + w²)" else int(np.argmax(least / bound))
        compared.append(
            Compared(
                f"least squared gradient of {name}, K = {worst + 1}",
                float(least[worst]),
                "<=",
                float(bound[worst]),
                1e-10 * G**2,
                "attained" if worst == K - 1 else "the K at which the two are closest",
            )
        )
        if name == "the worst function":
            compared += [
                Compared("the same over the left bound", least[-1] / bound[-1], "==", 1.0, 1e-10),
                Compared("left bound", bound[-1], "<=", 2 * L * above / K),
            ]
            curves = [
                Curve(k, 2 * L * above / k, "2L(f − f*)/K", "grey", "dashed"),
                Curve(k, bound, "4L(f − f*)/(3K − 1)", "ink", "dashed"),
                Curve(k, least, "least squared gradient", "accent"),
            ]
    figure = Figure(
        tuple(curves),
        "steps K",
        "squared gradient",
        "On this function no step shows a smaller gradient, until the bound is reached.",
        log_y=True,
    )
    return Finding(tuple(compared), figure, "The left bound is attained, for every K.")


@theorem(
    "B05",
    "Gradient descent on convex functions: the exact worst case",
    statement=r"f(w_k)-f^* \;\le\; \frac{L\,\|w_0-w^*\|^2}{4k+2},"
    r"\qquad w_{k+1}=w_k-\tfrac1L\nabla f(w_k)",
    hypotheses=("f convex", "∇f is L-Lipschitz", "step 1/L", "a minimiser w* exists"),
    source="[drori2014performance], Theorem 3.1; that it is attained is derived here",
    kind="proved_real",
)
def gradient_descent_worst_case(size, key, broken=False):
    r"""Gradient descent on all Huber functions at once: the largest gap is the bound.

    Derivation that it is attained: let f be the Huber function with corner t = R/(2k+1) and slope
    L t, from w_0 = R. While w_j >= t the gradient is L t, so w_j = R - j t, and w_k = (k+1) t >= t.
    Hence f(w_k) = L t w_k - L t^2/2 = L t^2 (k + 1/2) = L R^2/(4k + 2).

    That no convex function is worse (L = 1): add f_{i-1} - f_i >= <g_i, w_{i-1} - w_i> + |g_{i-1} -
    g_i|^2/2 with weights l_i = i/(2k+1-i), and f* - f_i >= <g_i, w* - w_i> + |g_i|^2/2 with weights
    l_1, l_{i+1} - l_i, 1 - l_k. The values leave f* - f_k, so the claim is that a quadratic form in
    w_0 - w*, g_0, ..., g_k is not negative: its elimination is done here in rationals. Broken: the
    denominator 4k + 3.
    """
    import jax.numpy as jnp

    from infsup.optimization import GradientDescent, Minimize
    from infsup.theorems.trajectories import iterates

    L, R = 2.0, 3.0
    ks = [1, 5, 20] if size == "quick" else [1, 2, 5, 10, 20, 50, 100]
    corners = np.unique([R / (2 * k + 1) for k in ks] + list(np.geomspace(0.005, 1.2, 400) * R))
    t = jnp.asarray(corners)

    def each(w):
        inside = L / 2 * w**2
        return jnp.where(jnp.abs(w) <= t, inside, L * t * jnp.abs(w) - L * t * t / 2)

    # the family is one separable function: gradient descent treats each coordinate alone
    problem = Minimize(lambda w: jnp.sum(each(w)), t)
    w = iterates(GradientDescent(rate=1 / L, steps=max(ks)), problem, jnp.full(len(t), R))
    compared = []
    for k in ks:
        gaps = np.asarray(each(jnp.asarray(w[k])))
        bound = L * R**2 / (4 * k + (3 if broken else 2))
        compared.append(
            Compared(f"largest gap after {k} steps", float(gaps.max()), "==", bound, 1e-12 * bound)
        )
    for k in (1, 5, 20):
        # the claim's constant, doubled, is the weight of |w_0 - w*|^2
        weight = Fraction(2, 4 * k + (3 if broken else 2))
        pivot = _worst_case_pivot(k, weight)
        compared.append(Compared(f"least pivot of the proof for {k} steps", pivot, ">=", 0))
    k = ks[1]
    figure = Figure(
        (
            Curve(corners / R, np.full(len(t), L * R**2 / (4 * k + 2)), "bound", "grey", "dashed"),
            Curve(corners / R, np.asarray(each(jnp.asarray(w[k]))), f"gap, k = {k}", "accent"),
        ),
        "corner t of the Huber function, relative to the distance",
        "gap",
        f"The worst corner is 1/(2k + 1) = 1/{2 * k + 1}, and there the gap is the bound.",
        log_x=True,
    )
    return Finding(
        tuple(compared), figure, "Attained, and for 1, 5 and 20 steps proved here in rationals."
    )


@theorem(
    "B08",
    "Newton's method converges quadratically",
    statement=r"\|e_{k+1}\| \;\le\; \frac{M\,\|e_k\|^2}{2\,(\mu-M\|e_k\|)},\qquad e_k=w_k-w^*",
    hypotheses=(
        "the Hessian is M-Lipschitz",
        "H(w*) ⪰ μ I, μ > 0",
        "‖e₀‖ < 2μ/(3M), so that the errors fall",
        "full steps",
    ),
    source="[nesterov2018lectures], Theorem 1.2.5",
    kind="proved_real",
)
def newton_quadratic(size, key, broken=False):
    r"""Newton on w^2/2 + w^3/6 from both sides, where the bound is attained from the left.

    Derivation: e+ = H(w)^-1 (H(w) e - g(w)) and g(w) = int_0^1 H(w* + s e) e ds, so |H e - g| <=
    int M (1-s)|e|^2 ds = M|e|^2/2, and |H(w)^-1| <= 1/(mu - M|e|). For f = w^2/2 + w^3/6 (mu = M =
    1), e+ = (e^2/2)/(1 + e): equality where e < 0. Below 2 mu/(3M) the right side is below |e|.
    Broken: the denominator 2 mu, without - M|e|.
    """
    import jax.numpy as jnp

    from infsup.optimization import Minimize, Newton
    from infsup.theorems.trajectories import iterates

    problem = Minimize(lambda w: jnp.sum(w**2 / 2 + w**3 / 6), jnp.zeros(1))
    compared, curves = [], []
    starts = [-0.3, 0.3] if size == "quick" else [-0.6, -0.3, -0.1, 0.1, 0.3, 0.6]
    for start in starts:
        e = iterates(Newton(steps=5, tolerance=0.0), problem, jnp.full(1, start))[:, 0]
        first, after = np.abs(e[:-1]), np.abs(e[1:])
        bound = first**2 / (2 * (1 - (0 if broken else first)))
        used = first**2 > 1e-12
        worst = int(np.argmax(np.where(used, after / bound, 0)))
        compared.append(
            Compared(
                f"error after step {worst + 1} from {start}",
                float(after[worst]),
                "<=",
                float(bound[worst]),
                1e-14,
                "the step at which the two are closest",
            )
        )
        if start < 0:
            # after it the errors are positive, and the bound is not attained
            first_two = float(after[0]), float(bound[0])
            compared.append(
                Compared(
                    f"error after step 1 from {start}", first_two[0], "==", first_two[1], 1e-14
                )
            )
        if start == -0.3:
            x = np.geomspace(1e-7, 0.5, 100)
            curves = [
                Curve(x, x**2 / (2 * (1 - x)), "bound", "grey", "dashed"),
                Curve(first[used], after[used], "steps of Newton", "accent", "points"),
            ]
    figure = Figure(
        tuple(curves),
        "error before the step",
        "error after the step",
        "Each step squares the error; the first one attains the bound.",
        log_x=True,
        log_y=True,
    )
    return Finding(tuple(compared), figure)


@theorem(
    "B09",
    "Newton and Kantorovich: a root is near, and how near",
    statement=r"h=\beta\eta K\le\tfrac12 \;\Longrightarrow\; \exists\, x^*:\; F(x^*)=0,\;"
    r" \|x^*-x_0\|\le t^*=\frac{1-\sqrt{1-2h}}{\beta K}",
    hypotheses=(
        "‖F'(x₀)⁻¹‖ ≤ β, ‖F'(x₀)⁻¹F(x₀)‖ ≤ η",
        "F' is K-Lipschitz on the ball of radius t*",
        "βηK ≤ 1/2",
    ),
    source="[kantorovich1982functional], Chapter XVIII",
    kind="proved_real",
)
def newton_kantorovich(size, key, broken=False):
    r"""The radius for a square root, where it is attained, and for a Riccati equation.

    Derivation for quadratics: with F(x) = x^2 - 2, x_0 = 3/2: beta = 1/3, eta = 1/12, K = 2, and
    t* = (1 - sqrt(8/9))/(2/3) = 3/2 - sqrt 2, the distance itself; t** = 3/2 + sqrt 2 is the
    distance of the other root. For F(P) = A'P + PA - PSP + Q the derivative X -> (A-SP)'X + X(A-SP)
    is a matrix, and |F'(P) - F'(P')| <= 2|S||P - P'|. Its point is the Riccati solution of a finite
    horizon. Broken: the radius eta, the length of one Newton step, which is too short.
    """
    import scipy.linalg as sl

    from infsup import control, run
    from infsup.numerics import radii

    compared = []
    r = radii(Fraction(1, 3), Fraction(1, 12), 2)
    root2 = math.sqrt(2.0)
    inner = 1 / 12 if broken else r.inner
    compared.append(Compared("|x₀ − √2| at x₀ = 3/2", 1.5 - root2, "<=", inner, 1e-15))
    compared.append(
        Compared("radius over distance", inner / (1.5 - root2), "==", 1.0, 1e-14, "attained")
    )
    compared.append(Compared("|x₀ + √2|", 1.5 + root2, ">=", r.outer, 1e-14, "no root before t**"))
    A, B = np.array([[0.0, 1.0], [0.0, 0.0]]), np.array([[0.0], [1.0]])
    Q, S = np.eye(2), B @ B.T
    truth = sl.solve_continuous_are(A, B, Q, np.eye(1))
    horizons = [3.0, 4.0, 8.0] if size == "quick" else [3.0, 3.5, 4.0, 5.0, 6.0, 7.0, 8.0]
    points = []
    for horizon in horizons:
        problem = control.linear_quadratic(A, B, Q, 1.0, horizon=horizon, x0=np.ones(2))
        P = np.asarray(run(problem, control.Riccati(), 0).evidence["value"])[0, :2, :2]
        closed = A - S @ P
        derivative = np.kron(np.eye(2), closed.T) + np.kron(closed.T, np.eye(2))
        residual = A.T @ P + P @ A - P @ S @ P + Q
        step = np.linalg.solve(derivative, residual.ravel())
        beta = 1 / np.linalg.svd(derivative, compute_uv=False)[-1]
        eta = float(np.linalg.norm(step))
        found = eta if broken else radii(float(beta), eta, 2 * float(np.linalg.norm(S, 2))).inner
        points.append((horizon, float(np.linalg.norm(P - truth)), found))
    for horizon, error, found in points:
        compared.append(
            Compared(f"|P − P*| of horizon {horizon:g}", error, "<=", found, 1e-12 + 1e-9 * found)
        )
    h, e, f = (np.array(c) for c in zip(*points, strict=True))
    figure = Figure(
        (Curve(h, f, "radius t*", "grey", "dashed"), Curve(h, e, "true distance", "accent")),
        "horizon of the Riccati equation",
        "distance to the stationary solution",
        "The radius, computed from the residual alone, is all but the true distance.",
        log_y=True,
    )
    note = f"For the Riccati equation the radius is at most {(f / e).max():.3f} times the distance."
    return Finding(tuple(compared), figure, note)


@theorem(
    "B13",
    "Stochastic gradient descent on strongly convex functions",
    statement=r"\mathbb{E}\|w_k-w^*\|^2 \;\le\; \frac{\max(M^2/\mu^2,\ \|w_1-w^*\|^2)}{k},"
    r"\qquad h_k=\frac{1}{\mu k}",
    hypotheses=(
        "f is μ-strongly convex",
        "E[G | w] = ∇f(w) and E|G|² ≤ M² at the iterates",
        "step 1/(μk)",
    ),
    source="[nemirovski2009robust], Section 2.1; derived here",
    kind="confidence",
)
def sgd_strongly_convex(size, key, broken=False):
    r"""SGD on two rows whose gradients have the same mean square everywhere: nearly the worst case.

    Derivation: |w - h G - w*|^2 in the mean, with <grad f, w - w*> >= mu |w - w*|^2, gives a_{k+1}
    <= (1 - 2/k) a_k + M^2/(mu k)^2. With a_k <= Q/k, Q >= M^2/mu^2, the right side is at most
    Q (k - 1)/k^2 <= Q/(k + 1). For f = w^2/2 (mu = 1) and G = w + z (M^2 - w^2)^(1/2), z = 1 or -1
    with equal chance, E|G|^2 = M^2 at every w, so the recursion holds with equality: a_{k+1} = M^2
    (k - H_k)/(k (k - 1)), H_k = 1 + ... + 1/k, whatever w_1; times k + 1 it tends to M^2. G is the
    gradient of the row w^2/2 + z int_0^w (M^2 - s^2)^(1/2) ds, and |w_k| <= M throughout. The
    library's runs are compared with the exact a_k by betting intervals at 1 - 1e-6 each, and a_k
    with the bound in rationals. Broken: 97 percent of the
    bound.
    """
    import jax
    import jax.numpy as jnp

    from infsup.core.intervals import betting
    from infsup.optimization import SGD
    from infsup.theorems.trajectories import Rows, many

    M = 2.0

    def row(w, z):
        root = jnp.sqrt(M**2 - w**2)
        return jnp.sum(w**2 / 2 + z * (w * root + M**2 * jnp.arcsin(w / M)) / 2)

    problem = Rows(row, jnp.array([1.0, -1.0]), jnp.zeros(1))
    ks = (10, 100) if size == "quick" else (10, 100, 1000)
    runs = pick(size, 4000, 20_000, 50_000)
    compared, points = [], []

    def expected(k: int) -> Fraction:
        """E|w|^2 after k steps, k >= 2."""
        harmonic = sum((Fraction(1, j) for j in range(1, k + 1)), Fraction(0))
        return Fraction(M) ** 2 * (k - harmonic) / (k * (k - 1))

    share = Fraction(97, 100) if broken else Fraction(1)
    for k in (2, 10, 100, 1000):
        bound = share * Fraction(M) ** 2 / (k + 1)
        compared.append(Compared(f"E|w − w*|² after {k} steps, exact", expected(k), "<=", bound))
    compared.reverse()
    for k in ks:
        method = SGD(rate=1.0, steps=k, batch=1, momentum=0.0, schedule="inverse")
        last = many(
            method, problem, jnp.full(1, M / 2), jax.random.split(jax.random.key(key), runs)
        )
        found = betting(np.minimum(np.sum(last**2, 1), M**2), 2e-6, hi=M**2)
        low, high = float(found.lower), float(found.upper)
        compared += [
            Compared(f"{runs} runs of {k} steps: lower end", low, "<=", float(expected(k))),
            Compared(f"{runs} runs of {k} steps: upper end", high, ">=", float(expected(k))),
        ]
        points.append((k + 1, float(expected(k)), low, high))
    x, mean, low, high = (np.array(c) for c in zip(*points, strict=True))
    figure = Figure(
        (
            Curve(x, low, "1 − 10⁻⁶ interval", "grey", "band", high),
            Curve(x, M**2 / x, "bound", "grey", "dashed"),
            Curve(x, mean, "expected", "accent"),
        ),
        "k",
        "mean squared error",
        "The mean squared error falls as 1/k, and comes to within a percent of the bound.",
        log_x=True,
        log_y=True,
    )
    share = float(expected(1000) * 1001) / M**2
    return Finding(
        tuple(compared), figure, f"After 1000 steps it is {100 * share:.1f} % of the bound."
    )


@theorem(
    "B19",
    "AdamW's limits solve a box-constrained problem",
    statement=r"\|x\|_\infty\le\tfrac1\lambda,\qquad"
    r" x_i=\operatorname{clip}\!\left(x_i-\partial_i f(x),\ -\tfrac1\lambda,\ \tfrac1\lambda\right)"
    r"\quad\text{for all } i",
    hypotheses=(
        "AdamW with weight decay λ > 0 converges, with decaying steps",
        "∇f continuous; whole gradients",
    ),
    source="[xie2024implicit]; derived here",
    kind="proved_real",
)
def adamw_fixed_points(size, key, broken=False):
    r"""AdamW on a quadratic function that couples the coordinates: two of three stop at the box.

    Derivation: at a limit the moments are m = g and v = g^2, so the direction is sign(g_i) where
    g_i is not 0, and the step vanishes only if sign(g_i) + lambda x_i = 0: x_i = -sign(g_i)/lambda,
    a bound of the box with the gradient pointing outwards. Where g_i = 0 the direction has any
    value in [-1, 1] on average, so |x_i| <= 1/lambda. These are the conditions of Karush, Kuhn and
    Tucker of min f over the box, i.e. x = clip(x - g). Broken: the box of twice the size.
    """
    import jax.numpy as jnp

    from infsup.optimization import AdamW, Minimize
    from infsup.theorems.trajectories import iterates

    target, decay = np.array([10.0, -7.0, -3.4]), 0.5
    couple = np.array([[2.0, 0.5, 0.3], [0.5, 1.5, -0.4], [0.3, -0.4, 1.0]])
    box = (2.0 if broken else 1.0) / decay
    steps = pick(size, 40_000, 40_000, 200_000)
    problem = Minimize(lambda x: 0.5 * (x - target) @ couple @ (x - target), jnp.zeros(3))
    method = AdamW(rate=0.05, steps=steps, batch=None, weight_decay=decay, schedule="linear")
    path = iterates(method, problem, jnp.zeros(3))
    x = path[-1]
    slope = couple @ (x - target)
    residual = np.abs(x - np.clip(x - slope, -box, box)).max()
    # two coordinates at the box leave one equation for the third
    third = target[2] - (couple[2, :2] @ (np.array([box, -box]) - target[:2])) / couple[2, 2]
    compared = (
        Compared("residual of the box problem", float(residual), "<=", 1e-4),
        Compared("largest coordinate", float(np.abs(x).max()), "==", box, 1e-4),
        Compared("coordinate inside the box, solved for", float(x[2]), "==", third, 1e-4),
    )
    at = np.unique(np.geomspace(1, steps, 200).astype(int))
    figure = Figure(
        (
            Curve(at, np.full(len(at), 1 / decay), "1/λ", "grey", "dashed"),
            Curve(at, path[at, 0], "x₁, target 10", "accent"),
            Curve(at, path[at, 2], "x₃", "ink"),
        ),
        "step",
        "coordinate",
        "Decay does not shrink the limit: it cuts it at 1/λ.",
        log_x=True,
    )
    return Finding(compared, figure, f"Limit ({', '.join(f'{v:.4f}' for v in x)}).")


@theorem(
    "B20",
    "Muon's step is steepest descent in the spectral norm",
    statement=r"\max_{\|X\|_{\mathrm{op}}\le1}\langle G,X\rangle=\|G\|_*"
    r"=\langle G,UV^{\mathsf T}\rangle,\qquad G=U\Sigma V^{\mathsf T}",
    hypotheses=("G a real matrix", "thin singular value decomposition"),
    source="[bernstein2024old]; derived here",
    kind="proved_real",
)
def spectral_steepest_descent(size, key, broken=False):
    r"""The polar factor against random and against nearby matrices of norm 1.

    Derivation: <G, X> = sum_i s_i <u_i v_i', X> <= sum_i s_i, as |<u_i v_i', X>| = |u_i' X v_i| <=
    |X|_op <= 1; X = UV' attains each. Broken: the Frobenius norm in place of the nuclear norm.
    """
    import jax.numpy as jnp

    from infsup.numerics import polar_factor

    rng = generator("B20", key)
    G = rng.normal(size=(30, 20))
    O = np.asarray(polar_factor(jnp.asarray(G)))  # noqa: E741
    singular = np.linalg.svd(G, compute_uv=False)
    dual = float(np.linalg.norm(G) if broken else singular.sum())
    scales = np.geomspace(1e-3, 10, pick(size, 100, 1000, 10_000))
    X = O + scales[:, None, None] * rng.normal(size=(len(scales), 30, 20))
    X /= np.linalg.norm(X, 2, axis=(1, 2))[:, None, None]
    values = np.sum(G * X, (1, 2))
    compared = (
        Compared("⟨G, UVᵀ⟩", float(np.sum(G * O)), "==", dual, 1e-11 * dual),
        Compared("spectral norm of UVᵀ", float(np.linalg.norm(O, 2)), "==", 1.0, 1e-12),
        Compared(f"best of {len(scales)} others", float(values.max()), "<=", dual, 1e-11 * dual),
    )
    figure = Figure(
        (
            Curve(scales, np.full(len(scales), dual), "‖G‖∗", "grey", "dashed"),
            Curve(scales, values, "⟨G, X⟩", "accent", "points"),
        ),
        "distance of X from the polar factor before scaling",
        "⟨G, X⟩",
        "No matrix of spectral norm 1 is better aligned with G than its polar factor.",
        log_x=True,
    )
    return Finding(compared, figure)


@theorem(
    "B21",
    "Muon finds a small gradient in the nuclear norm",
    statement=r"\min_{k<K}\|\nabla f(X_k)\|_* \;\le\;"
    r" \frac{f(X_0)-f^*+\tfrac L2\sum_{k<K}\|S_k\|_{\mathrm{op}}^2}{\sum_{k<K}a_k},\qquad"
    r" X_{k+1}=X_k-S_k,\quad a_k=\frac{\langle\nabla f(X_k),S_k\rangle}{\|\nabla f(X_k)\|_*};"
    r"\qquad\text{with decay: } \langle X_\infty,\nabla f(X_\infty)\rangle"
    r"=-\tfrac1\lambda\|\nabla f(X_\infty)\|_*",
    hypotheses=(
        "‖∇f(X) − ∇f(Y)‖∗ ≤ L ‖X − Y‖op",
        "every step Sₖ is aligned with the gradient: aₖ > 0",
        "no momentum; for exact polar factors, Sₖ = ηUVᵀ, aₖ = η",
        "with weight decay λ (in units of the step) and decaying steps, where X converges",
    ),
    source="Derived here, in the norms of [bernstein2024old]",
    kind="proved_real",
)
def muon_descent(size, key, broken=False):
    r"""Muon, with the steps that its Newton-Schulz polynomials really make, on |X - T|_F^2/2.

    The second target is a multiple of an orthogonal matrix, two and a half steps away: then every
    step has the same length, the gradient ends by turning over between +s/2 and -s/2 times that
    matrix, and the bound tends to the truth, n s/2.

    Derivation: f(X - S) <= f(X) - <g, S> + (L/2)|S|_op^2, since the remainder is int <g(X - sS) -
    g(X), -S> ds <= int |.|_* |S|_op ds. Summing, sum a_k |g_k|_* <= f_0 - f* + (L/2) sum |S_k|^2.
    With S = eta UV' this is (f_0 - f*)/(eta K) + L eta/2. Here g = X - T and |A|_* <= n |A|_op, so
    L = n = 10, attained by the identity.

    With decay a limit has UV' = -lambda X where the gradient is UΣV', so |X|_op <= 1/lambda and <X,
    grad f> is as small as it can be on that ball: the conditions of optimality of f over it. For |X
    - T|^2/2 the limit is T with singular values cut at 1/lambda. The library's polynomials reach
    polar factors to a few percent, and that is how closely the two agree. Broken: L = 1, the
    constant of the Frobenius norm.
    """
    import jax.numpy as jnp

    from infsup.optimization import Minimize, Muon
    from infsup.theorems.trajectories import iterates

    n, eta = 10, 0.05
    K = pick(size, 400, 2000, 20_000)
    L = 1.0 if broken else float(n)
    rng = generator("B21", key)
    Q1, Q2 = (np.linalg.qr(rng.normal(size=(n, n)))[0] for _ in range(2))
    far = Q1 @ np.diag(rng.uniform(0.05, 0.3, n)) @ Q2
    method = Muon(
        rate=eta / (0.2 * math.sqrt(n)),
        steps=K,
        batch=None,
        momentum=0.0,
        weight_decay=0.0,
        schedule="constant",
    )

    def walk(T: np.ndarray) -> tuple[Any, ...]:
        problem = Minimize(lambda X: 0.5 * jnp.sum((X - T) ** 2), jnp.zeros((n, n)))
        X = iterates(method, problem, jnp.zeros((n, n)))
        g, S = X[:-1] - T, X[:-1] - X[1:]
        nuclear = np.linalg.svd(g, compute_uv=False).sum(1)
        aligned = np.sum(g * S, (1, 2)) / nuclear
        lengths = np.linalg.norm(S, 2, axis=(1, 2))
        bounds = (0.5 * np.sum(T**2) + L / 2 * np.cumsum(lengths**2)) / np.cumsum(aligned)
        fallen = 0.5 * (np.sum(T**2) - np.sum((X[-1] - T) ** 2))
        summed = np.sum(aligned * nuclear) / (fallen + L / 2 * np.sum(lengths**2))
        return np.minimum.accumulate(nuclear), bounds, aligned, lengths, summed

    step = walk(Q1)[3][0]
    compared = []
    for name, T in (("a rotation, 2.5 steps away", 2.5 * step * Q1), ("a random target", far)):
        least, bounds, aligned, _, summed = walk(T)
        worst = int(np.argmax(least / bounds))
        compared.append(
            Compared(
                f"{name}: least nuclear norm before step {worst + 1}",
                float(least[worst]),
                "<=",
                float(bounds[worst]),
                1e-9,
            )
        )
        compared.append(Compared(f"{name}: least aₖ/η", float(aligned.min() / eta), ">=", 0.0))
        if name.startswith("a rotation"):
            share = float(least[-1] / bounds[-1])
            compared += [
                Compared("its share of the bound at the end", share, ">=", 0.98),
                Compared("its Σ aₖ‖∇f‖∗ over f₀ − f_K + (L/2) Σ‖S‖²", summed, "==", 1.0, 1e-9),
            ]
    # decay: the ball of the spectral norm that the limit must be optimal on
    radius = 0.2
    wide = Q1 @ np.diag(np.linspace(0.05, 0.5, n)) @ Q2
    decaying = Muon(
        rate=eta / (0.2 * math.sqrt(n)),
        steps=4000,
        batch=None,
        momentum=0.0,
        weight_decay=0.2 * math.sqrt(n) / radius,
        schedule="linear",
    )
    problem = Minimize(lambda X: 0.5 * jnp.sum((X - wide) ** 2), jnp.zeros((n, n)))
    end = iterates(decaying, problem, jnp.zeros((n, n)))[-1]
    most = radius * float(np.linalg.svd(end - wide, compute_uv=False).sum())
    cut = Q1 @ np.diag(np.minimum(np.linspace(0.05, 0.5, n), radius)) @ Q2
    compared += [
        Compared(
            "with decay: spectral norm over 1/λ",
            float(np.linalg.norm(end, 2)) / radius,
            "==",
            1.0,
            0.03,
            "polar factors to a few percent",
        ),
        Compared(
            "with decay: −⟨X, ∇f⟩ over ‖∇f‖∗/λ",
            float(-np.sum(end * (end - wide))) / most,
            "==",
            1.0,
            0.03,
            "polar factors to a few percent",
        ),
        Compared(
            "with decay: distance from the cut target, over its norm",
            float(np.linalg.norm(end - cut) / np.linalg.norm(cut)),
            "<=",
            0.03,
        ),
    ]
    k = np.arange(1, K + 1)
    figure = Figure(
        (
            Curve(k, bounds, "bound", "grey", "dashed"),
            Curve(k, least, "least nuclear norm so far", "accent"),
        ),
        "steps",
        "nuclear norm of the gradient",
        "Fixed steps stall at a floor, and the bound sees it: it is Lη/2.",
        log_x=True,
        log_y=True,
    )
    note = f"Newton-Schulz keeps aₖ/η in [{aligned.min() / eta:.3f}, {aligned.max() / eta:.3f}]."
    return Finding(tuple(compared), figure, note)


@theorem(
    "B22",
    "Newton-Schulz: the cubic converges, Muon's tuned quintic does not",
    statement=r"p(\sigma)=\tfrac32\sigma-\tfrac12\sigma^3:\quad"
    r" 0\le 1-p(\sigma)=\tfrac12(1-\sigma)^2(2+\sigma)\ \text{ for } 0<\sigma<\sqrt3,"
    r"\quad 1-p(\sigma)\le\tfrac32(1-\sigma)^2\ \text{ for }\sigma\le1,\qquad"
    r" q^{\circ5}\big([0.01,1]\big)\subset[0.68,\,1.135]",
    hypotheses=(
        "0 < σ < √3 for the cubic: there 0 < p(σ) ≤ 1",
        "q(σ) = 3.4445σ − 4.7750σ³ + 2.0315σ⁵, in real arithmetic",
    ),
    source="[bjorck1971iterative]; [jordan2024muon]; the enclosure is derived here",
    kind="proved",
)
def newton_schulz(size, key, broken=False):
    r"""Images of singular values, enclosed in ball arithmetic.

    Derivation for the cubic: 1 - p(s) = (1 - s)^2 (2 + s)/2, an identity of polynomials; so p <= 1
    for s > 0, p = s (3 - s^2)/2 > 0 below sqrt 3, and the ratio to (1 - s)^2 is at most 3/2 for s
    <= 1 and tends to 3/2. The quintic is enclosed on boxes.
    Broken: the claim that ten quintic steps bring [0.01, 1] to within 1e-3 of 1.
    """
    from infsup.numerics import CUBIC, JORDAN, singular_value_range

    boxes = pick(size, 4000, 20_000, 100_000)
    if broken:
        low, high = singular_value_range([JORDAN] * 10, 0.9, 1.0, 200)
        return Finding(
            (
                Compared("least image of ten quintic steps", low, ">=", 1 - 1e-3),
                Compared("largest image of ten quintic steps", high, "<=", 1 + 1e-3),
            )
        )
    low, high = singular_value_range([JORDAN] * 5, 0.01, 1.0, boxes)
    compared = [
        Compared("least image of five quintic steps", low, ">=", 0.68),
        Compared("largest image of five quintic steps", high, "<=", 1.135),
    ]
    # coefficients of 1 - p against those of (1 - s)^2 (2 + s)/2 = 1 - 3s/2 + s^3/2
    rest = [1, -Fraction(CUBIC[0]), 0, -Fraction(CUBIC[1])]
    square = [Fraction(c, 2) for c in (2, -3, 0, 1)]
    off = max(abs(a - b) for a, b in zip(rest, square, strict=True))
    compared.append(Compared("cubic: 1 − p against (1 − σ)²(2 + σ)/2", off, "==", 0))
    for e in (Fraction(1, 10), Fraction(1, 1000), Fraction(1)):
        s = 1 - e
        after = 1 - (Fraction(CUBIC[0]) * s + Fraction(CUBIC[1]) * s**3)
        compared.append(
            Compared(f"cubic error from e = {e}, over e²", after / e**2, "<=", Fraction(3, 2))
        )
        compared.append(Compared(f"cubic error from e = {e}", after, ">=", 0))
    s = np.geomspace(1e-3, 1.0, 600)
    cubic, quintic = s.copy(), s.copy()
    for _ in range(5):
        cubic = 1.5 * cubic - 0.5 * cubic**3
        quintic = JORDAN[0] * quintic + JORDAN[1] * quintic**3 + JORDAN[2] * quintic**5
    figure = Figure(
        (
            Curve(s, np.ones(len(s)), "1", "grey", "dashed"),
            Curve(s, quintic, "five quintic steps", "accent"),
            Curve(s, cubic, "five cubic steps", "ink"),
        ),
        "singular value, relative to the largest",
        "after five steps",
        "The quintic lifts small values at once, and never settles at 1.",
        log_x=True,
    )
    return Finding(tuple(compared), figure, f"Proved image [{low:.4f}, {high:.4f}].")


@theorem(
    "B23",
    "Gradient descent goes to the nearest interpolating solution",
    statement=r"\lim_{k\to\infty} w_k \;=\; w_0-X^{+}(Xw_0-y),\qquad"
    r" w_{k+1}=w_k-h\,X^{\mathsf T}(Xw_k-y)",
    hypotheses=("least squares ½|Xw − y|²", "0 < h < 2/‖X‖²"),
    source="[petersen2024mathematical], Section 11.1",
    kind="proved_real",
)
def minimum_norm(size, key, broken=False):
    r"""Gradient descent on 20 equations with 50 unknowns, from a random start.

    Derivation: every step lies in the range of X', on which w_k - w_inf contracts by 1 - h s^2 for
    the non-zero singular values s; so w_inf is the point of w_0 + range(X') that solves the normal
    equations. Broken: the minimum-norm solution X^+ y, which forgets w_0.
    """
    import jax.numpy as jnp

    from infsup.optimization import GradientDescent, Minimize
    from infsup.theorems.trajectories import iterates

    rng = generator("B23", key)
    X, y, w0 = rng.normal(size=(20, 50)), rng.normal(size=20), rng.normal(size=50)
    steps = pick(size, 3000, 3000, 10_000)
    rate = 1 / np.linalg.norm(X, 2) ** 2
    problem = Minimize(lambda w: 0.5 * jnp.sum((X @ w - y) ** 2), jnp.zeros(50))
    w = iterates(GradientDescent(rate=rate, steps=steps), problem, jnp.asarray(w0))
    inverse = np.linalg.pinv(X)
    limit = inverse @ y if broken else w0 - inverse @ (X @ w0 - y)
    distance = np.linalg.norm(w - limit, axis=1)
    s = np.linalg.svd(X, compute_uv=False)
    factor = 1 - rate * s[-1] ** 2
    compared = (
        Compared("distance of the last iterate from the limit", float(distance[-1]), "<=", 1e-12),
        Compared(
            "distance after 200 steps over the rate's",
            float(distance[200] / distance[0]),
            "<=",
            float(factor**200),
            1e-12,
        ),
    )
    at = np.unique(np.geomspace(1, steps, 200).astype(int))
    figure = Figure(
        (
            Curve(at, distance[0] * factor**at + 1e-17, "(1 − h s²)ᵏ", "grey", "dashed"),
            Curve(at, distance[at], "distance", "accent"),
        ),
        "steps",
        "distance from the predicted limit",
        "The limit is known before the first step: the projection of the start.",
        log_y=True,
    )
    return Finding(compared, figure)


@theorem(
    "B36",
    "Frank-Wolfe's gap, the conditions of optimality, and proximal steps",
    statement=r"f(x_k)-f^*\le g(x_k)=\max_{s\in C}\langle x_k-s,\nabla f(x_k)\rangle,\qquad"
    r" \min_{1\le k\le K}g(x_k)\le\frac{27\,C_f}{4\,(K+2)};\qquad"
    r" F(y_k)-F^*\le\frac{LR^2}{2k},\qquad F(z_k)-F^*\le\frac{2LR^2}{(k+1)^2}",
    hypotheses=(
        "f convex with curvature constant C_f on C, steps 2/(k + 2)",
        "F = f + penalty, f convex, ∇f L-Lipschitz, R the distance of the start from a minimiser",
        "y by ISTA, z by FISTA, with step 1/L",
    ),
    source="[jaggi2013revisiting], Theorems 1 and 2; [beck2009fast], Theorems 3.1 and 4.4",
    kind="proved_real",
)
def frank_wolfe_gap(size, key, broken=False):
    r"""Frank-Wolfe over a simplex and a hull; ISTA and FISTA on their worst lines, and a lasso.

    Derivation, Frank-Wolfe: f* >= f(x) + <s - x, grad f(x)> for the best s, by convexity: the gap.
    With c = 2/(k + 2), f_{k+1} <= f_k - c g_k + c^2 C_f/2: for |x|^2 on the simplex (C_f = 2 diam^2
    = 4) with equality at the first steps, which is checked. With g_k >= d_k = f_k - f* this gives
    d_k <= 2 C_f (k + 1 - H_{k+1})/(k (k + 1)) <= 2 C_f/(k + 2), H the harmonic numbers. If all gaps
    up to K are at least G, then d_{k+1} <= d_k - c max(G, d_k) + c^2 C_f/2 must stay at or above
    zero up to K + 1; the largest such G is found here for each K, and is below 27 C_f/(4 (K + 2)).

    ISTA: F(y+) - F* <= (L/2)(|y - y*|^2 - |y+ - y*|^2), from f(y+) <= f(y) + <g, y+ - y> + (L/2)
    |y+ - y|^2 and convexity of f and of the penalty; F falls, so k (F_k - F*) is at most the sum.
    FISTA: the same at the extrapolated points with weights t_k, t_k^2 - t_k = t_{k-1}^2, gives
    t_{k-1}^2 (F_k - F*) <= (L/2) R^2, and t_{k-1} >= (k + 1)/2. On f = L t x over x >= 0 from R,
    ISTA reaches R - k t, so the gap L t (R - k t) is L R^2/(4k) for the worst t. The conditions of
    Karush, Kuhn and Tucker of the lasso, weighted, are the library's `CompositeGap`. Broken: ISTA's
    bound is taken to be that of plain gradient descent, L R^2/(4k + 2).
    """
    import jax
    import jax.numpy as jnp

    from infsup import certify
    from infsup.optimization import FISTA, ISTA, L1, Box, Composite, CompositeGap, frank_wolfe
    from infsup.theorems.trajectories import iterates

    steps = pick(size, 150, 500, 2000)
    rng = generator("B36", key)
    # ISTA and FISTA on lines of all slopes at once: a separable function
    L, R = 2.0, 3.0
    ks = np.array([5, 100])
    slopes = np.unique(np.concatenate([R / (2 * ks), R * np.geomspace(1e-5, 1.0, 2000)]))
    lines = Composite(
        lambda w: jnp.sum(L * slopes * w), Box(0.0, 2 * R), jnp.zeros(len(slopes)), smoothness=L
    )
    start = jnp.full(len(slopes), R)
    y, z = (iterates(m(steps=100), lines, start)[ks] for m in (ISTA, FISTA))
    compared, shares = [], []
    for k, plain, fast in zip(ks.tolist(), y, z, strict=True):
        slow, quick = ((L * slopes * w).max() for w in (plain, fast))
        bound = L * R**2 / ((4 * k + 2) if broken else 2 * k)
        shares.append(quick * (k + 1) ** 2 / (2 * L * R**2))
        compared += [
            Compared(f"ISTA's largest gap after {k} steps", slow, "<=", bound, 1e-12),
            Compared("and what it is on a line", slow, "==", L * R**2 / (4 * k), 1e-12),
            Compared(
                f"FISTA's largest gap after {k} steps",
                quick,
                "<=",
                2 * L * R**2 / (k + 1) ** 2,
                1e-12,
            ),
        ]
    compared += [
        Compared(
            "FISTA's share of its bound after 100 steps",
            shares[-1],
            ">=",
            0.94,
            0,
            "so the constant 2 could not be below 1.88",
        ),
    ]
    # a lasso whose minimiser is not known: the gap at the end says how well it is known
    A, b = rng.normal(size=(60, 30)), rng.normal(size=60)
    bend = float(np.linalg.norm(A, 2) ** 2)
    lasso = Composite(
        lambda w: 0.5 * jnp.sum((A @ w - b) ** 2), L1(2.0), jnp.zeros(30), bend, floor=0.0
    )
    count = pick(size, 1500, 3000, 10_000)
    value = jax.jit(jax.vmap(lasso.objective))
    paths = {
        name: iterates(m(steps=count), lasso, jnp.zeros(30))
        for name, m in (("ISTA", ISTA), ("FISTA", FISTA))
    }
    best = paths["FISTA"][-1]
    end = certify(lasso, jnp.asarray(best), CompositeGap())
    least = float(lasso.objective(jnp.asarray(best)))
    apart = float(np.linalg.norm(best))
    compared.append(Compared("gap of a lasso at the end", float(end.upper), "<=", 1e-8 * least))
    k = np.arange(1, count + 1)
    drawn = {}
    rates = {"ISTA": bend * apart**2 / (2 * k), "FISTA": 2 * bend * apart**2 / (k + 1.0) ** 2}
    for name, path in paths.items():
        left = np.asarray(value(jnp.asarray(path)))[1:] - least
        drawn[name] = np.maximum(left, 1e-12)[:200]
        worst = int(np.argmax(left / rates[name]))
        compared.append(
            Compared(
                f"lasso: F − F* after {worst + 1} steps of {name}",
                left[worst],
                "<=",
                rates[name][worst],
                float(end.upper),
                "the step at which the two are closest",
            )
        )
        for at in (10, 100):
            gap = certify(lasso, jnp.asarray(path[at]), CompositeGap())
            compared.append(
                Compared(
                    f"lasso: F − F* after {at} steps of {name}, against the conditions",
                    left[at - 1],
                    "<=",
                    float(gap.upper),
                    float(end.upper),
                )
            )
    compared += _frank_wolfe(rng, steps, frank_wolfe)
    compared += _frank_wolfe_constants(pick(size, 200, 1000, 4000))
    shown = ks[-1]
    figure = Figure(
        (
            Curve(k[:200], rates["FISTA"][:200], "2LR²/(k + 1)²", "grey", "dashed"),
            Curve(k[:200], drawn["ISTA"], "ISTA", "ink"),
            Curve(k[:200], drawn["FISTA"], "FISTA", "accent"),
        ),
        "step",
        "F − F* of a lasso",
        "Momentum is worth a square root; the gap at the end says how well F* is known.",
        log_x=True,
        log_y=True,
    )
    note = (
        f"ISTA attains half of its bound, FISTA {100 * shares[-1]:.0f} % after {shown} steps; the"
        " argument for the gap gives at most 4.4 in place of 6.75."
    )
    return Finding(tuple(compared), figure, note)


def _worst_case_pivot(k: int, weight: Fraction) -> Fraction:
    """The least pivot of the form of B05's proof, in (w_0 - w*, g_0, ..., g_k); exact.

    A zero pivot with something left in its row counts as -1: then the form takes negative values.
    """
    n = k + 2
    form = [[Fraction(0)] * n for _ in range(n)]

    def add(i: int, j: int, c: Fraction) -> None:
        form[i][j] += c / 2
        form[j][i] += c / 2

    lam = [Fraction(0), *(Fraction(i, 2 * k + 1 - i) for i in range(1, k + 1)), Fraction(1)]
    add(0, 0, weight / 2)
    for i in range(k + 1):
        tau = lam[i + 1] - lam[i]
        add(0, 1 + i, -tau)
        add(1 + i, 1 + i, tau / 2)
        for j in range(i):
            add(1 + i, 1 + j, tau)
    for i in range(1, k + 1):
        # <g_i, g_{i-1}> + |g_{i-1} - g_i|^2/2
        add(i, i, lam[i] / 2)
        add(1 + i, 1 + i, lam[i] / 2)
    least = form[0][0]
    for i in range(n):
        pivot = form[i][i]
        if pivot <= 0 and any(form[i][i + 1 :]):
            return min(pivot, Fraction(-1))
        least = min(least, pivot)
        if pivot:
            for a in range(i + 1, n):
                factor = form[a][i] / pivot
                for b in range(i + 1, n):
                    form[a][b] -= factor * form[i][b]
    return least


def _frank_wolfe(rng: np.random.Generator, steps: int, frank_wolfe: Any) -> list[Compared]:
    """Gaps and values over a simplex, the slowest case, and over a random hull."""
    import jax
    import jax.numpy as jnp

    n = 2 * steps
    atoms = rng.normal(size=(200, 20))
    atoms /= np.linalg.norm(atoms, axis=1, keepdims=True)
    inside = rng.dirichlet(np.full(200, 0.05)) @ atoms
    cases = (
        ("simplex", lambda x: jnp.sum(x**2), np.eye(n), 4.0, 1 / n),
        ("random hull", lambda x: 0.5 * jnp.sum((x - inside) ** 2), atoms, 4.0, 0.0),
    )
    compared, k = [], np.arange(steps)
    for name, f, hull, curvature, least in cases:
        run = jax.jit(lambda a, f=f: frank_wolfe(f, a, steps))(jnp.asarray(hull))
        gaps, values = np.asarray(run.gaps), np.asarray(run.values)
        left = values - least
        so_far = np.minimum.accumulate(gaps[1:])
        c = 2 / (k[:-1] + 2.0)
        needed = (values[1:] - values[:-1] + c * gaps[:-1]) * 2 / c**2
        tight = int(np.argmax(left - gaps))
        compared += [
            Compared(f"{name}: f − f* at step {tight}", left[tight], "<=", gaps[tight], 1e-12),
            Compared(
                f"{name}: largest gap so far, times K + 2",
                (so_far * (k[1:] + 2)).max(),
                "<=",
                27 * curvature / 4,
                1e-12,
            ),
            Compared(
                f"{name}: largest (f − f*)(k + 2)", (left * (k + 2))[1:].max(), "<=", 2 * curvature
            ),
            Compared(
                f"{name}: curvature that the steps show",
                needed.max(),
                "==" if n == len(hull) else "<=",
                curvature,
                1e-6,
                "attained at the first step" if n == len(hull) else "",
            ),
        ]
    return compared


def _frank_wolfe_constants(most: int) -> list[Compared]:
    """The two constants against the recursions from which they come, with C_f = 1."""
    harmonic = np.cumsum(1 / np.arange(1.0, most + 2))
    k = np.arange(1.0, most + 1)
    solved = 2 * (k + 1 - harmonic[1:]) / (k * (k + 1)) * (k + 2)
    largest = 0.0
    for K in np.unique(np.geomspace(1, most, 12).astype(int)).tolist():
        low, high = 0.0, 10.0
        while high - low > 1e-9:
            G = (low + high) / 2 / (K + 2)
            d, stays = 0.5, True
            for j in range(1, K + 1):
                c = 2 / (j + 2)
                d += c * c / 2 - c * max(G, d)
                stays = stays and d >= 0
            low, high = (G * (K + 2), high) if stays else (low, G * (K + 2))
        largest = max(largest, low)
    return [
        Compared("solution of the recursion of f − f*, times k + 2", solved.max(), "<=", 2.0),
        Compared("it leaves no smaller constant", solved.max(), ">=", 1.95),
        Compared("largest gap that the argument leaves, times K + 2", largest, "<=", 6.75),
    ]
