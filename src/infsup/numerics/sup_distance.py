"""The sup-norm distance between a function and a piecewise-linear network, enclosed; no JAX.

The function is enclosed by one Taylor polynomial with a ball for its remainder on each of a few
blocks; the network by one straight line with a proved error on each of its many cells. So the work
in balls grows with the blocks and everything of a cell is done in float64 arrays, with room for
rounding. Blocks and cells that decide the supremum are bisected until the bracket is as narrow as
asked.
"""

import math
from dataclasses import dataclass
from typing import Any

import flint
import numpy as np
from flint import arb, arb_mat

from infsup.core.errors import UsageError
from infsup.numerics.enclosure import (
    DomainFault,
    Enclosure,
    NotSmooth,
    exact,
    hull,
    lower,
    precision,
    upper,
)
from infsup.numerics.piecewise_linear import (
    FLOATS,
    UNIT,
    Levels,
    TooMuchWork,
    breakpoints,
    describe,
    exact_pieces,
    rational,
    sound,
    values,
)

ORDER = 10
"""Degree of the Taylor polynomials."""
MAX_BLOCKS = 20_000
MAX_ROUNDS = 60
MAX_EXACT = 400
MAX_PRODUCTS = 1_500_000
"""Cells that are done in rational arithmetic, and about how many products that may take."""
CANDIDATES = 8
"""Points at which the lower end is evaluated in balls."""


@dataclass(frozen=True)
class SupDistance:
    """lower <= sup over [a, b] of |f - N| <= upper.

    Args:
        lower: proved.
        upper: proved.
        at: a point where |f - N| is at least `lower`; of the executed dtype, where one is named.
        cells: how many cells the proof has.
        budget: how the width splits: approximation (what was not resolved of f - N between its
            bounds), enclosure (of f and of the network), rounding (of the executed network).
        proof: grid (`fine` + `fine_low`: points between floats), witness and upper end, for a
            checker.
    """

    lower: float
    upper: float
    at: float
    cells: int
    budget: dict[str, float]
    proof: dict[str, Any]


def sup_distance(
    enclosure: Enclosure,
    levels: Levels,
    out: tuple[Any, Any],
    a: float,
    b: float,
    rtol: float = 0.01,
    dtype: str = "real",
) -> SupDistance:
    """Brackets sup |f - N| on [a, b].

    Args:
        enclosure: of f, one argument.
        levels: of the network N, of one variable.
        out: its output, one row.
        a: a float.
        b: a float above a.
        rtol: the width that is aimed at, relative to the supremum.
        dtype: "real" for N in real arithmetic; "float64" or "float32" for N as executed in these
            floats, at the points of [a, b] that they hold.

    Raises:
        DomainFault: f is not defined somewhere in [a, b].
        TooMuchWork: more cells or blocks than there is room for.
    """
    levels, out = sound(levels, out)
    if not (math.isfinite(a) and math.isfinite(b) and a < b):
        raise UsageError(f"the interval [{a}, {b}] is empty", remedy="a < b, finite")
    if not 0 < rtol < 1:
        raise UsageError(f"`rtol` is {rtol}", "It lies between 0 and 1.", "rtol=0.01")
    return _Search(enclosure, levels, out, a, b, rtol, dtype).run()


@dataclass
class _Blocks:
    """Polynomials in x - mid with remainders, one a block, as growing arrays."""

    edge: list[tuple[float, float]]
    mid: list[float]
    kind: list[int]
    coefficients: list[np.ndarray]
    # remainder; sums of |c_k| r^k, of its second and of its third derivative
    sizes: list[tuple[float, float, float, float]]

    def arrays(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        return np.array(self.mid), np.array(self.coefficients), np.array(self.sizes)


class _Search:
    """One run: its blocks, cells and what is known of each."""

    def __init__(self, enclosure, levels, out, a, b, rtol, dtype):
        self.f, self.levels, self.out = enclosure, levels, out
        self.a, self.b, self.rtol, self.dtype = a, b, rtol, dtype
        self.blocks = _Blocks([], [], [], [], [])
        self.balls = 0

    def run(self) -> SupDistance:
        x = breakpoints(self.levels, self.out, np.array([self.a, self.b]))
        guess, scale = self.guess(x)
        # below this, f - N is rounding: its own size decides nothing
        self.floor = 256 * UNIT * scale
        tolerance = max(guess * self.rtol / 16, self.floor / 16)
        for low, high in self.first_blocks(tolerance):
            self.add(low, high)
        order = np.argsort([e[0] for e in self.blocks.edge])
        edges = np.array([self.blocks.edge[i][0] for i in order])
        x = np.union1d(x, edges)
        got = describe(self.levels, self.out, x, self.dtype)
        home = order[np.searchsorted(edges, x[:-1], side="right") - 1]
        self.cells = {
            "xl": x[:-1],
            "xr": x[1:],
            "yl": got.y[:-1],
            "yr": got.y[1:],
            "e": got.error,
            "r": got.rounding,
            "block": home,
        }
        self.size = float(np.max(np.abs(got.y)))
        self.done: list[dict[str, np.ndarray]] = []
        self.hard: list[tuple[float, float, int]] = []
        self.sub: list[Any] = []
        return self.refine()

    def guess(self, x: np.ndarray) -> tuple[float, float]:
        """About sup |f - N|, and about the size of both, from samples."""
        p = np.union1d(x, (x[:-1] + x[1:]) / 2)
        p = p[np.linspace(0, len(p) - 1, min(len(p), 1025)).astype(int)]
        p = np.union1d(p, np.linspace(self.a, self.b, 257))
        with np.errstate(all="ignore"):
            f = np.asarray(self.f.program(p), np.float64)
            n = values(self.levels, self.out, p)
            d = np.abs(f - n)
        good = np.isfinite(d)
        if not good.any():
            return 0.0, 1.0
        return float(d[good].max()), float(max(np.abs(f[good]).max(), np.abs(n[good]).max()))

    # -- the function ----------------------------------------------------------------------------

    def first_blocks(self, tolerance: float) -> list[tuple[float, float]]:
        """A partition of [a, b] into blocks whose remainder is within the tolerance."""
        found, todo = [], [(self.a, self.b)]
        self.ready: dict[tuple[float, float], Any] = {}
        while todo:
            low, high = todo.pop()
            mid = low + (high - low) / 2
            last = not low < mid < high
            got = self.polynomial(low, high, last)
            if got is not None and (got[3][0] <= tolerance or last):
                found.append((low, high))
                self.ready[low, high] = got
            else:
                todo += [(mid, high), (low, mid)]
            if len(found) + len(todo) > MAX_BLOCKS:
                raise TooMuchWork(
                    f"the function needs more than {MAX_BLOCKS:,} Taylor blocks",
                    "It varies too fast on this interval for the accuracy that is asked.",
                    "a shorter interval, or a larger rtol",
                )
        return found

    def polynomial(self, low: float, high: float, last: bool) -> Any:
        """(mid, kind, coefficients, sizes) on [low, high]; None where it is too wide to say."""
        mid = low + (high - low) / 2
        r = math.nextafter(max(high - mid, mid - low), math.inf)
        box, centre = hull(low, high), exact(mid)
        self.balls += 1
        try:
            with precision(self.f.bits):
                head = self.f.taylor(centre, ORDER)
                rest = abs(self.f.taylor(box, ORDER + 1)[ORDER + 1]) * arb(r) ** (ORDER + 1)
            return mid, 0, *_rounded(head, rest, r)
        except NotSmooth:
            pass
        except DomainFault:
            if last or self.fails_at(centre):
                raise
            return None
        try:
            with precision(self.f.bits):
                value = self.f.ball(centre)
                try:
                    rest, kind = abs(self.f.slope(box)) * arb(r), 1
                except NotSmooth:
                    rest, kind = abs(self.f.ball(box) - value), 2
            return mid, kind, *_rounded([value], rest, r)
        except NotSmooth:
            if last:
                raise TooMuchWork(
                    "the function's values leave the range of floats on this interval",
                    remedy="a shorter interval",
                ) from None
            return None
        except DomainFault:
            if last or self.fails_at(centre):
                raise
            return None

    def fails_at(self, centre: arb) -> bool:
        try:
            self.f.ball(centre)
        except DomainFault:
            return True
        return False

    def add(self, low: float, high: float) -> int:
        got = self.ready.pop((low, high), None) or self.polynomial(low, high, True)
        mid, kind, coefficients, sizes = got
        b = self.blocks
        b.edge.append((low, high))
        b.mid.append(mid)
        b.kind.append(kind)
        b.coefficients.append(coefficients)
        b.sizes.append(sizes)
        return len(b.mid) - 1

    # -- cells -----------------------------------------------------------------------------------

    def bounds(self, c: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Upper and lower bounds of |f - N| on cells, and what their distance is made of."""
        with np.errstate(over="ignore", invalid="ignore"):
            got = self._bounds(c)
        # beyond the range of floats nothing is known
        got["up"] = np.nan_to_num(got["up"], nan=np.inf, posinf=np.inf)
        got["low"] = np.nan_to_num(got["low"], nan=0.0)
        got["place"] = np.where(np.isnan(got["place"]), c["xl"], got["place"])
        return got

    def _bounds(self, c: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        mids, coefficients, sizes = self.blocks.arrays()
        k = c["block"]
        mid, poly, (rest, a0, a2, a3) = mids[k], coefficients[k], sizes[k].T
        h = c["xr"] - c["xl"]
        noise = (4 * ORDER + 12) * UNIT
        left = _horner(poly, c["xl"] - mid) - c["yl"]
        right = _horner(poly, c["xr"] - mid) - c["yr"]
        curve = _horner(_second(poly), c["xl"] + h / 2 - mid)
        spread = a3 * (h / 2 + 4 * UNIT * (np.abs(c["xl"]) + np.abs(c["xr"])))
        spread = (spread + noise * a2) * (1 + 8 * UNIT)
        h2 = h * h
        most, least = -(curve - spread) * h2 / 2, -(curve + spread) * h2 / 2
        top, at_top = _peak(left, right, most)
        bottom, at_bottom = _peak(-left, -right, -least)
        slack = (
            c["e"]
            + rest
            + noise * (a0 + np.abs(c["yl"]) + np.abs(c["yr"]) + np.abs(most) + np.abs(least))
        )
        slack = slack * (1 + 16 * UNIT)
        up = np.maximum(np.maximum(top, bottom), 0.0) + slack
        # what the curve is at least, at the place where it may be highest
        over = left + (right - left) * at_top + least * at_top * (1 - at_top)
        under = -(left + (right - left) * at_bottom + most * at_bottom * (1 - at_bottom))
        place = np.where(over >= under, at_top, at_bottom)
        low = np.maximum(over, under)
        for end, t in ((np.abs(left), 0.0), (np.abs(right), 1.0)):
            better = end > low
            low, place = np.where(better, end, low), np.where(better, t, place)
        return {
            "up": (up + c["r"]) * (1 + 8 * UNIT),
            "low": np.maximum(low - slack, 0.0),
            "curve": (most - least) / 4,
            "rest": rest,
            "place": np.clip(c["xl"] + place * h, c["xl"], c["xr"]),
        }

    def refine(self) -> SupDistance:
        """Bisects what decides the supremum until the bracket is narrow."""
        active, best = self.cells, 0.0
        weights = sum(int(np.count_nonzero(w)) + len(c) for w, c in (*self.levels, self.out))
        budget_exact = min(MAX_EXACT, MAX_PRODUCTS // max(weights, 1))
        rounding = float(np.max(self.cells["r"], initial=0.0))
        for turn in range(MAX_ROUNDS):
            got = self.bounds(active)
            # no bisection takes away what the executed network may err
            best = max(best, float(np.max(got["low"] + active["r"], initial=0.0)))
            self.done.append({**active, **got})
            target = best + max(self.rtol / 2 * best, self.floor / 8)
            open_ = got["up"] > target
            if not open_.any() or turn == MAX_ROUNDS - 1:
                break
            self.done[-1] = _pick(self.done[-1], ~open_)
            kept, some = _pick({**active, **got}, open_), max(best, 1e-300) * self.rtol / 12
            some = max(some, self.floor / 48)
            stuck, new = [], []
            wide = kept["xl"] + (kept["xr"] - kept["xl"]) / 2
            can = (kept["xl"] < wide) & (wide < kept["xr"])
            curved = (kept["curve"] > some) & can
            loose = ~curved & (kept["rest"] > some)
            new += self.halved(_pick(kept, curved), wide[curved])
            for k in np.unique(kept["block"][loose]):
                mine = _pick(kept, loose & (kept["block"] == k))
                more = self.split_block(int(k), mine)
                (stuck if more is None else new).append(mine if more is None else more)
            stuck.append(_pick(kept, ~curved & ~loose))
            for part in stuck:
                left = self.exactly(part, target, budget_exact)
                budget_exact -= len(part["xl"]) - len(left["xl"])
                self.done.append(left)
            if not new:
                break
            active = {key: np.concatenate([n[key] for n in new]) for key in self.cells}
        everything = {key: np.concatenate([d[key] for d in self.done]) for key in self.done[0]}
        return self.finish(everything, rounding)

    def halved(self, c: dict[str, np.ndarray], mid: np.ndarray) -> list[dict[str, np.ndarray]]:
        """Both halves of cells; the network's line is the same, up to rounding."""
        t = (mid - c["xl"]) / (c["xr"] - c["xl"])
        y = c["yl"] + (c["yr"] - c["yl"]) * t
        e = c["e"] + 16 * UNIT * (np.abs(c["yl"]) + np.abs(c["yr"]))
        left = {k: c[k] for k in self.cells} | {"xr": mid, "yr": y, "e": e}
        right = {k: c[k] for k in self.cells} | {"xl": mid, "yl": y, "e": e}
        return [left, right]

    def split_block(self, k: int, c: dict[str, np.ndarray]) -> dict[str, np.ndarray] | None:
        """The cells in halves of their block; None where it cannot be halved."""
        low, high = self.blocks.edge[k]
        mid = low + (high - low) / 2
        if not low < mid < high or len(self.blocks.mid) > MAX_BLOCKS:
            return None
        if not hasattr(self, "halves"):
            self.halves: dict[int, tuple[int, int]] = {}
        if k not in self.halves:
            try:
                self.halves[k] = self.add(low, mid), self.add(mid, high)
            except DomainFault:
                return None
        one, two = self.halves[k]
        across = (c["xl"] < mid) & (mid < c["xr"])
        parts = [{key: c[key][~across] for key in self.cells}]
        if across.any():
            cut = _pick(c, across)
            parts += self.halved(cut, np.full(len(cut["xl"]), mid))
        joined = {key: np.concatenate([p[key] for p in parts]) for key in self.cells}
        joined["block"] = np.where(joined["xl"] < mid, one, two)
        return joined

    def exactly(self, c: dict[str, np.ndarray], target: float, budget: int) -> dict[str, Any]:
        """Bounds on cells in rational arithmetic and balls, where floats do not decide.

        Returns:
            The cells for which there was no room.
        """
        order = np.argsort(-c["up"])
        todo = np.zeros(len(order), bool)
        todo[order[:budget]] = True
        for i in np.flatnonzero(todo):
            xl, xr = float(c["xl"][i]), float(c["xr"][i])
            try:
                xs, (ys,) = exact_pieces(self.levels, self.out, xl, xr, 2_000_000)
                up, low, at = _in_balls(self.f, xs, ys, target - float(c["r"][i]))
            except (TooMuchWork, NotSmooth):
                todo[i] = False
                continue
            self.sub += xs
            r = float(c["r"][i])
            one = {key: v[i : i + 1].copy() for key, v in c.items()}
            one["up"] = np.array([min(np.nextafter(up + r, np.inf), one["up"][0])])
            one["low"] = np.array([max(low, one["low"][0])])
            one["place"] = np.array([min(max(at, xl), xr)])
            one["e"], one["curve"], one["rest"] = np.zeros(1), np.zeros(1), np.zeros(1)
            self.done.append(one)
        return _pick(c, ~todo)

    # -- the end ---------------------------------------------------------------------------------

    def finish(self, c: dict[str, np.ndarray], rounding: float) -> SupDistance:
        worst = int(np.argmax(c["up"]))
        up = float(c["up"][worst])
        low, at = self.witness(c)
        # a little room: another evaluation of the same bound need not end in the same digit
        up = (up + 0.01 * float(c["r"][worst])) * (1 + 0.002 * self.rtol) + 4 * self.floor * UNIT
        grid = np.unique(np.concatenate([c["xl"], c["xr"], [self.a, self.b]]))
        enclosed = float(c["e"][worst] + c["rest"][worst])
        rounding = float(c["r"][worst]) if rounding else 0.0
        budget = {
            "enclosure": min(2 * enclosed, max(up - low, 0.0)),
            "rounding": 2 * rounding,
            "approximation": max(up - low - 2 * enclosed - 2 * rounding, 0.0),
        }
        proof: dict[str, Any] = {"grid": grid, "witness": at, "upper": up}
        if self.sub:
            more = sorted(set(self.sub))
            high = np.array([_nearest(q) for q in more])
            proof["fine"] = high
            proof["fine_low"] = np.array(
                [_nearest(q - rational(h)) for q, h in zip(more, high.tolist(), strict=True)]
            )
        return SupDistance(low, up, at, len(grid) - 1, budget, proof)

    def witness(self, c: dict[str, np.ndarray]) -> tuple[float, float]:
        """The best lower end, evaluated in rationals and balls at a few of the best points."""
        order = np.argsort(c["r"] - c["low"] - 1e-9 * c["up"])[:CANDIDATES]
        points: dict[float, float] = {}
        for i in order:
            for p in (c["place"][i], c["xl"][i], c["xr"][i]):
                p = self.held(float(p))
                if p is not None:
                    near = (c["xl"] <= p) & (p <= c["xr"])
                    points[p] = float(np.max(c["r"][near], initial=0.0)) * (1 + 1e-6)
            if len(points) >= CANDIDATES:
                break
        best, at = 0.0, self.held(self.a)
        at = self.a if at is None else at
        found = in_balls(self.levels, self.out, list(points))
        for (p, r), y in zip(points.items(), found, strict=True):
            with precision(self.f.bits):
                low = lower(abs(self.f.ball(exact(p)) - y).lower() - arb(r))
                low = math.nextafter(low, 0.0)
            if low > best:
                best, at = low, p
        return best, at

    def held(self, p: float) -> float | None:
        """A point of the executed dtype near p and inside [a, b], or None."""
        if FLOATS[self.dtype].unit <= UNIT:
            return p
        q = np.float32(p)
        for near in (q, np.nextafter(q, np.float32(-np.inf)), np.nextafter(q, np.float32(np.inf))):
            if self.a <= float(near) <= self.b:
                return float(near)
        return None


def error_curve(
    enclosure: Enclosure, levels: Levels, out: tuple[Any, Any], a: float, b: float, n: int = 801
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Points of [a, b], f and the network there: for a picture, rounded.

    The breakpoints are among the points where there are fewer than n of them, so that the picture
    shows the kinks; else every so many of them.

    Args:
        enclosure: of f.
        levels: of the network.
        out: its output.
        a: a float.
        b: a float above a.
        n: about how many points.
    """
    levels, out = sound(levels, out)
    x = breakpoints(levels, out, np.array([a, b]))
    x = x[np.linspace(0, len(x) - 1, min(len(x), n)).astype(int)]
    x = np.union1d(x, np.linspace(a, b, n))
    return x, np.asarray(enclosure.program(x), np.float64), values(levels, out, x)


def in_balls(levels: Levels, out: tuple[Any, Any], x: list[float]) -> list[arb]:
    """The first output at points, in balls of 256 bits."""
    zero, h = arb(0), [[arb(v) for v in x]]
    with precision(256):
        for i, (w, c) in enumerate((*levels, (out[0][:1], out[1][:1]))):
            used = np.flatnonzero(np.any(w != 0, axis=0))
            weights = arb_mat(len(c), len(used), [arb(v) for v in w[:, used].ravel().tolist()])
            z = weights * arb_mat(len(used), len(x), [v for k in used for v in h[k]])
            z = z.entries()
            for row, bias in enumerate(c.tolist()):
                values = [v + bias for v in z[row * len(x) : (row + 1) * len(x)]]
                if i < len(levels):
                    values = [v if v >= 0 else v.max(zero) for v in values]
                h.append(values)
    return h[-1]


def _in_balls(
    f: Enclosure, xs: list[flint.fmpq], ys: list[flint.fmpq], target: float
) -> tuple[float, float, float]:
    """Upper bound, lower bound and a place for |f - line| over pieces, in balls."""
    up = low = 0.0
    at = float(xs[0])
    todo = [
        (xs[i], ys[i], xs[i + 1], ys[i + 1], 30 if len(xs) < 10 else 12) for i in range(len(xs) - 1)
    ]
    with precision(f.bits):
        while todo:
            xl, yl, xr, yr, depth = todo.pop()
            box, h = hull(arb(xl), arb(xr)), arb(xr - xl)
            left, right = f.ball(arb(xl)) - arb(yl), f.ball(arb(xr)) - arb(yr)
            ends = abs(left).upper().max(abs(right).upper())
            try:
                bend = (abs(f.taylor(box, 2)[2]) * h * h / 4).upper()
            except NotSmooth:
                try:
                    bend = ((abs(f.slope(box)) + abs(arb(yr - yl) / h)) * h).upper()
                except NotSmooth:
                    bend = (f.ball(box) - hull(arb(yl), arb(yr))).abs_upper()
            mine = upper(ends + bend)
            for v, x in ((left, xl), (right, xr)):
                if lower(abs(v)) > low:
                    low, at = lower(abs(v)), float(x)
            if mine > max(target, low * (1 + 1e-4)) and depth and bend > ends * 1e-4:
                xm, ym = (xl + xr) / 2, (yl + yr) / 2
                todo += [(xl, yl, xm, ym, depth - 1), (xm, ym, xr, yr, depth - 1)]
            else:
                up = max(up, mine)
    return up, low, at


def _rounded(head: list[arb], rest: arb, r: float) -> tuple[np.ndarray, tuple[float, ...]]:
    """Float coefficients, and upper bounds of the remainder and of sums of |c_k| r^k."""
    middle = np.zeros(ORDER + 1)
    radius = arb(r)
    total, power = rest.abs_upper(), arb(1)
    for k, c in enumerate(head):
        middle[k] = float(c.mid())
        total = total + (c - arb(middle[k])).abs_upper() * power
        power = power * radius
    k = np.arange(ORDER + 1)
    size = np.abs(middle)
    wide = 1 + 64 * UNIT
    with np.errstate(over="ignore", invalid="ignore"):
        powers = r ** k.astype(np.float64)

        def total_of(c: np.ndarray) -> float:
            # a power beyond the range of floats does not matter where its coefficient is 0
            return float(np.where(c > 0, c * powers[: len(c)], 0.0).sum()) * wide

        zero = total_of(size)
        second = total_of((size * k * (k - 1))[2:])
        third = total_of((size * k * (k - 1) * (k - 2))[3:])
    found = upper(total)
    if not math.isfinite(found + zero + second + third):
        raise NotSmooth("a value beyond the range of floats")
    return middle, (found, zero, second, third)


def _horner(poly: np.ndarray, t: np.ndarray) -> np.ndarray:
    total = poly[:, -1]
    for k in range(poly.shape[1] - 2, -1, -1):
        total = total * t + poly[:, k]
    return total


def _second(poly: np.ndarray) -> np.ndarray:
    k = np.arange(poly.shape[1])
    return (poly * k * (k - 1))[:, 2:]


def _peak(left: np.ndarray, right: np.ndarray, c: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The maximum over s in [0, 1] of left + (right - left) s + c s (1 - s), and its place."""
    slope = right - left
    inner = np.abs(slope) < c
    safe = np.where(inner, c, 1.0)
    share = np.where(inner, slope, 0.0) / safe
    vertex = (left + right) / 2 + safe / 4 + slope * (share / 4)
    place = np.where(inner, 0.5 + share / 2, np.where(slope > 0, 1.0, 0.0))
    return np.where(inner, vertex, np.maximum(left, right)), place


def _pick(c: dict[str, np.ndarray], which: np.ndarray) -> dict[str, np.ndarray]:
    return {k: v[which] for k, v in c.items()}


def _nearest(q: flint.fmpq) -> float:
    return int(q.p) / int(q.q)
