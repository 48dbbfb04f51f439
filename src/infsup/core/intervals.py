"""All statistical intervals of the library.

NumPy and `scipy.special` only (no JAX, no `scipy.stats`), so that the independent checkers may
call it: an interval is derived again from counts, a mean or the values themselves.

Conventions. `delta` is the probability of a miss and every interval is two-sided at that total
unless its name or `side` says otherwise. Where values are taken, the last axis is the sample and
leading axes are separate problems, each at its own `delta`. Ends are outward safe in float64: every
rounding of this module widens the interval. `U` below is the unit roundoff `2**-53`.

Independence and the stated range are hypotheses that no function here can check beyond the range of
the values that it is shown.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray
from scipy import special

from infsup.core.errors import EmptyBracket, UsageError


@runtime_checkable
class SupportsArray(Protocol):
    """What NumPy can turn into an array: its own arrays and scalars, JAX arrays."""

    def __array__(self) -> NDArray[Any]: ...


Array = NDArray[np.float64]
Floats = Array | np.float64  # arithmetic turns 0-d arrays into scalars
Real = float | Array
Number = int | float | SupportsArray
Numbers = Number | complex | Sequence[Any]
Side = Literal["two", "upper", "lower"]

_U = 2.0**-53
_TRUNCATION = 0.5
_BISECTIONS = 40
_XI_SUMMED_UP_TO = 10**10


@dataclass(frozen=True)
class Interval:
    """Two ends, or a refusal.

    Args:
        lower: lower end, a float or an array with one entry a problem.
        upper: upper end, of the same shape.
        refused: why the interval's own validity test failed; empty when it did not. A refused
            interval has the ends -inf and inf.

    Raises:
        EmptyBracket: `lower > upper` or NaN somewhere.
    """

    lower: Real
    upper: Real
    refused: str = ""

    def __post_init__(self):
        """Raise on an empty bracket: no code may go on with one."""
        ordered = np.asarray(self.lower) <= np.asarray(self.upper)
        if not ordered.all():
            first = np.unravel_index(np.argmin(ordered), ordered.shape)
            lower, upper = np.broadcast_to(self.lower, ordered.shape)[first], self.upper
            raise EmptyBracket(
                f"`lower` = {lower} is not <= `upper` = "
                f"{np.broadcast_to(upper, ordered.shape)[first]} "
                f"({ordered.size - ordered.sum()} of {ordered.size} intervals)",
                "two one-sided statements contradict each other: a hypothesis of the interval is "
                "false, or an event of probability <= delta has happened",
                "checking that the values are independent and inside the stated range",
            )

    @property
    def width(self) -> Real:
        """Upper end minus lower end."""
        return self.upper - self.lower

    def covers(self, value: Numbers) -> bool | NDArray[np.bool_]:
        """Whether `value` lies between the ends, the ends included."""
        inside = (np.asarray(self.lower) <= value) & (np.asarray(value) <= self.upper)
        return bool(inside) if np.ndim(inside) == 0 else inside


# --- arguments ------------------------------------------------------------------------------------


def _numbers(value: Numbers, name: str, example: str) -> Array:
    try:
        array = np.asarray(value)
        if array.dtype.kind not in "buif":
            raise TypeError(array.dtype)
        array = array.astype(np.float64)
    except (TypeError, ValueError):
        raise UsageError(
            f"`{name}` must be real numbers; got {type(value).__name__}", "", example
        ) from None
    if np.isnan(array).any():
        raise UsageError(
            f"`{name}` must not be NaN; got {int(np.isnan(array).sum())} NaN among {array.size}",
            "a NaN compares false with everything and would pass as inside any interval",
            f"{name}[numpy.isfinite({name})] after finding out where the NaN comes from"
            if array.ndim
            else example,
        )
    return array


def _number(value: Number, name: str, example: str) -> float:
    array = _numbers(value, name, example)
    if array.ndim:
        raise UsageError(f"`{name}` must be one number; got shape {array.shape}", "", example)
    return float(array)


def _level(delta: Number) -> float:
    delta = _number(delta, "delta", "delta=0.05")
    if not 0.0 < delta < 1.0:
        raise UsageError(
            f"`delta` must lie strictly between 0 and 1; got {delta}",
            "it is the probability of a miss, not the confidence level",
            "delta=0.05",
        )
    return delta


def _count(value: Number, name: str = "n", least: int = 1) -> int:
    number = _number(value, name, f"{name}={max(least, 1000)}")
    if number != math.floor(number) or not least <= number <= 2**53:
        raise UsageError(
            f"`{name}` must be a whole number between {least} and 2**53; got {value}",
            "",
            f"{name}={max(least, 1000)}",
        )
    return int(number)


def _range(lo: Number, hi: Number) -> tuple[float, float]:
    lo, hi = _number(lo, "lo", "lo=0.0"), _number(hi, "hi", "hi=1.0")
    if not (lo < hi and math.isfinite(hi - lo)):
        raise UsageError(
            f"`lo` must be less than `hi`, both finite; got lo={lo}, hi={hi}",
            "the interval rests on an a-priori range of the values",
            "lo=0.0, hi=1.0",
        )
    return lo, hi


def _inside(array: Array, name: str, lo: float, hi: float) -> Array:
    if array.size and not (lo <= array.min() and array.max() <= hi):
        raise UsageError(
            f"`{name}` must lie in [{lo}, {hi}]; got values from {array.min()} to {array.max()}",
            "the bound is false outside its range, and a range read off the data is not a-priori",
            f"lo and hi that hold for every possible value of {name}, not only for these",
        )
    return array


def _sample(values: Numbers, name: str, lo: float, hi: float, least: int = 1) -> Array:
    array = _numbers(values, name, f"{name}=numpy.array([0.2, 0.7])")
    if array.ndim == 0 or array.shape[-1] < least or array.size == 0 < least:
        raise UsageError(
            f"`{name}` must hold at least {least} value(s) on its last axis; "
            f"got shape {array.shape}",
            "",
            f"{name}=numpy.array([0.2, 0.7])",
        )
    return _inside(array, name, lo, hi)


def _broadcast(a: Array, b: Array, names: tuple[str, str]) -> tuple[Array, Array]:
    try:
        a_, b_ = np.broadcast_arrays(a, b)
    except ValueError:
        raise UsageError(
            f"`{names[0]}` must broadcast against `{names[1]}`; got shapes {a.shape} and {b.shape}",
            "",
            f"one number for `{names[1]}`, or arrays of one shape",
        ) from None
    return a_, b_


def _shown(array: Array) -> str:
    """Short text of an array: an error message is read by a person."""
    flat = array.ravel()
    return str(flat[0]) if flat.size == 1 else f"{array.shape} from {flat.min()} to {flat.max()}"


def _plain(x: Numbers) -> Real:
    array = np.asarray(x, dtype=np.float64)
    return float(array) if array.ndim == 0 else array


def _below(x: Numbers, slack: Numbers = 0.0) -> Array:
    return np.asarray(np.nextafter(np.asarray(x) - slack, -np.inf))


def _above(x: Numbers, slack: Numbers = 0.0) -> Array:
    return np.asarray(np.nextafter(np.asarray(x) + slack, np.inf))


def _within(lower: Numbers, upper: Numbers, lo: float, hi: float) -> Interval:
    # The mean cannot leave the range, so intersecting costs no probability.
    return Interval(_plain(np.clip(lower, lo, hi)), _plain(np.clip(upper, lo, hi)))


def _log_inverse(delta: float, sides: int) -> float:
    """Upper end of `log(sides / delta)`, for whole `sides` >= 1."""
    return (math.log(sides) - math.log(delta)) * (1 + 8 * _U) + 1e-300


# --- binary relative entropy ----------------------------------------------------------------------


def _kl_terms(far: Real, near: Real, gap: Real, rest: Real) -> tuple[Array, Array]:
    """The two terms of kl as `gain - loss`, both >= 0, without cancellation inside either.

    With `far - near = gap > 0` in the cell that shrinks and `rest` the mass of the other cell
    before it grows by `gap`: kl = far log(far/near) + rest log(rest/(rest+gap))
    = far log1p(gap/near) - rest log1p(gap/rest). `y -> log1p(y)`, y >= 0, has condition number
    <= 1, so each term has a relative error of a few U, which subtracting p-dependent logarithms
    would not have.
    """
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        up = gap / near
        down = gap / rest
        # A ratio that overflows lies above 1.79e308 and below 1/4.9e-324: 709 and 746 bracket it.
        grow = np.where(np.isinf(up) & (near > 0), 709.0, np.log1p(up))
        shrink = np.where(np.isinf(down), 746.0, np.log1p(down))
        gain = np.where(gap > 0, far * grow, 0.0)
        loss = np.where((gap > 0) & (rest > 0), rest * shrink, 0.0)
    return gain, loss


def _kl_at_least(p: Floats, q: Floats, upward: bool) -> Array:
    """A float64 lower bound of kl(p, q), for q >= p (`upward`) or q <= p.

    Derived here. `1-p`, `1-q` and the gap carry U each, the quotient at most 3.1 U, `log1p` keeps
    that and adds at most 4 ulp = 8 U, the product 2 U more: below 14 U relative a term, and 1 U of
    the difference. Taking off 16 U of the magnitudes (1e-300 for underflow) leaves a lower bound.
    """
    if upward:
        gain, loss = _kl_terms(1.0 - p, 1.0 - q, q - p, p)
    else:
        gain, loss = _kl_terms(p, q, p - q, 1.0 - p)
    with np.errstate(invalid="ignore"):
        bound = gain - loss - 16 * _U * (gain + loss) - 1e-300
    return np.where(np.isinf(gain), np.inf, bound)


def binary_kl(p: Numbers, q: Numbers) -> Real:
    """Relative entropy kl(p || q) of two coins, `p log(p/q) + (1-p) log((1-p)/(1-q))`, in nats.

    Args:
        p: probability of the first coin, in [0, 1]; broadcast against `q`.
        q: probability of the second coin, in [0, 1].

    Returns:
        A float, or an array of the broadcast shape; inf where q is 0 or 1 and p is not. Correct to
        16 U of the larger of its two terms; not rounded in a direction.

    Raises:
        UsageError: an argument outside [0, 1] or NaN.
    """
    p = _inside(_numbers(p, "p", "p=0.1"), "p", 0.0, 1.0)
    q = _inside(_numbers(q, "q", "q=0.2"), "q", 0.0, 1.0)
    p, q = _broadcast(p, q, ("p", "q"))
    rising = q >= p
    gap = np.abs(q - p)
    gain, loss = _kl_terms(
        np.where(rising, 1.0 - p, p),
        np.where(rising, 1.0 - q, q),
        gap,
        np.where(rising, p, 1.0 - p),
    )
    return _plain(np.maximum(gain - loss, 0.0))


def _kl_arguments(p_hat: Numbers, c: Numbers) -> tuple[Array, Array]:
    p = _inside(_numbers(p_hat, "p_hat", "p_hat=0.1"), "p_hat", 0.0, 1.0)
    c = _inside(_numbers(c, "c", "c=0.01"), "c", 0.0, math.inf)
    p, c = _broadcast(p, c, ("p_hat", "c"))
    return p.astype(np.float64), c.astype(np.float64)


def _kl_bisect(p: Array, c: Floats, upward: bool) -> Array:
    """Nearest float beyond `p` found that satisfies `kl >= c`; every float kept satisfies it."""
    sign = 1.0 if upward else -1.0
    mass = p if upward else 1.0 - p
    outer = np.full_like(p, 1.0 if upward else 0.0)
    inner = p.copy()
    # Pinsker and Bernstein give a point close to the root; it is kept only where it satisfies, so
    # no validity rests on them.
    with np.errstate(invalid="ignore", over="ignore"):
        guess = np.minimum(np.sqrt(c / 2), np.sqrt(2 * mass * c) + 2 * c) * (1 + 1e-9) + 1e-15 * p
    guess = np.clip(p + sign * np.minimum(guess, 2.0), 0.0, 1.0)
    beyond = (guess != p) & (_kl_at_least(p, guess, upward) >= c)
    outer = np.where(beyond, guess, outer)
    for _ in range(200):
        middle = inner + (outer - inner) / 2
        moving = (middle != inner) & (middle != outer)
        if not moving.any():
            break
        enough = _kl_at_least(p, middle, upward) >= c
        outer = np.where(moving & enough, middle, outer)
        inner = np.where(moving & ~enough, middle, inner)
    return outer


def kl_inverse_upper(p_hat: Numbers, c: Numbers) -> Real:
    """Upper end of `{q : kl(p_hat || q) <= c}`, on the side that satisfies `kl >= c`.

    The float returned itself satisfies `kl(p_hat, q) >= c` in exact arithmetic (or is 1), so a
    bound "with probability 1-delta, kl(p_hat || mean) <= c" gives `mean <= q` without rounding
    error. Found by bisection on the floats q with a lower bound of kl (16 U of the magnitudes taken
    off; derived here), not by plain bisection, which falls short of its equation in most cases.

    Args:
        p_hat: in [0, 1]; broadcast against `c`. Pass an upper end if it is itself rounded.
        c: >= 0, may be inf.

    Returns:
        A float, or an array of the broadcast shape, in [p_hat, 1].

    Raises:
        UsageError: `p_hat` outside [0, 1], `c` negative, or NaN.
    """
    p, c = _kl_arguments(p_hat, c)
    return _plain(_kl_bisect(p, c, upward=True))


def kl_inverse_lower(p_hat: Numbers, c: Numbers) -> Real:
    """Lower end of `{q : kl(p_hat || q) <= c}`, on the side that satisfies `kl >= c`.

    As `kl_inverse_upper`, below `p_hat`: the float returned satisfies `kl(p_hat, q) >= c` in exact
    arithmetic, or is 0.

    Args:
        p_hat: in [0, 1]; broadcast against `c`. Pass a lower end if it is itself rounded.
        c: >= 0, may be inf.

    Returns:
        A float, or an array of the broadcast shape, in [0, p_hat].

    Raises:
        UsageError: `p_hat` outside [0, 1], `c` negative, or NaN.
    """
    p, c = _kl_arguments(p_hat, c)
    return _plain(_kl_bisect(p, c, upward=False))


# --- binomial -------------------------------------------------------------------------------------

# scipy's inverse incomplete beta is only near the root (its tail was seen 4e-8 off for k = 30,
# n = 10**9), its forward function is good to 1e-11 against python-flint. So the end is accepted by
# the forward function with this relative reserve of probability.
_TAIL_RESERVE = 1e-10


def _binomial_end(k: Array, n: Array, alpha: float, upper: bool) -> Array:
    """Safe end relative to itself: P(Bin(n, u) <= k) <= alpha above, P(Bin >= k) <= alpha below."""
    a, b = (k + 1.0, n - k) if upper else (k, n - k + 1.0)
    goal = alpha * (1 - 2 * _TAIL_RESERVE)
    tail = special.betaincc if upper else special.betainc
    outward = 1.0 if upper else -1.0
    with np.errstate(all="ignore"):
        end = (special.betainccinv if upper else special.betaincinv)(a, b, goal)
        for _ in range(4):
            # Newton on log(tail): the tail is log-concave, and its slope needs few digits only.
            at = tail(a, b, end)
            log_density = special.xlogy(a - 1, end) + special.xlog1py(b - 1, -end)
            slope = np.exp(log_density - special.betaln(a, b)) / at
            step = np.log(at / goal) / slope
            usable = np.isfinite(step) & (np.abs(step) < 1e-3 * end)
            end = np.where(usable, end + outward * step, end)
    safe = np.full(k.shape, np.nan)
    for widen in (1e-13, 1e-12, 1e-11, 1e-10, 1e-9, 1e-8, 1e-7, 1e-6):
        trial = end * (1 + outward * widen)
        with np.errstate(all="ignore"):
            fits = (tail(a, b, trial) <= alpha * (1 - _TAIL_RESERVE)) & (trial > 0) & (trial < 1)
        safe = np.where(fits & np.isnan(safe), trial, safe)
        if not np.isnan(safe).any():
            return safe
    # Chernoff: each tail is <= exp(-n kl(k/n, end)), so the kl end is safe whatever scipy returns.
    c = math.log(1 / alpha) * (1 + 8 * _U) / n * (1 + 4 * _U)
    share = np.clip(_above(k / n) if upper else _below(k / n), 0.0, 1.0)
    return np.where(np.isnan(safe), _kl_bisect(share, c, upward=upper), safe)


def _binomial_upper(k: Array, n: Array, alpha: float) -> Array:
    end = np.ones(k.shape)
    some = k < n
    end[some] = _binomial_end(k[some], n[some], alpha, upper=True)
    high = some & (end > 0.5)
    if high.any():
        # The complement keeps the relative precision of 1 - end.
        failures = _binomial_end(n[high] - k[high], n[high], alpha, upper=False)
        end[high] = np.minimum(_above(1.0 - failures), 1.0)
    return end


def _binomial_lower(k: Array, n: Array, alpha: float) -> Array:
    end = np.zeros(k.shape)
    some = k > 0
    end[some] = _binomial_end(k[some], n[some], alpha, upper=False)
    high = end > 0.5
    if high.any():
        failures = _binomial_end(n[high] - k[high], n[high], alpha, upper=True)
        end[high] = np.maximum(_below(1.0 - failures), 0.0)
    return end


def clopper_pearson(k: Numbers, n: Numbers, delta: Number, *, side: Side = "two") -> Interval:
    """Exact interval for the probability behind `k` successes in `n` independent trials.

    The upper end u solves P(Bin(n, u) <= k) = alpha, that is I_{1-u}(n-k, k+1) = alpha, and is 1
    for k = n; the lower end l solves P(Bin(n, l) >= k) = alpha and is 0 for k = 0; alpha is
    delta/2 for `side="two"` and delta for one side. Ends err outward: each is accepted only if its
    tail probability is <= alpha (1 - 1e-10) by the forward incomplete beta function, which is
    good to 1e-11 (tested against python-flint up to n = 10**9, delta = 1e-12); where nothing is
    accepted the Chernoff end is returned, which is wider and needs no special function.

    Hypotheses: the trials are independent with one probability (or: the indicator has this
    conditional probability given the past, at a fixed n).

    Args:
        k: successes, whole numbers in [0, n]; broadcast against `n`.
        n: trials, whole numbers in [1, 2**53].
        delta: probability of a miss, in (0, 1).
        side: "two", or "upper" ([0, u]) or "lower" ([l, 1]) with all of delta on one side.

    Returns:
        An `Interval` with the broadcast shape.

    Raises:
        UsageError: an argument outside its range.

    Source: C. J. Clopper and E. S. Pearson, Biometrika 26 (1934) 404-413.
    """
    delta = _level(delta)
    if side not in ("two", "upper", "lower"):
        raise UsageError(f"`side` must be two, upper or lower; got {side!r}", "", 'side="two"')
    n_ = _numbers(n, "n", "n=1000")
    k_ = _numbers(k, "k", "k=3")
    for array, name, least in ((n_, "n", 1), (k_, "k", 0)):
        if not np.all((array >= least) & (array <= 2**53) & (array == np.floor(array))):
            raise UsageError(
                f"`{name}` must be whole numbers between {least} and 2**53; got {_shown(array)}",
                "it counts trials",
                f"{name}={max(least, 3)}",
            )
    k_, n_ = _broadcast(k_, n_, ("k", "n"))
    if np.any(k_ > n_):
        raise UsageError(
            f"`k` must not exceed `n`; got k={_shown(k_)}, n={_shown(n_)}",
            "there are more successes than trials",
            "clopper_pearson(k, n, delta) with the arguments in this order",
        )
    alpha = delta / 2 if side == "two" else delta
    shape, k_, n_ = k_.shape, k_.ravel(), n_.ravel()
    lower = np.zeros(k_.shape) if side == "upper" else _binomial_lower(k_, n_, alpha)
    upper = np.ones(k_.shape) if side == "lower" else _binomial_upper(k_, n_, alpha)
    return Interval(_plain(lower.reshape(shape)), _plain(upper.reshape(shape)))


# --- bounded means from a mean, a variance and a count --------------------------------------------


def _mean_slack(mean: Floats, n: int, lo: float, hi: float, mean_error: Number | None) -> Floats:
    """Bound of `|computed mean - exact mean|` for a sum in any order, then one division."""
    if mean_error is not None:
        error = _number(mean_error, "mean_error", "mean_error=1e-12")
        if not 0.0 <= error < math.inf:
            raise UsageError(
                f"`mean_error` must be finite and >= 0; got {error}", "", "mean_error=1e-12"
            )
        return np.full(np.shape(mean), error * (1 + 4 * _U))
    # Values of one sign have mean |x| = |mean|; otherwise only the range bounds it.
    size = np.abs(mean) if lo >= 0 or hi <= 0 else np.full(np.shape(mean), max(-lo, hi))
    growth = (n + 4) * _U
    return size * min(growth / (1 - min(growth, 0.5)) * (1 + 8 * _U), 2.0)


def _checked_mean(mean: Numbers, lo: float, hi: float, slack_of: int) -> Array:
    # A computed mean may leave the range by its rounding; that much is not the caller's fault.
    array = _numbers(mean, "mean", "mean=0.3")
    room = (slack_of + 8) * _U * max(abs(lo), abs(hi))
    _inside(array, "mean", lo - room, hi + room)
    return np.asarray(np.clip(array, lo, hi))


def hoeffding_from_mean(
    mean: Numbers,
    n: Number,
    delta: Number,
    *,
    lo: Number = 0.0,
    hi: Number = 1.0,
    mean_error: Number | None = None,
) -> Interval:
    """Hoeffding's interval from a sample mean; see `hoeffding`.

    Args:
        mean: mean of `n` values, in [lo, hi]; an array for several problems.
        n: number of values.
        delta: probability of a miss, in (0, 1).
        lo: least possible value.
        hi: greatest possible value.
        mean_error: bound of the rounding error in `mean`; by default that of a float64 sum in any
            order (n U of the mean magnitude). Pass `2**-53` for a quotient of two exact counts.

    Returns:
        An `Interval` with the shape of `mean`, inside [lo, hi].

    Raises:
        UsageError: an argument outside its range.
    """
    delta, n = _level(delta), _count(n)
    lo, hi = _range(lo, hi)
    mean = _checked_mean(mean, lo, hi, n)
    radius = (hi - lo) * math.sqrt(_log_inverse(delta, 2) / (2 * n)) * (1 + 8 * _U)
    slack = _mean_slack(mean, n, lo, hi, mean_error)
    return _within(_below(_below(mean, slack), radius), _above(_above(mean, slack), radius), lo, hi)


def hoeffding(values: Numbers, delta: Number, *, lo: Number = 0.0, hi: Number = 1.0) -> Interval:
    """Hoeffding's interval for a bounded mean: mean +- (hi-lo) sqrt(log(2/delta) / (2n)).

    Hypotheses: independent values in [lo, hi]; the interval is for the average of their means.

    Args:
        values: shape (..., n), n >= 1.
        delta: probability of a miss, in (0, 1).
        lo: least possible value.
        hi: greatest possible value.

    Returns:
        An `Interval` of shape (...), inside [lo, hi].

    Raises:
        UsageError: an argument outside its range.

    Source: W. Hoeffding, J. Amer. Statist. Assoc. 58 (1963) 13-30, the exponential inequality for
    sums of independent bounded variables, at delta/2 on each side.
    """
    lo, hi = _range(lo, hi)
    values = _sample(values, "values", lo, hi)
    return hoeffding_from_mean(values.mean(-1), values.shape[-1], delta, lo=lo, hi=hi)


def kl_chernoff_from_mean(
    mean: Numbers,
    n: Number,
    delta: Number,
    *,
    lo: Number = 0.0,
    hi: Number = 1.0,
    mean_error: Number | None = None,
) -> Interval:
    """The kl interval from a sample mean; see `kl_chernoff`.

    Args:
        mean: mean of `n` values, in [lo, hi]; an array for several problems.
        n: number of values.
        delta: probability of a miss, in (0, 1).
        lo: least possible value.
        hi: greatest possible value.
        mean_error: bound of the rounding error in `mean`, as in `hoeffding_from_mean`.

    Returns:
        An `Interval` with the shape of `mean`, inside [lo, hi].

    Raises:
        UsageError: an argument outside its range.
    """
    delta, n = _level(delta), _count(n)
    lo, hi = _range(lo, hi)
    mean = _checked_mean(mean, lo, hi, n)
    slack = _mean_slack(mean, n, lo, hi, mean_error)
    c = _log_inverse(delta, 2) / n * (1 + 4 * _U)
    span, size = hi - lo, max(abs(lo), abs(hi))
    # Exactly at an end of the range nothing was rounded: keep 0 and 1 there.
    down = np.where((mean == lo) & (slack == 0), lo, _below(mean, slack))
    up = np.where((mean == hi) & (slack == 0), hi, _above(mean, slack))
    p_low = np.clip((down - lo) / span * (1 - 8 * _U), 0.0, 1.0)
    p_high = np.clip((up - lo) / span * (1 + 8 * _U), 0.0, 1.0)
    lower = lo + span * np.asarray(kl_inverse_lower(p_low, c))
    upper = lo + span * np.asarray(kl_inverse_upper(p_high, c))
    # span and the product carry 2 U of span, the sum U of its result; exact for lo = 0, hi = 1.
    rounding = 0.0 if (lo, hi) == (0.0, 1.0) else 8 * _U * (size + span)
    return _within(lower - rounding, upper + rounding, lo, hi)


def kl_chernoff(values: Numbers, delta: Number, *, lo: Number = 0.0, hi: Number = 1.0) -> Interval:
    """Chernoff's interval for a bounded mean: { q : kl(mean || q) <= log(2/delta) / n }.

    Never wider than `hoeffding` (Pinsker), far shorter near the ends of the range.

    Hypotheses: independent values in [lo, hi] with one mean.

    Args:
        values: shape (..., n), n >= 1.
        delta: probability of a miss, in (0, 1).
        lo: least possible value.
        hi: greatest possible value.

    Returns:
        An `Interval` of shape (...), inside [lo, hi].

    Raises:
        UsageError: an argument outside its range.

    Source: derived here, as Hoeffding 1963 does. On [0, 1], exp(s x) <= 1 - x + x exp(s) by
    convexity, so E exp(s sum x) <= (1 - q + q exp(s))^n, and Markov's inequality with the best s
    gives P(mean >= a) <= exp(-n kl(a || q)) for a > q; likewise below; delta/2 each.
    """
    lo, hi = _range(lo, hi)
    values = _sample(values, "values", lo, hi)
    return kl_chernoff_from_mean(values.mean(-1), values.shape[-1], delta, lo=lo, hi=hi)


def empirical_bernstein_from_moments(
    mean: Numbers,
    variance: Numbers,
    n: Number,
    delta: Number,
    *,
    lo: Number = 0.0,
    hi: Number = 1.0,
    mean_error: Number | None = None,
) -> Interval:
    """The empirical Bernstein interval from two moments; see `empirical_bernstein`.

    Args:
        mean: mean of `n` values, in [lo, hi]; an array for several problems.
        variance: sample variance with divisor n-1, computed in two passes (its rounding is then
            covered); broadcast against `mean`. Ignored for n = 1.
        n: number of values.
        delta: probability of a miss, in (0, 1).
        lo: least possible value.
        hi: greatest possible value.
        mean_error: bound of the rounding error in `mean`, as in `hoeffding_from_mean`.

    Returns:
        An `Interval` with the broadcast shape, inside [lo, hi].

    Raises:
        UsageError: an argument outside its range.
    """
    delta, n = _level(delta), _count(n)
    lo, hi = _range(lo, hi)
    mean = _checked_mean(mean, lo, hi, n)
    span = hi - lo
    variance = _numbers(variance, "variance", "variance=0.05")
    largest = span**2 / 4 * n / max(n - 1, 1) * (1 + 4 * (n + 16) * _U)
    _inside(variance, "variance", 0.0, largest)
    mean, variance = _broadcast(mean, variance, ("mean", "variance"))
    if n == 1:
        return _within(np.full(mean.shape, lo), np.full(mean.shape, hi), lo, hi)
    log_term = _log_inverse(delta, 4)
    most = variance * (1 + 2 * (n + 16) * _U)
    radius = np.sqrt(2 * most * log_term / n) + 7 * span * log_term / (3 * (n - 1))
    radius = radius * (1 + 16 * _U)
    slack = _mean_slack(mean, n, lo, hi, mean_error)
    return _within(_below(_below(mean, slack), radius), _above(_above(mean, slack), radius), lo, hi)


def empirical_bernstein(
    values: Numbers, delta: Number, *, lo: Number = 0.0, hi: Number = 1.0
) -> Interval:
    """Empirical Bernstein interval: mean +- sqrt(2 V L / n) + 7 (hi-lo) L / (3 (n-1)).

    L = log(4/delta) and V is the sample variance with divisor n-1. The theorem is one-sided with
    log(2/delta); here it is used at delta/2 on each side. One value gives [lo, hi].

    Hypotheses: independent, identically distributed values in [lo, hi].

    Args:
        values: shape (..., n), n >= 1.
        delta: probability of a miss, in (0, 1).
        lo: least possible value.
        hi: greatest possible value.

    Returns:
        An `Interval` of shape (...), inside [lo, hi].

    Raises:
        UsageError: an argument outside its range.

    Source: A. Maurer and M. Pontil, Empirical Bernstein bounds and sample variance penalization,
    COLT 2009 (arXiv:0907.3740), Theorem 4.
    """
    lo, hi = _range(lo, hi)
    values = _sample(values, "values", lo, hi)
    n = values.shape[-1]
    variance = values.var(-1, ddof=1) if n > 1 else np.zeros(values.shape[:-1])
    return empirical_bernstein_from_moments(values.mean(-1), variance, n, delta, lo=lo, hi=hi)


# --- betting --------------------------------------------------------------------------------------


def _bets(x: Array, log_term: float, fixed: bool) -> Array:
    """Predictable plug-in bets: entry t uses entries before t only.

    `np.cumsum` adds in order, so a prefix of the values gets the same bets in any chunking.
    """
    n = x.shape[-1]
    t = np.arange(1.0, n + 1)
    mean = (0.5 + np.cumsum(x, -1)) / (t + 1)
    variance = (0.25 + np.cumsum((x - mean) ** 2, -1)) / (t + 1)
    before = np.concatenate([np.full((*x.shape[:-1], 1), 0.25), variance[..., :-1]], -1)
    return np.sqrt(2 * log_term / (before * (n if fixed else t * np.log1p(t))))


def _peak_log_wealth(x: Array, bets: Array, m: Floats) -> Floats:
    """Largest log-wealth over time of the gambler who bets that the mean exceeds `m`."""
    m = np.asarray(m)[..., None]
    with np.errstate(divide="ignore"):
        stake = np.minimum(bets, _TRUNCATION / m)
    return np.cumsum(np.log1p(stake * (x - m)), -1).max(-1)


def _death(bets: Array, log_term: float) -> Array:
    """Computed log-wealth from which the exact wealth has surely reached 2/delta.

    Derived here. With x in [0, 1] known to 6 U, the stake s <= bet and y = s (x - m) >= -c, one
    term log1p(y) is at most |y|/(1-c) <= bet/(1-c) and errs by at most (6+3) U bet/(1-c) from its
    argument and 4 ulp = 8 U of itself; adding n terms in order errs by n U of the sum of their
    magnitudes. In all at most (n + 17) U sum(bets)/(1-c); twice that is reserved.
    """
    n = bets.shape[-1]
    reserve = 2 * (n + 32) * _U * bets.sum(-1) / (1 - _TRUNCATION)
    return np.asarray(log_term * (1 + 8 * _U) + reserve)


def _last_dead(x: Array, bets: Array, log_term: float, start: Floats) -> Array:
    """Largest `m` found at which the bet on a larger mean has ever won 2/delta.

    Wealth decreases in m at every time (1 + min(bet, c/m)(x-m) does: it is 1 + bet (x-m) up to
    m = c/bet and 1 - c + c x/m beyond), so the dead m form an interval from 0, bisection applies
    and every dead point found is a safe end. `start` is 0 or an end that died before.
    """
    death = _death(bets, log_term)
    dead, alive = np.asarray(start), np.ones_like(start)
    if not np.any(_peak_log_wealth(x, bets, dead) >= death):
        return dead
    for _ in range(_BISECTIONS):
        middle = dead + (alive - dead) / 2
        died = _peak_log_wealth(x, bets, middle) >= death
        dead = np.where(died, middle, dead)
        alive = np.where(died, alive, middle)
    return dead


def _unit(values: Array, lo: float, hi: float) -> Array:
    return np.clip((values - lo) / (hi - lo), 0.0, 1.0)


def _from_unit(m: Numbers, lo: float, hi: float, outward: float) -> Floats:
    # Three roundings of at most U each, of magnitudes below size + span.
    slack = 8 * _U * (max(abs(lo), abs(hi)) + (hi - lo))
    return np.clip(lo + (hi - lo) * np.asarray(m) + outward * slack, lo, hi)


def betting(values: Numbers, delta: Number, *, lo: Number = 0.0, hi: Number = 1.0) -> Interval:
    """Hedged-capital interval for a bounded mean at one sample size n chosen beforehand.

    On [0, 1], for every candidate m two gamblers start with 1 and bet that the mean lies above or
    below m. Their wealth is prod_i (1 + min(b_i, c/m) (x_i - m)) and, on the other side,
    prod_i (1 - min(b_i, c/(1-m)) (x_i - m)), with c = 1/2, b_i = sqrt(2 log(2/delta) / (n s_i^2))
    and s_i^2 the regularised variance of the values before i. m is dead once either has ever held
    2/delta; the interval is what is alive. Adapts to the variance; for values with more than two
    levels usually the shortest of this module (for 0/1 values use `clopper_pearson`).

    Hypotheses: values in [lo, hi] whose conditional mean given the earlier ones is one number (in
    particular independent, identically distributed). n is fixed before looking; to look
    repeatedly use `betting_sequence`. The ends depend on the order of the values: pass them as
    they were drawn, never sorted.

    Safety in float64: wealth is monotone in m on each side, so the ends are found by bisection and
    are themselves dead points; the threshold is raised by the rounding of the sum (`_death`).

    Args:
        values: shape (..., n), n >= 1, in the order drawn.
        delta: probability of a miss, in (0, 1).
        lo: least possible value.
        hi: greatest possible value.

    Returns:
        An `Interval` of shape (...), inside [lo, hi].

    Raises:
        UsageError: an argument outside its range.
        EmptyBracket: everything is dead: a hypothesis is false, or the delta event has happened.

    Source: I. Waudby-Smith and A. Ramdas, Estimating means of bounded random variables by betting,
    J. R. Statist. Soc. B 86 (2024) 1-27 (arXiv:2010.09686): hedged capital (section 4.1),
    predictable plug-in bets (section 4.3). Validity derived here: at the true mean each wealth is
    a nonnegative martingale from 1, so by Ville it reaches 2/delta, at any time, with probability
    <= delta/2.
    """
    lo, hi = _range(lo, hi)
    values = _sample(values, "values", lo, hi)
    log_term = _log_inverse(_level(delta), 2)
    x = _unit(values, lo, hi)
    bets = _bets(x, log_term, fixed=True)
    zero = np.zeros(x.shape[:-1])
    lower = _last_dead(x, bets, log_term, zero)
    upper = _above(1.0 - _last_dead(1.0 - x, bets, log_term, zero))
    return _rescaled(lower, upper, lo, hi)


def _rescaled(lower: Numbers, upper: Numbers, lo: float, hi: float) -> Interval:
    return Interval(_plain(_from_unit(lower, lo, hi, -1.0)), _plain(_from_unit(upper, lo, hi, 1.0)))


@dataclass(frozen=True)
class BettingSequence:
    """A confidence sequence and all that is needed to continue it. Made by `betting_sequence`.

    The fields are plain numbers and arrays, so a solution can save them and build the object again.

    Args:
        delta: probability that any of the intervals, over all times, misses.
        lo: least possible value.
        hi: greatest possible value.
        unit_values: the values so far, rescaled to [0, 1], in the order drawn.
        dead_below: candidates up to this one (on [0, 1]) have died on the lower side.
        dead_above: the same for `1 - m` on the upper side.
    """

    delta: float
    lo: float
    hi: float
    unit_values: Array = field(repr=False)
    dead_below: float = 0.0
    dead_above: float = 0.0

    @property
    def n(self) -> int:
        """Number of values so far."""
        return self.unit_values.size

    @property
    def interval(self) -> Interval:
        """The interval at this time; the intersection of all so far."""
        return _rescaled(
            self.dead_below, min(float(_above(1.0 - self.dead_above)), 1.0), self.lo, self.hi
        )

    def extend(self, values: Numbers) -> BettingSequence:
        """The sequence after further `values`; this object stays as it is.

        A candidate that died stays dead. Costs some 80 passes over all values so far, so look at
        doubling sample sizes rather than at each value: nothing is lost between looks, because
        wealth is followed at every time.

        Args:
            values: shape (m,), m >= 0, in the order drawn.

        Returns:
            A new `BettingSequence`.

        Raises:
            UsageError: values outside [lo, hi], NaN, or not one-dimensional.
        """
        new = _sample(values, "values", self.lo, self.hi, least=0)
        if new.ndim != 1:
            raise UsageError(
                f"`values` must be one-dimensional; got shape {new.shape}",
                "a sequence has one order",
                "one betting_sequence for each row",
            )
        x = np.concatenate([self.unit_values, _unit(new, self.lo, self.hi)])
        if new.size == 0:
            return self
        log_term = _log_inverse(self.delta, 2)
        bets = _bets(x, log_term, fixed=False)
        below = _last_dead(x, bets, log_term, np.asarray(self.dead_below))
        above = _last_dead(1.0 - x, bets, log_term, np.asarray(self.dead_above))
        return BettingSequence(self.delta, self.lo, self.hi, x, float(below), float(above))


def betting_sequence(
    values: Numbers, delta: Number, *, lo: Number = 0.0, hi: Number = 1.0
) -> BettingSequence:
    """Confidence sequence for a bounded mean: valid at all times together, so under peeking.

    As `betting` with bets b_t = sqrt(2 log(2/delta) / (s_t^2 t log(1+t))), which do not look at
    a final n. P(some interval of the sequence ever misses) <= delta, so it may be looked at after
    each value and sampling may stop when the interval pleases. Wealth is followed at every time,
    whatever the looks; the looks move the ends by the bisection tolerance only (1e-12).

    Hypotheses: values in [lo, hi] whose conditional mean given the earlier ones is one number.

    Memory is 8 bytes a value. For more than some 10**7 values pass means of consecutive blocks of
    fixed size: they satisfy the same hypotheses.

    Args:
        values: shape (n,), n >= 0, in the order drawn.
        delta: probability that the sequence ever misses, in (0, 1).
        lo: least possible value.
        hi: greatest possible value.

    Returns:
        A `BettingSequence`; `.interval` is the interval now, `.extend(values)` continues it.

    Raises:
        UsageError: an argument outside its range.

    Source: Waudby-Smith and Ramdas (2024), as in `betting`; Ville's inequality holds at all times.
    """
    lo, hi = _range(lo, hi)
    return BettingSequence(_level(delta), lo, hi, np.empty(0)).extend(values)


def paired_difference(
    a: Numbers, b: Numbers, delta: Number, *, lo: Number = 0.0, hi: Number = 1.0
) -> Interval:
    """Interval for mean(a - b) of paired bounded values, by betting on the differences.

    The differences lie in [lo-hi, hi-lo] and are rescaled; what the two have in common cancels in
    their variance, to which betting adapts.

    Hypotheses: the pairs are independent and identically distributed (or the differences have one
    conditional mean); n fixed beforehand. The two entries of a pair may depend on each other.

    Args:
        a: shape (..., n), in [lo, hi].
        b: the same shape, in [lo, hi].
        delta: probability of a miss, in (0, 1).
        lo: least possible value of both.
        hi: greatest possible value of both.

    Returns:
        An `Interval` of shape (...), inside [lo-hi, hi-lo].

    Raises:
        UsageError: an argument outside its range, or shapes that differ.
        EmptyBracket: as in `betting`.
    """
    lo, hi = _range(lo, hi)
    _level(delta)
    a, b = _sample(a, "a", lo, hi), _sample(b, "b", lo, hi)
    if a.shape != b.shape:
        raise UsageError(
            f"`b` must have the shape of `a`; got {b.shape} and {a.shape}",
            "entries of the same index form a pair",
            "a and b evaluated on the same rows",
        )
    span = hi - lo
    return betting(np.clip(a - b, -span, span), delta, lo=-span, hi=span)


# --- central limit theorem ------------------------------------------------------------------------

_REFUSED_ENDS = (-math.inf, math.inf)


def student_t(values: Numbers, delta: Number) -> Interval:
    """Student's interval, mean +- t_{n-1, 1-delta/2} s / sqrt(n): for kind `asymptotic` only.

    Exact for normal values; otherwise a limit theorem with no promise at this n. A nominal 5 %
    missed 12 % (lognormal, n = 30) and 97 % (Bernoulli .001) here; use `betting` where the values
    are bounded.

    Args:
        values: shape (n,) or (..., n), finite.
        delta: nominal probability of a miss, in (0, 1).

    Returns:
        An `Interval` of shape (...). A row whose values are all equal shows no spread and gets the
        ends (-inf, inf); `refused` says so if every row is of that kind, or if n = 1.

    Raises:
        UsageError: an argument outside its range.

    Source: Student, Biometrika 6 (1908) 1-25; quantile by `scipy.special.stdtrit`.
    """
    delta = _level(delta)
    largest = np.finfo(np.float64).max
    values = _sample(values, "values", -largest, largest)
    n, shape = values.shape[-1], values.shape[:-1]
    if n == 1:
        everything = np.full(shape, math.inf)
        return Interval(_plain(-everything), _plain(everything), "one value has no sample variance")
    centre = values.mean(-1)
    spread = np.where(np.ptp(values, -1) > 0, values.std(-1, ddof=1), math.inf)
    radius = -special.stdtrit(n - 1, delta / 2) * spread / math.sqrt(n)
    constant = not np.isfinite(spread).any()
    return Interval(
        _plain(centre - radius),
        _plain(centre + radius),
        "all values are equal, so the sample shows no spread" if constant else "",
    )


def _log_weights(log_weights: Numbers) -> Array:
    largest = np.finfo(np.float64).max
    return _sample(log_weights, "log_weights", -math.inf, largest)


def _normalised(log_weights: Array) -> Array:
    top = log_weights.max(-1, keepdims=True)
    weights = np.exp(log_weights - np.where(np.isfinite(top), top, 0.0))
    total = weights.sum(-1, keepdims=True)
    return weights / np.where(total > 0, total, 1.0)


def effective_sample_size(log_weights: Numbers) -> Real:
    """Kish's effective sample size (sum w)^2 / sum w^2, from log-weights without overflow.

    Args:
        log_weights: shape (..., n); -inf is a zero weight.

    Returns:
        A number in [1, n], or 0 where all weights are zero; shape (...).

    Raises:
        UsageError: NaN, +inf or no value.
    """
    squares = (_normalised(_log_weights(log_weights)) ** 2).sum(-1)
    return _plain(np.where(squares > 0, 1 / np.where(squares > 0, squares, 1.0), 0.0))


def largest_weight(log_weights: Numbers) -> Real:
    """Largest normalised weight max w / sum w.

    Args:
        log_weights: shape (..., n); -inf is a zero weight.

    Returns:
        A number in [1/n, 1], or 0 where all weights are zero; shape (...).

    Raises:
        UsageError: NaN, +inf or no value.
    """
    return _plain(_normalised(_log_weights(log_weights)).max(-1))


def log_mean_exp(
    log_weights: Numbers,
    delta: Number,
    *,
    min_ess: Number = 0.25,
    max_weight: Number | None = None,
    log_cap: Number | None = None,
) -> Interval:
    """Interval for log E exp(l) from independent log-weights l, or a refusal.

    With w = exp(l), r = t s_w / (mean(w) sqrt n) and t the Student quantile at delta/2 total (half
    of delta is kept for the skewness of w): [log(mean(w)) + log(1-r), log(mean(w)) + r].
    Refused when ESS/n < `min_ess`, or the largest normalised weight exceeds `max_weight` (whose
    default falls with t^2 because the skewness error of a t interval grows with it).

    **What is promised**: P(not refused and miss) <= delta over all samples, the refused ones
    counted as no miss. It is *not* coverage among the accepted: a guard keeps the samples that
    happened to see no large weight, and those are the wrong ones (log-weights N(0, 4), n = 1000:
    of the samples with ESS >= 100, 77 % miss). Never divide by the number accepted.
    It is asymptotic. Measured here over n = 30 to 3000 as a multiple of delta, at worst: Gaussian
    log-weights .6 (delta .1) and 1.0 (delta .01); weights with a Pareto tail of finite variance
    1.1 (.1), 1.5 (.05), 2.9 (.01), of infinite variance more. No guard can know of weights that it
    has not seen: w = 1 + M Bernoulli(1/n), M large, is accepted with probability e^-1 and then
    misses. With `log_cap` there is no such gap.

    Args:
        log_weights: shape (n,); -inf is a zero weight. n < 20 is always refused by the default
            `max_weight`, since the largest weight is at least 1/n.
        delta: probability of an accepted miss, in (0, 1).
        min_ess: least ESS/n accepted, in [0, 1].
        max_weight: largest normalised weight accepted, in (0, 1]; by default min(.05, .2/t^2).
        log_cap: an a-priori almost sure upper bound of the log-weights. If given, w/exp(log_cap)
            is bounded by 1 and `betting` is used: a finite-sample interval (kind `confidence`),
            never refused.

    Returns:
        An `Interval`; `refused` says why, with the ends (-inf, inf).

    Raises:
        UsageError: an argument outside its range.
    """
    delta = _level(delta)
    logs = _log_weights(log_weights)
    if logs.ndim != 1:
        raise UsageError(
            f"`log_weights` must be one-dimensional; got shape {logs.shape}",
            "each sample is accepted or refused as a whole",
            "[log_mean_exp(row, delta) for row in log_weights]",
        )
    min_ess = _number(min_ess, "min_ess", "min_ess=0.25")
    _inside(np.asarray(min_ess), "min_ess", 0.0, 1.0)
    if max_weight is not None:
        max_weight = _number(max_weight, "max_weight", "max_weight=0.05")
        _inside(np.asarray(max_weight), "max_weight", 5e-324, 1.0)
    if log_cap is not None:
        return _capped_log_mean_exp(logs, delta, _number(log_cap, "log_cap", "log_cap=0.0"))
    n = logs.size
    ess, top = effective_sample_size(logs), largest_weight(logs)
    if ess == 0:
        return Interval(*_REFUSED_ENDS, "every weight is zero")
    if n == 1:
        return Interval(*_REFUSED_ENDS, "one weight has no sample variance")
    t = -float(special.stdtrit(n - 1, delta / 4))
    limit = min(0.05, 0.2 / t**2) if max_weight is None else max_weight
    if ess < min_ess * n:
        return Interval(*_REFUSED_ENDS, f"ESS/n = {ess / n:.3g} is below {min_ess:.3g}")
    if top > limit:
        return Interval(*_REFUSED_ENDS, f"the largest weight {top:.3g} exceeds {limit:.3g}")
    shift = logs.max()
    weights = np.exp(logs - shift)
    mean = float(weights.mean())
    r = t * float(weights.std(ddof=1)) / (mean * math.sqrt(n))
    centre = float(shift) + math.log(mean)
    rounding = (n + 16) * _U * (1 + abs(centre))
    lower = centre + math.log1p(-r) - rounding if r < 1 else -math.inf
    return Interval(lower, centre + r + rounding)


def _capped_log_mean_exp(logs: Array, delta: float, cap: float) -> Interval:
    if not math.isfinite(cap):
        raise UsageError(f"`log_cap` must be finite; got {cap}", "", "log_cap=None")
    _inside(logs, "log_weights", -math.inf, cap)
    # exp errs by U (|l - cap| + 4) relative, so by at most 5 U absolute: `_death` grants 6.
    scaled = betting(np.exp(logs - cap), delta)
    with np.errstate(divide="ignore"):
        lower, upper = np.log(scaled.lower), np.log(scaled.upper)
    slack = 8 * _U * (abs(cap) + 1)
    return Interval(
        float(lower) + cap - slack - 8 * _U * abs(float(lower))
        if np.isfinite(lower)
        else -math.inf,
        min(float(upper) * (1 - 8 * _U) + cap + slack, cap),
    )


# --- distribution functions -----------------------------------------------------------------------


def dkw(n: Number, delta: Number) -> float:
    """Half-width of the band around an empirical distribution function.

    sqrt(log(2/delta) / (2n)), rounded up: P(sup_x |F_n(x) - F(x)| > it) <= delta.

    Hypotheses: n independent, identically distributed values, with any law.

    Args:
        n: number of values, >= 1.
        delta: probability that the band misses somewhere, in (0, 1).

    Returns:
        The half-width; 1 or more says nothing.

    Raises:
        UsageError: an argument outside its range.

    Source: Dvoretzky, Kiefer and Wolfowitz (1956) with the constant of P. Massart, Ann. Probab. 18
    (1990) 1269-1283, two-sided form.
    """
    n, delta = _count(n), _level(delta)
    return math.sqrt(_log_inverse(delta, 2) / (2 * n)) * (1 + 8 * _U)


def dkw_mean(values: Numbers, delta: Number, *, lo: Number = 0.0, hi: Number = 1.0) -> Interval:
    """Interval for a bounded mean implied by the band of `dkw`.

    With e the half-width: the largest mean in the band moves the mass e from the smallest values to
    `hi`, the least one moves it from the largest values to `lo` (mean = hi - integral of F). It
    holds together with the band and with every other functional of it, at one delta.

    Hypotheses: independent, identically distributed values in [lo, hi].

    Args:
        values: shape (..., n), n >= 1.
        delta: probability of a miss, in (0, 1).
        lo: least possible value.
        hi: greatest possible value.

    Returns:
        An `Interval` of shape (...), inside [lo, hi].

    Raises:
        UsageError: an argument outside its range.

    Source: the integral derived here from the band; the band as in `dkw`.
    """
    lo, hi = _range(lo, hi)
    ordered = np.sort(_sample(values, "values", lo, hi), -1)
    n = ordered.shape[-1]
    half = min(dkw(n, delta), 1.0)
    steps = np.arange(n + 1) / n
    mass_up = np.diff(np.maximum(steps - half, 0.0))
    mass_down = np.diff(np.minimum(steps + half, 1.0))
    upper = (ordered * mass_up).sum(-1) + half * hi
    lower = (ordered * mass_down).sum(-1) + half * lo
    # n weights that err by 2 U each, n products and a sum, all of magnitude <= size.
    slack = 4 * (n + 16) * _U * max(abs(lo), abs(hi))
    return _within(lower - slack, upper + slack, lo, hi)


# --- PAC-Bayes ------------------------------------------------------------------------------------


def xi(n: Number) -> float:
    """Maurer's constant sum_k C(n,k) (k/n)^k (1-k/n)^(n-k), rounded up.

    It is the largest E exp(n kl(mean || q)) over n independent coins. Computed as
    sum_j n! / ((n-j)! n^j), j = 0..n, a sum of positive terms of which some 9 sqrt(n) matter; the
    rest is bounded by a geometric series. Derived here: with the tree function T = z exp(T),
    sum_k k^k z^k / k! = 1/(1-T), so the constant is n!/n^n [z^n] (1-T)^-2, and Lagrange inversion,
    [z^n] H(T) = [w^n] H(w) (1-w) exp(n w), gives [w^n] exp(n w)/(1-w) = sum_{i<=n} n^i/i!. Above
    10**10 the bound 2 sqrt(n) is returned.

    Args:
        n: number of values, >= 1.

    Returns:
        A float64 that is >= the constant, and above it by less than 1e-8 relative up to 10**10.

    Raises:
        UsageError: n is not a whole number >= 1.

    Source: A. Maurer, A note on the PAC Bayesian theorem (2004, arXiv:cs/0411099), which also gives
    xi(n) <= 2 sqrt(n) (here only used above 10**10; follows there from the sum, which is
    sqrt(pi n/2) + 2/3 + o(1)).
    """
    n = _count(n)
    if n > _XI_SUMMED_UP_TO:
        return 2.0 * math.sqrt(n) * (1 + 4 * _U)
    terms = min(n, math.ceil(9 * math.sqrt(n)) + 9)
    falling = np.cumprod(1.0 - np.arange(terms) / n)
    total = 1.0 + float(falling.sum())
    if terms < n:
        total += float(falling[-1]) * n / terms
    # A product of j factors errs by 3 j U, the sum by one U a term.
    return total * (1 + 8 * (terms + 8) * _U)


def pac_bayes_kl(empirical: Numbers, kl: Numbers, n: Number, delta: Number) -> Real:
    """Upper end of the PAC-Bayes-kl bound for the mean risk of a randomised predictor.

    kl^-1(empirical | (kl + log(xi(n)/delta)) / n), rounded up: with probability >= 1-delta over the
    n rows, simultaneously for all posteriors Q, the risk averaged over Q is at most this.

    Hypotheses: n independent rows, losses in [0, 1], the prior chosen without these rows.

    Args:
        empirical: mean loss on the n rows averaged over Q, in [0, 1]. Pass an upper end if it is
            itself estimated by sampling from Q, and add that delta.
        kl: relative entropy of Q from the prior, >= 0, in nats; broadcast against `empirical`.
        n: number of rows, >= 1.
        delta: probability of a miss, in (0, 1).

    Returns:
        The upper end, a float or an array of the broadcast shape.

    Raises:
        UsageError: an argument outside its range.

    Source: Maurer (2004) as in `xi`: for [0, 1] losses E exp(n kl(empirical || risk)) <= xi(n), by
    convexity in each loss; then the change of measure (Donsker-Varadhan), Markov, and Jensen.
    """
    empirical = _inside(_numbers(empirical, "empirical", "empirical=0.1"), "empirical", 0.0, 1.0)
    kl = _inside(_numbers(kl, "kl", "kl=5.0"), "kl", 0.0, math.inf)
    delta, n = _level(delta), _count(n)
    empirical, kl = _broadcast(empirical, kl, ("empirical", "kl"))
    log_term = math.log(xi(n)) * (1 + 4 * _U) + _log_inverse(delta, 1)
    return kl_inverse_upper(empirical, (kl + log_term) / n * (1 + 8 * _U))
