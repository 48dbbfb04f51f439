"""Generative models and transport: identities in closed form, and bounds with both sides."""

import math
from functools import partial

import numpy as np

from infsup.core.figure import Curve, Figure
from infsup.theorems.registry import Compared, Finding, generator, pick, theorem

WEIGHTS, MEANS, SPREADS = (0.3, 0.7), (-2.0, 1.5), (0.5, 0.8)
"""The law on the line on which these rows are tested: two Gaussians."""


@theorem(
    "F07",
    "The distance of Wasserstein between Gaussians",
    statement=r"W_2^2=|m_A-m_B|^2+\operatorname{tr}\left(A+B-2\,S\right),\qquad"
    r" S=\left(A^{1/2}BA^{1/2}\right)^{1/2},\qquad T=A^{-1/2}\,S\,A^{-1/2}",
    hypotheses=("laws N(m_A, A) and N(m_B, B)", "A positive definite, for the map T"),
    source="[givens1984class]; [olkin1982distance]",
    kind="proved_real",
)
def gaussian_distance(size, key, broken=False):
    r"""The formula, the cost of the map, a dual value, and the cost of other maps.

    Derivation: T is symmetric positive definite with T A T = B, so it is the gradient of a convex
    function and optimal (Brenier); its cost E|Tx - x|^2 = tr(A + B - 2 T A) is the formula. Every
    linear map B^(1/2) U A^(-1/2), U orthogonal, has the same image and cannot cost less. Broken:
    the map B^(1/2) A^(-1/2), which is optimal only where A and B commute.
    """
    import scipy.linalg as sl

    from infsup.numerics import gaussian_map, gaussian_w2

    rng = generator("F07", key)
    d = 3
    G, H = rng.normal(size=(d, d)), rng.normal(size=(d, d))
    A, B = G @ G.T + 0.1 * np.eye(d), 2 * (H @ H.T) + 0.1 * np.eye(d)
    away = rng.normal(size=d)
    squared = gaussian_w2(np.zeros(d), A, away, B) ** 2
    root_a, root_b = (np.real(sl.sqrtm(M)) for M in (A, B))
    T = root_b @ np.linalg.inv(root_a) if broken else gaussian_map(A, B)

    def cost(S: np.ndarray) -> float:
        return float(away @ away + np.trace((S - np.eye(d)) @ A @ (S - np.eye(d)).T))

    middle = np.real(sl.sqrtm(root_a @ B @ root_a))
    formula = float(away @ away + np.trace(A + B - 2 * middle))
    # Kantorovich: phi = x'(I - T)x, psi = y'(I - T^-1)y is feasible where T is positive definite
    sym = (T + T.T) / 2
    dual = float(
        away @ away
        + np.trace((np.eye(d) - sym) @ A)
        + np.trace((np.eye(d) - np.linalg.inv(sym)) @ B)
    )
    # Cayley's transform of a skew matrix is orthogonal
    turns = rng.normal(size=(pick(size, 400, 2000, 10_000), d, d)) * 0.4
    skew = turns - np.swapaxes(turns, 1, 2)
    U = np.linalg.solve(np.eye(d) + skew, np.eye(d) - skew)
    others = [cost(S) for S in root_b @ U @ np.linalg.inv(root_a)]
    tolerance = 1e-9 * formula
    compared = (
        Compared("cost of the map", cost(T), "==", squared, tolerance),
        Compared("|T A Tᵀ − B|", float(np.abs(T @ A @ T.T - B).max()), "<=", tolerance),
        Compared("formula", formula, "==", squared, tolerance),
        Compared("dual value", dual, "==", squared, tolerance),
        Compared("best of other linear maps", min(others), ">=", squared, tolerance),
    )
    ranked = np.sort(others)
    at = np.arange(len(ranked))
    figure = Figure(
        (
            Curve(at, np.full(len(at), squared), "W₂²", "grey", "dashed"),
            Curve(at, ranked, "cost of other maps", "accent"),
        ),
        "linear maps from A to B, by cost",
        "mean squared displacement",
        "Every other linear map that takes A to B costs more.",
    )
    return Finding(compared, figure)


@theorem(
    "F13",
    "A diffusion can be run backwards, given the score",
    statement=r"dX=b(X)\,dt+g\,dW,\quad X_t\sim p_t,\qquad"
    r" dY=\big(-b(Y)+g^2\nabla\log p_{T-s}(Y)\big)ds+g\,d\bar W,\qquad Y_s\sim p_{T-s}",
    hypotheses=("p_t > 0 is smooth", "Y₀ ~ p_T", "the Fokker-Planck equation has one solution"),
    source="[anderson1982reverse]",
    kind="proved_real",
)
def reverse_diffusion(size, key, broken=False):
    r"""The densities, run backwards, solve the reverse process's Fokker-Planck equation.

    Derivation: with q_s = p_{T-s}, d/ds q = -d/dt p = (b p)' - (g^2/2) p'', and the reverse
    equation asks d/ds q = -((-b + g^2 (log p)') p)' + (g^2/2) p'' = (b p)' - g^2 p'' + (g^2/2) p'':
    the same. Checked pointwise with exact derivatives for dX = -X dt + sqrt 2 dW from two
    Gaussians; and by 2,000 and more paths of Euler and Maruyama, whose distance from the data law
    stays below the level 1 - 1e-6 of Dvoretzky, Kiefer and Wolfowitz plus 0.01 for the steps.
    Broken: half of the score term, as in the equation without noise.
    """
    import jax
    import jax.numpy as jnp

    from infsup.core.intervals import dkw

    law = _law()
    half = 0.5 if broken else 1.0

    def density(t, x):
        a = jnp.exp(-t)
        return jnp.exp(law.log_density_through(x[None], a, jnp.sqrt(-jnp.expm1(-2 * t))))

    def score(t, x):
        a = jnp.exp(-t)
        return law.score_through(x[None], a, jnp.sqrt(-jnp.expm1(-2 * t)))[0]

    def residual(t, x):
        def flux(y):
            return (y + half * 2 * score(t, y)) * density(t, y)

        backwards = -jax.grad(density, 0)(t, x)
        spread = jax.grad(jax.grad(density, 1), 1)(t, x)
        return backwards - (-jax.grad(flux)(x) + spread)

    x = jnp.linspace(-5.0, 5.0, 401)
    times = jnp.array([0.05, 0.3, 1.0, 2.5])
    found = jax.jit(jax.vmap(lambda t: jax.vmap(lambda y: residual(t, y))(x)))(times)
    T, steps, paths = 2.5, pick(size, 200, 1000, 2000), pick(size, 2000, 20_000, 100_000)

    # steps that shrink towards the data, where the score is steep
    ends = T * (1 - np.linspace(0, 1, steps + 1)) ** 2
    rng = generator("F13", key)

    @jax.jit
    def reverse(y, noise):
        def step(y, at):
            t, after, z = at
            h = t - after
            drift = y + half * 2 * jax.vmap(lambda q: score(t, q))(y)
            return y + h * drift + jnp.sqrt(2 * h) * z, None

        return jax.lax.scan(step, y, (ends[:-1], ends[1:], noise))[0]

    noisy = law.ornstein_uhlenbeck(T)
    which = rng.choice(2, paths, p=noisy.weights)
    start = noisy.means[which, 0] + np.sqrt(noisy.variances[which, 0]) * rng.normal(size=paths)
    y = np.sort(np.asarray(reverse(start, rng.normal(size=(steps, paths)))))
    away = np.abs(_cdf(y) - (np.arange(paths) + 0.5) / paths).max() + 0.5 / paths
    compared = (
        Compared("largest residual of Fokker-Planck", float(jnp.abs(found).max()), "<=", 1e-10),
        Compared(
            f"distance of {paths} reversed paths from the data law",
            float(away),
            "<=",
            float(dkw(paths, 1e-6)),
            0.01,
            "0.01 for Euler's steps",
        ),
    )
    grid = np.linspace(-5, 4.5, 60)
    counts, _ = np.histogram(y, grid)
    centres = (grid[1:] + grid[:-1]) / 2
    fine = np.linspace(-5, 4.5, 300)
    truth = np.asarray(jax.vmap(lambda z: jnp.exp(law.log_density(z[None])))(jnp.asarray(fine)))
    figure = Figure(
        (
            Curve(fine, truth, "data law", "grey", "dashed"),
            Curve(
                centres, counts / paths / (grid[1] - grid[0]), "reversed paths", "accent", "steps"
            ),
        ),
        "x",
        "density",
        "Noise, run backwards with the exact score, becomes the data again.",
    )
    return Finding(compared, figure)


@theorem(
    "F14",
    "The probability-flow equation has the marginals of the diffusion",
    statement=r"\dot y=b(y)-\tfrac12g^2\nabla\log p_t(y),\quad y_T\sim p_T"
    r"\;\Longrightarrow\; y_t\sim p_t \ \text{ for all } t",
    hypotheses=("p_t > 0 is smooth", "the flow exists on [0, T]"),
    source="[song2021scorebased], Section 4.3",
    kind="proved_real",
)
def probability_flow(size, key, broken=False):
    r"""Quantiles flow to quantiles: no sampling, only an integrator of order 4.

    Derivation: the continuity equation of the velocity b - (g^2/2)(log p)' is dp/dt = -(b p)' +
    (g^2/2) p'', Fokker and Planck's. On the line the flow is increasing, so F_t(y_t) is constant
    along it. Broken: the whole score, the drift of the reverse process without its noise.
    """
    import jax
    import jax.numpy as jnp

    law = _law()
    whole = 2.0 if broken else 1.0

    def velocity(t, y):
        a, s = jnp.exp(-t), jnp.sqrt(-jnp.expm1(-2 * t))
        score = jax.vmap(lambda z: law.score_through(z[None], a, s)[0])(y)
        return -y - whole * score

    T, steps = 3.0, pick(size, 400, 1000, 4000)
    start = np.linspace(-3.5, 3.5, 141)
    # steps that shrink towards the data
    ends = T * (1 - jnp.linspace(0, 1, steps + 1)) ** 2

    @jax.jit
    def flow(y):
        def step(y, at):
            t, after = at
            h = after - t
            a = velocity(t, y)
            b = velocity(t + h / 2, y + h / 2 * a)
            c = velocity(t + h / 2, y + h / 2 * b)
            d = velocity(t + h, y + h * c)
            new = y + h / 6 * (a + 2 * b + 2 * c + d)
            return new, new

        return jax.lax.scan(step, y, (ends[:-1], ends[1:]))

    end, path = flow(jnp.asarray(start))
    before = _cdf(start, T)
    middle = steps // 2
    compared = (
        Compared(
            "|F₀(y₀) − F_T(y_T)|, largest of 141",
            float(np.abs(_cdf(np.asarray(end)) - before).max()),
            "<=",
            1e-7,
        ),
        Compared(
            "the same half way",
            float(np.abs(_cdf(np.asarray(path[middle - 1]), float(ends[middle])) - before).max()),
            "<=",
            1e-7,
        ),
    )
    t = np.concatenate([[T], np.asarray(ends[1:])])
    lines = np.concatenate([start[None], np.asarray(path)])
    shown = np.unique(np.linspace(0, steps, 120).astype(int))
    curves = [
        Curve(t[shown], lines[shown, i], "", "accent" if i == 70 else "grey")
        for i in range(0, 141, 10)
    ]
    figure = Figure(
        tuple(curves),
        "t",
        "y",
        "Quantiles of noise (right) flow to the same quantiles of the data (left).",
    )
    return Finding(compared, figure)


def _a_constant_apart(compared, q, error, name, floor):
    """The finding of an equivalence of losses: one picture of both, over a parameter q."""
    figure = Figure(
        (
            Curve(q, error, name, "ink"),
            Curve(q, error + floor, "training loss", "accent"),
            Curve(q, np.full(len(q), floor), "the constant", "grey", "dashed"),
        ),
        "θ₂",
        "loss",
        "The loss that is trained lies a constant above the error that is meant.",
    )
    return Finding(compared, figure, f"The constant is {floor:.4f}.")


@theorem(
    "F15",
    "Denoising score matching is score matching, up to a constant",
    statement=r"\mathbb{E}\,\big|s_\theta(x_t)-\nabla\log p(x_t|x_0)\big|^2"
    r"-\mathbb{E}\,\big|s_\theta(x_t)-\nabla\log p_t(x_t)\big|^2=\text{const},\qquad"
    r" \mathbb{E}\,\big[|s_\theta|^2+2\nabla\!\cdot s_\theta\big]"
    r"-\mathbb{E}\,\big|s_\theta-\nabla\log p_t\big|^2=\text{const}",
    hypotheses=("p_t smooth, s_θ p_t vanishes at infinity", "finite second moments"),
    source="[vincent2011connection]; [hyvarinen2005estimation], Theorem 1",
    kind="proved_real",
)
def denoising_score_matching(size, key, broken=False):
    r"""Three losses of a family of scores by quadrature, t = 0.5 of an Ornstein-Uhlenbeck process.

    Derivation: grad log p_t(x) = E[grad log p(x|x_0) | x], so the cross terms agree and the two
    losses differ by E|grad log p(x|x_0)|^2 - E|grad log p_t|^2, whatever s is; and E s.grad log p_t
    = -E div s by parts. The trapezoidal rule on decaying analytic functions is exact to rounding.
    Broken: the conditional score of twice the variance.
    """
    import jax
    import jax.numpy as jnp

    law = _law()
    t = 0.5
    a, var = math.exp(-t), -math.expm1(-2 * t)
    s = math.sqrt(var)
    n = pick(size, 801, 1601, 3201)
    x, x0 = np.linspace(-11, 11, n), np.linspace(-8, 9, n)
    data = np.asarray(jax.vmap(lambda z: jnp.exp(law.log_density(z[None])))(jnp.asarray(x0))) * (
        x0[1] - x0[0]
    )
    density = np.asarray(
        jax.vmap(lambda z: jnp.exp(law.log_density_through(z[None], a, s)))(jnp.asarray(x))
    )
    score = np.asarray(jax.vmap(lambda z: law.score_through(z[None], a, s)[0])(jnp.asarray(x)))
    h = x[1] - x[0]
    kernel = np.exp(-((x[:, None] - a * x0) ** 2) / (2 * var)) / math.sqrt(2 * math.pi * var)
    joint = kernel * data * h
    conditional = -(x[:, None] - a * x0) / (var * (2 if broken else 1))
    thetas = generator("F15", key).normal(size=(pick(size, 5, 20, 50), 2))
    losses = []
    for p, q in thetas:
        f, df = p * x + q * np.sin(x), p + q * np.cos(x)
        explicit = np.sum(density * (f - score) ** 2) * h
        denoising = np.sum(joint * (f[:, None] - conditional) ** 2)
        implicit = np.sum(density * (f**2 + 2 * df)) * h
        losses.append((explicit, denoising, implicit))
    e, d, i = np.array(losses).T
    floor = float(np.sum(joint * conditional**2) - np.sum(density * score**2) * h)
    compared = (
        Compared("spread of DSM − ESM over θ", float(np.ptp(d - e)), "<=", 1e-9),
        Compared(
            "DSM − ESM", float((d - e)[0]), "==", floor, 1e-9, "E|∇log p(x|x₀)|² − E|∇log p|²"
        ),
        Compared("spread of ISM − ESM over θ", float(np.ptp(i - e)), "<=", 1e-9),
        Compared("their difference", float(floor), ">=", 0.0, 0, "why a small loss proves nothing"),
    )
    q = np.linspace(-2, 2, 81)
    best = [np.sum(density * (-0.8 * x + v * np.sin(x) - score) ** 2) * h for v in q]
    return _a_constant_apart(compared, q, np.array(best), "distance to the score", floor)


@theorem(
    "F17",
    "The score error bounds the divergence of a diffusion model",
    statement=r"\mathrm{KL}(p_0\,\|\,p_\theta)\;\le\;\tfrac12\int_0^T\!g^2\,"
    r"\mathbb{E}_{p_t}\big|\nabla\log p_t-s_\theta\big|^2dt+\mathrm{KL}(p_T\,\|\,\pi)",
    hypotheses=(
        "sampling by the reverse equation with s_θ, started from π",
        "Novikov's condition for s_θ − ∇log p",
    ),
    source="[song2021maximum], Theorem 1",
    kind="proved_real",
)
def score_error_bounds_divergence(size, key, broken=False):
    r"""Wrong scores, and the laws that they really make, from their Fokker-Planck equations.

    Derivation: by Girsanov the divergence of the two path laws is KL(p_T | pi) + (1/2) int g^2 E|s
    - s_theta|^2, and marginals are closer than paths. Equality where s_theta and pi are the exact
    score and law of other data q_0: then d/dt KL(p_t | q_t) = -(g^2/2) E_{p_t}|grad log(p_t/q_t)|^2
    (Fokker-Planck for both, and parts). So it is for the first rows, q_0 two other Gaussians. Then
    s_theta = s + d tanh(x), pi = N(0, 1). Here g^2 = 2, T = 2; p_theta is found on a grid by Crank
    and Nicolson's implicit steps, and the sum is conserved. Broken: g^2/2 is taken for 0.9.
    """
    import jax
    import jax.numpy as jnp
    from scipy.linalg import solve_banded

    from infsup.numerics import GaussianMixture

    law = _law()
    near = GaussianMixture((0.4, 0.6), np.array([[-1.7], [1.3]]), np.array([0.36, 0.81]))
    T, steps, cells = 2.0, pick(size, 400, 1600, 6400), pick(size, 601, 1201, 2401)
    x = np.linspace(-8, 8, cells)
    h, dt = x[1] - x[0], T / steps
    times = T - dt * (np.arange(steps) + 0.5)

    @jax.jit
    def known(law, t):
        a, s = jnp.exp(-t), jnp.sqrt(-jnp.expm1(-2 * t))
        at = jnp.asarray(x)[:, None]
        density = jax.vmap(lambda z: jnp.exp(law.log_density_through(z, a, s)))(at)
        return density, jax.vmap(lambda z: law.score_through(z, a, s)[0])(at)

    def table(law):
        # in batches: a row is a time
        found = jax.lax.map(lambda t: known(law, t), jnp.asarray(times))
        return [np.asarray(v) for v in found]

    densities, scores = table(law)
    data, last = np.asarray(known(law, 1e-12)[0]), np.asarray(known(law, T)[0])
    normal = np.exp(-(x**2) / 2) / math.sqrt(2 * math.pi)
    wrongs = (0.1, 0.2, 0.3) if size == "quick" else (0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4)
    weight = (0.9 if broken else 1.0) * h * dt

    def model(errors, start):
        """The divergence of the model, the bound, and the mass that the grid keeps."""
        bound = weight * float(np.sum(densities * errors**2))
        bound += float(np.sum(last * np.log(last / start)) * h)
        q = start / (start.sum() * h)
        for s, e in zip(scores, errors, strict=True):
            drift = x + 2 * (s + e)
            # flux between cells: upstream mean of the drift, central difference
            b = (drift[1:] + drift[:-1]) / 2
            left, right = b / 2 + 1 / h, b / 2 - 1 / h
            diagonal = np.zeros(cells)
            diagonal[:-1] += left
            diagonal[1:] -= right
            r = dt / (2 * h)
            lower, upper = -r * left, r * right
            explicit = q - r * diagonal * q
            explicit[1:] -= lower * q[:-1]
            explicit[:-1] -= upper * q[1:]
            bands = np.zeros((3, cells))
            bands[0, 1:], bands[1], bands[2, :-1] = upper, 1 + r * diagonal, lower
            q = solve_banded((1, 1), bands, explicit)
        truth = float(np.sum(data * np.log(data / np.maximum(q, 1e-300))) * h)
        return truth, bound, float(q.sum() * h)

    other = model(table(near)[1] - scores, np.asarray(known(near, T)[0]))
    tanh = np.broadcast_to(np.tanh(x), scores.shape)
    rows = [(d, *model(d * tanh, normal)) for d in wrongs]
    compared = [
        Compared("KL(p₀‖p_θ), the score of another law", other[0], "==", other[1], 2e-4, "grid"),
        *(
            Compared(f"KL(p₀‖p_θ), score wrong by {d} tanh x", truth, "<=", bound, 1e-4, "grid")
            for d, truth, bound, _ in reversed(rows)
        ),
    ]
    mass = max(abs(m - 1) for *_, m in (other, *rows))
    compared.append(Compared("mass lost on the grid", mass, "<=", 1e-6))
    d, truth, bound, _ = (np.array(c) for c in zip(*rows, strict=True))
    figure = Figure(
        (
            Curve(d, bound, "bound", "grey", "dashed"),
            Curve(d, truth, "KL of the model", "accent"),
        ),
        "size of the score's error",
        "divergence",
        "The divergence that the error causes is about two thirds of what it may cause.",
    )
    note = f"Attained by the score of another law: {other[0]:.5f} of {other[1]:.5f}."
    return Finding(tuple(compared), figure, note)


@theorem(
    "F20",
    "The flow-matching error bounds the distance of Wasserstein",
    statement=r"W_2(p_1,\hat p_1)\;\le\;\int_0^1\! e^{\int_s^1\mu_t\,dt}\,\varepsilon_s\,ds"
    r"\;\le\;e^{\int_0^1L_t\,dt}\Big(\int_0^1\!\varepsilon_s^2\,ds\Big)^{1/2},\qquad"
    r" \varepsilon_s^2=\mathbb{E}_{p_s}|v_\theta-v|^2",
    hypotheses=(
        "⟨v_θ(t,x) − v_θ(t,y), x − y⟩ ≤ μ_t|x − y|² for all x, y",
        "v_θ(t, ·) is L_t-Lipschitz, L_t ≥ 0",
        "both flows start from the same law",
    ),
    source="[benton2024error], Theorem 1 (right); the left bound is derived here",
    kind="proved_real",
)
def flow_matching_error(size, key, broken=False):
    r"""A velocity with a known error between Gaussians, against the exact distance of its flow.

    Derivation: let x_t, y_t follow v and v_theta from the same point, r = (E|x - y|^2)^(1/2). Then
    d/dt r^2/2 = E<v(x) - v_theta(x), x - y> + E<v_theta(x) - v_theta(y), x - y> <= eps r + mu r^2,
    so r' <= mu r + eps: Gronwall's inequality is the left bound, and W_2 <= r. With mu <= L and
    Cauchy-Schwarz it is at most the right one. On the line flows are increasing, so r is W_2. v is
    the exact velocity to N(1, spread^2), affine in x. With v_theta = v + d the two flows keep their
    distance in x, and the left bound is the truth. With v_theta = v + d sin(3x), mu = v_x + 3 d and
    L = |v_x| + 3 d. Broken: the error alone, without the exponential.
    """
    import jax
    import jax.numpy as jnp

    from infsup.generative import Linear, exact_velocity
    from infsup.numerics import GaussianMixture

    steps = pick(size, 400, 1000, 4000)
    h = 1.0 / steps
    z = np.linspace(-8, 8, 2001)
    weight = np.exp(-(z**2) / 2)
    weight = jnp.asarray(weight / weight.sum())
    sizes = (0.02, 0.05, 0.1, 0.2)
    path = Linear()

    @partial(jax.jit, static_argnums=2)
    def run(law, d, shape):
        def velocity(t, x):
            return jax.vmap(lambda y: exact_velocity(law, path, t, y[None])[0])(x)

        def learned(t, y):
            return velocity(t, y) + d * shape(y)

        def middle(f, t, y):
            return y + h * f(t + h / 2, y + h / 2 * f(t, y))

        def step(pair, k):
            x, y = pair
            t = k * h
            after = middle(velocity, t, x)
            at = (x + after) / 2
            eps = jnp.sqrt(jnp.sum(weight * (d * shape(at)) ** 2))
            # the exact velocity is affine in x
            ends = velocity(t + h / 2, jnp.array([0.0, 1.0]))
            return (after, middle(learned, t, y)), (eps, ends[1] - ends[0])

        start = (jnp.asarray(z), jnp.asarray(z))
        (x, y), (eps, slope) = jax.lax.scan(step, start, jnp.arange(steps) * 1.0)
        return jnp.sqrt(jnp.sum(weight * (x - y) ** 2)), eps, slope

    def waves(y):
        return jnp.sin(3 * y)

    def bounds(spread, d, shape, steep):
        law = jax.tree.map(jnp.asarray, GaussianMixture([1.0], [[1.0]], spread**2))
        truth, eps, slope = (np.asarray(v) for v in run(law, d, shape))
        mu, L = slope + steep * d, np.abs(slope) + steep * d
        # from the middle of each step on
        rest = h * (np.cumsum(mu[::-1])[::-1] - mu / 2)
        sharp = float(np.sum(h * np.exp(rest) * eps))
        whole = math.sqrt(float(np.sum(h * eps**2)))
        printed = math.exp(float(np.sum(h * L))) * whole
        return spread, d, float(truth), whole if broken else sharp, printed

    rows = [bounds(spread, d, waves, 3) for spread in (0.5, 3.0) for d in sizes]
    compared = []
    for spread in (0.5, 3.0):
        _, d, truth, sharp, printed = bounds(spread, 0.1, jnp.ones_like, 0)
        name = f"to spread {spread}, shifted by {d}"
        compared.append(Compared(f"W₂ {name}", truth, "==", sharp, 1e-4 * truth, "steps of time"))
        compared.append(Compared(f"left bound {name}", sharp, "<=", printed, 1e-9))
    for spread, d, truth, sharp, printed in reversed(rows):
        name = f"to spread {spread}, error {d} sin 3x"
        compared.append(Compared(f"W₂ {name}", truth, "<=", sharp, 1e-4 * sharp, "steps of time"))
        compared.append(Compared(f"left bound {name}", sharp, "<=", printed, 1e-9))
    wide, d, truth, sharp, printed = (np.array(c) for c in zip(*rows, strict=True))
    narrow = wide < 1
    figure = Figure(
        (
            Curve(d[narrow], printed[narrow], "right bound", "grey", "dashed"),
            Curve(d[narrow], sharp[narrow], "left bound, one-sided", "ink", "dashed"),
            Curve(d[narrow], truth[narrow], "W₂", "accent"),
        ),
        "size of the velocity's error, to a narrow law",
        "distance",
        "A contracting flow forgets errors, and only the one-sided bound sees that.",
        log_x=True,
        log_y=True,
    )
    ratio = f"Left bound over truth: {(sharp / truth).min():.2f} to {(sharp / truth).max():.2f}"
    return Finding(
        tuple(compared),
        figure,
        f"{ratio}, 1 for a shift; right: up to {(printed / truth).max():.0f}.",
    )


@theorem(
    "F22",
    "Conditional flow matching is flow matching, up to a constant",
    statement=r"\mathbb{E}\,\big|v_\theta(t,x_t)-\dot x_t\big|^2"
    r"-\mathbb{E}\,\big|v_\theta(t,x_t)-v(t,x_t)\big|^2=\text{const},\qquad"
    r" v(t,x)=\mathbb{E}\,[\dot x_t\,|\,x_t=x]",
    hypotheses=("x_t = t x₁ + (1 − t) x₀, x₀ and x₁ independent", "finite second moments"),
    source="[lipman2023flow], Theorem 2",
    kind="proved_real",
)
def conditional_flow_matching(size, key, broken=False):
    r"""Both losses of a family of velocities by quadrature over noise and data.

    Derivation: v is the conditional mean of x_t', so E<v_theta(x_t), x_t' - v(x_t)> = 0 and the
    losses differ by E|x_t' - v(x_t)|^2, which does not know theta. v is the library's exact
    velocity. Broken: the velocity of the path's point at rest, E[x_1 | x] - x.
    """
    import jax
    import jax.numpy as jnp

    from infsup.generative import Linear, exact_velocity

    law = _law()
    t, path = 0.6, Linear()
    n = pick(size, 601, 1201, 2401)
    x0, x1 = np.linspace(-8.5, 8.5, n), np.linspace(-8, 9, n)
    noise = np.exp(-(x0**2) / 2) / math.sqrt(2 * math.pi) * (x0[1] - x0[0])
    data = np.asarray(jax.vmap(lambda y: jnp.exp(law.log_density(y[None])))(jnp.asarray(x1))) * (
        x1[1] - x1[0]
    )
    joint = noise[:, None] * data
    at, rate = (1 - t) * x0[:, None] + t * x1, x1 - x0[:, None]

    @jax.jit
    def exact(flat):
        def one(y):
            if broken:
                return law.split_through(y[None], t, 1 - t)[0][0] - y
            return exact_velocity(law, path, t, y[None])[0]

        return jax.vmap(one)(flat)

    v = np.asarray(exact(jnp.asarray(at.ravel()))).reshape(at.shape)
    thetas = generator("F22", key).normal(size=(pick(size, 5, 20, 50), 2))
    gaps = []
    for p, q in thetas:
        f = p * at + q * np.sin(at)
        gaps.append(np.sum(joint * ((f - rate) ** 2 - (f - v) ** 2)))
    floor = float(np.sum(joint * (rate - v) ** 2))
    compared = (
        Compared("spread of CFM − FM over θ", float(np.ptp(gaps)), "<=", 1e-9),
        Compared("CFM − FM", float(gaps[0]), "==", floor, 1e-9, "E|ẋ − v|²"),
    )
    q = np.linspace(-2, 2, 61)
    wanted = [np.sum(joint * (0.5 * at + w * np.sin(at) - v) ** 2) for w in q]
    return _a_constant_apart(compared, q, np.array(wanted), "distance to the velocity", floor)


@theorem(
    "F27",
    "Sinkhorn contracts, and its bias is at most ε log n",
    statement=r"d_H(u_{k+2},u_{k+1})\le\tanh^2\!\Big(\frac{R}{4\varepsilon}\Big)\,d_H(u_{k+1},u_k),"
    r"\qquad 0\le\langle P_\varepsilon,C\rangle-\mathrm{OT}\le\varepsilon\log n",
    hypotheses=(
        "R = max C_il + C_kj − C_ij − C_kl, finite",
        "uniform laws on n points, for the bias",
        "d_H is Hilbert's metric between scalings",
    ),
    source="[franklin1989scaling]; [peyre2019computational], Theorem 4.2 and Proposition 4.1",
    kind="proved_real",
)
def sinkhorn_contracts(size, key, broken=False):
    r"""Two points, where the rate is attained, and random costs.

    Derivation: a positive matrix contracts Hilbert's metric by tanh(log(theta)/4), theta the
    largest cross ratio, log theta = R/eps (Birkhoff); an iteration applies the kernel and its
    transpose. For the kernel ((1, q), (q, 1)) with uniform laws the linearised iteration is the
    square of its second singular value, ((1-q)/(1+q))^2 = tanh^2: attained in the limit. The bias:
    P_eps minimises <P, C> + eps KL, and KL lies between 0 and log n for plans of uniform laws. For
    the cost 1 between different points the plan is known: with q = exp(-1/eps) the bias is (n - 1)
    q/(1 + (n - 1) q), which at 1/eps = log n - 4 and n = 10^40 is 0.94 of eps log n. Broken:
    tanh^4, as if half an iteration had the whole rate, and log(n)/2.
    """
    from scipy.optimize import linear_sum_assignment

    from infsup.numerics import oscillation, sinkhorn, transport_bracket

    power = 4 if broken else 2
    half = np.full(2, 0.5)
    two = 1.0 - np.eye(2)
    tight = sinkhorn(two, half, half, 0.4, 12, start=np.array([0.0, 1e-3])).changes
    seen = tight[tight > 1e-12]
    rate = math.tanh(oscillation(two) / (4 * 0.4)) ** power
    compared = [
        Compared("rate on two points", float(seen[2] / seen[1]), "==", rate, 1e-5, "second ratio")
    ]
    logarithm = 0.5 if broken else 1.0
    n, eps = 60, 0.4
    off = sinkhorn(1.0 - np.eye(n), np.full(n, 1 / n), np.full(n, 1 / n), eps, 20).plan
    seen = float(np.sum(off * (1.0 - np.eye(n))))
    compared.append(
        Compared(f"bias of the cost 0 or 1, n = {n}", seen, "==", _bias(float(n), eps), 1e-12)
    )
    many = 10.0**40
    eps = 1 / (math.log(many) - 4)
    share = _bias(many, eps) / (eps * math.log(many))
    compared.append(Compared("the same over ε log n, n = 10⁴⁰", share, "<=", logarithm))
    n = pick(size, 30, 60, 200)
    cost = generator("F27", key).random((n, n))
    a = np.full(n, 1.0 / n)
    rows, columns = linear_sum_assignment(cost)
    best = float(cost[rows, columns].mean())
    curves = []
    for eps in (1.0, 0.3):
        found = sinkhorn(cost, a, a, eps, pick(size, 200, 400, 1000))
        used = found.changes[found.changes > 1e-11]
        observed = float((used[1:] / used[:-1]).max())
        rate = math.tanh(oscillation(cost) / (4 * eps)) ** power
        bias = float(np.sum(found.plan * cost)) - best
        lower, upper = transport_bracket(cost, a, a, found.plan, found.f)
        compared += [
            Compared(f"rate, ε = {eps}", observed, "<=", rate),
            Compared(f"bias, ε = {eps}", bias, "<=", logarithm * eps * math.log(n), 1e-9),
            Compared(f"bias from below, ε = {eps}", bias, ">=", 0.0, 1e-9),
            Compared(f"lower end of the bracket, ε = {eps}", lower, "<=", best, 1e-9),
            Compared(f"upper end of the bracket, ε = {eps}", upper, ">=", best, 1e-9),
        ]
        k = np.arange(len(used))
        curves += [
            Curve(k, used[0] * rate**k, f"bound, ε = {eps}", "grey", "dashed"),
            Curve(k, used, f"change, ε = {eps}", "accent" if eps == 0.3 else "ink"),
        ]
    figure = Figure(
        tuple(curves),
        "iteration",
        "change in Hilbert's metric",
        "Every iteration contracts at least as proved, on most costs by far more.",
        log_y=True,
    )
    note = f"The rate is attained; the bias comes to {100 * share:.0f} % of its bound."
    return Finding(tuple(compared), figure, note)


def _bias(n: float, eps: float) -> float:
    """<P_eps, C> for the cost 1 between different ones of n points, uniform laws."""
    rest = (n - 1) * math.exp(-1 / eps)
    return rest / (1 + rest)


def _law():
    from infsup.numerics import GaussianMixture

    return GaussianMixture(WEIGHTS, np.array(MEANS)[:, None], np.array(SPREADS) ** 2)


def _cdf(x: np.ndarray, t: float = 0.0) -> np.ndarray:
    """Distribution function of the Ornstein-Uhlenbeck law at time t."""
    from scipy.special import ndtr

    a = math.exp(-t)
    spreads = np.sqrt((a * np.array(SPREADS)) ** 2 - math.expm1(-2 * t))
    return ndtr((x[:, None] - a * np.array(MEANS)) / spreads) @ np.array(WEIGHTS)
