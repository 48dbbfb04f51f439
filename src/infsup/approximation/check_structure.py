"""Derives `StructuralEnclosure`'s bracket again: python-flint and NumPy; no JAX, no producer.

A network is read off its stored weights: every unit must be what the lemma of its role says, in
exact arithmetic. The proof's roles say where to look, its numbers what to show.
"""

import contextlib
import math
import operator
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping
from fractions import Fraction
from functools import partial
from itertools import accumulate, count, pairwise
from typing import Any

import flint
import numpy as np
from flint import arb, arb_series, fmpq, fmpq_mpoly_ctx, fmpq_poly

from infsup.core.errors import FileRejected
from infsup.core.program import STRUCTURAL, Program, Step, evaluate, restructure

KNOT, COORDINATE, FOLD, TOOTH, CARRY, SQUARE, GATE, ACCUMULATOR = range(8)
ROUNDOFF = {"real": (0.0, 0.0), "float64": (2.0**-53, 2.0**-1022), "float32": (2.0**-24, 2.0**-126)}
ZERO, HALF, SHARE, UP = fmpq(0), fmpq(1, 2), fmpq_poly([0, 1]), 1 + 1e-7
ONE, X = ("1",), ("x",)


def StructuralEnclosure(problem: Any, answer: Any, proof: Any) -> tuple[float, float]:
    """Both ends of sup |f - N| for a network made of knots, squares (L1) and gates (L3)."""
    f, (a, b), (u, tiny) = problem["f"], problem["domain"], ROUNDOFF[problem["dtype"]]
    with flint.ctx.workprec(160), np.errstate(all="ignore"):
        net = Network(_rows(answer, problem["dtype"]), np.asarray(proof["roles"]), a, b)
        claims, points = (np.asarray(proof[name], float) for name in ("cells", "points"))
        _need(claims.shape == (len(net.cells),) and np.isfinite(claims).all(), "one bound a cell")
        _ = [taylor(f, arb(end), 0) for end in (a, b)]  # nothing is known outside of its domain
        _show(partial(taylor, f), net.cells, claims.tolist())
        run, ends = np.zeros(len(claims)), np.array([float(k) for k in net.knots])
        for i in range(0, len(run), 256) if u else ():
            run[i : i + 256] = net.executed(ends[i : i + 257], u, tiny)
        lower, upper = 0.0, (claims + run).max() + float(net.slack)
        for x in points.ravel().tolist():
            _need(a <= x <= b and (tiny < 1e-40 or float(np.float32(x)) == x), "a point")
            nodes, y = [fmpq(1), exact(x)], ZERO
            for row in net.rows:
                y = sum((exact(row[j]) * nodes[j] for j in np.flatnonzero(row)), ZERO)
                nodes.append(max(y, ZERO))
            gap = abs(taylor(f, arb(x), 0)[0] - y).lower()
            lower = max(lower, float(gap) * (1 - 2.0**-50) - run.max())
        return lower, math.nextafter(upper * (1 + 2.0**-50), math.inf)


def _need(condition: Any, what: str) -> None:
    if not condition:
        raise ValueError(f"not as the lemma needs it: {what}")


def exact(x: Any) -> fmpq:
    """A float, an integer or a fraction."""
    return fmpq(*x.as_integer_ratio())


def _rows(answer: Any, dtype: str) -> list[np.ndarray]:
    """Of every unit, then of the output: weights over the nodes 1, x and the units before it."""
    if getattr(answer, "name", "") != "networks.ReLUNetwork":
        raise FileRejected("the answer is no stored ReLUNetwork")
    rows, kind = [], np.float32 if dtype == "float32" else np.float64
    for w, c in (*answer["levels"], answer["out"]):
        fits = w.shape == (*c.shape, len(rows) + 1) and {w.dtype.char, c.dtype.char} <= {*"efd"}
        _need(fits, "weights of 16, 32 or 64 bits")
        both = np.concatenate([c[:, None], w], axis=1).astype(kind).astype(float)
        _need(np.isfinite(both).all(), "finite weights")
        rows += list(both)
    _need(len(answer["out"][1]) == 1, "one output")
    return rows


def _sum(*terms: tuple[Any, dict]) -> dict:
    total: dict = {}
    for c, z in terms:
        for s, w in z.items():
            total[s] = total.get(s, ZERO) + c * w
    return {s: w for s, w in total.items() if w}


def _only(z: dict, kinds: str) -> bool:
    return all(s[0] in kinds for s in z)


def _iterate(parts: list[dict]) -> dict:
    """The last g_s of a chain, from its partial squares F_s = v - g_1/4 - ... - g_s/4^s."""
    s = len(parts) - 1
    return _sum((4**s, parts[-2]), (-(4**s), parts[-1])) if s else parts[0]


class Network:
    """A network on [a, b] as the lemmas see it, once its weights have shown that it is so.

    Units are sums of symbols: ONE, X, knots ("k", i), partial squares ("f", k, s) and squares
    ("a", k) of chains k, gates ("g", i). Roles are (role, chain, number).
    """

    def __init__(self, rows: list[np.ndarray], roles: np.ndarray, a: float, b: float):
        _need(roles.shape == (len(rows) - 1, 3) and roles.dtype.kind == "i", "one role a unit")
        self.rows, self.roles = rows, [*map(tuple, roles.tolist()), (-1, 0, 0)]
        n = sum(role == KNOT for role, _, _ in self.roles)
        self.knots = [exact(v) for v in (a, *(-row[0] for row in rows[:n]), b)]
        _need(all(row[1:].tolist() == [1.0] for row in rows[:n]), "relu(x - k) before all else")
        _need(all(x < y for x, y in pairwise(self.knots)), "knots in order")
        nodes = [{ONE: fmpq(1)}, {X: fmpq(1)}, *({("k", i): fmpq(1)} for i in range(1, n + 1))]
        self.depth = Counter(k for role, k, _ in self.roles if role == TOOTH)
        self.parts, self.arguments, self.barriers, gates = {}, {}, {}, {}
        for i, (role, k, t) in enumerate(self.roles[n:], n):
            z = _sum(*((exact(rows[i][j]), nodes[j]) for j in np.flatnonzero(rows[i])))
            if role == GATE:
                gates[i], z = z, {("g", i): fmpq(1)}
            nodes.append(z if i in gates or i == len(rows) - 1 else self.unit(z, role, k, t))
        self.read_squares()
        y, ends, self.slack = nodes[-1], self.broken(nodes[-1]), ZERO
        inside = [{s: w for s, w in y.items() if s[0] == "a"} for _ in range(n + 1)]
        for i, z in gates.items():
            c, at = y.get(("g", i), ZERO), self.roles[i][2]
            there, leak = self.gate(i, z, at)
            inside[at] = _sum((1, inside[at]), (c, there))
            self.slack += abs(c) * leak
        _need(_only(y, "x1kag"), "the output")
        self.cells = []  # left end, width, polynomials of the share of the way with their factors
        for i, z in enumerate(inside):
            line = z.pop(ONE, ZERO) + ends[i] + (ends[i + 1] - ends[i]) * SHARE
            q = sum((w * self.squares[s] for s, w in z.items()), self.none)
            parts = [(line, arb(1)), *self.expanded(q, *self.u[i : i + 2])]
            self.cells.append((self.knots[i], self.knots[i + 1] - self.knots[i], parts))

    def broken(self, z: dict) -> list[fmpq]:
        """Values at the knots of the part that is piecewise linear in x."""
        marks = [X, *(("k", i) for i in range(1, len(self.knots) - 1))]
        slopes = accumulate(z.get(s, ZERO) for s in marks)
        rises = (v * (y - x) for v, (x, y) in zip(slopes, pairwise(self.knots), strict=True))
        return list(accumulate(rises, initial=z.get(ONE, ZERO) + z.get(X, ZERO) * self.knots[0]))

    def unit(self, z: dict, role: int, k: int, t: int) -> dict:
        """Relu(z), for a unit of a chain k of tent maps g_t, or of its coordinate."""
        if role == COORDINATE:
            values = self.broken(z)
            _need(_only(z, "x1k") and 0 <= min(values) <= max(values) <= 2, "a coordinate")
            return z
        if role == FOLD:  # |l| = 2 relu(l) - l
            first, begun = self.arguments.setdefault(k, z), [{("f", k, 0): fmpq(1)}]
            begins = self.parts.setdefault(k, begun) == begun
            _need(begins and z in (first, _sum((-1, first))), "a fold or its mirror")
            return _sum((HALF, begun[0]), (HALF, z))
        if role == TOOTH:  # g_t = 2 g_{t-1} - 4 relu(g_{t-1} - 1/2)
            g = _sum((1, z), (HALF, {ONE: fmpq(1)}))
            self.arguments.setdefault(k, g)
            parts = self.parts.setdefault(k, [g])
            _need(t == len(parts) and g == _iterate(parts), "a tooth")
            parts.append({("a", k) if t == self.depth[k] else ("f", k, t): fmpq(1)})
            return _sum((HALF, g), (-HALF / 2, _iterate(parts)))
        passed, square = _iterate(self.parts[k][: t + 1]), self.parts[k][t]
        if role != CARRY:  # F_t - c g_t / 4^t for c in [0, 1]: where g_t = 1, F_t >= 4^-t
            c = z.get(next(iter(square), ONE), ZERO) - 1
            _need(role in (SQUARE, ACCUMULATOR) and 0 <= c <= 1, "a part of a square")
            passed = _sum((1, square), (-c / 4**t, passed))
        _need(t >= 0 and z == passed, "what a chain passes on")
        return z

    def read_squares(self) -> None:
        """The squares as polynomials of u, the argument of the first, and of errors r in [0, 1].

        A_k = l_k^2 + r_k / 4^(m_k + 1) for m_k teeth (lemma L1), where l_k stays in [-1, 1], or in
        [0, 1] if it is not folded; r_k = 0 where l_k is -1, 0 or 1.
        """
        n, first = len(self.arguments), self.arguments.get(1, {X: fmpq(1)})
        u, *errors = fmpq_mpoly_ctx.get([f"r{k}" for k in range(n + 1)], "lex").gens()
        self.u, self.none, self.squares = self.broken(first), 0 * u, {}
        self.ends, self.steep = {}, {}  # of the squares: values at u = -1, 1; Lipschitz constants
        _need(not n or (_only(first, "x1k") and max(map(abs, self.u)) <= 1), "the coordinate")
        for k in range(1, n + 1):
            slope = self.arguments[k].get(X, ZERO) / first[X]
            rest = _sum((1, self.arguments[k]), (-slope, first))
            const = rest.pop(ONE, ZERO)
            _need(_only(rest, "a"), "an argument")
            argument: Any = sum((w * self.squares[s] for s, w in rest.items()), slope * u + const)
            self.squares["a", k] = argument**2 + errors[k - 1] * fmpq(1, 4 ** (self.depth[k] + 1))
            _need(len(self.squares["a", k]) < 200, "squares of squares, and so on")
            self.ends["a", k] = [argument(side, *[0] * n) ** 2 for side in (-1, 1)]
            _need({*self.ends["a", k]} <= {0, 1}, "an argument's ends")
            inner = sum((abs(w) * self.steep[s] for s, w in rest.items()), ZERO)
            self.steep["a", k] = 2 * (abs(slope) + inner)
            if ("f", k, 0) not in self.parts[k][0]:
                low, high = (sum((f(w, ZERO) for w in rest.values()), const) for f in (min, max))
                flat = slope == 0 and 0 <= low <= high <= 1
                _need(flat or (k == 1 and min(self.u) >= 0), "an argument is not negative")
            elif abs(slope) < inner:  # else it is monotone
                parts = self.expanded(argument, fmpq(-1), fmpq(1))
                _show(lambda _, n: [arb(0)] * (n + 1), [(fmpq(-1), fmpq(2), parts)], [1.0])

    def expanded(self, q: Any, start: fmpq, end: fmpq) -> list[tuple[fmpq_poly, arb]]:
        """A polynomial of u and the errors, where u goes from start to end."""
        found: dict[tuple, fmpq_poly] = defaultdict(fmpq_poly)
        for (power, *errors), c in q.to_dict().items():
            found[(*errors,)] += fmpq_poly([0] * int(power) + [c])
        through = start + (end - start) * SHARE
        return [(p(through), arb(0.5, 0.5) if any(n) else arb(1)) for n, p in found.items()]

    def gate(self, i: int, z: dict, at: int) -> tuple[dict, fmpq]:
        """Lemma L3 for a gate: what it is on its cell, and what it leaks."""
        knots, marks = self.knots, {s[1] for s in z if s[0] == "k"}
        left, right = z.get(X, ZERO), -z.get(("k", at + 1), ZERO)
        flat = marks <= {at, at + 1} and z.get(("k", at), ZERO) == -left
        _need(flat and _only(z, "x1ka") and 0 <= at < len(knots) - 1, "a gate is flat on its cell")
        const, inside = z.get(ONE, ZERO) + left * knots[at], [s for s in z if s[0] == "a"]
        steep = sum((abs(z[s]) * self.steep[s] for s in inside), ZERO)
        beside = [(v, j) for v, j in ((left, at), (right, at + 2)) if 0 < j < len(knots)]
        _need(all(v * (knots[j] - knots[j - 1]) >= 2 * steep for v, j in beside), "a gate is steep")
        ends, lift = sorted(self.u[at : at + 2]), z.get(("a", 1), ZERO)
        # A_1 is convex, so from u to the end of its side it grows by |end| (|end| - |u|) at least
        lifted = -lift * min(-ends[0], ends[1]) >= steep - 2 * abs(lift)
        _need(ends[0] < 0 < ends[1] and lifted, "a gate is lifted, and crossed by the coordinate")
        values = [sum((z[s] * self.ends[s][side] for s in inside), const) for side in (0, 1)]
        leak = max(abs(values[0]) + steep * (1 + ends[0]), abs(values[1]) + steep * (1 - ends[1]))
        self.barriers[i] = [float(v) for v in (*knots[at : at + 2], left, right, steep, leak)]
        return {ONE: const} | {s: z[s] for s in inside}, leak

    def executed(self, ends: np.ndarray, u: float, tiny: float) -> np.ndarray:
        """What rounding adds on cells: sums in any order, fused or not, subnormals flushed."""
        low, high, total = ends[:-1], ends[1:], len(self.rows) + 2
        size, wrong = np.ones((total, len(low))), np.zeros((total, len(low)))
        size[1] = np.maximum(abs(low), abs(high))
        # of some sums of a chain's nodes more is known than that errors add: a tent has slope 2
        known, carried, squares = {}, {}, {}
        for i, (row, (role, k, t)) in enumerate(zip(self.rows, self.roles, strict=True)):
            j, at, own, g = np.flatnonzero(row), i + 2, np.zeros(total), np.zeros(total)
            w, n, own[at], g[: len(row)] = abs(row[j]), len(j), 1.0, row
            g[0] += 0.5 * (role == TOOTH)
            e = known.get(g.tobytes(), w @ wrong[j] * UP)
            r = n * u / (1 - n * u) * (w @ (size[j] + wrong[j])) * UP
            r += 2 * (n + 1) * tiny * (1 + w.max(initial=0.0))
            size[at] = 2.0 if role == COORDINATE else 1.0
            if role == KNOT:  # x - k is rounded once
                size[at] = np.maximum(high + row[0], 0)
                r = (u * size[at] + tiny) * UP
            elif role == FOLD:
                known[(2 * own - g).tobytes()] = e + 2 * r
            elif role == CARRY:
                carried[g.tobytes()] = own, 2 * r
            elif role == TOOTH:
                square, error = squares.get(k, (g, e))
                g, more = carried.get(g.tobytes(), (g, 0.0))
                g, rise = 2 * g - 4 * own, 2 * e + 4 * r + more
                squares[k] = square, error = square - g / 4.0**t, error + rise / 4.0**t
                known |= {g.tobytes(): rise, square.tobytes(): error}
            wrong[at] = e + r
            if role == GATE:
                start, end, left, right, steep, leak = self.barriers[i]
                far = np.maximum(left * (start - high), right * (low - end))
                shut = (far - 2 * steep - leak) * (1 - 1e-11) > wrong[at]
                size[at], wrong[at] = leak + steep * (low == start), wrong[at] * ~shut
        return wrong[-1]


def _show(series: Callable, cells: list, claims: list[float]) -> None:
    """Shows |f - N| <= claim on every cell, by bisection."""
    todo, halved = [(i, ZERO, fmpq(1)) for i in range(len(cells))], count()
    while todo:
        i, low, high = todo.pop()
        left, width, parts = cells[i]
        middle, half = (low + high) / 2, (high - low) / 2
        near = [(p(fmpq_poly([middle, half])), ball) for p, ball in parts]
        if not _holds(series, arb(left + width * middle), arb(width * half), near, claims[i]):
            further = half * 2**140 > 1 and next(halved) < 10_000 + 500 * len(cells)
            _need(further, f"|f - N| <= {claims[i]} at {float(left + width * middle)}")
            todo += [(i, low, middle), (i, middle, high)]


def _holds(series: Callable, centre: arb, radius: arb, parts: list, claim: float) -> bool:
    """Whether |f - N| <= claim on a box: by Taylor's formula, or by the range of f at a kink."""
    box, most = centre + radius * arb(0, 1), max(len(p) for p, _ in parts) + 3
    for n in (min(most, flint.ctx.cap) - 1, 0):
        with contextlib.suppress(Open):
            c = [*(series(centre, n - 1) if n else ()), series(box, n)[n]]
            d = [-sum((p[k] * ball for p, ball in parts), arb(0)) for k in range(most)]
            d[: n + 1] = [v * radius**k + d[k] for k, v in enumerate(c)]
            tail = sum((abs(v) for v in d[3:]), arb(0))
            top = abs(d[0] + d[2]) + abs(d[1])  # a quadratic is largest at an end or at its vertex
            if not abs(d[1]) >= 2 * abs(d[2]):
                top = top.max(abs(d[0] - d[1] * d[1] / (4 * d[2])))
            if top + tail <= claim or sum((abs(v) for v in d[:3]), tail) <= claim:
                return True
    return False


class Open(ArithmeticError):
    """A kink, a pole, or what is not known, inside a box."""


def taylor(f: Program, x: arb, n: int) -> list[arb]:
    """Coefficients 0 to n on a ball: values, then derivatives; for n = 1 difference quotients."""
    if not isinstance(f, Program) or [a.shape for a in f.ins] != [()]:
        raise FileRejected("f is no program of one number, so the checker cannot enclose it")
    out = evaluate(f, [_boxed(arb_series([x, 1], prec=n + 1))], _step).item()
    if out.prec <= n or not all(out[k].is_finite() for k in range(n + 1)):
        raise Open
    return [out[k] for k in range(n + 1)]


def _boxed(v: Any) -> np.ndarray:
    return v if isinstance(v, np.ndarray) else np.fromiter([v], object).reshape(())


def _step(s: Step, v: list[np.ndarray], arrays: Mapping[str, np.ndarray]) -> np.ndarray:
    """The arithmetic of arrays of series; truths are 1, 0, or a ball of both."""
    if s.op in ("largest", "smallest"):
        pair = np.frompyfunc(RULES[s.op], 2, 1, identity=0)
        return _boxed(pair.reduce(v[0], axis=s.params["axes"]))
    if s.op in STRUCTURAL:
        return _boxed(restructure(s, v))
    v = [*v, *(_boxed(arrays[p] if s.op == "array" else p) for p in s.params.values())]
    return _boxed(np.frompyfunc(partial(_apply, s.op), len(v), 1)(*v) if v else _apply(s.op))


def _apply(op: str, *v: Any) -> arb_series:
    """One operation on series; not a number where it is not known."""
    known = (c.is_finite() for z in v if isinstance(z, arb_series) for c in z.coeffs())
    with contextlib.suppress(ValueError, ZeroDivisionError):
        if op in ORDER or op == "select" or all(known):
            return RULES[op](*v)
    return arb_series([arb.nan()])


def _truth(yes: Callable, no: Callable, z: arb_series, y: arb_series) -> arb_series:
    gap = arb(0) if z is y and z[0].is_finite() else z[0] - y[0]
    if yes(gap, 0) or no(gap, 0):
        return arb_series([int(yes(gap, 0))])
    return arb_series([arb(0.5, 0.5)], prec=1)  # so that nothing is known of derivatives


def _select(truth: arb_series, no: arb_series, yes: arb_series, terms: int = 1) -> arb_series:
    """One of two; where it is open which, so many terms lie between both ones'."""
    if truth[0] == 0 or truth[0] == 1:
        return yes if truth[0] == 1 else no
    both = [no[k].union(yes[k]) for k in range(terms)]
    return arb_series(both, prec=min(terms, no.prec, yes.prec))


def _between(f: Callable, z: arb_series, low: float, high: float = math.inf) -> arb_series:
    """A monotone function defined from low to high: what lies between its values at the ends."""
    ends = z[0].lower().max(arb(low)), z[0].upper().min(arb(high))
    return arb_series([f(ends[0]).union(f(ends[1]))], prec=z.prec)


def _power(z: arb_series, r: Fraction) -> arb_series:
    if r.denominator == 1:
        half = _power(z, Fraction(r // 2)) if r > 1 else arb_series([1])
        return half * half * z if r % 2 else half * half
    if z.length() > 1:
        return (z.log() * exact(r)).exp()
    return _between(lambda end: end ** exact(r), z, 0.0)


ORDER = {"lt": "ge", "ge": "lt", "le": "gt", "gt": "le", "eq": "ne", "ne": "eq"}
NATIVE = ("exp", "log", "sin", "cos", "tan", "atan", "erf", "lgamma")
RULES: dict[str, Callable] = {
    **{op: operator.methodcaller(op) for op in NATIVE},
    **{a: partial(_truth, getattr(operator, a), getattr(operator, b)) for a, b in ORDER.items()},
    **{op: getattr(operator, op) for op in ("add", "sub", "neg", "mul")},
    "number": lambda c: arb_series([arb(exact(c))]),
    "array": lambda c: arb_series([arb(c)]),
    **{op: lambda z, y: _select(RULES["gt"](z, y), y, z, 2) for op in ("maximum", "largest")},
    **{op: lambda z, y: _select(RULES["lt"](z, y), y, z, 2) for op in ("minimum", "smallest")},
    "pi": lambda: arb_series([arb.pi()]),
    "e": lambda: arb_series([arb(1).exp()]),
    "div": operator.truediv,
    "power_of": lambda z, r: _power(z, r) if r >= 0 else 1 / _power(z, -r),
    "square": lambda z: z * z,
    "sqrt": lambda z: _power(z, Fraction(1, 2)),
    "rsqrt": lambda z: 1 / _power(z, Fraction(1, 2)),
    "power": lambda z, y: (y * z.log()).exp(),
    "cbrt": lambda z: z[0].sgn() * _power(z[0].sgn() * z, Fraction(1, 3)),
    "abs": lambda z: _select(RULES["gt"](z, 0 * z), -z, z, 2),
    "sign": lambda z: RULES["gt"](z, 0 * z) - RULES["lt"](z, 0 * z),
    "select": _select,
    "and": lambda z, y: RULES["ne"](z, 0 * z) * RULES["ne"](y, 0 * y),
    "or": lambda z, y: 1 - RULES["eq"](z, 0 * z) * RULES["eq"](y, 0 * y),
    "not": lambda z: RULES["eq"](z, 0 * z),
    "expm1": lambda z: z.exp() - 1,
    "log1p": lambda z: (1 + z).log(),
    "sinh": lambda z: (z.exp() - (-z).exp()) / 2,
    "cosh": lambda z: (z.exp() + (-z).exp()) / 2,
    "tanh": lambda z: 2 * RULES["logistic"](2 * z) - 1,
    "logistic": lambda z: 1 / (1 + (-z).exp()) if z[0] > 0 else 1 - 1 / (1 + z.exp()),
    "asin": lambda z: z.asin() if z.length() > 1 else _between(arb.asin, z, -1.0, 1.0),
    "acos": lambda z: arb.pi() / 2 - RULES["asin"](z),
    "asinh": lambda z: (z + (z * z + 1).sqrt()).log(),
    "acosh": lambda z: (z + _power(z * z - 1, Fraction(1, 2))).log(),
    "atanh": lambda z: ((1 + z) / (1 - z)).log() / 2,
    "erfc": lambda z: 1 - z.erf(),
}
