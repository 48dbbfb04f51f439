"""ReLU networks with exact weights, and their calculus: compose, add, stack, count, evaluate.

The weights are floats, which are dyadic rationals; so a network is an exact object, and every
operation here is an identity of real functions (theory row A19; Petersen-Zech, Lemmas 5.1-5.2).
Where an operation would have to round a weight (a product of two weights, a sum of two biases) it
keeps the identity by carrier units, since `y = relu(y) - relu(-y)`, in place of rounding.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from flint import fmpq

from infsup.core.answers import Accepted
from infsup.core.errors import UsageError
from infsup.core.precision import guard
from infsup.core.registry import function_name, register
from infsup.networks.recipes import Flat, Standardised
from infsup.networks.scalar import OfNumber
from infsup.numerics import piecewise_linear

CHUNK = 1 << 22
"""Numbers that `values` holds at a time."""


@dataclass(frozen=True)
class Counts:
    """The size of a network, in the conventions of the field.

    Args:
        units: ReLU units.
        n_nonzero: nonzero weights and biases, those of the output included (Petersen-Zech).
        n_weights_yarotsky: edges and computation units, the outputs among them (Yarotsky 2017:
            one weight for each connection and one for each unit's threshold, zero or not).
        n_hidden: hidden layers (levels).
        width: units of the widest hidden layer; 0 without one.
    """

    units: int
    n_nonzero: int
    n_weights_yarotsky: int
    n_hidden: int
    width: int


@register
class ReLUNetwork(eqx.Module):
    """The map x -> W h + b, h being the inputs and all units; a unit is relu(affine in earlier).

    Args:
        n_inputs: how many inputs.
        levels: for each hidden level (W, b); W [width, n_inputs + units of all earlier levels]
            (skip connections allowed), b [width]. Columns stand in the order in which the nodes
            were made: inputs first.
        out: (W, b) of the output; W [n_out, n_inputs + all units], b [n_out].
        scalar: whether the result has shape (); by default where there is one output.
        notes: where this network is known to differ from what it was made from, in words.

    Raises:
        UsageError: shapes that do not fit, or weights that are not finite.
    """

    n_inputs: int = eqx.field(static=True)
    levels: tuple[tuple[Any, Any], ...]
    out: tuple[Any, Any]
    scalar: bool = eqx.field(static=True)
    notes: tuple[str, ...] = eqx.field(static=True)

    def __init__(
        self,
        n_inputs: int,
        levels: Sequence[tuple[Any, Any]],
        out: tuple[Any, Any],
        scalar: bool | None = None,
        notes: Sequence[str] = (),
    ):
        if n_inputs < 1:
            raise UsageError(f"`n_inputs` of ReLUNetwork is {n_inputs}", "It is 1 or more.")
        self.n_inputs = int(n_inputs)
        self.levels = tuple(_pair(w, b, f"level {i + 1}") for i, (w, b) in enumerate(levels))
        self.out = _pair(*out, "the output")
        self.scalar = self.out[0].shape[0] == 1 if scalar is None else bool(scalar)
        self.notes = tuple(map(str, notes))
        nodes = self.n_inputs
        for i, (w, b) in enumerate(self.levels):
            if w.shape[1] != nodes:
                raise UsageError(
                    f"`levels[{i}]` of ReLUNetwork has {w.shape[1]} columns",
                    f"Before it there are {nodes} nodes: {self.n_inputs} inputs, then the units.",
                )
            nodes += len(b)
        if self.out[0].shape[1] != nodes:
            raise UsageError(
                f"`out` of ReLUNetwork has {self.out[0].shape[1]} columns",
                f"There are {nodes} nodes: {self.n_inputs} inputs, then the units.",
            )
        if self.scalar and self.n_out != 1:
            raise UsageError(f"`scalar` is asked of a network with {self.n_out} outputs")

    # -- what it is -------------------------------------------------------------------------------

    @property
    def n_out(self) -> int:
        """How many outputs."""
        return self.out[0].shape[0]

    @property
    def widths(self) -> tuple[int, ...]:
        """Units of each level."""
        return tuple(w.shape[0] for w, _ in self.levels)

    @property
    def counts(self) -> Counts:
        """Sizes under both conventions."""
        pairs = (*self.levels, self.out)
        edges = sum(int(np.count_nonzero(w)) for w, _ in pairs)
        biases = sum(int(np.count_nonzero(b)) for _, b in pairs)
        units = sum(self.widths)
        return Counts(
            units,
            edges + biases,
            edges + units + self.n_out,
            len(self.levels),
            max(self.widths, default=0),
        )

    @property
    def is_strict(self) -> bool:
        """Whether every layer reads the one before it and nothing else."""
        starts = np.cumsum([0, self.n_inputs, *self.widths])
        return not any(
            np.any(w[:, : starts[i]]) for i, (w, _) in enumerate((*self.levels, self.out))
        )

    def pieces(self, a: float, b: float) -> int:
        """The exact number of affine pieces on [a, b] of a network R -> R.

        Breakpoints of units at which the slope of the output does not change do not count.

        Raises:
            UsageError: more than one input or output, or more exact work than the budget allows.
        """
        self._one_variable("pieces")
        return piecewise_linear.count_pieces(self.levels, self.out, a, b)

    def _one_variable(self, what: str) -> None:
        if self.n_inputs != 1 or self.n_out != 1:
            raise UsageError(
                f"`{what}` of a network with {self.n_inputs} inputs and {self.n_out} outputs",
                "It is for functions of one variable.",
            )

    # -- evaluation -------------------------------------------------------------------------------

    def __call__(self, x: Any) -> Any:
        """The value at one input [n_inputs] (or a scalar), in JAX, in the dtype of the weights.

        Raises:
            PrecisionError: the weights are float64 and the 64-bit flag is off.
        """
        guard(self, "the network")
        h = jnp.reshape(jnp.asarray(x, self.out[0].dtype), (self.n_inputs,))
        for w, b in self.levels:
            new = jnp.matmul(w, h, precision=jax.lax.Precision.HIGHEST) + b
            h = jnp.concatenate([h, jax.nn.relu(new)])
        y = jnp.matmul(self.out[0], h, precision=jax.lax.Precision.HIGHEST) + self.out[1]
        return y[0] if self.scalar else y

    def values(self, x: np.ndarray) -> np.ndarray:
        """Values at many inputs, in NumPy float64 (rounded; for search and pictures).

        Args:
            x: array [n, n_inputs]; [n] where there is one input.

        Returns:
            Array [n, n_out]; [n] where the network is scalar.
        """
        rows = np.asarray(x, np.float64).reshape(-1, self.n_inputs)
        nodes = self.out[0].shape[1]
        step = max(1, CHUNK // max(nodes, 1))
        parts = []
        levels = [(_thin(np.asarray(w, np.float64)), np.asarray(b)) for w, b in self.levels]
        for at in range(0, len(rows), step):
            h = np.empty((nodes, min(step, len(rows) - at)))
            h[: self.n_inputs] = rows[at : at + step].T
            done = self.n_inputs
            for w, b in levels:
                np.maximum(w @ h[:done] + b[:, None], 0.0, out=h[done : done + len(b)])
                done += len(b)
            parts.append((np.asarray(self.out[0], np.float64) @ h).T + self.out[1])
        y = np.concatenate(parts) if parts else np.zeros((0, self.n_out))
        return y[:, 0] if self.scalar else y

    def exact(self, x: Any) -> list[Fraction]:
        """Values at one input in rational arithmetic: exact.

        Args:
            x: `n_inputs` rationals (or one, for one input).
        """
        given = [x] if isinstance(x, (Fraction, float, int)) else list(x)
        if len(given) != self.n_inputs:
            raise UsageError(f"`x` has {len(given)} entries, the network {self.n_inputs} inputs")
        h = [fmpq(*Fraction(v).as_integer_ratio()) for v in given]
        for w, b in self.levels:
            h += [max(v, fmpq(0)) for v in _rows(w, b, h)]
        return [Fraction(int(y.p), int(y.q)) for y in _rows(*self.out, h)]

    def astype(self, dtype: Any) -> "ReLUNetwork":
        """The network with its weights rounded to another dtype (a certificate is made anew)."""
        dtype = np.dtype(dtype)
        levels = [
            (np.asarray(w).astype(dtype), np.asarray(b).astype(dtype)) for w, b in self.levels
        ]
        out = np.asarray(self.out[0]).astype(dtype), np.asarray(self.out[1]).astype(dtype)
        return ReLUNetwork(self.n_inputs, levels, out, self.scalar, self.notes)

    # -- calculus ---------------------------------------------------------------------------------

    def compose(self, inner: "ReLUNetwork") -> "ReLUNetwork":
        """The map x -> self(inner(x)), as one network, exactly.

        The last affine map of `inner` is merged into the first of `self` where float64 holds the
        products exactly; else 2 units for each output of `inner` carry its value (the sparse
        concatenation of Petersen-Zech).
        """
        if not isinstance(inner, ReLUNetwork):
            raise UsageError(f"`f @ g`: g is {type(inner).__name__}, not a ReLUNetwork")
        if inner.n_out != self.n_inputs:
            raise UsageError(
                f"`f @ g`: g has {inner.n_out} outputs and f has {self.n_inputs} inputs"
            )
        notes = (*inner.notes, *self.notes)
        merged = self._merged(inner)
        if merged is None:
            w, b = _wide(inner.out)
            carrier = np.concatenate([w, -w]), np.concatenate([b, -b])
            n = inner.n_out
            levels = (*map(_wide, inner.levels), carrier)
            before = w.shape[1]
            rest = []
            for v, c in map(_wide, (*self.levels, self.out)):
                zeros = np.zeros((len(c), before))
                ours = v[:, :n]
                rest.append((np.concatenate([zeros, ours, -ours, v[:, n:]], 1), c))
            merged = (*levels, *rest)
        return ReLUNetwork(inner.n_inputs, merged[:-1], merged[-1], self.scalar, notes)

    def _merged(self, inner: "ReLUNetwork") -> tuple[Any, ...] | None:
        """The levels and output of the composition without carriers, or None where it rounds."""
        g, c = _wide(inner.out)
        new = []
        for w, b in map(_wide, (*self.levels, self.out)):
            ours = w[:, : self.n_inputs]
            weights = exact_product(ours, g)
            bias = exact_product(ours, c[:, None], b[:, None])
            if weights is None or bias is None:
                return None
            new.append((np.concatenate([weights, w[:, self.n_inputs :]], 1), bias[:, 0]))
        return (*map(_wide, inner.levels), *new)

    def __matmul__(self, inner: "ReLUNetwork") -> "ReLUNetwork":
        return self.compose(inner)

    def __add__(self, other: "ReLUNetwork") -> "ReLUNetwork":
        """The map x -> self(x) + other(x)."""
        if not isinstance(other, ReLUNetwork):
            return NotImplemented
        if other.n_inputs != self.n_inputs or other.n_out != self.n_out:
            raise UsageError(
                f"`f + g`: f is R^{self.n_inputs} -> R^{self.n_out}, "
                f"g is R^{other.n_inputs} -> R^{other.n_out}"
            )
        levels, ours, theirs, nodes = _side_by_side(self, other, shared=True)
        w = np.zeros((self.n_out, nodes))
        w[:, ours] = self.out[0]
        # both may read an input: the weights add, and that sum may round
        mine, yours = _wide(self.out), _wide(other.out)
        both = exact_product(
            np.eye(self.n_out), yours[0][:, : self.n_inputs], w[:, : self.n_inputs]
        )
        if both is None:
            return _carried(self, np.ones(self.n_out)) + other
        w[:, : self.n_inputs] = both
        w[:, theirs[self.n_inputs :]] = yours[0][:, self.n_inputs :]
        bias = mine[1] + yours[1]
        rest = _sum_error(mine[1], yours[1])
        if np.any(rest):
            levels, w = _constants(levels, w, rest)
        notes = (*self.notes, *other.notes)
        return ReLUNetwork(self.n_inputs, levels, (w, bias), self.scalar and other.scalar, notes)

    def __mul__(self, c: float) -> "ReLUNetwork":
        """The map x -> c self(x)."""
        if not isinstance(c, (int, float, np.floating, np.integer)):
            return NotImplemented
        c = float(c)
        if not np.isfinite(c):
            raise UsageError(f"`c * f`: c is {c}")
        w, b = _wide(self.out)
        scaled = exact_product(np.full((1, 1), c), np.append(w.ravel(), b)[None])
        if scaled is None:
            return _carried(self, np.full(self.n_out, c))
        new = scaled[0, : w.size].reshape(w.shape), scaled[0, w.size :]
        return ReLUNetwork(self.n_inputs, self.levels, new, self.scalar, self.notes)

    __rmul__ = __mul__

    def __neg__(self) -> "ReLUNetwork":
        return self * -1.0

    def __sub__(self, other: "ReLUNetwork") -> "ReLUNetwork":
        return self + (-other) if isinstance(other, ReLUNetwork) else NotImplemented

    def strict(self) -> "ReLUNetwork":
        """The same function layer to layer; what skip connections did is done by carrier units.

        A unit is carried by one unit a layer, an input by two (`x = relu(x) - relu(-x)`). What
        only the output reads is carried one by one or, where that needs fewer units, summed on
        the way in two units for each output. All weights stay exact.
        """
        return _Strict(self).network()


def identity(d: int, n_hidden: int = 0) -> ReLUNetwork:
    """The map x -> x on R^d with a number of hidden layers (Petersen-Zech, Lemma 5.1).

    With L = n_hidden >= 1: width 2d and 2d(L + 1) nonzero weights.
    """
    eye = np.eye(d)
    if n_hidden == 0:
        return ReLUNetwork(d, (), (eye, np.zeros(d)), False)
    levels, nodes = [], d
    for i in range(n_hidden):
        w = np.zeros((2 * d, nodes))
        w[:, -(2 * d if i else d) :] = np.eye(2 * d) if i else np.concatenate([eye, -eye])
        levels.append((w, np.zeros(2 * d)))
        nodes += 2 * d
    last = np.zeros((d, nodes))
    last[:, -2 * d :] = np.concatenate([eye, -eye], 1)
    return ReLUNetwork(d, levels, (last, np.zeros(d)), False)


def stack(*networks: ReLUNetwork) -> ReLUNetwork:
    """The map x -> (f(x), g(x), ...), for networks with the same inputs."""
    return _beside(networks, shared=True)


def parallel(*networks: ReLUNetwork) -> ReLUNetwork:
    """The map (x, y, ...) -> (f(x), g(y), ...)."""
    return _beside(networks, shared=False)


def from_equinox(model: Any) -> ReLUNetwork:
    """The same function as a `ReLUNetwork`, exactly; float32 and bfloat16 weights are dyadic too.

    Args:
        model: `eqx.nn.MLP`, or `eqx.nn.Sequential` of `Linear` and `Lambda`, with relu, leaky_relu,
            relu6, hard_tanh or abs as activation (identity too at the end); such a network inside
            `Standardised`, `Flat` or `OfNumber`; a `ReLUNetwork` itself.

    Raises:
        UsageError: another activation or layer, by name.
    """
    if isinstance(model, Accepted):
        return from_equinox(model.answer)
    if isinstance(model, ReLUNetwork):
        return model
    if isinstance(model, (Flat, OfNumber)):
        return from_equinox(model.inner)
    if isinstance(model, Standardised):
        # products with the scale would round, so the scaled inputs are carried
        shift, scale = np.asarray(model.shift), np.asarray(model.scale)
        return from_equinox(model.inner) @ standardising(shift, scale)
    network = _Layers()
    network.read(model)
    return network.done()


def standardising(shift: np.ndarray, scale: np.ndarray) -> ReLUNetwork:
    """The map x -> (x - shift) * scale, in two hidden layers whose weights are those numbers.

    Where a float32 network is executed this way, its rounding is that of the two operations.
    """
    shift, scale = (np.asarray(v, np.float64).reshape(-1) for v in (shift, scale))
    d = len(shift)
    eye = np.eye(d)
    first = np.concatenate([eye, -eye]), np.concatenate([-shift, shift])
    size = np.abs(np.concatenate([scale, scale]))
    second = np.concatenate([np.zeros((2 * d, d)), np.diag(size)], 1), np.zeros(2 * d)
    sign = np.diag(np.sign(scale))
    out = np.concatenate([np.zeros((d, 3 * d)), sign, -sign], 1), np.zeros(d)
    return ReLUNetwork(d, (first, second), out, False)


# -- exact arithmetic on weights --------------------------------------------------------------


def exact_product(a: np.ndarray, b: np.ndarray, c: np.ndarray | float = 0.0) -> np.ndarray | None:
    """The product a @ b + c where every operation is exact in float64, else None.

    Args:
        a: array [m, k].
        b: array [k, n].
        c: array [m, n], or 0.
    """
    total = np.broadcast_to(np.asarray(c, np.float64), (a.shape[0], b.shape[1])).copy()
    with np.errstate(all="ignore"):
        for k in range(a.shape[1]):
            x, y = a[:, k, None], b[None, k, :]
            p = x * y
            if not np.any(p):
                if np.any((x != 0) & (y != 0)):
                    return None  # a product that underflows to zero
                continue
            size = np.abs(p[p != 0])
            # inside this range Dekker's error term is itself exact
            if not (size.min() > 2.0**-900 and size.max() < 2.0**900):
                return None
            if np.any(_product_error(x, y, p)) or np.any(_sum_error(total, p)):
                return None
            total = total + p
    return total


def _sum_error(a: Any, b: Any) -> np.ndarray:
    """The error a + b - fl(a + b), exactly (Knuth)."""
    s = a + b
    t = s - a
    return (a - (s - t)) + (b - t)


def _product_error(a: Any, b: Any, p: Any) -> np.ndarray:
    """The error a * b - p of p = fl(a * b), exactly where nothing over- or underflows (Dekker)."""
    ah, al = _halves(a)
    bh, bl = _halves(b)
    return ((ah * bh - p) + ah * bl + al * bh) + al * bl


def _halves(a: Any) -> tuple[Any, Any]:
    m, e = np.frexp(a)  # the exponent is put back, so that no factor overflows
    t = m * 134217729.0
    high = t - (t - m)
    return np.ldexp(high, e), np.ldexp(m - high, e)


def _pair(w: Any, b: Any, where: str) -> tuple[np.ndarray, np.ndarray]:
    w, b = np.asarray(w), np.asarray(b)
    if w.dtype.kind in "iub":
        w = w.astype(np.float64)
    b = b.astype(w.dtype)
    if w.ndim != 2 or b.shape != w.shape[:1]:
        raise UsageError(
            f"{where} of ReLUNetwork: W {list(w.shape)}, b {list(b.shape)}",
            remedy="W [width, nodes before], b [width]",
        )
    if not (np.isfinite(w).all() and np.isfinite(b).all()):
        raise UsageError(f"{where} of ReLUNetwork holds NaN or inf")
    return w, b


def _wide(pair: tuple[Any, Any]) -> tuple[np.ndarray, np.ndarray]:
    return np.asarray(pair[0], np.float64), np.asarray(pair[1], np.float64)


def _thin(w: np.ndarray) -> Any:
    """A large matrix with few entries in sparse form."""
    if w.size < 10_000 or np.count_nonzero(w) > w.size / 20:
        return w
    from scipy.sparse import csr_array

    return csr_array(w)


def _rows(w: Any, b: Any, h: list[Any]) -> list[Any]:
    """Of fmpq, which adds far faster than Fraction."""
    found = []
    for row, bias in zip(np.asarray(w, np.float64), np.asarray(b, np.float64), strict=True):
        total = fmpq(*float(bias).as_integer_ratio())
        for i in np.flatnonzero(row).tolist():
            if h[i]:
                total += fmpq(*float(row[i]).as_integer_ratio()) * h[i]
        found.append(total)
    return found


# -- putting networks together ----------------------------------------------------------------


def _side_by_side(
    f: ReLUNetwork, g: ReLUNetwork, shared: bool
) -> tuple[list[Any], np.ndarray, np.ndarray, int]:
    """Levels of both, the columns of the nodes of each, and how many nodes there are."""
    ours = np.arange(f.n_inputs)
    theirs = np.arange(g.n_inputs) + (0 if shared else f.n_inputs)
    nodes = f.n_inputs if shared else f.n_inputs + g.n_inputs
    levels = []
    for i in range(max(len(f.levels), len(g.levels))):
        rows, biases, new = [], [], []
        for network, columns in ((f, ours), (g, theirs)):
            made = np.zeros(0, int)
            if i < len(network.levels):
                w, b = _wide(network.levels[i])
                row = np.zeros((len(b), nodes))
                row[:, columns] = w
                rows.append(row)
                biases.append(b)
                made = nodes + sum(map(len, new)) + np.arange(len(b))
            new.append(made)
        levels.append((np.concatenate(rows), np.concatenate(biases)))
        ours, theirs = np.append(ours, new[0]), np.append(theirs, new[1])
        nodes += len(new[0]) + len(new[1])
    return levels, ours, theirs, nodes


def _beside(networks: Sequence[ReLUNetwork], shared: bool) -> ReLUNetwork:
    if not networks:
        raise UsageError("no network is given")
    f = networks[0]
    for g in networks[1:]:
        if shared and g.n_inputs != f.n_inputs:
            raise UsageError(
                f"`stack`: networks with {f.n_inputs} and {g.n_inputs} inputs",
                remedy="parallel(f, g)",
            )
        levels, ours, theirs, nodes = _side_by_side(f, g, shared)
        w = np.zeros((f.n_out + g.n_out, nodes))
        w[: f.n_out, ours] = f.out[0]
        w[f.n_out :, theirs] = g.out[0]
        b = np.concatenate([_wide(f.out)[1], _wide(g.out)[1]])
        total = f.n_inputs if shared else f.n_inputs + g.n_inputs
        f = ReLUNetwork(total, levels, (w, b), False, (*f.notes, *g.notes))
    return f


def _carried(f: ReLUNetwork, c: np.ndarray) -> ReLUNetwork:
    """The map c f, through two more units for each output, so that the weights are c itself."""
    w, b = _wide(f.out)
    level = np.concatenate([w, -w]), np.concatenate([b, -b])
    signs = np.concatenate([np.diag(c), -np.diag(c)], 1)
    out = np.concatenate([np.zeros((f.n_out, w.shape[1])), signs], 1), np.zeros(f.n_out)
    return ReLUNetwork(f.n_inputs, (*f.levels, level), out, f.scalar, f.notes)


def _constants(
    levels: list[Any], w: np.ndarray, values: np.ndarray
) -> tuple[list[Any], np.ndarray]:
    """Levels and output weights with one constant unit for each value that is not zero."""
    rows = np.flatnonzero(values)
    nodes = w.shape[1]
    level = np.zeros((len(rows), nodes)), np.abs(values[rows])
    more = np.zeros((len(w), len(rows)))
    more[rows, np.arange(len(rows))] = np.sign(values[rows])
    return [*levels, level], np.concatenate([w, more], 1)


class _Strict:
    """The conversion to layers: which nodes are present in which layer, and as what."""

    def __init__(self, network: ReLUNetwork):
        self.f = network
        depth = len(network.levels)
        self.level = np.repeat(np.arange(depth + 1), (network.n_inputs, *network.widths))
        self.needed = np.zeros(len(self.level), int)
        for i, (w, _) in enumerate(network.levels):
            used = np.flatnonzero(np.any(np.asarray(w) != 0, axis=0))
            self.needed[used] = i + 1
        out = np.flatnonzero(np.any(np.asarray(network.out[0]) != 0, axis=0))
        carry = np.maximum(self.needed[out] - 1, self.level[out])
        cost = int(((depth - carry) * np.where(self.level[out] == 0, 2, 1)).sum())
        first = int(self.level[out].min()) if len(out) else depth
        self.sums = cost > 2 * network.n_out * (depth - first)
        if not self.sums:
            self.needed[out] = depth + 1

    def network(self) -> ReLUNetwork:
        f, depth = self.f, len(self.f.levels)
        if f.is_strict:
            return f
        w_out, b_out = _wide(f.out)
        # node -> its value as columns of the present layer with coefficients
        present: dict[int, list[tuple[int, float]]] = {i: [(i, 1.0)] for i in range(f.n_inputs)}
        sums: list[list[tuple[int, float]]] = [[] for _ in range(f.n_out)]
        size, levels = f.n_inputs, []

        def read(coefficients: np.ndarray, base: list[tuple[int, float]]) -> np.ndarray:
            row = np.zeros(size)
            for column, c in base:
                row[column] += c
            for i in np.flatnonzero(coefficients):
                for column, c in present[int(i)]:
                    row[column] += c * coefficients[i]
            return row

        for at in range(1, depth + 1):
            w, b = _wide(f.levels[at - 1])
            rows = [read(v, []) for v in w]
            biases = [*b]
            new = {int(i): [(k, 1.0)] for k, i in enumerate(np.flatnonzero(self.level == at))}
            for i, parts in present.items():
                if self.needed[i] > at:
                    both = [parts[0], (parts[0][0], -1.0)] if len(parts) == 1 and at == 1 else parts
                    new[i] = []
                    for column, sign in both:
                        row = np.zeros(size)
                        row[column] = sign if at == 1 else 1.0
                        new[i].append((len(rows), sign))
                        rows.append(row)
                        biases.append(0.0)
            if self.sums:
                here = self.level == at - 1
                for k in range(f.n_out):
                    if sums[k] or np.any(w_out[k, here]):
                        row = read(np.where(here, w_out[k], 0.0), sums[k])
                        sums[k] = [(len(rows), 1.0), (len(rows) + 1, -1.0)]
                        rows += [row, -row]
                        biases += [0.0, 0.0]
            levels.append((np.array(rows).reshape(len(rows), size), np.array(biases)))
            present, size = new, len(rows)
        last = self.level == depth if self.sums else np.ones(len(self.level), bool)
        rows = [read(np.where(last, w_out[k], 0.0), sums[k]) for k in range(f.n_out)]
        levels.append((np.array(rows), b_out))
        nodes, full = 0, []
        for i, (w, b) in enumerate(levels):
            full.append((np.concatenate([np.zeros((len(b), nodes)), w], 1), b))
            nodes += f.n_inputs if i == 0 else len(levels[i - 1][1])
        return ReLUNetwork(f.n_inputs, full[:-1], full[-1], f.scalar, f.notes)


ACTIVATIONS = {
    "jax.nn.relu": ((1, 1.0, 1.0, 0.0),),
    "jax.nn.leaky_relu": ((1, 1.0, 1.0, 0.0), (-1, -1.0, 0.01, 0.0)),
    "jax.nn.relu6": ((1, 1.0, 1.0, 6.0),),
    "jax.nn.hard_tanh": ((1, 1.0, 1.0, 1.0), (-1, -1.0, 1.0, 1.0)),
    "jax.numpy.abs": ((1, 1.0, 1.0, 0.0), (-1, 1.0, 1.0, 0.0)),
}
"""Activation -> its halves: of z or -z, the sign of what they add, slope, cap (0: none).

Each half is relu, its product with the slope in a level of its own, and what is beyond the cap in
another: the operations of the activation as it is executed, and no weight that would round.
"""


class _Layers:
    """A plain stack of layers, read off an Equinox module."""

    def __init__(self):
        self.levels: list[Any] = []
        self.last: Any = None
        self.size = self.nodes = self.ins = 0
        # the blocks of nodes whose signed sum is the value so far
        self.value: list[tuple[int, float]] = [(0, 1.0)]
        self.scalar = False

    def read(self, model: Any) -> None:
        nn = eqx.nn
        if isinstance(model, nn.MLP):
            for layer in model.layers[:-1]:
                self.linear(layer)
                self.activation(model.activation)
            self.linear(model.layers[-1])
            self.activation(model.final_activation)
        elif isinstance(model, nn.Sequential):
            for layer in model.layers:
                self.read(layer)
        elif isinstance(model, nn.Linear):
            self.linear(model)
        elif isinstance(model, nn.Lambda):
            self.activation(model.fn)
        elif not (isinstance(model, nn.Identity) or _is_off(model)):
            raise UsageError(
                f"`{type(model).__name__}` is no layer of a ReLU network",
                "Read are eqx.nn.MLP, Sequential, Linear and Lambda(jax.nn.relu).",
            )

    def linear(self, layer: Any) -> None:
        w = np.asarray(layer.weight)
        b = np.zeros(len(w), w.dtype) if layer.bias is None else np.asarray(layer.bias).reshape(-1)
        self.scalar = layer.out_features == "scalar"
        if not self.ins:
            self.begin(w.shape[1])
        if self.last is not None:
            # two affine maps in a row: their values are carried, since products would round
            v, c = self.last
            signs = ((1, 1.0), (-1, -1.0))
            self.value = [(self.put(k * v, k * c, self.value), sign) for k, sign in signs]
            self.size = len(c)
        self.last = w, b

    def begin(self, n: int) -> None:
        self.ins = self.nodes = self.size = n

    def activation(self, f: Any) -> None:
        if _is_identity(f):
            return
        halves = ACTIVATIONS.get(function_name(f) or "")
        if halves is None:
            name = getattr(f, "__name__", type(f).__name__)
            raise UsageError(
                f"the activation `{name}` is not relu",
                "A ReLU network is piecewise linear; this one is not known to be.",
                "activation=jax.nn.relu",
            )
        if not self.ins:
            raise UsageError("a network begins with an activation, before any Linear layer")
        w, b = (np.eye(self.size), np.zeros(self.size)) if self.last is None else self.last
        n, of, self.value, self.last = len(b), self.value, [], None
        for side, sign, slope, cap in halves:
            first = self.put(side * w, side * b, of)
            if slope != 1.0:
                first = self.put(slope * np.eye(n), np.zeros(n), [(first, 1.0)])
            self.value.append((first, sign))
            if cap:
                over = self.put(np.eye(n), np.full(n, -cap), [(first, 1.0)])
                self.value.append((over, -sign))
        self.size = n

    def put(self, w: np.ndarray, b: np.ndarray, of: list[tuple[int, float]]) -> int:
        """Makes a level; says at which node it begins."""
        start = self.nodes
        self.levels.append(self.full(w, b, of))
        self.nodes += len(b)
        return start

    def full(self, w: Any, b: Any, of: list[tuple[int, float]]) -> tuple[np.ndarray, np.ndarray]:
        w, b = _wide((w, b))
        whole = np.zeros((len(b), self.nodes))
        for start, sign in of:
            whole[:, start : start + w.shape[1]] = sign * w
        return whole, b

    def done(self) -> ReLUNetwork:
        if not self.ins:
            raise UsageError("the network has no Linear layer")
        if self.last is None:
            self.last = np.eye(self.size), np.zeros(self.size)
        w, b = self.last
        return ReLUNetwork(self.ins, self.levels, self.full(w, b, self.value), self.scalar)


def _is_off(model: Any) -> bool:
    """Whether it is a Dropout that does nothing."""
    return isinstance(model, eqx.nn.Dropout) and model.inference is True


def _is_identity(f: Any) -> bool:
    # Equinox's own default is a lambda
    return f is jax.nn.identity or function_name(f) == "equinox.nn.identity"
