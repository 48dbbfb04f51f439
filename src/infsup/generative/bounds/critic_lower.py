"""What a critic can tell apart is different: lower bounds from draws alone."""

import math
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax

from infsup.core.answers import Draws
from infsup.core.bound import Bound
from infsup.core.certificate import Certificate, Hypothesis
from infsup.core.intervals import betting, clopper_pearson
from infsup.core.registry import name_of
from infsup.generative.drawing import draws, dtype_of, generator, independent, who
from infsup.generative.problem import Transport
from infsup.optimization import arguments

MEASURES = ("tv", "js", "kl")
WORDS = {"tv": "total variation", "js": "Jensen-Shannon divergence", "kl": "KL divergence"}
CAP = {"js": 4.0, "kl": 3.0}
"""Critics are cut off at +-CAP, which keeps the inequality and makes the means bounded."""
LEAST = 8


class CriticLower(Bound):
    r"""A lower bound of TV, JS or KL between the target p and the law q of a sampler.

    A critic T, a small network, is trained to tell half of the rows from half of the draws; on the
    other halves it gives, whatever it learned,

        TV >= P(T > 0) - Q(T > 0)                       (Clopper-Pearson, twice at delta/2)
        JS >= ln 2 + E_p[log s(T)]/2 + E_q[log s(-T)]/2     (betting; s the logistic function)
        KL(p|q) >= E_p[T] - E_q[e^T] + 1                    (betting)

    p is the law behind the held-out rows, grid noise included where the problem adds it; of a
    mixture, the mixture. Nothing is said from above: a critic that finds nothing proves nothing.

    Args:
        measure: "tv", "js" or "kl" (nats).
        draws: of the sampler, and of a mixture; half of them train.
        width: of the critic's two hidden layers.
        steps: of its training.
    """

    problems: ClassVar = (Transport,)
    unseen: ClassVar = True

    measure: str = eqx.field(static=True, default="tv")
    draws: int = eqx.field(static=True, default=4096)
    width: int = eqx.field(static=True, default=64)
    steps: int = eqx.field(static=True, default=300)

    def __check_init__(self):
        arguments.one_of("CriticLower", "measure", self.measure, MEASURES)
        for name in ("draws", "width", "steps"):
            arguments.whole("CriticLower", name, getattr(self, name), least=2)

    def judges_held_out(self, problem):
        return problem.mixture is None

    def certify(self, problem, outcome, key, delta):
        answer = outcome.answer
        k_p, k_q, k_cut, k_fit = jax.random.split(key, 4)
        p, assumed, target = self._target(problem, k_p)
        q = draws(answer, k_q, self.draws if not isinstance(answer, Draws) else len(answer.x))
        most = {"tv": 1.0, "js": math.log(2), "kl": math.inf}[self.measure]
        fields: dict[str, Any] = {
            "sense": "min",
            "range": (0.0, most),
            "level": 1 - delta,
            "dtype": dtype_of(answer),
            "hypotheses": assumed + independent(answer),
            "source": "D. Nguyen, M. Wainwright and M. Jordan, IEEE Trans. Inf. Theory 56 (2010); "
            "derived in infsup.generative.bounds.critic_lower",
        }
        name, of = name_of(type(self)), f"{target} and {who(answer)}"
        quantity = WORDS[self.measure]
        if min(len(p), len(q)) < LEAST:
            reason = f"{min(len(p), len(q))} rows are too few to train and judge a critic"
            fields |= {"verdict": "refused", "reason": f"{reason}; {LEAST} are needed"}
            return Certificate(quantity, of, -math.inf, math.inf, "confidence", name, **fields)
        cut = generator(k_cut)
        p, q = (x[cut.permutation(len(x))] for x in (p, q))
        halves = len(p) // 2, len(q) // 2
        critic = trained(p[: halves[0]], q[: halves[1]], self.width, self.steps, k_fit)
        on_p, on_q = critic(p[halves[0] :]), critic(q[halves[1] :])
        proof: dict[str, Any] = {"measure": self.measure, "delta": delta}
        if self.measure == "tv":
            proof |= {
                "p": (int((on_p > 0).sum()), len(on_p)),
                "q": (int((on_q > 0).sum()), len(on_q)),
            }
        else:
            cap = CAP[self.measure]
            proof |= {"p": np.clip(on_p, -cap, cap), "q": np.clip(on_q, -cap, cap)}
        lower = max(lower_end(proof), 0.0)
        return Certificate(
            quantity, of, min(lower, most), most, "confidence", name, proof=proof, **fields
        )

    def _target(
        self, problem: Transport, key: Any
    ) -> tuple[np.ndarray, tuple[Hypothesis, ...], str]:
        if problem.mixture is not None:
            x = np.asarray(problem.mixture.sample(key, self.draws), np.float64)
            return x, (), problem.name
        rows = problem.held_out
        x = np.asarray(problem.blurred(key, rows), np.float64)
        noise = f" with noise of one grid step {problem.grid:g}" if problem.grid else ""
        law = f"the law behind {problem.name}{noise}"
        return x, (Hypothesis("the rows are independent draws of one law", "assumed"),), law


def lower_end(proof: Any) -> float:
    """The lower bound from counts, or from the critic's values."""
    half = float(proof["delta"]) / 2
    if proof["measure"] == "tv":
        (kp, n), (kq, m) = proof["p"], proof["q"]
        p = clopper_pearson(int(kp), int(n), half, side="lower")
        q = clopper_pearson(int(kq), int(m), half, side="upper")
        return float(p.lower) - float(q.upper)
    cap = CAP[proof["measure"]]
    p, q = np.asarray(proof["p"], np.float64), np.asarray(proof["q"], np.float64)
    if proof["measure"] == "js":
        least = -math.log1p(math.exp(cap))
        top = -math.log1p(math.exp(-cap))
        terms = [np.clip(-np.logaddexp(0.0, -s), least, top) for s in (p, -q)]
        ends = [float(betting(t, half, lo=least, hi=top).lower) for t in terms]
        return math.log(2) + 0.5 * sum(ends)
    above = betting(np.exp(q), half, lo=0.0, hi=math.exp(cap) * (1 + 1e-12))
    return float(betting(p, half, lo=-cap, hi=cap).lower) - float(above.upper) + 1.0


def trained(p: np.ndarray, q: np.ndarray, width: int, steps: int, key: Any) -> Any:
    """A log-ratio critic x [n, d] -> [n], NumPy to NumPy; logistic regression by a network."""
    both = np.concatenate([p, q])
    shift, scale = both.mean(0), both.std(0)
    scale = np.where(scale > 1e-12 * (1 + np.abs(shift)), scale, 1.0)
    framed = lambda x: jnp.asarray((x - shift) / scale, jnp.float32)  # noqa: E731
    net = _train(framed(p), framed(q), width, steps, key)
    return lambda x: np.asarray(_values(net, framed(x)), np.float64)


@eqx.filter_jit
def _values(net: Any, x: Any) -> Any:
    return jax.vmap(net)(x)


@eqx.filter_jit
def _train(p: Any, q: Any, width: int, steps: int, key: Any) -> Any:
    k_net, k_run = jax.random.split(key)
    net = eqx.nn.MLP(
        p.shape[1], "scalar", width, 2, jax.nn.silu, jax.nn.identity, dtype=jnp.float32, key=k_net
    )
    params, fixed = eqx.partition(net, eqx.is_array)
    transform = optax.adamw(optax.cosine_decay_schedule(3e-3, steps), weight_decay=1e-2)
    batch = 128

    def loss_of(w, i, j):
        f = jax.vmap(eqx.combine(w, fixed))
        return jnp.mean(jax.nn.softplus(-f(p[i]))) + jnp.mean(jax.nn.softplus(f(q[j])))

    def one(carry, k):
        w, memory = carry
        a, b = jax.random.split(k)
        i = jax.random.randint(a, (batch,), 0, len(p), jnp.int32)
        j = jax.random.randint(b, (batch,), 0, len(q), jnp.int32)
        updates, memory = transform.update(jax.grad(loss_of)(w, i, j), memory, w)
        return (optax.apply_updates(w, updates), memory), None

    begin = (params, transform.init(params))
    (params, _), _ = jax.lax.scan(one, begin, jax.random.split(k_run, steps))
    return eqx.combine(params, fixed)
