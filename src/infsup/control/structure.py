"""What is known of a control problem on its whole domain, read off its programs."""

import math
import weakref
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from infsup.control.matched import Normal
from infsup.control.radial import Radial
from infsup.core.certificate import Hypothesis
from infsup.core.errors import HypothesisError
from infsup.numerics.polynomial_degree import degree_in


@dataclass(frozen=True)
class Fact:
    """One structural statement.

    Args:
        text: the statement.
        holds: whether it was shown, on the whole domain.
        witness: what contradicts it, or why it could not be shown.
        assumed: it rests on constants that a user declared.
    """

    text: str
    holds: bool
    witness: str = ""
    assumed: bool = False

    def hypothesis(self) -> Hypothesis:
        """As a hypothesis of a certificate."""
        state = "violated" if not self.holds else "assumed" if self.assumed else "checked"
        return Hypothesis(self.text, state, self.witness)


@dataclass(frozen=True)
class Coefficients:
    """f = A(t) x + B(t) u + e(t) and l = z'W(t)z, z = (x, u, 1), g = (x,1)'G(x,1); NumPy float64.

    Args:
        A, B, e: [d, d], [d, m], [d] at t = 0.
        W: [d + m + 1, d + m + 1], symmetric, at t = 0.
        G: [d + 1, d + 1], symmetric; None where g is not quadratic.
        noise: sigma sigma' at t = 0, [d, d].
    """

    A: np.ndarray
    B: np.ndarray
    e: np.ndarray
    W: np.ndarray
    G: np.ndarray | None
    noise: np.ndarray


@dataclass(frozen=True)
class Structure:
    """The facts of a problem, and its coefficients where the facts give them a meaning.

    Args:
        facts: name -> fact; the names are those of `LQ`, `RADIAL`, `CONSTANT`.
        functions: drift, running cost, terminal cost and diffusion, for compiled code: their
            numbers are arrays, so another value compiles nothing.
        at_zero: coefficients at t = 0, None unless drift is affine and running cost quadratic.
        normal: the normal form, None unless matched and radial.
        lam: lambda with B Q^-1 B' = 2 lam s^2 I, None unless matched.
        spread: s with sigma sigma' = s^2 I, None unless the noise is isotropic.
    """

    facts: dict[str, Fact]
    functions: tuple
    at_zero: Coefficients | None
    normal: Normal | None
    lam: float | None
    spread: float | None

    def holds(self, *names: str) -> bool:
        """Whether all these facts hold."""
        return all(self.facts[n].holds for n in names)

    def hypotheses(self, *names: str) -> tuple[Hypothesis, ...]:
        """Facts as hypotheses; without names those that hold."""
        if not names:
            return tuple(f.hypothesis() for f in self.facts.values() if f.holds)
        return tuple(self.facts[n].hypothesis() for n in names)

    def require(self, who: str, names: tuple[str, ...], remedy: str) -> None:
        """Raises where a fact fails.

        Raises:
            HypothesisError: the first that fails, with its witness.
        """
        for n in names:
            if not self.facts[n].holds:
                raise HypothesisError(
                    self.facts[n].witness,
                    f"{who} needs: {'; '.join(self.facts[k].text for k in names)}.",
                    remedy,
                )


LQ = ("affine drift", "quadratic running", "quadratic terminal", "additive noise", "convex control")
MATCHED = ("control drift", "control cost", "isotropic noise", "matched noise")
RADIAL = (*MATCHED, "radial terminal")
CONSTANT = ("constant in time",)


_recent: list[tuple[weakref.ref, Structure]] = []
"""Problems are frozen, so the structure of the last few objects is kept: a solve asks often."""


def structure_of(problem: Any) -> Structure:
    """Detects structure; each fact holds for all t, x, u, or is not claimed."""
    for known, s in _recent:
        if known() is problem:
            return s
    s = _detect(problem)
    _recent[:] = [(weakref.ref(problem), s), *_recent[:3]]
    return s


def _detect(problem: Any) -> Structure:
    t, x, u = problem.sample_shapes()
    drift, running, terminal = problem.drift, problem.running, problem.terminal
    facts = {
        "affine drift": _polynomial(
            "drift", drift, (t, x, u), (1, 2), 1, "the drift is affine in (x, u)", "affine"
        ),
        "quadratic running": _polynomial(
            "running",
            running,
            (t, x, u),
            (1, 2),
            2,
            "the running cost is quadratic in (x, u)",
            "quadratic",
        ),
        "quadratic terminal": _polynomial(
            "terminal", terminal, (x,), (0,), 2, "the terminal cost is quadratic", "quadratic"
        ),
    }
    sigma = _diffusion(problem)
    noise_degree = degree_in(sigma, t, x, u, wrt=(1, 2))
    facts["additive noise"] = Fact(
        "the noise does not depend on x and u",
        noise_degree.value == 0,
        "" if noise_degree.value == 0 else "`problem.diffusion` depends on x or u",
    )
    moving = [
        name
        for name, f in (("drift", drift), ("running", running), ("diffusion", sigma))
        if degree_in(f, t, x, u, wrt=(0,)).value > 0
    ]
    facts["constant in time"] = Fact(
        "the coefficients do not depend on t",
        not moving,
        "" if not moving else f"`problem.{moving[0]}` depends on t",
    )
    at_zero = None
    if facts["affine drift"].holds and facts["quadratic running"].holds:
        at_zero = coefficients(problem, 0.0, facts["quadratic terminal"].holds)
        if _derivatives_lie(problem, at_zero, facts):
            at_zero = None
    facts["convex control"] = _convex_control(problem, at_zero)
    spread = _isotropic(problem, sigma, facts)
    lam = _matched(facts, at_zero, spread, problem.controls)
    normal = _radial(problem, facts, lam, spread)
    functions = (drift, running, terminal, sigma)
    return Structure(facts, functions, at_zero, normal, lam, spread)


class _Constant(eqx.Module):
    value: Any

    def __call__(self, t: Any, x: Any, u: Any) -> Any:
        return self.value


def _diffusion(problem: Any) -> Callable:
    sigma, d = problem.diffusion, problem.x0.size
    if callable(sigma):
        return sigma
    a = jnp.asarray(sigma)
    return _Constant(a if a.ndim else a * jnp.eye(d))


def coefficients(problem: Any, t: float, quadratic_terminal: bool) -> Coefficients:
    """The coefficients at time t of a problem whose drift is affine and running cost quadratic."""
    terminal = problem.terminal if quadratic_terminal else None
    # the functions alone: their numbers are arrays, so another value compiles nothing
    functions = (problem.drift, problem.running, terminal, _diffusion(problem))
    found = _expand(functions, jnp.asarray(float(t)), problem.x0.size, problem.controls)
    A, B, e, W, noise = (np.asarray(a, np.float64) for a in (*found[:4], found[5]))
    G = None if found[4] is None else np.asarray(found[4], np.float64)
    return Coefficients(A, B, e, W, G, noise)


@eqx.filter_jit
def _expand(functions: tuple, at: Any, d: int, m: int) -> tuple:
    A, B, e, W, noise = affine_functions(functions, at, d, m)
    G = None if functions[2] is None else _quadratic_form(functions[2], d)
    return A, B, e, W, G, noise


def affine_functions(functions: tuple, at: Any, d: int, m: int) -> tuple:
    """A, B, e, W and sigma sigma' at one time; for drifts and costs that are what `LQ` says."""
    drift, running, _, sigma = functions
    x, u = jnp.zeros(d), jnp.zeros(m)
    A, B = jax.jacfwd(drift, argnums=(1, 2))(at, x, u)
    W = _quadratic_form(lambda z: running(at, z[:d], z[d:]), d + m)
    s = sigma(at, x, u)
    return A, B, drift(at, x, u), W, s @ s.T


def _quadratic_form(f: Callable, n: int) -> Any:
    """W with f(z) = (z, 1)'W(z, 1)."""
    z = jnp.zeros(n)
    slope, hess = jax.grad(f)(z), jax.hessian(f)(z)
    w = jnp.zeros((n + 1, n + 1)).at[:n, :n].set(hess / 2).at[n, n].set(f(z))
    return w.at[:n, n].set(slope / 2).at[n, :n].set(slope / 2)


def _derivatives_lie(problem: Any, c: Coefficients, facts: dict[str, Fact]) -> bool:
    """Whether a custom derivative rule contradicts the values; then the facts are withdrawn.

    Values and the polynomial of the derivatives are polynomials of degree at most 2; two that
    differ agree at a random point with probability 0.
    """
    d, m = problem.x0.size, problem.controls
    rng = np.random.default_rng(0)
    x, u = rng.normal(size=d), rng.normal(size=m)
    z, y, t = np.concatenate([x, u, [1.0]]), np.append(x, 1.0), jnp.zeros(())
    at, v = jnp.asarray(x), jnp.asarray(u)
    said = [
        ("affine drift", "drift", problem.drift(t, at, v), c.A @ x + c.B @ u + c.e),
        ("quadratic running", "running", problem.running(t, at, v), z @ c.W @ z),
    ]
    if c.G is not None:
        said.append(("quadratic terminal", "terminal", problem.terminal(at), y @ c.G @ y))
    lies = False
    for fact, name, value, derived in said:
        value = np.asarray(value, np.float64)
        size = np.abs(value).max() + np.abs(derived).max()
        if not np.abs(value - derived).max() <= 1e-9 * size:
            witness = f"`problem.{name}`: a custom derivative rule contradicts its values"
            facts[fact] = Fact(facts[fact].text, False, witness)
            lies = True
    return lies


def _polynomial(
    name: str, f: Callable, args: tuple, wrt: tuple[int, ...], top: int, text: str, word: str
) -> Fact:
    degree = degree_in(f, *args, wrt=wrt)
    if degree.value <= top:
        return Fact(text, True)
    if isinstance(f, Radial):  # what it is, is known: no derivatives are needed to say so
        witness = f"`problem.{name}` is radial, its program uses `{degree.culprit}`"
    else:
        witness = _witness(name, f, args, wrt, top, word, degree.culprit)
    return Fact(text, False, witness)


def _witness(
    name: str, f: Callable, args: tuple, wrt: tuple[int, ...], top: int, word: str, culprit: str
) -> str:
    """A derivative of order `top` + 1 that is not zero, along coordinates, or why none is known."""
    letters = ("t", "x", "u") if len(args) == 3 else ("x",)
    order = top + 1
    power = {2: "²", 3: "³"}[order]
    for position in reversed(wrt):
        others = ", ".join(f"{v} = 0" for i, v in enumerate(letters) if i != position)
        for at in (0.0, 1.0):
            values = [jnp.zeros(a.shape) for a in args]
            values[position] = jnp.full(args[position].shape, at)

            def along(s, i, position=position, values=values):
                step = jnp.zeros(args[position].shape).at[i].add(s)
                return f(*values[:position], values[position] + step, *values[position + 1 :])

            g = along
            for _ in range(order):
                g = jax.jacfwd(g)
            found = np.asarray(g(0.0, 0))
            bad = np.abs(found).max() if np.isfinite(found).all() else math.inf
            if bad > 1e-8:
                v = letters[position]
                value = found.ravel()[int(np.argmax(np.abs(found)))]
                where = f"{v} = {at:g}" + (f", {others}" if others else "")
                return (
                    f"`problem.{name}` is not {word} in {v}: "
                    f"d{power}{'f' if name == 'drift' else 'l' if name == 'running' else 'g'}"
                    f"/d{v}{power} = {value:.6g} at {where}"
                )
    reason = f"its program uses `{culprit}`" if culprit else "its program multiplies too often"
    return f"`problem.{name}` could not be shown to be {word}: {reason}"


def _convex_control(problem: Any, at_zero: Coefficients | None) -> Fact:
    text = "the running cost is strictly convex in u"
    if at_zero is None:
        return Fact(text, False, "`problem.running` is not known to be quadratic")
    d, m = problem.x0.size, problem.controls
    t, x, u = problem.sample_shapes()

    def second(at, x, u):
        return jax.hessian(problem.running, argnums=2)(at, x, u)

    # affine in t and positive definite at both ends: positive definite between them
    ends = [at_zero.W[d : d + m, d : d + m]]
    in_time = degree_in(second, t, x, u, wrt=(0,))
    if in_time.value > 0:
        end = coefficients(problem, problem.horizon, False)
        ends.append(end.W[d : d + m, d : d + m])
    low = min(float(np.linalg.eigvalsh(r)[0]) for r in ends)
    if low <= 0:
        return Fact(
            text, False, f"`problem.running` is not strictly convex in u: least eigenvalue {low:g}"
        )
    if in_time.value > 1:
        return Fact(text, False, "`problem.running`: d²l/du² depends on t, and not affinely")
    return Fact(text, True)


def _isotropic(problem: Any, sigma: Callable, facts: dict[str, Fact]) -> float | None:
    text = "the noise is s dW with a constant s > 0"
    t, x, u = problem.sample_shapes()
    if degree_in(sigma, t, x, u, wrt=(0, 1, 2)).value > 0:
        witness = "`problem.diffusion` depends on t, x or u"
        facts["isotropic noise"] = Fact(text, False, witness)
        return None
    if not callable(problem.diffusion) and np.ndim(problem.diffusion) == 0:
        s = float(problem.diffusion)  # no rounding by squares and roots
    else:
        d = problem.x0.size
        a = np.asarray(sigma(jnp.zeros(()), jnp.zeros(d), jnp.zeros(problem.controls)))
        square = a @ a.T
        s = math.sqrt(float(np.trace(square)) / d)
        if np.abs(square - s**2 * np.eye(d)).max() > 1e-12 * s**2:
            facts["isotropic noise"] = Fact(
                text, False, "`problem.diffusion`: sigma sigma' is not a multiple of the identity"
            )
            return None
    zero = "`problem.diffusion` is 0: the problem is deterministic"
    facts["isotropic noise"] = Fact(text, s > 0, "" if s > 0 else zero)
    return s if s > 0 else None


def _matched(
    facts: dict[str, Fact], c: Coefficients | None, spread: float | None, m: int
) -> float | None:
    """Drift B u, cost u'Qu, noise s dW, B Q^-1 B' = 2 lam s^2 I."""
    texts = {
        "control drift": "the drift is B u with a constant B",
        "control cost": "the running cost is u'Q u with a constant Q > 0",
        "matched noise": "control and noise match: B Q⁻¹ B' = 2 λ s² I",
    }
    steady = facts["constant in time"]
    for name, fact in (("control drift", "affine drift"), ("control cost", "quadratic running")):
        below = next((f for f in (facts[fact], steady) if not f.holds), None)
        facts[name] = Fact(texts[name], below is None, below.witness if below else "")
    facts["matched noise"] = Fact(texts["matched noise"], False, "the facts above do not hold")
    if c is None:
        return None
    d = len(c.e)
    if facts["control drift"].holds and (c.A.any() or c.e.any()):
        what = "df/dx" if c.A.any() else "f"
        facts["control drift"] = Fact(
            texts["control drift"],
            False,
            f"`problem.drift` is not B u: {what} != 0 at t = 0, x = 0",
        )
    Q, rest = c.W[d : d + m, d : d + m], c.W.copy()
    rest[d : d + m, d : d + m] = 0
    if facts["control cost"].holds:
        if rest.any():
            witness = "`problem.running` is not u'Qu: it depends on x, or is not 0 at u = 0"
            facts["control cost"] = Fact(texts["control cost"], False, witness)
        elif not facts["convex control"].holds:
            facts["control cost"] = Fact(
                texts["control cost"], False, facts["convex control"].witness
            )
    for name in MATCHED[:3]:
        if not facts[name].holds:
            facts["matched noise"] = Fact(texts["matched noise"], False, facts[name].witness)
            return None
    assert spread is not None
    kappa = c.B @ np.linalg.solve(Q, c.B.T)
    mean = float(np.trace(kappa)) / d
    if mean <= 0 or np.abs(kappa - mean * np.eye(d)).max() > 1e-12 * mean:
        facts["matched noise"] = Fact(
            texts["matched noise"],
            False,
            "control and noise do not match: B Q⁻¹ B' is not a multiple of the identity",
        )
        return None
    facts["matched noise"] = Fact(texts["matched noise"], True)
    return mean / (2 * spread**2)


def _radial(
    problem: Any, facts: dict[str, Fact], lam: float | None, spread: float | None
) -> Normal | None:
    text = "the terminal cost depends on |x| alone, with known floor and curvature"
    g = problem.terminal
    if not isinstance(g, Radial):
        facts["radial terminal"] = Fact(
            text, False, "`problem.terminal` is not an infsup.control.Radial"
        )
        return None
    ends = g.curvature(jnp.asarray(0.0), jnp.asarray(jnp.inf))
    constants = [float(g.floor), *(float(np.asarray(x)) for x in ends)]
    if not np.isfinite(constants).all() or constants[1] > constants[2]:
        facts["radial terminal"] = Fact(
            text, False, f"`problem.terminal` declares floor and curvature {constants}"
        )
        return None
    facts["radial terminal"] = Fact(
        text, True, "" if g.checked else "constants as declared", assumed=not g.checked
    )
    if lam is None or spread is None:
        return None
    shift = float(np.linalg.norm(problem.x0))
    return Normal(problem.x0.size, lam, spread**2 * float(problem.horizon) / 2, shift, g)


def gain_of(problem: Any, s: Structure) -> np.ndarray:
    """K with u = -K grad V the optimal law of a matched problem: Q^-1 B'/2; scalar if it can be."""
    c = s.at_zero
    assert c is not None
    d, m = problem.x0.size, problem.controls
    K = np.linalg.solve(c.W[d : d + m, d : d + m], c.B.T) / 2
    if d == m and np.array_equal(K, K[0, 0] * np.eye(d)):
        return np.asarray(K[0, 0])
    return K
