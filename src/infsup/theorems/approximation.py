"""Approximation by networks: constructions with their exact errors, and lower bounds."""

import itertools
import math
from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np

from infsup.core.figure import Curve, Figure
from infsup.theorems.registry import Compared, Finding, generator, pick, theorem


@theorem(
    "A01",
    "Networks are universal exactly when the activation is no polynomial",
    statement=r"\sigma\in\Pi_r\;\Longrightarrow\;\sup_{[-1,1]}|f-\Phi|\ \ge\ "
    r"\operatorname{dist}(f,\Pi_r)\ \text{ at any width};\qquad"
    r" \operatorname{dist}(|x|,\Pi_3)=\tfrac18",
    hypotheses=(
        "one hidden layer, output Σ cᵢ σ(aᵢx + bᵢ) + c",
        "σ a polynomial of degree r (here 3); ReLU as the contrast",
    ),
    source="[leshno1993multilayer]; [petersen2024mathematical], Theorem 3.9",
    kind="proved_real",
)
def polynomial_activations_are_not_universal(size, key, broken=False):
    r"""Cubic networks fitted to |x|, against a floor proved by five points.

    Derivation: a cubic network is a polynomial p of degree 3. The weights l = (1, -4, 6, -4, 1)/16
    at -1, -1/2, 0, 1/2, 1 annihilate cubics and have sum |l| = 1, so max |f - p| >= |sum l f| = 1/8
    for f = |x|; x^2 + 1/8 attains it, and is a network of two cubic units, as (x + 1)^3 - (x - 1)^3
    = 6 x^2 + 2. Beside it a ReLU network that is |x|, exactly. Broken: the floor is claimed for
    ReLU units.
    """
    from infsup.networks import ReLUNetwork

    nodes = [Fraction(k, 2) for k in range(-2, 3)]
    weights = [Fraction(k, 16) for k in (1, -4, 6, -4, 1)]
    cubics = max(abs(sum(w * x**k for w, x in zip(weights, nodes, strict=True))) for k in range(4))
    floor = abs(sum(w * abs(x) for w, x in zip(weights, nodes, strict=True)))
    rng = generator("A01", key)
    x = np.unique(np.concatenate([np.linspace(-1, 1, 201), [float(v) for v in nodes]]))
    widths = np.array([1, 2, 4, 8, 16, 32, 50])

    def fitted(width: int, cube: bool) -> float:
        a, b = rng.normal(size=width), rng.normal(size=width)
        z = np.outer(x, a) + b
        features = np.column_stack([z**3 if cube else np.maximum(z, 0), np.ones(len(x))])
        c = np.linalg.lstsq(features, np.abs(x), rcond=None)[0]
        return float(np.abs(features @ c - np.abs(x)).max())

    repeats = pick(size, 5, 20, 100)
    cubic = np.array([min(fitted(w, True) for _ in range(repeats)) for w in widths.tolist()])
    relus = np.array([min(fitted(w, False) for _ in range(repeats)) for w in widths.tolist()])
    two = ReLUNetwork(
        1, [(np.array([[1.0], [-1.0]]), np.zeros(2))], (np.array([[0.0, 1.0, 1.0]]), np.zeros(1))
    )
    exact = max(abs(two.exact(v)[0] - abs(v)) for v in nodes)
    pair = [((v + 1) ** 3 - (v - 1) ** 3) / 6 - Fraction(1, 3) + Fraction(1, 8) for v in nodes]
    attained = max(abs(y - abs(v)) for v, y in zip(nodes, pair, strict=True))
    best = float(relus.min()) if broken else float(cubic.min())
    what = "ReLU" if broken else "cubic"
    compared = (
        Compared(f"best of {repeats * len(widths)} {what} networks", best, ">=", floor, 1e-12),
        Compared("error of two cubic units", attained, "==", floor, 0, "x² + 1/8, at five points"),
        Compared("largest |Σ l p| of cubics p", cubics, "==", 0),
        Compared("error of two ReLU units", exact, "==", 0),
    )
    figure = Figure(
        (
            Curve(widths, np.full(len(widths), float(floor)), "1/8", "grey", "dashed"),
            Curve(widths, cubic, "cubic units", "accent"),
            Curve(widths, np.maximum(relus, 1e-6), "ReLU units", "ink"),
        ),
        "width",
        "least error found for |x|",
        "No width brings cubic units below 1/8.",
        log_x=True,
        log_y=True,
    )
    return Finding(compared, figure)


@theorem(
    "A02",
    "One hidden layer interpolates: the error of N units",
    statement=r"\sup_{[0,1]}|f-\Phi_N|\;\le\;\frac{\|f^{(2)}\|_\infty}{8\,N^2},"
    r"\qquad\sup_{[0,1]}|f-\Phi_N|\le\omega_f(1/N),"
    r"\qquad \Phi_N\ \text{the broken line through } f(k/N)",
    hypotheses=(
        "f ∈ C²[0, 1] for the first; f continuous with modulus ω_f for the second",
        "one hidden layer of N − 1 ReLU units, real arithmetic",
    ),
    source="Classical; [petersen2024mathematical], Chapter 5",
    kind="proved",
)
def broken_line_error(size, key, broken=False):
    r"""Interpolants of x^2, where the bound is attained, and of e^x, enclosed in balls.

    Derivation: on a cell of length h, f - line = f''(s) (x - a)(x - b)/2 for some s, and (x-a)(b-x)
    <= h^2/4. For x^2 the error at the midpoint is h^2/4 = |f''| h^2/8. The error of e^x is the
    library's proved enclosure of the supremum, slopes rounded as they are. The line is an average
    of f at both ends, each nearer than h: the modulus. A spike between two nodes attains it, and
    the square root, w(h) = sqrt h, has a quarter of it. Broken: 1/16 for 1/8, and w(1/(4N)).
    """
    from infsup import certify
    from infsup.approximation import Approximate, PiecewiseEnclosure

    share = 16 if broken else 8
    compared = []
    for N in (4, 16):
        knots = [k / N for k in range(N + 1)]
        network = _broken_line(knots, [x * x for x in knots])
        middles = [Fraction(2 * k + 1, 2 * N) for k in range(N)]
        error = max(abs(network.exact(x)[0] - x * x) for x in middles)
        bound = Fraction(2, share * N**2)
        compared.append(Compared(f"x², N = {N}: error at midpoints", error, "==", bound))
    problem = Approximate("exp(x)", (0.0, 1.0))
    sizes = pick(size, 3, 5, 6)
    counts, found = 4 ** np.arange(1, sizes + 1), []
    for N in counts:
        knots = [k / int(N) for k in range(int(N) + 1)]
        network = _broken_line(knots, list(np.exp(knots)))
        bracket = certify(problem, network, PiecewiseEnclosure(rtol=1e-4))
        bound = math.e / (share * int(N) ** 2)
        found.append((float(bracket.lower), float(bracket.upper), math.e / (8 * int(N) ** 2)))
        compared.append(
            Compared(
                f"eˣ, N = {N}: proved upper end",
                float(bracket.upper),
                "<=",
                bound,
                2e-4 * bound,
                "the width of the enclosure",
            )
        )
    for text, N, width in (("relu(1 - 64*abs(x - 3/32))", 16, 1 / 64), ("sqrt(x)", 16, 1.0)):
        knots = [k / N for k in range(N + 1)]
        values = [0.0 if "relu" in text else math.sqrt(x) for x in knots]
        network = _broken_line(knots, values)
        bracket = certify(Approximate(text, (0.0, 1.0)), network, PiecewiseEnclosure(rtol=1e-4))
        reach = 1 / (4 * N if broken else N)
        modulus = min(1.0, reach / width) if "relu" in text else math.sqrt(reach)
        name = "a spike" if "relu" in text else "√x"
        share = 1.0 if "relu" in text else 0.25
        compared += [
            Compared(f"{name}, N = {N}: proved lower end", float(bracket.lower), "<=", modulus),
            Compared(
                f"{name}, N = {N}: proved upper end over ω(1/N)",
                float(bracket.upper) / modulus,
                "==",
                share,
                1e-3,
                "the width of the enclosure",
            ),
        ]
    lower, upper, bound = (np.array(c) for c in zip(*found, strict=True))
    figure = Figure(
        (
            Curve(counts, bound, "e/(8N²)", "grey", "dashed"),
            Curve(counts, upper, "error for eˣ", "accent"),
        ),
        "N",
        "sup-norm error",
        "Four times the units, a sixteenth of the error.",
        log_x=True,
        log_y=True,
    )
    note = f"For eˣ the error is at least {(lower / bound).max():.3f} of the bound."
    return Finding(tuple(compared), figure, note)


@theorem(
    "A03",
    "A network squares: its error is a power of 1/4, exactly",
    statement=r"\sup_{[0,1]}\big|x^2-f_m(x)\big|=4^{-(m+1)},\qquad"
    r" f_m=x-\sum_{s=1}^{m}4^{-s}\,g^{\circ s}(x),\qquad \text{width }3,\ \text{depth }m,\ "
    r"\text{size}\le 7m",
    hypotheses=(
        "g(x) = 2x on [0, 1/2], 2 − 2x on [1/2, 1]",
        "real arithmetic; weights are dyadic",
        "size: nonzero weights and biases",
    ),
    source="[yarotsky2017error], Proposition 2; [petersen2024mathematical], Lemma 7.2;"
    " the size 7m − 2 is derived here",
    kind="proved",
)
def square_network(size, key, broken=False):
    r"""The width-3 network, in rational arithmetic at all nodes and midpoints.

    Derivation: f_m is the broken line through x^2 at the multiples of h = 2^-m, as f_{m-1} - f_m =
    4^-m g^m is the gap of one halving. Its pieces are counted exactly: 2^m. On each x^2 - f_m is a
    parabola that vanishes at both ends, so its extremum h^2/4 = 4^-(m+1) is at the midpoint. Layer
    to layer without skips, with the carried sum t_j = f_j + c_j g^j >= 0, 7m - 2 numbers suffice.
    Broken: the exponent m + 3/2, half of the error.
    """
    most = pick(size, 6, 8, 11)
    compared, sizes = [], []
    for m in range(1, most + 1):
        network = _square(m)
        n = 2**m
        middles = [Fraction(2 * k + 1, 2 * n) for k in range(n)]
        errors = [abs(network.exact(x)[0] - x * x) for x in middles]
        nodes = max(
            abs(network.exact(Fraction(k, n))[0] - Fraction(k, n) ** 2) for k in range(n + 1)
        )
        bound = Fraction(1, 4 ** (m + 1)) / (2 if broken else 1)
        counts = network.counts
        sizes.append((counts.n_nonzero, float(max(errors))))
        compared.append(Compared(f"m = {m}: largest error at midpoints", max(errors), "==", bound))
        if m == most:
            compared += [
                Compared(f"m = {m}: least error at midpoints", min(errors), "==", bound),
                Compared(f"m = {m}: largest error at nodes", nodes, "==", 0),
                Compared(f"m = {m}: pieces", network.pieces(0.0, 1.0), "==", n),
                Compared(f"m = {m}: size", counts.n_nonzero, "<=", 7 * m),
                Compared(f"m = {m}: width", counts.width, "<=", 3),
            ]
    x = np.linspace(0, 1, 513)
    curves = [
        Curve(x, _square(m).values(x) - x * x, f"m = {m}", "accent" if m == 2 else "grey")
        for m in (1, 2)
    ]
    figure = Figure(
        tuple(curves), "x", "f_m(x) − x²", "One more level halves the teeth and quarters the error."
    )
    note = f"Size {sizes[-1][0]} for m = {most}: 7m − 2, below the 7m of the textbook."
    return Finding(tuple(compared), figure, note)


@theorem(
    "A04",
    "A network multiplies: the error of Yarotsky's product, exactly",
    statement=r"\sup_{[-M,M]^2}\big|xy-\Pi_m(x,y)\big|=4M^2\,4^{-(m+1)}\ \le\ 6M^2\,4^{-(m+1)},"
    r"\qquad \Pi_m(x,0)=\Pi_m(0,y)=0",
    hypotheses=(
        "Π_m = 2M² (f_m(|x+y|/2M) − f_m(|x|/2M) − f_m(|y|/2M))",
        "real arithmetic; M a power of two",
    ),
    source="[yarotsky2017error], Proposition 3 (the constant 6); the constant 4 is derived here",
    kind="proved",
)
def product_network(size, key, broken=False):
    r"""The product network at dyadic points, where float64 computes it without rounding.

    Derivation: with E = f_m - x^2 in [0, d], d = 4^-(m+1), the error is 2 M^2 (E(|x+y|/2M) -
    E(|x|/2M) - E(|y|/2M)), so it lies in [-4 M^2 d, 2 M^2 d]. The lower end is reached where |x|/2M
    = |y|/2M is a midpoint of two nodes, so that their sum is a node. On the triangles between the
    lines where |x|, |y| or |x + y| is a multiple of a = 2M/2^m the network is affine and xy is a
    saddle, so the error is largest on their edges: zero at the ends, affine where x or y is fixed,
    a parabola with its top in the middle where x + y is. The grid of step a/8 has all these
    middles: its largest error is the supremum. There numbers have fewer than 50 bits, and float64
    sums and products are exact. Broken: the constant 3.
    """
    from infsup.approximation import three_square_product

    M = 2.0
    compared = []
    for m in range(2, pick(size, 4, 6, 8) + 1):
        network = three_square_product(M, m)
        d = Fraction(1, 4 ** (m + 1))
        sharp = (3 if broken else 4) * Fraction(M) ** 2 * d
        steps = 2 ** (m + 2)
        x = np.arange(-steps, steps + 1) * (M / steps)
        X, Y = np.meshgrid(x, x)
        points = np.column_stack([X.ravel(), Y.ravel()])
        error = np.abs(network.values(points) - points[:, 0] * points[:, 1])
        worst = points[int(np.argmax(error))]
        at = Fraction(M) / 2**m
        exact = abs(network.exact([at, at])[0] - at * at)
        zero = [network.exact([Fraction(v), Fraction(0)])[0] for v in worst]
        zero += [network.exact([Fraction(0), Fraction(v)])[0] for v in worst]
        compared = [
            Compared(f"m = {m}: error at ({float(at)}, {float(at)})", exact, "==", sharp),
            Compared(
                f"m = {m}: largest error of {len(points)} points",
                Fraction(float(error.max())),
                "==",
                sharp,
            ),
            Compared(
                f"m = {m}: the same against Yarotsky's", exact, "<=", 6 * Fraction(M) ** 2 * d
            ),
            Compared(f"m = {m}: largest |Π(x, 0)|, |Π(0, y)|", max(map(abs, zero)), "==", 0),
            *compared,
        ]
    row = np.linspace(-M, M, 513)
    network = three_square_product(M, 3)
    points = np.column_stack([row, row])
    figure = Figure(
        (
            Curve(row, np.full(513, float(4 * M**2 / 4**4)), "4M²/4⁴", "grey", "dashed"),
            Curve(row, row**2 - network.values(points), "xy − Π₃ on x = y", "accent"),
        ),
        "x",
        "error",
        "On the diagonal the error of the product touches its bound again and again.",
    )
    return Finding(tuple(compared), figure, "Two thirds of Yarotsky's constant, and attained.")


@theorem(
    "A06",
    "Patched Taylor polynomials: the inner step of the Sobolev rate",
    statement=r"\Big|f(x)-\sum_{m\in\{0..N\}^d}\phi_m(x)\,P_m(x)\Big|\;\le\;"
    r"\frac{(d/2)^n}{n!}\,N^{-n}\,\|D^nf\|\;\le\;\frac{2^d d^n}{n!}\,N^{-n}\,\|D^nf\|,"
    r"\qquad\|D^nf\|=\max_{|k|=n}\|D^kf\|_\infty",
    hypotheses=(
        "f ∈ W^{n,∞} on the unit cube; d ≤ 2 and n ≤ 3 here",
        "P_m the Taylor polynomial of degree n − 1 at m/N",
        "φ_m a partition of unity, each on a cube of half side 2/(3N), linear flanks",
        "real arithmetic",
    ),
    source="[yarotsky2017error], proof of Theorem 1 (right); the left constant is derived here",
    kind="proved",
)
def patched_taylor(size, key, broken=False):
    r"""Where the left constant is attained, without rounding; and a sine, enclosed in balls.

    Derivation: the remainder of P_m is at most sum over |k| = n of |x - m/N|^k/k! times |D^n f|,
    and the sum is |x - m/N|_1^n/n!. The weights are not negative and sum to 1, a product over the
    axes: so the error is at most E|X|_1^n/n!, X = x - m/N with m drawn by the weights. Expand
    |X|_1^n: every term is a product of moments E|X_i|^j, j <= n, of one axis. At (m + 1/2 + s)/N
    with |s| <= 1/6 such a moment, times N^j, is 1/2 - 6 s^2, 1/4 - 5 s^2, 1/8 - 3 s^2 - 6 s^4 for j
    = 1, 2, 3; elsewhere at most 3^-j. All are largest at s = 0, where X has the entries 1/(2N):
    (d/2)^n N^-n/n!. Attained: f = (|x_1 - c_1| + ... )^n, c the centre of a cell, has |D^n f| = n!,
    and all 2^d remainders at c are (-d/(2N))^n. With N a power of two float64 computes this without
    rounding. Right constant: 2^d patches, each with weight 1 and |x_k - m_k/N| < 1/N. The sine's
    error is enclosed on boxes: Taylor's remainder in balls, and weights at the ends, as it is
    affine in each. Broken: (d/3)^n, as if a patch ended where the next one begins.
    """
    from infsup.approximation import taylor_patches

    rng = generator("A06", key)
    compared, curves = [], []
    finest = {1: pick(size, 16, 32, 64), 2: pick(size, 8, 8, 16)}
    for d in (1, 2):
        for n in (1, 2, 3):
            cells = 2 ** np.arange(1, int(math.log2(finest[d])) + 1)
            share = Fraction(d, 3 if broken else 2) ** n / math.factorial(n)
            bounds = [share / int(N) ** n for N in cells]
            at = 2 ** int(rng.integers(1, 7))
            centre = (rng.integers(0, at, d) + 0.5) / at
            found = taylor_patches(_corner(centre, n), at, n, centre[None])[0]
            compared.append(
                Compared(
                    f"d = {d}, n = {n}, N = {at}: error where it is largest",
                    abs(Fraction(float(found))) / math.factorial(n),
                    "==",
                    share / at**n,
                )
            )
            ends, seen = [], 0.0
            for N in cells.tolist():
                ends.append(_sine_patches(N, n, d))
                x = rng.random((pick(size, 200, 1000, 5000), d))
                values = taylor_patches(_sine_derivative, N, n, x)
                error = float(np.abs(values - np.sin(x.sum(1))).max())
                seen = max(seen, error / ends[-1])
            worst = max(range(len(ends)), key=lambda i: ends[i] / float(bounds[i]))
            compared += [
                Compared(
                    f"d = {d}, n = {n}, N = {cells[worst]}: proved upper end for a sine",
                    Fraction(ends[worst]),
                    "<=",
                    bounds[worst],
                    0,
                    "the N at which the two are closest",
                ),
                Compared(
                    f"d = {d}, n = {n}: errors at random points over that end",
                    seen,
                    "<=",
                    1.0,
                    1e-9,
                ),
            ]
            if d == 2:
                curves += [
                    Curve(cells, np.array(bounds, float), "", "grey", "dashed"),
                    Curve(cells, np.array(ends), f"n = {n}", "accent" if n == 3 else "ink"),
                ]
    figure = Figure(
        tuple(curves),
        "N, patches a side (d = 2)",
        "proved error for a sine",
        "Every derivative that is used adds a power of N; dashed are the bounds.",
        log_x=True,
        log_y=True,
    )
    note = "The left constant is attained; the printed one is 2^(d + n) times as large."
    return Finding(tuple(compared), figure, note)


@theorem(
    "A09",
    "A continuous choice of W weights cannot beat the power n/d",
    statement=r"\sup_{f\in B}\|f-R(a(f))\|_\infty\;\ge\;\rho,\qquad"
    r" \rho=\begin{cases}\dfrac{1}{2(W+1)}&d=1,\ n=1\\[1ex]"
    r" \dfrac{1}{16\,(W+1)^2}&d=1,\ n=2\\[1ex]\dfrac{1}{2\sqrt{W+1}}&d=2,\ n=1\end{cases}",
    hypotheses=(
        "a: C([0, 1]^d) → ℝ^W continuous, R any map back",
        "B: f and its derivatives up to order n are at most 1 in size",
        "W + 1 a square number, for d = 2",
        "checked: the ball of bumps, for every a; for some linear and one trained a, the two"
        " functions that a confuses. That every a confuses two is Borsuk and Ulam's theorem",
    ),
    source="[devore1989optimal]; [petersen2024mathematical], Theorem 8.4; the constants are derived"
    " here from the bumps",
    kind="proved_real",
)
def continuous_weights(size, key, broken=False):
    r"""A ball of W + 1 bumps inside B, and for actual choices two functions of it confused.

    Derivation: W + 1 bumps on cells of side h, of height rho: for n = 1 cones h/2 - |x - centre| in
    the largest coordinate, of slope 1; for n = 2 the spline with f'' = 1, -1, 1 on [0, h/4], [h/4,
    3h/4], [3h/4, h], of height h^2/16. Supports do not overlap, so every combination with
    coefficients in [-1, 1] is in B and has norm rho max|c|: exact below. By Borsuk and Ulam some c
    with max|c| = 1 has a(f_c) = a(-f_c), so one of f_c, -f_c is missed by rho, whatever R is.

    For linear a such a c is a kernel vector. For a trained one, a(f) are the W weights of sum_j w_j
    tanh(3 w_j (x - p_j)) after some steps of gradient descent on f from a fixed start: continuous
    in f, not linear. For W = 1 the square max|c| = 1 is walked half around: the difference of the
    two weights changes its sign, and the change is bracketed. For more the pair is found by least
    squares. What the theorem says is read off there: the worse error of the two trained networks.
    Broken: W cells in place of W + 1.
    """
    rng = generator("A09", key)
    compared = [*_ball_of_bumps(broken)]
    cell = 64
    # |s| is the distance from the middle of a cell of length 1
    away = np.abs(np.arange(cell) / cell - 0.5)
    spline = np.where(away < 0.25, 1 / 16 - away**2 / 2, (0.5 - away) ** 2 / 2)
    profiles = {1: 0.5 - away, 2: spline}
    seen = 0.0
    for n, profile in profiles.items():
        for W in (4, 16) if size == "quick" else (4, 16, 64, 128):
            points = (W + 1) * cell + 1
            x = np.linspace(0, 1, points)
            bumps = np.zeros((W + 1, points))
            for i in range(W + 1):
                bumps[i, i * cell : (i + 1) * cell] = profile / (W + 1) ** n
            measurements = {
                "samples": bumps[:, np.sort(rng.choice(points, W, replace=False))],
                "averages": bumps @ (rng.random((points, W)) < 0.2) / points,
                "moments": bumps @ np.polynomial.chebyshev.chebvander(2 * x - 1, W - 1) / points,
            }
            for name, measured in measurements.items():
                c = np.linalg.svd(measured.T)[2][-1]
                c /= np.abs(c).max()
                f = c @ bumps
                height = float(_bump_height(W, n, 1, broken))
                # f and -f look the same, so one of the two errors is at least |f|
                seen = max(seen, float(np.abs(c @ measured).max()) / height)
                compared.append(
                    Compared(
                        f"n = {n}, {W} {name}: error that is forced",
                        float(np.abs(f).max()),
                        ">=",
                        height,
                        1e-12 * height,
                    )
                )
    compared.append(Compared("most that is seen of f, over ρ", seen, "<=", 1e-9))
    pairs = []
    for W in (1, 2) if size == "quick" else (1, 2, 4):
        trained = _confused_training(rng, W)
        height = float(_bump_height(W, 1, 1, broken))
        name = f"{W} trained weight{'s' * (W > 1)}"
        found = [
            Compared(f"{name}: the worse error of f, −f", trained.error, ">=", height, 1e-9),
            Compared(f"{name}: how far the two differ", trained.apart, "<=", 1e-9),
        ]
        if W == 1:
            found += [
                Compared("their difference, where the bracket begins", trained.left, "<=", -1e-13),
                Compared("and 10⁻⁹ of a turn later", trained.right, ">=", 1e-13),
            ]
        compared = [*found, *compared]
        pairs.append(trained)
    shown = pairs[1]
    figure = Figure(
        (
            Curve(shown.x, shown.f, "f", "ink"),
            Curve(shown.x, -shown.f, "−f", "grey"),
            Curve(shown.x, shown.network, "what training makes of both", "accent"),
        ),
        "x",
        "f",
        "Two functions from which training makes the same two weights.",
    )
    note = "For a choice that is not linear the pair is found, not derived."
    return Finding(tuple(compared), figure, note)


@theorem(
    "A10",
    "From N values: the best possible error is the covering radius",
    statement=r"\inf_{A}\ \sup_{\mathrm{Lip}(f)\le1}\|f-A(f(x_1),\dots,f(x_N))\|_\infty"
    r"=\sup_x\min_i|x-x_i|=r\ \ge\ \frac{1}{\sqrt{\pi N}},\qquad"
    r" \inf_{A}\ \sup_{\|f\|_{C^2}\le1}\|f-A(\dots)\|_\infty"
    r"\ \ge\ \frac{r^2}{6}\ \ge\ \frac{1}{6\pi N}",
    hypotheses=(
        "f on [0, 1]², Euclidean norm; ‖f‖: |f|, |∇f| and |D²f| at most",
        "f is known at N points, nothing else",
        "r ≤ 1, for the second",
    ),
    source="[petersen2024mathematical], Theorem 8.1 (smooth case); [sukharev1992minimax]",
    kind="proved_real",
)
def lipschitz_from_samples(size, key, broken=False):
    r"""Random and square designs, and the band of the function that fools them.

    Derivation: f = min_i |x - x_i| is 1-Lipschitz and vanishes on the data, as -f does, so at the
    centre of the largest empty disc every method errs by its radius; the band's centre errs by no
    more. Discs of that radius cover the square: N pi r^2 >= 1. The radius is searched on a grid
    from below, against which the floor must still hold. A square design of n^2 points has the
    radius 1/(n sqrt 2), sqrt(pi/2) = 1.2533 times the floor. For the smooth class the function is
    r^2/6 (1 - |x - c|^2/r^2)^3 on that disc: with u = |x - c|^2/r^2 the eigenvalues of D^2 f are
    -(1 - u)^2 and (1 - u)(5 u - 1), and |grad f| = r sqrt(u) (1 - u)^2, all at most 1; it is twice
    differentiable at the edge. Broken: the floor of discs of half the area, 1/sqrt(pi N/2).
    """
    from infsup.approximation import lipschitz_band

    rng = generator("A10", key)
    side = pick(size, 100, 200, 400)
    axis = (np.arange(side) + 0.5) / side
    grid = np.stack(np.meshgrid(axis, axis), -1).reshape(-1, 2)
    grid = np.concatenate([grid, np.array([[0.0, 0], [0, 1], [1, 0], [1, 1]])])
    designs = {"random": [], "square": []}
    compared = []
    for n in (8, 16) if size == "quick" else (8, 16, 24):
        x = (np.arange(n) + 0.5) / n
        designs["square"].append(np.stack(np.meshgrid(x, x), -1).reshape(-1, 2))
        designs["random"].append(rng.random((n * n, 2)))
    points, radii = {}, {}
    for name, sets in designs.items():
        points[name], radii[name] = [], []
        for data in sets:
            band = lipschitz_band(grid, data, np.zeros(len(data)), 1.0)
            worst = int(np.argmax(band.radius))
            radius = float(np.sqrt(np.min(np.sum((data - grid[worst]) ** 2, 1))))
            floor = math.sqrt((2 if broken else 1) / (math.pi * len(data)))
            points[name].append(len(data))
            radii[name].append(radius)
            half = float(band.radius[worst])
            compared += [
                Compared(f"{name}, N = {len(data)}: half width", half, "==", radius, 1e-12),
                Compared(f"{name}, N = {len(data)}: radius", radius, ">=", floor),
            ]
            if name == "square":
                exact = 1 / math.sqrt(2 * len(data))
                compared.append(
                    Compared(f"square, N = {len(data)}: exact radius", radius, "==", exact, 1e-12)
                )
                compared += _smooth_bump(data, grid[worst], radius)
    compared.reverse()
    N = np.geomspace(50, 400 if size == "quick" else 800, 30)
    figure = Figure(
        (
            Curve(N, 1 / np.sqrt(math.pi * N), "1/√(πN)", "grey", "dashed"),
            Curve(np.array(points["random"]), np.array(radii["random"]), "random", "ink"),
            Curve(np.array(points["square"]), np.array(radii["square"]), "square", "accent"),
        ),
        "N",
        "worst error",
        "A square design is within 26 percent of the floor for every design.",
        log_x=True,
        log_y=True,
    )
    return Finding(tuple(compared), figure)


@theorem(
    "A12",
    "How many affine pieces a network can have",
    statement=r"\#\text{pieces}\big(\Phi:\mathbb{R}\to\mathbb{R}\big)\;\le\;"
    r"\prod_{\ell=1}^{L}(n_\ell+1)",
    hypotheses=("ReLU, layers of n₁, ..., n_L units, no skip connections", "one input, one output"),
    source="[petersen2024mathematical], Chapter 6; [telgarsky2015representation]",
    kind="proved",
)
def affine_pieces(size, key, broken=False):
    r"""Exact counts: random networks, the sawtooth, and a shallow network that attains it.

    Derivation: where the layers before have p pieces, each of the n units of a layer is affine on
    each piece and crosses zero there at most once: at most p (n + 1) pieces. For one layer n + 1 is
    attained by n different breakpoints. The iterated tent has 2^k pieces from k layers of 2 units;
    two layers of 40 come to 96 % of their bound. Broken: the product of the widths, without + 1.
    """
    from infsup.approximation import tent
    from infsup.networks import ReLUNetwork

    rng = generator("A12", key)

    def bound(widths: tuple[int, ...]) -> int:
        return math.prod(n if broken else n + 1 for n in widths)

    compared, most = [], []
    repeats = pick(size, 10, 50, 500)
    for widths in ((5,), (4, 4), (3, 3, 3), (8, 8, 8)):
        found = []
        for _ in range(repeats):
            levels, nodes, before = [], 1, 1
            for n in widths:
                w = np.zeros((n, nodes))
                # short weights keep the rational arithmetic short; they are generic all the same
                w[:, nodes - before :] = np.round(rng.normal(size=(n, before)) * 64) / 64
                levels.append((w, np.round(rng.normal(size=n) * 64) / 64))
                nodes, before = nodes + n, n
            out = np.zeros((1, nodes))
            out[0, -before:] = np.round(rng.normal(size=before) * 64) / 64
            found.append(ReLUNetwork(1, levels, (out, np.zeros(1))).pieces(-10.0, 10.0))
        shape = "-".join(map(str, widths))
        most.append((shape, max(found), float(np.mean(found)), bound(widths)))
        compared.append(Compared(f"most pieces of {shape}", max(found), "<=", bound(widths)))
    shallow = ReLUNetwork(
        1, [(np.ones((7, 1)), -np.arange(7.0))], (np.array([[0.0] + [1.0] * 7]), np.zeros(1))
    )
    compared.append(Compared("a shallow network of 7 units", shallow.pieces(-1.0, 7.0), "==", 8))
    wide = 40
    # slopes that alternate: wide pieces from 0 to 1 and back, then cut between two of their values
    zigzag = wide * np.array([1.0] + [2.0 * (-1) ** k for k in range(1, wide)])
    knots = np.arange(wide) / wide
    levels = [
        (np.ones((wide, 1)), -knots),
        (np.tile(np.append(0.0, zigzag), (wide, 1)), -knots - 1 / 128),
    ]
    out = np.append(np.zeros(1 + wide), np.arange(1.0, wide + 1))[None]
    deep = ReLUNetwork(1, levels, (out, np.zeros(1)))
    found = deep.pieces(-1.0, 2.0)
    compared.append(Compared(f"two layers of {wide}", found, "<=", bound((wide, wide))))
    compared.append(Compared("their share of the bound", found / (wide + 1) ** 2, ">=", 0.95))
    ks = np.arange(1, pick(size, 8, 10, 12) + 1)
    teeth = [tent(int(k)).pieces(0.0, 1.0) for k in ks]
    for k, pieces in zip(ks, teeth, strict=True):
        compared.append(Compared(f"sawtooth of {k} layers", pieces, "==", 2 ** int(k)))
    layers = int(ks[-1])
    compared.append(
        Compared(f"sawtooth of {layers} layers, again", teeth[-1], "<=", bound((2,) * layers))
    )
    figure = Figure(
        (
            Curve(ks, 3.0**ks, "bound, width 2", "grey", "dashed"),
            Curve(ks, np.array(teeth, float), "sawtooth", "accent"),
            Curve(ks, 2.0 * ks + 1, "one layer of as many units", "ink"),
        ),
        "layers",
        "pieces",
        "Depth multiplies pieces, width adds them.",
        log_y=True,
    )
    note = "Random networks have far fewer: " + ", ".join(
        f"{w} {mean:.0f} of {b}" for w, _, mean, b in most
    )
    return Finding(tuple(compared), figure, note + ".")


@theorem(
    "A14",
    "Curvature costs pieces: a lower bound for every network",
    statement=r"|f^{(2)}|\ge\mu>0\ \text{on } [a,b],\qquad"
    r" \#\text{pieces}(\Phi)\le p\;\Longrightarrow\;\sup_{[a,b]}|f-\Phi|\;\ge\;"
    r"\frac{\mu\,(b-a)^2}{16\,p^2}",
    hypotheses=(
        "f'' has one sign on [a, b]",
        "Φ piecewise affine with p pieces, continuous or not",
    ),
    source="Classical; [petersen2024mathematical], Chapter 6; derived here",
    kind="proved",
)
def curvature_lower_bound(size, key, broken=False):
    r"""Networks for x^2 and e^x: exact pieces, proved errors, and how near the bound is.

    Derivation: one piece has length h >= (b-a)/p; there f - line - (mu/2) x^2 is convex (or with
    signs, concave), so the second difference of f - line over h/2 is at least mu h^2/4, and it is
    at most 4 max|f - line|. For x^2 (mu = 2) the bound 1/(8p^2) is attained by best lines on equal
    pieces, which join; the sawtooth network is within a factor 2. Broken: twice the bound.
    """
    from infsup import certify, run
    from infsup.approximation import Approximate, PiecewiseEnclosure, PiecewiseLinear

    share = 8 if broken else 16
    compared, points = [], []
    for text, curvature in (("x**2", 2), ("exp(x)", 1)):
        for eps in (1e-2, 1e-4) if size == "quick" else (1e-2, 1e-3, 1e-4, 1e-5):
            problem = Approximate(text, (0.0, 1.0), eps)
            answer = run(problem, PiecewiseLinear(), 0).answer
            network = getattr(answer, "answer", answer)
            p = network.pieces(0.0, 1.0)
            bracket = certify(problem, network, PiecewiseEnclosure())
            bound = Fraction(curvature, share * p**2)
            points.append((p, float(bracket.lower), float(bound)))
            compared.append(
                Compared(
                    f"{text}, {p} pieces: proved upper end of the error",
                    Fraction(float(bracket.upper)),
                    ">=",
                    bound,
                )
            )
    for m in (2, 4, 6):
        network = _square(m)
        x = Fraction(1, 2 ** (m + 1))
        error, p = abs(network.exact(x)[0] - x * x), network.pieces(0.0, 1.0)
        compared.append(
            Compared(f"sawtooth, {p} pieces: error", error, ">=", Fraction(2, share * p**2))
        )
    p = np.array([2.0**m for m in range(2, 8)])
    ours = np.array(points[: len(points) // 2])
    figure = Figure(
        (
            Curve(p, 1 / (8 * p**2), "1/(8p²)", "grey", "dashed"),
            Curve(p, 1 / (4 * p**2), "sawtooth", "ink"),
            Curve(ours[:, 0], ours[:, 1], "free knots", "accent", "points"),
        ),
        "pieces",
        "error for x²",
        "Free knots attain the bound; the sawtooth is within a factor 2.",
        log_x=True,
        log_y=True,
    )
    return Finding(tuple(compared), figure)


@theorem(
    "A26",
    "Barron: random units approximate at a rate without the dimension",
    statement=r"\mathbb{E}\int_{B_1}\!|f-f_N|^2\,\frac{dx}{|B_1|}"
    r"=\frac{V^2p-\|f-f(0)\|^2}{N}\;\le\;\frac{V^2}{N}\;\le\;"
    r"\frac{4\,C^2}{N},\qquad C=\int|\omega||\hat f(\omega)|\,d\omega",
    hypotheses=(
        "f(x) = exp(−|x|²/2) on the unit ball of ℝ^d: f̂ is a Gaussian law",
        "N steps drawn from the signed measure of total mass V",
        "p: the chance that a step is on at a point of the ball; ‖·‖: the mean square there",
    ),
    source="[barron1993universal], Theorem 1; [petersen2024mathematical], Theorem 8.12; the"
    " equality is derived here",
    kind="confidence",
)
def barron_rate(size, key, broken=False):
    r"""Networks of random steps: their mean squared error against its exact expectation.

    Derivation: f_N is the mean of N independent draws g with E g = f, and g - f(0) is V or -V where
    the step is on and 0 elsewhere. So the mean squared error is (E (g - f(0))^2 - (f - f(0))^2)/N =
    (V^2 p - |f - f(0)|^2)/N at a point, and on average over the ball; p <= 1. V = E int_0^1 2 r
    |sin r t| dt <= 2 E r = 2 C. The library's docstring of `barron_steps` derives the draws. p is
    found here by quadrature of the law of (r, t) and of one coordinate of the ball. Every block of
    N steps has its own points of the ball, so its squared error, in [0, (V + 1)^2], is an unbiased
    draw; the ends of a betting interval at 1 - 1e-6 each are compared. Broken: V^2 p/N, without the
    square of the mean.
    """
    from infsup.approximation import barron_steps, bump, fourier_moment, step_variation
    from infsup.core.intervals import betting

    rng = generator("A26", key)
    compared, rows = [], []
    points = 16
    for d, N in ((5, 4), (5, 16), (1, 4)):
        V, C = step_variation(d), fourier_moment(d)
        on, square = _steps_on(d)
        exact = (V**2 * on - (0.0 if broken else square)) / N
        batches, runs = pick(size, 5, 25, 100), 8000
        errors = []
        for _ in range(batches):
            # one network of independent steps is as many of N steps each
            many = barron_steps(d, runs * N, rng)
            x = rng.normal(size=(runs, points, d))
            x /= np.linalg.norm(x, axis=-1, keepdims=True)
            x *= rng.random((runs, points, 1)) ** (1 / d)
            blocks = [a.reshape(-1, N, *a.shape[1:]) for a in (many.directions, many.thresholds)]
            steps = np.einsum("rpd,rnd->rpn", x, blocks[0]) > blocks[1][:, None]
            weights = many.weights.reshape(-1, 1, N) * runs
            values = many.constant + np.sum(steps * weights, -1)
            truth = bump(x.reshape(-1, d)).reshape(runs, points)
            errors.append(np.mean((values - truth) ** 2, 1))
        found = betting(np.concatenate(errors), 2e-6, lo=0.0, hi=(V + 1) ** 2)
        low, high = float(found.lower), float(found.upper)
        name = f"d = {d}, width {N}: mean squared error"
        compared += [
            Compared(f"{name}, upper end", high, ">=", exact),
            Compared(f"{name}, lower end", low, "<=", exact),
            Compared(f"{name}, exact", exact, "<=", V**2 / N),
            Compared(f"d = {d}: V", V, "<=", 2 * C),
        ]
        if d == 5:
            rows.append((N, low, high, exact, V, C))
    N, low, high, exact, V, C = (np.array(c) for c in zip(*rows, strict=True))
    figure = Figure(
        (
            Curve(N, low, "1 − 10⁻⁶ interval", "grey", "band", high),
            Curve(N, 4 * C**2 / N, "4C²/N", "grey", "dashed"),
            Curve(N, V**2 / N, "V²/N", "ink", "dashed"),
            Curve(N, exact, "expected", "accent"),
        ),
        "width N",
        "mean squared error",
        "The rate 1/N, whatever the dimension; the constant is generous.",
        log_x=True,
        log_y=True,
    )
    width, loose = np.max((high - low) / exact), V[0] ** 2 / (N[0] * exact[0])
    note = f"Intervals of {100 * width:.0f} % around the exact value; V²/N is {loose:.0f} times it."
    return Finding(tuple(compared), figure, note)


@theorem(
    "A32",
    "The best reconstruction of a Lipschitz function, and its band",
    statement=r"\Big|f(x)-\tfrac12\big(f^u+f^\ell\big)(x)\Big|\;\le\;\tfrac12\big(f^u-f^\ell\big)(x),"
    r"\qquad f^u=\min_i\,y_i+M|x-x_i|,\quad f^\ell=\max_i\,y_i-M|x-x_i|",
    hypotheses=("Lip(f) ≤ M in the Euclidean norm", "exact values yᵢ = f(xᵢ)"),
    source="[beliakov2006interpolation]; [petersen2024mathematical], Section 9.2",
    kind="proved_real",
)
def optimal_reconstruction(size, key, broken=False):
    r"""A smooth function and the two that are hardest, against the band of 15 values.

    Derivation: f(x) <= f(x_i) + M|x - x_i| for each i, and >= with minus. f^u and f^l are minima
    and maxima of M-Lipschitz functions, hence M-Lipschitz, and both interpolate; so at x no guess
    can be nearer than (f^u - f^l)/2 to both of them. Broken: M is taken half as large as it is.
    """
    from infsup.approximation import lipschitz_band

    rng = generator("A32", key)
    # the gradient of f is at most (0.6, 0.55) in size
    M = math.hypot(0.6, 0.55)

    def f(x):
        return 0.5 * np.sin(1.2 * x[:, 0]) + 0.5 * np.cos(1.1 * x[:, 1])

    points = 3 * rng.random((15, 2))
    values = f(points)
    assumed = M / 2 if broken else M
    if broken:
        # only values that the wrong constant does not contradict: the user could not know
        keep = [0]
        for i in range(1, len(points)):
            gap = np.abs(values[i] - values[keep])
            if np.all(gap <= assumed * np.linalg.norm(points[i] - points[keep], axis=1)):
                keep.append(i)
        points, values = points[keep], values[keep]
    x = 3 * rng.random((pick(size, 20_000, 100_000, 1_000_000), 2))
    band = lipschitz_band(x, points, values, assumed)
    beyond = np.abs(f(x) - band.centre) - band.radius
    near, other = x, x[rng.permutation(len(x))]
    moved = lipschitz_band(other, points, values, assumed)
    far = np.linalg.norm(near - other, axis=1) + 1e-9
    steep = np.maximum(np.abs(band.upper - moved.upper), np.abs(band.lower - moved.lower)) / far
    at = lipschitz_band(points, points, values, assumed)
    ends = np.maximum(np.abs(at.upper - values), np.abs(at.lower - values))
    compared = (
        Compared(f"most beyond the band at {len(x)} points", float(beyond.max()), "<=", 0.0, 1e-12),
        Compared("steepest envelope", float(steep.max()), "<=", assumed, 1e-9),
        Compared("envelopes at the data", float(ends.max()), "<=", 1e-12),
    )
    # the envelopes are themselves functions with these values: no guess is nearer to both
    ends = np.abs(np.array([band.upper, band.lower]) - band.centre) - band.radius
    worst = float(np.abs(ends).max())
    compared = (
        *compared,
        Compared("distance of both envelopes from the centre, less the radius", worst, "<=", 1e-12),
    )
    line = np.column_stack([np.linspace(0, 3, 300), np.full(300, 1.5)])
    shown = lipschitz_band(line, points, values, assumed)
    figure = Figure(
        (
            Curve(line[:, 0], shown.lower, "band", "grey", "band", shown.upper),
            Curve(line[:, 0], shown.centre, "centre", "ink", "dashed"),
            Curve(line[:, 0], f(line), "f", "accent"),
        ),
        "x₁, at x₂ = 1.5",
        "f",
        "The function stays inside the band of its 15 values.",
    )
    return Finding(compared, figure)


def _broken_line(knots: list[float], values: list[float]) -> Any:
    """The network of one hidden layer through some points; a unit for each inner knot."""
    from infsup.networks import ReLUNetwork

    x, slopes = np.array(knots), np.diff(values) / np.diff(knots)
    units = (np.ones((len(x) - 2, 1)), -x[1:-1])
    out = np.append(slopes[0], np.diff(slopes))[None]
    return ReLUNetwork(1, [units], (out, np.array([values[0] - slopes[0] * x[0]])))


def _square(m: int) -> Any:
    """The library's strict network of m tent maps for x^2 on [0, 1]."""
    from infsup import run
    from infsup.approximation import Approximate, Square

    found = run(Approximate("x**2"), Square(n=m, shifted=False, strict=True), 0).answer
    return getattr(found, "answer", found)


def _sine_derivative(k, at):
    """D^k of sin(x_1 + ... + x_d)."""
    return np.sin(at.sum(1) + sum(k) * math.pi / 2)


def _corner(centre: np.ndarray, n: int) -> Any:
    """The derivatives of (|x_1 - c_1| + ... + |x_d - c_d|)^n away from its kinks."""

    def derivative(k, at):
        away = at - centre
        below = n - sum(k)
        falling = math.factorial(n) // math.factorial(below)
        signs = np.prod(np.sign(away) ** np.array(k), axis=1)
        return falling * signs * np.abs(away).sum(1) ** below

    return derivative


def _sine_patches(N: int, n: int, d: int) -> float:
    """A proved upper end of |sin(x_1 + ... + x_d) - sum phi_m P_m| over the unit cube.

    Both are functions of the sums u = x_1 + ... + x_d and m_1 + ... + m_d, but for the weights.
    """
    import flint

    from infsup.numerics.enclosure import exact, hull, upper

    parts = 12 if d == 1 else 4
    # the segments of an axis between kinks of its weights, cut; and the patches that are on there
    pieces = []
    for j in range(3 * N):
        m, kind = divmod(j, 3)
        on = {0: (m,), 1: (m, m + 1), 2: (m + 1,)}[kind]
        for p in range(parts):
            low, high = (Fraction(j * parts + p + e, 3 * N * parts) for e in (0, 1))
            ends = []
            for x in (low, high):
                first = 2 - 3 * N * (x - Fraction(m, N))
                ends.append((first, 1 - first) if kind == 1 else (Fraction(1),))
            pieces.append((low, high, on, ends if kind == 1 else ends[:1]))

    def remainder(total: int, low: Fraction, high: Fraction) -> Any:
        """sin(u) minus its Taylor polynomial at total/N, u in [low, high], times 1."""
        a = exact(Fraction(total, N))
        u = hull(low, high) - a
        turn = [a.sin(), a.cos(), -a.sin(), -a.cos()]
        near = hull(min(low, Fraction(total, N)), max(high, Fraction(total, N)))
        whole = [near.sin(), near.cos(), -near.sin(), -near.cos()]
        last = n + 2
        # python-flint's ** gives no number where the ball's midpoint is zero
        powers = list(itertools.accumulate([u] * last, lambda x, y: x * y, initial=exact(1)))
        r = whole[last % 4] * powers[last] / math.factorial(last)
        for j in range(n, last):
            r += turn[j % 4] * powers[j] / math.factorial(j)
        return r

    worst, known = 0.0, {}
    with flint.ctx.workprec(64):
        if d == 1:
            boxes = [(p,) for p in pieces]
        else:
            boxes = [(p, q) for i, p in enumerate(pieces) for q in pieces[: i + 1]]
        for box in boxes:
            low, high = (sum((p[e] for p in box), Fraction(0)) for e in (0, 1))
            totals = {sum(ms) for ms in itertools.product(*(p[2] for p in box))}
            for t in totals:
                if (t, low) not in known:
                    known[t, low] = remainder(t, low, high)
            # affine in the weights of each axis: largest where each is at one of its ends
            for ends in itertools.product(*(p[3] for p in box)):
                e = exact(0)
                for which in itertools.product(*(range(len(p[2])) for p in box)):
                    weight = math.prod(
                        (w[i] for w, i in zip(ends, which, strict=True)), start=Fraction(1)
                    )
                    t = sum(p[2][i] for p, i in zip(box, which, strict=True))
                    e += exact(weight) * known[t, low]
                worst = max(worst, upper(abs(e)))
    return worst


def _bump_height(W: int, n: int, d: int, broken: bool = False) -> Fraction:
    """The height rho of W + 1 bumps that are in B."""
    cells = W if broken else W + 1
    side = Fraction(1, math.isqrt(cells) if d == 2 else cells)
    return side / 2 if n == 1 else side**2 / 16


def _ball_of_bumps(broken: bool) -> list[Compared]:
    """That W + 1 bumps fit, are in B, and have the height that is claimed; in rationals."""
    compared = []
    for W, n, d in ((16, 1, 1), (16, 2, 1), (15, 1, 2)):
        height = _bump_height(W, n, d)
        side = 2 * height if n == 1 else Fraction(1, W + 1)
        # f^(n) is 1, -1 or 1, -1, 1 on these parts of a cell: integrate n times from 0
        parts = ((1, Fraction(1, 2)), (-1, Fraction(1, 2)))
        if n == 2:
            parts = ((1, Fraction(1, 4)), (-1, Fraction(1, 2)), (1, Fraction(1, 4)))
        value = slope = top = steepest = Fraction(0)
        for sign, share in parts:
            t = share * side
            if n == 1:
                value += sign * t
            else:
                # the parabola turns inside the part where its slope changes its sign
                turn = -slope / sign
                if 0 < turn < t:
                    top = max(top, value + slope * turn + sign * turn**2 / 2)
                value, slope = value + slope * t + sign * t**2 / 2, slope + sign * t
                steepest = max(steepest, abs(slope))
            top = max(top, value)
        name = f"W = {W}, n = {n}, d = {d}"
        compared += [
            Compared(f"{name}: height of a bump", top, "==", _bump_height(W, n, d, broken)),
            Compared(f"{name}: its value and slope at the end", abs(value) + abs(slope), "==", 0),
            Compared(f"{name}: room for W + 1 cells", (W + 1) * side**d, "<=", 1),
        ]
        if n == 2:
            compared.append(Compared(f"{name}: its largest slope", steepest, "<=", 1))
    return compared


class _Confused(NamedTuple):
    """A pair f, -f from which training makes the same weights, and how it was found."""

    x: np.ndarray
    f: np.ndarray
    network: np.ndarray
    error: float
    apart: float
    left: float
    right: float


def _confused_training(rng: np.random.Generator, W: int) -> _Confused:
    """Finds c with max|c| = 1 so that f_c and -f_c train to the same W weights."""
    import jax
    import jax.numpy as jnp
    from scipy.optimize import least_squares

    from infsup import run
    from infsup.optimization import GradientDescent, Minimize

    x = np.linspace(0, 1, 16 * (W + 1) + 1)
    h = 1 / (W + 1)
    bumps = np.array([np.maximum(h / 2 - np.abs(x - (i + 0.5) * h), 0) for i in range(W + 1)])
    places = (np.arange(W) + 0.4) / W
    start = jnp.asarray(rng.uniform(0.5, 1.0, W))

    def model(w):
        return jnp.sum(w * jnp.tanh(3 * w * (x[:, None] - places)), 1)

    @jax.jit
    def weights(c):
        f = c @ bumps
        problem = Minimize(lambda w: jnp.mean((model(w) - f) ** 2), jnp.zeros(W))
        return run(problem, GradientDescent(rate=0.2, steps=20), 0, start=start).answer

    @jax.jit
    def apart(v):
        c = v / jnp.max(jnp.abs(v))
        return weights(c) - weights(-c)

    left = right = math.nan
    found, v = np.inf, np.ones(W + 1)
    if W == 1:

        def after(t: float) -> float:
            return float(apart(np.array([math.cos(math.pi * t), math.sin(math.pi * t)]))[0])

        # the difference is odd, so half a turn changes its sign
        low, high = 0.0, 1.0
        sign = -1.0 if after(0.0) > 0 else 1.0
        while high - low > 1e-9:
            middle = (low + high) / 2
            low, high = (middle, high) if sign * after(middle) < 0 else (low, middle)
        left, right = sign * after(low), sign * after(high)
        found, v = abs(left), np.array([math.cos(math.pi * low), math.sin(math.pi * low)])
    slope = jax.jit(jax.jacfwd(apart))
    exact: Any = lambda u: np.asarray(slope(u))  # noqa: E731
    for _ in range(40 if W > 1 else 0):
        trial = least_squares(
            lambda u: np.asarray(apart(u)),
            rng.normal(size=W + 1),
            exact,
            xtol=1e-15,
            ftol=1e-15,
            gtol=1e-15,
        )
        size = float(np.abs(trial.fun).max())
        if size < found:
            found, v = size, trial.x
        if found < 1e-12:
            break
    c = v / np.abs(v).max()
    f = c @ bumps
    networks = [np.asarray(model(weights(jnp.asarray(s * c)))) for s in (1.0, -1.0)]
    error = max(float(np.abs(s * f - y).max()) for s, y in zip((1, -1), networks, strict=True))
    return _Confused(x, f, networks[0], error, found, left, right)


def _steps_on(d: int) -> tuple[float, float]:
    """The chance p that a drawn step is on, and the mean of (f - 1)^2, on the unit ball of R^d."""
    from scipy.special import betainc, gammaln

    r = (np.arange(4000) + 0.5) * (14.0 / 4000)
    t = (np.arange(2000) + 0.5) / 2000
    density = np.exp((1 - d / 2) * math.log(2) - gammaln(d / 2) + (d - 1) * np.log(r) - r**2 / 2)
    weight = 2 * np.abs(np.sin(np.outer(t, r))) @ (density * r)
    # a coordinate of the ball has a density proportional to (1 - z^2)^((d-1)/2)
    beyond = 0.5 * betainc((d + 1) / 2, 0.5, 1 - t**2)
    s = (np.arange(20_000) + 0.5) / 20_000
    square = np.mean(d * s ** (d - 1) * np.expm1(-(s**2) / 2) ** 2)
    return float(weight @ beyond / weight.sum()), float(square)


def _smooth_bump(data: np.ndarray, centre: np.ndarray, r: float) -> list[Compared]:
    """The function of C^2 norm at most 1 that vanishes on the data and is r^2/6 in the middle."""
    import jax
    import jax.numpy as jnp

    def f(x):
        u = jnp.minimum(jnp.sum((x - centre) ** 2) / r**2, 1.0)
        return r**2 / 6 * (1 - u) ** 3

    turns = np.linspace(0, 2 * math.pi, 24, endpoint=False)
    radii = r * np.linspace(0.0, 1.0, 200, endpoint=False)
    x = centre + (radii[:, None, None] * np.stack([np.cos(turns), np.sin(turns)], -1)).reshape(
        -1, 2
    )
    second = jax.jit(jax.vmap(jax.hessian(f)))(x)
    slope = jax.jit(jax.vmap(jax.grad(f)))(x)
    N = len(data)
    return [
        Compared(f"C², N = {N}: forced error", float(f(centre)), ">=", 1 / (6 * math.pi * N)),
        Compared(
            f"C², N = {N}: f on the data", float(np.abs(jax.vmap(f)(data)).max()), "<=", 1e-30
        ),
        Compared(
            f"C², N = {N}: largest |D²f|",
            float(jnp.abs(jnp.linalg.eigvalsh(second)).max()),
            "==",
            1.0,
            1e-9,
        ),
        Compared(
            f"C², N = {N}: largest |∇f|", float(jnp.linalg.norm(slope, axis=1).max()), "<=", 1.0
        ),
    ]
