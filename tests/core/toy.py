"""A problem, methods and bounds, small, to test the contract itself from outside the package."""

from typing import Any, ClassVar, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

import infsup as isp

F32 = jnp.float32


class Bowl(isp.Problem):
    """Minimise |w - centre|^2 over w in R^d, in float32."""

    centre: Any

    @property
    def asks(self):
        """A point of R^d."""
        return isp.Point(jax.ShapeDtypeStruct(np.shape(self.centre), np.dtype("float32")))

    def trivial(self):
        """The origin."""
        return {"the origin": jnp.zeros(np.shape(self.centre), F32)}

    @property
    def truth(self):
        """The least value."""
        return 0.0


class Noisy(NamedTuple):
    """Point, running mean of it, and the user's buffer."""

    w: Any
    mean: Any
    tag: Any  # constant through the run


class NoisyDescent(isp.IterativeMethod):
    """Gradient steps with Gaussian noise: the draw of each step must come from its own key."""

    rate: float = 0.1
    noise: float = 0.01
    steps: int = 300
    blow_up_at: int = 2**30
    unseen_blow_up_at: int = 2**30
    every: ClassVar[int] = 7
    merit: ClassVar[str] = "value"

    def init(self, problem, start, key):
        d = np.shape(problem.centre)
        w = jax.random.normal(key, d, F32) if start is None else jnp.asarray(start.answer, F32)
        return Noisy(w, w, jnp.asarray(7, jnp.int32))

    def step(self, problem, state, key):
        w = state.w
        value = jnp.sum((w - problem.centre) ** 2)
        steps_made = state.tag - 7
        w = w - self.rate * 2 * (w - problem.centre)
        w = w + self.noise * jax.random.normal(key, w.shape, F32)
        w = jnp.where(steps_made + 1 == self.blow_up_at, jnp.nan, w)
        mean = 0.9 * state.mean + 0.1 * w
        mean = jnp.where(steps_made + 1 == self.unseen_blow_up_at, jnp.nan, mean)
        return Noisy(w, mean, state.tag + 1), {"value": value}

    def finish(self, problem, state, key):
        return isp.Outcome(jnp.where(jnp.isnan(state.mean), state.mean, state.w))


class Centre(isp.DirectMethod):
    """The answer itself."""

    def find(self, problem, start, key):
        yield {"progress": 0.5}
        return isp.Outcome(jnp.asarray(problem.centre, F32))


class PythonDescent(isp.IterativeMethod):
    """The same descent without noise, in NumPy, outside JAX."""

    rate: float = 0.1
    steps: int = 50
    fail_at: int = eqx.field(static=True, default=2**30)
    raise_at: int = eqx.field(static=True, default=2**30)
    every: ClassVar[int] = 5
    merit: ClassVar[str] = "value"
    host: ClassVar[bool] = True

    def init(self, problem, start, key):
        return {"w": np.ones(np.shape(problem.centre), np.float32), "n": np.zeros((), np.int64)}

    def step(self, problem, state, key):
        w, n = state["w"], int(state["n"])
        if n == self.raise_at:
            raise RuntimeError("the simulator is gone")
        value = (
            float(np.sum((w - np.asarray(problem.centre)) ** 2)) if n != self.fail_at else np.nan
        )
        w = (w - self.rate * 2 * (w - np.asarray(problem.centre))).astype(np.float32)
        return {"w": w, "n": np.asarray(n + 1)}, {"value": value}

    def finish(self, problem, state, key):
        return isp.Outcome(jnp.asarray(state["w"]))


class Distance(isp.Bound):
    """The squared distance, by computing it."""

    problems: ClassVar = (Bowl,)

    def certify(self, problem, outcome, key, delta):
        w, c = np.asarray(outcome.answer, np.float64), np.asarray(problem.centre, np.float64)
        d = float(np.sum((w - c) ** 2))
        return isp.Certificate(
            "excess value",
            "the point",
            d * (1 - 1e-12),
            d * (1 + 1e-12),
            "proved_real",
            "toy:Distance",
            sense="min",
            range=(0.0, np.inf),
            proof={"w": w, "c": c},
        )


@isp.checker(Distance)
def check_distance(problem, answer, proof):
    """The same number again, from the stored point and centre."""
    d = float(np.sum((np.asarray(answer, np.float64) - np.asarray(problem["centre"])) ** 2))
    return d, d


class Noise(isp.Bound):
    """A claim of 1 - delta about nothing, to see how delta is spent."""

    def certify(self, problem, outcome, key, delta):
        draw = float(jax.random.uniform(key, (), F32))
        return isp.Certificate(
            "draw",
            "a uniform law",
            draw / 2,
            draw,
            "confidence",
            "toy:Noise",
            sense="min",
            level=1.0 - delta,
        )


@isp.choose.register
def choose_bowl(problem: Bowl):
    """The closed form."""
    return isp.Choice(Centre(), (Distance(),), "the centre is the answer")


def bowl(d=3):
    """The problem of most tests."""
    return Bowl(jnp.arange(1, d + 1, dtype=F32))
